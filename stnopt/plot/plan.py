"""A plan: what a facility makes, what it keeps in stock, and what is wanted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import TEXT, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.planning.plan import Plan, owed_of, stocks_of
from stnopt.planning.problem import PlanningProblem
from stnopt.plot.style import (
    AXES,
    BLUE,
    SKY,
    VERMILION,
    label_axes,
    new_axes,
    plain,
    put_legend_above,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_plan(
    plan: Plan, *, problem: PlanningProblem, facility: str, product: str, ax: Axes | None = None
) -> Axes:
    """Draw production per period as bars, stock at its end as a line, and all demand as marks.

    Parameters
    ----------
    plan : Plan
    problem : PlanningProblem
    facility, product : str
        Whose production and stock; the demand is that of all customers.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        A facility or product that the problem does not have.
    """
    check_arguments(
        plan=(plan, Plan),
        problem=(problem, PlanningProblem),
        facility=(facility, TEXT),
        product=(product, TEXT),
        ax=(ax, AXES),
    )
    for kind, name, known in (
        ("facility", facility, tuple(problem.facilities)),
        ("product", product, problem.products),
    ):
        if name not in known:
            raise InvalidInputError(
                f"plot_plan: there is no {kind} {name!r}; choose from {', '.join(known)}"
            )
    ax = ax or new_axes(height=2.2)
    periods = problem.periods
    places = np.arange(len(periods))
    made = [plan.production.get((facility, period, product), 0.0) for period in periods]
    stocks = stocks_of(plan, problem)
    owed = owed_of(plan, problem)
    level = [stocks[facility, period, product] for period in periods]
    wanted = [
        sum(problem.wanted.get((c, period, product), 0.0) for c in problem.customers)
        for period in periods
    ]
    late = [sum(max(owed[c, t, product], 0.0) for c in problem.customers) for t in periods]
    ax.bar(places, made, color=SKY, width=0.7, label="made")
    ax.plot(places, level, color=BLUE, marker="o", markersize=3, linewidth=1, label="in stock")
    ax.plot(
        places, wanted, linestyle="", marker="_", color="black", markersize=9, label="wanted (all)"
    )
    if max(late) > 1e-6 * max([1.0, *wanted]):
        ax.plot(places, late, color=VERMILION, linestyle=":", linewidth=1, label="owed")
    step = max(1, len(periods) // 13)
    ax.set_xticks(places[::step], [plain(period) for period in periods[::step]])
    unit = problem.facilities[facility].network.amount_unit
    label_axes(ax, x=f"Period, {plain(facility)}", y=with_unit(product, unit))
    ax.set_ylim(bottom=0)
    put_legend_above(ax)
    return ax
