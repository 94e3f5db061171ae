"""Which region to plan with: first plans that fail, and what the others cost, on random demand.

    python benchmarks/plan_regions.py [patterns]

Every kind of region makes its first plan for each pattern by `build_planning_model`. A plan fails
if a period of it is certified infeasible or finds no schedule; what the rest costs at its schedules
is set beside the plan of the certified region.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import yaml
from plan_replay import problems_of, spoilt

import stnopt
from stnopt.files import write_text
from stnopt.planning.asked_plan import OnePlan
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.question import period_questions
from stnopt.planning.report import plan_tables
from stnopt.planning.store import PlanStore
from stnopt.planning.verify import check_plan

PLANT = yaml.safe_load((files("stnopt") / "plant" / "examples" / "ex2.yaml").read_text("utf-8"))
PRODUCTS, HORIZON, PERIODS = ("S8", "S9"), 8.0, 3


def pattern(seed: int) -> stnopt.PlanningProblem:
    """Draw a demand around the plant's capacity, and costs of backlog and loss."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(50, 80)
    return stnopt.read_planning_problem(
        {
            "periods": PERIODS,
            "facilities": {
                "main": {
                    "plant": "ex2",
                    "horizon": HORIZON,
                    "raw_cost": dict.fromkeys(("S1", "S2", "S3"), 5),
                    "holding_cost": dict.fromkeys(PRODUCTS, 0.5),
                }
            },
            "demand": [
                {
                    "period": t,
                    "product": p,
                    "amount": float(np.round(mean * rng.uniform(0.4, 1.6), 1)),
                }
                for t in range(1, PERIODS + 1)
                for p in PRODUCTS
            ],
            "backlog_cost": 4,
            "lost_cost": 40,
        }
    )


def learn() -> dict[str, object]:
    """Trace the plant, label 120 targets, fit three classifiers; CPU seconds are printed."""
    plant = stnopt.load_example("ex2")
    begun = time.process_time()
    certified = stnopt.trace_frontier(plant, horizon=HORIZON, products=list(PRODUCTS))
    print(f"traced: {time.process_time() - begun:.1f} CPU s")
    begun = time.process_time()
    targets = stnopt.sample_targets({p: (0, 110) for p in PRODUCTS}, 120, seed=1)
    samples = stnopt.label_targets(plant, targets, horizon=HORIZON)
    print(f"120 targets labelled: {time.process_time() - begun:.1f} CPU s")
    return {
        "linear": stnopt.fit_region(samples).region,
        "RBF": stnopt.fit_region(samples, kernel="rbf", C=100).region,
        "RBF, certified margin": stnopt.fit_region(
            samples, kernel="rbf", C=100, margin="certified", certified=certified
        ).region,
        "certified": certified,
    }


def plan_first(
    problem: stnopt.PlanningProblem, region: object
) -> tuple[stnopt.Plan | None, pd.DataFrame | None]:
    """Make the plan that a region's planning model gives, and a table of its production."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extrapolation: the box is in the model
        model = stnopt.build_planning_model(problem, regions={"main": region})
    result = stnopt.solve(model, relative_gap=1e-4, time_limit=60)
    if not result.has_solution:
        return None, None
    plan = stnopt.extract_plan(model, problem)
    made = plan.to_frame().pivot_table(
        index="period", columns="product", values="amount", fill_value=0.0
    )
    return plan, made.reindex(columns=list(PRODUCTS), fill_value=0.0)


@dataclass(slots=True)
class Replays:
    """Saved schedules, and spoilt ones, that a program of its own was given."""

    rng: Random = field(default_factory=lambda: Random(1))
    given: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        plan: stnopt.Plan,
        verified: stnopt.Verification,
        problem: stnopt.PlanningProblem,
        folder: Path,
    ) -> None:
        """Save a verified plan's tables, read them back, and replay every period."""
        for name, written in plan_tables(plan, verified, problem).items():
            write_text(folder / f"{name}.csv", written.to_csv(index=False))
        schedules = pd.read_csv(folder / "schedules.csv")
        balance = pd.read_csv(folder / "balance.csv")
        for period, batches in schedules.groupby("period"):
            rows = balance[balance["period"] == period]
            made = dict(zip(rows["product"], rows["made"], strict=True))
            self._judge("as they are", batches, made)
            for what, spoiled in spoilt(batches, made, PLANT, self.rng).items():
                self._judge(what, spoiled, made)

    def _judge(self, what: str, batches: pd.DataFrame, made: dict[str, float]) -> None:
        self.given[what] += 1
        self.rejected[what] += bool(problems_of(batches, made, PLANT, HORIZON))


def table(n: int = 50) -> str:
    """Plan every pattern with every region; return the section of the results."""
    regions = learn()
    certified = regions["certified"]
    rows, replays = [], Replays()
    for seed in range(n):
        problem = pattern(seed)
        questions = period_questions(problem)
        book = KnowledgeBook(PlanStore(None))
        for question in questions.values():
            book.learn(question, certified)
        settle = OnePlan(problem=problem, questions=questions).settle
        for name, region in regions.items():
            plan, made = plan_first(problem, region)
            if plan is None or made is None:
                rows.append((seed, name, "none", np.nan))
                continue
            # within the replay's tolerance below: a MILP's own tolerance is no failure
            labels = certified.label(made[list(certified.products)].to_numpy() - 1e-4)
            if np.any(labels == 1):
                rows.append((seed, name, "fails", np.nan))
                continue
            verified = check_plan(plan, questions, book, settle=settle, time_limit=20)
            rows.append((seed, name, "holds" if verified.verified else "fails", verified.cost))
            if verified.verified:
                with tempfile.TemporaryDirectory() as folder:
                    replays.add(plan, verified, problem, Path(folder))
    return write_table(rows, list(regions), replays)


def write_table(rows: list[tuple[int, str, str, float]], names: list[str], replays: Replays) -> str:
    """Write what failed, what was lost, and what the replay said."""
    frame = pd.DataFrame(rows, columns=["pattern", "region", "first plan", "cost"])
    best = frame[frame["region"] == "certified"].set_index("pattern")["cost"]
    frame["lost"] = 100 * (frame["cost"] / frame["pattern"].map(best) - 1)
    lines = [
        "## Which region to plan with",
        "",
        f"{frame['pattern'].nunique()} random demands over {PERIODS} periods of ex2 (8 h), two "
        "products; the classifiers learned from 120 labelled targets. A first plan fails if a "
        "period of it is certified infeasible or finds no schedule; what the others cost at their "
        "schedules is set beside the certified region's.",
        "",
        "| region | first plans that fail | cost above the certified region's, mean (max), % |",
        "|---|---|---|",
    ]
    for name in names:
        of_region = frame[frame["region"] == name]
        failed = (of_region["first plan"] != "holds").mean()
        lost = of_region["lost"].dropna()
        said = f"{lost.mean():.2f} ({lost.max():.2f})" if len(lost) else "not shown: all fail"
        lines.append(f"| {name} | {failed:.0%} of {len(of_region)} | {said} |")
    lines += [
        "",
        "The schedules of all plans that hold were saved and replayed by a program that shares no "
        "code with the library, as they are and with one batch changed:",
        "",
        "| period's schedule | replayed | rejected |",
        "|---|---|---|",
        *(
            f"| {what} | {count} | {replays.rejected[what]} |"
            for what, count in replays.given.items()
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(*map(int, sys.argv[1:2])))
