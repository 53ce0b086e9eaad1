"""Label Studio's JSON: masks as predictions of a brush, in its own RLE of four channels a pixel, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np
from jaxtyping import Bool

from cuemask.formats.brush import brush_bytes, brush_values
from cuemask.formats.frames import LABEL, MADE, MaskFrame, ReadMask, empty_mask, malformed
from cuemask.formats.polygons import draw_polygon
from cuemask.formats.reading import listed, read_json

BEGINS = f'[\n{{"meta": {{"made": "{MADE.rpartition(" ")[0]}'
FROM, TO = "tag", "image"  # names in the project's labelling configuration
_REGIONS = frozenset({"rectanglelabels", "ellipselabels", "keypointlabels", "rectangle", "ellipse", "keypoint"})


def write_labelstudio(path: Path, frames: Iterable[MaskFrame], images: str = "") -> list[str]:
    """Write one JSON file with a task a frame, its mask a prediction to be corrected.

    Parameters
    ----------
    images
        What stands before the frames' file names in the address that Label Studio shows them from.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for place, frame in enumerate(frames):
            file.write((",\n" if place else "\n") + json.dumps(_task(frame, images)))
        file.write("\n]\n")
    return []


def _task(frame: MaskFrame, images: str) -> dict[str, Any]:
    height, width = frame.mask.shape
    region = {
        "id": f"mask-{frame.number}",
        "from_name": FROM,
        "to_name": TO,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(brush_bytes(frame.mask)), "brushlabels": [LABEL]},
    }
    return {
        "meta": {"made": MADE},
        "data": {"image": images + quote(frame.file), "frame": frame.file, "width": width, "height": height},
        "predictions": [{"model_version": MADE, "result": [region] if frame.mask.any() else []}],
    }


def read_labelstudio(path: Path) -> Iterator[ReadMask]:
    """Masks of Label Studio's JSON: of each task what a person decided last; brush and polygons united.

    Where no task of the file has been decided, the predictions are taken; else tasks without a decision are left out.

    Raises
    ------
    InputError
        If it is no such file, or holds shapes that are no masks.
    """
    tasks = listed(read_json(path), str(path))
    if not all(isinstance(task.get("data"), dict) for task in tasks):
        raise malformed(str(path), "no tasks of Label Studio; export as JSON, not JSON-MIN")
    decided = any(_decisions(task, str(path)) for task in tasks)
    for task in tasks:
        found = _decisions(task, str(path)) if decided else listed(task.get("predictions", []), str(path))
        if found:
            last = max(found, key=lambda each: str(each.get("updated_at") or each.get("created_at") or ""))
            yield _read(path, task["data"], listed(last.get("result"), str(path)))


def _decisions(task: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return [each for each in listed(task.get("annotations", []), source) if not each.get("was_cancelled")]


def _read(path: Path, data: dict[str, Any], regions: list[dict[str, Any]]) -> ReadMask:
    name = str(data.get("frame") or _file_of(str(data.get("image", ""))))
    source = f"{path}, frame {name}"
    sized = next((region for region in regions if "original_width" in region), None)
    sizes = (data.get("width"), data.get("height"))
    if sized is not None:
        sizes = (sized["original_width"], sized.get("original_height"))
    mask = empty_mask(*sizes, source)
    for region in regions:
        kind = region.get("type")
        if kind in _REGIONS:
            raise malformed(source, f"holds {kind}, which are no masks; keep brush and polygons only")
        if kind not in ("brushlabels", "brush", "polygonlabels", "polygon"):
            continue  # choices, texts
        try:
            _draw(mask, region)
        except (ValueError, TypeError, KeyError) as error:
            raise malformed(source, f"its {kind} cannot be read ({error})") from error
    return ReadMask(name, mask)


def _draw(mask: Bool[np.ndarray, "H W"], region: dict[str, Any]) -> None:
    height, width = mask.shape
    if region.get("image_rotation") or (region["original_height"], region["original_width"]) != (height, width):
        raise ValueError("it is of a turned picture, or of one of another size")
    value = region["value"]
    if "points" in value:
        draw_polygon(mask, np.array(value["points"], np.float64).reshape(-1, 2) * (width / 100, height / 100))
        return
    values = brush_values(bytes(value["rle"]), mask.size * 4)
    mask |= values.reshape(height, width, 4)[..., 3] > 0


def _file_of(address: str) -> str:
    """The picture's file in an address; what Label Studio puts before the names of uploads is left out."""
    parts = urlsplit(address)
    place = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    folder, _, name = place.rpartition("/")
    if "/upload/" in f"{folder}/":
        head, _, rest = name.partition("-")
        return rest if len(head) == 8 and rest else name
    return place.lstrip("/")
