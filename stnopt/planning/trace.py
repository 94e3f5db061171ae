"""The certified regions of all plants of a problem, each traced once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.arguments import (
    COUNT,
    FUNCTION,
    PATH,
    POSITIVE,
    WHOLE,
    WORKERS,
    check_arguments,
    optional,
)
from stnopt.feasibility.certified_region import CertifiedRegion, trace_frontier
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.prove_frontier import prove_frontier
from stnopt.planning.question import period_questions
from stnopt.planning.store import PlanStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Products beyond which the corners of what is not excluded are not enumerated.
_MOST_PROVEN = 2


def trace_regions(
    problem: PlanningProblem,
    *,
    tolerance: float = 1e-3,
    max_solves: int | None = None,
    seed: int = 0,
    store: Path | str | None = None,
    period_limit: float = 60.0,
    n_jobs: int = 1,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, list[CertifiedRegion]]:
    """Trace what each plant of a problem can make in a period, once for each kind of period.

    Parameters
    ----------
    problem : PlanningProblem
    tolerance, max_solves, seed
        As in `trace_frontier`.
    store : path, optional
        File in which the limits of one and two products are then proven for any schedule, and what
        production costs at least: `find_plan` with the same store begins with them, and asks the
        plants hardly anything.
    period_limit : float
        Seconds for each of these proofs.
    n_jobs : int
        Workers for them, through joblib.
    report : callable
        Told what is being traced and proven.

    Returns
    -------
    dict
        Regions by facility, as `find_plan` and `build_planning_model` take them. A facility that
        makes a single product has none: what it can make needs no region.
    """
    check_arguments(
        problem=(problem, PlanningProblem),
        tolerance=(tolerance, POSITIVE),
        max_solves=(max_solves, optional(COUNT)),
        seed=(seed, WHOLE),
        store=(store, optional(PATH)),
        period_limit=(period_limit, POSITIVE),
        n_jobs=(n_jobs, WORKERS),
        report=(report, FUNCTION),
    )
    traced: dict[str, CertifiedRegion] = {}
    regions: dict[str, list[CertifiedRegion]] = {}
    questions = period_questions(problem)
    for (facility, period), question in questions.items():
        if len(question.products) < 2:
            continue
        if question.key not in traced:
            report(f"trace {facility}, period {period}")
            traced[question.key] = trace_frontier(
                question.plant,
                horizon=question.horizon,
                products=question.products,
                tolerance=tolerance,
                max_solves=max_solves,
                seed=seed,
            )
        found = regions.setdefault(facility, [])
        if traced[question.key] not in found:
            found.append(traced[question.key])
    if store is not None:
        with PlanStore(store) as kept:
            book = KnowledgeBook(kept)
            different = {question.cost_key: question for question in questions.values()}
            for question in different.values():
                if len(question.products) > _MOST_PROVEN:
                    continue
                if question.key in traced:
                    book.learn(question, traced[question.key])
                prove_frontier(
                    question, book, period_limit=period_limit, n_jobs=n_jobs, report=report
                )
    return regions
