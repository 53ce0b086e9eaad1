"""The short form of `python -m benchmarks.kills`: few kills of one command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.kills import contents, stage_of

ROOT = Path(__file__).parents[2]


def test_segment_killed_and_gone_on_with_gives_an_undisturbed_run_to_the_byte() -> None:
    words = ["-m", "benchmarks.kills", "--command", "segment", "--kills", "3"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "| `segment` | 3 |" in done.stdout


def test_a_changed_byte_differs_and_a_time_does_not(tmp_path: Path) -> None:
    for name, mask, seconds in (("a", b"1", 3), ("b", b"2", 3), ("c", b"1", 4)):
        (tmp_path / name / "masks").mkdir(parents=True)
        (tmp_path / name / "masks" / "0.png").write_bytes(mask)
        (tmp_path / name / "run.json").write_text(json.dumps({"seconds": {"cues": seconds}, "seed": 1}))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == c
    assert a != b


def test_stages_are_told_by_what_is_touched() -> None:
    assert stage_of("open /.work/frames/rgb.npy") == "cues"
    assert stage_of("os.rename /frames/masks/.000003.part.png") == "masks"
    assert stage_of("os.mkdir /frames") == "other"
