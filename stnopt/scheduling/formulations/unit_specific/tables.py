"""What the rules of the unit-event model look up of it: its batches by unit and event, its periods.

The model itself holds variables, constraints and sets only. These tables are built with its sets
and kept on its handle, for the rows that are added later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyomo.environ as pyo
    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.recipe import Suitability
    from stnopt.scheduling.formulations.given import Given

BatchKey = tuple[str, str, int, int]  # task, unit, event, span
Slot = tuple[str, int]  # unit, event
Period = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Taking:
    """What leaves the plant at once: a delivery, or a part of an order.

    Attributes
    ----------
    time : number or variable
    amount : float
        The most of it.
    quantity : number or variable
        How much of it, at most `amount`.
    fixed : bool
        Whether time and quantity are given.
    """

    time: Any
    amount: float
    quantity: Any
    fixed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Takings:
    """All that leaves a plant, as it was last required.

    Attributes
    ----------
    due : mapping of (state, number) to Taking
        Per state, deliveries in order of time, then parts of orders.
    orders : mapping of str to Order
    parts : mapping of str to range
        Per order, the numbers of its parts.
    former_limit : mapping of (state, point) to float
        Upper bounds of stocks without them.
    """

    due: dict[tuple[str, int], Taking] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    parts: Mapping[str, range] = field(default_factory=dict)
    former_limit: dict[tuple[str, int], float] = field(default_factory=dict)

    def of(self, state: str) -> dict[int, Taking]:
        """Return the takings of one state by their number."""
        return {number: taking for (name, number), taking in self.due.items() if name == state}


@dataclass(slots=True, kw_only=True, eq=False)
class EventTables:
    """Tables of a unit-event model.

    Attributes
    ----------
    network : Network
        The plant with what is given in it.
    horizon : float
        In the plant's time unit.
    given : Given
        Which batches run whatever is decided.
    fits : mapping of (task, unit) to Suitability
    on : mapping of str to tuple of BatchKey
        Batches by unit, in the order of the model's set.
    starting : mapping of (unit, event) to tuple of BatchKey
        Batches by unit and the event they start at; no entry where none does.
    spans : tuple of int
        That occur, increasing.
    periods : mapping of (unit, number) to Period
        Unavailable periods that batches have to pass.
    pauses, unattended : mapping of str to tuple of Period
        By unit, those that have not begun at 0.
    given_delay : mapping of BatchKey, or of BatchKey and state, to float
        How long after its end, or its early release, a given batch gives out what it makes.
    given_unloading : mapping of BatchKey to float
        How long after its end its unit can be empty.
    cleaned : frozenset of str
        Units that must be empty for a while before a batch: changeovers, or cleanings.
    takings : Takings
    """

    network: Network
    horizon: float
    given: Given
    fits: Mapping[tuple[str, str], Suitability]
    on: Mapping[str, tuple[BatchKey, ...]]
    starting: Mapping[tuple[str, int], tuple[BatchKey, ...]]
    spans: tuple[int, ...]
    periods: Mapping[tuple[str, int], Period] = field(default_factory=dict)
    pauses: Mapping[str, tuple[Period, ...]] = field(default_factory=dict)
    unattended: Mapping[str, tuple[Period, ...]] = field(default_factory=dict)
    given_delay: dict[tuple[Any, ...], float] = field(default_factory=dict)
    given_unloading: dict[BatchKey, float] = field(default_factory=dict)
    cleaned: frozenset[str] = frozenset()
    takings: Takings = field(default_factory=Takings)

    def started(self, unit: str, event: int) -> tuple[BatchKey, ...]:
        """Return the batches that may start on a unit at an event."""
        return self.starting.get((unit, event), ())

    def producing(self, unit: str, event: int, state: str) -> list[BatchKey]:
        """Return those of them that make a state."""
        tasks = self.network.tasks
        return [b for b in self.started(unit, event) if state in tasks[b[0]].produces]

    def consuming(self, unit: str, event: int, state: str) -> list[BatchKey]:
        """Return those of them that take a state."""
        tasks = self.network.tasks
        return [b for b in self.started(unit, event) if state in tasks[b[0]].consumes]


def make_tables(
    m: pyo.ConcreteModel, network: Network, horizon: float, given: Given
) -> EventTables:
    """Sort the batches of a model whose sets are declared."""
    on: dict[str, list[BatchKey]] = {unit: [] for unit in m.UNITS}
    starting: dict[tuple[str, int], list[BatchKey]] = {}
    for batch in m.BATCHES:
        on[batch[1]].append(batch)
        starting.setdefault(batch[1:3], []).append(batch)
    return EventTables(
        network=network,
        horizon=horizon,
        given=given,
        fits={(fit.task, fit.unit): fit for fit in network.suitabilities},
        on={unit: tuple(batches) for unit, batches in on.items()},
        starting={slot: tuple(batches) for slot, batches in starting.items()},
        spans=tuple(sorted({b[3] for b in m.BATCHES})),
    )


def tables_of(m: BlockData) -> EventTables:
    """Return the tables of a unit-event model."""
    tables = scheduling_handle(m).tables
    assert isinstance(tables, EventTables)
    return tables


def leaves_early(fit: Suitability, state: str) -> bool:
    """Whether a state leaves its unit before the batch ends, so that it cannot wait there."""
    if state not in fit.release_time:
        return False
    varies = fit.time_per_amount > 0
    return varies or fit.release_time[state] < fit.duration(fit.min_batch)


def available_at(network: Network, state: str, batch: BatchKey) -> int:
    """Point from which others take what a batch makes: its end, or the next if it leaves early."""
    early = leaves_early(network.tasks[batch[0]].units[batch[1]], state)
    return batch[2] + 1 if early else batch[2] + batch[3] + 1
