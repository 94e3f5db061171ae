"""A kernel region as few convex pieces: between two levels of its decision, verified by cells.

NumPy and SciPy only, no model. A box is divided until the convex hull of what lies below the lower
level stays below the upper one; then pieces are merged as long as their common hull does. What is
below the lower level is never lost, what is above the upper one never admitted.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from stnopt.errors import UnsupportedModelError
from stnopt.feasibility.decision_bounds import Cover, bound_decision, cover_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

#: Beyond so many inputs pieces are refused: their number grows like a power of it.
MAX_INPUTS = 4
MAX_PIECES = 1000
_MAX_BOXES = 60_000  # boxes that one proof may look at before it is given up
_CACHED = 64
_REACH = 0.3  # in shares of the box's width: how far a focus is felt
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """Convex pieces whose union lies between two levels of a region's decision.

    Every x of the box with ``decision(x) <= keep`` is in a piece, and every point of a piece, moved
    by up to `back_off` beyond each row, has ``decision(x) <= admit``.

    Attributes
    ----------
    lower, upper : (n,) array
        The box, in the inputs' own units.
    pieces : tuple of Piece
        None if no point of the box is below `keep`.
    keep, admit : float
    back_off : float
        In shares of the box's width.
    """

    lower: FloatArray
    upper: FloatArray
    pieces: tuple[Piece, ...]
    keep: float
    admit: float
    back_off: float

    @property
    def width(self) -> FloatArray:
        """Width of the box, (n,); 1 where it is zero, so that it can divide."""
        return _widths(self.lower, self.upper)

    @property
    def n_rows(self) -> int:
        """Half-spaces of all pieces together."""
        return sum(len(piece.limits) for piece in self.pieces)

    def extent(self) -> tuple[FloatArray, FloatArray]:
        """Box around all pieces, (n,) each, in the inputs' own units."""
        every = np.concatenate([piece.vertices for piece in self.pieces])
        low, high = (self.lower + self.width * end(axis=0) for end in (every.min, every.max))
        return np.maximum(low, self.lower), np.minimum(high, self.upper)

    def contains(self, points: FloatArray, *, slack: float = 0.0) -> NDArray[np.bool_]:
        """Whether each point, (k, n) in the inputs' units, is in a piece widened by `slack`."""
        unit = (np.asarray(points, dtype=float) - self.lower) / self.width
        found = np.zeros(len(unit), dtype=bool)
        for piece in self.pieces:
            found |= (unit @ piece.slopes.T <= piece.limits + slack).all(axis=1)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
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


_NOWHERE = np.empty((0, 1))
_cache: OrderedDict[tuple[object, ...], Pieces] = OrderedDict()


def divide_region(
    region: KernelRegion,
    lower: Sequence[float] | FloatArray,
    upper: Sequence[float] | FloatArray,
    *,
    keep: float,
    admit: float,
    back_off: float = 0.0,
    max_pieces: int = MAX_PIECES,
    deadline: float | None = None,
) -> Pieces:
    """Divide a region into convex pieces; the same question is answered from memory.

    Parameters
    ----------
    region : KernelRegion
        Of 1 to 4 inputs.
    lower, upper : (n,) array
        Finite box, in the inputs' own units.
    keep, admit : float
        Levels of the decision, ``keep < admit``. The number of pieces grows with
        ``(admit - keep) ** -((n - 1) / 2)`` where the region's border bends inwards.
    back_off : float
        By how much a solver may overstep a row, in shares of the box's width.
    max_pieces : int
    deadline : float, optional
        Value of ``time.perf_counter()`` at which to give up.

    Raises
    ------
    TimeoutError
        At the deadline.
    UnsupportedModelError
        More than 4 inputs, or more pieces than `max_pieces`.
    """
    low, high = np.array(lower, dtype=float), np.array(upper, dtype=float)
    # a fixed input gets some width, so that pieces have corners
    high = np.maximum(high, low + 1e-6 * np.maximum(np.abs(low), 1.0))
    n = len(low)
    if n > MAX_INPUTS:
        raise UnsupportedModelError(
            f"a region of {n} inputs {list(region.inputs)} would take about "
            f"{_estimate(region, low, high, admit - keep):.1g} cells: pieces are made for 1 to "
            f"{MAX_INPUTS} inputs; use solve_over_region, or form='algebraic' with a global "
            "nonlinear solver such as solver='scip' (extra: minlp)"
        )
    key = (region, low.tobytes(), high.tobytes(), keep, admit, back_off)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    level = _Level(fine=admit, coarse=admit, keep=keep, focus=_NOWHERE)
    found = _divide_box(
        region, low, high, low, _widths(low, high), level, back_off, max_pieces, deadline
    )
    result = Pieces(lower=low, upper=high, pieces=found, keep=keep, admit=admit, back_off=back_off)
    _cache[key] = result
    if len(_cache) > _CACHED:
        _cache.popitem(last=False)
    return result


def refine_pieces(
    region: KernelRegion,
    known: Pieces,
    points: FloatArray,
    *,
    admit: float,
    deadline: float | None = None,
) -> Pieces:
    """Divide again the pieces that hold some of the points, to a lower level near these.

    The level rises from `admit` at the points to ``known.admit`` at 0.3 of the box's width from
    them: in the inputs' space that takes few more pieces however low `admit` is.

    Parameters
    ----------
    region : KernelRegion
    known : Pieces
        Of that region. The result admits no more than it, and keeps as much.
    points : (k, n) array
        In the inputs' own units.
    admit : float
        Between ``known.keep`` and ``known.admit``.
    deadline : float, optional
        Value of ``time.perf_counter()`` at which to give up.

    Raises
    ------
    TimeoutError
        At the deadline.
    """
    unit = (points - known.lower) / known.width
    level = _Level(fine=admit, coarse=known.admit, keep=known.keep, focus=unit)
    result: list[Piece] = []
    for piece in known.pieces:
        if not any(piece.holds(point, 1e-6) for point in unit):
            result.append(piece)
            continue
        low = known.lower + known.width * np.clip(piece.vertices.min(axis=0), 0, 1)
        high = known.lower + known.width * np.clip(piece.vertices.max(axis=0), 0, 1)
        result += _divide_box(
            region,
            low,
            high,
            known.lower,
            known.width,
            level,
            known.back_off,
            MAX_PIECES,
            deadline,
            within=piece,
        )
    return replace(known, pieces=tuple(result))


def _divide_box(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    origin: FloatArray,
    width: FloatArray,
    level: _Level,
    back_off: float,
    max_pieces: int,
    deadline: float | None,
    within: Piece | None = None,
) -> tuple[Piece, ...]:
    """Divide what a box (and a piece) holds of the region; u is in shares of origin and width."""
    n = len(lower)
    if within is None:
        whole = _box_piece(n)
        if _point_above(region, whole, origin, width, level, back_off) is None:
            return (whole,)
    precision = _precision(region, lower, upper, level.keep, level.fine)
    focus = origin + width * level.focus if len(level.focus) else None
    queue: list[tuple[FloatArray, FloatArray, Cover | None]] = [(lower, upper, None)]
    found: list[Piece] = []
    while queue:
        if deadline is not None and time.perf_counter() >= deadline:
            raise TimeoutError("the pieces were not divided in time")
        low, high, parent = queue.pop()
        share = float(((high - low) / (upper - lower + 1e-300)).max())
        cover = cover_box(
            region,
            low,
            high,
            margin=-level.keep,
            parent=parent,
            tolerance=min(max(precision / max(share, 1e-9), 1e-5), 2e-2),
            focus=focus,
        )
        if cover is None:
            continue
        piece = _piece_of(cover, origin, width, within)
        if piece is None:
            continue
        worst = _point_above(region, piece, origin, width, level, back_off)
        if worst is None:
            found.append(piece)
        else:
            axis, at = _best_split(cover, origin + width * worst)
            first_high, second_low = cover.upper.copy(), cover.lower.copy()
            first_high[axis] = second_low[axis] = at
            queue += [(cover.lower, first_high, cover), (second_low, cover.upper, cover)]
        if len(found) + len(queue) > 4 * max_pieces:
            raise _too_many(region, lower, upper, level, max_pieces)
    found = _merge(region, found, origin, width, level, back_off)
    if len(found) > max_pieces:
        raise _too_many(region, lower, upper, level, max_pieces)
    return tuple(found)


def _too_many(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    level: _Level,
    max_pieces: int,
) -> UnsupportedModelError:
    tolerance = level.fine - level.keep
    return UnsupportedModelError(
        f"the region of inputs {list(region.inputs)} takes more than {max_pieces} convex pieces "
        f"(about {_estimate(region, lower, upper, tolerance):.1g} cells) at a tolerance of "
        f"{tolerance:.3g} of its decision: give a larger tolerance, tighter bounds on the "
        "inputs, or use solve_over_region"
    )


def _estimate(
    region: KernelRegion, lower: FloatArray, upper: FloatArray, tolerance: float
) -> float:
    """Cells along the border, from the decision's bend between neighbours on random lines."""
    rng = np.random.default_rng(0)
    n = len(lower)
    middle = rng.uniform(lower, upper, (500, n))
    step = 0.02 * (upper - lower) * rng.choice([-1.0, 1.0], (500, n))
    bend = (
        region.decision(middle + step) - 2 * region.decision(middle)
        + region.decision(middle - step)
    ) / 0.02**2  # fmt: skip
    # a tangent of a cell of length h errs by bend h^2 / 8
    per_side = max(math.sqrt(float(np.quantile(np.abs(bend), 0.9)) / (8 * tolerance)), 1.0)
    return float(per_side ** (n - 1))


def _precision(
    region: KernelRegion, lower: FloatArray, upper: FloatArray, keep: float, admit: float
) -> float:
    """How far hulls may stick out, in widths, such that a quarter of the tolerance is used."""
    rng = np.random.default_rng(0)
    points = rng.uniform(lower, upper, (400, len(lower)))
    near = points[np.argsort(np.abs(region.decision(points) - keep))[:40]]
    slope = np.sqrt(((region.gradient(near) * (upper - lower)) ** 2).sum(axis=1))
    return float(np.clip(0.25 * (admit - keep) / max(np.quantile(slope, 0.8), 1e-12), 1e-5, 2e-2))


def _widths(lower: FloatArray, upper: FloatArray) -> FloatArray:
    width = upper - lower
    return np.where(width > 0, width, 1.0)


def _box_piece(n: int) -> Piece:
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T
    slopes = np.concatenate([np.eye(n), -np.eye(n)])
    return Piece(slopes=slopes, limits=np.r_[np.ones(n), np.zeros(n)], vertices=corners)


def _piece_of(
    cover: Cover, lower: FloatArray, width: FloatArray, within: Piece | None
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
    return _polytope(slopes, limits)


def _polytope(slopes: FloatArray, limits: FloatArray) -> Piece | None:
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
        return _interval(bottom, top)
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


def _interval(bottom: float, top: float) -> Piece:
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
    box = _box_piece(n)
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


def _best_split(cover: Cover, worst: FloatArray) -> tuple[int, float]:
    """Axis and place that leave the least volume in the hulls of both halves."""
    rows, columns = np.nonzero(~np.isnan(cover.vertices[:, :, 0]))
    points = cover.vertices[rows, columns]
    cell_lower, cell_upper = cover.cell_lower[rows], cover.cell_upper[rows]
    best: tuple[float, int, float] | None = None
    for j in range(len(worst)):
        low, high = cover.lower[j], cover.upper[j]
        if high <= low:
            continue
        places = {0.5 * (low + high), 0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high}
        if 0.02 < (worst[j] - low) / (high - low) < 0.98:
            places.add(float(worst[j]))
        for at in sorted(places):
            volume = 0.0
            for side, clip in (
                (cell_lower[:, j] < at, np.minimum),
                (cell_upper[:, j] > at, np.maximum),
            ):
                half = (points[side] - cover.lower) / cover.width
                half[:, j] = clip(half[:, j], (at - low) / (high - low))
                volume += _volume(half)
            # a tie goes to the widest side, near its middle
            score = volume + 1e-3 * abs((at - low) / (high - low) - 0.5)
            if best is None or score < best[0]:
                best = (score, j, at)
    if best is None:  # a single point
        return 0, float(worst[0])
    return best[1], best[2]


def _volume(points: FloatArray) -> float:
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


def _merge(
    region: KernelRegion,
    pieces: list[Piece],
    lower: FloatArray,
    width: FloatArray,
    level: _Level,
    back_off: float,
) -> list[Piece]:
    """Replace pairs by their common hull, the one that adds least first, while it stays below."""
    n = len(lower)
    pieces = list(pieces)
    refused: set[tuple[int, int]] = set()
    names = list(range(len(pieces)))  # a merged piece gets a new one
    sizes = [_volume(piece.vertices) for piece in pieces]
    known: dict[tuple[int, int], float] = {}
    fresh = len(pieces)
    while len(pieces) > 1 and len(pieces) <= 300:
        candidates = []
        boxes = [(piece.vertices.min(axis=0), piece.vertices.max(axis=0)) for piece in pieces]
        for i in range(len(pieces)):
            for k in range(i + 1, len(pieces)):
                key = (names[i], names[k])
                apart = np.maximum(boxes[i][0] - boxes[k][1], boxes[k][0] - boxes[i][1])
                if key in refused or apart.max() > 1e-6:
                    continue
                if key not in known:
                    both = np.concatenate([pieces[i].vertices, pieces[k].vertices])
                    known[key] = _volume(both) - sizes[i] - sizes[k]
                candidates.append((known[key], i, k))
        merged = None
        for _, i, k in sorted(candidates):
            merged = _common_hull(pieces[i], pieces[k], n)
            if (
                merged is not None
                and _point_above(region, merged, lower, width, level, back_off) is None
            ):
                break
            merged = None
            refused.add((names[i], names[k]))
        if merged is None:
            break
        for index in (k, i):
            del pieces[index], names[index], sizes[index]
        pieces.append(merged)
        names.append(fresh)
        sizes.append(_volume(merged.vertices))
        fresh += 1
    return pieces


def _common_hull(first: Piece, second: Piece, n: int) -> Piece | None:
    points = np.concatenate([first.vertices, second.vertices])
    if n == 1:
        return _interval(float(points.min()), float(points.max()))
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


def _point_above(
    region: KernelRegion,
    piece: Piece,
    lower: FloatArray,
    width: FloatArray,
    level: _Level,
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
