"""Side-by-side timings, single thread: `make bench` writes benchmarks/RESULTS.md.

`python benchmarks/run.py region labels` runs these sections anew and keeps the others. Only ratios
within one section mean anything; a solver that is absent or refuses is "not shown".
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import re
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import drawn_plants
import embedding
import feasibility
import reactor
import scheduling

import stnopt as so

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPEATS = 3
LONG = ("four_products",)  # only when named: `python benchmarks/run.py four_products`
PRODUCTS = ("S9", "S8")


def main(names: Sequence[str]) -> None:
    """Run the named comparisons, by default all but the long ones; tables of others are kept."""
    results = Path(__file__).with_name("RESULTS.md")
    sections = {
        "machine": describe_machine,
        "schedules": scheduling.main,
        "searches": scheduling.time_searches,
        "drawn_plants": drawn_plants.main,
        "labels": time_labelling,
        **feasibility.SECTIONS,
        "reactor": time_reactor,
        "constraints": embedding.main,
    }
    unknown = [name for name in names if name not in sections]
    if unknown:
        raise SystemExit(f"no section {unknown}; choose from {', '.join(sections)}")
    for name in names or [name for name in sections if name not in LONG]:
        text = sections[name]().strip()
        # Read and written after each: an interrupted run keeps what it has, and so do others.
        known = read_sections(results) | {name: text}
        ordered = [f"<!-- {each} -->\n{known[each]}" for each in sections if each in known]
        results.write_text("\n\n".join(ordered) + "\n", encoding="utf-8")
        print(text, end="\n\n", flush=True)


def read_sections(results: Path) -> dict[str, str]:
    """Find the tables that earlier runs wrote, by the comment above each."""
    if not results.exists():
        return {}
    parts = re.split(r"^<!-- (\w+) -->\n", results.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


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
        f"{REPEATS} runs. Ratios within one section are the claim, seconds are not.\n\n"
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
    main(sys.argv[1:])
