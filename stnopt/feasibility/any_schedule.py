"""Targets of a long horizon: excluded by sums that hold for any schedule, or made by a schedule.

Where event points cannot be expected to prove anything, two things still can: no schedule makes
more than its sums over the horizon allow, and a schedule that was constructed, with all that the
order of its batches can make, is there. What lies between stays undecided.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.feasibility.choose_events import is_long
from stnopt.feasibility.directions import weigh_products, weights_to_maximise
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED
from stnopt.plant.tolerance import amount_tolerance
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.capacity_bound import bound_by_periods, build_period_sums
from stnopt.scheduling.search.improve import placed_from_schedule, retime
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.question import why_not_long_horizon
from stnopt.solvers.linear_program import ProgramStatus, solve_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.question import Question

    FloatArray = NDArray[np.float64]

#: Points of time of the sums.
_PERIODS = 36
#: Targets whose own sums are looked at, beside the sums of all directions.
_CHECKS = 100
#: Searches for a schedule, and seconds of processor time for one.
_SEARCHES, _SECONDS = 16, 15.0
#: Targets that the order of one schedule's batches is asked for, one linear program each.
_RETIMED = 60
#: A target is excluded when sums cannot even make it less so much of each product's largest batch.
_SHORT = 1e-4


def why_not_any_schedule(question: Question) -> str | None:
    """Say what keeps targets from being labelled without event points; None if nothing does."""
    if question.problem.sense != "at_least":
        return "the targets are to be met exactly"
    if not is_long(question):
        return "event points can be expected to prove what they cannot make"
    if question.start is not None or question.problem.orders:
        return "the plant starts under way, or has orders to serve"
    return why_not_long_horizon(question)


class AnySchedule:
    """What is known about targets, whatever the event points.

    Parameters
    ----------
    question : Question
        Its sense is "at_least".
    products : tuple of str
    points : (n, p) array
        Targets.
    known : mapping of target to label
    on_label : callable, optional
        Told of rows of targets and their label, as they are decided.

    Attributes
    ----------
    labels : (n,) array of int
    schedules : list of Schedule
        Replayed; what each makes is a row of `made`.
    made : (k, p) array
    bounds : list of (weights, bound)
        No schedule has ``weights @ amounts > bound``.
    n_searches : int
    """

    def __init__(
        self,
        question: Question,
        products: tuple[str, ...],
        points: FloatArray,
        known: Mapping[tuple[float, ...], int] | None = None,
        *,
        on_label: Callable[[FloatArray, int], None] = lambda points, label: None,
    ) -> None:
        self.question, self.products, self.points = question, products, points
        self.network, self.problem = question.network, question.problem
        self.slack = np.array([amount_tolerance(self.network, s) for s in products])
        self.on_label = on_label
        self.labels = np.full(len(points), UNDECIDED)
        for row, point in enumerate(points):
            self.labels[row] = (known or {}).get(tuple(point.tolist()), UNDECIDED)
        self.schedules: list[Schedule] = []
        self.made = np.zeros((0, len(products)))
        self.bounds: list[tuple[FloatArray, float]] = []
        self.n_searches = 0
        self._asked = np.zeros(len(points), dtype=bool)

    @property
    def n_settled(self) -> int:
        """Targets that are labelled or have been searched for."""
        return int(np.sum((self.labels != UNDECIDED) | self._asked))

    @property
    def open(self) -> NDArray[np.int64]:
        """Rows without a label."""
        return np.flatnonzero(self.labels == UNDECIDED)

    def run(
        self, *, seconds: float | None = None, report: Callable[[str], None] = lambda _: None
    ) -> None:
        """Exclude by sums, then construct schedules where they decide most.

        Parameters
        ----------
        seconds : float, optional
            Of processor time for one search.
        report : callable
            Told what is being tried.
        """
        report("sums over the horizon")
        directions = weights_to_maximise(len(self.products))
        for direction in directions:
            self.bound(direction, report)
        self._check_single_targets(report)
        first = [*np.eye(len(self.products)), np.ones(len(self.products))]
        for _ in range(_SEARCHES):
            if not len(self.open):
                return
            target = None
            if first:
                weights = self._per_most(first.pop())
            else:
                target = self._next_target()
                if target is None:
                    return
                weights = self._per_most(np.ones(len(self.products)))
            self.n_searches += 1
            report(f"{self.n_searches} of {_SEARCHES} searches")
            self._search(weights, target, _SECONDS if seconds is None else seconds, report)

    def bound(self, direction: FloatArray, report: Callable[[str], None]) -> None:
        """Bound a weighted sum of the products, and exclude what lies beyond."""
        found = bound_by_periods(self._weighted(direction), self.problem, n_periods=_PERIODS)
        report("sums over the horizon")
        if found is None:
            return
        self.bounds.append((direction, found))
        beyond = self.points @ direction > found + 2 * float(direction @ self.slack)
        self._settle(beyond, INFEASIBLE)

    def _check_single_targets(self, report: Callable[[str], None]) -> None:
        """Ask the sums of targets that lie close to what all directions allow."""
        rows = self.open
        closeness = np.max(
            [self.points[rows] @ w / max(b, 1e-12) for w, b in self.bounds], axis=0, initial=0.0
        )
        checked = 0
        for row in rows[np.argsort(-closeness, kind="stable")]:
            if checked >= _CHECKS:
                return
            if self.labels[row] != UNDECIDED:
                continue
            checked += 1
            report("sums of single targets")
            if self._is_beyond_sums(self.points[row]):
                self._settle(np.all(self.points >= self.points[row], axis=1), INFEASIBLE)

    def _is_beyond_sums(self, target: FloatArray) -> bool:
        less = np.maximum(target - _SHORT / 1e-6 * self.slack, 0.0)
        targets = dict(zip(self.products, less.tolist(), strict=True))
        problem = replace(self.problem, targets=targets)
        sums = build_period_sums(self.network, problem, n_periods=_PERIODS)
        program = replace(sums.program, cost=np.zeros_like(sums.program.cost))
        return solve_program(program).status is ProgramStatus.INFEASIBLE

    # --- schedules -------------------------------------------------------------------------------

    def _search(
        self,
        weights: FloatArray,
        target: FloatArray | None,
        seconds: float,
        report: Callable[[str], None],
    ) -> None:
        """Construct a schedule, and use all that the order of its batches can make."""
        interrupts: list[bool] = []
        schedule, _ = search_long_horizon(
            self._weighted(weights),
            self._asking_for(target),
            time_limit=seconds,
            on_interrupt=lambda: interrupts.append(True),
            on_improvement=lambda *_: report(f"search {self.n_searches}: a better schedule"),
            # The load of the machine is not to decide what a search finds.
            clock=time.process_time,
        )
        if schedule is not None:
            self._use(schedule)
        if interrupts:
            raise KeyboardInterrupt
        if schedule is None:
            return
        placed = placed_from_schedule(schedule.batches, self.network, horizon=schedule.horizon)
        reached = []
        for direction in weights_to_maximise(len(self.products)):
            more = retime(placed, self._weighted(direction), self.problem)
            report(f"search {self.n_searches}: other times and sizes")
            if more is not None:
                self._use(more)
                reached.append((direction, float(direction @ self.made[-1])))
        rows = self.open
        rows = rows[np.argsort(-self.points[rows].sum(axis=1), kind="stable")]
        tried = 0
        for row in rows:
            within = all(self.points[row] @ w <= most for w, most in reached)
            if tried >= _RETIMED or not within or self.labels[row] != UNDECIDED:
                continue
            tried += 1
            network = self._weighted(self._per_most(np.ones(len(self.products))))
            made = retime(placed, network, self._asking_for(self.points[row]))
            report(f"search {self.n_searches}: other times and sizes")
            if made is not None:
                self._use(made)

    def _use(self, schedule: Schedule) -> None:
        """Settle all that a schedule makes; it is replayed on the plant itself."""
        if find_violations(schedule, self.network):
            return
        amounts = np.array([schedule.final_stock[s] for s in self.products])
        self.schedules.append(schedule)
        self.made = np.vstack([self.made, amounts])
        self._settle(np.all(self.points <= amounts + self.slack, axis=1), FEASIBLE)

    def _next_target(self) -> FloatArray | None:
        """Choose the target that is expected to decide most others if a schedule makes it.

        On the ray through it something is made and something is out of reach: close to the first a
        schedule is likely.
        """
        rows = self.open[~self._asked[self.open]]
        left = self.points[self.open]
        best, chosen = 0.0, None
        for row in rows:
            target = np.maximum(self.points[row], 1e-12)
            inner = float(np.max(np.min(self.made / target, axis=1), initial=0.0))
            outer = min((b / float(w @ target) for w, b in self.bounds), default=math.inf)
            chance = 1.0 - (1.0 - inner) / max(outer - inner, 1e-12)
            gain = max(chance, 0.01) * float(np.sum(np.all(left <= target, axis=1)))
            if gain > best:
                best, chosen = gain, int(row)
        if chosen is None:
            return None
        self._asked[chosen] = True
        return self.points[chosen]

    # --- what is asked ---------------------------------------------------------------------------

    def _per_most(self, weights: FloatArray) -> FloatArray:
        """Weigh each product by the most that there can be of it."""
        most = np.ones(len(self.products))
        for weights_of, found in self.bounds:
            axis = np.flatnonzero(weights_of)
            if len(axis) == 1:
                most[axis[0]] = max(found / weights_of[axis[0]], 1e-9)
        return weights / most

    def _asking_for(self, target: FloatArray | None) -> Problem:
        if target is None:
            return self.problem
        return replace(self.problem, targets=dict(zip(self.products, target.tolist(), strict=True)))

    def _weighted(self, weights: FloatArray) -> Network:
        """Return the plant with weights as prices and no costs: profit is the weighted sum."""
        return weigh_products(self.network, dict(zip(self.products, weights.tolist(), strict=True)))

    def _settle(self, which: NDArray[np.bool_], label: int) -> None:
        fresh = which & (self.labels == UNDECIDED)
        self.labels[fresh] = label
        if fresh.any():
            self.on_label(self.points[fresh], label)
