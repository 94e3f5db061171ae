"""Convex polytopes in shares of a box: their half-spaces and corners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from stnopt.embedding.outer_approximation import OuterApproximation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.embedding.outer_approximation import OuterApproximation

    FloatArray = NDArray[np.float64]

_FLAT = 1e-7  # in shares of the box's width: thinner pieces are widened
_FACETS_MERGED = 24  # a merged piece in three or four inputs has at most so many half-spaces


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Convex polytope ``slopes @ u <= limits`` with ``u = (x - lower) / width`` of the whole box.

    Attributes
    ----------
    slopes : (f, n) array
        Rows of length 1.
    limits : (f,) array
    vertices : (q, n) array
        Corners, in u.
    """

    slopes: FloatArray
    limits: FloatArray
    vertices: FloatArray

    def holds(self, unit: FloatArray, slack: float = 0.0) -> bool:
        """Whether a point, in u, satisfies every row up to `slack`."""
        return bool((self.slopes @ unit <= self.limits + slack).all())


def box_piece(n: int) -> Piece:
    """Return the whole box as a piece."""
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T
    slopes = np.concatenate([np.eye(n), -np.eye(n)])
    return Piece(slopes=slopes, limits=np.r_[np.ones(n), np.zeros(n)], vertices=corners)


def piece_within(
    cover: OuterApproximation, lower: FloatArray, width: FloatArray, within: Piece | None
) -> Piece | None:
    """Write the cover's box and cuts in shares of the whole box, cut by a piece; None if empty."""
    n = len(lower)
    slopes = np.concatenate([np.eye(n), -np.eye(n), cover.cuts[:, :-1] * (width / cover.width)])
    shift = cover.cuts[:, :-1] @ ((lower - cover.lower) / cover.width)
    limits = np.concatenate(
        [
            (cover.upper - lower) / width + 1e-9,
            -(cover.lower - lower) / width + 1e-9,
            -cover.cuts[:, -1] - shift,
        ]
    )
    norm = np.sqrt((slopes**2).sum(axis=1))
    slopes, limits = slopes / norm[:, None], limits / norm
    if within is not None:
        slopes = np.concatenate([slopes, within.slopes])
        limits = np.concatenate([limits, within.limits])
    return polytope(slopes, limits)


def polytope(slopes: FloatArray, limits: FloatArray) -> Piece | None:
    """Rows that matter, and corners; None where no point satisfies them."""
    n = slopes.shape[1]
    center, radius = _chebyshev(slopes, limits)
    if center is None:
        return None
    if radius < _FLAT:  # widened, so that it has corners: nothing is lost
        limits = limits + (2 * _FLAT - min(radius, 0.0))
        center, _ = _chebyshev(slopes, limits)
    if n == 1:
        top = float((limits / slopes[:, 0])[slopes[:, 0] > 0].min())
        bottom = float((limits / slopes[:, 0])[slopes[:, 0] < 0].max())
        return interval(bottom, top)
    try:
        inner = HalfspaceIntersection(np.column_stack([slopes, -limits]), center)
    except QhullError:
        return _bounding_box(slopes, limits)
    corners = inner.intersections[np.isfinite(inner.intersections).all(axis=1)]
    # a row that no corner reaches changes nothing
    rows = np.flatnonzero((corners @ slopes.T).max(axis=0) >= limits - 1e-8)
    _, first = np.unique(
        np.round(np.column_stack([slopes, limits])[rows], 12), axis=0, return_index=True
    )
    rows = rows[np.sort(first)]
    return Piece(slopes=slopes[rows], limits=limits[rows], vertices=corners)


def interval(bottom: float, top: float) -> Piece:
    """Return a piece of one input."""
    return Piece(
        slopes=np.array([[1.0], [-1.0]]),
        limits=np.array([top, -bottom]),
        vertices=np.array([[bottom], [top]]),
    )


def _bounding_box(slopes: FloatArray, limits: FloatArray) -> Piece:
    """Box around a polytope that is too thin for its corners to be computed."""
    n = slopes.shape[1]
    ends = []
    for direction in np.concatenate([np.eye(n), -np.eye(n)]):
        answer = linprog(-direction, A_ub=slopes, b_ub=limits, bounds=[(None, None)] * n)
        ends.append(1.0 if answer.x is None else float(direction @ answer.x) + _FLAT)
    box = box_piece(n)
    corners = np.where(box.vertices > 0.5, np.array(ends[:n]), -np.array(ends[n:]))
    return Piece(slopes=box.slopes, limits=np.array(ends), vertices=corners)


def _chebyshev(slopes: FloatArray, limits: FloatArray) -> tuple[FloatArray | None, float]:
    """Center and radius of the largest ball inside; no center if the rows exclude each other."""
    n = slopes.shape[1]
    answer = linprog(
        np.r_[np.zeros(n), -1.0],
        A_ub=np.column_stack([slopes, np.ones(len(slopes))]),
        b_ub=limits,
        bounds=[(None, None)] * n + [(None, 1.0)],
        method="highs",
    )
    if answer.x is None or answer.x[-1] < -1e-8:
        return None, -math.inf
    return answer.x[:-1], float(answer.x[-1])


def volume_of(points: FloatArray) -> float:
    """Volume of the points' convex hull, of some where they are many; 0 where it is flat."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(np.ptp(points))
    if len(points) > 2000:
        points = points[:: len(points) // 1000]
    try:
        return float(ConvexHull(points).volume)
    except QhullError:
        return 0.0


def common_hull(first: Piece, second: Piece, n: int) -> Piece | None:
    """Convex hull of two pieces; None where it is flat or has too many facets."""
    points = np.concatenate([first.vertices, second.vertices])
    if n == 1:
        return interval(float(points.min()), float(points.max()))
    try:
        hull = ConvexHull(points)
    except QhullError:
        return None
    rows = np.unique(np.round(hull.equations, 12), axis=0)
    if n > 2 and len(rows) > _FACETS_MERGED:
        return None
    slopes = rows[:, :-1] / np.sqrt((rows[:, :-1] ** 2).sum(axis=1))[:, None]
    # the support of the points themselves: rounding inside qhull cuts none of them off
    limits = (slopes @ points.T).max(axis=1) + 1e-12
    return Piece(slopes=slopes, limits=limits, vertices=points[hull.vertices])
