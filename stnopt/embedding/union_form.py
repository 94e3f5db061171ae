"""A union of regions on a block: one binary per alternative, and each region once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.inputs import add_input_variables, add_training_box, new_block
from stnopt.embedding.kernel_algebra import add_decision, linear_decision, linear_limit
from stnopt.embedding.piecewise_form import DivisionSettings, add_pieces, pieces_of
from stnopt.embedding.region_block import Form, RegionBlock
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.feasibility.region import LinearRegion

if TYPE_CHECKING:
    from stnopt.feasibility.one_vs_one import UnionRegion


def add_union(
    parent: Any,
    region: UnionRegion,
    inputs: dict[str, Any],
    bounds: dict[str, tuple[float, float]],
    margin: float,
    form: Form,
    settings: DivisionSettings,
) -> RegionBlock:
    """Require all regions of one alternative, which a binary each chooses.

    A region is written once, whatever the number of alternatives that need it, and asks for nothing
    where none of these is chosen.
    """
    block = new_block(parent)
    variables = add_input_variables(block, inputs, bounds)
    add_training_box(block, variables, bounds)
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
            part.decision = pyo.Expression(expr=linear_decision(one, variables))
            most = one.offset + np.maximum(one.weights * lower, one.weights * upper).sum()
            _add_relaxed_limit(part, linear_limit(margin, form), float(most), needed)
        elif form == "inner" or form == "outer":
            pieces = pieces_of(one, bounds, form=form, margin=margin, settings=settings)
            if not pieces.pieces:
                empty.add(id(one))
            add_pieces(
                part, pieces, variables, transformation=settings.transformation, needed=needed
            )
        else:
            add_decision(part, one, variables, bounds, form)
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
