"""Batches that run over a period's end: what is gained, what is bounded, what is refused."""

from __future__ import annotations

from typing import Any

import one_reactor
import pytest

import stnopt


def seven_hours(carry_over: bool, **facility: Any) -> stnopt.PlanningProblem:
    """Three batches of two hours fit into 7 h, seven into 14, ten into 21."""
    content = one_reactor.document((30, 0), (40, 0), (30, 0), facility={"horizon": 7, **facility})
    del content["backlog_cost"]
    content["demand"] = [row for row in content["demand"] if row["product"] == "A"]
    return stnopt.read_planning_problem({**content, "carry_over": carry_over})


def test_a_batch_that_runs_over_the_end_is_one_more():
    apart = stnopt.find_plan(seven_hours(carry_over=False))
    # 90 of 100 are made in nine batches, 10 are lost: whenever they are
    assert apart.cost == pytest.approx(90 + 27 + 300, rel=1e-4)
    together = stnopt.find_plan(seven_hours(carry_over=True))
    exact = 100 + 30  # ten batches, nothing lost, nothing held
    assert together.verified
    assert together.cost == pytest.approx(exact, rel=1e-4)
    assert together.bound <= exact * (1 + 1e-6)
    (check,) = together.verification.checks
    assert check.period == "1 to 3"
    network = seven_hours(carry_over=True).facilities["main"].network
    assert stnopt.find_violations(check.schedule, network) == []
    by_end = {d.time: d.amount for d in check.schedule.deliveries}
    assert by_end == {7: pytest.approx(30), 14: pytest.approx(40), 21: pytest.approx(30)}


def test_anyones_plan_is_scheduled_in_one():
    problem = seven_hours(carry_over=True)
    for last, holds in ((30.0, True), (40.0, False)):  # ten batches fit into 21 h, not eleven
        amounts = (30.0, 40.0, last)
        plan = stnopt.Plan(
            production={("main", t, "A"): a for t, a in zip("123", amounts, strict=True)},
            shipments={
                ("main", "market", t, "A"): a for t, a in zip("123", (30, 40, 30), strict=True)
            },
        )
        found = stnopt.verify_plan(plan, problem)
        assert found.verified is holds
        assert found.problems == ()
    assert "no schedule" in str(found)


@pytest.mark.long
def test_it_is_never_dearer():
    problem = one_reactor.problem((10, 20), (30, 5), carry_over=True)
    without = one_reactor.problem((10, 20), (30, 5))
    together, apart = stnopt.find_plan(problem), stnopt.find_plan(without)
    assert together.cost <= apart.cost * (1 + 1e-6)
    assert together.bound <= together.cost * (1 + 1e-6)


@pytest.mark.parametrize(
    ("facility", "message"),
    [
        ({"closed": [2]}, "closed periods are not handled"),
        ({"supply": {"RawA": 9}}, "supply per period is not handled"),
        ({"raw_cost": {"RawA": [1, 2, 3]}}, "raw_cost must be one number"),
        ({"plants": {"2": one_reactor.PLANT}}, "plants of single periods are not handled"),
    ],
)
def test_what_is_refused_by_name(facility: dict[str, Any], message: str):
    with pytest.raises(stnopt.InvalidInputError, match=message):
        stnopt.find_plan(seven_hours(carry_over=True, **facility))


def test_a_demand_that_only_carrying_over_meets():
    def all_of_it(carry_over: bool) -> stnopt.PlanSearch:
        content = one_reactor.document((30, 0), (40, 0), (30, 0), facility={"horizon": 7})
        del content["backlog_cost"], content["lost_cost"]
        content["demand"] = [row for row in content["demand"] if row["product"] == "A"]
        problem = stnopt.read_planning_problem({**content, "carry_over": carry_over})
        return stnopt.find_plan(problem)

    assert all_of_it(carry_over=False).stopped == "infeasible"
    together = all_of_it(carry_over=True)
    assert together.verified
    assert together.cost == pytest.approx(100 + 30, rel=1e-4)


def test_what_no_period_can_deliver_in_time_comes_late():
    """Ten whole batches are wanted; the first two periods' demands take four and eight, not 3, 7.

    Sums and totals allow both, so that what is wished for there is no schedule's.
    """
    content = one_reactor.document((15, 15), (20, 20), (15, 15), facility={"horizon": 7})
    del content["lost_cost"]
    apart = stnopt.find_plan(stnopt.read_planning_problem(content))
    assert apart.stopped == "infeasible"  # nine batches in three periods
    problem = stnopt.read_planning_problem({**content, "carry_over": True})
    together = stnopt.find_plan(problem, period_limit=8)
    assert together.verified
    late = one_reactor.document((15, 15), (20, 20), (15, 15))["backlog_cost"]
    # at least 5 of one product are late in each of the first two periods
    assert together.cost >= 150 + 30 + 2 * 5 * late - 1e-3
    assert together.cost <= 150 + 30 + 4 * 5 * late + 1e-3
    assert together.bound <= together.cost * (1 + 1e-6)


def test_scrapping_between_periods_is_not_bounded_away():
    """Each period fills the waste store; emptied at its end, the next one makes as much again."""
    plant = {
        "name": "waste",
        "states": {"Raw": {"initial": "unlimited", "cost": 1}, "A": {}, "Waste": {"capacity": 10}},
        "tasks": {
            "Make": {
                "consumes": {"Raw": 1},
                "produces": {"A": 0.5, "Waste": 0.5},
                "units": {"Reactor": {"max_batch": 10, "fixed_time": 2}},
            }
        },
    }
    content = {
        "periods": 4,
        "facilities": {"main": {"plant": plant, "horizon": 4}},
        "demand": [{"period": t, "product": "A", "amount": 10} for t in range(1, 5)],
        "lost_cost": 30,
        "carry_over": True,
    }
    found = stnopt.find_plan(stnopt.read_planning_problem(content))
    assert found.cost == pytest.approx(80, rel=1e-4)  # 40 of A from 80, nothing lost
    assert found.bound <= 80 * (1 + 1e-6)


def test_a_demand_beyond_all_prefixes_is_infeasible():
    content = one_reactor.document((40, 0), (0, 0), facility={"horizon": 7})
    del content["lost_cost"], content["backlog_cost"]
    found = stnopt.find_plan(stnopt.read_planning_problem({**content, "carry_over": True}))
    assert (found.plan, found.cost, found.stopped) == (None, None, "infeasible")
