"""Shared utilities: what running batches draw on together never exceeds a capacity.

Two cuts over the whole horizon belong to every model of a plant with utilities. That the capacity
holds at every instant is added for the utilities that a schedule overdraws: draws only rise when a
batch starts, so binaries put the units' points in one order and each start counts what runs then.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pyomo.environ as pyo

if TYPE_CHECKING:
    from stnopt.plant.network import Network, Suitability


def add_utility_cuts(m: pyo.ConcreteModel, network: Network) -> None:
    """Limit each batch's own draw, the energy of all, and how many large draws fit side by side.

    draw <= capacity * run;  sum of draw * duration <= capacity * latest_finish;
    sum of durations <= k * latest_finish over all that draw more than capacity / (k + 1), since no
    k + 1 of them run at a time (eq. U31-U33).
    """
    if not network.utilities:
        return
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    capacity = {name: utility.capacity for name, utility in network.utilities.items()}

    @m.Constraint(
        [
            (name, *b)
            for name in capacity
            for b in m.BATCHES
            if fits[b[:2]].draw(name, fits[b[:2]].max_batch) > capacity[name]
        ]
    )
    def draw_within_capacity(m, name, *batch):
        return _draw(m, fits[batch[:2]], name, batch) <= capacity[name] * m.run[batch]

    def energy(fit: Suitability, name: str, batch: tuple) -> pyo.Expression:
        """Return draw * duration at the least: the square of the size is >= min_batch * size."""
        constant, slope = fit.draws.get(name, 0.0), fit.draws_per_amount.get(name, 0.0)
        per_amount = constant * fit.time_per_amount + slope * fit.duration(fit.min_batch)
        return constant * fit.fixed_time * m.run[batch] + per_amount * m.size[batch]

    @m.Constraint([name for name in capacity if _units_drawing(network, name)])
    def energy_fits(m, name):
        spent = [energy(fits[b[:2]], name, b) for b in m.BATCHES if name in fits[b[:2]].utilities]
        if not spent:
            return pyo.Constraint.Skip
        return sum(spent) <= capacity[name] * m.latest_finish

    @m.Constraint(
        [(name, k) for name in capacity for k in range(1, len(_units_drawing(network, name)))]
    )
    def large_draws_in_turn(m, name, k):
        large = {
            key
            for key, fit in fits.items()
            if (k + 1) * fit.draw(name, fit.min_batch) > capacity[name] * (1 + 1e-9)
        }
        drawing = [b for b in m.BATCHES if b[:2] in large]
        if len({unit for _, unit in large}) <= k or not drawing:
            return pyo.Constraint.Skip
        return sum(m.duration[b] for b in drawing) <= k * m.latest_finish


def _draw(m: pyo.ConcreteModel, fit: Suitability, name: str, batch: tuple) -> pyo.Expression:
    constant, slope = fit.draws.get(name, 0.0), fit.draws_per_amount.get(name, 0.0)
    return constant * m.run[batch] + slope * m.size[batch]


def _units_drawing(network: Network, name: str) -> list[str]:
    drawing = {fit.unit for fit in network.suitabilities if name in fit.utilities}
    return [unit for unit in network.units if unit in drawing]


def add_utility_in_time(m: pyo.ConcreteModel, network: Network, name: str, horizon: float) -> None:
    """Limit what is drawn of a utility at every start of a batch (docs/formulation.md, U34-U39)."""
    block = m.utility_in_time[name]
    block.UNITS = pyo.Set(initialize=_units_drawing(network, name))
    _add_order(block, m, horizon)
    _add_draws(block, m, network, name, horizon)


def _add_order(block: pyo.Block, m: pyo.ConcreteModel, horizon: float) -> None:
    """Put all points of the units in one order, which may choose between points at one time.

    comes_after[u, n, v, k] = 1: (v, k) comes after (u, n), no earlier in time; 0: before it.
    With more than two units, ranks keep points at one time from preceding each other in a circle.
    """
    pairs = [
        (first, n, second, k)
        for first, second in combinations(block.UNITS, 2)
        for n in m.EVENTS
        for k in m.EVENTS
    ]
    block.comes_after = pyo.Var(pairs, domain=pyo.Binary)

    @block.Constraint(pairs)
    def later_in_time(b, unit, n, other, k):
        loose = (horizon - m.unit_time[other, k].lb) * (1 - b.comes_after[unit, n, other, k])
        return m.unit_time[other, k] >= m.unit_time[unit, n] - loose

    @block.Constraint(pairs)
    def earlier_in_time(b, unit, n, other, k):
        loose = (horizon - m.unit_time[unit, n].lb) * b.comes_after[unit, n, other, k]
        return m.unit_time[unit, n] >= m.unit_time[other, k] - loose

    @block.Constraint(pairs)
    def later_points_later(b, unit, n, other, k):
        if k == m.EVENTS.last():
            return pyo.Constraint.Skip
        return b.comes_after[unit, n, other, k + 1] >= b.comes_after[unit, n, other, k]

    @block.Constraint(pairs)
    def earlier_points_earlier(b, unit, n, other, k):
        if n == m.EVENTS.last():
            return pyo.Constraint.Skip
        return b.comes_after[unit, n + 1, other, k] <= b.comes_after[unit, n, other, k]

    if len(block.UNITS) < 3:
        return
    n_points = len(block.UNITS) * len(m.EVENTS)
    block.rank = pyo.Var(block.UNITS, list(m.EVENTS), bounds=(0, n_points - 1))

    @block.Constraint(pairs)
    def higher_rank_if_later(b, unit, n, other, k):
        loose = n_points * (1 - b.comes_after[unit, n, other, k])
        return b.rank[other, k] >= b.rank[unit, n] + 1 - loose

    @block.Constraint(pairs)
    def lower_rank_if_earlier(b, unit, n, other, k):
        loose = n_points * b.comes_after[unit, n, other, k]
        return b.rank[unit, n] >= b.rank[other, k] + 1 - loose


def _add_draws(
    block: pyo.Block, m: pyo.ConcreteModel, network: Network, name: str, horizon: float
) -> None:
    """Count at each point what the batches of the other units draw then.

    drawn[u, n, v] >= draw of what occupies v at its last point before (u, n), unless `all_ended`:
    every batch that v started before (u, n) has ended by then. Own draw + drawn <= capacity.
    """
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    drawing = [b for b in m.BATCHES if name in fits[b[:2]].utilities]
    capacity = network.utilities[name].capacity
    most = {
        unit: max(fit.draw(name, fit.max_batch) for fit in fits.values() if fit.unit == unit)
        for unit in block.UNITS
    }
    watched = [(u, n, v) for u in block.UNITS for n in m.EVENTS for v in block.UNITS if u != v]
    block.all_ended = pyo.Var(watched, domain=pyo.Binary)
    block.drawn = pyo.Var(watched, bounds=lambda b, u, n, v: (0, min(most[v], capacity)))

    def begun(b: pyo.Block, unit: str, n: int, other: str, k: int) -> pyo.Expression:
        if k not in m.EVENTS:
            return 0
        if (unit, n, other, k) in b.comes_after:
            return 1 - b.comes_after[unit, n, other, k]
        return b.comes_after[other, k, unit, n]

    @block.Constraint(watched, list(m.EVENTS))
    def ended_before(b, unit, n, other, k):
        started = [c for c in m.BATCHES if c[1] == other and c[2] == k]
        finish = m.unit_time[other, k] + sum(m.duration[c] for c in started)
        loose = 2 - b.all_ended[unit, n, other] - begun(b, unit, n, other, k)
        return m.unit_time[unit, n] >= finish - (horizon - m.unit_time[unit, n].lb) * loose

    @block.Constraint(watched, list(m.EVENTS))
    def drawn_while_running(b, unit, n, other, k):
        running = [c for c in drawing if c[1] == other and c[2] <= k <= c[2] + c[3]]
        draw = sum(_draw(m, fits[c[:2]], name, c) for c in running)
        last = begun(b, unit, n, other, k) - begun(b, unit, n, other, k + 1)
        loose = 1 - last + b.all_ended[unit, n, other]
        return b.drawn[unit, n, other] >= draw - most[other] * loose

    @block.Constraint(block.UNITS, list(m.EVENTS))
    def utility_capacity(b, unit, n):
        starting = [c for c in drawing if c[1] == unit and c[2] == n]
        others = [key for key in watched if key[:2] == (unit, n)]
        if not starting and not others:
            return pyo.Constraint.Skip
        own = sum(_draw(m, fits[c[:2]], name, c) for c in starting)
        return own + sum(b.drawn[key] for key in others) <= capacity
