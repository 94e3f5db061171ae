"""`stnopt doctor`: versions, and which solvers are there and work."""

from __future__ import annotations

import math
from importlib import metadata
from platform import platform, python_version
from typing import TYPE_CHECKING

from stnopt.cli.answer import state
from stnopt.cli.exit_codes import BAD_INPUT, OK
from stnopt.errors import SolverUnavailableError

if TYPE_CHECKING:
    import argparse

_PACKAGES = ("stnopt", "pyomo", "highspy", "numpy", "scipy", "pandas", "scikit-learn", "matplotlib")
_SOLVERS = ("highs", "scip", "gurobi")
#: Best of the example `motivating` on 4 event points in 12 h (doi:10.1021/ie970927g), to 1e-4.
_KNOWN_BEST = 71.518222


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("doctor", help="versions, and which solvers are there and work")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print versions, and solve a small plant of known optimum with every solver."""
    print(f"Python {python_version()} on {platform()}")
    for package in _PACKAGES:
        print(f"{package} {metadata.version(package)}")
    state(options, versions={package: metadata.version(package) for package in _PACKAGES})
    works = {solver: _try_solver(solver) for solver in _SOLVERS}
    state(options, solvers=works)
    return OK if works["highs"] else BAD_INPUT


def _try_solver(solver: str) -> bool:
    from stnopt.plant.read import load_example
    from stnopt.scheduling.model import build_scheduling_model, set_objective
    from stnopt.solvers.solve import Status, solve

    model = build_scheduling_model(load_example("motivating"), horizon=12, n_events=4)
    set_objective(model, "profit")
    try:
        result = solve(model, solver=solver, time_limit=60)
    except SolverUnavailableError as error:
        print(f"{solver}: {error}")
        return False
    if result.status is not Status.OPTIMAL or result.objective is None:
        print(f"{solver}: does not work: {result.status.value}, {result.message}")
        return False
    right = math.isclose(result.objective, _KNOWN_BEST, rel_tol=2e-4)
    print(
        f"{solver}: {'works' if right else 'gives a WRONG ANSWER'}, {result.objective:.3f} in "
        f"{result.wall_time:.2f} s (known: {_KNOWN_BEST:.3f})"
    )
    return right
