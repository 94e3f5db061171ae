"""The search on one grid: fill it, improve it in windows, give its batches their times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.best_so_far import BestSoFar
from stnopt.scheduling.search.long_horizon.choose_grid import Width, rank_again, rank_widths
from stnopt.scheduling.search.long_horizon.construct import FIRST_WINDOW, do_nothing
from stnopt.scheduling.search.long_horizon.fill import Filling
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import MET
from stnopt.scheduling.search.long_horizon.near import carry_over
from stnopt.scheduling.search.long_horizon.orders_in_parts import (
    deliver_in_parts,
    deliver_whole,
)
from stnopt.scheduling.search.long_horizon.windows import WindowSearch
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.long_horizon.grid import Grid

    #: A grid, and a solution on it that meets the demand.
    Met = tuple[Grid, NDArray[np.float64]]

#: Modes per pair of task and unit.
MODES = 2
#: A grid has many batches to choose from when it has so many per second.
_BATCHES_PER_SECOND = 40
#: What loses this share on a grid is not improved there.
_LOST = 0.3
#: From so many batches to choose from in a window, it is filled around those that meet the demand
#: at once; with fewer, windows mostly meet it by themselves.
_MANY_IN_WINDOW = 300
#: One window of the search gets this share of the time, within these limits in seconds.
_WINDOW_SHARE, _LEAST_WINDOW, _MOST_WINDOW = 0.05, 0.5, 5.0
#: Retimed again when this share of the time has passed since, and something was gained.
_RETIME_SHARE = 0.1
#: Where windows gain nothing any more, a grid of so few batches is solved as a whole, for this
#: share of what is left: good schedules may be far from each other.
_AT_ONCE, _WHOLE_SHARE = 2_500, 0.5
#: What is better by this share on a grid is retimed.
_AHEAD = 1e-6
#: A grid is left when so many sweeps of windows gained nothing.
_IDLE_SWEEPS = 3
#: Where others follow, it is left when this share of the time gained nothing.
_IDLE_SHARE = 0.15
#: Delivering orders whole may take this share of a window's time.
_WHOLE_ORDERS = 0.2
#: Share of the time for one horizon, and for one while none is known to be long enough.
_LENGTH_SHARE, _FIRST_LENGTH_SHARE = 0.2, 0.08


@dataclass(slots=True, kw_only=True)
class GridSearch(BestSoFar):
    """The best so far, and how it is looked for on one grid.

    Attributes
    ----------
    random : numpy Generator
        Of the order of windows.
    for_the_end : float
        Seconds before the deadline that are kept for the end of a schedule, once it has batches.
    best_width : float or None
        Of the grid on which the best was found.
    part_of : sequence of Width or None
        Where the search is part of another, the widths to choose from, or none.
    """

    random: np.random.Generator
    part_of: Sequence[Width] | None = None
    for_the_end: float = 0.0
    best_width: float | None = None

    @property
    def left(self) -> float:
        """Seconds until the deadline, or until the time for the end begins."""
        kept = self.for_the_end if self.best is not None and self.best.batches else 0.0
        return self.deadline - kept - self.clock()

    def is_behind(self, grid: Grid, x: NDArray[np.float64]) -> bool:
        """Whether a solution loses much of what the best is worth, or misses what that meets."""
        if self.best is None:
            return False
        worth = self.sign * (self.value or 0.0)
        missed = grid.missed_amount(x) > MET * grid.largest
        return missed or grid.value(x) < worth - _LOST * abs(worth)

    def is_ahead(self, grid: Grid, x: NDArray[np.float64]) -> bool:
        """Whether a solution meets the demand, and is better than the best before it is retimed."""
        if self.value is None or grid.missed_amount(x) > MET * grid.largest:
            return False
        worth = self.sign * self.value
        return grid.value(x) > worth + _AHEAD * max(1.0, abs(worth))

    def carry_over(self, grid: Grid, other: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the best schedule over to a grid; return the other solution where that fails."""
        if self.best is None:
            return other
        seconds = max(0.1, min(self.window_seconds, self.left))
        found = carry_over(self.best, grid, seconds=seconds)
        return other if found is None else found

    def build(self, problem: Problem, width: float) -> Grid:
        """Build a grid, with few modes for each pair of task and unit."""
        modes = choose_modes(self.network, width, most=MODES)
        return build_grid(self.network, problem, width=width, modes=modes, start=self.start)

    @property
    def window_seconds(self) -> float:
        """For one window."""
        return float(np.clip(_WINDOW_SHARE * self.time_limit, _LEAST_WINDOW, _MOST_WINDOW))

    @property
    def many_batches(self) -> int:
        """From this number of batches to choose from, a grid has many."""
        return max(100, int(_BATCHES_PER_SECOND * self.time_limit))

    def widths(self, problem: Problem) -> list[Width]:
        """List widths of grids, the most promising for the time there is first."""
        if self.part_of:
            return rank_again(
                self.network,
                problem,
                self.part_of,
                most_modes=MODES,
                many_batches=self.many_batches,
            )
        return rank_widths(
            self.network,
            problem,
            most_modes=MODES,
            start=self.start,
            many_batches=self.many_batches,
        )

    def search_grid(self, problem: Problem, width: float, met: Met | None = None) -> None:
        """Construct on one grid and improve until it has no more to give, or the time is used.

        With `met`, around batches that meet the demand, where windows have too many batches to
        choose from for that.
        """
        whole, around = met or (self.build(problem, width), None)
        grid = deliver_in_parts(whole)
        if not len(grid.run):
            self.retime(grid, do_nothing(grid), problem)
            return
        idle = do_nothing(grid)
        if problem.objective != "makespan":
            known = self.carry_over(grid, idle)
            met_too = grid.missed_amount(known) <= MET * grid.largest
            if met_too and grid.value(known) > grid.value(idle):
                self.improve_both(grid, whole, known, problem)
                return
        x = None
        many = len(grid.run) * FIRST_WINDOW * grid.longest > _MANY_IN_WINDOW * grid.n_steps
        filling = self.filling()
        if around is None or not many or problem.objective not in MAXIMISED:
            x = filling.fill(grid)
        if around is not None and (x is None or grid.missed_amount(x) > MET * grid.largest):
            x = filling.fill(grid, around)
        assert x is not None
        if grid.missed_amount(x) <= MET * grid.largest:
            self.retime(grid, x, problem)
            if problem.objective == "makespan":
                return
        self.improve_both(grid, whole, x, problem)

    def improve_both(
        self, grid: Grid, whole: Grid, x: NDArray[np.float64], problem: Problem
    ) -> None:
        """Improve with orders in parts, and then with whole ones."""
        x = self.improve(grid, x, problem)
        if whole is not grid and not self.over:
            self.improve(whole, self.deliver_whole(grid, x), problem)

    def filling(self) -> Filling:
        """Say what filling a grid may use."""
        return Filling(
            bound=self.bound,
            time_limit=self.time_limit,
            deadline=self.clock() + self.left,
            clock=self.clock,
        )

    def improve(
        self,
        grid: Grid,
        x: NDArray[np.float64],
        problem: Problem,
        *,
        last: bool = True,
    ) -> NDArray[np.float64]:
        """Free window after window; retime what was gained now and then, and at the end.

        Where other grids follow, it is left sooner.
        """
        windows = WindowSearch(
            grid=grid,
            random=self.random,
            seconds=self.window_seconds,
            x=x,
            value=grid.value(x),
        )
        started = self.clock()
        retimed_at, gained_at = started, started
        # What was carried over may be better already.
        gained = problem.objective != "makespan" and self.is_ahead(grid, x)
        at_once = last and len(grid.run) <= _AT_ONCE and problem.objective != "makespan"
        while not self.over and not windows.exhausted:
            if at_once and windows.idle > windows.sweep:
                at_once = False
                everything = np.ones(len(grid.run), dtype=bool)
                gained |= windows.improve(seconds=_WHOLE_SHARE * self.left, free=everything)
            if last and windows.idle > _IDLE_SWEEPS * windows.sweep:
                break
            if windows.improve(seconds=max(0.1, self.left - 2 * self.retime_seconds)):
                gained, gained_at = True, self.clock()
            elif not last and self.clock() - gained_at > _IDLE_SHARE * self.time_limit:
                break
            if problem.objective == "makespan":
                if grid.missed_amount(windows.x) <= MET * grid.largest:
                    break
                share = _FIRST_LENGTH_SHARE if self.value is None else _LENGTH_SHARE
                if self.clock() - started > share * self.time_limit:
                    return windows.x
            since = self.clock() - retimed_at
            if (
                problem.objective != "makespan"
                and gained
                and since > max(_RETIME_SHARE * self.time_limit, 5 * self.retime_seconds)
            ):
                windows.resize(seconds=max(0.1, self.left))
                self.retime(grid, windows.x, problem)
                self.tighten_bound()
                gained, retimed_at = False, self.clock()
        if gained:
            self.retime(grid, windows.x, problem)
        return windows.x

    def deliver_whole(self, grid: Grid, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deliver whole what is in parts."""
        seconds = min(_WHOLE_ORDERS * self.window_seconds, self.left)
        return deliver_whole(grid, x, seconds=max(0.1, seconds))

    def retime(self, grid: Grid, x: NDArray[np.float64], problem: Problem) -> Schedule | None:
        """Give the batches of a solution their times and sizes, and offer what comes of it."""
        started = self.clock()
        x = self.deliver_whole(grid, x)
        latest = max((due.time for due in problem.deliveries), default=0.0)
        horizon = self.problem.horizon or max(grid.n_steps * grid.width, latest)
        schedule = retime_repeatedly(
            grid.place(x),
            self.network,
            replace(self.problem, horizon=horizon),
            start=self.start,
            parts=grid.parts(x),
            width=grid.width,
        )
        self.retime_seconds = self.clock() - started
        if schedule is not None and self.offer(schedule):
            self.best_width = grid.width
        return schedule
