"""Plans beside the integrated MILP: all periods' scheduling models in one, written here for that.

    python benchmarks/planning.py [periods ...]

The integrated model shares nothing with `stnopt.planning`: for every period it takes a scheduling
model of the plant, ties what is in stock of each product to the next period and to the demand, and
minimises raw material, holding and backlog at once. It is exact for its event points.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyomo.environ as pyo

import stnopt

HORIZON, RAW, HOLDING, BACKLOG, STOCK = 8.0, 5.0, 0.5, 4.0, 20.0
PRODUCTS = ("S8", "S9")
#: Event points of a period in the integrated model: those of the plant's largest production.
N_EVENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of periods."""

    periods: int
    integrated: float | None
    integrated_bound: float | None
    integrated_seconds: float | None
    cost: float | None
    bound: float | None
    seconds: float
    stopped: str


def demand(periods: int, seed: int = 1, mean: float = 62.0) -> dict[tuple[int, str], float]:
    """Draw what is wanted: half to one and a half times a mean near the plant's capacity."""
    rng = np.random.default_rng(seed)
    return {
        (t, product): float(np.round(mean * rng.uniform(0.5, 1.5), 1))
        for t in range(1, periods + 1)
        for product in PRODUCTS
    }


def planning_problem(wanted: dict[tuple[int, str], float]) -> stnopt.PlanningProblem:
    """Return the problem as the library takes it."""
    periods = max(t for t, _ in wanted)
    return stnopt.read_planning_problem(
        {
            "periods": periods,
            "facilities": {
                "main": {
                    "plant": "ex2",
                    "horizon": HORIZON,
                    "raw_cost": dict.fromkeys(("S1", "S2", "S3"), RAW),
                    "holding_cost": dict.fromkeys(PRODUCTS, HOLDING),
                    "stock": dict.fromkeys(PRODUCTS, STOCK),
                }
            },
            "demand": [
                {"period": t, "product": product, "amount": amount}
                for (t, product), amount in wanted.items()
            ],
            "backlog_cost": BACKLOG,
        }
    )


def integrated_model(wanted: dict[tuple[int, str], float]) -> pyo.ConcreteModel:
    """Write all periods' scheduling models and the plan's balances in one."""
    plant = stnopt.load_example("ex2")
    periods = range(1, max(t for t, _ in wanted) + 1)
    m = pyo.ConcreteModel()
    m.stock = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.late = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.sold = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.made = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.period = pyo.Block(periods)
    cost = 0.0
    for t in periods:
        week = stnopt.build_scheduling_model(plant, horizon=HORIZON, n_events=N_EVENTS)
        m.period[t].week = week
        cost += RAW * sum(week.final_stock[s] for s in ("S1", "S2", "S3"))
    last = max(periods)

    @m.Constraint(periods, PRODUCTS)
    def made_at_most(m, t, product):
        return m.made[t, product] <= m.period[t].week.final_stock[product]

    @m.Constraint(periods, PRODUCTS)
    def stock_balance(m, t, product):
        before = STOCK if t == 1 else m.stock[t - 1, product]
        return m.stock[t, product] == before + m.made[t, product] - m.sold[t, product]

    @m.Constraint(periods, PRODUCTS)
    def demand_balance(m, t, product):
        before = 0.0 if t == 1 else m.late[t - 1, product]
        return m.late[t, product] == before + wanted[t, product] - m.sold[t, product]

    @m.Constraint(PRODUCTS)
    def nothing_late_at_the_end(m, product):
        return m.late[last, product] == 0

    cost += HOLDING * sum(m.stock.values()) + BACKLOG * sum(m.late.values())
    m.cost = pyo.Objective(expr=cost)
    return m


def compare(
    periods: int, region: stnopt.CertifiedRegion, *, time_limit: float, integrated: bool = True
) -> Row:
    """Plan once with the library and once in one MILP; CPU seconds."""
    wanted = demand(periods)
    begun = time.process_time()
    found = stnopt.find_plan(
        planning_problem(wanted),
        regions={"main": region},
        time_limit=time_limit,
        period_limit=120.0,
    )
    seconds = time.process_time() - begun
    whole: stnopt.SolveResult | None = None
    begun = time.process_time()
    if integrated:
        whole = stnopt.solve(integrated_model(wanted), relative_gap=1e-3, time_limit=time_limit)
    return Row(
        periods=periods,
        integrated=whole.objective if whole else None,
        integrated_bound=whole.bound if whole else None,
        integrated_seconds=time.process_time() - begun if whole else None,
        cost=found.cost,
        bound=found.bound,
        seconds=seconds,
        stopped=found.stopped,
    )


def main(arguments: list[str]) -> None:
    """Trace the plant once, then compare."""
    plant = stnopt.load_example("ex2")
    begun = time.process_time()
    region = stnopt.trace_frontier(plant, horizon=HORIZON, products=list(PRODUCTS))
    print(f"traced once: {time.process_time() - begun:.1f} CPU s")
    print("periods  integrated      (bound)   CPU s |       plan       bound   gap %   CPU s")
    for periods in [int(text) for text in arguments] or [3, 6, 12, 52]:
        row = compare(periods, region, time_limit=300.0, integrated=periods <= 6)
        one = "not tried" if row.integrated is None else f"{row.integrated:.2f}"
        low = "" if row.integrated_bound is None else f"{row.integrated_bound:.2f}"
        took = "" if row.integrated_seconds is None else f"{row.integrated_seconds:.1f}"
        cost, bound = row.cost or np.nan, row.bound or np.nan
        gap = 100 * (cost - bound) / cost
        print(
            f"{row.periods:7d} {one:>11} {low:>12} {took:>7} | {cost:10.2f}  {bound:10.2f}"
            f"  {gap:6.3f}  {row.seconds:6.1f}  {row.stopped}"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1:])
