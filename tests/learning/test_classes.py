from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import reference
from torch import Tensor

from cuemask.learning.classes import (
    class_anchor_loss,
    class_anchors,
    class_regions,
    class_shares,
    for_classes,
)
from cuemask.learning.kept import TrainingClip
from cuemask.learning.losses import anchor_loss
from cuemask.learning.pairs import Pair
from cuemask.learning.pasting import draw_pieces
from cuemask.learning.training import Batch, full_loss, make_batch, train, untrained_network
from cuemask.learning.unet import UNet, network
from cuemask.media.records import Records, RecordWriter
from cuemask.recipe import DEFAULT, PAPER, NetworkRecipe, Recipe, load_recipe

SEEDS = st.integers(0, 2**31 - 1)
C = 3


def recipe_of(classes: int, recipe: Recipe = PAPER) -> Recipe:
    return dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, classes=classes))


def random_batch(seed: int, classes: int = C, pairs: int = 2, size: int = 5) -> tuple[Tensor, Batch]:
    """Logits and a float64 batch whose feature grid is the picture itself."""
    g = torch.Generator().manual_seed(seed)
    n = 2 * pairs

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    eye = torch.eye(size, dtype=torch.float64).expand(n, size, size)
    batch = Batch(
        uniform(n, 3, size, size),
        uniform(n, classes + 1, size, size) / (classes + 1),
        uniform(n, 1, size, size),
        torch.ones(n, 1, size, size, dtype=torch.float64),
        uniform(n, 4, size, size) - 0.3,
        eye,
        eye,
    )
    return 4 * uniform(n, classes + 1, size, size) - 2, batch


def maps(values: Tensor) -> list[list[float]]:
    """Each channel as one list over all pixels of all frames."""
    return values.transpose(0, 1).flatten(1).tolist()


@given(SEEDS)
@settings(max_examples=15)
def test_the_class_anchor_loss_equals_equation_1_for_each_class_as_literal_loops(seed):
    logits, batch = random_batch(seed)
    *own, unknown = maps(batch.positive)
    p = maps(torch.softmax(logits, 1))
    (negative,) = maps(batch.negative)
    expected = reference.class_anchor_loss(own, unknown, negative, p)
    assert float(class_anchor_loss(logits, batch.positive, batch.negative)) == pytest.approx(expected, abs=1e-12)
    weights = {"positive_weight": 1.5, "negative_weight": 0.7}
    found = class_anchor_loss(logits, batch.positive, batch.negative, form="log", **weights)
    expected = reference.class_log_anchor_loss(own, unknown, negative, p, 1.5, 0.7)
    assert float(found) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("form", ["linear", "log"])
def test_with_one_class_it_is_the_paper_s_anchor_loss(form):
    logits, batch = random_batch(1, classes=1)
    logits[:, 0] = 0
    positive = batch.positive.clone()
    positive[:, 1] = 0
    weights = {"positive_weight": 1.5, "negative_weight": 0.7}
    expected = anchor_loss(logits[:, 1:], positive[:, :1], batch.negative, form=form, **weights)
    found = class_anchor_loss(logits, positive, batch.negative, form=form, **weights)
    assert float(found) == pytest.approx(float(expected), abs=1e-14)


@pytest.mark.parametrize("form", ["linear", "log"])
def test_what_is_only_known_to_be_an_instrument_does_not_say_which(form):
    logits, batch = random_batch(2)
    positive = torch.zeros_like(batch.positive)
    positive[:, -1] = 1
    leaf = torch.zeros_like(logits).requires_grad_()
    class_anchor_loss(leaf, positive, torch.zeros_like(batch.negative), form=form).backward()
    assert leaf.grad is not None
    assert (leaf.grad[:, 0] > 0).all()
    assert (leaf.grad[:, 1:] < 0).all()
    assert torch.allclose(leaf.grad[:, 1:], leaf.grad[:, 1:2].expand(-1, C, -1, -1))


@pytest.mark.parametrize("form", ["linear", "log"])
def test_an_anchor_of_one_class_speaks_against_the_others(form):
    positive = torch.zeros(1, C + 1, 2, 2)
    positive[:, 1] = 1
    leaf = torch.zeros(1, C + 1, 2, 2).requires_grad_()
    class_anchor_loss(leaf, positive, torch.zeros(1, 1, 2, 2), form=form).backward()
    assert leaf.grad is not None
    assert (leaf.grad[:, 2] < 0).all()
    assert (leaf.grad[:, [1, 3]] > 0).all()


def test_pixels_outside_all_anchors_get_no_gradient():
    logits, batch = random_batch(3)
    positive, negative = batch.positive.clone(), batch.negative.clone()
    positive[..., 0], negative[..., 0] = 0, 0
    leaf = logits.requires_grad_()
    class_anchor_loss(leaf, positive, negative, form="log").backward()
    assert leaf.grad is not None
    assert (leaf.grad[..., 0] == 0).all()
    assert (leaf.grad[..., 1:] != 0).all()


def test_the_logarithms_hold_where_a_class_is_certain():
    logits = torch.zeros(1, C + 1, 1, 2, dtype=torch.float32)
    logits[:, 1] = 60.0
    positive, negative = torch.zeros(1, C + 1, 1, 2), torch.ones(1, 1, 1, 2)
    loss = class_anchor_loss(logits.requires_grad_(), positive, negative, form="log")
    assert loss.item() == pytest.approx(60.0 - np.log(C), rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("form", "where"), [("linear", "all"), ("log", "open")])
def test_gradients_of_the_full_loss_are_right(form, where):
    logits, batch = random_batch(4, pairs=1, size=3)
    recipe = recipe_of(C)
    losses = dataclasses.replace(recipe.losses, anchor_form=form, diffuse_to=where, background_margin=3.0)
    recipe = dataclasses.replace(recipe, losses=losses)
    if where == "open":  # what is detached is held still by no finite difference
        batch = batch._replace(positive=0 * batch.positive, negative=0 * batch.negative)
    assert torch.autograd.gradcheck(
        lambda z: full_loss(z, batch, recipe).total, logits.requires_grad_(), fast_mode=True
    )


@given(SEEDS)
@settings(max_examples=10)
def test_diffusion_equals_equations_3_and_4_of_each_class_as_literal_loops(seed):
    logits, batch = random_batch(seed)
    positive = batch.positive.clone()
    positive[0, 1] = 0  # the first pair shares classes 1 and 3, the second none
    positive[1, :2] = 0
    positive[3, 2] = 0
    batch = batch._replace(positive=positive)
    p = class_regions(logits).flatten(2).tolist()
    features = batch.features.flatten(2).transpose(1, 2).tolist()

    def of(region: int, pair: int) -> tuple[float, float]:
        one, other = pair, 2 + pair
        return reference.diffusion_losses(p[one][region], features[one], p[other][region], features[other], 0.2, 0.8)

    first, second = [of(0, 0), of(2, 0)], of(C, 1)
    expected = [((first[0][side] + first[1][side]) / 2 + second[side]) / 2 for side in (0, 1)]
    losses = full_loss(logits, batch, recipe_of(C))
    assert float(losses.foreground) == pytest.approx(expected[0], abs=1e-10)
    assert float(losses.background) == pytest.approx(expected[1], abs=1e-10)
    assert float(losses.total) == pytest.approx(float(losses.anchor) + sum(expected), abs=1e-10)


def test_shares_of_a_pair_add_up_to_one():
    _, batch = random_batch(5)
    positive = batch.positive.clone()
    positive[0, 0] = 0
    shares = class_shares(positive)
    assert torch.allclose(shares, torch.tensor([[0, 0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3, 0]], dtype=torch.float64))
    assert class_shares(torch.zeros_like(positive)).tolist() == [[0, 0, 0, 1]] * 2


def test_no_anchor_is_lost_when_it_is_given_to_classes():
    rng = np.random.default_rng(0)
    kept = np.stack([rng.random((4, 5)), rng.random((4, 5)), rng.integers(0, C + 1, (4, 5))]).astype(np.float32)
    told = class_anchors(kept, C)
    assert told.shape == (C + 2, 4, 5)
    assert np.allclose(told[:-1].sum(0), kept[0])
    assert np.array_equal(told[-1], kept[1])
    assert (told[1] > 0).sum() == (kept[2] == 2).sum()
    assert np.array_equal(class_anchors(kept[:2], 1), kept[:2])


def test_one_class_is_the_network_that_it_was():
    torch.manual_seed(0)
    plain = UNet(4, 2, "batch", 2)
    torch.manual_seed(0)
    ours = network(NetworkRecipe(width=4, depth=2, normalization="batch", block_px=2, scaling="signed"))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), ours.state_dict().values(), strict=True))
    assert for_classes(plain.state_dict(), 1).keys() == plain.state_dict().keys()


@pytest.mark.parametrize("architecture", ["unet", "resnet18_unet"])
def test_a_network_of_classes_gives_a_logit_for_each_and_the_background(architecture):
    recipe = NetworkRecipe(architecture=architecture, width=2, depth=2, block_px=2, classes=C, weights="random")
    assert network(recipe)(torch.zeros(1, 3, 34, 40)).shape == (1, C + 1, 34, 40)


def test_from_the_drawn_network_classes_start_as_shares_of_what_was_instrument():
    rgb = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        p = torch.sigmoid(untrained_network(DEFAULT).eval()(rgb))
        of_classes = torch.softmax(untrained_network(recipe_of(C, DEFAULT)).eval()(rgb), 1)
    assert torch.allclose(1 - of_classes[:, :1], p, atol=1e-5)
    assert torch.allclose(of_classes[:, 1:], (p / C).expand(-1, C, -1, -1), atol=1e-5)


def two_squares(folder: Path, frames: int = 3, size: int = 32) -> TrainingClip:
    """A grey square and a green one on red; anchors know their middles, codes which is which, but in the last frame."""
    rgb = np.full((frames, size, size, 3), (160, 40, 40), np.uint8)
    maps = np.zeros((frames, 3, size, size), np.float16)
    for t in range(frames):
        rgb[t, 4 + t : 14 + t, 4:14], rgb[t, 16 + t : 26 + t, 14:24] = 150, (30, 160, 60)
        maps[t, 0, 7 + t : 11 + t, 7:11] = maps[t, 0, 19 + t : 23 + t, 17:21] = 1
        maps[t, 1, :, 27:] = 1
        if t < frames - 1:
            maps[t, 2, :15, :15], maps[t, 2, 15:, 14:] = 1, 2
    features = rgb.transpose(0, 3, 1, 2).astype(np.float16) / 255
    files = {"rgb": rgb, "anchors": maps, "features": features}
    for name, arrays in files.items():
        with RecordWriter(folder / f"{name}.npy", arrays.shape[1:], arrays.dtype) as writer:
            for array in arrays:
                writer.append(array)
    records = {name: Records(folder / f"{name}.npy") for name in files}
    return TrainingClip("squares", **records, inside=np.ones((size, size), bool))


TINY = load_recipe(
    "default",
    [
        *("network.start=chance", "network.width=8", "network.depth=2", "network.classes=2"),
        *("input.height_px=32", "input.width_px=32", "training.steps=50", "training.pairs_per_step=2"),
        *("training.learning_rate=0.01", "training.pasted=0", "training.averaging=0"),
        *("losses.foreground_weight=0", "losses.background_weight=0"),
    ],
)


def test_a_batch_holds_the_anchors_of_each_class_and_of_none(tmp_path):
    clip = two_squares(tmp_path)
    recipe = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, crop_smallest=1.0, flip=False))
    batch = make_batch([clip], [Pair(0, 0, 2)], recipe, np.random.default_rng(0))
    assert batch.positive.shape == (2, 3, 32, 32)
    assert batch.positive.sum((-1, -2)).tolist() == [[16, 16, 0], [0, 0, 32]]
    assert batch.positive[0, 0, 7:11, 7:11].min() == 1
    assert batch.positive[0, 1, 19:23, 17:21].min() == 1
    assert batch.negative[:, 0, :, 27:].min() == 1


def test_the_class_of_a_pasted_instrument_is_not_known(tmp_path):
    clip = two_squares(tmp_path)
    recipe = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, pasted=1.0))
    batch = make_batch([clip], [Pair(0, 0, 1)], recipe, np.random.default_rng(0), draw_pieces(32, 32, 0))
    assert batch.positive[:, 2].sum() > 32
    assert (batch.positive.sum(1, keepdim=True) + batch.negative).max() <= 1 + 1e-5


def test_training_spreads_each_class_over_its_square(tmp_path):
    clip = two_squares(tmp_path)
    net, _ = train([clip], TINY, tmp_path / "c.pt")
    rgb = torch.from_numpy(clip.rgb[2])[None].permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        codes = net(rgb)[0].argmax(0).numpy()
    grey, green = clip.rgb[2][..., 1] == 150, clip.rgb[2][..., 1] == 160
    for square, own, other in ((grey, 1, 2), (green, 2, 1)):
        assert (codes[square] == own).mean() > 0.5
        assert (codes[square] == other).mean() < 0.1
    assert (codes[~grey & ~green] == 0).mean() > 0.7
