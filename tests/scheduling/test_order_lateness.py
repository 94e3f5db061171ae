"""Lateness per order: what is reported is what the parts say, and in sum the grid's least."""

from __future__ import annotations

import pytest
from asking import best_schedule
from plants_at_work import late, plant
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all, draw_orders

from stnopt import find_schedule
from stnopt.plant import Order, Problem


def late_by_the_parts(served, horizon):
    """When the last part came, or the horizon where some is missing, less the due date."""
    came = sum(amount for _, amount in served.parts)
    whole = came > served.order.amount * (1 - 1e-6)
    last = max(time for time, _ in served.parts) if whole else horizon
    return max(0.0, last - served.order.due)


@pytest.mark.few_seeds(5)
@pytest.mark.parametrize("seed", range(30))
def test_each_is_as_late_as_its_parts_say(seed):
    network, start, _ = drawn(seed)
    orders = tuple(draw_orders(network, seed, HOURS))
    if not orders:
        return
    best = best_of_all(network, HOURS, start=start, orders=orders, objective="tardiness")
    problem = Problem(objective="tardiness", horizon=HOURS, orders=orders)
    found = best_schedule(network, problem, start, "time_grid", HOURS)
    if best is None:
        assert found.schedule is None
        return
    assert [served.order for served in found.schedule.orders] == list(orders)
    total = 0.0
    for served in found.schedule.orders:
        late = late_by_the_parts(served, HOURS)
        assert served.lateness(HOURS) == pytest.approx(late, abs=1e-9)
        total += served.order.priority * late
    # Which order is late may differ where as little is late in all.
    assert total == pytest.approx(best.value, abs=2e-3)
    assert found.missing == pytest.approx(best.missing, abs=1e-4)


@pytest.mark.parametrize("proof_limit", [0, None])
def test_what_has_a_cost_is_not_left_out_for_lateness(proof_limit):
    """The second batch ends with the horizon, when its order is due: missing is no later."""
    orders = (Order("a", "P", 10, 1), Order("b", "P", 10, 2, missing_cost=1))
    found = find_schedule(plant(), late(2, *orders), proof_limit=proof_limit)
    assert [served.missing for served in found.schedule.orders] == [0, 0]
    assert found.missing == 0
    assert found.result.objective == pytest.approx(0)
