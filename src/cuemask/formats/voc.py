"""PASCAL VOC's segmentation, which CVAT calls Segmentation mask 1.1."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cuemask.formats.frames import LABEL, MaskFrame
from cuemask.formats.palette import INSTRUMENT_RGB, write_indices
from cuemask.media.files import make_folder

_COLOR = ",".join(map(str, INSTRUMENT_RGB))
_LABELS = f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{LABEL}:{_COLOR}::\n"


def write_voc(folder: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write `SegmentationClass` and `SegmentationObject`, the frames' names and `labelmap.txt`."""
    listing = folder / "ImageSets" / "Segmentation" / "default.txt"
    make_folder(listing.parent)
    (folder / "labelmap.txt").write_text(_LABELS, encoding="utf-8", newline="\n")
    with listing.open("w", encoding="utf-8", newline="\n") as names:
        for frame in frames:
            names.write(f"{frame.stem}\n")
            for kind in ("SegmentationClass", "SegmentationObject"):  # one object: both hold 1
                write_indices(folder / kind / f"{frame.stem}.png", frame.mask)
    return []
