"""Every file of the library: outputs appear whole or not at all, tables are read in one way.

An output is first written beside its place under another name, forced to the disk, and only then
renamed: a reader, a kill or a full disk never meets half a file. `files_together` does so for all
the files of one command.

Tables are CSV in UTF-8 (with or without a byte order mark), UTF-16 or Windows-1252, with commas,
semicolons or tabs. What could be misread is refused by file, line and column: repeated or missing
names, rows of another length, a row of units, decimal commas beside commas as delimiters, thousands
separators, unfinished quotes, binary content.
"""

from __future__ import annotations

import codecs
import csv
import errno
import hashlib
import io
import json
import os
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

_DELIMITERS = (",", ";", "\t")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d{1,3}(\.\d{3})+,\d+")
_MAGIC = {b"PK\x03\x04": "a zip or Excel file", b"\x1f\x8b": "a gzip file", b"PAR1": "Parquet"}
_COMMENT = "# "
#: A byte beyond any content, for systems where a lock forbids others to read.
_LOCKED_BYTE = 2**40
#: So many hexadecimal digits of a checksum tell what was damaged from what was not.
_CHECK_LENGTH = 16


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text whole or not at all.

    Raises
    ------
    InvalidInputError
        If the path is none, or cannot be written; a file that was there before is then untouched.
    """
    with files_together() as outputs:
        outputs.write_text(path, text)


def check_file(path: Path | str, what: str) -> None:
    """Refuse an output that cannot be written, before the work for it is done.

    Parameters
    ----------
    path : path
        The file; folders that are missing are made when it is written.
    what : str
        What to call it in the message, such as an option's name.

    Raises
    ------
    InvalidInputError
    """
    if Path(path).is_dir():
        raise InvalidInputError(f"{what}: {str(path)!r} is a folder; name a file to write")
    check_folder(Path(path).absolute().parent, what)


def check_folder(folder: Path | str, what: str) -> None:
    """Refuse a folder that is none, cannot be made or not be written to; nothing is made yet.

    Raises
    ------
    InvalidInputError
    """
    nearest = Path(folder).absolute()
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        is_folder = nearest.is_dir()
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise InvalidInputError(f"{what}: {str(folder)!r} is no folder: {error}") from error
    if not is_folder:
        raise InvalidInputError(f"{what}: {str(nearest)!r} is a file; name a folder to write into")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InvalidInputError(f"{what}: no permission to write into {str(nearest)!r}")


class FilesTogether:
    """Outputs of one command, kept aside until all are there; made by `files_together`."""

    def __init__(self) -> None:
        self._aside: list[tuple[Path, Path]] = []

    def write_text(self, path: Path | str, text: str) -> None:
        """Keep a UTF-8 text aside."""
        content = text.encode()
        self.write_by(path, lambda aside: aside.write_bytes(content))

    def write_by(self, path: Path | str, write: Callable[[Path], object]) -> None:
        """Let a function write a file at a path of our choice, and keep it aside.

        Raises
        ------
        InvalidInputError
        """
        try:
            place = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
            if place.is_dir():
                raise InvalidInputError(
                    f"path: {str(path)!r} cannot be written: it is a folder; name a file"
                )
            if place.exists() and not place.is_file():  # a pipe or a terminal: nothing to keep
                write(place)
                return
            # The suffix stays: what writes a figure looks at it.
            name = f".{place.stem[:80]}.{os.getpid()}-{len(self._aside)}.part{place.suffix}"
            aside = place.with_name(name)
            self._aside.append((aside, place))
            write(aside)
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
        except TypeError as error:
            if isinstance(path, Path | str):
                raise
            raise InvalidInputError(f"path: expected a file, got {path!r}") from error
        except (OSError, UnicodeError) as error:
            raise _not_written(path, error) from error
        except ValueError as error:
            if "\0" not in str(path):
                raise
            raise _not_written(path, error) from error

    def _appear(self) -> None:
        for aside, place in self._aside:
            mode = place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask()
            aside.chmod(mode)
        for aside, place in self._aside:
            try:
                aside.replace(place)
            except OSError as error:
                raise _not_written(place, error) from error
        for folder in {place.parent for _, place in self._aside}:
            _sync_folder(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let all files appear if no error came, and leave nothing beside them."""
        try:
            if kind is None:
                self._appear()
        finally:
            for aside, _ in self._aside:
                aside.unlink(missing_ok=True)


def files_together() -> FilesTogether:
    """Open a set of outputs that appear together, or not at all."""
    return FilesTogether()


def lock_file(handle: int, what: str) -> None:
    """Lock an open file until it is closed; the lock goes with the process, however it ends.

    Raises
    ------
    InvalidInputError
        When another process has locked it.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise InvalidInputError(
                f"{what} is in use by another process; wait for it, or choose another file"
            ) from error
        # Some network file systems cannot lock.


class RecordLog:
    """The end of an open file to which records are added, each one line of JSON with a checksum.

    Records are flushed to the disk at once, and whole. While the disk is full they are kept in
    memory, a warning says so, and every later write tries again.

    Parameters
    ----------
    handle : int
        Of a file open for reading and writing; it is closed with the log.
    end : int
        Where the last whole record ends; what lies behind it is overwritten.
    what : str
        What to call it in the warning.
    """

    def __init__(self, handle: int, end: int, what: str) -> None:
        self._handle, self._end, self._what = handle, end, what
        self._pending = b""

    def add(self, *records: Mapping[str, Any]) -> None:
        """Add records."""
        signed = ({**each, "check": record_check(each)} for each in records)
        self.add_lines(b"".join(json.dumps(each).encode() + b"\n" for each in signed))

    def add_lines(self, lines: bytes) -> None:
        """Write whole lines or none: what a full disk cut off is taken back."""
        already = bool(self._pending)
        self._pending += lines
        try:
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            rest = memoryview(self._pending)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, self._end)
            if not already:
                warnings.warn(
                    f"{self._what} cannot be written ({error}); the work goes on, and what it "
                    "learns is written once there is room",
                    UserWarning,
                    stacklevel=4,
                )
            return
        self._end += len(self._pending)
        self._pending = b""

    def close(self) -> None:
        """Try once more to write what the disk refused, and close the file."""
        try:
            if self._pending:
                self.add_lines(b"")
        finally:
            os.close(self._handle)


def record_check(record: Mapping[str, Any]) -> str:
    """Return the checksum of a record, whatever the order of its keys."""
    text = json.dumps(dict(record), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECK_LENGTH]


def _not_written(path: Path | str, error: Exception) -> InvalidInputError:
    reason = getattr(error, "strerror", None) or error
    return InvalidInputError(f"path: {str(path)!r} cannot be written: {reason}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the renames themselves durable, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV file as text: names of columns, and each row with its line.

    Parameters
    ----------
    name : str
        The file, as messages call it.
    comment : str or None
        First line, if it begins with ``# ``, without that.
    header : list of str
    rows : list of (line, values)
        Lines count from 1. Every row has as many values as the header; numbers have a point.
    problems : list of (place, problem)
        What is wrong with single lines; a caller adds its own and refuses all of them at once.
    """

    name: str
    comment: str | None
    header: list[str]
    rows: list[tuple[int, list[str]]]
    problems: list[tuple[str, str]]


def read_table(path: Path | str, *, text_columns: Collection[str] = ()) -> Table:
    """Read a CSV file; what could be misread is refused, or among the `problems` of single lines.

    Parameters
    ----------
    path : path
    text_columns : collection of str
        Columns whose values are names or words, and are left as they stand.

    Raises
    ------
    InvalidInputError
        If it cannot be read at all, or its header is no list of distinct names.
    """
    name = str(path)
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"{name!r} cannot be read: {reason}") from error
    text = _decode(content, name)
    first, comment = 1, None
    if text.startswith(_COMMENT):
        line, _, text = text.partition("\n")
        first, comment = 2, line.removeprefix(_COMMENT).rstrip("\r")
    told = re.match(r"sep=(.)\r?\n", text)
    if told:
        delimiter, text, first = told[1], text[told.end() :], first + 1
    else:
        title = next((line for line in text.splitlines() if line.strip()), "")
        bare = re.sub(r'"[^"]*"', "", title)
        delimiter = max(_DELIMITERS, key=bare.count)
    header, rows, problems = _split_rows(text, delimiter, first)
    header, rows = _drop_trailing(header, rows)
    _check_header(header, name)
    problems += _units_row(header, rows, text_columns)
    problems += _unify_numbers(header, rows, delimiter, text_columns)
    return Table(name=name, comment=comment, header=header, rows=rows, problems=problems)


def _decode(content: bytes, name: str) -> str:
    for magic, what in _MAGIC.items():
        if content.startswith(magic):
            raise InvalidInputError(f"{name!r} is {what}, not CSV text; save it as CSV")
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif content[1::2].count(0) > len(content) // 4:
        encodings = ["utf-16-le"]
    elif content[0::2].count(0) > len(content) // 4:
        encodings = ["utf-16-be"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise InvalidInputError(f"{name!r}: its bytes are no {encodings[0]} text")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InvalidInputError(f"{name!r}, line {line}: binary content; it is not CSV text")
    return text


def _split_rows(
    text: str, delimiter: str, first: int
) -> tuple[list[str], list[tuple[int, list[str]]], list[tuple[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    problems: list[tuple[str, str]] = []
    try:
        for values in reader:
            line = first + reader.line_num - 1
            if not any(value.strip() for value in values):
                continue
            if not header:
                header = [value.strip() for value in values]
                continue
            while len(values) > len(header) and not values[-1].strip():
                values.pop()  # a delimiter at the line's end
            if len(values) != len(header):
                problems.append(
                    (f"line {line}", f"expected {len(header)} fields, found {len(values)}")
                )
            else:
                rows.append((line, [value.strip() for value in values]))
    except csv.Error as error:
        line = first + max(reader.line_num, 1) - 1
        problems.append((f"line {line}", f"{error}; nothing after it is read"))
    return header, rows, problems


def _drop_trailing(
    header: list[str], rows: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Leave out the empty columns that delimiters at the end of every line make."""
    n = len(header)
    while n > 1 and not header[n - 1] and not any(values[n - 1] for _, values in rows):
        n -= 1
    return header[:n], [(line, values[:n]) for line, values in rows]


def _check_header(header: list[str], name: str) -> None:
    if not header:
        raise InvalidInputError(f"{name!r}: expected a header line, found an empty file")
    if all(map(is_number, header)):
        raise InvalidInputError(f"{name!r}: its first line is numbers only; name the columns there")
    problems = [
        f"column {number} has no name" for number, title in enumerate(header, start=1) if not title
    ]
    if repeated := sorted({title for title in header if title and header.count(title) > 1}):
        problems.append(f"columns {repeated} appear more than once")
    if problems:
        raise InvalidInputError(f"{name!r}, header: {'; '.join(problems)}")


def _units_row(
    header: list[str], rows: list[tuple[int, list[str]]], text_columns: Collection[str]
) -> list[tuple[str, str]]:
    """Name a first row without any number above columns of numbers: it holds units."""
    if len(rows) < 2 or any(is_number(value.replace(",", ".")) for value in rows[0][1]):
        return []
    line, first = rows[0]
    for column, title in enumerate(header):
        rest = [values[column] for _, values in rows[1:]]
        if title in text_columns:
            continue
        if first[column] and all(is_number(value.replace(",", ".")) for value in rest):
            return [
                (f"line {line}", f"{title}: {first[column]!r} looks like a unit; delete that row")
            ]
    return []


def _unify_numbers(
    header: list[str],
    rows: list[tuple[int, list[str]]],
    delimiter: str,
    text_columns: Collection[str],
) -> list[tuple[str, str]]:
    """Write decimal commas as points in place, where a column has nothing else."""
    problems = []
    for column, title in enumerate(header):
        if title in text_columns:
            continue
        commas = [row for row in rows if _DECIMAL_COMMA.fullmatch(row[1][column])]
        grouped = [row for row in rows if _THOUSANDS.fullmatch(row[1][column])]
        points = [row for row in rows if "." in row[1][column] and is_number(row[1][column])]
        unclear = [row for row in grouped if row not in commas or delimiter == "," or points]
        mixed = commas if points else []
        for line, values in unclear or mixed:
            problems.append(
                (
                    f"line {line}",
                    f"{title}: {values[column]!r} may have a thousands separator or a decimal"
                    " comma; write numbers with a decimal point and without separators",
                )
            )
        if not (unclear or mixed):
            for _, values in commas:
                values[column] = values[column].replace(",", ".")
    return problems


def is_number(text: str) -> bool:
    """Whether a text is one number, with a decimal point."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def parse_number(text: str) -> float:
    """Return the number that a text is, with a decimal point.

    Raises
    ------
    ValueError
        If it is none; Python would read 1_000 as one.
    """
    if not is_number(text):
        raise ValueError(f"expected a number, got {text!r}")
    return float(text)


def refuse_lines(problems: Sequence[tuple[str, str]], where: str, *, most: int = 50) -> None:
    """Raise one error with every problem of single lines; the rest of a very long list is counted.

    Raises
    ------
    InvalidInputError
        If there are any problems.
    """
    if not problems:
        return
    shown = [f"{place}: {problem}" for place, problem in problems[:most]]
    if hidden := len(problems) - len(shown):
        shown.append(f"and {hidden} more")
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    raise InvalidInputError("\n  - ".join([f"{where}: {count}:", *shown]))
