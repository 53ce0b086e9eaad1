"use strict";

const byId = (id) => document.getElementById(id);
const number = (value, unit = "", digits = 0) => (value === null ? "–" : value.toFixed(digits) + unit);
const share = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);

// Long names may break behind what parts their words, and nowhere else while there is room.
function tell(id, text) {
  if (byId(id).dataset.told === text) return;
  byId(id).dataset.told = text;
  byId(id).replaceChildren(...text.split(/(?<=[\/\\_-])/).flatMap((part) => [part, document.createElement("wbr")]));
}

function show(s) {
  tell("source", s.source);
  const strained = s.state === "live" && s.is_strained;
  byId("state").textContent = strained ? `live, ${Math.round(100 * s.recent_dropped_share)} % dropped` : s.state;
  byId("state").dataset.state = s.state;
  byId("state").toggleAttribute("data-strained", strained);
  byId("recent_dropped_share").toggleAttribute("data-strained", strained);
  byId("trouble").textContent = s.state === "live" ? "" : (s.trouble || "");
  document.body.classList.toggle("old", s.state !== "live");
  if (!isPaused()) {
    byId("confidence").textContent = number(s.confidence, "", 2);
    byId("meter").value = s.confidence || 0;
    tellClasses(s.classes);
  }
  for (const id of ["fps_in", "fps_masked"]) byId(id).textContent = number(s[id], "", 1);
  for (const id of ["latency_median_ms", "latency_p99_ms"])
    for (const of of ["", "recent_"]) byId(of + id).textContent = number(s[of + id], " ms", 1);
  byId("recent_dropped_share").textContent = share(s.recent_dropped_share);
  byId("dropped_share").textContent = share(s.frames_in ? s.frames_dropped / s.frames_in : null);
  for (const id of ["frames_in", "frames_masked", "frames_dropped", "reconnects"])
    byId(id).textContent = s[id].toLocaleString("en");
  byId("size").textContent = s.width_px ? `${s.width_px} × ${s.height_px}` : "–";
  tell("device", s.device);
  const files = s.mask_video.map((file) => file.path.split(/[\\/]/).pop()).join(", ");
  const trouble = s.mask_video_trouble ? `: ${s.mask_video_trouble}` : "";
  tell("mask_video", (files || "–") + (s.mask_video_skipped ? `, ${s.mask_video_skipped} left out` : "") + trouble);
}

// Names stay where they are; those that are not in the picture are dim.
function tellClasses(classes) {
  const text = JSON.stringify(classes);
  if (byId("classes").dataset.told === text) return;
  byId("classes").dataset.told = text;
  byId("classes").hidden = !classes;
  byId("class_names").replaceChildren(...(classes || []).map(({ name, color, is_seen }) => {
    const [line, square] = [document.createElement("li"), document.createElement("span")];
    line.toggleAttribute("data-seen", is_seen);
    square.className = "square";
    square.hidden = !color;
    if (color) square.style.background = `rgb(${color})`;
    const told = document.createElement("span");
    told.className = "told";
    told.textContent = is_seen ? "" : ", not seen";
    line.append(square, name, told);
    return line;
  }));
}

let lost = false;

async function ask() {
  try {
    const answer = await fetch("statistics");
    show(await answer.json());
    if (lost) look();
    lost = false;
  } catch {
    lost = true;
    byId("state").textContent = "ended";
    byId("state").dataset.state = "ended";
    byId("trouble").textContent = "cuemask live does not answer: it has ended.";
    document.body.classList.add("old");
  }
  setTimeout(ask, lost ? 2000 : 500);
}

const isPaused = () => byId("pause").getAttribute("aria-pressed") === "true";

// The time keeps a browser from taking the picture that it had before.
function look() {
  if (isPaused()) return;
  const view = document.querySelector("input[name=show]:checked").value;
  byId("tint").disabled = view !== "overlay";
  byId("video").src = `video?show=${view}&tint=${byId("tint").value}&since=${Date.now()}`;
}

// The still is a copy: the stream itself is let go, so that nothing is drawn while nobody looks.
function pause() {
  const [video, still] = [byId("video"), byId("still")];
  const paused = !isPaused();
  if (paused) {
    still.width = video.naturalWidth || 1;
    still.height = video.naturalHeight || 1;
    still.getContext("2d").drawImage(video, 0, 0);
    video.src = "data:,";
  }
  byId("pause").setAttribute("aria-pressed", paused);
  byId("pause").textContent = paused ? "Go on" : "Pause";
  video.hidden = paused;
  still.hidden = byId("paused").hidden = !paused;
  look();
}

function fill() {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("stage").requestFullscreen();
}

for (const choice of document.querySelectorAll("input[name=show]")) choice.addEventListener("change", look);
byId("tint").addEventListener("input", () => { byId("tint_told").textContent = `${byId("tint").value} %`; });
byId("tint").addEventListener("change", look);
byId("pause").addEventListener("click", pause);
byId("full").addEventListener("click", fill);
byId("full").hidden = !document.fullscreenEnabled;
document.addEventListener("fullscreenchange", () => {
  byId("full").textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, button")) return;
  if (event.key === " ") { event.preventDefault(); pause(); }
  if (event.key.toLowerCase() === "f" && document.fullscreenEnabled) fill();
});
look();
ask();
