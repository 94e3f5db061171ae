"""The inputs of a region in a model: what stands for them, their bounds, and their variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import pyomo.environ as pyo
from pyomo.common.modeling import unique_component_name
from pyomo.contrib.fbbt.expression_bounds_walker import ExpressionBoundsVisitor

from stnopt.arguments import checked_non_negative
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region
from stnopt.feasibility.scope import refuse_other_origin
from stnopt.scheduling.handle import SchedulingHandle
from stnopt.solvers.handle import find_handles


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


def refuse_other_state(block: Any, region: Region | UnionRegion) -> None:
    """Refuse a region that was made from another state of a plant that the model schedules.

    Raises
    ------
    InvalidInputError
        Naming both states.
    """
    model = block.model() if hasattr(block, "model") else block
    for _, handle in find_handles(model):
        if isinstance(handle, SchedulingHandle):
            refuse_other_origin(region.origin, handle.network, handle.start, "region: it")


def checked_margin(margin: float) -> float:
    """Return the margin as a float.

    Raises
    ------
    InvalidInputError
        It is negative or no finite number.
    """
    return checked_non_negative("margin", margin)


def checked_model(model: Any) -> None:
    """Refuse what is no Pyomo model or block.

    Raises
    ------
    InvalidInputError
        It is something else.
    """
    if not hasattr(model, "component_data_objects") or not hasattr(model, "add_component"):
        raise InvalidInputError(
            f"model: expected a Pyomo model or block, got {type(model).__name__}"
        )
    if hasattr(model, "is_indexed") and model.is_indexed():
        raise InvalidInputError(
            f"model: {model.name!r} is an indexed block; pass one member, such as {model.name}[...]"
        )


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


def bounds_of(name: str, inner: Any, low: float, high: float) -> tuple[float, float]:
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


def new_block(parent: Any) -> Any:
    """Add a sub-block with a name of its own."""
    name = unique_component_name(parent, "region")
    parent.add_component(name, pyo.Block(concrete=True))
    return parent.component(name)


def add_input_variables(
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


def add_training_box(
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
