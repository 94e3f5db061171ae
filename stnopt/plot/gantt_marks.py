"""Beside the bars of a Gantt chart: periods of units, changeovers, cleanings, orders, now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stnopt.plant.tolerance import time_tolerance
from stnopt.plot.style import BLUE, GREEN, GREY, VERMILION, plain
from stnopt.scheduling.replay import replay_changeovers, replay_cleanings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from stnopt.plant.network import Network
    from stnopt.plant.orders import ServedOrder
    from stnopt.scheduling.schedule import Schedule

#: How periods of a unit look: face, hatch, and what the legend calls them.
_PERIODS = {
    "unavailable": ("#dcdcdc", "xxxx", "unavailable"),
    "unattended": ("white", "\\\\\\\\", "unattended"),
    "paused": ("white", "....", "paused"),
}
_FAINT = "#8c8c8c"
#: What is done to a unit between batches: colour and hatch of its frame. Both may be due at once.
_PREPARATIONS = {"changeover": (GREEN, "////"), "cleaning": (BLUE, "||||")}
#: Of a row, how far below its middle what came is drawn, and how far above it when it is due.
_BELOW = 0.17
#: So many orders have a row each; of more, those of a state share one.
_MOST_ROWS = 12


def draw_periods(ax: Axes, network: Network, units: Sequence[str], horizon: float) -> list[Artist]:
    """Draw when units are away, unattended or paused, behind the bars; return the legend's marks.

    `network` has no weekly patterns any more.
    """
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    for kind, (face, hatch, label) in _PERIODS.items():
        spans = [
            (units.index(name), max(0.0, start), min(end, horizon))
            for name, rule in network.unit_rules.items()
            if name in units
            for start, end in getattr(rule, kind)
            if start < horizon
        ]
        for row, start, end in spans:
            ax.barh(
                row,
                end - start,
                left=start,
                height=0.96,
                facecolor=face,
                edgecolor=_FAINT,
                hatch=hatch,
                linewidth=0,
                zorder=0.5,
            )
        if spans:
            patch = Patch(facecolor=face, edgecolor=_FAINT, hatch=hatch, linewidth=0.5, label=label)
            handles.append(patch)
    return handles


def draw_preparations(
    ax: Axes, schedule: Schedule, network: Network, units: Sequence[str]
) -> list[Artist]:
    """Draw changeovers and the cleanings after so many batches; return the legend's marks."""
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    for kind, replay in (("changeover", replay_changeovers), ("cleaning", replay_cleanings)):
        colour, hatch = _PREPARATIONS[kind]
        style: dict[str, Any] = {"edgecolor": colour, "hatch": hatch, "linewidth": 0.8}
        times = replay(schedule, network)
        for unit, start, end in times:
            ax.barh(
                units.index(unit),
                end - start,
                left=start,
                height=0.5,
                facecolor="white",
                zorder=1.5,
                **style,
            )
        if times:
            handles.append(Patch(label=kind, facecolor="white", **style))
    return handles


def draw_now(ax: Axes, now: float | None) -> list[Artist]:
    """Draw the instant from which on the schedule can still be changed."""
    from matplotlib.lines import Line2D

    if now is None:
        return []
    style: dict[str, Any] = {"color": "black", "linewidth": 1.4, "linestyle": (0, (4, 2))}
    ax.axvline(now, zorder=2.5, **style)
    return [Line2D([], [], label="now", **style)]


def order_rows(orders: Sequence[ServedOrder]) -> list[tuple[str, list[ServedOrder]]]:
    """Return the rows of a schedule's orders, each with its label: the soonest due first."""
    in_order = sorted(orders, key=lambda served: (served.order.due, served.order.id))
    if len(orders) <= _MOST_ROWS:
        return [(f"{s.order.id}: {s.order.state}", [s]) for s in in_order]
    states = dict.fromkeys(served.order.state for served in in_order)
    return [(f"orders: {name}", [s for s in in_order if s.order.state == name]) for name in states]


def draw_orders(
    ax: Axes, rows: Sequence[tuple[str, Sequence[ServedOrder]]], first: int, horizon: float
) -> list[Artist]:
    """Draw due dates, what came when, and how late, in rows from `first` on."""
    from matplotlib.lines import Line2D

    late_too = missing_too = False
    same = time_tolerance(horizon)
    for row, (_, several) in enumerate(rows, first):
        for served in several:
            due = max(served.order.due, ax.get_xlim()[0])
            for time, _ in served.parts:
                is_late = time > served.order.due + same
                late_too = late_too or is_late
                ax.plot(time, row + _BELOW, **(_LATE if is_late else _ON_TIME))
            late = served.lateness(horizon) > same
            if late:
                last = horizon if served.missing else max(time for time, _ in served.parts)
                ax.plot([due, last], [row + _BELOW] * 2, color=VERMILION, linewidth=1.4, zorder=2)
            if served.missing:
                missing_too = True
                ax.plot(horizon, row + _BELOW, **_MISSING)
            ax.plot(due, row - _BELOW, **_DUE)
    handles: list[Artist] = []
    if rows:
        ax.axhline(first - 0.5, color=GREY, linewidth=0.8)
        marks = [("due", _DUE, True), ("delivered", _ON_TIME, True)]
        marks += [("delivered late", _LATE, late_too), ("not delivered", _MISSING, missing_too)]
        handles = [
            Line2D([], [], label=plain(label), **{k: v for k, v in style.items() if k != "clip_on"})
            for label, style, there in marks
            if there
        ]
    return handles


_POINT: dict[str, Any] = {"linestyle": "", "clip_on": False, "zorder": 5}
_DUE = _POINT | {
    "marker": "v",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.9,
}
_ON_TIME = _POINT | {
    "marker": "o",
    "markersize": 3.5,
    "markerfacecolor": "black",
    "markeredgecolor": "black",
}
_LATE = _POINT | {
    "marker": "D",
    "markersize": 4,
    "markerfacecolor": VERMILION,
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
}
_MISSING = _POINT | {
    "marker": "X",
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgecolor": VERMILION,
    "markeredgewidth": 1.2,
}
