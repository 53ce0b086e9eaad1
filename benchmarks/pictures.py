"""The documentation's pictures of instruments told apart and of the page of review, drawn anew.

    python -m benchmarks.pictures             # docs/grouping.png and docs/review.png, a minute
    python -m benchmarks.pictures grouping    # that one

Both show drawn scenes. The page is driven in Chromium: $CUEMASK_BROWSER, or one that is installed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import BROWSERS, browser_place
from benchmarks.review import served
from cuemask.grouping.instrument import Instrument
from cuemask.grouping.whole_frames import WholeFrames, at_full_size, boxes_of
from cuemask.media.area import fixed_area
from cuemask.media.masks import write_rgb
from cuemask.media.numbers import color_of, with_numbers
from cuemask.phantom import named_scene

DOCS = Path(__file__).parents[1] / "docs"
SCENE, SEED, APART, TOGETHER, EVERY = "crossing", 2, 0, 60, 4
WIDTH_PX, HEIGHT_PX, SHRUNK_TO_PX = 1280, 800, 960
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 40, 40)


def main() -> None:
    """Draw those that are asked for."""
    makers = {"grouping": grouping, "review": review}
    for name in sys.argv[1:] or makers:
        write_rgb(DOCS / f"{name}.png", makers[name]())
        print(DOCS / f"{name}.png")


def grouping() -> np.ndarray:
    """Two instruments apart, and as they cross: what each is told by."""
    scene, tracker, shown = named_scene(SCENE, SEED), WholeFrames(), list[np.ndarray]()
    for number in range(APART, TOGETHER + 1, EVERY):
        frame = scene.frame(number)
        height, width = frame.mask.shape
        area = fixed_area(0, 0, height, width, height, width)
        labels, found = at_full_size(tracker.push(frame.mask, frame.rgb, area), frame.mask, area)
        if number in (APART, TOGETHER):
            shown.append(told_by(with_numbers(frame.rgb, labels, boxes_of(found)), found))
    return shrunk(np.concatenate(shown, axis=1))


def told_by(rgb: np.ndarray, found: Sequence[Instrument]) -> np.ndarray:
    """A picture with the axis of each shaft, its two edges, where it enters, and the tips."""
    drawn = rgb.copy()
    for one in found:
        shaft, direction = one.shaft, np.array(one.shaft.direction)
        aside, entry, end = np.array([-direction[1], direction[0]]), np.array(shaft.entry), np.array(shaft.end)
        for side in (-0.5, 0.5):
            line(drawn, entry + side * shaft.width * aside, end + side * shaft.width_at(shaft.length) * aside, BLACK, 4)
            line(drawn, entry + side * shaft.width * aside, end + side * shaft.width_at(shaft.length) * aside, WHITE, 2)
        line(drawn, entry, end, BLACK, 6)
        line(drawn, entry, end, color_of(one.number), 3)
        for place, color, size in ((entry, WHITE, 8), *((np.array(tip), RED, 7) for tip in one.tips)):
            cv2.circle(drawn, tuple(np.rint(place).astype(int).tolist()), size + 2, BLACK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(drawn, tuple(np.rint(place).astype(int).tolist()), size, color, cv2.FILLED, cv2.LINE_AA)
    return drawn


def line(drawn: np.ndarray, begin: np.ndarray, end: np.ndarray, color: tuple[int, int, int], width: int) -> None:
    """A straight line, to the nearest pixels."""
    places = (tuple(np.rint(place).astype(int).tolist()) for place in (begin, end))
    cv2.line(drawn, *places, color, width, cv2.LINE_AA)


def review() -> np.ndarray:
    """The page with a run of `predict drawn` whose instruments have kinds, after some decisions."""
    from playwright.sync_api import sync_playwright

    browser = browser_place()
    if browser is None:
        sys.exit(f"no browser: install one of {', '.join(BROWSERS)}, or name it in $CUEMASK_BROWSER")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        run = written_run(Path(folder))
        chromium = driver.chromium.launch(executable_path=browser, headless=True, args=["--disable-gpu"])
        page = chromium.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX})
        with served(run) as (address, *_):
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            decide(page)
            picture = page.screenshot()
        chromium.close()
    bgr = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    return shrunk(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def shrunk(rgb: np.ndarray) -> np.ndarray:
    """As wide as the documentation has room for."""
    size = (SHRUNK_TO_PX, round(SHRUNK_TO_PX * rgb.shape[0] / rgb.shape[1]))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def written_run(folder: Path) -> Path:
    """A drawn clip, and what the commands of the documentation make of it."""
    clip, run = folder / "clip", folder / "look"
    for words in (
        ["phantom", "--out", clip, "--frames", 40, "--seed", 2],
        ["predict", "drawn", clip / "clip.mp4", "--out", run, "--instances", "--no-overlay", "--no-report"],
        ["classes", run],
    ):
        subprocess.run([sys.executable, "-m", "cuemask", *map(str, words), "--quiet"], check=True)
    return run


def decide(page: Any) -> None:
    """Accept, empty and reject some frames, and look at the next one with the brush over it."""
    page.fill("#annotator", "Ada")
    for button in ("#accept", "#accept", "#reject", "#empty"):
        before = page.evaluate("() => review.frame")
        page.click(button)
        page.wait_for_function("before => review.frame !== before", arg=before)
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.wait_for_timeout(3000)  # until the small pictures beside the frame are there


if __name__ == "__main__":
    main()
