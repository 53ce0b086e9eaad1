"use strict";

const byId = (id) => document.getElementById(id);
const number = (value, unit = "", digits = 0) => (value === null ? "–" : value.toFixed(digits) + unit);

function show(s) {
  byId("source").textContent = s.source;
  byId("state").textContent = s.state;
  byId("state").dataset.state = s.state;
  byId("trouble").textContent = s.state === "live" ? "" : (s.trouble || "");
  document.body.classList.toggle("old", s.state !== "live");
  byId("fps_in").textContent = number(s.fps_in, "", 1);
  byId("fps_masked").textContent = number(s.fps_masked, "", 1);
  byId("latency_median_ms").textContent = number(s.latency_median_ms, " ms", 1);
  byId("latency_p99_ms").textContent = number(s.latency_p99_ms, " ms", 1);
  const share = s.frames_in ? ` (${(100 * s.frames_dropped / s.frames_in).toFixed(1)} %)` : "";
  byId("frames_in").textContent = s.frames_in;
  byId("frames_masked").textContent = s.frames_masked;
  byId("frames_dropped").textContent = s.frames_dropped + share;
  byId("reconnects").textContent = s.reconnects;
  byId("size").textContent = s.width_px ? `${s.width_px} × ${s.height_px}` : "–";
  byId("device").textContent = s.device;
  const files = s.mask_video.map((file) => file.path.split(/[\\/]/).pop()).join(", ");
  const trouble = s.mask_video_trouble ? `: ${s.mask_video_trouble}` : "";
  byId("mask_video").textContent = (files || "–") + (s.mask_video_skipped ? `, ${s.mask_video_skipped} left out` : "") + trouble;
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

// The time keeps a browser from taking the picture that it had before.
function look() {
  const view = document.querySelector("input[name=show]:checked").value;
  byId("video").src = `video?show=${view}&since=${Date.now()}`;
}

for (const choice of document.querySelectorAll("input[name=show]")) choice.addEventListener("change", look);
look();
ask();
