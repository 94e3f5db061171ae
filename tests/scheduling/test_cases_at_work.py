"""Cases from the field: a state, orders and arrivals, said without dummies."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import best_schedule

from stnopt.plant import Order, PlantState, Problem, RunningBatch, read_network
from stnopt.plant.read import read_problem
from stnopt.scheduling.model import build_scheduling_model, extract_schedule, set_objective
from stnopt.solvers.solve import solve

REACT = {
    "Feed": {"initial": "unlimited"},
    "Mid": {"capacity": 0},
    "P": {"price": 1},
}
IN_PROGRESS = {
    "name": "in progress",
    "states": REACT,
    "tasks": {
        "React": {
            "consumes": {"Feed": 1},
            "produces": {"Mid": 1},
            "units": {"R1": {"max_batch": 40, "fixed_time": 3}},
        },
        "Distil": {
            "consumes": {"Mid": 1},
            "produces": {"P": 1},
            "units": {"Still": {"max_batch": 20, "fixed_time": 1}},
        },
    },
}


@pytest.mark.parametrize(("formulation", "n_events"), [("unit_events", 4), ("time_grid", 12)])
def test_a_batch_in_progress(formulation, n_events):
    """40: Still takes 20 from R1 at 1.5 and at 2.5; R1 starts again at 2.5, an hour too late."""
    start = PlantState(
        running=[RunningBatch(task="React", unit="R1", started=-1.5, size=40, remaining=1.5)]
    )
    network = read_network(IN_PROGRESS)
    found = best_schedule(network, Problem(horizon=6), start, formulation, n_events)
    assert found.value == pytest.approx(40)


def late_orders():
    entry = {"fixed_cost": 1}
    network = read_network(
        {
            "name": "late orders",
            "states": {
                "M1": {"initial": "unlimited"},
                "M2": {},
                "M3": {"price": 10},
                "M4": {"price": 10},
            },
            "tasks": {
                "T1": {
                    "consumes": {"M1": 1},
                    "produces": {"M2": 1},
                    "units": {"U1": entry | {"min_batch": 10, "max_batch": 20, "fixed_time": 2}},
                },
                "T2": {
                    "consumes": {"M2": 1},
                    "produces": {"M3": 1},
                    "units": {"U2": entry | {"min_batch": 5, "max_batch": 10, "fixed_time": 2}},
                },
                "T3": {
                    "consumes": {"M2": 1},
                    "produces": {"M4": 1},
                    "units": {"U2": entry | {"min_batch": 5, "max_batch": 10, "fixed_time": 3}},
                },
            },
        }
    )
    orders = [
        Order(f"{state} at {due}", state, 5, due)
        for due in range(4, 25, 4)
        for state in ("M3", "M4")
    ]
    return network, Problem(objective="tardiness", horizon=24, orders=orders)


def test_orders_that_cannot_all_be_met():
    """3 h in all, of the first order of M4: T1 0 to 2, T2 2 to 4, T3 4 to 7."""
    network, problem = late_orders()
    found = best_schedule(network, problem, None, "time_grid", 24)
    assert found.missing == pytest.approx(0, abs=1e-6)
    assert found.value == pytest.approx(3)
    late = {
        served.order.id: served.lateness(24)
        for served in found.schedule.orders
        if served.lateness(24) > 1e-6
    }
    assert late == {"M4 at 4": pytest.approx(3)}


def test_raw_material_that_arrives():
    """1135 min: the last of six arrives at 690, reacts for 335 and is distilled for 110."""
    network = read_network(
        {
            "name": "arrivals",
            "time_unit": "min",
            "states": {
                "Order": {"arrivals": [[115 * k, 1] for k in range(1, 7)]},
                "Crude": {"capacity": 1},
                "Product": {},
            },
            "tasks": {
                "React": {
                    "consumes": {"Order": 1},
                    "produces": {"Crude": 1},
                    "units": {
                        unit: {"min_batch": 1, "max_batch": 1, "fixed_time": 335}
                        for unit in ("R1", "R2", "R3")
                    },
                },
                "Distil": {
                    "consumes": {"Crude": 1},
                    "produces": {"Product": 1},
                    "units": {"Still": {"min_batch": 1, "max_batch": 1, "fixed_time": 110}},
                },
            },
        }
    )
    problem = Problem(objective="makespan", horizon=1150, targets={"Product": 6})
    found = best_schedule(network, problem, None, "time_grid", 230)
    assert found.value == pytest.approx(1135)


PAINT = Path(__file__).parents[2] / "../shared/cases/scheduling/paint_late_order.yaml"


@pytest.mark.skipif(not PAINT.exists(), reason="a case that is kept beside the repository")
def test_a_paint_order_that_is_late():
    """White is 0.8167 h late, whatever the schedule, and nothing else is.

    The Reactor is away until 1.6667 h, lets down for 1 h, and 200 kg are filled in 0.65 h.
    """
    network = read_network(PAINT)
    deliveries = read_problem(PAINT).deliveries
    orders = [Order(d.state, d.state, d.amount, d.time) for d in deliveries]
    problem = Problem(objective="tardiness", horizon=10, orders=orders)
    found = best_schedule(network, problem, None, "unit_events", 5, gap=1e-4)
    assert found.missing == pytest.approx(0, abs=1e-6)
    late = {served.order.id: served.lateness(10) for served in found.schedule.orders}
    assert late["White"] == pytest.approx(found.value, abs=1e-4)
    assert late == {"White": pytest.approx(0.8167, abs=1e-3), "Blue": 0, "Primer": 0}


def test_a_model_without_orders_knows_the_new_objectives():
    network, _ = late_orders()
    model = build_scheduling_model(network, horizon=8, n_events=8, formulation="time_grid")
    set_objective(model, "batches")
    assert solve(model).objective == pytest.approx(0)
    assert extract_schedule(model, network).batches == ()
