"""What a plant can reach, counted by hand on a chain with a recycle."""

from __future__ import annotations

import math

from stnopt.plant import read_network
from stnopt.plant.reachability import batches_after, batches_before, soonest_times

PLANT = read_network(
    {
        "name": "chain",
        "states": {
            "A": {"initial": "unlimited"},
            "I": {},
            "J": {},
            "P": {"price": 1},
            "Q": {},
            "Never": {},
        },
        "tasks": {
            "T1": {
                "consumes": {"A": 1},
                "produces": {"I": 1},
                "units": {"U": {"max_batch": 5, "fixed_time": 2}},
            },
            "T2": {
                "consumes": {"I": 1},
                "produces": {"J": 0.5, "Q": 0.5},
                "units": {
                    "U": {
                        "min_batch": 2,
                        "max_batch": 5,
                        "fixed_time": 1,
                        "time_per_amount": 0.5,
                        "release_time": {"Q": 0.5},
                    },
                    "V": {"max_batch": 5, "fixed_time": 3},
                },
            },
            "T3": {
                "consumes": {"J": 1},
                "produces": {"P": 1},
                "units": {"V": {"max_batch": 5, "fixed_time": 1}},
            },
            "T4": {
                "consumes": {"Never": 1},
                "produces": {"P": 1},
                "units": {"V": {"max_batch": 5, "fixed_time": 1}},
            },
        },
    }
)


def test_batches_in_a_row():
    tasks, states = batches_before(PLANT)
    assert tasks == {"T1": 0, "T2": 1, "T3": 2, "T4": math.inf}
    assert states == {"A": 0, "I": 1, "J": 2, "P": 3, "Q": 2, "Never": math.inf}
    tasks, states = batches_after(PLANT, ["P"])
    assert tasks == {"T1": 2, "T2": 1, "T3": 0, "T4": 0}
    assert states["A"] == 3
    assert states["Q"] == math.inf


def test_soonest_times():
    """T1 0 to 2; T2 takes 2 h on U at its least size, Q leaves after 0.5; T3 one more."""
    tasks, states = soonest_times(PLANT)
    assert tasks == {"T1": 0, "T2": 2, "T3": 4, "T4": math.inf}
    assert states == {"A": math.inf, "I": 2, "J": 4, "Q": 2.5, "P": 5, "Never": math.inf}
