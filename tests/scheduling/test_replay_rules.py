"""The referee on maintenance, changeovers, utilities and deliveries: what breaks, what is allowed.

Every schedule that must be rejected stands beside a neighbour that must not.
"""

from __future__ import annotations

import dataclasses

import pytest
from plants_with_rules import all_cases, make_plant

from stnopt.errors import InvalidInputError
from stnopt.plant.problem import Delivery
from stnopt.scheduling.replay import find_violations, replay_stock
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value

CASES = all_cases()


def run(network, *rows, horizon, deliveries=()):
    """A schedule from rows, with the final stock that they leave."""
    batches = [Batch(*row) for row in rows]
    known = [d for d in deliveries if d.state in network.states]
    return Schedule(
        batches=batches,
        final_stock=compute_final_stock(batches, network, known),
        horizon=horizon,
        deliveries=deliveries,
    )


def told(schedule, network):
    return [
        (v.kind, v.element, v.time, round(v.amount, 9)) for v in find_violations(schedule, network)
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_schedule_worked_out_by_hand_is_valid_and_worth_what_it_should(name):
    case = CASES[name]
    assert find_violations(case.schedule, case.network) == []
    value = schedule_value(case.schedule, case.network, case.problem.objective)
    assert value == pytest.approx(case.best)
    for state, amount in case.problem.targets.items():
        assert case.schedule.final_stock[state] >= amount


# What a reader who ignores or misreads a rule takes for better, and the first thing it breaks.
TOO_GOOD = {
    "maintenance": (
        20,
        ("over_capacity", "I", 3, 6),
        [
            ("Make", "U1", 0, 2, 10),
            ("Use", "U2", 4, 7, 10),
            ("Make", "U1", 6, 8, 10),
            ("Use", "U2", 8, 11, 10),
        ],
    ),
    "maintenance_makespan": (
        9,
        ("unit_unavailable", "U", 3, 1),
        [("Make", "U", 0, 2, 10), ("Make", "U", 2, 4, 10), ("Make", "U", 7, 9, 10)],
    ),
    "changeover": (
        100,
        ("changeover", "U", 2, 1),
        [
            ("Wash", "V", 0, 2, 10),
            ("Blue", "U", 0, 1, 10),
            ("Blue", "U", 1, 2, 10),
            ("Wash", "V", 2, 4, 10),
            ("Red", "U", 2, 3, 10),
            ("Red", "U", 4, 5, 10),
        ],
    ),
    "changeover_after_waiting": (
        80,
        ("over_capacity", "I", 3, 10),
        [
            ("Make", "U", 0, 1, 10),
            ("Use", "V", 1, 5, 10),
            ("Make", "U", 1, 2, 10),
            ("Use", "V", 5, 9, 10),
            *(("Other", "U", hour, hour + 1, 10) for hour in (5, 6, 7, 8)),
        ],
    ),
    "utility": (
        30,
        ("over_utility", "steam", 0, 10),
        [("Heat", "H1", 0, 2, 10), ("Heat", "H2", 0, 2, 10), ("Heat", "H1", 2, 4, 10)],
    ),
    "deliveries": (
        70,
        ("over_capacity", "B", 2, 8),
        [
            ("Blue", "U", 0, 1, 10),
            ("Blue", "U", 1, 2, 10),
            ("Red", "U", 2, 5, 10),
            ("Red", "U", 5, 8, 10),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_looks_better_breaks_the_rule(name):
    case = CASES[name]
    value, expected, rows = TOO_GOOD[name]
    schedule = run(
        case.network, *rows, horizon=case.problem.horizon, deliveries=case.problem.deliveries
    )
    assert schedule_value(schedule, case.network, case.problem.objective) == pytest.approx(value)
    assert told(schedule, case.network)[0] == expected


# --- Unavailable units ------------------------------------------------------------------------


@pytest.fixture
def away():
    """Make or Long on U, which is away from 3 to 5 and from 7 to 8; I has a tank of 4."""
    return make_plant(
        "away",
        {"I": {"capacity": 4}, "P": {"price": 1}},
        {
            "Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}}),
            "Long": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 3}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 1}}),
        },
        units={"U": {"unavailable": [(7, 8), (3, 5)]}},
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("Make", "U", 2, 3, 4), []),  # up to the period
        (("Make", "U", 5, 6, 4), []),  # from its end on
        (("Make", "U", 6, 7, 4), []),
        (("Make", "U", 2.5, 3.5, 4), [("unit_unavailable", "U", 3, 0.5)]),
        (("Make", "U", 4.5, 5.5, 4), [("unit_unavailable", "U", 4.5, 0.5)]),
        (("Make", "U", 3.5, 4.5, 4), [("unit_unavailable", "U", 3.5, 1)]),  # within
        (("Long", "U", 2.5, 5.5, 4), [("unit_unavailable", "U", 3, 2)]),  # around
        (
            ("Long", "U", 4.5, 7.5, 4),
            [("unit_unavailable", "U", 4.5, 0.5), ("unit_unavailable", "U", 7, 0.5)],
        ),
    ],
)
def test_no_batch_runs_while_its_unit_is_away(away, row, expected):
    assert told(run(away, row, horizon=9), away) == expected


def test_a_period_is_kept_within_a_millionth_of_the_horizon(away):
    late = 1e-6 * 9
    inside = run(away, ("Make", "U", 2 + 0.9 * late, 3 + 0.9 * late, 10), horizon=9)
    assert [v.kind for v in find_violations(inside, away)] == ["over_capacity"]  # 10 in a tank of 4
    outside = run(away, ("Make", "U", 2 + 1.1 * late, 3 + 1.1 * late, 4), horizon=9)
    assert [v.kind for v in find_violations(outside, away)] == ["unit_unavailable"]


def test_the_message_names_unit_period_and_batch(away):
    (violation,) = find_violations(run(away, ("Make", "U", 2.5, 3.5, 4), horizon=9), away)
    assert violation.message == (
        "U is unavailable from t = 3 h to 5, but runs Make from t = 2.5 h to 3.5"
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # taken at 3, when the period starts: nothing waits in U from then on
        ([("Make", "U", 1, 2, 10), ("Use", "V", 3, 4, 6)], []),
        ([("Make", "U", 1, 2, 10), ("Use", "V", 3.1, 4.1, 6)], [("over_capacity", "I", 3, 6)]),
        # released when the period starts
        ([("Make", "U", 2, 3, 10), ("Use", "V", 3, 4, 6)], []),
        ([("Make", "U", 2, 3, 10)], [("over_capacity", "I", 3, 6)]),
        # between the periods it may wait again, up to the next one
        ([("Make", "U", 5, 6, 10), ("Use", "V", 7, 8, 6)], []),
        ([("Make", "U", 5, 6, 10), ("Use", "V", 7.5, 8.5, 6)], [("over_capacity", "I", 7, 6)]),
        # after the last period it may wait to the end
        ([("Make", "U", 8, 9, 10)], []),
    ],
)
def test_nothing_waits_in_a_unit_that_is_away(away, rows, expected):
    assert told(run(away, *rows, horizon=10), away) == expected


def test_a_period_from_the_horizon_on_is_no_concern(away):
    assert told(run(away, ("Make", "U", 6, 7, 10), horizon=7), away) == []
    assert told(run(away, ("Make", "U", 6, 7, 10), horizon=7.5), away) == [
        ("over_capacity", "I", 7, 6)
    ]


# --- Changeovers ------------------------------------------------------------------------------


@pytest.fixture
def washed():
    """Fill and Other on U, cleaned 2 h from Fill to Other, none the other way; I has no tank."""
    return make_plant(
        "washed",
        {"I": {"capacity": 0}, "P": {"price": 1}},
        {
            "Fill": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}, "W": {"fixed_time": 1}}),
            "Other": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 1}, "W": {"fixed_time": 1}}),
            "Third": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 0.5}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 1}}),
        },
        units={"U": {"changeovers": {("Fill", "Other"): 2, ("Other", "Other"): 0.5}}},
    )


EMPTIED = ("Use", "V", 1, 2, 10)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("Fill", "U", 0, 1, 10), EMPTIED, ("Other", "U", 3, 4, 1)], []),
        (
            [("Fill", "U", 0, 1, 10), EMPTIED, ("Other", "U", 2.9, 3.9, 1)],
            [("changeover", "U", 2.9, 0.1)],
        ),
        (
            [("Fill", "U", 0, 1, 10), EMPTIED, ("Other", "U", 1, 2, 1)],
            [("changeover", "U", 1, 2)],
        ),
        # the other way round, and on the other unit, there is none
        ([("Other", "U", 0, 1, 1), ("Fill", "U", 1, 2, 10)], []),
        ([("Fill", "W", 0, 1, 10), EMPTIED, ("Other", "W", 1, 2, 1)], []),
        # a task after itself
        ([("Other", "U", 0, 1, 1), ("Other", "U", 1.5, 2.5, 1)], []),
        ([("Other", "U", 0, 1, 1), ("Other", "U", 1, 2, 1)], [("changeover", "U", 1, 0.5)]),
        # only batches that follow each other directly count: Third in between needs no cleaning
        (
            [
                ("Fill", "U", 0, 1, 10),
                EMPTIED,
                ("Third", "U", 1, 1.5, 1),
                ("Other", "U", 1.5, 2.5, 1),
            ],
            [],
        ),
        # an overlap is told as such
        (
            [("Other", "U", 0, 1, 1), ("Other", "U", 0.5, 1.5, 1)],
            [("overlap", "U", 0.5, 0.5)],
        ),
    ],
)
def test_the_changeover_takes_its_time(washed, rows, expected):
    assert told(run(washed, *rows, horizon=9), washed) == expected


def test_a_changeover_is_kept_within_a_millionth_of_the_horizon(washed):
    for early, expected in ((0.9e-5, []), (1.1e-5, ["changeover"])):
        row = ("Other", "U", 3 - early, 4 - early, 1)
        schedule = run(washed, ("Fill", "U", 0, 1, 10), EMPTIED, row, horizon=10)
        assert [v.kind for v in find_violations(schedule, washed)] == expected


def test_the_message_names_both_tasks(washed):
    rows = [("Fill", "U", 0, 1, 10), EMPTIED, ("Other", "U", 2.5, 3.5, 1)]
    (violation,) = find_violations(run(washed, *rows, horizon=9), washed)
    assert violation.message == (
        "U starts Other at t = 2.5 h, 1.5 h after Fill, but the changeover takes 2 h"
    )


@pytest.mark.parametrize(("taken", "in_time"), [(3, True), (3.1, False), (5, False)])
def test_nothing_waits_in_a_unit_that_is_cleaned(washed, taken, in_time):
    """Other starts at 5, so that U is cleaned from 3 on."""
    rows = [("Fill", "U", 0, 1, 10), ("Use", "V", taken, taken + 1, 10), ("Other", "U", 5, 6, 1)]
    found = told(run(washed, *rows, horizon=9), washed)
    assert found == ([] if in_time else [("over_capacity", "I", 3, 10)])


def test_cleaning_and_absence_both_empty_a_unit():
    """Cleaning before a start at 6 begins at 4, maintenance at 3: what is left must leave at 3."""
    network = make_plant(
        "both",
        {"I": {"capacity": 0}, "P": {}},
        {
            "Fill": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 1}}),
        },
        units={"U": {"unavailable": [(3, 5)], "changeovers": {("Fill", "Fill"): 2}}},
    )
    rows = [("Fill", "U", 0, 1, 10), ("Use", "V", 3, 4, 10), ("Fill", "U", 6, 7, 10)]
    assert told(run(network, *rows, horizon=9), network) == []
    rows[1] = ("Use", "V", 3.5, 4.5, 10)
    assert told(run(network, *rows, horizon=9), network) == [("over_capacity", "I", 3, 10)]


# --- Utilities --------------------------------------------------------------------------------


@pytest.fixture
def steamy():
    """Heat draws 2 + 0.5 B, Hold always 3; there are 8 of steam and 4 of crew, one for each."""
    heat = {
        "fixed_time": 2,
        "draws": {"steam": 2, "crew": 1},
        "draws_per_amount": {"steam": 0.5},
    }
    hold = {"fixed_time": 3, "draws": {"steam": 3, "crew": 1}}
    units = ("U1", "U2", "U3", "U4", "U5")
    return make_plant(
        "steamy",
        {"P": {"price": 1}},
        {
            "Heat": ({"A": 1}, {"P": 1}, dict.fromkeys(units, heat)),
            "Hold": ({"A": 1}, {"P": 1}, dict.fromkeys(units, hold)),
            "Rest": ({"A": 1}, {"P": 1}, {"U1": {"fixed_time": 5}}),
        },
        utilities={"steam": 8, "crew": 4},
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("Heat", "U1", 0, 2, 6), ("Hold", "U2", 0, 3, 9)], []),  # 5 + 3
        (
            [("Heat", "U1", 0, 2, 6.1), ("Hold", "U2", 0, 3, 9)],
            [("over_utility", "steam", 0, 0.05)],
        ),
        # one that ends frees its share for one that starts
        ([("Heat", "U1", 0, 2, 10), ("Heat", "U2", 2, 4, 10)], []),
        (
            [("Heat", "U1", 0, 2, 10), ("Heat", "U2", 1.9, 3.9, 10)],
            [("over_utility", "steam", 1.9, 6)],
        ),
        # a breach is told when it begins, when it grows, and when it comes back
        (
            [
                ("Hold", "U1", 0, 3, 1),
                ("Hold", "U2", 0.5, 3.5, 1),
                ("Hold", "U3", 1, 4, 1),
                ("Heat", "U4", 2, 4, 2),
                ("Hold", "U1", 5, 8, 1),
                ("Heat", "U4", 5, 7, 8),
            ],
            [
                ("over_utility", "steam", 1, 1),
                ("over_utility", "steam", 2, 4),
                ("over_utility", "steam", 5, 1),
            ],
        ),
        ([("Rest", "U1", 0, 5, 9), ("Heat", "U2", 0, 2, 10)], []),  # Rest draws nothing
    ],
)
def test_running_batches_share_a_utility(steamy, rows, expected):
    assert told(run(steamy, *rows, horizon=9), steamy) == expected


def test_each_utility_is_checked():
    """Steam for all, but a crew of two."""
    network = make_plant(
        "crewed",
        {"P": {}},
        {
            "Heat": (
                {"A": 1},
                {"P": 1},
                {
                    u: {"fixed_time": 2, "draws": {"steam": 1, "crew": 1}}
                    for u in ("U1", "U2", "U3")
                },
            )
        },
        utilities={"steam": 9, "crew": 2},
    )
    rows = [("Heat", "U1", 0, 2, 1), ("Heat", "U2", 1, 3, 1), ("Heat", "U3", 2, 4, 1)]
    assert told(run(network, *rows, horizon=9), network) == []
    rows[2] = ("Heat", "U3", 1.5, 3.5, 1)
    (violation,) = find_violations(run(network, *rows, horizon=9), network)
    assert violation.message == (
        "crew at t = 1.5 h: 3 are drawn by Heat on U1 and Heat on U2 and Heat on U3, "
        "1 over its capacity of 2"
    )


def test_a_utility_is_compared_within_the_tolerances_of_sizes_and_times(steamy):
    """8 of steam allow 10 * 1e-6 in a size and 8e-6 in the sum, and times 1e-6 of the horizon."""
    for over, expected in ((2.5e-5, []), (2.7e-5, ["over_utility"])):
        rows = [("Heat", "U1", 0, 2, 6 + over), ("Hold", "U2", 0, 3, 9)]
        found = find_violations(run(steamy, *rows, horizon=9), steamy)
        assert [v.kind for v in found] == expected
    for early, expected in ((0.9e-5, []), (1.1e-5, ["over_utility"])):
        rows = [("Heat", "U1", 0, 2, 10), ("Heat", "U2", 2 - early, 4 - early, 10)]
        found = find_violations(run(steamy, *rows, horizon=10), steamy)
        assert [v.kind for v in found] == expected


# --- Deliveries -------------------------------------------------------------------------------


@pytest.fixture
def shop():
    """Make and Long fill P's tank of 10 from U and W; Z cannot wait."""
    hour = {"fixed_time": 1}
    return make_plant(
        "shop",
        {
            "P": {"price": 2, "capacity": 10, "initial": 3},
            "Q": {"price": 1},
            "Z": {"zero_wait": True},
        },
        {
            "Make": ({"A": 1}, {"P": 1}, {"U": hour, "W": hour}),
            "Polish": ({"P": 1}, {"Q": 1}, {"X": hour}),
            "Spray": ({"A": 1}, {"Z": 1}, {"Y": hour}),
            "Catch": ({"Z": 1}, {"Q": 1}, {"V": hour}),
        },
    )


@pytest.mark.parametrize(
    ("rows", "due", "expected"),
    [
        ([], [("P", 0, 3)], []),  # from the initial stock, at once
        ([], [("P", 0, 3.5)], [("missed_delivery", "P", 0, 0.5)]),
        ([("Make", "U", 0, 1, 10)], [("P", 1, 13)], []),  # releases come first
        ([("Make", "U", 0, 1, 10)], [("P", 0.9, 13)], [("missed_delivery", "P", 0.9, 10)]),
        ([("Make", "U", 0, 1, 10)], [("P", 1, 8), ("P", 5, 5)], []),
        (
            [("Make", "U", 0, 1, 10)],
            [("P", 1, 8), ("P", 5, 5.5)],
            [("missed_delivery", "P", 5, 0.5)],
        ),
        ([("Make", "U", 0, 1, 10)], [("P", 2, 5), ("P", 2, 8)], []),  # two at one instant
        ([("Make", "U", 0, 1, 10)], [("P", 6, 13)], []),  # at the horizon's end
        # what is delivered is gone for the batch that comes later
        ([("Polish", "X", 2, 3, 1)], [("P", 1, 2)], []),
        ([("Polish", "X", 2, 3, 1)], [("P", 1, 3)], [("stock_below_zero", "P", 2, 1)]),
        # a batch at the same instant is served before
        ([("Polish", "X", 1, 2, 1)], [("P", 1, 3)], [("missed_delivery", "P", 1, 1)]),
        (
            [("Polish", "X", 1, 2, 5)],
            [("P", 1, 3)],
            [("missed_delivery", "P", 1, 3), ("stock_below_zero", "P", 1, 2)],
        ),
        # a shortage from before is not blamed on it
        (
            [("Polish", "X", 1, 2, 8), ("Make", "U", 1, 2, 3)],
            [("P", 2, 4)],
            [("stock_below_zero", "P", 1, 5), ("missed_delivery", "P", 2, 1)],
        ),
        # no capacity is needed for what leaves at the instant at which it must leave the unit
        ([("Make", "U", 0, 1, 10), ("Make", "U", 2, 3, 1)], [("P", 2, 3)], []),
        (
            [("Make", "U", 0, 1, 10), ("Make", "U", 2, 3, 1)],
            [("P", 2.1, 3)],
            [("over_capacity", "P", 2, 3)],
        ),
        # from the unit in which it waits
        ([("Make", "U", 0, 1, 10), ("Make", "W", 0, 1, 10)], [("P", 4, 13)], []),
        # what cannot wait is delivered at its instant, whole or with a batch
        ([("Spray", "Y", 0, 1, 5)], [("Z", 1, 5)], []),
        ([("Spray", "Y", 0, 1, 5), ("Catch", "V", 1, 2, 3)], [("Z", 1, 2)], []),
        ([("Spray", "Y", 0, 1, 5)], [("Z", 1, 4)], [("zero_wait", "Z", 1, 1)]),
        ([("Spray", "Y", 0, 1, 5)], [("Z", 1, 6)], [("missed_delivery", "Z", 1, 1)]),
        # what nobody can serve
        ([], [("Gold", 1, 4)], [("missed_delivery", "Gold", 1, 4)]),
        ([], [("A", 1, 4)], [("missed_delivery", "A", 1, 4)]),
        ([], [("P", 6.5, 2)], [("missed_delivery", "P", 6.5, 2)]),
    ],
)
def test_a_delivery_is_served_when_it_is_due(shop, rows, due, expected):
    schedule = run(shop, *rows, horizon=6, deliveries=[Delivery(*row) for row in due])
    assert told(schedule, shop) == expected


@pytest.mark.parametrize(
    ("due", "message"),
    [
        (("P", 2, 4), "P at t = 2 h: 4 kg are due, 1 more than there is"),
        (("Gold", 2, 4), "Gold due at t = 2 h: the plant has no such state"),
        (("A", 2, 4), "A due at t = 2 h: a supply that never runs out cannot be delivered"),
        (("P", 7, 1), "P due at t = 7 h: that is after the horizon, 6 h"),
    ],
)
def test_the_message_says_why_a_delivery_is_missed(shop, due, message):
    (violation,) = find_violations(run(shop, horizon=6, deliveries=[Delivery(*due)]), shop)
    assert violation.message == message


def test_a_delivery_is_compared_within_the_tolerances(shop):
    for over, expected in ((1.9e-5, []), (2.1e-5, ["missed_delivery"])):  # two movements
        found = find_violations(run(shop, horizon=6, deliveries=[Delivery("P", 2, 3 + over)]), shop)
        assert [v.kind for v in found] == expected
    for early, expected in ((0.9e-5, []), (1.1e-5, ["missed_delivery"])):
        due = [Delivery("P", 1 - early, 13)]
        schedule = run(shop, ("Make", "U", 0, 1, 10), horizon=10, deliveries=due)
        assert [v.kind for v in find_violations(schedule, shop)] == expected


def test_what_is_delivered_is_sold_but_no_longer_in_stock(shop):
    due = (Delivery("P", 1, 8), Delivery("P", 3, 1))
    schedule = run(shop, ("Make", "U", 0, 1, 10), horizon=6, deliveries=due)
    assert schedule.final_stock["P"] == 4
    assert schedule_value(schedule, shop, "production") == 13
    assert schedule_value(schedule, shop, "profit") == 26
    assert schedule_value(schedule, shop, "makespan") == 1
    unsaid = dataclasses.replace(schedule, final_stock=dict(schedule.final_stock) | {"P": 13})
    (violation,) = find_violations(unsaid, shop)
    assert (violation.kind, violation.amount) == ("final_stock", 9)
    assert violation.message == (
        "final stock of P: stated 13 kg, but the batches and deliveries give 4"
    )


def test_levels_fall_when_something_is_delivered(shop):
    due = [Delivery("P", 2, 5)]
    levels = replay_stock(run(shop, ("Make", "U", 0, 1, 10), horizon=6, deliveries=due), shop)
    rows = levels[levels["state"] == "P"]
    assert rows["time"].tolist() == [0, 1, 2, 6]
    assert rows["stored"].tolist() == [3, 3, 0, 0]
    assert rows["waiting"].tolist() == [0, 10, 8, 8]


def test_a_schedule_refuses_what_is_no_delivery():
    with pytest.raises(InvalidInputError, match=r"expected a Delivery, got \('P', 1, 2\)"):
        Schedule(batches=(), final_stock={}, horizon=1, deliveries=[("P", 1, 2)])


def test_the_final_stock_refuses_a_delivery_of_nothing_known(shop):
    with pytest.raises(InvalidInputError, match=r"has no state 'Gold' to deliver; it has A, P, Q"):
        compute_final_stock((), shop, [Delivery("Gold", 1, 1)])
