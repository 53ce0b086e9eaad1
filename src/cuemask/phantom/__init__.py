"""Synthetic laparoscopic scenes with exact masks: for examples, tests and benchmarks."""

from cuemask.phantom.files import PhantomFiles, read_scene, write_phantom
from cuemask.phantom.scene import PhantomFrame, PhantomScene
from cuemask.phantom.scenes import SCENES, named_scene

__all__ = ["SCENES", "PhantomFiles", "PhantomFrame", "PhantomScene", "named_scene", "read_scene", "write_phantom"]
