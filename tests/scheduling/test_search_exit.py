"""What leaves the library has been recomputed, replayed as it was asked, and believed by all."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace

import pandas as pd
import pyomo.environ as pyo
import pytest
from small_plants import plant, run, task

import stnopt as so
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.bounds import bound_makespan
from stnopt.scheduling.search.global_bound import GlobalBound
from stnopt.scheduling.search.horizon import feasibility_windows, shorten_horizon
from stnopt.scheduling.search.incumbent import Incumbent
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.scheduling.search.question import Question
from stnopt.solvers import Status, solve
from stnopt.solvers.engines import highs

solving = importlib.import_module("stnopt.solvers.solve")

FAST = {"max_batch": 10, "fixed_time": 1, "time_per_amount": 0.1}


def away(*periods: tuple[float, float], slow: bool = False) -> so.Network:
    """R makes 10 P in 2 h and cannot keep it while it is away; S, where there is one, takes 4 h."""
    tasks = {"Fast": {"consumes": {"A": 1}, "produces": {"P": 1}, "units": {"R": FAST}}}
    if slow:
        units = {"S": {**FAST, "fixed_time": 3}}
        tasks["Slow"] = {"consumes": {"A": 1}, "produces": {"P": 1}, "units": units}
    return so.read_network(
        {
            "name": "away",
            "states": {"A": {"initial": "unlimited"}, "P": {"capacity": 0, "price": 1}},
            "tasks": tasks,
            "units": {"R": {"unavailable": [list(p) for p in periods]}},
        }
    )


def test_a_makespan_holds_through_the_period_that_follows_it():
    # By hand: what R has made at 2 cannot stay in it from 6 to 8; S ends at 4 and keeps it.
    network = away((6, 8), slow=True)
    problem = Problem(objective="makespan", targets={"P": 10}, horizon=12)
    found = so.find_schedule(network, problem)
    assert found.result.objective == pytest.approx(4, rel=2e-4)
    assert (found.proof.scope, found.stopped) == ("any schedule", "proven")
    assert found.schedule.horizon == 12
    assert find_violations(found.schedule, network) == []
    given = so.find_schedule(network, problem, n_events=2, max_span=0)
    assert given.result.objective == pytest.approx(4, rel=2e-4)


@pytest.mark.parametrize(
    ("horizon", "makespan"), [(None, 2), (2, 2), (5, 2), (6, 2), (7, None), (12, 10)]
)
def test_with_units_away_a_longer_horizon_can_be_worse(horizon, makespan):
    found = so.find_schedule(away((6, 8)), objective="makespan", targets={"P": 10}, horizon=horizon)
    if makespan is None:
        assert (found.schedule, found.result.status) == (None, Status.INFEASIBLE)
    else:
        assert found.result.objective == pytest.approx(makespan, rel=2e-4)
    assert found.proof.scope == "any schedule"


def test_the_horizons_at_which_a_demand_can_be_met_are_told_apart():
    network = away((6, 8))
    short = so.explain_infeasible(network, {"P": 10}, horizon=1.5)
    assert short.feasible_from.horizon == pytest.approx(2, rel=2e-4)
    assert "Feasible from horizon 2" in str(short)
    between = so.explain_infeasible(network, {"P": 10}, horizon=7)
    (first, until), (again, ever) = between.feasible_from.windows
    assert (first, until, again, ever) == pytest.approx((2, 6, 10, math.inf), rel=2e-4)
    assert "Feasible at 2 to 6 and from 10." in str(between)


def test_a_window_is_shortened_only_as_far_as_it_asks_the_same():
    network = away((6, 8), (20, 21))

    def shortened(until: float, horizon: float, plant: so.Network = network) -> float:
        return shorten_horizon(Question(network=plant, problem=Problem(horizon=horizon)), until)

    assert shortened(4, 5) == 4
    assert shortened(4, 6) == 4  # the period begins as the window ends
    assert shortened(4, 7) == 7
    assert shortened(4, 12) == 8
    assert shortened(9, 12) == 9
    assert shortened(4, 30) == 21
    late = {**network.states, "A": replace(network.states["A"], initial=0, arrivals=((25, 5),))}
    assert shortened(9, 30, replace(network, states=late)) == 30  # what comes must find room
    assert feasibility_windows(network, 12) == [(0.0, 6.0), (6.0, 12)]


EARLY = {
    "name": "early",
    "states": {"A": {"initial": 20}, "I": {}, "Q": {"price": 3, "capacity": 2}},
    "tasks": {
        "T0": {
            "consumes": {"A": 1},
            "produces": {"I": 0.5, "Q": 0.5},
            "units": {"U1": {"max_batch": 8, "fixed_time": 3, "release_time": {"Q": 2}}},
        },
        "T2": {
            "consumes": {"I": 1},
            "produces": {"I": 0.2, "Q": 0.8},
            "units": {"U2": {"max_batch": 8, "fixed_time": 3}},
        },
    },
}


def test_an_objective_is_that_of_the_batches():
    # HiGHS 1.16.0 says 16.8 for batches that are worth 10.8 (SCIP, Gurobi, HiGHS 1.15.1: 10.8).
    network = so.read_network(EARLY)
    model = so.build_scheduling_model(network, horizon=13, n_events=3, max_span=1)
    so.set_objective(model, "profit")
    result = solve(model)
    assert (result.status, result.objective) == (Status.OPTIMAL, pytest.approx(10.8))
    schedule = so.extract_schedule(model, network)
    assert schedule_value(schedule, network, "profit") == pytest.approx(10.8)


def lying(times: int, monkeypatch: pytest.MonkeyPatch) -> list:
    """Have HiGHS claim 6 more than its values are worth, so many times."""
    asked, honest = [], highs.run

    def run_highs(request):
        result = honest(request)
        asked.append(request)
        if len(asked) <= times:
            return replace(result, objective=result.objective + 6, bound=result.bound + 6)
        return result

    monkeypatch.setattr(highs, "run", run_highs)
    return asked


def sack() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.take = pyo.Var(range(3), domain=pyo.Binary)
    m.weight = pyo.Constraint(expr=2 * m.take[0] + 3 * m.take[1] + 4 * m.take[2] <= 5)
    m.worth = pyo.Objective(expr=3 * m.take[0] + 4 * m.take[1] + 5 * m.take[2], sense=pyo.maximize)
    return m


def test_a_solver_that_disagrees_with_itself_is_asked_again(monkeypatch):
    asked = lying(1, monkeypatch)
    result = solve(sack())
    assert (result.status, result.objective, result.bound) == (Status.OPTIMAL, 7, 7)
    assert [request.presolve for request in asked] == [True, False]


def test_a_solver_that_always_disagrees_is_replaced_by_another(monkeypatch):
    pytest.importorskip("swiglpk")
    asked = lying(99, monkeypatch)
    monkeypatch.setattr(solving, "_OTHER_ENGINES", ("glpk",))
    result = solve(sack())
    assert (result.status, result.objective) == (Status.OPTIMAL, 7)
    assert len(asked) == 3


def test_where_all_disagree_nothing_is_known(monkeypatch):
    lying(99, monkeypatch)
    monkeypatch.setattr(solving, "_OTHER_ENGINES", ())
    result = solve(sack())
    assert (result.status, result.objective, result.bound) == (Status.ERROR, None, None)
    assert "disagrees" in result.message


@pytest.mark.parametrize("solver", ["glpk"])
@pytest.mark.parametrize("name", ["motivating", "storage_trap"])
def test_another_engine_gives_the_same_schedule_value(solver, name):
    pytest.importorskip("swiglpk")
    network, values = so.load_example(name), []
    for engine in ("highs", solver):
        model = so.build_scheduling_model(network, horizon=7, n_events=4)
        so.set_objective(model, "profit")
        values.append(solve(model, solver=engine, relative_gap=1e-6).objective)
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_limit_that_an_engine_lacks_is_refused_by_name():
    pytest.importorskip("swiglpk")
    with pytest.raises(so.UnsupportedModelError, match="limit in nodes"):
        solve(sack(), solver="glpk", node_limit=10)
    assert "could not be used" in solve(sack(), solver="glpk", warm_start=True).message


def trap() -> pyo.ConcreteModel:
    return so.build_scheduling_model(so.load_example("storage_trap"), horizon=7, n_events=4)


def test_a_model_inside_a_larger_one_is_complete():
    network = so.load_example("storage_trap")
    outer = pyo.ConcreteModel("plan")
    outer.site = pyo.Block()
    outer.site.plant = trap()  # two levels down
    outer.best = pyo.Objective(expr=outer.site.plant.profit, sense=pyo.maximize)
    result = solve(outer)
    assert (result.status, result.objective) == (Status.OPTIMAL, pytest.approx(20))
    schedule = so.extract_schedule(outer.site.plant, network)
    assert find_violations(schedule, network) == []


def test_a_copied_model_is_complete():
    model = trap().clone()
    so.set_objective(model, "profit")
    assert solve(model).objective == pytest.approx(20)
    assert (
        find_violations(
            so.extract_schedule(model, so.load_example("storage_trap")),
            so.load_example("storage_trap"),
        )
        == []
    )


def test_two_plants_in_one_model_share_what_the_larger_one_gives():
    # Each alone earns 20; together they may earn 30: neither may cheat on its storage.
    outer = pyo.ConcreteModel()
    outer.first, outer.second = trap(), trap()
    outer.shared = pyo.Constraint(expr=outer.first.profit + outer.second.profit <= 30)
    outer.best = pyo.Objective(
        expr=outer.first.profit + 1.5 * outer.second.profit, sense=pyo.maximize
    )
    result = solve(outer)
    assert result.objective == pytest.approx(40, rel=1e-4)
    network = so.load_example("storage_trap")
    for block in (outer.first, outer.second):
        assert find_violations(so.extract_schedule(block, network), network) == []


def test_grams_beside_tonnes_get_true_labels():
    network = so.read_network(
        {
            "name": "small beside large",
            "states": {
                "W": {"initial": "unlimited"},
                "C": {"initial": 0.001},
                "V": {"price": 1e4},
                "Water": {"price": 0.01},
            },
            "tasks": {
                "Boil": {
                    "consumes": {"W": 1},
                    "produces": {"Water": 1},
                    "units": {"K": {"max_batch": 1e4, "fixed_time": 2}},
                },
                "Make": {
                    "consumes": {"C": 1},
                    "produces": {"V": 1},
                    "units": {"M": {"max_batch": 0.01, "fixed_time": 3}},
                },
            },
        }
    )
    targets = pd.DataFrame({"V": [0.0005, 0.001, 0.002, 0.005, 0.009, 0.02]})
    labels = so.label_targets(network, targets, horizon=6, n_events=2, max_span=0).labels
    assert labels.tolist() == [-1, -1, 1, 1, 1, 1]
    short = so.explain_infeasible(network, {"V": 0.002}, horizon=6)
    assert short.short["V"] == pytest.approx(0.001, rel=1e-3)


def test_what_arrives_after_a_makespan_counts_for_a_target():
    # 10 of X arrive at 8 h; one batch of 2.5 h makes the other 2: the makespan is 2.5 h, though
    # within 7 h there would not be 12 of X.
    network = plant(
        {"A": {"initial": "unlimited"}, "X": {"arrivals": [[8, 10]]}, "P": {"price": 1}},
        {"Make": task("A", "X", U1=run(2.5, 5)), "Other": task("A", "P", U2=run(1.1, 5))},
    )
    problem = Problem(objective="makespan", targets={"X": 12}, horizon=10)
    assert (bound_makespan(Question(network=network, problem=problem)) or 0) <= 2.5
    found = so.find_schedule(network, problem)
    assert found.result.objective == pytest.approx(2.5)
    assert found.bound <= 2.5 + 1e-6


def test_a_schedule_that_breaks_the_plant_is_never_the_best():
    network = away((6, 8))
    batch = so.Batch("Fast", "R", 0.0, 2.0, 10.0)
    schedule = so.Schedule(batches=(batch,), final_stock={"P": 10.0, "A": 10.0}, horizon=5.0)
    problem = Problem(objective="profit", horizon=12)
    question = Question(network=network, problem=problem)
    incumbent = Incumbent(question=question, relative_gap=1e-4)
    assert incumbent.valued(schedule) is None  # it holds until 5, and not until 12
    assert incumbent.rejected
    incumbent.question = replace(question, problem=replace(problem, horizon=6))
    assert incumbent.valued(schedule)[1] == pytest.approx(10)


def test_a_bound_that_a_schedule_beats_is_not_believed():
    bound = GlobalBound(maximises=True, relative_gap=1e-4)
    assert bound.update(120.0)
    assert not bound.update(90.0, known=100.0)
    assert (bound.value, bound.disproved) == (120.0, (90.0,))
    bound.check(130.0)
    assert bound.value is None
    bound.update(130.001)
    assert bound.closes(130.0)
    assert not bound.closes(129.0)


def test_limits_are_told_by_the_clock_they_are_given():
    now = [0.0]
    limits = SearchLimits(time_limit=10, clock=lambda: now[0])
    assert (limits.reached, limits.remaining) == (False, 10)
    now[0] = 4.0
    assert limits.remaining_for_proof() == 6
    now[0] = 10.0
    assert limits.reached
    assert limits.remaining == pytest.approx(0.01)
    for wrong in ({"time_limit": 0}, {"time_limit": -1}, {"proof_limit": -1}, {"relative_gap": 1}):
        with pytest.raises(so.InvalidInputError):
            SearchLimits(**wrong)


def test_a_makespan_that_one_units_load_needs_is_proven_for_any_schedule():
    # Three batches of 2 h each on the one unit: nothing is shorter than 6 h.
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U1=run(2, 5))},
    )
    found = so.find_schedule(network, objective="makespan", targets={"P": 15}, horizon=20)
    assert found.result.objective == pytest.approx(6)
    assert (found.proof.scope, found.stopped) == ("any schedule", "proven")
    assert found.bound == pytest.approx(6, rel=1e-3)


def test_a_problem_and_its_parts_are_not_both_taken():
    network, problem = so.load_example("motivating"), Problem(horizon=12)
    whole = so.find_schedule(network, problem, n_events=3, max_span=0)
    parts = so.find_schedule(network, horizon=12, n_events=3, max_span=0)
    assert whole.result.objective == parts.result.objective
    assert whole.stopped == "given event points"
    with pytest.raises(so.InvalidInputError, match="not both"):
        so.find_schedule(network, problem, horizon=12)
    with pytest.raises(so.InvalidInputError, match="not both"):
        so.find_schedule(network, problem, deliveries=[Delivery("S4", 5, 1)])


def test_a_problem_is_explained_like_its_parts():
    network = away((6, 8))
    parts = so.explain_infeasible(network, {"P": 10}, horizon=1.5)
    whole = so.explain_infeasible(network, Problem(targets={"P": 10}, horizon=1.5))
    assert str(whole) == str(parts)
    with pytest.raises(so.InvalidInputError, match="not both"):
        so.explain_infeasible(network, {"P": 10}, problem=Problem(horizon=1.5))


def test_case_file_of_the_objective_that_differed():
    from pathlib import Path

    path = Path(__file__).parents[2] / "../shared/cases/scheduling/objective_differs.json"
    if not path.exists():
        pytest.skip("the shared cases are not beside the project")
    assert json.loads(path.read_text(encoding="utf-8"))["plant"]["tasks"] == EARLY["tasks"]
