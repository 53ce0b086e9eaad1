"""Masks that lie beside the frames they are of, which are no frames: as CholecSeg8k and ISIC are handed out."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cuemask.media.pictures import read_picture

MOST_COLORS = 256  # of a mask; a photograph in colours has thousands
_LOOKED_AT = 4  # pictures of each ending that are looked at
_SIDE_PX = 512  # of what is counted

_log = logging.getLogger(__name__)


def without_masks(pictures: Sequence[Path]) -> list[Path]:
    """The pictures of one folder that are frames: masks that lie beside them are left aside, with a warning.

    Masks are pictures of few colours, or of greys, that are called after another picture, with letters before or
    behind its name, where that one has many colours.

    Raises
    ------
    PictureError
        If one that is looked at cannot be read.
    """
    masks = set[Path]()
    for affix, pairs in _named_after(pictures).items():
        places = np.unique(np.linspace(0, len(pairs) - 1, _LOOKED_AT).astype(int)).tolist()
        if all(_is_mask_of(*pairs[place]) for place in places):
            masks |= {path for path, _ in pairs}
            what = "%s: pictures called %s (%d) are left aside: of few colours, they look like masks of the others. %s"
            remedy = "If they are frames, give them in a folder of their own."
            _log.warning(what, pairs[0][0].parent, affix, len(pairs), remedy)
    return [path for path in pictures if path not in masks]


def _named_after(pictures: Sequence[Path]) -> dict[str, list[tuple[Path, Path]]]:
    """Pictures that are called after others, each with that one, by what stands round its name: `*_mask`."""
    stems = {path.stem: path for path in pictures}
    found: dict[str, list[tuple[Path, Path]]] = {}
    for path in pictures:
        for at in range(1, len(path.stem)):
            begin, end = path.stem[:at], path.stem[at:]
            if begin in stems and _tells_kind(end):
                found.setdefault(f"*{end}{path.suffix}", []).append((path, stems[begin]))
            if end in stems and _tells_kind(begin):
                found.setdefault(f"{begin}*{path.suffix}", []).append((path, stems[end]))
    return found


def _tells_kind(affix: str) -> bool:
    """Whether it holds a word and does not go on with a number: `_mask` does, `0` of frame_1 and frame_10 does not."""
    return re.search(r"[^\W\d]{2}", affix) is not None and not affix[0].isdecimal() and not affix[-1].isdecimal()


def _is_mask_of(path: Path, frame: Path) -> bool:
    return _colors(path) <= MOST_COLORS < _colors(frame)


def _colors(path: Path) -> int:
    """How many colours a picture has, of pixels spread over it."""
    rgb = read_picture(path)
    step = max(1, min(rgb.shape[:2]) // _SIDE_PX)
    values = rgb[::step, ::step].reshape(-1, 3).astype(np.uint32)
    return len(np.unique(values[:, 0] << 16 | values[:, 1] << 8 | values[:, 2]))
