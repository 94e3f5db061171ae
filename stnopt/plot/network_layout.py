"""How a network is laid out: layers from left to right, bends where an arc passes a layer."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from stnopt.plot.style import NOTE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stnopt.plant.network import Network

Node = tuple[str, str]  # ("state" | "task" | "bend", name)
Point = tuple[float, float]
_LAYOUT_TRIES = 30
SIDE = 0.3  # margin left and right, in units of the distance between layers
RECYCLE_GAP = 0.45


def network_arcs(network: Network) -> dict[tuple[Node, Node], float]:
    """From source to target: the fraction of the batch that flows."""
    arcs: dict[tuple[Node, Node], float] = {}
    for task in network.tasks.values():
        for state, share in task.consumes.items():
            arcs[("state", state), ("task", task.name)] = share
        for state, share in task.produces.items():
            arcs[("task", task.name), ("state", state)] = share
    return arcs


def arrange_in_layers(
    arcs: Mapping[tuple[Node, Node], float],
) -> tuple[list[list[Node]], list[list[Node]], list[tuple[Node, Node]]]:
    """Return layers of nodes, forward arcs as chains through them, and the arcs that lead back.

    An arc leads back when a depth-first walk from the raw materials meets its target on the way it
    came. A node stands one layer after its last predecessor; what has no predecessor, one layer
    before its first successor.
    """
    after: dict[Node, list[Node]] = {}
    for source, target in arcs:
        after.setdefault(source, []).append(target)
        after.setdefault(target, [])
    fed = {target for _, target in arcs}
    recycles: list[tuple[Node, Node]] = []
    finished: list[Node] = []  # in reverse topological order
    on_the_way: set[Node] = set()

    def walk(node: Node) -> None:
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
    layer: dict[Node, int] = {}
    for node in reversed(finished):
        before = [layer[source] for source, target in straight if target == node]
        layer[node] = 1 + max(before, default=-1)
    for node in finished:
        if all(target != node for _, target in straight) and after[node]:
            nexts = [layer[target] for source, target in straight if source == node]
            layer[node] = max(0, min(nexts, default=1) - 1)

    layers: list[list[Node]] = [[] for _ in range(1 + max(layer.values()))]
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


def place_nodes(
    layers: Sequence[Sequence[Node]],
    chains: Sequence[Sequence[Node]],
    recycles: Sequence[tuple[Node, Node]],
    extent: Mapping[Node, tuple[float, float]],
) -> dict[Node, Point]:
    """Place the layers side by side, with as few crossing and as short arcs as a few tries find."""
    random = np.random.default_rng(0)  # the same plant always looks the same
    best: tuple[float, ...] = (math.inf,)
    place: dict[Node, Point] = {}
    for _ in range(_LAYOUT_TRIES):
        height = _choose_heights(layers, chains, extent)
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


def _choose_heights(
    layers: Sequence[Sequence[Node]],
    chains: Iterable[Sequence[Node]],
    extent: Mapping[Node, tuple[float, float]],
) -> dict[Node, float]:
    """Order each layer by where its neighbours stand, then draw neighbours to one height."""
    neighbours: dict[Node, list[Node]] = {node: [] for layer in layers for node in layer}
    for chain in chains:
        for left, right in pairwise(chain):
            neighbours[left].append(right)
            neighbours[right].append(left)
    height = {
        node: (len(layer) - 1) / 2 - row for layer in layers for row, node in enumerate(layer)
    }

    def wanted(node: Node) -> float:
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
    layers: Sequence[Sequence[Node]],
    chains: Iterable[Sequence[Node]],
    height: Mapping[Node, float],
) -> int:
    """Count the pairs of arcs between two layers whose order differs at their ends."""
    column = {node: number for number, layer in enumerate(layers) for node in layer}
    pieces: dict[int, list[Point]] = {}
    for chain in chains:
        for left, right in pairwise(chain):
            pieces.setdefault(column[left], []).append((height[left], height[right]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0
        for between in pieces.values()
        for a, b in combinations(between, 2)
    )


def _count_below(
    layers: Iterable[Sequence[Node]],
    recycles: Iterable[tuple[Node, Node]],
    height: Mapping[Node, float],
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


def _total_climb(chains: Iterable[Sequence[Node]], height: Mapping[Node, float]) -> float:
    """Sum how far the arcs go up or down, rounded so that mirror images tie."""
    return round(sum(abs(height[a] - height[b]) for chain in chains for a, b in pairwise(chain)), 6)


def text_width(text: str) -> float:
    """Estimate how wide a note is, in inches."""
    return 0.6 * NOTE_SIZE / 72 * len(text)


def state_radius(per_layer: float) -> float:
    """Return a radius that leaves room for arcs and their fractions, in layers."""
    return min(0.23, 0.14 / per_layer)


def node_extents(network: Network, per_layer: float) -> dict[Node, tuple[float, float]]:
    """Half widths and heights, in layers; tasks stand upright where layers are narrow."""
    radius = state_radius(per_layer)
    line = 1.3 * NOTE_SIZE / 72 / per_layer
    extent: dict[Node, tuple[float, float]] = {
        ("state", name): (radius, radius if fits_inside(name) else radius + line)
        for name in network.states
    }
    lengths = {name: text_width(name) / per_layer for name in network.tasks}
    upright = max(lengths.values()) > 0.6
    for name, length in lengths.items():
        half = length / 2 + 0.4 * line
        extent["task", name] = (0.65 * line, half) if upright else (half, 0.75 * line)
    return extent


def fits_inside(name: str) -> bool:
    """Whether a state's circle has room for its name."""
    return len(name) <= 3
