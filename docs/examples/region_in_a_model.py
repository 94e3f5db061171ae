"""
A region as a constraint of one's own model
===========================================

A kernel region of two inputs stands in a model that knows nothing of plants. The optimum over it is
proven by HiGHS alone.
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

model = pyo.ConcreteModel()
model.A, model.B = pyo.Var(bounds=(0, 10)), pyo.Var(bounds=(0, 10))
model.profit = pyo.Objective(expr=2 * model.A + 3 * model.B, sense=pyo.maximize)
result = so.solve_over_region(model, region, {"A": model.A, "B": model.B})
print(result.status.value, result.objective, result.bound)

ax = so.plot_region(region)
ax.plot(pyo.value(model.A), pyo.value(model.B), "k*", markersize=12, label="proven optimum")
_ = ax.legend(loc="upper right", fontsize=7, frameon=False)
