// The groups of instruments that look alike: named, merged by one name, or told to be no instrument.
import { get, getExemplar, post } from "./api.js";

const byId = (id) => document.getElementById(id);
const make = (tag, told = {}) => Object.assign(document.createElement(tag), told);

export class Kinds {
  constructor(app) {
    this.app = app;
    this.rows = [];
    this.version = "";
    byId("kinds-open").addEventListener("click", () => this.open());
    byId("kinds-save").addEventListener("click", () => this.save());
    byId("kinds-close").addEventListener("click", () => byId("kinds").close());
    get("kinds").then((told) => (byId("kinds-open").hidden = !told.groups.length), (error) => app.trouble(error));
  }

  async open() {
    try {
      this.show(await get("kinds"));
      byId("kinds").showModal();
      await this.draw();
    } catch (error) {
      this.app.trouble(error);
    }
  }

  show(told) {
    this.version = told.version;
    this.rows = told.groups.map((group) => this.row(group));
    byId("kinds-list").replaceChildren(...this.rows.map((row) => row.element));
    this.count();
  }

  row(group) {
    const element = make("li");
    const pictures = element.appendChild(make("div", { className: "exemplars" }));
    const canvases = [...Array(group.exemplars).keys()].map(() => pictures.appendChild(make("canvas", { width: 240, height: 180 })));
    pictures.setAttribute("role", "img");
    pictures.setAttribute("aria-label", `Exemplars of group ${group.number}`);
    const line = element.appendChild(make("div", { className: "row" }));
    const label = line.appendChild(make("label", { textContent: `Group ${group.number} ` }));
    const name = label.appendChild(make("input", { value: group.name, maxLength: 60, placeholder: "its name", autocomplete: "off", spellcheck: false }));
    name.setAttribute("list", "kinds-names");
    const other = line.appendChild(make("label"));
    const none = other.appendChild(make("input", { type: "checkbox", checked: group.is_none }));
    other.append(" no instrument");
    const words = line.appendChild(make("span", { className: "quiet", textContent: `${group.tracks} ${group.tracks === 1 ? "track" : "tracks"}, seen ${group.frames} times` }));
    name.addEventListener("input", () => this.count());
    none.addEventListener("change", () => this.count());
    return { group, element, canvases, name, none, words };
  }

  // What stands there now: disabled names, names to choose from, and how many classes that makes.
  count() {
    const names = new Map();
    for (const { name, none, group } of this.rows) {
      name.disabled = none.checked;
      if (!none.checked) names.set(name.value.trim() || `group ${group.number}`, group.number);
    }
    byId("kinds-names").replaceChildren(...[...names.keys()].map((value) => make("option", { value })));
    byId("kinds-words").textContent = `${names.size} ${names.size === 1 ? "class" : "classes"}: ${[...names.keys()].join(", ")}`;
  }

  async draw() {
    for (const { group, canvases } of this.rows) {
      for (const [place, canvas] of canvases.entries()) {
        if (!byId("kinds").open) return;
        const bitmap = await getExemplar({ group: group.number, place }).catch(() => null);
        if (bitmap) canvas.getContext("2d").drawImage(bitmap, 0, 0);
      }
    }
  }

  async save() {
    const names = Object.fromEntries(this.rows.map(({ group, name, none }) => [group.number, none.checked ? null : name.value]));
    try {
      const told = await post("name", {}, JSON.stringify({ version: this.version, names }));
      this.version = told.version;
      byId("kinds").close();
      this.app.say("Names are written: classes.toml.");
    } catch (error) {
      byId("kinds-words").textContent = error.message;
    }
  }
}
