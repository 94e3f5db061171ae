"""Event points for units that are unattended at times and draw on a utility, against the grid.

What runs draws as long as it runs, attended or not: a batch's release waits, and its draw does not.
"""

from __future__ import annotations

from random import Random

import pytest
from asking import best_schedule
from plants_at_work import P, plant, profit
from time_grid import add_rules, best_on_grid, draw_plant

from stnopt.plant import Problem, read_network
from stnopt.scheduling.replay import find_violations

HOURS = 6
TWO_HOURS = {"fixed_time": 2, "draws": {"power": 3}}


def drawn(seed):
    """Draw a plant without limits of storage, with a utility and a unit that is unattended."""
    network = add_rules(
        draw_plant(7000 + seed, capacities=(None,)),
        seed,
        utilities=True,
        changeovers=seed % 3 == 0,
        periods=seed % 4 == 0,
    )
    random, written = Random(seed), network.to_dict()
    for task in written["tasks"].values():
        for entry in task["units"].values():
            entry.pop("release_time", None)
    for state in written["states"].values():
        state.pop("capacity", None)
    begin = random.randint(1, 3)
    rules = written.setdefault("units", {}).setdefault(random.choice(network.units), {})
    rules["unattended"] = [[begin, begin + random.randint(1, 3)]]
    return read_network(written)


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", [*range(3), *range(6, 14)])
def test_they_reach_the_grid_and_never_more(seed):
    network = drawn(seed)
    best = best_on_grid(network, HOURS)
    for n_events in range(2, 7):
        span = min(2, n_events - 1)
        found = best_schedule(
            network, Problem(horizon=HOURS), None, "unit_events", n_events, max_span=span, gap=1e-4
        )
        if found.value is None:
            continue
        assert not find_violations(found.schedule, network)
        assert found.value <= best + 2e-3
        if found.value > best - 2e-3:
            return
    pytest.fail(f"event points reach {found.value}, the grid {best}")


def test_power_is_drawn_while_nobody_is_there():
    """U runs from 0 to 2 unattended, V then has power: 2 to 4. (Two units at once would be 40.)"""
    network = plant(
        P,
        {"Make": ({"A": 1}, {"P": 1}, {"U": TWO_HOURS, "V": TWO_HOURS})},
        units={"U": {"unattended": [(1, 3)]}},
        utilities={"power": 3},
    )
    found = best_schedule(network, profit(4), None, "unit_events", 3)
    assert found.value == pytest.approx(20)
