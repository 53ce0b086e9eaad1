from __future__ import annotations

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuemask.errors import OutputError
from cuemask.media.records import Records, RecordWriter, SomeRecords


def write(path, arrays, dtype=np.float16):
    with RecordWriter(path, arrays[0].shape, dtype) as writer:
        for array in arrays:
            writer.append(array)


def test_records_come_back_by_number_and_the_file_is_an_ordinary_npy(tmp_path):
    arrays = np.random.default_rng(0).random((7, 2, 3)).astype(np.float16)
    write(tmp_path / "r.npy", list(arrays))
    records = Records(tmp_path / "r.npy")
    assert (len(records), records.shape, records.dtype) == (7, (2, 3), np.float16)
    assert all(np.array_equal(records[k], arrays[k]) for k in (6, 0, 3))
    assert np.array_equal(np.load(tmp_path / "r.npy"), arrays)
    records[0][:] = 9  # a copy of its own
    assert np.array_equal(records[0], arrays[0])


def test_records_hold_no_open_file_and_travel_to_other_processes(tmp_path):
    write(tmp_path / "r.npy", [np.full(3, 7)] * 2)
    before = len(list(Path("/proc/self/fd").iterdir()))
    many = [Records(tmp_path / "r.npy") for _ in range(50)]
    assert all(records[1][0] == 7 for records in many)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert pickle.loads(pickle.dumps(many[0]))[1].tolist() == [7, 7, 7]


@pytest.mark.parametrize("index", [-1, 7])
def test_a_record_out_of_range_is_an_index_error(tmp_path, index):
    write(tmp_path / "r.npy", [np.zeros(3)] * 7)
    with pytest.raises(IndexError):
        Records(tmp_path / "r.npy")[index]


def test_an_interrupted_writer_leaves_nothing(tmp_path):
    def interrupted():
        with RecordWriter(tmp_path / "r.npy", (3,), np.uint8) as writer:
            writer.append(np.zeros(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_another_shape_is_refused(tmp_path):
    with RecordWriter(tmp_path / "r.npy", (3,), np.uint8) as writer:
        writer.append(np.zeros(3))
        with pytest.raises(ValueError, match=r"\(4,\), not \(3,\)"):
            writer.append(np.zeros(4))


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "r.npy"
    write(path, [np.zeros((50, 50))] * 4)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(OutputError, match="cut short"):
        Records(path)


def test_a_full_disk_is_an_output_error(tmp_path, monkeypatch):
    writer = RecordWriter(tmp_path / "r.npy", (3,), np.uint8)

    class Full:
        def write(self, _data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            real.close()

    real, writer._file = writer._file, Full()
    with pytest.raises(OutputError, match="no space"), writer:
        writer.append(np.zeros(3))
    assert list(tmp_path.iterdir()) == []


@given(st.integers(1, 40))
def test_the_header_does_not_move_with_the_count(count):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "r.npy", [np.full(5, k) for k in range(count)], np.int32)
        assert np.load(Path(folder) / "r.npy")[:, 0].tolist() == list(range(count))


def test_records_of_some_frames_are_read_by_the_frames_numbers(tmp_path):
    write(tmp_path / "r.npy", [np.full(3, frame) for frame in (2, 5, 9)], np.int32)
    some = SomeRecords(Records(tmp_path / "r.npy"), np.array([2, 5, 9]))
    assert [int(some[frame][0]) for frame in (9, 2, 5)] == [9, 2, 5]
    for absent in (0, 3, 10):
        with pytest.raises(IndexError, match=f"frame {absent} is none of the 3 kept"):
            some[absent]
