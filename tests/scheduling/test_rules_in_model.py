"""Maintenance, changeovers, utilities and deliveries in the unit-event model."""

from __future__ import annotations

import pytest
from plants_with_rules import all_cases
from time_grid import add_rules, best_on_grid, draw_deliveries, draw_plant

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant import Delivery, load_example, read_network
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    require_targets,
    set_objective,
)
from stnopt.scheduling.schedule import find_violations, schedule_value
from stnopt.scheduling.storage_in_time import add_storage_in_time
from stnopt.scheduling.utilities import add_utility_in_time
from stnopt.solve import Status, solve


def plant(states, tasks, **rules):
    return read_network({"name": "plant", "states": states, "tasks": tasks, **rules})


def task(consumes, produces, **units):
    sides = ({name: 1} if isinstance(name, str) else name for name in (consumes, produces))
    return dict(zip(("consumes", "produces", "units"), (*sides, units), strict=True))


def run(hours, most, **more):
    return {"fixed_time": hours, "max_batch": most, **more}


def solved(network, *, horizon, n_events, max_span=0, deliveries=(), everywhere=False):
    """Return profit and schedule once the replay agrees; None and None if there is no schedule."""
    model = build_scheduling_model(network, horizon=horizon, n_events=n_events, max_span=max_span)
    set_objective(model, "profit")
    require_deliveries(model, deliveries)
    if everywhere:
        for state in model.storage_in_time.index_set():
            add_storage_in_time(model, network, state, float(horizon))
            model.limited_in_time.add(state)
        for name in network.utilities:
            add_utility_in_time(model, network, name, float(horizon))
            model.utilities_limited.add(name)
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
DRAWN = [(kind, seed) for kind, seeds in SEEDS.items() for seed in seeds]


@pytest.mark.parametrize(("kind", "seed"), DRAWN)
def test_rules_lose_nothing_and_allow_nothing_more_than_the_time_grid(kind, seed):
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
    with pytest.raises(UnsupportedModelError, match="use one of 'unit_events'"):
        require_deliveries(model, [Delivery("S8", 6, 10)])
