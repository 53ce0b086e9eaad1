// Which frame is open: fetched, shown, held for this tab, and given back with the history of what was drawn on it.
import { get, getFrame, getMask, post } from "./api.js";
import { Mask } from "./mask.js";
import { Run } from "./run.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const AHEAD = 3;
const IDLE_MS = 30000;

export const same = (a, b) => a.length === b.length && a.every((value, k) => value === b[k]);

export class Session {
  constructor(told) {
    this.run = new Run(told);
    this.annotator = sessionStorage.getItem("annotator") || this.run.annotator;
    this.frame = null;
    this.mask = null;
    this.edited = false;
    this.isHeld = false;
    this.holding = Promise.resolve();
    this.lock = "";
    this.histories = new Map();
    this.ready = new Map();
    this.turn = 0;
    this.view = new View(byId("view"));
    this.seconds = 0;
    this.active = performance.now();
    for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"]) document.addEventListener(kind, () => this.work(), { passive: true });
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
      this.isHeld = false;
      this.lock = isNow ? `${taken || "Somebody"} has this frame open.` : "Somebody else has had this frame since.";
      this.banner(`${this.lock} What you drew here is not saved; it is shown until you leave. Open the frame again to see theirs.`);
    } else {
      this.banner(`Not done: ${error.message}`);
    }
    this.panel.showFrame();
  }

  mayDraw() {
    if (this.lock) this.say(this.lock);
    return this.mask !== null && this.isHeld && !this.lock && !this.carrying.isOpen && !this.player.isOn;
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
    this.isHeld = false;
    this.version = found.told.version;
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
    for (const other of [...this.run.after(frame, AHEAD), this.run.neighbour(frame, 1), this.run.neighbour(frame, -1)]) {
      if (turn !== this.turn) return;
      if (other !== null) await this.fetch(other, true).catch(() => null);
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
    if (done.length || undone.length) this.histories.set(this.frame, { done, undone, data: this.mask.runs() });
  }

  hold() {
    this.holding = this.takeHold();
    return this.holding;
  }

  // Take the frame for this tab, or keep it. What somebody else has made of it since it was fetched is shown anew.
  async takeHold() {
    const { frame, turn } = this;
    if (frame === null || this.mask === null) return;
    try {
      const { version } = await post("hold", { ...this.run.query(frame), annotator: this.annotator });
      if (turn !== this.turn) return;
      if (this.isHeld || (this.lock && this.edited)) return; // what could not be saved stays to be seen
      if (!this.lock && version === this.version) {
        this.isHeld = true;
        return;
      }
      await this.open(frame, { force: true });
      await this.holding;
    } catch (error) {
      if (turn !== this.turn) return;
      if (error.status !== 409) {
        this.trouble(error);
        return;
      }
      const by = error.told.taken === this.annotator ? "Another tab of yours" : error.told.taken || "Somebody";
      this.lock = `${by} has this frame open: look, but do not draw.`;
      this.isHeld = false;
      this.banner(this.lock);
      this.panel.showFrame();
    }
  }

  async news() {
    try {
      const told = await get("news", { since: this.run.rows });
      const changed = this.run.news(told);
      for (const [frame] of told.decisions) this.ready.delete(frame);
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
}
