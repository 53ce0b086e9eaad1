from __future__ import annotations

from pathlib import Path

import pytest

from cuemask.media.seals import is_sealed, seal

FILES = ("a.npy", "b.json")


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(f"what {name} holds")
    seal(tmp_path, "x.seal", FILES)
    return tmp_path


def test_what_is_as_it_was_is_sealed(sealed: Path) -> None:
    assert is_sealed(sealed, "x.seal", FILES)
    assert not is_sealed(sealed, "y.seal", FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changed_or_went_is_named(sealed: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray((sealed / name).read_bytes())
    data[3] ^= 1
    (sealed / name).write_bytes(data)
    assert not is_sealed(sealed, "x.seal", FILES)
    assert name in caplog.text
    (sealed / name).unlink()
    assert not is_sealed(sealed, "x.seal", FILES)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 5000, b"\xff", b'{"a.npy": 1}', b'{"a.npy": 1, "b.json": 2}'])
def test_a_damaged_seal_seals_nothing(sealed: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (sealed / "x.seal").write_bytes(content)
    assert not is_sealed(sealed, "x.seal", FILES)
    assert caplog.text
