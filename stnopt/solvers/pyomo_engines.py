"""Engines that Pyomo drives: its interfaces' settings and statuses in our words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyomo.common.errors import ApplicationError, InfeasibleConstraintException
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import Results, TerminationCondition

from stnopt.errors import SolverUnavailableError
from stnopt.solvers.result import SolveResult, Status, relative_gap_between, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stnopt.solvers.request import SolveRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PyomoInterface:
    """A solver as Pyomo names it.

    Attributes
    ----------
    name : str
        In Pyomo's solver factory.
    extra : str or None
        The extra of this package that installs it.
    node_limit, seed : str or None
        The solver's own options for them; None: it has none.
    no_presolve, quiet : mapping
        The solver's own options that switch presolve and the log off.
    """

    name: str
    extra: str | None = None
    node_limit: str | None = None
    seed: str | None = None
    no_presolve: Mapping[str, Any] = field(default_factory=dict)
    quiet: Mapping[str, Any] = field(default_factory=dict)


def run_with_pyomo(request: SolveRequest, interface: PyomoInterface | None = None) -> SolveResult:
    """Solve through one of Pyomo's interfaces: the one described, or any that Pyomo knows."""
    solver = request.solver
    interface = interface or PyomoInterface(name=solver)
    if interface.name not in SolverFactory:
        raise SolverUnavailableError(
            f"no solver named {solver!r}; known: highs, scip, gurobi, glpk, "
            + ", ".join(SolverFactory)
        )
    engine = SolverFactory(interface.name)
    if not engine.available():
        install = (
            f"install it with: pip install 'stnopt[{interface.extra}]'"
            if interface.extra
            else "it is not one that stnopt can install; see its own instructions"
        )
        raise SolverUnavailableError(
            f"solver {solver!r} is not available: {install}, or use the default, solver='highs'"
        )
    settings = _settings(request, interface, engine)
    try:
        outcome: Results = engine.solve(request.model, **settings)
    except InfeasibleConstraintException as error:
        return SolveResult(status=Status.INFEASIBLE, message=str(error))
    except ApplicationError as error:
        return SolveResult(status=Status.ERROR, message=f"{solver}: {error}")
    except Exception as error:
        if not type(error).__module__.startswith("gurobipy"):
            raise
        # A licence that refuses the model; only its package knows the class.
        return SolveResult(status=Status.ERROR, message=f"{solver}: {error}")
    condition = outcome.termination_condition
    message = f"{solver}: {condition.name}"
    if request.warm_start:
        message += "; the start that was offered could not be used"
    if condition == TerminationCondition.provenInfeasible:
        return SolveResult(status=Status.INFEASIBLE, message=message)
    if condition == TerminationCondition.unbounded:
        return SolveResult(status=Status.UNBOUNDED, message=message)
    if condition in (TerminationCondition.error, TerminationCondition.licensingProblems):
        return SolveResult(status=Status.ERROR, message=message)
    objective = outcome.incumbent_objective
    bound = outcome.objective_bound
    if bound is not None and not math.isfinite(bound):
        bound = None
    if objective is not None and math.isfinite(objective):
        outcome.solution_loader.load_vars()
    else:
        objective = None
    return SolveResult(
        status=status_of(objective, bound, relative_gap=request.relative_gap),
        objective=objective,
        bound=bound,
        gap=relative_gap_between(objective, bound),
        message=message,
    )


def _settings(request: SolveRequest, interface: PyomoInterface, engine: Any) -> dict[str, Any]:
    """Write a request as the keyword arguments of a Pyomo interface."""
    options: dict[str, Any] = {} if request.log else dict(interface.quiet)
    if request.node_limit is not None:
        if interface.node_limit is None:
            raise request.refuse("limit in nodes")
        options[interface.node_limit] = request.node_limit
    if not request.presolve:
        options |= interface.no_presolve
    if request.seed and interface.seed is not None:
        options[interface.seed] = request.seed
    settings: dict[str, Any] = {
        "load_solutions": False,
        "raise_exception_on_nonoptimal_result": False,
        "tee": request.log,
        "solver_options": {**options, **request.options},
    }
    for key, setting in (
        ("time_limit", request.time_limit),
        ("rel_gap", request.relative_gap),
        ("threads", request.threads),
    ):
        if setting is not None and key in engine.CONFIG:
            settings[key] = setting
    return settings
