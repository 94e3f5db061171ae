"""The feasible region: frontiers, labels and samples, each beside the plain way of getting them.

Each of `SECTIONS` is a section of `benchmarks/run.py` and takes minutes; `four_products` takes
longest.
"""

from __future__ import annotations

import resource
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import matplotlib as mpl
import numpy as np
import pandas as pd
from joblib.externals.loky import get_reusable_executor

import stnopt as so
from stnopt.files import files_together

mpl.use("Agg")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BOX = {"S9": (0.0, 110.0), "S8": (0.0, 110.0)}
SETTINGS: dict[str, Any] = {"horizon": 8, "n_events": 5, "max_span": 0}
FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
#: At least so much S9 -> the most S8, from the literature's model.
PUBLISHED = {35.894: 84.322, 47.859: 80.868, 59.823: 76.117, 71.788: 71.305, 83.753: 62.656}
N_PLAIN, N_LABELLED = 20, 2000
N_MANY, N_CHECKED, N_JOBS = 10_000, 300, 2
N_SEEDS, N_SOLVES, N_FRESH = 20, 120, 10_000


@cache
def frontier_of_ex2() -> so.CertifiedRegion:
    """Trace the exact frontier of ex2 at 8 h, once for all sections."""
    return so.trace_frontier(so.load_example("ex2"), products=list(BOX), **SETTINGS)


def trace_two() -> str:
    """Trace the exact frontiers of ex2."""
    network = so.load_example("ex2")
    rows = [
        "| horizon | event points | MILPs | undecided share of the box | CPU s |",
        "|---" * 5 + "|",
    ]
    for horizon, n_events in ((8, 5), (10, 6)):
        started = time.process_time()
        region = (
            frontier_of_ex2()
            if horizon == SETTINGS["horizon"]
            else so.trace_frontier(
                network, products=list(BOX), horizon=horizon, n_events=n_events, max_span=0
            )
        )
        seconds = time.process_time() - started
        rows.append(
            f"| {horizon} | {n_events} | {region.n_solves} | {region.gap:.1e} | {seconds:.0f} |"
        )
    points = ["| S9 at least | S8 certified | S8 out of reach from | published |", "|---" * 4 + "|"]
    for amount, published in PUBLISHED.items():
        known, proven = highest(frontier_of_ex2(), amount)
        points.append(f"| {amount} | {known:.4f} | {proven:.4f} | {published} |")
    coarse = so.trace_frontier(network, products=list(BOX), max_solves=14, **SETTINGS)
    save(coarse, "certified_two_products_14_milps.svg")
    head = ["## The feasible region", "", "### Two products of ex2, exact", ""]
    return "\n".join([*head, *rows, "", "At 8 h:", "", *points])


def highest(region: so.CertifiedRegion, amount: float) -> list[float]:
    """Return the most of the second product that is certified, and the least out of reach."""
    ends = []
    for before in (lambda label: label == -1, lambda label: label != 1):
        low, high = 0.0, 1.1 * float(region.upper[1])
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if before(region.label([[amount, middle]])[0]) else (low, middle)
            )
        ends.append(low)
    return ends


def enclose_three() -> str:
    """Enclose S8, S9 and S5 of ex2 at 10 h."""
    network = so.load_example("ex2")
    return enclose(
        network, ("S8", "S9", "S5"), 0.05, "certified_three_products.png", 10, 6, title="Three"
    )


def enclose_four() -> str:
    """Enclose P1 to P4 of chu2013."""
    network = so.load_example("chu2013")
    return enclose(
        network,
        ("P1", "P2", "P3", "P4"),
        0.1,
        "certified_four_products.svg",
        894,
        7,
        title="Four",
    )


def enclose(
    network: so.Network,
    products: Sequence[str],
    tolerance: float,
    figure: str,
    horizon: float,
    n_events: int,
    *,
    title: str,
) -> str:
    """Enclose a region, and count what plain random labelling needs for the same volume."""
    started = time.process_time()
    region = so.trace_frontier(
        network,
        products=products,
        tolerance=tolerance,
        horizon=horizon,
        n_events=n_events,
        max_span=0,
    )
    seconds = time.process_time() - started
    save(region, figure)
    low, high = region.gap_interval or (region.gap, region.gap)
    plain = [count_plain_labelling(region, seen_as) for seen_as in (-1, 1)]
    return "\n".join(
        [
            f"### {title} products",
            "",
            f"{network.name}, horizon {horizon}, {n_events} event points, {', '.join(products)};"
            f" tolerance {tolerance:g}. Undecided volume of the box: {100 * region.gap:.2f} %, 95 %"
            f" interval {100 * low:.2f} to {100 * high:.2f} % (200,000 fresh uniform targets).",
            "",
            "| way | MILPs | CPU s |",
            "|---|---|---|",
            f"| `trace_frontier` | {region.n_solves} | {seconds:.0f} |",
            f"| random targets and free disposal, to the same volume (simulated) |"
            f" {min(plain)} to {max(plain)} | not shown |",
            "",
            "The simulation reads its answers off the certified region; the two numbers take every"
            " target that is undecided there as feasible, or as infeasible.",
        ]
    )


def count_plain_labelling(region: so.CertifiedRegion, seen_as: int, seed: int = 5) -> int:
    """Count MILPs of random targets, each asked unless earlier answers settle it."""
    rng = np.random.default_rng(seed)
    cloud = region.upper * rng.random((20_000, len(region.upper)))
    left, n_solves = cloud, 0
    met: NDArray[np.float64] = np.zeros((0, len(region.upper)))
    missed = met
    while len(left) > region.gap * len(cloud):
        target = region.upper * rng.random(len(region.upper))
        if np.any(np.all(met >= target, axis=1)) or np.any(np.all(missed <= target, axis=1)):
            continue
        n_solves += 1
        label = int(region.label(target[None, :])[0]) or seen_as
        if label < 0:
            met = np.vstack([met, target])
            left = left[~np.all(left <= target, axis=1)]
        else:
            missed = np.vstack([missed, target])
            left = left[~np.all(left >= target, axis=1)]
    return n_solves


def compare_with_plain_loop() -> str:
    """Time answers that settle their neighbours, against one model per target."""
    network = so.load_example("ex2")
    targets = so.sample_targets(BOX, N_LABELLED, seed=1, method="uniform")
    started = time.process_time()
    labels = [label_alone(network, target) for target in targets[:N_PLAIN].to_dict("records")]
    plain = time.process_time() - started
    started = time.process_time()
    samples = so.label_targets(network, targets, **SETTINGS)
    ours = time.process_time() - started
    if samples.labels[:N_PLAIN].tolist() != labels:
        raise AssertionError("the plain loop and label_targets disagree")
    return "\n".join(
        [
            "### Labels per second",
            "",
            f"ex2, 8 h, 5 event points, uniform targets in [0, 110]^2; the first {N_PLAIN} labels"
            " agree. CPU time of one process.",
            "",
            "| way | targets | MILPs | CPU seconds | labels per CPU second |",
            "|---|---|---|---|---|",
            f"| model rebuilt per target, first solution | {N_PLAIN} | {N_PLAIN} | {plain:.1f} |"
            f" {N_PLAIN / plain:.2f} |",
            f"| `label_targets` | {N_LABELLED} | {samples.scope['n_solves']} | {ours:.1f} |"
            f" {N_LABELLED / ours:.1f} |",
        ]
    )


def label_alone(network: so.Network, target: dict[str, float]) -> int:
    """Label one target with a model of its own."""
    model = so.build_scheduling_model(network, **SETTINGS)
    so.require_targets(model, target)
    so.set_objective(model, "production")
    result = so.solve(model, options={"mip_max_improving_sols": 1})
    if not result.has_solution and result.status is not so.Status.INFEASIBLE:
        raise AssertionError(f"{target}: undecided, {result.message}")
    return -1 if result.has_solution else 1


def label_many() -> str:
    """Label 10,000 targets on two workers; check 300 near the boundary one by one."""
    network, frontier = so.load_example("ex2"), frontier_of_ex2()
    targets = so.sample_targets(BOX, N_MANY, seed=3, method="uniform")
    get_reusable_executor().shutdown(wait=True)
    started, spent = time.perf_counter(), cpu_seconds()
    samples = so.label_targets(network, targets, n_jobs=N_JOBS, **SETTINGS)
    seconds = time.perf_counter() - started
    get_reusable_executor().shutdown(wait=True)  # only then its workers' time is counted
    spent = cpu_seconds() - spent
    near = nearest_to_the_boundary(frontier, targets.to_numpy())[:N_CHECKED]
    alone = [label_alone(network, target) for target in targets.iloc[near].to_dict("records")]
    agree = int(np.sum(samples.labels[near] == alone))
    counts = samples.counts()
    return "\n".join(
        [
            f"### {N_MANY:,} labels",
            "",
            f"ex2, 8 h, 5 event points, uniform targets in [0, 110]^2, {N_JOBS} workers:"
            f" {samples.scope['n_solves']} MILPs, {seconds:.0f} s (wall; {spent:.0f} CPU s in all"
            f" processes, their start included), {counts['undecided']} undecided. Of the"
            f" {N_CHECKED} targets nearest to the boundary, solved one by one with a model of their"
            f" own, {agree} agree ({alone.count(-1)} of them feasible).",
        ]
    )


def cpu_seconds() -> float:
    """CPU time of this process and of those it has waited for."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def nearest_to_the_boundary(
    frontier: so.CertifiedRegion, points: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rows by how much all amounts must be scaled to reach the boundary, least first."""
    low, high = np.zeros(len(points)), np.full(len(points), 1e3)
    for _ in range(60):
        middle = (low + high) / 2
        inside = frontier.label(points * middle[:, None]) == -1
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.argsort(np.abs(low - 1), kind="stable")


def sample_over_seeds() -> str:
    """Measure over seeds what few MILPs teach, and what a certified margin costs."""
    network, frontier = so.load_example("ex2"), frontier_of_ex2()

    def trace_once(*_args: Any, max_solves: int, **_options: Any) -> so.CertifiedRegion:
        assert frontier.n_solves <= max_solves
        return frontier

    errors, vectors, false_feasible, kept = [], [], [], []
    for seed in range(N_SEEDS):
        # The MILPs depend on no seed: they are counted for each, and solved once.
        with patch("stnopt.feasibility.active.trace_frontier", trace_once):
            samples = so.sample_boundary(network, BOX, n_solves=N_SOLVES, seed=seed, **SETTINGS)
        rng = np.random.default_rng([seed, 7])
        points = pd.DataFrame(rng.uniform(0, 110, size=(N_FRESH, 2)), columns=list(BOX))
        truth = frontier.label(points)
        assert np.all(truth != 0)
        fitted = so.fit_region(samples, kernel="rbf", tune=True, seed=seed)
        errors.append(100 * np.mean(fitted.region.contains(points) != (truth == -1)))
        vectors.append(fitted.report.n_support)
        safe = so.fit_region(
            samples, kernel="rbf", tune=True, seed=seed, margin="certified", certified=frontier
        )
        inside = safe.region.contains(points)
        false_feasible.append(int(np.sum(inside & (truth == 1))))
        kept.append(100 * np.sum(inside & (truth == -1)) / np.sum(truth == -1))
    return "\n".join(
        [
            f"### What {samples.scope['n_solves']} MILPs teach, over {N_SEEDS} seeds",
            "",
            f"`sample_boundary(n_solves={N_SOLVES})` on ex2, 8 h, 5 event points, box [0, 110]^2;"
            f" RBF classifier tuned by cross-validation; {N_FRESH:,} fresh uniform targets for each"
            " seed, labelled exactly. The certified margin beside it.",
            "",
            "| | median | worst |",
            "|---|---|---|",
            f"| total error | {np.median(errors):.2f} % | {max(errors):.2f} % |",
            f"| support vectors | {np.median(vectors):.0f} | {max(vectors)} |",
            f"| certified margin: false-feasible targets | {np.median(false_feasible):.0f} |"
            f" {max(false_feasible)} |",
            f"| certified margin: feasible targets kept | {np.median(kept):.2f} % |"
            f" {min(kept):.2f} % |",
        ]
    )


def save(region: so.CertifiedRegion, name: str) -> None:
    """Draw a certified region for the documentation."""
    FIGURES.mkdir(exist_ok=True)
    figure = so.plot_frontier(region).figure
    metadata = {"Date": None} if name.endswith("svg") else {}
    with files_together() as outputs:
        outputs.write_by(FIGURES / name, partial(figure.savefig, dpi=200, metadata=metadata))


SECTIONS = {
    "frontiers": trace_two,
    "three_products": enclose_three,
    "four_products": enclose_four,
    "labels_per_second": compare_with_plain_loop,
    "many_labels": label_many,
    "boundary_samples": sample_over_seeds,
}
