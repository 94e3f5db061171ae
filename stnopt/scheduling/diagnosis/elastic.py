"""The question of the least shortfall, for the same search that looks for the best schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyomo.environ as pyo

from stnopt.plant.tolerance import SHARE
from stnopt.scheduling.diagnosis.aggregate_balance import (
    add_elastic_demand,
    demand_tolerance,
    target_tolerance,
)
from stnopt.scheduling.model import require_deliveries, require_orders
from stnopt.scheduling.search.question import Question

if TYPE_CHECKING:
    from stnopt.scheduling.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticQuestion(Question):
    """By how little the targets of a problem must be missed; its own objective does not count.

    Deliveries are served as they stand, orders as far as that helps. A schedule's value is what it
    misses (and, for `exactly`, has too much) in total.
    """

    improve: Literal["shortfall"] = "shortfall"

    @property
    def amounts_to_make(self) -> dict[str, float]:
        """A little of everything: the targets themselves may be beyond any event points."""
        return {s: 1.0 for s in self.network.states if self.network.producers(s)}

    @property
    def scale(self) -> float:
        """Size of a shortfall of which 1e-6 is rounding."""
        return demand_tolerance(self.network, self.problem) / SHARE

    def value_of(self, schedule: Schedule) -> float:
        """Return what a schedule misses in total."""
        short, over = self.missed(schedule)
        return math.fsum([*short.values(), *over.values()])

    def missed(self, schedule: Schedule) -> tuple[dict[str, float], dict[str, float]]:
        """Return by how much a schedule misses and exceeds each target; rounding is nothing."""
        exact = self.problem.sense == "exactly"
        spare = {state: target_tolerance(self.network, state) for state in self.problem.targets}
        less = {s: a - schedule.final_stock[s] for s, a in self.problem.targets.items()}
        short = {s: amount for s, amount in less.items() if amount > spare[s]}
        return short, {s: -a for s, a in less.items() if exact and -a > spare[s]}

    def ask(self, model: pyo.ConcreteModel) -> None:
        """Put the elastic demand to a model, and have the least of it missed."""
        self.demand(model)
        model.del_component("objective")
        model.objective = pyo.Objective(expr=model.missed)

    def demand(self, model: pyo.ConcreteModel) -> None:
        """Put deliveries, orders that may be missing and elastic targets to a model."""
        if self.problem.deliveries:
            require_deliveries(model, self.problem.deliveries)
        if self.problem.orders:
            require_orders(model, self.problem.orders, may_miss=True)
        add_elastic_demand(model, self.network, self.problem)

    def require_better(self, model: pyo.ConcreteModel, value: float) -> None:
        """Have only what misses at most so much count."""
        model.required_shortfall = pyo.Constraint(expr=model.missed <= max(value, 0.0))
