"""Solving models: one function, one file per engine, and the only room that names a solver."""

from stnopt.solvers.bound_tightening import bound_variables as bound_variables
from stnopt.solvers.result import SolveResult as SolveResult
from stnopt.solvers.result import Status as Status
from stnopt.solvers.result import relative_gap_between as relative_gap_between
from stnopt.solvers.result import status_of as status_of
from stnopt.solvers.solve import solve as solve
