"""Which region holds for which facility and period, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.planning.pieces import region_pieces
from stnopt.planning.production_limits import BelowPieces, InRegion, WithinLimits
from stnopt.plant.checks import did_you_mean
from stnopt.plant.tolerance import time_tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.feasibility.refinement import Limit
    from stnopt.planning.problem import PlanningProblem
    from stnopt.planning.production_limits import ProductionLimit
    from stnopt.planning.question import PeriodQuestion

PlanningRegion: TypeAlias = CertifiedRegion | LinearRegion | KernelRegion | UnionRegion
PlanningForm: TypeAlias = Literal["inner", "outer", "algebraic", "split"]
FORMS: tuple[PlanningForm, ...] = ("inner", "outer", "algebraic", "split")


def match_regions(
    problem: PlanningProblem,
    questions: Mapping[tuple[str, str], PeriodQuestion],
    regions: Mapping[str, PlanningRegion | Sequence[PlanningRegion]],
) -> dict[tuple[str, str], PlanningRegion]:
    """Find the region of every open facility and period for which regions were given.

    Raises
    ------
    InvalidInputError
        With every region that does not fit, and every period that has none.
    """
    problems: list[str] = []
    matched: dict[tuple[str, str], PlanningRegion] = {}
    for facility, given in regions.items():
        if facility not in problem.facilities:
            hint = did_you_mean(facility, problem.facilities)
            problems.append(f"regions: there is no facility {facility!r}{hint}")
            continue
        offered = list(given) if isinstance(given, Sequence) else [given]
        for number, region in enumerate(offered, 1):
            if not isinstance(region, PlanningRegion):
                problems.append(
                    f"regions of {facility!r}: {number}: expected a certified, linear or kernel "
                    f"region, got {type(region).__name__}"
                )
        offered = [region for region in offered if isinstance(region, PlanningRegion)]
        used: set[int] = set()
        refused: dict[str, list[str]] = {}
        for period in problem.periods:
            question = questions.get((facility, period))
            if question is None:
                continue
            why = [_why_not(region, question) for region in offered]
            fitting = [i for i, reason in enumerate(why) if not reason]
            used |= set(fitting)
            if fitting:
                matched[facility, period] = offered[fitting[0]]
            else:
                refused.setdefault("; ".join(why) or "none was given", []).append(period)
        problems += [
            f"regions of {facility!r}: none holds for period {', '.join(periods)}: {reason}"
            for reason, periods in refused.items()
        ]
        if not refused:
            problems += [
                f"regions of {facility!r}: number {number} is for no period of the problem: "
                + _why_not(region, questions[facility, problem.periods[0]])
                for number, region in enumerate(offered, 1)
                if number - 1 not in used and (facility, problem.periods[0]) in questions
            ]
    if problems:
        raise InvalidInputError(problems)
    return matched


def _why_not(region: PlanningRegion, question: PeriodQuestion) -> str:
    """Say why a region does not hold for a period; empty if it does."""
    origin, inputs = facts_of(region)
    missing = [product for product in question.products if product not in inputs]
    if missing:
        return f"the region of {', '.join(inputs)} says nothing of {', '.join(missing)}"
    beside = [name for name in inputs if name not in question.products]
    if beside and not isinstance(region, CertifiedRegion):
        return f"the region has {', '.join(beside)}, which the plan does not make"
    prints = {question.plant.fingerprint, question.network.fingerprint}
    if origin.get("fingerprint") not in (None, *prints):
        return (
            f"the region is for another plant (fingerprint {str(origin['fingerprint'])[:8]}..., "
            f"this period's is {question.plant.fingerprint[:8]}...)"
        )
    if origin.get("sense", "at_least") != "at_least":
        return "the region is for exactly its targets; plans need one for at least so much"
    horizon = origin.get("horizon")
    if horizon is not None and abs(float(horizon) - question.horizon) > time_tolerance(
        question.horizon
    ):
        return (
            f"the region is for the horizon {float(horizon):g}, the period lasts "
            f"{question.horizon:g}"
        )
    if isinstance(region, CertifiedRegion):
        return ""
    for name, low, high in zip(region.inputs, region.lower, region.upper, strict=True):
        if not (math.isfinite(low) and math.isfinite(high)):
            return (
                f"the region does not say between which amounts of {name} it was learned: "
                "outside, it would extrapolate; give its `lower` and `upper`"
            )
    return ""


def facts_of(region: PlanningRegion) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return where a region comes from, and what its inputs are."""
    if isinstance(region, CertifiedRegion):
        return region.scope, region.products
    return region.origin, region.inputs


def region_limits(
    region: PlanningRegion, question: PeriodQuestion, form: PlanningForm
) -> list[ProductionLimit]:
    """Return what a region says of a period's production, in one of the forms."""
    if form not in FORMS:
        expected = ", ".join(map(repr, FORMS))
        raise InvalidInputError(f"form: expected one of {expected}, got {form!r}")
    products = question.products
    if not isinstance(region, CertifiedRegion):
        return [InRegion(region=region, form=form)]
    if form != "outer":
        return [BelowPieces(pieces=region_pieces(region, products), products=products)]
    limits = projected_limits(region, products)
    columns = [region.products.index(product) for product in products]
    return [WithinLimits(limits=limits, upper=region.upper[columns], products=products)]


def projected_limits(region: CertifiedRegion, products: Sequence[str]) -> list[Limit]:
    """Return the limits that speak of some products alone, with these in order."""
    from stnopt.feasibility.refinement import Limit

    columns = [region.products.index(product) for product in products]
    others = [j for j in range(len(region.products)) if j not in columns]
    return [
        Limit(
            lower=tuple(float(np.array(limit.lower)[j]) for j in columns),
            weights=tuple(float(np.array(limit.weights)[j]) for j in columns),
            bound=limit.bound,
        )
        for limit in region.limits
        # of the others nothing is made: a corner above 0 in them excludes nothing
        if all(limit.lower[j] <= 0 for j in others) and any(limit.weights[j] > 0 for j in columns)
    ]
