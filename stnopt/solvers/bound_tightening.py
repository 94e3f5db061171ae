"""Ranges that hold for variables in every solution of a linear model, proven with HiGHS."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from pyomo.common.errors import InfeasibleConstraintException

from stnopt.solvers.engines.highs import pass_model
from stnopt.solvers.linear_form import compile_linear
from stnopt.solvers.quiet_highs import new_highs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyomo.environ as pyo


def bound_variables(
    model: pyo.ConcreteModel,
    variables: Sequence[Any],
    *,
    objective_limit: float | None = None,
    integers: bool = False,
    max_nodes: int = 1,
    time_limit: float | None = None,
    threads: int = 1,
) -> list[tuple[float, float]] | None:
    """Prove ranges that hold for variables in every solution of a linear model, with HiGHS.

    The model is translated once; each end of each range is one small solve that starts from the
    one before. Constraints that the model would `refine` are left out, which widens the ranges.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Linear, with or without integers. Its values stay as they are.
    variables : sequence of Var
        Members of the model.
    objective_limit : float, optional
        Only solutions at least as good as this count.
    integers : bool
        Keep integer variables integer, which gives narrower ranges and takes longer.
    max_nodes : int
        Nodes that each solve with integers may take; its bound holds wherever it stops.
    time_limit : float, optional
        Seconds. A range that was not proven by then is the one that the variable states.
    threads : int
        For the solver.

    Returns
    -------
    list of (float, float), or None
        Per variable, widened by 1e-6 of its size; None if the model is proven infeasible.

    Raises
    ------
    UnsupportedModelError
        A nonlinear model.
    """
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    ranges = []
    for var in variables:
        low, high = var.bounds
        ranges.append((-math.inf if low is None else low, math.inf if high is None else high))
    try:
        form = compile_linear(model)
    except InfeasibleConstraintException:
        return None
    places = {id(var): i for i, var in enumerate(form.columns)}
    cost, offset, minimise = form.cost, form.offset, not form.maximise
    mixed = integers and bool(form.integer.any())
    feasibility = replace(
        form,
        cost=np.zeros(len(cost)),
        offset=0.0,
        maximise=False,
        integer=form.integer if integers else np.zeros(len(cost), dtype=bool),
    )
    highs = new_highs()
    settings = {
        "threads": threads,
        "random_seed": 0,
        "mip_max_nodes": max_nodes,
        "presolve": "choose" if mixed else "off",
    }
    for name, setting in settings.items():
        highs.setOptionValue(name, setting)
    if not pass_model(highs, feasibility):
        return ranges
    if objective_limit is not None:
        used = np.flatnonzero(cost).astype(np.int32)
        limit = objective_limit - offset
        ends = (-highspy.kHighsInf, limit) if minimise else (limit, highspy.kHighsInf)
        highs.addRow(*ends, len(used), used, cost[used])
    for j, var in enumerate(variables):
        column = places.get(id(var))
        if column is None:
            continue
        proven = list(ranges[j])
        for side, sign in enumerate((1.0, -1.0)):
            if deadline is not None:
                if time.perf_counter() >= deadline:
                    return ranges
                left = max(deadline - time.perf_counter(), 1e-3)
                highs.setOptionValue("time_limit", highs.getRunTime() + left)
            highs.changeColCost(column, sign)
            highs.run()
            state = highs.getModelStatus()
            if state == highspy.HighsModelStatus.kInfeasible:
                return None
            info = highs.getInfo()
            bound = -math.inf
            if mixed:
                bound = info.mip_dual_bound
            elif state == highspy.HighsModelStatus.kOptimal:
                bound = info.objective_function_value
            if math.isfinite(bound):
                bound -= 1e-6 * max(1.0, abs(bound))
                proven[side] = max(proven[0], bound) if side == 0 else min(proven[1], -bound)
        highs.changeColCost(column, 0.0)
        ranges[j] = (proven[0], proven[1])
    return ranges
