"""Runs whose network somebody brings."""

from __future__ import annotations

from dataclasses import replace

from cuemask.learning.own import refuse_unfit
from cuemask.runs.options import Options


def with_network(options: Options) -> Options:
    """Options whose recipe says that the network is one of one's own, if one is given.

    Raises
    ------
    TrainingError
        If it is no network that could learn.
    RecipeError
        If the recipe wants several classes.
    """
    if options.network is None:
        return options
    recipe = options.recipe
    recipe = replace(recipe, network=replace(recipe.network, architecture="own", start="chance"))
    refuse_unfit(options.network, recipe)
    return replace(options, recipe=recipe)
