"""The best schedule of a search so far, and what counts as better than it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.kept import missing_batches, put_back

if TYPE_CHECKING:
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.question import Question


@dataclass(slots=True, kw_only=True)
class Incumbent:
    """The best schedule so far: every one is replayed at the horizon that was asked first.

    Attributes
    ----------
    question : Question
    relative_gap : float
        Least relative improvement that counts.
    schedule : Schedule or None
    value : float or None
        Of the schedule, from its batches and the plant alone.
    rejected : list of str
        Why the last schedule that was offered and not taken was not.
    """

    question: Question
    relative_gap: float
    schedule: Schedule | None = None
    value: float | None = None
    rejected: list[str] = field(default_factory=list)

    @property
    def maximises(self) -> bool:
        """Whether more is better."""
        return self.question.maximises

    @property
    def step(self) -> float:
        """Least improvement that counts; more than rounding, whatever the value is."""
        assert self.value is not None
        return max(self.relative_gap * abs(self.value), 1e-6 * self.question.scale)

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
        network, keep = self.question.network, self.question.keep
        schedule = replace(schedule, horizon=self.question.horizon)
        if keep:
            schedule = put_back(schedule, keep, network)
        rejected = [violation.message for violation in find_violations(schedule, network)]
        rejected += [
            f"{batch.task} on {batch.unit} at {batch.start:g} is not kept"
            for batch in missing_batches(keep, schedule, network)
        ]
        if rejected:
            self.rejected = rejected
            return None
        return schedule, self.question.value_of(schedule)

    def update(self, schedule: Schedule, value: float) -> None:
        """Make a schedule that was valued the best."""
        self.schedule, self.value = schedule, value
