"""The search for long horizons: construct on a grid, improve in windows, retime, replay."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import UnsupportedModelError
from stnopt.scheduling.search.capacity_bound import (
    bound_by_capacity,
    orders_beyond_capacity,
)
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.best_so_far import BOUND_SHARE, PERIODS
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.cycle_grids import (
    Repeated,
    repeat_on_grids,
    suits_cycles,
)
from stnopt.scheduling.search.long_horizon.dive_grids import (
    MOST_TO_DIVE,
    OnGrid,
    dive_on_grids,
    worth_diving,
)
from stnopt.scheduling.search.long_horizon.end_sooner import (
    end_sooner,
    may_end_sooner,
    search_after,
)
from stnopt.scheduling.search.long_horizon.fill import DIVE_SHARE
from stnopt.scheduling.search.long_horizon.grid import choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import build_grid_that_meets_demand
from stnopt.scheduling.search.long_horizon.on_one_grid import MODES, GridSearch
from stnopt.scheduling.search.long_horizon.repeat_more import repeat_more
from stnopt.scheduling.search.long_horizon.round_relaxation import round_relaxation
from stnopt.scheduling.search.long_horizon.shorter_horizon import (
    horizon_of_nearly_all,
    horizon_that_fits,
)
from stnopt.scheduling.search.out_of_reach import is_out_of_reach
from stnopt.scheduling.search.worth import MAXIMISED, Improve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.long_horizon.choose_grid import Width
    from stnopt.scheduling.search.long_horizon.on_one_grid import Met

#: Meeting the demand alone may take this share of the time, and this share of it on one grid.
_MEET_SHARE, _ONE_GRID = 0.4, 0.15
#: Large plants are improved on so many grids in turn.
_GO_AROUND = 4
#: Choosing among the batches of a relaxation may take this share of what is left.
_ROUND_SHARE = 0.6
#: Proving that a demand cannot be met takes this share of the time at first, and this one where
#: nothing was found.
_QUICK_PROOF, _LONG_PROOF = 0.03, 0.15
#: A makespan is first sought within its bound times this, then within longer horizons.
_FIRST_LENGTH, _LONGER = 1.5, 1.3
#: Once there is one, this far from what failed to what is known; down to so close.
_SHORTER, _CLOSE = 0.5, 0.003
#: The first is sought on steps up to so many times as wide, too.
_COARSE = 2.5
#: Widths that are tried in turn.
_MAKESPAN_WIDTHS = 3
#: A shorter horizon that holds nearly all is searched for this share of the time.
_SHORTER_SHARE = 0.3
#: What fits is searched for this share of the time.
_FITS_SHARE = 0.85
#: This share of the time is for ending sooner and what more fits in then, this one for one search
#: of it; it covers so many longest batches before the end, in turn.
_END_SHARE, _ONE_END, _LONGEST_AT_END = 0.3, 0.12, (2.0, 4.0, 1.0, 3.0)
#: The share for ending sooner where whole horizons are dived on.
_END_AFTER_DIVES = 0.15
#: Widths are ranked anew for a part of the search where that takes this share of its time at most.
_RANK_SHARE = 0.15
#: Where more repetitions gain this share, windows on the shorter grid would only catch up.
_MUCH = 0.02
#: One search of the end takes that of so many retimings at least.
_RETIMINGS = 4


def engine_supports(network: Network, problem: Problem) -> str | None:
    """Say what keeps the engine from a problem; None if nothing does."""
    del network
    if problem.horizon is None and problem.objective != "makespan":
        return "a problem without a horizon, which only a makespan can be"
    return None


def search_long_horizon(
    network: Network,
    problem: Problem,
    *,
    time_limit: float,
    start: PlantState | None = None,
    improve: Improve = "objective",
    most_missing: float | None = None,
    relative_gap: float = 1e-4,
    seed: int = 0,
    warm: Schedule | None = None,
    on_improvement: Callable[[Schedule, float, float | None], None] | None = None,
    on_interrupt: Callable[[], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    part_of: Sequence[Width] | None = None,
) -> tuple[Schedule | None, float | None]:
    """Find a good schedule for a long horizon or a large plant until the time is used.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon, but for makespan.
    time_limit : float
        Seconds by `clock`.
    start : PlantState, optional
        The plant at time 0.
    improve : {"objective", "missing share", "both"}
        Under "tardiness": what is asked for, and bounded. Of schedules that are as good, the less
        late ones are kept; with "both" the search goes on until none is late.
    most_missing : float, optional
        The priority-weighted share of the orders that may be missing.
    relative_gap : float
        The search ends when the schedule's value is this close to the bound.
    seed : int
        Of the order of windows.
    warm : Schedule, optional
        A schedule to start from; nothing worse is returned.
    on_improvement : callable, optional
        Called with each better schedule, its value and the bound.
    on_interrupt : callable, optional
        Called when Ctrl-C ended the search; what it found so far is returned all the same.
    should_stop : callable, optional
        Asked between two steps of a few seconds.
    clock : callable, optional
    part_of : sequence of Width, optional
        Where this search is part of another: the widths to choose from, or none where they are to
        be ranked anew. The end is not looked at once more, and bounds are not tightened.

    Returns
    -------
    schedule : Schedule or None
        Replayed, with the demand met; None if none was found.
    bound : float or None
        No schedule at all is better; as `bound_by_capacity`. Where it is infinite, no schedule
        exists.

    Raises
    ------
    UnsupportedModelError
        What `engine_supports` names.
    """
    unsupported = engine_supports(network, problem)
    if unsupported is not None:
        raise UnsupportedModelError(f"the long-horizon search does not handle {unsupported}")
    search = _Search(
        network=network,
        problem=problem,
        deadline=clock() + time_limit,
        part_of=part_of,
        periods=list(PERIODS) if part_of is None else [],
        time_limit=time_limit,
        start=start,
        improve_what=improve,
        most_missing=most_missing,
        relative_gap=relative_gap,
        random=np.random.default_rng(seed),
        on_improvement=on_improvement,
        should_stop=should_stop,
        clock=clock,
    )
    try:
        search.run(warm)
        if search.for_the_end:
            search.for_the_end = 0.0
            search.fill_the_end()
    except KeyboardInterrupt:  # what was found so far is the answer
        if on_interrupt is not None:
            on_interrupt()
    return search.best, search.bound


@dataclass(slots=True, kw_only=True)
class _Search(GridSearch):
    """What is tried in turn."""

    ranked: list[Width] = field(default_factory=list)
    rank_seconds: float = 0.0

    def run(self, warm: Schedule | None) -> None:
        """Bound, then search on one grid after the other."""
        self.bound = bound_by_capacity(
            self.network,
            self.problem,
            start=self.start,
            improve=self.measured,
            most_missing=self.most_missing,
        )
        if self.bound is not None and math.isinf(self.bound):
            return
        if warm is not None:
            self.offer(replace(warm, horizon=self.problem.horizon or warm.horizon))
        if self.problem.objective == "makespan":
            self.shorten()
            return
        network = self.network
        if self.problem.objective in MAXIMISED and not self.problem.orders:
            idle = retime_repeatedly([], network, self.problem, start=self.start)
            if idle is not None:  # no schedule need earn less
                self.offer(idle)
        if self.part_of is None and self.prove_out_of_reach(_QUICK_PROOF):
            return
        self.tighten_bound()
        if self.bound:
            enough = horizon_of_nearly_all(network, self.problem, self.bound, start=self.start)
            self.search_within(enough, share=_SHORTER_SHARE)
        # First without the orders that are likely to be missing, then with all.
        problems = [self.without_hopeless_orders(), self.problem]
        for problem in problems[:1] if problems[0] is self.problem else problems:
            started = self.clock()
            self.ranked = ranked = self.widths(problem)
            self.rank_seconds = self.clock() - started
            widths = [each.width for each in ranked if not each.wide]
            met: dict[float, Met] = {}
            diving = worth_diving(
                network,
                problem,
                ranked,
                most_modes=MODES,
                many_batches=self.many_batches,
                seconds=DIVE_SHARE * self.left,
            )
            self.keep_for_the_end(problem, widths, _END_AFTER_DIVES if diving else _END_SHARE)
            repeats = suits_cycles(
                network, problem, ranked, self.left, most_modes=MODES, start=self.start
            )
            if repeats or not diving:  # patterns are laid out beside what meets the demand
                met = self.meet_demand(problem, ranked)
            repeated = self.repeat(problem, ranked)
            maximised = problem.objective in MAXIMISED
            dived = self.dive(problem, ranked, met) if diving and maximised else []
            if diving and not dived and not met:
                met = self.meet_demand(problem, ranked)
                if met or self.best is None:
                    dived = self.dive(problem, ranked, met)
            if self.prove_out_of_reach(_LONG_PROOF):
                return
            more = self.repeat_more(repeated[0], problem) if repeated else False
            if more and not diving:
                return
            if dived:
                self.go_around(problem, ranked, [*repeated, *dived])
            elif repeated:
                self.improve(repeated[0].grid, repeated[0].x, problem)
            else:
                enough = horizon_that_fits(
                    network, problem, ranked, _FITS_SHARE * self.left, MODES, start=self.start
                )
                self.search_within(enough, share=_FITS_SHARE)
            for width in [*met, *(width for width in widths if width not in met)]:
                if self.over:
                    return
                self.search_grid(problem, width, met.get(width))
                self.tighten_bound()

    def keep_for_the_end(self, problem: Problem, widths: list[float], share: float) -> None:
        """Keep a share of the time for the end of a schedule, where it may end sooner."""
        once = self.part_of is None and not self.for_the_end
        if once and may_end_sooner(self.network, problem, widths):
            self.for_the_end = share * self.time_limit

    def prove_out_of_reach(self, share: float) -> bool:
        """Prove in a share of the time that the demand cannot be met, where nothing meets it."""
        if self.best is not None or self.over:
            return False
        proven = is_out_of_reach(
            self.network,
            self.problem,
            start=self.start,
            time_limit=share * self.time_limit,
        )
        if proven:
            self.bound = -self.sign * math.inf
        return proven

    def repeat(self, problem: Problem, ranked: list[Width]) -> list[Repeated]:
        """Repeat good patterns, where the horizon is long."""
        if self.over:
            return []
        return repeat_on_grids(
            self.network,
            problem,
            ranked,
            most_modes=MODES,
            start=self.start,
            seconds=self.left,
            clock=self.clock,
            random=self.random,
            best=self.best,
            on_solution=lambda grid, x: self.retime(grid, x, problem),
            should_stop=lambda: self.over,
        )

    def repeat_more(self, repeated: Repeated, problem: Problem) -> bool:
        """Lay a pattern out along what ending sooner leaves; say whether that helps much."""
        if self.over or self.best is None or self.value is None:
            return False
        found = repeat_more(
            repeated,
            self.best,
            self.network,
            problem,
            start=self.start,
            seconds=self.window_seconds,
            should_stop=lambda: self.over,
        )
        before = self.value
        if found is not None:
            self.offer(found)
        return self.value - before > _MUCH * abs(before)

    def dive(self, problem: Problem, ranked: list[Width], met: dict[float, Met]) -> list[OnGrid]:
        """Round relaxations of whole horizons, where lateness is not what counts."""
        if self.over:
            return []
        return dive_on_grids(
            self.network,
            problem,
            ranked,
            met,
            most_modes=MODES,
            many_batches=self.many_batches,
            start=self.start,
            seconds=DIVE_SHARE * self.left,
            clock=self.clock,
            on_solution=lambda grid, x: self.retime(grid, x, problem),
            should_stop=lambda: self.over,
        )

    def go_around(self, problem: Problem, ranked: list[Width], dived: list[OnGrid]) -> None:
        """Improve on one grid after the other, again and again, as long as that helps.

        The best is carried over from grid to grid: on each, other things are a step away.
        """
        rounded = round_relaxation(
            self.network,
            problem,
            ranked,
            most_modes=MODES,
            start=self.start,
            seconds=_ROUND_SHARE * self.left,
            many_batches=self.many_batches,
            known=max(each.value for each in dived),
            around=lambda grid: self.carry_over(grid, do_nothing(grid)),
        )
        if rounded is not None:
            self.retime(rounded.grid, rounded.x, problem)
            self.tighten_bound()
            modes = choose_modes(self.network, rounded.grid.width, most=MODES)
            if rounded.grid.modes == tuple(modes):
                dived = [*dived, rounded]
        known: dict[float, OnGrid] = {}
        for each in sorted(dived, key=lambda each: each.value):  # the better one on each grid
            known[each.grid.width] = each
        small = [each.width for each in ranked if each.n_batches <= MOST_TO_DIVE]
        first = [] if self.best_width is None else [self.best_width]
        widths = dict.fromkeys([*first, *small[:1], dived[0].grid.width, *small[1:_GO_AROUND]])
        before: float | None = None
        while before is None or self.rank > before:
            before = self.rank
            for width in widths:
                if self.over:
                    return
                grid = known[width].grid if width in known else self.build(problem, width)
                x = known[width].x if width in known else do_nothing(grid)
                if width != self.best_width or width not in known:
                    x = max(self.carry_over(grid, x), x, key=grid.value)
                if not len(grid.run) or self.is_behind(grid, x):
                    continue
                x = self.improve(grid, x, problem, last=False)
                known[width] = OnGrid(grid=grid, x=x)
                self.tighten_bound()

    def meet_demand(self, problem: Problem, ranked: list[Width]) -> dict[float, Met]:
        """Make what must be made, and nothing else: on wide steps first, then on promising ones.

        Where even those have many batches to choose from, steps are as wide as there are.

        Returns the grids on which that was possible, the most promising first.
        """
        must = problem.objective != "tardiness" and any(
            order.missing_cost is None for order in problem.orders
        )
        if not (problem.targets or problem.deliveries or must):
            return {}
        met: dict[float, Met] = {}
        narrow = [each for each in ranked if not each.wide]
        large = min((each.n_batches for each in narrow), default=0) > MOST_TO_DIVE
        widths = [each.width for each in (ranked if large else narrow)]
        until = self.clock() + _MEET_SHARE * self.left
        for width in [*sorted(widths, reverse=True), *([] if large else widths[:1])]:
            if self.over or self.clock() > until or width in met:
                break
            if met and (large or width != widths[0]):
                continue
            grid, x = build_grid_that_meets_demand(
                self.network,
                problem,
                width=width,
                most_modes=MODES,
                seconds=_ONE_GRID * self.time_limit,
                start=self.start,
            )
            if x is not None:
                met[width] = (grid, x)
                self.retime(grid, x, problem)
            elif not met and grid.missed_amount(do_nothing(grid)) <= 0:
                break  # the first stock is enough
        return dict(sorted(met.items(), key=lambda each: widths.index(each[0])))

    def search_within(self, horizon: float, *, share: float) -> None:
        """Offer what is found for a shorter horizon in a share of the time."""
        whole = self.problem.horizon
        if whole is None or horizon >= whole or self.over:
            return
        interrupts: list[bool] = []
        limit = share * self.left
        slow = bool(self.ranked) and self.rank_seconds > _RANK_SHARE * limit
        schedule, _ = search_long_horizon(
            self.network,
            replace(self.problem, horizon=horizon),
            time_limit=limit,
            start=self.start,
            relative_gap=self.relative_gap,
            on_interrupt=lambda: interrupts.append(True),
            should_stop=self.should_stop,
            clock=self.clock,
            part_of=self.ranked if slow else self.part_of,
        )
        if schedule is not None:
            self.offer(replace(schedule, horizon=whole))
        if interrupts:
            raise KeyboardInterrupt

    def fill_the_end(self) -> None:
        """End the best sooner, and search what comes after an instant near its end anew.

        From nothing and from the best in turn: near the best there are other things.
        """
        horizon = self.problem.horizon
        if horizon is None or self.best is None or not self.best.batches:
            return
        longest = max(fit.duration(fit.max_batch) for fit in self.network.suitabilities)
        tries = [(times, warm) for times in _LONGEST_AT_END for warm in (False, True)]
        turn, sooner = 0, self.best
        while not self.over and self.left > _RETIMINGS * self.retime_seconds and turn < len(tries):
            if not turn:
                found = end_sooner(self.best, self.network, self.problem, start=self.start)
                sooner = found or self.best
            times, warm = tries[turn]
            turn += 1
            time = max(batch.finish for batch in sooner.batches) - times * longest
            if time <= 0:
                continue
            found = search_after(
                sooner,
                time,
                self.network,
                self.problem,
                self.search_from_best if warm else self.search_anew,
                start=self.start,
            )
            if found is None and not warm:  # nothing meets the demand in that time
                tries = [each for each in tries if each[1]]
                turn = 0
            if found is not None and self.offer(found):
                turn = 0
            self.tighten_bound()

    def search_anew(
        self, network: Network, problem: Problem, start: PlantState, known: Schedule | None
    ) -> Schedule | None:
        """Search a short horizon from a state in a share of the time, whatever is known."""
        del known
        return self.search_from_best(network, problem, start, None)

    def search_from_best(
        self, network: Network, problem: Problem, start: PlantState, known: Schedule | None
    ) -> Schedule | None:
        """Search a short horizon from a state in a share of the time."""
        interrupts: list[bool] = []
        limit = min(_ONE_END * self.time_limit, self.left - _RETIMINGS * self.retime_seconds)
        slow = self.rank_seconds > _RANK_SHARE * limit
        schedule, _ = search_long_horizon(
            network,
            problem,
            time_limit=limit,
            start=start,
            seed=int(self.random.integers(1 << 16)),
            warm=known,
            on_interrupt=lambda: interrupts.append(True),
            should_stop=self.should_stop,
            clock=self.clock,
            part_of=self.ranked if slow else (),
        )
        if interrupts:
            raise KeyboardInterrupt
        return schedule

    def without_hopeless_orders(self) -> Problem:
        """Leave out the orders that the best so far misses, or that the sums cannot fit in."""
        if self.best is not None:
            hopeless = {served.order.id for served in self.best.orders if not served.parts}
        elif self.problem.orders:
            hopeless = set(
                orders_beyond_capacity(
                    self.network,
                    self.problem,
                    n_periods=PERIODS[0],
                    start=self.start,
                    time_limit=BOUND_SHARE * self.time_limit,
                )
            )
        else:
            hopeless = set()
        left = tuple(order for order in self.problem.orders if order.id not in hopeless)
        if not (hopeless and left):
            return self.problem
        return replace(self.problem, orders=left)

    def shorten(self) -> None:
        """Look for the demand within shorter and shorter horizons.

        One that fails says nothing of the next: it only moves the look halfway back to what is
        known to be long enough.
        """
        least = max(self.bound or 0.0, 1e-6)
        most = self.problem.horizon or math.inf
        failed, length = least, min(_FIRST_LENGTH * least, most)
        widths: list[float] = []
        coarse = 0.0
        while not self.over:
            if self.value is not None:
                self.tighten_bound()
            problem = replace(self.problem, horizon=length)
            if not widths:
                ranked = self.widths(problem)
                if not ranked:
                    return
                narrow = [each.width for each in ranked if not each.wide]
                widths = (narrow or [each.width for each in ranked])[:_MAKESPAN_WIDTHS]
                wide = [each.width for each in ranked if each.width <= _COARSE * widths[0]]
                coarse = max(wide, default=0.0)
            before = self.value
            if before is None and coarse not in widths:  # the quickest way to any schedule
                self.search_grid(problem, coarse)
            if before is not None or self.value is None:
                self.search_grid(problem, widths[0])
            if self.value is None:
                if length >= most:
                    widths.pop(0)
                failed, length = length, min(_LONGER * length, most)
                continue
            if self.value == before:
                failed = max(failed, length)
            if self.value - failed <= max(self.relative_gap, _CLOSE) * self.value:
                # From the start again, on another grid: what failed may do there.
                failed = max(least, self.bound or 0.0)
                widths.pop(0)
            length = failed + _SHORTER * (self.value - failed)
