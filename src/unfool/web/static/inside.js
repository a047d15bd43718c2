// Inside: nearest images, units, a map of images, filters.

import { h, on, fill, pick, choice, number, failure } from "./dom.js";
import { pixels } from "./paint.js";
import { Lines } from "./lines.js";
import { Units } from "./units.js";
import { ImageMap } from "./map.js";
import { squareOf } from "./picker.js";
import { pictured } from "./save.js";
import { state, chooseImage } from "./state.js";

const PARTS = [["near", "Nearest images"], ["units", "Units"], ["map", "Map"], ["filters", "Filters"]];
let parts, open = "near", lines, told, sheet, layer, near, seen = "", filtered = "";

export function makeInside(section) {
  lines = new Lines({ figure: () => parts[open].figure(), film: () => parts[open].film?.() ?? null });
  parts = { near: nearBox(), units: new Units(lines), map: new ImageMap(lines), filters: filterBox() };
  const which = choice("What is inside", PARTS, open, (name) => { open = name; show(); });
  which.classList.add("parts");
  section.append(which, ...Object.values(parts).map((p) => p.box), lines.box);
  on("room", () => { seen = filtered = ""; fill(layer, [["", "the first"], ...state.room.layers], ""); parts.units.room(); parts.map.room(); });
  for (const what of ["image", "view"]) on(what, show);
}

function show() {
  for (const [name, part] of Object.entries(parts)) part.box.hidden = name !== open;
  lines.box.hidden = true;
  if (state.view === "inside" && state.seen) parts[open].show();
}

function nearBox() {
  near = h("div", { class: "stack" });
  return { box: h("div", { class: "panel stack" }, h("h2", {}, "Nearest images"), near), show: neighbours, figure: () => ({ name: `near-${state.image}`, panels: pictured(near), told: ["The images that the network takes for most alike; then, as the control, those whose pixels are."] }) };
}

function filterBox() {
  layer = pick([], "", () => { filtered = ""; filters(); });
  layer.id = "filter-layer";
  sheet = h("div", { class: "filters" });
  told = h("p", { class: "soft" });
  const head = h("div", { class: "row end" }, h("h2", { class: "grow" }, "Filters"), h("div", {}, h("label", { htmlFor: "filter-layer" }, "Layer"), layer));
  return { box: h("div", { class: "panel stack" }, head, told, sheet), show: filters, figure: () => ({ name: `filters-${layer.value || "first"}`, panels: pictured(sheet), told: [told.textContent] }) };
}

let ofFilters = null, ofNear = null;
async function filters() {
  const key = `${state.model} ${layer.value}`;
  if (filtered === key) return ofFilters && lines.show(ofFilters);
  filtered = key;
  try {
    const { value, arrays } = await state.wire.ask("filters", "filters", { model: state.model, layer: layer.value });
    const { shape, data } = arrays.filters, [count, channels, high, wide] = shape, n = channels * high * wide;
    told.textContent = `${value.total} filters ${channels}x${high}x${wide} of ${value.layer}${count < value.total ? `, ${count} of them shown` : ""}; batch norm folded in, all on one scale around grey.`;
    const most = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
    sheet.replaceChildren(...Array.from({ length: count }, (_, k) => {
      const canvas = h("canvas", { role: "img", "aria-label": `Filter ${k}` });
      pixels(canvas, wide, high, (i, d, at) => {
        for (let c = 0; c < 3; c++) {
          let v = 0;
          if (channels === 3) v = data[k * n + c * high * wide + i];
          else for (let m = 0; m < channels; m++) v += data[k * n + m * high * wide + i] / channels;
          d[at + c] = 127.5 * (1 + v / most);
        }
      });
      return h("figure", {}, canvas, String(k));
    }));
    lines.show((ofFilters = value));
  } catch (error) { told.replaceChildren(failure(error)); sheet.replaceChildren(); filtered = ""; }
}

const NAMES = { layer: "as the network sees them: the last layer's features", pixels: "the control: by their pixels alone" };

async function neighbours() {
  const key = `${state.model} ${state.image}`;
  if (seen === key) return ofNear && lines.show(ofNear);
  seen = key;
  near.replaceChildren(h("small", {}, "being looked for"));
  try {
    const { value, arrays } = await state.wire.ask("near", "neighbours", { model: state.model, image: state.image }, { hold: true });
    if (seen !== key) return;
    near.replaceChildren(h("small", {}, `of ${value.among} images of the data, drawn once`), ...Object.entries(value.spaces).flatMap(([name, found]) => [
      h("h3", {}, NAMES[name]),
      h("div", { class: "near" }, found.map((one, k) => h("figure", {}, h("button", { class: "thumb", type: "button", "aria-label": `${one.id}, ${one.label}`, title: one.id, onclick: () => chooseImage(one.id) }, squareOf(arrays[name], k), one.label ? h("span", {}, one.label) : null), number(one.far)))),
    ]));
    lines.show((ofNear = value));
  } catch (error) { if (seen === key) near.replaceChildren(failure(error)); ofNear = null; }
}
