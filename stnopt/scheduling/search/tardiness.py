"""The least lateness on long horizons: what must be missing first, then how late the rest is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.capacity_bound import bound_by_capacity, bound_by_periods
from stnopt.scheduling.search.event_assignment import number_events
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.progress import ProgressReport
from stnopt.scheduling.search.question import missing_share
from stnopt.scheduling.search.result import Attempt, Proof, ScheduleSearch, Stopped
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.limits import SearchLimits
    from stnopt.scheduling.search.question import Question

#: A priority-weighted share that is missing is rounding below this.
_NOTHING = 1e-6
#: Periods of the bound on lateness.
_PERIODS = 12


def search_late_orders(
    question: Question, limits: SearchLimits, *, report: Callable[[str], None]
) -> ScheduleSearch:
    """Search for the least that must be missing, and the least lateness at that, in one go.

    Parameters
    ----------
    question : Question
        With objective "tardiness".
    limits : SearchLimits
        With a time limit.
    report : callable
        Told what is found.
    """
    assert limits.remaining is not None
    started = limits.clock()
    interrupts: list[bool] = []
    found_after = [0.0]

    def improved(schedule: Schedule, missing: float, bound: float | None) -> None:
        found_after[0] = limits.elapsed
        late = schedule_value(schedule, question.network, "tardiness")
        what = f"{missing:.6g} of the orders missing (at least {bound}), lateness {late:.6g}"
        if isinstance(report, ProgressReport):
            report.found(what, schedule, late, None)
        else:
            report(what)

    schedule, least = search_long_horizon(
        question.network,
        question.problem,
        start=question.start,
        improve="both",
        time_limit=limits.remaining,
        relative_gap=limits.relative_gap,
        on_improvement=improved,
        on_interrupt=lambda: interrupts.append(True),
        clock=limits.clock,
    )
    stopped: Stopped = "interrupted" if interrupts else "time limit"
    nowhere = Proof(scope="these event points", n_events=0, max_span=0, bound=None)
    if schedule is None and interrupts:
        raise KeyboardInterrupt
    if schedule is None:
        nothing = SolveResult(status=Status.NO_SOLUTION, message="a limit came first")
        if least is not None and math.isinf(least):  # what must be delivered cannot be
            nothing, stopped = SolveResult(status=Status.INFEASIBLE), "proven"
            nowhere = replace(nowhere, scope="any schedule")
        return ScheduleSearch(
            schedule=None,
            result=nothing,
            proof=nowhere,
            n_events=0,
            max_span=0,
            tried=(),
            search_time=limits.elapsed,
            stopped=stopped,
        )
    missing = missing_share(schedule)
    missing = missing if missing > _NOTHING else 0.0
    late = float(schedule_value(schedule, question.network, "tardiness"))
    bound = _bound_lateness(question, missing)
    gap = limits.relative_gap
    least_missing = least is not None and missing - least <= max(gap * missing, _NOTHING)
    status = status_of(late, bound, relative_gap=gap)
    if not least_missing and status is Status.OPTIMAL:
        status = Status.FEASIBLE
    proven = least_missing and status is Status.OPTIMAL
    n_events, span = number_events(schedule, question.network)
    return ScheduleSearch(
        schedule=schedule,
        result=SolveResult(
            status=status, objective=late, bound=bound, gap=relative_gap_between(late, bound)
        ),
        proof=Proof(
            scope="any schedule" if proven else "these event points",
            n_events=n_events,
            max_span=span,
            bound=bound,
            any_schedule_bound=bound,
        ),
        n_events=n_events,
        max_span=span,
        tried=(Attempt(0, 0, status, late, limits.clock() - started, "long_horizon"),),
        search_time=found_after[0],
        proof_time=limits.elapsed - found_after[0],
        stopped="proven" if proven else stopped,
        missing=missing,
        missing_bound=least,
    )


def _bound_lateness(question: Question, missing: float) -> float | None:
    """Bound the lateness of all that misses no more than this."""
    network, problem, start = question.network, question.problem, question.start
    bounds = [
        bound_by_capacity(network, problem, start=start, most_missing=missing),
        bound_by_periods(network, problem, n_periods=_PERIODS, start=start, most_missing=missing),
    ]
    known = [bound for bound in bounds if bound is not None]
    return max(known) if known else None
