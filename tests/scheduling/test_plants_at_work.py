"""Plants that do not start empty, against values found by hand."""

from __future__ import annotations

import pytest
from asking import best_schedule
from plants_at_work import CASES, CHAIN, HOUR, P, plant, profit, running

from stnopt.plant import PlantState
from stnopt.scheduling.model import (
    build_relaxation,
    require_deliveries,
    require_orders,
    require_targets,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.solvers.solve import Status, solve


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("formulation", ["unit_events", "time_grid"])
def test_best_by_hand(name, formulation):
    case = CASES[name]
    n_events = case.n_events if formulation == "unit_events" else int(case.problem.horizon)
    found = best_schedule(case.network, case.problem, case.start, formulation, n_events)
    if case.best is None:
        assert found.status is Status.INFEASIBLE
        return
    assert found.value == pytest.approx(case.best, abs=1e-4)
    assert found.missing == pytest.approx(case.missing, abs=1e-5)
    assert not find_violations(found.schedule, case.network)
    value = schedule_value(found.schedule, case.network, case.problem.objective)
    assert value == pytest.approx(case.best, abs=1e-4)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.best is not None])
def test_the_relaxation_is_never_worse(name):
    case = CASES[name]
    problem = case.problem
    model = build_relaxation(
        case.network, horizon=problem.horizon, start=case.start, date=problem.start
    )
    if problem.targets:
        require_targets(model, problem.targets)
    require_deliveries(model, problem.deliveries)
    require_orders(model, problem.orders, may_miss=problem.objective == "tardiness")
    set_objective(model, problem.objective)
    bound = solve(model, relative_gap=1e-6).bound
    if problem.objective == "profit":
        assert bound >= case.best - 1e-4
    else:
        assert bound <= case.best + 1e-4


def test_what_runs_is_waited_for_whatever_others_span():
    """R is done at 2, with 10 for V; before that V has the 1 that X makes: 1 by 2, 11 by 3."""
    tasks = {
        "Before": ({"A": 1}, {"S": 1}, {"W": HOUR}),
        "Make": ({"S": 1}, {"I": 1}, {"R": {"fixed_time": 3}}),
        "Little": ({"L": 1}, {"I": 1}, {"X": HOUR}),
    }
    states = {"S": {}, "I": {}, "L": {"initial": 1}}
    network = plant(states | P, tasks | {"Use": CHAIN["Use"]})
    start = PlantState(running=[running()])
    for horizon, best in ((2, 1), (3, 11)):
        found = best_schedule(network, profit(horizon), start, "unit_events", 3, max_span=1)
        assert found.value == pytest.approx(best)
