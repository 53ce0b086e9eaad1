"""What a run says of frames that could not be decoded."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest

from cuemask.runs.options import Options
from cuemask.runs.predicting import predict

from ..media.conftest import remux, write_video


def test_lost_frames_have_no_mask_are_named_in_the_record_and_shift_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_video(tmp_path / "whole.mkv", 12, key_every=1, pixel_aspect=Fraction(4, 3))
    damaged = remux(whole, tmp_path / "op.mkv", zeroed=(5, 6))
    out = predict(Path("drawn"), [damaged], Options(tmp_path / "out"))
    masks = sorted(path.stem for path in (out / "op" / "masks").iterdir())
    assert masks == [f"{number:06d}" for number in range(12) if number not in (5, 6)]
    assert json.loads((out / "run.json").read_text())["lost"] == {"op": ["000005-000006"]}
    assert [record.getMessage() for record in caplog.records] == [
        f"{damaged}: 2 frames could not be decoded, no mask is made of them: 000005-000006."
    ]
    with av.open(str(out / "op" / "overlay.mp4")) as overlay:
        assert overlay.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        times = [frame.time for frame in overlay.decode(video=0)]
    assert times == pytest.approx([int(name) / 25 for name in masks])


def test_a_whole_clip_has_no_such_entry(tmp_path: Path) -> None:
    out = predict(Path("drawn"), [write_video(tmp_path / "op.mp4", 3)], Options(tmp_path / "out"))
    assert "lost" not in json.loads((out / "run.json").read_text())
