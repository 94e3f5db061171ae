"""Few MILPs, placed where they teach most; every label that comes back is a fact."""

from __future__ import annotations

import numpy as np
import pytest

import stnopt

BOX = {"S9": (0.0, 110.0), "S8": (0.0, 110.0)}
SETTINGS = {"horizon": 8, "n_events": 4, "max_span": 0}


@pytest.fixture(scope="module")
def network() -> stnopt.Network:
    return stnopt.load_example("ex2")


@pytest.mark.long
def test_few_solves_teach_the_classifier_the_whole_box(network, frontier_of_ex2):
    samples = stnopt.sample_boundary(network, BOX, n_solves=120, seed=5, **SETTINGS)
    assert samples.scope["n_solves"] <= 120
    fitted = stnopt.fit_region(samples, kernel="rbf", C=1e3, gamma=5.0)
    assert fitted.report.n_support <= 80
    points = np.random.default_rng(7).uniform(0, 110, size=(10_000, 2))
    labels = frontier_of_ex2.label(points)
    assert np.all(labels != 0)
    wrong = fitted.region.contains(points) != (labels == -1)
    assert wrong.mean() <= 0.01


@pytest.mark.parametrize("n_solves", [8, pytest.param(14, marks=pytest.mark.long)])
def test_a_budget_that_is_too_small_for_all_is_kept_and_its_labels_are_true(
    network, frontier_of_ex2, n_solves
):
    samples = stnopt.sample_boundary(network, BOX, n_solves=n_solves, seed=1, **SETTINGS)
    assert samples.scope["n_solves"] <= n_solves
    assert min(samples.counts()["feasible"], samples.counts()["infeasible"]) >= 5
    assert np.array_equal(frontier_of_ex2.label(samples.targets), samples.labels)


@pytest.mark.long
def test_choosing_the_event_points_is_part_of_the_budget(network):
    samples = stnopt.sample_boundary(network, BOX, horizon=8, n_solves=20, seed=1)
    given = stnopt.sample_boundary(network, BOX, n_solves=20, seed=1, **SETTINGS)
    assert samples.scope["n_events"] == 4
    assert given.scope["n_solves"] <= samples.scope["n_solves"] <= 20


@pytest.mark.long
def test_exact_targets_are_asked_about_one_by_one(network):
    samples = stnopt.sample_boundary(
        network, BOX, n_solves=10, seed=3, n_samples=40, sense="exactly", **SETTINGS
    )
    assert samples.scope["n_solves"] <= 10
    assert set(samples.labels) == {-1, 1}
    alone = stnopt.label_targets(network, samples.targets[:12], sense="exactly", **SETTINGS)
    assert np.array_equal(alone.labels, samples.labels[:12])


@pytest.mark.long
def test_the_seed_decides(network):
    first, again, other = (
        stnopt.sample_boundary(network, BOX, n_solves=12, seed=seed, n_samples=40, **SETTINGS)
        for seed in (4, 4, 5)
    )
    assert first == again
    assert not np.array_equal(first.targets, other.targets)


@pytest.mark.parametrize(("name", "value"), [("n_solves", 3), ("n_solves", 8.0), ("n_samples", 1)])
def test_a_budget_that_cannot_work_is_refused(network, name, value):
    budget = {"n_solves": 30, "n_samples": 20, name: value}
    with pytest.raises(stnopt.InvalidInputError, match=rf"{name}: expected an integer"):
        stnopt.sample_boundary(network, BOX, seed=0, **budget, **SETTINGS)
