"""Ridge regression with linear or quadratic terms: what a plant's noisy history often asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_PENALTIES = np.logspace(-4, 4, 17)
_MOST_TERMS = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgePredictor:
    """A polynomial of degree 1 or 2 in standardised inputs, all of it plain numbers.

    Parameters
    ----------
    center, scale : (q,) arrays
        Taken out of the inputs.
    first, second : (t,) int arrays
        Terms of second degree are products of these two inputs; empty for degree 1.
    term_center, term_scale : (q + t,) arrays
        Taken out of the terms.
    coefficients : (q + t,) array
    intercept
    basis : (q + t, q + t) array
        Its columns span the terms; `variances` are the prediction's along them, over the noise's.
    variances : (q + t,) array
    noise
        Standard deviation of the residuals.

    References
    ----------
    Hoerl & Kennard (1970), doi:10.1080/00401706.1970.10488634; the error bar is that of the
    Bayesian linear model with this penalty, Rasmussen & Williams (2006), eq. 2.9,
    doi:10.7551/mitpress/3206.001.0001.
    """

    center: Array
    scale: Array
    first: Indices
    second: Indices
    term_center: Array
    term_scale: Array
    coefficients: Array
    intercept: float
    basis: Array
    variances: Array
    noise: float

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and error bar, both (n,)."""
        terms = self._terms(inputs)
        spread = (terms @ self.basis) ** 2 @ self.variances
        return self.intercept + terms @ self.coefficients, self.noise * np.sqrt(1 + spread)

    def expect(self, inputs: Array) -> Array:
        """Mean alone, (n,)."""
        return np.asarray(self.intercept + self._terms(inputs) @ self.coefficients)

    def _terms(self, inputs: Array) -> Array:
        terms = expand_terms((inputs - self.center) / self.scale, self.first, self.second)
        return (terms - self.term_center) / self.term_scale

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, as they are saved."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {k: v.tolist() if isinstance(v, np.ndarray) else float(v) for k, v in values.items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> RidgePredictor:
        """Read what `to_dict` returned."""
        whole = {"first", "second"}
        read: dict[str, Any] = {
            name: np.array(saved[name], dtype=np.int64 if name in whole else float)
            if isinstance(saved[name], list)
            else float(saved[name])
            for name in cls.__slots__
        }
        return cls(**read)


def expand_terms(standard: Array, first: Indices, second: Indices) -> Array:
    """Join the inputs and their products, (n, q + t)."""
    return np.hstack([standard, standard[:, first] * standard[:, second]])


def fit_ridge(
    inputs: Array,
    outputs: Array,
    *,
    folds: Sequence[tuple[Indices, Indices]],
    continuous: NDArray[np.bool_],
) -> RidgePredictor:
    """Choose terms and penalty by the squared error on left-out folds, then fit all rows.

    The terms are the inputs; with squares and products of the continuous ones; or with products of
    those and the inputs of 0 and 1 too, such as another slope for each lot. Many lots with few rows
    are worth a shift each and no slopes.

    Parameters
    ----------
    inputs : (n, q) array
    outputs : (n,) array
    folds
        From `make_folds`.
    continuous : (q,) bool array
        Which inputs are not 0 or 1: only these are squared, and two inputs of 0 and 1 are never
        multiplied by each other.
    """
    center, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    standard = (inputs - center) / scale
    first, second = np.triu_indices(inputs.shape[1])
    some, both = continuous[first] | continuous[second], continuous[first] & continuous[second]
    candidates = [
        (first[which], second[which])
        for which in (np.zeros_like(both), both, some)
        if inputs.shape[1] + which.sum() <= _MOST_TERMS
    ]
    scored = []
    for pair in candidates:
        terms = expand_terms(standard, *pair)
        errors = sum(_fold_errors(terms, outputs, train, test) for train, test in folds)
        best = int(np.argmin(errors))
        scored.append((float(np.asarray(errors)[best]), float(_PENALTIES[best]), pair))
    _, penalty, (first, second) = min(scored, key=lambda found: found[0])
    terms = expand_terms(standard, first, second)
    term_center, term_scale = _standards(terms)
    design = (terms - term_center) / term_scale
    intercept = float(outputs.mean())
    values, vectors = _decompose(design)
    projected = vectors.T @ (design.T @ (outputs - intercept))
    coefficients = vectors @ (projected / (values + penalty))
    residuals = outputs - intercept - design @ coefficients
    used = float(np.sum(values / (values + penalty))) + 1
    noise = float(np.sqrt(np.sum(residuals**2) / max(len(outputs) - used, 1.0)))
    return RidgePredictor(
        center=center,
        scale=scale,
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        term_center=term_center,
        term_scale=term_scale,
        coefficients=coefficients,
        intercept=intercept,
        basis=vectors,
        variances=1 / (values + penalty),
        noise=max(noise, 1e-12 * (abs(intercept) + 1.0)),
    )


def _standards(terms: Array) -> tuple[Array, Array]:
    center, scale = terms.mean(axis=0), terms.std(axis=0)
    return center, np.where(scale > 1e-12, scale, 1.0)


def _decompose(design: Array) -> tuple[Array, Array]:
    """Eigenvalues, none below zero, and vectors of the normal matrix."""
    values, vectors = eigh(design.T @ design, check_finite=False)
    return np.maximum(values, 0.0), vectors


def _fold_errors(terms: Array, outputs: Array, train: Indices, test: Indices) -> Array:
    """Sum of squared errors on the test rows for each penalty."""
    center, scale = _standards(terms[train])
    design, left_out = (terms[train] - center) / scale, (terms[test] - center) / scale
    mean = outputs[train].mean()
    values, vectors = _decompose(design)
    projected = vectors.T @ (design.T @ (outputs[train] - mean))
    coefficients = projected[:, None] / (values[:, None] + _PENALTIES)
    predicted = mean + left_out @ vectors @ coefficients
    return np.asarray(((predicted - outputs[test][:, None]) ** 2).sum(axis=0))
