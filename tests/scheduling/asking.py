"""Solve one model for all that a problem asks, in two steps where something may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyomo.environ as pyo

from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    require_orders,
    require_targets,
    set_objective,
)
from stnopt.solvers.solve import Status, solve

if TYPE_CHECKING:
    from stnopt.scheduling.schedule import Schedule

#: Far below the tolerance of the solver's rows, which covers rounding. With 1e-6 or more HiGHS 1.15
#: takes 2 for the best, where 1 is ("partial order without storage").
_SLACK = 1e-9


class Found(NamedTuple):
    status: Status
    value: float | None
    missing: float
    schedule: Schedule | None


def best_schedule(
    network, problem, start, formulation, n_events, *, max_span=0, gap=1e-6, nodes=None
):
    model = build_scheduling_model(
        network,
        horizon=problem.horizon,
        n_events=n_events,
        max_span=max_span,
        formulation=formulation,
        start=start,
        date=problem.start,
    )
    if problem.targets:
        require_targets(model, problem.targets, sense=problem.sense)
    if problem.deliveries:
        require_deliveries(model, problem.deliveries)
    missing = 0.0
    if problem.orders:
        require_orders(model, problem.orders, may_miss=problem.objective == "tardiness")
    if problem.objective == "tardiness":
        model.objective = pyo.Objective(expr=model.missing_share)
        result = solve(model, relative_gap=gap, node_limit=nodes)
        if result.status is not Status.OPTIMAL:
            return Found(result.status, None, missing, None)
        missing = result.objective
        model.least_missing = pyo.Constraint(expr=model.missing_share <= missing + _SLACK)
    set_objective(model, problem.objective)
    result = solve(model, relative_gap=gap, node_limit=nodes)
    if result.status is not Status.OPTIMAL:
        return Found(result.status, None, missing, None)
    return Found(result.status, result.objective, missing, extract_schedule(model, network))
