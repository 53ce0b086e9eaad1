from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.tiny import TINY

from cuemask.datasets.dataset import Dataset, GivenAnchors, Kind, Recording
from cuemask.errors import InputError, OutputError
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.files import make_folder
from cuemask.media.frames import Selection
from cuemask.media.masks import read_mask, write_mask
from cuemask.phantom import PhantomFiles
from cuemask.recipe import load_recipe
from cuemask.runs.labels import every_so_many, supervisions, told_of_labels
from cuemask.runs.learning import segment, train
from cuemask.runs.options import Options


@dataclass(frozen=True)
class Halves:
    """Truth of a recording in which the left half of every frame is instrument."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...] = ("binary",)
    height_px: int = 64

    def labels(self, name: str, kind: Kind = "binary") -> np.ndarray:
        assert name in self.names
        assert kind == "binary"
        return np.repeat(np.arange(80)[None] < 40, self.height_px, 0).astype(np.uint8)


def recording(folder: Path, name: str, frames: int, with_truth: bool = True) -> Recording:
    rng, paths = np.random.default_rng(1), []
    (folder / name).mkdir()
    for t in range(frames):
        paths.append(folder / name / f"f{t:02}.png")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 255, (64, 80, 3), np.uint8))
    truth = Halves(tuple(path.stem for path in paths)) if with_truth else None
    return Recording(ClipFiles(name, tuple(paths)), name[-1], "train", truth)


def job(folder: Path, labels: int | Path | None, *, frames: int = 6, every: int = 1, truth: bool = True):
    recordings = (recording(folder, "video_1", frames, truth), recording(folder, "video_2", frames, truth))
    dataset = Dataset("made", folder, "made", recordings, {"binary": {1: "instrument"}})
    selection = Selection(every)
    options = Options(folder / "out", load_recipe("default", TINY), selection, dataset=dataset, labels=labels)
    return open_clips([r.files for r in recordings], selection), options


def named(folder: Path, labels: int | Path | None, **what: int) -> list[list[str]]:
    return [sorted(known.labels.names) for known in supervisions(*job(folder, labels, **what))]


def test_half_of_the_frames_is_every_second_one_from_the_first():
    names = [f"{i}" for i in range(7)]
    assert every_so_many(names, 50) == ["0", "2", "4", "6"]
    assert every_so_many(names, 100) == names
    assert every_so_many(names, 25) == ["0", "4"]
    assert every_so_many(names, 0) == []


def test_a_percentage_counts_within_each_video_and_among_the_frames_taken(tmp_path):
    assert named(tmp_path, 50, frames=12, every=2) == [["f00", "f04", "f08"]] * 2


def test_without_labels_nothing_is_known(tmp_path):
    clips, options = job(tmp_path, 0)
    known = supervisions(clips, options)
    assert not any(one.labels.names for one in known)
    assert "labels" not in told_of_labels(clips, known, options)


def test_a_percentage_needs_a_data_set_with_truth(tmp_path):
    clips, options = job(tmp_path, 50, truth=False)
    with pytest.raises(InputError, match="published without true masks"):
        supervisions(clips, options)
    with pytest.raises(InputError, match="--dataset NAME"):
        supervisions(clips, replace(options, dataset=None))


def test_a_list_names_frames_with_their_clips(tmp_path):
    (tmp_path / "list.txt").write_text("# corrected by hand\nvideo_1/f00\n\nvideo_2/f03\nvideo_2/f01\n")
    assert named(tmp_path, tmp_path / "list.txt") == [["f00"], ["f01", "f03"]]


@pytest.mark.parametrize(("line", "told"), [("f00", "without its clip"), ("video_1/f77", "f77"), ("video_9/f00", "9")])
def test_a_list_with_a_frame_that_is_not_there_is_refused(tmp_path, line, told):
    (tmp_path / "list.txt").write_text(line)
    with pytest.raises(InputError, match=told):
        named(tmp_path, tmp_path / "list.txt")


def test_a_file_that_is_no_list_is_refused(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="neither a number"):
        named(tmp_path, tmp_path / "mask.png")


@pytest.mark.parametrize("place", ["{clip}/{frame}.png", "{clip}/masks/{frame}.png"])
def test_a_folder_of_masks_is_read_with_or_without_masks_in_its_middle(tmp_path, place):
    masks = tmp_path / "corrected"
    file = masks / place.format(clip="video_2", frame="f03")
    file.parent.mkdir(parents=True)
    mask = np.zeros((64, 80), np.uint8)
    mask[10:20, 30:50] = 255
    cv2.imwrite(str(file), mask)
    first, second = supervisions(*job(tmp_path, masks))
    assert not first.labels.names
    assert np.array_equal(second.labels.read("f03"), mask > 0)


def test_a_mask_of_a_frame_that_is_not_taken_is_refused_not_forgotten(tmp_path):
    (tmp_path / "corrected" / "video_1").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "corrected" / "video_1" / "f01.png"), np.zeros((64, 80), np.uint8))
    with pytest.raises(InputError, match="f01"):
        named(tmp_path, tmp_path / "corrected", every=2)


@pytest.mark.parametrize("listed", [False, True])
def test_true_masks_of_a_data_set_of_another_size_are_refused_before_any_cue(tmp_path, listed):
    (tmp_path / "list.txt").write_text("video_2/f02\n")
    clips, options = job(tmp_path, tmp_path / "list.txt" if listed else 50)
    assert options.dataset is not None
    first, second = options.dataset.recordings
    assert second.truth is not None
    other = replace(second, truth=Halves(second.truth.names, height_px=60))
    dataset = replace(options.dataset, recordings=(first, other))
    with pytest.raises(InputError, match=r"label of video_2, f0\d, is 80x60 pixels, its frame 80x64"):
        supervisions(clips, replace(options, dataset=dataset))


def test_anchors_that_the_recipe_wants_and_nobody_gave_are_asked_for(tmp_path):
    clips, options = job(tmp_path, None)
    options = replace(options, recipe=load_recipe("default", [*TINY, "anchors.source=given"]))
    with pytest.raises(InputError, match="came without anchors"):
        supervisions(clips, options)
    assert options.dataset is not None
    some = replace(options.dataset.recordings[0], anchors=GivenAnchors({}, {}))
    with pytest.raises(InputError, match="of 6 frames, such as f00"):
        supervisions(clips, replace(options, dataset=replace(options.dataset, recordings=(some, some))))


def test_a_run_tells_its_labels_and_goes_on_only_with_the_same(tmp_path):
    _, options = job(tmp_path, 50)
    assert options.dataset is not None
    files = [r.files for r in options.dataset.recordings]
    train(files, options)
    record = json.loads((options.out / "run.json").read_text())
    assert record["labels"]["frames"] == {"video_1": 3, "video_2": 3}
    assert record["dataset"]["name"] == "made"
    train(files, replace(options, resume=True))
    with pytest.raises(OutputError, match="another labels"):
        train(files, replace(options, resume=True, labels=100))


def test_the_network_learns_labels_that_say_the_contrary_of_the_cues(tmp_path):
    _, options = job(tmp_path, 100)
    assert options.dataset is not None
    files = [r.files for r in options.dataset.recordings]
    for path in (*files[0].paths, *files[1].paths):  # tissue on the left, which truth calls instrument, metal right
        rgb = np.full((64, 80, 3), (190, 60, 50), np.uint8)
        rgb[:, 40:] = 150
        cv2.imwrite(str(path), rgb[..., ::-1])
    settings = [*TINY, "training.steps=40", "network.width=8", "network.block_px=1"]
    run = segment(files, replace(options, recipe=load_recipe("default", settings), overlay=False))
    mask = read_mask(run / "video_1" / "masks" / "f02.png") > 0
    assert mask[:, :36].mean() > 0.9
    assert mask[:, 44:].mean() < 0.1


def of_video(phantom: PhantomFiles, folder: Path, mask: np.ndarray, name: str, every: int = 1):
    (folder / "corrected").mkdir()
    cv2.imwrite(str(folder / "corrected" / f"{name}.png"), mask)
    selection = Selection(every)
    options = Options(folder / "out", load_recipe("default", TINY), selection, labels=folder / "corrected")
    return options, supervisions(open_clips([phantom.video], selection), options)


MASK = np.zeros((96, 128), np.uint8)


@pytest.mark.parametrize("name", ["frame_000003", "3", "0000003", "000010"])
def test_a_label_of_no_frame_of_a_video_is_refused(phantom, tmp_path, name):
    with pytest.raises(InputError, match=f"{name} are none of its frames"):
        of_video(phantom, tmp_path, MASK, name)


def test_a_label_of_a_frame_of_a_video_that_is_not_taken_is_refused(phantom, tmp_path):
    with pytest.raises(InputError, match="000003 are none of its frames taken"):
        of_video(phantom, tmp_path, MASK, "000003", every=2)


def test_the_last_frame_of_a_video_can_have_a_label(phantom, tmp_path):
    _, (known,) = of_video(phantom, tmp_path, MASK, "000009")
    assert known.labels.names == {"000009"}


def test_a_label_of_another_size_is_refused_before_any_cue(phantom, tmp_path):
    with pytest.raises(InputError, match="000003, is 96x128 pixels, its frame 128x96"):
        of_video(phantom, tmp_path, MASK.T, "000003")


def test_a_list_names_only_frames_that_are_taken(tmp_path):
    (tmp_path / "list.txt").write_text("video_1/f01\n")
    with pytest.raises(InputError, match="f01 are none of its frames taken"):
        named(tmp_path, tmp_path / "list.txt", every=2)


def test_a_run_says_how_many_labels_there_are_and_records_those_that_training_meets(phantom, tmp_path):
    (tmp_path / "corrected").mkdir()
    for name in ("000001", "000007"):
        cv2.imwrite(str(tmp_path / "corrected" / f"{name}.png"), MASK)
    said: list[str] = []
    options = Options(tmp_path / "out", load_recipe("default", TINY), labels=tmp_path / "corrected", say=said.append)
    options = replace(options, recipe=load_recipe("default", [*TINY, "training.steps=4", "training.pairs_per_step=1"]))
    record = json.loads((train([phantom.video], options) / "run.json").read_text())
    assert "labels: 2 of 10 frames; training meets 1 of them" in said
    assert record["labels"]["frames"] == {"clip": 2}
    assert record["labels_met"] == {"clip": 1}


def moving_clip(folder: Path, frames: int = 4) -> dict[str, np.ndarray]:
    """Pictures of a grained square that moves by two pixels a frame, and its masks by their names."""
    rng, masks = np.random.default_rng(5), dict[str, np.ndarray]()
    ground = cv2.GaussianBlur(rng.integers(60, 160, (64, 80, 3), np.uint8), (5, 5), 0)
    grain = cv2.GaussianBlur(rng.integers(150, 255, (24, 24), np.uint8), (3, 3), 0)
    folder.mkdir()
    for t in range(frames):
        mask, rgb = np.zeros((64, 80), np.bool_), ground.copy()
        mask[20:44, 20 + 2 * t : 44 + 2 * t] = True
        rgb[mask] = np.repeat(grain.reshape(-1, 1), 3, 1)
        cv2.imwrite(str(folder / f"f{t}.png"), rgb)
        masks[f"f{t}"] = mask
    return masks


@pytest.mark.parametrize(("labels", "follows"), [("carried", True), ("own", False)])
def test_a_corrected_mask_follows_what_it_covers_into_the_frames_beside_it(tmp_path, labels, follows):
    masks = moving_clip(tmp_path / "clip")
    write_mask(make_folder(tmp_path / "labels") / "f1.png", masks["f1"])
    settings = [*TINY, "input.height_px=64", "input.width_px=80", f"anchors.labels={labels}", "masks.refinement=none"]
    recipe = load_recipe("default", settings)
    segment([tmp_path / "clip"], Options(tmp_path / "out", recipe, labels=tmp_path / "labels", overlay=False))
    for name in ("f0", "f2", "f3"):
        found = read_mask(tmp_path / "out" / "clip" / "masks" / f"{name}.png") > 0
        iou = (found & masks[name]).sum() / (found | masks[name]).sum()
        assert (iou > 0.85) == follows, (name, iou)
