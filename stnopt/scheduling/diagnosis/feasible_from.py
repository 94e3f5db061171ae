"""From which horizon a demand can be met: shortest makespans, found by the search for schedules."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.scheduling.diagnosis.aggregate_balance import (
    horizon_of,
    plant_at_rest,
    shortest_in_sums,
    target_tolerance,
    with_orders_delivered,
)
from stnopt.scheduling.diagnosis.shortfall import FeasibleFrom
from stnopt.scheduling.schedule import compute_final_stock
from stnopt.scheduling.search.bounds import bound_makespan
from stnopt.scheduling.search.find_schedule import find_in_window
from stnopt.scheduling.search.horizon import feasibility_windows, latest_date
from stnopt.scheduling.search.limits import SearchLimits
from stnopt.scheduling.search.question import Question
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch

#: Windows between periods away that are asked for a horizon: more are not tried.
_MOST_WINDOWS = 12
#: Windows after the last period away, the first of which has room for all batches in a row: where
#: the sums are met and nothing else ever will be, longer ones only take longer.
_MOST_DOUBLINGS = 2


def find_feasible_horizon(
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None = None,
    is_too_short: bool = False,
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
    report: Callable[[str], None] = lambda _: None,
) -> FeasibleFrom:
    """Find the horizons within which a demand can be met, and bound the shortest.

    Between the starts of periods away a longer horizon is never worse: each of these windows has a
    shortest makespan of its own. A search takes no target for what no task makes: then the sums
    alone answer.

    Parameters
    ----------
    network : Network
    problem : Problem
        With the horizon that was asked; its objective does not count.
    start : PlantState, optional
        The plant at time 0.
    is_too_short : bool
        Whether it is proven that no schedule meets the demand within that horizon.
    n_events, max_span, relative_gap
        As in `find_schedule`.
    time_limit : float, optional
        Seconds for all windows together.
    report : callable
        Told what is being tried.
    """
    asked = horizon_of(problem)
    at_rest = plant_at_rest(network, problem, start)
    shortest = shortest_in_sums(at_rest, with_orders_delivered(problem))
    if shortest == math.inf or not all(network.producers(state) for state in problem.targets):
        return FeasibleFrom(
            horizon=None,
            schedule=None,
            n_events=0,
            max_span=0,
            bound=None,
            bound_any=shortest,
            is_proven=False,
        )
    answers = _search_windows(
        network,
        problem,
        start=start,
        shortest=shortest,
        is_too_short=is_too_short,
        n_events=n_events,
        max_span=max_span,
        time_limit=time_limit,
        relative_gap=relative_gap,
        report=report,
    )
    settled = all(
        found.schedule is not None or found.result.status is Status.INFEASIBLE
        for _, _, found in answers
    )
    # The next one that is long enough; where the horizon is longer than all, the first.
    longer = [(h, f) for h, _, f in answers if asked < h < math.inf]
    horizon, found = longer[0] if longer else (answers[0][0], answers[0][2])
    bound_any = 0.0
    if found is answers[0][2]:
        bound_any = found.proof.any_schedule_bound or 0.0
        if found.schedule is not None and n_events is not None and max_span is not None:
            # On given event points the search leaves open what any schedule can do.
            bounded = bound_makespan(
                Question(
                    network=network,
                    problem=replace(problem, objective="makespan", horizon=answers[0][0]),
                    start=start,
                ),
                known=horizon,
                at_least=max(shortest, bound_any),
                time_limit=time_limit,
                relative_gap=relative_gap / 2,
            )
            bound_any = max(bound_any, bounded or 0.0)
    return FeasibleFrom(
        horizon=horizon if found.schedule is not None else None,
        schedule=found.schedule,
        n_events=found.n_events,
        max_span=found.max_span,
        bound=found.proof.bound if found.result.status is not Status.INFEASIBLE else None,
        bound_any=max(shortest, bound_any),
        # With some of a target yet to arrive, a horizon between the two may do.
        is_proven=found.result.status is Status.OPTIMAL
        and settled
        and not any(network.states[state].arrivals for state in problem.targets),
        windows=_feasible_windows(answers),
    )


def _feasible_windows(
    answers: list[tuple[float, float, ScheduleSearch]],
) -> tuple[tuple[float, float], ...]:
    """Join the horizons that are long enough where one window goes on where another ends."""
    feasible: list[tuple[float, float]] = []
    for begin, up_to, found in answers:
        if found.schedule is None:
            continue
        if feasible and feasible[-1][1] >= begin:
            feasible[-1] = (feasible[-1][0], up_to)
        else:
            feasible.append((begin, up_to))
    return tuple(feasible)


def _search_windows(
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None,
    shortest: float,
    is_too_short: bool,
    n_events: int | None,
    max_span: int | None,
    time_limit: float | None,
    relative_gap: float,
    report: Callable[[str], None],
) -> list[tuple[float, float, ScheduleSearch]]:
    """Find, in each window between starts of periods away, from which horizon to its end."""
    asked = horizon_of(problem)
    # Where what happens later can change what is possible, a horizon says nothing of a makespan.
    is_too_short = (
        is_too_short and not Question(network=network, problem=problem, start=start).lasts
    )
    makespan = replace(problem, objective="makespan", horizon=None)
    windows = feasibility_windows(network, math.inf)
    windows = [w for w in windows if w[1] > max(shortest * (1 - 1e-9), latest_date(problem))]
    limits = SearchLimits(time_limit=time_limit)
    n_left = min(len(windows), _MOST_WINDOWS)
    answers: list[tuple[float, float, ScheduleSearch]] = []
    for after, up_to in windows[:_MOST_WINDOWS]:
        left = limits.remaining
        found = find_in_window(
            network,
            makespan,
            start=start,
            after=after,
            up_to=up_to,
            most_doublings=_MOST_DOUBLINGS,
            known_bound=asked if is_too_short and after < asked <= up_to else shortest,
            n_events=n_events,
            max_span=max_span,
            limits=SearchLimits(
                time_limit=None if left is None else left / n_left,
                relative_gap=relative_gap,
                uses_all=False,
            ),
            report=report,
        )
        n_left -= 1
        if found.stopped == "interrupted":
            raise KeyboardInterrupt  # which horizons are long enough is not known
        begin = math.inf
        if found.schedule is not None:
            assert found.result.objective is not None
            begin = _first_horizon(
                network, problem, found.schedule, max(found.result.objective, after)
            )
        answers.append((begin, up_to, found))
    return answers


def _first_horizon(network: Network, problem: Problem, schedule: Schedule, least: float) -> float:
    """Return from which horizon on a schedule meets the targets: some of them may yet arrive."""
    arrivals = {
        time
        for state in problem.targets
        for time, _ in network.states[state].arrivals
        if least < time <= schedule.horizon
    }
    for horizon in (least, *sorted(arrivals)):
        stock = compute_final_stock(
            schedule.batches,
            network,
            schedule.deliveries,
            horizon=horizon,
            start=schedule.start,
            orders=schedule.orders,
        )
        if all(
            stock[state] >= amount - target_tolerance(network, state)
            for state, amount in problem.targets.items()
        ):
            return horizon
    return schedule.horizon
