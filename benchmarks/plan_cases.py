"""Plans of other plants: many event points, several products, sites, a killed search.

    python benchmarks/plan_cases.py [names of cases]

Demand is drawn between half and one and a half times a mean that is a stated share of what the
plant is known to make.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import stnopt
from stnopt.planning.prove import limits_by_sums, most_by_sums
from stnopt.planning.question import period_questions

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 600.0


def problem(
    plant: Any, horizon: float, periods: int, means: dict[str, float], **changes: Any
) -> stnopt.PlanningProblem:
    """Draw a demand around means; a mean of each product is in stock at the start."""
    rng = np.random.default_rng(1)
    facility = {
        "plant": plant,
        "horizon": horizon,
        "stock": {product: round(mean, 1) for product, mean in means.items()},
        "holding_cost": dict.fromkeys(means, changes.pop("holding", 0.05)),
        **changes.pop("facility", {}),
    }
    demand = [
        {"period": t, "product": p, "amount": float(np.round(mean * rng.uniform(0.5, 1.5), 1))}
        for t in range(1, periods + 1)
        for p, mean in means.items()
    ]
    content = {"periods": periods, "facilities": {"main": facility}, "demand": demand, **changes}
    return stnopt.read_planning_problem(content)


def purge_days(share: float = 0.7) -> stnopt.PlanningProblem:
    """Seven days; the share is of what days of X with Y and days of Y with Z make in turn."""
    most = {"ProductX": 55.0, "ProductY": 116.0, "ProductZ": 60.0}
    means = {product: share * amount for product, amount in most.items()}
    return problem("fine_chemicals_purge", 24, 7, means, backlog_cost=0.2, lost_cost=40)


def paint_days(share: float = 0.8) -> stnopt.PlanningProblem:
    """Seven days of the paint shop; the share is of what sums allow of all three in proportion."""
    file = ROOT / "case_studies" / "shift" / "paint.yaml"
    plant = yaml.safe_load(file.read_text("utf-8"))["plant"]
    paints = ("White", "Blue", "Primer")
    asked = next(iter(period_questions(problem(plant, 24, 1, dict.fromkeys(paints, 1))).values()))
    together = limits_by_sums(asked, most_by_sums(asked))[-1]
    means = {
        paint: share * together.bound / len(paints) / weight
        for paint, weight in zip(asked.products, together.weights, strict=True)
    }
    return problem(plant, 24, 7, means, backlog_cost=0.2, lost_cost=40)


def three_products() -> stnopt.PlanningProblem:
    """ex2 with S5 priced: six periods of 8 h."""
    raw = {"raw_cost": dict.fromkeys(("S1", "S2", "S3"), 5)}
    means = {"S8": 40.0, "S9": 40.0, "S5": 20.0}
    return problem("ex2", 8, 6, means, holding=0.5, facility=raw, backlog_cost=4, lost_cost=40)


def four_products() -> stnopt.PlanningProblem:
    """chu2013: six periods of 900 h; the means are 70 % of a demand that 894 h suffice for."""
    means = {"P1": 70.0, "P2": 70.0, "P3": 35.0, "P4": 35.0}
    return problem("chu2013", 900, 6, means, holding=5, backlog_cost=50, lost_cost=2000)


def two_sites() -> stnopt.PlanningProblem:
    """Two sites over 12 weeks, of the case study."""
    return stnopt.read_planning_problem(ROOT / "case_studies" / "planning" / "two_sites.yaml")


#: Problem, what it is called, and the gap at which its search ends.
CASES: dict[str, tuple[Any, str, float]] = {
    "purge": (purge_days, "fine_chemicals_purge, 7 days of 24 h, 70 % of capacity", 0.15),
    "paint": (paint_days, "paint shop, 7 days of 24 h, 80 % of what sums allow", 0.15),
    "three": (three_products, "ex2, 3 products, 6 periods of 8 h", 0.1),
    "four": (four_products, "chu2013, 4 products, 6 periods of 900 h", 0.1),
    "two_sites": (two_sites, "two sites, 2 products, 12 weeks, transport", 0.02),
}


def plan_case(name: str) -> str:
    """Plan one case; return its row. Two products have their plants traced first."""
    make, said, gap = CASES[name]
    asked = make()
    begun = time.process_time()
    regions = stnopt.trace_regions(asked) if name == "two_sites" else None
    traced = time.process_time() - begun
    begun, clock = time.process_time(), time.perf_counter()
    found = stnopt.find_plan(asked, regions=regions, relative_gap=gap, time_limit=TIME_LIMIT)
    seconds, waited = time.process_time() - begun, time.perf_counter() - clock
    costs = {} if found.verification is None else found.verification.costs
    wanted = sum(row.amount for row in asked.demand)
    lost = 0.0 if found.plan is None else sum(found.plan.lost.values()) / wanted
    cost, bound = (f"{v:.6g}" if v is not None else "-" for v in (found.cost, found.bound))
    share = f"{costs.get('production', 0.0) / found.cost:.0%}" if found.cost else "-"
    own = f"{traced:.0f}" if regions else "-"
    row = (
        f"| {said} | {cost} | {bound} | {found.gap:.2%} | {share} | {lost:.1%} | "
        f"{'yes' if found.verified else 'no'} | {own} | {seconds:.0f} | {waited:.0f} |"
    )
    print(row, file=sys.stderr, flush=True)  # some take minutes
    return row


def killed_and_restarted(kills: tuple[float, ...] = (15.0, 25.0)) -> str:
    """Kill the search of `three` after some seconds, start it again from its store, and count."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "plans.jsonl"
        call = [sys.executable, __file__, "--into", str(store)]
        kept = []
        for seconds in kills:
            process = subprocess.Popen(call, stdout=subprocess.DEVNULL)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            kept.append(_count_lines(store))
        found = stnopt.find_plan(three_products(), relative_gap=0.1, store=store)
        records = [json.loads(line) for line in store.read_text("utf-8").splitlines()[1:]]
    asked = Counter(json.dumps([r["question"], r["key"]]) for r in records if r["kind"] == "answer")
    answered = sum(number > 1 for number in asked.values())
    again = Counter(
        json.dumps({k: v for k, v in r.items() if k != "check"}, sort_keys=True) for r in records
    )
    twice = sum(number > 1 for number in again.values())
    return (
        f"A search killed after {' and '.join(f'{s:g}' for s in kills)} s had left "
        f"{' and '.join(map(str, kept))} records; started again, it ended verified "
        f"({found.gap:.1%}) with {len(records)}. Records that are there twice: {twice}; answers "
        f"that another schedule replaced: {answered}."
    )


def _count_lines(store: Path) -> int:
    return max(0, store.read_bytes().count(b"\n") - 1) if store.exists() else 0


def table(names: list[str] | None = None) -> str:
    """Plan the cases; return the section of the results."""
    lines = [
        "## Plans of other plants",
        "",
        "Demand drawn between half and one and a half times a mean; a mean in stock at the start; "
        "what is late or lost costs more than to make it. One thread, one run; at most 600 s each.",
        "",
        "| plant | plan | bound | gap | production's share of the cost | lost | verified | traced, "
        "CPU s | planned, CPU s | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(plan_case, names or CASES),
    ]
    if not names:
        lines += ["", killed_and_restarted()]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--into"]:
        stnopt.find_plan(three_products(), relative_gap=0.1, store=sys.argv[2])
    else:
        print(table(sys.argv[1:]))
