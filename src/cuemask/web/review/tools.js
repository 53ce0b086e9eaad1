// What a pointer does to the mask, by the tool in hand.
import { getSuperpixels } from "./api.js";

export const TOOLS = [
  { name: "brush", key: "B", told: "Brush", hint: "Draw; with Alt, erase.", icon: "M4 20c3 0 5-1 5-4a3 3 0 0 0-5-2M9 14 19 4l2 2L11 16" },
  { name: "eraser", key: "E", told: "Eraser", hint: "Erase; with Alt, draw.", icon: "M4 15 14 5l6 6-8 8H8zM9 10l6 6M6 21h14" },
  { name: "polygon", key: "P", told: "Polygon", hint: "Click its corners; Enter, a double click or the first corner closes it. With Alt, it is cut out.", icon: "M5 18 3 8l9-5 9 7-5 10z" },
  { name: "fill", key: "F", told: "Fill", hint: "Click a hole, or a region to fill all of its holes.", icon: "M4 12 12 4l8 8-8 8zM4 12h16M12 4V2" },
  { name: "remove", key: "R", told: "Remove", hint: "Click a region to remove it.", icon: "M5 7h14M9 7V4h6v3M7 7l1 14h8l1-14" },
  { name: "superpixel", key: "S", told: "Superpixel", hint: "Click or drag: regions of one colour are added, or removed.", icon: "M4 4h7v6H4zM11 4h9v9h-9zM4 10h7v10H4zM11 13h9v7h-9z" },
  { name: "hand", key: "H", told: "Move", hint: "Drag the picture; the wheel or two fingers zoom.", icon: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3" },
];

export class Tools {
  constructor(app) {
    this.app = app;
    this.view = app.view;
    this.name = "brush";
    this.size = 14;
    this.corners = [];
    this.pointers = new Map();
    this.at = null;
    this.stroke = null;
    this.regions = null;
    const element = this.view.element;
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) element.addEventListener(kind, (event) => this[kind](event));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("dblclick", () => this.close());
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  choose(name) {
    this.close();
    this.name = name;
    this.view.element.dataset.tool = name;
    this.app.say(TOOLS.find((tool) => tool.name === name).hint);
    if (name === "superpixel") this.loadRegions();
    this.draw();
  }

  resize(size) {
    this.size = Math.min(150, Math.max(1, size));
    this.draw();
  }

  // Another frame: what was begun on the last one is gone.
  reset() {
    this.corners = [];
    this.stroke = null;
    this.regions = null;
    if (this.name === "superpixel") this.loadRegions();
    this.draw();
  }

  async loadRegions() {
    const frame = this.app.frame;
    if (frame === null) return;
    const found = await getSuperpixels(this.app.run.query(frame)).catch((error) => this.app.trouble(error));
    if (found && this.app.frame === frame) this.regions = { ...found, rows: rowsOf(found) };
  }

  place(event) {
    const box = this.view.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  pointerdown(event) {
    const [x, y] = this.place(event);
    this.view.element.focus({ preventScroll: true });
    this.view.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [x, y]);
    if (this.pointers.size === 2) this.abandon();
    if (this.pointers.size > 1 || event.button === 1 || this.name === "hand") return;
    if (!this.app.mayDraw()) return;
    const point = this.view.at(x, y);
    const erases = (event.altKey || event.button === 2) !== (this.name === "eraser");
    this.begin(point, erases ? 0 : 1);
  }

  begin(point, value) {
    const mask = this.app.mask;
    const [x, y] = point.map(Math.floor);
    const inside = x >= 0 && y >= 0 && x < mask.width && y < mask.height;
    if (this.name === "brush" || this.name === "eraser") {
      this.stroke = { value, last: point };
      mask.stroke(...point, ...point, this.size, value);
      this.app.painted();
    } else if (this.name === "polygon") {
      this.corner(point, value);
    } else if (inside && this.name === "fill") {
      if (!mask.fillHoles(x, y)) this.app.say("There is no hole to fill here.");
      this.app.finished();
    } else if (inside && this.name === "remove") {
      const blob = mask.blob(x, y);
      if (blob.value) blob.spans.forEach(([row, x0, x1]) => mask.span(row, x0, x1, 0));
      this.app.finished();
    } else if (inside && this.name === "superpixel" && this.regions) {
      const spans = this.region(x, y);
      const covered = spans.reduce((sum, [row, x0, x1]) => sum + mask.data.subarray(row * mask.width + x0, row * mask.width + x1).reduce((a, b) => a + b, 0), 0);
      const pixels = spans.reduce((sum, [, x0, x1]) => sum + x1 - x0, 0);
      this.stroke = { value: covered * 2 > pixels ? 0 : 1, last: point };
      this.flip(x, y);
    }
  }

  corner(point, value) {
    const first = this.corners[0] && this.view.on(...this.corners[0]);
    const here = this.view.on(...point);
    if (first && this.corners.length > 2 && Math.hypot(first[0] - here[0], first[1] - here[1]) < 9) {
      this.close();
      return;
    }
    this.cuts = value === 0;
    this.corners.push(point);
    this.draw();
  }

  // Finish the polygon; whether there was one.
  close() {
    const corners = this.corners;
    this.corners = [];
    if (corners.length < 3 || !this.app.mayDraw()) {
      this.draw();
      return false;
    }
    this.app.mask.polygon(corners, this.cuts ? 0 : 1);
    this.app.finished();
    this.draw();
    return true;
  }

  // Leave out what was begun.
  abandon() {
    if (this.stroke) {
      if (this.app.mask.commit()) this.app.mask.undo();
      this.app.mask.undone = [];
      this.app.painted();
    }
    const was = this.stroke !== null || this.corners.length > 0;
    this.stroke = null;
    this.corners = [];
    this.draw();
    return was;
  }

  pointermove(event) {
    const [x, y] = this.place(event);
    const before = this.pointers.get(event.pointerId);
    this.at = event.pointerType === "touch" ? null : [x, y];
    if (before && this.pointers.size === 2) this.pinch(event.pointerId, [x, y]);
    else if (before && (this.name === "hand" || event.buttons & 4)) this.view.pan(x - before[0], y - before[1]);
    else if (this.stroke) for (const part of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) this.go(this.place(part));
    if (before) this.pointers.set(event.pointerId, [x, y]);
    this.draw();
  }

  go(place) {
    const point = this.view.at(...place);
    if (this.name === "superpixel") this.flip(...point.map(Math.floor));
    else this.app.mask.stroke(...this.stroke.last, ...point, this.size, this.stroke.value);
    this.stroke.last = point;
    this.app.painted();
  }

  pinch(id, now) {
    const before = this.pointers.get(id);
    const other = [...this.pointers].find(([key]) => key !== id)[1];
    const span = (a) => Math.max(10, Math.hypot(a[0] - other[0], a[1] - other[1]));
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.view.zoom(span(now) / span(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  pointerup(event) {
    this.pointers.delete(event.pointerId);
    if (this.stroke) {
      this.stroke = null;
      this.app.finished();
    }
  }

  pointercancel(event) {
    this.pointerup(event);
  }

  pointerleave() {
    this.at = null;
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    this.view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), ...this.place(event));
    this.draw();
  }

  // Rows of the superpixel at a point, at the frame's size.
  region(x, y) {
    const { height, width, labels, rows } = this.regions;
    const mask = this.app.mask;
    const [sx, sy] = [mask.width / width, mask.height / height];
    const label = labels[Math.min(height - 1, Math.floor(y / sy)) * width + Math.min(width - 1, Math.floor(x / sx))];
    const spans = [];
    for (const [row, begin, end] of rows.get(label)) {
      for (let full = Math.round(row * sy); full < Math.round((row + 1) * sy); full += 1) spans.push([full, Math.round(begin * sx), Math.round(end * sx)]);
    }
    return spans;
  }

  flip(x, y) {
    const mask = this.app.mask;
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) return;
    this.region(x, y).forEach(([row, x0, x1]) => mask.span(row, x0, x1, this.stroke.value));
    this.app.painted();
  }

  // The pen's layer: the brush's ring and the polygon's corners.
  draw() {
    const context = this.view.clearPen();
    if (this.at && (this.name === "brush" || this.name === "eraser")) {
      for (const [width, color] of [[3, "#000a"], [1.5, this.name === "eraser" ? "#ffb224" : "#fff"]]) {
        context.beginPath();
        context.arc(...this.at, Math.max(1, this.size * this.view.scale), 0, 2 * Math.PI);
        Object.assign(context, { lineWidth: width, strokeStyle: color });
        context.stroke();
      }
    }
    if (this.at && this.name === "superpixel" && this.regions && this.app.mask) this.drawRegion(context);
    if (this.corners.length) {
      const points = this.corners.map((corner) => this.view.on(...corner));
      if (this.at) points.push(this.at);
      for (const [width, color] of [[4, "#000a"], [2, "#fff"]]) {
        context.beginPath();
        points.forEach((point) => context.lineTo(...point));
        Object.assign(context, { lineWidth: width, strokeStyle: color });
        context.stroke();
      }
      context.fillStyle = "#fff";
      this.corners.forEach((corner) => context.fillRect(...this.view.on(...corner).map((v) => v - 3), 6, 6));
    }
  }

  drawRegion(context) {
    const { mask } = this.app;
    const [x, y] = this.view.at(...this.at).map(Math.floor);
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) return;
    context.fillStyle = "#ffffff59";
    for (const [row, x0, x1] of this.region(x, y)) {
      const [left, top] = this.view.on(x0, row);
      context.fillRect(left, top, (x1 - x0) * this.view.scale, this.view.scale);
    }
  }
}

// The rows of each superpixel, as [row, begin, end].
function rowsOf({ height, width, labels }) {
  const rows = new Map();
  for (let row = 0, i = 0; row < height; row += 1) {
    const last = (row + 1) * width;
    while (i < last) {
      const begin = i;
      const label = labels[i];
      while (i < last && labels[i] === label) i += 1;
      if (!rows.has(label)) rows.set(label, []);
      rows.get(label).push([row, begin - row * width, i - row * width]);
    }
  }
  return rows;
}
