"""The boundary of what a plant can make, and a certified region of two, three or more products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from stnopt.arguments import AMOUNTS, Kind, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.plot.certified import draw_area, draw_slices, draw_surface
from stnopt.plot.style import AXES, PURPLE, label_target_axes, new_axes, put_legend_above, two_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


class Frontier(Protocol):
    """What `plot_frontier` draws: the boundary between what can and what cannot be made."""

    @property
    def vertices(self) -> ArrayLike:
        """Corners of the boundary in order, (k, 2), amount."""

    @property
    def products(self) -> Sequence[str]:
        """Names of the two products."""


#: A certified region, or any object that has what a `Frontier` has.
_FRONTIER = Kind(
    "a CertifiedRegion, or an object with products and vertices",
    lambda value: (
        isinstance(value, CertifiedRegion)
        or (hasattr(value, "products") and hasattr(value, "vertices"))
    ),
)


def plot_frontier(
    frontier: Frontier | CertifiedRegion,
    *,
    at: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a plant can make of some products, what it cannot, and what is not decided.

    Two products: the area, with the boundary; on axes that show something already, such as those
    of `plot_region`, the boundary alone. Undecided slivers are outlined, so that thin ones show.
    Three: the surface of what is certified, coloured by how much of the third product is undecided
    above it. More: a panel for every pair, with the other products held at least at some amount.

    Parameters
    ----------
    frontier : CertifiedRegion
        Or, for two products, any object with `vertices`, a (k, 2) array of corners in order
        [amount], and `products`, the two names.
    at : mapping of str to float, amount, optional
        Four products or more: how much of each is asked for in the panels that do not show it, by
        default a quarter of the most of it. 0 asks for none.
    ax : Axes, optional
        For three products with ``projection="3d"``; for more, the panels fill its place and are its
        `child_axes`.

    Raises
    ------
    InvalidInputError
        When the products, the vertices, `at` or the axes do not fit.
    """
    check_arguments(frontier=(frontier, _FRONTIER), at=(at, optional(AMOUNTS)), ax=(ax, AXES))
    if at is not None and (len(frontier.products) < 4 or not set(at) <= set(frontier.products)):
        raise InvalidInputError(
            "plot_frontier: `at` holds products of four or more, got at="
            f"{dict(at)} for {', '.join(frontier.products)}"
        )
    if isinstance(frontier, CertifiedRegion) and len(frontier.products) == 3:
        return draw_surface(frontier, ax)
    if isinstance(frontier, CertifiedRegion) and len(frontier.products) > 3:
        return draw_slices(frontier, at or {}, ax)
    names = two_names(frontier.products, "plot_frontier")
    vertices = np.asarray(frontier.vertices, dtype=float)
    if vertices.ndim != 2 or vertices.shape[1] != 2:
        raise InvalidInputError(
            f"plot_frontier: expected vertices of shape (k, 2), got {vertices.shape}"
        )
    ax = ax or new_axes(height=3.1)
    if isinstance(frontier, CertifiedRegion) and not ax.has_data():
        draw_area(ax, frontier)
        ax.plot(*vertices.T, color="black", linewidth=1.2, zorder=3.5)
    else:
        ax.plot(*vertices.T, "--", color=PURPLE, linewidth=1.6, label="true frontier", zorder=3.5)
    label_target_axes(ax, names, getattr(frontier, "scope", {}))
    put_legend_above(ax)
    return ax
