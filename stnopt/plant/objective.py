"""What a schedule can be asked for: one row per objective, read by everyone who needs to know.

A row says which way is better, in what unit it counts, in what words it is told, what a plant or a
problem must have for it to make sense, and how it follows from a schedule's quantities. These may
be numbers or expressions of a model, so that both are valued by the same row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

ObjectiveKind = Literal["profit", "production", "cost", "makespan", "batches", "tardiness"]
Need = Literal["prices", "demand", "orders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """What all objectives are made of: numbers of a schedule, or expressions of a model.

    Attributes
    ----------
    revenue
        Price times what is left or delivered, of the states that have a final stock.
    produced
        Amount of what is left or delivered, of the states with a positive price.
    raw_cost, task_cost, order_cost
        Cost of what is consumed; of batches; of lateness and of what orders miss.
    n_batches
        Batches that run.
    latest_finish
        When the last batch ends or the last order is delivered.
    tardiness
        Priority-weighted lateness of the orders, in the plant's time unit.
    """

    revenue: Any
    produced: Any
    raw_cost: Any
    task_cost: Any
    order_cost: Any
    n_batches: Any
    latest_finish: Any
    tardiness: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One row of the table.

    Attributes
    ----------
    maximised : bool
        Which way is better.
    unit : {"money", "amount", "time", "batches"}
        What it counts.
    wording : str
        How it is told, as in "the largest profit".
    better : str
        What a schedule does that is better, as in "earns more".
    needs : {"prices", "demand", "orders"} or None
        Without which it makes no sense: states with a price; targets, deliveries or orders; orders.
    value : callable
        The objective of some quantities.
    """

    maximised: bool
    unit: Literal["money", "amount", "time", "batches"]
    wording: str
    better: str
    needs: Need | None
    value: Callable[[Quantities], Any]


OBJECTIVES: dict[str, Objective] = {
    "profit": Objective(
        maximised=True,
        unit="money",
        wording="the largest profit",
        better="earns more",
        needs=None,
        value=lambda q: q.revenue - (q.raw_cost + q.task_cost) - q.order_cost,
    ),
    "production": Objective(
        maximised=True,
        unit="amount",
        wording="the largest production",
        better="makes more",
        needs="prices",
        value=lambda q: q.produced,
    ),
    "cost": Objective(
        maximised=False,
        unit="money",
        wording="the lowest cost",
        better="costs less",
        needs="demand",
        value=lambda q: q.raw_cost + q.task_cost + q.order_cost,
    ),
    "makespan": Objective(
        maximised=False,
        unit="time",
        wording="the shortest makespan",
        better="ends sooner",
        needs="demand",
        value=lambda q: q.latest_finish,
    ),
    "batches": Objective(
        maximised=False,
        unit="batches",
        wording="the fewest batches",
        better="needs fewer batches",
        needs="demand",
        value=lambda q: q.n_batches,
    ),
    "tardiness": Objective(
        maximised=False,
        unit="time",
        wording="the least lateness",
        better="is less late",
        needs="orders",
        value=lambda q: q.tardiness,
    ),
}
"""Every objective, by the name that files and calls use; a new one is a row here."""
