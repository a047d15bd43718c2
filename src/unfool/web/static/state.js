// What all views share: the model, its images, the one that is looked at.

import { tell } from "./dom.js";

export const state = {
  wire: null, // the socket
  models: [],
  ways: [], // how maps can be laid out
  model: 0,
  room: null, // what the server says of the model
  image: null, // the image's id
  seen: null, // {id, value, x, mask, said} of the image that is shown
  ids: [], // the page of thumbnails
  start: 0,
  slice: "", // of which images only, where not of all
  frame: 0,
  view: "look",
};

export async function chooseModel(k) {
  state.model = k;
  state.room = state.image = state.seen = null;
  tell("waiting", `${state.models[k]} is being loaded`);
  const { value } = await state.wire.ask("room", "room", { model: k });
  state.room = value;
  state.start = 0;
  tell("room", value);
}

export async function chooseImage(id) {
  state.image = id;
  tell("choosing", id);
  let found;
  try {
    found = await state.wire.ask("image", "image", { model: state.model, image: id }, { hold: true });
  } catch (error) {
    if (state.image === id) state.seen = null;
    throw error;
  }
  const { value, arrays } = found, old = state.seen;
  if (state.image !== id) return;
  state.seen = value.error ? null : { id, value, ...arrays };
  if (state.seen && old && old.x.shape.join() !== arrays.x.shape.join()) state.frame = 0;
  if (arrays.x?.shape.length === 4 && !old) state.frame = Math.floor(arrays.x.shape[1] / 2);
  tell("image", value);
}

// Whether what is shown is the image that was chosen last: its answer may not be here yet.
export const settled = () => state.seen?.id === state.image;

export const frames = () => (state.seen?.x.shape.length === 4 ? state.seen.x.shape[1] : 1);

export function chooseFrame(t) {
  state.frame = Math.max(0, Math.min(frames() - 1, t));
  tell("frame", state.frame);
}

export function className(k) { return state.room?.classes[k] ?? String(k); }
