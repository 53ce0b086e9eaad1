"""Groups of instruments that look alike, named on the page of review."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from cuemask.grouping.classes import FILE, Group, as_toml, names_of, read_classes, read_groups, with_names
from cuemask.media.masks import write_numbers
from cuemask.runs.reviewing import opened
from cuemask.web.review import TOKEN, ReviewPage

from .reviewed import left_of, square, write_run

GROUPS = [
    Group(number, (("op1", number),), 12, tuple(f"op1/f{frame:02}:{number}" for frame in range(4)))
    for number in (1, 2, 3)
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = write_run(tmp_path)
    (run / "op1" / "instances").mkdir()
    for number in range(12):
        labels = square(left_of(number) - 10).astype(np.uint16)
        labels[60:] *= 2
        write_numbers(run / "op1" / "instances" / f"f{number:02}.png", labels)
    (run / FILE).write_text(as_toml(GROUPS))
    return run


@pytest.fixture
def page(run: Path) -> Iterator[ReviewPage]:
    desk, _ = opened(run, [], "Ada")
    with ReviewPage(desk, "127.0.0.1", 0) as page:
        yield page


Ask = Callable[..., tuple[int, bytes]]


@pytest.fixture
def ask(page: ReviewPage) -> Ask:
    address = urlsplit(page.address)

    def asked(path: str, told: object = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(address.netloc, timeout=20)) as connection:
            headers = {TOKEN: address.fragment} if headers is None else headers
            body = None if told is None else json.dumps(told)
            connection.request("POST" if body else "GET", f"/api/{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    return asked


def _kinds(ask: Ask) -> dict[str, Any]:
    return json.loads(ask("kinds")[1])


def test_one_name_makes_one_class_and_none_makes_no_instrument(run: Path, ask: Ask):
    told = _kinds(ask)
    assert [group["name"] for group in told["groups"]] == ["", "", ""]
    names = {"1": "grasper", "2": None, "3": " grasper\n"}
    status, body = ask("name", {"version": told["version"], "names": names})
    assert status == 200
    assert [(g["name"], g["is_none"]) for g in json.loads(body)["groups"]] == [
        ("grasper", False),
        ("", True),
        ("grasper", False),
    ]
    classes = read_classes(run / FILE)
    assert classes.names == ("grasper",)
    assert classes.codes == {("op1", 1): 1, ("op1", 2): 0, ("op1", 3): 1}
    assert [group.exemplars for group in read_groups(run / FILE)] == [group.exemplars for group in GROUPS]


def test_what_somebody_wrote_meanwhile_is_not_written_over(run: Path, ask: Ask):
    told = _kinds(ask)
    (run / FILE).write_text(as_toml(with_names(GROUPS, {1: "hook"})))
    assert ask("name", {"version": told["version"], "names": {"1": "grasper"}})[0] == 409
    assert read_classes(run / FILE).names[0] == "hook"


@pytest.mark.parametrize(
    ("names", "status"),
    [({"1": 7}, 400), ([1], 400), ({"1": None, "2": None, "3": None}, 422), ({"1": "group 2"}, 422)],
)
def test_names_that_make_no_classes_are_refused_and_nothing_is_written(run: Path, ask: Ask, names: object, status: int):
    before = (run / FILE).read_bytes()
    assert ask("name", {"version": _kinds(ask)["version"], "names": names})[0] == status
    assert (run / FILE).read_bytes() == before


def test_an_exemplar_is_a_picture_and_what_is_none_is_refused(run: Path, ask: Ask):
    status, body = ask("exemplar?group=1&place=3")
    assert status == 200
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (180, 240, 3)
    assert ask("exemplar?group=1&place=4")[0] == 400
    assert ask("exemplar?group=3&place=0")[0] == 422  # its instances were made anew
    away = [Group(1, (("op1", 1),), 1, ("../op1/f00:1", "op1/../../f00:1", "op1/f99:1"))]
    (run / FILE).write_text(as_toml(away))
    assert [ask(f"exemplar?group=1&place={place}")[0] for place in (0, 1, 2)] == [404] * 3


def test_nothing_is_told_or_written_without_the_token(run: Path, ask: Ask):
    before = (run / FILE).read_bytes()
    version = _kinds(ask)["version"]
    for path, told in (
        ("kinds", None),
        ("exemplar?group=1", None),
        ("name", {"version": version, "names": {"1": "x"}}),
    ):
        assert ask(path, told, headers={})[0] == 403
    assert (run / FILE).read_bytes() == before


def test_a_run_without_groups_and_a_damaged_file(run: Path, ask: Ask):
    (run / FILE).write_text("[[group]]\nnumber = 'one'\n")
    assert ask("kinds")[0] == 422
    (run / FILE).unlink()
    assert _kinds(ask) == {"groups": [], "version": ""}
    assert ask("name", {"version": "", "names": {}})[0] == 409


def test_names_told_and_given_again_are_the_same_groups():
    groups = [Group(1, (("a", 1),), merge=3), Group(2, (("a", 2),), merge=0), Group(3, (("a", 3),))]
    told = names_of(groups)
    assert told == {1: "group 3", 2: None, 3: "group 3"}
    assert names_of(with_names(groups, told)) == told


@pytest.mark.parametrize("width_px", [1440, 390])
def test_groups_are_named_on_the_page(browser, page: ReviewPage, run: Path, width_px: int):
    tab = browser.new_page(viewport={"width": width_px, "height": 900})
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(page.address)
    tab.wait_for_selector("body[data-ready]")
    tab.click("#kinds-open")
    tab.wait_for_selector("#kinds-list li:nth-child(3)")
    rows = tab.locator("#kinds-list li")
    assert rows.count() == 3
    tab.wait_for_function(
        "() => document.querySelector('.exemplars canvas').getContext('2d').getImageData(120, 90, 1, 1).data[3]"
    )
    for place, name in enumerate(("hook", "suction", "hook")):
        rows.nth(place).locator("input[list]").fill(name)
    assert tab.text_content("#kinds-words") == "2 classes: hook, suction"
    box = tab.locator("#kinds").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width_px
    assert tab.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    tab.click("#kinds-save")
    tab.wait_for_function("() => !document.querySelector('#kinds').open")
    assert read_classes(run / FILE).names == ("hook", "suction")
    tab.close()
    assert complaints == []
