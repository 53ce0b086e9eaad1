from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cuemask.errors import TrainingError, WeightsError
from cuemask.learning import training
from cuemask.learning.averaging import move_average
from cuemask.learning.kept import TrainingClip
from cuemask.learning.pairs import Pairs
from cuemask.learning.pasting import draw_pieces
from cuemask.learning.training import learning_rate, make_batch, moved, train
from cuemask.media.records import Records, RecordWriter
from cuemask.recipe import Recipe, load_recipe

TINY = load_recipe(
    "default",
    [
        "network.start=chance",
        "network.width=4",
        "network.depth=2",
        "training.steps=6",
        "training.pairs_per_step=2",
        "training.learning_rate=0.003",
        "training.pasted=0",
        "training.averaging=0",
        "training.crop_smallest=0.85",
        "training.brightness=0.1",
        "training.contrast=0.1",
        "training.saturation=0.01",
        "training.hue=0.01",
    ],
)


def records(path: Path, arrays: np.ndarray) -> Records:
    with RecordWriter(path, arrays.shape[1:], arrays.dtype) as writer:
        for array in arrays:
            writer.append(array)
    return Records(path)


def square_clip(folder: Path, frames: int = 5, size: int = 32) -> TrainingClip:
    """A grey square on red, with anchors that know its middle and the far corner only."""
    rgb = np.full((frames, size, size, 3), (160, 40, 40), np.uint8)
    anchors = np.zeros((frames, 2, size, size), np.float16)
    for t in range(frames):
        rgb[t, 8 + t : 20 + t, 8:20] = 130
        anchors[t, 0, 12 + t : 16 + t, 12:16] = 1
        anchors[t, 1, :, 26:] = 1
    grid = rgb.reshape(frames, 8, size // 8, 8, size // 8, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    return TrainingClip(
        "square",
        records(folder / "rgb.npy", rgb),
        records(folder / "anchors.npy", anchors),
        records(folder / "features.npy", (grid / 255).astype(np.float16)),
        np.ones((size, size), bool),
    )


def weights(net: torch.nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in net.state_dict().values()]


def test_training_spreads_from_the_anchors_to_the_whole_square(tmp_path):
    clip = square_clip(tmp_path)
    recipe = dataclasses.replace(
        TINY,
        training=dataclasses.replace(TINY.training, steps=120, learning_rate=0.01),
        losses=dataclasses.replace(TINY.losses, foreground_weight=0.5, background_weight=0.15),
    )
    net, progress = train([clip], recipe, tmp_path / "c.pt")
    rgb = torch.from_numpy(clip.rgb[2])[None].permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        p = torch.sigmoid(net(rgb))[0, 0].numpy()
    truth = clip.rgb[2][..., 1] == 130
    assert p[truth].mean() > 0.7  # 0.79 and more, by processor
    assert p[~truth].mean() < 0.2
    assert progress.epochs[-1]["total"] < progress.epochs[0]["total"]


@pytest.mark.parametrize("settings", [{}, {"averaging": 0.9, "pasted": 0.5}])
def test_a_run_that_was_interrupted_ends_as_an_unbroken_one(tmp_path, monkeypatch, settings):
    clip = square_clip(tmp_path)
    plain = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, **settings))
    unbroken, whole = train([clip], plain, tmp_path / "whole.pt", seed=3)
    recipe = dataclasses.replace(plain, training=dataclasses.replace(plain.training, checkpoint_seconds=0.0))
    original = training.training_step
    steps_done = []

    def killed(*args):
        if len(steps_done) == 4:
            raise KeyboardInterrupt
        steps_done.append(1)
        return original(*args)

    monkeypatch.setattr(training, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train([clip], recipe, tmp_path / "cut.pt", seed=3)
    monkeypatch.setattr(training, "training_step", original)
    resumed, progress = train([clip], recipe, tmp_path / "cut.pt", seed=3)
    assert progress.step == 6
    assert all(np.array_equal(a, b) for a, b in zip(weights(unbroken), weights(resumed), strict=True))
    assert progress.epochs == whole.epochs


def test_the_same_seed_gives_the_same_network_and_another_seed_another(tmp_path):
    clip = square_clip(tmp_path)
    nets = [train([clip], TINY, tmp_path / f"{k}.pt", seed=seed)[0] for k, seed in enumerate((0, 0, 1))]
    one, same, other = (weights(net) for net in nets)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_one_frame_is_nothing_to_learn_from(tmp_path):
    with pytest.raises(TrainingError, match=r"one frame only.*\n.*cuemask predict"):
        train([square_clip(tmp_path, frames=1)], TINY, tmp_path / "c.pt")


def test_a_diverging_run_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "full_loss", lambda logits, *_: training.Losses(*[logits.sum() * float("nan")] * 4))
    with pytest.raises(TrainingError, match=r"diverged.\n.*training.learning_rate"):
        train([square_clip(tmp_path)], TINY, tmp_path / "c.pt")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 64]) + data[place + 1 :]


@pytest.mark.parametrize("damage", ["text", "cut", "weight", "pickle", "loss", "another"])
def test_a_damaged_checkpoint_is_named_and_training_begins_anew(tmp_path, caplog, damage):
    """Also where torch reads it without complaint: the network is that of a run without the checkpoint."""
    clip, path = square_clip(tmp_path), tmp_path / "c.pt"
    whole, told = train([clip], TINY, path)
    data = path.read_bytes()
    state = torch.load(path, weights_only=True)
    changed = {
        "text": b"not a checkpoint",
        "cut": data[: len(data) // 2],
        "weight": flipped(data, data.index(bytes(state["network"]["down.0.0.weight"].untyped_storage())) + 3),
        "pickle": flipped(data, data.index(b"progress") + 2),
    }
    if damage in changed:
        path.write_bytes(changed[damage])
    elif damage == "loss":
        state["progress"]["step"] = 3
        torch.save(state, path)
    else:
        train([clip], dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, width=3)), tmp_path / "o.pt")
        (tmp_path / "o.pt").replace(path)
    again, progress = train([clip], TINY, path)
    assert all(np.array_equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))
    assert progress.epochs == told.epochs
    assert "c.pt" in caplog.text
    assert "Training begins anew" in caplog.text


def test_both_frames_of_a_pair_share_crop_and_flip_but_not_colour(tmp_path):
    clip = square_clip(tmp_path)
    still = dataclasses.replace(clip, rgb=records(tmp_path / "still.npy", np.repeat(clip.rgb[0][None], 5, 0)))
    pairs = Pairs([5], "adjacent", 0)
    batch = make_batch([still], pairs, TINY, np.random.default_rng(0))
    half = len(pairs)
    assert torch.equal(batch.rows[:half], batch.rows[half:])
    assert torch.equal(batch.columns[:half], batch.columns[half:])
    square = batch.rgb[:, 1] > 0.6 * batch.rgb[:, 0]
    assert torch.equal(square[:half], square[half:])
    assert not torch.equal(batch.rgb[:half], batch.rgb[half:])


def test_pasted_instruments_are_instrument_and_pass_by_the_diffusion_losses(tmp_path):
    clip = square_clip(tmp_path, size=64)
    recipe = dataclasses.replace(
        TINY,
        training=dataclasses.replace(TINY.training, pasted=1.0, flip=False, crop_smallest=1.0),
    )
    pairs = Pairs([5], "adjacent", 0)
    bare = make_batch([clip], pairs, recipe, np.random.default_rng(0))
    pasted = make_batch([clip], pairs, recipe, np.random.default_rng(0), draw_pieces(64, 64, 0))
    covered = pasted.inside == 0  # wholly
    assert 0.05 < covered.float().mean() < 0.9
    assert torch.all(pasted.positive[covered] + pasted.negative[covered] > 0.99)
    assert pasted.positive[covered].mean() > 0.8  # some are needles, threads, gauze or clips
    clear = pasted.inside == 1
    assert torch.equal(pasted.positive[clear], bare.positive[clear])
    assert torch.equal(pasted.negative[clear], bare.negative[clear])
    assert torch.equal(bare.inside, torch.ones_like(bare.inside))


def test_the_average_forgets_where_it_started_and_lags_behind(tmp_path):
    slow, fast = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    slow.weight.data.fill_(0.0)
    fast.weight.data.fill_(1.0)
    move_average(slow, fast, 0.99, 0)
    assert slow.weight.item() == pytest.approx(0.9)  # kept 1 of 10
    for step in range(1, 400):
        move_average(slow, fast, 0.99, step)
    assert slow.weight.item() == pytest.approx(1.0, abs=1e-3)
    fast.weight.data.fill_(2.0)
    move_average(slow, fast, 0.99, 10_000)
    assert slow.weight.item() == pytest.approx(1.01, abs=1e-3)


def test_masks_come_from_the_average_where_one_is_kept(tmp_path):
    clip = square_clip(tmp_path)
    averaged = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, averaging=0.9))
    last, average = (train([clip], r, tmp_path / f"{k}.pt")[0] for k, r in enumerate((TINY, averaged)))
    assert not np.allclose(weights(last)[0], weights(average)[0], atol=1e-6)


def test_a_batch_keeps_shapes_and_ranges(tmp_path):
    batch = moved(make_batch([square_clip(tmp_path)], [training.Pair(0, 1, 2)], TINY, np.random.default_rng(0)), "cpu")
    assert batch.rgb.shape == (2, 3, 32, 32)
    assert batch.positive.shape == batch.negative.shape == batch.inside.shape == (2, 1, 32, 32)
    assert batch.features.shape == (2, 3, 8, 8)
    for tensor in (batch.rgb, batch.positive, batch.negative):
        assert 0 <= float(tensor.min()) <= float(tensor.max()) <= 1
    assert batch.rgb.is_contiguous(memory_format=torch.channels_last)


def test_schedules():
    cosine = load_recipe("default", ["training.schedule=cosine", "training.steps=10", "training.learning_rate=1.0"])
    constant = load_recipe("default", ["training.schedule=constant", "training.learning_rate=0.5"])
    assert learning_rate(cosine, 0) == 1
    assert learning_rate(cosine, 5) == pytest.approx(0.5)
    assert learning_rate(cosine, 9) < 0.03
    assert learning_rate(constant, 99) == 0.5


def test_steps_on_labelled_frames_alone_follow_the_others_and_diffuse_nothing(tmp_path, monkeypatch):
    clip = dataclasses.replace(square_clip(tmp_path), labelled=frozenset({1, 3}))
    taken, step_of = list[tuple[bool, float]](), training.training_step

    def noted(net, optimiser, batch, recipe, world):
        losses = step_of(net, optimiser, batch, recipe, world)
        taken.append((bool(losses.background > 0), optimiser.param_groups[0]["lr"]))
        return losses

    monkeypatch.setattr(training, "training_step", noted)
    recipe = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, label_steps=4))
    _, progress = train([clip], recipe, tmp_path / "c.pt")
    assert progress.step == len(taken) == 6 + 4
    assert [diffuses for diffuses, _ in taken] == [True] * 6 + [False] * 4
    rates = [rate for _, rate in taken]
    assert rates[6] == rates[0] > rates[5]
    assert rates[7:] == sorted(rates[7:], reverse=True)
    _, without = train([square_clip(tmp_path)], recipe, tmp_path / "d.pt")
    assert without.step == 6, "no labels, no such steps"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_precisions_train(tmp_path, precision):
    recipe = load_recipe(
        "default",
        [
            "network.start=chance",
            "network.width=4",
            "network.depth=2",
            "training.steps=2",
            f"training.precision={precision}",
        ],
    )
    net, progress = train([square_clip(tmp_path)], recipe, tmp_path / "c.pt")
    assert np.isfinite(progress.epochs[-1]["total"])
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_the_published_encoder_starts_from_the_file_given(tmp_path):
    from cuemask.learning.backbones import ResNet18

    torch.manual_seed(1)
    state = {k: v for k, v in ResNet18().state_dict().items() if not k.startswith("layer4")}
    torch.save(state, tmp_path / "r.pth")
    settings = [f"network.weights={tmp_path / 'r.pth'}"]
    recipe: Recipe = load_recipe("released", [*settings, "network.normalization=none"])
    net = training.untrained_network(recipe)
    assert torch.equal(net.get_parameter("encoder.layer3.0.conv1.weight"), state["layer3.0.conv1.weight"])
    with pytest.raises(WeightsError, match=r"norms are folded.*\n.*network.normalization=none"):
        training.untrained_network(load_recipe("released", settings))
    state = ResNet18(normalization="batch").state_dict()
    torch.save(state, tmp_path / "r.pth")
    net = training.untrained_network(load_recipe("released", settings))
    assert torch.equal(net.get_parameter("encoder.layer4.1.bn2.weight"), state["layer4.1.bn2.weight"])


def test_dropout_of_a_resumed_run_is_that_of_an_unbroken_one(tmp_path):
    clip = square_clip(tmp_path)
    recipe = dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, dropout=0.5))
    half = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, steps=3, schedule="constant"))
    whole = dataclasses.replace(half, training=dataclasses.replace(half.training, steps=6))
    unbroken, _ = train([clip], whole, tmp_path / "whole.pt")
    train([clip], half, tmp_path / "half.pt")
    torch.rand(7)  # what else draws numbers in between changes nothing
    resumed, _ = train([clip], whole, tmp_path / "half.pt")
    assert all(np.array_equal(a, b) for a, b in zip(weights(unbroken), weights(resumed), strict=True))
    without, _ = train([clip], dataclasses.replace(whole, network=TINY.network), tmp_path / "plain.pt")
    assert not all(np.array_equal(a, b) for a, b in zip(weights(unbroken), weights(without), strict=True))


def test_frames_apart_have_norms_of_their_own_and_else_the_same_logits():
    rgb = torch.rand(4, 3, 32, 32)
    rgb[2:] *= 0.3
    apart = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, frames="apart"))
    net = training.untrained_network(TINY).train()
    both = training.pair_logits(net, rgb, apart)
    assert torch.equal(both, torch.cat([net(rgb[:2]), net(rgb[2:])]))
    assert not torch.allclose(both, training.pair_logits(net, rgb, TINY), atol=1e-3)
    net.eval()
    assert torch.allclose(training.pair_logits(net, rgb, apart), training.pair_logits(net, rgb, TINY), atol=1e-6)
