"""What a search for a plan asks for: how its model is written, its plan read and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stnopt.planning.model import extract_plan, write_model
from stnopt.planning.plan_sums import other_costs, sum_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyomo.environ as pyo

    from stnopt.planning.plan import Plan
    from stnopt.planning.problem import PlanningProblem
    from stnopt.planning.production_limits import ProductionLimit
    from stnopt.planning.question import PeriodQuestion


class AskedPlan(Protocol):
    """The plan of a problem, or of one with scenarios."""

    def write(
        self, limits: Mapping[tuple[str, str], Sequence[ProductionLimit]], cost_cuts: Any
    ) -> pyo.ConcreteModel:
        """Write the model for some limits of production and cost cuts (`write_model`)."""

    def extract(self, model: pyo.ConcreteModel) -> Plan:
        """Read the plan from the solved model."""

    def settle(self, plan: Plan) -> tuple[list[str], dict[str, float]]:
        """Return what does not add up, and costs besides production, by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePlan:
    """The plan of a problem whose demand is known."""

    problem: PlanningProblem
    questions: Mapping[tuple[str, str], PeriodQuestion]

    def write(
        self, limits: Mapping[tuple[str, str], Sequence[ProductionLimit]], cost_cuts: Any
    ) -> pyo.ConcreteModel:
        """Write the planning model."""
        return write_model(self.problem, self.questions, limits, cost_cuts=cost_cuts)

    def extract(self, model: pyo.ConcreteModel) -> Plan:
        """Read the plan from the solved model."""
        return extract_plan(model, self.problem)

    def settle(self, plan: Plan) -> tuple[list[str], dict[str, float]]:
        """Return what does not add up, and costs besides production, by kind."""
        return sum_problems(plan, self.problem), other_costs(plan, self.problem)
