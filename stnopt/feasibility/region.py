"""Feasible regions as plain arrays: what a support vector machine learned, without scikit-learn.

A region is a function ``decision(x)`` of the targets in the plant's own units; ``decision(x) <= 0``
means feasible. It knows no solver and no estimator: `stnopt.embedding` writes it into a model.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from stnopt.arguments import checked_degree, float_array
from stnopt.errors import InvalidInputError
from stnopt.feasibility import equation, region_file
from stnopt.feasibility.kernels.registry import KERNEL_CLASSES, KERNELS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from stnopt.feasibility.kernels.contract import Kernel

    Points: TypeAlias = ArrayLike | pd.DataFrame
    FloatArray: TypeAlias = NDArray[np.float64]

Scalar: TypeAlias = str | int | float | bool | None

_UNSET = cast("FloatArray", None)  # an array left out, until __post_init__ fills it
_CHUNK_ENTRIES = 1 << 20  # kernel matrix entries held at once (8 MB)


class _Memory:
    """What was worked out of a region lives as long as it does; it is no part of its value."""

    __slots__ = ("worked_out",)

    worked_out: OrderedDict[tuple[object, ...], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class _Region(_Memory):
    """What every region has: names of its inputs, training box, and where it came from."""

    inputs: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    origin: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.inputs
        if not isinstance(names, tuple | list) or not all(isinstance(n, str) and n for n in names):
            raise InvalidInputError(f"inputs: expected a tuple of non-empty names, got {names!r}")
        names = tuple(names)
        if not names:
            raise InvalidInputError("inputs: a region needs at least one input, got none")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInputError(f"inputs: each name once, but {repeated} are repeated")
        object.__setattr__(self, "inputs", names)
        p = (len(names),)
        _set_array(self, "lower", p, finite=False)
        _set_array(self, "upper", p, finite=False)
        for name, low, high in zip(names, self.lower, self.upper, strict=True):
            if not low <= high:
                raise InvalidInputError(
                    f"training box of {name!r}: expected lower <= upper, got {low} and {high}"
                )
        object.__setattr__(self, "origin", MappingProxyType(checked_scalars(self.origin, "origin")))
        object.__setattr__(self, "worked_out", OrderedDict())

    def decision(self, points: Points) -> FloatArray:
        """Value of the decision function; at most 0 is feasible.

        Parameters
        ----------
        points : (n, p) array in the order of `inputs`, or DataFrame with those columns
            Targets in the plant's own units. Other columns of a DataFrame are ignored.

        Returns
        -------
        (n,) array

        Raises
        ------
        InvalidInputError
            If the shape does not fit, a column is missing, or a value is not finite.
        """
        return self._decision(_as_points(points, self.inputs))

    def contains(self, points: Points) -> NDArray[np.bool_]:
        """Whether each point is feasible, ``decision(points) <= 0``; `points` as in `decision`."""
        return self.decision(points) <= 0

    def gradient(self, points: Points) -> FloatArray:
        """Differentiate the decision by each input: (n, p), per unit of that input."""
        return self._gradient(_as_points(points, self.inputs))

    def equation(self, style: Literal["text", "latex"] = "text", *, digits: int = 6) -> str:
        """Print the region as algebra in the inputs' own names.

        Parameters
        ----------
        style : {"text", "latex"}
            Text follows Python's notation (``**`` and ``exp``), so that it can be evaluated.
        digits : int
            Significant digits of each number; 17 reproduce the region exactly.
        """
        if not isinstance(style, str) or style not in ("text", "latex"):
            raise InvalidInputError(f"style: expected 'text' or 'latex', got {style!r}")
        if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 17:
            raise InvalidInputError(f"digits: expected an integer from 1 to 17, got {digits!r}")
        return self._text(digits) if style == "text" else self._latex(digits)

    def to_json(self, path: Path | str | None = None) -> str:
        """Strict JSON of the region, exact to the last bit; also written to `path` when given.

        An unknown side of the training box (infinite) is written as ``null``. The text ends with a
        checksum of all the rest, which `load_region` compares.

        Raises
        ------
        InvalidInputError
            If the path is none, or cannot be written to.
        """
        content: dict[str, Any] = {"kind": _kind_of(self)}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("lower", "upper"):
                value = [float(v) if math.isfinite(v) else None for v in value]
            elif isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, Mapping):
                value = dict(value)
            content[each.name] = value
        text = region_file.encode(content)
        if path is not None:
            region_file.write(path, text)
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.inputs)}: {self._facts()})"

    def __eq__(self, other: object) -> bool:
        """Two regions are equal when they are of one class and every number and name is."""
        if type(self) is not type(other):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, each.name), getattr(other, each.name))
            if isinstance(getattr(self, each.name), np.ndarray)
            else getattr(self, each.name) == getattr(other, each.name)
            for each in fields(self)
        )

    def __hash__(self) -> int:
        """Hash consistent with equality."""
        values = (getattr(self, each.name) for each in fields(self) if each.name != "origin")
        return hash(
            tuple(tuple(v.ravel().tolist()) if isinstance(v, np.ndarray) else v for v in values)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor (read-only mappings cannot be pickled as they are)."""
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content["origin"] = dict(self.origin)
        return _rebuild, (type(self), content)

    def _facts(self) -> str:
        """Say what the region is made of."""
        raise NotImplementedError

    def _decision(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _gradient(self, x: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _text(self, digits: int) -> str:
        raise NotImplementedError

    def _latex(self, digits: int) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LinearRegion(_Region):
    """Half space of the targets: ``decision(x) = weights . x + offset``, at most 0 is feasible.

    Parameters
    ----------
    inputs : tuple of str, length p
        Names of the inputs, such as the products' states, in the order of `weights`.
    weights : (p,) array
        In units of 1 / amount: scaling is already folded in.
    offset : float
        Intercept.
    lower, upper : (p,) array, amount
        Box of the points the region was learned from; -inf and inf where it is not known.
    origin : mapping of str to str, number, bool or None, optional
        Where the region comes from, such as the plant's fingerprint, horizon and proof scope.
    """

    weights: FloatArray
    offset: float

    def __post_init__(self) -> None:
        super(LinearRegion, self).__post_init__()  # slots: plain super() misses
        _set_array(self, "weights", (len(self.inputs),))
        _set_number(self, "offset")

    def _repr_html_(self) -> str:
        """Return the region drawn, as notebooks show it."""
        from stnopt.page.notebook import show_region

        return show_region(self)

    def _facts(self) -> str:
        return self._text(4)

    def _decision(self, x: FloatArray) -> FloatArray:
        return x @ self.weights + self.offset

    def _gradient(self, x: FloatArray) -> FloatArray:
        return np.tile(self.weights, (len(x), 1))

    def _text(self, digits: int) -> str:
        return equation.linear_text(self.inputs, self.weights, self.offset, digits)

    def _latex(self, digits: int) -> str:
        return equation.linear_latex(self.inputs, self.weights, self.offset, digits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class KernelRegion(_Region):
    """Level set of a sum of kernels, at most 0 is feasible.

    With ``x' = (x - center) / scale`` the decision is ``sum_i dual_coefs[i] * K(v_i, x') + offset``
    over the support vectors ``v_i``; each kernel K has a class in `stnopt.feasibility.kernels`,
    which says its formula.

    Parameters
    ----------
    inputs : tuple of str, length p
        Names of the inputs, such as the products' states.
    kernel : str
        A name among `stnopt.feasibility.kernels.registry.KERNELS`.
    support_vectors : (m, p) array, dimensionless
        In scaled coordinates x'; `raw_support_vectors` has them in the plant's units.
    dual_coefs : (m,) array
        Signed: positive coefficients pull towards infeasible.
    offset : float
        Intercept.
    gamma : float
        Positive.
    coef0 : float
        Of ``"poly"`` and ``"sigmoid"``; without meaning for the others.
    degree : int
        Of ``"poly"``, at least 1.
    center, scale : (p,) array, amount
        Affine scaling of each input; scale is positive. 0 and 1 when left out.
    lower, upper : (p,) array, amount
        Box of the points the region was learned from; -inf and inf where it is not known.
    origin : mapping of str to str, number, bool or None, optional
        Where the region comes from, such as the plant's fingerprint, horizon and proof scope.

    References
    ----------
    Kumawat and Chaturvedi (2021), eq. 16 and 18 (its eq. 18 misses the square); kernels as in
    Chang and Lin (2011), LIBSVM, doi:10.1145/1961189.1961199.
    """

    kernel: str
    support_vectors: FloatArray
    dual_coefs: FloatArray
    offset: float
    gamma: float
    coef0: float = 0.0
    degree: int = 3
    center: FloatArray = _UNSET
    scale: FloatArray = _UNSET

    def __post_init__(self) -> None:
        super(KernelRegion, self).__post_init__()  # slots: plain super() misses
        if not isinstance(self.kernel, str) or self.kernel not in KERNELS:
            raise InvalidInputError(
                f"kernel: expected one of {', '.join(KERNELS)}, got {self.kernel!r}"
                " (a linear kernel is a LinearRegion)"
            )
        p = len(self.inputs)
        if self.center is None:
            object.__setattr__(self, "center", np.zeros(p))
        if self.scale is None:
            object.__setattr__(self, "scale", np.ones(p))
        m = len(np.atleast_1d(np.asarray(self.dual_coefs)))
        _set_array(self, "dual_coefs", (m,))
        _set_array(self, "support_vectors", (m, p), hint="; a row for each of dual_coefs")
        _set_array(self, "center", (p,))
        _set_array(self, "scale", (p,))
        for name, scale in zip(self.inputs, self.scale, strict=True):
            if not scale > 0:
                raise InvalidInputError(
                    f"scale of {name!r}: expected a positive number, got {scale}"
                )
        for name in ("offset", "gamma", "coef0"):
            _set_number(self, name)
        if not self.gamma > 0:
            raise InvalidInputError(f"gamma: expected a positive number, got {self.gamma}")
        object.__setattr__(self, "degree", checked_degree(self.degree))

    @property
    def kernel_function(self) -> Kernel:
        """The kernel with its parameters."""
        return KERNEL_CLASSES[self.kernel](gamma=self.gamma, coef0=self.coef0, degree=self.degree)

    @property
    def raw_support_vectors(self) -> FloatArray:
        """Support vectors in the plant's own units, (m, p)."""
        return self.support_vectors * self.scale + self.center

    def kernel_matrix(self, points: Points) -> FloatArray:
        """Kernel of each support vector at each point, (n, m); `points` as in `decision`."""
        scaled = (_as_points(points, self.inputs) - self.center) / self.scale
        return self.kernel_function.values(scaled, self.support_vectors)

    def _repr_html_(self) -> str:
        """Return the region drawn, as notebooks show it."""
        from stnopt.page.notebook import show_region

        return show_region(self)

    def _facts(self) -> str:
        return f"{self.kernel}, {len(self.support_vectors)} support vectors"

    def _decision(self, x: FloatArray) -> FloatArray:
        kernel = self.kernel_function
        result = np.full(len(x), self.offset)
        for rows, scaled in self._scaled_chunks(x):
            result[rows] += kernel.values(scaled, self.support_vectors) @ self.dual_coefs
        return result

    def _gradient(self, x: FloatArray) -> FloatArray:
        kernel = self.kernel_function
        result = np.empty_like(x)
        for rows, scaled in self._scaled_chunks(x):
            inner = kernel.gradient(scaled, self.support_vectors, self.dual_coefs)
            result[rows] = inner / self.scale
        return result

    def _scaled_chunks(self, x: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """Slices of rows and their scaled points, few enough that the kernel matrix stays small."""
        step = max(1, _CHUNK_ENTRIES // max(1, len(self.dual_coefs)))
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            yield rows, (x[rows] - self.center) / self.scale

    def _text(self, digits: int) -> str:
        return equation.kernel_text(self, digits)

    def _latex(self, digits: int) -> str:
        return equation.kernel_latex(self, digits)


Region: TypeAlias = LinearRegion | KernelRegion


def load_region(source: Path | str) -> Region:
    """Read a region that `to_json` wrote; it is data only, nothing in it is executed.

    Parameters
    ----------
    source : Path or str
        A file, or the JSON text itself (a string that starts with ``{``).

    Raises
    ------
    InvalidInputError
        If it is not such a region: no file, too large, wrong format or version, missing, unknown or
        repeated keys, shapes that do not fit, or a checksum that tells of a change. Regions
        written before there was a checksum have none, and are read without.
    """
    text, where = region_file.read(source)
    content, checksum = region_file.decode(text, where)
    kind = content.get("kind")
    region_class: type[Region]
    if kind == "linear":
        region_class = LinearRegion
    elif kind == "kernel":
        region_class = KernelRegion
    else:
        raise InvalidInputError(
            f"{where}: 'kind' must be 'linear' or 'kernel', got {region_file.shown(kind)}"
        )
    known = {each.name for each in fields(region_class)}
    values = {key: v for key, v in content.items() if key != "kind"}
    if missing := sorted(known - values.keys()):
        raise InvalidInputError(f"{where}: missing {missing}")
    if unknown := sorted(values.keys() - known):
        raise InvalidInputError(f"{where}: unknown {unknown}; a {kind} region has {sorted(known)}")
    for side, unknown_bound in (("lower", -math.inf), ("upper", math.inf)):
        if not isinstance(values[side], list):
            raise InvalidInputError(
                f"{where}: {side}: expected a list, got {region_file.shown(values[side])}"
            )
        values[side] = [unknown_bound if bound is None else bound for bound in values[side]]
    try:
        region = region_class(**values)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error
    region_file.compare_checksum(content, checksum, where)
    return region


def checked_scalars(values: Mapping[str, Scalar], what: str) -> dict[str, Scalar]:
    """Copy of a mapping of names to JSON scalars, such as a region's origin or a samples' scope.

    Raises
    ------
    InvalidInputError
        If a key is not a string, or a value is anything but text, a finite number, a bool or None.
    """
    if not isinstance(values, Mapping):
        raise InvalidInputError(f"{what}: expected a mapping, got {values!r}")
    checked: dict[str, Scalar] = {}
    for key, given in values.items():
        value = given.item() if isinstance(given, np.generic) else given
        fits = value is None or isinstance(value, str | bool | int)
        fits = fits or (isinstance(value, float) and math.isfinite(value))
        if not isinstance(key, str) or not fits:
            raise InvalidInputError(
                f"{what}[{key!r}]: expected text, a finite number, a bool or None, got {given!r}"
            )
        checked[key] = value
    return checked


def _rebuild(region_class: type[Region], content: dict[str, Any]) -> Region:
    return region_class(**content)


def _kind_of(region: _Region) -> str:
    return "linear" if isinstance(region, LinearRegion) else "kernel"


def _set_array(
    region: _Region,
    name: str,
    shape: tuple[int, ...],
    *,
    finite: bool = True,
    hint: str = "",
) -> None:
    """Replace a field by a checked, read-only copy."""
    value = getattr(region, name)
    try:
        array = float_array(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInputError(
            f"{name}: expected numbers of shape {shape}, got {region_file.shown(value)}"
        ) from error
    if array.size == 0 and math.prod(shape) == 0:
        array = array.reshape(shape)
    if array.shape != shape:
        raise InvalidInputError(
            f"{name}: expected shape {shape} for inputs {list(region.inputs)}, found {array.shape}"
            f"{hint}"
        )
    if np.isnan(array).any() or (finite and not np.isfinite(array).all()):
        raise InvalidInputError(
            f"{name}: every number must be finite, got {region_file.shown(array.tolist())}"
        )
    array.setflags(write=False)
    object.__setattr__(region, name, array)


def _set_number(region: _Region, name: str) -> None:
    value = getattr(region, name)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InvalidInputError(f"{name}: expected a finite number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInputError(f"{name}: expected a finite number, got {value!r}")
    object.__setattr__(region, name, number)


def _as_points(points: Points, inputs: tuple[str, ...]) -> FloatArray:
    """Points as an (n, p) array in the order of the inputs."""
    values: Any = points
    if hasattr(points, "columns"):  # a DataFrame, without importing pandas
        columns = list(points.columns)
        if missing := [name for name in inputs if name not in columns]:
            raise InvalidInputError(
                f"points: missing columns {missing}; the region's inputs are {list(inputs)}"
                f" and the table has {columns}"
            )
        if repeated := [name for name in inputs if columns.count(name) > 1]:
            raise InvalidInputError(f"points: columns {repeated} appear more than once")
        values = values[list(inputs)].to_numpy()
    try:
        # one memory layout, so that a table and an array give the same bits
        x = np.ascontiguousarray(float_array(values))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"points: expected numbers, {error}") from error
    if x.ndim != 2 or x.shape[1] != len(inputs):
        hint = "; write a single point as [[...]]" if x.ndim == 1 else ""
        raise InvalidInputError(
            f"points: expected shape (n, {len(inputs)}) for inputs {list(inputs)},"
            f" found {x.shape}{hint}"
        )
    if not np.isfinite(x).all():
        row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise InvalidInputError(f"points: row {row} is not finite: {x[row].tolist()}")
    return x
