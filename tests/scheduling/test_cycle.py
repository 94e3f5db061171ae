"""A pattern that repeats: laid out a solution of the grid, nearly what units allow."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from small_plants import plant, run, task

from stnopt import find_violations, load_example, schedule_value
from stnopt.plant.orders import Order
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon import cycle_search
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.cycle import (
    bend,
    lay_out,
    lengths_of_cycles,
    near_pattern,
)
from stnopt.scheduling.search.long_horizon.cycle_grids import repeat_on_grids
from stnopt.scheduling.search.long_horizon.cycle_search import find_patterns
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import fix_integers, solve_program


def grid_of(network, problem, width=1.0):
    modes = choose_modes(network, width, most=2)
    return build_grid(network, problem, width=width, modes=modes)


def patterns_of(grid, looks=120):
    """Patterns that are found in so many looks at the clock."""
    clock = itertools.count()
    if not lengths_of_cycles(grid.n_steps, len(grid.modes), grid.longest):
        return []
    return find_patterns(
        [grid],
        seconds=float(looks),
        clock=lambda: float(next(clock)),
        random=np.random.default_rng(0),
    )


def repeated(network, horizon, **demand):
    """The grid of hours, and the best pattern laid out on it."""
    grid = grid_of(network, Problem(horizon=horizon, **demand))
    found = patterns_of(grid)
    return grid, lay_out(found[0], later=0, seconds=20.0) if found else None


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


@pytest.mark.parametrize("why", ["short", "worthless"])
def test_without_anything_to_repeat_there_is_no_pattern(why):
    network = chain(price=-1 if why == "worthless" else 2)
    _, x = repeated(network, 7 if why == "short" else 240)
    assert x is None


@pytest.mark.parametrize("capacity", [5, 50])
def test_what_is_left_over_fills_its_store_cycle_by_cycle(capacity):
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "P": {"price": 2},
            "Left": {"capacity": capacity},
        },
        {"Make": task("A", {"P": 0.5, "Left": 0.5}, U1=run(2, 4))},
    )
    grid, x = repeated(network, 240)
    # As much of P as is left over: what the store holds, and of the last batch what stays in U1.
    assert program_value(grid, x) <= 2 * (capacity + 2) + 1e-4
    assert program_value(grid, x) >= 2 * capacity * 0.9
    schedule = retime_repeatedly(grid.place(x), network, grid.problem, width=1.0)
    assert find_violations(schedule, network) == []


def test_a_first_stock_is_used_up_cycle_by_cycle():
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "Seed": {"initial": 24, "capacity": 40},
            "P": {"price": 2},
        },
        {
            "Make": {
                "consumes": {"A": 0.5, "Seed": 0.5},
                "produces": {"P": 0.6, "Seed": 0.4},
                "units": {"U1": run(2, 4)},
            }
        },
    )
    grid, x = repeated(network, 240)
    # Each amount that is worked on takes a tenth of it from the stock, and what runs half of it.
    assert program_value(grid, x) >= 0.9 * 2 * 0.6 * (24 / 0.1)
    assert program_value(grid, x) <= 2 * 0.6 * (24 / 0.1) + 1e-3


@pytest.mark.parametrize("length", [2, 3, 5])
def test_a_pattern_can_be_repeated_as_it_is(length):
    """With enough of everything on stock, each cycle of a ring is a piece of the straight grid."""
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "I": {"initial": 30, "capacity": 60},
            "P": {"price": 2},
        },
        {
            "First": task("A", "I", U1=run(2, 4, min_batch=1)),
            "Second": task("I", "P", U2=run(2, 3, min_batch=1), U1=run(1, 2, min_batch=1)),
        },
    )
    ring = bend(grid_of(network, Problem(horizon=60.0)), length)
    found = solve_program(ring.program)
    runs = found.x[ring.run] > 0.5
    sizes = dict(zip(zip(ring.mode, ring.start, strict=True), found.x[ring.size], strict=True))
    # Half of that time: a stock that lasts for all of it has room for what is missing at first.
    grid = grid_of(network, Problem(horizon=30.0))
    x = do_nothing(grid)
    for index, (mode, start) in enumerate(zip(grid.mode_of, grid.start_of, strict=True)):
        ran = runs[(ring.mode == mode) & (ring.start == start % length)].any()
        x[grid.run[index]] = float(ran)
        x[grid.size[index]] = sizes[mode, start % length] if ran else 0.0
    fixed = np.zeros(len(x), dtype=bool)
    fixed[grid.run] = fixed[grid.size] = True
    lower, upper = grid.program.lower.copy(), grid.program.upper.copy()
    lower[fixed] = upper[fixed] = x[fixed]
    answer = solve_program(replace(grid.program, lower=lower, upper=upper))
    assert answer.x is not None
    assert answer.objective >= found.objective / length * (30 - 2 * length) - 1e-6


def test_near_a_pattern_is_the_same_pattern_stretched():
    network = chain(price=2)
    coarse, fine = (grid_of(network, Problem(horizon=240.0), width) for width in (1.0, 0.5))
    pattern = patterns_of(coarse)[0]
    same = near_pattern(pattern, pattern.ring, reach=0)
    assert same[pattern.runs].all()
    assert set(pattern.ring.number[same]) == set(pattern.ring.number[pattern.runs])
    ring = bend(fine, 2 * pattern.ring.length)
    among = near_pattern(pattern, ring, reach=1)
    for number, start in zip(
        pattern.ring.number[pattern.runs], pattern.ring.start[pattern.runs], strict=True
    ):
        starts = {(2 * start + step) % ring.length for step in (-1, 0, 1)}
        assert starts <= set(ring.start[among & (ring.number == number)])


def wide_chain(**rules):
    """Three steps on eight units, of which a week has many batches."""
    units = {f"U{number}": run(1.5, 4, time_per_amount=0.25) for number in range(1, 4)}
    others = {f"V{number}": run(3, 5, min_batch=1, time_per_amount=0.1) for number in range(1, 4)}
    return plant(
        {
            "A": {"initial": "unlimited"},
            "I": {"capacity": 20},
            "J": {"capacity": 10},
            "P": {"price": 2},
            "Q": {"price": 1},
        },
        {
            "First": task("A", "I", **units),
            "Second": task("I", "J", **others),
            "Third": task("J", "P", W1=run(1, 6), W2=run(1.5, 8)),
            "Other": task("J", "Q", W1=run(1, 6)),
        },
        **rules,
    )


def test_what_is_due_early_is_made_at_the_rate_that_it_needs():
    network = chain(price=2)
    asked = {
        "deliveries": (Delivery("P", 30.0, 20.0), Delivery("P", 20.0, 4.0)),
        "targets": {"P": 40.0},
    }
    grid = grid_of(network, Problem(horizon=100.0, **asked))
    first = 4 / (20 - grid.path)
    both, all_of_it = 24 / (30 - grid.path), 64 / (100 - grid.path)
    ring = bend(grid, 5)
    assert ring.program.row_lower[-1] == pytest.approx(5 * max(first, both, all_of_it))
    later = bend(grid_of(network, Problem(horizon=100.0, targets={"P": 40.0})), 5)
    assert later.program.row_lower[-1] == pytest.approx(5 * 40 / (100 - grid.path))


def test_beside_a_pattern_that_makes_one_product_the_batches_of_another_are_chosen():
    """P pays more than Q, which no pattern makes: two batches of it are asked for."""
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 2}, "Q": {"price": 1}},
        {
            "Make": task("A", "P", U1=run(2, 4, min_batch=1)),
            "Other": task("A", "Q", U1=run(3, 4, min_batch=4)),
        },
    )
    grid = grid_of(network, Problem(horizon=60.0, deliveries=(Delivery("Q", 30.0, 8.0),)))
    free = replace(grid, problem=Problem(horizon=60.0))
    pattern = replace(patterns_of(free)[0], ring=replace(patterns_of(free)[0].ring, grid=grid))
    alone = lay_out(pattern, later=0, seconds=20.0)
    assert grid.missed_amount(alone) == pytest.approx(8.0)
    met = do_nothing(grid)
    for start in (7, 20):
        batch = (grid.start_of == start) & (
            np.array([grid.modes[mode].suitability.task for mode in grid.mode_of]) == "Other"
        )
        met[grid.run[batch]], met[grid.size[batch]] = 1.0, 4.0
    met = fix_integers(grid.program, met)
    assert grid.missed_amount(met) == 0.0
    both = lay_out(pattern, later=0, seconds=20.0, beside=met)
    assert grid.missed_amount(both) == 0.0
    # Two batches of Q take 3 h each; the steps beside them are for P.
    assert 2 * 4 * 25 + 8 <= grid.value(both) <= 2 * 4 * 27 + 8
    schedule = retime_repeatedly(grid.place(both), network, grid.problem, width=1.0)
    assert find_violations(schedule, network) == []


def repeat(network, problem, *, enough):
    """Look for patterns on steps that give many batches in a window, until one is worth enough."""
    ranked = rank_widths(network, problem, most_modes=2, many_batches=2_400)
    offered = []
    found = repeat_on_grids(
        network,
        problem,
        [each for each in ranked if each.width < 0.7],
        most_modes=2,
        start=None,
        seconds=40.0,
        clock=time.process_time,
        random=np.random.default_rng(0),
        on_solution=lambda grid, x: offered.append((grid, x)),
        should_stop=lambda: bool(offered) and offered[-1][0].value(offered[-1][1]) >= enough,
    )
    return found, offered


@pytest.mark.parametrize(
    ("rules", "demand"),
    [
        ({}, {}),
        ({"units": {"U1": {"unavailable": [[20, 60]]}, "W2": {"unavailable": [[90, 100]]}}}, {}),
        (
            {
                "units": {
                    "W1": {
                        "changeovers": {"Third": {"Other": 1}, "Other": {"Third": 2}},
                        "unavailable": [[30, 41]],
                    },
                    "V2": {"paused": [[50, 58]]},
                }
            },
            {"targets": {"Q": 30.0}},
        ),
        ({}, {"deliveries": (Delivery("Q", 40.0, 20.0), Delivery("P", 100.0, 50.0))}),
    ],
    ids=["plain", "units away", "changeovers, a pause, a target", "deliveries"],
)
def test_a_repeated_pattern_fills_a_week_whatever_the_calendar_says(rules, demand):
    network, problem = wide_chain(**rules), Problem(horizon=168.0, **demand)
    bound = bound_by_capacity(network, problem)
    found, offered = repeat(network, problem, enough=0.6 * bound)
    assert len(found) == 1
    grid, x = found[0].grid, found[0].x
    assert offered[-1][1] is x
    schedule = retime_repeatedly(grid.place(x), network, problem, width=grid.width)
    assert schedule is not None
    assert find_violations(schedule, network) == []
    value = schedule_value(schedule, network, "profit")
    assert 0.6 * bound <= value <= bound + 1e-6
    assert schedule.final_stock["Q"] >= problem.targets.get("Q", 0.0) - 1e-6


def test_a_search_for_patterns_goes_on_from_what_is_known_until_it_is_stopped():
    grid = grid_of(chain(price=2), Problem(horizon=240.0))
    known = patterns_of(grid, looks=8)
    more = find_patterns(
        [grid], seconds=0.5, clock=time.process_time, random=np.random.default_rng(1), known=known
    )
    assert more[0].rate >= known[0].rate > 0
    rates = [each.rate for each in more]
    assert rates == sorted(rates, reverse=True)
    for least, stop in ((0.0, True), (10 * more[0].rate, False)):
        none = find_patterns(
            [grid],
            seconds=5.0,
            clock=time.process_time,
            random=np.random.default_rng(1),
            least=least,
            should_stop=lambda stop=stop: stop,
        )
        assert none == []


def test_dives_that_are_cut_by_their_time_get_more_once(monkeypatch):
    now, given = [0.0], []

    def cut(*_, seconds, **__):
        given.append(seconds)
        now[0] += seconds

    def look():
        now[0] = 0.0
        given.clear()
        return find_patterns(
            [grid], seconds=1_000.0, clock=lambda: now[0], random=np.random.default_rng(0)
        )

    grid = grid_of(chain(price=2), Problem(horizon=240.0))
    monkeypatch.setattr(cycle_search, "lengths_of_cycles", lambda *_: [5, 8])
    monkeypatch.setattr(cycle_search, "dive", cut)
    assert look() == []
    assert given == [150.0, 150.0, 600.0, 600.0]
    # One that ends early has seen all that there is.
    monkeypatch.setattr(cycle_search, "dive", lambda *_, seconds, **__: given.append(seconds))
    assert look() == []
    assert given == [150.0, 150.0]


def test_orders_and_arrivals_are_not_for_patterns():
    network = wide_chain()
    order = Order(id="one", state="P", amount=5.0, due=20.0)
    problem = Problem(horizon=168.0, orders=(order,))
    assert repeat(network, problem, enough=0.0) == ([], [])


def test_a_week_of_a_large_plant_is_half_full_long_before_the_time_is_used():
    network, problem = load_example("fine_chemicals"), Problem(horizon=168.0)
    values = [0.0]
    half = 0.5 * bound_by_capacity(network, problem)
    schedule, bound = search_long_horizon(
        network,
        problem,
        time_limit=60.0,
        clock=time.process_time,
        on_improvement=lambda _, value, __: values.append(value),
        should_stop=lambda: values[-1] >= half,
    )
    assert schedule is not None
    assert find_violations(schedule, network) == []
    assert half <= schedule_value(schedule, network, "profit") <= bound
