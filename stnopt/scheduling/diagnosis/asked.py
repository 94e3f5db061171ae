"""What an explanation is asked, within which limits, and what a search has settled of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stnopt.scheduling.search.limits import SearchLimits
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.search.result import ScheduleSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be explained, and within which limits."""

    network: Network
    problem: Problem
    start: PlantState | None
    n_events: int | None
    max_span: int | None
    time_limit: float | None
    relative_gap: float
    report: Callable[[str], None]

    @property
    def settings(self) -> dict[str, Any]:
        """What every search is told."""
        return {"n_events": self.n_events, "max_span": self.max_span, "report": self.report}

    @property
    def limits(self) -> SearchLimits:
        """Limits of how short, from now on: half of the time for models without event points.

        A search gives them a third of their time before it goes on with more event points.
        """
        return SearchLimits(
            time_limit=self.time_limit,
            proof_limit=None if self.time_limit is None else 1.5 * self.time_limit,
            relative_gap=self.relative_gap,
        )


def settled_points(search: ScheduleSearch) -> tuple[tuple[int, int], ...]:
    """List the event points and spans on which nothing better exists, without those covered."""
    best = math.inf
    settled: list[tuple[int, int]] = []
    for attempt in search.tried:
        if attempt.formulation != "unit_events":
            continue
        if attempt.objective is not None and attempt.objective < best:
            best, settled = attempt.objective, []
        if attempt.status in (Status.OPTIMAL, Status.INFEASIBLE):
            settled.append((attempt.n_events, attempt.max_span))
    return tuple(
        (n, span)
        for n, span in dict.fromkeys(settled)
        if not any(m >= n and s >= span and (m, s) != (n, span) for m, s in settled)
    )
