"""A phantom scene on disk: a clip, its frames, their exact masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from cuemask.errors import RecipeError
from cuemask.media.files import make_folder, output_errors, write_bytes
from cuemask.media.masks import write_codes, write_mask, write_rgb
from cuemask.media.overlay import OverlayWriter
from cuemask.media.threads import in_threads
from cuemask.phantom.scene import PhantomFrame, PhantomScene
from cuemask.phantom.tools import FPS

Progress = Callable[[Iterable[int], int], Iterable[int]]

MAX_FRAMES = 1_000_000  # six digits name them


@dataclass(frozen=True)
class PhantomFiles:
    """What `write_phantom` wrote.

    Attributes
    ----------
    video
        H.264 video at 25 frames a second.
    frames, masks, parts
        Folders of `000000.png`, `000001.png` ...: the pictures, masks of 0 and 255, and part codes
        (0 background, 10 shaft, 20 wrist, 30 clasper).
    scene
        JSON with the seed and all other fields of the scene, and the number of frames.
    frame_count
        Number of frames.
    """

    video: Path
    frames: Path
    masks: Path
    parts: Path
    scene: Path
    frame_count: int


def write_phantom(
    out: Path, frames: int, scene: PhantomScene | int = 0, progress: Progress | None = None
) -> PhantomFiles:
    """Write a phantom clip with its frames and masks.

    Parameters
    ----------
    out
        Folder to write to; made if absent. Results of an earlier call in it are replaced.
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
        If the folder cannot be written or is full.
    """
    scene = PhantomScene(scene) if isinstance(scene, int) else scene
    _refuse_misfits(frames, scene)
    files = PhantomFiles(
        video=make_folder(out) / "clip.mp4",
        frames=_emptied(out / "frames"),
        masks=_emptied(out / "masks"),
        parts=_emptied(out / "parts"),
        scene=out / "scene.json",
        frame_count=frames,
    )

    def drawn(t: int) -> PhantomFrame:
        frame = scene.frame(t)
        _write_frame(files, t, frame)
        return frame

    numbers = range(frames)
    with OverlayWriter(files.video, Fraction(FPS)) as video:
        for frame in in_threads(drawn, numbers if progress is None else progress(numbers, frames)):
            video.write(frame.rgb)
    description = {**asdict(scene), "frames": frames, "frames_per_second": FPS}
    write_bytes(files.scene, (json.dumps(description, indent=2) + "\n").encode())
    return files


def read_scene(path: Path) -> PhantomScene:
    """Read the scene that `write_phantom` described in `scene.json`.

    Raises
    ------
    RecipeError
        If the file is no such description.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return PhantomScene(**{field.name: found[field.name] for field in fields(PhantomScene)})
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
