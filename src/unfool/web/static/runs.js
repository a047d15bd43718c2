// Runs: any run's table, sorted and filtered; a row opens in Look.

import { h, on, pick, number, failure, tell } from "./dom.js";
import { Lines } from "./lines.js";
import { squareOf } from "./picker.js";
import { Start } from "./start.js";
import { Compare } from "./compare.js";
import { state, chooseModel, chooseImage } from "./state.js";

const SIGNS = ["=", "≠", "<", "≤", "≥", ">"];
let list, head, body, filters, place, find, title, back, on_, problem, recipe, lines;
let starter, versus, both, rates, report, tableBox, pair = [];
let runs = [], run = null, sort = "", down = false, start = 0, where = [], found = null;

export function makeRuns(section) {
  list = h("div", { class: "list", role: "group", "aria-label": "Runs" });
  head = h("thead"); body = h("tbody");
  title = h("h2", { class: "grow" });
  place = h("small", { "aria-live": "polite" });
  problem = h("div");
  recipe = h("small", {});
  rates = h("p", { class: "soft" });
  report = h("button", { class: "button", type: "button", onclick: openReport }, "Open the report");
  filters = h("div", { class: "row" });
  find = h("input", { type: "text", placeholder: "part of an id", "aria-label": "Find in ids", oninput: () => { start = 0; load(); } });
  back = h("button", { class: "button", type: "button", "aria-label": "Earlier rows", onclick: () => turn(-1) }, "‹");
  on_ = h("button", { class: "button", type: "button", "aria-label": "Later rows", onclick: () => turn(1) }, "›");
  lines = new Lines({ figure });
  const table = h("div", { class: "panel stack", hidden: true }, h("div", { class: "row" }, title, report, place, back, on_), recipe, rates, filters, problem, h("div", { class: "wide", tabIndex: 0, "aria-label": "The table, scrolls" }, h("table", {}, head, body)));
  tableBox = table;
  const again = h("button", { class: "quiet", type: "button", onclick: open }, "Look again");
  starter = new Start(async (id) => { await open(); select(id); }, open);
  versus = new Compare();
  both = h("button", { class: "button", type: "button", disabled: true, onclick: compare }, "Put two side by side");
  const left = h("div", { class: "panel stack" }, h("div", { class: "row" }, h("h2", { class: "grow" }, "Runs"), again), list, both);
  section.append(h("div", { class: "two" }, h("div", {}, starter.box, left), h("div", {}, table, lines.box, versus.box)));
  lines.box.hidden = true;
  on("view", () => { if (state.view === "runs" && !runs.length) open(); });

}

async function open() {
  try {
    const { value } = await state.wire.ask("runs", "runs");
    runs = value.runs;
    pair = pair.filter((id) => runs.some((one) => one.id === id && !one.begun));
    list.replaceChildren(...(runs.length ? runs.map(item) : [h("p", { class: "empty" }, `No run with a table in ${value.folders.join(", ")}. `, h("br"), "Start one above, or by unfool attack PGD unfool:digits --limit 40.")]));
    drawPair();
  } catch (error) { list.replaceChildren(failure(error)); }
}

function item(one) {
  const text = one.recipe.replace(/^Recipe\((.*)\)$/s, "$1"), brief = text.length > 90 ? `${text.slice(0, 90)}…` : text;
  if (one.begun) return h("div", { class: "run begun" }, h("span", {}, h("b", {}, one.id), h("small", {}, `not finished · ${brief}`)), h("button", { class: "button", type: "button", "aria-label": `Go on with ${one.id}`, onclick: () => starter.resume(one.id) }, "Go on"));
  const box = h("input", { type: "checkbox", "aria-label": `Side by side: ${one.id}`, title: "side by side", checked: pair.includes(one.id), onchange: () => { pair = box.checked ? [...pair, one.id].slice(-2) : pair.filter((id) => id !== one.id); drawPair(); } });
  return h("div", { class: "run" }, h("button", { type: "button", "data-run": one.id, "aria-pressed": String(run === one.id), onclick: () => select(one.id) }, h("b", {}, one.id), h("small", {}, `${one.rows ?? "?"} rows · ${brief}`)), box);
}

// Of the two that are put side by side the earlier is the first.
function drawPair() {
  for (const node of list.querySelectorAll("input")) node.checked = pair.includes(node.closest(".run").firstChild.dataset.run);
  both.disabled = pair.length !== 2;
}

function compare() {
  const order = runs.map((one) => one.id), [second, first] = [...pair].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  tableBox.hidden = lines.box.hidden = true;
  for (const node of list.querySelectorAll("[data-run]")) node.setAttribute("aria-pressed", "false");
  versus.show(first, second);
}

function select(id) {
  for (const node of list.querySelectorAll("[data-run]")) node.setAttribute("aria-pressed", String(node.dataset.run === id));
  run = id; sort = ""; down = false; start = 0; where = []; find.value = "";
  tableBox.hidden = false;
  versus.box.hidden = true;
  load();
}

// The report opens in a tab of its own, which may do nothing but show itself.
async function openReport() {
  try {
    const answer = await (await fetch(`report?run=${encodeURIComponent(run)}`, { method: "POST", headers: { Authorization: `Bearer ${state.wire.token}` } })).json();
    if (!answer.ok) throw { message: answer.error, hint: answer.hint };
    window.open(answer.address, "_blank", "noopener");
  } catch (error) { problem.replaceChildren(failure(error)); }
}

async function load() {
  try {
    const { value } = await state.wire.ask("rows", "rows", { run, sort, down, start, where, find: find.value.trim() });
    found = value;
    problem.replaceChildren();
    draw();
    thumbs();
  } catch (error) { problem.replaceChildren(failure(error)); }
}

function turn(way) { start = Math.max(0, start + 100 * way); load(); }

function draw() {
  title.textContent = run;
  recipe.textContent = `${found.path} · ${found.recipe}`;
  report.hidden = !found.report;
  const held = Object.entries(found.rates);
  rates.hidden = !held.length;
  rates.textContent = held.map(([name, [v, low, high, n]]) => `${name}: ${(100 * v).toFixed(1)} % [${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}] of ${n}`).join(" · ");
  const last = start + found.rows.length;
  place.textContent = found.found ? `${start + 1} to ${last} of ${found.found}${found.found < found.total ? ` (of ${found.total})` : ""}` : "no row is like that";
  back.disabled = !start;
  on_.disabled = last >= found.found;
  head.replaceChildren(h("tr", {}, h("th", { scope: "col" }, ""), found.columns.map((c) => {
    const own = c.name === sort;
    return h("th", { scope: "col", class: c.number ? "number" : "", "aria-sort": own ? (down ? "descending" : "ascending") : "none" },
      h("button", { type: "button", onclick: () => { down = own ? !down : c.number; sort = c.name; start = 0; load(); } }, c.name, own ? (down ? " ↓" : " ↑") : ""));
  })));
  const at = found.columns.findIndex((c) => c.name === "id");
  body.replaceChildren(...found.rows.map((row) => h("tr", { tabIndex: 0, "data-id": row[at], onclick: () => show(row[at]), onkeydown: (e) => keys(e, row[at]) }, h("td", {}), row.map((v, k) => h("td", { class: found.columns[k].number ? "number" : "" }, cell(v))))));
  drawFilters();
  lines.show({ python: `import pyarrow.parquet as pq\n\ntable = pq.read_table(${JSON.stringify(`${found.path}/table.parquet`)})${sort ? `.sort_by([(${JSON.stringify(sort)}, "${down ? "descending" : "ascending"}")])` : ""}`, command: found.command });
}

function figure() {
  const at = found.columns.findIndex((c) => c.name === "id"), shown = [...body.children].slice(0, 40);
  const text = (row) => found.columns.map((c, k) => (k === at ? row[k] : `${c.name} ${cell(row[k])}`)).join(", ");
  const panels = shown.flatMap((node, k) => [...node.querySelectorAll("canvas")].map((canvas, n) => [canvas, n ? "as the attack left it" : text(found.rows[k])]));
  return { name: `run-${run}`, panels, told: [found.recipe, rates.textContent, ...(panels.length ? [] : found.rows.slice(0, 40).map(text))] };
}

const cell = (v) => (v === null ? "" : typeof v === "number" ? (Number.isInteger(v) ? String(v) : number(v)) : typeof v === "boolean" ? (v ? "yes" : "no") : String(v));

function drawFilters() {
  const column = pick(found.columns.map((c) => c.name), filters.column ?? found.columns[0].name, (v) => (filters.column = v), { "aria-label": "Column" });
  const sign = pick(SIGNS, filters.sign ?? "=", (v) => (filters.sign = v), { "aria-label": "Comparison" });
  const value = h("input", { type: "text", "aria-label": "Value", placeholder: "value", onkeydown: (e) => { if (e.key === "Enter") add(); } });
  const add = () => { if (value.value !== "") { where = [...where, [column.value, sign.value, value.value]]; start = 0; load(); } };
  const chips = where.map((one, k) => h("span", { class: "chip" }, one.join(" "), h("button", { class: "quiet", type: "button", "aria-label": `Without ${one.join(" ")}`, onclick: () => { where = where.filter((_, j) => j !== k); start = 0; load(); } }, "✕")));
  if (!filters.firstChild) filters.append(h("div", { class: "grow" }, find), h("div", { class: "row where" }));
  filters.lastChild.replaceChildren(column, sign, value, h("button", { class: "button", type: "button", onclick: add }, "Filter"), ...chips);
  for (const node of [column, sign, value]) node.classList.add("short");
}

function keys(event, id) {
  const row = event.currentTarget;
  if (event.key === "Enter") return show(id);
  const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
  if (next) { event.preventDefault(); next.focus(); }
}

async function thumbs() {
  const at = found.columns.findIndex((c) => c.name === "id"), ids = found.rows.map((row) => row[at]).filter((id) => typeof id === "string");
  if (at < 0 || !ids.length) return;
  try {
    const { value, arrays } = await state.wire.ask("run-thumbs", "run_thumbs", { run, ids }, { idle: true });
    for (const row of body.children) {
      const k = value.ids.indexOf(row.dataset.id), after = value.changed.indexOf(row.dataset.id);
      if (k < 0) continue;
      const pair = [squareOf(arrays.before, k), ...(after < 0 ? [] : [squareOf(arrays.after, after)])];
      row.firstChild.replaceChildren(h("span", { class: "pair", title: after < 0 ? "" : "before and after" }, pair));
    }
  } catch { /* a run whose images are gone still has its numbers */ }
}

// A row in Look, where a model with its images is open.
async function show(id) {
  if (found.model === null) {
    problem.replaceChildren(failure({ message: "No open model has this run's images.", hint: found.command }));
    return;
  }
  tell("open", "look");
  if (found.model !== state.model) { state.want = id; await chooseModel(found.model); } else await chooseImage(id);
}
