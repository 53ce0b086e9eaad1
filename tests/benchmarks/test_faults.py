"""The short form of `python -m benchmarks.faults`: a few faults of one small study."""

from __future__ import annotations

import pytest
from benchmarks.faults import Tally, campaign, table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_study_whose_workers_are_killed_and_whose_disk_fails_is_an_undisturbed_one_to_the_byte(engine, tmp_path):
    if engine == "dask":
        pytest.importorskip("distributed", reason="no distributed: pip install 'cuemask[cluster]'")
    tally = Tally()
    campaign(engine, 6, 4, 0, tmp_path, tally, lambda _: None)
    assert tally.bad == []
    assert tally.faults.total() >= 6
    assert f"| {engine} | {tally.studies} |" in table(engine, tally)
