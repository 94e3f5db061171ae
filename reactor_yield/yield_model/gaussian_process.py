"""Gaussian process: interpolates what has no noise, smooths what has, and has an error bar."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dtrtri
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Array = NDArray[np.float64]

_NOISE_STARTS = (0.1, 1e-6)
"""Of the standardised target: a plant's data, and a simulator's. From the second alone the search
stays at no noise in noisy data."""
_ROWS_TO_START, _ROWS_TO_FIT = 300, 800
_ERROR_POINTS = 1000
"""On how many points the error bar is conditioned at most; its time grows with their square."""
_ROWS_AT_ONCE = 128
"""Their covariances with 2,500 points stay in a core's cache: half the time of 2,000 rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """Posterior of a Gaussian process with a Matern 3/2 kernel, all of it plain numbers.

    The mean uses all points. The error bar is conditioned on every k-th of them, at most 1,000:
    fewer data can only make it larger, and a row costs a sixth of the time where there are 2,500.

    Parameters
    ----------
    points : (n, p) array
        Standardised features of the rows it was fitted to.
    residuals : (n,) array
        Their standardised targets.
    center, scale : (p,) arrays
        Taken out of the features.
    target_center, target_scale
        Taken out of the target.
    length_scales : (p,) array
        In standardised features.
    amplitude
        Prior variance of the standardised target.
    noise
        Variance of its noise; a tiny one keeps the factorisation stable.

    References
    ----------
    Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1 and eq.
    4.17, doi:10.7551/mitpress/3206.001.0001.
    """

    points: Array
    residuals: Array
    center: Array
    scale: Array
    target_center: float
    target_scale: float
    length_scales: Array
    amplitude: float
    noise: float
    _scaled: Array = field(init=False, repr=False, compare=False)
    _weights: Array = field(init=False, repr=False, compare=False)
    _inverse: Array = field(init=False, repr=False, compare=False)
    _every: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        scaled = self.points * (math.sqrt(3) / self.length_scales)
        covariance = self.amplitude * _correlation(scaled, scaled)
        covariance[np.diag_indices_from(covariance)] += self.noise
        factor = cholesky(covariance, lower=True)
        weights = cho_solve((factor, True), self.residuals)
        every = math.ceil(len(self.points) / _ERROR_POINTS)
        if every > 1:
            factor = cholesky(covariance[::every, ::every], lower=True)
        # A product with the inverse takes half the time of a solve. Column by column in memory, as
        # BLAS wants it: another order is copied at every call.
        inverse, _ = dtrtri(np.asfortranarray(factor), lower=1)
        object.__setattr__(self, "_scaled", scaled)
        object.__setattr__(self, "_weights", self.amplitude * weights)
        object.__setattr__(self, "_inverse", self.amplitude * inverse)
        object.__setattr__(self, "_every", every)

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the posterior, noise included, both (n,)."""
        mean, error = np.empty(len(features)), np.empty(len(features))
        for rows, correlation in self._correlations(features):
            mean[rows] = correlation @ self._weights
            known = np.asfortranarray(correlation[:, :: self._every].T)
            half = dtrmm(1.0, self._inverse, known, lower=1, overwrite_b=1)
            variance = self.amplitude + self.noise - np.einsum("ij,ij->j", half, half)
            error[rows] = np.sqrt(np.maximum(variance, self.noise))
        return mean * self.target_scale + self.target_center, error * self.target_scale

    def expect(self, features: Array) -> Array:
        """Mean alone, (n,), without the product that the error bar takes."""
        mean = np.empty(len(features))
        for rows, correlation in self._correlations(features):
            mean[rows] = correlation @ self._weights
        return mean * self.target_scale + self.target_center

    def _correlations(self, features: Array) -> Iterator[tuple[slice, Array]]:
        """Yield some rows at a time, and their correlations with the points, (rows, n)."""
        standard = (features - self.center) * (math.sqrt(3) / (self.scale * self.length_scales))
        for first in range(0, len(features), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            yield rows, _correlation(standard[rows], self._scaled)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as they are saved."""
        names = [f for f in self.__slots__ if not f.startswith("_")]
        values = {name: getattr(self, name) for name in names}
        return {k: v.tolist() if isinstance(v, np.ndarray) else float(v) for k, v in values.items()}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> GaussianProcess:
        """Read what `to_dict` returned."""
        names = [f for f in cls.__slots__ if not f.startswith("_")]
        read: dict[str, Any] = {
            k: np.array(v, dtype=float) if isinstance(v, list) else float(v)
            for k, v in ((name, numbers[name]) for name in names)
        }
        return cls(**read)


def _correlation(left: Array, right: Array) -> Array:
    """Matern 3/2 of points scaled so that r is their distance: (1 + r) exp(-r)."""
    distance = cdist(left, right)
    decayed = np.negative(distance)
    np.exp(decayed, out=decayed)
    distance += 1
    distance *= decayed
    return np.asarray(distance)


def fit_gaussian_process(
    inputs: Array,
    outputs: Array,
    *,
    seed: int,
    n_points: int,
    kernel: GaussianProcess | None = None,
) -> GaussianProcess:
    """Fit the posterior on at most `n_points` rows chosen at random.

    Parameters
    ----------
    inputs : (n, q) array
    outputs : (n,) array
    seed
        Of the choice of rows.
    n_points
        Time grows with their cube.
    kernel
        Another process whose scaling and kernel are taken; by default they are fitted.
    """
    rng = np.random.default_rng(seed)
    fitted = kernel or _fit_kernel(inputs, outputs, rng)
    standard = (inputs - fitted.center) / fitted.scale
    chosen = np.sort(rng.permutation(len(standard))[:n_points])
    return replace(
        fitted,
        points=standard[chosen],
        residuals=(outputs[chosen] - fitted.target_center) / fitted.target_scale,
    )


def _fit_kernel(inputs: Array, outputs: Array, rng: np.random.Generator) -> GaussianProcess:
    """Scale by the mean and spread, then find the kernel of largest likelihood on 800 rows.

    The search starts from each noise on fewer rows; the likelier end is polished on all 800.
    """
    center, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    target_center, target_scale = float(outputs.mean()), float(outputs.std() or 1.0)
    sample = rng.permutation(len(inputs))[:_ROWS_TO_FIT]
    points = (inputs[sample] - center) / scale
    residuals = (outputs[sample] - target_center) / target_scale
    few = slice(_ROWS_TO_START)
    with warnings.catch_warnings():
        # A length scale at its bound means a feature without influence, a noise at its bound data
        # without noise; both are results here, and a search cut short is still a usable kernel.
        warnings.simplefilter("ignore", ConvergenceWarning)
        starts = [
            GaussianProcessRegressor(_prior(inputs.shape[1], noise)).fit(
                points[few], residuals[few]
            )
            for noise in _NOISE_STARTS
        ]
        best = max(starts, key=lambda found: float(found.log_marginal_likelihood_value_))
        fitted = GaussianProcessRegressor(best.kernel_).fit(points, residuals).kernel_
    return GaussianProcess(
        points=points,
        residuals=residuals,
        center=center,
        scale=scale,
        target_center=target_center,
        target_scale=target_scale,
        length_scales=np.asarray(fitted.k1.k2.length_scale, dtype=float).reshape(-1),
        amplitude=float(fitted.k1.k1.constant_value),
        noise=float(fitted.k2.noise_level),
    )


def _prior(n_inputs: int, noise: float) -> Any:
    return ConstantKernel(1.0, (1e-3, 1e4)) * Matern(
        np.full(n_inputs, 3.0), (1e-2, 1e3), nu=1.5
    ) + WhiteKernel(noise, (1e-9, 1.0))
