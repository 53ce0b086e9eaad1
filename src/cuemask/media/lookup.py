"""Single frames of a clip by their names, for whoever looks at some of them in any order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError
from cuemask.media.clips import Clip
from cuemask.media.dicom import read_instance
from cuemask.media.dicom_pixels import frames_rgb
from cuemask.media.pictures import composed, read_picture, selected_pictures
from cuemask.media.seeking import VideoFrames


@runtime_checkable
class FrameLookup(Protocol):
    """Gives frames by name."""

    def rgb(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        """The frame called `name`.

        Raises
        ------
        InputError
            If the clip has none of that name, or it cannot be decoded.
        """
        ...

    def twin(self) -> FrameLookup:
        """Another for the same clip, which can be asked while this one is busy."""
        ...

    def close(self) -> None:
        """Let the files go; what is under way may be given up."""
        ...


def lookup_of(clip: Clip) -> FrameLookup:
    """What gives the frames of `clip` by name; it holds none of them.

    Raises
    ------
    InputError
        If the clip cannot be opened.
    """
    if clip.kind == "video":
        return _OfVideo(clip)
    return _OfDicom(clip) if clip.kind == "frames" else _OfPictures(clip)


def sizes_of(clip: Clip, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Height and width of frames in pixels; they are read only where sizes may differ.

    Raises
    ------
    PictureError
        If one of them cannot be read.
    """
    if not clip.sizes_vary:
        return dict.fromkeys(names, (clip.height_px, clip.width_px))
    found = lookup_of(clip)
    return {name: found.rgb(name).shape[:2] for name in names}


class _OfVideo:
    def __init__(self, clip: Clip, beside: VideoFrames | None = None) -> None:
        self._clip, self._frames = clip, VideoFrames(clip.paths[0], beside)

    def rgb(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        if not name.isdecimal():
            raise _unknown(self._clip, name)
        return self._frames.rgb(int(name))

    def twin(self) -> FrameLookup:
        return _OfVideo(self._clip, self._frames)

    def close(self) -> None:
        self._frames.close()


class _OfPictures:
    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        names = clip.frame_names
        taken = selected_pictures(clip.paths, clip.selection)
        self._paths = {names[index] if names else composed(path.stem): path for index, path in taken}

    def rgb(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        if name not in self._paths:
            raise _unknown(self._clip, name)
        return read_picture(self._paths[name])

    def twin(self) -> FrameLookup:
        return self

    def close(self) -> None:
        pass


class _OfDicom:
    def __init__(self, clip: Clip) -> None:
        self._clip, self._instance = clip, read_instance(clip.paths[0])

    def rgb(self, name: str) -> UInt8[np.ndarray, "H W 3"]:
        if not name.isdecimal() or int(name) >= self._instance.frame_count:
            raise _unknown(self._clip, name)
        return next(frames_rgb(self._instance, [int(name)]))

    def twin(self) -> FrameLookup:
        return self

    def close(self) -> None:
        pass


def _unknown(clip: Clip, name: str) -> InputError:
    return InputError(
        f"{clip.source}: has no frame {name}.", "See that it is what was segmented, with the pictures that it had then."
    )
