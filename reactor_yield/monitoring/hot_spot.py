"""Watch a hot spot: forecast, alarm, and say what could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.runaway import forecast_hot_spot
from reactor_yield.monitoring.sensors import SensorFault, find_sensor_faults
from reactor_yield.tables import numbers, place

_KELVIN = 273.15
_SERIES = ("minute", "T_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class HotSpotWatch:
    """What `watch_hot_spot` found.

    Attributes
    ----------
    rows : DataFrame, indexed like the recent series
        `minute`; `measured` (K); `due_minute` and `T_max`, when the forecast is for and what it is;
        `judged` (whether there is one); `alarm` (forecast or measurement above the level).
    sensors
        Sensor lost or frozen at the end of the series.
    notes
        What was not judged and why, a sentence each.
    """

    rows: pd.DataFrame
    sensors: tuple[SensorFault, ...]
    notes: tuple[str, ...]

    @property
    def n_alarms(self) -> int:
        """Rows in alarm."""
        return int(self.rows["alarm"].sum())

    @property
    def n_judged(self) -> int:
        """Rows with a forecast."""
        return int(self.rows["judged"].sum())


def watch_hot_spot(
    history: pd.DataFrame, recent: pd.DataFrame, *, lead: int = 1, above: float = 740.0
) -> HotSpotWatch:
    """Forecast the hot spot through a recent series, and raise alarms.

    Parameters
    ----------
    history, recent
        Series with `minute` (equal steps, the same in both) and `T_max` (K).
    lead
        Samples ahead.
    above
        K; an alarm is raised where the forecast or the measurement exceeds it.

    Raises
    ------
    InvalidConditionsError
        When a series lacks a column, holds text or time stamps, has unequal steps, or is in another
        unit than the history. File, line and column are named where they are known.
    """
    if not 0 < above < np.inf:
        message = f"above: the alarm level must be a finite temperature in K, got {above}"
        raise InvalidConditionsError(message)
    tables = {"history": history, "recent": recent}
    problems = [
        f"the {name} lacks the columns {missing}; found {list(table.columns)}"
        for name, table in tables.items()
        if (missing := [c for c in _SERIES if c not in table.columns])
    ]
    if problems:
        raise InvalidConditionsError(*problems)
    # Reindexed by position: whatever labels the caller's rows carry, shifts go by rows.
    read = {
        name: pd.DataFrame(
            {c: numbers(t, c, what=f"the {name} series") for c in t.columns if _is_series(c)}
        ).replace([np.inf, -np.inf], np.nan)
        for name, t in tables.items()
    }
    steps = [_step(table, name, tables[name]) for name, table in read.items()]
    if not np.isclose(steps[0], steps[1]):
        message = (
            f"the history has a sample every {steps[0]:g} minutes, the recent every {steps[1]:g}"
        )
        raise InvalidConditionsError(message)
    _refuse_other_unit(read["history"]["T_max"], read["recent"]["T_max"])
    forecast = forecast_hot_spot(read["history"], read["recent"], lead=lead)
    measured = read["recent"]["T_max"]
    rows = pd.DataFrame({"minute": read["recent"]["minute"], "measured": measured})
    rows = rows.join(forecast[["due_minute", "T_max"]])
    rows["judged"] = rows["T_max"].notna()
    rows["alarm"] = (rows["T_max"] > above) | (measured > above)
    faults = find_sensor_faults(read["recent"], ("T_max",), reference=read["history"])
    return HotSpotWatch(rows=rows, sensors=faults, notes=_describe(rows, recent, measured, above))


def _is_series(column: str) -> bool:
    return column in _SERIES or column.endswith("_measured")


def _step(series: pd.DataFrame, name: str, raw: pd.DataFrame) -> float:
    """Minutes per sample; the first place where they are not equal is named."""
    minutes = series["minute"].to_numpy()
    if len(minutes) < 2:
        message = f"the {name} series has {len(minutes)} rows; a forecast needs a past"
        raise InvalidConditionsError(message)
    steps = np.diff(minutes)
    usual = float(np.median(steps))
    odd = np.flatnonzero(~np.isclose(steps, usual)) if usual > 0 else np.array([0])
    if len(odd):
        at = int(odd[0]) + 1
        message = (
            f"the {name} series needs a column 'minute' that rises by equal steps: at "
            f"{place(raw, at)} it goes from {minutes[at - 1]:g} to {minutes[at]:g}"
        )
        raise InvalidConditionsError(message)
    return usual


def _refuse_other_unit(history: pd.Series, recent: pd.Series) -> None:
    """Refuse a series far from its history that would fit as degC or degF."""
    known = recent.dropna()
    if not len(known) or history.notna().sum() < 2:
        return
    low, high = history.min(), history.max()
    width = max(high - low, 50.0)
    middle = float(known.median())
    if low - width <= middle <= high + width:
        return
    others = {"degC": middle + _KELVIN, "degF": (middle - 32) * 5 / 9 + _KELVIN}
    for unit, kelvin in others.items():
        if low - width / 2 <= kelvin <= high + width / 2:
            message = (
                f"T_max of the recent series is around {middle:.0f} and of the history between "
                f"{low:.0f} and {high:.0f} K: it looks like {unit}; convert it to K"
            )
            raise InvalidConditionsError(message)


def _describe(
    rows: pd.DataFrame, raw: pd.DataFrame, measured: pd.Series, above: float
) -> tuple[str, ...]:
    notes = []
    gaps = measured.isna().to_numpy()
    if gaps.any():
        first = place(raw, int(gaps.argmax()))
        notes.append(f"T_max: {int(gaps.sum())} of {len(rows)} readings are missing, first {first}")
    silent = int((~rows["judged"]).sum())
    if silent:
        notes.append(
            f"{silent} of {len(rows)} rows have no forecast: it needs the last 6 readings without "
            "a gap"
        )
    hot = int(((measured > above) & ~rows["judged"]).sum())
    if hot:
        notes.append(f"{hot} of them are above {above:g} K by their own reading")
    return tuple(notes)
