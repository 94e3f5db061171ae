"""The certified optimum over many regions at once, such as one region in each of twelve periods.

Boxes of all their inputs together would have to be divided in every period. Pieces are found once
for all copies of a region, and the MILP solver chooses among them: the outer form gives the bound,
local steps and the inner form the incumbent. Only pieces that hold a wrong solution are refined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.embedding.pieces import MAX_INPUTS, Pieces, divide_region, refine_pieces
from stnopt.embedding.piecewise import BACK_OFF, add_pieces
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.solvers.solve import SolveResult, Status, relative_gap_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.decision_bounds import Cover
    from stnopt.feasibility.region import KernelRegion

    FloatArray = NDArray[np.float64]

#: From so many kernel regions on, each of its own inputs, pieces are used instead of boxes.
MANY_REGIONS = 3
_FIRST_TOLERANCE = 0.1  # of the region's depth, the lowest decision known in it
_FINER = 0.15  # of how far a solution lies above the region's level
_FLOOR = 1e-7  # of the region's depth: finer than the MILP solver can tell
_FEWER = 0.5  # a round that leaves more of the gap calls for the inner form


@dataclass(slots=True, kw_only=True, eq=False)
class _Group:
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
    parts: Sequence[Any], covers: Sequence[Cover], deadline: float | None = None
) -> list[_Group] | None:
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
        own = [covers[i] for i in indices]
        reached = np.concatenate([cover.reached for cover in own])
        if not len(reached):
            return None
        depth = float((-margin - region.decision(reached)).max())
        if depth <= 0:
            return None
        try:
            groups.append(
                _Group(
                    region=region,
                    margin=margin,
                    members=indices,
                    lower=np.min([cover.lower for cover in own], axis=0),
                    upper=np.max([cover.upper for cover in own], axis=0),
                    depth=depth,
                    deadline=deadline,
                )
            )
        except (TimeoutError, UnsupportedModelError):
            return None
    return groups


def search_pieces(search: Any, covers: tuple[Cover, ...], groups: list[_Group]) -> float:
    """Solve outer forms until their bound meets the incumbent; return the bound (minimisation).

    Parameters
    ----------
    search : the search of `solve_over_region`
        Solves the model, keeps the incumbent, and knows when to stop.
    covers : tuple of Cover
        One per kernel region.
    groups : list of groups
        From `groups_of`.
    """
    bound = -math.inf
    try:
        for bound in _rounds(search, covers, groups):
            search.show_progress(bound)
    except TimeoutError:
        search.out_of_time = True
    return bound


def _rounds(search: Any, covers: tuple[Cover, ...], groups: list[_Group]) -> Iterator[float]:
    """Bounds that never fall: one after each outer form, the last one when nothing is left."""
    bound = -math.inf
    gap = 1.0
    tried: list[float] = []
    while not search.is_late():
        precision = min(max(0.05 * gap, 0.2 * search.relative_gap), 1e-2)
        outcome = _solve_form(search, groups, [group.outer for group in groups], precision)
        search.n_boxes += 1
        if outcome.status is Status.INFEASIBLE:
            yield math.inf
            return
        if outcome.status in (Status.UNBOUNDED, Status.ERROR):
            what = "is unbounded" if outcome.status is Status.UNBOUNDED else "failed"
            raise InvalidInputError(
                f"the linear part of model {search.model.name!r} {what} within the regions' "
                f"pieces ({outcome.message}); bound its objective"
            )
        if outcome.bound is not None:
            bound = max(bound, search.sign * outcome.bound)
        yield bound
        if not outcome.has_solution:
            search.out_of_time = True
            return
        points = [part.point() for part in search.parts]
        accepted = all(p.holds(x) for p, x in zip(search.parts, points, strict=True))
        if accepted:
            search.offer(outcome.objective)
        else:
            _approach(search, covers, points)
        if bound >= search.cutoff() or search.is_late():
            return
        left = _gap(search, bound)
        fineness = [group.tolerance for group in groups]
        if not accepted and fineness != tried and (search.best is None or left > _FEWER * gap):
            tried = fineness
            inner = _solve_form(search, groups, [group.inner() for group in groups], precision)
            if inner.has_solution:
                found = [part.point() for part in search.parts]
                if all(p.holds(x) for p, x in zip(search.parts, found, strict=True)):
                    search.offer(inner.objective)
                _approach(search, covers, found)
            if bound >= search.cutoff() or search.is_late():
                return
            left = _gap(search, bound)
        gap = min(gap, left)
        kernel_points = search.kernel_points(points)
        refined = [
            group.refine(np.array([kernel_points[i] for i in group.members])) for group in groups
        ]
        if not any(refined) and not (accepted and precision > 0.21 * search.relative_gap):
            return


def _approach(search: Any, covers: tuple[Cover, ...], points: list[FloatArray]) -> None:
    """Look for an incumbent near a solution, in small steps first: the more regions, the closer."""
    for shrink in (0.01, 0.1, 1.0):
        before = search.best
        search.improve(covers, points, shrink=shrink)
        if search.best is not None and search.best != before:
            return


def _gap(search: Any, bound: float) -> float:
    left = relative_gap_between(search.best, bound) if search.best is not None else None
    return 1.0 if left is None else min(left, 1.0)


def _solve_form(
    search: Any, groups: list[_Group], forms: list[Pieces], precision: float
) -> SolveResult:
    """Solve the model with the regions replaced by pieces, and take those out again."""
    search.write_rows([], [])
    search.block.form = pyo.Block(range(len(search.kernel_parts)))
    for group, pieces in zip(groups, forms, strict=True):
        for i in group.members:
            part = search.kernel_parts[i]
            add_pieces(
                search.block.form[i], pieces, dict(zip(part.inputs, part.variables, strict=True))
            )
    try:
        return search.solve(precision)
    finally:
        search.block.del_component("form")
