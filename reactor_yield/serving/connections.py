"""Connections that do not wait for ever: slow clients are closed, SIGTERM is obeyed in time."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from reactor_yield.errors import StorageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_MOST_HELD = 65_536
"""Bytes of a request that are kept before it is begun with although it is not there whole."""
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r?\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
_CONTINUE = re.compile(rb"\nexpect:", re.IGNORECASE)
_LAST_CHUNK = re.compile(rb"\n0+[ \t]*[;\r\n]")


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


def lacks_rest(begun: bytearray, max_body: int) -> bool:
    """Whether these first bytes of a request are waiting for more, by RFC 9112, section 6.

    False where there is anything to answer: the request is whole, its announced length is more than
    `max_body`, its client waits to be told to go on, 64 KiB are there, or it is no HTTP.
    """
    if len(begun) >= _MOST_HELD or begun[0] <= 0x20:  # no method begins so: TLS, for one
        return False
    found = _END_OF_HEAD.search(begun)
    if found is None:
        return True
    head = bytes(begun[: found.end()])
    if _CONTINUE.search(head):
        return False
    if _CHUNKED.search(head):
        return _LAST_CHUNK.search(begun, found.end() - 1) is None
    length = _LENGTH.search(head)
    return length is not None and len(begun) - len(head) < int(length[1]) <= max_body


def protocol_with_timeouts(
    *,
    read_seconds: float,
    answer_seconds: float,
    max_body: int,
    count_late: Callable[[], None],
) -> type[H11Protocol]:
    """Uvicorn's HTTP/1.1 protocol, with a time by which a request must be there and answered.

    Uvicorn itself waits for ever for the rest of a request, and lets SIGTERM wait for it too. It
    also begins with a request once its head is there: a thousand half-sent ones then take a third
    of a second, and whoever comes after them waits. Here a request is begun with when it is whole.

    Parameters
    ----------
    read_seconds
        From connecting, or from the last answer, until a request has arrived whole.
    answer_seconds
        From then until its answer has been taken by the client.
    max_body
        Bytes; a request that announces more is answered at once.
    count_late
        Called for each connection that is closed since no whole request arrived in time.
    """
    stopping = False

    class TimedProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _held: bytearray | None = None

        def data_received(self, data: bytes) -> None:
            begun = self._held
            if begun is None and self._is_idle():
                begun = self._held = bytearray()
            if begun is not None:
                begun += data
                if lacks_rest(begun, max_body):
                    self._unset_keepalive_if_required()
                    return
                self._held, data = None, bytes(begun)
            super().data_received(data)

        def _is_idle(self) -> bool:
            """Whether what arrives now is the beginning of a request."""
            cycle = self.cycle
            begins = cycle is None or (cycle.response_complete and not cycle.more_body)
            return begins and not self.conn.trailing_data[0]

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
                if self._held or self.cycle is None or not self.cycle.response_complete:
                    count_late()  # a connection that rests between requests is no fault
                self.transport.close()
            elif getattr(self, "_answering", None) is self.cycle:
                self.transport.abort()  # an answer that is not taken sits in a buffer: drop it
            else:
                self._answering: Any = self.cycle
                self._wait(answer_seconds)

    return TimedProtocol
