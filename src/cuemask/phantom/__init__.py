"""Synthetic laparoscopic scenes with exact masks: for examples, tests and benchmarks."""

from cuemask.phantom.files import PhantomFiles, read_scene, write_phantom
from cuemask.phantom.scene import PhantomFrame, PhantomScene

__all__ = ["PhantomFiles", "PhantomFrame", "PhantomScene", "read_scene", "write_phantom"]
