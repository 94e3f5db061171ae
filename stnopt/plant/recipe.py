"""States, tasks, and the terms on which a unit runs a task: the recipe of a plant as nouns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from stnopt.arguments import NUMBER, TEXT, check_arguments
from stnopt.plant.checks import (
    ReadOnlyMapping,
    checked_number,
    copy_mapping,
    did_you_mean,
    name_problems,
    refuse,
    store_number,
    store_steps,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FRACTION_TOLERANCE = 1e-6
"""How far the fractions of a batch may sum from 1: room for thirds with six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A material: what there is of it at the start, how much can be stored, what it is worth.

    Parameters
    ----------
    name : str
        The state's name.
    initial : float
        Amount in storage at time 0; `math.inf` is a supply that never runs out.
    capacity : float
        Largest amount in storage at any instant; 0 is no storage, `math.inf` no limit.
    price : float
        Value per amount in stock at the horizon's end; negative for waste.
    cost : float
        Cost per amount consumed.
    zero_wait : bool
        Whether the state must be consumed whole at the instant it is released.
    arrivals : tuple of (float, float)
        Time and amount of material that comes from outside, in order of time. It is there before
        anything is consumed at that instant, and what is left must fit into the storage.

    Raises
    ------
    InvalidNetworkError
        With every problem of this state.
    """

    name: str
    initial: float = 0.0
    capacity: float = math.inf
    price: float = 0.0
    cost: float = 0.0
    zero_wait: bool = False
    arrivals: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        owner = f"state {self.name!r}"
        problems = name_problems("a state", self.name)
        initial = store_number(self, "initial", owner, problems, least=0.0, finite=False)
        capacity = store_number(self, "capacity", owner, problems, least=0.0, finite=False)
        store_number(self, "price", owner, problems)
        store_number(self, "cost", owner, problems, least=0.0)
        if not isinstance(self.zero_wait, bool):
            problems.append(f"{owner}: zero_wait must be true or false, got {self.zero_wait!r}")
        elif self.zero_wait and initial > 0:
            problems.append(
                f"{owner}: zero_wait forbids an initial stock, got {_amount(initial)}: "
                "nothing of it may ever wait"
            )
        elif self.zero_wait and 0 < capacity < math.inf:
            problems.append(
                f"{owner}: zero_wait forbids storage, got capacity {capacity:g}: "
                "leave out one of the two"
            )
        if initial == math.inf and capacity < math.inf:
            problems.append(
                f"{owner}: an unlimited supply has no capacity, got {capacity:g}: "
                "leave out capacity, or give initial as a number"
            )
        elif initial > capacity:
            problems.append(f"{owner}: initial {initial:g} exceeds capacity {capacity:g}")
        arrivals = store_steps(self, "arrivals", owner, problems, least=0.0, strictly=False)
        if arrivals and initial == math.inf:
            problems.append(
                f"{owner}: an unlimited supply needs no arrivals; leave out one of them"
            )
        if arrivals and self.zero_wait:
            problems.append(f"{owner}: zero_wait forbids arrivals: nothing of it may ever wait")
        refuse(problems)

    @property
    def unlimited(self) -> bool:
        """Whether its supply never runs out."""
        return self.initial == math.inf


class StateKey(NamedTuple):
    """A key of a state in a file, and a column of the states' table unless it holds steps.

    Attributes
    ----------
    kind : {"supply", "amount", "number", "flag", "steps"}
        A supply is an amount or the word unlimited; an amount is not below 0; steps are pairs of
        a time and an amount.
    help : str
        What it says, for editors and templates.
    instead : str
        What to write in place of a number that is not finite.
    clause : str
        What a state that has it is told by, after its name, where that is a rule which a
        formulation has to know; else empty.
    only_restricts : bool
        Whether every schedule that keeps the rule is still one without it, of the same value.
    """

    kind: Literal["supply", "amount", "number", "flag", "steps"]
    help: str
    instead: str = ""
    clause: str = ""
    only_restricts: bool = True


STATE_KEYS: dict[str, StateKey] = {
    "initial": StateKey(
        "supply",
        "amount at time 0, or unlimited for a raw material",
        "write `initial: unlimited`",
    ),
    "capacity": StateKey(
        "amount", "finite storage; 0 is none, left out is unlimited", "leave capacity out"
    ),
    "price": StateKey("number", "value of what is in stock at the end, per amount"),
    "cost": StateKey("number", "of each amount consumed"),
    "zero_wait": StateKey("flag", "whether it must be consumed at once", clause="is zero_wait"),
    "arrivals": StateKey(
        "steps",
        "material that comes during the horizon: [[time, amount], ...]",
        clause="has arrivals",
        only_restricts=False,
    ),
}
"""What can be said about a state; a new key enters here and is a field of `State`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """A unit that can run a task: a batch of amount `B` takes `fixed_time + B * time_per_amount`.

    Parameters
    ----------
    task, unit : str
        Names of the task and of the unit.
    min_batch, max_batch : float
        Smallest and largest batch, in amount.
    fixed_time : float
        Part of a batch's duration that does not depend on its size.
    time_per_amount : float
        Duration per amount in the batch.
    fixed_cost, cost_per_amount : float
        Cost of a batch: `fixed_cost + B * cost_per_amount`.
    release_time : mapping of str to float
        Per produced state, the time after the batch's start when it leaves the unit. States that
        are not named leave when the batch ends.
    draws, draws_per_amount : mapping of str to float
        Per utility, what a batch of amount `B` draws of it from its start to its finish:
        `draws + B * draws_per_amount`, in the utility's unit. A draw of 0 is left out.

    Raises
    ------
    InvalidNetworkError
        With every problem of this entry.
    """

    task: str
    unit: str
    min_batch: float = 0.0
    max_batch: float
    fixed_time: float
    time_per_amount: float = 0.0
    fixed_cost: float = 0.0
    cost_per_amount: float = 0.0
    release_time: Mapping[str, float] = field(default_factory=dict)
    draws: Mapping[str, float] = field(default_factory=dict)
    draws_per_amount: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner = f"task {self.task!r} on unit {self.unit!r}"
        problems = name_problems("a task", self.task) + name_problems("a unit", self.unit)
        smallest = store_number(self, "min_batch", owner, problems, least=0.0)
        largest = store_number(self, "max_batch", owner, problems, above=0.0)
        fixed_time = store_number(self, "fixed_time", owner, problems, least=0.0)
        slope = store_number(self, "time_per_amount", owner, problems, least=0.0)
        store_number(self, "fixed_cost", owner, problems, least=0.0)
        store_number(self, "cost_per_amount", owner, problems, least=0.0)
        if smallest > largest:
            problems.append(f"{owner}: min_batch {smallest:g} exceeds max_batch {largest:g}")
        shortest = fixed_time + smallest * slope
        if shortest == 0:
            problems.append(
                f"{owner}: a batch of {smallest:g} would take no time; give a positive fixed_time"
                " (or both a positive min_batch and time_per_amount)"
            )
        releases = copy_mapping(self, "release_time", owner, problems)
        for state, release in releases.items():
            where = f"release_time of {state!r}"
            time = checked_number(release, f"{owner}: {where}", problems, above=0.0)
            releases[state] = time
            if time > shortest > 0:
                problems.append(
                    f"{owner}: {where} is {time:g}, after the shortest batch has ended "
                    f"({shortest:g})"
                )
        object.__setattr__(self, "release_time", ReadOnlyMapping(releases))
        for key, words in (("draws", "draw"), ("draws_per_amount", "draw per amount")):
            draws = {
                utility: checked_number(
                    value, f"{owner}: {words} of {utility!r}", problems, least=0.0
                )
                for utility, value in copy_mapping(self, key, owner, problems).items()
            }
            nonzero = {utility: value for utility, value in draws.items() if value}
            object.__setattr__(self, key, ReadOnlyMapping(nonzero))
        refuse(problems)

    def duration(self, size: float) -> float:
        """Time that a batch of amount `size` takes."""
        check_arguments(size=(size, NUMBER))
        return self.fixed_time + size * self.time_per_amount

    @property
    def utilities(self) -> tuple[str, ...]:
        """Names of the utilities that its batches draw on."""
        return tuple(dict.fromkeys((*self.draws, *self.draws_per_amount)))

    def draw(self, utility: str, size: float) -> float:
        """Return what a batch of amount `size` draws of a utility, in the utility's unit."""
        check_arguments(utility=(utility, TEXT), size=(size, NUMBER))
        return self.draws.get(utility, 0.0) + size * self.draws_per_amount.get(utility, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What turns states into states, and the units that can run it.

    Parameters
    ----------
    name : str
        The task's name.
    consumes, produces : mapping of str to float
        Per state, its fraction of the batch; the fractions are positive and sum to 1.
    units : mapping of str to Suitability
        Per unit that can run the task, on what terms.

    Raises
    ------
    InvalidNetworkError
        With every problem of this task.
    """

    name: str
    consumes: Mapping[str, float]
    produces: Mapping[str, float]
    units: Mapping[str, Suitability]

    def __post_init__(self) -> None:
        owner = f"task {self.name!r}"
        problems = name_problems("a task", self.name)
        self._store_fractions("consumes", owner, problems)
        self._store_fractions("produces", owner, problems)
        units = copy_mapping(self, "units", owner, problems)
        if not units:
            problems.append(f"{owner}: units is empty; name at least one unit that can run it")
        for unit, suitability in units.items():
            if not isinstance(suitability, Suitability):
                problems.append(f"{owner} on unit {unit!r}: expected a Suitability in units")
                continue
            named = isinstance(self.name, str)
            if named and (suitability.task, suitability.unit) != (self.name, unit):
                problems.append(
                    f"{owner} on unit {unit!r}: its Suitability is for task "
                    f"{suitability.task!r} on unit {suitability.unit!r}"
                )
            problems.extend(
                f"{owner} on unit {unit!r}: release_time names {state!r}, which the task does not "
                f"produce{did_you_mean(state, self.produces)}"
                for state in suitability.release_time
                if state not in self.produces
            )
        object.__setattr__(self, "units", ReadOnlyMapping(units))
        refuse(problems)

    def _store_fractions(self, side: str, owner: str, problems: list[str]) -> None:
        """Check that `consumes` or `produces` are positive fractions that sum to 1."""
        n_before = len(problems)
        shares = copy_mapping(self, side, owner, problems)
        for state, share in shares.items():
            where = f"{owner}: {side} fraction of {state!r}"
            shares[state] = checked_number(share, where, problems, above=0.0)
        object.__setattr__(self, side, ReadOnlyMapping(shares))
        if len(problems) > n_before:
            return
        try:
            total = math.fsum(shares.values())
        except OverflowError:
            total = math.inf
        if not shares:
            problems.append(f"{owner}: {side} is empty; name at least one state and its fraction")
        elif abs(total - 1.0) > FRACTION_TOLERANCE + math.ulp(1.0):  # 3 * 0.333333 is within
            problems.append(f"{owner}: {side} fractions sum to {total:.9g}, expected 1")


def _amount(value: float) -> str:
    return "unlimited" if value == math.inf else f"{value:g}"
