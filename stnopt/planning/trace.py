"""The certified regions of all plants of a problem, each traced once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.arguments import COUNT, FUNCTION, POSITIVE, WHOLE, check_arguments, optional
from stnopt.feasibility.certified_region import CertifiedRegion, trace_frontier
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.question import period_questions

if TYPE_CHECKING:
    from collections.abc import Callable


def trace_regions(
    problem: PlanningProblem,
    *,
    tolerance: float = 1e-3,
    max_solves: int | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, list[CertifiedRegion]]:
    """Trace what each plant of a problem can make in a period, once for each kind of period.

    Parameters
    ----------
    problem : PlanningProblem
    tolerance, max_solves, seed
        As in `trace_frontier`.
    report : callable
        Told what is being traced.

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
        report=(report, FUNCTION),
    )
    traced: dict[str, CertifiedRegion] = {}
    regions: dict[str, list[CertifiedRegion]] = {}
    for (facility, period), question in period_questions(problem).items():
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
    return regions
