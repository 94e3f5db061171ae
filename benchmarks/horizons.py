"""Long horizons side by side: the library's search, and one grid as a MILP on each solver there is.

Value and bound after so many CPU seconds; every schedule is replayed. The grid is the library's own
(`stnopt.scheduling.search.long_horizon.grid`), on the width that its search begins with, and what a
solver finds on it is retimed: it gets what the search knows besides searching. HiGHS and others
take limits in seconds of the clock, so that they are given less than is said on a busy machine;
what they used is printed. Run alone with `python benchmarks/horizons.py [--seconds 10 30 60]`;
`--figure` draws value and time against the horizon.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import stnopt as so
from stnopt.files import files_together
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.improve import retime_repeatedly
from stnopt.scheduling.search.long_horizon.choose_grid import rank_widths
from stnopt.scheduling.search.long_horizon.construct import do_nothing
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes
from stnopt.solvers.linear_program import fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid
    from stnopt.solvers.linear_program import Program

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "long_horizons.svg"
INSTANCES = (
    ("ex2", 48.0),
    ("ex2", 168.0),
    ("ex1", 48.0),
    ("ex1", 168.0),
    ("fine_chemicals", 24.0),
    ("fine_chemicals", 48.0),
    ("fine_chemicals", 168.0),
    ("fine_chemicals_purge", 168.0),
    ("kondili1993", 168.0),
)
HORIZONS = (8.0, 16.0, 24.0, 48.0, 96.0, 168.0)
#: Amounts are whole multiples of the largest one over this for CP-SAT.
_CP_UNITS = 10_000


class Reached(NamedTuple):
    """What was reached within a limit."""

    value: float | None
    bound: float | None
    used: float


def search_with_library(
    network: so.Network, problem: Problem, seconds: Sequence[float]
) -> list[Reached]:
    """Search once for the longest time; read value and bound at each of the others."""
    started = time.process_time()
    seen: list[tuple[float, float, float | None]] = []

    def note(schedule: so.Schedule, value: float, bound: float | None) -> None:
        assert not so.find_violations(schedule, network)
        seen.append((time.process_time() - started, value, bound))

    _, last = search_long_horizon(
        network,
        problem,
        time_limit=max(seconds),
        on_improvement=note,
        clock=time.process_time,
    )
    used = time.process_time() - started
    reached = []
    for limit in seconds:
        until = [each for each in seen if each[0] <= limit]
        value = until[-1][1] if until else None
        bound = last if limit >= used or limit == max(seconds) else (until or [(0, 0, None)])[-1][2]
        reached.append(Reached(value, bound, min(used, limit)))
    return reached


def _processor_seconds() -> float:
    """Return what this process and those that it started have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def solve_grid_with(
    solve: Callable[[Program, Grid, float], tuple[NDArray[np.float64] | None, float | None]],
) -> Callable[[so.Network, Problem, Sequence[float]], list[Reached]]:
    """Solve the whole grid as one program, once per limit; retime what is found."""

    def search(network: so.Network, problem: Problem, seconds: Sequence[float]) -> list[Reached]:
        reached = []
        for limit in seconds:
            started = _processor_seconds()
            ranked = rank_widths(network, problem, most_modes=1, many_batches=int(40 * limit))
            width = ranked[0].width
            modes = choose_modes(network, width, most=1)
            grid = build_grid(network, problem, width=width, modes=modes)
            left = limit - (_processor_seconds() - started)
            x, _ = solve(grid.program, grid, max(left, 0.1))
            value = None
            if x is not None:
                schedule = retime_repeatedly(grid.place(x), network, problem)
                if schedule is not None:
                    assert not so.find_violations(schedule, network)
                    value = so.schedule_value(schedule, network, problem.objective)
            # The bound of a grid holds on that grid only, and is not shown.
            reached.append(Reached(value, None, _processor_seconds() - started))
        return reached

    return search


def solve_with_highs(
    program: Program, grid: Grid, seconds: float
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Solve on HiGHS, from the solution without batches."""
    answer = solve_program(program, time_limit=seconds, start=do_nothing(grid))
    return answer.x, answer.bound


def solve_with_scip(
    program: Program, grid: Grid, seconds: float
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Solve on SCIP through PySCIPOpt."""
    del grid
    scip = importlib.import_module("pyscipopt")
    model = scip.Model()
    model.hideOutput()
    model.setParam("limits/time", seconds)
    model.setParam("limits/gap", 1e-4)
    columns = [
        model.addVar(
            lb=low, ub=high if math.isfinite(high) else None, vtype="B" if whole else "C", obj=cost
        )
        for low, high, whole, cost in zip(
            program.lower, program.upper, program.integer, program.cost, strict=True
        )
    ]
    model.setMaximize()
    for row, low, high in _rows(program):
        total = scip.quicksum(factor * columns[column] for column, factor in row)
        if low == high:
            model.addCons(total == low)
        else:
            if math.isfinite(low):
                model.addCons(total >= low)
            if math.isfinite(high):
                model.addCons(total <= high)
    model.optimize()
    if not model.getNSols():
        return None, None
    return np.array([model.getVal(column) for column in columns]), model.getDualbound()


def solve_with_gurobi(
    program: Program, grid: Grid, seconds: float
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Solve on Gurobi, where its licence allows the size."""
    del grid
    gurobi = importlib.import_module("gurobipy")
    with gurobi.Env(params={"OutputFlag": 0}) as env, gurobi.Model(env=env) as model:
        model.Params.TimeLimit, model.Params.Threads = seconds, 1
        x = model.addMVar(
            len(program.cost),
            lb=program.lower,
            ub=program.upper,
            obj=program.cost,
            vtype=np.where(program.integer, "B", "C"),
        )
        model.ModelSense = gurobi.GRB.MAXIMIZE
        matrix = program.matrix.tocsr()
        for side, sense in ((program.row_lower, ">"), (program.row_upper, "<")):
            some = np.isfinite(side)
            model.addMConstr(matrix[some], x, sense, side[some])
        model.optimize()
        return (x.X, model.ObjBound) if model.SolCount else (None, None)


def solve_with_cp_sat(
    program: Program, grid: Grid, seconds: float
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Solve on OR-tools' CP-SAT, with amounts in whole small units; building its model counts.

    Amounts are chosen again by a linear program, exactly, for the batches that it chose.
    """
    matrix = program.matrix.tocsr()
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/program.npz"
        np.savez(
            file,
            cost=program.cost,
            lower=program.lower,
            upper=program.upper,
            integer=program.integer,
            row_lower=program.row_lower,
            row_upper=program.row_upper,
            data=matrix.data,
            indices=matrix.indices,
            indptr=matrix.indptr,
            shape=matrix.shape,
        )
        script = Path(__file__).with_name("cp_sat.py")
        unit = grid.largest / _CP_UNITS
        subprocess.run(
            [sys.executable, str(script), file, str(seconds), str(unit)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        with np.load(file) as answer:
            x = answer["x"]
    return (fix_integers(program, x) if len(x) else None), None


def _rows(program: Program) -> Any:
    matrix = program.matrix.tocsr()
    for number, (low, high) in enumerate(zip(program.row_lower, program.row_upper, strict=True)):
        span = slice(matrix.indptr[number], matrix.indptr[number + 1])
        yield list(zip(matrix.indices[span], matrix.data[span], strict=True)), low, high


SEARCHES = {
    "this library": search_with_library,
    "grid, HiGHS": solve_grid_with(solve_with_highs),
    "grid, CP-SAT": solve_grid_with(solve_with_cp_sat),
    "grid, SCIP": solve_grid_with(solve_with_scip),
    "grid, Gurobi": solve_grid_with(solve_with_gurobi),
}
_NEEDS = {"grid, CP-SAT": "ortools", "grid, SCIP": "pyscipopt", "grid, Gurobi": "gurobipy"}


def main(
    seconds: Sequence[float] = (10.0, 30.0, 60.0),
    instances: Sequence[tuple[str, float]] = INSTANCES,
) -> str:
    """Compare on each instance; return a table."""
    heads = " | ".join(f"{limit:g} s" for limit in seconds)
    lines = [
        f"| plant | horizon | search | {heads} | bound | CPU s |",
        "|" + "---|" * (5 + len(seconds)),
    ]
    for name, horizon in instances:
        network = so.load_example(name)
        for search, run in SEARCHES.items():
            try:
                if search in _NEEDS:
                    importlib.import_module(_NEEDS[search])
                reached = run(network, Problem(horizon=horizon), seconds)
            except ImportError:
                cells = ["not shown"] * len(seconds) + ["", "not installed"]
            except Exception as error:
                # A licence that refuses the size, or a solver that gives up, is no result.
                cells = ["not shown"] * len(seconds) + ["", type(error).__name__]
            else:
                cells = ["none" if r.value is None else f"{r.value:,.0f}" for r in reached]
                bound = reached[-1].bound
                cells += ["" if bound is None else f"{bound:,.0f}", f"{reached[-1].used:.0f}"]
            lines.append(f"| {name} | {horizon:g} | {search} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return (
        "## Long horizons\n\nProfit after so many CPU seconds, each schedule replayed; the bound "
        "is for any schedule. The others solve one grid of the whole horizon, retimed as ours; "
        "CP-SAT's amounts are chosen again by a linear program.\n\n" + "\n".join(lines)
    )


def draw(seconds: float = 30.0, names: Sequence[str] = ("ex2", "fine_chemicals")) -> None:
    """Draw value and the time until it was found against the horizon."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, marker in zip(names, "os", strict=True):
        network = so.load_example(name)
        values, bounds, times = [], [], []
        for horizon in HORIZONS:
            found_after = [math.nan]
            started = time.process_time()

            def note(*_: object, mark: list[float] = found_after, since: float = started) -> None:
                mark[0] = time.process_time() - since

            schedule, bound = search_long_horizon(
                network,
                Problem(horizon=horizon),
                time_limit=seconds,
                on_improvement=note,
                clock=time.process_time,
            )
            value = math.nan
            if schedule is not None:
                value = so.schedule_value(schedule, network, "profit")
            values.append(value / horizon)
            bounds.append((math.nan if bound is None else bound) / horizon)
            times.append(found_after[0])
            print(name, horizon, value, bound, times[-1], flush=True)
        (line,) = axes[0].plot(HORIZONS, values, marker=marker, label=name)
        axes[0].plot(HORIZONS, bounds, linestyle=":", color=line.get_color())
        axes[1].plot(HORIZONS, times, marker=marker, label=name)
    axes[0].set(xlabel="horizon in h", ylabel="profit per hour (dotted: bound)", ylim=(0, None))
    axes[1].set(xlabel="horizon in h", ylabel=f"CPU s to the best of {seconds:g} s", ylim=(0, None))
    axes[0].legend()
    with files_together() as outputs:
        outputs.write_by(FIGURE, figure.savefig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 30.0, 60.0])
    parser.add_argument("--figure", action="store_true")
    given = parser.parse_args()
    if given.figure:
        draw(max(given.seconds))
    else:
        print(main(given.seconds))
