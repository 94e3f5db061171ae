"""The plant as nouns: states, tasks, units, utilities, and the network they form.

Every noun is checked when it is made and cannot change afterwards; none of them knows a solver or
a file format. Amounts and times are in the plant's own units throughout (kg or t, h or min).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import pairwise
from numbers import Real
from typing import Any, TypeVar

from stnopt.errors import InvalidNetworkError

FRACTION_TOLERANCE = 1e-6
"""How far the fractions of a batch may sum from 1: room for thirds with six decimals."""

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyMapping(Mapping[K, V]):
    """A mapping that keeps its order and never changes; unlike a mapping proxy it can be pickled.

    Parameters
    ----------
    items : mapping
        Copied, so that later changes to it do not reach the noun that holds the copy.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


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

    def __post_init__(self) -> None:
        owner = f"state {self.name!r}"
        problems = name_problems("a state", self.name)
        initial = _settle_number(self, "initial", owner, problems, least=0.0, finite=False)
        capacity = _settle_number(self, "capacity", owner, problems, least=0.0, finite=False)
        _settle_number(self, "price", owner, problems)
        _settle_number(self, "cost", owner, problems, least=0.0)
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
        _refuse(problems)

    @property
    def unlimited(self) -> bool:
        """Whether its supply never runs out."""
        return self.initial == math.inf


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
        smallest = _settle_number(self, "min_batch", owner, problems, least=0.0)
        largest = _settle_number(self, "max_batch", owner, problems, above=0.0)
        fixed_time = _settle_number(self, "fixed_time", owner, problems, least=0.0)
        slope = _settle_number(self, "time_per_amount", owner, problems, least=0.0)
        _settle_number(self, "fixed_cost", owner, problems, least=0.0)
        _settle_number(self, "cost_per_amount", owner, problems, least=0.0)
        if smallest > largest:
            problems.append(f"{owner}: min_batch {smallest:g} exceeds max_batch {largest:g}")
        shortest = fixed_time + smallest * slope
        if shortest == 0:
            problems.append(
                f"{owner}: a batch of {smallest:g} would take no time; give a positive fixed_time"
                " (or both a positive min_batch and time_per_amount)"
            )
        releases = _settle_mapping(self, "release_time", owner, problems)
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
                for utility, value in _settle_mapping(self, key, owner, problems).items()
            }
            nonzero = {utility: value for utility, value in draws.items() if value}
            object.__setattr__(self, key, ReadOnlyMapping(nonzero))
        _refuse(problems)

    def duration(self, size: float) -> float:
        """Time that a batch of amount `size` takes."""
        return self.fixed_time + size * self.time_per_amount

    @property
    def utilities(self) -> tuple[str, ...]:
        """Names of the utilities that its batches draw on."""
        return tuple(dict.fromkeys((*self.draws, *self.draws_per_amount)))

    def draw(self, utility: str, size: float) -> float:
        """Return what a batch of amount `size` draws of a utility, in the utility's unit."""
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
        self._settle_fractions("consumes", owner, problems)
        self._settle_fractions("produces", owner, problems)
        units = _settle_mapping(self, "units", owner, problems)
        if not units:
            problems.append(f"{owner}: units is empty; name at least one unit that can run it")
        for unit, suitability in units.items():
            if not isinstance(suitability, Suitability):
                problems.append(f"{owner} on unit {unit!r}: expected a Suitability")
                continue
            if (suitability.task, suitability.unit) != (self.name, unit):
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
        _refuse(problems)

    def _settle_fractions(self, side: str, owner: str, problems: list[str]) -> None:
        """Check that `consumes` or `produces` are positive fractions that sum to 1."""
        n_before = len(problems)
        shares = _settle_mapping(self, side, owner, problems)
        for state, share in shares.items():
            where = f"{owner}: {side} fraction of {state!r}"
            shares[state] = checked_number(share, where, problems, above=0.0)
        object.__setattr__(self, side, ReadOnlyMapping(shares))
        if len(problems) > n_before:
            return
        total = math.fsum(shares.values())
        if not shares:
            problems.append(f"{owner}: {side} is empty; name at least one state and its fraction")
        elif abs(total - 1.0) > FRACTION_TOLERANCE + math.ulp(1.0):  # 3 * 0.333333 is within
            problems.append(f"{owner}: {side} fractions sum to {total:.9g}, expected 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a unit allows besides its tasks: when it is away, and what it needs between batches.

    Parameters
    ----------
    name : str
        The unit's name.
    unavailable : tuple of (float, float)
        Periods of maintenance or absence, from start to end, in order of time. No batch overlaps
        one and nothing waits in the unit during one; a batch may end when one starts and start
        when it ends.
    changeovers : mapping of (str, str) to float
        Per pair of tasks that follow each other directly on the unit, the least time between the
        finish of the first batch and the start of the next. The unit is cleaned right before the
        next batch: until the changeover begins, the first batch may wait in it. A pair that is
        left out needs no time, nor does a time of 0.

    Raises
    ------
    InvalidNetworkError
        With every problem of this unit.
    """

    name: str
    unavailable: tuple[tuple[float, float], ...] = ()
    changeovers: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner = f"unit {self.name!r}"
        problems = name_problems("a unit", self.name)
        self._settle_unavailable(owner, problems)
        self._settle_changeovers(owner, problems)
        _refuse(problems)

    def _settle_unavailable(self, owner: str, problems: list[str]) -> None:
        """Check that the periods have an end after their start and do not overlap; sort them."""
        given = self.unavailable
        if isinstance(given, str) or not isinstance(given, Iterable):
            problems.append(f"{owner}: unavailable must be a list of periods, got {given!r}")
            return
        periods = []
        for period in given:
            if isinstance(period, str) or not isinstance(period, Iterable):
                problems.append(f"{owner}: unavailable needs pairs of times, got {period!r}")
                continue
            times = tuple(period)
            if len(times) != 2:
                problems.append(f"{owner}: unavailable needs pairs of times, got {list(times)}")
                continue
            where = f"{owner}: unavailable period {list(times)}"
            start = checked_number(times[0], f"{where}: its start", problems, least=0.0)
            end = checked_number(times[1], f"{where}: its end", problems)
            if start >= end:
                problems.append(f"{where}: its end must be after its start")
            elif start < end:
                periods.append((start, end))
        periods.sort()
        for (_, end), (start, later) in pairwise(periods):
            if start < end:
                problems.append(
                    f"{owner}: the unavailable period [{start:g}, {later:g}] starts before the "
                    f"one until {end:g} has ended; write them as one"
                )
        object.__setattr__(self, "unavailable", tuple(periods))

    def _settle_changeovers(self, owner: str, problems: list[str]) -> None:
        """Check that the changeovers are times per pair of tasks."""
        given = self.changeovers
        if not isinstance(given, Mapping):
            problems.append(f"{owner}: changeovers must be a mapping, got {given!r}")
            return
        times = {}
        for pair, time in given.items():
            if not isinstance(pair, tuple) or len(pair) != 2:
                problems.append(
                    f"{owner}: changeovers needs pairs of tasks (first, next), got {pair!r}"
                )
                continue
            unusable = [
                problem
                for task in pair
                for problem in name_problems(f"{owner}: a task in changeovers", task)
            ]
            problems.extend(unusable)
            if not unusable:
                where = f"{owner}: changeover from {pair[0]!r} to {pair[1]!r}"
                times[pair] = checked_number(time, where, problems, least=0.0)
        nonzero = {pair: time for pair, time in times.items() if time}
        object.__setattr__(self, "changeovers", ReadOnlyMapping(nonzero))


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """A shared resource, such as steam or operators, that running batches draw on.

    Parameters
    ----------
    name : str
        The utility's name.
    capacity : float
        What all running batches together may draw at any instant. A batch draws from its start
        to its finish; one that ends frees its share for one that starts at that instant.

    Raises
    ------
    InvalidNetworkError
        With every problem of this utility.
    """

    name: str
    capacity: float

    def __post_init__(self) -> None:
        problems = name_problems("a utility", self.name)
        _settle_number(self, "capacity", f"utility {self.name!r}", problems, least=0.0)
        _refuse(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A batch plant as a state-task network.

    Two networks are equal when their parts are, whatever the order of states, tasks and units.

    Parameters
    ----------
    name : str
        The plant's name.
    states : mapping of str to State
        Its materials, by name.
    tasks : mapping of str to Task
        What can be done with them, by name.
    amount_unit, time_unit : str
        Labels for tables and plots; any consistent units work.
    citation, description : str
        Where the data come from, and what to know about them.
    unit_rules : mapping of str to Unit
        Maintenance and changeovers, by unit, for units that have any; `units` names them all.
    utilities : mapping of str to Utility
        What running batches share, by name.

    Raises
    ------
    InvalidNetworkError
        With every problem that shows when the parts are put together.
    """

    name: str
    states: Mapping[str, State]
    tasks: Mapping[str, Task]
    amount_unit: str = ""
    time_unit: str = ""
    citation: str = ""
    description: str = ""
    unit_rules: Mapping[str, Unit] = field(default_factory=dict)
    utilities: Mapping[str, Utility] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = name_problems("the plant", self.name)
        for label in _LABELS:
            if not isinstance(getattr(self, label), str):
                problems.append(f"{label} must be text, got {getattr(self, label)!r}")
        states: dict[str, State] = self._settle_parts("states", State, problems)
        tasks: dict[str, Task] = self._settle_parts("tasks", Task, problems)
        recipes = {name: (task.consumes, task.produces) for name, task in tasks.items()}
        problems.extend(reference_problems(states, recipes))
        rules: dict[str, Unit] = self._settle_parts("unit_rules", Unit, problems)
        utilities: dict[str, Utility] = self._settle_parts("utilities", Utility, problems)
        terms = [entry for task in tasks.values() for entry in task.units.values()]
        problems.extend(rule_problems(rules, utilities, terms))
        _refuse(problems)
        # A unit without any rule is as if it had been left out.
        ruled = {name: unit for name, unit in rules.items() if unit.unavailable or unit.changeovers}
        object.__setattr__(self, "unit_rules", ReadOnlyMapping(ruled))

    def _settle_parts(
        self, label: str, kind: type[State | Task | Unit | Utility], problems: list[str]
    ) -> dict[str, Any]:
        """Check that a mapping holds parts of that kind, each under its own name."""
        given = _settle_mapping(self, label, "the plant", problems)
        object.__setattr__(self, label, ReadOnlyMapping(given))
        parts = {}
        for name, part in given.items():
            if not isinstance(part, kind):
                problems.append(f"{label}: {name!r} must be a {kind.__name__}, got {part!r}")
                continue
            if part.name != name:
                problems.append(f"{label}: {name!r} holds the one named {part.name!r}")
            parts[name] = part
        return parts

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the units, in the order of first appearance."""
        return tuple(dict.fromkeys(unit for task in self.tasks.values() for unit in task.units))

    @property
    def suitabilities(self) -> tuple[Suitability, ...]:
        """Every pair of a task and a unit that can run it, in the order of the tasks."""
        return tuple(entry for task in self.tasks.values() for entry in task.units.values())

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the states with a positive price."""
        return tuple(name for name, state in self.states.items() if state.price > 0)

    def producers(self, state: str) -> tuple[str, ...]:
        """Names of the tasks that produce the state."""
        return tuple(name for name, task in self.tasks.items() if state in task.produces)

    def consumers(self, state: str) -> tuple[str, ...]:
        """Names of the tasks that consume the state."""
        return tuple(name for name, task in self.tasks.items() if state in task.consumes)

    def most_made(self, state: str) -> dict[str, float]:
        """Return the largest amount of a state that one batch makes on each unit that makes it."""
        most: dict[str, float] = {}
        for suitability in self.suitabilities:
            share = self.tasks[suitability.task].produces.get(state, 0.0)
            if share:
                made = share * suitability.max_batch
                most[suitability.unit] = max(most.get(suitability.unit, 0.0), made)
        return most

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all that changes a schedule or its value.

        These are the names of states, tasks, units and utilities and every number; neither the
        plant's own name nor its labels, nor the order in which anything is listed. A key left out
        and the same key with its default value are one plant.
        """
        plant = self.to_dict()
        sections = ("states", "tasks", "units", "utilities")
        content = {section: plant[section] for section in sections if section in plant}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Write the plant as the mapping that a plant file holds; defaults are left out.

        Returns
        -------
        dict
            Of plain dicts, text, numbers and booleans; `read_network` turns it into an equal
            network.
        """
        plant: dict[str, Any] = {"name": self.name}
        plant |= {label: getattr(self, label) for label in _LABELS if getattr(self, label)}
        plant["states"] = {name: _state_entry(state) for name, state in self.states.items()}
        plant["tasks"] = {
            name: {
                "consumes": dict(task.consumes),
                "produces": dict(task.produces),
                "units": {unit: _unit_entry(entry) for unit, entry in task.units.items()},
            }
            for name, task in self.tasks.items()
        }
        if self.unit_rules:
            plant["units"] = {name: _rules_entry(unit) for name, unit in self.unit_rules.items()}
        if self.utilities:
            plant["utilities"] = {
                name: {"capacity": utility.capacity} for name, utility in self.utilities.items()
            }
        return plant


_LABELS = ("amount_unit", "time_unit", "citation", "description")


def reference_problems(
    states: Mapping[str, State], recipes: Mapping[str, tuple[Iterable[str], Iterable[str]]]
) -> list[str]:
    """Find what does not fit together between states and tasks, going by their names alone.

    Parameters
    ----------
    states : mapping of str to State
        The plant's states.
    recipes : mapping of str to pair
        Per task, the names of the states that it consumes and of those that it produces.
    """
    problems = [
        f"the plant has no {what}; give at least one"
        for what, parts in (("states", states), ("tasks", recipes))
        if not parts
    ]
    for task, (consumes, produces) in recipes.items():
        for verb, named in (("consumes", consumes), ("produces", produces)):
            problems.extend(
                f"task {task!r} {verb} the unknown state {state!r}{did_you_mean(state, states)}"
                for state in named
                if state not in states
            )
    consumed = {state for consumes, _ in recipes.values() for state in consumes}
    produced = {state for _, produces in recipes.values() for state in produces}
    for name, state in states.items():
        if name not in consumed | produced:
            problems.append(f"state {name!r} is neither consumed nor produced by any task")
        elif state.zero_wait and name not in consumed:
            problems.append(
                f"state {name!r} is zero_wait, but no task consumes it: it has nowhere to go"
            )
    return problems


def rule_problems(
    rules: Mapping[str, Unit], utilities: Collection[str], terms: Iterable[Suitability]
) -> list[str]:
    """Find what does not fit between units' rules, utilities and tasks, going by their names alone.

    Parameters
    ----------
    rules : mapping of str to Unit
        What the plant says about single units.
    utilities : collection of str
        Names of the plant's utilities.
    terms : iterable of Suitability
        Every pair of a task and a unit that can run it.
    """
    problems: list[str] = []
    tasks_on: dict[str, list[str]] = {}
    for entry in terms:
        tasks_on.setdefault(entry.unit, []).append(entry.task)
        problems.extend(
            f"task {entry.task!r} on unit {entry.unit!r} draws on the unknown utility "
            f"{utility!r}{did_you_mean(utility, utilities)}"
            for utility in entry.utilities
            if utility not in utilities
        )
    for name, unit in rules.items():
        if name not in tasks_on:
            problems.append(
                f"unit {name!r} has rules, but no task runs on it{did_you_mean(name, tasks_on)}"
            )
            continue
        named = dict.fromkeys(task for pair in unit.changeovers for task in pair)
        problems.extend(
            f"unit {name!r}: changeovers names the task {task!r}, which does not run on it"
            f"{did_you_mean(task, tasks_on[name])}"
            for task in named
            if task not in tasks_on[name]
        )
    return problems


def name_problems(what: str, name: object) -> list[str]:
    """Find what keeps a name from being printed, written to a file and read back as it is."""
    if isinstance(name, str) and name and name.isprintable() and name == name.strip():
        return []
    return [
        f"{what} needs a name that is text, printable and without blanks around it, got {name!r}"
    ]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End an error's sentence with the closest known word, or the empty text if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _state_entry(state: State) -> dict[str, Any]:
    entry = _changed_fields(state, but=("name",))
    if state.unlimited:
        entry["initial"] = "unlimited"
    return entry


def _unit_entry(suitability: Suitability) -> dict[str, Any]:
    mappings = ("release_time", "draws", "draws_per_amount")
    entry = _changed_fields(suitability, but=("task", "unit", *mappings))
    return entry | {key: dict(given) for key in mappings if (given := getattr(suitability, key))}


def _rules_entry(unit: Unit) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if unit.unavailable:
        entry["unavailable"] = [list(period) for period in unit.unavailable]
    changeovers: dict[str, dict[str, float]] = {}
    for (first, following), time in unit.changeovers.items():
        changeovers.setdefault(first, {})[following] = time
    return entry | ({"changeovers": changeovers} if changeovers else {})


def _changed_fields(noun: State | Suitability, *, but: tuple[str, ...]) -> dict[str, Any]:
    """Fields whose value is not the default, in the order of declaration."""
    return {
        f.name: getattr(noun, f.name)
        for f in fields(noun)
        if f.name not in but and (f.default is MISSING or getattr(noun, f.name) != f.default)
    }


def _amount(value: float) -> str:
    return "unlimited" if value == math.inf else f"{value:g}"


def _settle_number(
    noun: State | Suitability | Utility,
    name: str,
    owner: str,
    problems: list[str],
    *,
    least: float | None = None,
    above: float | None = None,
    finite: bool = True,
) -> float:
    """Check a noun's number and store it as a float; NaN, which no comparison holds for, if bad."""
    label = f"{owner}: {name}"
    value = checked_number(
        getattr(noun, name), label, problems, least=least, above=above, finite=finite
    )
    object.__setattr__(noun, name, value)
    return value


def checked_number(
    value: object,
    label: str,
    problems: list[str],
    *,
    least: float | None = None,
    above: float | None = None,
    finite: bool = True,
) -> float:
    """Return a value as a float; NaN, which no comparison holds for, with its problem if bad."""
    if isinstance(value, bool) or not isinstance(value, Real):
        problems.append(f"{label} must be a number, got {value!r}")
        return math.nan
    try:
        number = float(value) + 0.0  # minus zero becomes zero, so that equal plants hash equally
    except OverflowError:
        number = math.inf
    if math.isnan(number) or (finite and math.isinf(number)):
        problems.append(f"{label} must be finite, got {number}")
    elif least is not None and number < least:
        problems.append(f"{label} must be at least {least:g}, got {number:g}")
    elif above is not None and number <= above:
        problems.append(f"{label} must be more than {above:g}, got {number:g}")
    else:
        return number
    return math.nan


def _settle_mapping(
    noun: Suitability | Task | Network, name: str, owner: str, problems: list[str]
) -> dict[str, Any]:
    """Copy a noun's mapping without the keys that are not text; empty if it is no mapping."""
    given = getattr(noun, name)
    if not isinstance(given, Mapping):
        problems.append(f"{owner}: {name} must be a mapping, got {given!r}")
        return {}
    for key in given:
        problems.extend(name_problems(f"{owner}: an entry of {name}", key))
    return {key: value for key, value in given.items() if isinstance(key, str)}


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InvalidNetworkError(problems)
