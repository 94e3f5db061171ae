"""First solutions of long horizons by patterns that repeat, on several grids."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.plant.demands import demanded_rules
from stnopt.scheduling.search.long_horizon.choose_grid import count_in_window
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.cycle import Pattern, lay_out, lengths_of_cycles
from stnopt.scheduling.search.long_horizon.cycle_search import find_patterns
from stnopt.scheduling.search.long_horizon.dive_grids import DIVE_LENGTH, FEW_IN_WINDOW, OnGrid
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import MET
from stnopt.scheduling.search.long_horizon.near import carry_over
from stnopt.scheduling.search.long_horizon.shorter_horizon import share_of_constructing
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.long_horizon.choose_grid import Width
    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Grids that promise this share less than the best are not looked at, nor more than so many, nor
#: more than are built in this share of the time.
_WORSE, _MOST_GRIDS, _BUILD_SHARE = 0.05, 5, 0.03
#: What a pattern knows nothing of.
_NOT_FOR_CYCLES = frozenset({"arrivals", "utility_steps", "orders"})
#: Horizons of fewer longest batches are too short.
_LONG = 10.0
#: Small plants are constructed well, where that takes no more than this share of the time.
_SLOW = 0.45
#: Share of the time, where something must be made, and on horizons that are dived on as well;
#: of that, the share for looking for patterns: the rest is for laying them out.
_SHARE, _WITH_DEMAND, _WITH_DIVES, _SEARCH_SHARE = 0.7, 0.5, 0.3, 0.65
#: From so many batches on the shortest ring, twice as many are worth this share.
_SMALL_RING, _PER_DOUBLING = 200, 0.1
#: The best pattern after this share of it is laid out at once: there is a schedule then.
_FIRST_LOOK = 0.1
#: Each of the first ones may take this share of what is left for laying out.
_FIRST_SHARE = 0.5
#: Taking a known schedule over to a grid, and laying out beside it, may take these shares at least.
_CARRY_SHARE, _BESIDE_SHARE = 0.15, 0.1
#: What repeats is worth going on with if it is worth this share of what the best grid promises; a
#: pattern is none if it is worth no more than this share of that.
_GOOD, _LEAST = 0.4, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated(OnGrid):
    """A solution on a grid that repeats a pattern, of which each batch starts so much later."""

    pattern: Pattern
    later: int


def repeat_on_grids(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    most_modes: int,
    start: PlantState | None,
    seconds: float,
    clock: Callable[[], float],
    random: np.random.Generator,
    best: Schedule | None = None,
    on_solution: Callable[[Grid, NDArray[np.float64]], object],
    should_stop: Callable[[], bool],
) -> list[Repeated]:
    """Repeat the best patterns that are found on some grids.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon.
    ranked : sequence of Width
    most_modes : int
        Per pair of task and unit.
    start : PlantState or None
    seconds : float
        That are left, by `clock`: a part of them is used.
    clock : callable
    random : numpy Generator
    best : Schedule, optional
        Where patterns miss what must be made, its batches are chosen from as well.
    on_solution : callable
        Called with each grid and solution that may become a schedule: a first one, and the best.
    should_stop : callable
        Asked between two tries.

    Returns
    -------
    list of Repeated
        The best one, which may miss some of the demand. Empty where orders are to be delivered or
        something comes at given times, where the horizon is too short, where a small plant is
        constructed well, and where nothing good repeats.
    """
    assert problem.horizon is not None
    if not suits_cycles(network, problem, ranked, seconds, most_modes=most_modes, start=start):
        return []
    grids = _grids_for_cycles(
        network,
        problem,
        ranked,
        most_modes=most_modes,
        start=start,
        until=clock() + _BUILD_SHARE * seconds,
        clock=clock,
    )
    if not grids:
        return []
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    if problem.horizon <= DIVE_LENGTH * longest:
        seconds *= _WITH_DIVES
    else:
        seconds *= _WITH_DEMAND if len(grids[0].missed) else _SHARE
    until = clock() + seconds
    laid_out = _LaidOut(
        best=best, seconds=seconds, until=until, clock=clock, on_solution=on_solution
    )
    promised = max(each.worth for each in ranked)
    least = 0.0
    if not len(grids[0].missed):
        gain = promised - grids[0].value(do_nothing(grids[0]))
        least = max(0.0, _LEAST * gain / problem.horizon)
    patterns: list[Pattern] = []
    for share in (_FIRST_LOOK, _SEARCH_SHARE - _FIRST_LOOK):
        patterns = find_patterns(
            grids,
            seconds=share * seconds,
            clock=clock,
            random=random,
            least=least,
            known=patterns,
            should_stop=should_stop,
        )
        if patterns and share == _FIRST_LOOK:
            laid_out.try_it(patterns[0], 0, _FIRST_SHARE)
            laid_out.offer_best()
    for number, pattern in enumerate(patterns):
        if (clock() < until and not should_stop()) or not laid_out.found:
            laid_out.try_it(pattern, 0, max(_FIRST_SHARE, 1 / (len(patterns) - number)))
    if not laid_out.found:
        return []
    # Where a cycle begins and ends matters as well.
    best_pattern = laid_out.best_found.pattern
    for later in random.permutation(np.arange(1, best_pattern.ring.length)).tolist():
        if clock() < until and not should_stop():
            laid_out.try_it(best_pattern, later, 1.0)
    laid_out.offer_best()
    solution = laid_out.best_found
    grid, x = solution.grid, solution.x
    worth = grid.value(x) - float(grid.program.cost[grid.missed] @ x[grid.missed])
    idle = do_nothing(grid)
    nothing = grid.value(idle) - float(grid.program.cost[grid.missed] @ idle[grid.missed])
    # Where something must be made, what is promised says little, and what misses it is far off.
    if len(grid.missed) and (best is not None or _meets(grid, x)):
        return [solution] if _meets(grid, x) else []
    return [solution] if worth - nothing > _GOOD * (promised - nothing) else []


@dataclass(slots=True, kw_only=True)
class _LaidOut:
    """What patterns become along the horizon."""

    best: Schedule | None
    seconds: float
    until: float
    clock: Callable[[], float]
    on_solution: Callable[[Grid, NDArray[np.float64]], object]
    found: list[Repeated] = field(default_factory=list)
    known: dict[float, NDArray[np.float64] | None] = field(default_factory=dict)

    def try_it(self, pattern: Pattern, later: int, share: float) -> None:
        """Lay a pattern out; where it misses a demand, beside what the best schedule makes."""
        grid = pattern.ring.grid
        met = self.lay_out(pattern, later, share, self.known.get(grid.width))
        if met or self.best is None or not len(grid.missed) or grid.width in self.known:
            return
        seconds = max(0.1, _CARRY_SHARE * self.seconds)
        x = carry_over(self.best, grid, seconds=seconds)
        self.known[grid.width] = x if x is not None and _meets(grid, x) else None
        if self.known[grid.width] is not None:
            self.lay_out(pattern, later, share, x)

    def lay_out(
        self, pattern: Pattern, later: int, share: float, beside: NDArray[np.float64] | None
    ) -> bool:
        """Lay a pattern out in a share of what is left; say whether that meets the demand."""
        grid, seconds = pattern.ring.grid, max(0.1, share * (self.until - self.clock()))
        if beside is not None:
            seconds = max(seconds, _BESIDE_SHARE * self.seconds)
        x = lay_out(pattern, later=later, seconds=seconds, beside=beside)
        if x is None:
            return False
        self.found.append(Repeated(grid=grid, x=x, pattern=pattern, later=later))
        return _meets(grid, x)

    @property
    def best_found(self) -> Repeated:
        """What is worth most."""
        return max(self.found, key=lambda each: each.value)

    def offer_best(self) -> None:
        """Offer the best that was found, if it meets the demand."""
        if self.found:
            solution = self.best_found
            if _meets(solution.grid, solution.x):
                self.on_solution(solution.grid, solution.x)


def _meets(grid: Grid, x: NDArray[np.float64]) -> bool:
    return grid.missed_amount(x) <= MET * grid.largest


def suits_cycles(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    seconds: float,
    *,
    most_modes: int,
    start: PlantState | None,
) -> bool:
    """Whether a horizon is long enough for cycles, and windows would be too slow or too small."""
    demanded = {each.rule for each in demanded_rules(network, problem, start)}
    if problem.objective not in MAXIMISED or demanded & _NOT_FOR_CYCLES:
        return False
    longest = max(fit.duration(fit.max_batch) for fit in network.suitabilities)
    first = next((each for each in ranked if not each.wide), None)
    if problem.horizon is None or problem.horizon < _LONG * longest or first is None:
        return False
    few = count_in_window(network, first.width, most_modes) <= FEW_IN_WINDOW
    return not few or share_of_constructing(network, first, seconds, most_modes) > _SLOW


def _grids_for_cycles(
    network: Network,
    problem: Problem,
    ranked: Sequence[Width],
    *,
    most_modes: int,
    start: PlantState | None,
    until: float,
    clock: Callable[[], float],
) -> list[Grid]:
    """Build the grids that can be bent into rings and promise most, the best first.

    After some time, no others but the best.
    """
    assert problem.horizon is not None
    possible = []
    for each in ranked:
        modes = choose_modes(network, each.width, most=most_modes)
        steps = math.floor(problem.horizon / each.width)
        longest = max(mode.steps for mode in modes)
        if lengths_of_cycles(steps, len(modes), longest):
            possible.append((each, modes, longest * len(modes)))
    best = max((abs(each.worth) for each, *_ in possible), default=0.0) or 1.0

    def score(each: Width, smallest: int) -> float:
        """Worth, less for rings on which a relaxation is not solved many times."""
        return each.worth / best - _PER_DOUBLING * max(0.0, math.log2(smallest / _SMALL_RING))

    good = max((score(each, smallest) for each, _, smallest in possible), default=0.0) - _WORSE
    chosen = [each for each in possible if score(each[0], each[2]) >= good]
    chosen.sort(key=lambda each: score(each[0], each[2]), reverse=True)
    grids: list[Grid] = []
    for each, modes, _ in chosen[:_MOST_GRIDS]:
        if not grids or clock() < until:
            grid = build_grid(network, problem, width=each.width, modes=modes, start=start)
            grids.append(grid)
    return grids
