"""Orders: amounts that are wanted by a date and met as soon as can be, and what came of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from stnopt.arguments import POSITIVE, TRUTH, check_arguments, is_listed, optional
from stnopt.errors import InvalidInputError
from stnopt.plant.checks import changed_fields, checked_number, name_problems
from stnopt.plant.tolerance import SHARE


@dataclass(frozen=True, slots=True)
class Order:
    """An amount of a state that is wanted by a date; unlike a delivery it may come late.

    Written like a row: positional arguments are fine up to `due`. It is delivered from `earliest`
    on at an instant of the schedule's choice and earns the state's price.

    Parameters
    ----------
    id : str or int
        What the order is called; it is kept as text.
    state : str
        Name of the state.
    amount : float
        How much of it, more than 0.
    due : float
        When it is wanted, in the plant's time unit; negative where it is overdue.
    partial : bool
        Whether it may be delivered in parts, and in part only. Else it is whole or missing.
    earliest : float
        It is not taken before.
    priority : float
        Weight of its lateness and of its missing share, more than 0.
    late_cost : float
        Cost per time that its last part is late.
    missing_cost : float or None
        Cost per amount that is not delivered by the horizon, which then also counts as delivered at
        the horizon. None: it must be delivered, except where the objective is "tardiness".

    Raises
    ------
    InvalidInputError
        With every problem of this order.
    """

    id: str
    state: str
    amount: float
    due: float
    partial: bool = False
    earliest: float = 0.0
    priority: float = 1.0
    late_cost: float = 0.0
    missing_cost: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.id, int) and not isinstance(self.id, bool) and abs(self.id) < 10**18:
            object.__setattr__(self, "id", str(self.id))
        problems = name_problems("an order's id", self.id)
        owner = f"order {self.id!r}"
        problems += name_problems(f"{owner}: its state", self.state)
        if not isinstance(self.partial, bool):
            problems.append(f"{owner}: partial must be true or false, got {self.partial!r}")
        for name, limits in _LIMITS.items():
            value = getattr(self, name)
            if name == "missing_cost" and value is None:
                continue
            number = checked_number(value, f"{owner}: {name}", problems, **limits)
            object.__setattr__(self, name, number)
        if problems:
            raise InvalidInputError(problems)

    def to_dict(self) -> dict[str, Any]:
        """Write the order as the mapping that a file holds; defaults are left out."""
        return changed_fields(self, but=())


_LIMITS: dict[str, dict[str, Any]] = {
    "amount": {"above": 0.0},
    "due": {},
    "earliest": {"least": 0.0},
    "priority": {"above": 0.0},
    "late_cost": {"least": 0.0},
    "missing_cost": {"least": 0.0},
}


@dataclass(frozen=True, slots=True)
class ServedOrder:
    """An order and what was delivered of it when.

    Parameters
    ----------
    order : Order
    parts : tuple of (float, float)
        Time and amount of each part, in order of time; empty where all of it is missing.
    may_miss : bool or None
        Whether some of it may be missing. None: if missing has a cost.

    Raises
    ------
    InvalidInputError
        When a time or an amount is not a finite number, or an amount not above 0.
    """

    order: Order
    parts: tuple[tuple[float, float], ...] = ()
    may_miss: bool | None = None

    def __post_init__(self) -> None:
        check_arguments(order=(self.order, Order), may_miss=(self.may_miss, optional(TRUTH)))
        problems: list[str] = []
        if self.may_miss is None:
            object.__setattr__(self, "may_miss", self.order.missing_cost is not None)
        parts = []
        if not is_listed(self.parts):
            problems.append(f"parts: expected a list of (time, amount), got {self.parts!r}")
        for part in self.parts if not problems else ():
            if not isinstance(part, tuple | list) or len(part) != 2:
                problems.append(f"parts: expected (time, amount), got {part!r}")
                continue
            time, amount = part
            owner = f"order {self.order.id!r}: a part"
            when = checked_number(time, f"{owner}'s time", problems)
            much = checked_number(amount, f"{owner}'s amount", problems, above=0.0)
            parts.append((when, much))
        if problems:
            raise InvalidInputError(problems)
        object.__setattr__(self, "parts", tuple(sorted(parts)))

    @property
    def delivered(self) -> float:
        """Amount that was delivered."""
        return math.fsum(amount for _, amount in self.parts)

    @property
    def missing(self) -> float:
        """Amount that was not; less than 1e-6 of the order is nothing."""
        missing = self.order.amount - self.delivered
        return missing if missing > SHARE * self.order.amount else 0.0

    @property
    def missing_share(self) -> float:
        """Share of the order that was not delivered."""
        return self.missing / self.order.amount

    def lateness(self, horizon: float) -> float:
        """Return max(0, instant of the last part - due); what is missing counts at the horizon."""
        check_arguments(horizon=(horizon, POSITIVE))
        last = max((time for time, _ in self.parts), default=horizon)
        return max(0.0, (horizon if self.missing else last) - self.order.due)

    def cost(self, horizon: float) -> float:
        """Return what its lateness and what is missing of it cost."""
        check_arguments(horizon=(horizon, POSITIVE))
        missing = (self.order.missing_cost or 0.0) * self.missing
        return self.order.late_cost * self.lateness(horizon) + missing
