"""The best schedule of a search so far, and what counts as better than it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.bounds import MAXIMISED

if TYPE_CHECKING:
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.replay import Violation
    from stnopt.scheduling.schedule import Schedule


@dataclass(slots=True, kw_only=True)
class Incumbent:
    """The best schedule so far: every one is replayed at the horizon that was asked first.

    Attributes
    ----------
    network : Network
    problem : Problem
        With a horizon.
    relative_gap : float
        Least relative improvement that counts.
    schedule : Schedule or None
    value : float or None
        Of the schedule, from its batches and the plant alone.
    rejected : list of Violation
        What the replay found in schedules that were offered and not taken.
    """

    network: Network
    problem: Problem
    relative_gap: float
    schedule: Schedule | None = None
    value: float | None = None
    rejected: list[Violation] = field(default_factory=list)

    @property
    def maximises(self) -> bool:
        """Whether more is better."""
        return self.problem.objective in MAXIMISED

    @property
    def step(self) -> float:
        """Least improvement that counts; more than rounding, whatever the value is."""
        assert self.value is not None
        largest = max(fit.max_batch for fit in self.network.suitabilities)
        worth = max(abs(s.price) + s.cost for s in self.network.states.values())
        scale = {"makespan": self.problem.horizon or 1.0, "production": largest}.get(
            self.problem.objective, largest * (worth or 1.0)
        )
        return max(self.relative_gap * abs(self.value), 1e-6 * scale)

    @property
    def next_value(self) -> float | None:
        """The least value that would count as better; None without a schedule."""
        if self.value is None:
            return None
        return self.value + self.step if self.maximises else self.value - self.step

    def gain(self, value: float) -> float:
        """By how much a value is better than the best."""
        assert self.value is not None
        return value - self.value if self.maximises else self.value - value

    def improves(self, value: float) -> bool:
        """Whether a value is better, by what counts less the solver's own tolerance."""
        return self.value is None or self.gain(value) >= self.step / 2

    def valued(self, schedule: Schedule) -> tuple[Schedule, float] | None:
        """Return a schedule at the horizon that was asked, and its value; None if it breaks it."""
        assert self.problem.horizon is not None
        schedule = replace(schedule, horizon=self.problem.horizon)
        violations = find_violations(schedule, self.network)
        if violations:
            self.rejected = violations
            return None
        return schedule, schedule_value(schedule, self.network, self.problem.objective)

    def update(self, schedule: Schedule, value: float) -> None:
        """Make a schedule that was valued the best."""
        self.schedule, self.value = schedule, value
