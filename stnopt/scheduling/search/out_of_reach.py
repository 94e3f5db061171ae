"""A proof that no schedule at all meets a demand: a grid on which everything is easier.

On a grid of steps of width w, a batch that starts at s counts from point floor(s / w) on, and lasts
floor(duration / w) steps. Since floor(a) + floor(b) <= floor(a + b), what follows another batch on
its unit, or takes what that made, does so on the grid too: every schedule is a solution there.
Storage, utilities, attendance and cleanings are left out. Where the grid has no solution, there is
no schedule.

References
----------
Shah, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 229, doi:10.1016/0098-1354(93)80016-G,
eqs. 1 and 4, for the allocation and the balances, there with durations in whole steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.solvers.linear_program import ProgramBuilder, ProgramStatus, solve_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.opening import Opening

#: Rounding in a number of steps, and of amounts.
_ROUNDING, _LESS = 1e-7, 1e-6
#: Steps are durations divided by these, and the like of the time unit.
_PARTS = range(1, 9)
#: A grid has at most so many batches to choose from.
_MOST_BATCHES = 8_000
#: Wider steps may lose so much more of a duration.
_AS_GOOD = 1e-6


def is_out_of_reach(
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None = None,
    time_limit: float | None = None,
) -> bool:
    """Whether it is proven that no schedule meets what must be there.

    Parameters
    ----------
    network : Network
    problem : Problem
        Its targets, deliveries and the orders without a `missing_cost` are what must be there.
    start : PlantState, optional
        The plant at time 0.
    time_limit : float, optional
        Seconds.

    Returns
    -------
    bool
        False where it is not proven: a schedule may exist, or not.
    """
    if problem.horizon is None:
        return False
    demand = _demand(problem)
    opening = open_with_amounts(network, problem, start, horizon=problem.horizon)
    fits = _fits_towards(opening.network, [state for state, _, _ in demand])
    width = _choose_width(fits, problem.horizon)
    if not demand or width is None:
        return False
    easier = _EasierGrid(opening=opening, horizon=problem.horizon, width=width)
    for fit in fits:
        easier.add_batches(fit)
    easier.add_units()
    easier.add_stocks(demand)
    answer = solve_program(easier.rows.build(), time_limit=time_limit)
    return answer.status is ProgramStatus.INFEASIBLE


def _demand(problem: Problem) -> list[tuple[str, float, float]]:
    """List state, time and amount of what must be there."""
    assert problem.horizon is not None
    demand = [(state, problem.horizon, amount) for state, amount in problem.targets.items()]
    demand += [(due.state, due.time, due.amount) for due in problem.deliveries]
    if problem.objective != "tardiness":
        demand += [
            (order.state, problem.horizon, order.amount)
            for order in problem.orders
            if order.missing_cost is None
        ]
    return [each for each in demand if each[2] > 0]


def _fits_towards(network: Network, states: Iterable[str]) -> list[Suitability]:
    """List the pairs of task and unit that make some states, directly or through others."""
    tasks: set[str] = set()
    wanted = list(states)
    while wanted:
        state = wanted.pop()
        if network.states[state].unlimited:
            continue
        for task in network.producers(state):
            if task not in tasks:
                tasks.add(task)
                wanted += network.tasks[task].consumes
    return [fit for fit in network.suitabilities if fit.task in tasks]


def _choose_width(fits: list[Suitability], horizon: float) -> float | None:
    """Return the widest step that loses least of the durations; None where all are too small."""
    durations = {fit.duration(size) for fit in fits for size in (fit.min_batch, fit.max_batch)}
    shortest = min(durations, default=0.0)
    if shortest <= 0:
        return None
    candidates = {d / n for d in durations for n in _PARTS} | {1.0 / n for n in _PARTS}
    best: tuple[float, float] | None = None
    for width in sorted((w for w in candidates if w <= shortest), reverse=True):
        n_batches = sum(
            (horizon / width) * (1 + _steps(fit.max_batch * fit.time_per_amount, width))
            for fit in fits
        )
        if n_batches > _MOST_BATCHES:
            break
        lost = float(np.mean([1 - _steps(d, width) * width / d for d in durations]))
        if best is None or lost < best[0] - _AS_GOOD:
            best = (lost, width)
    return None if best is None else best[1]


def _steps(time: float, width: float) -> int:
    """Return how many whole steps a time holds."""
    return math.floor(time / width + _ROUNDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batches:
    """Batches of one pair of task and unit that last as many steps: where they may start."""

    fit: Suitability
    steps: int
    starts: NDArray[np.int64]
    run: NDArray[np.int64]
    size: NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class _EasierGrid:
    """The program under construction."""

    opening: Opening
    horizon: float
    width: float
    rows: ProgramBuilder = field(default_factory=ProgramBuilder)
    batches: list[_Batches] = field(default_factory=list)

    @property
    def n_points(self) -> int:
        """Number of points: all that begins within the horizon."""
        return _steps(self.horizon, self.width) + 1

    def add_batches(self, fit: Suitability) -> None:
        """min_batch * run <= size <= max_batch * run, by the steps that such sizes last."""
        soonest = max(self.opening.soonest()[fit.task], self.opening.ready.get(fit.unit, 0.0))
        shortest, longest = fit.duration(fit.min_batch), fit.duration(fit.max_batch)
        for steps in range(_steps(shortest, self.width), _steps(longest, self.width) + 1):
            least, most = fit.min_batch, fit.max_batch
            if fit.time_per_amount > 0:
                least = max(least, (steps * self.width - fit.fixed_time) / fit.time_per_amount)
                most = min(most, ((steps + 1) * self.width - fit.fixed_time) / fit.time_per_amount)
            starts = self._starts(fit, fit.duration(least), soonest)
            run = self.rows.columns(len(starts), upper=1.0, integer=True)
            size = self.rows.columns(len(starts), upper=most)
            for factor, sides in ((most, {"upper": 0.0}), (least, {"lower": 0.0})):
                limit = self.rows.rows(len(starts), **sides)
                self.rows.put(limit, size, 1.0)
                self.rows.put(limit, run, -factor)
            self.batches.append(_Batches(fit=fit, steps=steps, starts=starts, run=run, size=size))

    def _starts(self, fit: Suitability, duration: float, soonest: float) -> NDArray[np.int64]:
        """Return the points in whose step a batch may start, (k,) array."""
        rules = self.opening.network.unit_rules.get(fit.unit)
        away = sorted(rules.unavailable) if rules else []
        spare = _ROUNDING * self.width
        starts = []
        for point in range(self.n_points):
            time = max(point * self.width, soonest)
            for begin, end in away:
                if begin - duration + spare < time < end:
                    time = end
            last = (point + 1) * self.width - spare
            if time < last and time + duration <= self.horizon + spare:
                starts.append(point)
        return np.array(starts, dtype=int)

    def add_units(self) -> None:
        """At most one batch on a unit in each step, and changeovers between two."""
        network = self.opening.network
        for unit in network.units:
            here = [each for each in self.batches if each.fit.unit == unit]
            busy = self.rows.rows(self.n_points, upper=1.0)
            for each in here:
                for later in range(each.steps):
                    inside = each.starts + later < self.n_points
                    self.rows.put(busy[(each.starts + later)[inside]], each.run[inside], 1.0)
            self._add_changeovers(unit, here)

    def _add_changeovers(self, unit: str, here: list[_Batches]) -> None:
        """No start of one task at a point if another ended too shortly before.

        Only where no third task can shorten that.
        """
        rules = self.opening.network.unit_rules.get(unit)
        times = dict(rules.changeovers) if rules else {}
        shortest: dict[str, float] = {}
        for fit in self.opening.network.suitabilities:
            if fit.unit == unit:
                shortest[fit.task] = fit.duration(fit.min_batch)
        for (one, other), time in times.items():
            between = [
                times.get((one, third), 0.0) + lasts + times.get((third, other), 0.0)
                for third, lasts in shortest.items()
            ]
            first = [each for each in here if each.fit.task == one]
            following = [each for each in here if each.fit.task == other]
            steps = _steps(min([time, *between]), self.width)
            if not (steps and first and following):
                continue
            fitting = math.ceil(steps / min(each.steps for each in first))
            apart = self.rows.rows(self.n_points, upper=float(fitting))
            for each in following:
                self.rows.put(apart[each.starts], each.run, float(fitting))
            for each in first:
                for later in range(steps):
                    points = each.starts + each.steps + later
                    inside = points < self.n_points
                    self.rows.put(apart[points[inside]], each.run[inside], 1.0)

    def add_stocks(self, demand: list[tuple[str, float, float]]) -> None:
        """Stock after a point = before + made + came - taken - what must be there; none is owed."""
        network, rows = self.opening.network, self.rows
        wanted = {state for state, _, _ in demand}
        for each in self.batches:
            wanted.update(network.tasks[each.fit.task].consumes)
        for state in sorted(wanted):
            if network.states[state].unlimited:
                continue
            change = np.zeros(self.n_points)
            change[0] = network.states[state].initial
            for coming in self.opening.comings:
                if coming.state == state:
                    change[min(_steps(coming.time, self.width), self.n_points - 1)] += coming.amount
            for name, time, amount in demand:
                if name == state:
                    point = min(_steps(time, self.width), self.n_points - 1)
                    change[point] -= amount * (1 - _LESS)
            stock = rows.columns(self.n_points)
            balance = rows.rows(self.n_points, lower=change, upper=change)
            rows.put(balance, stock, 1.0)
            rows.put(balance[1:], stock[:-1], -1.0)
            for each in self.batches:
                task = network.tasks[each.fit.task]
                if state in task.produces:
                    early = each.fit.release_time.get(state)
                    steps = each.steps if early is None else _steps(early, self.width)
                    points = each.starts + min(each.steps, steps)
                    inside = points < self.n_points
                    made = each.size[inside]
                    rows.put(balance[points[inside]], made, -task.produces[state])
                if state in task.consumes:
                    rows.put(balance[each.starts], each.size, task.consumes[state])
