"""A solution of a grid's program by rounding its linear relaxation, the earliest batches first.

Branch and bound hardly begins on a large plant, whose relaxation is solved in a second. Here the
relaxation is solved again after every batch that is decided, from where it was: each is decided
in view of all that may follow. Where what was decided cannot be completed, the last
decisions are taken back, ever more of them.

References
----------
Relax and fix: Pochet & Wolsey (2006), Production Planning by Mixed Integer Programming,
doi:10.1007/0-387-33477-7; diving: Achterberg (2007), Constraint Integer Programming,
ch. 9.2, doi:10.14279/depositonce-1634.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.solvers.linear_program import Relaxation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from stnopt.solvers.linear_program import Program

#: A batch that runs by less than this in the relaxation is not thought of, and by more is decided.
_NOTHING, _WHOLE = 0.02, 1 - 1e-7
#: Of two batches that run as much, the later by the whole look ahead is worth so much less.
_LATER = 0.5
#: What is decided together runs by this at least, and is worth as much less than the best at most.
_LIKELY, _AS_GOOD = 0.4, 0.3
#: Where a batch costs this share of all, it is looked at what doing without it costs.
_DEAR = 0.3


def dive(
    program: Program,
    *,
    runs: NDArray[np.int64],
    starts: NDArray[np.int64],
    units: NDArray[np.int64],
    look_ahead: int,
    seconds: float,
    clock: Callable[[], float],
) -> NDArray[np.float64] | None:
    """Round the batches of a program in the order of time, and choose the rest to go with them.

    Parameters
    ----------
    program : Program
        A solution without any of the batches must exist.
    runs : (n,) array of columns
        Whether each batch runs.
    starts, units : (n,) arrays
        At which point it starts, and the number of its unit.
    look_ahead : int
        Batches that start so many steps after the first undecided one may be decided before it.
    seconds : float
        By `clock`. Where they will not be enough, several batches are decided together; after them
        nothing more is begun.
    clock : callable

    Returns
    -------
    (n,) array or None
        A solution in which batches run or do not; None if there was no time for one. Other
        integers than those of `runs` need not be whole.
    """
    begun, last = clock(), int(starts.max(initial=0)) + 1
    relaxed = Relaxation(program)
    x = relaxed.solve(seconds=seconds)
    if x is None:
        return None
    decisions = _Decisions(program, relaxed, runs)
    dear = _DEAR * abs(float(program.cost @ x))
    while (used := (clock() - begun) / seconds) < 1.0:
        values = x[runs]
        left = np.flatnonzero(~decisions.decided & (values > _NOTHING))
        if not len(left):
            break
        first = int(starts[left].min())
        near = left[starts[left] <= first + look_ahead]
        whole = near[values[near] > _WHOLE]
        if len(whole):
            decisions.take(whole)
            continue
        worth = values[near] - _LATER * (starts[near] - first) / max(1, look_ahead)
        enough, found = float(program.cost @ x) - dear, None
        if used > (first + 1) / last:  # late: several at once
            likely = near[(values[near] >= _LIKELY) & (worth >= worth.max() - _AS_GOOD)]
            _, one_each = np.unique(units[likely], return_index=True)
            if len(one_each) > 1:
                found = decisions.decide_together(likely[one_each], enough)
        if found is None:
            found = decisions.decide(int(near[np.argmax(worth)]), enough)
        if found is None:
            return None
        x = found
    return decisions.complete()


class _Decisions:
    """Which batches are decided, in which order, and how to take decisions back."""

    def __init__(self, program: Program, relaxed: Relaxation, runs: NDArray[np.int64]) -> None:
        self.cost, self.relaxed, self.runs = program.cost, relaxed, runs
        self.decided = np.zeros(len(runs), dtype=bool)
        self.taken: list[int] = []
        self.back = 1

    def take(self, batches: NDArray[np.int64]) -> None:
        """Let batches run."""
        self._limit(batches, 1.0, 1.0)
        self.decided[batches] = True
        self.taken += batches.tolist()

    def decide_together(
        self, batches: NDArray[np.int64], enough: float
    ) -> NDArray[np.float64] | None:
        """Let batches run if as much as is enough remains possible; None, and nothing, if not."""
        self.take(batches)
        x = self.relaxed.solve()
        if x is not None and self.cost @ x >= enough:
            return x
        del self.taken[-len(batches) :]
        self._limit(batches, 0.0, 1.0)
        self.decided[batches] = False
        return None

    def decide(self, batch: int, enough: float) -> NDArray[np.float64] | None:
        """Let a batch run if as much as is enough remains possible, or more than without it.

        Where neither can be, the last decisions are taken back, and more and more of them.
        """
        with_it = self._solve_with(batch, 1.0)
        if with_it is not None and self.cost @ with_it >= enough:
            self.taken.append(batch)
            return with_it
        without = self._solve_with(batch, 0.0)
        if with_it is not None and (without is None or self.cost @ with_it >= self.cost @ without):
            self._limit(np.array([batch]), 1.0, 1.0)
            self.taken.append(batch)
            return with_it
        while without is None:
            last = self._take_back()
            if last is None:
                return None
            without = self._solve_with(last, 0.0)
        self.back = max(1, self.back // 2)
        return without

    def _solve_with(self, batch: int, value: float) -> NDArray[np.float64] | None:
        self._limit(np.array([batch]), value, value)
        self.decided[batch] = True
        return self.relaxed.solve()

    def complete(self) -> NDArray[np.float64] | None:
        """Let nothing else run; take decisions back until that can be."""
        while True:
            others = np.flatnonzero(~self.decided)
            self._limit(others, 0.0, 0.0)
            x = self.relaxed.solve()
            if x is not None:
                return x
            if self._take_back() is None:
                return None

    def _take_back(self) -> int | None:
        """Free the last batches that were taken, more every time; name the latest."""
        if not self.taken:
            return None
        last = self.taken[-self.back :]
        del self.taken[-self.back :]
        self.back *= 2
        batches = np.array(last)
        self._limit(batches, 0.0, 1.0)
        self.decided[batches] = False
        return last[-1]

    def _limit(self, batches: NDArray[np.int64], lower: float, upper: float) -> None:
        self.relaxed.limit(self.runs[batches], lower, upper)
