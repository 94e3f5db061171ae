"""How far a learned region must shrink so that it claims nothing that is not proven feasible.

The decision is bounded from below over every target that no known schedule meets, by boxes that are
halved until the bound is sharp: a proof over the whole box, not a sample of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.feasibility.region import LinearRegion, Region
from stnopt.feasibility.samples import FEASIBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: The margin exceeds the smallest one by at most this share of the decision's range in the box.
_TOLERANCE = 2e-3
_MOST_BOXES = 2_000_000
_CHUNK = 20_000
_ROUNDING = 1e-8
#: Counterexamples of one proof, and their distance as a share of the box.
_MOST_COUNTEREXAMPLES = 5
_APART = 0.02


class Certificate(Protocol):
    """What is proven of targets, such as a `CertifiedRegion`, with free disposal."""

    @property
    def products(self) -> Sequence[str]: ...  # noqa: D102

    def label(self, points: NDArray[np.float64]) -> NDArray[np.int64]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedMargin:
    """A margin that is proven, and the targets that ask for most of it.

    Attributes
    ----------
    margin : float
        At least 0, in units of the decision.
    counterexamples : (k, p) array, amount
        Targets that are not certified feasible and that the region without margin contains, the
        worst first, apart from each other.
    """

    margin: float
    counterexamples: NDArray[np.float64]


def certify_margin(region: Region, certificate: Certificate) -> CertifiedMargin:
    """Find a margin m so that ``decision(x) + m <= 0`` holds for certified targets only.

    It is proven for every x of the region's training box: a box of targets whose upper corner is
    certified feasible is feasible as a whole (free disposal); over any other the decision is
    bounded from below by intervals, and by its gradient and a bound on its curvature.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        With a finite training box.
    certificate : CertifiedRegion

    Returns
    -------
    CertifiedMargin
        Undecided targets count as infeasible.

    Raises
    ------
    InvalidInputError
        Other inputs than the certificate's, or no finite training box.

    References
    ----------
    Centred forms: Neumaier (1990), Interval Methods for Systems of Equations, ch. 2,
    doi:10.1017/CBO9780511526473.
    """
    order = check_certificate(region, certificate)
    lower, upper = region.lower[None, :], region.upper[None, :]
    best = np.inf  # smallest decision seen at a target that is not certified feasible
    ends = region.decision(np.vstack([lower, upper, (lower + upper) / 2]))
    tolerance = _TOLERANCE * max(float(np.ptp(ends)), 1e-9)
    settled = np.inf  # smallest bound of a box that is not halved any more
    n_boxes = 0
    seen = np.zeros((0, 1 + len(region.inputs)))
    while len(lower):
        keep = np.concatenate(
            [
                certificate.label(upper[i : i + _CHUNK][:, order]) != FEASIBLE
                for i in range(0, len(upper), _CHUNK)
            ]
        )
        lower, upper = lower[keep], upper[keep]
        if not len(lower):
            break
        decision = region.decision(upper)
        best = min(best, float(decision.min()))
        claimed = decision < min(0.3 * best, 0.0)
        seen = np.vstack([seen, np.column_stack([decision, upper])[claimed]])
        bound = np.concatenate(
            [
                _lowest(region, lower[i : i + _CHUNK], upper[i : i + _CHUNK])
                for i in range(0, len(lower), _CHUNK)
            ]
        )
        n_boxes += len(lower)
        # Below 0 the region would claim it; a box that stays above needs no margin at all.
        open_ = bound < min(best, 0.0) - tolerance
        if n_boxes > _MOST_BOXES:  # a proof still, of a larger margin
            open_[:] = False
        settled = min(settled, float(bound[~open_].min(initial=np.inf)))
        lower, upper = lower[open_], upper[open_]
        rows, side = np.arange(len(lower)), np.argmax(upper - lower, axis=1)
        middle = (lower[rows, side] + upper[rows, side]) / 2
        left, right = upper.copy(), lower.copy()
        left[rows, side], right[rows, side] = middle, middle
        lower, upper = np.vstack([lower, right]), np.vstack([left, upper])
    scale = max(1.0, float(np.abs(ends).max()))
    return CertifiedMargin(
        margin=max(0.0, -settled) + _ROUNDING * scale if settled <= 0 else 0.0,
        counterexamples=_worst(seen, region.upper - region.lower),
    )


def _worst(seen: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (decision, target) to the targets with the lowest decisions, apart from each other."""
    chosen: list[NDArray[np.float64]] = []
    for row in seen[np.argsort(seen[:, 0], kind="stable")]:
        away = [np.abs((row[1:] - other) / width).max() for other in chosen]
        if min(away, default=1.0) > _APART:
            chosen.append(row[1:])
        if len(chosen) == _MOST_COUNTEREXAMPLES:
            break
    return np.array(chosen).reshape(-1, len(width))


def check_certificate(region: Region, certificate: Certificate) -> list[int]:
    """Refuse a certificate that does not fit; return which input each of its products is."""
    if set(certificate.products) != set(region.inputs):
        raise InvalidInputError(
            f"certified: it speaks of {list(certificate.products)}, the samples of"
            f" {list(region.inputs)}"
        )
    if not (np.isfinite(region.lower).all() and np.isfinite(region.upper).all()):
        raise InvalidInputError("a certified margin needs a region with a finite training box")
    return [region.inputs.index(product) for product in certificate.products]


def _lowest(
    region: Region, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lower bound of the decision over each box."""
    if isinstance(region, LinearRegion):
        corners = np.where(region.weights > 0, lower, upper)
        return region.decision(corners)
    return bound_decision(region, lower, upper).lower
