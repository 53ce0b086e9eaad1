from __future__ import annotations

import numpy as np
import pytest

from cuemask.cues.clip import KeptClip, keep_clip
from cuemask.cues.fusion import Clipwide
from cuemask.learning.features import Texture, extractor_for
from cuemask.learning.kept import FILES, keep_for_training, remove_kept
from cuemask.learning.pairs import frames_met, schedule
from cuemask.learning.training import train
from cuemask.media.area import PictureArea
from cuemask.media.clips import open_clips
from cuemask.phantom import PhantomScene, write_phantom
from cuemask.recipe import load_recipe

SMALLEST = (
    "input.height_px=48",
    "input.width_px=64",
    "network.start=chance",
    "network.width=4",
    "network.depth=2",
    "training.steps=2",
    "training.precision=float32",
)


def diffusing(weight, *settings):
    weights = (f"losses.{region}_weight={weight}" for region in ("foreground", "background"))
    return load_recipe("default", [*SMALLEST, *weights, *settings])


RECIPE = diffusing(0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return kept_phantom(tmp_path_factory.mktemp("kept"), PhantomScene(seed=1, height_px=96, width_px=128))


def kept_phantom(folder, scene):
    files = write_phantom(folder / "phantom", 20, scene)
    (clip,) = open_clips([files.video])
    return keep_clip(clip, PictureArea(0, 0, 96, 128, None), RECIPE, folder, 0, clip.frames())


def test_training_from_the_frames_it_meets_is_training_from_all(kept, tmp_path):
    (met,) = frames_met(schedule([20], RECIPE.training, 3), 1, RECIPE.training.steps)
    assert 0 < len(met) < 20
    nets = []
    for name, frames in (("all", None), ("met", met)):
        folder = tmp_path / name
        folder.mkdir()
        indices = range(20) if frames is None else frames.tolist()
        clip = keep_for_training(kept, RECIPE, Texture(), folder, indices, frames)
        nets.append(train([clip], RECIPE, folder / "c.pt", seed=3)[0].state_dict())
    assert all(np.array_equal(nets[0][name], nets[1][name]) for name in nets[0])
    assert (tmp_path / "met" / "anchors.npy").stat().st_size < (tmp_path / "all" / "anchors.npy").stat().st_size


def test_without_diffusion_losses_the_network_is_the_same_whatever_the_features(kept, tmp_path):
    assert not RECIPE.losses.diffuses
    nets = []
    for extract in (Texture(), extractor_for(RECIPE)):
        folder = tmp_path / type(extract).__name__
        folder.mkdir()
        clip = keep_for_training(kept, RECIPE, extract, folder, range(20))
        nets.append(train([clip], RECIPE, folder / "c.pt", seed=3)[0].state_dict())
    assert all(np.array_equal(nets[0][name], nets[1][name]) for name in nets[0])
    sizes = [(tmp_path / name / "features.npy").stat().st_size for name in ("Texture", "Unread")]
    assert sizes[1] < sizes[0] / 20


def test_a_clip_of_which_training_meets_nothing_keeps_nothing(kept, tmp_path):
    clip = keep_for_training(kept, RECIPE, Texture(), tmp_path, [], np.array([], np.int64))
    with pytest.raises(IndexError, match="frame 0 is none of the 0 kept"):
        clip.anchors[0]


def test_what_was_kept_of_other_frames_is_not_taken_for_these(kept, tmp_path):
    keep_for_training(kept, RECIPE, Texture(), tmp_path, range(20))
    clip = keep_for_training(kept, RECIPE, Texture(), tmp_path, [4, 7], np.array([4, 7]))
    assert clip.anchors[7] == pytest.approx(np.stack(kept.anchors(7, RECIPE)), abs=1e-3)


@pytest.fixture(scope="module")
def without_tool(tmp_path_factory):
    return kept_phantom(tmp_path_factory.mktemp("without"), PhantomScene(seed=1, height_px=96, width_px=128, tools=0))


@pytest.mark.parametrize(
    ("clip", "settings", "diffused"),
    [
        ("kept", ("losses.diffuse_in=known",), True),
        ("without_tool", ("losses.diffuse_in=known", "anchors.least_contour=0"), False),  # shape sees nothing
        ("without_tool", ("losses.diffuse_in=all",), True),
    ],
)
def test_diffusion_passes_over_clips_of_which_shape_or_contour_knows_nothing(
    request, tmp_path, clip, settings, diffused
):
    source, nets = request.getfixturevalue(clip), []
    for weight in (0, 0.3):
        folder = tmp_path / str(weight)
        folder.mkdir()
        recipe = diffusing(weight, *settings)
        training = keep_for_training(source, recipe, Texture(), folder, range(20))
        nets.append(train([training], recipe, folder / "c.pt", seed=3)[0].state_dict())
    assert np.any(training.features[7]) == diffused
    assert training.features[7].shape == Texture()(source.rgb[7]).shape
    assert all(np.array_equal(nets[0][name], nets[1][name]) for name in nets[0]) != diffused


@pytest.mark.parametrize(
    ("evidence", "say", "diffused"), [(1.0, 1.0, True), (0.1, 0.1, True), (0.0, 1.0, False), (1.0, 0.0, False)]
)
def test_both_shape_and_contour_have_to_know_something(kept, tmp_path, monkeypatch, evidence, say, diffused):
    told = Clipwide(None, evidence, say)
    monkeypatch.setattr(KeptClip, "clipwide", lambda self, recipe: told)
    recipe = diffusing(1, "losses.diffuse_in=known", "anchors.threshold=frame")
    assert np.any(keep_for_training(kept, recipe, Texture(), tmp_path, range(20)).features[7]) == diffused


def test_what_was_kept_is_removed(kept, tmp_path):
    keep_for_training(kept, RECIPE, Texture(), tmp_path, range(20))
    remove_kept(tmp_path)
    assert not any((tmp_path / name).exists() for name in FILES)
    remove_kept(tmp_path)  # nothing there is fine
