"""Intervals from errors on rows left out of a fit, wide where their like erred much."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reactor_yield.yield_model.neighbourhood import LEAF, nearest_elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.yield_model.folds import Blocks
    from reactor_yield.yield_model.neighbourhood import Neighbourhood

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_NEIGHBOURS = 25
_SPREAD = 0.9
"""Quantile of the neighbours' scores that is called their usual error."""
_REMOTENESS = 6.0
"""Weight of the logarithm of the distance from the training rows: the outlying have their own
neighbours, the outlying of other sides, since errors grow there."""
_FEWEST_FOR_LOCAL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalErrors:
    """Scores of calibration rows, and how large they usually are near any conditions.

    A score is |error| / error bar of a row that the model was not fitted to. The usual error at
    some conditions is the 90 % quantile of the scores of the nearest calibration rows, and the
    interval is the split-conformal one of scores over usual errors: it covers the share asked for
    of rows drawn like the training rows, and widens where rows like these erred more.

    Parameters
    ----------
    places : (r, q + 1) array
        Coordinates of calibration rows, and how remote they are.
    scores : (r,) array
    n_neighbours
        0 where there are too few rows to tell conditions apart: the usual error is then 1.
    ratios : (r,) array, increasing
        Scores over the usual errors of rows of other blocks.
    independent
        How many of the ratios count as independent: the number of blocks of rows that belong
        together, or of rows where none do.

    References
    ----------
    Lei et al. (2018), doi:10.1080/01621459.2017.1307116; neighbours: Papadopoulos, Vovk &
    Gammerman (2011), doi:10.1613/jair.3198; blocks: Dunn, Wasserman & Ramdas (2023),
    doi:10.1080/01621459.2022.2060112.
    """

    places: Array
    scores: Array
    n_neighbours: int
    ratios: Array
    independent: int
    _tree: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self.places, leafsize=LEAF))

    def quantile(self, coordinates: Array, distance: Array, coverage: float) -> Array:
        """Score that covers this share, per row; infinite where there are too few rows for it.

        Parameters
        ----------
        coordinates : (n, q) array
        distance : (n,) array
            From the training rows.
        coverage
            Between 0 and 1.
        """
        share = (self.independent + 1) * coverage / max(self.independent, 1)
        rank = math.ceil(len(self.ratios) * share - 1e-9)
        ratio = float(self.ratios[rank - 1]) if rank <= len(self.ratios) else math.inf
        if not self.n_neighbours:
            return np.full(len(coordinates), ratio)
        return ratio * self._usual_errors(_place(coordinates, distance))

    def _usual_errors(self, places: Array) -> Array:
        usual = np.empty(len(places))
        for first in range(0, len(places), 20_000):  # bounds the memory of the neighbours
            rows = slice(first, first + 20_000)
            nearest = self._tree.query(places[rows], k=self.n_neighbours)[1]
            usual[rows] = np.quantile(self.scores[nearest], _SPREAD, axis=1)
        return usual

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as they are saved."""
        return {
            "places": self.places.tolist(),
            "scores": self.scores.tolist(),
            "n_neighbours": self.n_neighbours,
            "ratios": self.ratios.tolist(),
            "independent": self.independent,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> LocalErrors:
        """Read what `to_dict` returned."""
        return cls(
            places=np.array(saved["places"], dtype=float),
            scores=np.array(saved["scores"], dtype=float),
            n_neighbours=int(saved["n_neighbours"]),
            ratios=np.array(saved["ratios"], dtype=float),
            independent=int(saved["independent"]),
        )


def learn_local_errors(
    error: Array, error_bar: Array, *, neighbourhood: Neighbourhood, rows: Indices, blocks: Blocks
) -> LocalErrors:
    """Calibrate intervals on errors of rows that were left out of the fit.

    Parameters
    ----------
    error, error_bar : (n,) arrays
        Of each training row when it was left out; NaN where it was not tested.
    neighbourhood
        Of the training rows.
    rows : (r,) int array
        Training rows that are its points.
    blocks
        Which training rows belong together.
    """
    tested = np.isfinite(error[rows])
    rows = rows[tested]
    scores = np.abs(error[rows]) / error_bar[rows]
    smallest = 1e-3 * float(np.quantile(scores, _SPREAD)) or 1e-12
    scores = np.maximum(scores, smallest)
    places = _place(neighbourhood.points[tested], neighbourhood.distances[tested])
    here = blocks.take(rows)
    independent = here.n_independent(len(rows))
    if independent < _FEWEST_FOR_LOCAL:
        n_neighbours, ratios = 0, scores
    else:
        wanted = min(_NEIGHBOURS, independent // 3)
        n_neighbours = round(wanted * len(rows) / independent)
        group = np.arange(len(rows)) if here.group is None else here.group
        _, nearest = nearest_elsewhere(places, group, n_neighbours)
        ratios = scores / np.quantile(scores[nearest], _SPREAD, axis=1)
    return LocalErrors(
        places=places,
        scores=scores,
        n_neighbours=n_neighbours,
        ratios=np.sort(ratios),
        independent=independent,
    )


def _place(coordinates: Array, distance: Array) -> Array:
    return np.column_stack([coordinates, _REMOTENESS * np.log(np.maximum(distance, 1e-9))])
