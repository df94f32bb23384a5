"use strict";
// The curve of expected F1 against labels: measured points with their intervals, and the extrapolation.
function drawCurve(curve, name) {
  const width = 560, height = 220, left = 44, right = 12, top = 12, bottom = 34;
  const points = [...curve.measured, ...curve.later].sort((a, b) => a.labels - b.labels);
  const most = points.at(-1).labels;
  const lowest = Math.max(0, Math.floor(10 * Math.min(...points.map((p) => p.low))) / 10);
  const highest = Math.min(1, Math.ceil(10 * Math.max(...points.map((p) => p.high))) / 10);
  const x = (labels) => left + (width - left - right) * labels / most;
  const y = (f1) => top + (height - top - bottom) * (highest - f1) / Math.max(highest - lowest, 0.05);
  const svg = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const path = (some) => some.map((p, i) => `${i ? "L" : "M"}${x(p.labels).toFixed(1)} ${y(p.f1).toFixed(1)}`).join("");
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const said = curve.later.map((p) => `${p.labels} labels ${p.f1.toFixed(2)} (${p.low.toFixed(2)} to ${p.high.toFixed(2)})`);
  drawing.setAttribute("aria-label", `Expected ${name} by labels: ${said.join(", ")}`);
  for (let tick = lowest; tick <= highest + 1e-9; tick += 0.1) {
    drawing.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(tick), y2: y(tick), "stroke-opacity": 0.4 }),
      svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(1)));
  }
  for (const p of points) {
    drawing.append(svg("line", { class: "band", x1: x(p.labels), x2: x(p.labels), y1: y(p.low), y2: y(p.high) }));
  }
  const now = curve.later[0];
  const before = [...curve.measured.filter((p) => p.labels < now.labels), now];
  drawing.append(svg("path", { class: "line", d: path(before) }), svg("path", { class: "line later", d: path(curve.later) }));
  for (const p of before) drawing.append(svg("circle", { class: "dot", cx: x(p.labels), cy: y(p.f1), r: 3 }));
  for (const p of [curve.measured[0], now, curve.later.at(-1)]) {
    drawing.append(svg("text", { x: x(p.labels), y: height - 18, "text-anchor": p.labels === most ? "end" : "middle" }, p.labels));
  }
  drawing.append(svg("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, `expected ${name} by number of labels; bars: 95% intervals`));
  return drawing;
}
