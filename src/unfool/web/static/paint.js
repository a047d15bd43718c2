// Numbers to colours, in the browser: changing how a map is drawn asks nobody.

import { h, s, on, tell, number } from "./dom.js";

// Colour stops; all can be told apart by the colour-blind. The first pair is that of unfool's reports.
const SCHEMES = {
  "Purple, orange": { signed: ["2d004b", "8073ac", "f7f7f7", "e08214", "7f3b08"], one: ["ffffff", "fed98e", "fe9929", "cc4c02", "662506"] },
  "Blue, red": { signed: ["053061", "4393c3", "f7f7f7", "d6604d", "67001f"], one: ["fff7ec", "fdbb84", "ef6548", "b30000", "5a0000"] },
  Viridis: { signed: ["440154", "3b528b", "21918c", "5ec962", "fde725"], one: ["440154", "414487", "2a788e", "22a884", "7ad151", "fde725"] },
  Grey: { signed: ["000000", "404040", "808080", "c0c0c0", "ffffff"], one: ["000000", "ffffff"] },
};
export const COLOURS = Object.keys(SCHEMES);

const tables = new Map();
function table(name, kind) {
  const key = name + kind;
  if (!tables.has(key)) {
    const stops = SCHEMES[name][kind].map((t) => [0, 2, 4].map((k) => parseInt(t.slice(k, k + 2), 16)));
    const made = new Uint8ClampedArray(3 * 256);
    for (let i = 0; i < 256; i++) {
      const at = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      for (let c = 0; c < 3; c++) made[3 * i + c] = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]);
    }
    tables.set(key, made);
  }
  return tables.get(key);
}

// How every map is drawn.
export const looks = { opacity: 0.85, least: 0, sign: "both", colours: COLOURS[0], alone: false, shared: false, marks: true };
export function look(change) { Object.assign(looks, change); tell("looks"); }

// One plane of an array [C, (T,) H, W] or [(T,) H, W].
export function plane(array, t, channels) {
  const shape = array.shape, [height, width] = shape.slice(-2), n = width * height;
  const frames = shape.length - (channels ? 3 : 2) === 1 ? shape[channels ? 1 : 0] : 1;
  const many = channels ? shape[0] : 1, at = Math.min(t, frames - 1);
  const parts = [];
  for (let c = 0; c < many; c++) parts.push(array.data.subarray((c * frames + at) * n, (c * frames + at + 1) * n));
  return { width, height, parts, frames };
}

// What 1 stands for: the 99th percentile of sizes; 0 of an empty map.
export function scaleOf(heat) {
  const sizes = Float32Array.from(heat.data, Math.abs).sort();
  return sizes[Math.floor(0.99 * (sizes.length - 1))] || sizes[sizes.length - 1] || 0;
}

function grey(parts, i) {
  let sum = 0;
  for (const part of parts) sum += part[i];
  return (255 * sum) / parts.length;
}

export function pixels(canvas, width, height, colour) {
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const out = context.createImageData(width, height), d = out.data;
  for (let i = 0, k = 0; i < width * height; i++, k += 4) { colour(i, d, k); d[k + 3] = 255; }
  context.putImageData(out, 0, 0);
}

export function drawImage(canvas, x, t = 0) {
  const { width, height, parts } = plane(x, t, true);
  const three = parts.length === 3;
  pixels(canvas, width, height, (i, d, k) => {
    for (let c = 0; c < 3; c++) d[k + c] = three ? 255 * parts[c][i] : grey(parts, i);
  });
}

export function drawHeat(canvas, x, heat, top, t = 0) {
  const map = plane(heat, t, false), base = plane(x, t, true), values = map.parts[0];
  const signed = heat.signed ?? (heat.signed = heat.data.some((v) => v < 0));
  const split = signed && looks.sign === "both" ? "signed" : "one", colours = table(looks.colours, split);
  const against = looks.sign === "against", scale = top || 1;
  pixels(canvas, map.width, map.height, (i, d, k) => {
    let v = Math.max(-1, Math.min(1, values[i] / scale));
    if (looks.sign === "for") v = Math.max(0, v);
    if (against) v = Math.max(0, -v);
    const size = Math.abs(v), place = Math.round(255 * (split === "signed" ? (v + 1) / 2 : size));
    const strength = looks.alone ? 1 : size < looks.least || !top ? 0 : Math.sqrt(size) * looks.opacity;
    const under = looks.alone ? 0 : grey(base.parts, i);
    const hidden = looks.alone && size < looks.least ? Math.round(split === "signed" ? 127.5 : 0) : place;
    for (let c = 0; c < 3; c++) d[k + c] = under * (1 - strength) + colours[3 * hidden + c] * strength;
  });
}

// A change around grey, amplified so that its largest value is white or black. Gives by how much.
export function drawChange(canvas, x, other, t = 0) {
  const a = plane(x, t, true), b = plane(other, t, true);
  let most = 0;
  for (let i = 0; i < x.data.length; i++) most = Math.max(most, Math.abs(other.data[i] - x.data[i]));
  const gain = most ? 0.5 / most : 1;
  pixels(canvas, a.width, a.height, (i, d, k) => {
    for (let c = 0; c < 3; c++) {
      const p = Math.min(c, a.parts.length - 1);
      d[k + c] = 127.5 + 255 * gain * (b.parts[p][i] - a.parts[p][i]);
    }
  });
  return { most, gain };
}

// A canvas with marks over it and a cursor that all of them share.
export class Screen {
  constructor(name, { read = () => "" } = {}) {
    this.name = name;
    this.read = read;
    this.canvas = h("canvas", { tabIndex: 0, role: "img", "aria-label": name, width: 1, height: 1 });
    this.marks = s("g", {});
    this.cross = s("g", { stroke: "#fff", "stroke-width": "1", opacity: "0" });
    this.svg = s("svg", { preserveAspectRatio: "none", "aria-hidden": "true" }, this.marks, this.cross);
    this.box = h("div", { class: "screen" }, this.canvas, this.svg);
    this.canvas.addEventListener("pointermove", (e) => this.point(e));
    this.canvas.addEventListener("pointerleave", () => tell("cursor", null));
    this.canvas.addEventListener("keydown", (e) => this.step(e));
    this.canvas.addEventListener("blur", () => tell("cursor", null));
    on("cursor", (at) => this.cursor(at));
  }

  drawn() {
    const { width, height } = this.canvas;
    const size = `0 0 ${width} ${height}`;
    if (this.svg.getAttribute("viewBox") !== size) this.svg.setAttribute("viewBox", size);
    this.box.classList.toggle("small", width < 160);
    this.veil("");
    this.cursor(this.at);
  }

  veil(text) {
    this.box.querySelector(".veil")?.remove();
    if (text) this.box.append(h("div", { class: "veil" }, text));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { u: (event.clientX - box.left) / box.width, v: (event.clientY - box.top) / box.height };
  }

  point(event) { const at = this.place(event); if (at.u >= 0 && at.u < 1 && at.v >= 0 && at.v < 1) tell("cursor", at); }

  step(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { width, height } = this.canvas, now = this.at ?? { u: 0.5, v: 0.5 }, far = event.shiftKey ? 5 : 1;
    const inside = (x, n) => Math.max(0.5 / n, Math.min(1 - 0.5 / n, x));
    tell("cursor", { u: inside(now.u + (move[0] * far) / width, width), v: inside(now.v + (move[1] * far) / height, height) });
    this.canvas.setAttribute("aria-label", `${this.name}: ${this.said ?? ""}`);
  }

  cursor(at) {
    this.at = at;
    const { width, height } = this.canvas;
    if (at || this.said) this.cross.setAttribute("opacity", at ? "1" : "0");
    if (!at) return this.tellAt("");
    const x = (Math.floor(at.u * width) + 0.5), y = (Math.floor(at.v * height) + 0.5);
    const line = (a, colour, wide) => s("path", { d: a, stroke: colour, "stroke-width": wide, "vector-effect": "non-scaling-stroke", fill: "none" });
    const d = `M${x} 0V${height}M0 ${y}H${width}`;
    this.cross.replaceChildren(line(d, "rgb(0 0 0 / .45)", 3), line(d, "#fff", 1));
    this.tellAt(this.read(Math.floor(x), Math.floor(y)));
  }

  tellAt(text) { if (text !== this.said) this.told?.(text); this.said = text; }
}

export function valueAt(array, x, y, t = 0, channels = false) {
  const p = plane(array, t, channels);
  return p.parts.map((part) => number(part[y * p.width + x])).join(", ");
}

// The border of a region of numbers equal to `k` (or of all that are not 0) as a path.
export function outline(array, k = null, t = 0) {
  const { width, height, parts } = plane(array, t, false), a = parts[0];
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && (k === null ? a[y * width + x] !== 0 : a[y * width + x] === k);
  let d = "";
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    if (!inside(x, y)) continue;
    if (!inside(x, y - 1)) d += `M${x} ${y}h1`;
    if (!inside(x, y + 1)) d += `M${x} ${y + 1}h1`;
    if (!inside(x - 1, y)) d += `M${x} ${y}v1`;
    if (!inside(x + 1, y)) d += `M${x + 1} ${y}v1`;
  }
  return d;
}

export function stroke(d, colour, dash = null) {
  const path = (c, w) => s("path", { d, stroke: c, "stroke-width": w, fill: "none", "vector-effect": "non-scaling-stroke", "stroke-dasharray": dash });
  return s("g", {}, path("rgb(0 0 0 / .55)", 3.5), path(colour, 1.8));
}
