// A frame with its mask, at the frame's own resolution; zoom and pan only move the canvases.
const SKY = [0, 180, 255];
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const pixel = (r, g, b, a) => (LITTLE ? (a << 24) | (b << 16) | (g << 8) | r : (r << 24) | (g << 16) | (b << 8) | a) >>> 0;
const LARGEST = 24;

export class View {
  constructor(element) {
    this.element = element;
    this.layers = element.appendChild(document.createElement("div"));
    this.layers.className = "layers";
    this.picture = this.layers.appendChild(document.createElement("canvas"));
    this.overlay = this.layers.appendChild(document.createElement("canvas"));
    this.pen = element.appendChild(document.createElement("canvas"));
    this.pictured = this.picture.getContext("2d", { alpha: false });
    this.painted = this.overlay.getContext("2d");
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.isFitted = true;
    this.fill = true;
    this.opacity = 0.25;
    this.mask = null;
    this.moved = () => {};
    new ResizeObserver(() => this.resize()).observe(element);
  }

  // `size` is the frame's: a small picture is enlarged to it.
  show(bitmap, mask) {
    const { width, height } = mask;
    if (this.picture.width !== width || this.picture.height !== height) {
      for (const canvas of [this.picture, this.overlay]) Object.assign(canvas, { width, height });
      this.isFitted = true;
    }
    this.pictured.drawImage(bitmap, 0, 0, width, height);
    this.mask = mask;
    this.paintAll();
    if (this.isFitted) this.fit();
  }

  paintAll() {
    if (!this.mask) return;
    const { data, width, height } = this.mask;
    this.painted.clearRect(0, 0, width, height);
    const first = data.indexOf(1);
    if (first >= 0) this.paint([0, Math.floor(first / width), width, Math.floor(data.lastIndexOf(1) / width) + 1]);
  }

  // Draw what changed: fill, outline inside of the mask's edge, and a dark rim outside of it.
  paint(dirty) {
    if (!dirty) return;
    const { data, width, height } = this.mask;
    const t = Math.max(1, Math.round(height / 400));
    const [x0, y0, x1, y1] = [Math.max(0, dirty[0] - 2 * t), Math.max(0, dirty[1] - 2 * t), Math.min(width, dirty[2] + 2 * t), Math.min(height, dirty[3] + 2 * t)];
    const image = this.painted.createImageData(x1 - x0, y1 - y0);
    const out = new Uint32Array(image.data.buffer);
    const inner = this.fill ? pixel(...SKY, Math.round(255 * this.opacity)) : 0;
    const line = pixel(...SKY, 255);
    const rim = pixel(0, 0, 0, 190);
    for (let y = y0, o = 0; y < y1; y += 1) {
      const row = y * width;
      const up = Math.max(0, y - t) * width;
      const down = Math.min(height - 1, y + t) * width;
      for (let x = x0; x < x1; x += 1, o += 1) {
        const l = x < t ? 0 : x - t;
        const r = x + t >= width ? width - 1 : x + t;
        if (data[row + x]) out[o] = data[row + l] & data[row + r] & data[up + x] & data[down + x] ? inner : line;
        else if (data[row + l] | data[row + r] | data[up + x] | data[down + x]) out[o] = rim;
      }
    }
    this.painted.putImageData(image, x0, y0);
  }

  resize() {
    const { clientWidth, clientHeight } = this.element;
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.pen, { width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) });
    this.pen.style.width = `${clientWidth}px`;
    this.pen.style.height = `${clientHeight}px`;
    if (this.isFitted) this.fit();
    else this.place();
  }

  fit() {
    const { clientWidth, clientHeight } = this.element;
    if (!this.picture.width || !clientWidth) return;
    this.scale = Math.min(clientWidth / this.picture.width, clientHeight / this.picture.height);
    this.left = (clientWidth - this.picture.width * this.scale) / 2;
    this.top = (clientHeight - this.picture.height * this.scale) / 2;
    this.isFitted = true;
    this.place();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const [px, py] = this.at(x, y);
    const least = 0.5 * Math.min(this.element.clientWidth / this.picture.width, this.element.clientHeight / this.picture.height);
    this.scale = Math.min(LARGEST, Math.max(least, this.scale * factor));
    this.left = x - px * this.scale;
    this.top = y - py * this.scale;
    this.isFitted = false;
    this.place();
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.isFitted = false;
    this.place();
  }

  place() {
    this.layers.style.transform = `translate(${this.left}px, ${this.top}px) scale(${this.scale})`;
    this.layers.classList.toggle("near", this.scale >= 3);
    this.moved(this);
  }

  follow(other) {
    Object.assign(this, { scale: other.scale, left: other.left, top: other.top, isFitted: other.isFitted });
    this.layers.style.transform = other.layers.style.transform;
  }

  // Where in the frame a point of the element lies, and where on the element a point of the frame.
  at(x, y) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  on(px, py) {
    return [px * this.scale + this.left, py * this.scale + this.top];
  }

  clearPen() {
    const context = this.pen.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.pen.width, this.pen.height);
    return context;
  }
}
