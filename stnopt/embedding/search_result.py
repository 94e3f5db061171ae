"""The one exit of `solve_over_region`: what it returns is derived here, from the model's values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.master_problem import only_objective
from stnopt.solvers.linear_form import compile_linear
from stnopt.solvers.solve import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.embedding.master_problem import Incumbent, Limits
    from stnopt.embedding.region_parts import RegionPart

_MOST_VIOLATION = 1e-4  # of a row's size: a hundred times a solver's own tolerance
_ROUNDING = 1e-6  # how far a bound may pass the incumbent, beside the gap: rows hold to so much


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnd:
    """How the search over one combination of regions ended.

    Attributes
    ----------
    bound : float
        No solution there has less (minimisation); inf if there is none.
    n_boxes, n_solves : int
    empty : str
        Why there is no solution, where that was seen before any solve.
    """

    bound: float
    n_boxes: int
    n_solves: int
    empty: str = ""


def checked_result(
    model: pyo.ConcreteModel,
    choices: Sequence[Sequence[RegionPart]],
    ends: Sequence[SearchEnd],
    incumbent: Incumbent,
    limits: Limits,
    wall_time: float,
) -> SolveResult:
    """Derive the result from the values in the model and the bounds of all alternatives.

    The objective is recomputed from the values, and one alternative's regions must all accept them:
    else there is no solution, and the status is ERROR, as where they break a row. A bound that the
    solution passes is no bound, whatever the solver said: it is left out.

    Parameters
    ----------
    model : pyo.ConcreteModel
        With the incumbent's values, or as it was where there is none.
    choices : parts per alternative
    ends : SearchEnd per alternative
    incumbent : Incumbent
        Of all alternatives.
    limits : Limits
    wall_time : float
        Seconds.
    """
    objective = only_objective(model)
    sign = 1.0 if objective.sense == pyo.minimize else -1.0
    bound = min(end.bound for end in ends)
    value: float | None = None
    violation = 0.0 if incumbent.value is None else _violation(model)
    if incumbent.value is None:
        empty = bound == math.inf and (all(end.empty for end in ends) or not limits.reached)
        status = Status.INFEASIBLE if empty else Status.NO_SOLUTION
        message = "interrupted" if limits.interrupted else "limit reached"
        if empty:
            message = ends[0].empty or "no box holds a solution"
            message = message if len(ends) == 1 else "no alternative holds a solution"
    elif not any(all(part.accepts(part.point()) for part in parts) for parts in choices):
        status, message = Status.ERROR, "the regions reject the solution that was found"
    elif violation > _MOST_VIOLATION:
        status, message = (
            Status.ERROR,
            f"the solution that was found breaks rows by {violation:.2g}",
        )
    else:
        value = sign * float(pyo.value(objective.expr))
        slack = max(limits.relative_gap * abs(value), _ROUNDING)
        passed = bound > value + slack
        bound = -math.inf if passed else min(bound, value)
        status = status_of(
            value, bound if math.isfinite(bound) else None, relative_gap=limits.relative_gap
        )
        message = "interrupted" if limits.interrupted else "limit reached"
        if status is Status.OPTIMAL:
            message = "gap closed"
        if passed:
            message = "the solver's bound is passed by the solution: it is left out"
    known = sign * bound if math.isfinite(bound) else None
    shown = None if value is None else sign * value
    return SolveResult(
        status=status,
        objective=shown,
        bound=known,
        gap=relative_gap_between(shown, known),
        wall_time=wall_time,
        n_nodes=sum(end.n_boxes for end in ends),
        n_solves=sum(end.n_solves for end in ends),
        message=message,
        violation=violation,
    )


def _violation(model: pyo.ConcreteModel) -> float:
    """By how much the model's values break a row or a limit, relative to the row's size."""
    form = compile_linear(model)
    return form.violation_at(np.array([float(var.value) for var in form.columns]))
