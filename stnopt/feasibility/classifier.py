"""From labelled targets to a region with a support vector classifier.

scikit-learn is imported when something is fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from stnopt.arguments import checked_degree, checked_number, checked_truth
from stnopt.errors import InvalidInputError, UntrainableError
from stnopt.feasibility.certified_margin import certify_margin, check_certificate
from stnopt.feasibility.fit_report import FitReport as FitReport
from stnopt.feasibility.fit_report import FittedRegion as FittedRegion
from stnopt.feasibility.from_sklearn import class_region_from_sklearn as class_region_from_sklearn
from stnopt.feasibility.from_sklearn import duels_from_sklearn as duels_from_sklearn
from stnopt.feasibility.from_sklearn import one_vs_one_from_sklearn as one_vs_one_from_sklearn
from stnopt.feasibility.from_sklearn import region_from_sklearn as region_from_sklearn
from stnopt.feasibility.kernels.registry import KERNEL_CLASSES, KERNELS
from stnopt.feasibility.region import KernelRegion, Region
from stnopt.feasibility.samples import (
    CIRCUMSTANCES,
    FEASIBLE,
    INFEASIBLE,
    RegionScore,
    TargetSamples,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.feasibility.certified_region import CertifiedRegion

Margin: TypeAlias = Literal["none", "certified"]

#: Kernels that `fit_region` takes.
FIT_KERNELS = ("linear", *KERNELS)
_CLASSES = {FEASIBLE: "feasible", INFEASIBLE: "infeasible"}
_N_FOLDS = 5
_N_EXACT = 10_000
# Of a certified margin: 1 is the distance of the support vectors from the boundary.
_SMALL_MARGIN = 0.3
_MOST_REFITS = 12
# Grids of the search; labels from exact schedules have no noise, so that large penalties pay.
# Gamma is in multiples of what "scale" comes to.
_TUNING_C = np.logspace(0, 5, 6)
_TUNING_GAMMA_FACTORS = np.logspace(-1, 1, 5)

#: The square of what is larger is no number any more.
_LARGEST_AMOUNT = 1e150


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What a classifier is fitted with; the same for the test figures and the region itself."""

    kernel: str
    C: float
    gamma: float | str
    degree: int
    coef0: float
    class_weight: dict[int, float] | str | None
    scale: bool

    def scaled(self, targets: pd.DataFrame) -> Any:
        """Targets as the machine sees them."""
        from sklearn.preprocessing import StandardScaler

        return StandardScaler().fit_transform(targets) if self.scale else targets.to_numpy()

    def machine_parameters(self, targets: pd.DataFrame, gamma: float | str) -> dict[str, Any]:
        """Kernel and its parameters, as they come to for those targets."""
        if self.kernel == "linear":
            return {"kernel": "linear"}
        return KERNEL_CLASSES[self.kernel].machine_parameters(
            self.scaled(targets), gamma=gamma, coef0=self.coef0, degree=self.degree
        )

    def pipeline(self, targets: pd.DataFrame) -> Any:
        """Estimator for those targets, not fitted yet."""
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        machine = SVC(
            C=self.C,
            class_weight=self.class_weight,
            **self.machine_parameters(targets, self.gamma),
        )
        steps = [("scaler", StandardScaler())] if self.scale else []
        return Pipeline([*steps, ("svc", machine)])


def fit_region(
    samples: TargetSamples,
    *,
    kernel: str = "linear",
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
    kernel : {"linear", "rbf", "poly", "sigmoid", ...}
        The others are listed in `stnopt.feasibility.kernels.registry.KERNELS`.
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
        As in `sklearn.svm.SVC`; the classes are -1 (feasible) and +1 (infeasible). What
        ``gamma="scale"`` means is the kernel's own (`Kernel.scaled_gamma`).
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
    settings = _checked_settings(kernel, C, gamma, degree, coef0, class_weight, scale)
    _check_fit_arguments(samples, test_size, seed, tune, margin, certified)
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
    if targets.abs().to_numpy().max() > _LARGEST_AMOUNT:
        raise UntrainableError(
            f"samples: amounts beyond {_LARGEST_AMOUNT:g} cannot be scaled; write them in a larger"
            " unit"
        )
    train_rows, test_rows = _split(labels, test_size, seed, tune)
    trained, _ = _fit(settings, targets.iloc[train_rows], labels[train_rows], tune, seed)
    predicted = trained.predict(targets.iloc[test_rows])
    true = labels[test_rows]
    fitted, cv_score = _fit(settings, targets, labels, tune, seed)

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
        gamma=region.gamma if isinstance(region, KernelRegion) else None,
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


def _split(
    labels: NDArray[np.int64], test_size: float, seed: int, tune: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the training and of the test part, stratified by label."""
    from sklearn.model_selection import train_test_split

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
    return train_rows, test_rows


def _checked_settings(
    kernel: object,
    penalty: object,
    gamma: object,
    degree: object,
    coef0: object,
    class_weight: object,
    scale: object,
) -> _Settings:
    if not isinstance(kernel, str) or kernel not in FIT_KERNELS:
        raise InvalidInputError(f"kernel: expected one of {list(FIT_KERNELS)}, got {kernel!r}")
    if not isinstance(gamma, str):
        gamma = checked_number("gamma", gamma)
    if gamma not in ("scale", "auto") if isinstance(gamma, str) else not gamma > 0:
        raise InvalidInputError(
            "gamma: expected a positive number, 'scale' or 'auto' (the 'gamma' parameter of SVC),"
            f" got {gamma!r}"
        )
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            if not checked_number(f"class_weight[{label!r}]", weight) > 0:
                raise InvalidInputError(
                    f"class_weight[{label!r}]: expected a positive number, got {weight!r}"
                )
        class_weight = dict(class_weight)
    elif class_weight is not None and not (
        isinstance(class_weight, str) and class_weight == "balanced"
    ):
        raise InvalidInputError(
            f"class_weight: expected weights by class, 'balanced' or None, got {class_weight!r}"
        )
    return _Settings(
        kernel=kernel,
        C=checked_number("C", penalty),
        gamma=gamma,
        degree=checked_degree(degree),
        coef0=checked_number("coef0", coef0),
        class_weight=class_weight,
        scale=checked_truth("scale", scale),
    )


def _check_fit_arguments(
    samples: object,
    test_size: object,
    seed: object,
    tune: object,
    margin: object,
    certified: object,
) -> None:
    if not isinstance(samples, TargetSamples):
        raise InvalidInputError(
            f"samples: expected TargetSamples, got {type(samples).__name__}; label_targets makes"
            " them of a plant, TargetSamples.from_records of its history"
        )
    if isinstance(test_size, bool) or not isinstance(test_size, float) or not 0 < test_size < 1:
        raise InvalidInputError(f"test_size: expected a share between 0 and 1, got {test_size!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise InvalidInputError(f"seed: expected a non-negative integer, got {seed!r}")
    checked_truth("tune", tune)
    if not isinstance(margin, str) or margin not in ("none", "certified"):
        raise InvalidInputError(f"margin: expected 'none' or 'certified', got {margin!r}")
    if certified is None:
        if margin == "certified":
            raise InvalidInputError(
                "margin: 'certified' needs certified=, the region that trace_frontier returns"
            )
        return
    if not all(hasattr(certified, name) for name in ("products", "scope", "label")):
        raise InvalidInputError(
            f"certified: expected the region that trace_frontier returns, got {certified!r}"
        )
    _check_same_plant(samples, certified)


def _check_same_plant(samples: TargetSamples, certified: Any) -> None:
    """Refuse a certificate for something else than the samples; records say nothing of that."""
    differs = [
        f"{key}: {samples.scope.get(key)!r} in the samples, {certified.scope.get(key)!r} certified"
        for key in ("fingerprint", "horizon", "sense", "n_events", "max_span")
        if key in samples.scope and samples.scope[key] != certified.scope.get(key)
    ]
    if "fingerprint" in samples.scope:
        differs += [
            f"{key}: {samples.scope.get(key)!r} in the samples, {certified.scope.get(key)!r}"
            " certified"
            for key in CIRCUMSTANCES
            if samples.scope.get(key) != certified.scope.get(key)
        ]
    if differs:
        raise InvalidInputError("certified: made for something else: " + "; ".join(differs))


def _fit_safely(
    fitted: Any,
    targets: pd.DataFrame,
    labels: NDArray[np.int64],
    context: dict[str, Any],
    certified: CertifiedRegion,
    seed: int,
) -> tuple[Any, Region, float, int]:
    """Fit until the certified margin costs little: the estimator, its region, margin, additions.

    The margin's worst counterexamples become training targets of the next fit. The fit that keeps
    most of the feasible area wins.
    """
    from sklearn.base import clone

    best: tuple[Any, Region, float, int] | None = None
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
    settings: _Settings, targets: pd.DataFrame, labels: NDArray[np.int64], tune: bool, seed: int
) -> tuple[Any, float | None]:
    """Fit, after a search for C and gamma where asked: the estimator and its best score."""
    estimator, score = settings.pipeline(targets), None
    try:
        if tune:
            parameters, score = _search(settings, targets, labels, seed)
            estimator.set_params(**parameters, svc__max_iter=10 * _iteration_limit(labels))
        estimator.fit(targets, labels)
    except ValueError as error:  # scikit-learn names the parameter and its range
        raise InvalidInputError(f"the classifier cannot be fitted: {error}") from error
    return estimator, score


def _search(
    settings: _Settings, targets: pd.DataFrame, labels: NDArray[np.int64], seed: int
) -> tuple[dict[str, float], float]:
    """Choose C and gamma by cross-validated accuracy; candidates that do not converge are out."""
    from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    grid: list[dict[str, Any]] = [{"svc__C": _TUNING_C}]
    if settings.kernel != "linear":
        unit = KERNEL_CLASSES[settings.kernel].scaled_gamma(np.asarray(settings.scaled(targets)))
        # one entry per gamma: candidates come in the order of gamma, then C
        grid = []
        for factor in _TUNING_GAMMA_FACTORS:
            parameters = settings.machine_parameters(targets, float(unit * factor))
            fixed = {f"svc__{name}": [value] for name, value in parameters.items()}
            grid.append({"svc__C": _TUNING_C, **fixed})
    n_folds = min(_N_FOLDS, _smaller_class(labels))
    folds = StratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    limited = settings.pipeline(targets).set_params(svc__max_iter=_iteration_limit(labels))
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
    from sklearn.metrics import classification_report

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
    from sklearn.metrics import confusion_matrix

    return pd.DataFrame(
        confusion_matrix(true, predicted, labels=list(_CLASSES)),
        index=[f"truly {name}" for name in _CLASSES.values()],
        columns=[f"called {name}" for name in _CLASSES.values()],
    )
