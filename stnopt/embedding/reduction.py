"""Fewer support vectors, with a proven error: smaller models that are not silently different."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import checked_positive, float_array
from stnopt.embedding.outer_approximation import MAX_INPUTS
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.decision_bounds import bound_decision
from stnopt.feasibility.region import KernelRegion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_MAX_BOXES = 400_000
_CLOSE = 0.05  # the proven bound is at most so much above the largest difference seen
_RIDGE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionReport:
    """What a reduced region has lost.

    Attributes
    ----------
    n_vectors, n_reduced : int
        Support vectors before and after.
    error : float
        Proven: ``|reduced.decision(x) - region.decision(x)| <= error`` for every x of the box. With
        ``margin=error`` the reduced region admits nothing that the region rejects.
    largest_seen : float
        Largest difference at a point that was evaluated: the error cannot be less.
    lower, upper : (n,) array
        The box, in the inputs' own units. Outside it nothing is proven.
    """

    n_vectors: int
    n_reduced: int
    error: float
    largest_seen: float
    lower: FloatArray
    upper: FloatArray

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.n_reduced} of {self.n_vectors} support vectors; the decision differs by at most"
            f" {self.error:.3g} in the box (seen: {self.largest_seen:.3g})"
        )


def reduce_region(
    region: KernelRegion,
    *,
    max_vectors: int | None = None,
    tolerance: float | None = None,
    bounds: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[KernelRegion, ReductionReport]:
    """Approximate a region with fewer of its support vectors, and prove how far it is off.

    Vectors are added one by one, each time the one whose kernel fits what is left best, and all
    coefficients and the offset are fitted anew by least squares on points of the box. Then the
    difference of the two decisions, itself a sum of kernels, is bounded over the box by cells.

    Parameters
    ----------
    region : KernelRegion
    max_vectors : int, optional
        Largest number of support vectors to keep.
    tolerance : float, optional
        Proven error at which to stop, in units of the decision.
    bounds : (lower, upper), optional
        Box on which the error is proven, (n,) each; the training box when left out.

    Returns
    -------
    region : KernelRegion
        Its `origin` says that it was reduced, and by how much.
    report : ReductionReport

    Raises
    ------
    InvalidInputError
        Not exactly one of `max_vectors` and `tolerance`, or no finite box.
    UnsupportedModelError
        The tolerance cannot be reached with fewer vectors, or the error cannot be proven.

    References
    ----------
    Orthogonal matching pursuit: Pati, Rezaiifar and Krishnaprasad (1993),
    doi:10.1109/ACSSC.1993.342465.
    """
    lower, upper = _checked(region, max_vectors, tolerance, bounds)
    m = len(region.dual_coefs)
    points = _training_points(region, lower, upper)
    kernels = region.kernel_matrix(points)
    goal = region.decision(points)
    chosen: list[int] = []
    most = m if max_vectors is None else min(max_vectors, m)
    left = goal - goal.mean()
    norms = np.sqrt((kernels**2).sum(axis=0)) + 1e-300
    while len(chosen) < most:
        fit = np.abs(left @ kernels) / norms
        fit[chosen] = -1.0
        chosen.append(int(fit.argmax()))
        columns = np.column_stack([kernels[:, chosen], np.ones(len(points))])
        # rows near the border count most: that is where points change sides
        weight = 1.0 / (0.1 * np.abs(goal).max() + np.abs(goal))
        weighted = columns * weight[:, None]
        normal = weighted.T @ weighted
        normal += _RIDGE * np.trace(normal) * np.eye(len(normal))
        answer = np.linalg.solve(normal, weighted.T @ (goal * weight))
        left = goal - columns @ answer
        full = len(chosen) == most
        if tolerance is None and not full:
            continue
        if tolerance is not None and np.abs(left).max() > 0.9 * tolerance and not full:
            continue
        reduced = replace(
            region,
            support_vectors=region.support_vectors[chosen],
            dual_coefs=answer[:-1],
            offset=float(answer[-1]),
        )
        seen, error = _prove(region, reduced, lower, upper, tolerance)
        if tolerance is not None and error > tolerance:
            continue
        report = ReductionReport(
            n_vectors=m,
            n_reduced=len(chosen),
            error=error,
            largest_seen=max(seen, float(np.abs(left).max())),
            lower=lower,
            upper=upper,
        )
        origin = {**region.origin, "reduced_from": m, "reduction_error": error}
        return replace(reduced, origin=origin), report
    raise UnsupportedModelError(
        f"{m} support vectors cannot be reduced to an error of {tolerance:g}: raise the tolerance, "
        "or give max_vectors and read the error from the report"
    )


def _checked(
    region: KernelRegion,
    max_vectors: int | None,
    tolerance: float | None,
    bounds: tuple[FloatArray, FloatArray] | None,
) -> tuple[FloatArray, FloatArray]:
    if not isinstance(region, KernelRegion):
        raise UnsupportedModelError(
            f"region: a {type(region).__name__} has no support vectors to reduce"
        )
    if len(region.inputs) > MAX_INPUTS:
        raise UnsupportedModelError(
            f"a region of {len(region.inputs)} inputs: errors are proven for {MAX_INPUTS} at most"
        )
    if (max_vectors is None) == (tolerance is None):
        raise InvalidInputError("give one of max_vectors and tolerance, and not both")
    whole = isinstance(max_vectors, int | np.integer) and not isinstance(max_vectors, bool)
    if max_vectors is not None and not (whole and max_vectors >= 1):
        raise InvalidInputError(f"max_vectors: expected at least 1, got {max_vectors!r}")
    if tolerance is not None:
        checked_positive("tolerance", tolerance)
    lower, upper = (region.lower, region.upper) if bounds is None else _checked_pair(bounds)
    shape = (len(region.inputs),)
    if lower.shape != shape or upper.shape != shape:
        raise InvalidInputError(f"bounds: expected two arrays of shape {shape}")
    if not (np.isfinite(lower) & np.isfinite(upper) & (lower <= upper)).all():
        raise InvalidInputError(
            f"the error is proven on a finite box, got {lower.tolist()} to {upper.tolist()}: give "
            "bounds=(lower, upper)"
        )
    return lower, upper


def _checked_pair(bounds: object) -> tuple[FloatArray, FloatArray]:
    refusal = "bounds: expected two arrays of numbers, the lower and the upper ends"
    if not isinstance(bounds, tuple | list | np.ndarray) or len(bounds) != 2:
        raise InvalidInputError(f"{refusal}, got {bounds!r}")
    pair = []
    for side in bounds:
        try:
            pair.append(float_array(side))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(f"{refusal}, got {side!r}") from error
    return pair[0], pair[1]


def _training_points(region: KernelRegion, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Points to fit at: spread over the box, its corners, and the support vectors in it."""
    n = len(lower)
    rng = np.random.default_rng(0)
    spread = rng.uniform(lower, upper, (2000, n))
    corners = np.array(np.meshgrid(*zip(lower, upper, strict=True), indexing="ij")).reshape(n, -1).T
    vectors = region.raw_support_vectors
    inside = ((vectors >= lower) & (vectors <= upper)).all(axis=1)
    return np.concatenate([spread, corners, vectors[inside]])


def _prove(
    region: KernelRegion,
    reduced: KernelRegion,
    lower: FloatArray,
    upper: FloatArray,
    enough: float | None,
) -> tuple[float, float]:
    """Largest difference seen, and a bound on it: boxes of the sum of both are divided."""
    difference = replace(
        region,
        support_vectors=np.concatenate([region.support_vectors, reduced.support_vectors]),
        dual_coefs=np.concatenate([region.dual_coefs, -reduced.dual_coefs]),
        offset=region.offset - reduced.offset,
    )
    low, high = lower[None], upper[None]
    seen, settled, looked = 0.0, 0.0, 0
    while len(low):
        bounds = bound_decision(difference, low, high)
        seen = max(seen, float(np.abs(bounds.value).max()))
        most = np.maximum(np.abs(bounds.lower), np.abs(bounds.upper))
        goal = (1 + _CLOSE) * seen
        if enough is not None:
            if seen > enough:
                return seen, np.inf
            goal = max(goal, enough)
        done = most <= goal
        settled = max(settled, float(most[done].max(initial=0.0)))
        looked += len(low)
        if looked > _MAX_BOXES:
            return seen, max(settled, float(most.max()))
        low, high = _halve(low[~done], high[~done], upper - lower)
    return seen, settled


def _halve(low: FloatArray, high: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Halve every box along its longest side, in shares of the whole."""
    if not len(low):
        return low, high
    share = (high - low) / np.where(width > 0, width, 1.0)
    axis = share.argmax(axis=1)
    rows = np.arange(len(low))
    middle = 0.5 * (low[rows, axis] + high[rows, axis])
    first_high, second_low = high.copy(), low.copy()
    first_high[rows, axis] = middle
    second_low[rows, axis] = middle
    return np.concatenate([low, second_low]), np.concatenate([first_high, high])
