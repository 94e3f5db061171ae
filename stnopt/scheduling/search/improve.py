"""The best times and sizes for a given order of batches: one linear program in continuous time.

Which batches run, their order on each unit and the order of all that enters and leaves each state
stay as they are; when a batch starts and how large it is are free. What an order is read from may
be a planner's schedule, or batches on a grid that take longer there than they will.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.arguments import check_arguments, optional
from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.plant.calendar import with_calendars
from stnopt.plant.network import Network
from stnopt.plant.orders import ServedOrder
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState
from stnopt.scheduling.checks import check_deliveries, check_orders, check_targets
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Schedule, compute_final_stock, schedule_value
from stnopt.scheduling.search.opening import open_with_amounts
from stnopt.scheduling.search.question import Question, missing_share, why_not_long_horizon
from stnopt.scheduling.search.retiming.retime import placed_from_schedule, retime
from stnopt.scheduling.search.worth import MAXIMISED, missing_weight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stnopt.scheduling.schedule import Batch
    from stnopt.scheduling.search.opening import Opening
    from stnopt.scheduling.search.retiming.timing import PlacedBatch
    from stnopt.scheduling.search.worth import Improve

#: A new order is read from the improved times at most so often.
_ROUNDS = 4
#: Least relative gain of a round that another follows.
_LEAST_GAIN = 1e-6


def improve_schedule(
    schedule: Schedule, network: Network, problem: Problem, *, start: PlantState | None = None
) -> Schedule:
    """Choose the best times and sizes for the order of a schedule's batches.

    Kept are which batches run, their order on each unit, and the order in which batches release,
    take and make room for each state. A batch that ends up empty is left out. The result has been
    replayed, and is never worse than a schedule that obeys the rules and meets the demand.

    Parameters
    ----------
    schedule : Schedule
        Of any origin. It may break rules that other times and sizes keep.
    network : Network
    problem : Problem
        Objective, targets, deliveries, orders and horizon (these two by default the schedule's).
    start : PlantState, optional
        The plant at time 0; left out, the schedule's own.

    Returns
    -------
    Schedule

    Raises
    ------
    InvalidInputError
        A target, delivery or order that the plant cannot be asked for.
    UnsupportedModelError
        A rule that this does not know, by name.
    InvalidScheduleError
        A batch that the plant does not know, or an order for which no times and sizes keep the
        rules and meet the demand; the message lists what the schedule breaks.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        problem=(problem, Problem),
        start=(start, optional(PlantState)),
    )
    horizon = schedule.horizon if problem.horizon is None else problem.horizon
    orders = problem.orders or tuple(served.order for served in schedule.orders)
    dated = problem.start or schedule.date
    problem = replace(problem, horizon=horizon, orders=orders, start=dated)
    start = start or schedule.start
    question = Question(network=network, problem=problem, start=start)
    reason = why_not_long_horizon(question)
    if reason is not None:
        raise UnsupportedModelError(f"improve_schedule cannot express that {reason}")
    check_targets(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=horizon)
    check_orders(network, problem.orders, horizon=horizon)
    strangers = [
        f"{b.task!r} on {b.unit!r}"
        for b in schedule.batches
        if b.task not in network.tasks or b.unit not in network.tasks[b.task].units
    ]
    if strangers:
        raise InvalidScheduleError(
            f"{network.name!r} does not run {', '.join(dict.fromkeys(strangers))}: "
            "leave these batches out, or give them to a unit that suits"
        )
    given = _as_asked(schedule, network, problem, start)
    broken = [v.message for v in find_violations(given, network)]
    broken += _missed_targets(given, problem)
    dated_network = with_calendars(network, start=problem.start, horizon=horizon)
    placed = placed_from_schedule(schedule.batches, dated_network, horizon=horizon, start=start)
    parts = {served.order.id: list(served.parts) for served in given.orders}
    improved = retime_repeatedly(placed, network, problem, start=start, parts=parts)
    if broken and improved is None:
        raise InvalidScheduleError(
            "no times and sizes for this order of batches keep the plant's rules and meet the "
            "demand. As it stands:\n  - " + "\n  - ".join(broken)
        )
    if improved is None:
        return given
    if not broken and score(improved, network, problem) <= score(given, network, problem):
        return given
    return improved


def _as_asked(
    schedule: Schedule, network: Network, problem: Problem, start: PlantState | None
) -> Schedule:
    """Return a schedule's batches and what it delivers of the orders, with all that is asked."""
    assert problem.horizon is not None
    delivered = {served.order.id: served.parts for served in schedule.orders}
    may_miss = True if problem.objective == "tardiness" else None
    served = tuple(
        ServedOrder(order, delivered.get(order.id, ()), may_miss=may_miss)
        for order in problem.orders
    )
    return replace(
        schedule,
        horizon=problem.horizon,
        deliveries=problem.deliveries,
        orders=served,
        start=start,
        date=problem.start,
        final_stock=compute_final_stock(
            schedule.batches,
            network,
            problem.deliveries,
            horizon=problem.horizon,
            start=start,
            orders=served,
        ),
    )


def score(
    schedule: Schedule, network: Network, problem: Problem, improve: Improve = "both"
) -> float:
    """Return what a schedule is worth to a problem, more being better throughout.

    Under "tardiness" missing less comes before being less late (or one of the two counts alone).
    """
    if problem.objective != "tardiness" or improve == "objective":
        sign = 1.0 if problem.objective in MAXIMISED else -1.0
        return sign * float(schedule_value(schedule, network, problem.objective))
    missing = missing_share(schedule)
    if improve == "missing share":
        return -missing
    late = float(schedule_value(schedule, network, "tardiness"))
    return -(missing_weight(problem, schedule.horizon) * missing + late)


def retime_repeatedly(
    placed: Sequence[PlacedBatch],
    network: Network,
    problem: Problem,
    *,
    start: PlantState | None = None,
    parts: Mapping[str, list[tuple[float, float]]] | None = None,
    width: float = 0.0,
    kept: Sequence[Batch] = (),
    opening: Opening | None = None,
) -> Schedule | None:
    """Improve times and sizes, and again from the order that results, while that helps.

    Parameters as in `retime`; `kept` are batches that stay as they are.
    """
    assert problem.horizon is not None
    best: Schedule | None = None
    if opening is None:
        opening = open_with_amounts(network, problem, start, horizon=problem.horizon)
    for _ in range(_ROUNDS):
        found = retime(
            placed,
            network,
            problem,
            start=start,
            parts=parts,
            width=width,
            improve="both",
            opening=opening,
        )
        if found is None:
            break
        if best is not None:
            worth = score(best, network, problem)
            gain = score(found, network, problem) - worth
            if gain <= 0:
                break
            if gain <= _LEAST_GAIN * abs(worth):
                return found
        best = found
        placed = placed_from_schedule(
            found.batches, opening.network, horizon=problem.horizon, start=start, kept=kept
        )
        parts, width = {served.order.id: list(served.parts) for served in found.orders}, 0.0
    return best


def _missed_targets(schedule: Schedule, problem: Problem) -> list[str]:
    """Say which targets a schedule misses."""
    missed = []
    for state, amount in problem.targets.items():
        have = schedule.final_stock.get(state, 0.0)
        tolerance = 1e-6 * max(1.0, abs(amount))
        if have < amount - tolerance:
            missed.append(f"{state}: {have:.6g} at the end, but {amount:.6g} are asked for")
        elif problem.sense == "exactly" and have > amount + tolerance:
            missed.append(f"{state}: {have:.6g} at the end, but exactly {amount:.6g} are asked for")
    return missed
