// Starting a run: what the command does, from a form; it can be stopped and goes on.

import { h, on, fill, pick, choice, labelled } from "./dom.js";
import { MethodForm } from "./forms.js";
import { Task } from "./task.js";
import { state } from "./state.js";

const KINDS = [["attack", "Attack"], ["explain", "Explain"], ["audit", "Audit"]];

export class Start {
  // done(id, value) is told of a run that has finished, changed() of one that has been stopped.
  constructor(done, changed) {
    this.done = done;
    this.changed = changed;
    this.kind = "attack";
    this.about = h("small", {});
    this.method = h("div");
    this.limit = h("input", { type: "number", min: 1, step: 1, value: 100, placeholder: "all" });
    this.seed = h("input", { type: "number", min: 0, step: 1, value: 0 });
    this.within = h("input", { type: "text", class: "code", spellcheck: false });
    this.over = pick([["", "all"]], "", () => {});
    this.overBox = labelled("Of the images", this.over);
    this.overBox.hidden = true;
    this.level = pick(["quick", "standard", "thorough"], "standard", () => {});
    this.steps = h("input", { type: "number", min: 1, step: 1, value: 40 });
    this.withinBox = labelled("Change allowed", this.within);
    this.auditBox = [labelled("Level", this.level), labelled("Steps", this.steps)];
    this.task = new Task("start", () => this.again());
    this.task.stop.addEventListener("click", () => setTimeout(changed, 300));
    this.go = h("button", { class: "button main", type: "button", onclick: () => this.begin() }, "Start");
    const kinds = choice("What is run", KINDS, "attack", (k) => { this.kind = k; this.draw(); });
    this.box = h("details", { class: "panel start" }, h("summary", {}, "Start a run"), h("div", { class: "stack" }, kinds, this.about, this.method,
      h("div", { class: "fields" }, this.withinBox, this.auditBox, this.overBox, labelled("Images", this.limit), labelled("Seed", this.seed)), h("div", { class: "row" }, this.go), this.task.box));
    on("room", () => this.room());
    on("slice", (one) => this.slice(one));
  }

  room() {
    const { room } = state;
    this.slice(null);
    this.about.textContent = `${room.address} over ${room.data}, ${room.count} images`;
    this.within.value = `${room.region}(${room.eps})`;
    const form = (name, forms, usual) => (forms.length ? new MethodForm(name, forms, room.layers, forms.some((f) => f.name === usual) ? usual : forms[0].name, () => {}) : null);
    this.forms = { attack: form("Attack", room.attacks, "PGD"), explain: form("Method", room.attributions, "GradCAM") };
    this.draw();
  }

  // What was drawn around on the map may be run over alone.
  slice(one) {
    this.overBox.hidden = !one;
    fill(this.over, one ? [["", "all"], [one.name, `${one.count} drawn around`]] : [["", "all"]], one?.name ?? "");
  }

  draw() {
    const form = this.forms?.[this.kind];
    this.method.replaceChildren(...(form ? [form.box] : this.kind === "audit" ? [h("small", {}, "Accuracy under attacks of growing size, beside random changes of the same size; masked gradients; what it looks at; a report.")] : [h("small", {}, "Nothing of this kind works on this model.")]));
    this.withinBox.hidden = this.kind === "explain";
    for (const one of this.auditBox) one.hidden = this.kind !== "audit";
    this.go.disabled = this.kind !== "audit" && !form;
  }

  begin() {
    const words = { model: state.model, kind: this.kind, limit: this.limit.value === "" ? null : Math.round(+this.limit.value), seed: Math.round(+this.seed.value) || 0, slice: this.over.value };
    if (this.kind === "audit") Object.assign(words, { level: this.level.value, steps: Math.round(+this.steps.value) || 40 });
    else words.method = this.forms[this.kind].value;
    if (this.kind !== "explain") words.within = this.within.value.trim();
    return this.run("start", words);
  }

  resume(id) { this.box.open = true; return this.run("resume", { run: id }); }

  async run(act, words) {
    this.again = () => this.run(act, words);
    const found = await this.task.run(act, words, { what: "begins" });
    if (found) this.done(found.value.id, found.value);
    else this.changed();
  }
}
