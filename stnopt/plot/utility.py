"""What running batches draw of the utilities: a lane per utility, with its capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import INSTANT, NUMBER, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.plant.network import Network
from stnopt.plot.gantt_marks import draw_now
from stnopt.plot.style import (
    AXES,
    GREY,
    NOTE_SIZE,
    SKY,
    label_axes,
    new_axes,
    plain,
    put_legend_above,
)
from stnopt.plot.time_axis import date_of, label_time_axis
from stnopt.scheduling.replay import replay_utility
from stnopt.scheduling.schedule import Schedule

if TYPE_CHECKING:
    from datetime import datetime

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def plot_utility(
    schedule: Schedule,
    *,
    network: Network,
    start: datetime | str | None = None,
    now: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a lane per utility: what running batches draw of it, and its capacity (dashed).

    Each lane has its own scale, named at its right: the most that is drawn or available.

    Parameters
    ----------
    schedule : Schedule
    network : Network
    start : datetime or str, optional
        When time 0 is, for clock times; left out, what the schedule says.
    now : float, optional
        An instant to mark, in the schedule's time.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When the plant has no utility; a start that is none.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, Network),
        start=(start, optional(INSTANT)),
        now=(now, optional(NUMBER)),
        ax=(ax, AXES),
    )
    date = date_of(schedule, network, start, "plot_utility")
    if not network.utilities:
        raise InvalidInputError(f"plot_utility: plant {network.name!r} has no utilities")
    names = list(network.utilities)
    ax = ax or new_axes(height=0.8 + 0.5 * len(names))
    levels = replay_utility(schedule, network)
    for lane, name in enumerate(reversed(names)):
        rows = levels[levels["utility"] == name]
        times, drawn, capacity = (rows[c].to_numpy() for c in ("time", "drawn", "capacity"))
        scale = float(max(drawn.max(), capacity.max())) or 1.0
        low, top = lane + 0.8 * drawn / scale, lane + 0.8 * capacity / scale
        ax.fill_between(times, lane, low, step="post", color=SKY, linewidth=0)
        ax.plot(times, low, drawstyle="steps-post", color="black", linewidth=0.8)
        ax.plot(times, top, "--", drawstyle="steps-post", color="black", linewidth=0.8)
        ax.axhline(lane, color=GREY, linewidth=0.5)
        ax.annotate(
            f"{scale:.4g}",
            (1, lane + 0.8),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=NOTE_SIZE,
        )
    ax.set_xlim(0, schedule.horizon)
    ax.set_ylim(-0.1, len(names))
    ax.set_yticks(np.arange(len(names)) + 0.4, [plain(name) for name in reversed(names)])
    ax.tick_params(axis="y", length=0)
    label_axes(ax, x="Time")
    put_legend_above(ax, [*_legend(), *draw_now(ax, now)])
    if date is not None:
        ax.figure.canvas.figure.draw_without_rendering()
    label_time_axis(ax, network, date)
    return ax


def _legend() -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    dashed = Line2D([], [], linestyle="--", color="black", linewidth=0.8, label="capacity")
    return [Patch(facecolor=SKY, label="drawn"), dashed]
