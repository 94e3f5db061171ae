"""`stnopt region`: which targets a plant can meet, as a certified boundary or as labels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from stnopt.cli.answer import state
from stnopt.cli.arguments import (
    PLANT_HELP,
    add_events,
    is_file,
    read_numbers,
    read_path,
    read_plant,
    read_together,
)
from stnopt.cli.asked import read_start
from stnopt.cli.exit_codes import INTERRUPTED, OK, UNDECIDED
from stnopt.cli.messages import note, shows_progress
from stnopt.errors import InvalidInputError
from stnopt.files import check_folder, is_number, read_table, refuse_lines
from stnopt.plant.problem import Problem, Sense
from stnopt.plant.read import read_problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.feasibility.samples import TargetSamples
    from stnopt.plant.network import Network
    from stnopt.plant.state import PlantState


#: Options that only one of the two ways of asking knows.
_OF_THE_BOUNDARY = ("products", "tolerance", "max_solves")
_OF_LABELS = ("require", "time_limit")
_TOLERANCE = 1e-3


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "region", help="which targets a plant can meet: the certified boundary, or labels"
    )
    command.add_argument("plant", help=PLANT_HELP)
    command.add_argument("--horizon", type=float, help="default: the plant file's problem")
    command.add_argument("--products", nargs="+", help="default: all states with a price")
    add_events(command)
    command.add_argument("--tolerance", type=float, help="undecided share allowed; default 0.001")
    command.add_argument("--max-solves", type=int, help="MILPs after which the boundary stops")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--samples", type=int, metavar="N", help="label N targets instead (needs --bounds)"
    )
    command.add_argument("--bounds", nargs="+", metavar="STATE=LOW:HIGH", help="of the samples")
    command.add_argument("--method", choices=("sobol", "uniform", "grid"), default="sobol")
    command.add_argument("--targets", type=read_path, help="label the targets of a CSV instead")
    command.add_argument("--sense", choices=get_args(Sense), default="at_least")
    command.add_argument("--require", help="rule for labels, such as 'profit >= 200'")
    command.add_argument("--time-limit", type=float, help="seconds per solve of a label")
    command.add_argument("--jobs", "--n-jobs", type=int, default=1, help="workers for labels")
    command.add_argument("--out", type=read_path, required=True, help="folder to write to")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Trace the boundary, or label the targets that are given, and write what is known."""
    check_folder(options.out, "--out")
    network, problem, start = read_together(
        lambda: read_plant(options.plant),
        lambda: _read_problem(options),
        lambda: read_start(options.plant),
    )
    horizon = problem.horizon
    assert horizon is not None
    targets = _choose_targets(options)
    _refuse_options_of_the_other(options, labels=targets is not None)
    if targets is not None:
        return _label(network, targets, problem, start, options)
    from stnopt.cli.output import figure, table, write_files
    from stnopt.feasibility.certified_region import trace_frontier
    from stnopt.scheduling.diagnosis.wording import write_amount

    products = options.products or list(network.products)
    tolerance = _TOLERANCE if options.tolerance is None else options.tolerance
    note(f"tracing the boundary of {', '.join(products)} ...")
    region = trace_frontier(
        network,
        problem=problem,
        start=start,
        products=products,
        tolerance=tolerance,
        max_solves=options.max_solves,
        n_events=options.events,
        max_span=options.span,
        seed=options.seed,
        progress=shows_progress(options),
    )
    state(
        options,
        products=list(region.products),
        upper=[float(most) for most in region.upper],
        gap=region.gap,
        n_solves=region.n_solves,
    )
    most = ", ".join(
        f"{write_amount(float(most), network.amount_unit)} of {product}"
        for product, most in zip(products, region.upper, strict=True)
    )
    print(f"at most {most} within {write_amount(horizon, network.time_unit)}")
    interrupted = "interrupted: " if "stopped" in region.scope else ""
    print(f"{interrupted}undecided share {region.gap:.2e} of that box after {_work(region)}")
    files = {"region.json": region.to_json, "points.csv": table(region.points)}
    if len(products) == 2 and not interrupted:  # a figure takes its time
        from stnopt import plot

        files["region.png"] = figure(plot.plot_frontier, region)
    write_files(options.out, files)
    if interrupted:
        return INTERRUPTED
    return OK if region.gap <= tolerance else UNDECIDED


def _refuse_options_of_the_other(options: argparse.Namespace, *, labels: bool) -> None:
    """Refuse what is said of the boundary where targets are labelled, and the other way round."""
    of_the_other = _OF_THE_BOUNDARY if labels else _OF_LABELS
    for name in of_the_other:
        if getattr(options, name) is not None:
            what = "the boundary; --samples and --targets" if labels else "labels; the boundary"
            option = "--" + name.replace("_", "-")
            raise InvalidInputError(f"{option} is for {what} would leave it out of account")


def _read_problem(options: argparse.Namespace) -> Problem:
    """Read what stands beside the plant: deliveries, orders, horizon and date."""
    problem = Problem()
    if is_file(options.plant):
        problem = read_problem(options.plant, default=Problem())
    if options.horizon is None and problem.horizon is None:
        raise InvalidInputError("region needs --horizon: the plant file has no problem with one")
    horizon = problem.horizon if options.horizon is None else options.horizon
    # What is asked about here stands in place of the file's targets.
    return replace(problem, objective="profit", horizon=horizon, targets={})


def _work(found: CertifiedRegion | TargetSamples) -> str:
    """Say how much was solved, and on which event points."""
    scope = found.scope
    n_solves = scope.get("n_solves", getattr(found, "n_solves", 0))
    if scope["n_events"] is None:
        return f"{n_solves} searches, for any schedule"
    return f"{n_solves} MILPs, on {scope['n_events']} event points with span {scope['max_span']}"


def _choose_targets(options: argparse.Namespace) -> pd.DataFrame | None:
    """Return the targets to label; None when the boundary is wanted."""
    if options.targets is not None:
        if options.samples is not None:
            raise InvalidInputError("give --targets or --samples, not both")
        return _read_targets(options.targets)
    if options.samples is None:
        if options.bounds:
            raise InvalidInputError("--bounds are those of --samples: say how many")
        return None
    if not options.bounds:
        raise InvalidInputError("--samples needs --bounds, such as --bounds S9=0:110 S8=0:110")
    read = read_numbers(options.bounds, "--bounds", "STATE=LOW:HIGH")
    bounds = {state: (low, high) for state, (low, high) in read.items()}
    from stnopt.feasibility.samples import sample_targets

    return sample_targets(bounds, options.samples, seed=options.seed, method=options.method)


def _read_targets(path: Path) -> pd.DataFrame:
    """Read the columns of a CSV as products; a column `label`, as labels have it, is left out."""
    import pandas as pd

    read = read_table(path)
    problems = list(read.problems)
    products = [title for title in read.header if title != "label"]
    columns: dict[str, list[float]] = {product: [] for product in products}
    for line, values in read.rows:
        for title, value in zip(read.header, values, strict=True):
            if title not in columns:
                continue
            if not is_number(value):
                problems.append((f"line {line}", f"{title} must be a number, got {value!r}"))
            columns[title].append(float(value) if is_number(value) else math.nan)
    refuse_lines(problems, f"targets file {read.name!r}")
    if not read.rows:
        raise InvalidInputError(f"targets file {read.name!r}: no targets below the header")
    return pd.DataFrame(columns)


def _label(
    network: Network,
    targets: pd.DataFrame,
    problem: Problem,
    start: PlantState | None,
    options: argparse.Namespace,
) -> int:
    from stnopt.cli.output import figure, write_files
    from stnopt.feasibility.labelling import label_targets

    note(f"labelling {len(targets)} targets ...")
    samples = label_targets(
        network,
        targets,
        problem=problem,
        start=start,
        sense=options.sense,
        require=options.require,
        n_events=options.events,
        max_span=options.span,
        time_limit=options.time_limit,
        n_jobs=options.jobs,
        progress=shows_progress(options),
    )
    counts = samples.counts()
    state(options, products=list(samples.products), **counts)
    interrupted = "interrupted: " if "stopped" in samples.scope else ""
    print(interrupted + ", ".join(f"{number} {label}" for label, number in counts.items()))
    print(_work(samples))
    files: dict[str, Callable[[Path], object]] = {"samples.csv": samples.to_csv}
    if len(samples.products) == 2 and not interrupted:  # a figure takes its time
        from stnopt import plot

        files["samples.png"] = figure(plot.plot_samples, samples)
    write_files(options.out, files)
    if interrupted:
        return INTERRUPTED
    return UNDECIDED if counts["undecided"] else OK
