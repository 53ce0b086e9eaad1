"""Lines of the fidelity table: what the paper says."""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
import torch
from skimage.color import rgb2lab
from skimage.filters import threshold_otsu
from tests import reference

from benchmarks.fidelity_items import Item
from benchmarks.machine import data_place
from cuemask.cues.anchors import anchors
from cuemask.cues.color import color_cue
from cuemask.cues.location import MeanMap
from cuemask.cues.objectness import objectness_cue
from cuemask.cues.otsu import otsu_threshold
from cuemask.datasets.endovis2017 import FOLDS
from cuemask.evaluation.metrics import Counts, dice, iou
from cuemask.learning.backbones import VGG16Relu53
from cuemask.learning.losses import anchor_loss, diffusion_loss, region_means
from cuemask.learning.pairs import schedule, step_pairs
from cuemask.learning.resampling import carry_down, interpolation_matrix, resample
from cuemask.learning.unet import network
from cuemask.recipe import NAMED, PAPER, NetworkRecipe
from cuemask.runs.labels import every_so_many

EXACT = 1e-9
LOSSES = "learning/test_losses.py"
FRAMES = (("endovis17_dataset4/frames", (28, 320, 1024, 1280)), ("endovis18_sequence/frames", (0, 0, 1024, 1280)))
MAPS = ("endovis17_dataset4_frame000.png", "endovis18_sequence_frame045.png")


def items() -> list[Item]:
    """In the paper's order."""
    lam = PAPER.losses
    return [
        Item(
            "colour cue (2.1)",
            "(1 - a*) (1 - S)",
            "`color_cue`",
            color_difference,
            "cues/test_color.py::test_the_papers_cue_is_inverted_a_times_inverted_saturation",
            2e-3,
        ),
        Item(
            "objectness cue (2.1)",
            "detector of Alexe et al.",
            "`objectness_cue`, from the definitions",
            objectness_difference,
            "cues/test_objectness.py::test_heat_map_agrees_with_an_independent_port_of_the_original",
            0.0,
            "of 1 - r to an independent port",
            "Objectness",
        ),
        Item(
            "location cue (2.1)",
            "mean of the colour maps",
            "`MeanMap.mean`",
            location_difference,
            "cues/test_anchors.py::test_the_location_cue_is_the_mean_in_any_order",
            1e-6,
        ),
        Item(
            "anchors (2.1)",
            "products of cues, of inverted cues",
            "`anchors`",
            anchors_difference,
            "cues/test_anchors.py::test_anchors_are_the_products_of_the_cues_and_of_the_inverted_cues",
            1e-6,
        ),
        Item(
            "size of the cues (2.1)",
            "the frame's",
            "512x640",
            size_difference,
            "cues/test_clip.py::test_the_papers_anchors_are_the_products_of_the_kept_cues",
            0.0,
            "of the positive anchor, mean over pixels",
            "Cues at the working size",
        ),
        Item(
            "segmentation network (2.1)",
            "vanilla U-Net, 23 convolutions",
            "`UNet`",
            unet_difference,
            "learning/test_networks.py::test_the_vanilla_unet_has_the_original_layers",
            0.0,
            "weights",
        ),
        Item(
            "norms of the U-Net",
            "none in 2015",
            f"`network.normalization = {PAPER.network.normalization}`",
            lambda: float(sum(isinstance(m, torch.nn.BatchNorm2d) for m in paper_network().modules())),
            "learning/test_networks.py::test_the_vanilla_unet_has_the_original_layers",
            0.0,
            "norms",
            "batch norm in the U-Net",
        ),
        Item(
            "dropout of the U-Net",
            "at the end of the contracting path",
            f"`network.dropout = {PAPER.network.dropout}`",
            lambda: 0.5 - PAPER.network.dropout,
            "learning/test_networks.py::test_dropout_works_on_the_two_lowest_levels_and_in_training_only",
            0.0,
            "dropped",
            "dropout in the U-Net",
        ),
        Item(
            "convolutions of the U-Net",
            "unpadded, mirrored tiles",
            f"`network.mirror_px = {PAPER.network.mirror_px}`",
            lambda: 96.0 - PAPER.network.mirror_px,
            "learning/test_networks.py::test_with_a_mirrored_border_the_unet_is_the_original_with_unpadded_convolutions",
            0.0,
            "px",
            "padded convolutions in the U-Net",
        ),
        Item(
            "anchor loss, eq. 1",
            "mean of -a_pos p - a_neg (1 - p)",
            "`anchor_loss`",
            lambda: loss_differences()["anchor"],
            f"{LOSSES}::test_each_term_equals_its_own_equation",
            EXACT,
        ),
        Item(
            "aggregated features, eq. 2",
            "sum_i p_i F_i, up to its length",
            "`region_means`",
            lambda: loss_differences()["regions"],
            f"{LOSSES}::test_each_term_equals_its_own_equation",
            EXACT,
        ),
        Item(
            "foreground loss, eq. 3",
            "quadruplet, margin",
            "`diffusion_loss`",
            lambda: loss_differences()["foreground"],
            f"{LOSSES}::test_each_term_equals_its_own_equation",
            EXACT,
        ),
        Item(
            "background loss, eq. 4",
            "quadruplet, margin",
            "`diffusion_loss`",
            lambda: loss_differences()["background"],
            f"{LOSSES}::test_each_term_equals_its_own_equation",
            EXACT,
        ),
        Item(
            "full loss, eq. 5",
            "both frames' anchors and eq. 3, 4, weights 1",
            "`full_loss`",
            lambda: abs(lam.foreground_weight - 1) + abs(lam.background_weight - 1) + loss_differences()["full"],
            f"{LOSSES}::test_the_full_loss_equals_equations_1_to_5_as_literal_loops",
            EXACT,
        ),
        Item(
            "margins (3)",
            "0.2, 0.8",
            f"{lam.foreground_margin}, {lam.background_margin}",
            lambda: abs(lam.foreground_margin - 0.2) + abs(lam.background_margin - 0.8),
            f"{LOSSES}::test_the_full_loss_equals_equations_1_to_5_as_literal_loops",
        ),
        Item(
            "features (3)",
            "VGG16 to relu5_3, frozen: 14,714,688 weights",
            "`VGG16Relu53`",
            vgg_difference,
            "learning/test_networks.py::test_vgg16_has_torchvisions_26_names_and_stride_16",
            0.0,
            "weights",
        ),
        Item(
            "interpolation of features (3)",
            "to the size of p",
            "p carried down by the transposed matrices",
            interpolation_difference,
            "learning/test_resampling.py::test_kept_features_with_transposed_interpolation_equal_interpolated_features",
            EXACT,
        ),
        Item(
            "threshold (3)",
            "Otsu",
            "`otsu_threshold`, own range",
            otsu_difference,
            "cues/test_anchors.py::test_on_its_own_range_otsu_splits_a_dim_map_as_a_bright_one",
            0.01,
            "of the pixels",
        ),
        Item(
            "IoU and Dice (3)",
            "of masks",
            "`metrics.iou`, `dice`",
            metric_difference,
            "evaluation/test_metrics.py::test_figures_equal_those_from_a_contingency_table",
            EXACT,
        ),
        Item(
            "folds (3, TT)",
            "{1, 3}, {2, 5}, {4, 8}, {6, 7}",
            "the same",
            lambda: float(FOLDS != ((1, 3), (2, 5), (4, 8), (6, 7))),
            "experiments/test_plan.py::test_the_folds_of_endovis_2017_are_those_of_the_challenge_winners",
        ),
        Item(
            "50 % labels (3.3)",
            "every second frame",
            "`every_so_many`",
            lambda: float(every_so_many("abcdef", 50) != ["a", "c", "e"]),
            "learning/test_pairs.py::test_labels_of_every_second_frame_leave_the_order_of_pairs_as_it_is",
        ),
        Item(
            "skin lesions (3.5)",
            "no colour cue, Gaussian prior, random pairs",
            "`isic`",
            lambda: float(not isic_is_the_papers()),
            "learning/test_pairs.py::test_each_pass_draws_random_partners_anew",
        ),
        Item(
            "random pairs (3.5)",
            "sampled",
            "drawn anew each pass",
            one_partner,
            "learning/test_pairs.py::test_each_pass_draws_random_partners_anew",
            0.0,
            "of the frames meet one partner in 20 passes",
        ),
    ]


def color_difference() -> float:
    """Against scikit-image's LAB and Python's own HSV, on drawn colours."""
    rgb = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    a = (rgb2lab(rgb)[..., 1] + 128) / 255
    s = np.array([[colorsys.rgb_to_hsv(*(pixel / 255))[1] for pixel in row] for row in rgb])
    return float(np.abs(color_cue(rgb) - (1 - a) * (1 - s)).max())


def location_difference() -> float:
    """Against the mean, on drawn maps."""
    maps = np.random.default_rng(0).random((9, 12, 16), np.float32)
    mean = MeanMap(12, 16)
    for one in maps:
        mean.add(one)
    return float(np.abs(mean.mean() - maps.mean(0, np.float64)).max())


def anchors_difference() -> float:
    """Against products in double precision, on drawn maps."""
    cues = np.random.default_rng(0).random((3, 12, 16), np.float32)
    both = anchors(list(cues))
    exact = cues.astype(np.float64)
    return float(max(np.abs(both.positive - exact.prod(0)).max(), np.abs(both.negative - (1 - exact).prod(0)).max()))


@cache
def loss_differences() -> dict[str, float]:
    """Each equation against its literal loops in double precision, on drawn values."""
    rng = np.random.default_rng(0)
    p, a_pos, a_neg = (rng.random((2, 30)) for _ in range(3))
    features = rng.random((2, 30, 7)) - 0.3
    grids = [torch.from_numpy(p[k].reshape(1, 5, 6)) for k in (0, 1)]
    whole = torch.ones(1, 5, 6, dtype=torch.float64)
    regions = [
        region_means(grids[k], whole, torch.from_numpy(features[k].T.reshape(1, 7, 5, 6).copy())) for k in (0, 1)
    ]
    terms = [float(diffusion_loss(*regions, of=of, margin=m)) for of, m in (("foreground", 0.2), ("background", 0.8))]
    logits = torch.logit(torch.from_numpy(p))
    anchor = [float(anchor_loss(logits[k], torch.from_numpy(a_pos[k]), torch.from_numpy(a_neg[k]))) for k in (0, 1)]
    expected = reference.diffusion_losses(p[0], features[0], p[1], features[1], 0.2, 0.8)
    loops = [reference.anchor_loss(a_pos[k], a_neg[k], p[k]) for k in (0, 1)]
    found = {
        "anchor": max(abs(a - b) for a, b in zip(anchor, loops, strict=True)),
        "foreground": abs(terms[0] - expected[0]),
        "background": abs(terms[1] - expected[1]),
    }
    sums = reference.regions(p[0], features[0])
    lengths = (p[0].sum(), (1 - p[0]).sum())
    found["regions"] = max(
        float(np.abs(mean[0].numpy() - np.array(total) / length).max())
        for mean, total, length in zip(regions[0], sums, lengths, strict=True)
    )
    whole_loss = reference.full_loss(
        p[0], features[0], (a_pos[0], a_neg[0]), p[1], features[1], (a_pos[1], a_neg[1]), 0.2, 0.8
    )
    found["full"] = abs(sum(anchor) + sum(terms) - whole_loss)
    return found


def paper_network() -> torch.nn.Module:
    """Without memory for its weights."""
    with torch.device("meta"):
        return network(PAPER.network)


def unet_difference() -> float:
    """Weights of the 23 convolutions of figure 1 in Ronneberger et al. with three colours in and one class out."""
    levels = [64, 128, 256, 512, 1024]
    layers = [(3, b, a) for pair in zip([3, *levels], levels, strict=False) for b, a in (pair, (pair[1], pair[1]))]
    for below, above in zip(levels[:0:-1], levels[-2::-1], strict=True):
        layers += [(2, below, above), (3, 2 * above, above), (3, above, above)]
    layers.append((1, 64, 1))
    with torch.device("meta"):
        ours = sum(p.numel() for p in network(NetworkRecipe()).parameters())
    return float(abs(ours - sum(side**2 * before * after + after for side, before, after in layers)))


def vgg_difference() -> float:
    """In the number of weights."""
    with torch.device("meta"):
        return float(abs(sum(p.numel() for p in VGG16Relu53().parameters()) - 14_714_688))


def interpolation_difference() -> float:
    """Of a region's sum: features carried up, and the probability carried down; over the sum's length."""
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(32, 40, generator=generator, dtype=torch.float64)
    features = torch.rand(5, 4, 5, generator=generator, dtype=torch.float64)
    rows, columns = (interpolation_matrix(n, k, dtype=torch.float64) for n, k in ((32, 4), (40, 5)))
    up = (resample(features, rows, columns) * p).sum((-1, -2))
    down = (features * carry_down(p, rows, columns)).sum((-1, -2))
    return float((up - down).norm() / up.norm())


def otsu_difference() -> float:
    """Share of pixels that scikit-image's threshold puts elsewhere, at most, over maps as dim as 1/1000."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for scale in (1.0, 0.05, 0.001):
        values = scale * np.concatenate([rng.normal(0.3, 0.1, 5000), rng.normal(0.7, 0.08, 2000)]).clip(0, 1)
        values = values.astype(np.float32)
        ours, theirs = values > otsu_threshold(values, own_range=True), values > threshold_otsu(values, nbins=256)
        worst = max(worst, float((ours != theirs).mean()))
    return worst


def metric_difference() -> float:
    """Against sums over pixels, on drawn masks."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for share in (0.1, 0.5, 0.9):
        a, b = (rng.random((2, 20, 30)) < share).astype(bool)
        both, either = int((a & b).sum()), int((a | b).sum())
        counts = Counts.of(a, b)
        worst = max(worst, abs(float(iou(counts)) - both / either))
        worst = max(worst, abs(float(dice(counts)) - 2 * both / int(a.sum() + b.sum())))
    return worst


def isic_is_the_papers() -> bool:
    """Section 3.5."""
    isic = NAMED["isic"]
    told = ("color" not in isic.cues.use, isic.cues.location == "gaussian", isic.training.pairing == "random")
    return all(told) and isic.losses == PAPER.losses and isic.losses.diffuses


def one_partner() -> float:
    """Share of 40 frames that meet a single other one in 20 passes."""
    order = schedule([40], NAMED["isic"].training, 0)
    met: dict[int, set[int]] = {}
    for step in range(20 * 40 // NAMED["isic"].training.pairs_per_step):
        for pair in step_pairs(order, step):
            met.setdefault(pair.first, set()).add(pair.second)
    return sum(len(partners) == 1 for partners in met.values()) / 40


def frames_at(height_px: int, width_px: int) -> list[np.ndarray]:
    """The first real frame of each EndoVis folder, cut out; none where they are not at hand."""
    found: list[np.ndarray] = []
    for folder, (top, left, height, width) in FRAMES:
        paths = sorted((data_place() / folder).glob("*.*"))
        if paths:
            rgb = cv2.imread(str(paths[0]))[top : top + height, left : left + width, ::-1]
            found.append(cv2.resize(np.ascontiguousarray(rgb), (width_px, height_px), interpolation=cv2.INTER_AREA))
    return found


def size_difference() -> float | None:
    """Mean over pixels, of the positive anchor from cues at 1024x1280, reduced by area, and from cues at 512x640."""
    found: list[float] = []
    for large, small in zip(frames_at(1024, 1280), frames_at(512, 640), strict=True):
        first, second = (_positive(rgb) for rgb in (large, small))
        found.append(float(np.abs(cv2.resize(first, (640, 512), interpolation=cv2.INTER_AREA) - second).mean()))
    return max(found, default=None)


def _positive(rgb: np.ndarray) -> np.ndarray:
    color = color_cue(rgb)
    return anchors([color, _objectness(rgb), color]).positive  # of one frame, the clip's mean is its own map


def _objectness(rgb: np.ndarray) -> np.ndarray:
    return objectness_cue(rgb, superpixel_cost=PAPER.cues.superpixel_cost)


def objectness_difference() -> float | None:
    """1 - r to the heat maps of an independent port, the larger of two frames."""
    found: list[float] = []
    for rgb, name in zip(frames_at(512, 640), MAPS, strict=False):
        theirs = cv2.imread(str(data_place() / "objectness_reference" / name), cv2.IMREAD_GRAYSCALE)
        if theirs is not None:
            found.append(1 - float(np.corrcoef(_objectness(rgb).ravel(), theirs.ravel())[0, 1]))
    return max(found, default=None)
