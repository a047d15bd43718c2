// The Python and the command that give what a view shows.

import { h, choice } from "./dom.js";

export class Lines {
  constructor() {
    this.kind = "python";
    this.pre = h("pre", { tabIndex: 0, "aria-label": "The same without the page" });
    this.copy = h("button", { class: "quiet", type: "button", onclick: () => this.copied() }, "Copy");
    const kinds = choice("Which language", [["python", "Python"], ["command", "Command"]], "python", (k) => { this.kind = k; this.draw(); });
    this.box = h("div", { class: "panel lines" }, h("div", { class: "row" }, h("h3", {}, "The same without the page"), kinds, this.copy), this.pre);
    this.box.hidden = true;
  }

  show(value) { this.value = value; this.box.hidden = false; this.draw(); }

  draw() { this.pre.textContent = this.value?.[this.kind] || (this.kind === "command" ? "There is no command for what is drawn by hand: see Python." : ""); }

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
