"""What is asked of a scheduling model and read from it: targets, values, objectives, schedules."""

from __future__ import annotations

import math

import pyomo.environ as pyo
import pytest

from stnopt.errors import InvalidInputError, InvalidScheduleError
from stnopt.plant import load_example, read_network
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    read_runs,
    require_targets,
    require_value,
    schedule_from_runs,
    set_objective,
    set_structure,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.solve import Status, solve

# One unit makes P or Q from bought A, an hour a batch; what is made of Q is half waste.
SHOP = read_network(
    {
        "name": "shop",
        "states": {
            "A": {"initial": "unlimited", "cost": 2},
            "B": {"initial": 5, "cost": 1},
            "P": {"price": 5, "initial": 1},
            "Q": {"price": 9},
            "W": {"price": -1},
        },
        "tasks": {
            "MakeP": {
                "consumes": {"A": 1},
                "produces": {"P": 1},
                "units": {
                    "U": {
                        "max_batch": 10,
                        "fixed_time": 1,
                        "fixed_cost": 3,
                        "cost_per_amount": 0.5,
                    }
                },
            },
            "MakeQ": {
                "consumes": {"A": 0.5, "B": 0.5},
                "produces": {"Q": 0.5, "W": 0.5},
                "units": {"U": {"max_batch": 10, "fixed_time": 1}},
            },
        },
    }
)


def shop(objective="profit", *, horizon=3, n_events=3):
    model = build_scheduling_model(SHOP, horizon=horizon, n_events=n_events)
    set_objective(model, objective)
    return model


def motivating(objective="profit", *, n_events=4):
    model = build_scheduling_model(load_example("motivating"), horizon=12, n_events=n_events)
    set_objective(model, objective)
    return model


def solved(model, network=SHOP):
    assert solve(model, relative_gap=1e-6).status is Status.OPTIMAL
    return extract_schedule(model, network)


def test_profit_counts_stock_raw_material_and_tasks():
    # Three batches of P: 31 * 5 - 30 * 2 - 3 * 3 - 15; a batch of Q instead earns
    # 5 * 9 - 5 - 5 * 2 - 5 * 1 = 25 and saves 10 * (5 - 2 - 0.5) - 3 = 22.
    schedule = solved(shop())
    assert schedule_value(schedule, SHOP, "profit") == pytest.approx(5 + 2 * 22 + 25)
    assert schedule.final_stock["Q"] == pytest.approx(5)
    assert schedule.final_stock["W"] == pytest.approx(5)


def test_unlimited_states_report_what_was_consumed():
    model = shop("production")
    schedule = solved(model)
    assert schedule.final_stock["A"] == pytest.approx(30)
    assert pyo.value(model.final_stock["A"]) == pytest.approx(30)
    assert schedule.final_stock["B"] == pytest.approx(5)


def test_production_counts_priced_states_with_their_initial_stock():
    assert schedule_value(solved(shop("production")), SHOP, "production") == pytest.approx(31)


@pytest.mark.parametrize("kind", ["profit", "production", "cost", "makespan"])
def test_objective_is_what_the_batches_are_worth(kind):
    model = shop(kind)
    require_targets(model, {"P": 14, "Q": 2})
    result = solve(model, relative_gap=1e-6)
    schedule = extract_schedule(model, SHOP)
    assert schedule_value(schedule, SHOP, kind) == pytest.approx(result.objective, abs=1e-5)


def test_a_second_objective_replaces_the_first():
    model = shop("profit")
    set_objective(model, "production")
    assert solve(model).objective == pytest.approx(31)
    set_objective(model, "cost")
    assert solve(model).objective == pytest.approx(0)
    assert len(list(model.component_data_objects(pyo.Objective, active=True))) == 1


def test_makespan_of_a_demand_known_by_hand():
    # Amount 50 through 3 + 0.03 b, 2 + 0.0266 b and 1 + 0.02 b, one batch each.
    model = motivating("makespan")
    require_targets(model, {"S4": 50})
    result = solve(model, relative_gap=1e-6)
    assert result.objective == pytest.approx(9.83)
    schedule = extract_schedule(model, load_example("motivating"))
    assert max(b.finish for b in schedule.batches) == pytest.approx(9.83)
    set_objective(model, "profit")  # the makespan no longer matters
    assert solve(model).objective == pytest.approx(71.518, abs=0.01)


def test_cost_of_a_demand_known_by_hand():
    model = shop("cost")
    require_targets(model, {"P": 16})  # one is in stock
    assert solve(model, relative_gap=1e-6).objective == pytest.approx(15 * 2.5 + 2 * 3)


def test_targets_at_least_and_exactly():
    model = shop("production")
    require_targets(model, {"Q": 2.5})
    schedule = solved(model)
    assert schedule.final_stock["Q"] >= 2.5 - 1e-6
    require_targets(model, {"P": 7}, sense="exactly")
    schedule = solved(model)
    assert schedule.final_stock["P"] == pytest.approx(7)
    assert schedule.final_stock["Q"] == pytest.approx(5)  # free to be more than 2.5


def test_a_second_call_updates_amount_and_sense_of_its_targets_only():
    model = shop("production")
    require_targets(model, {"P": 4, "Q": 1}, sense="exactly")
    assert solve(model).objective == pytest.approx(5)
    require_targets(model, {"P": 9}, sense="exactly")
    assert solve(model).objective == pytest.approx(10)  # Q is still 1
    require_targets(model, {"P": 9})
    assert solve(model).objective == pytest.approx(22, abs=1e-4)  # two batches of P, one of 2 for Q
    require_targets(model, {"Q": 0})
    assert solve(model).objective == pytest.approx(31, abs=1e-4)


def test_target_that_no_batch_can_reach_is_infeasible_not_an_error():
    model = motivating(n_events=1)  # nothing sold can be made at one event point
    assert solve(model).objective == pytest.approx(0)
    require_targets(model, {"S4": 1})
    assert solve(model).status is Status.INFEASIBLE
    require_targets(model, {"S4": 0}, sense="exactly")
    assert solve(model).status is Status.OPTIMAL


@pytest.mark.parametrize(
    ("targets", "sense", "message"),
    [
        ({"Z": 1}, "at_least", r"'Z'.*no such state.*\['P', 'Q', 'W'\]"),
        ({"A": 1}, "at_least", "'A': no task produces it"),
        ({"B": 1}, "at_least", "'B': no task produces it"),
        ({"P": -1}, "at_least", "'P'.*at least 0, got -1"),
        ({"P": math.nan}, "at_least", "'P'.*got nan"),
        ({"P": math.inf}, "at_least", "'P'.*got inf"),
        ({"P": 1}, "at_most", "'at_most'"),
    ],
)
def test_bad_targets_are_refused_and_change_nothing(targets, sense, message):
    model = shop("production")
    require_targets(model, {"P": 30})
    with pytest.raises(InvalidInputError, match=message):
        require_targets(model, targets, sense=sense)
    assert solve(model).objective == pytest.approx(31)


def test_required_values_bound_what_is_not_the_objective():
    model = shop("production")
    require_value(model, "cost", at_most=28)
    schedule = solved(model)
    assert schedule_value(schedule, SHOP, "cost") <= 28 + 1e-5
    assert schedule_value(schedule, SHOP, "production") == pytest.approx(1 + 10)
    require_value(model, "cost", at_most=56)  # replaces the first
    assert schedule_value(solved(model), SHOP, "production") == pytest.approx(1 + 20)
    require_value(model, "profit", at_least=1000)
    assert solve(model).status is Status.INFEASIBLE


def test_required_makespan_lets_the_schedule_end_early():
    model = shop("production")
    require_value(model, "makespan", at_most=2)
    schedule = solved(model)
    assert schedule_value(schedule, SHOP, "makespan") <= 2 + 1e-6
    assert schedule_value(schedule, SHOP, "production") == pytest.approx(21)


def test_values_to_require_need_a_kind_and_a_limit():
    with pytest.raises(InvalidInputError, match="'joy'"):
        require_value(shop(), "joy", at_least=1)
    with pytest.raises(InvalidInputError, match="at_least= or at_most="):
        require_value(shop(), "profit")


def test_objective_needs_a_known_kind_and_production_something_priced():
    with pytest.raises(InvalidInputError, match=r"kind: .*profit.*'joy'"):
        set_objective(shop(), "joy")
    entries = SHOP.to_dict()
    for state in ("P", "Q"):
        del entries["states"][state]["price"]
    with pytest.raises(InvalidInputError, match="no state of 'shop' has a price"):
        set_objective(
            build_scheduling_model(read_network(entries), horizon=3, n_events=3), "production"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizon": math.inf}, "horizon"),
        ({"horizon": math.nan}, "horizon"),
        ({"n_events": 0}, "n_events"),
        ({"n_events": 2.5}, "n_events"),
        ({"max_span": -1}, "max_span"),
        ({"max_span": 0.5}, "max_span"),
        ({"formulation": "crystal_ball"}, "crystal_ball"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        build_scheduling_model(SHOP, **({"horizon": 3, "n_events": 3} | arguments))


def test_horizon_shorter_than_every_batch_leaves_the_initial_stock():
    schedule = solved(shop(horizon=0.5))
    assert schedule.batches == ()
    assert schedule.final_stock["P"] == pytest.approx(1)


def test_unsolved_model_holds_no_schedule():
    with pytest.raises(InvalidScheduleError, match="no solution"):
        extract_schedule(shop(), SHOP)
    with pytest.raises(InvalidScheduleError, match="no solution"):
        read_runs(shop())


def test_schedule_is_read_with_the_models_own_plant():
    model = shop()
    solve(model)
    with pytest.raises(InvalidInputError, match="another plant than 'motivating'"):
        extract_schedule(model, load_example("motivating"))
    assert extract_schedule(model, read_network(SHOP.to_dict())).batches


def test_schedule_that_breaks_the_plant_is_refused():
    model = shop("production")
    solve(model)
    batch = next(b for b in model.BATCHES if model.run[b].value > 0.5)
    model.size[batch].set_value(11, skip_validation=True)
    with pytest.raises(InvalidScheduleError, match=r"size 11.*outside"):
        extract_schedule(model, SHOP)


def test_empty_batches_are_dropped():
    model = shop("production")
    solve(model)
    running = [b for b in model.BATCHES if model.run[b].value > 0.5]
    model.size[running[0]].set_value(0.0)
    schedule = extract_schedule(model, SHOP)
    assert len(schedule.batches) == len(running) - 1
    assert len(read_runs(model)) == len(running)


def test_runs_make_the_schedule_and_give_its_structure_back():
    model = motivating()
    solve(model)
    network, runs = load_example("motivating"), read_runs(model)
    schedule = schedule_from_runs(runs, network, horizon=12)
    assert schedule.batches == extract_schedule(model, network).batches
    assert find_violations(schedule, network) == []
    other = motivating()
    set_structure(other, runs)
    assert {b for b in other.BATCHES if other.run[b].value == 1} == set(runs)
    for batch in other.BATCHES:
        other.run[batch].fix()
    assert solve(other).objective == pytest.approx(71.518, abs=0.01)


def test_final_stock_is_accepted_in_a_constraint_of_the_user():
    model = shop("production")
    model.mix = pyo.Constraint(expr=model.final_stock["P"] == 2 * model.final_stock["Q"])
    schedule = solved(model)
    assert schedule.final_stock["P"] == pytest.approx(2 * schedule.final_stock["Q"])
