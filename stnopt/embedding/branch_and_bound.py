"""The certified optimum of a mixed-integer linear model inside kernel regions, with an MILP solver.

All that is nonconvex happens in a region's few inputs. The search divides boxes of them (branch
and bound); in each box the region is replaced by half-spaces that hold for all its feasible points
(`cells`), which leaves an MILP whose bound is valid. Solutions outside the region are cut off,
moved inside, or separated by dividing the box.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.modeling import unique_component_name
from tqdm import tqdm

from stnopt.embedding.constraint import (
    RegionBlock,
    checked_margin,
    match_inputs,
    nonlinear_constraints,
    stated_bounds,
)
from stnopt.embedding.multi_region import groups_of, search_pieces
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.decision_bounds import (
    MAX_INPUTS,
    Cover,
    bound_decision,
    cover_box,
    describe_extrapolation,
    nearest_in_hull,
)
from stnopt.feasibility.one_vs_one import UnionRegion
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region
from stnopt.solvers.bound_tightening import bound_variables
from stnopt.solvers.solve import (
    SolveResult,
    Status,
    relative_gap_between,
    solve,
    status_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_ABSOLUTE_GAP = 1e-6  # the MILP solver's own: an objective near 0 has no relative gap
_BACK_OFF = 2e-6  # of an input's width: twice the MILP solver's feasibility tolerance
_MAX_ALTERNATIVES = 64
_SMALLEST_BOX = 1e-7  # of the first box's width: beyond, the MILP solver cannot tell points apart


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
        `n_nodes` counts the boxes that were bounded by an MILP, `n_solves` all solver calls.

    Raises
    ------
    InvalidInputError
        No region, names that do not match, or an input that neither the model nor its bounds limit.
    UnsupportedModelError
        A nonlinear model, several objectives or none, a region of more than 8 inputs, or unions
        that combine to more than 64 alternatives.

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
    if not 0 < relative_gap < 1:
        raise InvalidInputError(f"relative_gap must be in (0, 1), got {relative_gap}")
    if time_limit is not None and not time_limit > 0:
        raise InvalidInputError(f"time_limit must be positive seconds or None, got {time_limit}")
    choices, blocks = _collect(regions, checked_margin(margin))
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    with _linear_copy(model, blocks):
        searches = [
            _Search(model, parts, relative_gap, deadline, threads, progress) for parts in choices
        ]
        return _best_of(searches, warm_start=warm_start)


@dataclass(slots=True, kw_only=True, eq=False)
class _Part:
    """One region, the components that stand for its inputs, and a variable for each."""

    region: Region
    inputs: dict[str, Any]
    margin: float
    variables: list[Any] = field(default_factory=list)

    def point(self) -> FloatArray:
        """Present values of the inputs, (n,)."""
        return np.array([float(pyo.value(inner)) for inner in self.inputs.values()])

    def holds(self, point: FloatArray) -> bool:
        """Whether the region itself accepts a point, with no tolerance."""
        return bool(self.region.decision(point[None])[0] <= -self.margin)


def _collect(
    regions: tuple[Any, ...], margin: float
) -> tuple[list[list[_Part]], list[RegionBlock]]:
    """Parts per combination of the unions' alternatives (one without any), and the blocks."""
    if len(regions) == 2 and isinstance(regions[1], Mapping):
        regions = ((regions[0], regions[1]),)
    if not regions:
        raise InvalidInputError(
            "no region given: pass a RegionBlock, or a region and the variables of its inputs"
        )
    choices: list[list[list[_Part]]] = []
    blocks = []
    for given in regions:
        if isinstance(given, RegionBlock):
            if isinstance(given.region, UnionRegion):
                raise UnsupportedModelError(
                    "the block of a union chooses its alternative itself: pass (region, variables) "
                    "and leave the block out"
                )
            blocks.append(given)
            region, inputs = given.region, dict(given.inputs)
            required = max(margin, given.margin)
        elif isinstance(given, tuple) and len(given) == 2:
            region, inputs = given[0], match_inputs(given[0], given[1])
            required = margin
        else:
            raise InvalidInputError(
                f"expected a RegionBlock or a pair (region, variables), got {type(given).__name__}"
            )
        if not isinstance(region, LinearRegion) and len(region.inputs) > MAX_INPUTS:
            raise UnsupportedModelError(
                f"a region of {len(region.inputs)} inputs {list(region.inputs)}: cells grow as "
                f"2^inputs, {MAX_INPUTS} is the most; use add_region_constraint and a global "
                "nonlinear solver such as solver='scip' (extra: minlp)"
            )
        alternatives = region.alternatives if isinstance(region, UnionRegion) else ((region,),)
        choices.append(
            [
                [_Part(region=one, inputs=inputs, margin=required) for one in alternative]
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


def _best_of(searches: list[_Search], *, warm_start: bool) -> SolveResult:
    """Run the searches one after the other: the best incumbent, and the least of their bounds."""
    results: list[SolveResult] = []
    bound = math.inf
    for before, search in zip([None, *searches], searches, strict=False):
        if before is not None:
            search.best, search.best_values = before.best, before.best_values
        result = search.run(warm_start=warm_start)
        results.append(result)
        if len(searches) == 1:
            return result
        if result.status is not Status.INFEASIBLE:
            own = -math.inf if result.bound is None else search.sign * result.bound
            bound = min(bound, own)
    last = searches[-1]
    wall_time = sum(result.wall_time for result in results)
    n_boxes = sum(result.n_nodes or 0 for result in results)
    n_solves = sum(result.n_solves for result in results)
    if last.best is None and bound == math.inf:
        return replace(
            results[-1], wall_time=wall_time, n_nodes=n_boxes, n_solves=n_solves,
            message="no alternative holds a solution",
        )  # fmt: skip
    objective = None if last.best is None else last.sign * last.best
    least = bound if last.best is None else min(bound, last.best)
    known = last.sign * least if math.isfinite(least) else None
    late = any(search.out_of_time for search in searches)
    return SolveResult(
        status=status_of(objective, known, relative_gap=last.relative_gap),
        objective=objective,
        bound=known,
        gap=relative_gap_between(objective, known),
        wall_time=wall_time,
        n_nodes=n_boxes,
        n_solves=n_solves,
        message="limit reached" if late else "gap closed",
    )


@contextmanager
def _linear_copy(model: pyo.ConcreteModel, blocks: list[RegionBlock]) -> Iterator[None]:
    """Leave out the nonlinear constraints of the regions' blocks, and put them back at the end."""
    paused = [c for added in blocks for c in nonlinear_constraints(added) if c.active]
    for constraint in paused:
        constraint.deactivate()
    try:
        for row in model.component_data_objects(pyo.Constraint, active=True):
            if not _is_linear(row.body):
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


@dataclass(slots=True, kw_only=True)
class _Box:
    """A node of the search: one cover per kernel region, and what is known below it."""

    covers: tuple[Cover, ...]
    bound: float
    recuts: int = 0


@dataclass(slots=True)
class _Search:
    """Best-first branch and bound over boxes of the regions' inputs, in terms of minimisation."""

    model: pyo.ConcreteModel
    parts: list[_Part]
    relative_gap: float
    deadline: float | None
    threads: int
    progress: bool
    started: float = field(default_factory=time.perf_counter)
    sign: float = 1.0
    objective: Any = None
    block: Any = None
    first_width: list[FloatArray] = field(default_factory=list)
    old_values: list[tuple[Any, Any]] = field(default_factory=list)
    best: float | None = None
    best_values: list[tuple[Any, Any]] = field(default_factory=list)
    best_points: list[FloatArray] = field(default_factory=list)
    closed_bound: float = math.inf
    n_boxes: int = 0
    n_solves: int = 0
    out_of_time: bool = False
    line: Any = None

    @property
    def kernel_parts(self) -> list[Any]:
        """Parts whose region is a KernelRegion."""
        return [part for part in self.parts if isinstance(part.region, KernelRegion)]

    # -- the search -------------------------------------------------------------------------------

    def run(self, *, warm_start: bool) -> SolveResult:
        objectives = list(self.model.component_data_objects(pyo.Objective, active=True))
        if len(objectives) != 1:
            raise UnsupportedModelError(
                f"model {self.model.name!r} has {len(objectives)} active objectives; it needs one"
            )
        self.objective = objectives[0]
        if not _is_linear(self.objective.expr):
            raise UnsupportedModelError(
                f"objective {self.objective.name!r} is nonlinear: solve_over_region needs a linear "
                "one"
            )
        self.sign = 1.0 if self.objective.sense == pyo.minimize else -1.0
        self.old_values = self._values()
        name = unique_component_name(self.model, "region_search")
        self.block = pyo.Block(concrete=True)
        self.model.add_component(name, self.block)
        try:
            return self._search(warm_start)
        finally:
            self.model.del_component(self.block)
            for var, value in self.best_values if self.best is not None else self.old_values:
                var.set_value(value, skip_validation=True)

    def _search(self, warm_start: bool) -> SolveResult:
        self._add_inputs()
        root = self._first_box()
        if root is None:
            message = "a region has no feasible point within the bounds of its inputs"
            return self._result(Status.INFEASIBLE, None, message)
        if warm_start and all(v is not None for _, v in self.old_values):
            self.improve(root.covers, [part.point() for part in self.parts])
        groups = groups_of(self.kernel_parts, root.covers, self.deadline)
        if groups is not None:
            return self._close_by_pieces(root, groups)
        order = itertools.count()
        queue = [(root.bound, next(order), root)]
        with tqdm(
            disable=not self.progress, unit=" boxes", desc="solve_over_region", leave=True
        ) as line:
            while queue and not self.is_late():
                if queue[0][0] >= self.cutoff():
                    break
                _, _, box = heapq.heappop(queue)
                for child in self._explore(box):
                    if child.bound < self.cutoff():
                        heapq.heappush(queue, (child.bound, next(order), child))
                    else:
                        self.closed_bound = min(self.closed_bound, child.bound)
                if self.progress:
                    line.update(self.n_boxes - line.n)
                    line.set_postfix_str(self._progress_text(queue))
        return self._conclude(min([self.closed_bound, *(entry[0] for entry in queue)]))

    def _close_by_pieces(self, root: _Box, groups: list[Any]) -> SolveResult:
        """Many regions: let the MILP solver choose among the pieces of each."""
        with tqdm(
            disable=not self.progress, unit=" rounds", desc="solve_over_region", leave=True
        ) as self.line:
            bound = search_pieces(self, root.covers, groups)
        return self._conclude(bound)

    def show_progress(self, bound: float) -> None:
        """Show a round of the search by pieces."""
        if self.progress:
            self.line.update(self.n_boxes - self.line.n)
            self.line.set_postfix_str(self._progress_text([(bound,)]))

    def _conclude(self, bound: float) -> SolveResult:
        if self.best is None:
            if bound == math.inf and not self.out_of_time:
                return self._result(Status.INFEASIBLE, None, "no box holds a solution")
            return self._result(Status.NO_SOLUTION, bound, "limit reached")
        bound = min(bound, self.best)
        status = status_of(self.best, bound, relative_gap=self.relative_gap)
        return self._result(
            status, bound, "gap closed" if status is Status.OPTIMAL else "limit reached"
        )

    def _result(self, status: Status, bound: float | None, message: str) -> SolveResult:
        known = None if bound is None or not math.isfinite(bound) else self.sign * bound
        objective = None if self.best is None else self.sign * self.best
        return SolveResult(
            status=status,
            objective=objective,
            bound=known,
            gap=relative_gap_between(objective, known),
            wall_time=time.perf_counter() - self.started,
            n_nodes=self.n_boxes,
            n_solves=self.n_solves,
            message=message,
        )

    def _explore(self, box: _Box) -> list[_Box]:
        """Bound a box by an MILP; return what is left of it to explore."""
        self._write_cuts(box.covers)
        self.n_boxes += 1
        outcome = self.solve(0.2 * self.relative_gap)
        if outcome.status is Status.INFEASIBLE:
            return []
        if outcome.status in (Status.UNBOUNDED, Status.ERROR):
            what = "is unbounded" if outcome.status is Status.UNBOUNDED else "failed"
            raise InvalidInputError(
                f"the linear part of model {self.model.name!r} {what} within the regions' "
                f"half-spaces ({outcome.message}); bound its objective"
            )
        if outcome.bound is not None:
            box.bound = max(box.bound, self.sign * outcome.bound)
        if not outcome.has_solution:
            self.out_of_time = True
            self.closed_bound = min(self.closed_bound, box.bound)
            return []
        points = [part.point() for part in self.parts]
        if all(part.holds(point) for part, point in zip(self.parts, points, strict=True)):
            self.offer(outcome.objective)
            if outcome.status is not Status.OPTIMAL:
                self.out_of_time = True
            self.closed_bound = min(self.closed_bound, box.bound)
            return []
        self.improve(box.covers, points)
        if box.bound >= self.cutoff():
            self.closed_bound = min(self.closed_bound, box.bound)
            return []
        focused = self._focus(box.covers, points)
        if focused is None:
            return []
        return self._recut(box, focused, points) or self._divide(box, focused, points)

    def _focus(
        self, covers: tuple[Cover, ...], points: list[FloatArray]
    ) -> tuple[Cover, ...] | None:
        """Refine the covers of the regions that a solution breaks, around that solution.

        Only what can be better than the incumbent is covered; None if nothing can.
        """
        limits = self._improving(covers)
        if limits is None:
            return None
        focused = []
        for index, (part, point, cover, (lower, upper)) in enumerate(
            zip(self.kernel_parts, self.kernel_points(points), covers, limits, strict=True)
        ):
            if part.holds(point):
                focused.append(cover)
                continue
            finer = cover_box(
                part.region,
                lower,
                upper,
                margin=part.margin,
                parent=cover,
                focus=self._spots(index, point),
            )
            if finer is None:
                return None
            focused.append(finer)
        return tuple(focused)

    def _improving(self, covers: tuple[Cover, ...]) -> list[tuple[FloatArray, FloatArray]] | None:
        """Ranges of the inputs where a box can hold a solution better than the incumbent, by LPs.

        What they leave out counts as closed at the cutoff.
        """
        self._write_cuts(covers)
        limit = self.cutoff()
        self.closed_bound = min(self.closed_bound, limit)
        ranges = bound_variables(
            self.model,
            [var for part in self.kernel_parts for var in part.variables],
            objective_limit=None if limit == math.inf else self.sign * limit,
            time_limit=self.remaining(),
            threads=self.threads,
        )
        if ranges is None:
            return None
        limits = []
        start = 0
        for part, cover in zip(self.kernel_parts, covers, strict=True):
            low, high = np.array(ranges[start : start + len(part.variables)]).T
            start += len(part.variables)
            lower, upper = np.maximum(cover.lower, low), np.minimum(cover.upper, high)
            if (lower > upper).any():
                return None
            limits.append((lower, upper))
        return limits

    def _spots(self, index: int, point: FloatArray) -> FloatArray:
        """Where a hull must be fine: at the solution, and at the incumbent that it has to meet."""
        return np.stack([point, *self.best_points[index : index + 1]])

    def _recut(self, box: _Box, focused: tuple[Cover, ...], points: list[FloatArray]) -> list[_Box]:
        """Return the same box with finer half-spaces, if those cut the solution well off."""
        if box.recuts >= 8:
            return []
        for part, point, cover in zip(
            self.kernel_parts, self.kernel_points(points), focused, strict=True
        ):
            near = cover.nearest_reached(point)
            if part.holds(point) or near is None:
                continue
            apart = float(np.sqrt((((point - near) / cover.width) ** 2).sum()))
            if cover.excess(point) >= max(0.3 * apart, 2 * _BACK_OFF):
                return [_Box(covers=focused, bound=box.bound, recuts=box.recuts + 1)]
        return []

    def _divide(
        self, box: _Box, focused: tuple[Cover, ...], points: list[FloatArray]
    ) -> list[_Box]:
        """Divide the box along one input, such that the solution is in neither half if possible."""
        best: tuple[float, float, int, int, float] | None = None
        for index, (part, point, cover) in enumerate(
            zip(self.kernel_parts, self.kernel_points(points), focused, strict=True)
        ):
            if part.holds(point):
                continue
            corners = _outermost_corners(cover, point)
            for j, at in _places(cover, point, self.first_width[index]):
                score = _separation(corners, point, cover.width, j, at)
                if best is None or score > best[:2]:
                    best = (*score, index, j, at)
        if best is None:  # nothing is left to divide: the box stays open at its bound
            self.closed_bound = min(self.closed_bound, box.bound)
            return []
        *_, index, j, at = best
        part, point = self.kernel_parts[index], self.kernel_points(points)[index]
        cover, var = focused[index], part.variables[j]
        children = []
        for side in (0, 1):
            lower, upper = cover.lower.copy(), cover.upper.copy()
            if side == 0:
                upper[j] = math.floor(at) if var.is_integer() else at
            else:
                lower[j] = math.floor(at) + 1 if var.is_integer() else at
            if lower[j] > upper[j]:
                continue
            half = cover_box(
                part.region,
                lower,
                upper,
                margin=part.margin,
                parent=cover,
                focus=self._spots(index, point),
            )
            if half is not None:
                covers = (*focused[:index], half, *focused[index + 1 :])
                children.append(_Box(covers=covers, bound=box.bound))
        return children

    # -- incumbents -------------------------------------------------------------------------------

    def improve(
        self, covers: tuple[Cover, ...], points: list[FloatArray], *, shrink: float = 1.0
    ) -> None:
        """Move a solution that breaks a region inside it: fix its integers, solve small LPs.

        Each LP holds the inputs in a small box around a feasible point near the solution and in a
        half-space that is certainly feasible there, and the next one starts from its solution.
        """
        integers = [
            var
            for var in self.model.component_data_objects(pyo.Var, active=True)
            if not var.fixed and not var.is_continuous() and var.value is not None
        ]
        kept = [var.value for var in integers]
        for var in integers:
            var.fix(round(var.value), skip_validation=True)
        try:
            stalls, reached = 0, math.inf
            for _ in range(8):
                rows = self._inner_rows(covers, points, shrink)
                if rows is None:
                    return
                self.write_rows(*rows)
                outcome = self.solve(1e-9)
                if outcome.objective is None:
                    if reached < math.inf or shrink > 10:
                        return
                    shrink *= 16.0  # the fixed integers may allow inputs a little farther away
                    continue
                found = [part.point() for part in self.parts]
                if not all(p.holds(x) for p, x in zip(self.parts, found, strict=True)):
                    return
                value = self.sign * outcome.objective
                best = min(reached, math.inf if self.best is None else self.best)
                self.offer(outcome.objective)
                if value < reached:
                    points, reached = found, value
                if value > best - 0.1 * self._tolerance():
                    stalls += 1
                    shrink = min(shrink, 1.0) / 6
                    if stalls == 2 or value > best + 100 * self._tolerance():
                        return
                else:
                    shrink *= 2.0  # the larger the box, the less of it the half-space admits
        finally:
            for var, value in zip(integers, kept, strict=True):
                var.unfix()
                var.set_value(value, skip_validation=True)

    def _inner_rows(
        self, covers: tuple[Cover, ...], points: list[FloatArray], shrink: float
    ) -> tuple[list[tuple[Any, float]], list[tuple[float, Any, float]]] | None:
        """Boxes and half-spaces that are certainly feasible; None if no feasible point is known."""
        rows: list[tuple[Any, float]] = []
        ranges: list[tuple[float, Any, float]] = []
        at = iter(zip(covers, self.first_width, strict=True))
        for part, point in zip(self.parts, points, strict=True):
            variables = part.variables
            if isinstance(part.region, LinearRegion):
                scale = np.abs(part.region.weights).sum() * _BACK_OFF
                rows.append(
                    (
                        _dot(part.region.weights, variables),
                        -part.region.offset - part.margin - scale,
                    )
                )
                continue
            cover, first = next(at)
            width = np.maximum(cover.width, 1e-4 * first)
            start = point
            if not part.holds(point):
                close = _just_inside(part, point, width)
                near = cover.nearest_reached(point) if close is None else close
                if near is None:
                    return None
                start = _last_feasible(part, near, point)
            radius = shrink * np.maximum(
                2 * np.abs(point - start).max() * width / width.max(), 0.03 * width
            )
            lower, upper = start - radius, start + radius
            bounds = bound_decision(part.region, lower[None], upper[None])
            if bounds.upper[0] > -part.margin:
                slope = bounds.gradient[0]
                # tighter by what the solver may overstep
                slack = _BACK_OFF * float(np.abs(slope) @ width)
                limit = -part.margin - bounds.value[0] - bounds.above[0] - slack
                size = max(float(np.abs(slope * width).max()), 1e-300)
                rows.append(
                    (
                        _dot(slope / size, variables),
                        float(limit + slope @ bounds.center[0]) / size,
                    )
                )
            ranges.extend(zip(lower.tolist(), variables, upper.tolist(), strict=True))
        return rows, ranges

    def offer(self, objective: float | None) -> None:
        if objective is None:
            return
        value = self.sign * objective
        if self.best is None or value < self.best:
            self.best = value
            self.best_values = self._values()
            self.best_points = self.kernel_points([part.point() for part in self.parts])

    # -- the model --------------------------------------------------------------------------------

    def _add_inputs(self) -> None:
        """Stand a variable in for each input that is an expression; add the linear regions."""
        expressions = {
            (i, j): inner
            for i, part in enumerate(self.parts)
            for j, inner in enumerate(part.inputs.values())
            if not inner.is_variable_type()
        }
        self.block.input = pyo.Var(list(expressions))
        self.block.input_value = pyo.Constraint(
            list(expressions), rule=lambda b, i, j: b.input[i, j] == expressions[i, j]
        )
        for i, part in enumerate(self.parts):
            part.variables = [
                self.block.input[i, j] if (i, j) in expressions else inner
                for j, inner in enumerate(part.inputs.values())
            ]
        linear = {
            i: (part, part.region)
            for i, part in enumerate(self.parts)
            if isinstance(part.region, LinearRegion)
        }

        @self.block.Constraint(list(linear))
        def inside_linear_region(_: Any, i: int) -> Any:
            part, region = linear[i]
            return _dot(region.weights, part.variables) + region.offset <= -part.margin

    def kernel_points(self, points: list[FloatArray]) -> list[FloatArray]:
        return [
            point
            for part, point in zip(self.parts, points, strict=True)
            if isinstance(part.region, KernelRegion)
        ]

    def _first_box(self) -> _Box | None:
        covers = []
        proven = bound_variables(
            self.model,
            [var for part in self.kernel_parts for var in part.variables],
            time_limit=self.remaining(),
            threads=self.threads,
        )
        if proven is None:
            return None
        ranges = iter(proven)
        for part in self.kernel_parts:
            limits = [
                self._limits(name, inner, var, next(ranges))
                for (name, inner), var in zip(part.inputs.items(), part.variables, strict=True)
            ]
            lower, upper = np.array(limits, dtype=float).T
            if (lower > upper).any():
                return None
            cover = _first_cover(part.region, lower, upper, part.margin)
            if cover is None:
                return None
            self.first_width.append(cover.width)
            _warn_outside_training_box(part.region, cover)
            covers.append(cover)
        return _Box(covers=tuple(covers), bound=-math.inf)

    def _limits(
        self, name: str, inner: Any, var: Any, proven: tuple[float, float]
    ) -> tuple[float, float]:
        """Bounds of an input: stated, or proven by the relaxation, or else by the model itself."""
        stated = stated_bounds(inner)
        lower, upper = max(stated[0], proven[0]), min(stated[1], proven[1])
        if not math.isfinite(lower):
            lower = self._proven_limit(name, var, pyo.minimize)
        if not math.isfinite(upper):
            upper = self._proven_limit(name, var, pyo.maximize)
        return lower, upper

    def _proven_limit(self, name: str, var: Any, sense: Any) -> float:
        self.objective.deactivate()
        self.block.limit = pyo.Objective(expr=var, sense=sense)
        try:
            outcome = self.solve(0.05)
        finally:
            self.block.del_component("limit")
            self.objective.activate()
        if outcome.status is Status.INFEASIBLE:
            return math.inf if sense == pyo.minimize else -math.inf
        if outcome.bound is None or not math.isfinite(outcome.bound):
            side = "lower" if sense == pyo.minimize else "upper"
            raise InvalidInputError(
                f"input {name!r} has no {side} bound, and the model does not limit it either "
                f"({outcome.message}): set bounds on {var.name!r}"
            )
        pad = 1e-6 * max(1.0, abs(outcome.bound))
        return outcome.bound - pad if sense == pyo.minimize else outcome.bound + pad

    def _write_cuts(self, covers: tuple[Cover, ...]) -> None:
        rows: list[tuple[Any, float]] = []
        ranges: list[tuple[float, Any, float]] = []
        for part, cover in zip(self.kernel_parts, covers, strict=True):
            variables = part.variables
            ranges.extend(zip(cover.lower.tolist(), variables, cover.upper.tolist(), strict=True))
            weights = cover.cuts[:, :-1] / cover.width
            limits = weights @ cover.lower - cover.cuts[:, -1]
            rows.extend(
                (_dot(weight, variables), float(limit))
                for weight, limit in zip(weights, limits, strict=True)
            )
        self.write_rows(rows, ranges)

    def write_rows(
        self, rows: list[tuple[Any, float]], ranges: list[tuple[float, Any, float]]
    ) -> None:
        """Replace the half-spaces and boxes of the previous solve."""
        for name in ("half_space", "box"):
            if self.block.component(name) is not None:
                self.block.del_component(name)
        self.block.half_space = pyo.Constraint(
            range(len(rows)), rule=lambda _, i: pyo.inequality(None, rows[i][0], rows[i][1])
        )
        self.block.box = pyo.Constraint(
            range(len(ranges)), rule=lambda _, i: pyo.inequality(*ranges[i])
        )

    def solve(self, gap: float) -> SolveResult:
        outcome = solve(
            self.model, relative_gap=gap, time_limit=self.remaining(), threads=self.threads
        )
        self.n_solves += outcome.n_solves
        return outcome

    def remaining(self) -> float | None:
        """Seconds until the time limit; None without one."""
        if self.deadline is None:
            return None
        return max(self.deadline - time.perf_counter(), 1e-3)

    def _values(self) -> list[tuple[Any, Any]]:
        own = (
            set()
            if self.block is None
            else {id(v) for v in self.block.component_data_objects(pyo.Var)}
        )
        return [
            (var, var.value)
            for var in self.model.component_data_objects(pyo.Var)
            if id(var) not in own
        ]

    # -- when to stop -----------------------------------------------------------------------------

    def _tolerance(self) -> float:
        return 0.0 if self.best is None else max(self.relative_gap * abs(self.best), _ABSOLUTE_GAP)

    def cutoff(self) -> float:
        """Boxes with at least this bound need no search."""
        return math.inf if self.best is None else self.best - 0.999 * self._tolerance()

    def is_late(self) -> bool:
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            self.out_of_time = True
        return self.out_of_time

    def _progress_text(self, queue: list[Any]) -> str:
        bound = min([self.closed_bound, *(entry[0] for entry in queue)])
        if self.best is None:
            return f"incumbent none, bound {self.sign * bound:.6g}"
        bound = min(bound, self.best)
        gap = relative_gap_between(self.best, bound)
        return (
            f"incumbent {self.sign * self.best:.6g}, bound {self.sign * bound:.6g}, gap {gap:.1e}"
        )


def _first_cover(
    region: KernelRegion, lower: FloatArray, upper: FloatArray, margin: float
) -> Cover | None:
    """Cover a box that may be far larger than its feasible part, whose size the cells follow."""
    cover = cover_box(region, lower, upper, margin=margin)
    for _ in range(30):
        if cover is None or not (cover.upper - cover.lower < 0.5 * (upper - lower)).any():
            break
        lower, upper = cover.lower, cover.upper
        cover = cover_box(region, lower, upper, margin=margin)
    return cover


def _is_linear(expression: Any) -> bool:
    degree = getattr(expression, "polynomial_degree", None)
    return degree is None or degree() in (0, 1)  # a plain number has no degree


def _dot(weights: FloatArray, variables: list[Any]) -> Any:
    return pyo.quicksum(float(weight) * var for weight, var in zip(weights, variables, strict=True))


def _just_inside(part: _Part, point: FloatArray, width: FloatArray) -> FloatArray | None:
    """Feasible point by a few Newton steps down the decision's gradient; None if they miss."""
    at = point
    for _ in range(6):
        height = float(part.region.decision(at[None])[0]) + part.margin
        if height <= 0:
            return at if (np.abs(at - point) <= 0.1 * width).all() else None
        slope = part.region.gradient(at[None])[0] * width
        at = at - width * slope * (1.05 * height / max(float(slope @ slope), 1e-300))
    return None


def _last_feasible(part: _Part, start: FloatArray, end: FloatArray) -> FloatArray:
    """Last feasible point on the way from a feasible point to an infeasible one, by bisection."""
    near, far = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (near + far)
        if part.holds(start + middle * (end - start)):
            near = middle
        else:
            far = middle
    return start + near * (end - start)


def _places(
    cover: Cover, point: FloatArray, first_width: FloatArray
) -> Iterator[tuple[int, float]]:
    """Where a box may be divided: at the solution, in the middle, and in the widest empty slab."""
    near = cover.nearest_reached(point)
    for j in range(len(point)):
        low, high = cover.lower[j], cover.upper[j]
        if high - low <= _SMALLEST_BOX * first_width[j]:
            continue
        places = {0.5 * (low + high)}
        for border in (point, near):
            if border is not None and 0.02 < (border[j] - low) / (high - low) < 0.98:
                places.add(float(border[j]))
        order = cover.cell_lower[:, j].argsort()
        ends = np.maximum.accumulate(cover.cell_upper[order, j])[:-1]
        gaps = cover.cell_lower[order, j][1:] - ends
        if len(gaps) and gaps.max() > 0:
            widest = int(gaps.argmax())
            places.add(float(ends[widest] + 0.5 * gaps[widest]))
        for at in places:
            yield j, at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Corners:
    """Corners that nearly span a cover's hull, each with the cell it belongs to."""

    points: FloatArray
    cell_lower: FloatArray
    cell_upper: FloatArray


def _outermost_corners(cover: Cover, point: FloatArray) -> _Corners:
    """Choose the corners farthest along each facet and those nearest to a point."""
    rows, columns = np.nonzero(~np.isnan(cover.vertices[:, :, 0]))
    points = cover.vertices[rows, columns]
    if len(points) > 1000:
        unit = (points - cover.lower) / cover.width
        apart = ((unit - (point - cover.lower) / cover.width) ** 2).sum(axis=1)
        ends = [(unit @ facet).argmax() for facet in cover.facets[:100, :-1]]
        chosen = np.union1d(ends, np.argpartition(apart, 300)[:300])
        points, rows = points[chosen], rows[chosen]
    return _Corners(
        points=points, cell_lower=cover.cell_lower[rows], cell_upper=cover.cell_upper[rows]
    )


def _separation(
    corners: _Corners, point: FloatArray, width: FloatArray, j: int, at: float
) -> tuple[float, float]:
    """How far the solution is from the hulls of both halves: the nearer one first."""
    distances = []
    for clip, side in (
        (np.minimum, corners.cell_lower[:, j] < at),
        (np.maximum, corners.cell_upper[:, j] > at),
    ):
        points = corners.points[side]
        if not len(points):
            distances.append(math.inf)
            continue
        points[:, j] = clip(points[:, j], at)
        near = nearest_in_hull(points, point, width)
        distances.append(float(np.sqrt((((near - point) / width) ** 2).sum())))
    return min(distances), max(distances)


def _warn_outside_training_box(region: KernelRegion, cover: Cover) -> None:
    outside = describe_extrapolation(region, cover.lower, cover.upper)
    if outside:
        warnings.warn(
            "the region admits points outside its training box, where the classifier extrapolates: "
            + outside
            + ". Bound those inputs, or use a margin.",
            UserWarning,
            stacklevel=6,  # the caller of solve_over_region
        )
