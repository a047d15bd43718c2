// Two runs side by side: what holds in each over the images of both, and which images changed.

import { h, number, failure } from "./dom.js";
import { lineChart, TINTS } from "./chart.js";
import { Lines } from "./lines.js";
import { key } from "./look.js";
import { squareOf } from "./picker.js";
import { pictured, saveSvg } from "./save.js";
import { state } from "./state.js";

const HELD = { both: "in both", first: "in the first alone", second: "in the second alone", neither: "in neither" };

export class Compare {
  constructor() {
    this.body = h("div", { class: "stack" });
    this.title = h("h2", { class: "grow", tabIndex: -1 }, "Side by side");
    this.lines = new Lines({ figure: () => this.figure() });
    this.box = h("div", { class: "stack", hidden: true }, h("div", { class: "panel stack" }, this.title, this.body), this.lines.box);
  }

  async show(first, second) {
    this.box.hidden = false;
    try {
      const { value } = await state.wire.ask("compare", "compare", { run: first, other: second });
      this.names = [first, second];
      this.body.replaceChildren(this.legend(value), this.rates(value), this.chart(value), this.means(value), this.changed(value));
      this.lines.show(value);
      this.title.focus({ preventScroll: true });
      this.thumbs(value);
    } catch (error) { this.body.replaceChildren(failure(error)); this.lines.box.hidden = true; }
  }

  figure() {
    const rows = [...this.body.querySelectorAll("tr")].map((row) => [...row.children].map((c) => c.textContent).filter(Boolean).join(" · "));
    return { name: "compare", panels: this.grid?.isConnected ? pictured(this.grid) : [], charts: [...this.body.querySelectorAll("svg.chart")], keys: this.names.map((n, k) => [n, TINTS[k]]), told: [this.names.join(" beside "), ...rows] };
  }

  legend({ n, alone, differ }) {
    const rows = Object.entries(differ).map(([name, [a, b]]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, h("code", {}, a)), h("td", {}, h("code", {}, b))));
    const left = alone.some(Boolean) ? ` ${alone[0]} are in the first alone, ${alone[1]} in the second; they count nowhere here.` : "";
    return h("div", { class: "wide" }, h("p", { class: "soft" }, `${n} images of both.${left}${rows.length ? "" : " They were asked for in the same words."}`),
      rows.length ? h("table", { class: "wrap" }, head(["", ...this.names], false), h("tbody", {}, rows)) : "");
  }

  rates({ rates, same, counts }) {
    const rows = Object.entries(rates).map(([name, r]) => h("tr", {}, h("th", { scope: "row" }, name), cell(share(r.first)), cell(share(r.second)), cell(points(r.more))));
    for (const [name, r] of Object.entries(same)) rows.push(h("tr", {}, h("th", { scope: "row" }, `the same ${name}`), h("td", { class: "number", colSpan: 3 }, share(r))));
    if (!rows.length) return "";
    const told = counts.of ? Object.keys(HELD).map((k) => `${HELD[k]} ${counts[k]}`).join(", ") : "";
    return h("div", { class: "wide" }, h("table", {}, h("caption", { class: "soft" }, "in %, with 95 % intervals; the difference is paired, image by image"), head(["", ...this.names, "second less first"]), h("tbody", {}, rows)), told ? h("p", { class: "soft" }, `${counts.of}: ${told}.`) : "");
  }

  // Of two audits the accuracy over the size of the change.
  chart({ curves }) {
    if (!curves) return "";
    const x = [...new Set(curves.flatMap((c) => c.radii))].sort((a, b) => a - b), lines = [], names = { pgd: null, "worst-random": "4 4" };
    curves.forEach((c, i) => Object.entries(names).forEach(([run, dash]) => {
      const at = (part) => x.map((v) => along(c.radii, c[run].map((r) => r[part]), v));
      lines.push({ values: at(0), tint: TINTS[i], dash }, ...(dash ? [] : [{ values: at(1), tint: TINTS[i], dash: "1 3" }, { values: at(2), tint: TINTS[i], dash: "1 3" }]));
    }));
    const svg = lineChart({ x, lines, squared: true, axis: `size of the change in ${curves[0].norm} (solid: attack with its interval; dashed: the worst of random changes)`, label: "Accuracy over the size of the change, of both runs" });
    return h("figure", {}, h("figcaption", { class: "row" }, this.names.map((n, k) => key(n, TINTS[k])), h("button", { class: "quiet", type: "button", onclick: () => saveSvg("compare", svg) }, "SVG")), svg);
  }

  means({ means }) {
    const rows = Object.entries(means).map(([name, m]) => h("tr", {}, h("th", { scope: "row" }, name), cell(span(m.first)), cell(span(m.second)), cell(span(m.more)), cell(m.more[3])));
    return rows.length ? h("details", {}, h("summary", {}, "Means of the columns"), h("div", { class: "wide" }, h("table", {}, h("caption", { class: "soft" }, "with 95 % intervals, where both have a number"), head(["", ...this.names, "second less first", "n"]), h("tbody", {}, rows)))) : "";
  }

  changed({ changed, counts }) {
    if (!counts.of) return "";
    const many = counts.first + counts.second;
    if (!many) return h("p", {}, `No image changed: ${counts.of} is the same for all of them.`);
    const shown = changed.slice(0, 60);
    this.grid = h("div", { class: "changed" }, ["first", "second"].map((kind) => {
      const own = shown.filter((one) => one.held === kind);
      return own.length ? h("div", {}, h("h3", {}, `${counts[kind]} ${counts.of} ${HELD[kind]}`), h("div", { class: "near" }, own.map((one) => h("figure", { "data-id": one.id }, h("span", { class: "pair" }), one.id)))) : "";
    }));
    return h("div", { class: "stack" }, h("h3", {}, `${many} images changed${many > shown.length ? `, ${shown.length} of them shown` : ""}`), this.grid);
  }

  // Each changed image as both runs left it.
  async thumbs({ changed }) {
    const ids = changed.slice(0, 60).map((one) => one.id);
    if (!ids.length) return;
    const found = [];
    for (const run of this.names) {
      try { found.push(await state.wire.ask(`compare-${found.length}`, "run_thumbs", { run, ids }, { idle: true })); } catch { return; }
    }
    for (const node of this.grid.querySelectorAll("figure")) {
      const shown = [], [{ value, arrays }] = found, k = value.ids.indexOf(node.dataset.id);
      if (k >= 0) shown.push([squareOf(arrays.before, k), "as it is"]);
      found.forEach((f, i) => { const j = f.value.changed.indexOf(node.dataset.id); if (j >= 0) shown.push([squareOf(f.arrays.after, j), `in ${this.names[i]}`]); });
      node.firstChild.replaceChildren(...shown.map(([canvas, name]) => { canvas.title = name; canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `${node.dataset.id} ${name}`); return canvas; }));
    }
  }
}

const head = (names, numbers = true) => h("thead", {}, h("tr", {}, names.map((n, i) => h("th", { scope: "col", class: i && numbers ? "number" : "" }, n))));
const cell = (text) => h("td", { class: "number" }, text);
const share = ([v, low, high, n]) => `${(100 * v).toFixed(1)} [${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}] of ${n}`;
const points = ([v, low, high]) => `${v > 0 ? "+" : ""}${(100 * v).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
const span = ([v, low, high]) => `${number(v)} [${number(low)}, ${number(high)}]`;

// A curve's value at any place, straight between those that are known.
function along(at, values, v) {
  if (v > at.at(-1)) return values.at(-1);
  const k = Math.max(1, at.findIndex((a) => a >= v)), share = (v - at[k - 1]) / (at[k] - at[k - 1] || 1);
  return values[k - 1] + share * (values[k] - values[k - 1]);
}
