"""Turn a plant's columns into numbers: text one-hot, time stamps as days, gaps as asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.data.times import parse_times
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.kinetics import inlet_concentration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = NDArray[np.float64]

GAPS = ("refuse", "impute", "keep")
_MOST_LEVELS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the conditions, and how it becomes numbers.

    Parameters
    ----------
    name
        Of the column.
    kind
        `"number"`, `"text"` (one column of 0 and 1 per level) or `"time"` (days since `origin`).
    low, high
        Smallest and largest training value, in the column's unit or in days; 0 and 0 for text.
    typical
        Median of the training values, or the most frequent level: put where a value is missing.
    levels
        Texts seen in training; empty unless `kind` is `"text"`.
    origin
        ISO 8601 time stamp of day 0; empty unless `kind` is `"time"`.
    has_gaps
        Whether training rows lacked it.
    """

    name: str
    kind: str
    low: float
    high: float
    typical: float | str
    levels: tuple[str, ...] = ()
    origin: str = ""
    has_gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Conditions as numbers.

    Attributes
    ----------
    inputs : (n, q) array
        What the predictor reads; NaN where a gap is kept, or where the row cannot be judged.
    usable : (n,) bool array
        Rows that can be predicted.
    notes : tuple of n texts
        Gaps, and values that are beyond the training data; empty where there are none.
    in_range : (n,) bool array
        Rows whose every value lies within the training data; a gap that is filled does not count.
    new : (n, number of text columns) bool array
        Where a text was not in the training data; it is encoded as the typical one.
    """

    inputs: Array
    usable: NDArray[np.bool_]
    notes: tuple[str, ...]
    in_range: NDArray[np.bool_]
    new: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How conditions become numbers; made by `learn_encoding`.

    Parameters
    ----------
    features
        In the order of the columns.
    gaps
        `"refuse"`: a row with a gap is not predicted. `"impute"`: a gap is taken to be typical.
        `"keep"`: likewise, and a column of 0 and 1 says where it was, so that a gap may mean
        something.
    """

    features: tuple[Feature, ...]
    gaps: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns, such as `("T", "lot=K7", "lot=K8", "pH is missing")`."""
        names: list[str] = []
        for feature in self.features:
            if feature.kind == "text":
                names += [f"{feature.name}={level}" for level in feature.levels]
            else:
                names.append(feature.name)
        return (*names, *(f"{f.name} is missing" for f in self._flagged))

    @property
    def continuous(self) -> NDArray[np.bool_]:
        """Which of the encoded columns are not 0 or 1, (q,)."""
        flags: list[bool] = []
        for feature in self.features:
            flags += [False] * len(feature.levels) if feature.kind == "text" else [True]
        return np.array(flags + [False] * len(self._flagged))

    @property
    def text_columns(self) -> tuple[NDArray[np.int64], ...]:
        """Of each column of text, where its levels are among the encoded columns."""
        found, at = [], 0
        for feature in self.features:
            width = len(feature.levels) if feature.kind == "text" else 1
            if feature.kind == "text":
                found.append(np.arange(at, at + width))
            at += width
        return tuple(found)

    @property
    def _flagged(self) -> tuple[Feature, ...]:
        return tuple(f for f in self.features if f.has_gaps) if self.gaps == "keep" else ()

    def encode(self, conditions: pd.DataFrame) -> Encoded:
        """Encode any rows; columns that are missing are refused, values never."""
        columns = _derive_inlet_concentration(conditions, [f.name for f in self.features])
        present = set(conditions.columns) | set(columns)
        missing = [f.name for f in self.features if f.name not in present]
        if missing:
            message = (
                f"conditions lack the columns {missing}; the model needs "
                f"{[f.name for f in self.features]}, found {list(conditions.columns)}"
            )
            raise InvalidConditionsError(message)
        n_rows = len(conditions)
        notes: list[list[str]] = [[] for _ in range(n_rows)]
        usable, in_range = np.ones(n_rows, dtype=bool), np.ones(n_rows, dtype=bool)
        blocks: list[Array] = []
        new: list[NDArray[np.bool_]] = []
        gaps: dict[str, NDArray[np.bool_]] = {}
        for feature in self.features:
            column = columns[feature.name] if feature.name in columns else conditions[feature.name]
            if feature.kind == "text":
                encoded, gap, unknown = _encode_text(feature, column, notes)
                new.append(unknown)
            else:
                encoded, gap, unknown = _encode_number(feature, column, notes)
            in_range &= ~unknown
            if gap.any():
                gaps[feature.name] = gap
                if self.gaps == "refuse":
                    usable &= ~gap
                    in_range &= ~gap
                said = "" if self.gaps == "refuse" else f", {feature.typical} assumed"
                for row in np.flatnonzero(gap):
                    notes[row].append(f"{feature.name} is missing{said}")
            blocks.append(encoded)
        none = np.zeros(n_rows, dtype=bool)
        blocks += [gaps.get(f.name, none).astype(float)[:, None] for f in self._flagged]
        return Encoded(
            inputs=np.hstack(blocks) if blocks else np.empty((n_rows, 0)),
            usable=usable,
            notes=tuple("; ".join(parts) for parts in notes),
            in_range=in_range,
            new=np.column_stack(new) if new else np.empty((n_rows, 0), dtype=bool),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text, as they are saved."""
        slots = Feature.__dataclass_fields__
        rows = [{name: getattr(f, name) for name in slots} for f in self.features]
        return {"gaps": self.gaps, "features": rows}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Encoding:
        """Read what `to_dict` returned."""
        rows = [dict(row) | {"levels": tuple(row["levels"])} for row in saved["features"]]
        return cls(gaps=str(saved["gaps"]), features=tuple(Feature(**row) for row in rows))


def learn_encoding(data: pd.DataFrame, features: Sequence[str], gaps: str = "refuse") -> Encoding:
    """Find out what each column holds and the range of its values.

    Parameters
    ----------
    data : (n, ...) DataFrame
        Training rows.
    features
        Columns to encode.
    gaps
        See `Encoding`; `"refuse"` raises where `data` has any.

    Raises
    ------
    InvalidConditionsError
        Every column that is missing, has gaps that are refused, mixes text and numbers, or has a
        different text in nearly every row.
    """
    if gaps not in GAPS:
        message = f"gaps must be one of {GAPS}, got {gaps!r}"
        raise InvalidConditionsError(message)
    if len(set(features)) != len(features) or not len(features):
        message = f"features must be different columns, at least one, got {list(features)}"
        raise InvalidConditionsError(message)
    found: list[Feature] = []
    problems: list[str] = []
    holes: list[str] = []
    for name in features:
        feature, problem = _learn_feature(data[name])
        if problem:
            problems.append(problem)
        elif feature is not None:
            found.append(feature)
            if feature.has_gaps:
                holes.append(name)
    if holes and gaps == "refuse":
        problems.append(
            f"the features {holes} have missing or infinite values; drop or mend those rows, or "
            'ask for gaps="impute" or gaps="keep"'
        )
    if problems:
        raise InvalidConditionsError(*problems)
    return Encoding(features=tuple(found), gaps=gaps)


def _learn_feature(column: pd.Series) -> tuple[Feature | None, str]:
    """Find what one column holds, or why it cannot be used."""
    name = str(column.name)
    kind = _find_kind(column)
    if kind == "mixed":
        numbers = pd.to_numeric(column, errors="coerce")
        odd = column[column.notna() & numbers.isna()]
        return None, (
            f"the feature {name!r} mixes numbers with {len(odd)} values that are none (first: "
            f"{odd.iloc[0]!r}, row {odd.index[0]!r}); mend them or leave them empty"
        )
    if kind == "text":
        values = column.dropna().astype(str)
        levels = tuple(sorted(set(values)))
        if len(levels) > _MOST_LEVELS:
            return None, (
                f"the feature {name!r} has {len(levels)} different texts, more than "
                f"{_MOST_LEVELS}: it names rows rather than conditions; leave it out"
            )
        if not levels:
            return None, f"the feature {name!r} has no values"
        return (
            Feature(
                name=name,
                kind="text",
                low=0.0,
                high=0.0,
                typical=str(values.value_counts().sort_index().idxmax()),
                levels=levels,
                has_gaps=bool(column.isna().any()),
            ),
            "",
        )
    if kind == "time":
        stamps = _read_time(column)
        origin = stamps.min()
        values = (stamps - origin).dt.total_seconds().to_numpy(dtype=float) / 86_400
        said = origin.isoformat()
    else:
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        said = ""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None, f"the features [{name!r}] have missing or infinite values only"
    return (
        Feature(
            name=name,
            kind=kind,
            low=float(finite.min()),
            high=float(finite.max()),
            typical=float(np.median(finite)),
            origin=said,
            has_gaps=len(finite) < len(values),
        ),
        "",
    )


def _find_kind(column: pd.Series) -> str:
    """Return `number`, `time`, `text`, or `mixed` for numbers and text in one column."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return "time"
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    known = column.dropna()
    numeric = pd.to_numeric(known, errors="coerce").notna()
    if numeric.all():
        return "number"
    if numeric.any():
        # "1", "2", "A": the names of lots. Numbers with a few "n/a" between them: a broken column.
        return "mixed" if numeric.mean() > 0.5 and known.nunique() > _MOST_LEVELS else "text"
    return "time" if _read_time(known).notna().all() else "text"


def _read_time(column: pd.Series) -> pd.Series:
    """Time stamps without time zone; what is none becomes missing."""
    return parse_times(column).dt.tz_localize(None)


def _encode_text(
    feature: Feature, column: pd.Series, notes: list[list[str]]
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """One column of 0 and 1 per level; where the text is missing; where it is unknown."""
    gap = column.isna().to_numpy(dtype=bool)
    values = column.astype(object).where(~gap, feature.typical).astype(str).to_numpy(dtype=object)
    encoded = np.column_stack([values == level for level in feature.levels]).astype(float)
    unknown = np.asarray(~encoded.any(axis=1))
    for row in np.flatnonzero(unknown):
        notes[row].append(f"{feature.name} {values[row]!r} was not in the training data")
    encoded[unknown, feature.levels.index(str(feature.typical))] = 1.0
    return encoded, gap, unknown


def _encode_number(
    feature: Feature, column: pd.Series, notes: list[list[str]]
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Values with gaps filled; where they are missing; where they are out of range."""
    if feature.kind == "time":
        since = _read_time(column) - pd.Timestamp(feature.origin)
        values = since.dt.total_seconds().to_numpy(dtype=float) / 86_400
    else:
        values = _numbers(column)
    gap = np.asarray(~np.isfinite(values))
    outside = np.asarray(~gap & ~((values >= feature.low) & (values <= feature.high)))
    unit = " days" if feature.kind == "time" else ""
    for row in np.flatnonzero(outside):
        notes[row].append(
            f"{feature.name} {values[row]:g} is not in {feature.low:g}..{feature.high:g}{unit}"
        )
    if gap.any():
        values = np.where(gap, float(feature.typical), values)
    return values[:, None], gap, outside


def _derive_inlet_concentration(
    conditions: pd.DataFrame, features: Sequence[str]
) -> dict[str, pd.Series]:
    """Work `Cto` out from P and To where it is asked for and absent."""
    found = set(conditions.columns)
    if "Cto" not in features or "Cto" in found or not {"P", "To"} <= found:
        return {}
    pressure, temperature = (_numbers(conditions[c]) for c in ("P", "To"))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = inlet_concentration(pressure, temperature)
    return {"Cto": pd.Series(values, index=conditions.index, name="Cto")}


def _numbers(column: pd.Series) -> Array:
    """Values of a column, NaN for what is no number."""
    if column.dtype.kind in "fiu":
        return column.to_numpy(dtype=float)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy(dtype=float, na_value=np.nan)
