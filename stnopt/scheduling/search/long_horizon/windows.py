"""Better solutions from a solution on a grid: free a window of time or some units, fix the rest.

References
----------
Large neighbourhood search: Shaw (1998), CP98, LNCS 1520, 417, doi:10.1007/3-540-49481-2_30; what
runs in the relaxation: Danna, Rothberg & Le Pape (2005), Math. Program. 102, 71,
doi:10.1007/s10107-004-0518-7, where it is what both agree on that is fixed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.meet_demand import leads_to_demand, tasks_towards
from stnopt.scheduling.search.long_horizon.near import near_solution
from stnopt.scheduling.search.long_horizon.restrict import Part, restrict
from stnopt.solvers.linear_program import (
    ProgramSolution,
    ProgramStatus,
    Relaxation,
    fix_integers,
    solve_program,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Least relative gain that counts.
_GAIN = 1e-7
_GAP = 5e-4
#: Nothing better is left.
_DONE = (ProgramStatus.OPTIMAL, ProgramStatus.INFEASIBLE)
#: Free batches of the first windows.
_FIRST_BATCHES = 400
#: Windows grow by this when so many were solved, and shrink when one was cut and did not help; down
#: to so many free batches, and so many of the longest ones.
_LARGER, _SOLVED, _SMALLER, _FEWEST, _SHORTEST = 1.4, 2, 0.75, 60, 1.2
#: The whole grid may take so many windows' time, or this share of all that is left.
_WHOLE, _WHOLE_SHARE = 4.0, 0.3
#: From so many units or products, some of them can be free alone.
_MANY = 4
#: Shares of windows that free, for longer times: batches near those that run, the batches of the
#: relaxation, some units, what leads to one product; and all batches of a while.
_SHARES = {"moves": 0.2, "relaxation": 0.15, "units": 0.2, "product": 0.25, "time": 0.25}
#: Moves are up to so many steps; where some other batches are free, the rest gives way by so many.
_MOVES, _GIVES_WAY = (2, 3, 4), 1.0
#: Share of windows that lie around an order that is late, where there is one.
_SHARE_OF_LATE = 0.5
#: Share of windows that free all that leads to the demand, as long as some of it is missed, and how
#: much longer than others they may take. It is missed where more than this of a batch is.
_SHARE_OF_DEMAND, _LONGER_FOR_DEMAND, _MISSED = 0.5, 3.0, 1e-6
#: Windows of a kind are so many times as large in turn: large ones are cut, but see more.
_TIMES = (1.0, 2.0, 4.0)
#: The relaxation of so many batches is solved, for so many windows' time; a batch runs above this.
_MOST_TO_RELAX, _RELAX_TIME, _RUNS = 6_000, 2.0, 1e-6


@dataclass(slots=True)
class Size:
    """How many batches are free in windows of one kind: as many as are solved in time."""

    batches: float
    solved: int = 0

    def adapt(self, *, done: bool, helped: bool) -> bool:
        """Note a window that was solved or cut, and whether it helped; say if others are alike."""
        self.solved = self.solved + 1 if done else 0
        if self.solved == _SOLVED:
            self.batches, self.solved = _LARGER * self.batches, 0
        elif not done and not helped:
            self.batches = max(_FEWEST, _SMALLER * self.batches)
        else:
            return True
        return False


@dataclass(slots=True, kw_only=True)
class WindowSearch:
    """Where the next window is, and how long; adapts to how long solves take.

    Attributes
    ----------
    grid : Grid
    random : numpy Generator
    seconds : float
        For one window.
    x : (n,) array
        The best solution.
    value : float
    sizes : dict of str to Size
        Of windows of each kind: everything in "time", some "units", what leads to one "product",
        batches of the "relaxation", or "moves" only; in all but the first the rest gives way.
    idle : int
        Windows since the last gain.
    exhausted : bool
        The whole grid was free, and solved to the end: there is nothing better on it.
    bound : float or None
        Of all solutions on the grid, where the whole of it was free.
    support : (n,) array or None
        Whether each batch runs at all in the relaxation of the whole grid; None before it is asked.
    """

    grid: Grid
    random: np.random.Generator
    seconds: float
    x: NDArray[np.float64]
    value: float
    sizes: dict[str, Size] = field(default_factory=dict)
    idle: int = 0
    exhausted: bool = False
    bound: float | None = None
    waiting_list: list[int] = field(default_factory=list)
    support: NDArray[np.bool_] | None = None
    routes: list[NDArray[np.bool_]] = field(default_factory=list)  # to each product, of the modes

    def __post_init__(self) -> None:
        network = self.grid.network
        routes = dict.fromkeys(tasks_towards(network, [product]) for product in network.products)
        tasks = [mode.suitability.task for mode in self.grid.modes]
        self.routes = [np.array([task in route for task in tasks]) for route in routes]
        self.sizes = {kind: Size(_FIRST_BATCHES) for kind in _SHARES}

    def _length(self, kind: str, n_free: int) -> int:
        """Return how many steps a window of a kind is long, of so many batches on the grid."""
        grid = self.grid
        length = self.sizes[kind].batches * grid.n_steps / max(1, n_free)
        if kind != "time":
            length *= float(self.random.choice(_TIMES))
        return min(grid.n_steps, max(int(length), int(_SHORTEST * grid.longest)))

    @property
    def sweep(self) -> int:
        """How many windows lie in the grid, half overlapping."""
        length = self._length("time", len(self.grid.run))
        return max(1, int(np.ceil(2 * self.grid.n_steps / length)))

    def improve(self, *, seconds: float, free: NDArray[np.bool_] | None = None) -> bool:
        """Free one window, or some batches for all of the seconds; say whether that helped."""
        grid, kind = self.grid, ""
        missed = grid.missed_amount(self.x) > _MISSED * grid.largest
        to_demand = missed and free is None and self.random.random() < _SHARE_OF_DEMAND
        given = free is not None
        if free is not None:
            begin, end = 0, grid.n_steps
        elif to_demand:
            begin, end, free = 0, grid.n_steps, self._free_towards_demand()
        else:
            kind, begin, end, some = self._choose()
            free = (grid.finish_of > begin) & (grid.start_of < end) & some
        whole = bool(free.all())
        part = self._part(free, begin, end)
        limit = min(seconds, self.seconds * (_LONGER_FOR_DEMAND if to_demand else 1.0))
        if given:
            limit = seconds
        elif whole:
            limit = min(seconds, max(_WHOLE * self.seconds, _WHOLE_SHARE * seconds))
        begun = time.perf_counter()
        answer = self._solve(part, seconds=limit, start=part.start)
        if (given or whole) and answer.status in _DONE and not self._is_better(answer):
            # HiGHS 1.15.1 called the start optimal where it was not on 2 of 95 drawn grids.
            left = max(0.1, limit - (time.perf_counter() - begun))
            answer = self._solve(part, seconds=left, start=None)
        done, helped = answer.status in _DONE, self._is_better(answer)
        if whole:
            self.exhausted = done
            self.bound = answer.bound
        if kind and not self.sizes[kind].adapt(done=done, helped=helped) and kind == "time":
            self.waiting_list = []
        if answer.x is None or not helped:
            self.idle += 1
            return False
        self._keep(part.expand(fix_integers(part.program, answer.x, time_limit=seconds)))
        self.idle = 0
        return True

    def _solve(
        self, part: Part, *, seconds: float, start: NDArray[np.float64] | None
    ) -> ProgramSolution:
        """Look for better choices of what is free."""
        return solve_program(
            part.program,
            time_limit=seconds,
            relative_gap=_GAP,
            start=start,
            heuristic_effort=0.2,
            seed=int(self.random.integers(1 << 16)),
        )

    def _is_better(self, answer: ProgramSolution) -> bool:
        """Whether a solution was found that is better than the best so far."""
        enough = self.value + _GAIN * max(1.0, abs(self.value))
        return answer.objective is not None and answer.objective > enough

    def resize(self, *, seconds: float) -> bool:
        """Choose the sizes of all batches again; say whether that helped."""
        grid = self.grid
        runs = self.x[grid.run] > 0.5
        rest = np.ones(len(self.x), bool)
        rest[grid.run] = rest[grid.size] = rest[grid.choices] = False
        free = np.concatenate([np.flatnonzero(rest), grid.size[runs]])
        part = restrict(grid.program, self.x, free)
        answer = solve_program(part.program, time_limit=seconds)
        if answer.x is None or answer.objective is None:
            return False
        if answer.objective <= self.value + _GAIN * max(1.0, abs(self.value)):
            return False
        self._keep(part.expand(answer.x))
        return True

    def _keep(self, x: NDArray[np.float64]) -> None:
        x[self.grid.run] = np.round(x[self.grid.run])
        self.x = x
        self.value = self.grid.value(x)

    def _choose(self) -> tuple[str, int, int, NDArray[np.bool_] | bool]:
        """Return kind, begin and end of the next window, and what it frees (True: all)."""
        grid, kind = self.grid, self._choose_kind()
        n_units = len(grid.network.units)
        if kind == "moves":
            some = near_solution(grid, self.x, reach=int(self.random.choice(_MOVES)))
        elif kind == "relaxation":
            some = self._run_in_relaxation()
        elif kind == "units":
            units = self.random.choice(n_units, size=max(2, n_units // 3), replace=False)
            some = np.isin(grid.unit_of, units)
        elif kind == "product":
            some = self.routes[int(self.random.integers(len(self.routes)))][grid.mode_of]
        if kind != "time":
            some = some | near_solution(grid, self.x, reach=_GIVES_WAY)
            return kind, *self._anywhere(kind, some), some
        length = self._length("time", len(grid.run))
        if length >= grid.n_steps:
            return "time", 0, grid.n_steps, True
        late = grid.late_points(self.x)
        if len(late) and self.random.random() < _SHARE_OF_LATE:
            # What comes late is mended before that, mostly.
            point = int(self.random.choice(late))
            begin = point - int(length * self.random.uniform(0.5, 1.0))
            begin = min(max(begin, 0), grid.n_steps - length)
            return "time", begin, begin + length, True
        if not self.waiting_list:
            step = max(1, length // 2)
            offset = int(self.random.integers(step))
            begins = np.arange(offset - length // 2, grid.n_steps - length // 3, step)
            self.waiting_list = self.random.permutation(begins).tolist()
        begin = int(self.waiting_list.pop())
        return "time", begin, begin + length, True

    def _choose_kind(self) -> str:
        """Draw a kind of window, of those that mean something on this grid."""
        shares = dict(_SHARES)
        if len(self.grid.run) > _MOST_TO_RELAX:
            del shares["relaxation"]
        elif self.support is None:
            return "relaxation"
        if len(self.grid.network.units) < _MANY:
            del shares["units"]
        if len(self.routes) < _MANY:
            del shares["product"]
        draw = self.random.random() * sum(shares.values())
        for kind, share in shares.items():
            draw -= share
            if draw < 0:
                return kind
        return "time"

    def _run_in_relaxation(self) -> NDArray[np.bool_]:
        """Say which batches run at all in the relaxation of the whole grid, (n,) array."""
        if self.support is None:
            x = Relaxation(self.grid.program).solve(seconds=_RELAX_TIME * self.seconds)
            n_runs = len(self.grid.run)
            self.support = np.zeros(n_runs, bool) if x is None else x[self.grid.run] > _RUNS
        return self.support

    def _anywhere(self, kind: str, some: NDArray[np.bool_]) -> tuple[int, int]:
        """Return begin and end of a window for some of the batches, anywhere."""
        n_steps = self.grid.n_steps
        length = self._length(kind, int(some.sum()))
        if length == n_steps:
            return 0, n_steps
        begin = int(self.random.integers(-length // 2, max(1, n_steps - length // 2)))
        return begin, begin + length

    def _free_towards_demand(self) -> NDArray[np.bool_]:
        """Free the tasks that lead to what must be made, at any time; others may only give way."""
        leads = leads_to_demand(self.grid)
        return leads | (self.x[self.grid.run] > 0.5)

    def _part(self, free: NDArray[np.bool_], begin: int, end: int) -> Part:
        """Free the batches, and the sizes of those that run a while longer."""
        grid, x = self.grid, self.x
        ahead = max(1, (end - begin) // 2)
        resized = (
            (x[grid.run] > 0.5)
            & (grid.finish_of > begin - ahead // 2)
            & (grid.start_of < end + ahead)
        )
        moving = free | resized
        if not moving.any():
            moving = np.ones_like(moving)
        first = int(grid.start_of[moving].min())
        last = int(grid.out_of[moving].max())
        columns = [grid.run[free], grid.size[moving], grid.missed]
        columns += [grid.asked_between(x, first, last), grid.cleaned_between(first, last)]
        groups = []
        for stock in grid.stock.values():
            if len(stock) == 1:
                columns.append(stock)
                continue
            columns.append(stock[first : last + 1])
            groups.append(stock[last + 1 :])
        columns += [waiting[first : last + 1] for waiting in grid.waiting.values()]
        return restrict(grid.program, x, np.unique(np.concatenate(columns)), groups)
