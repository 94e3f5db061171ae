"""The region's algebra in a model against the classifier's own decision_function."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from stnopt.embedding import RegionBlock, add_region_constraint
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.solvers.solve import solve

INPUTS = ("A", "B", "C")


def fitted_pair(kernel, *, scaled, **settings):
    """An SVC on two classes of points in [0, 50]^3, and the region with its arrays."""
    rng = np.random.default_rng(7)
    points = rng.uniform(0, 50, (80, 3))
    labels = np.where(points @ [1.0, 0.5, 0.2] + 0.02 * points[:, 0] * points[:, 1] < 50, -1, 1)
    center, scale = np.zeros(3), np.ones(3)
    if scaled:
        scaler = StandardScaler().fit(points)
        center, scale = scaler.mean_, scaler.scale_
    estimator = SVC(kernel=kernel, **settings).fit((points - center) / scale, labels)
    box = {"lower": points.min(axis=0), "upper": points.max(axis=0)}
    if kernel == "linear":
        weights = estimator.coef_[0] / scale
        offset = estimator.intercept_[0] - weights @ center
        region = LinearRegion(inputs=INPUTS, weights=weights, offset=offset, **box)
    else:
        region = KernelRegion(
            inputs=INPUTS,
            kernel=kernel,
            support_vectors=estimator.support_vectors_,
            dual_coefs=estimator.dual_coef_[0],
            offset=estimator.intercept_[0],
            gamma=estimator._gamma,
            coef0=settings.get("coef0", 0.0),
            degree=settings.get("degree", 3),
            center=center,
            scale=scale,
            **box,
        )
    return region, lambda x: estimator.decision_function((x - center) / scale)


def model_with_inputs(**bounds):
    m = pyo.ConcreteModel()
    for name in INPUTS:
        setattr(m, name, pyo.Var(bounds=bounds.get(name, (0, 50))))
    return m, {name: m.component(name) for name in INPUTS}


CASES = {
    "linear": {"kernel": "linear", "C": 3.0},
    "rbf": {"kernel": "rbf", "C": 10.0},
    "rbf with class weights": {"kernel": "rbf", "class_weight": {-1: 1, 1: 4}},
    "poly of degree 2": {"kernel": "poly", "degree": 2, "coef0": 1.5},
    "poly of degree 3 without coef0": {"kernel": "poly", "degree": 3},
    "sigmoid": {"kernel": "sigmoid", "coef0": -0.3},
}


@pytest.mark.parametrize("form", ["algebraic", "split"])
@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "raw"])
@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_expression_equals_decision_function(settings, scaled, form):
    if not scaled:  # scikit-learn's own default would give raw powers of 50^6
        settings = {"gamma": 1e-3, **settings}
    region, decision_function = fitted_pair(scaled=scaled, **settings)
    m, variables = model_with_inputs()
    added = add_region_constraint(m, region, variables, form=form)
    points = np.random.default_rng(3).uniform(0, 50, (30, 3))
    for point, expected in zip(points, decision_function(points), strict=True):
        for var, x in zip(variables.values(), point, strict=True):
            var.set_value(x)
        if form == "split" and isinstance(region, KernelRegion):
            for i in added.block.VECTORS:  # as a solver would satisfy kernel[i] == K(v_i, x)
                kernel = added.block.kernel[i]
                kernel.set_value(0.0)
                kernel.set_value(-pyo.value(added.block.kernel_value[i].body))
                assert kernel.lb - 1e-9 <= kernel.value <= kernel.ub + 1e-9
        assert added.decision_value() == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert abs(added.distance()) <= 1e-9 * max(1.0, abs(expected))


def test_constraint_is_decision_at_most_minus_margin():
    region, decision_function = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs()
    added = add_region_constraint(m, region, variables, margin=0.25)
    for var, x in zip(variables.values(), (10.0, 20.0, 30.0), strict=True):
        var.set_value(x)
    row = added.block.inside_region
    expected = decision_function(np.array([[10.0, 20.0, 30.0]]))[0]
    assert pyo.value(row.body) - pyo.value(row.upper) == pytest.approx(expected + 0.25, abs=1e-9)
    assert row.lower is None


def test_linear_region_is_one_row_and_stays_milp():
    region = LinearRegion(
        inputs=("A", "B"), weights=[1.0, 2.0], offset=-10.0, lower=[0, 0], upper=[9, 9]
    )
    m = pyo.ConcreteModel()
    m.a, m.b = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None), domain=pyo.Integers)
    added = add_region_constraint(m, region, {"A": m.a, "B": m.b}, margin=1.0)
    assert len(list(m.component_data_objects(pyo.Constraint))) == 1
    m.value = pyo.Objective(expr=m.a + 3 * m.b, sense=pyo.maximize)
    assert solve(m).objective == pytest.approx(13.0)  # b = 4, a = 1
    assert added.decision_value() == pytest.approx(-1.0)


def test_expression_gets_a_bounded_variable():
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs(A=(0, 20))
    m.double = pyo.Expression(expr=2 * variables["A"] + 1)
    added = add_region_constraint(m, region, {**variables, "A": m.double})
    inner = added.inputs["A"]
    assert inner.is_variable_type()
    assert inner.bounds == (1, 41)
    variables["A"].set_value(7.0)
    row = added.block.input_value["A"]
    for value, off in ((15.0, 0.0), (16.0, 1.0)):
        inner.set_value(value)
        assert pyo.value(row.body) - pyo.value(row.upper) == pytest.approx(off)
    assert added.inputs["B"] is variables["B"]


def test_missing_bounds_come_from_the_training_box():
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs(A=(None, None), B=(2, None))
    added = add_region_constraint(m, region, variables)
    assert added.bounds["A"] == (region.lower[0], region.upper[0])
    assert added.bounds["B"] == (2, region.upper[1])
    assert added.bounds["C"] == (0, 50)
    assert set(added.block.training_box) == {"A", "B"}
    assert variables["A"].bounds == (None, None)  # the user's variable is left alone


def test_blocks_get_names_of_their_own():
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs()
    m.region = pyo.Param(initialize=1)
    names = {add_region_constraint(m, region, variables).block.name for _ in range(2)}
    assert len(names) == 2
    m.sub = pyo.Block()
    added = add_region_constraint(m.sub, region, variables)
    assert added.block.parent_block() is m.sub
    assert isinstance(added, RegionBlock)


def unbounded_region():
    return KernelRegion(
        inputs=("A",),
        kernel="rbf",
        support_vectors=[[0.0]],
        dual_coefs=[-1.0],
        offset=0.5,
        gamma=1.0,
        lower=[-np.inf],
        upper=[np.inf],
    )


def nonlinear_input(m, variables):
    return {**variables, "B": variables["A"] * variables["B"]}


def indexed_input(m, variables):
    m.x = pyo.Var([1, 2])
    return {**variables, "B": m.x}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m, v: {"A": v["A"], "B": v["B"], "D": v["C"]},
            InvalidInputError,
            r"\['A', 'B', 'C'\].*\['A', 'B', 'D'\].*missing \['C'\], unknown \['D'\]",
        ),
        (lambda m, v: list(v.values()), InvalidInputError, "expected a mapping"),
        (lambda m, v: {**v, "B": 3.0}, InvalidInputError, "input 'B'.*got 3.0"),
        (lambda m, v: {**v, "B": "x"}, InvalidInputError, "input 'B'.*got 'x'"),
        (indexed_input, InvalidInputError, r"input 'B'.*indexed.*x\["),
        (nonlinear_input, UnsupportedModelError, "input 'B'.*nonlinear"),
    ],
)
def test_refused_variables(change, error, message):
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs()
    before = set(m.component_map())
    changed = change(m, variables)
    before |= {"x"} & set(m.component_map())
    with pytest.raises(error, match=message):
        add_region_constraint(m, region, changed)
    assert set(m.component_map()) == before  # nothing half-written


def test_refused_settings():
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs()
    with pytest.raises(UnsupportedModelError, match=r"'algebraic', 'split', 'inner', 'outer'"):
        add_region_constraint(m, region, variables, form="convex")
    for margin in (-0.1, float("nan"), "wide"):
        with pytest.raises(InvalidInputError, match="margin"):
            add_region_constraint(m, region, variables, margin=margin)
    with pytest.raises(UnsupportedModelError, match="region_from_sklearn"):
        add_region_constraint(m, SVC(), variables)
    m.free = pyo.Var()
    with pytest.raises(
        InvalidInputError, match=r"input 'A' has no finite bounds.*set bounds on free"
    ):
        add_region_constraint(m, unbounded_region(), {"A": m.free})
    m.far = pyo.Var(bounds=(90, None))
    with pytest.raises(InvalidInputError, match=r"input 'A'.*do not meet"):
        add_region_constraint(m, region, {**variables, "A": m.far})


def test_distance_needs_values():
    region, _ = fitted_pair("rbf", scaled=True)
    m, variables = model_with_inputs()
    added = add_region_constraint(m, region, variables)
    with pytest.raises(InvalidInputError, match="no value yet"):
        added.distance()
