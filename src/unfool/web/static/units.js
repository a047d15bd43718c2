// Units: what fires them most, the part of the image they see, and what they like best.

import { h, pick, fill, choice, number, percent, labelled } from "./dom.js";
import { Task } from "./task.js";
import { squareOf } from "./picker.js";
import { pictured } from "./save.js";
import { state, chooseImage } from "./state.js";

const KEEP = 9;

export class Units {
  constructor(lines) {
    this.lines = lines;
    this.all = false;
    this.start = 0;
    this.task = new Task("units", () => this.load());
    this.one = new Unit(lines, (c) => this.open(c));
    this.layer = pick([], "", () => { this.start = 0; this.load(); });
    this.count = h("input", { type: "number", min: 20, max: 2000, step: 1, placeholder: "usual", onchange: () => this.load() });
    const which = choice("Which units", [[false, "stand out"], [true, "all"]], false, (v) => { this.all = v; this.start = 0; this.load(); });
    this.back = h("button", { class: "button", type: "button", "aria-label": "Earlier units", onclick: () => this.turn(-1) }, "‹");
    this.on = h("button", { class: "button", type: "button", "aria-label": "Later units", onclick: () => this.turn(1) }, "›");
    this.told = h("p", { class: "soft", "aria-live": "polite" });
    this.grid = h("div", { class: "units" });
    const head = h("div", { class: "row end" }, labelled("Layer", this.layer), labelled("Images looked at", this.count), h("div", {}, h("span", { class: "label" }, "Units that"), which), h("div", { class: "row" }, this.back, this.on));
    this.box = h("div", { class: "stack" }, h("div", { class: "panel stack" }, h("h2", {}, "Units"), head, this.task.box, this.told, this.grid), this.one.box);
  }

  room() { this.seen = this.value = null; this.start = 0; this.grid.replaceChildren(); this.told.textContent = ""; this.one.clear(); fill(this.layer, [["", "the last"], ...state.room.layers], ""); }
  show() { if (this.seen !== state.model) this.load(); else if (this.value) this.lines.show(this.value); }
  words() { return { model: state.model, layer: this.layer.value, limit: Math.round(+this.count.value) || 0 }; }
  figure() {
    const all = pictured(this.grid), one = this.one.box.hidden ? [] : pictured(this.one.box);
    return { name: `units-${this.layer.value}`, panels: one.length ? one : all, told: [one.length ? this.one.title.textContent : this.told.textContent] };
  }
  film() { return this.one.film(); }
  turn(way) { this.start = Math.max(0, this.start + 24 * way); this.load(); }

  async load() {
    this.seen = state.model;
    const found = await this.task.run("units", { ...this.words(), all: this.all, start: this.start }, { what: "the images are being looked at" });
    if (!found) { this.seen = null; return; }
    const { value, arrays } = found, last = value.start + value.units.length;
    this.layer.value = value.layer;
    this.back.disabled = !value.start;
    this.on.disabled = last >= value.listed;
    const size = value.sees.join() === value.space.join() ? "the whole image" : `${value.sees.join("x")} of ${value.space.join("x")} pixels`;
    this.told.textContent = `${value.layer} has ${value.total} units, each sees ${size}; ${value.dead} of them fire for none of ${value.images} images. ${this.all ? `${value.start + 1} to ${last}` : "Shown are those whose best images stand out most"}; each with its ${KEEP} strongest places.`;
    const control = h("figure", {}, mosaic(arrays.random, 0, arrays.random.shape[0], "Random places of random images"), h("figcaption", {}, h("b", {}, "control"), " random places"));
    this.grid.replaceChildren(control, ...value.units.map((one, k) => this.card(one, arrays.patches, k * one.patches.length)));
    this.lines.show((this.value = value));
  }

  card(one, patches, at) {
    const labels = Object.entries(Object.groupBy(one.patches, (p) => p.label)).sort((a, b) => b[1].length - a[1].length);
    const most = labels[0]?.[0] ? `${labels[0][1].length} of ${one.patches.length}: ${labels[0][0]}` : "";
    const name = `Unit ${one.channel}, up to ${number(one.best)}${one.dead ? ", never fires" : ""}`;
    return h("button", { class: "unit", type: "button", "data-channel": one.channel, "aria-label": name, "aria-pressed": "false", onclick: () => this.open(one.channel) },
      mosaic(patches, at, one.patches.length, ""), h("span", {}, h("b", {}, one.channel), one.dead ? " never fires" : ` ${number(one.best)}`), h("small", {}, most));
  }

  open(c) {
    for (const node of this.grid.querySelectorAll(".unit")) node.setAttribute("aria-pressed", String(+node.dataset.channel === c));
    return this.one.open(c, this.words());
  }
}

// Some squares of an array in three columns.
function mosaic(array, from, count, name) {
  const [, side] = array.shape.slice(1), gap = 2, canvas = h("canvas", name ? { role: "img", "aria-label": name } : { "aria-hidden": "true" });
  canvas.width = canvas.height = 3 * side + 2 * gap;
  const c = canvas.getContext("2d");
  for (let k = 0; k < Math.min(9, count); k++) c.drawImage(squareOf(array, from + k), (k % 3) * (side + gap), Math.floor(k / 3) * (side + gap));
  return canvas;
}

class Unit {
  constructor(lines, open) {
    this.lines = lines;
    this.others = open;
    this.task = new Task("unit", () => this.open(this.channel, this.asked));
    this.title = h("h2", { tabIndex: -1 });
    this.body = h("div", { class: "stack" });
    this.method = pick(["Maximise()"], "Maximise()", () => {}, { id: "draw-by" });
    this.drawing = new Task("draw-unit", () => this.draw());
    this.drawn = h("div", { class: "stack" });
    this.make = h("div", { class: "stack", hidden: true }, h("h3", {}, "What it likes best"),
      h("div", { class: "row end" }, h("div", { class: "search" }, h("label", { htmlFor: "draw-by" }, "Search"), this.method), h("button", { class: "button main", type: "button", onclick: () => this.draw() }, "Draw it")), this.drawing.box, this.drawn);
    this.box = h("div", { class: "panel stack", hidden: true }, this.title, this.task.box, this.body, this.make);
  }

  clear() { this.box.hidden = this.make.hidden = true; this.body.replaceChildren(); this.drawn.replaceChildren(); }

  async open(c, words) {
    this.channel = c;
    this.asked = words;
    this.box.hidden = false;
    this.title.textContent = `${words.layer}:${c}`;
    this.drawn.replaceChildren();
    const found = await this.task.run("unit", { ...words, channel: c }, { idle: false });
    if (!found) return;
    const { value, arrays } = found;
    this.title.textContent = `Unit ${value.layer}:${c}`;
    fill(this.method, value.presets, this.method.value);
    this.make.hidden = false;
    const row = (name, array, told) => h("div", {}, h("h3", {}, name), h("div", { class: "near wide-near" }, value.patches.map((p, k) => (k < array.shape[0] ? told(p, squareOf(array, k)) : null))));
    const image = (p, canvas) => h("figure", {}, h("button", { class: "thumb", type: "button", title: p.id, "aria-label": `${p.id}, ${p.label}, ${number(p.value)}`, onclick: () => chooseImage(p.id) }, canvas, p.label ? h("span", {}, p.label) : null), number(p.value));
    this.body.replaceChildren(
      h("p", { class: "soft" }, value.dead ? `It fires for none of ${value.images} images.` : `It fires for ${value.live} of ${value.images} images; at most ${number(value.best)}, ${number(value.mean)} on average.`),
      row("Its strongest images, and the part it sees", arrays.images, image),
      row("That part alone", arrays.patches, (p, canvas) => h("figure", {}, named(canvas, `Seen in ${p.id}`))),
      arrays.fired.shape[0] ? row("What fired it there, by the deconvnet", arrays.fired, (p, canvas) => h("figure", {}, named(canvas, `What fired it in ${p.id}`))) : h("small", {}, "Its network has no rectifiers to be turned round, so that there is no projection."),
      this.words(value));
    this.lines.show(value);
    this.title.focus({ preventScroll: true });
    this.box.scrollIntoView({ block: "nearest" });
  }

  words(value) {
    const peak = Math.max(...value.profile.map((p) => Math.abs(p.mean)), 1e-12);
    const bars = value.profile.flatMap((p) => {
      const bar = h("i", {});
      bar.style.width = `${(100 * Math.max(0, p.mean)) / peak}%`;
      return [h("span", { class: "name" }, p.name), h("span", { class: "track" }, h("span", { class: "bar now one" }, bar)), h("span", {}, number(p.mean))];
    });
    const alike = value.alike.map((one) => h("button", { class: "button", type: "button", onclick: () => this.others(one.channel) }, `${one.channel} (${number(one.r)})`));
    const span = ([mean, low, high]) => `${number(mean)} [${number(low)}, ${number(high)}]`;
    const without = value.without && h("p", {}, `Without it the predicted class of its ${value.without.own[3]} images loses ${span(value.without.own)} of its log-probability; without unit ${value.without.rival}, drawn at random as the control, ${span(value.without.other)}.`);
    return h("div", { class: "charts" },
      h("div", { class: "stack" }, h("h3", {}, "Classes whose images fire it most"), bars.length ? h("div", { class: "bars" }, bars) : h("small", {}, "the data have no labels")),
      h("div", { class: "stack" }, h("h3", {}, "Units most like it (correlation)"), h("div", { class: "row" }, alike), without || h("small", {}, "Nothing after this layer tells classes.")));
  }

  film() {
    const words = { ...this.asked, channel: this.channel, method: this.method.value };
    return this.drawn.firstChild ? { name: `ascent-${this.asked.layer}-${this.channel}`, act: "film_ascent", words } : null;
  }

  async draw() {
    this.drawn.replaceChildren();
    const found = await this.drawing.run("draw_unit", { ...this.asked, channel: this.channel, method: this.method.value }, { what: "being drawn" });
    if (!found) return;
    const { value, arrays } = found;
    const agree = value.times === null ? "it never fires for real images" : `${number(value.times)} times the best real image${value.times < 1 ? ": the search has not found what it likes" : ""}`;
    const names = ["as large as the images", "the part that the middle sees", `the nearest real one, ${value.near}`];
    this.drawn.replaceChildren(
      h("div", { class: "near drawn" }, names.map((name, k) => h("figure", {}, named(squareOf(arrays.pictures, k), name), h("figcaption", {}, name)))),
      h("p", {}, `It reaches ${number(value.value)}: ${agree}; plain noise reaches ${number(value.noise)}, the control. The network takes it for ${value.label} (${percent(value.sure)}). The nearest real image is ${number(value.distance)} away, real ones are ${number(value.usual)} from theirs.`));
    this.lines.show(value);
  }
}

function named(canvas, name) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  return canvas;
}
