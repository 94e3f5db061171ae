"""What is in stock: a lane per state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stnopt.arguments import INSTANT, NAMES, NUMBER, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.plant.network import Network
from stnopt.plot.gantt_marks import draw_now
from stnopt.plot.style import (
    AXES,
    GREY,
    NOTE_SIZE,
    SKY,
    VERMILION,
    label_axes,
    new_axes,
    plain,
    put_legend_above,
    with_unit,
)
from stnopt.plot.time_axis import date_of, label_time_axis
from stnopt.scheduling.replay import replay_stock
from stnopt.scheduling.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from stnopt.plant.recipe import State

_ARRIVAL: dict[str, Any] = {
    "linestyle": "",
    "marker": "^",
    "markersize": 4,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.9,
    "clip_on": False,
    "zorder": 5,
}


def plot_stock(
    schedule: Schedule,
    *,
    network: Network,
    states: Sequence[str] | None = None,
    start: datetime | str | None = None,
    now: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a lane per state: what is stored, what waits in units, the capacity, what is left.

    Each lane has its own scale, named at its right: the capacity (dashed), or the largest amount
    where there is no limit. Triangles at its foot are arrivals.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    states : sequence of str, optional
        By default every state that is ever in stock, without unlimited supplies.
    start : datetime or str, optional
        When time 0 is, for clock times; left out, what the schedule says.
    now : float, optional
        An instant to mark, in the schedule's time.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When a state is unknown, has unlimited supply, or no state has any stock to show; a start
        that is none.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        states=(states, optional(NAMES)),
        start=(start, optional(INSTANT)),
        now=(now, optional(NUMBER)),
        ax=(ax, AXES),
    )
    date = date_of(schedule, network, start, "plot_stock")
    levels = replay_stock(schedule, network)
    total = (levels["stored"] + levels["waiting"]).groupby(levels["state"]).max()
    nothing = 1e-6 * total.max()  # below this it is rounding
    limited_supply = [name for name in network.states if name in total.index]
    if states is None:
        states = [name for name in limited_supply if total[name] > nothing]
    for name in states:
        if name not in limited_supply:
            reason = (
                "has unlimited supply" if name in network.states else "is no state of the plant"
            )
            raise InvalidInputError(
                f"plot_stock: {name!r} {reason}; choose from {', '.join(limited_supply)}"
            )
    if not states:
        raise InvalidInputError("plot_stock: no state ever holds any stock; name some in `states`")
    ax = ax or new_axes(height=0.8 + 0.42 * len(states))
    there: set[str] = set()
    for lane, name in enumerate(reversed(states)):
        rows = levels[levels["state"] == name]
        there |= _draw_lane(ax, rows, network.states[name], float(lane), schedule.horizon, nothing)
    ax.set_xlim(0, schedule.horizon)
    ax.set_ylim(-0.1, len(states))
    ax.set_yticks(np.arange(len(states)) + 0.4, [plain(name) for name in reversed(states)])
    ax.tick_params(axis="y", length=0)
    label_axes(ax, x="Time")
    put_legend_above(ax, [*_legend(network.amount_unit, there), *draw_now(ax, now)])
    if date is not None:
        ax.figure.canvas.figure.draw_without_rendering()
    label_time_axis(ax, network, date)
    return ax


def _draw_lane(
    ax: Axes, levels: pd.DataFrame, state: State, base: float, horizon: float, nothing: float
) -> set[str]:
    """Draw one state over a base line; return which marks are there."""
    times, stored, waiting = (levels[c].to_numpy() for c in ("time", "stored", "waiting"))
    there = set()
    limited = 0 < state.capacity < math.inf
    scale = max(np.max(stored + waiting), state.capacity if limited else 0.0) or 1.0
    height = 0.8 / scale
    low, top = base + height * stored, base + height * (stored + waiting)
    ax.fill_between(times, base, low, step="post", color=SKY, linewidth=0)
    ax.plot(times, top, drawstyle="steps-post", color="black", linewidth=0.8)
    if np.any(waiting > nothing):
        there.add("waiting")
        ax.fill_between(
            times,
            low,
            top,
            step="post",
            facecolor="white",
            edgecolor=VERMILION,
            hatch="/////",
            linewidth=0,
        )
    if limited:
        there.add("capacity")
        level = base + height * state.capacity
        ax.plot([0, horizon], [level, level], "--", color="black", linewidth=0.8)
    if stored[-1] + waiting[-1] > nothing:  # what arrives at the very end would have no width
        there.add("left")
        ax.plot(horizon, top[-1], "o", color="black", markersize=3, clip_on=False)
    came = [time for time, _ in state.arrivals if time <= horizon]
    if came:
        there.add("arrival")
        ax.plot(came, [base] * len(came), **_ARRIVAL)
    ax.axhline(base, color=GREY, linewidth=0.5)
    ax.annotate(
        f"{scale:.4g}" if state.capacity > 0 else f"{scale:.4g}\n(no tank)",
        (1, base + 0.8),
        xycoords=ax.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center" if state.capacity > 0 else "top",
        fontsize=NOTE_SIZE,
    )
    return there


def _legend(unit: str, there: set[str]) -> list[Artist]:
    """Say what the marks that are there mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Patch(facecolor=SKY, label=with_unit("stored", unit)),
    ]
    if "waiting" in there:
        handles.append(
            Patch(facecolor="white", edgecolor=VERMILION, hatch="/////", label="waiting in unit")
        )
    if "capacity" in there:
        handles.append(
            Line2D([], [], linestyle="--", color="black", linewidth=0.8, label="capacity")
        )
    if "left" in there:
        handles.append(
            Line2D(
                [], [], linestyle="", marker="o", color="black", markersize=3, label="at the end"
            )
        )
    if "arrival" in there:
        handles.append(Line2D([], [], label="arrival", **{**_ARRIVAL, "clip_on": True}))
    return handles
