"""Coarse cues and the anchors made of them: numpy in, numpy out, no torch (paper, section 2.1).

Each name is one function, and the module of that name holds its relatives: `cuemask.cues.color(rgb)` is
`color_cue` of the module `cuemask.cues.color`. All maps are float32 (H, W) in [0, 1].
"""

from cuemask.cues.anchors import Anchors, anchors
from cuemask.cues.color import color_cue as color
from cuemask.cues.contour import contour_cue as contour
from cuemask.cues.lesion import lesion_cue as lesion
from cuemask.cues.location import gaussian_location as center
from cuemask.cues.location import mean_location as location
from cuemask.cues.motion import motion_cue as motion
from cuemask.cues.objectness import objectness_cue as objectness
from cuemask.cues.otsu import otsu_threshold as otsu
from cuemask.cues.shape import shape_cue as shape

__all__ = [
    "Anchors",
    "anchors",
    "center",
    "color",
    "contour",
    "lesion",
    "location",
    "motion",
    "objectness",
    "otsu",
    "shape",
]
