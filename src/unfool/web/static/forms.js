// A method's form: which one, its options, and the line of Python they come to.

import { h, fresh, pick } from "./dom.js";

// Options that must be given and have no default.
const USUAL = { Attack: "PGD()", attack: "PGD()", attacks: "(PGD(), FGSM())" };

export class MethodForm {
  // forms: the family as the server lists it; changed(text) is told of every change.
  constructor(name, forms, layers, start, changed) {
    this.forms = new Map(forms.map((f) => [f.name, f]));
    this.layers = layers;
    this.changed = changed;
    this.values = {};
    this.select = pick([...this.forms.keys()], start, (n) => this.choose(n), { "aria-label": name });
    this.text = h("input", { type: "text", class: "code", "aria-label": `${name} as Python`, spellcheck: false, onchange: () => this.typed() });
    this.about = h("small", { class: "about" });
    this.fields = h("div", { class: "fields" });
    this.details = h("details", {}, h("summary", {}, "Options"), this.about, this.fields, h("div", {}, h("label", {}, "as Python"), this.text));
    this.box = h("div", { class: "stack" }, this.select, this.details);
    this.choose(start, false);
  }

  get form() { return this.forms.get(this.select.value); }

  choose(name, say = true) {
    this.select.value = name;
    const form = this.form;
    this.values = { ...(form.given ?? {}) };
    for (const f of form.fields) if (f.default === null) this.values[f.name] = USUAL[f.name] ?? f.family[0] ?? "";
    this.about.textContent = form.short;
    this.fields.replaceChildren(...form.fields.map((f) => this.field(f)));
    this.write(say);
  }

  write(say = true) {
    const given = Object.entries(this.values).filter(([, v]) => v !== "");
    this.value = `${this.select.value}(${given.map(([k, v]) => `${k}=${v}`).join(", ")})`;
    this.text.value = this.value;
    if (say) this.changed(this.value);
  }

  // The line itself was edited: it counts as it stands.
  typed() {
    this.value = this.text.value.trim();
    const name = this.value.split("(")[0];
    if (this.forms.has(name)) this.select.value = name;
    this.changed(this.value);
  }

  field(f) {
    const set = (text) => {
      if (text === f.default || text === "") delete this.values[f.name];
      else this.values[f.name] = text;
      this.write();
    };
    const id = fresh("option"), start = this.values[f.name] ?? f.default ?? "";
    const node = input(f, start, set, this.layers);
    node.id = id;
    node.classList.toggle("code", f.kind === "python");
    return h("div", { title: f.help }, h("label", { htmlFor: id }, f.name), node);
  }
}

function input(f, start, set, layers) {
  const say = (node, text) => Object.assign(node, { onchange: () => set(text ? text(node.value) : node.value) });
  if (f.kind === "flag") return pick([["True", "yes"], ["False", "no"]], start, set);
  if (f.kind === "choice") return pick(f.choices.map((c) => [c, c.replace(/^'|'$/g, "")]), start, set);
  if (f.kind === "layer") {
    const usual = ["'auto'", "'stages'", "'all'"].map((t) => [t, t.slice(1, -1)]);
    return pick([...usual, ...layers.map((l) => [`'${l}'`, l])], start, set);
  }
  if (f.kind === "whole" || f.kind === "number") {
    const step = f.kind === "whole" ? 1 : "any";
    return say(h("input", { type: "number", value: start, step, min: f.low ?? undefined, max: f.high ?? undefined }));
  }
  const node = h("input", { type: "text", value: start, spellcheck: false });
  if (f.family.length) node.setAttribute("list", known(f.family));
  return say(node);
}

// A list of texts to choose from, made once.
const lists = new Map();
function known(texts) {
  const key = texts.join();
  if (!lists.has(key)) {
    lists.set(key, fresh("known"));
    document.body.append(h("datalist", { id: lists.get(key) }, texts.map((t) => h("option", { value: t }))));
  }
  return lists.get(key);
}
