"""A recipe's settings that make a run take a second."""

from __future__ import annotations

TINY = [
    "input.height_px=32",
    "input.width_px=40",
    "network.start=chance",
    "network.width=2",
    "network.depth=2",
    "training.steps=2",
    "training.label_steps=0",
    'cues.use=["color"]',
]
