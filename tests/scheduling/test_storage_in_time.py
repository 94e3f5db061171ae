"""Capacities at every instant: two units and one small tank, waiting in part, early release."""

from __future__ import annotations

import pyomo.environ as pyo
import pytest
from small_plants import plant, run, task
from time_grid import best_on_grid, draw_plant

from stnopt.scheduling.formulations.unit_specific.storage import add_storage_in_time
from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    limit_storage_in_time,
    set_objective,
)
from stnopt.scheduling.replay import find_violations, replay_stock
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.solve import Status, solve


def solved(network, *, horizon, n_events, max_span=0, everywhere=False):
    """Return value and schedule; `everywhere` limits all states at once, not only when broken."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    set_objective(model, "profit")
    if everywhere:
        for state in model.storage_in_time.index_set():
            limit_storage_in_time(model, state)
    result = solve(model, relative_gap=1e-7)
    assert result.status is Status.OPTIMAL
    schedule = extract_schedule(model, network)
    assert find_violations(schedule, network) == []
    assert schedule_value(schedule, network, "profit") == pytest.approx(
        result.objective, rel=1e-5, abs=1e-5
    )
    return result.objective, schedule


@pytest.mark.few_cases(3)
@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("n_events", [3, 4, 5])
def test_unit_that_holds_its_batch_cannot_start_another(n_events, everywhere):
    # Without room for I the 4 h of Other wait until Use takes the first batch, or come never.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            "MakeI": task({"A": 1}, {"I": 1}, U1=run(1, 10)),
            "Other": task({"A": 1}, {"Q": 1}, U1=run(4, 10)),
            "Use": task({"I": 1}, {"P": 1}, U2=run(3, 10)),
        },
    )
    value, _ = solved(network, horizon=7, n_events=n_events, everywhere=everywhere)
    assert value == pytest.approx(20)
    assert best_on_grid(network, 7) == pytest.approx(20)


@pytest.mark.parametrize("everywhere", [False, True])
def test_two_units_deliver_to_one_small_tank(everywhere):
    # U1 and U2 each make 4 by t=1 and again by t=2; U3 takes 6 at a time for 2 h.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 3, "price": 1}, "P": {"price": 2}},
        {
            "Make": task({"A": 1}, {"I": 1}, U1=run(1, 4), U2=run(1, 4)),
            "Use": task({"I": 1}, {"P": 1}, U3=run(2, 6)),
        },
    )
    value, schedule = solved(network, horizon=4, n_events=4, max_span=1, everywhere=everywhere)
    assert value == pytest.approx(best_on_grid(network, 4), abs=1e-4)
    stock = replay_stock(schedule, network)
    assert stock[stock.state == "I"].stored.max() <= 3 + 1e-5


@pytest.mark.parametrize("everywhere", [False, True])
def test_part_of_a_batch_waits_and_part_is_stored(everywhere):
    # A batch of 10 at t=1: 7 are used at once, 3 go to the tank, so that U1 can run Other.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 3}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            "Make": task({"A": 1}, {"I": 1}, U1=run(1, 10, min_batch=10)),
            "Other": task({"A": 1}, {"Q": 1}, U1=run(2, 10)),
            "Use": task({"I": 1}, {"P": 1}, U2=run(1, 7)),
        },
    )
    value, schedule = solved(network, horizon=3, n_events=4, everywhere=everywhere)
    assert value == pytest.approx(20)
    stock = replay_stock(schedule, network)
    assert stock[stock.state == "I"].stored.max() == pytest.approx(3)


@pytest.mark.parametrize(("capacity", "worth"), [(0, 55), (2, 55), (5, 55)])
@pytest.mark.parametrize("everywhere", [False, True])
def test_what_leaves_early_may_be_consumed_at_that_instant(everywhere, capacity, worth):
    # 5 of I leave at t=1 and cannot wait in U1; U2 takes them at once, whatever the tank holds.
    network = plant(
        {"A": {"initial": 10}, "I": {"capacity": capacity}, "J": {"price": 1}, "P": {"price": 10}},
        {
            "Make": task({"A": 1}, {"I": 0.5, "J": 0.5}, U1=run(3, 10, release_time={"I": 1})),
            "Use": task({"I": 1}, {"P": 1}, U2=run(2, 10)),
        },
    )
    value, _ = solved(network, horizon=4, n_events=3, everywhere=everywhere)
    assert value == pytest.approx(worth)


@pytest.mark.parametrize("everywhere", [False, True])
def test_early_release_into_a_full_tank_is_not_possible(everywhere):
    # The tank has 4 of 5; U2 is slow to start with I only after 2 h of another batch.
    network = plant(
        {
            "A": {"initial": 10},
            "B": {"initial": 4},
            "I": {"capacity": 5, "initial": 4},
            "J": {"price": 1},
            "P": {"price": 1},
            "Q": {"price": 9},
        },
        {
            "Make": task({"A": 1}, {"I": 0.5, "J": 0.5}, U1=run(3, 10, release_time={"I": 1})),
            "First": task({"B": 1}, {"Q": 1}, U2=run(3, 4)),
            "Use": task({"I": 1}, {"P": 1}, U2=run(1, 9)),
        },
    )
    value, schedule = solved(network, horizon=4, n_events=4, max_span=1, everywhere=everywhere)
    assert value == pytest.approx(best_on_grid(network, 4), abs=1e-4)
    stock = replay_stock(schedule, network)
    assert stock[stock.state == "I"].stored.max() <= 5 + 1e-5


@pytest.mark.parametrize("everywhere", [False, True])
def test_product_that_nobody_consumes_may_have_a_capacity(everywhere):
    # 4 in the tank and one batch of 4 that stays in the unit.
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"capacity": 4, "price": 1}},
        {"Make": task({"A": 1}, {"P": 1}, U1=run(1, 4))},
    )
    value, _ = solved(network, horizon=5, n_events=4, everywhere=everywhere)
    assert value == pytest.approx(8)


@pytest.mark.parametrize("everywhere", [False, True])
def test_three_units_that_start_again_at_one_instant_unload_together(everywhere):
    # At t=1 the three have made 12 and start again; Use takes 6 and 2 may be stored, so only 8 can
    # have been made. A circle of "before" among them would let each forget one of the others.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 2, "price": 0.5}, "P": {"price": 3}},
        {
            "Make": task({"A": 1}, {"I": 1}, U1=run(1, 4), U2=run(1, 4), U3=run(1, 4)),
            "Use": task({"I": 1}, {"P": 1}, U1=run(1, 2), U2=run(1, 2), U3=run(1, 2)),
        },
    )
    value, _ = solved(network, horizon=2, n_events=2, everywhere=everywhere)
    assert value == pytest.approx(6 * 3 + 2 * 0.5)
    assert best_on_grid(network, 2) == pytest.approx(6 * 3 + 2 * 0.5)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(100, 115))
def test_limits_from_the_start_lose_nothing_and_allow_nothing_more(seed):
    network, hours = draw_plant(seed, capacities=(0, 2, 4)), 5
    reference = best_on_grid(network, hours)
    for n_events, max_span in ((3, 0), (5, 1), (7, 2)):
        value, _ = solved(
            network, horizon=hours, n_events=n_events, max_span=max_span, everywhere=True
        )
        assert value <= reference + 1e-5 * max(1, reference)
        if value >= reference - 1e-5 * max(1, reference):
            return
    pytest.fail(f"stays at {value} below {reference}: {network.to_dict()}")


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(200, 210))
def test_looks_under_capacities_at_the_points_end_where_a_grid_of_hours_does(seed):
    network, hours = draw_plant(seed, capacities=(0, 2, 4)), 5
    model = build_scheduling_model(network, horizon=hours, n_events=4)
    set_objective(model, "profit")
    limits = {key: stock.ub for key, stock in model.stock.items()}
    result = solve(model, relative_gap=1e-7)
    assert result.status is Status.OPTIMAL
    assert result.objective <= best_on_grid(network, hours) * (1 + 1e-5) + 1e-5
    assert find_violations(extract_schedule(model, network), network) == []
    # All limits from the start: nothing is ever looked for.
    value, _ = solved(network, horizon=hours, n_events=4, everywhere=True)
    assert result.objective == pytest.approx(value, rel=1e-5, abs=1e-5)
    assert {key: stock.ub for key, stock in model.stock.items()} == limits
    assert not any(run.fixed for run in model.run.values())


def overfull_tank():
    """U1 makes 10 of I by 1 and by 2 and runs Other from 2 on; U2 takes 10 of I from 3 on."""
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 5}, "P": {"price": 1}, "Q": {"price": 1}},
        {
            "Make": task({"A": 1}, {"I": 1}, U1=run(1, 10)),
            "Other": task({"A": 1}, {"Q": 1}, U1=run(2, 10)),
            "Use": task({"I": 1}, {"P": 1}, U2=run(1, 10)),
        },
    )
    model = build_scheduling_model(network, horizon=6, n_events=4)
    set_objective(model, "profit")
    for var in model.component_data_objects(pyo.Var):
        var.set_value(0.0, skip_validation=True)
    for batch, start in {
        ("Make", "U1", 0, 0): 0,
        ("Make", "U1", 1, 0): 1,
        ("Other", "U1", 2, 0): 2,
        ("Use", "U2", 2, 0): 3,
    }.items():
        model.run[batch].set_value(1)
        model.size[batch].set_value(10)
        model.unit_time[batch[1], batch[2]].set_value(start)
    return network, model


@pytest.mark.parametrize(
    ("keep", "tasks"),
    [("all", {"Make", "Other", "Use"}), ("others", {"Other"}), ("nothing", set())],
)
def test_look_holds_stock_at_the_points_and_what_has_no_part_in_the_overfull_state(keep, tasks):
    _, model = overfull_tank()
    handle = scheduling_handle(model)
    before = {key: stock.ub for key, stock in model.stock.items()}
    assert handle.breaks_rules()
    with handle.restricted(keep=keep):
        assert max(stock.ub for (state, _), stock in model.stock.items() if state == "I") == 5
        kept = {batch for batch, var in model.run.items() if var.fixed}
        assert kept == {batch for batch in model.BATCHES if batch[0] in tasks}
        assert model.run["Other", "U1", 2, 0].value == 1
    assert {key: stock.ub for key, stock in model.stock.items()} == before
    assert not any(var.fixed for var in model.run.values())


def test_nothing_is_looked_for_where_nothing_is_overfull_or_storage_is_limited_in_time():
    _, model = overfull_tank()
    handle = scheduling_handle(model)
    with handle.left_incomplete():
        assert handle.restricted(keep="nothing") is None
        assert not handle.breaks_rules()
    limit_storage_in_time(model, "I")
    assert handle.restricted(keep="nothing") is None
    _, model = overfull_tank()
    for event in (0, 1):  # 5 when Other starts: the tank is full, not overfull
        assert scheduling_handle(model).restricted(keep="others") is not None
        model.size["Make", "U1", event, 0].set_value(2.5)
    assert scheduling_handle(model).restricted(keep="others") is None


#: I leaves U1 early and waits in U3; U2 consumes it. Unloadings: (unit, event, kind).
BLOCK = plant(
    {"A": {"initial": 30}, "I": {"capacity": 4, "initial": 1}, "J": {}, "P": {"price": 1}},
    {
        "Make": task(
            {"A": 1},
            {"I": 0.5, "J": 0.5},
            U1=run(1, 10, release_time={"I": 0.5}),
            U3=run(1, 8),
        ),
        "Use": task({"I": 1}, {"P": 1}, U2=run(2, 8)),
    },
)
AT_START = ("U2", 1, "U3", 1, "start")
AT_EARLY = ("U2", 1, "U1", 1, "early")
TWO_STARTS = ("U1", 1, "start", "U3", 1, "start")
BEFORE = {("unit_time", ("U2", 1)): 4, ("unit_time", ("U3", 1)): 5}
AFTER = {("unit_time", ("U2", 1)): 5, ("unit_time", ("U3", 1)): 4}
SAME = {("unit_time", ("U2", 1)): 4, ("unit_time", ("U3", 1)): 4}

#: constraint -> (its index, values that it forbids, values that it allows)
SHOWN_IN_BLOCK = {
    "waiting_in_unit": (
        ("U3", 1),
        {("kept", ("U3", 1)): 1},
        {("kept", ("U3", 1)): 1, ("size", ("Make", "U3", 0, 0)): 2},
    ),
    "unloaded_at_start": (
        ("U3", 1),
        {("unloaded", ("U3", 1)): 1},
        {("unloaded", ("U3", 1)): 1, ("run", ("Make", "U3", 1, 0)): 1},
    ),
    "nothing_kept_at_start": (
        ("U3", 1),
        {("kept", ("U3", 1)): 1, ("run", ("Make", "U3", 1, 0)): 1},
        {("kept", ("U3", 1)): 1},
    ),
    "direct_only_if_taken": (
        ("U3", "U2", 1),
        {("direct", ("U3", "U2", 1)): 1},
        {("direct", ("U3", "U2", 1)): 1, ("taken_direct", ("U3", "U2", 1)): 1},
    ),
    "direct_before_next_start": (
        ("U3", "U2", 1),
        {("taken_direct", ("U3", "U2", 1)): 1, ("run", ("Make", "U3", 1, 0)): 1, **AFTER},
        {("taken_direct", ("U3", "U2", 1)): 1, ("run", ("Make", "U3", 1, 0)): 1, **SAME},
    ),
    "direct_before_next_point": (
        ("U3", "U2", 1),
        {("taken_direct", ("U3", "U2", 1)): 1, **AFTER, ("unit_time", ("U3", 2)): 4.9},
        {("taken_direct", ("U3", "U2", 1)): 1, **AFTER, ("unit_time", ("U3", 2)): 5},
    ),
    "consumption_first": (
        AT_START,
        {("first", AT_START): 1, **AFTER},
        {("first", AT_START): 1, **SAME},
    ),
    "unloading_first": (AT_START, BEFORE, SAME),
    "together_only_if_first": (
        AT_EARLY,
        {("together", AT_EARLY): 1},
        {("together", AT_EARLY): 1, ("first", AT_EARLY): 1},
    ),
    "earlier_consumption_first": (
        AT_START,
        {("first", AT_START): 1},
        {("first", AT_START): 1, ("first", ("U2", 0, *AT_START[2:])): 1},
    ),
    "later_unloading": (
        TWO_STARTS,
        {("later", TWO_STARTS): 1, ("unit_time", ("U3", 1)): 1},
        {("later", TWO_STARTS): 1},
    ),
    "earlier_unloading": (
        TWO_STARTS,
        {("unit_time", ("U1", 1)): 1},
        {("unit_time", ("U1", 1)): 1, ("later", TWO_STARTS): 1},
    ),
    "higher_rank_if_later": (
        TWO_STARTS,
        {("later", TWO_STARTS): 1},
        {("later", TWO_STARTS): 1, ("rank", TWO_STARTS[:3]): 1},
    ),
    "lower_rank_if_earlier": (TWO_STARTS, {}, {("rank", TWO_STARTS[3:]): 1}),
    "supply": (
        ("U2", 1),
        {("size", ("Use", "U2", 1, 0)): 1},
        {("size", ("Use", "U2", 1, 0)): 1, ("from_initial", ("U2", 1)): 1},
    ),
    "flow_after_unloading": (
        AT_START,
        {("flow", AT_START): 1, ("first", AT_START): 1},
        {("flow", AT_START): 1},
    ),
    "unloaded_once": (
        AT_START[2:],
        {("flow", AT_START): 1},
        {("flow", AT_START): 1, ("unloaded", ("U3", 1)): 1},
    ),
    "initial_once": (
        None,
        {("from_initial", ("U2", 1)): 0.6, ("from_initial", ("U2", 2)): 0.6},
        {("from_initial", ("U2", 1)): 0.6, ("from_initial", ("U2", 2)): 0.4},
    ),
    "unloading_counts": (
        TWO_STARTS,
        {("unloaded", ("U1", 1)): 1},
        {("unloaded", ("U1", 1)): 1, ("counted", TWO_STARTS): 1},
    ),
    "consumption_counts": (
        AT_START,
        {("gone", AT_START): 1},
        {("gone", AT_START): 1, ("first", AT_START): 1},
    ),
    "consumption_from_storage": (
        AT_START,
        {("gone", AT_START): 1},
        {("gone", AT_START): 1, ("from_initial", ("U2", 1)): 1},
    ),
    "capacity_at_unloading": (
        AT_START[2:],
        {("unloaded", ("U3", 1)): 3.1},
        {("unloaded", ("U3", 1)): 3.1, ("gone", AT_START): 0.1},
    ),
}


@pytest.mark.parametrize("constraint", SHOWN_IN_BLOCK)
def test_constraint_of_the_block_forbids_what_it_says(constraint):
    index, bad, good = SHOWN_IN_BLOCK[constraint]
    model = build_scheduling_model(BLOCK, horizon=10, n_events=3)
    add_storage_in_time(model, "I")
    block = model.storage_in_time["I"]
    row = block.component(constraint)[index]
    for values, allowed in ((bad, False), (good, True)):
        for var in model.component_data_objects(pyo.Var):
            var.set_value(0.0, skip_validation=True)
        for (name, where), value in values.items():
            home = block if block.component(name) is not None else model
            home.component(name)[where].set_value(value, skip_validation=True)
        assert (row.slack() >= -1e-9) is allowed
