"""The losses of a training run as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from cuemask.media.files import write_bytes
from cuemask.report.charts import terms_in_use


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
