"""Figures: networks, schedules, stocks, samples, regions and frontiers.

Each function draws on the axes it is given, or on new ones that suit a 3.5 inch column, and
returns them. None shows or saves anything. Colours are those of Okabe and Ito (2008), which
colour-blind readers can tell apart; marks and hatches say the same again.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.feasibility.region import KernelRegion
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE
from stnopt.scheduling.replay import replay_stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from stnopt.feasibility.region import LinearRegion
    from stnopt.feasibility.samples import TargetSamples
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Batch, Schedule

_SKY, _ORANGE, _GREEN, _PURPLE = "#56B4E9", "#E69F00", "#009E73", "#CC79A7"
_YELLOW, _BLUE, _VERMILLION, _GREY = "#F0E442", "#0072B2", "#D55E00", "#999999"
_TASK_COLOURS = (_SKY, _ORANGE, _GREEN, _PURPLE, _YELLOW, _VERMILLION, _BLUE, _GREY)
_TASK_HATCHES = ("", "//", "..", "xx")  # a new one for each round of colours
_DARK = {_GREEN, _BLUE, _VERMILLION}  # white text reads better on these

_COLUMN_WIDTH = 3.5  # inches
_LABEL_SIZE, _TICK_SIZE, _NOTE_SIZE = 8, 7, 6  # points
_LEGEND_LETTERS = 60  # that fit side by side, marks included
_GRID = 241  # points per axis on which a region's boundary is drawn


class Frontier(Protocol):
    """What `plot_frontier` draws: the boundary between what can and what cannot be made."""

    @property
    def vertices(self) -> ArrayLike:
        """Corners of the boundary in order, (k, 2), amount."""

    @property
    def products(self) -> Sequence[str]:
        """Names of the two products."""


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
    from matplotlib.patches import Patch

    known_units, known_tasks = (network.units, network.tasks) if network else ((), ())
    units = _in_order(known_units, (batch.unit for batch in schedule.batches))
    tasks = _in_order(known_tasks, (batch.task for batch in schedule.batches))
    used = {batch.task for batch in schedule.batches}
    if ax is None:
        ax = _new_axes(height=0.9 + 0.3 * max(1, len(units)) + 0.16 * math.ceil(len(used) / 3))
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
            fontsize=_NOTE_SIZE,
            color="white" if colour in _DARK else "black",
        )
        sizes.append((bar, note))
    ax.set_xlim(0, schedule.horizon)
    ax.set_yticks(range(len(units)), units)
    ax.set_ylim(max(1, len(units)) - 0.5, -0.5)
    _label_axes(ax, x=_with_unit("Time", network.time_unit if network else ""))
    handles = [
        Patch(
            facecolor=style[task][0],
            hatch=style[task][1],
            edgecolor="black",
            linewidth=0.5,
            label=task,
        )
        for task in tasks
        if task in used
    ]
    _put_legend_above(ax, handles)
    # This settles the layout, so that bars have their final width.
    ax.figure.canvas.figure.draw_without_rendering()
    for bar, note in sizes:
        if note.get_window_extent().width > 0.92 * bar.get_window_extent().width:
            note.remove()
    return ax


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
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

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
    ax = ax or _new_axes(height=0.8 + 0.42 * len(states))
    any_waiting = any_capacity = any_left = False
    for lane, name in enumerate(reversed(states)):
        rows = levels[levels["state"] == name]
        times, stored, waiting = (rows[c].to_numpy() for c in ("time", "stored", "waiting"))
        capacity = network.states[name].capacity
        limited = 0 < capacity < math.inf
        scale = max(total[name], capacity if limited else 0.0) or 1.0
        base, height = float(lane), 0.8 / scale
        low, top = base + height * stored, base + height * (stored + waiting)
        ax.fill_between(times, base, low, step="post", color=_SKY, linewidth=0)
        ax.plot(times, top, drawstyle="steps-post", color="black", linewidth=0.8)
        if np.any(waiting > nothing):
            any_waiting = True
            ax.fill_between(
                times,
                low,
                top,
                step="post",
                facecolor="white",
                edgecolor=_VERMILLION,
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
        ax.axhline(base, color=_GREY, linewidth=0.5)
        note = f"{scale:.4g}" if capacity > 0 else f"{scale:.4g}\n(no tank)"
        ax.annotate(
            note,
            (1, base + 0.8),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center" if capacity > 0 else "top",
            fontsize=_NOTE_SIZE,
        )
    ax.set_xlim(0, schedule.horizon)
    ax.set_ylim(-0.1, len(states))
    ax.set_yticks(np.arange(len(states)) + 0.4, list(reversed(states)))
    ax.tick_params(axis="y", length=0)
    _label_axes(ax, x=_with_unit("Time", network.time_unit))
    handles: list[Artist] = [
        Patch(facecolor=_SKY, label=_with_unit("stored", network.amount_unit)),
    ]
    if any_waiting:
        handles.append(
            Patch(facecolor="white", edgecolor=_VERMILLION, hatch="/////", label="waiting in unit")
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
    _put_legend_above(ax, handles)
    return ax


def plot_samples(samples: TargetSamples, *, ax: Axes | None = None) -> Axes:
    """Draw labelled targets of two products: blue circles can be made, red crosses cannot.

    Parameters
    ----------
    samples : TargetSamples
        Of exactly two products; undecided targets are grey.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When there are not two products.
    """
    x, y = _two_names(samples.products, "plot_samples")
    ax = ax or _new_axes(height=3.1)
    _scatter_samples(ax, samples, x, y)
    _label_target_axes(ax, (x, y), samples.scope)
    _put_legend_above(ax)
    return ax


def plot_region(
    region: LinearRegion | KernelRegion,
    *,
    samples: TargetSamples | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a learned region of two products: its boundary, the feasible side shaded.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        Of exactly two inputs. The support vectors of a kernel region are ringed.
    samples : TargetSamples, optional
        Drawn on top.
    bounds : mapping of str to (lower, upper), amount, optional
        Window to draw; by default the region's training box, or else the extent of the samples.
    ax : Axes, optional

    Raises
    ------
    InvalidInputError
        When there are not two inputs, the samples are of other products, or no window is known.
    """
    x, y = _two_names(region.inputs, "plot_region")
    if samples is not None and set(samples.products) != {x, y}:
        raise InvalidInputError(
            f"plot_region: the region is over {x!r} and {y!r}, the samples over "
            f"{', '.join(map(repr, samples.products))}"
        )
    (x_low, x_high), (y_low, y_high) = _window(region, samples, bounds)
    ax = ax or _new_axes(height=3.2)

    xs, ys = np.linspace(x_low, x_high, _GRID), np.linspace(y_low, y_high, _GRID)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)
    decision = region.decision(grid.reshape(-1, 2)).reshape(_GRID, _GRID)
    if decision.min() <= 0:
        ax.contourf(xs, ys, decision, levels=[-math.inf, 0], colors=[_SKY], alpha=0.25, zorder=0)
    if decision.min() < 0 < decision.max():
        ax.contour(xs, ys, decision, levels=[0], colors="black", linewidths=1.2, zorder=2)
    ax.plot([], [], color="black", linewidth=1.2, label="learned boundary")
    if isinstance(region, KernelRegion):
        vectors = region.raw_support_vectors
        inside = np.all((vectors >= [x_low, y_low]) & (vectors <= [x_high, y_high]), axis=1)
        ax.scatter(
            vectors[inside, 0],
            vectors[inside, 1],
            s=42,
            facecolors="none",
            edgecolors="black",
            linewidths=0.6,
            label="support vector",
            zorder=4,
        )
    if samples is not None:
        _scatter_samples(ax, samples, x, y)
    ax.set_xlim(x_low, x_high)
    ax.set_ylim(y_low, y_high)
    _label_target_axes(ax, (x, y), region.origin)
    _put_legend_above(ax)
    return ax


def plot_frontier(
    frontier: Frontier | CertifiedRegion,
    *,
    at: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a plant can make of some products, what it cannot, and what is not decided.

    Two products: the area, with the boundary; on axes that show something already, such as those
    of `plot_region`, the boundary alone. Undecided slivers are outlined, so that thin ones show.
    Three: the surface of what is certified, coloured by how much of the third product is undecided
    above it. More: a panel for every pair, with the other products held at least at some amount.

    Parameters
    ----------
    frontier : CertifiedRegion
        Or, for two products, any object with `vertices`, a (k, 2) array of corners in order
        [amount], and `products`, the two names.
    at : mapping of str to float, amount, optional
        Four products or more: how much of each is asked for in the panels that do not show it, by
        default a quarter of the most of it. 0 asks for none.
    ax : Axes, optional
        For three products with ``projection="3d"``; for more, the panels fill its place and are its
        `child_axes`.

    Raises
    ------
    InvalidInputError
        When the products, the vertices, `at` or the axes do not fit.
    """
    if at is not None and (len(frontier.products) < 4 or not set(at) <= set(frontier.products)):
        raise InvalidInputError(
            "plot_frontier: `at` holds products of four or more, got at="
            f"{dict(at)} for {', '.join(frontier.products)}"
        )
    if isinstance(frontier, CertifiedRegion) and len(frontier.products) == 3:
        return _draw_surface(frontier, ax)
    if isinstance(frontier, CertifiedRegion) and len(frontier.products) > 3:
        return _draw_slices(frontier, at or {}, ax)
    names = _two_names(frontier.products, "plot_frontier")
    vertices = np.asarray(frontier.vertices, dtype=float)
    if vertices.ndim != 2 or vertices.shape[1] != 2:
        raise InvalidInputError(
            f"plot_frontier: expected vertices of shape (k, 2), got {vertices.shape}"
        )
    ax = ax or _new_axes(height=3.1)
    if isinstance(frontier, CertifiedRegion) and not ax.has_data():
        _draw_area(ax, frontier)
        ax.plot(*vertices.T, color="black", linewidth=1.2, zorder=3.5)
    else:
        ax.plot(*vertices.T, "--", color=_PURPLE, linewidth=1.6, label="true frontier", zorder=3.5)
    _label_target_axes(ax, names, getattr(frontier, "scope", {}))
    _put_legend_above(ax)
    return ax


def plot_network(network: Network, *, ax: Axes | None = None) -> Axes:
    """Draw the state-task network from left to right: states as circles, tasks as boxes.

    Fractions other than 1 stand on the arcs. Arcs that lead back (recycles) run below.

    Parameters
    ----------
    network : Network
    ax : Axes, optional
    """
    from matplotlib.patches import Patch

    arcs = _network_arcs(network)
    layers, chains, recycles = _arrange_in_layers(arcs)
    width, room = _COLUMN_WIDTH, math.inf
    if ax is not None:
        width, room = _size_in_inches(ax)
    elif max(map(_text_width, network.states)) > _COLUMN_WIDTH / len(layers):
        width = 2 * _COLUMN_WIDTH  # the names need both columns of a page
    per_layer = width / (len(layers) - 1 + 2 * _SIDE)
    for _ in range(3):  # letters do not shrink with the axes: a flat one is laid out again
        extent = _node_extents(network, per_layer)
        place = _place_nodes(layers, chains, recycles, extent)
        lowest = min(place[node][1] - extent[node][1] for node in extent)
        highest = max(place[node][1] + extent[node][1] for node in extent)
        floor = lowest - _RECYCLE_GAP * len(recycles)
        height = highest - floor + 0.2
        if per_layer * height <= room:
            break
        per_layer = room / height
    if ax is None:
        ax = _new_axes(width=width, height=per_layer * height + 0.25)

    radius = _state_radius(per_layer)
    reach = {node: radius if node[0] == "state" else extent[node][0] for node in extent}
    for chain in chains:
        ends = (chain[0], chain[-1])
        points = [place[node] for node in chain]
        points[0] = (points[0][0] + reach[ends[0]], points[0][1])
        points[-1] = (points[-1][0] - reach[ends[1]], points[-1][1])
        _draw_arc(ax, points, at_task=-1 if ends[1][0] == "task" else 0, share=arcs[ends])
    for number, (source, target) in enumerate(recycles):
        bottom = lowest - _RECYCLE_GAP * (number + 1)
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

    ax.set_xlim(-_SIDE, len(layers) - 1 + _SIDE)
    ax.set_ylim(floor - 0.1, highest + 0.1)
    ax.set_aspect("equal", adjustable="box")
    ax.set_axis_off()
    _put_legend_above(
        ax,
        [
            Patch(facecolor=colour, edgecolor="black", linewidth=0.6, label=meaning)
            for meaning, colour in _STATE_COLOURS.items()
            if meaning in roles.values()
        ],
    )
    return ax


# How a network is laid out: layers from left to right, bends where an arc passes a layer.

_Node = tuple[str, str]  # ("state" | "task" | "bend", name)
_Point = tuple[float, float]
_LAYOUT_TRIES = 30
_SIDE = 0.3  # margin left and right, in units of the distance between layers
_RECYCLE_GAP = 0.45


def _network_arcs(network: Network) -> dict[tuple[_Node, _Node], float]:
    """From source to target: the fraction of the batch that flows."""
    arcs: dict[tuple[_Node, _Node], float] = {}
    for task in network.tasks.values():
        for state, share in task.consumes.items():
            arcs[("state", state), ("task", task.name)] = share
        for state, share in task.produces.items():
            arcs[("task", task.name), ("state", state)] = share
    return arcs


def _arrange_in_layers(
    arcs: Mapping[tuple[_Node, _Node], float],
) -> tuple[list[list[_Node]], list[list[_Node]], list[tuple[_Node, _Node]]]:
    """Return layers of nodes, forward arcs as chains through them, and the arcs that lead back.

    An arc leads back when a depth-first walk from the raw materials meets its target on the way it
    came. A node stands one layer after its last predecessor; what has no predecessor, one layer
    before its first successor.
    """
    after: dict[_Node, list[_Node]] = {}
    for source, target in arcs:
        after.setdefault(source, []).append(target)
        after.setdefault(target, [])
    fed = {target for _, target in arcs}
    recycles: list[tuple[_Node, _Node]] = []
    finished: list[_Node] = []  # in reverse topological order
    on_the_way: set[_Node] = set()

    def walk(node: _Node) -> None:
        on_the_way.add(node)
        for target in after[node]:
            if target in on_the_way:
                recycles.append((node, target))
            elif target not in finished:
                walk(target)
        on_the_way.remove(node)
        finished.append(node)

    for node in sorted(after, key=lambda node: node in fed):
        if node not in finished:
            walk(node)
    straight = [arc for arc in arcs if arc not in recycles]
    layer: dict[_Node, int] = {}
    for node in reversed(finished):
        before = [layer[source] for source, target in straight if target == node]
        layer[node] = 1 + max(before, default=-1)
    for node in finished:
        if all(target != node for _, target in straight) and after[node]:
            nexts = [layer[target] for source, target in straight if source == node]
            layer[node] = max(0, min(nexts, default=1) - 1)

    layers: list[list[_Node]] = [[] for _ in range(1 + max(layer.values()))]
    for node in reversed(finished):
        layers[layer[node]].append(node)
    chains = []
    for source, target in straight:
        bends = [
            ("bend", f"{source} {target} {passed}")
            for passed in range(layer[source] + 1, layer[target])
        ]
        for passed, bend in enumerate(bends, start=layer[source] + 1):
            layers[passed].append(bend)
        chains.append([source, *bends, target])
    return layers, chains, recycles


def _place_nodes(
    layers: Sequence[Sequence[_Node]],
    chains: Sequence[Sequence[_Node]],
    recycles: Sequence[tuple[_Node, _Node]],
    extent: Mapping[_Node, tuple[float, float]],
) -> dict[_Node, _Point]:
    """Place the layers side by side, with as few crossing and as short arcs as a few tries find."""
    random = np.random.default_rng(0)  # the same plant always looks the same
    best: tuple[float, ...] = (math.inf,)
    place: dict[_Node, _Point] = {}
    for _ in range(_LAYOUT_TRIES):
        height = _settle_heights(layers, chains, extent)
        crossings = _count_crossings(layers, chains, height)
        crossings += _count_below(layers, recycles, height)
        found = crossings, _total_climb(chains, height)
        if found < best:
            best = found
            place = {
                node: (float(column), height[node])
                for column, layer in enumerate(layers)
                for node in layer
            }
        layers = [[layer[row] for row in random.permutation(len(layer))] for layer in layers]
    return place


def _settle_heights(
    layers: Sequence[Sequence[_Node]],
    chains: Iterable[Sequence[_Node]],
    extent: Mapping[_Node, tuple[float, float]],
) -> dict[_Node, float]:
    """Order each layer by where its neighbours stand, then draw neighbours to one height."""
    neighbours: dict[_Node, list[_Node]] = {node: [] for layer in layers for node in layer}
    for chain in chains:
        for left, right in pairwise(chain):
            neighbours[left].append(right)
            neighbours[right].append(left)
    height = {
        node: (len(layer) - 1) / 2 - row for layer in layers for row, node in enumerate(layer)
    }

    def wanted(node: _Node) -> float:
        near = [height[other] for other in neighbours[node]]
        return sum(near) / len(near) if near else height[node]

    for sweep in range(24):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            # The order settles in the first half; the second only straightens.
            key = wanted if sweep < 12 else height.__getitem__
            ordered = sorted(layer, key=key, reverse=True)
            goals = [wanted(node) for node in ordered]
            levels: list[float] = []
            for node, goal in zip(ordered, goals, strict=True):
                highest = math.inf
                if levels:
                    above = ordered[len(levels) - 1]
                    room = extent.get(above, (0, 0.05))[1] + extent.get(node, (0, 0.05))[1] + 0.22
                    highest = levels[-1] - room
                levels.append(min(goal, highest))
            shift = (sum(goals) - sum(levels)) / len(levels)
            height |= {node: level + shift for node, level in zip(ordered, levels, strict=True)}
    return height


def _count_crossings(
    layers: Sequence[Sequence[_Node]],
    chains: Iterable[Sequence[_Node]],
    height: Mapping[_Node, float],
) -> int:
    """Count the pairs of arcs between two layers whose order differs at their ends."""
    column = {node: number for number, layer in enumerate(layers) for node in layer}
    pieces: dict[int, list[_Point]] = {}
    for chain in chains:
        for left, right in pairwise(chain):
            pieces.setdefault(column[left], []).append((height[left], height[right]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for between in pieces.values()
        for a, b in combinations(between, 2)
    )


def _count_below(
    layers: Iterable[Sequence[_Node]],
    recycles: Iterable[tuple[_Node, _Node]],
    height: Mapping[_Node, float],
) -> int:
    """Count what stands below the ends of recycles, where their arcs pass: nodes ten times."""
    ends = [node for recycle in recycles for node in recycle]
    return sum(
        1 if other[0] == "bend" else 10
        for layer in layers
        for node in ends
        if node in layer
        for other in layer
        if height[other] < height[node]
    )


def _total_climb(chains: Iterable[Sequence[_Node]], height: Mapping[_Node, float]) -> float:
    """Sum how far the arcs go up or down, rounded so that mirror images tie."""
    return round(sum(abs(height[a] - height[b]) for chain in chains for a, b in pairwise(chain)), 6)


def _text_width(text: str) -> float:
    """Estimate how wide a note is, in inches."""
    return 0.6 * _NOTE_SIZE / 72 * len(text)


def _state_radius(per_layer: float) -> float:
    """Return a radius that leaves room for arcs and their fractions, in layers."""
    return min(0.23, 0.14 / per_layer)


def _node_extents(network: Network, per_layer: float) -> dict[_Node, tuple[float, float]]:
    """Half widths and heights, in layers; tasks stand upright where layers are narrow."""
    radius = _state_radius(per_layer)
    line = 1.3 * _NOTE_SIZE / 72 / per_layer
    extent: dict[_Node, tuple[float, float]] = {
        ("state", name): (radius, radius if _fits_inside(name) else radius + line)
        for name in network.states
    }
    lengths = {name: _text_width(name) / per_layer for name in network.tasks}
    upright = max(lengths.values()) > 0.6
    for name, length in lengths.items():
        half = length / 2 + 0.4 * line
        extent["task", name] = (0.65 * line, half) if upright else (half, 0.75 * line)
    return extent


_STATE_COLOURS = {"raw material": "#E0E0E0", "intermediate": "white", "product": _GREEN}


def _state_role(network: Network, name: str) -> str:
    """Tell what a state is to the plant."""
    if network.states[name].unlimited or not network.producers(name):
        return "raw material"
    is_sold = name in network.products or not network.consumers(name)
    return "product" if is_sold else "intermediate"


def _fits_inside(name: str) -> bool:
    """Whether a state's circle has room for its name."""
    return len(name) <= 3


def _draw_state(ax: Axes, name: str, place: _Point, radius: float, colour: str) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(
        Circle(place, radius, facecolor=colour, edgecolor="black", linewidth=0.8, zorder=3)
    )
    inside = _fits_inside(name)
    ax.annotate(
        name,
        place if inside else (place[0], place[1] - radius),
        xytext=(0, 0) if inside else (0, -1),
        textcoords="offset points",
        ha="center",
        va="center" if inside else "top",
        fontsize=_NOTE_SIZE,
        color="white" if inside and colour in _DARK else "black",
        zorder=5,
    )


def _draw_task(ax: Axes, name: str, place: _Point, extent: tuple[float, float]) -> None:
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
        name,
        ha="center",
        va="center",
        rotation=90 if half_height > half_width else 0,
        fontsize=_NOTE_SIZE,
        zorder=5,
    )


def _draw_arc(ax: Axes, points: Sequence[_Point], *, at_task: int, share: float) -> None:
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


def _draw_recycle(ax: Axes, start: _Point, end: _Point, bottom: float, share: float) -> None:
    """Draw an arrow that leads back below everything else."""
    # A cubic reaches three quarters of the way to its control points.
    deep = [y + (bottom - y) * 4 / 3 for y in (start[1], end[1])]
    _add_arrow(ax, [start, (start[0], deep[0]), (end[0], deep[1]), end], [1, 4, 4, 4])
    lowest = (start[1] + end[1] + 3 * (deep[0] + deep[1])) / 8
    _note_share(ax, ((start[0] + end[0]) / 2, lowest), share, above=True)


def _add_arrow(ax: Axes, curve: Sequence[_Point], codes: Sequence[int]) -> None:
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


def _note_share(ax: Axes, place: _Point, share: float, *, above: bool) -> None:
    """Write a fraction above its arc or, where that is steep, on it."""
    if abs(share - 1) > 1e-9:
        ax.annotate(
            f"{share:.3g}",
            place,
            xytext=(0, 1.5 if above else 0),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "center",
            fontsize=_NOTE_SIZE - 0.5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
            zorder=1 if above else 4,
        )


# How a certified region is drawn: lines towards more, halved where the labels along them change.

_HALVINGS = 32
_THIN = 1e-5  # share of the most below which nothing is drawn as undecided
_SURFACE_GRID = 61  # rays per angle of a surface


def _changes_along(
    region: CertifiedRegion, starts: NDArray[np.float64], steps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far along each line it is certified, and from where on it is out of reach.

    Parameters
    ----------
    starts, steps : (n, p) arrays, amount
        Lines from a start to start plus step, which is at least 0. Both answers are shares of it.
    """
    found = []
    for label, lasts in ((FEASIBLE, True), (INFEASIBLE, False)):
        low, high = np.zeros(len(starts)), np.ones(len(starts))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            before = (region.label(starts + middle[:, None] * steps) == label) == lasts
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        found.append((low + high) / 2)
    return found[0], np.maximum(found[0], found[1])


def _draw_area(
    ax: Axes, region: CertifiedRegion, pair: tuple[int, int] = (0, 1), at: ArrayLike = (0.0, 0.0)
) -> None:
    """Shade what two products can be together, and outline what is undecided."""
    x, y = pair
    most = region.upper
    corners = [0.0, *region.segments[:, :, 0].ravel()] if len(most) == 2 else [0.0]
    corners += [limit.lower[x] for limit in region.limits]
    corners += [float(piece[:, x].max()) for piece in region.pieces]
    beside_corners = (np.array(corners)[:, None] + 1e-9 * most[x] * np.array([-1, 1])).ravel()
    xs = np.unique(np.append(np.linspace(0, most[x], _GRID), beside_corners))
    xs = xs[(xs >= 0) & (xs <= most[x])]
    starts = np.tile(np.asarray(at, dtype=float), (len(xs), 1))
    starts[:, x], starts[:, y] = xs, 0.0
    steps = np.zeros_like(starts)
    steps[:, y] = most[y]
    known, proven = (most[y] * share for share in _changes_along(region, starts, steps))
    ax.fill_between(
        xs, 0, known, color=_SKY, alpha=0.45, linewidth=0, zorder=0, label="certified feasible"
    )
    is_open = proven - known > _THIN * most[y]
    if is_open.any():
        ax.fill_between(
            xs,
            known,
            proven,
            where=is_open,
            facecolor=_ORANGE,
            edgecolor=_VERMILLION,
            hatch="//////",
            linewidth=0.8,
            zorder=3,
            label="undecided",
        )


def _draw_surface(region: CertifiedRegion, ax: Axes | None) -> Axes:
    """Draw the surface of what is certified of three products, seen along rays from 0."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.colors import Normalize

    space: Any = ax
    if ax is None:
        figure = plt.figure(figsize=(_COLUMN_WIDTH, 3.6), layout="constrained")
        space = figure.add_subplot(projection="3d")
    elif ax.name != "3d":
        raise InvalidInputError(
            "plot_frontier: three products need axes with projection='3d', such as those of"
            " plt.figure().add_subplot(projection='3d')"
        )
    around, up = np.meshgrid(*[np.linspace(0, np.pi / 2, _SURFACE_GRID)] * 2)
    rays = np.stack([np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.sin(up)], axis=-1)
    rays = region.upper * rays / rays.max(axis=-1, keepdims=True)  # each ends at the box's side
    flat = rays.reshape(-1, 3)
    known, proven = _changes_along(region, np.zeros_like(flat), flat)
    width = (proven - known).reshape(around.shape)
    surface = rays * known.reshape(around.shape)[..., None]
    faces = (width[1:, 1:] + width[1:, :-1] + width[:-1, 1:] + width[:-1, :-1]) / 4
    colours, scale = mpl.colormaps["cividis_r"], Normalize(0, 100 * max(float(faces.max()), _THIN))
    space.plot_surface(
        *np.moveaxis(surface, -1, 0),
        facecolors=colours(scale(100 * faces)),
        rcount=_SURFACE_GRID,
        ccount=_SURFACE_GRID,
        edgecolor=(0.2, 0.2, 0.2, 0.35),
        linewidth=0.15,
        shade=False,
    )
    bar = space.figure.colorbar(
        mpl.cm.ScalarMappable(scale, colours), ax=space, location="top", shrink=0.7, pad=0.0
    )
    bar.set_label("undecided beyond the certified [% of the most]", fontsize=_LABEL_SIZE)
    bar.ax.tick_params(labelsize=_TICK_SIZE)
    unit = str(region.scope.get("amount_unit") or "")
    x, y, z = (_with_unit(name, unit) for name in region.products)
    _label_axes(space, x=x, y=y)
    space.set_zlabel(z, fontsize=_LABEL_SIZE)
    space.tick_params(pad=0)
    space.set_box_aspect(None, zoom=0.85)
    space.view_init(elev=28, azim=40)
    return space


def _draw_slices(region: CertifiedRegion, at: Mapping[str, float], ax: Axes | None) -> Axes:
    """Fill the place of the axes with a panel per pair of products."""
    p = len(region.products)
    ax = ax or _new_axes(width=2 * _COLUMN_WIDTH, height=2 * _COLUMN_WIDTH * 0.9)
    ax.set_axis_off()
    unit = str(region.scope.get("amount_unit") or "")
    held = [
        at.get(name, most / 4) for name, most in zip(region.products, region.upper, strict=True)
    ]
    side = 1 / (p - 1)
    room = 0.16 * side  # for the labels of a panel's axes
    for x, y in combinations(range(p), 2):
        panel = ax.inset_axes(
            (x * side + room, 1 - y * side + room, side - 1.4 * room, side - 1.4 * room)
        )
        _draw_area(panel, region, (x, y), held)
        panel.set_xlim(0, 1.05 * region.upper[x])
        panel.set_ylim(0, 1.05 * region.upper[y])
        _label_axes(
            panel,
            x=_with_unit(region.products[x], unit),
            y=_with_unit(region.products[y], unit),
        )
    handles = {each.get_label(): each for each in panel.collections}
    ax.legend(
        handles=list(handles.values()),
        loc="upper right",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize=_LABEL_SIZE,
        alignment="left",
        title="at least so much of the products\nthat a panel does not show:\n"
        + "\n".join(
            f"{name} {amount:.4g} {unit}".strip()
            for name, amount in zip(region.products, held, strict=True)
        ),
        title_fontsize=_LABEL_SIZE,
    )
    return ax


# What the figures share.


def _new_axes(*, height: float, width: float = _COLUMN_WIDTH) -> Axes:
    """Return the axes of a new figure; sizes in inches."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def _size_in_inches(ax: Axes) -> tuple[float, float]:
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return float(box.width), float(box.height)


def _label_axes(ax: Axes, *, x: str, y: str = "") -> None:
    ax.set_xlabel(x, fontsize=_LABEL_SIZE)
    ax.set_ylabel(y, fontsize=_LABEL_SIZE)
    ax.tick_params(labelsize=_TICK_SIZE)


def _label_target_axes(ax: Axes, names: tuple[str, str], facts: Mapping[str, object]) -> None:
    """Label both axes; `facts` are a scope or origin that may know the unit of amounts."""
    unit = str(facts.get("amount_unit") or "")
    if not unit and ax.get_xlabel().startswith(f"{names[0]} ["):
        return  # what was drawn before knew the unit
    _label_axes(ax, x=_with_unit(names[0], unit), y=_with_unit(names[1], unit))


def _put_legend_above(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Place the legend outside the data, above the axes, over their whole width."""
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    if handles:
        lengths = [len(str(handle.get_label())) + 5 for handle in handles]
        fits_one_row = sum(lengths) <= _LEGEND_LETTERS
        ax.legend(
            handles=list(handles),
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(handles) if fits_one_row else max(1, _LEGEND_LETTERS // max(lengths)),
            fontsize=_TICK_SIZE,
            frameon=False,
            handlelength=1.4,
            columnspacing=1.0,
        )


def _scatter_samples(ax: Axes, samples: TargetSamples, x: str, y: str) -> None:
    marks = (
        (-1, "feasible", "o", _BLUE),
        (1, "infeasible", "x", _VERMILLION),
        (0, "undecided", "s", _GREY),
    )
    for label, meaning, marker, colour in marks:
        chosen = samples.targets[samples.labels == label]
        if len(chosen):
            ax.plot(
                chosen[x],
                chosen[y],
                linestyle="none",
                marker=marker,
                markersize=3.8,
                markerfacecolor="none",
                markeredgecolor=colour,
                markeredgewidth=0.8,
                label=meaning,
                zorder=3,
            )


def _window(
    region: LinearRegion | KernelRegion,
    samples: TargetSamples | None,
    bounds: Mapping[str, tuple[float, float]] | None,
) -> list[tuple[float, float]]:
    """Return the interval to draw per input."""
    window = []
    for name, low, high in zip(region.inputs, region.lower, region.upper, strict=True):
        if bounds is not None and name in bounds:
            low, high = bounds[name]
        elif not (math.isfinite(low) and math.isfinite(high)) and samples is not None:
            low, high = samples.targets[name].min(), samples.targets[name].max()
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InvalidInputError(
                f"plot_region: no window is known for {name!r} (got {low} to {high}); "
                f"give bounds={{{name!r}: (lower, upper)}}"
            )
        margin = 0.02 * (high - low)  # whole marks at the rim
        window.append((float(low - margin), float(high + margin)))
    return window


def _two_names(names: Sequence[str], function: str) -> tuple[str, str]:
    if len(names) != 2:
        raise InvalidInputError(
            f"{function} draws exactly two products, got {len(names)}: {', '.join(names)}"
        )
    return names[0], names[1]


def _in_order(known: Iterable[str], used: Iterable[str]) -> list[str]:
    """List names in the plant's order, then those it does not know."""
    return list(dict.fromkeys([*known, *used]))


def _task_style(number: int) -> tuple[str, str]:
    """Return a colour and a hatch that no earlier task has."""
    rounds, colour = divmod(number, len(_TASK_COLOURS))
    return _TASK_COLOURS[colour], _TASK_HATCHES[rounds % len(_TASK_HATCHES)]


def _size_label(batch: Batch) -> str:
    return f"{batch.size:.3g}"


def _with_unit(label: str, unit: str) -> str:
    return f"{label} [{unit}]" if unit else label
