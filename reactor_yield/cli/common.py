"""What the commands share: exit codes, and options for a user's own columns."""

from __future__ import annotations

import argparse
import contextlib
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reactor_yield.data.columns import COLUMNS, FEATURES, TARGET, Column
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.files import read_csv
from reactor_yield.tables import numbers, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

OK, BAD_INPUT, FOUND, BROKEN_PIPE = 0, 2, 3, 141
S3 = "a local file or s3://bucket/key"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnColumns:
    """The columns a command was told to use.

    Attributes
    ----------
    features, target
        What is read and what is predicted.
    group
        Column whose equal values belong together (a lot, a campaign, an operating point).
    time
        Column of time stamps.
    columns
        Plausible range and unit of each column; empty when the data are not the reference
        reactor's and no table was given.
    given
        Whether anything but the reference reactor's columns was asked for.
    """

    features: tuple[str, ...]
    target: str
    group: str | None
    time: str | None
    columns: tuple[Column, ...]
    given: bool

    def check_present(self, table: pd.DataFrame, *, name: str, target: bool = True) -> None:
        """Refuse a table that lacks a named column."""
        wanted = [*self.features, self.group, self.time, *([self.target] if target else [])]
        missing = [c for c in wanted if c is not None and c not in table.columns]
        if missing:
            message = f"{name} lacks the columns {missing}; found {list(table.columns)}"
            raise InvalidConditionsError(message)


def not_empty(text: str) -> str:
    """Read the name of a file or column; an empty one, such as an unset variable's, is none.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return text


def read_path(text: str) -> Path:
    """Read an option that is a local file or folder; raises as `not_empty` does."""
    return Path(not_empty(text))


def count(text: str) -> int:
    """Read a number of things, 0 or more; raises as `not_empty` does."""
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def add_own_columns(command: argparse.ArgumentParser, *, target: bool = True) -> None:
    """Add `--features --target --columns --group --time` to a command."""
    own = command.add_argument_group("your own columns")
    own.add_argument(
        "--features", type=not_empty, help="columns to learn from: a,b,c (default: the reactor's)"
    )
    if target:
        own.add_argument("--target", type=not_empty, help=f"column to predict (default: {TARGET})")
    own.add_argument(
        "--columns",
        type=not_empty,
        help="CSV with name, unit, low, high and meaning per column",
    )
    own.add_argument(
        "--group", type=not_empty, help="column whose equal values belong together, such as a lot"
    )
    own.add_argument("--time", type=not_empty, help="column of time stamps")


@contextlib.contextmanager
def naming(location: str | None) -> Iterator[None]:
    """Name the file that an error is about, where it does not do so itself."""
    try:
        yield
    except InvalidConditionsError as problem:
        if location is None or location in str(problem):
            raise
        message = f"{location}: {problem}"
        raise InvalidConditionsError(message) from problem


def read_own_columns(options: argparse.Namespace) -> OwnColumns:
    """Read the options of `add_own_columns`."""
    features = _names(options.features)
    target = getattr(options, "target", None)
    given = bool(features or target or options.columns)
    columns = read_column_table(options.columns) if options.columns else ()
    if not features and columns:
        features = tuple(c.name for c in columns if c.role == "condition")
    return OwnColumns(
        features=features or FEATURES,
        target=target or TARGET,
        group=options.group,
        time=options.time,
        columns=columns if given else COLUMNS,
        given=given,
    )


def read_column_table(location: str) -> tuple[Column, ...]:
    """Columns from a CSV with `name`, `low` and `high`, and `unit`, `meaning`, `role` if known."""
    table = read_csv(location)
    missing = [c for c in ("name", "low", "high") if c not in table.columns]
    if missing:
        message = f"{location} lacks the columns {missing}; it needs name, low and high"
        raise InvalidConditionsError(message)
    low, high = (numbers(table, c, what=location) for c in ("low", "high"))
    text = {
        c: table[c].fillna("").astype(str) if c in table.columns else None
        for c in ("unit", "meaning", "role")
    }
    columns = []
    for i in range(len(table)):
        with naming(place(table, i)):
            column = Column(
                name=str(table["name"].iloc[i]),
                unit=_cell(text["unit"], i, ""),
                low=float(low.iloc[i]),
                high=float(high.iloc[i]),
                meaning=_cell(text["meaning"], i, ""),
                role=_cell(text["role"], i, "condition"),
            )
        columns.append(column)
    return tuple(columns)


def name_list(text: str | None) -> tuple[str, ...] | None:
    """Names from `a,b,c`, or `None`."""
    return _names(text) or None


def _names(text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    names = tuple(n.strip() for n in next(csv.reader([text])))
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not all(names):
        message = f"expected different column names, such as a,b,c; got {text!r}"
        raise InvalidConditionsError(message)
    return names


def _cell(column: pd.Series | None, row: int, otherwise: str) -> str:
    return otherwise if column is None else str(column.iloc[row]) or otherwise
