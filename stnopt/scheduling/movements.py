"""How material moves when a schedule is replayed: instants, lots, what is stored and what waits.

No model and no rule is judged here: `stnopt.scheduling.replay` does that with what this file finds.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnopt.plant.state import PlantState, RunningBatch
from stnopt.plant.tolerance import amount_tolerance, time_tolerance
from stnopt.scheduling.cleanings import UNKNOWN_TASK, Cleanings, choose_cleanings, cleaning_time
from stnopt.scheduling.locked_lots import store_with_locks
from stnopt.scheduling.schedule import Batch, Schedule, find_suitability

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network

# A chain of near-equal times stays one instant up to this many tolerances from end to end.
_LONGEST_CHAIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """An amount of one state that appears at an instant and may stay in its unit until another."""

    unit: str
    released: int  # instant
    leaves: int  # instant at which the unit must be empty; the number of instants if never
    amount: float
    locked: tuple[tuple[int, int], ...] = ()  # between two instants nothing leaves the unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """All that happens to one state, per instant."""

    lots: list[Lot]
    released: NDArray[np.float64]
    taken: NDArray[np.float64]  # consumed, delivered or ordered
    delivered: NDArray[np.float64]
    n_moves: NDArray[np.int64]  # how many releases and takings happened up to and at the instant

    @property
    def on_hand(self) -> NDArray[np.float64]:
        """Stored or waiting after each instant; negative where more was taken than there was."""
        return np.cumsum(self.released - self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All that moves in a schedule, on the instants at which it does."""

    times: NDArray[np.float64]  # of the instants, ascending
    instant_of: dict[float, int]  # the start and finish of every batch
    movements: dict[str, Movements]  # per state
    instantaneous: dict[int, list[Batch]]  # batches that start and end within one instant
    amount_tolerance: dict[str, float]  # per state
    cleanings: Cleanings
    by_unit: dict[str, list[Batch]]  # in the order they run


def possible_movements(schedule: Schedule, network: Network) -> Iterator[Replay]:
    """Yield what moves when, for each choice of the cleanings that a schedule leaves open."""
    by_unit = batches_by_unit(batch for batch in schedule.batches if batch.task in network.tasks)
    start = schedule.start or PlantState()
    choices = choose_cleanings(
        by_unit,
        network,
        schedule.horizon,
        since=start.since_cleaning,
        before=batches_before_start(start, network),
    )
    for cleanings in choices:
        yield gather_movements(schedule, network, cleanings)


def batches_before_start(start: PlantState, network: Network) -> dict[str, Batch]:
    """Return, by unit, the batch that runs at time 0 or ran last, as far as the state says.

    A unit that still holds material cannot be cleaned before 0, or before somebody is there to
    empty it: to it, its batch ends then.
    """
    before = {
        b.unit: Batch(b.task, b.unit, b.start, b.finish, b.size)
        for b in start.running
        if b.task in network.tasks
    }
    for unit in dict.fromkeys([*start.last, *start.held]):
        last = start.last.get(unit)
        finish = last.finished if last else 0.0
        if unit in start.held:
            finish = _attended(unit, 0.0, network, 0.0, since_before=True)
        before[unit] = Batch(last.task if last else UNKNOWN_TASK, unit, finish - 1.0, finish, 1.0)
    return before


def unloaded_at(batch: Batch, network: Network, horizon: float) -> float:
    """When a unit can be empty of a batch: at its end, or when somebody is there."""
    return _attended(batch.unit, batch.finish, network, horizon)


def held_until(unit: str, network: Network, horizon: float) -> float:
    """When what a unit holds at time 0 can leave it: then, or when a period that has begun ends."""
    return _attended(unit, 0.0, network, horizon)


def gather_movements(schedule: Schedule, network: Network, cleanings: Cleanings) -> Replay:
    """Cut time into instants and put every release and every taking on its instant.

    Batches of unknown tasks and takings that nobody can serve move nothing.
    """
    start = schedule.start or PlantState()
    by_unit = batches_by_unit(batch for batch in schedule.batches if batch.task in network.tasks)
    batches = [batch for in_order in by_unit.values() for batch in in_order]
    comings = _comings(schedule, start, by_unit, network, cleanings)
    takings = _takings(schedule, batches, network)
    times, instant_of = _cut_into_instants(
        [
            0.0,
            schedule.horizon,
            *(time for batch in batches for time in (batch.start, batch.finish)),
            *(time for coming in comings for time in coming.event_times),
            *(time for _, time, _, _ in takings),
            *(running.remaining for running in start.running),
        ],
        time_tolerance(schedule.horizon),
    )
    lots: dict[str, list[Lot]] = defaultdict(list)
    n_moves = {name: np.zeros(len(times), dtype=np.int64) for name in network.states}
    released = {name: np.zeros(len(times)) for name in network.states}
    for coming in comings:
        lot = coming.lot(instant_of, len(times))
        lots[coming.state].append(lot)
        released[coming.state][lot.released] += lot.amount
        n_moves[coming.state][lot.released] += 1
    taken = {name: np.zeros(len(times)) for name in network.states}
    delivered = {name: np.zeros(len(times)) for name in network.states}
    for name, time, amount, leaves_plant in takings:
        taken[name][instant_of[time]] += amount
        n_moves[name][instant_of[time]] += 1
        if leaves_plant:
            delivered[name][instant_of[time]] += amount
    instantaneous: dict[int, list[Batch]] = defaultdict(list)
    for batch in batches:
        if instant_of[batch.start] == instant_of[batch.finish]:
            instantaneous[instant_of[batch.start]].append(batch)
    return Replay(
        times=times,
        instant_of=instant_of,
        movements={
            name: Movements(
                lots=lots[name],
                released=released[name],
                taken=taken[name],
                delivered=delivered[name],
                n_moves=np.cumsum(n_moves[name]),
            )
            for name in network.states
        },
        instantaneous=dict(instantaneous),
        amount_tolerance={name: amount_tolerance(network, name) for name in network.states},
        cleanings=cleanings,
        by_unit=by_unit,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coming:
    """An amount of a state that appears, before times are cut into instants."""

    state: str
    unit: str
    amount: float
    released: float
    leaves: float | None  # None: it may stay in its unit
    locked: tuple[tuple[float, float], ...] = ()

    @property
    def event_times(self) -> list[float]:
        """Every time it speaks of."""
        ends = [] if self.leaves is None else [self.leaves]
        return [self.released, *ends, *(time for period in self.locked for time in period)]

    def lot(self, instant_of: dict[float, int], n_instants: int) -> Lot:
        released = instant_of[self.released]
        leaves = n_instants if self.leaves is None else max(released, instant_of[self.leaves])
        locked = tuple((instant_of[a], instant_of[b]) for a, b in self.locked)
        return Lot(
            unit=self.unit, released=released, leaves=leaves, amount=self.amount, locked=locked
        )


def _comings(
    schedule: Schedule,
    start: PlantState,
    by_unit: dict[str, list[Batch]],
    network: Network,
    cleanings: Cleanings,
) -> list[_Coming]:
    """List all material that appears: in stock or held at 0, arriving, and from batches."""
    same = time_tolerance(schedule.horizon)
    comings = []
    # A batch that starts before 0 is told as that, not as one that lacks what is there at 0.
    first = min((0.0, *(batch.start for batch in schedule.batches)))
    for name, state in network.states.items():
        if state.unlimited:
            continue
        stock = start.stock(network, name)
        if stock > 0:
            comings.append(_Coming(state=name, unit="", amount=stock, released=first, leaves=first))
        comings += [
            _Coming(state=name, unit="", amount=amount, released=time, leaves=time)
            for time, amount in state.arrivals
            if time <= schedule.horizon + same and amount > 0
        ]

    def leaves_unit(batch: Batch, position: int) -> float | None:
        """When the unit must be empty of a batch that comes right before a position."""
        in_order = by_unit.get(batch.unit, [])
        following = in_order[position] if position < len(in_order) else None
        cleaned = position in cleanings.before.get(batch.unit, ())
        return _last_time_in_unit(batch, following, network, schedule.horizon, cleaned=cleaned)

    for unit, batch in batches_before_start(start, network).items():
        leaves = leaves_unit(batch, 0)
        ready = held_until(unit, network, schedule.horizon)
        for name, amount in start.held.get(unit, {}).items():
            if name in network.states and not network.states[name].unlimited:
                until = None if leaves is None else max(ready, leaves)
                comings.append(
                    _Coming(
                        state=name,
                        unit=unit,
                        amount=amount,
                        released=ready,
                        leaves=until,
                        locked=_locks(unit, ready, until, network, schedule.horizon),
                    )
                )
    for running in start.running:
        if (
            running.task not in network.tasks
            or running.unit not in network.tasks[running.task].units
        ):
            continue
        batch = Batch(running.task, running.unit, running.start, running.finish, running.size)
        leaves = leaves_unit(batch, 0)
        for name, time in running.releases(network).items():
            share = network.tasks[running.task].produces[name]
            if time == 0.0:  # due before; it could not leave an unattended unit
                time = _attended(running.unit, time, network, schedule.horizon, since_before=True)
            comings.append(
                _from_batch(
                    batch, name, share * running.size, time, leaves, network, schedule.horizon
                )
            )
    for in_order in by_unit.values():
        for position, batch in enumerate(in_order, 1):
            leaves = leaves_unit(batch, position)
            for name, share in network.tasks[batch.task].produces.items():
                time = _release_time(batch, name, network, schedule.horizon)
                comings.append(
                    _from_batch(
                        batch, name, share * batch.size, time, leaves, network, schedule.horizon
                    )
                )
    return comings


def _from_batch(
    batch: Batch,
    state: str,
    amount: float,
    time: float,
    leaves: float | None,
    network: Network,
    horizon: float,
) -> _Coming:
    """Put what a batch releases where it may be: what leaves early does not wait in the unit."""
    released = _attended(batch.unit, time, network, horizon)
    if time < batch.finish - time_tolerance(horizon):
        return _Coming(
            state=state, unit=batch.unit, amount=amount, released=released, leaves=released
        )
    until = None if leaves is None else max(released, leaves)
    return _Coming(
        state=state,
        unit=batch.unit,
        amount=amount,
        released=released,
        leaves=until,
        locked=_locks(batch.unit, released, until, network, horizon),
    )


def _takings(
    schedule: Schedule, batches: list[Batch], network: Network
) -> list[tuple[str, float, float, bool]]:
    """List state, time and amount of all that is taken, and whether it leaves the plant."""
    takings = [
        (name, batch.start, share * batch.size, False)
        for batch in batches
        for name, share in network.tasks[batch.task].consumes.items()
    ]
    wanted = [(d.state, d.time, d.amount) for d in schedule.deliveries]
    wanted += [
        (served.order.state, time, amount)
        for served in schedule.orders
        for time, amount in served.parts
    ]
    takings += [
        (name, time, amount, True)
        for name, time, amount in wanted
        if name in network.states and not network.states[name].unlimited
    ]
    return takings


def _last_time_in_unit(
    batch: Batch, following: Batch | None, network: Network, horizon: float, *, cleaned: bool
) -> float | None:
    """When a unit must be empty of what a batch left in it; None if it may stay to the end."""
    tolerance = time_tolerance(horizon)
    limits = []
    rules = network.unit_rules.get(batch.unit)
    if following is not None:
        takes = changeover_time(batch, following, network)
        if cleaned:
            takes = max(takes, cleaning_time(batch.unit, network))
        limits.append(following.start - takes)
    if rules:
        limits += [
            start
            for start, end in rules.unavailable
            if end > batch.finish + tolerance and start < horizon - tolerance
        ]
    return max(batch.finish, min(limits)) if limits else None


def changeover_time(batch: Batch, following: Batch, network: Network) -> float:
    """Time that must pass between two batches that follow each other on one unit."""
    rules = network.unit_rules.get(batch.unit)
    return rules.changeovers.get((batch.task, following.task), 0.0) if rules else 0.0


def _attended(
    unit: str, time: float, network: Network, horizon: float, *, since_before: bool = False
) -> float:
    """When what could leave a unit at a time does: at the end of a period without attendance.

    With `since_before` it was to leave before that time: also in a period that starts then.
    """
    same = time_tolerance(horizon)
    rules = network.unit_rules.get(unit)
    for start, end in rules.unattended if rules else ():
        if (start - same if since_before else start + same) < time < end - same:
            time = end
    return time


def release_times(
    batch: Batch | RunningBatch, network: Network, horizon: float
) -> dict[str, float]:
    """Return when each state leaves a batch; of one that runs at 0, those still to come."""
    if isinstance(batch, RunningBatch):
        given = batch.releases(network)
        return {
            s: _attended(batch.unit, time, network, horizon, since_before=time == 0.0)
            for s, time in given.items()
        }
    return {
        s: _attended(batch.unit, _release_time(batch, s, network, horizon), network, horizon)
        for s in network.tasks[batch.task].produces
    }


def _locks(
    unit: str, released: float, leaves: float | None, network: Network, horizon: float
) -> tuple[tuple[float, float], ...]:
    """Periods without attendance in which a lot stays in its unit."""
    rules = network.unit_rules.get(unit)
    last = horizon if leaves is None else min(leaves, horizon)
    return tuple(
        (max(start, released), min(end, last))
        for start, end in (rules.unattended if rules else ())
        if max(start, released) < min(end, last)
    )


def time_of_work(
    start: float, work: float, pauses: Sequence[tuple[float, float]], *, horizon: float
) -> float:
    """When a batch that starts at a time has run so long, pauses not counted.

    What ends with a pause's begin, within the tolerance for times, ends before it.
    """
    same = time_tolerance(horizon)
    time = start
    for begin, end in pauses:
        if end <= time:
            continue
        if begin >= time + work - same:
            break
        work -= max(0.0, begin - time)
        time = end
    return time + work


def pauses_of(unit: str, network: Network) -> tuple[tuple[float, float], ...]:
    """Periods in which a unit's batch stops."""
    rules = network.unit_rules.get(unit)
    return rules.paused if rules else ()


def store(movements: Movements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what is stored and what waits after each instant, by the policy of `find_violations`.

    What is taken beyond the amount on hand is owed, and paid back from the next release.
    """
    levels, _ = follow_lots(movements)
    return levels[0], levels[1]


def follow_lots(
    movements: Movements, until: int | None = None
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return stored and waiting amounts after each instant, and by unit what waits after the last.

    Parameters
    ----------
    movements : Movements
    until : int, optional
        Number of instants to follow; all by default.
    """
    n_instants = len(movements.taken) if until is None else until
    if any(lot.locked for lot in movements.lots):
        return store_with_locks(movements, n_instants)
    arriving: list[list[tuple[int, int, float]]] = [[] for _ in range(len(movements.taken))]
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
    held: dict[str, float] = defaultdict(float)
    for _, number, amount in waiting:
        held[movements.lots[number].unit] += amount
    return levels, dict(held)


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


def _release_time(batch: Batch, state: str, network: Network, horizon: float) -> float:
    """When a batch gives out a state: at its end, or earlier where the plant says so."""
    suitability = find_suitability(batch, network)
    if suitability is None or state not in suitability.release_time:
        return batch.finish
    pauses = pauses_of(batch.unit, network)
    after = suitability.release_time[state]
    time = time_of_work(batch.start, after, pauses, horizon=horizon)
    return time if time < batch.finish - time_tolerance(horizon) else batch.finish


def batches_by_unit(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    """Per unit, its batches in the order they run."""
    by_unit: dict[str, list[Batch]] = defaultdict(list)
    for batch in sorted(batches, key=lambda batch: (batch.start, batch.finish)):
        by_unit[batch.unit].append(batch)
    return dict(by_unit)
