"""Best schedules on a grid of whole hours: a reference without any code of the library's models.

For plants whose durations do not depend on the size and are whole numbers, as are the release times
and the horizon, unavailable periods, changeovers and the times of deliveries. Rounding all times of
a schedule down to whole hours then keeps every duration, every order and every coincidence, and
lets no batches run at one time that did not before, so that nothing is lost on the grid.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_array

from stnopt.plant import Delivery, read_network


class _Rows:
    """Columns and rows of a MILP, collected one by one."""

    def __init__(self):
        self.lower, self.upper, self.integer, self.gain = [], [], [], []
        self.entries, self.row_lower, self.row_upper = [], [], []

    def column(self, upper=math.inf, *, integer=False, gain=0.0):
        self.lower.append(0.0)
        self.upper.append(upper)
        self.integer.append(int(integer))
        self.gain.append(gain)
        return len(self.gain) - 1

    def row(self, terms, low, high):
        row = len(self.row_lower)
        self.entries += [(row, column, factor) for column, factor in terms]
        self.row_lower.append(low)
        self.row_upper.append(high)

    def maximise(self):
        rows, columns, factors = zip(*self.entries, strict=True)
        matrix = csr_array((factors, (rows, columns)), shape=(len(self.row_lower), len(self.gain)))
        found = milp(
            -np.array(self.gain),
            integrality=self.integer,
            bounds=(self.lower, self.upper),
            constraints=LinearConstraint(matrix, self.row_lower, self.row_upper),
            options={"mip_rel_gap": 1e-7},
        )
        if found.status == 2:
            return None
        assert found.status == 0, found.message
        return -found.fun


def best_on_grid(network, hours, deliveries=()):
    """Return the largest profit within so many hours; None if nothing serves the deliveries."""
    rows = _Rows()
    starts, sizes = {}, {}  # (task, unit, hour) -> column
    for fit in network.suitabilities:
        for hour in range(int(hours - fit.fixed_time) + 1):
            if any(hour < e and s < hour + fit.fixed_time for s, e in _away(network, fit.unit)):
                continue
            key = (fit.task, fit.unit, hour)
            starts[key] = rows.column(1, integer=True, gain=-fit.fixed_cost)
            sizes[key] = rows.column(fit.max_batch, gain=-fit.cost_per_amount)
            rows.row([(sizes[key], 1), (starts[key], -fit.max_batch)], -math.inf, 0)
            # Where batches that follow each other matter, an empty one must not count.
            least = fit.min_batch or (1e-5 * fit.max_batch if _times(network, fit.unit) else 0)
            if least:
                rows.row([(sizes[key], 1), (starts[key], -least)], 0, math.inf)
    for unit in network.units:
        for hour in range(hours):
            busy = [
                (column, 1)
                for (task, where, begin), column in starts.items()
                if where == unit
                and begin <= hour < begin + network.tasks[task].units[unit].fixed_time
            ]
            if busy:
                rows.row(busy, 0, 1)
    in_turn = _pairs_in_turn(network, starts)
    for between, finish, following, (time, _) in in_turn:
        if following < finish + time:
            rows.row(between, -math.inf, 1)
    cleaned = _clean(rows, network, hours, starts)
    for name, utility in network.utilities.items():
        for hour in range(hours):
            drawing = []
            for (task, unit, begin), column in starts.items():
                fit = network.tasks[task].units[unit]
                if begin <= hour < begin + fit.fixed_time:
                    drawing.append((column, fit.draws.get(name, 0)))
                    size = sizes[task, unit, begin]
                    drawing.append((size, fit.draws_per_amount.get(name, 0)))
            if drawing:
                rows.row(drawing, -math.inf, utility.capacity)
    for state in network.states.values():
        due = {hour: 0 for hour in range(hours + 1)}
        for delivery in deliveries:
            if delivery.state == state.name:
                due[delivery.time] += delivery.amount
        _add_state(rows, network, state, hours, starts, sizes, in_turn, cleaned, due)
    initial = sum(s.price * s.initial for s in network.states.values() if not s.unlimited)
    best = rows.maximise()
    return None if best is None else best + initial


def _away(network, unit):
    return network.unit_rules[unit].unavailable if unit in network.unit_rules else ()


def _times(network, unit):
    return network.unit_rules[unit].changeovers if unit in network.unit_rules else {}


def _pairs_in_turn(network, starts):
    """Return (terms, finish, start, changeover, unit) for pairs of batches that need a changeover.

    The terms sum to 2 if both run with no other between them, else to 1 at most.
    """
    pairs = []
    for (first, unit, begin), column in starts.items():
        finish = begin + network.tasks[first].units[unit].fixed_time
        for (task, where, start), other in starts.items():
            time = _times(network, unit).get((first, task), 0)
            if where != unit or not time or start < finish:
                continue
            between = [
                (c, -1) for (_, w, h), c in starts.items() if w == unit and finish <= h < start
            ]
            pairs.append(([(column, 1), (other, 1), *between], finish, start, (time, unit)))
    return pairs


def _clean(rows, network, hours, starts):
    """Return, by unit and hour, the columns of the cleanings that go on then.

    Of any `batches` + 1 batches in a row, all but the first have a cleaning before one of them.
    """
    cleaned = {}
    for unit in network.units:
        rule = network.unit_rules[unit].clean_after if unit in network.unit_rules else None
        if rule is None:
            continue
        on = {key: column for key, column in starts.items() if key[1] == unit}
        begins = {}  # hour at which the next batch starts -> column
        for hour in range(int(rule.duration), hours + 1):
            first = hour - int(rule.duration)
            if any(first < e and s < hour for s, e in _away(network, unit)):
                continue
            begins[hour] = rows.column(1, integer=True)
            starting = [(c, -1) for (_, _, h), c in on.items() if h == hour]
            rows.row([(begins[hour], 1), *starting], -math.inf, 0)
            for (task, _, h), column in on.items():
                if h < hour and h + network.tasks[task].units[unit].fixed_time > first:
                    rows.row([(begins[hour], 1), (column, 1)], -math.inf, 1)
        for low in range(hours):
            for high in range(low + 1, hours):
                inside = [(c, 1) for (_, _, h), c in on.items() if low <= h <= high]
                if len(inside) <= rule.batches:
                    continue
                between = [(c, -len(inside)) for h, c in begins.items() if low < h <= high]
                rows.row([*inside, *between], -math.inf, rule.batches)
        for hour, column in begins.items():
            for h in range(hour - int(rule.duration), hour):
                cleaned.setdefault((unit, h), []).append(column)
    return cleaned


def _add_state(rows, network, state, hours, starts, sizes, in_turn, cleaned, due):
    taken = {hour: [] for hour in range(hours + 1)}
    early = {hour: [] for hour in range(hours + 1)}
    ended = {}  # unit -> hour -> terms
    for (task, unit, hour), size in sizes.items():
        recipe, fit = network.tasks[task], network.tasks[task].units[unit]
        if state.name in recipe.consumes:
            taken[hour].append((size, recipe.consumes[state.name]))
            rows.gain[size] -= state.cost * recipe.consumes[state.name]
        if state.name in recipe.produces:
            term = (size, recipe.produces[state.name])
            leaves = fit.release_time.get(state.name, fit.fixed_time)
            if leaves < fit.fixed_time:
                early[int(hour + leaves)].append(term)
            else:
                by_hour = ended.setdefault(unit, {h: [] for h in range(hours + 1)})
                by_hour[int(hour + fit.fixed_time)].append(term)
            if not state.unlimited:
                rows.gain[size] += state.price * recipe.produces[state.name]
        if state.name in recipe.consumes and not state.unlimited:
            rows.gain[size] -= state.price * recipe.consumes[state.name]
    if state.unlimited:
        return
    if state.zero_wait:
        for hour in range(hours + 1):
            released = early[hour] + [t for by_hour in ended.values() for t in by_hour[hour]]
            rows.row(released + [(c, -f) for c, f in taken[hour]], 0, 0)
        return
    stored = [rows.column(state.capacity) for _ in range(hours + 1)]
    leaving = {hour: [] for hour in range(hours + 1)}
    for unit, by_hour in ended.items():
        # Bounded like all columns here: HiGHS errs where big-M rows meet unbounded ones.
        most = sum(fit.max_batch for fit in network.suitabilities)
        before = None
        for hour in range(hours + 1):
            waiting, out = rows.column(most), rows.column(most)
            leaving[hour].append((out, 1))
            held = [(waiting, 1), (out, 1), *((c, -f) for c, f in by_hour[hour])]
            rows.row(held if before is None else [*held, (before, -1)], 0, 0)
            begins = [
                (column, most)
                for (_, where, begin), column in starts.items()
                if (where, begin) == (unit, hour)
            ]
            rows.row([(waiting, 1), *begins], -math.inf, most)
            if hour < hours and any(s <= hour < e for s, e in _away(network, unit)):
                rows.row([(waiting, 1)], -math.inf, 0)
            for cleaning in cleaned.get((unit, hour), ()):
                rows.row([(waiting, 1), (cleaning, most)], -math.inf, most)
            for both, finish, following, (time, where) in in_turn:
                if where == unit and max(finish, following - time) <= hour < following:
                    rows.row([(waiting, 1), *((c, most * f) for c, f in both)], -math.inf, 2 * most)
            before = waiting
    for hour in range(hours + 1):
        balance = [(stored[hour], 1), *((c, f) for c, f in taken[hour])]
        balance += [(c, -f) for c, f in early[hour] + leaving[hour]]
        if hour:
            rows.row([*balance, (stored[hour - 1], -1)], -due[hour], -due[hour])
        else:
            rows.row(balance, state.initial - due[hour], state.initial - due[hour])


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
