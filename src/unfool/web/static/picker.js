// The rail: which model, which image; an own one may be dropped anywhere on the page.

import { h, fill, on, pick, tell, failure } from "./dom.js";
import { state, chooseModel, chooseImage } from "./state.js";

const COUNT = 40;
let box, grid, place, models, own, problem, back, on_, slice;

export function makePicker(rail) {
  box = rail;
  models = pick([], 0, (k) => chooseModel(+k).catch(show), { "aria-label": "Model", id: "model" });
  grid = h("div", { class: "thumbs strip", role: "listbox", "aria-label": "Images", id: "thumbs", onkeydown: keys });
  place = h("small", { "aria-live": "polite" });
  own = h("div", { class: "thumbs", role: "listbox", "aria-label": "Own pictures", hidden: true });
  problem = h("div");
  slice = h("div", { hidden: true });
  back = h("button", { class: "button", type: "button", "aria-label": "Earlier images", onclick: () => turn(-1) }, "‹");
  on_ = h("button", { class: "button", type: "button", "aria-label": "Later images", onclick: () => turn(1) }, "›");
  const file = h("input", { type: "file", accept: "image/*", id: "own", onchange: () => { take(file.files); file.value = ""; } });
  rail.append(
    h("div", {}, h("label", { htmlFor: "model" }, "Model"), models),
    h("div", { class: "row" }, h("h2", { class: "grow" }, "Images"), back, on_),
    slice, place, grid, problem, own,
    h("div", { class: "drop" }, h("label", { htmlFor: "own" }, "Drop a picture here, or choose one"), file),
  );
  document.addEventListener("dragover", (e) => { e.preventDefault(); document.body.classList.add("over"); });
  document.addEventListener("dragleave", (e) => { if (!e.relatedTarget) document.body.classList.remove("over"); });
  document.addEventListener("drop", (e) => { e.preventDefault(); document.body.classList.remove("over"); take(e.dataTransfer.files); });
  on("models", () => fill(models, state.models.map((m, k) => [k, m]), state.model));
  on("room", () => { models.value = state.model; own.replaceChildren(); own.hidden = true; chip(null); page(state.want ?? null); state.want = null; });
  on("slice", cut);
  on("choosing", mark);
  on("image", (value) => { if (value.error) show({ message: value.error }); else problem.replaceChildren(); });
}

function show(error) { problem.replaceChildren(failure(error)); }

async function page(want = null) {
  try {
    const words = { model: state.model, start: state.start, count: COUNT, slice: state.slice };
    const { value, arrays } = await state.wire.ask("thumbs", "thumbs", words);
    state.ids = value.ids;
    grid.replaceChildren(...value.ids.map((id, k) => thumb(id, arrays.pixels, k, value.labels[k], value.errors[id])));
    const last = state.start + value.ids.length;
    place.textContent = `${state.start + 1} to ${last} of ${value.total}`;
    back.disabled = state.start === 0;
    on_.disabled = last >= value.total;
    await chooseImage(want ?? value.ids.find((id) => !value.errors[id]) ?? value.ids[0]);
  } catch (error) { show(error); }
}

// Only the images of a slice, or all again.
function chip(one) {
  state.slice = one?.name ?? "";
  slice.hidden = !one;
  slice.replaceChildren(one ? h("span", { class: "chip" }, `${one.count} drawn around`, h("button", { class: "quiet", type: "button", "aria-label": "All images again", onclick: () => tell("slice", null) }, "✕")) : "");
}

function cut(one) {
  chip(one);
  state.start = 0;
  if (one) tell("open", "look");
  return page();
}

function turn(way) {
  state.start = Math.max(0, state.start + way * COUNT);
  return page();
}

export function squareOf(pixels, k) {
  const [, high, wide] = pixels.shape, canvas = h("canvas", { width: wide, height: high });
  const c = canvas.getContext("2d"), out = c.createImageData(wide, high);
  for (let i = 0, j = 3 * k * wide * high; i < out.data.length; i += 4, j += 3) {
    for (let n = 0; n < 3; n++) out.data[i + n] = pixels.data[j + n];
    out.data[i + 3] = 255;
  }
  c.putImageData(out, 0, 0);
  return canvas;
}

// The same as a file [BMP, rows from the top]: the browser keeps a layer for each canvas and puts all of them together
// again for every picture of a drag, but none for an image.
function fileOf(pixels, k) {
  const [, high, wide] = pixels.shape, row = (3 * wide + 3) & ~3, file = new Uint8Array(54 + row * high), head = new DataView(file.buffer);
  head.setUint16(0, 0x424d);
  for (const [at, value] of [[2, file.length], [10, 54], [14, 40], [18, wide], [22, -high]]) head.setInt32(at, value, true);
  head.setInt16(26, 1, true);
  head.setInt16(28, 24, true);
  for (let y = 0, j = 3 * k * wide * high; y < high; y++)
    for (let x = 0, i = 54 + y * row; x < wide; x++, i += 3, j += 3) for (let n = 0; n < 3; n++) file[i + n] = pixels.data[j + 2 - n];
  const src = URL.createObjectURL(new Blob([file], { type: "image/bmp" }));
  return h("img", { alt: "", draggable: false, width: wide, height: high, src, onload: () => URL.revokeObjectURL(src) });
}

function thumb(id, pixels, k, label, error) {
  return h("button", {
    class: "thumb", type: "button", role: "option", tabIndex: -1, "data-id": id, "aria-selected": "false",
    "aria-label": `${id}${label ? `, ${label}` : ""}${error ? ", cannot be read" : ""}`, title: error ?? id,
    onclick: () => chooseImage(id).catch(show),
  }, fileOf(pixels, k), label ? h("span", {}, label) : null);
}

function mark(id) {
  for (const node of box.querySelectorAll(".thumb")) {
    const own = node.dataset.id === id;
    node.setAttribute("aria-selected", String(own));
    node.tabIndex = own ? 0 : -1;
    if (own) node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

// Step to another image; at the end of a page to the next.
export async function step(way) {
  const at = state.ids.indexOf(state.image) + way;
  if (at >= 0 && at < state.ids.length) return chooseImage(state.ids[at]).catch(show);
  if ((way < 0 && !back.disabled) || (way > 0 && !on_.disabled)) return turn(way);
}

function keys(event) {
  const wide = Math.max(1, Math.round(grid.clientWidth / 56));
  const far = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide, Home: -1e6, End: 1e6 }[event.key];
  if (!far) return;
  event.preventDefault();
  event.stopPropagation();
  const at = state.ids.indexOf(state.image), to = Math.max(0, Math.min(state.ids.length - 1, at + far));
  chooseImage(state.ids[to]).then(() => grid.querySelector('[aria-selected="true"]')?.focus()).catch(show);
}

const MOST = 32 << 20;

async function take(files) {
  const file = files?.[0];
  if (!file) return;
  try {
    if (file.size > MOST) throw { message: `${file.name} has ${Math.round(file.size / 2 ** 20)} MB: a picture's file may have 32 MB at most`, hint: "make it smaller first" };
    tell("waiting", `${file.name} is being read`);
    const answer = await (window.unfoolSocket ? handed : posted)(file);
    if (!answer.ok) throw { message: answer.error, hint: answer.hint };
    own.hidden = false;
    own.append(h("button", { class: "thumb", type: "button", role: "option", "data-id": answer.value.id, "aria-selected": "false", "aria-label": file.name, title: answer.value.told, onclick: () => chooseImage(answer.value.id).catch(show) }, await small(file), h("span", {}, "own")));
    await chooseImage(answer.value.id);
  } catch (error) { show(error instanceof TypeError ? { message: `${file.name} was refused`, hint: "is it a picture of 32 MB at most?" } : error); } finally { tell("waiting", ""); }
}

async function posted(file) {
  const headers = { Authorization: `Bearer ${state.wire.token}`, "X-Name": encodeURIComponent(file.name), "X-Model": String(state.model) };
  return (await fetch("picture", { method: "POST", body: file, headers })).json();
}

// To a notebook's kernel.
async function handed(file) {
  const data = new Uint8Array(await file.arrayBuffer());
  const { value } = await state.wire.ask("adopt", "adopt", { name: file.name, model: state.model }, { arrays: { content: { shape: [data.length], data } } });
  return { ok: true, value };
}

async function small(file) {
  const canvas = h("canvas", { width: 56, height: 56 });
  try {
    const bitmap = await createImageBitmap(file), side = Math.min(bitmap.width, bitmap.height);
    canvas.getContext("2d").drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, 56, 56);
  } catch { /* the browser shows fewer formats than the server reads */ }
  return canvas;
}
