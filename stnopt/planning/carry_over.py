"""Plans in which running batches and intermediates go from period to period.

A plan without that is one with it, since what is left may be scrapped: its cost is the first one.
Then groups of periods that follow each other are scheduled in one, each period's production leaving
at its end. What holds for a period that starts empty is no bound here: totals over the first k
periods are bounded by what k periods in one can make from an empty start, with room for all that
may be scrapped between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.planning.complete import complete_plan
from stnopt.planning.distribution import add_distribution
from stnopt.planning.model import extract_plan
from stnopt.planning.plan import PeriodCheck, Plan, PlanSearch, Verification
from stnopt.planning.plan_sums import other_costs, sum_problems
from stnopt.planning.production_limits import WithinLimits, add_sums
from stnopt.planning.prove import limits_by_sums, most_by_sums, prove_limit
from stnopt.planning.question import PeriodQuestion, cost_of, period_questions
from stnopt.plant.orders import Order
from stnopt.plant.problem import Delivery, Problem
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers.result import Status
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stnopt.feasibility.refinement import Limit
    from stnopt.planning.problem import PlanningProblem
    from stnopt.plant.network import Network

#: Shares of the way from the plan without carrying over to the one that prefixes allow.
_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
#: Times closer than this are one.
_SAME_TIME = 1e-6
#: Periods that are scheduled in one, at most: longer schedules are found less well.
_MOST_TOGETHER = 6


def check_carry_over(problem: PlanningProblem) -> None:
    """Refuse what periods scheduled in one cannot have.

    Raises
    ------
    InvalidInputError
        With every facility that has it.
    """
    problems = []
    for name, facility in problem.facilities.items():
        owner = f"facility {name!r} with carry_over"
        if facility.plants:
            problems.append(f"{owner}: plants of single periods are not handled; leave them out")
        if facility.supply:
            problems.append(f"{owner}: supply per period is not handled; give the plant arrivals")
        if facility.closed:
            problems.append(f"{owner}: closed periods are not handled; make the unit unavailable")
        if any(isinstance(cost, tuple) for cost in facility.raw_cost.values()):
            problems.append(f"{owner}: raw_cost must be one number for all periods")
        if facility.network.unit_rules or facility.network.utilities:
            problems.append(f"{owner}: calendars, changeovers and utilities are not handled")
        finite = [s.name for s in facility.network.states.values() if 0 < s.initial < math.inf]
        if finite:
            problems.append(
                f"{owner}: an initial stock ({', '.join(finite)}) would be there anew in every "
                "period"
            )
    if problems:
        raise InvalidInputError(problems)


@dataclass(slots=True, kw_only=True)
class CarriedSearch:
    """Better plans than one without carrying over, and a bound for those with it."""

    problem: PlanningProblem
    base: PlanSearch
    remaining: Callable[[], float]
    period_limit: float
    relative_gap: float
    questions: dict[str, list[PeriodQuestion]] = field(init=False)
    limits: dict[str, list[list[Limit]]] = field(init=False, default_factory=dict)
    upper: dict[str, list[Any]] = field(init=False, default_factory=dict)
    n_scheduled: int = 0
    rounds: int = 0
    infeasible: bool = False

    def __post_init__(self) -> None:
        self.questions = _prefix_questions(self.problem)
        for name, questions in self.questions.items():
            self.limits[name], self.upper[name] = [], []
            for question in questions:
                upper = most_by_sums(question)
                self.limits[name].append(limits_by_sums(question, upper))
                self.upper[name].append(upper)

    def run(self) -> PlanSearch:
        """Bound, plan with what prefixes allow, and schedule as much of it as is found."""
        plan, verified, cost = self.base.plan, self.base.verification, self.base.cost
        # sums may do: what prefixes make is proven only where they do not
        wished, bound = self._solve()
        if not self._is_closed(cost, bound):
            self._prove_prefixes()
            wished, bound = self._solve()
        # what no plan can do without carrying over may be possible with it
        for share in _SHARES if plan is not None else _SHARES[:1]:
            if wished is None or self.remaining() <= 0:
                break
            if self._is_closed(cost, bound):
                break
            found = self._try(wished, share)
            if found is not None and found[1].cost is not None:
                if cost is None or found[1].cost < cost:
                    plan, verified = found
                    cost = verified.cost
                break
        if cost is None and wished is not None and self.remaining() > 0:
            found = self._follow_orders(wished)
            if found is not None:
                plan, verified = found
                cost = verified.cost
        late = self.remaining() <= 0
        closed = self._is_closed(cost, bound)
        return replace(
            self.base,
            plan=plan,
            verification=verified,
            cost=cost,
            bound=bound,
            event_bound=None,
            rounds=self.base.rounds + self.rounds,
            n_scheduled=self.base.n_scheduled + self.n_scheduled,
            stopped="infeasible"
            if self.infeasible
            else "gap closed"
            if closed
            else "time limit"
            if late
            else "no further gain",
        )

    def _is_closed(self, cost: float | None, bound: float | None) -> bool:
        """Whether the gap that is wanted is reached."""
        if cost is None or bound is None:
            return False
        return cost - bound <= self.relative_gap * abs(cost)

    def _prove_prefixes(self) -> None:
        """Bound what the first periods make in one, beside what sums say of it."""
        for name, questions in self.questions.items():
            for k, question in enumerate(questions):
                if self.remaining() <= 0:
                    return
                p = len(question.products)
                weights = 1 / self.upper[name][k] if p > 1 else np.ones(1)
                if not np.all(np.isfinite(weights)):
                    continue
                limit = min(self.period_limit, max(self.remaining() / 4, 0.5))
                extent = prove_limit(
                    question,
                    [0.0] * p,
                    list(weights / weights.sum()),
                    time_limit=limit,
                    search=False,
                )
                if extent.limit is not None:
                    self.limits[name][k].append(extent.limit)

    def _solve(self) -> tuple[Plan | None, float | None]:
        """Solve the model in which totals over the first k periods are limited."""
        m = pyo.ConcreteModel(name="carry_over")
        periods = self.problem.periods
        keys = [
            (f, t, p) for f, qs in self.questions.items() for t in periods for p in qs[0].products
        ]
        m.make = pyo.Var(keys, bounds=(0, None))
        m.production_cost = pyo.Var(list(self.questions), bounds=(0, None))
        m.prefix = pyo.Block([(f, k) for f in self.questions for k in range(len(periods))])
        for (name, k), block in m.prefix.items():
            question = self.questions[name][k]
            total = {
                p: sum(m.make[name, t, p] for t in periods[: k + 1]) for p in question.products
            }
            cost = add_sums(block, question, total)
            if k == len(periods) - 1:
                block.cost_in_sums = pyo.Constraint(expr=m.production_cost[name] >= cost)
            block.limit = pyo.Block()
            WithinLimits(
                limits=self.limits[name][k],
                upper=self.upper[name][k],
                products=question.products,
            ).add(block.limit, total)
        add_distribution(m, self.problem, m.make)
        m.cost = pyo.Objective(expr=sum(m.production_cost.values()) + m.net_cost)
        result = solve(m, relative_gap=max(0.1 * self.relative_gap, 1e-6), time_limit=60.0)
        self.infeasible = result.status is Status.INFEASIBLE
        plan = extract_plan(m, self.problem) if result.has_solution else None
        return plan, result.bound

    def _try(self, wished: Plan, share: float) -> tuple[Plan, Verification] | None:
        """Schedule a mean of the plan without carrying over and the one that is wished for."""
        self.rounds += 1
        apart = {} if self.base.plan is None else self.base.plan.production
        production = {
            key: share * wished.production.get(key, 0.0) + (1 - share) * apart.get(key, 0.0)
            for key in {**wished.production, **apart}
        }
        return self._verify(production)

    def _follow_orders(self, wished: Plan) -> tuple[Plan, Verification] | None:
        """Schedule the least late of what is wished for; plan what is made by each period's end."""
        self.rounds += 1
        limit = min(self.period_limit, max(self.remaining() / 2, 0.5))
        production: dict[tuple[str, str, str], float] = {}
        for name, questions in self.questions.items():
            for group in _groups(self.problem.periods):
                production |= _made_of_orders(
                    self.problem, questions[0], name, group, wished.production, time_limit=limit
                )
                self.n_scheduled += 1
        return self._verify(production)

    def _verify(
        self, production: Mapping[tuple[str, str, str], float]
    ) -> tuple[Plan, Verification] | None:
        """Complete a plan of some production and schedule it; None if that cannot be."""
        try:
            plan = complete_plan(Plan(production=production), self.problem)
        except InvalidInputError:
            return None
        limit = min(self.period_limit, max(self.remaining(), 0.5))
        verified = check_carried(plan, self.problem, time_limit=limit)
        self.n_scheduled += verified.n_scheduled
        return (plan, verified) if verified.verified else None


def _made_of_orders(
    problem: PlanningProblem,
    question: PeriodQuestion,
    name: str,
    group: tuple[str, ...],
    production: Mapping[tuple[str, str, str], float],
    *,
    time_limit: float,
) -> dict[tuple[str, str, str], float]:
    """Return what a facility makes by each period's end where what is wished for may be late."""
    first = problem.periods.index(group[0])
    ends = list(accumulate(problem.facilities[name].length(first + i) for i in range(len(group))))
    orders = [
        Order(f"{product}, {period}", product, production[name, period, product], end, partial=True)
        for period, end in zip(group, ends, strict=True)
        for product, tolerance in zip(question.products, question.tolerance, strict=True)
        if production.get((name, period, product), 0.0) > tolerance
    ]
    if not orders:
        return {}
    found = find_schedule(
        question.network,
        objective="tardiness",
        horizon=ends[-1],
        orders=orders,
        time_limit=time_limit,
    )
    made: dict[tuple[str, str, str], float] = {}
    for served in () if found.schedule is None else found.schedule.orders:
        for time, amount in served.parts:
            # it leaves at the end of the period in which it is there
            period = group[min(int(np.searchsorted(ends, time - _SAME_TIME)), len(group) - 1)]
            key = (name, period, served.order.state)
            made[key] = made.get(key, 0.0) + amount
    return made


def schedule_group(
    problem: PlanningProblem,
    question: PeriodQuestion,
    name: str,
    group: tuple[str, ...],
    production: Mapping[tuple[str, str, str], float],
    *,
    time_limit: float,
) -> PeriodCheck:
    """Schedule a facility's periods in one; every period's production leaves at its end."""
    facility = problem.facilities[name]
    first = problem.periods.index(group[0])
    deliveries, end = [], 0.0
    planned: dict[str, float] = {}
    for index, period in enumerate(group, first):
        end += facility.length(index)
        for product, tolerance in zip(question.products, question.tolerance, strict=True):
            amount = production.get((name, period, product), 0.0)
            if amount > tolerance:
                deliveries.append(Delivery(product, end, amount - tolerance / 2))
                planned[product] = planned.get(product, 0.0) + amount
    check = PeriodCheck(
        facility=name, period=_named(group), planned=planned, schedule=None, holds=True, cost=0.0
    )
    if not deliveries:
        return check
    asked = Problem(objective="cost", horizon=end, deliveries=tuple(deliveries))
    found = find_schedule(question.network, asked, time_limit=time_limit)
    if found.schedule is not None:
        cost = cost_of(found.schedule, question)
        return replace(check, schedule=found.schedule, cost=cost)
    proven = found.result.status is Status.INFEASIBLE and found.proof.scope == "any schedule"
    reason = "no schedule makes this" if proven else "undecided: no schedule was found in time"
    return replace(check, holds=False, reason=reason, cost=None)


def check_carried(plan: Plan, problem: PlanningProblem, *, time_limit: float) -> Verification:
    """Schedule a plan's periods in one, as many at a time as is found well."""
    check_carry_over(problem)
    checks = []
    for name, questions in _prefix_questions(problem).items():
        checks += [
            schedule_group(
                problem, questions[0], name, group, plan.production, time_limit=time_limit
            )
            for group in _groups(problem.periods)
        ]
    cost = sum(check.cost or 0.0 for check in checks)
    return Verification(
        checks=tuple(checks),
        problems=tuple(sum_problems(plan, problem)),
        costs={"production": cost, **other_costs(plan, problem)},
        n_scheduled=len(checks),
    )


def _prefix_questions(problem: PlanningProblem) -> dict[str, list[PeriodQuestion]]:
    """Return what each facility can make in the first period, the first two, ..., from empty."""
    questions: dict[str, list[PeriodQuestion]] = {}
    first = period_questions(problem)
    for name, facility in problem.facilities.items():
        start = first.get((name, problem.periods[0]))
        if start is None:
            continue
        length = 0.0
        for index in range(len(problem.periods)):
            length += facility.length(index)
            network = start.network if index == 0 else _with_room(start.network)
            question = replace(start, horizon=length, network=network)
            questions.setdefault(name, []).append(question)
    return questions


def _with_room(network: Network) -> Network:
    """Lift the limits of all stores: at a period's end products leave and the rest may be scrapped.

    What several periods make in one then is no less than with that.
    """
    states = {name: replace(state, capacity=math.inf) for name, state in network.states.items()}
    return replace(network, states=states)


def _groups(periods: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Cut the periods into groups that are scheduled in one, as equal as can be."""
    n = math.ceil(len(periods) / _MOST_TOGETHER)
    edges = [round(i * len(periods) / n) for i in range(n + 1)]
    return [periods[a:b] for a, b in pairwise(edges)]


def _named(group: tuple[str, ...]) -> str:
    return group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}"
