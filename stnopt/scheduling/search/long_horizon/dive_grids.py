"""First solutions on several grids by diving, the smallest grid first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnopt.scheduling.search.long_horizon.choose_grid import count_in_window, rank_again
from stnopt.scheduling.search.long_horizon.construct import construct, do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import MET, meet_demand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.long_horizon.choose_grid import Width
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: A grid that promises this share less than the best is not looked at.
_WORSE = 0.3
#: A solution is worth this share of what its grid promises less than the best, less.
_PROMISE = 0.5
#: Time grows with the number of batches to choose from to this power, about.
_GROWTH = 1.7
#: Relaxations of grids with more batches to choose from take too long to be solved many times: in
#: any time, and per second; with so many per second they are solved for sure.
MOST_TO_DIVE, _MOST_PER_SECOND, _SURE_PER_SECOND = 6_000, 2_000, 650
#: More batches that promise less are worth no more than this share of what is left.
_SHORT = 0.15
#: Once there is a solution, this share of the time is for more of them.
_MORE = 0.33
#: A dive may take this share of the time longer than there is.
_LONGER = 0.3
#: So many widths are dived on with one mode for each pair, too.
_ALONE = 2
#: Share of the time for meeting the demand on a grid.
_MEET_SHARE = 0.1
#: Relaxations say little of what comes after so many longest batches.
DIVE_LENGTH = 20.0
#: Where two longest batches have no more batches to choose from, branch and bound does better.
FEW_IN_WINDOW = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGrid:
    """A solution on a grid, and its value there."""

    grid: Grid
    x: NDArray[np.float64]

    @property
    def value(self) -> float:
        """Of the grid's program: more is better."""
        return self.grid.value(self.x)


def worth_diving(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    most_modes: int,
    many_batches: int,
    seconds: float,
) -> bool:
    """Whether relaxations of whole horizons say what is good: on large plants, for a while.

    Where lateness counts, they do not, and where no promising grid is small enough for the time.
    """
    width = next((each.width for each in ranked if not each.wide), None)
    if problem.objective == "tardiness" or problem.horizon is None or width is None:
        return False
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    if problem.horizon > DIVE_LENGTH * longest:
        return False
    if count_in_window(network, width, most_modes) <= FEW_IN_WINDOW:
        return False
    return bool(_promising(network, problem, ranked, most_modes, many_batches, seconds))


def _promising(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    most_modes: int,
    many_batches: int,
    seconds: float,
) -> list[tuple[Width, int]]:
    """List widths and numbers of modes that are worth their time, the fewest batches first.

    The best ones with one mode for each pair, too: narrow steps leave fewer batches then. Where
    none of them is done in time for sure, the best one that is, or the smallest, comes first.
    """
    best = max((each.worth for each in ranked), default=0.0)
    scale = max((abs(each.worth) for each in ranked), default=0.0) or 1.0
    again = rank_again(network, problem, ranked, most_modes=1, many_batches=many_batches)
    same = {(each.width, each.n_batches) for each in ranked}
    alone = [each for each in again[:_ALONE] if (each.width, each.n_batches) not in same]
    promising = [
        (each, modes)
        for widths, modes in ((ranked, most_modes), (alone, 1))
        for each in widths
        if each.worth >= best - _WORSE * scale and each.n_batches <= most_to_dive(seconds)
    ]
    in_time = _SURE_PER_SECOND * seconds
    if all(each.n_batches > in_time for each, _ in promising):
        fewest = min(ranked, key=lambda each: each.n_batches)
        sure = [each for each in ranked if each.n_batches <= in_time] or [fewest]
        first = max(sure, key=lambda each: each.worth)
        if first.n_batches <= most_to_dive(seconds):
            promising.append((first, most_modes))
    return sorted(promising, key=lambda one: (one[0].n_batches, -one[0].worth))


def dive_on_grids(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    met: Mapping[float, tuple[Grid, NDArray[np.float64]]],
    *,
    most_modes: int,
    many_batches: int,
    start: PlantState | None,
    seconds: float,
    clock: Callable[[], float],
    on_solution: Callable[[Grid, NDArray[np.float64]], object],
    should_stop: Callable[[], bool] | None = None,
) -> list[OnGrid]:
    """Dive on one promising grid after the other, the fewest batches to choose from first.

    Parameters
    ----------
    network : Network
    problem : Problem
    ranked : sequence of Width
    met : mapping of width to grid and solution
        Where the demand is met already: dives are around it. None of them: dives are free until one
        misses it.
    most_modes : int
        Per pair of task and unit.
    many_batches : int
        As in `rank_widths`.
    start : PlantState or None
    seconds : float
        By `clock`; what is likely to take longer is not begun, but for the first.
    clock : callable
    on_solution : callable
        Called with each grid and solution that meets the demand.
    should_stop : callable, optional
        Asked between two dives.

    Returns
    -------
    list of OnGrid
        The most promising first; empty where all grids are too large, or nothing met the demand.
    """
    best = max((each.worth for each in ranked), default=0.0)
    scale = max((abs(each.worth) for each in ranked), default=0.0) or 1.0
    promising = _promising(network, problem, ranked, most_modes, many_batches, seconds)
    found: list[tuple[float, OnGrid]] = []
    begun_at = clock()
    until = begun_at + seconds
    latest = until + _LONGER * seconds
    per_batch, missed, around, enough = 0.0, False, None, -math.inf
    for each, n_modes in promising:
        begun = clock()
        expected = per_batch * each.n_batches**_GROWTH
        if each.worth < enough and expected > _SHORT * (until - begun):
            continue
        if begun >= until or begun + expected > latest:
            break
        if should_stop is not None and should_stop():
            break
        known = met.get(each.width) if n_modes == most_modes else None
        if known is not None:
            grid = known[0]
        else:
            modes = choose_modes(network, each.width, most=n_modes)
            grid = build_grid(network, problem, width=each.width, modes=modes, start=start)
        if met or missed:
            around = None if known is None else known[1]
            if around is None:
                around = meet_demand(grid, seconds=_MEET_SHARE * seconds)
            if around is None or grid.missed_amount(around) > MET * grid.largest:
                continue
        x = dive_on(grid, seconds=max(0.1, latest - clock()), clock=clock, around=around)
        per_batch = max(per_batch, (clock() - begun) / each.n_batches**_GROWTH)
        if grid.missed_amount(x) > MET * grid.largest:
            missed = True
            continue
        solution = OnGrid(grid=grid, x=x)
        idle = OnGrid(grid=grid, x=do_nothing(grid))
        if idle.value > solution.value and grid.missed_amount(idle.x) <= MET * grid.largest:
            solution = idle  # nothing is done at a loss
        on_solution(grid, solution.x)
        enough = each.worth
        until = min(until, begun_at + _MORE * seconds)
        latest = until + _LONGER * _MORE * seconds
        # A grid that promises more has more to give.
        less = (best - each.worth) / scale
        found.append((solution.value - _PROMISE * less * abs(solution.value), solution))
    return [solution for _, solution in sorted(found, key=lambda each: each[0], reverse=True)]


def most_to_dive(seconds: float) -> int:
    """Return from how many batches to choose from a dive takes longer than so many seconds."""
    return min(MOST_TO_DIVE, int(_MOST_PER_SECOND * seconds))


def length_to_dive(
    network: Network, horizon: float, ranked: Sequence[Width], seconds: float
) -> float:
    """Return how much of a horizon a dive on the widest steps does in time, most likely."""
    fewest = min((each.n_batches for each in ranked), default=0)
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    share = 2.0 * _SURE_PER_SECOND * seconds / max(1, fewest)
    return min(horizon * share, DIVE_LENGTH * longest)


def dive_on(
    grid: Grid,
    *,
    seconds: float,
    clock: Callable[[], float],
    around: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Dive on the whole of a grid; with `around`, add to the batches of a solution."""
    return construct(
        grid,
        window=grid.n_steps,
        step=grid.n_steps,
        seconds=seconds,
        clock=clock,
        around=around,
        by_diving=True,
    )
