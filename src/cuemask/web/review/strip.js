// The frames before and after, small, and playing through them.
import { getFrame, getMask } from "./api.js";
import { timeOf } from "./run.js";

const BESIDE = 4;
const WIDE = 200;

export class Strip {
  constructor(element, app) {
    this.app = app;
    this.cells = [...Array(2 * BESIDE + 1).keys()].map((k) => {
      const button = element.appendChild(document.createElement("button"));
      button.setAttribute("role", "option");
      button.setAttribute("aria-label", "no frame");
      button.tabIndex = -1;
      const cell = { step: k - BESIDE, button, canvas: button.appendChild(document.createElement("canvas")), words: button.appendChild(document.createElement("span")), frame: null };
      button.addEventListener("click", () => cell.frame !== null && app.open(cell.frame));
      return cell;
    });
    this.turn = 0;
  }

  async show(frame) {
    const turn = (this.turn += 1);
    const { run } = this.app;
    for (const cell of this.cells) {
      const other = run.neighbour(frame, cell.step);
      cell.frame = other;
      cell.button.disabled = other === null;
      cell.button.setAttribute("aria-selected", cell.step === 0);
      const at = other === null ? null : run.at(other);
      cell.words.textContent = at ? at.name : "";
      cell.button.setAttribute("aria-label", at ? `Frame ${at.name} ${timeOf(at)}` : "no frame");
      cell.canvas.getContext("2d").clearRect(0, 0, cell.canvas.width, cell.canvas.height);
    }
    // Later: what is looked at and what comes next in the queue go first.
    await new Promise((done) => setTimeout(done, 120));
    for (const cell of this.cells) {
      if (turn !== this.turn) return;
      if (cell.frame === null) continue;
      const bitmap = await getFrame({ ...run.query(cell.frame), width: WIDE, ahead: 1 }).catch(() => null);
      if (!bitmap || turn !== this.turn) continue;
      Object.assign(cell.canvas, { width: bitmap.width, height: bitmap.height });
      cell.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    }
  }
}

export class Player {
  constructor(button, app) {
    this.button = button;
    this.app = app;
    this.isOn = false;
    button.addEventListener("click", () => this.toggle());
  }

  toggle() {
    if (this.isOn) this.isOn = false;
    else this.play();
  }

  async play() {
    const { app } = this;
    if (!(await app.leave())) return;
    this.isOn = true;
    this.button.textContent = "⏸";
    let frame = app.frame;
    const pause = 1000 / Math.min(25, app.run.at(frame).rate || 10);
    let coming = this.fetch(app.run.neighbour(frame, 1));
    while (this.isOn) {
      const next = app.run.neighbour(frame, 1);
      if (next === null) break;
      const began = performance.now();
      const shown = await coming;
      coming = this.fetch(app.run.neighbour(next, 1));
      if (!shown) break;
      frame = next;
      app.look(frame, ...shown);
      await new Promise((done) => setTimeout(done, Math.max(0, pause - (performance.now() - began))));
    }
    this.isOn = false;
    this.button.textContent = "▶";
    await app.open(frame, { force: true });
  }

  fetch(frame) {
    if (frame === null) return Promise.resolve(null);
    const query = this.app.run.query(frame);
    return Promise.all([getFrame({ ...query, width: 1280 }), getMask(query)]).catch(() => null);
  }
}
