"""Schedules cut at an instant: the rest replays from its state as the whole one does."""

from __future__ import annotations

from random import Random

import pytest
from asking import best_schedule
from plants_at_work import CASES
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all

from stnopt.plant import LastTask, Problem
from stnopt.scheduling.cut import from_time, rest_of
from stnopt.scheduling.replay import find_violations


def solved(seed):
    network, start, problem = drawn(seed)
    found = best_schedule(network, problem, start, "time_grid", HOURS, gap=1e-3)
    return network, problem, found.schedule


@pytest.mark.few_seeds(14)
@pytest.mark.parametrize("seed", range(40))
def test_the_rest_replays_as_the_whole_one(seed):
    network, problem, schedule = solved(seed)
    if schedule is None:
        return
    random = Random(seed)
    cuts = [0.0, *(random.uniform(0, HOURS) for _ in range(3)), random.randint(1, HOURS - 1)]
    for cut in cuts:
        rest = rest_of(schedule, cut, network)
        plant, asked = from_time(network, problem, cut)
        assert find_violations(rest, plant) == [], cut
        assert asked.horizon == pytest.approx(rest.horizon)
        for name, state in network.states.items():
            if not state.unlimited:
                assert rest.final_stock[name] == pytest.approx(schedule.final_stock[name], abs=1e-5)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_from_there_anew_it_is_never_worse(seed):
    network, problem, schedule = solved(seed)
    if schedule is None or problem.objective != "profit":
        return
    cut = Random(seed).randint(1, HOURS - 2)
    rest = rest_of(schedule, cut, network)
    plant, _ = from_time(network, problem, cut)
    orders = rest.start.open_orders
    best = best_of_all(plant, HOURS - cut, start=rest.start, orders=orders)
    anew = best_schedule(
        plant,
        Problem(horizon=HOURS - cut, orders=orders),
        rest.start,
        "time_grid",
        HOURS - cut,
    )
    assert best is not None
    assert anew.value == pytest.approx(best.value, abs=2e-3)


def test_state_in_words():
    """Two batches of an hour: at 1.5 one has ended and one has half an hour to go."""
    case = CASES["no start while unattended"]
    schedule = best_schedule(case.network, case.problem, None, "time_grid", 5).schedule
    state = schedule.state_at(1.5, case.network)
    (running,) = state.running
    assert (running.task, running.started, running.remaining) == ("Make", -0.5, 0.5)
    assert state.stocks["P"] == 10
    assert schedule.state_at(2.5, case.network).held == {"U": {"P": 10}}
    assert schedule.state_at(4.0, case.network).running[0].remaining == 1
    assert schedule.state_at(5.0, case.network).last == {"U": LastTask("Make", 0.0)}
