"""Orders in parts while a schedule is looked for, and whole in the end."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from grid_solutions import grid_of, most_broken
from plants_at_work import late, one_task, plant
from test_drawn_at_work import drawn

from stnopt.plant import Order
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.orders_in_parts import deliver_in_parts, deliver_whole
from stnopt.scheduling.search.question import missing_share
from stnopt.solvers.linear_program import solve_program

EXACT = {"relative_gap": 1e-7}


def delivered(grid, x):
    """Per order, the point at which it is delivered."""
    return {
        name: int(columns.points[np.argmax(x[columns.there])])
        for name, columns in grid.orders.items()
        if x[columns.there].max() > 0.5
    }


def in_parts(grid, **shares):
    """A solution in which every hour makes 10 and orders take these shares at these points."""
    x = np.zeros(len(grid.program.cost))
    x[grid.run] = 1.0
    x[grid.size] = 10.0
    for name, taken in shares.items():
        columns = grid.orders[name]
        for point, share in taken.items():
            x[columns.there[list(columns.points).index(point)]] = share
        x[columns.missing] = (1.0 - sum(taken.values())) * 10
    return x


def test_what_is_due_first_is_delivered_first_as_amounts_allow():
    # By the hour 1: half of each of two orders. Whole, that is one: the one that is due first.
    problem = late(2, Order("a", "P", 10, 1), Order("b", "P", 10, 0.5))
    grid = grid_of(plant(), problem)
    x = in_parts(grid, a={1: 0.5, 2: 0.5}, b={1: 0.5, 2: 0.5})
    assert delivered(grid, deliver_whole(grid, x, seconds=1.0)) == {"b": 1, "a": 2}


def test_what_is_mostly_missing_is_left_out():
    # 20 are made of 30 that are asked for.
    problem = late(2, *(Order(name, "P", 10, 1) for name in "abc"))
    grid = grid_of(plant(), problem)
    x = in_parts(grid, a={1: 0.2, 2: 0.2}, b={1: 0.8}, c={2: 0.8})
    assert set(delivered(grid, deliver_whole(grid, x, seconds=1.0))) == {"b", "c"}


def test_rounding_of_a_solution_is_no_obstacle():
    problem = late(2, *(Order(name, "P", 10, 1) for name in "ab"))
    grid = grid_of(plant(), problem)
    x = in_parts(grid, a={1: 0.5, 2: 0.5})
    first = int(np.argmin(grid.start_of))
    x[grid.run[first]], x[grid.size[first]] = -3e-7, -3e-6
    x[grid.run[1 - first]] = 1 - 3e-7
    found = deliver_whole(grid, x, seconds=1.0)
    assert delivered(grid, found) == {"a": 2}
    assert most_broken(grid.program, found) < 1e-6


def test_whole_orders_stay_as_they_are():
    grid = grid_of(plant(), late(2, Order("a", "P", 10, 1)))
    x = in_parts(grid, a={1: 1.0})
    assert deliver_whole(grid, x, seconds=1.0) is x


@pytest.mark.parametrize("states", [{"P": {"price": 1, "capacity": 20}}, {}])
def test_only_what_waits_without_limit_is_delivered_in_parts(states):
    partial = not states
    problem = late(2, Order("a", "P", 10, 1, partial=partial))
    grid = grid_of(plant(states or {"P": {"price": 1}}), problem)
    assert deliver_in_parts(grid) is grid


@pytest.mark.few_seeds(10)
@pytest.mark.parametrize("seed", range(60))
def test_parts_bound_whole_orders_and_become_them(seed):
    network, start, problem = drawn(seed)
    if not problem.orders:
        return
    modes = choose_modes(network, 1.0, most=2)
    grid = build_grid(network, problem, width=1.0, modes=modes, start=start)
    parts = deliver_in_parts(grid)
    best = solve_program(grid.program, **EXACT)
    answer = solve_program(parts.program, **EXACT)
    assert (best.x is None) == (answer.x is None)
    if answer.x is None:
        return
    tolerance = 1e-5 * max(1.0, abs(best.objective))
    assert answer.objective >= best.objective - tolerance
    x = deliver_whole(parts, answer.x, seconds=10.0)
    assert most_broken(grid.program, x) < 1e-5
    assert grid.value(x) <= best.objective + tolerance
    assert grid.missed_amount(x) <= grid.missed_amount(answer.x) + 1e-6
    assert np.array_equal(x[grid.run] > 0.5, answer.x[grid.run] > 0.5)
    waits = [each for each in grid.orders.values() if not parts.program.integer[each.there].any()]
    if all(answer.x[each.missing] < 1e-6 for each in waits):
        assert all(x[each.missing] < 1e-6 for each in waits)


def test_orders_that_take_all_there_is_are_on_time_in_turn():
    # One unit, 10 an hour: each order takes two hours, so that all 12 are on time only in turn.
    orders = [Order(f"n{n}", "P", 20, 2 * n) for n in range(1, 13)]
    problem = late(24, *orders)
    ticks = count()
    schedule, least = search_long_horizon(
        plant(tasks=one_task()),
        problem,
        improve="both",
        time_limit=60.0,
        clock=lambda: float(next(ticks)),
    )
    assert find_violations(schedule, plant(tasks=one_task())) == []
    assert missing_share(schedule) == pytest.approx(0.0)
    assert all(served.lateness(24.0) < 1e-6 for served in schedule.orders)
    assert least == pytest.approx(0.0)
