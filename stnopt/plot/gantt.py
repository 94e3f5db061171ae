"""The Gantt chart: a bar per batch in a row per unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stnopt.arguments import INSTANT, NUMBER, check_arguments, optional
from stnopt.plant.calendar import with_calendars
from stnopt.plant.network import Network
from stnopt.plot.gantt_marks import (
    draw_now,
    draw_orders,
    draw_periods,
    draw_preparations,
    order_rows,
)
from stnopt.plot.style import (
    AXES,
    BLUE,
    COLUMN_WIDTH,
    DARK,
    GREEN,
    GREY,
    NOTE_SIZE,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    label_axes,
    new_axes,
    plain,
    put_legend_above,
)
from stnopt.plot.time_axis import date_of, label_time_axis
from stnopt.scheduling.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch, Rectangle
    from matplotlib.text import Text

    from stnopt.plant.state import RunningBatch
    from stnopt.scheduling.schedule import Batch

#: Colours that look alike in grey print have hatches.
_TASK_STYLES = (
    (SKY, ""),
    (ORANGE, "//"),
    (GREEN, "--"),
    (PURPLE, ".."),
    (YELLOW, ""),
    (VERMILION, "\\\\"),
    (BLUE, ""),
    (GREY, "xx"),
)
_MORE_HATCHES = ("", "oo", "**", "||")  # one more for each round of styles
_MANY = 12  # batches that are drawn over two columns
_BEFORE = 0.15  # of the horizon, what is shown before time 0


def plot_gantt(
    schedule: Schedule,
    *,
    network: Network | None = None,
    start: datetime | str | None = None,
    now: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar per batch in a row per unit, one colour per task, the size where it fits.

    Batches that ran before time 0 begin left of it. With the network, periods in which units are
    unavailable (crossed), unattended or paused (hatched) lie behind the bars, and changeovers and
    cleanings between them. Each order has a row below the units: when it is due, when it came,
    and how late.

    Parameters
    ----------
    schedule : Schedule
    network : Network, optional
        Gives the order of units and tasks, units that stand idle, their periods, and the time unit.
    start : datetime or str, optional
        When time 0 is, for clock times; left out, what the schedule says.
    now : float, optional
        An instant to mark, in the schedule's time.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        A start that is none, or without a network that knows its time unit.
    """
    check_arguments(
        schedule=(schedule, Schedule),
        network=(network, optional(Network)),
        start=(start, optional(INSTANT)),
        now=(now, optional(NUMBER)),
        ax=(ax, AXES),
    )
    date = date_of(schedule, network, start, "plot_gantt")
    known_units, known_tasks = (network.units, network.tasks) if network else ((), ())
    running = schedule.start.running if schedule.start else ()
    batches: list[Batch | RunningBatch] = [*running, *schedule.batches]
    units = _in_order(known_units, (batch.unit for batch in batches))
    tasks = _in_order(known_tasks, (batch.task for batch in batches))
    used = [task for task in tasks if any(batch.task == task for batch in batches)]
    rows = order_rows(schedule.orders)
    n_rows = max(1, len(units) + len(rows))
    if ax is None:
        height = 0.9 + 0.3 * max(1, len(units)) + 0.22 * len(rows) + 0.16 * math.ceil(len(used) / 3)
        ax = new_axes(height=height, width=COLUMN_WIDTH * (2 if len(batches) > _MANY else 1))
    left = min((batch.start for batch in batches), default=0.0)
    ax.set_xlim(min(0.0, max(left, -_BEFORE * schedule.horizon)), schedule.horizon)
    ax.set_ylim(n_rows - 0.5, -0.5)
    style = {task: _task_style(number) for number, task in enumerate(tasks)}
    row_of = {unit: row for row, unit in enumerate(units)}
    sizes = [_draw_batch(ax, b, row_of[b.unit], *style[b.task]) for b in batches]
    handles: list[Artist] = [_patch(task, *style[task]) for task in used]
    if ax.get_xlim()[0] < 0:
        ax.axvline(0, color="black", linewidth=0.8)
    if network is not None:
        dated = with_calendars(network, start=date or schedule.date, horizon=schedule.horizon)
        handles += draw_periods(ax, dated, units, schedule.horizon)
        handles += draw_preparations(ax, schedule, network, units)
    if network is not None and network.amount_unit and batches:
        handles.append(_blank(f"sizes in {network.amount_unit}"))
    handles += draw_orders(ax, rows, len(units), schedule.horizon)
    handles += draw_now(ax, now)
    labels = [plain(label) for label in (*units, *(label for label, _ in rows))]
    ax.set_yticks(range(len(labels)), labels)
    put_legend_above(ax, handles)
    label_axes(ax, x="Time")
    # This settles the layout, so that bars have their final width.
    ax.figure.canvas.figure.draw_without_rendering()
    label_time_axis(ax, network, date)
    for bar, note in sizes:
        if note.get_window_extent().width > 0.92 * bar.get_window_extent().width:
            note.remove()
    return ax


def _draw_batch(
    ax: Axes, batch: Batch | RunningBatch, row: int, colour: str, hatch: str
) -> tuple[Rectangle, Text]:
    """Draw a bar and its size in the middle of what is seen of it, clear of dots of the hatch."""
    (bar,) = ax.barh(
        row,
        batch.finish - batch.start,
        left=batch.start,
        height=0.7,
        color=colour,
        hatch=hatch,
        edgecolor="black",
        linewidth=0.5,
    )
    seen_from = max(batch.start, 0.0) if batch.finish > 0 else batch.start
    note = ax.text(
        (seen_from + batch.finish) / 2,
        row,
        f"{batch.size:.3g}",
        ha="center",
        va="center",
        fontsize=NOTE_SIZE,
        color="white" if colour in DARK else "black",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 2.0},
    )
    return bar, note


def _patch(task: str, colour: str, hatch: str) -> Patch:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.5, label=plain(task))


def _blank(label: str) -> Artist:
    """Return an entry of the legend that is text alone."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", label=plain(label))


def _in_order(known: Iterable[str], used: Iterable[str]) -> list[str]:
    """List names in the plant's order, then those it does not know."""
    return list(dict.fromkeys([*known, *used]))


def _task_style(number: int) -> tuple[str, str]:
    """Return a colour and a hatch that no earlier task has."""
    rounds, style = divmod(number, len(_TASK_STYLES))
    colour, hatch = _TASK_STYLES[style]
    return colour, hatch + _MORE_HATCHES[rounds % len(_MORE_HATCHES)]
