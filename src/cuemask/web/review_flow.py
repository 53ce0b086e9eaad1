"""Masks carried from frame to frame by optical flow, and superpixels to flip."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from cuemask.cues.flow import fetched, flow, missed_px

_FLOW_PX, _SUPERPIXEL_PX = 480, 640  # the longer side of what is looked at
_SUPERPIXELS = 40  # along the longer side
_COMPACT = 12.0  # edges count more than roundness
_RETURNS_PX = 1.5  # how far a pixel may miss itself, there and back
_MOST_UNSTEADY = 0.35
_MOST_LOST = 0.25  # of the agreement that it began with
_LARGEST_GROWTH = 1.8


@dataclass(frozen=True)
class Carried:
    """A mask as it stands in the next frame.

    Attributes
    ----------
    agreement
        IoU with the network's own mask there; 1 where both are empty.
    unsteady
        Share of its pixels whose motion does not lead back to where it came from.
    """

    mask: Bool[np.ndarray, "H W"]
    agreement: float
    unsteady: float


def carried(
    mask: Bool[np.ndarray, "H W"],
    here: UInt8[np.ndarray, "H W 3"],
    there: UInt8[np.ndarray, "H W 3"],
    own: Bool[np.ndarray, "H W"],
) -> Carried:
    """Move a mask of the frame `here` along with what it covers to the frame `there`; `own` is the network's there.

    DIS optical flow (Kroeger et al., ECCV 2016) at 480 pixels.
    """
    small_here, small_there = _grey(here), _grey(there)
    back, forth = flow(small_there, small_here), flow(small_here, small_there)
    moved = _along(mask, back)
    unsteady = _unsteady(back, forth, moved)
    return Carried(moved, agreement(moved, own), unsteady)


def agreement(one: Bool[np.ndarray, "H W"], other: Bool[np.ndarray, "H W"]) -> float:
    """IoU of two masks; 1 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def why_it_breaks(step: Carried, first: float, area_px: int) -> str | None:
    """Why a mask should be carried no further, in words; None where it may be.

    Parameters
    ----------
    first
        The agreement of what was drawn with the network's mask, in the frame where it was drawn: where the network was
        wrong there, it will be wrong in much the same way in the next frames.
    area_px
        Of what was drawn.
    """
    if step.agreement < first - _MOST_LOST:
        return f"agrees with the network to {step.agreement:.0%} only, after {first:.0%} where it was drawn"
    if step.unsteady > _MOST_UNSTEADY:
        return f"cannot be followed: the motion of {step.unsteady:.0%} of it is unclear"
    area = int(step.mask.sum())
    if area * _LARGEST_GROWTH < area_px or area > area_px * _LARGEST_GROWTH:
        return f"has {'shrunk' if area < area_px else 'grown'} to {area / max(area_px, 1):.0%} of what was drawn"
    return None


def superpixels(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt16[np.ndarray, "h w"]:
    """Numbers of small regions of one colour (SLIC), at no more than 640 pixels."""
    small = cv2.GaussianBlur(_small(rgb, _SUPERPIXEL_PX), (3, 3), 0)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    size = max(6, round(max(small.shape[:2]) / _SUPERPIXELS))
    slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, size, _COMPACT)
    slic.iterate(4)
    slic.enforceLabelConnectivity(25)
    return slic.getLabels().astype(np.uint16)


def _small(rgb: np.ndarray, longest_px: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _grey(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w"]:
    return cv2.cvtColor(_small(rgb, _FLOW_PX), cv2.COLOR_RGB2GRAY)


def _along(mask: Bool[np.ndarray, "H W"], back: Float32[np.ndarray, "h w 2"]) -> Bool[np.ndarray, "H W"]:
    height, width = mask.shape
    h, w = back.shape[:2]
    full = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR)
    full *= np.array([width / w, height / h], np.float32)
    return fetched(mask.astype(np.uint8) * np.uint8(255), full, cv2.BORDER_CONSTANT) > 127


def _unsteady(
    back: Float32[np.ndarray, "h w 2"], forth: Float32[np.ndarray, "h w 2"], moved: Bool[np.ndarray, "H W"]
) -> float:
    h, w = back.shape[:2]
    inside = cv2.resize(moved.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST) > 0
    if not inside.any():
        return 0.0
    return float((missed_px(back, forth)[inside] > _RETURNS_PX).mean())
