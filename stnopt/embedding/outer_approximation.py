"""The outer approximation of a region in a box: half-spaces that hold at every feasible point.

NumPy and SciPy only, no model. A box is divided into cells, cells without a feasible point are
dropped, what the others can reach is cut by a tangent, and half-spaces are laid around the rest.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.embedding.cells import (
    border_points,
    cells_to_divide,
    divide_cells,
    extent_along,
    grid_of,
    outermost_corners,
    reachable_corners,
)
from stnopt.embedding.half_spaces import (
    PAD,
    box_facets,
    distance_to,
    excess_of,
    extreme_points,
    few_cuts,
    hull_facets,
    largest_products,
    most_different,
    nearest_in_hull,
    unit_rows,
    widths_of,
)
from stnopt.feasibility.decision_bounds import DecisionBounds, bound_decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

_HULL_INPUTS = 2  # up to here the convex hull is taken itself, beyond along chosen directions
#: A cell has 2^n corners: beyond this the approximation would be too coarse to be of use.
MAX_INPUTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterApproximation:
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
    inner_points : (r, n) array
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
    inner_points: FloatArray
    facets: FloatArray
    cuts: FloatArray

    @property
    def width(self) -> FloatArray:
        """Width of the box, (n,); 1 where it is zero, so that it can divide."""
        return widths_of(self.lower, self.upper)

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

    def nearest_inner_point(self, point: FloatArray) -> FloatArray | None:
        """Return the known feasible point closest to a point, measured in the box's widths."""
        if not len(self.inner_points):
            return None
        apart = ((self.inner_points - point) / self.width) ** 2
        return self.inner_points[int(apart.sum(axis=1).argmin())]

    def _unit(self, point: FloatArray) -> FloatArray:
        return (point - self.lower) / self.width


def approximate_box(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    *,
    margin: float = 0.0,
    parent: OuterApproximation | None = None,
    focus: FloatArray | None = None,
    tolerance: float | None = None,
    max_cells: int | None = None,
) -> OuterApproximation | None:
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
    parent : OuterApproximation, optional
        OuterApproximation of a larger box, to start from.
    focus : (f, n) array, optional
        Where the hull is wanted finest: the tolerance falls with the distance from them. The first
        is a solution to cut off, or else to separate: there the region's border is followed too.
    tolerance : float, optional
        Relative to the cover's width; coarser for more inputs when left out.
    max_cells : int, optional
        Stop dividing beyond so many cells.

    Returns
    -------
    OuterApproximation or None
        None if the box holds no feasible point.
    """
    n = len(lower)
    if tolerance is None:
        tolerance = {1: 2e-3, 2: 2e-3, 3: 5e-3}.get(n, 1.5e-2)
    if max_cells is None:
        max_cells = 4000 if n <= 4 else 4000 >> (n - 4)
    cell_lower, cell_upper, inner_points = _first_cells(lower, upper, parent)
    if n > _HULL_INPUTS:
        return _approximate_along(
            region,
            cell_lower,
            cell_upper,
            inner_points,
            margin,
            parent,
            focus,
            tolerance,
            max_cells,
        )
    settled: list[tuple[Any, ...]] = []  # cells, vertices and inside
    n_settled = 0
    while len(cell_lower):
        bounds = bound_decision(region, cell_lower, cell_upper)
        possible = bounds.lower <= -margin
        cell_lower, cell_upper = cell_lower[possible], cell_upper[possible]
        bounds = bounds[possible]
        vertices = reachable_corners(bounds, cell_lower, cell_upper, margin)
        cut = np.asarray(~np.isnan(vertices[:, :, 0]).all(axis=1))
        cell_lower, cell_upper = cell_lower[cut], cell_upper[cut]
        bounds, vertices = bounds[cut], vertices[cut]
        inside = bounds.upper <= -margin
        if not len(cell_lower):
            break
        every = np.concatenate([*(part[2] for part in settled), vertices]).reshape(-1, n)
        box_lower, box_upper = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
        width = widths_of(box_lower, box_upper)
        corners = vertices[inside].reshape(-1, n)
        found = border_points(
            region, bounds, vertices, cell_lower, cell_upper, inside, width, margin
        )
        inner_points = np.concatenate([inner_points, corners[~np.isnan(corners[:, 0])], found])
        inner_points = extreme_points(inner_points, box_lower, width, None)
        excess = excess_of(vertices, inner_points, box_lower, width)
        allowed = np.full(excess.shape, tolerance)
        if focus is not None:
            apart = distance_to(focus, vertices, width)
            allowed = np.maximum(tolerance * np.minimum(apart, 1.0), 1e-3 * tolerance)
        urgency = np.nanmax(np.where(np.isnan(excess), -np.inf, excess / allowed), axis=1)
        divide = cells_to_divide(
            cell_lower, cell_upper, bounds, inside, urgency, inner_points, focus, width,
            max_cells - n_settled,
        )  # fmt: skip
        rest = ~divide
        n_settled += int(rest.sum())
        settled.append((cell_lower[rest], cell_upper[rest], vertices[rest], inside[rest]))
        cell_lower, cell_upper = divide_cells(cell_lower[divide], cell_upper[divide], width)
    if not any(len(part[0]) for part in settled):
        return None
    low, high, vertices, inside = (np.concatenate(part) for part in zip(*settled, strict=True))
    outer = vertices[~np.isnan(vertices[:, :, 0])]
    return _enclose(low, high, vertices, inside, inner_points, outer, focus, tolerance, parent)


def _first_cells(
    lower: FloatArray, upper: FloatArray, parent: OuterApproximation | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cells to start from, lower and upper ends, and the inner points known in the box."""
    if parent is None:
        cell_lower, cell_upper = grid_of(lower, upper)
        inner_points = np.empty((0, len(lower)))
    else:
        cell_lower = np.maximum(parent.cell_lower, lower)
        cell_upper = np.minimum(parent.cell_upper, upper)
        kept = (cell_lower <= cell_upper).all(axis=1)
        # a cell that only touches the box adds nothing that its neighbour does not have
        flat = ((cell_upper - cell_lower) <= 0) & (upper > lower)
        kept = kept & ~flat.any(axis=1)
        cell_lower, cell_upper = cell_lower[kept], cell_upper[kept]
        within = ((parent.inner_points >= lower) & (parent.inner_points <= upper)).all(axis=1)
        inner_points = parent.inner_points[within]
    return cell_lower, cell_upper, inner_points


def _approximate_along(
    region: KernelRegion,
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    inner_points: FloatArray,
    margin: float,
    parent: OuterApproximation | None,
    focus: FloatArray | None,
    tolerance: float,
    max_cells: int,
) -> OuterApproximation | None:
    """Cover a box in three and more inputs, where half-spaces are taken along chosen directions.

    A cell's reach along a direction is computed only where its box alone sticks out that way.
    """
    n = cell_lower.shape[1]
    settled: list[tuple[Any, ...]] = []  # cells, bounds, inside and excess
    n_settled = 0
    directions: FloatArray | None = None
    axes = box_facets(np.ones(n, dtype=bool))[:, :-1]
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
            reach = extent_along(bounds, cell_lower, cell_upper, margin, axes, middle).max(axis=0)
            box_lower = middle - reach[n:]
            width = widths_of(box_lower, middle + reach[:n])
        corners = reachable_corners(bounds, cell_lower, cell_upper, margin) if n == 3 else None
        found = border_points(
            region, bounds, corners, cell_lower, cell_upper, inside, width, margin
        )
        inner_points = np.concatenate([inner_points, found, bounds.center[inside]])
        if directions is None:
            directions = _directions(region, bounds, inner_points, width, focus, margin)
        rows = np.concatenate([axes, directions]) / width
        if inside.any():
            inner_points = np.concatenate(
                [inner_points, outermost_corners(cell_lower[inside], cell_upper[inside], rows)]
            )
        inner_points = extreme_points(inner_points, box_lower, width, directions)
        excess = np.full(len(cell_lower), np.inf)
        if len(inner_points):
            known = largest_products(rows, inner_points - box_lower)
            reach = extent_along(bounds, cell_lower, cell_upper, margin, rows, box_lower, known)
            excess = (reach - known).max(axis=1)
        allowed = _allowed_excess(bounds, cell_lower, cell_upper, width, focus, tolerance)
        divide = cells_to_divide(
            cell_lower, cell_upper, bounds, inside, excess / allowed, inner_points, focus, width,
            max_cells - n_settled,
        )  # fmt: skip
        rest = ~divide
        n_settled += int(rest.sum())
        settled.append(
            (cell_lower[rest], cell_upper[rest], bounds[rest], inside[rest], excess[rest])
        )
        cell_lower, cell_upper = divide_cells(cell_lower[divide], cell_upper[divide], width)
    if directions is None or not any(len(part[0]) for part in settled):
        return None
    low, high, inside, excess = (
        np.concatenate([part[i] for part in settled]) for i in (0, 1, 3, 4)
    )
    bounds = DecisionBounds.joined([part[2] for part in settled])
    rows = np.concatenate([axes, directions / width])
    # along every direction the feasible points reach at least as far as the other cells
    out = excess >= 0
    reach = np.full(len(rows), -np.inf)
    if len(inner_points):
        reach = largest_products(rows, inner_points - box_lower)
    if out.any():
        beyond = extent_along(bounds[out], low[out], high[out], margin, rows, box_lower, reach)
        reach = np.maximum(reach, beyond.max(axis=0))
    lower, upper = box_lower - reach[n : 2 * n], box_lower + reach[:n]
    limits = reach[2 * n :] + rows[2 * n :] @ (box_lower - lower)
    return _enclose_along(
        low, high, reachable_corners(bounds, low, high, margin), inside, inner_points, lower, upper,
        rows[2 * n :], limits, focus, parent,
    )  # fmt: skip


def _allowed_excess(
    bounds: DecisionBounds,
    lower: FloatArray,
    upper: FloatArray,
    width: FloatArray,
    focus: FloatArray | None,
    tolerance: float,
) -> FloatArray:
    """How far each cell may stick out of the hull of the inner points: less near the focus."""
    if focus is None:
        return np.full(len(lower), tolerance)
    radius = 0.5 * (upper - lower)
    apart = [((np.abs(bounds.center - spot) - radius) / width).max(axis=1) for spot in focus]
    nearest = np.clip(np.min(apart, axis=0), 0.0, 1.0)
    return np.maximum(tolerance * nearest, 1e-3 * tolerance)


def _directions(
    region: KernelRegion,
    bounds: DecisionBounds,
    inner_points: FloatArray,
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
    normals = [signs, most_different(unit_rows(bounds.gradient[crossing] * width), 40)]
    if focus is not None and len(inner_points):
        apart = np.min(
            [(((inner_points - spot) / width) ** 2).sum(axis=1) for spot in focus], axis=0
        )
        near = inner_points[apart.argsort()[:100]]
        normals.append(most_different(unit_rows(region.gradient(near) * width), 30))
        outward = (focus[0] - nearest_in_hull(inner_points, focus[0], width)) / width
        normals.append(unit_rows(np.vstack([outward, region.gradient(focus) * width])))
    return unit_rows(np.concatenate(normals))


def _enclose_along(
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    vertices: FloatArray,
    inside: NDArray[np.bool_],
    inner_points: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    rows: FloatArray,
    limits: FloatArray,
    focus: FloatArray | None,
    parent: OuterApproximation | None,
) -> OuterApproximation:
    """Write the box and ``rows . (x - lower) <= limits`` in the units of the box."""
    width = widths_of(lower, upper)
    slopes = rows * width
    norm = np.sqrt((slopes**2).sum(axis=1))
    facets = np.concatenate(
        [
            box_facets(upper > lower),
            np.column_stack([slopes, -limits])[norm > 0] / norm[norm > 0, None],
        ]
    )
    facets[:, -1] -= PAD
    cuts = facets
    if parent is not None and focus is not None:
        known = _kept_cuts(parent, lower, width, (focus[0] - lower) / width)
        cuts = np.concatenate([facets, known])
    return OuterApproximation(
        cell_lower=cell_lower,
        cell_upper=cell_upper,
        vertices=vertices,
        inside=inside,
        lower=lower,
        upper=upper,
        inner_points=inner_points,
        facets=facets,
        cuts=cuts,
    )


def _enclose(
    cell_lower: FloatArray,
    cell_upper: FloatArray,
    vertices: FloatArray,
    inside: NDArray[np.bool_],
    inner_points: FloatArray,
    outer: FloatArray,
    focus: FloatArray | None,
    tolerance: float,
    parent: OuterApproximation | None,
) -> OuterApproximation:
    """Take the convex hull of the vertices, in one and two inputs."""
    lower, upper = outer.min(axis=0), outer.max(axis=0)
    width = widths_of(lower, upper)
    unit = (outer - lower) / width
    facets = hull_facets(unit)
    facets = box_facets(upper > lower) if facets is None else facets
    # the support of the points themselves, so that rounding inside qhull cannot cut any of them off
    facets[:, -1] = -(largest_products(facets[:, :-1], unit) + PAD)
    aim = None if focus is None else (focus - lower) / width
    known = np.empty((0, len(lower) + 1))
    if parent is not None and aim is not None:
        known = _kept_cuts(parent, lower, width, aim[0])
    return OuterApproximation(
        cell_lower=cell_lower,
        cell_upper=cell_upper,
        vertices=vertices,
        inside=inside,
        lower=lower,
        upper=upper,
        inner_points=inner_points,
        facets=facets,
        cuts=few_cuts(facets, known, upper > lower, unit.mean(axis=0), aim, tolerance),
    )


def _kept_cuts(
    parent: OuterApproximation, lower: FloatArray, width: FloatArray, solution: FloatArray
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
