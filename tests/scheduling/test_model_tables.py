"""Models hold Pyomo components only; what they look up besides travels with their handle."""

from __future__ import annotations

import copy
import math

import pyomo.environ as pyo
import pytest
from plants_at_work import CASES as AT_WORK
from plants_with_rules import all_cases, make_plant
from pyomo.core.expr.visitor import identify_variables

from stnopt import load_example
from stnopt.errors import UnsupportedModelError
from stnopt.plant import Delivery, Order, Problem
from stnopt.plant.demands import RULES, demanded_rules
from stnopt.scheduling.handle import scheduling_handle
from stnopt.scheduling.model import (
    build_relaxation,
    build_scheduling_model,
    extract_schedule,
    limit_storage_in_time,
    limit_utility_in_time,
    require_deliveries,
    require_orders,
    require_value,
    set_objective,
)
from stnopt.solvers.solve import solve

HOUR = {"fixed_time": 1}
#: Name -> plant, what is asked of it, what it starts from: every rule occurs.
CASES = {name: (case.network, case.problem, case.start) for name, case in AT_WORK.items()}
CASES |= {name: (case.network, case.problem, None) for name, case in all_cases().items()}
CASES["motivating"] = (load_example("motivating"), Problem(horizon=8), None)
CASES["parts early and at once"] = (
    make_plant(
        "parts",
        {"I": {"zero_wait": True}, "J": {"capacity": 5}, "P": {"price": 1}},
        {
            "Make": (
                {"A": 1},
                {"I": 0.5, "J": 0.5},
                {"U": {"fixed_time": 2, "release_time": {"J": 1}}},
            ),
            "Use": ({"I": 1}, {"P": 1}, {"V": HOUR}),
            "Also": ({"J": 1}, {"P": 1}, {"W": HOUR}),
        },
    ),
    Problem(horizon=4),
    None,
)


def stuck_on(model):
    """Name every attribute of a model's blocks that is no component of theirs."""
    plain = pyo.ConcreteModel()
    plain.rows = pyo.Block([1])
    usual = {*vars(plain), *vars(plain.rows), *vars(plain.rows[1])}
    found = []
    for block in model.component_objects(pyo.Block, descend_into=True):
        if block.is_indexed():
            found += [f"{block.name}.{name}" for name in vars(block) if name not in usual]
    for block in model.block_data_objects(descend_into=pyo.Block):
        components = {part.local_name for part in block.component_objects(descend_into=False)}
        found += [f"{block.name}.{name}" for name in vars(block) if name not in usual | components]
    return sorted(found)


def ask(model, problem):
    """Ask for all that can be asked for, and add all that `solve` may add."""
    if problem.deliveries or problem.orders:
        require_deliveries(model, problem.deliveries)
        require_orders(model, problem.orders, may_miss=problem.objective == "tardiness")
    set_objective(model, problem.objective)
    require_value(model, "makespan", at_most=100.0)
    handle = scheduling_handle(model)
    if handle.formulation == "unit_events":
        for state in model.storage_in_time.index_set():
            limit_storage_in_time(model, state)
        for utility in model.utility_in_time.index_set():
            limit_utility_in_time(model, utility)


def build(name, formulation):
    network, problem, start = CASES[name]
    horizon = problem.horizon or 10.0
    if formulation == "intervals":
        model = build_relaxation(network, horizon=horizon, start=start, date=problem.start)
    else:
        model = build_scheduling_model(
            network,
            horizon=horizon,
            n_events=4 if formulation != "time_grid" else math.ceil(2 * horizon),
            max_span=0 if formulation == "time_grid" else 1,
            formulation=formulation,
            start=start,
            date=problem.start,
        )
    ask(model, problem)
    return model


def test_every_rule_occurs():
    demanded = {
        demand.rule
        for network, problem, start in CASES.values()
        for demand in demanded_rules(network, problem, start)
    }
    assert demanded == set(RULES)


@pytest.mark.parametrize("formulation", ["unit_events", "time_grid", "intervals", "state_sequence"])
def test_nothing_but_components_is_on_a_model(formulation):
    built = 0
    for name in CASES:
        try:
            model = build(name, formulation)
        except UnsupportedModelError:
            continue
        built += 1
        assert stuck_on(model) == [], name
        with scheduling_handle(model).tightened():
            assert stuck_on(model) == [], name
    assert built >= (3 if formulation == "state_sequence" else 15)


def test_an_attribute_on_a_model_is_found():
    model = build("motivating", "unit_events")
    model.width = 3
    block = next(iter(model.storage_in_time.values()))
    block.due = {}
    model.storage_in_time.limits = []
    assert stuck_on(model) == sorted(
        ["storage_in_time.limits", f"{block.name}.due", f"{model.name}.width"]
    )


ORDERS = (
    Order("early", "P", 8, 2, partial=True, missing_cost=1),
    Order("late", "P", 5, 3, priority=2),
)
TANK = make_plant(
    "tank",
    {"I": {"capacity": 4}, "P": {"price": 1, "capacity": 12}},
    {
        "Make": ({"A": 1}, {"I": 1}, {"U": HOUR}),
        "Use": ({"I": 1}, {"P": 1}, {"V": HOUR}),
    },
    units={"U": {"changeovers": {("Make", "Make"): 0.5}}, "V": {"unavailable": [(1, 2)]}},
)


def ask_of_tank(model):
    require_deliveries(model, [Delivery("P", 4, 3)])
    require_orders(model, ORDERS)
    if scheduling_handle(model).formulation == "unit_events":
        limit_storage_in_time(model, "I")
        limit_storage_in_time(model, "P")
    set_objective(model, "profit")


def clone(model):
    return model.clone()


def nest(model):
    model = model.clone()
    outer = pyo.ConcreteModel()
    outer.plant = model
    return outer.plant


@pytest.mark.few_cases(4)
@pytest.mark.parametrize("formulation", ["unit_events", "time_grid"])
@pytest.mark.parametrize("copied", [clone, copy.deepcopy, nest])
@pytest.mark.parametrize("asked_before", [True, False])
def test_a_copy_is_a_model_of_its_own(formulation, copied, asked_before):
    def built():
        return build_scheduling_model(
            TANK,
            horizon=6.0,
            n_events=12 if formulation == "time_grid" else 3,
            formulation=formulation,
        )

    model = built()
    if asked_before:
        ask_of_tank(model)
    twin = copied(model)
    ask_of_tank(twin)  # a second time, where it has been asked before
    inside = {id(v) for v in twin.component_data_objects(pyo.Var)}
    for row in twin.component_data_objects((pyo.Constraint, pyo.Objective)):
        spoken_of = identify_variables(row.expr)
        assert all(id(v) in inside for v in spoken_of), row.name
    alone = built()
    ask_of_tank(alone)
    expected = solve(alone, relative_gap=1e-6).objective
    assert expected > 0
    assert solve(twin.model(), relative_gap=1e-6).objective == pytest.approx(expected, rel=1e-5)
    extract_schedule(twin, TANK)
