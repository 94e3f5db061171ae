"""Batches that stay as they are: what a model has to know of them, and what moving one takes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant.calendar import with_calendars
from stnopt.plant.reachability import soonest_times
from stnopt.plant.tolerance import size_tolerance, time_tolerance
from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.violation import BEYOND_HELP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from stnopt.plant.network import Network
    from stnopt.plant.state import PlantState, RunningBatch
    from stnopt.scheduling.violation import Violation

#: Of what counts as the same time or amount, what a kept batch may be off by: for rounding.
_SLACK = 0.1


def read_kept(keep: Schedule | Iterable[Batch]) -> tuple[tuple[Batch, ...], Schedule | None]:
    """Return the batches that are to stay, and the schedule that they are all of, if one is given.

    Raises
    ------
    InvalidInputError
        Anything else.
    """
    if isinstance(keep, Schedule):
        return keep.batches, keep
    batches = (keep,) if isinstance(keep, Batch) else tuple(keep)
    for batch in batches:
        if not isinstance(batch, Batch):
            raise InvalidInputError(
                f"keep: expected batches of a schedule, or a Schedule, got {batch!r}"
            )
    return batches, None


def check_kept(
    batches: Sequence[Batch],
    network: Network,
    *,
    horizon: float,
    start: PlantState | None,
    date: datetime | None,
) -> None:
    """Refuse batches that cannot stay as they are, whatever else is done.

    Raises
    ------
    InvalidInputError
        With every rule that they break and that no further batch could mend; what is missing
        counts where no batch could make it by then.
    """
    alone = Schedule(
        batches=tuple(batches), final_stock={}, horizon=horizon, start=start, date=date
    )
    known = {fit.task: fit for fit in network.suitabilities}
    if any(batch.task not in known for batch in batches):
        alone = replace(alone, batches=tuple(b for b in batches if b.task in known))
    problems = [
        f"the plant has no task {batch.task!r}" for batch in batches if batch.task not in known
    ]
    dated = with_calendars(network, start=date, horizon=horizon)
    problems += [
        violation.message
        for violation in find_violations(alone, network)
        if violation.kind in BEYOND_HELP
        or (violation.kind == "changeover" and _leaves_no_room(violation.element, dated))
        or (
            violation.kind == "stock_below_zero"
            and _comes_too_soon(violation, dated, start, horizon)
        )
    ]
    if problems:
        raise InvalidInputError([f"keep: a batch cannot stay: {problem}" for problem in problems])


def _leaves_no_room(unit: str, network: Network) -> bool:
    """Whether no batch fits into the time of a changeover, to make two shorter ones of it."""
    longest = max(network.unit_rules[unit].changeovers.values(), default=0.0)
    fits = [fit for fit in network.suitabilities if fit.unit == unit]
    return min(fit.duration(fit.min_batch) for fit in fits) >= longest


def _comes_too_soon(
    violation: Violation, network: Network, start: PlantState | None, horizon: float
) -> bool:
    """Whether no batch can release what is missing by then."""
    there = set(start.stocks if start else ())
    if start is not None:
        there |= {state for row in start.held.values() for state in row}
        there |= {s for b in start.running for s in network.tasks[b.task].produces}
    there = {name for name in there if not network.states[name].unlimited}
    if any(network.states[name].zero_wait for name in there):
        return False
    states = dict(network.states)
    for name in there:
        states[name] = replace(states[name], arrivals=((0.0, 1.0), *states[name].arrivals))
    soonest = soonest_times(replace(network, states=states)).states
    return soonest[violation.element] > violation.time + time_tolerance(horizon)


def is_same_batch(
    one: Batch | RunningBatch, other: Batch | RunningBatch, network: Network, horizon: float
) -> bool:
    """Whether two batches are one: the task, and what kept means, unit, start and size."""
    return (
        (one.task, one.unit) == (other.task, other.unit)
        and abs(one.start - other.start) <= 2 * time_tolerance(horizon)
        and abs(one.size - other.size) <= 2 * size_tolerance(network, one.task)
    )


def missing_batches(batches: Iterable[Batch], schedule: Schedule, network: Network) -> list[Batch]:
    """List the batches that are none of a schedule's."""
    return [
        batch
        for batch in batches
        if not any(
            is_same_batch(batch, other, network, schedule.horizon) for other in schedule.batches
        )
    ]


def put_back(schedule: Schedule, batches: Sequence[Batch], network: Network) -> Schedule:
    """Put kept batches exactly where they were, if that breaks nothing."""
    horizon = schedule.horizon
    exact = replace(
        schedule,
        batches=tuple(
            next((o for o in batches if is_same_batch(b, o, network, horizon)), b)
            for b in schedule.batches
        ),
    )
    stock = compute_final_stock(
        exact.batches,
        network,
        exact.deliveries,
        horizon=horizon,
        start=exact.start,
        orders=exact.orders,
    )
    exact = replace(exact, final_stock=stock)
    return schedule if find_violations(exact, network) else exact


def keep_batches(model: pyo.ConcreteModel, batches: Sequence[Batch]) -> None:
    """Demand of a model that these batches run as they are.

    A relaxation is asked for as many batches, and as much of them, from the intervals they start
    in: that leaves out some of it, and excludes nothing.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model` or `build_relaxation`.
    batches : sequence of Batch
        In the model's time.

    Raises
    ------
    UnsupportedModelError
        A formulation that cannot keep batches; on a time grid, a batch between two points.
    """
    formulation = scheduling_handle(model).formulation
    if formulation == "time_grid":
        _keep_on_grid(model, batches)
    elif formulation in ("unit_events", "state_sequence"):
        watch_batches(model, batches)

        @model.announced.Constraint(range(len(batches)))
        def stays(b: Any, number: int) -> Any:
            return b.moved[number] == 0
    else:
        _keep_in_intervals(model, batches)


def _keep_on_grid(model: pyo.ConcreteModel, batches: Sequence[Batch]) -> None:
    handle = scheduling_handle(model)
    same, width = time_tolerance(handle.horizon), handle.horizon / len(model.EVENTS)
    for batch in batches:
        event = round(batch.start / width)
        key = (batch.task, batch.unit, event)
        if abs(event * width - batch.start) > same or key not in model.run:
            raise UnsupportedModelError(
                f"formulation 'time_grid' has points {width:g} apart (horizon / n_events), "
                f"and none for the kept batch {batch.task!r} on {batch.unit!r} at "
                f"{batch.start:g}; use formulation='unit_events'"
            )
        model.run[key].fix(1)
        model.size[key].fix(min(batch.size, model.size[key].ub))


def _keep_in_intervals(model: pyo.ConcreteModel, batches: Sequence[Batch]) -> None:
    handle = scheduling_handle(model)
    same, width = time_tolerance(handle.horizon), handle.horizon / len(model.INTERVALS)
    count = Counter((batch.task, batch.unit) for batch in batches)
    block = model.announced = pyo.Block()

    @block.Constraint(list(count))
    def as_many(_: Any, task: str, unit: str) -> Any:
        return model.n_batches[task, unit] >= count[task, unit]

    @block.Constraint(list(count))
    def as_much(_: Any, task: str, unit: str) -> Any:
        sizes = math.fsum(b.size for b in batches if (b.task, b.unit) == (task, unit))
        spare = count[task, unit] * size_tolerance(handle.network, task)
        return model.total_size[task, unit] >= sizes - spare

    @block.Constraint(range(len(batches)))
    def there(_: Any, number: int) -> Any:
        batch = batches[number]
        starting = [
            model.run[key]
            for key in model.BATCHES
            if key[:2] == (batch.task, batch.unit)
            and key[2] * width - same <= batch.start <= (key[2] + 1) * width + same
        ]
        return sum(starting) >= 1 if starting else pyo.Constraint.Skip


def watch_batches(model: pyo.ConcreteModel, batches: Sequence[Batch]) -> None:
    """Let a model say of each batch whether it is kept (``model.announced.moved[number]`` = 0).

    A batch is kept if one of the model's batches of its task and unit has its start and size:
    ``here`` says which, and whatever event point it stands at. Nothing is demanded yet.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`, with formulation "unit_events".
    batches : sequence of Batch
        In the model's time.

    Raises
    ------
    UnsupportedModelError
        Another formulation.
    """
    handle = scheduling_handle(model)
    if handle.formulation != "unit_events":
        raise UnsupportedModelError(
            f"formulation {handle.formulation!r} cannot keep batches; use 'unit_events'"
        )
    handle.dominance = None  # its rows know no announced batches
    network, horizon = handle.network, handle.horizon
    same = _SLACK * time_tolerance(horizon)
    block = model.announced = pyo.Block()
    numbers = range(len(batches))
    places = [
        (number, *key)
        for number in numbers
        for key in model.BATCHES
        if key[:2] == (batches[number].task, batches[number].unit)
    ]
    block.here = pyo.Var(places, domain=pyo.Binary)

    @block.Expression(numbers)
    def moved(_: Any, number: int) -> Any:
        return 1 - sum(block.here[place] for place in places if place[0] == number)

    @block.Constraint(numbers)
    def once(b: Any, number: int) -> Any:
        return b.moved[number] >= 0

    @block.Constraint(sorted({place[1:] for place in places}))
    def one_each(b: Any, *key: Any) -> Any:
        stand = [b.here[place] for place in places if place[1:] == key]
        return sum(stand) <= model.run[key]

    @block.Constraint(places, ["after", "before"])
    def start(b: Any, number: int, task: str, unit: str, event: int, span: int, side: str) -> Any:
        off = model.unit_time[unit, event] - batches[number].start
        loose = same + horizon * (1 - b.here[number, task, unit, event, span])
        return off <= loose if side == "after" else -off <= loose

    @block.Constraint(places, ["above", "below"])
    def amount(b: Any, number: int, task: str, unit: str, event: int, span: int, side: str) -> Any:
        here = b.here[number, task, unit, event, span]
        size = batches[number].size
        off = model.size[task, unit, event, span] - size
        loose = _SLACK * size_tolerance(network, task)
        largest = network.tasks[task].units[unit].max_batch
        if side == "above":
            return off <= loose + max(0.0, largest - size) * (1 - here)
        return -off <= loose + size * (1 - here)
