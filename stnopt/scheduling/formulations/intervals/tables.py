"""Which batches may run in which intervals, and what the rows of the relaxation look up of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stnopt.plant.reachability import soonest_times
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability

BatchKey = tuple[str, str, int, int]  # task, unit, interval of its start, interval of its end
Cell = tuple[str, int]  # unit, interval

#: Times closer than this, as a share of the horizon, are one time.
SAME_TIME = 1e-9


def count_intervals(network: Network, horizon: float) -> int:
    """Return the fewest equal intervals that are no longer than the shortest batch."""
    shortest = min(fit.duration(fit.min_batch) for fit in network.suitabilities)
    return max(1, math.ceil(horizon / shortest - SAME_TIME))


def _spans(fit: Suitability, width: float) -> range:
    """List how many intervals after its start a batch may end."""
    shortest, longest = fit.duration(fit.min_batch) / width, fit.duration(fit.max_batch) / width
    if longest - shortest < SAME_TIME and abs(shortest - round(shortest)) < SAME_TIME:
        return range(round(shortest), round(shortest) + 1)
    return range(math.floor(shortest + SAME_TIME), math.ceil(longest - SAME_TIME) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalTables:
    """What the rows look up of a model in intervals, kept on its handle.

    Attributes
    ----------
    network : Network
        The plant with what is given in it.
    horizon, width : float
        Of the schedule and of an interval, in the plant's time unit.
    n_intervals : int
    outside : frozenset of str
        Units that are none of the plant's.
    fits : mapping of (task, unit) to Suitability
    window : mapping of BatchKey to (float, float)
        Least start offset and largest end offset of each batch.
    starting, ending, inside : mapping of Cell to list of BatchKey
        Batches that start in, end in, or run through an interval.
    """

    network: Network
    horizon: float
    n_intervals: int
    outside: frozenset[str]
    fits: Mapping[tuple[str, str], Suitability]
    window: dict[BatchKey, tuple[float, float]] = field(default_factory=dict)
    starting: dict[Cell, list[BatchKey]] = field(default_factory=dict)
    ending: dict[Cell, list[BatchKey]] = field(default_factory=dict)
    inside: dict[Cell, list[BatchKey]] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """Length of an interval."""
        return self.horizon / self.n_intervals

    def running_before(self, unit: str, point: int) -> list[BatchKey]:
        """List the batches that run right before an interval begins."""
        return self.ending[unit, point] + self.inside[unit, point]


def find_batches(tables: IntervalTables) -> None:
    """List the batches that may run, with the windows that calendars and recipes leave them."""
    network, horizon, width, n = tables.network, tables.horizon, tables.width, tables.n_intervals
    soonest, _ = soonest_times(network)
    same = SAME_TIME * horizon
    for unit in network.units:
        for point in range(n + 1):
            for cells in (tables.starting, tables.ending, tables.inside):
                cells[unit, point] = []
    for (task, unit), fit in tables.fits.items():
        rule = network.unit_rules.get(unit)
        periods = [p for p in (rule.unavailable if rule else ()) if p[0] < horizon - same]
        least = fit.duration(fit.min_batch)
        for begin in range(n):
            for end in (begin + span for span in _spans(fit, width)):
                if end > n:
                    continue
                late = max(0.0, soonest[task] - begin * width)
                early = width if end < n else 0.0
                for start, stop in periods:
                    if end * width <= start + same:
                        early = min(early, max(0.0, start - end * width))
                    else:
                        late = max(late, stop - begin * width)
                if late < width - same and (end - begin) * width + early - late >= least - same:
                    batch = (task, unit, begin, end)
                    tables.window[batch] = (late, early)
                    tables.starting[unit, begin].append(batch)
                    tables.ending[unit, end].append(batch)
                    for point in range(begin + 1, end):
                        tables.inside[unit, point].append(batch)


def tables_of(m: BlockData) -> IntervalTables:
    """Return the tables of a model in intervals."""
    tables = scheduling_handle(m).tables
    assert isinstance(tables, IntervalTables)
    return tables
