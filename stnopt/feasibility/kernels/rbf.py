"""The radial basis function (Gaussian) kernel."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stnopt.feasibility.kernels.contract import (
    Functions,
    Kernel,
    Number,
    SumBounds,
    join_terms,
    quadratic_range,
    weighted_range,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_STEP = 0.05  # of the table of the third derivative's bound


class RbfKernel(Kernel):
    """``exp(-gamma |v - x|^2)`` (Chang and Lin, 2011, LIBSVM, doi:10.1145/1961189.1961199)."""

    __slots__ = ()

    name: ClassVar[str] = "rbf"
    formula: ClassVar[str] = "exp(-gamma * |v - x|**2)"
    pairwise: ClassVar[str] = "rbf_kernel"

    def values(self, points: FloatArray, vectors: FloatArray) -> FloatArray:
        """``K(v_i, x)``, (k, m)."""
        # differences first: |v|^2 - 2 v.x + |x|^2 would cancel where inputs are not scaled
        squared = np.zeros((len(points), len(vectors)))
        for x_j, v_j in zip(points.T, vectors.T, strict=True):
            squared += (x_j[:, None] - v_j[None, :]) ** 2
        result: FloatArray = np.exp(-self.gamma * squared)
        return result

    def gradient(self, points: FloatArray, vectors: FloatArray, coefs: FloatArray) -> FloatArray:
        """Return ``-2 gamma sum_i coefs[i] K_i (x - v_i)``, (k, n)."""
        pull = self.values(points, vectors) * coefs
        return -2 * self.gamma * (points * pull.sum(axis=1)[:, None] - pull @ vectors)

    def ranges(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """At the farthest and at the nearest point of each box."""
        near = np.zeros((len(center), len(vectors)))
        far = np.zeros_like(near)
        for c_j, r_j, v_j in zip(center.T, radius.T, vectors.T, strict=True):
            away = np.abs(c_j[:, None] - v_j[None, :])
            near += np.maximum(away - r_j[:, None], 0.0) ** 2
            far += (away + r_j[:, None]) ** 2
        return np.exp(-self.gamma * far), np.exp(-self.gamma * near)

    def bound_sum(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray, coefs: FloatArray
    ) -> SumBounds:
        """By the exact Hessian of the sum at the center and a bound on each third derivative."""
        gamma, n = self.gamma, center.shape[1]
        apart = [center[:, j, None] - vectors[None, :, j] for j in range(n)]
        squared = sum((d**2 for d in apart), np.zeros((len(center), len(coefs))))
        term = coefs * np.exp(-gamma * squared)
        value = term.sum(axis=1)
        pulled = [term * d for d in apart]
        slope = np.stack([-2 * gamma * p.sum(axis=1) for p in pulled], axis=1)
        hessian = np.empty((len(center), n, n))
        for i in range(n):
            for j in range(i, n):
                entry = 4 * gamma**2 * np.einsum("km,km->k", pulled[i], apart[j])
                hessian[:, i, j] = hessian[:, j, i] = entry - (2 * gamma * value if i == j else 0.0)
        half_diagonal = np.sqrt((radius**2).sum(axis=1))
        unit = math.sqrt(2 * gamma)
        nearest = unit * np.maximum(np.sqrt(squared) - half_diagonal[:, None], 0.0)
        table = _third_derivative_table()
        steepest = table[np.minimum(nearest / _STEP, len(table) - 1).astype(np.intp)]
        third = (steepest @ np.abs(coefs)) * (unit * half_diagonal) ** 3 / 6
        low = np.full(len(center), -np.inf)
        high = np.full(len(center), np.inf)
        coarse = np.flatnonzero(unit * half_diagonal > 0.2)  # elsewhere the series is far tighter
        if len(coarse):
            ranges = self.ranges(center[coarse], radius[coarse], vectors)
            low[coarse], high[coarse] = weighted_range(*ranges, coefs)
        down, up = quadratic_range(hessian, radius)
        return SumBounds(
            value=value,
            slope=slope,
            below=down - third,
            above=up + third,
            low=low,
            high=high,
            size=np.full(len(center), np.abs(coefs).sum()),
        )

    def expression(self, vector: Sequence[float], inputs: Sequence[Any], of: Functions) -> Any:
        """``exp(-gamma sum_j (x_j - v_j)^2)``."""
        return of.exp(-self.gamma * sum((x - v) ** 2 for x, v in zip(inputs, vector, strict=True)))

    def text(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``exp(-gamma*((x - v)**2 + ...))``."""
        squares = " + ".join(
            f"({join_terms([name, number(-v, signed=True)])})**2"
            for name, v in zip(names, vector, strict=True)
        )
        return f"exp(-{number(self.gamma)}*({squares}))"

    def latex(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """Print the same in LaTeX."""
        squares = " + ".join(
            rf"\left({join_terms([name, number(-v, signed=True)])}\right)^2"
            for name, v in zip(names, vector, strict=True)
        )
        return rf"\exp\left(-{number(self.gamma)} \left({squares}\right)\right)"


@cache
def _third_derivative_table() -> FloatArray:
    """Largest |third derivative| of exp(-|t|^2 / 2) along any direction, at distance >= k _STEP.

    It is |He3(s)| exp(-|t|^2 / 2) with s the component along the direction and He3(s) = s^3 - 3 s:
    at most max over |s| <= r of |He3(s)|, times exp(-r^2 / 2), for every r from the distance on.
    That product is highest at 0.742 (1.381), falls, and has a second hill at 2.334 (0.375).
    """
    r = _STEP * np.arange(200)
    decay = np.exp(-0.5 * r**2)
    hill = np.where(r < 2.334, 0.3750, 0.0)
    steepest = np.select(
        [r < 0.742, r < 1, r < 2],
        [np.full_like(r, 1.3802), (3 * r - r**3) * decay, 2 * decay],
        (r**3 - 3 * r) * decay,
    )
    return np.maximum(steepest, hill)
