"""`reactor-yield serve`: answer predictions over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor_yield.cli.common import OK, S3, not_empty
from reactor_yield.files import local_copy

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("serve", help="answer predictions over HTTP")
    command.add_argument("model", type=not_empty, help=f"model file, {S3}")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8080)
    command.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from reactor_yield.serving.app import serve
    from reactor_yield.serving.connections import check_address

    check_address(options.host, options.port)
    with local_copy(options.model) as path:
        serve(path, host=options.host, port=options.port)
    return OK
