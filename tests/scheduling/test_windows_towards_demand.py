"""Where demand is missed a window frees all that leads to it; without a gain, everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_plants import plant, run, task

from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon import windows as windows_module
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.windows import WindowSearch
from stnopt.solvers.linear_program import ProgramStatus, solve_program

#: Two products share a unit; P takes three steps that last the horizon, Q pays better.
PLANT = plant(
    {"A": {"initial": "unlimited"}, "I": {}, "J": {}, "P": {"price": 1}, "Q": {"price": 5}},
    {
        "First": task("A", "I", U1=run(8, 10)),
        "Second": task("I", "J", U2=run(8, 10)),
        "Third": task("J", "P", U3=run(8, 10)),
        "Other": task("A", "Q", U1=run(8, 10)),
    },
)


class Draws:
    """In place of a generator: the same draw, whenever it is asked."""

    def __init__(self, draw):
        self.draw = draw

    def random(self):
        return self.draw

    def integers(self, *_):
        return 0

    def choice(self, n, size=1, replace=True):
        return list(range(size))

    def permutation(self, values):
        return values


@pytest.mark.parametrize(("draw", "missed"), [(0.0, 0), (0.9, 10)])
def test_one_window_makes_what_takes_the_whole_horizon(draw, missed):
    """A window of 9 h, at 0.9, makes nothing of three steps of 8 h."""
    grid = build_grid(
        PLANT,
        Problem(horizon=24, targets={"P": 10}),
        width=1.0,
        modes=choose_modes(PLANT, 1.0, most=1),
    )
    x = do_nothing(grid)
    value = float(grid.program.cost @ x) + grid.program.offset
    windows = WindowSearch(grid=grid, random=Draws(draw), seconds=60.0, x=x, value=value)
    windows.support = np.zeros(len(grid.run), bool)  # not drawn first
    windows.sizes["time"].batches = 9.0 * len(grid.run) / grid.n_steps
    windows.improve(seconds=60.0)
    assert grid.missed_amount(windows.x) == pytest.approx(missed, abs=1e-6)


def test_everything_is_freed_where_windows_gain_nothing():
    """Two batches must go at once before three others fit: no window of 2 h sees that.

    By hand, on one unit for 9 h: Q takes 3 h and pays 50 each, P takes 4 h and pays 60 each.
    """
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 6}, "Q": {"price": 5}},
        {"Long": task("A", "P", U=run(4, 10)), "Short": task("A", "Q", U=run(3, 10))},
    )
    grid = build_grid(
        network, Problem(horizon=9), width=1.0, modes=choose_modes(network, 1.0, most=1)
    )
    lower, upper = grid.program.lower.copy(), grid.program.upper.copy()
    long = [grid.modes[n].suitability.task == "Long" for n in grid.mode_of]
    lower[grid.run] = upper[grid.run] = np.array(long) & np.isin(grid.start_of, (0, 4))
    x = solve_program(replace(grid.program, lower=lower, upper=upper)).x
    value = float(grid.program.cost @ x) + grid.program.offset
    windows = WindowSearch(grid=grid, random=Draws(0.9), seconds=60.0, x=x, value=value)
    windows.support = np.zeros(len(grid.run), bool)  # not drawn first
    windows.sizes["time"].batches = 2.0 * len(grid.run) / grid.n_steps
    assert value == pytest.approx(120)
    assert not windows.improve(seconds=60.0)
    assert windows.improve(seconds=60.0, free=np.ones(len(grid.run), bool))
    assert windows.value == pytest.approx(150)
    assert windows.exhausted


def test_a_start_that_is_called_optimal_is_not_believed(monkeypatch):
    """HiGHS 1.15.1 called starts the optimum of whole grids on which there was more."""
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 10}},
        {"Make": task("A", "P", U1=run(2, 4))},
    )
    modes = choose_modes(network, 1.0, most=1)
    grid = build_grid(network, Problem(horizon=9.0), width=1.0, modes=modes)
    x = do_nothing(grid)
    honest, asked = windows_module.solve_program, []

    def lie(program, *, start, **rest):
        answer = honest(program, start=start, **rest)
        asked.append(start is not None)
        if start is None:
            return answer
        worth = grid.value(x)
        return replace(answer, status=ProgramStatus.OPTIMAL, x=start, objective=worth, bound=worth)

    monkeypatch.setattr(windows_module, "solve_program", lie)
    windows = WindowSearch(grid=grid, random=Draws(0.9), seconds=60.0, x=x, value=grid.value(x))
    assert windows.improve(seconds=60.0, free=np.ones(len(grid.run), bool))
    assert windows.value == pytest.approx(160)
    assert windows.exhausted
    assert asked == [True, False]
