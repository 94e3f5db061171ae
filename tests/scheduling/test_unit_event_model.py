"""The unit-event model: published optima, an exact reference on a grid, and every constraint."""

from __future__ import annotations

import math

import pyomo.environ as pyo
import pytest
from small_plants import plant
from test_storage_in_time import SHOWN_IN_BLOCK
from time_grid import best_on_grid, draw_plant

from stnopt.plant import load_example, read_network
from stnopt.scheduling.formulations.unit_specific.storage import add_storage_in_time
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_targets,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.solve import Status, solve


def best(network, *, horizon, n_events, max_span=0, objective="profit", gap=1e-6):
    """Return the optimum, once the replay has agreed with it."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    set_objective(model, objective)
    result = solve(model, relative_gap=gap)
    assert result.status is Status.OPTIMAL
    schedule = extract_schedule(model, network)
    assert find_violations(schedule, network) == []
    assert schedule_value(schedule, network, objective) == pytest.approx(
        result.objective, rel=1e-6, abs=1e-6
    )
    return result.objective


@pytest.mark.few_cases(4)
@pytest.mark.parametrize(
    ("name", "horizon", "n_events", "optimum"),
    [
        ("motivating", 12, 4, 71.518),
        ("motivating_exact_beta", 12, 4, 71.473),
        ("ex2", 8, 4, 1498.57),
        ("ex2_exact_thirds", 8, 4, 1498.185),
        ("ex1", 8, 4, 1840.17),
        ("ex1", 12, 6, 3463.62),
        ("mg2003_appendix_a", 6, 5, 100),
        ("storage_trap", 7, 3, 20),
        ("storage_trap", 7, 4, 20),
        ("storage_trap", 7, 5, 20),
    ],
)
def test_optimum_of_the_literature(name, horizon, n_events, optimum):
    found = best(load_example(name), horizon=horizon, n_events=n_events)
    assert found == pytest.approx(optimum, abs=0.006)


def test_the_papers_plant():
    network = load_example("kumawat_2021")
    model = build_scheduling_model(network, horizon=8, n_events=5)
    set_objective(model, "profit")
    assert solve(model, relative_gap=1e-6).objective == pytest.approx(650.0, abs=0.01)
    schedule = extract_schedule(model, network)
    assert schedule.final_stock["S9"] == pytest.approx(87.75, abs=0.01)
    assert schedule.final_stock["S8"] == pytest.approx(52.00, abs=0.01)
    assert schedule_value(schedule, network, "profit") == pytest.approx(650.0, abs=0.01)
    most = best(network, horizon=8, n_events=5, objective="production")
    assert most == pytest.approx(149.82, abs=0.01)


#: Event points and spans to grow through; plants of these sizes need no more.
LADDER = [(2, 0), (4, 0), (5, 1), (6, 2), (8, 3)]


@pytest.mark.few_seeds(6)
@pytest.mark.parametrize("seed", range(40))
def test_model_reaches_the_optimum_of_the_time_grid_and_never_more(seed):
    network, hours = draw_plant(seed), 4 + seed % 4
    reference = best_on_grid(network, hours)
    tolerance = 1e-5 * max(1, reference)
    for n_events, max_span in LADDER:
        model = build_scheduling_model(network, horizon=hours, n_events=n_events, max_span=max_span)
        set_objective(model, "profit")
        result = solve(model, relative_gap=1e-7)
        assert result.status is Status.OPTIMAL
        value = schedule_value(extract_schedule(model, network), network, "profit")
        assert value == pytest.approx(result.objective, abs=tolerance)
        assert value <= reference + tolerance
        if value >= reference - tolerance:
            return
    pytest.fail(f"stays at {value} below {reference}: {network.to_dict()}")


TWO = plant(
    {"A": {"initial": 30}, "I": {"capacity": 4, "initial": 1}, "P": {"price": 1}},
    {
        "Make": {
            "consumes": {"A": 1},
            "produces": {"I": 1},
            "units": {
                "U1": {"min_batch": 2, "max_batch": 10, "fixed_time": 1, "time_per_amount": 0.1}
            },
        },
        "Use": {
            "consumes": {"I": 1},
            "produces": {"P": 1},
            "units": {"U2": {"max_batch": 8, "fixed_time": 2}},
        },
    },
)


def forbids(network, constraint, values, *, horizon=10.0, n_events=3, max_span=0):
    """Whether a constraint refuses values that the model holds; they are taken as they are."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    for var in model.component_data_objects(pyo.Var):
        if not var.fixed:
            var.set_value(0.0, skip_validation=True)
    for (name, index), value in values.items():
        model.component(name)[index].set_value(value, skip_validation=True)
    return any(row.slack() < -1e-9 for row in model.component(constraint).values())


def times(unit, *points):
    return {("unit_time", (unit, n)): t for n, t in enumerate(points)}


MAKE0, MAKE1, USE1, USE2 = (
    ("Make", "U1", 0, 0),
    ("Make", "U1", 1, 0),
    ("Use", "U2", 1, 0),
    ("Use", "U2", 2, 0),
)
SPANNING = ("Make", "U1", 0, 1)

#: constraint -> (values it forbids, values next to them that it allows, options)
SHOWN = {
    "one_batch_at_a_time": (
        {("run", SPANNING): 1, ("run", MAKE1): 1},
        {("run", MAKE0): 1, ("run", MAKE1): 1},
        {"max_span": 1},
    ),
    "largest_batch": (
        {("run", MAKE0): 1, ("size", MAKE0): 10.1},
        {("run", MAKE0): 1, ("size", MAKE0): 10.0},
        {},
    ),
    "smallest_batch": (
        {("run", MAKE0): 1, ("size", MAKE0): 1.9},
        {("run", MAKE0): 1, ("size", MAKE0): 2.0},
        {},
    ),
    "points_in_order": (times("U1", 3, 2, 4, 5), times("U1", 2, 2, 4, 5), {}),
    "next_point_after_batch": (
        {("run", MAKE0): 1, ("size", MAKE0): 5, **times("U1", 1, 2.4, 9, 9)},
        {("run", MAKE0): 1, ("size", MAKE0): 5, **times("U1", 1, 2.5, 9, 9)},
        {},
    ),
    "later_batches_fit": (
        {("run", MAKE1): 1, ("size", MAKE1): 10, **times("U1", 0, 8.1, 9, 9)},
        {("run", MAKE1): 1, ("size", MAKE1): 10, **times("U1", 0, 8.0, 9, 9)},
        {},
    ),
    "earlier_batches_fit": (
        {("run", MAKE0): 1, ("run", MAKE1): 1, **times("U1", 0, 1, 1.9, 2)},
        {("run", MAKE0): 1, ("run", MAKE1): 1, **times("U1", 0, 1, 2, 2)},
        {},
    ),
    "finish_in_time": (times("U1", 0, 0, 0, 10.1), times("U1", 0, 0, 0, 10), {}),
    "consume_after_release": (
        {("run", MAKE0): 1, ("size", MAKE0): 5, ("run", USE2): 1, ("unit_time", ("U2", 2)): 1.4},
        {("run", MAKE0): 1, ("size", MAKE0): 5, ("run", USE2): 1, ("unit_time", ("U2", 2)): 1.5},
        {},
    ),
    "material_balance": (
        {
            **{("stock", (s, p)): v for s, v in (("A", 30), ("I", 1)) for p in range(4)},
            ("size", USE1): 2,
        },
        {
            **{("stock", ("A", p)): 30 for p in range(4)},
            **{("stock", ("I", p)): v for p, v in enumerate((1, 0.5, 0.5, 0.5))},
            ("size", USE1): 0.5,
            ("stock", ("P", 2)): 0.5,
            ("stock", ("P", 3)): 0.5,
        },
        {},
    ),
}


@pytest.mark.parametrize("constraint", SHOWN)
def test_constraint_forbids_what_it_says(constraint):
    bad, good, options = SHOWN[constraint]
    assert forbids(TWO, constraint, bad, **options)
    assert not forbids(TWO, constraint, good, **options)


NO_STOCK = plant(
    {"A": {"initial": 30}, "I": {}, "P": {"price": 1}},
    {name: TWO.to_dict()["tasks"][name] for name in ("Make", "Use")},
)


def test_earliest_start_keeps_a_unit_until_its_material_can_be_there():
    # The shortest batch of Make takes 1.2; U2 has nothing else, so the bound says it for all.
    model = build_scheduling_model(NO_STOCK, horizon=10, n_events=3)
    assert model.unit_time["U2", 0].lb == pytest.approx(1.2)
    assert len(model.earliest_start) == 0
    shared = NO_STOCK.to_dict()
    shared["tasks"]["Make"]["units"]["U2"] = {"max_batch": 4, "fixed_time": 3}
    network = read_network(shared)
    early = {("run", USE1): 1, **times("U2", 0, 1.1, 5, 5)}
    assert forbids(network, "earliest_start", early)
    assert not forbids(network, "earliest_start", {**early, ("unit_time", ("U2", 1)): 1.2})


def test_idle_points_may_lie_after_the_makespan_only_on_units_that_never_run():
    bad = {("run", USE1): 1, ("idle_until", "U2"): 0.1}
    assert forbids(NO_STOCK, "idle_if_never_run", bad)
    assert not forbids(NO_STOCK, "idle_if_never_run", {**bad, ("run", USE1): 0})


ZERO_WAIT = plant(
    {"A": {"initial": 30}, "I": {"zero_wait": True}, "P": {"price": 1}},
    {name: TWO.to_dict()["tasks"][name] for name in ("Make", "Use")},
)


@pytest.mark.parametrize(
    ("constraint", "batch", "when", "handover", "good"),
    [
        ("handover_not_before_release", MAKE0, 0.0, 1.1, 1.2),
        ("handover_not_after_release", MAKE0, 0.0, 1.3, 1.2),
        ("consumption_not_before_handover", USE1, 1.0, 1.1, 1.0),
        ("consumption_not_after_handover", USE1, 1.0, 0.9, 1.0),
    ],
)
def test_zero_wait_constraint_ties_a_batch_to_its_handover(constraint, batch, when, handover, good):
    values = {("run", batch): 1, ("size", batch): 2, ("unit_time", batch[1:3]): when}
    assert forbids(ZERO_WAIT, constraint, {**values, ("handover", ("I", 1)): handover})
    assert not forbids(ZERO_WAIT, constraint, {**values, ("handover", ("I", 1)): good})
    idle = {("handover", ("I", 1)): handover, ("unit_time", batch[1:3]): when}
    assert not forbids(ZERO_WAIT, constraint, idle)


def test_zero_wait_material_is_not_made_when_nobody_is_left_to_take_it():
    last = ("Make", "U1", 2, 0)
    assert forbids(ZERO_WAIT, "handover_not_before_release", {("run", last): 1})


def test_every_constraint_is_shown_by_a_test():
    """A new constraint needs a row above, or in `SHOWN_IN_BLOCK`, before this passes."""
    by_other_tests = {
        "earliest_start",
        "idle_if_never_run",
        "handover_not_before_release",
        "handover_not_after_release",
        "consumption_not_before_handover",
        "consumption_not_after_handover",
        "producers_then_consumers",  # test_tightening.py
    }
    entries = TWO.to_dict()
    entries["states"] |= {"I": {"capacity": 4}, "J": {"zero_wait": True}}
    entries["tasks"]["Make"]["produces"] = {"I": 0.5, "J": 0.5}
    entries["tasks"]["Make"]["units"]["U1"]["release_time"] = {"I": 0.5}
    entries["tasks"]["Make"]["units"]["U3"] = {"max_batch": 4, "fixed_time": 1}
    entries["tasks"]["End"] = {
        "consumes": {"J": 1},
        "produces": {"P": 1},
        "units": {"U2": {"max_batch": 8, "fixed_time": 1}},
    }
    network = read_network(entries)
    model = build_scheduling_model(network, horizon=10, n_events=3, max_span=1)
    add_storage_in_time(model, "I")
    built = {c.local_name for c in model.component_objects(pyo.Constraint) if len(c)}
    assert built == {*SHOWN, *by_other_tests, *SHOWN_IN_BLOCK}


def test_idle_unit_does_not_hold_up_the_makespan():
    # U2 could not start before 5, but is not needed: 10 of Q take 1.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            "Slow": {
                "consumes": {"A": 1},
                "produces": {"I": 1},
                "units": {"U1": {"max_batch": 10, "fixed_time": 5}},
            },
            "Use": {
                "consumes": {"I": 1},
                "produces": {"P": 1},
                "units": {"U2": {"max_batch": 10, "fixed_time": 1}},
            },
            "Quick": {
                "consumes": {"A": 1},
                "produces": {"Q": 1},
                "units": {"U3": {"max_batch": 10, "fixed_time": 1}},
            },
        },
    )
    for targets, makespan in (({"Q": 10}, 1), ({"P": 10}, 6), ({"P": 10, "Q": 20}, 6)):
        model = build_scheduling_model(network, horizon=20, n_events=2)
        require_targets(model, targets)
        set_objective(model, "makespan")
        assert solve(model).objective == pytest.approx(makespan)


def test_a_task_that_lacks_material_forever_never_runs():
    entries = TWO.to_dict()
    entries["states"]["X"] = {}
    entries["tasks"]["Never"] = {
        "consumes": {"X": 1},
        "produces": {"P": 1},
        "units": {"U2": {"max_batch": 8, "fixed_time": 1}},
    }
    model = build_scheduling_model(read_network(entries), horizon=10, n_events=3)
    assert not [b for b in model.BATCHES if b[0] == "Never"]
    set_objective(model, "profit")
    assert solve(model, relative_gap=1e-6).objective == pytest.approx(
        best(TWO, horizon=10, n_events=3)
    )


def test_every_variable_is_bounded():
    """HiGHS 1.15 loses optima where big-M rows meet unbounded columns."""
    network = load_example("ex1")
    model = build_scheduling_model(network, horizon=8, n_events=3, max_span=1)
    for state in model.storage_in_time.index_set():
        add_storage_in_time(model, state)
    for var in model.component_data_objects(pyo.Var):
        assert math.isfinite(var.lb), var.name
        assert math.isfinite(var.ub), var.name


def test_any_consistent_units_give_the_same_schedule():
    entries = load_example("storage_trap").to_dict()
    for task in entries["tasks"].values():
        for entry in task["units"].values():
            entry["fixed_time"] *= 3600
            entry["max_batch"] *= 1e-3
    found = best(read_network(entries), horizon=7 * 3600, n_events=4)
    assert found == pytest.approx(20e-3, rel=1e-6)


def test_what_leaves_early_is_there_before_the_events_of_its_batch_are_over():
    # R follows from S at t=2, while M still runs until t=5 and makes T: of that, use the stock.
    network = plant(
        {"A": {"initial": 8}, "S": {}, "T": {"initial": 4}, "R": {}, "P": {"price": 1}},
        {
            "M": {
                "consumes": {"A": 1},
                "produces": {"S": 0.5, "T": 0.5},
                "units": {"U1": {"max_batch": 8, "fixed_time": 5, "release_time": {"S": 1}}},
            },
            "N": {
                "consumes": {"S": 1},
                "produces": {"R": 1},
                "units": {"U2": {"max_batch": 4, "fixed_time": 1}},
            },
            "O": {
                "consumes": {"R": 0.5, "T": 0.5},
                "produces": {"P": 1},
                "units": {"U3": {"max_batch": 8, "fixed_time": 1}},
            },
        },
    )
    assert best(network, horizon=5, n_events=4, max_span=2) == pytest.approx(8)
    assert best_on_grid(network, 5) == pytest.approx(8)
