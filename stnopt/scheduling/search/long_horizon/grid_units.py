"""Rows of a grid that belong to units: allocation, changeovers, cleanings after so many batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.draft import ROUNDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.plant.unit_rules.clean_after import CleanAfter
    from stnopt.scheduling.search.long_horizon.draft import Draft


def add_unit_allocation(draft: Draft) -> None:
    """At most one batch on a unit in each step."""
    for unit in draft.network.units:
        busy = draft.rows.rows(draft.n_steps, upper=1.0)
        draft.put_busy(busy, unit, 1.0)


def add_changeovers(draft: Draft) -> None:
    """No start of j at p if i ended within the changeover's time before: for each such pair.

    Sum of run over batches of i that end in (p - time, p] <= n * (1 - starts of j at p), where n of
    them fit into that time. (Whether a third task ran in between is passed over.)
    """
    rows = draft.rows
    for unit, rule in draft.network.unit_rules.items():
        on_unit = draft.on_unit(unit)
        for one, other in rule.changeovers:
            time = draft.changeover(unit, one, other)
            first = [n for n in on_unit if draft.modes[n].suitability.task == one]
            following = [n for n in on_unit if draft.modes[n].suitability.task == other]
            if not (time and first and following):
                continue
            fitting = math.ceil(time / min(draft.modes[n].steps for n in first))
            apart = rows.rows(draft.n_steps + 1, upper=float(fitting))
            for n in following:
                rows.put(apart[draft.starts[n]], draft.run[n], float(fitting))
            for n in first:
                ends = draft.emptied(n)
                for later in range(time):
                    inside = ends + later <= draft.n_steps
                    rows.put(apart[(ends + later)[inside]], draft.run[n][inside], 1.0)


def add_cleanings(draft: Draft) -> None:
    """Count the batches since each cleaning, which takes its time before a start.

    since[p] >= since[p-1] + starts[p] - batches * clean[p];  since[p] >= starts[p];
    clean[p] <= starts[p]; nothing runs and no period lies in the time before p that it takes.
    """
    for unit, rules in draft.network.unit_rules.items():
        if rules.clean_after is None:
            continue
        steps = math.ceil(rules.clean_after.duration / draft.width - ROUNDING)
        points = _where_it_may_follow(draft, unit, steps)
        columns = np.full(draft.n_steps + 1, -1)
        columns[points] = draft.rows.columns(len(points), upper=1.0, integer=True)
        draft.clean[unit] = columns
        _count_batches(draft, unit, rules.clean_after, points)
        idle = draft.rows.rows(draft.n_steps, upper=1.0)
        draft.put_busy(idle, unit, 1.0)
        _put_unloading(draft, idle, unit)
        for before in range(1, steps + 1):
            draft.rows.put(idle[points - before], columns[points], 1.0)


def _where_it_may_follow(draft: Draft, unit: str, steps: int) -> NDArray[np.int64]:
    """Points at which a batch may start right after a cleaning."""
    calendar = draft.units[unit]
    points = np.arange(steps, draft.n_steps)
    fits = calendar.may_start[points]
    fits &= (points - steps) * draft.width >= calendar.ready - ROUNDING * draft.width
    for begin, end in calendar.away_steps:
        fits &= (points <= begin) | (points - steps >= end)
    return points[fits]


def _put_unloading(draft: Draft, idle: NDArray[np.int64], unit: str) -> None:
    """Keep a unit from being empty between a batch's end and when somebody is there."""
    for n in draft.on_unit(unit):
        ends, emptied = draft.finishes[n], draft.emptied(n)
        for late in range(int((emptied - ends).max(initial=0))):
            inside = ends + late < emptied
            draft.rows.put(idle[(ends + late)[inside]], draft.run[n][inside], 1.0)


def _count_batches(draft: Draft, unit: str, rule: CleanAfter, points: NDArray[np.int64]) -> None:
    rows, columns = draft.rows, draft.clean[unit]
    since = rows.columns(draft.n_steps, upper=float(rule.batches))
    draft.following.append(since)
    lower = np.zeros(draft.n_steps)
    lower[0] = draft.opening.start.since_cleaning.get(unit, 0)
    goes_on = rows.rows(draft.n_steps, lower=lower)
    rows.put(goes_on, since, 1.0)
    rows.put(goes_on[1:], since[:-1], -1.0)
    rows.put(goes_on[points], columns[points], float(rule.batches))
    begins = rows.rows(draft.n_steps, lower=0.0)
    rows.put(begins, since, 1.0)
    before = rows.rows(len(points), upper=0.0)
    rows.put(before, columns[points], 1.0)
    row_of = np.full(draft.n_steps + 1, -1)
    row_of[points] = before
    for n in draft.on_unit(unit):
        starts, run = draft.starts[n], draft.run[n]
        rows.put(goes_on[starts], run, -1.0)
        rows.put(begins[starts], run, -1.0)
        cleaned = row_of[starts] >= 0
        rows.put(row_of[starts][cleaned], run[cleaned], -1.0)
