"""A run whose instances are the truth of phantoms: what `cuemask group` would leave, without a network."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cuemask import __version__
from cuemask.media.masks import write_codes, write_mask, write_numbers, write_rgb
from cuemask.phantom import PhantomScene

COLUMNS = (
    *("frame", "instrument", "x0", "y0", "x1", "y1", "area", "entry_x", "entry_y"),
    *("direction_x", "direction_y", "tip_x", "tip_y", "confidence"),
)


def write_run(place: Path, scenes: dict[str, PhantomScene], frames: Sequence[int]) -> Path:
    """`place/run` with `instances/`, `masks/`, true `classes/` and `tracks.csv`, of the pictures in `place/<clip>`."""
    run, inputs = place / "run", []
    for name, scene in scenes.items():
        for folder in (place / name, *(run / name / kind for kind in ("instances", "masks", "truth"))):
            folder.mkdir(parents=True)
        rows: list[dict[str, object]] = []
        for t in frames:
            frame = scene.frame(t)
            file = f"{t:06}.png"
            write_rgb(place / name / file, frame.rgb)
            write_numbers(run / name / "instances" / file, frame.instances.astype(np.uint16))
            write_mask(run / name / "masks" / file, frame.mask)
            write_codes(run / name / "truth" / file, frame.classes)
            for number in np.unique(frame.instances)[1:].tolist():
                area = int((frame.instances == number).sum())
                rows.append({"frame": f"{t:06}", "instrument": number, "area": area})
        with (run / name / "tracks.csv").open("w", newline="") as table:
            writer = csv.DictWriter(table, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        size = {"width_px": scene.width_px, "height_px": scene.height_px}
        inputs.append({"clip": name, "source": str(place / name), "selection": {"every": 1}, **size})
    told = {"cuemask": __version__, "command": "segment", "status": "complete", "inputs": inputs}
    (run / "run.json").write_text(json.dumps(told))
    return run
