"""A run to review, written by hand: a bright square on a still ground, which the network found too far to the left."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from tests.tiny import TINY

from cuemask.recipe import load_recipe, recipe_as_mapping

HEIGHT_PX, WIDTH_PX, SIDE_PX = 96, 128, 30


def left_of(number: int) -> int:
    """Where the square begins in a frame: it moves by two pixels."""
    return 30 + 2 * number


def square(left: int) -> np.ndarray:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    mask[40 : 40 + SIDE_PX, left : left + SIDE_PX] = True
    return mask


def picture(number: int) -> np.ndarray:
    """RGB. Square and ground are grained, so that their motion can be seen."""
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.integers(60, 160, (HEIGHT_PX, WIDTH_PX, 3), np.uint8), (5, 5), 0)
    grain = cv2.GaussianBlur(rng.integers(150, 255, (SIDE_PX, SIDE_PX), np.uint8), (3, 3), 0)
    ground[40 : 40 + SIDE_PX, left_of(number) : left_of(number) + SIDE_PX] = grain[..., None]
    return ground


def write_run(folder: Path, count: int = 12, clip: str = "op1") -> Path:
    """`folder/run`, made of the pictures in `folder/<clip>`: the later a frame, the less sure."""
    run, frames = folder / "run", folder / clip
    frames.mkdir(parents=True)
    (run / clip / "masks").mkdir(parents=True)
    rows = ["frame,confidence,share"]
    for number in range(count):
        name = f"f{number:02}"
        cv2.imwrite(str(frames / f"{name}.png"), cv2.cvtColor(picture(number), cv2.COLOR_RGB2BGR))
        mask = square(left_of(number) - 10)
        cv2.imwrite(str(run / clip / "masks" / f"{name}.png"), mask.astype(np.uint8) * 255)
        rows.append(f"{name},{0.9 - 0.05 * number:.4f},{mask.mean():.4f}")
    (run / clip / "confidence.csv").write_text("\n".join(rows) + "\n")
    write_record(run, {clip: frames})
    return run


def write_record(run: Path, clips: dict[str, Path], **other: object) -> None:
    selection = {"every": 1, "frames_per_second": None, "start_seconds": 0.0, "end_seconds": None}
    size = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, "selection": selection}
    inputs = [{"clip": clip, "source": str(source), "sha256": "0", **size} for clip, source in clips.items()]
    record = {
        "cuemask": "0",
        "status": "complete",
        "command": "segment",
        "recipe": recipe_as_mapping(load_recipe("default", [*TINY, "training.pairs_per_step=1"])),
        "seed": 0,
        "inputs": inputs,
        "crop": None,
        "stereo": None,
        "seconds": {},
    }
    (run / "run.json").write_text(json.dumps(record | other))
