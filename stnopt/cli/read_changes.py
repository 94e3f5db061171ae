"""What happened to a schedule, as options or the section `changes:` of a file say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.plant.calendar import UNITS_PER_HOUR
from stnopt.plant.orders import Order
from stnopt.plant.source import open_source
from stnopt.plant.tolerance import time_tolerance
from stnopt.plant.values import described, known_entries
from stnopt.scheduling.search.changes import Down, Late, Lost, NewOrder
from stnopt.scheduling.search.reschedule import read_time

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import RunningBatch
    from stnopt.scheduling.schedule import Batch, Schedule
    from stnopt.scheduling.search.changes import Change

_KEYS = {
    "late": ("late", "by"),
    "lost": ("lost",),
    "down": ("down", "from", "to"),
    "order": ("order",),
}
_ORDER_TIMES = ("due", "earliest")
_ORDER_NUMBERS = ("amount", "priority", "late_cost", "missing_cost")
_ORDER_KEYS = ("id", "state", "partial", *_ORDER_TIMES, *_ORDER_NUMBERS)
_LASTS = re.compile(r"([0-9.]+(?:e-?[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)


def changes_of(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """List the changes of the options and of their file, each with what to call it."""
    rows: list[tuple[str, Any]] = []
    if options.changes is not None:
        problems: list[str] = []
        document, where = open_source(options.changes, problems, is_plant=False)
        entries = known_entries(document, "the file", ("changes",), ("changes",), problems)
        listed = entries.get("changes", [])
        if not isinstance(listed, list):
            problems.append(f"changes must be a list, got {described(listed)}")
        if problems:
            raise InvalidInputError(problems, source=where)
        rows += [(f"{where}, change {number}", row) for number, row in enumerate(listed, 1)]
    rows += [(f"--late {batch} {by}", {"late": batch, "by": by}) for batch, by in options.late]
    rows += [(f"--lost {batch}", {"lost": batch}) for batch in options.lost]
    rows += [
        (f"--down {unit} {begin} {end}", {"down": unit, "from": begin, "to": end})
        for unit, begin, end in options.down
    ]
    return rows + [(f"--order {text}", {"order": _entries(text)}) for text in options.order]


def _entries(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(sign for _, sign, _ in pairs):
        raise InvalidInputError(
            f"--order {text!r}: expected entries such as id=W4,state=White,amount=100,due=13:00"
        )
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_changes(
    rows: Iterable[tuple[str, Any]],
    schedule: Schedule,
    network: Network,
    problem: Problem,
    at: float,
) -> list[Change]:
    """Turn rows into changes, with the batch that runs at an instant where one is meant.

    Raises
    ------
    InvalidInputError
        With every row that cannot be one.
    """
    problems: list[str] = []
    changes = []
    for where, row in rows:
        kind = next((key for key in _KEYS if isinstance(row, Mapping) and key in row), None)
        if kind is None:
            problems.append(f"{where}: expected one of {', '.join(_KEYS)}, got {described(row)}")
            continue
        n_before = len(problems)
        entries = known_entries(row, where, _KEYS[kind], _KEYS[kind], problems)
        if len(problems) > n_before:
            continue
        try:
            changes.append(_change(kind, entries, schedule, network, problem, at))
        except InvalidInputError as error:
            problems += [f"{where}: {line}" for line in error.problems or [str(error)]]
    if problems:
        raise InvalidInputError(problems)
    return changes


def _change(
    kind: str,
    entries: Mapping[str, Any],
    schedule: Schedule,
    network: Network,
    problem: Problem,
    at: float,
) -> Change:
    def time_of(key: str, value: object) -> float:
        found: list[str] = []
        time = read_time(number_or_text(value), key, problem, network, found)
        if found:
            raise InvalidInputError(found)
        return time

    if kind == "down":
        begin, end = (time_of(key, entries[key]) for key in ("from", "to"))
        return Down(str(entries["down"]), begin, end)
    if kind == "order":
        return NewOrder(_order(entries["order"], time_of))
    batch = _running(str(entries[kind]), schedule, at)
    if kind == "lost":
        return Lost(batch)
    return Late(batch, _lasting(entries["by"], network.time_unit))


def number_or_text(value: object) -> Any:
    """Return the number that a text is, else the value as it is: a clock time."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _running(name: str, schedule: Schedule, at: float) -> Batch | RunningBatch:
    """Find the one batch that runs at an instant by its unit, its task, or TASK@UNIT."""
    same = time_tolerance(schedule.horizon)
    known: list[Batch | RunningBatch] = [*schedule.batches]
    known += schedule.start.running if schedule.start else ()
    running = [b for b in known if b.start <= at + same < b.finish - same]
    meant = [b for b in running if name in (b.unit, b.task, f"{b.task}@{b.unit}")]
    if len(meant) == 1:
        return meant[0]
    there = ", ".join(f"{b.task}@{b.unit}" for b in running) or "none"
    what = "more than one batch" if meant else "no batch"
    raise InvalidInputError([f"{what} {name!r} runs at {at:g}; there run: {there}"])


def _lasting(value: object, time_unit: str) -> float:
    """Read a length of time: a number in the plant's unit, or with a unit of its own."""
    found = _LASTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise InvalidInputError([f"by: expected a number, or such as 40min, got {value!r}"])
    if found is None or not found[2] or found[2] == time_unit:
        return float(found[1]) if found else value  # type: ignore[return-value]
    if found[2] not in UNITS_PER_HOUR or time_unit not in UNITS_PER_HOUR:
        raise InvalidInputError(
            [
                f"by: {value!r} is in another unit than the plant's times ({time_unit!r}); units "
                f"that can be turned into each other are {', '.join(UNITS_PER_HOUR)}"
            ]
        )
    return float(found[1]) / UNITS_PER_HOUR[found[2]] * UNITS_PER_HOUR[time_unit]


def _order(given: object, time_of: Any) -> Order:
    problems: list[str] = []
    required = ("id", "state", "amount", "due")
    entries = known_entries(given, "order", _ORDER_KEYS, required, problems)
    if problems:
        raise InvalidInputError(problems)
    values: dict[str, Any] = dict(entries)
    for key in _ORDER_TIMES:
        if key in entries:
            values[key] = time_of(key, entries[key])
    for key in _ORDER_NUMBERS:
        if key in entries:
            values[key] = number_or_text(entries[key])
    if isinstance(entries.get("partial"), str):
        values["partial"] = {"true": True, "false": False}.get(
            entries["partial"].lower(), entries["partial"]
        )
    return Order(**values)
