"""The motion cue: instruments move on their own, tissue moves with the camera and the breath.

Optical flow to a frame before and one after (dense inverse search: Kroeger et al. 2016), less what an affine motion
of the whole picture explains. Flow that does not lead back to where it came from says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cuemask.cues.flow import FAST, flow, missed_px

_UNKNOWN = 0.5  # the cue where the flow cannot be trusted
_SAMPLES = 1500  # places at which the affine motion is fitted
_FEWEST = 50
_ERROR_PX = 1.5  # of a place that follows the affine motion
_STILL_PX = 0.25  # motion below which nothing counts as moving
_NEAR_PX = 3.0  # motion that a pair of frames should show
GAPS = (1, 2, 4, 8)  # frames
_SOFT = 0.02  # added for the geometric mean, that nothing in one pair is not nothing in all


def motion_cue(
    rgb: UInt8[np.ndarray, "H W 3"],
    others: Sequence[UInt8[np.ndarray, "H W 3"]],
    inside: Bool[np.ndarray, "H W"] | None = None,
) -> Float32[np.ndarray, "H W"]:
    """How much each pixel moves against the picture as a whole.

    With r the length of the flow less the affine motion and s its median, r / (r + 2 s): 1/3 for what moves as most
    does. Over several `others` the geometric mean.

    Parameters
    ----------
    rgb
        The frame.
    others
        Frames before and after it; without any nothing is known.
    inside
        Where the endoscope's picture is.

    Returns
    -------
    In [0, 1); 0.5 where the flow forth and back disagree by more than 1 px and a tenth of its length, 0 outside the
    picture.

    Examples
    --------
    >>> import cuemask, numpy as np
    >>> rgb = np.full((60, 80, 3), (180, 60, 50), np.uint8)
    >>> cue = cuemask.cues.motion(rgb, [])  # without another frame nothing is known
    >>> cue.shape, float(cue[0, 0])
    ((60, 80), 0.5)
    """
    cue = np.full(rgb.shape[:2], _UNKNOWN, np.float32)
    if others:
        grey = _evened(rgb)
        logs = [np.log(_against(grey, _evened(other), inside) + _SOFT) for other in others]
        cue = np.maximum(np.exp(np.mean(logs, axis=0)) - _SOFT, 0).astype(np.float32)
    return cue if inside is None else np.where(inside, cue, np.float32(0))


def frame_gap(frame: Callable[[int], UInt8[np.ndarray, "H W 3"]], count: int) -> int:
    """How many frames apart two should be for motion to show: the least of 1, 2, 4 and 8 with 3 px of flow.

    Looks at five pairs; the greatest gap that fits where all stand still.

    Parameters
    ----------
    frame
        Gives the frame of a number below `count`.
    """
    gap = 1
    for gap in (g for g in GAPS if g < count):
        starts = _starts(gap, count)
        flows = [flow(_evened(frame(i)), _evened(frame(i + gap)), FAST) for i in starts]
        if np.median([np.percentile(np.linalg.norm(moved, axis=2), 90) for moved in flows]) >= _NEAR_PX:
            break
    return gap


def probed_frames(count: int) -> set[int]:
    """All that `frame_gap` may look at in a clip of `count` frames."""
    return {i for gap in GAPS if gap < count for start in _starts(gap, count) for i in (start, start + gap)}


def _starts(gap: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, count - gap - 1, 5).astype(int)).tolist()


def agreement(
    cue: Float32[np.ndarray, "H W"], other: Float32[np.ndarray, "H W"], inside: Bool[np.ndarray, "H W"] | None = None
) -> float:
    """Correlation of two maps in the picture, -1 to 1; 0 where either is constant."""
    a, b = (cue.ravel(), other.ravel()) if inside is None else (cue[inside], other[inside])
    if not a.size or min(float(a.std()), float(b.std())) < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _against(
    now: UInt8[np.ndarray, "H W"], then: UInt8[np.ndarray, "H W"], inside: np.ndarray | None
) -> Float32[np.ndarray, "H W"]:
    forth, back = flow(now, then, FAST), flow(then, now, FAST)
    height, width = now.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    trusted = missed_px(forth, back) < 1 + 0.1 * np.linalg.norm(forth, axis=2)
    if inside is not None:
        trusted &= inside
    affine = _affine(forth, trusted)
    if affine is None:
        return np.full((height, width), _UNKNOWN, np.float32)
    common = np.stack([row[0] * x + row[1] * y + row[2] for row in affine], axis=2) - np.stack([x, y], axis=2)
    own = np.linalg.norm(forth - common, axis=2)
    usual = max(float(np.median(own[trusted])), _STILL_PX)
    return np.where(trusted, own / (own + 2 * usual), _UNKNOWN).astype(np.float32)


def _affine(forth: Float32[np.ndarray, "H W 2"], trusted: Bool[np.ndarray, "H W"]) -> np.ndarray | None:
    """The affine motion that most trusted places follow, (2, 3)."""
    rows, columns = np.nonzero(trusted)
    if len(rows) < _FEWEST:
        return None
    some = np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)
    rows, columns = rows[some], columns[some]
    start = np.stack([columns, rows], axis=1).astype(np.float32)
    found, _ = cv2.estimateAffine2D(
        start, start + forth[rows, columns], method=cv2.RANSAC, ransacReprojThreshold=_ERROR_PX
    )
    return found


def _evened(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W"]:
    """Grey with its contrast evened out over the picture, so that flow is found in the dark too."""
    return cv2.createCLAHE(2.0, (8, 8)).apply(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
