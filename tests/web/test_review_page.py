"""The page of review as people use it, in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cuemask.media.masks import read_mask
from cuemask.runs.formats import export_masks
from cuemask.runs.reviewing import opened
from cuemask.web.review import ReviewPage

from .reviewed import left_of, square, write_run

FRAMES = 12
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("review"), FRAMES)


@pytest.fixture(scope="module")
def address(browser, run):
    desk, again = opened(run, [], "Ada")
    with ReviewPage(desk, "127.0.0.1", 0) as page:
        yield page.address
        again.stop()


@pytest.fixture
def new_page(browser, address):
    """Opens the page in a tab of its own; whatever the page complains of fails the test."""
    complaints, tabs = list[str](), []

    def opened_tab(width: int = 1440, height: int = 900):
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.set_default_timeout(PATIENCE_MS)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
        tab.on("request", lambda asked: complaints.append(asked.url) if not is_ours(asked.url) else None)
        tabs.append(tab)
        tab.goto(address)
        tab.wait_for_selector("body[data-ready]")
        tab.evaluate("() => review.holding")
        return tab

    def is_ours(url: str) -> bool:
        return url.startswith((address.partition("#")[0], "data:"))

    yield opened_tab
    for tab in tabs:
        tab.close()
    assert complaints == []


def is_complaint(said) -> bool:
    return said.type == "error" and "409" not in said.text  # that another has a frame is told by its status


class Frame:
    """The frame in the middle of the page, whose pixels can be clicked."""

    def __init__(self, tab) -> None:
        self.tab = tab

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        box = self.tab.locator("#view .layers canvas").first.bounding_box()
        size = self.tab.evaluate("() => [review.mask.width, review.mask.height]")
        return box["x"] + (x + 0.5) / size[0] * box["width"], box["y"] + (y + 0.5) / size[1] * box["height"]

    def click(self, x: float, y: float) -> None:
        self.tab.mouse.click(*self.on_screen(x, y))

    def drag(self, *points: tuple[float, float]) -> None:
        self.tab.mouse.move(*self.on_screen(*points[0]))
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*self.on_screen(*point), steps=5)
        self.tab.mouse.up()

    def open(self, number: int) -> None:
        self.tab.evaluate("async (number) => { await review.open(number); await review.holding; }", number)

    def until(self, number: int) -> None:
        self.tab.wait_for_selector(f"#about dd:text-is('f{number:02}')")
        self.tab.evaluate("() => review.holding")

    @property
    def mask(self) -> np.ndarray:
        told = self.tab.evaluate("() => [review.mask.height, review.mask.width, [...review.mask.data]]")
        return np.array(told[2], bool).reshape(told[0], told[1])

    @property
    def number(self) -> int:
        return self.tab.evaluate("() => review.frame")


def press(tab, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def saved(tab) -> None:
    tab.evaluate("() => review.saving")


def kept(run: Path, number: int) -> np.ndarray | None:
    path = run / "corrections" / "op1" / f"f{number:02}.png"
    return read_mask(path) > 0 if path.is_file() else None


def draw_square(frame: Frame, number: int) -> None:
    """Correct what the network found ten pixels too far to the left."""
    left, right = left_of(number), left_of(number) + 30
    press(frame.tab, "d", "p")
    for corner in ((left - 0.5, 39.5), (right - 0.5, 39.5), (right - 0.5, 69.5), (left - 0.5, 69.5)):
        frame.click(*corner)
    press(frame.tab, "Enter")
    assert np.array_equal(frame.mask, square(left_of(number)))


def test_three_frames_are_corrected_found_again_after_a_reload_learnt_from_and_exported(new_page, run, tmp_path):
    tab = new_page()
    frame = Frame(tab)
    assert frame.number == FRAMES - 2, "the least sure frame that has neighbours on both sides is first"
    corrected = []
    for _ in range(3):
        number = frame.number
        draw_square(frame, number)
        press(tab, "Enter")
        corrected.append(number)
        tab.wait_for_selector(f"#progress-words:has-text('{len(corrected)} corrected')")
        tab.wait_for_selector("#about dd:has-text('not decided')")
        tab.evaluate("() => review.holding")
    for number in corrected:
        assert np.array_equal(kept(run, number), square(left_of(number)))
    tab.reload()
    tab.wait_for_selector("#progress-words:has-text('3 corrected')")
    assert frame.number not in corrected
    frame.open(corrected[0])
    assert np.array_equal(frame.mask, square(left_of(corrected[0])))

    lines = export_masks(run, "coco", tmp_path / "out.json", corrections=True)
    assert lines[0] == "12 frames, 3 of them corrected"
    areas = {a["image_id"]: a["area"] for a in json.loads((tmp_path / "out.json").read_text())["annotations"]}
    assert areas[corrected[0] + 1] == 900

    press(tab, "g")
    tab.wait_for_selector("#again-words:has-text('Running')")
    tab.wait_for_selector("#again-words:has-text('Done')", timeout=5 * PATIENCE_MS)
    again = run.with_name("run-again1")
    record = json.loads((again / "run.json").read_text())
    assert record["labels"]["frames"] == {"op1": 3}
    assert len(list((again / "op1" / "masks").glob("*.png"))) == FRAMES
    assert np.array_equal(read_mask(again / "corrections" / "op1" / f"f{corrected[0]:02}.png") > 0, frame.mask)
    tab.click("#compare")
    tab.wait_for_selector("#view-after:not([hidden]) canvas", state="attached")
    tab.wait_for_selector("#view-tag:has-text('as it was decided')")


def test_brush_eraser_undo_and_redo_without_end(new_page, run):
    tab = new_page()
    frame = Frame(tab)
    frame.open(0)
    before = frame.mask
    press(tab, "b", "[", "[", "[", "[")
    frame.drag((90, 10), (110, 12))
    assert frame.mask[11, 100]
    assert (frame.mask & ~before).sum() > 60
    press(tab, "e")
    frame.drag((40, 38), (40, 72))
    assert not frame.mask[50, 40]
    drawn = frame.mask
    press(tab, "z", "z")
    assert np.array_equal(frame.mask, before)
    saved(tab)
    assert not list((run / "corrections").glob("op1/.*draft*")), "all undone: nothing to keep"
    press(tab, "z", "y", "y", "y")
    assert np.array_equal(frame.mask, drawn)
    press(tab, "ArrowRight")
    frame.until(1)
    assert np.array_equal(kept(run, 0), drawn), "leaving a frame keeps what was drawn"
    press(tab, "ArrowLeft")
    frame.until(0)
    press(tab, "z", "z")
    assert np.array_equal(frame.mask, before), "undo goes on after one has been elsewhere"
    saved(tab)


def test_regions_holes_superpixels_and_the_network_s_mask(new_page, run):
    tab = new_page()
    frame = Frame(tab)
    frame.open(2)
    own = frame.mask
    press(tab, "b", "[", "[", "[", "[")
    frame.drag((8, 8), (14, 8))
    press(tab, "r")
    frame.click(10, 8)
    assert np.array_equal(frame.mask, own), "the region is gone again"
    press(tab, "e")
    frame.click(left_of(2), 55)
    assert not frame.mask[55, left_of(2)]
    press(tab, "f")
    frame.click(left_of(2) - 9, 42)
    assert np.array_equal(frame.mask, own), "the hole is filled"
    press(tab, "s")
    tab.wait_for_selector("#tool-superpixel[aria-pressed=true]")
    tab.evaluate("() => review.tools.loadRegions()")
    frame.click(left_of(2) + 26, 55)
    added = frame.mask & ~own
    assert added[55, left_of(2) + 26]
    assert (added & square(left_of(2))).sum() > 0.8 * added.sum(), "it ends where the square does"
    press(tab, "w")
    tab.wait_for_selector("#say:has-text('own mask')")
    assert np.array_equal(frame.mask, own)
    saved(tab)


def test_a_mask_is_taken_from_the_frame_before_and_carried_on_until_it_breaks(new_page, run):
    tab = new_page()
    frame = Frame(tab)
    frame.open(4)
    draw_square(frame, 4)
    press(tab, "c")
    tab.wait_for_selector("#carrying:not([hidden]) #carry-stop[hidden]", state="attached")
    words = tab.locator("#carrying-words").inner_text()
    assert words.startswith("Carried on to ")
    count = int(words.split()[3])
    assert count >= 2, "as far as the frames that were decided before"
    assert kept(run, 5) is None, "nothing is written before it is accepted"
    tab.click("#carry-accept")
    tab.wait_for_selector("#say:has-text('frames corrected')")
    for number in range(5, 5 + count):
        mask, true = kept(run, number), square(left_of(number))
        assert (mask & true).sum() / (mask | true).sum() > 0.85, number
    frame.open(3)
    press(tab, "t")
    tab.wait_for_selector("#say:has-text('moved along')")
    saved(tab)
    assert tab.locator("#undo").is_enabled()


def test_a_second_tab_is_told_and_cannot_draw_until_the_frame_is_let_go(new_page, run):
    one, two = new_page(), new_page()
    Frame(one).open(1)
    Frame(two).open(1)
    two.wait_for_selector("#banner:has-text('Another tab of yours has this frame open')")
    before = Frame(two).mask
    Frame(two).drag((90, 10), (110, 12))
    assert np.array_equal(Frame(two).mask, before)
    assert two.locator("#accept").is_disabled()
    Frame(one).open(0)
    two.evaluate("() => review.hold()")
    two.wait_for_selector("#accept:enabled")


def test_what_another_made_of_a_frame_since_it_was_fetched_is_not_overwritten(new_page, run):
    one, two = new_page(), new_page()
    Frame(one).open(7)  # and fetches the next one ahead
    one.evaluate("() => review.fetch(8, true).then(() => null)")
    Frame(two).open(8)
    draw_square(Frame(two), 8)
    press(two, "ArrowRight")
    Frame(two).until(9)
    Frame(one).open(8)
    assert np.array_equal(Frame(one).mask, square(left_of(8)))
    assert one.evaluate("() => review.isHeld")


def test_what_was_drawn_last_is_there_after_the_page_was_killed(new_page, run):
    tab = new_page()
    frame = Frame(tab)
    frame.open(10) if kept(run, 10) is None else frame.open(0)
    number = frame.number
    frame.drag((90, 10), (110, 12))
    drawn = frame.mask
    saved(tab)
    tab.close()
    again = new_page()
    Frame(again).open(number)
    again.wait_for_selector("#say:has-text('unfinished correction')")
    assert np.array_equal(Frame(again).mask, drawn)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_all_is_within_the_page_and_named_for_who_does_not_see(new_page, width, height):
    tab = new_page(width, height)
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    unnamed = tab.evaluate(
        "() => [...document.querySelectorAll('button, input, select')].filter((e) => e.checkVisibility() && "
        "!(e.innerText || e.getAttribute('aria-label') || e.closest('label'))).map((e) => e.id)"
    )
    assert unnamed == []
    tab.click("#help-open")
    assert tab.locator("#keys div").count() > 20
    press(tab, "Escape")
    assert not tab.locator("#help").is_visible()


def test_a_decided_frame_s_mark_on_the_timeline_is_reached_from_12_pixels_away(new_page):
    tab = new_page(390, 844)
    frame = Frame(tab)
    frame.open(0)
    tab.evaluate("() => { review.run.decided.clear(); review.run.decided.set(6, { decision: 'accepted' }); }")
    box = tab.locator("#timeline").bounding_box()
    at = box["x"] + 6.5 / FRAMES * box["width"]  # where frame 6 is marked; its neighbours begin less than 14 px away
    half = box["width"] / FRAMES / 2
    tab.mouse.click(at - half - 1, box["y"] + box["height"] / 2)
    frame.until(5)
    tab.mouse.click(at - 11, box["y"] + box["height"] - 20)
    frame.until(6)
    tab.mouse.click(at + 24, box["y"] + box["height"] - 4)
    frame.until(7)


def test_without_the_token_the_page_says_what_to_open(browser, address):
    tab = browser.new_page()
    tab.goto(address.partition("#")[0])
    tab.wait_for_selector("#banner:has-text('Open the address that cuemask review printed')")
    tab.close()
