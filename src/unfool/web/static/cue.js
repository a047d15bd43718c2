// A suspected cue: taken from an image, stamped on others, and counted over the data beside its controls.

import { h, on } from "./dom.js";
import { plane, pixels } from "./paint.js";
import { Task } from "./task.js";
import { download } from "./save.js";
import { squareOf } from "./picker.js";
import { state } from "./state.js";

const NAMES = { cue: "with the cue", elsewhere: "the same cue elsewhere", "other pixels": "other pixels in its place", scattered: "as many pixels anywhere" };
const OUT = { cue: "without the cue", elsewhere: "without the same shape elsewhere", scattered: "without as many pixels anywhere" };

export class Cue {
  // pen: what is drawn; changed(): stamping was turned on or off; told(value): lines to show.
  constructor(pen, changed, told) {
    this.pen = pen;
    this.changed = changed;
    this.told = told;
    this.on = false;
    this.canvas = h("canvas", { class: "cue", role: "img", "aria-label": "The cue", hidden: true });
    this.said = h("small", {}, "Draw around what you suspect, and take it.");
    this.take = h("button", { class: "button", type: "button", onclick: () => this.taken() }, "Take what is drawn");
    this.stamp = h("button", { class: "button", type: "button", "aria-pressed": "false", disabled: true, onclick: () => this.turn(!this.on) }, "Stamp it on this image");
    this.count = h("button", { class: "button", type: "button", disabled: true, onclick: () => this.counted() }, "Count over the data");
    this.save = h("button", { class: "button", type: "button", disabled: true, title: "cue.png", onclick: () => this.saved() }, "Save");
    this.task = new Task("cue", () => this.counted());
    this.side = h("div", { class: "stack" }, h("h2", {}, "A suspected cue"), this.said, this.canvas, h("div", { class: "row" }, this.take, this.save), h("div", { class: "row" }, this.stamp), h("div", { class: "row" }, this.count), this.task.box);
    this.result = h("div", { class: "panel stack", hidden: true });
    on("room", () => this.forget());
  }

  forget() {
    this.held = null;
    this.on = false;
    this.canvas.hidden = this.result.hidden = true;
    this.said.textContent = "Draw around what you suspect, and take it.";
    this.buttons();
  }

  buttons() {
    for (const node of [this.stamp, this.count, this.save]) node.disabled = !this.held;
    this.stamp.setAttribute("aria-pressed", String(this.on));
    this.stamp.classList.toggle("main", this.on);
    this.stamp.textContent = this.on ? "Stamped on this image" : "Stamp it on this image";
  }

  taken() {
    if (!this.pen.any()) { this.said.textContent = "Nothing is drawn yet: draw on the image first."; return; }
    const mask = this.pen.mask();
    this.held = { from: state.seen.id, mask, x: state.seen.x, frame: state.frame };
    this.draw();
    this.said.textContent = `Taken from ${state.seen.value.name}. Choose another image to stamp it on.`;
    this.result.hidden = true;
    this.pen.clear();
    this.buttons();
  }

  // The cue alone, as large as its box, on a chequered ground.
  draw() {
    const { mask, x, frame } = this.held, { width, parts } = plane(x, frame, true), [high, wide] = mask.shape;
    const at = [...mask.data.keys()].filter((i) => mask.data[i]), rows = at.map((i) => Math.floor(i / wide)), columns = at.map((i) => i % wide);
    const box = { top: Math.min(...rows), left: Math.min(...columns), bottom: Math.max(...rows) + 1, right: Math.max(...columns) + 1 };
    const w = box.right - box.left;
    pixels(this.canvas, w, box.bottom - box.top, (i, d, k) => {
      const from = (box.top + Math.floor(i / w)) * width + box.left + (i % w);
      for (let c = 0; c < 3; c++) d[k + c] = mask.data[from] ? 255 * parts[Math.min(c, parts.length - 1)][from] : 200;
    });
    this.canvas.hidden = high < 1;
  }

  saved() {
    const { mask, x, frame } = this.held, { width, height, parts } = plane(x, frame, true), canvas = h("canvas", { width, height }), c = canvas.getContext("2d"), out = c.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let n = 0; n < 3; n++) out.data[4 * i + n] = 255 * parts[Math.min(n, parts.length - 1)][i];
      out.data[4 * i + 3] = mask.data[i] ? 255 : 0;
    }
    c.putImageData(out, 0, 0);
    canvas.toBlob((blob) => download("cue.png", blob));
  }

  turn(on) { this.on = on && Boolean(this.held); this.buttons(); this.changed(); }
  arrays() { return { mask: this.held.mask }; }

  async counted() {
    const found = await this.task.run("over_all", { model: state.model, from: this.held.from }, { arrays: this.arrays(), what: "the images are being looked at" });
    if (!found) return;
    const { value, arrays } = found;
    this.result.hidden = false;
    let at = 0;
    this.result.replaceChildren(h("h2", { tabIndex: -1 }, `The cue over ${value.among} images of the data`), ...value.edits.map((edit) => {
      const inserted = edit.kind === "insert", names = inserted ? NAMES : OUT, n = edit.changed.cue[3];
      const title = inserted ? `Put into ${n} images that it takes for something else: how many become ${value.target}` : `Taken out of ${n} images that it takes for ${value.target}: how many are it no more`;
      const rows = Object.entries(edit.changed).map(([place, [v, low, high]]) => h("tr", {}, h("th", { scope: "row" }, names[place]), h("td", { class: "number" }, `${(100 * v).toFixed(1)} [${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}]`), h("td", { class: "number" }, place === "cue" ? "" : points(edit.more[place]))));
      const shown = edit.shown.length, columns = ["as it is", names.cue, names[inserted ? "other pixels" : "elsewhere"]];
      const films = columns.map((name, c) => h("figure", {}, h("figcaption", {}, name), h("div", { class: "pair" }, edit.shown.map((told, k) => h("figure", {}, label(squareOf(arrays.pictures, at + c * shown + k), `${name}: ${told[c]}`), told[c])))));
      at += 3 * shown;
      return h("div", { class: "stack" }, h("h3", {}, title), h("div", { class: "wide" }, h("table", {}, h("caption", { class: "soft" }, "in %, with 95 % intervals"), h("thead", {}, h("tr", {}, ["", "changed", "by how much more the cue changes"].map((t, i) => h("th", { scope: "col", class: i ? "number" : "" }, t)))), h("tbody", {}, rows))), h("div", { class: "row films" }, films));
    }));
    this.told(value);
    this.result.scrollIntoView({ block: "nearest" });
  }
}

const points = ([v, low, high]) => `${v > 0 ? "+" : ""}${(100 * v).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
function label(canvas, text) { canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", text); return canvas; }
