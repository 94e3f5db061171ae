"""Cutting a schedule in time: the plant at an instant, and what is asked of it from then on.

Cut and continued from the state at the cut, a schedule replays as the whole one does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.arguments import NUMBER, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import KINDS, clock_time, with_calendars
from stnopt.plant.network import Network
from stnopt.plant.orders import Order, ServedOrder
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.state import LastTask, PlantState, RunningBatch
from stnopt.plant.tolerance import SHARE, time_tolerance
from stnopt.scheduling.cleanings import count_since_cleaning
from stnopt.scheduling.movements import batches_by_unit, follow_lots, release_times
from stnopt.scheduling.replay import judge_movements
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.scheduling.movements import Replay


def state_at(schedule: Schedule, time: float, network: Network) -> PlantState:
    """Return the plant at an instant of a schedule, after all events at that instant.

    Parameters
    ----------
    schedule : Schedule
        Free of violations.
    time : float
        From 0 to the horizon, in the plant's time unit.
    network : Network

    Returns
    -------
    PlantState
        Its times count from that instant.

    Raises
    ------
    InvalidInputError
        A time outside the horizon; a schedule of another plant.

    Notes
    -----
    Material that waits in a unit is held as long as the replay leaves it there; where its storage
    is unlimited it is in stock. A unit that is being cleaned counts as clean.
    """
    check_arguments(schedule=(schedule, Schedule), time=(time, NUMBER), network=(network, Network))
    same = time_tolerance(schedule.horizon)
    if not -same <= time <= schedule.horizon + same:
        raise InvalidInputError(
            f"state_at: time must lie from 0 to the horizon ({schedule.horizon:g}), got {time:g}"
        )
    unknown = [
        f"state_at: {batch.task!r} does not run on {batch.unit!r} in {network.name!r}"
        for batch in schedule.batches
        if batch.task not in network.tasks or batch.unit not in network.tasks[batch.task].units
    ]
    if unknown:
        raise InvalidInputError(list(dict.fromkeys(unknown)))
    dated = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    replay, _ = judge_movements(schedule, dated)
    started = [batch for batch in schedule.batches if batch.start <= time + same]
    running = _running(schedule, started, time, dated)
    busy = {batch.unit for batch in running}
    stocks, held = _kept(schedule, replay, time, dated, busy)
    return PlantState(
        stocks=stocks,
        running=running,
        held=held,
        last=_last(schedule, started, time, busy),
        since_cleaning=count_since_cleaning(schedule, replay, time, dated),
        open_orders=_open_orders(schedule, time),
    )


def _all_started(schedule: Schedule, batches: Iterable[Batch]) -> list[Batch | RunningBatch]:
    """Return the batches that ran when the schedule began, and then those given."""
    return [*(schedule.start.running if schedule.start else ()), *batches]


def _running(
    schedule: Schedule, started: Iterable[Batch], time: float, network: Network
) -> tuple[RunningBatch, ...]:
    same = time_tolerance(schedule.horizon)
    running = []
    for batch in _all_started(schedule, started):
        coming = {
            state
            for state, when in release_times(batch, network, schedule.horizon).items()
            if when > time + same
        }
        unstable = {state for state in coming if network.states[state].zero_wait}
        finish = batch.finish
        if finish <= time + same:
            if not unstable:
                continue
            # It has ended, and what cannot wait leaves it when somebody is back.
            times = release_times(batch, network, schedule.horizon)
            finish = max(times[state] for state in unstable)
        gone = sorted(set(network.tasks[batch.task].produces) - coming)
        running.append(
            RunningBatch(
                task=batch.task,
                unit=batch.unit,
                started=min(0.0, batch.start - time),
                size=batch.size,
                remaining=finish - time,
                released=tuple(gone),
            )
        )
    return tuple(running)


def _kept(
    schedule: Schedule, replay: Replay, time: float, network: Network, busy: set[str]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return what is stored, and what is held in units, after an instant."""
    same = time_tolerance(schedule.horizon)
    n_instants = int((replay.times <= time + same).sum())
    stocks: dict[str, float] = {}
    held: dict[str, dict[str, float]] = {}
    for name, state in network.states.items():
        if state.unlimited or state.zero_wait:
            continue
        levels, waiting = follow_lots(replay.movements[name], n_instants)
        stored = float(levels[0][-1])
        for unit, amount in waiting.items():
            if not math.isfinite(state.capacity) or unit in busy:
                stored += amount
            elif amount > replay.amount_tolerance[name]:
                held.setdefault(unit, {})[name] = amount
        stocks[name] = min(max(0.0, stored), state.capacity)
    # What has ended and cannot be unloaded yet stays where it is.
    for batch in _all_started(schedule, schedule.batches):
        if batch.finish > time + same or batch.unit in busy:
            continue
        for name, when in release_times(batch, network, schedule.horizon).items():
            if when > time + same and not network.states[name].unlimited:
                row = held.setdefault(batch.unit, {})
                amount = network.tasks[batch.task].produces[name] * batch.size
                row[name] = row.get(name, 0.0) + amount
    return stocks, held


def _last(
    schedule: Schedule, started: list[Batch], time: float, busy: set[str]
) -> dict[str, LastTask]:
    """Return what each idle unit ran last."""
    last: dict[str, LastTask] = {}
    if schedule.start:
        last = {u: LastTask(t.task, t.finished - time) for u, t in schedule.start.last.items()}
        for running in schedule.start.running:
            last[running.unit] = LastTask(running.task, min(0.0, running.finish - time))
    for unit, in_order in batches_by_unit(started).items():
        last[unit] = LastTask(in_order[-1].task, min(0.0, in_order[-1].finish - time))
    return {unit: task for unit, task in last.items() if unit not in busy}


def _open_orders(schedule: Schedule, time: float) -> tuple[Order, ...]:
    """Return the orders that have not been met, with what is still to come of them."""
    same = time_tolerance(schedule.horizon)
    orders = []
    for served in schedule.orders:
        order = served.order
        left = order.amount - sum(amount for when, amount in served.parts if when <= time + same)
        if left > SHARE * order.amount:
            orders.append(
                replace(
                    order,
                    amount=left,
                    due=order.due - time,
                    earliest=max(0.0, order.earliest - time),
                )
            )
    return tuple(orders)


def from_time(network: Network, problem: Problem, time: float) -> tuple[Network, Problem]:
    """Return a plant and what is asked of it as they are from a time on.

    Calendars, arrivals, steps and dates move with it; what is past is left out. A period that has
    begun by then starts before 0, so that nothing starts in the middle of it. The plant's state
    then is for `Schedule.state_at` to say: it overrides `initial`, and says which orders are open.

    Parameters
    ----------
    network : Network
    problem : Problem
    time : float
        0 or later, before the horizon if there is one.

    Returns
    -------
    (Network, Problem)

    Raises
    ------
    InvalidInputError
        A time outside the horizon.
    """
    check_arguments(network=(network, Network), problem=(problem, Problem), time=(time, NUMBER))
    if time < 0 or (problem.horizon is not None and time >= problem.horizon):
        raise InvalidInputError(
            f"from_time: time must lie from 0 to before the horizon, got {time:g}"
        )
    scale = problem.horizon or max(1.0, time)
    same = time_tolerance(scale)
    states = {
        name: replace(
            state,
            arrivals=tuple((when - time, a) for when, a in state.arrivals if when > time + same),
        )
        for name, state in network.states.items()
    }
    units = {
        name: replace(
            unit,
            **{  # type: ignore[arg-type]
                kind: tuple(
                    (0.0 if abs(start - time) <= same else start - time, end - time)
                    for start, end in getattr(unit, kind)
                    if end > time + same
                )
                for kind in KINDS
            },
        )
        for name, unit in network.unit_rules.items()
    }
    utilities = {
        name: replace(
            utility,
            capacity=utility.capacity,
            steps=(
                (0.0, utility.capacity_at(time + same)),
                *((when - time, level) for when, level in utility.steps if when > time + same),
            )
            if utility.steps
            else (),
        )
        for name, utility in network.utilities.items()
    }
    later = replace(network, states=states, unit_rules=units, utilities=utilities)
    asked = replace(
        problem,
        horizon=None if problem.horizon is None else problem.horizon - time,
        deliveries=tuple(
            Delivery(d.state, d.time - time, d.amount)
            for d in problem.deliveries
            if d.time > time + same
        ),
        orders=tuple(
            replace(order, due=order.due - time, earliest=max(0.0, order.earliest - time))
            for order in problem.orders
        ),
        start=None if problem.start is None else clock_time(problem.start, time, network.time_unit),
    )
    return later, asked


def rest_of(schedule: Schedule, time: float, network: Network) -> Schedule:
    """Return what is left of a schedule after an instant, from the plant's state then.

    Parameters
    ----------
    schedule : Schedule
        Free of violations.
    time : float
        From 0 to before the horizon.
    network : Network
        The plant of the whole schedule; the rest is one of the plant `from_time` returns.

    Returns
    -------
    Schedule
        Its times count from that instant.
    """
    check_arguments(schedule=(schedule, Schedule), time=(time, NUMBER), network=(network, Network))
    same = time_tolerance(schedule.horizon)
    start = state_at(schedule, time, network)
    later = [batch for batch in schedule.batches if batch.start > time + same]
    batches = [
        replace(batch, start=batch.start - time, finish=batch.finish - time) for batch in later
    ]
    deliveries = [
        Delivery(d.state, d.time - time, d.amount)
        for d in schedule.deliveries
        if d.time > time + same
    ]
    still_open = {order.id: order for order in start.open_orders}
    orders = [
        ServedOrder(
            still_open[served.order.id],
            tuple((when - time, a) for when, a in served.parts if when > time + same),
            may_miss=served.may_miss,
        )
        for served in schedule.orders
        if served.order.id in still_open
    ]
    plant = from_time(network, _nothing_asked(schedule), time)[0]
    horizon = schedule.horizon - time
    stock = compute_final_stock(
        batches, plant, deliveries, horizon=horizon, start=start, orders=orders
    )
    date = schedule.date
    return Schedule(
        batches=tuple(batches),
        final_stock=stock,
        horizon=horizon,
        deliveries=tuple(deliveries),
        orders=tuple(orders),
        start=start,
        date=None if date is None else clock_time(date, time, network.time_unit),
    )


def _nothing_asked(schedule: Schedule) -> Problem:
    return Problem(horizon=schedule.horizon)
