"""A kernel region as few convex pieces: between two levels of its decision, verified by cells.

NumPy and SciPy only, no model. A box is divided until the convex hull of what lies below the lower
level stays below the upper one; then pieces are merged as long as their common hull does. What is
below the lower level is never lost, what is above the upper one never admitted.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from stnopt.embedding.half_spaces import widths_of
from stnopt.embedding.level_proof import Level, point_above
from stnopt.embedding.outer_approximation import OuterApproximation, approximate_box
from stnopt.embedding.polytope import Piece, box_piece, common_hull, piece_within, volume_of
from stnopt.errors import UnsupportedModelError
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.progress import ProgressLine

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

#: Beyond so many inputs pieces are refused: their number grows like a power of it.
MAX_INPUTS = 4
MAX_PIECES = 1000
#: Boxes that a division may look at, by number of inputs: of four, each takes a tenth of a second.
_MOST_LOOKS = {3: 6_000, 4: 200}
#: A coarser division has so many pieces at most: what an MILP solver can choose among.
_COARSE_PIECES = 60
_REMEMBERED = 16  # divisions of one region
_CELLS = 4  # per side of the box around a piece, where only its range of decisions is asked for
_THIN = 0.05  # of a box's longest side: a shorter one is not divided


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
    is_coarse : bool
        Whether one of the two levels is not the one that was asked for.
    """

    lower: FloatArray
    upper: FloatArray
    pieces: tuple[Piece, ...]
    keep: float
    admit: float
    back_off: float
    is_coarse: bool = False

    @property
    def width(self) -> FloatArray:
        """Width of the box, (n,); 1 where it is zero, so that it can divide."""
        return widths_of(self.lower, self.upper)

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


@dataclass(slots=True, kw_only=True)
class _Watch:
    """Ends a division at its deadline, and moves its progress line."""

    deadline: float | None
    line: ProgressLine | None = None
    looked: int = 0
    most: float = math.inf

    @property
    def is_over(self) -> bool:
        """Whether as many boxes were looked at as may be."""
        return self.looked >= self.most

    def look(self, n_pieces: int) -> None:
        """Note that another box or pair is looked at."""
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            raise TimeoutError("the pieces were not divided in time")
        self.looked += 1
        if self.line is not None:
            self.line.move(self.looked, lambda: f"{n_pieces} pieces")


_NOWHERE = np.empty((0, 1))


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
    progress: bool = False,
    coarser: Literal["keep", "admit"] | None = None,
) -> Pieces:
    """Divide a region into convex pieces; a region answers the same question from memory.

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
    progress : bool
        Show a line with the boxes that were looked at; without a deadline it shows itself after a
        while.
    coarser : {"keep", "admit"}, optional
        Where the two levels would take too many pieces, or too many boxes to find them, give up
        this one of them: fewer pieces that keep less, or that admit more. The result says how far.

    Raises
    ------
    TimeoutError
        At the deadline.
    UnsupportedModelError
        More than 4 inputs, or, without `coarser`, more pieces than `max_pieces`.
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
    known: OrderedDict[tuple[object, ...], Pieces] = region.worked_out
    exact: tuple[object, ...] = (low.tobytes(), high.tobytes(), keep, admit, back_off)
    for key in (exact, (*exact, coarser)):
        if key in known:
            known.move_to_end(key)
            return known[key]
    level = Level(fine=admit, coarse=admit, keep=keep, focus=_NOWHERE)
    with ProgressLine(
        "dividing the region", " boxes", progress=progress, limited=deadline is not None
    ) as line:
        watch = _Watch(deadline=deadline, line=line, most=_MOST_LOOKS.get(n, math.inf))
        width = widths_of(low, high)
        try:
            found = _divide_box(region, low, high, low, width, level, back_off, max_pieces, watch)
            result = Pieces(
                lower=low, upper=high, pieces=found, keep=keep, admit=admit, back_off=back_off
            )
        except UnsupportedModelError:
            if coarser is None:
                raise
            result = _divide_coarsely(region, low, high, level, back_off, watch, coarser)
    known[(*exact, coarser) if result.is_coarse else exact] = result
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
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
    level = Level(fine=admit, coarse=known.admit, keep=known.keep, focus=unit)
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
            _Watch(deadline=deadline),
            within=piece,
        )
    return replace(known, pieces=tuple(result))


def _divide_box(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    origin: FloatArray,
    width: FloatArray,
    level: Level,
    back_off: float,
    max_pieces: int,
    watch: _Watch,
    within: Piece | None = None,
) -> tuple[Piece, ...]:
    """Divide what a box (and a piece) holds of the region; u is in shares of origin and width."""
    n = len(lower)
    if within is None:
        whole = box_piece(n)
        if point_above(region, whole, origin, width, level, back_off) is None:
            return (whole,)
    precision = _precision(region, lower, upper, level.keep, level.fine)
    focus = origin + width * level.focus if len(level.focus) else None
    queue: list[tuple[FloatArray, FloatArray, OuterApproximation | None]] = [(lower, upper, None)]
    found: list[Piece] = []
    while queue:
        watch.look(len(found))
        low, high, parent = queue.pop()
        share = float(((high - low) / (upper - lower + 1e-300)).max())
        cover = approximate_box(
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
        piece = piece_within(cover, origin, width, within)
        if piece is None:
            continue
        worst = point_above(region, piece, origin, width, level, back_off)
        if worst is None:
            found.append(piece)
        else:
            axis, at = _best_split(cover, origin + width * worst, width)
            first_high, second_low = cover.upper.copy(), cover.lower.copy()
            first_high[axis] = second_low[axis] = at
            queue += [(cover.lower, first_high, cover), (second_low, cover.upper, cover)]
        if len(found) + len(queue) > 4 * max_pieces or (queue and watch.is_over):
            raise _too_many(region, lower, upper, level, max_pieces)
    found = _merge(region, found, origin, width, level, back_off, watch)
    if len(found) > max_pieces:
        raise _too_many(region, lower, upper, level, max_pieces)
    return tuple(found)


def _divide_coarsely(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    level: Level,
    back_off: float,
    watch: _Watch,
    coarser: Literal["keep", "admit"],
) -> Pieces:
    """Divide the largest errors first, and give up one of the levels on what is left then.

    What is left is admitted as it is, where more may be admitted; else it is left out. Either way
    the level that holds instead is proven.
    """
    width = widths_of(lower, upper)
    precision = _precision(region, lower, upper, level.keep, level.fine)
    order = itertools.count()
    found: list[Piece] = []
    #: Least first: minus the error, a number, box, cover, piece and the worst point of the piece.
    queue: list[tuple[float, int, OuterApproximation, Piece, FloatArray]] = []
    deadline = math.inf if watch.deadline is None else watch.deadline
    watch.deadline = None  # what is there by then is an answer

    def look(low: FloatArray, high: FloatArray, parent: OuterApproximation | None) -> None:
        watch.look(len(found))
        share = float(((high - low) / (upper - lower + 1e-300)).max())
        tolerance = min(max(precision / max(share, 1e-9), 1e-5), 2e-2)
        cover = approximate_box(
            region, low, high, margin=-level.keep, parent=parent, tolerance=tolerance
        )
        piece = None if cover is None else piece_within(cover, lower, width, None)
        if cover is None or piece is None:
            return
        worst = point_above(region, piece, lower, width, level, back_off)
        if worst is None:
            found.append(piece)
            return
        excess = float(region.decision((lower + width * worst)[None])[0]) - level.fine
        error = volume_of(piece.vertices) * max(excess, 1e-3 * (level.fine - level.keep))
        heapq.heappush(queue, (-error, next(order), cover, piece, worst))

    look(lower, upper, None)
    while queue and len(found) + len(queue) < _COARSE_PIECES and time.perf_counter() < deadline:
        _, _, cover, _, worst = heapq.heappop(queue)
        axis, at = _best_split(cover, lower + width * worst, width)
        first_high, second_low = cover.upper.copy(), cover.lower.copy()
        first_high[axis] = second_low[axis] = at
        look(cover.lower, first_high, cover)
        look(second_low, cover.upper, cover)
    left = [piece for _, _, _, piece, _ in queue]
    keep, admit = level.keep, level.fine
    ranges = [_range_over(region, piece, lower, width, back_off) for piece in left]
    if left and coarser == "admit":
        found += left
        admit = max(admit, *(high for _, high in ranges))
    elif left and not found:  # nothing of it would be no answer
        raise _too_many(region, lower, upper, level, _COARSE_PIECES)
    elif left:
        keep = min(keep, *(low for low, _ in ranges))
    return Pieces(
        lower=lower,
        upper=upper,
        pieces=tuple(found),
        keep=keep,
        admit=admit,
        back_off=back_off,
        is_coarse=bool(left),
    )


def _range_over(
    region: KernelRegion, piece: Piece, origin: FloatArray, width: FloatArray, back_off: float
) -> tuple[float, float]:
    """Bounds on the decision over a piece, from a grid of cells over the box around it."""
    low = piece.vertices.min(axis=0) - back_off - 1e-8
    high = piece.vertices.max(axis=0) + back_off + 1e-8
    n = len(low)
    places = np.stack(np.meshgrid(*[np.arange(_CELLS)] * n, indexing="ij"), axis=-1).reshape(-1, n)
    radii = 0.5 * (high - low) / _CELLS
    centers = low + (2 * places + 1) * radii
    least = centers @ piece.slopes.T - np.abs(piece.slopes) @ radii
    centers = centers[(least <= piece.limits + back_off).all(axis=1)]
    bounds = bound_decision(
        region, origin + width * (centers - radii), origin + width * (centers + radii)
    )
    return float(bounds.lower.min()), float(bounds.upper.max())


def _too_many(
    region: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    level: Level,
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


def _best_split(
    cover: OuterApproximation, worst: FloatArray, width: FloatArray
) -> tuple[int, float]:
    """Axis and place that leave the least volume in the hulls of both halves.

    Volumes are in the box's own widths: a thin side would be divided again and again, and is left
    out.
    """
    rows, columns = np.nonzero(~np.isnan(cover.vertices[:, :, 0]))
    points = cover.vertices[rows, columns]
    cell_lower, cell_upper = cover.cell_lower[rows], cover.cell_upper[rows]
    best: tuple[float, int, float] | None = None
    length = (cover.upper - cover.lower) / width
    for j in range(len(worst)):
        low, high = cover.lower[j], cover.upper[j]
        if high <= low or length[j] < _THIN * length.max():
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
                volume += volume_of(half)
            # a tie goes to the widest side, near its middle
            score = volume + 1e-3 * abs((at - low) / (high - low) - 0.5)
            if best is None or score < best[0]:
                best = (score, j, at)
    if best is None:  # a single point
        return 0, float(worst[0])
    return best[1], best[2]


def _merge(
    region: KernelRegion,
    pieces: list[Piece],
    lower: FloatArray,
    width: FloatArray,
    level: Level,
    back_off: float,
    watch: _Watch,
) -> list[Piece]:
    """Replace pairs by their common hull, the one that adds least first, while it stays below."""
    n = len(lower)
    pieces = list(pieces)
    refused: set[tuple[int, int]] = set()
    names = list(range(len(pieces)))  # a merged piece gets a new one
    sizes = [volume_of(piece.vertices) for piece in pieces]
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
                    known[key] = volume_of(both) - sizes[i] - sizes[k]
                candidates.append((known[key], i, k))
        merged = None
        for _, i, k in sorted(candidates):
            watch.look(len(pieces))
            merged = common_hull(pieces[i], pieces[k], n)
            if (
                merged is not None
                and point_above(region, merged, lower, width, level, back_off) is None
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
        sizes.append(volume_of(merged.vertices))
        fresh += 1
    return pieces
