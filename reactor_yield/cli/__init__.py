"""The command `reactor-yield`: each step reads and writes files a person can open.

Exit codes: 0 nothing to report; 2 the input cannot be used; 3 something was found (a problem in the
data, drift, or an alarm), for schedulers to act on; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from reactor_yield.cli import alarm, check, generate, monitor, predict, serve, train
from reactor_yield.cli.common import BAD_INPUT, BROKEN_PIPE
from reactor_yield.errors import ReactorYieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STOPPED = 130
_COMMANDS = (generate, check, train, predict, monitor, alarm, serve)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone, `| head` for one: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ReactorYieldError, OSError) as problem:
        print(f"reactor-yield: {problem}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError:
        print("reactor-yield: not enough memory for this input", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("reactor-yield: stopped; nothing was written", file=sys.stderr)
        return _STOPPED
    return code


def build_parser() -> argparse.ArgumentParser:
    """Make the parser with all commands and their options."""
    parser = argparse.ArgumentParser(
        prog="reactor-yield",
        description="Predict a reactor's yield and hot spot, and warn when they drift.",
        epilog="Exit codes: 0 nothing to report, 2 unusable input, 3 something was found.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
