"""Convex pieces whose union is what a plant can make, from what is known inside and outside.

A piece is the rows of an array: what lies below a mean of its rows. A union of pieces needs one
binary each in a model, and its relaxation is the hull of the union.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.feasibility.refinement import Limit

    Piece = NDArray[np.float64]

#: Share of the largest amount below which two amounts are one.
_SAME = 1e-9
#: Share of the largest amounts by which an outer piece may be too large, for fewer pieces.
_COARSE = 2e-4


def region_pieces(region: CertifiedRegion, products: Sequence[str]) -> list[Piece]:
    """Return the pieces of a certified region that are certified feasible, none of the other part.

    Parameters
    ----------
    region : CertifiedRegion
    products : sequence of str
        Some or all of the region's products; of others nothing is asked.
    """
    columns = [region.products.index(product) for product in products]
    rows = [*region.segments, *region.pieces, *region.points.to_numpy()[:, None, :]]
    return merge([np.asarray(row, dtype=float)[:, columns] for row in rows])


def merge(pieces: Sequence[Piece]) -> list[Piece]:
    """Leave out what lies below another piece, and join neighbours whose union is convex."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=len, reverse=True):
        if not any(_is_below(piece, other) for other in kept):
            kept.append(piece)
    if not kept or kept[0].shape[1] != 2:
        return kept
    return _join_chains(kept)


def _is_below(piece: Piece, other: Piece) -> bool:
    """Whether every row lies below a row of another, or between the two rows of a segment."""
    slack = _SAME * max(1.0, float(other.max()))
    for row in piece:
        if np.any(np.all(row <= other + slack, axis=1)):
            continue
        if other.shape != (2, 2) or row[1] > _height(other, row[0]) + slack:
            return False
    return True


def _height(segment: Piece, x: float) -> float:
    """Return the most of the second product at x on a segment, minus infinity to its right."""
    (x1, y1), (x2, y2) = segment[np.argsort(segment[:, 0])]
    if x > x2:
        return -np.inf
    return float(y1 if x <= x1 or x2 == x1 else y1 + (x - x1) / (x2 - x1) * (y2 - y1))


def _join_chains(pieces: list[Piece]) -> list[Piece]:
    """Join segments that follow each other and fall ever more steeply."""
    chains: list[list[NDArray[np.float64]]] = []
    for piece in sorted(pieces, key=lambda p: (p[:, 0].min(), -p[:, 1].max())):
        rows = list(piece[np.lexsort((-piece[:, 1], piece[:, 0]))])
        if chains and _continues(chains[-1], rows):
            chains[-1] += rows[1:]
        else:
            chains.append(rows)
    return [np.array(chain) for chain in chains]


def _continues(chain: list[NDArray[np.float64]], rows: list[NDArray[np.float64]]) -> bool:
    slack = 1e-7 * max(1.0, float(np.max(chain)))
    if np.abs(chain[-1] - rows[0]).max() > slack or len(rows) < 2:
        return False
    if len(chain) < 2:
        return bool(rows[1][1] <= rows[0][1] + slack)
    before, after = chain[-1] - chain[-2], rows[1] - rows[0]
    return bool(before[0] * after[1] - before[1] * after[0] <= 0 and after[1] <= slack)


def outer_pieces(limits: Sequence[Limit], upper: NDArray[np.float64]) -> list[Piece]:
    """Return pieces of one or two products whose union holds all that no limit excludes.

    A limit excludes what lies beyond a line above a corner, so that the rest is bounded from above
    by a falling line with breaks where a corner begins or two lines cross.

    Parameters
    ----------
    limits : sequence of Limit
    upper : (p,) array
        No schedule makes more of a product, p = 1 or 2.
    """
    if len(upper) == 1:
        most = [limit.bound / limit.weights[0] for limit in limits if limit.lower[0] <= 0]
        return [np.array([[max(0.0, min([float(upper[0]), *most]))]])]
    breaks = _breaks(limits, upper)
    if breaks[-1] <= _SAME:  # nothing of the first product can be made
        return [np.array([[0.0, max(0.0, _open_to(limits, 0.0, float(upper[1])))]])]
    pieces = []
    for low, high in itertools.pairwise(breaks):
        if high - low <= _SAME * max(1.0, float(upper[0])):
            continue
        inner = low + (high - low) * np.array([1e-7, 1 - 1e-7])
        # the line is straight in between: its ends follow from two points inside
        y1, y2 = (_open_to(limits, x, float(upper[1])) for x in inner)
        slope = (y2 - y1) / (inner[1] - inner[0])
        ends = [(low, y1 + slope * (low - inner[0])), (high, y1 + slope * (high - inner[0]))]
        if max(y for _, y in ends) >= 0:
            pieces.append(np.maximum(np.array(ends), 0.0))
    if not pieces:
        return [np.zeros((1, 2))]
    return _cover(pieces, _COARSE * upper)


def _cover(segments: Sequence[Piece], slack: NDArray[np.float64]) -> list[Piece]:
    """Cover segments in order by few hulls, each hardly above the segments that it covers."""
    covered: list[Piece] = []
    group: list[Piece] = []
    for segment in segments:
        hull = _upper_hull(np.vstack([*group, segment]))
        if group and not _hugs(hull, [*group, segment], slack):
            covered.append(_upper_hull(np.vstack(group)))
            group, hull = [], _upper_hull(segment)
        group.append(segment)
    covered.append(_upper_hull(np.vstack(group)))
    return covered


def _upper_hull(points: Piece) -> Piece:
    """Corners of the least concave line above some points, from left to right."""
    hull: list[NDArray[np.float64]] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        while len(hull) > 1:
            before, after = hull[-1] - hull[-2], point - hull[-2]
            if before[0] * after[1] - before[1] * after[0] < 0:
                break
            hull.pop()
        if hull and hull[-1][0] == point[0]:
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _hugs(hull: Piece, segments: Sequence[Piece], slack: NDArray[np.float64]) -> bool:
    """Whether a hull is nowhere above its segments by more than a slack, up or to the right."""
    return all(
        np.interp(x, hull[:, 0], hull[:, 1]) <= y + slack[1]
        or np.interp(x - slack[0], hull[:, 0], hull[:, 1]) <= y + slack[1]
        for segment in segments
        for x, y in segment
    )


def _breaks(limits: Sequence[Limit], upper: NDArray[np.float64]) -> list[float]:
    """Amounts of the first product at which the boundary may turn or drop."""
    breaks = {0.0, float(upper[0])}
    breaks |= {limit.lower[0] for limit in limits}
    levels = {limit.lower[1] for limit in limits} | {float(upper[1]), 0.0}
    for limit in limits:
        (a, b), bound = limit.weights, limit.bound
        if a > 0:
            breaks |= {(bound - b * level) / a for level in levels}
        for other in limits:
            c, d = other.weights
            cross = a * d - c * b
            if abs(cross) > 1e-12:
                breaks.add((bound * d - other.bound * b) / cross)
    return sorted(x for x in breaks if 0 <= x <= upper[0])


def _open_to(limits: Sequence[Limit], x: float, top: float) -> float:
    """Return the most of the second product that no limit excludes at an amount of the first.

    It is below zero where even nothing of it is excluded.
    """
    most = top
    for limit in limits:
        if x < limit.lower[0]:
            continue
        (a, b), start = limit.weights, limit.lower[1]
        if b > 0:
            start = max(start, (limit.bound - a * x) / b)
            if limit.lower[1] <= 0 and limit.bound - a * x < 0:
                start = min(start, -1.0)
        elif a * x <= limit.bound:
            continue
        elif limit.lower[1] <= 0:
            start = -1.0
        most = min(most, start)
    return most


def contains(pieces: Sequence[Piece], amounts: NDArray[np.float64], slack: float) -> bool:
    """Whether amounts lie below one of some pieces (a linear program each where it takes one)."""
    for piece in pieces:
        if np.all(amounts <= piece.max(axis=0) + slack) and (
            np.any(np.all(amounts <= piece + slack, axis=1)) or _below_mean(piece, amounts, slack)
        ):
            return True
    return False


def _below_mean(piece: Piece, amounts: NDArray[np.float64], slack: float) -> bool:
    if len(piece) == 1:
        return False
    from scipy.optimize import linprog

    answer = linprog(
        np.zeros(len(piece)),
        A_ub=-piece.T,
        b_ub=-(amounts - slack),
        A_eq=np.ones((1, len(piece))),
        b_eq=[1.0],
        method="highs",
    )
    return bool(answer.status == 0)
