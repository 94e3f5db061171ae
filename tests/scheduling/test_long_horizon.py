"""The search for long horizons on plants whose best value is known; the clock counts its calls."""

from __future__ import annotations

import math
from itertools import count

import pytest
from plants_with_rules import all_cases
from random_plants import draw_cases
from small_plants import plant, run, task
from time_grid import add_rules, best_on_grid, draw_deliveries, draw_plant

from stnopt import load_example
from stnopt.errors import UnsupportedModelError
from stnopt.plant import Delivery
from stnopt.plant.problem import Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.long_horizon.engine import engine_supports, search_long_horizon

RULES = ("periods", "changeovers", "utilities")


def search(network, problem, *, steps=60, **more):
    """Search by a clock that is a second later whenever it is read."""
    ticks = count()
    schedule, bound = search_long_horizon(
        network, problem, time_limit=steps, clock=lambda: float(next(ticks)), **more
    )
    if schedule is not None:
        assert find_violations(schedule, network) == []
        assert schedule.horizon == problem.horizon or problem.horizon is None
        assert schedule.deliveries == problem.deliveries
    return schedule, bound


@pytest.mark.long
def test_drawn_plants_come_to_their_best_and_no_further():
    reached = 0
    for network, hours, best in draw_cases(25):
        schedule, bound = search(network, Problem(horizon=hours))
        value = schedule_value(schedule, network, "profit")
        assert value <= best + 1e-4 * max(1.0, best)
        assert bound >= best - 1e-6 * max(1.0, best)
        reached += value >= best - 1e-3 * max(1.0, best)
    assert reached >= 24


@pytest.mark.parametrize("kind", [*RULES, "deliveries", "all"])
@pytest.mark.long
def test_drawn_rules_are_kept(kind):
    n_found = n_possible = 0
    for seed in range(8):
        network, hours = draw_plant(seed), 7 + seed % 3
        wanted = RULES if kind == "all" else (kind,)
        rules = [rule for rule in wanted if rule in RULES]
        network = add_rules(network, seed, **dict.fromkeys(rules, True)) if rules else network
        deliveries = draw_deliveries(network, seed, hours) if kind in ("deliveries", "all") else ()
        best = best_on_grid(network, hours, deliveries)
        problem = Problem(horizon=hours, deliveries=tuple(deliveries))
        schedule, bound = search(network, problem)
        if best is None:
            assert schedule is None
            continue
        n_possible += 1
        if schedule is None:
            continue
        assert bound >= best - 1e-6 * max(1.0, best)
        value = schedule_value(schedule, network, "profit")
        assert value <= best + 1e-3 * max(1.0, best)
        n_found += value >= best - 1e-3 * max(1.0, best)
    assert n_found >= n_possible - 1


@pytest.mark.few_cases(4)
@pytest.mark.parametrize("name", all_cases())
def test_known_best_schedules_are_found(name):
    case = all_cases()[name]
    schedule, bound = search(case.network, case.problem)
    assert schedule_value(schedule, case.network, case.problem.objective) == pytest.approx(
        case.best, abs=1e-3
    )
    sign = 1 if case.problem.objective in ("profit", "production") else -1
    assert sign * bound >= sign * case.best - 1e-4


CHAIN = plant(
    {"A": {"initial": "unlimited", "cost": 1}, "I": {"capacity": 10}, "P": {"price": 3}},
    {
        "First": task("A", "I", U1=run(2, 10, fixed_cost=3)),
        "Second": task("I", "P", U2=run(3, 10, fixed_cost=4)),
    },
)


def test_a_cost_counts_whole_batches():
    """25 of P take three batches of each step: 3 * 7, and 25 of A."""
    problem = Problem(objective="cost", horizon=30, targets={"P": 25})
    schedule, bound = search(CHAIN, problem)
    assert schedule_value(schedule, CHAIN, "cost") == pytest.approx(46, rel=1e-5)
    assert bound == pytest.approx(46, rel=1e-4)


def test_production_and_an_exact_target():
    made, _ = search(CHAIN, Problem(objective="production", horizon=11))
    assert schedule_value(made, CHAIN, "production") == pytest.approx(30, rel=1e-5)
    exact, _ = search(CHAIN, Problem(horizon=11, targets={"P": 12.5}, sense="exactly"))
    assert exact.final_stock["P"] == pytest.approx(12.5, rel=1e-5)


@pytest.mark.parametrize("horizon", [pytest.param(100, marks=pytest.mark.long), None])
def test_a_makespan_is_the_shortest(horizon):
    """45 of P: 2 h, then five batches of 3 h."""
    problem = Problem(objective="makespan", horizon=horizon, targets={"P": 45})
    schedule, bound = search(CHAIN, problem)
    assert schedule_value(schedule, CHAIN, "makespan") == pytest.approx(17, rel=1e-4)
    assert 0 < bound <= 17 + 1e-6


def test_what_cannot_be_met_is_proven_or_left_open():
    assert search(CHAIN, Problem(horizon=4, targets={"P": 1})) == (None, -math.inf)
    late = Problem(horizon=10, deliveries=(Delivery("P", 4, 1),))
    schedule, _ = search(CHAIN, late)
    assert schedule is None


def test_a_schedule_to_start_from_is_never_lost():
    network, problem = load_example("ex2"), Problem(horizon=8)
    first, _ = search(network, problem, steps=40)
    again, _ = search(network, problem, steps=3, warm=first)
    values = [schedule_value(each, network, "profit") for each in (first, again)]
    assert values[1] >= values[0]


def test_every_improvement_is_reported_and_an_interrupt_keeps_the_best():
    network, problem = load_example("ex2"), Problem(horizon=12)
    seen = []

    def interrupt(schedule, value, bound):
        assert find_violations(schedule, network) == []
        assert value <= bound
        seen.append(schedule)
        raise KeyboardInterrupt

    schedule, bound = search(network, problem, on_improvement=interrupt)
    assert seen == [schedule]
    assert bound is not None


def test_the_caller_can_stop_it():
    asked = count()
    schedule, _ = search(
        load_example("ex2"), Problem(horizon=12), should_stop=lambda: next(asked) > 3
    )
    assert schedule is None or find_violations(schedule, load_example("ex2")) == []
    assert next(asked) < 12


def test_what_it_cannot_do_is_named():
    problem = Problem(objective="profit", horizon=None)
    assert "horizon" in engine_supports(CHAIN, problem)
    with pytest.raises(UnsupportedModelError, match="horizon"):
        search_long_horizon(CHAIN, problem, time_limit=1)


@pytest.mark.long
def test_two_days_of_a_plant_of_the_literature():
    """What a grid of the whole horizon makes of ex2 in half a minute is 12,274 (bound 13,250).

    With more steps each window has more seconds: a busy machine solves them as well.
    """
    schedule, bound = search(load_example("ex2"), Problem(horizon=48), steps=50)
    assert schedule_value(schedule, load_example("ex2"), "profit") >= 12_000
    assert bound <= 13_520
