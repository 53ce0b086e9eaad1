from __future__ import annotations

import threading

import pytest
from av.codec.hwaccel import hwdevices_available
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.errors import InputError, VideoError
from cuemask.media import hardware
from cuemask.media.hardware import accelerator, decoding_with
from cuemask.runs.options import refuse_other_words


def has_cuda() -> bool:
    try:
        with decoding_with("cuda"):
            return True
    except VideoError:
        return False


@pytest.mark.skipif(has_cuda(), reason="there is a GPU that decodes")
@pytest.mark.parametrize(
    "command",
    ["predict drawn CLIP --out OUT", "segment CLIP --out OUT", "train CLIP --out OUT", "live CLIP --model drawn"],
)
def test_cuda_where_there_is_none_is_refused_with_its_remedy_and_leaves_nothing(command, tmp_path):
    paths = {"CLIP": str(tmp_path / "absent.mp4"), "OUT": str(tmp_path / "out")}
    done = CliRunner().invoke(main, [*(paths.get(word, word) for word in command.split()), "--decoder", "cuda"])
    assert done.exit_code == 2
    first, *_, last = done.stderr.strip().splitlines()
    assert "decoder cuda: FFmpeg finds no GPU that decodes (" in first
    assert last.strip() == "Decode on the processor: --decoder cpu"
    assert list(tmp_path.iterdir()) == []


def test_an_ffmpeg_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: [d for d in hwdevices_available() if d != "cuda"])
    with pytest.raises(VideoError, match=r"built without it.*\n.*--decoder cpu"), decoding_with("cuda"):
        pass


def test_the_choice_ends_with_its_block_and_is_its_threads_alone(monkeypatch):
    monkeypatch.setattr(hardware, "_require_cuda", lambda: None)
    assert accelerator() is None
    elsewhere = []
    with decoding_with("cuda"):
        with decoding_with("cpu"):
            assert accelerator() is None
        assert accelerator() is not None
        thread = threading.Thread(target=lambda: elsewhere.append(accelerator()))
        thread.start()
        thread.join()
    assert elsewhere == [None]
    assert accelerator() is None


def test_another_word_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"decoder 'cudo' is none of auto, cpu, cuda.*\nDid you mean cuda\?"):
        refuse_other_words({"decoder": "cudo"})
