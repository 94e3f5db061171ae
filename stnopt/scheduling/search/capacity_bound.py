"""Bounds that hold for any schedule, from linear sums over the horizon or over its periods.

Every schedule has sums (`stnopt.scheduling.search.period_sums`), so that no schedule is better than
the best sums.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.scheduling.search.period_sums import build_period_sums
from stnopt.scheduling.search.worth import (
    MAXIMISED,
    Improve,
    batch_worth,
    worth_without_batches,
)
from stnopt.solvers.linear_program import ProgramStatus, solve_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.period_sums import PeriodSums
    from stnopt.solvers.linear_program import Program

#: Columns above which an interior-point method is the quicker one.
_MANY_COLUMNS = 600
#: Gap at which a choice of orders is good enough.
_NEAR = 1e-3
#: Bisections of a makespan; the first bracket is found by doubling, up to so many times.
_HALVINGS, _DOUBLINGS = 24, 60
#: Share of a bound that rounding in the solver may cost.
_ROUNDING = 1e-7


def bound_by_capacity(
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None = None,
    improve: Improve = "objective",
    most_missing: float | None = None,
) -> float | None:
    """Bound a problem's value for any schedule by sums over the whole horizon, in milliseconds.

    Parameters
    ----------
    network : Network
    problem : Problem
        With a horizon, unless the objective is "makespan".
    start : PlantState, optional
        The plant at time 0.
    improve : {"objective", "missing share", "both"}
        Under "tardiness": the lateness, the priority-weighted share that is missing, or both with
        weights under which missing is far worse than late.
    most_missing : float, optional
        The priority-weighted share that may be missing.

    Returns
    -------
    float or None
        No schedule is better. ``-inf`` (profit, production) or ``inf`` (cost, makespan) where no
        schedule meets the demand at all; None where nothing limits the value.
    """
    return bound_by_periods(
        network,
        problem,
        n_periods=1,
        start=start,
        improve=improve,
        most_missing=most_missing,
    )


def bound_by_periods(
    network: Network,
    problem: Problem,
    *,
    n_periods: int,
    start: PlantState | None = None,
    improve: Improve = "objective",
    most_missing: float | None = None,
    time_limit: float | None = None,
    whole_batches: bool = False,
    tolerance: float = 1e-4,
    known: float = 0.0,
) -> float | None:
    """Bound a problem's value for any schedule by sums up to each of several points of time.

    Parameters
    ----------
    network : Network
    problem : Problem
    n_periods : int
        Equal periods between the points; deliveries' times are points as well.
    start, improve, most_missing
        As in `bound_by_capacity`.
    time_limit : float, optional
        Seconds for each linear program.
    whole_batches : bool
        Whether numbers of batches are whole at the horizon: tighter where batches cost.
    tolerance : float
        How far, as a share, a makespan's bound may stay below what these sums can prove.
    known : float
        A bound of the makespan that is known already.

    Returns
    -------
    float or None
        As `bound_by_capacity`; None also where the time was not enough.
    """
    if problem.objective == "makespan":
        return _bound_makespan(
            network,
            problem,
            n_periods,
            start=start,
            time_limit=time_limit,
            tolerance=tolerance,
            whole_batches=whole_batches,
            known=known,
        )
    sums = build_period_sums(
        network,
        problem,
        n_periods=n_periods,
        start=start,
        improve=improve,
        most_missing=most_missing,
        whole_batches=whole_batches,
    )
    return bound_by_program(sums.program, problem, time_limit=time_limit)


def bound_by_prices(
    sums: PeriodSums, networks: Sequence[Network], problem: Problem
) -> list[float | None]:
    """Bound a problem for plants that differ in prices and costs alone, by the sums of one of them.

    Parameters
    ----------
    sums : PeriodSums
        Of the problem for a plant that differs in nothing else.
    networks : sequence of Network
    problem : Problem
        With a horizon.

    Returns
    -------
    list of float or None
        As `bound_by_periods` for each.
    """
    assert problem.horizon is not None
    bounds = []
    for network in networks:
        per_amount, per_batch = batch_worth(network, problem.objective)
        cost = np.zeros(len(sums.program.cost))
        cost[sums.ended[:, -1]] = per_amount
        cost[sums.n_ended[:, -1]] = per_batch
        given = open_with_amounts(network, problem, None, horizon=problem.horizon)
        offset = worth_without_batches(given, problem.objective)
        program = replace(sums.program, cost=cost, offset=offset)
        bounds.append(bound_by_program(program, problem))
    return bounds


def bound_by_program(
    program: Program, problem: Problem, *, time_limit: float | None = None
) -> float | None:
    """Solve a program of sums; return its bound as the objective's value.

    Parameters
    ----------
    program : Program
        Of a problem's sums, with other costs or targets perhaps.
    problem : Problem
    time_limit : float, optional
        Seconds.
    """
    sign = 1.0 if problem.objective in MAXIMISED else -1.0
    many = len(program.cost) > _MANY_COLUMNS and not program.integer.any()
    answer = solve_program(
        program,
        time_limit=time_limit,
        relative_gap=1e-6,
        method="ipm" if many else "choose",
    )
    if answer.status is ProgramStatus.INFEASIBLE:
        return -sign * math.inf
    if answer.bound is None:
        return None
    return sign * (answer.bound + _ROUNDING * abs(answer.bound)) + 0.0


def orders_beyond_capacity(
    network: Network,
    problem: Problem,
    *,
    n_periods: int,
    start: PlantState | None = None,
    time_limit: float | None = None,
) -> frozenset[str]:
    """Choose orders without which the sums do best: likely to be missing in good schedules.

    Proves nothing. Parameters as in `bound_by_periods`.
    """
    sums = build_period_sums(
        network,
        problem,
        n_periods=n_periods,
        start=start,
        improve="both",
        whole_orders=True,
    )
    answer = solve_program(sums.program, time_limit=time_limit, relative_gap=_NEAR)
    if answer.x is None:
        return frozenset()
    return frozenset(
        order.id
        for order in problem.orders
        if answer.x[sums.missing[order.id]] > (1 - _NEAR) * order.amount
    )


def _bound_makespan(
    network: Network,
    problem: Problem,
    n_periods: int,
    *,
    start: PlantState | None,
    time_limit: float | None,
    tolerance: float,
    whole_batches: bool,
    known: float,
) -> float | None:
    """Find a time by which no schedule can have met the demand, by halving a bracket.

    Whatever a schedule of makespan C does, its sums up to C are a solution for the horizon C; so a
    horizon that has none is too short, whatever longer or shorter ones have.
    """

    def is_too_short(length: float) -> bool:
        sums = build_period_sums(
            network,
            problem,
            n_periods=n_periods,
            start=start,
            until=length,
            whole_batches=whole_batches,
        )
        answer = solve_program(
            replace(sums.program, cost=np.zeros_like(sums.program.cost)), time_limit=time_limit
        )
        return answer.status is ProgramStatus.INFEASIBLE

    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    longest = problem.horizon or shortest * 2.0**_DOUBLINGS
    # Nothing may have to run, where what is wanted is there or comes.
    low = max(shortest, known)
    if not is_too_short(low):
        return known
    high = low
    while is_too_short(high):
        if high >= longest:
            return math.inf
        low, high = high, min(2 * high, longest)
    for _ in range(_HALVINGS):
        if high - low <= tolerance * high:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_short(middle) else (low, middle)
    return low
