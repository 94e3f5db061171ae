"""Does a plan add up? Names, stocks, lanes and demand, and what it costs besides production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.planning.plan import owed_of, stocks_of
from stnopt.plant.checks import did_you_mean

if TYPE_CHECKING:
    from stnopt.planning.plan import Plan
    from stnopt.planning.problem import PlanningProblem

#: Share of the largest amount in the plan by which its sums may be off.
_SAME = 1e-6


def sum_problems(plan: Plan, problem: PlanningProblem) -> list[str]:
    """Find what does not add up in a plan: stocks, lanes, demand that is not met."""
    amounts = [*plan.production.values(), *plan.shipments.values(), *problem.wanted.values()]
    slack = _SAME * max([1.0, *amounts])
    problems = []
    for (facility, period, product), level in stocks_of(plan, problem).items():
        most = problem.facilities[facility].storage.get(product, np.inf)
        where = f"{facility}, period {period}: stock of {product}"
        if level < -slack:
            problems.append(f"{where} would be {level:.4g}: more leaves than there is")
        elif level > most + slack:
            problems.append(f"{where}, {level:.4g}, exceeds its storage ({most:.4g})")
    for (customer, period, product), owed in owed_of(plan, problem).items():
        where = f"{customer}, period {period}"
        late = product in problem.backlog_cost and period != problem.periods[-1]
        if owed > slack and not late:
            lost = ", nor given up as lost" if product in problem.lost_cost else ""
            problems.append(f"{where}: {owed:.4g} of {product} is not delivered{lost}")
        elif owed < -slack:
            problems.append(f"{where}: {-owed:.4g} more of {product} arrives than is wanted")
    for (customer, period, product), amount in plan.lost.items():
        if amount > slack and product not in problem.lost_cost:
            problems.append(f"{customer}, period {period}: {product} may not be lost")
    sent: dict[tuple[int, str], float] = {}
    lanes = problem.all_lanes
    for (source, to, period, product), amount in plan.shipments.items():
        lane = problem.lane(source, to, product)
        if lane is None:
            continue  # `check_names` has refused it
        number = lanes.index(lane)
        sent[number, period] = sent.get((number, period), 0.0) + amount
        if problem.periods.index(period) + lane.lead >= len(problem.periods) and amount > slack:
            problems.append(
                f"lane from {source} to {to}: what leaves in period {period} arrives too late"
            )
    for (number, period), amount in sent.items():
        lane = lanes[number]
        if amount > lane.capacity + slack:
            problems.append(
                f"lane from {lane.source} to {lane.to}, period {period}: {amount:.4g} exceeds its "
                f"capacity ({lane.capacity:.4g})"
            )
    return problems


def other_costs(plan: Plan, problem: PlanningProblem) -> dict[str, float]:
    """Return what a plan costs besides production, by kind; revenue is negative."""
    costs = dict.fromkeys(("holding", "safety", "transport", "backlog", "lost", "revenue"), 0.0)
    for (facility, _, product), level in stocks_of(plan, problem).items():
        site = problem.facilities[facility]
        costs["holding"] += site.holding_cost.get(product, 0.0) * max(level, 0.0)
        below = max(0.0, site.safety.get(product, 0.0) - level)
        costs["safety"] += site.safety_cost.get(product, 0.0) * below
    for (_, _, product), owed in owed_of(plan, problem).items():
        costs["backlog"] += problem.backlog_cost.get(product, 0.0) * max(owed, 0.0)
    for (source, to, _, product), amount in plan.shipments.items():
        lane = problem.lane(source, to, product)
        costs["transport"] += (lane.cost if lane else 0.0) * amount
        if to in problem.customers:
            costs["revenue"] -= problem.price.get(product, 0.0) * amount
    for (_, _, product), amount in plan.lost.items():
        costs["lost"] += problem.lost_cost.get(product, 0.0) * amount
    return costs


def check_names(plan: Plan, problem: PlanningProblem) -> None:
    """Refuse a plan that names what the problem does not have.

    Raises
    ------
    InvalidInputError
        With every such name.
    """
    problems = []
    known = {
        "facility": tuple(problem.facilities),
        "period": problem.periods,
        "product": problem.products,
        "customer": problem.customers,
    }

    def look(kind: str, name: str, where: str) -> None:
        if name not in known[kind]:
            hint = did_you_mean(str(name), known[kind])
            problems.append(f"{where}: there is no {kind} {name!r}{hint}")

    for facility, period, product in plan.production:
        where = "plan, production"
        look("facility", facility, where)
        look("period", period, where)
        look("product", product, where)
    for source, to, period, product in plan.shipments:
        where = f"plan, shipment from {source!r} to {to!r}"
        look("period", period, where)
        look("product", product, where)
        if problem.lane(source, to, product) is None:
            problems.append(f"{where}: no lane carries {product!r} there")
    for customer, period, product in plan.lost:
        look("customer", customer, "plan, lost")
        look("period", period, "plan, lost")
        look("product", product, "plan, lost")
    if problems:
        raise InvalidInputError(list(dict.fromkeys(problems)))
