"""Plans when demand is not known: production comes first, stock and backlog follow the scenario."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyomo.environ as pyo
from joblib import Parallel, delayed

from stnopt.arguments import (
    BY_NAME,
    GAP,
    PATH,
    POSITIVE,
    SECONDS,
    SHARE,
    WORKERS,
    as_tuple,
    check_arguments,
    many,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.complete import complete_plan
from stnopt.planning.distribution import add_distribution
from stnopt.planning.model import add_production
from stnopt.planning.plan import Plan
from stnopt.planning.plan_sums import other_costs
from stnopt.planning.problem import Demand, PlanningProblem
from stnopt.planning.question import period_questions
from stnopt.planning.region_match import match_regions
from stnopt.planning.search import PlanSearcher
from stnopt.planning.store import PlanStore
from stnopt.plant.checks import checked_number, name_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stnopt.planning.plan import PlanSearch
    from stnopt.planning.question import PeriodQuestion
    from stnopt.planning.region_match import PlanningRegion

Measure = Literal["expected", "worst", "cvar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What may be demanded, and how likely.

    Parameters
    ----------
    name : str
    demand : tuple of Demand
    probability : float
        More than 0; those of all scenarios are scaled to a sum of 1.

    Raises
    ------
    InvalidInputError
        With every problem of this scenario.
    """

    name: str
    demand: tuple[Demand, ...]
    probability: float = 1.0

    def __post_init__(self) -> None:
        check_arguments(demand=(self.demand, many(Demand)))
        problems = name_problems("a scenario", self.name)
        owner = f"scenario {self.name!r}: probability"
        probability = checked_number(self.probability, owner, problems, above=0.0)
        object.__setattr__(self, "probability", probability)
        object.__setattr__(self, "demand", tuple(self.demand))
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSearch:
    """A production plan for all scenarios, and what follows in each.

    Attributes
    ----------
    search : PlanSearch
        Its plan holds the production alone; its cost and bound are the measure's.
    plans : mapping of str to Plan
        By scenario: the same production, and the best that is done with it.
    costs : mapping of str to float
        By scenario, production included.
    """

    search: PlanSearch
    plans: Mapping[str, Plan]
    costs: Mapping[str, float]


def plan_scenarios(
    problem: PlanningProblem,
    scenarios: Sequence[Scenario],
    *,
    measure: Measure = "expected",
    tail: float = 0.1,
    regions: Mapping[str, PlanningRegion | Sequence[PlanningRegion]] | None = None,
    time_limit: float | None = None,
    relative_gap: float = 5e-3,
    period_limit: float = 60.0,
    store: Path | str | None = None,
    n_jobs: int = 1,
) -> ScenarioSearch:
    """Find the production that is best before demand is known (a two-stage program).

    Parameters
    ----------
    problem : PlanningProblem
        Its own demand is not used.
    scenarios : sequence of Scenario
    measure : {"expected", "worst", "cvar"}
        What is minimised of the scenarios' costs: their mean, their largest, or the mean of the
        dearest share `tail` (conditional value at risk: Rockafellar and Uryasev, 2000,
        doi:10.21314/JOR.2000.038).
    tail : float
        In (0, 1): 1 would be the expected cost.
    regions, time_limit, relative_gap, period_limit, store
        As in `find_plan`.
    n_jobs : int
        Workers that prove limits and settle the scenarios of a plan, through joblib and whatever
        backend is set there; the plan is the same for any number.

    Returns
    -------
    ScenarioSearch

    Raises
    ------
    InvalidInputError
        No scenario, two of a name, one whose products differ from the problem's, or an argument
        that is none.
    """
    scenarios = as_tuple(scenarios)
    check_arguments(
        problem=(problem, PlanningProblem),
        scenarios=(scenarios, many(Scenario)),
        measure=(measure, one_of(get_args(Measure))),
        tail=(tail, SHARE),
        regions=(regions, optional(BY_NAME)),
        time_limit=(time_limit, SECONDS),
        relative_gap=(relative_gap, GAP),
        period_limit=(period_limit, POSITIVE),
        store=(store, optional(PATH)),
        n_jobs=(n_jobs, WORKERS),
    )
    _check(problem, scenarios, measure, tail)
    questions = period_questions(problem)
    matched = match_regions(problem, questions, regions or {})
    asked = TwoStagePlan(
        problem=problem,
        questions=questions,
        scenarios=tuple(scenarios),
        measure=measure,
        tail=tail,
        n_jobs=n_jobs,
    )
    with PlanStore(store) as kept:
        searcher = PlanSearcher(
            questions=questions,
            regions=matched,
            form="inner",
            book=KnowledgeBook(kept),
            relative_gap=relative_gap,
            period_limit=period_limit,
            time_limit=time_limit,
            max_rounds=None,
            report=lambda _: None,
            clock=time.perf_counter,
            asked=asked,
            n_jobs=n_jobs,
        )
        search = searcher.run()
    if search.plan is None or search.verification is None:
        return ScenarioSearch(search=search, plans={}, costs={})
    plans = asked.follow(search.plan)
    made = search.verification.costs["production"]
    costs = {
        name: made + sum(other_costs(plan, asked.problem_of(name)).values())
        for name, plan in plans.items()
    }
    return ScenarioSearch(search=search, plans=plans, costs=costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStagePlan:
    """One production for all scenarios, each with its own stocks, shipments and backlog."""

    problem: PlanningProblem
    questions: Mapping[tuple[str, str], PeriodQuestion]
    scenarios: tuple[Scenario, ...]
    measure: Measure
    tail: float
    n_jobs: int

    def problem_of(self, name: str) -> PlanningProblem:
        """Return the problem with a scenario's demand."""
        scenario = next(each for each in self.scenarios if each.name == name)
        return replace(self.problem, demand=scenario.demand)

    def write(self, limits: Any, cost_cuts: Any) -> pyo.ConcreteModel:
        """Build the extensive form: production once, the rest for each scenario."""
        m = pyo.ConcreteModel(name="scenarios")
        add_production(m, self.questions, limits, cost_cuts=cost_cuts)
        m.scenario = pyo.Block([scenario.name for scenario in self.scenarios])
        for scenario in self.scenarios:
            add_distribution(m.scenario[scenario.name], self.problem_of(scenario.name), m.make)
        costs = {name: m.scenario[name].net_cost for name in m.scenario}
        shares = self._shares()
        if self.measure == "expected":
            risk = sum(shares[name] * cost for name, cost in costs.items())
        else:
            # value at risk + mean of what is above it / tail; the worst case has the tail 0
            m.level = pyo.Var()
            m.above = pyo.Var(list(costs), bounds=(0, None))

            @m.Constraint(list(costs))
            def above_level(m: Any, name: str) -> Any:
                return m.above[name] >= costs[name] - m.level

            risk = m.level + self._excess_weight() * sum(
                (1.0 if self.measure == "worst" else shares[name]) * m.above[name] for name in costs
            )
        m.cost = pyo.Objective(expr=m.cost_of_production + risk)
        return m

    def extract(self, model: pyo.ConcreteModel) -> Plan:
        """Read the production back."""
        made = {key: float(var.value or 0.0) for key, var in model.make.items()}
        least = 1e-9 * max([1.0, *made.values()])
        return Plan(production={key: amount for key, amount in made.items() if amount > least})

    def settle(self, plan: Plan) -> tuple[list[str], dict[str, float]]:
        """Return what does not add up, and the measure of what the scenarios cost."""
        try:
            plans = self.follow(plan)
        except InvalidInputError as error:
            return [str(error)], {}
        costs = {
            name: sum(other_costs(found, self.problem_of(name)).values())
            for name, found in plans.items()
        }
        return [], {self.measure: self._measured(costs)}

    def follow(self, plan: Plan) -> dict[str, Plan]:
        """Do the best with a production in every scenario."""
        names = [scenario.name for scenario in self.scenarios]
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(complete_plan)(plan, self.problem_of(name)) for name in names
        )
        return dict(zip(names, found, strict=True))

    def _shares(self) -> dict[str, float]:
        total = math.fsum(scenario.probability for scenario in self.scenarios)
        return {scenario.name: scenario.probability / total for scenario in self.scenarios}

    def _excess_weight(self) -> float:
        return float(len(self.scenarios)) if self.measure == "worst" else 1 / self.tail

    def _measured(self, costs: Mapping[str, float]) -> float:
        if self.measure == "worst":
            return max(costs.values())
        shares = self._shares()
        if self.measure == "expected":
            return math.fsum(shares[name] * cost for name, cost in costs.items())
        left, total = self.tail, 0.0
        for name in sorted(costs, key=lambda each: -costs[each]):
            share = min(left, shares[name])
            total += share * costs[name]
            left -= share
        return total / self.tail


def _check(
    problem: PlanningProblem, scenarios: Sequence[Scenario], measure: str, tail: float
) -> None:
    problems = []
    if isinstance(scenarios, str) or not isinstance(scenarios, Iterable) or not scenarios:
        raise InvalidInputError(f"scenarios: give at least one, got {scenarios!r}")
    names = [scenario.name for scenario in scenarios]
    problems += [
        f"scenarios: {name!r} is there more than once"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    for scenario in scenarios:
        products = {row.product for row in scenario.demand}
        if products != set(problem.products):
            problems.append(
                f"scenario {scenario.name!r}: it demands {', '.join(sorted(products))}, the "
                f"problem {', '.join(sorted(problem.products))}; write the amount 0 for what is "
                "not wanted"
            )
        try:
            replace(problem, demand=scenario.demand)
        except InvalidInputError as error:
            problems += [f"scenario {scenario.name!r}: {what}" for what in error.problems]
    if measure not in get_args(Measure):
        problems.append(f"measure must be one of {', '.join(get_args(Measure))}, got {measure!r}")
    if not 0 < tail <= 1:
        problems.append(f"tail must be in (0, 1], got {tail}")
    if problems:
        raise InvalidInputError(problems)
