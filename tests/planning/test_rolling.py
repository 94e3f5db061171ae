"""Planning again after a period: the rest of a plan is a plan of the rest."""

from __future__ import annotations

import one_reactor
import pytest

import stnopt


def two_sites() -> stnopt.PlanningProblem:
    return stnopt.read_planning_problem(
        {
            "periods": 4,
            "facilities": {
                "north": {"plant": one_reactor.PLANT, "horizon": 8, "raw_cost": {"RawA": [1] * 4}},
                "south": {"plant": one_reactor.PLANT, "horizon": 8, "stock": {"A": 10}},
            },
            "demand": [
                {"period": t, "product": "A", "customer": "coast", "amount": 10 * t}
                for t in (1, 2, 3, 4)
            ],
            "backlog_cost": 1,
            "lost_cost": 50,
            "lanes": [
                {"from": "north", "to": "south", "lead": 1, "cost": 1},
                {"from": "south", "to": "coast", "lead": 1, "cost": 1},
            ],
        }
    )


def test_the_rest_of_a_plan_is_a_plan_of_the_rest():
    problem = two_sites()
    model = stnopt.build_planning_model(problem)
    stnopt.solve(model)
    plan = stnopt.extract_plan(model, problem)
    rest = stnopt.problem_after(problem, plan, "2")
    assert rest.periods == ("3", "4")
    assert rest.facilities["north"].raw_cost["RawA"] == (1.0, 1.0)
    later = stnopt.Plan(
        production={key: a for key, a in plan.production.items() if key[1] in rest.periods},
        shipments={key: a for key, a in plan.shipments.items() if key[2] in rest.periods},
        lost={key: a for key, a in plan.lost.items() if key[1] in rest.periods},
    )
    assert stnopt.verify_plan(later, rest).problems == ()


def test_what_really_happened_counts():
    problem = one_reactor.problem((10, 10), (10, 10), (10, 10))
    plan = stnopt.complete_plan(
        stnopt.Plan(production={("main", t, p): 10.0 for t in problem.periods for p in "AB"}),
        problem,
    )
    rest = stnopt.problem_after(
        problem, plan, "1", stock={("main", "A"): 4.0}, owed={("market", "B"): 3.0}
    )
    assert rest.facilities["main"].stock["A"] == 4
    assert rest.wanted["market", "2", "B"] == 13
    assert rest.wanted["market", "2", "A"] == 10


@pytest.mark.parametrize(
    ("period", "options", "message"),
    [
        ("3", {}, "none of the periods that another one follows"),
        ("1", {"stock": {("maine", "A"): 1}}, "the problem has no"),
        ("1", {"owed": {("market", "A"): -1}}, "must be at least 0, got -1"),
    ],
)
def test_what_is_refused(period: str, options: dict[str, object], message: str):
    problem = one_reactor.problem((10, 10), (10, 10), (10, 10))
    plan = stnopt.Plan(production={})
    with pytest.raises(stnopt.InvalidInputError, match=message):
        stnopt.problem_after(problem, plan, period, **options)
