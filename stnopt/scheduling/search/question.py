"""What a search asks of every model: a problem, the plant it starts from, and what to improve."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Literal

import pyomo.environ as pyo

from stnopt.plant.demands import demanded_rules
from stnopt.plant.objective import OBJECTIVES
from stnopt.scheduling.model import (
    Formulation,
    build_relaxation,
    build_scheduling_model,
    require_deliveries,
    require_orders,
    require_targets,
    require_value,
    set_objective,
)
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.kept import keep_batches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Batch, Schedule

#: What is missing may be more by this than the least: room for rounding, not for an order.
_MISSING_SLACK = 1e-9
#: Share of a target by which a schedule may be off, and amount where it is less than 1.
_NEAR_TARGET = 1e-6
#: What may still change once everything has ended: a window with it may not be shortened.
_LASTING_RULES = frozenset({"arrivals", "unattended", "paused", "running", "held", "last"})

#: What the sums over the horizon and the search for long horizons know.
_LONG_RULES = frozenset(
    {
        "storage",
        "zero_wait",
        "release_time",
        "size_dependent_time",
        "unavailable",
        "changeovers",
        "clean_after",
        "utilities",
        "deliveries",
        "orders",
        "arrivals",
        "utility_steps",
        "unattended",
        "paused",
        "running",
        "held",
        "last",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A problem as it is put to models.

    Attributes
    ----------
    network : Network
    problem : Problem
        With a horizon.
    start : PlantState or None
        The plant at time 0.
    keep : tuple of Batch
        Batches that stay as they are.
    improve : {"objective", "missing share", "shortfall"}
        Under "tardiness" the priority-weighted share that is missing comes first. "shortfall": what
        the targets miss, in `stnopt.scheduling.diagnosis.elastic`.
    most_missing : float or None
        The priority-weighted share that may be missing.
    """

    network: Network
    problem: Problem
    start: PlantState | None = None
    keep: tuple[Batch, ...] = ()
    improve: Literal["objective", "missing share", "shortfall"] = "objective"
    most_missing: float | None = None

    @property
    def horizon(self) -> float:
        """Length of the window, in the plant's time unit."""
        assert self.problem.horizon is not None
        return self.problem.horizon

    @property
    def amounts_to_make(self) -> Mapping[str, float]:
        """Amounts that say how many event points a search begins with."""
        return self.problem.targets

    @property
    def is_makespan(self) -> bool:
        """Whether the shortest makespan is asked for."""
        return self.problem.objective == "makespan" and self.improve == "objective"

    @property
    def maximises(self) -> bool:
        """Whether more is better."""
        return self.improve == "objective" and OBJECTIVES[self.problem.objective].maximised

    @property
    def scale(self) -> float:
        """Size of a value of which 1e-6 is rounding."""
        largest = max(fit.max_batch for fit in self.network.suitabilities)
        worth = max(abs(s.price) + s.cost for s in self.network.states.values())
        unit = OBJECTIVES[self.problem.objective].unit
        if self.improve == "missing share":
            return 1.0
        scales = {"time": self.horizon, "amount": largest, "batches": 1.0}
        return scales.get(unit, largest * (worth or 1.0))

    @property
    def lasts(self) -> bool:
        """Whether something may happen, or have to leave, when every batch has ended."""
        demanded = demanded_rules(self.network, self.problem, self.start)
        return any(demand.rule in _LASTING_RULES for demand in demanded)

    def value_of(self, schedule: Schedule) -> float:
        """Return what a schedule is worth to the question."""
        if self.improve == "missing share":
            return missing_share(schedule)
        return schedule_value(schedule, self.network, self.problem.objective)

    def build(
        self, formulation: Formulation, *, horizon: float, n_events: int, max_span: int = 0
    ) -> pyo.ConcreteModel:
        """Build a model of the plant, with what is kept, without objective or demand."""
        model = build_scheduling_model(
            self.network,
            horizon=horizon,
            n_events=n_events,
            max_span=max_span,
            formulation=formulation,
            start=self.start,
            date=self.problem.start,
        )
        if self.keep:
            keep_batches(model, self.keep)
        return model

    def build_relaxation(self, *, horizon: float) -> pyo.ConcreteModel:
        """Build the relaxation without event points, without objective or demand."""
        model = build_relaxation(
            self.network, horizon=horizon, start=self.start, date=self.problem.start
        )
        if self.keep:
            keep_batches(model, self.keep)
        return model

    def ask(self, model: pyo.ConcreteModel) -> None:
        """Put demand and objective to a model."""
        self.demand(model)
        if self.improve == "missing share":
            model.del_component("objective")
            model.objective = pyo.Objective(expr=model.missing_share)
        else:
            set_objective(model, self.problem.objective)

    def demand(self, model: pyo.ConcreteModel) -> None:
        """Put targets, deliveries and orders to a model."""
        problem = self.problem
        if problem.deliveries:
            require_deliveries(model, problem.deliveries)
        if problem.targets:
            require_targets(model, problem.targets, sense=problem.sense)
        if problem.orders:
            may_miss = problem.objective == "tardiness" and self.most_missing != 0.0
            require_orders(model, problem.orders, may_miss=may_miss)
        # An order with a cost for it may be missing also where none has to be.
        could_miss = any(order.missing_cost is not None for order in problem.orders)
        if self.most_missing or (self.most_missing is not None and could_miss):
            model.least_missing = pyo.Constraint(
                expr=model.missing_share <= self.most_missing + _MISSING_SLACK
            )

    def is_met_by(self, schedule: Schedule) -> bool:
        """Whether a schedule that breaks no rule is one of those that are asked for."""
        problem, stock = self.problem, schedule.final_stock
        off = {state: stock.get(state, 0.0) - amount for state, amount in problem.targets.items()}
        spare = {
            state: _NEAR_TARGET * max(1.0, amount) for state, amount in problem.targets.items()
        }
        exactly = problem.sense == "exactly"
        if any(off[s] < -spare[s] or (exactly and off[s] > spare[s]) for s in off):
            return False
        asked = {order.id: order for order in problem.orders}
        if {served.order.id: served.order for served in schedule.orders} != asked:
            return False
        if sorted(schedule.deliveries, key=astuple) != sorted(problem.deliveries, key=astuple):
            return False
        if problem.objective != "tardiness" and any(
            served.missing and served.order.missing_cost is None for served in schedule.orders
        ):
            return False
        return (
            self.most_missing is None
            or missing_share(schedule) <= self.most_missing + _MISSING_SLACK
        )

    def require_better(self, model: pyo.ConcreteModel, value: float) -> None:
        """Have only what is at least (for what is minimised: at most) this good count."""
        if self.improve == "missing share":
            model.required_share = pyo.Constraint(expr=model.missing_share <= value)
        else:
            side = "at_least" if self.maximises else "at_most"
            require_value(model, self.problem.objective, **{side: value})


def why_not_long_horizon(question: Question) -> str | None:
    """Say what keeps the sums and the search for long horizons from a question; None if nothing."""
    if question.improve == "shortfall":
        return "what the targets miss is to be least"
    if question.keep:
        return "batches are kept"
    demanded = demanded_rules(question.network, question.problem, question.start)
    beyond = [demand.where for demand in demanded if demand.rule not in _LONG_RULES]
    return beyond[0] if beyond else None


def missing_share(schedule: Schedule) -> float:
    """Return the priority-weighted share of its orders that a schedule does not deliver."""
    return math.fsum(s.order.priority * s.missing_share for s in schedule.orders)


def meets_demand(schedule: Schedule, network: Network, problem: Problem) -> bool:
    """Whether a schedule ends with what is asked for and delivers what it must."""
    wanted = {order.id for order in problem.orders}
    if wanted != {served.order.id for served in schedule.orders}:
        return False
    for served in schedule.orders:
        may_miss = problem.objective == "tardiness" or served.order.missing_cost is not None
        if served.missing and not may_miss:
            return False
    largest = max(fit.max_batch for fit in network.suitabilities)
    for state, amount in problem.targets.items():
        over = schedule.final_stock.get(state, 0.0) - amount
        tolerance = 1e-6 * max(largest, abs(amount))
        if over < -tolerance or (problem.sense == "exactly" and over > tolerance):
            return False
    return True
