"""Where the training rows lie, and how far from them other conditions are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.yield_model.folds import Blocks

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_POINTS = 6_000
LEAF = 64
"""Points in a leaf of a search tree: in 7 or 8 dimensions a query takes 0.8 of the time of 16."""
_NEIGHBOURS = 20
_SHARE_IN_RANGE = 0.975
_MOST_KNOTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """Puts each input on a scale of its own: normal scores of its ranks in training.

    The tails of a mixture of operating modes are stretched by it as those of one mode are. Inputs
    of 0 and 1 are standardised.

    Parameters
    ----------
    knots : tuple of q arrays
        Values of each input, increasing.
    scores : tuple of q arrays
        Their coordinates.
    """

    knots: tuple[Array, ...]
    scores: tuple[Array, ...]

    def transform(self, inputs: Array) -> Array:
        """Coordinates of the rows, (n, q); beyond the knots they stay at the end."""
        columns = [
            np.interp(inputs[:, j], knots, scores)
            for j, (knots, scores) in enumerate(zip(self.knots, self.scores, strict=True))
        ]
        return np.column_stack(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """Training rows, and how far from them a row may lie.

    Parameters
    ----------
    coordinates
        The space in which distances are measured.
    points : (r, q) array
        Coordinates of the training rows, all or a random part.
    distances : (r,) array
        Of each point to those of other blocks.
    n_neighbours
        How many of the nearest points a distance is the mean of.
    limit
        Largest usual distance.

    Notes
    -----
    The distance to the nearest neighbours follows operating modes of any shape (Ramaswamy et al.
    2000, doi:10.1145/342009.335437). The limit is the 97.5 % quantile of the distances of training
    rows to those of other blocks, so near copies in one group do not make it small.
    """

    coordinates: Coordinates
    points: Array
    distances: Array
    n_neighbours: int
    limit: float
    _tree: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self.points, leafsize=LEAF))

    def distance(self, coordinates: Array) -> Array:
        """Mean distance to the nearest points, (n,), of rows in coordinates."""
        return mean_distance(self._tree, coordinates, self.n_neighbours)

    def nearest(self, coordinates: Array) -> Indices:
        """Find the number of the nearest point, (n,)."""
        return np.asarray(self._tree.query(coordinates)[1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as they are saved."""
        return {
            "knots": [knots.tolist() for knots in self.coordinates.knots],
            "scores": [scores.tolist() for scores in self.coordinates.scores],
            "points": self.points.tolist(),
            "distances": self.distances.tolist(),
            "n_neighbours": self.n_neighbours,
            "limit": self.limit,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Neighbourhood:
        """Read what `to_dict` returned."""
        return cls(
            coordinates=Coordinates(
                knots=tuple(np.array(v, dtype=float) for v in saved["knots"]),
                scores=tuple(np.array(v, dtype=float) for v in saved["scores"]),
            ),
            points=np.array(saved["points"], dtype=float),
            distances=np.array(saved["distances"], dtype=float),
            n_neighbours=int(saved["n_neighbours"]),
            limit=float(saved["limit"]),
        )


def learn_neighbourhood(
    inputs: Array,
    *,
    continuous: NDArray[np.bool_],
    blocks: Blocks,
    seed: int,
) -> tuple[Neighbourhood, Indices]:
    """Find the coordinates and how far apart rows of different blocks usually lie.

    Parameters
    ----------
    inputs : (n, q) array
        Encoded training rows.
    continuous : (q,) bool array
        Which inputs are not 0 or 1.
    blocks
        Which rows belong together.
    seed
        Of the choice of rows where there are more than 6,000.

    Returns
    -------
    Neighbourhood
    (r,) int array
        Rows that are its points.
    """
    coordinates = _learn_coordinates(inputs, continuous)
    n_rows = len(inputs)
    copies = n_rows / max(blocks.n_independent(n_rows), 1)
    chosen = np.sort(np.random.default_rng(seed).permutation(n_rows)[:MOST_POINTS])
    points = coordinates.transform(inputs[chosen])
    n_neighbours = int(np.clip(round(_NEIGHBOURS * copies), 1, max(len(points) // 4, 1)))
    group = np.arange(len(points)) if blocks.group is None else blocks.group[chosen]
    distances, _ = nearest_elsewhere(points, group, n_neighbours)
    distances = distances.mean(axis=1)
    limit = float(np.quantile(distances, _SHARE_IN_RANGE)) or 1e-9
    return Neighbourhood(
        coordinates=coordinates,
        points=points,
        distances=distances,
        n_neighbours=n_neighbours,
        limit=limit,
    ), chosen


def nearest_elsewhere(points: Array, group: Indices, n_neighbours: int) -> tuple[Array, Indices]:
    """Distances and numbers of each point's nearest points of other groups, both (r, k).

    Where a point has fewer than k near ones elsewhere its last is repeated.
    """
    largest = int(np.bincount(np.unique(group, return_inverse=True)[1]).max())
    k = min(n_neighbours + largest, len(points))
    found, nearest = cKDTree(points).query(points, k=k)
    elsewhere = group[nearest] != group[:, None]
    # Those elsewhere first, in order of distance.
    order = np.argsort(~elsewhere, axis=1, kind="stable")[:, :n_neighbours]
    last = np.maximum(elsewhere.sum(axis=1) - 1, 0)
    order = np.take_along_axis(order, np.minimum(np.arange(order.shape[1]), last[:, None]), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(nearest, order, axis=1)


def mean_distance(tree: cKDTree, coordinates: Array, n_neighbours: int) -> Array:
    """Mean distance to the nearest points, (n,), some rows at a time to bound the memory."""
    distance = np.empty(len(coordinates))
    k = min(n_neighbours, tree.n)
    for first in range(0, len(coordinates), 20_000):
        rows = slice(first, first + 20_000)
        found = np.asarray(tree.query(coordinates[rows], k=k)[0], dtype=float)
        distance[rows] = found if found.ndim == 1 else found.mean(axis=1)
    return distance


def _learn_coordinates(inputs: Array, continuous: NDArray[np.bool_]) -> Coordinates:
    """Take normal scores of mid-ranks; standard scores for inputs of 0 and 1."""
    knots, scores = [], []
    for values, ranked in zip(inputs.T, continuous, strict=True):
        levels, counts = np.unique(values, return_counts=True)
        if ranked:
            found = ndtri((np.cumsum(counts) - 0.5 * counts) / len(values))
        else:
            found = (levels - values.mean()) / (values.std() or 1.0)
        if len(levels) > _MOST_KNOTS:  # denser at the ends, where the scores bend
            share = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, _MOST_KNOTS))
            kept = np.unique(np.round(share * (len(levels) - 1)).astype(int))
            levels, found = levels[kept], found[kept]
        knots.append(levels)
        scores.append(found)
    return Coordinates(knots=tuple(knots), scores=tuple(scores))
