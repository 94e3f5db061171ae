"""Plants that do not start empty, worked out by hand: state, orders, calendars, arrivals, steps.

Every case says in one or two lines why its value is the best one, and what comes out when the rule
is ignored. All batches hold 10 at most and all times are whole hours, so that a grid of hours has
the same best value.
"""

from __future__ import annotations

from typing import NamedTuple

from plants_with_rules import make_plant

from stnopt.plant import (
    CleanAfter,
    Delivery,
    LastTask,
    Network,
    Order,
    PlantState,
    Problem,
    RunningBatch,
)
from stnopt.plant.calendar import WeeklyPeriod

P = {"P": {"price": 1}}
HOUR = {"fixed_time": 1}


class AtWork(NamedTuple):
    """A plant, what is asked of it, what it starts from, and the best value."""

    network: Network
    problem: Problem
    best: float | None  # None: nothing is feasible
    start: PlantState | None = None
    n_events: int = 4
    missing: float = 0.0  # priority-weighted share, for tardiness


def one_task(source="A", state="P", unit="U", **row):
    return {"Make": ({source: 1}, {state: 1}, {unit: HOUR | row})}


def plant(states=P, tasks=None, **more):
    return make_plant("at work", states, tasks or one_task(), **more)


def profit(horizon, **more):
    return Problem(objective="profit", horizon=horizon, **more)


def late(horizon, *orders, **more):
    return Problem(objective="tardiness", horizon=horizon, orders=orders, **more)


CHAIN = {
    "Make": ({"A": 1}, {"I": 1}, {"R": {"fixed_time": 3}}),
    "Use": ({"I": 1}, {"P": 1}, {"V": HOUR}),
}
TWO = {"Red": ({"A": 1}, {"R": 1}, {"U": HOUR}), "Blue": ({"A": 1}, {"B": 1}, {"U": HOUR})}
SLOW = {"Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 2}}), "Use": CHAIN["Use"]}
FROM_S = {
    "Use": ({"S": 1}, {"P": 1}, {"U": HOUR}),
    "Other": ({"A": 1}, {"Q": 1}, {"W": HOUR}),
}
EARLY = {
    "Make": (
        {"A": 1},
        {"I": 0.5, "Q": 0.5},
        {"U": {"fixed_time": 4, "release_time": {"I": 1}}},
    ),
    "Use": CHAIN["Use"],
}


def running(task="Make", unit="R", started=-1, size=10, remaining=2, **more):
    return RunningBatch(
        task=task, unit=unit, started=started, size=size, remaining=remaining, **more
    )


CASES = {
    # The 10 are there at 2 and R runs again from 2 to 5: Use at 2 and 5. (Empty at 0: 10.)
    "running": AtWork(
        plant({"I": {"capacity": 0}} | P, CHAIN),
        profit(6),
        20,
        PlantState(running=[running()]),
    ),
    # It is 2 h behind its recipe and keeps its finish: Use at 4, R again 4 to 7. (On time: 20.)
    "running late": AtWork(
        plant({"I": {"capacity": 0}} | P, CHAIN),
        profit(7),
        10,
        PlantState(running=[running(started=-1, remaining=4)]),
    ),
    # I leaves 3 h before the end, at 2, and not at 1 - 0.5: Use 2 to 3 makes 5 of it.
    "early output still to come": AtWork(
        plant({"I": {}, "Q": {}} | P, EARLY),
        profit(5),
        5,
        PlantState(running=[running(unit="U", started=0, remaining=5)]),
    ),
    # It left an hour ago, and Q alone is still to come.
    "early output is past": AtWork(
        plant({"I": {}, "Q": {"price": 1}} | P, EARLY),
        profit(3),
        5,
        PlantState(running=[running(unit="U", started=-2, remaining=2)]),
    ),
    # V is busy until 2, and R holds its 10 until then: R 2 to 5, V 2 to 3 and 5 to 6, and the 10
    # that V runs. (R free at 0: 40.)
    "held": AtWork(
        plant({"I": {"capacity": 0}} | P, CHAIN),
        profit(7),
        30,
        PlantState(held={"R": {"I": 10}}, running=[running("Use", "V", 0, 10, 2)]),
    ),
    # 2 h of changeover from -1 on: 1 to 2 and 2 to 3. (None: 30; from 0 on: 10.)
    "last task": AtWork(
        plant(
            {"R": {}} | {"B": {"price": 1}},
            TWO,
            units={"U": {"changeovers": {("Red", "Blue"): 2}}},
        ),
        profit(3),
        20,
        PlantState(last={"U": LastTask("Red", -1)}),
    ),
    # One more batch before a cleaning of 2 h. (Clean: 20.)
    "since cleaning": AtWork(
        plant(units={"U": {"clean_after": CleanAfter(batches=2, duration=2)}}),
        profit(3),
        10,
        PlantState(since_cleaning={"U": 1}),
    ),
    # V takes the 10 at 0, so that R runs from 0 to 3, and V again: 20. (Nothing held: 10.)
    "held and taken at once": AtWork(
        plant({"I": {"capacity": 0}} | P, CHAIN),
        profit(4),
        20,
        PlantState(held={"R": {"I": 10}}),
    ),
    # The tank takes 4 of the 10; R is locked by the 6 until V is back at 2. (All in stock: 20.)
    "held beside a small tank": AtWork(
        plant({"I": {"capacity": 4}} | P, CHAIN, units={"V": {"unavailable": [(0, 2)]}}),
        profit(5),
        10,
        PlantState(held={"R": {"I": 10}}),
    ),
    # The changeover of 2 h was over at 0: 3 h of Blue.
    "last task long ago": AtWork(
        plant(
            {"R": {}} | {"B": {"price": 1}},
            TWO,
            units={"U": {"changeovers": {("Red", "Blue"): 2}}},
        ),
        profit(3),
        30,
        PlantState(last={"U": LastTask("Red", -2)}),
    ),
    # Blue is worth 4 an hour, from 2 on: 40, against 3 h of Red for 30. (Nothing ran last: 120.)
    "last task, worth a changeover": AtWork(
        plant(
            {"R": {"price": 1}, "B": {"price": 4}},
            TWO,
            units={"U": {"changeovers": {("Red", "Blue"): 2}}},
        ),
        profit(3),
        40,
        PlantState(last={"U": LastTask("Red", 0)}),
    ),
    # It must be cleaned from 0 to 1 before anything: 1 to 2 and 2 to 3. (Clean: 30, two and two.)
    "since cleaning, one is owed": AtWork(
        plant(units={"U": {"clean_after": CleanAfter(batches=2, duration=1)}}),
        profit(3),
        20,
        PlantState(since_cleaning={"U": 2}),
    ),
    # The plant file's 5 are not there.
    "stock is gone": AtWork(
        plant({"S": {"initial": 5}, "Q": {}} | P, FROM_S),
        profit(2),
        0,
        PlantState(stocks={"S": 0}),
    ),
    # 3 of P are there, and 25 of S make three batches of 10, 10 and 5. (Empty: 5 of `initial`.)
    "stock for some batches": AtWork(
        plant({"S": {"initial": 5}, "Q": {}} | P, FROM_S),
        profit(3),
        28,
        PlantState(stocks={"S": 25, "P": 3}),
    ),
    # 7 are in stock, whatever the plant's `initial` says.
    "stock": AtWork(
        plant({"S": {"initial": 5}, "Q": {}} | P, FROM_S),
        profit(1),
        7,
        PlantState(stocks={"S": 7}),
    ),
    # The second 10 come at 3, too late for a batch by 3.
    "arrivals": AtWork(
        plant(
            {"S": {"arrivals": [(1, 10), (3, 10)]}, "Q": {}} | P,
            FROM_S,
        ),
        profit(3),
        10,
    ),
    # At 2 the tank of 10 takes the second 10, because the first leave at that instant.
    "arrivals fit": AtWork(
        plant(
            {"S": {"capacity": 10, "arrivals": [(0, 10), (2, 10)]}, "Q": {}} | P,
            FROM_S,
            units={"U": {"unavailable": [(0, 2)]}},
        ),
        profit(4),
        20,
    ),
    "arrivals do not fit": AtWork(
        plant(
            {"S": {"capacity": 10, "arrivals": [(0, 10), (2, 10)]}, "Q": {}} | P,
            FROM_S,
            units={"U": {"unavailable": [(0, 3)]}},
        ),
        profit(4),
        None,
    ),
    # One of two units in each of two hours, both in the third. (6 all the time: 60.)
    "capacity rises": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, dict.fromkeys("UV", HOUR | {"draws": {"power": 3}}))},
            utilities={"power": [(0, 3), (2, 6)]},
        ),
        profit(3),
        40,
    ),
    # Both in the first hour, none later.
    "capacity falls": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, dict.fromkeys("UV", HOUR | {"draws": {"power": 3}}))},
            utilities={"power": [(0, 6), (1, 2)]},
        ),
        profit(3),
        20,
    ),
    # 2 h need power in both: from 2 on.
    "no capacity between": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 2, "draws": {"power": 3}}})},
            utilities={"power": [(0, 3), (1, 0), (2, 3)]},
        ),
        profit(4),
        10,
    ),
    # Ends at 3 and is unloaded at 5: Use 5 to 6, R again 5 to 8. (Attended: 20.)
    "unattended": AtWork(
        plant({"I": {}} | P, CHAIN, units={"R": {"unattended": [(2, 5)]}}),
        profit(8),
        10,
    ),
    # Starts at 0, at 1 (before they leave), at 4.
    "no start while unattended": AtWork(
        plant(units={"U": {"unattended": [(1, 4)]}}),
        profit(5),
        30,
    ),
    # Released at 3 and not at 2; V is away then, and any other start comes too late.
    "zero wait while unattended": AtWork(
        plant(
            {"I": {"zero_wait": True}} | P,
            SLOW,
            units={"U": {"unattended": [(1, 3)]}, "V": {"unavailable": [(3, 4)]}},
        ),
        profit(5),
        0,
    ),
    # What Use takes at 3 must be in the tank of 4 by 2, when they leave; the 10 that U makes from 2
    # to 4 come out at 5, just before it is away.
    "stored before they leave": AtWork(
        plant(
            {"I": {"capacity": 4}} | P,
            SLOW,
            units={
                "U": {"unattended": [(2, 5)], "unavailable": [(5, 9)]},
                "V": {"unavailable": [(0, 3), (4, 5)]},
            },
        ),
        profit(6),
        14,
    ),
    # 0 to 1 and 3 to 4, then 4 to 6. (Not paused: 30.)
    "paused": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 2}})},
            units={"U": {"paused": [(1, 3)]}},
        ),
        profit(6),
        20,
    ),
    "paused, too short": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 2}})},
            units={"U": {"paused": [(1, 3)]}},
        ),
        profit(3),
        0,
    ),
    # V runs while U stops.
    "draws nothing while paused": AtWork(
        plant(
            P,
            {
                "Make": (
                    {"A": 1},
                    {"P": 1},
                    {unit: {"fixed_time": 2, "draws": {"power": 3}} for unit in "UV"},
                )
            },
            units={"U": {"paused": [(1, 3)]}},
            utilities={"power": 3},
        ),
        profit(4),
        20,
    ),
    # I leaves after 2 h of work, at 3 instead of 2.
    "releases later when paused": AtWork(
        plant(
            {"I": {}, "Q": {}} | P,
            {
                "Make": (
                    {"A": 1},
                    {"I": 0.5, "Q": 0.5},
                    {"U": {"fixed_time": 3, "release_time": {"I": 2}}},
                ),
                "Use": CHAIN["Use"],
            },
            units={"U": {"paused": [(1, 2)]}},
        ),
        profit(4),
        5,
    ),
    # I cannot leave U before 4, and V is away then. (Unloaded at 1: 5.)
    "releases nothing while unattended": AtWork(
        plant(
            {"I": {}, "Q": {}} | P,
            EARLY,
            units={"U": {"unattended": [(0, 4)]}, "V": {"unavailable": [(4, 5)]}},
        ),
        profit(5),
        0,
    ),
    # U, paused from 1 to 3, and W share power with V: V and W run from 1 to 3, and U goes on when
    # both have ended. (One order of whole batches: 10 less.)
    "three take turns with a pause": AtWork(
        plant(
            P,
            {
                "Make": (
                    {"A": 1},
                    {"P": 1},
                    {unit: {"fixed_time": 2, "draws": {"power": 3}} for unit in "UVW"},
                )
            },
            units={"U": {"paused": [(1, 3)]}},
            utilities={"power": 6},
        ),
        profit(4),
        40,
    ),
    # It is cleaned from 2 to 3, not while it is away: too late for 2 h of work.
    "cleaned when it is there": AtWork(
        plant(
            P,
            {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 2}})},
            units={
                "U": {"unavailable": [(1, 2)], "clean_after": CleanAfter(batches=1, duration=1)}
            },
        ),
        profit(4),
        0,
        PlantState(since_cleaning={"U": 1}),
    ),
    # Nothing starts at 0, in the middle of a period: from 2 on.
    "a period has begun": AtWork(
        plant(units={"U": {"unattended": [(-3, 2)]}}),
        profit(4),
        20,
    ),
    # The changeover of 2 h goes on from -1 while it is away until 1: 1 to 4 and 5 to 6.
    "last task, and a period has begun": AtWork(
        plant(
            {"R": {}} | {"B": {"price": 1}},
            TWO,
            units={"U": {"changeovers": {("Red", "Blue"): 2}, "unavailable": [(-1, 1), (4, 5)]}},
        ),
        profit(6),
        40,
        PlantState(last={"U": LastTask("Red", -1)}),
        n_events=5,
    ),
    # Of the 10 in R, which nobody unloads until 3, V needs 10 at 1: 4 are in the tank, 6 are not.
    "locked in its unit": AtWork(
        plant(
            {"I": {"capacity": 4}} | P,
            CHAIN,
            units={"R": {"unattended": [(0, 3)]}, "V": {"unavailable": [(0, 1), (2, 9)]}},
        ),
        profit(4),
        4,
        PlantState(held={"R": {"I": 10}}),
    ),
    # Away from Monday 08:00 to 10:00, which is 2 to 4.
    "every week": AtWork(
        plant(
            units={"U": {"weekly": {"unavailable": (WeeklyPeriod(start=480, length=120),)}}},
        ),
        profit(5, start="2026-01-05T06:00"),
        30,
    ),
    # From Sunday 23:00 to Monday 01:00, across the end of the week: away from 1 to 3.
    "every week, across its end": AtWork(
        plant(
            units={"U": {"weekly": {"unavailable": (WeeklyPeriod(start=10020, length=120),)}}},
        ),
        profit(4, start="2026-01-11T22:00"),
        20,
    ),
    # In the night of 29 March the clock goes from 02:00 to 03:00: Sunday 03:00 to 05:00 is 2 to 4.
    # (Without the zone 3 to 5: 30.)
    "every week, a short night": AtWork(
        plant(
            units={"U": {"weekly": {"unavailable": (WeeklyPeriod(start=8820, length=120),)}}},
        ),
        profit(4, start="2026-03-29T00:00 Europe/Berlin"),
        20,
    ),
    # In the night of 25 October it goes from 03:00 to 02:00: it is away from 4 on. (Else: 30.)
    "every week, a long night": AtWork(
        plant(
            units={"U": {"weekly": {"unavailable": (WeeklyPeriod(start=8820, length=120),)}}},
        ),
        profit(4, start="2026-10-25T00:00 Europe/Berlin"),
        40,
    ),
    # Three batches, an hour each: at 1, 2 and 3.
    "late": AtWork(
        plant(),
        late(4, Order("a", "P", 10, 1), Order("b", "P", 10, 2), Order("c", "P", 10, 2)),
        1,
    ),
    # The one of less weight is late.
    "priority": AtWork(
        plant({"R": {}, "B": {}}, TWO),
        late(3, Order("r", "R", 10, 1, priority=3), Order("b", "B", 10, 1)),
        1,
    ),
    # Two fit; of one nothing can come.
    "one is missing": AtWork(
        plant(),
        late(2, *(Order(i, "P", 10, 1, priority=w) for i, w in (("a", 3), ("b", 2), ("c", 1)))),
        # a at 1, b at 2 (2 * 1), c missing until 2 (1 * 1)
        3,
        missing=1.0,
    ),
    # 20 at once never lie in U and no tank.
    "whole order without storage": AtWork(
        plant({"P": {"price": 1, "capacity": 0}}),
        late(3, Order("a", "P", 20, 1)),
        2,
        missing=1.0,
    ),
    # In parts they need not.
    "partial order without storage": AtWork(
        plant({"P": {"price": 1, "capacity": 0}}),
        late(3, Order("a", "P", 20, 1, partial=True)),
        1,
    ),
    # 10 of 20 by 1, so half is missing, which counts as delivered at the horizon.
    "part is missing": AtWork(
        plant(),
        late(1, Order("a", "P", 20, 0, partial=True)),
        1,
        missing=0.5,
    ),
    # Due when the horizon ends, it is no less late when it is missing, and has a cost for that.
    "missing is as late": AtWork(
        plant({"R": {}, "B": {}}, TWO),
        late(2, Order("r", "R", 10, 1), Order("b", "B", 10, 2, missing_cost=1)),
        0,
    ),
    "not before it is wanted": AtWork(plant(), late(4, Order("a", "P", 10, 1, earliest=3)), 2),
    "overdue": AtWork(plant(), late(4, Order("a", "P", 10, -2)), 3),
    # Blue first costs nothing: 10 + 30. (Red first: 38.)
    "lateness costs": AtWork(
        plant({"R": {"price": 3}, "B": {"price": 1}}, TWO),
        profit(2, orders=(Order("b", "B", 10, 1, late_cost=2),)),
        40,
    ),
    # It must come by the horizon: one Red less. (Missing: 60.)
    "must come": AtWork(
        plant({"R": {"price": 3}, "B": {"price": 1}}, TWO),
        profit(2, orders=(Order("b", "B", 10, 2),)),
        40,
    ),
    # 10 * 0.5 for what is missing, instead of a batch of 8.
    "missing is cheaper": AtWork(
        plant(P, one_task(fixed_cost=8)),
        Problem(
            objective="cost",
            horizon=2,
            orders=(Order("a", "P", 10, 2, missing_cost=0.5),),
        ),
        5,
    ),
    "missing is dearer": AtWork(
        plant(P, one_task(fixed_cost=8)),
        Problem(objective="cost", horizon=2, orders=(Order("a", "P", 10, 2, missing_cost=1),)),
        8,
    ),
    "makespan with an order": AtWork(
        plant(),
        Problem(objective="makespan", horizon=6, orders=(Order("a", "P", 10, 6, earliest=3),)),
        3,
    ),
    # Final stock is what is left after orders and deliveries: 4 batches, not 2.
    "targets after orders": AtWork(
        plant(),
        Problem(
            objective="batches",
            horizon=6,
            targets={"P": 15},
            orders=(Order("a", "P", 10, 6),),
            deliveries=(Delivery("P", 5, 10),),
        ),
        4,
        n_events=5,
    ),
    "fewest batches": AtWork(
        plant(), Problem(objective="batches", horizon=6, targets={"P": 25}), 3
    ),
}
