"""The plant at an instant: what runs, what is stored or held, what ran last, what is still owed.

A schedule that does not start from an empty plant starts from one of these. It knows no plant:
`state_problems` says whether it fits one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.arguments import TEXT, Kind, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.plant.checks import (
    ReadOnlyMapping,
    changed_fields,
    checked_number,
    did_you_mean,
    name_problems,
    store_tuple,
)
from stnopt.plant.orders import Order
from stnopt.plant.tolerance import SHARE, amount_tolerance, size_tolerance, time_tolerance

if TYPE_CHECKING:
    from stnopt.plant.network import Network

#: `stnopt.plant.network` loads this module.
NETWORK = Kind("a Network", lambda value: hasattr(value, "states") and hasattr(value, "tasks"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBatch:
    """A batch that runs at time 0. What it has consumed and paid is past.

    Parameters
    ----------
    task, unit : str
        Names from the plant.
    started : float
        When it started, 0 or before, in the plant's time unit.
    size : float
        Its amount.
    remaining : float
        How long it still runs, more than 0, whatever its recipe says.
    released : tuple of str or None
        States that have left it before time 0. None: those whose release time has passed since
        it started.

    Raises
    ------
    InvalidInputError
        With every problem of this batch.
    """

    task: str
    unit: str
    started: float
    size: float
    remaining: float
    released: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        owner = f"running batch of {self.task!r} on {self.unit!r}"
        problems = name_problems("a running batch's task", self.task)
        problems += name_problems("a running batch's unit", self.unit)
        started = checked_number(self.started, f"{owner}: started", problems)
        if started > 0:
            problems.append(f"{owner}: started must be at most 0, got {started:g}")
        size = checked_number(self.size, f"{owner}: size", problems, above=0.0)
        remaining = checked_number(self.remaining, f"{owner}: remaining", problems, above=0.0)
        for name, value in (("started", started), ("size", size), ("remaining", remaining)):
            object.__setattr__(self, name, value)
        if self.released is not None:
            store_tuple(self, "released", str, owner, problems)
        if problems:
            raise InvalidInputError(problems)

    @property
    def start(self) -> float:
        """When it started, 0 or before."""
        return self.started

    @property
    def finish(self) -> float:
        """When it ends, after 0."""
        return self.remaining

    def releases(self, network: Network) -> dict[str, float]:
        """Return when each state that is still to come leaves it, in the plant's time unit.

        An early output keeps its recipe's distance from the finish, pauses of the unit not counted,
        but does not come before 0.
        """
        check_arguments(network=(network, NETWORK))
        recipe = network.tasks[self.task]
        fit = recipe.units[self.unit]
        lasts = fit.duration(self.size)
        rules = network.unit_rules.get(self.unit)
        pauses = rules.paused if rules else ()
        coming = {}
        for state in recipe.produces:
            after = min(fit.release_time.get(state, lasts), lasts)
            if self.released is not None:
                gone = state in self.released
            else:
                gone = after < lasts and self.started + after <= SHARE * lasts
            if not gone:
                coming[state] = max(0.0, _before(self.remaining, lasts - after, pauses))
        return coming


def _before(time: float, work: float, pauses: tuple[tuple[float, float], ...]) -> float:
    """When so much work was still to be done before a time, pauses not counted."""
    if work <= 0:
        return time
    for begin, end in reversed(pauses):
        if begin >= time:
            continue
        done = max(0.0, time - end)
        if done > work + SHARE * time:  # what is done just before a pause is not done after it
            break
        work -= done
        time = begin
    return time - work


@dataclass(frozen=True, slots=True)
class LastTask:
    """What a unit that is idle at time 0 ran last.

    Parameters
    ----------
    task : str
        Name from the plant.
    finished : float
        When it ended, 0 or before, in the plant's time unit.

    Raises
    ------
    InvalidInputError
        With every problem.
    """

    task: str
    finished: float

    def __post_init__(self) -> None:
        problems = name_problems("a unit's last task", self.task)
        finished = checked_number(self.finished, f"last task {self.task!r}: finished", problems)
        if finished > 0:
            problems.append(
                f"last task {self.task!r}: finished must be at most 0, got {finished:g}"
            )
        object.__setattr__(self, "finished", finished)
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantState:
    """The plant at time 0, after all that happens at that instant.

    Parameters
    ----------
    stocks : mapping of str to float
        Amount in storage, by state; one that is left out has the plant's `initial`.
    running : tuple of RunningBatch
        One per unit at most.
    held : mapping of str to mapping of str to float
        By unit and state, what waits in a unit that is idle.
    last : mapping of str to LastTask
        By unit, what it ran last; where it runs now, that is the running batch.
    since_cleaning : mapping of str to int
        By unit, batches started since it was last cleaned, the running one included.
    open_orders : tuple of Order
        Orders that have not been met, with the amount that is still to come.

    Raises
    ------
    InvalidInputError
        With every problem of this state.
    """

    stocks: Mapping[str, float] = field(default_factory=dict)
    running: tuple[RunningBatch, ...] = ()
    held: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    last: Mapping[str, LastTask] = field(default_factory=dict)
    since_cleaning: Mapping[str, int] = field(default_factory=dict)
    open_orders: tuple[Order, ...] = ()

    def __post_init__(self) -> None:
        problems: list[str] = []
        stocks = _amounts(self.stocks, "stocks", problems)
        held = {
            unit: ReadOnlyMapping(
                {s: a for s, a in _amounts(row, f"held in {unit!r}", problems).items() if a > 0}
            )
            for unit, row in _entries(self.held, "held", problems).items()
        }
        last = _entries(self.last, "last", problems)
        for unit, task in last.items():
            if not isinstance(task, LastTask):
                problems.append(f"last of {unit!r}: expected a LastTask, got {task!r}")
        counts = {}
        for unit, count in _entries(self.since_cleaning, "since_cleaning", problems).items():
            what = f"since_cleaning of {unit!r}"
            number = checked_number(count, what, problems, least=0.0)
            if number == number and number != int(number):
                problems.append(f"{what} must be a whole number, got {number:g}")
            elif number == number:
                counts[unit] = int(number)
        running = store_tuple(self, "running", RunningBatch, "the state", problems)
        store_tuple(self, "open_orders", Order, "the state", problems)
        busy = [batch.unit for batch in running]
        problems += [
            f"unit {unit!r} runs {busy.count(unit)} batches at once"
            for unit in dict.fromkeys(busy)
            if busy.count(unit) > 1
        ]
        for key, row in (("holds material", held), ("has a last task", last)):
            problems += [
                f"unit {unit!r} {key} and runs a batch; give one of the two"
                for unit in row
                if unit in busy
            ]
        object.__setattr__(self, "stocks", ReadOnlyMapping(stocks))
        object.__setattr__(self, "held", ReadOnlyMapping({u: r for u, r in held.items() if r}))
        object.__setattr__(self, "last", ReadOnlyMapping(last))
        object.__setattr__(self, "since_cleaning", ReadOnlyMapping(counts))
        if problems:
            raise InvalidInputError(problems)

    def to_dict(self) -> dict[str, Any]:
        """Write the state as the mapping that the section `now:` of a file holds.

        Returns
        -------
        dict
            Of plain values; `read_state` turns it into an equal state. What is empty is left out.
        """
        running = []
        for batch in self.running:
            entry = changed_fields(batch, but=("released",))
            if batch.released is not None:
                entry["released"] = list(batch.released)
            running.append(entry)
        written = {
            "stocks": dict(self.stocks),
            "running": running,
            "held": {unit: dict(row) for unit, row in self.held.items()},
            "last": {unit: changed_fields(task, but=()) for unit, task in self.last.items()},
            "since_cleaning": {u: {"batches": n} for u, n in self.since_cleaning.items()},
            "open_orders": [order.to_dict() for order in self.open_orders],
        }
        return {key: value for key, value in written.items() if value}

    def stock(self, network: Network, state: str) -> float:
        """Return what is in storage of a state: as said here, else the plant's `initial`."""
        check_arguments(network=(network, NETWORK), state=(state, TEXT))
        if state not in network.states:
            hint = did_you_mean(state, network.states)
            raise InvalidInputError(f"state: {network.name!r} has no state {state!r}{hint}")
        return self.stocks.get(state, network.states[state].initial)


#: Sections of a plant whose keys are names that a state uses.
_NAMING = ("states", "tasks")


def check_state(state: PlantState, network: Network) -> None:
    """Refuse a state that does not fit a plant.

    Raises
    ------
    InvalidInputError
        With every problem, each naming its element.
    """
    problems = state_problems(state, network)
    if problems:
        raise InvalidInputError([f"now: {problem}" for problem in problems])


def state_problems(state: PlantState, network: Network) -> list[str]:
    """Find what does not fit between the state of a plant and the plant itself."""
    problems: list[str] = []
    for name, amount in state.stocks.items():
        if name not in network.states:
            problems.append(
                f"stocks names the unknown state {name!r}{did_you_mean(name, network.states)}"
            )
            continue
        what = network.states[name]
        if what.unlimited:
            problems.append(f"stock of {name!r}: its supply is unlimited; leave it out")
        elif what.zero_wait and amount > 0:
            problems.append(f"stock of {name!r}: it is zero_wait and never stored")
        elif amount > what.capacity + amount_tolerance(network, name):
            problems.append(
                f"stock of {name!r}, {amount:g}, exceeds its capacity, {what.capacity:g}"
            )
    for batch in state.running:
        problems += _running_problems(batch, network)
    for unit, row in state.held.items():
        for name, amount in row.items():
            problems += _held_problems(unit, name, amount, network)
    for unit, last in state.last.items():
        if unit not in network.units:
            problems.append(f"last: unknown unit {unit!r}{did_you_mean(unit, network.units)}")
        elif last.task not in network.tasks or unit not in network.tasks[last.task].units:
            problems.append(f"last of {unit!r}: the task {last.task!r} does not run on it")
    for unit, count in state.since_cleaning.items():
        rules = network.unit_rules.get(unit)
        if rules is None or rules.clean_after is None:
            problems.append(f"since_cleaning: the unit {unit!r} has no clean_after")
        elif count > rules.clean_after.batches:
            problems.append(
                f"since_cleaning of {unit!r}: {count} batches, more than clean_after allows "
                f"({rules.clean_after.batches})"
            )
    problems += [
        f"open order {order.id!r}: unknown state {order.state!r}"
        for order in state.open_orders
        if order.state not in network.states
    ]
    return problems


def unknown_names(state: PlantState, plant: object) -> list[str]:
    """Find names in a state that a plant's section does not know, where the rest of that is bad.

    Parameters
    ----------
    state : PlantState
    plant : object
        The section `plant:` as it was read; what is no mapping in it says nothing about names.
    """
    states, tasks = (plant.get(key) if isinstance(plant, Mapping) else None for key in _NAMING)
    problems = []
    if isinstance(states, Mapping):
        named = [("stocks", name) for name in state.stocks]
        named += [(f"held in {unit!r}", name) for unit, row in state.held.items() for name in row]
        named += [(f"open order {order.id!r}", order.state) for order in state.open_orders]
        problems += [
            f"{where}: unknown state {name!r}{did_you_mean(name, map(str, states))}"
            for where, name in named
            if name not in states
        ]
    if isinstance(tasks, Mapping):
        running = [(f"running batch on {batch.unit!r}", batch.task) for batch in state.running]
        last = [(f"last of {unit!r}", each.task) for unit, each in state.last.items()]
        problems += [
            f"{where}: unknown task {name!r}{did_you_mean(name, map(str, tasks))}"
            for where, name in (*running, *last)
            if name not in tasks
        ]
    return problems


def _running_problems(batch: RunningBatch, network: Network) -> list[str]:
    where = f"running batch of {batch.task!r} on {batch.unit!r}"
    if batch.task not in network.tasks:
        return [f"{where}: unknown task{did_you_mean(batch.task, network.tasks)}"]
    fit = network.tasks[batch.task].units.get(batch.unit)
    if fit is None:
        return [f"{where}: it runs only on {', '.join(network.tasks[batch.task].units)}"]
    problems = []
    spare = size_tolerance(network, batch.task)
    if not fit.min_batch - spare <= batch.size <= fit.max_batch + spare:
        problems.append(
            f"{where}: its size, {batch.size:g}, is outside [{fit.min_batch:g}, {fit.max_batch:g}]"
        )
    rules = network.unit_rules.get(batch.unit)
    problems += [
        f"{where}: it still runs for {batch.remaining:g}, but the unit is away from {start:g} on"
        for start, _ in (rules.unavailable if rules else ())
        if start < batch.remaining - time_tolerance(batch.remaining)
    ]
    problems += [
        f"{where}: released names {state!r}, which the task does not produce"
        for state in batch.released or ()
        if state not in network.tasks[batch.task].produces
    ]
    return problems


def _held_problems(unit: str, name: str, amount: float, network: Network) -> list[str]:
    if unit not in network.units:
        return [f"held: unknown unit {unit!r}{did_you_mean(unit, network.units)}"]
    if name not in network.states:
        return [f"held in {unit!r}: unknown state {name!r}{did_you_mean(name, network.states)}"]
    if network.states[name].zero_wait:
        return [f"held in {unit!r}: {name!r} is zero_wait and never waits"]
    most = network.most_made(name).get(unit, 0.0)
    if most == 0:
        return [f"held in {unit!r}: the unit makes no {name!r}"]
    if amount > most + amount_tolerance(network, name):
        return [f"held in {unit!r}: {amount:g} of {name!r}, more than one batch makes ({most:g})"]
    return []


def _entries(value: object, what: str, problems: list[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        problems.append(f"{what} must be a mapping, got {value!r}")
        return {}
    for name in value:
        problems.extend(name_problems(f"an entry of {what}", name))
    return {name: entry for name, entry in value.items() if isinstance(name, str)}


def _amounts(value: object, what: str, problems: list[str]) -> dict[str, float]:
    amounts = {}
    for name, entry in _entries(value, what, problems).items():
        amount = checked_number(entry, f"{what}: {name!r}", problems, least=0.0)
        amounts[name] = 0.0 if math.isnan(amount) else amount
    return amounts
