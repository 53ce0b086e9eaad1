from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from cuemask.errors import OutputError
from cuemask.media import recording
from cuemask.media.recording import MaskRecorder


def blob(k: int, height: int = 64, width: int = 96) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[10 : 10 + k, 20:41] = True
    return mask


def read(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
    return [frame.time for frame in frames], [frame.to_ndarray(format="gray") for frame in frames]


def test_masks_come_back_to_the_pixel_at_their_own_times(tmp_path):
    recorder = MaskRecorder(tmp_path / "m.mp4")
    times = [0.5, 0.54, 0.7, 3.0]
    for k, seconds in enumerate(times):
        recorder.add(blob(5 + 7 * k), seconds)
    recorder.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.mp4"]
    (file,) = recorder.files
    assert (file.start_seconds, file.frames, file.width_px, file.height_px) == (0.5, 4, 96, 64)
    found, levels = read(file.path)
    assert found == pytest.approx([seconds - 0.5 for seconds in times], abs=1e-4)
    for k, level in enumerate(levels):
        assert np.array_equal(level > 127, blob(5 + 7 * k))
        assert {*np.unique(level)} <= {*range(30), *range(226, 256)}


def test_another_size_begins_another_file(tmp_path):
    (tmp_path / "m-2.mp4").write_text("of an earlier run")
    recorder = MaskRecorder(tmp_path / "m.mp4")
    for k, size in enumerate([(64, 96), (64, 96), (33, 51), (64, 96)]):
        recorder.add(blob(5, *size), float(k))
    recorder.close()
    assert [(f.path.name, f.start_seconds, f.frames) for f in recorder.files] == [
        ("m.mp4", 0.0, 2),
        ("m-3.mp4", 2.0, 1),
        ("m-4.mp4", 3.0, 1),
    ]
    assert read(tmp_path / "m-3.mp4")[1][0].shape == (34, 52), "odd sizes are padded"
    assert (tmp_path / "m-2.mp4").read_text() == "of an earlier run"


def test_masks_that_come_too_fast_are_left_out_and_counted_and_nobody_waits(tmp_path, monkeypatch):
    slow = threading.Event()
    write = recording._MaskWriter.write
    monkeypatch.setattr(recording._MaskWriter, "write", lambda *a: (slow.wait(30), write(*a)))
    recorder = MaskRecorder(tmp_path / "m.mp4")
    for k in range(100):
        recorder.add(blob(5), float(k))
    slow.set()
    recorder.close()
    assert recorder.skipped >= 100 - recording._WAITING - 1
    assert recorder.files[0].frames + recorder.skipped == 100


def test_what_a_killed_run_leaves_can_be_played(tmp_path):
    recorder = MaskRecorder(tmp_path / "m.mp4")
    for k in range(3 * recording._KEY_EVERY):
        while recorder._waiting.full():
            time.sleep(0.001)
        recorder.add(blob(5), k / 25)
    while not recorder._waiting.empty():
        time.sleep(0.001)
    left = (tmp_path / ".m.part.mp4").read_bytes()
    recorder.close()
    (tmp_path / "left.mp4").write_bytes(left)
    assert len(read(tmp_path / "left.mp4")[0]) >= recording._KEY_EVERY


def test_a_full_disk_ends_the_video_and_not_the_run(tmp_path, caplog, monkeypatch):
    recorder = MaskRecorder(tmp_path / "m.mp4")
    monkeypatch.setattr(recorder, "_next_path", lambda: tmp_path / "m.mp4")
    (tmp_path / ".m.part.mp4").symlink_to("/dev/full")
    random = np.random.default_rng(0)
    for k in range(100):
        while recorder._waiting.full():
            time.sleep(0.001)
        recorder.add(random.integers(0, 2, (64, 96)).astype(bool), k / 25)
    recorder.close()
    assert recorder.error is not None
    assert "no space left" in recorder.error.what
    assert recorder.skipped > 0
    assert "masks go on" in caplog.text


def test_a_recorder_without_masks_leaves_nothing(tmp_path):
    MaskRecorder(tmp_path / "m.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_never_written_over(tmp_path):
    (tmp_path / ".left.part.mp4").write_text("of a killed run")
    with pytest.raises(OutputError, match=r"\.left\.part\.mp4: exists already"):
        MaskRecorder(tmp_path / "left.mp4")
    (tmp_path / "m.mp4").write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        MaskRecorder(tmp_path / "m.mp4")
    with pytest.raises(OutputError, match=r"does not end in \.mp4"):
        MaskRecorder(tmp_path / "m.avi")
