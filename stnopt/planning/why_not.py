"""Why no plan meets a demand: what is short of what, where and when, and the cheapest relief."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from stnopt.arguments import PATH, check_arguments, optional
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.model import extract_plan, write_model
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.production_limits import WithinLimits
from stnopt.planning.question import period_questions
from stnopt.planning.store import PlanStore
from stnopt.scheduling.diagnosis.bottleneck import double
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from pathlib import Path

    import pyomo.environ as pyo


#: An amount short below this share of all demand is rounding.
_NOTHING = 1e-6
#: Periods that are tried alone, the first ones that are short.
_MOST_ALONE = 4
#: Periods are tried up to this many times as long, to a step of this share.
_MOST_LONGER, _STEP = 2.0, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """A change that lessens what is short.

    Attributes
    ----------
    what : str
    still_short : float
        Of all products together, at least, with that change: what sums say. Whether schedules do
        it is for `find_plan` to show.
    cost : float or None
        Where nothing is short any more, what a plan that delivers everything costs at least then.
        The change itself is not in it: what a shift or a unit costs, the problem does not say.
    """

    what: str
    still_short: float
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanShortfall:
    """What every plan misses of a demand, at least.

    Attributes
    ----------
    short : DataFrame
        Per customer, period and product: how much a plan that misses least in all cannot deliver
        by the period in which it may come last. One such plan; others may miss it elsewhere.
    total : float
        No plan misses less in all, whatever its schedules.
    reliefs : tuple of Relief
        What helps, the most helpful first, and of what helps as much the cheapest.
    """

    short: pd.DataFrame
    total: float
    reliefs: tuple[Relief, ...]

    @property
    def is_met(self) -> bool:
        """Whether nothing is proven to be short."""
        return self.total <= 0

    def __str__(self) -> str:
        """Say it in a few lines."""
        if self.is_met:
            return "Nothing is proven to be short."
        lines = [f"At least {self.total:.4g} is short, for example:"]
        lines += [
            f"  {row.amount:.4g} of {row.product} for {row.customer} in period {row.period}"
            for row in self.short.itertuples()
        ]
        if self.reliefs:
            lines.append("What may relieve it, by sums over unit hours and recipes:")
        for relief in self.reliefs:
            said = f"at least {relief.still_short:.4g} short"
            if relief.still_short <= 0:
                said = "nothing is proven to be short"
                said += "" if relief.cost is None else f"; a plan costs at least {relief.cost:.6g}"
            lines.append(f"  {relief.what}: {said}")
        return "\n".join(lines)


def explain_plan(problem: PlanningProblem, *, store: Path | str | None = None) -> PlanShortfall:
    """Say what no plan can deliver, and what would help most.

    Parameters
    ----------
    problem : PlanningProblem
    store : path, optional
        With what is proven of the plants; without it, sums over unit hours and recipes speak.

    Returns
    -------
    PlanShortfall
        Reliefs that are tried: longer periods at each facility, all of them or one of those in
        which something is short (the least share that does, at most twice as long), a second unit
        of each kind, and stock of each product from before the first period. Nothing is proven of
        a changed plant, so that sums alone judge them; where sums alone leave nothing short as it
        is, there are none.
    """
    check_arguments(problem=(problem, PlanningProblem), store=(store, optional(PATH)))
    with PlanStore(store) as kept:
        book = KnowledgeBook(kept)
        total, short = _least_short(problem, book)
        if total <= 0:
            return PlanShortfall(short=short, total=0.0, reliefs=())
        reliefs = []
        sums = KnowledgeBook(PlanStore(None))
        by_sums, where = _least_short(problem, sums)
        if by_sums > 0:
            reliefs += _longer_periods(problem, tuple(dict.fromkeys(where["period"])), sums)
            for what, changed in _changes(problem, total):
                still, _ = _least_short(changed, sums)
                if still < by_sums * (1 - 1e-6):
                    cost = _least_cost(changed, sums) if still <= 0 else None
                    reliefs.append(Relief(what=what, still_short=still, cost=cost))

    def first_comes(relief: Relief) -> tuple[float, float]:
        return relief.still_short, math.inf if relief.cost is None else relief.cost

    return PlanShortfall(short=short, total=total, reliefs=tuple(sorted(reliefs, key=first_comes)))


def _least_short(problem: PlanningProblem, book: KnowledgeBook) -> tuple[float, pd.DataFrame]:
    """Minimise what is given up in all, where anything may be."""
    free = dict.fromkeys(problem.products, 1.0)
    elastic = replace(problem, lost_cost=free)
    model = _write(elastic, book)
    model.cost.set_value(sum(model.lost.values()))
    result = solve(model, relative_gap=1e-4)
    columns = ["customer", "period", "product", "amount"]
    total = max(0.0, result.bound or 0.0)
    scale = max(1.0, sum(problem.wanted.values()))
    if not result.has_solution or total <= _NOTHING * scale:
        return 0.0, pd.DataFrame(columns=columns)
    plan = extract_plan(model, elastic)
    return total, pd.DataFrame([(*key, a) for key, a in plan.lost.items()], columns=columns)


def _least_cost(problem: PlanningProblem, book: KnowledgeBook) -> float | None:
    """Return what a plan that delivers everything costs at least."""
    return solve(_write(replace(problem, lost_cost={}), book), relative_gap=1e-4).bound


def _write(problem: PlanningProblem, book: KnowledgeBook) -> pyo.ConcreteModel:
    """Write the model in which only what is proven is excluded."""
    questions = period_questions(problem)
    limits = {}
    for key, question in questions.items():
        known = book.of(question)
        limits[key] = [
            WithinLimits(limits=known.limits, upper=known.upper, products=question.products)
        ]
    return write_model(problem, questions, limits)


def _longer_periods(
    problem: PlanningProblem, short: tuple[str, ...], book: KnowledgeBook
) -> list[Relief]:
    """Try all periods of a facility, and each of the first that are short, a share longer."""
    reliefs = []
    one_by_one = [(period,) for period in short[:_MOST_ALONE] if len(problem.periods) > 1]
    for name in problem.facilities:
        for periods in (problem.periods, *one_by_one):
            if not any(problem.runs(name, period) for period in periods):
                continue
            changed = _least_longer(problem, name, periods, book)
            if changed is None:
                continue
            factor, longer = changed
            one = len(periods) < len(problem.periods)
            which = f"Period {periods[0]}" if one else "Periods"
            what = f"{which} {factor - 1:.0%} longer at {name}"
            reliefs.append(Relief(what=what, still_short=0.0, cost=_least_cost(longer, book)))
    return reliefs


def _least_longer(
    problem: PlanningProblem, name: str, periods: tuple[str, ...], book: KnowledgeBook
) -> tuple[float, PlanningProblem] | None:
    """Return the least factor of some periods with which nothing is short, and the problem then."""
    facility = problem.facilities[name]

    def longer(factor: float) -> PlanningProblem:
        lengths = tuple(
            facility.length(index) * (factor if period in periods else 1.0)
            for index, period in enumerate(problem.periods)
        )
        changed = {**problem.facilities, name: replace(facility, horizon=lengths)}
        return replace(problem, facilities=changed)

    low, high = 1.0, _MOST_LONGER
    if _least_short(longer(high), book)[0] > 0:
        return None
    while high - low > _STEP:
        middle = (low + high) / 2
        is_short = _least_short(longer(middle), book)[0] > 0
        low, high = (middle, high) if is_short else (low, middle)
    return high, longer(high)


def _changes(problem: PlanningProblem, total: float) -> list[tuple[str, PlanningProblem]]:
    """Return what is tried, and the problem with it."""
    changes = []
    for name, facility in problem.facilities.items():
        for unit in facility.network.units:
            second = double(facility.network, unit)
            changes.append((f"A second {unit} at {name}", replace(facility, network=second)))
        for product in problem.products:
            if product in facility.network.states:
                more = {**facility.stock, product: facility.stock.get(product, 0.0) + total}
                room = {p: max(most, more.get(p, 0.0)) for p, most in facility.storage.items()}
                changes.append(
                    (
                        f"{total:.4g} more of {product} in stock at {name} at the start",
                        replace(facility, stock=more, storage=room),
                    )
                )
    return [
        (what, replace(problem, facilities={**problem.facilities, changed.name: changed}))
        for what, changed in changes
    ]
