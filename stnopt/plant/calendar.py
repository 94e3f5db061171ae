"""Clock times and repeated periods: from weekdays and shifts to times of a schedule.

A schedule's time 0 is a date once a problem says `start`; a unit's weekly patterns are then written
once and laid over the horizon.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stnopt.errors import InvalidInputError, InvalidNetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.plant.network import Network

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNITS_PER_HOUR = {
    "s": 3600.0,
    "sec": 3600.0,
    "min": 60.0,
    "h": 1.0,
    "hour": 1.0,
    "hours": 1.0,
    "d": 1 / 24,
    "day": 1 / 24,
    "days": 1 / 24,
}
KINDS = ("unavailable", "unattended", "paused")
_WEEK = 7 * 24 * 60
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyPeriod:
    """A period that comes back every week, in minutes since Monday 00:00 of the local clock.

    Parameters
    ----------
    start : int
        From 0 to the end of the week.
    length : int
        Minutes, more than 0 and less than a week.

    Raises
    ------
    InvalidNetworkError
        With every problem of this period.
    """

    start: int
    length: int

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.start < _WEEK:
            problems.append(f"a weekly period must start within the week, got minute {self.start}")
        if not 0 < self.length < _WEEK:
            problems.append(f"a weekly period lasts up to a week, got {self.length} minutes")
        if problems:
            raise InvalidNetworkError(problems)

    def written(self) -> dict[str, str]:
        """Write it as a plant file does."""
        end = (self.start + self.length) % _WEEK
        return {"every": "week", "from": _written(self.start), "to": _written(end)}


def _written(minute: int) -> str:
    day, rest = divmod(minute, 24 * 60)
    return f"{WEEKDAYS[day]} {rest // 60:02}:{rest % 60:02}"


def parse_week_time(text: str) -> int | None:
    """Return the minute of the week of a text such as "Fri 22:00"; None if it is none."""
    day, _, clock = text.strip().partition(" ")
    minute = parse_clock(clock)
    short = day[:3].capitalize()
    return (
        None
        if minute is None or short not in WEEKDAYS
        else ((WEEKDAYS.index(short) * 24 * 60 + minute) % _WEEK)
    )


def parse_clock(text: str) -> int | None:
    """Return the minute of the day of a text such as "22:00"; None if it is none."""
    match = _CLOCK.fullmatch(text.strip())
    minute = int(match[1]) * 60 + int(match[2]) if match else None
    return minute if minute is not None and minute <= 24 * 60 else None


def parse_start(value: object) -> datetime:
    """Read when time 0 is: a date and time in ISO form, with an offset or a zone's name behind it.

    Parameters
    ----------
    value : str or datetime
        Such as "2026-01-05T06:00", "2026-01-05T06:00+01:00" or "2026-01-05T06:00 Europe/Berlin".

    Raises
    ------
    InvalidInputError
        Anything else.
    """
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise InvalidInputError(f"start must be a date and time in ISO form, got {value!r}")
    parts = value.strip().split(" ")
    zone = ""
    if len(parts) > 1 and not parts[-1][:1].isdigit():
        zone = parts.pop()
    try:
        start = datetime.fromisoformat(" ".join(parts))
    except ValueError as error:
        raise InvalidInputError(
            f"start must be a date and time in ISO form such as 2026-01-05T06:00, got {value!r}"
        ) from error
    if not zone:
        return start
    try:
        return start.replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidInputError(f"start: unknown time zone {zone!r}") from error


def written_start(start: datetime) -> str:
    """Write when time 0 is as `parse_start` reads it."""
    if isinstance(start.tzinfo, ZoneInfo):
        return f"{start.replace(tzinfo=None).isoformat()} {start.tzinfo.key}"
    return start.isoformat()


def parse_instant(
    value: str | datetime, start: datetime, time_unit: str, *, past: bool = False
) -> float:
    """Return a schedule's time at a clock time.

    Parameters
    ----------
    value : str or datetime
        A date and time as for `parse_start`, or a time of day such as "14:00": the first one at or
        after time 0.
    start : datetime
        When time 0 is.
    time_unit : str
        The plant's.
    past : bool
        A time of day is the last one at or before time 0 instead.

    Raises
    ------
    InvalidInputError
        Anything else, or a time unit that is none of `UNITS_PER_HOUR`.
    """
    minute = parse_clock(value) if isinstance(value, str) else None
    if minute is None:
        return schedule_time(start, parse_start(value), time_unit)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + timedelta(minutes=minute)
    if past and moment > start:
        moment -= timedelta(days=1)
    elif not past and moment < start:
        moment += timedelta(days=1)
    return schedule_time(start, moment, time_unit)


def clock_time(start: datetime, time: float, time_unit: str) -> datetime:
    """Return the local date and time of a schedule's time.

    Raises
    ------
    InvalidInputError
        A time unit that is none of `UNITS_PER_HOUR`.
    """
    moved = timedelta(hours=time / _units_per_hour(time_unit))
    if start.tzinfo is None:
        return start + moved
    return (start.astimezone(UTC) + moved).astimezone(start.tzinfo)


def schedule_time(start: datetime, moment: datetime, time_unit: str) -> float:
    """Return a schedule's time at a date and time; one without a zone is in that of `start`."""
    if start.tzinfo is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=start.tzinfo)
    if start.tzinfo is None and moment.tzinfo is not None:
        raise InvalidInputError(
            f"{moment.isoformat()} has a time zone, and start ({start.isoformat()}) has none: "
            "write both with a zone, or both without"
        )
    if start.tzinfo is not None:
        start, moment = start.astimezone(UTC), moment.astimezone(UTC)
    return (moment - start) / timedelta(hours=1) * _units_per_hour(time_unit)


def _units_per_hour(time_unit: str) -> float:
    if time_unit not in UNITS_PER_HOUR:
        raise InvalidInputError(
            f"clock times need a time_unit that is one of {', '.join(UNITS_PER_HOUR)}, "
            f"got {time_unit!r}"
        )
    return UNITS_PER_HOUR[time_unit]


def with_calendars(network: Network, *, start: datetime | None, horizon: float) -> Network:
    """Lay the weekly patterns of a plant's units over a horizon.

    Parameters
    ----------
    network : Network
    start : datetime or None
        When time 0 is.
    horizon : float
        In the plant's time unit.

    Returns
    -------
    Network
        Without patterns; the same one if it has none.

    Raises
    ------
    InvalidInputError
        A plant with patterns, where `start` or its time unit is missing.
    """
    ruled = {n: u for n, u in network.unit_rules.items() if u.weekly}
    if not ruled:
        return network
    if start is None:
        raise InvalidInputError(
            f"unit {next(iter(ruled))!r} has periods that come back every week: say with "
            "`start` (a date and time) when the schedule's time 0 is"
        )
    units = dict(network.unit_rules)
    for name, unit in ruled.items():
        values: dict[str, Any] = {
            kind: merge_periods(
                [
                    *getattr(unit, kind),
                    *_laid_out(unit.weekly.get(kind, ()), start, horizon, network.time_unit),
                ]
            )
            for kind in KINDS
        }
        units[name] = replace(unit, **values, weekly={})
    return replace(network, unit_rules=units)


def _laid_out(
    patterns: Iterable[WeeklyPeriod], start: datetime, horizon: float, time_unit: str
) -> list[tuple[float, float]]:
    """Periods of the patterns that touch the horizon; one that has begun at 0 starts before it."""
    weeks = math.ceil(horizon / _units_per_hour(time_unit) / 168) + 2
    monday = datetime(start.year, start.month, start.day, tzinfo=start.tzinfo) - timedelta(
        days=start.weekday() + 7
    )
    periods = []
    for pattern in patterns:
        for week in range(weeks + 1):
            begin = monday + timedelta(weeks=week, minutes=pattern.start)
            end = monday + timedelta(weeks=week, minutes=pattern.start + pattern.length)
            low = schedule_time(start, begin, time_unit)
            high = schedule_time(start, end, time_unit)
            if high > max(low, 0.0) and low < horizon:
                periods.append((low, high))
    return periods


def merge_periods(periods: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Put periods that touch or overlap into one, in order of time."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(periods):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)
