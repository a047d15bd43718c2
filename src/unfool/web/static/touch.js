// Touch: change an image, by an attack or by hand, and see what follows.

import { h, on, pick, fill, choice, slider, number, percent, failure, labelled, soon, still, write } from "./dom.js";
import { Screen, drawChange, drawHeat, drawImage, looks, scaleOf, valueAt } from "./paint.js";
import { Bars, sure as likely } from "./bars.js";
import { Curve } from "./curve.js";
import { MethodForm } from "./forms.js";
import { Lines } from "./lines.js";
import { Pen } from "./pen.js";
import { Cue } from "./cue.js";
import { savePng } from "./save.js";
import { state, className, settled } from "./state.js";

let cue, form, map, norm, aim, eps, exact, fillWith, mode, random, pen, lines, verdict, bars, curve, side, busy, dial, right, other;
let found = null, before = null, asked = "", last = 0, lateness = 0;
const screens = {};

export function makeTouch(section) {
  side = h("div", { class: "panel stack" });
  lines = new Lines({ figure, film });
  verdict = h("p", { class: "verdict", "aria-live": "polite" });
  bars = new Bars();
  dial = h("div", { class: "row end" });
  curve = new Curve((size) => { eps.set(100 * Math.sqrt(size / most())); move(); });
  busy = h("small", {});
  const cards = h("div", { class: "cards six" }, ["image", "change", "changed", "random", "before", "after"].map(card));
  pen = new Pen(screens.image.screen, drawn);
  cue = new Cue(pen, drawn, (value) => lines.show(value));
  other = h("span", {}, "at random");
  const keys = h("p", { class: "row" }, h("span", { class: "key" }, h("i"), "as it is"), h("span", { class: "key" }, h("i", { class: "now" }), "changed"), h("span", { class: "key" }, h("i", { class: "random" }), other));
  const said = h("div", { class: "panel stack" }, verdict, dial, keys, bars.box, busy);
  right = h("div", {}, said, cards, cue.result, curve.box, lines.box);
  section.append(h("div", { class: "two" }, side, right));
  on("room", build);
  on("image", fresh);
  on("view", () => { if (state.view === "touch" && asked !== keyOf()) fresh(); });
  on("looks", drawMaps);
  on("frame", draw);
}

const TITLES = { image: "Image", change: "The change", changed: "Changed", random: "Random change", before: "Map of the image", after: "Map, changed" };

function card(name) {
  const at = h("small", {}), note = h("div", { class: "facts" }), title = h("h3", {}, TITLES[name]);
  const screen = new Screen(TITLES[name], { read: (x, y) => readAt(name, x, y) });
  screen.told = (text) => (at.textContent = text);
  const save = h("button", { class: "quiet", type: "button", "aria-label": `Save ${TITLES[name]} as PNG`, onclick: () => savePng(`${name}-${state.image}`, [[screen, `${TITLES[name]}: ${note.textContent}`]]) }, "PNG");
  const box = h("article", { class: ["image", "before"].includes(name) ? "card" : "card by-size", "aria-label": TITLES[name] }, h("header", {}, title, save), screen.box, at, note);
  screens[name] = { screen, note, box, title };
  return box;
}

function figure() {
  const panels = Object.values(screens).filter((one) => !one.box.hidden && one.screen.canvas.width > 1).map((one) => [one.screen, `${one.title.textContent}. ${one.note.textContent}`]);
  return { name: `touch-${state.image}`, panels, charts: curve.svg ? [curve.svg] : [], keys: curve.keys, told: [verdict.textContent, curve.told, random?.textContent ?? ""].filter(Boolean) };
}

// The image while the change grows, beside a random one.
const film = () => (form && found && !found.hidden ? { name: `sizes-${state.image}`, act: "film_sizes", words: { ...words(), most: most() }, arrays: drawing() } : null);

function readAt(name, x, y) {
  const array = { image: state.seen?.x, changed: found?.x, random: found?.random, before: before?.heat, after: found?.heat }[name];
  if (name === "change" && found?.x) return `${number(+valueAt(found.x, x, y, state.frame, true).split(", ")[0] - +valueAt(state.seen.x, x, y, state.frame, true).split(", ")[0])} at ${x}, ${y}`;
  return array ? `${valueAt(array, x, y, state.frame, name === "image" || name === "changed" || name === "random")} at ${x}, ${y}` : "";
}

function build() {
  found = before = null;
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
const byHand = () => cue.on || (pen.any() && mode === "hide");
const drawing = () => (pen.any() ? { mask: pen.mask() } : {});

// Another image, attack, goal or norm: everything anew.
function fresh() {
  if (state.view !== "touch" || !state.seen || !form) return;
  if (asked !== keyOf()) pen.fit(state.seen.x.shape);
  asked = keyOf();
  found = null;
  if (before?.key !== keyOf() + map.value) before = wiped(screens.before);
  curve.clear("");
  draw();
  if (byHand()) return drawn();
  ask(sizeNow());
  mapBefore();
  curve.ask({ ...words(), most: most() }, mode === "keep" ? drawing() : {});
}

// What an answer must be of to be shown: all that is chosen but the size, the place of what is drawn, or the frame.
const about = () => JSON.stringify([settled() && words(), map.value, cue.on, byHand() && fillWith.value]);

// Something is asked for: gives a call that says whether its answer may be shown, and of how old a wish it is.
function waits() {
  const of = about(), turn = ++last;
  late();
  return () => of === about() && turn;
}

// What is shown is of an older wish: said so where it takes longer than a moment.
function late() {
  clearTimeout(lateness);
  if (found?.turn === last) return right.classList.remove("late");
  lateness = setTimeout(() => {
    right.classList.add("late");
    if (found) return;
    verdict.replaceChildren("Being worked out");
    bars.clear();
    for (const one of Object.values(screens)) write(one.note, "");
  }, 250);
}

function wiped(one) {
  one.screen.canvas.width = one.screen.canvas.width;
  one.of = null;
  return null;
}

async function ask(value) {
  if (byHand() || !settled()) return;
  const turn = waits(), passes = (n) => (busy.textContent = `${n} passes so far`);
  try {
    const answer = await state.wire.ask("touch", "attack", { ...words(), eps: value, method: map.value ? `${map.value}()` : "" }, { hold: Boolean(found), arrays: drawing(), passes });
    if (!turn()) return;
    const { arrays } = answer;
    found = { ...answer.value, turn: turn(), x: arrays.x ?? state.seen.x, random: arrays.random ?? state.seen.x, heat: arrays.heat ?? before?.heat };
    if (found.python) lines.show(found);
    drawSoon();
  } catch (error) { if (turn()) refuse(error); }
}

function refuse(error) {
  busy.textContent = "";
  clearTimeout(lateness);
  verdict.replaceChildren(failure(error));
  bars.clear();
}

async function mapBefore() {
  if (!map.value || (before && before.key === keyOf() + map.value)) return drawMaps();
  try {
    const key = keyOf() + map.value;
    const { value, arrays } = await state.wire.ask("before", "explain", { model: state.model, image: state.image, method: `${map.value}()` });
    if (key !== keyOf() + map.value) return;
    before = { key, heat: arrays.heat, top: scaleOf(arrays.heat), value };
    drawMaps();
  } catch { before = null; }
}

function stop() {
  for (const slot of ["touch", "before", "hide"]) state.wire.drop(slot);
  busy.textContent = "stopped";
  curve.stop();
}

// Something was drawn, or is to be used otherwise.
function drawn() {
  if (!form || !settled()) return;
  if (!byHand()) return fresh();
  return cue.on ? edited("stamp", { from: cue.held.from }, cue.arrays(), true) : edited("hide", { fill: fillWith.value }, drawing(), false);
}

async function edited(act, more, arrays, isCue) {
  const turn = waits();
  try {
    const answer = await state.wire.ask("hide", act, { model: state.model, image: state.image, ...more }, { hold: true, arrays });
    if (!turn()) return;
    found = { ...answer.value, turn: turn(), x: answer.arrays.x, hidden: true, cue: isCue };
    lines.show(answer.value);
    draw();
  } catch (error) { if (turn()) refuse(error); }
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
  late();
  curve.here(by ? null : found.eps);
}

function tell(by) {
  const [clean, now, drawn] = found.said ?? [];
  const name = className;
  const sure = (row, k, form) => { const p = likely(found.p[row][found.classes.indexOf(k)] ?? 0); return p && form(p); };
  const after = (p) => `, ${p}`, within = (p) => ` (${p})`;
  const changed = now !== clean;
  write(busy, state.room.kind === "maps" ? "Of a map of scores the mean over its positions counts." : "");
  write(other, by ? `the same ${found.cue ? "cue" : "region"} elsewhere, on average` : "at random");
  verdict.replaceChildren(`${name(clean)}${sure(0, clean, within)} → `, h("em", {}, name(now)), sure(1, now, within), changed ? "" : found.cue ? ": the cue does not turn it" : by ? ": it does not depend on this part" : ": not fooled");
  bars.show(found);
  write(screens.image.note, `${name(clean)}${sure(0, clean, after)}`);
  if (by) {
    screens.changed.note.textContent = `${name(now)}${sure(1, now, after)}: ${percent(found.share)} of the image is ${found.cue ? "the cue" : "hidden"}`;
    random.textContent = `The same ${found.cue ? "cue stamped" : "region hidden"} at ${found.elsewhere[1]} random other places changes the answer at ${found.elsewhere[0]} of them.`;
    return;
  }
  write(random, "");
  const size = found.linf === undefined ? "" : `Linf ${number(found.linf)}, L2 ${number(found.l2)}, ${found.l0} places, ${found.queries} passes`;
  const lost = found.success && found.saved === false ? "; lost once saved with 8 bits" : "";
  screens.changed.note.textContent = `${name(now)}${sure(1, now, after)}${lost}. ${size}`;
  drawImage(screens.random.screen.canvas, found.random, state.frame);
  screens.random.screen.drawn();
  screens.random.note.textContent = `${name(drawn)}${sure(2, drawn, after)}: the same size, a random direction`;
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
