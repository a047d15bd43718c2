// What a view shows as one figure: laid out once, written as PNG, SVG or PDF.

import { s } from "./dom.js";
import { download, fileName, picture, styled, wrap } from "./save.js";

const GAP = 16, LINE = 14, CHART = 560, MANY = 24;

// panels: [canvas or screen, caption]; charts: SVG elements; keys: [text, tint] of their lines; told: text under all of it.
export async function saveFigure(kind, { name, panels = [], charts = [], keys = [], told = [] }) {
  const legend = charts.length && keys.length ? [legendOf(keys)] : [];
  document.body.append(...legend); // styles are known of what is in the page alone
  try {
    const page = laidOut(panels, [...legend, ...charts], told), write = { png: asPng, svg: asSvg, pdf: asPdf }[kind];
    download(`${fileName(name)}.${kind}`, await write(page));
  } finally { for (const node of legend) node.remove(); }
}

function legendOf(keys) {
  const measure = document.createElement("canvas").getContext("2d"), parts = [];
  measure.font = "11px Helvetica, Arial, sans-serif";
  let left = 44;
  for (const [text, tint] of keys) {
    parts.push(s("line", { x1: left, x2: left + 18, y1: 8, y2: 8, stroke: tint, "stroke-width": 2.5 }), s("text", { x: left + 23, y: 12 }, text));
    left += 42 + measure.measureText(text).width;
  }
  return s("svg", { class: "chart away", viewBox: `0 0 ${CHART} 16` }, ...parts);
}

// Where everything goes, in points.
function laidOut(panels, charts, told) {
  const images = [], texts = [], drawn = [], measure = document.createElement("canvas").getContext("2d");
  measure.font = "11px Helvetica, Arial, sans-serif";
  const [side, row] = panels.length > MANY ? [96, 8] : [200, 4];
  const columns = Math.max(1, Math.min(row, panels.length)), room = Math.max(columns * (side + GAP) - GAP, charts.length || told.length ? CHART : 0);
  let top = GAP;
  for (let i = 0; i < panels.length; i += columns) {
    const line = panels.slice(i, i + columns).map(([one, caption]) => {
      const canvas = one.canvas ?? one, wide = one.wide ? room : side;
      return { one, canvas, wide, high: (wide * canvas.height) / canvas.width, lines: wrap(measure, caption ?? "", wide).slice(0, 4) };
    });
    const high = Math.max(...line.map((p) => p.high));
    line.forEach((p, k) => {
      const x = GAP + k * (side + GAP);
      images.push({ canvas: p.canvas, x, y: top, w: p.wide, h: p.high });
      if (p.one.marks?.childNodes.length) drawn.push({ node: p.one.svg, x, y: top, w: p.wide, h: p.high });
      p.lines.forEach((text, n) => texts.push({ text, x, y: top + high + LINE * (n + 1) }));
    });
    top += high + LINE * Math.max(...line.map((p) => p.lines.length)) + GAP;
  }
  for (const node of charts) {
    const [, , w, h] = node.getAttribute("viewBox").split(" ").map(Number), high = (CHART * h) / w;
    drawn.push({ node, x: GAP, y: top, w: CHART, h: high });
    top += high + GAP;
  }
  for (const text of told.flatMap((one) => wrap(measure, one, room))) { texts.push({ text, x: GAP, y: top + LINE }); top += LINE; }
  return { wide: room + 2 * GAP, high: top + GAP, images, texts, drawn };
}

async function asPng({ wide, high, images, texts, drawn }) {
  const scale = 2.5, canvas = document.createElement("canvas"), c = canvas.getContext("2d");
  canvas.width = wide * scale;
  canvas.height = high * scale;
  c.scale(scale, scale);
  c.fillStyle = "#fff";
  c.fillRect(0, 0, wide, high);
  for (const one of images) { c.imageSmoothingEnabled = one.canvas.width > 160; c.drawImage(one.canvas, one.x, one.y, one.w, one.h); }
  for (const one of drawn) c.drawImage(await picture(one.node, one.w * scale, one.h * scale), one.x, one.y, one.w, one.h);
  c.fillStyle = "#222";
  c.font = "11px Helvetica, Arial, sans-serif";
  for (const one of texts) c.fillText(one.text, one.x, one.y);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function asSvg({ wide, high, images, texts, drawn }) {
  const nodes = images.map((one) => s("image", { href: one.canvas.toDataURL(), x: one.x, y: one.y, width: one.w, height: one.h, "image-rendering": one.canvas.width > 160 ? null : "pixelated" }));
  for (const one of drawn) { const copy = styled(one.node); for (const [k, v] of [["x", one.x], ["y", one.y], ["width", one.w], ["height", one.h]]) copy.setAttribute(k, v); nodes.push(copy); }
  for (const one of texts) nodes.push(s("text", { x: one.x, y: one.y, "font-family": "Helvetica, Arial, sans-serif", "font-size": 11, fill: "#222" }, one.text));
  const root = s("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${wide} ${high}`, width: wide, height: high }, s("rect", { width: wide, height: high, fill: "#fff" }), ...nodes);
  return new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

// One page; images as they are, charts and marks as lines, text as text.
async function asPdf({ wide, high, images, texts, drawn }) {
  const objects = [], bytes = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0) & 255);
  const add = (head, body) => objects.push({ head, body });
  const ops = [`1 0 0 -1 0 ${n(high)} cm 1 1 1 rg 0 0 ${n(wide)} ${n(high)} re f`];
  const names = [];
  for (const [k, one] of images.entries()) {
    names.push(`/I${k} ${5 + k} 0 R`);
    ops.push(`q ${n(one.w)} 0 0 ${n(-one.h)} ${n(one.x)} ${n(one.y + one.h)} cm /I${k} Do Q`);
  }
  for (const one of drawn) ops.push(vector(one));
  ops.push(...texts.map((one) => write(one.text, one.x, one.y, 11, "0.13 0.13 0.13")));
  add("<< /Type /Catalog /Pages 2 0 R >>");
  add("<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
  add(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${n(wide)} ${n(high)}] /Contents 4 0 R /Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> /XObject << ${names.join(" ")} >> >> >>`);
  const content = await deflated(bytes(ops.join("\n")));
  add(`<< /Length ${content.length} /Filter /FlateDecode >>`, content);
  for (const { canvas } of images) {
    const { width, height } = canvas, from = canvas.getContext("2d").getImageData(0, 0, width, height).data, rgb = new Uint8Array(3 * width * height);
    for (let i = 0, j = 0; i < from.length; i += 4, j += 3) for (let c = 0; c < 3; c++) rgb[j + c] = from[i + c] * (from[i + 3] / 255) + 255 - from[i + 3];
    const packed = await deflated(rgb);
    add(`<< /Type /XObject /Subtype /Image /Width ${width} /Height ${height} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode /Interpolate ${width > 160} /Length ${packed.length} >>`, packed);
  }
  const parts = [bytes("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")], places = [];
  const size = () => parts.reduce((sum, p) => sum + p.length, 0);
  for (const [k, { head, body }] of objects.entries()) {
    places.push(size());
    parts.push(bytes(`${k + 1} 0 obj\n${head}\n`));
    if (body) parts.push(bytes("stream\n"), body, bytes("\nendstream\n"));
    parts.push(bytes("endobj\n"));
  }
  const end = size(), table = places.map((p) => `${String(p).padStart(10, "0")} 00000 n \n`).join("");
  parts.push(bytes(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer << /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${end}\n%%EOF\n`));
  return new Blob(parts, { type: "application/pdf" });
}

const n = (v) => String(Math.round(v * 100) / 100);
const deflated = async (data) => new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());

const LATIN = { "→": "->", "–": "-", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=", "✓": "", "…": "...", "’": "'" };
function write(text, x, y, size, colour) {
  const plain = [...text].map((c) => LATIN[c] ?? (c.charCodeAt(0) < 256 ? c : "?")).join("").replace(/[\\()]/g, "\\$&");
  return `BT ${colour} rg /F ${n(size)} Tf 1 0 0 -1 ${n(x)} ${n(y)} Tm (${plain}) Tj ET`;
}

// The lines, paths, boxes and words of an SVG element as PDF has them.
function vector({ node, x, y, w, h }) {
  const [, , wide, high] = node.getAttribute("viewBox").split(" ").map(Number), scale = w / wide, ops = [`q ${n(scale)} 0 0 ${String(h / high)} ${n(x)} ${n(y)} cm`];
  const measure = document.createElement("canvas").getContext("2d");
  for (const one of node.querySelectorAll("line, path, rect, text")) {
    const style = getComputedStyle(one), a = (name) => +one.getAttribute(name) || 0;
    if (+style.opacity === 0 || one.closest('[opacity="0"]')) continue;
    if (one.tagName === "text") {
      const size = parseFloat(style.fontSize), anchor = style.textAnchor;
      measure.font = `${size}px Helvetica, Arial, sans-serif`;
      const left = a("x") - measure.measureText(one.textContent).width * ({ middle: 0.5, end: 1 }[anchor] ?? 0);
      ops.push(write(one.textContent, left, a("y"), size, colourOf(style.fill)));
      continue;
    }
    const d = one.tagName === "line" ? `${n(a("x1"))} ${n(a("y1"))} m ${n(a("x2"))} ${n(a("y2"))} l` : one.tagName === "rect" ? `${n(a("x"))} ${n(a("y"))} ${n(a("width"))} ${n(a("height"))} re` : path(one.getAttribute("d"));
    const filled = style.fill !== "none" && one.tagName !== "line", stroked = style.stroke !== "none";
    const width = parseFloat(style.strokeWidth) / (style.vectorEffect === "non-scaling-stroke" ? scale : 1);
    const dash = style.strokeDasharray === "none" ? "" : style.strokeDasharray.split(/[ ,]+/).map(parseFloat).join(" ");
    ops.push(`${colourOf(style.fill)} rg ${colourOf(style.stroke)} RG ${n(width)} w [${dash}] 0 d ${d} ${filled && stroked ? "B" : filled ? "f" : stroked ? "S" : "n"}`);
  }
  return [...ops, "Q"].join("\n");
}

function colourOf(text) {
  const found = /rgba?\(([^)]*)\)/.exec(text);
  return (found ? found[1].split(/[ ,/]+/).slice(0, 3).map((v) => n(v / 255)) : ["0", "0", "0"]).join(" ");
}

// Moves and straight lines, relative ones as well.
function path(d) {
  const ops = [];
  let x = 0, y = 0;
  for (const [, letter, rest] of d.matchAll(/([MLHVZmlhvz])([^MLHVZmlhvz]*)/g)) {
    const v = (rest.match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number), by = letter === letter.toLowerCase(), kind = letter.toUpperCase();
    if (kind === "Z") { ops.push("h"); continue; }
    const step = kind === "M" || kind === "L" ? 2 : 1;
    for (let i = 0; i < v.length; i += step) {
      if (kind === "H") x = v[i] + (by ? x : 0);
      else if (kind === "V") y = v[i] + (by ? y : 0);
      else { x = v[i] + (by ? x : 0); y = v[i + 1] + (by ? y : 0); }
      ops.push(`${n(x)} ${n(y)} ${kind === "M" && i === 0 ? "m" : "l"}`);
    }
  }
  return ops.join(" ");
}
