"""The plant as one noun: states, tasks, units, utilities, and the network that they form.

It is checked when it is made and cannot change afterwards; it knows neither a solver nor a file
format. Amounts and times are in the plant's own units throughout (kg or t, h or min).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.arguments import TEXT, check_arguments
from stnopt.files import write_text
from stnopt.plant.checks import (
    ReadOnlyMapping,
    changed_fields,
    copy_mapping,
    did_you_mean,
    name_problems,
    refuse,
)
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.plant.rules import Unit, Utility, rule_problems, written_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_LABELS = ("amount_unit", "time_unit", "citation", "description")


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
        states: dict[str, State] = self._store_parts("states", State, problems)
        tasks: dict[str, Task] = self._store_parts("tasks", Task, problems)
        recipes = {name: (task.consumes, task.produces) for name, task in tasks.items()}
        problems.extend(reference_problems(states, recipes))
        rules: dict[str, Unit] = self._store_parts("unit_rules", Unit, problems)
        utilities: dict[str, Utility] = self._store_parts("utilities", Utility, problems)
        terms = [entry for task in tasks.values() for entry in task.units.values()]
        problems.extend(rule_problems(rules, utilities, terms))
        refuse(problems)
        # A unit without any rule is as if it had been left out.
        ruled = {name: unit for name, unit in rules.items() if unit.has_rules}
        object.__setattr__(self, "unit_rules", ReadOnlyMapping(ruled))
        for label in ("amount_unit", "time_unit", "citation", "description"):
            object.__setattr__(self, label, getattr(self, label).strip())  # as tables keep them

    def _store_parts(
        self, label: str, kind: type[State | Task | Unit | Utility], problems: list[str]
    ) -> dict[str, Any]:
        """Check that a mapping holds parts of that kind, each under its own name."""
        given = copy_mapping(self, label, "the plant", problems)
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

    def __repr__(self) -> str:
        return (
            f"Network({self.name!r}: {len(self.states)} states, {len(self.tasks)} tasks, "
            f"{len(self.units)} units)"
        )

    def _repr_html_(self) -> str:
        """Return the network and its recipes, as notebooks show it."""
        from stnopt.page.notebook import show_network

        return show_network(self)

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
        check_arguments(state=(state, TEXT))
        return tuple(name for name, task in self.tasks.items() if state in task.produces)

    def consumers(self, state: str) -> tuple[str, ...]:
        """Names of the tasks that consume the state."""
        check_arguments(state=(state, TEXT))
        return tuple(name for name, task in self.tasks.items() if state in task.consumes)

    def most_made(self, state: str) -> dict[str, float]:
        """Return the largest amount of a state that one batch makes on each unit that makes it."""
        check_arguments(state=(state, TEXT))
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
            plant["units"] = {name: written_rules(unit) for name, unit in self.unit_rules.items()}
        if self.utilities:
            plant["utilities"] = {
                name: {"capacity": [list(s) for s in utility.steps] or utility.capacity}
                for name, utility in self.utilities.items()
            }
        return plant

    def to_yaml(self, path: Path | str | None = None) -> str:
        """Write the plant as the text of a plant file.

        Parameters
        ----------
        path : path, optional
            Also write it there, whole or not at all.

        Returns
        -------
        str
            YAML; `read_network` reads an equal network from a file of it.

        Raises
        ------
        InvalidInputError
            If the path cannot be written.
        """
        from stnopt.plant.source import written_yaml

        text = written_yaml(self.to_dict())
        if path is not None:
            write_text(path, text)
        return text


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


def _state_entry(state: State) -> dict[str, Any]:
    entry = changed_fields(state, but=("name",))
    if state.unlimited:
        entry["initial"] = "unlimited"
    if state.arrivals:
        entry["arrivals"] = [list(arrival) for arrival in state.arrivals]
    return entry


def _unit_entry(suitability: Suitability) -> dict[str, Any]:
    mappings = ("release_time", "draws", "draws_per_amount")
    entry = changed_fields(suitability, but=("task", "unit", *mappings))
    return entry | {key: dict(given) for key in mappings if (given := getattr(suitability, key))}
