"""Fill an empty grid: by diving, or window after window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnopt.scheduling.search.long_horizon.construct import (
    FIRST_WINDOW,
    choose_window,
    construct,
    do_nothing,
)
from stnopt.scheduling.search.long_horizon.dive_grids import dive_on, most_to_dive
from stnopt.scheduling.search.long_horizon.meet_demand import MET
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Diving may take this share of the time that is left.
DIVE_SHARE = 0.3
#: Up to so many batches to choose from in a window, branch and bound constructs better than diving.
_FEW_IN_WINDOW = 300
#: Shares of the time for constructing, and for that within one of many horizons.
_CONSTRUCT_SHARE, _LENGTH_CONSTRUCT = 0.2, 0.08
#: Windows reach so many longest batches beyond the plant's path where shorter ones build next to
#: nothing: this share of what there is to gain.
_BEYOND_PATH, _NEXT_TO_NOTHING = (None, 0.75, 1.5), 0.05
#: Constructing may take so many seconds per window instead, up to this share of the time.
PER_WINDOW, _MOST_CONSTRUCT = 1.5, 0.5
#: Free batches of a window while constructing.
WINDOW_BATCHES = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What filling a grid may use.

    Attributes
    ----------
    bound : float or None
        Of the problem, for any schedule.
    time_limit, deadline : float
        Seconds of the whole search, and the time by `clock` at which it ends.
    clock : callable
    """

    bound: float | None
    time_limit: float
    deadline: float
    clock: Callable[[], float]

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock()

    def dives(self, grid: Grid) -> bool:
        """Whether a grid is better filled by diving: windows have many batches to choose from."""
        if grid.problem.objective not in MAXIMISED:
            return False
        if len(grid.run) > most_to_dive(DIVE_SHARE * self.left):
            return False
        return len(grid.run) * FIRST_WINDOW * grid.longest > _FEW_IN_WINDOW * grid.n_steps

    def fill(self, grid: Grid, around: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return a solution of a grid, with the batches of `around` if there is one.

        It may miss some of the demand. Windows are longer where next to nothing comes out of short
        ones.
        """
        makespan = grid.problem.objective == "makespan"
        idle = do_nothing(grid) if around is None else around
        worth, nothing = self._worth(grid, idle), grid.value(idle)
        if self.dives(grid):
            x = dive_on(grid, seconds=DIVE_SHARE * self.left, clock=self.clock, around=around)
            if grid.value(x) - nothing > _NEXT_TO_NOTHING * worth:
                return x
        for tried, beyond in enumerate(_BEYOND_PATH, start=1):
            window, step = choose_window(grid, most_batches=WINDOW_BATCHES, beyond_path=beyond)
            share = self._share(grid, step)
            x = construct(
                grid,
                window=window,
                step=step,
                seconds=min(share * self.time_limit, self.left / 1.5),
                clock=self.clock,
                around=around,
            )
            if makespan and grid.missed_amount(x) > MET * grid.largest:
                seconds = max(0.1, min(share * self.time_limit, self.left))
                other = dive_on(grid, seconds=seconds, clock=self.clock)
                x = min(x, other, key=grid.missed_amount)
            longest = window == grid.n_steps or tried == len(_BEYOND_PATH)
            if grid.value(x) - nothing > _NEXT_TO_NOTHING * worth or longest or self.left <= 0:
                break
        return x

    def _worth(self, grid: Grid, idle: NDArray[np.float64]) -> float:
        """Return what there is to gain."""
        nothing = grid.value(idle)
        if grid.problem.objective in MAXIMISED and self.bound is not None:
            return max(abs(nothing), self.bound - nothing)
        return abs(nothing)

    def _share(self, grid: Grid, step: int) -> float:
        """Return the share of the time for constructing in such steps."""
        if grid.problem.objective == "makespan":
            return _LENGTH_CONSTRUCT
        if grid.orders:  # what is late is mended by windows around it
            return _CONSTRUCT_SHARE
        return min(max(_CONSTRUCT_SHARE, self._wanted(grid, step)), _MOST_CONSTRUCT)

    def _wanted(self, grid: Grid, step: int) -> float:
        """Return the share of the time that constructing in such steps would take."""
        return PER_WINDOW * grid.n_steps / (step * self.time_limit)
