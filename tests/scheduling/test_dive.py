"""Rounding a relaxation in the order of time: what comes out is a solution, checked row by row."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from grid_solutions import grid_of, most_broken
from random_plants import draw_cases
from scipy.sparse import csc_array
from small_plants import plant, run, task

import stnopt as so
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.delivery_dates import with_fewer_dates
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon import dive_grids
from stnopt.scheduling.search.long_horizon.choose_grid import Width, rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.dive import dive
from stnopt.scheduling.search.long_horizon.dive_grids import (
    dive_on,
    dive_on_grids,
    length_to_dive,
)
from stnopt.solvers.linear_program import Program, Relaxation, fix_columns, solve_program


def matrix(rows):
    return csc_array(np.array(rows))


def test_what_a_dive_returns_is_a_solution_of_the_grid_and_never_above_the_best():
    """Storage, zero wait, early release, least batches: as they are drawn."""
    shares = []
    for network, _, _ in draw_cases(20):
        grid = grid_of(network, Problem(horizon=8.0))
        if not len(grid.run):
            continue
        x = dive_on(grid, seconds=600, clock=time.perf_counter)
        assert most_broken(grid.program, x) < 1e-6
        schedule = retime_repeatedly(grid.place(x), network, Problem(horizon=8.0))
        assert schedule is not None
        assert so.find_violations(schedule, network) == []
        best = solve_program(grid.program, relative_gap=1e-9).objective
        assert grid.value(x) <= best + 1e-6 * max(1.0, abs(best))
        if best > 1e-6:
            shares.append(grid.value(x) / best)
    assert len(shares) >= 10
    assert np.mean(shares) > 0.7


def test_a_batch_that_needs_another_is_taken_back_with_it():
    """Once x0 runs, x1 + x2 = 1 must hold, in which neither may be whole: only x0 = 0 is left."""
    program = Program(
        cost=np.array([5.0, 0.1, 0.0]),
        lower=np.zeros(3),
        upper=np.ones(3),
        integer=np.array([True, True, True]),
        matrix=matrix([[1.0, -1.0, -1.0], [0.0, 1.0, -1.0]]),
        row_lower=np.array([0.0, 0.0]),
        row_upper=np.array([0.0, 0.0]),
    )
    x = dive(
        program,
        runs=np.arange(3),
        starts=np.arange(3),
        units=np.arange(3),
        look_ahead=3,
        seconds=600,
        clock=time.perf_counter,
    )
    assert x == pytest.approx(np.zeros(3), abs=1e-7)


def test_a_demand_is_not_given_up_for_what_is_tempting_first():
    """Q pays ten times as much on the same unit; without weighing, its batches leave no time."""
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}, "Q": {"price": 10}},
        {
            "Quick": task("A", "Q", U1=run(2, 10)),
            "Slow": task("A", "I", U1=run(3, 10)),
            "End": task("I", "P", U2=run(6, 10)),
        },
    )
    problem = Problem(horizon=12.0, targets={"P": 10})
    grid = grid_of(network, problem)
    x = dive_on(grid, seconds=600, clock=time.perf_counter)
    assert grid.missed_amount(x) == pytest.approx(0, abs=1e-6)
    best = solve_program(grid.program, relative_gap=1e-9).objective
    assert grid.value(x) == pytest.approx(best)


def test_a_demand_of_five_products_that_share_their_route_is_met():
    """Windows of two longest batches see no product's end, and branch and bound finds nothing."""
    network = so.load_example("westenberger_kallrath")
    problem = Problem(horizon=72.0, targets=dict.fromkeys(network.products, 10.0))
    grid = grid_of(network, problem, 2.0)
    x = dive_on(grid, seconds=600, clock=time.perf_counter)
    assert grid.missed_amount(x) == pytest.approx(0, abs=1e-6)
    assert most_broken(grid.program, x) < 1e-6


def test_without_time_nothing_runs_and_all_rows_hold():
    grid = grid_of(so.load_example("ex2"), Problem(horizon=24.0))
    x = dive_on(grid, seconds=1e-6, clock=time.perf_counter)
    assert most_broken(grid.program, x) < 1e-6
    assert grid.value(x) >= grid.value(do_nothing(grid)) - 1e-6


def dive_with_clock(grid, seconds, monkeypatch):
    """Dive by a clock that is one second on each time it is asked; also count what is solved."""
    ticks, solved = iter(range(10**6)), []
    solve = Relaxation.solve
    monkeypatch.setattr(Relaxation, "solve", lambda self, **k: solved.append(1) or solve(self))
    x = dive(
        grid.program,
        runs=grid.run,
        starts=grid.start_of,
        units=grid.unit_of,
        look_ahead=2,
        seconds=seconds,
        clock=lambda: float(next(ticks)),
    )
    monkeypatch.undo()
    assert x is not None
    assert most_broken(grid.program, x) < 1e-6
    return x, len(solved)


def test_where_the_time_is_short_several_batches_are_decided_together(monkeypatch):
    grid = grid_of(so.load_example("westenberger_kallrath"), Problem(horizon=36.0), 2.0)
    alone, one_by_one = dive_with_clock(grid, 1e6, monkeypatch)
    hurried, together = dive_with_clock(grid, 60.0, monkeypatch)
    assert together < one_by_one
    assert grid.value(hurried) > 0.8 * grid.value(alone) > 0


def test_what_a_short_time_leaves_undecided_does_not_run(monkeypatch):
    """After two of its seconds the rest stays empty, and is no claim of anything."""
    grid = grid_of(so.load_example("ex2"), Problem(horizon=24.0))
    cut, solved = dive_with_clock(grid, 2.5, monkeypatch)
    assert solved <= 5
    whole, _ = dive_with_clock(grid, 1e6, monkeypatch)
    assert (cut[grid.run] > 0.5).sum() < (whole[grid.run] > 0.5).sum()


def test_a_relaxation_solved_again_is_one_solved_anew():
    program = grid_of(so.load_example("ex2"), Problem(horizon=10.0)).program
    relaxed, random = Relaxation(program), np.random.default_rng(3)
    loose = replace(program, integer=np.zeros_like(program.integer))
    whole = np.flatnonzero(program.integer)
    for _ in range(25):
        column = random.choice(whole, size=1)
        value = float(random.integers(2))
        relaxed.limit(column, value, value)
        loose = fix_columns(loose, column, np.array([value]))
        again, anew = relaxed.solve(), solve_program(loose)
        assert (again is None) == (anew.x is None)
        if again is None:
            relaxed.limit(column, 0.0, 0.0)
            loose = fix_columns(loose, column, np.zeros(1))
            continue
        assert program.cost @ again == pytest.approx(program.cost @ anew.x, rel=1e-6, abs=1e-6)


def test_columns_that_are_held_are_rounded_where_they_were_whole():
    program = Program(
        cost=np.ones(2),
        lower=np.zeros(2),
        upper=np.full(2, 3.0),
        integer=np.array([True, False]),
        matrix=matrix([[1.0, 1.0]]),
        row_lower=np.array([-np.inf]),
        row_upper=np.array([9.0]),
    )
    held = fix_columns(program, np.array([0, 1]), np.array([1.9999999, 0.4]))
    assert held.lower.tolist() == held.upper.tolist() == [2.0, 0.4]
    assert not held.integer.any()
    assert program.integer.tolist() == [True, False]


def test_the_most_promising_of_several_grids_comes_first():
    network, problem = so.load_example("ex2"), Problem(horizon=24.0)
    ranked = rank_widths(network, problem, most_modes=2, many_batches=1000)[:5]
    told = []
    found = dive_on_grids(
        network,
        problem,
        ranked,
        {},
        most_modes=2,
        many_batches=1000,
        start=None,
        seconds=600,
        clock=time.perf_counter,
        on_solution=lambda grid, x: told.append(grid.value(x)),
    )
    assert len(found) == len(told) > 1
    assert sorted(told) == pytest.approx(sorted(each.value for each in found))
    assert max(told) - found[0].value < 0.1 * max(told)
    for each in found:
        assert most_broken(each.grid.program, each.x) < 1e-6
        assert each.value > each.grid.value(do_nothing(each.grid))


@pytest.mark.parametrize(
    ("seconds", "first"),
    [
        (1000.0, 0.25),  # all in time: none of the wide ones promises enough
        (1.0, 0.5),  # 600 batches are surely done in a second: the best one of those
        (0.4, 2.0),  # none is: the smallest one
        (0.01, None),  # not even that
    ],
)
def test_where_time_is_short_the_first_dive_is_on_wide_steps(monkeypatch, seconds, first):
    worths = {0.25: (100.0, 1200), 0.5: (60.0, 600), 1.0: (40.0, 500), 2.0: (20.0, 300)}
    ranked = [Width(width=w, worth=worth, n_batches=n) for w, (worth, n) in worths.items()]
    monkeypatch.setattr(dive_grids, "rank_again", lambda *_, **__: [])
    network, problem = so.load_example("ex2"), Problem(horizon=24.0)
    found = dive_grids._promising(network, problem, ranked, 2, 1000, seconds)
    assert (found[0][0].width if found else None) == first


def test_a_dive_fits_as_much_of_a_horizon_as_its_smallest_grid_has_in_time():
    network = so.load_example("fine_chemicals")  # the longest batch takes 3.7 h
    ranked = [Width(width=1.0, worth=1.0, n_batches=n) for n in (26_000, 13_000)]
    assert length_to_dive(network, 168.0, ranked, 1.0) == pytest.approx(16.8)
    assert length_to_dive(network, 168.0, ranked, 1000.0) == pytest.approx(74.0)


def test_deliveries_at_fewer_dates_are_due_no_sooner_and_not_after_the_last():
    due = tuple(so.Delivery("S8", float(time), 1.0 + time / 10) for time in range(1, 21))
    problem = Problem(horizon=24.0, deliveries=due)
    fewer = with_fewer_dates(problem, 6)
    assert len({each.time for each in fewer.deliveries}) == 6
    for before, after in zip(due, fewer.deliveries, strict=True):
        assert (after.state, after.amount) == (before.state, before.amount)
        assert before.time <= after.time <= 20.0
    assert with_fewer_dates(problem, 20) == problem
    network = so.load_example("ex2")
    exact, eased = (bound_by_capacity(network, each) for each in (problem, fewer))
    assert eased >= exact - 1e-6


def test_a_dive_at_a_loss_is_no_solution_to_go_on_from(monkeypatch):
    """Half-made I costs 5 for each; idle is free."""
    network = plant(
        {"A": {"initial": "unlimited", "cost": 5}, "I": {}, "P": {"price": 20}},
        {"First": task("A", "I", U=run(1, 10)), "Second": task("I", "P", V=run(2, 10))},
    )
    problem = Problem(horizon=8.0)

    def at_a_loss(grid, **_):
        first = np.array([grid.modes[n].suitability.task == "First" for n in grid.mode_of])
        held = fix_columns(grid.program, grid.run, np.where(first & (grid.start_of == 0), 1.0, 0.0))
        held = fix_columns(held, grid.size, np.where(first & (grid.start_of == 0), 10.0, 0.0))
        return solve_program(held).x

    monkeypatch.setattr(dive_grids, "dive_on", at_a_loss)
    told = []
    found = dive_on_grids(
        network,
        problem,
        rank_widths(network, problem, most_modes=2, many_batches=1000)[:1],
        {},
        most_modes=2,
        many_batches=1000,
        start=None,
        seconds=600,
        clock=time.perf_counter,
        on_solution=lambda grid, x: told.append(grid.value(x)),
    )
    assert [each.value for each in found] == told == [pytest.approx(0)]


@pytest.mark.parametrize(("each_takes", "dives"), [(1.0, 4), (3.5, 1), (2.0, 2)])
def test_once_there_is_a_solution_less_time_is_for_more(monkeypatch, each_takes, dives):
    network, problem = so.load_example("ex2"), Problem(horizon=24.0)
    ranked = [Width(width=1.0, worth=10.0, n_batches=300)] * 9
    now, begun = [0.0], []

    def take_a_while(grid, **_):
        begun.append(now[0])
        now[0] += each_takes
        return do_nothing(grid)

    monkeypatch.setattr(dive_grids, "dive_on", take_a_while)
    monkeypatch.setattr(dive_grids, "rank_again", lambda *_, **__: [])
    dive_on_grids(
        network,
        problem,
        ranked,
        {},
        most_modes=2,
        many_batches=1000,
        start=None,
        seconds=10.0,
        clock=lambda: now[0],
        on_solution=lambda *_: None,
    )
    assert len(begun) == dives
