"""Connections that do not wait for ever: slow clients are closed, SIGTERM is obeyed in time."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from reactor_yield.errors import StorageError

if TYPE_CHECKING:
    import asyncio


def check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be served on, before a model is read for it.

    Raises
    ------
    StorageError
        When there is no such host or port, it is another machine's, or something serves there.
    """
    if not 0 <= port <= 65535:
        message = f"port {port}: a port is a number from 0 to 65535"
        raise StorageError(message)
    try:
        kind, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][::4]
        with socket.socket(kind, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        message = f"cannot serve on host {host!r}, port {port}: {reason}"
        raise StorageError(message) from problem


def protocol_with_timeouts(*, read_seconds: float, answer_seconds: float) -> type[H11Protocol]:
    """Uvicorn's HTTP/1.1 protocol, with a time by which a request must be there and answered.

    Uvicorn itself waits for ever for the rest of a request, and lets SIGTERM wait for it too.

    Parameters
    ----------
    read_seconds
        From connecting, or from the last answer, until a request has arrived whole.
    answer_seconds
        From then until its answer has been taken by the client.
    """
    stopping = False

    class TimedProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if stopping:  # it waited to be accepted while the service began to stop
                transport.close()
            else:
                self._wait(read_seconds)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            self._wait(read_seconds)
            super().on_response_complete()

        def shutdown(self) -> None:
            nonlocal stopping
            stopping = True
            if self._is_receiving():
                self.transport.close()
            else:
                with contextlib.suppress(h11.LocalProtocolError):
                    super().shutdown()

        def _is_receiving(self) -> bool:
            """Whether the next byte is the client's to send."""
            cycle = self.cycle
            return cycle is None or cycle.response_complete or cycle.more_body

        def _wait(self, seconds: float) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds, self._too_late)

        def _too_late(self) -> None:
            self._timer = None
            if self._is_receiving():
                self.transport.close()
            elif getattr(self, "_answering", None) is self.cycle:
                self.transport.abort()  # an answer that is not taken sits in a buffer: drop it
            else:
                self._answering: Any = self.cycle
                self._wait(answer_seconds)

    return TimedProtocol
