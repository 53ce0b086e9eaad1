"""Videos and pictures whose frames carry their number, so that a test can see which frame it got."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from ..numbered import number_of, numbered


def write_video(
    path: Path,
    count: int = 30,
    *,
    rate: Fraction = Fraction(25),
    size: tuple[int, int] = (64, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    stamps: Sequence[int] | None = None,
    faststart: bool = True,
    draw: Callable[..., np.ndarray] = numbered,
    key_every: int = 12,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    **options: str,
) -> Path:
    muxing = {"movflags": "+faststart"} if faststart and path.suffix in (".mp4", ".mov") else {}
    with _scheduled_as_before(), av.open(str(path), "w", options=muxing) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.gop_size = key_every
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw(number, *size)).reformat(format=pix_fmt)
            frame.pts = stamps[number] if stamps else number
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def _scheduled_as_before() -> Iterator[None]:
    """SVT-AV1 gives the thread that calls it the highest real-time priority, for good, where it may: others starve."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_picture(path: Path, number: int = 0, size: tuple[int, int] = (64, 96)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), numbered(number, *size))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 12 numbered pictures, frame_0.png to frame_11.png."""
    for number in range(12):
        write_picture(tmp_path / "case1" / "frames" / f"frame_{number}.png", number)
    return tmp_path / "case1" / "frames"


@pytest.fixture
def draw_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture
def draw_picture() -> Callable[..., Path]:
    return write_picture


@pytest.fixture
def read_number() -> Callable[[np.ndarray], int]:
    return number_of


def remux(
    source: Path,
    target: Path,
    *,
    zeroed: Sequence[int] = (),
    dropped: Sequence[int] = (),
    flipped: Sequence[int] = (),
) -> Path:
    """Copy a video packet by packet; those with these numbers, in the order of decoding, are damaged or left out.

    Of `flipped` ones a bit in the middle is turned over.
    """
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        read = reading.streams.video[0]
        written = writing.add_stream_from_template(read)
        for number, packet in enumerate(reading.demux(read)):
            if packet.size == 0 or number in dropped:
                continue
            if number in zeroed:
                packet.update(bytes(packet.size))
            if number in flipped:
                data = bytearray(bytes(packet))
                data[len(data) // 2] ^= 0x40
                packet.update(bytes(data))
            packet.stream = written
            writing.mux(packet)
    return target


@pytest.fixture
def damage() -> Callable[..., Path]:
    return remux
