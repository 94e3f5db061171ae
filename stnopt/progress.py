"""A progress line that shows at once where it is asked for, and late where nothing else would."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LOG = logging.getLogger(__name__)

#: Seconds after which a call without a time limit says what it is doing.
SILENT_SECONDS = 10.0
#: Seconds between two lines while one step goes on, on a terminal and in a file.
_TERMINAL_SECONDS, _FILE_SECONDS = 1.0, 60.0


class ProgressLine:
    """One line on standard error, as a context.

    A thread beside the work shows it, so that a single long step does not go silent either.

    Parameters
    ----------
    what : str
        What is being done.
    unit : str
        Of the count, such as ``" boxes"``; it may be set anew.
    progress : bool
        Show it from the start.
    limited : bool
        The call has a time limit: without `progress` it stays silent. One without a limit shows
        the line after `SILENT_SECONDS`.
    total : int, optional
        Where the count ends.
    clock : function
        Seconds.
    """

    def __init__(
        self,
        what: str,
        unit: str,
        *,
        progress: bool,
        limited: bool,
        total: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._what, self.unit, self._total = what, unit, total
        self._interval = 0.1 if progress else 1.0
        self._clock, self._started = clock, clock()
        wait = 0.0 if progress else SILENT_SECONDS
        self._shown_from = None if limited and not progress else self._started + wait
        self._count, self._text = 0, ""
        self._line: Any = None
        self._drawn = -math.inf
        self._one_at_a_time = threading.Lock()
        self._over = threading.Event()
        self._beside: threading.Thread | None = None

    def move(self, count: int, text: Callable[[], str]) -> None:
        """Show a count, and a text that is made only if it is shown."""
        self._count = count
        if self._is_due:
            self._text = text()
            self._show(at_once=False)

    def step(self, text: str) -> None:
        """Say what begins now, as one more of the count."""
        self._count += 1
        self._text = text
        _LOG.debug("%s: %s", self._what, text)
        if self._is_due:
            self._show(at_once=True)

    def _show(self, *, at_once: bool) -> None:
        """Show what was said last, at once or when the last line has stood for a while."""
        with self._one_at_a_time:
            if self._over.is_set() or self._shown_from is None:
                return
            now = time.perf_counter()
            if not at_once and now - self._drawn < self._interval:
                return
            self._drawn = now
            try:
                self._draw()
            except (OSError, ValueError):  # standard error takes nothing more
                self._shown_from = None

    def _draw(self) -> None:
        """Write the line; without tqdm's own lock, which it keeps where it cannot write."""
        if self._line is None:
            self._line = tqdm(total=self._total, leave=False, delay=1e-9)
            self._line.start_t = time.time() - (self._clock() - self._started)
        self._line.unit, self._line.n = self.unit, self._count
        self._line.set_description_str(self._what, refresh=False)
        self._line.set_postfix_str(self._text, refresh=False)
        self._line.refresh(nolock=True)

    @property
    def _is_due(self) -> bool:
        return self._shown_from is not None and self._clock() >= self._shown_from

    def _show_beside(self) -> None:
        assert self._shown_from is not None
        soon = self._shown_from <= self._started  # asked for: what is said shows itself
        wait = _TERMINAL_SECONDS if soon else self._shown_from - self._clock()
        while not self._over.wait(wait):
            if self._shown_from is None:
                return
            wait = _FILE_SECONDS
            with contextlib.suppress(OSError, ValueError):  # standard error is gone
                wait = _TERMINAL_SECONDS if sys.stderr.isatty() else _FILE_SECONDS
            if self._is_due:
                self._show(at_once=True)

    def __enter__(self) -> Self:
        if self._shown_from is not None:
            self._beside = threading.Thread(target=self._show_beside, daemon=True)
            self._beside.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._one_at_a_time:
            self._over.set()
        if self._beside is not None:
            self._beside.join()
        if self._line is not None:
            with contextlib.suppress(OSError, ValueError):
                if self._shown_from is not None:
                    self._draw()  # how it ended, however soon
                self._line.close()
