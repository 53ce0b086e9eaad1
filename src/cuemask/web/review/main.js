// The page as a whole: what is drawn, when that is written, and what is decided.
import { Again } from "./again.js";
import { get, getMask, post, release, tab } from "./api.js";
import { Carrying } from "./carry.js";
import { listenToKeys } from "./keys.js";
import { Kinds } from "./kinds.js";
import { Panel } from "./panel.js";
import { same, Session } from "./session.js";
import { Player, Strip } from "./strip.js";
import { Timeline } from "./timeline.js";
import { Tools } from "./tools.js";

const byId = (id) => document.getElementById(id);
const HOLD_EVERY_MS = 15000;
const NEWS_EVERY_MS = 3000;

class App extends Session {
  constructor(told) {
    super(told);
    this.saving = Promise.resolve(true);
    this.repaint = 0;
    this.tools = new Tools(this);
    this.timeline = new Timeline(byId("timeline"), this);
    this.strip = new Strip(byId("strip"), this);
    this.player = new Player(byId("play"), this);
    this.carrying = new Carrying(this);
    this.again = new Again(this);
    this.panel = new Panel(this);
    this.kinds = new Kinds(this);
    listenToKeys(this);
    setInterval(() => this.hold(), HOLD_EVERY_MS);
    setInterval(() => this.news(), NEWS_EVERY_MS);
    window.addEventListener("pagehide", () => release());
  }

  async begin() {
    await this.news();
    const first = this.run.after(null, 1)[0] ?? this.run.ordered().all[0];
    await this.open(first);
    this.choose("brush");
    this.say("");
  }

  // While a stroke is drawn: at most once a picture of the screen.
  painted() {
    if (this.repaint) return;
    this.repaint = requestAnimationFrame(() => {
      this.repaint = 0;
      this.view.paint(this.mask?.takeDirty());
    });
  }

  // The end of a stroke: it is on disk, as a draft, before the next one ends.
  finished() {
    this.painted();
    if (!this.mask.commit()) return;
    this.keep();
  }

  keep() {
    const { frame, mask } = this;
    const runs = mask.runs();
    this.edited = !same(this.base, runs); // all undone: there is nothing to keep
    this.panel.showFrame();
    const kept = this.edited ? runs : undefined;
    this.saving = this.saving.then(() =>
      post("draft", this.run.query(frame), kept).then(
        () => true,
        (error) => {
          this.trouble(error);
          return false;
        },
      ),
    );
  }

  turnBack(turned) {
    if (!turned) return;
    this.painted();
    this.keep();
  }

  undo() {
    if (this.mayDraw()) this.turnBack(this.mask.undo());
  }

  redo() {
    if (this.mayDraw()) this.turnBack(this.mask.redo());
  }

  clear() {
    if (!this.mayDraw()) return;
    this.mask.replace(new Uint8Array(this.mask.data.length));
    this.finished();
  }

  async restore() {
    if (!this.mayDraw()) return;
    const found = await getMask({ ...this.run.query(this.frame), which: "network" }).catch((error) => this.trouble(error));
    if (!found) return;
    this.mask.replace(found.data);
    this.finished();
    this.say("The network's own mask.");
  }

  // Write what was drawn as a correction, if anything was; whether the frame may be left.
  async save() {
    await this.saving;
    if (!this.edited || this.lock || !this.mask) return true;
    return this.write(this.mask.area ? "corrected" : "empty", this.mask.runs());
  }

  async write(decision, runs) {
    this.work();
    const query = { ...this.run.query(this.frame), decision, seconds: this.seconds.toFixed(1), annotator: this.annotator };
    try {
      await post("decide", query, runs);
    } catch (error) {
      this.trouble(error);
      return false;
    }
    this.edited = false;
    this.run.decided.set(this.frame, { decision, by: this.annotator, time: "" });
    this.ready.delete(this.frame);
    this.seconds = 0;
    this.panel.showFrame();
    this.panel.showQueue();
    this.timeline.draw();
    return true;
  }

  async leave() {
    if (this.frame === null || this.isLeaving) return !this.isLeaving;
    this.isLeaving = true;
    try {
      return await this.save();
    } finally {
      this.isLeaving = false;
    }
  }

  async accept() {
    await this.holding;
    if (!this.mayDraw()) return;
    if (this.edited) await this.step(1);
    else await this.decide("accepted");
  }

  async decide(decision) {
    await this.holding;
    if (!this.mayDraw() || this.isLeaving) return;
    const frame = this.frame;
    await this.saving;
    this.isLeaving = true;
    const written = await this.write(decision);
    this.isLeaving = false;
    if (!written || frame !== this.frame) return;
    const next = this.run.after(frame, 1)[0];
    if (next === undefined) await this.open(frame, { force: true });
    await this.go(next);
  }

  async step(step) {
    const frame = this.frame;
    if (!(await this.leave())) return;
    await this.go(this.run.after(frame, 1, step)[0]);
  }

  async go(frame) {
    if (frame === undefined) {
      this.panel.showQueue();
      this.say("The queue ends here: choose another order, or show other frames.");
      return;
    }
    await this.open(frame);
  }

  beside(step) {
    this.open(this.run.neighbour(this.frame, step));
  }

  choose(name) {
    this.tools.choose(name);
    this.panel.showTool();
  }

  brush(factor) {
    this.tools.resize(Math.max(this.tools.size * factor, this.tools.size + Math.sign(factor - 1)));
    this.panel.showTool();
  }

  style(fill = !this.view.fill) {
    this.view.fill = fill;
    this.view.paintAll();
    this.panel.showTool();
    this.again.look();
  }

  opacity(by) {
    this.view.opacity = Math.min(0.9, Math.max(0, this.view.opacity + by / 100));
    this.view.paintAll();
    this.panel.showTool();
    this.again.look();
  }

  escape() {
    if (this.player.isOn) this.player.toggle();
    else if (this.carrying.isOpen) this.carrying.discard();
    else this.tools.abandon();
  }

  help() {
    byId("help").showModal();
  }
}

try {
  window.review = new App(await get("run", { tab }));
  await window.review.begin();
  document.body.dataset.ready = "yes";
} catch (error) {
  byId("banner").textContent = error.message;
  byId("banner").hidden = false;
}
