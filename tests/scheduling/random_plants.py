"""Small plants drawn by Hypothesis, and a judge of their schedules that shares no code with ours.

Durations, release times and horizons are whole hours, so that `time_grid` finds the best schedule
and rounding a schedule down to whole hours loses nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from time_grid import best_on_grid

from stnopt.plant import Network, read_network
from stnopt.scheduling.model import build_scheduling_model, extract_schedule, set_objective
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from collections.abc import Container
    from random import Random

MUTATIONS = ("moved", "grown", "doubled")
NODE_LIMIT = 20_000  # of one solve
UNITS = ("U1", "U2", "U3")
#: What a task may take and what it may make: with I and J between raw material and products, a
#: plant may split streams, join them and send them back.
WAYS = (
    (("A",), (("I",), ("J",), ("I", "J"), ("I", "P"))),
    (("I",), (("P",), ("J",), ("P", "Q"), ("J", "P"))),
    (("J",), (("Q",), ("I",), ("I", "Q"), ("P",))),
    (("A", "I"), (("J",), ("P", "Q"), ("I", "Q"))),
    (("A", "J"), (("I",), ("P", "Q"), ("I", "Q"))),
)


@st.composite
def plants(draw, *, storage="limited"):
    """Two to four tasks on one to three units; storage "limited" or "unlimited"."""
    capacities = (None,) if storage == "unlimited" else (0, 2, 4, None)

    def choose(*options):
        return draw(st.sampled_from(options))

    units = UNITS[: draw(st.integers(1, 3))]
    others = draw(st.lists(st.integers(1, len(WAYS) - 1), min_size=1, max_size=3, unique=True))
    tasks = {}
    for number in (0, *sorted(others)):
        sources, sinks = WAYS[number]
        produces = draw(shares(choose(*sinks)))
        entries = {}
        for unit in draw(st.lists(st.sampled_from(units), min_size=1, max_size=2, unique=True)):
            largest = choose(2, 4, 8)
            hours = choose(1, 1, 2, 3, 4)
            entry = {"max_batch": largest, "fixed_time": hours}
            smallest = choose(0, 0, 2, largest)
            if smallest:
                entry["min_batch"] = smallest
            if hours > 1 and choose(True, False, False):
                entry["release_time"] = {choose(*produces): draw(st.integers(1, hours - 1))}
            if choose(True, False, False, False):
                entry["fixed_cost"] = 1
            entries[unit] = entry
        tasks[f"T{number}"] = {
            "consumes": draw(shares(sources)),
            "produces": produces,
            "units": entries,
        }
    used = {s for task in tasks.values() for side in ("consumes", "produces") for s in task[side]}
    drained = {s for task in tasks.values() for s in task["consumes"]}
    states = {
        "A": {"initial": choose("unlimited", "unlimited", 8)},
        "P": {"price": 3},
        "Q": {"price": choose(1, 2, 4)},
    }
    if storage == "limited" and choose(True, False, False):
        states["P"]["capacity"] = 4
    for name in ("I", "J"):
        if storage == "limited" and name in drained and choose(True, False, False, False):
            states[name] = {"zero_wait": True}
            continue
        states[name] = {"price": choose(0, 0, 0.5)}
        capacity = choose(*capacities)
        initial = choose(0, 0, 2, 4)
        if capacity is not None:
            states[name]["capacity"] = capacity
            initial = min(initial, capacity)
        states[name]["initial"] = initial
    return read_network(
        {
            "name": "drawn",
            "states": {name: entry for name, entry in states.items() if name in used},
            "tasks": tasks,
        }
    )


@st.composite
def shares(draw, names):
    """Fractions of a batch, sum 1."""
    if len(names) == 1:
        return {names[0]: 1}
    share = draw(st.sampled_from([0.25, 0.5, 0.75]))
    return {names[0]: share, names[1]: 1 - share}


def draw_cases(count: int, *, storage: str = "limited") -> list[tuple[Network, int, float]]:
    """Draw plants, horizons and best profits: all different, and in each something can be made."""
    drawn = {}

    @settings(
        max_examples=10 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plants(storage=storage), st.sampled_from([4, 5, 6, 7]))
    def draw(network, hours):
        key = (network.fingerprint, hours)
        if len(drawn) == count or key in drawn:
            return
        best = best_on_grid(network, hours)
        idle = sum(s.price * s.initial for s in network.states.values() if not s.unlimited)
        if best > idle + 0.01:
            drawn[key] = (network, hours, best)

    draw()
    assert len(drawn) == count, f"only {len(drawn)} of {count} plants"
    return list(drawn.values())


def climb(
    network: Network,
    hours: int,
    best: float,
    *,
    formulation: str = "unit_events",
    spans=(0, 1, 2, 3),
) -> Schedule | None:
    """Add events and spans until a schedule earns the best profit; None if none of them does.

    Raises
    ------
    AssertionError
        A schedule earns more than the best.
    """
    near = 2e-4 * max(1.0, abs(best))
    for n_events in range(1, 9):
        for span in spans:
            if span >= n_events:
                continue
            model = build_scheduling_model(
                network,
                horizon=hours,
                n_events=n_events,
                max_span=span,
                formulation=formulation,
            )
            set_objective(model, "profit")
            result = solve(model, node_limit=NODE_LIMIT)
            if not result.has_solution:
                continue
            schedule = extract_schedule(model, network)
            assert result.objective <= best + near, (result.objective, best, network.to_dict())
            if result.objective >= best - near:
                return schedule
    return None


def on_whole_hours(schedule: Schedule) -> Schedule:
    """Round every time down; durations, orders and coincidences stay."""
    batches = []
    for batch in schedule.batches:
        start = math.floor(batch.start + 1e-4)
        hours = round(batch.finish - batch.start)
        batches.append(replace(batch, start=start, finish=start + hours))
    return replace(schedule, batches=tuple(batches))


def mutate(schedule: Schedule, network: Network, kind: str, random: Random) -> Schedule:
    """Move, grow or double one batch; what is left at the end follows."""
    batches = list(schedule.batches)
    number = random.randrange(len(batches))
    batch = batches[number]
    if kind == "moved":
        shift = random.choice([-2, -1, 1, 2])
        batches[number] = replace(batch, start=batch.start + shift, finish=batch.finish + shift)
    elif kind == "grown":
        batches[number] = replace(batch, size=batch.size + random.choice([0.5, 1, 2]))
    else:
        batches.append(batch)
    return Schedule(
        batches=tuple(batches),
        final_stock=compute_final_stock(batches, network),
        horizon=schedule.horizon,
    )


def is_possible(schedule: Schedule, network: Network) -> bool:
    """Whether the plant can do it: hour slots for units, a linear program for each state."""
    busy = Counter()
    for batch in schedule.batches:
        fit = network.tasks[batch.task].units[batch.unit]
        if batch.start < 0 or batch.finish > schedule.horizon:
            return False
        if not fit.min_batch - 1e-5 <= batch.size <= fit.max_batch + 1e-5:
            return False
        busy.update((batch.unit, hour) for hour in range(int(batch.start), int(batch.finish)))
    if any(count > 1 for count in busy.values()):
        return False
    return all(
        can_be_held(name, schedule, network, busy)
        for name, state in network.states.items()
        if not state.unlimited
    )


def can_be_held(name: str, schedule: Schedule, network: Network, busy: Container) -> bool:
    """Whether there are hourly flows: lot -> use, lot -> tank, tank -> use.

    `busy` has the (unit, hour) in which a unit cannot keep what it has made.
    """
    state = network.states[name]
    hours = range(int(schedule.horizon) + 1)
    demand = dict.fromkeys(hours, 0.0)
    for delivery in schedule.deliveries:
        if delivery.state == name:
            demand[int(delivery.time)] += delivery.amount
    columns = []  # (from lot or "tank", to "tank" or "use" or "end", hour)
    lots = {}
    for number, batch in enumerate(schedule.batches):
        task = network.tasks[batch.task]
        demand[int(batch.start)] += task.consumes.get(name, 0) * batch.size
        if name not in task.produces:
            continue
        lots[number] = task.produces[name] * batch.size
        first = last = _released(batch, name, network)
        if state.zero_wait:
            columns.append((number, "use", first))
            continue
        if first == batch.finish:
            while last < schedule.horizon and (batch.unit, last) not in busy:
                last += 1
            if last == schedule.horizon:
                columns.append((number, "end", last))
        for hour in range(first, last + 1):
            columns += [(number, "use", hour), (number, "tank", hour)]
    if not state.zero_wait:
        columns += [("tank", "use", hour) for hour in hours]
    equal = [[float(origin == number) for origin, _, _ in columns] for number in lots] + [
        [float(goal == "use" and when == hour) for _, goal, when in columns] for hour in hours
    ]
    equal_to = [*lots.values(), *demand.values()]
    if not columns:
        return not any(equal_to)
    at_most, limit = [], []
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
    answer = linprog(
        np.zeros(len(columns)), at_most, limit, equal, equal_to,
        options={"primal_feasibility_tolerance": 1e-5},
    )  # fmt: skip
    assert answer.status in (0, 2)
    return answer.status == 0


def _released(batch: Batch, name: str, network: Network) -> int:
    fit = network.tasks[batch.task].units[batch.unit]
    return int(batch.start + fit.release_time.get(name, fit.fixed_time))
