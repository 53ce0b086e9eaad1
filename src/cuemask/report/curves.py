"""The losses of a training run as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from cuemask.media.files import write_bytes


def terms_in_use(epochs: Sequence[Mapping[str, float | int]]) -> list[str]:
    """Names of the loss's terms that are not zero throughout; the sum only where it is one of several."""
    used = [name for name in (epochs[0] if epochs else {}) if name != "step" and any(row[name] for row in epochs)]
    terms = [name for name in used if name != "total"]
    return used if len(terms) != 1 else terms


def write_loss_curves(path: Path, epochs: Sequence[Mapping[str, float | int]]) -> None:
    """Plot each term of the loss that is in use over the steps to a PNG.

    Parameters
    ----------
    epochs
        `step` and the mean of each term since the row before.

    Raises
    ------
    OutputError
        If `path` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    for name in terms_in_use(epochs):
        axes.plot([row["step"] for row in epochs], [row[name] for row in epochs], label=name)
    axes.grid(alpha=0.3)
    if epochs:
        axes.legend()
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    write_bytes(path, picture.getvalue())
