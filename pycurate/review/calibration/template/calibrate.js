"use strict";
// One question at a time, answered by two keys; answers stay in the browser's storage until they are saved to a file.
const sheet = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const questions = [...document.querySelectorAll(".item")];
const number = (question) => Number(question.dataset.number);
// Of these questions: a run may be asked others, as for the other side of a threshold.
const place = `pycurate ${sheet.run} ${sheet.items.map(({ uids }) => uids)}`;
const answers = new Array(sheet.items.length).fill(null);
let order = []; // the answered questions, the last one at the end

function remember() {
  try {
    localStorage.setItem(place, JSON.stringify({ answers, order }));
  } catch {
    element("memory").hidden = false;
  }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (kept?.answers?.length !== answers.length) return;
    kept.answers.forEach((answer, i) => (answers[i] = answer));
    order = kept.order;
  } catch {
    element("memory").hidden = false;
  }
}

const current = () => questions.find((question) => answers[number(question)] === null);

function show() {
  const now = current();
  for (const question of questions) question.hidden = question !== now;
  const done = questions.filter((question) => answers[number(question)] !== null).length;
  element("progress").textContent = `${done} of ${questions.length} answered`;
  element("bar").value = done;
  element("done").hidden = Boolean(now);
  for (const id of ["yes", "no"]) element(id).disabled = !now;
  element("undo").disabled = !order.length;
}

function answer(yes) {
  const now = current();
  if (!now) return;
  answers[number(now)] = yes;
  order.push(number(now));
  remember();
  show();
}

function undo() {
  if (!order.length) return;
  answers[order.pop()] = null;
  remember();
  show();
}

function unveil() {
  const button = element("unveil");
  if (button) button.setAttribute("aria-pressed", String(document.body.classList.toggle("unveiled")));
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ ...sheet, answers })], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const acts = { yes: () => answer(true), no: () => answer(false), undo, unveil, save };
const keys = { j: "yes", f: "no", u: "undo", b: "unveil", s: "save" };
for (const [id, act] of Object.entries(acts)) element(id)?.addEventListener("click", act);
document.addEventListener("keydown", (event) => {
  const id = keys[event.key.toLowerCase()];
  if (!id || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  acts[id]();
});
recall();
show();
