"""Duels of one class against scikit-learn's own pairwise values and predictions."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, NuSVC

import stnopt as so
from stnopt.errors import InvalidInputError, UnsupportedModelError

CLASSES = ["cold", "good", "hot", "odd"]


def data():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (240, 2))
    corner = (points[:, 0] > 45).astype(int) + 2 * (points[:, 1] > 55)
    return points, np.array(CLASSES)[corner]


MACHINES = {
    "rbf": SVC(gamma=2.0, decision_function_shape="ovo"),
    "poly": SVC(kernel="poly", degree=2, coef0=1.0, decision_function_shape="ovo"),
    "sigmoid": SVC(kernel="sigmoid", gamma=0.3, decision_function_shape="ovo"),
    "linear": SVC(kernel="linear", decision_function_shape="ovo"),
    "nu": NuSVC(nu=0.2, decision_function_shape="ovo"),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("chosen", CLASSES)
def test_duels_equal_the_pairwise_values(machine, chosen):
    points, labels = data()
    fitted = make_pipeline(StandardScaler(), machine).fit(points, labels)
    duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
    values = fitted.decision_function(points)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    k = CLASSES.index(chosen)
    others = [i for i in range(4) if i != k]
    assert [duel.origin["against"] for duel in duels] == [CLASSES[i] for i in others]
    for duel, other in zip(duels, others, strict=True):
        expected = values[:, pairs.index((min(k, other), max(k, other)))]
        sign = -1 if k < other else 1
        np.testing.assert_allclose(duel.decision(points), sign * expected, atol=1e-9)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_winning_all_duels_is_being_predicted(machine):
    points, labels = data()
    fitted = make_pipeline(StandardScaler(), machine).fit(points, labels)
    probe = np.random.default_rng(1).uniform(-20, 120, (5000, 2))
    predicted = fitted.predict(probe)
    for chosen in CLASSES:
        duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
        wins = np.all([duel.contains(probe) for duel in duels], axis=0)
        assert (predicted[wins] == chosen).all()
        # circles are rare
        assert (predicted == chosen).sum() - wins.sum() <= 0.1 * len(probe)


def test_linear_svc_loses_nothing():
    points, labels = data()
    fitted = make_pipeline(StandardScaler(), LinearSVC()).fit(points, labels)
    probe = np.random.default_rng(1).uniform(-20, 120, (5000, 2))
    duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class="hot")
    wins = np.all([duel.contains(probe) for duel in duels], axis=0)
    assert (wins == (fitted.predict(probe) == "hot")).all()


def test_an_optimum_is_predicted_as_the_class():
    points, labels = data()
    fitted = make_pipeline(StandardScaler(), SVC(gamma=2.0)).fit(points, labels)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 100))
    m.objective = pyo.Objective(expr=m.x["A"] + m.x["B"], sense=pyo.minimize)
    duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class="odd")
    result = so.solve_over_region(m, *[(duel, {k: m.x[k] for k in m.x}) for duel in duels])
    assert result.status is so.Status.OPTIMAL
    # a thousandth inside: at the optimum itself a duel is a draw
    at = np.array([[m.x["A"].value, m.x["B"].value]])
    inside = at + 0.05 * (points[labels == "odd"].mean(axis=0) - at) / 50
    assert fitted.predict(inside)[0] == "odd"


def test_refused_by_name():
    points, labels = data()
    fitted = SVC().fit(points, labels)
    with pytest.raises(InvalidInputError, match="feasible_class: expected one of"):
        so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class="cool")
    with pytest.raises(InvalidInputError, match="fitted on 2 columns"):
        so.one_vs_one_from_sklearn(fitted, ("A",), feasible_class="cold")
    with pytest.raises(UnsupportedModelError, match="SVR has no one-vs-one decisions"):
        so.one_vs_one_from_sklearn(
            SVR().fit(points, points[:, 0]), ("A", "B"), feasible_class="cold"
        )
    with pytest.raises(UnsupportedModelError, match="one_vs_one_from_sklearn"):
        so.region_from_sklearn(fitted, ("A", "B"), feasible_class="cold")
    with pytest.raises(UnsupportedModelError, match="cannot be written as algebra"):
        so.one_vs_one_from_sklearn(
            SVC(kernel=lambda a, b: a @ b.T).fit(points, labels), ("A", "B"), feasible_class="cold"
        )
