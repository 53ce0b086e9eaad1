from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cuemask.errors import OutputError
from cuemask.media.clips import open_clips
from cuemask.media.masks import read_mask
from cuemask.runs.formats import export_masks
from cuemask.runs.labels import supervisions
from cuemask.runs.options import Options
from cuemask.web import review_holds, review_store
from cuemask.web.review_store import Corrections, Review, Taken, annotator_name

from .reviewed import HEIGHT_PX, WIDTH_PX, square, write_run

A, B = "tab-of-ada", "tab-of-bob"
FRAMES = {"op1": [f"f{number:02}" for number in range(12)]}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "corrections"


@pytest.fixture
def store(folder) -> Corrections:
    return Corrections(folder, FRAMES)


def told(frame: str = "f00", decision="corrected", by: str = "Ada", seconds: float = 4.25) -> Review:
    return Review("op1", frame, decision, by, "2026-01-02T03:04:05Z", seconds)


def decide(store: Corrections, mask, review: Review, tab: str = A, **how) -> Taken | None:
    assert store.hold(review.clip, review.frame, tab, review.annotator) is None
    return store.decide(review, tab, mask, **how)


def test_a_decision_is_a_mask_of_0_and_255_and_a_line(store, folder):
    assert decide(store, square(20), told()) is None
    codes = read_mask(folder / "op1" / "f00.png")
    assert codes.shape == (HEIGHT_PX, WIDTH_PX)
    assert np.array_equal(codes, square(20) * np.uint8(255))
    lines = (folder / "reviews.csv").read_text().splitlines()
    assert lines == [
        "clip,frame,decision,annotator,time_utc,seconds",
        "op1,f00,corrected,Ada,2026-01-02T03:04:05Z,4.2",
    ]
    assert store.reviews() == [told()._replace(seconds=4.2)]
    assert store.drawn() == [("op1", "f00")]


def test_a_rejected_frame_teaches_nothing(store, folder):
    decide(store, square(20), told())
    decide(store, None, told(decision="rejected"))
    assert not (folder / "op1" / "f00.png").exists()
    assert [review.decision for review in store.reviews()] == ["corrected", "rejected"]


def test_a_draft_is_found_again_and_is_neither_a_label_nor_exported(tmp_path):
    run = write_run(tmp_path)
    store = Corrections(run / "corrections", FRAMES)
    store.hold("op1", "f03", A, "Ada")
    store.keep_draft("op1", "f03", A, square(5))
    decide(store, square(7), told("f04"), B)
    mask, is_draft = Corrections(run / "corrections", FRAMES).mask("op1", "f03") or (None, None)
    assert is_draft
    assert np.array_equal(mask, square(5))
    (known,) = supervisions(open_clips([tmp_path / "op1"]), Options(tmp_path, labels=run / "corrections"))
    assert known.labels.names == {"f04"}
    assert "1 of them corrected" in export_masks(run, "coco", tmp_path / "out.json", corrections=True)[0]
    store.hold("op1", "f03", A, "Ada")
    assert store.keep_draft("op1", "f03", A, None) is None
    assert store.mask("op1", "f03") is None


def test_names_that_the_run_has_not_lead_nowhere(store, folder):
    for clip, frame in (("op1", "../../x"), ("..", "f00"), ("op1", "f99"), ("op2", "f00")):
        with pytest.raises(KeyError):
            store.mask(clip, frame)
        with pytest.raises(KeyError):
            store.decide(Review(clip, frame, "empty", "", "", 0), A, square(0))
    assert not list(folder.parent.rglob("*.png"))


def test_a_frame_that_is_open_elsewhere_cannot_be_taken_until_it_is_let_go(store):
    assert store.hold("op1", "f00", A, "Ada") is None
    assert store.hold("op1", "f00", B, "Bob") == Taken("Ada", is_now=True)
    assert store.decide(told(), B, square(9)) == Taken("Ada", is_now=True)
    assert store.keep_draft("op1", "f00", B, square(9)) == Taken("Ada", is_now=True)
    store.hold("op1", "f01", A, "Ada")  # a tab has one frame open
    assert store.hold("op1", "f00", B, "Bob") is None
    assert [(hold.frame, hold.annotator) for hold in store.held()] == [("f01", "Ada"), ("f00", "Bob")]
    store.release(B)
    assert [hold.frame for hold in store.held()] == ["f01"]


def test_an_expired_hold_may_be_taken_and_nothing_is_overwritten_by_who_had_it(store, monkeypatch):
    store.hold("op1", "f00", A, "Ada")
    now = review_holds.time.time()
    monkeypatch.setattr(review_holds.time, "time", lambda: now + review_holds.HOLD_SECONDS + 1)
    assert store.held() == []
    assert store.keep_draft("op1", "f00", A, square(1)) is None, "nobody has taken it meanwhile"
    assert store.hold("op1", "f00", B, "Bob") is None
    assert store.decide(told(by="Bob"), B, square(2)) is None
    store.release(B)
    assert store.decide(told(), A, square(3)) == Taken("", is_now=False)
    kept, _ = store.mask("op1", "f00") or (None, None)
    assert np.array_equal(kept, square(2))


def test_what_was_carried_does_not_replace_what_somebody_drew_or_has_open(store):
    decide(store, square(2), told("f01", by="Bob"), B)
    store.hold("op1", "f02", B, "Bob")
    assert store.decide(told("f01"), A, square(9), only_new=True) == Taken("", is_now=False)
    assert store.decide(told("f02"), A, square(9), only_new=True) == Taken("Bob", is_now=True)
    assert store.decide(told("f03"), A, square(9), only_new=True) is None


def test_three_writers_lose_nothing(folder):
    stores = [Corrections(folder, FRAMES) for _ in range(3)]

    def work(number: int) -> None:
        for frame in FRAMES["op1"][number * 4 : number * 4 + 4]:
            assert decide(stores[number], square(number), told(frame, by=f"{number}"), f"tab-{number}-----") is None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        assert sorted(review.frame for review in store.reviews()) == FRAMES["op1"]
    assert len(list((folder / "op1").glob("f*.png"))) == 12


def test_half_a_line_of_a_killed_program_is_no_decision_and_does_not_spoil_the_next(store, folder):
    decide(store, square(1), told("f00"))
    with (folder / "reviews.csv").open("a") as file:
        file.write("op1,f01,corr")
    again = Corrections(folder, FRAMES)
    assert [review.frame for review in again.reviews()] == ["f00"]
    decide(again, square(1), told("f02"))
    assert [review.frame for review in again.reviews()] == ["f00", "f02"]
    assert [review.frame for review in Corrections(folder, FRAMES).reviews()] == ["f00", "f02"]


def test_a_line_counts_when_its_end_is_there(store, folder):
    decide(store, square(1), told("f00"))
    with (folder / "reviews.csv").open("a") as file:
        file.write("op1,f01,corrected,Bob,2026-01-02T03:04:05Z,1")
        file.flush()
        assert [review.frame for review in store.reviews()] == ["f00"]
        file.write("2.5\n")
    assert [(review.frame, review.seconds) for review in store.reviews()] == [("f00", 4.2), ("f01", 12.5)]


def test_on_a_full_disk_what_was_there_stays_and_the_table_stays_whole(store, folder, monkeypatch):
    decide(store, square(1), told("f00"))
    table = (folder / "reviews.csv").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store.hold("op1", "f01", A, "Ada")
    with monkeypatch.context() as patched:
        patched.setattr(review_store.os, "fsync", full)
        with pytest.raises(OutputError, match="no space left"):
            store.decide(told("f01"), A, square(2))
    assert (folder / "reviews.csv").read_bytes() == table
    assert store.decide(told("f01"), A, square(2)) is None
    assert len(store.reviews()) == 2


def test_a_program_that_was_killed_while_it_wrote_leaves_the_folder_usable(folder):
    """The lock dies with its holder."""
    script = (
        "import os; from pathlib import Path; from cuemask.media.locks import locked\n"
        f"folder = Path({str(folder)!r}); folder.mkdir()\n"
        "with locked(folder / '.turn.lock', folder): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -9
    assert decide(Corrections(folder, FRAMES), square(1), told()) is None


@pytest.mark.parametrize(
    ("given", "written"),
    [(" Ada  L. ", "Ada L."), ("=1+1", "1+1"), ("a\nb\tc", "a b c"), ("", "unnamed"), ("x" * 99, "x" * 60)],
)
def test_a_name_is_one_short_line_and_no_formula(given, written):
    assert annotator_name(given) == written
