"""Tolerances follow a state's own batches: grams beside tonnes are judged as grams."""

from __future__ import annotations

import pytest

from stnopt.plant import read_network
from stnopt.plant.tolerance import amount_tolerance, size_tolerance, time_tolerance
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock

PLANT = read_network(
    {
        "name": "small beside large",
        "states": {
            "W": {"initial": "unlimited"},
            "C": {"initial": 0.001},
            "V": {"price": 1e4},
            "Water": {"price": 0.01},
        },
        "tasks": {
            "Boil": {
                "consumes": {"W": 1},
                "produces": {"Water": 1},
                "units": {"K": {"max_batch": 1e4, "fixed_time": 2}},
            },
            "Make": {
                "consumes": {"C": 1},
                "produces": {"V": 1},
                "units": {"M": {"max_batch": 0.01, "fixed_time": 3}},
            },
        },
    }
)


def test_each_state_has_its_own():
    assert amount_tolerance(PLANT, "Water") == pytest.approx(1e-2)
    assert amount_tolerance(PLANT, "C") == amount_tolerance(PLANT, "V") == pytest.approx(1e-8)
    assert size_tolerance(PLANT, "Make") == pytest.approx(1e-8)
    assert time_tolerance(6.0) == pytest.approx(6e-6)


@pytest.mark.parametrize(
    ("size", "kinds"),
    [(0.0005, []), (0.001, []), (0.002, ["stock_below_zero"]), (0.009, ["stock_below_zero"])],
)
def test_the_replay_sees_what_is_missing(size, kinds):
    batches = [Batch("Make", "M", 0, 3, size), Batch("Boil", "K", 0, 2, 1e4)]
    stock = compute_final_stock(batches, PLANT)
    schedule = Schedule(batches=batches, final_stock=stock, horizon=6)
    assert [v.kind for v in find_violations(schedule, PLANT)] == kinds
