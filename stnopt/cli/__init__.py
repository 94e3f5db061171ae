"""The command `stnopt`: a plant file in, a schedule, a region or the reason why not out.

A file for each command; here is what they share: the parser, the exit codes of errors, and how a
run ends when it is stopped. A view like the figures: it asks the library and prints what it says.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn

from stnopt.cli import (
    doctor,
    examples,
    fit,
    import_tables,
    page,
    plan,
    region,
    reschedule,
    schedule,
    schema,
)
from stnopt.cli.answer import add_json, print_refusal, run_as_json
from stnopt.cli.exit_codes import BAD_INPUT, BROKEN_PIPE, INTERRUPTED
from stnopt.cli.messages import add_messages, telling
from stnopt.cli.standard_input import run_with_input
from stnopt.errors import StnoptError
from stnopt.plant.source import list_examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

#: Seconds that a stopped run has to print what it found so far.
_TIME_TO_STOP = 2.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    Ctrl-C and SIGTERM end it with what was found so far, and with the exit code 130.
    """
    is_process = arguments is None
    try:
        with _stopped_by_signals(is_process=is_process):
            options = build_parser().parse_args(arguments)
            options.answer = {}
            with telling(options):
                code = run_as_json(options) if options.json else run_with_input(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("stnopt: interrupted before there was an answer", file=sys.stderr)
        code = INTERRUPTED
    except _UsageError as problem:
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            print_refusal(problem.message)
        raise
    except BrokenPipeError:
        # Nobody reads what is printed; Python's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (StnoptError, OSError) as problem:
        print(f"stnopt: {problem}", file=sys.stderr)
        return BAD_INPUT
    if code == INTERRUPTED and is_process:
        # A solver that has not noticed yet would crash an interpreter that goes down around it.
        sys.stderr.flush()
        os._exit(code)
    return code


class _UsageError(SystemExit):
    """Words of the command that it does not understand."""

    def __init__(self, message: str) -> None:
        super().__init__(BAD_INPUT)
        self.message = message


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as argparse does, and hands it on to who asked for a document."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments"):  # told by the parser of all commands
            message += "; `stnopt COMMAND --help` lists what a command knows"
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        raise _UsageError(message)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser with all commands and their options."""
    parser = _Parser(
        prog="stnopt",
        description="Schedule a batch plant, and learn which targets it can meet.",
        epilog="Exit codes: 0 done, 2 unusable input, 3 no schedule whatever exists, 4 undecided, "
        "130 interrupted. Examples: " + ", ".join(list_examples()),
    )
    parser.add_argument("--version", action="version", version=f"stnopt {version('stnopt')}")
    _add_completion(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (
        schedule,
        reschedule,
        region,
        fit,
        page,
        plan,
        import_tables,
        examples,
        schema,
        doctor,
    ):
        command.add(commands)
    for each in commands.choices.values():
        add_messages(each)
        add_json(each)
    return parser


def _add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints what a shell needs to complete the commands' words."""
    try:
        import shtab
    except ImportError:
        parser.add_argument("--print-completion", metavar="SHELL", action=_MissingCompletion)
    else:
        shtab.add_argument_to(parser, ["--print-completion"], help="completion for that shell")


class _MissingCompletion(argparse.Action):
    """Names the extra that completion needs."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.error("completion needs the package shtab: pip install 'stnopt[completion]'")


@contextlib.contextmanager
def _stopped_by_signals(*, is_process: bool) -> Iterator[None]:
    """Turn SIGTERM into the KeyboardInterrupt that Ctrl-C is.

    Where the command is the whole process, one that does not end in time is ended: a solver may be
    in the middle of what cannot be stopped. Files appear by renaming, so nothing is torn.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if is_process:
            end = threading.Timer(_TIME_TO_STOP, _end_process)
            end.daemon = True
            end.start()
        raise KeyboardInterrupt

    building = logging.getLogger("pyomo.core")
    building.addFilter(_is_not_of_a_stop)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        building.removeFilter(_is_not_of_a_stop)


def _is_not_of_a_stop(record: logging.LogRecord) -> bool:
    """Whether a message is not only that a model was being built when the command was stopped."""
    del record
    return sys.exc_info()[0] is not KeyboardInterrupt


def _end_process() -> None:
    with contextlib.suppress(Exception):
        print("stnopt: interrupted before there was an answer", file=sys.stderr)
        sys.stdout.flush()
    os._exit(INTERRUPTED)
