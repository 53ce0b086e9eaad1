"""Live runs as a whole: real streams, a stand-in for the network, a real page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from click.testing import CliRunner, Result

from cuemask.cli import main
from cuemask.errors import InputError, InstallationError, VideoError
from cuemask.media import hardware
from cuemask.media import stream as stream_module
from cuemask.media.numbers import color_of
from cuemask.recipe import load_recipe
from cuemask.runs import living
from cuemask.runs.living import LiveFigures, LiveOptions, live, problem

from ..streams import encode, http_stream, mpegts


class Brightness:
    """A stand-in for a network: how bright each pixel is. It can be made to wait."""

    recipe = load_recipe("default", ["input.height_px=48", "input.width_px=64", "input.area=full"])
    device, one_core = "test", False

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.seen = self.stops_at = 0

    def working_probability(self, pictures: np.ndarray) -> np.ndarray:
        if self.seen + 1 == self.stops_at:
            self.may_go_on.clear()
        self.seen += 1
        assert self.may_go_on.wait(60)
        return pictures[..., 0].astype(np.float32) / 255


@pytest.fixture
def model(monkeypatch) -> Brightness:
    stand_in = Brightness()
    monkeypatch.setattr(living, "open_model", lambda run, device, provider: (stand_in, run))
    monkeypatch.setattr(stream_module, "FIRST_PAUSE_SECONDS", 0.01)
    return stand_in


def run(source: str, told=lambda _: None, stop=None, **options) -> LiveFigures:
    return live(source, Path("m.onnx"), LiveOptions(**{"port": None, **options}), told=told, stop=stop)


def cuemask(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def clip(tmp_path) -> Path:
    encode(str(tmp_path / "clip.mp4"), range(12), format="mp4")
    return tmp_path / "clip.mp4"


def test_every_frame_is_masked_or_dropped_and_the_figures_are_kept(model, clip, tmp_path):
    figures = run(str(clip), figures=tmp_path / "f.json", mask_video=tmp_path / "m.mp4")
    assert figures.frames_in == 12
    assert figures.frames_masked + figures.frames_dropped == 12
    assert figures.frames_masked >= 1
    assert figures.latency_median_ms is not None
    assert figures.latency_p99_ms >= figures.latency_median_ms > 0
    assert (figures.ended, figures.state, figures.width_px, figures.height_px) == ("the source ended", "ended", 96, 64)
    assert json.loads((tmp_path / "f.json").read_text()) == figures.as_json()
    with av.open(str(tmp_path / "m.mp4")) as video:
        assert len(list(video.decode(video=0))) == figures.frames_masked == figures.mask_video[0]["frames"]
    assert problem(figures, LiveOptions()) is None


def test_with_instances_the_instruments_are_numbered(model, tmp_path):
    """A bright bar that comes in from the left is instrument 1 in every frame."""
    bar = np.full((64, 96, 3), 20, np.uint8)
    bar[24:40, :60] = 250
    with av.open(str(tmp_path / "bar.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(bar)))
        container.mux(stream.encode(None))
    assert run(str(tmp_path / "bar.mp4"), instances=True).instruments == [1]
    assert run(str(tmp_path / "bar.mp4")).instruments is None


@pytest.mark.parametrize("kind", ["file", "address"])
def test_the_decoder_that_was_asked_for_is_the_sources(model, clip, monkeypatch, kind):
    monkeypatch.setattr(hardware, "_require_cuda", lambda: None)
    opened, asked = av.open, list[object]()

    def spied(file, *arguments, hwaccel=None, **options):
        asked.append(hwaccel)
        return opened(file, *arguments, **options)  # by the processor: there may be no GPU

    monkeypatch.setattr(av, "open", spied)
    with http_stream([mpegts(range(6))]) as server:
        run(str(clip) if kind == "file" else server.url, decoder="cuda", give_up_seconds=0.1)
    assert isinstance(asked[-1], HWAccel)


def test_a_network_that_is_too_slow_drops_frames_and_masks_the_newest(model):
    """While it is busy with its first frame the source goes on; then it gets the last one, not the second."""
    whole, stop = threading.Event(), threading.Event()

    def told(figures: LiveFigures) -> None:
        if figures.frames_in >= 38 and figures.frames_masked >= 1:
            stop.set()
            whole.set()

    def release() -> None:
        wait_for(lambda: received() >= 38 and model.seen >= 2)
        time.sleep(0.2)
        model.may_go_on.set()

    with watched_run() as runs, http_stream([mpegts(range(40)), whole]) as server:
        received = lambda: runs[0].figures().frames_in if runs else 0  # noqa: E731
        model.stops_at = 2  # the first is the warming up
        releaser = threading.Thread(target=release)
        releaser.start()
        figures = run(server.url, told, stop)
        releaser.join()
    assert figures.frames_in >= 38
    assert figures.frames_masked <= 4
    assert figures.latency_p99_ms >= 200, "the time that the network took is not counted"
    assert figures.frames_dropped == figures.frames_in - figures.frames_masked
    assert figures.is_strained
    assert figures.recent_dropped_share is not None
    assert figures.recent_dropped_share > 0.8
    assert figures.recent_latency_p99_ms == pytest.approx(figures.latency_p99_ms, rel=0.02)


@contextmanager
def watched_run() -> Iterator[list[living._LiveRun]]:
    """Catch the run that is made, to see its figures while it goes on."""
    made: list[living._LiveRun] = []
    real = living._LiveRun
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(living, "_LiveRun", lambda *a: made.append(real(*a)) or made[0])
        yield made


def test_a_run_survives_a_cut_a_stall_and_another_size(model, tmp_path):
    silent, again, stop = threading.Event(), threading.Event(), threading.Event()
    other = mpegts(range(10, 20), size=(128, 160), first_pts=10)
    states: set[str] = set()

    def watch() -> None:
        wait_for(lambda: bool(runs))
        while not stop.is_set():
            figures = runs[0].figures()
            states.add(figures.state)
            if figures.reconnects == 1 and figures.trouble == "nothing came for 0.3 s":
                again.set()
            if figures.width_px == 160:
                stop.set()
            time.sleep(0.01)

    connections = [[mpegts(range(10))], [mpegts(range(10)), silent], [again, mpegts(range(10)), other, silent]]
    with watched_run() as runs, http_stream(*connections) as server:
        watcher = threading.Thread(target=watch)
        watcher.start()
        figures = run(server.url, stop=stop, stall_seconds=0.3, mask_video=tmp_path / "m.mp4")
        watcher.join()
        silent.set()
    assert figures.reconnects == 2
    assert figures.ended == "stopped"
    assert {"live", "reconnecting"} <= states
    sizes = [(file["width_px"], Path(file["path"]).name) for file in figures.mask_video]
    assert sizes == [(96, "m.mp4"), (160, "m-2.mp4")]
    for file in figures.mask_video:
        with av.open(file["path"]) as video:
            assert len(list(video.decode(video=0))) == file["frames"] > 0


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_page_shows_the_run(model, clip):
    seen: list[dict] = []
    stop = threading.Event()

    def told(figures: LiveFigures) -> None:
        assert figures.page is not None
        with urlopen(f"{figures.page}statistics", timeout=20) as answer:
            seen.append(json.load(answer))
        if seen[-1]["frames_masked"] >= 2:
            with urlopen(f"{figures.page}video", timeout=20) as answer:
                assert b"image/jpeg" in answer.read(200)
            stop.set()

    figures = run(str(clip), told, stop, port=0, loop=True)
    assert seen[0]["state"] == "opening"
    assert seen[-1]["state"] == "live"
    assert seen[-1]["fps_in"] > 0
    assert figures.ended == "stopped"


def test_the_page_names_the_classes_of_the_model_and_tells_which_are_in_the_picture(model, clip, monkeypatch):
    network = replace(model.recipe.network, classes=2, class_names=("grasper", "hook"))
    monkeypatch.setattr(model, "recipe", replace(model.recipe, network=network), raising=False)
    probabilities = np.full((1, 2, 48, 64), 0.02, np.float32)
    probabilities[:, 1, :, :30] = 0.9
    monkeypatch.setattr(model, "working_classes", lambda _: probabilities, raising=False)
    stop, seen = threading.Event(), list[list[dict]]()

    def told(figures: LiveFigures) -> None:
        with urlopen(f"{figures.page}statistics", timeout=20) as answer:
            found = json.load(answer)
        if found["frames_masked"] >= 1 and found["classes"]:
            seen.append(found["classes"])
            stop.set()

    run(str(clip), told, stop, port=0, loop=True)
    first, second = seen[-1]
    assert (first["name"], first["color"], first["is_seen"]) == ("grasper", list(color_of(1)), False)
    assert (second["name"], second["is_seen"]) == ("hook", True)


def test_the_page_stays_when_the_file_has_ended_until_it_is_stopped(model, clip, tmp_path):
    stop, states = threading.Event(), []

    def told(figures: LiveFigures) -> None:
        states.append(figures.state)
        if figures.ended is not None:
            assert json.loads((tmp_path / "f.json").read_text())["ended"] == "the source ended"
            with urlopen(f"{figures.page}statistics", timeout=20) as answer:
                assert json.load(answer)["state"] == "ended"
            with urlopen(f"{figures.page}video", timeout=20) as answer:
                assert b"image/jpeg" in answer.read(200), "who comes late sees the last frame"
            threading.Timer(0.3, stop.set).start()

    figures = run(str(clip), told, stop, port=0, stay=True, figures=tmp_path / "f.json")
    assert stop.is_set()
    assert states[-1] == "ended"
    assert (figures.ended, figures.frames_in) == ("the source ended", 12)
    assert figures.seconds < 30


class Interrupted(threading.Event):
    """Ctrl-C comes while somebody waits."""

    def wait(self, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt


def test_ctrl_c_ends_a_page_that_stays(model, clip):
    assert run(str(clip), stop=Interrupted(), port=0, stay=True).ended == "the source ended"


def test_without_a_page_or_in_a_script_nothing_stays(model, clip):
    assert run(str(clip), stay=True).ended == "the source ended", "there is no page that could stay"
    done = cuemask("live", clip, "--model", "m.onnx", "--port", "0")  # the runner's input is no terminal
    assert done.exit_code == 0
    assert "the page stays" not in done.output


def test_the_pages_address_is_said_once_its_source_is_open(model, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(living, "_wait", lambda stop: None)
    done = cuemask("live", clip, "--model", "m.onnx", "--port", "0", "--stay")
    assert done.stdout.startswith("page: http://")
    assert done.stdout.splitlines()[-1].startswith("the page stays: http://")
    assert done.stdout.count("frames: 12 in") == 1
    (tmp_path / "no.mp4").write_bytes(b"nothing that plays")
    refused = cuemask("live", tmp_path / "no.mp4", "--model", "m.onnx", "--port", "0")
    assert refused.exit_code == 2
    assert "page:" not in refused.output


def test_a_source_that_is_given_up_is_an_error_after_its_figures(model, tmp_path):
    with http_stream([mpegts(range(10))]) as server:
        options = LiveOptions(port=None, give_up_seconds=0.3, figures=tmp_path / "f.json")
        figures = live(server.url, Path("m.onnx"), options)
    assert figures.frames_in == 10
    assert json.loads((tmp_path / "f.json").read_text())["ended"] == "given up"
    error = problem(figures, options)
    assert isinstance(error, VideoError)
    assert "given up after 0.3 s" in error.what


def test_a_run_ends_when_its_time_is_up(model, clip):
    figures = run(str(clip), loop=True, seconds=0.3)
    assert figures.ended == "time was up"
    assert figures.frames_in == figures.frames_masked + figures.frames_dropped


def test_what_goes_wrong_at_the_start_leaves_no_thread_and_no_file(model, clip, tmp_path):
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(InputError, match="leave the frame"):
        run(str(clip), crop=(0, 0, 1000, 1000), mask_video=tmp_path / "m.mp4", port=0)
    assert {thread.name for thread in threading.enumerate()} - before <= {"AnyIO worker thread"}
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_missing_libraries_of_the_page_are_named(model, clip, monkeypatch):
    for module in ("cuemask.web.live", "cuemask.web.guard"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InstallationError) as error:
        run(str(clip), port=0)
    assert "cuemask[runtime]" in error.value.remedy
    assert run(str(clip)).frames_in == 12, "without the page it is not needed"


def test_watching_from_elsewhere_is_warned_of(model, clip, caplog):
    run(str(clip), port=0, host="0.0.0.0")
    assert "whoever reaches this machine can watch" in caplog.text
    caplog.clear()
    run(str(clip), port=0)
    assert caplog.text == ""


def test_the_command_prints_page_and_figures_and_exits_0(model, clip):
    done = cuemask("live", clip, "--model", "m.onnx", "--port", "0")
    assert done.exit_code == 0, done.output
    assert "page: http://127.0.0.1:" in done.output
    assert "frames: 12 in" in done.output
    assert "99th percentile" in done.output
    assert cuemask("live", clip, "--model", "m.onnx", "--no-page", "--quiet").output == ""


def test_the_command_exits_2_for_a_source_that_is_not_there(model):
    with http_stream() as server:
        pass
    done = cuemask("live", server.url, "--model", "m.onnx", "--no-page")
    assert done.exit_code == 2
    assert done.stderr.startswith("VideoError   http://127.0.0.1")


SCRIPT = """
import sys
if sys.argv[1] == "no torch": sys.modules["torch"] = None
from cuemask.cli import main
try: main(sys.argv[2:])
except SystemExit as end: assert not end.code, end.code
assert sys.modules.get("torch") is None
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    import torch

    from cuemask.inference.export import write_onnx
    from cuemask.inference.model import Model
    from cuemask.learning.unet import network

    torch.manual_seed(0)
    recipe = load_recipe(
        "default",
        [
            "input.height_px=48",
            "input.width_px=64",
            "network.start=chance",
            "network.width=4",
            "network.depth=2",
            "training.precision=float32",
        ],
    )
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(Model(network(recipe.network).eval(), recipe, "cpu"), path)
    return path


def test_an_exported_model_watches_a_pipe_without_torch(exported, tmp_path):
    arguments = ["live", "-", "--model", exported, "--port", "0", "--figures", tmp_path / "f.json"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "no torch", *map(str, arguments)],
        input=mpegts(range(30)),
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["frames_in"] == 30
    assert figures["device"].startswith("onnxruntime")
    assert "standard input: the source ended" in done.stdout.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_and_the_systems_signals_end_a_run_with_its_files_whole(exported, clip, tmp_path, sent):
    files = ["--mask-video", tmp_path / "m.mp4", "--figures", tmp_path / "f.json"]
    command = ["live", clip, "--model", exported, "--loop", "--port", "0", *files]
    number = signal.Signals[sent]
    with subprocess.Popen(
        [sys.executable, "-m", "cuemask", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a script has Ctrl-C ignored, one under nohup SIGHUP, and hands that on.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        page = process.stdout.readline().removeprefix("page: ").strip()

        def masked() -> int:
            with urlopen(f"{page}statistics", timeout=20) as answer:
                return json.load(answer)["frames_masked"]

        wait_for(lambda: masked() >= 5)
        os.kill(process.pid, number)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "stopped after" in out
    with av.open(str(tmp_path / "m.mp4")) as video:
        assert len(list(video.decode(video=0))) >= 5
    assert json.loads((tmp_path / "f.json").read_text())["frames_masked"] >= 5
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
