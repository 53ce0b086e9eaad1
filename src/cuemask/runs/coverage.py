"""What the confidence of a run was worth, where its masks were held against true ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cuemask.evaluation.coverage import iou_kept
from cuemask.evaluation.results import figured
from cuemask.report.charts import coverage_chart
from cuemask.report.page import chart_of
from cuemask.report.truth import Truth
from cuemask.report.words import counted
from cuemask.runs.confidences import FILE, read_confidences

_FEWEST = 10  # frames, of which a curve is drawn
_KEPT = [share / 20 for share in range(20, 0, -1)]


def coverage_chart_of(truths: Sequence[Truth], run: Path, clips: Sequence[str]) -> str:
    """Mean IoU of the frames kept when those of the lowest confidence are left out, as a chart with its words.

    Nothing where fewer than ten frames have both.

    Parameters
    ----------
    clips
        Names of the run's clips: figures of others are passed over.
    """
    iou = {key: value for truth in truths for key, value in truth.iou.items()}
    pairs: list[tuple[float, float]] = []
    for clip in clips:
        table = run / clip / FILE
        told = read_confidences(table) if table.is_file() else ()
        pairs += [(one.confidence, iou[clip, frame]) for frame, one in told if (clip, frame) in iou]
    if len(pairs) < _FEWEST:
        return ""
    sure, found = zip(*pairs, strict=True)
    means = iou_kept(sure, found, _KEPT)
    at = dict(zip(_KEPT, (figured("iou", mean) for mean in means), strict=True))
    title = "Mean IoU of the frames kept when those of the lowest confidence are left out"
    words = (
        f"{title}: {at[1.0]} of all {counted(len(pairs), 'frame')}, {at[0.7]} without the least sure 30 %, {at[0.5]} "
        "without half. Where the curve does not rise, confidence ranked nothing"
    )
    return chart_of(coverage_chart(_KEPT, means, title), words)
