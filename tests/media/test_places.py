"""Where time begins anew in a stream, told by its packets."""

from __future__ import annotations

from fractions import Fraction

import pytest
from av.packet import Packet

from cuemask.media.places import Places

TENTH = Fraction(1, 10)


def packet(pts: int, dts: int | None, *, key: bool = False) -> Packet:
    """A packet with time stamps in tenths of a second."""
    made = Packet(b"x")
    made.time_base, made.pts, made.dts, made.duration, made.is_keyframe = TENTH, pts, dts, 1, key
    return made


@pytest.mark.parametrize(
    ("packets", "steady", "breaks"),
    [
        ([(0, 0, True), (4, 1, False), (1, 2, False), (2, 3, False)], True, False),  # frames that are shown later
        ([(0, 0, True), (9, 1, False), (5, 2, True)], True, False),  # a key frame before one that is read first
        ([(0, 0, True), (9, 1, False), (5, 0, True)], True, True),  # the same, decoded earlier than what came before
        ([(0, None, True), (9, None, False), (5, None, True)], True, True),  # nothing tells when it is decoded
        ([(0, None, True), (9, None, False), (5, None, False)], True, False),
        ([(30, 30, True), (31, 31, False), (20, 20, False)], True, True),  # 1.1 s back, no key frame
        ([(30, 30, True), (31, 31, False), (21, 21, False)], True, False),  # 1.0 s
        ([(0, 0, True), (1, 1, False), (102, 102, False)], True, True),  # 10.1 s on
        ([(0, 0, True), (1, 1, False), (101, 101, False)], True, False),
        ([(0, 0, True), (1, 1, False), (999, 999, True)], False, False),  # a recorder may pause
    ],
)
def test_time_begins_anew_where_it_steps_back_or_leaps(
    packets: list[tuple[int, int | None, bool]], steady: bool, breaks: bool
) -> None:
    places = Places(TENTH, TENTH, stamped=True, steady=steady)
    for number, (pts, dts, key) in enumerate(packets):
        assert not places.is_broken, number
        places.add(packet(pts, dts, key=key))
    assert places.is_broken == breaks


def test_a_part_begins_where_the_one_before_ends_also_when_its_first_stamp_is_told_late() -> None:
    places = Places(TENTH, TENTH, stamped=True, steady=True)
    entered = packet(5, 5, key=True)
    places.add(entered)
    places.add(packet(0, 0, key=True))
    places.begin_at(entered.opaque, 5, 0)
    assert places.seconds(5, None) == Fraction(5, 10)
    assert places.seconds(6, None) == Fraction(6, 10)
