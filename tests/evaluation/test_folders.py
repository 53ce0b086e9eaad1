from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cuemask.errors import EvaluationError
from cuemask.evaluation import evaluate_folders

SHAFT, CLASPER = 10, 30


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    return tmp_path / "predicted"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return tmp_path / "truth"


def write(path: Path, codes: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), codes)


def columns(*codes: int) -> np.ndarray:
    """A mask whose columns hold `codes`."""
    return np.tile(np.array(codes, np.uint8), (6, 1))


def test_each_frame_and_the_pooled_figures_are_as_computed_by_hand(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(255, 255, 0, 0))
    write(truth / "a.png", columns(0, 255, 255, 0))
    write(predicted / "b.png", columns(0, 0, 0, 0))
    write(truth / "b.png", columns(0, 0, 0, 0))
    evaluation = evaluate_folders(predicted, truth)
    assert [frame.name for frame in evaluation.frames] == ["a", "b"]
    assert evaluation.frames[0].iou == pytest.approx(1 / 3)
    assert evaluation.frames[0].dice == pytest.approx(1 / 2)
    assert evaluation.iou_mean == pytest.approx(2 / 3)
    assert evaluation.iou_deviation == pytest.approx(1 / 3)  # of the population, not of a sample
    assert evaluation.dice_mean == pytest.approx(3 / 4)
    assert evaluation.dice_deviation == pytest.approx(1 / 4)
    assert evaluation.protocol == "all frames pooled, empty on empty is 1, population deviation"


def test_frames_come_in_the_order_people_count(predicted: Path, truth: Path) -> None:
    for name in ("f10", "f2", "f1"):
        for folder in (predicted, truth):
            write(folder / f"{name}.png", columns(0, 255))
    assert [frame.name for frame in evaluate_folders(predicted, truth).frames] == ["f1", "f2", "f10"]


def test_every_frame_without_a_partner_is_named_with_the_count(predicted: Path, truth: Path) -> None:
    for n in range(12):
        write(predicted / f"{n:02}.png", columns(0))
    write(predicted / "both.png", columns(0))
    write(truth / "both.png", columns(0))
    write(truth / "alone.png", columns(0))
    with pytest.raises(EvaluationError) as error:
        evaluate_folders(predicted, truth)
    what = error.value.what
    assert what.startswith(f"12 predictions in {predicted} without truth: 00, 01, 02")
    assert "09 and 2 more." in what
    assert f"1 true masks in {truth} without prediction: alone." in what
    assert error.value.remedy.startswith("Rename the files")


def test_a_suffix_is_not_guessed_away(predicted: Path, truth: Path) -> None:
    write(predicted / "frame1.png", columns(0))
    write(truth / "frame1_mask.png", columns(0))
    with pytest.raises(EvaluationError, match="frame1_mask"):
        evaluate_folders(predicted, truth)


def test_different_sizes_are_refused_with_both_named(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(0, 0, 0))
    write(truth / "a.png", columns(0, 0, 0, 0))
    with pytest.raises(EvaluationError, match=r"a\.png is 3x6 and .*a\.png is 4x6 pixels"):
        evaluate_folders(predicted, truth)


def test_truth_may_have_another_ending(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(0, 255))
    write(truth / "a.bmp", columns(0, 255))
    assert evaluate_folders(predicted, truth).iou_mean == 1.0


def test_the_blur_of_a_jpeg_truth_is_no_instrument(predicted: Path, truth: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:41, 21:50] = 255
    write(predicted / "a.png", mask)
    write(truth / "a.jpg", mask)
    assert cv2.imread(str(truth / "a.jpg"), cv2.IMREAD_GRAYSCALE)[mask == 0].max() > 0
    assert evaluate_folders(predicted, truth).iou_mean == 1.0


@pytest.mark.parametrize("settings", [("JPEG", {}), ("TIFF", {"compression": "jpeg"})], ids=["jpeg", "tiff"])
def test_a_jpeg_is_told_by_its_content_not_by_its_name(
    predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture, settings: tuple[str, dict[str, str]]
) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:41, 21:50] = 255
    write(predicted / "a.png", mask)
    kind, options = settings
    truth.mkdir()
    Image.fromarray(mask).save(truth / "a.png", kind, **options)
    with caplog.at_level(logging.WARNING):
        assert evaluate_folders(predicted, truth).iou_mean == 1.0
    assert "1 masks are JPEG" in caplog.text


def test_codes_that_no_jpeg_can_hold_are_refused(predicted: Path, truth: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:41, 21:50] = 1
    write(predicted / "a.png", 255 * mask)
    write(truth / "a.jpg", mask)
    with pytest.raises(EvaluationError, match=r"masks are JPEG.* none of them goes above \d+\."):
        evaluate_folders(predicted, truth)


def test_only_the_positive_codes_count_as_instrument(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(255, 0, 0))
    write(truth / "a.png", columns(SHAFT, CLASPER, 0))
    assert evaluate_folders(predicted, truth).iou_mean == pytest.approx(1 / 2)
    assert evaluate_folders(predicted, truth, positive={SHAFT}).iou_mean == 1.0
    assert evaluate_folders(predicted, truth, positive={CLASPER}).iou_mean == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("positive", "warning"),
    [
        ([], "no code counts as instrument"),
        ([SHAFT, 77, 300], "codes 77, 300 never occur; there are 0, 10, 30"),
    ],
)
def test_codes_that_count_nothing_are_warned_about(
    predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture, positive: list[int], warning: str
) -> None:
    write(predicted / "a.png", columns(255, 0, 0))
    write(truth / "a.png", columns(SHAFT, CLASPER, 0))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(predicted, truth, positive)
    assert warning in caplog.text


def test_predictions_that_look_like_probabilities_are_warned_about(
    predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(predicted / "a.png", columns(0, 3, 250))
    write(truth / "a.png", columns(0, 0, 255))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(predicted, truth)
    assert "3 different values" in caplog.text


def test_matching_masks_are_evaluated_without_a_warning(
    predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(predicted / "a.png", columns(0, 255))
    write(truth / "a.png", columns(0, SHAFT))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(predicted, truth, positive=[SHAFT])
    assert caplog.text == ""


def test_the_masks_of_a_run_folder_are_found(predicted: Path, truth: Path) -> None:
    write(predicted / "masks" / "a.png", columns(0, 255))
    write(predicted / "probability" / "a.png", columns(7, 99))
    write(truth / "a.png", columns(0, 255))
    assert evaluate_folders(predicted, truth).iou_mean == 1.0


def test_subfolders_are_matched_by_their_path(predicted: Path, truth: Path) -> None:
    for clip, found in (("one", 255), ("two", 0)):
        write(predicted / clip / "a.png", columns(0, found))
        write(truth / clip / "a.png", columns(0, 255))
    frames = evaluate_folders(predicted, truth).frames
    assert [(frame.name, round(frame.iou)) for frame in frames] == [("one/a", 1), ("two/a", 0)]


def test_hidden_files_and_other_files_are_passed_over(predicted: Path, truth: Path) -> None:
    for folder in (predicted, truth):
        write(folder / "a.png", columns(0, 255))
    write(truth / ".cache" / "b.png", columns(0))
    (predicted / "run.json").write_text("{}")
    assert len(evaluate_folders(predicted, truth).frames) == 1


def test_two_truths_of_one_name_are_refused(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(0))
    write(truth / "a.png", columns(0))
    write(truth / "a.bmp", columns(0))
    with pytest.raises(EvaluationError, match="have one name"):
        evaluate_folders(predicted, truth)


def test_absent_and_empty_folders_are_named(predicted: Path, truth: Path) -> None:
    with pytest.raises(EvaluationError, match="there is no such folder"):
        evaluate_folders(predicted, truth)
    predicted.mkdir()
    with pytest.raises(EvaluationError, match=r"no \.png file in it"):
        evaluate_folders(predicted, truth)


def test_json_holds_what_the_result_says(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(255, 255, 0, 0))
    write(truth / "a.png", columns(0, 255, 255, 0))
    evaluation = evaluate_folders(predicted, truth)
    found = json.loads(json.dumps(evaluation.as_json()))
    assert found["protocol"] == evaluation.protocol
    assert found["frame_count"] == 1
    assert found["iou"] == {"mean": evaluation.iou_mean, "deviation": 0.0}
    assert found["frames"] == [{"name": "a", "iou": pytest.approx(1 / 3), "dice": pytest.approx(1 / 2)}]


def test_the_table_names_protocol_figures_and_the_lowest_frames(predicted: Path, truth: Path) -> None:
    for n in range(8):
        write(predicted / f"frame{n}.png", columns(255, 255 if n == 6 else 0))
        write(truth / f"frame{n}.png", columns(255, 0))
    table = evaluate_folders(predicted, truth).table()
    assert "frames  8" in table
    assert "IoU     0.9375 +- 0.1654" in table
    assert "population deviation" in table
    assert table.splitlines()[7].split() == ["frame6", "0.5000", "0.6667"]
    assert len(table.splitlines()) == 12


def test_ignored_pixels_count_neither_way(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(255, 255, 0, 255))
    write(truth / "a.png", columns(SHAFT, 255, 255, 0))
    (frame,) = evaluate_folders(predicted, truth, ignore=[255]).frames
    counts = frame.counts
    assert (counts.intersection, counts.predicted, counts.truth, counts.total) == (6, 12, 6, 12)
    assert evaluate_folders(predicted, truth, [SHAFT], ignore=[255]).iou_mean == pytest.approx(1 / 2)
    assert evaluate_folders(predicted, truth).iou_mean == pytest.approx(1 / 2)  # all above 0: 12 of 24
    assert evaluate_folders(predicted, truth).frames[0].counts.total == 24


def test_a_frame_that_is_ignored_whole_does_not_count(predicted: Path, truth: Path) -> None:
    for name in "ab":
        write(predicted / f"{name}.png", columns(255, 0))
    write(truth / "a.png", columns(255, 255))
    write(truth / "b.png", columns(SHAFT, SHAFT))
    evaluation = evaluate_folders(predicted, truth, ignore=[255])
    assert [frame.name for frame in evaluation.frames] == ["b"]
    assert (evaluation.iou_mean, evaluation.ignored) == (pytest.approx(1 / 2), 1)  # and not 3/4
    assert evaluation.as_json()["ignored"] == 1
    assert "1 frames of ignored codes only, not counted" in evaluation.table()
    with pytest.raises(EvaluationError, match="codes 10, 255 cover every frame wholly"):
        evaluate_folders(predicted, truth, ignore=[10, 255])


@pytest.mark.parametrize("is_alpha", [False, True])
def test_truth_that_is_the_wrong_way_round_is_told(
    predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture, is_alpha: bool
) -> None:
    for number in range(4):
        write(predicted / f"{number}.png", columns(*[255] * (1 + number // 3), *[0] * (9 - number // 3)))
        opposite = columns(0, *[255] * 9)
        write(truth / f"{number}.png", np.dstack([np.zeros((6, 10, 3), np.uint8), opposite]) if is_alpha else opposite)
    evaluate_folders(predicted, truth)
    assert [record.getMessage() for record in caplog.records] == [
        f"{truth}: instrument covers 90 % of it, and what was predicted fits the rest better (IoU 0.80, not 0.03); is "
        "background what is white or opaque there? Then save the masks the other way round."
    ]
    caplog.clear()
    for number in range(4):
        write(predicted / f"{number}.png", columns(0, 0, *[255] * 8))
    evaluate_folders(predicted, truth)
    assert not caplog.records


def test_what_cannot_be_ignored_is_refused(predicted: Path, truth: Path) -> None:
    for folder in (predicted, truth):
        write(folder / "a.png", columns(0, 255))
    with pytest.raises(EvaluationError, match="codes 255 are to be instrument and to be ignored"):
        evaluate_folders(predicted, truth, [10, 255], ignore=[255])
    with pytest.raises(EvaluationError, match="which outlines know nothing of"):
        evaluate_folders(predicted, truth, ignore=[255], surface=True)


@pytest.mark.parametrize(
    ("positive", "ignore", "warning"),
    [
        (None, (), "codes 10, 30, 255 all count as instrument"),
        (None, (255,), "codes 10, 30 all count as instrument"),
        ([SHAFT], (255,), "codes 30 count as background"),
        ([SHAFT, CLASPER], (255,), ""),
        ([SHAFT, CLASPER], (254, 255), "codes 254 never occur; there are 0, 10, 30, 255"),
    ],
)
def test_there_is_a_word_about_codes_that_nobody_named(
    predicted: Path,
    truth: Path,
    caplog: pytest.LogCaptureFixture,
    positive: list[int] | None,
    ignore: tuple[int, ...],
    warning: str,
) -> None:
    write(predicted / "a.png", columns(255, 0, 0, 0))
    write(truth / "a.png", columns(SHAFT, CLASPER, 0, 255))
    with caplog.at_level(logging.WARNING):
        evaluate_folders(predicted, truth, positive, ignore=ignore)
    assert warning in caplog.text
    assert len(caplog.records) == bool(warning)


def test_masks_saved_as_jpeg_are_warned_of(predicted: Path, truth: Path, caplog: pytest.LogCaptureFixture) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[13:41, 21:50] = 255
    write(predicted / "a.png", mask)
    write(truth / "a.jpg", mask)
    with caplog.at_level(logging.WARNING):
        assert evaluate_folders(predicted, truth).iou_mean == 1.0
        assert evaluate_folders(predicted, truth, [255]).iou_mean < 1
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert first == f"{truth}: 1 masks are JPEG, which blurs them; instrument is from 128 on."
    assert last.startswith(f"{truth}: 1 masks are JPEG, which changes codes along every edge")


def test_names_match_however_their_umlauts_are_written(predicted: Path, truth: Path) -> None:
    write(predicted / "Fla\u0308che.png", columns(0, 255))
    write(truth / "Fl\u00e4che.png", columns(0, 255))
    assert [frame.name for frame in evaluate_folders(predicted, truth).frames] == ["Fl\u00e4che"]


def test_indices_of_a_palette_of_colours_are_codes(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(0, 255, 255))
    truth.mkdir()
    picture = Image.fromarray(columns(0, 1, 2))
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(truth / "a.png")
    assert evaluate_folders(predicted, truth).iou_mean == 1.0
    assert evaluate_folders(predicted, truth, [1]).iou_mean == pytest.approx(1 / 2)


def test_on_request_only_frames_with_truth_count_and_the_others_are_told_of(predicted: Path, truth: Path) -> None:
    for n in range(20):
        write(predicted / f"{n:06}.png", columns(255, 255 if n != 7 else 0))
    write(truth / "000007.png", columns(255, 255))
    with pytest.raises(EvaluationError, match=r"19 predictions in .* without truth") as error:
        evaluate_folders(predicted, truth)
    assert "--only-truth" in error.value.remedy
    found = evaluate_folders(predicted, truth, only_truth=True)
    assert ([frame.name for frame in found.frames], found.iou_mean, found.without_truth) == (["000007"], 0.5, 19)
    write(truth / "000099.png", columns(255, 255))
    with pytest.raises(EvaluationError, match=r"1 true masks in .* without prediction: 000099"):
        evaluate_folders(predicted, truth, only_truth=True)
    assert evaluate_folders(predicted, truth, only_truth=True, only_predicted=True).unpredicted == 1


def test_masks_that_share_no_name_are_refused_whatever_may_be_left_out(predicted: Path, truth: Path) -> None:
    write(predicted / "a.png", columns(255))
    write(truth / "b.png", columns(255))
    with pytest.raises(EvaluationError, match="1 predictions in"):
        evaluate_folders(predicted, truth, only_truth=True, only_predicted=True)


def test_truth_may_be_named_differently_and_lie_beside_other_pictures(predicted: Path, truth: Path) -> None:
    for name in ("frame_80_endo", "frame_81_endo"):
        write(predicted / f"{name}.png", columns(255, 0))
        write(truth / f"{name}.png", columns(1, 2))
        write(truth / f"{name}_color_mask.png", columns(0, 7))
        write(truth / f"{name}_watershed_mask.png", columns(50, 0))
    found = evaluate_folders(predicted, truth, truth_name="{frame}_watershed_mask")
    assert ([frame.name for frame in found.frames], found.iou_mean) == (["frame_80_endo", "frame_81_endo"], 1.0)
    with pytest.raises(EvaluationError, match=r"none of 6 masks is called gt_\{frame\}, such as frame_80_endo"):
        evaluate_folders(predicted, truth, truth_name="gt_{frame}")


@pytest.mark.parametrize("pattern", ["mask", "{frame}{frame}", "{clip}_mask", "masks/{frame}"])
def test_what_truth_is_called_has_to_hold_the_frame_once(predicted: Path, truth: Path, pattern: str) -> None:
    write(predicted / "a.png", columns(255))
    write(truth / "a.png", columns(255))
    with pytest.raises(EvaluationError, match="where in a file's name"):
        evaluate_folders(predicted, truth, truth_name=pattern)


@pytest.mark.parametrize("given", ["result", "result/op"])
@pytest.mark.parametrize("place", ["truth", "truth/op", "truth/masks", "truth/op/masks"])
def test_a_run_and_its_clip_are_both_taken(tmp_path: Path, given: str, place: str) -> None:
    write(tmp_path / "result" / "op" / "masks" / "000000.png", columns(255, 0))
    write(tmp_path / "result" / "op" / "sheet.png", columns(1, 2))
    (tmp_path / "result" / "run.json").write_text("{}")
    write(tmp_path / place / "000000.png", columns(255, 0))
    truth = tmp_path / "truth" / ("op" if given == "result/op" and "op" in place else "")
    assert evaluate_folders(tmp_path / given, truth).iou_mean == 1.0


def test_a_run_of_several_clips_is_compared_clip_by_clip(tmp_path: Path) -> None:
    for clip in ("a", "b"):
        write(tmp_path / "result" / clip / "masks" / "0.png", columns(255, 0))
        write(tmp_path / "truth" / clip / "0.png", columns(255, 0))
    (tmp_path / "result" / "run.json").write_text("{}")
    found = evaluate_folders(tmp_path / "result", tmp_path / "truth")
    assert [(frame.video, frame.frame) for frame in found.frames] == [("a", "0"), ("b", "0")]
