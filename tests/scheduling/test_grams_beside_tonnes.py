"""What is demanded in grams, of batches in tonnes, is looked for as hard as the tonnes are."""

from __future__ import annotations

import pytest
from small_plants import plant, run, task

import stnopt as so
from stnopt.plant.problem import Delivery, Order, Problem
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon

NETWORK = plant(
    {
        "Feed": {"initial": "unlimited", "cost": 0.1},
        "Mix": {"capacity": 500},
        "Prod": {"price": 3},
        "Dust": {"price": 900},
    },
    {
        "Mixing": task("Feed", "Mix", M=run(2, 200, min_batch=50)),
        "React": task("Mix", {"Prod": 0.99995, "Dust": 0.00005}, R=run(3, 150), Q=run(2, 80)),
    },
)


@pytest.mark.parametrize(
    ("asked", "dust"),
    [
        ({"targets": {"Dust": 0.04}}, 0.04),
        ({"targets": {"Dust": 0.04}, "sense": "exactly"}, 0.04),
        ({"deliveries": (Delivery("Dust", 20, 0.01), Delivery("Dust", 40, 0.03))}, 0.04),
        ({"orders": (Order("a", "Dust", 0.01, 20), Order("b", "Dust", 0.02, 40))}, 0.03),
    ],
)
def test_small_amounts_are_made_and_proven(asked, dust):
    """By hand: 20,000 of Feed, at 0.1 each, for each of Dust; without a search nothing is made."""
    problem = Problem(objective="cost", horizon=40, **asked)
    schedule, bound = search_long_horizon(NETWORK, problem, time_limit=60)
    assert so.schedule_value(schedule, NETWORK, "cost") == pytest.approx(2000 * dust, rel=1e-4)
    assert bound == pytest.approx(2000 * dust, rel=1e-4)
    assert so.find_violations(schedule, NETWORK) == []
