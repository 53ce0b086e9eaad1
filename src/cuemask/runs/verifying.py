"""`cuemask verify`: whether the files of a run still are those that it wrote."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cuemask.errors import InputError
from cuemask.media.files import sha256
from cuemask.runs.manifest import MANIFEST, entries_in, files_of, side_by_side
from cuemask.runs.record import read_record, run_of


@dataclass(frozen=True)
class Verification:
    """How the files of a run differ from those that it wrote.

    Attributes
    ----------
    files, bytes
        That the run wrote.
    changed, missing, added
        Paths in the run's folder, in order.
    """

    files: int
    bytes: int
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not (self.changed or self.missing or self.added)

    def table(self) -> str:
        """A line a file that differs, and a line for all."""
        kinds = {"changed": self.changed, "missing": self.missing, "added": self.added}
        lines = [f"{kind:8}{path}" for kind, paths in kinds.items() for path in paths]
        told = ", ".join(f"{len(paths)} {kind}" for kind, paths in kinds.items() if paths)
        written = f"{self.files:,} {'file' if self.files == 1 else 'files'}, {self.bytes:,} bytes"
        return "\n".join([*lines, f"{written}: {told or 'all as they were written'}"])

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"holds": self.holds, **asdict(self)}


def verify(run: Path) -> Verification:
    """Whether the files of a run are those that it wrote. What reviews, evaluations and reports add is no difference.

    Parameters
    ----------
    run
        The folder of a complete run, or of one of its clips, which stands for the run.

    Raises
    ------
    InputError
        If it holds no run, one that has not come to its end, or one of a version that wrote no manifest.
    """
    folder = run_of(run)
    record = read_record(folder / "run.json")
    if record is None:
        raise InputError(f"{run}: holds no run.", "Make one first: cuemask segment VIDEO --out DIR")
    if record.get("status") != "complete":
        raise InputError(f"{run}: the run has not come to its end.", "Go on with it: the same command with --resume.")
    told = record.get("manifest")
    if not isinstance(told, dict) or "sha256" not in told:
        raise InputError(f"{run}: was made by a version that kept no manifest.", "Run it again to have one.")
    counts = int(told.get("files", 0)), int(told.get("bytes", 0))
    path = folder / MANIFEST
    if not path.is_file():
        return Verification(*counts, missing=(MANIFEST,))
    if sha256(path) != told["sha256"]:  # what it says of the others is worth nothing
        return Verification(*counts, changed=(MANIFEST,))
    changed, missing, added = list[str](), list[str](), list[str]()
    for name, entry, is_there in side_by_side(entries_in(path), files_of(folder)):
        if entry is None:
            added.append(name)
        elif not is_there:
            missing.append(name)
        elif (folder / name).stat().st_size != entry.bytes or sha256(folder / name) != entry.sha256:
            changed.append(name)
    return Verification(*counts, tuple(changed), tuple(missing), tuple(added))
