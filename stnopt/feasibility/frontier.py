"""The exact boundary of what a plant can make of two products, every piece with a proof."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.oracle import Reach, TargetOracle
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED
from stnopt.scheduling.search import suggest_events
from stnopt.solve import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule

#: Gap of every solve that proves a piece of the boundary.
_PROOF_GAP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Proven: no schedule that makes at least `lower` has ``weights @ amounts > bound``."""

    lower: tuple[float, float]
    weights: tuple[float, float]
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CertifiedRegion:
    """Targets of two products that a plant can meet at least, and those that it provably cannot.

    Attributes
    ----------
    products : (str, str)
    segments : (k, 2, 2) array, amount
        Lines along which schedules are known; what lies below one is feasible.
    limits : tuple of Limit
        What is proven out of reach.
    upper : (2,) array, amount
        The most of either product: corner of the box that `gap` refers to.
    gap : float
        Undecided share of that box.
    n_solves : int
        MILPs solved, every one counted; LPs of a fixed structure are not.
    points : DataFrame
        Vertices of the boundary that a schedule makes, one column per product.
    schedules : tuple of Schedule
        The schedule behind each row of `points`.
    scope : mapping
        What the proofs hold for: plant, fingerprint, horizon, event points and span.
    """

    products: tuple[str, str]
    segments: NDArray[np.float64]
    limits: tuple[Limit, ...]
    upper: NDArray[np.float64]
    gap: float
    n_solves: int
    points: pd.DataFrame
    schedules: tuple[Schedule, ...]
    scope: dict[str, str | float | int]

    @property
    def vertices(self) -> NDArray[np.float64]:
        """(k, 2) corners of the feasible area in order, from one axis to the other."""
        step = 1e-9 * float(self.upper.max())
        corners = []
        for x in _distinct(np.append(self.segments[:, :, 0].ravel(), 0.0), 1e3 * step):
            at, after = np.maximum(_highest(self.segments, np.array([x, x + step])), 0.0)
            corners += [(x, at), (x, after)]  # two where the boundary drops
        kept = corners[:1]
        for corner in corners[1:]:
            if np.abs(np.subtract(corner, kept[-1])).max() > 1e-5 * self.upper.max():
                kept.append(corner)
        return np.array(kept)

    def label(self, points: pd.DataFrame | ArrayLike) -> NDArray[np.int64]:
        """Label targets: -1 feasible, +1 infeasible, 0 undecided.

        Parameters
        ----------
        points : (n, 2) array or DataFrame with the products as columns, amount
        """
        if isinstance(points, pd.DataFrame):
            missing = [p for p in self.products if p not in points]
            if missing:
                raise InvalidInputError(f"points: missing columns {missing}, found {list(points)}")
            points = points[list(self.products)]
        z = np.atleast_2d(np.asarray(points, dtype=float))
        if z.shape[1] != 2:
            raise InvalidInputError(f"points: expected shape (n, 2), found {z.shape}")
        labels = np.full(len(z), UNDECIDED)
        labels[z[:, 1] <= _highest(self.segments, z[:, 0]) + 1e-9] = FEASIBLE
        # Rounding decides nothing: beyond a limit means by more than the replay's tolerance.
        slack = 1e-6 * max(float(self.upper.max()), 1.0)
        for limit in self.limits:
            weights = np.array(limit.weights)
            beyond = z @ weights > limit.bound + slack * weights.sum()
            above = np.all(z >= np.array(limit.lower), axis=1)
            labels[above & beyond & (labels == UNDECIDED)] = INFEASIBLE
        return labels


def _distinct(values: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """Sorted values; of those closer than `apart`, the largest (where the boundary drops)."""
    ordered = np.sort(values)
    return ordered[np.append(np.diff(ordered) > apart, True)]


def _highest(segments: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest known amount of the second product with at least x of the first."""
    best = np.full(len(x), -np.inf)
    for (x1, y1), (x2, y2) in segments:  # from upper left to lower right
        along = np.clip((np.maximum(x, x1) - x1) / (x2 - x1) if x2 > x1 else 0.0, 0.0, 1.0)
        best = np.where(x <= x2, np.maximum(best, y1 + along * (y2 - y1)), best)
    return best


def trace_frontier(
    network: Network,
    *,
    horizon: float,
    products: Sequence[str],
    tolerance: float = 1e-3,
    max_solves: int | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
    progress: bool = False,
) -> CertifiedRegion:
    """Trace the boundary of the targets (at least so much of either) that a plant can meet.

    The walk goes from the most of the second product to the most of the first. From a schedule on
    the boundary, its structure (the binaries) reaches along straight lines, found by LPs; one MILP
    shows that nothing lies beyond a line, or finds what does. Where a structure ends, one MILP
    finds the boundary's next point.

    Parameters
    ----------
    network : Network
    horizon : float
        In the plant's time unit.
    products : sequence of str
        Two states.
    tolerance : float
        Undecided share of the box that is allowed; slivers a hundredth as wide are not pursued.
    max_solves : int, optional
        MILPs after which the walk stops, with what it has proven until then.
    n_events, max_span : int, optional
        Event points and span; left out, those of the largest production are taken.
    progress : bool
        Show a progress bar (along the first product).

    Returns
    -------
    CertifiedRegion
        Certified for these event points.

    Raises
    ------
    UnsupportedModelError
        Another number of products than two.
    InvalidInputError
        A product that the plant does not produce, or of which it can make nothing.

    References
    ----------
    The boxed line method of Perini, Boland, Pecin & Savelsbergh (2020), INFORMS J. Comput. 32, 16,
    doi:10.1287/ijoc.2019.0887, whose walk between line segments this follows in spirit.
    """
    if len(products) != 2:
        raise UnsupportedModelError(
            f"trace_frontier takes two products, got {len(products)}; "
            "label_targets labels targets of any number"
        )
    if products[0] == products[1]:
        raise InvalidInputError(
            f"trace_frontier takes two different products, got {products[0]!r} twice"
        )
    if n_events is None or max_span is None:
        n_events, max_span = suggest_events(
            network, horizon=horizon, n_events=n_events, max_span=max_span
        )
    pair = (str(products[0]), str(products[1]))
    oracle = TargetOracle(network, pair, horizon=horizon, n_events=n_events, max_span=max_span)
    walk = _Walk(oracle, tolerance, max_solves)
    with tqdm(total=100, unit="%", disable=not progress) as bar:
        walk.run(bar)
    segments = np.array(walk.segments)
    reaches = walk.corners
    return CertifiedRegion(
        products=pair,
        segments=segments,
        limits=tuple(walk.limits),
        upper=walk.upper,
        gap=_undecided_share(segments, walk.limits, walk.upper),
        n_solves=walk.n_solves,
        points=pd.DataFrame([r.amounts for r in reaches], columns=list(pair)),
        schedules=tuple(oracle.schedule(r) for r in reaches),
        scope={
            "plant": network.name,
            "fingerprint": network.fingerprint,
            "horizon": float(horizon),
            "sense": "at_least",
            "n_events": n_events,
            "max_span": max_span,
            "amount_unit": network.amount_unit,
        },
    )


class _Walk:
    """The boundary so far, from upper left to lower right."""

    def __init__(
        self, oracle: TargetOracle, tolerance: float, max_solves: int | None = None
    ) -> None:
        self.oracle, self.tolerance = oracle, tolerance
        self.max_solves = np.inf if max_solves is None else max_solves
        self.segments: list[NDArray[np.float64]] = []
        self.limits: list[Limit] = []
        self.corners: list[Reach] = []
        self.n_solves = 0
        self.upper = np.zeros(2)
        self.sliver = np.zeros(2)

    def run(self, bar: tqdm) -> None:
        """Find both ends, then walk from one to the other."""
        top, right = self._extreme(1), self._extreme(0)
        self.upper = np.array([right.amounts[0], top.amounts[1]])
        if self.upper.min() <= 0:
            nothing = self.oracle.products[int(np.argmin(self.upper))]
            raise InvalidInputError(
                f"product {nothing!r}: the plant can make none of it within {self.oracle.horizon}"
            )
        self.sliver = 1e-2 * self.tolerance * self.upper
        self._add_segment(np.array([0.0, top.amounts[1]]), top.amounts)
        ends = [right]
        here = top
        self.corners.append(here)
        while ends and self.n_solves + 2 <= self.max_solves:
            bar.update(round(100 * here.amounts[0] / self.upper[0]) - bar.n)
            bar.set_postfix(solves=self.n_solves)
            if np.any((ends[-1].amounts - here.amounts) * (1, -1) <= self.sliver):
                here = self._arrive(here, ends.pop())
                continue
            onward = self._next_corner(here, 0, (here.amounts[0], ends[-1].amounts[1]))
            if onward is None:
                here = self._jump(here, ends[-1])
                self.corners.append(here)
                continue
            beyond = self._beyond(here, onward, ends[-1])
            if beyond is None:
                self._add_segment(here.amounts, onward.amounts)
                here = onward
                self.corners.append(here)
            else:
                ends += self._detour(here, onward, beyond)
        while ends:  # the budget is spent: these points are known, what lies between is not
            here = self._arrive(here, ends.pop())
        self._add_segment(right.amounts, np.array([right.amounts[0], 0.0]))

    def _extreme(self, axis: int) -> Reach:
        """Most of one product, and then of the other."""
        weights = np.eye(2)[axis]
        first = self._prove(np.zeros(2), weights)
        lower = np.zeros(2)
        lower[axis] = first.amounts[axis] - 1e-8 * self.oracle.scale
        return self._prove(lower, 1 - weights, keep=first)

    def _prove(
        self, lower: NDArray[np.float64], weights: NDArray[np.float64], keep: Reach | None = None
    ) -> Reach:
        """Maximise ``weights @ amounts`` above `lower` and remember the limit that this proves."""
        names = self.oracle.products
        result, reach = self.oracle.maximise(
            dict(zip(names, weights, strict=True)),
            dict(zip(names, lower, strict=True)),
            relative_gap=_PROOF_GAP,
        )
        self.n_solves += result.n_solves
        if result.status is Status.INFEASIBLE and keep is not None:
            return keep
        if reach is None or result.bound is None:
            raise InvalidInputError(
                f"no schedule makes at least {dict(zip(names, lower, strict=True))} "
                f"within {self.oracle.horizon}: {result.message}"
            )
        if not self.oracle.is_valid(reach):
            raise AssertionError(f"the replay refuses a schedule of the model: {reach.runs}")
        self.limits.append(
            Limit(lower=tuple(lower), weights=tuple(weights), bound=float(result.bound))
        )
        return reach

    def _beyond(self, here: Reach, onward: Reach, end: Reach) -> Reach | None:
        """Look for a schedule beyond the line from here onward; without one, the line is proven."""
        run, drop = (onward.amounts - here.amounts) * (1, -1)
        weights = np.array([drop, run]) / (drop + run)
        # Just above the end of the stretch, or the end itself would be found beyond the line.
        level = max(onward.amounts[1], end.amounts[1] + self.sliver[1] / 2)
        best = self._prove(np.array([here.amounts[0], level]), weights, keep=here)
        found = weights @ (best.amounts - here.amounts) > 10 * _PROOF_GAP * self.upper.max()
        return best if found else None

    def _detour(self, here: Reach, onward: Reach, beyond: Reach) -> list[Reach]:
        """Return the points to visit before the present end, the nearest last.

        The structure beyond the line is followed backwards: if it starts beyond the line as well,
        its start comes first; else the two lines cross, and the boundary turns at the crossing.
        """
        lower = (here.amounts[0], beyond.amounts[1])
        back = self._next_corner(beyond, 1, lower)
        if back is None:
            return [beyond]
        along = onward.amounts - here.amounts
        normal = np.array([-along[1], along[0]])
        height = normal @ (back.amounts - here.amounts)
        if height > 0:
            return [beyond, back]
        share = height / (height - normal @ (beyond.amounts - here.amounts))
        return [beyond, self.oracle.blend([back, beyond], np.array([1 - share, share]))]

    def _next_corner(self, here: Reach, axis: int, lower: Sequence[float]) -> Reach | None:
        """Return the end of the straight line along which the structure of `here` reaches."""
        corner = self.oracle.follow(here, axis, np.array(lower), float(self.sliver[axis]))
        if corner is None or not self._clean_between(here, corner):
            return None
        return corner

    def _jump(self, here: Reach, end: Reach) -> Reach:
        """Find the next point of the boundary where no line leads on."""
        lower = np.array([here.amounts[0] + self.sliver[0] / 2, end.amounts[1]])
        best = self._prove(lower, np.array([0.0, 1.0]), keep=end)
        level = np.array([here.amounts[0], best.amounts[1] - 1e-8 * self.oracle.scale])
        best = self._prove(level, np.array([1.0, 0.0]), keep=best)
        self._add_segment(np.array([here.amounts[0], best.amounts[1]]), best.amounts)
        return best

    def _arrive(self, here: Reach, end: Reach) -> Reach:
        """Close the last sliver before a point that was found ahead."""
        self._add_segment(np.array([here.amounts[0], end.amounts[1]]), end.amounts)
        self.corners.append(end)
        return end

    def _add_segment(self, start: NDArray[np.float64], stop: NDArray[np.float64]) -> None:
        self.segments.append(np.array([start, stop], dtype=float))

    def _clean_between(self, a: Reach, b: Reach) -> bool:
        """Whether every blend of two schedules of one structure passes the replay.

        Between two schedules every time and amount changes linearly. As long as the order of their
        events stays the same, stocks are linear and stored amounts convex in the blend, so that a
        stretch is clean if its ends are: it is enough to replay just inside the ends of every
        stretch between changes of order.
        """
        times = []
        for reach in (a, b):
            schedule = [
                (start, start + self._duration(batch, size))
                for batch, (start, size) in sorted(reach.runs.items())
            ]
            times.append(np.array(schedule).ravel())
        apart = [t[:, None] - t[None, :] for t in times]
        upper = np.triu_indices(len(times[0]), 1)
        first, last = apart[0][upper], apart[1][upper]
        crossing = first * last < 0
        at = first[crossing] / (first[crossing] - last[crossing])
        stops = np.unique(np.concatenate([[0.0], np.round(at, 6), [1.0]]))
        inside = 1e-6
        for low, high in itertools.pairwise(stops):
            for share in (low + inside, (low + high) / 2, high - inside):
                blend = self.oracle.blend([a, b], np.array([1 - share, share]))
                if not self.oracle.is_valid(blend):
                    return False
        return True

    def _duration(self, batch: tuple, size: float) -> float:
        return self.oracle.network.tasks[batch[0]].units[batch[1]].duration(size)


def _undecided_share(
    segments: NDArray[np.float64], limits: Sequence[Limit], upper: NDArray[np.float64]
) -> float:
    """Integrate what lies between the known and the excluded, as a share of the box.

    Within a strip between two breakpoints both sides are straight lines or steps, so that 3-point
    strips with breakpoints at every corner and crossing are exact.
    """
    breaks = {0.0, float(upper[0])}
    breaks.update(segments[:, :, 0].ravel().tolist())
    breaks.update(limit.lower[0] for limit in limits)
    lines = [limit for limit in limits if limit.weights[1] > 0]
    for limit in limits:
        w = limit.weights
        for level in [other.lower[1] for other in limits] + [float(upper[1])]:
            if w[0] > 0:
                breaks.add((limit.bound - w[1] * level) / w[0])
        for other in lines:
            v = other.weights
            cross = w[0] * v[1] - v[0] * w[1]
            if w[1] > 0 and abs(cross) > 1e-12:
                breaks.add((limit.bound * v[1] - other.bound * w[1]) / cross)
    xs = np.array(sorted(x for x in breaks if 0 <= x <= upper[0]))
    undecided = 0.0
    for low, high in itertools.pairwise(xs):
        if high - low < 1e-12:
            continue
        inner = low + (high - low) * np.array([1e-9, 1 - 1e-9])
        known = np.clip(_highest(segments, inner), 0.0, upper[1])
        open_heights = [
            _open_height(limits, x, y, upper[1]) for x, y in zip(inner, known, strict=True)
        ]
        undecided += (high - low) * float(np.mean(open_heights))
    return undecided / float(np.prod(upper))


def _open_height(limits: Sequence[Limit], x: float, known: float, top: float) -> float:
    """Length of the part of a vertical line above `known` that no limit excludes."""
    excluded = []
    for limit in limits:
        if x < limit.lower[0]:
            continue
        w, start = limit.weights, limit.lower[1]
        if w[1] > 0:
            start = max(start, (limit.bound - w[0] * x) / w[1])
        elif w[0] * x <= limit.bound:
            continue
        excluded.append(start)  # everything above is excluded: limits are closed upwards
    return max(min([top, *excluded]) - known, 0.0)
