"""Cells of a box: how they are divided, and what of each a region can reach."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.feasibility.decision_bounds import DecisionBounds
    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

_CHUNK_ENTRIES = 1 << 17  # cells times rows looked at at once


def grid_of(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Equal cells over a box: a few hundred, whatever the number of inputs that are not fixed."""
    free = int((upper > lower).sum())
    count = {0: 1, 1: 64, 2: 16, 3: 7, 4: 4, 5: 3}.get(free, 2)
    edges = [
        np.linspace(low, high, count + 1) if high > low else np.array([low, high])
        for low, high in zip(lower, upper, strict=True)
    ]
    firsts = np.meshgrid(*[edge[:-1] for edge in edges], indexing="ij")
    lasts = np.meshgrid(*[edge[1:] for edge in edges], indexing="ij")
    return (
        np.stack([f.ravel() for f in firsts], axis=1),
        np.stack([f.ravel() for f in lasts], axis=1),
    )


def divide_cells(
    lower: FloatArray, upper: FloatArray, width: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Halve each cell along its longest sides (up to three), measured in the cover's widths."""
    if not len(lower):
        return lower, upper
    length = (upper - lower) / width
    long = length >= 0.6 * length.max(axis=1, keepdims=True)
    rank = np.argsort(np.argsort(-length, axis=1, kind="stable"), axis=1)
    long &= rank < 3
    middle = 0.5 * (lower + upper)
    for j in range(lower.shape[1]):
        halved = long[:, j]
        first_upper, second_lower = upper.copy(), lower[halved].copy()
        first_upper[halved, j] = middle[halved, j]
        second_lower[:, j] = middle[halved, j]
        second_upper = upper[halved]
        lower = np.concatenate([lower, second_lower])
        upper = np.concatenate([first_upper, second_upper])
        long = np.concatenate([long, long[halved]])
        middle = np.concatenate([middle, middle[halved]])
    return lower, upper


def cells_to_divide(
    lower: FloatArray,
    upper: FloatArray,
    bounds: DecisionBounds,
    inside: NDArray[np.bool_],
    urgency: FloatArray,
    inner_points: FloatArray,
    focus: FloatArray | None,
    width: FloatArray,
    room: int,
) -> NDArray[np.bool_]:
    """Choose the cells to divide: the urgent ones, and those along the border near the focus."""
    if focus is not None and len(inner_points):
        # the border that divides the focus from the region shows where to divide the box
        solution = focus[0]
        beyond = np.maximum(np.maximum(lower - solution, solution - upper), 0) / width
        apart = np.sqrt((beyond**2).sum(axis=1))
        near = np.sqrt((((inner_points - solution) / width) ** 2).sum(axis=1).min())
        length = ((upper - lower) / width).max(axis=1)
        urgency = np.maximum(urgency, length / (0.5 * apart + 0.2 * near + 1e-6))
    small = ((upper - lower) <= 1e-7 * width + 1e-12 * np.abs(upper)).all(axis=1)
    divide = (urgency > 1) & ~inside & ~small
    room -= int((~divide).sum())
    if int(divide.sum()) > room:
        # the budget ends: keep dividing where most is at stake
        chosen = np.flatnonzero(divide)
        order = np.lexsort((bounds.value[chosen], -urgency[chosen]))
        divide = np.zeros_like(divide)
        divide[chosen[order[: max(room // 4, 0)]]] = True
    return divide


@cache
def _cube(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Corners of the unit cube, (2^n, n) of 0 and 1, and its edges as pairs of corners."""
    corners = np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.intp)
    edges = [
        (i, i + (1 << (n - 1 - j)))
        for i in range(len(corners))
        for j in range(n)
        if corners[i, j] == 0
    ]
    return corners, np.array(edges, dtype=np.intp)


def reachable_corners(
    bounds: DecisionBounds, lower: FloatArray, upper: FloatArray, margin: float
) -> FloatArray:
    """Corners of each cell cut by value + gradient . (x - c) + below <= -margin; nan elsewhere."""
    corners, edges = _cube(lower.shape[1])
    ends = np.stack([lower, upper], axis=1)
    at_corner = ends[:, corners, np.arange(lower.shape[1])]
    slack = (
        np.einsum("kqj,kj->kq", at_corner - bounds.center[:, None, :], bounds.gradient)
        + (bounds.value + bounds.below + margin)[:, None]
    )
    first, last = slack[:, edges[:, 0]], slack[:, edges[:, 1]]
    crosses = (first <= 0) != (last <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(crosses, first / (first - last), np.nan)
    on_edge = at_corner[:, edges[:, 0]] + share[:, :, None] * (
        at_corner[:, edges[:, 1]] - at_corner[:, edges[:, 0]]
    )
    reachable = np.where((slack <= 0)[:, :, None], at_corner, np.nan)
    return np.concatenate([reachable, on_edge], axis=1)


def extent_along(
    bounds: DecisionBounds,
    lower: FloatArray,
    upper: FloatArray,
    margin: float,
    rows: FloatArray,
    origin: FloatArray,
    known: FloatArray | None = None,
) -> FloatArray:
    """How far each cell, cut by its tangent, reaches along each row, seen from an origin, (k, d).

    By duality it is the least over m >= 0 of ``m h + sum_j |a_j - m g_j| r_j``, a convex function
    of m whose kinks are at the ratios a_j / g_j. Where the cell's box itself reaches no farther
    than `known`, that is returned.
    """
    radius = 0.5 * (upper - lower)
    along: FloatArray = (bounds.center - origin) @ rows.T
    result = along + radius @ np.abs(rows).T
    open_ = np.ones(result.shape, dtype=bool) if known is None else result > known
    cells, columns = np.nonzero(open_)
    step = _CHUNK_ENTRIES
    for start in range(0, len(cells), step):
        k, d = cells[start : start + step], columns[start : start + step]
        a, g, r = rows.T[:, d], bounds.gradient.T[:, k], radius.T[:, k]
        height = -(bounds.value + bounds.below)[k] - margin
        best = result[k, d] - along[k, d]
        for j in range(len(a)):
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = a[j] / g[j]
            m = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 0.0)
            left = m * height
            for i in range(len(a)):
                left += np.abs(a[i] - m * g[i]) * r[i]
            np.minimum(best, left, out=best)
        result[k, d] = along[k, d] + best
    return result


def border_points(
    region: KernelRegion,
    bounds: DecisionBounds,
    vertices: FloatArray | None,
    lower: FloatArray,
    upper: FloatArray,
    inside: NDArray[np.bool_],
    width: FloatArray,
    margin: float,
) -> FloatArray:
    """Points near the region's border that it accepts, from the cells that are not wholly inside.

    From each cell's center, and from its outermost vertex where these are given.
    """
    n = lower.shape[1]
    rows = np.flatnonzero(~inside)
    if not len(rows):
        return np.empty((0, n))
    # to where even the upper of the two tangents is feasible, along the gradient
    steep = bounds.gradient[rows] * width
    norm = np.maximum((steep**2).sum(axis=1), 1e-300)
    direction = bounds.gradient[rows] * width**2 / norm[:, None]
    gap = (bounds.above - bounds.below)[rows]
    height = bounds.value[rows] + bounds.above[rows] + margin
    tries = [bounds.center[rows] - height[:, None] * direction]
    if vertices is not None:
        outermost = np.where(np.isnan(vertices[rows, :, 0]), -np.inf, 0.0)
        height_at = np.einsum("kqj,kj->kq", np.nan_to_num(vertices[rows]), bounds.gradient[rows])
        best = (height_at + outermost).argmax(axis=1)
        tries.append(vertices[rows, best] - 1.01 * gap[:, None] * direction)
    found = []
    for candidate in tries:
        candidate = np.clip(candidate, lower[rows], upper[rows])
        found.append(candidate[region.decision(candidate) <= -margin])
    return np.concatenate(found)


def outermost_corners(lower: FloatArray, upper: FloatArray, rows: FloatArray) -> FloatArray:
    """Corner of the cells that lies farthest along each row."""
    along = 0.5 * (lower + upper) @ rows.T + 0.5 * (upper - lower) @ np.abs(rows).T
    cell = along.argmax(axis=0)
    return np.where(rows > 0, upper[cell], lower[cell])
