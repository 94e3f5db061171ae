"""Drawn plants that mix state, orders, calendars, arrivals and all older rules, against a grid."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from asking import best_schedule
from time_grid import (
    add_calendars,
    add_rules,
    best_of_all,
    draw_orders,
    draw_plant,
    draw_state,
    is_valid_on_grid,
)

from stnopt.plant import Problem
from stnopt.scheduling.movements import pauses_of, time_of_work
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import compute_final_stock
from stnopt.solvers.solve import Status

HOURS = 6


def drawn(seed):
    network = add_rules(
        draw_plant(3000 + seed),
        seed,
        periods=seed % 3 == 0,
        changeovers=seed % 2 == 0,
        utilities=seed % 4 == 0,
        cleanings=seed % 5 == 0,
    )
    if seed % 3 != 1:
        network = add_calendars(network, seed)
    start = draw_state(network, seed)
    orders = draw_orders(network, seed, HOURS) if seed % 4 != 3 else ()
    objective = "tardiness" if orders and seed % 2 else "profit"
    return network, start, Problem(objective=objective, horizon=HOURS, orders=orders)


@pytest.mark.few_seeds(6)
@pytest.mark.parametrize("seed", range(40))
def test_the_time_grid_agrees(seed):
    network, start, problem = drawn(seed)
    best = best_of_all(
        network, HOURS, start=start, orders=problem.orders, objective=problem.objective
    )
    found = best_schedule(network, problem, start, "time_grid", HOURS)
    if best is None:
        assert found.status is Status.INFEASIBLE
        return
    assert found.value == pytest.approx(best.value, abs=2e-3)
    assert found.missing == pytest.approx(best.missing, abs=1e-4)
    assert not find_violations(found.schedule, network)


@pytest.mark.few_seeds(4)
@pytest.mark.parametrize("seed", range(24))
def test_event_points_are_never_better(seed):
    network, start, problem = drawn(seed)
    best = best_of_all(
        network, HOURS, start=start, orders=problem.orders, objective=problem.objective
    )
    found = best_schedule(network, problem, start, "unit_events", 3, gap=1e-4, nodes=100)
    if best is None:
        assert found.schedule is None
    if found.status is not Status.OPTIMAL:
        return
    assert not find_violations(found.schedule, network)
    if problem.objective == "profit":
        assert found.value <= best.value + 2e-3
    else:
        assert found.missing >= best.missing - 1e-4
        if found.missing < best.missing + 1e-4:
            assert found.value >= best.value - 2e-3


def mutated(schedule, network, random):
    """Return the schedule with one batch moved by an hour, grown, shrunk, doubled or left out."""
    batches = list(schedule.batches)
    if not batches:
        return None
    number = random.randrange(len(batches))
    batch = batches[number]
    kind = random.choice(["moved", "grown", "shrunk", "doubled", "left out"])
    if kind == "moved":
        fit = network.tasks[batch.task].units[batch.unit]
        start = batch.start + random.choice([-1, 1])
        if start < 0:
            return None
        pauses = pauses_of(batch.unit, network)
        finish = time_of_work(start, fit.fixed_time, pauses, horizon=HOURS)
        batches[number] = replace(batch, start=start, finish=finish)
    elif kind in ("grown", "shrunk"):
        batches[number] = replace(batch, size=batch.size * (1.5 if kind == "grown" else 0.5))
    elif kind == "doubled":
        batches.append(batch)
    else:
        del batches[number]
    stock = compute_final_stock(
        batches, network, horizon=HOURS, start=schedule.start, orders=schedule.orders
    )
    return replace(schedule, batches=tuple(batches), final_stock=stock)


@pytest.mark.few_seeds(6)
@pytest.mark.parametrize("seed", range(40))
def test_mutated_schedules_are_judged_alike(seed):
    network, start, problem = drawn(seed)
    found = best_schedule(network, problem, start, "time_grid", HOURS, gap=1e-3)
    if found.schedule is None:
        return
    random = Random(seed)
    for _ in range(3):
        schedule = mutated(found.schedule, network, random)
        if schedule is not None:
            violations = find_violations(schedule, network)
            assert is_valid_on_grid(network, schedule) == (not violations), violations
