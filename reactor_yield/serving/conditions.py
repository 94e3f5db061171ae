"""Conditions out of a request's body: limits first, then parsing, then types."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from reactor_yield.errors import InvalidFileError
from reactor_yield.tables import parse_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor_yield.serving.settings import ServiceSettings
    from reactor_yield.yield_model import YieldModel

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_SCANNED_AT_ONCE = 500_000
LARGEST = 1e300
"""No condition of a plant is larger; beyond it arithmetic overflows."""
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "utf-16": "utf-16"}
_CHARSETS |= {"iso-8859-1": "latin-1", "latin-1": "latin-1", "latin1": "latin-1"}
_CHARSETS |= {"windows-1252": "cp1252", "cp1252": "cp1252"}


class RequestProblem(Exception):
    """A request that cannot be answered as it is.

    Parameters
    ----------
    status
        Of the answer.
    sentence
        What is wrong.
    """

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A `Content-Type`: lower-case type and its parameters (RFC 9110, section 8.3)."""

    name: str
    parameters: dict[str, str]


def read_media_type(header: str) -> MediaType:
    """Parse a `Content-Type` header."""
    name, *rest = header.split(";")
    parameters = {}
    for part in rest:
        key, _, value = part.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"').lower()
    return MediaType(name=name.strip().lower(), parameters=parameters)


def choose_answer(accept: str) -> str:
    """`text/csv` or `application/json` by an `Accept` header (RFC 9110, section 12.5.1).

    Raises
    ------
    RequestProblem
        406 where neither is wanted.
    """
    weights = {}
    for part in accept.split(","):
        media = read_media_type(part)
        if not media.name:
            continue
        try:
            weights[media.name] = min(1.0, max(0.0, float(media.parameters.get("q", "1"))))
        except ValueError:
            weights[media.name] = 0.0
    best, most = "", 0.0
    for offered in ("text/csv", "application/json"):
        family = offered.partition("/")[0] + "/*"
        for pattern in (offered, family, "*/*"):
            if pattern in weights:
                if weights[pattern] > most:
                    best, most = offered, weights[pattern]
                break
    if not weights:
        return "text/csv"
    if not best:
        raise RequestProblem(406, "answers are text/csv or application/json; Accept allows neither")
    return best


def needed_columns(model: YieldModel) -> list[str]:
    """Columns that a request must have; Cto follows from P and To."""
    derived = {"Cto"} if {"P", "To", "Cto"} <= set(model.features) else set()
    return [c for c in model.features if c not in derived]


def number_columns(model: YieldModel) -> frozenset[str]:
    """Columns of numbers; the others are text or time stamps."""
    return frozenset(f.name for f in model.encoding.features if f.kind == "number")


def read_conditions(
    body: bytes, media: MediaType, model: YieldModel, settings: ServiceSettings
) -> dict[str, list[Any]]:
    """Columns of a request's conditions, in the order of its rows.

    Returns
    -------
    mapping column -> list
        Numbers, `None` in a gap, and text where the model reads a category.

    Raises
    ------
    RequestProblem
        400, 413 or 415 with a sentence that names row and column.
    """
    if media.name == "text/csv":
        columns = _read_csv(body, media, model, settings)
    elif media.name == "application/json":
        columns = _read_json(body, media, model, settings)
    else:
        kind = media.name or "nothing"
        raise RequestProblem(415, f"send text/csv or application/json, not {kind!r}")
    return columns


def _read_json(
    body: bytes, media: MediaType, model: YieldModel, settings: ServiceSettings
) -> dict[str, list[Any]]:
    if media.parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
        raise RequestProblem(415, "JSON is UTF-8 (RFC 8259); send it without another charset")
    _check_brackets(body, settings)
    try:
        content = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise RequestProblem(400, "the body is not UTF-8") from None
    except (ValueError, RecursionError) as problem:
        raise RequestProblem(400, f"the body is not JSON: {problem}") from None
    if not isinstance(content, list) or not all(isinstance(r, dict) for r in content):
        raise RequestProblem(400, "JSON must be a list of records, such as [{'Fao': 5, ...}]")
    if not content:
        raise RequestProblem(400, "the list of records is empty")
    if len(content) > settings.max_rows:
        raise RequestProblem(413, f"{len(content)} rows; at most {settings.max_rows} at once")
    widest = max(map(len, content))
    if widest > settings.max_columns:
        raise RequestProblem(413, f"{widest} columns; at most {settings.max_columns}")
    needed, numeric = needed_columns(model), number_columns(model)
    wanted = [c for c in model.features if c in needed or any(c in r for r in content)]
    columns = {}
    for name in wanted:
        text = name not in numeric
        # Cto follows from P and To: a row may go without it although another one has it.
        records = content if name in needed else [{name: None} | r for r in content]
        columns[name] = [_cell(record, name, i, text) for i, record in enumerate(records)]
    return columns


def _cell(record: dict[str, Any], name: str, row: int, text: bool) -> Any:
    try:
        value = record[name]
    except KeyError:
        message = f"row {row} lacks {name!r}; give every row the same columns, null in a gap"
        raise RequestProblem(400, message) from None
    if value is None or (type(value) is float and abs(value) <= LARGEST):
        return value
    if text and isinstance(value, str):
        return value
    if type(value) is int and abs(value) <= LARGEST:
        return float(value)
    shown = json.dumps(value)[:40]
    what = "text" if text else "a number"
    raise RequestProblem(400, f"row {row}, column {name!r}: {shown} is not {what}")


def _check_brackets(body: bytes, settings: ServiceSettings) -> None:
    """Nesting and number of records by the brackets alone, before anything is built."""
    brackets = _find_brackets(body)
    depth = 0
    for bracket in brackets[: 4 * settings.max_rows + 100]:
        depth += 1 if bracket in b"[{" else -1
        if depth > settings.max_nesting:
            raise RequestProblem(400, f"nested more than {settings.max_nesting} deep")
    n_records = brackets.count(b"{")
    if n_records > settings.max_rows:
        raise RequestProblem(413, f"{n_records} rows; at most {settings.max_rows} at once")


def _find_brackets(body: bytes) -> bytes:
    """All brackets outside strings.

    Some bytes at a time: a regular expression lets no other thread run, and a `/ping` that comes
    meanwhile would wait for 32 MB.
    """
    parts, begun = [], b""
    for first in range(0, len(body), _SCANNED_AT_ONCE):
        rest = _STRING.sub(b"", begun + body[first : first + _SCANNED_AT_ONCE])
        # A quote that is left opens a string that ends later; from it on nothing was taken out.
        quote = rest.find(b'"')
        begun = rest[quote:] if quote >= 0 else b""
        if len(begun) > _SCANNED_AT_ONCE:
            raise RequestProblem(400, f"a text of more than {_SCANNED_AT_ONCE} bytes")
        parts.append(rest[: len(rest) - len(begun)].translate(None, _NOT_BRACKETS))
    return b"".join(parts)


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({n for n in names if names.count(n) > 1})[:5]
        raise RequestProblem(400, f"a record has the keys {twice} more than once")
    return record


def _refuse_constant(name: str) -> float:
    raise RequestProblem(400, f"{name} is not JSON; write null in a gap")


def _read_csv(
    body: bytes, media: MediaType, model: YieldModel, settings: ServiceSettings
) -> dict[str, list[Any]]:
    charset = media.parameters.get("charset")
    if charset is not None:
        if charset not in _CHARSETS:
            raise RequestProblem(415, f"unknown charset {charset!r}; use utf-8")
        try:
            body = body.decode(_CHARSETS[charset]).encode()
        except UnicodeDecodeError:
            raise RequestProblem(400, f"the body is not {charset}") from None
    n_lines = body.count(b"\n")
    if n_lines > settings.max_rows + 1:
        raise RequestProblem(413, f"{n_lines} rows; at most {settings.max_rows} at once")
    if body[:100_000].split(b"\n", 1)[0].count(b",") > settings.max_columns:
        raise RequestProblem(413, f"more than {settings.max_columns} columns")
    body = _with_header(body, media, model)
    try:
        table = parse_csv(body, name="body")
    except InvalidFileError as problem:
        raise RequestProblem(400, str(problem)) from None
    if len(table) > settings.max_rows:
        raise RequestProblem(413, f"{len(table)} rows; at most {settings.max_rows} at once")
    missing = [c for c in needed_columns(model) if c not in table.columns]
    if missing:
        found = list(table.columns)[:20]
        raise RequestProblem(400, f"conditions lack the columns {missing}; found {found}")
    numeric = number_columns(model)
    columns: dict[str, list[Any]] = {}
    for name in (c for c in model.features if c in table.columns):
        values = table[name]
        if name in numeric and values.dtype.kind not in "if":
            found = pd.to_numeric(values, errors="coerce")
            bad = (found.isna() & values.notna()).to_numpy()
            at = int(bad.argmax())
            line = table.attrs["origin"].lines[at]
            shown = str(values.iloc[at])[:40]
            raise RequestProblem(400, f"line {line}, column {name!r}: {shown!r} is not a number")
        listed = [None if v != v else v for v in values.tolist()]
        large = [i for i, v in enumerate(listed) if isinstance(v, float) and abs(v) > LARGEST]
        if large:
            line = table.attrs["origin"].lines[large[0]]
            raise RequestProblem(
                400, f"line {line}, column {name!r}: {listed[large[0]]} is too large"
            )
        columns[name] = listed
    return columns


def _with_header(body: bytes, media: MediaType, model: YieldModel) -> bytes:
    """Give CSV without a header (RFC 4180, `header=absent`; batch transform) the model's names."""
    told = media.parameters.get("header")
    if told == "present":
        return body
    names = list(model.features)
    if told != "absent":
        try:
            first = next(csv.reader(io.StringIO(body[:100_000].decode("utf-8-sig").lstrip())), [])
        except (UnicodeDecodeError, csv.Error):
            return body
        if len(first) != len(names) or not all(_is_number(cell) for cell in first):
            return body
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(names)
    return header.getvalue().encode() + body


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
