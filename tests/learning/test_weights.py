from __future__ import annotations

import hashlib
import pickle
import urllib.error

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cuemask.errors import WeightsError
from cuemask.learning import weights
from cuemask.learning.backbones import ResNet18, VGG16Relu53
from cuemask.learning.features import Texture, extractor, extractor_for
from cuemask.learning.weights import Published, read_state, weights_file
from cuemask.phantom.school import draw_scene
from cuemask.recipe import FeaturesRecipe, load_recipe

ASK = {"setting": "features.weights", "instead": "use texture"}


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """No file of this machine's caches, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("CUEMASK_WEIGHTS_DIR", raising=False)

    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)


def published(data: bytes) -> Published:
    return Published("tiny.pth", hashlib.sha256(data).hexdigest())


def test_offline_the_message_names_the_file_where_it_goes_and_texture():
    with pytest.raises(WeightsError) as caught:
        extractor(FeaturesRecipe(extractor="vgg16"))
    text = str(caught.value)
    for part in ("vgg16-397923af.pth", "features.weights=FILE", "features.extractor=texture", "cuemask"):
        assert part in text


@pytest.mark.parametrize("folder", ["named", "cache/torch/hub/checkpoints", "cache/cuemask"])
def test_a_published_file_is_found_in_each_weights_folder(folder, tmp_path, monkeypatch):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "tiny.pth").write_bytes(b"weights")
    if folder == "named":
        monkeypatch.setenv("CUEMASK_WEIGHTS_DIR", str(tmp_path / folder))
    assert weights_file("", published(b"weights"), **ASK) == tmp_path / folder / "tiny.pth"


def test_a_file_of_another_hash_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CUEMASK_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "tiny.pth").write_bytes(b"tampered")
    with pytest.raises(WeightsError, match="SHA-256"):
        weights_file("", published(b"weights"), **ASK)


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    served = tmp_path / "served.pth"
    served.write_bytes(b"weights")
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda *_a, **_k: served.open("rb"))
    path = weights_file("", published(b"weights"), **ASK)
    assert path.read_bytes() == b"weights"
    served.write_bytes(b"tampered")
    path.unlink()
    with pytest.raises(WeightsError, match="SHA-256"):
        weights_file("", published(b"weights"), **ASK)
    assert list(path.parent.iterdir()) == []


def test_a_file_given_must_exist(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        weights_file(str(tmp_path / "absent.pth"), published(b""), **ASK)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    file = tmp_path / "evil.pth"
    torch.save({"x": Payload()}, file)
    with pytest.raises(WeightsError):
        read_state(file)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(WeightsError):
        read_state(tmp_path / "raw.pth")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_damaged_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\x01 no weights")
    with pytest.raises(WeightsError, match="not a readable file"):
        read_state(tmp_path / name)


def test_both_formats_give_the_same_features(tmp_path):
    torch.manual_seed(0)
    state = ResNet18(layers=3).state_dict()
    torch.save(state, tmp_path / "r.pth")
    save_file(state, tmp_path / "r.safetensors")
    rgb = np.random.default_rng(0).integers(0, 256, (64, 80, 3)).astype(np.uint8)
    grids = [
        extractor(FeaturesRecipe(extractor="resnet18", weights=str(tmp_path / f"r.{end}")))(rgb)
        for end in ("pth", "safetensors")
    ]
    assert grids[0].shape == (256, 4, 5)
    assert np.array_equal(*grids)


def test_vgg16_reads_torchvisions_names_and_ignores_the_classifier(tmp_path):
    torch.manual_seed(0)
    state = VGG16Relu53().state_dict() | {"classifier.0.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "v.pth")
    recipe = FeaturesRecipe(extractor="vgg16", weights=str(tmp_path / "v.pth"), normalize_pixels=True)
    grid = extractor(recipe)(np.full((32, 48, 3), 99, np.uint8))
    assert grid.shape == (512, 2, 3)
    assert np.linalg.norm(grid, axis=0) == pytest.approx(np.ones((2, 3)), abs=1e-4)


def test_another_networks_file_is_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="lacks"):
        extractor(FeaturesRecipe(extractor="resnet18", weights=str(tmp_path / "other.pth")))
    torch.save({k: torch.zeros(1) for k in VGG16Relu53().state_dict()}, tmp_path / "shape.pth")
    with pytest.raises(WeightsError, match="shape"):
        extractor(FeaturesRecipe(extractor="vgg16", weights=str(tmp_path / "shape.pth")))


def test_texture_needs_no_weights_and_is_never_negative():
    texture = Texture()
    assert texture.weights is None
    grid = texture(np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8))
    assert grid.shape[1:] == (8, 12)
    assert grid.min() >= 0
    assert np.isfinite(grid).all()


def test_features_of_the_drawn_network_need_no_download_and_tell_instrument_from_tissue():
    scene = next(s for s in (draw_scene(n, 160, 224) for n in range(50)) if 0.1 < s.mask.mean() < 0.4)
    extract = extractor(FeaturesRecipe(extractor="drawn"))
    assert extract.weights is None
    grid = extract(scene.rgb)
    assert grid.shape == (112, 40, 56)
    assert np.isfinite(grid).all()
    tool = scene.mask.reshape(40, 4, 56, 4).mean((1, 3)).ravel()
    tissue = (scene.inside & ~scene.mask).reshape(40, 4, 56, 4).mean((1, 3)).ravel()
    rows, columns = np.mgrid[:40, :56]
    halves = [((rows + columns) % 2 == k).ravel() for k in (0, 1)]

    def mean(weights, half):
        return (grid.reshape(112, -1) * (weights * half)).sum(1)

    def cosine(f, g):
        return float(f @ g / np.linalg.norm(f) / np.linalg.norm(g))

    alike = cosine(mean(tool, halves[0]), mean(tool, halves[1]))
    assert alike > 0.9
    assert cosine(mean(tool, halves[0]), mean(tissue, halves[0])) < alike - 0.1
    # Another size, and pixels of length 1.
    other = extractor(FeaturesRecipe(extractor="drawn", normalize_pixels=True))(scene.rgb[::2, ::2])
    assert other.shape == (112, 40, 56)
    np.testing.assert_allclose(np.square(other).sum(0), 1, atol=1e-3)


def test_texture_tells_grey_from_red_and_smooth_from_rough():
    def cosine(a, b):
        means = [Texture()(rgb).mean(axis=(1, 2)) for rgb in (a, b)]
        return float(means[0] @ means[1] / np.prod([np.linalg.norm(m) for m in means]))

    rng = np.random.default_rng(0)
    grey, red = np.full((64, 64, 3), 120, np.uint8), np.full((64, 64, 3), (150, 50, 40), np.uint8)
    rough = np.repeat(rng.integers(60, 180, (64, 64, 1)), 3, axis=2).astype(np.uint8)
    assert cosine(grey, grey) == pytest.approx(1)
    assert cosine(grey, red) < 0.6
    assert cosine(grey, rough) < 0.9


def test_without_diffusion_losses_no_weights_are_asked_for():
    with pytest.raises(WeightsError):
        extractor_for(load_recipe("paper"))
    recipe = load_recipe("paper", ["losses.foreground_weight=0.0", "losses.background_weight=0.0"])
    assert extractor_for(recipe)(np.full((32, 48, 3), 99, np.uint8)).size == 1
