"""What the rules of the time grid look up of a model: calendars and batches by point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stnopt.scheduling.formulations.time_grid.points import finish_point
from stnopt.scheduling.formulations.time_grid.width import SAME_TIME
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.given import Given

BatchKey = tuple[str, str, int]  # task, unit, point of its start
Periods = dict[str, list[tuple[int, int]]]  # by unit, from point to point


@dataclass(slots=True, kw_only=True, eq=False)
class GridTables:
    """Tables of a time grid; points and intervals are numbers.

    Attributes
    ----------
    network : Network
        The plant with what is given in it.
    given : Given
        Which batches run whatever is decided.
    horizon : float
        In the plant's time unit.
    n_events : int
        Intervals of the grid.
    at_start, empty : frozenset of str
        Tasks of what runs at 0; those of them of which nothing comes.
    steps : mapping of (task, unit) to int
        Intervals that a batch takes.
    periods, unattended, pauses : Periods
        Units' calendars.
    finish : mapping of BatchKey to int
        The point at which each batch ends.
    running : mapping of (unit, interval) to list of BatchKey
        Those that occupy a unit then.
    kept_empty : mapping of (unit, interval) to list of variables
        One of which is 1 if the unit is kept empty then, for a changeover or a cleaning.
    """

    network: Network
    given: Given
    horizon: float
    n_events: int
    at_start: frozenset[str]
    empty: frozenset[str]
    steps: Mapping[tuple[str, str], int]
    periods: Periods
    unattended: Periods
    pauses: Periods
    finish: dict[BatchKey, int] = field(default_factory=dict)
    running: dict[tuple[str, int], list[BatchKey]] = field(default_factory=dict)
    kept_empty: dict[tuple[str, int], list[Any]] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """Length of an interval, in the plant's time unit."""
        return self.horizon / self.n_events

    def enter(self, batches: Iterable[BatchKey]) -> None:
        """Say of each batch when it ends, and where it runs meanwhile.

        A batch that runs at 0 ends when it does; any other goes on after its pauses.
        """
        events = range(self.n_events)
        self.running = {(unit, event): [] for unit in self.network.units for event in events}
        for batch in batches:
            task, unit, event = batch
            steps = self.steps[task, unit]
            end = event + steps
            if task not in self.at_start:
                end = finish_point(self, unit, event, steps)
            self.finish[batch] = end
            for point in range(event, min(end, self.n_events)):
                self.running[unit, point].append(batch)


def make_tables(network: Network, given: Given, horizon: float, n_events: int) -> GridTables:
    """Put a plant's durations and calendars on a grid."""
    width = horizon / n_events

    def on_grid(kind: str) -> Periods:
        return {
            unit: [
                (round(start / width) if start >= 0 else -1, round(min(end, horizon) / width))
                for start, end in getattr(rule, kind)
                if start < horizon * (1 - SAME_TIME)
            ]
            for unit, rule in network.unit_rules.items()
        }

    return GridTables(
        network=network,
        given=given,
        horizon=horizon,
        n_events=n_events,
        at_start=frozenset(batch.task for batch in given.batches),
        empty=frozenset(batch.task for batch in given.batches if batch.empty),
        steps={
            (fit.task, fit.unit): round(fit.duration(fit.max_batch) / width)
            for fit in network.suitabilities
        },
        periods=on_grid("unavailable"),
        unattended=on_grid("unattended"),
        pauses=on_grid("paused"),
    )


def tables_of(m: BlockData) -> GridTables:
    """Return the tables of a model on a time grid."""
    tables = scheduling_handle(m).tables
    assert isinstance(tables, GridTables)
    return tables
