"""The rows of a plant on a grid of whole hours (see `time_grid`), without the library's models."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_array

from stnopt.plant import PlantState


class Rows:
    """Columns and rows of a MILP, collected one by one."""

    def __init__(self, *, nodes=None):
        self.nodes = nodes  # of one solve; then TimeoutError
        self.lower, self.upper, self.integer, self.gain = [], [], [], []
        self.entries, self.row_lower, self.row_upper = [], [], []
        self.one = self.column(1)
        self.lower[self.one] = 1.0

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

    def maximise(self, gain=None):
        """Return the best value and the columns; None if nothing is feasible."""
        rows, columns, factors = zip(*self.entries, strict=True)
        matrix = csr_array((factors, (rows, columns)), shape=(len(self.row_lower), len(self.gain)))
        if any(low > high for low, high in zip(self.lower, self.upper, strict=True)):
            return None
        for presolve in (False, True):  # HiGHS loses optima in presolve, and rarely fails without
            found = milp(
                -np.array(self.gain if gain is None else gain),
                integrality=self.integer,
                bounds=(self.lower, self.upper),
                constraints=LinearConstraint(matrix, self.row_lower, self.row_upper),
                options={"mip_rel_gap": 1e-7, "presolve": presolve}
                | ({"node_limit": self.nodes} if self.nodes else {}),
            )
            if found.status in (0, 2):
                break
        if found.status == 2:
            return None
        if found.status == 1:
            raise TimeoutError(found.message)
        assert found.status == 0, found.message
        return -found.fun, found.x


class Plan(NamedTuple):
    """Columns of one plant: batches, what orders miss; terms of what is made and left of a state.

    `made` has what was there and came, too, and counts what is delivered.
    """

    starts: dict
    sizes: dict
    asked: dict
    made: dict
    final: dict


class Asked(NamedTuple):
    """Columns of one order: its lateness, the amount that is missing, and by hour if a part is."""

    late: int
    missing: int
    parts: dict


def add_plant(
    rows, network, hours, deliveries=(), *, start=None, orders=(), fixed=None, may_miss=False
):
    """Add a plant's rows, with its profit in the gains; None if the grid lacks a fixed batch."""
    start = start or PlantState()
    starts, sizes = {}, {}  # (task, unit, hour) -> column
    for fit in network.suitabilities:
        for hour in range(hours):
            finish = _finish(network, fit.unit, hour, fit.fixed_time)
            if finish > hours or not _may_start(network, start, fit.unit, hour, finish):
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
                if where == unit and begin <= hour < end_of(network, task, unit, begin)
            ]
            if busy:
                rows.row(busy, 0, 1)
    in_turn = _pairs_in_turn(rows, network, start, starts)
    for between, finish, following, (time, _) in in_turn:
        if following < finish + time:
            rows.row(between, -math.inf, 1)
    cleaned = _clean(rows, network, start, hours, starts)
    for utility in network.utilities.values():
        for hour in range(hours):
            _limit_draws(rows, network, start, utility, hour, starts, sizes)
    wanted = {state: {hour: [] for hour in range(hours + 1)} for state in network.states}
    for delivery in deliveries:
        wanted[delivery.state][delivery.time].append((rows.one, delivery.amount))
    asked = _order(rows, hours, orders, wanted, may_miss=may_miss, fixed=fixed)
    if fixed is not None and not _fix(rows, network, starts, sizes, fixed[0]):
        return None
    made, final = {}, {}
    for name, state in network.states.items():
        made[name] = _add_state(
            rows, network, start, state, hours, starts, sizes, in_turn, cleaned, wanted
        )
        left = [(column, -f) for terms in wanted[name].values() for column, f in terms]
        final[name] = [*made[name], *left]
    for order in orders:
        rows.gain[asked[order.id].late] -= order.late_cost
        rows.gain[asked[order.id].missing] -= order.missing_cost or 0.0
    return Plan(starts, sizes, asked, made, final)


def _rules(network, unit):
    return network.unit_rules.get(unit)


def _away(network, unit):
    return _rules(network, unit).unavailable if _rules(network, unit) else ()


def _unattended(network, unit):
    return _rules(network, unit).unattended if _rules(network, unit) else ()


def _paused(network, unit, hour):
    rules = _rules(network, unit)
    return any(s <= hour < e for s, e in (rules.paused if rules else ()))


def _times(network, unit):
    return _rules(network, unit).changeovers if _rules(network, unit) else {}


def _finish(network, unit, hour, work):
    """Hour at which so many hours of work are done, none of them in a pause."""
    left = int(work)
    while left > 0:
        left -= not _paused(network, unit, hour)
        hour += 1
    return hour


def end_of(network, task, unit, begin):
    return _finish(network, unit, begin, network.tasks[task].units[unit].fixed_time)


def _may_start(network, start, unit, hour, finish):
    rules = _rules(network, unit)
    closed = (*rules.unattended, *rules.paused) if rules else ()
    return (
        not any(hour < e and s < _released(network, unit, finish) for s, e in _away(network, unit))
        and not any(s < hour < e for s, e in closed)
        and not any(b.unit == unit and hour < b.remaining for b in start.running)
    )


def _released(network, unit, hour):
    """Hour at which what could leave a unit does: when somebody is there."""
    return next((int(e) for s, e in _unattended(network, unit) if s < hour < e), hour)


def _limit_draws(rows, network, start, utility, hour, starts, sizes):
    drawing = []
    for (task, unit, begin), column in starts.items():
        fit = network.tasks[task].units[unit]
        if begin <= hour < end_of(network, task, unit, begin) and not _paused(network, unit, hour):
            drawing.append((column, fit.draws.get(utility.name, 0)))
            size = sizes[task, unit, begin]
            drawing.append((size, fit.draws_per_amount.get(utility.name, 0)))
    for batch in start.running:
        if hour < batch.remaining and not _paused(network, batch.unit, hour):
            fit = network.tasks[batch.task].units[batch.unit]
            drawing.append((rows.one, fit.draw(utility.name, batch.size)))
    steps = utility.steps or ((0, utility.capacity),)
    capacity = [level for time, level in steps if time <= hour][-1]
    if drawing:
        rows.row(drawing, -math.inf, capacity)


def _fix(rows, network, starts, sizes, batches):
    """Let exactly these batches run; say whether the grid knows them all."""
    for key, column in starts.items():
        size = batches.get(key, 0.0)
        rows.lower[column] = rows.upper[column] = float(key in batches)
        spare = 1e-5 * network.tasks[key[0]].units[key[1]].max_batch
        rows.lower[sizes[key]] = max(0.0, size - spare)
        rows.upper[sizes[key]] = min(rows.upper[sizes[key]], size + spare)
        if rows.lower[sizes[key]] > rows.upper[sizes[key]]:
            return False
    return all(key in starts for key in batches)


def _order(rows, hours, orders, wanted, *, may_miss, fixed=None):
    """Return the columns of each order."""
    asked = {}
    for order in orders:
        late, missing = rows.column(hours - order.due), rows.column(order.amount)
        whole, by_hour = rows.column(1, integer=True), {}
        if not may_miss and order.missing_cost is None:
            rows.lower[whole] = 1.0
        parts = []
        for hour in range(int(order.earliest), hours + 1):
            there, amount = rows.column(1, integer=True), rows.column(order.amount)
            by_hour[hour] = there
            if fixed is not None:
                given = fixed[1].get((order.id, hour), 0.0)
                rows.lower[amount] = max(0.0, given - 1e-5 * order.amount)
                rows.upper[amount] = min(order.amount, given + 1e-5 * order.amount)
            rows.row([(amount, 1), (there, -order.amount)], -math.inf, 0)
            if not order.partial:
                rows.row([(amount, 1), (there, -order.amount)], 0, 0)
            rows.row([(late, 1), (there, order.due - hour)], 0, math.inf)
            wanted[order.state][hour].append((amount, 1))
            parts.append((amount, 1))
        rows.row([*parts, (missing, 1)], order.amount, order.amount)
        rows.row([(missing, 1), (whole, order.amount)], -math.inf, order.amount)
        rows.row([(late, 1), (whole, hours - order.due)], hours - order.due, math.inf)
        asked[order.id] = Asked(late, missing, by_hour)
    return asked


def _pairs_in_turn(rows, network, state, starts):
    """Return (terms, finish, start, changeover, unit) for pairs of batches that need a changeover.

    The terms sum to 2 if both run with no other between them, else to 1 at most. What ran last, or
    runs at 0, is one of the first ones; a unit that holds something has not begun to be cleaned.
    """
    firsts = [
        (first, unit, column, _released(network, unit, end_of(network, first, unit, begin)))
        for (first, unit, begin), column in starts.items()
    ]
    firsts += [
        (b.task, b.unit, rows.one, _released(network, b.unit, b.remaining)) for b in state.running
    ]
    for unit, last in state.last.items():
        locked = [e for s, e in _unattended(network, unit) if s == 0]
        emptied = locked[0] if locked else 0
        firsts.append((last.task, unit, rows.one, emptied if unit in state.held else last.finished))
    pairs = []
    for first, unit, column, finish in firsts:
        for (task, where, start), other in starts.items():
            time = _times(network, unit).get((first, task), 0)
            if where != unit or not time or start < finish or other == column:
                continue
            between = [
                (c, -1) for (_, w, h), c in starts.items() if w == unit and finish <= h < start
            ]
            pairs.append(([(column, 1), (other, 1), *between], finish, start, (time, unit)))
    return pairs


def _clean(rows, network, state, hours, starts):
    """Return, by unit and hour, the columns of the cleanings that go on then.

    Of any `batches` + 1 batches in a row, all but the first have a cleaning before one of them.
    """
    cleaned = {}
    for unit in network.units:
        rule = _rules(network, unit).clean_after if _rules(network, unit) else None
        if rule is None:
            continue
        on = {key: column for key, column in starts.items() if key[1] == unit}
        ready = max(
            (_released(network, unit, b.remaining) for b in state.running if b.unit == unit),
            default=0,
        )
        if unit in state.held:
            ready = max((e for s, e in _unattended(network, unit) if s == 0), default=0)
        begins = {}  # hour at which the next batch starts -> column
        for hour in range(int(rule.duration + ready), hours + 1):
            first = hour - int(rule.duration)
            if any(first < e and s < hour for s, e in _away(network, unit)):
                continue
            begins[hour] = rows.column(1, integer=True)
            starting = [(c, -1) for (_, _, h), c in on.items() if h == hour]
            rows.row([(begins[hour], 1), *starting], -math.inf, 0)
            for (task, _, h), column in on.items():
                if h < hour and _released(network, unit, end_of(network, task, unit, h)) > first:
                    rows.row([(begins[hour], 1), (column, 1)], -math.inf, 1)
        for low in range(hours):
            for high in range(low + 1, hours):
                inside = [(c, 1) for (_, _, h), c in on.items() if low <= h <= high]
                between = [(c, -len(inside)) for h, c in begins.items() if low < h <= high]
                rows.row([*inside, *between, (rows.one, 0)], -math.inf, rule.batches)
        count = state.since_cleaning.get(unit, 0)
        for high in range(hours):
            inside = [(c, 1) for (_, _, h), c in on.items() if h <= high]
            between = [(c, -len(inside)) for h, c in begins.items() if h <= high]
            rows.row([*inside, *between, (rows.one, count)], -math.inf, max(rule.batches, count))
        for hour, column in begins.items():
            for h in range(hour - int(rule.duration), hour):
                cleaned.setdefault((unit, h), []).append(column)
    return cleaned


def _add_state(rows, network, start, state, hours, starts, sizes, in_turn, cleaned, wanted):
    """Add the rows of a state; return the terms of what there is and comes, less what is used."""
    taken = {hour: [] for hour in range(hours + 1)}
    early = {hour: [] for hour in range(hours + 1)}
    ended = {}  # unit -> hour -> terms

    def release(unit, hour, term, at_end):
        hour = min(_released(network, unit, hour), hours)
        if at_end:
            by_hour = ended.setdefault(unit, {h: [] for h in range(hours + 1)})
            by_hour[hour].append(term)
        else:
            early[hour].append(term)

    for (task, unit, hour), size in sizes.items():
        recipe, fit = network.tasks[task], network.tasks[task].units[unit]
        if state.name in recipe.consumes:
            taken[hour].append((size, recipe.consumes[state.name]))
            rows.gain[size] -= state.cost * recipe.consumes[state.name]
        if state.name in recipe.produces:
            term = (size, recipe.produces[state.name])
            leaves = fit.release_time.get(state.name, fit.fixed_time)
            at = _finish(network, unit, hour, leaves)
            release(unit, at, term, leaves >= fit.fixed_time)
            if not state.unlimited:
                rows.gain[size] += state.price * recipe.produces[state.name]
        if state.name in recipe.consumes and not state.unlimited:
            rows.gain[size] -= state.price * recipe.consumes[state.name]
    if state.unlimited:
        return [term for terms in taken.values() for term in terms]
    given = start.stocks.get(state.name, state.initial)
    rows.gain[rows.one] += state.price * given
    for batch in start.running:
        recipe, fit = network.tasks[batch.task], network.tasks[batch.task].units[batch.unit]
        share = recipe.produces.get(state.name)
        leaves = fit.release_time.get(state.name, fit.fixed_time)
        gone = leaves < fit.fixed_time and batch.started + leaves <= 0
        if batch.released is not None:
            gone = state.name in batch.released
        if not share or gone:
            continue
        at = int(max(0, batch.remaining - (fit.fixed_time - leaves)))
        term = (rows.one, share * batch.size)
        release(batch.unit, at, term, leaves >= fit.fixed_time)
        rows.gain[rows.one] += state.price * term[1]
    for unit, row in start.held.items():
        if state.name in row:
            by_hour = ended.setdefault(unit, {h: [] for h in range(hours + 1)})
            by_hour[0].append((rows.one, row[state.name]))
            rows.gain[rows.one] += state.price * row[state.name]
    for time, amount in state.arrivals:
        if time <= hours:
            early[time].append((rows.one, amount))
            rows.gain[rows.one] += state.price * amount
    made = [(rows.one, given), *(t for terms in early.values() for t in terms)]
    made += [t for by_hour in ended.values() for terms in by_hour.values() for t in terms]
    made += [(column, -factor) for terms in taken.values() for column, factor in terms]
    if state.zero_wait:
        for hour in range(hours + 1):
            released = early[hour] + [t for by_hour in ended.values() for t in by_hour[hour]]
            rows.row(released + [(c, -f) for c, f in taken[hour]], 0, 0)
        return made
    stored = [rows.column(state.capacity) for _ in range(hours + 1)]
    leaving = {hour: [] for hour in range(hours + 1)}
    for unit, by_hour in ended.items():
        # Bounded like all columns here: HiGHS errs where big-M rows meet unbounded ones.
        most = sum(fit.max_batch for fit in network.suitabilities)
        before = None
        for hour in range(hours + 1):
            waiting, out = rows.column(most), rows.column(most)
            leaving[hour].append((out, 1))
            if any(s < hour < e for s, e in _unattended(network, unit)) and hour < hours:
                rows.row([(out, 1)], 0, 0)
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
        balance += wanted[state.name][hour]
        if hour:
            rows.row([*balance, (stored[hour - 1], -1)], 0, 0)
        else:
            rows.row([*balance, (rows.one, -given)], 0, 0)
    return made
