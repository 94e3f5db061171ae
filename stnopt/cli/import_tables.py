"""`stnopt import`: recipes, orders and stocks from a spreadsheet, checked, to a plant file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stnopt.cli.arguments import not_empty, read_path
from stnopt.cli.exit_codes import OK
from stnopt.errors import InvalidInputError
from stnopt.files import check_file, write_text

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser(
        "import", help="recipes, orders and stocks from a spreadsheet to a plant file"
    )
    command.add_argument(
        "tables", type=read_path, help="Excel workbook (.xlsx), or folder of CSV files"
    )
    command.add_argument("-o", "--out", type=read_path, help="plant file to write (.yaml)")
    command.add_argument(
        "--template",
        nargs="?",
        const=False,  # empty tables
        type=not_empty,
        metavar="PLANT",
        help="write the tables instead: empty ones, or those of a plant file or example",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read tables and write a plant file, or write the tables to fill in."""
    if options.template is not None:
        return _write_template(options.tables, options.template)
    from stnopt.plant.read import read_plant_file
    from stnopt.plant.source import written_yaml

    if options.out is not None:
        check_file(options.out, "--out")
        if options.out.suffix.lower() not in (".yaml", ".yml"):
            raise InvalidInputError(f"--out: {str(options.out)!r} must end in .yaml")
    network, problem, state = read_plant_file(options.tables)
    content = {"plant": network.to_dict()}
    content |= {} if problem is None else {"problem": problem.to_dict()}
    content |= {} if state is None else {"now": state.to_dict()}
    text = written_yaml(content)
    if options.out is None:
        print(text, end="")
        return OK
    write_text(options.out, text)
    orders = 0 if problem is None else len(problem.orders)
    print(
        f"{network.name}: {len(network.states)} states, {len(network.tasks)} tasks, "
        f"{len(network.units)} units, {orders} orders written to {options.out}"
    )
    return OK


def _write_template(path: Path, plant: str | Literal[False]) -> int:
    """Write tables where none are: what is there may have been filled in for hours."""
    from stnopt.cli.arguments import is_file
    from stnopt.plant.read import load_example, read_plant_file
    from stnopt.plant.source import EXAMPLES, holds_tables
    from stnopt.plant.tables.write import write_tables

    if holds_tables(path):
        raise InvalidInputError(
            f"--template: there are tables in {str(path)!r} already; give another name, or delete "
            "them first"
        )
    if not plant:
        write_tables(path, None)
    elif is_file(plant):
        write_tables(path, *read_plant_file(plant))
    else:
        load_example(plant)  # an unknown name is refused with the names there are
        write_tables(path, *read_plant_file(EXAMPLES / f"{plant}.yaml"))
    print(f"tables written to {path}; fill them in, then: stnopt import {path} -o plant.yaml")
    return OK
