"""A plant whose plans can be counted by hand: one reactor, two products, batches of two hours.

In eight hours it runs four batches of up to 10 of either product, so that what it can make is a
staircase: below (10 i, 10 (4 - i)) for i = 0..4. Raw material costs 1 for A and 2 for B, a batch 3.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.optimize import linprog

import stnopt

BATCHES, SIZE = 4, 10.0
RAW_COST, BATCH_COST = {"A": 1.0, "B": 2.0}, 3.0

PLANT: dict[str, Any] = {
    "name": "one reactor",
    "amount_unit": "kg",
    "states": {
        "RawA": {"initial": "unlimited", "cost": 1},
        "RawB": {"initial": "unlimited", "cost": 2},
        "A": {"price": 5},
        "B": {"price": 6},
    },
    "tasks": {
        "MakeA": {
            "consumes": {"RawA": 1},
            "produces": {"A": 1},
            "units": {"Reactor": {"max_batch": 10, "fixed_time": 2, "fixed_cost": 3}},
        },
        "MakeB": {
            "consumes": {"RawB": 1},
            "produces": {"B": 1},
            "units": {"Reactor": {"max_batch": 10, "fixed_time": 2, "fixed_cost": 3}},
        },
    },
}


def rows(*amounts: tuple[float, float]) -> list[dict[str, Any]]:
    """Demand of A and B in each period."""
    return [
        {"period": period, "product": product, "amount": amount}
        for period, pair in enumerate(amounts, 1)
        for product, amount in zip("AB", pair, strict=True)
    ]


def document(*amounts: tuple[float, float], **changes: Any) -> dict[str, Any]:
    """A planning file as a mapping."""
    facility = {"plant": PLANT, "horizon": 8, "holding_cost": {"A": 0.1, "B": 0.1}}
    facility |= changes.pop("facility", {})
    content = {
        "periods": len(amounts),
        "facilities": {"main": facility},
        "demand": rows(*amounts),
        "backlog_cost": 2,
        "lost_cost": 30,
    }
    return content | changes


def problem(*amounts: tuple[float, float], **changes: Any) -> stnopt.PlanningProblem:
    return stnopt.read_planning_problem(document(*amounts, **changes))


def cheapest(
    *amounts: tuple[float, float], holding: float = 0.1, late: float = 2.0, lost: float = 30.0
) -> float:
    """Cost of the best plan of `document`, by counting batches: no code of the library's."""
    n = len(amounts)
    numbers = list(itertools.product(range(BATCHES + 1), repeat=n))
    alone = [
        {
            count: least_alone(product, count, [pair[j] for pair in amounts], holding, late, lost)
            for count in numbers
        }
        for j, product in enumerate("AB")
    ]
    return min(
        alone[0][a] + alone[1][b] + BATCH_COST * (sum(a) + sum(b))
        for a in numbers
        for b in numbers
        if all(x + y <= BATCHES for x, y in zip(a, b, strict=True))
    )


def least_alone(
    product: str,
    batches: tuple[int, ...],
    wanted: list[float],
    holding: float,
    late: float,
    lost: float,
) -> float:
    """Cost of one product with so many batches of it in each period, without the batches' own."""
    n = len(wanted)
    each = (RAW_COST[product], holding, late, lost)  # make, stock, owed, lost; all at least 0
    equal = np.zeros((n, 4 * n))
    for t in range(n):  # stock - owed = before + make - demand + lost
        equal[t, n + t], equal[t, 2 * n + t] = 1, -1
        if t:
            equal[t, n + t - 1], equal[t, 2 * n + t - 1] = -1, 1
        equal[t, t], equal[t, 3 * n + t] = -1, -1
    bounds: list[tuple[float, float | None]] = [(0, SIZE * number) for number in batches]
    bounds += [(0, None)] * n + [(0, 0 if t == n - 1 else None) for t in range(n)]
    bounds += [(0, None)] * n
    found = linprog(np.repeat(each, n), A_eq=equal, b_eq=-np.array(wanted), bounds=bounds)
    return float(found.fun)
