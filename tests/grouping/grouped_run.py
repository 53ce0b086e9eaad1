"""A run whose instances are the truth of phantoms: what `cuemask group` would leave, without a network."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cuemask import __version__
from cuemask.grouping.instrument import Instrument
from cuemask.grouping.shafts import Shaft
from cuemask.media.masks import write_codes, write_mask, write_numbers, write_rgb
from cuemask.phantom import PhantomScene
from cuemask.runs.instruments import HEADER, row_of


def write_run(place: Path, scenes: dict[str, PhantomScene], frames: Sequence[int]) -> Path:
    """`place/run` with `instances/`, `masks/`, true `classes/` and `tracks.csv`, of the pictures in `place/<clip>`."""
    run, inputs = place / "run", []
    for name, scene in scenes.items():
        for folder in (place / name, *(run / name / kind for kind in ("instances", "masks", "truth"))):
            folder.mkdir(parents=True)
        rows = [HEADER]
        for t in frames:
            frame = scene.frame(t)
            file = f"{t:06}.png"
            write_rgb(place / name / file, frame.rgb)
            write_numbers(run / name / "instances" / file, frame.instances.astype(np.uint16))
            write_mask(run / name / "masks" / file, frame.mask)
            write_codes(run / name / "truth" / file, frame.classes)
            for number in np.unique(frame.instances)[1:].tolist():
                y, x = np.nonzero(frame.instances == number)
                box = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
                unknown = Shaft((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, 0.0, 1.0)
                rows.append(row_of(f"{t:06}", Instrument(number, box, len(y), unknown, 0.0, (), 1.0)))
        with (run / name / "tracks.csv").open("w", newline="") as table:
            csv.writer(table).writerows(rows)
        size = {"width_px": scene.width_px, "height_px": scene.height_px}
        inputs.append({"clip": name, "source": str(place / name), "selection": {"every": 1}, **size})
    told = {"cuemask": __version__, "command": "segment", "status": "complete", "inputs": inputs}
    (run / "run.json").write_text(json.dumps(told))
    return run
