"""Reduced regions: the proven error against the difference at many points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_problems import random_region

from stnopt.embedding import reduce_region
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import LinearRegion, load_region


def largest_difference(region, reduced, report):
    points = np.random.default_rng(5).uniform(report.lower, report.upper, (20_000, 2))
    return np.abs(region.decision(points) - reduced.decision(points)).max()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_error_is_never_exceeded(kernel):
    region = random_region(2, n=2, kernel=kernel, n_vectors=60, gamma=0.5)
    reduced, report = reduce_region(region, max_vectors=12)
    assert len(reduced.dual_coefs) == report.n_reduced == 12
    assert report.n_vectors == 60
    seen = largest_difference(region, reduced, report)
    assert 0 < seen <= report.error
    assert report.largest_seen <= report.error <= 1.2 * max(report.largest_seen, seen)


def test_a_tolerance_is_met_with_few_vectors():
    region = random_region(2, n=2, n_vectors=100, gamma=0.5)
    reduced, report = reduce_region(region, tolerance=0.05)
    assert report.error <= 0.05
    assert report.n_reduced <= 40
    assert largest_difference(region, reduced, report) <= 0.05
    assert reduced.origin["reduced_from"] == 100
    assert load_region(reduced.to_json()) == reduced
    # with its error as margin it admits nothing that the region rejects
    points = np.random.default_rng(1).uniform(0, 100, (20_000, 2))
    admitted = reduced.decision(points) <= -report.error
    assert admitted.any()
    assert region.contains(points[admitted]).all()


def test_another_box_than_the_training_box():
    region = replace(random_region(2, n=2), lower=[-np.inf] * 2, upper=[np.inf] * 2)
    with pytest.raises(InvalidInputError, match="proven on a finite box"):
        reduce_region(region, max_vectors=5)
    _, report = reduce_region(region, max_vectors=5, bounds=([20, 20], [40, 40]))
    assert report.lower.tolist() == [20, 20]


def test_refused_calls():
    region = random_region(2, n=2)
    for arguments in ({}, {"max_vectors": 3, "tolerance": 0.1}):
        with pytest.raises(InvalidInputError, match="one of max_vectors and tolerance"):
            reduce_region(region, **arguments)
    with pytest.raises(InvalidInputError, match="max_vectors: expected at least 1"):
        reduce_region(region, max_vectors=0)
    with pytest.raises(InvalidInputError, match="tolerance: expected a positive"):
        reduce_region(region, tolerance=-1.0)
    with pytest.raises(UnsupportedModelError, match="cannot be reduced"):
        reduce_region(random_region(2, n=2, gamma=60.0), tolerance=1e-7)
    line = LinearRegion(inputs=("A",), weights=[1.0], offset=0.0, lower=[0], upper=[1])
    with pytest.raises(UnsupportedModelError, match="LinearRegion has no support vectors"):
        reduce_region(line, max_vectors=1)
