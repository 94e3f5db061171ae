"""Drawn problems against one integer program: no plan is below its optimum, no bound above it."""

from __future__ import annotations

import drawn_plans
import pytest

import stnopt


@pytest.mark.parametrize("seed", [2, 4, 7, 10])
def test_a_drawn_problem(seed: int):
    content = drawn_plans.draw(seed)
    best = drawn_plans.least_cost(content)
    search = stnopt.find_plan(stnopt.read_planning_problem(content))
    if best is None:
        assert search.stopped == "infeasible"
        return
    rounding = 1e-5 * max(1.0, abs(best))  # amounts are met to the replay's tolerance
    assert search.bound <= best + rounding
    assert best - rounding <= search.cost <= best + 5e-3 * abs(best) + rounding
