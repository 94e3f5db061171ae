"""The hot spot watched: every row judged or counted, a lost sensor an alarm of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reactor_yield.cli import main
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.hot_spot import watch_hot_spot


@pytest.fixture(scope="module")
def history():
    rng = np.random.default_rng(0)
    z = np.zeros(900)
    for i in range(1, 900):
        z[i] = 0.98 * z[i - 1] + 1.2 * rng.normal()
    return pd.DataFrame({"minute": range(900), "T_max": 690 + 3 * z})


@pytest.fixture(scope="module")
def ramp():
    rng = np.random.default_rng(1)
    values = np.r_[700 + rng.normal(size=60), np.linspace(700, 790, 60)]
    return pd.DataFrame({"minute": range(120), "T_max": values})


def test_a_ramp_raises_alarms_and_rows_without_a_past_are_counted(history, ramp):
    found = watch_hot_spot(history, ramp)
    assert found.n_judged == 115
    assert found.n_alarms > 25
    assert any("5 of 120 rows have no forecast" in note for note in found.notes)
    assert found.sensors == ()
    assert len(found.rows) == 120


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda t: t, 3, "above 740 K"),
        (
            lambda t: t.assign(T_max=t["T_max"].where(t.index <= 80)),
            3,
            "alarm: T_max: no reading in the last 39 of 120 rows; sensor lost",
        ),
        (
            lambda t: t.assign(T_max=t["T_max"].where(t.index <= 80, t["T_max"][80])),
            3,
            "exactly 730.508 in the last 40",
        ),
        (lambda t: t.assign(T_max=t["T_max"] - 273.15), 2, "it looks like degC"),
        (
            lambda t: t.assign(T_max=(t["T_max"] - 273.15) * 1.8 + 32),
            2,
            "it looks like degF",
        ),
        (lambda t: t.assign(T_max=t["T_max"].where(t.index % 5 != 4)), 2, "no row could be judged"),
        (lambda t: t.tail(5), 2, "no row could be judged"),
        (lambda t: t.tail(5), 2, "5 of them are above 740 K by their own reading\n0 of 0 rows"),
        (
            lambda t: t.head(40).assign(T_max=t["T_max"].where(t.index > 2, 750.0)),
            3,
            "3 of them are above 740 K by their own reading",
        ),
        (lambda t: t.tail(1), 2, "has 1 rows; a forecast needs a past"),
        (
            lambda t: t.astype(object).assign(
                T_max=t["T_max"].astype(object).where(t.index != 100, "Bad")
            ),
            2,
            "line 102, column 'T_max': 'Bad' is not a number",
        ),
        (
            lambda t: t.assign(
                minute=pd.date_range("2024-03-31", periods=120, freq="min").astype(str)
            ),
            2,
            "column 'minute': '2024-03-31 00:00:00' is not a number",
        ),
        (lambda t: t.drop(index=50), 2, "line 52 it goes from 49 to 51"),
        (lambda t: t.assign(minute=2 * t["minute"]), 2, "a sample every 1 minutes, the recent"),
        (lambda t: t.drop(columns="T_max"), 2, "the recent lacks the columns"),
    ],
)
def test_the_command_is_never_silent(history, ramp, change, code, message, tmp_path, capsys):
    history.to_csv(tmp_path / "h.csv", index=False)
    change(ramp).to_csv(tmp_path / "r.csv", index=False)
    files = [str(tmp_path / "h.csv"), str(tmp_path / "r.csv")]
    assert main(["alarm", "hot-spot", *files]) == code
    said = capsys.readouterr()
    assert message in said.out + said.err


def test_bad_levels_and_tables_are_refused(history, ramp):
    with pytest.raises(InvalidConditionsError, match="finite temperature"):
        watch_hot_spot(history, ramp, above=float("nan"))
    with pytest.raises(InvalidConditionsError, match="the history lacks") as caught:
        watch_hot_spot(history[["minute"]], ramp[["minute"]])
    assert len(caught.value.problems) == 2
