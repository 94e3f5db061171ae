"""What an instant of a schedule waits for, one thing after the other, back to time 0.

The critical path of a schedule as it was replayed: a batch starts when its unit is free and there,
its materials are there and its utilities suffice, so that whatever of these came last is what it
waits for; and so on for that. Of several that came at once it follows the one from which the path
back to time 0 has the least idle time. No model is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from stnopt.plant.calendar import merge_periods, with_calendars
from stnopt.plant.state import PlantState, RunningBatch
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.cleanings import cleaning_time
from stnopt.scheduling.movements import (
    batches_before_start,
    changeover_time,
    possible_movements,
    release_times,
    unloaded_at,
)
from stnopt.scheduling.schedule import Batch

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule

WaitKind = Literal["batch", "away", "preparation", "arrival", "utility", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A stretch of time on a critical path.

    Attributes
    ----------
    kind : {"batch", "away", "preparation", "arrival", "utility", "idle"}
        A batch runs on a unit; the unit is unavailable, unattended or paused; it is changed over or
        cleaned; material has not arrived; a utility is used up or not there yet; nothing is waited
        for.
    element : str
        The unit, state or utility.
    since, until : float
        In the plant's time unit.
    task : str or None
        What runs.
    """

    kind: WaitKind
    element: str
    since: float
    until: float
    task: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """Something that a start had to wait for: when it came, over what stretch, and what before."""

    ready: float
    waits: tuple[Wait, ...]  # the last one first
    batch: Batch | RunningBatch | None = None  # what to go on with
    until: float | None = None  # go on with what came by then for the same batch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """A cause, none for time 0, and how much of the path back from it is idle."""

    idle: float
    cause: _Cause | None


@dataclass(slots=True)
class CriticalPaths:
    """The critical paths of a schedule.

    Parameters
    ----------
    schedule : Schedule
        Free of violations.
    network : Network
    """

    schedule: Schedule
    network: Network
    same: float = field(init=False)
    _batches: list[Batch | RunningBatch] = field(init=False)
    _released: dict[str, list[tuple[float, Batch | RunningBatch]]] = field(init=False)
    _prepared: dict[Batch, float] = field(init=False)
    _before: dict[int, _Chosen] = field(init=False, default_factory=dict)  # by id of a batch

    def __post_init__(self) -> None:
        schedule = self.schedule
        self.network = with_calendars(self.network, start=schedule.date, horizon=schedule.horizon)
        self.same = 2 * time_tolerance(schedule.horizon)
        running = schedule.start.running if schedule.start else ()
        self._batches = [*running, *sorted(schedule.batches, key=lambda batch: batch.start)]
        self._released = {state: [] for state in self.network.states}
        for batch in self._batches:
            for state, time in release_times(batch, self.network, schedule.horizon).items():
                self._released[state].append((time, batch))
        self._prepared = _cleaning_times(schedule, self.network)
        for batch in self._batches:  # what a batch waits for starts before it does
            if isinstance(batch, Batch):
                self._before[id(batch)] = self._choose(
                    self._causes(batch, batch.start), batch.start
                )

    def before_release(self, state: str, time: float) -> tuple[Wait, ...]:
        """Return what came before an instant at which some of a state was taken, in order of time.

        Parameters
        ----------
        state : str
        time : float
            In the plant's time unit.
        """
        waits: list[Wait] = []
        chosen, at, element = self._choose(self._material(state, time), time), time, state
        while True:
            ready = 0.0 if chosen.cause is None else chosen.cause.ready
            if at - ready > self.same:
                waits.append(Wait(kind="idle", element=element, since=ready, until=at))
            if chosen.cause is None:
                return tuple(reversed(waits))
            waits += chosen.cause.waits
            following = self._following(chosen.cause)
            if following is None or chosen.cause.batch is None:
                return tuple(reversed(waits))
            element = chosen.cause.batch.unit
            at = chosen.cause.batch.start if chosen.cause.until is None else chosen.cause.until
            chosen = following

    def _choose(self, causes: list[_Cause], at: float) -> _Chosen:
        """Choose what came last; of several, what leads back with the least idle time."""
        if at <= self.same or not causes:
            return _Chosen(idle=max(0.0, at), cause=None)
        ready = max(cause.ready for cause in causes)
        choices = []
        for cause in causes:
            if cause.ready >= ready - self.same:
                following = self._following(cause)
                idle = max(0.0, at - cause.ready) + (following.idle if following else 0.0)
                choices.append(_Chosen(idle=idle, cause=cause))
        least = min(choice.idle for choice in choices)
        return next(choice for choice in choices if choice.idle <= least + self.same)

    def _following(self, cause: _Cause) -> _Chosen | None:
        """Return what was chosen for what a cause goes on with; None where it leads to time 0."""
        if not isinstance(cause.batch, Batch):
            return None
        if cause.until is not None:
            return self._choose(self._causes(cause.batch, cause.until), cause.until)
        return self._before.get(id(cause.batch))

    def _causes(self, batch: Batch, at: float) -> list[_Cause]:
        """List what a batch had to wait for, as far as it came by a time."""
        causes = self._unit_before(batch, at)
        for state in self.network.tasks[batch.task].consumes:
            causes += self._material(state, at)
        return causes + self._utilities(batch, at)

    def _unit_before(self, batch: Batch, at: float) -> list[_Cause]:
        """Find the batch before, what the unit needs after it, and periods without the unit."""
        unit, causes = batch.unit, []
        ready_after = self._prepared.get(batch, 0.0)
        earlier = [
            other
            for other in self._batches
            if other.unit == unit and other is not batch and other.finish <= at + self.same
        ]
        before: Batch | RunningBatch | None = max(earlier, key=lambda b: b.finish, default=None)
        started = batches_before_start(self.schedule.start or PlantState(), self.network)
        last = _as_batch(before) if before is not None else started.get(unit)
        if last is not None:
            empty = unloaded_at(last, self.network, self.schedule.horizon)
            needed = max(changeover_time(last, batch, self.network), ready_after)
            ready = max(0.0, empty + needed)
            if 0 < ready <= at + self.same:
                waits = []
                if needed > 0:
                    since = max(0.0, ready - needed)
                    waits.append(Wait(kind="preparation", element=unit, since=since, until=ready))
                if empty > last.finish + self.same:
                    waits.append(Wait(kind="away", element=unit, since=last.finish, until=empty))
                if before is not None:
                    waits.append(_run(before, before.finish))
                causes.append(_Cause(ready=ready, waits=tuple(waits), batch=before))
        rule = self.network.unit_rules.get(unit)
        away = merge_periods([*rule.unavailable, *rule.unattended, *rule.paused]) if rule else ()
        for start, end in away:
            begin, ready = max(0.0, start), end + ready_after
            if begin < at - self.same and ready <= at + self.same:
                waits = [Wait(kind="away", element=unit, since=begin, until=end)]
                if ready_after > 0:
                    waits.insert(0, Wait(kind="preparation", element=unit, since=end, until=ready))
                causes.append(_Cause(ready=ready, waits=tuple(waits), batch=batch, until=begin))
        return causes

    def _material(self, state: str, at: float) -> list[_Cause]:
        """Find what released some of a state last by a time, or when it came from outside."""
        causes = []
        for released, batch in self._released[state]:
            if released <= at + self.same:
                run = _run(batch, min(batch.finish, released))
                waits = [run]
                if released > batch.finish + self.same:
                    until = released
                    waits.insert(
                        0, Wait(kind="away", element=batch.unit, since=batch.finish, until=until)
                    )
                causes.append(_Cause(ready=released, waits=tuple(waits), batch=batch))
        causes += [
            _Cause(ready=time, waits=(Wait(kind="arrival", element=state, since=0.0, until=time),))
            for time, _ in self.network.states[state].arrivals
            if 0 < time <= at + self.same
        ]
        return causes

    def _utilities(self, batch: Batch, at: float) -> list[_Cause]:
        """Find what freed a share of a utility of the batch exactly then, or a step up of it."""
        causes = []
        for name in self.network.tasks[batch.task].units[batch.unit].utilities:
            for other in self._batches:
                draws = name in self.network.tasks[other.task].units[other.unit].utilities
                if draws and other is not batch and abs(other.finish - at) <= self.same:
                    since = max(0.0, other.start)
                    wait = Wait(kind="utility", element=name, since=since, until=other.finish)
                    causes.append(_Cause(ready=other.finish, waits=(wait,), batch=other))
            steps = self.network.utilities[name].steps
            for (begin, level), (time, more) in pairwise(steps):
                if more > level and abs(time - at) <= self.same:
                    wait = Wait(kind="utility", element=name, since=begin, until=time)
                    causes.append(_Cause(ready=time, waits=(wait,), batch=batch, until=begin))
        return causes


def _run(batch: Batch | RunningBatch, until: float) -> Wait:
    return Wait(
        kind="batch",
        element=batch.unit,
        since=max(0.0, batch.start),
        until=until,
        task=batch.task,
    )


def _as_batch(batch: Batch | RunningBatch) -> Batch:
    return Batch(batch.task, batch.unit, batch.start, batch.finish, batch.size)


def _cleaning_times(schedule: Schedule, network: Network) -> dict[Batch, float]:
    """Return how long the unit is cleaned directly before each batch that follows a cleaning."""
    cleaned: dict[Batch, float] = {}
    for replay in possible_movements(schedule, network):
        for unit, positions in replay.cleanings.before.items():
            for position in positions:
                cleaned[replay.by_unit[unit][position]] = cleaning_time(unit, network)
        break  # the first choice: each cleaning as late as it may be
    return cleaned
