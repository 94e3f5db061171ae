"""The certified optimum over many regions at once, such as one region in each of twelve periods.

Boxes of all their inputs together would have to be divided in every period. Pieces are found once
for all copies of a region, and the MILP solver chooses among them: the outer form gives the bound,
local steps and the inner form the incumbent. Only pieces that hold a wrong solution are refined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stnopt.embedding.local_search import improve
from stnopt.embedding.piecewise_form import BACK_OFF
from stnopt.embedding.polyhedral_cover import (
    MAX_INPUTS,
    Pieces,
    divide_region,
    refine_pieces,
)
from stnopt.errors import UnsupportedModelError
from stnopt.solvers.solve import SolveResult, Status, relative_gap_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from stnopt.embedding.master_problem import SearchState
    from stnopt.embedding.outer_approximation import OuterApproximation
    from stnopt.embedding.region_parts import KernelPart
    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

#: From so many kernel regions on, each of its own inputs, pieces are used instead of boxes.
MANY_REGIONS = 3
_FIRST_TOLERANCE = 0.1  # of the region's depth, the lowest decision known in it
_FINER = 0.15  # of how far a solution lies above the region's level
_FLOOR = 1e-7  # of the region's depth: finer than the MILP solver can tell
_FEWER = 0.5  # a round that leaves more of the gap calls for the inner form


@dataclass(slots=True, kw_only=True, eq=False)
class RegionCopies:
    """Copies of one region with one margin: they share the pieces."""

    region: KernelRegion
    margin: float
    members: list[int]
    lower: FloatArray
    upper: FloatArray
    depth: float
    deadline: float | None
    outer: Pieces = field(init=False)
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        self.tolerance = _FIRST_TOLERANCE * self.depth
        self.outer = divide_region(
            self.region,
            self.lower,
            self.upper,
            keep=-self.margin,
            admit=-self.margin + self.tolerance,
            deadline=self.deadline,
        )

    def refine(self, points: FloatArray) -> bool:
        """Divide the pieces with wrong solutions; whether that can change anything."""
        above = self.region.decision(points) + self.margin
        wrong = points[above > 0]
        if not len(wrong):
            return False
        finer = max(_FINER * float(above.max()), _FLOOR * self.depth)
        if finer >= self.tolerance:
            finer = 0.5 * self.tolerance
        if finer < _FLOOR * self.depth:
            return False
        self.outer = refine_pieces(
            self.region,
            self.outer,
            wrong,
            admit=-self.margin + finer,
            deadline=self.deadline,
        )
        self.tolerance = finer
        return True

    def inner(self) -> Pieces:
        """Pieces that the region accepts wholly, about as fine as the outer ones."""
        return divide_region(
            self.region,
            self.lower,
            self.upper,
            keep=-self.margin - max(self.tolerance, 2e-3 * self.depth),
            admit=-self.margin,
            back_off=BACK_OFF,
            deadline=self.deadline,
        )


def groups_of(
    parts: Sequence[KernelPart], outer: Sequence[OuterApproximation], deadline: float | None = None
) -> list[RegionCopies] | None:
    """Group the kernel regions of a model by value; None where boxes are the better search.

    That is with fewer than `MANY_REGIONS` different sets of inputs, with a region of more than 4
    inputs, and where one takes more than a thousand pieces, or longer than there is.
    """
    places = {tuple(id(var) for var in part.variables) for part in parts}
    if len(places) < MANY_REGIONS or any(len(p.region.inputs) > MAX_INPUTS for p in parts):
        return None
    members: dict[tuple[KernelRegion, float], list[int]] = {}
    for i, part in enumerate(parts):
        members.setdefault((part.region, part.margin), []).append(i)
    groups = []
    for (region, margin), indices in members.items():
        own = [outer[i] for i in indices]
        known = np.concatenate([each.inner_points for each in own])
        if not len(known):
            return None
        depth = float((-margin - region.decision(known)).max())
        if depth <= 0:
            return None
        try:
            groups.append(
                RegionCopies(
                    region=region,
                    margin=margin,
                    members=indices,
                    lower=np.min([each.lower for each in own], axis=0),
                    upper=np.max([each.upper for each in own], axis=0),
                    depth=depth,
                    deadline=deadline,
                )
            )
        except (TimeoutError, UnsupportedModelError):
            return None
    return groups


def search_pieces(
    state: SearchState,
    outer: tuple[OuterApproximation, ...],
    groups: list[RegionCopies],
    show: Callable[[float], None],
) -> float:
    """Solve outer forms until their bound meets the incumbent; return the bound (minimisation).

    Parameters
    ----------
    state : SearchState
    outer : tuple of OuterApproximation
        One per kernel region.
    groups : list of RegionCopies
        From `groups_of`.
    show : function
        Called with the bound after each round.
    """
    bound = -math.inf
    try:
        for bound in _rounds(state, outer, groups):
            show(bound)
    except TimeoutError:
        state.limits.reached = True
    return bound


def _rounds(
    state: SearchState, outer: tuple[OuterApproximation, ...], groups: list[RegionCopies]
) -> Iterator[float]:
    """Bounds that never fall: one after each outer form, the last one when nothing is left."""
    master, limits, incumbent = state.master, state.limits, state.incumbent
    bound = -math.inf
    gap = 1.0
    tried: list[float] = []
    while not limits.is_reached():
        precision = min(max(0.05 * gap, 0.2 * limits.relative_gap), 1e-2)
        outcome = _solve_form(state, groups, [group.outer for group in groups], precision)
        state.n_boxes += 1
        if outcome.status is Status.INFEASIBLE:
            yield math.inf
            return
        master.check_bounded(outcome, "pieces")
        if outcome.bound is not None:
            bound = max(bound, master.sign * outcome.bound)
        yield bound
        if not outcome.has_solution:
            limits.reached = True
            return
        points = master.points()
        accepted = master.accepts(points)
        if accepted:
            state.update_incumbent()
        else:
            _approach(state, outer, points)
        if bound >= state.cutoff() or limits.is_reached():
            return
        left = _gap(state, bound)
        fineness = [group.tolerance for group in groups]
        if not accepted and fineness != tried and (incumbent.value is None or left > _FEWER * gap):
            tried = fineness
            inner = _solve_form(state, groups, [group.inner() for group in groups], precision)
            if inner.has_solution:
                found = master.points()
                if master.accepts(found):
                    state.update_incumbent()
                _approach(state, outer, found)
            if bound >= state.cutoff() or limits.is_reached():
                return
            left = _gap(state, bound)
        gap = min(gap, left)
        kernel_points = master.kernel_points(points)
        refined = [
            group.refine(np.array([kernel_points[i] for i in group.members])) for group in groups
        ]
        if not any(refined) and not (accepted and precision > 0.21 * limits.relative_gap):
            return


def _approach(
    state: SearchState, outer: tuple[OuterApproximation, ...], points: list[FloatArray]
) -> None:
    """Look for an incumbent near a solution, in small steps first: the more regions, the closer."""
    for shrink in (0.01, 0.1, 1.0):
        before = state.incumbent.value
        improve(state, outer, points, shrink=shrink)
        if state.incumbent.value is not None and state.incumbent.value != before:
            return


def _gap(state: SearchState, bound: float) -> float:
    best = state.incumbent.value
    left = relative_gap_between(best, bound) if best is not None else None
    return 1.0 if left is None else min(left, 1.0)


def _solve_form(
    state: SearchState, groups: list[RegionCopies], forms: list[Pieces], precision: float
) -> SolveResult:
    """Solve the model with the regions replaced by pieces."""
    pieces = {i: form for group, form in zip(groups, forms, strict=True) for i in group.members}
    return state.master.solve_with_pieces(pieces, precision)
