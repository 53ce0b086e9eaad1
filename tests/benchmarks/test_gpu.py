from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from benchmarks.gpu import STAGES, Cell, Size, Stage, measured, stages, table

WRITES = "import json, sys; json.dump([['step', '3 ms', 'a | b']], open(sys.argv[-1], 'w'))"
FAILS = "raise SystemExit('CUDA out of memory')"
# Hangs together with a process of its own, whose number it tells first.
HANGS = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
)


def test_a_stage_that_fails_or_hangs_costs_its_own_rows_alone(tmp_path):
    note = tmp_path / "child"
    some = [
        Stage("fails", 20, (sys.executable, "-c", FAILS)),
        Stage("hangs", 2, (sys.executable, "-c", HANGS, str(note))),
        Stage("is silent", 20, (sys.executable, "-c", "pass")),
        Stage("works", 20, (sys.executable, "-c", WRITES)),
    ]
    found = dict(measured(some))
    assert found["fails"] == [Cell("", "failed", "exit code 1: CUDA out of memory")]
    assert found["hangs"] == [Cell("", "failed", "not done after 2 s, and ended")]
    assert found["is silent"] == [Cell("", "failed", "ended without rows")]
    assert found["works"] == [Cell("step", "3 ms", "a | b")]
    text = table(found, Size("cpu", small=True), 3.0)
    assert "| works | step | 3 ms | a / b |" in text
    assert "| hangs |  | failed | not done after 2 s, and ended |" in text
    assert "`python -m benchmarks.gpu --device cpu --small`" in text
    if sys.platform == "linux":
        assert _is_gone(int(note.read_text())), "what a stage had started outlived it"


def _is_gone(number: int) -> bool:
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_stages_together_stay_below_eight_minutes():
    assert sum(stage.seconds for stage in stages(Size("cuda", small=False))) <= 480
    assert [stage.name for stage in stages(Size("cuda", small=False))] == list(STAGES)


def test_a_stage_measures_in_a_process_of_its_own_and_what_is_absent_is_skipped_in_words():
    runtime = pytest.importorskip("onnxruntime")
    (stage,) = (stage for stage in stages(Size("cpu", small=True)) if stage.name == "TensorRT")
    ((_, cells),) = measured([stage])
    if "TensorrtExecutionProvider" in runtime.get_available_providers():
        pytest.skip("there is TensorRT")
    assert [(cell.what, cell.value) for cell in cells] == [("default, tensorrt", "skipped")]
    assert "onnxruntime-gpu" in cells[0].note
