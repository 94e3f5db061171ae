"""A plant on a uniform time grid, as arrays: batches last whole steps, never less than they take.

A batch may take one of several numbers of steps ("modes"), each of which limits its size. Since
nothing is shorter than in time, the order of batches on the grid is one in time, too, and `retime`
gives each its exact times. One function per rule of the plant, here and in the files beside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.movements import time_of_work
from stnopt.scheduling.search.long_horizon.draft import (
    ROUNDING,
    Draft,
    Mode,
    OrderColumns,
    UnitSteps,
)
from stnopt.scheduling.search.long_horizon.grid_demands import (
    add_orders,
    add_targets,
    add_utilities,
)
from stnopt.scheduling.search.long_horizon.grid_stores import add_stocks, add_storage
from stnopt.scheduling.search.long_horizon.grid_units import (
    add_changeovers,
    add_cleanings,
    add_unit_allocation,
)
from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.scheduling.search.retiming.timing import PlacedBatch
from stnopt.scheduling.search.worth import batch_worth, order_worth, worth_without_batches
from stnopt.solvers.linear_program import ProgramBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.opening import Opening
    from stnopt.solvers.linear_program import Program

#: A mode that holds less than this share of a full batch is left out.
_LEAST_MODE = 0.3
#: Least share of a full batch where the rules count batches: an empty one would be one.
_LEAST_SHARE = 1e-5
#: What a missed amount costs, in terms of the dearest amount that a batch makes or uses.
_MISSED = 100.0
#: Less than this share of an order is rounding.
_SOME = 1e-6
#: For a makespan: worth of a full horizon of earlier starts, in terms of a missed amount.
_EARLY = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The program of a problem on a grid, and what its columns mean.

    Attributes
    ----------
    opening : Opening
        The plant and what is given in it.
    problem : Problem
    program : Program
        It maximises; for what is minimised minus that, for makespan minus what is missed of the
        demand.
    width : float
        Of a step, in the plant's time unit.
    n_steps : int
    modes : tuple of Mode
    run, size : (n,) arrays of columns
        One batch each: whether it runs, and its amount.
    mode_of, start_of, finish_of, out_of, unit_of : (n,) arrays
        Their modes, the points at which they start and end and at which all is out of them, and
        numbers of units.
    releases : tuple of dict
        Per mode and state, the points at which its batches give it out.
    stock : mapping of str to (n_steps + 1,) array of columns
        What there is of a state after each point, in storage or units.
    waiting : mapping of (state, unit) to (n_steps + 1,) array of columns
        What waits in a unit from a point to the next.
    clean : mapping of str to (n_steps + 1,) array of columns
        Whether a unit is cleaned right before a batch at a point; -1 where it cannot be.
    following : tuple of arrays of columns
        Columns per point that follow from those before.
    orders : mapping of str to OrderColumns
    missed, missed_at : (m,) arrays of columns and of points
        Amounts by which a delivery (at a point) or a target (after the last point) is missed.
    penalty : float
        Cost of a missed amount.
    """

    opening: Opening
    problem: Problem
    program: Program
    width: float
    n_steps: int
    modes: tuple[Mode, ...]
    run: NDArray[np.int64]
    size: NDArray[np.int64]
    mode_of: NDArray[np.int64]
    start_of: NDArray[np.int64]
    finish_of: NDArray[np.int64]
    out_of: NDArray[np.int64]
    unit_of: NDArray[np.int64]
    releases: tuple[dict[str, dict[int, int]], ...]
    stock: dict[str, NDArray[np.int64]]
    waiting: dict[tuple[str, str], NDArray[np.int64]]
    clean: dict[str, NDArray[np.int64]]
    following: tuple[NDArray[np.int64], ...]
    orders: dict[str, OrderColumns]
    missed: NDArray[np.int64]
    missed_at: NDArray[np.int64]
    penalty: float

    @property
    def network(self) -> Network:
        """The plant, with plain calendars and the stocks that it starts from."""
        return self.opening.network

    @property
    def largest(self) -> float:
        """Largest batch of the plant."""
        return max(mode.suitability.max_batch for mode in self.modes)

    @property
    def choices(self) -> NDArray[np.int64]:
        """Columns of what is decided besides batches: cleanings, which orders leave when."""
        columns = [columns[columns >= 0] for columns in self.clean.values()]
        for each in self.orders.values():
            columns.append(each.there[self.program.integer[each.there]])
            columns.append(np.array(each.others[1:], dtype=int))
        return np.concatenate([np.zeros(0, int), *columns])

    def late_points(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Points at which orders are delivered late, or were due and are missing, one each."""
        late = [
            int(columns.points[n])
            for order in self.problem.orders
            for columns in [self.orders[order.id]]
            for n in np.flatnonzero(x[columns.there] > _SOME)
            if columns.points[n] * self.width > order.due * (1 + ROUNDING)
        ]
        for order in self.problem.orders:
            if x[self.orders[order.id].missing] > _SOME * order.amount:
                late.append(min(self.n_steps, int(max(order.due, 0.0) / self.width) + self.longest))
        return np.array(late, dtype=int)

    def asked_between(self, x: NDArray[np.float64], first: int, last: int) -> NDArray[np.int64]:
        """Columns of orders that may change where only what is between two points does.

        One that is delivered whole at another point stays there.
        """
        columns = [np.zeros(0, int)]
        for each in self.orders.values():
            inside = (each.points >= first) & (each.points <= last)
            elsewhere = bool((x[each.there[~inside]] > 0.5).any())
            whole = each.amount is None and bool(self.program.integer[each.there].any())
            if not inside.any() or (elsewhere and whole):
                continue
            columns += [each.there[inside], np.array([each.missing, *each.others], dtype=int)]
            if each.amount is not None:
                columns.append(each.amount[inside])
        return np.unique(np.concatenate(columns))

    def cleaned_between(self, first: int, last: int) -> NDArray[np.int64]:
        """Columns of cleanings between two points, and of all that follows from them later."""
        columns = [columns[first : last + 1] for columns in self.clean.values()]
        columns = [each[each >= 0] for each in columns]
        columns += [each[first:] for each in self.following]
        return np.concatenate([np.zeros(0, int), *columns])

    @property
    def longest(self) -> int:
        """Steps of the longest batch."""
        return int((self.finish_of - self.start_of).max(initial=1))

    @property
    def path(self) -> int:
        """Steps from the first batch to the soonest one that makes something worth having."""
        soonest, network = self.opening.soonest(), self.network
        wanted = {s.name for s in network.states.values() if s.price > 0}
        wanted |= set(self.problem.targets)
        wanted |= {due.state for due in self.problem.deliveries}
        wanted |= {order.state for order in self.problem.orders}
        starts = [
            soonest[task.name] for task in network.tasks.values() if wanted & set(task.produces)
        ]
        first = min((start for start in starts if math.isfinite(start)), default=0.0)
        return math.ceil(first / self.width - ROUNDING)

    @property
    def in_best_mode(self) -> NDArray[np.bool_]:
        """Whether a batch is in the mode of most throughput of its task on its unit, (n,) array."""
        first = np.ones(len(self.modes), bool)
        for number in range(1, len(self.modes)):
            first[number] = self.modes[number].number != self.modes[number - 1].number
        return first[self.mode_of]

    def value(self, x: NDArray[np.float64]) -> float:
        """Return what a solution is worth: the objective, less what is missed; more is better."""
        return float(self.program.cost @ x) + self.program.offset

    def missed_amount(self, x: NDArray[np.float64]) -> float:
        """Return how much of the demand a solution misses, in what the largest batch makes."""
        return float(-self.program.cost[self.missed] @ x[self.missed]) / self.penalty

    def place(self, x: NDArray[np.float64]) -> list[PlacedBatch]:
        """Read the order of the batches of a solution."""
        placed = []
        horizon = self.n_steps * self.width
        for index in np.flatnonzero(x[self.run] > 0.5):
            number = int(self.mode_of[index])
            fit = self.modes[number].suitability
            size = float(x[self.size[index]])
            if size <= 0 and fit.min_batch == 0:
                continue
            start = int(self.start_of[index])
            rules = self.network.unit_rules.get(fit.unit)
            begin, pauses = start * self.width, rules.paused if rules else ()
            # It may end before a pause that it is cut by on the grid.
            ends = time_of_work(begin, fit.duration(size), pauses, horizon=horizon)
            at = self.clean.get(fit.unit)
            placed.append(
                PlacedBatch(
                    suitability=fit,
                    start=begin,
                    finish=int(self.finish_of[index]) * self.width,
                    releases={
                        state: points[start] * self.width
                        for state, points in self.releases[number].items()
                    },
                    covered=tuple((b, e) for b, e in pauses if begin <= b and e < ends),
                    cleaned=at is not None and at[start] >= 0 and x[at[start]] > 0.5,
                )
            )
        return placed

    def parts(self, x: NDArray[np.float64]) -> dict[str, list[tuple[float, float]]]:
        """Read when how much of each order is delivered."""
        parts = {}
        for order in self.problem.orders:
            columns = self.orders[order.id]
            there = np.flatnonzero(x[columns.there] > 0.5)
            amounts = np.full(len(columns.there), order.amount)
            if columns.amount is not None:
                amounts = x[columns.amount]
            parts[order.id] = [
                (min(int(columns.points[n]) * self.width, self.problem.horizon or math.inf), a)
                for n in there
                if (a := float(amounts[n])) > 0
            ]
        return parts


def choose_modes(network: Network, width: float, *, most: int) -> tuple[Mode, ...]:
    """List in how many steps each batch may run: full ones, and shorter ones by throughput."""
    modes = []
    for number, fit in enumerate(network.suitabilities):
        shortest = max(1, math.ceil(fit.duration(fit.min_batch) / width - ROUNDING))
        longest = max(1, math.ceil(fit.duration(fit.max_batch) / width - ROUNDING))
        options = []
        for steps in range(shortest, longest + 1):
            size = fit.max_batch
            if fit.time_per_amount > 0:
                size = min(size, (steps * width - fit.fixed_time) / fit.time_per_amount)
            if steps == longest or size >= max(fit.min_batch, _LEAST_MODE * fit.max_batch):
                options.append(Mode(number=number, suitability=fit, steps=steps, most=size))
        options.sort(key=lambda mode: (-mode.most / mode.steps, -mode.steps))
        modes += options[:most]
    return tuple(modes)


def build_grid(
    network: Network,
    problem: Problem,
    *,
    width: float,
    modes: Sequence[Mode],
    start: PlantState | None = None,
    opening: Opening | None = None,
) -> Grid:
    """Build the program of a problem on a grid (docs/long_horizons.md).

    References
    ----------
    Kondili, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 211,
    doi:10.1016/0098-1354(93)80015-F; Shah, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 229,
    doi:10.1016/0098-1354(93)80016-G.
    """
    assert problem.horizon is not None
    if opening is None:
        opening = open_with_amounts(network, problem, start, horizon=problem.horizon)
    draft = Draft(
        rows=ProgramBuilder(),
        network=opening.network,
        problem=problem,
        opening=opening,
        width=width,
        n_steps=math.floor(problem.horizon / width + ROUNDING),
        modes=tuple(modes),
    )
    _add_calendars(draft)
    _add_batches(draft)
    _add_batch_sizes(draft)
    add_unit_allocation(draft)
    add_changeovers(draft)
    add_cleanings(draft)
    add_orders(draft)
    add_stocks(draft)
    add_storage(draft)
    add_utilities(draft)
    add_targets(draft)
    counts = [len(starts) for starts in draft.starts]
    mode_of = np.repeat(np.arange(len(draft.modes)), counts)
    units = {unit: n for n, unit in enumerate(network.units)}
    return Grid(
        opening=opening,
        problem=problem,
        program=draft.rows.build(),
        width=width,
        n_steps=draft.n_steps,
        modes=draft.modes,
        run=np.concatenate([np.zeros(0, int), *draft.run]),
        size=np.concatenate([np.zeros(0, int), *draft.size]),
        mode_of=mode_of,
        start_of=np.concatenate([np.zeros(0, int), *draft.starts]),
        finish_of=np.concatenate([np.zeros(0, int), *draft.finishes]),
        out_of=np.concatenate(
            [np.zeros(0, int), *(draft.emptied(n) for n in range(len(draft.modes)))]
        ),
        unit_of=np.array([units[m.suitability.unit] for m in draft.modes], dtype=int)[mode_of],
        releases=tuple(_releases(draft, number) for number in range(len(draft.modes))),
        stock=draft.stock,
        waiting=draft.waiting,
        clean=draft.clean,
        following=tuple(draft.following),
        orders=draft.orders,
        missed=np.array(draft.missed, dtype=int),
        missed_at=np.array(draft.missed_at, dtype=int),
        penalty=draft.penalty,
    )


def _releases(draft: Draft, number: int) -> dict[str, dict[int, int]]:
    """Per state, at which point the batch that starts at a point gives it out."""
    task = draft.network.tasks[draft.modes[number].suitability.task]
    starts = draft.starts[number].tolist()
    return {
        state: dict(zip(starts, draft.released(number, state)[0].tolist(), strict=True))
        for state in task.produces
    }


def _add_calendars(draft: Draft) -> None:
    for unit in draft.network.units:
        rule = draft.network.unit_rules.get(unit)
        draft.units[unit] = UnitSteps(
            width=draft.width,
            n_steps=draft.n_steps,
            away=rule.unavailable if rule else (),
            unattended=rule.unattended if rule else (),
            paused=rule.paused if rule else (),
            ready=draft.opening.ready.get(unit, 0.0),
        )


def _possible_starts(draft: Draft, mode: Mode) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when a batch may start and ends, for all that its unit's calendars say."""
    fit = mode.suitability
    calendar = draft.units[fit.unit]
    soonest = draft.point_from(draft.opening.first_start(fit.unit, fit.task))
    starts = np.flatnonzero(calendar.may_start[: draft.n_steps])
    starts = starts[starts >= soonest]
    finishes = calendar.after(starts, mode.steps)
    inside = finishes <= draft.n_steps
    starts, finishes = starts[inside], finishes[inside]
    for begin, end in calendar.away_steps:
        fits = (starts >= end) | (calendar.out[finishes] <= begin)
        starts, finishes = starts[fits], finishes[fits]
    return starts, finishes


def _add_batches(draft: Draft) -> None:
    """Columns of batches where their unit is there, and what they are worth."""
    kind = draft.problem.objective
    per_amount, per_batch = batch_worth(draft.network, kind)
    draft.rows.offset = worth_without_batches(draft.opening, kind)
    least = np.array([max(m.suitability.min_batch, 0.1 * m.most) for m in draft.modes])
    least_of = np.ones(len(per_batch))
    least_of[[m.number for m in draft.modes]] = least
    dearest = float(np.max(np.abs(per_amount), initial=0.0))
    dearest += float(np.max(np.abs(per_batch) / least_of, initial=0.0))
    horizon = draft.n_steps * draft.width
    for order in draft.problem.orders:
        worth = order_worth(order, draft.problem, horizon=horizon, improve="both")
        dearest = max(dearest, worth.missing + worth.late * horizon / order.amount)
    draft.penalty = _MISSED * (dearest or 1.0)
    for mode in draft.modes:
        starts, finishes = _possible_starts(draft, mode)
        early = 0.0
        if kind == "makespan":
            most = max(m.most for m in draft.modes)
            early = _EARLY * draft.penalty * most / max(1, draft.n_steps) ** 2
        draft.starts.append(starts)
        draft.finishes.append(finishes)
        draft.run.append(
            draft.rows.columns(
                len(starts),
                upper=1.0,
                cost=per_batch[mode.number] - early * finishes,
                integer=True,
            )
        )
        draft.size.append(
            draft.rows.columns(len(starts), upper=mode.most, cost=per_amount[mode.number])
        )


def _add_batch_sizes(draft: Draft) -> None:
    """min_batch * run <= size <= most * run."""
    rows = draft.rows
    for n, mode in enumerate(draft.modes):
        count = len(draft.starts[n])
        limit = rows.rows(count, upper=0.0)
        rows.put(limit, draft.size[n], 1.0)
        rows.put(limit, draft.run[n], -mode.most)
        fit = mode.suitability
        rule = draft.network.unit_rules.get(fit.unit)
        counted = rule is not None and (rule.changeovers or rule.clean_after)
        smallest = max(fit.min_batch, _LEAST_SHARE * fit.max_batch if counted else 0.0)
        if smallest > 0:
            limit = rows.rows(count, lower=0.0)
            rows.put(limit, draft.size[n], 1.0)
            rows.put(limit, draft.run[n], -smallest)
