"""`changeovers`: the least time between two batches of given tasks on a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stnopt.plant.checks import ReadOnlyMapping, checked_number, name_problems
from stnopt.plant.tables.sheet import Column, Sheet
from stnopt.plant.unit_rules.contract import Row, UnitRule
from stnopt.plant.values import named_entries, read_numbers, readable_numbers

if TYPE_CHECKING:
    from stnopt.plant.rules import Unit


class ChangeoversRule(UnitRule):
    """The key `changeovers`: `{first: {following: time}}`."""

    key = "changeovers"
    clause = "has changeovers"
    sheet = Sheet(
        "changeovers",
        "One row for each pair of tasks between which a unit is cleaned or set up.",
        (
            Column("unit", "text", required=True),
            Column("first", "text", required=True),
            Column("following", "text", required=True),
            Column("time", "number", required=True),
        ),
        key=("unit", "first", "following"),
    )

    def read(self, value: object, owner: str, problems: list[str]) -> dict[str, Any]:
        """Read times per pair of tasks."""
        times: dict[tuple[str, str], float] = {}
        where = f"{owner}: {self.key}"
        for first, following in named_entries(value, where, problems).items():
            row = read_numbers(following, f"{where} from {first!r}", "time", problems)
            times |= {(first, task): time for task, time in row.items()}
        return {self.key: readable_numbers(times)}

    def schema(self) -> dict[str, Any]:
        """Map first tasks to following ones to times."""
        return {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "description": "time between two tasks: {A: {B: 0.5}}",
        }

    def settle(self, unit: Unit, owner: str, problems: list[str]) -> None:
        """Check that they are times per pair of tasks; a pair that needs none is left out."""
        given = unit.changeovers
        if not isinstance(given, Mapping):
            problems.append(f"{owner}: changeovers must be a mapping, got {given!r}")
            return
        times = {}
        for pair, time in given.items():
            if not isinstance(pair, tuple) or len(pair) != 2:
                problems.append(
                    f"{owner}: changeovers needs pairs of tasks (first, next), got {pair!r}"
                )
                continue
            unusable = [
                problem
                for task in pair
                for problem in name_problems(f"{owner}: a task in changeovers", task)
            ]
            problems.extend(unusable)
            if not unusable:
                where = f"{owner}: changeover from {pair[0]!r} to {pair[1]!r}"
                times[pair] = checked_number(time, where, problems, least=0.0)
        nonzero = {pair: time for pair, time in times.items() if time}
        object.__setattr__(unit, "changeovers", ReadOnlyMapping(nonzero))

    def written(self, unit: Unit) -> dict[str, dict[str, float]]:
        """Write the times by first task and following task."""
        written: dict[str, dict[str, float]] = {}
        for (first, following), time in unit.changeovers.items():
            written.setdefault(first, {})[following] = time
        return written

    def rows(self, value: Any) -> list[Row]:
        """Return a row per pair."""
        return [
            {"first": first, "following": following, "time": time}
            for first, row in value.items()
            for following, time in row.items()
        ]

    def add_row(self, entry: dict[str, Any], row: Row) -> None:
        """Add a pair."""
        times = entry.setdefault(self.key, {}).setdefault(str(row["first"]), {})
        times[str(row["following"])] = row["time"]

    def tasks(self, unit: Unit) -> Iterable[str]:
        """Return the tasks of all pairs."""
        return dict.fromkeys(task for pair in unit.changeovers for task in pair)

    def times_before(self, unit: Unit, task: str) -> Iterable[float]:
        """Return the times of the pairs that end with the task."""
        return [time for (_, after), time in unit.changeovers.items() if after == task]

    def stand_in(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same pairs with a time that is none to complain of."""
        return {self.key: dict.fromkeys(fields.get(self.key, ()), 1.0)}
