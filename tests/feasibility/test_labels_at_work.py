"""Labels of plants that are under way, against a grid of the tests' own without any shared code."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from stnopt import (
    CertifiedRegion,
    InvalidInputError,
    UnsupportedModelError,
    add_region_constraint,
    build_scheduling_model,
    find_violations,
    fit_region,
    label_targets,
    load_region,
    sample_boundary,
    sample_targets,
    set_objective,
    solve_over_region,
    trace_frontier,
)
from stnopt.feasibility.scope import write_state
from stnopt.plant import (
    Delivery,
    Order,
    PlantState,
    Problem,
    load_example,
    read_network,
    read_state,
)

sys.path.append(str(Path(__file__).parents[1] / "scheduling"))

from time_grid import (
    add_calendars,
    add_rules,
    best_of_all,
    draw_orders,
    draw_plant,
    draw_state,
)

HOURS = 6


def drawn(seed):
    """Draw a plant with a state, three targets, and orders or deliveries as often as not."""
    network = add_rules(
        draw_plant(7000 + seed),
        seed,
        periods=seed % 5 == 0,
        changeovers=seed % 4 == 0,
        utilities=seed % 7 == 0,
        cleanings=seed % 6 == 0,
    )
    if seed % 3 == 1:
        network = add_calendars(network, seed)
    start = draw_state(network, seed)
    made = [s for s in network.states if network.producers(s) and not network.states[s].zero_wait]
    products = [s for s in "PQIJ" if s in made][:2]
    random = Random(seed)
    targets = pd.DataFrame(
        [[random.choice([0, 0.3, 0.6, 1.1, 2.1, 4.1]) for _ in products] for _ in range(4)],
        columns=products,
    )
    problem = Problem(horizon=HOURS)
    if seed % 4 == 2:
        orders = [replace(o, missing_cost=None) for o in draw_orders(network, seed, HOURS)[:1]]
        problem = replace(problem, orders=tuple(orders))
    if seed % 4 == 3:
        problem = replace(problem, deliveries=(Delivery(products[0], 4, 1.0),))
    return network, start, problem, targets


def is_met_on_grid(network, start, problem, target):
    """A target is a delivery of it at the horizon."""
    last = [Delivery(s, HOURS, a) for s, a in target.items() if a > 0]
    deliveries = [*problem.deliveries, *last]
    found = best_of_all(network, HOURS, deliveries, start=start, orders=problem.orders)
    return found is not None


#: What U1 holds has to be unloaded at 0 into a full storage, from which U1 itself takes it then: on
#: event points that is refused, while the replay and the grid allow it.
_REFUSED_BY_EVENT_POINTS = {8}


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", [s for s in range(41) if s not in _REFUSED_BY_EVENT_POINTS])
def test_labels_from_a_state_are_true(seed):
    network, start, problem, targets = drawn(seed)
    options = {"problem": problem, "start": start}
    try:
        samples = label_targets(network, targets, n_events=4, max_span=1, **options)
    except UnsupportedModelError:  # by name: tests/scheduling/test_rule_support.py
        assert seed % 3 == 1  # of those with calendars
        return
    assert samples.scope.get("state") == write_state(start, network)
    for row, label in enumerate(samples.labels):
        met = is_met_on_grid(network, start, problem, targets.loc[row].to_dict())
        if label == 1 and met:  # true of these event points; more of them make it
            more = label_targets(network, targets[row : row + 1], n_events=6, max_span=2, **options)
            assert more.labels.tolist() == [-1]
        else:
            assert label == (-1 if met else 1)


RUNNING = {
    "now": {
        "stocks": {"S4": 20, "S9": 15},
        "running": [{"task": "Reaction1", "unit": "R1", "started": -1, "size": 40, "remaining": 1}],
    }
}
SETTINGS = {"n_events": 4, "max_span": 0}


@pytest.fixture(scope="module")
def plant():
    return load_example("ex2")


@pytest.fixture(scope="module")
def start():
    return read_state(RUNNING)


@pytest.fixture(scope="module")
def labelled(plant, start):
    targets = sample_targets({"S9": (0, 110), "S8": (0, 110)}, 12, seed=4)
    return label_targets(plant, targets, horizon=8, start=start, **SETTINGS)


def test_a_state_can_be_read_back_from_what_labels_carry(plant, start, labelled):
    assert read_state({"now": json.loads(labelled.scope["state"])}) == start
    assert len(labelled.scope["state_digest"]) == 16


def test_the_plants_own_stocks_are_no_state(plant):
    same = PlantState(stocks={"S4": plant.states["S4"].initial})
    assert write_state(same, plant) is None
    assert write_state(PlantState(), plant) is None
    assert write_state(None, plant) is None


def test_what_a_state_starts_with_can_be_made(plant, labelled, start):
    without = label_targets(plant, labelled.targets, horizon=8, **SETTINGS)
    assert "state" not in without.scope
    assert np.sum(labelled.labels == -1) > np.sum(without.labels == -1)
    assert not np.any((labelled.labels == 1) & (without.labels == -1))


def test_a_store_is_refused_for_another_state(plant, start, tmp_path):
    path = tmp_path / "labels.jsonl"
    targets = pd.DataFrame({"S9": [10.0], "S8": [10.0]})
    label_targets(plant, targets, horizon=8, start=start, store=path, **SETTINGS)
    again = label_targets(plant, targets, horizon=8, start=start, store=path, **SETTINGS)
    assert again.scope["n_solves"] == 0
    other = replace(start, stocks={"S4": 30})
    with pytest.raises(
        InvalidInputError, match=r"state: .*\"S4\": 20.* there, .*\"S4\": 30.* here"
    ):
        label_targets(plant, targets, horizon=8, start=other, store=path, **SETTINGS)
    with pytest.raises(InvalidInputError, match=r"state: .* there, None here"):
        label_targets(plant, targets, horizon=8, store=path, **SETTINGS)


def test_regions_carry_the_state_and_are_refused_for_another(plant, start, labelled):
    region = load_region(fit_region(labelled, kernel="linear").region.to_json())
    assert region.origin["state"] == labelled.scope["state"]
    inputs = ("S9", "S8")
    for now, fits in ((start, True), (None, False), (replace(start, stocks={"S4": 30}), False)):
        model = build_scheduling_model(plant, horizon=8, n_events=4, start=now)
        set_objective(model, "profit")
        variables = {name: model.final_stock[name] for name in inputs}
        if fits:
            assert solve_over_region(model, region, variables).has_solution
            add_region_constraint(model, region, variables)
            continue
        for use in (
            lambda m, v: solve_over_region(m, region, v),
            lambda m, v: add_region_constraint(m, region, v),
        ):
            with pytest.raises(InvalidInputError, match="made from another state of plant 'ex2'"):
                use(model, variables)


@pytest.mark.long
def test_a_certified_region_carries_the_state_and_is_refused_for_other_samples(
    plant, start, labelled
):
    region = trace_frontier(plant, horizon=8, start=start, products=["S9", "S8"], **SETTINGS)
    assert CertifiedRegion.load(region.to_json()).scope["state"] == labelled.scope["state"]
    known = region.label(labelled.targets)
    assert not np.any(known * labelled.labels < 0)
    assert region.gap < 1e-3
    for schedule in region.schedules:
        assert schedule.start == start
        assert not find_violations(schedule, plant)
    fit_region(labelled, margin="certified", certified=region)
    other = trace_frontier(plant, horizon=8, products=["S9", "S8"], max_solves=6, **SETTINGS)
    with pytest.raises(InvalidInputError, match="made for something else: state"):
        fit_region(labelled, margin="certified", certified=other)


def test_a_certified_region_with_orders_is_true(plant):
    network = read_network(
        {
            "name": "one unit",
            "states": {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
            "tasks": {
                name: {
                    "consumes": {"A": 1},
                    "produces": {product: 1},
                    "units": {"U": {"max_batch": 10, "fixed_time": 2}},
                }
                for name, product in (("MakeP", "P"), ("MakeQ", "Q"))
            },
        }
    )
    # Three batches in 6 h, of which the order takes 6 of one of P.
    problem = Problem(horizon=6, orders=(Order("o", "P", 6, 4),))
    region = trace_frontier(network, problem=problem, products=["P", "Q"], n_events=3, max_span=0)
    assert region.upper == pytest.approx([24, 20])
    inside = [[23.99, 0], [13.99, 9.99], [3.99, 19.99]]
    outside = [[24.1, 0], [14.1, 10], [4.1, 20], [4, 20.1], [14, 10.1], [24, 0.1]]
    assert region.label(inside).tolist() == [-1] * 3
    assert region.label(outside).tolist() == [1] * 6
    for schedule in region.schedules:
        assert [served.order.id for served in schedule.orders] == ["o"]
        assert not find_violations(schedule, network)


def test_what_is_asked_twice_or_not_at_all_is_refused(plant, start):
    targets = pd.DataFrame({"S9": [10.0]})
    for arguments, message in (
        ({}, "horizon: give it"),
        ({"horizon": 8, "problem": Problem(horizon=9)}, "horizon: 8 here, 9.0 in the problem"),
        ({"problem": Problem(horizon=8, targets={"S8": 1})}, "its targets .'S8'. do not belong"),
        ({"horizon": 8, "start": {"stocks": {}}}, "start: expected a PlantState"),
        ({"horizon": 8, "problem": "ex2"}, "problem: expected a Problem"),
        ({"horizon": 8, "start": PlantState(stocks={"X": 1})}, "unknown state 'X'"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            label_targets(plant, targets, **arguments, **SETTINGS)


@pytest.mark.parametrize("sense", ["at_least", pytest.param("exactly", marks=pytest.mark.long)])
def test_boundary_samples_carry_the_state(plant, start, sense):
    bounds = {"S9": (0, 110), "S8": (0, 110)}
    options = {"n_solves": 6, "seed": 0, "n_samples": 8, "horizon": 8, "start": start}
    samples = sample_boundary(plant, bounds, sense=sense, **options, **SETTINGS)
    assert samples.scope["state"] == write_state(start, plant)
