"""The engines: a file each, found by its name, with one function `run(request) -> SolveResult`.

A file may refuse what its engine lacks; `solve` has recomputed nothing yet when `run` returns.
Names without a file here are passed on to Pyomo (`stnopt.solvers.pyomo_engines`).
"""
