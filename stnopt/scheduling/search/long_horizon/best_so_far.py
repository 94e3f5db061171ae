"""The best schedule and bound of a search for long horizons so far, and what it may still use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stnopt.plant.objective import OBJECTIVES
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import compute_final_stock, schedule_value
from stnopt.scheduling.search.capacity_bound import bound_by_periods
from stnopt.scheduling.search.improve import score
from stnopt.scheduling.search.question import meets_demand, missing_share
from stnopt.scheduling.search.worth import MAXIMISED, Improve

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule

#: A priority-weighted share that is missing is rounding below this.
_NO_SHARE = 1e-6
#: Share of the time for a bound.
BOUND_SHARE = 0.1
#: A makespan's bound says which lengths are worth a look: it may take this share.
_MAKESPAN_BOUND = 0.25
#: Numbers of periods of the bounds, the quickest first.
PERIODS = (12, 36, 96, 200)
#: A bound that this share better is hardly better.
_BARELY = 1e-4
#: A bound takes about so many times as long as the one before it; a makespan's is as close as this.
_NEXT_BOUND, _BOUND_TOLERANCE = 5.0, 1e-3


@dataclass(slots=True, kw_only=True)
class BestSoFar:
    """The best schedule and bound so far.

    Attributes
    ----------
    network : Network
    problem : Problem
    deadline, time_limit : float
        The time by `clock` at which the search ends, and its seconds.
    start, improve_what, most_missing, relative_gap, on_improvement, should_stop, clock
        As in `search_long_horizon`.
    best : Schedule or None
    value : float or None
        What is asked of the best, as the caller counts it.
    late_bound : float or None
        Of what misses as little as can be.
    rank : float
        What the best is worth among schedules, more being better.
    bound : float or None
    retime_seconds, bound_seconds, last_bound_seconds : float
        What the last retiming, all bounds, and the last one took.
    periods : list of int
        Numbers of periods of the bounds that are left.
    """

    network: Network
    problem: Problem
    deadline: float
    time_limit: float
    start: PlantState | None
    improve_what: Improve
    most_missing: float | None
    relative_gap: float
    on_improvement: Callable[[Schedule, float, float | None], None] | None
    should_stop: Callable[[], bool] | None
    clock: Callable[[], float]
    best: Schedule | None = None
    value: float | None = None
    late_bound: float | None = None
    rank: float = -math.inf
    bound: float | None = None
    retime_seconds: float = 0.0
    bound_seconds: float = 0.0
    last_bound_seconds: float = 0.0
    periods: list[int] = field(default_factory=lambda: list(PERIODS))

    @property
    def sign(self) -> float:
        """1 where more is better, else -1."""
        return 1.0 if self.problem.objective in MAXIMISED else -1.0

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock()

    @property
    def over(self) -> bool:
        """Whether the time is used, the gap closed, or the caller wants to stop."""
        if self.left <= self.retime_seconds or (self.should_stop and self.should_stop()):
            return True
        if self.best is None or self.value is None or self.bound is None:
            return False
        if abs(self.bound - self.value) > self.relative_gap * max(abs(self.value), 1e-10):
            return False
        return self.improve_what != "both" or self.is_least_late(self.best)

    def is_least_late(self, best: Schedule) -> bool:
        """Whether nothing that misses as little is less late, as far as the sums know."""
        late = float(schedule_value(best, self.network, "tardiness"))
        if late and self.late_bound is None:
            self.late_bound = bound_by_periods(
                self.network,
                self.problem,
                n_periods=PERIODS[0],
                start=self.start,
                most_missing=missing_share(best),
                time_limit=BOUND_SHARE * self.time_limit,
            )
        return late - (self.late_bound or 0.0) <= self.relative_gap * late

    @property
    def measured(self) -> Improve:
        """What the bound is of."""
        return "missing share" if self.improve_what == "both" else self.improve_what

    def tighten_bound(self) -> None:
        """Sum over more periods, once, if bounds have taken and will take a small share of time."""
        next_one = self.bound_seconds + _NEXT_BOUND * self.last_bound_seconds
        share = _MAKESPAN_BOUND if self.problem.objective == "makespan" else BOUND_SHARE
        if not self.periods or self.over or next_one > share * self.time_limit:
            return
        started, before = self.clock(), self.bound
        found = bound_by_periods(
            self.network,
            self.problem,
            n_periods=self.periods.pop(0),
            start=self.start,
            improve=self.measured,
            most_missing=self.most_missing,
            time_limit=BOUND_SHARE * self.time_limit,
            whole_batches=OBJECTIVES[self.problem.objective].needs == "demand",
            tolerance=max(self.relative_gap, _BOUND_TOLERANCE),
            known=self.bound or 0.0,
        )
        self.last_bound_seconds = self.clock() - started
        self.bound_seconds += self.last_bound_seconds
        self.note_bound(found)
        if before is None or self.bound is None or not self.problem.orders:
            return
        if abs(self.bound - before) <= _BARELY * abs(before):
            self.periods.clear()  # dates and hours have said all they have to say

    def note_bound(self, found: float | None) -> None:
        """Keep the tighter of two bounds."""
        if found is not None and (self.bound is None or self.sign * found < self.sign * self.bound):
            self.bound = found

    def offer(self, schedule: Schedule) -> bool:
        """Keep a schedule that is better than the best, replayed and with its demand met.

        Says whether it was.
        """
        horizon = self.problem.horizon or schedule.horizon
        schedule = replace(
            schedule,
            horizon=horizon,
            deliveries=self.problem.deliveries,
            final_stock=compute_final_stock(
                schedule.batches,
                self.network,
                self.problem.deliveries,
                horizon=horizon,
                start=schedule.start,
                orders=schedule.orders,
            ),
        )
        rank = score(schedule, self.network, self.problem)
        if rank <= self.rank:
            return False
        if not meets_demand(schedule, self.network, self.problem):
            return False
        if self.most_missing is not None and (
            missing_share(schedule) > self.most_missing + _NO_SHARE
        ):
            return False
        if find_violations(schedule, self.network):
            return False
        if self.measured == "missing share":
            value = missing_share(schedule)
        else:
            value = float(schedule_value(schedule, self.network, self.problem.objective))
        self.best, self.value, self.rank = schedule, value, rank
        if self.on_improvement is not None:
            self.on_improvement(schedule, value, self.bound)
        return True
