// Probabilities over the size of a change, by an attack and at random.

import { h, failure, number } from "./dom.js";
import { lineChart, TINTS } from "./chart.js";
import { saveSvg } from "./save.js";
import { key } from "./look.js";
import { state } from "./state.js";

export class Curve {
  // chosen(size): somebody points at a size
  constructor(chosen) {
    this.chosen = chosen;
    this.chart = h("div", {});
    this.legend = h("div", { class: "row" });
    const save = h("button", { class: "quiet", type: "button", onclick: () => this.svg && saveSvg("curve", this.svg) }, "SVG");
    this.box = h("div", { class: "panel stack" }, h("div", { class: "row" }, h("h2", { class: "grow" }, "Over the size of the change"), save), this.legend, this.chart);
    this.clear("");
    this.at = null;
  }

  get svg() { return this.chart.firstChild; }
  get keys() { return this.names.map((n, k) => [n, TINTS[k]]); }
  get told() { return this.legend.querySelector("small")?.textContent ?? ""; }

  clear(text) {
    state.wire?.drop("curve");
    this.names = [];
    this.chart.replaceChildren();
    this.legend.replaceChildren(h("small", {}, text));
  }

  stop() { if (!this.svg) this.clear("stopped"); }

  async ask(words, arrays) {
    this.clear("being worked out");
    try {
      const { value, arrays: rows } = await state.wire.ask("curve", "curve", words, { idle: true, arrays });
      this.draw({ ...value, ...rows }, words.norm);
    } catch (error) { this.legend.replaceChildren(failure(error)); }
  }

  draw(found, norm) {
    const rows = (array, k) => Array.from({ length: found.sizes.length }, (_, i) => array.data[i * found.classes.length + k]);
    const lines = found.classes.flatMap((c, k) => [{ values: rows(found.random, k), tint: TINTS[k], dash: "4 4" }, { values: rows(found.attack, k), tint: TINTS[k] }]);
    const svg = lineChart({ x: found.sizes, lines, squared: true, axis: `size of the change in ${norm} (solid: attack, dashed: random)`, label: "Probability of each class over the size of the change", here: this.at });
    svg.addEventListener("click", (e) => this.chosen(svg.at(e)));
    const flip = (v) => (v === null ? `no size up to ${number(found.sizes.at(-1))}` : number(v));
    this.names = found.names;
    this.legend.replaceChildren(...found.names.map((n, k) => key(n, TINTS[k])), h("small", {}, `First of ${found.sizes.length - 1} sizes that flips it: ${flip(found.flip)}; at random: ${flip(found.random_flip)}`));
    this.chart.replaceChildren(svg);
  }

  // Mark a size, or none.
  here(at) { this.at = at; this.svg?.here(at); }
}
