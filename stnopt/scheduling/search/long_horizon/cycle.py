"""A pattern that repeats: a solution on a grid that is bent into a ring.

What is begun near the end of a cycle ends in the next, and stocks at the end of a cycle are those
at its beginning, but for what the horizon's first stocks and stores allow each cycle to take or to
leave. A pattern is as small as a schedule of a few batches per unit, so that many are looked at.

References
----------
Shah, Pantelides & Sargent (1993), Ann. Oper. Res. 42, 193, doi:10.1007/BF02023176 (periodic
schedules on a grid that wraps around).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_array, coo_array, csc_array, eye_array

from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import Grid, build_grid
from stnopt.scheduling.search.long_horizon.near import choose_among
from stnopt.scheduling.search.worth import missed_weight
from stnopt.solvers.linear_program import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.network import Network

#: The horizon is at least so many cycles.
_FEWEST_CYCLES = 4
#: A cycle has at most so many batches to choose from: patterns of more are not found well. The
#: shortest that there can be may have more, up to the second number.
_BATCHES, _MOST_BATCHES = 600, 900
#: So many lengths of cycles are tried on a grid.
_LENGTHS = 10
#: Gap at which laying out is good enough.
_GAP = 1e-3
#: Share of the largest batch and of the dearest amount that is nothing.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A grid bent into a ring: its program, and what its columns of batches mean.

    Attributes
    ----------
    grid : Grid
        The grid.
    length : int
        Steps of a cycle.
    program : Program
    run, size : (n,) arrays of columns
    mode, number, unit, start, steps : (n,) arrays
        Per batch; the number is that of its pair of task and unit.
    """

    grid: Grid
    length: int
    program: Program
    run: NDArray[np.int64]
    size: NDArray[np.int64]
    mode: NDArray[np.int64]
    number: NDArray[np.int64]
    unit: NDArray[np.int64]
    start: NDArray[np.int64]
    steps: NDArray[np.int64]

    @property
    def hours(self) -> float:
        """Time of a cycle."""
        return self.length * self.grid.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A solution on a ring."""

    ring: Ring
    x: NDArray[np.float64]

    @property
    def rate(self) -> float:
        """What it is worth per unit of time."""
        program = self.ring.program
        return (float(program.cost @ self.x) + program.offset) / self.ring.hours

    @property
    def is_worth_something(self) -> bool:
        """Whether repeating it is better than doing nothing."""
        worth = self.rate * self.ring.hours
        return bool(worth > _NOTHING * np.abs(self.ring.program.cost).max())

    @property
    def runs(self) -> NDArray[np.bool_]:
        """Whether each batch of the ring runs, (n,) array."""
        return self.x[self.ring.run] > 0.5


def lengths_of_cycles(n_steps: int, n_modes: int, longest: int) -> list[int]:
    """List lengths of cycles to try on a grid, in steps, the shortest first; none if too large.

    Parameters
    ----------
    n_steps, n_modes : int
        Of the grid.
    longest : int
        Steps of the longest batch.
    """
    most = _BATCHES // max(1, n_modes)
    if most < longest <= _MOST_BATCHES // max(1, n_modes):
        most = longest
    most = min(most, n_steps // _FEWEST_CYCLES)
    if most < longest:
        return []
    return np.unique(np.geomspace(longest, most, _LENGTHS).round().astype(int)).tolist()


def bend(grid: Grid, length: int) -> Ring:
    """Identify what is a cycle apart: columns, and with them rows, of a grid of some cycles.

    Rows near its ends know nothing of what lies outside and are left out; of the others, those of
    one cycle are kept. At one point of the cycle, each stock drops by what a cycle leaves of it, or
    rises by what it takes. What is demanded is made evenly, as far as that is possible.

    Parameters
    ----------
    grid : Grid
        Without orders; calendars and dates are left out.
    length : int
        Steps of a cycle; no batch takes longer.
    """
    apart = 2 * (grid.longest + 1)
    steps = length + 4 * apart
    problem = Problem(horizon=steps * grid.width, objective=grid.problem.objective)
    network = without_calendars(grid.network)
    line = build_grid(network, problem, width=grid.width, modes=grid.modes)
    program, point, column = line.program, *_number_columns(line, length)
    levels = {name: columns for name, columns in line.stock.items() if len(columns) > 1}
    held = np.concatenate([np.zeros(0, int), *levels.values()])
    cost = program.cost.copy()
    cost[held] -= _worth_of_amount(line) / grid.n_steps
    first = np.flatnonzero((point >= apart) & (point < apart + length))
    columns = np.empty(len(first), dtype=np.int64)
    columns[column[first]] = first
    kept, row, entry = _rows_of_cycle(program, point, range(apart, apart + length))
    matrix = program.matrix.tocsr()
    left, left_by = _rows_of_balance(program, levels, range(length, steps, length), kept)
    states = [grid.network.states[name] for name in levels]
    cycles = grid.n_steps / length
    demand, per_step = _demand(grid)
    taken = np.array([-state.initial for state in states]) / cycles
    room = np.array([0.0 if s.zero_wait else s.capacity + demand.get(s.name, 0.0) for s in states])
    # What is due early is made faster than the horizon asks for.
    rates = [0.0 if s.zero_wait else per_step.get(s.name, 0.0) for s in states]
    values = np.concatenate([matrix.data[entry], np.ones(len(left))])
    where = (
        np.concatenate([row, left]),
        np.concatenate([column[matrix.indices[entry]], len(first) + left_by]),
    )
    shape = (len(kept), len(first) + len(states))
    batches = np.flatnonzero((line.start_of >= apart) & (line.start_of < apart + length))
    modes = line.mode_of[batches]
    return Ring(
        grid=grid,
        length=length,
        program=_with_demand(
            Program(
                cost=np.concatenate([cost[columns], np.zeros(len(states))]),
                lower=np.concatenate([program.lower[columns], taken]),
                upper=np.concatenate(
                    [program.upper[columns], np.maximum(room / cycles, length * np.array(rates))]
                ),
                integer=np.concatenate([program.integer[columns], np.zeros(len(states), bool)]),
                matrix=coo_array((values, where), shape=shape).tocsc(),
                row_lower=program.row_lower[kept],
                row_upper=program.row_upper[kept],
            ),
            grid,
            column[line.size[batches]],
            modes,
            {state: amount * length for state, amount in per_step.items()},
        ),
        run=column[line.run[batches]],
        size=column[line.size[batches]],
        mode=modes,
        number=np.array([mode.number for mode in line.modes])[modes],
        unit=line.unit_of[batches],
        start=line.start_of[batches] % length,
        steps=line.finish_of[batches] - line.start_of[batches],
    )


def _demand(grid: Grid) -> tuple[dict[str, float], dict[str, float]]:
    """Sum what targets and deliveries ask for beyond the first stock, per state.

    The second is how much of it must be made per step, evenly, for all of it to be in time.
    """
    total: dict[str, float] = {}
    per_step: dict[str, float] = {}
    asked = [(due.time, due.state, due.amount) for due in grid.problem.deliveries]
    asked += [(math.inf, state, amount) for state, amount in grid.problem.targets.items()]
    for latest, state, amount in sorted(asked):
        before = total.get(state, -grid.network.states[state].initial)
        total[state] = before + amount
        steps = min(latest / grid.width, grid.n_steps) - grid.path
        rate = total[state] / max(1.0, steps)
        per_step[state] = max(per_step.get(state, 0.0), rate)
    return {state: max(0.0, left) for state, left in total.items()}, {
        state: rate for state, rate in per_step.items() if rate > 0
    }


def _with_demand(
    program: Program,
    grid: Grid,
    size: NDArray[np.int64],
    modes: NDArray[np.int64],
    demand: dict[str, float],
) -> Program:
    """Ask for what a cycle must leave of each state; to miss it costs as much as on the grid."""
    rows, count = [], len(program.cost)
    for name in demand:
        net = [
            task.produces.get(name, 0.0) - task.consumes.get(name, 0.0)
            for task in (grid.network.tasks[mode.suitability.task] for mode in grid.modes)
        ]
        row = np.zeros(count)
        row[size] = np.array(net)[modes]
        rows.append(row)
    if not rows:
        return program
    number, per_cycle = len(rows), np.array(list(demand.values()))
    cost = np.array([-grid.penalty * missed_weight(grid.network, name) for name in demand])
    return Program(
        cost=np.concatenate([program.cost, cost]),
        lower=np.concatenate([program.lower, np.zeros(number)]),
        upper=np.concatenate([program.upper, per_cycle]),
        integer=np.concatenate([program.integer, np.zeros(number, dtype=bool)]),
        matrix=csc_array(
            block_array([[program.matrix, None], [csc_array(np.array(rows)), eye_array(number)]])
        ),
        row_lower=np.concatenate([program.row_lower, per_cycle]),
        row_upper=np.concatenate([program.row_upper, np.full(number, np.inf)]),
        offset=-float(cost @ per_cycle),
    )


def without_calendars(network: Network) -> Network:
    """Let all units be there, and somebody at them, all the time."""
    rules = {
        name: replace(rule, unavailable=(), unattended=(), paused=(), weekly={})
        for name, rule in network.unit_rules.items()
    }
    return replace(network, unit_rules=rules)


def _worth_of_amount(line: Grid) -> float:
    """Return what an amount on stock costs once: it must be made before the pattern can run."""
    prices = [state.price for state in line.network.states.values()]
    return max(0.0, *prices)


def _number_columns(line: Grid, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each column's point, -1 without one, and its number on the ring.

    Same kind and same point of the cycle: same number.
    """
    point = np.full(len(line.program.cost), -1)
    kind = np.zeros(len(point), dtype=np.int64)
    for number, columns in enumerate((line.run, line.size)):
        point[columns] = line.start_of
        kind[columns] = 2 * line.mode_of + number
    levels = [c for c in (*line.stock.values(), *line.waiting.values()) if len(c) > 1]
    for number, columns in enumerate(levels, start=2 * len(line.modes)):
        point[columns] = np.arange(len(columns))
        kind[columns] = number
    column = np.full(len(point), -1)
    there = point >= 0
    keys = kind[there] * length + point[there] % length
    column[there] = np.unique(keys, return_inverse=True)[1]
    return point, column


def _rows_of_cycle(
    program: Program, point: NDArray[np.int64], cycle: range
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows whose first point is in a cycle, and each entry's row among them and place.

    Rows with columns that have no point say nothing of a pattern.
    """
    matrix = program.matrix.tocsr()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    first = np.full(matrix.shape[0], cycle.stop)
    np.minimum.at(first, rows, point[matrix.indices])
    inside = (first >= cycle.start) & (first < cycle.stop)
    kept = np.flatnonzero(inside)
    entry = np.flatnonzero(inside[rows])
    return kept, np.searchsorted(kept, rows[entry]), entry


def _rows_of_balance(
    program: Program,
    levels: dict[str, NDArray[np.int64]],
    points: range,
    kept: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows that say what stocks are at some points, by what they were a step before.

    Returns the place of each among those that are kept, and the number of its stock.
    """
    matrix, found = program.matrix, []
    for number, columns in enumerate(levels.values()):
        for point in points:
            before, after = (
                matrix.indices[matrix.indptr[c] : matrix.indptr[c + 1]]
                for c in columns[point - 1 : point + 1]
            )
            both = np.intersect1d(before, after)
            found += [
                (int(np.searchsorted(kept, row)), number)
                for row in both[program.row_lower[both] == program.row_upper[both]]
                if row in kept
            ]
    places, numbers = np.array(found, dtype=int).reshape(-1, 2).T
    return places, numbers


def near_pattern(pattern: Pattern, ring: Ring, *, reach: float) -> NDArray[np.bool_]:
    """Say which batches of a ring are near those of a pattern on this or another one.

    Parameters
    ----------
    pattern : Pattern
        Stretched to the time of the ring.
    ring : Ring
        Of the same plant.
    reach : float
        In steps of the ring.

    Returns
    -------
    (n,) array
        In any mode.
    """
    other, length = pattern.ring, ring.length
    among = np.zeros((len(ring.grid.network.suitabilities), length), dtype=bool)
    starts = other.start[pattern.runs] * length / other.length
    for number, start in zip(other.number[pattern.runs], starts, strict=True):
        steps = np.arange(np.ceil(start - reach), np.floor(start + reach) + 1).astype(int)
        among[number, steps % length] = True
    return among[ring.number, ring.start]


def lay_out(
    pattern: Pattern,
    *,
    later: int,
    seconds: float,
    beside: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Choose from the repetitions of a pattern's batches those that can run, and their sizes.

    Parameters
    ----------
    pattern : Pattern
    later : int
        By so many steps each batch starts later.
    seconds : float
    beside : (n,) array, optional
        A solution of the pattern's grid, whose batches can be chosen as well.

    Returns
    -------
    (n,) array or None
        A solution of the pattern's grid, which may miss some of the demand; None where there was no
        time for one.
    """
    ring, grid = pattern.ring, pattern.ring.grid
    repeated = np.zeros((len(grid.modes), ring.length), dtype=bool)
    repeated[ring.mode[pattern.runs], (ring.start[pattern.runs] + later) % ring.length] = True
    chosen = repeated[grid.mode_of, grid.start_of % ring.length]
    base = do_nothing(grid) if beside is None else beside
    others = base[grid.run] > 0.5
    # One that may be empty and costs nothing runs, whatever it makes: it asks for no choice.
    least = np.array([mode.suitability.min_batch for mode in grid.modes])[grid.mode_of]
    always = chosen & (least == 0) & (grid.program.cost[grid.run] == 0)
    chosen |= others
    begun = time.perf_counter()
    found = None
    if not others.any():
        running = base.copy()
        running[grid.run[always]] = 1.0
        found, _ = choose_among(
            grid, running, runs=chosen & ~always, sizes=chosen, relative_gap=_GAP, seconds=seconds
        )
    left = seconds - (time.perf_counter() - begun)
    if found is None and (always.any() or others.any()) and left > 0:
        # Where a unit is away between two batches, the rest may not fit together.
        found, _ = choose_among(
            grid, base, runs=chosen, sizes=chosen, relative_gap=_GAP, seconds=left
        )
    return found
