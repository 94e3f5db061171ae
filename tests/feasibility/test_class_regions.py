"""A class of several, against every possible vote and scikit-learn's own predictions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC

import stnopt as so
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.one_vs_one import UnionRegion, winning_alternatives


@pytest.mark.parametrize(("count", "chosen"), [(3, 0), (3, 1), (3, 2), (4, 0), (4, 2), (5, 1)])
def test_every_outcome_of_the_duels(count, chosen):
    ways = winning_alternatives(count, chosen)
    pairs = list(itertools.combinations(range(count), 2))
    circles = 0
    for outcome in itertools.product((0, 1), repeat=len(pairs)):
        winners = [pair[side] for pair, side in zip(pairs, outcome, strict=True)]
        beaten = {
            ("pair", pair[side], pair[1 - side]) for pair, side in zip(pairs, outcome, strict=True)
        }
        votes = np.bincount(winners, minlength=count)
        wins = int(votes.argmax()) == chosen  # the first of those with most
        assert any(set(way) <= beaten for way in ways) == wins
        circles += wins and votes[chosen] < count - 1
    assert (circles > 0) == (len(ways) > 1)


def in_circles():
    """Three classes along a spiral, each cut off from the next: duels that go round."""
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi, 90)
    radius = rng.uniform(5, 45, 90)
    points = 50 + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    sector = ((angle + 0.05 * radius) // (2 * np.pi / 3)).astype(int) % 3
    return points, np.array(["first", "second", "third"])[sector]


MACHINES = {
    "rbf": SVC(gamma=3.0, C=0.5),
    "linear": SVC(kernel="linear", C=10.0),
    "poly": SVC(kernel="poly", degree=2, coef0=1.0),
    "nu": NuSVC(nu=0.3, gamma=2.0),
    "ties broken": SVC(gamma=3.0, C=0.5, break_ties=True),
    "ties of lines broken": SVC(kernel="linear", C=10.0, break_ties=True),
    "one against the rest": LinearSVC(),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_inside_is_where_the_class_is_predicted(machine):
    points, labels = in_circles()
    fitted = make_pipeline(StandardScaler(), machine).fit(points, labels)
    axis = np.linspace(-10, 110, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    predicted = fitted.predict(grid)
    for chosen in ("first", "second", "third"):
        region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
        assert (region.contains(grid) == (predicted == chosen)).all()


@pytest.mark.parametrize("break_ties", [False, True])
def test_the_example_has_circles(break_ties):
    """Else the test above would say nothing about them."""
    points, labels = in_circles()
    fitted = SVC(gamma=3.0 / 600, C=0.5, break_ties=break_ties).fit(points, labels)
    axis = np.linspace(-10, 110, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    lost = 0
    for chosen in ("first", "second", "third"):
        duels = so.one_vs_one_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
        wins_all = np.all([duel.contains(grid) for duel in duels], axis=0)
        lost += int(((fitted.predict(grid) == chosen) & ~wins_all).sum())
    assert lost > 50


def test_four_classes_and_their_circles():
    rng = np.random.default_rng(1)
    points, labels = rng.uniform(0, 1, (60, 2)), rng.integers(0, 4, 60)
    probe = rng.uniform(-0.5, 1.5, (4000, 2))
    for break_ties in (False, True):
        fitted = SVC(gamma=8.0, break_ties=break_ties).fit(points, labels)
        predicted = fitted.predict(probe)
        for chosen in range(4):
            region = so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class=chosen)
            assert (region.contains(probe) == (predicted == chosen)).all()


def test_refused_by_name():
    points, labels = in_circles()
    fitted = SVC(break_ties=True, decision_function_shape="ovo").fit(points, labels)
    with pytest.raises(InvalidInputError, match="decision_function_shape='ovr'"):
        so.class_region_from_sklearn(fitted, ("A", "B"), feasible_class="first")
    with pytest.raises(UnsupportedModelError, match=r"more than 200 ways.*one_vs_one_from_sklearn"):
        winning_alternatives(7, 0)
    with pytest.raises(InvalidInputError, match="at least one region"):
        UnionRegion(alternatives=((),))
    region = so.LinearRegion(inputs=("A",), weights=[1.0], offset=0.0, lower=[0.0], upper=[1.0])
    other = so.LinearRegion(inputs=("B",), weights=[1.0], offset=0.0, lower=[0.0], upper=[1.0])
    with pytest.raises(InvalidInputError, match=r"all regions need the inputs \('A',\)"):
        UnionRegion(alternatives=((region,), (other,)))
    with pytest.raises(InvalidInputError, match="got str"):
        UnionRegion(alternatives=(("region",),))
