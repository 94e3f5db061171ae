"""The decision of a region as expressions on a block, exactly as the region computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.embedding.region_block import Form
    from stnopt.feasibility.region import KernelRegion, LinearRegion

_LINEAR_BACK_OFF = 2e-6  # twice what an MILP solver may overstep a row by


def linear_decision(region: LinearRegion, inputs: Mapping[str, Any]) -> Any:
    """Return weights . x + offset."""
    weighted = zip(region.weights, inputs.values(), strict=True)
    return pyo.quicksum(float(weight) * inner for weight, inner in weighted) + region.offset


def linear_limit(margin: float, form: Form) -> float:
    """Return what a linear decision may be at most; tighter for the inner form."""
    return -margin - (_LINEAR_BACK_OFF if form == "inner" else 0.0)


def add_decision(
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
