"""CVAT for images 1.1: XML with a mask a frame, its runs row by row inside its box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import XMLGenerator

import numpy as np
from jaxtyping import Bool

from cuemask.formats.frames import LABEL, MADE, MaskFrame, ReadMask, boxed, empty_mask, malformed
from cuemask.formats.polygons import draw_polygon
from cuemask.formats.reading import unreadable
from cuemask.formats.runlengths import flat_of, runs_of
from cuemask.media.files import refuse_special

BEGINS = f'<?xml version="1.0" encoding="utf-8"?>\n<!-- {MADE.rpartition(" ")[0]}'
_HEAD = f"""<?xml version="1.0" encoding="utf-8"?>
<!-- {MADE} -->
<annotations>
<version>1.1</version>
<meta><task><labels><label><name>{LABEL}</name><type>mask</type><attributes></attributes></label></labels></task></meta>
"""
_CHUNK = 1 << 20
_SHAPES = frozenset({"box", "ellipse", "polyline", "points", "cuboid", "skeleton"})  # which are no masks


def write_cvat(path: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write one XML file. CVAT finds frames by name, then by `id`: the number of a video's frame.

    A frame with an empty mask stands there without one: an empty one breaks CVAT's import.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        for frame in frames:
            height, width = frame.mask.shape
            image = {"id": frame.number, "name": frame.file, "width": width, "height": height}
            xml.startElement("image", _attributes(image))
            box = boxed(frame.mask)
            if box is not None:
                left, top, wide, high = box
                runs = runs_of(frame.mask[top : top + high, left : left + wide].ravel())
                shape = {"label": LABEL, "source": "auto", "occluded": 0, "rle": ", ".join(map(str, runs.tolist()))}
                shape |= {"left": left, "top": top, "width": wide, "height": high, "z_order": 0}
                xml.startElement("mask", _attributes(shape))
                xml.endElement("mask")
            xml.endElement("image")
            xml.ignorableWhitespace("\n")
        file.write("</annotations>\n")
    return []


def _attributes(values: dict[str, Any]) -> Any:
    return {name: str(value) for name, value in values.items()}


def read_cvat(path: Path) -> Iterator[ReadMask]:
    """Masks of an XML file of CVAT for images 1.1: masks and polygons of a frame united.

    Raises
    ------
    InputError
        If it is no such file, or holds shapes that are no masks, or tracks (CVAT for video).
    """
    refuse_special(path)
    images = _Images(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = images.start, images.end
    parser.EntityDeclHandler = images.refuse_entity
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk)
                yield from images.taken()
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise malformed(str(path), f"no XML ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not images.is_of_cvat:
        raise malformed(str(path), "no file of CVAT for images: it has no <annotations>")


class _Images:
    """Gathers frames as the parser goes on."""

    def __init__(self, path: Path) -> None:
        self.is_of_cvat = False
        self._path = path
        self._name: str | None = None
        self._mask = np.zeros((0, 0), bool)
        self._whole: list[ReadMask] = []

    def taken(self) -> list[ReadMask]:
        """The frames that are whole by now, each once."""
        whole, self._whole = self._whole, []
        return whole

    def refuse_entity(self, *declared: object) -> None:
        """CVAT declares none; they serve to blow files up."""
        del declared
        raise malformed(str(self._path), "declares XML entities, which CVAT never does")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "annotations":
            self.is_of_cvat = True
        elif tag == "track":
            raise malformed(str(self._path), "holds tracks: it is of CVAT for video; export as CVAT for images 1.1")
        elif tag == "image":
            self._name = attributes.get("name", "")
            self._mask = empty_mask(attributes.get("width"), attributes.get("height"), self._source)
        elif self._name is not None and tag in ("mask", "polygon", *_SHAPES):
            self._draw(tag, attributes)

    def end(self, tag: str) -> None:
        if tag == "image" and self._name is not None:
            self._whole.append(ReadMask(self._name, self._mask))
            self._name = None

    @property
    def _source(self) -> str:
        return f"{self._path}, frame {self._name}"

    def _draw(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _SHAPES:
            raise malformed(self._source, f"holds a {tag}, which is no mask; keep masks and polygons only")
        try:
            if tag == "mask":
                _paste(self._mask, attributes)
            else:
                pairs = [pair.split(",") for pair in attributes["points"].split(";")]
                draw_polygon(self._mask, np.array(pairs, np.float64).reshape(-1, 2))
        except (ValueError, KeyError, OverflowError) as error:
            raise malformed(self._source, f"its {tag} cannot be read ({error})") from error


def _paste(mask: Bool[np.ndarray, "H W"], attributes: dict[str, str]) -> None:
    left, top, width, height = (int(attributes[name]) for name in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(width, height) < 1 or top + height > mask.shape[0] or left + width > mask.shape[1]:
        raise ValueError("it leaves the frame")
    runs = np.array([int(run) for run in attributes["rle"].split(",")], np.int64)
    mask[top : top + height, left : left + width] |= flat_of(runs, width * height).reshape(height, width)
