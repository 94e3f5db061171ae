"""A plan and what is known of it as tables, the way a planner reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from stnopt.planning.plan import owed_of, stocks_of

if TYPE_CHECKING:
    from stnopt.planning.plan import Plan, Verification
    from stnopt.planning.problem import PlanningProblem


def plan_tables(
    plan: Plan, verification: Verification, problem: PlanningProblem
) -> dict[str, pd.DataFrame]:
    """Return the tables of a plan by name.

    Parameters
    ----------
    plan : Plan
    verification : Verification
        Of that plan.
    problem : PlanningProblem

    Returns
    -------
    dict of str to DataFrame
        `balance`: per facility, period and product what is made, arrives, leaves and is in stock.
        `service`: per customer, period and product what is wanted, given up and owed. `shipments`,
        `checks` (planned, short, holds, reason), `costs`, and `schedules`: the batches of every
        period.
    """
    return {
        "balance": _balance(plan, problem),
        "service": _service(plan, problem),
        "shipments": plan.to_frame("shipments"),
        "checks": verification.to_frame(),
        "costs": pd.DataFrame(verification.costs.items(), columns=["kind", "cost"]),
        "schedules": schedules_frame(verification),
    }


def schedules_frame(verification: Verification) -> pd.DataFrame:
    """Return one row per batch: facility, period, task, unit, start, finish, size."""
    frames = []
    for check in verification.checks:
        if check.schedule is not None and check.holds:
            frame = check.schedule.to_frame()
            frame.insert(0, "period", check.period)
            frame.insert(0, "facility", check.facility)
            frames.append(frame)
    columns = ["facility", "period", "task", "unit", "start", "finish", "size"]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _balance(plan: Plan, problem: PlanningProblem) -> pd.DataFrame:
    stocks = stocks_of(plan, problem)
    left: dict[tuple[str, str, str], float] = {}
    for (source, _, period, product), amount in plan.shipments.items():
        left[source, period, product] = left.get((source, period, product), 0.0) + amount
    rows = []
    for facility, site in problem.facilities.items():
        for product in problem.products:
            before = site.stock.get(product, 0.0)
            for period in problem.periods:
                key = (facility, period, product)
                made, sent = plan.production.get(key, 0.0), left.get(key, 0.0)
                arrived = stocks[key] - before - made + sent
                rows.append((*key, made, arrived, sent, stocks[key]))
                before = stocks[key]
    columns = ["facility", "period", "product", "made", "arrived", "sent", "stock"]
    frame = pd.DataFrame(rows, columns=columns)
    numbers = columns[3:]
    frame[numbers] = frame[numbers].round(9) + 0.0  # differences leave rounding, and minus zero
    return frame


def _service(plan: Plan, problem: PlanningProblem) -> pd.DataFrame:
    owed, wanted = owed_of(plan, problem), problem.wanted
    rows = [
        (c, t, p, wanted.get((c, t, p), 0.0), plan.lost.get((c, t, p), 0.0), owed[c, t, p])
        for c in problem.customers
        for t in problem.periods
        for p in problem.products
    ]
    frame = pd.DataFrame(rows, columns=["customer", "period", "product", "wanted", "lost", "owed"])
    frame["owed"] = frame["owed"].round(9) + 0.0
    return frame
