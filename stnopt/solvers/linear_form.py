"""A linear Pyomo model as arrays: what every engine that takes matrices is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import InvalidConstraintError, InvalidExpressionError
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from stnopt.errors import UnsupportedModelError

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearForm:
    """Minimise or maximise ``cost @ x + offset`` with ``row_lower <= matrix @ x <= row_upper``.

    Attributes
    ----------
    columns : list of n Pyomo variables
    cost, lower, upper : (n,) arrays
        Infinite where a variable has no limit.
    offset : float
    maximise, has_objective : bool
    matrix : (k, n) sparse array, by columns
    row_lower, row_upper : (k,) arrays
    integer : (n,) array of bool
    """

    columns: list[Any]
    cost: NDArray[np.float64]
    offset: float
    maximise: bool
    has_objective: bool
    matrix: sp.csc_array
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integer: NDArray[np.bool_]

    def objective_at(self, values: NDArray[np.float64]) -> float:
        """Return the objective of a point, recomputed from its values."""
        return float(self.cost @ values) + self.offset

    def violation_at(self, values: NDArray[np.float64]) -> float:
        """Return by how much a point breaks a row or a limit, relative to the row's size.

        A row's size is the largest of 1, its limit and its terms, so that a big-M row may be off
        by what its solver's own tolerance lets through.
        """
        if not len(values):
            return 0.0
        activity = self.matrix @ values
        terms = abs(self.matrix) @ np.abs(values)
        worst = max(
            float(np.max((values - self.upper) / np.maximum(1.0, np.abs(values)))),
            float(np.max((self.lower - values) / np.maximum(1.0, np.abs(values)))),
        )
        for excess in (activity - self.row_upper, self.row_lower - activity):
            if len(excess):
                worst = max(worst, float(np.max(excess / np.maximum(1.0, terms))))
        return max(worst, 0.0)

    def load(self, model: pyo.ConcreteModel, values: NDArray[np.float64]) -> None:
        """Write a point into the model; a variable that no constraint uses gets a value too."""
        used = set()
        for var, value in zip(self.columns, values, strict=True):
            var.set_value(float(value), skip_validation=True)
            used.add(id(var))
        for var in model.component_data_objects(pyo.Var, active=True):
            if id(var) not in used and var.value is None and not var.fixed:
                lower, upper = var.bounds
                start = 0.0 if lower is None else max(0.0, lower)
                var.set_value(start if upper is None else min(start, upper))


def compile_linear(model: pyo.ConcreteModel, *, engine: str = "HiGHS") -> LinearForm:
    """Translate a linear model into arrays.

    Raises
    ------
    UnsupportedModelError
        A nonlinear model.
    pyomo.common.errors.InfeasibleConstraintException
        A constraint without variables that does not hold.
    """
    try:
        form = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
    except (InvalidConstraintError, InvalidExpressionError) as error:
        raise UnsupportedModelError(
            f"{engine} solves linear models: {str(error).strip()} Use solve_over_region for a "
            "model with a kernel region, or a nonlinear solver such as solver='scip' (extra: "
            "minlp)."
        ) from error
    columns = form.columns
    kinds = np.array([row.bound_type for row in form.rows], dtype=int)
    rhs = np.asarray(form.rhs, dtype=float).reshape(len(form.rows))
    has_objective = bool(form.objectives)
    bounds = [var.bounds for var in columns]
    return LinearForm(
        columns=columns,
        cost=form.c.toarray()[0] if has_objective and columns else np.zeros(len(columns)),
        offset=float(form.c_offset[0]) if has_objective else 0.0,
        maximise=has_objective and form.objectives[0].sense == pyo.maximize,
        has_objective=has_objective,
        matrix=form.A,
        row_lower=np.where(kinds <= 0, rhs, -np.inf),
        row_upper=np.where(kinds >= 0, rhs, np.inf),
        lower=np.array([-np.inf if low is None else low for low, _ in bounds]),
        upper=np.array([np.inf if high is None else high for _, high in bounds]),
        integer=np.array([not var.is_continuous() for var in columns], dtype=bool),
    )
