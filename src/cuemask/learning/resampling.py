"""Linear resampling as two small matrices, so that crops, flips, sizes and their transposes are products.

A map of n_in samples becomes one of n_out as `A @ map`, with A of shape (n_out, n_in); in two dimensions
`A @ map @ B.T`. Sums of a map against interpolated features use the transpose: with U = A_y ⊗ A_x,
sum_i p_i (U F)_i = sum_j (U^T p)_j F_j, so that a probability map is carried down to the feature grid
(`A_y.T @ p @ A_x`) and features are never carried up to the picture.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Kernel = Literal["linear", "cubic"]


def interpolation_matrix(
    n_out: int,
    n_in: int,
    *,
    start: float = 0.0,
    extent: float = 1.0,
    flip: bool = False,
    kernel: Kernel = "linear",
    align_corners: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n_out n_in"]:
    """The matrix that samples n_out points from n_in, over the part [start, start + extent] of its length.

    Same values as `torch.nn.functional.interpolate` (bilinear or bicubic, a = -0.75, no antialiasing, edges
    repeated) applied along one axis to the cropped part. With `flip` the rows come in reverse order. Every
    row sums to 1.

    Parameters
    ----------
    n_out, n_in
        Samples after and before.
    start, extent
        The crop, as fractions of the length; the whole by default.
    align_corners
        The outermost of the n_out samples of the whole length fall on the outermost of the n_in, as published.
    """
    i = torch.arange(n_out, dtype=torch.float64)
    place = start + (i + 0.5) * (extent / n_out)  # in fractions of the length
    aligned = (place * n_out - 0.5) * ((n_in - 1) / max(n_out - 1, 1))
    position = aligned if align_corners else place * n_in - 0.5
    if flip:
        position = position.flip(0)
    if kernel == "linear":
        position = position.clamp(0, n_in - 1)
    base = position.floor()
    matrix = torch.zeros(n_out, n_in, dtype=torch.float64)
    for offset in (0, 1) if kernel == "linear" else (-1, 0, 1, 2):
        distance = (position - base - offset).abs()
        weight = 1 - distance if kernel == "linear" else _cubic(distance)
        column = (base + offset).clamp(0, n_in - 1).long()
        matrix.scatter_add_(1, column[:, None], weight[:, None])
    return matrix.to(dtype)


def resample(
    maps: Float[Tensor, "*B h_in w_in"], rows: Float[Tensor, "*C h w_r"], columns: Float[Tensor, "*C w w_c"]
) -> Float[Tensor, "*B h w"]:
    """`rows @ maps @ columns.T`, batched."""
    return rows @ maps @ columns.transpose(-1, -2)


def carry_down(
    p: Float[Tensor, "*B h w"], rows: Float[Tensor, "*C h h_g"], columns: Float[Tensor, "*C w w_g"]
) -> Float[Tensor, "*B h_g w_g"]:
    """`rows.T @ p @ columns`: the transpose of `resample`, from picture to feature grid."""
    return rows.transpose(-1, -2) @ p @ columns


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """Keys' cubic kernel with PyTorch's a = -0.75."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))
