"""Gurobi through Pyomo: linear and nonlinear models, within what its licence allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.solvers.pyomo_engines import PyomoInterface, run_with_pyomo

if TYPE_CHECKING:
    from stnopt.solvers.request import SolveRequest
    from stnopt.solvers.result import SolveResult

_GUROBI = PyomoInterface(
    name="gurobi_direct_minlp",
    extra="gurobi",
    node_limit="NodeLimit",
    seed="Seed",
    no_presolve={"Presolve": 0},
)


def run(request: SolveRequest) -> SolveResult:
    """Solve with Gurobi."""
    return run_with_pyomo(request, _GUROBI)
