"""Bounds that hold for any schedule, whatever its event points, and the schedules behind them."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.plant.problem import Delivery
from stnopt.scheduling.formulations.intervals.tables import count_intervals
from stnopt.scheduling.formulations.time_grid.width import find_grid_width
from stnopt.scheduling.model import extract_schedule
from stnopt.scheduling.search.horizon import latest_date, shorten_horizon
from stnopt.solvers.result import SolveResult, Status
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.question import Question

#: More intervals than this are not tried: the model is too large.
_MOST_INTERVALS = 200
#: A model is not begun that has more pairs of task and unit, times points, than this per second:
#: building it would take half of the time there is, or more.
_BUILT_PER_SECOND = 1_000
#: A grid with more points than this for each interval is the larger model of the two.
_LONGER_GRID = 2
#: Factor between horizons while none is long enough: long ones make the larger models.
_GROWTH = 1.25
#: Factor between the distances from a known makespan while none is short enough.
_WIDER = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyScheduleAnswer:
    """What a model without event points says of a problem.

    Attributes
    ----------
    result : SolveResult
        Its bound, and an INFEASIBLE, hold for every schedule (better than what was asked for).
    schedule : Schedule or None
        The solution, if it passed the replay: then there is no better schedule than `result.bound`.
    formulation : {"time_grid", "intervals"}
    n_points : int
        Intervals of the model.
    """

    result: SolveResult
    schedule: Schedule | None
    formulation: str
    n_points: int


def lies_on_short_grid(question: Question) -> bool:
    """Whether an exact time grid has hardly more points than a plant has intervals."""
    return _short_grid(question, question.horizon) is not None


def _short_grid(question: Question, horizon: float) -> float | None:
    """Return the width of a grid on which all times lie, if it has few points; else None."""
    network, problem = question.network, question.problem
    times = [*problem.deliveries]
    for order in problem.orders:
        dates = (order.due, order.earliest)
        times += [Delivery(order.state, time, order.amount) for time in dates if time > 0]
    times += [Delivery(batch.task, batch.start, 1.0) for batch in question.keep]
    width = find_grid_width(network, times, horizon=horizon)
    if width is None:
        return None
    n_points = _count_steps(horizon, width)
    few = 1 <= n_points <= _LONGER_GRID * count_intervals(network, horizon)
    return width if few else None


def can_be_built(network: Network, n_points: int, seconds: float | None) -> bool:
    """Whether building a model of so many points leaves half of the time for solving it."""
    return seconds is None or n_points * len(network.suitabilities) <= _BUILT_PER_SECOND * seconds


def solve_for_any_schedule(
    question: Question,
    *,
    better_than: float | None = None,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
) -> AnyScheduleAnswer | None:
    """Solve a problem on a model that knows no event points.

    That is an exact time grid where all of the plant's times lie on a short one, else a relaxation
    in intervals (docs/formulation.md, eq. G1-G10 and B1-B16).

    Parameters
    ----------
    question : Question
    better_than : float, optional
        Only schedules with at least (for what is minimised: at most) this value count.
    time_limit : float, optional
        Seconds.
    relative_gap : float

    Returns
    -------
    AnyScheduleAnswer or None
        None if the model would be too large, or could hardly be built in the time; or if neither
        model knows a rule of the plant.
    """
    horizon, network = question.horizon, question.network
    if question.is_makespan and better_than is not None:
        # Nothing that counts ends later, so that the shorter horizon excludes nothing.
        horizon = shorten_horizon(
            question, max(better_than, latest_date(question.problem, question.keep))
        )
        if horizon <= 0:
            return None
    n_points = count_intervals(network, horizon)
    if n_points > _MOST_INTERVALS:
        return None
    model, formulation = None, "intervals"
    width = _short_grid(question, horizon)
    if width is not None:
        steps = _count_steps(horizon, width)
        with contextlib.suppress(UnsupportedModelError):  # a time of the plant is off the grid
            model = question.build("time_grid", horizon=steps * width, n_events=steps)
            n_points, formulation = steps, "time_grid"
    if model is None:
        if not can_be_built(network, n_points, time_limit):
            return None
        try:
            model = question.build_relaxation(horizon=horizon)
        except UnsupportedModelError:
            return None
    question.ask(model)
    if better_than is not None:
        question.require_better(model, better_than)
    result = solve(model, time_limit=time_limit, relative_gap=relative_gap, confirm_infeasible=True)
    schedule = None
    if result.has_solution:
        with contextlib.suppress(InvalidScheduleError):  # a relaxation's solution need be none
            schedule = extract_schedule(model, network)
    return AnyScheduleAnswer(
        result=result, schedule=schedule, formulation=formulation, n_points=n_points
    )


def _count_steps(horizon: float, width: float) -> int:
    return math.floor(horizon / width * (1 + 1e-12) + 1e-9)


def bound_makespan(
    question: Question,
    *,
    known: float | None = None,
    at_least: float = 0.0,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
) -> float | None:
    """Return a time below which no schedule meets a demand, from linear relaxations in intervals.

    Each says of one horizon that the demand does not fit, or that it may. From the shortest batch
    up, or from a known makespan down, the horizons come to where that changes, and close in.

    Parameters
    ----------
    question : Question
        With objective "makespan".
    known : float, optional
        A makespan that is reached.
    at_least : float
        No schedule is known to be shorter than this: what is proven already.
    time_limit : float, optional
        Seconds.
    relative_gap : float
        Between the longest horizon that is too short and one that may do.

    Returns
    -------
    float or None
        The problem's horizon, if even that is too short; None if nothing was proven in time.
    """
    network, problem = question.network, question.problem
    if any(network.states[state].arrivals for state in problem.targets):
        return None  # what arrives after a makespan counts in the end: shorter horizons lack it
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    latest = latest_date(problem, question.keep)
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    low, high = max(latest, shortest, at_least), known
    proven, step = None, relative_gap
    horizon = low if known is None else max(low, known * (1 - step))
    while low <= horizon <= question.horizon and time.perf_counter() < deadline:
        if count_intervals(network, horizon) > _MOST_INTERVALS:
            break
        try:
            model = question.build_relaxation(horizon=horizon)
        except UnsupportedModelError:
            break
        question.demand(model)
        pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
        remaining = max(deadline - time.perf_counter(), 0.01)
        limit = None if time_limit is None else remaining
        if solve(model, time_limit=limit).status is Status.INFEASIBLE:
            low = proven = horizon
        else:
            high = horizon
        if high is None:
            if horizon == question.horizon:
                break
            horizon = min(_GROWTH * horizon, question.horizon)
        elif high - low <= relative_gap * high:
            break
        elif proven is None:
            assert known is not None
            step *= _WIDER
            horizon = max(low, known * (1 - step))
        else:
            horizon = (low + high) / 2
    return proven
