from __future__ import annotations

import threading
import time

import cv2
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cuemask.media.threads import encoders, in_threads


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


def test_libraries_keep_to_one_thread_while_any_stream_runs_and_have_theirs_again_behind_the_last():
    opencv, torchs = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(3)
    torch.set_num_threads(3)
    try:
        first = in_threads(lambda _: (cv2.getNumThreads(), torch.get_num_threads()), range(9), threads=2, networks=True)
        assert next(first) == (1, 1)
        plain = in_threads(lambda _: cv2.getNumThreads(), range(9), threads=2)
        assert next(plain) == 1
        assert set(first) == {(1, 1)}
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 3)
        assert set(plain) == {1}
        assert cv2.getNumThreads() == 3
        broken = in_threads(lambda k: 1 // k, range(3), networks=True)
        with pytest.raises(ZeroDivisionError):
            next(broken)
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (3, 3)
    finally:
        cv2.setNumThreads(opencv)
        torch.set_num_threads(torchs)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (5, 2), (64, 4)])
def test_a_video_is_written_by_half_of_the_cores_at_most_four(monkeypatch, cores, threads):
    monkeypatch.setattr("cuemask.media.threads.cores", lambda: cores)
    assert encoders() == threads
