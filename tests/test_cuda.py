"""What only a CUDA device can show: that it does what the processor does. `make bench-gpu` runs these.

They skip where there is none; with CUEMASK_CUDA=1, where one was promised, they fail instead.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from cuemask.recipe import load_recipe
from tests.tiny import TINY

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def device() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        if os.environ.get("CUEMASK_CUDA"):
            pytest.fail("CUEMASK_CUDA is set, and torch finds no CUDA device")
        pytest.skip("no CUDA device")
    return "cuda"


def pictures(count: int = 3, height: int = 32, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(("name", "most"), [("float32", 2e-3), ("bfloat16", 0.05)])
def test_a_network_says_on_the_device_what_it_says_on_the_processor(device, name, most):
    import torch

    from cuemask.inference.model import Model
    from cuemask.learning.backbones import placed
    from cuemask.learning.unet import network

    exact = load_recipe("default", [*TINY, "training.precision=float32"])
    recipe = load_recipe("default", [*TINY, f"training.precision={name}"])
    torch.manual_seed(0)
    net = network(exact.network).eval()
    expected = Model(net, exact, "cpu").working_probability(pictures())
    p = Model(placed(net, device), recipe, device).working_probability(pictures())
    assert np.abs(p - expected).max() < most


def test_from_its_second_call_on_a_network_is_replayed_and_says_the_same(device):
    import torch

    from cuemask.inference.model import Model
    from cuemask.learning.backbones import placed
    from cuemask.learning.unet import network

    recipe = load_recipe("default", [*TINY, "training.precision=float32"])
    torch.manual_seed(0)
    model = Model(placed(network(recipe.network).eval(), device), recipe, device)
    some, others = pictures(2), pictures(5)[3:]
    first, second, other, third = (model.working_probability(given) for given in (some, some, others, some))
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(third, first)
    assert not np.array_equal(other, first)
    fresh = Model(model.network, recipe, device)
    np.testing.assert_array_equal(fresh.working_probability(others), other)


def test_the_published_network_says_on_the_device_what_it_says_on_the_processor(device):
    import torch

    from cuemask.learning.backbones import placed
    from cuemask.learning.unet import ResNet18UNet

    torch.manual_seed(0)
    net, rgb = ResNet18UNet().eval(), torch.rand(2, 3, 64, 96)
    torch.backends.cudnn.allow_tf32 = False
    try:
        found = []
        for where in ("cpu", device):
            net = placed(net, where)
            net.zero_grad()
            logits = net(rgb.to(where))
            logits.square().mean().backward()
            found.append([logits.detach().cpu(), *(p.grad.cpu() for p in net.parameters() if p.grad is not None)])
    finally:
        torch.backends.cudnn.allow_tf32 = True
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-3 * float(one.abs().max()))


def test_recorded_steps_learn_what_steps_one_by_one_learn(device, tmp_path):
    import torch
    from benchmarks.recorded import Steps, ready

    from cuemask.learning.backbones import placed
    from cuemask.learning.pairs import schedule
    from cuemask.learning.training import adam, batches, moved, training_step, untrained_network
    from tests.learning.test_training import square_clip

    size = ["input.height_px=32", "input.width_px=32", "training.precision=float32"]
    recipe, clip, losses, nets = load_recipe("default", [*TINY, *size]), square_clip(tmp_path), [], []
    for is_recorded in (False, True):
        torch.manual_seed(0)
        net = placed(untrained_network(recipe), device).train()
        made = batches([clip], schedule([clip.length], recipe.training, 0), recipe, range(8), device=device)
        if is_recorded:
            take = Steps(net, recipe)
            said = [torch.stack(take(batch)).clone() for batch in ready(made)]
        else:
            optimiser = adam(net, recipe)
            said = [torch.stack(training_step(net, optimiser, moved(batch, device), recipe)) for batch in made]
        losses.append(torch.stack(said).detach().cpu())
        nets.append(net)
    assert torch.allclose(losses[0], losses[1], rtol=1e-3, atol=1e-5)
    assert losses[0][:, 0].unique().numel() == 8  # no step was left out, none taken twice
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-3)


def test_a_video_decoded_on_the_device_has_the_same_frames_by_number(device, tmp_path):
    from fractions import Fraction

    from cuemask.errors import VideoError
    from cuemask.media.frames import Selection
    from cuemask.media.hardware import decoding_with
    from cuemask.media.overlay import OverlayWriter
    from cuemask.media.video import video_frames

    level = np.linspace(20, 220, 48).astype(np.uint8)
    with OverlayWriter(tmp_path / "v.mp4", Fraction(25)) as video:  # sides that the decoders of GPUs take
        for one in level:
            video.write(np.full((256, 320, 3), one, np.uint8))
    for selection in (Selection(), Selection(every=5), Selection(start_seconds=0.81)):
        expected = list(video_frames(tmp_path / "v.mp4", selection))
        try:
            with decoding_with(device):
                found = list(video_frames(tmp_path / "v.mp4", selection))
        except VideoError as error:
            pytest.skip(str(error))
        assert [frame.name for frame in found] == [frame.name for frame in expected]
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 3


def test_losses_and_gradients_are_those_of_the_processor(device):
    import torch

    from cuemask.learning.losses import anchor_loss

    torch.manual_seed(0)
    logits, positive, negative = torch.randn(2, 1, 16, 20), torch.rand(2, 1, 16, 20), torch.rand(2, 1, 16, 20)
    found = []
    for where in ("cpu", device):
        z = logits.to(where, copy=True).requires_grad_()
        loss = anchor_loss(z, positive.to(where), negative.to(where))
        loss.backward()
        found.append((float(loss.detach()), z.grad.cpu()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-7)


def test_a_run_learns_and_predicts_on_the_device_and_its_masks_are_the_processors(device, tmp_path):
    from cuemask.evaluation import evaluate_folders
    from cuemask.phantom import PhantomScene, write_phantom
    from cuemask.runs.learning import train
    from cuemask.runs.options import Options
    from cuemask.runs.predicting import predict

    clip = write_phantom(tmp_path / "phantom", 6, PhantomScene(seed=1, height_px=96, width_px=128))
    recipe = load_recipe("default", [*TINY, "training.steps=30", "training.precision=float32"])
    run = train([clip.frames], Options(out=tmp_path / "run", recipe=recipe, device=device))
    for where in ("cpu", device):
        predict(run, [clip.frames], Options(out=tmp_path / where, device=where, overlay=False, report=False))
    one, other = (tmp_path / where / "frames" / "masks" for where in ("cpu", device))
    assert evaluate_folders(one, other).iou_mean > 0.98


def test_an_exported_model_says_on_the_device_what_it_says_on_the_processor(device, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA: pip install onnxruntime-gpu")
    import torch

    from cuemask.inference.export import write_onnx
    from cuemask.inference.model import Model
    from cuemask.inference.runtime import load_onnx
    from cuemask.learning.unet import network

    recipe = load_recipe("default", [*TINY, "training.precision=float32"])
    torch.manual_seed(0)
    write_onnx(Model(network(recipe.network).eval(), recipe, "cpu"), tmp_path / "m.onnx")
    on_device, expected = (load_onnx(tmp_path / "m.onnx", where) for where in ("cuda", "cpu"))
    assert np.abs(on_device.working_probability(pictures()) - expected.working_probability(pictures())).max() < 5e-3
