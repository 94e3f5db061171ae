"""The referee against an oracle that shares no code with it.

Random schedules on a whole-hour grid: a linear program per state asks whether *any* way of
holding, storing and drawing the material exists, and hour slots tell whether a unit does two
things at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stnopt.plant.network import Network, State, Suitability, Task
from stnopt.scheduling.schedule import (
    Batch,
    Schedule,
    compute_final_stock,
    find_violations,
    replay_stock,
    schedule_value,
)

MAX_BATCH = 8
CAPACITIES = (0, 4, 8, math.inf)
# Task: consumes, produces, and per unit its hours and how early each output may leave.
TASKS = {
    "Make": ({"A": 1}, {"I": 1}, {"U1": (1, {}), "U2": (2, {})}),
    "Split": ({"A": 1}, {"I": 0.5, "J": 0.5}, {"U1": (3, {"J": 1}), "U2": (2, {"I": 2})}),
    "Use": ({"I": 1}, {"P": 1}, {"U3": (2, {}), "U2": (1, {})}),
    "Blend": ({"I": 0.5, "J": 0.5}, {"P": 1}, {"U3": (1, {}), "U4": (2, {})}),
    "Return": ({"J": 1}, {"I": 0.5, "J": 0.5}, {"U4": (1, {})}),
}


@st.composite
def plants(draw):
    """Two intermediates with little or no storage between four units."""
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
            )
            for unit, (hours, early) in units.items()
        }
        tasks[name] = Task(name=name, consumes=consumes, produces=produces, units=rows)
    return Network(name="grid", states=states, tasks=tasks)


@st.composite
def schedules(draw, network):
    """Batches one after another on each unit; few lack material, a few are shifted."""
    rows = []
    for unit in network.units:
        clock = 0
        suited = [name for name, task in network.tasks.items() if unit in task.units]
        for _ in range(draw(st.integers(0, 4))):
            clock += draw(st.integers(0, 2))
            task = draw(st.sampled_from(suited))
            finish = clock + TASKS[task][2][unit][0]
            rows.append(Batch(task, unit, clock, finish, draw(st.sampled_from([2, 4, 8]))))
            clock = finish
    if draw(st.integers(0, 9)):
        rows = without_shortage(rows, network)
    if rows and not draw(st.integers(0, 3)):
        moved = draw(st.integers(0, len(rows) - 1))
        shift = draw(st.sampled_from([-1, 1]))
        batch = rows[moved]
        rows[moved] = dataclasses.replace(
            batch, start=batch.start + shift, finish=batch.finish + shift
        )
    rows = draw(st.permutations(rows))
    horizon = max((batch.finish for batch in rows), default=1) + draw(st.integers(0, 1))
    return Schedule(
        batches=tuple(rows), final_stock=compute_final_stock(rows, network), horizon=max(1, horizon)
    )


@st.composite
def cases(draw):
    network = draw(plants())
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
    busy = Counter()
    for batch in schedule.batches:
        if batch.start < 0 or batch.finish > schedule.horizon:
            return False
        busy.update((batch.unit, hour) for hour in range(int(batch.start), int(batch.finish)))
    if any(count > 1 for count in busy.values()):
        return False
    return all(can_be_held(name, schedule, network) for name in ("I", "J", "P"))


def can_be_held(name, schedule, network):
    """Whether there are hourly flows: lot -> use, lot -> tank, tank -> use."""
    hours = range(int(schedule.horizon) + 1)
    demand = dict.fromkeys(hours, 0.0)
    columns = []  # (from lot or "tank", to "tank" or "use" or "end", hour)
    lots = {}
    for number, batch in enumerate(schedule.batches):
        consumes, produces, units = TASKS[batch.task]
        demand[int(batch.start)] += consumes.get(name, 0) * batch.size
        if name not in produces:
            continue
        duration, early = units[batch.unit]
        lots[number] = produces[name] * batch.size
        first = last = int(batch.start) + early.get(name, duration)
        if first == batch.finish:
            later = [
                b.start for b in schedule.batches if b.unit == batch.unit and b.start > batch.start
            ]
            last = int(min(later, default=schedule.horizon))
            if not later:
                columns.append((number, "end", last))
        for hour in range(first, last + 1):
            columns += [(number, "use", hour), (number, "tank", hour)]
    columns += [("tank", "use", hour) for hour in hours]

    equal, equal_to = [], []
    for number, amount in lots.items():
        equal.append([float(origin == number) for origin, _, _ in columns])
        equal_to.append(amount)
    for hour in hours:
        equal.append([float(goal == "use" and when == hour) for _, goal, when in columns])
        equal_to.append(demand[hour])
    at_most, limit = [], []
    state = network.states[name]
    for hour in hours:
        gained = [
            float(when <= hour) * ((goal == "tank") - (origin == "tank"))
            for origin, goal, when in columns
        ]
        at_most.append([-change for change in gained])
        limit.append(state.initial)
        if state.capacity < math.inf:
            at_most.append(gained)
            limit.append(state.capacity - state.initial)
    answer = linprog(np.zeros(len(columns)), at_most, limit, equal, equal_to)
    assert answer.status in (0, 2)
    return answer.status == 0


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
        seen.update({violation.kind for violation in violations})

    compare()
    assert min(seen[True], seen[False]) > 50, seen
    assert min(seen["over_capacity"], seen["stock_below_zero"], seen["overlap"]) > 5, seen


@st.composite
def valid_cases(draw):
    """Batches added in order of time as long as the schedule stays valid."""
    network, schedule = draw(cases())
    kept = dataclasses.replace(schedule, batches=(), final_stock=compute_final_stock((), network))
    for batch in sorted(schedule.batches, key=lambda batch: (batch.start, batch.finish)):
        batches = (*kept.batches, batch)
        longer = dataclasses.replace(
            kept, batches=batches, final_stock=compute_final_stock(batches, network)
        )
        if not find_violations(longer, network):
            kept = longer
    assume(kept.batches)
    return network, kept


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
                    )
                    for unit, row in task.units.items()
                },
            )
            for name, task in network.tasks.items()
        },
    )
    scaled = Schedule(
        batches=tuple(
            Batch(b.task, b.unit, b.start * times, b.finish * times, b.size * amounts)
            for b in schedule.batches
        ),
        final_stock={name: amount * amounts for name, amount in schedule.final_stock.items()},
        horizon=schedule.horizon * times,
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
            total = on_hand(name, row.time, schedule.batches, network)
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
