"""A plant on a uniform time grid, as arrays: batches last whole steps, never less than they take.

A batch may take one of several numbers of steps ("modes"), each of which limits its size. Since
nothing is shorter than in time, the order of batches on the grid is one in time, too, and
`improve.retime` gives each its exact times. One function per rule of the plant.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.capacity_bound import value_terms
from stnopt.scheduling.search.improve import PlacedBatch
from stnopt.solvers.linear_program import ProgramBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import State, Suitability
    from stnopt.solvers.linear_program import Program

#: Rounding in a number of steps.
_ROUNDING = 1e-7
#: A mode that holds less than this share of a full batch is left out.
_LEAST_MODE = 0.3
#: Least share of a full batch where changeovers are: an empty batch would shorten one.
_LEAST_SHARE = 1e-5
#: What a missed amount costs, in terms of the dearest amount that a batch makes or uses.
_MISSED = 100.0
#: For a makespan: worth of a full horizon of earlier starts, in terms of a missed amount.
_EARLY = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A batch of at most `most` that takes `steps` of the grid, on a pair of task and unit."""

    number: int  # of the suitability
    suitability: Suitability
    steps: int
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The program of a problem on a grid, and what its columns mean.

    Attributes
    ----------
    program : Program
        It maximises; for cost minus the cost, for makespan minus what is missed of the demand.
    width : float
        Of a step, in the plant's time unit.
    n_steps : int
    modes : tuple of Mode
    run, size : (n,) arrays of columns
        One batch each: whether it runs, and its amount.
    mode_of, start_of, steps_of : (n,) arrays
        Their modes, starts and lengths, in steps.
    unit_of : (n,) array of numbers of units
    stock : mapping of str to (n_steps + 1,) array of columns
        What there is of a state after each point, in storage or units.
    waiting : mapping of (state, unit) to (n_steps + 1,) array of columns
        What waits in a unit from a point to the next.
    missed, missed_at : (m,) arrays of columns and of points
        Amounts by which a delivery (at a point) or a target (after the last point) is missed.
    """

    network: Network
    problem: Problem
    program: Program
    width: float
    n_steps: int
    modes: tuple[Mode, ...]
    run: NDArray[np.int64]
    size: NDArray[np.int64]
    mode_of: NDArray[np.int64]
    start_of: NDArray[np.int64]
    steps_of: NDArray[np.int64]
    unit_of: NDArray[np.int64]
    stock: dict[str, NDArray[np.int64]]
    waiting: dict[tuple[str, str], NDArray[np.int64]]
    missed: NDArray[np.int64]
    missed_at: NDArray[np.int64]
    penalty: float

    @property
    def largest(self) -> float:
        """Largest batch of the plant."""
        return max(mode.suitability.max_batch for mode in self.modes)

    @property
    def in_best_mode(self) -> NDArray[np.bool_]:
        """Whether a batch is in the mode of most throughput of its task on its unit, (n,) array."""
        first = np.ones(len(self.modes), bool)
        for number in range(1, len(self.modes)):
            first[number] = self.modes[number].number != self.modes[number - 1].number
        return first[self.mode_of]

    def missed_amount(self, x: NDArray[np.float64]) -> float:
        """Return how much of the demand a solution misses."""
        return float(np.sum(x[self.missed]))

    def place(self, x: NDArray[np.float64]) -> list[PlacedBatch]:
        """Read the order of the batches of a solution."""
        placed = []
        for index in np.flatnonzero(x[self.run] > 0.5):
            mode = self.modes[self.mode_of[index]]
            start = int(self.start_of[index])
            task = self.network.tasks[mode.suitability.task]
            if x[self.size[index]] <= 0 and mode.suitability.min_batch == 0:
                continue
            releases = {
                state: (start + release_steps(mode, state, self.width)) * self.width
                for state in task.produces
            }
            placed.append(
                PlacedBatch(
                    suitability=mode.suitability,
                    start=start * self.width,
                    finish=(start + mode.steps) * self.width,
                    releases=releases,
                )
            )
        return placed


def choose_modes(network: Network, width: float, *, most: int) -> tuple[Mode, ...]:
    """List in how many steps each batch may run: full ones, and shorter ones by throughput."""
    modes = []
    for number, fit in enumerate(network.suitabilities):
        shortest = max(1, math.ceil(fit.duration(fit.min_batch) / width - _ROUNDING))
        longest = max(1, math.ceil(fit.duration(fit.max_batch) / width - _ROUNDING))
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


def release_steps(mode: Mode, state: str, width: float) -> int:
    """Return how many steps after its start a batch releases a state."""
    early = mode.suitability.release_time.get(state)
    if early is None:
        return mode.steps
    return min(mode.steps, math.ceil(early / width - _ROUNDING))


@dataclass(slots=True, kw_only=True)
class _Draft:
    """What the functions below add to; rows as they are needed by several rules."""

    rows: ProgramBuilder
    network: Network
    problem: Problem
    width: float
    n_steps: int
    modes: tuple[Mode, ...]
    starts: list[NDArray[np.int64]] = field(default_factory=list)  # per mode
    run: list[NDArray[np.int64]] = field(default_factory=list)
    size: list[NDArray[np.int64]] = field(default_factory=list)
    stock: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    waiting: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)
    missed: list[int] = field(default_factory=list)
    missed_at: list[int] = field(default_factory=list)
    penalty: float = 1.0

    def periods(self, unit: str) -> list[tuple[int, int]]:
        """List a unit's periods away, in steps, from outside."""
        rule = self.network.unit_rules.get(unit)
        return [
            (math.floor(start / self.width + _ROUNDING), math.ceil(end / self.width - _ROUNDING))
            for start, end in (rule.unavailable if rule else ())
        ]

    def changeover(self, unit: str, one: str, other: str) -> int:
        rule = self.network.unit_rules.get(unit)
        time = rule.changeovers.get((one, other), 0.0) if rule else 0.0
        return math.ceil(time / self.width - _ROUNDING)

    def on_unit(self, unit: str) -> list[int]:
        return [n for n, mode in enumerate(self.modes) if mode.suitability.unit == unit]

    def miss(self, point: int, most: float = math.inf) -> int:
        column = self.rows.column(upper=most, cost=-self.penalty)
        self.missed.append(column)
        self.missed_at.append(point)
        return column


def build_grid(network: Network, problem: Problem, *, width: float, modes: Sequence[Mode]) -> Grid:
    """Build the program of a problem on a grid (docs/long_horizons.md).

    References
    ----------
    Kondili, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 211,
    doi:10.1016/0098-1354(93)80015-F; Shah, Pantelides & Sargent (1993), Comput. Chem. Eng. 17, 229,
    doi:10.1016/0098-1354(93)80016-G.
    """
    assert problem.horizon is not None
    draft = _Draft(
        rows=ProgramBuilder(),
        network=network,
        problem=problem,
        width=width,
        n_steps=math.floor(problem.horizon / width + _ROUNDING),
        modes=tuple(modes),
    )
    _add_batches(draft)
    _add_batch_sizes(draft)
    _add_unit_allocation(draft)
    _add_changeovers(draft)
    _add_stocks(draft)
    _add_storage(draft)
    _add_utilities(draft)
    _add_demand(draft)
    counts = [len(starts) for starts in draft.starts]
    mode_of = np.repeat(np.arange(len(draft.modes)), counts)
    units = {unit: n for n, unit in enumerate(network.units)}
    return Grid(
        network=network,
        problem=problem,
        program=draft.rows.build(),
        width=width,
        n_steps=draft.n_steps,
        modes=draft.modes,
        run=np.concatenate([np.zeros(0, int), *draft.run]),
        size=np.concatenate([np.zeros(0, int), *draft.size]),
        mode_of=mode_of,
        start_of=np.concatenate([np.zeros(0, int), *draft.starts]),
        steps_of=np.array([mode.steps for mode in draft.modes], dtype=int)[mode_of],
        unit_of=np.array([units[m.suitability.unit] for m in draft.modes], dtype=int)[mode_of],
        stock=draft.stock,
        waiting=draft.waiting,
        missed=np.array(draft.missed, dtype=int),
        missed_at=np.array(draft.missed_at, dtype=int),
        penalty=draft.penalty,
    )


def _add_batches(draft: _Draft) -> None:
    """Columns of batches where their unit is there, and what they are worth."""
    kind = draft.problem.objective
    offset, per_amount, per_batch = value_terms(draft.network, kind)
    draft.rows.offset = offset
    least = np.array([max(m.suitability.min_batch, 0.1 * m.most) for m in draft.modes])
    batch_worth = np.array([abs(per_batch[m.number]) for m in draft.modes]) / least
    dearest = float(np.max(np.abs(per_amount), initial=0.0) + np.max(batch_worth, initial=0.0))
    draft.penalty = _MISSED * (dearest or 1.0)
    for mode in draft.modes:
        starts = np.arange(max(0, draft.n_steps - mode.steps + 1))
        for begin, end in draft.periods(mode.suitability.unit):
            starts = starts[(starts >= end) | (starts + mode.steps <= begin)]
        early = 0.0
        if kind == "makespan":
            most = max(m.most for m in draft.modes)
            early = _EARLY * draft.penalty * most / max(1, draft.n_steps) ** 2
        draft.starts.append(starts)
        draft.run.append(
            draft.rows.columns(
                len(starts),
                upper=1.0,
                cost=per_batch[mode.number] - early * (starts + mode.steps),
                integer=True,
            )
        )
        draft.size.append(
            draft.rows.columns(len(starts), upper=mode.most, cost=per_amount[mode.number])
        )


def _add_batch_sizes(draft: _Draft) -> None:
    """min_batch * run <= size <= most * run."""
    rows = draft.rows
    for n, mode in enumerate(draft.modes):
        count = len(draft.starts[n])
        limit = rows.rows(count, upper=0.0)
        rows.put(limit, draft.size[n], 1.0)
        rows.put(limit, draft.run[n], -mode.most)
        fit = mode.suitability
        rule = draft.network.unit_rules.get(fit.unit)
        smallest = max(
            fit.min_batch, _LEAST_SHARE * fit.max_batch if rule and rule.changeovers else 0.0
        )
        if smallest > 0:
            limit = rows.rows(count, lower=0.0)
            rows.put(limit, draft.size[n], 1.0)
            rows.put(limit, draft.run[n], -smallest)


def _add_unit_allocation(draft: _Draft) -> None:
    """At most one batch on a unit in each step."""
    for unit in draft.network.units:
        busy = draft.rows.rows(draft.n_steps, upper=1.0)
        _put_busy(draft, busy, unit, 1.0)


def _put_busy(draft: _Draft, rows: NDArray[np.int64], unit: str, factor: float) -> None:
    """Add factor * (a batch runs) to one row per step."""
    for n in draft.on_unit(unit):
        for step in range(draft.modes[n].steps):
            draft.rows.put(rows[draft.starts[n] + step], draft.run[n], factor)


def _add_changeovers(draft: _Draft) -> None:
    """No start of j at p if i ended within the changeover's time before: for each such pair.

    Sum of run over batches of i that end in (p - time, p] <= n * (1 - starts of j at p), where n of
    them fit into that time. (Whether a third task ran in between is passed over.)
    """
    rows = draft.rows
    for unit, rule in draft.network.unit_rules.items():
        on_unit = draft.on_unit(unit)
        for one, other in rule.changeovers:
            time = draft.changeover(unit, one, other)
            first = [n for n in on_unit if draft.modes[n].suitability.task == one]
            following = [n for n in on_unit if draft.modes[n].suitability.task == other]
            if not (time and first and following):
                continue
            fitting = math.ceil(time / min(draft.modes[n].steps for n in first))
            apart = rows.rows(draft.n_steps + 1, upper=float(fitting))
            for n in following:
                rows.put(apart[draft.starts[n]], draft.run[n], float(fitting))
            for n in first:
                ends = draft.starts[n] + draft.modes[n].steps
                for later in range(time):
                    inside = ends + later <= draft.n_steps
                    rows.put(apart[(ends + later)[inside]], draft.run[n][inside], 1.0)


def _needs_levels(draft: _Draft, state: State) -> bool:
    """Whether anything can be wrong with a state's stock before the end."""
    return bool(
        draft.network.consumers(state.name)
        or state.zero_wait
        or math.isfinite(state.capacity)
        or any(due.state == state.name for due in draft.problem.deliveries)
    )


def _add_stocks(draft: _Draft) -> None:
    """Stock after a point = before + released - taken - delivered.

    A delivery between two points leaves at the first. A state that nothing takes has its stock at
    the end only, if it is asked for.
    """
    rows, last = draft.rows, draft.n_steps
    for state in draft.network.states.values():
        if state.unlimited:
            continue
        levels = _needs_levels(draft, state)
        if not levels and state.name not in draft.problem.targets:
            continue
        count = last + 1 if levels else 1
        columns = rows.columns(count, upper=0.0 if state.zero_wait else math.inf)
        draft.stock[state.name] = columns
        change = np.zeros(count)
        change[0] = state.initial
        balance = rows.rows(count, lower=change, upper=change)
        rows.put(balance, columns, 1.0)
        rows.put(balance[1:], columns[:-1], -1.0)
        for n, mode in enumerate(draft.modes):
            task = draft.network.tasks[mode.suitability.task]
            share = task.produces.get(state.name)
            if share:
                at = draft.starts[n] + release_steps(mode, state.name, draft.width)
                rows.put(balance[at if levels else 0], draft.size[n], -share)
            share = task.consumes.get(state.name)
            if share:
                rows.put(balance[draft.starts[n]], draft.size[n], share)
        for due in draft.problem.deliveries:
            if due.state == state.name:
                point = min(last, math.floor(due.time / draft.width + _ROUNDING))
                column = rows.column(lower=due.amount, upper=due.amount)
                rows.put(balance[point], column, 1.0)
                rows.put(balance[point], draft.miss(point, due.amount), -1.0)


def _add_storage(draft: _Draft) -> None:
    """Keep stored = stock - waiting between 0 and the capacity.

    waiting[p] <= M (1 - runs in step p - is cleaned), <= waiting[p-1] + released at the end of a
    batch at p; none while the unit is away. What is delivered between two points is still there.
    """
    rows, last = draft.rows, draft.n_steps
    for state in draft.network.states.values():
        name = state.name
        if name not in draft.stock or state.zero_wait or not math.isfinite(state.capacity):
            continue
        room = np.full(last + 1, state.capacity)
        for due in draft.problem.deliveries:
            point = math.floor(due.time / draft.width + _ROUNDING)
            if due.state == name and due.time > point * draft.width * (1 + _ROUNDING):
                room[min(last, point)] -= due.amount
        stored = rows.rows(last + 1, lower=0.0, upper=np.maximum(room, 0.0))
        rows.put(stored, draft.stock[name], 1.0)
        for unit in _keeping_units(draft, name):
            columns = _add_waiting(draft, name, unit)
            draft.waiting[name, unit] = columns
            rows.put(stored, columns, -1.0)


def _keeping_units(draft: _Draft, state: str) -> list[str]:
    """List the units in which a state may wait: those that release it as a batch ends."""
    units = {
        mode.suitability.unit
        for mode in draft.modes
        if state in draft.network.tasks[mode.suitability.task].produces
        and release_steps(mode, state, draft.width) == mode.steps
    }
    return sorted(units)


def _add_waiting(draft: _Draft, state: str, unit: str) -> NDArray[np.int64]:
    rows, last = draft.rows, draft.n_steps
    most = draft.network.most_made(state)[unit]
    upper = np.full(last + 1, most)
    for begin, end in draft.periods(unit):
        upper[begin : max(begin, min(end, last + (end > last)))] = 0.0
    if any(begin < last <= end for begin, end in draft.periods(unit)):
        upper[last] = 0.0
    columns = rows.columns(last + 1, upper=upper)
    idle = rows.rows(last, upper=most)
    rows.put(idle, columns[:-1], 1.0)
    _put_busy(draft, idle, unit, most)
    keeps = rows.rows(last + 1, upper=0.0)
    rows.put(keeps, columns, 1.0)
    rows.put(keeps[1:], columns[:-1], -1.0)
    producers: dict[str, list[int]] = defaultdict(list)
    for n in draft.on_unit(unit):
        mode = draft.modes[n]
        share = draft.network.tasks[mode.suitability.task].produces.get(state)
        if share and release_steps(mode, state, draft.width) == mode.steps:
            rows.put(keeps[draft.starts[n] + mode.steps], draft.size[n], -share)
            producers[mode.suitability.task].append(n)
    for n in draft.on_unit(unit):
        following = draft.modes[n].suitability.task
        cleaning = max(draft.changeover(unit, task, following) for task in producers)
        for before in range(1, cleaning + 1):
            inside = draft.starts[n] >= before
            clean = rows.rows(int(inside.sum()), upper=most)
            rows.put(clean, columns[draft.starts[n][inside] - before], 1.0)
            rows.put(clean, draft.run[n][inside], most)
    return columns


def _add_utilities(draft: _Draft) -> None:
    """Draws of all that runs in a step <= capacity."""
    rows = draft.rows
    for name, utility in draft.network.utilities.items():
        within = rows.rows(draft.n_steps, upper=utility.capacity)
        for n, mode in enumerate(draft.modes):
            fit = mode.suitability
            for step in range(mode.steps if name in fit.utilities else 0):
                at = within[draft.starts[n] + step]
                rows.put(at, draft.run[n], fit.draws.get(name, 0.0))
                rows.put(at, draft.size[n], fit.draws_per_amount.get(name, 0.0))


def _add_demand(draft: _Draft) -> None:
    """Stock at the end + missed >= target (== for `exactly`, with what is over)."""
    exact = draft.problem.sense == "exactly"
    for state, amount in draft.problem.targets.items():
        terms = [(int(draft.stock[state][-1]), 1.0), (draft.miss(draft.n_steps + 1, amount), 1.0)]
        if exact:
            terms.append((draft.miss(draft.n_steps + 1), -1.0))
        draft.rows.row(terms, lower=amount, upper=amount if exact else math.inf)
