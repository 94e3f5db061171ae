"""From labelled targets to a region: the only file that imports scikit-learn."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM
from sklearn.utils.validation import check_is_fitted

from stnopt.errors import InvalidInputError, UnsupportedModelError, UntrainableError
from stnopt.feasibility.certified_margin import certify_margin, check_certificate
from stnopt.feasibility.one_vs_one import UnionRegion, winning_alternatives
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, RegionScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.feasibility.one_vs_one import Condition
    from stnopt.feasibility.region import Scalar
    from stnopt.feasibility.samples import TargetSamples

    FloatArray: TypeAlias = NDArray[np.float64]

FitKernel: TypeAlias = Literal["linear", "rbf", "poly", "sigmoid"]
Margin: TypeAlias = Literal["none", "certified"]

_FIT_KERNELS = ("linear", "rbf", "poly", "sigmoid")
_CLASSES = {FEASIBLE: "feasible", INFEASIBLE: "infeasible"}
_N_FOLDS = 5
_N_EXACT = 10_000
# Of a certified margin: 1 is the distance of the support vectors from the boundary.
_SMALL_MARGIN = 0.3
_MOST_REFITS = 12
# Grids of the search; labels from exact schedules have no noise, so that large penalties pay.
# Gamma is in multiples of scikit-learn's "scale", 1 / (p * variance).
_TUNING_C = np.logspace(0, 5, 6)
_TUNING_GAMMA_FACTORS = np.logspace(-1, 1, 5)

_Scaler: TypeAlias = StandardScaler | MinMaxScaler | RobustScaler | MaxAbsScaler
_SCALERS = (StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler)
_CLASSIFIERS = (SVC, NuSVC, LinearSVC)
_REGRESSORS = (SVR, NuSVR, LinearSVR)
_SUPPORTED = (
    "SVC, NuSVC, LinearSVC, SVR, NuSVR, LinearSVR and OneClassSVM are supported, alone or at the"
    " end of a Pipeline of StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitReport:
    """How the classifier was fitted, and how its procedure did on targets held out from it.

    Parameters
    ----------
    kernel : str
    C : float
        Penalty of the returned classifier.
    gamma : float or None
        Kernel coefficient of the returned classifier, in scaled inputs; None for a linear one.
    cv_score : float or None
        Mean cross-validated accuracy of the chosen C and gamma; None when nothing was tuned.
    n_train, n_test : int
        Targets in the two parts of the split.
    n_undecided : int
        Targets left out because they are labelled 0.
    n_support : int
        Support vectors of the returned classifier, which is refitted on both parts.
    classification : DataFrame
        Precision, recall, f1-score and support on the test part, one row per class and their mean.
        NaN where the test part has nothing to divide by.
    confusion : DataFrame
        Counts on the test part: true class by row, predicted class by column.
    test_score : RegionScore
        Error rates on the test part with 95 % intervals, false-feasible apart from
        false-infeasible.
    margin : float
        Added to the decision so that the region claims certified targets only; 0 without.
    n_counterexamples : int
        Targets that the search for the margin added to the training ones, labelled +1.
    exact_score : RegionScore or None
        The returned region on 10,000 targets, uniform in its training box, labelled by the
        certificate; None without one. Undecided targets count as infeasible.
    area_lost : float or None
        Share of the certified feasible targets among them that the margin gives up: those that
        the region without margin contains and the one with it does not.
    """

    kernel: str
    C: float
    gamma: float | None
    cv_score: float | None
    n_train: int
    n_test: int
    n_undecided: int
    n_support: int
    classification: pd.DataFrame
    confusion: pd.DataFrame
    test_score: RegionScore
    margin: float = 0.0
    n_counterexamples: int = 0
    exact_score: RegionScore | None = None
    area_lost: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test part."""
        return float(np.trace(self.confusion.to_numpy())) / self.n_test

    @property
    def false_feasible_rate(self) -> float | None:
        """Share of the test part's infeasible targets called feasible; None without any."""
        return self.test_score.false_feasible_rate

    @property
    def false_infeasible_rate(self) -> float | None:
        """Share of the test part's feasible targets called infeasible; None without any."""
        return self.test_score.false_infeasible_rate

    def __str__(self) -> str:
        """Readable summary: parameters, classification report, confusion matrix, error rates."""
        gamma = "" if self.gamma is None else f", gamma={self.gamma:.6g}"
        tuned = "as given" if self.cv_score is None else "by cross-validation"
        lines = [
            f"{self.kernel} classifier, C={self.C:.6g}{gamma} ({tuned}),"
            f" {self.n_support} support vectors"
        ]
        if self.cv_score is not None:
            lines.append(f"cross-validated accuracy {100 * self.cv_score:.2f} %")
        left_out = f", {self.n_undecided} undecided left out" if self.n_undecided else ""
        lines += [
            f"figures below: trained on {self.n_train}, tested on {self.n_test} held-out targets"
            f"{left_out};",
            f"the region itself is refitted on all {self.n_train + self.n_test}",
            "",
            self.classification.to_string(float_format="{:.3f}".format, na_rep="-"),
            "",
            self.confusion.to_string(),
            "",
            f"accuracy          {100 * self.accuracy:>7.2f} %",
            str(self.test_score),
        ]
        if self.exact_score is not None:
            lines += ["", "the region on targets labelled by its certificate:"]
            lines.append(str(self.exact_score))
        if self.margin > 0 and self.area_lost is not None:
            lines.append(
                f"certified margin {self.margin:.4g}, which gives up {100 * self.area_lost:.2f} %"
                " of the feasible area"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRegion:
    """What `fit_region` returns.

    Parameters
    ----------
    region : LinearRegion or KernelRegion
        Plain arrays, scaling folded in; decision <= 0 is feasible.
    report : FitReport
    estimator : Pipeline
        The fitted scikit-learn estimator that the region repeats; its ``decision_function`` on a
        table of targets equals ``region.decision``.
    """

    region: Region
    report: FitReport
    estimator: Pipeline

    @property
    def support_vectors(self) -> FloatArray:
        """Support vectors in the plant's own units, (m, p), for any kernel."""
        machine = self.estimator[-1]
        center, scale, _, _ = _fold_scalers(self.estimator[:-1], len(self.region.inputs))
        return np.asarray(machine.support_vectors_ * scale + center)


def fit_region(
    samples: TargetSamples,
    *,
    kernel: FitKernel = "linear",
    test_size: float = 0.25,
    seed: int = 0,
    tune: bool = False,
    margin: Margin = "none",
    certified: CertifiedRegion | None = None,
    C: float = 1.0,
    gamma: float | Literal["scale", "auto"] = "scale",
    degree: int = 3,
    coef0: float = 0.0,
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    scale: bool = True,
) -> FittedRegion:
    """Learn the feasible region from labelled targets with a support vector classifier.

    The decided targets are split into a training and a test part, stratified by label. Everything
    in the report (classification report, confusion matrix, error rates) comes from a classifier
    that saw the training part only, its tuning included. The region that is returned comes from
    the same procedure repeated on **all** decided targets: the test figures describe the procedure
    with less data, and the region itself has no held-out targets left. Use `score_region` with
    exactly labelled targets to measure the region.

    Parameters
    ----------
    samples : TargetSamples
        Undecided targets (label 0) are left out, with a warning that counts them.
    kernel : {"linear", "rbf", "poly", "sigmoid"}
    test_size : float
        Share of the decided targets held out, between 0 and 1.
    seed : int
        Of the split and of the folds; the same seed gives the same region.
    tune : bool
        Choose `C` (and `gamma`, for kernels that have one) on a logarithmic grid by seeded,
        stratified 5-fold cross-validation of the accuracy; the values given for them are then not
        used. Ties go to the smallest gamma, then the smallest C: the smoothest boundary.
    margin : {"none", "certified"}
        Where the boundary lies: where the classifier puts it, or as far inside as it takes for the
        region, within its training box, to contain nothing but targets that `certified` proves
        feasible. Targets that would ask for a wide margin are added to the training ones first,
        and the classifier is fitted again, until the margin is small. Then ``region.decision`` is
        the estimator's decision plus ``report.margin``.
    certified : CertifiedRegion, optional
        What is proven (`trace_frontier`), for the same plant, horizon and event points. With it
        the report has the region's exact error.
    C, gamma, degree, coef0, class_weight
        As in `sklearn.svm.SVC`; the classes are -1 (feasible) and +1 (infeasible).
    scale : bool
        Standardise the inputs first; the region has the scaling folded in.

    Returns
    -------
    FittedRegion
        With `.region`, `.report` and `.estimator`.

    Raises
    ------
    UntrainableError
        If one class is missing or too small for the split; says what to sample instead.
    InvalidInputError
        If an argument does not fit.

    References
    ----------
    Kumawat and Chaturvedi (2021), section 3.3, steps 2 to 6.
    """
    _check_fit_arguments(kernel, test_size, seed, margin)
    if margin == "certified" and certified is None:
        raise InvalidInputError(
            "margin: 'certified' needs certified=, the region that trace_frontier returns"
        )
    if certified is not None:
        _check_same_plant(samples, certified)
    n_undecided = samples.counts()["undecided"]
    if n_undecided:
        warnings.warn(
            f"{n_undecided} of {len(samples.labels)} targets are undecided (label 0) and train"
            " nothing; label them with a larger solve limit to use them",
            UserWarning,
            stacklevel=2,
        )
    decided = samples.decided
    _check_trainable(decided)
    targets, labels = decided.targets, decided.labels
    try:
        train_rows, test_rows = train_test_split(
            np.arange(len(labels)), test_size=test_size, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise UntrainableError(
            f"{len(labels)} decided targets cannot be split with test_size={test_size}: {error}"
        ) from error
    needed = 2 if tune else 1
    if (fewest := _smaller_class(labels[train_rows])) < needed:
        raise UntrainableError(
            f"the training part has {fewest} of {len(train_rows)} targets in its smaller class and"
            f" needs {needed}: label more targets of that kind, or lower test_size={test_size}"
        )
    machine = SVC(
        kernel=kernel,
        C=C,
        gamma=gamma,
        degree=degree,
        coef0=coef0,
        class_weight=dict(class_weight) if isinstance(class_weight, Mapping) else class_weight,
    )
    steps = [("scaler", StandardScaler()), ("svc", machine)] if scale else [("svc", machine)]
    pipeline = Pipeline(steps)
    trained, _ = _fit(pipeline, targets.iloc[train_rows], labels[train_rows], tune, seed)
    predicted = trained.predict(targets.iloc[test_rows])
    true = labels[test_rows]
    fitted, cv_score = _fit(pipeline, targets, labels, tune, seed)

    context = {
        "lower": targets.min().to_numpy(),
        "upper": targets.max().to_numpy(),
        "origin": dict(samples.scope),
    }
    region = replace(region_from_sklearn(fitted, decided.products), **context)
    added, n_counterexamples = 0.0, 0
    exact_score, area_lost = None, None
    if certified is not None:
        exact_score, area_lost = _measure(region, region, certified, seed)
    if margin == "certified" and certified is not None:
        safe = _fit_safely(fitted, targets, labels, context, certified, seed)
        fitted, region, added, n_counterexamples = safe
        plain = replace(region, offset=region.offset - added)
        exact_score, area_lost = _measure(plain, region, certified, seed)
    report = FitReport(
        kernel=kernel,
        C=float(fitted["svc"].C),
        gamma=None if kernel == "linear" else float(fitted["svc"]._gamma),
        cv_score=cv_score,
        n_train=len(train_rows),
        n_test=len(test_rows),
        n_undecided=n_undecided,
        n_support=len(fitted["svc"].support_),
        classification=_classification_table(true, predicted),
        confusion=_confusion_table(true, predicted),
        test_score=RegionScore.from_answers(true, predicted == FEASIBLE),
        margin=added,
        n_counterexamples=n_counterexamples,
        exact_score=exact_score,
        area_lost=area_lost,
    )
    return FittedRegion(region=region, report=report, estimator=fitted)


def region_from_sklearn(
    estimator: BaseEstimator,
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
        before the machine, in any number and order.
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
    steps, machine = _split_pipeline(estimator)
    for step in (*steps, machine):
        _check_fitted(step)
    if isinstance(inputs, str):
        raise InvalidInputError(f"inputs: expected a sequence of names, got {inputs!r}")
    kernel: Any = getattr(machine, "kernel", "linear")  # LinearSVC and LinearSVR have none
    if kernel not in _FIT_KERNELS:
        raise UnsupportedModelError(
            f"kernel {kernel!r} cannot be written as algebra: fit {type(machine).__name__} with"
            f" one of {list(_FIT_KERNELS)}"
        )
    names = tuple(inputs)
    p = int(machine.n_features_in_)
    if len(names) != p:
        raise InvalidInputError(
            f"inputs: {type(machine).__name__} was fitted on {p} columns, got {len(names)} names"
            f" {list(names)}"
        )
    _check_column_order(estimator, names)
    center, scale, box_lower, box_upper = _fold_scalers(steps, p)
    sign, shift = _orientation(machine, feasible_class, upper)
    offset = sign * float(np.ravel(machine.intercept_)[0]) - shift
    common: dict[str, Any] = {
        "inputs": names,
        "lower": box_lower,
        "upper": box_upper,
        "origin": {"estimator": type(machine).__name__},
    }
    if kernel == "linear":
        weights = sign * _dense(machine.coef_).ravel() / scale
        return LinearRegion(weights=weights, offset=offset - float(weights @ center), **common)
    return KernelRegion(
        kernel=kernel,
        support_vectors=_dense(machine.support_vectors_),
        dual_coefs=sign * _dense(machine.dual_coef_).ravel(),
        offset=offset,
        gamma=float(machine._gamma),  # what "scale" and "auto" came to in fit
        coef0=float(machine.coef0),
        degree=int(machine.degree),
        center=center,
        scale=scale,
        **common,
    )


def duels_from_sklearn(
    estimator: BaseEstimator, inputs: Sequence[str], *, feasible_class: object
) -> tuple[Region, ...]:
    """Take over a classifier of several classes: one region per duel of the feasible class.

    Where **all** of the regions hold, the feasible class wins every duel, so that no other class
    has as many votes and ``predict`` gives it. ``SVC`` and ``NuSVC`` also predict it where it
    loses a duel and nobody has more votes; those points are left out here, and
    `class_region_from_sklearn` has them. For ``LinearSVC``, which compares one value per class,
    nothing is left out.

    Parameters
    ----------
    estimator : SVC, NuSVC, LinearSVC or Pipeline
        Fitted on three or more classes; scalers as in `region_from_sklearn`.
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
        several.duel(chosen, other) for other in range(len(several.classes)) if other != chosen
    )


def class_region_from_sklearn(
    estimator: BaseEstimator, inputs: Sequence[str], *, feasible_class: object
) -> UnionRegion:
    """Take over a class of a classifier of several classes, exactly where ``predict`` gives it.

    ``SVC`` and ``NuSVC`` let each pair of classes duel for a vote. A class may lose a duel and
    still be predicted, for instance where three beat each other in a circle. The region has one
    alternative per way of winning. Ties of votes go to the class that comes first in ``classes_``,
    or with ``break_ties=True`` to the one whose duels' values have the largest sum, as in
    scikit-learn. ``LinearSVC`` compares one value per class: one alternative.

    Parameters
    ----------
    estimator : SVC, NuSVC, LinearSVC or Pipeline
        Fitted on three or more classes; scalers as in `region_from_sklearn`.
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
    if isinstance(several.machine, LinearSVC):
        duels = tuple(several.duel(chosen, other) for other in range(count) if other != chosen)
        return UnionRegion(alternatives=(duels,), origin=origin)
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
            several.duel(first, second) if kind == "duel" else several.larger_sum(first, second)
        )
    return UnionRegion(
        alternatives=tuple(tuple(regions[condition] for condition in way) for way in ways),
        origin=origin,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeveralClasses:
    """A fitted machine of three or more classes, and its scaling."""

    machine: Any
    kernel: FitKernel
    inputs: tuple[str, ...]
    center: FloatArray
    scale: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def classes(self) -> list[Any]:
        """Classes in the machine's order."""
        labels: list[Any] = self.machine.classes_.tolist()
        return labels

    def duel(self, first: int, second: int) -> Region:
        """Where one class beats another."""
        origin = {
            "estimator": type(self.machine).__name__,
            "class": str(self.classes[first]),
            "against": str(self.classes[second]),
        }
        if isinstance(self.machine, LinearSVC):
            slopes = self.machine.coef_[second] - self.machine.coef_[first]
            offset = float(self.machine.intercept_[second] - self.machine.intercept_[first])
            return self._line(slopes, offset, origin)
        # the machine's value is positive where the first of a pair wins
        pair, sign = ((first, second), -1.0) if first < second else ((second, first), 1.0)
        return self._combine({pair: sign}, origin)

    def larger_sum(self, first: int, second: int) -> Region:
        """Where one class has a larger sum of its duels' values than another."""
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
        if self.kernel == "linear":
            slopes = _dense(machine.coef_)
            return self._line(
                np.sum([w * slopes[rows[pair]] for pair, w in weights.items()], axis=0),
                offset,
                origin,
            )
        starts = np.concatenate([[0], np.cumsum(machine.n_support_)])
        vectors, coefs = _dense(machine.support_vectors_), _dense(machine.dual_coef_)
        total, used = np.zeros(len(vectors)), np.zeros(len(vectors), dtype=bool)
        for (first, second), weight in weights.items():
            # a vector of class k has one coefficient per other class, with k left out
            for own, row in ((first, second - 1), (second, first)):
                block = slice(starts[own], starts[own + 1])
                total[block] += weight * coefs[row, block]
                used[block] = True
        return KernelRegion(
            inputs=self.inputs,
            kernel=cast("Any", self.kernel),
            support_vectors=vectors[used],
            dual_coefs=total[used],
            offset=offset,
            gamma=float(machine._gamma),
            coef0=float(machine.coef0),
            degree=int(machine.degree),
            center=self.center,
            scale=self.scale,
            lower=self.lower,
            upper=self.upper,
            origin=origin,
        )

    def _line(
        self, slopes: FloatArray, offset: float, origin: Mapping[str, Scalar]
    ) -> LinearRegion:
        weights = slopes / self.scale
        return LinearRegion(
            inputs=self.inputs,
            weights=weights,
            offset=offset - float(weights @ self.center),
            lower=self.lower,
            upper=self.upper,
            origin=origin,
        )


def _several_classes(
    estimator: BaseEstimator, inputs: Sequence[str], feasible_class: object
) -> _SeveralClasses:
    steps, machine = _split_pipeline(estimator)
    for step in (*steps, machine):
        _check_fitted(step)
    name = type(machine).__name__
    if not isinstance(machine, _CLASSIFIERS) or len(machine.classes_) < 3:
        raise UnsupportedModelError(
            f"{name} has no duels: they need a classifier of three or more classes;"
            " region_from_sklearn takes the others"
        )
    kernel: Any = getattr(machine, "kernel", "linear")
    if kernel not in _FIT_KERNELS:
        raise UnsupportedModelError(
            f"kernel {kernel!r} cannot be written as algebra: fit {name} with one of"
            f" {list(_FIT_KERNELS)}"
        )
    classes = machine.classes_.tolist()
    if feasible_class not in classes:
        raise InvalidInputError(
            f"feasible_class: expected one of the estimator's classes {classes},"
            f" got {feasible_class!r}"
        )
    names, p = tuple(inputs), int(machine.n_features_in_)
    if isinstance(inputs, str) or len(names) != p:
        raise InvalidInputError(
            f"inputs: {name} was fitted on {p} columns, got {list(names)}: give one name each"
        )
    _check_column_order(estimator, names)
    center, scale, lower, upper = _fold_scalers(steps, p)
    return _SeveralClasses(
        machine=machine,
        kernel=kernel,
        inputs=names,
        center=center,
        scale=scale,
        lower=lower,
        upper=upper,
    )


def _pair_index(first: int, second: int, count: int) -> int:
    """Place of a pair in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    return first * count - first * (first + 1) // 2 + second - first - 1


def _check_fit_arguments(kernel: object, test_size: object, seed: object, margin: object) -> None:
    if kernel not in _FIT_KERNELS:
        raise InvalidInputError(f"kernel: expected one of {list(_FIT_KERNELS)}, got {kernel!r}")
    if isinstance(test_size, bool) or not isinstance(test_size, float) or not 0 < test_size < 1:
        raise InvalidInputError(f"test_size: expected a share between 0 and 1, got {test_size!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidInputError(f"seed: expected a non-negative integer, got {seed!r}")
    if margin not in ("none", "certified"):
        raise InvalidInputError(f"margin: expected 'none' or 'certified', got {margin!r}")


def _check_same_plant(samples: TargetSamples, certified: CertifiedRegion) -> None:
    """Refuse a certificate for something else than the samples; records say nothing of that."""
    differs = [
        f"{key}: {samples.scope[key]!r} in the samples, {certified.scope[key]!r} certified"
        for key in ("fingerprint", "horizon", "sense", "n_events", "max_span")
        if key in samples.scope and samples.scope[key] != certified.scope.get(key)
    ]
    if differs:
        raise InvalidInputError("certified: made for something else: " + "; ".join(differs))


def _fit_safely(
    fitted: Pipeline,
    targets: pd.DataFrame,
    labels: NDArray[np.int64],
    context: dict[str, Any],
    certified: CertifiedRegion,
    seed: int,
) -> tuple[Pipeline, Region, float, int]:
    """Fit until the certified margin costs little: the estimator, its region, margin, additions.

    The margin's worst counterexamples become training targets of the next fit. The fit that keeps
    most of the feasible area wins.
    """
    best: tuple[Pipeline, Region, float, int] | None = None
    best_kept = -1
    n_given = len(targets)
    for _ in range(_MOST_REFITS):
        plain = replace(region_from_sklearn(fitted, list(targets.columns)), **context)
        proof = certify_margin(plain, certified)
        region = replace(plain, offset=plain.offset + proof.margin)
        score, _ = _measure(plain, region, certified, seed)
        kept = score.n_feasible - score.n_false_infeasible
        if kept > best_kept:
            best_kept = kept
            best = fitted, region, proof.margin, len(targets) - n_given
        if proof.margin <= _SMALL_MARGIN or not len(proof.counterexamples):
            break
        more = pd.DataFrame(proof.counterexamples, columns=list(targets.columns))
        targets = pd.concat([targets, more], ignore_index=True)
        labels = np.concatenate([labels, np.full(len(more), INFEASIBLE)])
        fitted = clone(fitted).fit(targets, labels)
    assert best is not None, "the first fit keeps at least nothing"
    return best


def _measure(
    plain: Region, region: Region, certified: CertifiedRegion, seed: int
) -> tuple[RegionScore, float]:
    """Score a region on certified targets in its box, and what it gives up against `plain`."""
    order = check_certificate(region, certified)
    share = np.random.default_rng(seed).random((_N_EXACT, len(region.inputs)))
    points = region.lower + share * (region.upper - region.lower)
    labels = np.where(certified.label(points[:, order]) == FEASIBLE, FEASIBLE, INFEASIBLE)
    inside = region.contains(points)
    score = RegionScore.from_answers(labels, inside)
    lost = np.sum(plain.contains(points) & ~inside & (labels == FEASIBLE))
    return score, float(lost) / max(score.n_feasible, 1)


def _check_trainable(decided: TargetSamples) -> None:
    """Refuse samples without two of each class, and say where to sample instead."""
    n = len(decided.labels)
    if n == 0:
        raise UntrainableError(
            "no target is decided: label at least a few of each kind, with a larger solve limit"
        )
    feasible = int(np.sum(decided.labels == FEASIBLE))
    if min(feasible, n - feasible) >= 2:
        return
    if feasible >= n - 1:
        kind, few, extremes = "feasible", n - feasible, decided.targets.max()
        advice = "raise the upper bounds beyond the largest targets sampled ({}) and label again"
    else:
        kind, few, extremes = "infeasible", feasible, decided.targets.min()
        advice = (
            "lower the bounds below the smallest targets sampled ({}), or lengthen the horizon,"
            " and label again"
        )
    most = f"all {n}" if few == 0 else f"all but one of {n}"
    limits = ", ".join(f"{name} {value:.6g}" for name, value in extremes.items())
    raise UntrainableError(
        f"{most} targets are {kind}, and a classifier needs at least two of each kind: "
        + advice.format(limits)
    )


def _fit(
    pipeline: Pipeline, targets: pd.DataFrame, labels: NDArray[np.int64], tune: bool, seed: int
) -> tuple[Pipeline, float | None]:
    """Fit, after a search for C and gamma where asked: the estimator and its best score."""
    estimator, score = clone(pipeline), None
    try:
        if tune:
            parameters, score = _search(pipeline, targets, labels, seed)
            estimator.set_params(**parameters, svc__max_iter=10 * _iteration_limit(labels))
        estimator.fit(targets, labels)
    except ValueError as error:  # scikit-learn names the parameter and its range
        raise InvalidInputError(f"the classifier cannot be fitted: {error}") from error
    return estimator, score


def _search(
    pipeline: Pipeline, targets: pd.DataFrame, labels: NDArray[np.int64], seed: int
) -> tuple[dict[str, float], float]:
    """Choose C and gamma by cross-validated accuracy; candidates that do not converge are out."""
    grid: list[dict[str, Any]] = [{"svc__C": _TUNING_C}]
    if pipeline["svc"].kernel != "linear":
        inputs = clone(pipeline[:-1]).fit_transform(targets) if len(pipeline) > 1 else targets
        variance = float(np.asarray(inputs).var()) or 1.0  # 0 where all targets are the same
        unit = 1 / (targets.shape[1] * variance)
        # one entry per gamma: candidates come in the order of gamma, then C
        grid = [{**grid[0], "svc__gamma": [unit * f]} for f in _TUNING_GAMMA_FACTORS]
    n_folds = min(_N_FOLDS, _smaller_class(labels))
    folds = StratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    limited = clone(pipeline).set_params(svc__max_iter=_iteration_limit(labels))
    search = GridSearchCV(limited, grid, cv=folds, refit=False, error_score=np.nan)
    with warnings.catch_warnings():
        # a fit stopped early counts as failed: its candidate scores nan, which never ranks first
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", message="One or more of the test scores")
        search.fit(targets, labels)
    # ties (equal but for rounding) go to the first: the smallest gamma, then the smallest C
    scores = np.round(search.cv_results_["mean_test_score"], 12)
    best = int(np.nanargmax(scores))
    return search.cv_results_["params"][best], float(scores[best])


def _smaller_class(labels: NDArray[np.int64]) -> int:
    return int(min(np.sum(labels == FEASIBLE), np.sum(labels == INFEASIBLE)))


def _iteration_limit(labels: NDArray[np.int64]) -> int:
    """Limit the solver's steps in a search: an inseparable fit with a large C takes millions."""
    return 1000 * len(labels)


def _classification_table(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> pd.DataFrame:
    content = classification_report(
        true,
        predicted,
        labels=list(_CLASSES),
        target_names=list(_CLASSES.values()),
        output_dict=True,
        zero_division=np.nan,
    )
    rows = [*_CLASSES.values(), "macro avg"]
    table = pd.DataFrame({row: content[row] for row in rows}).T
    return table.astype({"support": int})


def _confusion_table(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> pd.DataFrame:
    return pd.DataFrame(
        confusion_matrix(true, predicted, labels=list(_CLASSES)),
        index=[f"truly {name}" for name in _CLASSES.values()],
        columns=[f"called {name}" for name in _CLASSES.values()],
    )


def _split_pipeline(estimator: BaseEstimator) -> tuple[list[_Scaler], Any]:
    """Take the scalers in order and the machine at the end; anything else is refused by name."""
    steps = _flatten(estimator)
    machine, scalers = steps[-1], steps[:-1]
    name = type(machine).__name__
    if not isinstance(machine, (*_CLASSIFIERS, *_REGRESSORS, OneClassSVM)):
        if hasattr(machine, "best_estimator_") or hasattr(machine, "calibrated_classifiers_"):
            raise UnsupportedModelError(
                f"{name} wraps another estimator: pass the fitted machine inside, such as"
                f" search.best_estimator_; {_SUPPORTED}"
            )
        raise UnsupportedModelError(f"{name} is not a support vector machine: {_SUPPORTED}")
    for scaler in scalers:
        step = type(scaler).__name__
        if not isinstance(scaler, _SCALERS):
            raise UnsupportedModelError(f"step {step} cannot be folded into a region: {_SUPPORTED}")
        if getattr(scaler, "clip", False):
            raise UnsupportedModelError(
                f"{step}(clip=True) is not affine outside its training data: fit it with clip=False"
            )
    return scalers, machine


def _flatten(estimator: Any) -> list[Any]:
    if not isinstance(estimator, Pipeline):
        return [estimator]
    flat: list[Any] = []
    for _, step in estimator.steps:
        if step is not None and not (isinstance(step, str) and step == "passthrough"):
            flat += _flatten(step)
    return flat or [estimator]


def _check_fitted(step: Any) -> None:
    try:
        check_is_fitted(step)
    except NotFittedError as error:
        raise InvalidInputError(
            f"{type(step).__name__} is not fitted: call fit on the estimator first"
        ) from error


def _check_column_order(estimator: Any, names: tuple[str, ...]) -> None:
    """Names may be renamed, but the same names in another order would swap the inputs."""
    fitted_names = getattr(estimator, "feature_names_in_", None)
    if fitted_names is None or set(fitted_names) != set(names):
        return
    if tuple(fitted_names) != names:
        raise InvalidInputError(
            f"inputs: the estimator was fitted on columns {list(fitted_names)} in this order,"
            f" got {list(names)}"
        )


def _fold_scalers(
    scalers: Sequence[_Scaler], p: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """One affine map for all steps, x' = (x - center) / scale, and the box a scaler recorded."""
    center, scale = np.zeros(p), np.ones(p)
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    for scaler in scalers:
        step_center, step_scale = np.zeros(p), np.ones(p)
        if isinstance(scaler, MinMaxScaler):
            lower, upper = (center + scale * side for side in (scaler.data_min_, scaler.data_max_))
            step_scale = 1 / scaler.scale_
            step_center = -scaler.min_ * step_scale
        elif isinstance(scaler, StandardScaler):
            if scaler.with_mean:
                step_center = scaler.mean_
            if scaler.with_std:
                step_scale = scaler.scale_
        elif isinstance(scaler, RobustScaler):
            if scaler.with_centering:
                step_center = scaler.center_
            if scaler.with_scaling:
                step_scale = scaler.scale_
        else:
            step_scale = scaler.scale_
        center, scale = center + scale * step_center, scale * step_scale
    return center, scale, lower, upper


def _orientation(machine: Any, feasible_class: object, upper: float | None) -> tuple[float, float]:
    """Sign and shift that make ``sign * f - shift <= 0`` mean feasible."""
    name = type(machine).__name__
    if isinstance(machine, _REGRESSORS):
        number = isinstance(upper, int | float | np.number) and not isinstance(upper, bool)
        if not number or not math.isfinite(cast("float", upper)):
            raise InvalidInputError(
                f"{name} predicts a number: give upper=, the largest feasible one (got {upper!r})"
            )
        return 1.0, float(cast("float", upper))
    if upper is not None:
        raise InvalidInputError(f"upper={upper!r} is for regressors, {name} tells classes")
    if isinstance(machine, OneClassSVM):
        return -1.0, 0.0
    classes = machine.classes_.tolist()
    if len(classes) != 2:
        raise UnsupportedModelError(
            f"{name} tells {len(classes)} classes {classes}: fit one that tells the feasible class"
            " from the rest, or take class_region_from_sklearn (or duels_from_sklearn)"
        )
    if feasible_class not in classes:
        raise InvalidInputError(
            f"feasible_class: expected one of the estimator's classes {classes},"
            f" got {feasible_class!r}"
        )
    # scikit-learn's decision function is positive for the second class
    return (1.0, 0.0) if feasible_class == classes[0] else (-1.0, 0.0)


def _dense(matrix: Any) -> FloatArray:
    """Array of a matrix that is sparse when the machine was fitted on sparse data."""
    return np.asarray(matrix.toarray() if issparse(matrix) else matrix, dtype=np.float64)
