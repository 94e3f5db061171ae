"""Copies of a region in one model: the same certified optimum by pieces and by boxes."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from random_problems import random_region

from stnopt.embedding import add_region_constraint, multi_region, solve_over_region
from stnopt.embedding.region_parts import KernelPart
from stnopt.feasibility.region import KernelRegion
from stnopt.solvers.solve import Status


def planning_model(n_periods, *, seed=0, overtime=True):
    """Stocks of two products over periods; what a period makes is inside its region."""
    rng = np.random.default_rng(seed)
    demand = rng.uniform(30, 100, (2, n_periods))
    m = pyo.ConcreteModel()
    m.made = pyo.Var(range(2), range(n_periods), bounds=(0, 100))
    m.stock = pyo.Var(range(2), range(n_periods), bounds=(0, 80))
    m.lost = pyo.Var(range(2), range(n_periods), bounds=(0, 100))
    m.overtime = pyo.Var(range(n_periods), domain=pyo.Binary)

    @m.Constraint(range(2), range(n_periods))
    def balance(m, p, t):
        before = 20.0 if t == 0 else m.stock[p, t - 1]
        return m.stock[p, t] == before + m.made[p, t] + m.lost[p, t] - demand[p, t]

    @m.Constraint(range(n_periods))
    def normal_hours(m, t):
        return m.made[0, t] + m.made[1, t] <= 110 + (90 if overtime else 0) * m.overtime[t]

    m.objective = pyo.Objective(
        expr=sum(
            0.3 * m.stock[p, t] + (10 - 2 * p) * m.lost[p, t] + 1.5 * m.made[p, t]
            for p in range(2)
            for t in range(n_periods)
        )
        + 40 * sum(m.overtime[t] for t in range(n_periods))
    )
    return m


def copies_of(m, region, n_periods):
    return [
        (region, {name: m.made[p, t] for p, name in enumerate(region.inputs)})
        for t in range(n_periods)
    ]


@pytest.mark.parametrize("seed", [pytest.param(8, marks=pytest.mark.long), 21])
def test_pieces_and_boxes_certify_the_same_optimum(seed, monkeypatch):
    region = random_region(seed, n=2)
    objectives = {}
    for method in ("pieces", "boxes"):
        monkeypatch.setattr(
            multi_region, "MANY_REGIONS", multi_region.MANY_REGIONS if method == "pieces" else 99
        )
        m = planning_model(3)
        result = solve_over_region(m, *copies_of(m, region, 3), relative_gap=1e-3)
        assert result.status is Status.OPTIMAL
        assert result.gap <= 1e-3
        for t in range(3):
            assert region.contains([[m.made[0, t].value, m.made[1, t].value]])[0]
        assert pyo.value(m.objective) == pytest.approx(result.objective, rel=1e-6)
        objectives[method] = (result.objective, result.bound)
        monkeypatch.undo()
    assert objectives["pieces"][1] <= objectives["boxes"][0] * (1 + 1e-6)
    assert objectives["boxes"][1] <= objectives["pieces"][0] * (1 + 1e-6)


@pytest.mark.long
def test_twelve_copies_close_to_a_thousandth():
    region = random_region(21, n=2)
    m = planning_model(12)
    result = solve_over_region(m, *copies_of(m, region, 12), relative_gap=1e-3)
    assert result.status is Status.OPTIMAL
    assert result.gap <= 1e-3


def test_copies_with_margins_and_blocks_of_their_own():
    """Two regions, one of them twice, with different margins: three groups of pieces."""
    first, second = random_region(8, n=2), random_region(21, n=2)
    m = planning_model(3)
    names = first.inputs
    blocks = [
        add_region_constraint(
            m,
            region,
            {name: m.made[p, t] for p, name in enumerate(names)},
            margin=margin,
        )
        for t, (region, margin) in enumerate([(first, 0.0), (first, 0.5), (second, 0.0)])
    ]
    result = solve_over_region(m, *blocks, relative_gap=1e-3)
    assert result.status is Status.OPTIMAL
    for added in blocks:
        assert added.violation() == 0.0
        assert added.block.inside_region.active


def test_a_time_limit_never_proves_infeasible():
    region = random_region(8, n=2)
    m = planning_model(4)
    result = solve_over_region(m, *copies_of(m, region, 4), time_limit=0.05)
    assert result.status in (Status.FEASIBLE, Status.NO_SOLUTION, Status.OPTIMAL)
    assert m.component("region_search") is None


def test_copies_that_the_model_cannot_reach_are_infeasible():
    region = random_region(8, n=2)
    m = planning_model(3)
    # each period is feasible, but no two products as unequal as this are
    m.apart = pyo.Constraint(expr=sum(m.made[0, t] + m.made[1, t] for t in range(3)) >= 599)
    m.normal_hours.deactivate()
    result = solve_over_region(m, *copies_of(m, region, 3))
    assert result.status is Status.INFEASIBLE


def test_regions_of_too_many_inputs_or_pieces_are_left_to_boxes():
    rng = np.random.default_rng(0)
    many = KernelRegion(
        inputs=tuple("ABCDE"), kernel="rbf", support_vectors=rng.uniform(0, 1, (10, 5)),
        dual_coefs=rng.normal(size=10), offset=-0.5, gamma=1.0, lower=np.zeros(5),
        upper=np.ones(5),
    )  # fmt: skip
    parts = [
        KernelPart(region=many, inputs=dict.fromkeys(many.inputs), margin=0.0) for _ in range(3)
    ]
    assert multi_region.groups_of(parts, []) is None
