"""What is in stock: a lane per state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import NAMES, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.plant.network import Network
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
from stnopt.scheduling.replay import replay_stock
from stnopt.scheduling.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def plot_stock(
    schedule: Schedule,
    *,
    network: Network,
    states: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a lane per state: what is stored, what waits in units, the capacity, what is left.

    Each lane has its own scale, named at its right: the capacity (dashed), or the largest amount
    where there is no limit.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    states : sequence of str, optional
        By default every state that is ever in stock, without unlimited supplies.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When a state is unknown, has unlimited supply, or no state has any stock to show.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        states=(states, optional(NAMES)),
        ax=(ax, AXES),
    )
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
    any_waiting = any_capacity = any_left = False
    for lane, name in enumerate(reversed(states)):
        rows = levels[levels["state"] == name]
        times, stored, waiting = (rows[c].to_numpy() for c in ("time", "stored", "waiting"))
        capacity = network.states[name].capacity
        limited = 0 < capacity < math.inf
        scale = max(total[name], capacity if limited else 0.0) or 1.0
        base, height = float(lane), 0.8 / scale
        low, top = base + height * stored, base + height * (stored + waiting)
        ax.fill_between(times, base, low, step="post", color=SKY, linewidth=0)
        ax.plot(times, top, drawstyle="steps-post", color="black", linewidth=0.8)
        if np.any(waiting > nothing):
            any_waiting = True
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
            any_capacity = True
            level = base + height * capacity
            ax.plot([0, schedule.horizon], [level, level], "--", color="black", linewidth=0.8)
        if stored[-1] + waiting[-1] > nothing:  # what arrives at the very end would have no width
            any_left = True
            ax.plot(schedule.horizon, top[-1], "o", color="black", markersize=3, clip_on=False)
        ax.axhline(base, color=GREY, linewidth=0.5)
        note = f"{scale:.4g}" if capacity > 0 else f"{scale:.4g}\n(no tank)"
        ax.annotate(
            note,
            (1, base + 0.8),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center" if capacity > 0 else "top",
            fontsize=NOTE_SIZE,
        )
    ax.set_xlim(0, schedule.horizon)
    ax.set_ylim(-0.1, len(states))
    ax.set_yticks(np.arange(len(states)) + 0.4, [plain(name) for name in reversed(states)])
    ax.tick_params(axis="y", length=0)
    label_axes(ax, x=with_unit("Time", network.time_unit))
    marks = (any_waiting, any_capacity, any_left)
    put_legend_above(ax, _legend(network.amount_unit, *marks))
    return ax


def _legend(unit: str, any_waiting: bool, any_capacity: bool, any_left: bool) -> list[Artist]:
    """Say what the marks that are there mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Patch(facecolor=SKY, label=with_unit("stored", unit)),
    ]
    if any_waiting:
        handles.append(
            Patch(facecolor="white", edgecolor=VERMILION, hatch="/////", label="waiting in unit")
        )
    if any_capacity:
        handles.append(
            Line2D([], [], linestyle="--", color="black", linewidth=0.8, label="capacity")
        )
    if any_left:
        handles.append(
            Line2D(
                [], [], linestyle="", marker="o", color="black", markersize=3, label="at the end"
            )
        )
    return handles
