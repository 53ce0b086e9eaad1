// The page as a whole: which frame is open, what is drawn on it, and when that is written.
import { Again } from "./again.js";
import { asRuns, get, getFrame, getMask, post, tab } from "./api.js";
import { Carrying } from "./carry.js";
import { listenToKeys } from "./keys.js";
import { Mask } from "./mask.js";
import { Panel } from "./panel.js";
import { Run } from "./run.js";
import { Player, Strip } from "./strip.js";
import { Timeline } from "./timeline.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const AHEAD = 3;
const HOLD_EVERY_MS = 15000;
const NEWS_EVERY_MS = 3000;
const IDLE_MS = 30000;

class App {
  constructor(told) {
    this.run = new Run(told);
    this.annotator = sessionStorage.getItem("annotator") || this.run.annotator;
    this.frame = null;
    this.mask = null;
    this.lock = "";
    this.histories = new Map();
    this.ready = new Map();
    this.turn = 0;
    this.saving = Promise.resolve(true);
    this.view = new View(byId("view"));
    this.tools = new Tools(this);
    this.timeline = new Timeline(byId("timeline"), this);
    this.strip = new Strip(byId("strip"), this);
    this.player = new Player(byId("play"), this);
    this.carrying = new Carrying(this);
    this.again = new Again(this);
    this.panel = new Panel(this);
    listenToKeys(this);
    this.repaint = 0;
    this.seconds = 0;
    this.active = performance.now();
    for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"]) document.addEventListener(kind, () => this.work(), { passive: true });
    setInterval(() => this.hold(), HOLD_EVERY_MS);
    setInterval(() => this.news(), NEWS_EVERY_MS);
    window.addEventListener("pagehide", () => post("release", {}).catch(() => {}));
  }

  async begin() {
    await this.news();
    const first = this.run.after(null, 1)[0] ?? this.run.ordered().all[0];
    await this.open(first);
    this.choose("brush");
    this.say("");
  }

  // Time spent on the frame: gaps longer than half a minute are not.
  work() {
    const now = performance.now();
    this.seconds += Math.min(now - this.active, IDLE_MS) / 1000;
    this.active = now;
  }

  say(words) {
    byId("say").textContent = words;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (byId("say").textContent = ""), 6000);
  }

  banner(words) {
    byId("banner").textContent = words;
    byId("banner").hidden = !words;
  }

  trouble(error) {
    if (error.status === 409) {
      const { taken, is_now: isNow } = error.told;
      this.lock = isNow ? `${taken || "Somebody"} has this frame open.` : "Somebody else has had this frame since.";
      this.banner(`${this.lock} What you drew here is not saved; it is shown until you leave. Open the frame again to see theirs.`);
    } else {
      this.banner(`Not done: ${error.message}`);
    }
    this.panel.showFrame();
  }

  mayDraw() {
    if (this.lock) this.say(this.lock);
    return this.mask !== null && !this.lock && !this.carrying.isOpen && !this.player.isOn;
  }

  // Fetched before it is looked at, so that the next frame is there at once.
  fetch(frame, ahead) {
    if (!this.ready.has(frame)) {
      const query = this.run.query(frame);
      const coming = Promise.all([getFrame(ahead ? { ...query, ahead: 1 } : query), getMask(query)]);
      coming.catch(() => this.ready.delete(frame));
      this.ready.set(frame, coming);
      while (this.ready.size > 4 * AHEAD) this.ready.delete(this.ready.keys().next().value);
    }
    return this.ready.get(frame);
  }

  async open(frame, { force = false } = {}) {
    if (frame === null || frame === undefined || (frame === this.frame && !force)) return;
    if (!force && (this.carrying.isOpen || !(await this.leave()))) return;
    const turn = (this.turn += 1);
    if (force) this.ready.delete(frame);
    let shown;
    try {
      shown = await this.fetch(frame, false);
    } catch (error) {
      this.trouble(error);
      return;
    }
    if (turn !== this.turn) return;
    this.remember();
    this.frame = frame;
    this.seconds = 0;
    this.active = performance.now();
    this.lock = "";
    this.banner("");
    this.ready.delete(frame);
    const [bitmap, found] = shown;
    const kept = this.histories.get(frame);
    this.mask = new Mask(found, kept && same(kept.data, found.runs) ? kept : null);
    this.edited = Boolean(found.told.draft);
    this.base = this.edited ? [] : found.runs;
    this.view.show(bitmap, this.mask);
    this.run.seen.add(frame);
    this.tools.reset();
    this.panel.showFrame();
    this.timeline.draw();
    if (this.edited) this.say("An unfinished correction was kept: go on with it.");
    this.hold();
    this.again.look();
    this.prefetch(frame);
  }

  // One after the other, the likeliest first; given up where another frame is opened.
  async prefetch(frame) {
    const turn = this.turn;
    const [next, ...later] = this.run.after(frame, AHEAD);
    for (const other of [next, this.run.neighbour(frame, 1), ...later, this.run.neighbour(frame, -1)]) {
      if (turn !== this.turn) return;
      if (other !== undefined && other !== null) await this.fetch(other, true).catch(() => null);
    }
    if (turn === this.turn) this.strip.show(frame);
  }

  // A frame in passing: shown, not held, not to be drawn on.
  look(frame, bitmap, mask) {
    this.remember();
    this.frame = frame;
    this.mask = null;
    this.edited = false;
    this.view.show(bitmap, mask);
    this.panel.showFrame();
    this.timeline.draw();
  }

  remember() {
    if (!this.mask) return;
    const { done, undone } = this.mask;
    if (done.length || undone.length) this.histories.set(this.frame, { done, undone, data: asRuns(this.mask) });
  }

  async hold() {
    const frame = this.frame;
    if (frame === null || this.mask === null) return;
    try {
      await post("hold", { ...this.run.query(frame), annotator: this.annotator });
      if (this.lock && frame === this.frame && !this.edited) await this.open(frame, { force: true });
    } catch (error) {
      if (frame !== this.frame) return;
      if (error.status === 409) {
        const by = error.told.taken === this.annotator ? "Another tab of yours" : error.told.taken || "Somebody";
        this.lock = `${by} has this frame open: look, but do not draw.`;
        this.banner(this.lock);
        this.panel.showFrame();
      } else {
        this.trouble(error);
      }
    }
  }

  async news() {
    try {
      const told = await get("news", { since: this.run.rows });
      const changed = this.run.news(told);
      this.again.show(told.again);
      this.panel.showQueue();
      if (changed) this.timeline.draw();
      if (this.isAway) this.banner("");
      this.isAway = false;
    } catch (error) {
      this.isAway = true;
      this.banner(error.message);
    }
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
    const runs = asRuns(mask);
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
    return this.write(this.mask.area ? "corrected" : "empty", asRuns(this.mask));
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
    if (!this.mayDraw()) return;
    if (this.edited) await this.step(1);
    else await this.decide("accepted");
  }

  async decide(decision) {
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

const same = (a, b) => a.length === b.length && a.every((value, k) => value === b[k]);

try {
  window.review = new App(await get("run", { tab }));
  await window.review.begin();
  document.body.dataset.ready = "yes";
} catch (error) {
  byId("banner").textContent = error.message;
  byId("banner").hidden = false;
}
