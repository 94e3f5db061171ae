"""A bound for any schedule: never below what a schedule reaches, and exact where it says so."""

from __future__ import annotations

from random import Random

import pytest
from time_grid import best_on_grid, draw_plant

from stnopt.plant import load_example, read_network
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.formulations.intervals import tables
from stnopt.scheduling.formulations.intervals.tables import count_intervals
from stnopt.scheduling.model import (
    build_relaxation,
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.bounds import bound_makespan, solve_for_any_schedule
from stnopt.scheduling.search.question import Question
from stnopt.solvers.engines import highs
from stnopt.solvers.solve import SolveResult, Status, solve


def bound(network, horizon, *, deliveries=()):
    model = build_relaxation(network, horizon=horizon)
    set_objective(model, "profit")
    if deliveries:
        require_deliveries(model, deliveries)
    result = solve(model, relative_gap=1e-7)
    assert result.status is Status.OPTIMAL
    return result.bound


@pytest.mark.few_seeds(4)
@pytest.mark.parametrize("seed", range(40, 60))
def test_bound_is_never_below_the_best_of_whole_hours(seed):
    network = draw_plant(seed)
    assert bound(network, 5) >= best_on_grid(network, 5) - 1e-5


def test_bound_is_mostly_exact():
    exact = [
        bound(draw_plant(seed), 5) == pytest.approx(best_on_grid(draw_plant(seed), 5), abs=1e-5)
        for seed in range(12)
    ]
    assert sum(exact) >= 9


def with_slopes(seed):
    """Let the durations of a drawn plant depend on the batch size, in odd numbers."""
    random, entries = Random(seed), draw_plant(seed).to_dict()
    for task in entries["tasks"].values():
        for unit in task["units"].values():
            unit["fixed_time"] = round(random.uniform(0.9, 2), 2)
            unit["time_per_amount"] = random.choice([0, 0.1, 0.25])
            if "release_time" in unit:
                leaves = round(random.uniform(0.3, 0.8) * unit["fixed_time"], 2)
                unit["release_time"] = dict.fromkeys(unit["release_time"], leaves)
    return read_network(entries)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(10))
def test_bound_is_never_below_what_event_points_reach(seed):
    network = with_slopes(seed)
    model = build_scheduling_model(network, horizon=5.3, n_events=5, max_span=1)
    set_objective(model, "profit")
    result = solve(model)
    assert result.status is Status.OPTIMAL
    assert bound(network, 5.3) >= result.objective - 1e-5


def with_rules(seed):
    """Add maintenance, changeovers, a utility and deliveries to a drawn plant."""
    random, entries = Random(seed), draw_plant(seed).to_dict()
    units = sorted({u for task in entries["tasks"].values() for u in task["units"]})
    tasks = list(entries["tasks"])
    entries["units"] = {}
    for unit in units:
        start = random.randint(1, 4)
        on_unit = [t for t in tasks if unit in entries["tasks"][t]["units"]]
        entries["units"][unit] = {"unavailable": [[start, start + 1]]}
        if len(on_unit) > 1:
            one, other = random.sample(on_unit, 2)
            entries["units"][unit]["changeovers"] = {one: {other: random.randint(1, 2)}}
    entries["utilities"] = {"steam": {"capacity": 3}}
    for task in entries["tasks"].values():
        for unit in task["units"].values():
            unit["draws"] = {"steam": random.randint(1, 2)}
    return read_network(entries)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(16))
def test_bound_is_never_below_the_exact_grid_with_rules(seed):
    network = with_rules(seed)
    model = build_scheduling_model(network, horizon=6, n_events=6, formulation="time_grid")
    set_objective(model, "profit")
    free = solve(model, relative_gap=1e-7)
    schedule = extract_schedule(model, network)
    assert bound(network, 6) >= free.objective - 1e-5
    made = [s for s in ("P", "Q") if schedule.final_stock.get(s, 0) > 0]
    if not made:
        return
    deliveries = (Delivery(made[0], 5, 0.5 * schedule.final_stock[made[0]]),)
    require_deliveries(model, deliveries)
    served = solve(model, relative_gap=1e-7)
    if served.status is not Status.INFEASIBLE:
        assert bound(network, 6, deliveries=deliveries) >= served.objective - 1e-5


def test_what_leaves_early_on_one_of_two_units_is_there_at_once():
    # U1 releases 10 of I at 1, and Use has the second hour for it; U2, which is away, releases at
    # the end only.
    entries = {
        "name": "two units",
        "states": {"A": {"initial": "unlimited"}, "I": {}, "P": {"price": 1}},
        "tasks": {
            "Make": {
                "consumes": {"A": 1},
                "produces": {"I": 1},
                "units": {
                    "U1": {"max_batch": 10, "fixed_time": 2, "release_time": {"I": 1}},
                    "U2": {"max_batch": 10, "fixed_time": 1},
                },
            },
            "Use": {
                "consumes": {"I": 1},
                "produces": {"P": 1},
                "units": {"V": {"max_batch": 10, "fixed_time": 1}},
            },
        },
        "units": {"U2": {"unavailable": [[0, 2]]}},
    }
    network = read_network(entries)
    assert best_on_grid(network, 2) == pytest.approx(10)
    assert bound(network, 2) >= 10 - 1e-5


ONE_UNIT = read_network(
    {
        "name": "one unit",
        "states": {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        "tasks": {
            "Make": {
                "consumes": {"A": 1},
                "produces": {"P": 1},
                "units": {"U1": {"max_batch": 10, "fixed_time": 0.9, "time_per_amount": 0.01}},
            }
        },
    }
)


def test_intervals_longer_than_a_batch_would_lose_schedules(monkeypatch):
    # A unit starts once per interval: in too few of them the bound falls below what is possible.
    # So the checks above can fail.
    assert count_intervals(ONE_UNIT, 6) == 7
    assert bound(ONE_UNIT, 6) == pytest.approx(60)
    monkeypatch.setattr(tables, "count_intervals", lambda network, horizon: 3)
    assert bound(ONE_UNIT, 6) < 59


def test_spans_left_out_would_lose_schedules(monkeypatch):
    spans = tables._spans
    monkeypatch.setattr(tables, "_spans", lambda fit, width: spans(fit, width)[1:])
    assert bound(ONE_UNIT, 6) < 59


@pytest.mark.parametrize(
    ("name", "horizon", "value"),
    [("motivating", 12, 71.518222), ("storage_trap", 7, 20.0)],
)
def test_published_optimum_holds_for_any_schedule(name, horizon, value):
    network = load_example(name)
    answer = solve_for_any_schedule(
        Question(network=network, problem=Problem(horizon=horizon)), relative_gap=1e-6
    )
    assert answer.result.objective == pytest.approx(value, rel=1e-5)
    assert answer.result.bound == pytest.approx(value, rel=1e-5)
    assert find_violations(answer.schedule, network) == []


@pytest.mark.long
def test_nothing_better_than_the_best_is_infeasible_and_less_is_not():
    network = load_example("motivating")
    problem = Problem(horizon=12)
    answer = solve_for_any_schedule(Question(network=network, problem=problem), better_than=71.53)
    assert answer.result.status is Status.INFEASIBLE
    answer = solve_for_any_schedule(Question(network=network, problem=problem), better_than=71.51)
    assert answer.result.has_solution


def test_infeasible_of_the_presolve_is_looked_at_once_more(monkeypatch):
    network = load_example("motivating")
    seen, honest = [], highs.run

    def lost_in_presolve(request):
        seen.append(request.presolve)
        if request.presolve:
            return SolveResult(status=Status.INFEASIBLE, n_nodes=0)
        return honest(request)

    monkeypatch.setattr(highs, "run", lost_in_presolve)
    answer = solve_for_any_schedule(
        Question(network=network, problem=Problem(horizon=12)), better_than=71.0
    )
    assert seen == [True, False]
    assert answer.result.objective >= 71
    assert answer.schedule is not None
    seen.clear()
    answer = solve_for_any_schedule(
        Question(network=network, problem=Problem(horizon=12)), better_than=1e4
    )
    assert seen == [True, False]  # what is infeasible without presolve as well is believed
    assert answer.result.status is Status.INFEASIBLE


@pytest.mark.long
def test_makespan_has_a_bound_for_any_schedule():
    # 50 through all three: 3 + 0.03 * 50, 2 + 0.0266 * 50, 1 + 0.02 * 50.
    network = load_example("motivating")
    problem = Problem(objective="makespan", horizon=20, targets={"S4": 50})
    least = bound_makespan(Question(network=network, problem=problem), known=9.83)
    assert 6 < least <= 9.83
    answer = solve_for_any_schedule(Question(network=network, problem=problem), better_than=9.829)
    assert answer.result.status is Status.INFEASIBLE
    answer = solve_for_any_schedule(Question(network=network, problem=problem), better_than=9.831)
    assert answer.result.objective == pytest.approx(9.83, rel=1e-3)


def test_a_model_that_is_not_built_in_time_is_not_begun(monkeypatch):
    network, built = load_example("ex2"), []
    question = Question(network=network, problem=Problem(horizon=24))
    build = Question.build_relaxation
    monkeypatch.setattr(
        Question, "build_relaxation", lambda *a, **k: built.append(1) or build(*a, **k)
    )
    assert solve_for_any_schedule(question, time_limit=0.1) is None
    assert not built
    assert solve_for_any_schedule(question, time_limit=2.0) is not None
    assert built


def test_too_many_intervals_are_not_tried():
    entries = ONE_UNIT.to_dict()
    entries["tasks"]["Make"]["units"]["U1"] = {
        "max_batch": 10,
        "fixed_time": 0.001,
        "time_per_amount": 1,
    }
    assert (
        solve_for_any_schedule(Question(network=read_network(entries), problem=Problem(horizon=6)))
        is None
    )
