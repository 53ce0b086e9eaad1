"""Frames in and out: clips, the endoscope's picture area, masks, overlay videos, atomic files."""
