// Something long: it is done when there is nothing else to do, says how far it is, can be stopped and goes on.

import { h, failure } from "./dom.js";
import { state } from "./state.js";

export class Task {
  // start() asks anew; it is called by "Go on".
  constructor(slot, start) {
    this.slot = slot;
    this.text = h("small", { "aria-live": "polite" });
    this.bar = h("progress", { max: 1, "aria-label": "How much is done" });
    this.stop = h("button", { class: "button", type: "button", onclick: () => this.stopped() }, "Stop");
    this.go = h("button", { class: "button", type: "button", hidden: true, onclick: () => start() }, "Go on");
    this.problem = h("div");
    this.row = h("div", { class: "row", hidden: true }, this.bar, this.text, this.stop, this.go);
    this.box = h("div", { class: "task" }, this.row, this.problem);
  }

  // The answer, or null of an error, which is shown. Of what was stopped nothing comes.
  async run(act, words, { arrays, what = "being worked out", idle = true } = {}) {
    this.begin(what);
    try {
      const passes = (n, doing) => this.far(n, doing, what);
      const answer = await state.wire.ask(this.slot, act, words, { arrays, idle, passes });
      this.row.hidden = true;
      return answer;
    } catch (error) {
      this.row.hidden = true;
      this.problem.replaceChildren(failure(error));
      return null;
    }
  }

  begin(what) {
    this.problem.replaceChildren();
    this.row.hidden = this.stop.hidden = this.bar.hidden = false;
    this.go.hidden = true;
    this.bar.removeAttribute("value");
    this.text.textContent = what;
  }

  far(passes, [step, done, total] = ["", 0, 0], what) {
    if (total > 1) this.bar.value = done / total;
    else this.bar.removeAttribute("value");
    this.text.textContent = total > 1 ? `${step}: ${done} of ${total}` : `${step || what}, ${passes} passes so far`;
  }

  stopped() {
    state.wire.drop(this.slot);
    this.stop.hidden = this.bar.hidden = true;
    this.go.hidden = false;
    this.text.textContent = "stopped";
    this.go.focus();
  }
}
