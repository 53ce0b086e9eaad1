from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuemask.media.threads import in_threads


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(1, 3), st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_results_come_in_order(delays, threads, ahead):
    def work(item):
        time.sleep(item / 2000)
        return item

    assert list(in_threads(work, delays, threads, ahead)) == delays


def test_no_more_items_are_taken_than_may_be_held():
    taken, given_back = [], []

    def items():
        for k in range(30):
            taken.append(k)
            assert len(taken) - len(given_back) <= 5
            yield k

    for result in in_threads(lambda k: k, items(), threads=2, ahead=4):
        given_back.append(result)
    assert given_back == list(range(30))


def test_errors_come_out_at_their_turn():
    def work(k):
        if k == 3:
            raise ValueError("three")
        return k

    results = in_threads(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_a_stream_that_is_left_ends_its_threads():
    before = threading.active_count()
    results = in_threads(lambda k: k, iter(range(1000)))
    next(results)
    results.close()
    assert threading.active_count() == before
