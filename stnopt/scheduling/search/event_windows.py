"""Better schedules of large plants on short horizons: some event points free, the others kept.

Grids lose to rounding where routes are long and the horizon is short, and event points are too many
to be free at once. The best schedule so far is put on event points, with some to spare in a window;
the batches in the window are chosen anew, all times and sizes are free.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from stnopt.scheduling.search.event_assignment import number_events, place_on_events

if TYPE_CHECKING:
    from stnopt.scheduling.search.event_points import EventPointSearch

#: Event points of the first windows, and how many more or fewer the next ones have.
_FIRST_LENGTH, _CHANGE = 3, 1
#: Event points to spare in a window.
_SPARE = 1
#: One window gets this share of the time.
_SHARE = 0.15
#: Where all event points are free, so many fewer than the best schedule has come first, for this
#: share of the time.
_FEWER, _ANEW_SHARE = 2, 0.5
#: Sweeps over all windows without a gain, at their full length, after which nothing else is tried.
_IDLE_SWEEPS = 2


def improve_on_events(points: EventPointSearch, *, seconds: float, anew: bool) -> None:
    """Improve the best schedule on event points until the time is used.

    Parameters
    ----------
    points : EventPointSearch
    seconds : float
        By the clock of its limits.
    anew : bool
        Whether event points were not tried before: first all of them are free, for a share of the
        time, on about as many as the best schedule has.
    """
    deadline, known = points.limits.clock() + seconds, points.incumbent.schedule
    if anew and known is not None:
        n_events, _ = number_events(known, points.question.network)
        points.pause_after = points.limits.elapsed + _ANEW_SHARE * seconds
        points.add_events(max(1, n_events - _FEWER), None)
        points.pause_after = math.inf
    improve_in_windows(points, seconds=deadline - points.limits.clock())


def improve_in_windows(points: EventPointSearch, *, seconds: float, seed: int = 0) -> None:
    """Free windows of event points of the best schedule in turn, until the time is used.

    Parameters
    ----------
    points : EventPointSearch
        With a schedule; the plant starts with nothing under way.
    seconds : float
        By the clock of its limits.
    seed : int
        Of the order of windows.
    """
    order = random.Random(seed)
    clock = points.limits.clock
    deadline = clock() + seconds
    length, idle = _FIRST_LENGTH, 0
    begins: list[int] = []
    network = points.question.network
    while not points.settled:
        known = points.incumbent.schedule
        left = min(deadline - clock(), points.limits.remaining or 0.0)
        if known is None or left <= _SHARE * _SHARE * seconds:
            return
        places = place_on_events(known, network)
        n_events = max((event for event, _ in places), default=0) + 1
        span = max((one for _, one in places), default=0)
        if not begins:
            begins = list(range(max(1, n_events - length + 2)))
            order.shuffle(begins)
        first = min(begins.pop(), n_events - 1)
        last = first + length - 1
        kept = {
            (batch.task, batch.unit, event + _SPARE if event > last else event, one)
            for batch, (event, one) in zip(known.batches, places, strict=True)
        }
        better, ended = points.solve_window(
            n_events + _SPARE,
            span,
            kept=kept,
            window=(first, last + _SPARE),
            time_limit=min(left, _SHARE * seconds),
        )
        if better:
            idle = 0
            continue
        idle += 1
        if not ended:
            length, begins = max(2, length - _CHANGE), []
        elif idle >= n_events:
            if length > n_events and idle >= _IDLE_SWEEPS * n_events:
                return
            length, begins, idle = length + _CHANGE, [], 0
