"""What a search is given: regions, each with the model's components that stand for its inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.constraint import RegionBlock
from stnopt.embedding.inputs import match_inputs
from stnopt.embedding.outer_approximation import MAX_INPUTS
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_MAX_ALTERNATIVES = 64


@dataclass(slots=True, kw_only=True, eq=False)
class RegionPart:
    """One region, the components that stand for its inputs, and a variable for each.

    Attributes
    ----------
    region : LinearRegion or KernelRegion
    inputs : dict of str to Var or linear expression
        In the region's order.
    margin : float
        The region must hold as ``decision <= -margin``.
    variables : list of Var
        Filled by the master problem, which puts a variable in the place of an expression.
    """

    region: Region
    inputs: dict[str, Any]
    margin: float
    variables: list[Any] = field(default_factory=list)

    def point(self) -> FloatArray:
        """Present values of the inputs, (n,)."""
        return np.array([float(pyo.value(inner)) for inner in self.inputs.values()])

    def accepts(self, point: FloatArray) -> bool:
        """Whether the region itself accepts a point, with no tolerance."""
        return bool(self.region.decision(point[None])[0] <= -self.margin)


@dataclass(slots=True, kw_only=True, eq=False)
class KernelPart(RegionPart):
    """A part whose region is a sum of kernels."""

    region: KernelRegion


def collect_parts(
    regions: tuple[Any, ...], margin: float
) -> tuple[list[list[RegionPart]], list[RegionBlock]]:
    """Parts per combination of the unions' alternatives (one without any), and the blocks.

    Raises
    ------
    InvalidInputError
        No region, or something else than a block or a pair.
    UnsupportedModelError
        A union's block, too many inputs, or too many alternatives.
    """
    if len(regions) == 2 and isinstance(regions[1], Mapping):
        regions = ((regions[0], regions[1]),)
    if not regions:
        raise InvalidInputError(
            "no region given: pass a RegionBlock, or a region and the variables of its inputs"
        )
    choices: list[list[list[RegionPart]]] = []
    blocks = []
    for given in regions:
        region, inputs, required = _taken_apart(given, margin)
        if isinstance(given, RegionBlock):
            blocks.append(given)
        if not isinstance(region, LinearRegion) and len(region.inputs) > MAX_INPUTS:
            raise UnsupportedModelError(
                f"a region of {len(region.inputs)} inputs {list(region.inputs)}: cells grow as "
                f"2^inputs, {MAX_INPUTS} is the most; use add_region_constraint and a global "
                "nonlinear solver such as solver='scip' (extra: minlp)"
            )
        alternatives = region.alternatives if isinstance(region, UnionRegion) else ((region,),)
        choices.append(
            [
                [_part_of(one, inputs, required) for one in alternative]
                for alternative in alternatives
            ]
        )
    count = math.prod(len(one) for one in choices)
    if count > _MAX_ALTERNATIVES:
        raise UnsupportedModelError(
            f"the unions combine to {count} alternatives, {_MAX_ALTERNATIVES} is the most: use "
            "add_region_constraint with form='inner' or form='outer', and solve"
        )
    return [list(itertools.chain(*one)) for one in itertools.product(*choices)], blocks


def _part_of(region: Region, inputs: dict[str, Any], margin: float) -> RegionPart:
    if isinstance(region, KernelRegion):
        return KernelPart(region=region, inputs=inputs, margin=margin)
    return RegionPart(region=region, inputs=inputs, margin=margin)


def _taken_apart(given: Any, margin: float) -> tuple[Region | UnionRegion, dict[str, Any], float]:
    """Region, inputs and margin of what a caller gave."""
    if isinstance(given, RegionBlock):
        if isinstance(given.region, UnionRegion):
            raise UnsupportedModelError(
                "the block of a union chooses its alternative itself: pass (region, variables) "
                "and leave the block out"
            )
        return given.region, dict(given.inputs), max(margin, given.margin)
    if isinstance(given, tuple) and len(given) == 2:
        return given[0], match_inputs(given[0], given[1]), margin
    raise InvalidInputError(
        f"expected a RegionBlock or a pair (region, variables), got {type(given).__name__}"
    )
