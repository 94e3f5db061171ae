"""Data sets: drawn from the reference recipe, checked, split, written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reactor_yield.data.columns import COLUMNS, FEATURES, TARGET, UNIT_RELATIVES, Column
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.tube import REFERENCE, Kinetics, inlet_concentration, simulate_reactor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLD_TOLERANCES = (1e-3, 1e-6)
"""Relative and absolute integration tolerance of the old study, used for `frozen` data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingMode:
    """How one mode's conditions are drawn: normal(mean, fraction * mean), each independently.

    Parameters
    ----------
    mean
        Per column Fao, Fbo, P (atm), To (K), m, Ta (K), in the order of drawing.
    fraction
        Standard deviation over mean, per column.
    """

    mean: Mapping[str, float]
    fraction: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", MappingProxyType(dict(self.mean)))
        object.__setattr__(self, "fraction", MappingProxyType(dict(self.fraction)))
        if list(self.mean) != list(self.fraction):
            message = (
                "an operating mode's mean and fraction need the same columns in the same order, "
                f"got {list(self.mean)} and {list(self.fraction)}"
            )
            raise InvalidConditionsError(message)

    def spread(self) -> dict[str, float]:
        """Return the standard deviation per column, in the column's unit."""
        return {name: self.fraction[name] * mean for name, mean in self.mean.items()}


MODE_1 = OperatingMode(
    mean={"Fao": 5, "Fbo": 10, "P": 4.92, "To": 300, "m": 10, "Ta": 325},
    fraction={"Fao": 0.1, "Fbo": 0.1, "P": 0.1, "To": 0.03, "m": 0.2, "Ta": 0.03},
)
MODE_2 = OperatingMode(
    mean={"Fao": 3, "Fbo": 4, "P": 10, "To": 500, "m": 5, "Ta": 325},
    fraction={"Fao": 0.05, "Fbo": 0.05, "P": 0.05, "To": 0.015, "m": 0.1, "Ta": 0.015},
)
_DRIFTING = ("Fao", "Fbo", "P", "To")
_SHARES = {1: 0.6, 2: 0.3, 3: 0.1}
_NEW_SHARES = {1: 0.5, 2: 0.5}


def generate_dataset(
    n_samples: int = 10_000,
    *,
    seed: int = 0,
    new: bool = False,
    frozen: bool = False,
    kinetics: Kinetics = REFERENCE,
    progress: bool = False,
) -> pd.DataFrame:
    """Draw conditions as the old study did, and simulate them.

    60 % mode 1, 30 % mode 2, 10 % noise (mode 3: uniform between the two means, Ta as in mode 1).
    The generator is reset to `seed` before each mode, as it was there: the modes' rows are
    therefore the same standard normal numbers scaled, and `new` data of the same seed repeat them
    too. Use another seed for data that are independent.

    Parameters
    ----------
    n_samples
        Rows. The old study used 10,000, and 5,000 for new data.
    seed
        Of NumPy's legacy generator.
    new
        The drifted plant: half mode 1 with means and fractions of Fao, Fbo, P, To times 0.9, half
        mode 2 with them times 1.1; m and Ta as before.
    frozen
        Repeat the old data set's mistake and its integration tolerances (see `simulate_reactor`):
        with seed 0 and 10,000 rows this is the old study's data set.
    kinetics
        The reactor; its feeds must be A and B.
    progress
        Show a progress bar.

    Returns
    -------
    (n_samples, 20) DataFrame
        `reactor_yield.data.columns.COLUMNS`, then `status` and `reason`.
    """
    if n_samples < 1:
        message = f"n_samples must be at least 1, got {n_samples}"
        raise InvalidConditionsError(message)
    conditions = draw_conditions(n_samples, seed=seed, new=new)
    rtol, atol = OLD_TOLERANCES if frozen else (1e-8, 1e-10)
    blocks = np.array_split(np.arange(n_samples), max(1, n_samples // 2_500))
    results = pd.concat(
        simulate_reactor(conditions.iloc[rows], kinetics, frozen=frozen, rtol=rtol, atol=atol)
        for rows in tqdm(blocks, desc="simulating", unit="block", disable=not progress)
    )
    table = conditions.join(results.drop(columns="Cto"))
    return table[[*(c.name for c in COLUMNS), "status", "reason"]]


def draw_conditions(n_samples: int, *, seed: int = 0, new: bool = False) -> pd.DataFrame:
    """Conditions of `generate_dataset` alone: Mode, Fao, Fbo, P, To, Cto, m, Ta."""
    shares = _NEW_SHARES if new else _SHARES
    counts = {mode: round(share * n_samples) for mode, share in shares.items()}
    last = max(counts)
    counts[last] = n_samples - sum(n for mode, n in counts.items() if mode != last)
    modes = {1: _drift(MODE_1, 0.9), 2: _drift(MODE_2, 1.1)} if new else {1: MODE_1, 2: MODE_2}
    frames = []
    for mode, n_rows in counts.items():
        # The legacy generator is part of the recipe: only it repeats the old rows.
        rng = np.random.RandomState(seed)
        values = _draw_mode(modes[mode], n_rows, rng) if mode in modes else _draw_noise(n_rows, rng)
        frame = pd.DataFrame(values, columns=list(MODE_1.mean))
        frame.insert(0, "Mode", float(mode))
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table.insert(5, "Cto", inlet_concentration(table["P"], table["To"]))
    return table


def _drift(mode: OperatingMode, factor: float) -> OperatingMode:
    return OperatingMode(
        mean={c: v * factor if c in _DRIFTING else v for c, v in mode.mean.items()},
        fraction={c: v * factor if c in _DRIFTING else v for c, v in mode.fraction.items()},
    )


def _draw_mode(mode: OperatingMode, n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    normal = rng.standard_normal((n_rows, len(mode.mean)))
    return np.asarray(list(mode.mean.values()) + normal * list(mode.spread().values()))


def _draw_noise(n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    """Uniform between the two modes' means, row by row since Ta's normal draw comes in between."""
    bounds = [sorted((MODE_1.mean[c], MODE_2.mean[c])) for c in MODE_1.mean if c != "Ta"]
    mean, spread = MODE_1.mean["Ta"], MODE_1.spread()["Ta"]
    return np.array(
        [
            [*(rng.uniform(low, high) for low, high in bounds), rng.normal(mean, spread)]
            for _ in range(n_rows)
        ]
    ).reshape(n_rows, len(MODE_1.mean))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProblem:
    """One thing wrong with a data set.

    Attributes
    ----------
    kind
        `missing_column`, `not_numeric`, `missing_values`, `wrong_unit`, `out_of_range`,
        `duplicates`, `nonphysical` or `empty`.
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
    """Text, gaps, another unit, or single values out of range."""
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
    return problems


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Training and test rows, and how their features were standardised (empty when they were not).

    Attributes
    ----------
    train, test
        Rows keep the labels of the data they come from.
    center, scale
        Per feature, the training rows' mean and standard deviation that were taken out.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    center: Mapping[str, float]
    scale: Mapping[str, float]

    def write(self, folder: Path | str) -> None:
        """Write `train.csv`, `test.csv` and `scaling.json` into a folder, created if needed."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        self.train.to_csv(target / "train.csv", index=False)
        self.test.to_csv(target / "test.csv", index=False)
        scaling = {"center": dict(self.center), "scale": dict(self.scale)}
        (target / "scaling.json").write_text(json.dumps(scaling, indent=2) + "\n", encoding="utf-8")


def split_dataset(
    data: pd.DataFrame,
    *,
    test_size: float = 0.4,
    seed: int = 42,
    standardise: bool = False,
    features: Sequence[str] = FEATURES,
) -> Split:
    """Split rows at random, 60/40 as the old study did.

    The rows are those of scikit-learn's `train_test_split` with the same size and seed.
    Standardising is not needed by any model here; it is for other tools, and uses the training
    rows alone.
    """
    if not 0 < test_size < 1:
        message = f"test_size must be between 0 and 1, got {test_size}"
        raise InvalidConditionsError(message)
    n_test = int(np.ceil(test_size * len(data)))
    if not 0 < n_test < len(data):
        message = f"{len(data)} rows cannot be split into training and test rows"
        raise InvalidConditionsError(message)
    order = np.random.RandomState(seed).permutation(len(data))
    train, test = data.iloc[order[n_test:]], data.iloc[order[:n_test]]
    if not standardise:
        return Split(train=train, test=test, center={}, scale={})
    missing = [c for c in features if c not in data.columns]
    if missing:
        message = f"the data lack the features {missing}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    names = list(features)
    center, scale = train[names].mean(), train[names].std(ddof=0)
    constant = [c for c in names if not scale[c] > 0]
    if constant:
        message = f"the columns {constant} are constant and cannot be standardised"
        raise InvalidConditionsError(message)
    return Split(
        train=train.assign(**{c: (train[c] - center[c]) / scale[c] for c in names}),
        test=test.assign(**{c: (test[c] - center[c]) / scale[c] for c in names}),
        center=center.to_dict(),
        scale=scale.to_dict(),
    )
