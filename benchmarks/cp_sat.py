"""A program on OR-tools' CP-SAT, in a process of its own: its library clashes with HiGHS.

Run by `benchmarks/horizons.py` as `python benchmarks/cp_sat.py FILE SECONDS UNIT`; FILE is an .npz
of the program, to which the answer is written.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from ortools.sat.python import cp_model
from scipy.sparse import csr_array

#: No amount is larger than so many units.
_MOST = 10_000_000
#: Factors that are not whole are whole multiples of one over this.
_PER_UNIT = 1_000


def main(file: str, seconds: float, unit: float) -> None:
    """Solve with amounts in whole units; write `x`, of no length where nothing was found.

    Its amounts fit by a unit only: they must be chosen again.
    """
    with np.load(file) as program:
        parts = dict(program)
    matrix = csr_array(
        (parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"])
    )
    scale = np.where(parts["integer"], 1.0, unit)
    model = cp_model.CpModel()
    columns = [
        model.new_int_var(
            math.ceil(low / by - 1e-6),
            min(_MOST, math.floor(high / by + 1e-6)) if math.isfinite(high) else _MOST,
            "",
        )
        for low, high, by in zip(parts["lower"], parts["upper"], scale, strict=True)
    ]
    rows = zip(parts["row_lower"], parts["row_upper"], strict=True)
    for number, (low, high) in enumerate(rows):
        span = slice(matrix.indptr[number], matrix.indptr[number + 1])
        taken = matrix.indices[span]
        exact = matrix.data[span] * scale[taken] / unit
        by = 1 if np.allclose(exact, np.round(exact), atol=1e-9) else _PER_UNIT
        factors = np.round(by * exact).astype(int).tolist()
        total = sum(f * columns[c] for c, f in zip(taken.tolist(), factors, strict=True))
        # What is lost by whole amounts and factors, within a row.
        spare = 0 if by == 1 else by
        if math.isfinite(low):
            model.add(total >= math.floor(low * by / unit + 1e-6) - spare)
        if math.isfinite(high):
            model.add(total <= math.ceil(high * by / unit - 1e-6) + spare)
    worth = parts["cost"] * scale
    largest = np.max(np.abs(worth), initial=1e-9)
    model.maximize(
        sum(round(1e6 * w / largest) * c for w, c in zip(worth, columns, strict=True) if w)
    )
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 1
    found = solver.solve(model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    x = np.array([solver.value(c) for c in columns]) * scale if found else np.array([])
    np.savez(file, x=x)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
