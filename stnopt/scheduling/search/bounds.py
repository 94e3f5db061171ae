"""Bounds that hold for any schedule, whatever its event points, and the schedules behind them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pyomo.environ as pyo

from stnopt.scheduling.formulations.interval_relaxation import count_intervals
from stnopt.scheduling.formulations.time_grid import find_grid_width
from stnopt.scheduling.model import (
    build_relaxation,
    build_scheduling_model,
    read_runs,
    require_deliveries,
    require_targets,
    require_value,
    schedule_from_runs,
    set_objective,
)
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.horizon import latest_delivery, shorten_horizon
from stnopt.solvers.solve import SolveResult, Status, solve

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule

MAXIMISED = ("profit", "production")
#: More intervals than this are not tried: the model is too large.
_MOST_INTERVALS = 200
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
    formulation: Literal["time_grid", "intervals"]
    n_points: int


def lies_on_short_grid(network: Network, problem: Problem) -> bool:
    """Whether an exact time grid has hardly more points than a plant has intervals."""
    assert problem.horizon is not None
    width = find_grid_width(network, problem.deliveries, horizon=problem.horizon)
    if width is None:
        return False
    n_points = _count_steps(problem.horizon, width)
    return 1 <= n_points <= _LONGER_GRID * count_intervals(network, problem.horizon)


def solve_for_any_schedule(
    network: Network,
    problem: Problem,
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
    network : Network
    problem : Problem
        With a horizon.
    better_than : float, optional
        Only schedules with at least (for cost and makespan: at most) this value count.
    time_limit : float, optional
        Seconds.
    relative_gap : float

    Returns
    -------
    AnyScheduleAnswer or None
        None if the model would be too large.
    """
    assert problem.horizon is not None
    horizon = problem.horizon
    if problem.objective == "makespan" and better_than is not None:
        # Nothing that counts ends later, so that the shorter horizon excludes nothing.
        until = max(better_than, latest_delivery(problem))
        horizon = shorten_horizon(network, until, horizon)
        if horizon <= 0:
            return None
    formulation: Literal["time_grid", "intervals"] = "intervals"
    n_points = count_intervals(network, horizon)
    if n_points > _MOST_INTERVALS:
        return None
    if lies_on_short_grid(network, replace(problem, horizon=horizon)):
        formulation = "time_grid"
        width = find_grid_width(network, problem.deliveries, horizon=horizon)
        assert width is not None
        n_points = _count_steps(horizon, width)
        model = build_scheduling_model(
            network, horizon=n_points * width, n_events=n_points, formulation="time_grid"
        )
    else:
        model = build_relaxation(network, horizon=horizon)
    ask(model, problem)
    if better_than is not None:
        side = "at_least" if problem.objective in MAXIMISED else "at_most"
        require_value(model, problem.objective, **{side: better_than})
    result = solve(model, time_limit=time_limit, relative_gap=relative_gap, confirm_infeasible=True)
    schedule = _read(model, network, problem) if result.has_solution else None
    return AnyScheduleAnswer(
        result=result, schedule=schedule, formulation=formulation, n_points=n_points
    )


def ask(model: pyo.ConcreteModel, problem: Problem) -> None:
    """Put a problem's objective, targets and deliveries to a scheduling model."""
    set_objective(model, problem.objective)
    demand(model, problem)


def demand(model: pyo.ConcreteModel, problem: Problem) -> None:
    """Put a problem's targets and deliveries to a scheduling model."""
    if problem.deliveries:
        require_deliveries(model, problem.deliveries)
    if problem.targets:
        require_targets(model, problem.targets, sense=problem.sense)


def _count_steps(horizon: float, width: float) -> int:
    return math.floor(horizon / width * (1 + 1e-12) + 1e-9)


def _read(model: pyo.ConcreteModel, network: Network, problem: Problem) -> Schedule | None:
    """Read the schedule of a solved model; None if it breaks a rule of the plant."""
    assert problem.horizon is not None
    schedule = schedule_from_runs(read_runs(model), network, horizon=problem.horizon)
    if problem.deliveries:
        stock = dict(schedule.final_stock)
        for delivery in problem.deliveries:
            stock[delivery.state] -= delivery.amount
        schedule = replace(schedule, final_stock=stock, deliveries=problem.deliveries)
    return None if find_violations(schedule, network) else schedule


def bound_makespan(
    network: Network,
    problem: Problem,
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
    network : Network
    problem : Problem
        With objective "makespan" and a horizon.
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
    assert problem.horizon is not None
    deadline = math.inf if time_limit is None else time.perf_counter() + time_limit
    latest = latest_delivery(problem)
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    low, high = max(latest, shortest, at_least), known
    proven, step = None, relative_gap
    horizon = low if known is None else max(low, known * (1 - step))
    while low <= horizon <= problem.horizon and time.perf_counter() < deadline:
        if count_intervals(network, horizon) > _MOST_INTERVALS:
            break
        model = build_relaxation(network, horizon=horizon)
        demand(model, problem)
        pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
        remaining = max(deadline - time.perf_counter(), 0.01)
        limit = None if time_limit is None else remaining
        if solve(model, time_limit=limit).status is Status.INFEASIBLE:
            low = proven = horizon
        else:
            high = horizon
        if high is None:
            if horizon == problem.horizon:
                break
            horizon = min(_GROWTH * horizon, problem.horizon)
        elif high - low <= relative_gap * high:
            break
        elif proven is None:
            assert known is not None
            step *= _WIDER
            horizon = max(low, known * (1 - step))
        else:
            horizon = (low + high) / 2
    return proven
