// Confidence and share over a clip, with what was decided; a click goes there.
const REACH = 12; // CSS pixels to each side of a mark, from which a finger still means it
const COLORS = { accepted: "#00b4ff", corrected: "#ffb224", empty: "#ffb224", rejected: "#c39bff" };

export class Timeline {
  constructor(canvas, app) {
    this.canvas = canvas;
    this.app = app;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.go(event, this.markAt(event));
    });
    canvas.addEventListener("pointermove", (event) => event.buttons & 1 && this.go(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  go(event, mark = null) {
    const box = this.canvas.getBoundingClientRect();
    const { clip, count } = this.app.run.at(this.app.frame);
    const number = Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * count)));
    this.app.open(mark ?? this.app.run.begins[clip] + number);
  }

  // The decided frame whose mark a press at the foot means: the nearest within reach; null elsewhere.
  markAt(event) {
    const box = this.canvas.getBoundingClientRect();
    if (event.clientY < box.bottom - 2 * REACH) return null;
    const { run, frame } = this.app;
    const { clip, count } = run.at(frame);
    const away = (other) => Math.abs(box.left + ((other - run.begins[clip] + 0.5) / count) * box.width - event.clientX);
    const within = [...run.decided.keys()].filter((other) => run.at(other).clip === clip && away(other) <= REACH);
    return within.length ? within.reduce((best, other) => (away(other) < away(best) ? other : best)) : null;
  }

  draw() {
    const { run, frame } = this.app;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (frame === null || !width) return;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const at = run.at(frame);
    this.curves(context, run.clips[at.clip], width, height - 12);
    const begin = run.begins[at.clip];
    const x = (number) => ((number + 0.5) / at.count) * width;
    for (const [other, { decision }] of run.decided) {
      if (other < begin || other >= begin + at.count) continue;
      context.fillStyle = COLORS[decision];
      context.fillRect(x(other - begin) - 1, height - 11, Math.max(2, width / at.count - 1), 9);
    }
    context.fillStyle = "#fff";
    context.fillRect(x(at.number) - 1, 0, 2, height);
    this.canvas.setAttribute("aria-valuemin", 1);
    this.canvas.setAttribute("aria-valuemax", at.count);
    this.canvas.setAttribute("aria-valuenow", at.number + 1);
    this.canvas.setAttribute("aria-valuetext", `frame ${at.name}`);
  }

  // One column a pixel: the mean share, and the range of confidence.
  curves(context, clip, width, height) {
    const count = clip.frames.length;
    const columns = Math.min(width, count);
    const most = Math.max(0.05, ...this.means(clip.shares, columns));
    context.fillStyle = "#5c6f7d";
    this.means(clip.shares, columns).forEach((share, k) => {
      const tall = (share / most) * height * 0.45;
      context.fillRect((k / columns) * width, height - tall, width / columns + 0.5, tall);
    });
    context.strokeStyle = "#e9ecef";
    context.lineWidth = 1.3;
    context.beginPath();
    this.means(clip.confidences, columns).forEach((confidence, k) => context.lineTo(((k + 0.5) / columns) * width, 3 + (1 - confidence) * (height - 6)));
    context.stroke();
  }

  means(values, columns) {
    return [...Array(Math.ceil(columns)).keys()].map((k) => {
      const begin = Math.floor((k / columns) * values.length);
      const end = Math.max(begin + 1, Math.floor(((k + 1) / columns) * values.length));
      let sum = 0;
      for (let i = begin; i < Math.min(end, values.length); i += 1) sum += values[i];
      return sum / (Math.min(end, values.length) - begin);
    });
  }
}
