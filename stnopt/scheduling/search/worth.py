"""What a schedule is worth as a linear function of its batches and of what its orders miss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.search.opening import Opening

#: Under "tardiness": the missing share, the lateness, or one before the other.
Improve = Literal["objective", "missing share", "both"]

MAXIMISED = ("profit", "production")
#: Where missing comes before late: its weight beside all lateness that there can be.
_BEFORE_LATE = 1.1
#: In programs an order that is missing is as bad as one that is late by so many horizons: weights
#: that put one before the other whatever happens are too far apart for a solver.
_MISSING_IS_LATE = 2.0


def batch_worth(network: Network, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what an amount and what a batch adds to a schedule's value.

    Returns
    -------
    per_amount, per_batch : (n,) arrays
        Per pair of task and unit; for what is minimised their negative, so that more is better
        throughout; zeros for "makespan" and "tardiness".
    """
    fits = network.suitabilities
    per_amount, per_batch = np.zeros(len(fits)), np.zeros(len(fits))
    if kind == "batches":
        per_batch[:] = -1.0
    if kind not in ("profit", "production", "cost"):
        return per_amount, per_batch
    worth = _prices(network, kind)
    for number, fit in enumerate(fits):
        task = network.tasks[fit.task]
        gain = sum(q * worth.get(s, 0.0) for s, q in task.produces.items())
        gain -= sum(q * worth.get(s, 0.0) for s, q in task.consumes.items())
        if kind != "production":
            gain -= fit.cost_per_amount
            gain -= sum(q * network.states[s].cost for s, q in task.consumes.items())
            per_batch[number] = -fit.fixed_cost
        per_amount[number] = gain
    return per_amount, per_batch


def worth_without_batches(opening: Opening, kind: str) -> float:
    """Return what is worth something without any batch: stocks, and what comes."""
    if kind not in ("profit", "production"):
        return 0.0
    worth = _prices(opening.network, kind)
    stock = sum(w * opening.network.states[s].initial for s, w in worth.items())
    return stock + sum(worth.get(c.state, 0.0) * c.amount for c in opening.comings)


def _prices(network: Network, kind: str) -> dict[str, float]:
    return {
        s.name: (float(s.price > 0) if kind == "production" else s.price)
        for s in network.states.values()
        if not s.unlimited and kind != "cost"
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWorth:
    """What an order costs that is late or missing.

    Attributes
    ----------
    late : float
        Per time.
    missing : float
        Per amount.
    must : bool
        Whether nothing of it may be missing.
    """

    late: float
    missing: float
    must: bool


def order_worth(
    order: Order, problem: Problem, *, horizon: float, improve: Improve = "objective"
) -> OrderWorth:
    """Return what lateness and missing amounts of an order cost under a problem's objective."""
    if problem.objective == "tardiness":
        late = 0.0 if improve == "missing share" else order.priority
        weight = 0.0
        if improve == "missing share":
            weight = 1.0
        elif improve == "both":
            weight = _MISSING_IS_LATE * horizon
        return OrderWorth(late=late, missing=weight * order.priority / order.amount, must=False)
    must = order.missing_cost is None
    if problem.objective in ("profit", "cost"):
        return OrderWorth(late=order.late_cost, missing=order.missing_cost or 0.0, must=must)
    return OrderWorth(late=0.0, missing=0.0, must=must)


def missing_weight(problem: Problem, horizon: float) -> float:
    """Return a cost of the missing share that is more than all lateness there can be.

    That holds for whole orders; of one that is partial, what is missing may be traded against
    lateness where it is less than all of the least important order.
    """
    most = math.fsum(o.priority * max(0.0, horizon - o.due) for o in problem.orders)
    least = min((o.priority for o in problem.orders), default=1.0)
    return _BEFORE_LATE * max(most, horizon) / least
