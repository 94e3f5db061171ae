"""Models inside larger ones: one or two drawn plants with something in common, and a grid's best.

The larger model buys for both, must reach something with both, may sell under a contract, or lets
only one of two have something left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo
from drawn_problems import GRID_NODES, Drawn, draw_case
from grid_rows import Rows, add_plant

from stnopt.errors import UnsupportedModelError
from stnopt.scheduling.model import (
    build_scheduling_model,
    extract_schedule,
    require_deliveries,
    require_orders,
    require_targets,
)
from stnopt.scheduling.replay import Violation, find_violations

if TYPE_CHECKING:
    from stnopt.plant import Network

LINKS = ("supply", "demand", "contract", "either", "worth")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One or two plants, their weights in the larger objective, and what they have in common.

    `states` has a state of each; `amount` is what is shared, asked for, sold, or left.
    """

    plants: tuple[Drawn, ...]
    weights: tuple[float, ...]
    link: str
    states: tuple[str, ...]
    amount: float
    price: float

    def build(self, *, n_events: int, max_span: int) -> pyo.ConcreteModel:
        """Build the larger model with the library's models in it, each in a block of its own."""
        outer = pyo.ConcreteModel()
        outer.sites = pyo.Block(range(len(self.plants)))
        models = []
        for number, drawn in enumerate(self.plants):
            outer.sites[number].plant = _asked_for(drawn, n_events, max_span)
            models.append(outer.sites[number].plant)
        worth: Any = sum(w * m.profit for w, m in zip(self.weights, models, strict=True))
        left = [m.final_stock[s] for m, s in zip(models, self.states, strict=True)]
        outer.yes = pyo.Var(domain=pyo.Binary)
        if self.link == "supply":
            outer.link = pyo.Constraint(expr=sum(left) <= self.amount)
        elif self.link == "demand":
            outer.link = pyo.Constraint(expr=sum(left) >= self.amount)
        elif self.link == "contract":
            outer.sold = pyo.Var(bounds=(0, 2 * self.amount))
            outer.link = pyo.Constraint(expr=outer.sold <= sum(left))
            outer.least = pyo.Constraint(expr=outer.sold >= self.amount * outer.yes)
            outer.most = pyo.Constraint(expr=outer.sold <= 2 * self.amount * outer.yes)
            worth += self.price * outer.sold - outer.yes
        elif self.link == "either":
            outer.first = pyo.Constraint(expr=left[0] <= 100 * outer.yes)
            outer.second = pyo.Constraint(expr=left[-1] <= self.amount + 100 * (1 - outer.yes))
        else:
            outer.link = pyo.Constraint(expr=worth <= 5 * self.amount)
        outer.worth = pyo.Objective(expr=worth, sense=pyo.maximize)
        return outer

    def best(self) -> float | None:
        """Ask the grid for the same; None if nothing is feasible."""
        rows = Rows(nodes=GRID_NODES)
        worth: dict[int, float] = {}
        left = []
        for drawn, weight, state in zip(self.plants, self.weights, self.states, strict=True):
            problem = drawn.problem
            hours = int(problem.horizon)
            plan = add_plant(
                rows,
                drawn.plain,
                hours,
                problem.deliveries,
                start=drawn.start,
                orders=problem.orders,
            )
            for name, amount in problem.targets.items():
                high = amount if problem.sense == "exactly" else math.inf
                rows.row(plan.final[name], amount, high)
            for column, gain in enumerate(rows.gain):
                worth[column] = worth.get(column, 0.0) + weight * gain
            rows.gain[:] = [0.0] * len(rows.gain)
            left.append(plan.final[state])
        both = [term for terms in left for term in terms]
        yes = rows.column(1, integer=True)
        if self.link == "supply":
            rows.row(both, -math.inf, self.amount)
        elif self.link == "demand":
            rows.row(both, self.amount, math.inf)
        elif self.link == "contract":
            sold = rows.column(2 * self.amount)
            rows.row([(sold, 1), *((c, -f) for c, f in both)], -math.inf, 0)
            rows.row([(sold, 1), (yes, -self.amount)], 0, math.inf)
            rows.row([(sold, 1), (yes, -2 * self.amount)], -math.inf, 0)
            worth |= {sold: self.price, yes: -1.0}
        elif self.link == "either":
            rows.row([*left[0], (yes, -100)], -math.inf, 0)
            rows.row([*left[-1], (yes, 100)], -math.inf, self.amount + 100)
        else:
            rows.row(list(worth.items()), -math.inf, 5 * self.amount)
        found = rows.maximise([worth.get(column, 0.0) for column in range(len(rows.gain))])
        return None if found is None else found[0]

    def violations(self, outer: pyo.ConcreteModel) -> list[Violation]:
        """Replay the schedule of each plant."""
        broken = []
        for number, drawn in enumerate(self.plants):
            schedule = extract_schedule(outer.sites[number].plant, drawn.network)
            broken += find_violations(schedule, drawn.network)
        return broken


def draw_pair(seed: int) -> tuple[Pair, float | None]:
    """Draw a pair, or one plant in a larger model, and what the grid says of it."""
    for attempt in range(100):
        random = Random(f"pair {seed} {attempt}")
        drawn = tuple(
            draw_case(f"mixed pair {seed} {attempt} {number}")
            for number in range(random.choice([1, 2, 2]))
        )
        link = random.choice(LINKS)
        states = tuple(_state_for(link, one.network, random) for one in drawn)
        if None in states:
            continue
        pair = Pair(
            plants=drawn,
            weights=tuple(random.choice([0.5, 1, 1.5]) for _ in drawn),
            link=link,
            states=states,
            amount=random.choice([1, 2, 4, 6]),
            price=random.choice([0.5, 1, 2]),
        )
        try:
            pair.build(n_events=1, max_span=0)
            best = pair.best()
        except (TimeoutError, UnsupportedModelError):
            continue
        if best is not None or random.random() < 0.25:
            return pair, best
    raise AssertionError("100 pairs in a row that can do nothing")


def _state_for(link: str, network: Network, random: Random) -> str | None:
    """Choose what a plant shares: what it takes without limit, or what it makes and keeps."""
    names = [
        name
        for name, state in network.states.items()
        if (state.unlimited if link == "supply" else not (state.unlimited or state.zero_wait))
    ]
    return random.choice(names) if names else None


def _asked_for(drawn: Drawn, n_events: int, max_span: int) -> pyo.ConcreteModel:
    problem = drawn.problem
    model = build_scheduling_model(
        drawn.network,
        horizon=problem.horizon,
        n_events=n_events,
        max_span=max_span,
        start=drawn.start,
        date=problem.start,
    )
    if problem.targets:
        require_targets(model, problem.targets, sense=problem.sense)
    if problem.deliveries:
        require_deliveries(model, problem.deliveries)
    if problem.orders:
        require_orders(model, problem.orders)
    return model
