"""More orders than a long horizon holds: which must be missing, and how late the others are."""

from __future__ import annotations

import pytest
from small_plants import plant, run, task

from stnopt import find_schedule
from stnopt.plant import Order
from stnopt.plant.problem import Problem
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.capacity_bound import orders_beyond_capacity

#: 10 of P at 5, 8, 11, ..., 32: ten batches in 32 h.
CHAIN = plant(
    {"A": {"initial": "unlimited"}, "I": {"capacity": 10}, "P": {"price": 1}},
    {
        "First": task("A", "I", U1=run(2, 10)),
        "Second": task("I", "P", U2=run(3, 10)),
    },
)
IN_TIME = tuple(Order(f"small_{hour}", "P", 10, hour) for hour in range(5, 27, 3))
#: Seconds, whatever the clock: each search here ends by its proof, on a busy machine too.
AMPLE = 36_000.0
LARGE = (Order("large_1", "P", 50, 20), Order("large_2", "P", 60, 30))


def ask(*orders, **more):
    problem = Problem(objective="tardiness", horizon=32, orders=orders, **more)
    found = find_schedule(CHAIN, problem, time_limit=AMPLE)
    assert find_violations(found.schedule, CHAIN) == []
    return found


def test_what_cannot_be_delivered_is_missing_and_nothing_else_is_late():
    """Eight orders take 80 of 100; what is missing is late until the horizon: 12 and 2."""
    found = ask(*LARGE, *IN_TIME)
    assert found.stopped == "proven"
    assert {s.order.id for s in found.schedule.orders if s.missing} == {"large_1", "large_2"}
    assert found.missing == pytest.approx(2)
    assert found.missing_bound == pytest.approx(2, abs=1e-4)
    assert found.result.objective == pytest.approx(12 + 2, abs=1e-3)
    assert found.proof.scope == "any schedule"


@pytest.mark.long
def test_a_date_that_nothing_meets_is_late_by_as_little_as_can_be():
    """The first 20 are there at 8, wanted at 6; the batch at 5 cannot be two."""
    found = ask(Order("early", "P", 20, 6), *IN_TIME[3:])
    assert found.missing == 0
    assert found.result.objective == pytest.approx(2, abs=1e-3)
    assert found.bound <= 2 + 1e-3


def test_more_important_orders_are_not_the_ones_that_are_missing():
    heavy = Order("heavy", "P", 60, 30, priority=5)
    others = [Order(f"light_{n}", "P", 60, 30) for n in (1, 2)]
    found = ask(*others, heavy)
    assert [s.order.id for s in found.schedule.orders if not s.missing] == ["heavy"]
    assert found.missing_bound == pytest.approx(2, abs=1e-4)


def test_the_sums_choose_what_to_leave_out():
    problem = Problem(objective="tardiness", horizon=32, orders=(*LARGE, *IN_TIME))
    assert orders_beyond_capacity(CHAIN, problem, n_periods=4) == {"large_1", "large_2"}
