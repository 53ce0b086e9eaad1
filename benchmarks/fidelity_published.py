"""Lines of the fidelity table: what the authors' published code does, by its description (`benchmarks.published`)."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage.morphology import remove_small_objects

from benchmarks.fidelity_items import Item
from benchmarks.fidelity_paper import frames_at
from benchmarks.published import cell_features, published_logits, published_loss, random_vgg16
from cuemask.cues.anchors import smooth, smoothing_factor
from cuemask.datasets.endovis2017 import CROP
from cuemask.inference.thresholds import mask_of, without_small_blobs
from cuemask.learning.backbones import IMAGENET_MEAN, IMAGENET_STD
from cuemask.learning.features import normalized
from cuemask.learning.pairs import View, jitter, seen
from cuemask.learning.training import Batch, adam, full_loss, pair_logits, untrained_network, view_matrices
from cuemask.learning.unet import ResNet18UNet
from cuemask.recipe import RELEASED, Recipe, TrainingRecipe, load_recipe

PUBLISHED = "learning/test_published.py"
EXACT = 1e-9
WHOLE = View(0.0, 0.0, 1.0, 1.0, False)
LEFT = "left between `released` and the published code"


def items() -> list[Item]:
    """From input to mask."""
    recipe, train = RELEASED, RELEASED.training
    return [
        Item(
            "part of the frame",
            "1024x1280 at row 28, column 320",
            f"{CROP[2]}x{CROP[3]} at {CROP[0]}, {CROP[1]}",
            lambda: float(CROP != (28, 320, 1024, 1280)),
            "datasets/test_endovis2017.py::test_the_crop_is_prescribed_for_whole_frames_only",
        ),
        Item(
            "working size",
            "512x640",
            f"{recipe.input.height_px}x{recipe.input.width_px}",
            lambda: float((recipe.input.height_px, recipe.input.width_px) != (512, 640)),
            "test_recipe.py::test_released_has_the_published_settings",
        ),
        Item(
            "anchors",
            "cues not published; read from disk",
            "computed, or `anchors.source = given`",
            lambda: None,
            "learning/test_supervision.py::test_anchors_that_came_with_the_data_are_taken_where_the_recipe_says_so",
            explained=LEFT,
        ),
        Item(
            "smoothing of anchors",
            "reduced 4x at 1024x1280 under triangles, enlarged",
            f"the same; {smoothing_factor(recipe.anchors.smoothing, 512):g}x at 512x640",
            smoothing_difference,
            "cues/test_anchors.py::test_smoothing_takes_means_under_triangles_and_enlarges_again",
            1e-5,
        ),
        Item(
            "smoothing of given anchors",
            "the same",
            "at their own size",
            lambda: abs(smoothing_factor(recipe.anchors.smoothing, 1024) - 4),
            "learning/test_supervision.py::"
            "test_given_anchors_are_smoothed_at_their_own_size_as_the_authors_do_with_these_files",
        ),
        Item(
            "crops",
            "cut from 1024x1280",
            "cut from 512x640 and enlarged",
            sharpness_lost,
            "learning/test_pairs.py::test_a_view_stays_within_the_picture",
            0.0,
            "of the variance of the Laplacian",
            LEFT,
        ),
        Item(
            "augmentation",
            "crops of .85 to 1, flips, the same for a pair",
            f"{train.crop_smallest} to 1, flips",
            lambda: abs(train.crop_smallest - 0.85) + float(not train.flip),
            "learning/test_training.py::test_both_frames_of_a_pair_share_crop_and_flip_but_not_colour",
        ),
        Item(
            "colour jitter",
            ".1, .1, .01, .01 in any order, 8 bit after each",
            "the same strengths, one affine map",
            jitter_difference,
            "learning/test_pairs.py::test_each_jitter_changes_what_it_is_named_after",
            0.0,
            "of [0, 1], at the strongest",
            LEFT,
        ),
        Item(
            "network, in evaluation",
            "ResNet-18 U-Net",
            "`ResNet18UNet`",
            lambda: network_difference(trains=False),
            f"{PUBLISHED}::test_the_network_of_released_is_the_published_one_operation_by_operation",
            1e-9,
        ),
        Item(
            "network, in training",
            "its batch norms trained on",
            f"`network.normalization = {recipe.network.normalization}`",
            lambda: network_difference(trains=True),
            f"{PUBLISHED}::test_the_network_of_released_is_the_published_one_operation_by_operation",
            1e-9,
        ),
        Item(
            "weights of decoder and head",
            "478,940",
            "`ResNet18UNet`",
            lambda: float(abs(decoder_weights() - 478_940)),
            f"{PUBLISHED}::test_the_published_decoder_and_head_have_478940_weights_and_3_82_billion_products",
        ),
        Item(
            "initialisation of the decoder",
            "PyTorch's own",
            "PyTorch's own",
            initialisation_difference,
            f"{PUBLISHED}::test_the_decoder_starts_as_pytorch_starts_it_and_the_encoder_as_torchvision_does",
            0.05,
            "of the largest weight",
        ),
        Item(
            "frames of a pair",
            "first frames, then second ones",
            f"`training.frames = {train.frames}`",
            lambda: float(train.frames != "apart"),
            "learning/test_training.py::test_frames_apart_have_norms_of_their_own_and_else_the_same_logits",
        ),
        Item(
            "pixel normalisation of features",
            "f / sqrt(f . f + 1e-6)",
            "`features.normalized`",
            normalisation_difference,
            f"{PUBLISHED}::test_a_whole_step_equals_the_published_one_in_loss_and_every_gradient",
            1e-12,
        ),
        Item(
            "losses",
            "log anchor loss, diffusion at 256x320, bicubic",
            "`full_loss` of `released`",
            lambda: loss_differences()[0],
            f"{PUBLISHED}::test_a_whole_step_equals_the_published_one_in_loss_and_every_gradient",
            1e-6,
            "relative",
        ),
        Item(
            "gradient of the losses",
            "the same",
            "the same",
            lambda: loss_differences()[1],
            f"{PUBLISHED}::test_the_diffusion_losses_equal_the_published_ones_in_value_and_gradient",
            1e-4,
            "relative",
        ),
        Item(
            "features of augmented frames",
            "of each crop, jittered",
            "of the whole frame, the crop folded into the interpolation",
            features_difference,
            "learning/test_resampling.py::test_kept_features_with_transposed_interpolation_equal_interpolated_features",
            0.0,
            "of the loss",
            "frames of the feature network",
        ),
        Item(
            "optimiser",
            "Adam, 5e-4, constant, 6 pairs",
            f"Adam, {train.learning_rate:g}, {train.schedule}, {train.pairs_per_step} pairs",
            lambda: (
                abs(train.learning_rate - 5e-4) + abs(train.pairs_per_step - 6) + float(train.schedule != "constant")
            ),
            "test_recipe.py::test_released_has_the_published_settings",
        ),
        Item(
            "first three steps of training",
            "losses from the same weights",
            "`training_step`",
            steps_difference,
            f"{PUBLISHED}::test_the_first_steps_of_released_lose_what_the_published_ones_do",
            1e-6,
            "relative",
        ),
        Item(
            "length of training",
            "6 epochs of 299 batches, the last of 4 pairs",
            f"{train.steps} steps of 6",
            lambda: float(abs(train.steps - 6 * math.ceil(8 * 224 / 6))),
            "test_recipe.py::test_released_has_the_published_settings",
            0.0,
            "steps",
            LEFT,
        ),
        Item(
            "threshold",
            "floor(255 p) > 153",
            f"p > {recipe.masks.threshold:.7f}",
            threshold_difference,
            "inference/test_thresholds.py::test_the_threshold_of_released_is_153_of_the_whole_levels",
            0.0,
            "of the pixels",
        ),
        Item(
            "small blobs",
            "4-connected, under 10,000 px of 1024x1280, dropped",
            f"{recipe.masks.blob_connectivity}-connected, under {recipe.masks.smallest_blob:.4%}",
            blob_difference,
            "inference/test_thresholds.py::test_diagonal_neighbours_are_one_blob",
            0.0,
            "of the pixels",
        ),
    ]


def smoothing_difference() -> float:
    """Against sums over every pixel, on a drawn map reduced by 4."""
    product = np.random.default_rng(0).random((32, 40))
    reduced = np.zeros((8, 10))
    for row, column in np.ndindex(reduced.shape):
        y, x = np.mgrid[:32, :40] + 0.5
        near = np.clip(1 - np.abs(y - 4 * row - 2) / 4, 0, 1) * np.clip(1 - np.abs(x - 4 * column - 2) / 4, 0, 1)
        reduced[row, column] = (near * product).sum() / near.sum()
    expected = cv2.resize(reduced, (40, 32), interpolation=cv2.INTER_LINEAR)
    return float(np.abs(smooth(product.astype(np.float32), 4.0) - expected).max())


def sharpness_lost() -> float | None:
    """Of crops at .85: 1 - variance of the Laplacian where cut from 512x640 over that where cut from 1024x1280."""
    view = View(0.07, 0.07, 0.85, 0.85, False)
    lost: list[float] = []
    for large, small in zip(frames_at(1024, 1280), frames_at(512, 640), strict=True):
        part = large[round(0.07 * 1024) : round(0.92 * 1024), round(0.07 * 1280) : round(0.92 * 1280)]
        sharp = cv2.resize(part, (640, 512), interpolation=cv2.INTER_AREA)
        first, second = (
            cv2.Laplacian(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for x in (sharp, seen(small, view))
        )
        lost.append(1 - float(second / first))
    return max(lost, default=None)


def jitter_difference() -> float:
    """Of a jitter at its strongest, on drawn colours: ours, and one operation after the other in 8 bits."""

    class Strongest(np.random.Generator):
        def uniform(self, low: float, high: float) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
            del low
            return high

    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    ours = jitter(rgb, TrainingRecipe(), Strongest(np.random.PCG64(0)))
    weights = np.array([0.299, 0.587, 0.114])
    theirs = _levels(1.1 * rgb)
    theirs = _levels(1.1 * theirs - 0.1 * np.round((theirs @ weights).mean()))
    theirs = _levels(1.01 * theirs - 0.01 * np.round(theirs @ weights)[..., None])
    hsv = cv2.cvtColor(theirs, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(0.01 * 255)
    return float(np.abs(ours - cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL) / 255).max())


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def released() -> Recipe:
    """With weights from chance."""
    return load_recipe("released", ["network.weights=random", "training.precision=float32"])


@cache
def published_network() -> ResNet18UNet:
    """In double precision, its norms such that they change what goes through."""
    torch.manual_seed(0)
    net = untrained_network(released()).double()
    assert isinstance(net, ResNet18UNet)
    net.mean, net.std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        assert norm.running_var is not None
        torch.nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return net


def network_difference(*, trains: bool) -> float:
    """Of a logit, over their deviation."""
    net = published_network().train(trains)
    rgb = torch.rand(2, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        theirs = published_logits(weights, rgb, trains=trains)
        return float((net(rgb) - theirs).abs().max() / theirs.std())


def decoder_weights() -> int:
    """Their number."""
    net = published_network()
    return sum(p.numel() for p in [*net.up.parameters(), *net.head.parameters()])


def initialisation_difference() -> float:
    """How far the largest weight of each layer is below the bound of PyTorch's uniform draw, at most."""
    torch.manual_seed(0)
    net = untrained_network(released())
    assert isinstance(net, ResNet18UNet)
    layers = [m for m in net.up.modules() if isinstance(m, torch.nn.Conv2d)]
    return max(abs(1 - float(m.weight.detach().abs().max()) * m.weight[0].numel() ** 0.5) for m in layers)


def normalisation_difference() -> float:
    """On drawn features, small and large."""
    features = torch.rand(16, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1e-3
    theirs = features / torch.sqrt((features**2).sum(0) + 1e-6)
    return float((normalized(features) - theirs).abs().max())


def drawn_batch(features: torch.Tensor, size: tuple[int, int], views: list[View]) -> Batch:
    """Two pairs of random pictures and anchors in double precision."""
    generator = torch.Generator().manual_seed(0)
    rgb, both = (torch.rand(4, k, *size, generator=generator, dtype=torch.float64) for k in (3, 2))
    matrices = view_matrices(views, size, features.shape[2:], RELEASED.features)
    return Batch(rgb, both[:, :1], both[:, 1:], torch.ones_like(rgb[:, :1]), features, *(m.double() for m in matrices))


@cache
def loss_differences() -> tuple[float, float]:
    """Of a batch's loss and of its gradient by the logits, relative to their size."""
    generator = torch.Generator().manual_seed(0)
    # One direction a frame and little else: cosines near 1 within and between, so that all terms are at work.
    features = F.normalize(torch.rand(4, 512, 1, 1, generator=generator, dtype=torch.float64) + 0.2, dim=1)
    features = features + 0.03 * torch.rand(4, 512, 4, 6, generator=generator, dtype=torch.float64)
    batch = drawn_batch(features, (64, 96), [WHOLE] * 4)
    logits = torch.randn(4, 1, 64, 96, generator=generator, dtype=torch.float64, requires_grad=True)
    ours = full_loss(logits, batch, RELEASED).total
    theirs = published_loss(logits, batch.positive, batch.negative, features)
    (first,), (second,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    return float(((ours - theirs).abs() / theirs.abs()).detach()), float((first - second).norm() / second.norm())


def features_difference() -> float:
    """Of the loss, relative: random VGG16 features of a crop, and of the whole frame seen through that crop."""
    view, size = View(0.05, 0.1, 0.85, 0.85, False), (128, 160)
    vgg = random_vgg16()
    frames = [cv2.GaussianBlur(np.random.default_rng(k).random((*size, 3), np.float32), (0, 0), 3) for k in range(4)]
    whole, crops = (
        cell_features(vgg, torch.from_numpy(np.stack(x)).permute(0, 3, 1, 2)).double()
        for x in (frames, [seen(frame, view) for frame in frames])
    )
    batch = drawn_batch(whole, size, [view] * 4)
    logits = torch.logit(batch.positive.clamp(0.01, 0.99))
    ours = full_loss(logits, batch, RELEASED).total
    theirs = published_loss(logits, batch.positive, batch.negative, crops)
    return float((ours - theirs).abs() / theirs.abs())


def steps_difference() -> float:
    """Of the loss of three steps from the same weights on the same pictures, relative."""
    recipe, net = released(), published_network().train()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    learnt = [weights[name].requires_grad_() for name, _ in net.named_parameters()]
    batch = drawn_batch(torch.zeros(4, 512, 4, 4, dtype=torch.float64), (64, 64), [WHOLE] * 4)
    batch = batch._replace(features=cell_features(random_vgg16().double(), batch.rgb))
    ours, theirs = adam(net, recipe), torch.optim.Adam(learnt, lr=5e-4)
    worst = 0.0
    for _ in range(3):
        halves = [published_logits(weights, rgb, trains=True) for rgb in batch.rgb.chunk(2)]
        loss = published_loss(torch.cat(halves), batch.positive, batch.negative, batch.features)
        total = full_loss(pair_logits(net, batch.rgb, recipe), batch, recipe).total
        for optimiser, value in ((theirs, loss), (ours, total)):
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        worst = max(worst, float((total - loss).detach().abs() / loss.detach().abs()))
    published_network.cache_clear()  # it has been trained
    return worst


def threshold_difference() -> float:
    """Share of drawn probabilities that fall on the other side."""
    p = np.random.default_rng(0).uniform(0.59, 0.62, (400, 500)).astype(np.float32)
    theirs = (p * np.float32(255)).astype(np.uint8) > 255 * 0.6
    return float((mask_of(p, None, dataclasses.replace(RELEASED.masks, smallest_blob=0.0)) != theirs).mean())


def blob_difference() -> float:
    """Share of the pixels of drawn masks that scikit-image keeps and ours drops, or the other way round."""
    masks, rng, worst = RELEASED.masks, np.random.default_rng(0), 0.0
    for share in (0.4, 0.5, 0.6):
        mask = rng.random((256, 320)) < share
        least = math.ceil(masks.smallest_blob * mask.size)
        theirs = remove_small_objects(mask, max_size=least - 1, connectivity=1)
        ours = without_small_blobs(mask, masks.smallest_blob, masks.blob_connectivity)
        worst = max(worst, float((ours != theirs).mean()))
    return worst
