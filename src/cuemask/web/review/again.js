// Learning again from what was decided: its progress, and before and after side by side.
import { getMask, post } from "./api.js";
import { clock } from "./run.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const WORDS = { idle: "", running: "Running", done: "Done", failed: "It failed", stopped: "Stopped" };

export class Again {
  constructor(app) {
    this.app = app;
    this.state = "idle";
    this.after = null;
    byId("learn").addEventListener("click", () => this.start());
    byId("again-stop").addEventListener("click", () => this.ask("stop"));
    byId("compare").addEventListener("click", () => this.compare());
  }

  async start() {
    if (this.state === "running" || !(await this.app.leave())) return;
    await this.app.open(this.app.frame, { force: true });
    await this.ask("start");
  }

  async ask(what) {
    try {
      this.show(await post("again", { do: what }));
    } catch (error) {
      this.app.trouble(error);
    }
  }

  show(status) {
    const { state, out, seconds, lines, progress, count, total } = status;
    if (state === "done" && this.state === "running") this.app.say("Learnt again: V shows before and after.");
    this.state = state;
    byId("again").hidden = state === "idle";
    byId("learn").disabled = state === "running";
    byId("again-stop").hidden = state !== "running";
    byId("compare").hidden = state !== "done";
    byId("again-words").textContent = `${WORDS[state]}${progress && state === "running" ? `: ${progress}` : ""}, ${clock(seconds)}. ${out}`;
    const bar = byId("again-bar");
    bar.hidden = state !== "running";
    if (progress && total) bar.value = Math.min(1, count / total);
    else bar.removeAttribute("value");
    const done = `Both runs are kept. To review the new one: cuemask review ${out}`;
    byId("again-lines").textContent = state === "done" ? done : state === "running" ? "" : lines.join("\n");
  }

  async compare() {
    const element = byId("view-after");
    if (this.state !== "done") return;
    element.hidden = !element.hidden;
    byId("view-tag").hidden = element.hidden;
    if (!this.after) {
      this.after = new View(element);
      this.app.view.moved = () => this.after.follow(this.app.view);
    }
    this.app.view.resize();
    await this.look();
  }

  // The frame that is open, with the mask of the new run.
  async look() {
    if (!this.after || byId("view-after").hidden || this.app.frame === null) return;
    const frame = this.app.frame;
    const mask = await getMask({ ...this.app.run.query(frame), which: "again" }).catch((error) => this.app.trouble(error));
    if (!mask || frame !== this.app.frame) return;
    byId("view-tag").textContent = this.app.edited || this.app.run.decided.has(frame) ? "as it was decided" : "before";
    Object.assign(this.after, { fill: this.app.view.fill, opacity: this.app.view.opacity });
    this.after.show(this.app.view.picture, mask);
    this.after.follow(this.app.view);
  }
}
