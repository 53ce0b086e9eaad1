"""Clips: what the user names on the command line, as streams of frames.

An input is a video, a folder of pictures, a single picture or a quoted pattern. Each becomes a clip of its
own, named after it; single pictures are gathered into one clip a folder.
"""

from __future__ import annotations

import glob
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from cuemask.errors import InputError, PictureError
from cuemask.media import missing
from cuemask.media.beside import without_masks
from cuemask.media.decoding import OpenVideo
from cuemask.media.dicom import header_of, is_dicom, read_instance
from cuemask.media.dicom_files import DIRECTORY, DicomClip, dicom_clips, dicom_in, files_of_directory
from cuemask.media.dicom_pixels import DEFAULT_RATE, dicom_frames, frames_rgb, selected_frames
from cuemask.media.files import refuse_special
from cuemask.media.frames import Frame, Selection, frame_name
from cuemask.media.names import refuse_clip_name, refuse_frame_names, refuse_shared_stems, shown, told_apart
from cuemask.media.pictures import (
    PICTURES_PER_SECOND,
    composed,
    is_picture,
    mixed_sizes,
    natural_order,
    picture_frames,
    read_ahead,
    read_picture,
    refuse_few_bits,
    selected_pictures,
)
from cuemask.media.stores import StoredPath, place_of
from cuemask.media.tracks import other_tracks
from cuemask.media.video import sample_video, video_frames

__all__ = ["Clip", "Frame", "Selection", "open_clips"]

log = logging.getLogger(__name__)

Kind = Literal["video", "pictures", "frames"]

ALL_FRAMES = Selection()


@dataclass(frozen=True)
class ClipFiles:
    """A clip put together by a caller who knows what it is called, such as a recording of a data set.

    Attributes
    ----------
    name
        What its results are named after: a folder's name.
    paths
        One video, or pictures in their order.
    frame_names
        Of pictures whose stems are not their names; else empty.
    sizes_vary
        Whether its pictures may differ in size; each is then taken whole.

    Raises
    ------
    InputError
        If there are no files, or a name would not be that of one file in one folder.
    """

    name: str
    paths: tuple[Path, ...]
    frame_names: tuple[str, ...] = ()
    sizes_vary: bool = False

    def __post_init__(self) -> None:
        if not self.paths:
            raise InputError(f"{self.name}: has no files.", "Give at least one video or picture.")
        if self.frame_names and len(self.frame_names) != len(self.paths):
            raise ValueError(f"{len(self.frame_names)} names for {len(self.paths)} pictures")
        refuse_clip_name(self.name, self.name)
        refuse_frame_names(self.frame_names, self.name)


@dataclass(frozen=True)
class Clip:
    """One source of frames that share one size.

    Attributes
    ----------
    name
        What its results are named after; unique among the clips opened together.
    source
        The input as it was given; several single pictures: their folder.
    paths
        The video, or the pictures in natural order (all of them, selected or not).
    kind
        "video", "pictures", or "frames" of a DICOM image that has several.
    height_px, width_px
        Size of its first selected frame, as decoded.
    frame_rate
        Exact rate at which a video of the selected frames plays, in frames per second. Pictures count
        as `pictures.PICTURES_PER_SECOND`.
    frame_count
        Number of selected frames: exact for pictures; what the header promises for videos, an estimate
        for progress bars; or None.
    selection
        Which frames are taken.
    frame_names
        Of the pictures, where their stems are not their names; else empty.
    sizes_vary
        Whether its pictures may differ in size.
    pixel_aspect
        Width of a pixel over its height.
    lost
        Numbers of the selected frames that could not be decoded, as far as the clip has been streamed to its end.
    damaged
        Likewise of those that may be wrong: parts of them could not be decoded, or they go on from one that is lost.
    """

    name: str
    source: str
    paths: tuple[Path, ...]
    kind: Kind
    height_px: int
    width_px: int
    frame_rate: Fraction
    frame_count: int | None
    selection: Selection = field(default_factory=Selection)
    frame_names: tuple[str, ...] = ()
    sizes_vary: bool = False
    pixel_aspect: Fraction = Fraction(1)
    lost: set[int] = field(default_factory=set[int], compare=False, repr=False)
    damaged: set[int] = field(default_factory=set[int], compare=False, repr=False)

    def frames(self) -> Generator[Frame, None, None]:
        """Stream the selected frames, decoded anew at each call and held by nobody.

        Raises
        ------
        VideoError, PictureError
            If a frame cannot be read. A video that breaks off ends there with a logged warning; frames of a video
            that cannot be decoded are left out, with a logged warning, and the others keep their numbers.
        """
        if self.kind == "video":
            return video_frames(self.paths[0], self.selection, self.lost, self.damaged)
        if self.kind == "frames":
            return dicom_frames(self.paths[0], self.selection)
        return picture_frames(self.paths, self.selection, self.frame_names, sizes_vary=self.sizes_vary)

    def names(self) -> list[str] | None:
        """Names of the selected frames, in order; None of a video, which has to be decoded to be counted."""
        if self.kind == "video":
            return None
        if self.kind == "frames":
            return [frame_name(index) for index in selected_frames(read_instance(self.paths[0]), self.selection)]
        taken = selected_pictures(self.paths, self.selection)
        return [self.frame_names[index] if self.frame_names else composed(path.stem) for index, path in taken]

    def sample(self, count: int = 16) -> Generator[UInt8[np.ndarray, "H W 3"], None, None]:
        """Yield about `count` frames spread over the selection; long videos are not decoded whole.

        Raises
        ------
        VideoError, PictureError
            If a frame cannot be read.
        """
        if self.kind == "pictures":
            paths = [path for _, path in selected_pictures(self.paths, self.selection)]
            places = np.unique(np.linspace(0, len(paths) - 1, count).astype(int))
            return read_ahead([paths[place] for place in places])
        if self.kind == "frames":
            instance = read_instance(self.paths[0])
            selected = np.array(selected_frames(instance, self.selection))
            places = np.unique(np.linspace(0, len(selected) - 1, count).astype(int))
            return frames_rgb(instance, selected[places].tolist())
        return sample_video(self.paths[0], self.selection, count, self.lost, self.damaged)

    def sha256(self) -> str:
        """Hash the content: the video's bytes, or the names and bytes of the pictures; on a store its version."""
        digest = hashlib.sha256()
        for number, path in enumerate(self.paths):
            if isinstance(path, StoredPath):
                return path.version()
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
            if self.kind != "pictures":
                return content.hexdigest()
            # A hash of fixed length each, so that no two lists of pictures run into the same bytes.
            name = self.frame_names[number] if self.frame_names else path.name
            digest.update(name.encode() + b"\0" + content.digest())
        return digest.hexdigest()


@dataclass(frozen=True)
class _Source:
    """An input before it is opened."""

    given: str
    kind: Kind
    paths: tuple[Path, ...]
    place: Path  # what the clip is named after: the video, or the pictures' folder
    files: ClipFiles | None = None  # where the caller knows better
    label: str = ""  # where it is not called after the file or folder at `place`
    frame_names: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[Path, ...]:
        return tuple(path.parent.resolve() / path.name for path in self.paths)


def open_clips(
    inputs: Sequence[str | Path | ClipFiles],
    selection: Selection = ALL_FRAMES,
    drawn: Callable[[int], Sequence[int]] | None = None,
) -> list[Clip]:
    """Open videos, folders of pictures, pictures and patterns; the first frame of each is decoded.

    Parameters
    ----------
    inputs
        Paths, or patterns such as "case1/*_endo.png". `**` stands for any number of folders. Clips put together
        before keep their names.
    selection
        Which frames of each are taken.
    drawn
        Which of so many clips are opened, by their numbers; None opens all. The others have to be there, no more.

    Returns
    -------
    list of Clip
        In the order given, with unique names: inputs that would share a name get their parent folder's
        in front (`case1_frames`, `case2_frames`).

    Raises
    ------
    InputError
        If an input is missing, given twice, or holds nothing that can be read.
    VideoError, PictureError
        If a video or picture cannot be decoded, or the pictures of a clip do not fit together.
    """
    sources = _gather_single_pictures([source for given in _dicom_together(inputs) for source in given])
    if not sources:
        raise InputError("No input was given.", "Give a video, a folder of pictures or a pattern.")
    _refuse_repeats(sources)
    names = _unique_names(sources)
    numbers = range(len(sources)) if drawn is None else drawn(len(sources))
    return [_open(sources[number], names[number], selection) for number in numbers]


def _dicom_together(inputs: Sequence[str | Path | ClipFiles]) -> list[list[_Source]]:
    """The sources of each input; DICOM files that are named one by one are sorted into series, at the first's place."""
    files = [place_of(given) for given in inputs if not isinstance(given, ClipFiles) and _is_dicom_file(given)]
    sources: list[list[_Source]] = []
    for given in inputs:
        if isinstance(given, ClipFiles) or place_of(given) not in files:
            sources.append(_sources(given))
        elif place_of(given) == files[0]:
            repeated = [path for path, times in Counter(files).items() if times > 1]
            if repeated:
                raise InputError("The same DICOM file is given twice.", "Give every input once.")
            sources.append(_of_dicom(dicom_clips(files, str(given))))
    return sources


def _is_dicom_file(given: str | Path) -> bool:
    path = place_of(given)
    with suppress(OSError):  # told of where it is opened
        return path.is_file() and is_dicom(path) and path.name.upper() != DIRECTORY
    return False


def _open(source: _Source, name: str, selection: Selection) -> Clip:
    names, sizes_vary = source.frame_names, False
    if source.files is not None:
        names, sizes_vary = source.files.frame_names, source.files.sizes_vary
    if source.kind == "pictures":
        if not names:
            refuse_shared_stems(source.paths)
            refuse_frame_names([path.stem for path in source.paths], source.given)
        selected = selected_pictures(source.paths, selection)
        refuse_few_bits([path for _, path in selected if not is_dicom(path)])
        rate, aspect, count = PICTURES_PER_SECOND, Fraction(1), len(selected)
    elif source.kind == "frames":
        instance = read_instance(source.paths[0])
        rate, aspect, count = instance.rate or DEFAULT_RATE, Fraction(1), len(selected_frames(instance, selection))
    else:
        with OpenVideo(source.paths[0]) as video:
            rate, aspect, promised = video.frame_rate, video.pixel_aspect(), video.frame_count
            if told := video.contradictions():
                log.warning("%s: its DICOM header says %s; the stream counts.", shown(source.paths[0]), ", ".join(told))
        if (others := other_tracks(source.paths[0])) is not None:
            log.warning("%s", others)
        count = None if promised is None else selection.estimate(promised, rate)
    clip = Clip(
        name,
        source.given,
        source.paths,
        source.kind,
        0,
        0,
        selection.rate(rate),
        count,
        selection,
        names,
        sizes_vary,
    )
    with closing(clip.frames()) as frames:
        first = next(frames)
    if source.kind == "pictures" and not sizes_vary:
        _compare_last_picture(source.paths, selection, first)
    if source.kind != "video" and (header := header_of(source.paths[first.index if len(source.paths) > 1 else 0])):
        size = first.rgb.shape[1], first.rgb.shape[0]
        if (header.width_px, header.height_px) != size:
            log.warning(
                "%s: its DICOM header says %dx%d pixels and not %dx%d; the picture counts.",
                shown(header.path),
                header.width_px,
                header.height_px,
                *size,
            )
    return replace(clip, height_px=first.rgb.shape[0], width_px=first.rgb.shape[1], pixel_aspect=aspect)


def _compare_last_picture(paths: Sequence[Path], selection: Selection, first: Frame) -> None:
    """Refuse at once what most mixed folders show: two recordings one after the other."""
    selected = [path for _, path in selected_pictures(paths, selection)]
    last_rgb = read_picture(selected[-1])
    if last_rgb.shape != first.rgb.shape:
        raise mixed_sizes(selected[0], first.rgb.shape, selected[-1], last_rgb.shape)


def _sources(told: str | Path | ClipFiles) -> list[_Source]:
    if isinstance(told, ClipFiles):
        kind: Kind = "pictures" if all(is_picture(path) for path in told.paths) else "video"
        return [_Source(told.name, kind, told.paths, Path(told.name), told)]
    given, path = str(told), place_of(told)
    if not given:
        raise InputError("An input is the empty word.", "Give a video, a folder of pictures or a pattern.")
    try:
        if path.is_dir():
            return _sources_of_folder(given, path)
        if path.exists():
            refuse_special(path)
            if is_dicom(path):
                return _of_dicom(dicom_clips(files_of_directory(path), given, path.resolve().parent))
            return [_Source(given, "pictures" if is_picture(path) else "video", (path,), path)]
    except PermissionError as error:
        raise InputError(f"{path}: may not be looked at.", f"Run: chmod u+rx {path.parent}") from error
    except OSError as error:
        raise InputError(f"{given}: cannot be opened ({error.strerror}).", "Give a path that exists.") from error
    if glob.has_magic(given):
        return _sources_of_pattern(given)
    raise missing.absent(given)


def _of_dicom(clips: Sequence[DicomClip]) -> list[_Source]:
    return [
        _Source(clip.given, clip.kind, clip.paths, clip.place, label=clip.place.name, frame_names=clip.frame_names)
        for clip in clips
    ]


def _sources_of_folder(given: str, folder: Path) -> list[_Source]:
    """The pictures in a folder, or the clips that its DICOM files make."""
    try:
        entries = natural_order(folder.iterdir())
    except PermissionError as error:
        raise InputError(f"{folder}: may not be read.", f"Run: chmod u+rx {folder}") from error
    missing.refuse_dangling(entries)
    pictures = [path for path in entries if is_picture(path) and path.is_file()]
    dicom = dicom_in(folder, [path for path in entries if not is_picture(path)])
    if pictures and dicom:
        raise InputError(
            f"{folder}: holds pictures and DICOM files, {len(pictures)} and {len(dicom)}.",
            "Say which: give a pattern of the ones that you mean, or a folder for each.",
        )
    if not pictures and not dicom:
        raise missing.no_pictures(folder, entries)
    if dicom:
        return _of_dicom(dicom_clips(dicom, given, folder))
    return [_Source(given, "pictures", tuple(without_masks(pictures)), folder)]


def _sources_of_pattern(pattern: str) -> list[_Source]:
    """Pictures, one source a folder; or, where the pattern matches none, its videos and folders."""
    matches = glob.glob(missing.with_real_folders(pattern), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute patterns)
    found = natural_order(Path(match) for match in matches)
    missing.refuse_dangling(found)
    pictures = [path for path in found if is_picture(path) and path.is_file()]
    if pictures:
        folders = dict.fromkeys(path.parent for path in pictures)
        return [
            _Source(pattern, "pictures", tuple(without_masks([p for p in pictures if p.parent == folder])), folder)
            for folder in folders
        ]
    dicom = [path for path in found if path.is_file() and is_dicom(path) and path.name.upper() != DIRECTORY]
    if dicom:
        return _of_dicom(dicom_clips(dicom, pattern))
    if not found:
        raise missing.nothing_matches(pattern)
    return [source for path in found for source in _sources(str(path))]


def _gather_single_pictures(sources: list[_Source]) -> list[_Source]:
    """Make one source a folder of pictures that were named one by one, at the place of the first."""
    gathered: list[_Source] = []
    of_folder: dict[Path, list[Path]] = {}
    for source in sources:
        if source.kind != "pictures" or source.place not in source.paths:
            gathered.append(source)
            continue
        folder = source.place.parent
        if folder not in of_folder:
            gathered.append(_Source(str(folder), "pictures", (), folder))
        of_folder.setdefault(folder, []).append(source.place)
    return [
        source if source.paths else replace(source, paths=_each_once(of_folder[source.place])) for source in gathered
    ]


def _each_once(pictures: list[Path]) -> tuple[Path, ...]:
    for path, times in Counter(pictures).items():
        if times > 1:
            raise PictureError(f"{path}: given {times} times.", "Give every picture once.")
    return tuple(natural_order(pictures))


def _refuse_repeats(sources: list[_Source]) -> None:
    seen: dict[tuple[Path, ...], _Source] = {}
    for source in sources:
        other = seen.setdefault(source.content, source)
        if other is not source:
            both = f"{other.given} and {source.given}" if other.given != source.given else source.given
            raise InputError(f"{both}: the same input is given twice.", "Give every input once.")


def _unique_names(sources: list[_Source]) -> list[str]:
    """Name sources after their last folder or file, with as many folders in front as keeps them apart."""
    return told_apart([_name_parts(source) for source in sources], [source.given for source in sources])


def _name_parts(source: _Source) -> list[str]:
    if source.files is not None:
        return [source.files.name]
    # A link keeps its own name: many may lead to one file, or to files that a store named by their content.
    has_name = source.place.name not in ("", "..")
    place = source.place.parent.resolve() / source.place.name if has_name else source.place.resolve()
    if source.label:
        return [part for part in (*place.parts[1:-1], source.label) if part]
    return [part for part in (*place.parts[1:-1], place.stem if source.kind == "video" else place.name) if part]
