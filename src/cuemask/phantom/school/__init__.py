"""A school for networks: still scenes with random looks and exact masks, all of it drawn by code."""

from cuemask.phantom.school.scene import (
    Cutout,
    DrawnScene,
    compose,
    draw_foreign,
    draw_instrument,
    draw_scene,
    draw_tissue,
    paste,
)

__all__ = ["Cutout", "DrawnScene", "compose", "draw_foreign", "draw_instrument", "draw_scene", "draw_tissue", "paste"]
