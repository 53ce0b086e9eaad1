// A mask carried on from frame to frame until it agrees with the network no more; looked at, then accepted or not.
import { asRuns, getFrame, post, postForMask, getMask } from "./api.js";

const MOST = 250;
const MOST_UNTOLD = 10; // where the network found so little of it that its masks tell nothing
const TELLS = 0.3;
const byId = (id) => document.getElementById(id);

export class Carrying {
  constructor(app) {
    this.app = app;
    this.steps = [];
    this.isRunning = false;
    byId("carry").addEventListener("click", () => this.start(1));
    byId("carry-back").addEventListener("click", () => this.start(-1));
    byId("carry-stop").addEventListener("click", () => this.stop());
    byId("carry-accept").addEventListener("click", () => this.accept());
    byId("carry-discard").addEventListener("click", () => this.discard());
  }

  get isOpen() {
    return !byId("carrying").hidden;
  }

  async start(step) {
    const { app } = this;
    if (this.isOpen || !app.mayDraw() || !(await app.save())) return;
    this.from = app.frame;
    this.steps = [];
    this.isRunning = true;
    byId("carrying").hidden = false;
    byId("decide").hidden = true;
    let why = "";
    try {
      let mask = app.mask;
      const area = mask.area;
      const query = app.run.query(this.from);
      const { agreement } = await post("agreement", query, asRuns(mask));
      const most = agreement < TELLS ? MOST_UNTOLD : MOST;
      while (this.isRunning && !why) {
        const here = this.steps.at(-1)?.frame ?? this.from;
        const next = app.run.neighbour(here, step);
        why = this.whyNot(next);
        if (!why && this.steps.length === most) why = most === MOST ? "look at them first, then go on from here" : "the network found too little of this to tell how far it holds";
        if (why) break;
        const to = app.run.query(next);
        this.tell(step, "");
        const [found, bitmap] = await Promise.all([postForMask("carry", { ...app.run.query(here), to: to.frame, first: agreement, area }, asRuns(mask)), getFrame(to)]);
        why = found.told.why && `${found.told.why} in frame ${to.frame}`;
        if (why || !this.isRunning) break;
        this.steps.push({ frame: next, mask: found });
        mask = found;
        app.look(next, bitmap, found);
      }
    } catch (error) {
      why = error.message;
    }
    this.isRunning = false;
    this.tell(step, why || "stopped");
  }

  whyNot(next) {
    if (next === null) return "the clip ends here";
    const decided = this.app.run.decided.get(next);
    if (decided) return `frame ${this.app.run.at(next).name} is decided already`;
    const by = this.app.run.held.get(next);
    return by ? `${by} has frame ${this.app.run.at(next).name} open` : "";
  }

  tell(step, why) {
    const count = this.steps.length;
    const frames = count === 1 ? "1 frame" : `${count} frames`;
    const way = step > 0 ? "on" : "back";
    byId("carrying-words").textContent = this.isRunning ? `Carried ${way} to ${frames} …` : `Carried ${way} to ${frames}: ${why}.`;
    byId("carry-accept").disabled = this.isRunning || !count;
    byId("carry-accept").textContent = count ? `Accept ${frames}` : "Accept";
    byId("carry-stop").hidden = !this.isRunning;
  }

  stop() {
    this.isRunning = false;
  }

  async accept() {
    const { app } = this;
    byId("carry-accept").disabled = true;
    let left = 0;
    for (const { frame, mask } of this.steps) {
      try {
        await post("decide", { ...app.run.query(frame), decision: "corrected", seconds: 0, carried: 1, annotator: app.annotator }, asRuns(mask));
      } catch (error) {
        if (error.status !== 409) {
          app.trouble(error);
          byId("carry-accept").disabled = false;
          return;
        }
        left += 1;
      }
    }
    await app.news();
    const count = this.steps.length - left;
    await this.close(this.steps.at(-1)?.frame ?? this.from);
    app.say(`${count} frames corrected${left ? `; ${left} left as others decided them` : ""}.`);
  }

  async discard() {
    this.stop();
    await this.close(this.from);
  }

  async close(frame) {
    byId("carrying").hidden = true;
    byId("decide").hidden = false;
    this.steps = [];
    await this.app.open(frame, { force: true });
  }

  // The mask of the frame before, moved along to this one.
  async previous() {
    const { app } = this;
    const before = app.run.neighbour(app.frame, -1);
    if (before === null || !app.mayDraw()) return app.say("There is no frame before.");
    const to = app.run.query(app.frame);
    const here = await getMask(app.run.query(before));
    const found = await postForMask("carry", { ...app.run.query(before), to: to.frame }, asRuns(here));
    app.mask.replace(found.data);
    app.finished();
    return app.say("The previous frame's mask, moved along.");
  }
}
