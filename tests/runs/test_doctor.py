from __future__ import annotations

import cv2
import pytest

from cuemask.runs import doctor as looks
from cuemask.runs.doctor import doctor, table


def test_what_is_missing_is_told_with_what_to_install(monkeypatch):
    there = looks.find_spec
    monkeypatch.setattr(looks, "find_spec", lambda name: None if name in ("torch", "pydicom") else there(name))
    found = {one.what: one for one in doctor()}
    assert found["without torch"].remedy == "Run: pip install 'cuemask[train]'"
    assert "DICOM" in found["without pydicom"].found
    assert "torch" not in found
    assert "-> Run: pip install 'cuemask[dicom]'" in table(list(found.values()))


def test_an_opencv_without_its_contrib_modules_is_told(monkeypatch):
    monkeypatch.delattr(cv2, "ximgproc")
    assert "contrib" in next(one for one in doctor() if one.what == "opencv").remedy


@pytest.mark.parametrize(("free", "is_full"), [(1e9, True), (1e11, False)])
def test_little_space_is_told(monkeypatch, free, is_full):
    monkeypatch.setattr(looks.shutil, "disk_usage", lambda place: type("Usage", (), {"free": free}))
    assert bool(next(one for one in doctor() if one.what == "disk").remedy) == is_full
