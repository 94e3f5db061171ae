"""Every kernel of the registry through every door, and the Laplacian end to end."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import pairwise
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM

import stnopt as so
from stnopt.feasibility.kernels.laplacian import LaplacianKernel
from stnopt.feasibility.kernels.registry import KERNEL_CLASSES, KERNELS

RNG = np.random.default_rng(3)
POINTS = RNG.uniform(0, 100, (160, 2))
LABELS = np.where(np.abs(POINTS - [60, 40]).sum(axis=1) + 8 * np.sin(POINTS[:, 0] / 7) < 45, -1, 1)
PROBE = RNG.uniform(-20, 120, (300, 2))
PARTIAL = partial(pairwise.laplacian_kernel, gamma=0.7)


def kernel(name: str, gamma: float = 0.4):
    return KERNEL_CLASSES[name](gamma=gamma, coef0=0.3, degree=3)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_the_function_of_scikit_learn(name):
    ours = kernel(name)
    function = getattr(pairwise, type(ours).pairwise)
    own = {"coef0": 0.3, "degree": 3} if name == "poly" else {}
    own |= {"coef0": 0.3} if name == "sigmoid" else {}
    x, v = RNG.normal(size=(40, 3)), RNG.normal(size=(7, 3))
    np.testing.assert_allclose(ours(x, v), function(x, v, gamma=0.4, **own), rtol=1e-12)


def exact(value: float, *, signed: bool = False) -> str:
    return f"{value:+.17g}" if signed else f"{value:.17g}"


@pytest.mark.parametrize("name", KERNELS)
def test_expression_and_text_have_the_kernel_s_value(name):
    ours = kernel(name)
    x, v = RNG.normal(size=(20, 3)), RNG.normal(size=3)
    expected = ours.values(x, v[None])[:, 0]
    for point, value in zip(x, expected, strict=True):
        assert ours.expression(v, point, np) == pytest.approx(value, rel=1e-12)
        text = ours.text(v, ["a", "b", "c"], exact)
        known = {"exp": math.exp, "tanh": math.tanh, **dict(zip("abc", point, strict=True))}
        assert eval(text, known) == pytest.approx(value, rel=1e-9)


@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(KERNELS),
    n=st.integers(1, 3),
    log_gamma=st.floats(-2, 2),
    log_radius=st.floats(-3, 1),
)
def test_ranges_hold_at_sampled_points(seed, name, n, log_gamma, log_radius):
    rng = np.random.default_rng(seed)
    ours = kernel(name, 10**log_gamma)
    center, vectors = rng.normal(size=(6, n)), rng.normal(size=(9, n))
    radius = 10**log_radius * rng.uniform(0, 1, (6, n))
    low, high = ours.ranges(center, radius, vectors)
    for share in (*rng.uniform(-1, 1, (30, 6, n)), *rng.choice([-1.0, 0.0, 1.0], (20, 6, n))):
        values = ours.values(center + share * radius, vectors)
        slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
        assert (low - slack <= values).all()
        assert (values <= high + slack).all()


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 3),
    log_gamma=st.floats(-2, 2),
    log_radius=st.floats(-4, 1),
    on_a_kink=st.booleans(),
)
def test_bounds_of_a_laplacian_sum_hold_on_a_dense_grid(seed, n, log_gamma, log_radius, on_a_kink):
    rng = np.random.default_rng(seed)
    ours = LaplacianKernel(gamma=10**log_gamma)
    vectors, coefs = rng.normal(size=(12, n)), rng.normal(size=12) * 10
    center = vectors[:4].copy() if on_a_kink else rng.normal(size=(4, n))
    center += on_a_kink * rng.choice([0.0, 1e-3], (4, n))
    radius = 10**log_radius * rng.uniform(0.1, 1, (4, n))
    bounds = ours.bound_sum(center, radius, vectors, coefs)
    axes = np.linspace(-1, 1, {1: 401, 2: 41, 3: 13}[n])
    rounding = 1e-12 * bounds.size
    shares = np.array(np.meshgrid(*[axes] * n)).reshape(n, -1).T[:, None]
    points = (center + shares * radius).reshape(-1, n)
    values = (ours.values(points, vectors) @ coefs).reshape(len(shares), -1)
    line = bounds.value + (bounds.slope * shares * radius).sum(axis=-1)
    assert (bounds.low - rounding <= values).all()
    assert (values <= bounds.high + rounding).all()
    assert (bounds.below - rounding <= values - line).all()
    assert (values - line <= bounds.above + rounding).all()


def test_laplacian_bounds_are_sharp_where_it_is_smooth_and_shrink_at_a_kink():
    """Away from kinks with the third power of the box (after its curvature), at one linearly."""
    ours = LaplacianKernel(gamma=1.0)
    vectors, coefs = np.zeros((1, 2)), np.ones(1)
    for center, power in (([1.0, 1.0], 2), ([0.0, 1.0], 1)):
        spans = []
        for radius in (0.1, 0.01):
            found = ours.bound_sum(np.array([center]), np.full((1, 2), radius), vectors, coefs)
            spans.append(float((found.above - found.below)[0]))
        assert spans[1] == pytest.approx(spans[0] / 10**power, rel=0.5)


# --- scikit-learn's doors -------------------------------------------------------------------------


def assert_same(found, expected):
    assert np.max(np.abs(found - expected)) <= 1e-9 * max(1.0, np.max(np.abs(expected)))


@pytest.mark.parametrize(
    "given_kernel",
    [
        pairwise.laplacian_kernel,
        PARTIAL,
        partial(PARTIAL, gamma=0.2),
        LaplacianKernel(gamma=1.3),
        partial(pairwise.rbf_kernel, gamma=0.5),
        partial(pairwise.polynomial_kernel, degree=2),
        pairwise.sigmoid_kernel,
    ],
    ids=[
        "function",
        "partial",
        "partial of it",
        "of ours",
        "rbf",
        "polynomial",
        "sigmoid",
    ],
)
@pytest.mark.parametrize("scalers", [[], [StandardScaler()], [MinMaxScaler(), StandardScaler()]])
def test_a_kernel_given_as_a_function_is_read(given_kernel, scalers):
    points = POINTS if scalers else POINTS / 50
    estimator = make_pipeline(*scalers, SVC(kernel=given_kernel, C=10.0)).fit(points, LABELS)
    region = so.region_from_sklearn(estimator, ("A", "B"))
    probe = PROBE if scalers else PROBE / 50
    assert_same(region.decision(probe), estimator.decision_function(probe))
    assert so.load_region(region.to_json()) == region


@pytest.mark.parametrize(
    "machine",
    [NuSVC(kernel=PARTIAL, nu=0.2), OneClassSVM(kernel=PARTIAL, nu=0.1)],
    ids=["NuSVC", "OneClassSVM"],
)
def test_other_machines_take_the_laplacian(machine):
    one_class = isinstance(machine, OneClassSVM)
    points = POINTS[LABELS == -1] if one_class else POINTS
    estimator = make_pipeline(StandardScaler(), machine)
    estimator.fit(points) if one_class else estimator.fit(points, LABELS)
    region = so.region_from_sklearn(estimator, ("A", "B"))
    sign = -1 if one_class else 1
    assert_same(region.decision(PROBE), sign * estimator.decision_function(PROBE))


def test_a_regressor_and_three_classes_take_the_laplacian():
    regressor = make_pipeline(StandardScaler(), SVR(kernel=PARTIAL)).fit(POINTS, POINTS[:, 0] / 50)
    region = so.region_from_sklearn(regressor, ("A", "B"), upper=1.0)
    assert_same(region.decision(PROBE), regressor.predict(PROBE) - 1.0)
    three = np.digitize(POINTS.sum(axis=1), [70, 120])
    several = make_pipeline(StandardScaler(), SVC(kernel=PARTIAL)).fit(POINTS, three)
    union = so.class_region_from_sklearn(several, ("A", "B"), feasible_class=1)
    np.testing.assert_array_equal(union.contains(PROBE), several.predict(PROBE) == 1)


def test_a_search_over_laplacians_stands_for_its_best():
    kernels = [LaplacianKernel(gamma=g) for g in (0.1, 1.0)]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SVC()), {"svc__kernel": kernels}, cv=3
    ).fit(POINTS, LABELS)
    region = so.region_from_sklearn(search, ("A", "B"))
    assert region.gamma in (0.1, 1.0)
    assert_same(region.decision(PROBE), search.decision_function(PROBE))


# --- the Laplacian end to end ---------------------------------------------------------------------


def samples() -> so.TargetSamples:
    return so.TargetSamples(targets=pd.DataFrame(POINTS, columns=["A", "B"]), labels=LABELS)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("gamma", ["scale", "auto", 0.05])
def test_fit_region_repeats_its_estimator(scale, gamma):
    fitted = so.fit_region(samples(), kernel="laplacian", gamma=gamma, scale=scale, C=10.0)
    table = pd.DataFrame(PROBE, columns=["A", "B"])
    assert_same(fitted.region.decision(table), fitted.estimator.decision_function(table))
    spread = 1.0 if scale else float(POINTS.std())
    expected = {"scale": 0.5 / spread, "auto": 0.5}.get(gamma, gamma)
    assert fitted.report.gamma == pytest.approx(expected)
    np.testing.assert_allclose(
        fitted.support_vectors, POINTS[fitted.estimator["svc"].support_], atol=1e-9
    )
    np.testing.assert_allclose(fitted.region.raw_support_vectors, fitted.support_vectors, atol=1e-9)


@pytest.mark.long
def test_tuning_chooses_a_laplacian():
    fitted = so.fit_region(samples(), kernel="laplacian", tune=True)
    assert fitted.report.cv_score > 0.8
    assert np.isclose(fitted.report.gamma, 0.5 * np.logspace(-1, 1, 5)).any()


@pytest.mark.parametrize("gamma", ["large", -1.0, 0.0])
def test_a_wrong_gamma_is_refused(gamma):
    with pytest.raises(so.InvalidInputError, match="gamma: expected a positive number"):
        so.fit_region(samples(), kernel="laplacian", gamma=gamma)


@pytest.mark.few_cases(2)
@pytest.mark.parametrize("direction", range(4))
def test_certified_optimum_of_a_fitted_laplacian_against_a_grid(direction):
    region = so.fit_region(samples(), kernel="laplacian", C=100.0).region
    weights = np.array([math.cos(1 + 1.57 * direction), math.sin(1 + 1.57 * direction)])
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 100))
    m.o = pyo.Objective(expr=weights[0] * m.x["A"] + weights[1] * m.x["B"], sense=pyo.maximize)
    result = so.solve_over_region(m, region, {n: m.x[n] for n in "AB"}, relative_gap=1e-4)
    assert result.status is so.Status.OPTIMAL
    axis = np.linspace(0, 100, 801)
    grid = np.array(np.meshgrid(axis, axis)).reshape(2, -1).T
    best = float((grid[region.contains(grid)] @ weights).max())
    assert best <= result.bound + 1e-6
    assert result.objective >= best - 1e-4 * abs(best) - 1e-6
    assert region.decision([[pyo.value(m.x["A"]), pyo.value(m.x["B"])]])[0] <= 0


@pytest.mark.parametrize("form", ["algebraic", "split"])
def test_the_algebra_of_a_fitted_laplacian_is_its_decision(form):
    fitted = so.fit_region(samples(), kernel="laplacian")
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 100))
    added = so.add_region_constraint(m, fitted.region, {n: m.x[n] for n in "AB"}, form=form)
    for point in PROBE[((PROBE >= 0) & (PROBE <= 100)).all(axis=1)][:20]:
        for name, x in zip("AB", point, strict=True):
            m.x[name].set_value(float(x))
        if form == "split":
            for i, var in added.block.kernel.items():
                var.set_value(0.0)
                var.set_value(-pyo.value(added.block.kernel_value[i].body))
                assert var.lb - 1e-9 <= var.value <= var.ub + 1e-9
        table = pd.DataFrame([point], columns=["A", "B"])
        expected = float(fitted.estimator.decision_function(table)[0])
        assert added.decision_value() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("solver", "package", "form"),
    [
        ("scip", "pyscipopt", "algebraic"),
        ("gurobi", "gurobipy", "algebraic"),
        ("gurobi", "gurobipy", "split"),
    ],
)
def test_global_solvers_take_the_algebra_of_a_laplacian(solver, package, form):
    pytest.importorskip(package)
    region = so.KernelRegion(
        inputs=("A", "B"), kernel="laplacian", support_vectors=[[0.0, 0.0], [1.0, -0.5]],
        dual_coefs=[-2.0, -1.0], offset=1.0, gamma=0.8, lower=[-3, -3], upper=[3, 3],
    )  # fmt: skip
    optima = []
    for engine in (solver, None):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(["A", "B"], bounds=(-3, 3))
        m.o = pyo.Objective(expr=m.x["A"] - 2 * m.x["B"], sense=pyo.maximize)
        inputs = {n: m.x[n] for n in "AB"}
        if engine is None:
            optima.append(so.solve_over_region(m, region, inputs).objective)
        else:
            so.add_region_constraint(m, region, inputs, form=form)
            optima.append(so.solve(m, solver=engine).objective)
    assert optima[0] == pytest.approx(optima[1], rel=1e-3)
