"""A schedule's file: JSON with all that it says, or a table of its batches; read back exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.files import parse_number, read_table, refuse_lines
from stnopt.plant.calendar import parse_start, written_start
from stnopt.plant.orders import ServedOrder
from stnopt.plant.problem import Delivery
from stnopt.plant.read_asked import read_orders
from stnopt.plant.read_calendar import Clock
from stnopt.plant.read_now import read_now_document
from stnopt.plant.source import open_source
from stnopt.plant.values import described, known_entries, made, read_number, read_numbers, read_text
from stnopt.scheduling.schedule import Batch, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping


FORMAT = "stnopt.schedule"
VERSION = 1
_KEYS = (
    "format",
    "version",
    "horizon",
    "date",
    "batches",
    "final_stock",
    "deliveries",
    "orders",
    "now",
)
_BATCH_KEYS = ("task", "unit", "start", "finish", "size")
_PART_KEYS = ("time", "amount")
_ORDER_COLUMNS = ("order", "time", "amount")


def schedule_to_json(schedule: Schedule) -> str:
    """Return a schedule as JSON text, exact to the last bit.

    Beside batches, final stock and horizon it holds the deliveries, the orders with what came of
    them, the plant's state at time 0 in the words of a plant file's section `now:`, and the date.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "horizon": float(schedule.horizon),
        "batches": [_entries(batch, _BATCH_KEYS) for batch in schedule.batches],
        "final_stock": {state: float(amount) for state, amount in schedule.final_stock.items()},
    }
    if schedule.date is not None:
        content["date"] = written_start(schedule.date)
    if schedule.deliveries:
        keys = ("state", "time", "amount")
        content["deliveries"] = [_entries(delivery, keys) for delivery in schedule.deliveries]
    if schedule.orders:
        content["orders"] = [_served_as_entries(served) for served in schedule.orders]
    if schedule.start is not None:
        content["now"] = schedule.start.to_dict()
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)


def _entries(noun: object, keys: tuple[str, ...]) -> dict[str, Any]:
    values = {key: getattr(noun, key) for key in keys}
    return {
        key: value if isinstance(value, str | bool) else float(value)
        for key, value in values.items()
        if value is not None
    }


def _served_as_entries(served: ServedOrder) -> dict[str, Any]:
    return {
        "order": served.order.to_dict(),
        "parts": [{"time": time, "amount": amount} for time, amount in served.parts],
        "may_miss": bool(served.may_miss),
    }


def read_schedule(source: Path | str | Mapping[str, Any]) -> Schedule:
    """Read a schedule that `to_json`, `to_csv` or `to_excel` wrote; nothing in it is executed.

    Parameters
    ----------
    source : path, str or mapping
        A `.json`, `.csv` or `.xlsx` file, or what stands in the first. Whether the schedule obeys
        a plant is for `find_violations` to say.

    Raises
    ------
    InvalidInputError
        With every problem of the file.
    """
    suffix = Path(source).suffix.lower() if isinstance(source, str | Path) else ""
    if suffix in (".csv", ".xlsx"):
        from stnopt.scheduling import schedule_table

        read = {
            ".csv": schedule_table.read_schedule_csv,
            ".xlsx": schedule_table.read_schedule_excel,
        }
        return read[suffix](Path(source))  # type: ignore[arg-type]
    problems: list[str] = []
    document, where = open_source(source, problems, is_plant=False)
    return read_schedule_document(document, where, problems)


def read_schedule_document(
    document: object, where: str, problems: list[str] | None = None
) -> Schedule:
    """Read what stands in a schedule's file.

    Raises
    ------
    InvalidInputError
        With every problem of it, and with those that are given.
    """
    problems = [] if problems is None else problems
    schedule = None if problems else _read(document, problems)
    if schedule is None or problems:
        raise InvalidInputError(problems, source=where)
    return schedule


def _read(document: object, problems: list[str]) -> Schedule | None:
    required = ("format", "version", "horizon", "batches", "final_stock")
    entries = known_entries(document, "schedule", _KEYS, required, problems)
    if problems:
        return None
    if (entries["format"], entries["version"]) != (FORMAT, VERSION):
        problems.append(
            f"expected format {FORMAT!r} of version {VERSION}, got {entries['format']!r} of "
            f"version {entries['version']!r}"
        )
        return None
    values: dict[str, Any] = {
        "horizon": read_number(entries["horizon"], "horizon", problems),
        "final_stock": read_numbers(entries["final_stock"], "final_stock", "amount", problems),
        "batches": _rows(entries["batches"], "batch", Batch, _BATCH_KEYS, problems),
        "deliveries": _rows(
            entries.get("deliveries", []),
            "delivery",
            Delivery,
            ("state", "time", "amount"),
            problems,
        ),
        "orders": _read_served(entries.get("orders", []), problems),
    }
    if "date" in entries:
        try:
            values["date"] = parse_start(entries["date"])
        except InvalidInputError as error:
            problems.extend(f"date: {problem}" for problem in error.problems)
    if "now" in entries:
        found: list[str] = []
        values["start"] = read_now_document({"now": entries["now"]}, found)
        problems.extend(found)
    return None if problems else made(Schedule, problems, **values)


def _rows(
    value: object, what: str, noun: type, keys: tuple[str, ...], problems: list[str]
) -> tuple[Any, ...]:
    """Read a list of plain nouns, without those that have problems."""
    if not isinstance(value, list | tuple):
        problems.append(f"expected a list with one {what} per entry, got {described(value)}")
        return ()
    rows = []
    for count, row in enumerate(value, 1):
        n_before, owner = len(problems), f"{what} {count}"
        entries = known_entries(row, owner, keys, keys, problems)
        values = {
            key: (read_text if key in ("task", "unit", "state") else read_number)(
                entry, f"{owner}: {key}", problems
            )
            for key, entry in entries.items()
        }
        if len(problems) == n_before:
            rows.append(made(noun, problems, **values))
    return tuple(rows)


def _read_served(value: object, problems: list[str]) -> tuple[ServedOrder, ...]:
    if not isinstance(value, list | tuple):
        problems.append(f"expected a list with one order per entry, got {described(value)}")
        return ()
    served = []
    keys = ("order", "parts", "may_miss")
    for count, row in enumerate(value, 1):
        n_before, owner = len(problems), f"order {count}"
        entries = known_entries(row, owner, keys, keys, problems)
        if len(problems) > n_before:
            continue
        orders = read_orders([entries["order"]], "orders", None, Clock({}), problems)
        parts = _rows(entries["parts"], f"{owner}, part", dict, _PART_KEYS, problems)
        if not isinstance(entries["may_miss"], bool):
            problems.append(f"{owner}: may_miss must be true or false, got {entries['may_miss']!r}")
        if len(problems) == n_before:
            came = tuple((part["time"], part["amount"]) for part in parts)
            whole = made(ServedOrder, problems, order=orders[0], parts=came)
            if whole is not None:
                served.append(ServedOrder(orders[0], came, may_miss=entries["may_miss"]))
    return tuple(served)


def read_batches(path: Path | str) -> tuple[Batch, ...]:
    """Read a CSV file with the columns task, unit, start, finish and size.

    Raises
    ------
    InvalidInputError
        With every problem of the file.
    """
    batches = []
    for line, row in _table_rows(path, _BATCH_KEYS):
        try:
            numbers = {key: parse_number(row[key]) for key in _BATCH_KEYS[2:]}
            batches.append(Batch(row["task"], row["unit"], **numbers))
        except (ValueError, InvalidInputError) as error:
            refuse_lines([(f"line {line}", str(error))], repr(str(path)))
    return tuple(batches)


def read_parts(path: Path | str) -> dict[str, tuple[tuple[float, float], ...]]:
    """Read what orders got when: a CSV file with the columns order, time and amount.

    Raises
    ------
    InvalidInputError
        With every problem of the file.
    """
    parts: dict[str, tuple[tuple[float, float], ...]] = {}
    for line, row in _table_rows(path, _ORDER_COLUMNS):
        try:
            part = (parse_number(row["time"]), parse_number(row["amount"]))
        except ValueError as error:
            refuse_lines([(f"line {line}", str(error))], repr(str(path)))
        parts[row["order"]] = (*parts.get(row["order"], ()), part)
    return parts


#: Columns of tables that hold names; one such as 1,5 is no number.
_NAMES = ("task", "unit", "order")


def _table_rows(path: Path | str, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    table = read_table(path, text_columns=_NAMES)
    refuse_lines(table.problems, repr(table.name))
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise InvalidInputError(
            f"{table.name!r}: expected the columns {', '.join(columns)}; it lacks "
            + ", ".join(missing)
        )
    return [(line, dict(zip(table.header, values, strict=True))) for line, values in table.rows]
