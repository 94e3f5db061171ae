"""HiGHS, driven directly: its own status, bound and node count are read, a start can be given."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from pyomo.common.errors import InfeasibleConstraintException

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.solvers.linear_form import LinearForm, compile_linear
from stnopt.solvers.quiet_highs import new_highs, run_interruptibly
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.solvers.request import SolveRequest

_FAILED = {
    highspy.HighsModelStatus.kNotset,
    highspy.HighsModelStatus.kLoadError,
    highspy.HighsModelStatus.kModelError,
    highspy.HighsModelStatus.kPresolveError,
    highspy.HighsModelStatus.kSolveError,
    highspy.HighsModelStatus.kPostsolveError,
}
_UNSETTLED = {
    highspy.HighsModelStatus.kUnboundedOrInfeasible,
    highspy.HighsModelStatus.kUnbounded,
}


def run(request: SolveRequest) -> SolveResult:
    """Solve a linear model with HiGHS and load what it found into the model's variables."""
    started = time.perf_counter()
    try:
        form = compile_linear(request.model)
    except InfeasibleConstraintException as error:
        return SolveResult(status=Status.INFEASIBLE, message=str(error))
    if not form.columns:  # HiGHS says "Empty" and gives no solution
        form.load(request.model, np.zeros(0))
        value = form.offset
        return SolveResult(
            status=Status.OPTIMAL,
            objective=value,
            bound=value,
            gap=0.0,
            message="nothing to decide",
        )
    highs = _load_highs(request, form, started)
    if request.warm_start:
        _offer_start(highs, form)
    _run(highs)
    state, n_solves = highs.getModelStatus(), 1
    if state in _UNSETTLED:
        state, n_solves = _tell_unbounded_from_infeasible(highs, form, state), 2
    info = highs.getInfo()
    message = highs.modelStatusToString(state)
    n_nodes = max(int(info.mip_node_count), 0) if form.integer.any() else None

    def ended(status: Status) -> SolveResult:
        return SolveResult(status=status, n_nodes=n_nodes, n_solves=n_solves, message=message)

    if state == highspy.HighsModelStatus.kInfeasible:
        return ended(Status.INFEASIBLE)
    if state == highspy.HighsModelStatus.kUnbounded:
        return ended(Status.UNBOUNDED)
    if state == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        return ended(Status.NO_SOLUTION)
    if state in _FAILED:
        return ended(Status.ERROR)

    primal_feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    objective = info.objective_function_value if primal_feasible else None
    if form.integer.any():
        bound = info.mip_dual_bound if math.isfinite(info.mip_dual_bound) else None
    else:
        bound = objective if state == highspy.HighsModelStatus.kOptimal else None
    violation = 0.0
    if objective is not None:
        values = np.array(highs.getSolution().col_value, dtype=float)
        values, resolved = _fix_integers(highs, form, values)
        if resolved is not None:
            objective = resolved
        violation = form.violation_at(values)
        form.load(request.model, values)
    return SolveResult(
        status=status_of(objective, bound, relative_gap=request.relative_gap),
        objective=objective,
        bound=bound,
        gap=relative_gap_between(objective, bound),
        n_nodes=n_nodes,
        n_solves=n_solves,
        message=message,
        violation=violation,
    )


def pass_model(highs: highspy.Highs, form: LinearForm) -> bool:
    """Give HiGHS a model as arrays; say whether it takes it."""
    lp = highspy.HighsLp()
    lp.num_col_ = len(form.columns)
    lp.num_row_ = len(form.row_lower)
    lp.col_cost_ = form.cost
    lp.offset_ = form.offset
    lp.sense_ = highspy.ObjSense.kMaximize if form.maximise else highspy.ObjSense.kMinimize
    # HiGHS's own infinity is the floating-point one.
    lp.col_lower_, lp.col_upper_ = form.lower, form.upper
    lp.row_lower_, lp.row_upper_ = form.row_lower, form.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = form.matrix.indptr
    lp.a_matrix_.index_ = form.matrix.indices
    lp.a_matrix_.value_ = form.matrix.data
    if form.integer.any():
        lp.integrality_ = [
            highspy.HighsVarType.kInteger if i else highspy.HighsVarType.kContinuous
            for i in form.integer
        ]
    return highs.passModel(lp) != highspy.HighsStatus.kError


def _load_highs(request: SolveRequest, form: LinearForm, started: float) -> highspy.Highs:
    highs = new_highs()
    settings: dict[str, Any] = {
        "output_flag": request.log,
        "log_to_console": request.log,
        "threads": request.threads,
        "mip_rel_gap": request.relative_gap,
        "random_seed": request.seed,
        "presolve": "choose" if request.presolve else "off",
    }
    if request.weak_relaxation:
        settings |= {"mip_allow_cut_separation_at_nodes": False, "mip_allow_restart": False}
    if request.node_limit is not None:
        settings["mip_max_nodes"] = request.node_limit
    settings |= request.options
    if request.known_bound is not None and form.has_objective:
        slack = request.relative_gap * abs(request.known_bound) / 2
        side = -slack if form.maximise else slack
        settings["objective_target"] = request.known_bound + side
    if request.time_limit is not None:
        left = request.time_limit - (time.perf_counter() - started)
        settings["time_limit"] = max(left, 1e-3)
    for name, setting in settings.items():
        if highs.setOptionValue(name, setting) != highspy.HighsStatus.kOk:
            raise InvalidInputError(f"HiGHS refuses option {name!r} = {setting!r}")
    if not pass_model(highs, form):
        raise UnsupportedModelError(
            f"HiGHS refuses model {request.model.name!r}: look for coefficients that are infinite "
            "or not numbers, or for bounds that are"
        )
    return highs


def _run(highs: highspy.Highs) -> None:
    if run_interruptibly(highs) == highspy.HighsStatus.kError:
        # The pool of threads is the process's: a run with another number of them is refused.
        highspy.Highs.resetGlobalScheduler(True)
        run_interruptibly(highs)


def _tell_unbounded_from_infeasible(
    highs: highspy.Highs, form: LinearForm, state: highspy.HighsModelStatus
) -> highspy.HighsModelStatus:
    """Solve with a zero objective, which cannot be unbounded.

    For integer models "unbounded" speaks of the relaxation alone.
    """
    n = len(form.columns)
    highs.changeColsCost(n, np.arange(n), np.zeros(n))
    highs.run()
    found = highs.getModelStatus()
    if found == highspy.HighsModelStatus.kOptimal:
        return highspy.HighsModelStatus.kUnbounded
    if found == highspy.HighsModelStatus.kInfeasible:
        return found
    if form.integer.any():  # a limit came first: no integer solution has been seen
        return highspy.HighsModelStatus.kUnboundedOrInfeasible
    return state


def _offer_start(highs: highspy.Highs, form: LinearForm) -> None:
    """Give HiGHS the integer variables' present values; it completes the others by an LP."""
    chosen = [
        (i, float(round(var.value)))
        for i, var in enumerate(form.columns)
        if form.integer[i] and var.value is not None
    ]
    if chosen and len(chosen) == int(form.integer.sum()):
        index, value = zip(*chosen, strict=True)
        highs.setSolution(len(index), np.array(index, dtype=np.int32), np.array(value))


def _fix_integers(
    highs: highspy.Highs, form: LinearForm, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float | None]:
    """Solve once more with the integers rounded and fixed, if they were off by more than 1e-9.

    A binary at 1e-7 opens a big-M constraint by more than a schedule's tolerance.
    """
    whole = np.where(form.integer, np.round(values), values)
    if np.abs(whole - values).max(initial=0.0) <= 1e-9:
        return whole, None
    index = np.flatnonzero(form.integer).astype(np.int32)
    highs.changeColsBounds(len(index), index, whole[index], whole[index])
    highs.changeColsIntegrality(
        len(index), index, np.array([highspy.HighsVarType.kContinuous] * len(index))
    )
    highs.setOptionValue("time_limit", highspy.kHighsInf)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return values, None
    resolved = np.array(highs.getSolution().col_value, dtype=float)
    resolved[index] = whole[index]
    return resolved, float(highs.getInfo().objective_function_value)
