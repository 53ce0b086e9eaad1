"""COCO's JSON: masks as compressed RLE, column by column; and the same of whole videos, as YouTube-VIS has it."""

from __future__ import annotations

import json
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from cuemask.formats.frames import LABEL, MADE, MaskFrame, ReadMask, boxed, empty_mask, malformed
from cuemask.formats.polygons import draw_polygon
from cuemask.formats.reading import listed, read_json
from cuemask.formats.runlengths import flat_of, packed, runs_of, unpacked

BEGINS = f'{{"info": {{"description": "{MADE.rpartition(" ")[0]}'
_INFO = f'{{"info": {{"description": "{MADE}"}},\n"licenses": [],\n'
_CATEGORIES = json.dumps([{"id": 1, "name": LABEL, "supercategory": ""}])


def write_coco(path: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write one JSON file with an annotation a frame; frames with an empty mask have none.

    Ids start at 1. `iscrowd` is 0: what trains on COCO leaves crowds out, and what reads RLE reads it either way.
    """
    spool = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent)  # noqa: SIM115 (closed below)
    with spool, path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{_INFO}"categories": {_CATEGORIES},\n"images": [')
        annotations = 0
        for number, frame in enumerate(frames, 1):
            height, width = frame.mask.shape
            image = {"id": number, "file_name": frame.file, "width": width, "height": height}
            file.write(("\n" if number == 1 else ",\n") + json.dumps(image))
            box = boxed(frame.mask)
            if box is None:
                continue
            annotations += 1
            annotation = {
                "id": annotations,
                "image_id": number,
                "category_id": 1,
                "segmentation": _rle(frame.mask),
                "area": int(np.count_nonzero(frame.mask)),
                "bbox": list(box),
                "iscrowd": 0,
            }
            spool.write(("\n" if annotations == 1 else ",\n") + json.dumps(annotation))
        file.write('\n],\n"annotations": [')
        spool.seek(0)
        shutil.copyfileobj(spool, file)
        file.write("\n]}\n")
    return []


def write_coco_video(path: Path, frames: Iterable[MaskFrame]) -> list[str]:
    """Write one JSON file in the layout of YouTube-VIS: a video and an annotation a clip, a mask or null a frame."""
    spool = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent)  # noqa: SIM115 (closed below)
    with spool, path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{_INFO}"categories": {_CATEGORIES},\n"videos": [')
        for number, (clip, of_clip) in enumerate(groupby(frames, lambda frame: frame.clip), 1):
            start = "\n" if number == 1 else ",\n"
            file.write(f'{start}{{"id": {number}, "name": {json.dumps(clip)}, "file_names": [')
            spool.write(f'{start}{{"id": {number}, "video_id": {number}, "category_id": 1, "iscrowd": 0,\n')
            length, width, height = _write_clip(file, spool, of_clip)
            file.write(f'], "width": {width}, "height": {height}, "length": {length}}}')
        file.write('\n],\n"annotations": [')
        spool.seek(0)
        shutil.copyfileobj(spool, file)
        file.write("\n]}\n")
    return []


def _write_clip(file: Any, spool: Any, frames: Iterable[MaskFrame]) -> tuple[int, int, int]:
    """Names of the frames to `file`, their masks to `spool`; how many they are, width and height."""
    boxes, width, height = array("q"), 0, 0
    spool.write('"segmentations": [')
    for place, frame in enumerate(frames):
        height, width = frame.mask.shape
        box = boxed(frame.mask)
        comma = ",\n" if place else ""
        file.write(comma + json.dumps(frame.file))
        spool.write(comma + ("null" if box is None else json.dumps(_rle(frame.mask))))
        boxes.extend((*(box or (0, 0, 0, 0)), int(np.count_nonzero(frame.mask))))
    rows = np.array(boxes).reshape(-1, 5)
    spool.write('],\n"bboxes": [')
    spool.writelines(
        (", " if place else "") + (json.dumps(row[:4].tolist()) if row[4] else "null") for place, row in enumerate(rows)
    )
    spool.write('],\n"areas": [')
    spool.writelines((", " if place else "") + (str(row[4]) if row[4] else "null") for place, row in enumerate(rows))
    spool.write("]}")
    return len(rows), width, height


def read_coco(path: Path) -> Iterator[ReadMask]:
    """Masks of a COCO file, or one of `write_coco_video`: all annotations of a frame united, polygons drawn.

    Raises
    ------
    InputError
        If it is no such file.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not {"annotations", "categories"} <= content.keys():
        raise malformed(str(path), "no COCO file: it has no annotations or no categories")
    annotations = listed(content["annotations"], str(path))
    if "videos" in content and any("segmentations" in annotation for annotation in annotations):
        yield from _videos(path, listed(content["videos"], str(path)), annotations)
        return
    images = {image.get("id"): image for image in listed(content.get("images"), str(path))}
    of_image: dict[Any, list[Any]] = {number: [] for number in images}
    for annotation in annotations:
        if annotation.get("image_id") not in of_image:
            raise malformed(str(path), f"an annotation is of image {annotation.get('image_id')}, which is not listed")
        of_image[annotation["image_id"]].append(annotation.get("segmentation"))
    for number, image in images.items():
        yield _united(path, image.get("file_name"), image, of_image[number])


def _videos(path: Path, videos: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Iterator[ReadMask]:
    for video in videos:
        names = video.get("file_names")
        if not isinstance(names, list):
            raise malformed(str(path), f"video {video.get('id')} does not name its frames")
        told = [each.get("segmentations") for each in annotations if each.get("video_id") == video.get("id")]
        own = [masks for masks in told if isinstance(masks, list) and len(masks) == len(names)]
        if len(own) < len(told):
            raise malformed(str(path), f"video {video.get('id')} has {len(names)} frames and other numbers of masks")
        for place, name in enumerate(names):
            yield _united(path, name, video, [masks[place] for masks in own if masks[place] is not None])


def _united(path: Path, name: Any, size: Mapping[str, Any], segmentations: list[Any]) -> ReadMask:
    source = f"{path}, frame {name}"
    mask = empty_mask(size.get("width"), size.get("height"), source)
    try:
        for segmentation in segmentations:
            _draw(mask, segmentation)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise malformed(source, f"its segmentation cannot be read ({error})") from error
    return ReadMask(str(name), mask)


def _draw(mask: Bool[np.ndarray, "H W"], segmentation: Any) -> None:
    if isinstance(segmentation, list):
        for corners in segmentation:
            draw_polygon(mask, np.array(corners, np.float64).reshape(-1, 2))
        return
    if tuple(segmentation["size"]) != mask.shape:
        raise ValueError(f"its size is {segmentation['size']}, the frame's {list(mask.shape)}")
    counts = segmentation["counts"]
    runs = unpacked(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    mask |= flat_of(runs, mask.size).reshape(mask.shape[::-1]).T


def _rle(mask: Bool[np.ndarray, "H W"]) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": packed(runs_of(mask.T.ravel()))}
