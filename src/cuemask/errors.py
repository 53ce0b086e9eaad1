"""What can go wrong that the user can put right.

    CuemaskError
    ├── InputError            what was given cannot be read
    │   ├── VideoError        a video: missing streams, truncated, unknown codec
    │   ├── PictureError      a picture or a folder of pictures
    │   └── DatasetError      a published data set that is not as published
    ├── RecipeError           an unknown key, a value out of range
    ├── WeightsError          pretrained weights or a trained model: absent, damaged, of another shape
    ├── OutputError           a folder that cannot be written, is full or holds another run
    ├── TrainingError         nothing to learn from, or learning diverged
    ├── EvaluationError       predictions and truth that do not match
    ├── EngineError           what a study runs on: not there, lost, or told in words that it does not know
    └── InstallationError     a library that is absent, or that another package overwrote

Every error says in its first line what happened and where, with the real values, and in its last line the
remedy: a command to type or an imperative. The command line prints them without a traceback and exits 2;
whatever else is raised is a bug of ours and shows its traceback.
"""

from __future__ import annotations


class CuemaskError(Exception):
    """Base of all errors that the user can put right.

    Parameters
    ----------
    what
        What happened and where, with the real values.
    remedy
        What to do about it: a command to type or an imperative.

    Examples
    --------
    >>> import cuemask
    >>> try:
    ...     cuemask.load_recipe("fsat")
    ... except cuemask.CuemaskError as error:
    ...     print(error.remedy)
    Did you mean fast? Give one of these names or the path of a TOML file: --recipe default
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n{remedy}")
        self.what = what
        self.remedy = remedy


class InputError(CuemaskError):
    """What was given cannot be read."""


class VideoError(InputError):
    """A video that cannot be decoded."""


class PictureError(InputError):
    """A picture, or a folder of pictures, that cannot be read."""


class DatasetError(InputError):
    """A published data set whose folders, files or codes are not as published."""


class RecipeError(CuemaskError):
    """A recipe with an unknown key or a value out of range."""


class WeightsError(CuemaskError):
    """Pretrained weights or a trained model that are absent, damaged or of another shape."""


class OutputError(CuemaskError):
    """A folder that cannot be written, is full, or holds another run."""


class TrainingError(CuemaskError):
    """Nothing to learn from, or learning that diverged."""


class EvaluationError(CuemaskError):
    """Predictions and truth that do not match."""


class EngineError(CuemaskError):
    """The engine that a study runs on: not there, lost, or told in words that it does not know."""


class InstallationError(CuemaskError):
    """A library that is absent, or that another package overwrote."""
