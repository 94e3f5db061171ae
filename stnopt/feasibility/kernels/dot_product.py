"""Kernels of the dot product, ``K(v, x) = phi(gamma v . x + coef0)``: polynomial and sigmoid."""

from __future__ import annotations

from abc import abstractmethod
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


class _DotProductKernel(Kernel):
    """What both share: all follows from the function phi of ``z = gamma v . x + coef0``."""

    __slots__ = ()

    @abstractmethod
    def phi(self, z: FloatArray) -> FloatArray:
        """Evaluate the function itself."""

    @abstractmethod
    def rise(self, z: FloatArray) -> FloatArray:
        """Its first derivative."""

    @abstractmethod
    def bend(self, z: FloatArray) -> FloatArray:
        """Its second derivative."""

    @abstractmethod
    def steepest_bend(self, z: FloatArray, spread: FloatArray) -> FloatArray:
        """Bound on the third derivative's magnitude over ``|y - z| <= spread``."""

    @abstractmethod
    def phi_range(self, first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least and largest phi over ``first <= z <= last``."""

    def values(self, points: FloatArray, vectors: FloatArray) -> FloatArray:
        """``K(v_i, x)``, (k, m)."""
        return self.phi(self.gamma * (points @ vectors.T) + self.coef0)

    def gradient(self, points: FloatArray, vectors: FloatArray, coefs: FloatArray) -> FloatArray:
        """Return ``gamma sum_i coefs[i] phi'(z_i) v_i``, (k, n)."""
        slope = self.rise(self.gamma * (points @ vectors.T) + self.coef0)
        return self.gamma * ((slope * coefs) @ vectors)

    def _arguments(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Z at the center, and how far it varies over the box."""
        scaled = self.gamma * vectors
        z = center @ scaled.T + self.coef0
        spread = radius @ np.abs(scaled).T
        spread += 1e-14 * (np.abs(center) @ np.abs(scaled).T + abs(self.coef0))
        return z, spread

    def ranges(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Over the interval of ``z``, whose ends are at corners of the box."""
        z, spread = self._arguments(center, radius, vectors)
        return self.phi_range(z - spread, z + spread)

    def bound_sum(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray, coefs: FloatArray
    ) -> SumBounds:
        """By the exact Hessian of the sum at the center and a bound on each third derivative."""
        n = center.shape[1]
        z, spread = self._arguments(center, radius, vectors)
        scaled = self.gamma * vectors
        products = (scaled[:, :, None] * scaled[:, None, :]).reshape(len(coefs), n * n)
        hessian = ((self.bend(z) * coefs) @ products).reshape(len(center), n, n)
        third = (self.steepest_bend(z, spread) * spread**3) @ np.abs(coefs) / 6
        smallest, largest = self.phi_range(z - spread, z + spread)
        low, high = weighted_range(smallest, largest, coefs)
        down, up = quadratic_range(hessian, radius)
        return SumBounds(
            value=self.phi(z) @ coefs,
            slope=(self.rise(z) * coefs) @ scaled,
            below=down - third,
            above=up + third,
            low=low,
            high=high,
            size=np.maximum(np.abs(smallest), np.abs(largest)) @ np.abs(coefs),
        )

    def argument(self, vector: Sequence[float], inputs: Sequence[Any]) -> Any:
        """``gamma v . x + coef0`` of a model's scaled inputs."""
        return self.gamma * sum(v * x for x, v in zip(inputs, vector, strict=True)) + self.coef0

    def argument_text(
        self, vector: Sequence[float], names: Sequence[str], number: Number, *, latex: bool
    ) -> str:
        """``gamma v . x + coef0`` in print."""
        times, left, right = (r"\,", r" \left(", r"\right)") if latex else ("*", "*(", ")")
        products = join_terms(
            [
                f"{number(v, signed=True)}{times}{name}"
                for name, v in zip(names, vector, strict=True)
            ]
        )
        return join_terms(
            [f"{number(self.gamma)}{left}{products}{right}", number(self.coef0, signed=True)]
        )


class PolynomialKernel(_DotProductKernel):
    """``(gamma v . x + coef0)^degree`` (Chang and Lin, 2011, doi:10.1145/1961189.1961199)."""

    __slots__ = ()

    name: ClassVar[str] = "poly"
    formula: ClassVar[str] = "(gamma * v . x + coef0)**degree"
    pairwise: ClassVar[str] = "polynomial_kernel"

    def phi(self, z: FloatArray) -> FloatArray:
        """``z^d``."""
        result: FloatArray = z**self.degree
        return result

    def rise(self, z: FloatArray) -> FloatArray:
        """``d z^(d-1)``."""
        result: FloatArray = self.degree * z ** (self.degree - 1)
        return result

    def bend(self, z: FloatArray) -> FloatArray:
        """``d (d-1) z^(d-2)``."""
        d = self.degree
        return d * (d - 1) * z ** (d - 2) if d >= 2 else np.zeros_like(z)

    def steepest_bend(self, z: FloatArray, spread: FloatArray) -> FloatArray:
        """``d (d-1) (d-2) z^(d-3)`` at the end that is farther from 0."""
        d = self.degree
        if d < 3:
            return np.zeros_like(z)
        return d * (d - 1) * (d - 2) * (np.abs(z) + spread) ** (d - 3)

    def phi_range(self, first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
        """At the ends; an even power is least at 0 where that is between them."""
        ends = np.stack([first**self.degree, last**self.degree])
        straddles = (first < 0) & (last > 0) & (self.degree % 2 == 0)
        return np.where(straddles, 0.0, ends.min(axis=0)), ends.max(axis=0)

    def expression(self, vector: Sequence[float], inputs: Sequence[Any], of: Functions) -> Any:
        """``(gamma v . x + coef0)^degree``; needs no function."""
        return self.argument(vector, inputs) ** self.degree

    def text(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``(gamma*(v*x + ...) + coef0)**degree``."""
        return f"({self.argument_text(vector, names, number, latex=False)})**{self.degree}"

    def latex(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """Print the same in LaTeX."""
        argument = self.argument_text(vector, names, number, latex=True)
        return rf"\left({argument}\right)^{{{self.degree}}}"


class SigmoidKernel(_DotProductKernel):
    """``tanh(gamma v . x + coef0)`` (Chang and Lin, 2011, doi:10.1145/1961189.1961199)."""

    __slots__ = ()

    name: ClassVar[str] = "sigmoid"
    formula: ClassVar[str] = "tanh(gamma * v . x + coef0)"
    pairwise: ClassVar[str] = "sigmoid_kernel"

    def phi(self, z: FloatArray) -> FloatArray:
        """``tanh z``."""
        result: FloatArray = np.tanh(z)
        return result

    def rise(self, z: FloatArray) -> FloatArray:
        """``1 - tanh^2 z``."""
        result: FloatArray = 1 - np.tanh(z) ** 2
        return result

    def bend(self, z: FloatArray) -> FloatArray:
        """``-2 tanh z (1 - tanh^2 z)``."""
        result: FloatArray = -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)
        return result

    def steepest_bend(self, z: FloatArray, spread: FloatArray) -> FloatArray:
        """|tanh'''| = 2 sech^2 |3 tanh^2 - 1|: at most 2 anywhere and at most 4 sech^2."""
        closest = np.maximum(np.abs(z) - spread, 0.0)
        result: FloatArray = np.minimum(2.0, 4 * (1 - np.tanh(closest) ** 2))
        return result

    def phi_range(self, first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
        """At the ends: it rises everywhere."""
        return np.tanh(first), np.tanh(last)

    def expression(self, vector: Sequence[float], inputs: Sequence[Any], of: Functions) -> Any:
        """``tanh(gamma v . x + coef0)``."""
        return of.tanh(self.argument(vector, inputs))

    def text(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``tanh(gamma*(v*x + ...) + coef0)``."""
        return f"tanh({self.argument_text(vector, names, number, latex=False)})"

    def latex(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """Print the same in LaTeX."""
        argument = self.argument_text(vector, names, number, latex=True)
        return rf"\tanh\left({argument}\right)"
