"""Where a box is divided: such that the solution is in the hull of neither half, if possible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnopt.embedding.half_spaces import nearest_in_hull

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stnopt.embedding.outer_approximation import OuterApproximation

    FloatArray = NDArray[np.float64]

_SMALLEST_BOX = 1e-7  # of the first box's width: beyond, the MILP solver cannot tell points apart


def best_split(
    outer: OuterApproximation, point: FloatArray, first_width: FloatArray
) -> tuple[tuple[float, float], int, float] | None:
    """Score, input and place of the best division of a box that holds a wrong solution.

    The score is how far the solution is from the hulls of both halves, the nearer one first. None
    if nothing is left to divide.
    """
    best: tuple[tuple[float, float], int, float] | None = None
    corners = _outermost_corners(outer, point)
    for j, at in _places(outer, point, first_width):
        score = _separation(corners, point, outer.width, j, at)
        if best is None or score > best[0]:
            best = (score, j, at)
    return best


def _places(
    outer: OuterApproximation, point: FloatArray, first_width: FloatArray
) -> Iterator[tuple[int, float]]:
    """Where a box may be divided: at the solution, in the middle, and in the widest empty slab."""
    near = outer.nearest_inner_point(point)
    for j in range(len(point)):
        low, high = outer.lower[j], outer.upper[j]
        if high - low <= _SMALLEST_BOX * first_width[j]:
            continue
        places = {0.5 * (low + high)}
        for border in (point, near):
            if border is not None and 0.02 < (border[j] - low) / (high - low) < 0.98:
                places.add(float(border[j]))
        order = outer.cell_lower[:, j].argsort()
        ends = np.maximum.accumulate(outer.cell_upper[order, j])[:-1]
        gaps = outer.cell_lower[order, j][1:] - ends
        if len(gaps) and gaps.max() > 0:
            widest = int(gaps.argmax())
            places.add(float(ends[widest] + 0.5 * gaps[widest]))
        for at in places:
            yield j, at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Corners:
    """Corners that nearly span an approximation's hull, each with the cell it belongs to."""

    points: FloatArray
    cell_lower: FloatArray
    cell_upper: FloatArray


def _outermost_corners(outer: OuterApproximation, point: FloatArray) -> _Corners:
    """Choose the corners farthest along each facet and those nearest to a point."""
    rows, columns = np.nonzero(~np.isnan(outer.vertices[:, :, 0]))
    points = outer.vertices[rows, columns]
    if len(points) > 1000:
        unit = (points - outer.lower) / outer.width
        apart = ((unit - (point - outer.lower) / outer.width) ** 2).sum(axis=1)
        ends = [(unit @ facet).argmax() for facet in outer.facets[:100, :-1]]
        chosen = np.union1d(ends, np.argpartition(apart, 300)[:300])
        points, rows = points[chosen], rows[chosen]
    return _Corners(
        points=points, cell_lower=outer.cell_lower[rows], cell_upper=outer.cell_upper[rows]
    )


def _separation(
    corners: _Corners, point: FloatArray, width: FloatArray, j: int, at: float
) -> tuple[float, float]:
    """How far the solution is from the hulls of both halves: the nearer one first."""
    distances = []
    for clip, side in (
        (np.minimum, corners.cell_lower[:, j] < at),
        (np.maximum, corners.cell_upper[:, j] > at),
    ):
        points = corners.points[side]
        if not len(points):
            distances.append(math.inf)
            continue
        points[:, j] = clip(points[:, j], at)
        near = nearest_in_hull(points, point, width)
        distances.append(float(np.sqrt((((near - point) / width) ** 2).sum())))
    return min(distances), max(distances)
