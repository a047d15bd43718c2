// Look: an image and maps of it, side by side.

import { h, on, pick, fill, choice, slider, number, percent, failure, labelled, tell } from "./dom.js";
import { COLOURS, Screen, drawHeat, drawImage, look, looks, outline, scaleOf, stroke, valueAt } from "./paint.js";
import { lineChart, TINTS } from "./chart.js";
import { MethodForm } from "./forms.js";
import { Lines } from "./lines.js";
import { savePng, saveSvg } from "./save.js";
import { state, chooseFrame, frames, className, settled } from "./state.js";
import { s } from "./dom.js";

const cards = [];
let image, lines, grid, target, objective, add, time, profile, shown = null, opened = null;

export function makeLook(section) {
  image = new ImageCard();
  lines = new Lines({ figure, film });
  add = h("button", { class: "button", type: "button", onclick: () => addCard() }, "+ Another map");
  grid = h("div", { class: "cards maps" }, image.box);
  target = pick([], "", (v) => { state.target = v === "" ? null : +v; askAll(); }, { id: "target" });
  objective = h("input", { type: "text", class: "code", placeholder: "the class's score", id: "objective", list: "objectives", onchange: askAll });
  time = timeRow();
  const tools = toolbar(), none = h("p", { class: "panel" });
  section.append(tools, none, grid, time.box, lines.box, h("datalist", { id: "objectives" }));
  on("room", () => {
    fill(target, [["", "as predicted"], ...state.room.classes.slice(0, 2000).map((c, k) => [k, c])], "");
    state.target = null;
    document.getElementById("objectives").replaceChildren(...state.room.objectives.map((o) => h("option", { value: `${o}()` })));
    while (cards.length) cards.pop().close();
    add.disabled = !state.room.attributions.length;
    tools.hidden = add.disabled;
    none.hidden = !add.disabled;
    none.textContent = `${state.room.address} gives labels only: there is no score to explain.`;
    const usual = ["GradCAM", "Gradient"]; // of series first what has frames of its own
    for (const name of (state.room.shape.length > 3 ? usual.reverse() : usual).filter((n) => state.room.attributions.some((f) => f.name === n))) addCard(name);
    if (!cards.length && !add.disabled) addCard(state.room.attributions.find((f) => f.name === "Occlusion")?.name);
  });
  on("image", () => { if (state.seen) { image.draw(); time.draw(); if (state.view === "look") askAll(); else opened = null; } });
  on("view", () => { if (state.view === "look" && state.seen && opened !== state.image) askAll(); });
  on("looks", () => { image.draw(); for (const card of cards) card.draw(); });
  on("frame", () => { image.draw(); for (const card of cards) card.draw(); time.here(); });
}

function toolbar() {
  const opacity = slider("Opacity", { id: "opacity", value: 85, show: (v) => `${v} %`, oninput: (v) => look({ opacity: v / 100 }) });
  const least = slider("Hide below", { value: 0, show: (v) => `${v} %`, oninput: (v) => look({ least: v / 100 }) });
  const box = (name, node) => h("div", {}, h("span", { class: "label" }, name), node);
  return h("div", { class: "panel tools", "aria-label": "How maps are made and drawn", role: "group" },
    h("div", {}, h("label", { htmlFor: "target" }, "Explained class"), target),
    h("div", {}, h("label", { htmlFor: "objective" }, "Explained number"), objective),
    opacity.box, least.box,
    labelled("Colours", pick(COLOURS, looks.colours, (v) => look({ colours: v }))),
    box("Shows", choice("Shows", [["both", "all"], ["for", "for"], ["against", "against"]], "both", (v) => look({ sign: v }))),
    box("Drawn", choice("Drawn", [[false, "over"], [true, "alone"]], false, (v) => look({ alone: v }))),
    box("Scale", choice("Scale", [[false, "each"], [true, "shared"]], false, (v) => look({ shared: v }))),
    h("div", {}, add));
}

function figure() {
  const maps = cards.filter((c) => c.current).map((c) => [c.screen, c.caption()]);
  return { name: `look-${state.image}`, panels: [[image.screen, image.title.textContent], ...maps], charts: time.box.hidden ? [] : [...time.box.querySelectorAll("svg.chart")], keys: Object.keys(state.seen?.value.signals ?? {}).map((n, k) => [n, TINTS[k]]) };
}

// Of a series, its frames with the map over them.
const film = () => (frames() > 1 && shown?.current ? { name: `frames-${state.image}`, act: "film_frames", words: shown.words() } : null);

export function askAll() {
  if (!state.seen) return;
  opened = state.image;
  for (const card of cards) card.ask();
}

function addCard(name = "SmoothGrad") {
  const known = state.room.attributions.map((f) => f.name);
  const card = new MapCard(known.includes(name) ? name : known[0]);
  cards.push(card);
  grid.append(card.box);
  if (state.seen && state.view === "look") card.ask();
  add.disabled = cards.length >= 8;
}

class ImageCard {
  constructor() {
    this.screen = new Screen("The image", { read: (x, y) => (state.seen ? `${valueAt(state.seen.x, x, y, state.frame, true)} at ${x}, ${y}` : "") });
    this.facts = h("div", { class: "facts" });
    this.at = h("small", {});
    this.bars = h("div", { class: "bars" });
    this.screen.told = (text) => (this.at.textContent = text);
    const marks = h("input", { type: "checkbox", checked: true, onchange: () => look({ marks: marks.checked }) });
    this.marks = h("label", { class: "key" }, marks, "Marks");
    this.title = h("h3", {}, "Image");
    const save = h("button", { class: "quiet", type: "button", onclick: () => savePng(`look-${this.title.textContent}`, [[this.screen, this.title.textContent], ...cards.filter((c) => c.current).map((c) => [c.screen, c.caption()])]) }, "Save all");
    this.box = h("article", { class: "card", "aria-label": "The image" }, h("header", {}, this.title, this.marks, save), this.screen.box, this.at, this.bars, this.facts);
  }

  draw() {
    if (!state.seen) return;
    const { value, x } = state.seen;
    drawImage(this.screen.canvas, x, state.frame);
    this.title.textContent = value.name;
    const drawn = marksOf(state.seen);
    this.screen.marks.replaceChildren(...(looks.marks ? drawn.map((m) => m.node) : []));
    this.marks.hidden = !drawn.length;
    this.bars.replaceChildren(...bars(value));
    const groups = Object.entries(value.groups ?? {}).filter(([, v]) => v !== "").map(([k, v]) => `${k}: ${v}`);
    this.bars.title = state.room.kind === "maps" ? "of which share of the positions the network says it" : "how likely the network finds each class";
    const label = value.label >= 0 && state.room.kind === "classes" ? `label: ${className(value.label)}` : "";
    this.facts.replaceChildren(h("p", {}, [label, ...groups].filter(Boolean).join(" · ")), value.told ? h("p", {}, value.told) : "", h("p", { class: "row" }, drawn.filter((m) => m.text).map((m) => key(m.text, m.tint ?? "currentColor", !m.tint))));
    this.screen.canvas.setAttribute("aria-label", `The image ${value.name}. ${label}`);
    this.screen.drawn();
  }
}

// What is drawn over an image: masks, what a network says of positions, boxes.
export function marksOf({ value, mask, said }) {
  const found = [];
  const labels = (a) => [...new Set(a.data)].filter((k) => k > 0).sort();
  if (mask) for (const k of labels(mask)) found.push({ node: stroke(outline(mask, k), "#fff", "4 3") });
  if (mask) if (found[0]) found[0].text = "as the data have it";
  if (said) for (const k of labels(said)) found.push({ node: stroke(outline(said, k), TINTS[(k - 1) % 6]), tint: TINTS[(k - 1) % 6], text: `${className(k)}, as the network says` });
  if ((value.boxes ?? []).some((one) => !one.said)) found.push({ node: s("g"), text: "as the data have it" });
  for (const one of value.boxes ?? []) {
    const [x, y, right, bottom] = one.box;
    const d = `M${x} ${y}H${right}V${bottom}H${x}Z`;
    found.push({ node: stroke(d, one.said ? "#e69f00" : "#fff", one.said ? null : "4 3"), tint: one.said ? "#e69f00" : null, text: one.said ? `${one.name} ${percent(one.p)}` : null });
  }
  return found;
}

function bars(value) {
  return (value.best ?? []).slice(0, 5).flatMap((one) => {
    const bar = h("i", {});
    bar.style.width = `${100 * Math.max(0, Math.min(1, one.p))}%`;
    return [h("span", { class: `name${one.class === value.label ? " own" : ""}`, title: one.name }, one.name), h("span", { class: "track" }, h("span", { class: "bar now one" }, bar)), h("span", {}, state.room.access === "labels" ? "" : state.room.kind === "classes" || one.p <= 1 ? percent(one.p) : number(one.p))];
  });
}

let count = 0;
class MapCard {
  constructor(name) {
    this.slot = `map${++count}`;
    this.form = new MethodForm("Method", state.room.attributions, state.room.layers, name, () => this.ask());
    this.screen = new Screen("Map", { read: (x, y) => (this.found ? `${valueAt(this.heat, x, y, state.frame)} at ${x}, ${y}` : "") });
    this.at = h("small", {});
    this.screen.told = (text) => (this.at.textContent = text);
    this.facts = h("div", { class: "facts" });
    this.badge = h("span", { class: "badge" }, "sanity not known yet");
    this.form.select.classList.add("grow");
    const save = h("button", { class: "quiet", type: "button", "aria-label": "Save this map as PNG", onclick: () => this.current && savePng(`${state.seen.value.name}-${this.found.method}`, [[this.screen, this.caption()]]) }, "PNG");
    const shut = h("button", { class: "quiet", type: "button", "aria-label": "Remove this map", onclick: () => this.close() }, "✕");
    this.box = h("article", { class: "card", "aria-label": "A map", onfocusin: () => this.front(), onpointerdown: () => this.front() }, h("header", {}, this.form.select, save, shut), this.screen.box, this.at, h("div", {}, this.badge), this.facts, this.form.details);
  }

  words() { return { model: state.model, image: state.image, method: this.form.value, target: state.target ?? null, objective: objective.value.trim() }; }

  // Whether the map is of the image that is shown.
  get current() { return Boolean(this.found && this.image === state.seen?.id); }

  busy(yes) {
    this.box.ariaBusy = String(yes);
    if (shown === this) lines.box.ariaBusy = String(yes);
  }

  async ask() {
    if (!settled()) return; // when the image is there it is asked for
    const image = state.image;
    this.busy(true);
    try {
      const passes = (n) => this.screen.veil(`${n} passes so far`);
      const { value, arrays } = await state.wire.ask(this.slot, "explain", this.words(), { passes });
      if (image !== state.image) return;
      this.busy(false);
      this.found = value;
      this.image = image;
      this.heat = arrays.heat;
      this.top = scaleOf(arrays.heat);
      this.draw();
      if (looks.shared) tell("looks");
      if (!shown || !cards.includes(shown) || shown === this) this.front(true);
      this.sanity();
    } catch (error) {
      this.found = null;
      this.screen.veil("");
      this.busy(false);
      this.screen.canvas.width = this.screen.canvas.width;
      this.facts.replaceChildren(failure(error));
      this.badge.hidden = true;
    }
  }

  draw() {
    if (!this.current) return;
    const top = looks.shared ? Math.max(...cards.filter((c) => c.current).map((c) => c.top)) : this.top;
    drawHeat(this.screen.canvas, state.seen.x, this.heat, top, state.frame);
    this.screen.drawn();
    const { low, high, score, layers, computed, cost, name } = this.found;
    const range = low || high ? ["from ", h("b", {}, number(low)), " to ", h("b", {}, number(high))] : [h("b", {}, "no positive evidence")];
    const where = layers ? ` · ${layers.length > 1 ? `${layers.length} layers` : layers[0]} (${computed.join("x")})` : "";
    const spent = `${cost.forward ?? 0} forward${cost.backward ? `, ${cost.backward} backward` : ""}`;
    this.facts.replaceChildren(h("p", {}, `${name}, ${number(score)}: `, ...range, where), h("p", {}, spent));
    this.screen.canvas.setAttribute("aria-label", this.screen.name = `Map by ${this.found.method} of ${name}, from ${number(low)} to ${number(high)}`);
  }

  async sanity() {
    const words = { model: state.model, method: this.form.value, objective: objective.value.trim() };
    this.badge.hidden = false;
    if (this.badged === this.form.value + words.objective) return;
    this.badge.className = "badge";
    this.badge.textContent = "sanity not known yet";
    try {
      const { value } = await state.wire.ask(`${this.slot}-badge`, "badge", words, { idle: true });
      this.badged = this.form.value + words.objective;
      this.badge.className = `badge ${value.verdict}`;
      this.badge.textContent = value.text;
      this.badge.title = `${value.n} images, their maps beside those of ${value.against}`;
      this.told = value.brief;
    } catch (error) { this.badge.textContent = `sanity not known: ${error.message}`; }
  }

  caption() { return `${this.found.method}: ${this.found.name}, ${number(this.found.low)} to ${number(this.found.high)}${this.told ? ` (${this.told})` : ""}`; }

  // The card whose lines are shown.
  front(now = false) {
    if (!this.found || (shown === this && !now)) return;
    shown = this;
    lines.box.ariaBusy = this.box.ariaBusy;
    lines.show(this.found);
    time.draw();
  }

  close() {
    state.wire.drop(this.slot);
    cards.splice(cards.indexOf(this) >>> 0, 1);
    this.box.remove();
    add.disabled = false;
  }
}

// Of a series: which frame, the signal of each region and the map's share of each frame.
function timeRow() {
  const range = slider("Frame", { id: "frame", min: 1, max: 2, value: 1, oninput: (v) => chooseFrame(v - 1) });
  const charts = h("div", { class: "charts" }), save = h("button", { class: "quiet", type: "button", onclick: () => [...charts.querySelectorAll("svg.chart")].forEach((c, k) => saveSvg(["signal", "profile"][k], c)) }, "SVG");
  const box = h("div", { class: "panel", hidden: true }, h("div", { class: "row" }, range.box, save), charts);
  const draw = () => {
    box.hidden = frames() < 2;
    if (box.hidden) return;
    range.node.max = frames();
    const x = [...Array(frames()).keys()].map((k) => k + 1), parts = [];
    const signals = Object.entries(state.seen.value.signals ?? {});
    if (signals.length) parts.push(h("figure", {}, h("figcaption", { class: "row" }, signals.map(([name], k) => key(name, TINTS[k]))), lineChart({ x, top: null, axis: "frame", label: "Brightness over time", high: 150, lines: signals.map(([, values], k) => ({ values, tint: TINTS[k] })) })));
    const values = shown?.current && shown.found.profile;
    if (values) parts.push(h("figure", {}, h("figcaption", { class: "key" }, `share of the map in each frame: ${shown.found.method}`), lineChart({ x, top: null, axis: "frame", label: "The map's share in each frame", high: 150, bars: true, lines: [{ values, tint: TINTS[1] }] })));
    charts.replaceChildren(...parts);
    here();
  };
  const here = () => { range.set(state.frame + 1); for (const svg of charts.querySelectorAll("svg.chart")) svg.here(state.frame + 1); };
  return { box, draw, here };
}

export function key(text, tint, dash = false) {
  const line = s("line", { x1: 0, x2: 18, y1: 5, y2: 5, stroke: tint, "stroke-width": 2.5, "stroke-dasharray": dash ? "4 3" : null });
  return h("span", { class: "key" }, s("svg", { width: 18, height: 10, "aria-hidden": "true" }, line), text);
}
