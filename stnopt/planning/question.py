"""What is asked of a plant in one period, and which periods ask the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.feasibility.directions import weigh_products
from stnopt.plant.problem import Problem
from stnopt.plant.tolerance import amount_tolerance
from stnopt.scheduling.schedule import schedule_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.planning.problem import PlanningProblem
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeriodQuestion:
    """A plant, its horizon and its products: what can be made is asked, and at what cost.

    Attributes
    ----------
    network : Network
        With the costs of raw materials that hold in the period.
    plant : Network
        The same with the plant file's own costs: what a region must have been made from.
    horizon : float
    products : tuple of str, length p
        Demanded products that the plant makes.
    tolerance : (p,) array
        What counts as the same amount.
    key : str
        Equal for periods in which the same amounts can be made, whatever anything costs.
    cost_key : str
        Equal for periods in which they also cost the same.
    worked_out : dict
        What was worked out of it, by what was asked; it lives as long as the question does.
    """

    network: Network
    plant: Network
    horizon: float
    products: tuple[str, ...]
    tolerance: NDArray[np.float64] = field(init=False)
    key: str = field(init=False)
    cost_key: str = field(init=False)
    worked_out: dict[tuple[object, ...], Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        own = [self.horizon, list(self.products)]
        tolerance = [amount_tolerance(self.network, product) for product in self.products]
        object.__setattr__(self, "tolerance", np.array(tolerance))
        costless = weigh_products(self.network, {})
        object.__setattr__(self, "key", _digest([costless.fingerprint, *own]))
        object.__setattr__(self, "cost_key", _digest([self.network.fingerprint, *own]))

    def problem(self, amounts: Sequence[float] | NDArray[np.float64]) -> Problem:
        """Return the scheduling problem of making at least some amounts at the least cost."""
        return Problem(objective="cost", horizon=self.horizon, targets=self.targets(amounts))

    def targets(self, amounts: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
        """Return amounts by product, without those that are zero."""
        rows = zip(self.products, amounts, self.tolerance, strict=True)
        return {product: float(a) for product, a, tolerance in rows if a > tolerance}

    def amounts(self, stock: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the products' amounts in a final stock, in order."""
        return np.array([max(0.0, stock.get(product, 0.0)) for product in self.products])


def cost_of(schedule: Schedule, question: PeriodQuestion) -> float:
    """Return what a schedule's raw materials and batches cost."""
    return schedule_value(schedule, question.network, "cost")


def valued(network: Network, prices: Mapping[str, float]) -> Network:
    """Return a plant with its costs in which only some states are worth anything."""
    states = {
        name: replace(state, price=float(prices.get(name, 0.0)))
        for name, state in network.states.items()
    }
    return replace(network, states=states)


def period_questions(problem: PlanningProblem) -> dict[tuple[str, str], PeriodQuestion]:
    """Return the question of every facility in every period in which it is open."""
    questions = {}
    known: dict[tuple[str, float, str], PeriodQuestion] = {}
    for name, facility in problem.facilities.items():
        products = problem.made_at(name)
        for index, period in enumerate(problem.periods):
            if not products or not problem.runs(name, period):
                continue
            network = facility.priced_plant_in(period, index)
            horizon = facility.length(index)
            same = (network.fingerprint, horizon, name)
            if same not in known:
                known[same] = PeriodQuestion(
                    network=network,
                    plant=facility.plant_in(period, index),
                    horizon=horizon,
                    products=products,
                )
            questions[name, period] = known[same]
    return questions


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
