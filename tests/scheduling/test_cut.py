"""Schedules cut at an instant: the rest replays from its state as the whole one does."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from asking import best_schedule
from plants_at_work import CASES, CHAIN, P, plant, profit, running
from test_drawn_at_work import HOURS, drawn
from time_grid import best_of_all

from stnopt.errors import InvalidInputError
from stnopt.plant import LastTask, PlantState, Problem
from stnopt.plant.calendar import WeeklyPeriod
from stnopt.scheduling.cut import from_time, rest_of
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.search.find_schedule import find_schedule


def solved(seed):
    network, start, problem = drawn(seed)
    found = best_schedule(network, problem, start, "time_grid", HOURS, gap=1e-3)
    return network, problem, found.schedule


@pytest.mark.few_seeds(7)
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


@pytest.mark.parametrize("kind", ["unattended", "paused", "unavailable"])
@pytest.mark.parametrize("formulation", ["unit_events", "time_grid"])
def test_nothing_starts_in_a_period_that_has_begun(kind, formulation):
    """U is away from 1 to 4; cut at 2 it starts at 2 and 3 of the 4 h that are left, not at 0."""
    network = plant(units={"U": {kind: [(1, 4)]}})
    rest, asked = from_time(network, profit(6), 2)
    assert getattr(rest.unit_rules["U"], kind) == ((-1, 2),)
    found = best_schedule(rest, asked, None, formulation, 4)
    assert [b.start for b in found.schedule.batches] == [2, 3]
    early = replace(found.schedule.batches[0], start=0, finish=1)
    if kind != "paused":
        broken = replace(found.schedule, batches=(early, found.schedule.batches[1]))
        assert [v.kind for v in find_violations(broken, rest)] == [
            "unit_unavailable" if kind == "unavailable" else kind
        ]


def test_what_is_held_in_a_period_that_has_begun_stays_until_it_ends():
    """R holds 10 that V may take at 2 only: one batch of V in 3 h, from 2 to 3, and not two."""
    network = plant({"I": {"capacity": 0}} | P, CHAIN, units={"R": {"unattended": [(-1, 2)]}})
    start = PlantState(held={"R": {"I": 10}})
    for formulation in ("unit_events", "time_grid"):
        found = best_schedule(network, profit(3), start, formulation, 3)
        assert [(b.unit, b.start) for b in found.schedule.batches if b.unit == "V"] == [("V", 2)]
    assert best_of_all(network, 3, start=start).value == pytest.approx(found.value)


def test_a_night_shift_that_has_begun_lets_nothing_start():
    """It is 02:00, and nobody is there from 22:00 to 06:00: the first batch starts at 06:00."""
    night = {"unattended": (WeeklyPeriod(start=22 * 60, length=8 * 60),)}
    network = plant(units={"U": {"weekly": night}})
    problem = profit(6, start="2026-01-06T02:00")
    found = best_schedule(network, problem, None, "unit_events", 3)
    assert [b.start for b in found.schedule.batches] == [4, 5]
    rest, asked = from_time(network, problem, 1)
    again = best_schedule(rest, asked, None, "unit_events", 3)
    assert [b.start for b in again.schedule.batches] == [3, 4]


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (PlantState(running=[running(task="Mak")]), "unknown task"),
        (PlantState(running=[running(unit="V")]), "it runs only on R"),
        (PlantState(running=[running(remaining=9)]), "9, beyond the horizon"),
        (PlantState(held={"R": {"I": 50}}), "50 of 'I', more than one batch makes"),
    ],
)
def test_a_search_refuses_a_state_that_does_not_fit(start, named):
    with pytest.raises(InvalidInputError, match=named):
        find_schedule(plant({"I": {"capacity": 0}} | P, CHAIN), profit(6), start=start)


def test_a_schedule_of_another_plant_has_no_state():
    network = plant({"I": {"capacity": 0}} | P, CHAIN)
    schedule = best_schedule(network, profit(6), None, "unit_events", 2).schedule
    with pytest.raises(InvalidInputError, match="'Make' does not run on 'R'"):
        schedule.state_at(1, plant())
