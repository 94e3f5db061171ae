"""`clean_after`: how often a unit must be cleaned, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stnopt.plant.checks import changed_fields, checked_number, refuse, store_number
from stnopt.plant.tables.sheet import Column, Sheet
from stnopt.plant.unit_rules.contract import Row, UnitRule
from stnopt.plant.values import known_entries, made, read_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stnopt.plant.rules import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanAfter:
    """How often a unit must be cleaned, and how long that takes.

    A cleaning takes `duration`, directly before the next batch, with the unit present and empty.
    It may fall together with a changeover, which is no cleaning: the longer of the two counts.
    None is owed when the horizon ends.

    Parameters
    ----------
    batches : int
        Most batches between two cleanings, at least 1.
    duration : float
        In the plant's time unit, more than 0.

    Raises
    ------
    InvalidNetworkError
        With every problem of this rule.
    """

    batches: int
    duration: float

    def __post_init__(self) -> None:
        problems: list[str] = []
        batches = checked_number(self.batches, "clean_after: batches", problems, least=1.0)
        if batches == batches and batches != int(batches):
            problems.append(f"clean_after: batches must be a whole number, got {batches:g}")
        elif batches == batches:
            object.__setattr__(self, "batches", int(batches))
        store_number(self, "duration", "clean_after", problems, above=0.0)
        refuse(problems)


class CleanAfterRule(UnitRule):
    """The key `clean_after`."""

    key = "clean_after"
    clause = "has clean_after"
    sheet = Sheet(
        "cleaning",
        "One row for each unit that is cleaned after so many batches.",
        (
            Column("unit", "text", required=True),
            Column("batches", "number", required=True),
            Column("duration", "number", required=True),
        ),
        key=("unit",),
    )

    def read(self, value: object, owner: str, problems: list[str]) -> dict[str, Any]:
        """Read how often the unit is cleaned; nothing if that has problems."""
        keys = ("batches", "duration")
        later = {"running_time": "not supported yet; give `batches` instead"}
        n_before = len(problems)
        where = f"{owner}: {self.key}"
        entries = known_entries(value, where, keys, keys, problems, later)
        values = {
            key: read_number(entries[key], f"{where}: {key}", problems)
            for key in keys
            if key in entries
        }
        if len(problems) > n_before:
            return {}
        rule = made(CleanAfter, problems, **values)
        problems[n_before:] = [f"{owner}: {sentence}" for sentence in problems[n_before:]]
        return {self.key: rule}

    def schema(self) -> dict[str, Any]:
        """Two numbers."""
        return {
            "type": "object",
            "properties": {
                "batches": {"type": "integer", "minimum": 1},
                "duration": {"type": "number", "exclusiveMinimum": 0},
            },
            "required": ["batches", "duration"],
            "additionalProperties": False,
        }

    def settle(self, unit: Unit, owner: str, problems: list[str]) -> None:
        """Check that it is a `CleanAfter`, if anything."""
        given = unit.clean_after
        if given is not None and not isinstance(given, CleanAfter):
            problems.append(f"{owner}: clean_after must be a CleanAfter, got {given!r}")

    def written(self, unit: Unit) -> dict[str, Any] | None:
        """Write its numbers."""
        return None if unit.clean_after is None else changed_fields(unit.clean_after, but=())

    def rows(self, value: Any) -> list[Row]:
        """Return the one row."""
        return [value]

    def add_row(self, entry: dict[str, Any], row: Row) -> None:
        """Take the row as it is."""
        entry[self.key] = row

    def times_before(self, unit: Unit, task: str) -> Iterable[float]:
        """Return how long a cleaning takes."""
        return () if unit.clean_after is None else (unit.clean_after.duration,)
