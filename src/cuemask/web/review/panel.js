// What stands around the frame: tools, figures, queue and progress.
import { percent, timeOf } from "./run.js";
import { TOOLS } from "./tools.js";

const byId = (id) => document.getElementById(id);
const IN_QUEUE = 9;
const WORDS = { accepted: "accepted", corrected: "corrected", empty: "empty", rejected: "rejected" };

export class Panel {
  constructor(app) {
    this.app = app;
    byId("run").textContent = app.run.name;
    byId("run").title = app.run.clips.map((clip) => clip.source).join("\n");
    byId("annotator").value = app.annotator;
    byId("annotator").addEventListener("change", (event) => {
      app.annotator = event.target.value.trim() || app.run.annotator;
      event.target.value = app.annotator;
      sessionStorage.setItem("annotator", app.annotator);
      app.hold();
    });
    this.makeTools();
    const acts = {
      accept: () => app.accept(), empty: () => app.decide("empty"), reject: () => app.decide("rejected"),
      prev: () => app.step(-1), next: () => app.step(1), undo: () => app.undo(), redo: () => app.redo(),
      restore: () => app.restore(), "help-open": () => app.help(),
      "previous-mask": () => app.carrying.previous().catch((error) => app.trouble(error)),
    };
    for (const [id, act] of Object.entries(acts)) byId(id).addEventListener("click", act);
    for (const radio of document.querySelectorAll("input[name=style]")) radio.addEventListener("change", () => app.style(radio.value === "fill"));
    byId("opacity").addEventListener("input", (event) => app.opacity(event.target.value - 100 * app.view.opacity));
    byId("size").addEventListener("input", (event) => app.tools.resize(Number(event.target.value)));
    for (const name of ["order", "filter"]) {
      byId(name).addEventListener("change", (event) => {
        app.run[name] = event.target.value;
        this.showQueue();
      });
    }
    byId("clip-label").hidden = app.run.clips.length < 2;
    byId("clip").append(new Option("all", -1), ...app.run.clips.map((clip, k) => new Option(clip.name, k)));
    byId("clip").addEventListener("change", (event) => {
      app.run.clip = Number(event.target.value);
      this.showQueue();
    });
  }

  makeTools() {
    for (const { name, key, told, hint, icon } of TOOLS) {
      const button = byId("tools").appendChild(document.createElement("button"));
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 24 24");
      svg.setAttribute("aria-hidden", "true");
      svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path")).setAttribute("d", icon);
      button.append(svg, told);
      button.id = `tool-${name}`;
      button.title = `${told} (${key}). ${hint}`;
      button.addEventListener("click", () => this.app.choose(name));
    }
  }

  showTool() {
    for (const { name } of TOOLS) byId(`tool-${name}`).setAttribute("aria-pressed", name === this.app.tools.name);
    byId("size").value = this.app.tools.size;
    byId("opacity").value = Math.round(100 * this.app.view.opacity);
    document.querySelector(`input[name=style][value=${this.app.view.fill ? "fill" : "outline"}]`).checked = true;
  }

  showFrame() {
    const { run, frame, mask, edited, lock } = this.app;
    if (frame === null) return;
    const at = run.at(frame);
    const decided = run.decided.get(frame);
    const state = edited ? "drawn on, not yet kept" : decided ? `${WORDS[decided.decision]}${decided.by ? ` by ${decided.by}` : ""}` : "not decided";
    const facts = [
      ["frame", `${at.name}${run.clips.length > 1 ? ` of ${at.clipName}` : ""}`],
      ["time", timeOf(at)],
      ["confidence", at.confidence.toFixed(2)],
      ["covered", percent(at.share)],
      ["state", state],
    ];
    byId("about").replaceChildren(
      ...facts.filter(([, value]) => value).flatMap(([name, value]) => [
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      ]),
    );
    const still = mask === null || Boolean(lock);
    for (const id of ["accept", "empty", "reject", "restore", "previous-mask", "carry", "carry-back"]) byId(id).disabled = still;
    byId("accept").firstChild.textContent = edited ? "Keep correction" : "Accept";
    byId("undo").disabled = still || !mask.done.length;
    byId("redo").disabled = still || !mask.undone.length;
    this.showQueue();
  }

  showQueue() {
    const { run, frame } = this.app;
    const shown = frame !== null && !this.app.player.isOn ? [frame, ...run.after(frame, IN_QUEUE)] : [];
    byId("queue").replaceChildren(
      ...shown.map((other, k) => {
        const at = run.at(other);
        const button = document.createElement("button");
        const decided = run.decided.get(other)?.decision;
        for (const [words, kind] of [[`${at.name} ${timeOf(at)}`, ""], [decided ?? "", "d"], [at.confidence.toFixed(2), ""]]) {
          button.appendChild(Object.assign(document.createElement("span"), { textContent: words, className: kind }));
        }
        button.setAttribute("aria-current", k === 0);
        button.addEventListener("click", () => this.app.open(other));
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    const { accepted, corrected, empty, rejected, seen } = run.tally();
    const wide = (count) => `${(100 * count) / run.count}%`;
    byId("bar-corrected").style.width = wide(corrected + empty);
    byId("bar-accepted").style.width = wide(accepted);
    byId("bar-other").style.width = wide(rejected);
    byId("bar-seen").style.width = wide(seen - accepted - corrected - empty - rejected);
    const words = [`${seen} of ${run.count} seen`, `${accepted} accepted`, `${corrected + empty} corrected`];
    if (rejected) words.push(`${rejected} rejected`);
    byId("progress-words").textContent = words.join(", ");
  }
}
