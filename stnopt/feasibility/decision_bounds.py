"""What a kernel region can reach inside a box: bounds on its decision, small cells, half-spaces.

NumPy and SciPy only, no model. An evaluation of the region costs microseconds and an MILP up to
seconds, so much work is spent here: a box is divided into cells, cells without a feasible point are
dropped, what the others can reach is cut by a tangent, and the half-spaces around the rest hold for
every feasible point of the box.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

_HULL_INPUTS = 2  # up to here the convex hull is taken itself, beyond along chosen directions
#: A cell has 2^n corners: beyond this the cover would be too coarse to be of use.
MAX_INPUTS = 8
_CHUNK_ENTRIES = 1 << 19  # kernel entries held at once
_ROUNDING = 1e-12  # of the sum of the terms' magnitudes: far above the rounding of that sum
_PAD = 1e-9  # of the cover's width: moves every half-space outwards by more than qhull's rounding


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
    return DecisionBounds(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in DecisionBounds.__slots__
        }
    )


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
    reach = np.einsum("kj,kj->k", np.abs(terms.slope), radius)
    return DecisionBounds(
        center=center,
        value=value,
        gradient=terms.slope / region.scale,
        below=below,
        above=above,
        lower=np.maximum(terms.low + region.offset - rounding, value - reach + below),
        upper=np.minimum(terms.high + region.offset + rounding, value + reach + above),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Cells that together hold every feasible point of a box, and half-spaces around them.

    Attributes
    ----------
    cell_lower, cell_upper : (k, n) array
        The cells, in the inputs' own units.
    vertices : (k, q, n) array
        Corners of what each cell can reach (the cell cut by its tangent); nan where it has fewer.
    inside : (k,) bool array
        Every point of the cell is feasible.
    lower, upper : (n,) array
        Box around all vertices.
    reached : (r, n) array
        Points known to be feasible.
    facets : (f, n + 1) array
        Rows (a, b) with ``a . u + b <= 0`` for every feasible point, where
        ``u = (x - lower) / width``: the convex hull of the vertices.
    cuts : (g, n + 1) array
        Few of the facets that describe the hull nearly as well.
    """

    cell_lower: FloatArray
    cell_upper: FloatArray
    vertices: FloatArray
    inside: NDArray[np.bool_]
    lower: FloatArray
    upper: FloatArray
    reached: FloatArray
    facets: FloatArray
    cuts: FloatArray

    @property
    def width(self) -> FloatArray:
        """Width of the box, (n,); 1 where it is zero, so that it can divide."""
        return _widths(self.lower, self.upper)

    @property
    def is_exact(self) -> bool:
        """Whether every point of the box is feasible: the region asks for nothing here."""
        free = self.upper > self.lower
        shares = (self.cell_upper - self.cell_lower)[:, free] / self.width[free]
        return bool(self.inside.all()) and math.isclose(
            float(np.prod(shares, axis=1).sum()), 1.0, rel_tol=1e-9
        )

    def excess(self, point: FloatArray) -> float:
        """How far a point lies outside the hull, in units of the box's width; at most 0 inside."""
        return float((self.facets[:, :-1] @ self._unit(point) + self.facets[:, -1]).max())

    def nearest_reached(self, point: FloatArray) -> FloatArray | None:
        """Return the known feasible point closest to a point, measured in the box's widths."""
        if not len(self.reached):
            return None
        apart = ((self.reached - point) / self.width) ** 2
        return self.reached[int(apart.sum(axis=1).argmin())]

    def _unit(self, point: FloatArray) -> FloatArray:
        return (point - self.lower) / self.width


def cover_box(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    *,
    margin: float = 0.0,
    parent: Cover | None = None,
    focus: FloatArray | None = None,
    tolerance: float | None = None,
    max_cells: int | None = None,
) -> Cover | None:
    """Cover the feasible part of a box by cells, fine where they shape its convex hull.

    Only cells that stick out of the hull of known feasible points are divided, until they stick out
    by at most `tolerance` of the cover's width, or less near the `focus`.

    Parameters
    ----------
    region : KernelRegion
    lower, upper : (n,) array
        The box, in the inputs' own units.
    margin : float
        A point is feasible where ``decision <= -margin``.
    parent : Cover, optional
        Cover of a larger box, to start from.
    focus : (f, n) array, optional
        Where the hull is wanted finest: the tolerance falls with the distance from them. The first
        is a solution to cut off, or else to separate: there the region's border is followed too.
    tolerance : float, optional
        Relative to the cover's width; coarser for more inputs when left out.
    max_cells : int, optional
        Stop dividing beyond so many cells.

    Returns
    -------
    Cover or None
        None if the box holds no feasible point.
    """
    n = len(lower)
    if tolerance is None:
        tolerance = {1: 2e-3, 2: 2e-3, 3: 5e-3}.get(n, 1.5e-2)
    if max_cells is None:
        max_cells = 4000 if n <= 4 else 4000 >> (n - 4)
    if parent is None:
        cell_lower, cell_upper = _grid(lower, upper)
        reached = np.empty((0, n))
    else:
        cell_lower = np.maximum(parent.cell_lower, lower)
        cell_upper = np.minimum(parent.cell_upper, upper)
        kept = (cell_lower <= cell_upper).all(axis=1)
        # a cell that only touches the box adds nothing that its neighbour does not have
        flat = ((cell_upper - cell_lower) <= 0) & (upper > lower)
        kept = kept & ~flat.any(axis=1)
        cell_lower, cell_upper = cell_lower[kept], cell_upper[kept]
        within = ((parent.reached >= lower) & (parent.reached <= upper)).all(axis=1)
        reached = parent.reached[within]
    if n > _HULL_INPUTS:
        return _cover_along(
            region, cell_lower, cell_upper, reached, margin, parent, focus, tolerance, max_cells
        )
    settled: list[tuple[Any, ...]] = []  # cells, vertices and inside
    n_settled = 0
    while len(cell_lower):
        bounds = bound_decision(region, cell_lower, cell_upper)
        possible = bounds.lower <= -margin
        cell_lower, cell_upper = cell_lower[possible], cell_upper[possible]
        bounds = bounds[possible]
        vertices = _reachable_corners(bounds, cell_lower, cell_upper, margin)
        cut = np.asarray(~np.isnan(vertices[:, :, 0]).all(axis=1))
        cell_lower, cell_upper = cell_lower[cut], cell_upper[cut]
        bounds, vertices = bounds[cut], vertices[cut]
        inside = bounds.upper <= -margin
        if not len(cell_lower):
            break
        every = np.concatenate([*(part[2] for part in settled), vertices]).reshape(-1, n)
        box_lower, box_upper = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
        width = _widths(box_lower, box_upper)
        corners = vertices[inside].reshape(-1, n)
        found = _border_points(
            region, bounds, vertices, cell_lower, cell_upper, inside, width, margin
        )
        reached = np.concatenate([reached, corners[~np.isnan(corners[:, 0])], found])
        reached = _extreme(reached, box_lower, width, None)
        excess = _excess(vertices, reached, box_lower, width)
        allowed = np.full(excess.shape, tolerance)
        if focus is not None:
            apart = _distance_to(focus, vertices, width)
            allowed = np.maximum(tolerance * np.minimum(apart, 1.0), 1e-3 * tolerance)
        urgency = np.nanmax(np.where(np.isnan(excess), -np.inf, excess / allowed), axis=1)
        divide = _to_divide(
            cell_lower, cell_upper, bounds, inside, urgency, reached, focus, width,
            max_cells - n_settled,
        )  # fmt: skip
        rest = ~divide
        n_settled += int(rest.sum())
        settled.append((cell_lower[rest], cell_upper[rest], vertices[rest], inside[rest]))
        cell_lower, cell_upper = _divide(cell_lower[divide], cell_upper[divide], width)
    if not any(len(part[0]) for part in settled):
        return None
    low, high, vertices, inside = (np.concatenate(part) for part in zip(*settled, strict=True))
    outer = vertices[~np.isnan(vertices[:, :, 0])]
    return _enclose(low, high, vertices, inside, reached, outer, focus, tolerance, parent)


def _cover_along(
    region: KernelRegion,
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    reached: FloatArray,
    margin: float,
    parent: Cover | None,
    focus: FloatArray | None,
    tolerance: float,
    max_cells: int,
) -> Cover | None:
    """Cover a box in three and more inputs, where half-spaces are taken along chosen directions.

    A cell's reach along a direction is computed only where its box alone sticks out that way.
    """
    n = cell_lower.shape[1]
    settled: list[tuple[Any, ...]] = []  # cells, bounds, inside and excess
    n_settled = 0
    directions: FloatArray | None = None
    axes = _box_facets(np.ones(n, dtype=bool))[:, :-1]
    box_lower, width = np.zeros(n), np.ones(n)
    while len(cell_lower):
        bounds = bound_decision(region, cell_lower, cell_upper)
        possible = bounds.lower <= -margin
        cell_lower, cell_upper = cell_lower[possible], cell_upper[possible]
        bounds = bounds[possible]
        inside = bounds.upper <= -margin
        if not len(cell_lower):
            break
        if directions is None:  # these keep the scaling they were chosen in
            middle = bounds.center.mean(axis=0)
            reach = _reach(bounds, cell_lower, cell_upper, margin, axes, middle).max(axis=0)
            box_lower = middle - reach[n:]
            width = _widths(box_lower, middle + reach[:n])
        corners = _reachable_corners(bounds, cell_lower, cell_upper, margin) if n == 3 else None
        found = _border_points(
            region, bounds, corners, cell_lower, cell_upper, inside, width, margin
        )
        reached = np.concatenate([reached, found, bounds.center[inside]])
        if directions is None:
            directions = _directions(region, bounds, reached, width, focus, margin)
        rows = np.concatenate([axes, directions]) / width
        if inside.any():
            reached = np.concatenate(
                [reached, _outermost(cell_lower[inside], cell_upper[inside], rows)]
            )
        reached = _extreme(reached, box_lower, width, directions)
        excess = np.full(len(cell_lower), np.inf)
        if len(reached):
            known = _largest_products(rows, reached - box_lower)
            reach = _reach(bounds, cell_lower, cell_upper, margin, rows, box_lower, known)
            excess = (reach - known).max(axis=1)
        allowed = np.full(excess.shape, tolerance)
        if focus is not None:
            radius = 0.5 * (cell_upper - cell_lower)
            apart = [
                ((np.abs(bounds.center - spot) - radius) / width).max(axis=1) for spot in focus
            ]
            nearest = np.clip(np.min(apart, axis=0), 0.0, 1.0)
            allowed = np.maximum(tolerance * nearest, 1e-3 * tolerance)
        divide = _to_divide(
            cell_lower, cell_upper, bounds, inside, excess / allowed, reached, focus, width,
            max_cells - n_settled,
        )  # fmt: skip
        rest = ~divide
        n_settled += int(rest.sum())
        settled.append(
            (cell_lower[rest], cell_upper[rest], bounds[rest], inside[rest], excess[rest])
        )
        cell_lower, cell_upper = _divide(cell_lower[divide], cell_upper[divide], width)
    if directions is None or not any(len(part[0]) for part in settled):
        return None
    low, high, inside, excess = (
        np.concatenate([part[i] for part in settled]) for i in (0, 1, 3, 4)
    )
    bounds = DecisionBounds(
        **{
            name: np.concatenate([getattr(part[2], name) for part in settled])
            for name in DecisionBounds.__slots__
        }
    )
    # along every direction the feasible points reach at least as far as the other cells
    out = excess >= 0
    rows = np.concatenate([axes, directions / width])
    reach = np.full(len(rows), -np.inf)
    if len(reached):
        reach = _largest_products(rows, reached - box_lower)
    if out.any():
        beyond = _reach(bounds[out], low[out], high[out], margin, rows, box_lower, reach)
        reach = np.maximum(reach, beyond.max(axis=0))
    lower, upper = box_lower - reach[n : 2 * n], box_lower + reach[:n]
    limits = reach[2 * n :] + rows[2 * n :] @ (box_lower - lower)
    return _enclose_along(
        low, high, _reachable_corners(bounds, low, high, margin), inside, reached, lower, upper,
        rows[2 * n :], limits, focus, parent,
    )  # fmt: skip


def _to_divide(
    lower: FloatArray,
    upper: FloatArray,
    bounds: DecisionBounds,
    inside: NDArray[np.bool_],
    urgency: FloatArray,
    reached: FloatArray,
    focus: FloatArray | None,
    width: FloatArray,
    room: int,
) -> NDArray[np.bool_]:
    """Choose the cells to divide: the urgent ones, and those along the border near the focus."""
    if focus is not None and len(reached):
        # the border that divides the focus from the region shows where to divide the box
        solution = focus[0]
        beyond = np.maximum(np.maximum(lower - solution, solution - upper), 0) / width
        apart = np.sqrt((beyond**2).sum(axis=1))
        near = np.sqrt((((reached - solution) / width) ** 2).sum(axis=1).min())
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


def _reach(
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
    step = _CHUNK_ENTRIES // 4
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


def _enclose_along(
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    vertices: FloatArray,
    inside: NDArray[np.bool_],
    reached: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    rows: FloatArray,
    limits: FloatArray,
    focus: FloatArray | None,
    parent: Cover | None,
) -> Cover:
    """Write the box and ``rows . (x - lower) <= limits`` in the units of the box."""
    width = _widths(lower, upper)
    slopes = rows * width
    norm = np.sqrt((slopes**2).sum(axis=1))
    facets = np.concatenate(
        [
            _box_facets(upper > lower),
            np.column_stack([slopes, -limits])[norm > 0] / norm[norm > 0, None],
        ]
    )
    facets[:, -1] -= _PAD
    cuts = facets
    if parent is not None and focus is not None:
        known = _kept_cuts(parent, lower, width, (focus[0] - lower) / width)
        cuts = np.concatenate([facets, known])
    return Cover(
        cell_lower=cell_lower,
        cell_upper=cell_upper,
        vertices=vertices,
        inside=inside,
        lower=lower,
        upper=upper,
        reached=reached,
        facets=facets,
        cuts=cuts,
    )


def _enclose(
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    vertices: FloatArray,
    inside: NDArray[np.bool_],
    reached: FloatArray,
    outer: FloatArray,
    focus: FloatArray | None,
    tolerance: float,
    parent: Cover | None,
) -> Cover:
    """Take the convex hull of the vertices, in one and two inputs."""
    lower, upper = outer.min(axis=0), outer.max(axis=0)
    width = _widths(lower, upper)
    unit = (outer - lower) / width
    facets = _hull_facets(unit)
    facets = _box_facets(upper > lower) if facets is None else facets
    # the support of the points themselves, so that rounding inside qhull cannot cut any of them off
    facets[:, -1] = -(_largest_products(facets[:, :-1], unit) + _PAD)
    aim = None if focus is None else (focus - lower) / width
    known = np.empty((0, len(lower) + 1))
    if parent is not None and aim is not None:
        known = _kept_cuts(parent, lower, width, aim[0])
    return Cover(
        cell_lower=cell_lower,
        cell_upper=cell_upper,
        vertices=vertices,
        inside=inside,
        lower=lower,
        upper=upper,
        reached=reached,
        facets=facets,
        cuts=_few_cuts(facets, known, upper > lower, unit.mean(axis=0), aim, tolerance),
    )


def _kept_cuts(
    parent: Cover, lower: FloatArray, width: FloatArray, solution: FloatArray
) -> FloatArray:
    """Cuts of the larger box that matter near the solution, in the smaller box's units.

    Without them solutions would alternate between corners that were cut off before.
    """
    slopes = parent.cuts[:, :-1] * (width / parent.width)
    offsets = parent.cuts[:, -1] + parent.cuts[:, :-1] @ ((lower - parent.lower) / parent.width)
    norm = np.sqrt((slopes**2).sum(axis=1))
    sound = norm > 1e-9
    cuts = np.column_stack([slopes, offsets])[sound] / norm[sound, None]
    slack = -(cuts[:, :-1] @ solution + cuts[:, -1])
    order = slack.argsort()
    return cuts[order[slack[order] < 0.2][:30]]


def _distance_to(spots: FloatArray, points: FloatArray, width: FloatArray) -> FloatArray:
    """Largest coordinate difference, in widths, to the nearest of the spots."""
    apart = [np.abs((points - spot) / width).max(axis=-1) for spot in spots]
    nearest: FloatArray = np.min(apart, axis=0)
    return nearest


def _widths(lower: FloatArray, upper: FloatArray) -> FloatArray:
    width = upper - lower
    return np.where(width > 0, width, 1.0)


def _grid(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
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


def _divide(
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


def _reachable_corners(
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


def _border_points(
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


def _outermost(lower: FloatArray, upper: FloatArray, rows: FloatArray) -> FloatArray:
    """Corner of the cells that lies farthest along each row."""
    along = 0.5 * (lower + upper) @ rows.T + 0.5 * (upper - lower) @ np.abs(rows).T
    cell = along.argmax(axis=0)
    return np.where(rows > 0, upper[cell], lower[cell])


def _extreme(
    points: FloatArray, lower: FloatArray, width: FloatArray, directions: FloatArray | None
) -> FloatArray:
    """Those that span the convex hull, or lie farthest in the directions, and some others."""
    if len(points) <= 400:
        return points
    unit = (points - lower) / width
    if directions is not None:
        along = np.concatenate([directions, _box_facets(np.ones(points.shape[1], bool))[:, :-1]])
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


def _directions(
    region: KernelRegion,
    bounds: DecisionBounds,
    reached: FloatArray,
    width: FloatArray,
    focus: FloatArray | None,
    margin: float,
) -> FloatArray:
    """Choose unit vectors, in the box's widths, to take half-spaces along.

    In three and more inputs the hull itself has too many facets. These are signs in combinations
    (up to four inputs), and normals of the region's border, most of them near the focus.
    """
    n = len(width)
    if n <= 4:
        signs = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=n)))
        count = np.abs(signs).sum(axis=1)
        signs = signs[(count > 1) & (count <= (3 if n == 3 else 2))]
    else:
        signs = np.empty((0, n))
    crossing = (bounds.lower <= -margin) & (bounds.upper > -margin)
    normals = [signs, _spread_out(_unit_rows(bounds.gradient[crossing] * width), 40)]
    if focus is not None and len(reached):
        apart = np.min([(((reached - spot) / width) ** 2).sum(axis=1) for spot in focus], axis=0)
        near = reached[apart.argsort()[:100]]
        normals.append(_spread_out(_unit_rows(region.gradient(near) * width), 30))
        outward = (focus[0] - nearest_in_hull(reached, focus[0], width)) / width
        normals.append(_unit_rows(np.vstack([outward, region.gradient(focus) * width])))
    return _unit_rows(np.concatenate(normals))


def _unit_rows(rows: FloatArray) -> FloatArray:
    norm = np.sqrt((rows**2).sum(axis=1))
    return rows[norm > 0] / norm[norm > 0, None]


def _spread_out(rows: FloatArray, count: int) -> FloatArray:
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


def _excess(
    vertices: FloatArray, reached: FloatArray, lower: FloatArray, width: FloatArray
) -> FloatArray:
    """How far each vertex sticks out of the hull of the feasible points; inf without a hull."""
    shape = vertices.shape[:2]
    n = vertices.shape[2]
    facets = _hull_facets((reached - lower) / width) if len(reached) else None
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


def _hull_facets(unit: FloatArray) -> FloatArray | None:
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
    flat = _box_facets(~free)
    flat[:, -1] = -(flat[:, :-1] @ unit.T).max(axis=1)
    return np.concatenate([facets, flat])


def _box_facets(free: NDArray[np.bool_]) -> FloatArray:
    """Half-spaces 0 <= u_j <= 1 (0 <= u_j <= 0 where an input is fixed)."""
    n = len(free)
    facets = np.zeros((2 * n, n + 1))
    facets[:n, :n], facets[:n, -1] = np.eye(n), -np.where(free, 1.0, 0.0)
    facets[n:, :n] = -np.eye(n)
    return facets


def _largest_products(directions: FloatArray, points: FloatArray) -> FloatArray:
    result = np.full(len(directions), -np.inf)
    step = max(1, _CHUNK_ENTRIES // max(1, len(directions)))
    for start in range(0, len(points), step):
        np.maximum(result, (directions @ points[start : start + step].T).max(axis=1), out=result)
    return result


def _few_cuts(
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
    taken = _box_facets(np.ones(n_free, dtype=bool))
    taken[:, -1] -= _PAD
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
            apart = _distance_to(aim[:, free], corners, np.ones(n_free))
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
