"""The arrays of the long-horizon search on plants at work: a grid of hours, the sums, retiming.

Against best values by hand and against the tests' own grid, which shares no code with them.
"""

from __future__ import annotations

import math
from itertools import count

import pytest
from plants_at_work import CASES, FROM_S, P, late, plant
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all

from stnopt.plant import Order
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.capacity_bound import bound_by_capacity, bound_by_periods
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.question import missing_share
from stnopt.scheduling.search.retiming.retime import retime
from stnopt.solvers.linear_program import solve_program

#: Without periods, and with many: what the sums say must hold with both.
N_PERIODS = (1, 2, 6)


def on_hours(network, problem, start):
    """Solve the grid of whole hours as one program, and retime; None where demand is missed."""
    grid = build_grid(
        network, problem, width=1.0, modes=choose_modes(network, 1.0, most=1), start=start
    )
    answer = solve_program(grid.program, relative_gap=1e-7, start=do_nothing(grid))
    if grid.missed_amount(answer.x) > 1e-6:
        return None
    # What runs at time 0 may alone draw more than there is, which time shows.
    return retime(
        grid.place(answer.x),
        network,
        problem,
        start=start,
        parts=grid.parts(answer.x),
        width=1.0,
        improve="both",
    )


def bounds(network, problem, start, **more):
    yield bound_by_capacity(network, problem, start=start, **more)
    for n_periods in N_PERIODS:
        yield bound_by_periods(network, problem, n_periods=n_periods, start=start, **more)


@pytest.mark.parametrize("name", CASES)
def test_cases_by_hand(name):
    case = CASES[name]
    schedule = on_hours(case.network, case.problem, case.start)
    if case.best is None:
        assert schedule is None
        return
    value = schedule_value(schedule, case.network, case.problem.objective)
    if case.problem.objective != "makespan":
        assert value == pytest.approx(case.best, abs=1e-3)
    if case.problem.objective == "tardiness":
        assert missing_share(schedule) == pytest.approx(case.missing, abs=1e-5)
    sign = 1 if case.problem.objective in ("profit", "production") else -1
    most = case.missing if case.problem.objective == "tardiness" else None
    for bound in bounds(case.network, case.problem, case.start, most_missing=most):
        assert sign * bound >= sign * case.best - 1e-4
    if case.problem.objective == "tardiness":
        for bound in bounds(case.network, case.problem, case.start, improve="missing share"):
            assert bound <= case.missing + 1e-6


@pytest.mark.few_seeds(10)
@pytest.mark.parametrize("seed", range(60))
def test_drawn_plants(seed):
    network, start, problem = drawn(seed)
    best = best_of_all(
        network, HOURS, start=start, orders=problem.orders, objective=problem.objective
    )
    schedule = on_hours(network, problem, start)
    if best is None:
        assert schedule is None
        return
    tardy = problem.objective == "tardiness"
    if schedule is None:
        pytest.fail("the grid finds nothing where there is something")
    assert find_violations(schedule, network) == []
    value = schedule_value(schedule, network, problem.objective)
    assert missing_share(schedule) >= best.missing - 1e-5 or not tardy
    if tardy:
        assert missing_share(schedule) == pytest.approx(best.missing, abs=1e-4)
        assert value >= best.value - 2e-3
        for bound in bounds(network, problem, start, improve="missing share"):
            assert bound <= best.missing + 1e-6
        for bound in bounds(network, problem, start, most_missing=best.missing):
            assert bound <= best.value + 1e-4
    else:
        assert value <= best.value + 2e-3
        for bound in bounds(network, problem, start):
            assert bound >= best.value - 1e-4 * max(1.0, abs(best.value))


@pytest.mark.long
def test_the_grid_of_hours_loses_next_to_nothing():
    """A third task between two that need a changeover is passed over; nothing else may be lost."""
    below = []
    for seed in range(60):
        network, start, problem = drawn(seed)
        best = best_of_all(
            network, HOURS, start=start, orders=problem.orders, objective=problem.objective
        )
        if best is None:
            continue
        schedule = on_hours(network, problem, start)
        value = schedule_value(schedule, network, problem.objective)
        if abs(value - best.value) > 1e-3 * max(1.0, abs(best.value)):
            below.append((seed, value, best.value))
    assert len(below) <= 2, below


def search(network, problem, start, *, steps=60, **more):
    ticks = count()
    return search_long_horizon(
        network, problem, start=start, time_limit=steps, clock=lambda: float(next(ticks)), **more
    )


@pytest.mark.parametrize("name", ["running", "held", "stored before they leave", "late", "paused"])
def test_the_search_comes_to_the_best_of_plants_at_work(name):
    case = CASES[name]
    schedule, bound = search(case.network, case.problem, case.start, most_missing=0.0)
    assert find_violations(schedule, case.network) == []
    value = schedule_value(schedule, case.network, case.problem.objective)
    assert value == pytest.approx(case.best, abs=1e-3)
    assert math.isfinite(bound)


def test_the_search_misses_as_little_as_can_be():
    case = CASES["one is missing"]
    schedule, bound = search(case.network, case.problem, case.start, improve="missing share")
    assert missing_share(schedule) == pytest.approx(case.missing)
    assert bound == pytest.approx(case.missing)


def test_orders_none_of_which_can_be_met():
    """5 of S are there, so that no order of 10 is: each is missing until 40, 35 h late."""
    network = plant({"S": {"initial": 5}, "Q": {}} | P, FROM_S)
    problem = late(40, Order("a", "P", 10, 5), Order("b", "P", 10, 5))
    found = find_schedule(network, problem, time_limit=3)
    assert found.missing == 2
    assert found.result.objective == pytest.approx(70)
