"""What datumaro and Label Studio's converter read, run by a Python that has them: readers.py KIND PLACE OUT.npz

They want other versions of OpenCV and Pillow than the library is tested with, so that they live in an environment of
their own: `python -m venv READERS && READERS/bin/pip install datumaro label-studio-sdk`, then CUEMASK_READERS names its
python. It imports nothing of the library.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np


def datumaro(kind: str, place: str) -> dict[str, np.ndarray]:
    from datumaro.components.dataset import Dataset

    found = {}
    for item in Dataset.import_from(place, kind):
        mask = np.zeros(item.media.size, bool)
        for annotation in item.annotations:
            if hasattr(annotation, "image"):
                mask |= np.asarray(annotation.image) > 0
        found[item.id] = mask
    return found


def label_studio(place: str) -> dict[str, np.ndarray]:
    package = Path(importlib.util.find_spec("label_studio_sdk").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("brush", package / "converter" / "brush.py")
    brush = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(brush)
    found = {}
    for task in json.loads(Path(place).read_text()):
        mask = np.zeros((task["data"]["height"], task["data"]["width"]), bool)
        for region in task["predictions"][0]["result"]:
            mask |= brush.decode_rle(region["value"]["rle"]).reshape(*mask.shape, 4)[:, :, 3] > 0
        found[Path(task["data"]["image"]).stem] = mask
    return found


if __name__ == "__main__":
    _, kind, place, out = sys.argv
    np.savez(out, **(label_studio(place) if kind == "labelstudio" else datumaro(kind, place)))
