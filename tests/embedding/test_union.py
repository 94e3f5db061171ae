"""A class of several inside a model, against `predict` itself on a grid."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from sklearn.svm import SVC

import stnopt as so
from stnopt.errors import UnsupportedModelError
from stnopt.solvers.solve import Status

CLASSES = ("first", "second", "third")


def in_circles(**settings):
    """Three classes along a spiral; where the classifier knows little the duels go in a circle."""
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi, 90)
    radius = rng.uniform(5, 45, 90)
    points = 50 + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    sector = ((angle + 0.05 * radius) // (2 * np.pi / 3)).astype(int) % 3
    return SVC(gamma=3.0 / 600, C=0.5, **settings).fit(points, np.array(CLASSES)[sector])


def corner_model(slope):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 100))
    m.lot = pyo.Var(domain=pyo.NonNegativeIntegers, bounds=(0, 40))
    m.lots = pyo.Constraint(expr=m.x["A"] == 2.5 * m.lot)
    m.objective = pyo.Objective(expr=slope[0] * m.x["A"] + slope[1] * m.x["B"])
    return m, {"A": m.x["A"], "B": m.x["B"]}


def grid_best(fitted, chosen, slope):
    """Least value on the lines that the lots allow, a fine grid of B, where `chosen` is given."""
    points = np.stack(np.meshgrid(2.5 * np.arange(41), np.linspace(0, 100, 2001)), axis=-1)
    points = points.reshape(-1, 2)
    inside = points[fitted.predict(points) == chosen]
    return float((inside @ slope).min()), np.abs(slope[1]) * 100 / 2000


@pytest.mark.parametrize(
    ("chosen", "break_ties"),
    [
        ("first", True),
        ("second", False),
        pytest.param("first", False, marks=pytest.mark.long),
        pytest.param("third", True, marks=pytest.mark.long),
    ],
)
def test_optimum_over_a_class(chosen, break_ties):
    fitted = in_circles(break_ties=break_ties)
    region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
    duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
    gained = 0
    for slope in np.array([[1.0, 0.6], [-0.4, 1.0], [-1.0, -0.8]]):
        m, inputs = corner_model(slope)
        result = so.solve_over_region(m, region, inputs)
        assert result.status is Status.OPTIMAL
        at = np.array([[m.x["A"].value, m.x["B"].value]])
        assert region.decision(at)[0] <= 0
        assert result.objective == pytest.approx(float(at[0] @ slope), abs=1e-6)
        best, step = grid_best(fitted, chosen, slope)
        assert result.bound <= best + 1e-6
        assert result.objective >= best - step - 1e-4 * abs(best)
        m, inputs = corner_model(slope)
        plain = so.solve_over_region(m, *[(duel, inputs) for duel in duels])
        gained += plain.status is Status.INFEASIBLE or plain.objective > result.objective + 0.01
    if chosen != "second":
        assert gained > 0  # circles matter here, else they would not be tested


@pytest.mark.parametrize(
    ("form", "transformation"),
    [
        ("inner", "hull"),
        pytest.param("outer", "bigm", marks=pytest.mark.long),
        pytest.param("inner", "bigm", marks=pytest.mark.long),
        pytest.param("outer", "hull", marks=pytest.mark.long),
    ],
)
def test_pieces_of_a_class(form, transformation):
    fitted = in_circles()
    region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class="first")
    m, inputs = corner_model([1.0, 0.6])
    added = so.add_region_constraint(
        m, region, inputs, form=form, tolerance=0.1, transformation=transformation
    )
    rng = np.random.default_rng(0)
    decisions = []
    for point in rng.uniform(0, 100, (25, 2)):
        m.lot.fix(round(point[0] / 2.5))
        m.x["B"].fix(point[1])
        admitted = so.solve(m).has_solution
        decision = region.decision([[2.5 * m.lot.value, point[1]]])[0]
        decisions.append(decision)
        if form == "inner":
            assert not (admitted and decision > 0)
            assert admitted or decision > -0.1
        else:
            assert admitted or decision > 0
            assert not (admitted and decision > 0.1)
        if admitted:
            assert added.violation() <= (0.0 if form == "inner" else 0.1)
    assert min(decisions) < 0 < max(decisions)


@pytest.mark.parametrize("form", ["algebraic", "split"])
def test_algebra_of_a_class_admits_what_is_predicted(form):
    fitted = in_circles()
    region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class="first")
    m, inputs = corner_model([1.0, 0.6])
    block = so.add_region_constraint(m, region, inputs, form=form).block
    points = np.random.default_rng(0).uniform(0, 100, (60, 2))
    for point, given in zip(points, fitted.predict(points) == "first", strict=True):
        m.x["A"].value, m.x["B"].value = point
        for rows in block.component_objects(pyo.Constraint, descend_into=True):
            if rows.local_name == "kernel_value":
                kernels = rows.parent_block().kernel
                for i, row in rows.items():
                    kernels[i].value = 0.0
                    kernels[i].value = -pyo.value(row.body)
        admits = False
        for a in block.chosen:
            for other in block.chosen:
                block.chosen[other].value = float(other == a)
            admits |= all(
                pyo.value(row.body) <= pyo.value(row.upper) + 1e-9
                for row in block.component_data_objects(pyo.Constraint)
                if row.parent_component().local_name == "inside_region"
            )
        assert admits == given


def test_a_line_in_a_union_is_left_out_where_it_is_not_needed():
    """Two half-planes and a circle: (A <= 20) or (A >= 80 and the circle)."""
    box = {"inputs": ("A", "B"), "lower": [0, 0], "upper": [100, 100]}
    low = so.LinearRegion(weights=[1.0, 0.0], offset=-20.0, **box)
    high = so.LinearRegion(weights=[-1.0, 0.0], offset=80.0, **box)
    circle = so.KernelRegion(
        kernel="rbf", support_vectors=[[90.0, 50.0]], dual_coefs=[-1.0], offset=np.exp(-0.25),
        gamma=0.01, **box,
    )  # fmt: skip
    union = so.UnionRegion(alternatives=((low,), (high, circle)))
    found = {}
    for sense, sign in (("left", 1.0), ("right", -1.0)):
        m, inputs = corner_model([sign, 0.0])
        found[sense] = so.solve_over_region(m, union, inputs).objective
        for form in ("inner", "outer"):
            m, inputs = corner_model([sign, 0.0])
            so.add_region_constraint(m, union, inputs, form=form)
            assert so.solve(m).objective == pytest.approx(found[sense], abs=2.6)
    assert found["left"] == pytest.approx(0)
    assert found["right"] == pytest.approx(-95)  # 5 beyond the center, at a whole lot


def test_an_alternative_that_one_region_leaves_empty_is_no_way_out():
    box = {"inputs": ("A", "B"), "lower": [0, 0], "upper": [100, 100]}
    low = so.LinearRegion(weights=[1.0, 0.0], offset=-20.0, **box)
    nowhere = so.KernelRegion(
        kernel="rbf", support_vectors=[[90.0, 50.0]], dual_coefs=[-1.0], offset=2.0, gamma=0.01,
        **box,
    )  # fmt: skip
    m, inputs = corner_model([1.0, 0.6])
    with pytest.warns(UserWarning, match="no alternative has a point"):
        so.add_region_constraint(
            m, so.UnionRegion(alternatives=((low, nowhere),)), inputs, form="outer"
        )
    assert so.solve(m).status is Status.INFEASIBLE


def test_unions_that_hold_nowhere_or_are_too_many():
    fitted = in_circles()
    region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class="first")
    m, inputs = corner_model([1.0, 0.6])
    assert so.solve_over_region(m, region, inputs, margin=50.0).status is Status.INFEASIBLE
    with pytest.warns(UserWarning, match="no alternative has a point"):
        so.add_region_constraint(m, region, inputs, form="inner", margin=50.0)
    assert so.solve(m).status is Status.INFEASIBLE
    with pytest.raises(UnsupportedModelError, match="243 alternatives, 64 is the most"):
        so.solve_over_region(m, *[(region, inputs)] * 5)
    block = so.add_region_constraint(m, region, inputs)
    with pytest.raises(UnsupportedModelError, match="the block of a union"):
        so.solve_over_region(m, block)
