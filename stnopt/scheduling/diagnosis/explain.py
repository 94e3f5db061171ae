"""Why a problem cannot be met, in the plant's words: how short, for want of what, from when not.

Three questions, each put to the search that finds schedules. *How short?* The targets are made
elastic and the total shortfall minimised; orders are served with the least missing, then the least
late. *For want of what?* First what no schedule can help (materials, storage, batch sizes, hours of
a unit: sums over the whole horizon, without event points), then the unit of which a second copy
would help most, or that an order waits for. *From when?* The shortest makespan that meets it all.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from stnopt.arguments import (
    BY_NAME,
    COUNT,
    GAP,
    POSITIVE,
    SECONDS,
    TRUTH,
    WHOLE,
    a,
    as_tuple,
    check_arguments,
    many,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.plant.network import Network
from stnopt.plant.orders import Order
from stnopt.plant.problem import Delivery, Problem, Sense
from stnopt.plant.state import PlantState, check_state
from stnopt.progress import ProgressLine
from stnopt.scheduling.checks import check_deliveries, check_orders
from stnopt.scheduling.diagnosis.aggregate_balance import check_demand
from stnopt.scheduling.diagnosis.asked import Asked
from stnopt.scheduling.diagnosis.least_short import least_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.scheduling.diagnosis.shortfall import Shortfall


def explain_infeasible(
    network: Network,
    targets: Mapping[str, float] | Problem | None = None,
    *,
    problem: Problem | None = None,
    horizon: float | None = None,
    sense: Literal["at_least", "exactly"] = "at_least",
    deliveries: Iterable[Delivery] = (),
    orders: Iterable[Order] = (),
    start: PlantState | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
    progress: bool = False,
) -> Shortfall:
    """Explain why a plant cannot meet a demand within a horizon.

    Parameters
    ----------
    network : Network
    targets : mapping of str to float, amount, or Problem
        What the schedule should end with; or all of it as a problem.
    problem : Problem, optional
        In place of targets, horizon, sense, deliveries and orders. Its objective does not count.
    horizon : float
        In the plant's time unit.
    sense : {"at_least", "exactly"}
    deliveries : iterable of Delivery
        Amounts that must leave the plant at given times; only the targets are elastic.
    orders : iterable of Order
        What is wanted by a date and may come late. If the targets can be met, the answer is the
        schedule that misses least of the orders and is then least late, and why it is.
    start : PlantState, optional
        The plant at time 0. It overrides the plant's `initial`.
    n_events, max_span : int, optional
        As in `find_schedule`: fix what the search would choose.
    time_limit : float, optional
        Seconds for each of the three questions: how short or late, which unit, from when. As in
        `find_schedule` they are used unless nothing is left to prove.
    relative_gap : float
        For each solve.
    progress : bool
        Show what is being asked, and how many solves it took.

    Returns
    -------
    Shortfall
        `str()` of it is the answer in words.

    Raises
    ------
    InvalidInputError
        A state that the plant does not have or has without limit, an amount that is no demand, or
        a horizon that is not positive; an order that the plant cannot be asked for; a state that
        does not fit the plant.

    Notes
    -----
    *The bottleneck* is the unit of which a second copy, equal to the first, lowers the least total
    shortfall most, found by solving the elastic model again with each unit doubled, on the event
    points of the schedule that is least short. A dual value of the relaxation without integers
    would say what an hour more is worth to the relaxation, which meets many demands that no
    schedule does; and how busy a unit is says little by itself: a unit may be busy with what
    nobody needs, and one that waits for another is not what the demand waits for.

    *Reasons* come from sums over the whole horizon, without event points: what goes in and out of
    every state, whole batches within their sizes, and the hours of each unit. Every schedule obeys
    them, so what they forbid no schedule does.

    *Orders* that are late or missing are explained by `find_late_orders`.

    *The busy time* is that of a schedule in which nothing runs that the least shortfall does not
    need: with the batches given, the total time that units run is minimised.
    """
    deliveries, orders = as_tuple(deliveries), as_tuple(orders)
    check_arguments(
        network=(network, Network),
        targets=(targets, optional(a(Problem) if isinstance(targets, Problem) else BY_NAME)),
        problem=(problem, optional(Problem)),
        horizon=(horizon, optional(POSITIVE)),
        sense=(sense, one_of(get_args(Sense))),
        deliveries=(deliveries, many(Delivery)),
        orders=(orders, many(Order)),
        start=(start, optional(PlantState)),
        n_events=(n_events, optional(COUNT)),
        max_span=(max_span, optional(WHOLE)),
        time_limit=(time_limit, SECONDS),
        relative_gap=(relative_gap, GAP),
        progress=(progress, TRUTH),
    )
    if isinstance(targets, Problem):
        targets, problem = None, targets
    if problem is None:
        problem = _problem_of(network, targets or {}, horizon, sense, deliveries, orders)
    elif targets or deliveries or orders or horizon is not None:
        raise InvalidInputError(
            "explain_infeasible: give a problem, or targets, horizon, deliveries and orders, not "
            "both"
        )
    _check(network, problem, start)
    # Its own objective is none of the questions.
    problem = replace(problem, objective="profit")
    limited = time_limit is not None
    with ProgressLine("explain_infeasible", " solves", progress=progress, limited=limited) as line:
        asked = Asked(
            network=network,
            problem=problem,
            start=None if start == PlantState() else start,
            n_events=n_events,
            max_span=max_span,
            time_limit=time_limit,
            relative_gap=relative_gap,
            report=line.step,
        )
        return least_short(asked)


def _problem_of(
    network: Network,
    targets: Mapping[str, float],
    horizon: float | None,
    sense: Literal["at_least", "exactly"],
    deliveries: tuple[Delivery, ...],
    orders: tuple[Order, ...],
) -> Problem:
    """Put the arguments into a problem, once each is known to be one."""
    _check_horizon(horizon)
    if sense not in ("at_least", "exactly"):
        raise InvalidInputError(f"unknown sense {sense!r}; expected 'at_least' or 'exactly'")
    check_demand(network, targets)
    return Problem(
        horizon=horizon, targets=targets, sense=sense, deliveries=deliveries, orders=orders
    )


def _check_horizon(horizon: float | None) -> None:
    if horizon is None or not (math.isfinite(horizon) and horizon > 0):
        raise InvalidInputError(f"horizon must be a positive number, got {horizon}")


def _check(network: Network, problem: Problem, start: PlantState | None) -> None:
    """Refuse what cannot be asked of the plant."""
    _check_horizon(problem.horizon)
    if not (problem.targets or problem.deliveries or problem.orders):
        raise InvalidInputError("explain_infeasible needs targets: nothing is always possible")
    check_demand(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=problem.horizon)
    check_orders(network, problem.orders, horizon=problem.horizon)
    if start is not None:
        check_state(start, network)
