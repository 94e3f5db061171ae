"""Asking a plant where a plan goes beyond what is known: a schedule, or a proof against it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed

from stnopt.feasibility.directions import weigh_products
from stnopt.feasibility.refinement import Limit
from stnopt.planning.prove import prove_limit
from stnopt.scheduling.search.find_schedule import find_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from stnopt.planning.book import KnowledgeBook
    from stnopt.planning.knowledge import Knowledge
    from stnopt.planning.prove import Extent
    from stnopt.planning.question import PeriodQuestion

#: Questions that are asked between two plans.
_PER_ROUND = 6
#: Share of an amount by which a point must go beyond what is known to be asked about.
_BEYOND = 5e-4
#: Corners that are tried for one product: each finds a schedule nearer to the point, or a proof.
_TRIES = 4
#: What a product's largest amount counts beside that of the one that is asked for.
_LITTLE = 5e-4
#: Shares of a point for which a schedule is sought where nothing can be proven of it.
_NEARER = (1.0, 0.85, 0.7, 0.5)
#: Of the seconds for a question, what each of these may take.
_SHARE = 0.5
#: What a product counts of which nothing is lacking, beside one of which all is.
_BESIDE = 0.05


@dataclass(slots=True, kw_only=True)
class Refiner:
    """Turns points of an outer plan into schedules, limits and cost cuts."""

    book: KnowledgeBook
    period_limit: float
    remaining: Callable[[], float]
    n_jobs: int = 1
    asked: set[tuple[object, ...]] = field(default_factory=set)
    undecided: dict[str, tuple[PeriodQuestion, NDArray[np.float64]]] = field(default_factory=dict)

    def open_questions(self) -> Iterator[str]:
        """Say what could not be decided, and was not settled later."""
        for said, (question, amounts) in self.undecided.items():
            if not self._is_settled(self.book.of(question), amounts):
                yield said

    def refine(
        self,
        points: Sequence[tuple[PeriodQuestion, NDArray[np.float64]]],
        *,
        report: Callable[[str], None],
    ) -> bool:
        """Ask about points, the first ones first; whether anything was learned."""
        open_points = [
            (question, amounts)
            for question, amounts in points
            if np.any(amounts > question.tolerance)
            and not self._is_settled(self.book.of(question), amounts)
        ][:_PER_ROUND]
        learned = self._prove_hints(open_points, report)
        asked_once: set[str] = set()  # one point a round of what is hard to settle
        for question, amounts in open_points:
            if self.remaining() <= 0:
                break
            knowledge = self.book.of(question)
            if self._is_settled(knowledge, amounts) or question.key in asked_once:
                continue
            report(f"ask for more of {', '.join(question.targets(amounts))}")
            learned |= self.settle(question, amounts)
            if knowledge.is_hard:
                asked_once.add(question.key)
            self.book.save(question)
        return learned

    def explore(
        self,
        question: PeriodQuestion,
        wanted: NDArray[np.float64],
        lacking: NDArray[np.float64] | None,
        *,
        report: Callable[[str], None],
    ) -> bool:
        """Search for a schedule that makes much of what plans still lack; whether one came.

        Parameters
        ----------
        question : PeriodQuestion
        wanted : (p,) array
            What all periods of this question should make together.
        lacking : (p,) array or None
            What the best plan makes less; None if there is no plan.
        report : callable
        """
        knowledge = self.book.of(question)
        scale = np.where(knowledge.upper > question.tolerance, knowledge.upper, np.inf)
        for shares in _shares_of_interest(wanted, lacking):
            weights = shares / scale
            if not weights.any() or self.remaining() <= 0:
                continue
            weights = weights / weights.sum()
            key = _asked_key(question, np.full(len(weights), -1.0), weights)
            if key in self.asked:
                continue
            self.asked.add(key)
            report(f"seek more of {', '.join(question.targets(shares))}")
            prices = dict(zip(question.products, map(float, weights), strict=True))
            found = find_schedule(
                weigh_products(question.network, prices),
                horizon=question.horizon,
                time_limit=min(_SHARE * self.period_limit, max(self.remaining(), 0.5)),
                proof_limit=0,
            )
            n_before = len(knowledge.made)
            if found.schedule is not None:
                knowledge.add_schedule(found.schedule)
                self.book.save(question)
            if len(knowledge.made) > n_before:
                return True
        return False

    def _prove_hints(
        self,
        points: Sequence[tuple[PeriodQuestion, NDArray[np.float64]]],
        report: Callable[[str], None],
    ) -> bool:
        """Ask for the limit that excludes each point most; all at once, on as many workers."""
        tasks: dict[tuple[object, ...], tuple[PeriodQuestion, Limit]] = {}
        for question, amounts in points:
            hints = self._hints(self.book.of(question), amounts)
            if hints:
                key = _asked_key(question, hints[0].lower, hints[0].weights)
                if key not in self.asked:
                    tasks[key] = question, hints[0]
        if not tasks:
            return False
        report(f"prove {len(tasks)} limits")
        self.asked |= set(tasks)
        limit = min(self.period_limit, max(self.remaining(), 0.5))
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(prove_limit)(question, hint.lower, hint.weights, time_limit=limit, search=False)
            for question, hint in tasks.values()
        )
        learned = False
        for (question, _), extent in zip(tasks.values(), found, strict=True):
            learned |= _remember(self.book.of(question), extent)
            self.book.save(question)
        return learned

    def _hints(self, knowledge: Knowledge, amounts: NDArray[np.float64]) -> list[Limit]:
        """Return a certified region's limits that exclude a point, the farthest beyond first."""
        hints = [h for h in knowledge.hints if h.excludes(amounts[None, :], 0.0)[0]]
        return sorted(hints, key=lambda h: h.bound - float(np.array(h.weights) @ amounts))

    def settle(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> bool:
        """Find a schedule for a point, or a limit that excludes it; whether it learned anything."""
        knowledge = self.book.of(question)
        learned = False
        for hint in self._hints(knowledge, amounts):
            learned |= self._prove(knowledge, hint.lower, hint.weights, search=False) is not None
            if self._is_settled(knowledge, amounts):
                return True
            if self.remaining() <= 0:
                return learned
        return self._decide_unknown(knowledge, amounts) or learned

    def cut_off(self, question: PeriodQuestion, amounts: NDArray[np.float64]) -> bool:
        """Exclude a point that could not be scheduled from the plans that follow.

        Returns
        -------
        bool
            Whether it was more than the proofs' own gap beyond what is known to be feasible.
        """
        knowledge = self.book.of(question)
        step = np.where(np.isfinite(knowledge.upper), knowledge.upper, amounts)
        if knowledge.is_feasible(np.maximum(amounts - 3 * _BEYOND * step, 0.0)):
            return False
        if not knowledge.is_excluded(amounts):
            self.settle(question, amounts)
        if not knowledge.is_excluded(amounts) and not knowledge.is_feasible(amounts):
            knowledge.event_limits.append(_limit_near(knowledge, amounts))
        # a schedule may have come to light meanwhile
        if knowledge.is_feasible(amounts):
            knowledge.answers.pop(knowledge.key_of(question, amounts), None)
        self.book.save(question)
        return True

    def _decide_unknown(self, knowledge: Knowledge, amounts: NDArray[np.float64]) -> bool:
        """First a plane through the known points near by, then one product beyond the others."""
        learned = False
        weights = _direction(knowledge, amounts)
        if knowledge.is_hard:
            return self._approach(knowledge, amounts, weights)
        extent = self._prove(knowledge, np.zeros(len(amounts)), weights, search=True)
        learned |= extent is not None
        if extent is not None and not extent.closed and len(amounts) > 1:
            # proofs are hard to come by here: schedules are worth more
            knowledge.is_hard = True
            return learned
        if self._is_settled(knowledge, amounts) or len(amounts) == 1 or self.remaining() <= 0:
            return learned
        largest = int(np.argmax(amounts / np.maximum(knowledge.upper, 1e-9)))
        for j in (largest, *(j for j in range(len(amounts)) if j != largest)):
            for _ in range(_TRIES):
                corner = _lowest_corner(knowledge, amounts, j)
                weights = _mostly(knowledge.upper, j)
                extent = self._prove(knowledge, corner, weights, search=True)
                learned |= extent is not None
                if extent is None or self._is_settled(knowledge, amounts) or self.remaining() <= 0:
                    break
            if self._is_settled(knowledge, amounts) or self.remaining() <= 0:
                break
        if not self._is_settled(knowledge, amounts):
            self._leave_open(knowledge, amounts)
        return learned

    def _leave_open(self, knowledge: Knowledge, amounts: NDArray[np.float64]) -> None:
        question = knowledge.question
        asked = ", ".join(f"{a:.4g} of {p}" for p, a in question.targets(amounts).items())
        said = f"whether {question.network.name} can make {asked} in {question.horizon:g}"
        self.undecided[said] = (question, amounts)

    def _approach(
        self, knowledge: Knowledge, amounts: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> bool:
        """Search for a schedule that makes a share of every product and then as much as can be."""
        self._leave_open(knowledge, amounts)
        question, n_before = knowledge.question, len(knowledge.made)
        prices = dict(zip(question.products, map(float, weights), strict=True))
        network = weigh_products(question.network, prices)
        for share in _NEARER:
            if self.remaining() <= 0 or knowledge.is_feasible(share * amounts):
                break
            wanted = question.problem(share * amounts)
            limit = min(_SHARE * self.period_limit, max(self.remaining(), 0.5))
            found = find_schedule(
                network, replace(wanted, objective="profit"), time_limit=limit, proof_limit=0
            )
            if found.schedule is not None:
                knowledge.add_schedule(found.schedule)
                break
        return len(knowledge.made) > n_before

    def _is_settled(self, knowledge: Knowledge, amounts: NDArray[np.float64]) -> bool:
        inside = amounts * (1 - _BEYOND)
        return knowledge.is_excluded(inside) or knowledge.is_feasible(inside)

    def _prove(
        self,
        knowledge: Knowledge,
        lower: Sequence[float] | NDArray[np.float64],
        weights: Sequence[float] | NDArray[np.float64],
        *,
        search: bool,
    ) -> Extent | None:
        """Ask for a limit once; None where it was asked before, or nothing came of it."""
        question = knowledge.question
        key = _asked_key(question, lower, weights)
        if key in self.asked:
            return None
        self.asked.add(key)
        limit = min(self.period_limit, max(self.remaining(), 0.5))
        extent = prove_limit(question, list(lower), list(weights), time_limit=limit, search=search)
        return extent if _remember(knowledge, extent) else None


def _shares_of_interest(
    wanted: NDArray[np.float64], lacking: NDArray[np.float64] | None
) -> Iterator[NDArray[np.float64]]:
    """Yield what products count: as much as they are lacking, then one after the other alone."""
    some = wanted > 0
    if lacking is not None:
        yield np.where(some, np.maximum(lacking / np.where(some, wanted, 1.0), _BESIDE), 0.0)
    else:
        yield some.astype(float)
    missing = wanted if lacking is None else lacking
    for j in np.argsort(-missing, kind="stable"):
        if missing[j] > 0:
            yield np.where(np.arange(len(wanted)) == j, 1.0, _BESIDE * some)


def _asked_key(
    question: PeriodQuestion,
    lower: Sequence[float] | NDArray[np.float64],
    weights: Sequence[float] | NDArray[np.float64],
) -> tuple[object, ...]:
    return (question.key, *np.round([*lower, *weights], 6))


def _remember(knowledge: Knowledge, extent: Extent) -> bool:
    """Add what came of a question; whether anything did."""
    if extent.limit is not None:
        knowledge.limits.append(extent.limit)
    if extent.schedule is not None:
        knowledge.add_schedule(extent.schedule)
    return extent.limit is not None or extent.schedule is not None


def _direction(knowledge: Knowledge, amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights of the facet of the known points' hull that a ray to a point leaves by."""
    from stnopt.feasibility.refinement import halfspaces_below

    p = len(amounts)
    # of what cannot be made nothing is asked: it would outweigh all else
    made = knowledge.upper > knowledge.question.tolerance
    even = np.where(made, 1 / np.maximum(knowledge.upper, 1e-9), 0.0)
    if not made.any():
        return np.ones(p) / p
    points = np.vstack([np.zeros((1, p)), *knowledge.inner()])
    if p == 1 or not np.all(points.max(axis=0) > 0):
        return even / even.sum()
    normals, offsets = halfspaces_below(points)
    beyond = (normals @ amounts) / np.maximum(offsets, 1e-12)
    best = normals[int(np.argmax(beyond))]
    return best / best.sum() if best.sum() > 0 else even / even.sum()


def _mostly(upper: NDArray[np.float64], j: int) -> NDArray[np.float64]:
    """Return weights of product j that count the others a little.

    Of all schedules with as much of j, the one that makes most of the others says most.
    """
    scale = np.where(np.isfinite(upper) & (upper > 0), upper, 1.0)
    weights = _LITTLE * scale[j] / scale
    weights[j] = 1.0
    return weights


def _lowest_corner(
    knowledge: Knowledge, amounts: NDArray[np.float64], j: int
) -> NDArray[np.float64]:
    """Return a corner below a point, above all known schedules with as much of product j.

    What is proven above it then excludes as much as can be. Schedules that reach the point in
    product j but not in the others bound the corner from below.
    """
    corner = amounts * (1 - _BEYOND)
    as_much = [made for made, _ in knowledge.made if made[j] >= corner[j]]
    step = _BEYOND * np.where(np.isfinite(knowledge.upper), knowledge.upper, amounts)
    corner[j] = 0.0
    for i in range(len(amounts)):
        if i == j:
            continue
        others = [k for k in range(len(amounts)) if k not in (i, j)]
        rivals = [made[i] for made in as_much if np.all(made[others] >= corner[others])]
        corner[i] = min(corner[i], max(rivals) + step[i]) if rivals else 0.0
    return corner


def _limit_near(knowledge: Knowledge, amounts: NDArray[np.float64]) -> Limit:
    """Return a limit between the best known schedule and a point that failed: it only steers."""
    weights = _direction(knowledge, amounts)
    made = [float(weights @ known) for known, _ in knowledge.made]
    reached = float(weights @ amounts)
    most = max([m for m in made if m < reached], default=0.9 * reached)
    return Limit(
        lower=(0.0,) * len(amounts),
        weights=tuple(map(float, weights)),
        bound=max(most, 0.98 * reached) if most > 0 else 0.98 * reached,
    )
