"""Planning again after a period, with what really happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.arguments import TEXT, a, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.planning.facility import Facility, value_in
from stnopt.planning.plan import Plan, owed_of, stocks_of
from stnopt.planning.plan_sums import check_names
from stnopt.planning.problem import Demand, PlanningProblem
from stnopt.plant.checks import checked_number, did_you_mean

if TYPE_CHECKING:
    from stnopt.planning.facility import PerPeriod


def problem_after(
    problem: PlanningProblem,
    plan: Plan,
    period: str,
    *,
    stock: Mapping[tuple[str, str], float] | None = None,
    owed: Mapping[tuple[str, str], float] | None = None,
) -> PlanningProblem:
    """Return the problem that is left after a period of a plan.

    Parameters
    ----------
    problem : PlanningProblem
    plan : Plan
        Followed so far: what is on its way arrives, what is owed is still wanted.
    period : str
        The last one that is past; at least one more must follow.
    stock : mapping of (facility, product) to float, optional
        What is really in stock now, where it differs from the plan.
    owed : mapping of (customer, product) to float, optional
        What is really owed now, where it differs from the plan.

    Returns
    -------
    PlanningProblem
        Of the periods after it. What is owed is wanted in the first of them.

    Raises
    ------
    InvalidInputError
        Names that the problem does not have, or the last period.
    """
    check_arguments(
        problem=(problem, PlanningProblem),
        plan=(plan, Plan),
        period=(period, TEXT),
        stock=(stock, optional(a(Mapping))),
        owed=(owed, optional(a(Mapping))),
    )
    check_names(plan, problem)
    if period not in problem.periods[:-1]:
        hint = did_you_mean(str(period), problem.periods)
        raise InvalidInputError(
            f"problem_after: {period!r} is none of the periods that another one follows{hint}"
        )
    n_past = problem.periods.index(period) + 1
    left = problem.periods[n_past:]
    stocks = {(f, p): a for (f, t, p), a in stocks_of(plan, problem).items() if t == period}
    debts = {(c, p): a for (c, t, p), a in owed_of(plan, problem).items() if t == period}
    problems: list[str] = []
    for label, given, known in (("stock", stock, stocks), ("owed", owed, debts)):
        for key, amount in (given or {}).items():
            if key not in known:
                problems.append(f"problem_after: {label}: the problem has no {key!r}")
                continue
            what = f"problem_after: {label} of {' '.join(key)}"
            known[key] = checked_number(amount, what, problems, least=0.0)
    if problems:
        raise InvalidInputError(problems)
    facilities = {
        name: _rest(facility, n_past, {p: max(a, 0.0) for (f, p), a in stocks.items() if f == name})
        for name, facility in problem.facilities.items()
    }
    wanted = {key: amount for key, amount in problem.wanted.items() if key[1] in left}
    for (customer, product), amount in debts.items():
        first = (customer, left[0], product)
        wanted[first] = wanted.get(first, 0.0) + max(amount, 0.0)
    receipts = _on_the_way(plan, problem, n_past)
    for (customer, product), row in receipts.items():
        if customer not in problem.facilities:
            _take_off(wanted, customer, product, left, row)
    for name, facility in facilities.items():
        coming = {
            product: tuple(
                value_in(facility.receipts.get(product, 0.0), i) + amount
                for i, amount in enumerate(row)
            )
            for (to, product), row in receipts.items()
            if to == name
        }
        facilities[name] = replace(facility, receipts={**facility.receipts, **coming})
    demand = tuple(Demand(t, p, amount, c) for (c, t, p), amount in wanted.items())
    return replace(problem, periods=left, facilities=facilities, demand=demand)


def _rest(facility: Facility, n_past: int, stock: dict[str, float]) -> Facility:
    """Return a facility from a period on, with what is in stock there."""

    def rest(value: PerPeriod) -> PerPeriod:
        return value if isinstance(value, int | float) else tuple(value)[n_past:]

    room = {p: max(most, stock.get(p, 0.0)) for p, most in facility.storage.items()}
    known = {
        product: amount
        for product, amount in stock.items()
        if product in facility.network.states and facility.network.producers(product)
    }
    return replace(
        facility,
        horizon=rest(facility.horizon),
        stock=known,
        storage=room,
        raw_cost={name: rest(value) for name, value in facility.raw_cost.items()},
        supply={name: rest(value) for name, value in facility.supply.items()},
        receipts={name: rest(value) for name, value in facility.receipts.items()},
    )


def _on_the_way(
    plan: Plan, problem: PlanningProblem, n_past: int
) -> dict[tuple[str, str], list[float]]:
    """Return what arrives where in each period that is left, of what has left before."""
    coming: dict[tuple[str, str], list[float]] = {}
    n_left = len(problem.periods) - n_past
    for (source, to, period, product), amount in plan.shipments.items():
        lane = problem.lane(source, to, product)
        leaves = problem.periods.index(period)
        arrives = leaves + (lane.lead if lane else 0) - n_past
        if leaves < n_past and 0 <= arrives < n_left:
            coming.setdefault((to, product), [0.0] * n_left)[arrives] += amount
    return coming


def _take_off(
    wanted: dict[tuple[str, str, str], float],
    customer: str,
    product: str,
    periods: tuple[str, ...],
    coming: list[float],
) -> None:
    """Take what arrives at a customer off what is wanted then, and what is over off later."""
    over = 0.0
    for period, amount in zip(periods, coming, strict=True):
        over += amount
        key = (customer, period, product)
        used = min(over, wanted.get(key, 0.0))
        wanted[key] = wanted.get(key, 0.0) - used
        over -= used
