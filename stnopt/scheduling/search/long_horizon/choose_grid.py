"""How wide the steps of a grid should be: what rounding up costs, against what is to search."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.capacity_bound import bound_by_periods
from stnopt.scheduling.search.delivery_dates import with_fewer_dates
from stnopt.scheduling.search.long_horizon.grid import choose_modes
from stnopt.scheduling.search.period_sums import build_period_sums
from stnopt.scheduling.search.worth import batch_worth
from stnopt.solvers.linear_program import solve_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.recipe import Suitability, Task
    from stnopt.plant.state import PlantState

#: Widths are full durations divided by these, and the like of the time unit.
_PARTS = (1, 2, 3, 4, 5, 6, 8)
#: A grid has at most this many batches to choose from.
_MOST_BATCHES = 60_000
#: Points of the sums that tell what a grid is worth.
_PERIODS = 4
#: Deliveries are summed up to so many dates.
_MOST_DATES = 8
#: From this number of pairs of tasks and units they are summed over the whole horizon only.
_MANY_PAIRS = 60
#: Of widths closer to each other than this, one is looked at.
_APART = 1.15
#: What a missed amount costs in the sums, in terms of the dearest amount.
_MISSED = 10.0
#: Rounding in a number of steps.
_ROUNDING = 1e-7
#: Bounds of makespans this close are as good as each other.
_NEAR = 0.01
#: Share of the worth that halving the number of batches is worth, few or many of them.
_PER_HALVING, _PER_HALVING_OF_MANY = 0.003, 0.03
#: Wide steps may be so many of the shortest batches.
_WIDE = 6.0
#: From so many batches to choose from within two longest ones, windows are hardly solved: steps may
#: be wider, and halving that number is worth this share.
_MANY_IN_WINDOW, _PER_HALVING_IN_WINDOW = 2_200, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """A width of steps, what the sums promise on it (more is better), and its number of batches.

    Whether it is wide: some batches take much longer on it than they do.
    """

    width: float
    worth: float
    n_batches: int
    wide: bool = False


def rank_widths(
    network: Network,
    problem: Problem,
    *,
    most_modes: int,
    many_batches: int,
    start: PlantState | None = None,
) -> list[Width]:
    """List widths, the most promising first: by the sums over the horizon with rounded durations.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    most_modes : int
        Per pair of task and unit.
    many_batches : int
        From this number of batches to choose from, fewer of them are worth more.
    start : PlantState, optional
        The plant at time 0.
    """
    assert problem.horizon is not None
    horizon = problem.horizon
    fits = network.suitabilities
    durations = {round(fit.duration(fit.max_batch), 9) for fit in fits}
    candidates = {d / n for d in durations for n in _PARTS} | {1.0 / n for n in _PARTS}
    shortest = min(fit.duration(max(fit.min_batch, 0.5 * fit.max_batch)) for fit in fits)
    longest = min(1.5 * shortest, horizon)
    while (
        count_in_window(network, longest, most_modes) > _MANY_IN_WINDOW and 1.5 * longest < horizon
    ):
        longest *= 1.5
    widest = min(max(longest, _WIDE * shortest), horizon)
    ranked: list[Width] = []
    for width in _least_wasteful(network, [w for w in candidates if w <= widest], horizon):
        n_batches = count_batches(network, width, horizon, most_modes)
        if not 0 < n_batches <= _MOST_BATCHES:
            continue
        worth = _worth(network, problem, width, start)
        if worth is None:
            continue
        wide = width > longest
        ranked.append(Width(width=width, worth=worth, n_batches=n_batches, wide=wide))
    return rank_again(network, problem, ranked, most_modes=most_modes, many_batches=many_batches)


def rank_again(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    most_modes: int,
    many_batches: int,
) -> list[Width]:
    """List widths, the most promising first, with another number of modes.

    Parameters
    ----------
    network, problem, most_modes, many_batches
        As in `rank_widths`.
    ranked : sequence of Width
        As that returns them.
    """
    horizon = problem.horizon or 0.0
    counts = [count_batches(network, each.width, horizon, most_modes) for each in ranked]
    ranked = [replace(each, n_batches=n) for each, n in zip(ranked, counts, strict=True) if n > 0]
    if not ranked:
        return []
    scale = max(abs(each.worth) for each in ranked) or 1.0

    def score(each: Width) -> float:
        too_many = max(0.0, math.log2(each.n_batches / many_batches))
        cost = _PER_HALVING * math.log2(each.n_batches) + _PER_HALVING_OF_MANY * too_many
        in_window = count_in_window(network, each.width, most_modes)
        cost += _PER_HALVING_IN_WINDOW * max(0.0, math.log2(in_window / _MANY_IN_WINDOW))
        return each.worth / scale - cost

    ranked.sort(key=score, reverse=True)
    exact = [
        each for each in ranked if each.n_batches <= many_batches and _is_exact(network, each.width)
    ]
    if not exact:
        return ranked
    # Where a grid loses nothing, its widest steps come first; the sums may not see what others do.
    first = max(exact, key=lambda each: each.width)
    return [first, *(each for each in ranked if each is not first)]


def count_batches(network: Network, width: float, horizon: float, most_modes: int) -> int:
    """Count the batches to choose from on a grid."""
    return sum(
        max(0, int(horizon / width) - mode.steps + 1)
        for mode in choose_modes(network, width, most=most_modes)
    )


def count_in_window(network: Network, width: float, most_modes: int) -> int:
    """Count the batches to choose from on as many steps as two of the longest take."""
    modes = choose_modes(network, width, most=most_modes)
    return 2 * len(modes) * max(mode.steps for mode in modes)


def _is_exact(network: Network, width: float) -> bool:
    """Whether every batch lasts a whole number of steps, whatever its size."""
    return all(
        fit.duration(fit.min_batch) == fit.duration(fit.max_batch)
        and abs(steps - round(steps)) < _ROUNDING
        for fit in network.suitabilities
        for steps in [fit.duration(fit.max_batch) / width]
    )


def _least_wasteful(network: Network, widths: list[float], horizon: float) -> list[float]:
    """Keep of widths near each other the one that loses least by rounding, the horizon's too."""
    best: dict[int, tuple[float, float]] = {}
    for width in sorted(widths, reverse=True):
        near = round(math.log(width) / math.log(_APART))
        slower = [
            (mode.steps * width / mode.most) / (fit.duration(fit.max_batch) / fit.max_batch)
            for mode in choose_modes(network, width, most=1)
            for fit in (mode.suitability,)
        ]
        waste = float(np.mean(slower))
        waste *= horizon / (math.floor(horizon / width + 1e-7) * width)
        if near not in best or waste < best[near][0] - 1e-9:
            best[near] = (waste, width)
    return [width for _, width in best.values()]


def _worth(
    network: Network, problem: Problem, width: float, start: PlantState | None
) -> float | None:
    """Bound the problem on a plant whose batches last whole steps; None if nothing is possible."""
    rounded = round_durations(network, width)
    if problem.objective == "makespan":
        problem = replace(problem, horizon=None)
        bound = bound_by_periods(
            rounded, problem, n_periods=1, start=start, improve="both", tolerance=_NEAR
        )
        return None if bound is None or not np.isfinite(bound) else -bound
    # Full batches may be too late for a demand that smaller ones meet: it costs, and no more.
    per_amount, per_batch = batch_worth(network, problem.objective)
    dearest = max(np.max(np.abs(per_amount)), np.max(np.abs(per_batch)), 1.0)
    sums = build_period_sums(
        rounded,
        with_fewer_dates(problem, _MOST_DATES),
        n_periods=_PERIODS if len(network.suitabilities) <= _MANY_PAIRS else 1,
        start=start,
        improve="both",
        missed_cost=_MISSED * float(dearest),
    )
    answer = solve_program(sums.program, relative_gap=_NEAR)
    return answer.bound


def round_durations(network: Network, width: float) -> Network:
    """Return the plant with each batch as long as its mode of most throughput, in whole steps."""
    best = {mode.number: mode for mode in reversed(choose_modes(network, width, most=1))}
    tasks: dict[str, Task] = {name: task for name, task in network.tasks.items()}
    for number, fit in enumerate(network.suitabilities):
        mode = best[number]
        rounded: Suitability = replace(
            fit,
            fixed_time=mode.steps * width,
            time_per_amount=0.0,
            max_batch=max(mode.most, fit.min_batch),
            release_time={
                state: min(mode.steps, math.ceil(time / width - 1e-7)) * width
                for state, time in fit.release_time.items()
            },
        )
        task = tasks[fit.task]
        tasks[fit.task] = replace(task, units={**task.units, fit.unit: rounded})
    return replace(network, tasks=tasks)
