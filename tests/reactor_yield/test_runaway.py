"""Series with known properties, a forecast against persistence, and alarms counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reactor_yield import (
    CoolantFailure,
    choose_alarm_level,
    count_alarms,
    failure_runaways,
    forecast_hot_spot,
    realistic_series,
    sorted_series,
)
from reactor_yield.data.dataset import MODE_1
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.runaway import coolant_failure_probability, fit_hot_spot_forecaster


@pytest.fixture(scope="module")
def series():
    return realistic_series(8, seed=1, failure=CoolantFailure(every_days=0.5))


def test_disturbances_have_the_recipes_spread_and_two_hours_of_memory():
    long = realistic_series(20, seed=5, failure=CoolantFailure(every_days=1e9))
    assert (long["coolant"] == 1).all()
    for name in ("Fao", "P", "Ta"):
        values = long[name]
        # 240 correlation times: the spread is known to about 7 %.
        assert values.std() == pytest.approx(MODE_1.spread()[name], rel=0.2)
        lagged = np.corrcoef(values[:-120], values[120:])[0, 1]
        assert lagged == pytest.approx(np.exp(-1), abs=0.15)
        noise = long[f"{name}_measured"] / values - 1
        assert noise.std() == pytest.approx(0.005, rel=0.03)
    assert (long["T_max"] == long["T_max_without_failure"]).all()


def test_failures_ramp_to_a_third_in_an_hour(series):
    profile = CoolantFailure().profile()
    assert profile[59] == pytest.approx(0.3)
    assert len(profile) == 60 + 60 + 29
    first = int(np.argmax((series["coolant"] < 1).to_numpy()))
    np.testing.assert_allclose(series["coolant"].iloc[first : first + 149], profile)
    failing = series["coolant"] < 1
    hotter = series["T_max"] - series["T_max_without_failure"]
    assert (hotter[~failing] == 0).all()
    assert (hotter[failing] > -1).all()
    assert (hotter[series["coolant"] < 0.4] > 50).mean() > 0.8


def test_series_are_repeatable():
    pd.testing.assert_frame_equal(realistic_series(1, seed=3), realistic_series(1, seed=3))


def test_sorted_series_rises_and_falls_each_day():
    table = sorted_series(3, seed=2)
    assert len(table) == 3 * 144
    assert (np.diff(table["minute"]) == 10).all()
    for day in range(3):
        values = table["T_max"].to_numpy()[144 * day : 144 * (day + 1)]
        turn = int(np.argmax(values)) if np.argmax(values) >= 71 else 143
        rising = np.diff(values) >= 0
        changes = int(np.sum(rising[1:] != rising[:-1]))
        assert rising[:71].all()
        assert changes <= 2
        assert turn >= 71


def test_forecast_beats_persistence_on_the_sorted_series():
    table = sorted_series(30, seed=1)
    recent = table.iloc[3500:]
    found = forecast_hot_spot(table.iloc[:3400], recent)
    truth = table["T_max"].shift(-1).loc[found.index]
    known = truth.notna()
    error = (found["T_max"] - truth)[known].abs().mean()
    persistence = (found["persistence"] - truth)[known].abs().mean()
    assert error < persistence
    assert (found["due_minute"] - table.loc[found.index, "minute"] == 10).all()
    assert len(found) == len(recent) - 5


@pytest.mark.long
def test_forecast_with_conditions_gives_a_risk(series):
    forecaster = fit_hot_spot_forecaster(series.iloc[:9000], lead=10, lags=(1, 5, 20))
    recent = series.iloc[9000:].reset_index(drop=True)
    found = forecaster.forecast(recent)
    onsets = failure_runaways(recent)
    assert len(onsets) > 1
    before = np.concatenate([np.arange(o - 5, o) for o in onsets])
    risk = found["risk"]
    assert risk.reindex(before).median() > 20 * risk.median()
    level = choose_alarm_level(recent, risk, false_alarms_per_10_days=20.0)
    count = count_alarms(recent, risk > level, name="risk", runaways=onsets)
    assert count.false_alarms_per_10_days <= 20


def test_a_forecast_uses_no_future(series):
    forecaster = fit_hot_spot_forecaster(series.iloc[:4000], lead=10, lags=(1, 5))
    whole = forecaster.forecast(series.iloc[4000:5000])
    part = forecaster.forecast(series.iloc[4000:4600])
    pd.testing.assert_frame_equal(whole.loc[part.index], part)


def test_coolant_belief_follows_a_failure_and_stays_calm_without():
    rng = np.random.default_rng(0)
    flow = np.full(400, 10.0)
    for t in range(1, 400):
        flow[t] = 10 + np.exp(-1 / 120) * (flow[t - 1] - 10) + 0.257 * rng.standard_normal()
    calm = coolant_failure_probability(flow, CoolantFailure())
    assert calm["falling"].max() < 0.2
    profile = CoolantFailure().profile()
    failing = flow.copy()
    failing[200 : 200 + len(profile)] *= profile
    found = coolant_failure_probability(failing, CoolantFailure())
    assert found["falling"].iloc[:200].max() < 0.2
    assert found["falling"].iloc[255] > 0.9
    assert found["low"].iloc[300] > 0.9
    assert found["expected"].iloc[300] == pytest.approx(0.3, abs=0.02)


def _hand_made(temperature, coolant=None):
    n = len(temperature)
    table = pd.DataFrame({"minute": np.arange(n), "T_max": temperature})
    table["coolant"] = 1.0 if coolant is None else coolant
    table["T_max_without_failure"] = 700.0
    return table


def test_alarms_are_counted_as_by_hand():
    temperature = np.full(600, 700.0)
    temperature[200:205] = 760.0  # warned 15 minutes before
    temperature[400:405] = 760.0  # alarm at the same minute: too late
    alarm = pd.Series(False, index=range(600))
    alarm[185:206] = True
    alarm[400:406] = True
    alarm[500:503] = True  # false
    count = count_alarms(_hand_made(temperature), alarm, name="x")
    assert count.n_alarms == 3
    assert count.n_false == 1
    assert count.lead_minutes == (15.0, 0.0)
    assert (count.n_warned, count.n_missed) == (1, 1)
    assert count.false_alarms_per_10_days == pytest.approx(10 / (600 / 1440))
    joined = count_alarms(_hand_made(temperature), alarm, name="x", rest_minutes=400)
    assert (joined.n_alarms, joined.n_false) == (1, 0)


def test_runaways_by_failure_need_the_failure():
    temperature = np.full(900, 700.0)
    coolant = np.ones(900)
    coolant[100:200] = 0.5
    temperature[150:160] = 760.0  # caused: without the failure 700
    coolant[400:500] = 0.5
    temperature[380:390] = 760.0  # ran away just before: the alarm was due
    temperature[450:460] = 760.0
    coolant[700:800] = 0.5
    temperature[750:760] = 760.0
    table = _hand_made(temperature, coolant)
    table.loc[700:800, "T_max_without_failure"] = 755.0  # would have come anyway
    assert failure_runaways(table) == [150]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CoolantFailure(remaining=1.0), "remaining must be between 0 and 1"),
        (lambda: CoolantFailure(every_days=0.0), "every_days must be above 0"),
        (lambda: CoolantFailure(minutes=0), "must be at least 1"),
        (lambda: forecast_hot_spot(sorted_series(1), sorted_series(1)), "200 are needed"),
        (
            lambda: forecast_hot_spot(sorted_series(2), sorted_series(2), lead=0),
            "lead: expected an integer from 1",
        ),
        (
            lambda: forecast_hot_spot(sorted_series(3), sorted_series(3), target="T"),
            "series lacks 'T'",
        ),
        (
            lambda: count_alarms(
                sorted_series(1).assign(minute=0), pd.Series(dtype=bool), name="x"
            ),
            "rises by equal steps",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidConditionsError, match=message):
        call()


def test_a_series_without_its_columns_is_refused_by_name():
    series = realistic_series(1, seed=0)
    plain = series[["minute", "T_max"]]
    with pytest.raises(
        InvalidConditionsError, match=r"lacks \['coolant', 'T_max_without_failure'\]"
    ):
        failure_runaways(plain)
    with pytest.raises(InvalidConditionsError, match=r"lacks \['minute'\]"):
        count_alarms(series.drop(columns="minute"), series["T_max"] > 1, name="x")
    with pytest.raises(InvalidConditionsError, match=r"needs numbers in the columns \['T_max'\]"):
        choose_alarm_level(series.assign(T_max="hot"), series["T_max"])
    with pytest.raises(
        InvalidConditionsError, match=r"numbers in the columns \['T_max_measured'\]"
    ):
        forecast_hot_spot(series.assign(T_max_measured="hot"), series)


def test_conditions_without_failures_forecast_the_hot_spot_alone():
    """A plant measures its conditions, and has no column that says when its coolant failed."""
    series = realistic_series(1, seed=0).drop(columns=["coolant", "T_max_without_failure"])
    assert "risk" not in forecast_hot_spot(series.head(1000), series.tail(200))
