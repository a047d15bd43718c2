// Drawing on an image by hand: rectangles or a brush; with keys, a rectangle that moves and grows.

import { h, s, choice } from "./dom.js";
import { outline, stroke } from "./paint.js";
import { download } from "./save.js";

export class Pen {
  constructor(screen, changed) {
    this.screen = screen;
    this.changed = changed;
    this.tool = "box";
    this.size = [1, 1];
    this.cells = new Uint8Array(1);
    screen.box.classList.add("draw");
    const c = screen.canvas;
    c.addEventListener("pointerdown", (e) => this.down(e));
    c.addEventListener("pointermove", (e) => this.move(e));
    c.addEventListener("pointerup", () => this.up());
    c.addEventListener("keydown", (e) => this.key(e), true);
    const tools = choice("Pen", [["box", "Box"], ["brush", "Brush"], ["rub", "Rub out"]], "box", (t) => (this.tool = t));
    const clear = h("button", { class: "button", type: "button", onclick: () => this.clear() }, "Clear");
    const save = h("button", { class: "button", type: "button", title: "mask.png", onclick: () => this.save() }, "Save");
    this.box = h("div", { class: "stack" }, tools, h("div", { class: "row" }, clear, save), h("small", {}, "With keys: on the image, Shift and arrows move a box, Alt and arrows size it."));
  }

  fit(shape) {
    const size = shape.slice(-2);
    if (size.join() !== this.size.join()) this.cells = new Uint8Array(size[0] * size[1]);
    this.size = size;
    this.draw();
  }

  any() { return this.cells.some((v) => v); }
  mask() { return { shape: this.size, data: this.cells.slice() }; }
  clear() { this.cells.fill(0); this.draw(); this.changed(); }

  cell(event) {
    const at = this.screen.place(event), [high, wide] = this.size;
    return [Math.max(0, Math.min(wide - 1, Math.floor(at.u * wide))), Math.max(0, Math.min(high - 1, Math.floor(at.v * high)))];
  }

  down(event) {
    if (event.button) return;
    this.screen.canvas.setPointerCapture(event.pointerId);
    this.start = this.cell(event);
    this.old = this.cells.slice();
    this.move(event);
  }

  move(event) {
    if (!this.start) return;
    const [x, y] = this.cell(event);
    if (this.tool === "box") this.rectangle(...this.start, x, y);
    else this.dab(x, y, this.tool === "brush" ? 1 : 0);
    this.draw();
    this.changed();
  }

  up() { this.start = null; }

  rectangle(x0, y0, x1, y1) {
    const [, wide] = this.size;
    this.cells.set(this.old);
    for (let y = Math.min(y0, y1); y <= Math.max(y0, y1); y++) for (let x = Math.min(x0, x1); x <= Math.max(x0, x1); x++) this.cells[y * wide + x] = 1;
  }

  dab(x, y, value) {
    const [high, wide] = this.size, r = Math.max(1, Math.round(wide / 24));
    for (let b = Math.max(0, y - r); b <= Math.min(high - 1, y + r); b++) for (let a = Math.max(0, x - r); a <= Math.min(wide - 1, x + r); a++) if ((a - x) ** 2 + (b - y) ** 2 <= r * r) this.cells[b * wide + a] = value;
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || !(event.shiftKey || event.altKey)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [high, wide] = this.size, far = Math.max(1, Math.round(wide / 32));
    const b = this.held ?? { x: Math.round(wide / 3), y: Math.round(high / 3), w: Math.round(wide / 4), h: Math.round(high / 4) };
    const [dx, dy] = way.map((d) => d * far);
    if (event.shiftKey) Object.assign(b, { x: b.x + dx, y: b.y + dy });
    else Object.assign(b, { w: b.w + dx, h: b.h + dy });
    b.w = Math.max(1, Math.min(wide, b.w)); b.h = Math.max(1, Math.min(high, b.h));
    b.x = Math.max(0, Math.min(wide - b.w, b.x)); b.y = Math.max(0, Math.min(high - b.h, b.y));
    this.held = b;
    this.old = new Uint8Array(wide * high);
    this.rectangle(b.x, b.y, b.x + b.w - 1, b.y + b.h - 1);
    this.draw();
    this.changed();
  }

  draw() {
    const d = outline({ shape: this.size, data: this.cells });
    this.screen.marks.replaceChildren(...(d ? [s("g", {}, stroke(d, "#fff"))] : []));
  }

  save() {
    const [high, wide] = this.size, canvas = h("canvas", { width: wide, height: high }), c = canvas.getContext("2d"), out = c.createImageData(wide, high);
    this.cells.forEach((v, i) => { out.data.fill(255 * v, 4 * i, 4 * i + 3); out.data[4 * i + 3] = 255; });
    c.putImageData(out, 0, 0);
    canvas.toBlob((blob) => download("mask.png", blob));
  }
}
