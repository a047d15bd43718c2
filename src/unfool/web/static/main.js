// The page: who is connected, which view is open, keys, dark and light.

import { h, on, tell } from "./dom.js";
import { Wire } from "./wire.js";
import { state, chooseModel, chooseFrame, frames } from "./state.js";
import { makePicker, step } from "./picker.js";
import { makeLook } from "./look.js";
import { makeTouch, nudge } from "./touch.js";
import { makeInside } from "./inside.js";
import { makeRuns } from "./runs.js";

const VIEWS = ["look", "touch", "inside", "runs"];
const place = document.getElementById("state"), alarm = document.getElementById("alarm");
const whole = document.querySelector(".whole");

function open(view) {
  state.view = view;
  for (const name of VIEWS) {
    document.getElementById(name).hidden = name !== view;
    const tab = document.getElementById(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === view));
    tab.tabIndex = name === view ? 0 : -1;
  }
  whole.classList.toggle("alone", view === "runs");
  tell("view", view);
}

function tabs() {
  const all = VIEWS.map((name) => document.getElementById(`tab-${name}`));
  for (const tab of all) {
    tab.addEventListener("click", () => open(tab.dataset.view));
    tab.addEventListener("keydown", (e) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!way) return;
      e.preventDefault();
      e.stopPropagation();
      const next = all[(all.indexOf(tab) + way + all.length) % all.length];
      next.focus();
      open(next.dataset.view);
    });
  }
}

function theme() {
  const button = document.getElementById("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  let now = localStorage.getItem("theme");
  const dark = () => (now ? now === "dark" : system.matches);
  const draw = () => {
    if (now) document.documentElement.dataset.theme = now;
    button.textContent = dark() ? "Light" : "Dark";
  };
  button.addEventListener("click", () => { now = dark() ? "light" : "dark"; localStorage.setItem("theme", now); draw(); });
  system.addEventListener("change", draw);
  draw();
}

const KEYS = [["← →", "another image"], ["↑ ↓", "in Touch: a larger or smaller change"], [", .", "another frame of a series"], ["1 2 3 4", "Look, Touch, Inside, Runs"], ["Tab, then arrows on a picture", "moves the cursor that all pictures share"], ["Shift and arrows, Alt and arrows", "on Touch's image and on the map: move a box, and size it"], ["+ − 0, Enter", "on the map: nearer, farther, all of it; take the box as a slice"], ["?", "this"]];

function help() {
  const dialog = document.getElementById("help");
  dialog.append(h("h2", {}, "Keys"), h("dl", {}, KEYS.flatMap(([k, what]) => [h("dt", {}, h("kbd", {}, k)), h("dd", {}, what)])), h("form", { method: "dialog" }, h("button", { class: "button main" }, "Close")));
  document.getElementById("keys").addEventListener("click", () => dialog.showModal());
}

function pressed(event) {
  const typing = event.target.closest("input:not([type=range], [type=checkbox]), select, textarea, dialog[open]");
  const slides = event.target.type === "range" && event.key.startsWith("Arrow");
  if (event.altKey || event.ctrlKey || event.metaKey || typing || slides) return;
  const act = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    ArrowUp: () => state.view === "touch" && nudge(1), ArrowDown: () => state.view === "touch" && nudge(-1),
    ",": () => frames() > 1 && chooseFrame(state.frame - 1), ".": () => frames() > 1 && chooseFrame(state.frame + 1),
    1: () => open("look"), 2: () => open("touch"), 3: () => open("inside"), 4: () => open("runs"),
    "?": () => document.getElementById("help").showModal(),
  }[event.key];
  if (!act || (state.view === "runs" && event.key.startsWith("Arrow"))) return;
  if (act() !== false) event.preventDefault();
}

let waiting = "", busy = 0;
function say() {
  place.textContent = waiting || (busy ? "Working" : "Ready");
  place.classList.toggle("busy", Boolean(waiting || busy));
}

function told(what, more) {
  if (what === "busy") { busy = more; return say(); }
  if (what === "open") { alarm.hidden = true; return begin(); }
  alarm.hidden = false;
  alarm.textContent = what === "lost" ? "The studio has ended, or cannot be reached; trying again." : "The studio does not let this page in: open the address that unfool studio printed.";
  waiting = "Not connected";
  say();
}

async function begin() {
  waiting = "The model is being loaded";
  say();
  try {
    const { value } = await state.wire.ask("begin", "begin");
    state.models = value.models;
    state.ways = value.ways;
    tell("models");
    await chooseModel(Math.min(state.model, value.models.length - 1));
  } catch (error) {
    alarm.hidden = false;
    alarm.textContent = `${error.message}${error.hint ? `: ${error.hint}` : ""}`;
  }
}

function token() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem("token") || "none";
}

makePicker(document.getElementById("picker"));
makeLook(document.getElementById("look"));
makeTouch(document.getElementById("touch"));
makeInside(document.getElementById("inside"));
makeRuns(document.getElementById("runs"));
on("choosing", () => whole.classList.add("choosing")); // until the image is there; one that cannot be read never is
on("image", () => whole.classList.toggle("choosing", !state.seen));
on("waiting", (text) => { waiting = text; say(); });
on("room", () => { waiting = ""; say(); });
on("open", open);
on("alarm", (text) => { alarm.hidden = !text; alarm.textContent = text; });
tabs();
theme();
help();
open("look");
document.addEventListener("keydown", pressed);
addEventListener("hashchange", () => location.reload()); // the printed address, in a tab that is open already
state.wire = new Wire(token(), told);
window.studio = state; // for whoever looks from the console, and for tests
