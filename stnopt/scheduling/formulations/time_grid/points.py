"""When, on a time grid, a unit's calendars let a batch start, end, release, and leave it empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.scheduling.formulations.time_grid.tables import BatchKey, GridTables


def inside(periods: Iterable[tuple[int, int]], point: int) -> bool:
    """Whether a point lies strictly inside a period."""
    return any(start < point < end for start, end in periods)


def in_pause(tables: GridTables, unit: str, event: int) -> bool:
    """Whether the interval that begins at a point is part of a pause."""
    return any(start <= event < end for start, end in tables.pauses.get(unit, ()))


def finish_point(tables: GridTables, unit: str, event: int, steps: int) -> int:
    """Return the point at which a batch ends that starts at another, pauses not counted."""
    point = event
    while steps:
        steps -= not in_pause(tables, unit, point)
        point += 1
    return point


def may_start(tables: GridTables, unit: str, event: int, steps: int) -> bool:
    """Whether a batch may start at a point, for all that its unit's calendars say."""
    if inside(tables.unattended.get(unit, ()), event) or inside(tables.pauses.get(unit, ()), event):
        return False
    finish = finish_point(tables, unit, event, steps)
    emptied = next((e for s, e in tables.unattended.get(unit, ()) if s < finish < e), finish)
    away = any(event < end and emptied > start for start, end in tables.periods.get(unit, ()))
    return finish <= tables.n_events and not away


def unloaded_point(tables: GridTables, batch: BatchKey) -> int:
    """Return the point at which a unit can be empty of a batch: somebody must be there."""
    point = release_point(tables, batch, None)
    held = batch[0] in tables.at_start and point == 0 and batch[0] not in tables.empty
    periods = tables.unattended.get(batch[1], ())
    return next((end for start, end in periods if held and start <= 0), point)


def release_point(tables: GridTables, batch: BatchKey, steps: int | None) -> int:
    """Return the point at which a batch gives out what it releases after so many intervals.

    None: at its end. Where the unit is unattended then, when somebody is back.
    """
    point = tables.finish[batch]
    if steps is not None:
        pauses = batch[0] in tables.at_start  # of one that runs at 0, the state says when
        point = batch[2] + steps if pauses else finish_point(tables, batch[1], batch[2], steps)
    for start, end in tables.unattended.get(batch[1], ()):
        late = steps is not None and batch[0] in tables.at_start and point == 0 and start <= 0
        if start < point < end or late:
            point = end
    return point
