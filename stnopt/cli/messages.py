"""What is told beside the answer, on standard error: quietly, usually, or step by step."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_LOG = logging.getLogger("stnopt")


def add_messages(command: argparse.ArgumentParser) -> None:
    """Add the options that say how much is told."""
    how_much = command.add_mutually_exclusive_group()
    how_much.add_argument(
        "-q", "--quiet", action="store_true", help="only the answer, warnings and errors"
    )
    how_much.add_argument(
        "-v", "--verbose", action="store_true", help="every step, on standard error"
    )


@contextlib.contextmanager
def telling(options: argparse.Namespace) -> Iterator[None]:
    """Send what the library logs to standard error, as much of it as the options ask for."""
    handler = logging.StreamHandler(sys.stderr)
    before = _LOG.level
    _LOG.setLevel(
        logging.WARNING if options.quiet else logging.DEBUG if options.verbose else logging.INFO
    )
    _LOG.addHandler(handler)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(before)


def note(text: str) -> None:
    """Tell what is going on."""
    _LOG.info(text)


def warn(text: str) -> None:
    """Tell what the user should know whatever else is left out."""
    _LOG.warning(text)


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether a progress line is wanted: where somebody watches, and did not ask for quiet."""
    return sys.stderr.isatty() and not options.quiet
