"""What a model's schedule holds at the end, and what it is worth, as expressions.

They follow from how much every task processed, whatever the formulation (docs/formulation.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo

from stnopt.plant.objective import OBJECTIVES, Quantities

if TYPE_CHECKING:
    from stnopt.plant.network import Network


def add_amounts(m: pyo.ConcreteModel, network: Network, horizon: float) -> None:
    """final_stock = initial + produced - consumed - delivered; only consumed if unlimited (U12)."""
    fits = [(fit.task, fit.unit) for fit in network.suitabilities]

    def processed(state: str, shares: str) -> pyo.Expression:
        return sum(
            getattr(network.tasks[task], shares)[state] * m.total_size[task, unit]
            for task, unit in fits
            if state in getattr(network.tasks[task], shares)
        )

    @m.Expression(list(network.states))
    def consumed(m: pyo.ConcreteModel, state: str) -> pyo.Expression:
        return processed(state, "consumes")

    m.delivered = pyo.Param(list(network.states), mutable=True, default=0.0)

    m.ordered = pyo.Expression(list(network.states), initialize=0.0)  # set with orders

    @m.Expression(list(network.states))
    def final_stock(m: pyo.ConcreteModel, state: str) -> pyo.Expression:
        if network.states[state].unlimited:
            return m.consumed[state]
        held = network.states[state]
        came = sum(amount for time, amount in held.arrivals if time <= horizon)
        left = held.initial + came - m.delivered[state] - m.ordered[state]
        return left + processed(state, "produces") - m.consumed[state]


def add_values(m: pyo.ConcreteModel, network: Network, plant: Network) -> None:
    """Define what `set_objective` and `require_value` speak of (docs/formulation.md, eq. V1-V3)."""
    sold = [s for s in network.states.values() if not s.unlimited]
    m.task_cost = pyo.Expression(
        expr=sum(
            fit.fixed_cost * m.n_batches[fit.task, fit.unit]
            + fit.cost_per_amount * m.total_size[fit.task, fit.unit]
            for fit in network.suitabilities
        )
    )
    # These three are set where orders are required.
    m.order_cost = pyo.Expression(expr=0.0)
    m.weighted_lateness = pyo.Expression(expr=0.0)
    m.missing_share = pyo.Expression(expr=0.0)
    m.raw_cost = pyo.Expression(
        expr=sum(s.cost * m.consumed[s.name] for s in network.states.values())
    )
    made = {s.name: m.final_stock[s.name] + m.delivered[s.name] + m.ordered[s.name] for s in sold}
    quantities = Quantities(
        revenue=sum(s.price * made[s.name] for s in sold),
        produced=sum(made[s.name] for s in sold if s.price > 0),
        raw_cost=m.raw_cost,
        task_cost=m.task_cost,
        order_cost=m.order_cost,
        n_batches=sum(m.n_batches[fit.task, fit.unit] for fit in plant.suitabilities),
        latest_finish=m.latest_finish,
        tardiness=m.weighted_lateness,
    )
    for kind, objective in OBJECTIVES.items():
        m.add_component(kind, pyo.Expression(expr=objective.value(quantities)))
