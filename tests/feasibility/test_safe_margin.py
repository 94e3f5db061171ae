"""A region with a certified margin claims nothing that is not proven feasible."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from stnopt import InvalidInputError, KernelRegion, LinearRegion, TargetSamples, fit_region
from stnopt.feasibility.certified_margin import _lowest, certify_margin

NAMES = ("A", "B")


class Staircase:
    """A certificate that needs no plant: feasible below two corners, undecided in a strip."""

    products = ("B", "A")  # another order than the samples'
    scope = MappingProxyType({"fingerprint": "f", "horizon": 8.0})

    def label(self, points):
        b, a = np.asarray(points, dtype=float).T
        slack = np.maximum(np.minimum(6 - a, 4 - b), np.minimum(3 - a, 8 - b))
        return np.where(slack >= 0, -1, np.where(slack > -0.1, 0, 1))


@pytest.fixture(scope="module")
def samples() -> TargetSamples:
    points = np.random.default_rng(0).uniform(0, 10, size=(400, 2))
    labels = Staircase().label(points[:, ::-1])
    keep = labels != 0
    targets = pd.DataFrame(points[keep], columns=list(NAMES))
    return TargetSamples(targets=targets, labels=labels[keep], scope={"fingerprint": "f"})


@pytest.mark.few_cases(3)
@pytest.mark.parametrize(
    ("kernel", "parameters"),
    [
        ("rbf", {"C": 1e3, "gamma": 4.0}),
        ("rbf", {"C": 1.0}),
        ("poly", {"C": 10.0, "degree": 3, "coef0": 1.0}),
        ("poly", {"C": 10.0, "degree": 4, "coef0": 1.0}),
        ("sigmoid", {"C": 1.0, "gamma": 0.2}),
        ("laplacian", {"C": 10.0}),
        ("linear", {"C": 1.0}),
    ],
)
def test_nothing_unproven_is_claimed(samples, kernel, parameters):
    fitted = fit_region(
        samples, kernel=kernel, margin="certified", certified=Staircase(), **parameters
    )
    region, report = fitted.region, fitted.report
    box = np.linspace(region.lower, region.upper, 501).T
    points = np.stack(np.meshgrid(*box, indexing="ij"), axis=-1).reshape(-1, 2)
    claimed = region.contains(points)
    assert np.all(Staircase().label(points[claimed][:, ::-1]) == -1)
    assert report.exact_score.n_false_feasible == 0
    assert report.margin >= 0
    shifted = fitted.estimator.decision_function(samples.targets) + report.margin
    assert np.allclose(region.decision(samples.targets), shifted, atol=1e-9)


def test_a_sharp_classifier_loses_little(samples):
    report = fit_region(
        samples, kernel="rbf", C=1e3, gamma=4.0, margin="certified", certified=Staircase()
    ).report
    score = report.exact_score
    assert score.false_infeasible_rate < 0.12
    assert report.area_lost <= score.false_infeasible_rate
    assert "certified margin" in str(report) or report.margin == 0


def test_the_margin_is_no_larger_than_it_must_be():
    region = LinearRegion(
        inputs=NAMES, weights=[1.0, 1.0], offset=-12.0, lower=[0.0, 0.0], upper=[10.0, 10.0]
    )
    # The infeasible targets with the least A + B lie just beyond (6, 0): decision -6.
    margin = certify_margin(region, Staircase()).margin
    assert 6.0 <= margin <= 6.1


def test_a_region_inside_needs_no_margin():
    region = LinearRegion(
        inputs=NAMES, weights=[1.0, 1.0], offset=-2.0, lower=[0.0, 0.0], upper=[10.0, 10.0]
    )
    proof = certify_margin(region, Staircase())
    assert proof.margin == 0
    assert len(proof.counterexamples) == 0


@pytest.mark.parametrize(
    ("kernel", "degree"), [("rbf", 3), ("poly", 2), ("poly", 3), ("sigmoid", 3), ("laplacian", 3)]
)
def test_bounds_over_boxes_are_below_every_point(kernel, degree):
    rng = np.random.default_rng(3)
    region = KernelRegion(
        inputs=NAMES,
        kernel=kernel,
        support_vectors=rng.normal(size=(12, 2)),
        dual_coefs=rng.normal(size=12) * 5,
        offset=0.3,
        gamma=0.8,
        coef0=0.5,
        degree=degree,
        center=[1.0, 2.0],
        scale=[2.0, 0.5],
        lower=[-5.0, -5.0],
        upper=[5.0, 5.0],
    )
    lower = rng.uniform(-5, 5, size=(300, 2))
    upper = lower + 10.0 ** rng.uniform(-3, 0.5, size=(300, 2))
    bound = _lowest(region, lower, upper)
    share = rng.random((50, 300, 2))
    share[0], share[1] = 0, 1
    for s in share:
        assert np.all(region.decision(lower + s * (upper - lower)) >= bound - 1e-9)
    small = (upper - lower).max(axis=1) < 0.01
    middle = region.decision((lower + upper) / 2)
    assert np.all(middle[small] - bound[small] < 0.1 * np.ptp(middle))


def test_what_does_not_fit_is_refused(samples):
    with pytest.raises(InvalidInputError, match="needs certified="):
        fit_region(samples, margin="certified")
    other = TargetSamples(
        targets=samples.targets, labels=samples.labels, scope={"fingerprint": "another plant"}
    )
    with pytest.raises(InvalidInputError, match="made for something else: fingerprint"):
        fit_region(other, margin="certified", certified=Staircase())
    renamed = TargetSamples(
        targets=samples.targets.rename(columns={"A": "C"}), labels=samples.labels
    )
    with pytest.raises(InvalidInputError, match="speaks of"):
        fit_region(renamed, margin="certified", certified=Staircase())
