// The live page: every state is asked for over the socket; of a slider that moves only the latest counts.

import { Wire } from "./wire.js";
import { makeList, makeSlide, onKeys } from "./deck.js";

const find = (id) => document.getElementById(id);
const lecture = { wire: null, parts: [], slides: [], at: 0, shown: null };

function token() {
  const given = location.hash.slice(1);
  if (given && !given.startsWith("/")) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") || "none";
}

function open(k) {
  if (!lecture.slides.length) return;
  lecture.at = Math.max(0, Math.min(lecture.slides.length - 1, k));
  const slide = lecture.slides[lecture.at];
  const ask = (settings, printed) => lecture.wire.ask("slide", "make", { key: slide.key, settings, printed }, { hold: true }).then(({ value }) => value);
  lecture.shown = makeSlide(slide, ask, true);
  find("slide").replaceChildren(lecture.shown.node);
  find("list").replaceChildren(makeList(lecture.parts, slide.key, (s) => `#/${s.key}`));
  find("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  document.title = `${slide.number}. ${slide.title}`;
  if (location.hash !== `#/${slide.key}`) history.replaceState(null, "", `#/${slide.key}`);
  scrollTo(0, 0);
}

function wanted() {
  const k = lecture.slides.findIndex((s) => location.hash === `#/${s.key}`);
  return k < 0 ? 0 : k;
}

function told(what, more) {
  if (what === "busy") { find("state").textContent = more ? "Working" : "Ready"; return; }
  find("alarm").hidden = what === "open";
  if (what === "open") { begin(); return; }
  find("state").textContent = "Not connected";
  find("alarm").textContent = what === "lost" ? "The lecture has ended, or cannot be reached; trying again." : "The lecture does not let this page in: open the address that unfool lecture printed.";
}

async function begin() {
  try {
    const { value } = await lecture.wire.ask("begin", "begin");
    lecture.parts = value.parts;
    lecture.slides = value.parts.flatMap((part) => part.slides);
    open(wanted());
  } catch (error) {
    find("alarm").hidden = false;
    find("alarm").textContent = `${error.message}${error.hint ? `: ${error.hint}` : ""}`;
  }
}

const back = () => open(lecture.at - 1), on = () => open(lecture.at + 1);
find("back").addEventListener("click", back);
find("on").addEventListener("click", on);
onKeys({ back, on, first: () => open(0), toggle: () => lecture.shown?.toggle() });
addEventListener("hashchange", () => { if (location.hash.startsWith("#/")) open(wanted()); else location.reload(); });
lecture.wire = new Wire(token(), told);
window.lecture = lecture; // for whoever looks from the console, and for tests
