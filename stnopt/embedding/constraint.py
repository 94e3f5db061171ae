"""A region's algebra on the user's own Pyomo block, so that any solver can optimise over it.

A linear region is one linear constraint: the model stays an MILP. A kernel region is nonlinear:
give the model to a solver that takes it, or to `solve_over_region`, which needs HiGHS alone. Or
take one of its two piecewise-linear forms, inner and outer, which any MILP solver takes. A union
of regions has one binary per alternative.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyomo.environ as pyo
from pyomo.common.modeling import unique_component_name
from pyomo.contrib.fbbt.expression_bounds_walker import ExpressionBoundsVisitor

from stnopt.embedding.piecewise import (
    DEFAULT_TOLERANCE,
    TRANSFORMATIONS,
    Transformation,
    add_pieces,
    pieces_of,
)
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.decision_bounds import bound_decision, describe_extrapolation
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region

if TYPE_CHECKING:
    from stnopt.embedding.pieces import Pieces

PiecewiseForm: TypeAlias = Literal["inner", "outer"]
Form: TypeAlias = Literal["algebraic", "split"] | PiecewiseForm
FORMS: tuple[Form, ...] = ("algebraic", "split", "inner", "outer")
#: The forms that are linear: pieces for an MILP solver.
PIECEWISE: tuple[PiecewiseForm, ...] = ("inner", "outer")
_LINEAR_BACK_OFF = 2e-6  # twice what an MILP solver may overstep a row by


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionBlock:
    """What `add_region_constraint` wrote, and how far it is from the region itself.

    Attributes
    ----------
    block : pyo.Block
        Holds `decision` (expression) and `inside_region` (constraint); for a kernel region also
        `kernel`, one member per support vector. The forms inner and outer of a kernel region hold
        `position`, `piece` and `choice` instead, and the block of a union `chosen` and `part`.
    region : LinearRegion, KernelRegion or UnionRegion
    inputs : mapping of str to Var or linear expression
        The model's component that stands for each input of the region, in the region's order.
    bounds : mapping of str to (float, float)
        Box of the inputs that the block relies on, in the inputs' own units; infinite where a
        linear region needs none.
    margin : float
        The block requires ``decision <= -margin``.
    form : {"algebraic", "split", "inner", "outer"}
    pieces : Pieces or None
        Of the forms inner and outer of a kernel region, shared by all copies of it.
    """

    block: Any
    region: Region | UnionRegion
    inputs: Mapping[str, Any]
    bounds: Mapping[str, tuple[float, float]]
    margin: float
    form: Form
    pieces: Pieces | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "bounds"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def decision_value(self) -> float:
        """Value of the block's own expression at the model's present values.

        The forms inner and outer of a kernel region have none, and a union has none: it is the
        region's own there.

        Raises
        ------
        InvalidInputError
            If a variable has no value yet.
        """
        if self.pieces is not None or isinstance(self.region, UnionRegion):
            return float(self.region.decision([self._point()])[0])
        return _value_of(self.block.decision, f"{self.block.name}.decision")

    def distance(self) -> float:
        """Difference between the block's expression and the region itself, at the present values.

        It is rounding (below 1e-9) for the algebraic form. For the split form it shows the
        solver's feasibility tolerance.

        Raises
        ------
        InvalidInputError
            If a variable has no value yet.
        """
        return self.decision_value() - float(self.region.decision([self._point()])[0])

    def violation(self) -> float:
        """By how much the region itself rejects the present values; 0 where it accepts them.

        It is 0 at any solution of the inner form, and at most the tolerance at one of the outer
        form. For the others it is of the order of the solver's feasibility tolerance.

        Raises
        ------
        InvalidInputError
            If a variable has no value yet.
        """
        return max(float(self.region.decision([self._point()])[0]) + self.margin, 0.0)

    def _point(self) -> list[float]:
        return [_value_of(inner, name) for name, inner in self.inputs.items()]


def add_region_constraint(
    block: Any,
    region: Region | UnionRegion,
    variables: Mapping[str, Any],
    *,
    margin: float = 0.0,
    form: Form = "algebraic",
    tolerance: float | None = None,
    transformation: Transformation = "hull",
) -> RegionBlock:
    """Require ``region.decision(variables) <= -margin`` on a new sub-block of `block`.

    Parameters
    ----------
    block : pyo.ConcreteModel or pyo.Block
        Gets one sub-block (named ``region``, ``region_1``, ...); nothing else of it is touched.
    region : LinearRegion, KernelRegion or UnionRegion
        A union gets one binary per alternative. Whatever the form, it is written exactly as far as
        its regions are.
    variables : mapping of str to Var, Expression or linear Pyomo expression
        One entry per input of the region, in the inputs' own units. For a kernel region an
        expression gets a bounded variable in its place. A kernel region's input that has no finite
        bound in the model is held inside the region's training box on that side.
    margin : float
        At least 0, in units of the decision function.
    form : {"algebraic", "split", "inner", "outer"}
        ``"algebraic"`` writes one sum of kernels (suits SCIP and MAiNGO), ``"split"`` one variable
        per kernel term (suits Gurobi). ``"inner"`` and ``"outer"`` write convex pieces for an MILP
        solver, for kernel regions of 1 to 4 inputs: what the inner form admits has
        ``decision <= -margin``, and it admits all that has ``decision <= -margin - tolerance``;
        what the outer form admits has ``decision <= -margin + tolerance``, and it admits all that
        has ``decision <= -margin``. A linear region is exact in either (the inner form is tighter
        by the solver's own tolerance).
    tolerance : float, optional
        Of the inner and outer form, in units of the decision function; 0.05 when left out. For an
        SVC 1 is the distance from the border to the margin. Cost grows as it falls.
    transformation : {"hull", "bigm"}
        How Pyomo.GDP writes the choice among the pieces.

    Returns
    -------
    RegionBlock

    Raises
    ------
    InvalidInputError
        The names do not match, an input is bounded neither by the model nor by the training box,
        or a value is not a single linear component.
    UnsupportedModelError
        The form or the kind of region is not one that this function writes, or it would take too
        many pieces.

    Warns
    -----
    UserWarning
        Inner and outer form: if the pieces reach outside the region's training box, where the
        classifier extrapolates, or if there are none: the model is then infeasible.

    References
    ----------
    Kumawat and Chaturvedi (2021), eq. 16 and 18 (its eq. 18 misses the square on the norm).
    """
    if form not in FORMS:
        raise UnsupportedModelError(
            f"form: expected one of {', '.join(map(repr, FORMS))}, got {form!r}; for a certified "
            "optimum with HiGHS alone leave the block out and call solve_over_region"
        )
    margin = checked_margin(margin)
    inputs = match_inputs(region, variables)
    tolerance = _checked_tolerance(tolerance, form)
    if transformation not in TRANSFORMATIONS:
        raise InvalidInputError(
            f"transformation: expected one of {', '.join(map(repr, TRANSFORMATIONS))}, got "
            f"{transformation!r}"
        )
    if isinstance(region, LinearRegion):
        return _add_linear(block, region, inputs, margin, form)
    bounds = {
        name: _bounds_of(name, inner, *box)
        for (name, inner), box in zip(
            inputs.items(), zip(region.lower, region.upper, strict=True), strict=True
        )
    }
    if isinstance(region, UnionRegion):
        return _add_union(block, region, inputs, bounds, margin, form, tolerance, transformation)
    if form == "inner" or form == "outer":
        return _add_piecewise(
            block, region, inputs, bounds, margin, form, tolerance, transformation
        )
    return _add_kernel(block, region, inputs, bounds, margin, form)


def match_inputs(region: Region | UnionRegion, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model's components in the region's order of inputs, each checked to be linear.

    Raises
    ------
    InvalidInputError
        A name is missing or unknown, or a value is indexed or no Pyomo component.
    UnsupportedModelError
        The region is of an unknown kind, or an expression is nonlinear.
    """
    if not isinstance(region, LinearRegion | KernelRegion | UnionRegion):
        raise UnsupportedModelError(
            "region: expected a LinearRegion, KernelRegion or UnionRegion, got "
            f"{type(region).__name__}; "
            "region_from_sklearn turns a fitted estimator into one"
        )
    if not isinstance(variables, Mapping):
        raise InvalidInputError(
            f"variables: expected a mapping of the region's inputs {list(region.inputs)} to Pyomo "
            f"variables, got {type(variables).__name__}"
        )
    missing = [name for name in region.inputs if name not in variables]
    unknown = [name for name in variables if name not in region.inputs]
    if missing or unknown:
        raise InvalidInputError(
            f"variables: the region's inputs are {list(region.inputs)}, the mapping has "
            f"{list(variables)}; missing {missing}, unknown {unknown}"
        )
    return {name: _checked_input(name, variables[name]) for name in region.inputs}


def checked_margin(margin: float) -> float:
    """Return the margin as a float.

    Raises
    ------
    InvalidInputError
        It is negative or no finite number.
    """
    if isinstance(margin, bool) or not isinstance(margin, Real) or not 0 <= margin < math.inf:
        raise InvalidInputError(f"margin: expected a finite number of at least 0, got {margin!r}")
    return float(margin)


def _checked_tolerance(tolerance: float | None, form: Form) -> float:
    if tolerance is None:
        return DEFAULT_TOLERANCE
    if form not in PIECEWISE:
        raise InvalidInputError(
            f"tolerance={tolerance!r} is for the forms 'inner' and 'outer', not for {form!r}"
        )
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, Real)
        or not 0 < tolerance < math.inf
    ):
        raise InvalidInputError(f"tolerance: expected a positive finite number, got {tolerance!r}")
    return float(tolerance)


def _checked_input(name: str, given: Any) -> Any:
    if isinstance(given, Real) or not hasattr(given, "is_expression_type"):
        raise InvalidInputError(
            f"input {name!r}: expected a Pyomo variable or expression, got {given!r}"
        )
    if hasattr(given, "is_indexed") and given.is_indexed():
        raise InvalidInputError(
            f"input {name!r}: {given.name!r} is indexed; pass one member, such as {given.name}[...]"
        )
    if given.polynomial_degree() not in (0, 1):
        raise UnsupportedModelError(
            f"input {name!r}: the expression {given} is nonlinear; put a variable in its place "
            "and an equality between the two"
        )
    return given


def _bounds_of(name: str, inner: Any, low: float, high: float) -> tuple[float, float]:
    """Bounds the model states for an input; where it states none, those of the training box."""
    lower, upper = stated_bounds(inner)
    lower = lower if math.isfinite(lower) else float(low)
    upper = upper if math.isfinite(upper) else float(high)
    if not (math.isfinite(lower) and math.isfinite(upper)):
        raise InvalidInputError(
            f"input {name!r} has no finite bounds: the model gives {stated_bounds(inner)} and the "
            f"region's training box {(float(low), float(high))}; set bounds on {inner}"
        )
    if lower > upper:
        raise InvalidInputError(
            f"input {name!r}: the model allows {stated_bounds(inner)}, the region was trained on "
            f"{(float(low), float(high))}; the two do not meet: set both bounds on {inner}"
        )
    return lower, upper


def stated_bounds(inner: Any) -> tuple[float, float]:
    """Bounds of a variable or linear expression by interval arithmetic; infinite where unknown."""
    if hasattr(inner, "is_variable_type") and inner.is_variable_type() and not inner.fixed:
        lower, upper = inner.bounds
    else:
        lower, upper = ExpressionBoundsVisitor(use_fixed_var_values_as_bounds=True).walk_expression(
            inner
        )
    return (
        -math.inf if lower is None else float(lower),
        math.inf if upper is None else float(upper),
    )


def _new_block(parent: Any) -> Any:
    name = unique_component_name(parent, "region")
    parent.add_component(name, pyo.Block(concrete=True))
    return parent.component(name)


def _linear_decision(region: LinearRegion, inputs: Mapping[str, Any]) -> Any:
    """Return weights . x + offset."""
    weighted = zip(region.weights, inputs.values(), strict=True)
    return pyo.quicksum(float(weight) * inner for weight, inner in weighted) + region.offset


def _linear_limit(margin: float, form: Form) -> float:
    """Return what a linear decision may be at most; tighter for the inner form."""
    return -margin - (_LINEAR_BACK_OFF if form == "inner" else 0.0)


def _add_linear(
    parent: Any, region: LinearRegion, inputs: dict[str, Any], margin: float, form: Form
) -> RegionBlock:
    """Require weights . x + offset <= -margin: one row."""
    block = _new_block(parent)
    block.decision = pyo.Expression(expr=_linear_decision(region, inputs))
    block.inside_region = pyo.Constraint(expr=block.decision <= _linear_limit(margin, form))
    bounds = {name: stated_bounds(inner) for name, inner in inputs.items()}
    return RegionBlock(
        block=block, region=region, inputs=inputs, bounds=bounds, margin=margin, form=form
    )


def _add_kernel(
    parent: Any,
    region: KernelRegion,
    inputs: dict[str, Any],
    bounds: dict[str, tuple[float, float]],
    margin: float,
    form: Form,
) -> RegionBlock:
    """Require sum_i dual_coefs[i] * kernel[i] + offset <= -margin."""
    block = _new_block(parent)
    variables = _add_input_variables(block, inputs, bounds)
    _add_training_box(block, variables, bounds)
    _add_decision(block, region, variables, bounds, form)
    block.inside_region = pyo.Constraint(expr=block.decision <= -margin)
    return RegionBlock(
        block=block, region=region, inputs=variables, bounds=bounds, margin=margin, form=form
    )


def _add_piecewise(
    parent: Any,
    region: KernelRegion,
    inputs: dict[str, Any],
    bounds: dict[str, tuple[float, float]],
    margin: float,
    form: PiecewiseForm,
    tolerance: float,
    transformation: Transformation,
) -> RegionBlock:
    """Require the inputs to be in one of the region's convex pieces."""
    pieces = pieces_of(region, bounds, form=form, margin=margin, tolerance=tolerance)
    _warn_about_pieces(pieces, region, bounds, form)
    block = _new_block(parent)
    add_pieces(block, pieces, inputs, transformation=transformation)
    return RegionBlock(
        block=block,
        region=region,
        inputs=inputs,
        bounds=bounds,
        margin=margin,
        form=form,
        pieces=pieces,
    )


def _warn_about_pieces(
    pieces: Pieces,
    region: KernelRegion,
    bounds: Mapping[str, tuple[float, float]],
    form: PiecewiseForm,
) -> None:
    """Warn if the box holds no point of a region, or its pieces leave the training box."""
    if not pieces.pieces:
        message = (
            f"the region of inputs {list(region.inputs)} has no point with decision <= "
            f"{pieces.keep:.6g} within {bounds}: the {form} form makes the model infeasible"
        )
    elif outside := describe_extrapolation(region, *pieces.extent()):
        message = (
            f"the {form} form admits points outside the region's training box, where the "
            f"classifier extrapolates: {outside}. Bound those inputs, or use a margin."
        )
    else:
        return
    warnings.warn(message, UserWarning, stacklevel=4)  # the caller of add_region_constraint


def _add_union(
    parent: Any,
    region: UnionRegion,
    inputs: dict[str, Any],
    bounds: dict[str, tuple[float, float]],
    margin: float,
    form: Form,
    tolerance: float,
    transformation: Transformation,
) -> RegionBlock:
    """Require all regions of one alternative, which a binary each chooses.

    A region is written once, whatever the number of alternatives that need it, and asks for nothing
    where none of these is chosen.
    """
    block = _new_block(parent)
    variables = _add_input_variables(block, inputs, bounds)
    _add_training_box(block, variables, bounds)
    block.chosen = pyo.Var(range(len(region.alternatives)), domain=pyo.Binary)
    block.one_alternative = pyo.Constraint(expr=pyo.quicksum(block.chosen.values()) == 1)
    block.part = pyo.Block(range(len(region.regions)))
    lower, upper = np.array(list(bounds.values())).T
    empty = set()
    for part, one in zip(block.part.values(), region.regions, strict=True):
        needed = pyo.quicksum(
            block.chosen[a]
            for a, alternative in enumerate(region.alternatives)
            if any(one is other for other in alternative)
        )
        if isinstance(one, LinearRegion):
            part.decision = pyo.Expression(expr=_linear_decision(one, variables))
            most = one.offset + np.maximum(one.weights * lower, one.weights * upper).sum()
            _add_relaxed_limit(part, _linear_limit(margin, form), float(most), needed)
        elif form == "inner" or form == "outer":
            pieces = pieces_of(one, bounds, form=form, margin=margin, tolerance=tolerance)
            if not pieces.pieces:
                empty.add(id(one))
            add_pieces(part, pieces, variables, transformation=transformation, needed=needed)
        else:
            _add_decision(part, one, variables, bounds, form)
            most = bound_decision(one, lower[None], upper[None]).upper[0]
            _add_relaxed_limit(part, -margin, float(most), needed)
    if all(any(id(one) in empty for one in alternative) for alternative in region.alternatives):
        warnings.warn(
            f"no alternative has a point within {bounds}: the model is infeasible",
            UserWarning,
            stacklevel=3,  # the caller of add_region_constraint
        )
    return RegionBlock(
        block=block, region=region, inputs=variables, bounds=bounds, margin=margin, form=form
    )


def _add_relaxed_limit(block: Any, limit: float, most: float, needed: Any) -> None:
    """Require decision <= limit where the region is needed; elsewhere allow its maximum."""
    slack = max(most - limit, 0.0) * (1 + 1e-9)
    block.inside_region = pyo.Constraint(expr=block.decision <= limit + slack * (1 - needed))


def _add_input_variables(
    block: Any, inputs: dict[str, Any], bounds: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    """input[name] == expression, for the inputs that are no variables; the others stay.

    Global solvers bound a kernel of few bounded variables well, a kernel of long sums badly.
    """
    names = [name for name, inner in inputs.items() if not inner.is_variable_type()]
    block.EXPRESSION_INPUTS = pyo.Set(initialize=names)
    block.input = pyo.Var(
        block.EXPRESSION_INPUTS,
        bounds=lambda _, name: bounds[name],
        initialize=lambda _, name: pyo.value(inputs[name], exception=False),
    )

    @block.Constraint(block.EXPRESSION_INPUTS)
    def input_value(b: Any, name: str) -> Any:
        return b.input[name] == inputs[name]

    return {name: block.input[name] if name in names else inputs[name] for name in inputs}


def _add_training_box(
    block: Any, variables: dict[str, Any], bounds: dict[str, tuple[float, float]]
) -> None:
    """Hold lower <= x <= upper for the variables that the model leaves unbounded."""
    open_ended = [
        name
        for name, var in variables.items()
        if not var.fixed and (var.lb is None or var.ub is None)
    ]
    block.OPEN_INPUTS = pyo.Set(initialize=open_ended)

    @block.Constraint(block.OPEN_INPUTS)
    def training_box(b: Any, name: str) -> Any:
        return pyo.inequality(bounds[name][0], variables[name], bounds[name][1])


def _add_scaled_inputs(block: Any, region: KernelRegion, variables: dict[str, Any]) -> None:
    """scaled_input = (x - center) / scale."""
    block.INPUTS = pyo.Set(initialize=list(region.inputs))
    order = {name: j for j, name in enumerate(region.inputs)}

    @block.Expression(block.INPUTS)
    def scaled_input(b: Any, name: str) -> Any:
        j = order[name]
        center, scale = float(region.center[j]), float(region.scale[j])
        return variables[name] if (center, scale) == (0, 1) else (variables[name] - center) / scale


def _kernel_expression(block: Any, region: KernelRegion, i: int) -> Any:
    """K(v_i, x'), as the kernel writes it."""
    vector = [float(v) for v in region.support_vectors[i]]
    scaled = [block.scaled_input[name] for name in region.inputs]
    return region.kernel_function.expression(vector, scaled, pyo)


def _add_kernels(block: Any, region: KernelRegion) -> None:
    """Add kernel[i] = K(v_i, x') as an expression."""
    block.VECTORS = pyo.RangeSet(0, len(region.dual_coefs) - 1)

    @block.Expression(block.VECTORS)
    def kernel(b: Any, i: int) -> Any:
        return _kernel_expression(b, region, i)


def _add_split_kernels(
    block: Any, region: KernelRegion, bounds: dict[str, tuple[float, float]]
) -> None:
    """Add kernel[i] == K(v_i, x') with kernel[i] a bounded variable."""
    block.VECTORS = pyo.RangeSet(0, len(region.dual_coefs) - 1)
    box = (np.array(list(bounds.values())) - region.center[:, None]) / region.scale[:, None]
    center, radius = box.mean(axis=1), 0.5 * (box[:, 1] - box[:, 0])
    lower, upper = region.kernel_function.ranges(center[None], radius[None], region.support_vectors)
    block.kernel = pyo.Var(
        block.VECTORS, bounds=lambda _, i: (float(lower[0, i]), float(upper[0, i]))
    )

    @block.Constraint(block.VECTORS)
    def kernel_value(b: Any, i: int) -> Any:
        return b.kernel[i] == _kernel_expression(b, region, i)


def _add_decision(
    block: Any,
    region: KernelRegion,
    variables: dict[str, Any],
    bounds: dict[str, tuple[float, float]],
    form: Form,
) -> None:
    """Add decision = sum_i dual_coefs[i] * kernel[i] + offset."""
    _add_scaled_inputs(block, region, variables)
    if form == "split":
        _add_split_kernels(block, region, bounds)
    else:
        _add_kernels(block, region)
    block.decision = pyo.Expression(
        expr=pyo.quicksum(float(region.dual_coefs[i]) * block.kernel[i] for i in block.VECTORS)
        + region.offset
    )


def nonlinear_constraints(added: RegionBlock) -> Iterator[Any]:
    """Constraints of the block that an MILP solver cannot take: none for a linear region."""
    if isinstance(added.region, KernelRegion) and added.form not in PIECEWISE:
        yield added.block.inside_region
        if added.form == "split":
            yield from added.block.kernel_value.values()


def _value_of(component: Any, name: str) -> float:
    value = pyo.value(component, exception=False)
    if value is None:
        raise InvalidInputError(f"{name} has no value yet: solve the model first")
    return float(value)
