"""Side-by-side timings in one run, single thread: `make bench` writes benchmarks/RESULTS.md.

Only ratios within one run mean anything; a solver that is absent or refuses is "not shown".
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import embedding
import feasibility
import reactor
import scheduling

import stnopt as so

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 3
PRODUCTS = ("S9", "S8")


def main() -> None:
    """Run every comparison and write the tables."""
    sections = (
        describe_machine,
        scheduling.main,
        time_labelling,
        feasibility.main,
        time_reactor,
        embedding.main,
    )
    results = Path(__file__).with_name("RESULTS.md")
    text = ""
    for section in sections:  # written after each, so that an interrupted run keeps what it has
        text += section().strip() + "\n\n"
        results.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(text)


def describe_machine() -> str:
    """State versions and machine."""
    packages = []
    for name in ("pyomo", "highspy", "scikit-learn", "numpy", "pyscipopt", "gurobipy"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return (
        "# Benchmarks\n\nMade by `make bench`; one thread, medians of "
        f"{REPEATS} runs. Ratios within one run are the claim, seconds are not.\n\n"
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        + ", ".join(packages)
        + "."
    )


def median_time(run: Callable[[], object], repeats: int = REPEATS) -> tuple[float, object]:
    """Return the median of the wall times and the last answer."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        answer = run()
        times.append(time.perf_counter() - started)
    return statistics.median(times), answer


def time_labelling() -> str:
    """120 targets: one answer settling many, against one model and one solve per target."""
    network = so.load_example("kumawat_2021")
    targets = so.sample_targets(dict.fromkeys(PRODUCTS, (0.0, 110.0)), 120, seed=0)
    model = {"horizon": 8.0, "n_events": 5, "max_span": 0}

    def plain() -> list[int]:
        labels = []
        for _, target in targets.iterrows():
            milp = so.build_scheduling_model(network, **model)
            so.require_targets(milp, target.to_dict())
            labels.append(-1 if so.solve(milp).has_solution else 1)
        return labels

    settled, samples = median_time(lambda: so.label_targets(network, targets, **model))
    one_by_one, labels = median_time(plain, repeats=1)
    agree = int((samples.labels == labels).sum())
    return f"""## Labels per second

120 targets on `kumawat_2021`, 5 event points; {agree} of 120 labels agree.

| method | MILP questions | seconds | labels per second |
|---|---|---|---|
| `label_targets` | {samples.scope["n_solves"]} | {settled:.1f} | {120 / settled:.1f} |
| model rebuilt and solved per target | 120 | {one_by_one:.1f} | {120 / one_by_one:.1f} |

Ratio: {one_by_one / settled:.1f}."""


def time_reactor() -> str:
    """Return what the reactor's own benchmark prints: speed, accuracy and drift, side by side."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        reactor.main(["speed", "accuracy", "drift"])
    return f"## reactor_yield\n\n```\n{printed.getvalue().strip()}\n```"


if __name__ == "__main__":
    main()
