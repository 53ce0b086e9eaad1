"""`--masks video`: whoever reads a run finds the same in `masks.mov` as in `masks/`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import cuemask as library
from cuemask.cli import main
from cuemask.errors import OutputError
from cuemask.media import growing_films
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.growing_films import GrowingFilm
from cuemask.media.mask_films import FILM
from cuemask.media.mask_folders import masks_of
from cuemask.media.masks import read_mask
from cuemask.runs.labels import supervisions, told_of_labels
from cuemask.runs.options import Options
from cuemask.runs.record import read_record

FLAGS = ("--every", "2", "--no-overlay", "--quiet")
TIMED = ("run.json", "report.html", "manifest.csv")


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def _no_figures(pictures, filmed):
    """What `evaluate` leaves in a run."""
    yield
    for path in (*pictures.rglob("evaluation.json"), *filmed.rglob("evaluation.json")):
        path.unlink()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in TIMED)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch):
    monkeypatch.setattr(growing_films, "PART", 2)


@pytest.fixture(scope="module")
def pictures(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pictures") / "run"
    assert cuemask("predict", "drawn", phantom.frames, "--out", out, *FLAGS).exit_code == 0
    return out


@pytest.fixture(scope="module")
def filmed(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("filmed") / "run"
    assert cuemask("predict", "drawn", phantom.frames, "--out", out, "--masks", "video", *FLAGS).exit_code == 0
    return out


def test_a_run_with_a_film_has_the_same_masks_and_differs_in_nothing_else(pictures, filmed):
    one, other = contents(pictures / "frames"), contents(filmed / "frames")
    assert set(other) - set(one) == {FILM}
    assert {name: data for name, data in one.items() if not name.startswith("masks/")}.items() <= other.items()
    paths = masks_of(filmed / "frames")
    assert [path.name for path in paths] == sorted(path.name for path in (pictures / "frames" / "masks").iterdir())
    for path in paths:
        assert np.array_equal(read_mask(path), read_mask(pictures / "frames" / "masks" / path.name))
    clip = library.Run(filmed).clips[0]
    assert clip.mask("000004").any()
    assert not (filmed / ".work").exists()
    assert read_record(filmed / "run.json")["masks"] == "video"
    assert "masks" not in read_record(pictures / "run.json"), "records of older versions say nothing of it"


def test_evaluate_reads_films_on_both_sides(phantom, pictures, filmed):
    def figures(predicted: Path, truth: Path) -> object:
        told = cuemask("evaluate", predicted, truth, "--json", "--only-truth", "--only-predicted")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)["iou"]

    expected = figures(pictures, phantom.masks)
    assert 0 < expected["mean"] < 1
    for side in (filmed, filmed / "frames", filmed / "frames" / FILM):
        assert figures(side, phantom.masks) == expected
        if side != filmed / "frames" / FILM:
            assert figures(pictures / "frames", side if side.name == "frames" else side / "frames")["mean"] == 1
    assert figures(phantom.masks, filmed / "frames" / FILM) == figures(phantom.masks, pictures / "frames" / "masks")


@pytest.mark.parametrize("kind", ["coco", "labelstudio", "davis", "yolo"])
def test_exports_are_the_same(pictures, filmed, tmp_path, kind):
    for run in (pictures, filmed):
        name = tmp_path / run.parent.name.rstrip("0123456789")
        assert cuemask("export", kind, run, "--out", name).exit_code == 0
    one, other = tmp_path / "pictures", tmp_path / "filmed"
    assert (one.read_bytes() == other.read_bytes()) if one.is_file() else (contents(one) == contents(other))


def test_instruments_are_told_apart_in_a_film(pictures, filmed, tmp_path):
    found = []
    for run in (pictures, filmed):
        shutil.copytree(run, tmp_path / run.parent.name)
        assert cuemask("group", tmp_path / run.parent.name, "--parts", "--no-overlay").exit_code == 0
        clip = tmp_path / run.parent.name / "frames"
        found.append([contents(clip / "instances"), contents(clip / "parts"), (clip / "tracks.csv").read_bytes()])
        assert cuemask("verify", clip.parent).exit_code == 0
    assert len(found[0][0]) == 5
    assert found[0] == found[1]


def test_labels_from_a_film_and_from_its_run_are_those_of_a_folder(phantom, pictures, filmed, tmp_path):
    clips, told = open_clips([phantom.frames]), []
    for place in (pictures / "frames" / "masks", filmed / "frames" / FILM, filmed):
        options = Options(tmp_path, labels=place)
        told.append({**told_of_labels(clips, supervisions(clips, options), options)["labels"], "given": ""})
    assert told[0]["frames"] == {"frames": 5}
    assert told[0] == told[1] == told[2]


def test_review_shows_masks_of_a_film(pictures, filmed, tmp_path):
    from cuemask.runs.reviewing import opened

    desk, again = opened(shutil.copytree(filmed, tmp_path / "run"), (), "Ada")
    (clip,) = desk._clips.values()
    assert np.array_equal(clip.own_mask("000002"), read_mask(pictures / "frames" / "masks" / "000002.png") > 0)
    assert "video" in again.command(), "learning again would make pictures"
    desk.close()


@pytest.mark.parametrize("gone", ["film", "cut off", "sheet.png"])
def test_what_is_gone_of_a_complete_run_is_made_again(phantom, filmed, out, gone, caplog):
    shutil.copytree(filmed, out)
    film = out / "frames" / FILM
    if gone == "cut off":
        film.write_bytes(film.read_bytes()[:-300])
        assert cuemask("verify", out).exit_code != 0
    else:
        (film if gone == "film" else film.parent / gone).unlink()
    assert (
        cuemask("predict", "drawn", phantom.frames, "--out", out, "--masks", "video", "--resume", *FLAGS).exit_code == 0
    )
    assert contents(out) == contents(filmed)
    assert "made again" in caplog.text
    assert cuemask("verify", out).exit_code == 0


def test_a_run_that_was_broken_off_knows_its_masks_and_ends_in_the_same_bytes(phantom, filmed, out, monkeypatch):
    told: list[str] = []
    add, known = GrowingFilm.add, GrowingFilm.known

    def fill_up(self: GrowingFilm, name: str, place: int, data: bytes) -> None:
        if place == 3:
            raise OutputError("full", "Free some space.")
        add(self, name, place, data)

    run = ("predict", "drawn", phantom.frames, "--out", out, "--masks", "video", *FLAGS)
    monkeypatch.setattr(GrowingFilm, "add", fill_up)
    assert cuemask(*run).exit_code == 2
    assert not (out / "frames" / FILM).exists()
    monkeypatch.setattr(GrowingFilm, "add", add)
    spied = lambda self, n, place: (mask := known(self, n, place), told.append(n) if mask is not None else None)[0]  # noqa: E731
    monkeypatch.setattr(GrowingFilm, "known", spied)
    other = cuemask(*run, "--masks", "pictures", "--resume")
    assert other.exit_code == 2
    assert "holds a run with another masks" in other.stderr
    assert cuemask(*run, "--resume").exit_code == 0
    assert sorted(told) == ["000000", "000002"]
    assert contents(out) == contents(filmed)


def test_masks_of_pictures_that_differ_in_size_stay_pictures_and_it_is_told(phantom, tmp_path, caplog):
    import cv2

    paths = (tmp_path / "a.png", tmp_path / "b.png")
    for path, size in zip(paths, ((128, 96), (100, 90)), strict=True):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(phantom.frames / "000000.png")), size))
    clip = ClipFiles("mixed", paths, sizes_vary=True)
    run = library.predict("drawn", clip, out=tmp_path / "run", masks="video", report=False)
    assert [path.name for path in (run.folder / "mixed" / "masks").iterdir()] == ["a.png", "b.png"]
    assert "no film can hold" in caplog.text
    assert run.clips[0].mask("b").shape == (90, 100)
