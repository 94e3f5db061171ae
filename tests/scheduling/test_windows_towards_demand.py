"""Where demand is missed, a window frees all that leads to it, at any time."""

from __future__ import annotations

import pytest
from small_plants import plant, run, task

from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.windows import WindowSearch

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
    windows.length = 9.0
    windows.improve(seconds=60.0)
    assert grid.missed_amount(windows.x) == pytest.approx(missed, abs=1e-6)
