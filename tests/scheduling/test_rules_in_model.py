"""Maintenance, changeovers, utilities and deliveries in the unit-event model."""

from __future__ import annotations

import math
from pathlib import Path

import pyomo.environ as pyo
import pytest
from plants_with_rules import all_cases
from small_plants import plant, run, task
from time_grid import add_rules, best_on_grid, draw_deliveries, draw_plant

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant import Delivery, load_example, read_network
from stnopt.scheduling.formulations.unit_specific import utilities
from stnopt.scheduling.formulations.unit_specific.storage import add_storage_in_time
from stnopt.scheduling.formulations.unit_specific.utilities import add_utility_in_time
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    limit_storage_in_time,
    limit_utility_in_time,
    require_deliveries,
    require_targets,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.solve import Status, solve


def solved(network, *, horizon, n_events, max_span=0, deliveries=(), everywhere=False):
    """Return profit and schedule once the replay agrees; None and None if there is no schedule."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    set_objective(model, "profit")
    require_deliveries(model, deliveries)
    if everywhere:
        for state in model.storage_in_time.index_set():
            limit_storage_in_time(model, state)
        for name in network.utilities:
            limit_utility_in_time(model, name)
    result = solve(model, relative_gap=1e-7)
    if result.status is Status.INFEASIBLE:
        return None, None
    assert result.status is Status.OPTIMAL
    schedule = extract_schedule(model, network)
    assert find_violations(schedule, network) == []
    assert schedule.deliveries == tuple(deliveries)
    value = schedule_value(schedule, network, "profit")
    assert value == pytest.approx(result.objective, rel=1e-5, abs=1e-5)
    return value, schedule


def assert_best(network, optimum, *, horizon, n_events, max_span=0, deliveries=()):
    """One event more changes nothing, nor do the complete rules from the start."""
    for more, everywhere in ((0, False), (1, False), (0, True)):
        value, _ = solved(
            network,
            horizon=horizon,
            n_events=n_events + more,
            max_span=max_span,
            deliveries=deliveries,
            everywhere=everywhere,
        )
        assert value == (None if optimum is None else pytest.approx(optimum, abs=1e-3))


@pytest.mark.parametrize(
    ("away", "optimum"),
    [
        ([], 20),
        ([[3, 4]], 20),  # right between two batches
        ([[2, 4]], 10),  # nothing fits before it
        ([[3.5, 5.5]], 10),  # nothing fits after it
        ([[0, 1]], 20),
        ([[0, 2.5]], 10),
        ([[1, 2], [4, 5]], 10),  # only the last 3 h are long enough
        ([[2, 20]], 0),
    ],
)
def test_batches_lie_between_unavailable_periods(away, optimum):
    # Batches of 10 take 3 h, within 8 h.
    rules = {"units": {"U1": {"unavailable": away}}} if away else {}
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(3, 10))},
        **rules,
    )
    assert_best(network, optimum, horizon=8, n_events=2)


def test_batches_shrink_to_what_fits_around_a_period():
    # 1 h and 0.2 h/kg: 5 kg before t=2 and 5 kg from t=4 to t=6; the makespan of 10 kg is 6.
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(1, 10, time_per_amount=0.2))},
        units={"U1": {"unavailable": [[2, 4]]}},
    )
    assert_best(network, 10, horizon=6, n_events=2)
    for n_events in (2, 3):
        model = build_scheduling_model(network, horizon=20, n_events=n_events)
        require_targets(model, {"P": 10})
        set_objective(model, "makespan")
        assert solve(model).objective == pytest.approx(6)


@pytest.mark.parametrize(
    ("capacity", "away", "optimum"),
    [(0, [], 20), (0, [[2, 4]], 10), (4, [[2, 4]], 14), (10, [[2, 4]], 20)],
)
def test_nothing_waits_in_a_unit_that_is_away(capacity, away, optimum):
    # Use can start at t=3 and t=5. What Make has finished before its maintenance is stored by t=2.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": capacity}, "P": {"price": 1}},
        {"Make": task("A", "I", U1=run(1, 10)), "Use": task("I", "P", U2=run(2, 10))},
        units={"U2": {"unavailable": [[0, 3]]}} | ({"U1": {"unavailable": away}} if away else {}),
    )
    assert best_on_grid(network, 7) == pytest.approx(optimum, abs=1e-4)
    assert_best(network, optimum, horizon=7, n_events=3)


def two_products(changeovers, **states):
    """X and Y take 2 h on U1; X earns 1 per kg, Y once 2 per kg, Z takes 1 h."""
    return plant(
        {
            "A": {"initial": "unlimited"},
            "B": {"initial": 10},
            "D": {"price": 2},
            "P": {"price": 1},
            "Q": {"price": 2},
            "R": {},
            **states,
        },
        {
            "X": task("A", "P", U1=run(2, 10)),
            "Y": task("B", "Q", U1=run(2, 10)),
            "Z": task("D", "R", U1=run(1, 10)),
        },
        units={"U1": {"changeovers": changeovers}},
    )


@pytest.mark.parametrize(
    ("horizon", "optimum"), [(4.9, 20), (5, 30), (6.9, 30), (7, 40), (8.9, 40), (9, 50)]
)
def test_changeovers_depend_on_the_order(horizon, optimum):
    # First all X, then 1 h of cleaning and Y; from Y to X it would be 3 h.
    network = two_products({"X": {"Y": 1}, "Y": {"X": 3}})
    n_events = int((horizon - 1) // 2)
    assert_best(network, optimum, horizon=horizon, n_events=n_events)


@pytest.mark.parametrize(
    ("material", "horizon", "optimum"), [(0, 8.9, 20), (0, 9, 30), (5, 6.9, 30), (5, 7, 40)]
)
def test_changeovers_count_for_neighbours_only(material, horizon, optimum):
    # X, 5 h, Y take 9 h; X, 1 h, Z, 1 h, Y take 7 h. Of Z's material as little as possible is used,
    # since it is worth 2 per kg; but an empty batch of Z would not be one.
    network = two_products(
        {"X": {"Y": 5, "Z": 1}, "Y": {"X": 5, "Z": 5}, "Z": {"X": 5, "Y": 1}},
        A={"initial": 10},
        D={"initial": material, "price": 2},
    )
    assert_best(network, optimum, horizon=horizon, n_events=3)


@pytest.mark.parametrize(("capacity", "horizon", "optimum"), [(10, 5, 20), (0, 5, 10), (0, 6, 20)])
def test_nothing_waits_in_a_unit_that_is_cleaned(capacity, horizon, optimum):
    # Use takes I at t=2: until then it is stored, or the 2 h of cleaning before Other begin later.
    network = plant(
        {
            "A": {"initial": 10},
            "B": {"initial": 10},
            "I": {"capacity": capacity},
            "P": {"price": 1},
            "Q": {"price": 1},
        },
        {
            "Make": task("A", "I", U1=run(1, 10)),
            "Other": task("B", "Q", U1=run(2, 10)),
            "Use": task("I", "P", U2=run(2, 10)),
        },
        units={
            "U1": {"changeovers": {"Make": {"Other": 2}, "Other": {"Make": 4}}},
            "U2": {"unavailable": [[0, 2]]},
        },
    )
    assert best_on_grid(network, horizon) == pytest.approx(optimum, abs=1e-4)
    assert_best(network, optimum, horizon=horizon, n_events=2)


@pytest.mark.parametrize(
    ("n_units", "capacity", "horizon", "optimum"),
    [(2, 5, 4, 20), (2, 6, 4, 40), (3, 6, 2, 20), (3, 6, 3, 20), (3, 6, 4, 40), (3, 2, 4, 0)],
)
def test_batches_share_a_utility(n_units, capacity, horizon, optimum):
    # Batches of 10 take 2 h and draw 3.
    units = {f"U{number}": run(2, 10, draws={"steam": 3}) for number in range(n_units)}
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", **units)},
        utilities={"steam": {"capacity": capacity}},
    )
    assert_best(network, optimum, horizon=horizon, n_events=2)


@pytest.mark.parametrize(("horizon", "optimum"), [(2, 12), (3, 12), (4, 24)])
def test_batches_that_draw_by_their_size_share_what_there_is(horizon, optimum):
    # 1 and 0.5 per kg of 8: two batches make 12 together, one alone at most 10.
    draws = {"draws": {"steam": 1}, "draws_per_amount": {"steam": 0.5}}
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(2, 10, **draws), U2=run(2, 10, **draws))},
        utilities={"steam": {"capacity": 8}},
    )
    assert best_on_grid(network, horizon) == pytest.approx(optimum, abs=1e-4)
    assert_best(network, optimum, horizon=horizon, n_events=2)


@pytest.mark.long
def test_a_utility_of_four_units_is_proven_in_few_nodes():
    # With all points in one order, and energies alone: 48, bound 84, after 2988 nodes.
    def draws(constant):
        return {"draws": {"steam": constant}, "draws_per_amount": {"steam": 0.25}}

    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 8}, "P": {"price": 2}},
        {
            "Heat": task("A", "I", H1=run(1, 8, **draws(2)), H2=run(2, 12, **draws(3))),
            "Cook": task("I", "P", C1=run(2, 8, **draws(3)), C2=run(3, 16, **draws(1))),
        },
        utilities={"steam": {"capacity": 9}},
    )
    model = build_scheduling_model(network, horizon=8, n_events=5)
    set_objective(model, "profit")
    result = solve(model, node_limit=1000)
    assert result.status is Status.OPTIMAL
    assert result.objective == pytest.approx(best_on_grid(network, 8), rel=2e-4)
    assert find_violations(extract_schedule(model, network), network) == []


def test_batches_that_run_side_by_side_are_counted_in_whole_numbers():
    # Two at a time of 2 h each: 8 in 9 h. Their durations alone would let 9 pass.
    units = {f"U{number}": run(2, 10, draws={"steam": 3}) for number in range(4)}
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", **units)},
        utilities={"steam": {"capacity": 7}},
    )
    assert best_on_grid(network, 9) == pytest.approx(80)
    model = build_scheduling_model(network, horizon=9, n_events=4)
    set_objective(model, "profit")
    result = solve(model, node_limit=100)
    assert result.status is Status.OPTIMAL
    assert result.objective == pytest.approx(80)


def test_a_utility_of_one_unit_that_cannot_start_at_once():
    # Batches of 4 from t=1 and t=2: more would draw too much.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
        {
            "Make": task("A", "I", U1=run(1, 10)),
            "Heat": task("I", "P", U2=run(1, 10, draws_per_amount={"steam": 0.5})),
        },
        utilities={"steam": {"capacity": 2}},
    )
    assert_best(network, 8, horizon=3, n_events=3)


MAKE = plant(
    {"A": {"initial": "unlimited"}, "P": {"price": 1}}, {"Make": task("A", "P", U1=run(2, 10))}
)


@pytest.mark.parametrize(
    ("due", "optimum"),
    [
        ([("P", 4, 12)], 30),
        ([("P", 3.9, 12)], None),
        ([("P", 4, 12), ("P", 2, 8)], 30),
        ([("P", 4, 12), ("P", 2, 9)], None),
        ([("P", 6, 30)], 30),
        ([("P", 6, 31)], None),
        ([("P", 1, 1)], None),
    ],
)
def test_deliveries_are_served_by_what_is_finished(due, optimum):
    # 10 are finished at t=2, t=4 and t=6; what is delivered counts as sold.
    deliveries = [Delivery(*row) for row in due]
    assert_best(MAKE, optimum, horizon=6, n_events=3, deliveries=deliveries)
    if optimum:
        _, schedule = solved(MAKE, horizon=6, n_events=3, deliveries=deliveries)
        left = 30 - sum(delivery.amount for delivery in deliveries)
        assert schedule.final_stock["P"] == pytest.approx(left, abs=1e-5)


@pytest.mark.parametrize(("time", "optimum"), [(1, 10), (2, 10), (2.5, 10), (3, 20)])
def test_deliveries_compete_with_consumers(time, optimum):
    # 10 of I are made by each of t=1, 2, 3; 10 leave, what is used by t=2 becomes P by t=3.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
        {"Make": task("A", "I", U1=run(1, 10)), "Use": task("I", "P", U2=run(1, 10))},
    )
    assert_best(network, optimum, horizon=3, n_events=3, deliveries=[Delivery("I", time, 10)])


@pytest.mark.parametrize(
    ("due", "optimum"), [([], 15), ([(4, 10)], 25), ([(3, 10)], 20), ([(2, 10), (4, 10)], 30)]
)
def test_deliveries_empty_the_storage_or_the_unit(due, optimum):
    # 5 can be stored and 10 wait in the unit; at t=4, 5 leave from each of them.
    entries = MAKE.to_dict()
    entries["states"]["P"]["capacity"] = 5
    network = read_network(entries)
    deliveries = [Delivery("P", time, amount) for time, amount in due]
    assert best_on_grid(network, 6, deliveries) == pytest.approx(optimum, abs=1e-4)
    assert_best(network, optimum, horizon=6, n_events=3, deliveries=deliveries)


@pytest.mark.few_cases(6)
@pytest.mark.parametrize("name", all_cases())
@pytest.mark.parametrize("n_events", [5, 6])
def test_known_best_schedules(name, n_events):
    case = all_cases()[name]
    problem = case.problem
    horizon = 20 if problem.horizon is None else problem.horizon
    model = build_scheduling_model(case.network, horizon=horizon, n_events=n_events)
    set_objective(model, problem.objective)
    require_targets(model, problem.targets, sense=problem.sense)
    require_deliveries(model, problem.deliveries)
    assert solve(model, relative_gap=1e-7).objective == pytest.approx(case.best, abs=1e-4)
    schedule = extract_schedule(model, case.network)
    assert schedule_value(schedule, case.network, problem.objective) == pytest.approx(
        case.best, abs=1e-4
    )


#: Event points and spans to grow through; plants of these sizes need no more.
LADDER = [(2, 0), (4, 0), (5, 1), (6, 2), (8, 3)]

#: Seeds of plants whose rules can be kept.
SEEDS = {
    "periods": (13, 24, 34, 35, 38),
    "changeovers": (6, 13, 15, 16, 28),
    "utilities": (1, 6, 13, 14, 16),
    "deliveries": (1, 6, 9, 28, 49),
    "periods+changeovers+utilities+deliveries": (1, 5, 6, 7),
}
DRAWN = [
    pytest.param(kind, seed, marks=pytest.mark.long if place > 0 else [])
    for kind, seeds in SEEDS.items()
    for place, seed in enumerate(seeds)
]


@pytest.mark.parametrize(("kind", "seed"), DRAWN)
def test_rules_lose_nothing_and_allow_nothing_more_than_the_time_grid(kind, seed):
    assert_best_on_grid_is_reached(kind, seed)


def assert_best_on_grid_is_reached(kind, seed):
    """Growing through the ladder, a drawn plant's model reaches the grid's value and no more."""
    network, hours = draw_plant(seed), 7 + seed % 3
    rules = [name for name in kind.split("+") if name != "deliveries"]
    network = add_rules(network, seed, **dict.fromkeys(rules, True)) if rules else network
    deliveries = draw_deliveries(network, seed, hours) if "deliveries" in kind else ()
    reference = best_on_grid(network, hours, deliveries)
    assert reference is not None
    tolerance = 2e-4 * max(1, reference)  # nothing is as small as the smallest batch in between
    for n_events, max_span in LADDER:
        value, _ = solved(
            network, horizon=hours, n_events=n_events, max_span=max_span, deliveries=deliveries
        )
        assert value is None or value <= reference + tolerance
        if value is not None and value >= reference - tolerance:
            return
    pytest.fail(f"stays at {value} below {reference}: {network.to_dict()}")


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("most_sets", [0, 15])
@pytest.mark.parametrize("seed", SEEDS["utilities"])
def test_points_in_one_order_lose_nothing_and_allow_nothing_more(monkeypatch, most_sets, seed):
    monkeypatch.setattr(utilities, "_MOST_CLIQUES", 0)
    monkeypatch.setattr(utilities, "_MOST_SETS", most_sets)
    assert_best_on_grid_is_reached("utilities", seed)


def test_a_second_call_replaces_the_deliveries():
    entries = MAKE.to_dict()
    entries["states"]["P"]["capacity"] = 5
    network = read_network(entries)
    model = build_scheduling_model(network, horizon=6, n_events=3)
    set_objective(model, "profit")
    for deliveries, optimum in (
        ([Delivery("P", 4, 10)], 25),
        ([Delivery("P", 2, 10), Delivery("P", 4, 10)], 30),
        ([Delivery("P", 1, 10)], None),
        ([], 15),
    ):
        require_deliveries(model, deliveries)
        result = solve(model)
        assert (result.status is Status.OPTIMAL) is (optimum is not None)
        if optimum is not None:
            assert result.objective == pytest.approx(optimum, abs=1e-4)
            assert extract_schedule(model, network).deliveries == tuple(deliveries)


def test_targets_are_what_is_left_after_deliveries():
    model = build_scheduling_model(MAKE, horizon=6, n_events=3)
    set_objective(model, "cost")
    require_deliveries(model, [Delivery("P", 4, 12)])
    for target, status in ((18, Status.OPTIMAL), (18.1, Status.INFEASIBLE)):
        require_targets(model, {"P": target})
        assert solve(model).status is status


@pytest.mark.parametrize(
    ("delivery", "message"),
    [
        (Delivery("p", 1, 1), "has no such state"),
        (Delivery("A", 1, 1), "its supply is unlimited"),
        (Delivery("P", 6.5, 1), "after the horizon, 6"),
    ],
)
def test_deliveries_that_cannot_be_asked_for_are_refused(delivery, message):
    model = build_scheduling_model(MAKE, horizon=6, n_events=3)
    with pytest.raises(InvalidInputError, match=message):
        require_deliveries(model, [delivery])


def test_a_formulation_without_equations_for_deliveries_refuses_them():
    network = load_example("ex2")
    model = build_scheduling_model(network, horizon=8, n_events=4, formulation="state_sequence")
    require_deliveries(model, [])
    with pytest.raises(UnsupportedModelError, match=r"use one of 'unit_events', 'time_grid'$"):
        require_deliveries(model, [Delivery("S8", 6, 10)])


#: Everything at once: U1 is away from 3 to 5 and from 8 on, and is cleaned between its tasks.
ALL = {
    "states": {
        "A": {"initial": "unlimited"},
        "I": {"capacity": 4, "initial": 1},
        "P": {"price": 1},
        "Q": {},
    },
    "tasks": {
        "Make": task(
            "A",
            "I",
            U1=run(
                1,
                10,
                time_per_amount=0.1,
                draws={"steam": 2},
                draws_per_amount={"steam": 0.5},
            ),
            U3=run(1, 8, draws={"steam": 4}),
        ),
        "Other": task("A", "Q", U1=run(1, 10)),
        "Rinse": task("A", "Q", U1=run(1, 10)),
        "Use": task("I", "P", U2=run(2, 8, draws={"steam": 4})),
    },
    "units": {
        "U1": {
            "unavailable": [[3, 5], [8, 20]],
            "changeovers": {"Make": {"Other": 4, "Rinse": 0.5}, "Rinse": {"Other": 0.5}},
        }
    },
    "utilities": {"steam": {"capacity": 6}},
}


def everything(entries, deliveries):
    network = plant(**entries)
    model = build_scheduling_model(network, horizon=10, n_events=3, max_span=1)
    require_deliveries(model, deliveries)
    add_storage_in_time(model, "I")
    for name in network.utilities:
        add_utility_in_time(model, name)
    return model


def without_rules():
    entries = {key: ALL[key] for key in ("states", "tasks")}
    tasks = {
        name: entry
        | {
            "units": {
                unit: {key: value for key, value in fit.items() if not key.startswith("draws")}
                for unit, fit in entry["units"].items()
            }
        }
        for name, entry in entries["tasks"].items()
    }
    return entries | {"tasks": tasks}


DUE = (Delivery("I", 2, 1), Delivery("I", 6, 2))
MAKE0, MAKE1, MADE3 = ("Make", "U1", 0, 0), ("Make", "U1", 1, 0), ("Make", "U3", 0, 0)
OTHER1, RINSE1, USE1 = ("Other", "U1", 1, 0), ("Rinse", "U1", 1, 0), ("Use", "U2", 1, 0)
RUN0, RUN1, USED = {("run", MAKE0): 1}, {("run", MAKE1): 1}, {("run", USE1): 1}
SPANNING = {("run", ("Make", "U1", 0, 1)): 1}
CHANGED = {("changed", ("U1", "Make", "Other", 1)): 1}
PAIR = ("U1", 0, "U2", 1)
LATER = {("comes_after", PAIR): 1}
BY_FIRST = ("I", 0, "U1", 0)
RELEASED = {("released_by", BY_FIRST): 1}


def when(unit, point, time):
    return {("unit_time", (unit, point)): time}


def after(*events):
    return {("after_period", ("U1", event, 0)): 1 for event in events}


def end(time):
    return {("latest_finish", None): time}


def at(name, *index, value=1):
    return {(name, index): value}


BEFORE = at("ends_before", *PAIR)
#: Sets of classes that run together: the small batches of Make beside Use, and Use alone.
BESIDE_USE, USE_ALONE = 3, 2
FOUR_KG = at("number", "Make", "U1", 0) | at("amount", "Make", "U1", 0, value=4)
#: What is there where too many batches may run together.
IN_ORDER = {
    "later_in_time",
    "earlier_in_time",
    "later_points_later",
    "earlier_points_earlier",
    "higher_rank_if_later",
    "lower_rank_if_earlier",
    "ended_before",
    "drawn_while_running",
    "utility_capacity",
}

#: constraint -> (its index, values that it forbids, values next to them that it allows)
SHOWN_BY_RULES = {
    "start_after_period": (
        ("U1", 1, 0),
        after(1) | when("U1", 1, 4.9),
        after(1) | when("U1", 1, 5),
    ),
    "finish_before_period": (
        ("U1", 0, 0),
        RUN0 | {("size", MAKE0): 5} | when("U1", 0, 1.6),
        RUN0 | {("size", MAKE0): 5} | when("U1", 0, 1.5),
    ),
    "after_period_from_then_on": (("U1", 0, 0), after(0), after(0, 1)),
    "no_period_within_batch": (("U1", 1, 0), SPANNING | after(1), SPANNING | after(0, 1)),
    "periods_in_order": (
        ("U1", 1, 1),
        at("after_period", "U1", 1, 1),
        at("after_period", "U1", 1, 1) | after(1),
    ),
    "later_batches_and_periods_fit": (
        ("U1", 0),
        end(10) | after(2) | RUN1 | when("U1", 0, 7.1),
        end(10) | after(2) | RUN1 | when("U1", 0, 7),
    ),
    "earlier_batches_and_periods_fit": (
        ("U1", 1),
        after(1) | RUN0 | when("U1", 1, 2.9),
        after(1) | RUN0 | when("U1", 1, 3),
    ),
    "later_batches_fit_before_closing": (
        ("U1", 0),
        RUN1 | when("U1", 0, 7.1),
        RUN1 | when("U1", 0, 7),
    ),
    "last_task_changes": (
        ("U1", "Make", 0),
        RUN0,
        RUN0 | at("last_task", "U1", "Make", 1),
    ),
    "changed_from_last_task": (
        ("U1", "Make", 1),
        CHANGED,
        CHANGED | at("last_task", "U1", "Make", 1),
    ),
    "changed_to_started_task": (("U1", "Other", 1), CHANGED, CHANGED | at("run", *OTHER1)),
    "one_last_task": (
        ("U1", 1),
        at("last_task", "U1", "Make", 1) | at("last_task", "U1", "Other", 1, value=0.1),
        at("last_task", "U1", "Make", 1),
    ),
    "changeover_before_start": (
        ("U1", 0, 0),
        RUN0 | CHANGED | when("U1", 1, 4.9),
        RUN0 | CHANGED | when("U1", 1, 5),
    ),
    "later_changeovers_fit": (
        ("U1", 0),
        end(10) | CHANGED | when("U1", 0, 6.1),
        end(10) | CHANGED | when("U1", 0, 6),
    ),
    "earlier_changeovers_fit": (
        ("U1", 1),
        CHANGED | when("U1", 1, 3.9),
        CHANGED | when("U1", 1, 4),
    ),
    "no_empty_batch_between": (
        RINSE1,
        at("run", *RINSE1),
        at("run", *RINSE1) | at("size", *RINSE1, value=1e-4),
    ),
    "draw_within_capacity": (
        ("steam", *MAKE0),
        RUN0 | {("size", MAKE0): 8.1},
        RUN0 | {("size", MAKE0): 8},
    ),
    # 2 + (2 * 0.1 + 0.5) * 10 and 4 * 2
    "energy_fits": (
        "steam",
        RUN0 | {("size", MAKE0): 10} | USED | end(2.8),
        RUN0 | {("size", MAKE0): 10} | USED | end(17 / 6),
    ),
    "large_draws_in_turn": (
        ("steam", 1),
        USED | at("run", *MADE3) | end(2.9),
        USED | at("run", *MADE3) | end(3),
    ),
    # in 10 h one after the other
    "large_draws_counted": (
        ("steam", 1, "Use", "U2"),
        at("run", *USE1, value=6),
        at("run", *USE1, value=5),
    ),
    "number_by_size": (("Make", "U1"), RUN0, RUN0 | at("number", "Make", "U1", 0)),
    "amount_by_size": (
        ("Make", "U1"),
        {("size", MAKE0): 5},
        {("size", MAKE0): 5} | at("amount", "Make", "U1", 1, value=5),
    ),
    # 8 at most can run, with 2 + 0.5 * 8
    "sizes_from": (
        ("Make", "U1", 1),
        at("number", "Make", "U1", 1) | at("amount", "Make", "U1", 1, value=3.9),
        at("number", "Make", "U1", 1) | at("amount", "Make", "U1", 1, value=4),
    ),
    "sizes_up_to": (
        ("Make", "U1", 0),
        at("number", "Make", "U1", 0) | at("amount", "Make", "U1", 0, value=4.1),
        at("number", "Make", "U1", 0) | at("amount", "Make", "U1", 0, value=4),
    ),
    "time_of_batches": (
        ("Use", "U2", 0),
        at("number", "Use", "U2", 0),
        at("number", "Use", "U2", 0) | at("time", USE_ALONE, value=2),
    ),
    # (2 + 0.5 * 4) * (1 + 0.1 * 4), touched there
    "energy_of_batches": (
        ("Make", "U1", 0, 3),
        FOUR_KG | at("energy", 0, "Make", "U1", 0, value=5.5),
        FOUR_KG | at("energy", 0, "Make", "U1", 0, value=5.6),
    ),
    "energy_at_least": (
        (0, "Make", "U1", 0),
        at("time", 0, value=2) | at("energy", 0, "Make", "U1", 0, value=3.9),
        at("time", 0, value=2) | at("energy", 0, "Make", "U1", 0, value=4),
    ),
    "energy_at_most": (
        (0, "Make", "U1", 0),
        at("time", 0, value=2) | at("energy", 0, "Make", "U1", 0, value=8.1),
        at("time", 0, value=2) | at("energy", 0, "Make", "U1", 0, value=8),
    ),
    "energy_together": (
        BESIDE_USE,
        at("time", BESIDE_USE) | at("energy", BESIDE_USE, "Make", "U1", 0, value=2.1),
        at("time", BESIDE_USE) | at("energy", BESIDE_USE, "Make", "U1", 0, value=2),
    ),
    "sets_in_turn": (
        "steam",
        end(4) | at("time", 0, value=3) | at("time", USE_ALONE, value=1.1),
        end(4) | at("time", 0, value=3) | at("time", USE_ALONE),
    ),
    "start_after_end": (
        PAIR,
        BEFORE | RUN0 | {("size", MAKE0): 5} | when("U2", 1, 1.4),
        BEFORE | RUN0 | {("size", MAKE0): 5} | when("U2", 1, 1.5),
    ),
    "one_ends_before": (PAIR, BEFORE | at("ends_before", "U2", 1, "U1", 0), BEFORE),
    "ends_only_if_run": (PAIR, BEFORE, BEFORE | RUN0),
    "starts_only_if_run": (PAIR, BEFORE, BEFORE | USED),
    "producer_ends_before": (("I", *PAIR), RUN0 | USED, RUN0 | USED | BEFORE),
    "draws_together": (
        (0, 0.0, 10.0),
        RUN0 | {("size", MAKE0): 1, ("run", MADE3): 1},
        RUN0 | {("size", MAKE0): 1, ("run", MADE3): 1} | at("ends_before", "U3", 0, "U1", 0),
    ),
    "later_in_time": (PAIR, LATER | when("U1", 0, 1), LATER | when("U1", 0, 1) | when("U2", 1, 1)),
    "earlier_in_time": (PAIR, when("U2", 1, 1), when("U2", 1, 1) | LATER),
    "later_points_later": (PAIR, LATER, LATER | at("comes_after", "U1", 0, "U2", 2)),
    "earlier_points_earlier": (
        PAIR,
        at("comes_after", "U1", 1, "U2", 1),
        at("comes_after", "U1", 1, "U2", 1) | LATER,
    ),
    "higher_rank_if_later": (PAIR, LATER, LATER | at("rank", "U2", 1)),
    "lower_rank_if_earlier": (PAIR, {}, at("rank", "U1", 0)),
    "ended_before": (
        PAIR,
        at("all_ended", "U1", 0, "U2") | USED | when("U1", 0, 1.9),
        at("all_ended", "U1", 0, "U2") | USED | when("U1", 0, 2),
    ),
    "drawn_while_running": (
        PAIR,
        at("comes_after", "U1", 0, "U2", 2) | USED | at("drawn", "U1", 0, "U2", value=3.9),
        at("comes_after", "U1", 0, "U2", 2) | USED | at("drawn", "U1", 0, "U2", value=4),
    ),
    "utility_capacity": (
        ("U1", 0),
        RUN0 | at("drawn", "U1", 0, "U2", value=4) | at("drawn", "U1", 0, "U3", value=0.1),
        RUN0 | at("drawn", "U1", 0, "U2", value=4),
    ),
    "released_in_time": (
        BY_FIRST,
        RELEASED | RUN0 | {("size", MAKE0): 5} | when("U1", 0, 0.6),
        RELEASED | RUN0 | {("size", MAKE0): 5} | when("U1", 0, 0.5),
    ),
    "released_only_if_made": (
        BY_FIRST,
        at("released", *BY_FIRST),
        at("released", *BY_FIRST) | at("size", *MAKE0),
    ),
    "released_only_by_then": (
        BY_FIRST,
        at("released", *BY_FIRST),
        at("released", *BY_FIRST) | RELEASED,
    ),
    "earlier_batches_released": (
        ("I", 0, "U1", 1),
        at("released_by", "I", 0, "U1", 1),
        at("released_by", "I", 0, "U1", 1) | RELEASED,
    ),
    "released_by_earlier_delivery": (
        ("I", 1, "U1", 0),
        RELEASED,
        RELEASED | at("released_by", "I", 1, "U1", 0),
    ),
    # A batch of 10 takes 2 h: 10 by t=2.
    "releases_fit_in_time": (
        ("I", 0, "U1"),
        at("released", *BY_FIRST, value=5) | at("released", "I", 0, "U1", 1, value=5.1),
        at("released", *BY_FIRST, value=5) | at("released", "I", 0, "U1", 1, value=5),
    ),
    "passed_from_then_on": (
        ("I", 0, 1),
        at("passed", "I", 0, 0),
        at("passed", "I", 0, 0) | at("passed", "I", 0, 1),
    ),
    "earlier_delivery_passed": (
        ("I", 1, 1),
        at("passed", "I", 1, 1),
        at("passed", "I", 1, 1) | at("passed", "I", 0, 1),
    ),
    "consumed_before_delivery": (
        ("I", 0, 1, "U2"),
        USED | when("U2", 1, 2.1),
        USED | when("U2", 1, 2),
    ),
    "taken_unless_passed": (
        ("I", 0, 1),
        at("size", *USE1),
        at("size", *USE1) | at("taken_before", "I", 0, 1),
    ),
    "delivery_served": (
        ("I", 0),
        at("taken_before", "I", 0, 1, value=0.5),
        at("taken_before", "I", 0, 1, value=0.5) | at("released", *BY_FIRST, value=0.5),
    ),
    "left_for_deliveries": (
        ("I", 1),
        at("passed", "I", 0, 1) | at("passed", "I", 1, 1) | at("stock", "I", 1, value=2.9),
        at("passed", "I", 0, 1) | at("passed", "I", 1, 1) | at("stock", "I", 1, value=3),
    ),
    "emptied_before_cleaning": (
        ("U1", 1),
        CHANGED | when("U1", 1, 5) | at("emptied", "U1", 1, value=1.1),
        CHANGED | when("U1", 1, 5) | at("emptied", "U1", 1, value=1),
    ),
    "emptied_after_release": (
        ("U1", 1, 0),
        RUN0 | at("emptied", "U1", 1, value=0.9),
        RUN0 | at("emptied", "U1", 1, value=1),
    ),
    "emptied_before_period": (
        ("U1", 1, 0),
        after(1) | at("emptied", "U1", 1, value=3.1),
        after(1) | at("emptied", "U1", 1, value=3),
    ),
    "nothing_kept_in_period": (
        ("U1", 0, 1),
        after(1) | at("kept", "U1", 1),
        after(0, 1) | at("kept", "U1", 1),
    ),
    "direct_before_period": (
        ("U1", 0, "U2", 1),
        after(2) | at("taken_direct", "U1", "U2", 1) | when("U2", 1, 3.1),
        after(2) | at("taken_direct", "U1", "U2", 1) | when("U2", 1, 3),
    ),
    "delivered_only_if_taken": (
        ("U1", 0, 1),
        at("delivered_direct", "U1", 0, 1),
        at("delivered_direct", "U1", 0, 1) | at("taken_by_delivery", "U1", 0, 1),
    ),
    "delivered_after_release": (
        ("U1", 0, 1, 0),
        RUN0 | at("taken_by_delivery", "U1", 0, 1),
        RUN0 | at("taken_by_delivery", "U1", 0, 1) | RELEASED,
    ),
    "delivered_before_next_start": (
        ("U1", 0, 1),
        RUN1 | at("taken_by_delivery", "U1", 0, 1) | when("U1", 1, 1.9),
        RUN1 | at("taken_by_delivery", "U1", 0, 1) | when("U1", 1, 2),
    ),
    "delivered_before_next_point": (
        ("U1", 0, 1),
        at("taken_by_delivery", "U1", 0, 1) | when("U1", 2, 1.9),
        at("taken_by_delivery", "U1", 0, 1) | when("U1", 2, 2),
    ),
    "delivered_before_period": (
        ("U1", 1, 1, 0),
        at("taken_by_delivery", "U1", 1, 1) | after(2),
        at("taken_by_delivery", "U1", 1, 1) | after(0, 1, 2),
    ),
}


@pytest.fixture(scope="module")
def ruled():
    return everything(ALL, DUE)


@pytest.fixture(scope="module")
def ordered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "_MOST_CLIQUES", 0)
        return everything(ALL, DUE)


@pytest.mark.parametrize("constraint", SHOWN_BY_RULES)
def test_constraint_forbids_what_it_says(ruled, ordered, constraint):
    index, bad, good = SHOWN_BY_RULES[constraint]
    if constraint in IN_ORDER:
        ruled = ordered
    steam = ruled.utility_in_time["steam"], ruled.utility_shares["steam"]
    homes = [ruled, ruled.deliveries, ruled.storage_in_time["I"], *steam]

    def component(name):
        return next(home.component(name) for home in homes if home.component(name) is not None)

    row = component(constraint)[index]
    for values, allowed in ((bad, False), (good, True)):
        for var in ruled.component_data_objects(pyo.Var):
            var.set_value(0.0, skip_validation=True)
        for (name, where), value in values.items():
            component(name)[where].set_value(value, skip_validation=True)
        assert (row.slack() >= -1e-9) is allowed


def test_every_constraint_of_the_rules_is_shown(ruled, ordered):
    def names(model):
        return {c.local_name for c in model.component_objects(pyo.Constraint) if len(c)}

    plain = names(everything(without_rules(), ()))
    assert names(ruled) - plain == set(SHOWN_BY_RULES) - IN_ORDER
    assert names(ordered) - names(ruled) == IN_ORDER


def test_every_variable_of_the_rules_is_bounded(ruled, ordered):
    for model in (ruled, ordered):
        for var in model.component_data_objects(pyo.Var):
            assert math.isfinite(var.lb), var.name
            assert math.isfinite(var.ub), var.name


def test_every_constraint_of_the_rules_stands_beside_its_equation():
    page = (Path(__file__).parents[2] / "docs" / "formulation.md").read_text()
    assert [name for name in SHOWN_BY_RULES if f"`{name}`" not in page] == []
