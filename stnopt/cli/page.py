"""`stnopt page`: the planner's page in a local browser."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from stnopt.cli.arguments import PLANT_HELP
from stnopt.cli.exit_codes import OK
from stnopt.cli.messages import note, warn
from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    command = commands.add_parser("page", help="the planner's page in a local browser")
    command.add_argument("plant", help=PLANT_HELP)
    command.add_argument("--port", type=int, default=8080)
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to serve on; another than 127.0.0.1 shows the page to whoever reaches it",
    )
    command.add_argument("--no-browser", action="store_true", help="serve it, open nothing")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    try:
        from stnopt.page.app import run as serve
    except ImportError as error:
        raise InvalidInputError(
            "the page needs the package nicegui: pip install 'stnopt[page]'"
        ) from error
    _check_address(options.host, options.port)
    if options.host in ("127.0.0.1", "localhost", "::1"):
        note(f"serving http://127.0.0.1:{options.port}/ on this machine only; Ctrl-C ends it")
    else:
        warn(
            f"serving on {options.host}, port {options.port}, to whoever reaches it and without a "
            "password; Ctrl-C ends it"
        )
    serve(options.plant, port=options.port, show=not options.no_browser, host=options.host)
    return OK


def _check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be served on, before anything else is done."""
    if not 0 <= port <= 65535:
        raise InvalidInputError(f"--port {port}: a port is a number from 0 to 65535")
    try:
        kind, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][::4]
        with socket.socket(kind, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InvalidInputError(
            f"cannot serve on --host {host!r}, --port {port}: {reason}"
        ) from problem
