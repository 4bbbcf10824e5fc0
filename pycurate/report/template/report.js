"use strict";
// What another threshold keeps, counted from bins; and pictures that are blurred until asked for.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (kind, axis) => document.getElementById(`${kind}-${axis.name}`);
const round = (value) => Math.round(value).toLocaleString("en-GB");

// Does a slider at `stand` keep the bin? Bin n holds the samples without a score, bin n - 1 those from the last edge on.
function keeps(axis, stand, bin) {
  if (axis.off && stand === axis.start) return true;
  if (bin === axis.edges.length) return axis.missing;
  return axis.above ? bin >= stand : bin < stand;
}

// Each table counts by the bins of some scores the samples that the run's thresholds on all others keep.
const started = data.axes.map((axis) => axis.start);
const keepsRow = (table, row, at, except) =>
  table.axes.every((i, column) => i === except || keeps(data.axes[i], at[i], table.bins[column][row]));
const sum = (amounts) => amounts.reduce((total, amount) => total + amount, 0);

// A cell's kept images: as counted where the run's thresholds keep the cell, else with the share that the later steps kept.
for (const table of data.counts) {
  const inRun = table.passing.map((_, row) => keepsRow(table, row, started));
  const compared = sum(table.passing.filter((_, row) => inRun[row]));
  const share = compared ? sum(table.kept) / compared : 1;
  table.amount = table.passing.map((passing, row) => (inRun[row] ? table.kept[row] : passing * share));
}

const stands = [...started];
let away = []; // the sliders that do not stand where the run did, the one moved longest ago first
const sliders = data.axes.map((axis) => element("slider", axis));

// The sliders that stay where they are while one is moved.
function others(index) {
  const moved = away.filter((i) => i !== index);
  return moved.slice(Math.max(0, moved.length + 1 - data.together));
}

// The kept count for each stand of one slider.
function curve(index, at = stands, staying = others(index)) {
  const axis = data.axes[index];
  const table = data.counts.find((one) => [index, ...staying].every((i) => one.axes.includes(i)));
  const stand = started.map((start, i) => (staying.includes(i) ? at[i] : start));
  const bins = new Array(axis.edges.length + 1).fill(0);
  const column = table.bins[table.axes.indexOf(index)];
  table.amount.forEach((amount, row) => {
    if (keepsRow(table, row, stand, index)) bins[column[row]] += amount;
  });
  const all = sum(bins);
  const missing = axis.missing ? bins.at(-1) : 0;
  let below = 0;
  return axis.edges.map((_, place) => {
    if (place > 0) below += bins[place - 1];
    if (axis.off && place === axis.start) return all;
    return missing + (axis.above ? all - bins.at(-1) - below : below);
  });
}

// The kept count with the sliders as they stand.
function kept() {
  const index = away.at(-1) ?? 0;
  return curve(index)[stands[index]];
}

// The curves' scale: the most that can be kept, with as many sliders as can be at their loosest.
const loosest = data.axes.map((axis) => (axis.above ? 0 : axis.edges.length - 1));
const most = Math.max(1, ...data.counts.map(({ axes }) => curve(axes[0], loosest, axes.slice(1))[loosest[axes[0]]]));

function moved(index, stand) {
  stands[index] = stand;
  away = away.filter((i) => i !== index);
  if (stand !== started[index]) away.push(index);
  while (away.length > data.together) {
    const back = away.shift();
    stands[back] = started[back];
  }
  show();
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
  const same = !away.length;
  const count = same ? data.kept : Math.round(kept());
  const stricter = away.every((i) => (data.axes[i].above ? stands[i] > started[i] : stands[i] < started[i]));
  const about = same || (stricter ? data.stricter : data.looser) ? "" : "about ";
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
    shade.setAttribute("x", axis.above ? 0 : x);
    shade.setAttribute("width", axis.above ? x : 480 - x);
    const points = curve(i).map((amount, stand) => `${place(axis, stand).toFixed(1)},${(112 - (104 * amount) / most).toFixed(1)}`);
    element("curve", axis).setAttribute("points", points.join(" "));
  });
}

const percentOf = (count) => `${((100 * count) / data.inputs).toPrecision(3)} %`;
for (const axis of data.axes) {
  element("top", axis).textContent = `${percentOf(most)} of all samples kept`;
  element("half", axis).textContent = percentOf(most / 2);
}
sliders.forEach((slider, i) => slider.addEventListener("input", () => moved(i, Number(slider.value))));
if (sliders.length) {
  document.getElementById("reset").addEventListener("click", () => {
    stands.splice(0, stands.length, ...started);
    away = [];
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
