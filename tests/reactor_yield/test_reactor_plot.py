"""What plots show, by their artists, and that the pages hold what they were given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scalar_reactor import BASE_CASE

from reactor_yield import check_dataset, detect_drift, simulate_profiles
from reactor_yield.data.dataset import draw_conditions
from reactor_yield.monitoring.alarm_count import AlarmCount
from reactor_yield.plot import (
    draw_panels,
    plot_correlations,
    plot_drift,
    plot_histogram,
    plot_hot_spot,
    plot_importance,
    plot_lead_times,
    plot_parity,
    plot_profiles,
    plot_scatter,
)
from reactor_yield.report import write_data_summary, write_drift_page


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_profiles_draw_gas_and_coolant_for_each_row():
    table = pd.DataFrame([BASE_CASE, BASE_CASE | {"m": 4.0}], index=["normal", "little coolant"])
    axes = plot_profiles(simulate_profiles(table))
    assert sum(len(line.get_xdata()) > 0 for line in axes.lines) == 4
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["normal", "little coolant", "gas", "coolant"]
    assert axes.lines[0].get_ydata()[0] == 300


def test_histogram_has_a_colour_per_mode(data):
    axes = plot_histogram(data, "To")
    assert len(axes.get_legend().get_texts()) == 3
    assert axes.get_xlabel() == "To (K)"
    assert plot_histogram(data.drop(columns="Mode"), "Yc").get_legend() is None


def test_scatter_thins_out_many_rows(data):
    axes = plot_scatter(data, "Fbo", "Yc")
    shown = sum(len(c.get_offsets()) for c in axes.collections)
    assert 2_000 < shown <= 5_000
    assert len(axes.collections) == 3


def test_correlations_label_every_pair(data):
    axes = plot_correlations(data, ["Fao", "Fbo", "Yc"])
    assert len(axes.texts) == 9
    assert axes.texts[0].get_text() == "1.0"


def test_parity_tells_rows_outside_their_interval():
    truth = pd.Series([0.1, 0.5, 0.9])
    bounds = pd.DataFrame({"lower": [0.0, 0.6, 0.8], "upper": [0.2, 0.7, 1.0]})
    axes = plot_parity(truth, truth + 0.01, bounds)
    inside, outside = (
        c for c in axes.collections if len(c.get_offsets()) and hasattr(c, "get_sizes")
    )
    assert len(inside.get_offsets()) == 2
    assert len(outside.get_offsets()) == 1


def test_importance_puts_the_first_on_top():
    table = pd.DataFrame({"feature": ["b", "a"], "importance": [0.5, 0.1], "spread": [0.0, 0.0]})
    axes = plot_importance(table)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]


def test_hot_spot_shades_alarms():
    minutes = np.arange(100)
    series = pd.DataFrame({"minute": minutes, "T_max": 700.0 + minutes})
    forecast = pd.DataFrame({"due_minute": minutes + 10, "T_max": 710.0 + minutes})
    forecast["alarm"] = forecast["T_max"] > 740
    axes = plot_hot_spot(series, forecast)
    assert len(axes.lines) == 3
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["hot spot", "forecast", "critical, 750 K", "alarm"]
    (shaded,) = axes.patches
    assert shaded.get_x() * 60 == pytest.approx(31)
    assert shaded.get_width() * 60 == pytest.approx(68)  # to the end of the series


def test_alarms_are_latched():
    """An alarm stands for an hour after the last sample; those less far apart are one alarm."""
    minutes = np.arange(400)
    series = pd.DataFrame({"minute": minutes, "T_max": 700.0})
    forecast = pd.DataFrame({"due_minute": minutes + 10, "T_max": 710.0})
    forecast["alarm"] = np.isin(minutes, [50, 90, 300])
    axes = plot_hot_spot(series, forecast)
    spans = [(round(60 * p.get_x()), round(60 * p.get_width())) for p in axes.patches]
    assert spans == [(50, 100), (300, 60)]
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels.count("alarm") == 1


def test_lead_times_fall_from_one():
    count = AlarmCount(
        name="risk",
        n_days=10.0,
        n_alarms=3,
        n_false=1,
        lead_minutes=(5.0, 15.0),
        n_warned=1,
        alarm_share=0.1,
    )
    axes = plot_lead_times([count])
    share = axes.lines[0].get_ydata()
    assert (share[0], share[10], share[20]) == (1.0, 0.5, 0.0)
    assert "risk: 1.0 false alarms in 10 days" in axes.get_legend().get_texts()[0].get_text()


def test_legends_cover_nothing_and_stay_in_the_picture():
    """Long names and short ones, in a panel as the case study draws it."""
    count = AlarmCount(
        name="risk, 40 false in 10 days when tuned",
        n_days=10.0,
        n_alarms=3,
        n_false=1,
        lead_minutes=(5.0, 15.0),
        n_warned=1,
        alarm_share=0.1,
    )
    minutes = np.arange(100)
    series = pd.DataFrame({"minute": minutes, "T_max": 700.0 + minutes})
    forecast = pd.DataFrame({"due_minute": minutes + 10, "T_max": 710.0 + minutes})
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4), layout="constrained")
    plot_hot_spot(series, forecast.assign(alarm=forecast["T_max"] > 740), ax=left)
    plot_lead_times([count] * 6, ax=right)
    figure.draw_without_rendering()
    for axes in (left, right):
        legend = axes.get_legend().get_window_extent()
        assert not legend.overlaps(axes.xaxis.label.get_window_extent())
        assert legend.y0 >= axes.get_window_extent().y1 - 1
        assert figure.bbox.y1 >= legend.y1
        assert figure.bbox.x0 <= legend.x0
        assert legend.x1 <= figure.bbox.x1
    plt.close(figure)


def test_drift_has_a_bar_per_test():
    report = detect_drift(draw_conditions(400), draw_conditions(400, seed=2, new=True))
    axes = plot_drift(report)
    assert len(axes.patches) == len(report.columns)


def test_plots_draw_on_the_axes_they_are_given(data):
    _, axes = plt.subplots()
    assert plot_histogram(data, "P", ax=axes) is axes


def test_panels_are_one_png(data):
    picture = draw_panels([lambda ax: plot_histogram(data, "P", ax=ax)] * 4)
    assert picture.startswith(b"\x89PNG")
    assert not plt.get_fignums()


def test_pages_say_what_they_were_given(data, tmp_path):
    bad = data.iloc[:300].drop(columns=["Ta", "Mode", "status"])
    write_data_summary(bad, check_dataset(bad), tmp_path / "bad.html")
    page = (tmp_path / "bad.html").read_text()
    assert "column &#x27;Ta&#x27; is missing" in page
    quiet = detect_drift(draw_conditions(400), draw_conditions(400, seed=2))
    write_drift_page(quiet, tmp_path / "drift.html")
    assert "No drift found" in (tmp_path / "drift.html").read_text()


@pytest.mark.parametrize(
    "name",
    ["$x_{", *(pytest.param(n, marks=pytest.mark.long) for n in ("$", "US$ per $", "a$^$b"))],
)
def test_a_dollar_in_a_name_is_no_formula(name):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.normal(size=100), f"{name} 2": rng.normal(size=100)})
    mixed = table.assign(Mode=[name, f"{name} 2"] * 50)
    report = detect_drift(table, table + 1, features=[name, f"{name} 2"])
    importance = pd.DataFrame({"feature": [name], "importance": [1.0], "spread": [0.1]})
    count = AlarmCount(
        name=name, n_days=1.0, n_alarms=0, n_false=0, lead_minutes=(1.0,), n_warned=0,
        alarm_share=0.0,
    )  # fmt: skip
    profiles = simulate_profiles(pd.DataFrame([BASE_CASE], index=[name]), n_positions=5)
    picture = draw_panels(
        [
            lambda ax: plot_profiles(profiles, ax=ax),
            lambda ax: plot_histogram(mixed, name, ax=ax),
            lambda ax: plot_scatter(mixed, name, f"{name} 2", ax=ax),
            lambda ax: plot_correlations(table, list(table), ax=ax),
            lambda ax: plot_importance(importance, ax=ax),
            lambda ax: plot_lead_times([count], ax=ax),
            lambda ax: plot_drift(report, ax=ax),
        ]
    )
    assert picture.startswith(b"\x89PNG")
    axes = plot_histogram(mixed, name)
    text, is_formula = axes.xaxis.label._preprocess_math(axes.get_xlabel())
    assert (text, is_formula) == (name, False)
