"""Rows that only help the solver: the same optimum with and without, and away where they may not.

"Without" is the plain model, all tightening rows taken out; a row that cuts off what it must not
shows as a difference. `test_random_plants` compares the whole with a time grid.
"""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
import small_plants
from hypothesis import HealthCheck, Phase, given, settings
from random_plants import plants
from small_plants import run, task

import stnopt as so
from stnopt.scheduling.formulations.unit_specific.tightening import dominance
from stnopt.scheduling.handle import scheduling_handle


def plant(states, *tasks):
    """Each task as (name, unit, hours, consumes, produces), batches of up to 10."""
    made = {
        name: task(consumes, produces, **{unit: run(hours, 10)})
        for name, unit, hours, consumes, produces in tasks
    }
    return small_plants.plant(states, made)


STORED_FIRST = plant(
    {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 10}},
    ("make", "U1", 2, "A", "I"),
    ("finish", "U2", 3, "I", "P"),
)


def build(network, *, horizon=8.0, n_events=4, max_span=0, kind="profit", tightened=True):
    model = so.build_scheduling_model(
        network, horizon=horizon, n_events=n_events, max_span=max_span
    )
    so.set_objective(model, kind)
    if not tightened:
        strip(model)
    return model


def strip(model):
    scheduling_handle(model).dominance = None
    model.producers_then_consumers.deactivate()


def rows_there(model):
    with dominance(model):
        return model.component("dominance_rows") is not None


@pytest.mark.few_cases(3)
@pytest.mark.parametrize(
    ("example", "horizon", "n_events", "max_span", "kind", "targets"),
    [
        pytest.param("ex2_exact_thirds", 8, 5, 0, "profit", {}, marks=pytest.mark.long),
        ("ex2", 8, 4, 1, "production", {}),
        ("ex1", 12, 5, 0, "profit", {}),
        ("kondili1993", 10, 5, 1, "profit", {}),
        ("mg2003_appendix_a", 6, 5, 0, "profit", {}),
        ("storage_trap", 7, 4, 0, "profit", {}),
        pytest.param("ex2", 20, 5, 0, "makespan", {"S8": 60, "S9": 60}, marks=pytest.mark.long),
        ("chu2013", 900, 6, 0, "cost", {"P1": 40, "P4": 40}),
    ],
)
def test_optimum_is_the_same_without_them(example, horizon, n_events, max_span, kind, targets):
    network = so.load_example(example)
    values = []
    for tightened in (True, False):
        model = build(
            network,
            horizon=horizon,
            n_events=n_events,
            max_span=max_span,
            kind=kind,
            tightened=tightened,
        )
        if targets:
            so.require_targets(model, targets)
        result = so.solve(model, relative_gap=1e-6)
        assert result.status is so.Status.OPTIMAL
        values.append(result.objective)
    assert values[0] == pytest.approx(values[1], rel=2e-6)


@pytest.mark.long
def test_random_plants_keep_their_optimum():
    compared = []

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plants())
    def compare(network):
        values = []
        for tightened in (True, False):
            model = build(network, horizon=8, n_events=4, max_span=1, tightened=tightened)
            result = so.solve(model, relative_gap=1e-7, node_limit=5000)
            if result.status is not so.Status.OPTIMAL:
                return  # undecided: nothing to compare
            values.append(result.objective)
        assert values[0] == pytest.approx(values[1], rel=1e-6, abs=1e-5)
        compared.append(network)

    compare()
    assert len(compared) >= 38


@pytest.mark.long
def test_rows_shorten_the_search():
    network = so.load_example("ex2_exact_thirds")
    nodes = [
        so.solve(build(network, n_events=5, tightened=tightened)).n_nodes
        for tightened in (True, False)
    ]
    assert nodes[0] < 0.7 * nodes[1]


def test_plain_model_is_left_as_it_was():
    model = build(so.load_example("ex2"))
    before = {key: var.ub for key, var in model.stock.items()}
    with dominance(model):
        during = {key: var.ub for key, var in model.stock.items()}
        assert model.dominance_rows.not_shifted
    assert model.component("dominance_rows") is None
    assert {key: var.ub for key, var in model.stock.items()} == before
    assert all(during[key] >= before[key] for key in before)


def test_batch_for_nobody_is_cut_off_and_no_other():
    """Two batches of `make`, one of them too late for `finish`."""
    model = build(STORED_FIRST, horizon=8, n_events=3)
    model.objective.deactivate()
    model.late = pyo.Objective(expr=-model.final_stock["P"])
    with dominance(model):
        rows = model.dominance_rows
        for batch in model.BATCHES:
            model.run[batch].set_value(0)
        model.run["make", "U1", 2, 0].set_value(1)
        assert pyo.value(rows.used["make", "U1", 2, 0].body) > 0
        model.run["make", "U1", 2, 0].set_value(0)
        model.run["make", "U1", 0, 0].set_value(1)
        model.run["finish", "U2", 1, 0].set_value(1)
        assert all(pyo.value(row.body) <= 1e-9 for row in rows.used.values())


def best(network, **options):
    model = build(network, **options)
    result = so.solve(model)
    assert result.status is so.Status.OPTIMAL
    so.extract_schedule(model, network)
    return result.objective


def test_consumers_of_a_stock_do_not_wait_for_a_producer_that_never_runs():
    """`use` has 40 from stock to take in four hours; `late` could run from the third on."""
    network = plant(
        {"A": {"initial": "unlimited"}, "J": {}, "I": {"initial": 100}, "P": {"price": 1}},
        ("first", "U1", 3, {"A": 1}, {"J": 1}),
        ("late", "U2", 1, {"J": 1}, {"I": 1}),
        ("use", "U3", 1, {"I": 1}, {"P": 1}),
    )
    for n_events in (4, 5):
        assert best(network, horizon=4, n_events=n_events) == pytest.approx(40)
    assert best(network, horizon=4, n_events=5, kind="production") == pytest.approx(40)


def test_the_time_that_a_batch_leaves_counts_early_releases():
    """`first` [0, 1], `slow` [1, 4], which may give I at 3, and then `last` [3, 4]."""
    entries = plant(
        {"A": {"initial": "unlimited"}, "J": {}, "I": {}, "P": {"price": 1}},
        ("first", "U1", 1, {"A": 1}, {"J": 1}),
        ("slow", "U2", 3, {"J": 1}, {"I": 1}),
        ("last", "U3", 1, {"I": 1}, {"P": 1}),
    ).to_dict()
    assert best(so.read_network(entries), horizon=4, n_events=3) == pytest.approx(0)
    entries["tasks"]["slow"]["units"]["U2"]["release_time"] = {"I": 2}
    assert best(so.read_network(entries), horizon=4, n_events=3) == pytest.approx(10)


def test_batch_stays_after_a_consumer_that_must_not_wait_for_it():
    """The slow producer's batch counts after the first `finish` [2, 5], for the second [5, 8]."""
    network = plant(
        {"A": {"initial": "unlimited"}, "B": {"initial": 10}, "I": {}, "P": {"price": 1}},
        ("quick", "U1", 2, {"B": 1}, {"I": 1}),
        ("slow", "U2", 4, {"A": 1}, {"I": 1}),
        ("finish", "U3", 3, {"I": 1}, {"P": 1}),
    )
    assert best(network, n_events=3) == pytest.approx(20)


def test_batch_for_nobody_that_empties_a_storage_stays():
    """Without `dump` the 5 of X of each `make` block its unit; `finish` is too long for the day."""
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "X": {"capacity": 0},
            "I": {},
            "P": {"price": 1},
            "Q": {"price": 1},
        },
        ("make", "U1", 2, {"A": 1}, {"P": 0.5, "X": 0.5}),
        ("dump", "U2", 1, {"X": 1}, {"I": 1}),
        ("finish", "U3", 10, {"I": 1}, {"Q": 1}),
    )
    assert best(network, horizon=6, n_events=4) == pytest.approx(15)


def test_batch_for_nobody_that_takes_what_cannot_wait_stays():
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "Z": {"zero_wait": True},
            "I": {},
            "P": {"price": 1},
            "Q": {"price": 1},
        },
        ("make", "U1", 2, {"A": 1}, {"P": 0.5, "Z": 0.5}),
        ("dump", "U2", 1, {"Z": 1}, {"I": 1}),
        ("finish", "U3", 10, {"I": 1}, {"Q": 1}),
    )
    assert best(network, horizon=5, n_events=3) == pytest.approx(10)


def test_batch_for_nobody_that_uses_up_a_product_stays():
    network = plant(
        {
            "A": {"initial": "unlimited"},
            "W": {"price": 1, "initial": 7},
            "I": {},
            "Q": {"price": 1},
        },
        ("make", "U1", 2, {"A": 1}, {"W": 1}),
        ("burn", "U2", 2, {"W": 1}, {"I": 1}),
        ("finish", "U3", 10, {"I": 1}, {"Q": 1}),
    )
    model = build(network, horizon=5, n_events=2)
    so.require_targets(model, {"W": 3}, sense="exactly")
    assert rows_there(model)
    assert so.solve(model).status is so.Status.OPTIMAL


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: so.require_targets(m, {"I": 10}),
        lambda m: setattr(m, "kept", pyo.Constraint(expr=m.final_stock["I"] >= 10)),
        lambda m: setattr(m, "drawn", pyo.Constraint(expr=m.final_stock["A"] >= 20)),
        lambda m: setattr(m, "poor", pyo.Constraint(expr=m.profit <= 50)),
        lambda m: so.require_value(m, "profit", at_most=50),
        lambda m: setattr(m, "two", pyo.Constraint(expr=m.n_batches["make", "U1"] >= 2)),
        lambda m: m.run["make", "U1", 1, 0].fix(1),
        lambda m: (
            m.objective.deactivate(),
            setattr(m, "own", pyo.Objective(expr=m.final_stock["I"], sense=pyo.maximize)),
        ),
    ],
    ids=[
        "target",
        "final stock",
        "raw material",
        "profit",
        "rule",
        "batches",
        "fixed",
        "objective",
    ],
)
def test_whoever_asks_for_what_they_change_is_served(ask):
    network = STORED_FIRST
    values = []
    for tightened in (True, False):
        model = build(network, n_events=3, tightened=tightened)
        ask(model)
        if tightened:
            assert not rows_there(model)
        result = so.solve(model)
        assert result.status is so.Status.OPTIMAL
        values.append(result.objective)
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: so.require_targets(m, {"P": 5}, sense="exactly"),
        lambda m: setattr(m, "wish", pyo.Constraint(expr=m.final_stock["P"] <= 7)),
        lambda m: so.require_value(m, "profit", at_least=10),
        lambda m: so.require_value(m, "makespan", at_most=7),
    ],
    ids=["target", "wanted", "profit", "makespan"],
)
def test_rows_stay_where_the_question_is_about_products(ask):
    model = build(STORED_FIRST, n_events=3)
    ask(model)
    assert rows_there(model)


def test_model_inside_another_is_plain():
    """Only `solve` of the scheduling model itself puts the rows in."""
    whole = pyo.ConcreteModel()
    whole.plant = build(STORED_FIRST, n_events=3)
    whole.kept = pyo.Constraint(expr=whole.plant.final_stock["I"] >= 10)
    result = so.solve(whole)
    assert result.status is so.Status.OPTIMAL
    assert pyo.value(whole.plant.final_stock["I"]) >= 10 - 1e-6
