"""The section `now:`, orders, arrivals, steps and calendars in files: read, written, refused."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from stnopt.cli import main
from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant import (
    LastTask,
    Order,
    PlantState,
    Problem,
    RunningBatch,
    read_network,
    read_problem,
    read_state,
)
from stnopt.plant.calendar import clock_time, parse_start, schedule_time, with_calendars

TEXT = """
plant:
  name: shift
  time_unit: h
  states:
    A: {initial: unlimited}
    Mid: {capacity: 20}
    P: {price: 1, arrivals: [[2, 5], [6, 1]]}
  tasks:
    React: {consumes: {A: 1}, produces: {Mid: 1}, units: {R: {max_batch: 40, fixed_time: 3}}}
    Fill:
      consumes: {Mid: 1}
      produces: {P: 1}
      units: {F: {max_batch: 20, fixed_time: 1, draws: {power: 5}}}
  units:
    R:
      clean_after: {batches: 3, duration: 1}
      unattended: [{every: week, days: [Mon, Tue], from: "22:00", to: "06:00"}]
    F:
      unavailable: [[4, 5], {every: week, from: Fri 22:00, to: Mon 06:00}]
      paused: [{every: day, from: 12:00, to: 12:30}]
  utilities:
    power: {capacity: [[0, 10], [8, 6]]}
now:
  stocks: {Mid: 10}
  running: [{task: React, unit: R, started: -1.5, size: 40, remaining: 1.5}]
  last: {F: {task: Fill, finished: -0.5}}
  held: {}
  since_cleaning: {R: {batches: 2}}
problem:
  objective: tardiness
  horizon: 10
  start: 2026-01-05T06:00 Europe/Berlin
  orders: [{id: 4711, state: P, amount: 20, due: 5, priority: 2, late_cost: 10, partial: true}]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "plant.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def test_each_reader_passes_over_the_others(path):
    network, problem, state = read_network(path), read_problem(path), read_state(path)
    assert network.states["P"].arrivals == ((2, 5), (6, 1))
    assert network.utilities["power"].capacity == 10
    assert [network.utilities["power"].capacity_at(t) for t in (0, 7.9, 8)] == [10, 10, 6]
    assert problem.orders == (Order("4711", "P", 20, 5, partial=True, priority=2, late_cost=10),)
    assert problem.start == datetime(2026, 1, 5, 6, tzinfo=ZoneInfo("Europe/Berlin"))
    assert state == PlantState(
        stocks={"Mid": 10},
        running=[RunningBatch(task="React", unit="R", started=-1.5, size=40, remaining=1.5)],
        last={"F": LastTask("Fill", -0.5)},
        since_cleaning={"R": 2},
    )
    again = read_network(network.to_dict())
    assert again == network
    assert again.fingerprint == network.fingerprint


def test_the_state_is_no_part_of_the_fingerprint(path):
    without = path.with_name("without.yaml")
    without.write_text(TEXT[: TEXT.index("now:")], encoding="utf-8")
    assert read_network(without).fingerprint == read_network(path).fingerprint
    assert read_state(without, default=PlantState()) == PlantState()


def test_weekly_patterns_are_laid_over_the_horizon(path):
    network, problem = read_network(path), read_problem(path)
    dated = with_calendars(network, start=problem.start, horizon=48)
    assert dated.unit_rules["R"].unattended == ((16, 24), (40, 48))
    assert dated.unit_rules["F"].unavailable == ((4, 5),)
    assert dated.unit_rules["F"].paused == ((6, 6.5), (30, 30.5))
    with pytest.raises(InvalidInputError, match="unit 'R' has periods that come back every week"):
        with_calendars(network, start=None, horizon=48)


def test_clock_times_follow_the_zone():
    """The night of 29 March 2026 is an hour short in Berlin."""
    start = parse_start("2026-03-28T20:00 Europe/Berlin")
    assert clock_time(start, 10, "h").isoformat() == "2026-03-29T07:00:00+02:00"
    assert schedule_time(start, datetime(2026, 3, 29, 7), "min") == pytest.approx(600)
    assert clock_time(parse_start("2026-03-28T20:00"), 30, "min").minute == 30


BAD_STATES = [
    ("remaining: 1.5", "remaining: 0", "remaining must be more than 0, got 0"),
    ("started: -1.5", "started: 1", "started must be at most 0, got 1"),
    ("size: 40", "size: 41", "'React' on 'R': its size, 41, is outside [0, 40]"),
    ("task: React, unit: R, st", "task: Rect, unit: R, st", "did you mean 'React'?"),
    ("task: React, unit: R, st", "task: Fill, unit: R, st", "it runs only on F"),
    ("stocks: {Mid: 10}", "stocks: {Mid: 30}", "stock of 'Mid', 30, exceeds its capacity, 20"),
    ("stocks: {Mid: 10}", "stocks: {A: 30}", "stock of 'A': its supply is unlimited"),
    ("stocks: {Mid: 10}", "stocks: {Mod: 1}", "unknown state 'Mod' (did you mean 'Mid'?)"),
    ("held: {}", "held: {F: {Mid: 1}}", "held in 'F': the unit makes no 'Mid'"),
    ("held: {}", "held: {R: {Mid: 1}}", "'R' holds material and runs a batch"),
    ("finished: -0.5", "finished: 0.5", "finished must be at most 0, got 0.5"),
    ("task: Fill, fin", "task: React, fin", "last of 'F': the task 'React' does not run on it"),
    ("{R: {batches: 2}}", "{R: {batches: 4}}", "4 batches, more than clean_after allows (3)"),
    ("held: {}", "ages: {Mid: 1}", "now: ages: not supported yet"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_STATES)
def test_a_bad_state_is_refused_by_name(old, new, message, path):
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        read_state(path)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


BAD_PLANTS = [
    ("[[0, 10], [8, 6]]", "[[0, 10], [8, 6], [4, 1]]", "steps at 4 comes after the one at 8"),
    ("[[0, 10], [8, 6]]", "[[1, 10]]", "capacity needs a step at time 0, the first is at 1"),
    ("[[0, 10], [8, 6]]", "[[0, 10], [8, -1]]", "its amount must be at least 0, got -1"),
    ("[[2, 5], [6, 1]]", "[[2, 5], [1, 1]]", "arrivals at 1 comes after the one at 2"),
    ("[[4, 5], {", "[[4, 5], [4.5, 6], {", "the unavailable period [4.5, 6] starts before"),
    ("from: Fri 22:00, to", "from: Fry 22:00, to", "two different clock times"),
    ("days: [Mon, Tue]", "days: [Mon, Tues, Xyz]", "days needs weekdays"),
    (
        "{every: day, from: 12:00, to: 12:30}",
        "{every: day, from: 12:00, to: 12:30}, {every: week, from: Mon 12:15, to: Mon 13:00}",
        "the weekly paused periods",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_PLANTS)
def test_a_bad_calendar_is_refused_by_name(old, new, message, path):
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidNetworkError) as caught:
        read_network(path)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


BAD_PROBLEMS = [
    ("amount: 20", "amount: 0", "amount must be more than 0, got 0"),
    ("due: 5", "due: 11", "order '4711': due 11 is after the horizon (10)"),
    ("state: P,", "state: Q,", "the plant has no state 'Q'"),
    ("priority: 2", "priority: 0", "priority must be more than 0, got 0"),
    ("priority: 2", "prio: 2", "unknown key 'prio'"),
    ("partial: true}", "partial: 3}", "partial must be true or false, got 3"),
    ("06:00 Europe/Berlin", "06:00 Europe/Berlim", "unknown time zone 'Europe/Berlim'"),
    ("2026-01-05T06:00 Eu", "2026-13-05T06:00 Eu", "date and time in ISO form"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_PROBLEMS)
def test_a_bad_order_is_refused_by_name(old, new, message, path):
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        read_problem(path)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


def test_tardiness_needs_orders_and_ids_are_their_own():
    with pytest.raises(InvalidInputError, match="'tardiness' needs orders"):
        Problem(objective="tardiness", horizon=1)
    orders = [Order(1, "P", 1, 1), Order("1", "P", 2, 1)]
    with pytest.raises(InvalidInputError, match="order '1' is there more than once"):
        Problem(horizon=1, orders=orders)


def test_all_that_is_wrong_with_a_state_is_told_at_once(path):
    bad = TEXT.replace("stocks: {Mid: 10}", "stocks: {Mid: x, Mod: 1}")
    bad = bad.replace("size: 40", "size: much").replace("task: Fill, fin", "task: React, fin")
    bad = bad.replace("{R: {batches: 2}}", "{R: {batches: 4}}")
    path.write_text(bad, encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        read_state(path)
    told = (
        "'Mid' must be a number, got the text 'x'",
        "unknown state 'Mod'",
        "running batch 1: size must be a number",
        "the task 'React' does not run on it",
        "4 batches, more than clean_after allows",
    )
    assert [any(t in p for p in caught.value.problems) for t in told] == [True] * len(told)
    assert len(caught.value.problems) == len(told)


def test_names_are_looked_up_in_a_plant_that_has_problems_of_its_own(path, capsys):
    bad = TEXT.replace("stocks: {Mid: 10}", "stocks: {Mod: 1}")
    bad = bad.replace("task: Fill, fin", "task: Fil, fin")
    bad = bad.replace("clean_after: {batches: 3", "clean_after: {batches: x")
    bad = bad.replace("objective: tardiness", "objective: profits")
    path.write_text(bad.replace("horizon: 10", "horizon: -1"), encoding="utf-8")
    for command in (["schedule"], ["region", "--out", str(path.parent / "new")]):
        assert main([command[0], str(path), *command[1:]]) == 2
        told = capsys.readouterr().err
        assert "clean_after: batches must be a number" in told
        assert "unknown state 'Mod'" in told
        assert "unknown task 'Fil' (did you mean 'Fill'?)" in told
        assert "problem: horizon must be more than 0" in told
        assert "profits" in told
