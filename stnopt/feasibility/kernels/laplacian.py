"""The Laplacian kernel, which has a kink at every support vector."""

from __future__ import annotations

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

_FINE = 1.0  # largest change of the exponent over a box for which a term is expanded


class LaplacianKernel(Kernel):
    """``exp(-gamma |v - x|_1)``, with the sum of absolute differences.

    scikit-learn's machines do not know it by a name: they take it as a function.
    """

    __slots__ = ()

    name: ClassVar[str] = "laplacian"
    formula: ClassVar[str] = "exp(-gamma * sum_j |v_j - x_j|)"
    pairwise: ClassVar[str] = "laplacian_kernel"
    built_in: ClassVar[bool] = False

    @classmethod
    def scaled_gamma(cls, inputs: FloatArray) -> float:
        """Return 1 / (p * standard deviation): gamma is per unit of distance, not of its square."""
        deviation = float(np.asarray(inputs, dtype=float).std())
        return 1.0 / (inputs.shape[1] * deviation) if deviation > 0 else 1.0

    def values(self, points: FloatArray, vectors: FloatArray) -> FloatArray:
        """``K(v_i, x)``, (k, m)."""
        distance = np.zeros((len(points), len(vectors)))
        for x_j, v_j in zip(points.T, vectors.T, strict=True):
            distance += np.abs(x_j[:, None] - v_j[None, :])
        result: FloatArray = np.exp(-self.gamma * distance)
        return result

    def gradient(self, points: FloatArray, vectors: FloatArray, coefs: FloatArray) -> FloatArray:
        """``-gamma sum_i coefs[i] K_i sign(x - v_i)``, (k, n); at a kink that term counts 0."""
        pull = self.values(points, vectors) * coefs
        slopes = [
            (pull * np.sign(x_j[:, None] - v_j[None, :])).sum(axis=1)
            for x_j, v_j in zip(points.T, vectors.T, strict=True)
        ]
        return -self.gamma * np.stack(slopes, axis=1)

    def ranges(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """At the farthest and at the nearest point of each box."""
        near = np.zeros((len(center), len(vectors)))
        far = np.zeros_like(near)
        for c_j, r_j, v_j in zip(center.T, radius.T, vectors.T, strict=True):
            away = np.abs(c_j[:, None] - v_j[None, :])
            near += np.maximum(away - r_j[:, None], 0.0)
            far += away + r_j[:, None]
        return np.exp(-self.gamma * far), np.exp(-self.gamma * near)

    def bound_sum(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray, coefs: FloatArray
    ) -> SumBounds:
        """By a Taylor series of the exponential around a line through each distance.

        Over ``|d| <= r`` the distance ``|c + d - v|`` lies between ``|c - v| + s d - l`` and
        ``|c - v| + s d + h`` with ``s = (c - v) / r`` cut to [-1, 1], the slope of its chord,
        ``l = |c - v| (1 - |s|)`` and ``h = max(r - |c - v|, 0)``: both are 0 unless the box holds
        the kink. With ``u = -gamma s . d``, ``|u| <= w``, a term is ``K(c) exp(u + e)`` and e is
        between ``-gamma sum h`` and ``gamma sum l``. ``exp(u)`` is expanded to the second order,
        whose exact sum is taken over all terms; what is left of it rises with u, so that its ends
        are at ``u = -w`` and ``u = w``. Terms with ``w > 1`` are bounded by their range instead.
        """
        gamma, n = self.gamma, center.shape[1]
        shape = (len(center), len(coefs))
        distance, change, above_line, below_line = (np.zeros(shape) for _ in range(4))
        slopes = []
        for c_j, r_j, v_j in zip(center.T, radius.T, vectors.T, strict=True):
            offset = c_j[:, None] - v_j[None, :]
            away, r = np.abs(offset), np.broadcast_to(r_j[:, None], shape)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                slope = np.where(r > 0, np.clip(offset / r, -1.0, 1.0), np.sign(offset))
            distance += away
            change += gamma * np.abs(slope) * r
            above_line += gamma * np.maximum(r - away, 0.0)
            below_line += gamma * away * (1.0 - np.abs(slope))
            slopes.append(slope)
        at_center = np.exp(-gamma * distance)
        smallest, largest = self.ranges(center, radius, vectors)
        low, high = weighted_range(smallest, largest, coefs)
        fine = change <= _FINE
        term = np.where(fine, coefs * at_center, 0.0)
        pulled = [-gamma * term * slope for slope in slopes]
        hessian = np.empty((len(center), n, n))
        for i in range(n):
            for j in range(i, n):
                entry = -gamma * (pulled[i] * slopes[j]).sum(axis=1)
                hessian[:, i, j] = hessian[:, j, i] = entry
        down, up = quadratic_range(hessian, radius)
        w = np.minimum(change, _FINE)
        growth = np.exp(w)
        # what the terms leave, in shares of K(c)
        least = np.exp(-w) - 1 + w - w**2 / 2 - growth * -np.expm1(-above_line)
        most = growth - 1 - w - w**2 / 2 + growth * np.expm1(np.minimum(below_line, 700.0))
        least = np.where(fine, at_center * least, smallest - at_center)
        most = np.where(fine, at_center * most, largest - at_center)
        below, above = weighted_range(least, most, coefs)
        return SumBounds(
            value=at_center @ coefs,
            slope=np.stack([p.sum(axis=1) for p in pulled], axis=1),
            below=down + below,
            above=up + above,
            low=low,
            high=high,
            size=np.full(len(center), np.abs(coefs).sum()),
        )

    def expression(self, vector: Sequence[float], inputs: Sequence[Any], of: Functions) -> Any:
        """``exp(-gamma sum_j |x_j - v_j|)``, an absolute value as the root of a square.

        SCIP's interface in Pyomo has no absolute value; all of them have powers.
        """
        distance = sum(((x - v) ** 2) ** 0.5 for x, v in zip(inputs, vector, strict=True))
        return of.exp(-self.gamma * distance)

    def text(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``exp(-gamma*(abs(x - v) + ...))``."""
        distance = " + ".join(
            f"abs({join_terms([name, number(-v, signed=True)])})"
            for name, v in zip(names, vector, strict=True)
        )
        return f"exp(-{number(self.gamma)}*({distance}))"

    def latex(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """Print the same in LaTeX."""
        distance = " + ".join(
            rf"\left|{join_terms([name, number(-v, signed=True)])}\right|"
            for name, v in zip(names, vector, strict=True)
        )
        return rf"\exp\left(-{number(self.gamma)} \left({distance}\right)\right)"
