"""The page's server, asked as a browser asks it, and the command as a whole."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import cv2
import numpy as np
import pytest

from cuemask.errors import CuemaskError, InputError
from cuemask.formats.runlengths import flat_of, runs_of
from cuemask.media.masks import read_mask
from cuemask.runs.reviewing import opened, review
from cuemask.web.review import TOKEN, ReviewPage
from cuemask.web.review_store import Corrections

from .reviewed import HEIGHT_PX, WIDTH_PX, left_of, picture, square, write_record, write_run

TAB = "tab-of-ada"


class Answer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def mask(self) -> np.ndarray:
        numbers = np.frombuffer(self.body, "<u4").astype(np.int64)
        return flat_of(numbers[2:], int(numbers[0] * numbers[1])).reshape(numbers[:2])

    @property
    def told(self):
        return json.loads(self.headers["X-Cuemask"])


Ask = Callable[..., Answer]


@pytest.fixture
def run(tmp_path) -> Path:
    return write_run(tmp_path)


@pytest.fixture
def ask(run) -> Iterator[Ask]:
    desk, _ = opened(run, [], "Ada")
    with ReviewPage(desk, "127.0.0.1", 0) as page:
        address = urlsplit(page.address)

        def asked(path: str, body: np.ndarray | bytes | None = None, *, method="GET", headers=None, **query) -> Answer:
            with closing(http.client.HTTPConnection(address.netloc, timeout=20)) as connection:
                headers = {TOKEN: address.fragment} if headers is None else headers
                body = as_runs(body) if isinstance(body, np.ndarray) else body
                connection.request(method, f"{path}?{urlencode({'tab': TAB, **query})}", body, headers)
                return Answer(connection.getresponse())

        yield asked


def as_runs(mask: np.ndarray) -> bytes:
    return np.concatenate([np.array(mask.shape), runs_of(mask.ravel())]).astype("<u4").tobytes()


def post(ask: Ask, what: str, body=None, **query) -> Answer:
    return ask(f"/api/{what}", body, method="POST", **query)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "corrections" not in path.parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_page_loads_nothing_from_elsewhere_and_no_script_stands_in_it(ask):
    page = ask("/", headers={})
    text = page.body.decode()
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in text.lower().replace("<!doctype html>", "")
    assert "style=" not in text
    for name in ("review.css", "review/main.js", "review/mask.js"):
        assert ask(f"/{name}", headers={}).status == 200
    for name in ("review.py", "review/../review.py", "live.html", "review/"):
        assert ask(f"/{name}", headers={}).status == 404


def test_nothing_is_told_or_done_without_the_token(ask, run):
    for path in ("run", "frame", "mask", "news", "superpixels"):
        for headers in ({}, {TOKEN: ""}, {TOKEN: "x" * 32}, {"Cookie": f"{TOKEN}=x"}):
            assert ask(f"/api/{path}", headers=headers, clip="op1", frame="f00").status == 403
    for path in ("hold", "draft", "decide", "again", "release", "carry"):
        answer = ask(f"/api/{path}", b"", method="POST", headers={}, clip="op1", frame="f00", decision="empty")
        assert answer.status == 403
    assert not (run / "corrections").exists()


def test_the_token_is_another_each_time_and_no_part_of_what_is_sent(run):
    tokens = set[str]()
    for _ in range(2):
        with ReviewPage(opened(run, [], "")[0], "127.0.0.1", 0) as page:
            tokens.add(urlsplit(page.address).fragment)
            assert urlsplit(page.address).query == ""
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)


def test_a_page_of_another_name_is_refused(ask):
    assert ask("/", headers={"Host": "evil.example"}).status == 400


def test_all_frames_are_told_with_the_order_of_doubt(ask):
    told = ask("/api/run").json
    (clip,) = told["clips"]
    assert clip["frames"] == [f"f{number:02}" for number in range(12)]
    assert clip["confidences"][0] == pytest.approx(0.9)
    assert (clip["width"], clip["height"], clip["rate"]) == (WIDTH_PX, HEIGHT_PX, None)
    assert told["order"][0] == 10, "which tells of both of its neighbours"
    assert (told["run"], told["annotator"], told["drawn"]) == ("run", "Ada", [])


def test_frames_and_masks_are_those_of_the_run(ask):
    jpeg = ask("/api/frame", clip="op1", frame="f03").body
    rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(rgb.astype(int) - picture(3)).mean() < 6
    small = ask("/api/frame", clip="op1", frame="f03", width=64).body
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)
    answer = ask("/api/mask", clip="op1", frame="f03")
    assert np.array_equal(answer.mask, square(left_of(3) - 10))
    assert not answer.told["draft"]


@pytest.mark.parametrize("clip", ["op1", "..", "op2", ""])
@pytest.mark.parametrize("frame", ["../op1/f00", "f99", "", "/etc/passwd", "f00.png", "f00\0"])
def test_names_that_the_run_has_not_are_not_found(ask, run, clip, frame):
    before = contents(run.parent)
    for path in ("frame", "mask", "superpixels"):
        assert ask(f"/api/{path}", clip=clip, frame=frame).status == 404
    for path in ("draft", "decide", "hold"):
        assert post(ask, path, square(3), clip=clip, frame=frame, decision="corrected").status == 404
    assert post(ask, "carry", clip="op1", frame="f00", to=frame).status == 404
    assert contents(run.parent) == before
    assert not (run / "corrections").exists()


def test_a_correction_is_kept_and_the_run_stays_as_it_was(ask, run):
    before = contents(run)
    at = {"clip": "op1", "frame": "f03", "annotator": "Ada"}
    assert post(ask, "hold", **at).status == 200
    assert post(ask, "draft", square(33), **at).status == 200
    assert ask("/api/mask", **at).told["draft"]
    assert post(ask, "decide", square(36), decision="corrected", seconds=3.5, **at).status == 200
    answer = ask("/api/mask", **at)
    assert not answer.told["draft"]
    assert np.array_equal(answer.mask, square(36))
    assert np.array_equal(read_mask(run / "corrections" / "op1" / "f03.png"), square(36) * np.uint8(255))
    assert np.array_equal(ask("/api/mask", which="network", **at).mask, square(left_of(3) - 10))
    news = ask("/api/news").json
    assert [row[:3] for row in news["decisions"]] == [[3, "corrected", "Ada"]]
    assert news["held"] == [[3, "Ada", True]]
    assert ask("/api/news", since=1).json["decisions"] == []
    assert contents(run) == before


def test_who_takes_a_frame_learns_whether_it_was_changed_since_it_was_fetched(ask):
    at = {"clip": "op1", "frame": "f03"}
    fetched = ask("/api/mask", **at).told["version"]
    assert post(ask, "hold", tab="tab-of-bob", **at).json["version"] == fetched
    post(ask, "decide", square(36), decision="corrected", tab="tab-of-bob", **at)
    post(ask, "release", tab="tab-of-bob")
    taken = post(ask, "hold", **at).json["version"]
    assert taken != fetched
    assert ask("/api/mask", **at).told["version"] == taken


def test_accepted_is_the_mask_that_stands_and_empty_is_empty_and_rejected_is_none(ask, run):
    kept = {}
    for frame, decision in (("f01", "accepted"), ("f02", "empty"), ("f03", "rejected")):
        post(ask, "hold", clip="op1", frame=frame)
        assert post(ask, "decide", clip="op1", frame=frame, decision=decision).status == 200
        path = run / "corrections" / "op1" / f"{frame}.png"
        kept[decision] = read_mask(path) > 0 if path.exists() else None
    assert np.array_equal(kept["accepted"], square(left_of(1) - 10))
    assert kept["empty"].shape == (HEIGHT_PX, WIDTH_PX)
    assert not kept["empty"].any()
    assert kept["rejected"] is None


def test_a_second_tab_is_told_who_has_the_frame(ask):
    post(ask, "hold", clip="op1", frame="f03", annotator="Ada")
    other = post(ask, "hold", clip="op1", frame="f03", annotator="Bob", tab="tab-of-bob")
    assert (other.status, other.json) == (409, {"taken": "Ada", "is_now": True})
    written = post(ask, "decide", square(1), clip="op1", frame="f03", decision="corrected", tab="tab-of-bob")
    assert written.status == 409
    post(ask, "release")
    assert post(ask, "hold", clip="op1", frame="f03", annotator="Bob", tab="tab-of-bob").status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"abc",
        as_runs(np.zeros((10, 10), bool)),
        np.array([HEIGHT_PX, WIDTH_PX, 5], "<u4").tobytes(),
        np.array([HEIGHT_PX, WIDTH_PX, 2**32 - 1, HEIGHT_PX * WIDTH_PX + 1], "<u4").tobytes(),
    ],
)
def test_what_is_no_mask_of_the_frame_is_refused(ask, run, body):
    post(ask, "hold", clip="op1", frame="f03")
    assert post(ask, "agreement", body, clip="op1", frame="f03").status == 400
    if body:
        assert post(ask, "decide", body, clip="op1", frame="f03", decision="corrected").status == 400
    assert not (run / "corrections" / "op1").exists()


def test_what_cannot_be_meant_is_refused_in_words(ask):
    post(ask, "hold", clip="op1", frame="f03")
    answer = post(ask, "decide", clip="op1", frame="f03", decision="perhaps")
    assert answer.status == 400
    assert "accepted, corrected, empty, rejected" in answer.json["what"]
    assert post(ask, "decide", clip="op1", frame="f03", decision="empty", seconds=-1).status == 400
    assert post(ask, "hold", clip="op1", frame="f03", tab="short").status == 400
    assert ask("/api/mask", clip="op1", frame="f03", which="again").status == 404


def test_more_than_any_mask_is_not_even_read(ask, monkeypatch):
    monkeypatch.setattr("cuemask.web.review._MOST_BYTES", 1000)
    assert post(ask, "draft", bytes(5000), clip="op1", frame="f03").status == 413


def test_a_mask_is_carried_to_the_next_frame_and_from_the_previous_one(ask):
    answer = post(ask, "carry", square(left_of(3)), clip="op1", frame="f03", to="f04", first=0.5, area=900)
    assert (answer.mask & square(left_of(4))).sum() / (answer.mask | square(left_of(4))).sum() > 0.9
    assert answer.told["why"] is None
    assert answer.told["agreement"] == pytest.approx(0.5, abs=0.1)
    stands = post(ask, "carry", clip="op1", frame="f03", to="f04")  # the network's, ten pixels to the left
    assert (stands.mask & square(left_of(4) - 10)).sum() / (stands.mask | square(left_of(4) - 10)).sum() > 0.6


def test_superpixels_are_numbers_of_16_bits(ask):
    values = np.frombuffer(ask("/api/superpixels", clip="op1", frame="f03").body, "<u2")
    assert values[:2].tolist() == [HEIGHT_PX, WIDTH_PX]
    assert len(values) == 2 + HEIGHT_PX * WIDTH_PX
    assert len(np.unique(values[2:])) > 20


def test_a_frame_whose_source_has_gone_since_is_told_in_words(ask, run):
    (run.parent / "op1" / "f05.png").unlink()
    answer = ask("/api/frame", clip="op1", frame="f05")
    assert answer.status == 422
    assert "f05.png" in answer.json["what"]


def test_a_source_that_is_not_where_it_was_is_refused_and_found_where_it_is_said_to_be(run, tmp_path):
    (tmp_path / "op1").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="which is not there") as error:
        opened(run, [], "")
    assert f"cuemask review {run} INPUT" in error.value.remedy
    desk, _ = opened(run, [tmp_path / "elsewhere"], "")
    with ReviewPage(desk, "127.0.0.1", 0):
        pass


def test_a_source_of_another_size_or_another_number_of_clips_is_refused(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    cv2.imwrite(str(other / "f00.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="30x20 pixels; what was segmented had 128x96"):
        opened(run, [other], "")
    with pytest.raises(InputError, match="has the clips op1; other, more were found"):
        opened(run, [other, write_run(tmp_path / "b", 2, "more").parent / "more"], "")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"status": "running"}, "not complete"), ({"inputs": []}, "no clip of the run"), (None, "holds no run")],
)
def test_what_is_no_complete_run_is_refused(run, tmp_path, change, told):
    if change is None:
        (run / "run.json").unlink()
    else:
        write_record(run, {"op1": tmp_path / "op1"}, **change)
    with pytest.raises(InputError, match=told):
        opened(run, [], "")


def test_a_run_without_its_table_of_confidences_is_refused(run):
    (run / "op1" / "confidence.csv").unlink()
    with pytest.raises(InputError, match=r"confidence\.csv: absent"):
        opened(run, [], "")


def test_one_clip_of_a_run_is_refused_by_the_run_s_name(run):
    write_record(run, {"op1": run.parent / "op1", "op2": run.parent / "op2"})
    with pytest.raises(CuemaskError) as error:
        opened(run / "op1", [], "")
    assert f"cuemask review {run}" in error.value.remedy


def test_masks_that_were_put_there_by_hand_count_as_corrected(run):
    (run / "corrections" / "op1").mkdir(parents=True)
    cv2.imwrite(str(run / "corrections" / "op1" / "f04.png"), square(3) * np.uint8(255))
    desk, _ = opened(run, [], "")
    with ReviewPage(desk, "127.0.0.1", 0) as page:
        address = urlsplit(page.address)
        with closing(http.client.HTTPConnection(address.netloc, timeout=20)) as connection:
            connection.request("GET", "/api/run", headers={TOKEN: address.fragment})
            assert json.loads(connection.getresponse().read())["drawn"] == [4]


def test_what_was_drawn_survives_the_death_of_the_server(run):
    """kill -9: strokes and decisions that were answered are on disk, and the next one goes on from there."""
    command = [sys.executable, "-m", "cuemask", "review", str(run), "--quiet", "--annotator", "Ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = urlsplit(child.stdout.readline().strip())
        with closing(http.client.HTTPConnection(address.netloc, timeout=60)) as connection:
            asks = [("hold", "f01", b""), ("decide", "f01", as_runs(square(1)))]
            asks += [("hold", "f02", b""), ("draft", "f02", as_runs(square(2)))]
            for what, frame, body in asks:
                query = urlencode({"tab": TAB, "clip": "op1", "frame": frame, "decision": "corrected"})
                connection.request("POST", f"/api/{what}?{query}", body, {TOKEN: address.fragment})
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
        child.kill()
    desk, _ = opened(run, [], "Bob")
    desk.close()
    store = Corrections(run / "corrections", {"op1": ["f01", "f02"]})
    assert [(review.frame, review.annotator) for review in store.reviews()] == [("f01", "Ada")]
    for frame, left, is_draft in (("f01", 1, False), ("f02", 2, True)):
        mask, drafted = store.mask("op1", frame) or (None, None)
        assert np.array_equal(mask, square(left))
        assert drafted == is_draft
    assert store.hold("op1", "f03", "tab-of-bob", "Bob") is None


def test_the_command_serves_until_it_is_stopped_and_says_what_was_made(run):
    addresses, stop = list[str](), threading.Event()

    def told(address: str) -> None:
        addresses.append(address)
        stop.set()

    assert review(run, told=told, stop=stop) == ["nothing was decided"]
    assert addresses[0].startswith("http://127.0.0.1:")
    assert not (run / "corrections").exists()
