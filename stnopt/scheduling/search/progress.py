"""How a search tells what it does: a line with a counter, or a call of the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stnopt.solvers.result import relative_gap_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.progress import ProgressLine
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.global_bound import GlobalBound
    from stnopt.scheduling.search.incumbent import Incumbent
    from stnopt.scheduling.search.limits import SearchLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProgress:
    """What a search knows at a moment.

    Attributes
    ----------
    what : str
        What is being tried.
    schedule : Schedule or None
        The best so far, replayed.
    value : float or None
        What it is worth.
    bound : float or None
        No schedule at all is better.
    seconds : float
        Since the search began.
    """

    what: str
    schedule: Schedule | None
    value: float | None
    bound: float | None
    seconds: float

    @property
    def gap(self) -> float | None:
        """``|value - bound| / |value|``; None where one is unknown."""
        return relative_gap_between(self.value, self.bound)


@dataclass(slots=True, kw_only=True)
class ProgressReport:
    """A search's way to say what it does; called with what is being tried.

    Attributes
    ----------
    limits : SearchLimits
        Whose clock counts.
    line : ProgressLine or None
        Where a line is shown.
    tell : callable or None
        Given a `SearchProgress` each time.
    """

    limits: SearchLimits
    line: ProgressLine | None = None
    tell: Callable[[SearchProgress], None] | None = None
    _incumbent: Incumbent | None = field(default=None)
    _bound: GlobalBound | None = field(default=None)

    def watch(self, incumbent: Incumbent, bound: GlobalBound) -> None:
        """Take the best schedule and the bound from here on."""
        self._incumbent, self._bound = incumbent, bound

    def __call__(self, what: str) -> None:
        """Say what is being tried, and the best so far."""
        schedule = self._incumbent.schedule if self._incumbent else None
        value = self._incumbent.value if self._incumbent else None
        self.found(what, schedule, value, self._bound.value if self._bound else None)

    def found(
        self, what: str, schedule: Schedule | None, value: float | None, bound: float | None
    ) -> None:
        """Say what was found."""
        if self.line is not None:
            self.line.step(what)
        if self.tell is not None:
            self.tell(
                SearchProgress(
                    what=what,
                    schedule=schedule,
                    value=value,
                    bound=bound,
                    seconds=self.limits.elapsed,
                )
            )
