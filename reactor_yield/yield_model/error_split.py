"""How much of a model's error the batches of one campaign share, and how much is each one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reactor_yield.yield_model.neighbourhood import nearest_elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.yield_model.folds import Blocks

Array = NDArray[np.float64]

_STRETCHES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSplit:
    """Standard deviations of the two parts of an error, in the target's unit.

    Attributes
    ----------
    shared
        Of what batches run alike have in common: a lot, a season, what the model does not know
        at these conditions.
    independent
        Of what each batch has for itself: noise.
    errors : (r,) array
        On left-out rows: without blocks, those of the model's neighbourhood.
    by_blocks
        Whether groups or stretches of time told the two apart. Otherwise the shared part is that of
        batches at equal conditions, and at conditions that differ they share less.
    """

    shared: float
    independent: float
    errors: Array
    by_blocks: bool

    def within_campaigns(self, nearest: NDArray[np.int64]) -> ErrorSplit:
        """Split the error for batches whose conditions vary within a campaign.

        Parameters
        ----------
        nearest : (s, n_batches) int array
            Number of the row nearest to each batch's conditions, campaign by campaign.

        Notes
        -----
        Without blocks, what two batches share is the covariance of the errors at their nearest
        rows; at the same row it is `shared` squared.
        """
        if self.by_blocks or nearest.shape[1] < 2:
            return self
        first, second = nearest[:, 0], nearest[:, 1]
        products = self.errors[first] * self.errors[second]
        common = float(np.mean(np.where(first == second, self.shared**2, products)))
        total = float(np.mean(self.errors[nearest] ** 2))
        common = min(max(common, 0.0), total)
        return replace(self, shared=math.sqrt(common), independent=math.sqrt(total - common))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as they are saved."""
        return {
            "shared": self.shared,
            "independent": self.independent,
            "errors": self.errors.tolist(),
            "by_blocks": self.by_blocks,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> ErrorSplit:
        """Read what `to_dict` returned."""
        return cls(
            shared=float(saved["shared"]),
            independent=float(saved["independent"]),
            errors=np.array(saved["errors"], dtype=float),
            by_blocks=bool(saved["by_blocks"]),
        )


def split_errors(error: Array, coordinates: Array, blocks: Blocks) -> ErrorSplit:
    """Split the variance of errors on left-out rows.

    With groups, or else stretches of time, it is a one-way analysis of variance. Without either,
    what nearest neighbours do not have in common is independent: the nugget of the errors'
    semivariogram.

    Parameters
    ----------
    error : (r,) array
    coordinates : (r, q) array
        Of the same rows.
    blocks
        Of the same rows.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, section 3.6,
    doi:10.1002/9780470316856; Matheron (1963), doi:10.2113/gsecongeo.58.8.1246.
    """
    group = blocks.group
    if group is None and blocks.order is not None:
        group = np.empty(len(error), dtype=np.int64)
        group[blocks.order] = np.arange(len(error)) * _STRETCHES // len(error)
    total = float(np.mean(error**2))
    if group is None:
        _, nearest = nearest_elsewhere(coordinates, np.arange(len(error)), 1)
        independent = min(0.5 * float(np.mean((error - error[nearest[:, 0]]) ** 2)), total)
        return ErrorSplit(
            shared=math.sqrt(total - independent),
            independent=math.sqrt(independent),
            errors=error,
            by_blocks=False,
        )
    sizes = np.bincount(group)
    sizes = sizes[sizes > 0]
    label = np.unique(group, return_inverse=True)[1]
    means = np.bincount(label, error) / sizes
    within = float(((error - means[label]) ** 2).sum()) / max(len(error) - len(sizes), 1)
    between = float((sizes * (means - error.mean()) ** 2).sum()) / max(len(sizes) - 1, 1)
    usual = (len(error) - float((sizes**2).sum()) / len(error)) / max(len(sizes) - 1, 1)
    if len(sizes) == len(error):  # groups of one: nothing tells the two apart
        within = 0.0
    shared = max((between - within) / usual, 0.0)
    return ErrorSplit(
        shared=math.sqrt(shared), independent=math.sqrt(within), errors=error, by_blocks=True
    )
