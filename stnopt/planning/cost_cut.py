"""What production costs at least, beyond what sums say: planes that hold above a corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCut:
    """No schedule that makes at least z >= lower costs less than ``base + weights @ z``.

    Attributes
    ----------
    products : tuple of str, length p
    lower, weights : tuple of float, length p
    base : float
    """

    products: tuple[str, ...]
    lower: tuple[float, ...]
    weights: tuple[float, ...]
    base: float

    def at(self, amounts: NDArray[np.float64]) -> float:
        """Return the least cost of some amounts; minus infinity where the cut says nothing."""
        if np.any(amounts < np.array(self.lower)):
            return -np.inf
        return self.base + float(np.array(self.weights) @ amounts)


def add_cost_cuts(
    block: Any,
    cuts: Sequence[CostCut],
    make: Mapping[str, Any],
    cost: Any,
    upper: NDArray[np.float64],
    little: NDArray[np.float64],
) -> None:
    """Require cost >= base + weights . make wherever make >= lower.

    Where a corner is not the origin, a binary per coordinate says that production is below it;
    the cut is then lifted by the most that it can ask for within `upper`. Below a corner of at most
    `little`, nothing is made: zeros there leave the model a relaxation.
    """
    block.CUTS = pyo.RangeSet(0, len(cuts) - 1)
    corners = [
        (i, p, x)
        for i, cut in enumerate(cuts)
        for p, x in zip(cut.products, cut.lower, strict=True)
        if x > 0
    ]
    block.is_below = pyo.Var([(i, p) for i, p, _ in corners], domain=pyo.Binary)
    level = {(i, p): x for i, p, x in corners}
    nothing = dict(zip(cuts[0].products, little, strict=True)) if cuts else {}
    most = {p: float(u) for p, u in zip(cuts[0].products, upper, strict=True)} if cuts else {}

    @block.Constraint(list(level))
    def below_corner(b: Any, i: int, product: str) -> Any:
        x = level[i, product]
        low = 0.0 if x <= nothing[product] else x
        return make[product] <= low + max(0.0, most[product] - low) * (1 - b.is_below[i, product])

    @block.Constraint(block.CUTS)
    def cost_above_plane(b: Any, i: int) -> Any:
        cut = cuts[i]
        plane = cut.base + sum(
            w * make[p] for p, w in zip(cut.products, cut.weights, strict=True) if w
        )
        highest = cut.base + sum(
            max(w, 0.0) * most[p] for p, w in zip(cut.products, cut.weights, strict=True)
        )
        below = sum(b.is_below[i, p] for p in cut.products if (i, p) in level)
        return cost >= plane - max(0.0, highest) * below
