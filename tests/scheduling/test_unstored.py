"""What batches wait for in their units: never more than any schedule does, and enough to matter."""

from __future__ import annotations

from random import Random

import pytest
from small_plants import plant, run, task
from time_grid import best_on_grid

from stnopt.plant import Delivery
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.capacity_bound import bound_by_periods
from stnopt.scheduling.search.unstored import find_waits

HOURS = 8


def large_before_small(seed):
    """A large batch of what has little room, before units that take a part of it at a time."""
    random = Random(seed)
    takers = {
        f"U{number}": run(random.choice([1, 2]), random.choice([1, 2]))
        for number in range(2, 2 + random.choice([1, 1, 2]))
    }
    makers = {"U1": run(random.choice([1, 2]), random.choice([3, 4, 5]))}
    if random.random() < 0.3:
        makers["U9"] = run(random.choice([1, 2]), random.choice([2, 4]))
    states = {
        "A": {"initial": "unlimited"},
        "I": {"capacity": random.choice([0, 0, 0, 1])},
        "P": {"price": 3},
        "Q": {"price": random.choice([0.5, 1, 2])},
    }
    share = random.choice([1, 0.5])
    made = {"I": share, "Q": 1 - share} if share < 1 else {"I": 1}
    tasks = {
        "Make": task("A", made, **makers),
        "Take": task("I", "P", **takers),
        "Other": task("A", "Q", U1=run(1, random.choice([1, 3]))),
    }
    return plant(states, tasks)


@pytest.mark.few_seeds(8)
@pytest.mark.parametrize("seed", range(60))
def test_no_optimum_is_above_the_bound(seed):
    network = large_before_small(seed)
    best = best_on_grid(network, HOURS)
    for n_periods in (1, HOURS):
        bound = bound_by_periods(network, Problem(horizon=HOURS), n_periods=n_periods)
        assert bound >= best - 1e-6 * max(1.0, best), network.to_dict()


def test_waits_by_hand():
    """Of a batch of 100 a taker has 60 at once; for the rest it needs 0.5 + 0.01 rest hours."""
    for capacity, takers, rest, per_amount in (
        (0, 1, 40, 0.9 / 40),
        (10, 1, 30, 0.8 / 30),
        (0, 3, None, None),
    ):
        units = {f"U{n}": run(0.5, 60, time_per_amount=0.01) for n in range(2, 2 + takers)}
        network = plant(
            {"A": {"initial": "unlimited"}, "I": {"capacity": capacity}, "P": {"price": 1}},
            {"Make": task("A", "I", U1=run(2, 100)), "Take": task("I", "P", **units)},
        )
        waits = find_waits(network, Problem(horizon=100))
        if rest is None:
            assert waits == []
            continue
        (wait,) = waits
        assert wait.beyond == pytest.approx(100 - rest)
        assert wait.per_amount == pytest.approx(per_amount)
        assert wait.longest == pytest.approx(rest * per_amount)


def test_a_unit_that_waits_makes_less():
    """A batch of 4 runs one hour and waits another: 2 an hour, and so does the other task's 1.

    Without the wait the unit would make 4 in the hour, and the taker's 2 an hour be the limit.
    """
    network = plant(
        {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "P": {"price": 1}, "Q": {"price": 2}},
        {
            "Make": task("A", "I", U1=run(1, 4)),
            "Take": task("I", "P", U2=run(1, 2)),
            "Other": task("A", "Q", U1=run(1, 0.5)),
        },
    )
    bound = bound_by_periods(network, Problem(horizon=20), n_periods=1)
    assert bound >= best_on_grid(network, 20)
    assert bound <= 40 + 2  # the last one's wait may be after the end


@pytest.mark.parametrize("what", ["delivered", "unattended", "stored"])
def test_where_material_leaves_in_other_ways_nothing_waits(what):
    states = {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "P": {"price": 1}}
    if what == "stored":
        del states["I"]["capacity"]
    rules = {"units": {"U1": {"unattended": [[2, 4]]}}} if what == "unattended" else {}
    network = plant(
        states,
        {"Make": task("A", "I", U1=run(1, 4)), "Take": task("I", "P", U2=run(1, 1))},
        **rules,
    )
    due = [Delivery("I", 5, 1)] if what == "delivered" else []
    assert find_waits(network, Problem(horizon=8, deliveries=tuple(due))) == []
