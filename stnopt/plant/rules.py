"""What a plant can demand besides its recipe: one noun per rule.

Each noun names itself in the set of rules that a plant demands, which every formulation compares
with what it supports (`stnopt.scheduling.formulations`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from stnopt.plant.checks import (
    ReadOnlyMapping,
    checked_number,
    did_you_mean,
    name_problems,
    refuse,
    settle_number,
)

if TYPE_CHECKING:
    from stnopt.plant.recipe import Suitability


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanAfter:
    """How often a unit must be cleaned, and how long that takes.

    A cleaning takes `duration`, directly before the next batch, with the unit present and empty.
    It may fall together with a changeover, which is no cleaning: the longer of the two counts.
    None is owed when the horizon ends.

    Parameters
    ----------
    batches : int
        Most batches between two cleanings, at least 1.
    duration : float
        In the plant's time unit, more than 0.

    Raises
    ------
    InvalidNetworkError
        With every problem of this rule.
    """

    batches: int
    duration: float

    def __post_init__(self) -> None:
        problems: list[str] = []
        batches = checked_number(self.batches, "clean_after: batches", problems, least=1.0)
        if batches == batches and batches != int(batches):
            problems.append(f"clean_after: batches must be a whole number, got {batches:g}")
        elif batches == batches:
            object.__setattr__(self, "batches", int(batches))
        settle_number(self, "duration", "clean_after", problems, above=0.0)
        refuse(problems)


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
    clean_after : CleanAfter or None
        How often the unit must be cleaned.

    Raises
    ------
    InvalidNetworkError
        With every problem of this unit.
    """

    name: str
    unavailable: tuple[tuple[float, float], ...] = ()
    changeovers: Mapping[tuple[str, str], float] = field(default_factory=dict)
    clean_after: CleanAfter | None = None

    def __post_init__(self) -> None:
        owner = f"unit {self.name!r}"
        problems = name_problems("a unit", self.name)
        self._settle_unavailable(owner, problems)
        self._settle_changeovers(owner, problems)
        if self.clean_after is not None and not isinstance(self.clean_after, CleanAfter):
            problems.append(f"{owner}: clean_after must be a CleanAfter, got {self.clean_after!r}")
        refuse(problems)

    @property
    def has_rules(self) -> bool:
        """Whether anything is said about the unit; one without rules is as if left out."""
        return bool(self.unavailable or self.changeovers or self.clean_after)

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
        settle_number(self, "capacity", f"utility {self.name!r}", problems, least=0.0)
        refuse(problems)


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
