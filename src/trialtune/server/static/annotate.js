"use strict";
const $ = (id) => document.getElementById(id);
const percent = (p) => (100 * p).toFixed(0) + " %";
let session = null, item = null, back = 0, busy = false;

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(text, wrong = false) {
  $("said").textContent = text;
  $("said").classList.toggle("error", wrong);
}

async function call(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const reply = await fetch(path, options).catch(() => null);
  if (!reply) throw new Error("the service does not respond. Start the same command again; the content of this page is kept");
  if (reply.ok) return reply.json();
  const said = await reply.json().catch(() => ({}));
  throw Object.assign(new Error(said.detail || "the service responded with " + reply.status), { status: reply.status });
}

const boxes = () => [...$("choices").querySelectorAll("input")];
const chosen = () => boxes().filter((box) => box.checked && box.value).map((box) => box.value);
const isNone = () => Boolean($("none") && $("none").checked);

function makeChoices() {
  const many = session.kind === "multi_label";
  $("question").textContent = many ? "Which labels apply?" : "Which label applies?";
  const choice = ({ name, definition, key }, id) => {
    const box = make("input", { type: many ? "checkbox" : "radio", name: "label", value: name, id: "label-" + id });
    if (key) box.setAttribute("aria-keyshortcuts", key);
    const meaning = make("span", { className: "meaning", textContent: definition, id: "meaning-" + id });
    box.setAttribute("aria-describedby", meaning.id);
    return make("label", { className: "choice" }, box, make("kbd", { textContent: key || " " }), make("span", { className: "name", textContent: name }), meaning);
  };
  $("choices").replaceChildren(...session.labels.map(choice));
  if (!many) return;
  const none = make("input", { type: "checkbox", id: "none", value: "" });
  none.setAttribute("aria-keyshortcuts", "0");
  $("choices").append(make("label", { className: "choice" }, none, make("kbd", { textContent: "0" }),
    make("span", { className: "name", textContent: "None of these" })));
  $("choices").addEventListener("change", ({ target }) => {
    if (target === none && none.checked) for (const box of boxes()) box.checked = box === none;
    else if (target.checked) none.checked = false;
  });
}

const names = (labels) => labels.length ? labels.join(", ") : "none";
const ways = { random: "drawn at random", uncertain: "the model is uncertain", rare: "may have a rare label", listed: "as listed" };

function show(shown, answer) {
  item = shown;
  $("work").hidden = !item;
  $("return").hidden = !back;
  if (!item) {
    const { counts } = session.progress;
    const skipped = counts.skipped ? ` ${counts.skipped} of them were skipped; press b to go back to them.` : "";
    say(`All texts are answered.${skipped}`);
    return;
  }
  const words = item.text.split(/\s+/).length;
  const about = [item.nct_id, `${words.toLocaleString("en")} ${words === 1 ? "word" : "words"}`, ways[item.drawn] || item.drawn];
  $("head").textContent = (back ? "Earlier answer: " : "Text: ") + about.filter(Boolean).join(", ");
  $("title").textContent = item.title;
  $("text").textContent = item.text;
  $("text").scrollTop = 0;
  const told = item.suggestion;
  $("suggestion").hidden = !told;
  if (told) {
    const likely = (label) => told.probabilities[label] === undefined ? label : `${label} ${percent(told.probabilities[label])}`;
    $("suggestion").textContent = "The model predicts: " + names(told.labels.map(likely));
  }
  $("opinions").hidden = !item.opinions.length;
  $("opinions").replaceChildren(...item.opinions.map((one) => make("li", {}, make("strong", { textContent: one.annotator }),
    ": " + (one.status === "labelled" ? names(one.labels) : one.status) + (one.note ? ` (${one.note})` : ""))));
  const given = answer ? answer.labels : session.mode === "review" && told ? told.labels : [];
  for (const box of boxes()) box.checked = given.includes(box.value);
  if ($("none")) $("none").checked = Boolean(answer) && answer.status !== "unsure" && answer.status !== "skipped" && !given.length;
  $("note").value = answer ? answer.note : "";
  $("head").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function showProgress(progress) {
  session.progress = progress;
  const { counts, labels, model, forecast } = progress;
  const done = counts.labelled + counts.adjudicated;
  const parts = [`${done.toLocaleString("en")} ${session.mode === "adjudicate" ? "adjudicated" : "labelled"}`, `${counts.unsure} unsure`,
    `${counts.skipped} skipped`, `${counts.left.toLocaleString("en")} left`];
  $("counts").textContent = parts.join(", ") + "." + (model && model.texts ? ` The model (${model.name}) is trained on ${model.texts} texts.` : "");
  $("counts").classList.toggle("error", Boolean(model && model.problem));
  if (model && model.problem) $("counts").append(" " + model.problem);
  $("advice").textContent = forecast ? forecast.advice : "";
  $("curve").hidden = !forecast;
  if (forecast) {
    const about = `Cross-validated on ${forecast.scored} texts${forecast.at_random ? " drawn at random" : ", not drawn at random: the pool may be easier or harder"}.`;
    $("curve").replaceChildren(drawCurve(forecast.macro, "macro-F1"), make("figcaption", { textContent: about }));
  }
  $("per-label").replaceChildren(...session.labels.map(({ name }) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: labels[name] }))));
}

async function working(work) {
  if (busy) return;
  busy = true;
  $("form").setAttribute("aria-busy", "true");
  try { await work(); } catch (error) {
    say(`Error: ${error.message}.`, true);
  }
  busy = false;
  $("form").removeAttribute("aria-busy");
}

const save = (status) => working(async () => {
  const labels = status === "labelled" ? chosen() : [];
  if (status === "labelled" && !labels.length && !isNone()) {
    say(session.kind === "multi_label" ? "Choose labels, or 0 for none of these, u for unsure, s to skip." : "Choose a label, u for unsure, or s to skip.", true);
    return;
  }
  const { place, text_hash, drawn } = item;
  let saved;
  try {
    saved = await call("/v1/answers", { place, text_hash, drawn, labels, status, note: $("note").value });
  } catch (error) {
    throw Object.assign(new Error("not saved: " + error.message), { status: error.status });
  }
  const told = saved.suggestion && !item.suggestion ? ` The model's prediction: ${names(saved.suggestion.labels)}.` : "";
  const more = saved.rows > 1 ? ` Also for ${saved.rows - 1} with the same wording.` : "";
  const again = saved.before && !back ? " It replaces an earlier answer." : "";
  say(`Saved: ${status === "labelled" ? names(labels) : status}.${more}${again}${told}`);
  back = 0;
  showProgress(saved.progress);
  show(saved.next);
  if (!saved.next) say($("said").textContent + " This was the last text.");
});

const goBack = () => working(async () => {
  const found = await call("/v1/answered/" + (back + 1));
  if (!found) { say("There is no earlier text."); return; }
  const { answer, ...before } = found;
  back += 1;
  say(`Your answer: ${answer.status === "unsure" || answer.status === "skipped" ? answer.status : names(answer.labels)}.`);
  show(before, answer);
});

const goForward = () => working(async () => {
  if (!back) return;
  back = 0;
  say("");
  show(await call("/v1/next"));
});

const actions = { u: () => save("unsure"), s: () => save("skipped"), b: goBack, Backspace: goBack, Escape: goForward,
  n: () => $("note").focus(), 0: () => $("none") && $("none").click() };

document.addEventListener("keydown", (event) => {
  if (!session || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  const writing = event.target === $("note");
  if (event.key === "Enter") {
    const own = ["unsure", "skip", "back", "return"].includes(event.target.id) || event.target.tagName === "SUMMARY";
    if (own || !item) return;
    event.preventDefault();
    save("labelled");
    return;
  }
  if (writing) {
    if (event.key === "Escape") $("head").focus();
    return;
  }
  if (!$("keys").checked) return;
  const label = item && session.labels.find(({ key }) => key && key === event.key.toLowerCase());
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (label) boxes().find((box) => box.value === label.name).click();
  else if (action && (item || action === goBack)) action();
  else return;
  event.preventDefault();
});

$("form").addEventListener("submit", (event) => { event.preventDefault(); save("labelled"); });
$("unsure").addEventListener("click", () => save("unsure"));
$("skip").addEventListener("click", () => save("skipped"));
$("back").addEventListener("click", goBack);
$("return").addEventListener("click", goForward);

working(async () => {
  session = await call("/v1/session");
  for (const id of ["task", "annotator", "file"]) $(id).textContent = session[id];
  makeChoices();
  showProgress(session.progress);
  const first = await call("/v1/next");
  if (session.empty) say(`${session.empty.toLocaleString("en")} rows have no text and are not shown.`);
  show(first);
});
