"""Excel workbooks (extra `excel`): numbers come back exactly, and nothing unpacks to gigabytes."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.files import files_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

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


def open_workbook(path: Path) -> tuple[Any, Any]:
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


def write_workbook(
    path: Path | str, sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[object]]]]
) -> None:
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
    book = load_openpyxl().Workbook()
    book.remove(book.active)
    for name, (columns, rows) in sheets.items():
        fill_page(book.create_sheet(name), columns, rows)
    with files_together() as outputs:
        outputs.write_by(path, book.save)


def read_workbook(path: Path) -> dict[str, tuple[list[str], list[tuple[int, list[Any]]]]]:
    """Read the sheets of a workbook: the names of columns, and each row with its number.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    values, _ = open_workbook(path)
    sheets = {}
    for page in values.worksheets:
        rows = [(number, list(row)) for number, row in enumerate(page.values, 1)]
        rows = [(number, row) for number, row in rows if any(v is not None for v in row)]
        header = [str(name) for name in rows[0][1] if name is not None] if rows else []
        sheets[page.title] = (header, [(n, row[: len(header)]) for n, row in rows[1:]])
    return sheets
