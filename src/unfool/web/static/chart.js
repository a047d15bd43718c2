// Lines over numbers, as SVG.

import { s, number } from "./dom.js";

// Okabe and Ito's colours, which the colour-blind can tell apart.
export const TINTS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const W = 560, LEFT = 44, RIGHT = 12, TOP = 10, FOOT = 34;

// lines: {name, values, tint, dash}; x: numbers; top: the largest y, or null for what there is
export function lineChart({ x, lines, top = 1, label, axis, high = 190, squared = false, here = null, bars = false }) {
  const most = x.at(-1) || 1, peak = top ?? (Math.max(...lines.flatMap((l) => l.values)) || 1);
  const place = (v) => LEFT + (W - LEFT - RIGHT) * (squared ? Math.sqrt(v / most) : (v - x[0]) / (most - x[0] || 1));
  const tall = (v) => TOP + (high - TOP - FOOT) * (1 - v / peak);
  const parts = [0, 0.5, 1].map((share) => s("g", {},
    s("line", { class: "axis", x1: LEFT, x2: W - RIGHT, y1: tall(share * peak), y2: tall(share * peak) }),
    s("text", { x: LEFT - 6, y: tall(share * peak) + 4, "text-anchor": "end" }, top === 1 ? `${100 * share} %` : number(share * peak))));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const v = squared ? most * share ** 2 : x[0] + (most - x[0]) * share;
    parts.push(s("text", { x: place(v), y: high - FOOT + 15, "text-anchor": "middle" }, number(v)));
  }
  parts.push(s("text", { x: (LEFT + W - RIGHT) / 2, y: high - 4, "text-anchor": "middle" }, axis));
  for (const line of lines) {
    if (bars) line.values.forEach((v, i) => parts.push(s("rect", { x: place(x[i]) - 3, width: 6, y: tall(v), height: Math.max(0, tall(0) - tall(v)), fill: line.tint, opacity: 0.75 })));
    else {
      const d = line.values.map((v, i) => `${i ? "L" : "M"}${place(x[i]).toFixed(1)} ${tall(v).toFixed(1)}`).join("");
      parts.push(s("path", { d, fill: "none", stroke: line.tint, "stroke-width": line.dash ? 1.5 : 2.2, "stroke-dasharray": line.dash ?? null, opacity: line.dash ? 0.8 : 1 }));
    }
  }
  const mark = s("line", { class: "here", y1: TOP, y2: high - FOOT, x1: -9, x2: -9 });
  const svg = s("svg", { class: "chart", viewBox: `0 0 ${W} ${high}`, role: "img", "aria-label": label }, ...parts, mark);
  svg.here = (v) => { const at = v === null ? -9 : place(Math.min(v, most)); mark.setAttribute("opacity", v === null ? 0 : 1); mark.setAttribute("x1", at); mark.setAttribute("x2", at); };
  svg.at = (event) => {
    const box = svg.getBoundingClientRect(), share = ((event.clientX - box.left) / box.width * W - LEFT) / (W - LEFT - RIGHT);
    const inside = Math.max(0, Math.min(1, share));
    return squared ? most * inside ** 2 : x[0] + (most - x[0]) * inside;
  };
  svg.here(here);
  return svg;
}
