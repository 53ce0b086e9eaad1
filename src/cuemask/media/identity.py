"""Who a DICOM file is of, as words that must stand in no name, message or record of ours."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

_TOLD_BY = ("PatientID", "PatientBirthDate")
_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName")
# What stands there where nobody is named.
_NOBODY = frozenset({"anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "patient", "dicom"})
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})
_LONG = 4  # letters of a word that is found inside others too


def identity_words(header: Any) -> frozenset[str]:
    """Words of a header that tell who the patient is: names, number and date of birth, as `holds` compares them."""
    found = set[str]()
    names = [str(header.get(keyword) or "") for keyword in _NAMES]
    for name in [*names, *(name.casefold().translate(_SPELT_OUT) for name in names)]:
        words = _words(name)
        found |= {word for word in words if len(word) > 1} | {"".join(words), "".join(reversed(words))}
    for keyword in _TOLD_BY:
        found.add("".join(_words(str(header.get(keyword) or ""))))
    birth = str(header.get("PatientBirthDate") or "")
    if re.fullmatch(r"\d{8}", birth):
        found |= {birth[6:] + birth[4:6] + birth[:4], birth[4:6] + birth[6:] + birth[:4]}
    return frozenset(found - _NOBODY - {""})


def holds(text: str, identity: frozenset[str]) -> bool:
    """Whether a name or path tells who the patient is."""
    words = _words(text)
    whole = "".join(words)
    return any(word in words or word == whole or (len(word) >= _LONG and word in whole) for word in identity)


def cleaned(path: Path, identity: frozenset[str], instead: str) -> Path:
    """`path` without the folders that tell who the patient is; where its name does, with `instead`."""
    *folders, name = path.parts
    kept = [folder for folder in folders if not holds(folder, identity)]
    return Path(*kept, instead if holds(name, identity) else name)


def _words(text: str) -> list[str]:
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", plain.casefold())
