// The Python and the command that give what a view shows, and what is shown as a file.

import { h, choice } from "./dom.js";
import { Task } from "./task.js";
import { download, fileName } from "./save.js";
import { saveFigure } from "./figure.js";

let count = 0;
export class Lines {
  // figure(): what is shown, for saveFigure; film(): {name, act, words, arrays} of a film, or null where there is none.
  constructor({ figure = null, film = null } = {}) {
    this.kind = "python";
    this.figure = figure;
    this.film = film;
    this.pre = h("pre", { tabIndex: 0, "aria-label": "The same without the page" });
    this.copy = h("button", { class: "quiet", type: "button", onclick: () => this.copied() }, "Copy");
    const kinds = choice("Which language", [["python", "Python"], ["command", "Command"]], "python", (k) => { this.kind = k; this.draw(); });
    const files = figure && h("span", { class: "row files" }, h("small", {}, "Save this view:"), ["png", "svg", "pdf"].map((kind) => h("button", { class: "quiet", type: "button", "data-file": kind, onclick: () => this.save(kind) }, kind.toUpperCase())), (this.gif = h("button", { class: "quiet", type: "button", hidden: true, "data-file": "gif", onclick: () => this.filmed() }, "GIF")));
    this.task = new Task(`film-${++count}`, () => this.filmed());
    this.box = h("div", { class: "panel lines" }, h("div", { class: "row" }, h("h3", {}, "The same without the page"), kinds, this.copy), this.pre, files, this.task.box);
    this.box.hidden = true;
  }

  show(value) { this.value = value; this.box.hidden = false; this.draw(); }

  draw() {
    this.pre.textContent = this.value?.[this.kind] || (this.kind === "command" ? "There is no command for this: see Python." : "");
    if (this.gif) this.gif.hidden = !this.film?.();
  }

  save(kind) { const figure = this.figure(); if (figure) return saveFigure(kind, figure); }

  // A film is drawn by the server, whose films are those of the command line.
  async filmed() {
    const film = this.film?.();
    const found = film && (await this.task.run(film.act, film.words, { arrays: film.arrays, what: "the film is being made" }));
    if (found) download(`${fileName(film.name)}.gif`, new Blob([found.arrays.gif.data], { type: "image/gif" }));
  }

  async copied() {
    try {
      await navigator.clipboard.writeText(this.pre.textContent);
      this.copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(this.pre);
      this.copy.textContent = "Selected: Ctrl-C copies";
    }
    setTimeout(() => (this.copy.textContent = "Copy"), 1600);
  }
}
