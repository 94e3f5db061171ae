"""Which orders a plant cannot serve in time: the schedule that misses least, then is least late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.plant.checks import ReadOnlyMapping
from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.diagnosis.aggregate_balance import (
    missing_in_sums,
    plant_at_rest,
    with_orders_delivered,
)
from stnopt.scheduling.diagnosis.asked import settled_points
from stnopt.scheduling.diagnosis.feasible_from import find_feasible_horizon
from stnopt.scheduling.diagnosis.late_orders import (
    describe_order,
    explain_missing,
    find_late_orders,
)
from stnopt.scheduling.diagnosis.shortfall import LeastLate, Shortfall
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from stnopt.scheduling.diagnosis.asked import Asked


def least_late(asked: Asked) -> Shortfall | None:
    """Find the schedule that misses least of the orders, then is least late; None without any."""
    network, problem = asked.network, asked.problem
    assert problem.horizon is not None
    asked.report("which orders are late")
    found = find_schedule(
        network,
        replace(problem, objective="tardiness"),
        start=asked.start,
        n_events=asked.n_events,
        max_span=asked.max_span,
        time_limit=asked.time_limit,
        relative_gap=asked.relative_gap,
    )
    if found.stopped == "interrupted":
        raise KeyboardInterrupt  # which orders are late is not known
    if found.schedule is None:
        return None
    late = find_late_orders(found.schedule, network)
    missing_bound = found.missing_bound or 0.0
    missing_bound = missing_bound if missing_bound > SHARE else 0.0
    feasible_from, missing_ever = None, 0.0
    needed = tuple(replace(order, missing_cost=None) for order in problem.orders)
    whole = replace(problem, orders=needed)
    if any(order.missing for order in late):
        at_rest = plant_at_rest(network, problem, asked.start)
        ever = replace(with_orders_delivered(whole), horizon=None)
        missing_ever = missing_in_sums(at_rest, ever)
    if any(order.missing for order in late) and missing_ever == 0:
        asked.report("from which horizon")
        feasible_from = find_feasible_horizon(
            network,
            whole,
            start=asked.start,
            is_too_short=missing_bound > 0,
            time_limit=asked.time_limit,
            relative_gap=asked.relative_gap,
            **asked.settings,
        )
        if feasible_from.schedule is not None:
            served = feasible_from.schedule
            late = tuple(explain_missing(order, served, network) for order in late)
    optimal = found.result.status is Status.OPTIMAL
    return Shortfall(
        targets=problem.targets,
        sense=problem.sense,
        deliveries=problem.deliveries,
        due=None,
        horizon=problem.horizon,
        amount_unit=network.amount_unit,
        time_unit=network.time_unit,
        reasons=(),
        schedule=found.schedule,
        short=ReadOnlyMapping({}),
        over=ReadOnlyMapping({}),
        n_events=found.n_events,
        max_span=found.max_span,
        bound=0.0,
        bound_any=0.0,
        bound_ever=missing_ever,
        settled=settled_points(found),
        bottleneck=None,
        feasible_from=feasible_from,
        orders=LeastLate(
            rows=ReadOnlyMapping(
                {
                    served.order.id: describe_order(served, problem.horizon, network)
                    for served in sorted(found.schedule.orders, key=lambda s: s.order.due)
                }
            ),
            late=late,
            missing=found.missing or 0.0,
            missing_bound=missing_bound,
            tardiness=schedule_value(found.schedule, network, "tardiness"),
            tardiness_bound=found.bound,
            holds_for_any=optimal and found.proof.scope == "any schedule",
            is_proven=optimal,
        ),
    )
