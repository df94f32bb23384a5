"use strict";
const $ = (id) => document.getElementById(id);
const percent = (p) => (100 * p).toFixed(p > 0.995 || p < 0.005 ? 1 : 0) + " %";
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const LONGEST_EXPLAINED = 4000; // characters
let models = [], maxTexts = 100, token = "", table = null, stopped = false, asked = 0;

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(id, text, wrong = false) {
  $(id).textContent = text;
  $(id).classList.toggle("error", wrong);
}

// Not `disabled`, which would remove the keyboard focus.
const isBusy = (id) => $(id).getAttribute("aria-disabled") === "true";
const setBusy = (id, busy) => $(id).setAttribute("aria-disabled", String(busy));
const offerTable = () => { $("start").disabled = $("column").disabled = !(table && models.length); };

async function call(path, body) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  if (body) headers["Content-Type"] = "application/json";
  for (let tries = 0; ; tries++) {
    const reply = await fetch(path, { ...options, headers }).catch(() => null);
    if (!reply) throw new Error("the service does not respond");
    if (reply.ok) return reply.json();
    if (reply.status === 429 && tries < 20) { await wait(Number(reply.headers.get("Retry-After")) || 1); continue; }
    if (reply.status === 401) {
      $("token-form").hidden = false;
      $("token").focus();
      throw new Error(token ? "the token is wrong" : "this service requires a token");
    }
    const said = await reply.json().catch(() => ({}));
    throw new Error(said.detail || "the service responded with " + reply.status);
  }
}

async function start() {
  try {
    ({ models, max_texts: maxTexts } = await call("/v1/models"));
  } catch (error) { say("said", "Error: " + error.message, true); return; }
  $("token-form").hidden = true;
  say("said", "");
  const names = models.map((model) => model.task);
  $("served").textContent = names.join(", ");
  const options = () => names.map((name) => make("option", { value: name, textContent: name }));
  $("task").replaceChildren(...options());
  if (names.length > 1) $("task").append(make("option", { value: "", textContent: "all" }));
  $("table-task").replaceChildren(...options());
  offerTable();
}

function question(text, task) {
  const body = task ? { tasks: [task] } : {};
  let record = null;
  if (/^\s*[{[]/.test(text)) {
    try { record = JSON.parse(text); } catch { record = null; }
  }
  if (record === null) return { ...body, texts: [text] };
  if (Array.isArray(record.studies)) record = record.studies;
  if (Array.isArray(record)) {
    if (record.length !== 1) throw new Error(`these are ${record.length} records; enter one, or a table below`);
    [record] = record;
  }
  if (record === null || typeof record !== "object" || Array.isArray(record)) {
    throw new Error("this is not a record: a record has named fields");
  }
  return { ...body, records: [record] };
}

// Offsets are in code points in the service, in UTF-16 units in JavaScript.
function marked(text, words) {
  const points = Array.from(text), parts = [];
  const most = Math.max(0.05, ...words.map((word) => Math.abs(word.importance)));
  let at = 0;
  for (const { start, end, importance } of words) {
    if (Math.abs(importance) < 0.1 * most) continue;
    const word = make("mark", { textContent: points.slice(start, end).join("") });
    word.title = (importance > 0 ? "for: +" : "against: −") + percent(Math.abs(importance));
    const strength = (0.15 + 0.45 * Math.abs(importance) / most).toFixed(2);
    word.style.background = `rgb(var(${importance > 0 ? "--for" : "--against"}) / ${strength})`;
    parts.push(points.slice(at, start).join(""), word);
    at = end;
  }
  return [...parts, points.slice(at).join("")];
}

async function explain(task, text, label, read, note) {
  const mine = read.dataset.asked = String(++asked);
  if (Array.from(text).length > LONGEST_EXPLAINED) {
    note.textContent = "The text is too long to determine which words matter.";
    return;
  }
  note.textContent = `Determining which words matter for ${label} …`;
  try {
    const { words } = await call("/v1/explain", { task, text, label });
    if (read.dataset.asked !== mine) return;
    read.replaceChildren(...marked(text, words));
    const telling = (sign) => words.filter((word) => sign * word.importance > 0.05)
      .sort((a, b) => sign * (b.importance - a.importance)).slice(0, 5)
      .map((word) => Array.from(text).slice(word.start, word.end).join("")).join(", ");
    const [pro, con] = [telling(1), telling(-1)];
    note.textContent = [pro && `Words that most support ${label}: ${pro}.`, con && `Words against it: ${con}.`]
      .filter(Boolean).join(" ") || `No single word determines ${label}.`;
  } catch (error) {
    if (read.dataset.asked === mine) note.textContent = "Word importance is not available: " + error.message;
  }
}

function labelItem(label, p, chosen, ask) {
  const said = [chosen ? "predicted, " : "", percent(p)].join("");
  const fill = make("span", { className: "fill" });
  fill.style.width = 100 * p + "%";
  const track = make("span", { className: "track" }, fill);
  track.setAttribute("aria-hidden", "true");
  if (label.threshold !== null) {
    const cut = make("span", { className: "cut" });
    cut.style.left = 100 * label.threshold + "%";
    track.append(cut);
  }
  const button = make("button", { type: "button", title: "Show the words that matter for this label" },
    make("span", { className: "name", textContent: label.name }), make("span", { textContent: said }), track);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => ask(button));
  const from = label.threshold === null ? "" : `Predicted from ${percent(label.threshold)} on. `;
  const meaning = make("p", { className: "meaning", textContent: from + label.definition });
  return make("li", { className: chosen ? "chosen" : "" }, button, meaning);
}

function answer(model, told) {
  const box = make("article", {}, make("h3", { textContent: model.task }));
  if (!told.labels) {
    box.append(make("p", { textContent: "There is no text for this task." }));
    return box;
  }
  const given = told.labels.length ? told.labels.join(", ") : "none";
  box.append(make("p", {}, "Labels: ", make("strong", { textContent: given })));
  if (told.needs_review) {
    box.append(make("p", { className: "doubt", textContent: "Needs review: the classifier is uncertain." }));
  }
  const read = make("p", { className: "read", textContent: told.text });
  const note = make("p", { className: "meaning" });
  note.setAttribute("role", "status");
  const ask = (label) => (button) => {
    for (const other of box.querySelectorAll("button[aria-pressed]")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    return explain(model.task, told.text, label.name, read, note);
  };
  const items = model.labels
    .map((label) => ({ label, p: told.probabilities[label.name], chosen: told.labels.includes(label.name) }))
    .sort((a, b) => b.chosen - a.chosen || b.p - a.p)
    .map(({ label, p, chosen }) => labelItem(label, p, chosen, ask(label)));
  const shown = Math.max(3, told.labels.length);
  box.append(read, note, make("ul", { className: "labels" }, ...items.slice(0, shown)));
  if (items.length > shown) {
    const others = make("summary", { textContent: `The other ${items.length - shown} labels` });
    box.append(make("details", {}, others, make("ul", { className: "labels" }, ...items.slice(shown))));
  }
  items[0].querySelector("button").click();
  return box;
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy("go")) return;
  const text = $("text").value;
  if (!text.trim()) { say("said", "Enter a text first.", true); $("text").focus(); return; }
  setBusy("go", true);
  $("said").classList.remove("heard");
  say("said", "Reading …");
  try {
    const { results } = await call("/v1/predict", question(text, $("task").value));
    const told = models.filter((model) => results[model.task]);
    $("answers").replaceChildren(...told.map((model) => answer(model, results[model.task][0])));
    $("said").classList.add("heard"); // for screen readers only; the results are visible
    say("said", told.map((model) => `${model.task}: ${(results[model.task][0].labels || ["no text"]).join(", ")}`
      + (results[model.task][0].needs_review ? " (needs review)" : "")).join("; "));
  } catch (error) { say("said", "Error: " + error.message, true); }
  setBusy("go", false);
});

$("file").addEventListener("change", async () => {
  table = null;
  $("download").hidden = $("progress").hidden = true;
  $("progress").value = 0;
  offerTable();
  const file = $("file").files[0];
  if (!file) return;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    const separator = separatorOf(text);
    const [header, ...rows] = parseCsv(text, separator);
    if (!header || !rows.length) throw new Error("it has no rows");
    // With a single column, a blank line is an empty cell.
    const blank = (row) => row.length === 1 && row[0] === "" && header.length > 1;
    const bad = rows.findIndex((row) => row.length !== header.length && !blank(row));
    if (bad >= 0) throw new Error(`row ${bad + 1} has ${rows[bad].length} cells, the header ${header.length}`);
    table = { name: file.name, separator, header, rows: rows.filter((row) => !blank(row)) };
  } catch (error) {
    const why = error instanceof TypeError ? "it is not UTF-8; save it as CSV UTF-8" : error.message;
    say("table-said", `Error: ${file.name}: ${why}`, true);
    return;
  }
  $("column").replaceChildren(...table.header.map((name, i) => make("option", { value: i, textContent: name })));
  const known = /why_?\s*(study_?\s*)?stopped|reason|criteria|text/i;
  $("column").value = Math.max(0, table.header.findIndex((name) => known.test(name)));
  offerTable();
  say("table-said", `${table.rows.length.toLocaleString("en")} rows.`);
});

$("table").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy("start")) return;
  const { name, separator, header, rows } = table, column = Number($("column").value), task = $("table-task").value;
  const labels = models.find((model) => model.task === task).labels.map((label) => label.name);
  const out = [[...header, `${task} labels`, `${task} needs_review`, ...labels.map((label) => `p(${label})`)]];
  const size = Math.min(64, maxTexts);
  stopped = false;
  setBusy("start", $("file").disabled = true);
  $("stop").hidden = $("progress").hidden = false;
  $("download").hidden = true;
  $("progress").max = rows.length;
  try {
    for (let at = 0; at < rows.length && !stopped; at += size) {
      const part = rows.slice(at, at + size);
      const { results } = await call("/v1/predict", { tasks: [task], texts: part.map((row) => row[column]) });
      results[task].forEach((told, i) => out.push([...part[i], (told.labels || []).join("|"),
        told.needs_review === null ? "" : String(told.needs_review),
        ...labels.map((label) => (told.probabilities ? String(told.probabilities[label]) : ""))]));
      $("progress").value = out.length - 1;
      // Announced to screen readers every tenth only.
      const tenth = Math.floor((10 * (out.length - 1)) / rows.length);
      if (tenth !== Math.floor((10 * at) / rows.length)) say("table-said", `${out.length - 1} of ${rows.length} rows`);
    }
    say("table-said", `${stopped ? "Stopped after" : "Done:"} ${out.length - 1} of ${rows.length} rows.`);
  } catch (error) { say("table-said", `Error after ${out.length - 1} rows: ${error.message}`, true); }
  if ($("download").href) URL.revokeObjectURL($("download").href);
  $("download").href = URL.createObjectURL(new Blob(["\ufeff", writeCsv(out, separator)], { type: "text/csv" }));
  $("download").download = name.replace(/\.csv$/i, "") + "-labelled.csv";
  $("download").hidden = false;
  setBusy("start", $("file").disabled = false);
  $("stop").hidden = true;
});

$("stop").addEventListener("click", () => { stopped = true; });
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  say("said", ""); // so that a repeated result is announced again
  start();
});
start();
