"""Alarms of a runaway counted: how many runaways were warned of in time, how many in vain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reactor_yield.arguments import (
    NON_NEGATIVE,
    POSITIVE,
    SERIES,
    TABLE,
    TEXT,
    WHOLE,
    Kind,
    check_arguments,
    optional,
)
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

CRITICAL_TEMPERATURE = 750.0
_DAY = 24 * 60
_ROWS = Kind(
    "a list of row numbers",
    lambda value: isinstance(value, tuple | list) and all(map(WHOLE.fits, value)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCount:
    """What an alarm was worth over a series.

    Attributes
    ----------
    name
        Of the way of forecasting.
    n_days
        Length of the series.
    n_alarms, n_false
        Alarms raised, and those after which nothing ran away within the window nor before they
        ended.
    lead_minutes
        For each runaway the minutes from the alarm that stood when it came back to when that was
        raised; 0 when none stood.
    n_warned
        Runaways whose lead is at least what was asked for.
    alarm_share
        Share of the time in alarm.
    """

    name: str
    n_days: float
    n_alarms: int
    n_false: int
    lead_minutes: tuple[float, ...]
    n_warned: int
    alarm_share: float

    @property
    def false_alarms_per_10_days(self) -> float:
        """False alarms in ten days."""
        return 10 * self.n_false / self.n_days

    @property
    def n_missed(self) -> int:
        """Runaways that were not warned in time."""
        return len(self.lead_minutes) - self.n_warned


def count_alarms(
    series: pd.DataFrame,
    alarm: pd.Series,
    *,
    name: str,
    target: str = "T_max",
    runaways: Sequence[int] | None = None,
    lead_minutes: float = 10.0,
    window_minutes: float = 60.0,
    rest_minutes: float = 60.0,
    critical_temperature: float = CRITICAL_TEMPERATURE,
) -> AlarmCount:
    """Count warned and missed runaways and false alarms.

    Parameters
    ----------
    series
        With `minute` and the true `target`.
    alarm : bool Series
        For some or all rows of `series`; the rest is taken as no alarm.
    name
        For plots and tables.
    runaways
        Row numbers where a runaway begins; by default every sample above the critical temperature
        after one that is not. `failure_runaways` finds those that a coolant failure caused.
    lead_minutes
        Warning time that counts as in time.
    window_minutes
        An alarm is false when nothing runs away from when it is raised until this long after, or
        until it ends if that is later.
    rest_minutes
        Alarms less than this apart are one.
    critical_temperature
        K.
    """
    check_arguments(
        series=(series, TABLE),
        alarm=(alarm, SERIES),
        name=(name, TEXT),
        target=(target, TEXT),
        runaways=(runaways, optional(_ROWS)),
        lead_minutes=(lead_minutes, NON_NEGATIVE),
        window_minutes=(window_minutes, NON_NEGATIVE),
        rest_minutes=(rest_minutes, NON_NEGATIVE),
        critical_temperature=(critical_temperature, POSITIVE),
    )
    require_numbers(series, ["minute", target])
    step = minutes_per_sample(series)
    hot = (series[target] > critical_temperature).to_numpy()
    raised = alarm.reindex(series.index, fill_value=False).to_numpy(dtype=bool)
    episodes = _episodes(raised, rest=int(rest_minutes / step))
    window = int(window_minutes / step)
    n_false = sum(not hot[a : max(b, a + window) + 1].any() for a, b in episodes)
    if runaways is None:
        runaways = np.flatnonzero(hot & ~np.concatenate([[False], hot[:-1]])).tolist()
    leads = []
    for onset in runaways:
        standing = [a for a, b in episodes if a <= onset <= b + lead_minutes / step]
        leads.append(float(onset - min(standing)) * step if standing else 0.0)
    return AlarmCount(
        name=name,
        n_days=len(series) * step / _DAY,
        n_alarms=len(episodes),
        n_false=int(n_false),
        lead_minutes=tuple(leads),
        n_warned=sum(lead >= lead_minutes for lead in leads),
        alarm_share=float(raised.mean()),
    )


def failure_runaways(
    series: pd.DataFrame,
    *,
    target: str = "T_max",
    critical_temperature: float = CRITICAL_TEMPERATURE,
    calm_minutes: int = 30,
) -> list[int]:
    """Row numbers of the first runaway of each coolant failure that would not have come without it.

    Failures that begin within `calm_minutes` after a runaway of another cause are left out: the
    alarm was already due.
    """
    check_arguments(
        series=(series, TABLE),
        target=(target, TEXT),
        critical_temperature=(critical_temperature, POSITIVE),
        calm_minutes=(calm_minutes, WHOLE),
    )
    require_numbers(series, ["coolant", target, f"{target}_without_failure"])
    failing = (series["coolant"] < 1).to_numpy()
    hot = (series[target] > critical_temperature).to_numpy()
    caused = hot & (series[f"{target}_without_failure"] <= critical_temperature).to_numpy()
    onsets = []
    for first, last in _episodes(failing, rest=1):
        found = np.flatnonzero(caused[first : last + 1])
        if len(found) and not hot[max(0, first - calm_minutes) : first].any():
            onsets.append(int(first + found[0]))
    return onsets


def choose_alarm_level(
    series: pd.DataFrame,
    score: pd.Series,
    *,
    target: str = "T_max",
    false_alarms_per_10_days: float = 1.0,
) -> float:
    """Lowest level of a score whose alarms stay within a budget of false ones on this series.

    Levels are tried from the highest down, among 40 that 0.01 % to 30 % of the scores exceed.

    Parameters
    ----------
    series, target
        As for `count_alarms`.
    score
        For some or all rows of `series`, such as the forecast or its risk; an alarm is above it.
    false_alarms_per_10_days
        The budget.

    Returns
    -------
    float
        Infinity where even the highest level goes over the budget: then nothing raises an alarm.
    """
    check_arguments(
        series=(series, TABLE),
        score=(score, SERIES),
        target=(target, TEXT),
        false_alarms_per_10_days=(false_alarms_per_10_days, NON_NEGATIVE),
    )
    best = math.inf
    for level in np.unique(np.quantile(score, 1 - np.geomspace(1e-4, 0.3, 40)))[::-1]:
        count = count_alarms(series, score > level, name="chosen level", target=target, runaways=())
        if count.false_alarms_per_10_days > false_alarms_per_10_days:
            break
        best = float(level)
    return best


def minutes_per_sample(series: pd.DataFrame) -> float:
    """Tell how far apart the samples of a series are."""
    steps = np.diff(series["minute"].to_numpy(dtype=float))
    if not len(steps) or not np.allclose(steps, steps[0]) or not steps[0] > 0:
        message = "the series needs a column 'minute' that rises by equal steps"
        raise InvalidConditionsError(message)
    return float(steps[0])


def require_numbers(series: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a series without some columns, or with something else than numbers in them."""
    if missing := [c for c in columns if c not in series.columns]:
        message = f"the series lacks {missing}; found {list(series.columns)}"
        raise InvalidConditionsError(message)
    if text := [c for c in columns if series[c].dtype.kind not in "iufb"]:
        message = f"the series needs numbers in the columns {text}"
        raise InvalidConditionsError(message)


def _episodes(raised: NDArray[np.bool_], *, rest: int) -> list[tuple[int, int]]:
    """First and last row of each run of true values, runs less than `rest` apart joined."""
    rows = np.flatnonzero(raised)
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) > max(1, rest))
    firsts = rows[np.concatenate([[0], breaks + 1])]
    lasts = rows[np.concatenate([breaks, [len(rows) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
