"""What decodes video: the processor, or the decoder of a GPU where it knows the codec."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from cuemask.errors import VideoError

Decoder = Literal["auto", "cpu", "cuda"]

_chosen: ContextVar[Decoder] = ContextVar("decoder", default="auto")


@contextmanager
def decoding_with(decoder: Decoder) -> Generator[None, None, None]:
    """Within the block and its thread, videos are decoded so. `auto` is the processor: nothing faster was measured yet.

    `cuda` takes the GPU for the codecs that it decodes and the processor for all others. The frames and their numbers
    are the same.

    Raises
    ------
    VideoError
        If cuda is wanted and absent.
    """
    if decoder == "cuda":
        _require_cuda()
    before = _chosen.set(decoder)
    try:
        yield
    finally:
        _chosen.reset(before)


def accelerator() -> HWAccel | None:
    """What FFmpeg is to decode with here; None for the processor."""
    return HWAccel("cuda", allow_software_fallback=True) if _chosen.get() == "cuda" else None


def told_of_decoder(decoder: Decoder) -> dict[str, str]:
    """What a run's record says of it: nothing of the processor, which every run had before there was a choice."""
    return {"decoder": decoder} if decoder == "cuda" else {}


def _require_cuda() -> None:
    why = "this FFmpeg was built without it"
    if "cuda" in hwdevices_available():
        try:
            HWAccel("cuda", allow_software_fallback=False).create(Codec("h264", "r"))
            return
        except (FFmpegError, NotImplementedError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
    raise VideoError(
        f"decoder cuda: FFmpeg finds no GPU that decodes ({why}).", "Decode on the processor: --decoder cpu"
    )
