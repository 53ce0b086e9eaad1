"""Masks that formats are known to break on, and runs made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cuemask.media.masks import write_mask

Masks = dict[str, np.ndarray]


def masks_of(height: int, width: int, seed: int = 0) -> Masks:
    """Holes, specks of one pixel, touching corners, an empty and a full frame, and noise, all of one size."""
    random = np.random.default_rng(seed)
    empty = np.zeros((height, width), bool)
    ring, specks, corners = empty.copy(), empty.copy(), empty.copy()
    ring[height // 5 : -2, width // 5 : -3] = True
    ring[height // 3 : height // 2, width // 3 : width // 2] = False
    ring[height // 5 + 1, width // 5 + 1] = False
    for place in ((0, 0), (-1, -1), (0, -1), (height // 2, width // 2)):
        specks[place] = True
    corners[height // 2, 1:] = True
    corners[np.arange(min(height, width)), np.arange(min(height, width))] = True
    noise = random.random((height, width)) < 0.4
    found = [empty, ring, specks, ~empty, corners, noise, noise & ring]
    return {f"{number * 3:06d}": mask for number, mask in enumerate(found)}


def write_run(folder: Path, clips: dict[str, Masks]) -> Path:
    """A complete run, as far as exports look at one."""
    entries = []
    for clip, masks in clips.items():
        height, width = next(iter(masks.values())).shape
        entries.append({"clip": clip, "source": f"{clip}.mp4", "width_px": width, "height_px": height})
        (folder / clip / "masks").mkdir(parents=True)
        for name, mask in masks.items():
            write_mask(folder / clip / "masks" / f"{name}.png", mask)
    (folder / "run.json").write_text(json.dumps({"cuemask": "0", "status": "complete", "inputs": entries}))
    return folder
