"""`cuemask review`: a page on which people correct the masks of a run, and have it learn again from that."""

from __future__ import annotations

import getpass
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cuemask.errors import InputError
from cuemask.media.clips import Clip
from cuemask.media.decoding import OpenVideo
from cuemask.media.lookup import lookup_of
from cuemask.media.mask_folders import place_of_masks
from cuemask.runs.again import LearningAgain
from cuemask.runs.confidences import FILE as CONFIDENCES
from cuemask.runs.confidences import read_confidences
from cuemask.runs.formats import CORRECTIONS, complete_clips
from cuemask.runs.pages import page_libraries
from cuemask.runs.sources import clips_of, sources_of

if TYPE_CHECKING:
    from cuemask.web.review_clips import ReviewClip
    from cuemask.web.review_desk import ReviewDesk

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2


def review(
    run: Path,
    inputs: Sequence[str | Path] = (),
    *,
    annotator: str = "",
    host: str = "127.0.0.1",
    port: int = 0,
    told: Callable[[str], None] = lambda address: None,
    stop: threading.Event | None = None,
) -> list[str]:
    """Serve the page of a run until `stop` is set or Ctrl-C is pressed. What the run wrote is never changed.

    Masks go to `run/corrections/<clip>/<frame>.png`, decisions to `run/corrections/reviews.csv`.

    Parameters
    ----------
    run
        The folder of a complete `segment` or `predict` run.
    inputs
        What the run read, in its order, where that has been moved since.
    annotator
        Who reviews, as `reviews.csv` calls them; the user's name on this machine without one.
    host, port
        Where the page is served; port 0 takes a free one.
    told
        Given the page's address, token included.

    Returns
    -------
    Closing lines.

    Raises
    ------
    InputError
        If `run` is no complete run with masks, or what it read is not where it was.
    InstallationError
        If Starlette or uvicorn is missing.
    CuemaskError
        If the page cannot be served there.
    """
    with page_libraries():
        from cuemask.web.guard import is_loopback
        from cuemask.web.review import ReviewPage
    stop = threading.Event() if stop is None else stop
    desk, again = opened(run, inputs, annotator)
    page = ReviewPage(desk, host, port)
    with page:
        if not is_loopback(host):
            log.warning("--host %s: whoever has the address can see and correct: %s", host, page.address)
        told(page.address)
        try:
            while not stop.wait(_TICK_SECONDS):
                pass
        except KeyboardInterrupt:  # the way to end it
            pass
        finally:
            again.stop()
    return _lines(run)


def opened(run: Path, inputs: Sequence[str | Path], annotator: str) -> tuple[ReviewDesk, LearningAgain]:
    """What a page asks, and what learns again, of the run in `run`.

    Raises
    ------
    InputError
        As `review`.
    """
    from cuemask.web.review_desk import ReviewDesk
    from cuemask.web.review_kinds import ReviewKinds
    from cuemask.web.review_store import Corrections, annotator_name

    record, entries = complete_clips(run)
    if len(entries) < len(record["inputs"]):
        raise InputError(f"{run}: is one clip of a run.", f"Give the run: cuemask review {run.parent}")
    sources = sources_of(run, entries, inputs, "review")
    found = clips_of(run, entries, sources, "review")
    clips = [_clip(run, entry, clip) for entry, clip in zip(entries, found, strict=True)]
    corrections = Corrections(run / CORRECTIONS, {clip.name: clip.numbers for clip in clips})
    again = LearningAgain(run.absolute(), record, sources, (run / CORRECTIONS).absolute())
    name = annotator_name(annotator or _user())
    return ReviewDesk(run.absolute().name, clips, corrections, again, name, ReviewKinds(run.absolute())), again


def _clip(run: Path, entry: Mapping[str, Any], clip: Clip) -> ReviewClip:
    from cuemask.web.review_clips import ReviewClip

    folder = run / str(entry["clip"])
    table = folder / CONFIDENCES
    rows = list(read_confidences(table)) if table.is_file() else []
    if not rows:
        raise InputError(
            f"{table}: absent or empty; it tells how sure the network was of each frame.",
            "Make it again: the command that made the run, with --resume.",
        )
    told = np.array([values for _, values in rows], np.float32)
    return ReviewClip(
        folder.name,
        clip.source,
        clip.height_px,
        clip.width_px,
        _rate(clip),
        [name for name, _ in rows],
        told[:, 0],
        told[:, 1],
        place_of_masks(folder),
        partial(lookup_of, clip),
    )


def _rate(clip: Clip) -> float | None:
    """Frames of the source a second: its frames are named by their numbers there."""
    if clip.kind != "video":
        return None
    with OpenVideo(clip.paths[0]) as video:
        return float(video.frame_rate)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without users
        return ""


def _lines(run: Path) -> list[str]:
    folder = run / CORRECTIONS
    masks = [path for path in folder.glob("*/*.png") if not path.name.startswith(".")] if folder.is_dir() else []
    if not masks:
        return ["nothing was decided"]
    return [
        f"{len(masks):,} masks: {folder}",
        f"decisions: {folder / 'reviews.csv'}",
        f"next: cuemask segment INPUT --labels {folder} --out DIR; cuemask export coco {run} --corrections --out FILE",
    ]
