"""The boundary of what a plant can make of two products, walked line by line, with its proof."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.refinement import Limit
from stnopt.solvers.solve import SolveResult, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.oracle import AchievedPoint, TargetOracle
    from stnopt.progress import ProgressLine

#: Gap of every solve that proves a piece of the boundary.
_PROOF_GAP = 1e-6


class BoundaryWalk:
    """The boundary so far, from upper left to lower right."""

    def __init__(
        self,
        oracle: TargetOracle,
        tolerance: float,
        max_solves: int | None = None,
        node_limit: int | None = None,
    ) -> None:
        self.oracle, self.tolerance, self.node_limit = oracle, tolerance, node_limit
        self.interrupted = False
        self.max_solves = np.inf if max_solves is None else max_solves
        self.segments: list[NDArray[np.float64]] = []
        self.limits: list[Limit] = []
        self.corners: list[AchievedPoint] = []
        self.n_solves = 0
        self.upper = np.zeros(2)
        self.sliver = np.zeros(2)

    def run(self, line: ProgressLine) -> None:
        """Find both ends, then walk from one to the other."""
        line.move(0, lambda: "the most of either product")
        top, right = self._extreme(1), self._extreme(0)
        self.upper = np.array([right.amounts[0], top.amounts[1]])
        if self.upper.min() <= 0:
            nothing = self.oracle.products[int(np.argmin(self.upper))]
            raise InvalidInputError(
                f"product {nothing!r}: the plant can make none of it within {self.oracle.horizon}"
            )
        self.sliver = 1e-2 * self.tolerance * self.upper
        self._add_segment(np.array([0.0, top.amounts[1]]), top.amounts)
        self.corners.append(top)
        ends = [right]
        try:
            self._go(top, ends, line)
        except KeyboardInterrupt:
            self.interrupted = True
        while ends:  # it was stopped: these points are known, what lies between is not
            self._arrive(self.corners[-1], ends.pop())
        self._add_segment(right.amounts, np.array([right.amounts[0], 0.0]))

    def _go(self, here: AchievedPoint, ends: list[AchievedPoint], line: ProgressLine) -> None:
        """Walk from point to point until the last end is reached, or the budget spent."""
        while ends and self.n_solves + 2 <= self.max_solves:
            line.move(
                round(100 * here.amounts[0] / self.upper[0]), lambda: f"{self.n_solves} solves"
            )
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

    def _extreme(self, axis: int) -> AchievedPoint:
        """Most of one product, and then of the other."""
        weights = np.eye(2)[axis]
        first = self._prove(np.zeros(2), weights)
        lower = np.zeros(2)
        lower[axis] = first.amounts[axis] - 1e-8 * self.oracle.scale
        return self._prove(lower, 1 - weights, keep=first)

    def _prove(
        self,
        lower: NDArray[np.float64],
        weights: NDArray[np.float64],
        keep: AchievedPoint | None = None,
    ) -> AchievedPoint:
        """Maximise ``weights @ amounts`` above `lower` and remember the limit that this proves."""
        names = self.oracle.products
        result, achieved = self.oracle.maximise(
            dict(zip(names, weights, strict=True)),
            dict(zip(names, lower, strict=True)),
            relative_gap=_PROOF_GAP,
            solve_limit=self.node_limit,
        )
        self.n_solves += result.n_solves
        if keep is not None and (result.status is Status.INFEASIBLE or result.bound is None):
            return keep
        if (
            keep is not None and achieved is None
        ):  # a limit came first, and this is proven all the same
            self._add_limit(lower, weights, result)
            return keep
        if achieved is None or result.bound is None:
            raise InvalidInputError(
                f"no schedule makes at least {dict(zip(names, lower, strict=True))} "
                f"within {self.oracle.horizon}: {result.message}"
            )
        if not self.oracle.is_valid(achieved):
            raise AssertionError(f"the replay refuses a schedule of the model: {achieved.runs}")
        self._add_limit(lower, weights, result)
        return achieved

    def _add_limit(
        self, lower: NDArray[np.float64], weights: NDArray[np.float64], result: SolveResult
    ) -> None:
        assert result.bound is not None
        self.limits.append(
            Limit(lower=tuple(lower), weights=tuple(weights), bound=float(result.bound))
        )

    def _beyond(
        self, here: AchievedPoint, onward: AchievedPoint, end: AchievedPoint
    ) -> AchievedPoint | None:
        """Look for a schedule beyond the line from here onward; without one, the line is proven."""
        run, drop = (onward.amounts - here.amounts) * (1, -1)
        weights = np.array([drop, run]) / (drop + run)
        # Just above the end of the stretch, or the end itself would be found beyond the line.
        level = max(onward.amounts[1], end.amounts[1] + self.sliver[1] / 2)
        best = self._prove(np.array([here.amounts[0], level]), weights, keep=here)
        found = weights @ (best.amounts - here.amounts) > 10 * _PROOF_GAP * self.upper.max()
        return best if found else None

    def _detour(
        self, here: AchievedPoint, onward: AchievedPoint, beyond: AchievedPoint
    ) -> list[AchievedPoint]:
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
        return [beyond, self.oracle.combine([back, beyond], np.array([1 - share, share]))]

    def _next_corner(
        self, here: AchievedPoint, axis: int, lower: Sequence[float]
    ) -> AchievedPoint | None:
        """Return the end of the straight line along which the structure of `here` reaches."""
        corner = self.oracle.follow(here, axis, np.array(lower), float(self.sliver[axis]))
        if corner is None or not self._clean_between(here, corner):
            return None
        return corner

    def _jump(self, here: AchievedPoint, end: AchievedPoint) -> AchievedPoint:
        """Find the next point of the boundary where no line leads on."""
        lower = np.array([here.amounts[0] + self.sliver[0] / 2, end.amounts[1]])
        best = self._prove(lower, np.array([0.0, 1.0]), keep=end)
        level = np.array([here.amounts[0], best.amounts[1] - 1e-8 * self.oracle.scale])
        further = self._prove(level, np.array([1.0, 0.0]), keep=best)
        if further.amounts[0] >= best.amounts[0]:  # a limit may have come before it was found
            best = further
        self._add_segment(np.array([here.amounts[0], best.amounts[1]]), best.amounts)
        return best

    def _arrive(self, here: AchievedPoint, end: AchievedPoint) -> AchievedPoint:
        """Close the last sliver before a point that was found ahead."""
        self._add_segment(np.array([here.amounts[0], end.amounts[1]]), end.amounts)
        self.corners.append(end)
        return end

    def _add_segment(self, start: NDArray[np.float64], stop: NDArray[np.float64]) -> None:
        self.segments.append(np.array([start, stop], dtype=float))

    def _clean_between(self, a: AchievedPoint, b: AchievedPoint) -> bool:
        """Whether every convex combination of two schedules of one structure passes the replay.

        Between two schedules every time and amount changes linearly. As long as the order of their
        events stays the same, stocks and draws are linear and stored amounts convex in the weights,
        so that a stretch is clean if its ends are: it is enough to replay just inside the ends of
        every stretch between changes of order.
        """
        times = [self.oracle.event_times(achieved) for achieved in (a, b)]
        apart = [t[:, None] - t[None, :] for t in times]
        upper = np.triu_indices(len(times[0]), 1)
        first, last = apart[0][upper], apart[1][upper]
        crossing = first * last < 0
        at = first[crossing] / (first[crossing] - last[crossing])
        stops = np.unique(np.concatenate([[0.0], np.round(at, 6), [1.0]]))
        inside = 1e-6
        for low, high in itertools.pairwise(stops):
            for share in (low + inside, (low + high) / 2, high - inside):
                combination = self.oracle.combine([a, b], np.array([1 - share, share]))
                if not self.oracle.is_valid(combination):
                    return False
        return True


def highest(segments: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest known amount of the second product with at least x of the first."""
    best = np.full(len(x), -np.inf)
    for (x1, y1), (x2, y2) in segments:  # from upper left to lower right
        along = np.clip((np.maximum(x, x1) - x1) / (x2 - x1) if x2 > x1 else 0.0, 0.0, 1.0)
        best = np.where(x <= x2, np.maximum(best, y1 + along * (y2 - y1)), best)
    return best


def undecided_share(
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
        known = np.clip(highest(segments, inner), 0.0, upper[1])
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
