"""By how little a plant must miss its targets, for want of what, and from when it need not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.plant.checks import ReadOnlyMapping
from stnopt.plant.problem import Problem
from stnopt.scheduling.diagnosis.aggregate_balance import (
    delivered_in_all,
    demand_tolerance,
    missing_in_sums,
    plant_at_rest,
)
from stnopt.scheduling.diagnosis.asked import settled_points
from stnopt.scheduling.diagnosis.bottleneck import find_bottleneck, without_idle_runs
from stnopt.scheduling.diagnosis.elastic import ElasticQuestion
from stnopt.scheduling.diagnosis.feasible_from import find_feasible_horizon
from stnopt.scheduling.diagnosis.least_late import least_late
from stnopt.scheduling.diagnosis.reasons import find_reasons
from stnopt.scheduling.diagnosis.shortfall import Shortfall
from stnopt.scheduling.search.find_schedule import search_question
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from stnopt.scheduling.diagnosis.asked import Asked
    from stnopt.scheduling.diagnosis.shortfall import Bottleneck
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch


def least_short(asked: Asked) -> Shortfall:
    """Find what is short of the targets at least, why, and from when it would not be."""
    network, problem = asked.network, asked.problem
    assert problem.horizon is not None
    asked.report("what no schedule can help")
    at_rest = plant_at_rest(network, problem, asked.start)
    tolerance = demand_tolerance(network, problem)
    missing_ever = missing_in_sums(at_rest, replace(problem, horizon=None))
    missing_any = max(missing_in_sums(at_rest, problem), missing_ever)
    if problem.orders and missing_any <= tolerance and (late := least_late(asked)) is not None:
        return late
    reasons = tuple(find_reasons(network, problem, start=asked.start))
    question = ElasticQuestion(network=network, problem=problem, start=asked.start)
    search = None if missing_any == math.inf else _search(asked, question, missing_any)
    schedule = None if search is None else search.schedule
    bound = None
    if search is not None:
        missing_any = _any_bound(search, missing_any, tolerance)
        bound = search.proof.bound
        bound = bound if bound is None or bound > tolerance else 0.0
    short, over = ({}, {}) if schedule is None else question.missed(schedule)
    total = math.fsum([*short.values(), *over.values()])
    bottleneck = None
    helped = any(reason.kind != "route_time" for reason in reasons) or not reasons
    if search is not None and schedule is not None:
        schedule = without_idle_runs(
            question,
            schedule,
            n_events=search.n_events,
            max_span=search.max_span,
            relative_gap=asked.relative_gap,
        )
        short, over = question.missed(schedule)
        if helped and total > missing_ever + tolerance:
            closed = total <= missing_any * (1 + 2 * asked.relative_gap)
            bottleneck = _bottleneck(asked, question, search, schedule, closed=closed)
    feasible_from = due = None
    if schedule is None and problem.deliveries:
        due = _find_late_delivery(asked)
    if due is None and (schedule is None or total > 0) and missing_ever <= tolerance:
        asked.report("from which horizon")
        feasible_from = find_feasible_horizon(
            network,
            problem,
            start=asked.start,
            is_too_short=missing_any > tolerance,
            time_limit=asked.time_limit,
            relative_gap=asked.relative_gap,
            **asked.settings,
        )
    return Shortfall(
        targets=problem.targets,
        sense=problem.sense,
        deliveries=problem.deliveries,
        due=due,
        horizon=problem.horizon,
        amount_unit=network.amount_unit,
        time_unit=network.time_unit,
        reasons=reasons,
        schedule=schedule,
        short=ReadOnlyMapping(short),
        over=ReadOnlyMapping(over),
        n_events=0 if search is None else search.n_events,
        max_span=0 if search is None else search.max_span,
        bound=bound,
        bound_any=missing_any,
        bound_ever=missing_ever,
        settled=() if search is None else settled_points(search),
        bottleneck=bottleneck,
        feasible_from=feasible_from,
    )


def _search(asked: Asked, question: ElasticQuestion, known_bound: float) -> ScheduleSearch:
    """Let the search for schedules look for the least shortfall."""
    found = search_question(
        question,
        asked.limits,
        formulation="unit_events",
        known_bound=known_bound,
        **asked.settings,
    )
    if found.stopped == "interrupted":
        raise KeyboardInterrupt  # how much is short is not known
    return found


def _any_bound(search: ScheduleSearch, known: float, tolerance: float) -> float:
    """Return what every schedule misses; what may be rounding proves nothing."""
    if search.result.status is Status.INFEASIBLE and search.proof.scope == "any schedule":
        return math.inf
    bound = search.bound or 0.0
    return max(known, bound if bound > tolerance else 0.0)


def _bottleneck(
    asked: Asked,
    question: ElasticQuestion,
    search: ScheduleSearch,
    schedule: Schedule,
    *,
    closed: bool,
) -> Bottleneck:
    """Ask which unit a second copy of would help, on event points where no more points help."""
    settled = settled_points(search)
    more_events = [
        more
        for more in ((1, 2) if asked.n_events is None else ())
        if closed or any(n >= search.n_events + more and s >= search.max_span for n, s in settled)
    ]
    return find_bottleneck(
        question,
        schedule,
        n_events=search.n_events,
        max_span=search.max_span,
        more_events=more_events or [0],
        time_limit=asked.time_limit,
        relative_gap=asked.relative_gap,
        report=asked.report,
    )


def _find_late_delivery(asked: Asked) -> Shortfall | None:
    """Find the first due time by which the plant cannot have made all that is due by then.

    What was delivered earlier no longer takes storage, so that the states that are delivered have
    room without limit: what is short even then is short.
    """
    network, problem = asked.network, asked.problem
    delivered = delivered_in_all(problem)
    states = {
        name: replace(state, capacity=math.inf) if name in delivered else state
        for name, state in network.states.items()
    }
    for due in sorted({delivery.time for delivery in problem.deliveries}):
        if due == 0:
            continue  # nothing can be made by then; the stock is for the sums to judge
        so_far = tuple(d for d in problem.deliveries if d.time <= due)
        by_then = delivered_in_all(replace(problem, deliveries=so_far))
        found = least_short(
            replace(
                asked,
                network=replace(network, states=states),
                problem=Problem(horizon=due, targets=by_then, start=problem.start),
            )
        )
        if found.bound_any > demand_tolerance(network, problem) or (found.total or 0) > 0:
            same = all(network.states[name].capacity == math.inf for name in by_then)
            return found if same else replace(found, feasible_from=None)
    return None
