"""Choosing among the batches of a relaxation, against a grid that shares no code."""

from __future__ import annotations

import numpy as np
import pytest
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all, draw_deliveries

import stnopt as so
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon import round_relaxation as round_relaxation_module
from stnopt.scheduling.search.long_horizon.choose_grid import (
    Width,
    count_batches,
    rank_again,
    rank_widths,
)
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.round_relaxation import round_relaxation
from stnopt.solvers.linear_program import Relaxation, solve_program

HOURLY = [Width(width=1.0, worth=1.0, n_batches=1)]
TOLD = {"start": None, "most_modes": 1, "many_batches": 1000}


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(40))
def test_it_is_no_better_than_the_best_and_no_worse_than_what_is_given(seed):
    network, start, _ = drawn(seed)
    deliveries = tuple(draw_deliveries(network, seed, HOURS)) if seed % 2 else ()
    problem = Problem(horizon=HOURS, deliveries=deliveries)
    best = best_of_all(network, HOURS, deliveries, start=start)
    grids = []

    def best_on_grid(grid):
        grids.append((grid, solve_program(grid.program).x))
        return grids[-1][1]

    settings = {"most_modes": 1 + seed % 3, "seconds": 20.0, "many_batches": 1000}
    found = round_relaxation(
        network, problem, HOURLY, start=start, known=-1e9, around=best_on_grid, **settings
    )
    grid, x = grids[0]
    assert found.grid is grid
    assert found.value == pytest.approx(grid.value(x), rel=6e-4, abs=2e-3)
    runs = found.x[grid.run]
    assert np.all(np.isin(np.round(runs, 6), (0.0, 1.0)))
    lhs = grid.program.matrix @ found.x
    assert np.all(lhs <= grid.program.row_upper + 1e-5)
    assert np.all(lhs >= grid.program.row_lower - 1e-5)
    if best is not None:
        assert grid.missed_amount(found.x) == pytest.approx(0, abs=1e-6)
        assert found.value <= best.value + 2e-3
        if seed % 2:  # the grid cleans for every pair within a changeover's time
            assert found.value == pytest.approx(best.value, abs=2e-3)


def test_batches_of_the_relaxation_are_chosen_from_and_then_those_a_step_away(monkeypatch):
    network, problem = so.load_example("ex2"), Problem(horizon=8.0)
    solved = []

    def solve(program, **settings):
        solved.append(program)
        return solve_program(program, **settings)

    monkeypatch.setattr(round_relaxation_module, "solve_program", solve)
    told = TOLD | {"seconds": 60.0, "known": 0.0, "around": do_nothing}
    found = round_relaxation(network, problem, HOURLY, **told)
    grid = found.grid
    relaxed = Relaxation(grid.program).solve()[grid.run]
    first, second = (program.upper[grid.run] > 0 for program in solved)
    assert np.array_equal(first, relaxed > 1e-6)
    starts, numbers = grid.start_of, np.array([mode.number for mode in grid.modes])[grid.mode_of]
    for batch in np.flatnonzero(~first):
        close = first & (numbers == numbers[batch]) & (abs(starts - starts[batch]) <= 1)
        assert second[batch] == close.any()
    whole = solve_program(grid.program)
    assert 0 < found.value <= whole.objective * (1 + 1e-6)
    narrow = [solve_program(program).objective for program in solved]
    assert found.value == pytest.approx(max(narrow), rel=1e-3)


def test_a_grid_too_large_for_the_time_is_not_begun():
    network, problem = so.load_example("ex2"), Problem(horizon=48.0)
    narrow = [Width(width=0.05, worth=1.0, n_batches=1)]
    told = TOLD | {"known": 0.0, "around": do_nothing}
    assert round_relaxation(network, problem, narrow, **(told | {"seconds": 1.0})) is None
    wider_than_all = [Width(width=100.0, worth=1.0, n_batches=1)]
    assert round_relaxation(network, problem, wider_than_all, **(told | {"seconds": 9.0})) is None


def test_more_modes_where_they_leave_few_enough_batches(monkeypatch):
    network, problem = so.load_example("ex2"), Problem(horizon=12.0)
    told = TOLD | {"seconds": 20.0, "known": 0.0, "around": do_nothing, "most_modes": 2}
    hourly = [Width(width=0.5, worth=1.0, n_batches=1)]
    counts = [count_batches(network, 0.5, 12.0, modes) for modes in (1, 2)]
    assert counts[0] < counts[1]
    for too_many, modes in ((counts[1] - 1, 1), (counts[1], 2)):
        monkeypatch.setattr(round_relaxation_module, "_FEW_PER_SECOND", too_many / 20.0)
        found = round_relaxation(network, problem, hourly, **told)
        assert found.grid.modes == tuple(choose_modes(network, 0.5, most=modes))


def test_what_is_no_better_than_what_is_known_is_none():
    network, problem = so.load_example("ex2"), Problem(horizon=8.0)
    told = TOLD | {"seconds": 20.0, "around": do_nothing}
    found = round_relaxation(network, problem, HOURLY, known=0.0, **told)
    assert found.value > 0
    again = round_relaxation(network, problem, HOURLY, known=found.value, **told)
    assert again is None


def test_widths_ranked_before_are_ranked_by_what_there_is_to_choose_from_now():
    network = so.load_example("fine_chemicals")
    before = rank_widths(network, Problem(horizon=48.0), most_modes=2, many_batches=500)
    short = Problem(horizon=12.0)
    again = rank_again(network, short, before, most_modes=1, many_batches=500)
    worth = {each.width: each.worth for each in before}
    assert {each.width for each in again} <= set(worth)
    for each in again:
        assert each.worth == worth[each.width]
        modes = choose_modes(network, each.width, most=1)
        grid = build_grid(network, short, width=each.width, modes=modes)
        assert each.n_batches >= len(grid.run) > 0
    assert rank_again(network, Problem(horizon=0.1), before, most_modes=1, many_batches=9) == []
