"""One rule for every name that becomes a path: a clip's folder, a frame's file.

What is written on one disk is copied to others. So a name has to be storable on all of them, and no two names may be
one on a disk that does not tell capitals from small letters, or composed letters from decomposed ones.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cuemask.errors import InputError, PictureError

MOST_BYTES = 255  # of a name, on all disks that are in use
# What a run's own folder holds, which a clip's folder would stand in the way of.
_OF_A_RUN = frozenset(
    {"run.json", "manifest.csv", "evaluation.json", "model.safetensors", "losses.png", "report.html", "corrections"}
)
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10))})
# Windows has none of the last group. Elsewhere they are common (12:30.mp4) and do no harm.
_SEPARATORS = frozenset("/\\" + ('<>:"|?*' if os.name == "nt" else ""))
_TOLD = 4  # of names that a message lists
_RENAME = "Rename it, or give a copy of another name."


_withheld: dict[Path, str] = {}


def withhold(path: Path, name: str) -> None:
    """Have `path`, which tells who a patient is, called `name` in all that is said of it."""
    _withheld[path] = name


def shown(path: Path) -> str:
    """What a path is called in messages: itself, unless it was withheld."""
    return _withheld.get(path, str(path))


def alike(name: str) -> str:
    """What `name` has in common with all names that some disks take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def told_apart(parts: Sequence[Sequence[str]], given: Sequence[str]) -> list[str]:
    """Names after the last part of each, with as many parts in front as keep them apart.

    Parameters
    ----------
    parts
        Of each the folders above it and what it is called itself, in their order.
    given
        What each was given as.

    Raises
    ------
    InputError
        If two cannot be told apart, or a name could be no folder of a run.
    """
    depths = [1] * len(parts)
    while True:
        names = ["_".join(part[-depth:]) for part, depth in zip(parts, depths, strict=True)]
        shared = {name for name, times in Counter(map(alike, names)).items() if times > 1}
        if not shared:
            break
        deeper = [
            depth + (alike(name) in shared and depth < len(part))
            for name, depth, part in zip(names, depths, parts, strict=True)
        ]
        if deeper == depths:
            both = [told for told, name in zip(given, names, strict=True) if alike(name) in shared]
            more = f" and {len(both) - _TOLD:,} more" if len(both) > _TOLD else ""
            raise InputError(
                f"{' and '.join(both[:_TOLD])}{more}: their results would share one name.",
                "Rename one of them, or segment them in separate runs with an --out of their own.",
            )
        depths = deeper
    for told, name in zip(given, names, strict=True):
        refuse_clip_name(name, told)
    return names


def refuse_clip_name(name: str, source: str) -> None:
    """Refuse a name that no folder of a run can have.

    Parameters
    ----------
    source
        What the clip was given as.

    Raises
    ------
    InputError
        With the reason.
    """
    if alike(name) in _OF_A_RUN:
        flaw = "is what runs call a file of theirs, or a folder"
    elif name.endswith((".", " ")):
        flaw = "ends in a dot or a space, which Windows drops"
    else:
        flaw = _flaw(name, name)
    if flaw is not None:
        raise InputError(f"{source}: the folder of its results would be called {name!r}, which {flaw}.", _RENAME)


def refuse_frame_names(names: Sequence[str], source: str) -> None:
    """Refuse names of frames that no picture can have.

    Raises
    ------
    InputError
        With the reason.
    """
    for name in names:
        flaw = _flaw(name, f"{name}.png")
        if flaw is not None:
            raise InputError(f"{source}: a mask in it would be called {f'{name}.png'!r}, which {flaw}.", _RENAME)


def refuse_shared_stems(paths: Sequence[Path]) -> None:
    """Refuse pictures whose masks would overwrite each other, on some disks at least.

    Raises
    ------
    PictureError
        If two pictures differ only in their endings, in capitals or in the form of their letters.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(alike(path.stem), path)
        if other is path:
            continue
        if other.stem == path.stem:
            what = f"would both be written to {path.stem}.png"
            remedy = f'Give a pattern for one of them, such as "{path.parent}/*{path.suffix}".'
        else:
            what = "have one name on disks that know no capitals, or one form of letters only"
            remedy = "Rename one of them."
        raise PictureError(f"{path.parent}: {other.name} and {path.name} {what}.", remedy)


def _flaw(name: str, written: str) -> str | None:
    """What forbids it, in words."""
    if not name:
        return "is empty"
    if name.startswith("."):
        return "begins with a dot, as hidden files and the folder above do"
    if set(name) & _SEPARATORS or any(unicodedata.category(letter) == "Cc" for letter in name):
        return "holds a character that names of files may not have"
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "is the name of a device on Windows"
    try:
        length = len(written.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    return f"is longer than {MOST_BYTES} bytes" if length > MOST_BYTES else None
