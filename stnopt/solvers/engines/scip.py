"""SCIP through Pyomo (extra `minlp`): also for nonlinear models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.solvers.pyomo_engines import PyomoInterface, run_with_pyomo

if TYPE_CHECKING:
    from stnopt.solvers.request import SolveRequest
    from stnopt.solvers.result import SolveResult

_SCIP = PyomoInterface(
    name="scip_direct",
    extra="minlp",
    node_limit="limits/nodes",
    seed="randomization/randomseedshift",
    no_presolve={"presolving/maxrounds": 0},
    # SCIP keeps Python from emptying the pipe that its log goes to: a long one would stop both.
    quiet={"display/verblevel": 0},
)


def run(request: SolveRequest) -> SolveResult:
    """Solve with SCIP."""
    return run_with_pyomo(request, _SCIP)
