"""The certified optimum of a mixed-integer linear model inside kernel regions, with an MILP solver.

All that is nonconvex happens in a region's few inputs. The search divides boxes of them (branch
and bound); in each box the region is replaced by half-spaces that hold for all its feasible points
(`outer_approximation`), which leaves a master problem, an MILP whose bound is valid. Solutions
outside the region are cut off, moved inside (`local_search`), or separated by dividing the box
(`branching`).
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from stnopt.arguments import checked_count, checked_share, checked_time, checked_truth
from stnopt.embedding.branching import best_split
from stnopt.embedding.constraint import RegionBlock, nonlinear_constraints
from stnopt.embedding.inputs import (
    checked_margin,
    checked_model,
    refuse_other_state,
    stated_bounds,
)
from stnopt.embedding.local_search import improve
from stnopt.embedding.master_problem import (
    BACK_OFF,
    Incumbent,
    Limits,
    MasterProblem,
    SearchState,
    is_linear,
)
from stnopt.embedding.multi_region import groups_of, search_pieces
from stnopt.embedding.outer_approximation import OuterApproximation, approximate_box
from stnopt.embedding.region_parts import collect_parts
from stnopt.embedding.search_result import SearchEnd, checked_result
from stnopt.errors import UnsupportedModelError
from stnopt.feasibility.decision_bounds import describe_extrapolation
from stnopt.feasibility.region import KernelRegion
from stnopt.progress import ProgressLine
from stnopt.solvers.solve import SolveResult, Status, relative_gap_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_MAX_REFINEMENTS = 8  # of a box's cuts, before it is divided


def solve_over_region(
    model: pyo.ConcreteModel,
    *regions: Any,
    relative_gap: float = 1e-4,
    time_limit: float | None = None,
    margin: float = 0.0,
    threads: int = 1,
    warm_start: bool = False,
    progress: bool = False,
) -> SolveResult:
    """Optimise a model with regions as constraints, to a proven gap.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Linear, with or without integers, and one active objective. It comes back as it was, with
        the best solution loaded into its variables (or their old values, if there is none).
    *regions : RegionBlock or (region, variables)
        As `add_region_constraint` returns it, or as it takes it. A single region may be given as
        two arguments: ``solve_over_region(model, region, variables)``. The alternatives of a
        `UnionRegion` are searched one after the other, each with the incumbent of those before.
    relative_gap : float
        ``|objective - bound| / max(|objective|, 1e-10)`` at which the search ends.
    time_limit : float, optional
        Seconds. Reaching it gives FEASIBLE or NO_SOLUTION with the bound proven so far, never
        INFEASIBLE.
    margin : float
        Every region must hold as ``decision <= -margin`` (a RegionBlock's own margin, if larger).
    threads : int
        For the MILP solver.
    warm_start : bool
        Start from the variables' present values: their integers, and inputs near the present ones.
    progress : bool
        Show a line with incumbent, bound, gap and boxes.

    Returns
    -------
    SolveResult
        `n_nodes` counts the boxes that were bounded by an MILP, `n_solves` all solver calls. The
        objective is the model's own at the values that it comes back with, where every region
        itself accepts the point: status, bound and gap are derived from that. After Ctrl-C it is
        the best so far, with "interrupted" as `message`.

    Raises
    ------
    InvalidInputError
        A wrong argument, no region, names that do not match, an input that neither the model nor
        its bounds limit, or a region that was made from another state of the plant that the model
        schedules.
    UnsupportedModelError
        A nonlinear model, several objectives or none, a region of more than 8 inputs, or unions
        that combine to more than 64 alternatives.
    KeyboardInterrupt
        When it came before there was a solution; the model is as it was.

    Warns
    -----
    UserWarning
        If the search space reaches outside a region's training box, where it extrapolates.

    Notes
    -----
    Cells are bounded in floating-point arithmetic with a rounding allowance, and MILP bounds are
    those of the solver with its own tolerance. A solution is accepted only if every region's own
    ``decision(x) <= -margin`` holds at the inputs' values in the model, without a tolerance. If the
    rows of the model hold to 1e-6 only, so does their tie between inputs and other variables.

    Cost grows with the number of inputs of a region more than with its support vectors: 1 and 2
    take milliseconds per box, 3 and 4 up to seconds.
    """
    checked_model(model)
    relative_gap = checked_share("relative_gap", relative_gap)
    time_limit = checked_time("time_limit", time_limit)
    threads = checked_count("threads", threads)
    warm_start = checked_truth("warm_start", warm_start)
    progress = checked_truth("progress", progress)
    choices, blocks = collect_parts(regions, checked_margin(margin))
    for part in itertools.chain(*choices):
        refuse_other_state(model, part.region)
    started = time.perf_counter()
    limits = Limits(
        relative_gap=relative_gap,
        deadline=None if time_limit is None else started + time_limit,
        threads=threads,
    )
    line = ProgressLine(
        "solve_over_region", " steps", progress=progress, limited=time_limit is not None
    )
    with line, _linear_copy(model, blocks):
        ends = []
        incumbent = Incumbent()
        for parts in choices:
            incumbent = Incumbent(value=incumbent.value, values=incumbent.values)
            end = _search_alternative(
                MasterProblem(model=model, parts=parts, limits=limits),
                incumbent,
                warm_start=warm_start,
                line=line,
            )
            ends.append(end)
        if limits.interrupted and incumbent.value is None:
            raise KeyboardInterrupt
        return checked_result(
            model, choices, ends, incumbent, limits, time.perf_counter() - started
        )


@dataclass(slots=True, kw_only=True)
class _Box:
    """A node of the search: what approximates each kernel region, and what is known below it."""

    outer: tuple[OuterApproximation, ...]
    bound: float
    refinements: int = 0


def _search_alternative(
    master: MasterProblem, incumbent: Incumbent, *, warm_start: bool, line: ProgressLine
) -> SearchEnd:
    """Search one combination of regions; the model comes back with the incumbent's values."""
    old_values = master.values()
    state = SearchState(master=master, incumbent=incumbent, limits=master.limits)
    if state.limits.interrupted:
        return SearchEnd(bound=-math.inf, n_boxes=0, n_solves=0)
    master.open()
    try:
        return _search(state, warm_start and all(v is not None for _, v in old_values), line)
    except KeyboardInterrupt:
        state.limits.interrupted = state.limits.reached = True
        return SearchEnd(bound=state.proven_bound, n_boxes=state.n_boxes, n_solves=master.n_solves)
    finally:
        master.close()
        for var, value in old_values if incumbent.value is None else incumbent.values:
            var.set_value(value, skip_validation=True)


def _search(state: SearchState, warm_start: bool, line: ProgressLine) -> SearchEnd:
    """Best-first branch and bound over boxes of the regions' inputs."""
    root = _first_box(state)
    if root is None:
        message = "a region has no feasible point within the bounds of its inputs"
        return SearchEnd(bound=math.inf, n_boxes=0, n_solves=state.master.n_solves, empty=message)
    if warm_start:
        improve(state, root.outer, state.master.points())
    groups = groups_of(state.master.kernel_parts, root.outer, state.limits.deadline)
    line.unit = " boxes" if groups is None else " rounds"

    def show(bound: float) -> None:
        state.proven_bound = max(state.proven_bound, bound)
        line.move(state.n_boxes, lambda: _progress_text(state, bound))

    if groups is None:
        bound = _search_boxes(state, root, show)
    else:  # many regions: let the MILP solver choose among the pieces of each
        bound = search_pieces(state, root.outer, groups, show)
    return SearchEnd(bound=bound, n_boxes=state.n_boxes, n_solves=state.master.n_solves)


def _search_boxes(state: SearchState, root: _Box, show: Callable[[float], None]) -> float:
    """Divide boxes until the least bound of those that are left meets the incumbent."""
    order = itertools.count()
    queue = [(root.bound, next(order), root)]
    while queue and not state.limits.is_reached():
        if queue[0][0] >= state.cutoff():
            break
        _, _, box = heapq.heappop(queue)
        for child in _explore(state, box):
            if child.bound < state.cutoff():
                heapq.heappush(queue, (child.bound, next(order), child))
            else:
                state.close(child.bound)
        show(min([state.closed_bound, *(entry[0] for entry in queue)]))
    return min([state.closed_bound, *(entry[0] for entry in queue)])


def _explore(state: SearchState, box: _Box) -> list[_Box]:
    """Bound a box by an MILP; return what is left of it to explore."""
    master, limits = state.master, state.limits
    master.write_approximations(box.outer)
    state.n_boxes += 1
    outcome = master.solve(0.2 * limits.relative_gap)
    if outcome.status is Status.INFEASIBLE:
        return []
    master.check_bounded(outcome, "half-spaces")
    if outcome.bound is not None:
        box.bound = max(box.bound, master.sign * outcome.bound)
    if not outcome.has_solution:
        limits.reached = True
        state.close(box.bound)
        return []
    points = master.points()
    if master.accepts(points):
        state.update_incumbent()
        if outcome.status is not Status.OPTIMAL:
            limits.reached = True
        state.close(box.bound)
        return []
    improve(state, box.outer, points)
    if box.bound >= state.cutoff():
        state.close(box.bound)
        return []
    focused = _focus(state, box.outer, points)
    if focused is None:
        return []
    return _refine_cuts(state, box, focused, points) or _divide(state, box, focused, points)


def _focus(
    state: SearchState, outer: tuple[OuterApproximation, ...], points: list[FloatArray]
) -> tuple[OuterApproximation, ...] | None:
    """Refine the approximations of the regions that a solution breaks, around that solution.

    Only what can be better than the incumbent is covered; None if nothing can.
    """
    limits = _improving_ranges(state, outer)
    if limits is None:
        return None
    focused = []
    master = state.master
    for index, (part, point, known, (lower, upper)) in enumerate(
        zip(master.kernel_parts, master.kernel_points(points), outer, limits, strict=True)
    ):
        if part.accepts(point):
            focused.append(known)
            continue
        finer = approximate_box(
            part.region,
            lower,
            upper,
            margin=part.margin,
            parent=known,
            focus=_spots(state, index, point),
        )
        if finer is None:
            return None
        focused.append(finer)
    return tuple(focused)


def _improving_ranges(
    state: SearchState, outer: tuple[OuterApproximation, ...]
) -> list[tuple[FloatArray, FloatArray]] | None:
    """Ranges of the inputs where a box can hold a solution better than the incumbent, by LPs.

    What they leave out counts as closed at the cutoff.
    """
    state.master.write_approximations(outer)
    limit = state.cutoff()
    state.close(limit)
    ranges = state.master.input_ranges(None if limit == math.inf else limit)
    if ranges is None:
        return None
    limits = []
    for known, (low, high) in zip(outer, ranges, strict=True):
        lower, upper = np.maximum(known.lower, low), np.minimum(known.upper, high)
        if (lower > upper).any():
            return None
        limits.append((lower, upper))
    return limits


def _spots(state: SearchState, index: int, point: FloatArray) -> FloatArray:
    """Where a hull must be fine: at the solution, and at the incumbent that it has to meet."""
    return np.stack([point, *state.incumbent.points[index : index + 1]])


def _refine_cuts(
    state: SearchState,
    box: _Box,
    focused: tuple[OuterApproximation, ...],
    points: list[FloatArray],
) -> list[_Box]:
    """Return the same box with finer half-spaces, if those cut the solution well off."""
    if box.refinements >= _MAX_REFINEMENTS:
        return []
    master = state.master
    for part, point, outer in zip(
        master.kernel_parts, master.kernel_points(points), focused, strict=True
    ):
        near = outer.nearest_inner_point(point)
        if part.accepts(point) or near is None:
            continue
        apart = float(np.sqrt((((point - near) / outer.width) ** 2).sum()))
        if outer.excess(point) >= max(0.3 * apart, 2 * BACK_OFF):
            return [_Box(outer=focused, bound=box.bound, refinements=box.refinements + 1)]
    return []


def _divide(
    state: SearchState,
    box: _Box,
    focused: tuple[OuterApproximation, ...],
    points: list[FloatArray],
) -> list[_Box]:
    """Divide the box along one input, such that the solution is in neither half if possible."""
    kernel_parts = state.master.kernel_parts
    kernel_points = state.master.kernel_points(points)
    best: tuple[tuple[float, float], int, int, float] | None = None
    for index, (part, point, outer) in enumerate(
        zip(kernel_parts, kernel_points, focused, strict=True)
    ):
        if part.accepts(point):
            continue
        found = best_split(outer, point, state.first_width[index])
        if found is not None and (best is None or found[0] > best[0]):
            score, j, at = found
            best = (score, index, j, at)
    if best is None:  # nothing is left to divide: the box stays open at its bound
        state.close(box.bound)
        return []
    _, index, j, at = best
    part, point = kernel_parts[index], kernel_points[index]
    outer, var = focused[index], part.variables[j]
    children = []
    for side in (0, 1):
        lower, upper = outer.lower.copy(), outer.upper.copy()
        if side == 0:
            upper[j] = math.floor(at) if var.is_integer() else at
        else:
            lower[j] = math.floor(at) + 1 if var.is_integer() else at
        if lower[j] > upper[j]:
            continue
        half = approximate_box(
            part.region,
            lower,
            upper,
            margin=part.margin,
            parent=outer,
            focus=_spots(state, index, point),
        )
        if half is not None:
            both = (*focused[:index], half, *focused[index + 1 :])
            children.append(_Box(outer=both, bound=box.bound))
    return children


def _first_box(state: SearchState) -> _Box | None:
    """Box of all that the model allows; None if a region has no feasible point there."""
    master = state.master
    proven = master.input_ranges()
    if proven is None:
        return None
    found = []
    for part, (low, high) in zip(master.kernel_parts, proven, strict=True):
        limits = [
            _input_limits(master, name, inner, var, ends)
            for (name, inner), var, *ends in zip(
                part.inputs.items(), part.variables, low, high, strict=True
            )
        ]
        lower, upper = np.array(limits, dtype=float).T
        if (lower > upper).any():
            return None
        outer = _first_approximation(part.region, lower, upper, part.margin)
        if outer is None:
            return None
        state.first_width.append(outer.width)
        _warn_outside_training_box(part.region, outer)
        found.append(outer)
    return _Box(outer=tuple(found), bound=-math.inf)


def _input_limits(
    master: MasterProblem, name: str, inner: Any, var: Any, proven: list[float]
) -> tuple[float, float]:
    """Bounds of an input: stated, or proven by the relaxation, or else by the model itself."""
    stated = stated_bounds(inner)
    lower, upper = max(stated[0], proven[0]), min(stated[1], proven[1])
    if not math.isfinite(lower):
        lower = master.proven_limit(name, var, pyo.minimize)
    if not math.isfinite(upper):
        upper = master.proven_limit(name, var, pyo.maximize)
    return lower, upper


def _first_approximation(
    region: KernelRegion, lower: FloatArray, upper: FloatArray, margin: float
) -> OuterApproximation | None:
    """Cover a box that may be far larger than its feasible part, whose size the cells follow."""
    outer = approximate_box(region, lower, upper, margin=margin)
    for _ in range(30):
        if outer is None or not (outer.upper - outer.lower < 0.5 * (upper - lower)).any():
            break
        lower, upper = outer.lower, outer.upper
        outer = approximate_box(region, lower, upper, margin=margin)
    return outer


def _warn_outside_training_box(region: KernelRegion, outer: OuterApproximation) -> None:
    outside = describe_extrapolation(region, outer.lower, outer.upper)
    if outside:
        warnings.warn(
            "the region admits points outside its training box, where the classifier extrapolates: "
            + outside
            + ". Bound those inputs, or use a margin.",
            UserWarning,
            stacklevel=6,  # the caller of solve_over_region
        )


def _progress_text(state: SearchState, bound: float) -> str:
    sign, best = state.master.sign, state.incumbent.value
    if best is None:
        return f"incumbent none, bound {sign * bound:.6g}"
    bound = min(bound, best)
    gap = relative_gap_between(best, bound)
    return f"incumbent {sign * best:.6g}, bound {sign * bound:.6g}, gap {gap:.1e}"


@contextmanager
def _linear_copy(model: pyo.ConcreteModel, blocks: list[RegionBlock]) -> Iterator[None]:
    """Leave out the nonlinear constraints of the regions' blocks, and put them back at the end."""
    paused = [c for added in blocks for c in nonlinear_constraints(added) if c.active]
    for constraint in paused:
        constraint.deactivate()
    try:
        for row in model.component_data_objects(pyo.Constraint, active=True):
            if not is_linear(row.body):
                raise UnsupportedModelError(
                    f"constraint {row.name!r} is nonlinear: solve_over_region takes a linear "
                    "model; pass kernel regions to it as RegionBlocks or (region, variables)"
                )
        yield
    finally:
        for constraint in paused:
            constraint.activate()
        # split blocks carry one variable per kernel term: those follow from the inputs
        for added in blocks:
            if added.form == "split" and isinstance(added.region, KernelRegion):
                for row, var in zip(
                    added.block.kernel_value.values(), added.block.kernel.values(), strict=True
                ):
                    kernel = pyo.value(row.body - var, exception=False)
                    if kernel is not None:
                        var.set_value(-kernel, skip_validation=True)
