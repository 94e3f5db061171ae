"""Fitted support vector machines of scikit-learn as plain arrays, scaling folded in.

scikit-learn is imported where a machine is looked at: whoever has one has imported it before.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.kernels.registry import KERNELS, kernel_of_machine
from stnopt.feasibility.one_vs_one import UnionRegion, winning_alternatives
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.kernels.contract import Kernel
    from stnopt.feasibility.one_vs_one import Condition
    from stnopt.feasibility.region import Scalar

    FloatArray: TypeAlias = NDArray[np.float64]

_CLASSIFIERS = ("SVC", "NuSVC", "LinearSVC")
_REGRESSORS = ("SVR", "NuSVR", "LinearSVR")
_SUPPORTED = (
    "SVC, NuSVC, LinearSVC, SVR, NuSVR, LinearSVR and OneClassSVM are supported, alone or at the"
    " end of a Pipeline of StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler"
)


def region_from_sklearn(
    estimator: Any,
    inputs: Sequence[str],
    *,
    feasible_class: object = -1,
    upper: float | None = None,
) -> Region:
    """Take over a fitted support vector machine as plain arrays, scaling folded in.

    With ``f = estimator.decision_function`` the region's decision is

    - ``f`` for a binary classifier whose `feasible_class` is ``classes_[0]``, and ``-f`` where it
      is ``classes_[1]``;
    - ``-f`` for a `OneClassSVM`: what it calls an inlier is feasible, whatever `feasible_class`;
    - ``estimator.predict - upper`` for a regressor: feasible where it predicts at most `upper`.

    The training box is known where a `MinMaxScaler` has recorded it; otherwise it is -inf to inf,
    and ``dataclasses.replace(region, lower=..., upper=...)`` states it.

    Parameters
    ----------
    estimator : SVC, NuSVC, LinearSVC, SVR, NuSVR, LinearSVR, OneClassSVM or Pipeline
        Fitted. A Pipeline may put StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler
        before the machine, in any number and order. A fitted search (`GridSearchCV` and its like)
        stands for its best estimator. A machine's kernel may be given by its name, as a kernel of
        `stnopt.feasibility.kernels`, or as a function of ``sklearn.metrics.pairwise``.
    inputs : sequence of str, length p
        What each column that the estimator was fitted on is called in the model.
    feasible_class : object
        Class that means feasible, one of ``classes_``. Classifiers only.
    upper : float, optional
        Largest prediction that is feasible. Regressors only, which need it.

    Raises
    ------
    UnsupportedModelError
        If the estimator, its kernel or a step is not supported; says what is.
    InvalidInputError
        If it is not fitted, or an argument does not fit it.
    """
    fitted = _fitted_machine(estimator, inputs)
    machine = fitted.machine
    sign, shift = _orientation(machine, feasible_class, upper)
    offset = sign * float(np.ravel(machine.intercept_)[0]) - shift
    origin = {"estimator": type(machine).__name__}
    if fitted.kernel is None:
        return fitted.linear_region(sign * _dense(machine.coef_).ravel(), offset, origin)
    coefs = sign * _dense(machine.dual_coef_).ravel()
    return fitted.kernel_region(_machine_vectors(machine), coefs, offset, origin)


def one_vs_one_from_sklearn(
    estimator: Any, inputs: Sequence[str], *, feasible_class: object
) -> tuple[Region, ...]:
    """Take over a classifier of several classes: one region per pair of the feasible class.

    Where **all** of the regions hold, the feasible class wins every one-vs-one decision, so that no
    other class has as many votes and ``predict`` gives it. ``SVC`` and ``NuSVC`` also predict it
    where it loses one and nobody has more votes; those points are left out here, and
    `class_region_from_sklearn` has them. For ``LinearSVC``, which compares one value per class,
    nothing is left out.

    Parameters
    ----------
    estimator : SVC, NuSVC, LinearSVC or Pipeline
        Fitted on three or more classes; scalers and searches as in `region_from_sklearn`.
    inputs : sequence of str, length p
        What each column that the estimator was fitted on is called in the model.
    feasible_class : object
        One of ``classes_``.

    Returns
    -------
    tuple of LinearRegion or KernelRegion
        One per other class, in the order of ``classes_``; ``origin["against"]`` names it. Give all
        of them to `solve_over_region`, or one after the other to `add_region_constraint`.

    Raises
    ------
    UnsupportedModelError
        If the estimator, its kernel or a step is not supported; says what is.
    InvalidInputError
        If it is not fitted, or an argument does not fit it.

    References
    ----------
    Votes as in Chang and Lin (2011), LIBSVM, section 7, doi:10.1145/1961189.1961199.
    """
    several = _several_classes(estimator, inputs, feasible_class)
    chosen = several.classes.index(feasible_class)
    return tuple(
        several.pair(chosen, other) for other in range(len(several.classes)) if other != chosen
    )


def duels_from_sklearn(
    estimator: Any, inputs: Sequence[str], *, feasible_class: object
) -> tuple[Region, ...]:
    """Old name of `one_vs_one_from_sklearn`."""
    warnings.warn(
        "duels_from_sklearn is called one_vs_one_from_sklearn now; the old name is kept"
        " for one release",
        DeprecationWarning,
        stacklevel=2,
    )
    return one_vs_one_from_sklearn(estimator, inputs, feasible_class=feasible_class)


def class_region_from_sklearn(
    estimator: Any, inputs: Sequence[str], *, feasible_class: object
) -> UnionRegion:
    """Take over a class of a classifier of several classes, exactly where ``predict`` gives it.

    ``SVC`` and ``NuSVC`` decide one-vs-one: each pair of classes gives one of them a vote. A class
    may lose to another and still be predicted, for instance where three beat each other in a
    circle. The region has one alternative per way of winning. Ties of votes go to the class that
    comes first in ``classes_``, or with ``break_ties=True`` to the one whose pairwise values have
    the largest sum, as in scikit-learn. ``LinearSVC`` compares one value per class: it has one
    alternative.

    Parameters
    ----------
    estimator : SVC, NuSVC, LinearSVC or Pipeline
        Fitted on three or more classes; scalers and searches as in `region_from_sklearn`.
    inputs : sequence of str, length p
        What each column that the estimator was fitted on is called in the model.
    feasible_class : object
        One of ``classes_``.

    Returns
    -------
    UnionRegion
        ``contains`` equals ``predict == feasible_class``, except where a value that decides is
        exactly 0: such points belong to both sides.

    Raises
    ------
    UnsupportedModelError
        If the estimator, its kernel or a step is not supported, or if there are too many ways of
        winning (more than 5 classes, or 4 with `break_ties`); says what to do instead.
    InvalidInputError
        If it is not fitted, or an argument does not fit it.

    References
    ----------
    Votes as in Chang and Lin (2011), LIBSVM, section 7, doi:10.1145/1961189.1961199.
    """
    several = _several_classes(estimator, inputs, feasible_class)
    chosen, count = several.classes.index(feasible_class), len(several.classes)
    origin = {"estimator": type(several.machine).__name__, "class": str(feasible_class)}
    if _is_one_of(several.machine, ("LinearSVC",)):
        pairs = tuple(several.pair(chosen, other) for other in range(count) if other != chosen)
        return UnionRegion(alternatives=(pairs,), origin=origin)
    break_ties = bool(several.machine.break_ties)
    if break_ties and several.machine.decision_function_shape == "ovo":
        raise InvalidInputError(
            "break_ties=True needs decision_function_shape='ovr': scikit-learn predicts nothing"
            " with 'ovo' either"
        )
    ways = winning_alternatives(count, chosen, break_ties=break_ties)
    regions: dict[Condition, Region] = {}
    for condition in dict.fromkeys(condition for way in ways for condition in way):
        kind, first, second = condition
        regions[condition] = (
            several.pair(first, second) if kind == "pair" else several.larger_sum(first, second)
        )
    return UnionRegion(
        alternatives=tuple(tuple(regions[condition] for condition in way) for way in ways),
        origin=origin,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedMachine:
    """A fitted machine, its kernel (None for a linear one), and the scaling before it."""

    machine: Any
    kernel: Kernel | None
    inputs: tuple[str, ...]
    center: FloatArray
    scale: FloatArray
    lower: FloatArray
    upper: FloatArray

    def linear_region(
        self, slopes: FloatArray, offset: float, origin: Mapping[str, Scalar]
    ) -> LinearRegion:
        """Region of a linear decision in scaled inputs."""
        weights = slopes / self.scale
        return LinearRegion(
            inputs=self.inputs,
            weights=weights,
            offset=offset - float(weights @ self.center),
            lower=self.lower,
            upper=self.upper,
            origin=origin,
        )

    def kernel_region(
        self,
        vectors: FloatArray,
        coefs: FloatArray,
        offset: float,
        origin: Mapping[str, Scalar],
    ) -> KernelRegion:
        """Region of a sum of kernels."""
        assert self.kernel is not None, "a linear machine has no kernel region"
        return KernelRegion(
            inputs=self.inputs,
            kernel=self.kernel.name,
            support_vectors=vectors,
            dual_coefs=coefs,
            offset=offset,
            gamma=self.kernel.gamma,
            coef0=self.kernel.coef0,
            degree=self.kernel.degree,
            center=self.center,
            scale=self.scale,
            lower=self.lower,
            upper=self.upper,
            origin=origin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeveralClasses:
    """A fitted machine of three or more classes."""

    fitted: _FittedMachine

    @property
    def machine(self) -> Any:
        """The machine itself."""
        return self.fitted.machine

    @property
    def classes(self) -> list[Any]:
        """Classes in the machine's order."""
        labels: list[Any] = self.machine.classes_.tolist()
        return labels

    def pair(self, first: int, second: int) -> Region:
        """Where one class beats another."""
        origin = {
            "estimator": type(self.machine).__name__,
            "class": str(self.classes[first]),
            "against": str(self.classes[second]),
        }
        if _is_one_of(self.machine, ("LinearSVC",)):
            coefs = _dense(self.machine.coef_)
            # without an intercept it is a single 0
            offsets = np.broadcast_to(
                np.asarray(self.machine.intercept_, dtype=np.float64), (len(coefs),)
            )
            offset = float(offsets[second] - offsets[first])
            return self.fitted.linear_region(coefs[second] - coefs[first], offset, origin)
        # the machine's value is positive where the first of a pair wins
        pair, sign = ((first, second), -1.0) if first < second else ((second, first), 1.0)
        return self._combine({pair: sign}, origin)

    def larger_sum(self, first: int, second: int) -> Region:
        """Where one class has a larger sum of its pairwise values than another."""
        weights: dict[tuple[int, int], float] = {}
        for one, sign in ((first, -1.0), (second, 1.0)):
            for other in range(len(self.classes)):
                if other != one:
                    pair = (min(one, other), max(one, other))
                    own = sign if one < other else -sign
                    weights[pair] = weights.get(pair, 0.0) + own
        origin = {
            "estimator": type(self.machine).__name__,
            "class": str(self.classes[first]),
            "larger sum than": str(self.classes[second]),
        }
        return self._combine(weights, origin)

    def _combine(
        self, weights: Mapping[tuple[int, int], float], origin: Mapping[str, Scalar]
    ) -> Region:
        """Sum the machine's values of pairs (i, j), i < j, with weights: at most 0 is inside."""
        machine, count = self.machine, len(self.classes)
        rows = {pair: _pair_index(*pair, count) for pair in weights}
        offset = sum(w * float(machine.intercept_[rows[pair]]) for pair, w in weights.items())
        if self.fitted.kernel is None:
            slopes = _dense(machine.coef_)
            total = np.sum([w * slopes[rows[pair]] for pair, w in weights.items()], axis=0)
            return self.fitted.linear_region(total, offset, origin)
        starts = np.concatenate([[0], np.cumsum(machine.n_support_)])
        vectors, coefs = _machine_vectors(machine), _dense(machine.dual_coef_)
        total, used = np.zeros(len(vectors)), np.zeros(len(vectors), dtype=bool)
        for (first, second), weight in weights.items():
            # a vector of class k has one coefficient per other class, with k left out
            for own, row in ((first, second - 1), (second, first)):
                block = slice(starts[own], starts[own + 1])
                total[block] += weight * coefs[row, block]
                used[block] = True
        return self.fitted.kernel_region(vectors[used], total[used], offset, origin)


def _several_classes(
    estimator: Any, inputs: Sequence[str], feasible_class: object
) -> _SeveralClasses:
    fitted = _fitted_machine(estimator, inputs)
    name = type(fitted.machine).__name__
    if not _is_one_of(fitted.machine, _CLASSIFIERS) or len(fitted.machine.classes_) < 3:
        raise UnsupportedModelError(
            f"{name} has no one-vs-one decisions: they need a classifier of three or more classes;"
            " region_from_sklearn takes the others"
        )
    _check_class(fitted.machine, feasible_class)
    return _SeveralClasses(fitted=fitted)


def _fitted_machine(estimator: Any, inputs: Sequence[str]) -> _FittedMachine:
    """Take an estimator apart: everything is checked that does not depend on its kind."""
    steps = _flatten(estimator)
    scalers, machine = _check_steps(steps)
    for step in steps:
        _check_fitted(step)
    p = _n_inputs(machine)
    kernel = _checked_kernel(machine, p)
    if isinstance(inputs, str) or not _is_sequence(inputs):
        raise InvalidInputError(f"inputs: expected a sequence of names, got {inputs!r}")
    names = tuple(inputs)
    if len(names) != p:
        raise InvalidInputError(
            f"inputs: {type(machine).__name__} was fitted on {p} columns, got {len(names)} names"
            f" {list(names)}"
        )
    _check_column_order(steps, names)
    center, scale, lower, upper = _fold_scalers(scalers, p)
    return _FittedMachine(
        machine=machine,
        kernel=kernel,
        inputs=names,
        center=center,
        scale=scale,
        lower=lower,
        upper=upper,
    )


def support_vectors_of(estimator: Any) -> FloatArray:
    """Support vectors of a fitted machine, in the units before its scalers, (m, p)."""
    scalers, machine = _check_steps(_flatten(estimator))
    center, scale, _, _ = _fold_scalers(scalers, _n_inputs(machine))
    return _machine_vectors(machine) * scale + center


def _pair_index(first: int, second: int, count: int) -> int:
    """Place of a pair in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    return first * count - first * (first + 1) // 2 + second - first - 1


def _is_one_of(machine: Any, names: tuple[str, ...]) -> bool:
    from sklearn import svm

    return isinstance(machine, tuple(getattr(svm, name) for name in names))


def _is_sequence(values: object) -> bool:
    return hasattr(values, "__len__") and hasattr(values, "__iter__")


def _check_steps(steps: list[Any]) -> tuple[list[Any], Any]:
    """Scalers in order and the machine at the end; anything else is refused by name."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    machine, scalers = steps[-1], steps[:-1]
    name = type(machine).__name__
    if not _is_one_of(machine, (*_CLASSIFIERS, *_REGRESSORS, "OneClassSVM")):
        if hasattr(machine, "calibrated_classifiers_") or hasattr(machine, "best_threshold_"):
            raise UnsupportedModelError(
                f"{name} wraps another estimator and moves its decision: pass the fitted machine"
                f" inside; {_SUPPORTED}"
            )
        if hasattr(machine, "refit") and hasattr(machine, "estimator"):  # a search
            if not machine.refit:
                raise UnsupportedModelError(
                    f"{name}(refit=False) keeps no fitted estimator: search with refit=True"
                )
            raise InvalidInputError(f"{name} is not fitted: call fit on the search first")
        raise UnsupportedModelError(
            f"estimator: {name} is not a support vector machine: {_SUPPORTED}"
        )
    for scaler in scalers:
        step = type(scaler).__name__
        if not isinstance(scaler, StandardScaler | MinMaxScaler | RobustScaler | MaxAbsScaler):
            raise UnsupportedModelError(f"step {step} cannot be folded into a region: {_SUPPORTED}")
        if getattr(scaler, "clip", False):
            raise UnsupportedModelError(
                f"{step}(clip=True) is not affine outside its training data: fit it with clip=False"
            )
    return scalers, machine


def _flatten(estimator: Any) -> list[Any]:
    """List the steps of a pipeline, of pipelines in it, and of the best estimators of searches."""
    from sklearn.pipeline import Pipeline

    if hasattr(estimator, "best_estimator_"):
        return _flatten(estimator.best_estimator_)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    flat: list[Any] = []
    for _, step in estimator.steps:
        if step is not None and not (isinstance(step, str) and step == "passthrough"):
            flat += _flatten(step)
    return flat or [estimator]


def _check_fitted(step: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(step)
    except NotFittedError as error:
        raise InvalidInputError(
            f"{type(step).__name__} is not fitted: call fit on the estimator first"
        ) from error


def _checked_kernel(machine: Any, n_inputs: int) -> Kernel | None:
    """Kernel of a machine; None for a linear one."""
    given = getattr(machine, "kernel", "linear")  # LinearSVC and LinearSVR have none
    if isinstance(given, str) and given == "linear":
        return None
    kernel = kernel_of_machine(machine, n_inputs)
    if kernel is None:
        raise UnsupportedModelError(
            f"kernel {given!r} cannot be written as algebra: fit {type(machine).__name__} with"
            f" one of {['linear', *KERNELS]}"
        )
    return kernel


def _machine_vectors(machine: Any) -> FloatArray:
    """Support vectors in scaled inputs, (m, p)."""
    if isinstance(machine.kernel, str):
        return _dense(machine.support_vectors_)
    return _training_points(machine)[machine.support_]


def _n_inputs(machine: Any) -> int:
    if hasattr(machine, "n_features_in_"):
        return int(machine.n_features_in_)
    return int(_training_points(machine).shape[1])


def _training_points(machine: Any) -> FloatArray:
    """Points that a machine whose kernel is a function was fitted on, (k, p).

    It computes the kernel with all these points, has no support vectors and counts no inputs in
    public, and keeps the points under this name (`BaseLibSVM._compute_kernel`).
    """
    points = getattr(machine, "_BaseLibSVM__Xfit", None)
    if points is None:
        raise UnsupportedModelError(
            f"{type(machine).__name__}: this release of scikit-learn does not keep the training"
            " points of a machine whose kernel is a function; give the kernel by its name"
        )
    return _dense(points)


def _check_column_order(steps: list[Any], names: tuple[str, ...]) -> None:
    """Names may be renamed, but a name of one column in the place of another swaps the inputs."""
    with_names = (getattr(step, "feature_names_in_", None) for step in steps)
    found = next((list(columns) for columns in with_names if columns is not None), None)
    if found is None or len(found) != len(names):
        return
    if any(name in found and found[j] != name for j, name in enumerate(names)):
        raise InvalidInputError(
            f"inputs: the estimator was fitted on columns {found} in this order, got {list(names)}"
        )


def _fold_scalers(
    scalers: Sequence[Any], p: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """One affine map for all steps, x' = (x - center) / scale, and the box a scaler recorded.

    A scaler fitted on single precision keeps its figures in it: they are folded in double, in
    which it transforms whatever comes in double.
    """
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    center, scale = np.zeros(p), np.ones(p)
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    for scaler in scalers:
        step_center, step_scale = np.zeros(p), np.ones(p)
        if isinstance(scaler, MinMaxScaler):
            lower, upper = (
                center + scale * _double(side) for side in (scaler.data_min_, scaler.data_max_)
            )
            step_scale = 1 / _double(scaler.scale_)
            step_center = -_double(scaler.min_) * step_scale
        elif isinstance(scaler, StandardScaler):
            if scaler.with_mean:
                step_center = _double(scaler.mean_)
            if scaler.with_std:
                step_scale = _double(scaler.scale_)
        elif isinstance(scaler, RobustScaler):
            if scaler.with_centering:
                step_center = _double(scaler.center_)
            if scaler.with_scaling:
                step_scale = _double(scaler.scale_)
        else:
            step_scale = _double(scaler.scale_)
        center, scale = center + scale * step_center, scale * step_scale
    return center, scale, lower, upper


def _orientation(machine: Any, feasible_class: object, upper: float | None) -> tuple[float, float]:
    """Sign and shift that make ``sign * f - shift <= 0`` mean feasible."""
    name = type(machine).__name__
    if _is_one_of(machine, _REGRESSORS):
        number = isinstance(upper, int | float | np.number) and not isinstance(upper, bool)
        if upper is None or not number or not math.isfinite(upper):
            raise InvalidInputError(
                f"{name} predicts a number: give upper=, the largest feasible one (got {upper!r})"
            )
        return 1.0, float(upper)
    if upper is not None:
        raise InvalidInputError(f"upper={upper!r} is for regressors, {name} tells classes")
    if _is_one_of(machine, ("OneClassSVM",)):
        return -1.0, 0.0
    classes = machine.classes_.tolist()
    if len(classes) != 2:
        raise UnsupportedModelError(
            f"{name} tells {len(classes)} classes {classes}: fit one that tells the feasible class"
            " from the rest, or take class_region_from_sklearn (or one_vs_one_from_sklearn)"
        )
    _check_class(machine, feasible_class)
    # scikit-learn's decision function is positive for the second class
    return (1.0, 0.0) if feasible_class == classes[0] else (-1.0, 0.0)


def _check_class(machine: Any, feasible_class: object) -> None:
    classes = machine.classes_.tolist()
    truths = [each for each in classes if isinstance(each, bool)]
    fits = isinstance(feasible_class, str | int | float | np.generic)
    # True equals 1, but whoever says it means something else
    fits = fits and not (isinstance(feasible_class, bool | np.bool_) and not truths)
    if not fits or feasible_class not in classes:
        raise InvalidInputError(
            f"feasible_class: expected one of the estimator's classes {classes},"
            f" got {feasible_class!r}"
        )


def _double(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _dense(matrix: Any) -> FloatArray:
    """Array of a matrix that is sparse when the machine was fitted on sparse data."""
    return _double(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
