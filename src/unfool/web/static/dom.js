// A few words for making elements. Nothing here takes HTML.

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  set(node, props);
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
export function s(tag, props = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(props)) if (value !== null) node.setAttribute(key, value);
  node.append(...children.flat());
  return node;
}

function set(node, props) {
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key in node && !key.startsWith("aria") && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
}

let count = 0;
export const fresh = (name) => `${name}-${++count}`;

// A labelled input: label(text, node) gives both in one box.
export function labelled(text, node, help = "") {
  if (!node.id) node.id = fresh("in");
  return h("div", { class: "grow", title: help }, h("label", { htmlFor: node.id }, text), node);
}

export function pick(options, value, onchange, props = {}) {
  const node = h("select", { onchange: () => onchange(node.value), ...props });
  fill(node, options, value);
  return node;
}

// options: [value, text] or text
export function fill(node, options, value) {
  node.replaceChildren(
    ...options.map((o) => {
      const [v, text] = Array.isArray(o) ? o : [o, o];
      return h("option", { value: v, selected: String(v) === String(value) }, text);
    }),
  );
}

// A row of buttons of which one is pressed.
export function choice(name, options, value, onchange) {
  const node = h("div", { class: "choice", role: "group", "aria-label": name });
  const draw = (now) =>
    node.replaceChildren(
      ...options.map(([v, text]) =>
        h("button", { type: "button", "aria-pressed": String(v === now), onclick: () => { draw(v); onchange(v); node.querySelector('[aria-pressed="true"]').focus(); } }, text),
      ),
    );
  draw(value);
  return node;
}

export function slider(name, { min = 0, max = 100, step = 1, value, show = (v) => v, oninput, id = fresh("range") }) {
  const said = h("span", {}, String(show(value)));
  const node = h("input", { type: "range", id, min, max, step, value, oninput: () => { update(); oninput(+node.value); } });
  const update = () => { said.textContent = show(+node.value); node.setAttribute("aria-valuetext", show(+node.value)); };
  update();
  const box = h("div", { class: "grow" }, h("label", { htmlFor: id }, name, " ", said), node);
  return { box, node, set: (v) => { node.value = v; update(); } };
}

export function number(v) {
  if (v === null || v === undefined) return "–";
  if (!Number.isFinite(v)) return String(v);
  if (v !== 0 && (Math.abs(v) < 0.001 || Math.abs(v) >= 100000)) return v.toExponential(2);
  return Number(v.toPrecision(3)).toString();
}
export const percent = (p) => (p > 0.9995 && p < 1 ? "> 99.9 %" : p > 0 && p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);

export function failure(error) {
  return h("p", { class: "error", role: "alert" }, error.message, error.hint ? h("small", {}, error.hint) : null);
}

// Text that is the same is left alone: setting it would lay the page out again.
export function write(node, text) { if (node.textContent !== text) node.textContent = text; }

// Whether what is drawn in `one` is made of the same things as when it was last asked.
export function still(one, ...of) {
  const same = one.of?.every((v, k) => v === of[k]);
  one.of = of;
  return same;
}

// `call` once before the next picture of the screen, however often it was asked for.
export function soon(call) {
  let due = false;
  return () => {
    if (!due) requestAnimationFrame(() => { due = false; call(); });
    due = true;
  };
}

// Subjects that several views watch.
const watchers = new Map();
export function on(what, call) {
  if (!watchers.has(what)) watchers.set(what, []);
  watchers.get(what).push(call);
}
export function tell(what, value) {
  for (const call of watchers.get(what) ?? []) call(value);
}
