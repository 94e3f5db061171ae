"""A file that a command reads may be `-`: what comes in on standard input."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError, InvalidNetworkError

if TYPE_CHECKING:
    import argparse

#: Arguments that name a file of YAML or JSON.
_FILES = ("plant", "problem", "changes")


def run_with_input(options: argparse.Namespace) -> int:
    """Run a command; what comes in is a file for as long as it runs, in the place of `-`.

    Raises
    ------
    InvalidInputError
        If two arguments are `-`, or what comes in is no text; and whatever the command raises.
    """
    wanted = [name for name in _FILES if getattr(options, name, None) == "-"]
    if not wanted:
        code: int = options.run(options)
        return code
    if len(wanted) > 1:
        raise InvalidInputError(f"{' and '.join(wanted)}: only one of them can be standard input")
    with tempfile.TemporaryDirectory(prefix="stnopt-") as folder:
        path = str(Path(folder) / "plant.yaml")
        try:
            Path(path).write_text(sys.stdin.read(), encoding="utf-8")
        except UnicodeError as error:
            raise InvalidInputError("standard input is not text in UTF-8") from error
        setattr(options, wanted[0], path)
        try:
            code = options.run(options)
        except (InvalidInputError, InvalidNetworkError) as error:
            if error.source != path:
                raise
            raise type(error)(error.problems, source="standard input") from error
    return code
