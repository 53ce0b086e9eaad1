// What is reviewed: all frames counted through the clips, what was decided of them, and in which order they come.
export class Run {
  constructor(told) {
    this.name = told.run;
    this.annotator = told.annotator;
    this.clips = told.clips;
    this.begins = [];
    this.count = 0;
    for (const clip of this.clips) {
      this.begins.push(this.count);
      this.count += clip.frames.length;
    }
    this.doubt = told.order;
    this.decided = new Map(told.drawn.map((frame) => [frame, { decision: "corrected", by: "", time: "" }]));
    this.rows = 0;
    this.held = new Map();
    this.seen = new Set();
    this.order = "doubt";
    this.filter = "open";
    this.clip = -1;
  }

  at(frame) {
    let clip = this.clips.length - 1;
    while (this.begins[clip] > frame) clip -= 1;
    const number = frame - this.begins[clip];
    const { name, frames, confidences, shares, rate } = this.clips[clip];
    return { clip, clipName: name, number, name: frames[number], confidence: confidences[number], share: shares[number], rate, count: frames.length };
  }

  query(frame) {
    const { clipName, name } = this.at(frame);
    return { clip: clipName, frame: name };
  }

  // A frame of the same clip so many further on, or null.
  neighbour(frame, step) {
    const { clip, number, count } = this.at(frame);
    return number + step < 0 || number + step >= count ? null : this.begins[clip] + number + step;
  }

  news({ decisions, count, held }) {
    for (const [frame, decision, by, time] of decisions) this.decided.set(frame, { decision, by, time });
    this.rows = count;
    this.held = new Map(held.filter(([, , mine]) => !mine).map(([frame, by]) => [frame, by]));
    return decisions.length > 0;
  }

  fits(frame) {
    const decision = this.decided.get(frame)?.decision;
    if (this.clip >= 0 && this.at(frame).clip !== this.clip) return false;
    if (this.filter === "open") return !decision;
    if (this.filter === "corrected") return decision === "corrected" || decision === "empty";
    if (this.filter === "nothing") return this.at(frame).share === 0;
    return this.filter === "all" || decision === this.filter;
  }

  ordered() {
    if (this.sorted?.order !== this.order) {
      const all = this.order === "doubt" ? this.doubt : [...Array(this.count).keys()];
      const shares = this.clips.flatMap((clip) => clip.shares);
      if (this.order === "largest") all.sort((a, b) => shares[b] - shares[a] || a - b);
      if (this.order === "smallest") all.sort((a, b) => shares[a] - shares[b] || a - b);
      const places = new Int32Array(this.count);
      all.forEach((frame, place) => (places[frame] = place));
      this.sorted = { order: this.order, all, places };
    }
    return this.sorted;
  }

  // The next frames of the queue from a frame on (or before it), which nobody else has open.
  after(frame, count, step = 1) {
    const { all, places } = this.ordered();
    const found = [];
    for (let place = frame === null ? 0 : places[frame] + step; place >= 0 && place < all.length && found.length < count; place += step) {
      if (this.fits(all[place]) && !this.held.has(all[place])) found.push(all[place]);
    }
    return found;
  }

  tally() {
    const tally = { accepted: 0, corrected: 0, empty: 0, rejected: 0 };
    for (const { decision } of this.decided.values()) tally[decision] += 1;
    let only = 0;
    for (const frame of this.seen) only += !this.decided.has(frame);
    return { ...tally, seen: this.decided.size + only };
  }
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${String(s).padStart(2, "0")}`;
}

// Frames of videos are named by their numbers.
export function timeOf(at) {
  if (!at.rate) return "";
  const tenths = Math.floor((10 * Number(at.name)) / at.rate);
  return `${clock(tenths / 10)}.${tenths % 10}`;
}
export const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
