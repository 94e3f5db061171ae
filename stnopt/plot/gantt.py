"""The Gantt chart: a bar per batch in a row per unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stnopt.arguments import check_arguments, optional
from stnopt.plant.network import Network
from stnopt.plot.style import (
    AXES,
    BLUE,
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
    with_unit,
)
from stnopt.scheduling.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from stnopt.scheduling.schedule import Batch

_TASK_COLOURS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILION, BLUE, GREY)
_TASK_HATCHES = ("", "//", "..", "xx")  # a new one for each round of colours


def plot_gantt(
    schedule: Schedule, *, network: Network | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a bar per batch in a row per unit, one colour per task, the size where it fits.

    Parameters
    ----------
    schedule : Schedule
    network : Network, optional
        Gives the order of units and tasks, units that stand idle, and the time unit.
    ax : Axes, optional
    """
    check_arguments(
        schedule=(schedule, Schedule), network=(network, optional(Network)), ax=(ax, AXES)
    )
    from matplotlib.patches import Patch

    known_units, known_tasks = (network.units, network.tasks) if network else ((), ())
    units = _in_order(known_units, (batch.unit for batch in schedule.batches))
    tasks = _in_order(known_tasks, (batch.task for batch in schedule.batches))
    used = {batch.task for batch in schedule.batches}
    if ax is None:
        ax = new_axes(height=0.9 + 0.3 * max(1, len(units)) + 0.16 * math.ceil(len(used) / 3))
    style = {task: _task_style(number) for number, task in enumerate(tasks)}
    sizes = []
    for batch in schedule.batches:
        row = units.index(batch.unit)
        colour, hatch = style[batch.task]
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
        note = ax.text(
            (batch.start + batch.finish) / 2,
            row,
            _size_label(batch),
            ha="center",
            va="center",
            fontsize=NOTE_SIZE,
            color="white" if colour in DARK else "black",
        )
        sizes.append((bar, note))
    ax.set_xlim(0, schedule.horizon)
    ax.set_yticks(range(len(units)), [plain(unit) for unit in units])
    ax.set_ylim(max(1, len(units)) - 0.5, -0.5)
    label_axes(ax, x=with_unit("Time", network.time_unit if network else ""))
    handles = [
        Patch(
            facecolor=style[task][0],
            hatch=style[task][1],
            edgecolor="black",
            linewidth=0.5,
            label=plain(task),
        )
        for task in tasks
        if task in used
    ]
    put_legend_above(ax, handles)
    # This settles the layout, so that bars have their final width.
    ax.figure.canvas.figure.draw_without_rendering()
    for bar, note in sizes:
        if note.get_window_extent().width > 0.92 * bar.get_window_extent().width:
            note.remove()
    return ax


def _in_order(known: Iterable[str], used: Iterable[str]) -> list[str]:
    """List names in the plant's order, then those it does not know."""
    return list(dict.fromkeys([*known, *used]))


def _task_style(number: int) -> tuple[str, str]:
    """Return a colour and a hatch that no earlier task has."""
    rounds, colour = divmod(number, len(_TASK_COLOURS))
    return _TASK_COLOURS[colour], _TASK_HATCHES[rounds % len(_TASK_HATCHES)]


def _size_label(batch: Batch) -> str:
    return f"{batch.size:.3g}"
