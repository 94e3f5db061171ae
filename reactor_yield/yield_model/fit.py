"""Fit the yield to the operating conditions: choose the regressor, fit it, calibrate it."""

from __future__ import annotations

import contextlib
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm.auto import tqdm

from reactor_yield.arguments import (
    COUNT,
    PAIR,
    SOME_NAMES,
    TABLE,
    TEXT,
    TRUTH,
    WHOLE,
    Kind,
    check_arguments,
    optional,
)
from reactor_yield.data.columns import FEATURES, PHYSICAL_LIMITS, TARGET
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.yield_model.conformal import learn_local_errors
from reactor_yield.yield_model.encoding import learn_encoding
from reactor_yield.yield_model.error_split import split_errors
from reactor_yield.yield_model.folds import Blocks, keep_seen_levels, make_folds, read_blocks
from reactor_yield.yield_model.gaussian_process import GaussianProcess, fit_gaussian_process
from reactor_yield.yield_model.model import YieldModel
from reactor_yield.yield_model.near_copies import share_of_near_copies
from reactor_yield.yield_model.neighbourhood import learn_neighbourhood
from reactor_yield.yield_model.new_levels import find_new_levels, predict_over_levels
from reactor_yield.yield_model.report import YieldReport
from reactor_yield.yield_model.ridge import fit_ridge
from reactor_yield.yield_model.trees import TreesPredictor, fit_boosting, fit_forest

if TYPE_CHECKING:
    from reactor_yield.yield_model.conformal import LocalErrors
    from reactor_yield.yield_model.encoding import Encoding
    from reactor_yield.yield_model.error_split import ErrorSplit
    from reactor_yield.yield_model.neighbourhood import Neighbourhood
    from reactor_yield.yield_model.predictor import Predictor

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

CANDIDATES = ("forest", "boosting", "gp", "ridge")
_MIN_ROWS = 60
#: Measured values may lie this share of the limits' width beyond those of a column of `COLUMNS`.
_NOISE_BEYOND = 0.05
_SELECTION_FOLDS, _CALIBRATION_FOLDS = 3, 5

_ROWS_OR_COLUMN = Kind(
    "a column's name, a value per row, or None",
    lambda value: (
        value is None
        or TEXT.fits(value)
        or (
            isinstance(value, Sequence | pd.Series | pd.Index | np.ndarray)
            and not isinstance(value, str | bytes)
            and len(value) > 0
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """Encoded training rows, and how a regressor is fitted to them."""

    inputs: Array
    outputs: Array
    blocks: Blocks
    encoding: Encoding
    seed: int
    n_trees: int
    n_points: int

    def fit(
        self, kind: str, rows: Indices | None = None, *, kernel: Predictor | None = None
    ) -> Predictor:
        """Fit one kind to all or some of the rows; a process may take another one's kernel."""
        inputs = self.inputs if rows is None else self.inputs[rows]
        outputs = self.outputs if rows is None else self.outputs[rows]
        if kind == "gp":
            return fit_gaussian_process(
                inputs,
                outputs,
                seed=self.seed,
                n_points=self.n_points,
                kernel=kernel if isinstance(kernel, GaussianProcess) else None,
            )
        if kind == "ridge":
            folds = self.folds(_CALIBRATION_FOLDS, rows)
            return fit_ridge(inputs, outputs, folds=folds, continuous=self.encoding.continuous)
        if kind == "forest":
            return fit_forest(inputs, outputs, seed=self.seed, n_trees=self.n_trees)
        return fit_boosting(inputs, outputs, seed=self.seed)

    def fit_and_predict(
        self, kind: str, train: Indices, test: Indices, *, kernel: Predictor | None = None
    ) -> tuple[Array, Array]:
        """Mean and error bar of rows left out of a fit to others."""
        known, texts = self.inputs[train], self.encoding.text_columns
        found = predict_over_levels(
            self.fit(kind, train, kernel=kernel).predict,
            self.inputs[test],
            new=find_new_levels(self.inputs[test], known, texts),
            text_columns=texts,
            known=known,
        )
        return found.mean, found.bar

    def find_new_level_groups(self) -> Indices | None:
        """Find each row's level, where most rows have a new one when they are left out.

        Of the column of text that is new most often; None where known levels are the rule.
        """
        texts = self.encoding.text_columns
        n_new = np.zeros(len(texts))
        for train, test in self.folds(_CALIBRATION_FOLDS):
            n_new += find_new_levels(self.inputs[test], self.inputs[train], texts).sum(axis=0)
        if not len(texts) or 2 * n_new.max() <= len(self.inputs):
            return None
        return np.asarray(self.inputs[:, texts[int(n_new.argmax())]].argmax(axis=1))

    def share_of_near_copies(self) -> float:
        """Tell whether rows look independent, where nothing says which belong together."""
        if self.blocks.group is not None or self.blocks.order is not None:
            return 0.0
        return share_of_near_copies(self.inputs, self.encoding.continuous)

    def folds(self, n_folds: int, rows: Indices | None = None) -> list[tuple[Indices, Indices]]:
        """Split all or some of the rows; those in blocks are tested where levels are known."""
        inputs = self.inputs if rows is None else self.inputs[rows]
        blocks = self.blocks if rows is None else self.blocks.take(rows)
        folds = make_folds(len(inputs), blocks, n_folds, seed=self.seed)
        if blocks.group is None and blocks.order is None:
            return folds
        return keep_seen_levels(folds, inputs, self.encoding.continuous)


#: What fits each argument of `fit_yield_model`.
_FITS: dict[str, Kind | type] = {
    "data": TABLE,
    "model": TEXT,
    "seed": WHOLE,
    "features": SOME_NAMES,
    "target": TEXT,
    "groups": _ROWS_OR_COLUMN,
    "time": _ROWS_OR_COLUMN,
    "gaps": TEXT,
    "limits": optional(PAIR),
    "n_trees": COUNT,
    "n_points": COUNT,
    "progress": TRUTH,
}


def fit_yield_model(
    data: pd.DataFrame,
    *,
    model: str = "forest",
    seed: int = 0,
    features: Sequence[str] = FEATURES,
    target: str = TARGET,
    groups: str | Sequence[object] | None = None,
    time: str | Sequence[object] | None = None,
    gaps: str = "refuse",
    limits: tuple[float, float] | None = None,
    n_trees: int = 100,
    n_points: int = 2_500,
    progress: bool = False,
) -> YieldModel:
    """Fit the yield to the operating conditions.

    Parameters
    ----------
    data
        Training rows, with `features` and `target`; rows whose target is missing are left out and
        counted in the report.
    model
        `"forest"` (random forest), `"boosting"` (gradient-boosted trees), `"gp"` (Gaussian process
        with error bars), `"ridge"` (regularised linear or quadratic), or `"best"`: the one with the
        smallest mean absolute error in three-fold cross-validation on these rows.
    seed
        Of everything random.
    features, target
        Columns to learn from and to predict. Numbers; text, one column of 0 and 1 per level; time
        stamps (ISO 8601), as days.
    groups
        A column's name, or one value per row: rows with the same value (one lot, one steady hold)
        are never split between folds, so errors are those on new groups.
    time
        A column's name, or one value per row: folds are consecutive stretches of time.
    gaps
        What a missing value in a feature means: `"refuse"` raises, and does not predict such rows
        later; `"impute"` takes the median, or the most frequent text; `"keep"` does so and lets the
        model see where it was missing.
    limits
        Smallest and largest value the target can have, such as `(0, 100)` for per cent; by default
        0 and 1 for the columns of `COLUMNS` that are shares, and none otherwise.
    n_trees
        Of the forest.
    n_points
        Most rows the Gaussian process is fitted to, chosen at random: time grows with their cube.
    progress
        Show a progress bar.

    Raises
    ------
    InvalidConditionsError
        When columns are missing, features have gaps that are refused or cannot be encoded, or there
        are fewer than 60 usable rows.

    Warns
    -----
    UserWarning
        When rows look like near copies of others and neither `groups` nor `time` is given.

    Notes
    -----
    Intervals come from errors on rows left out of a fit: out-of-bag rows of the forest (folds,
    where rows belong together), five folds of the others. Everything runs on one thread, so that
    its time and result do not depend on a machine's other work.
    """
    check_arguments(**{name: (value, _FITS[name]) for name, value in locals().items()})
    if model not in (*CANDIDATES, "best"):
        message = f"model must be one of {(*CANDIDATES, 'best')}, got {model!r}"
        raise InvalidConditionsError(message)
    bounds = _read_limits(limits, target)
    # A share that was measured may be a little more than 1; limits that were given are limits.
    slack = _NOISE_BEYOND if limits is None else 1e-6
    known, outputs = _read_target(data, features, target, bounds, slack)
    usable = data[known]
    blocks = read_blocks(data, groups, time).take(np.flatnonzero(known))
    encoding = learn_encoding(usable, features, gaps)
    training = _Training(
        inputs=encoding.encode(usable).inputs,
        outputs=outputs,
        blocks=blocks,
        encoding=encoding,
        seed=seed,
        n_trees=n_trees,
        n_points=n_points,
    )
    steps = tqdm(total=5 if model == "best" else 1, desc="fitting", disable=not progress)
    with threadpool_limits(1), steps:
        scores: dict[str, tuple[float, ...]] = {}
        for candidate in CANDIDATES if model == "best" else ():
            scores[candidate] = _cross_validate(training, candidate)
            steps.update()
        kind = min(scores, key=lambda name: float(np.mean(scores[name]))) if scores else model
        predictor, error, error_bar = _fit_and_leave_out(training, kind)
        calibration = _calibrate(training, error, error_bar)
        steps.update()
    report = YieldReport(
        kind=kind,
        n_rows=len(outputs),
        seed=seed,
        cross_validation=scores,
        calibration_error=float(np.nanmean(np.abs(error))),
        versions=_versions(),
        n_without_target=len(data) - len(outputs),
        n_blocks=0 if blocks.group is None else int(blocks.group.max()) + 1,
        new_levels_left_out=calibration.of_new_levels,
        near_copies=training.share_of_near_copies(),
    )
    if report.warning:
        warnings.warn(report.warning, UserWarning, stacklevel=2)
    return YieldModel(
        features=tuple(features),
        target=target,
        training_range={f.name: (f.low, f.high) for f in encoding.features if f.kind != "text"},
        baseline={f.name: f.typical for f in encoding.features},
        report=report,
        encoding=encoding,
        neighbourhood=calibration.neighbourhood,
        predictor=predictor,
        local_errors=calibration.local_errors,
        error_split=calibration.error_split,
        limits=bounds,
    )


def _read_limits(limits: tuple[float, float] | None, target: str) -> tuple[float, float]:
    if limits is None:
        return PHYSICAL_LIMITS.get(target, (-np.inf, np.inf))
    low, high = (float(v) for v in limits)
    if not low < high:
        message = f"limits must be a smaller and a larger number, got {limits}"
        raise InvalidConditionsError(message)
    return low, high


def _read_target(
    data: pd.DataFrame,
    features: Sequence[str],
    target: str,
    limits: tuple[float, float],
    slack: float,
) -> tuple[NDArray[np.bool_], Array]:
    """Which rows have a target, and its values there."""
    missing = [c for c in (*features, target) if c not in data.columns]
    if missing:
        message = f"the training data lack the columns {missing}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    values = pd.to_numeric(data[target], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = data[target].notna().to_numpy() & np.isnan(values)
    if text.any():
        odd = data[target][text]
        message = (
            f"the target {target!r} has {len(odd)} values that are no numbers (first: "
            f"{odd.iloc[0]!r}, row {odd.index[0]!r}); mend them or leave them empty"
        )
        raise InvalidConditionsError(message)
    known = np.isfinite(values)
    if known.sum() < _MIN_ROWS:
        message = (
            f"at least {_MIN_ROWS} rows with {target!r} are needed, got {int(known.sum())} of "
            f"{len(data)}"
        )
        raise InvalidConditionsError(message)
    width = limits[1] - limits[0]
    slack *= width if np.isfinite(width) else 1.0
    beyond = known & ((values < limits[0] - slack) | (values > limits[1] + slack))
    if beyond.any():
        message = (
            f"the target {target!r} has {int(beyond.sum())} values beyond its limits "
            f"{limits[0]:g}..{limits[1]:g} (first: {values[beyond][0]:g}); give limits="
        )
        raise InvalidConditionsError(message)
    return known, values[known]


def _cross_validate(training: _Training, kind: str) -> tuple[float, ...]:
    """Mean absolute error on each of three left-out folds."""
    errors = []
    for train, test in training.folds(_SELECTION_FOLDS):
        predicted, _ = training.fit_and_predict(kind, train, test)
        errors.append(float(np.abs(predicted - training.outputs[test]).mean()))
    return tuple(errors)


def _fit_and_leave_out(training: _Training, kind: str) -> tuple[Predictor, Array, Array]:
    """Predictor, and each training row's error and error bar when it was left out of the fit.

    NaN where it was not tested (see `keep_seen_levels`).
    """
    predictor = training.fit(kind)
    independent = training.blocks.group is None and training.blocks.order is None
    if isinstance(predictor, TreesPredictor) and kind == "forest" and independent:
        error = predictor.estimator.oob_prediction_ - training.outputs
        return predictor, error, np.ones(len(error))
    error, error_bar = np.full((2, len(training.outputs)), np.nan)
    for train, test in training.folds(_CALIBRATION_FOLDS):
        mean, error_bar[test] = training.fit_and_predict(kind, train, test, kernel=predictor)
        error[test] = mean - training.outputs[test]
    return predictor, error, error_bar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calibration:
    """What the errors on left-out rows tell, and whether they are those of new levels."""

    neighbourhood: Neighbourhood
    local_errors: LocalErrors
    error_split: ErrorSplit
    of_new_levels: bool


def _calibrate(training: _Training, error: Array, error_bar: Array) -> _Calibration:
    blocks = training.blocks
    neighbourhood, points = learn_neighbourhood(
        training.inputs,
        continuous=training.encoding.continuous,
        blocks=blocks,
        seed=training.seed,
    )
    new_levels = training.find_new_level_groups()
    if new_levels is not None and blocks.group is None:
        # Errors of new levels are as many independent ones as there are levels.
        blocks = Blocks(group=new_levels, order=blocks.order).take(np.arange(len(error)))
    local_errors = learn_local_errors(
        error, error_bar, neighbourhood=neighbourhood, rows=points, blocks=blocks
    )
    tested = np.isfinite(error[points])
    return _Calibration(
        neighbourhood=neighbourhood,
        local_errors=local_errors,
        error_split=split_errors(
            error[points[tested]], neighbourhood.points[tested], blocks.take(points[tested])
        ),
        of_new_levels=new_levels is not None,
    )


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a model's numbers come from."""
    found = {"python": platform.python_version()}
    for package in ("numpy", "scikit-learn", "scipy", "skops"):
        with contextlib.suppress(PackageNotFoundError):  # skops: only to keep trees in a file
            found[package] = version(package)
    return found
