"""`stnopt fit`: learn a region from labelled targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.cli.answer import state
from stnopt.cli.arguments import read_path
from stnopt.cli.exit_codes import OK
from stnopt.errors import InvalidInputError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.files import check_file, files_together

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser("fit", help="learn a region from labelled targets")
    command.add_argument("samples", type=read_path, help="CSV of `stnopt region`, or records")
    command.add_argument("region", type=read_path, help="JSON file to write")
    command.add_argument("--inputs", nargs="+", help="columns of records that hold the targets")
    command.add_argument("--label", help="column of records that says whether a target was met")
    command.add_argument("--kernel", choices=("linear", *KERNELS), default="rbf")
    command.add_argument("--tune", action="store_true", help="choose C and gamma by validation")
    command.add_argument("--penalty", type=float, default=1.0, metavar="C")
    command.add_argument("--test-size", type=float, default=0.25)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--certified", type=read_path, help="region.json of `stnopt region`")
    command.add_argument("--margin", choices=("none", "certified"), default="none")
    command.add_argument("--report", type=read_path, help="text file for the report as well")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fit a region, print the report, and write both."""
    for path, what in ((options.region, "region"), (options.report, "--report")):
        if path is not None:
            check_file(path, what)
    if (options.inputs is None) != (options.label is None):
        raise InvalidInputError("records need both --inputs and --label")
    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.feasibility.classifier import fit_region
    from stnopt.feasibility.samples import TargetSamples

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
    with files_together() as outputs:
        outputs.write_by(options.region, fitted.region.to_json)
        if options.report is not None:
            outputs.write_text(options.report, f"{fitted.report}\n")
    state(
        options,
        accuracy=fitted.report.accuracy,
        false_feasible_rate=fitted.report.false_feasible_rate,
        false_infeasible_rate=fitted.report.false_infeasible_rate,
    )
    print(fitted.report)
    print(f"region written to {options.region}")
    return OK
