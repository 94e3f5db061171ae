"""Material in intervals: what is there before each, and who takes it from whom inside one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.scheduling.formulations.intervals.tables import SAME_TIME
from stnopt.scheduling.formulations.unit_specific.tables import leaves_early

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.scheduling.formulations.intervals.tables import IntervalTables

Link = tuple[str, str, str, int]  # state, producer, consumer, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What batches make and take, as terms.

    Attributes
    ----------
    most_made, most_taken : mapping of (state, unit) to float
        By one batch.
    released, taken : mapping of (state, unit, interval) to list of terms
        By the batches that end, and that start, in it.
    early : mapping of (state, interval) to list of terms
        What leaves batches before they end.
    """

    most_made: Mapping[tuple[str, str], float]
    most_taken: Mapping[tuple[str, str], float]
    released: Mapping[tuple[str, str, int], list[Any]]
    taken: Mapping[tuple[str, str, int], list[Any]]
    early: Mapping[tuple[str, int], list[Any]]


def find_flows(m: pyo.ConcreteModel, tables: IntervalTables) -> Flows:
    """Sort what batches make and take by the interval in which they do."""
    network = tables.network
    released: dict[tuple[str, str, int], list[Any]] = {}
    taken: dict[tuple[str, str, int], list[Any]] = {}
    early: dict[tuple[str, int], list[Any]] = {}
    for state in (s.name for s in network.states.values() if not s.unlimited):
        for batch in tables.window:
            task, unit, begin, end = batch
            recipe = network.tasks[task]
            if state in recipe.produces:
                term = recipe.produces[state] * m.size[batch]
                if leaves_early(recipe.units[unit], state):
                    after = recipe.units[unit].release_time[state] / tables.width
                    at = begin + math.floor(after + SAME_TIME)
                    early.setdefault((state, at), []).append(term)
                else:
                    released.setdefault((state, unit, end), []).append(term)
            if state in recipe.consumes:
                term = recipe.consumes[state] * m.size[batch]
                taken.setdefault((state, unit, begin), []).append(term)
    return Flows(
        most_made=_most(network, "produces"),
        most_taken=_most(network, "consumes"),
        released=released,
        taken=taken,
        early=early,
    )


def _most(network: Network, side: str) -> dict[tuple[str, str], float]:
    """Return the most of each state that one batch on each unit makes, or takes."""
    most: dict[tuple[str, str], float] = {}
    for fit in network.suitabilities:
        for state, share in getattr(network.tasks[fit.task], side).items():
            known = most.get((state, fit.unit), 0.0)
            most[state, fit.unit] = max(known, share * fit.max_batch)
    return most


def add_material_balances(m: pyo.ConcreteModel, tables: IntervalTables, flows: Flows) -> None:
    """Count what is there before each interval (eq. B7).

    stock[g+1] = stock[g] + released in g - taken in g - delivered in g >= 0
    """
    network, units = tables.network, tables.network.units
    m.STORED = pyo.Set(initialize=[s.name for s in network.states.values() if not s.unlimited])
    most = {
        state: sum(made for (s, _), made in flows.most_made.items() if s == state)
        for state in m.STORED
    }
    m.stock = pyo.Var(
        m.STORED,
        m.POINTS,
        bounds=lambda m, s, p: (0.0, network.states[s].initial + p * most[s]),
    )
    m.ordered_in = pyo.Expression(m.STORED, m.POINTS, initialize=0.0)
    m.delivered_in = pyo.Param(m.STORED, m.POINTS, mutable=True, default=0.0)
    for state in m.STORED:
        m.stock[state, 0].fix(network.states[state].initial)

    @m.Expression(m.STORED, m.POINTS)
    def coming(m, state, point):
        ended = [term for unit in units for term in flows.released.get((state, unit, point), ())]
        return sum(ended) + sum(flows.early.get((state, point), ()))

    @m.Constraint(m.STORED, m.POINTS)
    def material_balance(m, state, point):
        gone = sum(term for unit in units for term in flows.taken.get((state, unit, point), ()))
        left = m.stock[state, point] + m.coming[state, point] - gone
        left -= m.delivered_in[state, point] + m.ordered_in[state, point]
        return left >= 0 if point == m.POINTS.last() else m.stock[state, point + 1] == left


def add_order_inside_intervals(m: pyo.ConcreteModel, tables: IntervalTables, flows: Flows) -> None:
    """Take what is made in the same interval only after its batch has ended (eq. B8-B11).

    What leaves a batch early is there from the interval's start.
    """
    network = tables.network
    unordered = {
        state
        for fit in tables.fits.values()
        for state in network.tasks[fit.task].produces
        if leaves_early(fit, state)
    }
    ordered = [state for state in m.STORED if state not in unordered]
    links = [
        (state, producer, consumer, interval)
        for state, consumer, interval in flows.taken
        if state in ordered
        for producer in network.units
        if (state, producer, interval) in flows.released
    ]
    _add_supplies(m, flows, ordered, links)
    _add_precedence(m, tables, flows, links)
    _add_zero_wait(m, tables, [s for s in ordered if network.states[s].zero_wait], links)


def _add_supplies(
    m: pyo.ConcreteModel, flows: Flows, ordered: list[str], links: list[Link]
) -> None:
    """Take from stock or directly from what ends in the interval (eq. B8-B9).

    taken[v, g] = from_stock[v, g] + sum_u direct[u, v, g];  sum_v from_stock <= stock[g];
    sum_v direct[u, v, g] <= released[u, g].
    """
    taken, most_made, most_taken = flows.taken, flows.most_made, flows.most_taken
    m.direct = pyo.Var(
        links, bounds=lambda m, s, u, v, _: (0.0, min(most_made[s, u], most_taken[s, v]))
    )
    m.from_stock = pyo.Var(
        [key for key in taken if key[0] in ordered],
        bounds=lambda m, s, v, _: (0.0, most_taken[s, v]),
    )
    by_consumer: dict[tuple, list] = {}
    by_producer: dict[tuple, list] = {}
    by_stock: dict[tuple, list] = {}
    for (state, producer, consumer, interval), direct in m.direct.items():
        by_consumer.setdefault((state, consumer, interval), []).append(direct)
        by_producer.setdefault((state, producer, interval), []).append(direct)
    for (state, _, interval), from_stock in m.from_stock.items():
        by_stock.setdefault((state, interval), []).append(from_stock)

    @m.Constraint(m.from_stock.index_set())
    def supply(m, *key):
        return sum(taken[key]) == m.from_stock[key] + sum(by_consumer.get(key, []))

    @m.Constraint(list(by_stock))
    def supply_from_stock(m, *key):
        return sum(by_stock[key]) <= m.stock[key]

    @m.Constraint(list(by_producer))
    def supply_from_producer(m, *key):
        return sum(by_producer[key]) <= sum(flows.released[key])


def _add_precedence(
    m: pyo.ConcreteModel, tables: IntervalTables, flows: Flows, links: list[Link]
) -> None:
    """Say by `after` that a consumer starts after a producer has ended in its interval (B10-B11).

    direct[u, v, g] <= M * after[u, v, g];
    start_offset[v] >= end_offset[u] - width * (1 - after[u, v, g]).
    """
    width, starting, ending = tables.width, tables.starting, tables.ending
    most_made, most_taken = flows.most_made, flows.most_taken
    pairs = sorted({(u, v, interval) for _, u, v, interval in links if u != v})
    m.after = pyo.Var(pairs, domain=pyo.Binary)

    @m.Constraint([link for link in links if link[1] != link[2]])
    def direct_only_after(m, state, producer, consumer, interval):
        most = min(most_made[state, producer], most_taken[state, consumer])
        direct = m.direct[state, producer, consumer, interval]
        return direct <= most * m.after[producer, consumer, interval]

    @m.Constraint(pairs)
    def start_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in starting[consumer, interval])
        end = sum(m.end_offset[b] for b in ending[producer, interval])
        return start >= end - width * (1 - m.after[producer, consumer, interval])

    @m.Constraint(pairs)
    def after_only_if_started(m, producer, consumer, interval):
        started = sum(m.run[b] for b in starting[consumer, interval])
        return m.after[producer, consumer, interval] <= started

    @m.Constraint(pairs)
    def after_only_if_ended(m, producer, consumer, interval):
        ended = sum(m.run[b] for b in ending[producer, interval])
        return m.after[producer, consumer, interval] <= ended


def _add_zero_wait(
    m: pyo.ConcreteModel, tables: IntervalTables, unstable: list[str], links: list[Link]
) -> None:
    """Store nothing of what cannot wait, and start its consumer as its producer ends (eq. B11).

    Only where the two units exchange nothing else may `after` mean "at the same time".
    """
    starting, ending, width = tables.starting, tables.ending, tables.width
    for state in unstable:
        for point in m.POINTS:
            m.stock[state, point].fix(0.0)
    exchanged: dict[tuple[str, str], set[str]] = {}
    for state, producer, consumer, _ in links:
        exchanged.setdefault((producer, consumer), set()).add(state)
    at_once = sorted({(u, v, g) for s, u, v, g in links if s in unstable and u != v})

    @m.Constraint([pair for pair in at_once if exchanged[pair[:2]] <= set(unstable)])
    def start_not_after_end(m, producer, consumer, interval):
        start = sum(m.start_offset[b] for b in starting[consumer, interval])
        end = sum(m.end_offset[b] for b in ending[producer, interval])
        return start <= end + width * (1 - m.after[producer, consumer, interval])

    @m.Constraint(unstable)
    def nothing_left(m, state):
        ended = m.coming[state, m.POINTS.last()]
        return pyo.Constraint.Skip if isinstance(ended, (int, float)) else ended == 0
