"""Excel workbooks (extra `excel`): numbers come back exactly, and nothing unpacks to gigabytes."""

from __future__ import annotations

import datetime
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from stnopt.errors import InvalidInputError
from stnopt.files import files_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    Sheets = Mapping[str, tuple[Sequence[str], Iterable[Sequence[object]]]]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, and where.

    Parameters
    ----------
    value : object
        Text, a number, true or false; a date or time is text in ISO form.
    place : str
        Such as ``sheet orders, cell D4``.
    """

    value: Any
    place: str


Row = dict[str, Cell]


class SheetTable(NamedTuple):
    """A table: the places of its columns' names, and its rows by those names."""

    header: dict[str, str]
    rows: list[Row]


#: What a workbook may hold once it is unpacked; a few kilobytes can hide gigabytes.
_MOST_BYTES = 200 * 1024 * 1024


def load_openpyxl() -> Any:
    """Import openpyxl, or name the extra that installs it.

    Raises
    ------
    InvalidInputError
    """
    try:
        import openpyxl
    except ImportError as error:
        raise InvalidInputError(
            "Excel files need the package openpyxl: pip install 'stnopt[excel]'; or keep the "
            "tables as CSV files"
        ) from error
    return openpyxl


def _open_workbook(path: Path) -> tuple[Any, Any]:
    """Open a workbook twice: for the values of its cells, and for the formulas behind them.

    Raises
    ------
    InvalidInputError
        If it is none, is damaged, or unpacks to more than a table ever does.
    """
    openpyxl = load_openpyxl()
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size <= _MOST_BYTES:
            return openpyxl.load_workbook(path, data_only=True), openpyxl.load_workbook(path)
    # What a damaged workbook raises depends on where it is damaged.
    except Exception as error:
        raise InvalidInputError(f"this is no workbook that can be read: {error}") from error
    raise InvalidInputError(
        f"the workbook unpacks to {size / 2**20:.0f} MB; a table's has at most "
        f"{_MOST_BYTES / 2**20:.0f} MB"
    )


def fill_page(
    page: Any,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    fills: Sequence[str] = (),
) -> None:
    """Fill a sheet: names in bold above, columns as wide as what they hold, ready to print.

    Parameters
    ----------
    page : Worksheet
    columns : sequence of str
    rows : iterable of sequences
        None leaves a cell empty.
    fills : sequence of str, optional
        A colour for the name of each column.
    """
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    rows = list(rows)
    page.freeze_panes = "A2"
    page.print_title_rows = "1:1"
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToWidth, page.page_setup.fitToHeight = 1, 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
    for number, name in enumerate(columns, 1):
        cell = page.cell(row=1, column=number)
        _fill(cell, name)
        cell.font = Font(bold=True)
        colour = fills[number - 1] if fills else "DDE6EE"
        cell.fill = PatternFill("solid", fgColor=colour)
        width = max([len(name), *(len(str(row[number - 1] or "")) for row in rows)])
        page.column_dimensions[get_column_letter(number)].width = min(width + 3, 60)
        for line, row in enumerate(rows, 2):
            if row[number - 1] is not None:
                _fill(page.cell(row=line, column=number), row[number - 1])


def _fill(cell: Any, value: object) -> None:
    if isinstance(value, float) and float(f"{value:.16g}") != value:
        cell.value = repr(value)  # openpyxl writes numbers with 16 digits, which some need 17 of
        cell.data_type = "n"
    else:
        cell.value = value
        if isinstance(value, str):
            cell.data_type = "s"  # a name such as =1 is no formula


def write_workbook(path: Path | str, sheets: Sheets) -> None:
    """Write tables as the sheets of a workbook, whole or not at all.

    Parameters
    ----------
    path : path
    sheets : mapping of str to (columns, rows)

    Raises
    ------
    InvalidInputError
        If it cannot be written, or openpyxl is not installed.
    """
    with files_together() as outputs:
        outputs.write_by(path, workbook_of(sheets).save)


def workbook_of(sheets: Sheets) -> Any:
    """Return tables as a workbook, to be saved with its `save`.

    Raises
    ------
    InvalidInputError
        If openpyxl is not installed.
    """
    book = load_openpyxl().Workbook()
    book.remove(book.active)
    for name, (columns, rows) in sheets.items():
        fill_page(book.create_sheet(name), columns, rows)
    return book


def read_workbook(
    path: Path, problems: list[str], *, is_table: Callable[[str], bool] = lambda _: True
) -> dict[str, SheetTable]:
    """Read the sheets of a workbook: names in the first row that holds anything, rows below it.

    Parameters
    ----------
    path : Path
    problems : list of str
        What single cells cannot say is added, with its place: errors, formulas whose value was not
        saved, values without a name above them.
    is_table : function
        Told a sheet's name; others are left out, whatever stands in them.

    Returns
    -------
    dict
        Per sheet, its table; cells without content are left out.

    Raises
    ------
    InvalidInputError
        If it cannot be read at all.
    """
    values, formulas = _open_workbook(path)
    return {
        page.title: _read_page(page, formulas[page.title], problems)
        for page in values.worksheets
        if is_table(page.title)
    }


def refuse_cells(problems: list[str], path: Path | str) -> None:
    """Raise what is wrong with the cells of a workbook, if anything is.

    Raises
    ------
    InvalidInputError
    """
    if problems:
        raise InvalidInputError(problems, source=str(path))


def _read_page(page: Any, formulas: Any, problems: list[str]) -> SheetTable:
    titles: dict[int, str] = {}
    header: dict[str, str] = {}
    rows: list[Row] = []
    title_row: int | None = None
    for cells in page.iter_rows():
        row: Row = {}
        for cell in cells:
            place = f"sheet {page.title}, cell {cell.coordinate}"
            value = cell.value
            if value is None or (isinstance(value, str) and not value.strip()):
                written = formulas[cell.coordinate].value
                if isinstance(written, str) and written.startswith("="):
                    problems.append(
                        f"{place}: the formula {written} has no value in the file; save it in a "
                        "spreadsheet program, or write the value"
                    )
                continue
            if cell.data_type == "e":
                problems.append(f"{place}: holds the error {value}")
                continue
            if title_row in (None, cell.row):
                title_row = cell.row
                title = str(value)
                if title in header:
                    problems.append(f"{place}: the column {title!r} appears twice")
                titles[cell.column] = title
                header[title] = place
            elif cell.column in titles:
                row[titles[cell.column]] = Cell(_plain(value), place)
            else:
                problems.append(f"{place}: {value!r} stands in a column without a name")
        if row:
            rows.append(row)
    return SheetTable(header, rows)


def _plain(value: object) -> object:
    """Dates and times as text, numbers and texts as they are."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="seconds" if value.second else "minutes")
    if isinstance(value, datetime.date):
        return f"{value.isoformat()}T00:00"
    if isinstance(value, datetime.time):
        return f"{value:%H:%M}"
    return value


def start_pages_at(page: Any, rows: Iterable[int]) -> None:
    """Let a new printed page begin above each of these rows of a sheet."""
    from openpyxl.worksheet.pagebreak import Break

    for row in rows:
        page.row_breaks.append(Break(id=row - 1))
