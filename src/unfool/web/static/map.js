// The map: images by what the network makes of them, as a cloud or on a grid; what is drawn around is a slice.

import { h, pick, fill, choice, percent, labelled, tell } from "./dom.js";
import { TINTS } from "./chart.js";
import { Task } from "./task.js";
import { squareOf } from "./picker.js";
import { state, chooseImage } from "./state.js";

const HIGH = 0.68; // of its width
const GREY = "#8a8a8a";

const WAYS = { tsne: "t-SNE", pacmap: "PaCMAP", pca: "two principal components" };

export class ImageMap {
  constructor(lines) {
    this.lines = lines;
    this.task = new Task("map", () => this.load());
    this.shape = "cloud"; this.tool = "move"; this.tint = "label"; this.seams = false;
    this.ring = []; this.over = -1;
    this.layer = pick([], "", () => this.load());
    this.count = pick([200, 500, 1000, 2000], 500, () => this.load());
    this.way = pick([], "tsne", () => this.load());
    this.perplexity = h("input", { type: "number", min: 2, max: 200, step: 1, value: 30, onchange: () => this.load() });
    this.canvas = h("canvas", { class: "map", tabIndex: 0, role: "application", "aria-roledescription": "map of images" });
    this.said = h("p", { class: "soft", "aria-live": "polite" }, " ");
    this.kept = h("div", { class: "wide" });
    this.slice = h("div", { class: "stack", hidden: true });
    const seams = h("input", { type: "checkbox", onchange: () => { this.seams = seams.checked; this.draw(); } });
    this.seamed = h("label", { class: "key", hidden: true, title: "Thick where the two images are far apart to the network" }, seams, "Seams");
    this.tools = choice("What dragging does", [["move", "Move"], ["lasso", "Lasso"]], "move", (v) => { this.tool = v; this.canvas.classList.toggle("lasso", v === "lasso"); });
    const bar = h("div", { class: "row" },
      choice("Drawn as", [["cloud", "Cloud"], ["grid", "Grid"]], "cloud", (v) => { this.shape = v; this.seamed.hidden = v !== "grid"; this.ring = []; this.slice.hidden = true; this.reset(); }), this.tools, this.seamed,
      h("span", { class: "row tight" }, h("button", { class: "button", type: "button", "aria-label": "Nearer", onclick: () => this.zoom(1.5) }, "+"), h("button", { class: "button", type: "button", "aria-label": "Farther", onclick: () => this.zoom(1 / 1.5) }, "−"), h("button", { class: "button", type: "button", onclick: () => this.reset() }, "All of it")));
    this.legend = h("div", { class: "row" });
    const tints = pick([["label", "their label"], ["said", "what the network says"], ["wrong", "whether it is wrong"], ["none", "nothing"]], "label", (v) => { this.tint = v; this.draw(); });
    const head = h("div", { class: "fields" }, labelled("Layer", this.layer), labelled("Images", this.count), labelled("Map", this.way), labelled("Perplexity", this.perplexity), labelled("Edges show", tints));
    this.box = h("div", { class: "stack" },
      h("div", { class: "panel stack" }, h("h2", {}, "Map"), head, this.task.box, bar, this.canvas, this.said, this.legend,
        h("small", {}, "Near each other: alike to this layer. How far groups lie apart, and how large they are, says nothing. With keys, on the map: arrows move it, + and − size it; Shift and arrows move a box, Alt and arrows size it; Enter takes the box as a slice."), this.slice),
      (this.trust = h("div", { class: "panel stack", hidden: true }, h("h2", {}, "How far to trust it"), this.kept)));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  figure() {
    const screen = { canvas: this.canvas, wide: true }, named = (one) => one.textContent.trim();
    return this.found && { name: `map-${this.found.value.way}`, panels: [[screen, `${this.found.n} images. ${[...this.legend.children].map(named).join(", ")}`]], told: [...this.kept.querySelectorAll("tbody tr")].map((row) => [...row.children].map((c, i) => `${i ? `${["near indeed", "kept", "same label"][i - 1]} ` : ""}${c.textContent}`).join("; ")) };
  }

  room() { fill(this.way, Object.entries(WAYS).filter(([way]) => state.ways.includes(way)), this.way.value || "tsne"); this.seen = this.found = null; this.ring = []; this.slice.hidden = true; fill(this.layer, [["", "before the last"], ...state.room.layers], ""); this.trust.hidden = true; this.legend.replaceChildren(); this.draw(); }
  show() { if (this.seen !== state.model) this.load(); else { this.draw(); if (this.found) this.lines.show(this.found.value); } }

  async load() {
    this.seen = state.model;
    const words = { model: state.model, layer: this.layer.value, count: +this.count.value, way: this.way.value, perplexity: +this.perplexity.value || 30 };
    this.perplexity.disabled = this.way.value !== "tsne";
    const found = await this.task.run("map", words, { what: "the images are being looked at" });
    if (!found) { this.seen = null; return; }
    const { value, arrays } = found, n = value.ids.length;
    this.found = { ...arrays, value, n, tiles: Array.from({ length: n }, (_, k) => squareOf(arrays.pixels, k)) };
    this.spread();
    this.ring = []; this.slice.hidden = true;
    this.quality(value);
    this.lines.show(value);
    this.reset();
  }

  // Both ways of drawing as points from 0 to 1, downwards.
  spread() {
    const { view, cells, n, value } = this.found, low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let i = 0; i < 2 * n; i++) { low[i % 2] = Math.min(low[i % 2], view.data[i]); high[i % 2] = Math.max(high[i % 2], view.data[i]); }
    const wide = [high[0] - low[0] || 1, high[1] - low[1] || 1];
    this.frame = { low, wide };
    this.cloud = Array.from({ length: n }, (_, k) => [(view.data[2 * k] - low[0]) / wide[0], 1 - (view.data[2 * k + 1] - low[1]) / wide[1]]);
    this.grid = Array.from({ length: n }, (_, k) => [(cells.data[2 * k + 1] + 0.5) / value.columns, (cells.data[2 * k] + 0.5) / value.rows]);
  }

  get points() { return this.shape === "grid" ? this.grid : this.cloud; }

  reset() { this.at = { x: 0.5, y: 0.5, scale: 0.92 }; this.draw(); }
  zoom(by, u = 0.5, v = 0.5) {
    if (!this.at) return;
    const before = this.inward(u, v);
    this.at.scale = Math.max(0.5, Math.min(60, this.at.scale * by));
    const after = this.inward(u, v);
    this.at.x += before[0] - after[0];
    this.at.y += before[1] - after[1];
    this.draw();
  }

  // From a place on the canvas, as shares of its sides, to one on the map, and back in pixels.
  inward(u, v) { return [this.at.x + (u - 0.5) / this.across, this.at.y + (v - 0.5) / this.at.scale]; }
  outward([x, y]) { return [(0.5 + (x - this.at.x) * this.across) * this.canvas.width, (0.5 + (y - this.at.y) * this.at.scale) * this.canvas.height]; }
  get across() { return this.at.scale * (this.shape === "grid" ? (HIGH * this.found.value.columns) / this.found.value.rows : 1); } // cells are squares

  side() {
    const { n, value } = this.found, { width, height } = this.canvas, s = this.at.scale;
    if (this.shape === "grid") return ((height * s) / value.rows) * 0.94;
    return Math.max(6, Math.min(0.55 * Math.sqrt((width * height) / n) * s ** 0.75, 96 * devicePixelRatio));
  }

  colourOf(k) {
    const { y, said } = this.found;
    if (this.tint === "none") return null;
    if (this.tint === "wrong") return y.data[k] < 0 ? GREY : y.data[k] === said.data[k] ? TINTS[0] : TINTS[1];
    return hue((this.tint === "said" ? said : y).data[k]);
  }

  draw() {
    const wide = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!wide) return;
    if (this.canvas.width !== wide) { this.canvas.width = wide; this.canvas.height = Math.round(wide * HIGH); }
    const c = this.canvas.getContext("2d");
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.found || !this.at) return;
    const side = this.side(), edge = Math.max(1.5, side * 0.07);
    c.imageSmoothingEnabled = side < 28;
    this.points.forEach((p, k) => {
      const [x, y] = this.outward(p), tint = this.colourOf(k);
      if (x < -side || y < -side || x > this.canvas.width + side || y > this.canvas.height + side) return;
      c.drawImage(this.found.tiles[k], x - side / 2, y - side / 2, side, side);
      if (tint) { c.strokeStyle = tint; c.lineWidth = edge; c.strokeRect(x - side / 2 + edge / 2, y - side / 2 + edge / 2, side - edge, side - edge); }
    });
    if (this.seams && this.shape === "grid") this.drawSeams(c, side);
    this.mark(c, side);
    this.drawLegend();
    this.canvas.setAttribute("aria-label", `${this.found.n} images, ${this.shape === "grid" ? "on a grid" : "as a cloud"}. ${this.said.textContent}`);
  }

  drawSeams(c, side) {
    const { seams } = this.found;
    for (let k = 0; k < seams.shape[0]; k++) {
      const [i, j, d] = seams.data.subarray(3 * k, 3 * k + 3), a = this.outward(this.grid[i]), b = this.outward(this.grid[j]);
      const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], across = Math.abs(a[0] - b[0]) > Math.abs(a[1] - b[1]), half = side / 2;
      c.strokeStyle = "#d55e00";
      c.lineWidth = Math.max(0, Math.min(1.4, d) - 0.3) * side * 0.16;
      if (!c.lineWidth || d < 0.35) continue;
      c.beginPath();
      c.moveTo(middle[0] - (across ? 0 : half), middle[1] - (across ? half : 0));
      c.lineTo(middle[0] + (across ? 0 : half), middle[1] + (across ? half : 0));
      c.stroke();
    }
  }

  // The lasso, the image under the cursor, and the one that is looked at.
  mark(c, side) {
    const ring = (k, colour, far) => { if (k < 0) return; const [x, y] = this.outward(this.points[k]); c.strokeStyle = colour; c.lineWidth = 3 * devicePixelRatio; c.strokeRect(x - side / 2 - far, y - side / 2 - far, side + 2 * far, side + 2 * far); };
    const ink = getComputedStyle(this.canvas).color;
    ring(this.found.value.ids.indexOf(state.image), ink, 2);
    ring(this.over, ink, 1);
    if (this.ring.length < 2) return;
    c.beginPath();
    this.ring.forEach((p, i) => c[i ? "lineTo" : "moveTo"](...this.outward(p)));
    c.closePath();
    c.fillStyle = "rgb(10 108 116 / .16)";
    c.fill();
    c.strokeStyle = ink;
    c.lineWidth = 2 * devicePixelRatio;
    c.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    c.stroke();
    c.setLineDash([]);
  }

  drawLegend() {
    const { y, said, value } = this.found, swatch = (text, tint) => { const box = h("i", {}); box.style.background = tint; return h("span", { class: "key" }, box, text); };
    const key = `${this.tint} ${value.key}`;
    if (this.legended === key) return;
    this.legended = key;
    if (this.tint === "none") return this.legend.replaceChildren();
    if (this.tint === "wrong") return this.legend.replaceChildren(swatch("right", TINTS[0]), swatch("wrong", TINTS[1]), ...(y.data.some((v) => v < 0) ? [swatch("no label", GREY)] : []));
    const shown = [...new Set((this.tint === "said" ? said : y).data)].sort((a, b) => a - b);
    this.legend.replaceChildren(...shown.slice(0, 20).map((k) => swatch(k < 0 ? "no label" : value.names[k] ?? k, hue(k))), shown.length > 20 ? h("small", {}, `and ${shown.length - 20} more`) : "");
  }

  nearest(u, v) {
    if (!this.found || !this.at) return -1;
    const { width, height } = this.canvas, reach = this.side() * 0.75;
    let best = -1, least = reach * reach;
    this.points.forEach((p, k) => { const [x, y] = this.outward(p), d = (x - u * width) ** 2 + (y - v * height) ** 2; if (d < least) { least = d; best = k; } });
    return best;
  }

  point(k) {
    this.over = k;
    const { value, y, said, sure } = this.found ?? {};
    const name = (c) => value.names[c] ?? String(c);
    this.said.textContent = k < 0 ? " " : `${value.ids[k]}${y.data[k] >= 0 ? `, labelled ${name(y.data[k])}` : ""}: taken for ${name(said.data[k])} (${percent(sure.data[k])})`;
    this.draw();
  }

  listen() {
    const c = this.canvas, at = (e) => { const box = c.getBoundingClientRect(); return [(e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height]; };
    let from = null, moved = false;
    c.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 400), ...at(e)); }, { passive: false });
    c.addEventListener("pointerdown", (e) => { if (e.button || !this.found) return; c.setPointerCapture(e.pointerId); from = at(e); moved = false; if (this.tool === "lasso") this.ring = [this.inward(...from)]; });
    c.addEventListener("pointermove", (e) => {
      const now = at(e);
      if (!from) { const k = this.nearest(...now); if (k !== this.over) this.point(k); return; }
      if (Math.hypot(now[0] - from[0], now[1] - from[1]) > 0.008) moved = true;
      if (!moved) return;
      if (this.tool === "lasso") this.ring.push(this.inward(...now));
      else { this.at.x -= (now[0] - from[0]) / this.across; this.at.y -= (now[1] - from[1]) / this.at.scale; from = now; }
      this.draw();
    });
    c.addEventListener("pointerup", (e) => {
      if (!from) return;
      const k = this.nearest(...at(e));
      from = null;
      if (this.tool === "lasso" && moved) return this.cut();
      this.ring = this.tool === "lasso" ? [] : this.ring;
      if (!moved && k >= 0) chooseImage(this.found.value.ids[k]).then(() => this.draw());
    });
    c.addEventListener("pointerleave", () => { if (this.over >= 0) this.point(-1); });
    c.addEventListener("keydown", (e) => this.key(e));
  }

  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const act = { "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.reset(), Escape: () => { this.ring = []; this.draw(); }, Enter: () => this.ring.length > 2 && this.cut() }[event.key];
    if (!this.found || (!way && !act) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (act) return act();
    const far = 0.04 / this.at.scale;
    if (event.shiftKey || event.altKey) {
      const b = (this.held ??= { x: 0.4, y: 0.4, w: 0.2, h: 0.2 });
      if (event.shiftKey) { b.x += way[0] * far; b.y += way[1] * far; } else { b.w = Math.max(0.02, b.w + way[0] * far); b.h = Math.max(0.02, b.h + way[1] * far); }
      this.ring = [[b.x, b.y], [b.x + b.w, b.y], [b.x + b.w, b.y + b.h], [b.x, b.y + b.h]];
    } else { this.at.x += way[0] * far; this.at.y += way[1] * far; this.point(this.nearest(0.5, 0.5)); }
    this.draw();
  }

  // What is drawn around, in the map's own numbers.
  corners() {
    const bends = this.ring.filter((p, i, all) => i === 0 || bent(all[i - 1], p, all[(i + 1) % all.length]));
    const few = Math.max(1, Math.ceil(bends.length / 60)), ring = bends.filter((_, i) => i % few === 0), { low, wide } = this.frame;
    return ring.flatMap(([x, y]) => (this.shape === "grid" ? [x, y] : [low[0] + x * wide[0], low[1] + (1 - y) * wide[1]]).map((v) => Number(v.toPrecision(6))));
  }

  async cut(keep = false) {
    if (this.ring.length < 3) return;
    const words = { model: state.model, key: this.found.value.key, corners: this.corners(), grid: this.shape === "grid", keep };
    const found = await this.task.run("slice", words, { idle: false });
    this.slice.hidden = !found;
    if (!found) return;
    const { value } = found, counts = value.labels.map(([name, n]) => `${name} (${n})`).join(", ");
    const show = h("button", { class: "button main", type: "button", onclick: () => tell("slice", { name: value.name, count: value.count }) }, "Look at these images");
    const write = h("button", { class: "button", type: "button", disabled: value.kept, onclick: () => this.cut(true) }, value.kept ? "Written" : "Write their ids");
    this.slice.replaceChildren(h("h3", {}, `${value.count} images inside${counts ? `: ${counts}` : ""}`), h("div", { class: "row" }, show, write),
      h("p", { class: "soft" }, value.kept ? "Their ids are in " : "Once written, every command takes them as ", h("code", {}, value.kept ? value.path : value.address), value.kept ? [", which every command takes as ", h("code", {}, value.address)] : ""));
    this.lines.show(value);
  }

  quality({ kept, k }) {
    const span = (r) => (r ? `${(100 * r[0]).toFixed(1)} [${(100 * r[1]).toFixed(1)}–${(100 * r[2]).toFixed(1)}]` : "–");
    const n = Object.values(kept)[0].trust[3];
    this.trust.hidden = false;
    this.kept.replaceChildren(h("table", { class: "wrap" },
      h("caption", { class: "soft" }, `in %, with 95 % intervals, of ${n} images`),
      h("thead", {}, h("tr", {}, ["", `of the ${k} nearest in the map, near indeed`, `of the ${k} nearest indeed, kept`, "the nearest has the same label"].map((t, i) => h("th", { scope: "col", class: i ? "number" : "" }, t)))),
      h("tbody", {}, Object.entries(kept).map(([name, q]) => h("tr", {}, h("th", { scope: "row" }, name), [q.trust, q.kept, q.label].map((r) => h("td", { class: "number" }, span(r))))))));
  }
}

const bent = (a, b, c) => Math.abs((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])) > 1e-7;

// A class's colour: the palette first, then more of it, lighter.
function hue(k) {
  if (k < 0) return GREY;
  const tint = TINTS[k % TINTS.length], turn = Math.floor(k / TINTS.length) % 3;
  return turn ? `color-mix(in srgb, ${tint} ${turn === 1 ? 62 : 82}%, ${turn === 1 ? "white" : "black"})` : tint;
}
