"""Linear sums over the horizon or its periods: what every schedule's amounts and numbers obey.

Nothing is said of when a batch starts but by which points of time it has started and by which it
has ended: amounts and numbers of batches, cumulated. Every schedule has such sums. Two points, 0
and the horizon, take milliseconds (unit hours, recipes, storage, demand); more points add what is
lost at the beginning and at the end of routes, dates, and how many batches a unit can be busy with
at once. One function per rule; what only restricts may be left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.plant.calendar import merge_periods
from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.scheduling.search.period_sizes import limit_sizes_by_time
from stnopt.scheduling.search.unstored import add_waits, find_waits
from stnopt.scheduling.search.worth import (
    Improve,
    batch_worth,
    missed_weight,
    order_worth,
    worth_without_batches,
)
from stnopt.solvers.linear_program import ProgramBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability
    from stnopt.plant.rules import Utility
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.opening import Opening
    from stnopt.solvers.linear_program import Program

#: Times closer than this, as a share of the horizon, are one.
_SAME_TIME = 1e-9
#: What is missing may be more by this than the least: room for rounding.
_MISSING_SLACK = 1e-9


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
    still_open : mapping of str to column
        Per order, the amount that is still to come at the start, where the sums begin later.
    missing : mapping of str to column
        Per order, the amount that is never delivered.
    target_rows : mapping of str to row
        Per target, the row that asks for it.
    """

    program: Program
    points: NDArray[np.float64]
    started: NDArray[np.int64]
    ended: NDArray[np.int64]
    n_started: NDArray[np.int64]
    n_ended: NDArray[np.int64]
    opening: dict[str, int]
    still_open: dict[str, int]
    missing: dict[str, int]
    target_rows: dict[str, int]


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
    given: Opening
    soonest: dict[str, float]
    origin: float
    missed: list[tuple[str, float, int]]  # state, time and column of what is not delivered
    missed_cost: float | None
    improve: Improve
    delivered: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # orders', per point
    still_open: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return len(self.points) - 1

    @property
    def same(self) -> float:
        return _SAME_TIME * self.length

    def first_point_from(self, time: float) -> int:
        """Return the first point that is not before a time."""
        return min(int(np.searchsorted(self.points, time - self.same)), self.last)

    def periods(self, unit: str, *kinds: str) -> list[tuple[float, float]]:
        """List a unit's periods of some kinds, and while it runs what ran at time 0."""
        rule = self.network.unit_rules.get(unit)
        periods = [p for kind in kinds for p in (getattr(rule, kind) if rule else ())]
        return [(begin - self.origin, end - self.origin) for begin, end in periods]

    def periods_away(self, unit: str) -> list[tuple[float, float]]:
        """List when no batch of the schedule can be on a unit."""
        ready = self.given.ready.get(unit, 0.0) - self.origin
        busy = [(-self.origin, ready)] if ready > 0 else []
        return list(merge_periods([*busy, *self.periods(unit, "unavailable")]))

    def hours(self, unit: str, begin: float, end: float) -> float:
        """Return how long a unit may work between two times.

        In a period in which nobody is there one batch can go on, begun before.
        """
        away = merge_periods([*self.periods_away(unit), *self.periods(unit, "paused")])
        lost = sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in away)
        if not self.periods(unit, "paused"):
            longest = max(f.duration(f.max_batch) for f in self.fits if f.unit == unit)
            for start, stop in self.periods(unit, "unattended"):
                inside = max(0.0, min(stop, end) - max(start, begin))
                overlapping = any(a < stop and start < b for a, b in away)
                lost += 0.0 if overlapping else max(0.0, inside - longest)
        return max(0.0, end - begin - lost)


def build_period_sums(
    network: Network,
    problem: Problem,
    *,
    n_periods: int,
    start: PlantState | None = None,
    improve: Improve = "objective",
    most_missing: float | None = None,
    whole_batches: bool = False,
    whole_orders: bool = False,
    until: float | None = None,
    after: float | None = None,
    first_period: float | None = None,
    missed_cost: float | None = None,
) -> PeriodSums:
    """Build the sums of a problem up to its horizon (docs/long_horizons.md).

    Parameters
    ----------
    network : Network
    problem : Problem
    n_periods : int
    start : PlantState, optional
        The plant at time 0.
    improve, most_missing
        As in `bound_by_capacity`.
    whole_batches : bool
        Whether numbers of batches are whole at the end.
    whole_orders : bool
        Whether orders that are not in parts are delivered whole or not at all, as they always are
        where the missing share is improved or limited.
    until : float, optional
        An end before the horizon. Deliveries after it must be met by what there is then.
    after : float, optional
        Only what comes after this time: deliveries before it are left out, what there is at that
        time is free, and every task may start at once.
    first_period : float, optional
        Length of the first period; each of the others is longer by the same factor. Left out, all
        are equally long.
    missed_cost : float, optional
        Cost of an amount by which the demand is missed; left out, it must be met.
    """
    if until is None:
        assert problem.horizon is not None
        until = problem.horizon
    given = open_with_amounts(network, problem, start, horizon=until)
    network = given.network
    soonest = given.soonest()
    open_stock = after is not None
    if after is not None:
        soonest = dict.fromkeys(network.tasks, 0.0)
        problem = _problem_after(problem, after, _SAME_TIME * until)
    length = until - (after or 0.0)
    points = _choose_points(problem, length, n_periods, first_period)
    fits = network.suitabilities
    rows = ProgramBuilder()
    shape = (len(fits), len(points))
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
        started=_columns(rows, shape),
        ended=_columns(rows, shape),
        n_started=_columns(rows, shape),
        n_ended=_columns(rows, shape, integer_end=whole_batches),
        opening={s.name: int(column) for s, column in zip(stocks, opening, strict=True)},
        given=given,
        improve=improve,
        soonest=soonest,
        origin=after or 0.0,
        missed=_missed_columns(rows, network, problem, missed_cost),
        missed_cost=missed_cost,
    )
    _add_value(sums)
    whole_orders |= improve == "missing share" or most_missing is not None
    _add_orders(sums, most_missing, whole=whole_orders)
    _add_order_of_sums(sums)
    _add_batch_sizes(sums)
    _add_durations(sums)
    _add_unit_hours(sums)
    _add_cleanings(sums)
    _add_balances(sums)
    _add_storage(sums)
    _add_utilities(sums)
    target_rows = _add_demand(sums)
    return PeriodSums(
        program=rows.build(),
        points=points,
        started=sums.started,
        ended=sums.ended,
        n_started=sums.n_started,
        n_ended=sums.n_ended,
        opening=sums.opening,
        still_open=sums.still_open,
        missing=sums.missing,
        target_rows=target_rows,
    )


def _problem_after(problem: Problem, time: float, same_time: float) -> Problem:
    """Leave what is asked for after a time, counted from it."""
    due = (replace(d, time=d.time - time) for d in problem.deliveries if d.time > time + same_time)
    return replace(problem, deliveries=tuple(due), horizon=None)


def _columns(
    rows: ProgramBuilder, shape: tuple[int, int], *, integer_end: bool = False
) -> NDArray[np.int64]:
    """Add a column for each pair of task and unit and each point; whole at the last, if asked."""
    numbers = np.empty(shape, dtype=np.int64)
    numbers[:, :-1] = rows.columns(shape[0] * (shape[1] - 1)).reshape(shape[0], -1)
    numbers[:, -1] = rows.columns(shape[0], integer=integer_end)
    return numbers


def _missed_columns(
    rows: ProgramBuilder, network: Network, problem: Problem, cost: float | None
) -> list[tuple[str, float, int]]:
    """Add what each delivery may miss, at a cost; nothing where the demand must be met."""
    if cost is None:
        return []
    return [
        (
            due.state,
            due.time,
            rows.column(upper=due.amount, cost=-cost * missed_weight(network, due.state)),
        )
        for due in problem.deliveries
    ]


def _choose_points(
    problem: Problem, length: float, n_periods: int, first_period: float | None
) -> NDArray[np.float64]:
    due = [d.time for d in problem.deliveries if 0 < d.time < length * (1 - _SAME_TIME)]
    even = np.linspace(0.0, length, n_periods + 1)
    if first_period is not None and 0 < first_period < length / n_periods:
        even = np.concatenate([[0.0], np.geomspace(first_period, length, n_periods)])
    times = np.unique(np.concatenate([even, due]))
    return times[np.concatenate([[True], np.diff(times) > _SAME_TIME * length])]


def _add_value(sums: _Sums) -> None:
    """Maximise profit or production, or minus the cost: all from the sums at the horizon."""
    cost = np.zeros(sums.rows.n_columns)
    kind = sums.problem.objective
    per_amount, per_batch = batch_worth(sums.network, kind)
    cost[sums.ended[:, -1]] = per_amount
    cost[sums.n_ended[:, -1]] = per_batch
    sums.rows.offset = worth_without_batches(sums.given, kind)
    sums.rows.add_cost(cost)


def _add_orders(sums: _Sums, most_missing: float | None, *, whole: bool) -> None:
    """Say what is delivered of each order by each point, how late it is, and what is missing.

    delivered grows; delivered[last] + missing = amount (whole orders: a multiple of it);
    late * amount >= sum over periods after its date of their length * what is not delivered by
    their end: an order in parts is as late as its last part, which the mean of all cannot exceed.
    """
    rows, points = sums.rows, sums.points
    horizon = sums.problem.horizon or sums.origin + sums.length
    share: list[tuple[int, float]] = []
    for order in sums.problem.orders:
        worth = order_worth(order, sums.problem, horizon=horizon, improve=sums.improve)
        soft = worth.must and sums.missed_cost is not None
        missing = rows.column(
            upper=0.0 if worth.must and not soft else order.amount,
            cost=-(sums.missed_cost or 0.0) * missed_weight(sums.network, order.state)
            if soft
            else -worth.missing,
        )
        upper = np.where(points >= order.earliest - sums.origin - sums.same, order.amount, 0.0)
        upper[-1] = order.amount
        done = rows.columns(len(points), upper=upper)
        grow = rows.rows(len(points) - 1, lower=0.0)
        rows.put(grow, done[1:], 1.0)
        rows.put(grow, done[:-1], -1.0)
        wanted = rows.column(lower=0.0 if sums.origin else order.amount, upper=order.amount)
        sums.still_open[order.id] = wanted
        rows.row([(int(done[-1]), 1.0), (missing, 1.0), (wanted, -1.0)], lower=0.0, upper=0.0)
        if whole and not order.partial:
            there = int(rows.columns(1, upper=1.0, integer=True)[0])
            rows.row([(int(done[-1]), 1.0), (there, -order.amount)], lower=0.0, upper=0.0)
        if worth.late:
            _add_lateness(sums, order, done, wanted, worth.late)
        sums.delivered[order.id], sums.missing[order.id] = done, missing
        share.append((missing, order.priority / order.amount))
    if most_missing is not None and share:
        rows.row(share, upper=most_missing + _MISSING_SLACK)


def _add_lateness(
    sums: _Sums, order: Order, done: NDArray[np.int64], wanted: int, cost: float
) -> None:
    """Charge lateness; where the sums begin later, less what the time before charges already.

    That has taken an order that it leaves open for one that is never delivered.
    """
    end = sums.origin + sums.length
    charged = max(0.0, end - order.due) / order.amount if sums.origin else 0.0
    late = sums.rows.column(cost=-cost)
    back = sums.rows.column(cost=cost * charged)
    sums.rows.row([(back, 1.0), (wanted, -1.0)], lower=0.0, upper=0.0)
    terms, open_for = [(late, 1.0)], max(0.0, sums.origin - order.due)
    due = order.due - sums.origin
    for begin, stop, column in zip(sums.points, sums.points[1:], done[1:], strict=False):
        length = float(stop - max(begin, due))
        if length > 0:
            length = min(length, float(stop - begin))
            terms.append((int(column), length / order.amount))
            open_for += length
    terms.append((wanted, -open_for / order.amount))
    sums.rows.row(terms, lower=0.0)


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
    started[k] = 0 before the task can start at all, ended[k] = 0 up to the shortest duration;
    where a duration grows with the size, between the two (`limit_sizes_by_time`).
    """
    rows, points = sums.rows, sums.points
    for number, fit in enumerate(sums.fits):
        shortest, longest = fit.duration(fit.min_batch), fit.duration(fit.max_batch)
        earliest = sums.soonest[fit.task]
        longest += sum(b - a for a, b in sums.periods(fit.unit, "paused"))
        firsts = np.searchsorted(points, points - shortest - sums.same)
        firsts = np.minimum(firsts, sums.last).tolist()
        longest_ago = (
            np.searchsorted(points, points - longest + sums.same, side="right") - 1
        ).tolist()
        amounts = (sums.started[number].tolist(), sums.ended[number].tolist())
        numbers = (sums.n_started[number].tolist(), sums.n_ended[number].tolist())
        for k, time in enumerate(points.tolist()):
            for begun, done in (amounts, numbers):
                if time < earliest - sums.same:
                    rows.row([(begun[k], 1.0)], upper=0.0)
                if time < earliest + shortest - sums.same:
                    rows.row([(done[k], 1.0)], upper=0.0)
                    continue
                rows.row([(begun[firsts[k]], 1.0), (done[k], -1.0)], lower=0.0)
                if longest_ago[k] >= 0:
                    rows.row([(done[k], 1.0), (begun[longest_ago[k]], -1.0)], lower=0.0)
        if not sums.periods(fit.unit, "paused"):
            columns = (sums.started, sums.ended, sums.n_started, sums.n_ended)
            each = tuple(of[number] for of in columns)
            limit_sizes_by_time(rows, fit, points, each, earliest=earliest, same=sums.same)


def _add_unit_hours(sums: _Sums) -> None:
    """Limit a unit's hours up to, from and between points; one batch runs at each point.

    Batches that start at or after point i and end by point j: at least ended[j] - started[i]. All
    that end by j have waited until they were out (`find_waits`), but for the last on each unit.
    """
    rows, points, last = sums.rows, sums.points.tolist(), sums.last
    ended, n_ended = sums.ended.tolist(), sums.n_ended.tolist()
    started, n_started = sums.started.tolist(), sums.n_started.tolist()
    spans = [(0, j) for j in range(1, last + 1)] + [(i, last) for i in range(1, last)]
    width = 4
    while width < last:
        spans += [(i, i + width) for i in range(1, last - width, max(1, width // 2))]
        width *= 2
    # Sums that guide a search (`missed_cost`) are solved many times: without these rows.
    waits = [] if sums.missed_cost is not None else find_waits(sums.network, sums.problem)
    for unit in sums.network.units:
        waiting = [wait for wait in waits if sums.fits[wait.number].unit == unit]
        last_wait = max((wait.longest for wait in waiting), default=0.0)
        on_unit = [
            (n, fit.fixed_time, fit.time_per_amount)
            for n, fit in enumerate(sums.fits)
            if fit.unit == unit
        ]
        head = min(sums.soonest[sums.fits[n].task] for n, *_ in on_unit)
        for i, j in spans:
            begin = max(points[i], min(head, points[j]))
            terms = []
            for n, fixed, slope in on_unit:
                terms += [(n_ended[n][j], fixed), (ended[n][j], slope)]
                if i:
                    terms += [(n_started[n][i], -fixed), (started[n][i], -slope)]
            hours = sums.hours(unit, begin, points[j])
            rows.row(terms, upper=hours)
            if i == 0 and waiting:
                columns = (sums.ended[:, j], sums.n_ended[:, j])
                add_waits(sums.rows, waiting, terms, *columns, hours=hours + last_wait)
        for k in range(last):
            terms = [(n_started[n][k], 1.0) for n, *_ in on_unit]
            terms += [(n_ended[n][k], -1.0) for n, *_ in on_unit]
            rows.row(terms, upper=_is_there(sums, unit, points[k]))


def _add_cleanings(sums: _Sums) -> None:
    """Let cleanings take their hours: at least (batches before + batches) / k - 1 of them."""
    for unit, rule in sums.network.unit_rules.items():
        clean = rule.clean_after
        if clean is None:
            continue
        on_unit = [n for n, fit in enumerate(sums.fits) if fit.unit == unit]
        each = clean.duration / clean.batches
        terms = []
        for n in on_unit:
            fit = sums.fits[n]
            terms.append((int(sums.n_ended[n, -1]), fit.fixed_time + each))
            terms.append((int(sums.ended[n, -1]), fit.time_per_amount))
        before = sums.given.start.since_cleaning.get(unit, 0) if sums.origin == 0 else 0
        # Cleaned in a pause, or while nobody is there.
        hours = sums.hours(unit, 0.0, sums.length)
        hours += sum(
            max(0.0, min(b, sums.length) - max(a, 0.0))
            for a, b in sums.periods(unit, "paused", "unattended")
        )
        sums.rows.row(terms, upper=hours + clean.duration - each * before)


def _is_there(sums: _Sums, unit: str, time: float) -> float:
    """Return 1 if a batch may run on the unit just after a time, else 0."""
    return 0.0 if _inside(sums, sums.periods_away(unit), time) else 1.0


def _may_hold(sums: _Sums, unit: str, time: float) -> float:
    """Return 1 if material may wait in the unit just after a time, else 0."""
    return 0.0 if _inside(sums, sums.periods(unit, "unavailable"), time) else 1.0


def _inside(sums: _Sums, periods: list[tuple[float, float]], time: float) -> bool:
    return any(start + sums.same < time < end - sums.same for start, end in periods)


def _taken(sums: _Sums, state: str, point: int) -> list[tuple[int, float]]:
    return [
        (int(sums.started[n, point]), q)
        for n, fit in enumerate(sums.fits)
        if (q := sums.network.tasks[fit.task].consumes.get(state))
    ]


def _came(sums: _Sums, state: str, point: int) -> float:
    """Sum what has come of a state by a point, after the origin."""
    everything = point == sums.last
    return sum(
        c.amount
        for c in sums.given.comings
        if c.state == state
        and c.time - sums.origin > (sums.same if sums.origin else -1.0)
        and (everything or c.time - sums.origin <= sums.points[point] + sums.same)
    )


def _ordered(sums: _Sums, state: str, point: int) -> list[tuple[int, float]]:
    """Say what orders have taken of a state by a point."""
    return [
        (int(sums.delivered[order.id][point]), -1.0)
        for order in sums.problem.orders
        if order.state == state
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
            terms += _not_delivered(sums, name, k) + _ordered(sums, name, k)
            sums.rows.row(terms, lower=_delivered(sums, name, k) - _came(sums, name, k))


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
                amount * (1.0 if k == sums.last else _may_hold(sums, unit, sums.points[k]))
                for unit, amount in most.items()
            )
            terms += _not_delivered(sums, name, k) + _ordered(sums, name, k)
            more = _delivered(sums, name, k) - _came(sums, name, k)
            sums.rows.row(terms, upper=room + more)


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
            if any(sums.periods(sums.fits[n].unit, "paused") for n in drawing):
                terms = []  # some of what runs may draw nothing
            at = sums.origin + float(sums.points[k])
            before = utility.capacity_at(at - 2 * sums.same) if at > 0 else 0.0
            sums.rows.row(terms, upper=max(utility.capacity_at(at + 2 * sums.same), before))
            if k:
                used = []
                for n in drawing:
                    fit = sums.fits[n]
                    grows = slope[n] * fit.fixed_time + constant[n] * fit.time_per_amount
                    used.append((int(sums.n_ended[n, k]), constant[n] * fit.fixed_time))
                    used.append((int(sums.ended[n, k]), grows))
                total = _supply(utility, sums.origin, sums.origin + float(sums.points[k]))
                sums.rows.row(used, upper=total)


def _supply(utility: Utility, begin: float, end: float) -> float:
    """Return what there is of a utility between two times: capacity times time."""
    steps = utility.steps or ((0.0, utility.capacity),)
    ends = [time for time, _ in steps[1:]] + [math.inf]
    return sum(
        level * max(0.0, min(until, end) - max(time, begin))
        for (time, level), until in zip(steps, ends, strict=True)
    )


def _add_demand(sums: _Sums) -> dict[str, int]:
    """Require final stock, after all deliveries, >= target (== for `exactly`); return the rows."""
    rows = {}
    for name, amount in sums.problem.targets.items():
        terms = [(sums.opening[name], 1.0)]
        terms += [(column, -q) for column, q in _taken(sums, name, sums.last)]
        for n, fit in enumerate(sums.fits):
            share = sums.network.tasks[fit.task].produces.get(name)
            if share:
                terms.append((int(sums.ended[n, sums.last]), share))
        terms += _ordered(sums, name, sums.last)
        needed = amount + _delivered(sums, name, sums.last) - _came(sums, name, sums.last)
        exact = sums.problem.sense == "exactly"
        terms += _not_delivered(sums, name, sums.last)
        if sums.missed_cost is not None:
            cost = -sums.missed_cost * missed_weight(sums.network, name)
            terms.append((sums.rows.column(upper=amount, cost=cost), 1.0))
            if exact:
                terms.append((sums.rows.column(cost=cost), -1.0))
        rows[name] = sums.rows.row(terms, lower=needed, upper=needed if exact else math.inf)
    return rows
