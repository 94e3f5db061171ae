"""A learned region of two products: its boundary, the feasible side shaded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import BOUNDS, a, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.feasibility.samples import TargetSamples
from stnopt.plot.samples import scatter_samples
from stnopt.plot.style import (
    AXES,
    GRID,
    SKY,
    label_target_axes,
    new_axes,
    put_legend_above,
    two_names,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes


def plot_region(
    region: LinearRegion | KernelRegion | UnionRegion,
    *,
    samples: TargetSamples | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a learned region of two products: its boundary, the feasible side shaded.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        Of exactly two inputs. The support vectors of a kernel region are ringed.
    samples : TargetSamples, optional
        Drawn on top.
    bounds : mapping of str to (lower, upper), amount, optional
        Window to draw; by default the region's training box, or else the extent of the samples.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When there are not two inputs, the samples are of other products, or no window is known.
    """
    check_arguments(
        region=(region, a(LinearRegion, KernelRegion, UnionRegion)),
        samples=(samples, optional(TargetSamples)),
        bounds=(bounds, optional(BOUNDS)),
        ax=(ax, AXES),
    )
    x, y = two_names(region.inputs, "plot_region")
    if samples is not None and set(samples.products) != {x, y}:
        raise InvalidInputError(
            f"plot_region: the region is over {x!r} and {y!r}, the samples over "
            f"{', '.join(map(repr, samples.products))}"
        )
    (x_low, x_high), (y_low, y_high) = _window(region, samples, bounds)
    ax = ax or new_axes(height=3.2)

    xs, ys = np.linspace(x_low, x_high, GRID), np.linspace(y_low, y_high, GRID)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)
    decision = region.decision(grid.reshape(-1, 2)).reshape(GRID, GRID)
    if decision.min() <= 0:
        ax.contourf(xs, ys, decision, levels=[-math.inf, 0], colors=[SKY], alpha=0.25, zorder=0)
    if decision.min() < 0 < decision.max():
        ax.contour(xs, ys, decision, levels=[0], colors="black", linewidths=1.2, zorder=2)
    ax.plot([], [], color="black", linewidth=1.2, label="learned boundary")
    if isinstance(region, KernelRegion):
        vectors = region.raw_support_vectors
        inside = np.all((vectors >= [x_low, y_low]) & (vectors <= [x_high, y_high]), axis=1)
        ax.scatter(
            vectors[inside, 0],
            vectors[inside, 1],
            s=42,
            facecolors="none",
            edgecolors="black",
            linewidths=0.6,
            label="support vector",
            zorder=4,
        )
    if samples is not None:
        scatter_samples(ax, samples, x, y)
    ax.set_xlim(x_low, x_high)
    ax.set_ylim(y_low, y_high)
    label_target_axes(ax, (x, y), region.origin)
    put_legend_above(ax)
    return ax


def _window(
    region: LinearRegion | KernelRegion | UnionRegion,
    samples: TargetSamples | None,
    bounds: Mapping[str, tuple[float, float]] | None,
) -> list[tuple[float, float]]:
    """Return the interval to draw per input."""
    window = []
    for name, low, high in zip(region.inputs, region.lower, region.upper, strict=True):
        if bounds is not None and name in bounds:
            low, high = bounds[name]
        elif not (math.isfinite(low) and math.isfinite(high)) and samples is not None:
            low, high = samples.targets[name].min(), samples.targets[name].max()
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InvalidInputError(
                f"plot_region: no window is known for {name!r} (got {low} to {high}); "
                f"give bounds={{{name!r}: (lower, upper)}}"
            )
        margin = 0.02 * (high - low)  # whole marks at the rim
        window.append((float(low - margin), float(high + margin)))
    return window
