"""The page of `cuemask live` in a browser, where there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cuemask.web.live import Page, Screen

FIGURES: dict[str, Any] = {
    "state": "live",
    "source": "/a/very/long_path-of/a_recording/with_a_name_that_does_not_fit_into_a_line.mp4",
    "trouble": None,
    "fps_in": 25.0,
    "fps_masked": 1.75,
    "latency_median_ms": 301.0,
    "latency_p99_ms": 602.0,
    "recent_latency_median_ms": 401.0,
    "recent_latency_p99_ms": 702.0,
    "recent_dropped_share": 0.93,
    "is_strained": True,
    "confidence": 0.625,
    "frames_in": 1000,
    "frames_masked": 70,
    "frames_dropped": 930,
    "reconnects": 0,
    "width_px": 80,
    "height_px": 60,
    "device": "onnxruntime 1.23.0 CPUExecutionProvider",
    "mask_video": [{"path": "/masks/of_a_recording_whose_name_is_long.mp4"}],
    "mask_video_skipped": 0,
    "mask_video_trouble": None,
    "classes": [
        {"name": "large_needle_driver", "color": [86, 180, 233], "is_seen": True},
        {"name": "suction", "color": [230, 159, 0], "is_seen": False},
    ],
}
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


def until(page: Any, expression: str) -> None:
    """Wait for something to be true; playwright's own waiting evaluates words, which the page's policy forbids."""
    deadline = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


@pytest.fixture
def figures() -> dict[str, Any]:
    return dict(FIGURES)


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Any, figures: dict[str, Any]) -> Iterator[Any]:
    """The page as it is once it has shown its figures; what the console complains of is a failure."""
    screen = Screen()
    rgb, mask = np.full((60, 80, 3), (200, 40, 40), np.uint8), np.zeros((60, 80), bool)
    mask[20:40, 20:60] = True
    width, height = SIZES[request.param]
    with Page(screen, lambda: figures, "127.0.0.1", 0) as served:
        screen.show(rgb, mask)
        shown = browser.new_page(viewport={"width": width, "height": height})
        said: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.goto(served.url, wait_until="commit")
        until(shown, "document.getElementById('frames_in')?.textContent === '1,000'")
        yield shown
        assert not said
        shown.close()


def test_a_run_that_drops_nearly_all_frames_is_not_shown_as_well(page: Any) -> None:
    state = page.locator("#state")
    assert state.inner_text() == "live, 93 % dropped"
    assert state.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 176, 0)"
    assert [page.inner_text(f"#{of}latency_median_ms") for of in ("recent_", "")] == ["401.0 ms", "301.0 ms"]
    assert page.inner_text("#confidence") in ("0.63", "0.62")


def test_the_classes_of_the_model_are_named_with_their_colours_and_those_in_the_picture_stand_out(
    page: Any, figures: dict[str, Any]
) -> None:
    assert page.locator("#class_names li").all_text_contents() == ["large_needle_driver", "suction, not seen"]
    assert page.locator("#class_names li[data-seen]").all_text_contents() == ["large_needle_driver"]
    color = "getComputedStyle(document.querySelector('.square')).backgroundColor"
    assert page.evaluate(color) == "rgb(86, 180, 233)"
    figures["classes"] = None
    until(page, "document.getElementById('classes').hidden")


def test_a_run_that_keeps_up_is_green(page: Any, figures: dict[str, Any]) -> None:
    figures.update(is_strained=False, recent_dropped_share=0.1)
    until(page, "document.getElementById('state').textContent === 'live'")
    assert page.locator("#state").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(20, 108, 46)"


def test_the_page_fits_its_window_and_uses_its_width(page: Any) -> None:
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert max(
        page.evaluate("[...document.querySelectorAll('figure, aside')].map(e => e.getBoundingClientRect().right)")
    ) > (width - 20)
    if width < 500:  # one column, both as wide as the page
        widths = page.evaluate("[...document.querySelectorAll('figure, aside')].map(e => e.clientWidth)")
        assert min(widths) > width - 40


def test_words_break_only_behind_what_parts_them(page: Any) -> None:
    """Each piece between two places of breaking stands on one line."""
    pieces = page.evaluate(
        """[...document.querySelectorAll('#source, #device, #mask_video')].flatMap(e => [...e.childNodes]
        .filter(n => n.nodeType === 3 && n.length).flatMap(n => n.data.split(' ').reduce((found, word) => {
            const range = document.createRange();
            range.setStart(n, found.at);
            range.setEnd(n, found.at + word.length);
            found.at += word.length + 1;
            found.lines.push(range.getClientRects().length);
            return found;
        }, {at: 0, lines: []}).lines))"""
    )
    assert set(pieces) == {1}


def test_pause_keeps_the_frame_and_its_confidence_while_the_run_goes_on(page: Any, figures: dict[str, Any]) -> None:
    until(page, "document.getElementById('video').naturalWidth === 80")
    page.keyboard.press("Space")
    assert page.evaluate("document.getElementById('still').width") == 80
    pixel = page.evaluate("[...document.getElementById('still').getContext('2d').getImageData(5, 5, 1, 1).data]")
    assert np.abs(np.array(pixel[:3]) - (200, 40, 40)).max() < 25
    figures.update(confidence=0.1, frames_in=1001)
    until(page, "document.getElementById('frames_in').textContent === '1,001'")
    assert page.inner_text("#confidence") in ("0.63", "0.62")
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.click("#pause")
    until(page, "document.getElementById('confidence').textContent === '0.10'")
    assert page.is_visible("#video")


def test_the_picture_fills_the_screen_on_a_key(page: Any) -> None:
    page.keyboard.press("f")
    until(page, "document.fullscreenElement && document.fullscreenElement.id === 'stage'")
    assert page.inner_text("#full") == "Leave full screen"
    page.click("#full")
    until(page, "!document.fullscreenElement")


def test_everything_can_be_reached_by_keyboard_and_is_named(page: Any) -> None:
    reached: list[str] = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if reached[-1] == "tint":
            break
    assert reached == ["pause", "full", "show", "tint"]
    assert page.get_by_label("Opacity of the mask").get_attribute("type") == "range"
