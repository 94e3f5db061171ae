"""`stnopt plan`: the best plan over many periods that the plants can really make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnopt.cli.answer import state
from stnopt.cli.arguments import read_path
from stnopt.cli.exit_codes import IMPOSSIBLE, INTERRUPTED, OK, UNDECIDED
from stnopt.cli.messages import note, shows_progress
from stnopt.errors import InvalidInputError
from stnopt.files import check_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.planning.plan import Plan, PlanSearch, Verification
    from stnopt.planning.problem import PlanningProblem


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "plan", help="the best plan over many periods and sites, with a schedule for each"
    )
    command.add_argument("problem", help="planning file (.yaml, .yml or .json)")
    command.add_argument(
        "--demand", type=read_path, help="table (CSV or Excel) instead of the file's"
    )
    command.add_argument(
        "--verify",
        type=read_path,
        metavar="TABLE",
        help="check this plan or production table instead",
    )
    command.add_argument(
        "--region",
        nargs="+",
        default=[],
        metavar="FACILITY=FILE",
        help="regions (JSON) of `stnopt region`; default: traced for plants of two products",
    )
    command.add_argument("--no-trace", action="store_true", help="trace no regions")
    command.add_argument(
        "--gap", "--relative-gap", type=float, default=5e-3, help="between cost and bound"
    )
    command.add_argument("--time-limit", type=float, default=300.0, help="seconds for the search")
    command.add_argument(
        "--period-limit", type=float, default=60.0, help="seconds per question put to a plant"
    )
    command.add_argument("--jobs", "--n-jobs", type=int, default=1, help="workers for proofs")
    command.add_argument("--store", type=read_path, help="file that keeps schedules and proofs")
    command.add_argument("--out", type=read_path, help="folder for tables (CSV) and figures (PNG)")
    command.add_argument("--excel", action="store_true", help="also one Excel file of all tables")
    command.add_argument("--gantt", action="store_true", help="also a Gantt chart per period")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Plan, print the plan with its proof, and write it; or check somebody's plan."""
    from stnopt.planning.read_planning import read_planning_problem

    if options.out is not None:
        check_folder(options.out, "--out")
    if options.out is None and (options.excel or options.gantt):
        raise InvalidInputError("--excel and --gantt write files: give --out too")
    problem = read_planning_problem(options.problem, demand=options.demand)
    if options.verify is not None:
        return _verify(problem, options)
    from stnopt.planning.find_plan import find_plan

    regions: dict[str, list[CertifiedRegion]] = _read_regions(options)
    if not regions and not options.no_trace:
        regions = _trace(problem)
    note(f"planning {len(problem.periods)} periods, at most {options.time_limit:g} s ...")
    search = find_plan(
        problem,
        regions=regions,
        relative_gap=options.gap,
        time_limit=options.time_limit,
        period_limit=options.period_limit,
        store=options.store,
        n_jobs=options.jobs,
        progress=shows_progress(options),
    )
    state(
        options,
        cost=search.cost,
        bound=search.bound,
        gap=search.gap,
        verified=search.verified,
        stopped=search.stopped,
        plan=None if search.plan is None else json.loads(search.plan.to_json()),
    )
    return _conclude(search, problem, options)


def _conclude(search: PlanSearch, problem: PlanningProblem, options: argparse.Namespace) -> int:
    if search.plan is None or search.verification is None:
        if search.stopped == "infeasible":
            print("No plan meets the demand, whatever its schedules:")
            from stnopt.planning.why_not import explain_plan

            print(explain_plan(problem))
            return IMPOSSIBLE
        print(f"Undecided: no plan was found before the {search.stopped}.")
        return INTERRUPTED if search.stopped == "interrupted" else UNDECIDED
    _print_plan(search.plan, search.verification, problem)
    _print_proof(search)
    _write(search.plan, search.verification, problem, options)
    if search.stopped == "interrupted":
        return INTERRUPTED
    return OK if search.verified else UNDECIDED


def _print_plan(plan: Plan, verification: Verification, problem: PlanningProblem) -> None:
    from stnopt.planning.report import plan_tables

    tables = plan_tables(plan, verification, problem)
    balance = tables["balance"]
    print(balance.to_string(index=False, float_format=lambda x: f"{x:.6g}"))
    service = tables["service"]
    missed = service[(service["owed"] > 1e-6) | (service["lost"] > 1e-6)]
    if len(missed):
        print("\nDelivered late or not at all")
        print(missed.to_string(index=False, float_format=lambda x: f"{x:.6g}"))
    print()
    for kind, cost in verification.costs.items():
        if cost:
            print(f"{kind:12} {cost:12.6g}")
    print(verification)


def _print_proof(search: PlanSearch) -> None:
    if search.cost is not None:
        print(f"Cost {search.cost:.6g}; ", end="")
    bound = (
        "no bound is known"
        if search.bound is None
        else f"no plan costs less than {search.bound:.6g}"
    )
    gap = "" if search.gap is None else f" (gap {search.gap:.2%})"
    print(f"{bound}{gap}. Stopped: {search.stopped}, after {search.rounds} plans.")
    for question in search.open_questions:
        print(f"Open: {question}")


def _verify(problem: PlanningProblem, options: argparse.Namespace) -> int:
    from stnopt.planning.complete import complete_plan
    from stnopt.planning.plan_table import read_plan
    from stnopt.planning.verify import verify_plan

    plan = read_plan(options.verify)
    if not plan.shipments:
        plan = complete_plan(plan, problem)
    found = verify_plan(plan, problem, time_limit=options.period_limit, store=options.store)
    state(options, verified=found.verified, cost=found.cost, plan=json.loads(plan.to_json()))
    _print_plan(plan, found, problem)
    _write(plan, found, problem, options)
    return OK if found.verified else UNDECIDED


def _read_regions(options: argparse.Namespace) -> dict[str, list[CertifiedRegion]]:
    from stnopt.feasibility.certified_region import CertifiedRegion

    regions: dict[str, list[CertifiedRegion]] = {}
    for text in options.region:
        facility, equals, path = text.partition("=")
        if not (facility and equals and path):
            raise InvalidInputError(f"--region {text!r}: expected FACILITY=FILE")
        regions.setdefault(facility, []).append(CertifiedRegion.load(Path(path)))
    return regions


def _trace(problem: PlanningProblem) -> dict[str, list[CertifiedRegion]]:
    """Trace the regions of plants of two products; others learn where plans go."""
    from stnopt.planning.trace import trace_regions

    few = all(len(problem.made_at(facility)) <= 2 for facility in problem.facilities)
    return trace_regions(problem, max_solves=200, report=note) if few else {}


def _write(
    plan: Plan,
    verification: Verification,
    problem: PlanningProblem,
    options: argparse.Namespace,
) -> None:
    if options.out is None:
        return
    import pandas as pd

    from stnopt import plot
    from stnopt.cli.output import figure, table, write_files
    from stnopt.planning.plan_table import COLUMNS, plan_rows
    from stnopt.planning.report import plan_tables

    tables = plan_tables(plan, verification, problem)
    files: dict[str, Callable[[Path], Any]] = {
        f"{name}.csv": table(frame) for name, frame in tables.items()
    }
    files |= {"plan.json": plan.to_json, "plan.csv": plan.to_csv}
    if options.excel:
        whole = pd.DataFrame(plan_rows(plan), columns=list(COLUMNS))
        files["plan.xlsx"] = _excel({"plan": whole, **tables})
    for facility in problem.facilities:
        for product in problem.products:
            files[f"plan_{facility}_{product}.png"] = figure(
                plot.plot_plan, plan, problem=problem, facility=facility, product=product
            )
    if options.gantt:
        for check in verification.checks:
            if check.holds and check.schedule is not None and check.schedule.batches:
                network = problem.facilities[check.facility].network
                files[f"gantt_{check.facility}_{check.period}.png"] = figure(
                    plot.plot_gantt, check.schedule, network=network
                )
    write_files(options.out, files)


def _excel(tables: dict[str, Any]) -> Callable[[Path], None]:
    from stnopt.workbook import workbook_of

    sheets = {
        name: (list(map(str, frame.columns)), frame.astype(object).to_numpy().tolist())
        for name, frame in tables.items()
    }
    save: Callable[[Path], None] = workbook_of(sheets).save
    return save
