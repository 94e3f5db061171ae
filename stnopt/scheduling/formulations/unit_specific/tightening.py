"""Valid inequalities and dominance rules: tighter relaxations, fewer equal schedules.

Workload inequalities hold for every schedule of the unit-event model. Dominance rows cut off
schedules for which another one, no worse, remains: the same batches at earlier event points, or
without the batches that nobody uses. They are there while `solve` runs, and only if nothing in the
model speaks of what they change (docs/formulation.md, eq. T1-T5).
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.plant.objective import OBJECTIVES
from stnopt.plant.reachability import soonest_times
from stnopt.scheduling.formulations.unit_specific.tables import (
    available_at,
    leaves_early,
    tables_of,
)
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.recipe import Suitability, Task
    from stnopt.scheduling.formulations.unit_specific.tables import BatchKey

#: The better side of each value: a limit on the other side could ask for useless batches.
_BETTER = {kind: "upper" if row.maximised else "lower" for kind, row in OBJECTIVES.items()}


def add_workload(m: pyo.ConcreteModel) -> None:
    """Let producers of a state before an event and its consumers after it follow each other (T1).

    What every schedule obeys: unless a batch leaves the state early, all their durations together
    fit between the soonest start and the latest finish. Where no such producer runs, the consumers
    may start before the producers' unit could.
    """
    tables = tables_of(m)
    network = tables.network
    soonest, _ = soonest_times(network)
    made: dict[tuple[str, str], list[tuple[int, BatchKey]]] = {}
    taken: dict[tuple[str, str], list[BatchKey]] = {}
    for batch in m.BATCHES:
        for state in network.tasks[batch[0]].produces:
            available = available_at(network, state, batch)
            made.setdefault((state, batch[1]), []).append((available, batch))
        for state in network.tasks[batch[0]].consumes:
            taken.setdefault((state, batch[1]), []).append(batch)
    pairs = [
        (state, producer, consumer)
        for state in m.STORED
        for producer in m.UNITS
        for consumer in m.UNITS
        if (state, producer) in made and (state, consumer) in taken and producer != consumer
    ]

    @m.Constraint(pairs, m.EVENTS)
    def producers_then_consumers(m, state, producer, consumer, event):
        before = [batch for available, batch in made[state, producer] if available <= event]
        after = [batch for batch in taken[state, consumer] if batch[2] >= event]
        early = any(leaves_early(tables.fits[b[:2]], state) for b in before)
        if early or not before or not after:
            return pyo.Constraint.Skip
        busy = sum(m.duration[b] for b in [*before, *after])
        start = min(m.unit_time[producer, m.POINTS.first()].lb, min(soonest[b[0]] for b in after))
        return start + busy <= m.latest_finish + m.idle_until[producer]


@contextmanager
def dominance(m: pyo.ConcreteModel) -> Iterator[None]:
    """Keep the dominance rows in the model for as long as the context lasts, if they are sound."""
    handle = scheduling_handle(m)
    network = handle.network
    if not _may_dominate(m, network):
        yield
        return
    tails = _tails(network, wanted_states(network), handle.storage_limited)
    removed = {t for t, tail in tails.items() if tail > 0}
    # Without a batch its input stays in stock, where it may be over the capacity: the replay sees.
    fuller = {
        s
        for t in removed
        for s in network.tasks[t].consumes
        if s in m.STORED and network.producers(s) and math.isfinite(network.states[s].capacity)
    }
    stock = {key: m.stock[key].ub for key in m.stock if key[0] in fuller}
    m.dominance_rows = pyo.Block()
    try:
        for (state, point), _ in stock.items():
            m.stock[state, point].setub(_all_made(network, state, point))
        _add_supply(m, network)
        _add_left_shift(m, network)
        _add_use(m, network, tails)
        yield
    finally:
        m.del_component(m.dominance_rows)
        for key, upper in stock.items():
            m.stock[key].setub(upper)


def _all_made(network: Network, state: str, point: int) -> float:
    """Return what all units can have made of a state by a point, and what was there (eq. U9)."""
    return network.states[state].initial + point * sum(network.most_made(state).values())


def wanted_states(network: Network) -> set[str]:
    """Return the states whose final stock dominance keeps: with a price, or that no task takes."""
    states = network.states.values()
    return {s.name for s in states if s.price != 0 or not network.consumers(s.name)}


def _may_dominate(m: pyo.ConcreteModel, network: Network) -> bool:
    """Whether all that is asked of the model stays true under the dominance rows.

    They keep the final stock of the wanted states, and make no value worse. A fixed `run` names
    batches at events that need not be the earliest.
    """
    if network.unit_rules or scheduling_handle(m).deliveries:
        return False
    if any(run.fixed for run in m.run.values()):
        return False
    wanted = wanted_states(network)
    harmless = {id(m.final_stock[s]) for s in wanted}
    own = {id(m.component(name)) for name in scheduling_handle(m).own_components}
    for part in m.component_objects(descend_into=False, active=True):
        if id(part) in own:
            continue
        if part.ctype is pyo.SOSConstraint:
            return False
        if part.ctype is pyo.Constraint or part.ctype is pyo.Objective:
            rows = part.values()
        elif part.ctype is pyo.Block:
            rows = part.component_data_objects((pyo.Constraint, pyo.Objective), active=True)
        else:
            continue
        for row in rows:
            if row.active and not _asks_for_better(m, row):
                body = row.expr if row.ctype is pyo.Objective else row.body
                if _speaks_of(m, body, harmless):
                    return False
    return True


def _asks_for_better(m: pyo.ConcreteModel, row: pyo.Constraint | pyo.Objective) -> bool:
    """Whether a row limits or optimises a value of the schedule towards its better side."""
    body = row.expr if row.ctype is pyo.Objective else row.body
    for kind, side in _BETTER.items():
        if body is getattr(m, kind):
            if row.ctype is pyo.Objective:
                return row.sense == (pyo.maximize if side == "upper" else pyo.minimize)
            return getattr(row, side) is None
    return False


def _speaks_of(m: pyo.ConcreteModel, expression: Any, harmless: set[int]) -> bool:
    """Whether an expression has variables of the formulation outside the harmless expressions."""
    own = scheduling_handle(m).own_components
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if id(node) in harmless or not hasattr(node, "is_expression_type"):
            continue
        if node.is_expression_type():
            waiting.extend(node.args)
        elif (
            node.is_variable_type()
            and node.parent_block() is m
            and node.parent_component().local_name in own
        ):
            return True
    return False


def _add_supply(m: pyo.ConcreteModel, network: Network) -> None:
    """Who takes a state comes after a batch that made it: no batch is empty (eq. T2)."""
    rows = m.dominance_rows

    @rows.Constraint(m.STORED, m.UNITS, m.EVENTS)
    def supplied(_, state, unit, event):
        consumers = [b for b in m.BATCHES if b[1] == unit and b[2] == event]
        consumers = [b for b in consumers if state in network.tasks[b[0]].consumes]
        if not consumers or network.states[state].initial > 0:
            return pyo.Constraint.Skip
        made = [b for b in m.BATCHES if state in network.tasks[b[0]].produces]
        before = [b for b in made if available_at(network, state, b) <= event]
        return sum(m.run[b] for b in consumers) <= sum(m.run[b] for b in before)


def _add_left_shift(m: pyo.ConcreteModel, network: Network) -> None:
    """Start no batch at an event if it could, at the same time, start at the one before (T3).

    It cannot if its unit is taken there, if a batch that makes one of its inputs ends here, or if a
    consumer of its output would then count as coming after it. Storage in time speaks of event
    points itself: what touches such a state is left where it is.
    """
    rows, keys = m.dominance_rows, set(m.BATCHES)
    producers = {s: [b for b in keys if s in network.tasks[b[0]].produces] for s in m.STORED}
    consumers = {s: [b for b in keys if s in network.tasks[b[0]].consumes] for s in m.STORED}

    limited = scheduling_handle(m).storage_limited

    @rows.Constraint(m.BATCHES)
    def not_shifted(_, task, unit, event, span):
        recipe, earlier = network.tasks[task], (task, unit, event - 1, span)
        if earlier not in keys or any(network.states[s].zero_wait for s in recipe.produces):
            return pyo.Constraint.Skip
        if any(s in recipe.consumes or _makes(network, unit, s) for s in limited):
            return pyo.Constraint.Skip
        reasons = {b for b in keys if b[1] == unit and b[2] < event <= b[2] + b[3] + 1}
        for s in recipe.consumes:
            reasons |= {b for b in producers.get(s, ()) if available_at(network, s, b) == event}
        for s in recipe.produces:
            reached = available_at(network, s, earlier)
            reasons |= {b for b in consumers.get(s, ()) if b[2] == reached and b[1] != unit}
        return m.run[task, unit, event, span] <= sum(m.run[b] for b in sorted(reasons))


def _makes(network: Network, unit: str, state: str) -> bool:
    return any(unit in network.tasks[task].units for task in network.producers(state))


def _tails(network: Network, wanted: set[str], limited: set[str]) -> dict[str, float]:
    """Least time from the end of a batch to the end of those it is made for; 0 where none must be.

    A task whose products nobody wants as such is run for others. A batch of it that no later batch
    draws on could be left out, unless its input then had to be stored or is counted at the end.
    What a consumer releases early is taken on before it ends.
    """

    def can_be_left_out(task: Task) -> bool:
        states = network.states
        return (
            wanted.isdisjoint(task.produces)
            and not any(states[s].unlimited or states[s].zero_wait for s in task.produces)
            and not any(states[s].zero_wait or s in limited | wanted for s in task.consumes)
        )

    tails = {t.name: math.inf if can_be_left_out(t) else 0.0 for t in network.tasks.values()}

    def time_from_start(fit: Suitability) -> float:
        """Least time from the start of a consumer to the end of those that it is run for."""
        lasts = fit.duration(fit.min_batch)
        if tails[fit.task] == 0:
            return lasts
        gives = network.tasks[fit.task].produces
        first_release = min(fit.release_time.get(state, lasts) for state in gives)
        return max(lasts, first_release + tails[fit.task])

    for _ in network.tasks:
        for task in network.tasks.values():
            if tails[task.name] > 0:
                tails[task.name] = min(
                    time_from_start(fit)
                    for state in task.produces
                    for consumer in network.consumers(state)
                    for fit in network.tasks[consumer].units.values()
                )
    return tails


def _add_use(m: pyo.ConcreteModel, network: Network, tails: dict[str, float]) -> None:
    """Let a batch made for others have a consumer after it (eq. T4), and leave it the time (T5)."""
    rows = m.dominance_rows

    @rows.Constraint([b for b in m.BATCHES if tails[b[0]] > 0])
    def used(_, *batch):
        consumers = {
            b
            for s in network.tasks[batch[0]].produces
            for b in m.BATCHES
            if s in network.tasks[b[0]].consumes and b[2] >= available_at(network, s, batch)
        }
        return m.run[batch] <= sum(m.run[b] for b in sorted(consumers))

    @rows.Constraint(m.UNITS, m.EVENTS)
    def tail(_, unit, event):
        on = [b for b in m.BATCHES if b[1] == unit and b[2] == event]
        last = [
            b
            for b in on
            if 0 < tails[b[0]] < math.inf and not network.tasks[b[0]].units[unit].release_time
        ]
        if not last:
            return pyo.Constraint.Skip
        busy = sum(m.duration[b] for b in on) + sum(tails[b[0]] * m.run[b] for b in last)
        return m.unit_time[unit, event] + busy <= m.latest_finish + m.idle_until[unit]
