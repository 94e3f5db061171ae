"""Figures, tables and report.md of the study: it reads results and computes nothing new."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import stnopt as so
from stnopt.feasibility.samples import wilson_interval
from stnopt.files import FilesTogether, files_together

if TYPE_CHECKING:
    from pathlib import Path

mpl.use("Agg")

A, B = "S9", "S8"
NAMES = {A: "A", B: "B"}
PAPER_ACCURACY = 0.98


def write(results: Path, **found) -> None:
    """Write report.md, the figures, the samples, the schedules and the learned regions."""
    results.mkdir(parents=True, exist_ok=True)
    sections = [
        describe_inputs(found),
        describe_comparison(found),
        describe_case_1(found),
        describe_case_2(found),
        describe_proofs(found),
    ]
    with files_together() as outputs:
        draw_figures(outputs, results, found)
        save_tables(outputs, results, found)
        outputs.write_text(results / "report.md", "\n\n".join(sections) + "\n")
    print(f"report: {results / 'report.md'}")


def draw_figures(outputs: FilesTogether, results: Path, found: dict) -> None:
    """Draw the paper's figures 2a, 2b, 3a and 3b, a Gantt chart and the stock profiles."""
    network, frontier = found["network"], found["frontier"]
    case_1, _, fits_1 = found["case_1"]
    case_2, exact_2, fits_2 = found["case_2"]
    bounds = found["inputs"]["box"]
    schedule = found["best"]["profit"].schedule

    save(outputs, so.plot_network(network), results / "figure_2a_network")
    save(outputs, name_axes(so.plot_samples(case_1)), results / "figure_2b_samples")
    for name, kind in (("linear", "linear"), ("RBF, tuned", "rbf")):
        ax = so.plot_region(fits_1[name].region, samples=case_1, bounds=bounds)
        if kind == "linear":
            ring_support_vectors(ax, fits_1[name])
        so.plot_frontier(frontier, ax=ax)
        name_axes(ax)
        save(outputs, ax, results / f"figure_3a_case_1_{kind}")
    ax = so.plot_region(fits_2["RBF, tuned"].region, samples=case_2, bounds=bounds)
    feasible = exact_2.targets[exact_2.labels == -1]
    ax.scatter(
        feasible[A], feasible[B], s=2, color="#009E73", alpha=0.5, linewidths=0, zorder=1,
        label="exactly labelled feasible",
    )  # fmt: skip
    _, optimum = found["certified"]["RBF, tuned"]
    ax.scatter(
        *[optimum.final_stock[p] for p in (A, B)], marker="*", s=90, color="#E69F00",
        edgecolors="black", linewidths=0.5, zorder=6, label="least raw-material cost",
    )  # fmt: skip
    so.plot_frontier(frontier, ax=ax)
    redraw_legend(name_axes(ax))
    save(outputs, ax, results / "figure_3b_case_2_rbf")
    save(outputs, so.plot_gantt(schedule, network=network), results / "gantt_best_profit")
    save(outputs, so.plot_stock(schedule, network=network), results / "stock_best_profit")
    save(outputs, so.plot_gantt(optimum, network=network), results / "gantt_case_2")

    _, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), width_ratios=(1, 1.3))
    so.plot_region(fits_1["RBF, tuned"].region, samples=case_1, bounds=bounds, ax=left)
    so.plot_frontier(frontier, ax=left)
    name_axes(left)
    so.plot_gantt(schedule, network=network, ax=right)
    left.figure.tight_layout()
    save(outputs, left, results / "overview")


def name_axes(ax):
    """Name the paper's products on the axes of a figure of targets, beside the plant's states."""
    for product in NAMES:
        for label in (ax.xaxis.label, ax.yaxis.label):
            text = label.get_text()
            if text.startswith(product):
                label.set_text(text.replace(product, f"product {NAMES[product]}, {product}", 1))
    return ax


def ring_support_vectors(ax, fit) -> None:
    """Ring a linear classifier's support vectors, which its region does not carry."""
    ax.scatter(
        *fit.support_vectors.T, s=42, facecolors="none", edgecolors="black", linewidths=0.6,
        zorder=4, label="support vector",
    )  # fmt: skip
    redraw_legend(ax)


def redraw_legend(ax) -> None:
    """Add late artists to the legend that stands above the data."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=6, frameon=False)


def save(outputs: FilesTogether, ax, path: Path) -> None:
    """Save a figure for print and for the screen."""
    for suffix in (".pdf", ".png"):
        outputs.write_by(
            path.with_suffix(suffix),
            lambda aside: ax.figure.savefig(aside, dpi=200, bbox_inches="tight"),
        )
    plt.close(ax.figure)


def save_tables(outputs: FilesTogether, results: Path, found: dict) -> None:
    """Save what others may want to use again: labels, schedules, regions with their algebra."""
    for case in ("case_1", "case_2"):
        samples, exact, fits = found[case]
        outputs.write_by(results / f"{case}_samples.csv", samples.to_csv)
        outputs.write_by(results / f"{case}_exact.csv", exact.to_csv)
        for name, fit in fits.items():
            stem = results / f"{case}_{name.lower().replace(', ', '_')}"
            outputs.write_by(stem.with_suffix(".json"), fit.region.to_json)
            text = (
                f"{fit.report}\n\n{fit.region.equation('text')}\n\n{fit.region.equation('latex')}\n"
            )
            outputs.write_text(stem.with_suffix(".txt"), text)
    outputs.write_text(results / "frontier.csv", found["frontier"].points.to_csv(index=False))
    for name, schedule in (
        ("best_profit", found["best"]["profit"].schedule),
        ("best_production", found["best"]["production"].schedule),
        ("case_2", found["certified"]["RBF, tuned"][1]),
    ):
        outputs.write_text(
            results / f"schedule_{name}.csv", schedule.to_frame().to_csv(index=False)
        )


def describe_inputs(found: dict) -> str:
    """State what the paper leaves out and the study had to choose."""
    inputs, network = found["inputs"], found["network"]
    states = network.states.values()
    prices = ", ".join(f"{s.name} {s.price:g}" for s in states if s.price)
    costs = ", ".join(f"{s.name} {s.cost:g}" for s in states if s.cost)
    box = ", ".join(f"{p} in [{low:g}, {high:g}] kg" for p, (low, high) in inputs["box"].items())
    limits = ", ".join(
        f"{inputs['p_min'][p]:g} <= {p} <= {inputs['p_max'][p]:.2f} kg" for p in (A, B)
    )
    versions = ", ".join(f"{p} {version(p)}" for p in ("pyomo", "highspy", "scikit-learn"))
    return f"""# Kumawat & Chaturvedi (2021), reproduced

Product A is state {A}, product B is state {B}. **Inputs that the paper does not print, chosen
here:** prices per kg: {prices}; raw-material costs per kg: {costs}; sampling window: {box}; in
case 2 {limits} (the upper limits are the most of either product alone).
{len(found["case_1"][0].labels)} targets are a Sobol sequence with seed {inputs["seed"]};
accuracies are also given on
{len(found["case_1"][1].labels)} fresh, exactly labelled targets. Event points:
{found["frontier"].scope["n_events"]}, as in the paper; horizon: 8 h. Solved by HiGHS alone.

Python {platform.python_version()}, {versions}; {found["seconds"]:.0f} s in all."""


def describe_comparison(found: dict) -> str:
    """Set every number of the paper beside ours."""
    profit, production = (found["best"][k] for k in ("profit", "production"))
    stock, heavy = profit.schedule.final_stock, production.schedule.final_stock
    mass = stock[A] + stock[B]
    case_1, exact_1, fits_1 = found["case_1"]
    network, inputs = found["network"], found["inputs"]
    raw = [s.name for s in network.states.values() if s.unlimited]
    line = fits_1["linear"]
    line_score = so.score_region(line.region, exact_1)
    reached = [
        f"{name} {100 * inside.accuracy:.1f} %"
        for name, (_, inside, _) in found["windows"].items()
        if inside.accuracy >= 0.98
    ]
    best_window = max(found["windows"].items(), key=lambda w: w[1][1].accuracy)
    cost = found["certified"]["RBF, tuned"][0]
    capped, capped_schedule = found["capped"]
    same = abs(stock[A] - 87.75) < 0.01 and abs(stock[B] - 52.0) < 0.01
    rows = [
        (
            "products / raw materials",
            "2 / 3",
            f"{len(network.products)} / {len(raw)}",
            "reproduced",
        ),
        (
            "event points, horizon",
            "6, 8 h",
            f"{profit.n_events}, {inputs['model']['horizon']:g} h",
            "reproduced",
        ),
        (
            "\"maximum production\"",
            "139.75 kg = 87.75 A + 52 B",
            f"{mass:.2f} kg = {stock[A]:.2f} A + {stock[B]:.2f} B",
            ("reproduced" if same else "differs")
            + f" as the schedule of maximum *profit* ({profit.result.objective:.2f}); the maximum "
            f"*mass* is {production.result.objective:.2f} kg = {heavy[A]:.2f} A + {heavy[B]:.2f} B",
        ),
        ("targets labelled", "120", f"{len(case_1.labels)}", f"reproduced: {counts(case_1)}"),
        (
            "kernel of case 1",
            "linear, default parameters",
            f"linear, C = {line.report.C:g}",
            "reproduced",
        ),
        (
            "accuracy of the line, test split",
            "98 %",
            f"{test_split(line.report)} (exact: {100 * line_score.accuracy:.1f} %)",
            f"{like_for_like(line.report)}; on the full box the region is not linearly separable; "
            "a line reaches "
            + (
                f"98 % when the targets come from a window near the slope ({'; '.join(reached)})"
                if reached
                else f"at most {100 * best_window[1][1].accuracy:.1f} % ({best_window[0]})"
            ),
        ),
        (
            "least profit of case 2",
            "200 $",
            f"{inputs['least_profit']:g}",
            "reproduced as a rule; its scale depends on prices that the paper does not print",
        ),
        (
            "least raw-material cost",
            "710.67 $",
            f"{cost.objective:.2f} (proven: at least {cost.bound:.2f})",
            "cannot be checked because the paper does not print prices, costs, the sampling "
            "window, P_min or P_max",
        ),
        (
            "profit as a plain constraint",
            "ends in a single product combination",
            f"{capped_schedule.final_stock[A]:.2f} A + {capped_schedule.final_stock[B]:.2f} B at "
            f"cost {capped.objective:.2f}",
            "reproduced: one point, and no region to choose from",
        ),
    ]  # fmt: skip
    table = ["| number | paper | here | verdict |", "|---|---|---|---|"]
    table += [f"| {' | '.join(row)} |" for row in rows]
    return "## Every number of the paper\n\n" + "\n".join(table)


def describe_case_1(found: dict) -> str:
    """Report accuracies on the test split and on exact labels, window by window, seed by seed."""
    samples, exact, fits = found["case_1"]
    errors = np.array([score.total_error for score in found["seeds"]])
    false_feasible = np.array([score.false_feasible_rate for score in found["seeds"]])
    windows = [
        "| window | test split | exact, in the window | exact, full box |",
        "|---|---|---|---|",
    ]
    for name, (fit, inside, everywhere) in found["windows"].items():
        box = ", ".join(
            f"{NAMES[p]} {low:g}-{high:g}"
            for p, (low, high) in found["inputs"]["windows"][name].items()
        )
        windows.append(
            f"| {name} ({box}) | {100 * fit.report.accuracy:.1f} % | {100 * inside.accuracy:.2f} % "
            f"| {100 * everywhere.accuracy:.2f} % |"
        )
    inside = [
        f"- maximum {kind}: {result.objective:.2f} (bound {result.bound:.2f}) at "
        f"{schedule.final_stock[A]:.2f} kg A and {schedule.final_stock[B]:.2f} kg B; without the "
        f"line {found['best'][kind].result.objective:.2f}"
        for kind, (result, schedule) in found["constrained"].items()
    ]
    return f"""## Case 1: at least these amounts

Labels: {counts(samples)}; {samples.scope["n_solves"]} MILP questions settled all of them.

{accuracy_table(exact, fits)}

The tuned RBF over {len(errors)} seeds of the sampler, {len(samples.labels)} labels each, tuned by
cross-validation alone, on the {len(exact.labels)} exact labels of the full box: total error
**median {100 * np.median(errors):.2f} %, worst {100 * errors.max():.2f} %**; false-feasible median
{100 * np.median(false_feasible):.2f} %, worst {100 * false_feasible.max():.2f} %.

How far a line carries depends on where the 120 targets lie (default parameters, seed
{found["inputs"]["seed"]}):

{chr(10).join(windows)}

The line as a constraint of the scheduling model (a MILP, optimal within 1e-4):

{chr(10).join(inside)}"""


def describe_case_2(found: dict) -> str:
    """Report the certified optimum, its schedule, and the paper's own comparison."""
    samples, exact, fits = found["case_2"]
    network, rule = found["network"], samples.scope["require"]
    lines = []
    for name, (result, schedule) in found["certified"].items():
        region = fits[name].region
        point = np.array([[schedule.final_stock[p] for p in region.inputs]])
        decision = float(region.decision(point)[0])
        profit = so.schedule_value(schedule, network, "profit")
        lines.append(
            f"- **{name}**: cost {result.objective:.3f}, bound {result.bound:.3f} (gap "
            f"{result.gap:.1e}; {result.n_nodes} boxes, {result.n_solves} solves, "
            f"{result.wall_time:.1f} s) at {point[0][region.inputs.index(A)]:.2f} kg A and "
            f"{point[0][region.inputs.index(B)]:.2f} kg B. Decision {decision:.2e} (<= 0), replay: "
            f"{len(so.find_violations(schedule, network))} violations. Its schedule earns "
            f"{profit:.2f}: the rule {rule} "
            + ("holds." if profit >= found["inputs"]["least_profit"] - 1e-4 else "is missed, "
               "because the learned region reaches past the true one there.")
        )  # fmt: skip
    capped, schedule = found["capped"]
    solver, answer = found["local"]
    if solver is None:
        local = "not shown (no NLP solver here)"
    elif answer.objective is None:
        local = f"none ({solver}: {answer.status.value}; these batches do not reach the region)"
    else:
        local = f"cost {answer.objective:.3f} ({solver}: {answer.status.value})"
    return f"""## Case 2: exactly these amounts, with {rule}

Labels: {counts(samples)}; {samples.scope["n_solves"]} MILP questions. The {len(exact.labels)} exact
labels took {exact.scope["n_solves"]} more, beside the frontier.

{accuracy_table(exact, fits)}

Least raw-material cost inside the learned region (branch and bound over the two targets, HiGHS
only):

{chr(10).join(lines)}
- The paper's comparison, the plain MILP with the rule itself as a constraint: cost
  {capped.objective:.3f} (bound {capped.bound:.3f}) at {schedule.final_stock[A]:.2f} kg A and
  {schedule.final_stock[B]:.2f} kg B. A single product mix.
- A local NLP answer with the plain MILP's batches kept: {local}."""


def describe_proofs(found: dict) -> str:
    """Say what the figures claim and for what."""
    frontier = found["frontier"]
    equation = found["case_1"][2]["linear"].region.equation("text")
    return f"""## What is proven, and for what

- The frontier: {frontier.n_solves} MILPs leave {frontier.gap:.1e} of its box undecided. All proofs
  hold for {frontier.scope["n_events"]} event points without spans.
- Every schedule was replayed in continuous time without violations before it was used.
- Misprints of the paper and our reading of its equations: docs/paper.md.

The line of case 1 (infeasible where positive):

    {equation}

Figures: figure_2a_network, figure_2b_samples, figure_3a_case_1_linear, figure_3a_case_1_rbf,
figure_3b_case_2_rbf, gantt_best_profit, stock_best_profit, gantt_case_2 (png and pdf)."""


def accuracy_table(exact, fits) -> str:
    """Tabulate accuracy on the test split and on exact labels, the two errors apart."""
    rows = [
        "| classifier | support vectors | test split | exact labels | false feasible "
        "| false infeasible |",
        "|---|---|---|---|---|---|",
    ]
    for name, fit in fits.items():
        score = so.score_region(fit.region, exact)
        rows.append(
            f"| {name} (C = {fit.report.C:g}) | {fit.report.n_support} "
            f"| {100 * fit.report.accuracy:.1f} % | {100 * score.accuracy:.2f} % "
            f"| {share(score.n_false_feasible, score.n_infeasible)} "
            f"| {share(score.n_false_infeasible, score.n_feasible)} |"
        )
    return "\n".join(rows)


def test_split(report) -> str:
    """Write the accuracy on held-out targets with its counts and 95 % Wilson interval."""
    right = round(report.accuracy * report.n_test)
    low, high = wilson_interval(right, report.n_test)
    return (
        f"{100 * report.accuracy:.1f} %, {right} of {report.n_test}: {100 * low:.0f} to "
        f"{100 * high:.0f} %"
    )


def like_for_like(report) -> str:
    """Compare the paper's 98 % with what so few targets can show."""
    n = report.n_test
    nearest = sorted(range(n + 1), key=lambda right: abs(right / n - PAPER_ACCURACY))[:2]
    shares = " and ".join(f"{100 * right / n:.1f} %" for right in sorted(nearest))
    low, high = wilson_interval(round(report.accuracy * n), n)
    inside = "inside" if low <= PAPER_ACCURACY <= high else "outside"
    return f"98 % is {inside} that interval, and {n} targets give {shares} but nothing between"


def share(part: int, whole: int) -> str:
    """Write a rate with its counts."""
    return f"{100 * part / whole:.2f} % ({part} of {whole})"


def counts(samples) -> str:
    """Write how many targets carry each label."""
    return ", ".join(f"{n} {label}" for label, n in samples.counts().items())
