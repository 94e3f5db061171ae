"""Around every request: an id, the token, a line in the log, a count, no traceback to clients."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from reactor_yield.serving.metrics import Metrics

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGGER = logging.getLogger("reactor_yield.serving")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """ASGI middleware; see the module.

    Parameters
    ----------
    app
        What answers.
    metrics
        Where answers are counted.
    token
        Required as `Authorization: Bearer TOKEN` everywhere but on `/ping`; empty for none.
    """

    def __init__(self, app: Application, *, metrics: Metrics, token: str) -> None:
        self.app = app
        self.metrics = metrics
        self.token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex.encode()
        told: dict[str, Any] = {}
        scope.setdefault("state", {})["told"] = told
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            if self._is_allowed(scope["path"], headers):
                await self.app(scope, receive, send_with_id)
            else:
                sentence = "send the service's token as Authorization: Bearer TOKEN"
                extra = [(b"www-authenticate", b"Bearer")]
                await answer_text(send_with_id, 401, sentence, extra)
        except asyncio.CancelledError:
            # The service stops and this request's time is over; a client that waits gets a word.
            told["cancelled"] = True
            if not status:
                await answer_text(send_with_id, 503, "the service is shutting down", [])
        except Exception:  # a fault of ours: the log has it all, the client only the id
            told["error"] = traceback.format_exc(limit=-8)
            if not status:
                sentence = f"internal error; the log has it as request {request_id.decode()}"
                await answer_text(send_with_id, 500, sentence, [])
        finally:
            seconds = time.perf_counter() - began
            # 499: the client left before it was answered.
            self.metrics.answered(scope["path"], status or 499, seconds)
            log(
                logging.ERROR if "error" in told else logging.INFO,
                "request",
                id=request_id.decode(),
                method=scope["method"],
                path=scope["path"][:200],
                status=status or 499,
                milliseconds=round(1000 * seconds, 2),
                **told,
            )

    def _is_allowed(self, path: str, headers: dict[bytes, bytes]) -> bool:
        if not self.token or path == "/ping":
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token)


async def answer_text(
    send: Send, status: int, sentence: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send a sentence as the whole answer."""
    body = sentence.encode()
    plain = [(b"content-type", b"text/plain; charset=utf-8")]
    length = [(b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": status, "headers": plain + length + headers}
    )
    await send({"type": "http.response.body", "body": body})


def log(level: int, event: str, **fields: object) -> None:
    """Write one event; the formatter makes a line of JSON of it."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A line of JSON per event: time, level, event and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one event."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
