"""What `solve_over_region` returns follows from the values in the model, whatever a solver says."""

from __future__ import annotations

import math
from dataclasses import replace

import pyomo.environ as pyo
import pytest
from random_problems import knapsack, random_region, variables_of

from stnopt.embedding import master_problem, solve_over_region
from stnopt.embedding.master_problem import Incumbent, Limits
from stnopt.embedding.region_parts import collect_parts
from stnopt.embedding.search_result import SearchEnd, checked_result
from stnopt.feasibility.region import LinearRegion
from stnopt.solvers.solve import Status, solve

REGION = random_region(11, n=2)


def lying(monkeypatch, change):
    """Let every solve report figures that its values do not have."""
    monkeypatch.setattr(
        master_problem, "solve", lambda *a, **settings: change(solve(*a, **settings))
    )


@pytest.mark.parametrize("sense", ["max", "min"])
def test_the_objective_is_that_of_the_values(monkeypatch, sense):
    honest = knapsack(11, n=2, sense=sense)
    expected = solve_over_region(honest, REGION, variables_of(honest, REGION))
    m = knapsack(11, n=2, sense=sense)
    better = 1.5 if sense == "max" else 0.5

    def change(result):
        return (
            result
            if result.objective is None
            else replace(result, objective=better * result.objective)
        )

    lying(monkeypatch, change)
    result = solve_over_region(m, REGION, variables_of(m, REGION))
    assert result.objective == pytest.approx(pyo.value(m.objective), rel=1e-12)
    assert result.objective == pytest.approx(expected.objective, rel=1e-4)
    assert REGION.contains([[var.value for var in m.x.values()]])[0]


def test_a_bound_that_the_solution_passes_is_left_out(monkeypatch):
    m = knapsack(11, n=2, sense="max")

    def change(result):
        return result if result.bound is None else replace(result, bound=0.3 * result.bound)

    lying(monkeypatch, change)
    result = solve_over_region(m, REGION, variables_of(m, REGION))
    assert result.status is Status.FEASIBLE
    assert result.bound is None
    assert "passed by the solution" in result.message


def test_infeasible_is_not_said_where_a_solution_is_known(monkeypatch):
    m = knapsack(11, n=2, sense="max")
    first = solve_over_region(m, REGION, variables_of(m, REGION))
    calls = []

    def change(result):
        calls.append(1)
        if result.has_solution and len(calls) > 12:  # past the steps of the warm start
            return replace(result, status=Status.INFEASIBLE, objective=None, bound=None)
        return result

    lying(monkeypatch, change)
    again = solve_over_region(m, REGION, variables_of(m, REGION), warm_start=True)
    assert again.status in (Status.OPTIMAL, Status.FEASIBLE)
    assert again.objective == pytest.approx(first.objective, rel=1e-3)


def small_model():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 10), initialize=4.0)
    m.o = pyo.Objective(expr=2 * m.x, sense=pyo.maximize)
    line = LinearRegion(inputs=("A",), weights=[1.0], offset=-5.0, lower=[0], upper=[9])
    choices, _ = collect_parts(((line, {"A": m.x}),), 0.0)
    return m, choices


def result_of(m, choices, *, bound, value=-8.0, reached=False, empty=""):
    end = SearchEnd(bound=bound, n_boxes=3, n_solves=7, empty=empty)
    limits = Limits(relative_gap=1e-4, deadline=None, reached=reached)
    return checked_result(m, choices, [end], Incumbent(value=value), limits, 1.5)


def test_status_bound_and_gap_follow_from_the_values():
    m, choices = small_model()
    closed = result_of(m, choices, bound=-8.0002)
    assert (closed.status, closed.objective) == (Status.OPTIMAL, 8.0)
    assert closed.bound == pytest.approx(8.0002)
    assert (closed.n_nodes, closed.n_solves, closed.wall_time) == (3, 7, 1.5)
    open_ = result_of(m, choices, bound=-9.0, reached=True)
    assert (open_.status, open_.bound, open_.gap) == (Status.FEASIBLE, 9.0, 0.125)
    # the incumbent's own figure does not count
    assert result_of(m, choices, bound=-9.0, value=-8.999).objective == 8.0
    rounding = result_of(m, choices, bound=-7.9999999)
    assert (rounding.status, rounding.bound) == (Status.OPTIMAL, 8.0)


def test_a_point_that_the_region_rejects_is_no_solution():
    m, choices = small_model()
    m.x.set_value(5.5)
    result = result_of(m, choices, bound=-11.0, value=-11.0)
    assert result.status is Status.ERROR
    assert result.objective is None
    assert "reject" in result.message


def test_values_that_break_a_row_are_no_solution():
    m, choices = small_model()
    m.row = pyo.Constraint(expr=m.x <= 3.5)
    result = result_of(m, choices, bound=-8.0)
    assert result.status is Status.ERROR
    assert result.objective is None
    assert "breaks rows" in result.message
    m.row.set_value(m.x <= 3.9999995)  # what a solver's own tolerance lets through
    closed = result_of(m, choices, bound=-8.0)
    assert closed.status is Status.OPTIMAL
    assert 0 < closed.violation < 1e-6


def test_nothing_found_is_infeasible_only_without_a_limit():
    m, choices = small_model()
    found = result_of(m, choices, bound=math.inf, value=None)
    assert found.status is Status.INFEASIBLE
    cut = result_of(m, choices, bound=math.inf, value=None, reached=True)
    assert (cut.status, cut.bound) == (Status.NO_SOLUTION, None)
    seen = result_of(m, choices, bound=math.inf, value=None, reached=True, empty="no point")
    assert (seen.status, seen.message) == (Status.INFEASIBLE, "no point")
    bounded = result_of(m, choices, bound=-9.0, value=None, reached=True)
    assert (bounded.status, bounded.bound) == (Status.NO_SOLUTION, 9.0)
