"""Build a planning model, and read the plan back from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.planning.cost_cut import add_cost_cuts
from stnopt.planning.plan import Plan
from stnopt.planning.production_limits import add_sums
from stnopt.planning.question import period_questions
from stnopt.planning.region_match import match_regions, region_limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from stnopt.planning.cost_cut import CostCut
    from stnopt.planning.problem import PlanningProblem
    from stnopt.planning.production_limits import ProductionLimit
    from stnopt.planning.question import PeriodQuestion
    from stnopt.planning.region_match import PlanningForm, PlanningRegion

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
    cost_cuts: Mapping[tuple[str, str], tuple[Sequence[CostCut], NDArray[np.float64]]]
    | None = None,
    with_sums: bool = True,
) -> pyo.ConcreteModel:
    """Build the model with some limits of production per facility and period.

    Parameters
    ----------
    problem : PlanningProblem
    questions : mapping
        Of `period_questions`.
    limits : mapping of (facility, period) to sequence of ProductionLimit
    cost_cuts : mapping of (facility, period) to (sequence of CostCut, (p,) array), optional
        What production costs at least, beside its sums, and the most that is made.
    with_sums : bool
        Whether production is limited, and its cost bounded, by sums over unit hours and recipes.
    """
    m = pyo.ConcreteModel(name="planning")
    _add_sets(m, problem, questions)
    _add_variables(m, problem)
    _add_stocks(m, problem)
    _add_lanes(m, problem)
    _add_demand(m, problem)
    _add_production(m, questions, limits, cost_cuts or {}, with_sums)
    _add_cost(m, problem)
    return m


def _add_sets(
    m: Any, problem: PlanningProblem, questions: Mapping[tuple[str, str], PeriodQuestion]
) -> None:
    n = len(problem.periods)
    m.OPEN = pyo.Set(initialize=list(questions), dimen=2)
    makes = [(f, t, p) for (f, t), question in questions.items() for p in question.products]
    m.MAKES = pyo.Set(initialize=makes, dimen=3)
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

    m.make = pyo.Var(m.MAKES, bounds=(0, None))
    m.stock = pyo.Var(m.STOCKS, bounds=storage)
    m.below_safety = pyo.Var(m.STOCKS, bounds=(0, None))
    m.move = pyo.Var(m.MOVES, bounds=(0, None))
    last = problem.periods[-1]
    m.backlog = pyo.Var(
        m.WANTED,
        bounds=lambda _, c, t, p: (0, None if p in problem.backlog_cost and t != last else 0),
    )
    m.lost = pyo.Var(m.WANTED, bounds=lambda _, c, t, p: (0, None if p in problem.lost_cost else 0))


def _add_stocks(m: Any, problem: PlanningProblem) -> None:
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
        made = m.make[facility, period, product] if (facility, period, product) in m.MAKES else 0.0
        index = periods.index(period)
        came = left = 0.0
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


def _add_production(
    m: Any,
    questions: Mapping[tuple[str, str], PeriodQuestion],
    limits: Mapping[tuple[str, str], Sequence[ProductionLimit]],
    cost_cuts: Mapping[tuple[str, str], tuple[Sequence[CostCut], NDArray[np.float64]]],
    with_sums: bool,
) -> None:
    """Add sums for every plant and period, whose cost no schedule is below, and the limits."""
    m.plant = pyo.Block(m.OPEN)
    m.production_cost = pyo.Var(m.OPEN, bounds=(0, None))
    for key, question in questions.items():
        block = m.plant[key]
        make = {product: m.make[(*key, product)] for product in question.products}
        if with_sums:
            cost = add_sums(block, question, make)
            block.cost_in_sums = pyo.Constraint(expr=m.production_cost[key] >= cost)
        if key in cost_cuts:
            cuts, upper = cost_cuts[key]
            block.dearer = pyo.Block()
            add_cost_cuts(block.dearer, cuts, make, m.production_cost[key], upper)
        for number, limit in enumerate(limits.get(key, ())):
            part = pyo.Block()
            block.add_component(f"limit_{number}", part)
            limit.add(part, make)


def _add_cost(m: Any, problem: PlanningProblem) -> None:
    """Cost of raw materials and batches, holding, safety, transport, backlog, loss, less sales."""
    sites = problem.facilities
    m.cost_of_production = pyo.Expression(expr=sum(m.production_cost.values()))
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
    m.cost = pyo.Objective(
        expr=m.cost_of_production
        + m.cost_of_holding
        + m.cost_of_safety
        + m.cost_of_transport
        + m.cost_of_backlog
        + m.cost_of_loss
        - m.revenue
    )


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
