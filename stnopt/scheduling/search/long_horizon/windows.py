"""Better solutions from a solution on a grid: free a window of time or some units, fix the rest.

References
----------
Large neighbourhood search: Shaw (1998), CP98, LNCS 1520, 417, doi:10.1007/3-540-49481-2_30.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.meet_demand import leads_to_demand, tasks_towards
from stnopt.scheduling.search.long_horizon.restrict import Part, restrict
from stnopt.solvers.linear_program import ProgramStatus, fix_integers, solve_program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid

#: Least relative gain that counts.
_GAIN = 1e-7
_GAP = 5e-4
#: Free batches of the first windows.
_FIRST_BATCHES = 250
#: A window grows or shrinks by this when its solves are quick or cut short.
_LARGER, _SMALLER = 1.3, 0.8
#: The whole grid may take so many windows' time, or this share of all that is left.
_WHOLE, _WHOLE_SHARE = 4.0, 0.3
#: From so many units or products, some of them can be free alone.
_MANY = 4
#: Share of windows that free some units only, for a longer time.
_SHARE_OF_UNITS = 0.3
#: Share of windows that free what leads to one product only, for a longer time yet.
_SHARE_OF_PRODUCTS = 0.3
#: Share of windows that lie around an order that is late, where there is one.
_SHARE_OF_LATE = 0.5
#: Share of windows that free all that leads to the demand, as long as some of it is missed, and how
#: much longer than others they may take. It is missed where more than this of a batch is.
_SHARE_OF_DEMAND, _LONGER_FOR_DEMAND, _MISSED = 0.5, 3.0, 1e-6


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
    length : float
        Of a window, in steps.
    idle : int
        Windows since the last gain.
    exhausted : bool
        The whole grid was free, and solved to the end: there is nothing better on it.
    bound : float or None
        Of all solutions on the grid, where the whole of it was free.
    """

    grid: Grid
    random: np.random.Generator
    seconds: float
    x: NDArray[np.float64]
    value: float
    length: float = 0.0
    idle: int = 0
    exhausted: bool = False
    bound: float | None = None
    solved: int = 0
    cut: int = 0
    waiting_list: list[int] = field(default_factory=list)
    routes: list[NDArray[np.bool_]] = field(default_factory=list)  # to each product, of the modes

    def __post_init__(self) -> None:
        per_step = max(1.0, len(self.grid.run) / max(1, self.grid.n_steps))
        network = self.grid.network
        routes = dict.fromkeys(tasks_towards(network, [product]) for product in network.products)
        tasks = [mode.suitability.task for mode in self.grid.modes]
        self.routes = [np.array([task in route for task in tasks]) for route in routes]
        self.length = max(_FIRST_BATCHES / per_step, 1.5 * self.grid.longest)

    @property
    def sweep(self) -> int:
        """How many windows lie in the grid, half overlapping."""
        return max(1, int(np.ceil(2 * self.grid.n_steps / max(1.0, self.length))))

    def improve(self, *, seconds: float, everything: bool = False) -> bool:
        """Free one window, or everything for all of the seconds; say whether that helped."""
        grid = self.grid
        missed = grid.missed_amount(self.x) > _MISSED * grid.largest
        to_demand = missed and not everything and self.random.random() < _SHARE_OF_DEMAND
        if everything:
            begin, end, free = 0, grid.n_steps, np.ones(len(grid.run), bool)
        elif to_demand:
            begin, end, free = 0, grid.n_steps, self._free_towards_demand()
        else:
            begin, end, some = self._choose()
            free = (grid.finish_of > begin) & (grid.start_of < end) & some
        whole = bool(free.all())
        part = self._part(free, begin, end)
        limit = min(seconds, self.seconds * (_LONGER_FOR_DEMAND if to_demand else 1.0))
        if everything:
            limit = seconds
        elif whole:
            limit = min(seconds, max(_WHOLE * self.seconds, _WHOLE_SHARE * seconds))
        answer = solve_program(
            part.program,
            time_limit=limit,
            relative_gap=_GAP,
            start=part.start,
            heuristic_effort=0.2,
            seed=int(self.random.integers(1 << 16)),
        )
        done = answer.status in (ProgramStatus.OPTIMAL, ProgramStatus.INFEASIBLE)
        if whole:
            self.exhausted = done
            self.bound = answer.bound
        if not to_demand and not everything:
            self._adapt(done)
        if answer.x is None or answer.objective is None:
            self.idle += 1
            return False
        if answer.objective <= self.value + _GAIN * max(1.0, abs(self.value)):
            self.idle += 1
            return False
        self._keep(part.expand(fix_integers(part.program, answer.x, time_limit=seconds)))
        self.idle = 0
        return True

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

    def _choose(self) -> tuple[int, int, NDArray[np.bool_] | bool]:
        """Return begin and end of the next window, and the batches that it frees (True: all)."""
        grid = self.grid
        n_units = len(grid.network.units)
        draw = self.random.random()
        if n_units >= _MANY and draw < _SHARE_OF_UNITS:
            count = max(2, n_units // 3)
            units = self.random.choice(n_units, size=count, replace=False)
            return *self._longer(n_units / count), np.isin(grid.unit_of, units)
        if len(self.routes) >= _MANY and draw < _SHARE_OF_UNITS + _SHARE_OF_PRODUCTS:
            route = self.routes[int(self.random.integers(len(self.routes)))]
            return *self._longer(len(route) / max(1, int(route.sum()))), route[grid.mode_of]
        length = int(self.length)
        if length >= self.grid.n_steps:
            return 0, self.grid.n_steps, True
        late = self.grid.late_points(self.x)
        if len(late) and self.random.random() < _SHARE_OF_LATE:
            # What comes late is mended before that, mostly.
            point = int(self.random.choice(late))
            begin = point - int(length * self.random.uniform(0.5, 1.0))
            begin = min(max(begin, 0), self.grid.n_steps - length)
            return begin, begin + length, True
        if not self.waiting_list:
            step = max(1, length // 2)
            offset = int(self.random.integers(step))
            begins = np.arange(offset - length // 2, self.grid.n_steps - length // 3, step)
            self.waiting_list = self.random.permutation(begins).tolist()
        begin = int(self.waiting_list.pop())
        return begin, begin + length, True

    def _longer(self, times: float) -> tuple[int, int]:
        """Return begin and end of a window so many times as long as others, anywhere."""
        length = min(self.grid.n_steps, int(self.length * times))
        begin = int(self.random.integers(-length // 2, max(1, self.grid.n_steps - length // 2)))
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

    def _adapt(self, done: bool) -> None:
        """Windows that are solved without a gain are too short; those that are cut too long."""
        if not done:
            self.solved = 0
            self.cut += 1
            if self.cut >= 2:
                self.length = max(_SMALLER * self.length, 1.0 + self.grid.longest)
                self.cut, self.waiting_list = 0, []
            return
        self.cut = 0
        self.solved += 1
        if self.solved >= 4:
            self.length = min(_LARGER * self.length, 1.0 + self.grid.n_steps)
            self.solved, self.waiting_list = 0, []
