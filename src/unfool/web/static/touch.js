// Touch: change an image, by an attack or by hand, and see what follows.

import { h, on, pick, fill, choice, slider, number, percent, failure, labelled, soon, still, write } from "./dom.js";
import { Screen, drawChange, drawHeat, drawImage, looks, scaleOf, valueAt } from "./paint.js";
import { Bars } from "./bars.js";
import { lineChart, TINTS } from "./chart.js";
import { MethodForm } from "./forms.js";
import { Lines } from "./lines.js";
import { Pen } from "./pen.js";
import { Cue } from "./cue.js";
import { savePng, saveSvg } from "./save.js";
import { key } from "./look.js";
import { state, className } from "./state.js";

let cue, form, map, norm, aim, eps, exact, fillWith, mode, random, pen, lines, verdict, bars, chart, legend, side, busy, dial, right, other;
let found = null, before = null, curve = null, asked = "";
const screens = {};

export function makeTouch(section) {
  side = h("div", { class: "panel stack" });
  lines = new Lines({ figure, film });
  verdict = h("p", { class: "verdict", "aria-live": "polite" });
  bars = new Bars();
  dial = h("div", { class: "row end" });
  chart = h("div", {});
  legend = h("div", { class: "row" });
  busy = h("small", {});
  const cards = h("div", { class: "cards six" }, ["image", "change", "changed", "random", "before", "after"].map(card));
  pen = new Pen(screens.image.screen, drawn);
  cue = new Cue(pen, drawn, (value) => lines.show(value));
  other = h("span", {}, "at random");
  const keys = h("p", { class: "row" }, h("span", { class: "key" }, h("i"), "as it is"), h("span", { class: "key" }, h("i", { class: "now" }), "changed"), h("span", { class: "key" }, h("i", { class: "random" }), other));
  const curves = h("div", { class: "panel stack" }, h("div", { class: "row" }, h("h2", { class: "grow" }, "Over the size of the change"), h("button", { class: "quiet", type: "button", onclick: () => chart.firstChild && saveSvg("curve", chart.firstChild) }, "SVG")), legend, chart);
  const said = h("div", { class: "panel stack" }, verdict, dial, keys, bars.box, busy);
  right = h("div", {}, said, cards, cue.result, curves, lines.box);
  section.append(h("div", { class: "two" }, side, right));
  on("room", build);
  on("image", fresh);
  on("view", () => { if (state.view === "touch" && asked !== keyOf()) fresh(); });
  on("looks", drawMaps);
  on("frame", draw);
}

const TITLES = { image: "Image", change: "The change", changed: "Changed", random: "Changed at random", before: "Map of the image", after: "Map of the changed" };

function card(name) {
  const at = h("small", {}), note = h("div", { class: "facts" }), title = h("h3", {}, TITLES[name]);
  const screen = new Screen(TITLES[name], { read: (x, y) => readAt(name, x, y) });
  screen.told = (text) => (at.textContent = text);
  const save = h("button", { class: "quiet", type: "button", "aria-label": `Save ${TITLES[name]} as PNG`, onclick: () => savePng(`${name}-${state.image}`, [[screen, `${TITLES[name]}: ${note.textContent}`]]) }, "PNG");
  const box = h("article", { class: "card", "aria-label": TITLES[name] }, h("header", {}, title, save), screen.box, at, note);
  screens[name] = { screen, note, box, title };
  return box;
}

function figure() {
  const panels = Object.values(screens).filter((one) => !one.box.hidden && one.screen.canvas.width > 1).map((one) => [one.screen, `${one.title.textContent}. ${one.note.textContent}`]);
  return { name: `touch-${state.image}`, panels, charts: chart.firstChild ? [chart.firstChild] : [], keys: (curve?.names ?? []).map((n, k) => [n, TINTS[k]]), told: [verdict.textContent, legend.querySelector("small")?.textContent ?? "", random?.textContent ?? ""].filter(Boolean) };
}

// The image while the change grows, beside a random one.
const film = () => (form && found && !found.hidden ? { name: `sizes-${state.image}`, act: "film_sizes", words: { ...words(), most: most() }, arrays: drawing() } : null);

function readAt(name, x, y) {
  const array = { image: state.seen?.x, changed: found?.x, random: found?.random, before: before?.heat, after: found?.heat }[name];
  if (name === "change" && found?.x) return `${number(+valueAt(found.x, x, y, state.frame, true).split(", ")[0] - +valueAt(state.seen.x, x, y, state.frame, true).split(", ")[0])} at ${x}, ${y}`;
  return array ? `${valueAt(array, x, y, state.frame, name === "image" || name === "changed" || name === "random")} at ${x}, ${y}` : "";
}

function build() {
  found = before = curve = null;
  asked = "";
  right.hidden = !state.room.attacks.length;
  if (!state.room.attacks.length) {
    side.replaceChildren(h("p", {}, `${state.room.address} tells boxes: there is no class of the whole image to lead away from.`), h("small", {}, "unfool inspect hiding attacks it."));
    form = null;
    dial.replaceChildren();
    return;
  }
  const usual = state.room.attacks.some((f) => f.name === "FGSM") ? "FGSM" : state.room.attacks[0].name;
  form = new MethodForm("Attack", state.room.attacks, state.room.layers, usual, () => { norms(); fresh(); });
  const known = state.room.attributions.map((f) => f.name);
  map = pick([["", "none"], ...known], known.includes("GradCAM") ? "GradCAM" : "", () => { before = null; fresh(); }, { id: "touch-map" });
  norm = pick([], "", () => { size(); fresh(); }, { id: "norm" });
  aim = pick([["", "away from the label"], ...state.room.classes.slice(0, 2000).map((c, k) => [k, `towards ${c}`])], "", fresh, { id: "aim" });
  eps = slider("Size of the change", { id: "eps", value: 0, show: () => number(sizeNow()), oninput: () => move() });
  exact = h("input", { type: "text", id: "exact", inputMode: "decimal", onchange: typed });
  fillWith = pick([["around", "what is around it"], ["mean", "its mean"], ["blur", "a blur"], ["zero", "black"], ["noise", "noise"]], "mean", () => drawn(), { id: "fill" });
  mode = "hide";
  random = h("small", {});
  const use = choice("What is drawn", [["hide", "is hidden"], ["keep", "may change"]], "hide", (m) => { mode = m; drawn(); });
  side.replaceChildren(
    h("h2", {}, "An attack"), form.box,
    labelled("Leads", aim), labelled("Map", map), h("button", { class: "button", type: "button", onclick: stop }, "Stop"),
    h("h2", {}, "By hand"), h("small", {}, "Draw on the image: an occluder, or where the attack may go."), pen.box, h("div", {}, h("span", { class: "label" }, "What is drawn"), use), labelled("filled with", fillWith), random, cue.side);
  eps.box.classList.add("long");
  dial.replaceChildren(eps.box, labelled("as a number", exact), labelled("in", norm));
  norms();
}

function norms() {
  const names = form.form?.norms ?? ["Linf"];
  const own = names.includes(norm.value) ? norm.value : names.includes(state.room.region) ? state.room.region : names[0];
  fill(norm, names, own);
  if (norm.dataset.of !== own) size();
}

// The largest size the slider reaches; the slider is quadratic, so that small changes have room.
function most() {
  const n = state.room.shape.reduce((a, b) => a * b, 1), places = n / state.room.shape[0];
  return { Linf: 0.4, L2: 0.15 * Math.sqrt(n), L1: 0.03 * n, L0: Math.max(1, Math.round(0.05 * places)) }[norm.value];
}
function sizeNow() {
  const size = most() * (+(eps?.node.value ?? 0) / 100) ** 2;
  return norm.value === "L0" ? Math.round(size) : Number(size.toPrecision(4));
}
function size() {
  norm.dataset.of = norm.value;
  const usual = norm.value === state.room.region ? state.room.eps : most() / 4;
  eps.set(100 * Math.sqrt(usual / most()));
  exact.value = number(sizeNow());
}
function typed() {
  const [a, b] = exact.value.split("/").map(Number), value = b ? a / b : a;
  if (!(value >= 0)) { exact.value = number(sizeNow()); return; }
  eps.set(Math.min(100, 100 * Math.sqrt(value / most())));
  eps.node.dataset.exact = value;
  ask(value);
}
export function nudge(way) {
  if (!form) return false;
  eps.set(Math.max(0, Math.min(100, +eps.node.value + way)));
  move();
}
function move() { exact.value = number(sizeNow()); ask(sizeNow()); }

const words = () => ({ model: state.model, image: state.image, attack: form.value, norm: norm.value, target: aim.value === "" ? null : +aim.value });
const keyOf = () => `${state.model} ${state.image}`;
const drawing = () => (pen.any() ? { mask: pen.mask() } : {});

// Another image, attack, goal or norm: everything anew.
function fresh() {
  if (state.view !== "touch" || !state.seen || !form) return;
  if (asked !== keyOf()) pen.fit(state.seen.x.shape);
  asked = keyOf();
  found = curve = null;
  chart.replaceChildren();
  legend.replaceChildren(h("small", {}, "being worked out"));
  draw();
  if (cue.on) return stamped();
  if (pen.any() && mode === "hide") return hide();
  ask(sizeNow());
  mapBefore();
  askCurve();
}

async function ask(value) {
  if (cue.on || pen.any() && mode === "hide") return;
  const image = keyOf(), passes = (n) => (busy.textContent = `${n} passes so far`);
  try {
    const answer = await state.wire.ask("touch", "attack", { ...words(), eps: value, method: map.value ? `${map.value}()` : "" }, { hold: true, arrays: drawing(), passes });
    if (image !== keyOf()) return;
    const { arrays } = answer;
    found = { ...answer.value, x: arrays.x ?? state.seen.x, random: arrays.random ?? state.seen.x, heat: arrays.heat ?? before?.heat };
    if (found.python) lines.show(found);
    drawSoon();
  } catch (error) { refuse(error); }
}

function refuse(error) {
  busy.textContent = "";
  verdict.replaceChildren(failure(error));
  bars.clear();
}

async function mapBefore() {
  if (!map.value || (before && before.key === keyOf() + map.value)) return drawMaps();
  try {
    const key = keyOf() + map.value;
    const { value, arrays } = await state.wire.ask("before", "explain", { model: state.model, image: state.image, method: `${map.value}()` });
    before = { key, heat: arrays.heat, top: scaleOf(arrays.heat), value };
    drawMaps();
  } catch { before = null; }
}

async function askCurve() {
  try {
    const { value, arrays } = await state.wire.ask("curve", "curve", { ...words(), most: most() }, { idle: true, arrays: mode === "keep" ? drawing() : {} });
    curve = { ...value, ...arrays };
    drawCurve();
  } catch (error) { legend.replaceChildren(failure(error)); }
}

function stop() {
  for (const slot of ["touch", "curve", "before", "hide"]) state.wire.drop(slot);
  busy.textContent = "stopped";
  if (!curve) legend.replaceChildren(h("small", {}, "stopped"));
}

// Something was drawn, or is to be used otherwise.
function drawn() {
  if (!form || !state.seen) return;
  if (cue.on) return stamped();
  if (pen.any() && mode === "hide") return hide();
  fresh();
}

async function hide() {
  try {
    const { value, arrays } = await state.wire.ask("hide", "hide", { model: state.model, image: state.image, fill: fillWith.value }, { hold: true, arrays: drawing() });
    found = { ...value, x: arrays.x, hidden: true };
    lines.show(value);
    draw();
  } catch (error) { refuse(error); }
}

async function stamped() {
  const image = keyOf();
  try {
    const { value, arrays } = await state.wire.ask("hide", "stamp", { model: state.model, image: state.image, from: cue.held.from }, { hold: true, arrays: cue.arrays() });
    if (image !== keyOf()) return;
    found = { ...value, x: arrays.x, hidden: true, cue: true };
    lines.show(value);
    draw();
  } catch (error) { refuse(error); }
}

const drawSoon = soon(draw);

function draw() {
  if (!state.seen || state.view !== "touch") return;
  const x = state.seen.x, t = state.frame;
  if (!still(screens.image, x, t)) {
    drawImage(screens.image.screen.canvas, x, t);
    screens.image.screen.drawn();
  }
  const by = Boolean(found?.hidden);
  for (const name of ["random", "before", "after"]) screens[name].box.hidden = by || (name !== "random" && !map?.value);
  screens.changed.title.textContent = found?.cue ? "With the cue" : by ? "Hidden" : TITLES.changed;
  if (!found) return;
  drawImage(screens.changed.screen.canvas, found.x, t);
  const { most, gain } = drawChange(screens.change.screen.canvas, x, found.x, t);
  for (const name of ["changed", "change"]) screens[name].screen.drawn();
  screens.change.note.textContent = most ? `drawn ${number(gain * 1)} times as large around grey; at most ${number(most)}` : "nothing is changed";
  tell(by);
  drawMaps();
  chart.firstChild?.here(by ? null : found.eps);
}

function tell(by) {
  const [clean, now, drawn] = found.said ?? [];
  const name = className, sure = (row, k) => percent(found.p[row][found.classes.indexOf(k)] ?? 0);
  const changed = now !== clean;
  write(busy, state.room.kind === "maps" ? "Of a map of scores the mean over its positions counts." : "");
  write(other, by ? `the same ${found.cue ? "cue" : "region"} elsewhere, on average` : "at random");
  verdict.replaceChildren(`${name(clean)} (${sure(0, clean)}) → `, h("em", {}, name(now)), ` (${sure(1, now)})`, changed ? "" : found.cue ? ": the cue does not turn it" : by ? ": it does not depend on this part" : ": not fooled");
  bars.show(found);
  write(screens.image.note, `${name(clean)}, ${sure(0, clean)}`);
  if (by) {
    screens.changed.note.textContent = `${name(now)}, ${sure(1, now)}: ${percent(found.share)} of the image is ${found.cue ? "the cue" : "hidden"}`;
    random.textContent = `The same ${found.cue ? "cue stamped" : "region hidden"} at ${found.elsewhere[1]} random other places changes the answer at ${found.elsewhere[0]} of them.`;
    return;
  }
  write(random, "");
  const size = found.linf === undefined ? "" : `Linf ${number(found.linf)}, L2 ${number(found.l2)}, ${found.l0} places, ${found.queries} passes`;
  const lost = found.success && found.saved === false ? "; lost once saved with 8 bits" : "";
  screens.changed.note.textContent = `${name(now)}, ${sure(1, now)}${lost}. ${size}`;
  drawImage(screens.random.screen.canvas, found.random, state.frame);
  screens.random.screen.drawn();
  screens.random.note.textContent = `${name(drawn)}, ${sure(2, drawn)}: the same size, a random direction`;
}

function drawMaps() {
  if (!state.seen || state.view !== "touch" || !map?.value || found?.hidden) return;
  const both = { before: before && { heat: before.heat, x: state.seen.x, told: before.value }, after: found?.heat && { heat: found.heat, x: found.x, told: found.map ?? before?.value } };
  const top = Math.max(before?.top ?? 0, found?.heat ? scaleOf(found.heat) : 0);
  for (const [name, one] of Object.entries(both)) {
    if (!one || still(screens[name], one.heat, one.x, top, state.frame, Object.values(looks).join())) continue;
    drawHeat(screens[name].screen.canvas, one.x, one.heat, top, state.frame);
    screens[name].screen.drawn();
    const { low, high, name: of } = one.told ?? {};
    screens[name].note.textContent = `${of}: ${low || high ? `from ${number(low)} to ${number(high)}` : "no positive evidence"}`;
  }
}

function drawCurve() {
  const rows = (array, k) => Array.from({ length: curve.sizes.length }, (_, i) => array.data[i * curve.classes.length + k]);
  const lines = curve.classes.flatMap((c, k) => [{ values: rows(curve.random, k), tint: TINTS[k], dash: "4 4" }, { values: rows(curve.attack, k), tint: TINTS[k] }]);
  const svg = lineChart({ x: curve.sizes, lines, squared: true, axis: `size of the change in ${norm.value} (solid: attack, dashed: random)`, label: "Probability of each class over the size of the change", here: found?.eps ?? null });
  svg.addEventListener("click", (e) => { eps.set(100 * Math.sqrt(svg.at(e) / most())); move(); });
  const flip = (v) => (v === null ? `no size up to ${number(curve.sizes.at(-1))}` : number(v));
  legend.replaceChildren(...curve.names.map((n, k) => key(n, TINTS[k])), h("small", {}, `First of ${curve.sizes.length - 1} sizes that flips it: ${flip(curve.flip)}; at random: ${flip(curve.random_flip)}`));
  chart.replaceChildren(svg);
}
