"""What a run notes of itself: when, with what, and what it wrote; and whether that still stands."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cuemask
from cuemask.cli import main
from cuemask.errors import InputError
from cuemask.media.masks import write_mask
from cuemask.runs import provenance
from cuemask.runs.grouping import GroupOptions, group
from cuemask.runs.manifest import entries_in, files_of, side_by_side, write_manifest
from cuemask.runs.verifying import verify


@pytest.fixture(scope="module")
def made(phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without learning, with all that it may write."""
    out = tmp_path_factory.mktemp("made") / "run"
    cuemask.predict("drawn", phantom.video, out=out, save_probability=True)
    return out


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_the_record_tells_times_libraries_source_and_manifest(made: Path) -> None:
    record = json.loads((made / "run.json").read_text())
    assert record["started"] <= record["ended"]
    assert {"python", "numpy", "torch", "click", "markupsafe"} <= record["versions"].keys(), (
        "required by what we require"
    )
    assert "pytest" not in record["versions"], "of developers only"
    lines = (made / "manifest.csv").read_text().splitlines()
    assert lines[0] == "path,bytes,sha256"
    told = {name: (int(size), digest) for name, size, digest in (line.split(",") for line in lines[1:])}
    assert told == {
        path.relative_to(made).as_posix(): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in made.rglob("*")
        if path.is_file() and path.name not in ("run.json", "manifest.csv", "report.html")
    }
    assert record["manifest"] == {
        "files": len(told),
        "bytes": sum(size for size, _ in told.values()),
        "sha256": hashlib.sha256((made / "manifest.csv").read_bytes()).hexdigest(),
    }


def test_the_same_run_gives_the_same_bytes(made: Path, phantom, tmp_path: Path) -> None:
    cuemask.predict("drawn", phantom.video, out=tmp_path / "again", save_probability=True)
    assert (tmp_path / "again" / "manifest.csv").read_bytes() == (made / "manifest.csv").read_bytes()


def test_changed_missing_and_added_files_are_told_with_exit_code_1(run: Path) -> None:
    assert CliRunner().invoke(main, ["verify", str(run)]).exit_code == 0
    write_mask(run / "clip" / "masks" / "000003.png", np.ones((96, 128), np.bool_))
    flipped = bytearray((run / "clip" / "confidence.csv").read_bytes())
    flipped[-3] ^= 1  # of the same size
    (run / "clip" / "confidence.csv").write_bytes(flipped)
    (run / "clip" / "masks" / "000005.png").unlink()
    (run / "clip" / "masks" / "000099.png").touch()
    (run / "a").mkdir()
    (run / "a" / "note.txt").touch()
    found = verify(run)
    assert found.changed == ("clip/confidence.csv", "clip/masks/000003.png")
    assert found.missing == ("clip/masks/000005.png",)
    assert found.added == ("a/note.txt", "clip/masks/000099.png")
    told = CliRunner().invoke(main, ["verify", str(run)])
    assert told.exit_code == 1
    assert "missing clip/masks/000005.png\n" in told.output
    assert told.output.endswith("bytes: 2 changed, 1 missing, 2 added\n")
    assert json.loads(CliRunner().invoke(main, ["verify", str(run / "clip"), "--json"]).output)["holds"] is False
    assert CliRunner().invoke(main, ["verify", str(run), "--quiet"]).output == ""


def test_reviews_evaluations_and_reports_are_no_difference(run: Path, phantom) -> None:
    cuemask.evaluate(run, phantom.masks)
    cuemask.evaluate(run / "clip", phantom.masks)
    cuemask.report(run)
    (run / "corrections" / "clip").mkdir(parents=True)
    (run / "corrections" / "clip" / "000001.png").touch()
    (run / ".hidden").touch()
    assert verify(run).holds


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_manifest_that_is_not_as_written_is_told_and_not_believed(run: Path, damage: str) -> None:
    if damage == "missing":
        (run / "manifest.csv").unlink()
    else:
        (run / "manifest.csv").write_text((run / "manifest.csv").read_text().replace("000003.png", "000033.png"))
    found = verify(run)
    assert getattr(found, damage) == ("manifest.csv",)
    assert len([*found.changed, *found.missing, *found.added]) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [({"status": "running"}, "not come to its end"), ({"manifest": None}, "kept no manifest"), (None, "holds no run")],
)
def test_where_nobody_can_tell_the_exit_code_is_2(run: Path, change: dict[str, object] | None, says: str) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").unlink() if change is None else (run / "run.json").write_text(json.dumps(record | change))
    with pytest.raises(InputError, match=says):
        verify(run)
    assert CliRunner().invoke(main, ["verify", str(run)]).exit_code == 2


def test_a_run_made_whole_again_keeps_what_it_noted_first(run: Path, phantom) -> None:
    before = json.loads((run / "run.json").read_text())
    manifest = (run / "manifest.csv").read_bytes()
    write_mask(run / "clip" / "masks" / "000003.png", np.ones((96, 128), np.bool_))  # changed by hand
    (run / "clip" / "masks" / "000005.png").unlink()
    cuemask.predict("drawn", phantom.video, out=run, save_probability=True, resume=True, overlay=False)
    after = json.loads((run / "run.json").read_text())
    assert (run / "manifest.csv").read_bytes() == manifest
    assert after["started"] == before["started"]
    assert "clip/masks/000003.png" in verify(run).changed
    assert verify(run).missing == ()


def test_a_run_resumed_with_more_takes_in_what_it_made(phantom, tmp_path: Path) -> None:
    out = tmp_path / "run"
    cuemask.predict("drawn", phantom.video, out=out, overlay=False)
    cuemask.predict("drawn", phantom.video, out=out, overlay=False, save_probability=True, resume=True)
    assert verify(out).holds
    assert any("probability" in entry.path for entry in entries_in(out / "manifest.csv"))


def test_names_that_csv_and_sorting_trip_over(tmp_path: Path) -> None:
    for name in ('a,"b', "a-b/x", "a/x", "a b/x", "a!", "ä/x", "B/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    told = write_manifest(tmp_path)
    assert told["files"] == 7
    pairs = list(side_by_side(entries_in(tmp_path / "manifest.csv"), files_of(tmp_path)))
    assert all(entry is not None and is_there for _, entry, is_there in pairs)
    assert len(pairs) == 7


def test_the_commit_is_that_of_our_own_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        known = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *known, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    if shutil.which("git") is None:
        pytest.skip("no git")
    package = tmp_path / "site" / "cuemask"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "other").touch()
    git("init", "-q")
    git("add", "other")
    git("commit", "-qm", "somebody's")
    monkeypatch.setattr(provenance.cuemask, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(provenance.metadata, "distribution", _absent)
    assert provenance.source.__wrapped__() is None, "the package lies in the checkout and is not of it"
    git("add", ".")
    git("commit", "-qm", "ours")
    assert provenance.source.__wrapped__() == {"commit": git("rev-parse", "HEAD"), "changed": False}
    (package / "__init__.py").write_text("x = 1\n")
    assert provenance.source.__wrapped__()["changed"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.source.__wrapped__() is None, "no git there"


def _absent(name: str) -> None:
    raise provenance.metadata.PackageNotFoundError(name)


def test_libraries_are_told_by_whatever_notes_of_them_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("one.dist-info/METADATA", "two.egg-info/PKG-INFO"):
        name = place[:3]
        (tmp_path / place).parent.mkdir()
        lines = (
            f"Name: {name}",
            "Version: 1.5",
            "Requires-Dist: A_b.c>=2",
            "Requires-Dist: x; extra == 'y'",
            "",
            "Version: 9",
        )
        (tmp_path / place).write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("one", "two"):
        assert provenance._told.__wrapped__(name) == ("1.5", ("a-b-c",))


def test_what_group_writes_later_counts_as_written_and_what_others_change_does_not(run: Path, phantom) -> None:
    (mask, *_) = sorted((run / "clip" / "masks").glob("*.png"))
    group(run, [phantom.video], GroupOptions(parts=True))
    assert verify(run).holds
    mask.write_bytes(b"another")
    (run / "clip" / "instances" / mask.name).unlink()
    group_again = verify(run)
    assert group_again.changed == (f"clip/masks/{mask.name}",)
    assert group_again.missing == (f"clip/instances/{mask.name}",)
