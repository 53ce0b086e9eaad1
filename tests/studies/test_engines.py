"""The engines that other libraries bring; each test skips where its library is absent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from cuemask.errors import EngineError, InstallationError
from cuemask.runs.options import Options
from cuemask.studies import engines
from cuemask.studies.batch import batch
from cuemask.studies.engines import engine
from cuemask.studies.work import Unit, work

WHY = "no {}: pip install 'cuemask[cluster]'"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Executor]:
    """Submitit's jobs, on this machine."""
    submitit = pytest.importorskip("submitit", reason=WHY.format("submitit"))
    from cuemask.studies.slurm import SubmititExecutor

    executor = SubmititExecutor(submitit.LocalExecutor(tmp_path / "jobs"), poll_seconds=0.1)
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)


def test_jobs_of_submitit_are_futures_and_a_killed_one_is_lost(jobs: Any) -> None:
    with jobs.batch():
        ended, killed, failed = jobs.submit(divmod, 7, 2), jobs.submit(die), jobs.submit(divmod, 7, 0)
    assert ended.result(60) == (3, 1)
    assert "UncompletedJobError" in type(killed.exception(60)).__name__
    assert "ZeroDivisionError" in str(failed.exception(60))
    jobs.shutdown()


def test_a_job_that_has_left_the_queue_without_a_result_is_lost(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit", reason=WHY.format("submitit"))
    from cuemask.studies.slurm import Requeued, SubmititExecutor

    job = MagicMock(spec=submitit.Job, job_id="7_1", done=lambda: False)

    class Inner(submitit.LocalExecutor):
        def submit(self, *_: Any) -> Any:
            return job

    looks: list[set[str] | None] = [{"7_1"}, set(), None, {"7_1"}, set(), set()]
    executor = SubmititExecutor(Inner(tmp_path), lambda: looks.pop(0) if looks else set(), 0.01, 0.01)
    error = executor.submit(divmod, 1, 1).exception(10)
    assert str(error) == "job 7_1 has left the queue without a result"
    executor.shutdown()
    again = Requeued(divmod).checkpoint(7, 2)
    assert again.function(*again.args) == (3, 1)


@pytest.mark.parametrize("accounts", [True, False])
def test_the_job_that_learns_asks_slurm_for_what_is_told_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accounts: bool
) -> None:
    submitit = pytest.importorskip("submitit", reason=WHY.format("submitit"))
    from cuemask.studies import slurm

    result = tmp_path / "result"
    paths = MagicMock(folder=tmp_path, result_pickle=result)
    job = MagicMock(spec=submitit.Job, job_id="7", paths=paths, result=lambda: None)
    job.done.return_value = True  # by `sacct`, which is not asked where there are no accounts
    asked = list[dict[str, Any]]()
    said = f"AccountingStorageType   = accounting_storage/{'slurmdbd' if accounts else 'none'}\n"
    monkeypatch.setattr(slurm, "_said", lambda *command: said if "config" in command else "7\n")
    monkeypatch.setattr(slurm, "_POLL_SECONDS", 0.01)

    def submit(executor: Any, *_: Any) -> Any:
        asked.append(dict(executor.parameters))
        return job

    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda _: 1))
    monkeypatch.setattr(submitit.SlurmExecutor, "submit", submit)
    told = {"partition": "gpu", "gres": "gpu:1", "learn_gres": "gpu:4", "learn_mem": "64GB"}
    executor = slurm.slurm_executor(tmp_path, told)
    for kind in ("predict", "train"):
        with executor.batch():
            executor.submit(work, Unit(kind, "op", ("op.mp4",), tmp_path, Options(tmp_path)))
    if not accounts:
        result.touch()
    executor.shutdown()
    assert job.done.called == accounts
    assert [(one["gres"], one.get("mem"), one["partition"]) for one in asked] == [
        ("gpu:1", None, "gpu"),
        ("gpu:4", "64GB", "gpu"),
    ]


def test_slurm_is_refused_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason=WHY.format("submitit"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for told in ("slurm:partition=gpu", "slurm:partition"):
        with pytest.raises(EngineError, match="slurm"), engine(told, tmp_path):
            pass


def test_an_engine_whose_library_is_absent_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cuemask.studies.dask", None)
    with pytest.raises(InstallationError, match="distributed"), engine("dask://localhost:1", tmp_path):
        pass
    assert "cluster" in engines._absent("distributed").remedy


def test_a_dask_cluster_masks_videos_and_a_killed_worker_s_video_goes_to_another(
    videos: Path, options: Options, model: Path
) -> None:
    distributed = pytest.importorskip("distributed", reason=WHY.format("distributed"))
    from cuemask.studies.dask import DaskExecutor

    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50, memory_limit=0
    )
    with cluster:
        executor = DaskExecutor(cluster.scheduler_address)
        try:
            pid = executor.submit(os.getpid).result(60)
            sleeps = executor.submit(time.sleep, 0.5)
            os.kill(pid, signal.SIGKILL)
            assert sleeps.result(60) is None
            study = batch(videos, options, on=executor, model=model)
        finally:
            executor.shutdown()
    assert [(row.name, row.state) for row in study.rows] == [("bad", "failed"), ("op1", "done"), ("op2", "done")]


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason=WHY.format("distributed"))
    from cuemask.studies import dask

    with pytest.raises(EngineError, match="no Dask scheduler answers"):
        dask._client("tcp://127.0.0.1:9", seconds=0.0)
