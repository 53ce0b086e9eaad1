from __future__ import annotations

from pathlib import Path

import pytest

from cuemask.errors import InputError
from cuemask.studies.videos import videos_of


def listed(folder: Path, *lines: str, known: dict[str, str] | None = None) -> list[tuple[str, str]]:
    manifest = folder / "list.txt"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    return [(video.name, video.source) for video in videos_of(manifest, known)]


def test_a_manifest_has_a_path_a_line_from_its_own_folder_on_and_perhaps_a_name(tmp_path: Path) -> None:
    found = listed(tmp_path, "# archive", "", "a/op.mp4", "b/op.mp4", "case 7\tc/x, y.mkv", "/far/op3.mp4")
    assert found == [
        ("a_op", str(tmp_path / "a/op.mp4")),
        ("b_op", str(tmp_path / "b/op.mp4")),
        ("case 7", str(tmp_path / "c/x, y.mkv")),
        ("op3", "/far/op3.mp4"),
    ]


def test_names_that_are_known_stay_when_others_come_that_would_have_got_them(tmp_path: Path) -> None:
    known = {str(tmp_path / "b/op.mp4"): "op"}
    assert [name for name, _ in listed(tmp_path, "a/op.mp4", "b/op.mp4", known=known)] == ["a_op", "op"]


def test_a_folder_gives_videos_and_folders_of_pictures_but_no_results_of_ours(tmp_path: Path) -> None:
    for name in ("op10.mp4", "op2.MOV", "notes.txt", ".hidden.mp4", "day/1/f.png", "run/run.json", "run/a/overlay.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    found = videos_of(tmp_path)
    assert [(video.name, video.bytes) for video in found] == [("op2", 5), ("op10", 5), ("1", None)]
    assert found[2].source == str(tmp_path / "day" / "1")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["# none"], "no video in it"),
        (["a.mp4", "./a.mp4"], "in it twice"),
        (["x\ta.mp4", "x\tb.mp4"], "share one name"),
        (["run.json\ta.mp4"], "what runs call a file"),
        ([".mp4"], "begins with a dot"),
    ],
)
def test_a_listing_that_cannot_be_is_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        listed(tmp_path, *lines)


def test_a_listing_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no list of videos"):
        videos_of(tmp_path / "video.mp4")
