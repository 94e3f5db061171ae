"""What a plant can demand besides its recipe: the nouns of a unit and of a utility.

Each key of a unit is a file in `stnopt/plant/unit_rules/` that knows how it is read, checked,
written and told; `Unit` holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.arguments import NUMBER, check_arguments
from stnopt.plant.checks import did_you_mean, name_problems, refuse, store_number, store_steps
from stnopt.plant.unit_rules.changeovers import ChangeoversRule
from stnopt.plant.unit_rules.clean_after import CleanAfter, CleanAfterRule
from stnopt.plant.unit_rules.periods import PeriodsRule, store_weekly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stnopt.plant.calendar import WeeklyPeriod
    from stnopt.plant.recipe import Suitability
    from stnopt.plant.unit_rules.contract import UnitRule


UNIT_RULES: dict[str, UnitRule] = {
    rule.key: rule
    for rule in (
        PeriodsRule("unavailable", "has unavailable periods", "the unit is empty"),
        PeriodsRule(
            "unattended", "is unattended at times", "it may run, but nothing starts or is unloaded"
        ),
        PeriodsRule("paused", "is paused at times", "a running batch stops and goes on after"),
        ChangeoversRule(),
        CleanAfterRule(),
    )
}
"""What can be said about a unit, in the order it is written; a new key enters here."""


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
        when it ends. One that starts before 0, of any kind, has begun.
    changeovers : mapping of (str, str) to float
        Per pair of tasks that follow each other directly on the unit, the least time between the
        finish of the first batch and the start of the next. The unit is cleaned right before the
        next batch: until the changeover begins, the first batch may wait in it. A pair that is
        left out needs no time, nor does a time of 0.
    clean_after : CleanAfter or None
        How often the unit must be cleaned.
    unattended : tuple of (float, float)
        Periods in which the unit may run or hold, and nothing starts or is unloaded: what would
        leave it inside leaves it when the period ends.
    paused : tuple of (float, float)
        Periods in which nothing starts and a running batch stops; it goes on when the period ends,
        draws nothing meanwhile, and releases that much later.
    weekly : mapping of str to tuple of WeeklyPeriod
        By kind ("unavailable", "unattended", "paused"), periods that come back every week.

    Raises
    ------
    InvalidNetworkError
        With every problem of this unit.
    """

    name: str
    unavailable: tuple[tuple[float, float], ...] = ()
    changeovers: Mapping[tuple[str, str], float] = field(default_factory=dict)
    clean_after: CleanAfter | None = None
    unattended: tuple[tuple[float, float], ...] = ()
    paused: tuple[tuple[float, float], ...] = ()
    weekly: Mapping[str, tuple[WeeklyPeriod, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owner = f"unit {self.name!r}"
        problems = name_problems("a unit", self.name)
        store_weekly(self, owner, problems)
        for rule in UNIT_RULES.values():
            rule.settle(self, owner, problems)
        refuse(problems)

    @property
    def has_rules(self) -> bool:
        """Whether anything is said about the unit; one without rules is as if left out."""
        return bool(written_rules(self))


def written_rules(unit: Unit) -> dict[str, Any]:
    """Return what is said about a unit as a plant file has it."""
    written = {key: rule.written(unit) for key, rule in UNIT_RULES.items()}
    return {key: value for key, value in written.items() if value}


def times_before(unit: Unit, task: str) -> list[float]:
    """Return how long before a batch of a task the unit may have to be empty."""
    return [time for rule in UNIT_RULES.values() for time in rule.times_before(unit, task)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """A shared resource, such as steam or operators, that running batches draw on.

    Parameters
    ----------
    name : str
        The utility's name.
    capacity : float or list of (float, float)
        What all running batches together may draw at any instant. A batch draws from its start
        to its finish; one that ends frees its share for one that starts at that instant. A list of
        steps, such as [[0, 100], [8, 60]], says from when on how much there is; `capacity` is then
        the largest, and `steps` has them all.

    Raises
    ------
    InvalidNetworkError
        With every problem of this utility.
    """

    name: str
    capacity: float
    steps: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        problems = name_problems("a utility", self.name)
        owner = f"utility {self.name!r}"
        if isinstance(self.capacity, list | tuple):
            if not self.capacity:
                problems.append(f"{owner}: capacity needs at least one step")
            object.__setattr__(self, "steps", self.capacity)
            object.__setattr__(self, "capacity", 0.0)
        steps = store_steps(self, "steps", f"{owner}: capacity", problems, least=0.0)
        if steps and steps[0][0] > 0:
            problems.append(
                f"{owner}: capacity needs a step at time 0, the first is at {steps[0][0]:g}"
            )
        if steps:
            object.__setattr__(self, "capacity", max(level for _, level in steps))
        store_number(self, "capacity", f"utility {self.name!r}", problems, least=0.0)
        refuse(problems)

    def capacity_at(self, time: float) -> float:
        """Return what may be drawn from a time on, until the next step."""
        check_arguments(time=(time, NUMBER))
        level = self.capacity
        for begin, amount in self.steps:
            if begin <= time:
                level = amount
        return level


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
        problems.extend(
            f"unit {name!r}: {rule.key} names the task {task!r}, which does not run on it"
            f"{did_you_mean(task, tasks_on[name])}"
            for rule in UNIT_RULES.values()
            for task in rule.tasks(unit)
            if task not in tasks_on[name]
        )
    return problems
