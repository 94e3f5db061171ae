"""A union of regions as a constraint: one binary per alternative, whose regions then must hold.

Each region is written once, whatever the number of alternatives that need it, and asks for nothing
where no chosen alternative does.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.cells import bound_decision
from stnopt.embedding.pieces import divide_region
from stnopt.embedding.piecewise import BACK_OFF, Transformation, add_pieces
from stnopt.feasibility.region import LinearRegion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stnopt.feasibility.region import KernelRegion
    from stnopt.feasibility.votes import UnionRegion

_LINEAR_BACK_OFF = 2e-6


def add_alternatives(
    block: Any,
    union: UnionRegion,
    variables: Mapping[str, Any],
    bounds: Mapping[str, tuple[float, float]],
    *,
    margin: float,
    form: str,
    tolerance: float,
    transformation: Transformation,
    add_kernels: Callable[[Any, KernelRegion], Any],
) -> None:
    """Require that all regions of one alternative accept the inputs.

    Parameters
    ----------
    block : pyo.Block
        Gets `chosen` (binary per alternative, one of them 1) and `part`, a block per region.
    union : UnionRegion
    variables : mapping of str to Var or linear expression
        In the region's order of inputs, with the finite `bounds` that are given.
    margin, form, tolerance, transformation
        As in `add_region_constraint`.
    add_kernels : function
        Writes a kernel region on a block and returns the block with its `decision`, for the forms
        that are no pieces.
    """
    block.chosen = pyo.Var(range(len(union.alternatives)), domain=pyo.Binary)
    block.one_alternative = pyo.Constraint(expr=pyo.quicksum(block.chosen.values()) == 1)
    block.part = pyo.Block(range(len(union.regions)))
    lower, upper = np.array(list(bounds.values())).T
    n_empty = 0
    for i, region in enumerate(union.regions):
        part = block.part[i]
        needed = pyo.quicksum(
            block.chosen[a]
            for a, one in enumerate(union.alternatives)
            if any(region is other for other in one)
        )
        if isinstance(region, LinearRegion):
            most = region.offset + np.maximum(region.weights * lower, region.weights * upper).sum()
            back_off = _LINEAR_BACK_OFF if form == "inner" else 0.0
            decision = (
                pyo.quicksum(
                    float(weight) * inner
                    for weight, inner in zip(region.weights, variables.values(), strict=True)
                )
                + region.offset
            )
            _relax(part, decision, -margin - back_off, float(most), needed)
        elif form in ("inner", "outer"):
            keep = -margin - tolerance if form == "inner" else -margin
            pieces = divide_region(
                region,
                lower,
                upper,
                keep=keep,
                admit=keep + tolerance,
                back_off=BACK_OFF if form == "inner" else 0.0,
            )
            n_empty += not pieces.pieces
            add_pieces(part, pieces, variables, transformation=transformation, needed=needed)
        else:
            inner = add_kernels(part, region)
            most = bound_decision(region, lower[None], upper[None]).upper[0]
            inner.del_component("inside_region")
            _relax(inner, inner.decision, -margin, float(most), needed)
    if n_empty == len(union.regions):
        warnings.warn(
            f"no alternative has a point within {dict(bounds)}: the model is infeasible",
            UserWarning,
            stacklevel=4,  # the caller of add_region_constraint
        )


def _relax(block: Any, decision: Any, limit: float, most: float, needed: Any) -> None:
    """Require ``decision <= limit`` where the region is needed; elsewhere allow its maximum."""
    slack = max(most - limit, 0.0) * (1 + 1e-9)
    block.inside_region = pyo.Constraint(expr=decision <= limit + slack * (1 - needed))
