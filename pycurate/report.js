"use strict";
// What another threshold keeps, counted from bins; and pictures that are blurred until asked for.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (kind, axis) => document.getElementById(`${kind}-${axis.name}`);
const round = (value) => Math.round(value).toLocaleString("en-GB");

// Does a slider at `stand` keep the bin?
const keeps = (axis, stand, bin) => (axis.keeps === "from" ? bin >= stand : bin < stand);
const runKeeps = (cell) => data.axes.every((axis, i) => keeps(axis, axis.start, cell[i]));

// Each cell's kept images: as counted where the run's thresholds keep the cell, else with the same share of duplicates.
const width = data.axes.length;
const compared = data.cells.filter(runKeeps);
const sum = (cells, column) => cells.reduce((total, cell) => total + cell[column], 0);
const share = compared.length ? sum(compared, width + 1) / sum(compared, width) : 1;
for (const cell of data.cells) cell.push(runKeeps(cell) ? cell[width + 1] : cell[width] * share);

const stands = data.axes.map((axis) => axis.start);
// The curves' scale: the most that can be kept, with every slider at its loosest.
const most = Math.max(1, kept(data.axes.map((axis) => (axis.keeps === "from" ? 0 : axis.edges.length - 1))));
const sliders = data.axes.map((axis) => element("slider", axis));

function kept(at) {
  const passing = data.cells.filter((cell) => data.axes.every((axis, i) => keeps(axis, at[i], cell[i])));
  return sum(passing, width + 2);
}

// The kept count for each stand of one slider, the others as they are.
function curve(index) {
  const axis = data.axes[index];
  const bins = new Array(axis.edges.length - 1).fill(0);
  for (const cell of data.cells) {
    if (data.axes.every((other, i) => i === index || keeps(other, stands[i], cell[i]))) bins[cell[index]] += cell[width + 2];
  }
  const below = [0];
  for (const count of bins) below.push(below.at(-1) + count);
  return below.map((count) => (axis.keeps === "from" ? below.at(-1) - count : count));
}

function place(axis, stand) {
  const [low, high] = [axis.edges[0], axis.edges.at(-1)];
  return (480 * (axis.edges[stand] - low)) / (high - low);
}

function move(line, x) {
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
}

function show() {
  const same = data.axes.every((axis, i) => stands[i] === axis.start);
  const count = same ? data.kept : Math.round(kept(stands));
  const about = same || data.exact ? "" : "about ";
  const percent = data.inputs ? ((100 * count) / data.inputs).toFixed(1) : "0.0";
  const change = count - data.kept;
  const compare = same ? "as in this run" : change ? `${round(Math.abs(change))} ${change > 0 ? "more" : "fewer"} than this run` : "as many as this run";
  const output = document.querySelector("#result output");
  const strong = document.createElement("strong");
  strong.textContent = about + round(count);
  output.replaceChildren(strong, ` of ${round(data.inputs)} kept (${percent} %), ${compare}`);
  document.getElementById("reset").disabled = same;
  data.axes.forEach((axis, i) => {
    const value = axis.edges[stands[i]].toString();
    const x = place(axis, stands[i]);
    element("value", axis).textContent = value;
    sliders[i].value = stands[i];
    sliders[i].setAttribute("aria-valuetext", `${value}, ${about}${round(count)} kept`);
    move(element("now", axis), x);
    move(element("mark", axis), x);
    const shade = element("shade", axis);
    shade.setAttribute("x", axis.keeps === "from" ? 0 : x);
    shade.setAttribute("width", axis.keeps === "from" ? x : 480 - x);
    const points = curve(i).map((amount, stand) => `${place(axis, stand).toFixed(1)},${(112 - (104 * amount) / most).toFixed(1)}`);
    element("curve", axis).setAttribute("points", points.join(" "));
  });
}

const percentOf = (count) => `${((100 * count) / data.inputs).toPrecision(3)} %`;
for (const axis of data.axes) {
  element("top", axis).textContent = `${percentOf(most)} of all samples kept`;
  element("half", axis).textContent = percentOf(most / 2);
}
sliders.forEach((slider, i) => slider.addEventListener("input", () => { stands[i] = Number(slider.value); show(); }));
if (sliders.length) {
  document.getElementById("reset").addEventListener("click", () => {
    data.axes.forEach((axis, i) => { stands[i] = axis.start; });
    show();
    sliders[0].focus();
  });
  show();
}

const veils = [...document.querySelectorAll(".veil")];
const press = (button, on) => button.setAttribute("aria-pressed", String(on));
for (const veil of veils) veil.addEventListener("click", () => press(veil, veil.getAttribute("aria-pressed") !== "true"));
const unveil = document.getElementById("unveil");
unveil?.addEventListener("click", () => {
  const on = unveil.getAttribute("aria-pressed") !== "true";
  for (const button of [unveil, ...veils]) press(button, on);
});
