"""Side-by-side timings, single thread: `make bench` writes benchmarks/RESULTS.md.

`python benchmarks/run.py frontiers many_labels` runs these sections anew and keeps the others. Only
ratios within one section mean anything; a solver that is absent or refuses is "not shown".
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import drawn_plants
import drawn_searches
import embedding
import feasibility
import horizons
import plan_cases
import plan_regions
import planning
import reactor
import scheduling

from stnopt.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Only when named: `python benchmarks/run.py four_products`. The drawn searches are run before.
LONG = ("four_products", "drawn_searches", "plan_cases", "plan_regions")


def main(names: Sequence[str]) -> None:
    """Run the named comparisons, by default all but the long ones; tables of others are kept."""
    results = Path(__file__).with_name("RESULTS.md")
    sections = {
        "machine": describe_machine,
        "schedules": scheduling.main,
        "searches": scheduling.time_searches,
        "horizons": horizons.main,
        "drawn_plants": drawn_plants.main,
        "drawn_searches": drawn_searches.table,
        **feasibility.SECTIONS,
        "plans": planning.table,
        "plan_cases": plan_cases.table,
        "plan_regions": plan_regions.table,
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
        write_text(results, "\n\n".join(ordered) + "\n")
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
        "# Benchmarks\n\nMade by `make bench`; one thread and one run where a section does not say "
        "otherwise. Ratios within one section are the claim, seconds are not.\n\n"
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        + ", ".join(packages)
        + "."
    )


def time_reactor() -> str:
    """Return what the reactor's own benchmark prints: speed, accuracy and drift, side by side."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        reactor.main(["speed", "accuracy", "drift"])
    return f"## reactor_yield\n\n```\n{printed.getvalue().strip()}\n```"


if __name__ == "__main__":
    main(sys.argv[1:])
