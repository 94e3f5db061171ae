"""A kernel region as an MILP: a disjunction of its convex pieces, through Pyomo.GDP.

The inner form admits only what the region accepts; the outer form loses nothing that it accepts.
The pieces come from `polyhedral_cover`, once per region, box and tolerance, whatever the number of
copies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyomo.environ as pyo
from pyomo.gdp import Disjunct, Disjunction

from stnopt.embedding.polyhedral_cover import Pieces, divide_region
from stnopt.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.embedding.polytope import Piece
    from stnopt.feasibility.region import KernelRegion

Transformation: TypeAlias = Literal["hull", "bigm"]
TRANSFORMATIONS: tuple[Transformation, ...] = ("hull", "bigm")

#: In units of the decision; its value at a support vector on the margin of an SVC is 1.
DEFAULT_TOLERANCE = 0.05
#: Of each input's width: ten times what an MILP solver may overstep a row by.
BACK_OFF = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisionSettings:
    """How fine pieces are, how their choice is written, and how long dividing may take.

    Attributes
    ----------
    tolerance : float
        In units of the decision.
    transformation : {"hull", "bigm"}
    time_limit : float or None
        Seconds, for all regions together.
    progress : bool
        Show a line while dividing; without a limit it shows itself after a while.
    started : float
        When the limit began to run.
    """

    tolerance: float
    transformation: Transformation
    time_limit: float | None
    progress: bool
    started: float


def pieces_of(
    region: KernelRegion,
    bounds: Mapping[str, tuple[float, float]],
    *,
    form: Literal["inner", "outer"],
    margin: float,
    settings: DivisionSettings,
) -> Pieces:
    """Divide a region for one of the two forms.

    Where that would take too many pieces the form is coarser, and a warning says what holds then.

    ``inner`` lies between ``decision <= -margin - tolerance`` and ``decision <= -margin``,
    ``outer`` between ``decision <= -margin`` and ``decision <= -margin + tolerance``.

    Raises
    ------
    UnsupportedModelError
        It takes too many pieces, or longer than the limit.
    """
    lower, upper = np.array(list(bounds.values())).T
    inner = form == "inner"
    limit, tolerance = settings.time_limit, settings.tolerance
    try:
        pieces = divide_region(
            region,
            lower,
            upper,
            keep=-margin - tolerance if inner else -margin,
            admit=-margin if inner else -margin + tolerance,
            back_off=BACK_OFF if inner else 0.0,
            deadline=None if limit is None else settings.started + limit,
            progress=settings.progress,
            coarser="keep" if inner else "admit",
        )
    except TimeoutError as error:
        raise UnsupportedModelError(
            f"the region of inputs {list(region.inputs)} was not divided into pieces within "
            f"time_limit={limit:g} s at a tolerance of {tolerance:g}: give more time, a larger "
            "tolerance, tighter bounds on the inputs, or use solve_over_region"
        ) from error
    if pieces.is_coarse:
        holds = f"what it admits has decision <= {pieces.admit:.3g}, not {tolerance - margin:g}"
        if inner:
            holds = f"it admits all that has decision <= {pieces.keep:.3g}, not"
            holds += f" {-margin - tolerance:g}"
        warnings.warn(
            f"the {form} form of the region of inputs {list(region.inputs)} is coarser than asked"
            f" for, which would take too many pieces: {holds}; give a larger tolerance or tighter"
            " bounds on the inputs, or use solve_over_region",
            UserWarning,
            stacklevel=4,
        )
    return pieces


def add_pieces(
    block: Any,
    pieces: Pieces,
    variables: Mapping[str, Any],
    *,
    transformation: Transformation = "hull",
    needed: Any = None,
) -> None:
    """Require that the inputs are in one of the pieces: ``slopes @ u <= limits`` for one of them.

    Parameters
    ----------
    block : pyo.Block
        Gets `position` (u, shares of the box), `position_value` and, for more than one piece,
        `piece` (a Disjunct each) and `choice`, transformed at once so that any MILP solver takes
        the model.
    pieces : Pieces
    variables : mapping of str to Var or linear expression
        In the region's order of inputs.
    transformation : {"hull", "bigm"}
        ``"hull"`` is the tightest relaxation there is; ``"bigm"`` has fewer variables.
    needed : linear expression, optional
        0 or 1: whether the pieces are required at all. Where they are not, the inputs are anywhere
        in the box (`elsewhere`).
    """
    names = list(variables)
    order = {name: j for j, name in enumerate(names)}
    # the rows and their tolerances are in shares of the box, whatever the inputs' units
    block.position = pyo.Var(names, bounds=(0, 1))

    @block.Constraint(names)
    def position_value(b: Any, name: str) -> Any:
        low, width = float(pieces.lower[order[name]]), float(pieces.width[order[name]])
        return b.position[name] == (variables[name] - low) / width

    positions = [block.position[name] for name in names]
    if needed is not None:
        block.piece = Disjunct(range(len(pieces.pieces)))
        for i, piece in enumerate(pieces.pieces):
            block.piece[i].half_space = _rows(piece, positions)
        block.elsewhere = Disjunct()
        block.choice = Disjunction(expr=[*block.piece.values(), block.elsewhere])
        block.needed = pyo.Constraint(expr=block.elsewhere.binary_indicator_var == 1 - needed)
        pyo.TransformationFactory(f"gdp.{transformation}").apply_to(block)
    elif not pieces.pieces:
        block.no_point = pyo.Constraint(expr=positions[0] >= 2)
    elif len(pieces.pieces) == 1:
        block.half_space = _rows(pieces.pieces[0], positions)
    else:
        block.piece = Disjunct(range(len(pieces.pieces)))
        for i, piece in enumerate(pieces.pieces):
            block.piece[i].half_space = _rows(piece, positions)
        block.choice = Disjunction(expr=[block.piece[i] for i in range(len(pieces.pieces))])
        pyo.TransformationFactory(f"gdp.{transformation}").apply_to(block)


def _rows(piece: Piece, positions: list[Any]) -> Any:
    """One row per half-space: slope . u <= limit."""
    return pyo.Constraint(
        range(len(piece.limits)),
        rule=lambda _, i: (
            pyo.quicksum(float(a) * u for a, u in zip(piece.slopes[i], positions, strict=True))
            <= float(piece.limits[i])
        ),
    )
