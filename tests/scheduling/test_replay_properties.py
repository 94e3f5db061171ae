"""The referee against an oracle that shares no code with it.

Random schedules on a whole-hour grid: a linear program per state asks whether *any* way of
holding, storing and drawing the material exists, and hour slots tell whether a unit does two
things at once (a batch, cleaning before one, maintenance) and how much of a utility is drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_plants import can_be_held

from stnopt.plant.network import Network
from stnopt.plant.problem import Delivery
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.plant.rules import Unit, Utility
from stnopt.scheduling.replay import find_violations, replay_stock
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock, schedule_value

MAX_BATCH = 8
CAPACITIES = (math.inf, 0, 4, 8, math.inf)
# Task: consumes, produces, and per unit its hours and how early each output may leave.
TASKS = {
    "Make": ({"A": 1}, {"I": 1}, {"U1": (1, {}), "U2": (2, {})}),
    "Split": ({"A": 1}, {"I": 0.5, "J": 0.5}, {"U1": (3, {"J": 1}), "U2": (2, {"I": 2})}),
    "Use": ({"I": 1}, {"P": 1}, {"U3": (2, {}), "U2": (1, {})}),
    "Blend": ({"I": 0.5, "J": 0.5}, {"P": 1}, {"U3": (1, {}), "U4": (2, {})}),
    "Return": ({"J": 1}, {"I": 0.5, "J": 0.5}, {"U4": (1, {})}),
}
UNITS = {unit: [t for t in TASKS if unit in TASKS[t][2]] for unit in ("U1", "U2", "U3", "U4")}
AWAY = ((), ((2, 3),), ((3, 5),), ((1, 2), (6, 8)), ((5, 6), (6, 7)))


@st.composite
def plants(draw, *, ruled=None):
    """Two intermediates with little or no storage between four units, half with rules."""
    ruled = draw(st.booleans()) if ruled is None else ruled
    rules, draws = {}, {task: ({}, {}) for task in TASKS}
    if ruled:
        draws = {
            task: (
                {"steam": draw(st.sampled_from([0, 1, 3]))},
                {"steam": draw(st.sampled_from([0, 0.5]))},
            )
            for task in TASKS
        }
        for unit, suited in UNITS.items():
            away = draw(st.sampled_from(AWAY))
            clean, hours = draw(st.sampled_from(suited)), draw(st.sampled_from([1, 0, 2]))
            cleaning = {(task, clean): hours for task in suited}
            rules[unit] = Unit(name=unit, unavailable=away, changeovers=cleaning)
    states = {
        "A": State(name="A", initial=math.inf, cost=1),
        "P": State(name="P", price=3),
    }
    for name in ("I", "J"):
        capacity = draw(st.sampled_from(CAPACITIES))
        initial = draw(st.sampled_from([0, 2, 4]))
        states[name] = State(name=name, capacity=capacity, initial=min(initial, capacity))
    tasks = {}
    for name, (consumes, produces, units) in TASKS.items():
        rows = {
            unit: Suitability(
                task=name,
                unit=unit,
                max_batch=MAX_BATCH,
                fixed_time=hours,
                release_time=early,
                fixed_cost=2,
                cost_per_amount=0.5,
                draws=draws[name][0],
                draws_per_amount=draws[name][1],
            )
            for unit, (hours, early) in units.items()
        }
        tasks[name] = Task(name=name, consumes=consumes, produces=produces, units=rows)
    utilities = {"steam": Utility(name="steam", capacity=draw(st.sampled_from([3, 5, 8])))}
    return Network(
        name="grid",
        states=states,
        tasks=tasks,
        unit_rules=rules,
        utilities=utilities if ruled else {},
    )


@st.composite
def schedules(draw, network):
    """Batches one after another on each unit; few lack material, a few are shifted.

    Mostly they heed the rules, too: maintenance, changeovers, the utility.
    """
    rows = []
    for unit in network.units:
        heedful = draw(st.integers(0, 3)) != 2
        clock, before = 0, None
        for _ in range(draw(st.integers(0, 4))):
            clock += draw(st.integers(0, 2))
            task = draw(st.sampled_from(UNITS[unit]))
            hours = TASKS[task][2][unit][0]
            if heedful and unit in network.unit_rules:
                rules = network.unit_rules[unit]
                clock += int(rules.changeovers.get((before, task), 0))
                while any(
                    clock < end and start < clock + hours for start, end in rules.unavailable
                ):
                    clock += 1
            row = Batch(task, unit, clock, clock + hours, draw(st.sampled_from([2, 4, 8])))
            clock, before = clock + hours, task
            rows.append(row)
    if draw(st.integers(0, 9)) != 3:
        rows = without_shortage(rows, network)
    if draw(st.integers(0, 3)) != 2:
        rows = without_overdraw(rows, network)
    if rows and not draw(st.integers(0, 3)):
        moved = draw(st.integers(0, len(rows) - 1))
        shift = draw(st.sampled_from([-1, -2, 1]))
        batch = rows[moved]
        rows[moved] = dataclasses.replace(
            batch, start=batch.start + shift, finish=batch.finish + shift
        )
    rows = draw(st.permutations(rows))
    horizon = max((batch.finish for batch in rows), default=1) + draw(st.integers(0, 1))
    horizon = max(1, horizon)
    deliveries = []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        state, hour = draw(st.sampled_from("IJP")), draw(st.integers(0, int(horizon)))
        spare = min(on_hand(state, h, rows, network) for h in range(hour, int(horizon) + 1))
        amount = draw(st.sampled_from([1, spare, spare, spare]))
        if amount > 0:
            deliveries.append(Delivery(state, hour, amount))
    return Schedule(
        batches=tuple(rows),
        final_stock=compute_final_stock(rows, network, deliveries),
        horizon=horizon,
        deliveries=deliveries,
    )


@st.composite
def cases(draw, *, ruled=None):
    network = draw(plants(ruled=ruled))
    return network, draw(schedules(network))


def without_shortage(rows, network):
    """Keep, in order of time, the batches whose inputs are there."""
    kept = []
    for batch in sorted(rows, key=lambda batch: batch.start):
        consumes = TASKS[batch.task][0]
        if all(
            on_hand(name, batch.start, kept, network) >= share * batch.size
            for name, share in consumes.items()
        ):
            kept.append(batch)
    return kept


def without_overdraw(rows, network):
    """Keep, in the order given, the batches for which the utility still is there."""
    kept = []
    for batch in rows:
        if most_drawn([*kept, batch], network) <= most_allowed(network):
            kept.append(batch)
    return kept


def most_allowed(network):
    return network.utilities["steam"].capacity if network.utilities else math.inf


def most_drawn(rows, network):
    """The largest draw of any hour."""
    drawn = Counter({0: 0.0})
    for batch in rows:
        entry = network.tasks[batch.task].units[batch.unit]
        draw = entry.draws.get("steam", 0) + batch.size * entry.draws_per_amount.get("steam", 0)
        drawn.update(dict.fromkeys(range(int(batch.start), int(batch.finish)), draw))
    return max(drawn.values())


def on_hand(name, time, rows, network):
    """What has been released up to a time and not been taken, wherever it lies."""
    level = network.states[name].initial
    for batch in rows:
        consumes, produces, units = TASKS[batch.task]
        hours, early = units[batch.unit]
        if batch.start <= time:
            level -= consumes.get(name, 0) * batch.size
        if batch.start + early.get(name, hours) <= time:
            level += produces.get(name, 0) * batch.size
    return level


def is_possible(schedule, network):
    """The oracle: hour slots for the units, a linear program for each state."""
    if any(batch.start < 0 or batch.finish > schedule.horizon for batch in schedule.batches):
        return False
    slots = fill_slots(schedule, network)
    for what in slots.values():
        runs = what.count("batch")
        if runs > 1 or (runs and len(what) > 1):
            return False
    if most_drawn(schedule.batches, network) > most_allowed(network):
        return False
    return all(can_be_held(name, schedule, network, slots) for name in ("I", "J", "P"))


def fill_slots(schedule, network):
    """What each unit does in each hour: batches, cleaning before them, maintenance.

    Hours of cleaning and maintenance may coincide, since a changeover is a least time.
    """
    slots = defaultdict(list)
    for unit in network.units:
        rules = network.unit_rules.get(unit)
        last = None
        for batch in sorted((b for b in schedule.batches if b.unit == unit), key=by_start):
            hours = [(unit, hour) for hour in range(int(batch.start), int(batch.finish))]
            cleaning = rules.changeovers.get((last, batch.task), 0) if rules else 0
            for slot in hours:
                slots[slot].append("batch")
            for hour in range(int(batch.start - cleaning), int(batch.start)):
                slots[unit, hour].append("cleaning")
            last = batch.task
        for start, end in rules.unavailable if rules else ():
            for hour in range(int(start), int(end)):
                slots[unit, hour].append("maintenance")
    return slots


def by_start(batch):
    return batch.start, batch.finish


def rows_by_unit(schedule):
    rows = defaultdict(list)
    for batch in sorted(schedule.batches, key=by_start):
        rows[batch.unit].append(batch)
    return rows


@pytest.mark.long
def test_the_verdict_is_that_of_an_oracle():
    seen = Counter()

    @given(cases())
    @settings(max_examples=300)
    def compare(case):
        network, schedule = case
        violations = find_violations(schedule, network)
        possible = is_possible(schedule, network)
        assert (violations == []) == possible, violations
        seen[possible] += len(schedule.batches) >= 4
        seen["ruled", possible] += len(schedule.batches) >= 3 and bool(network.unit_rules)
        seen.update({violation.kind for violation in violations})

    compare()
    assert min(seen[True], seen[False]) > 50, seen
    always = ("over_capacity", "stock_below_zero", "overlap")
    ruled = ("unit_unavailable", "changeover", "over_utility", "missed_delivery")
    assert min(seen[kind] for kind in (*always, *ruled)) > 3, seen
    assert seen["ruled", True] > 30, seen  # with rules, and kept


@st.composite
def valid_cases(draw, *, ruled=None):
    """Batches added in order of time as long as the schedule stays valid."""
    network, schedule = draw(cases(ruled=ruled))
    kept = rebuilt(schedule, network, batches=(), deliveries=())
    for batch in sorted(schedule.batches, key=by_start):
        longer = rebuilt(kept, network, batches=(*kept.batches, batch))
        if not find_violations(longer, network):
            kept = longer
    for delivery in schedule.deliveries:
        longer = rebuilt(kept, network, deliveries=(*kept.deliveries, delivery))
        if not find_violations(longer, network):
            kept = longer
    assume(kept.batches)
    return network, kept


def rebuilt(schedule, network, **changes):
    """The schedule with other batches or deliveries, and the final stock that goes with them."""
    changed = dataclasses.replace(schedule, **changes)
    left = compute_final_stock(changed.batches, network, changed.deliveries)
    return dataclasses.replace(changed, final_stock=left)


@st.composite
def tightened_cases(draw):
    """A valid schedule, and then rules that its units' idle hours seem to leave room for."""
    network, schedule = draw(valid_cases(ruled=False))
    rules = {}
    for unit, rows in rows_by_unit(schedule).items():
        changeovers = {}
        for batch, following in pairwise(rows):
            pair, gap = (batch.task, following.task), int(following.start - batch.finish)
            changeovers[pair] = min(draw(st.sampled_from([gap, 1, 0])), changeovers.get(pair, gap))
        busy = {hour for row in rows for hour in range(int(row.start), int(row.finish))}
        idle = [hour for hour in range(int(schedule.horizon) + 1) if hour not in busy]
        away = [(hour, hour + 1) for hour in draw(st.sets(st.sampled_from(idle), max_size=1))]
        rules[unit] = Unit(name=unit, unavailable=away, changeovers=changeovers)
    return dataclasses.replace(network, unit_rules=rules), schedule


@pytest.mark.long
def test_what_rules_do_to_waiting_is_judged_as_by_the_oracle():
    seen = Counter()

    @given(tightened_cases())
    @settings(max_examples=200)
    def compare(case):
        network, schedule = case
        violations = find_violations(schedule, network)
        possible = is_possible(schedule, network)
        assert (violations == []) == possible, violations
        seen[possible] += 1
        seen.update({violation.kind for violation in violations})

    compare()
    assert seen[True] > 50, seen
    assert seen["over_capacity"] > 20, seen


@given(valid_cases(), st.data())
@settings(max_examples=60)
def test_errors_within_the_tolerances_raise_no_alarm(case, data):
    network, schedule = case
    time, amount = 1e-6 * schedule.horizon, 1e-6 * MAX_BATCH
    part = st.floats(-0.49, 0.49)
    blurred = tuple(
        dataclasses.replace(
            batch,
            start=batch.start + data.draw(part) * time,
            finish=batch.finish + data.draw(part) * time,
            size=batch.size + 2 * data.draw(part) * amount,
        )
        for batch in schedule.batches
    )
    assert find_violations(dataclasses.replace(schedule, batches=blurred), network) == []


@pytest.mark.few_cases(3)
@pytest.mark.parametrize("mutation", ["dropped", "doubled", "grown", "shrunk", "moved", "hurried"])
@given(case=valid_cases(), data=st.data())
@settings(max_examples=20)
def test_a_mutated_schedule_is_rejected(mutation, case, data):
    network, schedule = case
    number = data.draw(st.integers(0, len(schedule.batches) - 1))
    batches = list(schedule.batches)
    batch = batches[number]
    if mutation == "dropped":
        del batches[number]
    elif mutation == "doubled":
        batches.append(batch)
    elif mutation == "grown":
        batches[number] = dataclasses.replace(batch, size=batch.size * 1.001)
    elif mutation == "shrunk":
        batches[number] = dataclasses.replace(batch, size=batch.size * 0.999)
    elif mutation == "moved":
        shift = schedule.horizon - batch.finish + 0.01
        batches[number] = dataclasses.replace(
            batch, start=batch.start + shift, finish=batch.finish + shift
        )
    else:
        batches[number] = dataclasses.replace(batch, finish=batch.finish - 0.01)
    mutated = dataclasses.replace(schedule, batches=tuple(batches))
    assert find_violations(mutated, network)


@given(valid_cases(), st.data(), st.sampled_from([0.01, 0.5, 1]))
@settings(max_examples=40)
def test_a_batch_moved_into_maintenance_is_rejected(case, data, shared):
    network, schedule = case
    assume(any(rules.unavailable for rules in network.unit_rules.values()))
    batch = data.draw(st.sampled_from(schedule.batches))
    periods = network.unit_rules[batch.unit].unavailable if network.unit_rules else ()
    assume(periods)
    start, end = data.draw(st.sampled_from(periods))
    length = batch.finish - batch.start
    begin = data.draw(st.sampled_from([end - shared, start + shared - length]))
    moved = dataclasses.replace(batch, start=begin, finish=begin + length)
    others = [row for row in schedule.batches if row is not batch]
    horizon = max(schedule.horizon, moved.finish)
    later = rebuilt(schedule, network, batches=(*others, moved), horizon=horizon)
    told = [v for v in find_violations(later, network) if v.kind == "unit_unavailable"]
    assert batch.unit in {violation.element for violation in told}


@pytest.mark.long
@given(valid_cases(), st.data(), st.sampled_from([1e-3, 0.5]))
@settings(max_examples=40)
def test_batches_moved_closer_than_their_changeover_are_rejected(case, data, shortfall):
    network, schedule = case
    pairs = [
        (batch, following)
        for rows in rows_by_unit(schedule).values()
        for batch, following in pairwise(rows)
    ]
    assume(pairs)
    batch, following = data.draw(st.sampled_from(pairs))
    # The pair's own changeover, or one that takes all the time there is between them.
    gap = following.start - batch.finish
    needed = max(gap, 1.0)
    rules = Unit(name=batch.unit, changeovers={(batch.task, following.task): needed})
    network = dataclasses.replace(network, unit_rules={batch.unit: rules})
    start = batch.finish + needed - shortfall
    moved = dataclasses.replace(
        following, start=start, finish=start + following.finish - following.start
    )
    rows = [row for row in schedule.batches if row is not following and row.unit != batch.unit]
    closer = rebuilt(schedule, network, batches=(*rows, batch, moved))
    told = [v for v in find_violations(closer, network) if v.kind == "changeover"]
    assert [(v.element, v.time) for v in told] == [(batch.unit, start)]
    assert told[0].amount == pytest.approx(shortfall)


@given(valid_cases(), st.data())
@settings(max_examples=40)
@pytest.mark.long
def test_a_batch_grown_over_a_utility_is_rejected(case, data):
    network, schedule = case
    thirsty = [
        batch
        for batch in schedule.batches
        if network.tasks[batch.task].units[batch.unit].draws_per_amount
    ]
    assume(thirsty)
    batch = data.draw(st.sampled_from(thirsty))
    capacity = network.utilities["steam"].capacity
    spare = capacity - most_drawn(schedule.batches, network)
    grown = dataclasses.replace(batch, size=batch.size + 2 * (spare + 1e-3 * capacity))
    others = [row for row in schedule.batches if row is not batch]
    assume(most_drawn([*others, grown], network) > capacity * (1 + 1e-4))
    larger = rebuilt(schedule, network, batches=(*others, grown))
    assert "over_utility" in {violation.kind for violation in find_violations(larger, network)}


@given(valid_cases(), st.data())
@settings(max_examples=40)
def test_a_delivery_grown_or_brought_forward_is_rejected(case, data):
    network, schedule = case
    state = data.draw(st.sampled_from("IJP"))
    hour = data.draw(st.integers(0, int(schedule.horizon)))
    left = [
        on_hand(state, h, schedule.batches, network)
        - sum(d.amount for d in schedule.deliveries if d.state == state and d.time <= h)
        for h in range(hour, int(schedule.horizon) + 1)
    ]
    too_much = Delivery(state, hour, min(left) + 0.01)
    asked = rebuilt(schedule, network, deliveries=(*schedule.deliveries, too_much))
    told = {violation.kind for violation in find_violations(asked, network)}
    assert told & {"missed_delivery", "stock_below_zero"}


@given(cases(), st.sampled_from([1e-3, 60.0]), st.sampled_from([1e-3, 1e4]))
@settings(max_examples=50)
def test_the_verdict_does_not_depend_on_the_units(case, times, amounts):
    network, schedule = case
    scaled_network = Network(
        name="scaled",
        states={
            name: dataclasses.replace(
                state, initial=state.initial * amounts, capacity=state.capacity * amounts
            )
            for name, state in network.states.items()
        },
        tasks={
            name: dataclasses.replace(
                task,
                units={
                    unit: dataclasses.replace(
                        row,
                        max_batch=row.max_batch * amounts,
                        fixed_time=row.fixed_time * times,
                        release_time={s: t * times for s, t in row.release_time.items()},
                        draws_per_amount={
                            u: draw / amounts for u, draw in row.draws_per_amount.items()
                        },
                    )
                    for unit, row in task.units.items()
                },
            )
            for name, task in network.tasks.items()
        },
        unit_rules={
            name: Unit(
                name=name,
                unavailable=[(start * times, end * times) for start, end in rules.unavailable],
                changeovers={pair: time * times for pair, time in rules.changeovers.items()},
            )
            for name, rules in network.unit_rules.items()
        },
        utilities=network.utilities,
    )
    scaled = Schedule(
        batches=tuple(
            Batch(b.task, b.unit, b.start * times, b.finish * times, b.size * amounts)
            for b in schedule.batches
        ),
        final_stock={name: amount * amounts for name, amount in schedule.final_stock.items()},
        horizon=schedule.horizon * times,
        deliveries=[
            Delivery(d.state, d.time * times, d.amount * amounts) for d in schedule.deliveries
        ],
    )
    expected = [(v.kind, v.element) for v in find_violations(schedule, network)]
    assert [(v.kind, v.element) for v in find_violations(scaled, scaled_network)] == expected


@given(valid_cases())
@settings(max_examples=40)
def test_the_replayed_levels_add_up(case):
    network, schedule = case
    levels = replay_stock(schedule, network)
    assert (levels[["stored", "waiting"]] >= 0).all(axis=None)
    for name, rows in levels.groupby("state"):
        assert (rows["stored"] <= network.states[name].capacity + 1e-9).all()
        for row in rows.itertuples():
            total = on_hand(name, row.time, schedule.batches, network) - sum(
                d.amount for d in schedule.deliveries if d.state == name and d.time <= row.time
            )
            assert row.stored + row.waiting == pytest.approx(total)
        assert row.time == schedule.horizon
        assert total == pytest.approx(schedule.final_stock[name])


@given(cases())
@settings(max_examples=50)
def test_the_value_is_that_of_the_batches(case):
    network, schedule = case
    product = sum(
        share * batch.size
        for batch in schedule.batches
        for state, share in TASKS[batch.task][1].items()
        if state == "P"
    )
    bought = sum(b.size for b in schedule.batches if "A" in TASKS[b.task][0])
    cost = bought + sum(2 + 0.5 * batch.size for batch in schedule.batches)
    assert schedule.final_stock["A"] == pytest.approx(bought)
    assert schedule_value(schedule, network, "production") == pytest.approx(product)
    assert schedule_value(schedule, network, "cost") == pytest.approx(cost)
    assert schedule_value(schedule, network, "profit") == pytest.approx(3 * product - cost)
