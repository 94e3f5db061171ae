"""A region's algebra on the user's own Pyomo block, so that any solver can optimise over it.

A linear region is one linear constraint: the model stays an MILP. A kernel region is nonlinear:
give the model to a solver that takes it, or to `solve_over_region`, which needs HiGHS alone. Or
take one of its two piecewise-linear forms, inner and outer, which any MILP solver takes. A union
of regions has one binary per alternative.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.arguments import checked_positive, checked_time, checked_truth
from stnopt.embedding.inputs import (
    add_input_variables,
    add_training_box,
    bounds_of,
    checked_margin,
    checked_model,
    match_inputs,
    new_block,
    refuse_other_state,
    stated_bounds,
)
from stnopt.embedding.kernel_algebra import add_decision, linear_decision, linear_limit
from stnopt.embedding.piecewise_form import (
    DEFAULT_TOLERANCE,
    TRANSFORMATIONS,
    DivisionSettings,
    Transformation,
    add_pieces,
    pieces_of,
)
from stnopt.embedding.region_block import FORMS, PIECEWISE, Form, PiecewiseForm
from stnopt.embedding.region_block import RegionBlock as RegionBlock
from stnopt.embedding.union_form import add_union
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.decision_bounds import describe_extrapolation
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stnopt.embedding.polyhedral_cover import Pieces


def add_region_constraint(
    block: Any,
    region: Region | UnionRegion,
    variables: Mapping[str, Any],
    *,
    margin: float = 0.0,
    form: Form = "algebraic",
    tolerance: float | None = None,
    transformation: Transformation = "hull",
    time_limit: float | None = None,
    progress: bool = False,
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
    time_limit : float, optional
        Seconds that dividing a region into pieces may take; beyond, it is refused.
    progress : bool
        Show a line while pieces are divided. Without a time limit it shows itself after 10 s.

    Returns
    -------
    RegionBlock

    Raises
    ------
    InvalidInputError
        The names do not match, an input is bounded neither by the model nor by the training box,
        a value is not a single linear component, or the region was made from another state of the
        plant that the model schedules.
    UnsupportedModelError
        The form or the kind of region is not one that this function writes, or its pieces take
        longer than `time_limit`.

    Warns
    -----
    UserWarning
        Inner and outer form: if the pieces reach outside the region's training box, where the
        classifier extrapolates, or if there are none: the model is then infeasible. Also where
        `tolerance` would take too many pieces (four inputs, many vectors): the form is then
        coarser, and the warning says which level holds; `RegionBlock.pieces` has both.

    References
    ----------
    Kumawat and Chaturvedi (2021), eq. 16 and 18 (its eq. 18 misses the square on the norm).
    """
    checked_model(block)
    if not isinstance(form, str) or form not in FORMS:
        raise UnsupportedModelError(
            f"form: expected one of {', '.join(map(repr, FORMS))}, got {form!r}; for a certified "
            "optimum with HiGHS alone leave the block out and call solve_over_region"
        )
    margin = checked_margin(margin)
    inputs = match_inputs(region, variables)
    refuse_other_state(block, region)
    if not isinstance(transformation, str) or transformation not in TRANSFORMATIONS:
        raise InvalidInputError(
            f"transformation: expected one of {', '.join(map(repr, TRANSFORMATIONS))}, got "
            f"{transformation!r}"
        )
    settings = DivisionSettings(
        tolerance=_checked_tolerance(tolerance, form),
        transformation=transformation,
        time_limit=checked_time("time_limit", time_limit),
        progress=checked_truth("progress", progress),
        started=time.perf_counter(),
    )
    if isinstance(region, LinearRegion):
        return _add_linear(block, region, inputs, margin, form)
    bounds = {
        name: bounds_of(name, inner, *box)
        for (name, inner), box in zip(
            inputs.items(), zip(region.lower, region.upper, strict=True), strict=True
        )
    }
    if isinstance(region, UnionRegion):
        return add_union(block, region, inputs, bounds, margin, form, settings)
    if form == "inner" or form == "outer":
        return _add_piecewise(block, region, inputs, bounds, margin, form, settings)
    return _add_kernel(block, region, inputs, bounds, margin, form)


def _checked_tolerance(tolerance: float | None, form: Form) -> float:
    if tolerance is None:
        return DEFAULT_TOLERANCE
    if form not in PIECEWISE:
        raise InvalidInputError(
            f"tolerance={tolerance!r} is for the forms 'inner' and 'outer', not for {form!r}"
        )
    return checked_positive("tolerance", tolerance)


def _add_linear(
    parent: Any, region: LinearRegion, inputs: dict[str, Any], margin: float, form: Form
) -> RegionBlock:
    """Require weights . x + offset <= -margin: one row."""
    block = new_block(parent)
    block.decision = pyo.Expression(expr=linear_decision(region, inputs))
    block.inside_region = pyo.Constraint(expr=block.decision <= linear_limit(margin, form))
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
    block = new_block(parent)
    variables = add_input_variables(block, inputs, bounds)
    add_training_box(block, variables, bounds)
    add_decision(block, region, variables, bounds, form)
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
    settings: DivisionSettings,
) -> RegionBlock:
    """Require the inputs to be in one of the region's convex pieces."""
    pieces = pieces_of(region, bounds, form=form, margin=margin, settings=settings)
    _warn_about_pieces(pieces, region, bounds, form)
    block = new_block(parent)
    add_pieces(block, pieces, inputs, transformation=settings.transformation)
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


def nonlinear_constraints(added: RegionBlock) -> Iterator[Any]:
    """Constraints of the block that an MILP solver cannot take: none for a linear region."""
    if isinstance(added.region, KernelRegion) and added.form not in PIECEWISE:
        yield added.block.inside_region
        if added.form == "split":
            yield from added.block.kernel_value.values()
