"""ResNet-18 and VGG16 as plain modules with torchvision's parameter names.

ResNet-18 comes in two forms: with its batch norms, to be trained on, and with them folded into the convolutions,
which is how a frozen network runs fastest.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_VGG16_CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)

Normalization = Literal["none", "batch"]


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int, normalization: Normalization) -> None:
        super().__init__()
        self.conv1, self.bn1 = _normalised(before, after, 3, stride, normalization)
        self.conv2, self.bn2 = _normalised(after, after, 3, 1, normalization)
        shortcut = _normalised(before, after, 1, stride, normalization)
        self.downsample = nn.Sequential(*shortcut) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """`relu(conv2(relu(conv1 x)) + shortcut x)`, each convolution with its norm."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class ResNet18(nn.Module):
    """ResNet-18 without its classifier; `layers` of its four stages.

    Input: RGB normalised by IMAGENET_MEAN and IMAGENET_STD.

    Parameters
    ----------
    normalization
        `none`: batch norms are folded into the convolutions, which have biases. `batch`: they stand apart.
    """

    def __init__(self, layers: int = 4, normalization: Normalization = "none") -> None:
        super().__init__()
        self.conv1, self.bn1 = _normalised(3, 64, 7, 2, normalization)
        self.layers = layers
        self.normalization = normalization
        before = 64
        for index, after in enumerate((64, 128, 256, 512)[:layers], 1):
            stride = 1 if index == 1 else 2
            blocks = Block(before, after, stride, normalization), Block(after, after, 1, normalization)
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
            before = after
        if normalization == "none":
            self._initialise_without_norms()
        else:
            for layer in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def levels(self, x: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The pooled stem (stride 4) and each stage's output (strides 4, 8, 16, 32)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        levels = [x]
        for index in range(1, self.layers + 1):
            x = self.get_submodule(f"layer{index}")(x)
            levels.append(x)
        return levels

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        """The last stage's output."""
        return self.levels(x)[-1]

    def _initialise_without_norms(self) -> None:
        for block in (m for m in self.modules() if isinstance(m, Block)):
            nn.init.kaiming_normal_(block.conv1.weight, nonlinearity="relu")
            nn.init.zeros_(block.conv2.weight)  # a fresh block starts as its shortcut, since no norm tames it
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")


class VGG16Relu53(nn.Module):
    """VGG16 up to relu5_3: 512 channels at stride 16 (Simonyan and Zisserman 2015, configuration D).

    Input: RGB normalised by IMAGENET_MEAN and IMAGENET_STD.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in _VGG16_CHANNELS:
            if after == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            before = after
        self.features = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 512 h w"]:
        """relu5_3."""
        return self.features(x)


def placed(module: nn.Module, device: str) -> nn.Module:
    """`module` on `device`, its convolutions channels-last, which is how processors multiply fastest."""
    # PyTorch's own types do not know this argument without the others.
    return module.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def without_norms(encoder: ResNet18) -> ResNet18:
    """The same function, in evaluation, with each batch norm folded into the convolution before it."""
    plain = ResNet18(encoder.layers)
    plain.load_state_dict(folded(encoder.state_dict()))
    return plain.eval()


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ResNet's parameters with each batch norm folded into the convolution before it (eps 1e-5).

    Parameters named otherwise than torchvision's convolutions and batch norms are left out (`fc`). A state
    that is folded already comes back as it is.
    """
    out = {name: tensor for name, tensor in state.items() if not _is_norm(name) and not name.startswith("fc.")}
    for name in [n for n in state if n.endswith("running_var")]:
        norm = name.removesuffix(".running_var")
        conv = _conv_before(norm)
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + 1e-5)
        out[f"{conv}.weight"] = state[f"{conv}.weight"] * scale[:, None, None, None]
        out[f"{conv}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return out


def _normalised(
    before: int, after: int, side: int, stride: int, normalization: Normalization
) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution and what follows it: its batch norm, or nothing where that is folded into it."""
    folds = normalization == "none"
    convolution = nn.Conv2d(before, after, side, stride, side // 2, bias=folds)
    return convolution, nn.Identity() if folds else nn.BatchNorm2d(after)


def _is_norm(name: str) -> bool:
    return ".bn" in f".{name}" or "downsample.1." in name


def _conv_before(norm: str) -> str:
    if norm.endswith("downsample.1"):
        return norm.removesuffix("1") + "0"
    return norm[: norm.rindex("bn")] + "conv" + norm[norm.rindex("bn") + 2 :]
