"""Labelled targets of two products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.arguments import check_arguments
from stnopt.feasibility.samples import TargetSamples
from stnopt.plot.style import (
    AXES,
    BLUE,
    GREY,
    VERMILION,
    label_target_axes,
    new_axes,
    put_legend_above,
    two_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_samples(samples: TargetSamples, *, ax: Axes | None = None) -> Axes:
    """Draw labelled targets of two products: blue circles can be made, red crosses cannot.

    Parameters
    ----------
    samples : TargetSamples
        Of exactly two products; undecided targets are grey.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When there are not two products.
    """
    check_arguments(samples=(samples, TargetSamples), ax=(ax, AXES))
    x, y = two_names(samples.products, "plot_samples")
    ax = ax or new_axes(height=3.1)
    scatter_samples(ax, samples, x, y)
    label_target_axes(ax, (x, y), samples.scope)
    put_legend_above(ax)
    return ax


def scatter_samples(ax: Axes, samples: TargetSamples, x: str, y: str) -> None:
    """Put a mark per target on the axes, by its label."""
    marks = (
        (-1, "feasible", "o", BLUE),
        (1, "infeasible", "x", VERMILION),
        (0, "undecided", "s", GREY),
    )
    for label, meaning, marker, colour in marks:
        chosen = samples.targets[samples.labels == label]
        if len(chosen):
            ax.plot(
                chosen[x],
                chosen[y],
                linestyle="none",
                marker=marker,
                markersize=3.8,
                markerfacecolor="none",
                markeredgecolor=colour,
                markeredgewidth=0.8,
                label=meaning,
                zorder=3,
            )
