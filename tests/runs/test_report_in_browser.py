"""The page of a run in a browser, where there is one: by keyboard, for screen readers, small, in print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.runs.test_reporting import made_up

from cuemask.runs.reporting import report

# Of each kind of text the contrast with what is behind it (WCAG 2.1, 1.4.3); pictures hold none.
CONTRASTS = """(() => {
  const parse = (color) => { const c = color.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c; };
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const over = (top, below) => below.map((v, i) => top[i] * top[3] + v * (1 - top[3]));
  const behind = (e) => { const layers = [];
    for (let n = e; n; n = n.parentElement) layers.unshift(parse(getComputedStyle(n).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]); };
  const found = {}, texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || e.closest("style") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), below = behind(e);
    const one = light(over(parse(e.closest("svg") ? style.fill : style.color), below)), other = light(below);
    found[`${e.tagName} ${style.color} ${style.fill}`] = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  }
  return found;
})()"""
FOCUS = """(() => { const e = document.activeElement, style = getComputedStyle(e);
  return e === document.body ? null : [e.tagName.toLowerCase(), e.getAttribute("aria-label") || e.textContent,
    style.outlineStyle, parseFloat(style.outlineWidth)]; })()"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    losses = [{"step": step, "positive": 1.0 / step} for step in (1, 2, 3)]
    return report(made_up(tmp_path_factory.mktemp("report") / "run", {"op1": 90, "op2": 40}, losses=losses))


@pytest.fixture(params=[(1440, 900), (390, 844)], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, made: Path) -> Iterator[Any]:
    width, height = request.param
    shown = browser.new_page(viewport={"width": width, "height": height})
    said: list[str] = []
    shown.on("console", lambda message: said.append(message.text))
    shown.goto(made.as_uri())
    yield shown
    assert not said
    shown.close()


def test_the_page_is_no_wider_than_its_window(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


def test_all_text_can_be_told_from_what_is_behind_it(page: Any) -> None:
    found = page.evaluate(CONTRASTS)
    assert len(found) > 5
    assert {kind: ratio for kind, ratio in found.items() if ratio < 4.5} == {}


def test_headings_go_down_one_step_at_a_time(page: Any) -> None:
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(e => Number(e.tagName[1]))")
    assert levels.count(1) == 1 == levels[0]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_whoever_hears_the_page_is_told_of_every_picture_and_chart(page: Any) -> None:
    told = page.locator("body").aria_snapshot()
    assert not re.search(r"^ *- (img|link|figure|group|region)( *|:)$", told, re.MULTILINE), "something without a name"
    assert told.count("- img ") == page.locator("img").count()
    assert told.count("Confidence, and the share of the frame that the mask covers, over the 90 frames of op1") == 1


def test_all_that_can_be_followed_is_reached_by_keyboard_and_seen_to_be(page: Any) -> None:
    stops: list[tuple[str, str, str, float]] = []
    while (stop := page.keyboard.press("Tab") or page.evaluate(FOCUS)) is not None and len(stops) < 200:
        stops.append(tuple(stop))
    assert stops[0][1] == "Skip to the clips"
    assert sum(tag == "a" for tag, *_ in stops) == page.locator("a").count()
    assert all(name.strip() and style != "none" and width >= 2 for _, name, style, width in stops)


def test_a_mark_on_the_timeline_leads_to_its_frame(page: Any) -> None:
    mark = page.locator("svg a").first
    target = (mark.get_attribute("href") or "").removeprefix("#")
    mark.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(f"Math.abs(document.getElementById('{target}').getBoundingClientRect().top)") < 900


def test_print_keeps_pictures_whole_and_has_margins(page: Any, tmp_path: Path) -> None:
    page.emulate_media(media="print")
    assert page.evaluate(
        "[...document.querySelectorAll('figure')].every(e => getComputedStyle(e).breakInside === 'avoid')"
    )
    assert not page.is_visible("nav")
    page.pdf(path=str(tmp_path / "page.pdf"), format="A4", prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
