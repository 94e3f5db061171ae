"""Rows of a grid that belong to states: stock, storage, what waits in units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.draft import ROUNDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.recipe import State
    from stnopt.scheduling.search.long_horizon.draft import Draft


def _needs_levels(draft: Draft, state: State) -> bool:
    """Whether anything can be wrong with a state's stock before the end."""
    return bool(
        draft.network.consumers(state.name)
        or state.zero_wait
        or math.isfinite(state.capacity)
        or any(due.state == state.name for due in draft.problem.deliveries)
        or any(order.state == state.name for order in draft.problem.orders)
    )


def add_stocks(draft: Draft) -> None:
    """Stock after a point = before + released + came - taken - delivered.

    A delivery between two points leaves at the first. A state that nothing takes has its stock at
    the end only, if it is asked for.
    """
    rows, last = draft.rows, draft.n_steps
    for state in draft.network.states.values():
        if state.unlimited:
            continue
        levels = _needs_levels(draft, state)
        if not levels and state.name not in draft.problem.targets:
            continue
        count = last + 1 if levels else 1
        columns = rows.columns(count, upper=0.0 if state.zero_wait else math.inf)
        draft.stock[state.name] = columns
        change = np.zeros(count)
        change[0] = state.initial
        for coming in draft.opening.comings:
            if coming.state == state.name:
                change[draft.point_from(coming.time) if levels else 0] += coming.amount
        balance = rows.rows(count, lower=change, upper=change)
        rows.put(balance, columns, 1.0)
        rows.put(balance[1:], columns[:-1], -1.0)
        if state.zero_wait:  # what comes of it must be taken then, which nobody may do
            for point in np.flatnonzero(change):
                rows.put(balance[point], draft.miss(state.name, int(point)), 1.0)
        for n, mode in enumerate(draft.modes):
            task = draft.network.tasks[mode.suitability.task]
            share = task.produces.get(state.name)
            if share:
                at, _ = draft.out(n, state.name)
                rows.put(balance[at if levels else 0], draft.size[n], -share)
            share = task.consumes.get(state.name)
            if share:
                rows.put(balance[draft.starts[n]], draft.size[n], share)
        _take_demands(draft, state.name, balance)


def _take_demands(draft: Draft, state: str, balance: NDArray[np.int64]) -> None:
    """Take what deliveries and orders want of a state."""
    rows = draft.rows
    for due in draft.problem.deliveries:
        if due.state == state:
            point = draft.point_until(due.time)
            column = rows.column(lower=due.amount, upper=due.amount)
            rows.put(balance[point], column, 1.0)
            rows.put(balance[point], draft.miss(state, point, due.amount), -1.0)
    for order in draft.problem.orders:
        if order.state == state:
            columns = draft.orders[order.id]
            if columns.amount is None:
                rows.put(balance[columns.points], columns.there, order.amount)
            else:
                rows.put(balance[columns.points], columns.amount, 1.0)


def add_storage(draft: Draft) -> None:
    """Keep stored = stock - waiting between 0 and the capacity.

    waiting[p] <= M (1 - runs in step p - is cleaned), <= waiting[p-1] + released at the end of a
    batch at p; none while the unit is away, all of it while nobody is there. What is delivered
    between two points is still there, and what comes between two points is there already.
    """
    rows, last = draft.rows, draft.n_steps
    for state in draft.network.states.values():
        name = state.name
        if name not in draft.stock or state.zero_wait or not math.isfinite(state.capacity):
            continue
        room = np.full(last + 1, state.capacity)
        between = [(due.time, due.amount) for due in draft.problem.deliveries if due.state == name]
        between += [(c.time, c.amount) for c in draft.opening.comings if c.state == name]
        for time, amount in between:
            point = draft.point_until(time)
            if time > point * draft.width * (1 + ROUNDING):
                room[point] -= amount
        comes = any(c.state == name for c in draft.opening.comings)
        stored = rows.rows(last + 1, upper=room if comes else np.maximum(room, 0.0))
        if comes:  # what comes may find no room
            over = [draft.miss(name, point) for point in range(last + 1)]
            rows.put(stored, np.array(over), -1.0)
        rows.put(stored, draft.stock[name], 1.0)
        there = rows.rows(last + 1, lower=0.0)
        rows.put(there, draft.stock[name], 1.0)
        for unit in _keeping_units(draft, name):
            columns = _add_waiting(draft, name, unit)
            draft.waiting[name, unit] = columns
            rows.put(stored, columns, -1.0)
            rows.put(there, columns, -1.0)


def _keeping_units(draft: Draft, state: str) -> list[str]:
    """List the units in which a state may wait: those that release it as a batch ends."""
    units = {
        mode.suitability.unit
        for n, mode in enumerate(draft.modes)
        if state in draft.network.tasks[mode.suitability.task].produces
        and draft.released(n, state)[1]
    }
    units |= {c.unit for c in draft.opening.comings if c.state == state and c.unit}
    return sorted(units)


def _add_waiting(draft: Draft, state: str, unit: str) -> NDArray[np.int64]:
    rows, last = draft.rows, draft.n_steps
    calendar = draft.units[unit]
    most = draft.network.most_made(state)[unit]
    upper = np.full(last + 1, most)
    for begin, end in calendar.away_steps:
        upper[begin : max(begin, min(end, last + (end > last)))] = 0.0
    if any(begin < last <= end for begin, end in calendar.away_steps):
        upper[last] = 0.0
    columns = rows.columns(last + 1, upper=upper)
    idle = rows.rows(last, upper=most)
    rows.put(idle, columns[:-1], 1.0)
    draft.put_busy(idle, unit, most)
    came = np.zeros(last + 1)
    for coming in draft.opening.comings:
        if coming.state == state and coming.unit == unit:
            came[draft.point_from(coming.time)] += coming.amount
    keeps = rows.rows(last + 1, upper=came)
    rows.put(keeps, columns, 1.0)
    rows.put(keeps[1:], columns[:-1], -1.0)
    locked = np.flatnonzero(calendar.locked[1:last]) + 1
    stays = rows.rows(len(locked), lower=0.0)
    rows.put(stays, columns[locked], 1.0)
    rows.put(stays, columns[locked - 1], -1.0)
    producers = set()
    for n in draft.on_unit(unit):
        share = draft.network.tasks[draft.modes[n].suitability.task].produces.get(state)
        if share and draft.released(n, state)[1]:
            rows.put(keeps[draft.out(n, state)[0]], draft.size[n], -share)
            producers.add(draft.modes[n].suitability.task)
    if unit in draft.opening.before:
        producers.add(draft.opening.before[unit][0])
    _empty_before_changeovers(draft, unit, columns, producers, most)
    return columns


def _empty_before_changeovers(
    draft: Draft, unit: str, columns: NDArray[np.int64], producers: set[str], most: float
) -> None:
    """Nothing waits in a unit that is cleaned: for another task, or after so many batches."""
    rows = draft.rows
    for n in draft.on_unit(unit):
        following = draft.modes[n].suitability.task
        times = [draft.changeover(unit, task, following) for task in producers]
        for before in range(1, max(times, default=0) + 1):
            inside = draft.starts[n] >= before
            clean = rows.rows(int(inside.sum()), upper=most)
            rows.put(clean, columns[draft.starts[n][inside] - before], 1.0)
            rows.put(clean, draft.run[n][inside], most)
    rule = draft.network.unit_rules.get(unit)
    if rule is None or rule.clean_after is None:
        return
    points = np.flatnonzero(draft.clean[unit] >= 0)
    steps = math.ceil(rule.clean_after.duration / draft.width - ROUNDING)
    for before in range(1, steps + 1):
        clean = rows.rows(len(points), upper=most)
        rows.put(clean, columns[points - before], 1.0)
        rows.put(clean, draft.clean[unit][points], most)
