"""The mistakes of the old study, in one place, so that its data set can be repeated.

The public data set that this project grew from was generated with To = 300 K, Cto = 0.2 mol/dm3
and m = 10 mol/min in the equations of every row, integrated loosely, and its T_max was read on a
grid of 21 positions (docs/reactor/data.md). Nothing else here knows of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reactor_yield.simulation.kinetics import Kinetics

Array = NDArray[np.float64]

FROZEN_INLET_TEMPERATURE = 300.0  # K
FROZEN_INLET_CONCENTRATION = 0.2  # mol/dm3
FROZEN_COOLANT_FLOW = 10.0  # mol/min
GRID_POINTS = 21
"""T_max was read on this many equidistant positions, both ends included."""
OLD_TOLERANCES = (1e-3, 1e-6)
"""Relative and absolute integration tolerance."""


def frozen_parameters(n_rows: int, kinetics: Kinetics) -> Array:
    """C_T0 T_0 and the coolant's heat capacity flow that every row got, (2, n_rows)."""
    scale = np.full(n_rows, FROZEN_INLET_CONCENTRATION * FROZEN_INLET_TEMPERATURE)
    coolant = np.full(n_rows, FROZEN_COOLANT_FLOW * kinetics.coolant_heat_capacity)
    return np.vstack([scale, coolant])


def grid_positions(kinetics: Kinetics) -> Array:
    """Positions at which T_max was read, dm3, (21,)."""
    return np.linspace(0.0, kinetics.volume, GRID_POINTS)
