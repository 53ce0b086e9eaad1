import { asRuns } from "./api.js";

// A mask that is drawn on. Each step is kept as the runs of pixels that it changed, so that undo has no end.
export class Mask {
  constructor({ height, width, data }, history = null) {
    this.height = height;
    this.width = width;
    this.data = data;
    this.undone = history ? history.undone : [];
    this.done = history ? history.done : [];
    this.step = [];
    this.dirty = null;
  }

  runs() {
    return asRuns(this);
  }

  get area() {
    let sum = 0;
    for (let i = 0; i < this.data.length; i += 1) sum += this.data[i];
    return sum;
  }

  // One row from x0 up to but not including x1.
  span(y, x0, x1, value) {
    if (y < 0 || y >= this.height) return;
    const row = y * this.width;
    const end = row + Math.min(this.width, x1);
    let i = row + Math.max(0, x0);
    while (i < end) {
      while (i < end && this.data[i] === value) i += 1;
      const begin = i;
      while (i < end && this.data[i] !== value) i += 1;
      if (i > begin) {
        this.data.fill(value, begin, i);
        this.step.push(begin, i - begin);
        this.#soil(begin - row, y, i - row, y + 1);
      }
    }
  }

  // A disc along a line.
  stroke(x0, y0, x1, y1, radius, value) {
    const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / Math.max(0.5, radius / 3)));
    for (let k = 0; k <= steps; k += 1) this.#disc(x0 + ((x1 - x0) * k) / steps, y0 + ((y1 - y0) * k) / steps, radius, value);
  }

  #disc(cx, cy, radius, value) {
    for (let y = Math.ceil(cy - radius - 0.5); y + 0.5 <= cy + radius; y += 1) {
      const half = Math.sqrt(Math.max(0, radius * radius - (y + 0.5 - cy) ** 2));
      this.span(y, Math.ceil(cx - half - 0.5), Math.floor(cx + half - 0.5) + 1, value);
    }
  }

  // All pixels whose centres the polygon holds.
  polygon(points, value) {
    const ys = points.map((p) => p[1]);
    for (let y = Math.floor(Math.min(...ys)); y <= Math.max(...ys); y += 1) {
      const crossings = [];
      points.forEach(([x0, y0], k) => {
        const [x1, y1] = points[(k + 1) % points.length];
        const at = y + 0.5;
        if (y0 <= at !== y1 <= at) crossings.push(x0 + ((at - y0) * (x1 - x0)) / (y1 - y0));
      });
      crossings.sort((a, b) => a - b);
      for (let k = 0; k + 1 < crossings.length; k += 2) this.span(y, Math.ceil(crossings[k] - 0.5), Math.ceil(crossings[k + 1] - 0.5), value);
    }
  }

  replace(data) {
    for (let y = 0; y < this.height; y += 1) {
      const row = y * this.width;
      for (let x = 0; x < this.width; ) {
        const value = data[row + x];
        const begin = x;
        while (x < this.width && data[row + x] === value) x += 1;
        this.span(y, begin, x, value);
      }
    }
  }

  // The connected pixels of the value at a point: its rows as [y, x0, x1], and whether they reach the frame's edge.
  blob(x, y) {
    const { data, width, height } = this;
    const value = data[y * width + x];
    const seen = new Uint8Array(data.length);
    const spans = [];
    let touches = false;
    const waiting = [[x, y]];
    while (waiting.length) {
      const [px, py] = waiting.pop();
      const row = py * width;
      if (seen[row + px]) continue;
      let left = px;
      let right = px + 1;
      while (left > 0 && data[row + left - 1] === value) left -= 1;
      while (right < width && data[row + right] === value) right += 1;
      seen.fill(1, row + left, row + right);
      spans.push([py, left, right]);
      touches ||= left === 0 || right === width || py === 0 || py === height - 1;
      for (const ny of [py - 1, py + 1]) {
        if (ny < 0 || ny >= height) continue;
        for (let i = left, open = false; i < right; i += 1) {
          const fits = data[ny * width + i] === value && !seen[ny * width + i];
          if (fits && !open) waiting.push([i, ny]);
          open = fits;
        }
      }
    }
    return { value, spans, touches };
  }

  fillHoles(x, y) {
    const blob = this.blob(x, y);
    if (!blob.value) {
      if (!blob.touches) blob.spans.forEach(([row, x0, x1]) => this.span(row, x0, x1, 1));
      return !blob.touches;
    }
    const [top, bottom] = blob.spans.reduce(([a, b], [row]) => [Math.min(a, row), Math.max(b, row)], [this.height, 0]);
    const [left, right] = blob.spans.reduce(([a, b], [, x0, x1]) => [Math.min(a, x0), Math.max(b, x1)], [this.width, 0]);
    const outside = new Uint8Array(this.data.length);
    let filled = false;
    for (let row = top + 1; row < bottom; row += 1) {
      for (let col = left + 1; col < right - 1; col += 1) {
        const i = row * this.width + col;
        if (this.data[i] || outside[i]) continue;
        const hole = this.blob(col, row);
        const inside = !hole.touches && hole.spans.every(([r, x0, x1]) => r > top && r < bottom && x0 > left && x1 < right);
        if (inside) hole.spans.forEach(([r, x0, x1]) => this.span(r, x0, x1, 1));
        else hole.spans.forEach(([r, x0, x1]) => outside.fill(1, r * this.width + x0, r * this.width + x1));
        filled ||= inside;
      }
    }
    return filled;
  }

  // The end of a step; whether it changed anything.
  commit() {
    if (!this.step.length) return false;
    this.done.push(Uint32Array.from(this.step));
    this.undone = [];
    this.step = [];
    return true;
  }

  undo() {
    return this.#turn(this.done, this.undone);
  }

  redo() {
    return this.#turn(this.undone, this.done);
  }

  #turn(from, to) {
    if (this.step.length) this.commit();
    const step = from.pop();
    if (!step) return false;
    for (let k = 0; k < step.length; k += 2) {
      for (let i = step[k]; i < step[k] + step[k + 1]; i += 1) this.data[i] ^= 1;
      const y = Math.floor(step[k] / this.width);
      this.#soil(step[k] % this.width, y, (step[k] % this.width) + step[k + 1], y + 1);
    }
    to.push(step);
    return true;
  }

  #soil(x0, y0, x1, y1) {
    const d = this.dirty;
    this.dirty = d ? [Math.min(d[0], x0), Math.min(d[1], y0), Math.max(d[2], x1), Math.max(d[3], y1)] : [x0, y0, x1, y1];
  }

  takeDirty() {
    const dirty = this.dirty;
    this.dirty = null;
    return dirty;
  }
}
