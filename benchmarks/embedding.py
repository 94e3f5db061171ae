"""Regions as constraints: certified optima, side by side with global solvers, and many copies.

`main()` returns the tables as Markdown; ``python benchmarks/embedding.py`` prints them, or those
that are named, each as it is done. Wall and CPU seconds are given: other work on the machine shows
in the first only. Time limits are in wall seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyomo.environ as pyo

import stnopt as so

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stnopt.feasibility.region import Region

PLANT = {"horizon": 8.0, "max_span": 0}
PRODUCTS = ("S9", "S8")
MORE_PRODUCTS = ("S9", "S8", "S6", "S5")
TIME_LIMIT = 60.0
LONG_LIMIT = 300.0  # where nobody is compared with: CPU seconds tell, also on a busy machine
REPEATS = 3  # of what takes seconds
NAMES = ("A", "B", "C", "D")


def main(names: list[str] | None = None, *, show: bool = False) -> str:
    """Run everything, or the sections that are named; the tables as Markdown."""
    sections = {
        "case_2": compare_case_2,
        "larger": certify_larger,
        "reduced": compare_reduced,
        "twelve": plan_twelve_periods,
        "growth": measure_growth,
        "random": check_random_problems,
    }
    parts = ["## Regions as constraints"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # boxes wider than the samples, on purpose
        for name in names or sections:
            parts.append(sections[name]())
            if show:
                print(parts[-1] + "\n", flush=True)
    return "\n\n".join(parts)


def first_clause(message: object) -> str:
    """Return what a solver says first, without its advertisement."""
    return str(message).splitlines()[0].split(";")[0]


def timed(run: Callable[[], so.SolveResult]) -> tuple[so.SolveResult, float, float]:
    """Run once: result, wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def median_of(
    run: Callable[[], so.SolveResult], repeats: int = REPEATS
) -> tuple[so.SolveResult, float, float]:
    """Run a few times: the last result, medians of wall and CPU seconds."""
    runs = [timed(run) for _ in range(repeats)]
    return runs[-1][0], *(statistics.median(one[k] for one in runs) for k in (1, 2))


def row_of(*cells: object) -> str:
    """Row of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def number(value: float | None) -> str:
    """Four digits, or none."""
    return "none" if value is None else f"{value:.4f}"


@cache
def label(n_samples: int, seed: int) -> so.TargetSamples:
    """Targets of Case 2: products in [0, 110], profit at least 200."""
    targets = so.sample_targets(dict.fromkeys(PRODUCTS, (0.0, 110.0)), n_samples, seed=seed)
    return so.label_targets(
        so.load_example("kumawat_2021"), targets, require="profit >= 200", n_events=5, **PLANT
    )


def case_2(n_events: int, products: tuple[str, ...] = PRODUCTS, least: float = 10.0):
    """Cheapest schedule that makes some of each product."""
    network = so.load_example("kumawat_2021")
    milp = so.build_scheduling_model(network, n_events=n_events, **PLANT)
    so.set_objective(milp, "cost")
    so.require_targets(milp, dict.fromkeys(products, least))
    return milp, {p: milp.final_stock[p] for p in products}


def compare_case_2() -> str:
    """Case 2 at 5 event points: ours, Gurobi and SCIP on the same model.

    The violation is by how much the classifier itself rejects the solution: a cost below our bound
    comes with one.
    """
    rows = [
        "### Case 2 at 5 event points, gap 1e-4",
        "",
        f"Ours is the median of {REPEATS} runs.",
        "",
        row_of("C", "vectors", "method", "status", "cost", "bound", "violation", "wall s", "CPU s"),
        row_of(*["---"] * 9),
    ]
    busy = False
    for penalty in (1.0, 1000.0):
        region = so.fit_region(label(120, 0), kernel="rbf", C=penalty).region
        head = (f"{penalty:g}", len(region.dual_coefs))
        for name in METHODS:
            cells = compare(name, region, TIME_LIMIT)
            rows.append(row_of(*head, name, *cells))
            busy |= bool(cells[-1]) and float(cells[-2]) > 1.5 * max(float(cells[-1]), 1.0)
    return "\n".join(rows) + (BUSY if busy else "")


BUSY = (
    "\n\nThe machine was busy: where CPU seconds are far below wall seconds, a method that reached "
    "the limit of 60 wall seconds had only the former, and might have closed with more."
)


METHODS = {
    "ours, HiGHS alone": None,
    "Gurobi (`gurobi_direct_minlp`), algebraic": ("gurobi_direct_minlp", "algebraic"),
    "Gurobi (`gurobi_direct_minlp`), split": ("gurobi_direct_minlp", "split"),
    "SCIP (`scip_direct`), algebraic": ("scip_direct", "algebraic"),
}


def compare(
    name: str, region: Region, limit: float, *, margin: float = 0.0, judge: Region | None = None
) -> list[str]:
    """Solve Case 2 by one method: status, cost, bound, violation (of `judge`), wall and CPU s."""
    milp, products = case_2(5)
    if METHODS[name] is None:
        result, wall, cpu = median_of(
            lambda: so.solve_over_region(milp, region, products, margin=margin, time_limit=limit)
        )
    else:
        solver, form = METHODS[name]
        so.add_region_constraint(milp, region, products, margin=margin, form=form)
        try:
            result, wall, cpu = timed(lambda: so.solve(milp, solver=solver, time_limit=limit))
        except so.SolverUnavailableError as error:
            return [f"not shown: {first_clause(error)}", *[""] * 5]
    if result.status is so.Status.ERROR:
        return [f"not shown: {first_clause(result.message)}", *[""] * 5]
    return [
        result.status.value, number(result.objective), number(result.bound),
        violation(result, judge or region, products), f"{wall:.1f}", f"{cpu:.1f}",
    ]  # fmt: skip


def violation(
    result: so.SolveResult, region: Region, products: Mapping[str, pyo.Expression]
) -> str:
    """How much the classifier rejects the model's present values by."""
    if not result.has_solution:
        return ""
    decision = region.decision([[pyo.value(inner) for inner in products.values()]])[0]
    return f"{max(float(decision), 0.0):.1e}"


def certify_larger() -> str:
    """More event points, more support vectors, more products."""
    rows = [
        "### Certified to 1e-4 by HiGHS alone",
        "",
        row_of("region", "vectors", "event points", "status", "cost", "gap", "wall s", "CPU s"),
        row_of(*["---"] * 8),
    ]
    cases: list[tuple[str, Region, int, float]] = []
    for count, seed, penalty in ((120, 0, 1.0), (120, 0, 1000.0), (1200, 1, 1.0), (3000, 2, 0.4)):
        fit = so.fit_region(label(count, seed), kernel="rbf", C=penalty)
        cases.append((f"{count} targets, C={penalty:g}", fit.region, 6, 10.0))
    for boxes in ([80.0, 80.0, 40.0], [60.0, 60.0, 20.0, 20.0]):
        n = len(boxes)
        bounds = {p: (0.0, high) for p, high in zip(MORE_PRODUCTS, boxes, strict=False)}
        samples = so.label_targets(
            so.load_example("kumawat_2021"), so.sample_targets(bounds, 200, seed=0),
            require="profit >= 200", sense="exactly", n_events=5, **PLANT,
        )  # fmt: skip
        for penalty in (1.0, 1000.0):
            fit = so.fit_region(samples, kernel="rbf", C=penalty)
            cases.append((f"{n} products, 200 targets, C={penalty:g}", fit.region, 5, 5.0))
    for name, region, n_events, least in cases:
        milp, products = case_2(n_events, region.inputs, least)
        result, wall, cpu = timed(
            lambda m=milp, r=region, p=products: so.solve_over_region(
                m, r, p, time_limit=LONG_LIMIT
            )
        )
        rows.append(
            row_of(
                name, len(region.dual_coefs), n_events, result.status.value,
                number(result.objective), gap_of(result), f"{wall:.1f}", f"{cpu:.1f}",
            )
        )  # fmt: skip
    return "\n".join(rows)


def gap_of(result: so.SolveResult) -> str:
    """Relative gap, or none."""
    return "none" if result.gap is None else f"{result.gap:.1e}"


def compare_reduced() -> str:
    """Case 2 with fewer support vectors, safe by the proven error as the margin."""
    region = so.fit_region(label(120, 0), kernel="rbf", C=1.0).region
    rows = [
        "### Case 2 with fewer support vectors (C=1, 5 event points, gap 1e-4)",
        "",
        "The margin is the proven error, so that the original classifier accepts every solution:",
        "the violation is by how much it rejects it. Limit 30 s.",
        "",
        row_of("vectors", "error", "method", "status", "cost", "bound", "violation", "wall s",
               "CPU s"),
        row_of(*["---"] * 9),
    ]  # fmt: skip
    for most in (None, 20, 12):
        error, smaller = 0.0, region
        if most is not None:
            smaller, report = so.reduce_region(region, max_vectors=most)
            error = report.error
        for name in METHODS:
            cells = compare(name, smaller, 30.0, margin=error, judge=region)
            rows.append(row_of(len(smaller.dual_coefs), f"{error:.2g}", name, *cells))
    return "\n".join(rows)


def measure_growth() -> str:
    """How cost grows with inputs and support vectors: medians over random problems."""
    counts = (20, 80, 200)
    rows = [
        "### Growth with inputs and support vectors",
        "",
        "Median and largest CPU seconds (and boxes) of five random problems each, gap 1e-4.",
        "",
        row_of("inputs", *(f"{count} vectors" for count in counts)),
        row_of(*["---"] * 4),
    ]
    for n in (1, 2, 3, 4):
        cells = []
        for count in counts:
            times, boxes, open_ = [], [], 0
            for seed in range(100, 105):
                region = random_region(seed, n=n, n_vectors=count)
                m, _ = random_milp(seed, n)
                inputs = dict(zip(region.inputs, m.x.values(), strict=True))
                result, _, cpu = timed(
                    lambda m=m, r=region, i=inputs: so.solve_over_region(
                        m, r, i, time_limit=LONG_LIMIT
                    )
                )
                times.append(cpu)
                boxes.append(result.n_nodes)
                open_ += result.status not in (so.Status.OPTIMAL, so.Status.INFEASIBLE)
            left = f", {open_} open" if open_ else ""
            cells.append(
                f"{statistics.median(times):.2f}, {max(times):.1f} "
                f"({statistics.median(boxes):.0f}, {max(boxes)}){left}"
            )
        rows.append(row_of(n, *cells))
    return "\n".join(rows)


def planning_skeleton(region: Region, n_periods: int, *, seed: int = 0, setups: bool = True):
    """Stocks and demands of two products over periods, each period's production in the region.

    stock[t] = stock[t-1] + made[t] + lost[t] - demand[t]; with `setups` a period that makes
    anything costs a fixed amount.
    """
    rng = np.random.default_rng(seed)
    first, second = region.inputs
    m = pyo.ConcreteModel()
    m.PERIODS = pyo.RangeSet(0, n_periods - 1)
    m.PRODUCTS = pyo.Set(initialize=[first, second])
    demand = {
        (p, t): float(amount)
        for p, mean in ((first, 65.0), (second, 70.0))
        for t, amount in enumerate(mean * rng.uniform(0.5, 1.5, n_periods))
    }
    m.made = pyo.Var(m.PRODUCTS, m.PERIODS, bounds=(0, 110))
    m.stock = pyo.Var(m.PRODUCTS, m.PERIODS, bounds=(0, 80))
    m.lost = pyo.Var(m.PRODUCTS, m.PERIODS, bounds=lambda _, p, t: (0, demand[p, t]))
    m.overtime = pyo.Var(m.PERIODS, domain=pyo.Binary)

    @m.Constraint(m.PRODUCTS, m.PERIODS)
    def balance(m, p, t):
        before = 20.0 if t == 0 else m.stock[p, t - 1]
        return m.stock[p, t] == before + m.made[p, t] + m.lost[p, t] - demand[p, t]

    @m.Constraint(m.PERIODS)
    def normal_hours(m, t):
        return sum(m.made[p, t] for p in m.PRODUCTS) <= 100 + 120 * m.overtime[t]

    hold, short, unit = (0.3, 0.2), (10.0, 8.0), (1.5, 1.2)
    fixed = 25.0 if setups else 0.0
    m.objective = pyo.Objective(
        expr=sum(
            hold[i] * m.stock[p, t] + short[i] * m.lost[p, t] + unit[i] * m.made[p, t]
            for i, p in enumerate((first, second))
            for t in m.PERIODS
        )
        + fixed * sum(m.overtime[t] for t in m.PERIODS)
    )
    return m, [(region, {p: m.made[p, t] for p in m.PRODUCTS}) for t in m.PERIODS]


def plan_twelve_periods() -> str:
    """Twelve copies of one RBF region in one model, to 1e-3."""
    rows = [
        "### Twelve copies of one region in one model, gap 1e-3",
        "",
        row_of("region", "vectors", "status", "cost", "bound", "gap", "rounds", "wall s", "CPU s"),
        row_of(*["---"] * 9),
    ]
    regions = {
        f"Case 2, C={penalty:g}": so.fit_region(label(120, 0), kernel="rbf", C=penalty).region
        for penalty in (1.0, 1000.0)
    }
    regions |= {f"random {seed}": random_region(seed, n=2, n_vectors=20) for seed in (8, 21)}
    for name, region in regions.items():
        m, copies = planning_skeleton(region, 12)
        result, wall, cpu = timed(
            lambda m=m, copies=copies: so.solve_over_region(
                m, *copies, relative_gap=1e-3, time_limit=TIME_LIMIT
            )
        )
        rows.append(
            row_of(
                name, len(region.dual_coefs), result.status.value, number(result.objective),
                number(result.bound), gap_of(result), result.n_nodes, f"{wall:.1f}", f"{cpu:.1f}",
            )
        )  # fmt: skip
    return "\n".join(rows)


def random_region(seed: int, *, n: int, n_vectors: int) -> so.KernelRegion:
    """Nonconvex region that takes about a third of [0, 100]^n."""
    rng = np.random.default_rng(seed)
    parts = {
        "inputs": NAMES[:n],
        "kernel": "rbf",
        "support_vectors": rng.uniform(-1, 1, (n_vectors, n)),
        "dual_coefs": rng.choice([-1, 1], n_vectors) * rng.uniform(0.2, 3, n_vectors),
        "gamma": float(rng.uniform(0.5, 3.0)),
        "center": np.full(n, 50.0),
        "scale": np.full(n, 50.0),
        "lower": np.zeros(n),
        "upper": np.full(n, 100.0),
    }
    raw = so.KernelRegion(offset=0.0, **parts).decision(rng.uniform(0, 100, (2000, n)))
    return so.KernelRegion(offset=-float(np.quantile(raw, 0.35)), **parts)


def random_milp(seed: int, n: int):
    """Build processes with fixed costs that make the inputs, which are sold; and their data."""
    rng = np.random.default_rng(seed)
    n_processes = 5
    share = rng.dirichlet(np.ones(n), n_processes)
    capacity = rng.uniform(30, 80, n_processes)
    fixed, unit = rng.uniform(20, 90, n_processes), rng.uniform(0.5, 3, n_processes)
    price = rng.uniform(4, 12, n)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(0, 100))
    m.runs = pyo.Var(range(n_processes), domain=pyo.Binary)
    m.made = pyo.Var(range(n_processes), bounds=(0, None))
    m.capacity = pyo.Constraint(
        range(n_processes), rule=lambda m, i: m.made[i] <= capacity[i] * m.runs[i]
    )
    m.amount = pyo.Constraint(
        range(n),
        rule=lambda m, j: m.x[j] <= sum(share[i, j] * m.made[i] for i in range(n_processes)),
    )
    m.objective = pyo.Objective(
        expr=sum(price[j] * m.x[j] for j in range(n))
        - sum(fixed[i] * m.runs[i] + unit[i] * m.made[i] for i in range(n_processes)),
        sense=pyo.maximize,
    )
    # every choice of processes is an LP in x: x <= share^T made, made <= capacity
    choices = np.array(np.meshgrid(*[[0, 1]] * n_processes, indexing="ij")).reshape(n_processes, -1)
    return m, _Processes(share, capacity, fixed, unit, price, choices.T)


class _Processes:
    """The same problem without Pyomo: the best value at given inputs, by all choices."""

    def __init__(self, *data: np.ndarray) -> None:
        self.share, self.capacity, self.fixed, self.unit, self.price, self.choices = data

    def reachable(self, runs: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Points that running everything chosen at capacity makes: a quick necessary test."""
        return (points <= (runs * self.capacity) @ self.share + 1e-9).all(axis=1)

    def best(self, points: np.ndarray, start: float) -> float:
        """Most value over the points, exactly: small LPs, only where they can still win."""
        from scipy.optimize import linprog

        best = start
        income = points @ self.price
        for runs in self.choices:
            fixed = float(runs @ self.fixed)
            # at least the amount of the inputs must be made, at the least unit cost of the chosen
            chosen = np.flatnonzero(runs)
            if not len(chosen):
                best = max(best, float((income[(points <= 1e-9).all(axis=1)]).max(initial=-np.inf)))
                continue
            least = self.unit[chosen].min() * points.sum(axis=1)
            hopeful = self.reachable(runs, points) & (income - fixed - least > best)
            order = np.flatnonzero(hopeful)[np.argsort(-(income - least)[hopeful])]
            for i in order[:200]:
                if income[i] - fixed - least[i] <= best:
                    break
                answer = linprog(
                    self.unit[chosen], A_ub=-self.share[chosen].T, b_ub=-points[i],
                    bounds=[(0, c) for c in self.capacity[chosen]],
                )  # fmt: skip
                if answer.status == 0:
                    best = max(best, float(income[i] - fixed - answer.fun))
        return best


def check_random_problems(count: int = 30) -> str:
    """Random regions and MILPs: no sampled feasible point beats the bound or the incumbent."""
    rows = [
        f"### {count} random problems, gap 1e-4",
        "",
        "With 1 and 2 inputs the samples are a fine grid, with 3 and 4 10^5 points, and more near",
        "the solution.",
        "",
        row_of("inputs", "vectors", "status", "objective", "bound", "best of samples", "verdict",
               "wall s", "CPU s"),
        row_of(*["---"] * 9),
    ]  # fmt: skip
    for seed in range(count):
        n = 1 + seed % 4
        n_vectors = int(np.random.default_rng(seed).integers(5, 201))
        region = random_region(seed, n=n, n_vectors=n_vectors)
        m, processes = random_milp(seed, n)
        inputs = dict(zip(region.inputs, m.x.values(), strict=True))
        result, wall, cpu = timed(
            lambda m=m, r=region, i=inputs: so.solve_over_region(m, r, i, time_limit=LONG_LIMIT)
        )
        sampled = processes.best(candidates(region, inputs, n, seed), -np.inf)
        rows.append(
            row_of(
                n, n_vectors, result.status.value, number(result.objective), number(result.bound),
                number(sampled) if np.isfinite(sampled) else "none", verdict(result, sampled),
                f"{wall:.1f}", f"{cpu:.1f}",
            )
        )  # fmt: skip
    return "\n".join(rows)


def candidates(region: Region, inputs: Mapping[str, pyo.Var], n: int, seed: int) -> np.ndarray:
    """Feasible points: a fine grid in 1 and 2 inputs, 10^5 samples in 3 and 4."""
    if n == 1:
        points = np.linspace(0, 100, 100_001)[:, None]
    elif n == 2:
        axis = np.linspace(0, 100, 401)
        points = np.array(np.meshgrid(axis, axis)).reshape(2, -1).T
    else:
        points = np.random.default_rng(seed).uniform(0, 100, (100_000, n))
    at = np.array([[0.0 if var.value is None else var.value for var in inputs.values()]])
    near = at + np.random.default_rng(seed).normal(0, 0.5, (20_000, n))
    points = np.concatenate([points, np.clip(near, 0, 100), at])
    return points[region.contains(points)]


def verdict(result: so.SolveResult, sampled: float) -> str:
    """Maximisation: the bound is above, and the incumbent not below, what samples reach."""
    if result.objective is None:
        return "agrees" if not np.isfinite(sampled) else "WRONG"
    allowed = 1e-4 * abs(result.objective) + 1e-6
    if sampled > result.bound + allowed:
        return "WRONG: above the bound"
    if sampled > result.objective + max(allowed, abs(result.bound - result.objective)):
        return "WRONG: above the incumbent"
    return "agrees"


if __name__ == "__main__":
    main(sys.argv[1:] or None, show=True)
