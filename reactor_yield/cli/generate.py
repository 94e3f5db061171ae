"""`reactor-yield generate`: simulate a data set, and split it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor_yield.cli.common import OK, S3, not_empty, read_path
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.files import check_folder, check_output, files_together

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("generate", help="simulate a data set, and split it")
    command.add_argument("output", type=not_empty, help=f"CSV file to write, {S3}")
    command.add_argument("--rows", type=int, default=10_000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--new", action="store_true", help="the drifted plant")
    command.add_argument("--frozen", action="store_true", help="the old data set's mistake")
    command.add_argument("--summary", type=read_path, help="HTML page about the data")
    command.add_argument("--split", type=read_path, help="folder for train.csv and test.csv")
    command.add_argument("--test-size", type=float, default=0.4)
    command.add_argument("--standardise", action="store_true", help="the features in the split")
    command.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> int:
    from reactor_yield.data.check import check_dataset
    from reactor_yield.data.dataset import generate_dataset
    from reactor_yield.data.split import split_dataset

    for output in (options.output, options.summary):
        if output:
            check_output(output)
    if options.split:
        check_folder(options.split)
    if not 0 < options.test_size < 1:
        message = f"--test-size must be between 0 and 1, got {options.test_size}"
        raise InvalidConditionsError(message)
    data = generate_dataset(
        options.rows, seed=options.seed, new=options.new, frozen=options.frozen, progress=True
    )
    said = [f"{len(data)} rows written to {options.output}"]
    with files_together() as outputs:
        outputs.write_csv(options.output, data)
        if options.summary:
            from reactor_yield.report import data_summary

            outputs.write_text(options.summary, data_summary(data, check_dataset(data)))
            said.append(f"summary written to {options.summary}")
        if options.split:
            split = split_dataset(
                data, test_size=options.test_size, standardise=options.standardise
            )
            options.split.mkdir(parents=True, exist_ok=True)
            split.keep_aside(outputs, options.split)
            said.append(
                f"{len(split.train)} training and {len(split.test)} test rows in {options.split}"
            )
    print("\n".join(said))
    return OK
