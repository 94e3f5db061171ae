"""When the units of a schedule are cleaned, which a schedule does not say: found from its batches.

A cleaning lies directly before a batch. It costs nothing where the unit holds nothing that would
need storage for longer; elsewhere several choices may have to be tried. What the referee checks of
`clean_after`, and what a cut leaves of it, is here as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.violation import Violation, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.unit_rules.clean_after import CleanAfter
    from stnopt.scheduling.movements import Replay
    from stnopt.scheduling.schedule import Batch, Schedule

#: The task of what a unit holds at time 0, where nobody says what made it; no plant has it.
UNKNOWN_TASK = "(not known)"
#: So many choices of cleanings are tried before a schedule is refused.
_MOST_CHOICES = 200
_MOST_PER_UNIT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanings:
    """Which batches of each unit directly follow a cleaning, and which one lacks it.

    Attributes
    ----------
    before : mapping of str to frozenset of int
        Per unit, positions in the order of its batches.
    overdue : mapping of str to tuple of int
        Per unit, positions of batches that should follow one, where none fits in time.
    """

    before: Mapping[str, frozenset[int]]
    overdue: Mapping[str, tuple[int, ...]]


def choose_cleanings(
    by_unit: Mapping[str, Sequence[Batch]],
    network: Network,
    horizon: float,
    *,
    since: Mapping[str, int],
    before: Mapping[str, Batch],
) -> Iterator[Cleanings]:
    """Yield choices of cleanings, each as late as it may be first.

    Parameters
    ----------
    by_unit : mapping of str to sequence of Batch
        Per unit, its batches in the order they run.
    network : Network
    horizon : float
    since : mapping of str to int
        Batches since the last cleaning when the schedule starts, by unit.
    before : mapping of str to Batch
        By unit, the batch that runs or ran last when the schedule starts.
    """
    units = [u for u in by_unit if u in network.unit_rules and network.unit_rules[u].clean_after]
    options = [
        list(
            islice(
                _choices(
                    unit, by_unit[unit], network, horizon, since.get(unit, 0), before.get(unit)
                ),
                50,
            )
        )
        for unit in units
    ]

    def combine(position: int) -> Iterator[list[tuple[frozenset[int], tuple[int, ...]]]]:
        if position == len(units):
            yield []
            return
        for rest in combine(position + 1):
            for option in options[position]:
                yield [option, *rest]

    for chosen in islice(combine(0), _MOST_CHOICES):
        yield Cleanings(
            before={unit: before for unit, (before, _) in zip(units, chosen, strict=True)},
            overdue={unit: late for unit, (_, late) in zip(units, chosen, strict=True) if late},
        )


def cleaning_time(unit: str, network: Network) -> float:
    """Return how long a unit's cleaning takes, in the plant's time unit; 0 if it has none."""
    rule = network.unit_rules[unit].clean_after if unit in network.unit_rules else None
    return 0.0 if rule is None else rule.duration


def check_cleanings(_: Schedule, replay: Replay, network: Network) -> list[Violation]:
    """Check that no unit runs more batches between two cleanings than it may."""
    violations = []
    for unit, positions in replay.cleanings.overdue.items():
        rule = network.unit_rules[unit].clean_after
        assert rule is not None
        for position in positions:
            batch = replay.by_unit[unit][position]
            violations.append(
                Violation(
                    kind="clean_after",
                    element=unit,
                    time=batch.start,
                    amount=rule.duration,
                    message=f"{unit} starts {batch.task} at t = {time_text(batch.start, network)} "
                    f"after {rule.batches} batches without a cleaning, which takes "
                    f"{time_text(rule.duration, network)} right before a batch",
                )
            )
    return violations


def count_since_cleaning(
    schedule: Schedule, replay: Replay, time: float, network: Network
) -> dict[str, int]:
    """Count the batches of each unit since its cleaning; one that has begun counts as done."""
    same = time_tolerance(schedule.horizon)
    counts = {}
    for unit, rules in network.unit_rules.items():
        if rules.clean_after is None:
            continue
        count = schedule.start.since_cleaning.get(unit, 0) if schedule.start else 0
        cleaned = replay.cleanings.before.get(unit, frozenset())
        for position, batch in enumerate(replay.by_unit.get(unit, ())):
            if position in cleaned and batch.start - rules.clean_after.duration < time - same:
                count = 0
            if batch.start > time + same:
                break
            count += 1
        counts[unit] = count
    return counts


def _choices(
    unit: str,
    batches: Sequence[Batch],
    network: Network,
    horizon: float,
    since: int,
    earlier: Batch | None,
) -> Iterator[tuple[frozenset[int], tuple[int, ...]]]:
    """Yield what one unit may do: positions of batches after a cleaning, and those that lack it."""
    rule = network.unit_rules[unit].clean_after
    assert rule is not None
    previous = [earlier, *batches[:-1]]
    ready = 0.0 if earlier is None else max(0.0, earlier.finish)
    fits = [
        _fits(position, batches, rule, network, horizon, ready) for position in range(len(batches))
    ]
    free = frozenset(
        position
        for position, batch in enumerate(previous)
        if fits[position] and (batch is None or not _may_wait(batch, network))
    )

    def go_on(position: int, count: int, last: int) -> Iterator[tuple[list[int], list[int]]]:
        """Run through the batches from a position on; `count` ran since the cleaning at `last`."""
        while position < len(batches):
            if position in free:
                count = 0
                last = position
            count += 1
            if count > rule.batches:
                places = [p for p in range(position, last, -1) if fits[p] and p not in free]
                for place in places:
                    for before, late in go_on(position + 1, position - place + 1, place):
                        yield [place, *before], late
                if not places:
                    for before, late in go_on(position + 1, 1, position):
                        yield before, [position, *late]
                return
            position += 1
        yield [], []

    for before, late in go_on(0, since, -1):
        yield free | frozenset(before), tuple(late)


def _fits(
    position: int,
    batches: Sequence[Batch],
    rule: CleanAfter,
    network: Network,
    horizon: float,
    ready: float,
) -> bool:
    """Whether a cleaning fits directly before a batch, with the unit there and empty."""
    same = time_tolerance(horizon)
    end = batches[position].start
    begin = end - rule.duration
    earlier = max((ready, *(b.finish for b in batches[:position])))
    for start, stop in network.unit_rules[batches[position].unit].unattended:
        if start + same < earlier < stop - same:  # nobody empties it before
            earlier = stop
    return begin >= earlier - same and all(
        stop <= begin + same or start >= end - same
        for start, stop in network.unit_rules[batches[position].unit].unavailable
    )


def _may_wait(batch: Batch, network: Network) -> bool:
    """Whether something that a batch makes may have to wait in its unit."""
    if batch.task not in network.tasks:
        return batch.task == UNKNOWN_TASK  # held material of which nobody says what made it
    states = (network.states[name] for name in network.tasks[batch.task].produces)
    return any(not s.unlimited and not s.zero_wait and math.isfinite(s.capacity) for s in states)
