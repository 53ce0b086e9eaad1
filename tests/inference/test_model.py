from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cuemask.cues.clip import working_picture
from cuemask.errors import WeightsError
from cuemask.inference.model import FILE, Model, load_model, save_model
from cuemask.inference.prediction import segmented
from cuemask.inference.thresholds import finished_probability, full_probability
from cuemask.learning.unet import network
from cuemask.media.area import PictureArea
from cuemask.media.frames import Frame
from cuemask.recipe import load_recipe, recipe_as_mapping

TINY = load_recipe(
    "default",
    [
        "network.start=chance",
        "network.width=4",
        "network.depth=2",
        "input.height_px=32",
        "input.width_px=40",
        "masks.refinement=none",
    ],
)


def model(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return Model(network(TINY.network).eval(), TINY, "cpu")


def frames(count: int, height: int = 48, width: int = 60) -> list[Frame]:
    rng = np.random.default_rng(0)
    return [Frame(f"{k:06d}", k, None, rng.integers(0, 256, (height, width, 3)).astype(np.uint8)) for k in range(count)]


def test_a_saved_model_predicts_as_before_and_brings_its_recipe(tmp_path):
    ours = model()
    save_model(ours.network, TINY, tmp_path / FILE)
    for given in (tmp_path, tmp_path / FILE):
        loaded = load_model(given)
        assert loaded.recipe == TINY
        pictures = np.stack([f.rgb[:32, :40] for f in frames(2)])
        assert np.array_equal(loaded.working_probability(pictures), ours.working_probability(pictures))


def test_one_network_makes_one_file_to_the_byte(tmp_path):
    ours = model()
    for k in range(8):  # the library writes two entries of metadata in either order
        save_model(ours.network, TINY, tmp_path / f"{k}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_missing_model_names_the_next_command(tmp_path):
    with pytest.raises(WeightsError, match=r"no trained model.*\n.*cuemask train"):
        load_model(tmp_path)


def test_files_that_are_no_models_are_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"text")
    with pytest.raises(WeightsError, match="not a model"):
        load_model(tmp_path)
    save_file({"x": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(WeightsError, match="not a model"):
        load_model(tmp_path)
    recipe = json.dumps({"network": {"width": 4}})
    save_file({"x": torch.zeros(1)}, tmp_path / FILE, {"recipe": recipe})
    with pytest.raises(WeightsError, match="lacks"):
        load_model(tmp_path)


@pytest.mark.parametrize("architecture", ["unet", "resnet18_unet"])
def test_models_of_before_load_with_the_wiring_that_they_were_trained_with(architecture, tmp_path):
    """Their recipes do not name what could not be chosen then."""
    settings = [f"network.architecture={architecture}", "network.weights=random", "network.skips=before"]
    if architecture == "resnet18_unet":
        settings.append("network.normalization=none")
    recipe = load_recipe("default", [*settings, "network.start=chance", "network.width=4", "network.depth=2"])
    torch.manual_seed(0)
    net = network(recipe.network).eval()
    values = recipe_as_mapping(recipe)
    for name in ("skips", "scaling", "dropout", "mirror_px", "start"):
        del values["network"][name]
    values["network"]["normalization"] = "batch"  # which then said nothing of an encoder
    for section, name in (
        ("training", "frames"),
        ("cues", "superpixel_cost"),
        ("masks", "otsu_range"),
        ("masks", "blob_connectivity"),
        ("training", "pasted"),
        ("training", "averaging"),
        ("losses", "diffuse_to"),
        ("losses", "diffuse_in"),
        ("cues", "least_shape"),
        ("cues", "shape_weight"),
        ("anchors", "positive_power"),
    ):
        del values[section][name]
    save_file(net.state_dict(), tmp_path / FILE, {"cuemask": "0.1.0", "recipe": json.dumps(values)})
    loaded = load_model(tmp_path)
    rgb = torch.rand(1, 3, 64, 64)
    assert torch.allclose(loaded.network(rgb), net(rgb), atol=1e-5)
    assert loaded.recipe.cues.superpixel_cost == 75
    assert (loaded.recipe.training.pasted, loaded.recipe.anchors.positive_power) == (0, 1)
    assert (loaded.recipe.masks.otsu_range, loaded.recipe.masks.blob_connectivity) == ("unit", 8)


def nothing(*_):
    return None


@pytest.mark.parametrize("one_core", [False, True])
def test_results_come_in_order_whatever_the_batch(one_core):
    area = PictureArea(4, 6, 40, 50, None)
    ours = replace(model(), one_core=one_core)
    lists = [list(segmented(ours, frames(7), area, nothing, at_once=at_once)) for at_once in (1, 3, 8)]
    for results in lists:
        assert [r.frame.index for r in results] == list(range(7))
        assert all(np.array_equal(a.mask, b.mask) for a, b in zip(results, lists[0], strict=True))


@pytest.mark.parametrize("one_core", [False, True])
def test_known_masks_are_passed_on_without_a_probability(one_core):
    known = np.ones((48, 60), bool)
    results = list(
        segmented(
            replace(model(), one_core=one_core),
            frames(5),
            PictureArea(0, 0, 48, 60, None),
            lambda frame, mask, p: (frame.index, mask.all(), p is None),
            known=lambda frame: known if frame.index in (1, 2) else None,
        )
    )
    assert [r.finished[2] for r in results] == [False, True, True, False, False]
    assert results[1].finished == (1, True, True)
    assert results[1].mask is known


def test_known_frames_leave_the_others_in_their_places_of_as_many_pictures():
    """Else a resumed run would round otherwise than an unbroken one: sums depend on how many pictures go together."""
    batches = []

    class Counting:
        recipe, device, one_core = TINY, "cpu", False

        def working_probability(self, pictures):
            batches.append(pictures)
            return np.zeros(pictures.shape[:3], np.float32)

    def mirror_images_taken_out():
        """Each batch goes through the network as it is and then mirrored."""
        assert all(np.array_equal(a, b[:, :, ::-1]) for a, b in zip(batches[::2], batches[1::2], strict=True))
        found = batches[::2]
        batches.clear()
        return found

    area, mask = PictureArea(0, 0, 48, 60, None), np.ones((48, 60), bool)
    list(segmented(Counting(), frames(11), area, nothing))
    unbroken = mirror_images_taken_out()
    list(segmented(Counting(), frames(11), area, nothing, known=lambda frame: mask if frame.index < 6 else None))
    resumed = mirror_images_taken_out()
    assert [len(pictures) for pictures in resumed] == [4, 3]
    assert not resumed[0][:2].any()
    assert np.array_equal(resumed[0][2:], unbroken[1][2:])
    assert np.array_equal(resumed[1], unbroken[2])


def test_each_frame_of_a_model_on_one_core_goes_through_it_alone():
    counts = []

    class Counting:
        recipe, device, one_core = TINY, "cpu", True

        def working_probability(self, pictures):
            counts.append(len(pictures))
            return np.zeros(pictures.shape[:3], np.float32)

    list(segmented(Counting(), frames(5), PictureArea(0, 0, 48, 60, None), nothing))
    assert counts == [1] * 10  # each as it is, and mirrored


@pytest.mark.parametrize("one_core", [False, True])
def test_the_mirrored_opinion_is_that_of_the_mirror_image_mirrored_back(one_core):
    ours = replace(model(), one_core=one_core)
    area = PictureArea(0, 0, 48, 60, None)
    for result in segmented(ours, frames(3), area, lambda frame, mask, seen: seen):
        picture = working_picture(result.frame.rgb, area, ours.recipe)
        (expected,) = ours.working_probability(np.ascontiguousarray(picture[None, :, ::-1]))
        assert np.allclose(result.finished.mirrored, expected[:, ::-1], atol=1e-5)
        assert not np.allclose(result.finished.mirrored, ours.working_probability(picture[None])[0], atol=1e-5)


def test_outside_the_picture_probability_and_mask_are_zero():
    inside = np.zeros((40, 50), bool)
    inside[5:35, 5:45] = True
    area = PictureArea(4, 6, 40, 50, inside)
    frame = frames(1)[0]
    p = finished_probability(np.full((32, 40), 0.9, np.float32), frame.rgb, area, TINY)
    p = full_probability(p, area, 48, 60)
    assert p.shape == (48, 60)
    assert p[20, 30] == pytest.approx(0.9)
    assert (p[area.paste(~inside, 48, 60)] == 0).all()
    assert (p[:4] == 0).all()
    (result,) = segmented(model(), [frame], area, nothing)
    assert not result.mask[:4].any()
    assert not result.mask[area.paste(~inside, 48, 60)].any()


def test_an_error_in_a_worker_reaches_the_caller():
    def full_disk(*_):
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        list(segmented(model(), frames(6), PictureArea(0, 0, 48, 60, None), full_disk))
