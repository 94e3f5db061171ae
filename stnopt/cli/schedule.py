"""`stnopt schedule`: the best schedule, or why what is asked for is impossible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.cli.answer import content_of, facts_of_search, state
from stnopt.cli.arguments import PLANT_HELP, add_events, read_path, read_plant, read_together
from stnopt.cli.asked import add_problem, choose_problem, read_start
from stnopt.cli.exit_codes import IMPOSSIBLE, INTERRUPTED, OK, UNDECIDED
from stnopt.cli.messages import note, shows_progress, warn
from stnopt.cli.write_schedule import check_out, write_schedule

if TYPE_CHECKING:
    import argparse

    from stnopt.cli.print_schedule import Clock
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.diagnosis.shortfall import Shortfall


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "schedule", help="the best schedule, or why what is asked for is impossible"
    )
    command.add_argument("plant", help=PLANT_HELP)
    add_problem(command)
    add_events(command)
    command.add_argument(
        "--gap", "--relative-gap", type=float, default=1e-4, help="relative, of each solve"
    )
    command.add_argument(
        "--time-limit",
        type=float,
        default=60.0,
        help="seconds for the search, and for each question about an impossible demand",
    )
    command.add_argument(
        "--start",
        help="clock time at which the schedule starts, such as 06:00; default: the problem's",
    )
    command.add_argument("--out", type=read_path, help="folder for tables (CSV) and figures (PNG)")
    command.add_argument(
        "--excel", action="store_true", help="also shift.xlsx: a shift sheet to print"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Search, print the schedule with its proof, or say why there is none."""
    from stnopt.cli.print_schedule import Clock, print_schedule, print_value

    check_out(options)
    network, problem, start = read_together(
        lambda: read_plant(options.plant),
        lambda: choose_problem(options),
        lambda: read_start(options.plant),
    )
    clock = Clock.of(options.start, network, problem.start)
    asked = bool(problem.targets or problem.deliveries or problem.orders)
    if asked and (code := _print_impossible(network, problem, start, options, clock)) is not None:
        return code
    from stnopt.scheduling.search.find_schedule import find_schedule
    from stnopt.solvers.result import Status

    note(f"searching, at most {options.time_limit:g} s ...")
    search = find_schedule(
        network,
        problem,
        start=start,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        relative_gap=options.gap,
        progress=shows_progress(options),
    )
    state(options, **facts_of_search(search, problem.objective))
    if search.schedule is not None:
        print_schedule(search.schedule, network, clock)
        print_value(search, network, problem)
        interrupted = search.stopped == "interrupted"
        if problem.objective == "profit" and not any(s.price for s in network.states.values()):
            warn(
                f"plant {network.name!r} has no prices: its profit is what it costs, and doing "
                "nothing costs least. Give states a `price:`, or say what is wanted (--demand)."
            )
        write_schedule(
            search.schedule, network, options.out, figures=not interrupted, excel=options.excel
        )
        return INTERRUPTED if interrupted else OK
    settled = search.result.status is Status.INFEASIBLE
    anywhere = search.proof.scope == "any schedule"
    if asked and problem.horizon is not None and settled:
        code = _explain(network, problem, start, options, clock)
        return IMPOSSIBLE if anywhere and code == UNDECIDED else code
    if settled and anywhere:
        print("No schedule exists, whatever its event points.")
        return IMPOSSIBLE
    if search.stopped in ("time limit", "interrupted"):
        print(
            f"Undecided: no schedule was found before the {search.stopped} of "
            f"{options.time_limit:g} s, and none was shown not to exist. Give it more time "
            "(--time-limit), or tell it event points (--events, --span)."
            if search.stopped == "time limit"
            else "Interrupted: no schedule was found so far, and none was shown not to exist."
        )
        return INTERRUPTED if search.stopped == "interrupted" else UNDECIDED
    points = f"{search.n_events} event points with span {search.max_span}"
    print(f"No schedule was found on up to {points}: {search.result.status.value}.")
    return UNDECIDED


def _print_impossible(
    network: Network,
    problem: Problem,
    start: PlantState | None,
    options: argparse.Namespace,
    clock: Clock,
) -> int | None:
    """Say what no schedule can help, if that is so, before any time is spent on a search."""
    from stnopt.plant.state import check_state
    from stnopt.scheduling.checks import check_deliveries, check_orders
    from stnopt.scheduling.diagnosis.aggregate_balance import check_demand
    from stnopt.scheduling.diagnosis.reasons import find_reasons

    check_demand(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=problem.horizon)
    check_orders(network, problem.orders, horizon=problem.horizon)
    if start is not None:
        check_state(start, network)
    reasons = list(find_reasons(network, problem, start=start))
    if not reasons:
        return None
    if problem.horizon is not None:
        return _explain(network, problem, start, options, clock)
    state(options, is_met=False, reasons=[reason.message for reason in reasons])
    print("\n".join(reason.message for reason in reasons))
    print("Infeasible for every horizon.")
    return IMPOSSIBLE


def _explain(
    network: Network,
    problem: Problem,
    start: PlantState | None,
    options: argparse.Namespace,
    clock: Clock,
) -> int:
    """Answer an impossible demand in the plant's words."""
    from stnopt.cli.print_schedule import print_schedule
    from stnopt.scheduling.diagnosis.explain import explain_infeasible

    note(f"the demand is not met; asking why, at most {options.time_limit:g} s per question ...")
    found = explain_infeasible(
        network,
        problem,
        start=start,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        relative_gap=options.gap,
        progress=shows_progress(options),
    )
    state(
        options,
        is_met=found.is_met,
        short=dict(found.short),
        reasons=[reason.message for reason in found.reasons],
        schedule=content_of(found.schedule),
    )
    if found.schedule is not None and found.is_met:
        print_schedule(found.schedule, network, clock)
    print(found)
    if found.schedule is not None:
        write_schedule(found.schedule, network, options.out, excel=options.excel)
    return _code_of(found)


def _code_of(found: Shortfall) -> int:
    if found.is_met:
        return OK
    # What holds for some event points only leaves open whether more would do.
    return IMPOSSIBLE if found.bound_any > 0 else UNDECIDED
