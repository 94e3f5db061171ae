"""Bounds on a kernel region's decision over boxes.

NumPy only, no model. An evaluation of the region costs microseconds and an MILP up to seconds, so
that much work is spent here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

_CHUNK_ENTRIES = 1 << 19  # kernel entries held at once
_ROUNDING = 1e-12  # of the sum of the terms' magnitudes: far above the rounding of that sum


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBounds:
    """Bounds on a region's decision over boxes.

    For all x of box k with center c, ``below <= decision(x) - value - gradient . (x - c) <= above``
    and ``lower <= decision(x) <= upper``.

    Attributes
    ----------
    center, gradient : (k, n) array
    value, below, above, lower, upper : (k,) array
    """

    center: FloatArray
    value: FloatArray
    gradient: FloatArray
    below: FloatArray
    above: FloatArray
    lower: FloatArray
    upper: FloatArray

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> DecisionBounds:
        """Those of some of the boxes."""
        return DecisionBounds(**{name: getattr(self, name)[rows] for name in self.__slots__})

    @classmethod
    def joined(cls, parts: Sequence[DecisionBounds]) -> DecisionBounds:
        """Bounds of several lists of boxes, one after the other."""
        return cls(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in cls.__slots__
            }
        )


def bound_decision(region: KernelRegion, lower: FloatArray, upper: FloatArray) -> DecisionBounds:
    """Bound the decision over boxes, by the terms' ranges and by an expansion around the center.

    The expansion takes the exact slope and curvature of the whole sum, where large coefficients of
    opposite sign cancel, and a bound on what each term leaves (`Kernel.bound_sum`). It wins on
    small boxes, the ranges on large ones.

    Parameters
    ----------
    region : KernelRegion
    lower, upper : (k, n) array
        Boxes in the inputs' own units.
    """
    step = max(1, _CHUNK_ENTRIES // max(1, len(region.dual_coefs)))
    parts = [
        _bound_chunk(region, lower[start : start + step], upper[start : start + step])
        for start in range(0, max(1, len(lower)), step)
    ]
    return DecisionBounds.joined(parts)


def _bound_chunk(region: KernelRegion, lower: FloatArray, upper: FloatArray) -> DecisionBounds:
    center = 0.5 * (lower + upper)
    scaled = (center - region.center) / region.scale
    # one part in 1e12 more, so that rounding never leaves a corner outside
    radius = 0.5 * (upper - lower) / region.scale * (1 + 1e-12) + 1e-15 * np.abs(scaled)
    terms = region.kernel_function.bound_sum(
        scaled, radius, region.support_vectors, region.dual_coefs
    )
    rounding = _ROUNDING * (terms.size + abs(region.offset))
    value = terms.value + region.offset
    below = terms.below - rounding
    above = terms.above + rounding
    farthest = np.einsum("kj,kj->k", np.abs(terms.slope), radius)
    return DecisionBounds(
        center=center,
        value=value,
        gradient=terms.slope / region.scale,
        below=below,
        above=above,
        lower=np.maximum(terms.low + region.offset - rounding, value - farthest + below),
        upper=np.minimum(terms.high + region.offset + rounding, value + farthest + above),
    )


def describe_extrapolation(
    region: KernelRegion, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> str:
    """Name the inputs that reach well outside the training box; empty if none does.

    Samples rarely touch the limits that they were drawn from: a twentieth of the box is let pass.
    """
    slack = 0.05 * (region.upper - region.lower)
    slack = np.where(np.isfinite(slack), slack, 0.0)
    return "; ".join(
        f"{name} to [{lower[j]:.6g}, {upper[j]:.6g}]"
        f" (trained on [{region.lower[j]:.6g}, {region.upper[j]:.6g}])"
        for j, name in enumerate(region.inputs)
        if lower[j] < region.lower[j] - slack[j] or upper[j] > region.upper[j] + slack[j]
    )
