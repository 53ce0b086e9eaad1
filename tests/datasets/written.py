"""Small pictures, masks and videos, of which tests put data sets together."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from tests.numbered import numbered

SIZE = (6, 8)


def picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """A grey picture of `size`, height and width."""
    return write(path, np.full((*size, 3), 90, np.uint8))


def mask(path: Path, *values: int, channels: int = 1, size: tuple[int, int] = SIZE) -> Path:
    """A mask whose columns hold `values` in turn, each as often as the next."""
    height, width = size
    row = np.repeat(np.array(values, np.uint8), -(-width // len(values)))[:width]
    codes = np.tile(row, (height, 1))
    return write(path, codes if channels == 1 else np.repeat(codes[..., None], channels, axis=2))


def video(path: Path, frames: int = 4) -> Path:
    """A video of 96x64 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number, 64, 96)).reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)
    return path
