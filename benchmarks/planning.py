"""Plans beside the integrated MILP: all periods' scheduling models in one, written here for that.

    python benchmarks/planning.py [periods ...]

The integrated models share nothing with `stnopt.planning`. Without carrying over, every period has
a scheduling model of the plant; with it, one textbook model spans all of them, and the event points
of each period end with it, so that batches and intermediates go from one to the next. What is in
stock of each product is tied to the next period and to the demand, and raw material, holding and
backlog are minimised at once. Both are exact for their event points.
"""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from textbook_model import build_textbook_model

import stnopt

if TYPE_CHECKING:
    from collections.abc import Sequence

HORIZON, RAW, HOLDING, BACKLOG, STOCK = 8.0, 5.0, 0.5, 4.0, 20.0
PRODUCTS = ("S8", "S9")
#: Event points of a period in the integrated model: those of the plant's largest production.
N_EVENTS = 5
#: Seconds for a plan, and for a MILP.
TIME_LIMIT = 300.0
#: Periods beyond which the integrated MILP is out of reach.
_MOST_INTEGRATED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number of periods, planned by the library and as one MILP."""

    periods: int
    mean: float
    carry_over: bool
    plan: stnopt.PlanSearch
    seconds: float
    whole: stnopt.SolveResult | None
    whole_seconds: float


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
    m.period = pyo.Block(periods)
    raw = 0.0
    for t in periods:
        week = stnopt.build_scheduling_model(plant, horizon=HORIZON, n_events=N_EVENTS)
        m.period[t].week = week
        raw += RAW * sum(week.final_stock[s] for s in ("S1", "S2", "S3"))
    made = {(t, p): m.period[t].week.final_stock[p] for t in periods for p in PRODUCTS}
    add_plan(m, wanted, made, raw)
    return m


def carried_model(
    wanted: dict[tuple[int, str], float], n_events: int = N_EVENTS
) -> pyo.ConcreteModel:
    """Write one textbook model over all periods: only when a batch ends says whose it is.

    A batch at the event points of period t ends by the end of that period; it may have begun before
    it, and it takes what earlier ones left. What a period makes is what its batches release.
    """
    plant = stnopt.load_example("ex2")
    n_periods = max(t for t, _ in wanted)
    periods = range(1, n_periods + 1)
    m = pyo.ConcreteModel()
    m.plant = build_textbook_model(
        plant, horizon=HORIZON * n_periods, n_events=n_events * n_periods, earlier_durations=True
    )
    m.plant.objective.deactivate()
    period_of = {n: 1 + (n - 1) // n_events for n in m.plant.EVENTS}
    for (_, _, n), finish in m.plant.finish.items():
        finish.setub(HORIZON * period_of[n])

    @m.Constraint(m.plant.FITS, m.plant.EVENTS)
    def later_durations(m, i, j, n):
        """Start at n + the durations from n to the end of a period <= that end."""
        fits = [(k, u) for k, u in m.plant.FITS if u == j]
        last = n_events * period_of[n]
        rest = sum(m.plant.duration[k, u, e] for k, u in fits for e in range(n, last + 1))
        return m.plant.start[i, j, n] + rest <= HORIZON * period_of[n]

    # what is left of an intermediate at a period's end may be scrapped
    firsts = [n for n in m.plant.EVENTS if n > 1 and period_of[n - 1] < period_of[n]]
    m.scrapped = pyo.Var(m.plant.STORED, firsts, bounds=(0, None))
    for s, n in m.scrapped:
        row = m.plant.balance[s, n]
        row.set_value(row.body + m.scrapped[s, n] == row.upper)

    def moved(shares: str, state: str, t: int) -> Any:
        tasks = plant.tasks
        return sum(
            getattr(tasks[i], shares)[state] * m.plant.size[i, j, n]
            for i, j, n in m.plant.size
            if period_of[n] == t and state in getattr(tasks[i], shares)
        )

    made = {(t, p): moved("produces", p, t) for t in periods for p in PRODUCTS}
    raw = RAW * sum(moved("consumes", s, t) for s in ("S1", "S2", "S3") for t in periods)
    add_plan(m, wanted, made, raw)
    return m


def add_plan(
    m: pyo.ConcreteModel, wanted: dict[tuple[int, str], float], makes: Any, raw: Any
) -> None:
    """Tie what is made in each period to stock and demand; minimise all costs."""
    last = max(t for t, _ in wanted)
    periods = range(1, last + 1)
    m.stock = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.late = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.sold = pyo.Var(periods, PRODUCTS, bounds=(0, None))
    m.made = pyo.Var(periods, PRODUCTS, bounds=(0, None))

    @m.Constraint(periods, PRODUCTS)
    def made_at_most(m, t, product):
        return m.made[t, product] <= makes[t, product]

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

    cost = raw + HOLDING * sum(m.stock.values()) + BACKLOG * sum(m.late.values())
    m.cost = pyo.Objective(expr=cost)


def compare(
    periods: int,
    region: stnopt.CertifiedRegion,
    *,
    mean: float = 62.0,
    carry_over: bool = False,
    integrated: bool = True,
) -> Row:
    """Plan once with the library and once in one MILP; CPU seconds."""
    wanted = demand(periods, mean=mean)
    problem = replace(planning_problem(wanted), carry_over=carry_over)
    leave_out_of_collections()
    begun = time.process_time()
    found = stnopt.find_plan(
        problem, regions={"main": region}, time_limit=TIME_LIMIT, period_limit=120.0
    )
    seconds = time.process_time() - begun
    whole = None
    leave_out_of_collections()
    begun = time.process_time()
    if integrated:
        build = carried_model if carry_over else integrated_model
        whole = stnopt.solve(build(wanted), relative_gap=1e-3, time_limit=TIME_LIMIT)
    return Row(
        periods=periods,
        mean=mean,
        carry_over=carry_over,
        plan=found,
        seconds=seconds,
        whole=whole,
        whole_seconds=time.process_time() - begun,
    )


def leave_out_of_collections() -> None:
    """Keep what tracing and earlier rows left in memory out of what is timed next."""
    gc.collect()
    gc.freeze()


def write_row(row: Row) -> str:
    """Write a row of the table."""
    one, low, took, ratio = "not tried", "", "", ""
    if row.whole is not None:
        one, low = f"{row.whole.objective:.2f}", f"{row.whole.bound:.2f}"
        took, ratio = f"{row.whole_seconds:.1f}", f"{row.whole_seconds / row.seconds:.1f}"
    found = row.plan
    said = (
        f"{found.cost:.2f} | {found.bound:.2f} | {found.gap:.2%}" if found.verified else "- | - | -"
    )
    carried = "yes" if row.carry_over else "no"
    return (
        f"| {row.periods} | {row.mean:g} | {carried} | {one} | {low} | {took} | {said} "
        f"| {row.seconds:.1f} | {ratio} |"
    )


def table(periods: Sequence[int] = (3, 6, 12, 52), carried: bool = True) -> str:
    """Trace the plant once, then compare; return the section of the results."""
    plant = stnopt.load_example("ex2")
    begun = time.process_time()
    region = stnopt.trace_frontier(plant, horizon=HORIZON, products=list(PRODUCTS))
    traced = time.process_time() - begun
    compare(1, region, integrated=False)  # what is imported and compiled once is not timed
    lines = [
        "## Plans beside the integrated MILP",
        "",
        f"ex2, 8 h a period, two products, demand drawn around a mean. Traced once in {traced:.1f} "
        "CPU s, not counted below. One MILP holds all periods' scheduling models (5 event points a "
        "period, gap 0.1 %); with batches that run over a period's end it is a textbook model over "
        "all of them. CPU seconds of one run each, one thread.",
        "",
        "| periods | mean demand | carry over | MILP | its bound | CPU s | plan | bound | gap "
        "| CPU s | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [write_row(compare(n, region, integrated=n <= _MOST_INTEGRATED)) for n in periods]
    if carried:
        lines += [
            write_row(compare(n, region, mean=mean, carry_over=True))
            for n, mean in ((3, 62.0), (6, 62.0), (3, 70.0))
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    named = [int(text) for text in sys.argv[1:]]
    print(table(named, carried=False) if named else table())
