"""What units allow of an order of batches: starts, ends, calendars, changeovers, cleanings."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.movements import time_of_work
from stnopt.scheduling.search.retiming.timing import SCALE, Moment
from stnopt.scheduling.search.worth import batch_worth

if TYPE_CHECKING:
    from stnopt.scheduling.search.retiming.timing import PlacedBatch, Timing

#: Least share of a full batch where the rules count batches, and an empty one would be one.
_LEAST_SHARE = 1e-5
#: So many times what counts as one instant lie between a pause and what ends after it.
_CLEARLY = 2.0


def add_batches(timing: Timing) -> bool:
    """Add starts and sizes, with what they are worth, each within its unit's calendars.

    False if a batch stands where its unit's calendars do not let it.
    """
    network, problem, rows = timing.network, timing.problem, timing.rows
    per_amount, _ = batch_worth(network, problem.objective)
    worth = {(f.task, f.unit): v for f, v in zip(network.suitabilities, per_amount, strict=True)}
    dearest = float(np.max(np.abs(per_amount), initial=0.0))
    timing.money = dearest * timing.amount_unit or _largest_order_cost(timing)
    if problem.objective == "makespan":
        timing.latest = rows.column(upper=SCALE, cost=-1.0)
    for placed in timing.placed:
        fit = placed.suitability
        rule = network.unit_rules.get(fit.unit)
        counted = rule is not None and (rule.changeovers or rule.clean_after)
        least = max(fit.min_batch, _LEAST_SHARE * fit.max_batch if counted else 0.0)
        low, high, begin, end = least, fit.max_batch, 0.0, timing.horizon
        if placed.kept is not None:
            low = high = placed.kept.size
            begin = end = placed.kept.start
        timing.starts.append(
            rows.column(lower=begin / timing.time_unit, upper=end / timing.time_unit)
        )
        timing.sizes.append(
            rows.column(
                lower=low / timing.amount_unit,
                upper=high / timing.amount_unit,
                cost=worth[fit.task, fit.unit] * timing.amount_unit / timing.money,
            )
        )
    for number in range(len(timing.placed)):
        if not _keep_in_calendars(timing, number):
            return False
        if timing.latest is not None:
            latest = Moment(terms=((timing.latest, 1.0),))
            timing.not_before(latest, timing.finish_of(number))
    return True


def _largest_order_cost(timing: Timing) -> float:
    """Return a scale of money where no amount is worth anything."""
    late = [max(o.priority, o.late_cost) * timing.time_unit for o in timing.problem.orders]
    return max(late, default=1.0)


def _keep_in_calendars(timing: Timing, number: int) -> bool:
    """Keep a batch on the side of each period on which it stands, or across it where it may be."""
    placed, same = timing.placed[number], timing.same
    unit = placed.suitability.unit
    start, finish = timing.start_of(number), timing.finish_of(number)
    timing.not_before(timing.fixed(timing.horizon), finish)
    for begin, end in timing.periods(unit, "paused"):
        if (begin, end) in placed.covered:
            timing.not_before(timing.fixed(begin), start)
            timing.not_before(finish, timing.fixed(end), _CLEARLY * same)
        elif placed.start >= end - same:
            timing.not_before(start, timing.fixed(end))
        else:
            timing.not_before(timing.fixed(begin), finish)
    for begin, end in timing.periods(unit, "unattended"):
        if placed.start <= begin + same:
            timing.not_before(timing.fixed(begin), start)
        else:
            timing.not_before(start, timing.fixed(end))
    _note_releases(timing, number)
    unloaded, emptied = timing.unloaded_of(number)
    for begin, end in timing.periods(unit, "unavailable"):
        if end <= placed.start + same:
            timing.not_before(start, timing.fixed(end), timing.cleaning_before(number))
        elif begin >= emptied - same:
            timing.not_before(timing.fixed(begin), unloaded)
        else:
            return False
    return True


def _note_releases(timing: Timing, number: int) -> None:
    """Work out when each output can be had, and when the unit can be empty."""
    placed = timing.placed[number]
    fit, task = placed.suitability, timing.network.tasks[placed.suitability.task]
    finish = timing.finish_of(number)
    timing.remember(number, "", *_attended(timing, placed, finish, placed.finish, exact=False))
    for state in task.produces:
        zero_wait = timing.network.states[state].zero_wait
        moment, at = finish, placed.finish
        early = fit.release_time.get(state)
        if early is not None:
            moment, at = _early(timing, number, early), placed.releases[state]
        timing.remember(number, state, *_attended(timing, placed, moment, at, exact=zero_wait))


def _early(timing: Timing, number: int, after: float) -> Moment:
    """Return when a batch has run so long, on the side of its pauses where it stands."""
    placed = timing.placed[number]
    at = time_of_work(placed.start, after, placed.covered, horizon=timing.horizon)
    stopped = 0.0
    for begin, end in placed.covered:
        moment = timing.after_start(number, after + stopped)
        if at > begin + timing.same:
            timing.not_before(moment, timing.fixed(begin), _CLEARLY * timing.same)
            stopped += end - begin
        else:
            timing.not_before(timing.fixed(begin), moment)
    return timing.after_start(number, after + stopped)


def _attended(
    timing: Timing, placed: PlacedBatch, moment: Moment, at: float, *, exact: bool
) -> tuple[Moment, float]:
    """Return when what leaves a batch at a moment is out: when somebody is there.

    `at` is where the moment stands in the order. What is only not before its time may be said to
    leave later than it does; with `exact` it leaves when it is said to.
    """
    same = timing.same
    for begin, end in timing.periods(placed.suitability.unit, "unattended"):
        if at <= begin + same:
            timing.not_before(timing.fixed(begin), moment)
            break
        if at < end - same:
            timing.not_before(timing.fixed(end), moment)
            if exact:
                timing.not_before(moment, timing.fixed(begin), _CLEARLY * same)
            return timing.fixed(end), end
        if placed.start >= end - same:
            continue
        if exact:
            timing.not_before(moment, timing.fixed(end))
        else:
            _, later = timing.free(lower=end)
            timing.not_before(later, moment)
            moment = later
    return moment, at


def add_unit_order(timing: Timing) -> None:
    """Start of the next >= when the unit is empty of the one before + changeover or cleaning."""
    by_unit: dict[str, list[int]] = defaultdict(list)
    for number, placed in enumerate(timing.placed):
        by_unit[placed.suitability.unit].append(number)
    for unit, numbers in by_unit.items():
        numbers.sort(key=lambda n: (timing.placed[n].start, timing.placed[n].finish))
        first = numbers[0]
        timing.first_on_unit[unit] = first
        soonest = timing.opening.first_start(unit, timing.placed[first].suitability.task)
        ready = timing.opening.ready.get(unit, 0.0) + timing.cleaning_before(first)
        timing.not_before(timing.start_of(first), timing.fixed(max(soonest, ready)))
        for one, following in pairwise(numbers):
            timing.next_on_unit[one] = following
            gap = timing.gap_before(one, following)
            timing.not_before(timing.start_of(following), timing.unloaded_of(one)[0], gap)
