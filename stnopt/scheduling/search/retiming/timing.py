"""The nouns of retiming: batches in an order, moments as linear functions, the program itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.cleanings import cleaning_time
from stnopt.scheduling.search.worth import missed_weight
from stnopt.solvers.linear_program import ProgramBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.schedule import Batch
    from stnopt.scheduling.search.opening import Opening
    from stnopt.scheduling.search.worth import Improve

#: Solver's units: the horizon and the largest batch measure this much, so that its tolerances are
#: small beside the replay's whatever the plant's units.
SCALE = 100.0
#: A demand that is missed costs so much per amount, in the solver's units: far more than any batch.
_MISSED_COST = 1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedBatch:
    """A batch as far as its order goes: when it starts, releases and ends beside the others.

    Attributes
    ----------
    suitability : Suitability
    start, finish : float
    releases : mapping of str to float
        Per produced state, when the batch gives it out, whether or not somebody is there.
    covered : tuple of (float, float)
        Pauses of its unit in which it stops.
    cleaned : bool
        Whether the unit is cleaned right before it.
    kept : Batch or None
        A batch that stays as it is: its start and size are these.
    """

    suitability: Suitability
    start: float
    finish: float
    releases: Mapping[str, float]
    covered: tuple[tuple[float, float], ...] = ()
    cleaned: bool = False
    kept: Batch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point of time as a linear function of starts and sizes, in the solver's unit."""

    terms: tuple[tuple[int, float], ...]
    constant: float = 0.0


@dataclass(slots=True, kw_only=True)
class Timing:
    """The linear program of an order of batches, and what its rows are made from.

    Attributes
    ----------
    opening : Opening
        The plant and what is given in it.
    problem : Problem
        With a horizon.
    placed : list of PlacedBatch
    parts : mapping of str to list of (float, float)
        Per order, when how much of it is delivered, as far as the order of things goes.
    width : float
        Of the grid that the order is read from: what comes off the grid comes at its next point.
    improve : {"objective", "missing share", "both"}
    rows : ProgramBuilder
    starts, sizes : lists of columns
    missed : list of columns
        Amounts short of demand.
    """

    opening: Opening
    problem: Problem
    placed: list[PlacedBatch]
    parts: Mapping[str, list[tuple[float, float]]]
    width: float = 0.0
    improve: Improve = "objective"
    rows: ProgramBuilder = field(default_factory=ProgramBuilder)
    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    latest: int | None = None
    next_on_unit: dict[int, int] = field(default_factory=dict)
    first_on_unit: dict[str, int] = field(default_factory=dict)
    part_columns: dict[str, list[tuple[int, int | float]]] = field(default_factory=dict)
    _released: dict[tuple[int, str], tuple[Moment, float]] = field(default_factory=dict)
    _instants: dict[float, int] = field(default_factory=dict)
    money: float = 1.0

    @property
    def network(self) -> Network:
        """The plant, with plain calendars."""
        return self.opening.network

    @property
    def horizon(self) -> float:
        """In the plant's time unit."""
        assert self.problem.horizon is not None
        return self.problem.horizon

    @property
    def time_unit(self) -> float:
        """The solver's unit of time, in the plant's."""
        return self.horizon / SCALE

    @property
    def amount_unit(self) -> float:
        """The solver's unit of amounts, in the plant's."""
        return max(fit.max_batch for fit in self.network.suitabilities) / SCALE

    @property
    def same(self) -> float:
        """Times no farther apart are one instant."""
        return SHARE * self.horizon

    # --- moments -----------------------------------------------------------------------------

    def start_of(self, number: int) -> Moment:
        """Return when a batch starts."""
        return Moment(terms=((self.starts[number], 1.0),))

    def finish_of(self, number: int) -> Moment:
        """Return when a batch ends, its pauses included."""
        fit, covered = self.placed[number].suitability, self.placed[number].covered
        slope = fit.time_per_amount * self.amount_unit / self.time_unit
        terms = ((self.starts[number], 1.0), (self.sizes[number], slope))
        lasts = fit.fixed_time + sum(end - begin for begin, end in covered)
        return Moment(terms=terms, constant=lasts / self.time_unit)

    def after_start(self, number: int, time: float) -> Moment:
        """Return a moment so long after a batch's start, in the plant's time."""
        return Moment(terms=((self.starts[number], 1.0),), constant=time / self.time_unit)

    def fixed(self, time: float) -> Moment:
        """Return a given time as a moment."""
        return Moment(terms=(), constant=time / self.time_unit)

    def free(self, *, lower: float = 0.0, cost: float = 0.0) -> tuple[int, Moment]:
        """Add a moment of its own, up to the horizon."""
        column = self.rows.column(lower=lower / self.time_unit, upper=SCALE, cost=cost)
        return column, Moment(terms=((column, 1.0),))

    def not_before(self, later: Moment, earlier: Moment, gap: float = 0.0) -> None:
        """Later >= earlier + gap (in the plant's time)."""
        terms = [*later.terms, *((column, -factor) for column, factor in earlier.terms)]
        constant = earlier.constant - later.constant + gap / self.time_unit
        if terms and later != earlier:
            self.rows.row(terms, lower=constant)

    def same_time(self, one: Moment, other: Moment) -> None:
        """One = other."""
        terms = [*one.terms, *((column, -factor) for column, factor in other.terms)]
        if terms and one != other:
            constant = other.constant - one.constant
            self.rows.row(terms, lower=constant, upper=constant)

    # --- what units allow --------------------------------------------------------------------

    def periods(self, unit: str, kind: str) -> tuple[tuple[float, float], ...]:
        """Periods of a unit from 0 on, by kind."""
        rule = self.network.unit_rules.get(unit)
        return tuple((max(0.0, begin), end) for begin, end in getattr(rule, kind)) if rule else ()

    def gap_before(self, number: int, following: int) -> float:
        """Return how long a unit must be empty between two batches in turn."""
        one, other = self.placed[number].suitability, self.placed[following].suitability
        rule = self.network.unit_rules.get(one.unit)
        if rule is None:
            return 0.0
        gap = rule.changeovers.get((one.task, other.task), 0.0)
        return max(gap, self.cleaning_before(following))

    def cleaning_before(self, number: int) -> float:
        """Return how long the cleaning right before a batch takes; 0 without one."""
        placed = self.placed[number]
        return cleaning_time(placed.suitability.unit, self.network) if placed.cleaned else 0.0

    # --- order -------------------------------------------------------------------------------

    def on_grid(self, time: float) -> float:
        """Return when something that comes at a time is there on the grid."""
        if not self.width:
            return time
        return max(time, math.ceil(time / self.width - 1e-7) * self.width)

    def instant(self, time: float) -> int:
        """Return the number of a time's instant."""
        return self._instants[time]

    def gather_instants(self, times: set[float]) -> None:
        """Give each time an instant; near-equal ones share it."""
        first, instant = -math.inf, -1
        for time in sorted(times):
            if time - first > self.same:
                first, instant = time, instant + 1
            self._instants[time] = instant

    def remember(self, number: int, state: str, moment: Moment, time: float) -> None:
        """Note when a batch's output can be had."""
        self._released[number, state] = (moment, time)

    def release_of(self, number: int, state: str) -> tuple[Moment, float]:
        """Return when a batch's output can be had, and where that stands in the order."""
        return self._released[number, state]

    def unloaded_of(self, number: int) -> tuple[Moment, float]:
        """Return when a unit can be empty of a batch, and where that stands in the order."""
        return self._released[number, ""]

    def miss(self, state: str, *, sign: float = 1.0) -> tuple[int, float]:
        """Add an amount by which a demand for a state is missed; far dearer than any batch.

        Returns its column, in what the largest batch makes, and the factor that it has in a row.
        """
        column = self.rows.column(cost=-_MISSED_COST)
        self.missed.append(column)
        return column, sign / missed_weight(self.network, state)
