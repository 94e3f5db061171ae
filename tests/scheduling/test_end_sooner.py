"""As much made sooner, and something better after an instant, with all rules mixed."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import datetime
from random import Random

import numpy as np
import pytest
from asking import best_schedule
from small_plants import plant, run, task
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all, draw_deliveries

import stnopt as so
from stnopt.plant import Unit
from stnopt.plant.calendar import WeeklyPeriod
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value
from stnopt.scheduling.search.improve import improve_schedule, retime_repeatedly
from stnopt.scheduling.search.long_horizon import best_so_far, engine, on_one_grid
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.cycle import lay_out
from stnopt.scheduling.search.long_horizon.cycle_grids import Repeated
from stnopt.scheduling.search.long_horizon.cycle_search import find_patterns
from stnopt.scheduling.search.long_horizon.end_sooner import end_sooner, search_after
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.on_one_grid import GridSearch
from stnopt.scheduling.search.long_horizon.repeat_more import repeat_more
from stnopt.solvers.linear_program import solve_program

#: Batches of 1.5 h, on a grid of hours 2 h apart.
ONE_UNIT = plant(
    {"A": {"initial": "unlimited"}, "P": {"price": 10}},
    {"Make": task("A", "P", U1=run(1.5, 4))},
)


def schedule_of(network, horizon, starts, deliveries=()):
    batches = tuple(
        Batch(task="Make", unit="U1", start=start, finish=start + 1.5, size=4.0) for start in starts
    )
    stock = compute_final_stock(batches, network, deliveries, horizon=horizon)
    return Schedule(batches=batches, final_stock=stock, horizon=horizon, deliveries=deliveries)


def ends(schedule):
    return max((batch.finish for batch in schedule.batches), default=0.0)


def test_four_batches_end_after_six_hours_and_leave_room_for_two_more():
    problem = Problem(horizon=9.0)
    found = end_sooner(schedule_of(ONE_UNIT, 9.0, (0, 2, 4, 6)), ONE_UNIT, problem, start=None)
    assert ends(found) == pytest.approx(6.0, abs=1e-3)
    assert found.horizon == 9.0
    assert found.final_stock["P"] == pytest.approx(16, rel=1e-3)

    def search(network, asked, start, known):
        assert asked.horizon == pytest.approx(9.0 - 4.0, abs=1e-2)
        # The third batch, begun after 3 h, runs for another half an hour; the fourth is given up.
        assert [batch.remaining for batch in start.running] == pytest.approx([0.5], abs=1e-2)
        assert len(known.batches) == 1
        return search_long_horizon(network, asked, time_limit=2.0, start=start)[0]

    better = search_after(found, 4.0, ONE_UNIT, problem, search, start=None)
    assert schedule_value(better, ONE_UNIT, "profit") == pytest.approx(240)
    assert find_violations(better, ONE_UNIT) == []


def test_a_delivery_keeps_its_date_and_nothing_found_is_none():
    problem = Problem(horizon=9.0, deliveries=(Delivery("P", 8.0, 8.0),))
    given = schedule_of(ONE_UNIT, 9.0, (0, 3, 6), problem.deliveries)
    found = end_sooner(given, ONE_UNIT, problem, start=None)
    assert find_violations(found, ONE_UNIT) == []
    assert ends(found) == pytest.approx(4.5, abs=1e-2)
    none = search_after(found, 2.0, ONE_UNIT, problem, lambda *_: None, start=None)
    assert none is None


def test_the_week_goes_on_from_the_instant():
    """From Monday, 6 h, on; U1 is away from 10 to 16 h."""
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 10}},
        {"Make": task("A", "P", U1=run(1.5, 4))},
    )
    away = {"unavailable": (WeeklyPeriod(start=600, length=360),)}
    rules = {"U1": Unit(name="U1", weekly=away)}
    network = replace(network, unit_rules=rules, time_unit="h")
    problem = Problem(horizon=16.0, start=datetime(2026, 11, 30, 6, 0))
    given = schedule_of(network, 16.0, (0, 2, 11))
    given = improve_schedule(given, network, problem)
    sooner = end_sooner(given, network, problem, start=None)
    assert ends(sooner) == pytest.approx(11.5, abs=1e-2)

    def search(plant_then, asked, state, known):
        assert find_violations(known, plant_then) == []
        assert asked.start == datetime(2026, 11, 30, 8, 0)
        return search_long_horizon(plant_then, asked, time_limit=3.0, start=state)[0]

    better = search_after(sooner, 2.0, network, problem, search, start=None)
    assert find_violations(better, network) == []
    # Two batches before 10 h, and four in the six hours from 16 h on.
    assert schedule_value(better, network, "profit") == pytest.approx(240)


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_rules_are_it_replays_and_is_no_worse(seed):
    network, start, problem = drawn(seed)
    deliveries = tuple(draw_deliveries(network, seed, HOURS)) if seed % 2 else ()
    problem = Problem(horizon=HOURS, deliveries=deliveries)
    best = best_of_all(network, HOURS, deliveries, start=start)
    given = best_schedule(network, problem, start, "time_grid", HOURS, gap=0.3).schedule
    if best is None or given is None:
        return
    sooner = end_sooner(given, network, problem, start=start) or given
    assert find_violations(sooner, network) == []
    assert ends(sooner) <= ends(given) + 1e-6
    for name in network.products:
        assert sooner.final_stock[name] >= given.final_stock[name] * (1 - 2e-4) - 1e-4

    def search(plant_then, asked, state, known):
        assert find_violations(known, plant_then) == []
        return search_long_horizon(plant_then, asked, time_limit=1.0, start=state, warm=known)[0]

    time = Random(seed).uniform(0.0, HOURS - 1.0)
    better = search_after(sooner, time, network, problem, search, start=start)
    assert better is not None
    assert find_violations(better, network) == []
    value = schedule_value(better, network, "profit")
    assert value >= schedule_value(sooner, network, "profit") * (1 - 1e-6) - 1e-4
    # All of the plant's times are whole hours: in continuous time no schedule is better.
    assert value <= best.value + 2e-3


def test_more_repetitions_fit_where_they_end_sooner():
    """On steps of 2 h a batch of 1.5 h is begun every 2 h: 19 in 39.5 h, where 26 are possible."""
    problem = Problem(horizon=39.5)
    modes = choose_modes(ONE_UNIT, 2.0, most=1)
    grid = build_grid(ONE_UNIT, problem, width=2.0, modes=modes)
    clock = itertools.count()
    pattern = find_patterns(
        [grid],
        seconds=40.0,
        clock=lambda: float(next(clock)),
        random=np.random.default_rng(0),
    )[0]
    x = lay_out(pattern, later=0, seconds=20.0)
    assert grid.value(x) == pytest.approx(19 * 40)
    given = retime_repeatedly(grid.place(x), ONE_UNIT, problem, width=2.0)
    more = {"start": None, "seconds": 20.0, "should_stop": lambda: False}
    repeated = Repeated(grid=grid, x=x, pattern=pattern, later=0)
    found = repeat_more(repeated, given, ONE_UNIT, problem, **more)
    assert find_violations(found, ONE_UNIT) == []
    assert found.horizon == 39.5
    assert schedule_value(found, ONE_UNIT, "profit") == pytest.approx(26 * 40, rel=1e-3)
    target = Problem(horizon=39.5, targets={"P": 8.0})
    assert repeat_more(repeated, given, ONE_UNIT, target, **more) is None
    assert repeat_more(repeated, found, ONE_UNIT, problem, **more) is None
    assert (
        repeat_more(repeated, given, ONE_UNIT, problem, **{**more, "should_stop": lambda: True})
        is None
    )


def search_of(problem, **settings):
    return GridSearch(
        network=ONE_UNIT,
        problem=problem,
        deadline=10.0,
        time_limit=10.0,
        start=None,
        improve_what="objective",
        most_missing=None,
        relative_gap=1e-4,
        on_improvement=None,
        should_stop=None,
        clock=lambda: 2.0,
        random=np.random.default_rng(0),
        **settings,
    )


def find_nothing(windows, **_):
    windows.exhausted = True
    return False


def test_what_is_better_on_a_grid_from_the_start_is_kept(monkeypatch):
    monkeypatch.setattr(on_one_grid.WindowSearch, "improve", find_nothing)
    problem = Problem(horizon=9.0)
    search = search_of(problem)
    assert search.offer(schedule_of(ONE_UNIT, 9.0, (0, 2)))
    before = search.value
    grid = build_grid(ONE_UNIT, problem, width=0.5, modes=choose_modes(ONE_UNIT, 0.5, most=1))
    best = solve_program(grid.program).x
    search.improve(grid, best, problem)
    assert search.value == pytest.approx(3 * before)  # six batches of 1.5 h
    search.improve(grid, do_nothing(grid), problem)
    assert search.value == pytest.approx(3 * before)


def test_time_is_kept_for_the_end_once_there_are_batches():
    search = search_of(Problem(horizon=9.0), for_the_end=3.0)
    assert search.left == 8.0
    assert search.offer(schedule_of(ONE_UNIT, 9.0, ()))  # doing nothing has no end
    assert search.left == 8.0
    assert search.offer(schedule_of(ONE_UNIT, 9.0, (0, 2)))
    assert search.left == 5.0


def test_a_part_of_another_search_ranks_and_bounds_nothing_anew(monkeypatch):
    network, problem = so.load_example("fine_chemicals"), Problem(horizon=12.0)
    ranked = rank_widths(network, problem, most_modes=2, many_batches=200)

    def refuse(*_, **__):
        raise AssertionError

    monkeypatch.setattr(best_so_far, "bound_by_periods", refuse)
    monkeypatch.setattr(on_one_grid, "rank_widths", refuse)
    found, _ = search_long_horizon(
        network, problem, time_limit=4.0, part_of=ranked, clock=time.process_time
    )
    assert find_violations(found, network) == []
    asked = []
    monkeypatch.setattr(on_one_grid, "rank_widths", lambda *_, **__: asked.append(1) or ranked)
    search_long_horizon(network, problem, time_limit=1.0, part_of=())
    assert asked


def test_the_end_is_not_begun_from_nothing_again_where_that_met_nothing(monkeypatch):
    network, ways = so.load_example("fine_chemicals"), []

    def nothing(*args, **_):
        ways.append(args[4].__name__)

    monkeypatch.setattr(engine, "search_after", nothing)
    monkeypatch.setattr(engine, "may_end_sooner", lambda *_: True)
    search_long_horizon(network, Problem(horizon=24.0), time_limit=8.0, clock=time.process_time)
    assert ways[0] == "search_anew"
    assert ways[1:] == ["search_from_best"] * 4
