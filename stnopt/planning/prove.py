"""Proofs that hold for any schedule: what a plant cannot make, and what production costs at least.

They come from models without event points: an exact time grid, a relaxation in intervals, or sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.feasibility.directions import weigh_products
from stnopt.feasibility.refinement import Limit
from stnopt.planning.cost_cut import CostCut
from stnopt.planning.question import valued
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.bounds import solve_for_any_schedule
from stnopt.scheduling.search.capacity_bound import bound_by_prices, bound_by_program
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.scheduling.search.period_sums import build_period_sums
from stnopt.scheduling.search.question import Question, why_not_long_horizon
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.planning.question import PeriodQuestion
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.period_sums import PeriodSums

#: Of a proof's solve.
_GAP = 1e-4
#: Points of time of the sums that bound what is made.
_POINTS = 12
#: Share of a bound that rounding in a solver may cost.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much a plant can make in a direction.

    Attributes
    ----------
    limit : Limit or None
        Proven for any schedule.
    schedule : Schedule or None
        The best that was found.
    closed : bool
        Whether the schedule reaches the limit.
    """

    limit: Limit | None
    schedule: Schedule | None
    closed: bool = False


def most_by_sums(question: PeriodQuestion) -> NDArray[np.float64]:
    """Return an amount of every product that no schedule exceeds, by sums; infinite if none."""
    bounds = _most_weighted(question, np.eye(len(question.products)))
    return np.array([math.inf if bound is None else max(0.0, bound) for bound in bounds])


def limits_by_sums(question: PeriodQuestion, upper: NDArray[np.float64]) -> list[Limit]:
    """Bound every product, and all of them by what they are of their most, by sums.

    Parameters
    ----------
    question : PeriodQuestion
    upper : (p,) array
        Of `most_by_sums`.
    """
    p = len(upper)
    limits = [
        Limit(lower=(0.0,) * p, weights=tuple(map(float, axis)), bound=float(most))
        for axis, most in zip(np.eye(p), upper, strict=True)
        if math.isfinite(most)
    ]
    if p > 1 and len(limits) == p and np.all(upper > 0):
        weights = 1 / upper / (1 / upper).sum()
        (bound,) = _most_weighted(question, weights[None, :])
        if bound is not None and math.isfinite(bound):
            limits.append(Limit(lower=(0.0,) * p, weights=tuple(map(float, weights)), bound=bound))
    return limits


def _most_weighted(question: PeriodQuestion, rows: NDArray[np.float64]) -> list[float | None]:
    """Bound the production for each row of weights by sums; None where nothing is known."""
    networks = [
        weigh_products(question.network, dict(zip(question.products, row, strict=True)))
        for row in rows
    ]
    problem = Problem(objective="profit", horizon=question.horizon)
    if why_not_long_horizon(Question(network=networks[0], problem=problem)) is not None:
        return [None] * len(rows)
    known = question.worked_out
    if ("sums", _POINTS) not in known:
        known["sums", _POINTS] = build_period_sums(networks[0], problem, n_periods=_POINTS)
    return bound_by_prices(known["sums", _POINTS], networks, problem)


def cost_by_sums(question: PeriodQuestion, amounts: NDArray[np.float64]) -> float:
    """Return what no schedule that makes at least some amounts costs less than, by sums; or 0."""
    known, asked = question.worked_out, ("cost", *map(float, amounts))
    if asked not in known:
        known[asked] = _cost_by_sums(question, amounts)
    return float(known[asked])


def _cost_by_sums(question: PeriodQuestion, amounts: NDArray[np.float64]) -> float:
    # some of everything, for a row of each product that this period's plant knows
    some = {p: 1.0 for p in question.products if p in question.network.states}
    wanted = Problem(objective="cost", horizon=question.horizon, targets=some)
    known = question.worked_out
    if ("cost sums",) not in known:
        why_not = why_not_long_horizon(Question(network=question.network, problem=wanted))
        known["cost sums",] = (
            build_period_sums(question.network, wanted, n_periods=1) if why_not is None else None
        )
    sums: PeriodSums | None = known["cost sums",]
    if sums is None:
        return 0.0
    lower = sums.program.row_lower.copy()
    targets = question.targets(amounts)
    for product, row in sums.target_rows.items():
        lower[row] = targets.get(product, 0.0)
    least = bound_by_program(replace(sums.program, row_lower=lower), wanted)
    return 0.0 if least is None or not math.isfinite(least) else least


def prove_limit(
    question: PeriodQuestion,
    lower: Sequence[float],
    weights: Sequence[float],
    *,
    time_limit: float,
    search: bool,
) -> Extent:
    """Find the most of a weighted production above a corner, for any schedule.

    Parameters
    ----------
    question : PeriodQuestion
    lower, weights : (p,) sequences
        At least `lower` is made, and ``weights @ amounts`` is as large as can be.
    time_limit : float
        Seconds.
    search : bool
        Whether a schedule is searched for too, where the proof comes without one.
    """
    network = weigh_products(question.network, dict(zip(question.products, weights, strict=True)))
    problem = Problem(objective="profit", horizon=question.horizon, targets=question.targets(lower))
    where = {"lower": tuple(map(float, lower)), "weights": tuple(map(float, weights))}
    answer = solve_for_any_schedule(
        Question(network=network, problem=problem), time_limit=time_limit, relative_gap=_GAP
    )
    schedule, bound = None, None
    if answer is not None:
        if answer.result.status is Status.INFEASIBLE:
            return Extent(limit=Limit(**where, bound=-1.0), schedule=None, closed=True)
        schedule, bound = answer.schedule, answer.result.bound
    if schedule is None and search:
        found = find_schedule(network, problem, time_limit=time_limit, proof_limit=time_limit / 2)
        schedule = found.schedule
        if found.schedule is None and found.result.status is Status.INFEASIBLE:
            if found.proof.scope == "any schedule":
                return Extent(limit=Limit(**where, bound=-1.0), schedule=None, closed=True)
        elif found.bound is not None:
            bound = found.bound if bound is None else min(bound, found.bound)
    if bound is None or not math.isfinite(bound):
        return Extent(limit=None, schedule=schedule)
    # an amount that counts as none must not become a steep line
    slack = float(np.array(weights) @ question.tolerance)
    limit = Limit(**where, bound=float(bound + _ROUNDING * abs(bound) + slack))
    made = (
        0.0
        if schedule is None
        else float(np.array(weights) @ question.amounts(schedule.final_stock))
    )
    closed = schedule is not None and made >= bound * (1 - 10 * _GAP)
    return Extent(limit=limit, schedule=schedule, closed=closed)


def prove_cost(
    question: PeriodQuestion,
    lower: Sequence[float],
    prices: Sequence[float],
    *,
    time_limit: float,
) -> tuple[CostCut | None, Schedule | None]:
    """Bound the cost of production above a corner from below by a plane, for any schedule.

    No schedule that makes at least `lower` has ``prices @ amounts - cost`` above a bound, so that
    whoever makes at least z there pays at least ``prices @ z - bound``. The schedule that was found
    with it may be a cheap one for what it makes.
    """
    network = valued(question.network, dict(zip(question.products, prices, strict=True)))
    problem = Problem(objective="profit", horizon=question.horizon, targets=question.targets(lower))
    answer = solve_for_any_schedule(
        Question(network=network, problem=problem), time_limit=time_limit, relative_gap=_GAP
    )
    schedule = None if answer is None else answer.schedule
    bound = None if answer is None else answer.result.bound
    if bound is None or not math.isfinite(bound):
        return None, schedule
    paid = float(np.array(prices) @ np.array(lower))
    slack = float(np.array(prices) @ question.tolerance)
    cut = CostCut(
        products=question.products,
        lower=tuple(map(float, lower)),
        weights=tuple(map(float, prices)),
        base=-float(bound) - _ROUNDING * max(abs(bound), paid) - slack,
    )
    return cut, schedule
