"""A schedule and what it is worth: the nouns and their value, from batches and plant alone.

Whether a schedule obeys the plant is for `stnopt.scheduling.replay` to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from stnopt.errors import InvalidInputError
from stnopt.plant.checks import ReadOnlyMapping
from stnopt.plant.problem import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability

ValueKind = Literal["profit", "production", "cost", "makespan"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One run of a task on a unit. Written like a row: positional arguments are fine.

    Parameters
    ----------
    task, unit : str
        Names from the plant.
    start, finish : float
        Times in the plant's unit.
    size : float
        Amount processed, in the plant's unit.

    Raises
    ------
    InvalidInputError
        When a time or the size is not a finite number. Whether the numbers obey the plant is for
        `find_violations` to say.
    """

    task: str
    unit: str
    start: float
    finish: float
    size: float

    def __post_init__(self) -> None:
        for field in ("start", "finish", "size"):
            _require_finite(getattr(self, field), f"batch {self.task!r} on {self.unit!r}: {field}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which batches run when, what leaves the plant meanwhile, and what is in stock at the end.

    Parameters
    ----------
    batches : tuple of Batch
    final_stock : mapping of str to float
        Per state: what is in storage or waiting in a unit at the horizon's end, after all
        deliveries; for a state with unlimited supply, the gross amount consumed instead. A state
        left out counts as zero.
    horizon : float
        Length of the schedule, positive, in the plant's time unit.
    deliveries : tuple of Delivery
        What leaves the plant before or at the horizon's end.

    Raises
    ------
    InvalidInputError
        When the horizon is not positive and finite, an amount is not a finite number, or a
        delivery is none.
    """

    batches: tuple[Batch, ...]
    final_stock: Mapping[str, float]
    horizon: float
    deliveries: tuple[Delivery, ...] = ()

    def __post_init__(self) -> None:
        _require_finite(self.horizon, "schedule: horizon")
        if self.horizon <= 0:
            raise InvalidInputError(f"schedule: horizon must be positive, got {self.horizon}")
        for state, amount in self.final_stock.items():
            _require_finite(amount, f"schedule: final stock of {state!r}")
        for delivery in self.deliveries:
            if not isinstance(delivery, Delivery):
                raise InvalidInputError(f"schedule: expected a Delivery, got {delivery!r}")
        object.__setattr__(self, "batches", tuple(self.batches))
        object.__setattr__(self, "deliveries", tuple(self.deliveries))
        object.__setattr__(self, "final_stock", ReadOnlyMapping(self.final_stock))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per batch: task, unit, start, finish, size."""
        rows = [(b.task, b.unit, b.start, b.finish, b.size) for b in self.batches]
        return pd.DataFrame(rows, columns=["task", "unit", "start", "finish", "size"])


def schedule_value(schedule: Schedule, network: Network, kind: ValueKind) -> float:
    """Return what a schedule is worth, from its batches and the plant alone.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    kind : {"profit", "production", "cost", "makespan"}
        "profit": price * (final stock + deliveries), less "cost". "production": total final stock
        and deliveries of the states with a price. "cost": every state's cost * gross amount
        consumed, plus `fixed_cost` per batch and `cost_per_amount` * size. "makespan": when the
        last batch ends (0 without batches). States with unlimited supply have no final stock to
        sell.

    Raises
    ------
    InvalidInputError
        When `kind` is none of these, or a batch names a task or unit the plant does not have.
    """
    if kind not in get_args(ValueKind):
        expected = ", ".join(get_args(ValueKind))
        raise InvalidInputError(f"schedule_value: kind must be one of {expected}, got {kind!r}")
    if kind == "makespan":
        return max((batch.finish for batch in schedule.batches), default=0.0)
    # What is delivered is sold like what is left, so that no delivery is taken off here.
    stock = compute_final_stock(schedule.batches, network)
    sold = [state for state in network.states.values() if state.price and not state.unlimited]
    if kind == "production":
        return math.fsum(stock[state.name] for state in sold if state.price > 0)
    cost = _schedule_cost(schedule.batches, network)
    if kind == "cost":
        return cost
    return math.fsum(state.price * stock[state.name] for state in sold) - cost


def compute_final_stock(
    batches: Iterable[Batch], network: Network, deliveries: Iterable[Delivery] = ()
) -> dict[str, float]:
    """Return what is left of each state: initial + made - consumed - delivered, in amounts.

    For a state with unlimited supply it is the gross amount consumed instead.

    Raises
    ------
    InvalidInputError
        When a batch names a task, or a delivery a state, that the plant does not have.
    """
    made: dict[str, list[float]] = {name: [] for name in network.states}
    used: dict[str, list[float]] = {name: [] for name in network.states}
    for batch in batches:
        if batch.task not in network.tasks:
            raise InvalidInputError(
                f"plant {network.name!r} has no task {batch.task!r}; "
                f"it has {', '.join(network.tasks)}"
            )
        task = network.tasks[batch.task]
        for state, share in task.produces.items():
            made[state].append(share * batch.size)
        for state, share in task.consumes.items():
            used[state].append(share * batch.size)
    for delivery in deliveries:
        if delivery.state not in network.states:
            raise InvalidInputError(
                f"plant {network.name!r} has no state {delivery.state!r} to deliver; "
                f"it has {', '.join(network.states)}"
            )
        if not network.states[delivery.state].unlimited:
            used[delivery.state].append(delivery.amount)
    return {
        name: math.fsum(used[name])
        if state.unlimited
        else math.fsum([state.initial, *made[name], *(-amount for amount in used[name])])
        for name, state in network.states.items()
    }


def _schedule_cost(batches: Iterable[Batch], network: Network) -> float:
    """Raw material: state cost * gross consumption; tasks: fixed_cost + cost_per_amount * size."""
    terms = []
    for batch in batches:
        suitability = find_suitability(batch, network)
        if suitability is None:
            raise InvalidInputError(
                f"plant {network.name!r} does not run {batch.task!r} on {batch.unit!r}, "
                "so the batch has no cost"
            )
        terms.append(suitability.fixed_cost + suitability.cost_per_amount * batch.size)
        terms += [
            network.states[state].cost * share * batch.size
            for state, share in network.tasks[batch.task].consumes.items()
        ]
    return math.fsum(terms)


def find_suitability(batch: Batch, network: Network) -> Suitability | None:
    """Return on what terms a batch runs; None if the plant knows no such task or its unit."""
    return network.tasks[batch.task].units.get(batch.unit) if batch.task in network.tasks else None


def _require_finite(value: float, what: str) -> None:
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise InvalidInputError(f"{what} must be a finite number, got {value!r}")
