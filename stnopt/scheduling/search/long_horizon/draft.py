"""What the rows of a grid are made from: its steps, its modes, what each unit allows when."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.worth import missed_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.search.opening import Opening
    from stnopt.solvers.linear_program import ProgramBuilder

#: Rounding in a number of steps.
ROUNDING = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A batch of at most `most` that takes `steps` of the grid, on a pair of task and unit."""

    number: int  # of the suitability
    suitability: Suitability
    steps: int
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderColumns:
    """The columns of an order on a grid.

    Attributes
    ----------
    points : (k,) array
        At which something of it may be delivered.
    there : (k,) array of columns
        Whether something is.
    amount : (k,) array of columns or None
        How much; None where it is all or nothing.
    missing : column
        The amount that is never delivered.
    others : tuple of columns
        That follow from the ones above: how late it is, whether it is complete.
    """

    points: NDArray[np.int64]
    there: NDArray[np.int64]
    amount: NDArray[np.int64] | None
    missing: int
    others: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UnitSteps:
    """What the calendars of a unit allow at the points and in the steps of a grid.

    Attributes
    ----------
    width : float
    n_steps : int
    away, unattended, paused : tuples of (float, float)
        Periods, in the plant's time unit.
    ready : float
        When it is free of what it ran or held at time 0.
    """

    width: float
    n_steps: int
    away: tuple[tuple[float, float], ...]
    unattended: tuple[tuple[float, float], ...]
    paused: tuple[tuple[float, float], ...]
    ready: float

    @property
    def away_steps(self) -> list[tuple[int, int]]:
        """Periods away in steps, from outside."""
        return [
            (
                max(0, math.floor(begin / self.width + ROUNDING)),
                math.ceil(end / self.width - ROUNDING),
            )
            for begin, end in self.away
        ]

    @cached_property
    def worked(self) -> NDArray[np.int64]:
        """How many steps up to each point have no part in a pause, (n_steps + 1,) array."""
        works = np.ones(self.n_steps, dtype=int)
        for begin, end in self.paused:
            first = max(0, math.floor(begin / self.width + ROUNDING))
            works[first : math.ceil(end / self.width - ROUNDING)] = 0
        return np.concatenate([[0], np.cumsum(works)])

    @cached_property
    def draws(self) -> NDArray[np.bool_]:
        """Whether a batch may draw on a utility in a step, (n_steps,) array."""
        draws = np.ones(self.n_steps, dtype=bool)
        for begin, end in self.paused:
            first = max(0, math.ceil(begin / self.width - ROUNDING))
            draws[first : max(first, math.floor(end / self.width + ROUNDING))] = False
        return draws

    def inside(self, periods: tuple[tuple[float, float], ...]) -> NDArray[np.bool_]:
        """Whether each point lies strictly inside a period, (n_steps + 1,) array."""
        times = np.arange(self.n_steps + 1) * self.width
        spare = ROUNDING * self.width
        found = np.zeros(self.n_steps + 1, dtype=bool)
        for begin, end in periods:
            found |= (times > begin + spare) & (times < end - spare)
        return found

    @cached_property
    def locked(self) -> NDArray[np.bool_]:
        """Whether nothing can leave the unit at a point, (n_steps + 1,) array."""
        return self.inside(self.unattended)

    @cached_property
    def may_start(self) -> NDArray[np.bool_]:
        """Whether a batch may start at a point, (n_steps + 1,) array."""
        times = np.arange(self.n_steps + 1) * self.width
        free = ~(self.locked | self.inside(self.paused))
        return free & (times >= self.ready - ROUNDING * self.width)

    @cached_property
    def out(self) -> NDArray[np.int64]:
        """When what could leave the unit at a point does, (n_steps + 1,) array of points."""
        points = np.arange(self.n_steps + 1)
        for begin, end in self.unattended:
            until = min(math.ceil(end / self.width - ROUNDING), self.n_steps)
            points[self.inside(((begin, end),))] = until
        return points

    def after(self, starts: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """Return the points at which batches have run so many steps; beyond the end: too late."""
        return np.searchsorted(self.worked, self.worked[starts] + steps)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A grid's program under construction."""

    rows: ProgramBuilder
    network: Network
    problem: Problem
    opening: Opening
    width: float
    n_steps: int
    modes: tuple[Mode, ...]
    starts: list[NDArray[np.int64]] = field(default_factory=list)  # per mode
    finishes: list[NDArray[np.int64]] = field(default_factory=list)
    run: list[NDArray[np.int64]] = field(default_factory=list)
    size: list[NDArray[np.int64]] = field(default_factory=list)
    stock: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    waiting: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)
    clean: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # per point; -1: never
    following: list[NDArray[np.int64]] = field(default_factory=list)
    orders: dict[str, OrderColumns] = field(default_factory=dict)
    missed: list[int] = field(default_factory=list)
    missed_at: list[int] = field(default_factory=list)
    penalty: float = 1.0
    units: dict[str, UnitSteps] = field(default_factory=dict)

    def changeover(self, unit: str, one: str, other: str) -> int:
        """Return a changeover in steps."""
        rule = self.network.unit_rules.get(unit)
        time = rule.changeovers.get((one, other), 0.0) if rule else 0.0
        return math.ceil(time / self.width - ROUNDING)

    def on_unit(self, unit: str) -> list[int]:
        """List the modes on a unit."""
        return [n for n, mode in enumerate(self.modes) if mode.suitability.unit == unit]

    def released(self, number: int, state: str) -> tuple[NDArray[np.int64], bool]:
        """Return when the batches of a mode give out a state, and whether that is at their end.

        Whether or not somebody is there then.
        """
        mode = self.modes[number]
        early = mode.suitability.release_time.get(state)
        if early is None:
            return self.finishes[number], True
        steps = min(mode.steps, math.ceil(early / self.width - ROUNDING))
        if steps == mode.steps:
            return self.finishes[number], True
        return self.units[mode.suitability.unit].after(self.starts[number], steps), False

    def out(self, number: int, state: str) -> tuple[NDArray[np.int64], bool]:
        """Return when a state of the batches of a mode is out of them; else as `released`."""
        points, at_end = self.released(number, state)
        return self.units[self.modes[number].suitability.unit].out[points], at_end

    def emptied(self, number: int) -> NDArray[np.int64]:
        """Return when a unit can be empty of the batches of a mode."""
        return self.units[self.modes[number].suitability.unit].out[self.finishes[number]]

    def point_from(self, time: float) -> int:
        """Return the first point that is not before a time."""
        return min(self.n_steps, max(0, math.ceil(time / self.width - ROUNDING)))

    def point_until(self, time: float) -> int:
        """Return the last point that is not after a time."""
        return min(self.n_steps, max(0, math.floor(time / self.width + ROUNDING)))

    def miss(self, state: str, point: int, most: float = math.inf) -> int:
        """Add an amount by which a demand for a state is missed."""
        cost = -self.penalty * missed_weight(self.network, state)
        column = self.rows.column(upper=most, cost=cost)
        self.missed.append(column)
        self.missed_at.append(point)
        return column

    def put_busy(self, rows: NDArray[np.int64], unit: str, factor: float) -> None:
        """Add factor * (a batch runs) to one row per step."""
        for n in self.on_unit(unit):
            starts, finishes = self.starts[n], self.finishes[n]
            for step in range(int((finishes - starts).max(initial=0))):
                inside = starts + step < finishes
                self.rows.put(rows[(starts + step)[inside]], self.run[n][inside], factor)
