"""Periods of a unit in a plant file: pairs of times, or patterns that come back every week."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import (
    WEEKDAYS,
    WeeklyPeriod,
    parse_clock,
    parse_instant,
    parse_start,
    parse_week_time,
)
from stnopt.plant.values import described, known_entries, read_number

if TYPE_CHECKING:
    from datetime import datetime

_DAY, _WEEK = 24 * 60, 7 * 24 * 60
_HOW = (
    "{every: week, from: Fri 22:00, to: Mon 06:00} or "
    "{every: week, days: [Mon, Tue], from: 22:00, to: 06:00}"
)


class Clock:
    """Clock times of a document: when its time 0 is, and the plant's time unit.

    Parameters
    ----------
    document : object
        A plant file's content: `problem:` says the start, `plant:` the time unit.
    """

    def __init__(self, document: object) -> None:
        self._start: datetime | None = None
        self._unit: object = None
        if not isinstance(document, Mapping):
            return
        problem = document.get("problem", document)
        plant = document.get("plant")
        if isinstance(plant, Mapping):
            self._unit = plant.get("time_unit", "")
        if isinstance(problem, Mapping) and "start" in problem:
            with contextlib.suppress(InvalidInputError):  # it is reported where it stands
                self._start = parse_start(problem["start"])

    def read(
        self, value: object, where: str, problems: list[str], *, past: bool = False
    ) -> float | None:
        """Read a time: a number, or a clock time where there is a start; None if it is neither."""
        if not isinstance(value, str):
            return read_number(value, where, problems)
        if self._start is None or not isinstance(self._unit, str):
            missing = "problem: start" if self._start is None else "plant: time_unit"
            problems.append(
                f"{where} must be a number, got {described(value)}; a clock time needs `{missing}` "
                "in the same file"
            )
            return None
        try:
            return parse_instant(value, self._start, self._unit, past=past)
        except InvalidInputError as error:
            told = "; ".join(error.problems).removeprefix("start ")
            problems.append(f"{where}: {told}")
            return None


def read_periods(
    value: object, kind: str, owner: str, problems: list[str]
) -> tuple[list[tuple[float, float]], tuple[WeeklyPeriod, ...]]:
    """Read a list of periods: those with times of their own, and those that come back."""
    if not isinstance(value, list | tuple):
        problems.append(
            f"{owner}: {kind} must be a list of periods such as [[3, 5]], got " + described(value)
        )
        return [], ()
    periods: list[tuple[float, float]] = []
    weekly: list[WeeklyPeriod] = []
    for period in value:
        if isinstance(period, Mapping):
            weekly += _read_pattern(period, f"{owner}: {kind}", problems)
            continue
        if not isinstance(period, list | tuple) or len(period) != 2:
            problems.append(
                f"{owner}: {kind} needs pairs of times such as [[3, 5]], got "
                + (str(period) if isinstance(period, list | tuple) else described(period))
            )
            continue
        start, end = (
            read_number(time, f"{owner}: {kind}: the {which} of {list(period)}", problems)
            for time, which in zip(period, ("start", "end"), strict=True)
        )
        if start is not None and end is not None:
            periods.append((start, end))
    return periods, tuple(weekly)


def _read_pattern(
    entry: Mapping[object, object], where: str, problems: list[str]
) -> list[WeeklyPeriod]:
    """Read a pattern: from one time of the week to another, or a shift on some weekdays."""
    n_before = len(problems)
    keys = ("every", "days", "from", "to")
    entries = known_entries(entry, where, keys, ("every", "from", "to"), problems)
    if entries.get("every", "week") not in ("week", "day"):
        problems.append(f"{where}: every must be week or day, got {described(entries['every'])}")
    if len(problems) > n_before:
        return []
    begin, end = entries["from"], entries["to"]
    weekly = entries["every"] == "week" and "days" not in entries
    parse = parse_week_time if weekly else parse_clock
    start, stop = (parse(text) if isinstance(text, str) else None for text in (begin, end))
    if start is None or stop is None or start == stop:
        problems.append(
            f"{where}: a pattern needs two different clock times, got from {begin!r} to {end!r}; "
            f"write {_HOW}"
        )
        return []
    if weekly:
        return [WeeklyPeriod(start=start, length=(stop - start) % _WEEK)]
    length = (stop - start) % _DAY or _DAY
    days = _read_days(entries.get("days", list(WEEKDAYS)), where, problems)
    return [WeeklyPeriod(start=(day * _DAY + start) % _WEEK, length=length) for day in days]


def _read_days(value: object, where: str, problems: list[str]) -> list[int]:
    given = value if isinstance(value, list | tuple) else [value]
    days = []
    for day in given:
        short = day[:3].capitalize() if isinstance(day, str) else ""
        if short in WEEKDAYS:
            days.append(WEEKDAYS.index(short))
        else:
            problems.append(
                f"{where}: days needs weekdays ({', '.join(WEEKDAYS)}), got {described(day)}"
            )
    return days
