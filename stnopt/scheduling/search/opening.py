"""What a plant starts with, as amounts and times: stocks, what comes, who is busy until when.

Models that are arrays need no batches for what is given (`stnopt.scheduling.formulations.given` is
for those that do): a constant at a time is enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stnopt.plant.calendar import with_calendars
from stnopt.plant.reachability import soonest_times
from stnopt.plant.state import PlantState
from stnopt.plant.tolerance import time_tolerance
from stnopt.scheduling.movements import (
    batches_before_start,
    held_until,
    release_times,
    unloaded_at,
)

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """An amount of a state that comes at a time, whatever is decided.

    Attributes
    ----------
    state : str
    amount : float
    time : float
        From when on it can be used, in the plant's time unit.
    unit : str or None
        In which it may wait from then on; None if it goes to its storage at once.
    """

    state: str
    amount: float
    time: float
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A plant, and what is given in it before anything is decided.

    Attributes
    ----------
    network : Network
        With plain calendars; its `initial` stocks are those at time 0.
    start : PlantState
    comings : tuple of Coming
        What arrives, what running batches release, and what units hold at 0.
    ready : mapping of str to float
        By unit, when it has ended and can be emptied of what it ran or held at 0.
    before : mapping of str to (str, float)
        By unit, the task before the first one, and when a changeover from it could begin.
    """

    network: Network
    start: PlantState
    comings: tuple[Coming, ...]
    ready: dict[str, float]
    before: dict[str, tuple[str, float]]

    def soonest(self) -> dict[str, float]:
        """Return the earliest start of each task, whatever units are free."""
        came: dict[str, list[tuple[float, float]]] = {}
        for coming in self.comings:
            came.setdefault(coming.state, []).append((coming.time, coming.amount))
        states = {
            name: replace(state, arrivals=tuple(sorted(came.get(name, ()))), zero_wait=False)
            for name, state in self.network.states.items()
        }
        return dict(soonest_times(replace(self.network, states=states))[0])

    def first_start(self, unit: str, task: str) -> float:
        """Return when a task can start on a unit as the first one, cleanings apart."""
        rules = self.network.unit_rules.get(unit)
        soonest = self.ready.get(unit, 0.0)
        if rules is not None and unit in self.before:
            last, finished = self.before[unit]
            soonest = max(soonest, finished + rules.changeovers.get((last, task), 0.0))
        return soonest


def open_with_amounts(
    network: Network, problem: Problem, start: PlantState | None, *, horizon: float
) -> Opening:
    """Gather what a plant starts with, over a horizon.

    Parameters
    ----------
    network : Network
    problem : Problem
        Its `start` says when time 0 is, for weekly patterns.
    start : PlantState or None
    horizon : float
        In the plant's time unit.
    """
    network = with_calendars(network, start=problem.start, horizon=horizon)
    state = start or PlantState()
    if start is not None:
        stocks = {
            name: each if each.unlimited else replace(each, initial=start.stock(network, name))
            for name, each in network.states.items()
        }
        network = replace(network, states=stocks)
    same = time_tolerance(horizon)
    comings = [
        Coming(state=name, amount=amount, time=time)
        for name, each in network.states.items()
        for time, amount in each.arrivals
        if amount > 0 and time <= horizon + same
    ]
    earlier = batches_before_start(state, network)
    unloaded = {unit: unloaded_at(batch, network, horizon) for unit, batch in earlier.items()}
    for batch in state.running:
        recipe = network.tasks[batch.task]
        raw = batch.releases(network)
        for name, time in release_times(batch, network, horizon).items():
            unit = batch.unit if raw[name] >= batch.remaining - same else None
            amount = recipe.produces[name] * batch.size
            comings.append(Coming(state=name, amount=amount, time=time, unit=unit))
    for unit, row in state.held.items():
        ready = held_until(unit, network, horizon)
        comings += [Coming(state=n, amount=a, time=ready, unit=unit) for n, a in row.items()]
    return Opening(
        network=network,
        start=state,
        comings=tuple(c for c in comings if not network.states[c.state].unlimited),
        ready={unit: max(0.0, time) for unit, time in unloaded.items()},
        before={unit: (earlier[unit].task, time) for unit, time in unloaded.items()},
    )
