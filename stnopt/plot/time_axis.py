"""The axis of time: the plant's own times, or clock times from a start."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import UNITS_PER_HOUR, clock_time, parse_start, schedule_time
from stnopt.plot.style import label_axes, size_in_inches, with_unit

if TYPE_CHECKING:
    from datetime import datetime

    from matplotlib.axes import Axes

    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule

#: Minutes between two ticks, from which the least that leaves them room is taken.
_STEPS = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080, 20160, 40320)
_DAY = 1440
#: Inches that a tick's label takes.
_LABEL_WIDTH = 0.42


def date_of(
    schedule: Schedule, network: Network | None, start: datetime | str | None, function: str
) -> datetime | None:
    """Return when time 0 is: as given, else as the schedule says where clock times can be told.

    Raises
    ------
    InvalidInputError
        A start that is none, or one for a plant whose time unit is unknown.
    """
    known = network is not None and network.time_unit in UNITS_PER_HOUR
    if start is None:
        return schedule.date if known else None
    if not known:
        raise InvalidInputError(
            f"{function}: clock times need a network whose time_unit is one of "
            + ", ".join(UNITS_PER_HOUR)
        )
    return parse_start(start)


def label_time_axis(ax: Axes, network: Network | None, date: datetime | None) -> None:
    """Label the axis of time, after its limits are set; clock times stand at whole ones."""
    unit = network.time_unit if network else ""
    if date is None:
        label_axes(ax, x=with_unit("Time", unit))
        return
    low, high = ax.get_xlim()
    per_minute = UNITS_PER_HOUR[unit] / 60
    width = max(size_in_inches(ax)[0], 1.0)
    most = max(2.0, width / _LABEL_WIDTH)
    minutes = (high - low) / per_minute
    step = next((s for s in _STEPS if minutes / s <= most), _STEPS[-1])
    midnight = date.replace(hour=0, minute=0, second=0, microsecond=0)
    first = schedule_time(date, midnight, unit) / per_minute
    n = math.ceil((low / per_minute - first) / step - 1e-9)
    times, labels, day = [], [], None
    while first + n * step <= high / per_minute + 1e-6:
        moment = clock_time(date, (first + n * step) * per_minute, unit)
        moment += timedelta(seconds=30)
        times.append((first + n * step) * per_minute)
        text = f"{moment:%a} {moment.day}" if step >= _DAY else f"{moment:%H:%M}"
        if step < _DAY and day is not None and moment.date() != day:
            text += f"\n{moment:%a} {moment.day}"
        day = moment.date()
        labels.append(text)
        n += 1
    ax.set_xticks(times, labels)
    label_axes(ax, x=f"Clock time, from {date:%a} {date.day} {date:%b %Y}")
