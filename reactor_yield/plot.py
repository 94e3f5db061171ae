"""Views of data, models and alarms: each draws on a given axes and returns it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from reactor_yield.data.columns import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from reactor_yield.monitoring.alarm_count import AlarmCount
    from reactor_yield.monitoring.drift_report import DriftReport

MODE_COLORS = ("#4477aa", "#cc6677", "#999933", "#882255")
ALARM_COLOR = "#cc3311"
PLAIN_COLOR = "#555555"
_MOST_POINTS = 3_000
_LEGEND_WIDTH = 70
"""Characters of small text beside the axes of a panel."""
_LABELS = {c.name: f"{c.name} ({c.unit})" if c.unit else c.name for c in COLUMNS}


def plot_profiles(profiles: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Gas temperature (solid) and coolant temperature (dashed) along the reactor, a line per row.

    Parameters
    ----------
    profiles
        From `simulate_reactor(..., profiles=True)`.
    """
    axes = _axes(ax)
    for i, (row, profile) in enumerate(profiles.groupby(level="row", sort=False)):
        volume = profile.index.get_level_values("V")
        color = f"C{i % 10}"
        axes.plot(volume, profile["T"], color=color, label=plain(f"{row}"))
        axes.plot(volume, profile["Ta"], color=color, linestyle="--", linewidth=1)
    axes.plot([], [], color=PLAIN_COLOR, label="gas")
    axes.plot([], [], color=PLAIN_COLOR, linestyle="--", linewidth=1, label="coolant")
    axes.set(xlabel="volume (dm3)", ylabel="temperature (K)")
    _legend_above(axes, title="conditions")
    return axes


def plot_histogram(data: pd.DataFrame, column: str, *, ax: Axes | None = None) -> Axes:
    """Distribution of a column, stacked by operating mode where there is one."""
    axes = _axes(ax)
    modes = _modes(data)
    axes.hist(
        [data.loc[rows, column].dropna() for _, rows in modes],
        bins=40,
        stacked=True,
        color=[MODE_COLORS[i % len(MODE_COLORS)] for i in range(len(modes))],
        label=[name for name, _ in modes],
    )
    axes.set(xlabel=_label(column), ylabel="rows")
    if len(modes) > 1:
        _legend_above(axes)
    return axes


def plot_scatter(data: pd.DataFrame, x: str, y: str, *, ax: Axes | None = None) -> Axes:
    """One column against another, coloured by mode; at most 3,000 rows, evenly picked."""
    axes = _axes(ax)
    shown = data.iloc[:: max(1, len(data) // _MOST_POINTS)]
    for i, (name, rows) in enumerate(_modes(shown)):
        axes.scatter(
            shown.loc[rows, x],
            shown.loc[rows, y],
            s=4,
            alpha=0.5,
            linewidths=0,
            color=MODE_COLORS[i % len(MODE_COLORS)],
            label=name,
        )
    axes.set(xlabel=_label(x), ylabel=_label(y))
    if len(axes.collections) > 1:
        _legend_above(axes, markerscale=3)
    return axes


def plot_correlations(
    data: pd.DataFrame, columns: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Rank correlation of every pair of columns."""
    axes = _axes(ax)
    table = data[list(columns)].rank().corr().to_numpy()
    picture = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.figure.colorbar(picture, ax=axes, shrink=0.8)
    ticks = range(len(columns))
    names = [plain(str(column)) for column in columns]
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, names)
    for i in ticks:
        for j in ticks:
            color = "white" if abs(table[i, j]) > 0.6 else "black"
            axes.text(j, i, f"{table[i, j]:.1f}", ha="center", va="center", fontsize=6, color=color)
    axes.set_title("rank correlation", fontsize="medium")
    return axes


def plot_parity(
    truth: pd.Series, predicted: pd.Series, bounds: pd.DataFrame, *, ax: Axes | None = None
) -> Axes:
    """Prediction against truth, with each row's interval; rows outside their interval in red."""
    axes = _axes(ax)
    step = max(1, len(truth) // 600)
    x, y, b = truth.iloc[::step], predicted.iloc[::step], bounds.iloc[::step]
    inside = x.between(b["lower"], b["upper"])
    for rows, color, label in (
        (inside, MODE_COLORS[0], "truth in the interval"),
        (~inside, ALARM_COLOR, "truth outside"),
    ):
        told = f"{label}: {rows.mean():.0%}"
        axes.vlines(
            x[rows], b["lower"][rows], b["upper"][rows], color=color, alpha=0.4, linewidth=1
        )
        axes.scatter(x[rows], y[rows], s=5, color=color, label=told)
    limits = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    axes.plot(limits, limits, color=PLAIN_COLOR, linewidth=0.8, label="prediction = truth")
    axes.set(xlabel="true yield", ylabel="predicted yield and interval")
    _legend_above(axes)
    return axes


def plot_importance(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Permutation importance, most important on top.

    Parameters
    ----------
    table
        From `permutation_importance`.
    """
    axes = _axes(ax)
    shown = table.iloc[::-1].assign(feature=lambda t: [plain(str(f)) for f in t["feature"]])
    axes.barh(shown["feature"], shown["importance"], color=MODE_COLORS[0], label="mean")
    axes.errorbar(
        shown["importance"],
        shown["feature"],
        xerr=shown["spread"],
        fmt="none",
        ecolor="black",
        label="spread over repeats",
    )
    axes.set(xlabel="mean absolute error grows by")
    _legend_above(axes)
    return axes


def plot_hot_spot(
    series: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    critical_temperature: float = 750.0,
    latch_minutes: float = 60.0,
    ax: Axes | None = None,
) -> Axes:
    """Hot spot over time with its forecast; alarms latched and shaded.

    Parameters
    ----------
    series
        With `minute` and `T_max`.
    forecast
        From `forecast_hot_spot`, for some or all of the same rows; shaded where it has an `alarm`.
    critical_temperature
        K, drawn as a line.
    latch_minutes
        An alarm stands until none has been raised for so long: single samples join.
    """
    axes = _axes(ax)
    hours = series["minute"] / 60
    axes.plot(hours, series["T_max"], color=PLAIN_COLOR, linewidth=1, label="hot spot")
    due = forecast["due_minute"] / 60
    axes.plot(due, forecast["T_max"], color=MODE_COLORS[0], linewidth=1, label="forecast")
    axes.axhline(
        critical_temperature,
        color=ALARM_COLOR,
        linewidth=1,
        linestyle="--",
        label=f"critical, {critical_temperature:g} K",
    )
    if "alarm" in forecast:
        raised = series.loc[forecast.index[forecast["alarm"].astype(bool)], "minute"].to_numpy()
        end = float(series["minute"].max())
        for i, (first, last) in enumerate(_latch(raised, latch_minutes)):
            axes.axvspan(
                first / 60,
                min(last, end) / 60,
                color=ALARM_COLOR,
                alpha=0.15,
                linewidth=0,
                label="alarm" if i == 0 else None,
            )
    axes.set(xlabel="time (h)", ylabel="T_max (K)")
    _legend_above(axes)
    return axes


def plot_lead_times(counts: Sequence[AlarmCount], *, ax: Axes | None = None) -> Axes:
    """Share of runaways warned at least so many minutes ahead, one line per way of forecasting."""
    axes = _axes(ax)
    for i, count in enumerate(counts):
        minutes = np.arange(0, 61)
        share = [float(np.mean(np.asarray(count.lead_minutes) >= m)) for m in minutes]
        label = f"{plain(count.name)}: {count.false_alarms_per_10_days:.1f} false alarms in 10 days"
        axes.step(minutes, share, where="post", color=f"C{i}", label=label)
    axes.axvline(10, color=PLAIN_COLOR, linewidth=0.8, linestyle=":", label="10 minutes ahead")
    axes.set(
        xlabel="warned at least this many minutes ahead", ylabel="share of runaways", ylim=(0, 1.02)
    )
    _legend_above(axes)
    return axes


def plot_drift(report: DriftReport, *, ax: Axes | None = None) -> Axes:
    """Distance between the distributions of every column and mode; what drifted in red."""
    axes = _axes(ax)
    labels = [plain(f"{c.column}, {c.group}") for c in report.columns][::-1]
    colors = [ALARM_COLOR if c.drifted else MODE_COLORS[0] for c in report.columns][::-1]
    axes.barh(labels, [c.statistic for c in report.columns][::-1], color=colors)
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="Kolmogorov-Smirnov distance", xlim=(0, 1))
    for color, label in ((ALARM_COLOR, "drifted"), (MODE_COLORS[0], "not drifted")):
        axes.plot([], [], color=color, linewidth=6, label=label)
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    return axes


def plot_drift_history(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Largest distance of each run of the monitoring job over time; runs with drift in red.

    Parameters
    ----------
    history
        From `monitoring.job.read_history`.
    """
    axes = _axes(ax)
    time = pd.to_datetime(history["time"])
    distance = history["largest_distance"].astype(float)
    drifted = history["drifted"].astype(str) == "True"
    axes.plot(time, distance, color=PLAIN_COLOR, linewidth=0.8, label="largest distance")
    for rows, color, label in (
        (~drifted, MODE_COLORS[0], "no drift"),
        (drifted, ALARM_COLOR, "drift"),
    ):
        if rows.any():
            axes.scatter(time[rows], distance[rows], s=18, color=color, label=label, zorder=3)
    axes.set(xlabel="run", ylabel="largest Kolmogorov-Smirnov distance", ylim=(0, 1))
    axes.tick_params(axis="x", rotation=30)
    _legend_above(axes)
    return axes


def draw_panels(
    plots: Sequence[Callable[[Axes], object]], *, n_columns: int = 3, size: float = 3.2
) -> bytes:
    """Draw several plots side by side and return the picture as PNG."""
    n_columns = min(n_columns, len(plots))
    n_rows = -(-len(plots) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(size * 1.3 * n_columns, size * n_rows),
        squeeze=False,
        layout="constrained",
    )
    for ax in axes.flat[len(plots) :]:
        ax.set_axis_off()
    for plot, ax in zip(plots, axes.flat, strict=False):
        plot(ax)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def plain(text: str) -> str:
    """Text for a figure, in which a name's `$` is a `$` and not the start of a formula."""
    return text.replace("$", r"\$")


def _label(column: str) -> str:
    return plain(_LABELS.get(column, str(column)))


def _axes(ax: Axes | None) -> Axes:
    return ax if ax is not None else plt.subplots(layout="constrained")[1]


def _legend_above(axes: Axes, **options: Any) -> None:
    """Put the legend above the axes: to look for the best place inside takes seconds of many rows.

    Matplotlib also warns of that, by the clock: on a busy machine only.
    """
    labels = axes.get_legend_handles_labels()[1]
    # As wide as the axes and no wider: a legend that is makes a panel's axes narrow.
    n_columns = min(3, len(labels), _LEGEND_WIDTH // max((len(t) + 5 for t in labels), default=1))
    axes.legend(
        frameon=False,
        fontsize="small",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=max(1, n_columns),
        **options,
    )


def _latch(minutes: NDArray[np.float64], rest: float) -> list[tuple[float, float]]:
    """Begin and end of each alarm: it stands until none has been raised for `rest` minutes."""
    if not len(minutes):
        return []
    breaks = np.flatnonzero(np.diff(minutes) > rest)
    firsts = minutes[np.concatenate([[0], breaks + 1])]
    lasts = minutes[np.concatenate([breaks, [len(minutes) - 1]])]
    return [(float(a), float(b) + rest) for a, b in zip(firsts, lasts, strict=True)]


def _modes(data: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Rows of each mode, or all rows; rows without a mode are in none."""
    if "Mode" not in data.columns:
        return [("all", pd.Series(True, index=data.index))]
    found = sorted(set(data["Mode"].dropna()), key=lambda m: (str(type(m)), m))
    words = [f"{m:g}" if isinstance(m, int | float) else f"{m}" for m in found]
    names = [f"mode {plain(word)}" for word in words]
    return [(name, data["Mode"] == m) for name, m in zip(names, found, strict=True)]
