"""Decoders written from the formats' own descriptions, with nothing of the library's in them.

Label Studio's follows thi.ng's rle-pack, CVAT's the `mask` element of CVAT for images 1.1, YOLO's the way Ultralytics
draws labels, VOC's and DAVIS's are Pillow's.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
from PIL import Image

Masks = dict[str, np.ndarray]


def cvat(path: Path) -> Masks:
    found: Masks = {}
    for image in ET.parse(path).getroot().iter("image"):
        rows = [[False] * int(image.get("width")) for _ in range(int(image.get("height")))]
        for shape in image.iter("mask"):
            left, top, width = (int(shape.get(name)) for name in ("left", "top", "width"))
            place, value = 0, False
            for run in shape.get("rle").split(","):
                for pixel in range(place, place + int(run)):
                    rows[top + pixel // width][left + pixel % width] = value
                place, value = place + int(run), not value
            assert place == width * int(shape.get("height"))
        found[image.get("name")] = np.array(rows)
    return found


def label_studio(path: Path) -> Masks:
    found: Masks = {}
    for task in json.loads(path.read_text()):
        mask = np.zeros((task["data"]["height"], task["data"]["width"]), bool)
        for region in task["predictions"][0]["result"]:
            values = rle_pack(region["value"]["rle"]).reshape(region["original_height"], region["original_width"], 4)
            assert (values == values[..., :1]).all()
            mask |= values[..., 3] > 0
        found[task["data"]["image"]] = mask
    return found


def rle_pack(data: list[int]) -> np.ndarray:
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, size = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    out = np.zeros(count, np.uint8)
    at = 0
    while at < count:
        repeated = read(1)
        end = at + 1 + read(sizes[read(2)])
        if repeated:
            out[at:end] = read(size)
        else:
            for each in range(at, end):
                out[each] = read(size)
        at = end
    return out


def yolo(folder: Path, shape: tuple[int, int]) -> Masks:
    found: Masks = {}
    for path in (folder / "labels" / "train").rglob("*.txt"):
        mask = np.zeros(shape, np.uint8)
        for line in path.read_text().splitlines():
            kind, *numbers = line.split()
            assert kind == "0"
            assert len(numbers) >= 6
            corners = np.array(numbers, np.float32).reshape(-1, 2) * (shape[1], shape[0])
            cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
        found[path.stem] = mask > 0
    return found


def indices(folder: Path) -> Masks:
    found: Masks = {}
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            assert image.mode == "P"
            assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
            assert image.getpalette()[-3:] == [224, 224, 192]
            found[path.stem] = np.array(image) == 1
    return found
