"""What a plant can demand besides its recipe: one noun per rule.

Each noun names itself in the set of rules that a plant demands, which every formulation compares
with what it supports (`stnopt.scheduling.formulations`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from stnopt.arguments import NUMBER, check_arguments, is_listed
from stnopt.plant.calendar import KINDS, WeeklyPeriod
from stnopt.plant.checks import (
    ReadOnlyMapping,
    checked_number,
    did_you_mean,
    name_problems,
    refuse,
    settle_mapping,
    settle_number,
    settle_steps,
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
        for kind in KINDS:
            self._settle_periods(kind, owner, problems)
        self._settle_weekly(owner, problems)
        self._settle_changeovers(owner, problems)
        if self.clean_after is not None and not isinstance(self.clean_after, CleanAfter):
            problems.append(f"{owner}: clean_after must be a CleanAfter, got {self.clean_after!r}")
        refuse(problems)

    @property
    def has_rules(self) -> bool:
        """Whether anything is said about the unit; one without rules is as if left out."""
        return bool(
            self.changeovers
            or self.clean_after
            or self.weekly
            or any(getattr(self, kind) for kind in KINDS)
        )

    def _settle_periods(self, kind: str, owner: str, problems: list[str]) -> None:
        """Check that the periods have an end after their start and do not overlap; sort them."""
        given = getattr(self, kind)
        if not is_listed(given):
            problems.append(f"{owner}: {kind} must be a list of periods, got {given!r}")
            return
        periods = []
        for period in given:
            if isinstance(period, str) or not isinstance(period, Iterable):
                problems.append(f"{owner}: {kind} needs pairs of times, got {period!r}")
                continue
            times = tuple(period)
            if len(times) != 2:
                problems.append(f"{owner}: {kind} needs pairs of times, got {list(times)}")
                continue
            where = f"{owner}: {kind} period {list(times)}"
            start = checked_number(times[0], f"{where}: its start", problems)
            end = checked_number(times[1], f"{where}: its end", problems)
            if start >= end:
                problems.append(f"{where}: its end must be after its start")
            elif end <= 0:
                problems.append(f"{where}: it has ended before time 0; leave it out")
            elif start < end:
                periods.append((start, end))
        periods.sort()
        for (_, end), (start, later) in pairwise(periods):
            if start < end:
                problems.append(
                    f"{owner}: the {kind} period [{start:g}, {later:g}] starts before the "
                    f"one until {end:g} has ended; write them as one"
                )
        object.__setattr__(self, kind, tuple(periods))

    def _settle_weekly(self, owner: str, problems: list[str]) -> None:
        """Check that the weekly periods are of a kind, and do not overlap themselves."""
        given = settle_mapping(self, "weekly", owner, problems)
        settled = {}
        for kind, patterns in given.items():
            if kind not in KINDS:
                problems.append(f"{owner}: weekly must be one of {', '.join(KINDS)}, got {kind!r}")
                continue
            ordered = sorted(patterns, key=lambda pattern: pattern.start)
            week = 7 * 24 * 60
            for one, other in pairwise([*ordered, *ordered[:1]]):
                begins = other.start + (week if other is ordered[0] else 0)
                if len(ordered) > 1 and begins < one.start + one.length:
                    problems.append(
                        f"{owner}: the weekly {kind} periods {one.written()} and "
                        f"{other.written()} overlap; write them as one"
                    )
            if ordered:
                settled[kind] = tuple(ordered)
        object.__setattr__(self, "weekly", ReadOnlyMapping(settled))

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
        steps = settle_steps(self, "steps", f"{owner}: capacity", problems, least=0.0)
        if steps and steps[0][0] > 0:
            problems.append(
                f"{owner}: capacity needs a step at time 0, the first is at {steps[0][0]:g}"
            )
        if steps:
            object.__setattr__(self, "capacity", max(level for _, level in steps))
        settle_number(self, "capacity", f"utility {self.name!r}", problems, least=0.0)
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
        named = dict.fromkeys(task for pair in unit.changeovers for task in pair)
        problems.extend(
            f"unit {name!r}: changeovers names the task {task!r}, which does not run on it"
            f"{did_you_mean(task, tasks_on[name])}"
            for task in named
            if task not in tasks_on[name]
        )
    return problems
