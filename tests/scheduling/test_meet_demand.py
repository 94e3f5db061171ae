"""A demand is met first, by what leads to it alone, and the rest is filled in around that."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from drawn_problems import LONGEST_WINDOW, draw_solved
from random_plants import draw_cases
from small_plants import plant, run, task
from time_grid import best_on_grid

import stnopt as so
from stnopt.plant.problem import Delivery, Order, Problem
from stnopt.scheduling.search.long_horizon import dive_grids, engine, fill, on_one_grid
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import construct, do_nothing
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.scheduling.search.long_horizon.meet_demand import (
    build_grid_that_meets_demand,
    meet_demand,
    tasks_towards,
)
from stnopt.scheduling.search.question import missing_share
from stnopt.solvers.linear_program import solve_program

#: Q pays far better than P on the same unit; what P leaves over has room for one batch.
PLANT = plant(
    {
        "A": {"initial": "unlimited"},
        "I": {},
        "Rest": {"capacity": 5},
        "Burnt": {},
        "P": {"price": 1},
        "Q": {"price": 9},
    },
    {
        "First": task("A", {"I": 0.5, "Rest": 0.5}, U1=run(2, 10)),
        "Second": task("I", "P", U2=run(2, 10)),
        "Burn": task("Rest", "Burnt", U3=run(1, 10)),
        "Other": task("A", "Q", U1=run(2, 10)),
    },
)


def test_what_has_no_room_leads_to_a_demand_as_well():
    """Burnt is wanted by nobody, but P fills the store of what is burnt."""
    assert tasks_towards(PLANT, ["P"]) == {"First", "Second", "Burn"}
    roomy = replace(PLANT.states["Rest"], capacity=float("inf"))
    without = replace(PLANT, states={**PLANT.states, "Rest": roomy})
    assert tasks_towards(without, ["P"]) == {"First", "Second"}
    assert tasks_towards(PLANT, ["Q"]) == {"Other"}


def test_nothing_else_is_made_and_the_rest_comes_around_it():
    """Whatever hours the batches for P leave U1, two by two, are filled with Q."""
    problem = Problem(horizon=20, targets={"P": 20})
    grid = build_grid(PLANT, problem, width=1.0, modes=choose_modes(PLANT, 1.0, most=1))
    met = meet_demand(grid, seconds=600)
    assert met is not None
    assert grid.missed_amount(met) == pytest.approx(0, abs=1e-6)
    made = {batch.suitability.task for batch in grid.place(met)}
    assert made == {"First", "Second", "Burn"}
    x = construct(grid, window=20, step=10, seconds=600, clock=time.perf_counter, around=met)
    assert grid.missed_amount(x) == pytest.approx(0, abs=1e-6)
    busy = sorted(batch.start for batch in grid.place(met) if batch.suitability.unit == "U1")
    idle = [b - a for a, b in zip([0, *(t + 2 for t in busy)], [*busy, 20], strict=True)]
    others = sum(int(gap) // 2 for gap in idle)
    assert float(grid.program.cost @ x) + grid.program.offset == pytest.approx(20 + others * 90)
    assert (x[grid.run][met[grid.run] > 0.5] > 0.5).all()


def test_nothing_demanded_is_nothing_to_meet():
    grid = build_grid(PLANT, Problem(horizon=20), width=1.0, modes=choose_modes(PLANT, 1.0, most=1))
    assert meet_demand(grid, seconds=600) is None


def test_a_date_that_full_batches_miss_is_met_by_smaller_ones():
    """Full batches take 3 + 3 h; half of one takes 2 + 2."""
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
        {
            "First": task("A", "I", U1={"max_batch": 10, "fixed_time": 1, "time_per_amount": 0.2}),
            "Second": task("I", "P", U2={"max_batch": 10, "fixed_time": 1, "time_per_amount": 0.2}),
        },
    )
    problem = Problem(horizon=8, deliveries=(Delivery("P", 4, 5),))
    few = build_grid(network, problem, width=1.0, modes=choose_modes(network, 1.0, most=1))
    assert few.missed_amount(meet_demand(few, seconds=600)) > 1
    grid, x = build_grid_that_meets_demand(network, problem, width=1.0, most_modes=1, seconds=600)
    assert grid.missed_amount(x) == pytest.approx(0, abs=1e-6)
    late = replace(problem, deliveries=(Delivery("P", 3, 5),))
    assert (
        build_grid_that_meets_demand(network, late, width=1.0, most_modes=1, seconds=600)[1] is None
    )


def test_as_much_is_met_as_another_grid_can_make():
    """On whole hours: most of a product by the tests' own grid, with every task of the plant."""
    compared = 0
    for network, hours, _ in draw_cases(12):
        for product in network.products:
            only = {
                name: replace(state, price=float(name == product), cost=0.0)
                for name, state in network.states.items()
            }
            tasks = {
                name: replace(
                    each,
                    units={u: replace(fit, fixed_cost=0.0) for u, fit in each.units.items()},
                )
                for name, each in network.tasks.items()
            }
            most = best_on_grid(replace(network, states=only, tasks=tasks), hours)
            if not most:
                continue
            modes = choose_modes(network, 1.0, most=100)
            for share in (0.6, 1.0, 1.01, 1.6):
                problem = Problem(horizon=float(hours), targets={product: share * most})
                grid = build_grid(network, problem, width=1.0, modes=modes)
                x = meet_demand(grid, seconds=600)
                if x is None:  # the first stock is enough
                    x = do_nothing(grid)
                missed = max(0.0, share - 1.0) * most
                assert x[grid.missed].sum() == pytest.approx(missed, abs=1e-5), (product, hours)
                compared += 1
    assert compared > 40


def test_a_large_plant_finds_a_schedule_that_meets_its_demand():
    """Eight products of five steps on shared units; two of them are asked for."""
    states = {"A": {"initial": "unlimited"}}
    tasks = {}
    for product in range(8):
        before = "A"
        for step in range(5):
            name = f"P{product}" if step == 4 else f"I{product}_{step}"
            states[name] = {"price": 5 + product} if step == 4 else {"capacity": 40}
            units = {f"U{step}_{n}": run(1.5 + (product + step) % 3, 40 + 10 * n) for n in (0, 1)}
            tasks[f"T{product}_{step}"] = task(before, name, **units)
            before = name
    network = plant(states, tasks)
    problem = Problem(horizon=24, targets={"P0": 40}, deliveries=(Delivery("P3", 20, 60),))
    schedule, bound = search_long_horizon(network, problem, time_limit=1e6, should_stop=_after(5))
    assert schedule is not None
    assert so.find_violations(schedule, network) == []
    assert schedule.final_stock["P0"] >= 40 - 1e-6
    assert so.schedule_value(schedule, network, "profit") <= bound


def _after(calls):
    """Stop after so many questions: steps of the search, not seconds."""
    asked = iter(range(calls))
    return lambda: next(asked, None) is None


def test_a_grid_that_loses_nothing_comes_first_only_where_it_is_small():
    """All of its times are whole hours: nearly 19,000 batches to choose from within 1,848 h."""
    network = so.load_example("chu2013_large")
    targets = {"P1": 300, "P2": 300, "P3": 150, "P4": 150}
    problem = Problem(objective="makespan", horizon=1848, targets=targets)

    def first(many):
        return rank_widths(network, problem, most_modes=2, many_batches=many)[0]

    assert first(2_400).width == pytest.approx(18)
    assert first(20_000).width == pytest.approx(1)
    assert first(20_000).n_batches > 18_000


@pytest.mark.few_seeds(4)
@pytest.mark.parametrize("seed", range(40))
def test_what_is_met_first_is_never_too_good(seed, monkeypatch):
    """All rules mixed, every plant taken for a large one, every grid solved as a whole at the end.

    Against the tests' own grid of hours.
    """
    monkeypatch.setattr(on_one_grid, "_MANY_IN_WINDOW", 0)
    monkeypatch.setattr(on_one_grid, "_AT_ONCE", 10**9)
    drawn, best = draw_solved(seed)
    problem = drawn.problem
    if problem.horizon is None:
        problem = replace(problem, horizon=float(LONGEST_WINDOW))
    ticks = count()
    schedule, bound = search_long_horizon(
        drawn.plain, problem, start=drawn.start, time_limit=60, clock=lambda: float(next(ticks))
    )
    sign = 1 if problem.objective in ("profit", "production") else -1
    near = 2e-4 * max(1.0, 0.0 if best is None else abs(best.value))
    if best is None:
        assert schedule is None
        return
    if bound is not None and not (problem.objective == "tardiness" and best.missing > 0):
        assert sign * (bound - best.value) >= -near
    if schedule is None:
        return
    assert so.find_violations(schedule, drawn.plain) == []
    assert missing_share(schedule) >= best.missing - 2e-4
    if missing_share(schedule) <= best.missing + 2e-4:
        value = so.schedule_value(schedule, drawn.plain, problem.objective)
        assert sign * (value - best.value) <= near


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        ({"P": {"price": 1, "initial": 50}}, {"targets": {"P": 20}}),
        ({"P": {"price": 1}}, {"orders": (Order("a", "P", 5, 10, missing_cost=3),)}),
    ],
)
def test_what_is_there_or_may_be_missing_needs_no_grid_of_its_own(states, asked, monkeypatch):
    """One grid at most tells that the first stock is enough; orders that may be missing, none."""
    built = []
    build = engine.build_grid_that_meets_demand
    monkeypatch.setattr(
        engine, "build_grid_that_meets_demand", lambda *a, **k: built.append(1) or build(*a, **k)
    )
    network = plant(
        {"A": {"initial": "unlimited"}, **states}, {"Make": task("A", "P", U=run(1.5, 10))}
    )
    schedule, _ = search_long_horizon(network, Problem(horizon=15, **asked), time_limit=60)
    assert len(built) <= 1
    assert so.find_violations(schedule, network) == []
    assert schedule.final_stock["P"] >= 50


def test_nothing_is_done_at_a_loss(monkeypatch):
    """A search that is stopped after its first batches, which earn less than they cost."""
    network = plant(
        {"A": {"initial": "unlimited", "cost": 5}, "I": {}, "P": {"price": 20}},
        {
            "First": task("A", "I", U=run(1, 10, min_batch=5)),
            "Second": task("I", "P", V=run(30, 10)),
        },
    )

    def at_a_loss(grid, **_):
        first = np.array([grid.modes[n].suitability.task == "First" for n in grid.mode_of])
        runs = grid.run[first & (grid.start_of == 0)]
        lower, upper = grid.program.lower.copy(), grid.program.upper.copy()
        lower[grid.run], upper[grid.run] = 0.0, 0.0
        lower[runs] = upper[runs] = 1.0
        lower[grid.size[first & (grid.start_of == 0)]] = 10.0
        return solve_program(replace(grid.program, lower=lower, upper=upper)).x

    monkeypatch.setattr(fill, "construct", at_a_loss)
    monkeypatch.setattr(dive_grids, "construct", at_a_loss)
    monkeypatch.setattr(on_one_grid.WindowSearch, "improve", lambda *_, **__: False)
    monkeypatch.setattr(engine, "round_relaxation", lambda *_, **__: None)
    ticks = count()
    schedule, _ = search_long_horizon(
        network, Problem(horizon=100), time_limit=60, clock=lambda: float(next(ticks))
    )
    assert so.schedule_value(schedule, network, "profit") == pytest.approx(0)


def test_a_large_plant_meets_its_demand_on_the_widest_steps_first(monkeypatch):
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 2}},
        {
            "First": task("A", "I", U=run(1, 4), V=run(5, 20)),
            "Second": task("I", "P", W=run(2, 9)),
        },
    )
    problem = Problem(horizon=60.0, deliveries=(Delivery("P", 50.0, 12.0),))
    ranked = rank_widths(network, problem, most_modes=2, many_batches=2_400)
    wide = [each.width for each in ranked if each.wide]
    narrow = [each.width for each in ranked if not each.wide]
    assert wide
    assert min(wide) > max(narrow)
    build, tried = engine.build_grid_that_meets_demand, []

    def spy(*args, width, **rest):
        tried.append(width)
        return build(*args, width=width, **rest)

    monkeypatch.setattr(engine, "build_grid_that_meets_demand", spy)
    monkeypatch.setattr(engine, "worth_diving", lambda *_, **__: False)
    for most, first in ((0, max(wide)), (10**6, max(narrow))):
        monkeypatch.setattr(engine, "MOST_TO_DIVE", most)
        tried.clear()
        schedule, _ = search_long_horizon(network, problem, time_limit=4.0)
        assert tried[0] == first
        assert so.find_violations(schedule, network) == []
        assert schedule.deliveries == problem.deliveries
