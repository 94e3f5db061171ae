"""How few event points can do: where a search over event points begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.plant.reachability import batches_after, batches_before
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.plant.network import Network

#: Nodes for the small model that says how many event points a demand takes.
_NODE_LIMIT = 1000


def fewest_events(network: Network, targets: Mapping[str, float] | None = None) -> int:
    """Return the fewest event points on which all that is sold (or every target) can be made.

    Starting with fewer would let a cheap product that is soon made end the search on a plateau.
    """
    wanted = list(targets or {}) or [s.name for s in network.states.values() if s.price > 0]
    first, before = batches_before(network)
    _, after = batches_after(network, wanted)
    deepest = max((before[s] for s in wanted if math.isfinite(before[s])), default=1.0)
    fewest = max(1, int(deepest))
    if not targets:
        return fewest
    idle = {
        unit: _least(first[f.task] for f in network.suitabilities if f.unit == unit)
        + _least(
            after[s]
            for f in network.suitabilities
            if f.unit == unit
            for s in network.tasks[f.task].produces
        )
        for unit in network.units
    }
    return max(fewest, _fewest_for_amounts(network, targets, idle))


def _least(numbers: Iterable[float]) -> float:
    least = min(numbers)
    return least if math.isfinite(least) else 0.0


def _fewest_for_amounts(
    network: Network, targets: Mapping[str, float], idle: Mapping[str, float]
) -> int:
    """Return how many event points the busiest unit needs for what the targets ask of it.

    min N: sum of amount / max_batch over the tasks of a unit that is used <= N - the event points
    at which it is too early or too late for all of them; what is made and used leaves every target.
    """
    most = max(fit.max_batch for fit in network.suitabilities)
    asked = sum(targets.values())
    m = pyo.ConcreteModel()
    fits = {(fit.task, fit.unit): fit for fit in network.suitabilities}
    large = 100.0 * (asked + most)
    m.amount = pyo.Var(list(fits), bounds=(0.0, large))
    m.used = pyo.Var(list(network.units), domain=pyo.Binary)
    m.n_events = pyo.Var(bounds=(1.0, 1e6))
    m.objective = pyo.Objective(expr=m.n_events)
    m.limits = pyo.ConstraintList()
    for key in fits:
        m.limits.add(m.amount[key] <= large * m.used[key[1]])
    for unit in network.units:
        batches = sum(m.amount[key] / fit.max_batch for key, fit in fits.items() if key[1] == unit)
        m.limits.add(batches <= m.n_events - idle[unit] * m.used[unit])
    for state in network.states.values():
        if state.unlimited:
            continue
        there = state.initial + sum(amount for _, amount in state.arrivals)
        balance = sum(
            (
                network.tasks[task].produces.get(state.name, 0.0)
                - network.tasks[task].consumes.get(state.name, 0.0)
            )
            * m.amount[task, unit]
            for task, unit in fits
        )
        m.limits.add(there + balance >= targets.get(state.name, 0.0))
    result = solve(m, node_limit=_NODE_LIMIT)
    return math.ceil(result.bound - 1e-6) if result.bound is not None else 1
