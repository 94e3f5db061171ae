"""What the commands' arguments have in common."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.files import parse_number
from stnopt.plant.read import load_example, read_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from stnopt.plant.network import Network

PLANT_HELP = (
    "plant file (.yaml, .yml or .json), tables (.xlsx, or a folder of CSV files), the name of an "
    "example, or - for standard input"
)


def add_events(command: argparse.ArgumentParser) -> None:
    """Add the options that fix what a search would choose."""
    command.add_argument(
        "--events", "--n-events", type=int, help="event points; default: searched for"
    )
    command.add_argument(
        "--span", "--max-span", type=int, help="further points that a batch may span"
    )


def not_empty(text: str) -> str:
    """Read a name, of a file or else; an empty one, such as an unset variable's, is none.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return text


def read_path(text: str) -> Path:
    """Read an option that is a path; raises as `not_empty` does."""
    return Path(not_empty(text))


def is_file(plant: str) -> bool:
    """Whether a plant is named by its file, not as an example."""
    suffixes = (".yaml", ".yml", ".json", ".xlsx")
    return Path(plant).suffix.lower() in suffixes or Path(plant).exists()


def read_plant(plant: str) -> Network:
    """Read a plant file or an example."""
    return read_network(plant) if is_file(plant) else load_example(plant)


def read_together(*readers: Callable[[], Any]) -> list[Any]:
    """Read the sections of a plant's files; what is wrong with any of them is told at once.

    Raises
    ------
    InvalidInputError, InvalidNetworkError
        The one error there is, or all problems of all sections, by file.
    """
    found, errors = [], []
    for read in readers:
        try:
            found.append(read())
        except (InvalidInputError, InvalidNetworkError) as error:
            errors.append(error)
    sources = list(dict.fromkeys(error.source for error in errors))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        told = dict.fromkeys((e.source, problem) for e in errors for problem in e.problems)
        one = len(sources) == 1
        raise InvalidInputError(
            [problem if one or not source else f"{source}: {problem}" for source, problem in told],
            source=sources[0] if one else "",
        )
    return found


def read_numbers(texts: Sequence[str], option: str, form: str) -> dict[str, list[float]]:
    """Read the numbers of each state, as many as the form shows, such as STATE=LOW:HIGH."""
    numbers: dict[str, list[float]] = {}
    for text in texts:
        state, _, given = text.rpartition("=")
        try:
            values = [parse_number(number) for number in given.split(":")]
        except ValueError as error:
            raise InvalidInputError(f"{option} {text!r}: expected {form}") from error
        if not all(map(math.isfinite, values)):
            raise InvalidInputError(f"{option} {text!r}: expected finite numbers")
        if not state or len(values) != form.count(":") + 1:
            raise InvalidInputError(f"{option} {text!r}: expected {form}")
        if state in numbers:
            raise InvalidInputError(f"{option} {text!r}: {state!r} is given twice")
        numbers[state] = values
    return numbers
