"""The best plan that the plants can really make, and a bound that no plan is below.

Two planning models close in on each other. In the inner one production lies in what is known to be
feasible (or in a learned region, until its plans hold): its plans are scheduled and replayed. In
the outer one only what is proven for any schedule is excluded: its optimum is the bound. Where the
outer plan goes beyond what is known, the plant is asked: a schedule is found, or a proof.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from stnopt.arguments import (
    BY_NAME,
    COUNT,
    FUNCTION,
    GAP,
    PATH,
    POSITIVE,
    SECONDS,
    TRUTH,
    WORKERS,
    check_arguments,
    one_of,
    optional,
)
from stnopt.errors import InvalidInputError
from stnopt.planning.asked_plan import OnePlan
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.carry_over import CarriedSearch, check_carry_over
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.question import period_questions
from stnopt.planning.region_match import PlanningForm, match_regions
from stnopt.planning.search import PlanSearcher
from stnopt.planning.store import PlanStore
from stnopt.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from stnopt.planning.plan import PlanSearch
    from stnopt.planning.region_match import PlanningRegion


def find_plan(
    problem: PlanningProblem,
    *,
    regions: Mapping[str, PlanningRegion | Sequence[PlanningRegion]] | None = None,
    form: PlanningForm = "inner",
    time_limit: float | None = None,
    relative_gap: float = 5e-3,
    max_rounds: int | None = None,
    period_limit: float = 60.0,
    store: Path | str | None = None,
    n_jobs: int = 1,
    progress: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> PlanSearch:
    """Find the best plan whose every period has a replayed schedule, and bound what any plan costs.

    Parameters
    ----------
    problem : PlanningProblem
    regions : mapping of str to region or sequence of regions, optional
        As in `build_planning_model`. Certified regions make the search short: their plans hold at
        once. Learned ones steer the first plans, until one holds. Without any, what the plants can
        make is learned where plans go.
    form : {"inner", "outer"}
        How a learned region enters.
    time_limit : float, optional
        Seconds for the whole search; what runs then is finished within `period_limit`.
    relative_gap : float
        Between cost and bound, at which the search ends.
    max_rounds : int, optional
        Most plans that are made.
    period_limit : float
        Seconds for each question put to a plant.
    store : path, optional
        File in which schedules and proofs are kept as they come. A search that was killed goes on
        from it, and later plans for the same plants begin with what it knows.
    n_jobs : int
        Workers that prove limits, through joblib and whatever backend is set there.
    progress : bool
        Show a line: round, cost, bound, gap.
    clock : callable
        Seconds; for tests.

    Returns
    -------
    PlanSearch
        Its bound holds for the integrated problem, in which all periods are scheduled in one with
        the same rules between them.

    Raises
    ------
    InvalidInputError
        A region that does not fit, or a limit that is none.
    """
    check_arguments(
        problem=(problem, PlanningProblem),
        regions=(regions, optional(BY_NAME)),
        form=(form, one_of(get_args(PlanningForm))),
        time_limit=(time_limit, SECONDS),
        relative_gap=(relative_gap, GAP),
        max_rounds=(max_rounds, optional(COUNT)),
        period_limit=(period_limit, POSITIVE),
        store=(store, optional(PATH)),
        n_jobs=(n_jobs, WORKERS),
        progress=(progress, TRUTH),
        clock=(clock, FUNCTION),
    )
    for name, value in (("time_limit", time_limit), ("period_limit", period_limit)):
        if value is not None and not value > 0:
            raise InvalidInputError(f"{name} must be positive seconds, got {value}")
    if not 0 <= relative_gap < 1:
        raise InvalidInputError(f"relative_gap must be in [0, 1), got {relative_gap}")
    if form not in ("inner", "outer"):
        raise InvalidInputError(f"form: find_plan takes 'inner' or 'outer', got {form!r}")
    if problem.carry_over:
        check_carry_over(problem)
    questions = period_questions(problem)
    matched = match_regions(problem, questions, regions or {})
    begun = clock()
    # with carry_over the plan without it comes first, in half of the time
    first_limit = time_limit / 2 if problem.carry_over and time_limit else time_limit
    line = ProgressLine("find_plan", " steps", progress=progress, limited=time_limit is not None)
    with PlanStore(store) as kept, line:
        searcher = PlanSearcher(
            asked=OnePlan(problem=problem, questions=questions),
            questions=questions,
            regions=matched,
            form=form,
            book=KnowledgeBook(kept),
            relative_gap=relative_gap,
            period_limit=period_limit,
            time_limit=first_limit,
            max_rounds=max_rounds,
            report=line.step,
            clock=clock,
            n_jobs=n_jobs,
        )
        found = searcher.run()
        if not problem.carry_over or found.stopped == "interrupted":
            return found
        carried = CarriedSearch(
            problem=problem,
            base=found,
            remaining=lambda: math.inf if time_limit is None else time_limit - (clock() - begun),
            period_limit=period_limit,
            relative_gap=relative_gap,
        )
        return replace(carried.run(), seconds=clock() - begun)
