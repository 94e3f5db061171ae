"""
A reactor's safe operating region inside an optimization model
===============================================================

No scheduling here. A cooled tubular reactor runs away where its feed is too rich or enters too hot.
We simulate it at some conditions, let a support vector classifier learn where the hot spot stays
below 750 K, and put the classifier, as a constraint, into a model that chooses the conditions of
two reactors at once. HiGHS proves the optimum; the simulator checks it.
"""

# %%
# Conditions, and whether the hot spot stays below the limit.
from dataclasses import replace

import numpy as np
import pandas as pd
import pyomo.environ as pyo
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

import stnopt as so
from reactor_yield import simulate_reactor

LIMIT = 750.0  # K
MODE_1 = {"Mode": 1, "Fbo": 7.5, "P": 6.0, "Cto": 0.2, "m": 10.0, "Ta": 325.0}
BOX = {"Fao": (2.5, 6.5), "To": (290.0, 420.0)}


def hot_spot(points: np.ndarray) -> np.ndarray:
    """Peak temperature along the reactor, K, at feeds (mol/min) and inlet temperatures (K)."""
    conditions = pd.DataFrame(points, columns=list(BOX)).assign(**MODE_1)
    return simulate_reactor(conditions)["T_max"].to_numpy()


points = so.sample_targets(BOX, 256, seed=0)[list(BOX)].to_numpy()
labels = np.where(hot_spot(points) <= LIMIT, "safe", "runaway")

# %%
# The classifier, scaler included, becomes a region: ``feasible_class`` says which side is inside.
# The box that was sampled is its training box: beyond it a model would be warned.
machine = make_pipeline(MinMaxScaler(), SVC(C=100.0, gamma=2.0)).fit(points, labels)
region = so.region_from_sklearn(machine, tuple(BOX), feasible_class="safe")
lower, upper = np.array(list(BOX.values())).T
region = replace(region, lower=lower, upper=upper)
print(f"{(labels == 'safe').sum()} of 256 safe, {len(region.dual_coefs)} support vectors")

ax = so.plot_region(region)
ax.scatter(*points[labels == "runaway"].T, s=8, marker="x", color="tab:red", label="runaway")
ax.set(xlabel="feed (mol/min)", ylabel="inlet temperature (K)")
_ = ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)


# %%
# Two reactors share 9 mol/min of feed and a preheater; a hotter inlet converts more, and costs.
def build_model() -> tuple[pyo.ConcreteModel, list[dict[str, pyo.Var]]]:
    """Return the model, and what stands for the region's inputs in each reactor."""
    m = pyo.ConcreteModel()
    m.REACTORS = pyo.Set(initialize=["east", "west"])
    m.feed = pyo.Var(m.REACTORS, bounds=BOX["Fao"])
    m.inlet = pyo.Var(m.REACTORS, bounds=BOX["To"])
    m.preheated = pyo.Var(m.REACTORS, domain=pyo.Binary)
    m.shared_feed = pyo.Constraint(expr=sum(m.feed.values()) <= 9.0)
    m.cold_inlet = pyo.Constraint(
        m.REACTORS, rule=lambda m, r: m.inlet[r] <= 320 + 100 * m.preheated[r]
    )
    m.value = pyo.Objective(
        expr=sum(10 * m.feed[r] + 0.2 * m.inlet[r] - 6 * m.preheated[r] for r in m.REACTORS),
        sense=pyo.maximize,
    )
    return m, [{"Fao": m.feed[r], "To": m.inlet[r]} for r in m.REACTORS]


# %%
# The certified optimum. The margin keeps away from the learned border.
m, inputs = build_model()
result = so.solve_over_region(m, *[(region, each) for each in inputs], margin=0.5)
print(f"certified: {result.objective:.3f}, bound {result.bound:.3f}, gap {result.gap:.1e}")
chosen = np.array([[m.feed[r].value, m.inlet[r].value] for r in m.REACTORS])
peaks = hot_spot(chosen)
for r, point, peak in zip(m.REACTORS, chosen, peaks, strict=True):
    print(f"{r}: feed {point[0]:.2f} mol/min at {point[1]:.1f} K, simulated hot spot {peak:.0f} K")

# %%
# The same as an MILP of one's own: the inner form can only lose value, the outer form only gain.
for form in ("inner", "outer"):
    m, inputs = build_model()
    blocks = [so.add_region_constraint(m, region, each, margin=0.5, form=form) for each in inputs]
    solved = so.solve(m)
    beyond = max(block.violation() for block in blocks)
    print(f"{form}: {solved.objective:.3f}, beyond the classifier by {beyond:.3g}")
