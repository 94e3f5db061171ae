"""Regions as constraints of the user's own Pyomo model, and a certified search over them."""

from stnopt.embedding.branch_and_bound import solve_over_region
from stnopt.embedding.constraint import RegionBlock, add_region_constraint
from stnopt.embedding.reduction import ReductionReport, reduce_region

__all__ = [
    "ReductionReport",
    "RegionBlock",
    "add_region_constraint",
    "reduce_region",
    "solve_over_region",
]
