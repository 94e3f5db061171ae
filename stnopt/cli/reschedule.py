"""`stnopt reschedule`: plan the rest of a schedule anew when something happens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.cli.answer import facts_of_search, state
from stnopt.cli.arguments import PLANT_HELP, not_empty, read_path, read_plant, read_together
from stnopt.cli.asked import add_problem, choose_problem, read_start
from stnopt.cli.exit_codes import IMPOSSIBLE, INTERRUPTED, OK, UNDECIDED
from stnopt.cli.messages import note, warn
from stnopt.cli.write_schedule import check_out, write_schedule
from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "reschedule", help="plan the rest of a schedule anew when something happens"
    )
    command.add_argument("plant", help=PLANT_HELP)
    command.add_argument(
        "schedule",
        type=read_path,
        help="the old one: schedule.json or schedule.csv, as `stnopt schedule --out` writes them",
    )
    command.add_argument(
        "--at", required=True, help="the instant: a clock time such as 09:00, or a number"
    )
    add_problem(command)
    command.add_argument(
        "--late",
        nargs=2,
        action="append",
        default=[],
        metavar=("BATCH", "BY"),
        help="a batch that runs (its unit, its task, or TASK@UNIT) ends later, such as 40min",
    )
    command.add_argument(
        "--lost", action="append", default=[], metavar="BATCH", help="a batch that runs is spoilt"
    )
    command.add_argument(
        "--down",
        nargs=3,
        action="append",
        default=[],
        metavar=("UNIT", "START", "END"),
        help="a unit cannot be used",
    )
    command.add_argument(
        "--order",
        action="append",
        default=[],
        metavar="id=...,state=...,amount=...,due=...",
        help="one more order",
    )
    command.add_argument("--changes", type=not_empty, help="file with the section `changes:`")
    command.add_argument(
        "--keep-until", help="batches that start before stay, where they can; default: none"
    )
    command.add_argument(
        "--move-cost",
        type=float,
        default=0.0,
        help="for each announced batch that is moved, in the objective's unit",
    )
    command.add_argument("--time-limit", type=float, default=60.0, help="seconds")
    command.add_argument("--out", type=read_path, help="folder for tables (CSV) and figures (PNG)")
    command.add_argument(
        "--excel", action="store_true", help="also shift.xlsx: a shift sheet to print"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the old schedule and what happened, plan anew, and print what changes."""
    from stnopt.cli.print_schedule import Clock, print_changes, print_schedule, print_value
    from stnopt.cli.read_changes import changes_of, number_or_text, read_changes
    from stnopt.scheduling.search.reschedule import read_time, reschedule

    check_out(options)
    network, problem, _ = read_together(
        lambda: read_plant(options.plant),
        lambda: choose_problem(options),
        lambda: read_start(options.plant),
    )
    rows = changes_of(options)
    schedule = _read_old(options, network, problem)
    if not schedule.batches:
        warn(
            f"warning: {str(options.schedule)!r} has no batches: units are taken to be idle at "
            f"{options.at}, but for what the plant's `now:` says; what is under way is lost"
        )
    problem = replace(problem, horizon=schedule.horizon, start=problem.start or schedule.date)
    problems: list[str] = []
    at = read_time(number_or_text(options.at), "--at", problem, network, problems)
    until = None
    if options.keep_until is not None:
        given = number_or_text(options.keep_until)
        until = read_time(given, "--keep-until", problem, network, problems)
    if problems:
        raise InvalidInputError(problems)
    changes = read_changes(rows, schedule, network, problem, at)
    note(f"planning anew, at most {options.time_limit:g} s ...")
    found = reschedule(
        schedule,
        network,
        problem,
        at=at,
        changes=changes,
        keep_until=until,
        move_cost=options.move_cost,
        time_limit=options.time_limit,
    )
    clock = Clock.of(None, network, problem.start)
    interrupted = found.stopped == "interrupted"
    state(
        options,
        **facts_of_search(found, problem.objective),
        summary=found.summary,
        moved=[[batch.task, batch.unit, batch.start] for batch in found.moved],
    )
    if found.schedule is None:
        return _without(found.result.status.value, found.stopped)
    print_schedule(found.schedule, found.plant, clock)
    print_changes(found, clock)
    print_value(found, found.plant, problem, since=clock.read_short(at))
    write_schedule(
        found.schedule,
        found.plant,
        options.out,
        figures=not interrupted,
        now=at,
        changes=found.changes,
        excel=options.excel,
    )
    return INTERRUPTED if interrupted else OK


def _read_old(options: argparse.Namespace, network: Network, problem: Problem) -> Schedule:
    """Read a schedule's file; what a table of batches lacks is what the plant's file says."""
    from stnopt.plant.orders import ServedOrder
    from stnopt.scheduling.schedule import Schedule, compute_final_stock
    from stnopt.scheduling.schedule_file import read_batches, read_parts, read_schedule

    path: Path = options.schedule
    if path.suffix.lower() != ".csv":
        return read_schedule(path)
    if problem.horizon is None:
        raise InvalidInputError(
            f"{str(path)!r} is a table of batches: say with --horizon how long the schedule is, or "
            "give schedule.json"
        )
    beside = path.with_name("orders.csv")
    parts = read_parts(beside) if problem.orders and beside.exists() else {}
    unknown = sorted(set(parts) - {order.id for order in problem.orders})
    if unknown:
        raise InvalidInputError(f"{str(beside)!r}: the problem has no order {unknown[0]!r}")
    may_miss = problem.objective == "tardiness" or None
    start, batches = read_start(options.plant), read_batches(path)
    orders = tuple(
        ServedOrder(order, parts.get(order.id, ()), may_miss=may_miss) for order in problem.orders
    )
    stock = compute_final_stock(
        batches,
        network,
        problem.deliveries,
        horizon=problem.horizon,
        start=start,
        orders=orders,
    )
    return Schedule(
        batches=batches,
        final_stock=stock,
        horizon=problem.horizon,
        deliveries=problem.deliveries,
        orders=orders,
        start=start,
        date=problem.start,
    )


def _without(status: str, stopped: str) -> int:
    """Say that there is no schedule, and what is known of that."""
    if status == "infeasible":
        print("No schedule continues what has happened, whatever its event points.")
        return IMPOSSIBLE
    if stopped == "interrupted":
        print("Interrupted: no schedule was found so far, and none was shown not to exist.")
        return INTERRUPTED
    print("Undecided: no schedule was found that continues what has happened.")
    return UNDECIDED
