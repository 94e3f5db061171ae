"""The search for a plan: inner and outer model in turn, and a question where they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.planning.pieces import outer_pieces
from stnopt.planning.plan import Plan, PlanSearch, Verification
from stnopt.planning.production_limits import BelowPieces, WithinLimits
from stnopt.planning.refine import Refiner
from stnopt.planning.region_match import region_limits
from stnopt.planning.true_cost import CostRefiner
from stnopt.planning.verify import check_plan
from stnopt.solvers.result import Status
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.planning.asked_plan import AskedPlan
    from stnopt.planning.book import KnowledgeBook
    from stnopt.planning.cost_cut import CostCut
    from stnopt.planning.plan import Stopped
    from stnopt.planning.production_limits import ProductionLimit
    from stnopt.planning.question import PeriodQuestion
    from stnopt.planning.region_match import PlanningForm, PlanningRegion
    from stnopt.scheduling.schedule import Schedule

#: Gap of a planning model, as a share of the gap that is wanted.
_SHARE = 0.1
#: Seconds that a planning model may take.
_MODEL_LIMIT = 60.0
#: Rounds without a better bound or cost after which nothing more is to be gained.
_PATIENCE = 3
#: Share of a product that plans must lack for schedules of more to be sought.
_LACKING = 1e-3
#: Plans that are made of what is known before anything more is asked.
_STEERED = 6


@dataclass(slots=True, kw_only=True)
class PlanSearcher:
    """What a search knows, and the best plan so far."""

    questions: Mapping[tuple[str, str], PeriodQuestion]
    regions: Mapping[tuple[str, str], PlanningRegion]
    form: PlanningForm
    book: KnowledgeBook
    relative_gap: float
    period_limit: float
    time_limit: float | None
    max_rounds: int | None
    report: Callable[[str], None]
    clock: Callable[[], float]
    asked: AskedPlan
    n_jobs: int = 1
    started: float = field(init=False)
    plan: Plan | None = None
    verification: Verification | None = None
    bound: float | None = None
    event_bound: float | None = None
    rounds: int = 0
    first_failed: bool | None = None
    n_scheduled: int = 0
    infeasible: bool = False
    refiner: Refiner = field(init=False)
    costs: CostRefiner = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()
        settings: dict[str, Any] = {
            "book": self.book,
            "period_limit": self.period_limit,
            "remaining": self.remaining,
        }
        self.refiner = Refiner(**settings, n_jobs=self.n_jobs)
        self.costs = CostRefiner(**settings)

    def remaining(self) -> float:
        """Seconds that are left; infinite without a limit."""
        if self.time_limit is None:
            return math.inf
        return self.time_limit - (self.clock() - self.started)

    @property
    def cost(self) -> float | None:
        """Of the best plan that holds."""
        return None if self.verification is None else self.verification.cost

    @property
    def gap(self) -> float:
        """Between the best plan and the bound; infinite while one is missing."""
        if self.cost is None or self.bound is None:
            return math.inf
        return (self.cost - self.bound) / max(abs(self.cost), 1e-10)

    def run(self) -> PlanSearch:
        """Search until the gap is closed, nothing is left to ask, or a limit."""
        stopped: Stopped = "interrupted"
        try:
            self._learn_regions()
            stopped = self._search()
        except KeyboardInterrupt:
            if self.plan is None and self.bound is None:
                raise
        return PlanSearch(
            plan=self.plan,
            verification=self.verification,
            cost=self.cost,
            bound=self.bound,
            event_bound=self.event_bound,
            rounds=self.rounds,
            first_failed=self.first_failed,
            n_scheduled=self.n_scheduled,
            stopped=stopped,
            open_questions=tuple(self.refiner.open_questions()),
            seconds=self.clock() - self.started,
        )

    def _learn_regions(self) -> None:
        for key, region in self.regions.items():
            self.book.learn(self.questions[key], region)

    def _search(self) -> Stopped:
        self._follow_learned()
        idle = 0
        while True:
            before = (self.bound, self.cost)
            outer = self._solve_outer()
            if self.infeasible:
                return "infeasible"
            inner = self._try_inner(outer)
            if self.gap <= self.relative_gap:
                return "gap closed"
            if self.remaining() <= 0:
                return "time limit"
            if self._are_all_made():
                return "no further gain"
            asked = outer is not None and self._explore(outer)
            if not asked:
                asked = inner is not None and self._ask_costs(inner)
                asked |= outer is not None and self._ask(outer)
            if not asked and outer is not None:
                # all of it is known to be feasible: what keeps the bound low is what it costs
                asked = self._ask_costs(self._verify(outer))
            idle = 0 if asked or before != (self.bound, self.cost) else idle + 1
            if idle >= _PATIENCE or (not asked and before == (self.bound, self.cost)):
                return "no further gain"

    def _are_all_made(self) -> bool:
        """Whether no more plans may be made."""
        return self.max_rounds is not None and self.rounds >= self.max_rounds

    def _follow_learned(self) -> None:
        """Follow learned regions until one of their plans holds; what fails is cut off."""
        if all(isinstance(region, CertifiedRegion) for region in self.regions.values()):
            return
        while self.remaining() > 0 and self.max_rounds != self.rounds:
            limits = {}
            for key, question in self.questions.items():
                region = self.regions.get(key)
                rows: list[ProductionLimit] = [self._outer_limit(question, by_events=True)]
                if isinstance(region, CertifiedRegion):
                    rows = [self._inner_limit(question)]
                elif region is not None:
                    rows += region_limits(region, question, self.form)
                limits[key] = rows
            plan, _ = self._solve(limits)
            if plan is None:
                return
            verified = self._verify(plan)
            if verified.verified:
                return
            learned = False
            for check in (c for c in verified.checks if not c.holds):
                question = self.questions[check.facility, check.period]
                amounts = np.array([check.planned.get(p, 0.0) for p in question.products])
                self.report(f"ask {check.facility}, period {check.period}")
                learned |= self.refiner.cut_off(question, amounts)
            if not learned:  # what is left is within the proofs' own gap: the inner model's turn
                return

    def _solve_outer(self) -> Plan | None:
        """Solve the model in which only what is proven is excluded: a bound for every plan."""
        self.report("bound")
        plan, bound = self._solve(self._for_all(self._outer_limit), proven=True)
        if bound is not None and (self.bound is None or bound > self.bound):
            self.bound = bound
        return plan

    def _try_inner(self, outer: Plan | None) -> Verification | None:
        """Make the best plan of what is known to be feasible, and schedule it.

        Where its schedules are dearer than what is proven, another plan is made in which they cost
        what they do: what costs less elsewhere is found before anything has to be proven.
        Where the best plan lacks what the outer one makes, more of it comes first.

        Returns
        -------
        Verification or None
            Of the first plan, whose cost the model knows least of.
        """
        first: Verification | None = None
        seen: dict[str, list[CostCut]] = {}
        for _ in range(_STEERED):
            plan, _ = self._solve(self._for_all(self._inner_limit), seen=seen)
            if plan is None:
                break
            verified = self._verify(plan)
            first = first or verified
            if self.gap <= self.relative_gap or self.remaining() <= 0 or self._are_all_made():
                break
            if outer is not None and self._lacking_questions(outer):
                break
            if not self.costs.see(self._made(verified), seen):
                break
        return first

    def _for_all(
        self, limit_of: Callable[[PeriodQuestion], ProductionLimit]
    ) -> dict[tuple[str, str], list[ProductionLimit]]:
        """Return the limits of all periods, each made once for periods that ask the same."""
        made = {question.key: [limit_of(question)] for question in self._distinct()}
        return {key: made[question.key] for key, question in self.questions.items()}

    def _distinct(self) -> Iterable[PeriodQuestion]:
        return {question.key: question for question in self.questions.values()}.values()

    def _inner_limit(self, question: PeriodQuestion) -> ProductionLimit:
        return BelowPieces(pieces=self.book.of(question).inner(), products=question.products)

    def _outer_limit(self, question: PeriodQuestion, *, by_events: bool = False) -> ProductionLimit:
        known = self.book.of(question)
        limits = [*known.limits, *(known.event_limits if by_events else ())]
        if len(question.products) <= 2:
            pieces = outer_pieces(limits, known.upper)
            return BelowPieces(pieces=pieces, products=question.products)
        return WithinLimits(limits=limits, upper=known.upper, products=question.products)

    def _solve(
        self,
        limits: Mapping[tuple[str, str], list[ProductionLimit]],
        *,
        proven: bool = False,
        seen: Mapping[str, Sequence[CostCut]] | None = None,
    ) -> tuple[Plan | None, float | None]:
        """Solve a planning model; return its plan and what no plan of it is below.

        What schedules were `seen` to cost steers a plan; with it the bound means nothing.
        """
        cuts = {}
        for key, question in self.questions.items():
            known = self.book.of(question)
            found = [*known.cuts_of(question), *(seen or {}).get(question.cost_key, ())]
            if found:
                little = np.zeros(len(known.upper)) if proven else known.little
                cuts[key] = (found, known.upper, little)
        model = self.asked.write(limits, cuts)
        limit = min(_MODEL_LIMIT, max(self.remaining(), 1.0))
        result = solve(model, relative_gap=max(_SHARE * self.relative_gap, 1e-6), time_limit=limit)
        if result.status is Status.INFEASIBLE and proven:
            self.infeasible = True
        plan = self.asked.extract(model) if result.has_solution else None
        return plan, result.bound

    def _verify(self, plan: Plan) -> Verification:
        """Schedule a plan, and keep it if it is the best so far."""
        self.rounds += 1
        limit = min(self.period_limit, max(self.remaining(), 0.5))
        verified = check_plan(
            plan,
            self.questions,
            self.book,
            settle=self.asked.settle,
            time_limit=limit,
            report=self.report,
        )
        self.n_scheduled += verified.n_scheduled
        if self.first_failed is None:
            self.first_failed = not verified.verified
        if self._is_better(verified):
            self.plan, self.verification = plan, verified
        cost, gap = self.cost, self.gap
        said, bound = ("-" if v is None else f"{v:.6g}" for v in (cost, self.bound))
        self.report(f"plan {self.rounds}: cost {said}, bound {bound}, gap {gap:.2%}")
        return verified

    def _is_better(self, verified: Verification) -> bool:
        if self.verification is None:
            return True
        if verified.cost is None:
            return False
        return self.cost is None or verified.cost < self.cost

    def _ask_costs(self, verified: Verification) -> bool:
        """Ask what production costs at least where schedules are dearer than that."""
        return self.costs.refine(self._made(verified), report=self.report)

    def _made(
        self, verified: Verification
    ) -> list[tuple[PeriodQuestion, NDArray[np.float64], Schedule]]:
        """Return what is planned and scheduled in every period that holds."""
        made = []
        for check in verified.checks:
            if check.schedule is not None and check.holds:
                question = self.questions[check.facility, check.period]
                amounts = np.array([check.planned.get(p, 0.0) for p in question.products])
                made.append((question, amounts, check.schedule))
        return made

    def _explore(self, outer: Plan) -> bool:
        """Search for schedules of what the best plan lacks where proofs are hard to come by."""
        found = False
        for question in self._lacking_questions(outer):
            wanted, lacking = self._lacking(outer, question)
            found |= self.refiner.explore(
                question, wanted, lacking if self.cost is not None else None, report=self.report
            )
        return found

    def _lacking_questions(self, outer: Plan) -> list[PeriodQuestion]:
        """Return questions that are hard to prove and of which the best plan makes too little."""
        return [
            question
            for question in self._distinct()
            if self.book.of(question).is_hard and self._is_lacking(*self._lacking(outer, question))
        ]

    def _is_lacking(self, wanted: NDArray[np.float64], lacking: NDArray[np.float64]) -> bool:
        return bool(np.any(lacking > _LACKING * wanted))

    def _lacking(
        self, outer: Plan, question: PeriodQuestion
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what an outer plan makes in a question's periods, and the best plan less of it."""
        best = self.plan.production if self.plan is not None and self.cost is not None else {}
        made, known = (
            np.array(
                [
                    sum(
                        production.get((*key, product), 0.0)
                        for key, own in self.questions.items()
                        if own.key == question.key
                    )
                    for product in question.products
                ]
            )
            for production in (outer.production, best)
        )
        return made, np.maximum(made - known, 0.0)

    def _ask(self, outer: Plan) -> bool:
        """Ask the plants about the outer plan where it goes beyond what is known."""
        wanted: dict[tuple[str, tuple[float, ...]], tuple[PeriodQuestion, int]] = {}
        for key, question in self.questions.items():
            if self.book.of(question).is_hard and not self._is_lacking(
                *self._lacking(outer, question)
            ):
                continue  # plans make as much in other periods
            amounts = tuple(outer.production.get((*key, p), 0.0) for p in question.products)
            same = (question.cost_key, amounts)
            wanted[same] = (question, wanted.get(same, (question, 0))[1] + 1)
        often = sorted(wanted.items(), key=lambda item: -item[1][1])
        points = [(question, np.array(amounts)) for (_, amounts), (question, _) in often]
        return self.refiner.refine(points, report=self.report)
