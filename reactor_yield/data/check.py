"""What makes a data set unusable, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reactor_yield.arguments import NAMES, TABLE, check_arguments, many, optional
from reactor_yield.data.columns import COLUMNS, FEATURES, TARGET, UNIT_RELATIVES, Column
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.kinetics import REFERENCE, Kinetics, inlet_concentration

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProblem:
    """One thing wrong with a data set.

    Attributes
    ----------
    kind
        `missing_column`, `not_numeric`, `missing_values`, `missing_code`, `wrong_unit`,
        `out_of_range`, `duplicates`, `nonphysical` or `empty`.
    column
        The culprit, or `""` when it is whole rows.
    rows
        Index labels of the rows concerned; empty when all are.
    message
        What was found, what was expected, what to do.
    """

    kind: str
    column: str
    rows: tuple[object, ...]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """Everything `check_dataset` found; no problems means the data can be used."""

    n_rows: int
    problems: tuple[DataProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_frame(self) -> pd.DataFrame:
        """Kind, column, number of rows and message, one problem per row."""
        rows = [(p.kind, p.column, len(p.rows), p.message) for p in self.problems]
        return pd.DataFrame(rows, columns=["kind", "column", "n_rows", "message"])

    def raise_if_bad(self) -> None:
        """Raise one `InvalidConditionsError` with all problems, if there are any."""
        if self.problems:
            raise InvalidConditionsError(*(p.message for p in self.problems))


def check_dataset(
    data: pd.DataFrame,
    columns: Sequence[Column] = COLUMNS,
    *,
    required: Sequence[str] = (*FEATURES, TARGET),
    kinetics: Kinetics | None = REFERENCE,
) -> DataReport:
    """Report everything that makes a data set unusable, at once.

    Parameters
    ----------
    data
        One sample per row.
    columns
        What the columns mean; for a plant's own data, its own table. Columns of `data` that are
        not in it are ignored.
    required
        Columns that must be there.
    kinetics
        Whose mass balances the rows must obey where inlet and outlet flows are all present; `None`
        for a plant without stoichiometry.
    """
    check_arguments(
        data=(data, TABLE),
        columns=(columns, many(Column)),
        required=(required, NAMES),
        kinetics=(kinetics, optional(Kinetics)),
    )
    known = {c.name: c for c in columns}
    problems: list[DataProblem] = []
    if not len(data):
        problems.append(
            DataProblem(kind="empty", column="", rows=(), message="the data have no rows")
        )
    problems += [
        DataProblem(
            kind="missing_column",
            column=name,
            rows=(),
            message=f"column {name!r} is missing; found {list(data.columns)}",
        )
        for name in required
        if name not in data.columns
    ]
    numeric: dict[str, pd.Series] = {}
    for name in (c for c in data.columns if c in known):
        numeric[name] = values = pd.to_numeric(data[name], errors="coerce").astype(float)
        problems += _check_column(data[name], values, known[name])
    repeated = data.duplicated(keep="first")
    if repeated.any():
        problems.append(
            _problem("duplicates", "", repeated, "rows repeat an earlier row exactly; drop them")
        )
    problems += _check_physics(pd.DataFrame(numeric, index=data.index), kinetics)
    return DataReport(n_rows=len(data), problems=tuple(problems))


def _problem(kind: str, column: str, rows: pd.Series, text: str) -> DataProblem:
    labels = tuple(rows.index[rows])
    where = f"column {column!r}: " if column else ""
    message = f"{where}{len(labels)} of {len(rows)} {text} (first: row {labels[0]!r})"
    return DataProblem(kind=kind, column=column, rows=labels, message=message)


def _check_column(raw: pd.Series, values: pd.Series, column: Column) -> list[DataProblem]:
    """Text, gaps, another unit, single values out of range, a code for missing values."""
    problems = []
    finite = pd.Series(np.isfinite(values.to_numpy()), index=values.index)
    text = raw.notna() & values.isna()
    if text.any():
        problems.append(_problem("not_numeric", column.name, text, "values are not numbers"))
    gaps = ~finite & ~text
    if gaps.any():
        problems.append(_problem("missing_values", column.name, gaps, "values are missing"))
    outside = finite & ~values.between(column.low, column.high)
    if outside.sum() > 0.5 * finite.sum():
        relatives = [
            unit
            for unit, factor, offset in UNIT_RELATIVES.get(column.unit, ())
            if (values[finite] * factor + offset).between(column.low, column.high).mean() > 0.9
        ]
        guess = f"; they would fit as {' or '.join(relatives)}, convert them" if relatives else ""
        median = values[finite].median()
        unit = column.unit or "no unit"
        text_ = (
            f"values are outside {column.low:g}..{column.high:g} {unit} (median {median:g}){guess}"
        )
        problems.append(_problem("wrong_unit", column.name, outside, text_))
    elif outside.any():
        text_ = f"values are outside {column.low:g}..{column.high:g} {column.unit}".rstrip()
        problems.append(_problem("out_of_range", column.name, outside, text_))
    code = _missing_code(values[finite])
    if code is not None:
        text_ = f"values are {code:g}, far from all others: a code for a missing value? empty them"
        problems.append(_problem("missing_code", column.name, values == code, text_))
    return problems


def _missing_code(values: pd.Series) -> float | None:
    """Return a number that comes more than once, farther out than all others are wide."""
    if values.nunique() < 5:
        return None
    for extreme in (float(values.min()), float(values.max())):
        rest = values[values != extreme]
        width = float(rest.max() - rest.min())
        nearest = min(abs(extreme - rest.min()), abs(extreme - rest.max()))
        if len(values) - len(rest) > 1 and nearest > 5 * width > 0:
            return extreme
    return None


def _check_physics(data: pd.DataFrame, kinetics: Kinetics | None) -> list[DataProblem]:
    """Rows that break a balance, beyond 1 % of what flows (a measurement is not exact)."""
    problems = []

    def has(*names: str) -> bool:
        return set(names) <= set(data.columns)

    if has("P", "To", "Cto"):
        expected = inlet_concentration(data["P"], data["To"])
        off = (data["Cto"] - expected).abs() > 0.01 * np.abs(expected)
        if off.any():
            problems.append(_problem("nonphysical", "Cto", off, "values are not P / (0.082 To)"))
    if has("T_max", "To"):
        off = data["T_max"] < data["To"] * 0.99
        if off.any():
            text = "values are below the inlet temperature To"
            problems.append(_problem("nonphysical", "T_max", off, text))
    if kinetics is None:
        return problems
    if has(*kinetics.feed_columns, *kinetics.outlet_columns):
        inlet = np.zeros((len(kinetics.species), len(data)))
        for feed, column in zip(kinetics.feeds, kinetics.feed_columns, strict=True):
            inlet[kinetics.species.index(feed)] = data[column]
        outlet = data[list(kinetics.outlet_columns)].to_numpy().T
        change = np.abs(kinetics.invariants() @ (outlet - inlet)).max(axis=0)
        off = pd.Series(change > 0.01 * np.abs(inlet).sum(axis=0), index=data.index)
        if off.any():
            text = "rows do not balance: what is spent does not match what is made"
            problems.append(_problem("nonphysical", "", off, text))
    return problems
