"""Schooling on drawn scenes: it lowers the loss, goes on where it was broken off, and writes what the cue reads."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cuemask.errors import TrainingError, WeightsError
from cuemask.learning import school
from cuemask.learning.pool import draw_pool
from cuemask.learning.school import (
    PIECES,
    Lessons,
    batches,
    held_out,
    main,
    school_loss,
    school_network,
    school_weights,
    teach,
)

PX = (64, 96)
FEW = Lessons(pictures=4, steps=6, batch=2, small=0.5, small_px=(32, 64), picture_px=PX, held_out=2)


def test_the_loss_of_a_sure_right_answer_is_none_and_of_a_wrong_one_large():
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 5:10, 5:10] = 1
    assert school_loss(40 * mask - 20, mask) < 0.01
    assert school_loss(20 - 40 * mask, mask) > 2


def test_an_empty_picture_is_right_when_nothing_is_found():
    empty = torch.zeros(1, 1, 20, 20)
    assert school_loss(torch.full_like(empty, -20.0), empty) < 0.01


def test_small_instruments_count_as_much_as_large_ones():
    """Missing one of two instruments costs about the same, whichever it is."""
    masks = torch.zeros(2, 1, 100, 100)
    masks[0, :, :10, :10], masks[1, :, :60, :60] = 1, 1
    small_missed, large_missed = 40 * masks - 20, 40 * masks - 20
    small_missed[0], large_missed[1] = -20, -20
    dice = [
        float(school_loss(logits, masks) - torch.nn.functional.binary_cross_entropy_with_logits(logits, masks))
        for logits in (small_missed, large_missed)
    ]
    assert dice[0] == pytest.approx(dice[1], abs=0.1)


def test_lessons_lower_the_loss(tmp_path: Path):
    lessons = replace(FEW, batch=3)
    torch.manual_seed(0)
    net = school_network()
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    rgb, mask = next(iter(batches(tmp_path, lessons, range(1), workers=0)))
    losses = []
    for _ in range(12):
        loss = school_loss(net(rgb), mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_batches_follow_from_seed_and_step_alone(tmp_path: Path):
    draw_pool(tmp_path / PIECES, FEW.pictures, FEW.seed, PX)
    whole = list(batches(tmp_path, FEW, range(6), workers=0))
    late = list(batches(tmp_path, FEW, range(4, 6), workers=2))
    for (rgb, mask), (same, its_mask) in zip(whole[4:], late, strict=True):
        assert torch.equal(rgb, same)
        assert torch.equal(mask, its_mask)


def test_pieces_do_not_depend_on_how_many_processes_draw_them(tmp_path: Path):
    alone, together = draw_pool(tmp_path / "alone", 4, 0, PX), draw_pool(tmp_path / "together", 4, 0, PX, processes=2)
    assert np.array_equal(alone.instruments, together.instruments)
    assert alone.foreign_kinds == together.foreign_kinds


def test_the_first_lessons_show_smaller_pictures(tmp_path: Path):
    sizes = [tuple(rgb.shape[-2:]) for rgb, _ in batches(tmp_path, FEW, range(6), workers=0)]
    assert sizes == [(32, 64)] * 3 + [(64, 96)] * 3


def test_a_loss_that_is_no_number_ends_the_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(school, "school_loss", lambda logits, _: logits.mean() * float("nan"))
    with pytest.raises(TrainingError, match="no longer a number"):
        teach(FEW, tmp_path)


def test_what_was_broken_off_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    unbroken, _ = teach(FEW, tmp_path / "unbroken")
    step = school._step

    def breaks(pupil: school._Pupil, *rest: Any) -> torch.Tensor:
        if pupil.step == 4:
            raise KeyboardInterrupt
        return step(pupil, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(school, "_step", breaks)
        with pytest.raises(KeyboardInterrupt):
            teach(FEW, tmp_path / "broken", checkpoint_seconds=0.0)
    resumed, record = teach(FEW, tmp_path / "broken")
    for a, b in zip(unbroken.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert record["lessons"]["steps"] == 6


def test_a_checkpoint_of_other_lessons_is_refused(tmp_path: Path):
    teach(FEW, tmp_path)
    with pytest.raises(WeightsError, match="other lessons"):
        teach(replace(FEW, steps=7), tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        teach(FEW, tmp_path)


def test_pieces_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = draw_pool(tmp_path, 4, 0, PX)
    monkeypatch.setattr("cuemask.learning.pool.draw_tissue", lambda *_: pytest.fail("drawn again"))
    again = draw_pool(tmp_path, 4, 0, PX)
    assert np.array_equal(first.tissues, again.tissues)
    assert first.kinds == again.kinds


def test_held_out_scenes_are_measured():
    measured = held_out(school_network().eval(), 3, PX)
    assert measured["scenes"] == 3
    assert 0 <= measured["iou"] <= 1


def test_weights_are_written_in_half_precision():
    net = school_network()
    data = school_weights(net)
    assert len(data) < 4_000_000
    read = np.load(io.BytesIO(data))
    assert read["down.0.0.weight"].dtype == np.float16
    assert read["down.0.1.running_var"].dtype == np.float32
    assert set(read.files) == set(net.state_dict())


def test_the_command_writes_weights_and_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(school, "Lessons", lambda **given: replace(FEW, **given))
    out = tmp_path / "shape.npz"
    options = ["--out", str(out), "--workers", "0", "--pictures", "4", "--steps", "2"]
    assert main(options) == 0
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["lessons"]["steps"] == 2
    assert out.is_file()
    assert main(options) == 2
    assert main([*options, "--resume"]) == 0


def test_later_lessons_go_on_from_earlier_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(school, "Lessons", lambda **given: replace(FEW, **given))
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    few = ["--workers", "0", "--pictures", "4", "--steps", "1"]
    assert main(["--out", str(first), *few]) == 0
    assert main(["--out", str(second), *few, "--learning-rate", "0", "--start", str(first)]) == 0
    before, after = np.load(first), np.load(second)
    assert np.array_equal(before["head.weight"], after["head.weight"])
    record = json.loads(second.with_suffix(".json").read_text())
    assert record["lessons"]["start"] == record["earlier"]["sha256"]


def test_weights_of_something_else_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(school, "Lessons", lambda **given: replace(FEW, **given))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    assert main(["--out", str(tmp_path / "out.npz"), "--start", str(tmp_path / "other.npz")]) == 2
