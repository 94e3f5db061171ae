"""Best schedules on a grid of whole hours: a reference without any code of the library's models.

For plants whose durations do not depend on the size and are whole numbers, as are the release times
and the horizon, all periods, changeovers, arrivals, steps, what the state at time 0 says, and the
times of deliveries and orders. Rounding all times of a schedule down to whole hours then keeps
every duration, every order and every coincidence, and lets no batches run at one time that did not
before, so that nothing is lost on the grid.
"""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import NamedTuple

import numpy as np
from grid_rows import Rows, add_plant, end_of

from stnopt.plant import Delivery, LastTask, Order, PlantState, RunningBatch, read_network

#: Room for a missing share beside the least one; with more than 1e-6 HiGHS loses optima.
_SLACK = 1e-9


class Best(NamedTuple):
    """What is best: the value, the priority-weighted missing share, and the lateness per order."""

    value: float
    missing: float
    late: dict[str, float]


def best_on_grid(network, hours, deliveries=(), *, start=None):
    """Return the largest profit within so many hours; None if nothing serves the deliveries."""
    best = best_of_all(network, hours, deliveries, start=start)
    return None if best is None else best.value


def is_valid_on_grid(network, schedule):
    """Whether a schedule of whole hours obeys the plant, by this grid's rows alone."""
    key = {(b.task, b.unit, int(b.start)): b.size for b in schedule.batches}
    if len(key) < len(schedule.batches):
        return False
    parts = {
        (served.order.id, int(time)): amount
        for served in schedule.orders
        for time, amount in served.parts
    }
    best = best_of_all(
        network,
        int(schedule.horizon),
        schedule.deliveries,
        start=schedule.start,
        orders=[served.order for served in schedule.orders],
        fixed=(key, parts),
        may_miss=any(served.may_miss for served in schedule.orders),
    )
    return best is not None


def best_of_all(
    network,
    hours,
    deliveries=(),
    *,
    start=None,
    orders=(),
    objective="profit",
    fixed=None,
    keep=(),
    may_miss=False,
    targets=(),
    sense="at_least",
    nodes=None,
):
    """Return the best that can be had from a state, with orders; None if nothing is feasible.

    `keep`: batches that run as they are, whatever runs beside them.

    "profit", with what lateness and missing amounts cost, or another objective; for "tardiness" the
    least missing share first, then the lateness.
    """
    rows = Rows(nodes=nodes)
    network = _priced(network, objective)
    plan = add_plant(
        rows,
        network,
        hours,
        deliveries,
        start=start,
        orders=orders,
        fixed=fixed,
        may_miss=may_miss or objective == "tardiness",
    )
    if plan is None:
        return None
    for batch in keep:
        key = (batch.task, batch.unit, round(batch.start))
        if key not in plan.starts:
            return None
        rows.lower[plan.starts[key]] = 1.0
        rows.lower[plan.sizes[key]] = rows.upper[plan.sizes[key]] = batch.size
    for state, amount in dict(targets).items():
        rows.row(plan.final[state], amount, amount if sense == "exactly" else math.inf)
    if objective == "production":
        rows.gain[:] = [0.0] * len(rows.gain)
        for state in network.states.values():
            for column, factor in plan.made[state.name] if state.price > 0 else ():
                rows.gain[column] += factor
    elif objective == "batches":
        rows.gain[:] = [-float(column in plan.starts.values()) for column in range(len(rows.gain))]
    elif objective == "makespan":
        _end_early(rows, network, plan, start or PlantState(), orders)
    missing = 0.0
    if objective == "tardiness":
        gain = np.zeros(len(rows.gain))
        for order in orders:
            gain[plan.asked[order.id].missing] = -order.priority / order.amount
        found = rows.maximise(gain)
        if found is None:
            return None
        missing = -found[0]
        terms = [(plan.asked[o.id].missing, o.priority / o.amount) for o in orders]
        rows.row(terms, -math.inf, missing + _SLACK)
        rows.gain[:] = [0.0] * len(rows.gain)
        for order in orders:
            rows.gain[plan.asked[order.id].late] = -order.priority
    found = rows.maximise()
    if found is None:
        return None
    late = {order.id: float(found[1][plan.asked[order.id].late]) for order in orders}
    value = found[0] if objective in ("profit", "production") else -found[0]
    return Best(value, missing, late)


def _priced(network, objective):
    """Return the plant with the prices that count: none in its cost."""
    if objective != "cost":
        return network
    states = {name: replace(state, price=0.0) for name, state in network.states.items()}
    return replace(network, states=states)


def _end_early(rows, network, plan, start, orders):
    """Have the last batch end, and the last part of an order leave, as early as can be."""
    rows.gain[:] = [0.0] * len(rows.gain)
    ends = rows.column(gain=-1.0)
    for (task, unit, hour), column in plan.starts.items():
        rows.row([(ends, 1), (column, -end_of(network, task, unit, hour))], 0, math.inf)
    for order in orders:
        for hour, there in plan.asked[order.id].parts.items():
            rows.row([(ends, 1), (there, -hour)], 0, math.inf)
    for batch in start.running:
        rows.row([(ends, 1)], batch.remaining, math.inf)


def draw_plant(seed, *, capacities=(0, 2, 4, None)):
    """Draw two to four tasks on one to three units, between a raw material and two products."""
    random = Random(seed)
    units = ["U1", "U2", "U3"][: random.randint(1, 3)]
    ways = [
        (["A"], [["I"], ["J"], ["I", "J"], ["I", "P"]]),
        (["I"], [["P"], ["J"], ["P", "Q"], ["J", "P"]]),
        (["J"], [["Q"], ["I"], ["I", "Q"], ["P"]]),
        (["A", random.choice("IJ")], [["I"], ["J"], ["P", "Q"], ["I", "Q"]]),
    ]
    order = [0, *random.sample([1, 2, 3], random.randint(1, 3))]
    tasks = {}
    for number in order:
        sources, sinks = ways[number]
        entries = {}
        produces = _shares(random, random.choice(sinks))
        for unit in random.sample(units, min(len(units), random.choice([1, 1, 2]))):
            largest = random.choice([2, 4, 8])
            entry = {"max_batch": largest, "fixed_time": random.choice([1, 1, 2, 3, 4])}
            smallest = random.choice([0, 0, 2, largest])
            if smallest:
                entry["min_batch"] = smallest
            if entry["fixed_time"] > 1 and random.random() < 0.3:
                leaving = random.choice(list(produces))
                entry["release_time"] = {leaving: random.randint(1, entry["fixed_time"] - 1)}
            if random.random() < 0.2:
                entry["fixed_cost"] = 1
            entries[unit] = entry
        tasks[f"T{number}"] = {
            "consumes": _shares(random, sources),
            "produces": produces,
            "units": entries,
        }
    used = {s for task in tasks.values() for side in ("consumes", "produces") for s in task[side]}
    drained = {s for task in tasks.values() for s in task["consumes"]}
    states = {"A": {"initial": random.choice(["unlimited", "unlimited", 8])}}
    states |= {"P": {"price": 3}, "Q": {"price": random.randint(1, 4)}}
    if random.random() < 0.2:
        states["P"]["capacity"] = 4
    for name in ("I", "J"):
        if name in drained and random.random() < 0.2:
            states[name] = {"zero_wait": True}
            continue
        states[name] = {"price": random.choice([0, 0, 0.5])}
        capacity = random.choice(capacities)
        initial = random.choice([0, 0, 0, 2, 4])
        if capacity is not None:
            states[name]["capacity"] = capacity
            initial = min(initial, capacity)
        states[name]["initial"] = initial
    states = {name: entry for name, entry in states.items() if name in used}
    return read_network({"name": f"drawn_{seed}", "states": states, "tasks": tasks})


def add_rules(network, seed, *, periods=False, changeovers=False, utilities=False, cleanings=False):
    """Return the plant with rules drawn at random; the kinds that are asked for are there."""
    random = Random(seed)
    plant = network.to_dict()
    rules = {unit: {} for unit in network.units}
    for unit in random.sample(network.units, random.randint(1, len(network.units))):
        if periods:
            start = random.randint(0, 4)
            rules[unit]["unavailable"] = [[start, start + random.randint(1, 2)]]
            if random.random() < 0.3:
                rules[unit]["unavailable"].append([start + 3, start + 4])
        tasks = [fit.task for fit in network.suitabilities if fit.unit == unit]
        if changeovers:
            rules[unit]["changeovers"] = {
                first: {task: random.choice([0, 1, 1, 2]) for task in tasks} for first in tasks
            }
        if cleanings:
            rules[unit]["clean_after"] = {
                "batches": random.randint(1, 2),
                "duration": random.randint(1, 2),
            }
    plant["units"] = {unit: rule for unit, rule in rules.items() if rule}
    if utilities:
        plant["utilities"] = {"steam": {"capacity": 6}}
        for task in plant["tasks"].values():
            for entry in task["units"].values():
                constant = random.choice([0, 2, 3, 4])
                entry["draws"] = {"steam": constant}
                if random.random() < 0.5:
                    entry["draws_per_amount"] = {"steam": random.choice([0.25, 0.5])}
    return read_network(plant)


def add_calendars(network, seed):
    """Return the plant with a unit that is unattended or paused for a while, arrivals and steps."""
    random = Random(seed)
    plant = network.to_dict()
    units = plant.setdefault("units", {})
    unit = random.choice(network.units)
    kind = random.choice(["unattended", "paused"])
    begin = random.randint(0, 3)
    units.setdefault(unit, {})[kind] = [[begin, begin + random.randint(1, 3)]]
    name = random.choice([s for s in plant["states"] if s in "IJ"] or ["P"])
    if not plant["states"][name].get("zero_wait"):
        plant["states"][name]["arrivals"] = [[random.randint(0, 4), random.choice([1, 2])]]
    if "utilities" in plant and random.random() < 0.5:
        plant["utilities"]["steam"]["capacity"] = [[0, random.choice([4, 6])], [2, 6], [4, 3]]
    return read_network(plant)


def draw_state(network, seed):
    """Draw what runs, is held, or ran last in the units of a plant."""
    random = Random(seed)
    running, held, last, count = [], {}, {}, {}
    for unit in network.units:
        fits = [fit for fit in network.suitabilities if fit.unit == unit]
        fit = random.choice(fits)
        rules = network.unit_rules.get(unit)
        if rules and rules.clean_after and random.random() < 0.7:
            count[unit] = random.randint(0, rules.clean_after.batches)
        what = random.choice(["runs", "ran", "holds", "nothing"])
        if what == "runs" and not (rules and rules.unavailable):
            started = -random.randint(0, int(fit.fixed_time) - 1)
            size = fit.max_batch if random.random() < 0.5 else max(1, fit.min_batch)
            remaining = max(1, fit.fixed_time + started + random.choice([0, 0, 1]))
            running.append(
                RunningBatch(
                    task=fit.task, unit=unit, started=started, size=size, remaining=remaining
                )
            )
            if unit in count:
                count[unit] = max(1, count[unit])
            continue
        if what != "nothing":
            last[unit] = LastTask(fit.task, -random.randint(0, 2))
        keepable = [s for s in network.tasks[fit.task].produces if not network.states[s].zero_wait]
        if what == "holds" and keepable:
            most = network.most_made(keepable[0])[unit]
            held[unit] = {keepable[0]: min(most, random.choice([0.5, 1]))}
    return PlantState(running=running, held=held, last=last, since_cleaning=count)


def draw_orders(network, seed, hours):
    """Draw two or three orders, more than can be met as often as not."""
    random = Random(seed)
    made = [s for s in network.states if network.producers(s) and not network.states[s].zero_wait]
    if not made:
        return []
    return [
        Order(
            f"o{number}",
            random.choice(made),
            random.choice([1, 2, 3]),
            random.randint(-1, hours),
            partial=random.random() < 0.4,
            earliest=random.choice([0, 0, 2]),
            priority=random.choice([1, 2]),
            late_cost=random.choice([0, 0.5]),
            missing_cost=random.choice([0.5, 2, 4]),
        )
        for number in range(random.randint(2, 3))
    ]


def draw_deliveries(network, seed, hours):
    """Draw one or two deliveries of what the plant makes."""
    random = Random(seed)
    made = [s for s in network.states if network.producers(s) and not network.states[s].zero_wait]
    return [
        Delivery(
            random.choice(made), random.randint(hours // 2, hours), random.choice([0.5, 1, 1.5])
        )
        for _ in range(random.randint(1, 2))
    ]


def _shares(random, names):
    if len(names) == 1:
        return {names[0]: 1}
    share = random.choice([0.25, 0.5, 0.75])
    return {names[0]: share, names[1]: 1 - share}
