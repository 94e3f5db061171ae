"""The exact grid against a reference of its own code, hand calculations, and what it refuses."""

from __future__ import annotations

import math

import pytest
from small_plants import plant, run, task
from time_grid import best_on_grid, draw_plant

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.plant.problem import Delivery
from stnopt.scheduling.formulations.time_grid.width import find_grid_width
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    require_targets,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers.solve import Status, solve


def on_grid(network, *, horizon, n_events, objective="profit", targets=None, deliveries=()):
    model = build_scheduling_model(
        network, horizon=horizon, n_events=n_events, formulation="time_grid"
    )
    set_objective(model, objective)
    if targets:
        require_targets(model, targets)
    if deliveries:
        require_deliveries(model, deliveries)
    result = solve(model, relative_gap=1e-7)
    return result, extract_schedule(model, network) if result.has_solution else None


@pytest.mark.few_seeds(4)
@pytest.mark.parametrize("seed", range(24))
def test_grid_equals_a_reference_of_its_own_code(seed):
    network = draw_plant(seed)
    result, _ = on_grid(network, horizon=6, n_events=6)
    assert result.objective == pytest.approx(best_on_grid(network, 6), abs=1e-5)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(0, 24, 2))
def test_search_over_events_proven_by_the_grid_equals_the_reference(seed):
    # The model of event points, on those that the grid's schedule needs, reaches the same and
    # nothing better: the numbers of the schedule are right, and three codes agree.
    network = draw_plant(seed)
    found = find_schedule(network, horizon=6, relative_gap=1e-7, proof_limit=math.inf)
    assert found.result.objective == pytest.approx(best_on_grid(network, 6), abs=1e-5)
    assert found.proof.scope == "any schedule"
    assert find_violations(found.schedule, network) == []
    model = build_scheduling_model(
        network, horizon=6, n_events=found.n_events, max_span=found.max_span
    )
    set_objective(model, "profit")
    assert solve(model).objective == pytest.approx(found.result.objective, rel=1e-4, abs=1e-4)


def test_half_hours_are_found_and_finer_grids_change_nothing():
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task({"A": 1}, {"P": 1}, U1=run(1.5, 10), U2=run(2, 10))},
    )
    assert find_grid_width(network, horizon=4) == pytest.approx(0.5)
    for n_events in (8, 16):
        result, _ = on_grid(network, horizon=4, n_events=n_events)
        assert result.objective == pytest.approx(40)


def test_shortest_makespan_on_the_grid():
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
        {
            "First": task({"A": 1}, {"I": 1}, U1=run(1, 10)),
            "Second": task({"I": 1}, {"P": 1}, U2=run(2, 10)),
        },
    )
    result, schedule = on_grid(
        network, horizon=12, n_events=12, objective="makespan", targets={"P": 25}
    )
    assert result.objective == pytest.approx(7)  # 1 to the first of I, then three times 2
    assert max(batch.finish for batch in schedule.batches) == pytest.approx(7)


TWO_PRODUCTS = (
    {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
    {"P": task({"A": 1}, {"P": 1}, U1=run(1, 10)), "Q": task({"A": 1}, {"Q": 1}, U1=run(1, 10))},
)


def test_changeovers_count_for_what_follows_directly():
    network = plant(*TWO_PRODUCTS, units={"U1": {"changeovers": {"P": {"Q": 2}, "Q": {"P": 3}}}})
    # Q first, then 3 hours, P: five hours. P first is one hour shorter.
    result, schedule = on_grid(
        network, horizon=5, n_events=5, objective="makespan", targets={"P": 10, "Q": 10}
    )
    assert result.objective == pytest.approx(4)
    assert [batch.task for batch in schedule.batches] == ["P", "Q"]


def test_a_unit_that_is_cleaned_and_never_there_runs_nothing():
    rules = {"unavailable": [[0, 4]], "changeovers": {"P": {"Q": 1}}}
    result, schedule = on_grid(plant(*TWO_PRODUCTS, units={"U1": rules}), horizon=4, n_events=4)
    assert result.objective == pytest.approx(0)
    assert schedule.batches == ()


def test_maintenance_leaves_its_hours_out():
    network = plant(*TWO_PRODUCTS, units={"U1": {"unavailable": [[2, 4]]}})
    result, schedule = on_grid(network, horizon=6, n_events=6)
    assert result.objective == pytest.approx(40)
    assert all(b.finish <= 2 or b.start >= 4 for b in schedule.batches)


def test_nothing_waits_in_a_unit_during_maintenance():
    # I has no storage: what U1 makes by 2 has to be taken by then, and U2 is busy from 1 to 4.
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "P": {"price": 1}},
        {
            "First": task({"A": 1}, {"I": 1}, U1=run(1, 10)),
            "Second": task({"I": 1}, {"P": 1}, U2=run(3, 10)),
        },
        units={"U1": {"unavailable": [[2, 6]]}},
    )
    result, _ = on_grid(network, horizon=7, n_events=7)
    assert result.objective == pytest.approx(10)


def test_utility_lets_one_of_two_run_at_a_time():
    entries = {
        "Make": task(
            {"A": 1},
            {"P": 1},
            U1=run(1, 10, draws={"steam": 2}, draws_per_amount={"steam": 0.1}),
            U2=run(1, 10, draws={"steam": 2}, draws_per_amount={"steam": 0.1}),
        )
    }
    states = {"A": {"initial": "unlimited"}, "P": {"price": 1}}
    network = plant(states, entries, utilities={"steam": {"capacity": 3}})
    result, _ = on_grid(network, horizon=3, n_events=3)
    assert result.objective == pytest.approx(30)
    network = plant(states, entries, utilities={"steam": {"capacity": 5}})
    result, _ = on_grid(network, horizon=3, n_events=3)
    assert result.objective == pytest.approx(30)  # two batches of 5, or one of 10
    network = plant(states, entries, utilities={"steam": {"capacity": 6}})
    result, _ = on_grid(network, horizon=3, n_events=3)
    assert result.objective == pytest.approx(60)


def test_delivery_is_served_in_time_and_paid():
    network = plant(*TWO_PRODUCTS)
    result, schedule = on_grid(
        network, horizon=3, n_events=3, deliveries=(Delivery("Q", 1, 10), Delivery("Q", 2, 5))
    )
    assert result.objective == pytest.approx(30)
    assert [batch.task for batch in schedule.batches[:2]] == ["Q", "Q"]
    result, _ = on_grid(network, horizon=3, n_events=3, deliveries=(Delivery("Q", 1, 11),))
    assert result.status is Status.INFEASIBLE


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"time_per_amount": 0.1}, "task 'P' on unit 'U1' depends on the batch size"),
        ({"fixed_time": 1.3}, "the duration of task 'P' on unit 'U1', 1.3, is no multiple of 1"),
        ({"fixed_time": 2, "release_time": {"P": 0.5}}, "release time of 'P'"),
    ],
)
def test_time_off_the_grid_is_refused_by_name(more, message):
    states, tasks = TWO_PRODUCTS
    changed = {**tasks, "P": task({"A": 1}, {"P": 1}, U1={**run(1, 10), **more})}
    with pytest.raises(UnsupportedModelError, match=message):
        on_grid(plant(states, changed), horizon=6, n_events=6)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ({"unavailable": [[2.5, 4]]}, "period from 2.5"),
        ({"changeovers": {"P": {"Q": 0.5}}}, "changeover 'P' to 'Q' on unit 'U1'"),
    ],
)
def test_rule_off_the_grid_is_refused_by_name(unit, message):
    with pytest.raises(UnsupportedModelError, match=f"(?s){message}.*n_events=12"):
        on_grid(plant(*TWO_PRODUCTS, units={"U1": unit}), horizon=6, n_events=6)


def test_delivery_off_the_grid_and_spans_are_refused():
    with pytest.raises(UnsupportedModelError, match="delivery of 'Q'"):
        on_grid(plant(*TWO_PRODUCTS), horizon=3, n_events=3, deliveries=(Delivery("Q", 1.5, 1),))
    with pytest.raises(InvalidInputError, match="no spans"):
        build_scheduling_model(
            plant(*TWO_PRODUCTS), horizon=3, n_events=3, max_span=1, formulation="time_grid"
        )


def test_empty_schedule_needs_one_event_point():
    network = plant(*TWO_PRODUCTS)
    found = find_schedule(network, horizon=0.5)
    assert number_events(found.schedule, network) == (1, 0)
