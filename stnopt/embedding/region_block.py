"""What writing a region on a block returns: it checks itself at the model's present values."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyomo.environ as pyo

from stnopt.errors import InvalidInputError
from stnopt.feasibility.one_vs_one import UnionRegion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.embedding.polyhedral_cover import Pieces
    from stnopt.feasibility.region import Region

PiecewiseForm: TypeAlias = Literal["inner", "outer"]
Form: TypeAlias = Literal["algebraic", "split"] | PiecewiseForm
FORMS: tuple[Form, ...] = ("algebraic", "split", "inner", "outer")
#: The forms that are linear: pieces for an MILP solver.
PIECEWISE: tuple[PiecewiseForm, ...] = ("inner", "outer")


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


def _value_of(component: Any, name: str) -> float:
    value = pyo.value(component, exception=False)
    if value is None:
        raise InvalidInputError(f"{name} has no value yet: solve the model first")
    return float(value)
