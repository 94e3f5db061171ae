"""The best times and sizes for a given order of batches: one linear program in continuous time.

Which batches run, their order on each unit and the order of all that enters and leaves each state
stay as they are; when a batch starts and how large it is are free. What an order is read from may
be a planner's schedule, or batches on a grid that take longer there than they will.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import check_arguments, optional
from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.plant.network import Network
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState
from stnopt.scheduling.checks import check_deliveries, check_targets
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value
from stnopt.scheduling.search.capacity_bound import MAXIMISED, value_terms
from stnopt.scheduling.search.question import Question, why_not_long_horizon
from stnopt.solvers.linear_program import ProgramBuilder, ProgramStatus, solve_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stnopt.plant.recipe import State, Suitability

#: Times this close, as a share of the horizon, are one instant (as in the replay).
_ONE_INSTANT = 1e-6
#: Solver's units: the horizon and the largest batch measure this much, so that its tolerances are
#: small beside the replay's whatever the plant's units.
_SCALE = 100.0
#: Least share of a full batch where changeovers follow from what ran before.
_LEAST_SHARE = 1e-5
#: Below this share of the plant's largest batch a batch is dropped.
_NO_BATCH = 1e-9
#: A new order is read from the improved times at most so often.
_ROUNDS = 4
#: Least relative gain of a round that another follows.
_LEAST_GAIN = 1e-6
#: Amount, in the solver's units, by which a demand may be missed and counts as met.
_MET = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedBatch:
    """A batch as far as its order goes: when it starts, releases and ends beside the others.

    Attributes
    ----------
    suitability : Suitability
    start, finish : float
    releases : mapping of str to float
        Per produced state, when it leaves the unit.
    """

    suitability: Suitability
    start: float
    finish: float
    releases: Mapping[str, float]


def improve_schedule(
    schedule: Schedule, network: Network, problem: Problem, *, start: PlantState | None = None
) -> Schedule:
    """Choose the best times and sizes for the order of a schedule's batches.

    Kept are which batches run, their order on each unit, and the order in which batches release,
    take and make room for each state. A batch that ends up empty is left out. The result has been
    replayed, and is never worse than a schedule that obeys the rules and meets the demand.

    Parameters
    ----------
    schedule : Schedule
        Of any origin. It may break rules that other times and sizes keep.
    network : Network
    problem : Problem
        Objective, targets, deliveries and horizon (by default the schedule's own).
    start : PlantState, optional
        The plant at time 0; left out, the schedule's own.

    Returns
    -------
    Schedule

    Raises
    ------
    InvalidInputError
        A target or delivery that the plant cannot be asked for.
    UnsupportedModelError
        An objective or a rule that this does not know, by name: orders, arrivals, calendars, what
        runs at time 0.
    InvalidScheduleError
        A batch that the plant does not know, or an order for which no times and sizes keep the
        rules and meet the demand; the message lists what the schedule breaks.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        problem=(problem, Problem),
        start=(start, optional(PlantState)),
    )
    horizon = schedule.horizon if problem.horizon is None else problem.horizon
    problem = replace(problem, horizon=horizon)
    question = Question(network=network, problem=problem, start=start or schedule.start)
    reason = why_not_long_horizon(question)
    if reason is not None:
        raise UnsupportedModelError(f"improve_schedule cannot express that {reason}")
    check_targets(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=horizon)
    strangers = [
        f"{b.task!r} on {b.unit!r}"
        for b in schedule.batches
        if b.task not in network.tasks or b.unit not in network.tasks[b.task].units
    ]
    if strangers:
        raise InvalidScheduleError(
            f"{network.name!r} does not run {', '.join(dict.fromkeys(strangers))}: "
            "leave these batches out, or give them to a unit that suits"
        )
    given = replace(schedule, horizon=horizon, deliveries=problem.deliveries)
    given = replace(
        given,
        final_stock=compute_final_stock(given.batches, network, problem.deliveries),
    )
    broken = [v.message for v in find_violations(given, network)]
    broken += _missed_targets(given, problem)
    improved = retime_repeatedly(placed_from_schedule(schedule.batches, network), network, problem)
    if broken and improved is None:
        raise InvalidScheduleError(
            "no times and sizes for this order of batches keep the plant's rules and meet the "
            "demand. As it stands:\n  - " + "\n  - ".join(broken)
        )
    if improved is None:
        return given
    if not broken and not is_better(improved, given, network, problem):
        return given
    return improved


def is_better(one: Schedule, other: Schedule, network: Network, problem: Problem) -> bool:
    """Whether a schedule is worth more than another."""
    sign = 1.0 if problem.objective in MAXIMISED else -1.0
    worth = [sign * schedule_value(each, network, problem.objective) for each in (one, other)]
    return worth[0] > worth[1]


def placed_from_schedule(batches: Iterable[Batch], network: Network) -> list[PlacedBatch]:
    """Read the order of a schedule's batches from their times."""
    placed = []
    for batch in batches:
        fit = network.tasks[batch.task].units[batch.unit]
        releases = {
            state: min(batch.finish, batch.start + fit.release_time[state])
            if state in fit.release_time
            else batch.finish
            for state in network.tasks[batch.task].produces
        }
        placed.append(
            PlacedBatch(suitability=fit, start=batch.start, finish=batch.finish, releases=releases)
        )
    return placed


def retime_repeatedly(
    placed: Sequence[PlacedBatch], network: Network, problem: Problem
) -> Schedule | None:
    """Improve times and sizes, and again from the order that results, while that helps."""
    best: Schedule | None = None
    for _ in range(_ROUNDS):
        found = retime(placed, network, problem)
        if found is None:
            break
        if best is not None:
            gain = abs(
                schedule_value(found, network, problem.objective)
                - schedule_value(best, network, problem.objective)
            )
            if not is_better(found, best, network, problem):
                break
            best = found
            if gain <= _LEAST_GAIN * abs(schedule_value(best, network, problem.objective)):
                break
        best = found
        placed = placed_from_schedule(found.batches, network)
    return best


def retime(placed: Sequence[PlacedBatch], network: Network, problem: Problem) -> Schedule | None:
    """Return the best schedule in this order; None if there is none, or the replay rejects it."""
    assert problem.horizon is not None
    order = _Order(network=network, problem=problem, placed=list(placed))
    if not _add_batches(order):
        return None
    _add_unit_order(order)
    for state in network.states.values():
        if not state.unlimited:
            _add_state(order, state)
    _add_utilities(order)
    answer = solve_program(order.rows.build())
    if answer.status is not ProgramStatus.OPTIMAL or answer.x is None:
        return None
    if any(answer.x[column] > _MET for column in order.missed):
        return None
    schedule = _read(order, answer.x)
    return None if find_violations(schedule, network) else schedule


@dataclass(slots=True, kw_only=True)
class _Order:
    """The linear program, and what its rows are made from; `missed` are amounts short of demand."""

    network: Network
    problem: Problem
    placed: list[PlacedBatch]
    rows: ProgramBuilder = field(default_factory=ProgramBuilder)
    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    next_on_unit: dict[int, int] = field(default_factory=dict)
    missed: list[int] = field(default_factory=list)
    instants: dict[float, int] = field(default_factory=dict)

    @property
    def horizon(self) -> float:
        assert self.problem.horizon is not None
        return self.problem.horizon

    @property
    def time_unit(self) -> float:
        return self.horizon / _SCALE

    @property
    def amount_unit(self) -> float:
        return max(fit.max_batch for fit in self.network.suitabilities) / _SCALE

    def start_of(self, number: int) -> _Moment:
        return _Moment(terms=((self.starts[number], 1.0),))

    def finish_of(self, number: int) -> _Moment:
        fit = self.placed[number].suitability
        slope = fit.time_per_amount * self.amount_unit / self.time_unit
        terms = ((self.starts[number], 1.0), (self.sizes[number], slope))
        return _Moment(terms=terms, constant=fit.fixed_time / self.time_unit)

    def release_of(self, number: int, state: str) -> _Moment:
        early = self.placed[number].suitability.release_time.get(state)
        if early is None:
            return self.finish_of(number)
        return _Moment(terms=((self.starts[number], 1.0),), constant=early / self.time_unit)

    def fixed(self, time: float) -> _Moment:
        return _Moment(terms=(), constant=time / self.time_unit)

    def not_before(self, later: _Moment, earlier: _Moment, gap: float = 0.0) -> None:
        """Later >= earlier + gap (in the plant's time)."""
        terms = [*later.terms, *((column, -factor) for column, factor in earlier.terms)]
        constant = earlier.constant - later.constant + gap / self.time_unit
        if terms and later != earlier:
            self.rows.row(terms, lower=constant)

    def same_time(self, one: _Moment, other: _Moment) -> None:
        terms = [*one.terms, *((column, -factor) for column, factor in other.terms)]
        if terms and one != other:
            constant = other.constant - one.constant
            self.rows.row(terms, lower=constant, upper=constant)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """A point of time as a linear function of starts and sizes, in the solver's unit."""

    terms: tuple[tuple[int, float], ...]
    constant: float = 0.0


def _add_batches(order: _Order) -> bool:
    """Add starts, between the periods away, and sizes, with what they are worth.

    False if a batch stands across a period in which its unit is away.
    """
    network, problem, rows = order.network, order.problem, order.rows
    _, per_amount, _ = value_terms(network, problem.objective)
    worth = {(f.task, f.unit): v for f, v in zip(network.suitabilities, per_amount, strict=True)}
    scale = max(1e-12, float(np.max(np.abs(per_amount), initial=0.0)))
    latest = rows.column(upper=_SCALE, cost=-1.0) if problem.objective == "makespan" else None
    for number, batch in enumerate(order.placed):
        fit = batch.suitability
        window = _window(order, batch)
        if window is None:
            return False
        rule = network.unit_rules.get(fit.unit)
        least = _LEAST_SHARE * fit.max_batch if rule and rule.changeovers else 0.0
        order.starts.append(rows.column(lower=window[0] / order.time_unit, upper=_SCALE))
        order.sizes.append(
            rows.column(
                lower=max(fit.min_batch, least) / order.amount_unit,
                upper=fit.max_batch / order.amount_unit,
                cost=worth[fit.task, fit.unit] / scale,
            )
        )
        order.not_before(order.fixed(window[1]), order.finish_of(number))
        if latest is not None:
            order.not_before(_Moment(terms=((latest, 1.0),)), order.finish_of(number))
    _group_instants(order)
    return True


def _window(order: _Order, batch: PlacedBatch) -> tuple[float, float] | None:
    """Return the time between two periods away in which a batch stands; None if it overlaps one."""
    low, high = 0.0, order.horizon
    tolerance = _ONE_INSTANT * order.horizon
    rule = order.network.unit_rules.get(batch.suitability.unit)
    for start, end in rule.unavailable if rule else ():
        if end <= batch.start + tolerance:
            low = max(low, end)
        elif start >= batch.finish - tolerance:
            high = min(high, start)
        else:
            return None
    return low, high


def _group_instants(order: _Order) -> None:
    """Give each time of the order an instant; near-equal ones share it."""
    times = [0.0, order.horizon, *(d.time for d in order.problem.deliveries)]
    for batch in order.placed:
        times += [batch.start, batch.finish, *batch.releases.values()]
    for batch in order.placed:
        times += [start for start, _ in _periods(order, batch.suitability.unit)]
        times += [
            batch.start - gap
            for rule in [order.network.unit_rules.get(batch.suitability.unit)]
            if rule
            for gap in rule.changeovers.values()
        ]
    tolerance = _ONE_INSTANT * order.horizon
    first, instant = -math.inf, -1
    for time in sorted(set(times)):
        if time - first > tolerance:
            first, instant = time, instant + 1
        order.instants[time] = instant


def _periods(order: _Order, unit: str) -> tuple[tuple[float, float], ...]:
    rule = order.network.unit_rules.get(unit)
    return rule.unavailable if rule else ()


def _changeover(order: _Order, first: int, following: int) -> float:
    one, other = order.placed[first].suitability, order.placed[following].suitability
    rule = order.network.unit_rules.get(one.unit)
    return rule.changeovers.get((one.task, other.task), 0.0) if rule else 0.0


def _add_unit_order(order: _Order) -> None:
    """Start of the next >= finish + changeover, on each unit."""
    by_unit: dict[str, list[int]] = defaultdict(list)
    for number, batch in enumerate(order.placed):
        by_unit[batch.suitability.unit].append(number)
    for numbers in by_unit.values():
        numbers.sort(key=lambda n: (order.placed[n].start, order.placed[n].finish))
        for one, following in pairwise(numbers):
            order.next_on_unit[one] = following
            gap = _changeover(order, one, following)
            order.not_before(order.start_of(following), order.finish_of(one), gap)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Something that happens to a state: "release", "unload" (a unit must be empty), "take", "due".

    `amount` belongs to a release, taking or delivery: factor and column of a size, or a constant.
    """

    instant: int
    kind: str
    moment: _Moment
    batch: int = -1
    share: float = 0.0
    amount: float = 0.0

    @property
    def turn(self) -> tuple[int, int]:
        """At one instant: releases, then takings, then what must be out of a unit."""
        return self.instant, {"release": 0, "take": 1, "due": 1, "unload": 2}[self.kind]


def _marks(order: _Order, state: State) -> list[_Mark]:
    """List all that happens to a state, in order."""
    marks = []
    limited = math.isfinite(state.capacity) and not state.zero_wait
    for number, batch in enumerate(order.placed):
        task = order.network.tasks[batch.suitability.task]
        share = task.produces.get(state.name)
        if share:
            released = order.instants[batch.releases[state.name]]
            moment = order.release_of(number, state.name)
            if limited and state.name not in batch.suitability.release_time:
                # It may stay in its unit at first: what counts is when the others may have it.
                column = order.rows.column(upper=_SCALE)
                order.not_before(_Moment(terms=((column, 1.0),)), moment)
                moment = _Moment(terms=((column, 1.0),))
            marks.append(
                _Mark(instant=released, kind="release", moment=moment, batch=number, share=share)
            )
            if limited:
                unload = _unload(order, number, state.name)
                if unload is not None:
                    marks.append(unload)
        share = task.consumes.get(state.name)
        if share:
            marks.append(
                _Mark(
                    instant=order.instants[batch.start],
                    kind="take",
                    moment=order.start_of(number),
                    batch=number,
                    share=-share,
                )
            )
    marks += [
        _Mark(
            instant=order.instants[due.time],
            kind="due",
            moment=order.fixed(due.time),
            amount=-due.amount / order.amount_unit,
        )
        for due in order.problem.deliveries
        if due.state == state.name
    ]
    return sorted(marks, key=lambda mark: mark.turn)


def _unload(order: _Order, number: int, state: str) -> _Mark | None:
    """When a unit must be empty of what a batch left in it; None if it may stay to the end."""
    batch = order.placed[number]
    if state in batch.suitability.release_time:
        moment = order.release_of(number, state)
        return _Mark(
            instant=order.instants[batch.releases[state]],
            kind="unload",
            moment=moment,
            batch=number,
        )
    tolerance = _ONE_INSTANT * order.horizon
    limits: list[tuple[float, _Moment]] = [
        (start, order.fixed(start))
        for start, _ in _periods(order, batch.suitability.unit)
        if batch.finish - tolerance <= start < order.horizon - tolerance
    ]
    following = order.next_on_unit.get(number)
    if following is not None:
        gap = _changeover(order, number, following)
        start = order.start_of(following)
        moment = _Moment(terms=start.terms, constant=-gap / order.time_unit)
        limits.append((order.placed[following].start - gap, moment))
    if not limits:
        return None
    time, moment = min(limits, key=lambda limit: limit[0])
    # A changeover that begins before the batch ends on a grid of longer durations: at its end.
    instant = max(order.instants[time], order.instants[batch.finish])
    return _Mark(instant=instant, kind="unload", moment=moment, batch=number)


def _add_state(order: _Order, state: State) -> None:
    """Stock at or above zero, storage within its capacity, demand met."""
    marks = _marks(order, state)
    if state.zero_wait:
        _add_zero_wait(order, marks)
    elif math.isfinite(state.capacity):
        _add_limited_store(order, state, marks)
    elif any(mark.kind in ("take", "due") for mark in marks):
        _add_unlimited_store(order, state, marks)
    target = order.problem.targets.get(state.name)
    if target is None:
        return
    level = [(order.sizes[m.batch], m.share) for m in marks if m.share]
    have = state.initial / order.amount_unit + sum(m.amount for m in marks)
    short = _add_missed(order)
    level.append((short, 1.0))
    if order.problem.sense == "exactly":
        level.append((_add_missed(order), -1.0))
    needed = target / order.amount_unit - have
    exact = order.problem.sense == "exactly"
    order.rows.row(level, lower=needed, upper=needed if exact else math.inf)


def _add_missed(order: _Order) -> int:
    """Add an amount by which a demand is missed; far dearer than any batch."""
    column = order.rows.column(cost=-1e4)
    order.missed.append(column)
    return column


def _add_zero_wait(order: _Order, marks: list[_Mark]) -> None:
    """All that happens at one instant stays at one time; released = taken."""
    groups: dict[int, list[_Mark]] = defaultdict(list)
    for mark in marks:
        groups[mark.instant].append(mark)
    for group in groups.values():
        for mark in group[1:]:
            order.same_time(mark.moment, group[0].moment)
        level = [(order.sizes[m.batch], m.share) for m in group if m.share]
        rest = -sum(m.amount for m in group)
        order.rows.row(level, lower=rest, upper=rest)


def _add_unlimited_store(order: _Order, state: State, marks: list[_Mark]) -> None:
    """Keep takings in their order, each after the releases before it; stock after each >= 0."""
    level: list[tuple[int, float]] = []
    have = state.initial / order.amount_unit
    released: list[_Mark] = []
    before: _Mark | None = None
    for mark in marks:
        if mark.share:
            level.append((order.sizes[mark.batch], mark.share))
        have += mark.amount
        if mark.kind == "release":
            released.append(mark)
            continue
        for release in released:
            order.not_before(mark.moment, release.moment)
        released = []
        if before is not None:
            order.not_before(mark.moment, before.moment)
        before = mark
        terms = list(level)
        if mark.kind == "due":
            terms.append((_add_missed(order), 1.0))
            level.append(terms[-1])
        order.rows.row(terms, lower=-have)


def _add_limited_store(order: _Order, state: State, marks: list[_Mark]) -> None:
    """All in its order; what is not stored waits in units, which empty before they run again.

    Stored = on hand - waiting, 0 <= stored <= capacity whenever a unit has been emptied and at the
    end; what waits never grows and is never more than there is. On hand is a column per mark that
    changes it, so that rows stay short however many marks there are.
    """
    rows = order.rows
    capacity = state.capacity / order.amount_unit
    on_hand = rows.column(lower=0.0)
    rows.row([(on_hand, 1.0)], lower=(have := state.initial / order.amount_unit), upper=have)
    waiting: dict[int, int] = {}
    early = {
        mark.batch
        for mark in marks
        if mark.kind == "unload" and state.name in order.placed[mark.batch].suitability.release_time
    }

    def shrink() -> None:
        for number, column in waiting.items():
            waiting[number] = rows.column()
            rows.row([(waiting[number], 1.0), (column, -1.0)], upper=0.0)

    def limit_stored(*, upper: float) -> None:
        terms = [(on_hand, 1.0), *((column, -1.0) for column in waiting.values())]
        rows.row(terms, lower=0.0, upper=upper)

    for before, mark in zip([None, *marks], marks, strict=False):
        if before is not None:
            order.not_before(mark.moment, before.moment)
        if mark.kind != "unload":
            after = rows.column(lower=0.0)
            terms = [(after, 1.0), (on_hand, -1.0)]
            if mark.share:
                terms.append((order.sizes[mark.batch], -mark.share))
            if mark.kind == "due":
                terms.append((_add_missed(order), -1.0))
            rows.row(terms, lower=mark.amount, upper=mark.amount)
            on_hand = after
        if mark.kind == "release":
            if mark.batch not in early:
                column = rows.column()
                rows.row([(column, 1.0), (order.sizes[mark.batch], -mark.share)], upper=0.0)
                waiting[mark.batch] = column
        elif mark.kind in ("take", "due"):
            shrink()
            limit_stored(upper=math.inf)
        else:
            waiting.pop(mark.batch, None)
            shrink()
            limit_stored(upper=capacity)
    limit_stored(upper=capacity)


def _add_utilities(order: _Order) -> None:
    """At each start, draws of what may run then <= capacity, in the order of starts.

    What has ended by a start in the order has ended by it in time; all else that has started counts
    as running.
    """
    for name, utility in order.network.utilities.items():
        drawing = [n for n, batch in enumerate(order.placed) if name in batch.suitability.utilities]
        drawing.sort(key=lambda n: order.instants[order.placed[n].start])
        unended: list[int] = []
        for position, number in enumerate(drawing):
            instant = order.instants[order.placed[number].start]
            if position:
                order.not_before(order.start_of(number), order.start_of(drawing[position - 1]))
            ended = [n for n in unended if order.instants[order.placed[n].finish] <= instant]
            for n in ended:
                order.not_before(order.start_of(number), order.finish_of(n))
            unended = [n for n in unended if n not in ended] + [number]
            fits = [(n, order.placed[n].suitability) for n in unended]
            terms = [
                (order.sizes[n], fit.draws_per_amount.get(name, 0.0) * order.amount_unit)
                for n, fit in fits
            ]
            constant = sum(fit.draws.get(name, 0.0) for _, fit in fits)
            order.rows.row(terms, upper=utility.capacity - constant)


def _read(order: _Order, x: np.ndarray) -> Schedule:
    """Read times and sizes; what is empty is no batch."""
    network = order.network
    batches = []
    for number, placed in enumerate(order.placed):
        fit = placed.suitability
        size = float(x[order.sizes[number]]) * order.amount_unit
        size = min(max(size, fit.min_batch), fit.max_batch)
        if size <= _NO_BATCH * order.amount_unit * _SCALE:
            continue
        start = max(0.0, float(x[order.starts[number]]) * order.time_unit)
        batches.append(Batch(fit.task, fit.unit, start, start + fit.duration(size), size))
    batches.sort(key=lambda batch: (batch.start, batch.unit))
    return Schedule(
        batches=tuple(batches),
        final_stock=compute_final_stock(batches, network, order.problem.deliveries),
        horizon=order.horizon,
        deliveries=order.problem.deliveries,
    )


def _missed_targets(schedule: Schedule, problem: Problem) -> list[str]:
    """Say which targets a schedule misses."""
    missed = []
    for state, amount in problem.targets.items():
        have = schedule.final_stock.get(state, 0.0)
        tolerance = 1e-6 * max(1.0, abs(amount))
        if have < amount - tolerance:
            missed.append(f"{state}: {have:.6g} at the end, but {amount:.6g} are asked for")
        elif problem.sense == "exactly" and have > amount + tolerance:
            missed.append(f"{state}: {have:.6g} at the end, but exactly {amount:.6g} are asked for")
    return missed
