// One slide as a page shows it, and the way to the others. Used by the live page and, written into them, by static pages.

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key in node && !key.startsWith("aria") && key !== "list") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

let count = 0;
const told = (v) => (typeof v === "number" ? String(Number(v.toPrecision(4))) : v);
const passes = (v) => (v >= 100 ? Math.round(v).toLocaleString("en") : String(Number(v.toPrecision(3))));

// What a slider is set by: any number between where the page is live, else one of its stops.
function control(slider, live, changed) {
  const label = h("span", {}, slider.label), value = h("output", {});
  if (!slider.step) {
    const buttons = slider.stops.map((stop) => h("button", { type: "button", onclick: () => changed(stop) }, told(stop)));
    const box = h("div", { class: "slider" }, h("p", {}, label), h("div", { class: "choice", role: "group", "aria-label": slider.label }, buttons));
    return { box, set: (v) => slider.stops.forEach((stop, i) => buttons[i].setAttribute("aria-pressed", String(stop === v))) };
  }
  const last = slider.stops.length - 1, id = `slider-${++count}`;
  const range = live ? { min: slider.stops[0], max: slider.stops[last], step: slider.step } : { min: 0, max: last, step: 1 };
  const node = h("input", { type: "range", id, ...range, oninput: () => changed(live ? +node.value : slider.stops[+node.value]) });
  const set = (v) => {
    const at = String(live ? v : Math.max(0, slider.stops.indexOf(v)));
    if (node.value !== at) node.value = at;
    value.textContent = told(v);
    node.setAttribute("aria-valuetext", told(v));
  };
  return { box: h("div", { class: "slider" }, h("label", { htmlFor: id }, label, " ", value), node), set };
}

// slide: its outline; ask(settings, printed, name) promises a state, which says what it was made with.
export function makeSlide(slide, ask, live) {
  let settings = Object.fromEntries(slide.sliders.map((s) => [s.name, s.default])), printed = false;
  const says = h("p", { class: "says", role: "status" }), figures = h("div", { class: "figures" }), tables = h("div", { class: "tables" });
  const facts = h("dl", { class: "facts" }), numbers = h("pre"), python = h("pre"), command = h("pre"), body = h("div", { class: "shown" }, says, figures, tables);
  const controls = Object.fromEntries(slide.sliders.map((s) => [s.name, control(s, live, (v) => { settings = { ...settings, [s.name]: v }; sync(); update(s.name); })]));
  const box = slide.printed && h("input", { type: "checkbox", id: "printed", onchange: () => { printed = box.checked; update(""); } });

  function sync() { for (const [name, one] of Object.entries(controls)) one.set(settings[name]); if (box) box.checked = printed; }

  // While a slider moves, answers to older wishes are shown on the way: they leave the slider where the hand has it.
  let wishes = 0;
  async function update(name) {
    const wish = ++wishes;
    body.classList.add("wait");
    try { draw(await ask(settings, printed, name), wish); } catch (error) { draw({ error: error.message, hint: error.hint }, wish); }
  }

  function draw(state, wish) {
    if (wish === wishes) body.classList.remove("wait");
    if (state.settings && wish === wishes) {
      ({ printed, ...settings } = state.settings);
      sync();
    }
    if (state.error) {
      says.replaceChildren(h("span", { class: "error" }, state.error, state.hint && h("small", {}, state.hint)));
      figures.replaceChildren(); tables.replaceChildren(); facts.replaceChildren(); numbers.textContent = "";
      return;
    }
    says.textContent = state.says;
    body.classList.toggle("as-printed", Boolean(state.settings?.printed ?? printed));
    figures.replaceChildren(...state.figures.map((one) => h("figure", { "data-name": one.name }, h("div", { class: "wide", tabIndex: 0, role: "group", "aria-label": `${one.name}, scrolls where it is wider than the page` }, h("img", { src: one.src, alt: one.caption || one.name })), h("figcaption", {}, one.caption, " ", h("span", { class: "control" }, "Control: ", one.control, ".")))));
    tables.replaceChildren(...state.tables.map(tableOf));
    facts.replaceChildren(
      ...state.cost.flatMap((one) => [h("dt", {}, one.what), h("dd", {}, `${passes(one.forward)} forward, ${passes(one.backward)} backward an image`)]),
      h("dt", {}, "seed"), h("dd", {}, String(slide.seed)), h("dt", {}, "took"), h("dd", { class: "took" }, `${state.seconds} s`),
    );
    numbers.textContent = JSON.stringify(state.numbers, null, 1);
    python.textContent = state.python;
    command.textContent = state.command;
  }

  const errata = slide.errata.map((one) => h("div", { class: "erratum" }, h("p", {}, h("b", {}, one.number), " printed: ", h("q", {}, one.printed)), h("p", {}, one.right)));
  const side = h("aside", { class: "side" },
    slide.sliders.length > 0 && h("div", { class: "panel" }, Object.values(controls).map((c) => c.box), slide.alone && h("p", { class: "alone" }, "In this file one of them moves at a time, and the others go back to where they began. Live they all move.")),
    slide.printed && h("label", { class: "switch", htmlFor: "printed" }, box, " as printed on the slide"),
    errata.length > 0 && h("div", { class: "panel errata" }, h("h3", {}, "Corrected here"), errata),
    h("div", { class: "panel" }, h("h3", {}, "What it shows"), h("p", {}, slide.shows), h("h3", {}, "What it does not show"), h("p", {}, slide.shows_not)),
    h("div", { class: "panel" }, h("h3", {}, "Cost"), facts),
    h("details", {}, h("summary", {}, "Numbers"), numbers),
    h("details", {}, h("summary", {}, "The same in Python, and as a command"), python, command),
  );
  const node = h("article", {}, h("header", {}, h("p", { class: "count" }, `${slide.number} · ${slide.requirements}`), h("h1", { tabIndex: -1 }, slide.title)), h("div", { class: "two" }, body, side));
  sync();
  update("");
  return { node, toggle: () => { if (box) { printed = !printed; box.checked = printed; update(""); } } };
}

function tableOf(one) {
  const row = (cells, tag) => h("tr", {}, cells.map((c) => h(tag, {}, c)));
  return h("figure", {}, one.title && h("figcaption", {}, one.title), h("div", { class: "wide" }, h("table", {}, h("thead", {}, row(one.header, "th")), h("tbody", {}, one.rows.map((cells) => row(cells, "td"))))));
}

// The list of all slides; href(slide) is where one is.
export function makeList(parts, here, href) {
  return h("nav", { class: "list", "aria-label": "slides" }, parts.map((part) => [
    h("h2", {}, part.title),
    h("ol", { start: part.slides[0].number }, part.slides.map((s) => h("li", {}, h("a", { href: href(s), "aria-current": s.key === here ? "page" : null }, s.title)))),
  ]));
}

export function onKeys({ back, on, toggle, first }) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.altKey || event.ctrlKey || event.metaKey || (typing && event.target.type !== "checkbox")) return;
    const act = { ArrowLeft: back, PageUp: back, ArrowRight: on, PageDown: on, Home: first, p: toggle }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// What static pages hold: the state of exactly these settings, or, of very many sliders, of this one alone.
export function among(slide, states) {
  const key = (settings, printed) => JSON.stringify([printed, ...slide.sliders.map((s) => settings[s.name])]);
  const known = new Map(states.map((state) => [key(state.settings, state.settings.printed), state]));
  const defaults = Object.fromEntries(slide.sliders.map((s) => [s.name, s.default]));
  return async (settings, printed, name) => {
    const alone = name ? { ...defaults, [name]: settings[name] } : defaults;
    return known.get(key(settings, printed)) ?? known.get(key(alone, printed)) ?? known.get(key(defaults, printed));
  };
}
