"""Asking what production costs at least where schedules turn out dearer than sums say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.planning.prove import prove_cost
from stnopt.planning.schedule_period import cost_of
from stnopt.scheduling.search.capacity_bound import bound_by_capacity
from stnopt.scheduling.search.improve import improve_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stnopt.planning.book import KnowledgeBook
    from stnopt.planning.question import PeriodQuestion
    from stnopt.scheduling.schedule import Schedule

#: Questions that are asked between two plans.
_PER_ROUND = 4
#: Share of its cost by which a schedule must be dearer than what is proven to ask.
_DEARER = 1e-3
#: Corners of a cut, as shares of the amounts: the lowest whose plane comes near is kept.
_CORNERS = (0.9, 0.97, 0.995)
#: Share of the difference that a cut closes if no other is tried.
_NEAR = 0.8
#: Share of the difference that makes a cut worth keeping.
_USEFUL = 0.05
#: Share of an amount by which production is lessened to see what it costs.
_STEP = 0.01


@dataclass(slots=True, kw_only=True)
class CostRefiner:
    """Turns schedules that are dearer than known into cost cuts."""

    book: KnowledgeBook
    period_limit: float
    remaining: Callable[[], float]
    asked: set[tuple[object, ...]] = field(default_factory=set)

    def refine(
        self,
        made: Sequence[tuple[PeriodQuestion, NDArray[np.float64], Schedule]],
        *,
        report: Callable[[str], None],
    ) -> bool:
        """Ask about the periods whose schedules are dearest beside what is known."""
        dearer = []
        for question, amounts, schedule in made:
            cost = cost_of(schedule, question)
            excess = cost - self.least_cost(question, amounts)
            if excess > _DEARER * abs(cost) + 1e-9:
                dearer.append((excess, question, amounts, schedule))
        learned = False
        n_asked = 0
        for _, question, amounts, schedule in sorted(dearer, key=lambda row: -row[0]):
            if n_asked >= _PER_ROUND or self.remaining() <= 0:
                break
            # an earlier cut of this round may have said it already
            cost = cost_of(schedule, question)
            if cost - self.least_cost(question, amounts) <= _DEARER * abs(cost):
                continue
            knowledge = self.book.of(question)
            key = knowledge.key_of(question, amounts)
            if key in self.asked:
                continue
            self.asked.add(key)
            n_asked += 1
            report("ask what production costs")
            learned |= self._cut(question, amounts, schedule)
            self.book.save(question)
        return learned

    def least_cost(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> float:
        """Return what some amounts are known to cost at least."""
        sums = bound_by_capacity(question.network, question.problem(amounts))
        least = 0.0 if sums is None or not np.isfinite(sums) else sums
        cuts = self.book.of(question).cost_cuts.get(question.cost_key, [])
        return max([least, *(cut.at(amounts) for cut in cuts)])

    def _cut(
        self, question: PeriodQuestion, amounts: NDArray[np.float64], schedule: Schedule
    ) -> bool:
        """Prove a plane near a schedule's cost, from the lowest corner at which there is one."""
        made = question.amounts(schedule.final_stock)
        beside = made > amounts * (1 + 1e-4) + question.tolerance
        prices = _marginal_costs(question, amounts, schedule, beside)
        cost, known = cost_of(schedule, question), self.least_cost(question, amounts)
        cuts = self.book.of(question).cost_cuts.setdefault(question.cost_key, [])
        best, most = None, _USEFUL * (cost - known)
        for share in _CORNERS:
            if self.remaining() <= 0:
                break
            lower = np.where(beside, 0.0, share * amounts)
            limit = min(self.period_limit, max(self.remaining(), 0.5))
            cut = prove_cost(question, list(lower), list(prices), time_limit=limit)
            if cut is None:
                continue
            gained = cut.at(amounts) - known
            if gained > most:
                best, most = cut, gained
            if gained > _NEAR * (cost - known):
                break
        if best is not None:
            cuts.append(best)
        return best is not None


def _marginal_costs(
    question: PeriodQuestion,
    amounts: NDArray[np.float64],
    schedule: Schedule,
    beside: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return what a little less of each product saves when a schedule is retimed.

    What comes as more than is asked for costs nothing more.
    """
    prices = np.zeros(len(amounts))
    base = cost_of(schedule, question)
    for j, amount in enumerate(amounts):
        if beside[j] or amount <= question.tolerance[j]:
            continue
        less = amounts.copy()
        less[j] = (1 - _STEP) * amount
        try:
            other = improve_schedule(schedule, question.network, question.problem(less))
        except (InvalidScheduleError, UnsupportedModelError):
            prices[j] = base / amounts.sum()
            continue
        prices[j] = max(0.0, (base - cost_of(other, question)) / (amount - less[j]))
    return prices
