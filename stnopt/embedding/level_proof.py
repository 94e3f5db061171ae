"""Proof that a region's decision stays below a level on a whole polytope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnopt.feasibility.decision_bounds import bound_decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.embedding.polytope import Piece
    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

_MAX_BOXES = 60_000  # boxes that one proof may look at before it is given up
_REACH = 0.3  # in shares of the box's width: how far a focus is felt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """Highest decision a piece may have: `fine` at the focus, rising to `coarse` away from it."""

    fine: float
    coarse: float
    keep: float
    focus: FloatArray  # (k, n), in u

    def over(self, centers: FloatArray, radii: FloatArray | float) -> FloatArray:
        """Lowest level within each box, (k,); centers and radii in u."""
        if not len(self.focus):
            return np.full(len(centers), self.coarse)
        apart = np.maximum(np.abs(centers[:, None, :] - self.focus[None]) - _expand(radii), 0.0)
        share = np.minimum(apart.max(axis=2).min(axis=1) / _REACH, 1.0)
        return np.maximum(self.fine, self.keep + share * (self.coarse - self.keep))


def _expand(radii: FloatArray | float) -> FloatArray | float:
    return radii if isinstance(radii, float) else radii[:, None, :]


def point_above(
    region: KernelRegion,
    piece: Piece,
    lower: FloatArray,
    width: FloatArray,
    level: Level,
    back_off: float,
) -> FloatArray | None:
    """Prove that the decision is at most the level on a piece; a point (in u) where that is open.

    Boxes are dropped where a row excludes them, or where the tangent from above, maximised over the
    box and one row (by that row's multiplier), stays below it.
    """
    limits = piece.limits + back_off
    at_corner = region.decision(lower + width * piece.vertices)
    at_corner -= level.over(piece.vertices, 0.0)
    if at_corner.max() > 0:
        return piece.vertices[int(at_corner.argmax())]
    low = piece.vertices.min(axis=0) - back_off - 1e-8
    high = piece.vertices.max(axis=0) + back_off + 1e-8
    centers, radii = 0.5 * (low + high)[None], 0.5 * (high - low)[None]
    looked = 0
    while len(centers):
        least = centers @ piece.slopes.T - radii @ np.abs(piece.slopes).T
        there = (least <= limits).all(axis=1)
        centers, radii = centers[there], radii[there]
        if not len(centers):
            break
        looked += len(centers)
        bounds = bound_decision(
            region, lower + width * (centers - radii), lower + width * (centers + radii)
        )
        admit = level.over(centers, radii)
        inside = (centers @ piece.slopes.T <= limits).all(axis=1)
        above = inside & (bounds.value > level.over(centers, 0.0))
        if above.any():
            return centers[int(np.where(above, bounds.value - admit, -np.inf).argmax())]
        open_ = np.flatnonzero(bounds.upper > admit)
        if len(open_):
            top = _largest_on_row(
                bounds.value[open_] + bounds.above[open_],
                bounds.gradient[open_] * width,
                centers[open_],
                radii[open_],
                piece.slopes,
                limits,
            )
            open_ = open_[top > admit[open_]]
        centers, radii = centers[open_], radii[open_]
        if looked > _MAX_BOXES and len(centers):
            return centers[0]
        centers, radii = _halve(centers, radii)
    return None


def _largest_on_row(
    value: FloatArray,
    slope: FloatArray,
    centers: FloatArray,
    radii: FloatArray,
    rows: FloatArray,
    limits: FloatArray,
) -> FloatArray:
    """Least over rows a and multipliers m >= 0 of max value + slope.d + m (limit - a.(c + d)).

    d is in the box. It is a convex, piecewise linear function of m, least at 0 or where an entry of
    ``slope - m a`` vanishes.
    """
    best = value + (np.abs(slope) * radii).sum(axis=1)
    room = limits - centers @ rows.T  # (k, f)
    for j in range(slope.shape[1]):
        usable = np.abs(rows[:, j]) > 1e-9
        if not usable.any():
            continue
        a, space = rows[usable], room[:, usable]
        multiplier = np.maximum(slope[:, j, None] / a[None, :, j], 0.0)  # (k, f)
        left = np.abs(slope[:, None, :] - multiplier[:, :, None] * a[None])
        reach = (left * radii[:, None, :]).sum(axis=2)
        best = np.minimum(best, (value[:, None] + multiplier * space + reach).min(axis=1))
    return best


def _halve(centers: FloatArray, radii: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Halve each box along its long sides (all within 0.6 of the longest)."""
    if not len(centers):
        return centers, radii
    long = radii >= 0.6 * radii.max(axis=1, keepdims=True)
    for j in range(centers.shape[1]):
        halved = long[:, j]
        radii = radii.copy()
        radii[halved, j] *= 0.5
        moved = centers[halved].copy()
        moved[:, j] += radii[halved, j]
        centers = centers.copy()
        centers[halved, j] -= radii[halved, j]
        centers = np.concatenate([centers, moved])
        radii = np.concatenate([radii, radii[halved]])
        long = np.concatenate([long, long[halved]])
    return centers, radii
