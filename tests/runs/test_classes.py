from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from tests.grouping.grouped_run import write_run
from tests.tiny import TINY

from cuemask.cli import main
from cuemask.cues.clip import keep_clip
from cuemask.datasets.dataset import Dataset, Kind, Recording
from cuemask.errors import InputError, OutputError
from cuemask.inference.model import load_model
from cuemask.inference.runtime import load_onnx
from cuemask.inference.thresholds import class_codes
from cuemask.learning.supervision import Supervision
from cuemask.media.area import PictureArea, fixed_area
from cuemask.media.clips import ClipFiles, open_clips
from cuemask.media.masks import read_mask, read_numbers
from cuemask.phantom import PhantomScene
from cuemask.recipe import load_recipe
from cuemask.runs.again import LearningAgain
from cuemask.runs.classes import class_readers, with_classes
from cuemask.runs.classifying import classify
from cuemask.runs.exporting import export_onnx
from cuemask.runs.labels import supervisions
from cuemask.runs.learning import segment
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict

QUIET = {"overlay": False, "report": False}
RECIPE = load_recipe("default", [*TINY, "masks.threshold=0.001", "masks.smallest_blob=0", "training.precision=float32"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two kinds in three frames, grouped and named, learnt with a network of next to nothing."""
    place = tmp_path_factory.mktemp("two")
    scene = PhantomScene(3, 64, 80, kinds=("hook", "clip_applier"), leaving=False)
    run = write_run(place, {"clip": scene}, [0, 9, 18])
    file = classify(run, count=2).file
    file.write_text(file.read_text().replace('number = 1\nname = ""', 'number = 1\nname = "hook"'))
    options = Options(place / "out", RECIPE, classes=file, **QUIET)
    segment([place / "clip"], options)
    return SimpleNamespace(place=place, run=run, file=file, options=options, out=place / "out")


def codes_in(out: Path) -> np.ndarray:
    return np.stack([read_mask(path) for path in sorted((out / "clip" / "classes").glob("*.png"))])


def masks_in(out: Path) -> np.ndarray:
    return np.stack([read_mask(path) for path in sorted((out / "clip" / "masks").glob("*.png"))])


def test_a_run_of_classes_tells_the_class_of_each_pixel_of_its_masks(made):
    codes, masks = codes_in(made.out), masks_in(made.out)
    assert codes.shape == (3, 64, 80)
    assert np.array_equal(codes > 0, masks > 0)
    assert set(np.unique(codes)) <= {0, 1, 2}
    assert masks.any()
    told = json.loads((made.out / "run.json").read_text())
    assert told["recipe"]["network"]["class_names"] == ["hook", "group 2"]
    assert told["classes"]["given"] == str(made.file)


def test_prediction_follows_from_the_model(made, tmp_path):
    predict(made.out, [made.place / "clip"], Options(tmp_path / "new", **QUIET))
    assert np.array_equal(codes_in(tmp_path / "new"), codes_in(made.out))


@pytest.mark.slow  # exporting takes ten seconds
def test_an_exported_model_tells_the_same_classes(made, tmp_path):
    assert export_onnx(made.out, tmp_path / "m.onnx").difference < 1e-4
    exported, model = load_onnx(tmp_path / "m.onnx", "cpu"), load_model(made.out)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3)).astype(np.uint8)
    classes = exported.working_classes(rgb)
    assert classes.shape == (2, 2, 32, 40)
    assert np.abs(classes - model.working_classes(rgb)).max() < 1e-4
    assert np.abs(classes.sum(1) - model.working_probability(rgb)).max() < 1e-4
    assert np.abs(exported.working_probability(rgb) - model.working_probability(rgb)).max() < 1e-4
    predict(tmp_path / "m.onnx", [made.place / "clip"], Options(tmp_path / "without", **QUIET))
    assert (codes_in(tmp_path / "without") == codes_in(made.out)).mean() > 0.99
    metadata = exported.session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == ["hook", "group 2"]


def test_classes_that_are_gone_are_made_again(made, tmp_path):
    out = Path(shutil.copytree(made.out, tmp_path / "out"))
    (out / "clip" / "classes" / "000009.png").unlink()
    resumed = Options(out, RECIPE, classes=made.file, resume=True, **QUIET)
    segment([made.place / "clip"], resumed)
    assert np.array_equal(codes_in(out), codes_in(made.out))


def test_a_run_goes_on_with_the_same_classes_only(made, tmp_path):
    out = Path(shutil.copytree(made.out, tmp_path / "out"))
    run = Path(shutil.copytree(made.run, tmp_path / "run"))
    file = run / "classes.toml"
    file.write_text(file.read_text() + "\n# another thought\n")
    with pytest.raises(OutputError, match="another classes"):
        segment([made.place / "clip"], Options(out, RECIPE, classes=file, resume=True, **QUIET))


def test_anchors_are_told_by_the_instances_of_the_run(made):
    clips = open_clips([made.place / "clip"])
    options = with_classes(made.options)
    (known,) = supervisions(clips, options)
    numbers = read_numbers(made.run / "clip" / "instances" / "000009.png")
    assert known.classes is not None
    told = known.classes("000009")
    assert told is not None
    assert np.array_equal(told > 0, numbers > 0)
    assert len(np.unique(told[numbers == 1])) == len(np.unique(told[numbers == 2])) == 1
    assert known.classes("000001") is None


def test_codes_at_working_size_reach_as_far_as_any_class_does(made, tmp_path):
    (clip,) = open_clips([made.place / "clip"])
    work = tmp_path / "work"
    work.mkdir()
    kept = keep_clip(clip, fixed_area(0, 0, 64, 80, 64, 80), RECIPE, work, 0, clip.frames())

    def halves(name: str) -> np.ndarray | None:
        codes = np.zeros((64, 80), np.uint8)
        codes[:, :41], codes[:, 41:60] = 1, 2  # column 20 of 40 lies half in each, less in 2
        codes[:, 40] = 1
        return codes if name == "000000" else None

    known = Supervision(classes=halves)
    found = known.class_codes(kept, 0, RECIPE)
    assert found.shape == (32, 40)
    assert (found[:, :20] == 1).all()
    assert (found[:, 21:30] == 2).all()
    assert (found[:, 30:] == 0).all()
    assert not known.class_codes(kept, 1, RECIPE).any()
    assert not Supervision().class_codes(kept, 0, RECIPE).any()


def test_the_most_probable_class_is_taken_within_the_mask():
    p = np.zeros((2, 4, 4), np.float32)
    p[0, :, :2], p[1, :, 2:] = 0.6, 0.7
    mask = np.ones((12, 12), np.bool_)
    mask[:3] = False
    codes = class_codes(p, mask, PictureArea(2, 2, 8, 8, None))
    assert (codes[3:10, 2:5] == 1).all()
    assert (codes[3:10, 7:10] == 2).all()
    assert not codes[:3].any()
    assert not codes[:, 11].any()


def labelled(made: SimpleNamespace, folder: Path, codes: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, picture in codes.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture.astype(np.uint8))
    return folder


def test_labels_tell_classes_before_instances_do(made, tmp_path):
    label = np.zeros((64, 80), np.uint8)
    label[:32], label[32:] = 2, 255
    folder = labelled(made, tmp_path / "labels", {"000009": label})
    clips = open_clips([made.place / "clip"])
    both = with_classes(Options(tmp_path / "o", RECIPE, labels=folder, classes=made.file))
    (known,) = supervisions(clips, both)
    assert known.classes is not None
    (of_instances,) = supervisions(clips, with_classes(made.options))
    assert of_instances.classes is not None
    told, before = known.classes("000009"), of_instances.classes("000009")
    assert told is not None
    assert before is not None
    assert (told[:32] == 2).all()
    assert np.array_equal(told[32:], before[32:])
    assert np.array_equal(known.classes("000000"), of_instances.classes("000000"))


def test_labels_alone_tell_classes_to_a_network_of_several(made, tmp_path):
    label = np.zeros((64, 80), np.uint8)
    label[:20], label[20:40], label[40:50] = 1, 3, 255
    folder = labelled(made, tmp_path / "labels", {"000009": label})
    recipe = load_recipe("default", [*TINY, "network.classes=3"])
    clips = open_clips([made.place / "clip"])
    (known,) = supervisions(clips, Options(tmp_path / "o", recipe, labels=folder))
    assert known.classes is not None
    told = known.classes("000009")
    assert told is not None
    assert np.unique(told).tolist() == [0, 1, 3]
    assert (told[40:50] == 0).all()
    assert known.labels.read("000009")[40:50].all()
    assert known.classes("000000") is None


def test_labels_of_a_class_that_is_none_are_refused(made, tmp_path):
    folder = labelled(made, tmp_path / "labels", {"000009": np.full((64, 80), 7, np.uint8)})
    options = Options(tmp_path / "o", load_recipe("default", [*TINY, "network.classes=3"]), labels=folder)
    with pytest.raises(InputError, match="has the code 7; there are 3 classes") as error:
        supervisions(open_clips([made.place / "clip"]), options)
    assert "network.classes=7" in error.value.remedy


def test_a_binary_run_takes_any_code_of_a_label_as_before(made, tmp_path):
    folder = labelled(made, tmp_path / "labels", {"000009": np.full((64, 80), 7, np.uint8)})
    (known,) = supervisions(open_clips([made.place / "clip"]), Options(tmp_path / "o", RECIPE, labels=folder))
    assert known.labels.read("000009").all()
    assert known.classes is None
    assert class_readers(open_clips([made.place / "clip"]), [known.labels], Options(tmp_path / "o", RECIPE)) == [None]


def test_one_class_is_no_reason_for_classes(made, tmp_path):
    run = Path(shutil.copytree(made.run, tmp_path / "run"))
    file = run / "classes.toml"
    file.write_text(file.read_text().replace('number = 2\nname = ""', 'number = 2\nname = ""\nmerge = 1'))
    result = CliRunner().invoke(main, ["segment", str(made.place / "clip"), "--classes", str(run), "--out", "x"])
    assert result.exit_code == 2
    assert "tells one class" in result.output


def test_classes_of_other_clips_are_an_error(made, tmp_path):
    shutil.copytree(made.place / "clip", tmp_path / "other")
    options = with_classes(Options(tmp_path / "o", RECIPE, classes=made.file))
    with pytest.raises(InputError, match="tells of clip; none of them is among the clips other"):
        supervisions(open_clips([tmp_path / "other"]), options)


def test_a_recipe_of_other_classes_is_an_error(made, tmp_path):
    recipe = load_recipe("default", [*TINY, "network.classes=5"])
    with pytest.raises(InputError, match=r"other classes \(network.classes = 5\)"):
        with_classes(Options(tmp_path / "o", recipe, classes=made.file))


def test_a_file_of_classes_that_is_absent_is_an_error(made, tmp_path):
    with pytest.raises(InputError, match=r"classes\.toml"):
        with_classes(Options(tmp_path / "o", RECIPE, classes=tmp_path))


def test_classes_that_nothing_tells_are_an_error(made, tmp_path):
    recipe = load_recipe("default", [*TINY, "network.classes=3"])
    with pytest.raises(InputError, match="nothing tells which instrument is of which class"):
        supervisions(open_clips([made.place / "clip"]), Options(tmp_path / "o", recipe))


@dataclass(frozen=True)
class Stripes:
    """Truth of types: the left half is of type 1, the right one of type 2."""

    names: tuple[str, ...] = ("000000", "000009", "000018")
    kinds: tuple[Kind, ...] = ("binary", "type")

    def labels(self, name: str, kind: Kind = "binary") -> np.ndarray:
        codes = np.repeat(1 + (np.arange(80)[None] >= 40), 64, 0).astype(np.uint8)
        return codes if kind == "type" else (codes > 0).astype(np.uint8)


@pytest.mark.parametrize(("percent", "labelled"), [(50, {"000000", "000018"}), (100, set(Stripes().names))])
def test_a_data_set_s_types_are_classes(made, tmp_path, percent, labelled):
    files = ClipFiles("clip", tuple(sorted((made.place / "clip").glob("*.png"))))
    types = {"binary": {1: "instrument"}, "type": {1: "left", 2: "right"}}
    dataset = Dataset("made", tmp_path, "made", (Recording(files, "1", "train", Stripes()),), types)
    two, three = (load_recipe("default", [*TINY, f"network.classes={count}"]) for count in (2, 3))
    (known,) = supervisions(open_clips([files]), Options(tmp_path / "o", two, dataset=dataset, labels=percent))
    assert known.classes is not None
    assert known.labels.names == labelled
    assert np.array_equal(known.classes("000000"), Stripes().labels("000000", "type"))
    many = dataclasses.replace(dataset, classes={**types, "type": {9: "other"}})
    with pytest.raises(InputError, match="the data set tells 9 classes, the network 3") as error:
        supervisions(open_clips([files]), Options(tmp_path / "o", three, dataset=many, labels=percent))
    assert "network.classes=9" in error.value.remedy


def test_learning_again_from_corrections_knows_the_classes(made, tmp_path):
    record = json.loads((made.out / "run.json").read_text())
    command = LearningAgain(made.out, record, [str(made.place / "clip")], tmp_path).command()
    assert command[command.index("--classes") + 1] == str(made.file)
    del record["classes"]
    assert "--classes" not in LearningAgain(made.out, record, [str(made.place / "clip")], tmp_path).command()
