"""A state whose storage is limited at every instant, and what happens to it in the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.scheduling.formulations.unit_specific.tables import EventTables, Taking

#: In the place of the unit that takes a state: it leaves the plant, in a delivery.
LEAVES_PLANT = -1

Consumption = tuple[Any, int]  # unit or `LEAVES_PLANT`, event or number of the taking
Unloading = tuple[str, int, str]  # unit, point, event or period, "start", "early" or "stow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What is known of such a state.

    Attributes
    ----------
    name : str
    tables : EventTables
    made, used : mapping of str to float
        The state's share in a batch, by task.
    early : frozenset of (task, unit)
        Whose batches it leaves before they end.
    producers, consumers : tuple of str
        Units, sorted.
    most_made, most_used : mapping of unit to float
        The most that one batch makes or takes; for `LEAVES_PLANT` the largest taking.
    ruled : frozenset of str
        Producers that have to be empty before a period or a cleaning.
    due : mapping of int to Taking
    when, amount : mapping of Unloading to expression
        Of each unloading; `limit` is the most of it.
    consumed_at : mapping of Consumption to expression
        The time of each.
    after_earlier : set of Consumption
        That come after the one before them on the same unit.
    """

    name: str
    tables: EventTables
    made: Mapping[str, float]
    used: Mapping[str, float]
    early: frozenset[tuple[str, str]]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    most_made: Mapping[str, float]
    most_used: Mapping[Any, float]
    ruled: frozenset[str]
    due: Mapping[int, Taking]
    when: dict[Unloading, Any] = field(default_factory=dict)
    amount: dict[Unloading, Any] = field(default_factory=dict)
    limit: dict[Unloading, float] = field(default_factory=dict)
    consumed_at: dict[Consumption, Any] = field(default_factory=dict)
    after_earlier: set[Consumption] = field(default_factory=set)

    @property
    def away(self) -> frozenset[str]:
        """Units with periods of unavailability."""
        return frozenset(unit for unit, _ in self.tables.periods)
