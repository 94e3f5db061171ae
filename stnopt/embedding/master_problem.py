"""The master problem of a search: the user's MILP with rows in the place of its kernel regions.

Everything is said in terms of minimisation. What a search knows beside it (its limits, the
incumbent, the bound of what is closed) are nouns of their own.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.modeling import unique_component_name

from stnopt.embedding.piecewise_form import add_pieces
from stnopt.embedding.region_parts import KernelPart, RegionPart
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.region import LinearRegion
from stnopt.solvers.bound_tightening import bound_variables
from stnopt.solvers.solve import SolveResult, Status, solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stnopt.embedding.outer_approximation import OuterApproximation
    from stnopt.embedding.polyhedral_cover import Pieces

    FloatArray = NDArray[np.float64]

    #: ``expression <= limit`` and ``lower <= variable <= upper``.
    Row = tuple[Any, float]
    Range = tuple[float, Any, float]
    Values = list[tuple[Any, Any]]

#: Of an input's width: twice the MILP solver's feasibility tolerance.
BACK_OFF = 2e-6
_ABSOLUTE_GAP = 1e-6  # the MILP solver's own: an objective near 0 has no relative gap


@dataclass(slots=True, kw_only=True)
class Limits:
    """When a search ends: its gap, its deadline on `time.perf_counter`, and Ctrl-C."""

    relative_gap: float
    deadline: float | None
    threads: int = 1
    reached: bool = False
    interrupted: bool = False

    def remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        if self.deadline is None:
            return None
        return max(self.deadline - time.perf_counter(), 1e-3)

    def is_reached(self) -> bool:
        """Whether the deadline has passed, or a solve was cut short."""
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            self.reached = True
        return self.reached


@dataclass(slots=True, kw_only=True)
class Incumbent:
    """The best solution so far: its value, the model's values, and the kernel regions' inputs."""

    value: float | None = None
    values: Values = field(default_factory=list)
    points: list[FloatArray] = field(default_factory=list)

    def tolerance(self, relative_gap: float) -> float:
        """How much better a solution must be to matter."""
        return 0.0 if self.value is None else max(relative_gap * abs(self.value), _ABSOLUTE_GAP)

    def cutoff(self, relative_gap: float) -> float:
        """Boxes with at least this bound need no search."""
        if self.value is None:
            return math.inf
        return self.value - 0.999 * self.tolerance(relative_gap)


@dataclass(slots=True, kw_only=True, eq=False)
class MasterProblem:
    """A linear model, the regions it must meet, and a block of its own for rows.

    Attributes
    ----------
    model : pyo.ConcreteModel
    parts : list of RegionPart
    limits : Limits
    sign : float
        1 for a minimisation, -1 for a maximisation.
    n_solves : int
    """

    model: pyo.ConcreteModel
    parts: list[RegionPart]
    limits: Limits
    n_solves: int = 0
    objective: Any = field(init=False)
    sign: float = field(init=False)
    _block: Any = field(init=False)

    def __post_init__(self) -> None:
        self.objective = only_objective(self.model)
        self.sign = 1.0 if self.objective.sense == pyo.minimize else -1.0

    @property
    def kernel_parts(self) -> list[KernelPart]:
        """Parts whose region is a KernelRegion."""
        return [part for part in self.parts if isinstance(part, KernelPart)]

    def open(self) -> None:
        """Add the block, with variables for the inputs that are expressions and linear regions."""
        name = unique_component_name(self.model, "region_search")
        self._block = pyo.Block(concrete=True)
        self.model.add_component(name, self._block)
        expressions = {
            (i, j): inner
            for i, part in enumerate(self.parts)
            for j, inner in enumerate(part.inputs.values())
            if not inner.is_variable_type()
        }
        self._block.input = pyo.Var(list(expressions))
        self._block.input_value = pyo.Constraint(
            list(expressions), rule=lambda b, i, j: b.input[i, j] == expressions[i, j]
        )
        for i, part in enumerate(self.parts):
            part.variables = [
                self._block.input[i, j] if (i, j) in expressions else inner
                for j, inner in enumerate(part.inputs.values())
            ]
        linear = {
            i: (part, part.region)
            for i, part in enumerate(self.parts)
            if isinstance(part.region, LinearRegion)
        }

        @self._block.Constraint(list(linear))
        def inside_linear_region(_: Any, i: int) -> Any:
            part, region = linear[i]
            return weighted_sum(region.weights, part.variables) + region.offset <= -part.margin

    def close(self) -> None:
        """Take the block out again."""
        self.model.del_component(self._block)

    # -- rows -------------------------------------------------------------------------------------

    def write_rows(self, rows: list[Row], ranges: list[Range]) -> None:
        """Replace the half-spaces and boxes of the previous solve."""
        for name in ("half_space", "box"):
            if self._block.component(name) is not None:
                self._block.del_component(name)
        self._block.half_space = pyo.Constraint(
            range(len(rows)), rule=lambda _, i: pyo.inequality(None, rows[i][0], rows[i][1])
        )
        self._block.box = pyo.Constraint(
            range(len(ranges)), rule=lambda _, i: pyo.inequality(*ranges[i])
        )

    def write_approximations(self, approximations: tuple[OuterApproximation, ...]) -> None:
        """Replace the kernel regions by half-spaces and boxes around them."""
        rows: list[Row] = []
        ranges: list[Range] = []
        for part, outer in zip(self.kernel_parts, approximations, strict=True):
            variables = part.variables
            ranges.extend(zip(outer.lower.tolist(), variables, outer.upper.tolist(), strict=True))
            weights = outer.cuts[:, :-1] / outer.width
            limits = weights @ outer.lower - outer.cuts[:, -1]
            rows.extend(
                (weighted_sum(weight, variables), float(limit))
                for weight, limit in zip(weights, limits, strict=True)
            )
        self.write_rows(rows, ranges)

    def solve_with_pieces(self, pieces: Mapping[int, Pieces], gap: float) -> SolveResult:
        """Solve with the kernel regions replaced by pieces, one set each, and take those out."""
        self.write_rows([], [])
        self._block.form = pyo.Block(range(len(self.kernel_parts)))
        for i, part in enumerate(self.kernel_parts):
            inputs = dict(zip(part.inputs, part.variables, strict=True))
            add_pieces(self._block.form[i], pieces[i], inputs)
        try:
            return self.solve(gap)
        finally:
            self._block.del_component("form")

    # -- solves -----------------------------------------------------------------------------------

    def solve(self, gap: float) -> SolveResult:
        """Solve the model as it stands."""
        outcome = solve(
            self.model,
            relative_gap=gap,
            time_limit=self.limits.remaining(),
            threads=self.limits.threads,
        )
        self.n_solves += outcome.n_solves
        return outcome

    def check_bounded(self, outcome: SolveResult, within: str) -> None:
        """Refuse a model whose linear part has no optimum.

        Raises
        ------
        InvalidInputError
            It is unbounded, or the solver failed.
        """
        if outcome.status in (Status.UNBOUNDED, Status.ERROR):
            what = "is unbounded" if outcome.status is Status.UNBOUNDED else "failed"
            raise InvalidInputError(
                f"the linear part of model {self.model.name!r} {what} within the regions' "
                f"{within} ({outcome.message}); bound its objective"
            )

    def input_ranges(
        self, objective_limit: float | None = None
    ) -> list[tuple[FloatArray, FloatArray]] | None:
        """Ranges of each kernel region's inputs by LPs; None if these exclude every solution.

        Only solutions with at most `objective_limit` count where that is given.
        """
        ranges = bound_variables(
            self.model,
            [var for part in self.kernel_parts for var in part.variables],
            objective_limit=None if objective_limit is None else self.sign * objective_limit,
            time_limit=self.limits.remaining(),
            threads=self.limits.threads,
        )
        if ranges is None:
            return None
        limits = []
        start = 0
        for part in self.kernel_parts:
            end = start + len(part.variables)
            low, high = np.array(ranges[start:end], dtype=float).reshape(-1, 2).T
            limits.append((low, high))
            start = end
        return limits

    def proven_limit(self, name: str, var: Any, sense: Any) -> float:
        """Bound of an input that nothing states, by a solve of the model for it.

        Raises
        ------
        InvalidInputError
            If the model does not limit it.
        """
        self.objective.deactivate()
        self._block.limit = pyo.Objective(expr=var, sense=sense)
        try:
            outcome = self.solve(0.05)
        finally:
            self._block.del_component("limit")
            self.objective.activate()
        if outcome.status is Status.INFEASIBLE:
            return math.inf if sense == pyo.minimize else -math.inf
        if outcome.bound is None or not math.isfinite(outcome.bound):
            side = "lower" if sense == pyo.minimize else "upper"
            raise InvalidInputError(
                f"input {name!r} has no {side} bound, and the model does not limit it either "
                f"({outcome.message}): set bounds on {var.name!r}"
            )
        pad = 1e-6 * max(1.0, abs(outcome.bound))
        return outcome.bound - pad if sense == pyo.minimize else outcome.bound + pad

    # -- present values ---------------------------------------------------------------------------

    def value(self) -> float:
        """Objective at the model's present values, whatever a solver says of it."""
        return self.sign * float(pyo.value(self.objective.expr))

    def points(self) -> list[FloatArray]:
        """Present inputs of each part."""
        return [part.point() for part in self.parts]

    def kernel_points(self, points: list[FloatArray]) -> list[FloatArray]:
        """Those of the kernel regions."""
        return [
            point
            for part, point in zip(self.parts, points, strict=True)
            if isinstance(part, KernelPart)
        ]

    def accepts(self, points: list[FloatArray]) -> bool:
        """Whether every region itself accepts its point."""
        return all(part.accepts(x) for part, x in zip(self.parts, points, strict=True))

    def values(self) -> Values:
        """Present value of every variable of the model, its own block's left out."""
        block = getattr(self, "_block", None)
        own: set[int] = set()
        if block is not None:
            own = {id(var) for var in block.component_data_objects(pyo.Var)}
        return [
            (var, var.value)
            for var in self.model.component_data_objects(pyo.Var)
            if id(var) not in own
        ]


@dataclass(slots=True, kw_only=True, eq=False)
class SearchState:
    """What a search over one combination of regions works on.

    Attributes
    ----------
    master : MasterProblem
    incumbent : Incumbent
    limits : Limits
    first_width : list of (n,) array
        Width of each kernel region's first box.
    closed_bound : float
        Least bound of what needs no more search.
    proven_bound : float
        No solution has less.
    n_boxes : int
        Boxes, or rounds, that an MILP has bounded.
    """

    master: MasterProblem
    incumbent: Incumbent
    limits: Limits
    first_width: list[FloatArray] = field(default_factory=list)
    closed_bound: float = math.inf
    proven_bound: float = -math.inf
    n_boxes: int = 0

    def cutoff(self) -> float:
        """Boxes with at least this bound need no search."""
        return self.incumbent.cutoff(self.limits.relative_gap)

    def close(self, bound: float) -> None:
        """Record that nothing below this bound is left in a box."""
        self.closed_bound = min(self.closed_bound, bound)

    def update_incumbent(self) -> float:
        """Keep the model's present values if they are better; return their value."""
        value = self.master.value()
        if self.incumbent.value is None or value < self.incumbent.value:
            values = self.master.values()
            points = self.master.kernel_points(self.master.points())
            # Together: Ctrl-C may come between any two lines.
            found = self.incumbent
            found.value, found.values, found.points = value, values, points
        return value


def only_objective(model: pyo.ConcreteModel) -> Any:
    """Return the one active objective, which must be linear.

    Raises
    ------
    UnsupportedModelError
        There are several or none, or it is nonlinear.
    """
    objectives = list(model.component_data_objects(pyo.Objective, active=True))
    if len(objectives) != 1:
        raise UnsupportedModelError(
            f"model {model.name!r} has {len(objectives)} active objectives; it needs one"
        )
    if not is_linear(objectives[0].expr):
        raise UnsupportedModelError(
            f"objective {objectives[0].name!r} is nonlinear: solve_over_region needs a linear one"
        )
    return objectives[0]


def is_linear(expression: Any) -> bool:
    """Whether an expression is linear; a plain number has no degree."""
    degree = getattr(expression, "polynomial_degree", None)
    return degree is None or degree() in (0, 1)


def weighted_sum(weights: FloatArray, variables: list[Any]) -> Any:
    """Return ``weights . variables``."""
    return pyo.quicksum(float(weight) * var for weight, var in zip(weights, variables, strict=True))
