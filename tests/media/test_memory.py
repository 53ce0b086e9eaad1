"""What frames leave in memory is taken by the next ones, without asking the system anew."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from cuemask.media import memory

FAULTS = """
import resource, sys
import numpy as np
from cuemask.media.memory import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
for number in range(20):
    if number == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    frames = [np.ones(3 << 20, np.uint8) for _ in range(12)]
    del frames
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str, **environment: str) -> int:
    command = [sys.executable, "-c", FAULTS, *arguments]
    return int(subprocess.run(command, capture_output=True, check=True, env=os.environ | environment).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_of_frames_that_are_gone_is_used_again() -> None:
    assert faults("keep") < faults() / 5
    of_dask = {"MALLOC_TRIM_THRESHOLD_": "65536"}  # what its nanny gives every worker
    assert faults("keep", **of_dask) < faults(**of_dask) / 5


@pytest.mark.parametrize("setting", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_says_stays(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: None) -> None:
        raise AssertionError

    monkeypatch.setattr(ctypes, "CDLL", refused)
    monkeypatch.setenv(setting, "0")
    memory.keep_freed_memory()


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_another_system_goes_without(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[None] = []

    def absent(name: None) -> None:
        tried.append(name)
        raise error

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", absent)
    memory.keep_freed_memory()
    assert tried == [None]
