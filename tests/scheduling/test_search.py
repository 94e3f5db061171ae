"""`find_schedule`: which event points and span, how far, and what it says when nothing is found."""

from __future__ import annotations

import math

import pytest
from random_plants import draw_cases
from small_plants import plant, run, task
from time_grid import best_on_grid

from stnopt.errors import InvalidInputError
from stnopt.plant import load_example, read_network
from stnopt.plant.orders import Order
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search import event_points as search
from stnopt.scheduling.search.bounds import bound_makespan
from stnopt.scheduling.search.fewest_events import fewest_events
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.scheduling.search.question import Question
from stnopt.solvers.solve import Status


def test_search_adds_events_until_they_no_longer_help():
    network = load_example("motivating")
    found = find_schedule(network, horizon=12, proof_limit=0)
    assert found.result.objective == pytest.approx(71.518, abs=0.006)
    assert (found.n_events, found.max_span) == (4, 0)
    assert find_violations(found.schedule, network) == []
    assert schedule_value(found.schedule, network, "profit") == pytest.approx(
        found.result.objective
    )
    assert [row[:2] for row in found.tried] == [(3, 0), (4, 0), (5, 0), (5, 1), (5, 2)]
    for row in found.tried[2:]:  # nothing better, or the same again
        assert row.status is Status.INFEASIBLE or row.objective == pytest.approx(71.518222)
    # The proof covers the last events tried, to within the gap that was asked for.
    assert (found.proof.n_events, found.proof.max_span) == (5, 2)
    assert found.proof.scope == "these event points"
    assert found.result.objective <= found.proof.bound <= found.result.objective * 1.0002


def test_events_and_span_may_be_given():
    network = load_example("motivating")
    found = find_schedule(network, horizon=12, n_events=3, max_span=0)
    assert found.result.objective == pytest.approx(50)
    assert len(found.tried) == 1
    widened = find_schedule(network, horizon=12, n_events=3, proof_limit=0)
    assert widened.tried[-1][:2] == (3, 1)
    found = find_schedule(network, horizon=12, max_span=1, proof_limit=0)
    assert {row[1] for row in found.tried} == {1}


# Long must take X before the second batch of First makes more of it, and the second Use comes after
# that batch: so at an event after Long's, while Long still makes I. Only a longer Long allows it.
NEEDS_SPAN = plant(
    {"A": {"initial": 4}, "X": {}, "I": {}, "P": {"price": 1}},
    {
        "First": task({"A": 1}, {"X": 0.5, "I": 0.5}, U1=run(1, 2, min_batch=2)),
        "Long": task({"X": 1}, {"I": 1}, U2=run(4, 1)),
        "Use": task({"I": 1}, {"P": 1}, U3=run(1, 1)),
    },
)


def test_search_tries_a_span_where_more_events_do_not_help():
    assert best_on_grid(NEEDS_SPAN, 6) == pytest.approx(3)
    stuck = find_schedule(NEEDS_SPAN, horizon=6, n_events=7, max_span=0)
    assert stuck.result.objective == pytest.approx(2)
    found = find_schedule(NEEDS_SPAN, horizon=6)
    assert found.result.objective == pytest.approx(3)
    assert (found.n_events, found.max_span) == (4, 1)


# Q is made within one event; P, worth far more, needs four in a row. On two or three events nothing
# is better than on one.
PLATEAU = plant(
    {
        "A": {"initial": "unlimited"},
        "B": {"initial": 10},
        "I": {},
        "J": {},
        "K": {},
        "P": {"price": 10},
        "Q": {"price": 1},
    },
    {
        "Side": task({"B": 1}, {"Q": 1}, U9=run(1, 10)),
        "First": task({"A": 1}, {"I": 1}, U1=run(1, 10)),
        "Second": task({"I": 1}, {"J": 1}, U2=run(1, 10)),
        "Third": task({"J": 1}, {"K": 1}, U3=run(1, 10)),
        "Fourth": task({"K": 1}, {"P": 1}, U4=run(1, 10)),
    },
)


def test_search_is_not_stopped_by_a_plateau_before_a_long_chain():
    assert fewest_events(PLATEAU) == 4
    found = find_schedule(PLATEAU, horizon=4)
    assert found.result.objective == pytest.approx(110)


@pytest.mark.parametrize(("targets", "events"), [({"Q": 5}, 1), ({"P": 5}, 4), ({"J": 1}, 2)])
def test_fewest_events_follow_the_longest_chain_to_a_target(targets, events):
    assert fewest_events(PLATEAU, targets) == events


@pytest.mark.parametrize("objective", ["profit", "production"])
def test_plant_that_can_make_nothing_in_time_ends_the_search(objective):
    found = find_schedule(load_example("motivating"), horizon=1, objective=objective)
    assert found.result.objective == pytest.approx(0)
    assert found.schedule.batches == ()
    assert len(found.tried) <= 4


def test_plant_without_prices_ends_the_search():
    entries = load_example("motivating").to_dict()
    entries["states"]["S4"] = {}
    found = find_schedule(read_network(entries), horizon=12)
    assert found.result.objective == pytest.approx(0)
    assert len(found.tried) <= 3


def test_an_order_that_takes_three_batches_is_not_given_up_on_two_event_points():
    # One batch of 1 at a time, 2 h each: 3 of them by 6. On 1 or 2 event points all of it is
    # missing, so that neither one event more nor a longer span helped at first.
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(2, 1))},
    )
    orders = [Order("o", "P", 3, due=5)]
    found = find_schedule(network, horizon=7, objective="tardiness", orders=orders, proof_limit=0)
    assert (found.missing, found.result.objective) == pytest.approx((0, 1))


def test_gap_of_zero_ends_the_search():
    found = find_schedule(load_example("storage_trap"), horizon=7, relative_gap=0)
    assert found.result.objective == pytest.approx(20)
    assert len(found.tried) <= 5


def test_tiny_time_limit_is_honest():
    found = find_schedule(load_example("ex2"), horizon=10, n_events=7, max_span=0, time_limit=0.01)
    if found.schedule is None:
        assert found.result.status is Status.NO_SOLUTION
    else:
        assert found.result.status is Status.FEASIBLE
        assert find_violations(found.schedule, load_example("ex2")) == []
    assert find_schedule(load_example("ex2"), horizon=10, time_limit=0.01).result.status in (
        Status.NO_SOLUTION,
        Status.FEASIBLE,
    )


def test_shortest_makespan_without_a_horizon():
    # 50 through all three: 3 + 0.03 * 50, 2 + 0.0266 * 50, 1 + 0.02 * 50.
    network = load_example("motivating")
    found = find_schedule(network, objective="makespan", targets={"S4": 50})
    assert found.result.objective == pytest.approx(4.5 + 3.33 + 2, abs=1e-4)
    assert schedule_value(found.schedule, network, "makespan") == pytest.approx(9.83, abs=1e-4)


def test_demand_beyond_the_first_guess_of_a_makespan_doubles_it():
    # 24 batches of one unit, one after another.
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task({"A": 1}, {"P": 1}, U1=run(3, 1), U2=run(60, 5))},
    )
    found = find_schedule(network, objective="makespan", targets={"P": 4}, n_events=4, max_span=0)
    assert found.result.objective == pytest.approx(12)


def test_least_cost_of_a_demand():
    # 12 of P: one batch of 10 and one of 2, each 3 to start, and 2 per amount of A.
    network = plant(
        {"A": {"initial": "unlimited", "cost": 2}, "P": {"price": 1}},
        {"Make": task({"A": 1}, {"P": 1}, U1=run(1, 10, fixed_cost=3, cost_per_amount=0.5))},
    )
    found = find_schedule(network, horizon=5, objective="cost", targets={"P": 12})
    assert found.result.objective == pytest.approx(2 * 3 + 12 * 2.5, rel=1e-4)


@pytest.mark.parametrize("sense", ["at_least", "exactly"])
def test_demand_out_of_reach_is_infeasible_without_a_schedule(sense):
    found = find_schedule(load_example("motivating"), horizon=12, targets={"S4": 500}, sense=sense)
    assert found.schedule is None
    assert found.result.status is Status.INFEASIBLE
    assert found.proof.bound is None


@pytest.mark.long
def test_demand_that_needs_more_events_is_found():
    found = find_schedule(load_example("motivating"), horizon=12, targets={"S4": 70})
    assert found.n_events == 4
    assert found.schedule.final_stock["S4"] >= 70 - 1e-4


def test_exact_demand_is_met_exactly():
    found = find_schedule(
        load_example("motivating"), horizon=12, targets={"S4": 31.5}, sense="exactly"
    )
    assert found.schedule.final_stock["S4"] == pytest.approx(31.5, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "makespan"}, "needs targets"),
        ({"objective": "cost", "horizon": 8}, "needs targets"),
        ({"objective": "profit"}, "needs a horizon"),
        ({"objective": "joy", "horizon": 8}, "joy"),
        ({"horizon": -1}, "horizon"),
        ({"horizon": 8, "n_events": 0}, "n_events"),
        ({"horizon": 8, "max_span": -1}, "max_span"),
        ({"horizon": 8, "targets": {"S9": 1}}, "S9"),
        ({"horizon": 8, "targets": {"S4": 1}, "sense": "about"}, "about"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        find_schedule(load_example("motivating"), **arguments)


#: Long runs while Short and Use need two further events: nothing better without a span of two.
NEEDS_SPAN_OF_TWO = {
    "name": "needs a span of two",
    "states": {"A": {"initial": 4}, "X": {}, "Y": {}, "I": {}, "P": {"price": 1}},
    "tasks": {
        "First": {
            "consumes": {"A": 1},
            "produces": {"X": 0.5, "Y": 0.5},
            "units": {"U1": {"min_batch": 2, "max_batch": 2, "fixed_time": 1}},
        },
        "Long": {
            "consumes": {"X": 1},
            "produces": {"I": 1},
            "units": {"U2": {"max_batch": 1, "fixed_time": 5}},
        },
        "Short": {
            "consumes": {"Y": 1},
            "produces": {"I": 1},
            "units": {"U4": {"max_batch": 1, "fixed_time": 1}},
        },
        "Use": {
            "consumes": {"I": 1},
            "produces": {"P": 1},
            "units": {"U3": {"max_batch": 1, "fixed_time": 1}},
        },
    },
}


def test_stalled_search_tries_a_span_longer_by_two():
    found = find_schedule(read_network(NEEDS_SPAN_OF_TWO), horizon=7)
    assert found.result.objective == pytest.approx(3)
    assert found.max_span == 2


def test_demand_that_needs_a_span_is_met():
    # 3 of P cannot be made without spans, so no schedule is there to improve on.
    found = find_schedule(
        read_network(NEEDS_SPAN_OF_TWO), horizon=7, objective="makespan", targets={"P": 3}
    )
    assert found.schedule is not None
    assert found.schedule.final_stock["P"] == pytest.approx(3)


def test_search_stops_with_a_proof_for_any_schedule():
    found = find_schedule(load_example("motivating"), horizon=12, proof_limit=math.inf)
    assert found.proof.scope == "any schedule"
    assert found.proof.bound == found.proof.any_schedule_bound
    assert 71.518 <= found.proof.bound <= 71.518 * 1.0003
    last = found.tried[-1]
    assert (last.formulation, last.status) == ("intervals", Status.INFEASIBLE)
    assert all(row.seconds > 0 for row in found.tried)
    spent = sum(row.seconds for row in found.tried)
    assert found.search_time + found.proof_time >= 0.99 * spent
    assert 0 < found.search_time < found.search_time + found.proof_time


def test_proof_can_be_switched_off_and_limited():
    network = load_example("motivating")
    found = find_schedule(network, horizon=12, proof_limit=0)
    assert found.proof.scope == "these event points"
    assert found.proof.any_schedule_bound is None
    assert {row.formulation for row in found.tried} == {"unit_events"}
    # Where the caller chose the event points, an answer for any schedule must be asked for.
    given = find_schedule(network, horizon=12, n_events=4, max_span=0)
    assert given.proof.scope == "these event points"
    assert {row.formulation for row in given.tried} == {"unit_events"}
    assert given.bound >= 71.518  # the sums over the horizon cost nothing, and say little
    given = find_schedule(network, horizon=12, n_events=4, max_span=0, proof_limit=math.inf)
    assert given.proof.scope == "any schedule"
    with pytest.raises(InvalidInputError, match="proof_limit"):
        find_schedule(network, horizon=12, proof_limit=-1)


@pytest.mark.long
def test_any_schedule_beats_event_points_that_are_too_few():
    # The bound for any schedule stays above what three event points reach, and is not claimed.
    found = find_schedule(
        load_example("motivating"), horizon=12, n_events=3, max_span=0, proof_limit=math.inf
    )
    assert found.result.objective == pytest.approx(50)
    assert found.proof.scope == "these event points"
    assert found.proof.bound == pytest.approx(50)
    assert found.proof.any_schedule_bound == pytest.approx(71.518, abs=0.01)


def test_false_plateau_is_not_the_end():
    # Without spans 6, 7 and 8 event points all prove 2708.
    found = find_schedule(load_example("kondili1993_sep2h"), horizon=10, proof_limit=math.inf)
    assert found.result.objective == pytest.approx(2744.375)
    assert found.proof.scope == "any schedule"
    assert find_violations(found.schedule, load_example("kondili1993_sep2h")) == []


def test_demand_out_of_reach_is_infeasible_for_any_schedule():
    found = find_schedule(load_example("motivating"), horizon=12, targets={"S4": 500})
    assert found.schedule is None
    assert found.proof.scope == "any schedule"
    assert found.result.status is Status.INFEASIBLE


def test_delivery_is_part_of_the_search():
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 0.5}},
        {
            "MakeP": task({"A": 1}, {"P": 1}, U1=run(1, 10)),
            "MakeQ": task({"A": 1}, {"Q": 1}, U1=run(1, 10)),
        },
    )
    found = find_schedule(
        network, horizon=3, deliveries=[Delivery("Q", 1.5, 4)], proof_limit=math.inf
    )
    assert found.result.objective == pytest.approx(25)
    assert found.schedule.batches[0].task == "MakeQ"
    assert find_violations(found.schedule, network) == []
    assert found.proof.scope == "any schedule"


def test_fewest_events_count_the_batches_that_a_demand_needs():
    # 2000 through U3, at most 200 at a time: ten batches, one event for what comes before and one
    # for what comes after.
    assert fewest_events(load_example("ex1"), {"S4": 2000}) == 12


@pytest.fixture(scope="module")
def shortest():
    """Plants, amounts of P and the shortest times for them: on an exact grid, hour by hour."""
    cases = []
    drawn_plants = (case for case in draw_cases(22) if "P" in case[0].states)
    for network, hours, _ in drawn_plants:
        entries = network.to_dict()
        for name, state in entries["states"].items():
            state["price"] = float(name == "P")
        for drawn in entries["tasks"].values():
            for fit in drawn["units"].values():
                fit.pop("fixed_cost", None)
        of_p = read_network(entries)
        most = best_on_grid(of_p, hours)
        if most > network.states["P"].initial + 0.01:
            least = next(h for h in range(1, hours + 1) if best_on_grid(of_p, h) > most - 1e-6)
            cases.append((network, {"P": most - 1e-6}, least))
    return cases


@pytest.mark.long
def test_shortest_makespan_by_its_bound_is_that_of_the_grid(shortest, monkeypatch):
    monkeypatch.setattr(search, "_COSTLY_MAKESPAN", 0)  # every makespan is a costly one
    monkeypatch.setattr(search, "lies_on_short_grid", lambda *_: False)
    looked = []
    look = search.EventPointSearch._solve_within
    monkeypatch.setattr(
        search.EventPointSearch,
        "_solve_within",
        lambda self, *place: looked.append(look(self, *place)) or looked[-1],
    )
    for network, targets, least in shortest:
        found = find_schedule(network, horizon=20, objective="makespan", targets=targets)
        assert found.result.objective == pytest.approx(least, rel=2e-4), network.to_dict()
        assert find_violations(found.schedule, network) == []
        assert found.schedule.final_stock["P"] >= targets["P"] - 1e-4
        assert found.proof.bound <= least * (1 + 1e-9)
    assert looked.count(True) > 3
    assert looked.count(False) > 3


@pytest.mark.long
def test_bound_of_a_makespan_is_reached_or_below(shortest):
    tight = 0
    for network, targets, least in shortest:
        problem = Problem(objective="makespan", horizon=20, targets=targets)
        from_below = bound_makespan(Question(network=network, problem=problem))
        from_above = bound_makespan(Question(network=network, problem=problem), known=float(least))
        for bound in (from_below, from_above):
            assert bound is None or bound <= least * (1 + 1e-9), network.to_dict()
        if from_above is not None:
            assert from_below == pytest.approx(from_above, rel=3e-4)
            tight += from_above > least * (1 - 3e-4)
    assert tight > 5


def test_horizon_that_is_too_short_for_a_demand_is_its_bound():
    # 50 through all three: 3 + 0.03 * 50, 2 + 0.0266 * 50, 1 + 0.02 * 50.
    network = load_example("motivating")
    problem = Problem(objective="makespan", horizon=5, targets={"S4": 50})
    assert bound_makespan(Question(network=network, problem=problem)) == 5


def test_demand_that_no_horizon_given_allows_is_infeasible_for_any_schedule(monkeypatch):
    monkeypatch.setattr(search, "_COSTLY_MAKESPAN", 0)
    network = load_example("ex1")
    found = find_schedule(network, horizon=20, objective="makespan", targets={"S4": 2000})
    assert (found.schedule, found.result.status) == (None, Status.INFEASIBLE)
    assert found.proof.scope == "any schedule"


def test_demand_that_no_horizon_allows_is_undecided_where_none_is_given():
    # 8 of A make 8 of P, in four batches; no horizon makes 9, but only some can be tried.
    network = plant(
        {"A": {"initial": 8}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(2, 2))},
    )
    found = find_schedule(network, objective="makespan", targets={"P": 9}, n_events=5, max_span=0)
    assert (found.schedule, found.result.status) == (None, Status.NO_SOLUTION)
    assert found.proof.scope == "these event points"
    assert float(found.result.message.removeprefix("none within ")) > 100


@pytest.mark.long
def test_makespan_on_given_events_is_proven_for_any_schedule_where_that_is_cheap():
    network = load_example("ex2")
    found = find_schedule(
        network,
        horizon=50,
        objective="makespan",
        targets={"S8": 200, "S9": 200},
        n_events=9,
        max_span=0,
    )
    assert found.result.objective == pytest.approx(19.3404, abs=2e-4)
    assert (found.proof.scope, found.n_events) == ("any schedule", 9)
    assert find_violations(found.schedule, network) == []
