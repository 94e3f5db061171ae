"""Bounds and half-spaces of a region against sampled points of the region itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnopt.embedding.half_spaces import nearest_in_hull
from stnopt.embedding.outer_approximation import approximate_box
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import KernelRegion


def random_region(seed, *, n, kernel="rbf", gamma=0.5, n_vectors=25, size=3.0, degree=3):
    """Random vectors and coefficients whose region takes about half of the box [0, 100]^n."""
    rng = np.random.default_rng(seed)
    region = {
        "inputs": tuple(f"x{j}" for j in range(n)),
        "kernel": kernel,
        "support_vectors": rng.normal(size=(n_vectors, n)),
        "dual_coefs": rng.choice([-1, 1], n_vectors) * rng.uniform(0.1, size, n_vectors),
        "gamma": gamma,
        "coef0": 0.0 if kernel == "rbf" else 0.4,
        "degree": degree,
        "center": np.full(n, 50.0),
        "scale": rng.uniform(20, 40, n),
        "lower": np.zeros(n),
        "upper": np.full(n, 100.0),
    }
    raw = KernelRegion(offset=0.0, **region).decision(rng.uniform(0, 100, (500, n)))
    return KernelRegion(offset=-float(np.median(raw)), **region)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 4),
    kernel=st.sampled_from(KERNELS),
    degree=st.integers(1, 5),
    log_gamma=st.floats(-3, 2),
    log_radius=st.floats(-4, 1.7),
    size=st.sampled_from([1.0, 1000.0]),
)
def test_decision_stays_within_its_bounds(seed, n, kernel, degree, log_gamma, log_radius, size):
    gamma = 10**log_gamma
    region = random_region(seed, n=n, kernel=kernel, gamma=gamma, degree=degree, size=size)
    rng = np.random.default_rng(seed)
    center = rng.uniform(-20, 120, (8, n))
    radius = 10**log_radius * rng.uniform(0, 1, (8, n))
    bounds = bound_decision(region, center - radius, center + radius)
    for share in (rng.uniform(-1, 1, (40, 8, n)), rng.choice([-1.0, 0.0, 1.0], (40, 8, n))):
        for points in center + share * radius:
            decision = region.decision(points)
            linear = bounds.value + ((points - bounds.center) * bounds.gradient).sum(axis=1)
            assert (bounds.lower <= decision).all()
            assert (decision <= bounds.upper).all()
            assert (bounds.below <= decision - linear).all()
            assert (decision - linear <= bounds.above).all()


def test_series_bounds_shrink_with_the_square_of_the_box():
    region = random_region(1, n=2, size=1000.0)
    spans = []
    for radius in (1.0, 0.1, 0.01):
        bounds = bound_decision(region, np.full((1, 2), 50 - radius), np.full((1, 2), 50 + radius))
        spans.append(float((bounds.above - bounds.below)[0]))
    assert spans[1] < spans[0] / 50
    assert spans[2] < spans[1] / 50


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("focused", [False, True])
def test_half_spaces_and_cells_hold_every_feasible_point(kernel, n, focused):
    region = random_region(n, n=n, kernel=kernel)
    lower, upper = np.full(n, 10.0), np.full(n, 90.0)
    points = np.random.default_rng(0).uniform(lower, upper, (3000, n))
    focus = points[:2] if focused else None
    cover = approximate_box(region, lower, upper, margin=0.05, focus=focus, max_cells=2000 // n**2)
    feasible = points[region.decision(points) <= -0.05]
    assert len(feasible) > 100
    unit = (feasible - cover.lower) / cover.width
    for rows in (cover.facets, cover.cuts):
        assert (unit @ rows[:, :-1].T + rows[:, -1] <= 0).all()
    held = np.zeros(len(feasible), dtype=bool)
    for low, high in zip(cover.cell_lower, cover.cell_upper, strict=True):
        held |= ((feasible >= low) & (feasible <= high)).all(axis=1)
    assert held.all()
    assert region.decision(cover.inner_points).max() <= -0.05
    inside = 0.5 * (cover.cell_lower + cover.cell_upper)[cover.inside]
    if len(inside):
        assert region.decision(inside).max() <= -0.05


def test_hull_of_a_disk_is_tight():
    region = KernelRegion(
        inputs=("a", "b"),
        kernel="rbf",
        support_vectors=[[0.0, 0.0]],
        dual_coefs=[-1.0],
        offset=np.exp(-1.0),  # feasible where |x| <= 1
        gamma=1.0,
        lower=[-2, -2],
        upper=[2, 2],
    )
    cover = approximate_box(region, np.full(2, -2.0), np.full(2, 2.0))
    assert cover.lower == pytest.approx([-1, -1], abs=0.01)
    assert cover.upper == pytest.approx([1, 1], abs=0.01)
    angles = np.linspace(0, 2 * np.pi, 100)
    outside = 1.02 * np.column_stack([np.cos(angles), np.sin(angles)])
    assert min(cover.excess(point) for point in outside) > 0
    assert not cover.is_exact


def test_cover_of_an_empty_and_of_a_full_box():
    region = random_region(2, n=2)
    far = np.full(2, 1e4)
    everything = KernelRegion(
        inputs=("a", "b"),
        kernel="rbf",
        support_vectors=[[0.0, 0.0]],
        dual_coefs=[1.0],
        offset=-1.5,
        gamma=1.0,
        lower=[0, 0],
        upper=[1, 1],
    )
    cover = approximate_box(everything, np.zeros(2), np.ones(2))
    assert cover.is_exact
    assert len(cover.cuts) == 0 or cover.excess(np.ones(2)) <= 1e-8
    lowest = region.decision(np.random.default_rng(0).uniform(0, 100, (500, 2))).min()
    assert approximate_box(region, np.zeros(2), np.full(2, 100.0), margin=10 - lowest) is None
    assert approximate_box(everything, far, far + 1, margin=2.0) is None


def test_a_fixed_input_is_no_obstacle():
    region = random_region(3, n=3)
    lower, upper = np.array([0.0, 40.0, 0.0]), np.array([100.0, 40.0, 100.0])
    cover = approximate_box(region, lower, upper)
    points = np.random.default_rng(0).uniform(lower, upper, (2000, 3))
    feasible = points[region.decision(points) <= 0]
    unit = (feasible - cover.lower) / cover.width
    assert len(feasible) > 0
    assert (unit @ cover.cuts[:, :-1].T + cover.cuts[:, -1] <= 0).all()


@pytest.mark.parametrize("target", [[2.0, 0.5], [0.5, 0.5], [3.0, 3.0], [-0.5, 0.2]])
def test_nearest_point_of_a_square(target):
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    near = nearest_in_hull(corners, np.array(target), np.ones(2))
    assert near == pytest.approx(np.clip(target, 0, 1), abs=1e-9)


def test_a_cover_without_a_known_feasible_point_is_finite():
    """Three inputs, and a budget that ends before any cell shows a feasible point."""
    rng = np.random.default_rng(0)
    region = KernelRegion(
        inputs=("A", "B", "C"), kernel="rbf", support_vectors=rng.uniform(0, 1, (8, 3)),
        dual_coefs=rng.normal(size=8), offset=0.0, gamma=2.0, lower=np.zeros(3), upper=np.ones(3),
    )  # fmt: skip
    lowest = float(region.decision(rng.uniform(0, 1, (20_000, 3))).min())
    cover = approximate_box(region, np.zeros(3), np.ones(3), margin=-lowest + 0.02, max_cells=1)
    assert cover is not None
    assert not len(cover.inner_points)
    assert np.isfinite(cover.lower).all()
    assert np.isfinite(cover.facets).all()
