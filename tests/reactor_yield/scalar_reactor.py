"""The reference reactor written down a second time, one scalar equation per line, for SciPy.

It shares no code with the package: it is what the batched simulation is compared with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

if TYPE_CHECKING:
    import pandas as pd

BASE_CASE = {"Fao": 5.0, "Fbo": 10.0, "P": 4.92, "To": 300.0, "m": 10.0, "Ta": 325.0}


def slopes(_volume, state, inlet_temperature, inlet_concentration, coolant_flow):
    """Right-hand side in the notation of docs/reactor/model.md."""
    fa, fb, fc, fd, t, ta = state
    total = fa + fb + fc + fd
    ca = inlet_concentration * fa / total * inlet_temperature / t
    cb = inlet_concentration * fb / total * inlet_temperature / t
    cc = inlet_concentration * fc / total * inlet_temperature / t
    k1a = 40 * math.exp(8000 / 1.987 * (1 / 300 - 1 / t))
    k2c = 40 * math.exp(14000 / 1.987 * (1 / 300 - 1 / t))
    r1a = -k1a * ca * cb**2
    r1b = 2 * r1a
    r1c = -r1a
    r2c = -k2c * ca**2 * cc**3
    r2a = 2 / 3 * r2c
    r2d = -r2c
    heat = r1b * -10_000 + r2a * -8_000 - 80 * (t - ta)
    capacity = 10 * fa + 12 * fb + 14 * fc + 16 * fd
    return [
        r1a + r2a,
        r1b,
        r1c + r2c,
        r2d,
        heat / capacity,
        80 * (t - ta) / (coolant_flow * 18.02),
    ]


def simulate_row(row: pd.Series, *, frozen: bool, method: str = "LSODA", rtol: float = 1e-10):
    """Outlet state (6,) and the hot spot: the true peak, or frozen on the 21-point grid."""
    if frozen:
        constants = (300.0, 0.2, 10.0)
    else:
        constants = (row["To"], row["P"] / (0.082 * row["To"]), row["m"])

    def hot_spot(volume, state, *constants):
        return slopes(volume, state, *constants)[4]

    solution = solve_ivp(
        slopes,
        (0, 20),
        [row["Fao"], row["Fbo"], 0, 0, row["To"], row["Ta"]],
        method=method,
        rtol=rtol,
        atol=rtol * 1e-2,
        args=constants,
        events=hot_spot,
        dense_output=True,
    )
    if frozen:
        peak = solution.sol(np.linspace(0, 20, 21))[4].max()
    else:
        turning = [state[4] for state in solution.y_events[0]]
        peak = max([row["To"], solution.y[4, -1], *turning])
    return solution.y[:, -1], float(peak)
