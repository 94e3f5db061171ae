"""Proofs that a demand cannot be met, against a grid of whole hours without code of the library."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from small_plants import plant, run, task
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all, draw_plant

from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.state import PlantState, RunningBatch
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.out_of_reach import is_out_of_reach


def chain(**rules):
    """Two mixes of at most 40 make 45 for the least reaction: 2 * 0.5 + 2 + 1 h until the first."""
    return plant(
        {"A": {"initial": "unlimited"}, "I": {}, "J": {}, "P": {"price": 1}},
        {
            "Mix": task("A", "I", M=run(0.5, 40)),
            "React": task("I", "J", R=run(2, 150, min_batch=45)),
            "Pack": task("J", "P", K=run(1, 100)),
        },
        **rules,
    )


def asked(time, amount=1.0, horizon=10.0):
    return Problem(horizon=horizon, deliveries=(Delivery("P", time, amount),))


def test_two_mixes_must_come_before_the_least_reaction():
    assert is_out_of_reach(chain(), asked(3.9))
    assert not is_out_of_reach(chain(), asked(4.0))
    assert is_out_of_reach(chain(), Problem(horizon=3.9, targets={"P": 1.0}))
    assert not is_out_of_reach(chain(), Problem(horizon=4.0, targets={"P": 1.0}))


def test_periods_changeovers_and_running_batches_put_it_off():
    away = chain(units={"K": {"unavailable": [[3.5, 6.0]]}})
    assert is_out_of_reach(away, asked(6.9))
    assert not is_out_of_reach(away, asked(7.0))
    busy = PlantState(
        running=(RunningBatch(task="Pack", unit="K", size=1.0, started=-0.25, remaining=0.75),)
    )
    assert not is_out_of_reach(chain(), asked(3.9), start=busy)  # what runs makes that much
    busy = PlantState(
        running=(RunningBatch(task="React", unit="R", size=45.0, started=-0.5, remaining=1.5),)
    )
    assert is_out_of_reach(chain(), asked(2.4), start=busy)
    assert not is_out_of_reach(chain(), asked(2.5), start=busy)
    both = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
        {"MakeP": task("A", "P", U=run(1, 5)), "MakeQ": task("A", "Q", U=run(1, 5))},
        units={"U": {"changeovers": {"MakeP": {"MakeQ": 2}, "MakeQ": {"MakeP": 2}}}},
    )
    each = {"P": 1.0, "Q": 1.0}
    assert is_out_of_reach(both, Problem(horizon=3.75, targets=each))
    assert not is_out_of_reach(both, Problem(horizon=4.0, targets=each))


def test_nothing_asked_and_no_time_prove_nothing():
    assert not is_out_of_reach(chain(), Problem(horizon=1.0))
    assert not is_out_of_reach(chain(), Problem(horizon=1.0, targets={"P": 0.0}))
    assert not is_out_of_reach(chain(), Problem(objective="makespan", targets={"P": 1.0}))


def test_the_search_says_that_there_is_no_schedule():
    schedule, bound = search_long_horizon(chain(), asked(3.9), time_limit=5.0)
    assert schedule is None
    assert bound == float("-inf")


def is_possible(network, start, problem, due):
    """Whether the grid of whole hours meets it, and whether that is proven impossible."""
    must = replace(problem, objective="profit", deliveries=(due,))
    best = best_of_all(network, HOURS, (due,), start=start, orders=problem.orders)
    return best is not None, is_out_of_reach(network, must, start=start)


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(60))
def test_what_can_be_met_is_never_out_of_reach(seed):
    """Running batches, orders, calendars, changeovers, utilities and cleanings mixed."""
    random = Random(seed)
    network, start, problem = drawn(seed)
    for product in network.products:
        for amount in (2.0, 4.0, 8.0):
            due = Delivery(product, float(random.randint(1, HOURS)), amount)
            assert is_possible(network, start, problem, due) not in [(True, True)]


def test_most_of_what_cannot_be_met_is_proven():
    verdicts = []
    for seed in range(12):
        network, start, problem = drawn(seed)
        for product in network.products:
            due = Delivery(product, 3.0, 4.0)
            verdicts.append(is_possible(network, start, problem, due))
    assert verdicts.count((False, True)) > 2 * verdicts.count((False, False))
    assert verdicts.count((True, False)) > 0


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(40))
def test_without_limits_of_storage_it_is_said_exactly(seed):
    """Whole hours and stores without limits: the easier grid is then no easier."""
    network = draw_plant(seed)
    states = {
        name: replace(state, capacity=float("inf"), zero_wait=False)
        for name, state in network.states.items()
    }
    network = replace(network, states=states)
    for hours in (2, 4, 6):
        for amount in (2.0, 6.0):
            demand = tuple(Delivery(name, float(hours), amount) for name in network.products)
            best = best_of_all(network, HOURS, demand)
            problem = Problem(horizon=HOURS, deliveries=demand)
            assert is_out_of_reach(network, problem, start=PlantState()) == (best is None)


@pytest.mark.parametrize(
    ("due", "amount", "possible"),
    [(10.9, 0.002, False), (11.0, 0.002, True), (11.0, 0.05, False), (60.0, 0.2, True)],
)
def test_grams_beside_tonnes_and_a_dryer_away(due, amount, possible):
    """1.2 h for the least mix, 3 h, then the dryer of 10 g is away from 4 to 9 h, and takes 2 h."""
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "I": {"capacity": 5000},
            "J": {"capacity": 0},
            "P": {"price": 1},
            "Q": {"price": 2000},
        },
        {
            "Mix": task("A", "I", M=run(1, 5000, min_batch=1000, time_per_amount=0.0002)),
            "Make": task("I", {"P": 0.999, "J": 0.001}, R=run(3, 4000)),
            "Dry": task("J", "Q", D=run(2, 0.01, min_batch=0.002)),
        },
        units={"D": {"unavailable": [[4, 9]]}},
    )
    problem = Problem(horizon=60.0, deliveries=(Delivery("Q", due, amount),))
    assert is_out_of_reach(network, problem, time_limit=30.0) is not possible
