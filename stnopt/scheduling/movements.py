"""How material moves when a schedule is replayed: instants, lots, what is stored and what waits.

No model and no rule is judged here: `stnopt.scheduling.replay` does that with what this file finds.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from stnopt.plant.tolerance import amount_tolerance, time_tolerance
from stnopt.scheduling.cleanings import Cleanings, choose_cleanings
from stnopt.scheduling.schedule import Batch, Schedule, find_suitability

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """All that happens to one state, per instant."""

    lots: list[Lot]
    released: NDArray[np.float64]
    taken: NDArray[np.float64]  # consumed or delivered
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
    for cleanings in choose_cleanings(by_unit, network, schedule.horizon, since={}):
        yield gather_movements(schedule, network, cleanings)


def gather_movements(schedule: Schedule, network: Network, cleanings: Cleanings) -> Replay:
    """Cut time into instants and put every release and every taking on its instant.

    Batches of unknown tasks and deliveries that nobody can serve move nothing.
    """
    tolerance = time_tolerance(schedule.horizon)
    by_unit = batches_by_unit(batch for batch in schedule.batches if batch.task in network.tasks)
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
        for unit, in_order in by_unit.items()
        for number, (batch, following) in enumerate(zip_longest(in_order, in_order[1:]), 1)
        if (
            time := _last_time_in_unit(
                batch,
                following,
                network,
                schedule.horizon,
                cleaned=number in cleanings.before.get(unit, ()),
            )
        )
        is not None
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

    lots: dict[str, list[Lot]] = defaultdict(list)
    for name, state in network.states.items():
        if state.initial > 0 and not state.unlimited:
            lots[name].append(Lot(unit="", released=0, leaves=0, amount=state.initial))
    for batch, name, time, amount in releases:
        released = instant_of[time]
        left_early = time < batch.finish
        leaves = n_instants
        if left_early:
            leaves = released
        elif id(batch) in must_leave:
            leaves = max(released, instant_of[must_leave[id(batch)]])
        lots[name].append(Lot(unit=batch.unit, released=released, leaves=leaves, amount=amount))

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
    return Replay(
        times=times,
        instant_of=instant_of,
        movements={
            name: Movements(
                lots=lots[name],
                released=released_at[name],
                taken=taken[name] + delivered[name],
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


def _last_time_in_unit(
    batch: Batch, following: Batch | None, network: Network, horizon: float, *, cleaned: bool
) -> float | None:
    """When a unit must be empty of what a batch left in it; None if it may stay to the end."""
    tolerance = time_tolerance(horizon)
    limits = []
    rules = network.unit_rules.get(batch.unit)
    if following is not None:
        takes = changeover_time(batch, following, network)
        if cleaned and rules and rules.clean_after:
            takes = max(takes, rules.clean_after.duration)
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


def store(movements: Movements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
    suitability = find_suitability(batch, network)
    if suitability is None or state not in suitability.release_time:
        return batch.finish
    time = batch.start + suitability.release_time[state]
    return time if time < batch.finish - tolerance else batch.finish


def batches_by_unit(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    """Per unit, its batches in the order they run."""
    by_unit: dict[str, list[Batch]] = defaultdict(list)
    for batch in sorted(batches, key=lambda batch: (batch.start, batch.finish)):
        by_unit[batch.unit].append(batch)
    return dict(by_unit)
