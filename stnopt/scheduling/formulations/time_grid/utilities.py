"""Shared utilities on a time grid: what runs in an interval draws together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.scheduling.formulations.time_grid.points import in_pause

if TYPE_CHECKING:
    from stnopt.scheduling.formulations.time_grid.tables import GridTables

RULES = ("utilities", "utility_steps")


def add(m: pyo.ConcreteModel, tables: GridTables) -> None:
    """Draws of all that runs in an interval <= capacity (eq. G9)."""
    network = tables.network

    def draw(utility: str, batch: tuple) -> pyo.Expression:
        fit = network.tasks[batch[0]].units[batch[1]]
        constant, slope = fit.draws.get(utility, 0.0), fit.draws_per_amount.get(utility, 0.0)
        return constant * m.run[batch] + slope * m.size[batch]

    @m.Constraint(list(network.utilities), m.EVENTS)
    def within_capacity(m, utility, event):
        drawing = [
            batch
            for unit in network.units
            for batch in tables.running[unit, event]
            if utility in network.tasks[batch[0]].units[unit].utilities
            and not in_pause(tables, unit, event)
        ]
        if not drawing:
            return pyo.Constraint.Skip
        capacity = network.utilities[utility].capacity_at((event + 0.5) * tables.width)
        return sum(draw(utility, b) for b in drawing) <= capacity
