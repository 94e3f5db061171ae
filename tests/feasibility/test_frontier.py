"""`trace_frontier`: known boundaries, individual solves on both sides, and awkward shapes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.certified_region import trace_frontier
from stnopt.plant import load_example, read_network
from stnopt.scheduling.model import build_scheduling_model, extract_schedule, require_targets
from stnopt.scheduling.replay import find_violations
from stnopt.solvers.solve import Status, solve


def plant(states, tasks):
    return read_network({"name": "plant", "states": states, "tasks": tasks})


def largest(network, products, amount, *, horizon, n_events):
    """Return the most of the second product with so much of the first; None without any."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events)
    require_targets(model, {products[0]: amount})
    model.objective = pyo.Objective(expr=model.final_stock[products[1]], sense=pyo.maximize)
    result = solve(model, relative_gap=1e-6)
    if result.status is Status.INFEASIBLE:
        return None
    assert result.status is Status.OPTIMAL
    extract_schedule(model, network)
    return result.objective


def assert_is_boundary(region, network, x, top, *, step):
    """Feasible just below (x, top), infeasible just above, and so does any schedule say."""
    at = [[x, max(0.0, top - step)], [x, top + step], [x, 0.0]]
    assert region.label(at).tolist() == [-1, 1, -1]
    for schedule in region.schedules:
        assert find_violations(schedule, network) == []


@pytest.fixture(scope="module")
def five_events():
    network = load_example("ex2")
    return trace_frontier(network, horizon=8, products=("S9", "S8"), n_events=5, max_span=0)


@pytest.fixture(params=[4, pytest.param(5, marks=pytest.mark.long)])
def example2(request):
    """The boundary on four event points, and on five, which takes five times as long."""
    return request.getfixturevalue({4: "frontier_of_ex2", 5: "five_events"}[request.param])


#: At least so much S9 -> the most of S8, on five event points.
KNOWN = {35.894: 84.322, 47.859: 80.868, 59.823: 76.117, 71.788: 71.305, 83.753: 62.656}


@pytest.mark.long
def test_example_2_has_its_known_boundary(five_events):
    assert five_events.gap <= 1e-4
    assert five_events.n_solves <= 60
    for x, top in KNOWN.items():
        assert five_events.label([[x, top - 0.01], [x, top + 0.01]]).tolist() == [-1, 1]


def test_every_vertex_is_made_by_a_schedule_that_passes_the_replay(example2):
    network = load_example("ex2")
    assert len(example2.schedules) == len(example2.points)
    for schedule, (_, point) in zip(example2.schedules, example2.points.iterrows(), strict=True):
        assert find_violations(schedule, network) == []
        assert schedule.final_stock["S9"] >= point["S9"] - 1e-4
        assert schedule.final_stock["S8"] >= point["S8"] - 1e-4


def test_scope_says_what_the_proofs_hold_for(example2, request):
    network = load_example("ex2")
    assert example2.scope["fingerprint"] == network.fingerprint
    n_events = request.node.callspec.params["example2"]
    assert (example2.scope["n_events"], example2.scope["max_span"]) == (n_events, 0)
    assert (example2.scope["horizon"], example2.scope["sense"]) == (8.0, "at_least")


def test_labels_follow_free_disposal(example2):
    random = np.random.default_rng(0)
    points = random.uniform(0, 110, size=(2000, 2))
    labels = example2.label(points)
    assert np.mean(labels == 0) < 1e-3
    smaller = example2.label(points * random.uniform(0, 1, size=(2000, 2)))
    assert np.all(smaller[labels == -1] == -1)
    larger = example2.label(points * random.uniform(1, 2, size=(2000, 2)))
    assert np.all(larger[labels == 1] == 1)


def test_points_may_be_a_frame_with_its_columns_in_any_order(example2):
    frame = pd.DataFrame({"S8": [62.0, 63.0], "other": [0, 0], "S9": [83.753, 83.753]})
    assert example2.label(frame).tolist() == [-1, 1]
    with pytest.raises(InvalidInputError, match="S8"):
        example2.label(frame[["S9"]])
    with pytest.raises(InvalidInputError, match=r"\(n, 2\)"):
        example2.label([[1.0, 2.0, 3.0]])


@pytest.mark.long
def test_four_event_points_agree_with_individual_solves():
    network, pair = load_example("ex2"), ("S9", "S8")
    region = trace_frontier(network, horizon=8, products=pair, n_events=4, max_span=0)
    assert region.gap <= 1e-4
    for x in np.linspace(3, 0.97 * region.upper[0], 4):
        top = largest(network, pair, x, horizon=8, n_events=4)
        assert_is_boundary(region, network, x, top, step=0.01)


# Every batch makes exactly 10 of P or 7 of Q, one after another on one unit.
STAIRS = plant(
    {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
    {
        "MakeP": {
            "consumes": {"A": 1},
            "produces": {"P": 1},
            "units": {"U": {"min_batch": 10, "max_batch": 10, "fixed_time": 1}},
        },
        "MakeQ": {
            "consumes": {"A": 1},
            "produces": {"Q": 1},
            "units": {"U": {"min_batch": 7, "max_batch": 7, "fixed_time": 1}},
        },
    },
)


def test_boundary_of_whole_batches_is_a_staircase():
    region = trace_frontier(STAIRS, horizon=4, products=("P", "Q"), n_events=4, max_span=0)
    assert region.gap <= 1e-4
    for n_p in range(5):
        n_q = 4 - n_p
        corner, beside = [10.0 * n_p, 7.0 * n_q], 0.01
        right, above = [corner[0] + beside, corner[1]], [corner[0], corner[1] + beside]
        assert region.label([np.maximum(0, np.array(corner) - 1e-4), right, above]).tolist() == [
            -1,
            1,
            1,
        ]


def test_boundary_of_one_straight_line():
    # 12 of A, to share: P + Q <= 12, and either may have it all.
    network = plant(
        {"A": {"initial": 12}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            name: {
                "consumes": {"A": 1},
                "produces": {state: 1},
                "units": {unit: {"max_batch": 20, "fixed_time": 1}},
            }
            for name, state, unit in (("MakeP", "P", "U1"), ("MakeQ", "Q", "U2"))
        },
    )
    region = trace_frontier(network, horizon=2, products=("P", "Q"), n_events=1, max_span=0)
    assert region.gap <= 1e-6
    assert region.n_solves <= 8
    np.testing.assert_allclose(region.vertices, [[0, 12], [12, 0]], atol=1e-3)
    assert region.label([[5, 6.99], [5, 7.01], [11.9, 0.2]]).tolist() == [-1, 1, 1]


def test_products_that_do_not_compete_have_a_rectangle():
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            name: {
                "consumes": {"A": 1},
                "produces": {state: 1},
                "units": {unit: {"max_batch": size, "fixed_time": 1}},
            }
            for name, state, unit, size in (("MakeP", "P", "U1", 6), ("MakeQ", "Q", "U2", 4))
        },
    )
    region = trace_frontier(network, horizon=2, products=("P", "Q"), n_events=2, max_span=0)
    assert region.label([[12, 8], [12.01, 0], [0, 8.01]]).tolist() == [-1, 1, 1]
    assert region.gap <= 1e-6


def test_storage_that_binds_between_events_is_certified_too():
    network, pair = load_example("storage_trap"), ("P", "Q")
    region = trace_frontier(network, horizon=7, products=pair, n_events=4, max_span=0)
    assert region.gap <= 1e-4
    for x in (4.0, 9.99, 10.01, 19.9):
        top = largest(network, pair, x, horizon=7, n_events=4)
        assert_is_boundary(region, network, x, top, step=0.01)


def test_order_of_products_does_not_change_the_region():
    regions = [
        trace_frontier(STAIRS, horizon=3, products=pair, n_events=3, max_span=0)
        for pair in (("P", "Q"), ("Q", "P"))
    ]
    points = np.random.default_rng(4).uniform(0, 35, size=(500, 2))
    straight, swapped = regions[0].label(points), regions[1].label(points[:, ::-1])
    clear = (straight != 0) & (swapped != 0)
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(straight[clear], swapped[clear])


@pytest.mark.parametrize(
    ("products", "options", "error", "message"),
    [
        (("P",), {}, UnsupportedModelError, "two products"),
        (("P", "P"), {}, InvalidInputError, "different"),
        (("P", "Z"), {}, InvalidInputError, "'Z'"),
        (("P", "A"), {}, InvalidInputError, "no task produces"),
        (("P", "Q"), {"horizon": 3}, InvalidInputError, "'P'.*none of it"),
        (("P", "Q"), {"horizon": 3, "n_events": None}, InvalidInputError, "'P'.*none of it"),
        (("P", "Q"), {"horizon": 0}, InvalidInputError, "horizon"),
    ],
)
def test_what_has_no_boundary_is_refused(products, options, error, message):
    options = {"horizon": 7, "n_events": 4, "max_span": 0} | options
    with pytest.raises(error, match=message):
        trace_frontier(load_example("storage_trap"), products=products, **options)
