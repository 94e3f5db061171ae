"""Questions that take a while, each in a process of its own, which the page can stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Literal

from stnopt.errors import StnoptError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from stnopt.scheduling.search.progress import SearchProgress

#: Seconds that a stopped question has to hand over what it found so far.
_TIME_TO_STOP = 5.0

State = Literal["running", "done", "failed", "stopped"]


class Job:
    """A call in a process of its own.

    Parameters
    ----------
    ask : function
        One that can be imported; Ctrl-C makes it return the best so far, or nothing.
    arguments, keywords
        What it is called with.
    tells : bool
        Whether it takes ``progress=``, a function that it gives a `SearchProgress` each time.

    Attributes
    ----------
    state : {"running", "done", "failed", "stopped"}
        As of the last `poll`.
    answer : object
        What it returned, once it is done.
    error : str
        Why it failed.
    progress : SearchProgress or None
        What it last said of itself.
    began : float
        When it was started, on the clock of `time.monotonic`.
    """

    def __init__(
        self, ask: Callable[..., Any], *arguments: Any, tells: bool = False, **keywords: Any
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(sender, ask, arguments, keywords, tells), daemon=True
        )
        self._process.start()
        sender.close()
        self._stopped_at: float | None = None
        self.state: State = "running"
        self.answer: Any = None
        self.error = ""
        self.progress: SearchProgress | None = None
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.began

    def poll(self) -> State:
        """Look whether there is an answer; it does not wait."""
        if self.state != "running":
            return self.state
        while self.state == "running" and self._receiver.poll():
            self._receive()
        if self.state != "running":
            pass
        elif not self._process.is_alive():
            self.state, self.error = "failed", "the process that solved it ended without an answer"
        elif self._stopped_at is not None and time.monotonic() - self._stopped_at > _TIME_TO_STOP:
            self._process.terminate()
            self.state = "stopped"
        if self.state != "running":
            self._receiver.close()
        return self.state

    def _receive(self) -> None:
        try:
            kind, content = self._receiver.recv()
        except (EOFError, OSError):
            self.state, self.error = "failed", "the process that solved it ended without an answer"
            return
        if kind == "progress":
            self.progress = content
            return
        self.state = kind
        if kind == "done":
            self.answer = content
        else:
            self.error = content

    def stop(self) -> None:
        """Ask it to end with what it has found so far."""
        if self.state == "running" and self._stopped_at is None and self._process.pid:
            self._stopped_at = time.monotonic()
            os.kill(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """End it; nobody waits for the answer any more."""
        if self._process.is_alive():
            self._process.terminate()


def _work(
    sender: Connection,
    ask: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    tells: bool,
) -> None:
    if tells:
        keywords["progress"] = lambda progress: sender.send(("progress", progress))
    try:
        message = ("done", ask(*arguments, **keywords))
    except KeyboardInterrupt:
        message = ("stopped", "stopped before there was an answer")
    except StnoptError as error:
        message = ("failed", str(error))
    except Exception as error:  # whatever it is, the page must be able to show it
        message = ("failed", f"{type(error).__name__}: {error}")
    sender.send(message)
    sender.close()
