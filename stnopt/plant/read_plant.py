"""The section `plant:` of a file: from plain values to a network.

What can be read is read, what cannot is reported and left out (or replaced by something harmless),
and the nouns' own checks run on the rest, so that one error holds all there is to mend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from stnopt.errors import InvalidNetworkError
from stnopt.plant.network import Network, reference_problems
from stnopt.plant.recipe import STATE_KEYS, State, Suitability, Task
from stnopt.plant.rules import UNIT_RULES, Unit, Utility, rule_problems
from stnopt.plant.values import (
    described,
    known_entries,
    made,
    named_entries,
    read_number,
    read_numbers,
    read_pairs,
    read_text,
    readable_numbers,
)

BESIDE_PLANT = ("problem", "now", "reference")


_LABELS = ("citation", "description", "amount_unit", "time_unit")


_TASK_KEYS = ("consumes", "produces", "units")


_UNIT_NUMBERS = (
    "min_batch",
    "max_batch",
    "fixed_time",
    "time_per_amount",
    "fixed_cost",
    "cost_per_amount",
)


_DRAWS = {"draws": "draw", "draws_per_amount": "draw per amount"}


_INSIDE_PLANT = dict.fromkeys(
    ("units", "utilities"), "belongs to the plant; move it under the key plant"
)


def read_plant_document(document: object, problems: list[str], source: str) -> Network:
    """Find the plant in a document and read it."""
    if not isinstance(document, Mapping):
        raise InvalidNetworkError(
            [
                *problems,
                "expected a mapping with the keys name, states and tasks, got "
                + described(document),
            ],
            source=source,
        )
    plant = document
    if "plant" in document:
        known_entries(
            document, "beside plant", ("plant", *BESIDE_PLANT), (), problems, _INSIDE_PLANT
        )
        plant = document["plant"]
    network = _read_plant(plant, problems)
    if network is None or problems:
        raise InvalidNetworkError(problems, source=source)
    return network


def _read_plant(plant: object, problems: list[str]) -> Network | None:
    """Read a plant; None, with its problems added, if it has any."""
    required = ("states", "tasks")
    sections = (*required, "units", "utilities")
    elsewhere = dict.fromkeys(
        BESIDE_PLANT, "belongs beside the plant; move the plant under the key plant"
    )
    entries = known_entries(
        plant, "the plant", ("name", *_LABELS, *sections), ("name", *required), problems, elsewhere
    )
    texts = {
        key: read_text(entries[key], key, problems) for key in ("name", *_LABELS) if key in entries
    }
    given = {key: named_entries(entries[key], key, problems) for key in sections if key in entries}
    states = {
        name: _read_state(name, entry, problems) for name, entry in given.get("states", {}).items()
    }
    recipes: dict[str, tuple[Iterable[str], Iterable[str]]] = {}
    terms: list[Suitability] = []
    tasks: dict[str, Task] = {}
    for name, entry in given.get("tasks", {}).items():
        task = _read_task(name, entry, problems, recipes, terms)
        if task is not None:
            tasks[name] = task
    rules = {
        name: _read_unit_rules(name, entry, problems)
        for name, entry in given.get("units", {}).items()
    }
    utilities = {
        name: _read_utility(name, entry, problems)
        for name, entry in given.get("utilities", {}).items()
    }
    if not problems:
        try:
            return Network(
                **texts, states=states, tasks=tasks, unit_rules=rules, utilities=utilities
            )
        except InvalidNetworkError as error:
            problems.extend(error.problems)
            return None
    # What was named is still looked up, unless a list of names could not be read.
    if all(isinstance(entries.get(section), Mapping) for section in required):
        problems.extend(reference_problems(states, recipes))
        if all(_names_units(entry) for entry in given["tasks"].values()) and isinstance(
            entries.get("utilities", {}), Mapping
        ):
            problems.extend(rule_problems(rules, utilities, terms))
    return None


def _names_units(task: object) -> bool:
    return isinstance(task, Mapping) and isinstance(task.get("units"), Mapping)


def _read_state(name: str, entry: object, problems: list[str]) -> State:
    """Read a state; a harmless one of that name if it has problems."""
    owner = f"state {name!r}"
    # A state with nothing to say about it may be written as `S2:` alone.
    given = {} if entry is None else entry
    entries = known_entries(given, owner, tuple(STATE_KEYS), (), problems)
    values: dict[str, Any] = {}
    for key, value in entries.items():
        where, kind = f"{owner}: {key}", STATE_KEYS[key].kind
        if kind == "flag":
            if isinstance(value, bool):
                values[key] = value
            else:
                problems.append(f"{where} must be true or false, got {described(value)}")
        elif kind == "steps":
            values[key] = read_pairs(value, where, problems)
        elif kind == "supply" and value == "unlimited":
            values[key] = math.inf
        else:
            number = read_number(value, where, problems, instead=STATE_KEYS[key].instead)
            if number is not None:
                values[key] = number
    return made(State, problems, name=name, **values) or State(
        name=name, zero_wait=values.get("zero_wait", False)
    )


def _read_task(
    name: str,
    entry: object,
    problems: list[str],
    recipes: dict[str, tuple[Iterable[str], Iterable[str]]],
    terms: list[Suitability],
) -> Task | None:
    """Read a task, and note which states and units it names, whatever else is wrong with it."""
    owner = f"task {name!r}"
    entries = known_entries(entry, owner, _TASK_KEYS, _TASK_KEYS, problems)
    consumes = _read_fractions(entries, "consumes", owner, problems)
    produces = _read_fractions(entries, "produces", owner, problems)
    recipes[name] = (consumes or (), produces or ())
    units: dict[str, Suitability] | None = None
    if "units" in entries:
        n_before = len(problems)
        given = named_entries(entries["units"], f"{owner}: units", problems)
        if given or len(problems) == n_before:
            units = {
                unit: _read_suitability(name, unit, entry, problems)
                for unit, entry in given.items()
            }
            terms.extend(units.values())
    # What was reported as missing or unreadable must not be reported again as empty.
    return made(
        Task,
        problems,
        name=name,
        consumes=_equal_shares(("missing",)) if consumes is None else consumes,
        produces=_equal_shares(("missing",)) if produces is None else produces,
        units={"missing": _stand_in(name, "missing", ())} if units is None else units,
    )


def _read_fractions(
    entries: Mapping[str, object], side: str, owner: str, problems: list[str]
) -> dict[str, float] | None:
    """Read `consumes` or `produces`; None if it is missing or no mapping."""
    if not isinstance(entries.get(side), Mapping):
        if side in entries:
            problems.append(
                f"{owner}: {side} must be a mapping of states to fractions, got "
                + described(entries[side])
            )
        return None
    n_before = len(problems)
    shares = read_numbers(entries[side], f"{owner}: {side}", "fraction", problems)
    # A sum with a term that could not be read says nothing.
    return shares if len(problems) == n_before else _equal_shares(shares)


def _read_suitability(task: str, unit: str, entry: object, problems: list[str]) -> Suitability:
    """Read what a unit needs for a task; a harmless entry of that name if it has problems."""
    owner = f"task {task!r} on unit {unit!r}"
    required = ("max_batch", "fixed_time")
    known = (*_UNIT_NUMBERS, "release_time", *_DRAWS)
    entries = known_entries(entry, owner, known, required, problems)
    values: dict[str, Any] = {}
    for key in _UNIT_NUMBERS:
        if key in entries:
            number = read_number(entries[key], f"{owner}: {key}", problems)
            if number is not None:
                values[key] = number
    releases = {}
    if "release_time" in entries:
        releases = read_numbers(entries["release_time"], f"{owner}: release_time", "time", problems)
    readable = {state: time for state, time in releases.items() if not math.isnan(time)}
    draws = {
        key: read_numbers(entries[key], f"{owner}: {key}", words, problems)
        for key, words in _DRAWS.items()
        if key in entries
    }
    drawn = {key: readable_numbers(numbers) for key, numbers in draws.items()}
    # Whatever stands in for a number that could not be read must not break a rule of its own.
    values.setdefault("max_batch", abs(values.get("min_batch", 0.0)) + 1.0)
    values.setdefault("fixed_time", max((1.0, *readable.values())))
    return made(
        Suitability, problems, task=task, unit=unit, **values, release_time=readable, **drawn
    ) or _stand_in(task, unit, releases, [utility for row in drawn.values() for utility in row])


def _read_unit_rules(name: str, entry: object, problems: list[str]) -> Unit:
    """Read a unit's rules; harmless ones about the same tasks if they have problems."""
    owner = f"unit {name!r}"
    given = {} if entry is None else entry
    entries = known_entries(given, owner, tuple(UNIT_RULES), (), problems)
    fields: dict[str, Any] = {}
    for key, value in entries.items():
        read = UNIT_RULES[key].read(value, owner, problems)
        shared = {k: fields[k] | read[k] for k in read if k in fields}  # weekly, of several kinds
        fields |= read | shared
    harmless: dict[str, Any] = {}
    for rule in UNIT_RULES.values():
        harmless |= rule.stand_in(fields)
    return made(Unit, problems, name=name, **fields) or Unit(name=name, **harmless)


def _read_utility(name: str, entry: object, problems: list[str]) -> Utility:
    """Read a utility; a harmless one of that name if it has problems."""
    owner = f"utility {name!r}"
    entries = known_entries(entry, owner, ("capacity",), ("capacity",), problems)
    if isinstance(entries.get("capacity"), list | tuple):
        steps = read_pairs(entries["capacity"], f"{owner}: capacity", problems)
        return made(Utility, problems, name=name, capacity=steps or [(0.0, 0.0)]) or Utility(
            name=name, capacity=0.0
        )
    capacity = None
    if "capacity" in entries:
        instead = "leave the utility out"
        capacity = read_number(entries["capacity"], f"{owner}: capacity", problems, instead=instead)
    known = 0.0 if capacity is None else capacity
    return made(Utility, problems, name=name, capacity=known) or Utility(name=name, capacity=0.0)


def _equal_shares(states: Iterable[str]) -> dict[str, float]:
    names = tuple(states)
    return dict.fromkeys(names, 1.0 / len(names)) if names else {}


def _stand_in(
    task: str, unit: str, released: Iterable[str], drawn: Iterable[str] = ()
) -> Suitability:
    """Harmless numbers under the names that were given, so that the names can still be checked."""
    return Suitability(
        task=task,
        unit=unit,
        max_batch=1.0,
        fixed_time=1.0,
        release_time=dict.fromkeys(released, 1.0),
        draws=dict.fromkeys(drawn, 1.0),
    )
