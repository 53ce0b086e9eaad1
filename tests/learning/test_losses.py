from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import reference
from torch import Tensor

from cuemask.learning.losses import Regions, anchor_loss, diffusion_loss, region_means, similarity
from cuemask.learning.training import Batch, full_loss
from cuemask.recipe import PAPER, RELEASED, LossesRecipe, Recipe

EXACT = 1e-10
SEEDS = st.integers(0, 2**31 - 1)


def random_batch(seed: int, pairs: int = 2, size: int = 6, channels: int = 5) -> tuple[Tensor, Batch]:
    """Logits and a float64 batch whose feature grid is the picture itself, so that nothing is interpolated."""
    g = torch.Generator().manual_seed(seed)
    n = 2 * pairs

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    eye = torch.eye(size, dtype=torch.float64).expand(n, size, size)
    batch = Batch(
        uniform(n, 3, size, size),
        uniform(n, 1, size, size),
        uniform(n, 1, size, size),
        torch.ones(n, 1, size, size, dtype=torch.float64),
        uniform(n, channels, size, size) - 0.3,
        eye,
        eye,
    )
    return 4 * uniform(n, 1, size, size) - 2, batch


def by_loops(logits: Tensor, batch: Batch, margins: tuple[float, float]) -> float:
    """Equation 5 by the literal loops, averaged over the pairs."""
    p = torch.sigmoid(logits).flatten(1).tolist()
    features = batch.features.flatten(2).transpose(1, 2).tolist()
    anchors = list(zip(batch.positive.flatten(1).tolist(), batch.negative.flatten(1).tolist(), strict=True))
    half = len(p) // 2
    losses = [
        reference.full_loss(p[k], features[k], anchors[k], p[half + k], features[half + k], anchors[half + k], *margins)
        for k in range(half)
    ]
    return sum(losses) / half


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_full_loss_equals_equations_1_to_5_as_literal_loops(seed):
    logits, batch = random_batch(seed)
    expected = by_loops(logits, batch, (0.2, 0.8))
    assert float(full_loss(logits, batch, PAPER).total) == pytest.approx(expected, abs=EXACT)


def test_each_term_equals_its_own_equation():
    logits, batch = random_batch(3, pairs=1)
    p = torch.sigmoid(logits).flatten(1).tolist()
    features = batch.features.flatten(2).transpose(1, 2).tolist()
    foreground, background = reference.diffusion_losses(p[0], features[0], p[1], features[1], 0.2, 0.8)
    anchors = [
        reference.anchor_loss(batch.positive[k].flatten().tolist(), batch.negative[k].flatten().tolist(), p[k])
        for k in (0, 1)
    ]
    losses = full_loss(logits, batch, PAPER)
    assert float(losses.anchor) == pytest.approx(sum(anchors), abs=EXACT)
    assert float(losses.foreground) == pytest.approx(foreground, abs=EXACT)
    assert float(losses.background) == pytest.approx(background, abs=EXACT)
    assert foreground > 0
    assert background > 0


def test_known_anchor_losses():
    certain = torch.tensor([100.0, -100.0])
    assert float(anchor_loss(certain, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))) == pytest.approx(-1)
    assert float(anchor_loss(certain, torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))) == pytest.approx(0)
    half = anchor_loss(torch.zeros(2), torch.ones(2), torch.ones(2), form="log", positive_weight=1.5)
    assert float(half) == pytest.approx(2.5 * np.log(2))


@pytest.mark.parametrize("form", ["linear", "log"])
def test_pixels_outside_both_anchors_get_no_gradient(form):
    logits = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    positive, negative = torch.zeros(2, 1, 1, 4, 4, dtype=torch.float64)
    positive[..., 0, 0] = negative[..., 3, 3] = 1
    anchor_loss(logits, positive, negative, form=form).backward()
    anchored = torch.zeros(4, 4, dtype=torch.bool)
    anchored[0, 0] = anchored[3, 3] = True
    assert (logits.grad[0, 0][~anchored] == 0).all()
    assert (logits.grad[0, 0][anchored] != 0).all()
    assert float(logits.grad[0, 0, 0, 0]) < 0 < float(logits.grad[0, 0, 3, 3])


@given(SEEDS, st.sampled_from(["linear", "log"]))
@settings(max_examples=10, deadline=None)
def test_swapping_p_and_the_anchors_leaves_the_anchor_loss(seed, form):
    logits, batch = random_batch(seed, pairs=1)
    loss = anchor_loss(logits, batch.positive, batch.negative, form=form)
    swapped = anchor_loss(-logits, batch.negative, batch.positive, form=form)
    assert float(loss) == pytest.approx(float(swapped), abs=EXACT)


@given(SEEDS, st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_laws_of_the_diffusion_losses(seed, scale):
    logits, batch = random_batch(seed)
    base = full_loss(logits, batch, PAPER)
    half = len(logits) // 2
    turned = torch.cat([torch.arange(half, 2 * half), torch.arange(half)])
    backwards = full_loss(logits[turned], Batch(*(t[turned] for t in batch)), PAPER)
    scaled = full_loss(logits, batch._replace(features=batch.features * scale), PAPER)
    swapped_margins = dataclasses.replace(
        PAPER, losses=dataclasses.replace(PAPER.losses, foreground_margin=0.8, background_margin=0.2)
    )
    swapped = full_loss(-logits, batch, swapped_margins)
    for name in ("foreground", "background"):
        value = float(getattr(base, name))
        assert float(getattr(backwards, name)) == pytest.approx(value, abs=EXACT)
        assert float(getattr(scaled, name)) == pytest.approx(value, abs=1e-8)
    assert float(swapped.background) == pytest.approx(float(base.foreground), abs=EXACT)
    assert float(swapped.foreground) == pytest.approx(float(base.background), abs=EXACT)


@pytest.mark.parametrize("recipe", [PAPER, RELEASED], ids=lambda r: r.name)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_the_full_loss_pass_gradcheck(recipe, seed):
    logits, batch = random_batch(seed, pairs=1, size=4, channels=3)
    # Margins this large keep every hinge open, away from its corner.
    losses = dataclasses.replace(recipe.losses, foreground_margin=4.0, background_margin=4.0)
    recipe = dataclasses.replace(recipe, losses=losses)
    assert torch.autograd.gradcheck(lambda z: full_loss(z, batch, recipe).total, logits.requires_grad_())


def test_the_published_form_is_half_the_papers_scale():
    """relu(m' - (phi_inter - phi_1/2 - phi_2/2)) with m' 0.05 and 0.45 and weights 0.5 and 2."""
    logits, batch = random_batch(5, pairs=1)
    p = torch.sigmoid(logits).flatten(1).tolist()
    features = batch.features.flatten(2).transpose(1, 2).tolist()
    (fg1, bg1), (fg2, bg2) = (reference.regions(p[k], features[k]) for k in (0, 1))
    within = (reference.cosine(fg1, bg1) + reference.cosine(fg2, bg2)) / 2
    published = 0.5 * max(0.05 - reference.cosine(fg1, fg2) + within, 0)
    published_background = 2 * max(0.45 - reference.cosine(bg1, bg2) + within, 0)
    losses = full_loss(logits, batch, RELEASED)
    assert float(losses.foreground) == pytest.approx(published, abs=EXACT)
    assert float(losses.background) == pytest.approx(published_background, abs=EXACT)


def test_pixels_outside_the_picture_do_not_count():
    logits, batch = random_batch(7)
    inside = batch.inside.clone()
    inside[..., 4:] = 0
    batch = batch._replace(inside=inside, positive=batch.positive * inside, negative=batch.negative * inside)
    changed = logits.clone()
    changed[..., 4:] += 3
    one, other = full_loss(logits, batch, PAPER), full_loss(changed, batch, PAPER)
    assert float(one.total) == pytest.approx(float(other.total), abs=EXACT)


def test_an_empty_region_gives_a_finite_loss_and_gradient():
    _, batch = random_batch(1)
    for value in (-200.0, 200.0):
        logits = torch.full((4, 1, 6, 6), value, dtype=torch.float64, requires_grad=True)
        losses = full_loss(logits, batch, PAPER)
        losses.total.backward()
        assert torch.isfinite(losses.total)
        assert torch.isfinite(logits.grad).all()


def test_the_similarity_of_an_empty_vector_is_zero_with_zero_gradient():
    f = torch.zeros(1, 3, requires_grad=True)
    phi = similarity(f, torch.ones(1, 3))
    phi.sum().backward()
    assert float(phi.detach()) == 0
    assert (f.grad == 0).all()


def test_identical_frames_leave_only_margin_and_inner_similarity():
    f = torch.tensor([[1.0, 0.0]])
    g = torch.tensor([[0.0, 1.0]])
    same = Regions(f, g)
    assert float(diffusion_loss(same, same, of="foreground", margin=0.2)) == 0
    assert float(diffusion_loss(same, same, of="background", margin=2.5)) == pytest.approx(0.5)


def test_region_means_survive_half_precision_at_working_size():
    features = torch.full((1, 2, 256, 320), 3.0, dtype=torch.float16)
    p = torch.full((1, 256, 320), 0.5)
    means = region_means(p, torch.ones(1, 256, 320), features.float())
    assert means.foreground[0].tolist() == pytest.approx([3, 3], rel=1e-3)


def test_terms_of_weight_zero_are_left_out():
    logits, batch = random_batch(2)
    recipe = Recipe(losses=LossesRecipe(foreground_weight=0.0, background_weight=0.0))
    losses = full_loss(logits, batch, recipe)
    assert float(losses.total) == float(losses.anchor)


def test_diffusion_that_keeps_to_open_pixels_moves_no_others_and_has_the_same_value():
    logits, batch = random_batch(3)
    sure = torch.zeros_like(batch.positive)
    sure[..., :3, :] = 1.0
    batch = batch._replace(positive=sure, negative=torch.zeros_like(sure))
    terms = LossesRecipe(positive_weight=0.0, foreground_margin=2.0, background_margin=2.0)  # diffusion alone
    gradients, values = {}, {}
    for where in ("all", "open"):
        leaf = logits.clone().requires_grad_()
        loss = full_loss(leaf, batch, Recipe(losses=dataclasses.replace(terms, diffuse_to=where))).total
        loss.backward()
        gradients[where], values[where] = leaf.grad, float(loss.detach())
    assert values["open"] == pytest.approx(values["all"])
    assert values["all"] > 0
    assert torch.all(gradients["open"][..., :3, :] == 0)
    assert torch.any(gradients["all"][..., :3, :] != 0)
    assert torch.allclose(gradients["open"][..., 3:, :], gradients["all"][..., 3:, :])
    assert torch.any(gradients["open"] != 0)
