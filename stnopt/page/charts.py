"""Interactive charts as Plotly figures, written as plain mappings: no chart library is imported.

Colours are those of the printed figures (`stnopt.plot.style`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.plant.calendar import KINDS, clock_time, with_calendars
from stnopt.plot.style import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, YELLOW
from stnopt.scheduling.replay import (
    replay_changeovers,
    replay_cleanings,
    replay_stock,
    replay_utility,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule

Figure = dict[str, Any]

#: Colours, with what tells those apart that look alike in grey print: bars by a pattern of the
#: first or of the second round of tasks, lines by their dashes ("dash" is a limit).
_STYLES = (
    (SKY, ("", "-"), "solid"),
    (ORANGE, ("/", "\\"), "dot"),
    (GREEN, ("-", "x"), "dot"),
    (PURPLE, (".", "+"), "dashdot"),
    (YELLOW, ("", "/"), "solid"),
    (VERMILION, ("\\", "|"), "longdashdot"),
    (BLUE, ("", "+"), "solid"),
    (GREY, ("x", "|"), "longdashdot"),
)
_PERIODS = {"unavailable": "x", "unattended": "/", "paused": "."}
_PREPARATIONS = {"changeover": (GREEN, "/"), "cleaning": (BLUE, "|")}
_ROW_OF_ORDERS = "Orders"
_CELLS = 60  # per axis of a region


def gantt_figure(schedule: Schedule, network: Network) -> Figure:
    """Draw a bar per batch in a row per unit, periods of units behind, due dates below.

    Changeovers and cleanings stand between the bars. Times are clock times where the schedule has
    a date. Each bar's `customdata` is the number of its batch in `schedule.batches`; a batch that
    runs at time 0 has -1.
    """
    axis = TimeAxis(schedule.date, network.time_unit)
    laid_out = with_calendars(network, start=schedule.date, horizon=schedule.horizon)
    traces = [_period_trace(kind, laid_out, schedule.horizon, axis) for kind in KINDS]
    rows: dict[str, list[tuple[int, str, float, float, float]]] = defaultdict(list)
    for number, batch in enumerate(schedule.batches):
        rows[batch.task].append((number, batch.unit, batch.start, batch.finish, batch.size))
    for running in schedule.start.running if schedule.start else ():
        row = (-1, running.unit, running.started, running.remaining, running.size)
        rows[running.task].append(row)
    for count, task in enumerate(network.tasks):
        if rows[task]:
            traces.append(_task_trace(task, count, rows[task], axis, network))
    for kind, times in (
        ("changeover", replay_changeovers(schedule, network)),
        ("cleaning", replay_cleanings(schedule, network)),
    ):
        colour, shape = _PREPARATIONS[kind]
        traces.append(_span_trace(kind, times, axis, "white", colour, shape) | {"width": 0.5})
    traces += _order_traces(schedule, axis, network)
    rows_shown = [*network.units]
    if schedule.orders or schedule.deliveries:
        rows_shown.append(_ROW_OF_ORDERS)
    first = min([0.0, *(running.started for running in (schedule.start or _None()).running)])
    figure = _figure([t for t in traces if t["y"]], height=130 + 46 * len(rows_shown))
    figure["layout"] |= {
        "barmode": "overlay",
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": rows_shown[::-1],
            "range": [-0.6, len(rows_shown) - 0.4],
            "fixedrange": True,
            "automargin": True,
        },
        "xaxis": axis.settings("Time", first, schedule.horizon),
    }
    if first < 0:
        figure["layout"] |= _upright(axis.place(0.0), "now")
    return figure


class _None:
    """A schedule without a start."""

    running = ()


class TimeAxis:
    """Times on an axis: numbers, or dates where it is known when time 0 is."""

    def __init__(self, date: datetime | None, time_unit: str) -> None:
        self._date, self._unit = date, time_unit

    def place(self, time: float) -> float | str:
        """Where a time stands."""
        if self._date is None:
            return float(time)
        moment = clock_time(self._date, time, self._unit)
        return moment.replace(tzinfo=None).isoformat(timespec="seconds")

    def length(self, begin: float, end: float) -> float:
        """How long a bar is: in time units, or in milliseconds."""
        if self._date is None:
            return end - begin
        span = clock_time(self._date, end, self._unit) - clock_time(self._date, begin, self._unit)
        return span.total_seconds() * 1000

    def told(self, time: float) -> str:
        """How a time reads."""
        if self._date is None:
            return f"{time:.2f} {self._unit}".rstrip()
        return f"{clock_time(self._date, time, self._unit):%a %H:%M}"

    def settings(self, title: str, begin: float, end: float) -> dict[str, Any]:
        """Return how the axis looks."""
        unit = f" [{self._unit}]" if self._unit and self._date is None else ""
        return {
            "title": {"text": f"{title}{unit}"},
            "range": [self.place(begin), self.place(end)],
            "type": "linear" if self._date is None else "date",
            "gridcolor": "#dddddd",
            "zeroline": False,
        }


def _task_trace(
    task: str,
    count: int,
    rows: Sequence[tuple[int, str, float, float, float]],
    axis: TimeAxis,
    network: Network,
) -> Figure:
    rounds, style = divmod(count, len(_STYLES))
    colour, patterns, _ = _STYLES[style]
    unit = network.amount_unit
    return {
        "type": "bar",
        "orientation": "h",
        "name": task,
        "y": [where for _, where, *_ in rows],
        "base": [axis.place(begin) for _, _, begin, _, _ in rows],
        "x": [axis.length(begin, end) for _, _, begin, end, _ in rows],
        "customdata": [number for number, *_ in rows],
        "text": [f"{task}<br>{size:.4g}" for *_, size in rows],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "inside",
        "hovertext": [
            f"<b>{task}</b> on {where}{'' if number >= 0 else ' (running)'}<br>"
            f"{axis.told(begin)} to {axis.told(end)}<br>{size:.6g} {unit}"
            for number, where, begin, end, size in rows
        ],
        "hoverinfo": "text",
        "marker": {
            "color": colour,
            "line": {"color": "black", "width": 0.6},
            "pattern": {
                "shape": patterns[rounds % len(patterns)],
                "fillmode": "overlay",
                "fgcolor": "black",
                "fgopacity": 0.35,
                "size": 6,
            },
        },
        "textfont": {"color": "white" if colour in DARK else "black"},
        "width": 0.7,
    }


def _period_trace(kind: str, network: Network, horizon: float, axis: TimeAxis) -> Figure:
    bars = [
        (unit, max(0.0, begin), min(end, horizon))
        for unit, rules in network.unit_rules.items()
        for begin, end in getattr(rules, kind)
        if begin < horizon
    ]
    return _span_trace(kind, bars, axis, "#f2f2f2", "#666666", _PERIODS[kind]) | {"width": 0.9}


def _span_trace(
    kind: str,
    spans: Sequence[tuple[str, float, float]],
    axis: TimeAxis,
    face: str,
    edge: str,
    shape: str,
) -> Figure:
    """Return bars of what a unit does beside its batches: unit, begin, end."""
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "y": [unit for unit, _, _ in spans],
        "base": [axis.place(begin) for _, begin, _ in spans],
        "x": [axis.length(begin, end) for _, begin, end in spans],
        "hovertext": [f"{u} {kind}<br>{axis.told(b)} to {axis.told(e)}" for u, b, e in spans],
        "hoverinfo": "text",
        "marker": {
            "color": face,
            "pattern": {"shape": shape, "fgcolor": edge},
            "line": {"color": edge, "width": 0.6},
        },
    }


def _order_traces(schedule: Schedule, axis: TimeAxis, network: Network) -> list[Figure]:
    """Due dates as triangles, what was delivered as circles, late ones in another colour."""
    due: list[tuple[float, str]] = []
    on_time: list[tuple[float, str]] = []
    late: list[tuple[float, str]] = []
    for served in schedule.orders:
        order = served.order
        due.append((order.due, f"{order.id}: {order.amount:g} {order.state} due"))
        hours = served.lateness(schedule.horizon)
        told = f"{order.id}: %g {order.state} delivered"
        for time, amount in served.parts:
            (late if hours > 1e-6 * schedule.horizon else on_time).append((time, told % amount))
        if served.missing:
            late.append((schedule.horizon, f"{order.id}: {served.missing:g} missing"))
    on_time += [(d.time, f"{d.amount:g} {d.state} delivered") for d in schedule.deliveries]
    kinds = (
        ("due", "triangle-down-open", "black", due),
        ("delivered", "circle", BLUE, on_time),
        ("late or missing", "x", VERMILION, late),
    )
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [axis.place(time) for time, _ in marks],
            "y": [_ROW_OF_ORDERS] * len(marks),
            "hovertext": [f"{text}<br>{axis.told(time)}" for time, text in marks],
            "hoverinfo": "text",
            "cliponaxis": False,
            "marker": {"symbol": symbol, "color": colour, "size": 11, "line": {"width": 1.5}},
        }
        for name, symbol, colour, marks in kinds
        if marks
    ]


def stock_figure(schedule: Schedule, network: Network) -> Figure:
    """Draw what is in stock of each state, stored and waiting, with its limit as a dashed line."""
    axis = TimeAxis(schedule.date, network.time_unit)
    frame = replay_stock(schedule, network)
    traces = []
    for count, (name, rows) in enumerate(frame.groupby("state", sort=False)):
        rounds, style = divmod(count, len(_STYLES))
        colour, _, dash = _STYLES[style]
        amounts = (rows["stored"] + rows["waiting"]).to_numpy()
        line = {"color": colour, "shape": "hv", "dash": dash, "width": 2 + 2 * rounds}
        traces.append(_line(str(name), rows["time"], amounts, axis, line))
        capacity = network.states[str(name)].capacity
        if math.isfinite(capacity) and capacity > 0:
            limit = _line(
                f"{name}: limit",
                [0.0, schedule.horizon],
                [capacity, capacity],
                axis,
                {"color": colour, "dash": "dash", "width": 1},
            )
            traces.append(limit | {"legendgroup": name, "showlegend": False})
    return _levels(traces, axis, schedule.horizon, f"In stock{_unit(network.amount_unit)}")


def utility_figure(schedule: Schedule, network: Network) -> Figure:
    """Draw what running batches take of each utility, with its capacity as a dashed line."""
    axis = TimeAxis(schedule.date, network.time_unit)
    traces = []
    levels = replay_utility(schedule, network)
    for count, (name, rows) in enumerate(levels.groupby("utility", sort=False)):
        colour, _, dash = _STYLES[count % len(_STYLES)]
        line: dict[str, Any] = {"color": colour, "shape": "hv", "dash": dash}
        traces.append(_line(str(name), rows["time"], rows["drawn"], axis, line))
        line = line | {"dash": "dash", "width": 1}
        limit = _line(f"{name}: capacity", rows["time"], rows["capacity"], axis, line)
        traces.append(limit | {"legendgroup": name, "showlegend": False})
    return _levels(traces, axis, schedule.horizon, "Drawn of a utility")


def _line(
    name: str,
    times: Iterable[float],
    amounts: Iterable[float],
    axis: TimeAxis,
    line: dict[str, Any],
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": [axis.place(time) for time in times],
        "y": [float(amount) for amount in amounts],
        "line": line,
    }


def _levels(traces: list[Figure], axis: TimeAxis, horizon: float, title: str) -> Figure:
    figure = _figure(traces, height=320)
    figure["layout"] |= {
        "xaxis": axis.settings("Time", 0.0, horizon),
        "yaxis": {"title": {"text": title}, "rangemode": "tozero", "gridcolor": "#dddddd"},
    }
    return figure


def region_figure(region: CertifiedRegion, amount_unit: str) -> Figure:
    """Which targets are feasible, infeasible or undecided: cells that can be clicked."""
    x, y = (np.linspace(0.0, 1.15 * float(most), _CELLS) for most in region.upper)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    labels = region.label(grid).reshape(_CELLS, _CELLS)
    words = {-1: "can be made", 0: "undecided", 1: "cannot be made"}
    first, second = region.products
    cells = {
        "type": "heatmap",
        "x": x.tolist(),
        "y": y.tolist(),
        "z": labels.tolist(),
        "zmin": -1,
        "zmax": 1,
        "colorscale": [[0, "#d9edf8"], [0.5, "#ffffff"], [1, "#e0b89c"]],
        "showscale": False,
        "text": [[words[int(label)] for label in row] for row in labels],
        "hovertemplate": f"{first} %{{x:.4g}}, {second} %{{y:.4g}}<br>%{{text}}<extra></extra>",
    }
    corners = region.vertices
    boundary = {
        "type": "scatter",
        "mode": "lines",
        "name": "certified boundary",
        "x": corners[:, 0].tolist(),
        "y": corners[:, 1].tolist(),
        "line": {"color": BLUE, "width": 2.5},
        "hoverinfo": "skip",
    }
    figure = _figure([cells, boundary], height=430)
    figure["layout"] |= {
        "xaxis": {"title": {"text": first + _unit(amount_unit)}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": second + _unit(amount_unit)}, "rangemode": "tozero"},
    }
    return figure


def _unit(unit: str) -> str:
    return f" [{unit}]" if unit else ""


def _upright(place: object, name: str) -> dict[str, Any]:
    """Draw a dotted line through all rows, with its name beside its upper end."""
    end = {"x": place, "y": 1, "yref": "paper"}
    line = {"color": "black", "dash": "dot", "width": 1.5}
    return {
        "shapes": [
            {"type": "line", "x0": place, "x1": place, "yref": "paper", "y0": 0, "y1": 1}
            | {"line": line}
        ],
        "annotations": [
            end | {"text": name, "showarrow": False, "xanchor": "right", "yanchor": "top"}
        ],
    }


def _figure(traces: list[Figure], *, height: int) -> Figure:
    return {
        "data": traces,
        "layout": {
            "height": height,
            "margin": {"l": 60, "r": 40, "t": 15, "b": 50},
            "modebar": {"orientation": "v"},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
            "plot_bgcolor": "white",
            "font": {"family": "sans-serif", "size": 13, "color": "#1d1d1d"},
            "dragmode": "pan",
            "hovermode": "closest",
        },
        "config": {
            "responsive": True,
            "displaylogo": False,
            "scrollZoom": True,
            "modeBarButtonsToRemove": ["select2d", "lasso2d"],
        },
    }
