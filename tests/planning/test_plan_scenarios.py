"""Production before demand is known, against plans counted by hand."""

from __future__ import annotations

import one_reactor
import pytest

import stnopt

LOW, HIGH = ((10.0, 0.0), (10.0, 0.0)), ((10.0, 0.0), (40.0, 0.0))


def scenario(name: str, amounts: tuple[tuple[float, float], ...], share: float = 1.0):
    rows = one_reactor.problem(*amounts).demand
    return stnopt.Scenario(name=name, demand=rows, probability=share)


def least(measure: str, shares: tuple[float, float], tail: float = 0.1) -> float:
    """Cost of the best production of A, tried batch by batch: it pays at full batches.

    A batch of 10 costs 13; an A that is missing costs 30, one that is left costs 0.1 a period.
    """
    best = float("inf")
    for first in range(5):
        for second in range(5):
            made = 13 * (first + second)
            costs = []
            for wanted in (10, 10), (10, 40):
                left = 10 * first - wanted[0]
                cost = 0.1 * max(left, 0) + 30 * max(-left, 0)
                left = max(left, 0) + 10 * second - wanted[1]
                costs.append(cost + 0.1 * max(left, 0) + 30 * max(-left, 0))
            worst, mean = max(costs), sum(c * s for c, s in zip(costs, shares, strict=True))
            share = shares[costs.index(worst)]
            cvar = worst if share >= tail else None
            value = {"expected": mean, "worst": worst, "cvar": cvar}[measure]
            best = min(best, made + value)
    return best


@pytest.mark.parametrize(
    ("measure", "shares"),
    [
        ("expected", (0.5, 0.5)),
        ("expected", (0.99, 0.01)),
        ("worst", (0.99, 0.01)),
        ("cvar", (0.5, 0.5)),  # the dearer scenario fills the tail: counted by hand only then
    ],
)
def test_a_two_stage_plan(measure: str, shares: tuple[float, float]):
    content = one_reactor.document(*LOW)
    del content["backlog_cost"]
    problem = stnopt.read_planning_problem(content)
    scenarios = [scenario("low", LOW, shares[0]), scenario("high", HIGH, shares[1])]
    found = stnopt.plan_scenarios(problem, scenarios, measure=measure)
    exact = least(measure, shares)
    assert found.search.verified
    assert found.search.cost == pytest.approx(exact, rel=5e-3)
    assert found.search.bound <= exact * (1 + 1e-6)
    production = {plan.production for plan in found.plans.values()}
    assert len(production) == 1
    if measure == "worst":
        assert found.search.cost == pytest.approx(max(found.costs.values()), rel=1e-6)


@pytest.mark.long
def test_workers_do_not_change_the_plan():
    problem = one_reactor.problem(*LOW)
    scenarios = [scenario(str(i), ((10.0, 0.0), (3.0 * i, 5.0))) for i in range(6)]
    one = stnopt.plan_scenarios(problem, scenarios, n_jobs=1)
    two = stnopt.plan_scenarios(problem, scenarios, n_jobs=2)
    assert one.search.plan == two.search.plan
    assert one.costs == two.costs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenarios": []}, "give at least one"),
        ({"measure": "best"}, "measure: expected one of 'expected', 'worst', 'cvar'"),
        ({"tail": 0}, "tail: expected a number in"),
        ({"scenarios": [scenario("a", LOW)] * 2}, "'a' is there more than once"),
        (
            {"scenarios": [stnopt.Scenario(name="a", demand=(stnopt.Demand("1", "A", 1.0),))]},
            "it demands A, the problem A, B",
        ),
    ],
)
def test_what_is_no_scenario(changes: dict[str, object], message: str):
    options = {"scenarios": [scenario("a", LOW)], **changes}
    with pytest.raises(stnopt.InvalidInputError, match=message):
        stnopt.plan_scenarios(one_reactor.problem(*LOW), **options)
