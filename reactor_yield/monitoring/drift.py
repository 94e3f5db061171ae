"""Compare a plant's data with those a model was trained on, and name what drifted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import (
    NUMBER,
    PREDICTS,
    SOME_NAMES,
    TABLE,
    TEXT,
    check_arguments,
    optional,
)
from reactor_yield.data.columns import FEATURES
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.drift_report import ColumnDrift, DriftReport
from reactor_yield.monitoring.sensors import find_sensor_faults
from reactor_yield.monitoring.time_axis import read_times, take_out_time
from reactor_yield.monitoring.two_samples import (
    TwoSamples,
    compare,
    compare_shares,
    holm,
    larger_errors,
    missed_share,
    population_stability_index,
)
from reactor_yield.prediction import predict_table
from reactor_yield.tables import numbers, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor_yield.yield_model import YieldModel


Array = NDArray[np.float64]

_MIN_ROWS = 20
_COVERAGE = 0.9
_TOO_GOOD = 0.6
"""Errors below this share of the model's left-out errors are those of its own training rows."""
_FITTED_DISTANCE = 0.15


def detect_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    model: YieldModel | None = None,
    features: Sequence[str] | None = None,
    mode_column: str = "Mode",
    groups: str | None = None,
    time: str | None = None,
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
        Samples, at least 20 rows each, in the order in which they were taken. Rows with a gap are
        left out of that column's tests and counted; a share of gaps that grows, and a sensor that
        is lost or frozen at the end of `current`, is a finding of its own.
    model
        Whose predictions and errors are to be watched. Its errors count as grown when they are
        larger than in the reference **and** its intervals miss more rows than they promise: a
        reference that the model was trained on has errors that are too small.
    features
        Columns to test; by default the model's, or those of the reference reactor. Columns of text
        are compared by their shares.
    mode_column
        Name of the operating mode's column, if there is one.
    groups
        Column whose equal values belong together, such as a lot or a steady hold. What its rows
        have in common counts once, and a new lot is no drift by itself.
    time
        Column of time stamps. What the reference's own trend and seasons say of the current rows
        is then taken out first, and said.
    level
        Chance of any false alarm in the whole report (Holm's correction keeps it). It holds for
        correlated rows too: they count as the number of independent rows that they are worth, and
        where those are too few the column is reported as undecided.

    Raises
    ------
    InvalidConditionsError
        Naming everything unusable at once: columns that are missing, text among numbers, too few
        rows.

    References
    ----------
    Holm (1979), jstor.org/stable/4615733; `two_samples.compare` names the tests.
    """
    check_arguments(
        reference=(reference, TABLE),
        current=(current, TABLE),
        model=(model, optional(PREDICTS)),
        features=(features, optional(SOME_NAMES)),
        mode_column=(mode_column, TEXT),
        groups=(groups, optional(TEXT)),
        time=(time, optional(TEXT)),
        level=(level, NUMBER),
    )
    if features is None:
        features = FEATURES if model is None else model.features
    read = tuple(dict.fromkeys([*features, *(model.features if model is not None else ())]))
    kinds = _check(
        reference, current, tuple(features), None if model is None else model.target, level
    )
    old, now = (_readable(t, kinds) for t in (reference, current))
    if model is not None:
        old, now = (
            _with_predictions(t, model, raw) for t, raw in ((old, reference), (now, current))
        )
    labels = _mode_labels(reference, current, mode_column)
    days = None
    if time is not None:
        days = tuple(
            read_times(t, time, what=f"the {n} data")
            for t, n in ((reference, "reference"), (current, "current"))
        )
    if groups is not None:
        old, now, labels, days = _join_groups(reference, current, groups, old, now, labels, days)
    notes: list[str] = []
    raw = _test_all(old, now, tuple(features), kinds, labels, days, model, notes)
    shares: dict[str, tuple[float, float]] = {}
    p_values = [r["p_value"] for r in raw]
    if labels is not None:
        shares, test = _test_modes(labels, notes)
        p_values.append(test.p_value)
    adjusted = holm(p_values)
    columns = tuple(
        ColumnDrift(**r, adjusted_p_value=p, drifted=p < level or (r["far"] and not r["decided"]))
        for r, p in zip(raw, adjusted, strict=False)
    )
    mode_p_value = adjusted[-1] if labels is not None else None
    measured = [c for c in read if c in reference.columns and _share_of_numbers(reference[c]) > 0]
    faults = find_sensor_faults(current, measured, reference=reference)
    gaps, gap_causes = _count_gaps(reference, current, read, level, {f.column for f in faults})
    notes += [_describe_gaps(name, pair) for name, pair in gaps.items() if any(pair)]
    return DriftReport(
        level=level,
        n_reference=len(reference),
        n_current=len(current),
        columns=columns,
        mode_shares=shares,
        mode_p_value=mode_p_value,
        gaps=gaps,
        notes=tuple(dict.fromkeys(notes)),
        causes=(
            *(f.message for f in faults),
            *gap_causes,
            *_find_causes(columns, shares, mode_p_value, level),
        ),
    )


def _check(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    features: Sequence[str],
    target: str | None,
    level: float,
) -> dict[str, str]:
    """Whether each column is of numbers or of text; all that is unusable is reported at once."""
    problems = []
    if not (isinstance(level, int | float) and 0 < level < 1):
        problems.append(f"level must be between 0 and 1, got {level}")
    if not features:
        problems.append("no features to compare")
    tables = {"reference": reference, "current": current}
    for name, table in tables.items():
        missing = [f for f in features if f not in table.columns]
        if missing:
            problems.append(f"the {name} data lack {missing}; found {list(table.columns)}")
        if len(table) < _MIN_ROWS:
            problems.append(f"the {name} data have {len(table)} rows; {_MIN_ROWS} are needed")
    texts = {
        n: [f for f in features if f in t.columns and _holds_text(t[f])] for n, t in tables.items()
    }
    # Text and nothing else on both sides is a category, such as a lot.
    told = {
        c
        for c in set(texts["reference"]) & set(texts["current"])
        if all(_share_of_numbers(t[c]) == 0 and t[c].nunique() > 1 for t in tables.values())
    }
    for name, columns in texts.items():
        bad = [c for c in columns if c not in told]
        if bad:
            first = _first_text(tables[name], bad[0])
            problems.append(f"the {name} data have missing values or text in {bad}; {first}")
    kinds = {f: "text" if f in told else "number" for f in features}
    for name, table in tables.items():
        for f in features:
            if kinds[f] == "number" and f in table.columns and f not in texts[name]:
                n = int(np.isfinite(pd.to_numeric(table[f], errors="coerce")).sum())
                if n < _MIN_ROWS <= len(table) and name == "reference":
                    problems.append(
                        f"the {name} data have {n} readings of {f!r}; {_MIN_ROWS} are needed"
                    )
        if target is None or target in features or target not in table.columns:
            continue
        if _holds_text(table[target]):
            try:
                numbers(table, target, what=f"the {name} data")
            except InvalidConditionsError as problem:
                problems += problem.problems
    if problems:
        raise InvalidConditionsError(*problems)
    return kinds


def _holds_text(values: pd.Series) -> bool:
    found = pd.to_numeric(values, errors="coerce")
    return bool((found.isna() & values.notna()).any())


def _first_text(table: pd.DataFrame, column: str) -> str:
    found = pd.to_numeric(table[column], errors="coerce")
    first = int(np.flatnonzero((found.isna() & table[column].notna()).to_numpy())[0])
    return f"first at {place(table, first)}: {str(table[column].iloc[first])[:60]!r}"


def _share_of_numbers(values: pd.Series) -> float:
    known = values.dropna()
    return float(pd.to_numeric(known, errors="coerce").notna().mean()) if len(known) else 0.0


def _readable(table: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Table with its columns as numbers or text, by position."""
    columns = {
        name: (
            pd.to_numeric(table[name], errors="coerce")
            .astype(float)
            .replace([math.inf, -math.inf], math.nan)
            if kind == "number"
            else table[name].astype(object)
        ).to_numpy()
        for name, kind in kinds.items()
    }
    return pd.DataFrame(columns)


def _with_predictions(table: pd.DataFrame, model: YieldModel, raw: pd.DataFrame) -> pd.DataFrame:
    """Add the model's prediction, and with true values its error and whether its interval held."""
    predicted = predict_table(model, raw, coverage=_COVERAGE)
    value = predicted[model.target].to_numpy(dtype=float)
    added: dict[str, Any] = {" prediction": value}
    if model.target in raw.columns:
        truth = pd.to_numeric(raw[model.target], errors="coerce").to_numpy(dtype=float)
        added[" error"] = np.abs(value - truth)
        lower, upper = (predicted[c].to_numpy(dtype=float) for c in ("lower", "upper"))
        added[" inside"] = (truth >= lower) & (truth <= upper)
    return table.assign(**added)


def _mode_labels(
    reference: pd.DataFrame, current: pd.DataFrame, mode_column: str
) -> tuple[pd.Series, pd.Series] | None:
    """Mode of each row as text, `None` in a gap; `None` where a table has no modes at all."""
    if mode_column not in reference.columns or mode_column not in current.columns:
        return None
    old, now = (t[mode_column].map(_label).reset_index(drop=True) for t in (reference, current))
    return (old, now) if old.notna().any() and now.notna().any() else None


def _join_groups(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    groups: str,
    old: pd.DataFrame,
    now: pd.DataFrame,
    labels: tuple[pd.Series, pd.Series] | None,
    days: tuple[pd.Series, ...] | None,
) -> Any:
    """Put the rows of a group one after the other: what they share is then a correlation."""
    tables = {"reference": reference, "current": current}
    missing = [name for name, table in tables.items() if groups not in table.columns]
    if missing:
        message = f"groups: the {' and the '.join(missing)} data have no column {groups!r}"
        raise InvalidConditionsError(message)
    orders = [
        np.argsort(pd.factorize(t[groups], use_na_sentinel=False)[0], kind="stable")
        for t in tables.values()
    ]

    def sort(side: Any, order: Any) -> Any:
        return side.iloc[order].reset_index(drop=True)

    return (
        sort(old, orders[0]),
        sort(now, orders[1]),
        None if labels is None else tuple(map(sort, labels, orders)),
        None if days is None else tuple(map(sort, days, orders)),
    )


def _label(mode: object) -> str | None:
    """`1`, `1.0` and `"1"` are one mode."""
    if mode is None or mode is pd.NA or mode is pd.NaT or mode != mode:
        return None
    try:
        return f"{float(str(mode)):g}"
    except ValueError:
        return str(mode).strip()


def _test_all(
    old: pd.DataFrame,
    now: pd.DataFrame,
    features: Sequence[str],
    kinds: Mapping[str, str],
    labels: tuple[pd.Series, pd.Series] | None,
    days: tuple[pd.Series, ...] | None,
    model: YieldModel | None,
    notes: list[str],
) -> list[dict[str, Any]]:
    """Every test of the report, as the fields of `ColumnDrift`."""
    everything = (np.ones(len(old), dtype=bool), np.ones(len(now), dtype=bool))
    groups = {"all": everything}
    if labels is not None:
        for mode in sorted({*labels[0].dropna(), *labels[1].dropna()}):
            rows = tuple((side == mode).to_numpy(dtype=bool) for side in labels)
            if min(r.sum() for r in rows) >= _MIN_ROWS:
                groups[f"mode {mode}"] = (rows[0], rows[1])
    predictions = _predictions_to_test(old, now, model)
    fitted = _is_training_data(old, model, notes)
    found = []
    for group, rows in groups.items():
        within = labels if group == "all" else None
        for name in (*features, *predictions):
            sides = _known(old, now, rows, within, name)
            if min(len(s) for s in sides[:2]) < _MIN_ROWS:
                if group == "all":
                    counts = " and ".join(str(len(s)) for s in sides[:2])
                    notes.append(f"{name.strip()} not tested: {counts} readings, 20 are needed")
                continue
            if kinds.get(name) == "text":
                found.append(_compare_text(name, group, sides[0], sides[1]))
                continue
            values = (sides[0].astype(float), sides[1].astype(float))
            if name == " error":
                found.append(_compare_errors(group, values, old, now, rows, model))
                continue
            entry = _compare_numbers(name, group, values, sides, rows, days, old, now, notes)
            if name == " prediction" and fitted and entry["statistic"] < _FITTED_DISTANCE:
                entry |= {"p_value": 1.0, "far": False}
            found.append(entry)
    return found


def _predictions_to_test(
    old: pd.DataFrame, now: pd.DataFrame, model: YieldModel | None
) -> list[str]:
    """Predictions, and errors where both sides have true values."""
    if model is None:
        return []
    both = " error" in old.columns and " error" in now.columns
    return [" prediction", *([" error"] if both else [])]


def _is_training_data(old: pd.DataFrame, model: YieldModel | None, notes: list[str]) -> bool:
    """Whether the reference's errors are those of rows that the model was fitted to."""
    if model is None or " error" not in old.columns or not old[" error"].notna().any():
        return False
    usual = float(old[" error"].mean())
    if usual >= _TOO_GOOD * model.report.calibration_error:
        return False
    notes.append(
        f"the reference looks like the model's own training rows (error {usual:.3g}, "
        f"{model.report.calibration_error:.3g} on rows left out): predictions fitted to them are "
        f"spread otherwise, and count as drifted from a distance of {_FITTED_DISTANCE} on; rows "
        "that the model was not trained on tell more"
    )
    return True


def _known(
    old: pd.DataFrame,
    now: pd.DataFrame,
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    labels: tuple[pd.Series, pd.Series] | None,
    name: str,
) -> tuple[Any, Any, Any]:
    """Both sides of a column without gaps, and the modes of their rows."""
    masks = [r & t[name].notna().to_numpy() for t, r in ((old, rows[0]), (now, rows[1]))]
    values = [t[name].to_numpy()[m] for t, m in ((old, masks[0]), (now, masks[1]))]
    modes = None
    if labels is not None:
        modes = tuple(s.fillna("").to_numpy()[m] for s, m in zip(labels, masks, strict=True))
    return values[0], values[1], modes


def _compare_numbers(
    name: str,
    group: str,
    values: tuple[Array, Array],
    sides: tuple[Any, Any, Any],
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    days: tuple[pd.Series, ...] | None,
    old: pd.DataFrame,
    now: pd.DataFrame,
    notes: list[str],
) -> dict[str, Any]:
    """Test one column, after what the reference's trend and seasons say of it."""
    test = compare(*values, groups=sides[2])
    explained = ""
    if days is not None:
        known = [r & t[name].notna().to_numpy() for t, r in ((old, rows[0]), (now, rows[1]))]
        times = tuple(d.to_numpy()[k] for d, k in zip(days, known, strict=True))
        taken = take_out_time((times[0], times[1]), values)
        if taken is not None:
            explained, *rest = taken
            plain = test
            test = compare(rest[0], rest[1], groups=sides[2])
            if group == "all" and plain.statistic > 1.5 * test.statistic:
                notes.append(
                    f"{name.strip()}: mean {values[0].mean():.4g} -> {values[1].mean():.4g} along "
                    f"the reference's own {explained}; compared without it"
                )
    return _fields(name, group, test, values, explained)


def _compare_errors(
    group: str,
    values: tuple[Array, Array],
    old: pd.DataFrame,
    now: pd.DataFrame,
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    model: YieldModel | None,
) -> dict[str, Any]:
    """Errors drift when they grew against the reference and intervals miss more than promised."""
    known = rows[1] & now[" error"].notna().to_numpy()
    inside = now[" inside"].to_numpy(dtype=bool)[known]
    n_calibration = 1 if model is None else model.report.n_rows // 2
    p_value = max(
        larger_errors(*values),
        missed_share(inside, coverage=_COVERAGE, n_calibration=n_calibration),
    )
    fields = _fields(" error", group, compare(*values), values, "")
    return fields | {"p_value": p_value, "far": False}


def _compare_text(name: str, group: str, old: Any, now: Any) -> dict[str, Any]:
    test = compare_shares(pd.Series(old).astype(str), pd.Series(now).astype(str))
    shares = [pd.Series(x).astype(str).value_counts(normalize=True) for x in (old, now)]
    p, q = (s.add(1e-4) for s in shares[0].align(shares[1], fill_value=0.0))
    nothing = np.zeros(1)
    return _fields(name, group, test, (nothing, nothing), "") | {
        "psi": float(((q - p) * np.log(q / p)).sum()),
        "reference_mean": None,
        "current_mean": None,
        "reference_spread": None,
        "current_spread": None,
    }


def _fields(
    name: str, group: str, test: TwoSamples, values: tuple[Array, Array], explained: str
) -> dict[str, Any]:
    old, now = values
    return {
        "column": name.strip(),
        "group": group,
        "statistic": test.statistic,
        "p_value": test.p_value,
        "psi": population_stability_index(old, now),
        "reference_mean": float(old.mean()),
        "current_mean": float(now.mean()),
        "reference_spread": float(old.std()),
        "current_spread": float(now.std()),
        "independent_rows": test.independent_rows,
        "decided": test.decided,
        "far": test.far,
        "explained": explained,
    }


def _test_modes(
    labels: tuple[pd.Series, pd.Series], notes: list[str]
) -> tuple[dict[str, tuple[float, float]], TwoSamples]:
    """Shares of the modes, and whether they changed; rows without a mode are counted."""
    for side, name in zip(labels, ("reference", "current"), strict=True):
        unknown = int(side.isna().sum())
        if unknown:
            notes.append(f"{unknown} {name} rows have no mode; they are in no mode's tests")
    old, now = (side.dropna().reset_index(drop=True) for side in labels)
    shares = {
        f"mode {mode}": (float((old == mode).mean()), float((now == mode).mean()))
        for mode in sorted({*old, *now})
    }
    # Each mode in one run on a side: that table was sorted by mode, and its order says nothing.
    sorted_ = all((s != s.shift()).sum() == s.nunique() for s in (old, now))
    test = compare_shares(old, now, in_order=not sorted_)
    if not test.decided:
        notes.append("mix of modes undecided: the modes change too seldom for a level to be stated")
    return shares, test


def _count_gaps(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    read: Sequence[str],
    level: float,
    faulty: set[str],
) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Gaps per column on both sides, and the columns where their share grew."""
    gaps, causes = {}, []
    for name in read:
        if name not in reference.columns or name not in current.columns:
            continue
        sides = [_gaps(t[name]) for t in (reference, current)]
        gaps[name] = (int(sides[0].sum()), int(sides[1].sum()))
        old, now = (float(s.mean()) for s in sides)
        if name in faulty or not now > old + 0.02:
            continue
        test = compare_shares(*(pd.Series(np.where(s, "gap", "reading")) for s in sides))
        if test.p_value < level / len(read):
            causes.append(f"{name}: gaps in {100 * old:.0f} % -> {100 * now:.0f} % of the rows")
    return gaps, causes


def _gaps(values: pd.Series) -> NDArray[np.bool_]:
    """Return which rows have no reading: none at all, or one without end."""
    endless = pd.to_numeric(values, errors="coerce").isin([math.inf, -math.inf])
    return (values.isna() | endless).to_numpy()


def _describe_gaps(name: str, pair: tuple[int, int]) -> str:
    return (
        f"{name}: {pair[0]} reference and {pair[1]} current rows have no reading and are left out"
    )


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
    causes += [c.describe() for c in columns if c.drifted and c.group != "all"]
    for c in columns:
        if not c.drifted or c.group != "all" or c.column in within:
            continue
        why = (
            "; no mode by itself shows it, so the changed mix of modes explains it" if mixed else ""
        )
        causes.append(c.describe() + why)
    return tuple(causes)
