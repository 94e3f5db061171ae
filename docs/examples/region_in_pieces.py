"""
The same region in convex pieces
================================

`form="inner"` writes a region as a disjunction of polytopes inside it: a MILP for any solver, and
what it plans lies in the region.
"""

# %%
import numpy as np
import pandas as pd
import pyomo.environ as pyo

import stnopt as so

points = np.random.default_rng(0).uniform(0, 10, (150, 2))
inside = (points[:, 0] / 8) ** 2 + (points[:, 1] / 6) ** 2 < 1
samples = so.TargetSamples(
    targets=pd.DataFrame(points, columns=["A", "B"]), labels=np.where(inside, -1, 1)
)
region = so.fit_region(samples, kernel="rbf", C=100).region
ax = so.plot_region(region)
for form, mark in (("inner", "ko"), ("outer", "k^")):
    model = pyo.ConcreteModel()
    model.A, model.B = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
    model.profit = pyo.Objective(expr=2 * model.A + 3 * model.B, sense=pyo.maximize)
    model.inside = pyo.Block()
    variables = {"A": model.A, "B": model.B}
    so.add_region_constraint(model.inside, region, variables, form=form)
    print(form, so.solve(model).objective)
    ax.plot(pyo.value(model.A), pyo.value(model.B), mark, markersize=6, label=f"best, {form}")
_ = ax.legend(loc="upper right", fontsize=7, frameon=False)
