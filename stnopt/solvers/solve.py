"""Solving a Pyomo model: the one exit through which every solver's answer passes.

A status is derived from incumbent, bound and gap; the objective is recomputed from the values that
came back, and a solver whose own figures disagree is asked again otherwise before it is believed.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.arguments import (
    BY_NAME,
    COUNT,
    GAP,
    SECONDS,
    TEXT,
    TRUTH,
    WHOLE,
    check_arguments,
    optional,
)
from stnopt.errors import SolverUnavailableError, UnsupportedModelError
from stnopt.solvers.handle import MODEL, Keep, find_handles
from stnopt.solvers.pyomo_engines import run_with_pyomo
from stnopt.solvers.request import SolveRequest
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pyomo.core.base.block import BlockData

    from stnopt.solvers.handle import ModelHandle

#: What a solver says of its objective may differ from the values it returns by this share.
_SAME_OBJECTIVE = 1e-5
#: Values that break a row by more than this share of the row's size are no solution.
_MOST_VIOLATION = 1e-4
#: Nodes for the presolve retry: what presolve alone called infeasible is solved without it.
_RETRY_NODES = 100
#: For a look at a model that forbids more than needed.
_FEW_NODES = 100
#: Looks of each kind, as long as what they find is as good as the bound.
_MOST_LOOKS = 2
_KEPT_IN_LOOKS: tuple[Keep, ...] = ("all", "others", "nothing")
_ENGINES = "stnopt.solvers.engines"
#: Asked when HiGHS disagrees with itself however it is asked, where they are installed.
_OTHER_ENGINES = ("scip", "glpk")


def solve(
    model: pyo.ConcreteModel,
    *,
    solver: str = "highs",
    time_limit: float | None = None,
    node_limit: int | None = None,
    relative_gap: float = 1e-4,
    threads: int = 1,
    options: Mapping[str, Any] | None = None,
    log: bool = False,
    warm_start: bool = False,
    confirm_infeasible: bool = False,
) -> SolveResult:
    """Solve a model and load the incumbent into its variables.

    Without an incumbent the variables keep the values they had. Blocks that know more than their
    equations say (scheduling models, at any depth of a larger model) are asked after every answer
    whether it breaks a rule of theirs; what it breaks is added and the model is solved again until
    nothing is, within the same limits, so that the answer holds for all of it: with the incumbent's
    integers kept at first, and without if that costs more than the gap.

    Parameters
    ----------
    model : pyo.ConcreteModel
        Linear (mixed-integer) for HiGHS; nonlinear needs a solver that takes it.
    solver : str
        ``"highs"``, ``"scip"``, ``"gurobi"``, ``"glpk"`` or a name registered with Pyomo.
    time_limit : float, optional
        Seconds. Reaching it gives FEASIBLE or NO_SOLUTION, never INFEASIBLE.
    node_limit : int, optional
        Branch-and-bound nodes of all the solves together: unlike seconds, the same on any machine.
    relative_gap : float
        Largest gap between incumbent and bound that counts as optimal.
    threads : int
        Threads for the solver.
    options : mapping, optional
        Passed on under the solver's own names, such as ``{"mip_heuristic_effort": 0.2}``.
    log : bool
        Print the solver's log.
    warm_start : bool
        Offer the variables' present values as a first incumbent (HiGHS only; others say in
        `.message` that they could not use it).
    confirm_infeasible : bool
        Ask again, without presolve, before an INFEASIBLE of presolve alone is believed: HiGHS 1.15
        can lose there what is feasible by little.

    Returns
    -------
    SolveResult
        Its objective is recomputed from the values that the model now holds. ERROR: the solver
        failed, or its figures disagreed however it was asked.

    Raises
    ------
    SolverUnavailableError
        The solver is not installed; the message names the extra.
    UnsupportedModelError
        The model has a part, or there is a limit, that the solver cannot take.
    InvalidInputError
        A limit or gap that is not a number the solver can use.
    """
    check_arguments(
        model=(model, MODEL),
        solver=(solver, TEXT),
        time_limit=(time_limit, SECONDS),
        node_limit=(node_limit, optional(WHOLE)),
        relative_gap=(relative_gap, GAP),
        threads=(threads, COUNT),
        options=(options, optional(BY_NAME)),
        log=(log, TRUTH),
        warm_start=(warm_start, TRUTH),
        confirm_infeasible=(confirm_infeasible, TRUTH),
    )
    objectives = list(model.component_data_objects(pyo.Objective, active=True))
    if len(objectives) > 1:
        raise UnsupportedModelError(
            f"model {model.name!r} has several active objectives; deactivate all but one"
        )
    handles = find_handles(model)
    runs = _Runs(
        request=SolveRequest(
            model=model,
            solver=solver,
            time_limit=time_limit,
            node_limit=node_limit,
            relative_gap=relative_gap,
            threads=threads,
            log=log,
            weak_relaxation=bool(handles) and all(h.weak_relaxation for _, h in handles),
            options=dict(options or {}),
        ),
        run_engine=_find_engine(solver),
        handles=handles,
        objective=objectives[0] if objectives else None,
    )
    result = runs.run(warm_start=warm_start)
    if confirm_infeasible and result.status is Status.INFEASIBLE and result.n_nodes == 0:
        again = None if runs.limit_reached() else runs.run(presolve=False, node_limit=_RETRY_NODES)
        if again is not None and again.has_solution:
            result = again
    if handles:
        result = _refine(runs, result)
    return replace(
        result,
        wall_time=time.perf_counter() - runs.started,
        n_solves=sum(r.n_solves for r in runs.results),
        n_nodes=None if result.n_nodes is None else runs.n_nodes,
    )


def _find_engine(solver: str) -> Callable[[SolveRequest], SolveResult]:
    """Return what runs an engine: its own file, or Pyomo for any other name."""
    if solver.isidentifier() and importlib.util.find_spec(f"{_ENGINES}.{solver}") is not None:
        run: Callable[[SolveRequest], SolveResult]
        run = importlib.import_module(f"{_ENGINES}.{solver}").run
        return run
    return run_with_pyomo


@dataclass(slots=True, kw_only=True)
class _Runs:
    """The engine's runs behind one call of `solve`, under its limits."""

    request: SolveRequest
    run_engine: Callable[[SolveRequest], SolveResult]
    handles: list[tuple[BlockData, ModelHandle]]
    objective: Any
    results: list[SolveResult] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def model(self) -> pyo.ConcreteModel:
        return self.request.model

    @property
    def n_nodes(self) -> int:
        return sum(result.n_nodes or 0 for result in self.results)

    @property
    def maximises(self) -> bool:
        return self.objective is not None and self.objective.sense == pyo.maximize

    def limit_reached(self) -> bool:
        limit = self.request.node_limit
        if limit is not None and self.n_nodes >= limit:
            return True
        limit_s = self.request.time_limit
        return limit_s is not None and time.perf_counter() - self.started >= limit_s

    def run(
        self,
        *,
        warm_start: bool = False,
        known_bound: float | None = None,
        presolve: bool = True,
        node_limit: int | None = None,
        seed: int = 0,
        within: Iterable[AbstractContextManager[None]] = (),
    ) -> SolveResult:
        """Run the engine on the model as it is now; what disagrees with itself is asked again.

        `within`: what this run is restricted by; with the dominance rows, sound or not.
        """
        left = self.request.node_limit
        if left is not None and self.results:  # for all solves together
            left = max(left - self.n_nodes, 0)
        if node_limit is not None:
            left = node_limit if left is None else min(left, node_limit)
        request = replace(
            self.request,
            warm_start=warm_start,
            known_bound=known_bound,
            presolve=presolve,
            node_limit=left,
            seed=seed,
        )
        with self._with_rows(within):
            for run_engine, asked in self._ways_to_ask(request):
                if self.request.time_limit is not None:
                    elapsed = time.perf_counter() - self.started
                    asked = replace(asked, time_limit=max(self.request.time_limit - elapsed, 1e-3))
                try:
                    result = self._recompute(run_engine(asked))
                except SolverUnavailableError:
                    if asked.solver == self.request.solver:
                        raise
                    continue
                self.results.append(result)
                if result.status is not Status.ERROR or not _disagrees(result):
                    return result
                if self.limit_reached():
                    break
        return self.results[-1]

    def _with_rows(self, within: Iterable[AbstractContextManager[None]]) -> ExitStack:
        stack = ExitStack()
        for block, handle in self.handles:
            if block is self.model and len(self.handles) == 1:
                stack.enter_context(handle.tightened())
        for context in within:
            stack.enter_context(context)
        return stack

    def _ways_to_ask(
        self, request: SolveRequest
    ) -> Iterator[tuple[Callable[[SolveRequest], SolveResult], SolveRequest]]:
        yield self.run_engine, request
        yield self.run_engine, replace(request, presolve=False)
        yield self.run_engine, replace(request, seed=1)
        for other in _OTHER_ENGINES:
            if other != request.solver:
                asked = replace(request, solver=other, options={}, node_limit=None)
                yield _find_engine(other), asked

    def _recompute(self, result: SolveResult) -> SolveResult:
        """Take the objective from the values; ERROR where they contradict what the solver says."""
        if not result.has_solution or result.objective is None or self.objective is None:
            return result
        value = float(pyo.value(self.objective))
        off = abs(value - result.objective)
        if off > _SAME_OBJECTIVE * max(1.0, abs(value)) or result.violation > _MOST_VIOLATION:
            return replace(
                result,
                status=Status.ERROR,
                objective=None,
                bound=None,
                gap=None,
                message=f"{_DISAGREES}: it says {result.objective:.9g}, its values are worth "
                f"{value:.9g} and break rows by {result.violation:.2g}",
            )
        return replace(
            result,
            objective=value,
            gap=relative_gap_between(value, result.bound),
            status=status_of(value, result.bound, relative_gap=self.request.relative_gap),
        )

    def add_violated(self) -> bool:
        """Have every block add what the present values break of its rules."""
        return any([handle.add_violated() for _, handle in self.handles])


_DISAGREES = "the solver disagrees with itself"


def _disagrees(result: SolveResult) -> bool:
    return result.message.startswith(_DISAGREES)


def _refine(runs: _Runs, result: SolveResult) -> SolveResult:
    """Add the constraints that the incumbent breaks, and solve again, until it breaks none.

    What was proven without them holds with them. So another incumbent as good is looked for before
    anything is added, and then the integers are kept at first: where other times and amounts are
    enough to obey them, nothing is left to prove.
    """
    model, gap = runs.model, runs.request.relative_gap
    maximise = runs.maximises
    integers = [v for v in _free_variables(model) if not v.is_continuous()]
    bound = result.bound
    result = _look_elsewhere(runs, result)
    best, values = None, []  # what breaks nothing, and its variables
    while result.has_solution and runs.add_violated():
        # Whatever happens now, this incumbent is none; the bound survives.
        result = replace(result, status=Status.NO_SOLUTION, objective=None, gap=None)
        found = None
        if not runs.limit_reached():
            found = _repair(runs, integers, known_bound=bound)
        if found is not None and _is_better(found, best, maximise=maximise):
            best, values = found, [(v, v.value) for v in _free_variables(model)]
        if runs.limit_reached():
            result = replace(result, message="limit while refining")
            break
        if best is not None:
            if status_of(best.objective, bound, relative_gap=gap) is Status.OPTIMAL:
                break
            _set_values(values)
        result = runs.run(warm_start=best is not None, known_bound=bound)
        proven = [b for b in (bound, result.bound) if b is not None]
        if proven:
            bound = min(proven) if maximise else max(proven)
    if best is not None and not _is_better(result, best, maximise=maximise):
        _set_values(values)
        result = replace(best, message=result.message)
    if result.status in (Status.ERROR, Status.INFEASIBLE, Status.UNBOUNDED):
        return result
    return replace(
        result,
        bound=bound,
        gap=relative_gap_between(result.objective, bound),
        status=status_of(result.objective, bound, relative_gap=gap),
    )


def _look_elsewhere(runs: _Runs, result: SolveResult) -> SolveResult:
    """Look for an incumbent as good that breaks nothing, under limits that forbid more than needed.

    They have no integers of their own and prove nothing, but the bound is known: what comes within
    the gap of it is optimal. With all integers as they are first, then near the incumbent. Where
    the first is as good and breaks a rule still, it replaces the incumbent; else anywhere, and once
    more from what is found there if that is as good.
    """
    if not result.has_solution or result.n_nodes is None:
        return result
    variables = _free_variables(runs.model)
    first = incumbent = [(v, v.value) for v in variables]
    for seed in range(_MOST_LOOKS):
        roomier = None
        for keep in _KEPT_IN_LOOKS:
            if keep == "nothing" and roomier is not None and seed == 0:
                _set_values(roomier)  # there is room: rules will be obeyed with these integers
                return result
            _set_values(incumbent)
            found = _look(runs, result.bound, keep=keep, seed=seed)
            if found is not None and not any(h.breaks_rules() for _, h in runs.handles):
                return found
            if found is not None and keep == "all":
                roomier = [(v, v.value) for v in variables]
        if found is None:
            break
        incumbent = [(v, v.value) for v in variables]
    _set_values(first)
    return result


def _look(runs: _Runs, bound: float | None, *, keep: Keep, seed: int) -> SolveResult | None:
    """Solve within a few nodes under such limits; None if nothing is as good as the bound."""
    limits = [limit for _, h in runs.handles if (limit := h.restricted(keep=keep)) is not None]
    if not limits or runs.limit_reached():
        return None
    found = runs.run(known_bound=bound, node_limit=_FEW_NODES, seed=seed, within=limits)
    proves = status_of(found.objective, bound, relative_gap=runs.request.relative_gap)
    return found if proves is Status.OPTIMAL else None


def _repair(
    runs: _Runs, integers: Sequence[Any], *, known_bound: float | None
) -> SolveResult | None:
    """Solve with some integers as they are, refined as well; None if that has no solution."""
    if not integers:
        return None
    for var in integers:
        if var.value is not None:  # no row speaks of it
            var.fix(round(var.value))
    try:
        while True:
            result = runs.run(known_bound=known_bound)
            if not result.has_solution:
                return None
            if not runs.add_violated():
                return result
            if runs.limit_reached():
                return None
    finally:
        for var in integers:
            var.unfix()


def _is_better(result: SolveResult, best: SolveResult | None, *, maximise: bool) -> bool:
    if result.objective is None or best is None or best.objective is None:
        return result.objective is not None
    more = result.objective - best.objective
    return more > 0 if maximise else more < 0


def _free_variables(model: pyo.ConcreteModel) -> list[Any]:
    return [v for v in model.component_data_objects(pyo.Var, active=True) if not v.fixed]


def _set_values(values: Iterable[tuple[Any, float | None]]) -> None:
    for var, value in values:
        var.set_value(value, skip_validation=True)
