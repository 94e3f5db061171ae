"""A pattern that repeats: laid out a solution of the grid, nearly what units allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_plants import plant, run, task

from stnopt import find_violations, schedule_value
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.cycle import repeat_cycle
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes


def repeated(network, horizon):
    """The grid of hours and what repeating makes of it, in ten looks at the clock."""
    problem = Problem(horizon=horizon)
    modes = choose_modes(network, 1.0, most=2)
    grid = build_grid(network, problem, width=1.0, modes=modes)
    looks = itertools.count(step=4)
    x = repeat_cycle(
        grid, seconds=40.0, clock=lambda: float(next(looks)), random=np.random.default_rng(0)
    )
    return grid, x


def chain(**last):
    """Two steps, of which the first waits in its unit for the second, which is smaller."""
    return plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "J": {"capacity": 6}, "P": last},
        {
            "First": task("A", "I", U1=run(2, 4)),
            "Second": task("I", "J", U2=run(1, 2), U3=run(2, 3, min_batch=1)),
            "Third": task("J", "P", U4=run(1, 3)),
        },
    )


def test_a_pattern_is_a_solution_of_the_grid():
    network = chain(price=2)
    grid, x = repeated(network, 240)
    program = grid.program
    rows = program.matrix @ x
    assert (rows >= program.row_lower - 1e-6).all()
    assert (rows <= program.row_upper + 1e-6).all()
    assert (x >= program.lower - 1e-6).all()
    assert (x <= program.upper + 1e-6).all()
    assert (np.abs(x - np.round(x))[program.integer] < 1e-6).all()
    # U1 makes 4 in two hours; three to fill the route, and what the last batch leaves.
    assert program.cost @ x == pytest.approx(2 * 2 * 236, rel=0.02)
    schedule = retime_repeatedly(grid.place(x), network, grid.problem, width=1.0)
    assert find_violations(schedule, network) == []
    assert schedule_value(schedule, network, "profit") >= program.cost @ x - 1e-3


def test_batches_with_a_least_size_and_a_cost_run_where_they_can():
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 5}, "P": {"price": 2}},
        {
            "First": task("A", "I", U1=run(2, 4, min_batch=3, fixed_cost=1)),
            "Second": task("I", "P", U2=run(3, 5, min_batch=2)),
        },
    )
    grid, x = repeated(network, 96)
    # U2 is the slower one: 5 in three hours, for 5 / 4 batches of the first.
    assert program_value(grid, x) == pytest.approx((96 - 2) / 3 * (2 * 5 - 5 / 4), rel=0.06)


def program_value(grid, x):
    return float(grid.program.cost @ x) + grid.program.offset


@pytest.mark.parametrize("why", ["short", "no outlet", "worthless"])
def test_without_anything_to_repeat_there_is_no_pattern(why):
    network = chain(capacity=5, price=2) if why == "no outlet" else chain(price=2)
    if why == "worthless":
        network = chain(price=-1)
    _, x = repeated(network, 20 if why == "short" else 240)
    assert x is None


def test_where_what_is_left_over_has_nowhere_to_go_nothing_repeats():
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "P": {"price": 2},
            "Left": {"capacity": 50},
        },
        {"Make": task("A", {"P": 0.5, "Left": 0.5}, U1=run(2, 4))},
    )
    _, x = repeated(network, 240)
    assert x is None
