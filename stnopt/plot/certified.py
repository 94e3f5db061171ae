"""How a certified region is drawn: along lines towards more, halved where their label changes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE
from stnopt.plot.style import (
    COLUMN_WIDTH,
    GRID,
    LABEL_SIZE,
    ORANGE,
    SKY,
    TICK_SIZE,
    VERMILION,
    label_axes,
    new_axes,
    plain,
    with_unit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from stnopt.feasibility.certified_region import CertifiedRegion

_HALVINGS = 32
_THIN = 1e-5  # share of the most below which nothing is drawn as undecided
_SURFACE_GRID = 61  # rays per angle of a surface


def changes_along(
    region: CertifiedRegion, starts: NDArray[np.float64], steps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far along each line it is certified, and from where on it is out of reach.

    Parameters
    ----------
    starts, steps : (n, p) arrays, amount
        Lines from a start to start plus step, which is at least 0. Both answers are shares of it.
    """
    found = []
    for label, lasts in ((FEASIBLE, True), (INFEASIBLE, False)):
        low, high = np.zeros(len(starts)), np.ones(len(starts))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            before = (region.label(starts + middle[:, None] * steps) == label) == lasts
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        found.append((low + high) / 2)
    return found[0], np.maximum(found[0], found[1])


def draw_area(
    ax: Axes, region: CertifiedRegion, pair: tuple[int, int] = (0, 1), at: ArrayLike = (0.0, 0.0)
) -> None:
    """Shade what two products can be together, and outline what is undecided."""
    x, y = pair
    most = region.upper
    corners = [0.0, *region.segments[:, :, 0].ravel()] if len(most) == 2 else [0.0]
    corners += [limit.lower[x] for limit in region.limits]
    corners += [float(piece[:, x].max()) for piece in region.pieces]
    beside_corners = (np.array(corners)[:, None] + 1e-9 * most[x] * np.array([-1, 1])).ravel()
    xs = np.unique(np.append(np.linspace(0, most[x], GRID), beside_corners))
    xs = xs[(xs >= 0) & (xs <= most[x])]
    starts = np.tile(np.asarray(at, dtype=float), (len(xs), 1))
    starts[:, x], starts[:, y] = xs, 0.0
    steps = np.zeros_like(starts)
    steps[:, y] = most[y]
    known, proven = (most[y] * share for share in changes_along(region, starts, steps))
    ax.fill_between(
        xs, 0, known, color=SKY, alpha=0.45, linewidth=0, zorder=0, label="certified feasible"
    )
    is_open = proven - known > _THIN * most[y]
    if is_open.any():
        ax.fill_between(
            xs,
            known,
            proven,
            where=is_open,
            facecolor=ORANGE,
            edgecolor=VERMILION,
            hatch="//////",
            linewidth=0.8,
            zorder=3,
            label="undecided",
        )


def draw_surface(region: CertifiedRegion, ax: Axes | None) -> Axes:
    """Draw the surface of what is certified of three products, seen along rays from 0."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.colors import Normalize

    space: Any = ax
    if ax is None:
        figure = plt.figure(figsize=(COLUMN_WIDTH, 3.6), layout="constrained")
        space = figure.add_subplot(projection="3d")
    elif ax.name != "3d":
        raise InvalidInputError(
            "plot_frontier: three products need axes with projection='3d', such as those of"
            " plt.figure().add_subplot(projection='3d')"
        )
    around, up = np.meshgrid(*[np.linspace(0, np.pi / 2, _SURFACE_GRID)] * 2)
    rays = np.stack([np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.sin(up)], axis=-1)
    rays = region.upper * rays / rays.max(axis=-1, keepdims=True)  # each ends at the box's side
    flat = rays.reshape(-1, 3)
    known, proven = changes_along(region, np.zeros_like(flat), flat)
    width = (proven - known).reshape(around.shape)
    surface = rays * known.reshape(around.shape)[..., None]
    faces = (width[1:, 1:] + width[1:, :-1] + width[:-1, 1:] + width[:-1, :-1]) / 4
    colours, scale = mpl.colormaps["cividis_r"], Normalize(0, 100 * max(float(faces.max()), _THIN))
    space.plot_surface(
        *np.moveaxis(surface, -1, 0),
        facecolors=colours(scale(100 * faces)),
        rcount=_SURFACE_GRID,
        ccount=_SURFACE_GRID,
        edgecolor=(0.2, 0.2, 0.2, 0.35),
        linewidth=0.15,
        shade=False,
    )
    bar = space.figure.colorbar(
        mpl.cm.ScalarMappable(scale, colours), ax=space, location="top", shrink=0.7, pad=0.0
    )
    bar.set_label("undecided beyond the certified [% of the most]", fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=TICK_SIZE)
    unit = str(region.scope.get("amount_unit") or "")
    x, y, z = (with_unit(name, unit) for name in region.products)
    label_axes(space, x=x, y=y)
    space.set_zlabel(z, fontsize=LABEL_SIZE)
    space.tick_params(pad=0)
    space.locator_params(nbins=5)  # of both axes at the floor, or their numbers meet
    space.set_box_aspect(None, zoom=0.85)
    space.view_init(elev=28, azim=40)
    return space


def draw_slices(region: CertifiedRegion, at: Mapping[str, float], ax: Axes | None) -> Axes:
    """Fill the place of the axes with a panel per pair of products."""
    p = len(region.products)
    ax = ax or new_axes(width=2 * COLUMN_WIDTH, height=2 * COLUMN_WIDTH * 0.9)
    ax.set_axis_off()
    unit = str(region.scope.get("amount_unit") or "")
    held = [
        at.get(name, most / 4) for name, most in zip(region.products, region.upper, strict=True)
    ]
    side = 1 / (p - 1)
    room = 0.16 * side  # for the labels of a panel's axes
    for x, y in combinations(range(p), 2):
        panel = ax.inset_axes(
            (x * side + room, 1 - y * side + room, side - 1.4 * room, side - 1.4 * room)
        )
        draw_area(panel, region, (x, y), held)
        panel.set_xlim(0, 1.05 * region.upper[x])
        panel.set_ylim(0, 1.05 * region.upper[y])
        label_axes(
            panel,
            x=with_unit(region.products[x], unit),
            y=with_unit(region.products[y], unit),
        )
    handles = {each.get_label(): each for each in panel.collections}
    ax.legend(
        handles=list(handles.values()),
        loc="upper right",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize=LABEL_SIZE,
        alignment="left",
        title="at least so much of the products\nthat a panel does not show:\n"
        + "\n".join(
            plain(f"{name} {amount:.4g} {unit}".strip())
            for name, amount in zip(region.products, held, strict=True)
        ),
        title_fontsize=LABEL_SIZE,
    )
    return ax
