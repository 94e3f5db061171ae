"""Draws that stop while a unit is paused: what runs together is counted between pauses only.

Batches of which each two overlap, and each overlaps a window without pauses of their units, all
draw at one instant of it: intervals that meet in pairs have a point in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey, EventTables, Slot

#: Windows shorter than this share of the horizon are none.
_SAME_TIME = 1e-9


def windows_of(units: Sequence[str], tables: EventTables) -> list[tuple[float, float]]:
    """List the times, from begin to end, in which none of some units is paused."""
    horizon = tables.horizon
    rules = tables.network.unit_rules
    pauses = sorted(p for unit in units if unit in rules for p in rules[unit].paused)
    windows, begin = [], 0.0
    for start, end in [*pauses, (horizon, horizon)]:
        until = min(start, horizon)
        if until - begin > _SAME_TIME * horizon:
            windows.append((begin, until))
        begin = max(begin, end)
    return windows


def add_ends_at_pauses(
    block: pyo.Block,
    m: pyo.ConcreteModel,
    tables: EventTables,
    starting: Mapping[Slot, list[BatchKey]],
) -> None:
    """Say which batches have ended when a window begins, or start when it has ended (U90-U91)."""
    rules, horizon = tables.network.unit_rules, tables.horizon
    units = {unit for unit, _ in starting}
    pauses = [p for unit in units if unit in rules for p in rules[unit].paused]
    begins = sorted({end for _, end in pauses if 0 < end < horizon})
    ends = sorted({start for start, _ in pauses if 0 < start < horizon})
    if not pauses:
        return
    block.ends_by = pyo.Var([(*s, time) for s in starting for time in begins], domain=pyo.Binary)
    block.starts_from = pyo.Var([(*s, time) for s in starting for time in ends], domain=pyo.Binary)

    @block.Constraint(list(block.ends_by))
    def ends_by_window(b, unit, event, time):
        finish = m.unit_time[unit, event] + sum(m.duration[c] for c in starting[unit, event])
        return finish <= time + (horizon - time) * (1 - b.ends_by[unit, event, time])

    @block.Constraint(list(block.starts_from))
    def starts_after_window(b, unit, event, time):
        return m.unit_time[unit, event] >= time * b.starts_from[unit, event, time]


def apart_in_window(
    block: pyo.Block, clique: Sequence[Slot], begin: float, end: float
) -> pyo.Expression:
    """Return at least 1 if some batch of a set does not run between two times."""
    if block.component("ends_by") is None:
        return 0
    before = [block.ends_by[*s, begin] for s in clique if (*s, begin) in block.ends_by]
    after = [block.starts_from[*s, end] for s in clique if (*s, end) in block.starts_from]
    return sum(before) + sum(after)
