// Inside: a convolution's filters, and which images are nearest to this one.

import { h, on, fill, pick, number, failure } from "./dom.js";
import { pixels } from "./paint.js";
import { Lines } from "./lines.js";
import { squareOf } from "./picker.js";
import { state, chooseImage } from "./state.js";

let layer, sheet, told, near, lines, seen = "", filtered = "";

export function makeInside(section) {
  layer = pick([], "", () => { filtered = ""; filters(); });
  layer.id = "filter-layer";
  sheet = h("div", { class: "filters" });
  told = h("p", { class: "soft" });
  near = h("div", { class: "stack" });
  lines = new Lines();
  section.append(
    h("div", { class: "panel stack" }, h("h2", {}, "Nearest images"), near),
    h("div", { class: "panel stack" }, h("div", { class: "row end" }, h("h2", { class: "grow" }, "Filters"), h("div", {}, h("label", { htmlFor: "filter-layer" }, "Layer"), layer)), told, sheet),
    lines.box);
  on("room", () => { fill(layer, [["", "the first"], ...state.room.layers], ""); seen = filtered = ""; });
  for (const what of ["image", "view"]) on(what, () => { if (state.view === "inside" && state.seen) { neighbours(); filters(); } });
}

async function filters() {
  const key = `${state.model} ${layer.value}`;
  if (filtered === key) return;
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
    lines.show(value);
  } catch (error) { told.replaceChildren(failure(error)); sheet.replaceChildren(); filtered = ""; }
}

const NAMES = { layer: "as the network sees them: the last layer's features", pixels: "the control: by their pixels alone" };

async function neighbours() {
  const key = `${state.model} ${state.image}`;
  if (seen === key) return;
  seen = key;
  near.replaceChildren(h("small", {}, "being looked for"));
  try {
    const { value, arrays } = await state.wire.ask("near", "neighbours", { model: state.model, image: state.image }, { hold: true });
    if (seen !== key) return;
    near.replaceChildren(h("small", {}, `of ${value.among} images of the data, drawn once`), ...Object.entries(value.spaces).flatMap(([name, found]) => [
      h("h3", {}, NAMES[name]),
      h("div", { class: "near" }, found.map((one, k) => h("figure", {}, h("button", { class: "thumb", type: "button", "aria-label": `${one.id}, ${one.label}`, title: one.id, onclick: () => chooseImage(one.id) }, squareOf(arrays[name], k), one.label ? h("span", {}, one.label) : null), number(one.far)))),
    ]));
    if (value.command) lines.show({ ...value, python: "" });
  } catch (error) { near.replaceChildren(failure(error)); }
}
