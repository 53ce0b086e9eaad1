"""More clips than learning can meet, and than memory holds masks of or a process opens files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import TINY

from cuemask.media.area import PictureArea
from cuemask.phantom import PhantomScene, write_phantom
from cuemask.recipe import load_recipe
from cuemask.runs import record as records
from cuemask.runs.learning import segment, train
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict
from cuemask.runs.record import RunRecord


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three hundred links to one small video."""
    folder = tmp_path_factory.mktemp("links")
    video = write_phantom(folder / "store", 3, PhantomScene(seed=1, height_px=64, width_px=80)).video
    names = [folder / f"op{number:03}.mp4" for number in range(300)]
    for name in names:
        name.symlink_to(video)
    return names


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Learning meets two clips at most."""
    recipe = load_recipe("default", [*TINY, "training.steps=1", "training.pairs_per_step=2"])
    return Options(tmp_path / "run", recipe, overlay=False, report=False)


def learnt(out: Path) -> list[str]:
    return [clip["clip"] for clip in json.loads((out / "run.json").read_text())["clips"]]


def test_only_as_many_clips_are_opened_as_learning_can_meet(
    links: list[Path], options: Options, tmp_path: Path
) -> None:
    said = list[str]()
    out = train(links, replace(options, say=said.append))
    assert "learns from 2 of 300 clips, of which its steps meet no more" in said
    names = [entry["clip"] for entry in json.loads((out / "run.json").read_text())["inputs"]]
    assert len(names) == 2
    alone = train([links[int(name[2:])] for name in names], replace(options, out=tmp_path / "alone"))
    assert (alone / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_clips_that_learning_does_not_meet_are_masked_as_predict_does(
    links: list[Path], options: Options, tmp_path: Path
) -> None:
    open_files, held = list[int](), Path("/proc/self/fd")

    def watched(label: Any, items: Iterable[Any], total: int | None) -> Iterator[Any]:
        for item in items:
            open_files.append(len(list(held.iterdir())) if held.is_dir() else 0)
            yield item

    some = links[:20]
    out = segment(some, replace(options, progress=watched))
    assert len(learnt(out)) == 2
    (unmet, *_) = sorted({link.stem for link in some} - set(learnt(out)))
    alone = predict(out, [links[int(unmet[2:])]], replace(options, out=tmp_path / "alone"))
    for name in ("masks/000001.png", "confidence.csv"):
        assert (out / unmet / name).read_bytes() == (alone / unmet / name).read_bytes()
    assert all((out / link.stem / "masks").is_dir() for link in some)
    assert max(open_files) - min(open_files) < 10
    model = (out / "model.safetensors").stat().st_mtime_ns
    (out / unmet / "masks" / "000001.png").unlink()
    segment(some, replace(options, resume=True))
    assert (out / unmet / "masks" / "000001.png").is_file()
    assert (out / "model.safetensors").stat().st_mtime_ns == model


def test_the_mask_of_a_whole_frame_is_held_in_a_few_kilobytes() -> None:
    rows, columns = np.mgrid[:1080, :1920]
    disc = (rows - 540) ** 2 + (columns - 960) ** 2 < 600**2
    area = PictureArea(0, 0, 1080, 1920, disc, outlines=(disc & (rows > 400),))
    assert len(pickle.dumps(area)) < 20_000
    again = pickle.loads(pickle.dumps(replace(area, top=1)))
    assert again.inside is not None
    assert np.array_equal(again.inside, disc)
    assert np.array_equal(again.outlines[0], disc & (rows > 400))


def test_a_record_that_takes_long_to_write_is_not_written_after_every_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, clock = list[bytes](), [0.0]

    def slowly(path: Path, content: bytes) -> None:
        written.append(content)
        clock[0] += 0.4

    monkeypatch.setattr(records, "write_bytes", slowly)
    monkeypatch.setattr(records.time, "monotonic", lambda: clock[0])
    record = RunRecord(tmp_path, {"command": "predict"}, resume=False)
    for _ in range(100):
        with record.stage("prediction"):
            clock[0] += 0.1
    assert 1 <= len(written) - 1 <= 2
    assert record.values["seconds"]["prediction"] == pytest.approx(10)
