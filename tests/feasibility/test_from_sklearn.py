"""Machines as they come from the field: single precision, swapped names, searches, no intercept."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, OneClassSVM

import stnopt as so

CASES = Path(__file__).resolve().parents[2] / "../shared/cases/learning"
RNG = np.random.default_rng(4)


def assert_same(found, expected):
    """Equal to 1e-9 of the decision's magnitude."""
    assert np.max(np.abs(found - expected)) <= 1e-9 * max(1.0, np.max(np.abs(expected)))


# --- single precision -----------------------------------------------------------------------------

SCALERS = {
    "minmax": [MinMaxScaler()],
    "minmax to another range": [MinMaxScaler(feature_range=(-3, 2))],
    "maxabs": [MaxAbsScaler()],
    "robust": [RobustScaler()],
    "standard": [StandardScaler()],
    "maxabs, minmax": [MaxAbsScaler(), MinMaxScaler()],
    "minmax, standard": [MinMaxScaler(), StandardScaler()],
    "robust, minmax": [RobustScaler(), MinMaxScaler()],
}


@pytest.mark.parametrize(("base", "width"), [(0, 1), (101325, 50), (1e6, 10), (-3e5, 2000)])
@pytest.mark.parametrize("scalers", SCALERS.values(), ids=SCALERS)
@pytest.mark.parametrize("machine", [SVC(C=100, gamma=10), LinearSVC()], ids=["rbf", "linear"])
def test_scalers_are_folded_in_double_whatever_they_were_fitted_in(machine, scalers, base, width):
    points = (base + width * RNG.random((150, 2))).astype(np.float32)
    middle = base + width / 2
    labels = np.where(((points - middle) ** 2).sum(axis=1) < (width / 3) ** 2, -1, 1)
    estimator = make_pipeline(*scalers, machine).fit(points, labels)
    region = so.region_from_sklearn(estimator, ["a", "b"])
    probe = base + width * RNG.random((2000, 2))
    expected = estimator.decision_function(probe)
    assert_same(region.decision(probe), expected)
    assert region.weights.dtype == float if isinstance(region, so.LinearRegion) else True


def test_certified_optima_of_a_single_precision_fit_are_accepted():
    base, width = 101325, 50
    points = (base + width * RNG.random((300, 2))).astype(np.float32)
    middle = points - base - width / 2
    labels = np.where((middle**2).sum(axis=1) < (width / 3) ** 2, -1, 1)
    estimator = make_pipeline(MinMaxScaler(), SVC(C=100, gamma=10)).fit(points, labels)
    region = so.region_from_sklearn(estimator, ["a", "b"])
    for angle in range(0, 12, 3):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(["a", "b"], bounds=(base, base + width))
        aim = np.cos(angle) * (m.x["a"] - base) + np.sin(angle) * (m.x["b"] - base)
        m.o = pyo.Objective(expr=aim, sense=pyo.maximize)
        so.solve_over_region(m, region, {n: m.x[n] for n in "ab"})
        at = [[pyo.value(m.x["a"]), pyo.value(m.x["b"])]]
        assert estimator.decision_function(at)[0] <= 1e-6


# --- names of columns -----------------------------------------------------------------------------


TABLE = pd.DataFrame(RNG.random((60, 3)) * [100, 10, 1] + [300, 1, 0], columns=["T", "P", "flow"])
HOT = np.where(TABLE["T"] > 350, 1, -1)
PIPELINES = {
    "alone": SVC(),
    "scaled": make_pipeline(StandardScaler(), SVC()),
    "nested": make_pipeline(make_pipeline(StandardScaler(), MinMaxScaler()), SVC()),
    "nothing first": make_pipeline("passthrough", StandardScaler(), SVC()),
    "a search": GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1.0, 10.0]}, cv=2),
}


@pytest.mark.parametrize("estimator", PIPELINES.values(), ids=PIPELINES)
def test_names_are_compared_one_by_one(estimator):
    estimator.fit(TABLE, HOT)
    for swapped in (
        ["P", "T", "F101"],  # beside a rename
        ["T101", "T", "flow"],
        ["T", "flow", "P"],
        ["flow", "P", "X"],
        ["X", "Y", "T"],
    ):
        with pytest.raises(so.InvalidInputError, match=r"fitted on columns \['T', 'P', 'flow'\]"):
            so.region_from_sklearn(estimator, swapped)
    for names in (["T", "P", "flow"], ["T101", "P", "F101"], ["a", "b", "c"]):
        assert so.region_from_sklearn(estimator, names).inputs == tuple(names)


def test_names_of_several_classes_are_compared_too():
    machine = SVC().fit(TABLE, np.arange(60) % 3)
    for read in (so.class_region_from_sklearn, so.one_vs_one_from_sklearn):
        with pytest.raises(so.InvalidInputError, match="in this order"):
            read(machine, ["P", "T", "F101"], feasible_class=1)


# --- linear machines without an intercept ---

POINTS = RNG.normal(size=(150, 4))
KINDS = (POINTS[:, :3] + 0.1 * POINTS[:, 1:]).argmax(axis=1)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("scalers", [[], [StandardScaler()]], ids=["raw", "scaled"])
def test_linear_classes_with_and_without_an_intercept(fit_intercept, scalers):
    machine = LinearSVC(fit_intercept=fit_intercept, dual=False)
    estimator = make_pipeline(*scalers, machine).fit(POINTS, KINDS)
    probe = RNG.normal(size=(500, 4))
    for kind in range(3):
        union = so.class_region_from_sklearn(estimator, list("abcd"), feasible_class=kind)
        np.testing.assert_array_equal(union.contains(probe), estimator.predict(probe) == kind)
        pairs = so.one_vs_one_from_sklearn(estimator, list("abcd"), feasible_class=kind)
        wins = np.all([pair.contains(probe) for pair in pairs], axis=0)
        np.testing.assert_array_equal(wins, estimator.predict(probe) == kind)


def test_two_classes_and_a_regressor_without_an_intercept():
    two = LinearSVC(fit_intercept=False, dual=False).fit(POINTS, KINDS == 1)
    region = so.region_from_sklearn(two, list("abcd"), feasible_class=True)
    assert_same(region.decision(POINTS), -two.decision_function(POINTS))
    number = LinearSVR(fit_intercept=False, dual=True, max_iter=100_000).fit(POINTS, POINTS[:, 0])
    limit = so.region_from_sklearn(number, list("abcd"), upper=0.5)
    assert_same(limit.decision(POINTS), number.predict(POINTS) - 0.5)


# --- searches ---


def test_a_search_stands_for_its_best_estimator():
    for search in (
        GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=3),
        RandomizedSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 9]}, n_iter=2,
                           cv=3, random_state=0),
        GridSearchCV(make_pipeline(MinMaxScaler(), LinearSVC()), {"linearsvc__C": [1, 9]}, cv=3),
        make_pipeline(StandardScaler(), GridSearchCV(SVC(), {"gamma": [0.1, 1.0]}, cv=3)),
    ):  # fmt: skip
        search.fit(POINTS, KINDS == 0)
        region = so.region_from_sklearn(search, list("abcd"), feasible_class=False)
        assert_same(region.decision(POINTS), search.decision_function(POINTS))
    regressor = GridSearchCV(SVR(), {"C": [1, 9]}, cv=3).fit(POINTS, POINTS[:, 0])
    region = so.region_from_sklearn(regressor, list("abcd"), upper=0.5)
    assert_same(region.decision(POINTS), regressor.predict(POINTS) - 0.5)
    several = GridSearchCV(SVC(), {"C": [1, 9]}, cv=3).fit(POINTS, KINDS)
    union = so.class_region_from_sklearn(several, list("abcd"), feasible_class=2)
    np.testing.assert_array_equal(union.contains(POINTS), several.predict(POINTS) == 2)


def test_a_search_that_keeps_nothing_is_refused():
    unfitted = GridSearchCV(OneClassSVM(), {"nu": [0.1]})
    with pytest.raises(so.InvalidInputError, match="GridSearchCV is not fitted"):
        so.region_from_sklearn(unfitted, list("abcd"))


# --- the old name ---


def test_the_old_name_is_kept_with_a_warning():
    machine = SVC().fit(POINTS, KINDS)
    with pytest.warns(DeprecationWarning, match="one_vs_one_from_sklearn"):
        old = so.duels_from_sklearn(machine, list("abcd"), feasible_class=1)
    assert old == so.one_vs_one_from_sklearn(machine, list("abcd"), feasible_class=1)


# --- the cases from the field ---


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases from the field are not here")
def test_case_of_a_single_precision_fit(capsys):
    runpy.run_path(str(CASES / "float32_minmax_region_differs.py"))
    lines = capsys.readouterr().out.splitlines()
    rejected = [line for line in lines if "rejected" in line]
    assert len(rejected) == 2
    assert all("estimator: 0 of 12" in line for line in rejected)
    assert all("told apart 0" in line for line in lines if "told apart" in line)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases from the field are not here")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cases_that_are_small(capsys):
    runpy.run_path(str(CASES / "small_ones.py"))
    swapped, linear, *_ = capsys.readouterr().out.splitlines()
    assert "raises InvalidInputError" in swapped
    assert "UnionRegion" in linear
