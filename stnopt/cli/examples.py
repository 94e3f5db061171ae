"""`stnopt examples`: the plants that ship with the library, as files to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.cli.answer import state
from stnopt.cli.arguments import read_path
from stnopt.cli.exit_codes import OK
from stnopt.files import check_file, write_text

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser("examples", help="the plants that ship with the library")
    command.add_argument("name", nargs="?", help="print this one as a plant file")
    command.add_argument("-o", "--out", type=read_path, help="write it there instead")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the examples, or print one."""
    from stnopt.plant.read import load_example
    from stnopt.plant.source import EXAMPLES, list_examples

    if options.name is None:
        state(options, examples=list_examples())
        for name in list_examples():
            network = load_example(name)
            what = network.description.split(". ")[0].rstrip(".\n")  # the first sentence
            print(f"{name:22} {len(network.tasks):2} tasks on {len(network.units):2} units: {what}")
        return OK
    load_example(options.name)  # an unknown name is refused with the names there are
    text = (EXAMPLES / f"{options.name}.yaml").read_text(encoding="utf-8")
    if options.out is None:
        print(text, end="")
        return OK
    check_file(options.out, "--out")
    write_text(options.out, text)
    print(f"{options.name} written to {options.out}")
    return OK
