"""`reactor-yield check`: report everything wrong with a data set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reactor_yield.cli.common import (
    FOUND,
    OK,
    S3,
    OwnColumns,
    add_own_columns,
    not_empty,
    read_own_columns,
    read_path,
)
from reactor_yield.data.columns import Column
from reactor_yield.files import check_output, read_csv, write_text

if TYPE_CHECKING:
    import argparse

    import pandas as pd


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("check", help="report everything wrong with a data set")
    command.add_argument("data", type=not_empty, help=f"CSV, {S3}")
    command.add_argument("--summary", type=read_path, help="HTML page about the data")
    add_own_columns(command)
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from reactor_yield.data.check import check_dataset

    if options.summary:
        check_output(options.summary)
    own = read_own_columns(options)
    data = read_csv(options.data)
    if own.given:
        columns = _columns_to_check(own, data)
        if not columns:
            own.check_present(data, name=options.data)
        report = check_dataset(
            data,
            columns=columns,
            required=(*own.features, own.target),
            kinetics=None,
        )
    else:
        report = check_dataset(data)
    problems = [(p.kind, p.message) for p in report.problems]
    problems += [("labels", message) for message in _check_labels(own, data)]
    if options.summary:
        from reactor_yield.report import data_summary

        shown = (*own.features, own.target) if own.given else None
        write_text(options.summary, data_summary(data, report, columns=shown))
        print(f"summary written to {options.summary}")
    for kind, message in problems:
        print(f"{kind}: {message}")
    print(f"{report.n_rows} rows, {len(problems)} problems")
    return FOUND if problems else OK


def _columns_to_check(own: OwnColumns, data: pd.DataFrame) -> tuple[Column, ...]:
    """Complete the table given: columns it does not name are checked for gaps and text."""
    known = {c.name for c in own.columns}
    unknown = [
        Column(name=name, unit="", low=-math.inf, high=math.inf, meaning="")
        for name in (*own.features, own.target)
        if name in data.columns and name not in known and not _is_text(data[name])
    ]
    return (*own.columns, *unknown)


def _is_text(values: pd.Series) -> bool:
    """Whether a column holds categories, such as lots: no value of it is a number."""
    import pandas as pd

    known = values.dropna()
    return len(known) > 0 and bool(pd.to_numeric(known, errors="coerce").isna().all())


def _check_labels(own: OwnColumns, data: pd.DataFrame) -> list[str]:
    """Say what is wrong with group, time and text columns."""
    from reactor_yield.monitoring.time_axis import read_times

    said = []
    for name in (own.group, own.time):
        if name is not None and name not in data.columns:
            said.append(f"column {name!r} is missing; found {list(data.columns)}")
    labels = [f for f in own.features if f in data.columns and _is_text(data[f])]
    labels += [own.group] if own.group is not None and own.group in data.columns else []
    for name in dict.fromkeys(labels):
        gaps = data[name].isna()
        if gaps.any():
            said.append(f"column {name!r}: {int(gaps.sum())} of {len(data)} values are missing")
    for name in (*own.features, own.target) if own.given else ():
        if name in data.columns and data[name].nunique() == 1:
            said.append(f"column {name!r}: {data[name].dropna().iloc[0]!r} in all rows")
    if own.time is not None and own.time in data.columns:
        times = read_times(data, own.time, what="the data")
        steps = times.diff().dropna()
        if (steps < 0).any():
            said.append(f"column {own.time!r}: times go back {int((steps < 0).sum())} times")
        if (steps == 0).any():
            said.append(f"column {own.time!r}: {int((steps == 0).sum())} times are repeated")
    return said
