"""A schedule carried over to any grid, windows of every kind, and horizons that fit the time."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from grid_solutions import grid_of, most_broken
from random_plants import draw_cases
from small_plants import plant, run, task

import stnopt as so
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.state import PlantState, RunningBatch
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon import engine, shorter_horizon, windows
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.dive_grids import dive_on
from stnopt.scheduling.search.long_horizon.near import carry_over, near, near_solution
from stnopt.scheduling.search.long_horizon.shorter_horizon import (
    horizon_of_nearly_all,
    horizon_that_fits,
)
from stnopt.scheduling.search.long_horizon.windows import Size, WindowSearch
from stnopt.solvers.linear_program import Relaxation, fix_columns, solve_program

#: Batches of 2 h on one unit: five fit in 10 h, if the first begins at once.
ONE_UNIT = plant(
    {"A": {"initial": "unlimited"}, "P": {"price": 1}}, {"Make": task("A", "P", U=run(2, 10))}
)


def schedule_of(grid, x):
    return retime_repeatedly(grid.place(x), grid.network, grid.problem)


def test_near_is_what_it_says():
    network, random = so.load_example("ex2"), np.random.default_rng(5)
    grid = grid_of(network, Problem(horizon=24.0), 0.75)
    for _ in range(20):
        batches = [
            (int(random.integers(len(network.suitabilities))), float(random.uniform(-2, 34)))
            for _ in range(5)
        ]
        reach = float(random.uniform(0, 4))
        expected = [
            any(
                number == grid.modes[mode].number and abs(start - at) <= reach
                for number, at in batches
            )
            for mode, start in zip(grid.mode_of, grid.start_of, strict=True)
        ]
        assert near(grid, batches, reach=reach).tolist() == expected


def test_nothing_is_near_a_solution_without_batches():
    grid = grid_of(so.load_example("ex2"), Problem(horizon=24.0))
    assert not near_solution(grid, do_nothing(grid), reach=3).any()


def test_what_is_carried_over_is_a_solution_there_and_never_above_the_best():
    """From steps of 2 h to steps of 1 h, where nothing is lost, and to steps of 0.8 h."""
    carried, others = 0, []
    for network, _, _ in draw_cases(20):
        problem = Problem(horizon=8.0)
        coarse = grid_of(network, problem, 2.0)
        if not len(coarse.run):
            continue
        x = dive_on(coarse, seconds=600, clock=time.perf_counter)
        schedule = schedule_of(coarse, x)
        if schedule is None or not schedule.batches:
            continue
        worth = so.schedule_value(schedule, network, "profit")
        for width in (1.0, 0.8):
            grid = grid_of(network, problem, width)
            found = carry_over(schedule, grid, seconds=60)
            if found is None:
                continue
            carried += 1
            assert most_broken(grid.program, found) < 1e-6
            best = solve_program(grid.program, relative_gap=1e-9).objective
            assert grid.value(found) <= best + 1e-6 * max(1.0, abs(best))
            if grid.value(do_nothing(grid)) < worth - 1e-6:
                others.append(grid.value(found) / worth)
    assert carried >= 20
    assert np.mean(others) > 0.95


def test_a_schedule_on_half_the_steps_keeps_its_value():
    network, problem = so.load_example("ex2"), Problem(horizon=10.0)
    coarse, fine = grid_of(network, problem, 1.0), grid_of(network, problem, 0.5)
    x = dive_on(coarse, seconds=600, clock=time.perf_counter)
    schedule = schedule_of(coarse, x)
    assert schedule is not None
    found = carry_over(schedule, fine, seconds=60)
    assert found is not None
    assert fine.value(found) >= 0.99 * coarse.value(x) > 0


def test_without_batches_or_time_nothing_is_carried_over(monkeypatch):
    network, problem = so.load_example("ex2"), Problem(horizon=24.0)
    grid = grid_of(network, problem, 1.5)
    schedule = schedule_of(grid, dive_on(grid, seconds=600, clock=time.perf_counter))
    assert schedule is not None
    assert carry_over(schedule, grid, seconds=0.0) is None
    empty = schedule_of(grid, do_nothing(grid))
    assert empty is not None
    assert carry_over(empty, grid, seconds=60) is None
    monkeypatch.setattr("stnopt.scheduling.search.long_horizon.near._MOST", 10)
    assert carry_over(schedule, grid, seconds=60) is None


def search_from(grid, x, seed=0, seconds=60.0):
    random = np.random.default_rng(seed)
    return WindowSearch(grid=grid, random=random, seconds=seconds, x=x, value=grid.value(x))


def test_moves_make_room_for_one_more_batch(monkeypatch):
    """Four batches, from 1 h on, in 10 h: all must begin an hour sooner for a fifth."""
    grid = grid_of(ONE_UNIT, Problem(horizon=10.0))
    runs = np.isin(grid.start_of, (1, 3, 5, 7)).astype(float)
    x = solve_program(fix_columns(grid.program, grid.run, runs)).x
    assert x is not None
    monkeypatch.setattr(WindowSearch, "_choose_kind", lambda _: "moves")
    search = search_from(grid, x)
    assert search.value == pytest.approx(40)
    assert search.improve(seconds=60)
    assert search.value == pytest.approx(50)


@pytest.mark.parametrize("kind", ["moves", "relaxation", "units", "product", "time"])
def test_windows_of_every_kind_only_help(kind, monkeypatch):
    monkeypatch.setattr(WindowSearch, "_choose_kind", lambda _: kind)
    grid = grid_of(so.load_example("fine_chemicals"), Problem(horizon=12.0), 0.925)
    x = dive_on(grid, seconds=2.0, clock=time.perf_counter)
    search = search_from(grid, x, seconds=1.0)
    value = search.value
    for _ in range(5):
        gained = search.improve(seconds=60)
        assert most_broken(grid.program, search.x) < 1e-5
        assert search.value == pytest.approx(grid.value(search.x))
        assert (search.value > value) == gained
        value = search.value


def test_only_what_means_something_is_drawn(monkeypatch):
    """One product on one unit: neither some units nor one of the products."""
    grid = grid_of(ONE_UNIT, Problem(horizon=10.0))
    search = search_from(grid, do_nothing(grid))
    search.support = np.zeros(0, bool)
    drawn = {search._choose_kind() for _ in range(200)}
    assert drawn == {"moves", "relaxation", "time"}
    monkeypatch.setattr(windows, "_MOST_TO_RELAX", 5)
    assert {search._choose_kind() for _ in range(200)} == {"moves", "time"}


def test_the_relaxation_is_solved_once_and_first(monkeypatch):
    grid = grid_of(so.load_example("ex2"), Problem(horizon=24.0), 1.5)
    asked = []
    solve = Relaxation.solve
    monkeypatch.setattr(Relaxation, "solve", lambda self, **k: asked.append(1) or solve(self, **k))
    search = search_from(grid, do_nothing(grid), seconds=0.5)
    assert search.improve(seconds=60)
    assert search.support is not None
    assert search.support.tolist() == (solve(Relaxation(grid.program))[grid.run] > 1e-6).tolist()
    assert {search._choose_kind() for _ in range(100)} > {"relaxation", "time"}
    search._run_in_relaxation()
    assert len(asked) == 1


def test_windows_grow_when_they_are_solved_and_shrink_when_they_are_cut_in_vain():
    size = Size(400.0)
    assert size.adapt(done=True, helped=True)
    assert not size.adapt(done=True, helped=False)
    assert size.batches == pytest.approx(560)
    assert size.adapt(done=False, helped=True)
    assert size.batches == pytest.approx(560)
    assert not size.adapt(done=False, helped=False)
    assert size.batches == pytest.approx(420)
    for _ in range(50):
        size.adapt(done=False, helped=False)
    assert size.batches == pytest.approx(60)


def fitting(network, problem, seconds):
    ranked = rank_widths(network, problem, most_modes=2, many_batches=400)
    return horizon_that_fits(network, problem, ranked, seconds, 2)


def test_the_horizon_that_fits_grows_with_the_time_up_to_the_whole():
    network, week = so.load_example("fine_chemicals"), Problem(horizon=168.0)
    horizons = [fitting(network, week, seconds) for seconds in (0.5, 1.0, 20.0, 1000.0)]
    assert horizons == sorted(horizons)
    assert horizons[1] == pytest.approx(2 * horizons[0])
    assert horizons[2] == 20 * 3.7  # longer ones are not dived on
    assert horizons[-1] == 168


def test_where_diving_takes_long_windows_say_what_fits(monkeypatch):
    network, week = so.load_example("fine_chemicals"), Problem(horizon=168.0)
    monkeypatch.setattr(shorter_horizon, "length_to_dive", lambda *_: 0.0)
    horizons = [fitting(network, week, seconds) for seconds in (5.0, 10.0, 1000.0)]
    assert horizons[0] < 0.5 * 168
    assert horizons[1] == pytest.approx(2 * horizons[0])
    assert horizons[-1] == 168


def test_what_must_be_made_is_not_left_to_a_shorter_horizon():
    network = so.load_example("fine_chemicals")
    state, week = network.products[0], Problem(horizon=168.0)
    ranked = rank_widths(network, week, most_modes=2, many_batches=400)
    due = Delivery(state=state, time=100.0, amount=5.0)
    for problem in (
        replace(week, targets={state: 10.0}),
        replace(week, deliveries=(due,)),
        replace(week, objective="cost"),
    ):
        assert horizon_that_fits(network, problem, ranked, 5.0, 2) == 168
    assert horizon_that_fits(network, week, ranked, 5.0, 2) < 84


def test_a_batch_that_runs_on_is_within_the_horizon_that_fits():
    network, week = so.load_example("fine_chemicals"), Problem(horizon=168.0)
    ranked = rank_widths(network, week, most_modes=2, many_batches=400)
    fit = network.suitabilities[0]
    for remaining, whole in ((3.0, False), (80.0, True)):
        running = RunningBatch(
            task=fit.task, unit=fit.unit, started=-1.0, size=fit.max_batch, remaining=remaining
        )
        state = PlantState(running=(running,))
        found = horizon_that_fits(network, week, ranked, 5.0, 2, start=state)
        assert (found == 168) is whole
        assert whole or remaining < found < 84


def test_a_week_in_too_little_time_is_filled_in_part(monkeypatch):
    """Constructing for the week would take many times as long; its first part is searched."""
    network, horizons = so.load_example("fine_chemicals"), []
    search = engine.search_long_horizon

    def spy(plant, problem, **options):
        horizons.append(problem.horizon)
        return search(plant, problem, **options)

    monkeypatch.setattr(engine, "search_long_horizon", spy)
    monkeypatch.setattr(engine, "repeat_on_grids", lambda *_, **__: [])  # nothing repeats
    monkeypatch.setattr(engine, "may_end_sooner", lambda *_: False)
    schedule, bound = search(network, Problem(horizon=168.0), time_limit=6.0)
    assert schedule is not None
    assert bound is not None
    assert schedule.horizon == 168
    assert not so.find_violations(schedule, network)
    assert len(horizons) == 1
    assert horizons[0] < 84


def test_where_raw_material_runs_out_a_shorter_horizon_holds_nearly_all():
    """200 kg of A last for 20 batches of 2 h: 40 h of 400 h, and 50 h are left of halving."""
    network = plant(
        {"A": {"initial": 200}, "P": {"price": 1}}, {"Make": task("A", "P", U=run(2, 10))}
    )
    assert horizon_of_nearly_all(network, Problem(horizon=400.0), 200.0) == 50
    assert horizon_of_nearly_all(network, Problem(horizon=40.0), 200.0) == 40
    due = Problem(horizon=400.0, deliveries=(Delivery(state="P", time=300.0, amount=5.0),))
    assert horizon_of_nearly_all(network, due, 200.0) == 400
