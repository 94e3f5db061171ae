"""Incumbents: a solution that breaks a region is moved inside it, in small steps by LPs."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.master_problem import BACK_OFF, weighted_sum
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.feasibility.region import LinearRegion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stnopt.embedding.master_problem import Range, Row, SearchState
    from stnopt.embedding.outer_approximation import OuterApproximation
    from stnopt.embedding.region_parts import RegionPart

    FloatArray = NDArray[np.float64]


def improve(
    state: SearchState,
    approximations: tuple[OuterApproximation, ...],
    points: list[FloatArray],
    *,
    shrink: float = 1.0,
) -> None:
    """Move a solution that breaks a region inside it: fix its integers, solve small LPs.

    Each LP holds the inputs in a small box around a feasible point near the solution and in a
    half-space that is certainly feasible there, and the next one starts from its solution.

    Parameters
    ----------
    state : SearchState
        Its model has the solution's values.
    approximations : tuple of OuterApproximation
        One per kernel region.
    points : list of (n,) array
        Inputs of every part.
    shrink : float
        Size of the first box, in terms of its usual one.
    """
    master, incumbent = state.master, state.incumbent
    tolerance = incumbent.tolerance
    gap = state.limits.relative_gap
    with _fixed_integers(master.model):
        stalls, reached = 0, math.inf
        for _ in range(8):
            rows = _inner_rows(state, approximations, points, shrink)
            if rows is None:
                return
            master.write_rows(*rows)
            outcome = master.solve(1e-9)
            if outcome.objective is None:
                if reached < math.inf or shrink > 10:
                    return
                shrink *= 16.0  # the fixed integers may allow inputs a little farther away
                continue
            found = master.points()
            if not master.accepts(found):
                return
            best = min(reached, math.inf if incumbent.value is None else incumbent.value)
            value = state.update_incumbent()
            if value < reached:
                points, reached = found, value
            if value > best - 0.1 * tolerance(gap):
                stalls += 1
                shrink = min(shrink, 1.0) / 6
                if stalls == 2 or value > best + 100 * tolerance(gap):
                    return
            else:
                shrink *= 2.0  # the larger the box, the less of it the half-space admits


@contextmanager
def _fixed_integers(model: pyo.ConcreteModel) -> Iterator[None]:
    integers = [
        var
        for var in model.component_data_objects(pyo.Var, active=True)
        if not var.fixed and not var.is_continuous() and var.value is not None
    ]
    kept = [var.value for var in integers]
    for var in integers:
        var.fix(round(var.value), skip_validation=True)
    try:
        yield
    finally:
        for var, value in zip(integers, kept, strict=True):
            var.unfix()
            var.set_value(value, skip_validation=True)


def _inner_rows(
    state: SearchState,
    approximations: tuple[OuterApproximation, ...],
    points: list[FloatArray],
    shrink: float,
) -> tuple[list[Row], list[Range]] | None:
    """Boxes and half-spaces that are certainly feasible; None if no feasible point is known."""
    rows: list[Row] = []
    ranges: list[Range] = []
    at = iter(zip(approximations, state.first_width, strict=True))
    for part, point in zip(state.master.parts, points, strict=True):
        variables = part.variables
        region = part.region
        if isinstance(region, LinearRegion):
            scale = float(np.abs(region.weights).sum()) * BACK_OFF
            limit = -region.offset - part.margin - scale
            rows.append((weighted_sum(region.weights, variables), limit))
            continue
        outer, first = next(at)
        width = np.maximum(outer.width, 1e-4 * first)
        start = point
        if not part.accepts(point):
            close = _just_inside(part, point, width)
            near = outer.nearest_inner_point(point) if close is None else close
            if near is None:
                return None
            start = _last_feasible(part, near, point)
        radius = shrink * np.maximum(
            2 * np.abs(point - start).max() * width / width.max(), 0.03 * width
        )
        lower, upper = start - radius, start + radius
        bounds = bound_decision(region, lower[None], upper[None])
        if bounds.upper[0] > -part.margin:
            slope = bounds.gradient[0]
            # tighter by what the solver may overstep
            slack = BACK_OFF * float(np.abs(slope) @ width)
            limit = -part.margin - bounds.value[0] - bounds.above[0] - slack
            size = max(float(np.abs(slope * width).max()), 1e-300)
            rows.append(
                (
                    weighted_sum(slope / size, variables),
                    float(limit + slope @ bounds.center[0]) / size,
                )
            )
        ranges.extend(zip(lower.tolist(), variables, upper.tolist(), strict=True))
    return rows, ranges


def _just_inside(part: RegionPart, point: FloatArray, width: FloatArray) -> FloatArray | None:
    """Feasible point by a few Newton steps down the decision's gradient; None if they miss."""
    at = point
    for _ in range(6):
        height = float(part.region.decision(at[None])[0]) + part.margin
        if height <= 0:
            return at if (np.abs(at - point) <= 0.1 * width).all() else None
        slope = part.region.gradient(at[None])[0] * width
        at = at - width * slope * (1.05 * height / max(float(slope @ slope), 1e-300))
    return None


def _last_feasible(part: RegionPart, start: FloatArray, end: FloatArray) -> FloatArray:
    """Last feasible point on the way from a feasible point to an infeasible one, by bisection."""
    near, far = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (near + far)
        if part.accepts(start + middle * (end - start)):
            near = middle
        else:
            far = middle
    return start + near * (end - start)
