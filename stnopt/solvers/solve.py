"""Solving a Pyomo model: the only file that names a solver.

HiGHS is driven directly, so that its own status, bound and node count are read, an incumbent can be
handed over and a limit can be set in nodes. Every other solver goes through Pyomo's interfaces.
"""

from __future__ import annotations

import enum
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import (
    ApplicationError,
    InfeasibleConstraintException,
    InvalidConstraintError,
    InvalidExpressionError,
)
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import Results, TerminationCondition
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from stnopt.errors import InvalidInputError, SolverUnavailableError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Short names for Pyomo's solver interfaces, and the extra that installs each.
_INTERFACES = {"scip": "scip_direct", "gurobi": "gurobi_direct_minlp"}
_EXTRAS = {"scip_direct": "minlp", "gurobi_direct_minlp": "bench", "gurobi_direct": "bench"}


class Status(enum.Enum):
    """What a solve has shown."""

    OPTIMAL = "optimal"
    """An incumbent, and a bound within the relative gap of it."""
    FEASIBLE = "feasible"
    """An incumbent; a limit came before the gap was closed."""
    INFEASIBLE = "infeasible"
    """Proven: the model has no solution."""
    UNBOUNDED = "unbounded"
    """Proven: solutions exist and the objective has no limit."""
    NO_SOLUTION = "no solution"
    """Undecided: a limit came before anything was found or proven."""
    ERROR = "error"
    """The solver failed; nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveResult:
    """What a solver found and proved. `None` where nothing is known.

    Attributes
    ----------
    status : Status
        Derived from incumbent, bound and gap.
    objective : float or None
        Value of the incumbent, which `solve` has loaded into the model.
    bound : float or None
        Proven limit of the objective: no solution is better.
    gap : float or None
        ``|objective - bound| / max(|objective|, 1e-10)``.
    wall_time : float
        Seconds spent, translation included.
    n_nodes : int or None
        Nodes (or boxes, for a search over a region) explored.
    n_solves : int
        Solver calls behind this result.
    message : str
        The solver's own word on why it stopped.
    """

    status: Status
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    wall_time: float = 0.0
    n_nodes: int | None = None
    n_solves: int = 1
    message: str = ""

    @property
    def has_solution(self) -> bool:
        """Whether the model carries an incumbent."""
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)


def relative_gap_between(objective: float | None, bound: float | None) -> float | None:
    """Return ``|objective - bound| / max(|objective|, 1e-10)``, or `None` where one is unknown."""
    if objective is None or bound is None:
        return None
    return abs(objective - bound) / max(abs(objective), 1e-10)


def status_of(
    objective: float | None, bound: float | None, *, relative_gap: float, absolute_gap: float = 1e-6
) -> Status:
    """Return what an incumbent and a bound prove; never INFEASIBLE, which needs a proof."""
    if objective is None:
        return Status.NO_SOLUTION
    if bound is None:
        return Status.FEASIBLE
    closed = abs(objective - bound) <= max(relative_gap * abs(objective) * (1 + 1e-6), absolute_gap)
    return Status.OPTIMAL if closed else Status.FEASIBLE


def solve(
    model: pyo.ConcreteModel,
    *,
    solver: str = "highs",
    time_limit: float | None = None,
    relative_gap: float = 1e-4,
    threads: int = 1,
    options: Mapping[str, Any] | None = None,
    log: bool = False,
    warm_start: bool = False,
) -> SolveResult:
    """Solve a model and load the incumbent into its variables.

    Without an incumbent the variables keep the values they had. A model may carry a function
    `refine(model) -> bool` that adds the constraints its incumbent breaks; it is then solved again
    until nothing is added, within the same time limit, so that the answer holds for all of them:
    with the incumbent's integers kept at first, and without if that costs more than the gap. A
    context manager `tighten(model)` may keep rows in it, for as long as a solver runs, that cut off
    some solutions and no optimum; `highs_settings` are options that suit it; `options` overrule.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Linear (mixed-integer) for HiGHS; nonlinear needs a solver that takes it.
    solver : str
        ``"highs"``, ``"scip"``, ``"gurobi"`` or a name registered with Pyomo.
    time_limit : float, optional
        Seconds. Reaching it gives FEASIBLE or NO_SOLUTION, never INFEASIBLE.
    relative_gap : float
        Largest gap between incumbent and bound that counts as optimal.
    threads : int
        Threads for the solver.
    options : mapping, optional
        Passed on under the solver's own names, such as ``{"mip_max_nodes": 1000}`` for HiGHS (of
        all the solves that a refinement takes).
    log : bool
        Print the solver's log.
    warm_start : bool
        Offer the variables' present values as a first incumbent (HiGHS only).

    Returns
    -------
    SolveResult

    Raises
    ------
    SolverUnavailableError
        The solver is not installed; the message names the extra.
    UnsupportedModelError
        The model has a part that the solver cannot take.
    InvalidInputError
        A limit or gap that is not a number the solver can use.
    """
    if time_limit is not None and not time_limit > 0:
        raise InvalidInputError(f"time_limit must be positive seconds or None, got {time_limit}")
    if not 0 <= relative_gap < 1:
        raise InvalidInputError(f"relative_gap must be in [0, 1), got {relative_gap}")
    if sum(1 for _ in model.component_data_objects(pyo.Objective, active=True)) > 1:
        raise UnsupportedModelError(
            f"model {model.name!r} has several active objectives; deactivate all but one"
        )
    started = time.perf_counter()
    tighten = getattr(model, "tighten", None)
    results: list[SolveResult] = []

    max_nodes = (options or {}).get("mip_max_nodes")

    def count_nodes() -> int:
        return sum(result.n_nodes or 0 for result in results)

    def late() -> bool:
        if max_nodes is not None and count_nodes() >= max_nodes:
            return True
        return time_limit is not None and time.perf_counter() - started >= time_limit

    def run(*, start: bool, bound: float | None = None) -> SolveResult:
        elapsed = time.perf_counter() - started
        remaining = None if time_limit is None else max(time_limit - elapsed, 1e-3)
        settings = dict(options or {})
        if max_nodes is not None and results:  # for all solves together
            settings["mip_max_nodes"] = max(max_nodes - count_nodes(), 0)
        with nullcontext() if tighten is None else tighten(model):
            if solver == "highs":
                result = _solve_with_highs(
                    model, remaining, relative_gap, threads, settings, log, start, bound
                )
            else:
                result = _solve_with_pyomo(
                    model, solver, remaining, relative_gap, threads, settings, log
                )
        results.append(result)
        return result

    result = run(start=warm_start)
    if getattr(model, "refine", None) is not None:
        result = _refine(model, result, run=run, late=late, relative_gap=relative_gap)
    return replace(
        result,
        wall_time=time.perf_counter() - started,
        n_solves=sum(r.n_solves for r in results),
        n_nodes=None if result.n_nodes is None else count_nodes(),
    )


def _refine(
    model: pyo.ConcreteModel,
    result: SolveResult,
    *,
    run: Callable[..., SolveResult],
    late: Callable[[], bool],
    relative_gap: float,
) -> SolveResult:
    """Add the constraints that the incumbent breaks, and solve again, until it breaks none.

    What was proven without them holds with them. So the integers are kept at first: where other
    times and amounts are enough to obey them, nothing is left to prove.
    """
    maximise = any(
        objective.sense == pyo.maximize
        for objective in model.component_data_objects(pyo.Objective, active=True)
    )
    integers = [v for v in _free_variables(model) if not v.is_continuous()]
    bound = result.bound
    best, values = None, []  # what breaks nothing, and its variables
    while result.has_solution and model.refine(model):
        # Whatever happens now, this incumbent is none; the bound survives.
        result = replace(result, status=Status.NO_SOLUTION, objective=None, gap=None)
        found = None if late() else _repair(model, integers, run=run, late=late)
        if found is not None and _is_better(found, best, maximise=maximise):
            best, values = found, [(v, v.value) for v in _free_variables(model)]
        if late():
            result = replace(result, message="limit while refining")
            break
        if best is not None:
            if status_of(best.objective, bound, relative_gap=relative_gap) is Status.OPTIMAL:
                break
            _set_values(values)
        result = run(start=best is not None, bound=bound)
        proven = [b for b in (bound, result.bound) if b is not None]
        if proven:
            bound = min(proven) if maximise else max(proven)
    if best is not None and not _is_better(result, best, maximise=maximise):
        _set_values(values)
        result = replace(best, message=result.message)
    if result.status in (Status.ERROR, Status.INFEASIBLE, Status.UNBOUNDED):
        return result
    return replace(
        result,
        bound=bound,
        gap=relative_gap_between(result.objective, bound),
        status=status_of(result.objective, bound, relative_gap=relative_gap),
    )


def _repair(
    model: pyo.ConcreteModel,
    integers: Sequence[Any],
    *,
    run: Callable[..., SolveResult],
    late: Callable[[], bool],
) -> SolveResult | None:
    """Solve with some integers as they are, refined as well; None if that has no solution."""
    if not integers:
        return None
    for var in integers:
        if var.value is not None:  # no row speaks of it
            var.fix(round(var.value))
    try:
        while True:
            result = run(start=False)
            if not result.has_solution:
                return None
            if not model.refine(model):
                return result
            if late():
                return None
    finally:
        for var in integers:
            var.unfix()


def _is_better(result: SolveResult, best: SolveResult | None, *, maximise: bool) -> bool:
    if result.objective is None or best is None or best.objective is None:
        return result.objective is not None
    more = result.objective - best.objective
    return more > 0 if maximise else more < 0


def _free_variables(model: pyo.ConcreteModel) -> list[Any]:
    return [v for v in model.component_data_objects(pyo.Var, active=True) if not v.fixed]


def _set_values(values: Iterable[tuple[Any, float | None]]) -> None:
    for var, value in values:
        var.set_value(value, skip_validation=True)


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
        form = _compile(model)
    except InfeasibleConstraintException:
        return None
    places = {id(var): i for i, var in enumerate(form.columns)}
    lp = form.highs_lp
    cost, offset = np.array(lp.col_cost_), float(lp.offset_)
    minimise = lp.sense_ == highspy.ObjSense.kMinimize
    lp.col_cost_ = np.zeros(len(cost))
    lp.offset_ = 0.0
    lp.sense_ = highspy.ObjSense.kMinimize
    if not integers:
        lp.integrality_ = []
    highs = highspy.Highs()
    settings = {
        "output_flag": False,
        "threads": threads,
        "random_seed": 0,
        "mip_max_nodes": max_nodes,
        "presolve": "choose" if integers and form.integer.any() else "off",
    }
    for name, setting in settings.items():
        highs.setOptionValue(name, setting)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
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
            if integers and form.integer.any():
                bound = info.mip_dual_bound
            elif state == highspy.HighsModelStatus.kOptimal:
                bound = info.objective_function_value
            if math.isfinite(bound):
                bound -= 1e-6 * max(1.0, abs(bound))
                proven[side] = max(proven[0], bound) if side == 0 else min(proven[1], -bound)
        highs.changeColCost(column, 0.0)
        ranges[j] = (proven[0], proven[1])
    return ranges


@dataclass(frozen=True, slots=True)
class _LinearForm:
    """Minimise or maximise ``c x + offset`` with ``row_lower <= A x <= row_upper``."""

    columns: list[Any]
    highs_lp: highspy.HighsLp
    has_objective: bool
    integer: np.ndarray


def _compile(model: pyo.ConcreteModel) -> _LinearForm:
    """Translate a linear Pyomo model into HiGHS' own arrays."""
    try:
        form = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
    except (InvalidConstraintError, InvalidExpressionError) as error:
        raise UnsupportedModelError(
            f"HiGHS solves linear models: {str(error).strip()} Use solve_over_region for a model "
            "with a kernel region, or a nonlinear solver such as solver='scip' (extra: minlp)."
        ) from error
    columns = form.columns
    kinds = np.array([row.bound_type for row in form.rows], dtype=int)
    rhs = np.asarray(form.rhs, dtype=float).reshape(len(form.rows))
    lp = highspy.HighsLp()
    lp.num_col_ = len(columns)
    lp.num_row_ = len(rhs)
    has_objective = bool(form.objectives)
    cost = form.c.toarray()[0] if has_objective and len(columns) else np.zeros(len(columns))
    lp.col_cost_ = cost
    lp.offset_ = float(form.c_offset[0]) if has_objective else 0.0
    maximise = has_objective and form.objectives[0].sense == pyo.maximize
    lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
    bounds = [var.bounds for var in columns]
    lp.col_lower_ = np.array([-highspy.kHighsInf if b[0] is None else b[0] for b in bounds])
    lp.col_upper_ = np.array([highspy.kHighsInf if b[1] is None else b[1] for b in bounds])
    lp.row_lower_ = np.where(kinds <= 0, rhs, -highspy.kHighsInf)
    lp.row_upper_ = np.where(kinds >= 0, rhs, highspy.kHighsInf)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = form.A.indptr
    lp.a_matrix_.index_ = form.A.indices
    lp.a_matrix_.value_ = form.A.data
    integer = np.array([not var.is_continuous() for var in columns], dtype=bool)
    if integer.any():
        lp.integrality_ = [
            highspy.HighsVarType.kInteger if i else highspy.HighsVarType.kContinuous
            for i in integer
        ]
    return _LinearForm(columns, lp, has_objective, integer)


def _solve_with_highs(
    model: pyo.ConcreteModel,
    time_limit: float | None,
    relative_gap: float,
    threads: int,
    options: Mapping[str, Any],
    log: bool,
    warm_start: bool,
    bound: float | None,
) -> SolveResult:
    """Solve with HiGHS; what comes within the gap of a bound that is known ends the search."""
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    try:
        form = _compile(model)
    except InfeasibleConstraintException as error:
        return SolveResult(status=Status.INFEASIBLE, message=str(error))
    if not form.columns:  # HiGHS says "Empty" and gives no solution
        value = float(form.highs_lp.offset_)
        _load(model, form, np.zeros(0))
        return SolveResult(
            status=Status.OPTIMAL,
            objective=value,
            bound=value,
            gap=0.0,
            message="nothing to decide",
        )
    highs = highspy.Highs()
    settings = {
        "output_flag": log,
        "threads": threads,
        "mip_rel_gap": relative_gap,
        "random_seed": 0,
        **getattr(model, "highs_settings", {}),
        **options,
    }
    if bound is not None and form.has_objective:
        maximise = form.highs_lp.sense_ == highspy.ObjSense.kMaximize
        slack = relative_gap * abs(bound) / 2
        settings["objective_target"] = bound - slack if maximise else bound + slack
    if deadline is not None:
        settings["time_limit"] = max(deadline - time.perf_counter(), 1e-3)
    for name, setting in settings.items():
        if highs.setOptionValue(name, setting) != highspy.HighsStatus.kOk:
            raise InvalidInputError(f"HiGHS refuses option {name!r} = {setting!r}")
    highs.HandleKeyboardInterrupt = True
    if highs.passModel(form.highs_lp) == highspy.HighsStatus.kError:
        raise UnsupportedModelError(
            f"HiGHS refuses model {model.name!r}: look for coefficients that are infinite or not "
            "numbers, or for bounds that are"
        )
    if warm_start:
        _offer_start(highs, form)
    if highs.run() == highspy.HighsStatus.kError:
        # The pool of threads is the process's: a run with another number of them is refused.
        highspy.Highs.resetGlobalScheduler(True)
        highs.run()
    n_solves = 1
    state = highs.getModelStatus()
    if state in (
        highspy.HighsModelStatus.kUnboundedOrInfeasible,
        highspy.HighsModelStatus.kUnbounded,
    ):
        # A zero objective tells which: it cannot be unbounded. For integer models "unbounded"
        # speaks of the relaxation alone.
        highs.changeColsCost(
            len(form.columns), np.arange(len(form.columns)), np.zeros(len(form.columns))
        )
        highs.run()
        n_solves = 2
        found = highs.getModelStatus()
        if found == highspy.HighsModelStatus.kOptimal:
            state = highspy.HighsModelStatus.kUnbounded
        elif found == highspy.HighsModelStatus.kInfeasible:
            state = found
        elif form.integer.any():  # a limit came first: no integer solution has been seen
            state = highspy.HighsModelStatus.kUnboundedOrInfeasible
    info = highs.getInfo()
    message = highs.modelStatusToString(state)
    n_nodes = max(int(info.mip_node_count), 0) if form.integer.any() else None
    if state == highspy.HighsModelStatus.kInfeasible:
        return SolveResult(
            status=Status.INFEASIBLE, n_nodes=n_nodes, n_solves=n_solves, message=message
        )
    if state == highspy.HighsModelStatus.kUnbounded:
        return SolveResult(
            status=Status.UNBOUNDED, n_nodes=n_nodes, n_solves=n_solves, message=message
        )
    if state == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        return SolveResult(
            status=Status.NO_SOLUTION, n_nodes=n_nodes, n_solves=n_solves, message=message
        )
    failed = {
        highspy.HighsModelStatus.kNotset,
        highspy.HighsModelStatus.kLoadError,
        highspy.HighsModelStatus.kModelError,
        highspy.HighsModelStatus.kPresolveError,
        highspy.HighsModelStatus.kSolveError,
        highspy.HighsModelStatus.kPostsolveError,
    }
    if state in failed:
        return SolveResult(status=Status.ERROR, n_nodes=n_nodes, message=message)

    primal_feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    objective = info.objective_function_value if primal_feasible else None
    if form.integer.any():
        bound = info.mip_dual_bound if math.isfinite(info.mip_dual_bound) else None
    else:
        bound = objective if state == highspy.HighsModelStatus.kOptimal else None
    if objective is not None:
        values = np.array(highs.getSolution().col_value, dtype=float)
        values, polished = _settle_integers(highs, form, values)
        if polished is not None:
            objective = polished
        _load(model, form, values)
    return SolveResult(
        status=status_of(objective, bound, relative_gap=relative_gap),
        objective=objective,
        bound=bound,
        gap=relative_gap_between(objective, bound),
        n_nodes=n_nodes,
        n_solves=n_solves,
        message=message,
    )


def _offer_start(highs: highspy.Highs, form: _LinearForm) -> None:
    """Give HiGHS the integer variables' present values; it completes the others by an LP."""
    chosen = [
        (i, float(round(var.value)))
        for i, var in enumerate(form.columns)
        if form.integer[i] and var.value is not None
    ]
    if chosen and len(chosen) == int(form.integer.sum()):
        index, value = zip(*chosen, strict=True)
        highs.setSolution(len(index), np.array(index, dtype=np.int32), np.array(value))


def _settle_integers(
    highs: highspy.Highs, form: _LinearForm, values: np.ndarray
) -> tuple[np.ndarray, float | None]:
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
    settled = np.array(highs.getSolution().col_value, dtype=float)
    settled[index] = whole[index]
    return settled, float(highs.getInfo().objective_function_value)


def _load(model: pyo.ConcreteModel, form: _LinearForm, values: np.ndarray) -> None:
    """Write the solution into the model; a variable that no constraint uses gets a value too."""
    used = set()
    for var, value in zip(form.columns, values, strict=True):
        var.set_value(float(value), skip_validation=True)
        used.add(id(var))
    for var in model.component_data_objects(pyo.Var, active=True):
        if id(var) not in used and var.value is None and not var.fixed:
            lower, upper = var.bounds
            start = 0.0 if lower is None else max(0.0, lower)
            var.set_value(start if upper is None else min(start, upper))


def _solve_with_pyomo(
    model: pyo.ConcreteModel,
    solver: str,
    time_limit: float | None,
    relative_gap: float,
    threads: int,
    options: Mapping[str, Any],
    log: bool,
) -> SolveResult:
    name = _INTERFACES.get(solver, solver)
    install = (
        f"install it with: pip install 'stnopt[{_EXTRAS[name]}]'"
        if name in _EXTRAS
        else "it is not one that stnopt can install; see its own instructions"
    )
    if name not in SolverFactory:
        raise SolverUnavailableError(
            f"no solver named {solver!r}; known: highs, scip, gurobi, {', '.join(SolverFactory)}"
        )
    engine = SolverFactory(name)
    if not engine.available():
        raise SolverUnavailableError(
            f"solver {solver!r} is not available: {install}, or use the default, solver='highs'"
        )
    # SCIP keeps Python from emptying the pipe that its log goes to: a long one would stop both.
    quiet = {"display/verblevel": 0} if name.startswith("scip") and not log else {}
    settings: dict[str, Any] = {
        "load_solutions": False,
        "raise_exception_on_nonoptimal_result": False,
        "tee": log,
        "solver_options": {**quiet, **options},
    }
    for key, setting in (
        ("time_limit", time_limit),
        ("rel_gap", relative_gap),
        ("threads", threads),
    ):
        if setting is not None and key in engine.CONFIG:
            settings[key] = setting
    try:
        outcome: Results = engine.solve(model, **settings)
    except InfeasibleConstraintException as error:
        return SolveResult(status=Status.INFEASIBLE, message=str(error))
    except ApplicationError as error:
        return SolveResult(status=Status.ERROR, message=f"{solver}: {error}")
    except Exception as error:
        if not type(error).__module__.startswith("gurobipy"):
            raise
        # A licence that refuses the model; only its package knows the class.
        return SolveResult(status=Status.ERROR, message=f"{solver}: {error}")
    condition = outcome.termination_condition
    message = f"{solver}: {condition.name}"
    if condition == TerminationCondition.provenInfeasible:
        return SolveResult(status=Status.INFEASIBLE, message=message)
    if condition == TerminationCondition.unbounded:
        return SolveResult(status=Status.UNBOUNDED, message=message)
    if condition in (TerminationCondition.error, TerminationCondition.licensingProblems):
        return SolveResult(status=Status.ERROR, message=message)
    objective = outcome.incumbent_objective
    bound = outcome.objective_bound
    if bound is not None and not math.isfinite(bound):
        bound = None
    if objective is not None and math.isfinite(objective):
        outcome.solution_loader.load_vars()
    else:
        objective = None
    return SolveResult(
        status=status_of(objective, bound, relative_gap=relative_gap),
        objective=objective,
        bound=bound,
        gap=relative_gap_between(objective, bound),
        message=message,
    )
