from __future__ import annotations

from pathlib import Path

import pytest

from cuemask.errors import InputError
from cuemask.grouping.classes import Group, as_toml, classes_of, read_classes, read_groups, with_names_of

GROUPS = [
    Group(1, (("a", 1), ("b:c", 2)), 30, ("a/000001:1",), "grasper"),
    Group(2, (("a", 2),), 20),
    Group(3, (("b:c", 1),), 10, merge=1),
    Group(4, (("b:c", 7),), 3, merge=0),
]


def test_what_is_written_is_read_back(tmp_path: Path):
    (tmp_path / "classes.toml").write_text(as_toml(GROUPS))
    assert read_groups(tmp_path / "classes.toml") == GROUPS


def test_merged_groups_are_one_class_and_codes_follow(tmp_path: Path):
    (tmp_path / "classes.toml").write_text(as_toml(GROUPS))
    classes = read_classes(tmp_path / "classes.toml")
    assert classes.names == ("grasper", "group 2")
    assert classes.codes == {("a", 1): 1, ("b:c", 2): 1, ("a", 2): 2, ("b:c", 1): 1, ("b:c", 7): 0}


def test_merging_goes_on_from_group_to_group():
    groups = [Group(1, (("a", 1),), merge=3), Group(2, (("a", 2),), merge=1), Group(3, (("a", 3),))]
    assert classes_of(groups).codes == {("a", 1): 1, ("a", 2): 1, ("a", 3): 1}


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ([Group(1, (("a", 1),), merge=9)], "is not there"),
        ([Group(1, (("a", 1),), merge=2), Group(2, (("a", 2),), merge=1)], "leads back"),
        ([Group(1, (("a", 1),), merge=1)], "leads back"),
        ([Group(1, (("a", 1),), merge=0)], "no group is an instrument"),
        ([Group(1, (("a", 1),), name="hook"), Group(2, (("a", 2),), name="hook ")], "two classes are called 'hook'"),
    ],
)
def test_what_makes_no_classes_is_an_error(groups, what):
    with pytest.raises(InputError, match=what):
        classes_of(groups)


@pytest.mark.parametrize(
    "text",
    [
        "group = 3",
        "[[group]]\nnumber = 1",
        "not toml",
        '[[group]]\nnumber = 1\ntracks = ["a"]',
        '[[group]]\nnumber = 1\nname = 3\ntracks = ["a:1"]',
        '[[group]]\nnumber = 1\nmerge = "2"\ntracks = ["a:1"]',
        '[[group]]\nnumber = 1\ntracks = ["a:1"]\n[[group]]\nnumber = 1\ntracks = ["a:2"]',
        '[[group]]\nnumber = 1\ntracks = ["a:1"]\n[[group]]\nnumber = 2\ntracks = ["a:1"]',
        "group = []",
    ],
)
def test_a_damaged_file_is_an_error(text, tmp_path: Path):
    (tmp_path / "classes.toml").write_text(text)
    with pytest.raises(InputError, match=r"classes\.toml"):
        read_groups(tmp_path / "classes.toml")


def test_names_stay_with_their_tracks_whatever_the_numbers():
    now = [Group(1, (("a", 2),)), Group(2, (("b:c", 2), ("a", 1))), Group(3, (("b:c", 7),)), Group(4, (("b:c", 1),))]
    told = with_names_of(now, GROUPS)
    assert told is not None
    assert [(group.name, group.merge) for group in told] == [("", None), ("grasper", None), ("", 0), ("", 2)]


def test_names_of_other_groups_are_not_guessed():
    assert with_names_of([Group(1, (("a", 1), ("a", 2)))], GROUPS) is None
    nameless = [Group(1, (("a", 9),))]
    assert with_names_of(nameless, [Group(1, (("a", 1),))]) == nameless
    assert with_names_of(nameless, []) == nameless
