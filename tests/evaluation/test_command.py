from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result
from tests.evaluation.memory import columns, dataset, predict, recording

from cuemask.cli import main
from cuemask.datasets.catalogue import DATASETS
from cuemask.datasets.dataset import Dataset
from cuemask.evaluation import PROTOCOLS
from cuemask.media.masks import write_mask

TRUTH = {f"{n}": columns(1, n % 2, 0, 0) for n in range(6)}
SET = dataset(recording("one", TRUTH), recording("two", TRUTH))


def evaluate(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        predict(tmp_path / "good", name, TRUTH)
    return tmp_path / "good"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        predict(tmp_path / "bad", name, dict.fromkeys(TRUTH, columns(1, 1, 1, 1)))
    return tmp_path / "bad"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "truth").mkdir()
    for frame, codes in TRUTH.items():
        write_mask(tmp_path / "truth" / f"{frame}.png", codes > 0)
    return tmp_path / "truth"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """A catalogue with the set in memory, and what it is asked for."""
    calls: list[tuple[object, ...]] = []

    def read_dataset(name: str, root: Path, videos: tuple[str, ...] = ()) -> Dataset:
        calls.append((name, root, tuple(videos)))
        return SET

    catalogue = ModuleType("cuemask.datasets.catalogue")
    catalogue.read_dataset = read_dataset
    catalogue.DATASETS = {"memory": DATASETS["folders"]}
    monkeypatch.setitem(sys.modules, "cuemask.datasets.catalogue", catalogue)
    return calls


def test_help_names_every_protocol() -> None:
    told = " ".join(evaluate("--help").output.split()).replace("- ", "-")  # lines are broken at hyphens, too
    assert all(name in told for name in PROTOCOLS)


def test_without_options_the_table_is_that_of_the_challenge(good: Path, truth: Path) -> None:
    lines = evaluate(good / "one", truth).output.splitlines()
    assert lines[:5] == [
        "frames  6",
        "IoU     1.0000 +- 0.0000",
        "Dice    1.0000 +- 0.0000",
        "(figures from 0 to 1)",
        f"({PROTOCOLS['endovis2017'].rule})",
    ]


def test_protocol_and_surface_change_what_is_told(bad: Path, truth: Path) -> None:
    output = evaluate(bad / "one", truth, "--protocol", "isic2016", "--surface", "--tolerance", "2").output
    assert PROTOCOLS["isic2016"].rule in output
    assert "NSD within 2 px" in output
    assert "specificity  0.0000" in output
    assert "NSD within 5 % of the diagonal" in evaluate(bad / "one", truth, "--surface", "--tolerance", "5%").output


def test_csv_holds_a_line_a_frame(bad: Path, truth: Path, tmp_path: Path) -> None:
    evaluate(bad / "one", truth, "--surface", "--csv", tmp_path / "frames.csv")
    with (tmp_path / "frames.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == list(TRUTH)
    assert [row["iou"] for row in rows] == ["0.250000", "0.500000"] * 3
    assert {"video", "dice", "nsd", "hd95_px", "truth_px", "counted"} <= set(rows[0])


def test_against_another_run_tells_the_difference_and_its_interval(good: Path, bad: Path, truth: Path) -> None:
    output = evaluate(good / "one", truth, "--against", bad / "one").output
    assert f"difference from {bad / 'one'}" in output
    assert "IoU   +0.6250 (" in output
    assert "6 frames drawn 10000 times" in output
    told = json.loads(evaluate(good / "one", truth, "--against", bad / "one", "--json").output)
    assert told["difference"]["iou"]["mean"] == pytest.approx(0.625)
    assert told["difference"]["iou"]["low"] < 0.625 < told["difference"]["iou"]["high"]


def test_a_data_set_takes_the_place_of_the_true_masks(good: Path, bad: Path, asked: list[object]) -> None:
    options = ("--dataset", "memory", "--data", "root", "--videos", "1,two", "--protocol", "per-video")
    told = json.loads(evaluate(bad, *options, "--against", good, "--json").output)
    assert asked == [("memory", Path("root"), ("1", "two"))]
    assert [video["name"] for video in told["videos"]] == ["one", "two"]
    assert told["difference"]["iou"]["unit"] == "videos"


def test_only_predicted_frames_count_on_request(good: Path, asked: list[object]) -> None:
    (good / "two" / "masks" / "3.png").unlink()
    options = ("--dataset", "memory", "--data", "root")
    assert "two/3" in evaluate(good, *options, code=2).output
    assert "1 frames with truth but without prediction" in evaluate(good, *options, "--only-predicted").output


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ((), "Give TRUTH"),
        (("truth", "--dataset", "memory", "--data", "root"), "not both"),
        (("--dataset", "memory"), "--data ROOT"),
        (("--dataset", "memory", "--data", "root", "--positive", "1"), "--positive and --ignore are for TRUTH"),
        (("--dataset", "memory", "--data", "root", "--ignore", "255"), "--positive and --ignore are for TRUTH"),
        (("truth", "--data", "root"), "are for --dataset"),
        (("--dataset", "memory", "--data", "root", "--only-truth"), "are for TRUTH"),
        (("--dataset", "memory", "--data", "root", "--truth-name", "{frame}"), "are for TRUTH"),
        (("truth", "--tolerance", "3"), "is of --surface"),
        (("truth", "--surface", "--tolerance", "three"), "neither pixels"),
        (("truth", "--surface", "--tolerance", "-1"), "neither pixels"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(options: tuple[str, ...], what: str) -> None:
    output = evaluate("predicted", *options, code=2).output
    assert output.startswith("Usage:")
    assert what in output


def test_an_unknown_protocol_is_our_own_error(good: Path, truth: Path) -> None:
    output = evaluate(good / "one", truth, "--protocol", "miccai", code=2).output
    assert "'miccai': there is no such protocol." in output
    assert "Traceback" not in output
