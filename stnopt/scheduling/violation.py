"""A broken rule as a noun, and how its numbers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stnopt.plant.network import Network

ViolationKind = Literal[
    "unknown_task",
    "unsuitable_unit",
    "batch_size",
    "duration",
    "horizon",
    "overlap",
    "unit_unavailable",
    "changeover",
    "clean_after",
    "over_utility",
    "stock_below_zero",
    "over_capacity",
    "zero_wait",
    "missed_delivery",
    "order",
    "unattended",
    "paused",
    "state",
    "final_stock",
]
#: Kinds of violations that no further batch can mend.
BEYOND_HELP: frozenset[ViolationKind] = frozenset(
    {
        "unknown_task",
        "unsuitable_unit",
        "batch_size",
        "duration",
        "horizon",
        "overlap",
        "unit_unavailable",
        "clean_after",
        "over_utility",
        "unattended",
        "paused",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule.

    Parameters
    ----------
    kind : str
        Which rule: "unknown_task", "unsuitable_unit", "batch_size", "duration", "horizon",
        "overlap", "unit_unavailable", "changeover", "clean_after", "over_utility",
        "stock_below_zero", "over_capacity", "zero_wait", "missed_delivery", "order", "unattended",
        "paused", "state" (the plant at time 0) or "final_stock".
    element : str
        The state, unit, utility or task that breaks it.
    time : float
        When, in the plant's time unit.
    amount : float
        By how much: a time for "duration", "horizon", "overlap", "unit_unavailable",
        "changeover" and "clean_after", in the utility's unit for "over_utility", else an amount;
        0 where the rule has no measure.
    message : str
        The same as a sentence, in the plant's words and units.
    """

    kind: ViolationKind
    element: str
    time: float
    amount: float
    message: str


def number_text(value: float) -> str:
    """Return a number as it is told."""
    return f"{value:.6g}"


def amount_text(value: float, network: Network) -> str:
    """Return an amount with its unit."""
    return f"{number_text(value)} {network.amount_unit}".rstrip()


def time_text(value: float, network: Network) -> str:
    """Return a time with its unit."""
    return f"{number_text(value)} {network.time_unit}".rstrip()
