"""Compare a plant's data with those a model was trained on, and name what drifted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from reactor_yield.data.columns import FEATURES
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor_yield.yield_model import YieldModel

Array = NDArray[np.float64]

_MIN_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How one column differs between two data sets.

    Attributes
    ----------
    column
        Feature, or `prediction`, or `error`.
    group
        `all`, or one operating mode such as `mode 1`.
    statistic
        Largest distance between the two distribution functions (Kolmogorov-Smirnov).
    p_value
        Of the more telling of two tests, location-and-shape (Kolmogorov-Smirnov) and spread
        (Brown-Forsythe), doubled for having looked twice; of `error`, one-sided Mann-Whitney.
    adjusted_p_value
        After Holm's correction for all columns and groups of the report.
    psi
        Population stability index over ten bins of equal reference share; above 0.2 is large by
        custom.
    drifted
        Whether the adjusted p-value is below the report's level.
    reference_mean, current_mean, reference_spread, current_spread
        What moved, in the column's unit.
    """

    column: str
    group: str
    statistic: float
    p_value: float
    adjusted_p_value: float
    psi: float
    drifted: bool
    reference_mean: float
    current_mean: float
    reference_spread: float
    current_spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What `detect_drift` found.

    Attributes
    ----------
    level
        Chance of any false alarm in the whole report, when nothing drifted.
    n_reference, n_current
        Rows compared.
    columns
        Every test made.
    mode_shares
        Per mode its share in the reference and in the current data; empty without a mode column.
    mode_p_value
        Adjusted p-value that the shares are the same; `None` without a mode column.
    causes
        What drifted and why, one sentence each; empty when nothing did.
    """

    level: float
    n_reference: int
    n_current: int
    columns: tuple[ColumnDrift, ...]
    mode_shares: Mapping[str, tuple[float, float]]
    mode_p_value: float | None
    causes: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether anything drifted."""
        return bool(self.causes)

    def drifted_columns(self, group: str = "all") -> tuple[str, ...]:
        """Columns that drifted, over all rows or within one mode."""
        return tuple(c.column for c in self.columns if c.drifted and c.group == group)

    def to_frame(self) -> pd.DataFrame:
        """All tests, one per row."""
        return pd.DataFrame([asdict(c) for c in self.columns])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, as written to JSON."""
        return asdict(self) | {"drifted": self.drifted}

    def to_json(self, path: Path | str) -> None:
        """Write the report as JSON."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


def detect_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    model: YieldModel | None = None,
    features: Sequence[str] = FEATURES,
    mode_column: str = "Mode",
    level: float = 0.01,
) -> DriftReport:
    """Compare current data with the reference a model was trained on.

    Every feature is tested over all rows; where both tables have a mode column also within each
    mode, since a changed mix of modes moves every column of the mixture without any mode having
    changed. With a `model`, its predictions are tested too, and where `current` has the true values
    its absolute errors (larger ones only).

    Parameters
    ----------
    reference, current
        Samples, at least 20 rows each. For performance drift the reference must not be the model's
        own training rows, whose errors are too small.
    model
        Whose predictions and errors are to be watched.
    features
        Columns to test.
    mode_column
        Name of the operating mode's column, if there is one.
    level
        Chance of any false alarm in the whole report (Holm's correction keeps it).

    References
    ----------
    Holm (1979), jstor.org/stable/4615733; Brown & Forsythe (1974),
    doi:10.1080/01621459.1974.10482955.
    """
    _check(reference, current, features, level)
    groups = {"all": (reference, current)}
    shared = mode_column in reference.columns and mode_column in current.columns
    shares: dict[str, tuple[float, float]] = {}
    raw: list[dict[str, Any]] = []
    if shared:
        for mode in sorted(set(reference[mode_column]) | set(current[mode_column])):
            old = reference[reference[mode_column] == mode]
            now = current[current[mode_column] == mode]
            shares[_mode_name(mode)] = (len(old) / len(reference), len(now) / len(current))
            if min(len(old), len(now)) >= _MIN_ROWS:
                groups[_mode_name(mode)] = (old, now)
    for group, (old, now) in groups.items():
        raw += [
            _compare(f, group, old[f].to_numpy(float), now[f].to_numpy(float)) for f in features
        ]
        if model is not None:
            raw += _compare_model(model, group, old, now)
    p_values = [r["p_value"] for r in raw]
    if shared:
        p_values.append(_compare_shares(reference[mode_column], current[mode_column]))
    adjusted = _holm(p_values)
    columns = tuple(
        ColumnDrift(**r, adjusted_p_value=p, drifted=p < level)
        for r, p in zip(raw, adjusted, strict=False)
    )
    mode_p_value = adjusted[-1] if shared else None
    return DriftReport(
        level=level,
        n_reference=len(reference),
        n_current=len(current),
        columns=columns,
        mode_shares=shares,
        mode_p_value=mode_p_value,
        causes=_find_causes(columns, shares, mode_p_value, level),
    )


def population_stability_index(reference: Array, current: Array, *, n_bins: int = 10) -> float:
    """Sum of (q - p) ln(q / p) over bins that hold equal shares p of the reference.

    Half a row is added to every bin, so that an empty one gives a large index and not an infinite
    one.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, n_bins + 1)[1:-1]))
    n = len(edges) + 1
    old = np.bincount(np.searchsorted(edges, reference, side="right"), minlength=n) + 0.5
    now = np.bincount(np.searchsorted(edges, current, side="right"), minlength=n) + 0.5
    p, q = old / old.sum(), now / now.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def _check(
    reference: pd.DataFrame, current: pd.DataFrame, features: Sequence[str], level: float
) -> None:
    problems = []
    if not 0 < level < 1:
        problems.append(f"level must be between 0 and 1, got {level}")
    for name, table in (("reference", reference), ("current", current)):
        missing = [f for f in features if f not in table.columns]
        if missing:
            problems.append(f"the {name} data lack {missing}; found {list(table.columns)}")
        if len(table) < _MIN_ROWS:
            problems.append(f"the {name} data have {len(table)} rows; {_MIN_ROWS} are needed")
        gaps = [
            f
            for f in features
            if f in table.columns
            and not np.isfinite(pd.to_numeric(table[f], errors="coerce")).all()
        ]
        if gaps:
            problems.append(f"the {name} data have missing values or text in {gaps}")
    if problems:
        raise InvalidConditionsError(*problems)


def _mode_name(mode: object) -> str:
    return f"mode {mode:g}" if isinstance(mode, int | float) else f"mode {mode}"


def _compare(column: str, group: str, old: Array, now: Array) -> dict[str, Any]:
    test = stats.ks_2samp(old, now, method="asymp")
    spread = 1.0
    if np.ptp(old) > 0 or np.ptp(now) > 0:
        spread = float(stats.levene(old, now, center="median").pvalue)
    return {
        "column": column,
        "group": group,
        "statistic": float(test.statistic),
        "p_value": min(1.0, 2 * min(float(test.pvalue), spread)),
        "psi": population_stability_index(old, now),
        "reference_mean": float(old.mean()),
        "current_mean": float(now.mean()),
        "reference_spread": float(old.std()),
        "current_spread": float(now.std()),
    }


def _compare_model(
    model: YieldModel, group: str, old: pd.DataFrame, now: pd.DataFrame
) -> list[dict[str, Any]]:
    """Predictions and, with labels, absolute errors (only larger ones are a drift)."""
    predicted = [model.predict(t)[model.target].to_numpy(float) for t in (old, now)]
    rows = [_compare("prediction", group, *predicted)]
    if model.target in old.columns and model.target in now.columns:
        pairs = zip(predicted, (old, now), strict=True)
        errors = [np.abs(p - t[model.target].to_numpy(float)) for p, t in pairs]
        errors = [e[np.isfinite(e)] for e in errors]
        if min(map(len, errors)) >= _MIN_ROWS:
            found = _compare("error", group, *errors)
            larger = stats.mannwhitneyu(errors[1], errors[0], alternative="greater")
            rows.append(found | {"p_value": float(larger.pvalue)})
    return rows


def _compare_shares(old: pd.Series, now: pd.Series) -> float:
    modes = sorted(set(old) | set(now))
    table = np.array([[int((t == mode).sum()) for mode in modes] for t in (old, now)])
    if len(modes) == 1:
        return 1.0
    return float(stats.chi2_contingency(table).pvalue)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any false rejection stays below the level used."""
    order = np.argsort(p_values)
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def _find_causes(
    columns: Sequence[ColumnDrift],
    shares: Mapping[str, tuple[float, float]],
    mode_p_value: float | None,
    level: float,
) -> tuple[str, ...]:
    """Say what moved: the mix of modes, columns within a mode, predictions, errors."""
    causes = []
    mixed = mode_p_value is not None and mode_p_value < level
    if mixed:
        told = ", ".join(f"{m} {100 * a:.0f} % -> {100 * b:.0f} %" for m, (a, b) in shares.items())
        causes.append(f"the mix of operating modes changed: {told}")
    within = {c.column for c in columns if c.drifted and c.group != "all"}
    causes += [_describe(c) for c in columns if c.drifted and c.group != "all"]
    for c in columns:
        if not c.drifted or c.group != "all" or c.column in within:
            continue
        why = (
            "; no mode by itself shows it, so the changed mix of modes explains it" if mixed else ""
        )
        causes.append(_describe(c) + why)
    return tuple(causes)


def _describe(c: ColumnDrift) -> str:
    where = "" if c.group == "all" else f" within {c.group}"
    return (
        f"{c.column}{where}: mean {c.reference_mean:.4g} -> {c.current_mean:.4g}, spread "
        f"{c.reference_spread:.3g} -> {c.current_spread:.3g} (distance {c.statistic:.2f}, "
        f"PSI {c.psi:.2f})"
    )
