"""Planning models against plans that are counted by hand, and what is no region for a period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import one_reactor
import pytest

import stnopt
from stnopt.feasibility.refinement import Limit
from stnopt.planning.pieces import contains, outer_pieces, region_pieces
from stnopt.planning.question import period_questions

AMOUNTS = ((12.0, 30.0), (18.0, 5.0))


def solved(problem: stnopt.PlanningProblem, **options: object) -> float:
    model = stnopt.build_planning_model(problem, **options)
    result = stnopt.solve(model, relative_gap=1e-6)
    assert result.status is stnopt.Status.OPTIMAL
    stnopt.extract_plan(model, problem)
    return result.objective


def test_pieces_hold_what_a_region_labels(staircase: stnopt.CertifiedRegion):
    inner = region_pieces(staircase, ["A", "B"])
    outer = outer_pieces(staircase.limits, staircase.upper)
    points = np.random.default_rng(3).random((400, 2)) * 44
    for point, label in zip(points, staircase.label(points), strict=True):
        by_hand = -(-point[0] // 10) + -(-point[1] // 10) <= 4
        assert contains(inner, point, 1e-7) == (label == -1) == by_hand
        # an outer piece may hold a little more than is open, for fewer pieces
        assert contains(outer, point, 1e-7) or label == 1
        if label == 1 and contains(outer, point, 1e-7):
            assert contains(outer, point - 0.02, 1e-7)
            assert staircase.label([point - 0.02])[0] == -1


def test_outer_pieces_of_one_product():
    limits = [Limit(lower=(0.0,), weights=(2.0,), bound=14.0)]
    assert outer_pieces(limits, np.array([9.0]))[0].tolist() == [[7.0]]


def test_sums_alone_bound_a_plan_and_a_region_is_nearer(staircase: stnopt.CertifiedRegion):
    problem = one_reactor.problem(*AMOUNTS)
    exact = one_reactor.cheapest(*AMOUNTS)
    sums = solved(problem)
    inner = solved(problem, regions={"main": staircase})
    outer = solved(problem, regions={"main": staircase}, form="outer")
    assert sums <= outer + 1e-6 <= inner + 2e-6
    # what the region leaves out is fixed costs alone: the model bounds them by sums
    assert inner <= exact + 1e-6


def test_stock_lanes_and_leads_balance():
    plant = one_reactor.PLANT
    problem = stnopt.read_planning_problem(
        {
            "periods": 3,
            "facilities": {
                "north": {"plant": plant, "horizon": 8},
                "south": {"plant": plant, "horizon": 8, "closed": [1, 2, 3]},
            },
            "demand": [
                {"period": t, "product": "A", "customer": "coast", "amount": 10} for t in (1, 2, 3)
            ],
            "lost_cost": 100,
            "lanes": [
                {"from": "north", "to": "south", "lead": 1, "cost": 1, "capacity": 15},
                {"from": "south", "to": "coast", "cost": 2},
            ],
        }
    )
    model = stnopt.build_planning_model(problem)
    result = stnopt.solve(model)
    plan = stnopt.extract_plan(model, problem)
    # period 1 cannot be served: what leaves the north then arrives in period 2
    assert plan.lost == {("coast", "1", "A"): pytest.approx(10)}
    assert plan.shipments["north", "south", "1", "A"] == pytest.approx(10)
    assert plan.shipments["north", "south", "2", "A"] == pytest.approx(10)
    # raw material 20, six tenths of a batch's cost per amount is 3/10, lanes 1 + 2
    assert result.objective == pytest.approx(1000 + 20 * (1 + 0.3 + 1 + 2))


def test_regions_that_do_not_fit_are_refused(staircase: stnopt.CertifiedRegion):
    problem = one_reactor.problem(*AMOUNTS)

    def refused(regions: dict[str, object], message: str) -> None:
        with pytest.raises(stnopt.InvalidInputError, match=message):
            stnopt.build_planning_model(problem, regions=regions)

    scope = dict(staircase.scope)
    refused({"moon": staircase}, "there is no facility 'moon'")
    refused({"main": 3}, "expected a certified, linear or kernel region, got int")
    refused({"main": replace(staircase, scope={**scope, "fingerprint": "0" * 64})}, "another plant")
    refused({"main": replace(staircase, scope={**scope, "horizon": 9.0})}, "for the horizon 9")
    refused({"main": [staircase, replace(staircase, scope={**scope, "horizon": 9.0})]}, "number 2")
    line = stnopt.LinearRegion(
        inputs=("A", "B"),
        weights=np.ones(2),
        offset=-30.0,
        lower=np.zeros(2),
        upper=np.full(2, np.inf),
    )
    refused({"main": line}, "would extrapolate")
    one = replace(line, inputs=("A",), weights=np.ones(1), lower=np.zeros(1), upper=np.ones(1))
    refused({"main": one}, "says nothing of B")


def test_a_period_with_another_plant_needs_its_own_region(staircase: stnopt.CertifiedRegion):
    problem = one_reactor.problem(*AMOUNTS, facility={"supply": {"RawA": [99, 12]}})
    with pytest.raises(stnopt.InvalidInputError, match=r"none holds for period 1: .*another plant"):
        stnopt.build_planning_model(problem, regions={"main": staircase})
    regions = stnopt.trace_regions(problem)
    assert len(regions["main"]) == 2
    stnopt.build_planning_model(problem, regions=regions)


def test_a_learned_region_limits_production():
    line = stnopt.LinearRegion(
        inputs=("A", "B"),
        weights=np.ones(2),
        offset=-20.0,
        lower=np.array([2.0, 0.0]),
        upper=np.full(2, 40.0),
    )
    problem = one_reactor.problem((0, 50))
    model = stnopt.build_planning_model(problem, regions={"main": line})
    stnopt.solve(model)
    plan = stnopt.extract_plan(model, problem)
    # it was learned from 2 of A on: 18 of B beside that
    assert plan.production["main", "1", "B"] == pytest.approx(18)


def test_every_question_names_its_products():
    problem = one_reactor.problem((1, 1))
    (question,) = period_questions(problem).values()
    assert question.products == ("A", "B")
    assert question.targets([0.0, 3.0]) == {"B": 3.0}
