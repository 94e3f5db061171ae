"""Event points for a schedule that no event-based model has found.

A schedule in time has no event points. Here each of its batches gets one to start at and one to end
at, so that the unit-event model can describe it, with as few as its material flow allows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from stnopt.scheduling.formulations.unit_specific.tables import leaves_early

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Batch, Schedule

#: Times closer than this share of the horizon are one time (as in the replay).
_SAME_TIME = 1e-6
#: Amounts below this share of the largest batch are rounding.
_NEGLIGIBLE = 1e-7

Mark = tuple[str, int]  # ("start" or "end", number of the batch)


@dataclass(slots=True, kw_only=True)
class _Lot:
    """What one batch releases of a state, how much of it is left, and from which event point."""

    released: float
    left: float
    mark: Mark
    gap: int


def number_events(schedule: Schedule, network: Network) -> tuple[int, int]:
    """Return event points and the span with which the unit-event model can describe a schedule.

    Each start and each end gets the least number that keeps the order the model needs: along a
    unit, from what makes to what takes, and not the other way round where the consumer starts
    before the producer has released (docs/formulation.md). Where material leaves batches early
    there may be no such numbers; then every distinct start counts.

    Parameters
    ----------
    schedule : Schedule
        Free of violations.
    network : Network

    Returns
    -------
    n_events, max_span : int
    """
    places = place_on_events(schedule, network)
    if not places:
        return 1, 0
    return max(event for event, _ in places) + 1, max(span for _, span in places)


def place_on_events(schedule: Schedule, network: Network) -> list[tuple[int, int]]:
    """Return the event point at which each batch of a schedule starts, and its span.

    Parameters as in `number_events`, which says what they keep.
    """
    batches = schedule.batches
    same = _SAME_TIME * schedule.horizon
    least: dict[Mark, list[tuple[Mark, int]]] = defaultdict(list)
    for number, following in _along_units(batches):
        least["start", following].append((("end", number), 0))
    for number in range(len(batches)):
        least["end", number].append((("start", number), 1))
    for state in network.states.values():
        if not state.unlimited:
            for later, earlier, gap in _order_of_material(schedule, network, state.name, same):
                least[later].append((earlier, gap))
    place = dict.fromkeys([(side, n) for n in range(len(batches)) for side in ("start", "end")], 0)
    for _ in range(2 * len(batches) + 1):
        changed = False
        for mark, reasons in least.items():
            wanted = max(place[earlier] + gap for earlier, gap in reasons)
            if wanted > place[mark]:
                place[mark], changed = wanted, True
        if not changed:
            break
    else:
        place = _number_by_start(batches, same)
    starts = [place["start", n] for n in range(len(batches))]
    return [(starts[n], place["end", n] - starts[n] - 1) for n in range(len(batches))]


def _number_by_start(batches: tuple[Batch, ...], same: float) -> dict[Mark, int]:
    """Give every distinct start a number of its own, and every end the next start's."""
    times: list[float] = []
    for batch in sorted(batches, key=lambda b: b.start):
        if not times or batch.start > times[-1] + same:
            times.append(batch.start)
    place: dict[Mark, int] = {}
    for number, batch in enumerate(batches):
        place["start", number] = sum(time <= batch.start + same for time in times) - 1
        place["end", number] = sum(time < batch.finish - same for time in times)
    return place


def _along_units(batches: tuple[Batch, ...]) -> list[tuple[int, int]]:
    by_unit: dict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(batches)), key=lambda n: batches[n].start):
        by_unit[batches[number].unit].append(number)
    return [pair for numbers in by_unit.values() for pair in pairwise(numbers)]


def _order_of_material(
    schedule: Schedule, network: Network, state: str, same: float
) -> list[tuple[Mark, Mark, int]]:
    """List (later mark, earlier mark, least distance) for one state, first in first out."""
    batches = schedule.batches
    negligible = _NEGLIGIBLE * max(fit.max_batch for fit in network.suitabilities)
    lots = []
    for number, batch in enumerate(batches):
        share = network.tasks[batch.task].produces.get(state)
        if share is None:
            continue
        fit, amount = network.tasks[batch.task].units[batch.unit], share * batch.size
        if leaves_early(fit, state):
            released = batch.start + fit.release_time[state]
            lots.append(_Lot(released=released, left=amount, mark=("start", number), gap=1))
        else:
            lots.append(_Lot(released=batch.finish, left=amount, mark=("end", number), gap=0))
    lots.sort(key=lambda lot: lot.released)
    gone: list[tuple[float, float, int | None]] = [
        (batch.start, network.tasks[batch.task].consumes[state] * batch.size, number)
        for number, batch in enumerate(batches)
        if state in network.tasks[batch.task].consumes
    ]
    gone += [(d.time, d.amount, None) for d in schedule.deliveries if d.state == state]
    initial = network.states[state].initial
    order: list[tuple[Mark, Mark, int]] = []
    for time, amount, consumer in sorted(gone, key=lambda taken: taken[0]):
        used = min(initial, amount)
        initial, needed = initial - used, amount - used
        for lot in lots:
            if lot.released > time + same:
                # What is not released yet must not be there for this batch (unless it made it).
                if consumer is not None and lot.mark[1] != consumer:
                    order.append((lot.mark, ("start", consumer), 1 - lot.gap))
            elif lot.left > negligible and needed > negligible:
                used = min(lot.left, needed)
                lot.left, needed = lot.left - used, needed - used
                if consumer is not None:
                    order.append((("start", consumer), lot.mark, lot.gap))
                    if network.states[state].zero_wait:
                        order.append((lot.mark, ("start", consumer), -lot.gap))
    if network.states[state].zero_wait:
        order += [
            (later.mark, earlier.mark, 1 + earlier.gap - later.gap)
            for earlier, later in pairwise(lots)
            if later.released > earlier.released + same
        ]
    return order
