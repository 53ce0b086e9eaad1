// All keys, and the list of them.
export function keysOf(app) {
  const { tools, carrying, again, player } = app;
  const tool = (name) => () => app.choose(name);
  return [
    ["Enter", "accept, or keep the correction, and go on", () => tools.close() || app.accept(), ["enter", "a"]],
    ["N", "empty: no instrument in this frame", () => app.decide("empty"), ["n"]],
    ["X", "reject: not to be used", () => app.decide("rejected"), ["x"]],
    ["↓ ↑", "next, previous in the queue", null, []],
    ["", "", () => app.step(1), ["arrowdown", "j"]],
    ["", "", () => app.step(-1), ["arrowup", "k"]],
    ["← →", "frame before, after", null, []],
    ["", "", () => app.beside(-1), ["arrowleft"]],
    ["", "", () => app.beside(1), ["arrowright"]],
    ["L", "play, stop", () => player.toggle(), ["l"]],
    ["B", "brush", tool("brush"), ["b"]],
    ["E", "eraser", tool("eraser"), ["e"]],
    ["P", "polygon", tool("polygon"), ["p"]],
    ["F", "fill holes", tool("fill"), ["f"]],
    ["R", "remove a region", tool("remove"), ["r"]],
    ["S", "superpixel", tool("superpixel"), ["s"]],
    ["H", "move the picture", tool("hand"), ["h"]],
    ["[ ]", "smaller, larger brush", null, []],
    ["", "", () => app.brush(1 / 1.25), ["["]],
    ["", "", () => app.brush(1.25), ["]"]],
    ["Alt", "while drawing: erase instead, or the other way round", null, []],
    ["Z", "undo", () => app.undo(), ["z", "ctrl+z"]],
    ["Y", "redo", () => app.redo(), ["y", "ctrl+y", "ctrl+shift+z", "shift+z"]],
    ["W", "the network's own mask again", () => app.restore(), ["w"]],
    ["D", "draw nothing: clear the mask", () => app.clear(), ["d", "delete"]],
    ["T", "the previous frame's mask, moved along", () => carrying.previous().catch((e) => app.trouble(e)), ["t"]],
    ["C", "carry on to the frames after", () => carrying.start(1), ["c"]],
    ["Shift+C", "carry on to the frames before", () => carrying.start(-1), ["shift+c"]],
    ["Space", "hold: the bare picture", null, []],
    ["O", "outline or fill", () => app.style(), ["o"]],
    [", .", "less, more opacity", null, []],
    ["", "", () => app.opacity(-5), [","]],
    ["", "", () => app.opacity(5), ["."]],
    ["+ −", "zoom", null, []],
    ["", "", () => app.view.zoom(1.25), ["+", "="]],
    ["", "", () => app.view.zoom(0.8), ["-"]],
    ["0", "the whole frame", () => app.view.fit(), ["0"]],
    ["1", "a pixel for a pixel", () => app.view.zoom(1 / app.view.scale), ["1"]],
    ["G", "learn again", () => again.start(), ["g"]],
    ["V", "before and after learning again", () => again.compare(), ["v"]],
    ["Esc", "leave out what was begun", () => app.escape(), ["escape"]],
    ["?", "this list", () => app.help(), ["?"]],
  ];
}

export function listenToKeys(app) {
  const keys = keysOf(app);
  const byName = new Map(keys.flatMap(([, , act, names]) => names.map((name) => [name, act])));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input[maxlength], select, dialog[open]") || event.metaKey) return;
    if (event.key === " " && !event.target.closest?.("button")) {
      document.body.classList.add("bare");
      event.preventDefault();
      return;
    }
    if (event.target.closest?.("input[type=range], input[type=radio]") && event.key.startsWith("Arrow")) return;
    if (event.key === "Enter" && event.target.closest?.("button")) return;
    const base = event.key.toLowerCase();
    const shifted = event.shiftKey && base.length === 1 && base !== base.toUpperCase();
    const act = byName.get(`${event.ctrlKey ? "ctrl+" : ""}${shifted ? "shift+" : ""}${base}`);
    if (!act || event.altKey) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("keyup", (event) => event.key === " " && document.body.classList.remove("bare"));
  window.addEventListener("blur", () => document.body.classList.remove("bare"));
  document.getElementById("keys").replaceChildren(
    ...keys.filter(([key]) => key).map(([key, words]) => {
      const row = document.createElement("div");
      const names = row.appendChild(document.createElement("span"));
      for (const one of key.split(" ")) names.append(Object.assign(document.createElement("kbd"), { textContent: one }), " ");
      row.append(words);
      return row;
    }),
  );
}
