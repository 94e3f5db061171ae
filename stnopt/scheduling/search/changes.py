"""What happened to a schedule that was under way: late and lost batches, units down, new orders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stnopt.arguments import TEXT, a, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import merge_periods, with_calendars
from stnopt.plant.checks import checked_number, did_you_mean
from stnopt.plant.orders import Order, ServedOrder
from stnopt.plant.problem import Delivery
from stnopt.plant.rules import Unit
from stnopt.plant.state import LastTask, PlantState, RunningBatch
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.movements import pauses_of, release_times, time_of_work
from stnopt.scheduling.replay import judge_movements
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.search.kept import is_same_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem


@dataclass(frozen=True, slots=True)
class Late:
    """A batch that is running finishes later than announced.

    Parameters
    ----------
    batch : Batch or RunningBatch
        Of the old schedule, or of the state that it starts from.
    by : float
        How much later, more than 0, in the plant's time unit, pauses of its unit not counted. What
        it still releases early is as much later.
    """

    batch: Batch | RunningBatch
    by: float

    def __post_init__(self) -> None:
        check_arguments(batch=(self.batch, a(Batch, RunningBatch)))
        problems: list[str] = []
        owner = f"Late: batch {self.batch.task!r} on {self.batch.unit!r}: by"
        object.__setattr__(self, "by", checked_number(self.by, owner, problems, above=0.0))
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True)
class Down:
    """A unit cannot be used for a while; a batch that runs on it then is lost.

    It holds nothing meanwhile: what waits in it must have room elsewhere when it goes down.

    Parameters
    ----------
    unit : str
    start, end : float
        In the old schedule's time.
    """

    unit: str
    start: float
    end: float

    def __post_init__(self) -> None:
        check_arguments(unit=(self.unit, TEXT))
        problems: list[str] = []
        for name in ("start", "end"):
            number = checked_number(getattr(self, name), f"Down: {self.unit!r}: {name}", problems)
            object.__setattr__(self, name, number)
        if not problems and self.end <= self.start:
            problems.append(
                f"Down: {self.unit!r}: it must end after it starts, got {self.start:g} to "
                f"{self.end:g}"
            )
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True)
class Lost:
    """A batch that is running is spoilt: its unit is free at once, what it consumed is gone.

    Parameters
    ----------
    batch : Batch or RunningBatch
        Of the old schedule, or of the state that it starts from.
    """

    batch: Batch | RunningBatch

    def __post_init__(self) -> None:
        check_arguments(batch=(self.batch, a(Batch, RunningBatch)))


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that has come in.

    Parameters
    ----------
    order : Order
        Its times are the old schedule's.
    """

    order: Order

    def __post_init__(self) -> None:
        check_arguments(order=(self.order, Order))


Change = Late | Down | Lost | NewOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A schedule at an instant, after all that has happened to it.

    Attributes
    ----------
    past : Schedule
        What has started by then, with the whole horizon, in the old schedule's time.
    day : Network
        The plant that `past`, and a schedule that continues it, are judged by: a late batch's unit
        stands still for a while, a unit that is down is away.
    plant : Network
        The plant to plan with from then on, in the old schedule's time.
    state : PlantState
        The plant at that instant.
    late, lost : tuple
        Pairs of old and new, and those that are lost.
    """

    past: Schedule
    day: Network
    plant: Network
    state: PlantState
    late: tuple[tuple[Batch | RunningBatch, Batch | RunningBatch], ...]
    lost: tuple[Batch | RunningBatch, ...]


def apply_changes(
    schedule: Schedule, network: Network, problem: Problem, at: float, changes: Iterable[Change]
) -> UnderWay:
    """Return a schedule at an instant with what has happened to it.

    Raises
    ------
    InvalidInputError
        A change that does not fit the schedule or the plant; all of them at once.
    """
    same = time_tolerance(schedule.horizon)
    date = problem.start or schedule.date
    plant = with_calendars(network, start=date, horizon=schedule.horizon)
    started: list[Batch | RunningBatch] = list(schedule.start.running if schedule.start else ())
    running = [
        batch
        for batch in (*started, *schedule.batches)
        if batch.start <= at + same < batch.finish - same
    ]
    changes = tuple(changes)
    problems = _problems(changes, running, plant, schedule, at)
    if problems:
        raise InvalidInputError(problems)
    day, now = plant, {batch.unit: batch for batch in running}
    for change in changes:
        if isinstance(change, Late):
            batch = now[change.batch.unit]
            pauses = pauses_of(batch.unit, plant)
            horizon = schedule.horizon
            day = _paused(day, batch.unit, at, change.by, pauses, horizon=horizon)
            finish = time_of_work(batch.finish, change.by, pauses, horizon=horizon)
            now[batch.unit] = _finishing(batch, finish)
        elif isinstance(change, Down):
            period = (max(at, change.start), change.end)
            day, plant = (_with_period(p, change.unit, "unavailable", period) for p in (day, plant))
    lost = {change.batch.unit for change in changes if isinstance(change, Lost)}
    for change in changes:
        if isinstance(change, Down) and change.unit in now:
            begin = max(at, change.start)
            if now[change.unit].finish > begin + same:
                lost.add(change.unit)
    _refuse_into_maintenance(now, lost, plant, same)
    _refuse_beyond_horizon(now, lost, schedule.horizon, same)
    old = {batch.unit: batch for batch in running}
    day = _with_arrivals(day, [old[u] for u in lost], at, schedule.horizon)
    past = _past(schedule, day, now, lost, old, at, date)
    past = _with_orders(past, problem, [c.order for c in changes if isinstance(c, NewOrder)], at)
    past = replace(past, final_stock=final_stock_of(past, day))
    _refuse_without_room(past, day, changes, at)
    state = past.state_at(at, day)
    last = dict(state.last) | {unit: LastTask(old[unit].task, 0.0) for unit in lost}
    return UnderWay(
        past=past,
        day=day,
        plant=plant,
        state=replace(state, last=last),
        late=tuple((old[u], now[u]) for u in now if now[u] != old[u] and u not in lost),
        lost=tuple(old[u] for u in sorted(lost)),
    )


def final_stock_of(schedule: Schedule, network: Network) -> dict[str, float]:
    """Return what a schedule leaves in stock."""
    return compute_final_stock(
        schedule.batches,
        network,
        schedule.deliveries,
        horizon=schedule.horizon,
        start=schedule.start,
        orders=schedule.orders,
    )


def _problems(
    changes: tuple[Change, ...],
    running: list[Batch | RunningBatch],
    plant: Network,
    schedule: Schedule,
    at: float,
) -> list[str]:
    problems = []
    known = {served.order.id for served in schedule.orders}
    told: set[str] = set()
    for change in changes:
        if isinstance(change, Late | Lost):
            batch, what = change.batch, type(change).__name__
            where = f"{what}: batch {batch.task!r} on {batch.unit!r} from {batch.start:g}"
            if not any(is_same_batch(batch, other, plant, schedule.horizon) for other in running):
                runs = ", ".join(f"{b.task} on {b.unit} from {b.start:g}" for b in running)
                problems.append(f"{where} does not run at {at:g}; there run: {runs or 'none'}")
            elif batch.unit in told:
                problems.append(f"{where}: there is another change to it")
            told.add(batch.unit)
        elif isinstance(change, Down):
            if change.unit not in plant.units:
                hint = did_you_mean(change.unit, plant.units)
                problems.append(f"Down: unknown unit {change.unit!r}{hint}")
            elif change.end <= at:
                problems.append(f"Down: {change.unit!r} is back at {change.end:g}, before {at:g}")
        elif isinstance(change, NewOrder):
            if change.order.id in known:
                problems.append(f"NewOrder: there is an order {change.order.id!r} already")
            known.add(change.order.id)
            if change.order.due > schedule.horizon:
                problems.append(
                    f"NewOrder: {change.order.id!r} is due at {change.order.due:g}, after the "
                    f"horizon ({schedule.horizon:g})"
                )
        else:
            problems.append(f"changes: expected Late, Down, Lost or NewOrder, got {change!r}")
    return problems


def _finishing(batch: Batch | RunningBatch, finish: float) -> Batch | RunningBatch:
    if isinstance(batch, Batch):
        return replace(batch, finish=finish)
    return replace(batch, remaining=finish)


def _with_period(network: Network, name: str, kind: str, period: tuple[float, float]) -> Network:
    unit = network.unit_rules.get(name, Unit(name=name))
    changed: dict[str, Any] = {kind: merge_periods([*getattr(unit, kind), period])}
    return replace(network, unit_rules=dict(network.unit_rules) | {name: replace(unit, **changed)})


def _paused(
    network: Network,
    unit: str,
    at: float,
    by: float,
    pauses: Sequence[tuple[float, float]],
    *,
    horizon: float,
) -> Network:
    """Let a unit stand still from an instant on, for so long that its batch ends `by` later."""
    begin = next((end for start, end in pauses if start <= at < end), at)
    end = time_of_work(begin, by, pauses, horizon=horizon)
    return _with_period(network, unit, "paused", (begin, end))


def _refuse_into_maintenance(
    now: dict[str, Batch | RunningBatch], lost: set[str], plant: Network, same: float
) -> None:
    problems = [
        f"Late: batch {batch.task!r} on {unit!r} would end at {batch.finish:g}, but the unit is "
        f"away from {begin:g} on: say that the batch is Lost, or move that period"
        for unit, batch in now.items()
        if unit not in lost and unit in plant.unit_rules
        for begin, end in plant.unit_rules[unit].unavailable
        if begin < batch.finish - same and end > batch.start + same
    ]
    if problems:
        raise InvalidInputError(problems)


def _refuse_beyond_horizon(
    now: dict[str, Batch | RunningBatch], lost: set[str], horizon: float, same: float
) -> None:
    problems = [
        f"Late: batch {batch.task!r} on {unit!r} would end at {batch.finish:g}, after the horizon "
        f"({horizon:g}): say that it is Lost"
        for unit, batch in now.items()
        if unit not in lost and batch.finish > horizon + same
    ]
    if problems:
        raise InvalidInputError(problems)


def _refuse_without_room(
    past: Schedule, day: Network, changes: tuple[Change, ...], at: float
) -> None:
    down = [change.unit for change in changes if isinstance(change, Down)]
    if not down:
        return
    same = time_tolerance(past.horizon)
    problems = [
        f"Down: {', '.join(down)}: what waits there has no room elsewhere: {violation.message}"
        for violation in judge_movements(past, day)[1]
        if violation.kind == "over_capacity" and violation.time <= at + same
    ]
    if problems:
        raise InvalidInputError(problems)


def _with_arrivals(
    network: Network, lost: list[Batch | RunningBatch], at: float, horizon: float
) -> Network:
    """Have what lost batches had released before come from outside."""
    states = dict(network.states)
    for batch in lost:
        for name, when in release_times(batch, network, horizon).items():
            if 0 <= when <= at:
                amount = network.tasks[batch.task].produces[name] * batch.size
                arrivals = sorted([*states[name].arrivals, (when, amount)])
                states[name] = replace(states[name], arrivals=tuple(arrivals))
    return replace(network, states=states)


def _past(
    schedule: Schedule,
    day: Network,
    now: dict[str, Batch | RunningBatch],
    lost: set[str],
    old: dict[str, Batch | RunningBatch],
    at: float,
    date: Any,
) -> Schedule:
    """Return what has started, late batches with their new finish, lost ones only as a loss."""
    same = time_tolerance(schedule.horizon)
    gone = [old[unit] for unit in lost]
    renewed = {id(old[unit]): now[unit] for unit in now}
    start = schedule.start
    if start is not None:
        before = [renewed.get(id(batch), batch) for batch in start.running if batch not in gone]
        still = tuple(batch for batch in before if isinstance(batch, RunningBatch))
        start = replace(start, running=still)
    in_time = [batch for batch in schedule.batches if batch.start <= at + same]
    ran = [renewed.get(id(batch), batch) for batch in in_time if batch not in gone]
    batches = [batch for batch in ran if isinstance(batch, Batch)]
    losses = [
        Delivery(state, max(0.0, batch.start), share * batch.size)
        for batch in gone
        if isinstance(batch, Batch)
        for state, share in day.tasks[batch.task].consumes.items()
        if not day.states[state].unlimited
    ]
    return replace(
        schedule,
        batches=tuple(batches),
        deliveries=(*(d for d in schedule.deliveries if d.time <= at + same), *losses),
        start=start,
        date=date,
    )


def _with_orders(past: Schedule, problem: Problem, new: list[Order], at: float) -> Schedule:
    same = time_tolerance(past.horizon)
    served = [
        replace(s, parts=tuple(part for part in s.parts if part[0] <= at + same))
        for s in past.orders
    ]
    known = {s.order.id for s in served}
    may_miss = problem.objective == "tardiness" or None
    served += [
        ServedOrder(order, may_miss=may_miss)
        for order in (*problem.orders, *new)
        if order.id not in known
    ]
    return replace(past, orders=tuple(served))
