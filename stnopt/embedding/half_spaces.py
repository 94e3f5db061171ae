"""Half-spaces around points: hulls, directions to bound along, and the few cuts that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

#: Of the box's width: moves every half-space outwards by more than qhull's rounding.
PAD = 1e-9
_CHUNK_ENTRIES = 1 << 19  # products held at once


def widths_of(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Width of a box, (n,); 1 where it is zero, so that it can divide."""
    width = upper - lower
    return np.where(width > 0, width, 1.0)


def box_facets(free: NDArray[np.bool_]) -> FloatArray:
    """Half-spaces 0 <= u_j <= 1 (0 <= u_j <= 0 where an input is fixed)."""
    n = len(free)
    facets = np.zeros((2 * n, n + 1))
    facets[:n, :n], facets[:n, -1] = np.eye(n), -np.where(free, 1.0, 0.0)
    facets[n:, :n] = -np.eye(n)
    return facets


def hull_facets(unit: FloatArray) -> FloatArray | None:
    """Half-spaces (a, b) of the convex hull, a . u + b <= 0; None where it is flat."""
    n = unit.shape[1]
    spread = np.ptp(unit, axis=0)
    free = spread > 1e-9
    if not free.any() or len(unit) <= free.sum():
        return None
    if free.sum() == 1:
        j = int(np.flatnonzero(free)[0])
        facets = np.zeros((2, n + 1))
        facets[0, j], facets[0, -1] = 1.0, -unit[:, j].max()
        facets[1, j], facets[1, -1] = -1.0, unit[:, j].min()
    else:
        try:
            equations = ConvexHull(unit[:, free]).equations
        except QhullError:
            return None
        equations = np.unique(np.round(equations, 13), axis=0)
        facets = np.zeros((len(equations), n + 1))
        facets[:, :-1][:, free] = equations[:, :-1]
        facets[:, -1] = equations[:, -1]
    if free.all():
        return facets
    flat = box_facets(~free)
    flat[:, -1] = -(flat[:, :-1] @ unit.T).max(axis=1)
    return np.concatenate([facets, flat])


def excess_of(
    vertices: FloatArray, inner_points: FloatArray, lower: FloatArray, width: FloatArray
) -> FloatArray:
    """How far each vertex sticks out of the hull of the feasible points; inf without a hull."""
    shape = vertices.shape[:2]
    n = vertices.shape[2]
    facets = hull_facets((inner_points - lower) / width) if len(inner_points) else None
    if facets is None:
        return np.full(shape, np.inf)
    unit = ((vertices - lower) / width).reshape(-1, n)
    there = np.flatnonzero(~np.isnan(unit[:, 0]))
    result = np.full(len(unit), np.nan)
    step = max(1, _CHUNK_ENTRIES // len(facets))
    for start in range(0, len(there), step):
        rows = there[start : start + step]
        result[rows] = (facets[:, :-1] @ unit[rows].T + facets[:, -1:]).max(axis=0)
    return result.reshape(shape)


def largest_products(directions: FloatArray, points: FloatArray) -> FloatArray:
    """Largest product of each direction, (d, n), with a point, (k, n): (d,)."""
    result = np.full(len(directions), -np.inf)
    step = max(1, _CHUNK_ENTRIES // max(1, len(directions)))
    for start in range(0, len(points), step):
        np.maximum(result, (directions @ points[start : start + step].T).max(axis=1), out=result)
    return result


def distance_to(spots: FloatArray, points: FloatArray, width: FloatArray) -> FloatArray:
    """Largest coordinate difference, in widths, to the nearest of the spots."""
    apart = [np.abs((points - spot) / width).max(axis=-1) for spot in spots]
    nearest: FloatArray = np.min(apart, axis=0)
    return nearest


def extreme_points(
    points: FloatArray, lower: FloatArray, width: FloatArray, directions: FloatArray | None
) -> FloatArray:
    """Those that span the convex hull, or lie farthest in the directions, and some others."""
    if len(points) <= 400:
        return points
    unit = (points - lower) / width
    if directions is not None:
        along = np.concatenate([directions, box_facets(np.ones(points.shape[1], bool))[:, :-1]])
        ends = np.unique((unit @ along.T).argmax(axis=0))
    else:
        free = np.ptp(unit, axis=0) > 1e-9
        if free.sum() <= 1:
            ends = np.unique(np.concatenate([unit.argmin(axis=0), unit.argmax(axis=0)]))
        else:
            try:
                ends = ConvexHull(unit[:, free]).vertices
            except QhullError:
                ends = np.arange(0)
    others = np.arange(0, len(points), max(1, len(points) // 400))
    return points[np.union1d(ends, others)]


def unit_rows(rows: FloatArray) -> FloatArray:
    """Scale the rows to length 1; those of length 0 are left out."""
    norm = np.sqrt((rows**2).sum(axis=1))
    return rows[norm > 0] / norm[norm > 0, None]


def most_different(rows: FloatArray, count: int) -> FloatArray:
    """Choose up to so many unit vectors that differ most, the first one first."""
    if len(rows) <= count:
        return rows
    chosen = [0]
    closeness = rows @ rows[0]
    while len(chosen) < count:
        chosen.append(int(closeness.argmin()))
        np.maximum(closeness, rows @ rows[chosen[-1]], out=closeness)
    return rows[chosen]


def nearest_in_hull(points: FloatArray, target: FloatArray, width: FloatArray) -> FloatArray:
    """Point of the convex hull of `points` nearest to the target, measured in the widths.

    With p_i the points seen from the target it is ``w / |w|^2`` for the shortest w with
    ``p_i . w >= 1``, a least-distance problem that non-negative least squares solves; the target
    itself, if inside.

    References
    ----------
    Lawson and Hanson (1974), Solving Least Squares Problems, ch. 23, doi:10.1137/1.9781611971217.
    """
    apart = (points - target) / width
    equations = np.vstack([apart.T, np.ones(len(apart))])
    goal = np.zeros(len(equations))
    goal[-1] = 1.0
    try:
        shares, _ = nnls(equations, goal)
    except RuntimeError:  # no convergence: any point of the hull will do, it only ranks and aims
        return points[int((apart**2).sum(axis=1).argmin())]
    residual = equations @ shares - goal
    if residual[-1] > -1e-12:
        return target
    toward = -residual[:-1] / residual[-1]
    return target + width * toward / (toward @ toward)


def few_cuts(
    facets: FloatArray,
    known: FloatArray,
    free: NDArray[np.bool_],
    middle: FloatArray,
    aim: FloatArray | None,
    tolerance: float,
) -> FloatArray:
    """Facets such that no corner of what they enclose sticks out of the hull by much more."""
    n = len(free)
    n_free = int(free.sum())
    if n_free <= 1:
        return np.empty((0, n + 1))
    limit = 12 * n_free
    if len(facets) <= limit // 2:
        return np.concatenate([facets, known])
    reduced = np.column_stack([facets[:, :-1][:, free], facets[:, -1]])
    taken = box_facets(np.ones(n_free, dtype=bool))
    taken[:, -1] -= PAD
    taken = np.concatenate([taken, np.column_stack([known[:, :-1][:, free], known[:, -1]])])
    chosen: list[int] = []
    if aim is not None:
        # first those that cut the focus off: without them the same solution would come again
        violated = reduced[:, :-1] @ aim[0, free] + reduced[:, -1]
        chosen = [int(i) for i in np.argsort(-violated)[:6] if violated[i] > 0]
        taken = np.concatenate([taken, reduced[chosen]])
    while len(chosen) < limit:
        try:
            corners = HalfspaceIntersection(taken, middle[free]).intersections
        except QhullError:
            break
        corners = corners[np.isfinite(corners).all(axis=1)]
        outside = corners @ reduced[:, :-1].T + reduced[:, -1]
        worst = outside.argmax(axis=1)
        amount = outside.max(axis=1)
        allowed = np.full(len(corners), tolerance)
        if aim is not None:
            apart = distance_to(aim[:, free], corners, np.ones(n_free))
            allowed = np.maximum(tolerance * np.minimum(apart, 1.0), 1e-3 * tolerance)
        late = np.argsort(-(amount / allowed))
        late = late[amount[late] > allowed[late]]
        new = [int(i) for i in dict.fromkeys(worst[late].tolist()) if i not in chosen]
        if not new:
            break
        new = new[: limit - len(chosen)]
        chosen.extend(new)
        taken = np.concatenate([taken, reduced[new]])
    return np.concatenate([facets[chosen], known])
