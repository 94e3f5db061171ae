"""CSV read in one way everywhere: what is certain is read, what could be misread is refused.

Read: UTF-8 with or without a byte order mark, UTF-16, Latin-1 (Windows-1252); commas, semicolons
or tabs; decimal commas; a delimiter at the end of every line; empty lines. Refused, naming file,
line and column: repeated or missing names, a row of units, rows of another length, thousands
separators, unfinished quotes, binary content.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reactor_yield.errors import InvalidFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DELIMITERS = (",", ";", "\t")
_GAPS = frozenset(
    ["", "#n/a", "#na", "-nan", "<na>", "n/a", "na", "nan", "none", "null", "-", "--"]
)
_COMMA_NUMBER = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d{1,3}(\.\d{3})+,\d+")
_MAGIC = {b"PK\x03\x04": "a zip or Excel file", b"\x1f\x8b": "a gzip file", b"PAR1": "Parquet"}
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the rows of a table come from.

    Attributes
    ----------
    name
        The file.
    lines
        The line of each row in it, the first being 1.
    """

    name: str
    lines: tuple[int, ...]

    def __deepcopy__(self, memo: object) -> Origin:
        return self  # pandas copies a table's attributes with every step


def parse_csv(content: bytes, *, name: str) -> pd.DataFrame:
    """Table from the bytes of a CSV file.

    Parameters
    ----------
    content
        The file.
    name
        What to call it in messages.

    Returns
    -------
    DataFrame
        Columns as in the header; numeric where every value is a number or a gap, text otherwise.
        `attrs["origin"]` says which file and lines its rows come from.

    Raises
    ------
    InvalidFileError
        With every problem found (at most 20), each naming file, line and column.
    """
    text = _decode(content, name)
    delimiter, text, first_line = _delimiter(text, name)
    header, lines, rows = _split_rows(text, delimiter, first_line, name)
    columns = [[row[i] for row in rows] for i in range(len(header))]
    header, columns = _drop_trailing(header, columns)
    _check_header(header, first_line, name)
    if not rows:
        message = f"{name}: line {first_line} is a header and no rows follow"
        raise InvalidFileError(message)
    _refuse_units(header, columns, lines, name)
    problems: list[str] = []
    table = pd.DataFrame(
        {
            title or f"Unnamed: {i}": _column(values, title, delimiter, lines, name, problems)
            for i, (title, values) in enumerate(zip(header, columns, strict=True))
        }
    )
    if problems:
        raise InvalidFileError(*problems[:_MOST_PROBLEMS])
    table.attrs["origin"] = Origin(name=name, lines=tuple(lines))
    return table


def numbers(table: pd.DataFrame, column: str, *, what: str = "the table") -> pd.Series:
    """Column as numbers, gaps as NaN; text, dates and truth values are refused by line.

    Raises
    ------
    InvalidFileError
        Naming the file and line, or the row, and the value that is no number.
    """
    raw = table[column]
    if raw.dtype == bool or (raw.dtype == object and raw.map(lambda v: isinstance(v, bool)).any()):
        message = f"{what}: column {column!r} holds truth values, not numbers"
        raise InvalidFileError(message)
    found = pd.to_numeric(raw, errors="coerce")
    bad = np.flatnonzero((found.isna() & raw.notna()).to_numpy())
    if not np.issubdtype(found.dtype, np.number):
        bad = np.arange(len(raw))
    if len(bad):
        first = int(bad[0])
        where = place(table, first)
        message = (
            f"{where}, column {column!r}: {str(raw.iloc[first])[:60]!r} is not a number"
            f" ({len(bad)} of {len(raw)} rows of {what})"
        )
        raise InvalidFileError(message)
    return found.astype(float)


def place(table: pd.DataFrame, position: int) -> str:
    """Where a row comes from: file and line where they are known, its label otherwise."""
    origin = table.attrs.get("origin")
    if isinstance(origin, Origin) and len(origin.lines) == len(table):
        return f"{origin.name}: line {origin.lines[position]}"
    label = table.index[position]
    return f"row {label!r}" if isinstance(label, str) else f"row {label}"


def _decode(content: bytes, name: str) -> str:
    for magic, what in _MAGIC.items():
        if content.startswith(magic):
            message = f"{name} is {what}, not CSV text; unpack it or save it as CSV"
            raise InvalidFileError(message)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings: Sequence[str] = ("utf-16",)
    elif content[1::2].count(0) > len(content) // 4:
        encodings = ("utf-16-le",)
    elif content[0::2].count(0) > len(content) // 4:
        encodings = ("utf-16-be",)
    else:
        encodings = ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        message = f"{name}: the bytes are no {encodings[0]} text"
        raise InvalidFileError(message)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        message = f"{name}: line {line} holds binary content (a zero byte); it is not CSV text"
        raise InvalidFileError(message)
    return text


def _delimiter(text: str, name: str) -> tuple[str, str, int]:
    """Delimiter by the header line, and the text from that line on."""
    first_line = 1
    told = re.match(r"sep=(.)\r?\n", text)
    if told:
        return told.group(1), text[told.end() :], 2
    while True:
        line, end, rest = text.partition("\n")
        if line.strip() or not end:
            break
        text, first_line = rest, first_line + 1
    if not line.strip():
        message = f"{name}: the file is empty; it has no header"
        raise InvalidFileError(message)
    bare = re.sub(r'"[^"]*"', "", line)
    counts = {d: bare.count(d) for d in _DELIMITERS}
    return max(_DELIMITERS, key=lambda d: counts[d]), text, first_line


def _split_rows(
    text: str, delimiter: str, first_line: int, name: str
) -> tuple[list[str], list[int], list[list[str]]]:
    """Header, and the rows with their lines; rows of another length are refused."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    problems: list[str] = []
    at = first_line
    try:
        for row in reader:
            line, at = at, first_line + reader.line_num
            if not row or not any(cell.strip() for cell in row):
                continue
            if not header:
                header = [cell.strip() for cell in row]
                continue
            extra = row[len(header) :]
            if any(cell.strip() for cell in extra):
                problems.append(
                    f"{name}: line {line} has {len(row)} values for {len(header)} columns; the "
                    f"first beyond the last column {header[-1]!r} is {extra[0]!r}"
                )
            elif len(row) < len(header):
                problems.append(
                    f"{name}: line {line} has {len(row)} values for {len(header)} columns; "
                    f"{header[len(row)]!r} and what follows is missing"
                )
            else:
                lines.append(line)
                rows.append([cell.strip() for cell in row[: len(header)]])
    except csv.Error as problem:
        message = f"{name}: line {at} cannot be read: {problem}"
        raise InvalidFileError(message) from problem
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        hint = [f"{name}: and {more} more lines"] if more > 0 else []
        raise InvalidFileError(*problems[:_MOST_PROBLEMS], *hint)
    return header, lines, rows


def _drop_trailing(
    header: list[str], columns: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Without the empty columns that delimiters at the end of each line make."""
    while len(header) > 1 and not header[-1] and not any(columns[-1]):
        header, columns = header[:-1], columns[:-1]
    return header, columns


def _check_header(header: list[str], line: int, name: str) -> None:
    problems = []
    if all(_is_number(title) for title in header):
        problems.append(
            f"{name}: line {line} is numbers only; a header with column names is missing"
        )
    for i, title in enumerate(header):
        if title and title in header[:i]:
            first = header.index(title) + 1
            problems.append(
                f"{name}: line {line}, columns {first} and {i + 1} are both named {title!r}"
            )
        if not title and i:
            problems.append(f"{name}: line {line}, column {i + 1} has no name")
    if problems:
        raise InvalidFileError(*problems)


def _refuse_units(header: list[str], columns: list[list[str]], lines: list[int], name: str) -> None:
    """Refuse a first row without any number above columns of numbers: it holds units."""
    first = [values[0] for values in columns]
    if len(lines) < 2 or any(_is_number(cell) for cell in first):
        return
    for title, values in zip(header, columns, strict=True):
        rest = [v for v in values[1:] if v.lower() not in _GAPS]
        if values[0] and rest and sum(map(_is_number, rest)) > 0.9 * len(rest):
            message = (
                f"{name}: line {lines[0]}, column {title!r}: {values[0]!r} looks like a unit; "
                "delete the row of units, and see that the columns are in the units expected"
            )
            raise InvalidFileError(message)


def _column(
    values: list[str],
    title: str,
    delimiter: str,
    lines: list[int],
    name: str,
    problems: list[str],
) -> pd.Series:
    """One column: numbers where all are, truth values where all are, text otherwise."""
    raw = pd.Series(values, dtype=object)
    gaps = raw.str.lower().isin(_GAPS)
    raw = raw.mask(gaps, None)
    known = raw[~gaps]
    if not len(known):
        return pd.Series(np.nan, index=raw.index)
    found = pd.to_numeric(raw, errors="coerce")
    bad = found.isna() & ~gaps & (raw.str.lower() != "nan")
    if not bad.any():
        return found if found.dtype != object else found.astype(float)
    if known.isin(["True", "False"]).all() and not gaps.any():
        return raw == "True"
    thousands = known[known.map(lambda v: bool(_THOUSANDS.fullmatch(v)))]
    commas = known[known.str.contains(",", regex=False)]
    if len(commas) and known.map(lambda v: bool(_COMMA_NUMBER.fullmatch(v))).all():
        if delimiter == "," and len(thousands) == len(commas):
            problems.append(
                f"{name}: line {lines[int(thousands.index[0])]}, column {title!r}: "
                f"{thousands.iloc[0]!r} may have a thousands separator or a decimal comma; "
                "write numbers with a decimal point and without separators"
            )
        return pd.to_numeric(raw.str.replace(",", ".", regex=False), errors="coerce").astype(float)
    plain = known.map(_is_number) | known.map(lambda v: bool(_COMMA_NUMBER.fullmatch(v)))
    if len(commas) and (plain | known.isin(thousands)).all():
        first = int(commas.index[0])
        problems.append(
            f"{name}: line {lines[first]}, column {title!r}: {commas.iloc[0]!r} beside numbers "
            "with a decimal point; write all of them in one way"
        )
    return raw


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
