"""Inner and outer pieces against the region's own decision: at points, and in solved models."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_problems import NAMES, random_region

from stnopt.embedding import add_region_constraint, polyhedral_cover, solve_over_region
from stnopt.embedding.piecewise_form import BACK_OFF
from stnopt.embedding.polyhedral_cover import divide_region, refine_pieces
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.solvers.solve import Status, solve


def divided(region, form, tolerance, *, upper=100.0, margin=0.0):
    n = len(region.inputs)
    keep, admit = (-margin - tolerance, -margin)
    if form == "outer":
        keep, admit = -margin, -margin + tolerance
    back_off = BACK_OFF if form == "inner" else 0.0
    return divide_region(
        region, np.zeros(n), np.full(n, upper), keep=keep, admit=admit, back_off=back_off
    )


def assert_between_levels(region, found, points):
    decision = region.decision(points)
    admitted = found.contains(points)
    assert (decision[admitted] <= found.admit).all()
    assert admitted[decision <= found.keep].all()


@pytest.mark.parametrize("form", ["inner", "outer"])
@pytest.mark.parametrize(
    ("n", "kernel", "tolerance"),
    [
        (1, "rbf", 0.05),
        (2, "rbf", 0.1),
        (2, "poly", 0.3),
        (2, "sigmoid", 0.1),
        (3, "rbf", 0.8),
        pytest.param(4, "rbf", 2.0, marks=pytest.mark.long),
    ],
)
def test_pieces_lie_between_the_two_levels(n, kernel, tolerance, form):
    region = random_region(3 * n, n=n, kernel=kernel, n_vectors=12, gamma=1.0)
    found = divided(region, form, tolerance)
    assert found.pieces
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (20_000, n))
    assert_between_levels(region, found, points)
    # corners are where an inner form is most likely to admit too much; moved by the back-off
    corners = np.concatenate([piece.vertices for piece in found.pieces])
    moved = corners + found.back_off * rng.uniform(-1, 1, corners.shape) / np.sqrt(n)
    assert (region.decision(found.lower + found.width * moved) <= found.admit + 1e-9).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    kernel=st.sampled_from(KERNELS),
    form=st.sampled_from(["inner", "outer"]),
    gamma=st.floats(0.2, 6.0),
    share=st.floats(0.02, 0.98),
    n_vectors=st.integers(1, 40),
    relative=st.floats(0.05, 0.5),
    margin=st.floats(0.0, 0.5),
    spots=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20),
)
def test_no_point_is_admitted_wrongly_and_none_is_lost(
    seed, kernel, form, gamma, share, n_vectors, relative, margin, spots
):
    region = random_region(seed, n=2, kernel=kernel, gamma=gamma, share=share, n_vectors=n_vectors)
    rng = np.random.default_rng(seed)
    points = np.concatenate([spots, rng.uniform(0, 100, (3000, 2))])
    spread = float(np.ptp(region.decision(points)))
    found = divided(region, form, max(relative * spread, 1e-3), margin=margin)
    assert_between_levels(region, found, points)
    # and where it is closest: along the border of the pieces
    for piece in found.pieces:
        ends = piece.vertices[rng.integers(0, len(piece.vertices), (2, 200))]
        on_edge = ends[0] + rng.uniform(size=(200, 1)) * (ends[1] - ends[0])
        at = found.lower + found.width * on_edge
        assert (region.decision(at) <= found.admit + 1e-9).all()


def model_with(n, upper=100.0):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(0, upper))
    return m


def inputs_of(m, region):
    return dict(zip(region.inputs, m.x.values(), strict=True))


@pytest.mark.few_cases(4)
@pytest.mark.parametrize("transformation", ["hull", "bigm"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_inner_and_outer_optimum_enclose_the_certified_one(n, transformation):
    region = random_region(5, n=n, n_vectors=10, gamma=1.0)
    tolerance = {1: 0.05, 2: 0.1, 3: 0.8}[n]
    price = [1.0, 0.7, 0.4][:n]
    values = {}
    for form in ("inner", "outer", "certified"):
        m = model_with(n)
        m.objective = pyo.Objective(
            expr=sum(p * x for p, x in zip(price, m.x.values(), strict=True)), sense=pyo.maximize
        )
        if form == "certified":
            result = solve_over_region(m, region, inputs_of(m, region))
        else:
            added = add_region_constraint(
                m, region, inputs_of(m, region), form=form, tolerance=tolerance,
                transformation=transformation,
            )  # fmt: skip
            result = solve(m, relative_gap=1e-6)
            assert added.violation() <= (0.0 if form == "inner" else tolerance)
            assert added.distance() == 0.0
        assert result.status is Status.OPTIMAL
        values[form] = result.objective
    slack = 2e-4 * values["certified"]
    assert values["inner"] <= values["certified"] + slack
    assert values["certified"] <= values["outer"] + slack


def test_solutions_of_the_inner_form_are_accepted_in_every_direction():
    region = random_region(11, n=2)
    m = model_with(2)
    add_region_constraint(m, region, inputs_of(m, region), form="inner", tolerance=0.1)
    for angle in np.linspace(0, 2 * np.pi, 24):
        m.del_component("objective")
        m.objective = pyo.Objective(expr=np.cos(angle) * m.x[0] + np.sin(angle) * m.x[1])
        assert solve(m, relative_gap=1e-6).status is Status.OPTIMAL
        assert region.contains([[m.x[0].value, m.x[1].value]])[0]


def test_inputs_in_tiny_and_huge_units_are_held_alike():
    base = random_region(11, n=2)
    for unit in (1e-4, 1e4):
        parts = {
            name: getattr(base, name)
            for name in ("kernel", "support_vectors", "dual_coefs", "offset", "gamma", "inputs")
        }
        region = KernelRegion(
            **parts, center=base.center * unit, scale=base.scale * unit,
            lower=base.lower * unit, upper=base.upper * unit,
        )  # fmt: skip
        m = model_with(2, 100 * unit)
        m.objective = pyo.Objective(expr=(m.x[0] + 0.3 * m.x[1]) / unit, sense=pyo.maximize)
        added = add_region_constraint(m, region, inputs_of(m, region), form="inner")
        assert solve(m, relative_gap=1e-6).status is Status.OPTIMAL
        assert added.violation() == 0.0


def test_copies_share_one_division(monkeypatch):
    region = random_region(21, n=2)
    calls = []
    original = polyhedral_cover._divide_box
    monkeypatch.setattr(polyhedral_cover, "_divide_box", lambda *a: calls.append(1) or original(*a))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(5), range(2), bounds=(0, 100))
    added = [
        add_region_constraint(
            m, region, {"A": m.x[k, 0], "B": m.x[k, 1]}, form="outer", tolerance=0.123
        )
        for k in range(5)
    ]
    assert len(calls) == 1
    assert all(one.pieces is added[0].pieces for one in added)
    assert divided(region, "outer", 0.123) is added[0].pieces


def test_what_was_divided_is_forgotten_with_its_region():
    region = random_region(21, n=2)
    first = divided(region, "outer", 0.137)
    assert divided(region, "outer", 0.137) is first
    kept = weakref.ref(region)
    del region
    gc.collect()
    assert kept() is None


def test_a_region_that_covers_everything_is_one_box():
    region = random_region(1, n=2)
    region = KernelRegion(
        **{n: getattr(region, n) for n in ("inputs", "kernel", "support_vectors", "dual_coefs")},
        gamma=region.gamma, offset=-100.0, lower=region.lower, upper=region.upper,
    )  # fmt: skip
    for form in ("inner", "outer"):
        found = divided(region, form, 0.05)
        assert len(found.pieces) == 1
        assert found.contains(np.array([[0.0, 0.0], [100.0, 100.0], [0.0, 100.0]])).all()


def test_an_empty_region_is_infeasible_and_said_so():
    region = random_region(1, n=2)
    empty = KernelRegion(
        **{n: getattr(region, n) for n in ("inputs", "kernel", "support_vectors", "dual_coefs")},
        gamma=region.gamma, offset=100.0, lower=region.lower, upper=region.upper,
    )  # fmt: skip
    m = model_with(2)
    m.objective = pyo.Objective(expr=m.x[0])
    with pytest.warns(UserWarning, match="no point with decision <= -0.05 .* infeasible"):
        add_region_constraint(m, empty, inputs_of(m, empty), form="inner")
    assert solve(m).status is Status.INFEASIBLE


@pytest.mark.parametrize("form", ["inner", "outer"])
def test_islands_around_each_vector(form):
    rng = np.random.default_rng(4)
    grid = np.array([(i, k) for i in range(4) for k in range(4)]) * 25.0 + 12.5
    region = KernelRegion(
        inputs=("A", "B"), kernel="rbf", support_vectors=grid + rng.uniform(-4, 4, grid.shape),
        dual_coefs=-np.ones(16), offset=0.5, gamma=0.1, lower=np.zeros(2),
        upper=np.full(2, 100.0),
    )  # fmt: skip
    found = divided(region, form, 0.05)
    assert len(found.pieces) == 16
    assert_between_levels(region, found, rng.uniform(0, 100, (20_000, 2)))


def test_a_fixed_input_and_a_box_narrower_than_the_region():
    region = random_region(8, n=2)
    for low, high in (([30.0, 0.0], [30.0, 100.0]), ([30.0, 40.0], [30.5, 41.0])):
        found = divide_region(region, low, high, keep=0.0, admit=0.05)
        points = np.random.default_rng(0).uniform(low, high, (2000, 2))
        assert_between_levels(region, found, points)


@pytest.mark.long
def test_refined_pieces_keep_as_much_and_admit_less():
    region = random_region(8, n=2)
    coarse = divided(region, "outer", 1.0)
    points = np.random.default_rng(0).uniform(0, 100, (20_000, 2))
    decision = region.decision(points)
    wrong = points[coarse.contains(points) & (decision > 0)]
    assert len(wrong)
    finer = refine_pieces(region, coarse, wrong, admit=0.1)
    assert finer.contains(points)[decision <= 0].all()
    assert not finer.contains(points)[~coarse.contains(points)].any()
    assert (decision[finer.contains(points)] <= 1.0).all()
    assert region.decision(wrong[finer.contains(wrong)]).max(initial=0.0) <= 0.1


def test_warns_where_pieces_leave_the_training_box():
    region = random_region(8, n=2)
    m = model_with(2, 130.0)
    with pytest.warns(UserWarning, match=r"outside the region's training box.*A to \[.*trained on"):
        add_region_constraint(m, region, inputs_of(m, region), form="outer", tolerance=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = model_with(2)
        add_region_constraint(m, region, inputs_of(m, region), form="outer", tolerance=0.5)


def test_more_inputs_than_four_are_refused_with_the_number_of_cells():
    rng = np.random.default_rng(0)
    region = KernelRegion(
        inputs=tuple("ABCDE"), kernel="rbf", support_vectors=rng.uniform(0, 1, (10, 5)),
        dual_coefs=rng.normal(size=10), offset=0.0, gamma=1.0, lower=np.zeros(5), upper=np.ones(5),
    )  # fmt: skip
    m = model_with(5, 1.0)
    with pytest.raises(UnsupportedModelError, match=r"5 inputs .* about [\d.e+]+ cells.*1 to 4"):
        add_region_constraint(m, region, inputs_of(m, region), form="inner")


def test_too_many_pieces_are_refused_with_advice():
    region = random_region(8, n=2, gamma=30.0, n_vectors=200)
    with pytest.raises(UnsupportedModelError, match=r"more than 3 convex pieces.*larger tolerance"):
        divide_region(region, [0, 0], [100, 100], keep=0.0, admit=0.05, max_pieces=3)


@pytest.mark.parametrize(
    ("n", "form"),
    [
        (2, "inner"),
        (2, "outer"),
        (3, "outer"),
        pytest.param(4, "outer", marks=pytest.mark.long),
    ],
)
def test_a_coarser_form_says_what_holds_instead(n, form, monkeypatch):
    monkeypatch.setattr(polyhedral_cover, "_MOST_LOOKS", {n: 4})
    monkeypatch.setattr(polyhedral_cover, "_COARSE_PIECES", 4)
    region = random_region(3 * n, n=n, n_vectors=12, gamma=1.0)
    m = model_with(n)
    with pytest.warns(UserWarning, match=f"the {form} form .* is coarser than asked for"):
        added = add_region_constraint(m, region, inputs_of(m, region), form=form, tolerance=0.01)
    found = added.pieces
    assert found.is_coarse
    assert len(found.pieces) <= 4
    assert_between_levels(region, found, np.random.default_rng(1).uniform(0, 100, (20_000, n)))
    if form == "outer":
        assert found.keep == 0
        assert found.admit > 0.01
    else:
        assert found.admit == 0
        assert found.keep < -0.01
    with pytest.raises(UnsupportedModelError, match="convex pieces"):
        divided(region, form, 0.01)


def test_a_coarser_inner_form_without_any_piece_is_refused(monkeypatch):
    monkeypatch.setattr(polyhedral_cover, "_MOST_LOOKS", {3: 4})
    monkeypatch.setattr(polyhedral_cover, "_COARSE_PIECES", 4)
    region = random_region(9, n=3, n_vectors=12, gamma=1.0)
    m = model_with(3)
    with pytest.raises(UnsupportedModelError, match="more than 4 convex pieces"):
        add_region_constraint(m, region, inputs_of(m, region), form="inner", tolerance=0.01)


def test_a_linear_region_is_one_row_in_both_forms():
    region = LinearRegion(
        inputs=NAMES[:2], weights=[1.0, 2.0], offset=-60.0, lower=[0, 0], upper=[100, 100]
    )
    for form, most in (("inner", 60 - 2e-6), ("outer", 60.0)):
        m = model_with(2)
        m.objective = pyo.Objective(expr=m.x[0] + 2 * m.x[1], sense=pyo.maximize)
        add_region_constraint(m, region, inputs_of(m, region), form=form)
        assert solve(m).objective == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "inner", "tolerance": 0.0}, "tolerance: expected a positive"),
        ({"form": "outer", "tolerance": "small"}, "tolerance: expected a positive"),
        ({"form": "split", "tolerance": 0.1}, "is for the forms 'inner' and 'outer'"),
        ({"form": "inner", "transformation": "convex"}, "expected one of 'hull', 'bigm'"),
    ],
)
def test_refused_arguments(arguments, message):
    region = random_region(8, n=2)
    m = model_with(2)
    with pytest.raises(InvalidInputError, match=message):
        add_region_constraint(m, region, inputs_of(m, region), **arguments)
