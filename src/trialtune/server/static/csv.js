"use strict";
// CSV by RFC 4180: quoted cells may contain separators, line breaks and doubled quotes. Spreadsheets in
// many locales use semicolons as separators.

function separatorOf(text) {
  const header = text.replaceAll(/"[^"]*"/g, "").split(/[\r\n]/, 1)[0];
  const count = (sign) => header.split(sign).length;
  return [",", ";", "\t"].reduce((best, sign) => (count(sign) > count(best) ? sign : best));
}

function parseCsv(text, separator) {
  const rows = [];
  let row = [], cell = "", quoted = false, begun = false;
  const endRow = () => { rows.push([...row, cell]); row = []; cell = ""; begun = false; };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') { cell += '"'; i++; }
      else quoted = false;
    } else if (c === "\n" || c === "\r") { if (c === "\r" && text[i + 1] === "\n") i++; endRow(); }
    else {
      begun = true;
      if (c === '"' && cell === "") quoted = true;
      else if (c === separator) { row.push(cell); cell = ""; }
      else cell += c;
    }
  }
  if (quoted) throw new Error("a quote is never closed");
  if (begun) endRow();
  return rows;
}

function writeCsv(rows, separator) {
  const special = (cell) => /["\r\n]/.test(cell) || cell.includes(separator);
  const written = (cell) => (special(cell) ? '"' + cell.replaceAll('"', '""') + '"' : cell);
  return rows.map((row) => row.map(written).join(separator)).join("\r\n") + "\r\n";
}
