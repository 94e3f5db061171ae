"""Regions for users of OMLT: a formulation for its `OmltBlock` (extra ``omlt``).

Import this module itself; it is the only one that needs the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.embedding.constraint import add_region_constraint
from stnopt.errors import InvalidInputError, SolverUnavailableError, UnsupportedModelError
from stnopt.feasibility.region import KernelRegion, LinearRegion

if TYPE_CHECKING:
    from stnopt.embedding.region_block import Form, RegionBlock
    from stnopt.feasibility.region import Region

try:
    from omlt.formulation import _PyomoFormulation, _setup_scaled_inputs_outputs
except ImportError as error:
    raise SolverUnavailableError(
        "stnopt.embedding.omlt needs OMLT: install it with: pip install 'stnopt[omlt]'"
    ) from error


class SvmFormulation(_PyomoFormulation):  # OMLT asks every formulation to derive
    """Support vector machine for an `OmltBlock`: inputs by name, one output, the decision.

    ``block.inputs[name]`` are the region's inputs in their own units. For the forms ``algebraic``
    and ``split`` ``block.outputs["decision"]`` equals the decision function; at most `-margin`
    means feasible, which the formulation requires unless `constrain` is False. The forms ``inner``
    and ``outer`` bound the inputs only: they have no value of the decision, and the output is left
    between their levels.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        Such as `region_from_sklearn` gives.
    form : {"algebraic", "split", "inner", "outer"}
        As in `add_region_constraint`.
    margin : float
        In units of the decision.
    tolerance : float, optional
        Of the forms inner and outer.
    constrain : bool
        False gives the decision as an output only, for an objective or a constraint of one's own.

    Raises
    ------
    InvalidInputError
        Without `constrain` for a form that has no value of the decision, or if the training box
        leaves an input unbounded.
    UnsupportedModelError
        For a union of regions.
    """

    def __init__(
        self,
        region: Region,
        *,
        form: Form = "algebraic",
        margin: float = 0.0,
        tolerance: float | None = None,
        constrain: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(region, LinearRegion | KernelRegion):
            raise UnsupportedModelError(
                f"region: a {type(region).__name__} has no single decision for OMLT's output; use "
                "add_region_constraint"
            )
        if not constrain and form in ("inner", "outer"):
            raise InvalidInputError(
                f"constrain=False needs the value of the decision, which form={form!r} does not "
                "have: use form='algebraic' or form='split'"
            )
        self.region = region
        self.form = form
        self.margin = margin
        self.tolerance = tolerance
        self.constrain = constrain
        self.added: RegionBlock | None = None

    @property
    def input_indexes(self) -> list[str]:
        """Names of the region's inputs."""
        return list(self.region.inputs)

    @property
    def output_indexes(self) -> list[str]:
        """The one output, ``"decision"``."""
        return ["decision"]

    def _build_formulation(self) -> None:
        """Write the region on the block; OMLT calls this."""
        box = {
            name: (float(low), float(high))
            for name, low, high in zip(
                self.region.inputs, self.region.lower, self.region.upper, strict=True
            )
        }
        block: Any = self.block
        _setup_scaled_inputs_outputs(block, scaler=None, scaled_input_bounds=box)
        self.added = add_region_constraint(
            block,
            self.region,
            {name: block.scaled_inputs[name] for name in self.region.inputs},
            margin=self.margin,
            form=self.form,
            tolerance=self.tolerance,
        )
        output = block.scaled_outputs["decision"]
        if self.added.pieces is not None:
            output.setub(self.added.pieces.admit)
            return
        block.decision_value = pyo.Constraint(expr=output == self.added.block.decision)
        if not self.constrain:
            self.added.block.inside_region.deactivate()
