"""Random regions, and small models with integers around them."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from stnopt.feasibility.region import KernelRegion

NAMES = ("A", "B", "C", "D")


def random_region(seed, *, n, kernel="rbf", gamma=3.0, n_vectors=20, share=0.35):
    """A nonconvex region that takes about `share` of the box [0, 100]^n."""
    rng = np.random.default_rng(seed)
    parts = {
        "inputs": NAMES[:n],
        "kernel": kernel,
        "support_vectors": rng.uniform(-1, 1, (n_vectors, n)),
        "dual_coefs": rng.choice([-1, 1], n_vectors) * rng.uniform(0.2, 3, n_vectors),
        "gamma": gamma,
        "coef0": 0.0 if kernel == "rbf" else 0.5,
        "center": np.full(n, 50.0),
        "scale": np.full(n, 50.0),
        "lower": np.zeros(n),
        "upper": np.full(n, 100.0),
    }
    raw = KernelRegion(offset=0.0, **parts).decision(rng.uniform(0, 100, (2000, n)))
    return KernelRegion(offset=-float(np.quantile(raw, share)), **parts)


def knapsack(seed, *, n, sense, upper=100.0):
    """Amounts x from processes with fixed costs; prices or a demand pull, so that x matters."""
    rng = np.random.default_rng(seed)
    n_processes = 6
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(0, upper))
    m.runs = pyo.Var(range(n_processes), domain=pyo.Binary)
    m.made = pyo.Var(range(n_processes), bounds=(0, None))
    capacity = rng.uniform(20, 60, n_processes)
    share = rng.dirichlet(np.ones(n), n_processes)
    m.capacity = pyo.Constraint(
        range(n_processes), rule=lambda m, i: m.made[i] <= capacity[i] * m.runs[i]
    )
    m.amount = pyo.Constraint(
        range(n),
        rule=lambda m, j: m.x[j] <= sum(share[i, j] * m.made[i] for i in range(n_processes)),
    )
    fixed, unit = rng.uniform(20, 90, n_processes), rng.uniform(0.5, 3, n_processes)
    cost = sum(fixed[i] * m.runs[i] + unit[i] * m.made[i] for i in range(n_processes))
    price = rng.uniform(4, 12, n)
    value = sum(price[j] * m.x[j] for j in range(n))
    if sense == "max":
        m.objective = pyo.Objective(expr=value - cost, sense=pyo.maximize)
    else:
        m.demand = pyo.Constraint(expr=sum(m.x[j] for j in range(n)) >= 25 * n)
        m.objective = pyo.Objective(expr=cost + 0.1 * value)
    return m


def variables_of(m, region, x=None):
    return dict(zip(region.inputs, (m.x if x is None else x).values(), strict=True))
