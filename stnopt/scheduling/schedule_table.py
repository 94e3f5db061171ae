"""A schedule as a table, CSV or Excel: its batches as rows, all else beside them."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stnopt.arguments import check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.files import files_together, read_table
from stnopt.plant.calendar import clock_time
from stnopt.plant.network import Network
from stnopt.scheduling.schedule_file import read_batches, read_schedule_document, schedule_to_json
from stnopt.scheduling.shift_sheet import shift_sheet
from stnopt.workbook import read_workbook, refuse_cells, start_pages_at, workbook_of

if TYPE_CHECKING:
    from pathlib import Path

    from stnopt.scheduling.schedule import Schedule

_COLUMNS = ("task", "unit", "start", "finish", "size")
_WORD = "schedule: "
#: Characters of a cell; Excel takes 32,767.
_CELL = 30_000


def _without_batches(schedule: Schedule) -> str:
    content = json.loads(schedule_to_json(schedule))
    del content["batches"]
    return json.dumps(content, allow_nan=False, ensure_ascii=False)


def schedule_to_csv(schedule: Schedule) -> str:
    """Write a schedule as CSV: the first line is ``# schedule:`` and a JSON object."""
    text = io.StringIO()
    text.write(f"# {_WORD}{_without_batches(schedule)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for batch in schedule.batches:
        numbers = (repr(float(n)) for n in (batch.start, batch.finish, batch.size))
        writer.writerow([batch.task, batch.unit, *numbers])
    return text.getvalue()


def schedule_to_excel(schedule: Schedule, path: Path | str, network: Network | None) -> None:
    """Write a schedule as a workbook: ``batches``, ``orders``, and what reading it back needs.

    With the network the sheet ``shift`` comes first, to be printed with a page per unit.

    Raises
    ------
    InvalidInputError
        If it cannot be written, or openpyxl is not installed.
    """
    check_arguments(network=(network, optional(Network)))
    date = schedule.date if network is not None else None
    unit = "" if network is None else network.time_unit
    batches: list[list[object]] = [
        [b.task, b.unit, float(b.start), float(b.finish), float(b.size)] for b in schedule.batches
    ]
    columns = list(_COLUMNS)
    if date is not None:
        columns += ["from", "to"]
        for row, batch in zip(batches, schedule.batches, strict=True):
            row += [
                f"{clock_time(date, time, unit):%a %d %b %H:%M}"
                for time in (batch.start, batch.finish)
            ]
    text = _without_batches(schedule)
    sheets: dict[str, tuple[list[str], Any]] = {}
    if network is not None:
        sheets["shift"] = shift_sheet(schedule, network)
    sheets["batches"] = (columns, batches)
    if schedule.orders:
        sheets["orders"] = (
            ["order", "state", "amount", "due", "delivered", "last part", "late", "missing"],
            [
                [
                    served.order.id,
                    served.order.state,
                    served.order.amount,
                    served.order.due,
                    served.delivered,
                    served.parts[-1][0] if served.parts else None,
                    served.lateness(schedule.horizon),
                    served.missing,
                ]
                for served in schedule.orders
            ],
        )
    parts = [[text[begin : begin + _CELL]] for begin in range(0, len(text), _CELL)]
    sheets["schedule"] = (["all else, for reading it back"], parts)
    book = workbook_of(sheets)
    if network is not None:
        units = [row[0] for row in sheets["shift"][1]]
        begun = [n for n, (one, after) in enumerate(pairwise(units), 3) if one != after]
        start_pages_at(book["shift"], begun)
    with files_together() as outputs:
        outputs.write_by(path, book.save)


def read_schedule_csv(path: Path) -> Schedule:
    """Read what `schedule_to_csv` wrote; batches that were changed since count as they are.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    comment = read_table(path, text_columns=_COLUMNS[:2]).comment or ""
    if not comment.startswith(_WORD):
        raise InvalidInputError(
            f"{str(path)!r}: the first line does not say `# {_WORD}...`: it is no schedule that "
            "`Schedule.to_csv` wrote"
        )
    batches = [{key: getattr(b, key) for key in _COLUMNS} for b in read_batches(path)]
    return _completed(comment.removeprefix(_WORD), batches, str(path))


def read_schedule_excel(path: Path) -> Schedule:
    """Read what `schedule_to_excel` wrote; batches that were changed since count as they are.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    problems: list[str] = []
    sheets = read_workbook(path, problems, is_table=lambda name: name in ("batches", "schedule"))
    refuse_cells(problems, path)
    missing = [name for name in ("batches", "schedule") if name not in sheets]
    if missing:
        raise InvalidInputError(f"{str(path)!r} has no sheet {missing[0]!r}")
    header, rows = sheets["batches"]
    lacking = [name for name in _COLUMNS if name not in header]
    if lacking:
        raise InvalidInputError(f"{str(path)!r}, sheet batches: no column {lacking[0]!r}")
    batches = []
    for row in rows:
        lacking = [name for name in _COLUMNS if name not in row]
        if lacking:
            place = next(iter(row.values())).place
            problems.append(f"{place}: the row has no {', no '.join(lacking)}")
            continue
        names = {key: str(row[key].value) for key in _COLUMNS[:2]}
        batches.append(names | {key: row[key].value for key in _COLUMNS[2:]})
    refuse_cells(problems, path)
    parts = [next(iter(row.values())) for row in sheets["schedule"].rows]
    return _completed("".join(str(part.value) for part in parts), batches, str(path))


def _completed(text: str, batches: list[dict[str, Any]], where: str) -> Schedule:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{where!r}: what stands beside the batches is damaged") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{where!r}: what stands beside the batches is damaged")
    return read_schedule_document(content | {"batches": batches}, where)
