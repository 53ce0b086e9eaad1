"""Videos as streams of frames: which are taken, which are lost, and a few of them to look at."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from cuemask.errors import InputError, VideoError
from cuemask.media.decoding import OpenVideo
from cuemask.media.frames import Frame, Selection, frame_name
from cuemask.media.names import shown
from cuemask.media.places import NumberedFrame
from cuemask.media.skipping import CannotSkipError, SkippingVideo
from cuemask.media.stores import StoredPath
from cuemask.media.threads import cores, in_threads
from cuemask.media.upright import upright_rgb, upright_size

log = logging.getLogger(__name__)

SAMPLING_STEP = 20
_MOST_OPENED = 4  # times that a file is open at once, to look at frames of it


def video_frames(
    path: Path, selection: Selection, lost: set[int] | None = None, damaged: set[int] | None = None
) -> Generator[Frame, None, None]:
    """Decode the selected frames of a video, one at a time.

    A video that breaks off yields what decodes and then logs a warning. Frames that cannot be decoded leave a gap
    in the numbers, and are named in a warning; those that may be wrong are named in another.

    Parameters
    ----------
    lost
        Numbers of selected frames that are known to be lost; those found lost are added.
    damaged
        Likewise of those that were decoded in part only, or predicted from one that is lost.

    Raises
    ------
    VideoError
        If nothing can be decoded, or the picture changes its size.
    InputError
        If the video decodes but no frame of it is selected.
    """
    for index, time, frame, place in _decoded(path, selection, lost, damaged):
        yield Frame(frame_name(index), index, float(time), upright_rgb(frame), place)


def _decoded(
    path: Path, selection: Selection, lost: set[int] | None, damaged: set[int] | None
) -> Generator[tuple[int, Fraction, VideoFrame, int], None, None]:
    """`video_frames` as the decoder gives them, with number, time and place: colours cost a third of decoding."""
    missing, doubtful, wrong, size = set[int](), set[int](), set[int](), None
    for place, (index, time, frame) in enumerate(_selected(path, selection, doubtful)):
        if frame is None:
            missing.add(index)
            continue
        if index in doubtful:
            wrong.add(index)
        size = upright_size(frame) if size is None else size
        if upright_size(frame) != size:
            raise _size_changes(path, size, upright_size(frame), index, time)
        yield index, time, frame, place
    if size is None:
        raise _nothing_selected(path, selection, missing)
    if missing - (lost or set()):
        log.warning("%s", told_of_lost(path, missing))
    if wrong - (damaged or set()):
        log.warning("%s", _told_of_damaged(path, wrong))
    if lost is not None:
        lost |= missing
    if damaged is not None:
        damaged |= wrong


def sample_video(
    path: Path,
    selection: Selection,
    count: int,
    lost: set[int] | None = None,
    damaged: set[int] | None = None,
) -> Generator[UInt8[np.ndarray, "H W 3"], None, None]:
    """Yield about `count` frames spread over the selected stretch, without decoding what lies between.

    Long videos are entered at the key frames before evenly spread times. Where that finds too few (a short
    video, or one with few key frames), its first `count` times `SAMPLING_STEP` frames are stepped through; of those
    between, no more are decoded than the others need.
    `lost` and `damaged` are as in `video_frames`.

    Raises
    ------
    VideoError
        If nothing can be decoded, or the picture changes its size.
    """
    frames: dict[int, VideoFrame] = {}
    with OpenVideo(path) as video:
        if video.frame_count and video.frame_count > count * SAMPLING_STEP:
            seconds = float(video.frame_count / video.frame_rate)
            end = seconds if selection.end_seconds is None else min(seconds, selection.end_seconds)
            frames = _key_frames(path, np.linspace(selection.start_seconds, end, count, endpoint=False))
    sizes = {(frame.height, frame.width) for frame in frames.values()}
    if len(frames) >= count // 2 and len(sizes) == 1:
        for frame in frames.values():
            yield upright_rgb(frame)
        return
    known, most = video.frame_count, count * SAMPLING_STEP
    expected = selection.estimate(known, video.frame_rate) if known else most
    step, given = min(SAMPLING_STEP, max(1, math.ceil(expected / count))), 0
    with suppress(CannotSkipError), closing(_stepped_through(path, selection, step, most)) as stepped:
        for frame in stepped:
            yield upright_rgb(frame)
            given += 1
        if given:
            return
    with closing(_decoded(path, selection, lost, damaged)) as selected:
        for _, _, frame, _ in islice(selected, given * step, most, step):
            yield upright_rgb(frame)


def _key_frames(path: Path, seconds: np.ndarray) -> dict[int, VideoFrame]:
    """The key frame at or before each of `seconds`, by its time stamp: stretch by stretch, each in a thread of its own.

    To a decoder that works on several frames at once, each jump would be as much work again.
    """

    def within(some: np.ndarray) -> dict[int, VideoFrame]:
        with OpenVideo(path, "SLICE") as video:
            return video.key_frames(some.tolist())

    threads = 1 if isinstance(path, StoredPath) else min(_MOST_OPENED, cores(), len(seconds))
    found: dict[int, VideoFrame] = {}
    for frames in in_threads(within, np.array_split(seconds, threads), threads):
        found |= frames
    return found


def _stepped_through(path: Path, selection: Selection, step: int, most: int) -> Generator[VideoFrame, None, None]:
    """Every `step`th of the first `most` selected frames; `CannotSkipError` where all have to be decoded."""
    video, size = SkippingVideo(path), None
    with video:
        for _, _, frame in video.selected(selection, step, most):
            assert frame is not None
            size = upright_size(frame) if size is None else size
            if upright_size(frame) != size:  # where it changes is told by whoever sees all frames
                raise CannotSkipError
            yield frame


def told_of_lost(path: Path, numbers: Iterable[int]) -> str:
    """A sentence on the frames that could not be decoded."""
    missing = list(numbers)
    return f"{shown(path)}: {_so_many(missing)} could not be decoded, no mask is made of them: {_listed(missing)}."


def _told_of_damaged(path: Path, numbers: Iterable[int]) -> str:
    damaged = list(numbers)
    return (
        f"{shown(path)}: {_so_many(damaged)} may be wrong, being damaged or made from damaged or lost ones, and so may "
        f"the masks: {_listed(damaged)}. Copy the file again from its source."
    )


def _so_many(numbers: Sequence[int]) -> str:
    return "1 frame" if len(numbers) == 1 else f"{len(numbers)} frames"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(ranges(numbers))


def ranges(numbers: Iterable[int]) -> list[str]:
    """Names of frames, those that follow each other as `first-last`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ["-".join(frame_name(number) for number in run) for run in runs]


def _selected(path: Path, selection: Selection, damaged: set[int]) -> Iterator[NumberedFrame]:
    """The selected frames, and of those that are lost the ones that would have been selected.

    Numbers of frames that may be wrong, selected or not, are added to `damaged`.
    """
    last = -1
    video = SkippingVideo(path)
    with video:
        video.damaged = damaged
        if selection.leaves_out(video.frame_rate):
            try:
                for item in video.selected(selection):
                    last = item[0]
                    yield item
                return
            except CannotSkipError:
                log.debug("%s: no frame can be left out by the decoder, from frame %d on", shown(path), last + 1)
        else:
            frames = video.from_time(selection.start) if selection.start > 0 else video.from_first()
            if frames is not None:
                yield from _taken(frames, selection, video.frame_rate)
                return
            log.debug("%s: decoded from its first frame, as its packets do not number its frames", shown(path))
    with OpenVideo(path) as video:
        video.damaged = damaged
        yield from (item for item in _taken(video.from_first(), selection, video.frame_rate) if item[0] > last)


def _taken(frames: Iterator[NumberedFrame], selection: Selection, rate: Fraction) -> Iterator[NumberedFrame]:
    if selection.frames_per_second is not None:  # the next one takes a lost one's place
        frames = (item for item in frames if item[2] is not None)
    return selection.take(frames, rate)


def _size_changes(
    path: Path, before: tuple[int, int], after: tuple[int, int], index: int, time: Fraction
) -> VideoError:
    seconds = f"{float(time):.6g}"
    return VideoError(
        f"{shown(path)}: its picture changes from {before[1]}x{before[0]} to {after[1]}x{after[0]} pixels at frame "
        f"{frame_name(index)} ({seconds} s); the frames of a clip share one size.",
        f"Take each stretch by itself: --end {seconds} in one run, --start {seconds} in another with its own --out.",
    )


def _nothing_selected(path: Path, selection: Selection, missing: set[int]) -> VideoError | InputError:
    if missing:
        return VideoError(told_of_lost(path, missing), "Copy it again from its source, or select other frames.")
    end = "its end" if selection.end_seconds is None else f"{selection.end_seconds:g} s"
    return InputError(
        f"{shown(path)}: no frame is selected between {selection.start_seconds:g} s and {end} "
        f"(--every {selection.every}).",
        "Give an earlier --start, a later --end or a smaller --every.",
    )
