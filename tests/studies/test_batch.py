from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.tiny import TINY

from cuemask.cli import main
from cuemask.errors import EngineError, InputError, OutputError, TrainingError
from cuemask.learning.pairs import clips_drawn
from cuemask.media.files import output_errors
from cuemask.media.folders import own_folder
from cuemask.media.locks import locked
from cuemask.recipe import load_recipe
from cuemask.runs.learning import train
from cuemask.runs.options import Options
from cuemask.runs.predicting import predict
from cuemask.studies import work as working
from cuemask.studies.batch import batch
from cuemask.studies.board import Board, Row, read_rows, seconds_left
from cuemask.studies.engines import engine
from cuemask.studies.local import LocalExecutor, own_gpus, shares_of
from cuemask.studies.running import DROPS, TRIES, outcomes
from cuemask.studies.status import status
from cuemask.studies.work import Outcome, Unit, work


@pytest.fixture
def threads() -> Iterator[Executor]:
    """An engine of this process: quick, and any executor fits."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def files(folder: Path) -> dict[str, bytes]:
    """All of a run but its record, which tells of times."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if name != "run.json"}


def table(study: Path) -> dict[str, dict[str, str]]:
    with (study / "status.csv").open(newline="") as file:
        return {line["name"]: line for line in csv.DictReader(file)}


def test_with_a_model_every_video_is_as_predict_makes_it_and_a_bad_one_stops_no_other(
    videos: Path, options: Options, model: Path, tmp_path: Path, threads: Executor
) -> None:
    study = batch(videos, options, on=threads, model=model)
    assert [(row.name, row.state, row.frames) for row in study.rows] == [
        ("bad", "failed", 0),
        ("op1", "done", 4),
        ("op2", "done", 4),
    ]
    assert "no video stream that can be decoded" in study.failed[0].error
    alone = predict(model, [str(videos / "op1.mp4")], replace(options, out=tmp_path / "alone"))
    assert files(study.folder / "videos" / "op1") == files(alone)
    assert table(study.folder)["op2"]["source"] == str(videos / "day2" / "op2.mp4")
    assert {path.name for path in study.folder.iterdir()} == {"study.json", "status.csv", "videos", ".parts"}


def test_the_same_again_tries_what_failed_takes_what_is_new_and_leaves_what_is_done(
    videos: Path, options: Options, model: Path, clip: Path, threads: Executor
) -> None:
    study = batch(videos, options, on=threads, model=model)
    before = (study.folder / "videos" / "op1" / "run.json").stat().st_mtime_ns
    shutil.copy(clip, videos / "bad.mp4")
    shutil.copy(clip, videos / "day2" / "op1.mp4")
    again = batch(videos, options, on=threads, model=model)
    assert {row.name: row.state for row in again.rows} == dict.fromkeys(("bad", "op1", "op2", "day2_op1"), "done")
    assert (study.folder / "videos" / "op1" / "run.json").stat().st_mtime_ns == before
    assert not (study.folder / ".parts").exists()
    with pytest.raises(OutputError, match="another seed: was 0, is now 1"):
        batch(videos, replace(options, seed=1), on=threads, model=model)
    with pytest.raises(OutputError, match="another plan"):
        batch(videos, options, on=threads, each=True)


def test_one_network_is_learnt_on_all_that_open_then_each_is_predicted(
    videos: Path, options: Options, threads: Executor
) -> None:
    study = batch(videos, options, on=threads)
    assert [(row.name, row.state) for row in study.rows] == [("bad", "failed"), ("op1", "done"), ("op2", "done")]
    learnt = json.loads((study.folder / "model" / "run.json").read_text())
    assert [Path(entry["source"]).name for entry in learnt["inputs"]] == ["op1.mp4", "op2.mp4"]
    assert table(study.folder)["(network)"]["state"] == "done"
    good = [str(videos / "op1.mp4"), str(videos / "day2" / "op2.mp4")]
    assert files(study.folder / "model") == files(train(good, replace(options, out=options.out / "learnt alone")))
    assert not (study.folder / ".ahead").exists()
    alone = predict(study.folder / "model", [str(videos / "op1.mp4")], replace(options, out=options.out / "alone"))
    assert files(study.folder / "videos" / "op1") == files(alone)


def test_no_more_videos_are_read_than_learning_can_meet_and_others_for_those_that_cannot_be(
    clip: Path, options: Options, tmp_path: Path, threads: Executor
) -> None:
    recipe = load_recipe("default", [*TINY, "training.steps=1", "training.pairs_per_step=2"])
    folder = tmp_path / "many"
    folder.mkdir()
    drawn = clips_drawn(9, recipe.training, 0)
    for number in range(9):
        (folder / f"op{number}.mp4").write_bytes(clip.read_bytes()[: 400 if number == drawn[0] else None])
    seen = list[str]()

    def progress(label: Any, items: Any, total: int | None) -> Iterator[Any]:
        for item in items:
            if label == "videos: cues":
                seen.append(item.name)
            yield item

    study = batch(folder, replace(options, recipe=recipe, progress=progress), on=threads)
    assert [row.name for row in study.failed] == [f"op{drawn[0]}"]
    assert sorted(seen) == sorted(f"op{number}" for number in drawn[:3])
    record = json.loads((study.folder / "model" / "run.json").read_text())
    assert [entry["clip"] for entry in record["inputs"]] == [f"op{number}" for number in sorted(drawn[1:3])]
    assert [row.state for row in study.rows].count("done") == 8


def test_a_network_that_cannot_be_learnt_ends_the_study_with_the_error_s_words(
    videos: Path, options: Options, threads: Executor
) -> None:
    one_frame = replace(options, selection=replace(options.selection, every=100))
    (videos / "day2" / "op2.mp4").unlink()
    with pytest.raises(TrainingError, match="one frame only"):
        batch(videos, one_frame, on=threads)
    assert table(options.out)["(network)"]["state"] == "failed"


def test_each_video_on_spawned_processes_with_a_network_of_its_own(
    videos: Path, options: Options, tmp_path: Path
) -> None:
    runner, words = CliRunner(), ["--no-overlay", "--no-report", "--quiet"]
    flags = [flag for setting in TINY for flag in ("--set", setting)]
    (videos / "day2" / "op2.mp4").unlink()
    result = runner.invoke(
        main, ["batch", str(videos), "--out", str(options.out), "--each", "--on", "local:1", *words, *flags]
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("failed  bad: ")
    alone = runner.invoke(main, ["segment", str(videos / "op1.mp4"), "--out", str(tmp_path / "alone"), *words, *flags])
    assert alone.exit_code == 0
    assert files(options.out / "videos" / "op1") == files(tmp_path / "alone")
    told = runner.invoke(main, ["status", str(options.out)]).output.splitlines()
    assert told[0] == f"{options.out}: 1 done, 0 running, 0 waiting, 1 failed; 4 frames masked"
    assert told[1].startswith("nobody works on it: the same cuemask batch command goes on")
    assert told[2].startswith("failed   bad: ")


def test_two_workers_with_one_video_give_one_result(clip: Path, options: Options, model: Path) -> None:
    unit = Unit("predict", "op", (str(clip),), options.out, options, model)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(work, [unit] * 3))
    assert [(outcome.error, outcome.frames) for outcome in found] == [("", 4)] * 3
    assert [path.name for path in (options.out / "videos").iterdir()] == ["op"]
    assert list((options.out / ".parts").iterdir()) == []


def test_a_result_grows_where_a_killed_worker_left_it_and_is_made_anew_where_that_does_not_fit(
    clip: Path, options: Options, model: Path
) -> None:
    unit = Unit("predict", "op", (str(clip),), options.out, options, model)
    part = options.out / ".parts" / "op.1"
    predict(model, [str(clip)], replace(options, out=part, seed=7))  # another run altogether
    (part / "run.json").write_text((part / "run.json").read_text().replace('"complete"', '"running"'))
    assert work(unit).error == ""
    assert json.loads((options.out / "videos" / "op" / "run.json").read_text())["seed"] == 0


def test_a_part_that_another_machine_holds_is_left_alone(clip: Path, options: Options, model: Path) -> None:
    lock = options.out / ".parts" / "op.1.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"machine": "elsewhere", "boot": "1", "pid": 1, "since": "then"}))
    assert work(Unit("predict", "op", (str(clip),), options.out, options, model)).error == ""
    assert lock.exists()
    assert (options.out / "videos" / "op" / "run.json").exists()


@pytest.mark.parametrize(("kept", "tries"), [(".work", 2), (".cuemask.lock", 1)])
def test_what_a_faulty_store_did_not_remove_is_no_part_of_a_result(
    clip: Path, options: Options, model: Path, monkeypatch: pytest.MonkeyPatch, kept: str, tries: int
) -> None:
    faults = ["one"]

    def faulty(remove: Any) -> Any:
        def removed(path: Any, *rest: Any, **named: Any) -> None:
            if Path(path).name == kept and faults:
                raise OSError(errno.EIO, faults.pop())
            remove(path, *rest, **named)

        return removed

    monkeypatch.setattr(shutil, "rmtree", faulty(shutil.rmtree))
    monkeypatch.setattr(Path, "unlink", faulty(Path.unlink))
    unit = Unit("predict", "op", (str(clip),), options.out, options, model)
    outcomes = [work(unit) for _ in range(tries)]
    assert faults == []
    assert [outcome.is_passing for outcome in outcomes] == [True] * (tries - 1) + [False]
    assert outcomes[-1].error == ""
    assert not [path for path in unit.folder.iterdir() if path.name.startswith(".")]


def test_a_picture_that_a_faulty_store_withheld_is_not_left_out_of_the_sheet(
    clip: Path, options: Options, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, read = ["one"], Path.read_bytes

    def withheld(path: Path) -> bytes:
        if path.suffix == ".jpg" and faults:
            raise OSError(errno.EIO, faults.pop())
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", withheld)
    unit = Unit("predict", "op", (str(clip),), options.out, options, model)
    first, second = work(unit), work(unit)
    assert faults == []
    assert first.is_passing
    assert second.error == ""
    alone = predict(model, [str(clip)], replace(options, out=options.out / "alone"))
    assert files(unit.folder) == files(alone)


def test_a_second_coordinator_is_refused_and_another_s_folder_too(
    videos: Path, options: Options, model: Path, threads: Executor
) -> None:
    options.out.mkdir()
    (options.out / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something that this command has not written"):
        batch(videos, options, on=threads, model=model)
    (options.out / "mine.txt").unlink()
    with own_folder(options.out, lambda _: True), pytest.raises(OutputError, match="is writing it"):
        batch(videos, options, on=threads, model=model)


class Losing(Executor):
    """An engine that loses every unit so many times."""

    def __init__(self, times: int, error: BaseException) -> None:
        self.left, self.error = times, error

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left >= 0:
            future.set_exception(self.error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def unit(name: str = "op", size: int = 1) -> Unit:
    return Unit("cues", name, (name,), Path("study"), Options(Path("study")), bytes=size)


def test_a_unit_whose_worker_was_lost_is_given_to_another_but_not_for_ever() -> None:
    def do(unit: Unit) -> Outcome:
        return Outcome(unit.name, frames=3)

    killed = RuntimeError("killed")
    assert list(outcomes(Losing(TRIES - 1, killed), [unit()], do=do)) == [(Outcome("op", frames=3), TRIES)]
    ((outcome, tries),) = outcomes(Losing(99, killed), [unit()], do=do)
    assert tries == TRIES
    assert f"its worker was lost {TRIES} times (RuntimeError: killed)" in outcome.error


def test_what_an_engine_dropped_is_no_fault_of_the_unit_s() -> None:
    def do(unit: Unit) -> Outcome:
        return Outcome(unit.name, frames=3)

    dropped = CancelledError()
    assert list(outcomes(Losing(DROPS, dropped), [unit()], do=do)) == [(Outcome("op", frames=3), 1)]
    ((outcome, _),) = outcomes(Losing(2 * DROPS, dropped), [unit()], do=do)
    assert "the engine dropped it" in outcome.error


def test_a_passing_fault_is_tried_again_and_one_of_the_video_is_not(threads: Executor) -> None:
    faults = {"disk": 2, "video": 9}

    def do(unit: Unit) -> Outcome:
        faults[unit.name] -= 1
        error = "no" if faults[unit.name] >= 0 else ""
        return Outcome(unit.name, error=error, is_passing=bool(error) and unit.name == "disk")

    found = {o.name: (o.error, tries) for o, tries in outcomes(threads, [unit("disk"), unit("video")], do=do)}
    assert found == {"disk": ("", 3), "video": ("no", 1)}


def test_a_full_disk_passes_and_a_video_without_end_does_not(
    clip: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        with output_errors(options.out):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(working, "_run", full)
    found = work(Unit("segment", "op", (str(clip),), options.out, options))
    assert found.is_passing
    assert found.error.splitlines()[0].endswith("no space left on the device.")
    monkeypatch.undo()
    missing = work(Unit("cues", "op", ("none.mp4",), options.out, options))
    assert not missing.is_passing
    assert "none.mp4" in missing.error


def test_an_error_of_ours_fails_its_video_and_keeps_its_traceback(
    videos: Path, options: Options, model: Path, threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(working, "_run", broken)
    study = batch(videos, options, on=threads, model=model)
    assert {row.error for row in study.rows} == {"ZeroDivisionError: a bug"}
    assert "in broken" in (options.out / "traces" / "op1.txt").read_text()


def test_the_largest_video_is_begun_first(threads: Executor) -> None:
    order: list[str] = []

    def do(unit: Unit) -> Outcome:
        order.append(unit.name)
        return Outcome(unit.name)

    with ThreadPoolExecutor(1) as one:
        list(outcomes(one, [unit("a", 1), unit("b", 3), unit("c", 2)], do=do))
    assert order == ["b", "c", "a"]


def test_a_killed_process_loses_its_unit_alone_and_each_has_a_gpu_of_those_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,8")
    with LocalExecutor(1) as executor:
        with pytest.raises(Exception, match="abruptly"):
            executor.submit(_die).result(60)
        assert executor.submit(os.getpid).result(60) != os.getpid()
        assert executor.submit(os.sched_getaffinity, 0).result(60) == os.sched_getaffinity(0)
        assert executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result(60) == "7"


def test_gpus_are_those_named_or_all_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cuemask.studies.local._DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert own_gpus() == []
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert own_gpus() == ["0", "1"]  # CUDA counts what it sees, whatever the devices are called
    for named, expected in (("", []), ("5", ["5"]), ("GPU-8932f937,2", ["GPU-8932f937", "2"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert own_gpus() == expected


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_cores_are_divided_among_processes() -> None:
    assert shares_of([0, 1, 2, 3, 4], 2) == [[0, 2, 4], [1, 3]]
    assert shares_of([4, 5], 3) == [[4, 5]] * 3


@pytest.mark.parametrize("told", ["cloud", "local:0", "local:x", "dask://host", "dask:host:1"])
def test_engines_that_there_are_not_are_refused(told: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError), engine(told, tmp_path):
        pass


def test_each_and_model_exclude_each_other(videos: Path, options: Options) -> None:
    with pytest.raises(InputError, match="exclude each other"):
        batch(videos, options, each=True, model=Path("drawn"))


def test_a_video_is_told_to_run_while_a_worker_holds_it(options: Options) -> None:
    options.out.mkdir()
    parts = options.out / ".parts"
    parts.mkdir()
    board = Board(options.out, [Row("a.b", source="/x", bytes=3), Row("b", "done", error='he said "no"')])
    with locked(parts / "a.b.1.lock", parts):
        board.write()
        assert [row.state for row in read_rows(options.out)] == ["running", "done"]
    assert read_rows(options.out) == list(board.rows.values())
    (options.out / "status.csv").write_text("name,state\nx,lost\n")
    with pytest.raises(InputError, match="damaged"):
        status(options.out)


def test_time_left_goes_by_size_where_all_sizes_are_known() -> None:
    rows = [Row("a", "done", ended=150.0, bytes=10), Row("b", bytes=30), Row("c", "failed", ended=1.0, bytes=9)]
    assert seconds_left(rows, since=100.0, now=160.0) == 180
    assert seconds_left([replace(row, bytes=None) for row in rows], since=100.0, now=160.0) == 60
    assert seconds_left(rows, since=155.0, now=160.0) is None
    assert seconds_left(rows[:1], since=155.0, now=160.0) == 0


def test_a_folder_without_a_study_has_no_status(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds no study" in result.stderr
