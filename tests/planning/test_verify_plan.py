"""Anyone's plan: what holds, what is short where, and what does not add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import one_reactor
import pandas as pd
import pytest

import stnopt

if TYPE_CHECKING:
    from pathlib import Path


def planned(*amounts: tuple[float, float]) -> stnopt.Plan:
    return stnopt.Plan(
        production={
            ("main", str(period), product): amount
            for period, pair in enumerate(amounts, 1)
            for product, amount in zip("AB", pair, strict=True)
        }
    )


def test_which_periods_hold_and_what_is_short():
    problem = one_reactor.problem((10, 20), (20, 20), (15, 15))
    plan = stnopt.complete_plan(planned((10, 20), (25, 25), (15, 15)), problem)
    found = stnopt.verify_plan(plan, problem)
    holds = {check.period: check.holds for check in found.checks}
    # five batches do not fit into the second period, four do into the others
    assert holds == {"1": True, "2": False, "3": True}
    assert not found.verified
    assert found.cost is None
    short = found.checks[1].short
    assert sum(short.values()) >= 10 - 1e-3  # at most 40 of 50 can be made
    assert "period 2" in str(found)
    assert "no schedule" in str(found)


def test_what_a_plan_costs():
    problem = one_reactor.problem((10, 10), (30, 0))
    plan = stnopt.complete_plan(planned((20, 10), (20, 0)), problem)
    found = stnopt.verify_plan(plan, problem)
    assert found.verified
    # raw material 40 * 1 + 10 * 2, five batches of 3, ten A held for a period
    assert found.costs["production"] == pytest.approx(40 + 20 + 15)
    assert found.cost == pytest.approx(40 + 20 + 15 + 10 * 0.1)
    assert found.n_scheduled == 1  # the second period's is the first one's, retimed


def test_equal_periods_are_scheduled_once():
    problem = one_reactor.problem(*[(10, 10)] * 4)
    plan = stnopt.complete_plan(planned(*[(10, 10)] * 4), problem)
    assert stnopt.verify_plan(plan, problem).n_scheduled == 1


def test_a_closed_facility_makes_nothing():
    problem = one_reactor.problem((0, 0), (1, 1), facility={"closed": [2]})
    found = stnopt.verify_plan(planned((5, 0), (5, 0)), problem)
    assert "period 2: the facility is closed" in str(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"production": {("main", "1", "A"): 5.0}}, "stock of A would be -5"),
        ({"production": {("main", "1", "A"): 99.0}}, "exceeds its storage (50)"),
        ({"shipments": {}}, "10 of A is not delivered, nor given up as lost"),
        ({"shipments": {("main", "market", "1", "A"): 12.0}}, "2 more of A arrives"),
    ],
)
def test_a_plan_that_does_not_add_up(changes: dict[str, dict], message: str):
    problem = one_reactor.problem((10, 0), facility={"storage": {"A": 50}})
    parts = {
        "production": {("main", "1", "A"): 10.0},
        "shipments": {("main", "market", "1", "A"): 10.0},
    }
    found = stnopt.verify_plan(stnopt.Plan(**{**parts, **changes}), problem)
    assert any(message in said for said in found.problems)
    assert not found.verified


def test_names_that_the_problem_does_not_have():
    problem = one_reactor.problem((10, 0))
    plan = stnopt.Plan(
        production={("maine", "1", "A"): 1.0, ("main", "9", "C"): 1.0},
        shipments={("main", "moon", "1", "A"): 1.0},
    )
    with pytest.raises(stnopt.InvalidInputError) as refused:
        stnopt.verify_plan(plan, problem)
    for part in ("'maine' (did you mean 'main'?)", "no period '9'", "no product 'C'", "no lane"):
        assert part in str(refused.value)


def test_a_spreadsheet_of_production(tmp_path: Path):
    frame = planned((10, 10), (30, 0)).to_frame()
    frame.to_csv(tmp_path / "plan.csv", index=False)
    assert stnopt.read_production(tmp_path / "plan.csv") == planned((10, 10), (30, 0))
    bad = pd.DataFrame(
        {
            "facility": ["main"] * 3,
            "period": [1, 1, 2],
            "product": ["A"] * 3,
            "amount": [1, 2, "many"],
        }
    )
    with pytest.raises(stnopt.InvalidInputError) as refused:
        stnopt.read_production(bad)
    assert "row 2: main 1 A: given twice" in str(refused.value)
    assert "row 3: amount must be a number, got 'many'" in str(refused.value)


def test_a_plan_is_written_and_read_back():
    problem = one_reactor.problem((10, 10), (30, 0))
    plan = stnopt.complete_plan(planned((20, 10), (20, 0)), problem)
    assert stnopt.Plan.from_json(plan.to_json()) == plan
    with pytest.raises(stnopt.InvalidInputError, match="not a plan in JSON"):
        stnopt.Plan.from_json("{}")


def test_production_that_cannot_be_delivered_is_refused():
    content = one_reactor.document((30, 0))
    del content["lost_cost"], content["backlog_cost"]
    problem = stnopt.read_planning_problem(content)
    with pytest.raises(stnopt.InvalidInputError, match="no deliveries go with this production"):
        stnopt.complete_plan(planned((10, 0)), problem)
