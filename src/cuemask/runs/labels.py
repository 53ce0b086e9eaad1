"""`--labels`: which frames' anchors are replaced by true masks, and where these come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from cuemask.cues.clip import KeptClip
from cuemask.datasets.dataset import Recording, Truth
from cuemask.errors import InputError
from cuemask.learning.supervision import Labels, Supervision
from cuemask.media.clips import Clip
from cuemask.media.frames import Selection, frame_name
from cuemask.media.lookup import sizes_of
from cuemask.media.mask_folders import holds_masks, named_masks
from cuemask.media.masks import instrument, read_mask
from cuemask.runs.classes import class_readers
from cuemask.runs.options import Options

_SHOWN = 5  # names in an error


def supervisions(clips: Sequence[Clip], options: Options) -> list[Supervision]:
    """What is known of each clip before any cue is looked at: labels, and anchors that its data set comes with.

    A video with labels is decoded up to the last of them, since nothing else tells which frames it has.

    Raises
    ------
    InputError
        If labels are wanted and cannot be had, are of frames that the clips have not or that are not selected, or have
        another size than these; if the recipe wants anchors that came with the data and there are none.
    """
    recordings = {} if options.dataset is None else {r.name: r for r in options.dataset.recordings}
    labels = _labels(clips, recordings, options.labels)
    if options.recipe.anchors.source == "given":
        _refuse_without_anchors(clips, recordings)
    return [
        Supervision(of_clip, recordings[clip.name].anchors if clip.name in recordings else None, reader)
        for clip, of_clip, reader in zip(clips, labels, class_readers(clips, labels, options), strict=True)
    ]


def told_of_labels(clips: Sequence[Clip], known: Sequence[Supervision], options: Options) -> dict[str, Any]:
    """What a run's record says of them: nothing where there are none."""
    told: dict[str, Any] = {}
    if options.dataset is not None:
        told["dataset"] = {"name": options.dataset.name, "layout": options.dataset.layout}
    counted = {c.name: len(k.labels.names) for c, k in zip(clips, known, strict=True) if k.labels.names}
    if counted:
        digest = hashlib.sha256()
        for clip, supervision in zip(clips, known, strict=True):
            for name in sorted(supervision.labels.names):
                digest.update(f"{clip.name}/{name}\0".encode())
                if isinstance(options.labels, Path) and holds_masks(options.labels):
                    digest.update(np.packbits(supervision.labels.read(name)).tobytes())
                    if options.recipe.network.classes > 1 and supervision.labels.codes is not None:
                        digest.update(supervision.labels.codes(name).tobytes())
        told["labels"] = {"given": str(options.labels), "frames": counted, "sha256": digest.hexdigest()}
    return told


def labels_met(
    kept: Sequence[KeptClip], known: Sequence[Supervision], met: Sequence[Int64[np.ndarray, " _"]]
) -> tuple[str, dict[str, int]] | None:
    """What a run says of its labels, and how many of each clip's training meets; None without labels.

    Parameters
    ----------
    met
        Of each clip the numbers of the frames that training reads.
    """
    labelled = [known_of.labelled(k) for known_of, k in zip(known, kept, strict=True)]
    if not any(labelled):
        return None
    counts = {
        k.clip.name: len(own.intersection(frames.tolist())) for k, own, frames in zip(kept, labelled, met, strict=True)
    }
    there, frames = sum(map(len, labelled)), sum(len(k.names) for k in kept)
    used = sum(counts.values())
    line = f"labels: {there:,} of {frames:,} frames"
    return line + ("" if used == there else f"; training meets {used:,} of them"), counts


def every_so_many(names: Sequence[str], percent: int) -> list[str]:
    """`percent` of the names, evenly spread and the first among them: of 50 every second one (as MF-TAPNet does)."""
    return [name for i, name in enumerate(names) if i * percent % 100 < percent]


def _labels(clips: Sequence[Clip], recordings: Mapping[str, Recording], wanted: int | Path | None) -> list[Labels]:
    if not wanted:
        return [Labels() for _ in clips]
    if isinstance(wanted, int):
        truths = [_truth(clip, recordings, f"--labels {wanted}") for clip in clips]
        chosen = [every_so_many(_taken(c, t.names), wanted) for c, t in zip(clips, truths, strict=True)]
        labels = [_from_truth(names, truth) for names, truth in zip(chosen, truths, strict=True)]
    else:
        labels = _from_folder(clips, wanted) if holds_masks(wanted) else _listed(clips, recordings, wanted)
        for clip, own in zip(clips, labels, strict=True):
            _refuse_unknown(clip, own.names, _among_frames(clip, own.names), wanted, "are none of its frames taken")
    for clip, own in zip(clips, labels, strict=True):
        _refuse_sizes(clip, own, wanted)
    return labels


def _from_truth(names: Iterable[str], truth: Truth) -> Labels:
    codes = (lambda name: truth.labels(name, "type")) if "type" in truth.kinds else None
    return Labels(frozenset(names), lambda name: truth.labels(name) > 0, codes)


def _truth(clip: Clip, recordings: Mapping[str, Recording], what: str) -> Truth:
    recording = recordings.get(clip.name)
    if recording is None:
        raise InputError(
            f"{what}: nothing tells where the true masks of {clip.source} are.",
            "Name the data set, --dataset NAME --data ROOT, or give a folder of masks, --labels DIR.",
        )
    if recording.truth is None:
        raise InputError(
            f"{what}: {recording.name} is published without true masks.", "Leave it out of --videos, or --labels 0."
        )
    return recording.truth


def _taken(clip: Clip, with_truth: Sequence[str]) -> list[str]:
    """The names of the selected frames that have truth, in order."""
    known = set(with_truth)
    names = clip.names()
    if names is not None:
        return [name for name in names if name in known]
    if clip.selection == Selection(clip.selection.every):  # what has truth is of the video: no need to decode it
        return [name for name in with_truth if int(name) % clip.selection.every == 0]
    taken = _among_frames(clip, with_truth)
    return [name for name in with_truth if name in taken]


def _among_frames(clip: Clip, names: Iterable[str]) -> set[str]:
    """Those of `names` that are of selected frames of the clip."""
    wanted = set(names)
    if (known := clip.names()) is not None:
        return wanted.intersection(known)
    numbers = {int(name) for name in wanted if name.isdecimal() and name == frame_name(int(name))}
    found = set[str]()
    with closing(clip.frames()) as frames:
        while numbers and (frame := next(frames, None)) is not None and frame.index <= max(numbers):
            found |= wanted & {frame.name}
    return found


def _listed(clips: Sequence[Clip], recordings: Mapping[str, Recording], file: Path) -> list[Labels]:
    """Labels of the frames that a text file names, one a line: FRAME, or CLIP/FRAME where there are several clips."""
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--labels {file}: neither a number, a folder or film of masks nor a list of frames ({error}).",
            "Give 0, 50 or 100, a folder of masks, or a text file with one frame's name a line.",
        ) from error
    named = _by_clip(clips, [line for line in lines if line and not line.startswith("#")], file)
    found: list[Labels] = []
    for clip in clips:
        if not named[clip.name]:
            found.append(Labels())
            continue
        truth = _truth(clip, recordings, f"--labels {file}")
        _refuse_unknown(clip, named[clip.name], truth.names, file, "have no true mask")
        found.append(_from_truth(named[clip.name], truth))
    return found


def _from_folder(clips: Sequence[Clip], folder: Path) -> list[Labels]:
    """Labels from a folder of masks, FRAME.png or CLIP/FRAME.png where there are several clips, or from a film."""
    files = dict(named_masks(folder, {".png"}))
    if not files:
        raise InputError(f"--labels {folder}: no .png file in it.", "Give a folder of masks: FRAME.png, 0 and 255.")
    named = _by_clip(clips, files, folder)
    found: list[Labels] = []
    for clip in clips:
        own = {name: files.get(f"{clip.name}/{name}") or files[name] for name in named[clip.name]}
        found.append(
            Labels(
                frozenset(own),
                lambda name, own=own: instrument(own[name], read_mask(own[name])),
                lambda name, own=own: read_mask(own[name]),
            )
        )
    return found


def _by_clip(clips: Sequence[Clip], names: Iterable[str], place: Path) -> dict[str, list[str]]:
    """Names of frames by their clips."""
    by_clip: dict[str, list[str]] = {clip.name: [] for clip in clips}
    for name in names:
        clip, slash, frame = name.rpartition("/")
        if not slash and len(clips) == 1:
            clip = clips[0].name
        if clip not in by_clip:
            what = f"the clip {clip}" if slash else f"{frame}, without its clip"
            raise InputError(
                f"--labels {place}: {what}; there are {', '.join(by_clip)}.",
                f"Name each frame with its clip: {clips[0].name}/{frame}",
            )
        by_clip[clip].append(frame)
    return by_clip


def _refuse_unknown(clip: Clip, names: Iterable[str], known: Iterable[str], place: Path, why: str) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise InputError(
            f"--labels {place}: of {clip.name}, {', '.join(unknown[:_SHOWN])}{more} {why}.",
            "Name labels after their frames"
            + (", frames of a video by six digits (000012)," if clip.kind == "video" else ",")
            + " and take these frames with --every, --start and --end.",
        )


def _refuse_sizes(clip: Clip, labels: Labels, place: int | Path) -> None:
    sizes = sizes_of(clip, labels.names)
    for name in sorted(labels.names):
        height, width = labels.read(name).shape
        if (height, width) != sizes[name]:
            raise InputError(
                f"--labels {place}: the label of {clip.name}, {name}, is {width}x{height} pixels, its frame "
                f"{sizes[name][1]}x{sizes[name][0]}.",
                "Give masks of the frames' own size.",
            )


def _refuse_without_anchors(clips: Sequence[Clip], recordings: Mapping[str, Recording]) -> None:
    for clip in clips:
        recording = recordings.get(clip.name)
        names = clip.names()
        given = None if recording is None else recording.anchors
        if given is None or names is None:
            raise InputError(
                f"{clip.name}: came without anchors, and the recipe wants those.", "Set anchors.source=cues"
            )
        missing = [n for n in names if n not in given.positive or n not in given.negative]
        if missing:
            raise InputError(
                f"{clip.name}: came without anchors of {len(missing)} frames, such as {missing[0]}.",
                "Complete the data set, or set anchors.source=cues",
            )
