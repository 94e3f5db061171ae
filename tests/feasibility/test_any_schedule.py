"""Labels of long horizons, without event points: against hand counts and the tests' own grid."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

import stnopt as so
from stnopt.feasibility import any_schedule, certified_region, choose_events
from stnopt.feasibility.scope import ask_about
from stnopt.plant import Delivery, Order, PlantState, Problem, load_example, read_network

sys.path.append(str(Path(__file__).parents[1] / "scheduling"))

from time_grid import add_rules, best_of_all, draw_deliveries, draw_plant

ONE_UNIT = read_network(
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
HOURS = 6


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(any_schedule, "_SEARCHES", 3)
    monkeypatch.setattr(any_schedule, "_SECONDS", 0.2)
    monkeypatch.setattr(any_schedule, "_CHECKS", 20)
    monkeypatch.setattr(any_schedule, "_RETIMED", 10)
    monkeypatch.setattr(certified_region, "_N_OUTLINE", 64)


def label(network, targets, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ targets are undecided: no schedule")
        return so.label_targets(network, targets, **options)


@pytest.mark.long
def test_labels_of_twenty_batches_are_those_of_a_count(quick, tmp_path):
    targets = so.sample_targets({"P": (0, 230), "Q": (0, 230)}, 200, seed=0)
    store = tmp_path / "labels.jsonl"
    samples = label(ONE_UNIT, targets, horizon=40, store=store)
    batches = np.ceil(targets.to_numpy() / 10 - 1e-9).sum(axis=1)
    truth = np.where(batches <= 20, -1, 1)
    decided = samples.labels != 0
    np.testing.assert_array_equal(samples.labels[decided], truth[decided])
    assert np.mean(decided) > 0.6
    assert samples.scope["n_events"] is None
    again = label(ONE_UNIT, targets, horizon=40, store=store)
    assert np.all(again.labels[decided] == samples.labels[decided])


@pytest.mark.parametrize(
    "products", [["P", "Q"], pytest.param(["Q", "P", "R"], marks=pytest.mark.long)]
)
def test_the_outline_of_a_region_is_true(products, quick):
    plant = ONE_UNIT.to_dict()
    plant["states"]["R"] = {"price": 1}
    plant["tasks"]["MakeR"] = {**plant["tasks"]["MakeP"], "produces": {"R": 1}}
    network = read_network(plant)
    region = so.trace_frontier(network, horizon=40, products=products)
    assert region.upper == pytest.approx([200] * len(products), rel=1e-3)
    targets = np.random.default_rng(0).uniform(0, 210, (500, len(products)))
    truth = np.where(np.ceil(targets / 10).sum(axis=1) <= 20, -1, 1)
    labels = region.label(targets)
    assert np.all(labels * truth >= 0)
    assert 0 < region.gap < 0.5
    for schedule in region.schedules:
        assert not so.find_violations(schedule, network)
    assert so.CertifiedRegion.load(region.to_json()).gap == region.gap


@pytest.mark.few_cases(2)
@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(8))
def test_labels_agree_with_the_grid(seed, quick, monkeypatch):
    monkeypatch.setattr(choose_events, "_MOST_BATCHES", 0.0)
    network = add_rules(
        draw_plant(9000 + seed), seed, periods=seed % 3 == 0, changeovers=seed % 2 == 0
    )
    made = [s for s in network.states if network.producers(s) and not network.states[s].zero_wait]
    products = [s for s in "PQIJ" if s in made][:2]
    random = Random(seed)
    targets = pd.DataFrame(
        [[random.choice([0, 0.5, 1.5, 2.5, 4.5, 8.5]) for _ in products] for _ in range(5)],
        columns=products,
    )
    deliveries = draw_deliveries(network, seed, HOURS)[:1] if seed % 4 == 1 else []
    problem = Problem(horizon=HOURS, deliveries=tuple(deliveries))
    samples = label(network, targets, problem=problem)
    assert samples.scope["n_events"] is None
    for row, found in enumerate(samples.labels):
        last = [Delivery(s, HOURS, a) for s, a in targets.loc[row].items() if a > 0]
        met = best_of_all(network, HOURS, [*deliveries, *last]) is not None
        assert found in (0, -1 if met else 1)


def test_a_plant_that_makes_nothing_of_a_product_is_refused():
    plant = ONE_UNIT.to_dict()
    plant["states"]["A"] = {"initial": 0}
    network = read_network(plant)
    with pytest.raises(so.InvalidInputError, match="'P': the plant can make none"):
        so.trace_frontier(network, horizon=40, products=["P", "Q"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"horizon": 8}, "event points"),
        ({"horizon": 48, "sense": "exactly"}, "exactly"),
        ({"horizon": 48, "start": PlantState(stocks={"S4": 10})}, "under way"),
        ({"problem": Problem(horizon=48, orders=(Order(1, "S9", 5, 24),))}, "orders"),
    ],
)
def test_what_needs_event_points_is_said(options, reason):
    asked = {"horizon": None, "problem": None, "start": None, **options}
    assert reason in any_schedule.why_not_any_schedule(ask_about(load_example("ex2"), **asked))


def test_labels_that_were_decided_are_kept(quick, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(any_schedule, "search_long_horizon", stop)
    targets = pd.DataFrame({"P": [150.0, 10.0], "Q": [150.0, 10.0]})
    with pytest.warns(UserWarning, match="1 of 2 targets are undecided: labelling was interrupted"):
        samples = so.label_targets(ONE_UNIT, targets, horizon=40)
    assert samples.labels.tolist() == [1, 0]
    assert samples.scope["stopped"] == "interrupted"
