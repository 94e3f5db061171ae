"""A progress line that shows at once where it is asked for, and late where nothing else would."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds after which a call without a time limit says what it is doing.
SILENT_SECONDS = 10.0


class ProgressLine:
    """One line on standard error, as a context.

    Parameters
    ----------
    what : str
        What is being done.
    unit : str
        Of the count, such as ``" boxes"``.
    progress : bool
        Show it from the start.
    total : int, optional
        Where the count ends.
    limited : bool
        The call has a time limit: without `progress` it stays silent. One without a limit shows
        the line after `SILENT_SECONDS`.
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
        self._what, self._unit, self._total = what, unit, total
        self._interval = 0.1 if progress else 1.0
        self._clock = clock
        wait = 0.0 if progress else SILENT_SECONDS
        self._shown_from = None if limited and not progress else clock() + wait
        self._line: Any = None

    def move(self, count: int, text: Callable[[], str]) -> None:
        """Show a count, and a text that is made only if it is shown."""
        if self._shown_from is None or self._clock() < self._shown_from:
            return
        if self._line is None:
            self._line = tqdm(
                desc=self._what,
                unit=self._unit,
                total=self._total,
                mininterval=self._interval,
            )
        self._line.set_postfix_str(text(), refresh=False)
        self._line.update(count - self._line.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line is not None:
            self._line.close()
