// How likely each class is, three bars each: as it is, changed, and changed at random.

import { h, percent, write } from "./dom.js";
import { state } from "./state.js";

// How likely, of a model that tells: one that gives labels only does not.
export const sure = (p) => (state.room.access === "labels" ? "" : percent(p));

export class Bars {
  constructor() { this.box = h("div", { class: "bars" }); this.clear(); }

  clear() { this.box.replaceChildren(); this.of = ""; }

  // found: {classes, names, label, p: three rows of probabilities}
  show(found) {
    const of = JSON.stringify([found.names, found.label]);
    if (this.of !== of) this.build(found);
    this.of = of;
    this.rows.forEach(({ all, said }, i) => {
      all.forEach((bar, row) => (bar.style.width = `${100 * found.p[row][i]}%`));
      write(said, sure(found.p[1][i]));
    });
  }

  build(found) {
    this.rows = found.names.map(() => ({ all: [h("i", {}), h("i", {}), h("i", {})], said: h("span", {}) }));
    this.box.replaceChildren(...this.rows.flatMap(({ all, said }, i) => [
      h("span", { class: `name${found.classes[i] === found.label ? " own" : ""}`, title: found.names[i] }, found.names[i]),
      h("span", { class: "track" }, all.map((bar, row) => h("span", { class: `bar ${["", "now", "random"][row]}` }, bar))), said]));
  }
}
