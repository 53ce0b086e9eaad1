"""The page of `cuemask review` with a long run of 1080p: until it is open, the next frame, a stroke, and memory.

    python -m benchmarks.review                  # 20,000 frames
    python -m benchmarks.review --frames 2000

The run is made of a phantom: 250 frames enlarged to 1920 x 1080, H.264 with a key frame every 250 frames (as x264 has
it by default, and the worst to jump in), whose packets are repeated; masks are links to the phantom's own. The page is
that of the command, in a process of its own, driven in Chromium without a window: $CUEMASK_BROWSER, or one that is
installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from benchmarks.machine import BROWSERS, browser_place, machine
from cuemask.phantom import PhantomScene, write_phantom
from cuemask.recipe import DEFAULT, recipe_as_mapping

HEIGHT_PX, WIDTH_PX, LOOP, RATE = 1080, 1920, 250, 25
STEPS, STEPS_AT_ONCE, STROKES = 12, 6, 12
PATIENCE_MS = 180_000
AIMS = {"open": 2000.0, "next": 100.0, "stroke": 16.0}
RESULT = Path(__file__).parent / "results" / "review.md"
THINKING_SECONDS = 1.5


def main() -> None:
    """Measure, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000, help="of the longer run [20000]; the other has a tenth")
    frames = parser.parse_args().frames
    browser = browser_place()
    if browser is None:
        sys.exit(f"no browser: install one of {', '.join(BROWSERS)}, or name it in $CUEMASK_BROWSER")
    with tempfile.TemporaryDirectory() as folder:
        loop = written_loop(Path(folder) / "loop")
        found = {
            count: measured(written_run(Path(folder) / str(count), loop, count), browser)
            for count in (max(LOOP, frames // 10), frames)
        }
    keep(found, frames)


def written_loop(folder: Path) -> Path:
    """`loop.mp4` and its masks, at 1080p."""
    small = write_phantom(folder / "small", 50, PhantomScene(seed=2, height_px=HEIGHT_PX // 4, width_px=WIDTH_PX // 4))
    masks = folder / "masks"
    masks.mkdir()
    with av.open(str(small.video)) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    options = {"preset": "veryfast", "x264-params": f"keyint={LOOP}:min-keyint={LOOP}:scenecut=0:bframes=0"}
    with av.open(str(folder / "loop.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT_PX, WIDTH_PX, "yuv420p"
        for number in range(LOOP):
            turn = number % (2 * len(pictures) - 2)  # there and back
            picture = pictures[min(turn, 2 * len(pictures) - 2 - turn)]
            large = cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
            if number < len(pictures):
                mask = cv2.imread(str(small.masks / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)
                mask = cv2.resize(mask, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(masks / f"{number:06d}.png"), np.where(mask > 0, 255, 0).astype(np.uint8))
        container.mux(stream.encode(None))
    return folder


def written_run(folder: Path, loop: Path, frames: int) -> Path:
    """A run of `frames` frames, as `cuemask predict` leaves it."""
    run, clip = folder / "run", folder / "run" / "clip"
    (clip / "masks").mkdir(parents=True)
    repeat_video(loop / "loop.mp4", folder / "clip.mp4", frames)
    kept = len(list((loop / "masks").iterdir()))
    rng = np.random.default_rng(0)
    doubt = np.clip(0.7 + np.cumsum(rng.normal(0, 0.01, frames)) + rng.normal(0, 0.03, frames), 0, 1)
    with (clip / "confidence.csv").open("w") as table:
        table.write("frame,confidence,share\n")
        for number in range(frames):
            os.link(loop / "masks" / f"{number % kept:06d}.png", clip / "masks" / f"{number:06d}.png")
            table.write(f"{number:06d},{doubt[number]:.4f},0.1200\n")
    selection = {"every": 1, "frames_per_second": None, "start_seconds": 0.0, "end_seconds": None}
    size = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, "selection": selection}
    entry = {"clip": "clip", "source": str(folder / "clip.mp4"), "sha256": "0", **size}
    record = {"cuemask": "0", "status": "complete", "recipe": recipe_as_mapping(DEFAULT), "inputs": [entry]}
    (run / "run.json").write_text(json.dumps(record))
    return run


def repeat_video(loop: Path, path: Path, frames: int) -> None:
    """The packets of `loop` again and again, with rising times."""
    with av.open(str(path), "w") as out:
        stream, number = None, 0
        while number < frames:
            with av.open(str(loop)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                step = round(1 / RATE / source.time_base)
                for packet in container.demux(source):
                    if packet.size and number < frames:
                        packet.pts = packet.dts = number * step
                        packet.time_base, packet.stream = Fraction(source.time_base), stream
                        out.mux(packet)
                        number += 1


@contextmanager
def served(run: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """The page's address, its process, and when the command was started."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "cuemask", "review", str(run), "--quiet"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip(), psutil.Process(child.pid), began
    finally:
        child.terminate()
        child.wait()


def measured(run: Path, browser: str) -> dict[str, Any]:
    """Milliseconds until open, of each next frame and of each part of a stroke; megabytes of the server."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, headless=True, args=["--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        with served(run) as (address, process, began):
            ready = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            opened = time.perf_counter()
            told: dict[str, Any] = {
                "command": 1000 * (ready - began),
                "open": 1000 * (opened - ready),
                "memory at first": process.memory_info().rss / 1e6,
            }
            page.wait_for_timeout(3000)
            told["next"] = next_frames(page, STEPS, THINKING_SECONDS)
            told["next at once"] = next_frames(page, STEPS_AT_ONCE, 0.0)
            told["stroke"] = strokes(page)
            told["memory"] = process.memory_info().rss / 1e6
        chromium.close()
    return told


_NEXT = """async () => {
  const began = performance.now();
  const before = review.frame;
  await review.step(1);
  await new Promise((done) => requestAnimationFrame(done));
  return review.frame === before ? null : performance.now() - began;
}"""

# What a move of the pointer costs until the picture is painted, at a brush 80 pixels wide.
_STROKE = """async () => {
  const { mask, view } = review;
  const spent = [];
  review.tools.size = 40;
  for (let k = 0; k < 20; k += 1) {
    const began = performance.now();
    mask.stroke(300 + 30 * k, 400 + 10 * k, 330 + 30 * k, 410 + 10 * k, 40, k % 2);
    view.paint(mask.takeDirty());
    view.painted.getImageData(0, 0, 1, 1);
    spent.push(performance.now() - began);
  }
  review.finished();
  await review.saving;
  return spent;
}"""


def next_frames(page: Any, steps: int, thinking_seconds: float) -> list[float]:
    """From the key to the frame and its mask on the page, with so much time to look at each."""
    spent = list[float]()
    for _ in range(steps):
        page.wait_for_timeout(1000 * thinking_seconds)
        spent.append(page.evaluate(f"({_NEXT})()"))
    return [one for one in spent if one is not None]


def strokes(page: Any) -> list[float]:
    """Of each piece of some strokes."""
    return [one for _ in range(STROKES) for one in page.evaluate(f"({_STROKE})()")]


def keep(found: dict[int, dict[str, Any]], frames: int) -> None:
    """Write the table."""
    rows = list[str]()
    for count, told in found.items():
        next_ms, at_once, stroke = (np.array(told[name]) for name in ("next", "next at once", "stroke"))
        rows.append(
            f"| {count:,} | {told['command']:.0f} | {told['open']:.0f} | {_median(next_ms)} | {_median(at_once)} "
            f"| {_median(stroke, 1)} | {told['memory at first']:.0f} | {told['memory']:.0f} |"
        )
    last = found[frames]
    values = {"open": last["open"], **{name: float(np.median(last[name])) for name in ("next", "stroke")}}
    missed = [f"{name} {values[name]:.1f} ms, aim {aim:.0f} ms" for name, aim in AIMS.items() if values[name] > aim]
    short, long = (told["memory"] for told in found.values())
    command = "python -m benchmarks.review" + (f" --frames {frames}" if frames != 20_000 else "")
    text = f"""# The page of `cuemask review`

`{command}`; {machine()}.
A run of 1080p, H.264 with a key frame every {LOOP} frames, the queue in the order of doubt, in Chromium
without a graphics card, page and server on the same cores. Median [90th percentile], milliseconds.

| frames | command, until it serves | page, until it is open | next frame, after {THINKING_SECONDS:g} s | \
next frame, at once | piece of a stroke | MB of the server at first | MB after {STEPS + STEPS_AT_ONCE} frames |
|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

- Where the load is above the number of threads, other work took its share and the times are upper bounds.
- Aims: open in 2 s, the next frame in 100 ms, a stroke in 16 ms: {"; ".join(missed) + " missed" if missed else "met"}.
- Memory of the server with ten times the length: {long / short - 1:+.1%}.
- "At once" is a jump without time to fetch ahead: {LOOP // 2} frames of 1080p are decoded for it on average.
- A piece of a stroke is a move of 32 pixels with a brush 80 pixels wide, until it is painted at the frame's own size.
"""
    RESULT.write_text(text)
    print(text)


def _median(values: np.ndarray, digits: int = 0) -> str:
    return f"{np.median(values):.{digits}f} [{np.quantile(values, 0.9):.{digits}f}]"


if __name__ == "__main__":
    main()
