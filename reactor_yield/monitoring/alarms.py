"""Low-yield alarm: is the predicted yield below target by more than the model's error, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reactor_yield.arguments import (
    CONDITIONS,
    NAMES,
    NUMBER,
    PREDICTS,
    SHARE,
    TABLE,
    check_arguments,
    optional,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.sensors import SensorFault, find_sensor_faults
from reactor_yield.monitoring.shapley import ShapleyPlan, plan_shapley
from reactor_yield.prediction import predict_table
from reactor_yield.tables import Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reactor_yield.yield_model import YieldModel


_BLOCK = 20_000
"""Mixed conditions predicted at once; bounds the memory."""
_COLUMNS = ["row", "rank", "condition", "baseline", "current", "change", "effect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LowYieldAlarms:
    """What `low_yield_alarm` found.

    Attributes
    ----------
    target
        Yield that should be reached.
    baseline
        Conditions that the current ones are compared with.
    rows : DataFrame, indexed like the conditions
        `alarm`; `judged` (whether there is a prediction with an interval); `predicted`, `lower`,
        `upper`; `shortfall` (target minus the interval's upper end, positive where the alarm is
        raised); `outside` (what is beyond the model's training range, or why a row is not judged).
    causes : DataFrame
        For each row in alarm, conditions from the one that explains most: `row`, `rank`,
        `condition`, `baseline`, `current`, `change` and `effect` (its share of predicted minus
        baseline yield; the effects of a row add up to that difference). One-hot columns of one
        category are one condition, named with a star, such as `lot_*`.
    sensors
        Sensors lost or frozen at the end of the conditions.
    """

    target: float
    baseline: Mapping[str, Any]
    rows: pd.DataFrame
    causes: pd.DataFrame
    sensors: tuple[SensorFault, ...]

    @property
    def n_alarms(self) -> int:
        """Rows in alarm."""
        return int(self.rows["alarm"].sum())

    @property
    def n_judged(self) -> int:
        """Rows that could be judged."""
        return int(self.rows["judged"].sum())


def low_yield_alarm(
    model: YieldModel,
    conditions: pd.DataFrame,
    *,
    target: float | None = None,
    baseline: Mapping[str, float] | pd.DataFrame | None = None,
    coverage: float = 0.9,
    set_points: Collection[str] = (),
) -> LowYieldAlarms:
    """Raise an alarm where the yield is below target by more than the model's error.

    Parameters
    ----------
    model
        From `fit_yield_model`.
    conditions : (n, ...) DataFrame
        Current operating conditions, in order of time.
    target
        Yield that should be reached; by default what the model predicts for the baseline.
    baseline
        Good operation: one set of conditions, or a table whose mean (of text: most frequent value)
        is taken; by default the medians of the model's training data.
    coverage
        Of the interval whose upper end must stay above the target.
    set_points
        Conditions that may stand still for long without being a frozen sensor.

    Raises
    ------
    InvalidConditionsError
        When a condition is missing altogether, or target or baseline are no numbers.

    Notes
    -----
    Causes are Shapley values between the baseline and the current conditions; see
    `shapley.plan_shapley`. `Cto` is no condition of its own where P and To are: it follows them.
    """
    check_arguments(
        model=(model, PREDICTS),
        conditions=(conditions, TABLE),
        target=(target, optional(NUMBER)),
        baseline=(baseline, optional(CONDITIONS)),
        coverage=(coverage, SHARE),
        set_points=(set_points, NAMES),
    )
    unknown = sorted(set(set_points) - set(model.features))
    if unknown:
        message = f"set_points: {unknown} are no conditions of the model: {list(model.features)}"
        raise InvalidConditionsError(message)
    normal = _read_baseline(model, baseline)
    if target is None:
        target = float(model.predict(pd.DataFrame([normal]))[model.target].iloc[0])
    if not math.isfinite(target):
        message = f"the target must be a finite number, got {target}"
        raise InvalidConditionsError(message)
    predicted = predict_table(model, conditions, coverage=coverage)
    # An interval without an upper end can never raise an alarm: that is not "judged".
    judged = np.isfinite(predicted["upper"].to_numpy(dtype=float))
    shortfall = target - predicted["upper"].where(judged)
    why = predicted["outside"].where(
        judged | (predicted["outside"] != ""), f"no interval of coverage {coverage:g} there"
    )
    rows = pd.DataFrame(
        {
            "alarm": (shortfall > 0).fillna(False).astype(bool),
            "judged": judged,
            "predicted": predicted[model.target],
            "lower": predicted["lower"],
            "upper": predicted["upper"],
            "shortfall": shortfall,
            "outside": why,
        }
    )
    reference = baseline if isinstance(baseline, pd.DataFrame) else None
    return LowYieldAlarms(
        target=target,
        baseline=normal,
        rows=rows,
        causes=_explain(model, normal, conditions[rows["alarm"].to_numpy()]),
        sensors=find_sensor_faults(
            conditions,
            [c for c in players(model) if c in model.training_range],
            reference=reference,
            set_points=set_points,
        ),
    )


def players(model: YieldModel) -> list[str]:
    """Conditions that can change by themselves."""
    derived = {"Cto"} if {"P", "To", "Cto"} <= set(model.features) else set()
    return [c for c in model.features if c not in derived]


def one_hot_groups(model: YieldModel, conditions: pd.DataFrame) -> dict[str, list[str]]:
    """Players by name, the one-hot columns of one category together as `prefix_*`.

    Columns are of one category when they share what stands before their last underscore, are 0 or
    1 in the training range and in every row, and at most one of them is 1 in a row.
    """
    found: dict[str, list[str]] = {}
    for name in players(model):
        low, high = model.training_range.get(name, (math.nan, math.nan))
        prefix = name.rpartition("_")[0]
        if prefix and (low, high) == (0.0, 1.0):
            found.setdefault(f"{prefix}_*", []).append(name)
    groups = {}
    for star, names in found.items():
        values = conditions[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
        if len(names) > 1 and np.isin(values, (0.0, 1.0)).all() and (values.sum(axis=1) <= 1).all():
            groups[star] = names
    grouped = {c: star for star, names in groups.items() for c in names}
    ordered: dict[str, list[str]] = {}
    for name in players(model):
        ordered.setdefault(grouped.get(name, name), []).append(name)
    return ordered


def _read_baseline(
    model: YieldModel, baseline: Mapping[str, float] | pd.DataFrame | None
) -> dict[str, Any]:
    needed = players(model)
    if baseline is None:
        return dict(model.baseline)
    called = "the baseline"
    given: dict[str, Any] = {}
    if isinstance(baseline, pd.DataFrame):
        if isinstance(origin := baseline.attrs.get("origin"), Origin):
            called += f" {origin.name}"
        for c in (c for c in needed if c in baseline.columns):
            values = pd.to_numeric(baseline[c], errors="coerce")
            if values.notna().any():
                given[c] = float(values.mean())
            elif baseline[c].notna().any():
                given[c] = baseline[c].mode().iloc[0]
        _settle_one_hot(given, baseline)
    else:
        given = {c: baseline[c] for c in needed if c in baseline}
    missing = [c for c in needed if c not in given]
    if missing:
        message = f"{called} lacks {missing}; it needs {needed}"
        raise InvalidConditionsError(message)
    problems = [
        f"{called}: {c!r} must be a finite number, got {given[c]!r}"
        for c in needed
        if c in model.training_range and not NUMBER.fits(given[c])
    ]
    if problems:
        raise InvalidConditionsError(*problems)
    return given


def _settle_one_hot(given: dict[str, Any], table: pd.DataFrame) -> None:
    """Put the most frequent category in the place of the mean of one-hot columns."""
    families: dict[str, list[str]] = {}
    for c in given:
        values = pd.to_numeric(table[c], errors="coerce").dropna()
        if "_" in c and len(values) and values.isin([0, 1]).all():
            families.setdefault(c.rpartition("_")[0], []).append(c)
    for names in (n for n in families.values() if len(n) > 1):
        if (table[names].sum(axis=1) <= 1).all():
            most = max(names, key=lambda c: given[c])
            given |= {c: float(c == most) for c in names}


def _explain(model: YieldModel, normal: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """Shapley value of each condition for each row, the most negative first."""
    groups = one_hot_groups(model, rows)
    tables = []
    plans: dict[int, ShapleyPlan] = {}
    for label, row in zip(rows.index, _records(model, rows), strict=True):
        changed = [
            star for star, names in groups.items() if any(row[c] != normal[c] for c in names)
        ]
        n = len(changed)
        if n not in plans:
            plans[n] = plan_shapley(n)
        plan = plans[n]
        values = _predict_mixed(
            model, normal, row, [groups[star] for star in changed], plan.changed
        )
        effects = dict.fromkeys(groups, 0.0) | dict(
            zip(changed, (plan.weights @ values).tolist(), strict=True)
        )
        tables.append(_cause_table(label, groups, normal, row, effects))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)


def _records(model: YieldModel, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row's players, numbers where they are numbers."""
    columns = {}
    for c in players(model):
        values = pd.to_numeric(rows[c], errors="coerce")
        columns[c] = values.astype(float) if values.notna().all() else rows[c]
    return [
        dict(zip(columns, values, strict=True))
        for values in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]


def _predict_mixed(
    model: YieldModel,
    normal: Mapping[str, Any],
    row: Mapping[str, Any],
    changed: Sequence[Sequence[str]],
    masks: np.ndarray,
) -> np.ndarray:
    """Prediction with each subset of the changes made."""
    columns: dict[str, Any] = {c: [normal[c]] * len(masks) for c in players(model)}
    for i, names in enumerate(changed):
        for c in names:
            columns[c] = [row[c] if made else normal[c] for made in masks[:, i]]
    table = pd.DataFrame(columns)
    parts = [
        model.predict(table.iloc[first : first + _BLOCK])[model.target].to_numpy(dtype=float)
        for first in range(0, len(table), _BLOCK)
    ]
    return np.concatenate(parts)


def _cause_table(
    label: object,
    groups: Mapping[str, Sequence[str]],
    normal: Mapping[str, Any],
    row: Mapping[str, Any],
    effects: Mapping[str, float],
) -> pd.DataFrame:
    """Causes of one row, ranked."""
    ranked = sorted(groups, key=lambda star: effects[star])
    told = []
    for rank, star in enumerate(ranked, start=1):
        before, now = (_told(side, groups[star]) for side in (normal, row))
        change = now - before if isinstance(before, float) and isinstance(now, float) else None
        told.append((label, rank, star, before, now, change, effects[star]))
    return pd.DataFrame(told, columns=_COLUMNS)


def _told(side: Mapping[str, Any], names: Sequence[str]) -> float | str:
    """Tell the value of a condition; of one-hot columns, the name of the one that is 1."""
    if len(names) > 1:
        return next((c.rpartition("_")[2] for c in names if side[c] == 1), "none")
    value = side[names[0]]
    if pd.isna(value):
        return "missing"
    return value if isinstance(value, str) else float(value)
