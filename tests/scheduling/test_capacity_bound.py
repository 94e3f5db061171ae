"""The bounds hold: no optimum of a drawn plant is above one, and known answers are met."""

from __future__ import annotations

import math

import pytest
from plants_with_rules import all_cases
from random_plants import draw_cases
from small_plants import plant, run, task
from time_grid import add_rules, best_on_grid, draw_deliveries, draw_plant

from stnopt import load_example
from stnopt.plant import Delivery
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.capacity_bound import bound_by_capacity, bound_by_periods

N_PERIODS = (1, 3, 7, 10)
RULES = ("periods", "changeovers", "utilities")


@pytest.fixture(scope="module")
def cases():
    return draw_cases(25)


@pytest.mark.parametrize("n_periods", [1, 3, pytest.param(7, marks=pytest.mark.long), 10])
def test_no_optimum_is_above_the_bound(cases, n_periods):
    for network, hours, best in cases:
        bound = bound_by_periods(network, Problem(horizon=hours), n_periods=n_periods)
        assert bound >= best - 1e-6 * max(1.0, abs(best)), network.to_dict()


def test_whole_batches_keep_every_optimum(cases):
    for network, hours, best in cases:
        problem = Problem(horizon=hours)
        loose = bound_by_periods(network, problem, n_periods=3)
        tight = bound_by_periods(network, problem, n_periods=3, whole_batches=True)
        slack = 1e-5 * max(1.0, abs(best))
        assert best - slack <= tight <= loose + slack


def test_more_periods_bound_no_looser(cases):
    for network, hours, best in cases:
        one, several = (
            bound_by_periods(network, Problem(horizon=hours), n_periods=n) for n in (1, hours)
        )
        assert several <= one + 1e-5 * max(1.0, abs(best))


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("kind", [*RULES, "deliveries", "all"])
@pytest.mark.parametrize("seed", range(12))
def test_rules_never_push_an_optimum_above_the_bound(kind, seed):
    network, hours = draw_plant(seed), 7 + seed % 3
    wanted = RULES if kind == "all" else (kind,)
    rules = [rule for rule in wanted if rule in RULES]
    network = add_rules(network, seed, **dict.fromkeys(rules, True)) if rules else network
    deliveries = draw_deliveries(network, seed, hours) if kind in ("deliveries", "all") else ()
    best = best_on_grid(network, hours, deliveries)
    problem = Problem(horizon=hours, deliveries=tuple(deliveries))
    bounds = [bound_by_periods(network, problem, n_periods=n) for n in (1, 4, hours)]
    if best is not None:
        assert min(bounds) >= best - 1e-6 * max(1.0, abs(best)), network.to_dict()


@pytest.mark.parametrize("name", all_cases())
def test_known_best_values_are_within_the_bound(name):
    case = all_cases()[name]
    sign = 1 if case.problem.objective in ("profit", "production") else -1
    for n_periods in N_PERIODS:
        bound = bound_by_periods(case.network, case.problem, n_periods=n_periods)
        assert sign * bound >= sign * case.best - 1e-4


CHAIN = plant(
    {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
    {
        "First": task("A", "I", U1=run(2, 10, fixed_cost=3)),
        "Second": task("I", "P", U2=run(3, 10, fixed_cost=4)),
    },
)


@pytest.mark.parametrize(("horizon", "best"), [(4, 0), (5, 3), (8, 6), (11, 9)])
def test_a_chain_loses_its_head(horizon, best):
    """The second step starts after 2 h at best: floor((horizon - 2) / 3) batches, 10 - 7 each."""
    bound = bound_by_periods(CHAIN, Problem(horizon=horizon), n_periods=horizon)
    assert bound >= best - 1e-6
    assert bound <= 10 * (horizon - 2) / 3 - 7 * (horizon - 2) / 3 + 1e-3


def test_the_cost_of_whole_batches():
    """15 of P take two batches of each step: 2 * (3 + 4)."""
    problem = Problem(objective="cost", horizon=20, targets={"P": 15})
    assert bound_by_capacity(CHAIN, problem) == pytest.approx(1.5 * 7, rel=1e-5)
    whole = bound_by_periods(CHAIN, problem, n_periods=1, whole_batches=True)
    assert whole == pytest.approx(14, rel=1e-5)


def test_a_makespan_counts_the_route():
    """20 of P: 2 h, then two batches of 3 h."""
    problem = Problem(objective="makespan", horizon=50, targets={"P": 20})
    assert 7.9 <= bound_by_periods(CHAIN, problem, n_periods=16) <= 8 + 1e-6


def test_what_no_schedule_meets_is_infinite():
    short = Problem(horizon=4, targets={"P": 1})
    assert bound_by_capacity(CHAIN, short) == -math.inf
    late = Problem(objective="makespan", horizon=4, targets={"P": 1})
    assert bound_by_capacity(CHAIN, late) == math.inf
    due = Problem(horizon=10, deliveries=(Delivery("P", 4, 1),))
    assert bound_by_periods(CHAIN, due, n_periods=10) == -math.inf


def test_a_week_is_bounded_by_unit_hours():
    assert bound_by_capacity(load_example("ex2"), Problem(horizon=168)) == pytest.approx(
        47306.2, abs=1
    )
