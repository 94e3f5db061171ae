"""
One grade among three, exactly where the classifier predicts it
===============================================================

A polymer's grade depends on two settings of its line. A classifier of three grades is fitted on
tests of the product, and a model looks for the cheapest settings that are predicted to give one of
them. A support vector classifier decides one-vs-one: every pair of grades gives a vote. The region
of a grade is where ``predict`` gives it, circular votes included.
"""

# %%
# Tests of the product; the grade follows two curves, with some errors of the laboratory.
import numpy as np
import pyomo.environ as pyo
from sklearn.svm import SVC

import stnopt as so

GRADES = ("film", "fibre", "pipe")
rng = np.random.default_rng(4)
points = rng.uniform(0, 100, (120, 2))  # share of comonomer in thousandths, throughput in kg/h
height = points[:, 1] - 30 * np.sin(points[:, 0] / 18)
labels = np.where(height < 25, "film", np.where(height < 65, "fibre", "pipe"))
wrong = rng.random(120) < 0.1
labels[wrong] = rng.choice(GRADES, wrong.sum())
machine = SVC(gamma=0.004, C=3.0).fit(points, labels)

# %%
# The region of one grade: one alternative per way of winning the vote.
region = so.class_region_from_sklearn(machine, ("comonomer", "rate"), feasible_class="fibre")
print(f"{len(region.alternatives)} alternatives of {len(region.regions)} regions")

ax = so.plot_region(region, bounds={"comonomer": (0, 100), "rate": (0, 100)})
for grade, mark in zip(GRADES, ("^", "o", "x"), strict=True):
    ax.scatter(*points[labels == grade].T, s=14, marker=mark, linewidth=0.8, label=grade)
ax.set(xlabel="comonomer (1/1000)", ylabel="throughput (kg/h)")
_ = ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False)


# %%
# The line has three dies of fixed throughput; comonomer costs, throughput earns.
def build_model() -> tuple[pyo.ConcreteModel, dict[str, pyo.Var]]:
    """Return the model, and what stands for the region's inputs."""
    m = pyo.ConcreteModel()
    m.comonomer, m.rate = pyo.Var(bounds=(0, 100)), pyo.Var(bounds=(0, 100))
    m.die = pyo.Var([28.0, 55.0, 82.0], domain=pyo.Binary)
    m.one_die = pyo.Constraint(expr=sum(m.die.values()) == 1)
    m.throughput = pyo.Constraint(expr=m.rate == sum(size * m.die[size] for size in m.die))
    m.value = pyo.Objective(expr=2 * m.rate - 1.5 * m.comonomer, sense=pyo.maximize)
    return m, {"comonomer": m.comonomer, "rate": m.rate}


m, inputs = build_model()
result = so.solve_over_region(m, region, inputs, margin=0.05)
settings = np.array([[m.comonomer.value, m.rate.value]])
print(f"certified: {result.objective:.3f}, bound {result.bound:.3f}, gap {result.gap:.1e}")
print(f"settings {settings.round(2).tolist()[0]}, predicted: {machine.predict(settings)[0]}")

# %%
# Where the grade wins all its pairs, without the circles, is at most as large.
m, inputs = build_model()
pairs = so.one_vs_one_from_sklearn(machine, ("comonomer", "rate"), feasible_class="fibre")
plain = so.solve_over_region(m, *[(pair, inputs) for pair in pairs], margin=0.05)
print(f"winning every pair: {plain.objective:.3f}")
