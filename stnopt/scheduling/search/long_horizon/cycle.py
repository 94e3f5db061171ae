"""A first solution for a horizon of many batches: the best pattern that repeats, over and over.

A pattern is a solution on a grid that is bent into a ring: what is begun near the end of a cycle
ends in the next, and stocks at the end of a cycle are those at its beginning. It is as small as a
schedule of a few batches per unit, so that it is solved well; laid out along the horizon, the first
cycles run what the first stocks allow.

References
----------
Shah, Pantelides & Sargent (1993), Ann. Oper. Res. 42, 193, doi:10.1007/BF02023176 (periodic
schedules on a grid that wraps around).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array

from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import Grid, build_grid
from stnopt.scheduling.search.long_horizon.near import choose_among
from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import Program, fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: A cycle is at least so many longest batches, and the horizon at least so many cycles.
_LONGEST_BATCHES, _FEWEST_CYCLES = 3, 4
#: A cycle is as long as leaves so many batches to choose from; more than the second number are not
#: solved well.
_BATCHES, _MOST_BATCHES = 550, 900
#: Shares of the time for the whole ring, for parts of it, and the rest for laying it out.
_WHOLE_SHARE, _RING_SHARE = 0.25, 0.7
#: One part of the ring gets this share of the time.
_PART_SHARE = 0.08
_GAP, _LAID_OUT_GAP = 5e-4, 1e-3
#: Share of the largest batch and of the dearest amount that is nothing.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ring:
    """A grid bent into a ring: its program, and what its columns of batches mean.

    Attributes
    ----------
    program : Program
    run, size : (n,) arrays of columns
    mode, unit, start, steps : (n,) arrays
        Per batch.
    length : int
        Steps of a cycle.
    """

    program: Program
    run: NDArray[np.int64]
    size: NDArray[np.int64]
    mode: NDArray[np.int64]
    unit: NDArray[np.int64]
    start: NDArray[np.int64]
    steps: NDArray[np.int64]
    length: int


def repeat_cycle(
    grid: Grid, *, seconds: float, clock: Callable[[], float], random: np.random.Generator
) -> NDArray[np.float64] | None:
    """Fill a grid with repetitions of the best pattern that is found in the time.

    Parameters
    ----------
    grid : Grid
        Of a problem in which nothing is demanded and nothing happens at given times.
    seconds : float
        By `clock`.
    clock : callable
    random : numpy Generator

    Returns
    -------
    (n,) array or None
        A solution of the grid; None where the horizon is too short, the ring too large, or nothing
        worth repeating was found.
    """
    length = max(_LONGEST_BATCHES * grid.longest, _BATCHES // max(1, len(grid.modes)))
    length = min(length, grid.n_steps // _FEWEST_CYCLES)
    if length < _LONGEST_BATCHES * grid.longest or length * len(grid.modes) > _MOST_BATCHES:
        return None
    if grid.clean or grid.orders:
        return None
    deadline = clock() + seconds
    ring = _bend(grid, length)
    x = _solve(ring, seconds=_RING_SHARE * seconds, clock=clock, random=random)
    if x is None:
        return None
    return _lay_out(grid, ring, x, seconds=max(0.1, deadline - clock()))


def _bend(grid: Grid, length: int) -> _Ring:
    """Identify what is a cycle apart: columns, and with them rows, of a grid of some cycles.

    Rows near its ends know nothing of what lies outside and are left out; what is left holds every
    row of a cycle at least once.
    """
    apart = 2 * (grid.longest + 1)
    steps = length + 4 * apart
    problem = replace(grid.problem, horizon=steps * grid.width)
    line = build_grid(grid.network, problem, width=grid.width, modes=grid.modes)
    program, point, column = line.program, *_number_columns(line, length)
    held = np.concatenate([np.zeros(0, int), *(c for c in line.stock.values() if len(c) > 1)])
    cost = program.cost.copy()
    cost[held] -= _worth_of_amount(line) / grid.n_steps
    matrix = program.matrix.tocsr()
    entries: list[tuple[int, int, float]] = []
    bounds: dict[tuple[object, ...], int] = {}
    for row in range(matrix.shape[0]):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        inside = matrix.indices[span]
        points = point[inside]
        if not len(inside) or points.min() < apart or points.max() > steps - apart:
            continue
        terms: dict[int, float] = {}
        for where, factor in zip(column[inside].tolist(), matrix.data[span], strict=True):
            terms[where] = terms.get(where, 0.0) + float(factor)
        limits = (float(program.row_lower[row]), float(program.row_upper[row]))
        key = (limits, *sorted((where, round(factor, 9)) for where, factor in terms.items()))
        number = bounds.setdefault(key, len(bounds))
        if number == len(bounds) - 1 and (not entries or entries[-1][0] < number):
            entries += [(number, where, factor) for where, factor in terms.items()]
    first = np.flatnonzero((point >= apart) & (point < apart + length))
    columns = np.empty(len(first), dtype=np.int64)
    columns[column[first]] = first
    rows, wheres, factors = (np.array(part) for part in zip(*entries, strict=True))
    lower, upper = np.array([key[0] for key in bounds], dtype=float).T
    batches = np.flatnonzero((line.start_of >= apart) & (line.start_of < apart + length))
    return _Ring(
        program=Program(
            cost=cost[columns],
            lower=program.lower[columns],
            upper=program.upper[columns],
            integer=program.integer[columns],
            matrix=csc_array((factors, (rows, wheres)), shape=(len(bounds), len(columns))),
            row_lower=lower,
            row_upper=upper,
        ),
        run=column[line.run[batches]],
        size=column[line.size[batches]],
        mode=line.mode_of[batches],
        unit=line.unit_of[batches],
        start=line.start_of[batches] % length,
        steps=line.finish_of[batches] - line.start_of[batches],
        length=length,
    )


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


def _solve(
    ring: _Ring, *, seconds: float, clock: Callable[[], float], random: np.random.Generator
) -> NDArray[np.float64] | None:
    """Solve the whole ring for a while, then free parts of it in turn; None for no gain."""
    deadline, program = clock() + seconds, ring.program
    nothing = _NOTHING * np.abs(program.cost).max()
    relaxed = solve_program(replace(program, integer=np.zeros_like(program.integer)))
    if relaxed.bound is None or relaxed.bound <= nothing:
        return None
    answer = solve_program(
        program, time_limit=_WHOLE_SHARE * seconds, relative_gap=_GAP, heuristic_effort=0.3
    )
    x = answer.x
    while x is not None and clock() < deadline:
        moving = _choose_part(ring, random)
        kept = np.ones(len(x), dtype=bool)
        kept[ring.run], kept[ring.size] = moving, moving | (x[ring.run] > 0.5)
        part = restrict(program, x, np.flatnonzero(kept))
        found = solve_program(
            part.program,
            time_limit=max(0.1, min(_PART_SHARE * seconds, deadline - clock())),
            relative_gap=_GAP,
            start=part.start,
            heuristic_effort=0.2,
        )
        best = float(program.cost @ x)
        if found.x is not None and (found.objective or 0.0) > best + _NOTHING * abs(best):
            x = part.expand(fix_integers(part.program, found.x))
    return None if x is None or program.cost @ x <= nothing else x


def _choose_part(ring: _Ring, random: np.random.Generator) -> NDArray[np.bool_]:
    """Choose the batches of some units, or those of a third of the cycle."""
    units = np.unique(ring.unit)
    if random.random() < 0.5:
        chosen = random.choice(units, size=max(2, len(units) // 3), replace=len(units) < 2)
        return np.isin(ring.unit, chosen)
    after_start = (ring.start - int(random.integers(ring.length))) % ring.length
    window = max(int(ring.steps.max(initial=1)) + 1, ring.length // 3)
    begins = after_start < window
    return begins | ((after_start + ring.steps) % ring.length < window)


def _lay_out(
    grid: Grid, ring: _Ring, x: NDArray[np.float64], *, seconds: float
) -> NDArray[np.float64] | None:
    """Choose from the repetitions of a pattern's batches those that can run, and their sizes."""
    runs = x[ring.run] > 0.5
    pattern = np.zeros((len(grid.modes), ring.length), dtype=bool)
    pattern[ring.mode[runs], ring.start[runs]] = True
    chosen = pattern[grid.mode_of, grid.start_of % ring.length]
    base = do_nothing(grid)
    # One that may be empty and costs nothing runs, whatever it makes: it asks for no choice.
    least = np.array([mode.suitability.min_batch for mode in grid.modes])[grid.mode_of]
    always = chosen & (least == 0) & (grid.program.cost[grid.run] == 0)
    base[grid.run[always]] = 1.0
    found, _ = choose_among(
        grid,
        base,
        runs=chosen & ~always,
        sizes=chosen,
        relative_gap=_LAID_OUT_GAP,
        seconds=seconds,
    )
    return found
