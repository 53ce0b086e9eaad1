"""Predicted masks against true ones: counts, figures, tables."""

from cuemask.evaluation.folders import Evaluation, FrameScore, evaluate_folders
from cuemask.evaluation.metrics import Counts, dice, iou

__all__ = ["Counts", "Evaluation", "FrameScore", "dice", "evaluate_folders", "iou"]
