"""What a planning model says of stocks, lanes and demand, on a block of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.planning.facility import value_in

if TYPE_CHECKING:
    from stnopt.planning.problem import PlanningProblem


def add_distribution(m: Any, problem: PlanningProblem, make: Any) -> None:
    """Add what becomes of production: stocks, shipments, backlog, loss, and their `net_cost`.

    Parameters
    ----------
    m : pyo.Block or pyo.ConcreteModel
    problem : PlanningProblem
    make : mapping of (facility, period, product) to Var
    """
    _add_sets(m, problem)
    _add_variables(m, problem)
    _add_stocks(m, problem, make)
    _add_lanes(m, problem)
    _add_demand(m, problem)
    _add_cost(m, problem)


def _add_sets(m: Any, problem: PlanningProblem) -> None:
    n = len(problem.periods)
    stocks = [
        (f, t, p) for f in problem.facilities for t in problem.periods for p in problem.products
    ]
    m.STOCKS = pyo.Set(initialize=stocks, dimen=3)
    moves = [
        (number, t, p)
        for number, lane in enumerate(problem.all_lanes)
        for index, t in enumerate(problem.periods)
        for p in (lane.products or problem.products)
        if index + lane.lead < n
    ]
    m.MOVES = pyo.Set(initialize=moves, dimen=3)
    wanted = [
        (c, t, p) for c in problem.customers for t in problem.periods for p in problem.products
    ]
    m.WANTED = pyo.Set(initialize=wanted, dimen=3)


def _add_variables(m: Any, problem: PlanningProblem) -> None:
    def storage(_: Any, facility: str, period: str, product: str) -> tuple[float, float | None]:
        most = problem.facilities[facility].storage.get(product, math.inf)
        return 0.0, most if math.isfinite(most) else None

    m.stock = pyo.Var(m.STOCKS, bounds=storage)
    m.below_safety = pyo.Var(m.STOCKS, bounds=(0, None))
    m.move = pyo.Var(m.MOVES, bounds=(0, None))
    last = problem.periods[-1]
    m.backlog = pyo.Var(
        m.WANTED,
        bounds=lambda _, c, t, p: (0, None if p in problem.backlog_cost and t != last else 0),
    )
    m.lost = pyo.Var(m.WANTED, bounds=lambda _, c, t, p: (0, None if p in problem.lost_cost else 0))


def _add_stocks(m: Any, problem: PlanningProblem, make: Any) -> None:
    """Stock at a period's end = stock before + made + arrived - moved away."""
    periods, lanes = problem.periods, problem.all_lanes
    before = dict(zip(periods[1:], periods, strict=False))

    @m.Constraint(m.STOCKS)
    def stock_balance(m: Any, facility: str, period: str, product: str) -> Any:
        site = problem.facilities[facility]
        held = (
            m.stock[facility, before[period], product]
            if period in before
            else site.stock.get(product, 0.0)
        )
        key = (facility, period, product)
        made = make[key] if key in make else 0.0  # noqa: SIM401 (a Pyomo Var has no get)
        index = periods.index(period)
        came = value_in(site.receipts.get(product, 0.0), index)
        left = 0.0
        for number, lane in enumerate(lanes):
            if lane.source == facility and (number, period, product) in m.MOVES:
                left += m.move[number, period, product]
            if lane.to == facility and index >= lane.lead:
                sent = (number, periods[index - lane.lead], product)
                came += m.move[sent] if sent in m.MOVES else 0.0
        return m.stock[facility, period, product] == held + made + came - left

    @m.Constraint(m.STOCKS)
    def safety_stock(m: Any, facility: str, period: str, product: str) -> Any:
        level = problem.facilities[facility].safety.get(product, 0.0)
        if not level:
            return pyo.Constraint.Skip
        return (
            m.stock[facility, period, product] + m.below_safety[facility, period, product] >= level
        )


def _add_lanes(m: Any, problem: PlanningProblem) -> None:
    """All products that leave on a lane in a period <= its capacity."""
    limited = [n for n, lane in enumerate(problem.all_lanes) if math.isfinite(lane.capacity)]

    @m.Constraint(limited, list(problem.periods))
    def lane_capacity(m: Any, number: int, period: str) -> Any:
        sent = [
            m.move[number, period, p] for p in problem.products if (number, period, p) in m.MOVES
        ]
        return sum(sent) <= problem.all_lanes[number].capacity if sent else pyo.Constraint.Skip


def _add_demand(m: Any, problem: PlanningProblem) -> None:
    """Backlog = backlog before + demand - arrived - lost."""
    periods, lanes = problem.periods, problem.all_lanes
    before = dict(zip(periods[1:], periods, strict=False))
    wanted = problem.wanted

    @m.Constraint(m.WANTED)
    def demand_balance(m: Any, customer: str, period: str, product: str) -> Any:
        owed = m.backlog[customer, before[period], product] if period in before else 0.0
        index = periods.index(period)
        arrived = 0.0
        for number, lane in enumerate(lanes):
            if lane.to == customer and index >= lane.lead:
                sent = (number, periods[index - lane.lead], product)
                arrived += m.move[sent] if sent in m.MOVES else 0.0
        amount = wanted.get((customer, period, product), 0.0)
        now = m.backlog[customer, period, product] + m.lost[customer, period, product]
        return now == owed + amount - arrived


def _add_cost(m: Any, problem: PlanningProblem) -> None:
    """Add up holding, safety, transport, backlog and loss, less sales."""
    sites = problem.facilities
    m.cost_of_holding = pyo.Expression(
        expr=sum(sites[f].holding_cost.get(p, 0.0) * m.stock[f, t, p] for f, t, p in m.STOCKS)
    )
    m.cost_of_safety = pyo.Expression(
        expr=sum(sites[f].safety_cost.get(p, 0.0) * m.below_safety[f, t, p] for f, t, p in m.STOCKS)
    )
    lanes = problem.all_lanes
    m.cost_of_transport = pyo.Expression(
        expr=sum(lanes[n].cost * m.move[n, t, p] for n, t, p in m.MOVES)
    )
    m.cost_of_backlog = pyo.Expression(
        expr=sum(problem.backlog_cost.get(p, 0.0) * m.backlog[c, t, p] for c, t, p in m.WANTED)
    )
    m.cost_of_loss = pyo.Expression(
        expr=sum(problem.lost_cost.get(p, 0.0) * m.lost[c, t, p] for c, t, p in m.WANTED)
    )
    m.revenue = pyo.Expression(
        expr=sum(
            problem.price.get(p, 0.0) * m.move[n, t, p]
            for n, t, p in m.MOVES
            if lanes[n].to not in sites
        )
    )
    m.net_cost = pyo.Expression(
        expr=m.cost_of_holding
        + m.cost_of_safety
        + m.cost_of_transport
        + m.cost_of_backlog
        + m.cost_of_loss
        - m.revenue
    )
