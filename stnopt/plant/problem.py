"""What is asked of a plant: an objective, a horizon, targets, deliveries and orders.

A problem knows no plant: whether its names and times fit one is for whoever puts the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from stnopt.arguments import is_listed
from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import parse_start, written_start
from stnopt.plant.checks import (
    ReadOnlyMapping,
    changed_fields,
    checked_number,
    did_you_mean,
    name_problems,
)
from stnopt.plant.objective import OBJECTIVES, ObjectiveKind
from stnopt.plant.orders import Order

if TYPE_CHECKING:
    from datetime import datetime

Sense = Literal["at_least", "exactly"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """An amount of a state that leaves the plant at a time: an intermediate due date.

    Written like a row: positional arguments are fine. It is taken whole at that instant, from
    storage or from a unit where it waits; what is released at that instant can be delivered.

    Parameters
    ----------
    state : str
        Name of the state.
    time : float
        When it leaves, from 0 to the horizon, in the plant's time unit.
    amount : float
        How much of it, more than 0, in the plant's amount unit.

    Raises
    ------
    InvalidInputError
        With every problem of this delivery.
    """

    state: str
    time: float
    amount: float

    def __post_init__(self) -> None:
        problems = name_problems("a delivery's state", self.state)
        owner = f"delivery of {self.state!r}"
        time = checked_number(self.time, f"{owner}: time", problems, least=0.0)
        amount = checked_number(self.amount, f"{owner}: amount", problems, above=0.0)
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "amount", amount)
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a schedule is asked for: the arguments of `find_schedule` besides the plant.

    Parameters
    ----------
    objective : {"profit", "production", "cost", "makespan", "batches", "tardiness"}
        What is maximised (profit, production) or minimised (all others).
    horizon : float or None
        Length of the schedule, in the plant's time unit; for "makespan" an upper bound. None where
        nothing is said about it.
    targets : mapping of str to float
        Per state, the amount asked for at the horizon's end, after all deliveries.
    sense : {"at_least", "exactly"}
        Whether more than a target may be made.
    deliveries : tuple of Delivery
        What leaves the plant before.
    orders : tuple of Order
        What is wanted by a date and may come late.
    start : datetime, str or None
        When time 0 is (`stnopt.plant.calendar.parse_start`); weekly patterns need it.

    Raises
    ------
    InvalidInputError
        With every problem of this problem.
    """

    objective: ObjectiveKind = "profit"
    horizon: float | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    sense: Sense = "at_least"
    deliveries: tuple[Delivery, ...] = ()
    orders: tuple[Order, ...] = ()
    start: datetime | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        for key, choices in (
            ("objective", tuple(OBJECTIVES)),
            ("sense", get_args(Sense)),
        ):
            value = getattr(self, key)
            if not isinstance(value, str) or value not in choices:
                hint = did_you_mean(value, choices) if isinstance(value, str) else ""
                problems.append(f"{key} must be one of {', '.join(choices)}, got {value!r}{hint}")
        horizon = math.nan
        if self.horizon is not None:
            horizon = checked_number(self.horizon, "horizon", problems, above=0.0)
            object.__setattr__(self, "horizon", horizon)
        self._store_targets(problems)
        self._store_deliveries(horizon, problems)
        self._store_orders(horizon, problems)
        if self.start is not None:
            try:
                object.__setattr__(self, "start", parse_start(self.start))
            except InvalidInputError as error:
                problems.extend(error.problems)
        if not problems and self.objective == "tardiness" and not self.orders:
            problems.append("objective 'tardiness' needs orders: without them nothing is late")
        if problems:
            raise InvalidInputError(problems)

    def to_dict(self) -> dict[str, Any]:
        """Write the problem as the mapping that the section `problem:` of a file holds.

        Returns
        -------
        dict
            Of plain values; `read_problem` turns it into an equal problem. Defaults are left out.
        """
        plain = ("objective", "horizon", "sense")
        written = {
            key: value
            for key, value in changed_fields(self, but=()).items()
            if key in plain and value is not None
        }
        if self.start is not None:
            written["start"] = written_start(self.start)
        if self.targets:
            written["demand"] = dict(self.targets)
        if self.deliveries:
            written["deliveries"] = [
                {"state": d.state, "time": d.time, "amount": d.amount} for d in self.deliveries
            ]
        if self.orders:
            written["orders"] = [order.to_dict() for order in self.orders]
        return written

    def _store_targets(self, problems: list[str]) -> None:
        if not isinstance(self.targets, Mapping):
            problems.append(f"targets must map states to amounts, got {self.targets!r}")
            return
        targets: dict[str, float] = {}
        for state, amount in self.targets.items():
            problems.extend(name_problems("a target's state", state))
            targets[state] = checked_number(amount, f"target of {state!r}", problems, least=0.0)
        object.__setattr__(self, "targets", ReadOnlyMapping(targets))

    def _store_deliveries(self, horizon: float, problems: list[str]) -> None:
        given: Any = self.deliveries
        if not is_listed(given):
            problems.append(f"deliveries must be a list, got {given!r}")
            return
        deliveries = tuple(given)
        for delivery in deliveries:
            if not isinstance(delivery, Delivery):
                problems.append(f"deliveries: expected a Delivery, got {delivery!r}")
            elif delivery.time > horizon:
                problems.append(
                    f"delivery of {delivery.state!r} at {delivery.time:g} is after the horizon "
                    f"({horizon:g})"
                )
        object.__setattr__(self, "deliveries", deliveries)

    def _store_orders(self, horizon: float, problems: list[str]) -> None:
        given: Any = self.orders
        if not is_listed(given):
            problems.append(f"orders must be a list, got {given!r}")
            return
        orders = tuple(given)
        known: set[str] = set()
        for order in orders:
            if not isinstance(order, Order):
                problems.append(f"orders: expected an Order, got {order!r}")
                continue
            if order.id in known:
                problems.append(f"order {order.id!r} is there more than once")
            known.add(order.id)
            for what, time in (("due", order.due), ("earliest", order.earliest)):
                if time > horizon:
                    problems.append(
                        f"order {order.id!r}: {what} {time:g} is after the horizon ({horizon:g})"
                    )
        object.__setattr__(self, "orders", orders)
