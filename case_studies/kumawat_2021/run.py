"""The study of Kumawat & Chaturvedi (2021), from the plant file to the report.

Run `make reproduce`, or this file; everything is written to results/kumawat_2021/.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import report
from tqdm import tqdm

import stnopt as so

A, B = "S9", "S8"  # the paper's products
MODEL = {"horizon": 8.0, "n_events": 6, "max_span": 0}  # hours; event points as in the paper
BOX = {A: (0.0, 110.0), B: (0.0, 110.0)}  # kg; the paper does not print its sampling window
WINDOWS = {
    "full box": BOX,
    "upper half": {A: (0.0, 110.0), B: (40.0, 110.0)},
    "around the edge": {A: (30.0, 80.0), B: (40.0, 110.0)},
    "near the slope": {A: (30.0, 75.0), B: (60.0, 100.0)},
}
N_SAMPLES, N_EXACT, SEED, N_SEEDS = 120, 5000, 0, 20
LEAST_PROFIT = 200.0  # the decision maker's rule
P_MIN = {A: 10.0, B: 10.0}  # kg; P_max is the most of either product alone


def main(results: Path, n_jobs: int) -> None:
    """Run the study: every step hands its result to the next, the report takes them all."""
    started = time.perf_counter()
    labelling = {**MODEL, "n_jobs": n_jobs, "progress": True}
    network = so.load_example("kumawat_2021")

    step("best schedules")
    best = {
        kind: so.find_schedule(network, objective=kind, **MODEL)
        for kind in ("profit", "production")
    }

    step("the exact frontier of what the plant can make at least")
    frontier = so.trace_frontier(network, products=(A, B), progress=True, **MODEL)

    step(f"case 1: {N_SAMPLES} targets labelled by the MILP; a line and a curve between them")
    targets = so.sample_targets(BOX, N_SAMPLES, seed=SEED)
    fresh = so.sample_targets(BOX, N_EXACT, seed=SEED + 1000, method="uniform")
    case_1 = so.label_targets(network, targets, **labelling)
    exact_1 = label_by_frontier(network, frontier, fresh, labelling)
    fits_1 = {
        "linear": so.fit_region(case_1),
        "RBF": so.fit_region(case_1, kernel="rbf"),
        "RBF, tuned": so.fit_region(case_1, kernel="rbf", tune=True),
    }
    windows = {
        name: fit_in_window(network, frontier, window, exact_1, labelling)
        for name, window in tqdm(WINDOWS.items(), unit="window")
    }
    seeds = [
        fit_seed(network, frontier, seed, exact_1, labelling)
        for seed in tqdm(range(N_SEEDS), unit="seed")
    ]

    step("case 1: the line as a constraint of the scheduling model")
    line = fits_1["linear"].region
    constrained = {kind: optimise_in_region(network, line, kind) for kind in best}

    step(f"case 2: targets made exactly, with a profit of at least {LEAST_PROFIT:g}")
    rule = f"profit >= {LEAST_PROFIT:g}"
    case_2 = so.label_targets(network, targets, require=rule, **labelling)
    exact_2 = label_by_rule(network, frontier, fresh, rule, labelling)
    fits_2 = {
        "RBF": so.fit_region(case_2, kernel="rbf"),
        "RBF, tuned": so.fit_region(case_2, kernel="rbf", tune=True),
    }

    step("case 2: least raw-material cost inside the learned region, certified")
    p_max = dict(zip((A, B), frontier.upper.tolist(), strict=True))
    certified = {name: minimise_cost(network, p_max, fit.region) for name, fit in fits_2.items()}
    capped = minimise_cost(network, p_max)
    local = solve_locally(network, p_max, fits_2["RBF, tuned"].region)

    step("figures and report")
    inputs = {
        "model": MODEL, "box": BOX, "windows": WINDOWS, "seed": SEED, "p_min": P_MIN,
        "p_max": p_max, "least_profit": LEAST_PROFIT,
    }  # fmt: skip
    report.write(
        results,
        inputs=inputs,
        network=network,
        best=best,
        frontier=frontier,
        case_1=(case_1, exact_1, fits_1),
        windows=windows,
        seeds=seeds,
        constrained=constrained,
        case_2=(case_2, exact_2, fits_2),
        certified=certified,
        capped=capped,
        local=local,
        seconds=time.perf_counter() - started,
    )


def step(what: str) -> None:
    """Say what comes next."""
    print(f"\n== {what}", flush=True)


def label_by_frontier(network, frontier, targets, labelling):
    """Label targets by the certified frontier, and by the MILP where it is undecided."""
    labels = frontier.label(targets)
    unknown = np.flatnonzero(labels == 0)
    if len(unknown):
        labels[unknown] = so.label_targets(network, targets.iloc[unknown], **labelling).labels
    return so.TargetSamples(targets=targets, labels=labels, scope=frontier.scope)


def label_by_rule(network, frontier, targets, rule, labelling):
    """Label targets under a rule: what cannot be met at least cannot be made exactly either."""
    labels = frontier.label(targets)
    open_ones = np.flatnonzero(labels != 1)
    asked = so.label_targets(network, targets.iloc[open_ones], require=rule, **labelling)
    labels[open_ones] = asked.labels
    return so.TargetSamples(targets=targets, labels=labels, scope=asked.scope)


def fit_in_window(network, frontier, window, everywhere, labelling):
    """Fit a line to targets from one window; score it on fresh ones there and in the full box."""
    targets = so.sample_targets(window, N_SAMPLES, seed=SEED)
    fit = so.fit_region(label_by_frontier(network, frontier, targets, labelling))
    fresh = so.sample_targets(window, N_EXACT, seed=SEED + 1000, method="uniform")
    inside = label_by_frontier(network, frontier, fresh, labelling)
    return fit, so.score_region(fit.region, inside), so.score_region(fit.region, everywhere)


def fit_seed(network, frontier, seed, everywhere, labelling):
    """Score the tuned curve that another seed's 120 targets give."""
    targets = so.sample_targets(BOX, N_SAMPLES, seed=seed)
    samples = label_by_frontier(network, frontier, targets, labelling)
    return so.score_region(so.fit_region(samples, kernel="rbf", tune=True).region, everywhere)


def optimise_in_region(network, region, objective):
    """Case 1: the scheduling model with the line as one more constraint stays a MILP."""
    milp = so.build_scheduling_model(network, **MODEL)
    so.set_objective(milp, objective)
    so.add_region_constraint(milp, region, {p: milp.final_stock[p] for p in region.inputs})
    return so.solve(milp), so.extract_schedule(milp, network)


def build_case_2(network, p_max):
    """Case 2 without its region: least raw-material cost, P_min <= P <= P_max (eq. 17 and 19)."""
    milp = so.build_scheduling_model(network, **MODEL)
    so.set_objective(milp, "cost")
    so.require_targets(milp, P_MIN)
    milp.p_max = pyo.Constraint(list(p_max), rule=lambda m, p: m.final_stock[p] <= p_max[p])
    return milp


def minimise_cost(network, p_max, region=None):
    """Case 2 with the learned region (eq. 18); or, without one, with the profit as a constraint."""
    milp = build_case_2(network, p_max)
    if region is None:
        so.require_value(milp, "profit", at_least=LEAST_PROFIT)
        result = so.solve(milp)
    else:
        products = {p: milp.final_stock[p] for p in region.inputs}
        result = so.solve_over_region(milp, region, products, progress=True)
    return result, so.extract_schedule(milp, network)


def solve_locally(network, p_max, region):
    """Case 2 as an NLP, the batches of the plain MILP's answer kept, if a solver is at hand."""
    milp = build_case_2(network, p_max)
    so.require_value(milp, "profit", at_least=LEAST_PROFIT)
    so.solve(milp)
    milp.required_profit.deactivate()
    so.add_region_constraint(milp, region, {p: milp.final_stock[p] for p in region.inputs})
    for var in milp.component_data_objects(pyo.Var):
        if var.is_binary():
            var.fix()
    for solver in ("ipopt", "scip"):
        try:
            return solver, so.solve(milp, solver=solver, time_limit=60)
        except so.SolverUnavailableError:
            continue
    return None, None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/kumawat_2021"))
    parser.add_argument("--jobs", type=int, default=2, help="processes for labelling")
    arguments = parser.parse_args()
    main(arguments.results, arguments.jobs)
