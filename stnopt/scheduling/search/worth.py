"""What a schedule is worth as a linear function of its batches and of what its orders miss."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from stnopt.plant.objective import OBJECTIVES, Quantities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.search.opening import Opening

#: Under "tardiness": the missing share, the lateness, or one before the other.
Improve = Literal["objective", "missing share", "both"]

MAXIMISED = frozenset(kind for kind, row in OBJECTIVES.items() if row.maximised)
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
        throughout; zeros for what no sum over batches is, such as "makespan" and "tardiness".
    """
    fits = network.suitabilities
    per_amount, per_batch = np.zeros(len(fits)), np.zeros(len(fits))
    for number, fit in enumerate(fits):
        task = network.tasks[fit.task]
        left = {name: task.produces.get(name, 0.0) for name in network.states}
        for name, share in task.consumes.items():
            left[name] -= share
        raw_cost = sum(q * network.states[s].cost for s, q in task.consumes.items())
        per_amount[number] = _worth(
            kind, raw_cost=raw_cost, task_cost=fit.cost_per_amount, **_of_stock(network, left)
        )
        per_batch[number] = _worth(kind, task_cost=fit.fixed_cost, n_batches=1.0)
    return per_amount, per_batch


def missed_weight(network: Network, state: str) -> float:
    """Return how much dearer it is to miss an amount of a state than one of the largest batch.

    Grams that a batch makes beside tonnes are as hard to make as the tonnes are.
    """
    made = max(
        (
            task.produces[state] * fit.max_batch
            for task in network.tasks.values()
            if state in task.produces
            for fit in task.units.values()
        ),
        default=0.0,
    )
    largest = max(fit.max_batch for fit in network.suitabilities)
    return max(1.0, largest / made) if made > 0 else 1.0


def worth_without_batches(opening: Opening, kind: str) -> float:
    """Return what is worth something without any batch: stocks, and what comes."""
    states = opening.network.states
    left = {name: state.initial for name, state in states.items() if not state.unlimited}
    for coming in opening.comings:
        if coming.state in left:
            left[coming.state] += coming.amount
    return _worth(kind, **_of_stock(opening.network, left))


def _of_stock(network: Network, left: Mapping[str, float]) -> dict[str, float]:
    """Return the quantities that follow from what is left of the states."""
    stocked = [
        (network.states[s].price, a) for s, a in left.items() if not network.states[s].unlimited
    ]
    return {
        "revenue": sum(price * amount for price, amount in stocked),
        "produced": sum(amount for price, amount in stocked if price > 0),
    }


def _worth(kind: str, **quantities: float) -> float:
    """Return an objective of some quantities, all others 0; more is better."""
    objective = OBJECTIVES[kind]
    zeros = dict.fromkeys((field.name for field in fields(Quantities)), 0.0)
    value = objective.value(Quantities(**(zeros | quantities)))
    return float(value if objective.maximised else -value) + 0.0


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
    weight = -_worth(problem.objective, order_cost=1.0) + 0.0
    missing = weight * (order.missing_cost or 0.0)
    return OrderWorth(late=weight * order.late_cost, missing=missing, must=must)


def missing_weight(problem: Problem, horizon: float) -> float:
    """Return a cost of the missing share that is more than all lateness there can be.

    That holds for whole orders; of one that is partial, what is missing may be traded against
    lateness where it is less than all of the least important order.
    """
    most = math.fsum(o.priority * max(0.0, horizon - o.due) for o in problem.orders)
    least = min((o.priority for o in problem.orders), default=1.0)
    return _BEFORE_LATE * max(most, horizon) / least
