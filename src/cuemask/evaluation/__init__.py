"""Predicted masks against true ones: counts, figures, protocols, tables."""

from cuemask.evaluation.bootstrap import paired_bootstrap
from cuemask.evaluation.folders import evaluate_folders
from cuemask.evaluation.frames import FrameScore
from cuemask.evaluation.grouped import GroupedEvaluation, evaluate_grouped
from cuemask.evaluation.grouped_sets import evaluate_grouped_dataset
from cuemask.evaluation.metrics import Counts, dice, iou
from cuemask.evaluation.protocols import PROTOCOLS
from cuemask.evaluation.results import Evaluation
from cuemask.evaluation.sets import evaluate_dataset
from cuemask.evaluation.surfaces import Tolerance

__all__ = [
    "PROTOCOLS",
    "Counts",
    "Evaluation",
    "FrameScore",
    "GroupedEvaluation",
    "Tolerance",
    "dice",
    "evaluate_dataset",
    "evaluate_folders",
    "evaluate_grouped",
    "evaluate_grouped_dataset",
    "iou",
    "paired_bootstrap",
]
