"""What a run was made with: every library's version, and the commit of cuemask's own source."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import cuemask

OF_NOTE = ("python", "torch", "numpy", "opencv-contrib-python-headless", "av", "safetensors")  # what reports show
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OF_DEVELOPERS = re.compile(r"extra == ['\"]dev['\"]").search
_GIT_SECONDS = 5


@lru_cache
def versions() -> dict[str, str]:
    """Python and all that cuemask depends on, directly or not, as far as it is installed; `OF_NOTE` first."""
    installed, waiting = dict[str, str](), [*OF_NOTE[1:], *_told("cuemask").requires]
    while waiting:
        name = waiting.pop()
        told = _told(name)
        if told.version and name not in installed:
            installed[name] = told.version
            waiting += told.requires
    found = {"python": platform.python_version()} | {name: installed.pop(name, "absent") for name in OF_NOTE[1:]}
    return found | dict(sorted(installed.items()))


@lru_cache
def source() -> dict[str, Any] | None:
    """The `commit` of cuemask's source and whether its files were `changed` since; None where nothing tells it.

    Told by the git checkout that the package lies in, or by what pip noted of where it was installed from.
    """
    folder = Path(cuemask.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    # A package that merely lies in somebody's checkout, in a virtual environment say, is not of that commit.
    if commit and _git(folder, "ls-files", "--", Path(cuemask.__file__).name):
        return {"commit": commit, "changed": _git(folder, "status", "--porcelain", "--", ".") != ""}
    try:
        noted = json.loads(metadata.distribution("cuemask").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    commit = noted.get("vcs_info", {}).get("commit_id")
    return {"commit": commit, "changed": False} if commit else None


class _Told(NamedTuple):
    """What a distribution says of itself; nothing where it is not installed."""

    version: str = ""
    requires: tuple[str, ...] = ()


@lru_cache
def _told(name: str) -> _Told:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return _Told()
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""  # the latter where only a build left it
    header = text.partition("\n\n")[0]
    lines = re.findall(r"^Requires-Dist: (.+)$", header, re.MULTILINE)
    # Of others' extras nobody knows whether they were asked for, of our own all but those of developers may be.
    wanted = [line for line in lines if "extra ==" not in line or (name == "cuemask" and not _OF_DEVELOPERS(line))]
    names = tuple(re.sub(r"[-_.]+", "-", match.group()).lower() for line in wanted if (match := _NAME.match(line)))
    return _Told("".join(re.findall(r"^Version: (.+)$", header, re.MULTILINE)[:1]), names)


def _git(folder: Path, *words: str) -> str | None:
    """What git says, or None where it is absent, slow, or knows no checkout there."""
    command = ["git", "-C", str(folder), "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
