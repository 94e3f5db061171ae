"""The state-task network: states as circles, tasks as boxes, from left to right."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from stnopt.arguments import check_arguments
from stnopt.plant.network import Network
from stnopt.plot.network_layout import (
    RECYCLE_GAP,
    SIDE,
    Point,
    arrange_in_layers,
    fits_inside,
    network_arcs,
    node_extents,
    place_nodes,
    state_radius,
    text_width,
)
from stnopt.plot.style import (
    AXES,
    COLUMN_WIDTH,
    DARK,
    GREEN,
    NOTE_SIZE,
    new_axes,
    plain,
    put_legend_above,
    size_in_inches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes


_STATE_COLOURS = {"raw material": "#E0E0E0", "intermediate": "white", "product": GREEN}


def plot_network(network: Network, *, ax: Axes | None = None) -> Axes:
    """Draw the state-task network from left to right: states as circles, tasks as boxes.

    Fractions other than 1 stand on the arcs. Arcs that lead back (recycles) run below.

    Parameters
    ----------
    network : Network
    ax : Axes, optional
    """
    check_arguments(network=(network, Network), ax=(ax, AXES))
    from matplotlib.patches import Patch

    arcs = network_arcs(network)
    layers, chains, recycles = arrange_in_layers(arcs)
    width, room = COLUMN_WIDTH, math.inf
    if ax is not None:
        width, room = size_in_inches(ax)
    elif max(map(text_width, network.states)) > COLUMN_WIDTH / len(layers):
        width = 2 * COLUMN_WIDTH  # the names need both columns of a page
    per_layer = width / (len(layers) - 1 + 2 * SIDE)
    for _ in range(3):  # letters do not shrink with the axes: a flat one is laid out again
        extent = node_extents(network, per_layer)
        place = place_nodes(layers, chains, recycles, extent)
        lowest = min(place[node][1] - extent[node][1] for node in extent)
        highest = max(place[node][1] + extent[node][1] for node in extent)
        floor = lowest - RECYCLE_GAP * len(recycles)
        height = highest - floor + 0.2
        if per_layer * height <= room:
            break
        per_layer = room / height
    if ax is None:
        ax = new_axes(width=width, height=per_layer * height + 0.25)

    radius = state_radius(per_layer)
    half_width = {node: radius if node[0] == "state" else extent[node][0] for node in extent}
    for chain in chains:
        ends = (chain[0], chain[-1])
        points = [place[node] for node in chain]
        points[0] = (points[0][0] + half_width[ends[0]], points[0][1])
        points[-1] = (points[-1][0] - half_width[ends[1]], points[-1][1])
        _draw_arc(ax, points, at_task=-1 if ends[1][0] == "task" else 0, share=arcs[ends])
    for number, (source, target) in enumerate(recycles):
        bottom = lowest - RECYCLE_GAP * (number + 1)
        (x_from, y_from), (x_to, y_to) = place[source], place[target]
        _draw_recycle(
            ax,
            (x_from, y_from - extent[source][1]),
            (x_to, y_to - extent[target][1]),
            bottom,
            arcs[source, target],
        )
    roles = {name: _state_role(network, name) for name in network.states}
    for name, role in roles.items():
        _draw_state(ax, name, place["state", name], radius, _STATE_COLOURS[role])
    for name in network.tasks:
        _draw_task(ax, name, place["task", name], extent["task", name])

    ax.set_xlim(-SIDE, len(layers) - 1 + SIDE)
    ax.set_ylim(floor - 0.1, highest + 0.1)
    ax.set_aspect("equal", adjustable="box")
    ax.set_axis_off()
    put_legend_above(
        ax,
        [
            Patch(facecolor=colour, edgecolor="black", linewidth=0.6, label=meaning)
            for meaning, colour in _STATE_COLOURS.items()
            if meaning in roles.values()
        ],
    )
    return ax


def _state_role(network: Network, name: str) -> str:
    """Tell what a state is to the plant."""
    if network.states[name].unlimited or not network.producers(name):
        return "raw material"
    is_sold = name in network.products or not network.consumers(name)
    return "product" if is_sold else "intermediate"


def _draw_state(ax: Axes, name: str, place: Point, radius: float, colour: str) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(
        Circle(place, radius, facecolor=colour, edgecolor="black", linewidth=0.8, zorder=3)
    )
    inside = fits_inside(name)
    ax.annotate(
        plain(name),
        place if inside else (place[0], place[1] - radius),
        xytext=(0, 0) if inside else (0, -1),
        textcoords="offset points",
        ha="center",
        va="center" if inside else "top",
        fontsize=NOTE_SIZE,
        color="white" if inside and colour in DARK else "black",
        zorder=5,
    )


def _draw_task(ax: Axes, name: str, place: Point, extent: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    (x, y), (half_width, half_height) = place, extent
    ax.add_patch(
        Rectangle(
            (x - half_width, y - half_height),
            2 * half_width,
            2 * half_height,
            facecolor="#DCEEFA",
            edgecolor="black",
            linewidth=0.8,
            zorder=3,
        )
    )
    ax.text(
        x,
        y,
        plain(name),
        ha="center",
        va="center",
        rotation=90 if half_height > half_width else 0,
        fontsize=NOTE_SIZE,
        zorder=5,
    )


def _draw_arc(ax: Axes, points: Sequence[Point], *, at_task: int, share: float) -> None:
    """Draw a smooth arrow through the points; its fraction stands on the piece next to the task."""
    pieces = list(pairwise(points))
    curve, codes = [points[0]], [1]
    for (x_from, y_from), (x_to, y_to) in pieces:
        middle = (x_from + x_to) / 2
        curve += [(middle, y_from), (middle, y_to), (x_to, y_to)]
        codes += [4, 4, 4]
    _add_arrow(ax, curve, codes)
    (x_from, y_from), (x_to, y_to) = pieces[at_task]
    if abs(y_to - y_from) < 0.2:
        _note_share(ax, ((x_from + x_to) / 2, max(y_from, y_to)), share, above=True)
    else:
        t = 0.42  # a little before the middle, so that the arrow's head stays free
        along = 3 * t**2 - 2 * t**3
        bend = 1.5 * t * (1 - t)
        x = (1 - t) ** 3 * x_from + bend * (x_from + x_to) + t**3 * x_to
        _note_share(ax, (x, y_from + along * (y_to - y_from)), share, above=False)


def _draw_recycle(ax: Axes, start: Point, end: Point, bottom: float, share: float) -> None:
    """Draw an arrow that leads back below everything else."""
    # A cubic reaches three quarters of the way to its control points.
    deep = [y + (bottom - y) * 4 / 3 for y in (start[1], end[1])]
    _add_arrow(ax, [start, (start[0], deep[0]), (end[0], deep[1]), end], [1, 4, 4, 4])
    lowest = (start[1] + end[1] + 3 * (deep[0] + deep[1])) / 8
    _note_share(ax, ((start[0] + end[0]) / 2, lowest), share, above=True)


def _add_arrow(ax: Axes, curve: Sequence[Point], codes: Sequence[int]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    ax.add_patch(
        FancyArrowPatch(
            path=Path(curve, codes),
            arrowstyle="-|>",
            mutation_scale=5,
            linewidth=0.7,
            color="#404040",
            zorder=2,
        )
    )


def _note_share(ax: Axes, place: Point, share: float, *, above: bool) -> None:
    """Write a fraction above its arc or, where that is steep, on it."""
    if abs(share - 1) > 1e-9:
        ax.annotate(
            f"{share:.3g}",
            place,
            xytext=(0, 1.5 if above else 0),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "center",
            fontsize=NOTE_SIZE - 0.5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
            zorder=1 if above else 4,
        )
