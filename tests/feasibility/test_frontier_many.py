"""Three products and more: inside is met, outside is not, and the rest is counted honestly."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

import stnopt
from stnopt.feasibility.oracle import TargetOracle
from stnopt.feasibility.refinement import halfspaces_below, is_below
from stnopt.solvers.solve import SolveResult, Status

PRODUCTS = ("S8", "S9", "S5")
SETTINGS = {"horizon": 8, "n_events": 4, "max_span": 0}


#: Every batch makes exactly so much of one product, one after another on one unit.
BATCHES = {"S8": 10, "S9": 7, "S5": 4}
STAIRS = stnopt.read_network(
    {
        "name": "stairs",
        "states": {"A": {"initial": "unlimited"}, "S8": {}, "S9": {}, "S5": {}},
        "tasks": {
            f"Make{name}": {
                "consumes": {"A": 1},
                "produces": {name: 1},
                "units": {"U": {"min_batch": size, "max_batch": size, "fixed_time": 2}},
            }
            for name, size in BATCHES.items()
        },
    }
)


@pytest.fixture(scope="module", params=["stairs", pytest.param("ex2", marks=pytest.mark.long)])
def network(request) -> stnopt.Network:
    return STAIRS if request.param == "stairs" else stnopt.load_example(request.param)


@pytest.fixture(scope="module")
def region(network) -> stnopt.CertifiedRegion:
    return stnopt.trace_frontier(
        network, products=PRODUCTS, tolerance=0.05, max_solves=18, **SETTINGS
    )


def test_labels_agree_with_single_solves(network, region):
    targets = stnopt.sample_targets(
        dict(zip(PRODUCTS, [(0, u) for u in region.upper], strict=True)), 20, seed=4
    )
    labels = region.label(targets)
    alone = stnopt.label_targets(network, targets, **SETTINGS).labels
    known = labels != 0
    assert known.sum() >= 10
    assert np.array_equal(labels[known], alone[known])


def test_every_point_has_a_schedule_that_makes_it(network, region):
    assert len(region.points) == len(region.schedules)
    for point, schedule in zip(region.points.to_numpy(), region.schedules, strict=True):
        assert stnopt.find_violations(schedule, network) == []
        made = [schedule.final_stock[p] for p in PRODUCTS]
        assert np.allclose(made, point, atol=1e-6)
    assert np.all(region.label(np.maximum(region.points, 0) * (1 - 1e-6)) == -1)


def test_the_gap_is_what_fresh_targets_say(region):
    points = region.upper * np.random.default_rng(11).random((4000, 3))
    low, high = region.gap_interval
    assert low <= region.gap <= high
    assert abs(np.mean(region.label(points) == 0) - region.gap) < 0.03
    assert region.n_solves <= 20  # the last question may be solved again with storage in time


def test_it_stops_once_clearly_less_than_the_tolerance_is_undecided(network, region):
    loose = stnopt.trace_frontier(network, products=PRODUCTS, tolerance=0.25, **SETTINGS)
    low, high = loose.gap_interval
    assert high < 0.25
    assert high - low < 0.01
    assert 3 < loose.n_solves < region.n_solves


def test_labels_are_monotone(region):
    rng = np.random.default_rng(2)
    points = region.upper * 1.2 * rng.random((2000, 3))
    steps = [region.label(points * s) for s in (0.4, 0.7, 1.0)]
    for smaller, larger in pairwise(steps):
        assert not np.any((smaller == 1) & (larger != 1))
        assert not np.any((larger == -1) & (smaller != -1))


@pytest.mark.parametrize("n_products", [2, 3])
def test_a_file_gives_the_same_region(network, region, tmp_path, n_products):
    if n_products == 2:
        region = stnopt.trace_frontier(network, products=PRODUCTS[:2], max_solves=12, **SETTINGS)
    path = tmp_path / "region.json"
    text = region.to_json(path)
    points = region.upper * 1.1 * np.random.default_rng(0).random((2000, n_products))
    for source in (path, text):
        again = stnopt.CertifiedRegion.load(source)
        assert np.array_equal(again.label(points), region.label(points))
        assert again.points.equals(region.points)
        assert again.schedules == region.schedules
        assert (again.gap, again.n_solves, again.scope) == (
            region.gap,
            region.n_solves,
            region.scope,
        )
        assert again.to_json() == text


@pytest.mark.parametrize(
    "text", ["{}", "{not json", '{"format": "another"}', '{"format": "stnopt certified region 1"}']
)
def test_another_file_is_refused(text):
    with pytest.raises(stnopt.InvalidInputError, match=r"certified region|not a region in JSON"):
        stnopt.CertifiedRegion.load(text)


def test_a_damaged_region_is_refused(region):
    content = json.loads(region.to_json())
    content["limits"][0]["bound"] = "low"
    with pytest.raises(stnopt.InvalidInputError, match="checksum differs"):
        stnopt.CertifiedRegion.load(json.dumps(content))
    del content["checksum"]
    content["format"] = "stnopt certified region 1"  # written before there were checksums
    with pytest.raises(stnopt.InvalidInputError, match="not a certified region"):
        stnopt.CertifiedRegion.load(json.dumps(content))


def test_event_points_are_chosen_where_nothing_has_a_price():
    reactor = {"R": {"max_batch": 10, "fixed_time": 2}}
    tasks = {
        f"Make{name}": {"consumes": {"Raw": 1}, "produces": {name: 1}, "units": reactor}
        for name in "AB"
    }
    states = {"Raw": {"initial": "unlimited", "cost": 1}, "A": {}, "B": {}}
    plant = stnopt.read_network({"name": "unpriced", "states": states, "tasks": tasks})
    region = stnopt.trace_frontier(plant, horizon=8, products=["A", "B"])
    # Four batches of 10 fit, whatever they make; 35 and 10 would be five.
    assert region.label([[39.9, 0], [19.9, 19.9], [9.9, 29.9], [35, 10]]).tolist() == [
        -1,
        -1,
        -1,
        1,
    ]


def test_below_a_mean_of_points():
    points = np.array([[4.0, 0.0, 2.0], [0.0, 4.0, 2.0]])
    inside = np.array([[2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [4.0, 0.0, 1.0], [1.0, 2.5, 0.3]])
    outside = np.array([[2.1, 2.0, 0.0], [0.0, 0.0, 2.1], [4.1, 0.0, 0.0]])
    halfspaces = halfspaces_below(points)
    assert np.all(is_below(halfspaces, inside - 1e-6 * (inside > 0)))
    assert not np.any(is_below(halfspaces, outside))
    single = halfspaces_below(points[:1])
    assert is_below(single, points[:1])[0]
    assert not is_below(single, np.array([[1.0, 0.1, 1.0]]))[0]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"status": Status.INFEASIBLE}, "can make none of it within 8"),
        ({"status": Status.OPTIMAL, "bound": 0.0}, "can make none of it within 8"),
        ({"status": Status.NO_SOLUTION, "bound": 50.0}, "undecided whether the plant can make any"),
        ({"status": Status.NO_SOLUTION}, "undecided whether the plant can make any"),
    ],
)
def test_a_limit_does_not_say_that_nothing_can_be_made(network, result, message, monkeypatch):
    answer = (SolveResult(**result), None)
    monkeypatch.setattr(TargetOracle, "maximise", lambda *_args, **_options: answer)
    with pytest.raises(stnopt.InvalidInputError, match=f"'S8': .*{message}"):
        stnopt.trace_frontier(network, products=PRODUCTS, **SETTINGS)


def test_one_product_is_refused(network):
    with pytest.raises(stnopt.UnsupportedModelError, match="two products or more"):
        stnopt.trace_frontier(network, products=["S8"], **SETTINGS)
