"""The referee against schedules worked out by hand: every rule broken, every permission used."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import re

import pytest

from stnopt.errors import InvalidInputError
from stnopt.plant.network import Network
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.scheduling.replay import find_violations, replay_stock
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value


def make_plant(states, tasks):
    """A plant from short rows: task -> (consumes, produces, units)."""
    return Network(
        name="by_hand",
        amount_unit="kg",
        time_unit="h",
        states={name: State(name=name, **fields) for name, fields in states.items()},
        tasks={
            name: Task(
                name=name,
                consumes=consumes,
                produces=produces,
                units={u: Suitability(task=name, unit=u, **row) for u, row in units.items()},
            )
            for name, (consumes, produces, units) in tasks.items()
        },
    )


def run(network, *batches, horizon, **stated):
    """A schedule whose final stock is right unless stated otherwise."""
    batches = tuple(Batch(*row) for row in batches)
    final_stock = compute_final_stock(batches, network) | stated
    return Schedule(batches=batches, final_stock=final_stock, horizon=horizon)


def kinds(schedule, network):
    return [violation.kind for violation in find_violations(schedule, network)]


@pytest.fixture
def trap():
    """U1 makes I (no storage) and Q; U2 turns I into P. See `storage_trap` in the benchmarks."""
    return make_plant(
        {
            "A": {"initial": math.inf},
            "I": {"capacity": 0},
            "P": {"price": 1},
            "Q": {"price": 0.5},
        },
        {
            "MakeI": ({"A": 1}, {"I": 1}, {"U1": {"max_batch": 10, "fixed_time": 1}}),
            "Other": ({"A": 1}, {"Q": 1}, {"U1": {"max_batch": 10, "fixed_time": 4}}),
            "Use": ({"I": 1}, {"P": 1}, {"U2": {"max_batch": 10, "fixed_time": 3}}),
        },
    )


@pytest.fixture
def priced():
    """One step with every cost there is: 0.25 R + 0.75 W -> 0.5 P + 0.5 by-product B, R bought."""
    return make_plant(
        {
            "R": {"initial": math.inf, "cost": 3},
            "W": {"initial": 40, "cost": 2},
            "P": {"price": 10, "initial": 1},
            "B": {},
        },
        {
            "React": (
                {"R": 0.25, "W": 0.75},
                {"P": 0.5, "B": 0.5},
                {
                    "U": {
                        "min_batch": 4,
                        "max_batch": 20,
                        "fixed_time": 1,
                        "time_per_amount": 0.1,
                        "fixed_cost": 7,
                        "cost_per_amount": 0.5,
                    },
                    "V": {"max_batch": 20, "fixed_time": 2},
                },
            )
        },
    )


# --- The nouns --------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["start", "finish", "size"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "1"])
def test_a_batch_refuses_what_is_not_a_finite_number(field, value):
    row = {"task": "T", "unit": "U", "start": 0, "finish": 1, "size": 2} | {field: value}
    with pytest.raises(InvalidInputError, match=f"'T' on 'U': {field} must be (a number|finite)"):
        Batch(**row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon must be more than 0, got 0"),
        ({"horizon": math.inf}, "horizon must be (a number|finite), got inf"),
        ({"final_stock": {"P": math.nan}}, "final_stock of 'P' must be (a number|finite)"),
    ],
)
def test_a_schedule_refuses_what_cannot_be_judged(change, message):
    with pytest.raises(InvalidInputError, match=message):
        Schedule(**({"batches": (), "final_stock": {}, "horizon": 1} | change))


def test_a_schedule_is_read_only_and_travels_between_processes(trap):
    schedule = run(trap, ("MakeI", "U1", 0, 1, 10), ("Use", "U2", 1, 4, 10), horizon=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.horizon = 8
    with pytest.raises(TypeError):
        schedule.final_stock["P"] = 0
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert copy.deepcopy(schedule) == schedule


def test_to_frame_has_a_row_per_batch(trap):
    frame = run(trap, ("MakeI", "U1", 0, 1, 10), ("Use", "U2", 1, 4, 10), horizon=7).to_frame()
    assert list(frame.columns) == ["task", "unit", "start", "finish", "size"]
    assert frame.loc[1].tolist() == ["Use", "U2", 1, 4, 10]
    assert run(trap, horizon=1).to_frame().empty


# --- One batch, one unit ----------------------------------------------------------------------


def test_the_empty_schedule_is_valid(trap):
    assert find_violations(run(trap, horizon=7), trap) == []


@pytest.mark.parametrize(
    ("batch", "kind", "element", "amount", "message"),
    [
        (("Cook", "U", 0, 2, 10), "unknown_task", "Cook", 0, "the plant has no task Cook"),
        (("React", "Z", 0, 2, 10), "unsuitable_unit", "Z", 0, "it runs only on U, V"),
        # below min_batch, above max_batch, nothing at all
        (("React", "U", 0, 1.3, 3), "batch_size", "React", 1, r"size 3 kg, outside \[4, 20\]"),
        (("React", "U", 0, 3.1, 21), "batch_size", "React", 1, r"size 21 kg, outside \[4, 20\]"),
        (("React", "V", 0, 2, 0), "batch_size", "React", 0, "size 0 kg, not above 0"),
        # too short, too long
        (("React", "U", 0, 1.9, 10), "duration", "React", 0.1, "lasts 1.9 h, but 10 kg take 2 h"),
        (("React", "U", 0, 2.5, 10), "duration", "React", 0.5, "lasts 2.5 h, but 10 kg take 2 h"),
        # before 0, after the horizon
        (("React", "U", -0.5, 1.5, 10), "horizon", "React", 0.5, "starts before 0"),
        (("React", "U", 3.5, 5.5, 10), "horizon", "React", 0.5, "0.5 after the horizon"),
    ],
)
def test_a_batch_that_breaks_one_rule(priced, batch, kind, element, amount, message):
    batches = (Batch(*batch),)
    known = [b for b in batches if b.task in priced.tasks]
    schedule = Schedule(batches=batches, final_stock=compute_final_stock(known, priced), horizon=5)
    (violation,) = find_violations(schedule, priced)
    assert (violation.kind, violation.element) == (kind, element)
    assert violation.amount == pytest.approx(amount)
    assert re.search(message, violation.message)


def test_a_unit_runs_one_batch_at_a_time(priced):
    schedule = run(priced, ("React", "U", 0, 2, 10), ("React", "U", 1.5, 3.5, 10), horizon=5)
    (violation,) = find_violations(schedule, priced)
    assert (violation.kind, violation.element, violation.time) == ("overlap", "U", 1.5)
    assert violation.amount == pytest.approx(0.5)
    assert violation.message == "U starts React at t = 1.5 h while it runs React until t = 2 h"


def test_an_overlap_with_a_long_batch_is_seen_past_a_short_one(trap):
    schedule = run(
        trap,
        ("Other", "U1", 0, 4, 1),
        ("Other", "U1", 4, 8, 1),
        ("MakeI", "U1", 5, 6, 1),
        horizon=9,
    )
    assert "overlap" in kinds(schedule, trap)
    nested = run(
        trap,
        ("Other", "U1", 0, 4, 1),
        ("MakeI", "U1", 1, 2, 1),
        ("Other", "U1", 3, 7, 1),
        horizon=9,
    )
    overlaps = [v.time for v in find_violations(nested, trap) if v.kind == "overlap"]
    assert overlaps == [1, 3]


def test_batches_back_to_back_and_units_side_by_side_do_not_overlap(priced):
    schedule = run(
        priced,
        ("React", "U", 2, 4, 10),
        ("React", "U", 0, 2, 10),
        ("React", "V", 1, 3, 10),
        horizon=4,
    )
    assert find_violations(schedule, priced) == []


# --- Material in time -------------------------------------------------------------------------


def test_the_storage_trap_is_seen(trap):
    """25 would be claimed: from 3 to 4 the second 10 kg of I are nowhere."""
    schedule = run(
        trap,
        ("MakeI", "U1", 0, 1, 10),
        ("Use", "U2", 1, 4, 10),
        ("MakeI", "U1", 2, 3, 10),
        ("Other", "U1", 3, 7, 10),
        ("Use", "U2", 4, 7, 10),
        horizon=7,
    )
    assert schedule_value(schedule, trap, "profit") == 25
    (violation,) = find_violations(schedule, trap)
    assert (violation.kind, violation.element, violation.time) == ("over_capacity", "I", 3)
    assert violation.amount == pytest.approx(10)
    assert violation.message == (
        "I holds 10 kg at t = 3 h, 10 over its capacity of 0 (U1 had to be emptied)"
    )


def test_a_unit_may_hold_its_batch_until_it_starts_the_next(trap):
    schedule = run(
        trap,
        ("MakeI", "U1", 0, 1, 10),
        ("Use", "U2", 1, 4, 10),
        ("MakeI", "U1", 2, 3, 10),
        ("Use", "U2", 4, 7, 10),
        ("Other", "U1", 4, 8, 10),
        horizon=8,
    )
    assert find_violations(schedule, trap) == []


def test_a_unit_may_hold_its_batch_until_the_horizon_ends(trap):
    schedule = run(trap, ("MakeI", "U1", 0, 1, 10), horizon=7)
    assert schedule.final_stock["I"] == 10
    assert find_violations(schedule, trap) == []


def test_material_that_is_not_there_is_missed(trap):
    schedule = run(trap, ("MakeI", "U1", 0, 1, 6), ("Use", "U2", 1, 4, 10), horizon=7)
    (violation,) = find_violations(schedule, trap)
    assert (violation.kind, violation.element, violation.time) == ("stock_below_zero", "I", 1)
    assert violation.amount == pytest.approx(4)
    assert violation.message == "I at t = 1 h: 10 kg are taken, 4 more than there is"


def test_material_that_is_still_in_the_making_is_missed(trap):
    schedule = run(trap, ("MakeI", "U1", 0, 1, 10), ("Use", "U2", 0.5, 3.5, 10), horizon=7)
    (violation,) = find_violations(schedule, trap)
    assert (violation.kind, violation.time) == ("stock_below_zero", 0.5)


def test_a_shortage_is_told_once_and_again_when_it_grows(trap):
    schedule = run(
        trap,
        ("Use", "U2", 0, 3, 2),
        ("Other", "U1", 1, 5, 1),
        ("Use", "U2", 3, 6, 3),
        horizon=7,
    )
    shortages = [(v.time, v.amount) for v in find_violations(schedule, trap) if v.element == "I"]
    assert shortages == [(0, 2), (3, 5)]


def make_tank(capacity):
    """Two units fill a tank, two draw from it; every batch takes one hour on any unit."""
    hour = {"max_batch": 20, "fixed_time": 1}
    return make_plant(
        {"A": {"initial": math.inf}, "I": {"capacity": capacity}, "P": {"price": 1}},
        {
            "Fill": ({"A": 1}, {"I": 1}, {"F1": hour, "F2": hour}),
            "Wash": ({"A": 1}, {"P": 1}, {"F1": hour, "F2": hour}),
            "Draw": ({"I": 1}, {"P": 1}, {"D1": hour, "D2": hour}),
        },
    )


@pytest.fixture
def tank():
    return make_tank(10)


def test_a_tank_overflows_by_the_excess(tank):
    schedule = run(
        tank,
        ("Fill", "F1", 0, 1, 12.5),
        ("Wash", "F1", 2.2, 3.2, 1),
        ("Draw", "D1", 3, 4, 12.5),
        horizon=9,
    )
    (violation,) = find_violations(schedule, tank)
    assert violation.message == (
        "I holds 12.5 kg at t = 2.2 h, 2.5 over its capacity of 10 (F1 had to be emptied)"
    )


def test_a_tank_that_stays_full_is_told_once_and_again_when_it_grows(tank):
    schedule = run(
        tank,
        ("Fill", "F1", 0, 1, 12),
        ("Fill", "F1", 1, 2, 3),
        ("Fill", "F1", 2, 3, 1),
        horizon=9,
    )
    assert [(v.time, v.amount) for v in find_violations(schedule, tank)] == [(1, 2), (2, 5)]


def test_a_breach_that_was_mended_is_told_when_it_comes_back(tank):
    schedule = run(
        tank,
        ("Draw", "D1", 0, 1, 3),  # nothing there
        ("Fill", "F1", 0, 1, 3),
        ("Fill", "F1", 1, 2, 12),
        ("Wash", "F1", 2, 3, 1),  # 12 into the tank of 10
        ("Draw", "D1", 3, 4, 12),
        ("Draw", "D1", 4, 5, 3),  # nothing there
        ("Fill", "F2", 4, 5, 15),
        ("Wash", "F2", 5, 6, 1),  # 12 into the tank of 10
        horizon=9,
    )
    told = [(v.kind, v.time, v.amount) for v in find_violations(schedule, tank)]
    short, over = "stock_below_zero", "over_capacity"
    assert told == [(short, 0, 3), (over, 2, 2), (short, 4, 3), (over, 5, 2)]


def test_a_batch_may_wait_in_part(tank):
    """At 2, F1 is needed: 4 of its 14 have been drawn, 10 go to the tank, which then is full."""
    rows = [("Fill", "F1", 0, 1, 14), ("Draw", "D1", 1.5, 2.5, 4), ("Wash", "F1", 2, 3, 1)]
    assert kinds(run(tank, *rows, horizon=5), tank) == []
    rows[1] = ("Draw", "D1", 1.5, 2.5, 3.9)
    (violation,) = find_violations(run(tank, *rows, horizon=5), tank)
    assert (violation.kind, violation.time) == ("over_capacity", 2)
    assert violation.amount == pytest.approx(0.1)


def test_the_unit_that_must_be_empty_first_is_drawn_from_first():
    """No tank. F2 holds from 1 to 4, F1 from 2 to 3: what is drawn at 2 must come from F1."""
    pipe = make_tank(0)
    rows = [
        ("Fill", "F2", 0, 1, 10),
        ("Fill", "F1", 1, 2, 10),
        ("Draw", "D1", 2, 3, 10),
        ("Wash", "F1", 3, 4, 1),
        ("Draw", "D1", 4, 5, 10),
        ("Wash", "F2", 4, 5, 1),
    ]
    assert kinds(run(pipe, *rows, horizon=6), pipe) == []
    rows[5] = ("Wash", "F2", 3, 4, 1)
    assert kinds(run(pipe, *rows, horizon=6), pipe) == ["over_capacity"]


def test_storage_is_drawn_from_before_a_unit_that_still_may_wait(tank):
    """Full tank, 5 in F1: drawing 5 from the tank makes room for F1's 5 at its restart."""
    rows = [
        ("Fill", "F2", 0, 1, 10),
        ("Wash", "F2", 1, 2, 1),
        ("Fill", "F1", 0, 1, 5),
        ("Draw", "D1", 2, 3, 5),
        ("Wash", "F1", 3, 4, 1),
    ]
    assert kinds(run(tank, *rows, horizon=6), tank) == []


def test_at_one_instant_releases_dumps_and_consumption_are_netted(tank):
    """At 2: the tank of 10 is full, F1 releases 20 and restarts at once, D1 and D2 take 20."""
    rows = [
        ("Fill", "F1", 0, 1, 10),
        ("Fill", "F1", 1, 2, 20),
        ("Draw", "D1", 2, 3, 15),
        ("Draw", "D2", 2, 3, 5),
        ("Wash", "F1", 2, 3, 1),
    ]
    assert kinds(run(tank, *rows, horizon=6), tank) == []


def test_a_unit_may_take_what_it_holds_for_its_own_next_batch():
    plant = make_plant(
        {"A": {"initial": math.inf}, "I": {"capacity": 0}, "P": {}},
        {
            "Heat": ({"A": 1}, {"I": 1}, {"U": {"max_batch": 10, "fixed_time": 1}}),
            "Hold": ({"I": 1}, {"P": 1}, {"U": {"max_batch": 10, "fixed_time": 1}}),
        },
    )
    schedule = run(plant, ("Heat", "U", 0, 1, 10), ("Hold", "U", 3, 4, 10), horizon=6)
    assert find_violations(schedule, plant) == []
    schedule = run(plant, ("Heat", "U", 0, 1, 10), ("Hold", "U", 3, 4, 8), horizon=6)
    (violation,) = find_violations(schedule, plant)
    assert (violation.kind, violation.time) == ("over_capacity", 3)
    assert violation.amount == pytest.approx(2)


def test_outputs_of_one_batch_wait_separately():
    """At 2 the unit restarts: I has been consumed, J fits its tank; J alone would not fit I's."""
    plant = make_plant(
        {"A": {"initial": math.inf}, "I": {"capacity": 0}, "J": {"capacity": 5}, "P": {}},
        {
            "Split": ({"A": 1}, {"I": 0.5, "J": 0.5}, {"U": {"max_batch": 10, "fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"max_batch": 10, "fixed_time": 1}}),
        },
    )
    rows = [("Split", "U", 0, 1, 10), ("Use", "V", 1.5, 2.5, 5), ("Split", "U", 2, 3, 10)]
    assert kinds(run(plant, *rows, horizon=4), plant) == []
    rows.append(("Split", "U", 4, 5, 1))
    violations = find_violations(run(plant, *rows, horizon=6), plant)
    assert [(v.kind, v.element, v.time, v.amount) for v in violations] == [
        ("over_capacity", "I", 4, 5),
        ("over_capacity", "J", 4, 5),
    ]


def test_initial_stock_lies_in_storage_from_the_start():
    plant = make_plant(
        {"A": {"initial": 8, "capacity": 8}, "P": {}},
        {
            "Use": ({"A": 1}, {"P": 1}, {"U": {"max_batch": 10, "fixed_time": 1}}),
            "Return": ({"P": 1}, {"A": 1}, {"U": {"max_batch": 10, "fixed_time": 1}}),
        },
    )
    assert kinds(run(plant, ("Use", "U", 0, 1, 8), horizon=2), plant) == []
    assert kinds(run(plant, ("Use", "U", 0, 1, 9), horizon=2), plant) == ["stock_below_zero"]


@pytest.fixture
def distillery():
    """Separation gives the light part L after 1 of its 2 h, the heavy H at its end; L: tank 3."""
    return make_plant(
        {
            "A": {"initial": math.inf},
            "L": {"capacity": 3},
            "H": {"capacity": 0},
            "P": {},
        },
        {
            "Separate": (
                {"A": 1},
                {"L": 0.4, "H": 0.6},
                {"S": {"max_batch": 20, "fixed_time": 2, "release_time": {"L": 1, "H": 2}}},
            ),
            "Use": ({"L": 1}, {"P": 1}, {"U": {"max_batch": 10, "fixed_time": 1}}),
        },
    )


def test_an_early_release_is_there_before_the_batch_ends(distillery):
    rows = [("Separate", "S", 0, 2, 10), ("Use", "U", 1, 2, 4)]
    assert kinds(run(distillery, *rows, horizon=3), distillery) == []
    rows[1] = ("Use", "U", 0.9, 1.9, 4)
    assert "stock_below_zero" in kinds(run(distillery, *rows, horizon=3), distillery)


def test_an_early_release_cannot_wait_in_its_unit(distillery):
    """H, released when the batch ends, may wait though it has no tank; L may not."""
    assert kinds(run(distillery, ("Separate", "S", 0, 2, 7.5), horizon=3), distillery) == []
    schedule = run(distillery, ("Separate", "S", 0, 2, 10), horizon=3)
    (violation,) = find_violations(schedule, distillery)
    assert (violation.kind, violation.element, violation.time) == ("over_capacity", "L", 1)
    assert violation.amount == pytest.approx(1)


@pytest.fixture
def fizz():
    """Z must be consumed at once, by Bottle or by Can."""
    hour = {"max_batch": 10, "fixed_time": 1}
    return make_plant(
        {"A": {"initial": math.inf}, "Z": {"zero_wait": True}, "P": {}},
        {
            "Mix": ({"A": 1}, {"Z": 1}, {"M1": hour, "M2": hour}),
            "Bottle": ({"Z": 1}, {"P": 1}, {"B": hour}),
            "Can": ({"Z": 1}, {"P": 1}, {"C": hour}),
        },
    )


def test_a_zero_wait_state_may_be_split_and_joined_at_its_instant(fizz):
    rows = [
        ("Mix", "M1", 0, 1, 10),
        ("Mix", "M2", 0, 1, 2),
        ("Bottle", "B", 1, 2, 5),
        ("Can", "C", 1, 2, 7),
    ]
    assert kinds(run(fizz, *rows, horizon=3), fizz) == []


@pytest.mark.parametrize(
    ("rows", "times"),
    [
        ([("Mix", "M1", 0, 1, 10)], [1]),  # never consumed
        ([("Mix", "M1", 2, 3, 10)], [3]),  # released when the horizon ends: it may not stay
        ([("Mix", "M1", 0, 1, 10), ("Can", "C", 1, 2, 7)], [1]),  # in part
        ([("Mix", "M1", 0, 1, 7), ("Can", "C", 1, 2, 10)], [1]),  # more than released
        ([("Mix", "M1", 0, 1, 7), ("Can", "C", 1.5, 2.5, 7)], [1, 1.5]),  # later
        ([("Mix", "M1", 0, 1, 7), ("Can", "C", 0.5, 1.5, 7)], [0.5, 1]),  # earlier
    ],
)
def test_a_zero_wait_state_cannot_wait(fizz, rows, times):
    violations = find_violations(run(fizz, *rows, horizon=3), fizz)
    assert [(v.kind, v.element) for v in violations] == [("zero_wait", "Z")] * len(times)
    assert [v.time for v in violations] == times


def test_the_zero_wait_message_compares_both_amounts(fizz):
    schedule = run(fizz, ("Mix", "M1", 0, 1, 10), ("Can", "C", 1, 2, 7), horizon=3)
    (violation,) = find_violations(schedule, fizz)
    assert violation.amount == pytest.approx(3)
    assert violation.message == (
        "Z cannot wait: 10 kg released at t = 1 h, 7 consumed at that instant"
    )


def test_a_task_within_one_instant_may_pass_material_on_but_not_make_its_own():
    instant = {"max_batch": 10, "fixed_time": 1e-9}
    plant = make_plant(
        {"A": {"initial": 5}, "X": {}, "Y": {}},
        {
            "Label": ({"A": 1}, {"X": 1}, {"U": instant}),
            "Turn": ({"X": 1}, {"Y": 1}, {"V": instant}),
            "Return": ({"Y": 1}, {"X": 1}, {"W": instant}),
        },
    )
    rows = [("Turn", "V", 1, 1, 5), ("Label", "U", 1, 1, 5), ("Return", "W", 1, 1, 5)]
    assert kinds(run(plant, *rows, horizon=2), plant) == []
    # Turn and Return feed each other, but nothing ever brought the first X.
    violations = find_violations(run(plant, rows[0], rows[2], horizon=2), plant)
    assert [(v.kind, v.time, v.amount) for v in violations] == [("stock_below_zero", 1, 5)] * 2


# --- What is left, and what it is worth -------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "element", "amount", "message"),
    [
        ({"P": 7}, "P", 1, "final stock of P: stated 7 kg, but the batches give 6"),
        ({"W": 0}, "W", 32.5, "final stock of W: stated 0 kg, but the batches give 32.5"),
        ({"R": 0}, "R", 2.5, "consumption of R: stated 0 kg, but the batches give 2.5"),
        ({"Gold": 3}, "Gold", 3, "final stock of Gold: the plant has no such state"),
    ],
)
def test_a_wrong_final_stock_is_told(priced, stated, element, amount, message):
    schedule = run(priced, ("React", "U", 0, 2, 10), horizon=5, **stated)
    (violation,) = find_violations(schedule, priced)
    assert (violation.kind, violation.element, violation.time) == ("final_stock", element, 5)
    assert violation.amount == pytest.approx(amount)
    assert violation.message == message


def test_a_state_left_out_of_the_final_stock_counts_as_zero(priced):
    schedule = run(priced, ("React", "U", 0, 2, 10), horizon=5)
    stated = {name: amount for name, amount in schedule.final_stock.items() if name != "B"}
    schedule = dataclasses.replace(schedule, final_stock=stated)
    assert kinds(schedule, priced) == ["final_stock"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        # stock of P: 1 + 0.5 * (10 + 20) = 16; R used 7.5, W used 22.5
        ("production", 16),
        ("cost", 3 * 7.5 + 2 * 22.5 + 7 + 0.5 * 10),  # V charges nothing
        ("profit", 10 * 16 - (3 * 7.5 + 2 * 22.5 + 7 + 0.5 * 10)),
        ("makespan", 3),
    ],
)
def test_schedule_value(priced, kind, value):
    schedule = run(priced, ("React", "U", 0, 2, 10), ("React", "V", 1, 3, 20), horizon=5)
    assert find_violations(schedule, priced) == []
    assert schedule_value(schedule, priced, kind) == pytest.approx(value)


def test_the_empty_schedule_sells_the_initial_stock_and_ends_at_once(priced):
    schedule = run(priced, horizon=5)
    values = [schedule_value(schedule, priced, k) for k in ("profit", "cost", "makespan")]
    assert values == [10, 0, 0]


def test_schedule_value_does_not_believe_the_stated_stock(priced):
    schedule = run(priced, ("React", "U", 0, 2, 10), horizon=5, P=1000)
    assert schedule_value(schedule, priced, "production") == pytest.approx(6)


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        (
            ("React", "U", 0, 2, 10),
            "speed",
            "kind: expected one of 'profit', 'production', 'cost', 'makespan'",
        ),
        (("Cook", "U", 0, 2, 10), "profit", "has no task 'Cook'; it has React"),
        (("React", "Z", 0, 2, 10), "cost", "does not run 'React' on 'Z'"),
    ],
)
def test_schedule_value_refuses_what_it_cannot_count(priced, row, kind, message):
    schedule = Schedule(batches=(Batch(*row),), final_stock={}, horizon=5)
    with pytest.raises(InvalidInputError, match=message):
        schedule_value(schedule, priced, kind)


# --- Tolerances -------------------------------------------------------------------------------


def pass_on(trap, *, early=0.0, short=0.0, over=0.0):
    """Use starts `early` before I is there, takes `short` too much; U1 restarts `over` too soon."""
    return run(
        trap,
        ("MakeI", "U1", 0, 1, 5),
        ("Use", "U2", 1 - early, 4 - early, 5 + short),
        ("Other", "U1", 1 - over, 5 - over, 5),
        horizon=8,
    )


@pytest.mark.parametrize("keyword", ["early", "over"])
def test_times_are_compared_within_a_millionth_of_the_horizon(trap, keyword):
    assert kinds(pass_on(trap, **{keyword: 0.9 * 8e-6}), trap) == []
    assert kinds(pass_on(trap, **{keyword: 1.1 * 8e-6}), trap) != []


def test_amounts_are_compared_within_a_millionth_of_the_largest_batch_per_movement(trap):
    assert kinds(pass_on(trap, short=1.9e-5), trap) == []
    assert kinds(pass_on(trap, short=2.1e-5), trap) == ["stock_below_zero"]
    assert kinds(pass_on(trap, short=-1.9e-5), trap) == []
    assert kinds(pass_on(trap, short=-2.1e-5), trap) == ["over_capacity"]


def test_small_shortages_add_up(tank):
    """Each draw is within tolerance of what is left; together they create material."""
    step = 0.9e-6 * 20
    rows = [("Fill", "F1", 0, 1, 5), ("Draw", "D1", 1, 2, 5)]
    rows += [("Draw", "D1", 2 + k, 3 + k, 1.5 * step) for k in range(5)]
    assert kinds(run(tank, *rows, horizon=10), tank) == []
    rows += [("Draw", "D1", 7, 8, 3 * step), ("Draw", "D1", 8, 9, 3 * step)]
    assert kinds(run(tank, *rows, horizon=10), tank) == ["stock_below_zero"]


def test_a_long_schedule_with_rounded_sizes_raises_no_false_alarm(trap):
    """100 passes through a state without storage, every second size wrong by a tolerance."""
    third, error = 10 / 3, 1e-5
    rows = []
    for k in range(100):
        rows.append(("MakeI", "U1", k, k + 1, third))
        rows.append(("Use", f"U2_{k}", k + 1, k + 4, third + error))
    units = {f"U2_{k}": {"max_batch": 10, "fixed_time": 3} for k in range(100)}
    plant = make_plant(
        {"A": {"initial": math.inf}, "I": {"capacity": 0}, "P": {"price": 1}},
        {
            "MakeI": ({"A": 1}, {"I": 1}, {"U1": {"max_batch": 10, "fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, units),
        },
    )
    assert kinds(run(plant, *rows, horizon=104), plant) == []


def test_a_chain_of_near_equal_times_does_not_merge_without_end():
    """Batches ending 0.9 tolerances apart: two are one instant, the ends of the chain not."""
    horizon, gap = 10.0, 0.9e-5
    mixes = [("Mix", f"M{k}", k * gap, 1 + k * gap, 1) for k in range(20)]
    hour = {"max_batch": 20, "fixed_time": 1}
    plant = make_plant(
        {"A": {"initial": math.inf}, "Z": {"zero_wait": True}, "P": {}},
        {
            "Mix": ({"A": 1}, {"Z": 1}, {f"M{k}": hour for k in range(20)}),
            "Bottle": ({"Z": 1}, {"P": 1}, {"B": hour}),
        },
    )
    two = run(plant, *mixes[:2], ("Bottle", "B", 1 + gap, 2 + gap, 2), horizon=horizon)
    assert kinds(two, plant) == []
    all_of_them = run(plant, *mixes, ("Bottle", "B", 1, 2, 20), horizon=horizon)
    assert "zero_wait" in kinds(all_of_them, plant)


# --- Levels for the plots ---------------------------------------------------------------------


def test_replay_stock_gives_the_levels_between_instants(tank):
    schedule = run(
        tank,
        ("Fill", "F1", 0, 1, 14),
        ("Draw", "D1", 1.5, 2.5, 4),
        ("Wash", "F1", 2, 3, 1),
        horizon=5,
    )
    levels = replay_stock(schedule, tank)
    assert set(levels["state"]) == {"I", "P"}
    level = levels[levels["state"] == "I"].set_index("time")
    assert level.index.tolist() == [0, 1, 1.5, 2, 2.5, 3, 5]
    assert level["waiting"].tolist() == [0, 14, 10, 0, 0, 0, 0]
    assert level["stored"].tolist() == [0, 0, 0, 10, 10, 10, 10]


def test_replay_stock_keeps_in_storage_what_always_fits(tank):
    schedule = run(tank, ("Fill", "F1", 0, 1, 9), horizon=5)
    levels = replay_stock(schedule, tank)
    assert levels["waiting"].eq(0).all()
    final = levels.groupby("state")["stored"].last()
    assert final.to_dict() == {"I": 9, "P": 0}
