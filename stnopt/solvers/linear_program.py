"""Linear and mixed-integer programs as arrays, straight to HiGHS.

For models that are built and solved many times over, where writing them down as algebra first would
take longer than solving them. Rows are gathered in whole blocks (`ProgramBuilder`) and passed as
one sparse matrix; one thread, as everywhere.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import highspy
import numpy as np
from scipy.sparse import csc_array

from stnopt.solvers.quiet_highs import new_highs, run_interruptibly

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LEAST_SECONDS = 0.01
_CONTINUOUS = np.zeros(1, dtype=bool)


class ProgramStatus(enum.Enum):
    """What is known when a solve ends."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Maximise cost @ x + offset: row_lower <= matrix @ x <= row_upper, lower <= x <= upper.

    Attributes
    ----------
    cost, lower, upper : (n,) arrays
    integer : (n,) boolean array
    matrix : (m, n) sparse array
    row_lower, row_upper : (m,) arrays
    offset : float
    """

    cost: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integer: NDArray[np.bool_]
    matrix: csc_array
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSolution:
    """Incumbent, bound and (for a program without integers) the rows' duals.

    Attributes
    ----------
    status : ProgramStatus
    x : (n,) array or None
    objective : float or None
        Of `x`.
    bound : float or None
        No solution is above it; for a linear program only when it was solved.
    duals : (m,) array or None
    """

    status: ProgramStatus
    x: NDArray[np.float64] | None = None
    objective: float | None = None
    bound: float | None = None
    duals: NDArray[np.float64] | None = None


@dataclass(slots=True)
class ProgramBuilder:
    """Columns, rows and entries, gathered in blocks."""

    offset: float = 0.0
    _lower: list[NDArray[np.float64]] = field(default_factory=list)
    _upper: list[NDArray[np.float64]] = field(default_factory=list)
    _cost: list[NDArray[np.float64]] = field(default_factory=list)
    _integer: list[NDArray[np.bool_]] = field(default_factory=list)
    _row_lower: list[NDArray[np.float64]] = field(default_factory=list)
    _row_upper: list[NDArray[np.float64]] = field(default_factory=list)
    _entries: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = field(
        default_factory=list
    )
    # What `row` adds comes in thousands of single terms: plain lists, turned into arrays together.
    _single_bounds: list[tuple[float, float]] = field(default_factory=list)
    _single_entries: list[tuple[int, int, float]] = field(default_factory=list)
    n_columns: int = 0
    n_rows: int = 0

    def columns(
        self,
        count: int,
        *,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = math.inf,
        cost: ArrayLike = 0.0,
        integer: bool = False,
    ) -> NDArray[np.int64]:
        """Add `count` columns; return their numbers. Bounds and cost are scalars or arrays."""
        self._lower.append(_spread(lower, count))
        self._upper.append(_spread(upper, count))
        self._cost.append(_spread(cost, count))
        self._integer.append(np.full(count, integer))
        numbers = np.arange(self.n_columns, self.n_columns + count)
        self.n_columns += count
        return numbers

    def column(self, *, lower: float = 0.0, upper: float = math.inf, cost: float = 0.0) -> int:
        """Add one column; return its number."""
        self._lower.append(np.array([lower]))
        self._upper.append(np.array([upper]))
        self._cost.append(np.array([cost]))
        self._integer.append(_CONTINUOUS)
        self.n_columns += 1
        return self.n_columns - 1

    def rows(
        self, count: int, *, lower: ArrayLike = -math.inf, upper: ArrayLike = math.inf
    ) -> NDArray[np.int64]:
        """Add `count` empty rows; return their numbers."""
        self._gather_bounds()
        self._row_lower.append(_spread(lower, count))
        self._row_upper.append(_spread(upper, count))
        numbers = np.arange(self.n_rows, self.n_rows + count)
        self.n_rows += count
        return numbers

    def row(
        self,
        terms: list[tuple[int, float]],
        *,
        lower: float = -math.inf,
        upper: float = math.inf,
    ) -> int:
        """Add one row of (column, factor) terms; factors of one column add up."""
        number = self.n_rows
        self.n_rows += 1
        self._single_bounds.append((lower, upper))
        self._single_entries += [(number, column, factor) for column, factor in terms]
        return number

    def _gather_bounds(self) -> None:
        """Put the bounds of single rows behind those of the rows before them."""
        if self._single_bounds:
            lower, upper = np.array(self._single_bounds, dtype=float).T
            self._row_lower.append(lower)
            self._row_upper.append(upper)
            self._single_bounds = []

    def put(self, rows: ArrayLike, columns: ArrayLike, factors: ArrayLike) -> None:
        """Add factors to entries (row, column), which broadcast against each other."""
        row, column, factor = np.broadcast_arrays(rows, columns, np.asarray(factors, dtype=float))
        self._entries.append((row.ravel(), column.ravel(), factor.ravel()))

    def add_cost(self, cost: NDArray[np.float64]) -> None:
        """Add to the cost of all columns there are so far, (n_columns,) array."""
        self._cost = [np.concatenate(self._cost) + cost]

    def build(self) -> Program:
        """Return the program."""
        self._gather_bounds()
        if self._single_entries:
            rows, columns, factors = zip(*self._single_entries, strict=True)
            self.put(np.array(rows), np.array(columns), np.array(factors))
            self._single_entries = []
        if self._entries:
            row, column, factor = (
                np.concatenate(part) for part in zip(*self._entries, strict=True)
            )
        else:
            row, column, factor = np.zeros(0, int), np.zeros(0, int), np.zeros(0)
        matrix = csc_array((factor, (row, column)), shape=(self.n_rows, self.n_columns))
        matrix.sum_duplicates()
        return Program(
            cost=_joined(self._cost),
            lower=_joined(self._lower),
            upper=_joined(self._upper),
            integer=np.concatenate([np.zeros(0, bool), *self._integer]),
            matrix=matrix,
            row_lower=_joined(self._row_lower),
            row_upper=_joined(self._row_upper),
            offset=self.offset,
        )


def solve_program(
    program: Program,
    *,
    time_limit: float | None = None,
    node_limit: int | None = None,
    relative_gap: float = 1e-4,
    start: NDArray[np.float64] | None = None,
    method: Literal["choose", "simplex", "ipm"] = "choose",
    heuristic_effort: float | None = None,
    seed: int = 0,
) -> ProgramSolution:
    """Solve a program with HiGHS, on one thread.

    Parameters
    ----------
    program : Program
    time_limit : float, optional
        Seconds.
    node_limit : int, optional
        Nodes of branch and bound; a limit that does not depend on the machine.
    relative_gap : float
    start : (n,) array, optional
        A solution to start from; one that does not fit is passed over. Columns that are NaN are
        chosen to go with the others.
    method : {"choose", "simplex", "ipm"}
        For programs without integers.
    heuristic_effort : float, optional
        Share of the work that goes to heuristics.
    seed : int

    Returns
    -------
    ProgramSolution
    """
    if not len(program.cost):  # HiGHS has no status for it
        return _empty_answer(program)
    highs = new_highs()
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", seed)
    highs.setOptionValue("mip_rel_gap", relative_gap)
    if time_limit is not None:
        highs.setOptionValue("time_limit", max(float(time_limit), _LEAST_SECONDS))
    if node_limit is not None:
        highs.setOptionValue("mip_max_nodes", node_limit)
    if heuristic_effort is not None:
        highs.setOptionValue("mip_heuristic_effort", heuristic_effort)
    if method != "choose":
        highs.setOptionValue("solver", method)
    highs.passModel(_to_highs(program))
    has_integers = bool(program.integer.any())
    if start is not None and has_integers:
        columns = np.flatnonzero(np.isfinite(start)).astype(np.int32)
        highs.setSolution(len(columns), columns, np.asarray(start, dtype=float)[columns])
    run_interruptibly(highs)
    return _read(highs, program, has_integers)


class Relaxation:
    """A program without its integrality, solved again and again from where it was.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self._highs = new_highs()
        self._highs.setOptionValue("threads", 1)
        lp = _to_highs(replace(program, integer=np.zeros_like(program.integer)))
        self._highs.passModel(lp)

    def limit(self, columns: NDArray[np.int64], lower: float, upper: float) -> None:
        """Limit columns to an interval."""
        for column in columns.tolist():
            self._highs.changeColBounds(column, lower, upper)

    def solve(self, *, seconds: float = math.inf) -> NDArray[np.float64] | None:
        """Return the best solution; None where there is none, or not the time to find it."""
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + seconds)
        run_interruptibly(self._highs)
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        self._highs.setOptionValue("presolve", "off")  # it would begin anew
        return np.array(self._highs.getSolution().col_value)


def fix_columns(
    program: Program, columns: NDArray[np.int64], values: NDArray[np.float64]
) -> Program:
    """Hold columns at values; those that were whole are rounded, and need be nothing more."""
    lower, upper, integer = program.lower.copy(), program.upper.copy(), program.integer.copy()
    values = np.where(integer[columns], np.round(values), values)
    lower[columns] = upper[columns] = values
    integer[columns] = False
    return replace(program, lower=lower, upper=upper, integer=integer)


def fix_integers(
    program: Program, x: NDArray[np.float64], *, time_limit: float | None = None
) -> NDArray[np.float64]:
    """Round a solution's integers and solve for the rest, without the rounding of a MIP.

    Returns `x` with its integers rounded where that has no solution.
    """
    rounded = np.where(program.integer, np.round(x), x)
    columns = np.flatnonzero(program.integer)
    answer = solve_program(fix_columns(program, columns, x[columns]), time_limit=time_limit)
    return rounded if answer.x is None else answer.x


def _empty_answer(program: Program) -> ProgramSolution:
    """Answer for a program without columns: its rows hold at zero, or they do not."""
    if (program.row_lower > 0).any() or (program.row_upper < 0).any():
        return ProgramSolution(status=ProgramStatus.INFEASIBLE)
    return ProgramSolution(
        status=ProgramStatus.OPTIMAL,
        x=np.zeros(0),
        objective=program.offset,
        bound=program.offset,
        duals=np.zeros(len(program.row_lower)),
    )


def _to_highs(program: Program) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(program.cost), len(program.row_lower)
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_, lp.offset_ = program.cost, program.offset
    lp.col_lower_, lp.col_upper_ = program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = program.matrix.indptr
    lp.a_matrix_.index_ = program.matrix.indices
    lp.a_matrix_.value_ = program.matrix.data
    if program.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(whole)] for whole in program.integer]
    return lp


def _read(highs: highspy.Highs, program: Program, has_integers: bool) -> ProgramSolution:
    """Take over what HiGHS ended with; the objective is recomputed from the values."""
    status, info = highs.getModelStatus(), highs.getInfo()
    if status == highspy.HighsModelStatus.kInfeasible:
        return ProgramSolution(status=ProgramStatus.INFEASIBLE)
    solved = status == highspy.HighsModelStatus.kOptimal
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if has_integers:
        bound = info.mip_dual_bound if math.isfinite(info.mip_dual_bound) else None
    else:
        bound = info.objective_function_value if solved else None
        feasible = feasible and solved
    if not feasible:
        return ProgramSolution(status=ProgramStatus.UNKNOWN, bound=bound)
    solution = highs.getSolution()
    x = np.array(solution.col_value)
    return ProgramSolution(
        status=ProgramStatus.OPTIMAL if solved else ProgramStatus.FEASIBLE,
        x=x,
        objective=float(program.cost @ x) + program.offset,
        bound=bound,
        duals=None if has_integers else np.array(solution.row_dual),
    )


def _spread(value: ArrayLike, count: int) -> NDArray[np.float64]:
    return np.array(np.broadcast_to(np.asarray(value, dtype=float), count))


def _joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *parts])
