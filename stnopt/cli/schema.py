"""`stnopt schema`: the JSON Schema of the plant file, with which editors check while one writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from stnopt.cli.arguments import read_path
from stnopt.cli.exit_codes import OK
from stnopt.files import check_file, write_text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser("schema", help="the plant file's JSON Schema, for editors")
    command.add_argument(
        "-o", "--out", type=read_path, help="write it there instead of printing it"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the schema, or write it."""
    from stnopt.plant.schema import plant_file_schema

    text = json.dumps(plant_file_schema(), indent=2) + "\n"
    if options.out is None:
        print(text, end="")
        return OK
    check_file(options.out, "--out")
    write_text(options.out, text)
    print(
        f"schema written to {options.out}; an editor uses it for a plant file whose first line is\n"
        f"# yaml-language-server: $schema={options.out.name}"
    )
    return OK
