"""What a kernel must know, as one class: a new kernel is a subclass and a line in `registry`.

All in scaled coordinates ``x' = (x - center) / scale``, with NumPy only: models hand in the
functions that their expressions take, scikit-learn calls the kernel as a plain function.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


class Functions(Protocol):
    """Where an expression takes its functions from: ``pyomo.environ``, ``numpy`` or ``math``."""

    exp: Any
    tanh: Any


class Number(Protocol):
    """How a printed equation writes a number, with its sign or without."""

    def __call__(self, value: float, *, signed: bool = False) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class SumBounds:
    """Bounds on ``s(x) = sum_i coefs[i] K(v_i, x)`` over k boxes with centers c.

    For all x of a box ``below <= s(x) - value - slope . (x - c) <= above`` and
    ``low <= s(x) <= high``, but for rounding.

    Attributes
    ----------
    value, below, above, low, high : (k,) array
        `value` is ``s(c)`` itself; `low` and `high` may be infinite.
    slope : (k, n) array
        Where s is not differentiable any slope will do that the two bounds allow.
    size : (k,) array
        Sum of the terms' largest magnitudes, which rounding is in proportion to.
    """

    value: FloatArray
    slope: FloatArray
    below: FloatArray
    above: FloatArray
    low: FloatArray
    high: FloatArray
    size: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel(ABC):
    """A kernel ``K(v, x)`` with its parameters.

    Attributes
    ----------
    gamma : float
        Positive.
    coef0 : float
    degree : int
        Both without meaning where the kernel has none.
    """

    gamma: float
    coef0: float = 0.0
    degree: int = 3

    #: What it is called in `KernelRegion`, `fit_region` and scikit-learn.
    name: ClassVar[str]
    #: Its formula in text, for documentation and messages.
    formula: ClassVar[str]
    #: The function of ``sklearn.metrics.pairwise`` that is the same kernel.
    pairwise: ClassVar[str]
    #: Whether scikit-learn's machines know it by its name; others get the kernel as a function.
    built_in: ClassVar[bool] = True

    # -- scikit-learn -----------------------------------------------------------------------------

    def __call__(self, points: FloatArray, vectors: FloatArray) -> FloatArray:
        """Kernel matrix, (k, m), of rows of scaled points: a machine takes this as its kernel."""
        return self.values(np.asarray(points, dtype=float), np.asarray(vectors, dtype=float))

    @classmethod
    def scaled_gamma(cls, inputs: FloatArray) -> float:
        """Return what ``gamma="scale"`` comes to: 1 / (p * variance), as in scikit-learn."""
        variance = float(np.asarray(inputs, dtype=float).var())
        return 1.0 / (inputs.shape[1] * variance) if variance > 0 else 1.0

    @classmethod
    def machine_parameters(
        cls, inputs: FloatArray, *, gamma: float | str, coef0: float, degree: int
    ) -> dict[str, Any]:
        """Parameters of an `sklearn.svm.SVC` that is to be fitted on those (scaled) inputs."""
        if cls.built_in:
            return {"kernel": cls.name, "gamma": gamma, "coef0": coef0, "degree": degree}
        if gamma == "scale":
            gamma = cls.scaled_gamma(inputs)
        elif gamma == "auto":
            gamma = 1.0 / inputs.shape[1]
        return {"kernel": cls(gamma=float(gamma), coef0=coef0, degree=degree)}

    @classmethod
    def from_machine(cls, machine: Any, n_inputs: int) -> Self | None:
        """Read the kernel of a fitted machine; None if it is another one.

        It may be given to the machine by its name, as an object of this class, or as the function
        of ``sklearn.metrics.pairwise`` (in a `functools.partial` with its parameters).
        """
        given = machine.kernel
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            if not cls.built_in or given != cls.name:
                return None
            # `_gamma` is what "scale" and "auto" came to in fit
            return cls(
                gamma=float(machine._gamma), coef0=float(machine.coef0), degree=int(machine.degree)
            )
        return cls._from_function(given, n_inputs)

    @classmethod
    def _from_function(cls, function: Any, n_inputs: int) -> Self | None:
        known: dict[str, Any] = {}
        while isinstance(function, functools.partial):
            if function.args:
                return None
            known = {**function.keywords, **known}
            function = function.func
        module = getattr(function, "__module__", None) or ""
        if getattr(function, "__name__", "") != cls.pairwise or not module.startswith("sklearn."):
            return None
        parameters = inspect.signature(function).parameters
        values = {
            name: known.get(name, parameters[name].default)
            for name in ("gamma", "coef0", "degree")
            if name in parameters
        }
        if values["gamma"] is None:
            values["gamma"] = 1.0 / n_inputs
        return cls(**values)

    # -- numbers ----------------------------------------------------------------------------------

    @abstractmethod
    def values(self, points: FloatArray, vectors: FloatArray) -> FloatArray:
        """``K(v_i, x)`` for points (k, n) and vectors (m, n): (k, m)."""

    @abstractmethod
    def gradient(self, points: FloatArray, vectors: FloatArray, coefs: FloatArray) -> FloatArray:
        """Gradient of ``sum_i coefs[i] K(v_i, x)``, (k, n); one of several where it has a kink."""

    @abstractmethod
    def ranges(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Least and largest ``K(v_i, x)`` over boxes of center and radius (k, n): (k, m) each."""

    @abstractmethod
    def bound_sum(
        self, center: FloatArray, radius: FloatArray, vectors: FloatArray, coefs: FloatArray
    ) -> SumBounds:
        """Bound ``sum_i coefs[i] K(v_i, x)`` over boxes of center and radius (k, n)."""

    # -- algebra and print ------------------------------------------------------------------------

    @abstractmethod
    def expression(self, vector: Sequence[float], inputs: Sequence[Any], of: Functions) -> Any:
        """``K(v, x)`` of a model's scaled inputs, with the functions of its modelling language."""

    @abstractmethod
    def text(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``K(v, x)`` in Python's notation."""

    @abstractmethod
    def latex(self, vector: Sequence[float], names: Sequence[str], number: Number) -> str:
        """``K(v, x)`` in LaTeX."""


def weighted_range(
    smallest: FloatArray, largest: FloatArray, coefs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Range of ``sum_i coefs[i] K_i``, (k,) each, from the terms' ranges, (k, m) each."""
    pushing, pulling = np.maximum(coefs, 0), np.minimum(coefs, 0)
    return smallest @ pushing + largest @ pulling, largest @ pushing + smallest @ pulling


def quadratic_range(hessian: FloatArray, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bounds on ``d . H d / 2`` over ``|d_j| <= radius_j``: lower and upper, (k,) each."""
    diagonal = np.einsum("kjj->kj", hessian)
    squares = radius**2
    crossed = 0.5 * (
        np.einsum("kij,ki,kj->k", np.abs(hessian), radius, radius)
        - np.einsum("kj,kj->k", np.abs(diagonal), squares)
    )
    down = 0.5 * np.einsum("kj,kj->k", np.minimum(diagonal, 0), squares) - crossed
    up = 0.5 * np.einsum("kj,kj->k", np.maximum(diagonal, 0), squares) + crossed
    return down, up


def join_terms(terms: Sequence[str], *, separator: str = " ", leading: bool = False) -> str:
    """Join signed terms: ``["+a", "-b"]`` gives ``"a - b"``."""
    parts = []
    for position, term in enumerate(terms):
        sign, rest = (term[0], term[1:]) if term[0] in "+-" else ("+", term)
        if position == 0 and not leading:
            parts.append(rest if sign == "+" else f"-{rest}")
        else:
            parts.append(f"{sign} {rest}")
    return separator.join(parts)
