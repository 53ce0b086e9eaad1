"""A phantom scene on disk: a clip, its frames, their exact masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cuemask.errors import RecipeError
from cuemask.media.files import make_folder, output_errors, write_bytes
from cuemask.media.folders import own_folder
from cuemask.media.masks import write_codes, write_mask, write_numbers, write_rgb
from cuemask.media.overlay import OverlayWriter
from cuemask.media.threads import in_threads
from cuemask.phantom.heads import KINDS
from cuemask.phantom.scene import PhantomFrame, PhantomScene
from cuemask.phantom.tools import FPS

Progress = Callable[[Iterable[int], int], Iterable[int]]

MAX_FRAMES = 1_000_000  # six digits name them
_YOUNGER = ("kinds", "meeting")  # fields that older descriptions lack


@dataclass(frozen=True)
class PhantomFiles:
    """What `write_phantom` wrote.

    Attributes
    ----------
    video
        H.264 video at 25 frames a second.
    frames, masks, parts, instances, classes
        Folders of `000000.png`, `000001.png` ...: the pictures, masks of 0 and 255, part codes
        (0 background, 10 shaft, 20 wrist, 30 clasper), numbers of the instruments (16-bit, 0 background) and codes of
        their kinds (0 background).
    tips
        CSV with a line for each end of an instrument that is seen: `frame,instrument,x,y`, in px.
    scene
        JSON with the seed and all other fields of the scene, the number of frames, and the names of the `classes`.
    frame_count
        Number of frames.
    """

    video: Path
    frames: Path
    masks: Path
    parts: Path
    instances: Path
    classes: Path
    tips: Path
    scene: Path
    frame_count: int


def write_phantom(
    out: Path, frames: int, scene: PhantomScene | int = 0, progress: Progress | None = None
) -> PhantomFiles:
    """Write a phantom clip with its frames and masks.

    Parameters
    ----------
    out
        Folder to write to: absent, empty, or with the results of an earlier call, which are replaced.
    frames
        How many, 1 to 1,000,000; 25 make a second.
    scene
        What to draw; a whole number stands for the usual scene of that seed. Height and width must be even,
        as H.264 wants them.
    progress
        Wraps the frame numbers, given with their total: a progress bar.

    Raises
    ------
    RecipeError
        If `frames` or the scene's size does not fit.
    OutputError
        If the folder holds something else, another process writes it, it cannot be written or is full.
    """
    scene = PhantomScene(scene) if isinstance(scene, int) else scene
    _refuse_misfits(frames, scene)
    with own_folder(out, _is_own):
        return _written(out, frames, scene, progress)


def _written(out: Path, frames: int, scene: PhantomScene, progress: Progress | None) -> PhantomFiles:
    # First of all what the folder is: the same command takes it again, should this one be broken off.
    names = {name: code for code, name in enumerate(KINDS, start=1)}
    description = {**asdict(scene), "frames": frames, "frames_per_second": FPS, "classes": names}
    write_bytes(out / "scene.json", (json.dumps(description, indent=2) + "\n").encode())
    files = PhantomFiles(
        video=out / "clip.mp4",
        frames=_emptied(out / "frames"),
        masks=_emptied(out / "masks"),
        parts=_emptied(out / "parts"),
        instances=_emptied(out / "instances"),
        classes=_emptied(out / "classes"),
        tips=out / "tips.csv",
        scene=out / "scene.json",
        frame_count=frames,
    )

    def drawn(t: int) -> PhantomFrame:
        frame = scene.frame(t)
        _write_frame(files, t, frame)
        return frame

    numbers = range(frames)
    tips: list[str] = ["frame,instrument,x,y"]
    with OverlayWriter(files.video, Fraction(FPS)) as video:
        for t, frame in enumerate(in_threads(drawn, numbers if progress is None else progress(numbers, frames))):
            video.write(frame.rgb)
            tips += [f"{t:06},{tip.instance},{tip.x_px:.2f},{tip.y_px:.2f}" for tip in frame.tips]
    write_bytes(files.tips, ("\n".join(tips) + "\n").encode())
    return files


def _is_own(out: Path) -> bool:
    """Whether an earlier call wrote there, be it one that drew other scenes."""
    try:
        found = json.loads((out / "scene.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"seed", "frames", "frames_per_second"} <= found.keys()


def read_scene(path: Path) -> PhantomScene:
    """Read the scene that `write_phantom` described in `scene.json`.

    Raises
    ------
    RecipeError
        If the file is no such description.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        told: dict[str, Any] = {
            field.name: found[field.name] for field in fields(PhantomScene) if field.name not in _YOUNGER
        }
        told |= {name: found[name] for name in _YOUNGER if name in found}
        if "kinds" in told:
            told["kinds"] = tuple(told["kinds"])
        return PhantomScene(**told)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecipeError(f"{path}: no description of a phantom scene ({error}).", "Give a scene.json.") from error


def _refuse_misfits(frames: int, scene: PhantomScene) -> None:
    if not 1 <= frames <= MAX_FRAMES:
        raise RecipeError(
            f"phantom: {frames} frames cannot be written.",
            f"Ask for 1 to {MAX_FRAMES:,} frames: --frames 250",
        )
    if scene.height_px % 2 or scene.width_px % 2:
        raise RecipeError(
            f"phantom: a clip of {scene.width_px}x{scene.height_px} pixels; H.264 needs even sizes.",
            "Give an even height_px and width_px.",
        )


def _emptied(folder: Path) -> Path:
    """The folder without the pictures that an earlier, longer clip may have left."""
    make_folder(folder)
    with output_errors(folder):
        for path in folder.glob("[0-9]" * 6 + ".png"):
            path.unlink()
    return folder


def _write_frame(files: PhantomFiles, t: int, frame: PhantomFrame) -> None:
    name = f"{t:06}.png"
    write_rgb(files.frames / name, frame.rgb)
    write_mask(files.masks / name, frame.mask)
    write_codes(files.parts / name, frame.parts)
    write_numbers(files.instances / name, frame.instances.astype(np.uint16))
    write_codes(files.classes / name, frame.classes)
