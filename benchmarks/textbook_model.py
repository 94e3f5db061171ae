"""The textbook event-point model of Ierapetritou & Floudas (1998): the baseline of the timings.

A start and a finish per task-unit pair and event point, every big-M the horizon, storage limits at
event points only, no cuts. `earlier_durations=True` adds the one cut that is common in public code.
No code is shared with the library's models.

It is the form that later papers compare with: the unit's own binary is the sum over its tasks, so
that ``H (2 - wv - yv)`` is ``H (1 - wv)``, and the sequence of one task needs no big-M, since start
and finish of a batch that does not run are the same. Both are at least as tight as the original.

References
----------
Ierapetritou & Floudas (1998), Ind. Eng. Chem. Res. 37, 4341, doi:10.1021/ie970927g.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt import Network


class NotExpressibleError(ValueError):
    """The plant has a rule that the textbook model has no constraint for."""


def build_textbook_model(
    network: Network,
    *,
    horizon: float,
    n_events: int,
    objective: str = "profit",
    targets: Mapping[str, float] | None = None,
    earlier_durations: bool = False,
) -> pyo.ConcreteModel:
    """Build the model with its objective ("profit" or "makespan") and a demand to meet."""
    _refuse_what_it_cannot_say(network)
    m = pyo.ConcreteModel(name=f"textbook_{network.name}")
    m.EVENTS = pyo.RangeSet(1, n_events)
    m.FITS = pyo.Set(dimen=2, initialize=[(fit.task, fit.unit) for fit in network.suitabilities])
    m.STORED = pyo.Set(initialize=[s.name for s in network.states.values() if not s.unlimited])
    m.run = pyo.Var(m.FITS, m.EVENTS, domain=pyo.Binary)
    m.size = pyo.Var(m.FITS, m.EVENTS, domain=pyo.NonNegativeReals)
    m.start = pyo.Var(m.FITS, m.EVENTS, bounds=(0, horizon))
    m.finish = pyo.Var(m.FITS, m.EVENTS, bounds=(0, horizon))
    m.stock = pyo.Var(
        m.STORED,
        m.EVENTS,
        bounds=lambda m, s, n: (0, _upper_bound(network.states[s].capacity)),
    )
    _add_allocation_and_capacity(m, network)
    _add_balances(m, network)
    _add_durations(m, network)
    _add_sequences(m, network, horizon)
    if earlier_durations:
        _add_earlier_durations(m)
    _add_objective(m, network, horizon, objective, targets or {})
    return m


def _refuse_what_it_cannot_say(network: Network) -> None:
    early = any(
        time < fit.fixed_time for fit in network.suitabilities for time in fit.release_time.values()
    )
    if early:
        raise NotExpressibleError("early release")
    if any(state.zero_wait for state in network.states.values()):
        raise NotExpressibleError("zero-wait states")


def _upper_bound(capacity: float) -> float | None:
    return None if capacity == float("inf") else capacity


def _add_allocation_and_capacity(m: pyo.ConcreteModel, network: Network) -> None:
    """One task per unit and event; min_batch * run <= size <= max_batch * run."""

    @m.Constraint(network.units, m.EVENTS)
    def allocation(m, unit, n):
        return sum(m.run[i, j, n] for i, j in m.FITS if j == unit) <= 1

    @m.Constraint(m.FITS, m.EVENTS)
    def largest_batch(m, i, j, n):
        return m.size[i, j, n] <= network.tasks[i].units[j].max_batch * m.run[i, j, n]

    @m.Constraint(m.FITS, m.EVENTS)
    def smallest_batch(m, i, j, n):
        smallest = network.tasks[i].units[j].min_batch
        return m.size[i, j, n] >= smallest * m.run[i, j, n] if smallest else pyo.Constraint.Skip


def _moved(m: pyo.ConcreteModel, network: Network, shares: str, state: str, n: int):
    return sum(
        getattr(network.tasks[i], shares)[state] * m.size[i, j, n]
        for i, j in m.FITS
        if state in getattr(network.tasks[i], shares)
    )


def _add_balances(m: pyo.ConcreteModel, network: Network) -> None:
    """Stock at n = stock at n-1 + made by the batches of n-1 - taken by the batches of n."""

    @m.Constraint(m.STORED, m.EVENTS)
    def balance(m, s, n):
        if n == 1:
            before = network.states[s].initial
        else:
            before = m.stock[s, n - 1] + _moved(m, network, "produces", s, n - 1)
        return m.stock[s, n] == before - _moved(m, network, "consumes", s, n)

    @m.Expression(m.STORED)
    def final_stock(m, s):
        last = m.EVENTS.last()
        return m.stock[s, last] + _moved(m, network, "produces", s, last)

    @m.Constraint(m.STORED)
    def final_capacity(m, s):
        capacity = _upper_bound(network.states[s].capacity)
        return pyo.Constraint.Skip if capacity is None else m.final_stock[s] <= capacity


def _add_durations(m: pyo.ConcreteModel, network: Network) -> None:
    """Finish = start + fixed_time * run + time_per_amount * size."""

    @m.Expression(m.FITS, m.EVENTS)
    def duration(m, i, j, n):
        fit = network.tasks[i].units[j]
        return fit.fixed_time * m.run[i, j, n] + fit.time_per_amount * m.size[i, j, n]

    @m.Constraint(m.FITS, m.EVENTS)
    def batch_takes_its_time(m, i, j, n):
        return m.finish[i, j, n] == m.start[i, j, n] + m.duration[i, j, n]


def _add_sequences(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """Start at n + 1 >= finish at n of the same task, the same unit, or a maker of its input."""
    pairs = m.EVENTS - [m.EVENTS.last()]

    @m.Constraint(m.FITS, pairs)
    def same_task(m, i, j, n):
        return m.start[i, j, n + 1] >= m.finish[i, j, n]

    same_unit = [(*a, *b) for a in m.FITS for b in m.FITS if a[1] == b[1] and a != b]
    stored = set(m.STORED)
    shared_state = [
        (*taker, *maker)
        for taker in m.FITS
        for maker in m.FITS
        if taker[1] != maker[1]
        and stored & set(network.tasks[taker[0]].consumes) & set(network.tasks[maker[0]].produces)
    ]

    @m.Constraint(same_unit, pairs)
    def other_task_same_unit(m, i, j, earlier, unit, n):
        loose = horizon * (1 - m.run[earlier, unit, n])
        return m.start[i, j, n + 1] >= m.finish[earlier, unit, n] - loose

    @m.Constraint(shared_state, pairs)
    def other_task_other_unit(m, i, j, maker, unit, n):
        loose = horizon * (1 - m.run[maker, unit, n])
        return m.start[i, j, n + 1] >= m.finish[maker, unit, n] - loose


def _add_earlier_durations(m: pyo.ConcreteModel) -> None:
    """Start at n >= sum of the durations of all batches on the unit at earlier events."""

    @m.Constraint(m.FITS, m.EVENTS)
    def earlier_durations(m, i, j, n):
        earlier = [m.duration[k, u, e] for k, u in m.FITS for e in m.EVENTS if u == j and e < n]
        return m.start[i, j, n] >= sum(earlier) if earlier else pyo.Constraint.Skip


def _add_objective(
    m: pyo.ConcreteModel,
    network: Network,
    horizon: float,
    objective: str,
    targets: Mapping[str, float],
) -> None:
    @m.Constraint(list(targets))
    def demand(m, s):
        return m.final_stock[s] >= targets[s]

    if objective == "makespan":
        m.makespan = pyo.Var(bounds=(0, horizon))

        @m.Constraint(m.FITS, m.EVENTS)
        def finished_by(m, i, j, n):
            return m.finish[i, j, n] <= m.makespan

        m.objective = pyo.Objective(expr=m.makespan, sense=pyo.minimize)
        return
    sales = sum(network.states[s].price * m.final_stock[s] for s in m.STORED)
    raw = sum(
        state.cost * _moved(m, network, "consumes", name, n)
        for name, state in network.states.items()
        for n in m.EVENTS
    )
    tasks = sum(
        network.tasks[i].units[j].fixed_cost * m.run[i, j, n]
        + network.tasks[i].units[j].cost_per_amount * m.size[i, j, n]
        for i, j in m.FITS
        for n in m.EVENTS
    )
    m.objective = pyo.Objective(expr=sales - raw - tasks, sense=pyo.maximize)
