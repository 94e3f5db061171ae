"""Build a planning model, and read the plan back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import pyomo.environ as pyo

from stnopt.arguments import BY_NAME, check_arguments, one_of, optional
from stnopt.errors import InvalidInputError
from stnopt.planning.cost_cut import add_cost_cuts
from stnopt.planning.distribution import add_distribution
from stnopt.planning.plan import Plan
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.production_limits import add_sums
from stnopt.planning.question import period_questions
from stnopt.planning.region_match import PlanningForm, match_regions, region_limits
from stnopt.solvers.handle import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.planning.cost_cut import CostCut
    from stnopt.planning.production_limits import ProductionLimit
    from stnopt.planning.question import PeriodQuestion
    from stnopt.planning.region_match import PlanningRegion

KnownCosts: TypeAlias = "tuple[Sequence[CostCut], NDArray[np.float64], NDArray[np.float64]]"
"""Cost cuts, the most that is made of each product, and what is too little to be made."""

#: An amount below this share of the plan's largest is rounding.
_ROUNDING = 1e-9


def build_planning_model(
    problem: PlanningProblem,
    *,
    regions: Mapping[str, PlanningRegion | Sequence[PlanningRegion]] | None = None,
    form: PlanningForm = "inner",
) -> pyo.ConcreteModel:
    """Build the MILP of a plan: what is made, moved, stored and delivered in every period.

    Parameters
    ----------
    problem : PlanningProblem
    regions : mapping of str to region or sequence of regions, optional
        Per facility, what its plant can make in a period: a `CertifiedRegion`, a `LinearRegion`, a
        `KernelRegion`. Where periods differ in plant, supply or horizon, one for each kind of
        period: which is meant follows from its fingerprint. A facility that is left out is limited
        by sums over unit hours and recipes alone, which no schedule exceeds.
    form : {"inner", "outer", "algebraic", "split"}
        Inner: only what a region vouches for. Outer: all that it does not exclude; for a certified
        region this includes its undecided part. The last two write a kernel region as nonlinear
        algebra, for a solver that takes it.

    Returns
    -------
    pyo.ConcreteModel
        With the objective `cost`; `solve` it and call `extract_plan`. The cost of production is
        bounded from below by sums, so that real schedules may be dearer.

    Raises
    ------
    InvalidInputError
        A region for another plant, horizon or set of products, or one that would extrapolate; a
        facility that does not exist.
    """
    check_arguments(
        problem=(problem, PlanningProblem),
        regions=(regions, optional(BY_NAME)),
        form=(form, one_of(get_args(PlanningForm))),
    )
    questions = period_questions(problem)
    matched = match_regions(problem, questions, regions or {})
    limits: dict[tuple[str, str], list[ProductionLimit]] = {
        key: region_limits(region, questions[key], form) for key, region in matched.items()
    }
    return write_model(problem, questions, limits)


def write_model(
    problem: PlanningProblem,
    questions: Mapping[tuple[str, str], PeriodQuestion],
    limits: Mapping[tuple[str, str], Sequence[ProductionLimit]],
    *,
    cost_cuts: Mapping[tuple[str, str], KnownCosts] | None = None,
    with_sums: bool = True,
) -> pyo.ConcreteModel:
    """Build the model with some limits of production per facility and period.

    Parameters
    ----------
    problem : PlanningProblem
    questions : mapping
        Of `period_questions`.
    limits : mapping of (facility, period) to sequence of ProductionLimit
    cost_cuts : mapping of (facility, period) to (sequence of CostCut, (p,) array, (p,) array)
        What production costs at least, beside its sums; the most that is made; and what is too
        little to be made.
    with_sums : bool
        Whether production is limited, and its cost bounded, by sums over unit hours and recipes.
    """
    m = pyo.ConcreteModel(name="planning")
    add_production(m, questions, limits, cost_cuts=cost_cuts, with_sums=with_sums)
    add_distribution(m, problem, m.make)
    m.cost = pyo.Objective(expr=m.cost_of_production + m.net_cost)
    return m


def add_production(
    m: pyo.ConcreteModel,
    questions: Mapping[tuple[str, str], PeriodQuestion],
    limits: Mapping[tuple[str, str], Sequence[ProductionLimit]],
    *,
    cost_cuts: Mapping[tuple[str, str], KnownCosts] | None = None,
    with_sums: bool = True,
) -> None:
    """Add what the plants make: sums whose cost no schedule is below, limits and cost cuts.

    Parameters are those of `write_model`.
    """
    cost_cuts = cost_cuts or {}
    m.OPEN = pyo.Set(initialize=list(questions), dimen=2)
    makes = [(f, t, p) for (f, t), question in questions.items() for p in question.products]
    m.MAKES = pyo.Set(initialize=makes, dimen=3)
    m.make = pyo.Var(m.MAKES, bounds=(0, None))
    m.plant = pyo.Block(m.OPEN)
    m.production_cost = pyo.Var(m.OPEN, bounds=(0, None))
    for key, question in questions.items():
        block = m.plant[key]
        make = {product: m.make[(*key, product)] for product in question.products}
        if with_sums:
            cost = add_sums(block, question, make)
            block.cost_in_sums = pyo.Constraint(expr=m.production_cost[key] >= cost)
        if key in cost_cuts:
            cuts, upper, little = cost_cuts[key]
            block.dearer = pyo.Block()
            add_cost_cuts(block.dearer, cuts, make, m.production_cost[key], upper, little)
        for number, limit in enumerate(limits.get(key, ())):
            part = pyo.Block()
            block.add_component(f"limit_{number}", part)
            limit.add(part, make)
    m.cost_of_production = pyo.Expression(expr=sum(m.production_cost.values()))


def extract_plan(model: pyo.ConcreteModel, problem: PlanningProblem) -> Plan:
    """Read the plan from a solved model.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Of `build_planning_model`, solved.
    problem : PlanningProblem

    Raises
    ------
    InvalidInputError
        If the model has no values yet.
    """
    check_arguments(model=(model, MODEL), problem=(problem, PlanningProblem))
    if any(var.value is None for var in model.make.values()):
        raise InvalidInputError("the planning model has no values yet: solve it first")
    lanes = problem.all_lanes
    amounts = [
        var.value
        for part in (model.make, model.move, model.lost)
        for var in part.values()
        if var.value is not None
    ]
    least = _ROUNDING * max([1.0, *amounts])

    def read(part: Any) -> dict[Any, float]:
        return {key: float(var.value) for key, var in part.items() if (var.value or 0.0) > least}

    moves: dict[tuple[str, str, str, str], float] = {}
    for (number, period, product), amount in read(model.move).items():
        lane = lanes[number]
        moves[lane.source, lane.to, period, product] = amount
    return Plan(
        production=read(model.make),
        shipments=moves,
        lost={(c, t, p): amount for (c, t, p), amount in read(model.lost).items()},
    )
