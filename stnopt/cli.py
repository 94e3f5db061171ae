"""The command `stnopt`: a plant file in, a schedule, a region or the reason why not out.

Exit codes: 0 done; 2 the input cannot be used; 3 what was asked for is impossible; 4 a limit came
before it was decided. A view like the figures: it asks the library and prints what it says.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from platform import platform, python_version
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd

from stnopt import plot
from stnopt.errors import InvalidInputError, SolverUnavailableError, StnoptError
from stnopt.feasibility.certified_region import CertifiedRegion, trace_frontier
from stnopt.feasibility.classifier import fit_region
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.labelling import label_targets
from stnopt.feasibility.samples import TargetSamples, sample_targets
from stnopt.plant.problem import ObjectiveKind, Problem, Sense
from stnopt.plant.read import load_example, read_network, read_problem
from stnopt.plant.source import list_examples
from stnopt.scheduling.diagnosis.aggregate_balance import (
    Demand,
    check_demand,
    find_reasons,
    write_amount,
)
from stnopt.scheduling.diagnosis.explain import explain_infeasible
from stnopt.scheduling.model import build_scheduling_model, check_deliveries, set_objective
from stnopt.scheduling.replay import replay_stock
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.solvers.solve import Status, solve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stnopt.plant.network import Network
    from stnopt.scheduling.diagnosis.explain import Shortfall
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch

OK, BAD_INPUT, IMPOSSIBLE, UNDECIDED, INTERRUPTED = 0, 2, 3, 4, 130
_PLANT = "plant file (.yaml, .yml or .json), or the name of an example"
_BETTER = {
    "profit": "earns more",
    "production": "makes more",
    "cost": "costs less",
    "makespan": "ends sooner",
}
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0, "d": 1440.0}
_PACKAGES = ("stnopt", "pyomo", "highspy", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib")
_SOLVERS = ("highs", "scip", "gurobi")
#: Best of the example `motivating` on 4 event points in 12 h (doi:10.1021/ie970927g), to 1e-4.
_KNOWN_BEST = 71.518222


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (StnoptError, OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as problem:
        print(f"stnopt: {problem}", file=sys.stderr)
        return BAD_INPUT


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stnopt",
        description="Schedule a batch plant, and learn which targets it can meet.",
        epilog="Exit codes: 0 done, 2 unusable input, 3 no schedule whatever exists, 4 undecided, "
        "130 interrupted. Examples: " + ", ".join(list_examples()),
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_schedule(commands)
    _add_region(commands)
    _add_fit(commands)
    _add_doctor(commands)
    return parser


# --- schedule ------------------------------------------------------------------------------------


def _add_schedule(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser(
        "schedule", help="the best schedule, or why what is asked for is impossible"
    )
    command.add_argument("plant", help=_PLANT)
    command.add_argument("--problem", help="problem file; default: the plant file's own section")
    command.add_argument("--horizon", type=float, help="in the plant's time unit")
    command.add_argument("--objective", choices=get_args(ObjectiveKind))
    command.add_argument(
        "--demand", nargs="+", metavar="STATE=AMOUNT", help="amounts that the schedule ends with"
    )
    command.add_argument("--sense", choices=get_args(Sense), help="of the demand")
    _add_events(command)
    command.add_argument("--gap", type=float, default=1e-4, help="relative, of each solve")
    command.add_argument(
        "--time-limit",
        type=float,
        default=60.0,
        help="seconds for the search, and for each question about an impossible demand",
    )
    command.add_argument("--start", help="clock time at which the schedule starts, such as 06:00")
    command.add_argument("--out", type=Path, help="folder for tables (CSV) and figures (PNG)")
    command.set_defaults(run=_schedule)


def _add_events(command: argparse.ArgumentParser) -> None:
    command.add_argument("--events", type=int, help="event points; default: searched for")
    command.add_argument("--span", type=int, help="further points that a batch may span")


def _schedule(options: argparse.Namespace) -> int:
    network = _read_plant(options.plant)
    problem = _choose_problem(options)
    clock = _Clock.of(options.start, network)
    asked = bool(problem.targets or problem.deliveries)
    if asked and (code := _print_impossible(network, problem, options, clock)) is not None:
        return code
    _note(f"searching, at most {options.time_limit:g} s ...")
    search = find_schedule(
        network,
        problem,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        relative_gap=options.gap,
        progress=sys.stderr.isatty(),
    )
    if search.schedule is not None:
        _print_schedule(search.schedule, network, clock)
        _print_value(search, network, problem)
        _write_schedule(search.schedule, network, options.out)
        return INTERRUPTED if search.stopped == "interrupted" else OK
    settled = search.result.status is Status.INFEASIBLE
    if asked and problem.horizon is not None and settled:
        return _explain(network, problem, options, clock)
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


def _choose_problem(options: argparse.Namespace) -> Problem:
    """Take the problem of a file, and what the options say otherwise."""
    problem = Problem()
    if options.problem:
        problem = read_problem(options.problem)
    elif _is_file(options.plant):
        problem = read_problem(options.plant, default=problem)
    changes: dict[str, Any] = {
        key: getattr(options, key)
        for key in ("objective", "horizon", "sense")
        if getattr(options, key) is not None
    }
    if options.demand is not None:
        demand = _read_numbers(options.demand, "--demand", "STATE=AMOUNT")
        changes["targets"] = {state: amount for state, (amount,) in demand.items()}
    return replace(problem, **changes)


def _print_impossible(
    network: Network, problem: Problem, options: argparse.Namespace, clock: _Clock
) -> int | None:
    """Say what no schedule can help, if that is so, before any time is spent on a search."""
    check_demand(network, problem.targets)
    check_deliveries(network, problem.deliveries, horizon=problem.horizon)
    demand = Demand(
        network=network,
        targets=problem.targets,
        sense=problem.sense,
        horizon=problem.horizon or math.inf,
        relative_gap=options.gap,
        deliveries=problem.deliveries,
    )
    reasons = list(find_reasons(demand))
    if not reasons:
        return None
    if problem.horizon is not None:
        return _explain(network, problem, options, clock)
    print("\n".join(reason.message for reason in reasons))
    print("Infeasible for every horizon.")
    return IMPOSSIBLE


def _explain(network: Network, problem: Problem, options: argparse.Namespace, clock: _Clock) -> int:
    """Answer an impossible demand in the plant's words."""
    assert problem.horizon is not None
    _note(f"the demand is not met; asking why, at most {options.time_limit:g} s per question ...")
    found = explain_infeasible(
        network,
        problem.targets,
        horizon=problem.horizon,
        sense=problem.sense,
        deliveries=problem.deliveries,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        relative_gap=options.gap,
        progress=sys.stderr.isatty(),
    )
    if found.schedule is not None and found.is_met:
        _print_schedule(found.schedule, network, clock)
    print(found)
    if found.schedule is not None:
        _write_schedule(found.schedule, network, options.out)
    return _code_of(found)


def _code_of(found: Shortfall) -> int:
    if found.is_met:
        return OK
    # What holds for some event points only leaves open whether more would do.
    return IMPOSSIBLE if found.bound_any > 0 else UNDECIDED


def _print_schedule(schedule: Schedule, network: Network, clock: _Clock) -> None:
    """Print what each unit does when, and what is there at the end."""
    print(f"{network.name}, {write_amount(schedule.horizon, network.time_unit)}")
    widest = max((len(batch.task) for batch in schedule.batches), default=0)
    for unit in network.units:
        batches = sorted(
            (batch for batch in schedule.batches if batch.unit == unit), key=lambda b: b.start
        )
        print(unit if batches else f"{unit}  (idle)")
        for batch in batches:
            print(
                f"  {clock.read(batch.start)} - {clock.read(batch.finish)}  "
                f"{batch.task:<{widest}}  {batch.size:>10.2f} {network.amount_unit}".rstrip()
            )
    if schedule.deliveries:
        print("Deliveries")
    for delivery in sorted(schedule.deliveries, key=lambda d: d.time):
        print(
            f"  {clock.read(delivery.time)}  {delivery.state:<{widest}}  "
            f"{delivery.amount:>10.2f} {network.amount_unit}".rstrip()
        )
    print(f"At the end, {clock.read(schedule.horizon).strip()}:")
    widest = max(len(state) for state in network.states)
    for name, state in network.states.items():
        amount = schedule.final_stock.get(name, 0.0)
        if abs(amount) < 5e-3 and not state.price:
            continue
        what = "used" if state.unlimited else "left"
        amount = amount if abs(amount) >= 5e-3 else 0.0  # no "-0.00"
        print(f"  {name:<{widest}}  {amount:>10.2f} {network.amount_unit} {what}".rstrip())


def _print_value(search: ScheduleSearch, network: Network, problem: Problem) -> None:
    """Print the objective with its unit, and what is proven of it."""
    assert search.schedule is not None
    unit = {"production": network.amount_unit, "makespan": network.time_unit}.get(
        problem.objective, ""
    )
    value = schedule_value(search.schedule, network, problem.objective)
    print(f"{problem.objective} {value:.6g} {unit}".rstrip())
    print(_proof(search, problem.objective, unit))


def _proof(search: ScheduleSearch, objective: str, unit: str) -> str:
    """Say what is proven, for what, and whether a limit cut the search."""
    proof, limited = search.proof, search.stopped in ("time limit", "interrupted")
    points = f"{proof.n_events} event point{'s' if proof.n_events != 1 else ''}"
    points += f" with span {proof.max_span}" if proof.max_span else ""
    limit = "" if proof.bound is None else f" than {proof.bound:.6g} {unit}".rstrip()
    claim = f"no schedule on {points} {_BETTER[objective]}{limit}."
    if proof.scope == "any schedule":
        return f"Proven: no schedule {_BETTER[objective]}{limit}, whatever its event points."
    stopped = "The search was interrupted" if search.stopped == "interrupted" else "A limit came"
    text = f"{stopped} before it was settled whether any schedule {_BETTER[objective]}."
    if not limited:
        text = "Whether more event points would do better is not settled."
    if search.bound is not None:
        return f"{text} None {_BETTER[objective]} than {search.bound:.6g} {unit}".rstrip() + "."
    if search.result.status is Status.OPTIMAL and not limited:
        return f"Proven for its event points: {claim} {text}"
    return text


def _write_schedule(schedule: Schedule, network: Network, folder: Path | None) -> None:
    if folder is None:
        return
    final = pd.DataFrame(schedule.final_stock.items(), columns=["state", "amount"])
    files = {
        "schedule.csv": _table(schedule.to_frame()),
        "stock.csv": _table(replay_stock(schedule, network)),
        "final_stock.csv": _table(final),
    }
    if schedule.batches:
        files["gantt.png"] = _figure(plot.plot_gantt, schedule, network=network)
        files["stock.png"] = _figure(plot.plot_stock, schedule, network=network)
    _write_files(folder, files)


class _Clock:
    """Times of a schedule as the plant's numbers, or as clock times from a start."""

    def __init__(self, start: int | None, minutes: float, unit: str) -> None:
        self.start, self.minutes, self.unit = start, minutes, unit

    @classmethod
    def of(cls, start: str | None, network: Network) -> _Clock:
        unit = network.time_unit
        if start is None:
            return cls(None, 0.0, unit)
        found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", start)
        if found is None:
            raise InvalidInputError(f"--start {start!r}: expected a clock time such as 06:00")
        if unit not in _MINUTES:
            raise InvalidInputError(
                f"--start needs a plant whose time_unit is {', '.join(_MINUTES)}; it is {unit!r}"
            )
        return cls(60 * int(found[1]) + int(found[2]), _MINUTES[unit], unit)

    def read(self, time: float) -> str:
        """Write a time in eight characters or more."""
        if self.start is None:
            return f"{time:8.2f} {self.unit}".rstrip()
        minutes = self.start + round(time * self.minutes)
        days, minutes = divmod(minutes, 1440)
        return f"{f'+{days} d ' if days else ''}{minutes // 60:02d}:{minutes % 60:02d}".rjust(10)


# --- region --------------------------------------------------------------------------------------


def _add_region(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser(
        "region", help="which targets a plant can meet: the certified boundary, or labels"
    )
    command.add_argument("plant", help=_PLANT)
    command.add_argument("--horizon", type=float, help="default: the plant file's problem")
    command.add_argument("--products", nargs="+", help="default: all states with a price")
    _add_events(command)
    command.add_argument("--tolerance", type=float, default=1e-3, help="undecided share allowed")
    command.add_argument("--max-solves", type=int, help="MILPs after which the boundary stops")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--samples", type=int, metavar="N", help="label N targets instead (needs --bounds)"
    )
    command.add_argument("--bounds", nargs="+", metavar="STATE=LOW:HIGH", help="of the samples")
    command.add_argument("--method", choices=("sobol", "uniform", "grid"), default="sobol")
    command.add_argument("--targets", type=Path, help="label the targets of a CSV instead")
    command.add_argument("--sense", choices=get_args(Sense), default="at_least")
    command.add_argument("--require", help="rule for labels, such as 'profit >= 200'")
    command.add_argument("--time-limit", type=float, help="seconds per solve of a label")
    command.add_argument("--jobs", type=int, default=1, help="workers for labels")
    command.add_argument("--out", type=Path, required=True, help="folder to write to")
    command.set_defaults(run=_region)


def _region(options: argparse.Namespace) -> int:
    network = _read_plant(options.plant)
    horizon = options.horizon
    if horizon is None and _is_file(options.plant):
        horizon = read_problem(options.plant, default=Problem()).horizon
    if horizon is None:
        raise InvalidInputError("region needs --horizon: the plant file has no problem with one")
    targets = _choose_targets(options)
    if targets is not None:
        return _label(network, targets, horizon, options)
    products = options.products or list(network.products)
    region = trace_frontier(
        network,
        horizon=horizon,
        products=products,
        tolerance=options.tolerance,
        max_solves=options.max_solves,
        n_events=options.events,
        max_span=options.span,
        seed=options.seed,
        progress=sys.stderr.isatty(),
    )
    most = ", ".join(
        f"{write_amount(float(most), network.amount_unit)} of {product}"
        for product, most in zip(products, region.upper, strict=True)
    )
    print(f"at most {most} within {write_amount(horizon, network.time_unit)}")
    print(
        f"undecided share {region.gap:.2e} of that box after {region.n_solves} MILPs, on "
        f"{region.scope['n_events']} event points with span {region.scope['max_span']}"
    )
    files = {"region.json": region.to_json, "points.csv": _table(region.points)}
    if len(products) == 2:
        files["region.png"] = _figure(plot.plot_frontier, region)
    _write_files(options.out, files)
    return OK if region.gap <= options.tolerance else UNDECIDED


def _choose_targets(options: argparse.Namespace) -> pd.DataFrame | None:
    """Return the targets to label; None when the boundary is wanted."""
    if options.targets is not None:
        if options.samples is not None:
            raise InvalidInputError("give --targets or --samples, not both")
        return pd.read_csv(options.targets)
    if options.samples is None:
        if options.bounds:
            raise InvalidInputError("--bounds are those of --samples: say how many")
        return None
    if not options.bounds:
        raise InvalidInputError("--samples needs --bounds, such as --bounds S9=0:110 S8=0:110")
    read = _read_numbers(options.bounds, "--bounds", "STATE=LOW:HIGH")
    bounds = {state: (low, high) for state, (low, high) in read.items()}
    return sample_targets(bounds, options.samples, seed=options.seed, method=options.method)


def _label(
    network: Network, targets: pd.DataFrame, horizon: float, options: argparse.Namespace
) -> int:
    samples = label_targets(
        network,
        targets,
        horizon=horizon,
        sense=options.sense,
        require=options.require,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        n_jobs=options.jobs,
        progress=sys.stderr.isatty(),
    )
    counts = samples.counts()
    print(", ".join(f"{number} {label}" for label, number in counts.items()))
    print(
        f"{samples.scope['n_solves']} MILPs, on {samples.scope['n_events']} event points with span "
        f"{samples.scope['max_span']}"
    )
    files: dict[str, Callable[[Path], object]] = {"samples.csv": samples.to_csv}
    if len(samples.products) == 2:
        files["samples.png"] = _figure(plot.plot_samples, samples)
    _write_files(options.out, files)
    return UNDECIDED if counts["undecided"] else OK


# --- fit -----------------------------------------------------------------------------------------


def _add_fit(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("fit", help="learn a region from labelled targets")
    command.add_argument("samples", type=Path, help="CSV of `stnopt region`, or records")
    command.add_argument("region", type=Path, help="JSON file to write")
    command.add_argument("--inputs", nargs="+", help="columns of records that hold the targets")
    command.add_argument("--label", help="column of records that says whether a target was met")
    command.add_argument("--kernel", choices=("linear", *KERNELS), default="rbf")
    command.add_argument("--tune", action="store_true", help="choose C and gamma by validation")
    command.add_argument("--penalty", type=float, default=1.0, metavar="C")
    command.add_argument("--test-size", type=float, default=0.25)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--certified", type=Path, help="region.json of `stnopt region`")
    command.add_argument("--margin", choices=("none", "certified"), default="none")
    command.add_argument("--report", type=Path, help="text file for the report as well")
    command.set_defaults(run=_fit)


def _fit(options: argparse.Namespace) -> int:
    if (options.inputs is None) != (options.label is None):
        raise InvalidInputError("records need both --inputs and --label")
    samples = (
        TargetSamples.from_csv(options.samples)
        if options.inputs is None
        else TargetSamples.from_records(options.samples, inputs=options.inputs, label=options.label)
    )
    fitted = fit_region(
        samples,
        kernel=options.kernel,
        tune=options.tune,
        C=options.penalty,
        test_size=options.test_size,
        seed=options.seed,
        margin=options.margin,
        certified=None if options.certified is None else CertifiedRegion.load(options.certified),
    )
    for path in (options.region, options.report):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    fitted.region.to_json(options.region)
    print(fitted.report)
    if options.report is not None:
        options.report.write_text(f"{fitted.report}\n", encoding="utf-8")
    print(f"region written to {options.region}")
    return OK


# --- doctor --------------------------------------------------------------------------------------


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("doctor", help="versions, and which solvers are there and work")
    command.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    """Print versions, and solve a small plant of known optimum with every solver."""
    print(f"Python {python_version()} on {platform()}")
    for package in _PACKAGES:
        print(f"{package} {metadata.version(package)}")
    works = {solver: _try_solver(solver) for solver in _SOLVERS}
    return OK if works["highs"] else BAD_INPUT


def _try_solver(solver: str) -> bool:
    model = build_scheduling_model(load_example("motivating"), horizon=12, n_events=4)
    set_objective(model, "profit")
    try:
        result = solve(model, solver=solver, time_limit=60)
    except SolverUnavailableError as error:
        print(f"{solver}: {error}")
        return False
    if result.status is not Status.OPTIMAL or result.objective is None:
        print(f"{solver}: does not work: {result.status.value}, {result.message}")
        return False
    right = math.isclose(result.objective, _KNOWN_BEST, rel_tol=2e-4)
    print(
        f"{solver}: {'works' if right else 'gives a WRONG ANSWER'}, {result.objective:.3f} in "
        f"{result.wall_time:.2f} s (known: {_KNOWN_BEST:.3f})"
    )
    return right


# --- Files and options ---------------------------------------------------------------------------


def _is_file(plant: str) -> bool:
    return Path(plant).suffix.lower() in (".yaml", ".yml", ".json") or Path(plant).is_file()


def _read_plant(plant: str) -> Network:
    return read_network(plant) if _is_file(plant) else load_example(plant)


def _read_numbers(texts: Sequence[str], option: str, form: str) -> dict[str, list[float]]:
    """Read the numbers of each state, as many as the form shows, such as STATE=LOW:HIGH."""
    numbers: dict[str, list[float]] = {}
    for text in texts:
        state, _, given = text.rpartition("=")
        try:
            values = [float(number) for number in given.split(":")]
        except ValueError as error:
            raise InvalidInputError(f"{option} {text!r}: expected {form}") from error
        if not state or len(values) != form.count(":") + 1:
            raise InvalidInputError(f"{option} {text!r}: expected {form}")
        if state in numbers:
            raise InvalidInputError(f"{option} {text!r}: {state!r} is given twice")
        numbers[state] = values
    return numbers


def _table(frame: pd.DataFrame) -> Callable[[Path], object]:
    return lambda path: frame.to_csv(path, index=False)


def _figure(draw: Callable[..., Any], *data: Any, **options: Any) -> Callable[[Path], object]:
    return lambda path: draw(*data, **options).figure.savefig(path, dpi=200)


def _write_files(folder: Path, files: Mapping[str, Callable[[Path], object]]) -> None:
    """Write each file into a folder, made where there is none, and print what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in files.items():
        write(folder / name)
    print(f"{', '.join(files)} written to {folder}")


def _note(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
