"""A whole grid with one mode for each pair, against a grid of whole hours that shares no code."""

from __future__ import annotations

import time

import pytest
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all, draw_deliveries

import stnopt as so
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon.best_modes import _Better, solve_best_modes
from stnopt.scheduling.search.long_horizon.choose_grid import Width, rank_again, rank_widths
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import ProgramStatus, solve_program

HOURLY = [Width(width=1.0, worth=1.0, n_batches=1)]


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_best_of_whole_hours(seed):
    network, start, _ = drawn(seed)
    deliveries = tuple(draw_deliveries(network, seed, HOURS)) if seed % 2 else ()
    problem = Problem(horizon=HOURS, deliveries=deliveries)
    best = best_of_all(network, HOURS, deliveries, start=start)
    found = solve_best_modes(
        network, problem, HOURLY, start=start, seconds=20.0, many_batches=1000, known=-1e9
    )
    missed = found.grid.missed_amount(found.x)
    if best is not None:
        assert missed == pytest.approx(0, abs=1e-6)
        assert found.value <= best.value + 2e-3
        if seed % 2:  # the grid cleans for every pair within a changeover's time
            assert found.value == pytest.approx(best.value, abs=2e-3)


def test_a_grid_too_large_for_the_time_is_not_begun():
    network, problem = so.load_example("ex2"), Problem(horizon=48.0)
    narrow = [Width(width=0.05, worth=1.0, n_batches=1)]
    settings = {"start": None, "many_batches": 1000, "known": 0.0}
    assert solve_best_modes(network, problem, narrow, seconds=1.0, **settings) is None
    wider_than_all = [Width(width=100.0, worth=1.0, n_batches=1)]
    assert solve_best_modes(network, problem, wider_than_all, seconds=9.0, **settings) is None


def test_what_is_no_better_than_what_is_known_is_none():
    network, problem = so.load_example("ex2"), Problem(horizon=8.0)
    hourly = {"start": None, "many_batches": 1000, "seconds": 20.0}
    found = solve_best_modes(network, problem, HOURLY, known=0.0, **hourly)
    assert found.value > 0
    again = solve_best_modes(network, problem, HOURLY, known=found.value, **hourly)
    assert again is None


def test_it_goes_on_as_long_as_something_better_than_what_is_known_comes():
    better = _Better(10.0, patience=2.0)
    assert better.still_comes(1.9, 9.0)
    assert not better.still_comes(2.1, 10.0)
    assert better.still_comes(2.0, 11.0)
    assert better.still_comes(3.9, 11.0)
    assert not better.still_comes(4.1, 11.0)
    assert better.still_comes(4.2, 11.5)


def test_a_solve_ends_when_it_is_told_to():
    network = so.load_example("fine_chemicals")
    problem = Problem(horizon=24.0)
    grid = build_grid(network, problem, width=0.5, modes=choose_modes(network, 0.5, most=1))
    asked = []

    def keep_on(seconds, value):
        asked.append((seconds, value))
        return value < 100.0

    begun = time.perf_counter()
    answer = solve_program(grid.program, time_limit=120.0, keep_on=keep_on)
    assert time.perf_counter() - begun < 100.0
    assert answer.status is ProgramStatus.FEASIBLE
    assert answer.objective >= 100.0
    assert asked[-1][1] >= 100.0


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
