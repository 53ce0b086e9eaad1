"""Scenes with names: each is hard for the grouping of pixels into instruments, in one way."""

from __future__ import annotations

from typing import Any

from cuemask.errors import RecipeError
from cuemask.phantom.heads import KINDS
from cuemask.phantom.scene import PhantomScene

_STAYING: dict[str, Any] = {"leaving": False}
SCENES: dict[str, dict[str, Any]] = {
    "usual": {},
    "crossing": {**_STAYING, "meeting": "crossing", "kinds": ("grasper", "hook")},
    "touching": {**_STAYING, "meeting": "touching", "kinds": ("scissors", "grasper")},
    "leaving": {"kinds": ("hook", "grasper")},  # and coming back, as most do after 110 frames
    "twins": {**_STAYING, "meeting": "crossing", "kinds": ("scissors",)},
    "four": {**_STAYING, "tools": 4, "tool_width": 0.09, "kinds": KINDS[:4]},
    "round": {**_STAYING, "tools": 3, "round_picture": True, "kinds": KINDS[2:]},
}


def named_scene(name: str, seed: int = 0, height_px: int = 512, width_px: int = 640) -> PhantomScene:
    """The scene of a name.

    Parameters
    ----------
    name
        "usual": two graspers, one leaves for a while; "crossing": two instruments whose shafts cross; "touching": two
        that bring their tips together; "leaving": one of two leaves and comes back; "twins": two of one kind that
        cross; "four": one from each side; "round": three in a round picture.
    seed
        Decides colours, shapes and motion.
    height_px, width_px
        Size of the picture.

    Raises
    ------
    RecipeError
        If no scene has this name, or a number is out of range.
    """
    if name not in SCENES:
        raise RecipeError(f"phantom: no scene is called {name!r}.", f"Give one of: {', '.join(SCENES)}.")
    return PhantomScene(seed, height_px, width_px, **SCENES[name])
