"""Time to a proven optimum: our model and the textbook model on HiGHS, SCIP and Gurobi.

Everything is solved by `stnopt.solve` with one thread and the same relative gap; times include
building the model. Run alone with `python benchmarks/scheduling.py [--only ex2] [--limit 60]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyomo.environ as pyo
from textbook_model import NotExpressibleError, build_textbook_model

import stnopt as so
from stnopt.solvers.handle import find_handles

if TYPE_CHECKING:
    from collections.abc import Mapping

REPEATS = 3
TIME_LIMIT = 60.0  # seconds for our model on HiGHS
OTHERS_LIMIT = 10.0  # for every other method, or as long as ours took
SEARCH_LIMIT = 20.0  # for the proof of a search and the solve beside it; the search has three times
RELATIVE_GAP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An instance and the event points that its best known schedule needs."""

    plant: str
    horizon: float
    n_events: int
    max_span: int = 0
    objective: str = "profit"
    targets: Mapping[str, float] = field(default_factory=dict)
    storage: bool = True  # False: without the plant's storage limits
    time_limit: float | None = None  # of every method, in place of the two above

    @property
    def network(self) -> so.Network:
        """The plant, without its capacities if the instance has none."""
        network = so.load_example(self.plant)
        if self.storage:
            return network
        entries = network.to_dict()
        for state in entries["states"].values():
            state.pop("capacity", None)
        return so.read_network(entries)

    @property
    def instance(self) -> str:
        """What is to be solved, without how."""
        goal = "" if self.objective == "profit" else f", {self.objective}"
        demand = ", ".join(f"{amount:g} {state}" for state, amount in self.targets.items())
        wanted = f"{goal}, at least {demand}" if demand else goal
        free = "" if self.storage else ", no storage limits"
        return f"{self.plant}, H={self.horizon:g}{wanted}{free}"

    @property
    def label(self) -> str:
        """The row's name in the tables."""
        span = f", span {self.max_span}" if self.max_span else ""
        return f"{self.instance}, N={self.n_events}{span}"


CHU_1 = {"P1": 100, "P2": 100, "P3": 50, "P4": 50}
CHU_2 = {"P1": 200, "P2": 200, "P3": 100, "P4": 100}
CASES = (
    Case(plant="motivating", horizon=12, n_events=4),
    Case(plant="motivating_exact_beta", horizon=12, n_events=4),
    Case(plant="storage_trap", horizon=7, n_events=3),
    Case(plant="mg2003_appendix_a", horizon=6, n_events=5),
    Case(plant="ex1", horizon=8, n_events=4),
    Case(plant="ex1", horizon=12, n_events=6),
    Case(plant="ex1", horizon=16, n_events=9),
    Case(
        plant="ex1", horizon=50, n_events=14, objective="makespan",
        targets={"S4": 2000}, storage=False,
    ),
    Case(plant="ex1", horizon=50, n_events=13, objective="makespan", targets={"S4": 2000}),
    Case(plant="ex2", horizon=8, n_events=4),
    Case(plant="ex2", horizon=10, n_events=6, max_span=1),
    Case(plant="ex2", horizon=12, n_events=7),
    Case(plant="ex2", horizon=16, n_events=8),
    Case(
        plant="ex2", horizon=50, n_events=9, objective="makespan", targets={"S8": 200, "S9": 200}
    ),
    Case(plant="ex2_exact_thirds", horizon=8, n_events=4),
    Case(plant="ex2_exact_thirds", horizon=8, n_events=5),
    Case(plant="ex2_exact_thirds", horizon=8, n_events=6),
    Case(plant="ex2_exact_thirds", horizon=8, n_events=7, time_limit=120),
    Case(plant="kumawat_2021", horizon=8, n_events=5),
    Case(plant="kondili1993", horizon=10, n_events=7, max_span=1),
    Case(plant="kondili1993_sep2h", horizon=10, n_events=7, max_span=1),
    Case(plant="fine_chemicals", horizon=16, n_events=9),
    Case(plant="fine_chemicals", horizon=16, n_events=11, time_limit=30),
    Case(plant="chu2013", horizon=894, n_events=7, targets=CHU_1),
    Case(plant="chu2013", horizon=1218, n_events=9, targets=CHU_2),
)  # fmt: skip

OURS, TEXTBOOK, WITH_CUT = "stnopt", "textbook", "textbook + cut"
METHODS = (  # model, solver
    (OURS, "highs"),
    (TEXTBOOK, "highs"),
    (WITH_CUT, "highs"),
    (OURS, "scip"),
    (TEXTBOOK, "scip"),
    (OURS, "gurobi_direct"),
    (TEXTBOOK, "gurobi_direct"),
)
SOLVERS = {"highs": "HiGHS", "scip": "SCIP", "gurobi_direct": "Gurobi"}


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians over the runs of one method on one instance; or why there is none."""

    wall: float | None = None
    cpu: float | None = None
    result: so.SolveResult | None = None
    reason: str = ""

    @property
    def solved(self) -> bool:
        """Whether an optimum was proven."""
        return self.result is not None and self.result.status is so.Status.OPTIMAL

    def in_words(self, limit: float) -> str:
        """Seconds (CPU seconds), or how far the limit let it come."""
        if self.result is None:
            return f"not shown ({self.reason})"
        if self.solved:
            return f"{self.wall:.2f} ({self.cpu:.2f})"
        if self.result.has_solution:
            return f"> {limit:g} (gap {_percent(self.result.gap)})"
        return f"> {limit:g} (no solution)"


def build(case: Case, model: str) -> pyo.ConcreteModel:
    """Build an instance in one of the three models."""
    if model != OURS:
        return build_textbook_model(
            case.network,
            horizon=case.horizon,
            n_events=case.n_events,
            objective=case.objective,
            targets=case.targets,
            earlier_durations=model == WITH_CUT,
        )
    milp = so.build_scheduling_model(
        case.network, horizon=case.horizon, n_events=case.n_events, max_span=case.max_span
    )
    so.set_objective(milp, case.objective)
    if case.targets:
        so.require_targets(milp, case.targets)
    return milp


def measure(case: Case, model: str, solver: str, *, repeats: int, limit: float) -> Timing:
    """Solve so many times; once if the limit is hit."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            milp = build(case, model)
            result = so.solve(milp, solver=solver, time_limit=limit, relative_gap=RELATIVE_GAP)
        except (NotExpressibleError, so.SolverUnavailableError) as error:
            return Timing(reason=str(error).split(":")[0])
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        if result.status is so.Status.ERROR:
            too_large = "license" in result.message
            return Timing(reason="beyond the free licence" if too_large else result.message)
        if result.status is not so.Status.OPTIMAL:
            break
        if model == OURS:
            so.extract_schedule(milp, case.network)  # replayed: a violation raises
    return Timing(statistics.median(walls), statistics.median(cpus), result)


def relaxation_bound(case: Case, model: str) -> float | None:
    """Value of the linear relaxation of a model, with the rows it is solved with."""
    try:
        milp = build(case, model)
    except NotExpressibleError:
        return None
    pyo.TransformationFactory("core.relax_integer_vars").apply_to(milp)
    # Not by `so.solve`, which would add storage rows for what is no schedule.
    with ExitStack() as stack:
        for _, handle in find_handles(milp):
            stack.enter_context(handle.tightened())
        pyo.SolverFactory("appsi_highs").solve(milp)
    (objective,) = milp.component_data_objects(pyo.Objective, active=True)
    return float(pyo.value(objective))


def main(*, repeats: int = REPEATS, limit: float = TIME_LIMIT, only: str = "") -> str:
    """Time every method on every instance and return the tables."""
    cases = [case for case in CASES if only in case.label]
    values, seconds, ratios = [], [], []
    for case in cases:
        limits = dict.fromkeys(METHODS, case.time_limit or limit)
        timings = {}
        for method in METHODS:
            timings[method] = measure(case, *method, repeats=repeats, limit=limits[method])
            ours = timings[METHODS[0]]
            if method == METHODS[0] and not case.time_limit and ours.solved:
                others = min(limit, max(OTHERS_LIMIT, ours.wall))
                limits |= dict.fromkeys(METHODS[1:], others)
        bounds = [relaxation_bound(case, model) for model in (OURS, TEXTBOOK, WITH_CUT)]
        values.append(_row(case.label, *map(_value, timings.values()), *map(_number, bounds)))
        seconds.append(_row(case.label, *(t.in_words(limits[m]) for m, t in timings.items())))
        ratios.append(_row(case.label, *_ratios(timings)))
        print(seconds[-1], file=sys.stderr, flush=True)
    heads = [f"{model}, {SOLVERS[solver]}" for model, solver in METHODS]
    shown = "\n\n".join(
        (
            _table(["instance", *heads], seconds),
            "Ratios of the CPU seconds above, which other loads on the machine change least; where "
            "a limit was hit, what they are at least or at most.\n\n"
            + _table(["instance", *(f"{head} / stnopt, HiGHS" for head in heads[1:])], ratios),
            "Objective found (proven where the table above has a time) and LP bounds. The textbook "
            "model looks at storage at event points only and has no batches that span event "
            "points: its value may lie above or below ours.\n\n"
            + _table(
                ["instance", *heads, *(f"LP bound, {m}" for m in (OURS, TEXTBOOK, WITH_CUT))],
                values,
            ),
        )
    )
    return (
        "## Schedules\n\n"
        "Wall seconds (CPU seconds) from plant to proven optimum on N event points, the model's "
        f"building included; one thread, relative gap {RELATIVE_GAP:g}, medians of {repeats} runs. "
        f"Limit {limit:g} s for ours on HiGHS; where that solves, {min(OTHERS_LIMIT, limit):g} s "
        "for the others, or as long as ours took"
        + "".join(f"; {c.time_limit:g} s for {c.label}" for c in cases if c.time_limit is not None)
        + ". A run that hits it is not repeated. Storage holds at every instant in ours; every "
        'schedule of ours was replayed. "textbook": Ierapetritou & Floudas (1998) with big-M = '
        'H and no cuts; "+ cut": with start >= sum of the earlier durations on the unit.\n\n'
        + shown
    )


def time_searches(*, repeats: int = REPEATS, limit: float = SEARCH_LIMIT, only: str = "") -> str:
    """Time the search, which is told neither event points nor span, against the solve that is."""
    rows: list[str] = []
    instances: dict[str, Case] = {}  # on the fewest event points timed
    for case in CASES:
        if only in case.label:
            instances.setdefault(case.instance, case)
    for case in instances.values():
        single = measure(case, OURS, "highs", repeats=repeats, limit=limit)
        found = so.find_schedule(
            case.network,
            horizon=case.horizon,
            objective=case.objective,
            targets=case.targets,
            time_limit=3 * limit,
            proof_limit=limit,
            relative_gap=RELATIVE_GAP,
        )
        proof = found.proof
        here = f"N={proof.n_events}, span {proof.max_span}"
        rows.append(
            _row(
                case.label,
                single.in_words(limit),
                _number(found.result.objective),
                f"{found.n_events}, {found.max_span}",
                f"{found.search_time:.2f}",
                f"{found.search_time / single.wall:.1f}" if single.solved else "",
                f"{found.proof_time:.2f}",
                here if proof.scope == "these event points" else proof.scope,
                _number(proof.bound),
                _number(proof.any_schedule_bound),
            )
        )
        print(rows[-1], file=sys.stderr, flush=True)
    heads = (
        "instance", "solve", "found", "N, span", "search", "search / solve", "proof", "proven for",
        "bound", "bound for any schedule",
    )  # fmt: skip
    return (
        "## The search for event points and span\n\n"
        "Wall seconds until `find_schedule`, told neither, had found its schedule; as a multiple "
        f"of the solve on N event points (medians of {repeats} runs, CPU seconds in brackets); and "
        "the seconds it then spent on proving more. No schedule is better than the bound: on the "
        f"event points named, or any. Limits: {limit:g} s for a solve and for the proof, "
        f"{3 * limit:g} s for the search.\n\n" + _table(list(heads), rows)
    )


def _ratios(timings: Mapping[tuple[str, str], Timing]) -> list[str]:
    """Each method's CPU time over ours on HiGHS; a bound of it where either hit the limit."""
    ours, *others = timings.values()
    cells = []
    for other in others:
        if ours.result is None or other.result is None:
            cells.append("")
            continue
        if not (ours.solved or other.solved):
            cells.append("")
            continue
        sign = ">= " if not other.solved else "<= " if not ours.solved else ""
        cells.append(f"{sign}{other.cpu / ours.cpu:.2g}")
    return cells


def _value(timing: Timing) -> str:
    return "" if timing.result is None else _number(timing.result.objective)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _percent(gap: float | None) -> str:
    if gap is None:
        return "unknown"
    return "> 1000 %" if gap > 10 else f"{100 * gap:.2g} %"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(heads: list[str], rows: list[str]) -> str:
    return "\n".join((_row(*heads), "|" + "---|" * len(heads), *rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="instances whose label contains this")
    parser.add_argument("--limit", type=float, help="seconds per solve")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--searches", action="store_true", help="time the search instead")
    chosen = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    print((time_searches if chosen.pop("searches") else main)(**chosen))
