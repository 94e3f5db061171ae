"""Blends of schedules on plants with rules: what holds at both ends need not hold between them."""

from __future__ import annotations

import numpy as np
import pytest

from stnopt.feasibility.oracle import AchievedPoint, TargetOracle
from stnopt.feasibility.refinement import combinations_are_clean
from stnopt.feasibility.scope import ask_about
from stnopt.plant import read_network

PLANT = {
    "name": "one unit",
    "states": {"A": {"initial": "unlimited"}, "P": {"price": 1}},
    "tasks": {
        "Make": {
            "consumes": {"A": 1},
            "produces": {"P": 1},
            "units": {"U1": {"max_batch": 10, "fixed_time": 1}},
        }
    },
}


def oracle_of(network, horizon):
    question = ask_about(network, horizon=horizon, problem=None, start=None)
    return TargetOracle(question, ("P",), n_events=2)


def achieved(start):
    return AchievedPoint(amounts=np.array([5.0]), runs={("Make", "U1", 0, 0): (start, 5.0)})


@pytest.mark.parametrize(("away", "clean"), [([], True), ([[1.5, 2.5]], False)])
def test_combinations_across_an_unavailable_period_are_not_trusted(away, clean):
    # At 0, at 9 and half way the unit is there; a fifth of the way it is not.
    network = read_network(PLANT | ({"units": {"U1": {"unavailable": away}}} if away else {}))
    oracle = oracle_of(network, horizon=10)
    ends = [achieved(0.0), achieved(9.0)]
    assert all(oracle.is_valid(end) for end in ends)
    assert oracle.is_valid(oracle.combine(ends, np.array([0.5, 0.5])))
    assert oracle.is_valid(oracle.combine(ends, np.array([0.8, 0.2]))) is clean
    assert combinations_are_clean(oracle, ends) is clean


def test_moments_are_all_times_that_the_rules_speak_of():
    entries = PLANT | {
        "units": {"U1": {"unavailable": [[3, 4]], "changeovers": {"Make": {"Make": 0.5}}}}
    }
    oracle = oracle_of(read_network(entries), horizon=10)
    assert oracle.event_times(achieved(1.0)) == pytest.approx([1, 2, 0.5, 3, 4])


def test_an_oracle_limits_utilities_before_its_first_question():
    entries = PLANT | {"utilities": {"steam": {"capacity": 3}}}
    entries["tasks"] = {
        "Make": PLANT["tasks"]["Make"]
        | {
            "units": {
                unit: {"max_batch": 10, "fixed_time": 1, "draws": {"steam": 2}}
                for unit in ("U1", "U2")
            }
        }
    }
    oracle = oracle_of(read_network(entries), horizon=2)
    assert oracle.handle.utilities_limited == {"steam"}
    assert oracle.ask(np.array([20.0])).achieved is not None
    assert oracle.ask(np.array([21.0])).missed_by == pytest.approx(1, abs=1e-3)
