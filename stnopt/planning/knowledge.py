"""What is known of a period's question: schedules, what is out of reach, what it costs at least."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from stnopt.planning.pieces import contains, merge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.feasibility.refinement import Limit
    from stnopt.planning.cost_cut import CostCut
    from stnopt.planning.pieces import Piece
    from stnopt.planning.question import PeriodQuestion
    from stnopt.scheduling.schedule import Schedule

#: Too little of a product to be planned: a share of the most of it, and so many tolerances.
_LITTLE, _LITTLE_TOLERANCES = 1e-4, 10.0

Verdict = Literal["feasible", "infeasible", "infeasible at event points", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What is known of making some amounts in a period.

    Attributes
    ----------
    amounts : (p,) array
    verdict : str
    schedule : Schedule or None
        It makes the amounts if they are feasible, else what came nearest.
    """

    amounts: NDArray[np.float64]
    verdict: Verdict
    schedule: Schedule | None


@dataclass(slots=True, kw_only=True, eq=False)
class Knowledge:
    """All that is known of one question; it only grows.

    Attributes
    ----------
    question : PeriodQuestion
    pieces : list of (k, p) arrays
        Certified from elsewhere: what lies below a mean of one's rows can be made.
    made : list of ((p,) array, Schedule)
        What checked schedules make.
    limits : list of Limit
        Hold for any schedule.
    event_limits : list of Limit
        Hold for some event points only, or are where a search gave up: they steer, and prove
        nothing.
    hints : list of Limit
        Of a certified region, proven for its event points: which of them holds for any schedule is
        worth asking.
    answers : mapping of amounts to Answer
        Questions that were scheduled, by their costs and rounded amounts.
    cost_cuts : mapping of str to list of CostCut
        By the costs that they hold for.
    upper : (p,) array
        No schedule makes more.
    is_hard : bool
        Whether proofs did not close in time: schedules are then worth more than proofs.
    """

    question: PeriodQuestion
    upper: NDArray[np.float64]
    pieces: list[Piece] = field(default_factory=list)
    made: list[tuple[NDArray[np.float64], Schedule]] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    event_limits: list[Limit] = field(default_factory=list)
    hints: list[Limit] = field(default_factory=list)
    answers: dict[tuple[object, ...], Answer] = field(default_factory=dict)
    cost_cuts: dict[str, list[CostCut]] = field(default_factory=dict)
    is_hard: bool = False

    @property
    def little(self) -> NDArray[np.float64]:
        """What of each product is too little to be planned: it costs a batch, and is worth none."""
        tolerance = _LITTLE_TOLERANCES * self.question.tolerance
        return np.maximum(tolerance, np.where(np.isfinite(self.upper), _LITTLE * self.upper, 0.0))

    def key_of(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> tuple[object, ...]:
        """Return what stands for amounts that are the same, at the same costs."""
        steps = np.round(amounts / np.maximum(question.tolerance, 1e-12)).astype(np.int64)
        return (question.cost_key, *map(int, steps))

    def inner(self) -> list[Piece]:
        """Return the pieces of all that is known to be feasible."""
        points = [amounts[None, :] for amounts, _ in self.made]
        nothing = np.zeros((1, len(self.question.products)))
        return merge([*self.pieces, *points, nothing])

    def is_feasible(self, amounts: NDArray[np.float64]) -> bool:
        """Whether amounts are known to be feasible."""
        slack = float(self.question.tolerance.max())
        return contains([*self.pieces, *(m[None, :] for m, _ in self.made)], amounts, slack)

    def is_excluded(self, amounts: NDArray[np.float64], *, by_events: bool = False) -> bool:
        """Whether amounts are proven to be infeasible, for any schedule or for event points."""
        limits = [*self.limits, *(self.event_limits if by_events else ())]
        slack = float(self.question.tolerance.max())
        return any(limit.excludes(amounts[None, :], slack)[0] for limit in limits)

    def cuts_of(self, question: PeriodQuestion) -> list[CostCut]:
        """Return what is proven of the costs of a question of this plant and horizon."""
        return self.cost_cuts.get(question.cost_key, [])

    def add_schedule(self, schedule: Schedule) -> None:
        """Remember what a checked schedule makes, unless another makes it with no more batches.

        Nor may they cost more: a batch's own cost, not what it consumes.
        """
        amounts = self.question.amounts(schedule.final_stock)
        n_batches, cost = len(schedule.batches), self._cost_of_batches(schedule)
        if not any(
            np.all(amounts <= known + self.question.tolerance)
            and len(other.batches) <= n_batches
            and self._cost_of_batches(other) <= cost + 1e-9
            for known, other in self.made
        ):
            self.made.append((amounts, schedule))

    def _cost_of_batches(self, schedule: Schedule) -> float:
        tasks = self.question.network.tasks
        return sum(tasks[batch.task].units[batch.unit].fixed_cost for batch in schedule.batches)
