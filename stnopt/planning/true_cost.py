"""Asking what production costs at least where schedules turn out dearer than sums say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.planning.cost_cut import CostCut
from stnopt.planning.fewer_batches import costs_in_steps
from stnopt.planning.prove import cost_by_sums, prove_cost
from stnopt.planning.question import cost_of
from stnopt.planning.schedule_period import schedule_period
from stnopt.scheduling.search.find_schedule import find_schedule
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
#: Share of the seconds for a question that the search for a cheaper schedule may take.
_SEARCH = 0.25
#: Share of its cost by which a schedule must be cheaper than another.
_LESS = 1e-5
#: Shares to which a corner is lowered where costs rise in steps, beside none and a little.
_LOWER = (0.5,)
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
            answered = knowledge.key_of(question, amounts)
            key = (*answered, round(cost, 6))
            if key in self.asked:
                continue
            self.asked.add(key)
            n_asked += 1
            report("ask what production costs")
            if not knowledge.is_hard:
                learned |= self._cut(question, amounts, schedule)
            # what came with the proofs may be a cheaper one for these amounts
            knowledge.answers.pop(answered, None)
            learned |= self._search_cheaper(question, amounts)
            self.book.save(question)
        return learned

    def see(
        self,
        made: Sequence[tuple[PeriodQuestion, NDArray[np.float64], Schedule]],
        seen: dict[str, list[CostCut]],
    ) -> bool:
        """Add planes below what schedules were seen to cost near by; whether there is a new one.

        With the order of its batches kept, a schedule's cost is convex in what it makes: the plane
        of its marginal costs is below it. Other schedules may be cheaper, so nothing is proven.
        """
        is_new = False
        for question, amounts, schedule in made:
            planes = seen.setdefault(question.cost_key, [])
            cost = cost_of(schedule, question)
            known = max([self.least_cost(question, amounts), *(p.at(amounts) for p in planes)])
            if cost - known <= _DEARER * abs(cost) + 1e-9:
                continue
            beside = _made_beside(question, amounts, schedule)
            prices = _marginal_costs(question, amounts, schedule, beside)
            least = np.minimum(self.book.of(question).little, _CORNERS[0] * amounts)
            planes.append(
                CostCut(
                    products=question.products,
                    lower=tuple(map(float, np.where(beside, least, _CORNERS[0] * amounts))),
                    weights=tuple(map(float, prices)),
                    base=cost - float(prices @ amounts),
                )
            )
            is_new = True
        return is_new

    def least_cost(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> float:
        """Return what some amounts are known to cost at least."""
        least = cost_by_sums(question, amounts)
        cuts = self.book.of(question).cuts_of(question)
        return max([least, *(cut.at(amounts) for cut in cuts)])

    def _cut(
        self, question: PeriodQuestion, amounts: NDArray[np.float64], schedule: Schedule
    ) -> bool:
        """Prove a plane near a schedule's cost, from the lowest corner at which there is one."""
        beside = _made_beside(question, amounts, schedule)
        prices = _marginal_costs(question, amounts, schedule, beside)
        cost, known = cost_of(schedule, question), self.least_cost(question, amounts)
        best, most = None, _USEFUL * (cost - known)
        near = _NEAR * (cost - known)
        # more than is asked for may be a by-product, or the least batch of what is asked for
        least = np.minimum(self.book.of(question).little, _CORNERS[0] * amounts)
        for share in _CORNERS:
            for some in (0.0, least) if beside.any() else (0.0,):
                cut = self._prove(question, np.where(beside, some, share * amounts), prices)
                if cut is not None and cut.at(amounts) - known > most:
                    best, most = cut, cut.at(amounts) - known
                if most > near:
                    break
            if most > near:
                break
        if best is not None and costs_in_steps(question):
            best = self._lowered(question, amounts, best, known + _NEAR * most)
        if best is not None:
            cuts = self.book.of(question).cost_cuts
            cuts.setdefault(question.cost_key, []).append(best)
        return best is not None

    def _search_cheaper(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> bool:
        """Search for a schedule where all known ones cost more than is proven; whether one came."""
        limit = min(_SEARCH * self.period_limit, self.remaining())
        if limit <= 0:
            return False
        knowledge = self.book.of(question)
        known, _ = schedule_period(knowledge, question, amounts, time_limit=limit, may_search=False)
        if known.schedule is None:
            return False
        cost = cost_of(known.schedule, question)
        if cost <= self.least_cost(question, amounts) + _DEARER * abs(cost) + 1e-9:
            return False
        found = find_schedule(
            question.network, question.problem(amounts), time_limit=limit, proof_limit=0
        )
        if found.schedule is None or cost_of(found.schedule, question) >= cost - _LESS * abs(cost):
            return False
        knowledge.answers.pop(knowledge.key_of(question, amounts), None)
        knowledge.made.append((question.amounts(found.schedule.final_stock), found.schedule))
        return True

    def _lowered(
        self, question: PeriodQuestion, amounts: NDArray[np.float64], cut: CostCut, enough: float
    ) -> CostCut:
        """Lower a cut's corner, product by product, as long as it still asks for enough."""
        best = cut
        little = self.book.of(question).little
        for j in range(len(amounts)):
            for level in (0.0, little[j], *(share * amounts[j] for share in _LOWER)):
                lower = np.array(best.lower)
                if lower[j] <= level:
                    break
                lower[j] = level
                found = self._prove(question, lower, np.array(best.weights))
                if found is not None and found.at(amounts) >= enough:
                    best = found
                    break
        return best

    def _prove(
        self,
        question: PeriodQuestion,
        lower: NDArray[np.float64],
        prices: NDArray[np.float64],
    ) -> CostCut | None:
        if self.remaining() <= 0:
            return None
        limit = min(self.period_limit, max(self.remaining(), 0.5))
        cut, schedule = prove_cost(question, list(lower), list(prices), time_limit=limit)
        if schedule is not None:
            self.book.of(question).add_schedule(schedule)
        return cut


def _made_beside(
    question: PeriodQuestion, amounts: NDArray[np.float64], schedule: Schedule
) -> NDArray[np.bool_]:
    """Return of which products a schedule makes more than is asked for."""
    made = question.amounts(schedule.final_stock)
    beside: NDArray[np.bool_] = made > amounts * (1 + 1e-4) + question.tolerance
    return beside


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
