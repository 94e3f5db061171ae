"""What is given before anything is decided, as batches that a model has to run.

A batch that runs at time 0, material that waits in a unit then, the task that a unit ran last,
material that arrives, and a utility that is there in part only: each becomes a batch of a task of
its own, at a fixed time, so that a formulation's equations hold for it as they stand. It draws what
it is made of from a state of its own, costs nothing, and is left out of the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from stnopt.plant.calendar import with_calendars
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.plant.rules import Unit
from stnopt.plant.state import PlantState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stnopt.plant.network import Network

#: Length of what takes no time, as a share of the horizon: far below what counts as the same time.
_NO_TIME = 1e-10
#: What arrives at the horizon's end arrives this share of it before.
_JUST_BEFORE = 1e-9


class GivenBatch(NamedTuple):
    """A batch that runs whatever is decided.

    Attributes
    ----------
    task, unit : str
        Names in the network that is given.
    start : float
        In the plant's time unit.
    anywhere : bool
        Whether it may stand at any event point (its time is fixed), or at a unit's first one only.
        What runs at 0 may, where others take what it makes from elsewhere before it ends: who
        takes at a later event point waits for it.
    outside : bool
        Whether its unit is none of the plant's.
    empty : bool
        Whether nothing comes of it.
    """

    task: str
    unit: str
    start: float
    anywhere: bool
    outside: bool
    empty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A plant with what is given in it, for the use of formulations.

    Attributes
    ----------
    network : Network
        With the stocks of the state, plain calendars, and tasks for the given batches.
    batches : tuple of GivenBatch
    since_cleaning : mapping of str to int
        Batches since a unit's last cleaning, those that run included.
    """

    network: Network
    batches: tuple[GivenBatch, ...] = ()
    since_cleaning: Mapping[str, int] = field(default_factory=dict)

    @property
    def outside(self) -> frozenset[str]:
        """Units that are none of the plant's."""
        return frozenset(batch.unit for batch in self.batches if batch.outside)


def open_plant(
    network: Network,
    *,
    start: PlantState | None,
    date: datetime | None,
    horizon: float,
    from_outside: bool,
    in_units: bool = True,
    steps: bool = True,
) -> Given:
    """Put the plant's state, and what comes from outside, into a network of its own.

    Parameters
    ----------
    network : Network
    start : PlantState or None
    date : datetime or None
        When time 0 is, for weekly patterns.
    horizon : float
    from_outside : bool
        Whether arrivals become batches; else they stay as they are.
    steps : bool
        Whether what a utility lacks at times becomes batches; else they stay as they are.
    in_units : bool
        Whether what is in a unit at 0 occupies it. Else it is there when it is released, with the
        unit away until its running batch ends: a relaxation, since nothing waits in the unit.

    Returns
    -------
    Given
        The network itself where nothing is given.
    """
    network = with_calendars(network, start=date, horizon=horizon)
    work = _Opening(network, start or PlantState(), horizon)
    if start is not None:
        work.set_stocks()
        work.add_units(in_units=in_units)
    if from_outside:
        work.add_arrivals()
    if steps:
        work.add_steps()
    return work.given()


class _Opening:
    """A network under construction."""

    def __init__(self, network: Network, start: PlantState, horizon: float) -> None:
        self.network, self.start, self.horizon = network, start, horizon
        self.states = dict(network.states)
        self.tasks = dict(network.tasks)
        self.rules = dict(network.unit_rules)
        self.utilities = dict(network.utilities)
        self.batches: list[GivenBatch] = []
        self.none = _NO_TIME * horizon

    def given(self) -> Given:
        same = (
            self.states == dict(self.network.states)
            and not self.batches
            and self.rules == dict(self.network.unit_rules)
        )
        network = self.network
        if not same:
            network = replace(
                network,
                states=self.states,
                tasks=self.tasks,
                unit_rules=self.rules,
                utilities=self.utilities,
            )
        counts = dict(self.start.since_cleaning)
        return Given(network=network, batches=tuple(self.batches), since_cleaning=counts)

    def set_stocks(self) -> None:
        for name in self.start.stocks:
            stock = self.start.stock(self.network, name)
            self.states[name] = replace(self.states[name], initial=stock)

    def add_units(self, *, in_units: bool) -> None:
        """Add what runs, waits, or ran last in each unit."""
        for running in self.start.running:
            recipe = self.network.tasks[running.task]
            fit = recipe.units[running.unit]
            coming = {
                state: (recipe.produces[state] * running.size, time)
                for state, time in running.releases(self.network).items()
            }
            draws = {name: fit.draw(name, running.size) for name in fit.utilities}
            label = f"{running.task} on {running.unit} (running)"
            if in_units:
                self._add(
                    label,
                    running.unit,
                    0.0,
                    running.remaining,
                    coming,
                    draws,
                    anywhere=self._comes_from_elsewhere(running.unit, coming),
                )
                self._follow(label, running.unit, running.task, 0.0)
            else:
                self._add_to_plant(label, coming)
                self._keep_away(running.unit, running.remaining)
        for unit in dict.fromkeys([*self.start.held, *self.start.last]):
            held = {s: (a, self.none) for s, a in self.start.held.get(unit, {}).items()}
            last = self.start.last.get(unit)
            rules = self.rules.get(unit)
            if not held and not (last and rules and rules.changeovers):
                continue
            name = f"{last.task} on {unit} (last)" if last else f"held in {unit}"
            if in_units:
                self._add(name, unit, 0.0, self.none, held, {})
                if last:
                    self._follow(name, unit, last.task, 0.0 if held else last.finished)
            elif held:
                self._add_to_plant(f"held in {unit}", held)

    def add_arrivals(self) -> None:
        """Let what arrives leave a batch of a unit of its own, as what leaves early does."""
        for name, state in self.network.states.items():
            if not state.arrivals:
                continue
            self.states[name] = replace(self.states[name], arrivals=())
            for number, (time, amount) in enumerate(state.arrivals, 1):
                if time > self.horizon or amount == 0:
                    continue
                when = min(max(time, self.none), self.horizon * (1 - _JUST_BEFORE))
                label = f"arrival {number} of {name}"
                self._add_from_outside(label, name, amount, when)

    def add_steps(self) -> None:
        """Let a batch of a unit of its own draw what is not there of a utility."""
        for name, utility in self.network.utilities.items():
            if not utility.steps:
                continue
            self.utilities[name] = replace(utility, steps=())
            ends = [time for time, _ in utility.steps[1:]] + [self.horizon]
            for (time, level), end in zip(utility.steps, ends, strict=True):
                if level < utility.capacity and time < min(end, self.horizon):
                    label = f"{name} from {time:g}"
                    lacking = {name: utility.capacity - level}
                    until = min(end, self.horizon)
                    self._add(label, label, time, until - time, {}, lacking, outside=True)

    def _add_to_plant(self, label: str, coming: dict[str, tuple[float, float]]) -> None:
        """Let material come as what arrives does."""
        for state, (amount, time) in coming.items():
            name = f"{label}: {state}"
            when = min(max(time, self.none), self.horizon * (1 - _JUST_BEFORE))
            self._add_from_outside(name, state, amount, when)

    def _add_from_outside(self, label: str, state: str, amount: float, when: float) -> None:
        coming = {state: (amount, when)}
        self._add(label, label, 0.0, self.horizon, coming, {}, anywhere=True, outside=True)

    def _comes_from_elsewhere(self, unit: str, coming: Mapping[str, tuple[float, float]]) -> bool:
        """Whether somebody may take a state that a running batch makes before it is released."""
        tasks, start = self.network.tasks, self.start
        for state, (_, time) in coming.items():
            if time <= self.none or not self.network.consumers(state):
                continue
            known = self.states[state]
            makes = {u for task in self.network.producers(state) for u in tasks[task].units}
            holds = {u for u, row in start.held.items() if state in row}
            if known.initial > 0 or known.arrivals or (makes | holds) - {unit}:
                return True
        return False

    def _keep_away(self, unit: str, until: float) -> None:
        rules = self.rules.get(unit) or Unit(name=unit)
        later = [(max(a, until), b) for a, b in rules.unavailable if b > until]
        self.rules[unit] = replace(rules, unavailable=((0.0, until), *later))

    def _add(
        self,
        task: str,
        unit: str,
        start: float,
        lasts: float,
        coming: dict[str, tuple[float, float]],
        draws: dict[str, float],
        *,
        anywhere: bool = False,
        outside: bool = False,
    ) -> None:
        """Add one batch that makes amounts, each at its time after the start."""
        empty = not coming
        if empty:
            self.states[f"{task}, {unit}: gone"] = State(name=f"{task}, {unit}: gone")
            coming = {f"{task}, {unit}: gone": (1.0, lasts)}
        size = sum(amount for amount, _ in coming.values())
        source = f"{task}, {unit}: before"
        self.states[source] = State(name=source, initial=size)
        self.tasks[task] = Task(
            name=task,
            consumes={source: 1.0},
            produces={state: amount / size for state, (amount, _) in coming.items()},
            units={
                unit: Suitability(
                    task=task,
                    unit=unit,
                    min_batch=size,
                    max_batch=size,
                    fixed_time=lasts,
                    release_time={
                        state: max(time, self.none)
                        for state, (_, time) in coming.items()
                        if max(time, self.none) < lasts
                    },
                    draws=draws,
                )
            },
        )
        self.batches.append(GivenBatch(task, unit, start, anywhere, outside, empty))

    def _follow(self, task: str, unit: str, real: str, finished: float) -> None:
        """Let the changeovers from a given batch be those from its real task, less what passed."""
        rules = self.rules.get(unit)
        if rules is None or not rules.changeovers:
            return
        changeovers = dict(rules.changeovers)
        for (first, following), time in rules.changeovers.items():
            if first == real:
                changeovers[task, following] = max(0.0, time + finished)
        self.rules[unit] = replace(rules, changeovers=changeovers)
