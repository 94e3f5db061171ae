"""A schedule, its value, and the referee that replays it in continuous time.

Nothing here knows a model or a solver: `find_violations` reads the batches and the plant, moves
the material from instant to instant, and says what breaks. It judges every schedule that leaves
the library.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from stnopt.errors import InvalidInputError
from stnopt.plant.network import ReadOnlyMapping
from stnopt.plant.problem import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from stnopt.plant.network import Network, State, Suitability

ViolationKind = Literal[
    "unknown_task",
    "unsuitable_unit",
    "batch_size",
    "duration",
    "horizon",
    "overlap",
    "unit_unavailable",
    "changeover",
    "over_utility",
    "stock_below_zero",
    "over_capacity",
    "zero_wait",
    "missed_delivery",
    "final_stock",
]
ValueKind = Literal["profit", "production", "cost", "makespan"]

# Relative to the horizon and to the plant's largest max_batch (docs: rules the numbers obey).
_TIME_TOLERANCE = 1e-6
_AMOUNT_TOLERANCE = 1e-6
# A chain of near-equal times stays one instant up to this many tolerances from end to end.
_LONGEST_CHAIN = 3.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of a task on a unit. Written like a row: positional arguments are fine.

    Parameters
    ----------
    task, unit : str
        Names from the plant.
    start, finish : float
        Times in the plant's unit.
    size : float
        Amount processed, in the plant's unit.

    Raises
    ------
    InvalidInputError
        When a time or the size is not a finite number. Whether the numbers obey the plant is for
        `find_violations` to say.
    """

    task: str
    unit: str
    start: float
    finish: float
    size: float

    def __post_init__(self) -> None:
        for field in ("start", "finish", "size"):
            _require_finite(getattr(self, field), f"batch {self.task!r} on {self.unit!r}: {field}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which batches run when, what leaves the plant meanwhile, and what is in stock at the end.

    Parameters
    ----------
    batches : tuple of Batch
    final_stock : mapping of str to float
        Per state: what is in storage or waiting in a unit at the horizon's end, after all
        deliveries; for a state with unlimited supply, the gross amount consumed instead. A state
        left out counts as zero.
    horizon : float
        Length of the schedule, positive, in the plant's time unit.
    deliveries : tuple of Delivery
        What leaves the plant before or at the horizon's end.

    Raises
    ------
    InvalidInputError
        When the horizon is not positive and finite, an amount is not a finite number, or a
        delivery is none.
    """

    batches: tuple[Batch, ...]
    final_stock: Mapping[str, float]
    horizon: float
    deliveries: tuple[Delivery, ...] = ()

    def __post_init__(self) -> None:
        _require_finite(self.horizon, "schedule: horizon")
        if self.horizon <= 0:
            raise InvalidInputError(f"schedule: horizon must be positive, got {self.horizon}")
        for state, amount in self.final_stock.items():
            _require_finite(amount, f"schedule: final stock of {state!r}")
        for delivery in self.deliveries:
            if not isinstance(delivery, Delivery):
                raise InvalidInputError(f"schedule: expected a Delivery, got {delivery!r}")
        object.__setattr__(self, "batches", tuple(self.batches))
        object.__setattr__(self, "deliveries", tuple(self.deliveries))
        object.__setattr__(self, "final_stock", ReadOnlyMapping(self.final_stock))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per batch: task, unit, start, finish, size."""
        rows = [(b.task, b.unit, b.start, b.finish, b.size) for b in self.batches]
        return pd.DataFrame(rows, columns=["task", "unit", "start", "finish", "size"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule.

    Parameters
    ----------
    kind : str
        Which rule: "unknown_task", "unsuitable_unit", "batch_size", "duration", "horizon",
        "overlap", "unit_unavailable", "changeover", "over_utility", "stock_below_zero",
        "over_capacity", "zero_wait", "missed_delivery" or "final_stock".
    element : str
        The state, unit, utility or task that breaks it.
    time : float
        When, in the plant's time unit.
    amount : float
        By how much: a time for "duration", "horizon", "overlap", "unit_unavailable" and
        "changeover", in the utility's unit for "over_utility", else an amount; 0 where the rule
        has no measure.
    message : str
        The same as a sentence, in the plant's words and units.
    """

    kind: ViolationKind
    element: str
    time: float
    amount: float
    message: str


def find_violations(schedule: Schedule, network: Network) -> list[Violation]:
    """Replay a schedule in continuous time and list every rule of the plant that it breaks.

    Checked are: the task runs on a unit that suits it; its size lies within the unit's limits and
    is positive; it takes `fixed_time + size * time_per_amount`; it lies within [0, horizon]; a
    unit runs one batch at a time, none while it is unavailable, and lets the changeover's time
    pass between two; running batches together draw no more of a utility than its capacity at any
    instant; every stock stays between zero and its capacity at every instant; a `zero_wait` state
    is consumed or delivered whole at the instant it is released; every delivery is served; the
    stated final stock is what the batches and deliveries leave.

    Parameters
    ----------
    schedule : Schedule
    network : Network

    Returns
    -------
    list of Violation
        In order of time; empty for a valid schedule.

    Notes
    -----
    *Storage.* A finished batch may wait in its unit, each output state separately and also in
    part, until that unit starts its next batch, its cleaning for that batch (a changeover, right
    before the start) or a period of unavailability, or until the horizon ends. Waiting material
    takes no capacity and may be consumed or delivered from the unit. What a task releases before
    its batch ends leaves the unit at once. At one instant releases come before consumption and
    deliveries, and capacity holds for what is left after all of them. A period that starts when
    the horizon ends is no concern of the schedule.

    The replay leaves material in its unit as long as it may, and consumes from storage first,
    then from the unit that must be empty soonest. No policy does better. Each state can be judged
    alone, since batches and deliveries fix how much of it is released and taken when, whatever
    lies where.
    Moving material to storage before its deadline only raises the stored amount. And let a valid
    policy take, at some instant, from a lot with a later deadline while a lot with an earlier one
    has material left: exchange the two amounts wherever the second is used afterwards. The later
    lot is still there then (in its unit, or in storage once its deadline has passed), and between
    the two deadlines storage holds less, at other times the same. Repeating the exchange turns
    any valid policy into this one, so this one breaks a capacity only if every policy does.

    *Tolerances.* Times within 1e-6 of the horizon are one instant. A chain of such times is cut
    at its widest gap once it is longer than three times that. Amounts are compared within 1e-6 of
    the plant's largest `max_batch`, times the number of movements behind the figure: each batch
    size may carry that error. A utility's draws may exceed its capacity by what these errors in
    size draw, and by 1e-6 of the capacity.
    """
    violations = [
        *_check_batches(schedule, network),
        *_check_unit_overlaps(schedule, network),
        *_check_unavailability(schedule, network),
        *_check_changeovers(schedule, network),
        *_check_deliveries(schedule, network),
    ]
    replay = _gather_movements(schedule, network)
    violations += _check_utilities(schedule, replay, network)
    for name, state in network.states.items():
        if not state.unlimited:
            violations += _check_stock(state, replay.movements[name], replay, network)
    violations += _check_instantaneous_batches(replay, network)
    violations += _check_final_stock(schedule, replay, network)
    return sorted(violations, key=lambda violation: violation.time)


def replay_stock(schedule: Schedule, network: Network) -> pd.DataFrame:
    """Return what is stored and what waits in units, as levels that are constant between instants.

    Parameters
    ----------
    schedule : Schedule
    network : Network

    Returns
    -------
    DataFrame
        Columns state, time, stored, waiting (amounts in the plant's unit): the level from `time`
        until the state's next row. The first row of a state is at time 0, the last at the
        horizon's end. States with unlimited supply have no rows. Material waits in its unit only
        for states whose capacity it would otherwise exceed.
    """
    replay = _gather_movements(schedule, network)
    frames = []
    for name, state in network.states.items():
        if state.unlimited:
            continue
        movements = replay.movements[name]
        stored, waiting = _store(movements)
        if np.max(stored + waiting) <= state.capacity + replay.amount_tolerance:
            stored, waiting = stored + waiting, np.zeros_like(waiting)
        frames.append(
            pd.DataFrame(
                {"state": name, "time": replay.times, "stored": stored, "waiting": waiting}
            )
        )
    columns = ["state", "time", "stored", "waiting"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def schedule_value(schedule: Schedule, network: Network, kind: ValueKind) -> float:
    """Return what a schedule is worth, from its batches and the plant alone.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    kind : {"profit", "production", "cost", "makespan"}
        "profit": price * (final stock + deliveries), less "cost". "production": total final stock
        and deliveries of the states with a price. "cost": every state's cost * gross amount
        consumed, plus `fixed_cost` per batch and `cost_per_amount` * size. "makespan": when the
        last batch ends (0 without batches). States with unlimited supply have no final stock to
        sell.

    Raises
    ------
    InvalidInputError
        When `kind` is none of these, or a batch names a task or unit the plant does not have.
    """
    if kind not in get_args(ValueKind):
        expected = ", ".join(get_args(ValueKind))
        raise InvalidInputError(f"schedule_value: kind must be one of {expected}, got {kind!r}")
    if kind == "makespan":
        return max((batch.finish for batch in schedule.batches), default=0.0)
    # What is delivered is sold like what is left, so that no delivery is taken off here.
    stock = compute_final_stock(schedule.batches, network)
    sold = [state for state in network.states.values() if state.price and not state.unlimited]
    if kind == "production":
        return math.fsum(stock[state.name] for state in sold if state.price > 0)
    cost = _schedule_cost(schedule.batches, network)
    if kind == "cost":
        return cost
    return math.fsum(state.price * stock[state.name] for state in sold) - cost


def compute_final_stock(
    batches: Iterable[Batch], network: Network, deliveries: Iterable[Delivery] = ()
) -> dict[str, float]:
    """Return what is left of each state: initial + made - consumed - delivered, in amounts.

    For a state with unlimited supply it is the gross amount consumed instead.

    Raises
    ------
    InvalidInputError
        When a batch names a task, or a delivery a state, that the plant does not have.
    """
    made: dict[str, list[float]] = {name: [] for name in network.states}
    used: dict[str, list[float]] = {name: [] for name in network.states}
    for batch in batches:
        if batch.task not in network.tasks:
            raise InvalidInputError(
                f"plant {network.name!r} has no task {batch.task!r}; "
                f"it has {', '.join(network.tasks)}"
            )
        task = network.tasks[batch.task]
        for state, share in task.produces.items():
            made[state].append(share * batch.size)
        for state, share in task.consumes.items():
            used[state].append(share * batch.size)
    for delivery in deliveries:
        if delivery.state not in network.states:
            raise InvalidInputError(
                f"plant {network.name!r} has no state {delivery.state!r} to deliver; "
                f"it has {', '.join(network.states)}"
            )
        if not network.states[delivery.state].unlimited:
            used[delivery.state].append(delivery.amount)
    return {
        name: math.fsum(used[name])
        if state.unlimited
        else math.fsum([state.initial, *made[name], *(-amount for amount in used[name])])
        for name, state in network.states.items()
    }


def _schedule_cost(batches: Iterable[Batch], network: Network) -> float:
    """Raw material: state cost * gross consumption; tasks: fixed_cost + cost_per_amount * size."""
    terms = []
    for batch in batches:
        suitability = _find_suitability(batch, network)
        if suitability is None:
            raise InvalidInputError(
                f"plant {network.name!r} does not run {batch.task!r} on {batch.unit!r}, "
                "so the batch has no cost"
            )
        terms.append(suitability.fixed_cost + suitability.cost_per_amount * batch.size)
        terms += [
            network.states[state].cost * share * batch.size
            for state, share in network.tasks[batch.task].consumes.items()
        ]
    return math.fsum(terms)


def _check_batches(schedule: Schedule, network: Network) -> list[Violation]:
    """Check each batch alone: who runs it, how big, how long, when."""
    time_tolerance = _TIME_TOLERANCE * schedule.horizon
    amount_tolerance = _amount_tolerance(network)
    violations = []
    for batch in schedule.batches:
        where = f"{batch.task} on {batch.unit} at t = {_time(batch.start, network)}"

        def report(
            kind: ViolationKind,
            amount: float,
            message: str,
            element: str = batch.task,
            time: float = batch.start,
        ) -> None:
            violations.append(
                Violation(kind=kind, element=element, time=time, amount=amount, message=message)
            )

        if batch.start < -time_tolerance:
            report("horizon", -batch.start, f"{where} starts before 0")
        if batch.finish > schedule.horizon + time_tolerance:
            report(
                "horizon",
                batch.finish - schedule.horizon,
                f"{where} ends at t = {_time(batch.finish, network)}, "
                f"{_number(batch.finish - schedule.horizon)} after the horizon",
                time=batch.finish,
            )
        if batch.task not in network.tasks:
            report("unknown_task", 0.0, f"{where}: the plant has no task {batch.task}")
            continue
        suitability = _find_suitability(batch, network)
        if suitability is None:
            suited = ", ".join(network.tasks[batch.task].units)
            report("unsuitable_unit", 0.0, f"{where}: it runs only on {suited}", element=batch.unit)
            continue

        low, high = suitability.min_batch, suitability.max_batch
        outside = max(low - batch.size, batch.size - high)
        if batch.size <= 0:
            report(
                "batch_size",
                -batch.size,
                f"{where} has size {_amount(batch.size, network)}, not above 0",
            )
        elif outside > amount_tolerance:
            report(
                "batch_size",
                outside,
                f"{where} has size {_amount(batch.size, network)}, "
                f"outside [{_number(low)}, {_number(high)}]",
            )
        expected = suitability.duration(batch.size)
        actual = batch.finish - batch.start
        if abs(actual - expected) > time_tolerance:
            report(
                "duration",
                abs(actual - expected),
                f"{where} lasts {_time(actual, network)}, "
                f"but {_amount(batch.size, network)} take {_time(expected, network)}",
            )
    return violations


def _check_unit_overlaps(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that a unit runs one batch at a time."""
    tolerance = _TIME_TOLERANCE * schedule.horizon
    violations = []
    for unit, batches in _by_unit(schedule.batches).items():
        longest = batches[0]
        for batch in batches[1:]:
            shared = min(longest.finish, batch.finish) - batch.start
            if longest.finish - batch.start > tolerance:
                violations.append(
                    Violation(
                        kind="overlap",
                        element=unit,
                        time=batch.start,
                        amount=shared,
                        message=f"{unit} starts {batch.task} at t = {_time(batch.start, network)} "
                        f"while it runs {longest.task} until "
                        f"t = {_time(longest.finish, network)}",
                    )
                )
            if batch.finish > longest.finish:
                longest = batch
    return violations


def _check_unavailability(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that no batch runs while its unit is unavailable."""
    tolerance = _TIME_TOLERANCE * schedule.horizon
    violations = []
    for batch in schedule.batches:
        rules = network.unit_rules.get(batch.unit)
        for start, end in rules.unavailable if rules else ():
            shared = min(batch.finish, end) - max(batch.start, start)
            if shared > tolerance:
                violations.append(
                    Violation(
                        kind="unit_unavailable",
                        element=batch.unit,
                        time=max(batch.start, start),
                        amount=shared,
                        message=f"{batch.unit} is unavailable from t = {_time(start, network)} to "
                        f"{_number(end)}, but runs {batch.task} from "
                        f"t = {_time(batch.start, network)} to {_number(batch.finish)}",
                    )
                )
    return violations


def _check_changeovers(schedule: Schedule, network: Network) -> list[Violation]:
    """Check the time between a unit's batches that follow each other directly."""
    tolerance = _TIME_TOLERANCE * schedule.horizon
    violations = []
    for unit, batches in _by_unit(schedule.batches).items():
        for batch, following in pairwise(batches):
            needed = _changeover(batch, following, network)
            gap = following.start - batch.finish
            if -tolerance <= gap < needed - tolerance:  # with a smaller gap they overlap
                violations.append(
                    Violation(
                        kind="changeover",
                        element=unit,
                        time=following.start,
                        amount=needed - gap,
                        message=f"{unit} starts {following.task} at "
                        f"t = {_time(following.start, network)}, {_time(max(0.0, gap), network)} "
                        f"after {batch.task}, but the changeover takes {_time(needed, network)}",
                    )
                )
    return violations


def _check_deliveries(schedule: Schedule, network: Network) -> list[Violation]:
    """Check that each delivery can be asked for; whether there is enough, `_check_stock` says."""
    violations = []
    for delivery in schedule.deliveries:
        due = f"{delivery.state} due at t = {_time(delivery.time, network)}"
        if delivery.state not in network.states:
            message = f"{due}: the plant has no such state"
        elif network.states[delivery.state].unlimited:
            message = f"{due}: a supply that never runs out cannot be delivered"
        elif delivery.time > schedule.horizon * (1.0 + _TIME_TOLERANCE):
            message = f"{due}: that is after the horizon, {_time(schedule.horizon, network)}"
        else:
            continue
        violations.append(
            Violation(
                kind="missed_delivery",
                element=delivery.state,
                time=delivery.time,
                amount=delivery.amount,
                message=message,
            )
        )
    return violations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lot:
    """An amount of one state that appears at an instant and may stay in its unit until another."""

    unit: str
    released: int  # instant
    leaves: int  # instant at which the unit must be empty; the number of instants if never
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Movements:
    """All that happens to one state, per instant."""

    lots: list[_Lot]
    released: NDArray[np.float64]
    taken: NDArray[np.float64]  # consumed or delivered
    delivered: NDArray[np.float64]
    n_moves: NDArray[np.int64]  # how many releases and takings happened up to and at the instant

    @property
    def on_hand(self) -> NDArray[np.float64]:
        """Stored or waiting after each instant; negative where more was taken than there was."""
        return np.cumsum(self.released - self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replay:
    times: NDArray[np.float64]  # of the instants, ascending
    instant_of: dict[float, int]  # the start and finish of every batch
    movements: dict[str, _Movements]  # per state
    instantaneous: dict[int, list[Batch]]  # batches that start and end within one instant
    amount_tolerance: float


def _gather_movements(schedule: Schedule, network: Network) -> _Replay:
    """Cut time into instants and put every release and every taking on its instant.

    Batches of unknown tasks and deliveries that nobody can serve move nothing.
    """
    tolerance = _TIME_TOLERANCE * schedule.horizon
    by_unit = _by_unit(batch for batch in schedule.batches if batch.task in network.tasks)
    batches = [batch for in_order in by_unit.values() for batch in in_order]
    releases = [
        (batch, name, _release_time(batch, name, network, tolerance), share * batch.size)
        for batch in batches
        for name, share in network.tasks[batch.task].produces.items()
    ]
    deliveries = [
        delivery
        for delivery in schedule.deliveries
        if delivery.state in network.states and not network.states[delivery.state].unlimited
    ]
    must_leave = {
        id(batch): time
        for in_order in by_unit.values()
        for batch, following in zip_longest(in_order, in_order[1:])
        if (time := _last_time_in_unit(batch, following, network, schedule.horizon)) is not None
    }
    times, instant_of = _cut_into_instants(
        [
            0.0,
            schedule.horizon,
            *(time for batch in batches for time in (batch.start, batch.finish)),
            *(time for _, _, time, _ in releases),
            *must_leave.values(),
            *(delivery.time for delivery in deliveries),
        ],
        tolerance,
    )
    n_instants = len(times)

    lots: dict[str, list[_Lot]] = defaultdict(list)
    for name, state in network.states.items():
        if state.initial > 0 and not state.unlimited:
            lots[name].append(_Lot(unit="", released=0, leaves=0, amount=state.initial))
    for batch, name, time, amount in releases:
        released = instant_of[time]
        left_early = time < batch.finish
        leaves = n_instants
        if left_early:
            leaves = released
        elif id(batch) in must_leave:
            leaves = max(released, instant_of[must_leave[id(batch)]])
        lots[name].append(_Lot(unit=batch.unit, released=released, leaves=leaves, amount=amount))

    taken = {name: np.zeros(n_instants) for name in network.states}
    n_moves = {name: np.zeros(n_instants, dtype=np.int64) for name in network.states}
    for batch in batches:
        for name, share in network.tasks[batch.task].consumes.items():
            taken[name][instant_of[batch.start]] += share * batch.size
            n_moves[name][instant_of[batch.start]] += 1
    delivered = {name: np.zeros(n_instants) for name in network.states}
    for delivery in deliveries:
        delivered[delivery.state][instant_of[delivery.time]] += delivery.amount
        n_moves[delivery.state][instant_of[delivery.time]] += 1
    released_at = {name: np.zeros(n_instants) for name in network.states}
    for name, state_lots in lots.items():
        for lot in state_lots:
            released_at[name][lot.released] += lot.amount
            n_moves[name][lot.released] += 1

    instantaneous: dict[int, list[Batch]] = defaultdict(list)
    for batch in batches:
        if instant_of[batch.start] == instant_of[batch.finish]:
            instantaneous[instant_of[batch.start]].append(batch)
    return _Replay(
        times=times,
        instant_of=instant_of,
        movements={
            name: _Movements(
                lots=lots[name],
                released=released_at[name],
                taken=taken[name] + delivered[name],
                delivered=delivered[name],
                n_moves=np.cumsum(n_moves[name]),
            )
            for name in network.states
        },
        instantaneous=dict(instantaneous),
        amount_tolerance=_amount_tolerance(network),
    )


def _last_time_in_unit(
    batch: Batch, following: Batch | None, network: Network, horizon: float
) -> float | None:
    """When a unit must be empty of what a batch left in it; None if it may stay to the end."""
    tolerance = _TIME_TOLERANCE * horizon
    limits = []
    if following is not None:
        limits.append(following.start - _changeover(batch, following, network))
    rules = network.unit_rules.get(batch.unit)
    if rules:
        limits += [
            start
            for start, end in rules.unavailable
            if end > batch.finish + tolerance and start < horizon - tolerance
        ]
    return max(batch.finish, min(limits)) if limits else None


def _changeover(batch: Batch, following: Batch, network: Network) -> float:
    """Time that must pass between two batches that follow each other on one unit."""
    rules = network.unit_rules.get(batch.unit)
    return rules.changeovers.get((batch.task, following.task), 0.0) if rules else 0.0


def _check_utilities(schedule: Schedule, replay: _Replay, network: Network) -> list[Violation]:
    """Check what the running batches draw together, from each instant to the next."""
    running = []  # instants, batch, terms
    for batch in schedule.batches:
        suitability = _find_suitability(batch, network)
        if suitability is not None and suitability.utilities:
            first, after = replay.instant_of[batch.start], replay.instant_of[batch.finish]
            running.append((first, after, batch, suitability))
    violations = []
    for utility in network.utilities.values():
        highest = utility.capacity  # report a breach when it begins and whenever it grows
        for instant, time in enumerate(replay.times):
            drawing = [
                (batch, suitability)
                for first, after, batch, suitability in running
                if first <= instant < after and utility.name in suitability.utilities
            ]
            drawn = math.fsum(s.draw(utility.name, batch.size) for batch, s in drawing)
            tolerance = _AMOUNT_TOLERANCE * utility.capacity + replay.amount_tolerance * math.fsum(
                s.draws_per_amount.get(utility.name, 0.0) for _, s in drawing
            )
            if drawn > highest + tolerance:
                highest = drawn
                who = " and ".join(f"{batch.task} on {batch.unit}" for batch, _ in drawing)
                over = drawn - utility.capacity
                violations.append(
                    Violation(
                        kind="over_utility",
                        element=utility.name,
                        time=float(time),
                        amount=over,
                        message=f"{utility.name} at t = {_time(time, network)}: {_number(drawn)} "
                        f"are drawn by {who}, {_number(over)} over its capacity of "
                        f"{_number(utility.capacity)}",
                    )
                )
            elif drawn <= utility.capacity + tolerance:
                highest = utility.capacity
    return violations


def _store(movements: _Movements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what is stored and what waits after each instant, by the policy of `find_violations`.

    What is taken beyond the amount on hand is owed, and paid back from the next release.
    """
    n_instants = len(movements.taken)
    arriving: list[list[tuple[int, int, float]]] = [[] for _ in range(n_instants)]
    for number, lot in enumerate(movements.lots):
        arriving[lot.released].append((lot.leaves, number, lot.amount))
    stored = missing = 0.0
    # A heap: the unit that must be empty soonest comes first.
    waiting: list[tuple[int, int, float]] = []
    levels = np.zeros((2, n_instants))
    for instant in range(n_instants):
        for arrival in arriving[instant]:
            heapq.heappush(waiting, arrival)
        while waiting and waiting[0][0] <= instant:
            stored += heapq.heappop(waiting)[2]
        missing += movements.taken[instant]
        from_storage = min(stored, missing)
        stored -= from_storage
        missing -= from_storage
        while missing > 0 and waiting:
            leaves, number, amount = heapq.heappop(waiting)
            if amount > missing:
                heapq.heappush(waiting, (leaves, number, amount - missing))
            missing = max(0.0, missing - amount)
        levels[:, instant] = stored, math.fsum(amount for _, _, amount in waiting)
    return levels[0], levels[1]


def _check_stock(
    state: State, movements: _Movements, replay: _Replay, network: Network
) -> list[Violation]:
    """Check 0 <= stock <= capacity after every instant, or for `zero_wait` released = taken."""
    violations = []

    def report(kind: ViolationKind, instant: int, amount: float, message: str) -> None:
        violations.append(
            Violation(
                kind=kind,
                element=state.name,
                time=float(replay.times[instant]),
                amount=float(amount),
                message=message,
            )
        )

    if state.zero_wait:
        moves_here = np.diff(movements.n_moves, prepend=0)
        for instant, (released, taken) in enumerate(
            zip(movements.released, movements.taken, strict=True)
        ):
            if abs(released - taken) > replay.amount_tolerance * moves_here[instant]:
                delivered = movements.delivered[instant]
                how = "consumed or delivered" if delivered else "consumed"
                report(
                    "missed_delivery" if delivered and taken > released else "zero_wait",
                    instant,
                    abs(released - taken),
                    f"{state.name} cannot wait: {_amount(released, network)} released at "
                    f"t = {_time(replay.times[instant], network)}, "
                    f"{_number(taken)} {how} at that instant",
                )
        return violations

    tolerance = replay.amount_tolerance * np.maximum(1, movements.n_moves)
    stored, _ = _store(movements)
    lowest, highest = 0.0, state.capacity  # report a breach when it begins and whenever it grows
    for instant, on_hand in enumerate(movements.on_hand):
        when = f"t = {_time(replay.times[instant], network)}"
        if on_hand < lowest - tolerance[instant]:
            # Batches are served before deliveries.
            due = float(movements.delivered[instant])
            missed = min(due, float(lowest - on_hand))
            if missed > tolerance[instant]:
                report(
                    "missed_delivery",
                    instant,
                    missed,
                    f"{state.name} at {when}: {_amount(due, network)} are due, "
                    f"{_number(missed)} more than there is",
                )
            if lowest - on_hand - missed > tolerance[instant] or missed <= tolerance[instant]:
                short = -on_hand - missed
                report(
                    "stock_below_zero",
                    instant,
                    short,
                    f"{state.name} at {when}: "
                    f"{_amount(movements.taken[instant] - due, network)} are taken, "
                    f"{_number(short)} more than there is",
                )
            lowest = on_hand
        elif on_hand >= -tolerance[instant]:
            lowest = 0.0
        if stored[instant] > highest + tolerance[instant]:
            highest = stored[instant]
            over = stored[instant] - state.capacity
            emptied = sorted(
                {lot.unit for lot in movements.lots if lot.leaves == instant and lot.unit}
            )
            because = f" ({' and '.join(emptied)} had to be emptied)" if emptied else ""
            report(
                "over_capacity",
                instant,
                over,
                f"{state.name} holds {_amount(stored[instant], network)} at {when}, "
                f"{_number(over)} over its capacity of {_number(state.capacity)}{because}",
            )
        elif stored[instant] <= state.capacity + tolerance[instant]:
            highest = state.capacity
    return violations


def _check_instantaneous_batches(replay: _Replay, network: Network) -> list[Violation]:
    """Check that a batch that takes no time, or a circle of them, does not live on itself.

    Releases come before consumption at one instant, so such batches must be able to run one after
    another: run any whose inputs are there until none is left. A recipe without cycles always can.
    """
    violations = []
    for instant, batches in replay.instantaneous.items():
        for batch, name, missing in _find_stuck_batches(batches, instant, replay, network):
            if replay.movements[name].on_hand[instant] < -replay.amount_tolerance:
                continue  # a plain shortage, which `_check_stock` reports
            violations.append(
                Violation(
                    kind="stock_below_zero",
                    element=name,
                    time=batch.start,
                    amount=float(missing),
                    message=f"{name} at t = {_time(batch.start, network)}: {batch.task} on "
                    f"{batch.unit} lacks {_amount(missing, network)}, which only follows from this "
                    "batch itself",
                )
            )
    return violations


def _find_stuck_batches(
    batches: list[Batch], instant: int, replay: _Replay, network: Network
) -> list[tuple[Batch, str, float]]:
    """Return the instantaneous batches that cannot run in any order, with what they lack."""
    on_hand = {
        name: math.inf
        if network.states[name].unlimited
        else movements.on_hand[instant] + movements.taken[instant]
        for name, movements in replay.movements.items()
    }

    def lacking(batch: Batch) -> tuple[str, float] | None:
        for name, share in network.tasks[batch.task].consumes.items():
            missing = share * batch.size - on_hand[name]
            if missing > replay.amount_tolerance * len(batches):
                return name, missing
        return None

    for batch in batches:
        for name, share in network.tasks[batch.task].produces.items():
            on_hand[name] -= share * batch.size
    pending = list(batches)
    while runnable := next((batch for batch in pending if lacking(batch) is None), None):
        pending.remove(runnable)
        for name, share in network.tasks[runnable.task].produces.items():
            on_hand[name] += share * runnable.size
        for name, share in network.tasks[runnable.task].consumes.items():
            on_hand[name] -= share * runnable.size
    return [(batch, *found) for batch in pending if (found := lacking(batch)) is not None]


def _check_final_stock(schedule: Schedule, replay: _Replay, network: Network) -> list[Violation]:
    """Check that the stated final stock is what the batches and deliveries leave."""
    known = [batch for batch in schedule.batches if batch.task in network.tasks]
    deliveries = [due for due in schedule.deliveries if due.state in network.states]
    recomputed = compute_final_stock(known, network, deliveries)
    behind = "the batches and deliveries" if deliveries else "the batches"
    violations = []
    for name in [
        *network.states,
        *(name for name in schedule.final_stock if name not in network.states),
    ]:
        stated = schedule.final_stock.get(name, 0.0)
        if name not in network.states:
            difference, message = abs(stated), f"final stock of {name}: the plant has no such state"
        else:
            difference = abs(stated - recomputed[name])
            n_moves = max(1, int(replay.movements[name].n_moves[-1]))
            if difference <= replay.amount_tolerance * n_moves:
                continue
            what = "consumption" if network.states[name].unlimited else "final stock"
            message = (
                f"{what} of {name}: stated {_amount(stated, network)}, "
                f"but {behind} give {_number(recomputed[name])}"
            )
        violations.append(
            Violation(
                kind="final_stock",
                element=name,
                time=schedule.horizon,
                amount=difference,
                message=message,
            )
        )
    return violations


def _cut_into_instants(
    times: Iterable[float], tolerance: float
) -> tuple[NDArray[np.float64], dict[float, int]]:
    """Group near-equal times into instants: each one's first time, and per time its number.

    A gap wider than the tolerance always separates. A chain of narrower gaps is one instant
    unless it is longer than `_LONGEST_CHAIN` tolerances: then it is cut at its widest gap, again
    and again.
    """
    ordered = np.unique(np.fromiter(times, dtype=float))
    gaps = np.diff(ordered)
    first_of_chain = np.flatnonzero(np.concatenate([[True], gaps > tolerance]))
    pieces = list(zip(first_of_chain, [*first_of_chain[1:], len(ordered)], strict=True))
    firsts = []
    while pieces:
        low, high = pieces.pop()
        if ordered[high - 1] - ordered[low] <= _LONGEST_CHAIN * tolerance:
            firsts.append(low)
        else:
            cut = low + 1 + int(np.argmax(gaps[low : high - 1]))
            pieces += [(low, cut), (cut, high)]
    firsts.sort()
    numbers = np.searchsorted(firsts, np.arange(len(ordered)), side="right") - 1
    return ordered[firsts], dict(zip(ordered.tolist(), numbers.tolist(), strict=True))


def _release_time(batch: Batch, state: str, network: Network, tolerance: float) -> float:
    """When a batch gives out a state: at its end, or earlier where the plant says so."""
    suitability = _find_suitability(batch, network)
    if suitability is None or state not in suitability.release_time:
        return batch.finish
    time = batch.start + suitability.release_time[state]
    return time if time < batch.finish - tolerance else batch.finish


def _by_unit(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    """Per unit, its batches in the order they run."""
    by_unit: dict[str, list[Batch]] = defaultdict(list)
    for batch in sorted(batches, key=lambda batch: (batch.start, batch.finish)):
        by_unit[batch.unit].append(batch)
    return dict(by_unit)


def _find_suitability(batch: Batch, network: Network) -> Suitability | None:
    return network.tasks[batch.task].units.get(batch.unit) if batch.task in network.tasks else None


def _amount_tolerance(network: Network) -> float:
    return _AMOUNT_TOLERANCE * max(suitability.max_batch for suitability in network.suitabilities)


def _require_finite(value: float, what: str) -> None:
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise InvalidInputError(f"{what} must be a finite number, got {value!r}")


def _number(value: float) -> str:
    return f"{value:.6g}"


def _amount(value: float, network: Network) -> str:
    return f"{_number(value)} {network.amount_unit}".rstrip()


def _time(value: float, network: Network) -> str:
    return f"{_number(value)} {network.time_unit}".rstrip()
