"""Directions in the space of the products, in which it is asked how far a plant reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stnopt.plant.network import Network

_N_DIRECTIONS = 24


def directions(p: int) -> NDArray[np.float64]:
    """Directions, spread evenly (two products) or at random with a fixed seed, axes included.

    Returns
    -------
    (k, p) array
        Of length 1 each.
    """
    if p == 1:
        return np.array([[1.0], [-1.0]])
    if p == 2:
        angle = np.arange(_N_DIRECTIONS) * 2 * np.pi / _N_DIRECTIONS
        return np.column_stack([np.cos(angle), np.sin(angle)])
    random = np.random.default_rng(0).normal(size=(_N_DIRECTIONS, p))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return np.vstack([np.eye(p), -np.eye(p), random])


def directions_towards_more(p: int) -> NDArray[np.float64]:
    """Those of `directions` along which no product becomes less."""
    found = directions(p)
    return np.maximum(found[found.min(axis=1) >= -1e-12], 0.0)


def weights_to_maximise(p: int) -> NDArray[np.float64]:
    """Weights of sums of products to maximise: the axes, and mixtures of all products."""
    if p <= 2:
        return directions_towards_more(p)
    random = np.abs(np.random.default_rng(0).normal(size=(_N_DIRECTIONS, p)))
    return np.vstack([np.eye(p), random / np.linalg.norm(random, axis=1, keepdims=True)])


def weigh_products(network: Network, weights: Mapping[str, float]) -> Network:
    """Return a plant in which only some states are worth anything, and nothing costs.

    Its profit is the weighted sum of those states.
    """
    states = {
        name: replace(state, price=float(weights.get(name, 0.0)), cost=0.0)
        for name, state in network.states.items()
    }
    tasks = {
        name: replace(
            task,
            units={
                unit: replace(fit, fixed_cost=0.0, cost_per_amount=0.0)
                for unit, fit in task.units.items()
            },
        )
        for name, task in network.tasks.items()
    }
    return replace(network, states=states, tasks=tasks)
