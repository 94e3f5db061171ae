"""Plans for one plant over 12 weeks, two plants over 12 with transport, and a season of 52.

    python case_studies/planning/run.py [one_site two_sites season]

The problems are in the YAML files beside this one, their demand in the tables. Each plan ends with
a replayed schedule for every week, and with a bound that no plan is below.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import stnopt

HERE = Path(__file__).parent
#: Gap at which each is done: the season's plan has as many weeks for the same few questions.
GAPS = {"one_site": 0.01, "two_sites": 0.02, "season": 0.02}
TIME_LIMIT = 300.0


def plan(name: str) -> stnopt.PlanSearch:
    """Trace the plants, plan, and say what is known."""
    problem = stnopt.read_planning_problem(HERE / f"{name}.yaml")
    begun = time.process_time()
    regions = stnopt.trace_regions(problem)
    traced = time.process_time() - begun
    search = stnopt.find_plan(
        problem, regions=regions, relative_gap=GAPS[name], time_limit=TIME_LIMIT
    )
    seconds = time.process_time() - begun - traced
    print(f"\n{name}: {len(problem.periods)} weeks at {', '.join(problem.facilities)}")
    print(f"  traced in {traced:.1f} CPU s, planned in {seconds:.1f} CPU s ({search.stopped})")
    if search.plan is None:
        return search
    print(f"  {search.verification}")
    costs = {kind: cost for kind, cost in search.verification.costs.items() if abs(cost) > 0.5}
    print("  " + ", ".join(f"{kind} {cost:.0f}" for kind, cost in costs.items()))
    if search.cost is not None and search.bound is not None:
        print(f"  cost {search.cost:.1f}, none below {search.bound:.1f}: gap {search.gap:.2%}")
    made = search.plan.to_frame()
    by_site = made.groupby(["facility", "product"])["amount"].sum()
    for (facility, product), amount in by_site.items():
        print(f"  {facility} makes {amount:.0f} kg of {product}")
    return search


def run(names: list[str]) -> dict[str, stnopt.PlanSearch]:
    """Plan what is named, by default everything."""
    return {name: plan(name) for name in names or GAPS}


if __name__ == "__main__":
    run(sys.argv[1:])
