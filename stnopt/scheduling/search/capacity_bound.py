"""Bounds that hold for any schedule, from linear sums over the horizon or over its periods.

Nothing is said of when a batch starts but by which points of time it has started and by which it
has ended: amounts and numbers of batches, cumulated. Every schedule has such sums, so that no
schedule is better than the best sums. Two points, 0 and the horizon, take milliseconds (unit hours,
recipes, storage, demand); more points add what is lost at the beginning and at the end of routes,
deliveries in time, and how many batches a unit can be busy with at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.formulations.unit_specific.model import soonest_times
from stnopt.solvers.linear_program import ProgramBuilder, ProgramStatus, solve_program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability
    from stnopt.solvers.linear_program import Program

MAXIMISED = ("profit", "production")
#: Times closer than this, as a share of the horizon, are one.
_SAME_TIME = 1e-9
#: Bisections of a makespan; the first bracket is found by doubling, up to so many times.
_HALVINGS, _DOUBLINGS = 24, 60
#: Share of a bound that rounding in the solver may cost.
_ROUNDING = 1e-7


def bound_by_capacity(network: Network, problem: Problem) -> float | None:
    """Bound a problem's value for any schedule by sums over the whole horizon, in milliseconds.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon, unless the objective is "makespan".

    Returns
    -------
    float or None
        No schedule is better. ``-inf`` (profit, production) or ``inf`` (cost, makespan) where no
        schedule meets the demand at all; None where nothing limits the value.
    """
    return bound_by_periods(network, problem, n_periods=1)


def bound_by_periods(
    network: Network,
    problem: Problem,
    *,
    n_periods: int,
    time_limit: float | None = None,
    whole_batches: bool = False,
    tolerance: float = 1e-4,
    known: float = 0.0,
) -> float | None:
    """Bound a problem's value for any schedule by sums up to each of several points of time.

    Parameters
    ----------
    network : Network
    problem : Problem
    n_periods : int
        Equal periods between the points; deliveries' times are points as well.
    time_limit : float, optional
        Seconds for each linear program.
    whole_batches : bool
        Whether numbers of batches are whole at the horizon: tighter where batches cost.
    tolerance : float
        How far, as a share, a makespan's bound may stay below what these sums can prove.
    known : float
        A bound of the makespan that is known already.

    Returns
    -------
    float or None
        As `bound_by_capacity`; None also where the time was not enough.
    """
    if problem.objective == "makespan":
        return _bound_makespan(
            network,
            problem,
            n_periods,
            time_limit=time_limit,
            tolerance=tolerance,
            whole_batches=whole_batches,
            known=known,
        )
    sums = build_period_sums(network, problem, n_periods=n_periods, whole_batches=whole_batches)
    sign = 1.0 if problem.objective in MAXIMISED else -1.0
    many = len(sums.points) > 4 and not whole_batches
    answer = solve_program(
        sums.program,
        time_limit=time_limit,
        relative_gap=1e-6,
        method="ipm" if many else "choose",
    )
    if answer.status is ProgramStatus.INFEASIBLE:
        return -sign * math.inf
    if answer.bound is None:
        return None
    return sign * (answer.bound + _ROUNDING * abs(answer.bound))


def _bound_makespan(
    network: Network,
    problem: Problem,
    n_periods: int,
    *,
    time_limit: float | None,
    tolerance: float,
    whole_batches: bool,
    known: float,
) -> float | None:
    """Find a time by which no schedule can have met the demand, by halving a bracket.

    Whatever a schedule of makespan C does, its sums up to C are a solution for the horizon C; so a
    horizon that has none is too short, whatever longer or shorter ones have.
    """

    def is_too_short(length: float) -> bool:
        sums = build_period_sums(
            network, problem, n_periods=n_periods, until=length, whole_batches=whole_batches
        )
        answer = solve_program(
            replace(sums.program, cost=np.zeros_like(sums.program.cost)), time_limit=time_limit
        )
        return answer.status is ProgramStatus.INFEASIBLE

    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    longest = problem.horizon or shortest * 2.0**_DOUBLINGS
    low = max(shortest, known)
    if not is_too_short(low):
        return known
    high = low
    while is_too_short(high):
        if high >= longest:
            return math.inf
        low, high = high, min(2 * high, longest)
    for _ in range(_HALVINGS):
        if high - low <= tolerance * high:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_short(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSums:
    """The linear program of a problem in sums, and where its columns stand.

    Attributes
    ----------
    program : Program
        For cost it maximises minus the cost.
    points : (k,) array
        Times up to which is summed, from 0 to the horizon.
    started, ended : (n, k) arrays of columns
        Per pair of task and unit (`Network.suitabilities`), the amount of all batches that have
        started, and that have ended, up to and at each point.
    n_started, n_ended : (n, k) arrays of columns
        Their numbers.
    opening : mapping of str to column
        Per state of limited supply, what there is at the start: fixed, unless it was left open.
    """

    program: Program
    points: NDArray[np.float64]
    started: NDArray[np.int64]
    ended: NDArray[np.int64]
    n_started: NDArray[np.int64]
    n_ended: NDArray[np.int64]
    opening: dict[str, int]


@dataclass(slots=True, kw_only=True)
class _Sums:
    """What the functions below add rows to."""

    rows: ProgramBuilder
    network: Network
    problem: Problem
    fits: tuple[Suitability, ...]
    length: float
    points: NDArray[np.float64]
    started: NDArray[np.int64]
    ended: NDArray[np.int64]
    n_started: NDArray[np.int64]
    n_ended: NDArray[np.int64]
    opening: dict[str, int]
    soonest: dict[str, float]
    origin: float
    missed: list[tuple[str, float, int]]  # state, time and column of what is not delivered
    missed_cost: float | None

    @property
    def last(self) -> int:
        return len(self.points) - 1

    @property
    def same(self) -> float:
        return _SAME_TIME * self.length

    def first_point_from(self, time: float) -> int:
        """Return the first point that is not before a time."""
        return min(int(np.searchsorted(self.points, time - self.same)), self.last)

    def periods_away(self, unit: str) -> list[tuple[float, float]]:
        rule = self.network.unit_rules.get(unit)
        periods = rule.unavailable if rule else ()
        return [(start - self.origin, end - self.origin) for start, end in periods]

    def hours(self, unit: str, begin: float, end: float) -> float:
        """Return how long a unit is there between two times."""
        away = sum(
            max(0.0, min(stop, end) - max(start, begin)) for start, stop in self.periods_away(unit)
        )
        return max(0.0, end - begin - away)


def build_period_sums(
    network: Network,
    problem: Problem,
    *,
    n_periods: int,
    whole_batches: bool = False,
    until: float | None = None,
    after: float | None = None,
    missed_cost: float | None = None,
) -> PeriodSums:
    """Build the sums of a problem up to its horizon (docs/long_horizons.md).

    Parameters
    ----------
    network : Network
    problem : Problem
    n_periods : int
    whole_batches : bool
        Whether numbers of batches are whole at the end.
    until : float, optional
        An end before the horizon. Deliveries after it must be met by what there is then.
    after : float, optional
        Only what comes after this time: deliveries before it are left out, what there is at that
        time is free, and every task may start at once.
    missed_cost : float, optional
        Cost of an amount by which the demand is missed; left out, it must be met.
    """
    if until is None:
        assert problem.horizon is not None
        until = problem.horizon
    soonest, _ = soonest_times(network)
    open_stock = after is not None
    if after is not None:
        soonest = dict.fromkeys(network.tasks, 0.0)
        problem = _problem_after(problem, after, _SAME_TIME * until)
    length = until - (after or 0.0)
    points = _choose_points(problem, length, n_periods)
    fits = network.suitabilities
    rows = ProgramBuilder()
    shape = (len(fits), len(points))

    def columns(*, integer_end: bool = False) -> NDArray[np.int64]:
        numbers = np.empty(shape, dtype=np.int64)
        numbers[:, :-1] = rows.columns(shape[0] * (shape[1] - 1)).reshape(shape[0], -1)
        numbers[:, -1] = rows.columns(shape[0], integer=integer_end)
        return numbers

    stocks = [s for s in network.states.values() if not s.unlimited]
    initial = np.array([s.initial for s in stocks])
    opening = rows.columns(
        len(stocks),
        lower=0.0 if open_stock else initial,
        upper=math.inf if open_stock else initial,
    )
    sums = _Sums(
        rows=rows,
        network=network,
        problem=problem,
        fits=fits,
        length=length,
        points=points,
        started=columns(),
        ended=columns(),
        n_started=columns(),
        n_ended=columns(integer_end=whole_batches),
        opening={s.name: int(column) for s, column in zip(stocks, opening, strict=True)},
        soonest=soonest,
        origin=after or 0.0,
        missed=[]
        if missed_cost is None
        else [
            (due.state, due.time, rows.column(upper=due.amount, cost=-missed_cost))
            for due in problem.deliveries
        ],
        missed_cost=missed_cost,
    )
    _add_value(sums)
    _add_order_of_sums(sums)
    _add_batch_sizes(sums)
    _add_durations(sums)
    _add_unit_hours(sums)
    _add_balances(sums)
    _add_storage(sums)
    _add_utilities(sums)
    _add_demand(sums)
    return PeriodSums(
        program=rows.build(),
        points=points,
        started=sums.started,
        ended=sums.ended,
        n_started=sums.n_started,
        n_ended=sums.n_ended,
        opening=sums.opening,
    )


def _problem_after(problem: Problem, time: float, same_time: float) -> Problem:
    """Leave what is asked for after a time, counted from it."""
    due = (replace(d, time=d.time - time) for d in problem.deliveries if d.time > time + same_time)
    return replace(problem, deliveries=tuple(due), horizon=None)


def _choose_points(problem: Problem, length: float, n_periods: int) -> NDArray[np.float64]:
    due = [d.time for d in problem.deliveries if 0 < d.time < length * (1 - _SAME_TIME)]
    times = np.unique(np.concatenate([np.linspace(0.0, length, n_periods + 1), due]))
    return times[np.concatenate([[True], np.diff(times) > _SAME_TIME * length])]


def _add_value(sums: _Sums) -> None:
    """Maximise profit or production, or minus the cost: all from the sums at the horizon."""
    cost = np.zeros(sums.rows.n_columns)
    kind = sums.problem.objective
    offset, per_amount, per_batch = value_terms(sums.network, kind)
    cost[sums.ended[:, -1]] = per_amount
    cost[sums.n_ended[:, -1]] = per_batch
    sums.rows.offset = offset
    sums.rows.add_cost(cost)


def value_terms(
    network: Network, kind: str
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return what a schedule is worth as a linear function of its batches.

    Returns
    -------
    offset : float
        Worth of the initial stock.
    per_amount, per_batch : (n,) arrays
        Per pair of task and unit, what an amount and what a batch adds; for cost their negative,
        so that more is better throughout; zeros for makespan.
    """
    fits = network.suitabilities
    per_amount, per_batch = np.zeros(len(fits)), np.zeros(len(fits))
    if kind == "makespan":
        return 0.0, per_amount, per_batch
    worth = {
        s.name: (float(s.price > 0) if kind == "production" else s.price)
        for s in network.states.values()
        if not s.unlimited and kind != "cost"
    }
    for number, fit in enumerate(fits):
        task = network.tasks[fit.task]
        gain = sum(q * worth.get(s, 0.0) for s, q in task.produces.items())
        gain -= sum(q * worth.get(s, 0.0) for s, q in task.consumes.items())
        if kind != "production":
            gain -= fit.cost_per_amount
            gain -= sum(q * network.states[s].cost for s, q in task.consumes.items())
            per_batch[number] = -fit.fixed_cost
        per_amount[number] = gain
    offset = sum(w * network.states[s].initial for s, w in worth.items())
    return offset, per_amount, per_batch


def _add_order_of_sums(sums: _Sums) -> None:
    """Let sums grow, what has ended have started, and all be ended at the last point."""
    rows = sums.rows
    for amounts in (sums.started, sums.ended, sums.n_started, sums.n_ended):
        later, earlier = amounts[:, 1:].ravel(), amounts[:, :-1].ravel()
        grow = rows.rows(len(later), lower=0.0)
        rows.put(grow, later, 1.0)
        rows.put(grow, earlier, -1.0)
    for begun, done in ((sums.started, sums.ended), (sums.n_started, sums.n_ended)):
        both = rows.rows(len(sums.fits), lower=0.0, upper=0.0)
        rows.put(both, begun[:, -1], 1.0)
        rows.put(both, done[:, -1], -1.0)


def _add_batch_sizes(sums: _Sums) -> None:
    """min_batch * number <= amount <= max_batch * number, in each period and for what runs."""
    rows = sums.rows
    largest = np.array([fit.max_batch for fit in sums.fits])
    smallest = np.array([fit.min_batch for fit in sums.fits])
    differences: list[tuple[NDArray[np.int64], ...]] = []
    for amounts, numbers in ((sums.started, sums.n_started), (sums.ended, sums.n_ended)):
        differences.append((amounts[:, :1], numbers[:, :1]))
        differences.append((amounts[:, 1:], numbers[:, 1:], amounts[:, :-1], numbers[:, :-1]))
    differences.append((sums.started, sums.n_started, sums.ended, sums.n_ended))
    for amounts, numbers, *less in differences:
        count = amounts.shape[1]
        for size, low, high in ((largest, -math.inf, 0.0), (smallest, 0.0, math.inf)):
            if size is smallest and not smallest.any():
                continue
            limit = rows.rows(amounts.size, lower=low, upper=high)
            factor = np.repeat(size, count)
            rows.put(limit, amounts.ravel(), 1.0)
            rows.put(limit, numbers.ravel(), -factor)
            if less:
                rows.put(limit, less[0].ravel(), -1.0)
                rows.put(limit, less[1].ravel(), factor)


def _add_durations(sums: _Sums) -> None:
    """Say that what has ended by a point started the shortest duration before it, and so on.

    ended[k] <= started[j] for the first point j >= k - shortest duration;
    ended[k] >= started[j] for the last point j <= k - longest duration;
    started[k] = 0 before the task can start at all, ended[k] = 0 up to the shortest duration.
    """
    rows, points = sums.rows, sums.points
    for number, fit in enumerate(sums.fits):
        shortest, longest = fit.duration(fit.min_batch), fit.duration(fit.max_batch)
        earliest = sums.soonest[fit.task]
        for k, time in enumerate(points):
            for begun, done in ((sums.started, sums.ended), (sums.n_started, sums.n_ended)):
                if time < earliest - sums.same:
                    rows.row([(begun[number, k], 1.0)], upper=0.0)
                if time < earliest + shortest - sums.same:
                    rows.row([(done[number, k], 1.0)], upper=0.0)
                    continue
                first = sums.first_point_from(time - shortest)
                rows.row([(begun[number, first], 1.0), (done[number, k], -1.0)], lower=0.0)
                before = np.flatnonzero(points <= time - longest + sums.same)
                if len(before):
                    rows.row([(done[number, k], 1.0), (begun[number, before[-1]], -1.0)], lower=0.0)


def _add_unit_hours(sums: _Sums) -> None:
    """Limit a unit's hours up to, from and between points; one batch runs at each point.

    Batches that start at or after point i and end by point j: at least ended[j] - started[i].
    """
    rows, points, last = sums.rows, sums.points, sums.last
    fixed = np.array([fit.fixed_time for fit in sums.fits])
    slope = np.array([fit.time_per_amount for fit in sums.fits])
    spans = [(0, j) for j in range(1, last + 1)] + [(i, last) for i in range(1, last)]
    width = 4
    while width < last:
        spans += [(i, i + width) for i in range(1, last - width, max(1, width // 2))]
        width *= 2
    for unit in sums.network.units:
        on_unit = np.array([n for n, fit in enumerate(sums.fits) if fit.unit == unit])
        head = min(sums.soonest[sums.fits[n].task] for n in on_unit)
        for i, j in spans:
            begin = max(points[i], min(head, points[j]))
            row = rows.rows(1, upper=sums.hours(unit, begin, points[j]))
            rows.put(row, sums.n_ended[on_unit, j], fixed[on_unit])
            rows.put(row, sums.ended[on_unit, j], slope[on_unit])
            if i:
                rows.put(row, sums.n_started[on_unit, i], -fixed[on_unit])
                rows.put(row, sums.started[on_unit, i], -slope[on_unit])
        for k in range(last):
            row = rows.rows(1, upper=_is_there(sums, unit, points[k]))
            rows.put(row, sums.n_started[on_unit, k], 1.0)
            rows.put(row, sums.n_ended[on_unit, k], -1.0)


def _is_there(sums: _Sums, unit: str, time: float) -> float:
    """Return 1 if a batch may run on the unit just after a time, else 0."""
    inside = any(
        start + sums.same < time < end - sums.same for start, end in sums.periods_away(unit)
    )
    return 0.0 if inside else 1.0


def _taken(sums: _Sums, state: str, point: int) -> list[tuple[int, float]]:
    return [
        (int(sums.started[n, point]), q)
        for n, fit in enumerate(sums.fits)
        if (q := sums.network.tasks[fit.task].consumes.get(state))
    ]


def _not_delivered(sums: _Sums, state: str, point: int) -> list[tuple[int, float]]:
    everything = point == sums.last
    return [
        (column, 1.0)
        for name, time, column in sums.missed
        if name == state and (everything or time <= sums.points[point] + sums.same)
    ]


def _delivered(sums: _Sums, state: str, point: int) -> float:
    """Sum what is due up to a point; at the last one, all of it."""
    everything = point == sums.last
    return sum(
        d.amount
        for d in sums.problem.deliveries
        if d.state == state and (everything or d.time <= sums.points[point] + sums.same)
    )


def _add_balances(sums: _Sums) -> None:
    """Keep initial + released - taken - delivered >= 0 at each point.

    Released at most: what has ended, and for a part that leaves early what had started that long
    before.
    """
    for name, opening in sums.opening.items():
        for k, time in enumerate(sums.points):
            terms = [(opening, 1.0), *((column, -q) for column, q in _taken(sums, name, k))]
            for n, fit in enumerate(sums.fits):
                share = sums.network.tasks[fit.task].produces.get(name)
                if not share:
                    continue
                early = fit.release_time.get(name)
                column = sums.ended[n, k]
                if early is not None:
                    if time - early < -sums.same:
                        continue
                    column = sums.started[n, sums.first_point_from(time - early)]
                terms.append((int(column), share))
            terms += _not_delivered(sums, name, k)
            sums.rows.row(terms, lower=_delivered(sums, name, k))


def _add_storage(sums: _Sums) -> None:
    """Keep initial + ended - taken - delivered <= capacity + what can wait in idle units.

    What waits of a state in a unit is at most the largest amount that one batch makes there. A
    state with zero wait has neither store nor units.
    """
    for name, state in sums.network.states.items():
        if state.unlimited or not (state.zero_wait or math.isfinite(state.capacity)):
            continue
        most = {} if state.zero_wait else sums.network.most_made(name)
        capacity = 0.0 if state.zero_wait else state.capacity
        for k in range(sums.last + 1):
            terms = [(sums.opening[name], 1.0)]
            terms += [(column, -q) for column, q in _taken(sums, name, k)]
            for n, fit in enumerate(sums.fits):
                share = sums.network.tasks[fit.task].produces.get(name)
                if share:
                    terms.append((int(sums.ended[n, k]), share))
                if fit.unit in most:
                    terms.append((int(sums.n_started[n, k]), most[fit.unit]))
                    terms.append((int(sums.n_ended[n, k]), -most[fit.unit]))
            # At the end of a schedule units may keep what they have, whatever comes later.
            room = capacity + sum(
                amount * (1.0 if k == sums.last else _is_there(sums, unit, sums.points[k]))
                for unit, amount in most.items()
            )
            terms += _not_delivered(sums, name, k)
            sums.rows.row(terms, upper=room + _delivered(sums, name, k))


def _add_utilities(sums: _Sums) -> None:
    """Limit draws of what runs at each point; over time, draws times the shortest hours.

    (a + b B)(f + v B) >= a f + (b f + a v) B for a batch of amount B.
    """
    for name, utility in sums.network.utilities.items():
        drawing = [n for n, fit in enumerate(sums.fits) if name in fit.utilities]
        constant = {n: sums.fits[n].draws.get(name, 0.0) for n in drawing}
        slope = {n: sums.fits[n].draws_per_amount.get(name, 0.0) for n in drawing}
        if not drawing:
            continue
        for k in range(sums.last + 1):
            terms = []
            for n in drawing:
                terms += [
                    (int(sums.n_started[n, k]), constant[n]),
                    (int(sums.n_ended[n, k]), -constant[n]),
                    (int(sums.started[n, k]), slope[n]),
                    (int(sums.ended[n, k]), -slope[n]),
                ]
            sums.rows.row(terms, upper=utility.capacity)
            if k:
                used = []
                for n in drawing:
                    fit = sums.fits[n]
                    grows = slope[n] * fit.fixed_time + constant[n] * fit.time_per_amount
                    used.append((int(sums.n_ended[n, k]), constant[n] * fit.fixed_time))
                    used.append((int(sums.ended[n, k]), grows))
                sums.rows.row(used, upper=utility.capacity * float(sums.points[k]))


def _add_demand(sums: _Sums) -> None:
    """Require final stock, after all deliveries, >= target (== for `exactly`)."""
    for name, amount in sums.problem.targets.items():
        terms = [(sums.opening[name], 1.0)]
        terms += [(column, -q) for column, q in _taken(sums, name, sums.last)]
        for n, fit in enumerate(sums.fits):
            share = sums.network.tasks[fit.task].produces.get(name)
            if share:
                terms.append((int(sums.ended[n, sums.last]), share))
        needed = amount + _delivered(sums, name, sums.last)
        exact = sums.problem.sense == "exactly"
        terms += _not_delivered(sums, name, sums.last)
        if sums.missed_cost is not None:
            terms.append((sums.rows.column(upper=amount, cost=-sums.missed_cost), 1.0))
            if exact:
                terms.append((sums.rows.column(cost=-sums.missed_cost), -1.0))
        sums.rows.row(terms, lower=needed, upper=needed if exact else math.inf)
