from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.memory import OTHER, SHAFT, MemoryTruth, columns, dataset, predict, recording

from cuemask.datasets.dataset import Dataset
from cuemask.errors import EvaluationError
from cuemask.evaluation import Tolerance, evaluate_dataset
from cuemask.media.threads import cores

HALF = columns(SHAFT, 0, 0)
TWO = dataset(
    recording("one", {"a": HALF, "b": columns(0, 0, 0)}),
    recording("two", {"a": columns(SHAFT, SHAFT, OTHER)}),
    recording("none", None),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    predict(tmp_path, "one", {"a": columns(1, 1, 0), "b": columns(0, 0, 0)})
    predict(tmp_path, "two", {"a": columns(1, 1, 0)})
    return tmp_path


def test_every_frame_with_truth_is_compared_under_its_recordings_name(run: Path) -> None:
    evaluation = evaluate_dataset(run, TWO)
    assert [(frame.video, frame.frame, frame.iou) for frame in evaluation.frames] == [
        ("one", "a", pytest.approx(1 / 2)),
        ("one", "b", 1.0),
        ("two", "a", 1.0),
    ]


def test_the_kind_of_truth_and_the_protocol_are_those_asked_for(run: Path) -> None:
    evaluation = evaluate_dataset(run, TWO, "type", protocol="per-video")
    assert evaluation.frames[2].iou == pytest.approx(2 / 3)  # what is no instrument in `binary` is one in `type`
    assert evaluation.pooled.videos["one"]["iou"] == pytest.approx(3 / 4)


def test_surfaces_are_measured_on_request(run: Path) -> None:
    assert evaluate_dataset(run, TWO).frames[0].surface is None
    evaluation = evaluate_dataset(run, TWO, surface=True, tolerance=Tolerance(1.0))
    assert evaluation.frames[0].surface is not None
    assert (evaluation.frames[0].surface.nsd, evaluation.tolerance) == (1.0, Tolerance(1.0))


def test_predicted_frames_without_truth_are_counted_but_do_not_count(run: Path) -> None:
    predict(run, "one", {"c": HALF})
    predict(run, "none", {"a": HALF, "b": HALF})
    evaluation = evaluate_dataset(run, TWO)
    assert (len(evaluation.frames), evaluation.without_truth) == (3, 3)
    assert "3 predicted frames without truth, not counted" in evaluation.table()


def test_frames_without_prediction_are_listed_with_the_remedy(run: Path) -> None:
    (run / "one" / "masks" / "b.png").unlink()
    (run / "two" / "masks" / "a.png").unlink()
    with pytest.raises(EvaluationError, match=r"2 of 3 frames with truth have no mask: one/b, two/a\.") as error:
        evaluate_dataset(run, TWO)
    assert "--only-predicted" in error.value.remedy


def test_only_what_is_predicted_counts_where_that_is_asked_for(run: Path) -> None:
    (run / "one" / "masks" / "b.png").unlink()
    evaluation = evaluate_dataset(run, TWO, only_predicted=True)
    assert ([frame.name for frame in evaluation.frames], evaluation.unpredicted) == (["one/a", "two/a"], 1)


@pytest.mark.parametrize("only_predicted", [False, True])
def test_a_folder_that_is_of_no_run_over_the_set_is_refused(tmp_path: Path, only_predicted: bool) -> None:
    with pytest.raises(EvaluationError, match="3 of 3 frames") as error:
        evaluate_dataset(tmp_path, TWO, only_predicted=only_predicted)
    assert "RECORDING/masks/FRAME.png" in error.value.remedy


def test_masks_of_another_size_are_refused_with_both_named(run: Path) -> None:
    predict(run, "two", {"a": columns(1, 1)})
    with pytest.raises(EvaluationError, match=r"a\.png is 2x6 and the truth of two/a is 3x6 pixels"):
        evaluate_dataset(run, TWO)


def test_a_set_without_such_truth_says_what_there_is(run: Path) -> None:
    with pytest.raises(EvaluationError, match="no truth of kind parts") as error:
        evaluate_dataset(run, TWO, "parts")
    assert "binary or type" in error.value.remedy
    with pytest.raises(EvaluationError, match="no truth of kind binary"):
        evaluate_dataset(run, dataset(recording("one", None)))


def test_a_misspelt_protocol_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no such protocol"):
        evaluate_dataset(tmp_path, TWO, protocol="endovis17")


def test_progress_sees_every_frame_and_the_total(run: Path) -> None:
    seen: list[int] = []

    def progress(scores: Iterable[object], total: int) -> Iterator[object]:
        for score in scores:
            seen.append(total)
            yield score

    evaluate_dataset(run, TWO, progress=progress)
    assert seen == [3, 3, 3]


def test_truth_is_read_in_order_and_no_further_ahead_than_the_threads_need(tmp_path: Path) -> None:
    names = [f"{n:03}" for n in range(20 * cores() + 20)]
    predict(tmp_path, "one", dict.fromkeys(names, HALF))
    read: list[str] = []

    class Counted(MemoryTruth):
        def labels(self, name: str, kind: str = "binary") -> np.ndarray:
            read.append(name)
            return super().labels(name, kind)

    def progress(scores: Iterable[object], total: int) -> Iterator[object]:
        for done, score in enumerate(scores):
            assert len(read) - done <= 2 * cores() + 1
            yield score

    one = recording("one", {})
    counted = Dataset(
        "memory", Path(), "", (type(one)(one.files, "1", "test", Counted(dict.fromkeys(names, HALF))),), {}
    )
    evaluate_dataset(tmp_path, counted, progress=progress)
    assert read == names


def test_names_match_however_their_umlauts_are_written(tmp_path: Path) -> None:
    predict(tmp_path, "one", {"Fla\u0308che": columns(0, 1)})
    found = evaluate_dataset(tmp_path, dataset(recording("one", {"Fl\u00e4che": columns(0, 1)})))
    assert [(frame.name, frame.iou) for frame in found.frames] == [("one/Fl\u00e4che", 1.0)]


def test_of_the_folder_of_one_recording_that_recording_alone_is_judged(run: Path) -> None:
    assert [(frame.video, frame.frame) for frame in evaluate_dataset(run / "two", TWO).frames] == [("two", "a")]
    predict(run, "other", {"a": HALF})
    with pytest.raises(EvaluationError, match="other: is no recording of"):
        evaluate_dataset(run / "other", TWO)
