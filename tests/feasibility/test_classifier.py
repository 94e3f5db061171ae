"""Regions against scikit-learn's own decision functions, and the fit on a known polygon."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM

from stnopt.errors import InvalidInputError, UnsupportedModelError, UntrainableError
from stnopt.feasibility.classifier import fit_region, region_from_sklearn
from stnopt.feasibility.region import KernelRegion, LinearRegion, load_region
from stnopt.feasibility.samples import TargetSamples, sample_targets, score_region

NAMES = ("S9", "S8")
KERNELS = ("linear", "rbf", "poly", "sigmoid")
# The true frontier of Example 2 at a horizon of 8 h with "at least" targets, S9 by S8, to 0.01 kg.
FRONTIER = np.array(
    [
        (0, 86.67),
        (30.9, 86.67),
        (35.894, 84.322),
        (47.859, 80.868),
        (59.823, 76.117),
        (71.788, 71.305),
        (83.753, 62.656),
        (87.75, 55.25),
    ]
)


def label(targets: pd.DataFrame) -> np.ndarray:
    s9, s8 = targets["S9"].to_numpy(), targets["S8"].to_numpy()
    below = s8 <= np.interp(s9, FRONTIER[:, 0], FRONTIER[:, 1])
    return np.where((s9 <= FRONTIER[-1, 0]) & below, -1, 1)


def polygon_samples(n: int = 120, seed: int = 0, method: str = "sobol") -> TargetSamples:
    targets = sample_targets({"S9": (0, 110), "S8": (0, 110)}, n, seed=seed, method=method)
    return TargetSamples(targets=targets, labels=label(targets), scope={"plant": "ex2", "H": 8.0})


SAMPLES = polygon_samples()
X, Y = SAMPLES.targets.to_numpy(), SAMPLES.labels
POINTS = np.random.default_rng(11).uniform(-20, 130, (200, 2))  # beyond the training box too


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-9 of the decision's magnitude."""
    assert np.max(np.abs(found - expected)) <= 1e-9 * max(1.0, np.max(np.abs(expected)))


# --- region_from_sklearn: every machine, kernel and scaler against its own decision ---------------

SCALERS = {
    "none": [],
    "standard": [StandardScaler()],
    "no mean": [StandardScaler(with_mean=False)],
    "no std": [StandardScaler(with_std=False), MinMaxScaler()],
    "minmax": [MinMaxScaler(feature_range=(-2, 5))],
    "robust": [RobustScaler()],
    "robust, plain": [RobustScaler(with_centering=False, with_scaling=False), StandardScaler()],
    "maxabs": [MaxAbsScaler()],
    "three": [MaxAbsScaler(), "passthrough", RobustScaler(), MinMaxScaler()],
    "nested": [make_pipeline(StandardScaler(), MaxAbsScaler())],
}


@pytest.mark.parametrize("scalers", SCALERS.values(), ids=SCALERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_region_equals_decision_function(kernel, scalers):
    if not scalers and kernel != "rbf":
        # unscaled polynomials do not converge: 1 kg is a large unit for them
        machine = SVC(kernel=kernel, gamma=1e-4, coef0=0.7, C=0.5)
    else:
        machine = SVC(kernel=kernel, gamma="scale", coef0=0.7, C=5.0)
    estimator = make_pipeline(*scalers, machine).fit(X, Y)
    region = region_from_sklearn(estimator, NAMES)
    assert isinstance(region, LinearRegion if kernel == "linear" else KernelRegion)
    expected = estimator.decision_function(POINTS)
    assert_same(region.decision(POINTS), expected)
    np.testing.assert_array_equal(region.contains(POINTS), estimator.predict(POINTS) == -1)
    assert load_region(region.to_json()) == region


@pytest.mark.parametrize(
    "options",
    [
        {"coef0": 1.5},
        {"coef0": -0.25},
        {"degree": 2},
        {"degree": 5, "coef0": 0.5},
        {"class_weight": "balanced"},
        {"class_weight": {-1: 1.0, 1: 7.0}},
        {"gamma": "auto"},
        {"gamma": 0.037},
        {"C": 1000.0, "gamma": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", ["rbf", "poly", "sigmoid"])
@pytest.mark.parametrize("machine_class", [SVC, NuSVC])
def test_region_equals_decision_function_for_each_option(machine_class, kernel, options):
    options = dict(options)
    if machine_class is NuSVC:
        options.pop("C", None)
        options["nu"] = 0.2
        if isinstance(options.get("class_weight"), dict):
            options["class_weight"] = {-1: 1.0, 1: 1.5}  # nu is infeasible beyond
    estimator = make_pipeline(StandardScaler(), machine_class(kernel=kernel, **options)).fit(X, Y)
    region = region_from_sklearn(estimator, NAMES)
    assert_same(region.decision(POINTS), estimator.decision_function(POINTS))


@pytest.mark.parametrize(
    "machine",
    [
        SVC(kernel="linear"),
        NuSVC(kernel="linear", nu=0.5),
        LinearSVC(),
        LinearSVC(fit_intercept=False),
    ],
    ids=str,
)
def test_linear_machines(machine):
    estimator = make_pipeline(StandardScaler(), machine).fit(X, Y)
    region = region_from_sklearn(estimator, NAMES)
    assert isinstance(region, LinearRegion)
    assert_same(region.decision(POINTS), estimator.decision_function(POINTS))


@pytest.mark.parametrize(
    ("classes", "feasible_class"),
    [
        ((-1, 1), -1),
        ((0, 1), 0),
        ((1, 0), 1),
        (("feasible", "infeasible"), "feasible"),
        (("yes", "no"), "yes"),  # sorted, "no" comes first
        ((True, False), True),
        ((1, -1), 1),
    ],
)
@pytest.mark.parametrize("machine", [SVC(), LinearSVC()], ids=str)
def test_sign_follows_the_feasible_class(machine, classes, feasible_class):
    names = np.where(Y == -1, classes[0], classes[1])
    estimator = make_pipeline(StandardScaler(), machine).fit(X, names)
    region = region_from_sklearn(estimator, NAMES, feasible_class=feasible_class)
    np.testing.assert_array_equal(
        region.contains(POINTS), estimator.predict(POINTS) == feasible_class
    )
    sign = 1 if estimator.classes_[0] == feasible_class else -1
    assert_same(region.decision(POINTS), sign * estimator.decision_function(POINTS))


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_class_machine_has_inliers_feasible(kernel):
    machine = OneClassSVM(kernel=kernel, nu=0.2, coef0=0.4)
    estimator = make_pipeline(StandardScaler(), machine).fit(X[Y == -1])
    region = region_from_sklearn(estimator, NAMES)
    assert_same(region.decision(POINTS), -estimator.decision_function(POINTS))
    np.testing.assert_array_equal(region.contains(POINTS), estimator.predict(POINTS) == 1)


@pytest.mark.parametrize(
    "machine",
    [*(SVR(kernel=kernel, coef0=0.3, C=2.0) for kernel in KERNELS), NuSVR(), LinearSVR()],
    ids=str,
)
def test_regressor_is_feasible_up_to_its_limit(machine):
    estimator = make_pipeline(StandardScaler(), machine).fit(X, X.sum(axis=1) / 100)
    region = region_from_sklearn(estimator, NAMES, upper=1.2)
    assert_same(region.decision(POINTS), estimator.predict(POINTS) - 1.2)


def test_regressor_without_support_vectors_is_constant():
    machine = SVR(epsilon=10.0).fit(X, np.linspace(0, 1, len(X)))
    region = region_from_sklearn(machine, NAMES, upper=2.0)
    assert_same(region.decision(POINTS), machine.predict(POINTS) - 2.0)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_fit_on_sparse_data(kernel):
    machine = SVC(kernel=kernel, gamma=1e-3).fit(csr_matrix(X), Y)
    region = region_from_sklearn(machine, NAMES)
    assert_same(region.decision(POINTS), machine.decision_function(csr_matrix(POINTS)))


def test_training_box_is_known_from_a_minmax_scaler_only():
    known = region_from_sklearn(make_pipeline(MinMaxScaler(), SVC()).fit(X, Y), NAMES)
    np.testing.assert_allclose(known.lower, X.min(axis=0))
    np.testing.assert_allclose(known.upper, X.max(axis=0))
    behind = make_pipeline(StandardScaler(), MinMaxScaler(), SVC()).fit(X, Y)
    np.testing.assert_allclose(region_from_sklearn(behind, NAMES).upper, X.max(axis=0))
    unknown = region_from_sklearn(SVC().fit(X, Y), NAMES)
    assert unknown.lower.tolist() == [-math.inf] * 2
    assert unknown.upper.tolist() == [math.inf] * 2


def test_columns_of_a_table_keep_their_order():
    estimator = make_pipeline(StandardScaler(), SVC()).fit(SAMPLES.targets, Y)
    assert region_from_sklearn(estimator, NAMES).inputs == NAMES
    assert region_from_sklearn(estimator, ("A", "B")).inputs == ("A", "B")
    with pytest.raises(InvalidInputError, match=r"fitted on columns \['S9', 'S8'\] in this order"):
        region_from_sklearn(estimator, ("S8", "S9"))


FITTED = SVC().fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (SVC(), InvalidInputError, "SVC is not fitted: call fit"),
        (make_pipeline(StandardScaler(), SVC()), InvalidInputError, "StandardScaler is not fitted"),
        (
            Pipeline([("s", StandardScaler()), ("m", FITTED)]),
            InvalidInputError,
            "StandardScaler is not fitted",
        ),
        (
            RandomForestClassifier(n_estimators=2).fit(X, Y),
            UnsupportedModelError,
            "RandomForestClassifier is not a support vector machine: SVC, NuSVC",
        ),
        (LogisticRegression().fit(X, Y), UnsupportedModelError, "LogisticRegression is not"),
        ("svc", UnsupportedModelError, "str is not a support vector machine"),
        (None, UnsupportedModelError, "NoneType is not"),
        (SVC, UnsupportedModelError, "is not a support vector machine"),
        (make_pipeline(StandardScaler()).fit(X), UnsupportedModelError, "StandardScaler is not"),
        (
            GridSearchCV(SVC(), {"C": [1.0]}, cv=2, refit=False).fit(X, Y),
            UnsupportedModelError,
            r"GridSearchCV\(refit=False\) keeps no fitted estimator: search with refit=True",
        ),
        (GridSearchCV(SVC(), {"C": [1.0]}), InvalidInputError, "GridSearchCV is not fitted"),
        (
            CalibratedClassifierCV(SVC(), cv=2).fit(X, Y),
            UnsupportedModelError,
            "CalibratedClassifierCV wraps another estimator and moves its decision",
        ),
        (
            make_pipeline(PolynomialFeatures(), SVC()).fit(X, Y),
            UnsupportedModelError,
            "step PolynomialFeatures cannot be folded",
        ),
        (
            make_pipeline(MinMaxScaler(clip=True), SVC()).fit(X, Y),
            UnsupportedModelError,
            r"MinMaxScaler\(clip=True\) is not affine.*clip=False",
        ),
        (
            SVC(kernel=lambda a, b: a @ b.T).fit(X, Y),
            UnsupportedModelError,
            "cannot be written as algebra: fit SVC with one of",
        ),
        (
            SVC().fit(X, np.arange(len(X)) % 3),
            UnsupportedModelError,
            r"3 classes \[0, 1, 2\]: fit one that tells the feasible class from the rest",
        ),
    ],
)
def test_unsupported_estimators_are_refused_by_name(estimator, error, message):
    with pytest.raises(error, match=message):
        region_from_sklearn(estimator, NAMES)


def test_precomputed_kernel_is_refused():
    machine = SVC(kernel="precomputed").fit(X @ X.T, Y)
    names = [f"P{j}" for j in range(len(X))]
    with pytest.raises(UnsupportedModelError, match="kernel 'precomputed' cannot be written"):
        region_from_sklearn(machine, names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": ("S9",)}, r"fitted on 2 columns, got 1 names \['S9'\]"),
        ({"inputs": "S9"}, "expected a sequence of names"),
        ({"inputs": ("S9", "S9")}, "are repeated"),
        ({"feasible_class": "feasible"}, r"one of the estimator's classes \[-1, 1\]"),
        ({"upper": 3.0}, "upper=3.0 is for regressors, SVC tells classes"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        region_from_sklearn(FITTED, **{"inputs": NAMES, **arguments})


@pytest.mark.parametrize("upper", [None, "3", True, math.nan])
def test_regressor_needs_a_limit(upper):
    machine = SVR().fit(X, X[:, 0])
    with pytest.raises(InvalidInputError, match="SVR predicts a number: give upper="):
        region_from_sklearn(machine, NAMES, upper=upper)


# --- fit_region ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_fitted_region_repeats_its_estimator(kernel, scale):
    gamma = "scale" if scale else 1e-4
    fitted = fit_region(SAMPLES, kernel=kernel, scale=scale, gamma=gamma, coef0=0.5, degree=2)
    table = pd.DataFrame(POINTS, columns=NAMES)
    assert_same(fitted.region.decision(table), fitted.estimator.decision_function(table))
    assert fitted.region.inputs == NAMES
    assert dict(fitted.region.origin) == {"plant": "ex2", "H": 8.0}
    np.testing.assert_array_equal(fitted.region.lower, X.min(axis=0))
    np.testing.assert_array_equal(fitted.region.upper, X.max(axis=0))
    # support vectors come back as the samples they were
    rows = fitted.estimator["svc"].support_
    np.testing.assert_allclose(fitted.support_vectors, X[rows], atol=1e-9)
    if isinstance(fitted.region, KernelRegion):
        np.testing.assert_allclose(fitted.region.raw_support_vectors, X[rows], atol=1e-9)


def test_report_is_measured_on_the_held_out_part():
    report = fit_region(SAMPLES, kernel="rbf", C=3.0, seed=4).report
    train, test = train_test_split(np.arange(len(Y)), test_size=0.25, random_state=4, stratify=Y)
    by_hand = make_pipeline(StandardScaler(), SVC(C=3.0)).fit(X[train], Y[train])
    predicted, true = by_hand.predict(X[test]), Y[test]
    table = report.classification
    assert report.accuracy == pytest.approx(np.mean(predicted == true))
    for name, code in (("feasible", -1), ("infeasible", 1)):
        assert table.loc[name, "precision"] == precision_score(true, predicted, pos_label=code)
        assert table.loc[name, "recall"] == recall_score(true, predicted, pos_label=code)
        assert table.loc[name, "support"] == np.sum(true == code)
    assert report.confusion.to_numpy().tolist() == [
        [np.sum((true == a) & (predicted == b)) for b in (-1, 1)] for a in (-1, 1)
    ]
    assert report.false_feasible_rate == np.mean(predicted[true == 1] == -1)
    assert report.false_infeasible_rate == np.mean(predicted[true == -1] == 1)
    assert (report.n_train, report.n_test, report.n_undecided) == (90, 30, 0)
    assert (report.C, report.gamma, report.cv_score) == (3.0, pytest.approx(0.5), None)


def test_region_is_refitted_on_all_decided_targets():
    fitted = fit_region(SAMPLES, kernel="rbf", C=3.0)
    everything = make_pipeline(StandardScaler(), SVC(C=3.0)).fit(X, Y)
    assert_same(fitted.region.decision(POINTS), everything.decision_function(POINTS))
    assert fitted.report.n_support == len(everything[-1].support_)


def test_report_reads_well():
    text = str(fit_region(polygon_samples(40), kernel="rbf", tune=True).report)
    for piece in (
        "rbf classifier, C=",
        "(by cross-validation)",
        "cross-validated accuracy",
        "trained on 30, tested on 10 held-out targets",
        "refitted on all 40",
        "precision",
        "called feasible",
        "truly infeasible",
        "false feasible",
        "false infeasible",
        "95 % interval",
    ):
        assert piece in text
    assert "gamma" not in str(fit_region(SAMPLES).report)


@pytest.mark.long
def test_same_seed_same_region():
    few = polygon_samples(40)
    first = fit_region(few, kernel="rbf", tune=True, seed=3)
    assert first.region == fit_region(few, kernel="rbf", tune=True, seed=3).region


def test_undecided_targets_are_left_out_and_counted():
    labels = Y.copy()
    labels[:7] = 0
    some = TargetSamples(targets=SAMPLES.targets, labels=labels)
    with pytest.warns(UserWarning, match="7 of 120 targets are undecided"):
        fitted = fit_region(some, kernel="rbf")
    assert fitted.report.n_undecided == 7
    assert fitted.report.n_train + fitted.report.n_test == 113
    assert fitted.region == replace(
        fit_region(some.decided, kernel="rbf").region, origin=dict(some.scope)
    )


@pytest.mark.long
def test_tuned_rbf_regions_of_120_labels_are_accurate():
    exact = polygon_samples(4096, seed=99)
    errors = [
        score_region(
            fit_region(polygon_samples(seed=seed), kernel="rbf", tune=True).region, exact
        ).total_error
        for seed in range(3)
    ]
    assert np.median(errors) <= 0.03
    assert max(errors) <= 0.045


@pytest.mark.parametrize(
    "kernel", ["linear", *(pytest.param(k, marks=pytest.mark.long) for k in ("poly", "sigmoid"))]
)
def test_tuning_of_inseparable_kernels_ends(kernel):
    # without a limit on the solver's steps, large C on inseparable targets takes minutes
    fitted = fit_region(polygon_samples(60), kernel=kernel, tune=True)
    assert fitted.report.cv_score > 0.75
    assert (fitted.report.gamma is None) == (kernel == "linear")
    assert fitted.report.C in np.logspace(0, 5, 6)


def one_sided(n_feasible: int, n_infeasible: int) -> TargetSamples:
    table = SAMPLES.targets.head(n_feasible + n_infeasible)
    return TargetSamples(targets=table, labels=[-1] * n_feasible + [1] * n_infeasible)


@pytest.mark.parametrize(
    ("samples", "tune", "message"),
    [
        (one_sided(120, 0), False, r"all 120 targets are feasible.*raise the upper bounds beyond"),
        (one_sided(0, 120), False, r"all 120 targets are infeasible.*lower the bounds below"),
        (one_sided(119, 1), False, r"all but one of 120 targets are feasible"),
        (one_sided(1, 119), False, r"all but one of 120 targets are infeasible"),
        (one_sided(1, 1), False, r"targets are"),
        (one_sided(2, 2), True, "training part has 1 of 2 targets in its smaller class"),
    ],
)
def test_samples_that_train_nothing(samples, tune, message):
    with pytest.raises(UntrainableError, match=message):
        fit_region(samples, kernel="rbf", tune=tune, test_size=0.5)


def test_advice_names_the_extreme_targets():
    table = pd.DataFrame({"S9": [1.0, 30.5, 3.0], "S8": [9.0, 2.0, 1.0]})
    with pytest.raises(UntrainableError, match=r"beyond the largest targets .*S9 30\.5, S8 9\)"):
        fit_region(TargetSamples(targets=table, labels=[-1, -1, -1]))
    with pytest.raises(UntrainableError, match=r"below the smallest targets .*S9 1, S8 1\)"):
        fit_region(TargetSamples(targets=table, labels=[1, 1, 1]))


def test_nothing_decided_cannot_be_trained():
    undecided = TargetSamples(targets=SAMPLES.targets, labels=np.zeros(120, dtype=int))
    with (
        pytest.warns(UserWarning, match="120 of 120"),
        pytest.raises(UntrainableError, match="no target is decided"),
    ):
        fit_region(undecided)


def test_too_few_targets_for_the_test_part():
    with pytest.raises(UntrainableError, match=r"4 decided targets cannot be split with test_size"):
        fit_region(one_sided(2, 2), test_size=0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": "cubic"}, r"kernel: expected one of \['linear', 'rbf'"),
        ({"test_size": 0.0}, "test_size: expected a share"),
        ({"test_size": 30}, "test_size: expected a share"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"margin": "wide"}, "margin: expected 'none' or 'certified', got 'wide'"),
        ({"margin": "certified"}, "margin: 'certified' needs certified="),
        ({"C": -1.0}, "'C' parameter of SVC"),
        ({"kernel": "rbf", "gamma": "large"}, "'gamma' parameter of SVC"),
    ],
)
def test_bad_fit_arguments(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        fit_region(SAMPLES, **arguments)
