"""Grids of plants, and how far a point is from being a solution of one."""

from __future__ import annotations

import numpy as np

from stnopt.scheduling.search.long_horizon.grid import build_grid, choose_modes


def grid_of(network, problem, width=1.0):
    return build_grid(network, problem, width=width, modes=choose_modes(network, width, most=2))


def most_broken(program, x):
    """How far a point is outside of rows, columns and whole numbers, at most."""
    rows = program.matrix @ x
    return max(
        np.max(program.row_lower - rows, initial=0),
        np.max(rows - program.row_upper, initial=0),
        np.max(program.lower - x, initial=0),
        np.max(x - program.upper, initial=0),
        np.max(np.abs(x - np.round(x))[program.integer], initial=0),
    )
