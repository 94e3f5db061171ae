"""`unavailable`, `unattended` and `paused`: periods of a unit, once or every week.

How their times are written in a file is `stnopt.plant.read_calendar`; how weekly ones are laid over
a horizon, `stnopt.plant.calendar`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stnopt.arguments import is_listed
from stnopt.plant.calendar import KINDS, WeeklyPeriod
from stnopt.plant.checks import ReadOnlyMapping, checked_number, copy_mapping
from stnopt.plant.read_calendar import read_periods
from stnopt.plant.tables.sheet import Column, Sheet
from stnopt.plant.unit_rules.contract import Row, UnitRule

if TYPE_CHECKING:
    from stnopt.plant.rules import Unit

_SHEET = Sheet(
    "calendars",
    "One row for each period of a unit.",
    (
        Column("unit", "text", required=True),
        Column("kind", "text", required=True, help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"),
        Column("from", "any", required=True, help="a number; Fri 22:00 or 22:00 with `every`"),
        Column("to", "any", required=True),
        Column("every", "text", help="week or day, for what comes back"),
        Column("days", "list", help="weekdays of a shift, such as Mon, Tue"),
    ),
)
_PAIR = {
    "type": "array",
    "prefixItems": [{"type": "number"}, {"type": "number"}],
    "minItems": 2,
    "maxItems": 2,
}
_PATTERN = {
    "type": "object",
    "properties": {
        "every": {"enum": ["week", "day"]},
        "from": {"type": "string", "description": "such as Fri 22:00, or 22:00 of a shift"},
        "to": {"type": "string"},
        "days": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "weekdays of a shift, such as [Mon, Tue]",
        },
    },
    "required": ["every", "from", "to"],
    "additionalProperties": False,
}


class PeriodsRule(UnitRule):
    """A kind of period; weekly ones stand in the unit's `weekly`, under the same name.

    Parameters
    ----------
    key : str
    clause : str
    meaning : str
        What it means for the unit, for editors.
    """

    sheet = _SHEET

    def __init__(self, key: str, clause: str, meaning: str) -> None:
        self.key, self.clause, self.meaning = key, clause, meaning

    def read(self, value: object, owner: str, problems: list[str]) -> dict[str, Any]:
        """Read periods with times of their own, and those that come back."""
        periods, weekly = read_periods(value, self.key, owner, problems)
        return {self.key: periods, "weekly": {self.key: weekly} if weekly else {}}

    def schema(self) -> dict[str, Any]:
        """Pairs of times, or patterns that come back."""
        return {
            "type": "array",
            "items": {"anyOf": [_PAIR, _PATTERN]},
            "description": self.meaning,
        }

    def settle(self, unit: Unit, owner: str, problems: list[str]) -> None:
        """Check that the periods have an end after their start and do not overlap; sort them."""
        given = getattr(unit, self.key)
        if not is_listed(given):
            problems.append(f"{owner}: {self.key} must be a list of periods, got {given!r}")
            return
        periods = []
        for period in given:
            if isinstance(period, str) or not isinstance(period, Iterable):
                problems.append(f"{owner}: {self.key} needs pairs of times, got {period!r}")
                continue
            times = tuple(period)
            if len(times) != 2:
                problems.append(f"{owner}: {self.key} needs pairs of times, got {list(times)}")
                continue
            where = f"{owner}: {self.key} period {list(times)}"
            start = checked_number(times[0], f"{where}: its start", problems)
            end = checked_number(times[1], f"{where}: its end", problems)
            if start >= end:
                problems.append(f"{where}: its end must be after its start")
            elif end <= 0:
                problems.append(f"{where}: it has ended before time 0; leave it out")
            elif start < end:
                periods.append((start, end))
        periods.sort()
        for (_, end), (start, later) in pairwise(periods):
            if start < end:
                problems.append(
                    f"{owner}: the {self.key} period [{start:g}, {later:g}] starts before the "
                    f"one until {end:g} has ended; write them as one"
                )
        object.__setattr__(unit, self.key, tuple(periods))

    def written(self, unit: Unit) -> list[Any]:
        """Write pairs of times, then patterns."""
        periods: list[Any] = [list(period) for period in getattr(unit, self.key)]
        return periods + [pattern.written() for pattern in unit.weekly.get(self.key, ())]

    def rows(self, value: Any) -> list[Row]:
        """Return a row per period or pattern."""
        return [
            {"kind": self.key}
            | (period if isinstance(period, dict) else {"from": period[0], "to": period[1]})
            for period in value
        ]

    def add_row(self, entry: dict[str, Any], row: Row) -> None:
        """Add a period of the kind that the row says, whichever that is."""
        period: Any = {name: value for name, value in row.items() if name != "kind"}
        if "every" not in row:
            period = [row["from"], row["to"]]
        entry.setdefault(str(row["kind"]), []).append(period)


def store_weekly(unit: Unit, owner: str, problems: list[str]) -> None:
    """Check that a unit's weekly periods are of a kind, and do not overlap themselves."""
    given = copy_mapping(unit, "weekly", owner, problems)
    settled: dict[str, tuple[WeeklyPeriod, ...]] = {}
    for kind, patterns in given.items():
        if kind not in KINDS:
            problems.append(f"{owner}: weekly must be one of {', '.join(KINDS)}, got {kind!r}")
            continue
        ordered = sorted(patterns, key=lambda pattern: pattern.start)
        week = 7 * 24 * 60
        for one, other in pairwise([*ordered, *ordered[:1]]):
            begins = other.start + (week if other is ordered[0] else 0)
            if len(ordered) > 1 and begins < one.start + one.length:
                problems.append(
                    f"{owner}: the weekly {kind} periods {one.written()} and "
                    f"{other.written()} overlap; write them as one"
                )
        if ordered:
            settled[kind] = tuple(ordered)
    object.__setattr__(unit, "weekly", ReadOnlyMapping(settled))
