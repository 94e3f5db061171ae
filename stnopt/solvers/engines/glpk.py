"""GLPK (extra `glpk`): a second linear engine that comes with pip, to check HiGHS against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyomo.common.errors import InfeasibleConstraintException

from stnopt.errors import SolverUnavailableError
from stnopt.solvers.linear_form import LinearForm, compile_linear
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from stnopt.solvers.request import SolveRequest

_INSTALL = (
    "solver 'glpk' is not available: install it with: pip install 'stnopt[glpk]', or use the "
    "default, solver='highs'"
)


def run(request: SolveRequest) -> SolveResult:
    """Solve a linear model with GLPK and load what it found into the model's variables."""
    try:
        import swiglpk as glpk
    except ImportError as error:
        raise SolverUnavailableError(_INSTALL) from error
    if request.node_limit is not None:
        raise request.refuse("limit in nodes")
    if request.options:
        raise request.refuse(f"option {next(iter(request.options))!r}")
    try:
        form = compile_linear(request.model, engine="GLPK")
    except InfeasibleConstraintException as error:
        return SolveResult(status=Status.INFEASIBLE, message=str(error))
    if not form.columns:
        form.load(request.model, np.zeros(0))
        return SolveResult(status=Status.OPTIMAL, objective=form.offset, bound=form.offset, gap=0.0)
    glpk.glp_term_out(glpk.GLP_ON if request.log else glpk.GLP_OFF)
    problem = _pass_model(glpk, form)
    try:
        result = _solve(glpk, problem, form, request)
    finally:
        glpk.glp_delete_prob(problem)
    if request.warm_start:
        return SolveResult(
            status=result.status,
            objective=result.objective,
            bound=result.bound,
            gap=result.gap,
            message=f"{result.message}; the start that was offered could not be used",
            violation=result.violation,
        )
    return result


def _pass_model(glpk: Any, form: LinearForm) -> Any:
    """Give GLPK the columns, the rows and the objective."""

    def kind(low: float, high: float) -> int:
        if np.isinf(low):
            return int(glpk.GLP_FR if np.isinf(high) else glpk.GLP_UP)
        if np.isinf(high):
            return int(glpk.GLP_LO)
        return int(glpk.GLP_FX if low == high else glpk.GLP_DB)

    problem = glpk.glp_create_prob()
    glpk.glp_set_obj_dir(problem, glpk.GLP_MAX if form.maximise else glpk.GLP_MIN)
    glpk.glp_add_cols(problem, len(form.columns))
    for j, (low, high) in enumerate(zip(form.lower, form.upper, strict=True), start=1):
        glpk.glp_set_col_bnds(problem, j, kind(low, high), float(low), float(high))
        glpk.glp_set_obj_coef(problem, j, float(form.cost[j - 1]))
        if form.integer[j - 1]:
            glpk.glp_set_col_kind(problem, j, glpk.GLP_IV)
    glpk.glp_set_obj_coef(problem, 0, form.offset)
    if len(form.row_lower):
        glpk.glp_add_rows(problem, len(form.row_lower))
    for i, (low, high) in enumerate(zip(form.row_lower, form.row_upper, strict=True), start=1):
        glpk.glp_set_row_bnds(problem, i, kind(low, high), float(low), float(high))
    entries = form.matrix.tocoo()
    n = len(entries.data)
    rows, columns, values = glpk.intArray(n + 1), glpk.intArray(n + 1), glpk.doubleArray(n + 1)
    for k in range(n):
        rows[k + 1], columns[k + 1] = int(entries.row[k]) + 1, int(entries.col[k]) + 1
        values[k + 1] = float(entries.data[k])
    glpk.glp_load_matrix(problem, n, rows, columns, values)
    return problem


def _solve(glpk: Any, problem: Any, form: LinearForm, request: SolveRequest) -> SolveResult:
    """Solve the relaxation, and from it the integers; the relaxation's value is a bound."""
    limit = None if request.time_limit is None else max(int(1000 * request.time_limit), 1)
    simplex = glpk.glp_smcp()
    glpk.glp_init_smcp(simplex)
    if limit is not None:
        simplex.tm_lim = limit
    simplex.presolve = glpk.GLP_OFF
    glpk.glp_simplex(problem, simplex)
    status = glpk.glp_get_status(problem)
    mixed = bool(form.integer.any())
    if status == glpk.GLP_NOFEAS:
        return SolveResult(status=Status.INFEASIBLE, message="glpk: the relaxation has no solution")
    if status == glpk.GLP_UNBND:
        # Of a model with integers this says that its relaxation is unbounded.
        unknown = Status.NO_SOLUTION if mixed else Status.UNBOUNDED
        return SolveResult(status=unknown, message="glpk: unbounded")
    if status != glpk.GLP_OPT:
        return SolveResult(status=Status.NO_SOLUTION, message="glpk: a limit came first")
    bound = float(glpk.glp_get_obj_val(problem))
    read = glpk.glp_get_col_prim
    message = "glpk: optimal"
    if mixed:
        settings = glpk.glp_iocp()
        glpk.glp_init_iocp(settings)
        settings.mip_gap = request.relative_gap
        settings.presolve = glpk.GLP_OFF
        if limit is not None:
            settings.tm_lim = limit
        ended = glpk.glp_intopt(problem, settings)
        status, read = glpk.glp_mip_status(problem), glpk.glp_mip_col_val
        if status == glpk.GLP_NOFEAS:
            return SolveResult(status=Status.INFEASIBLE, message="glpk: infeasible")
        if status not in (glpk.GLP_OPT, glpk.GLP_FEAS):
            return SolveResult(
                status=Status.NO_SOLUTION, bound=bound, message="glpk: a limit came first"
            )
        if status == glpk.GLP_OPT or ended == glpk.GLP_EMIPGAP:
            value = float(glpk.glp_mip_obj_val(problem))
            gap = request.relative_gap * abs(value) if ended == glpk.GLP_EMIPGAP else 0.0
            bound = value + gap if form.maximise else value - gap
        else:
            message = "glpk: a limit came first"
    values = np.array([read(problem, j) for j in range(1, len(form.columns) + 1)])
    values = np.where(form.integer, np.round(values), values)
    objective = form.objective_at(values)
    form.load(request.model, values)
    return SolveResult(
        status=status_of(objective, bound, relative_gap=request.relative_gap),
        objective=objective,
        bound=bound,
        gap=relative_gap_between(objective, bound),
        message=message,
        violation=form.violation_at(values),
    )
