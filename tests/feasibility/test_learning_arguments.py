"""Every argument of what learns, reads and embeds regions, against values that do not fit."""

from __future__ import annotations

import inspect
import math
import warnings

import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from sklearn.svm import SVC

import stnopt as so

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 10, (60, 2))
Y = np.where(X.sum(axis=1) < 10, -1, 1)
SAMPLES = so.TargetSamples(targets=pd.DataFrame(X, columns=["A", "B"]), labels=Y)
TWO = SVC().fit(X, Y)
THREE = SVC().fit(X, np.arange(60) % 3)
REGION = so.fit_region(SAMPLES, kernel="rbf").region
LINE = so.fit_region(SAMPLES).region


def model() -> pyo.ConcreteModel:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["A", "B"], bounds=(0, 10))
    m.o = pyo.Objective(expr=m.x["A"] + m.x["B"], sense=pyo.maximize)
    return m


M = model()
INPUTS = {name: M.x[name] for name in "AB"}
BOX = {"inputs": ("A", "B"), "lower": [0, 0], "upper": [1, 1], "offset": 0.5, "origin": {}}


def solve_one(model, region, variables, **settings):
    return so.solve_over_region(model, region, variables, **settings)


#: Function, arguments that fit, and those of its signature that are left out here.
CALLS = {
    "fit_region": (
        so.fit_region,
        {
            "samples": SAMPLES, "kernel": "laplacian", "test_size": 0.25, "seed": 0, "tune": False,
            "margin": "none", "certified": None, "C": 1.0, "gamma": 1.0, "degree": 3, "coef0": 0.0,
            "class_weight": None, "scale": True,
        },
    ),
    "region_from_sklearn": (
        so.region_from_sklearn,
        {"estimator": TWO, "inputs": ["A", "B"], "feasible_class": -1, "upper": None},
    ),
    "one_vs_one_from_sklearn": (
        so.one_vs_one_from_sklearn,
        {"estimator": THREE, "inputs": ["A", "B"], "feasible_class": 1},
    ),
    "class_region_from_sklearn": (
        so.class_region_from_sklearn,
        {"estimator": THREE, "inputs": ["A", "B"], "feasible_class": 1},
    ),
    "KernelRegion": (
        so.KernelRegion,
        {
            **BOX, "kernel": "rbf", "support_vectors": [[0, 0.0]], "dual_coefs": [-1.0],
            "gamma": 1.0, "coef0": 0.0, "degree": 2, "center": [0, 0], "scale": [1, 1],
        },
    ),
    "LinearRegion": (so.LinearRegion, {**BOX, "weights": [1, 1]}),
    "UnionRegion": (so.UnionRegion, {"alternatives": ((LINE,), (REGION,)), "origin": {}}),
    "load_region": (so.load_region, {"source": REGION.to_json()}),
    "decision": (REGION.decision, {"points": [[1, 2]]}),
    "contains": (LINE.contains, {"points": [[1, 2]]}),
    "gradient": (REGION.gradient, {"points": [[1, 2]]}),
    "kernel_matrix": (REGION.kernel_matrix, {"points": [[1, 2]]}),
    "equation": (REGION.equation, {"style": "text", "digits": 6}),
    "add_region_constraint": (
        so.add_region_constraint,
        {
            "block": M, "region": REGION, "variables": INPUTS, "margin": 0.0, "form": "inner",
            "tolerance": 0.5, "transformation": "hull", "time_limit": None, "progress": False,
        },
    ),
    "solve_over_region": (
        solve_one,
        {
            "model": M, "region": REGION, "variables": INPUTS, "relative_gap": 1e-3,
            "time_limit": 5.0, "margin": 0.0, "threads": 1, "warm_start": False,
            "progress": False,
        },
    ),
    "reduce_region": (
        so.reduce_region,
        {"region": REGION, "max_vectors": 5, "tolerance": None, "bounds": None},
    ),
}  # fmt: skip
WRONG = [
    None, True, math.nan, math.inf, -math.inf, "x", "", [], {}, (), object(), -1, 0, 1.5, 1j, b"x",
    10**400, [None], ["A"], [math.nan] * 2, {"A": 1}, [[True, False]], np.array([]),
    np.array([[1, 2], [3, 4]]), pd.DataFrame(), int, lambda: 1,
]  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_table_has_every_argument(name):
    function, fitting = CALLS[name]
    if name == "solve_over_region":
        known = set(inspect.signature(so.solve_over_region).parameters) - {"regions"}
        assert known <= set(fitting)
        return
    assert set(inspect.signature(function).parameters) == set(fitting)


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_fit_is_refused_by_name(name):
    function, fitting = CALLS[name]
    refused, unnamed = 0, []
    for argument in fitting:
        for value in WRONG:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of regions that hold no point
                try:
                    function(**{**fitting, argument: value})
                except so.StnoptError as error:  # anything else fails the test
                    refused += 1
                    if argument not in ("region", "variables") and argument not in str(error):
                        unnamed.append(f"{argument}={value!r}: {error}")
    assert not unnamed
    assert refused >= len(WRONG) // 2 * min(len(fitting), 2)


@pytest.mark.parametrize("value", [True, math.nan, math.inf, "1"])
def test_a_number_is_none_of_these(value):
    for name in ("C", "coef0", "gamma", "degree"):
        with pytest.raises(so.InvalidInputError, match=f"^{name}: expected"):
            so.fit_region(SAMPLES, kernel="laplacian", **{name: value})
    for name in ("relative_gap", "time_limit", "margin", "threads"):
        if name == "time_limit" and value == math.inf:
            continue  # no limit
        with pytest.raises(so.InvalidInputError, match=f"^{name}: expected"):
            so.solve_over_region(M, REGION, INPUTS, **{name: value})
