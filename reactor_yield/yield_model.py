"""Learn the yield from the operating conditions, with intervals that say how far to trust it."""

from __future__ import annotations

import io
import json
import math
import platform
import warnings
import zipfile
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm.auto import tqdm

from reactor_yield.data.columns import FEATURES, TARGET
from reactor_yield.errors import InvalidConditionsError, InvalidModelFileError
from reactor_yield.simulation.tube import inlet_concentration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Array = NDArray[np.float64]

CANDIDATES = ("forest", "boosting", "gp")
FORMAT = "reactor_yield.yield_model"
FORMAT_VERSION = 1
TRUSTED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""All that skops may build beyond what it trusts by itself: the two kinds of fitted trees."""
_MIN_ROWS = 60


class _Predictor(Protocol):
    """A fitted regressor: mean and, where it knows one, its own error bar."""

    def predict(self, features: Array) -> tuple[Array, Array]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _TreesPredictor:
    """A fitted scikit-learn forest or boosting; it has no error bar of its own."""

    estimator: Any

    def predict(self, features: Array) -> tuple[Array, Array]:
        with threadpool_limits(1):  # many threads fight over small batches
            mean = self.estimator.predict(features)
        return np.asarray(mean), np.ones(len(features))


@dataclass(frozen=True, slots=True, kw_only=True)
class _GaussianProcess:
    """Posterior of a Gaussian process with a Matern 3/2 kernel, all of it plain numbers.

    Parameters
    ----------
    points : (n, p) array
        Standardised features of the rows it was fitted to.
    residuals : (n,) array
        Their standardised targets.
    center, scale : (p,) arrays
        Taken out of the features.
    target_center, target_scale
        Taken out of the target.
    length_scales : (p,) array
        In standardised features.
    amplitude
        Prior variance of the standardised target.
    noise
        Variance of its noise; a tiny one keeps the factorisation stable.

    References
    ----------
    Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1 and eq.
    4.17, doi:10.7551/mitpress/3206.001.0001.
    """

    points: Array
    residuals: Array
    center: Array
    scale: Array
    target_center: float
    target_scale: float
    length_scales: Array
    amplitude: float
    noise: float
    _factor: Any = field(init=False, repr=False, compare=False)
    _weights: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        covariance = self._covariance(self.points, self.points)
        covariance[np.diag_indices_from(covariance)] += self.noise
        factor = cho_factor(covariance, lower=True)
        object.__setattr__(self, "_factor", factor)
        object.__setattr__(self, "_weights", cho_solve(factor, self.residuals))

    def _covariance(self, left: Array, right: Array) -> Array:
        distance = cdist(left / self.length_scales, right / self.length_scales) * math.sqrt(3)
        return np.asarray(self.amplitude * (1 + distance) * np.exp(-distance))

    def predict(self, features: Array) -> tuple[Array, Array]:
        mean, error = np.empty(len(features)), np.empty(len(features))
        standard = (features - self.center) / self.scale
        for first in range(0, len(features), 2000):  # bounds the memory of the covariance
            rows = slice(first, first + 2000)
            covariance = self._covariance(self.points, standard[rows])
            mean[rows] = covariance.T @ self._weights
            half = solve_triangular(self._factor[0], covariance, lower=True)
            variance = self.amplitude + self.noise - np.einsum("ij,ij->j", half, half)
            error[rows] = np.sqrt(np.maximum(variance, self.noise))
        return mean * self.target_scale + self.target_center, error * self.target_scale

    def to_dict(self) -> dict[str, Any]:
        names = [f for f in self.__slots__ if not f.startswith("_")]
        values = {name: getattr(self, name) for name in names}
        return {k: v.tolist() if isinstance(v, np.ndarray) else float(v) for k, v in values.items()}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> _GaussianProcess:
        names = [f for f in cls.__slots__ if not f.startswith("_")]
        read: dict[str, Any] = {
            k: np.array(v, dtype=float) if isinstance(v, list) else float(v)
            for k, v in ((name, numbers[name]) for name in names)
        }
        return cls(**read)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ErrorGroups:
    """Groups of conditions with like errors, each with the scores of its calibration rows.

    A score is |error| / error bar of a row that the model was not fitted to. Within a group the
    interval is the split-conformal one, so coverage holds in every group, not only on average.

    Parameters
    ----------
    feature, left, right : (n_nodes,) int arrays
        A binary tree; `feature` is -1 at a leaf. The last feature is the logarithm of the error
        bar.
    threshold : (n_nodes,) array
        Go left where the feature is at most this.
    scores : mapping leaf -> sorted array

    References
    ----------
    Lei et al. (2018), doi:10.1080/01621459.2017.1307116; groups: Vovk (2012),
    doi:10.1007/s10994-013-5355-6.
    """

    feature: NDArray[np.int64]
    threshold: Array
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    scores: Mapping[int, Array]

    def quantile(self, features: Array, error_bar: Array, coverage: float) -> Array:
        """Score that covers this share, per row; infinite where a group is too small for it."""
        leaves = self.leaf(features, error_bar)
        per_leaf = {}
        for leaf, scores in self.scores.items():
            rank = math.ceil((len(scores) + 1) * coverage)
            per_leaf[leaf] = scores[rank - 1] if rank <= len(scores) else math.inf
        return np.array([per_leaf[int(leaf)] for leaf in leaves])

    def leaf(self, features: Array, error_bar: Array) -> NDArray[np.int64]:
        inputs = np.column_stack([features, np.log(error_bar)])
        node = np.zeros(len(inputs), dtype=np.int64)
        while True:
            inner = np.flatnonzero(self.feature[node] >= 0)
            if not len(inner):
                return node
            at = node[inner]
            goes_left = inputs[inner, self.feature[at]] <= self.threshold[at]
            node[inner] = np.where(goes_left, self.left[at], self.right[at])

    def to_dict(self) -> dict[str, Any]:
        tree = {k: getattr(self, k).tolist() for k in ("feature", "threshold", "left", "right")}
        return tree | {"scores": {str(k): v.tolist() for k, v in self.scores.items()}}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> _ErrorGroups:
        return cls(
            feature=np.array(numbers["feature"], dtype=np.int64),
            threshold=np.array(numbers["threshold"], dtype=float),
            left=np.array(numbers["left"], dtype=np.int64),
            right=np.array(numbers["right"], dtype=np.int64),
            scores={int(k): np.array(v, dtype=float) for k, v in numbers["scores"].items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldReport:
    """How a model came about.

    Attributes
    ----------
    kind
        The regressor used; for `model="best"` the one with the smallest cross-validated error.
    n_rows
        Training rows.
    seed
        Of everything random in the fit.
    cross_validation
        Mean absolute error per candidate and fold; empty unless `model="best"`.
    calibration_error
        Mean absolute error on rows held out of the fit that calibrate the intervals.
    n_groups
        Groups of conditions with their own interval.
    versions
        Of Python and the packages that matter when the file is read again.
    """

    kind: str
    n_rows: int
    seed: int
    cross_validation: Mapping[str, tuple[float, ...]]
    calibration_error: float
    n_groups: int
    versions: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers and text, as it is saved."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldModel:
    """A fitted yield model; made by `fit_yield_model` or `load_yield_model`.

    Attributes
    ----------
    features, target
        Columns it reads, and what it predicts.
    training_range
        Smallest and largest value of each feature in training.
    baseline
        Median of each feature in training.
    report
        How it came about.
    predictor, error_groups
        What predicts, and what turns its error bar into an interval.
    """

    features: tuple[str, ...]
    target: str
    training_range: Mapping[str, tuple[float, float]]
    baseline: Mapping[str, float]
    report: YieldReport
    predictor: _Predictor
    error_groups: _ErrorGroups

    def predict(self, conditions: pd.DataFrame) -> pd.DataFrame:
        """Predict the target of each row, and say where the model is asked beyond its training.

        Parameters
        ----------
        conditions : (n, ...) DataFrame
            With the model's features; `Cto` is worked out from P and To when it is absent.

        Returns
        -------
        (n, 3) DataFrame, indexed like `conditions`
            The target; `in_range`; `outside`, text naming each feature out of the training range or
            missing (where one is missing the prediction is NaN).
        """
        features = self._read(conditions)
        known = np.isfinite(features).all(axis=1)
        mean = np.full(len(features), np.nan)
        mean[known] = self.predictor.predict(features[known])[0] if known.any() else np.nan
        outside = self._describe_outside(features)
        return pd.DataFrame(
            {self.target: mean, "in_range": [not text for text in outside], "outside": outside},
            index=conditions.index,
        )

    def interval(self, conditions: pd.DataFrame, *, coverage: float = 0.9) -> pd.DataFrame:
        """Bound the target of each row: columns `lower` and `upper`.

        Outside the training range the interval is no promise; `predict` says where that is.

        Parameters
        ----------
        conditions : (n, ...) DataFrame
        coverage
            Share of rows, drawn like the training rows, whose true value lies inside.
        """
        if not 0 < coverage < 1:
            message = f"coverage must be between 0 and 1, got {coverage}"
            raise InvalidConditionsError(message)
        features = self._read(conditions)
        known = np.isfinite(features).all(axis=1)
        bounds = np.full((len(features), 2), np.nan)
        if known.any():
            mean, error_bar = self.predictor.predict(features[known])
            half = error_bar * self.error_groups.quantile(features[known], error_bar, coverage)
            bounds[known] = np.column_stack([mean - half, mean + half])
        return pd.DataFrame(bounds, columns=["lower", "upper"], index=conditions.index)

    def save(self, path: Path | str) -> None:
        """Write one file that `load_yield_model` reads without executing anything in it.

        It is a zip archive: `model.json` holds schema, training range, intervals, report and, for a
        Gaussian process, the whole model; fitted trees are in `estimator.skops`.
        """
        content: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "features": list(self.features),
            "target": self.target,
            "training_range": {k: list(v) for k, v in self.training_range.items()},
            "baseline": dict(self.baseline),
            "report": self.report.to_dict(),
            "error_groups": self.error_groups.to_dict(),
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            if isinstance(self.predictor, _GaussianProcess):
                content["gaussian_process"] = self.predictor.to_dict()
            elif isinstance(self.predictor, _TreesPredictor):
                archive.writestr("estimator.skops", skops.io.dumps(self.predictor.estimator))
            archive.writestr("model.json", json.dumps(content, indent=1))

    def _read(self, conditions: pd.DataFrame) -> Array:
        """Features as (n, p), worked out or refused by name."""
        if (
            "Cto" in self.features
            and "Cto" not in conditions.columns
            and {"P", "To"} <= set(conditions.columns)
        ):
            conditions = conditions.assign(
                Cto=inlet_concentration(
                    pd.to_numeric(conditions["P"], errors="coerce"),
                    pd.to_numeric(conditions["To"], errors="coerce"),
                )
            )
        missing = [c for c in self.features if c not in conditions.columns]
        if missing:
            message = (
                f"conditions lack the columns {missing}; the model needs {list(self.features)}, "
                f"found {list(conditions.columns)}"
            )
            raise InvalidConditionsError(message)
        columns = [pd.to_numeric(conditions[c], errors="coerce") for c in self.features]
        return np.column_stack([c.to_numpy(dtype=float, na_value=np.nan) for c in columns])

    def _describe_outside(self, features: Array) -> list[str]:
        parts: list[list[str]] = [[] for _ in range(len(features))]
        for name, values in zip(self.features, features.T, strict=True):
            low, high = self.training_range[name]
            for row in np.flatnonzero(~((values >= low) & (values <= high))):
                value = values[row]
                parts[row].append(
                    f"{name} {value:g} is not in {low:g}..{high:g}"
                    if np.isfinite(value)
                    else f"{name} is missing"
                )
        return ["; ".join(p) for p in parts]


def fit_yield_model(
    data: pd.DataFrame,
    *,
    model: str = "forest",
    seed: int = 0,
    features: Sequence[str] = FEATURES,
    target: str = TARGET,
    n_trees: int = 100,
    n_points: int = 2_500,
    progress: bool = False,
) -> YieldModel:
    """Fit the yield to the operating conditions.

    Parameters
    ----------
    data
        Training rows, with `features` and `target`; rows whose target is missing are left out, and
        a `status` column, if there is one, must not say that a row with a target failed.
    model
        `"forest"` (random forest), `"boosting"` (gradient-boosted trees), `"gp"` (Gaussian process
        with error bars), or `"best"`: the one with the smallest mean absolute error in three-fold
        cross-validation on these rows.
    seed
        Of everything random.
    features, target
        Columns to learn from and to predict.
    n_trees
        Of the forest.
    n_points
        Most rows the Gaussian process is fitted to, chosen at random: time grows with their cube.
    progress
        Show a progress bar.

    Raises
    ------
    InvalidConditionsError
        When columns are missing, features have gaps, or there are fewer than 60 usable rows.

    Notes
    -----
    Intervals come from errors on rows left out of a fit: out-of-bag rows of the forest, five folds
    of the others. Everything runs on one thread, so that its time and result do not depend on a
    machine's other work.
    """
    if model not in (*CANDIDATES, "best"):
        message = f"model must be one of {(*CANDIDATES, 'best')}, got {model!r}"
        raise InvalidConditionsError(message)
    inputs, outputs = _training_arrays(data, features, target)
    modes = data.loc[data[target].notna(), "Mode"].tolist() if "Mode" in data.columns else None
    with threadpool_limits(1):
        return _fit_and_calibrate(
            model,
            inputs,
            outputs,
            modes,
            seed=seed,
            features=tuple(features),
            target=target,
            n_trees=n_trees,
            n_points=n_points,
            progress=progress,
        )


def _fit_and_calibrate(
    model: str,
    inputs: Array,
    outputs: Array,
    modes: Sequence[object] | None,
    *,
    seed: int,
    features: tuple[str, ...],
    target: str,
    n_trees: int,
    n_points: int,
    progress: bool,
) -> YieldModel:
    """Choose the regressor if asked to, fit it and calibrate its intervals."""
    scores: dict[str, tuple[float, ...]] = {}
    kind = model
    steps = tqdm(total=4 if model == "best" else 1, desc="fitting", disable=not progress)
    if model == "best":
        for candidate in CANDIDATES:
            scores[candidate] = _cross_validate(
                candidate, inputs, outputs, seed=seed, n_trees=n_trees, n_points=n_points
            )
            steps.update()
        kind = min(scores, key=lambda name: float(np.mean(scores[name])))
    predictor, error, error_bar = _fit(
        kind, inputs, outputs, seed=seed, n_trees=n_trees, n_points=n_points
    )
    groups = _group_errors(inputs, error, error_bar, modes, seed=seed)
    steps.update()
    steps.close()
    packages = ("numpy", "scikit-learn", "scipy", "skops")
    return YieldModel(
        features=features,
        target=target,
        training_range={
            name: (float(low), float(high))
            for name, low, high in zip(
                features, inputs.min(axis=0), inputs.max(axis=0), strict=True
            )
        },
        baseline=dict(zip(features, np.median(inputs, axis=0).tolist(), strict=True)),
        report=YieldReport(
            kind=kind,
            n_rows=len(inputs),
            seed=seed,
            cross_validation=scores,
            calibration_error=float(np.abs(error).mean()),
            n_groups=len(groups.scores),
            versions={"python": platform.python_version()} | {p: version(p) for p in packages},
        ),
        predictor=predictor,
        error_groups=groups,
    )


def load_yield_model(path: Path | str) -> YieldModel:
    """Read a model written by `YieldModel.save`.

    Raises
    ------
    InvalidModelFileError
        When the file is no such archive, is of another format version, or holds a type that is not
        a fitted tree model; nothing in it is executed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read("model.json"))
            trees = archive.read("estimator.skops") if _has_trees(archive) else None
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not a saved yield model: {error}"
        raise InvalidModelFileError(message) from error
    if content.get("format") != FORMAT or content.get("format_version") != FORMAT_VERSION:
        message = (
            f"{path}: expected {FORMAT} version {FORMAT_VERSION}, found {content.get('format')!r} "
            f"version {content.get('format_version')!r}; fit and save the model again"
        )
        raise InvalidModelFileError(message)
    try:
        return _rebuild(content, trees)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path}: damaged model: {error!r}"
        raise InvalidModelFileError(message) from error


def evaluate_yield_model(
    model: YieldModel, data: pd.DataFrame, *, coverage: float = 0.9
) -> pd.DataFrame:
    """Compare predictions with known yields, over all rows and, where there is a `Mode`, in each.

    Returns
    -------
    DataFrame
        Indexed `all` and the modes; columns `n_rows`, `mae`, `rmse`, `largest_error`, `r2`,
        `coverage` (share of rows inside the interval asked for) and `mean_width`.
    """
    truth = data[model.target]
    error = model.predict(data)[model.target] - truth
    bounds = model.interval(data, coverage=coverage)
    inside = truth.between(bounds["lower"], bounds["upper"])
    width = bounds["upper"] - bounds["lower"]
    groups = {"all": pd.Series(True, index=data.index)}
    if "Mode" in data.columns:
        groups |= {f"mode {mode:g}": data["Mode"] == mode for mode in sorted(set(data["Mode"]))}
    rows = {
        name: {
            "n_rows": int(chosen.sum()),
            "mae": error[chosen].abs().mean(),
            "rmse": math.sqrt((error[chosen] ** 2).mean()),
            "largest_error": error[chosen].abs().max(),
            "r2": 1 - (error[chosen] ** 2).mean() / truth[chosen].var(ddof=0),
            "coverage": inside[chosen].mean(),
            "mean_width": width[chosen].mean(),
        }
        for name, chosen in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def permutation_importance(
    model: YieldModel, data: pd.DataFrame, *, seed: int = 0, n_repeats: int = 5
) -> pd.DataFrame:
    """Rank features by how much the error grows when their values are shuffled between rows.

    Shuffling `Cto` apart from P and To makes rows that cannot exist; the figure says what the model
    reads, not what the reactor does.

    Returns
    -------
    DataFrame, most important first
        Columns `feature`, `importance` (mean increase of the mean absolute error) and `spread`
        (standard deviation over the repeats).
    """
    rng = np.random.default_rng(seed)
    truth = data[model.target].to_numpy(dtype=float)
    error = np.abs(model.predict(data)[model.target].to_numpy() - truth).mean()
    rows = []
    for feature in model.features:
        grown = []
        for _ in range(n_repeats):
            shuffled = data.assign(**{feature: rng.permutation(data[feature].to_numpy())})
            predicted = model.predict(shuffled)[model.target].to_numpy()
            grown.append(np.abs(predicted - truth).mean() - error)
        rows.append((feature, float(np.mean(grown)), float(np.std(grown))))
    table = pd.DataFrame(rows, columns=["feature", "importance", "spread"])
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _training_arrays(
    data: pd.DataFrame, features: Sequence[str], target: str
) -> tuple[Array, Array]:
    missing = [c for c in (*features, target) if c not in data.columns]
    if missing:
        message = f"the training data lack the columns {missing}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    usable = data[data[target].notna()]
    inputs = usable[list(features)].to_numpy(dtype=float)
    outputs = usable[target].to_numpy(dtype=float)
    gaps = [c for c, bad in zip(features, ~np.isfinite(inputs).all(axis=0), strict=True) if bad]
    if gaps:
        message = f"the features {gaps} have missing or infinite values; drop or mend those rows"
        raise InvalidConditionsError(message)
    if len(inputs) < _MIN_ROWS:
        message = f"at least {_MIN_ROWS} rows with {target!r} are needed, got {len(inputs)}"
        raise InvalidConditionsError(message)
    return inputs, outputs


def _cross_validate(
    kind: str, inputs: Array, outputs: Array, *, seed: int, n_trees: int, n_points: int
) -> tuple[float, ...]:
    """Mean absolute error on each of three left-out folds."""
    errors = []
    for train, test in KFold(3, shuffle=True, random_state=seed).split(inputs):
        predictor = _fit_predictor(
            kind, inputs[train], outputs[train], seed=seed, n_trees=n_trees, n_points=n_points
        )
        errors.append(float(np.abs(predictor.predict(inputs[test])[0] - outputs[test]).mean()))
    return tuple(errors)


def _fit_predictor(
    kind: str,
    inputs: Array,
    outputs: Array,
    *,
    seed: int,
    n_trees: int,
    n_points: int,
    kernel: _GaussianProcess | None = None,
) -> _Predictor:
    if kind == "gp":
        return _fit_gaussian_process(inputs, outputs, seed=seed, n_points=n_points, kernel=kernel)
    estimator = (
        RandomForestRegressor(n_trees, random_state=seed, oob_score=True)
        if kind == "forest"
        else HistGradientBoostingRegressor(max_iter=600, random_state=seed)
    )
    return _TreesPredictor(estimator=estimator.fit(inputs, outputs))


def _fit(
    kind: str, inputs: Array, outputs: Array, *, seed: int, n_trees: int, n_points: int
) -> tuple[_Predictor, Array, Array]:
    """Predictor, and each training row's error and error bar when it was left out of the fit."""
    predictor = _fit_predictor(kind, inputs, outputs, seed=seed, n_trees=n_trees, n_points=n_points)
    if kind == "forest" and isinstance(predictor, _TreesPredictor):
        error = predictor.estimator.oob_prediction_ - outputs
        return predictor, error, np.ones(len(inputs))
    error, error_bar = np.empty(len(inputs)), np.empty(len(inputs))
    for train, test in KFold(5, shuffle=True, random_state=seed).split(inputs):
        part = _fit_predictor(
            kind,
            inputs[train],
            outputs[train],
            seed=seed,
            n_trees=n_trees,
            n_points=n_points,
            kernel=predictor if isinstance(predictor, _GaussianProcess) else None,
        )
        mean, error_bar[test] = part.predict(inputs[test])
        error[test] = mean - outputs[test]
    return predictor, error, error_bar


def _fit_gaussian_process(
    inputs: Array, outputs: Array, *, seed: int, n_points: int, kernel: _GaussianProcess | None
) -> _GaussianProcess:
    """Fit the posterior on `n_points` rows; scaling and kernel are those of `kernel` if given."""
    rng = np.random.default_rng(seed)
    fitted = kernel or _fit_kernel(inputs, outputs, rng)
    standard = (inputs - fitted.center) / fitted.scale
    chosen = np.sort(rng.permutation(len(standard))[:n_points])
    return replace(
        fitted,
        points=standard[chosen],
        residuals=(outputs[chosen] - fitted.target_center) / fitted.target_scale,
    )


def _fit_kernel(inputs: Array, outputs: Array, rng: np.random.Generator) -> _GaussianProcess:
    """Scale by the mean and spread, then find the kernel by maximum likelihood on 800 rows."""
    center, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    target_center, target_scale = float(outputs.mean()), float(outputs.std() or 1.0)
    sample = rng.permutation(len(inputs))[:800]
    points = (inputs[sample] - center) / scale
    residuals = (outputs[sample] - target_center) / target_scale
    prior = ConstantKernel(1.0, (1e-3, 1e4)) * Matern(
        np.full(inputs.shape[1], 3.0), (1e-2, 1e3), nu=1.5
    ) + WhiteKernel(1e-6, (1e-9, 1.0))
    with warnings.catch_warnings():
        # A length scale at its bound means a feature without influence, a noise at its bound data
        # without noise; both are results here, and a search cut short is still a usable kernel.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianProcessRegressor(prior).fit(points, residuals).kernel_
    return _GaussianProcess(
        points=points,
        residuals=residuals,
        center=center,
        scale=scale,
        target_center=target_center,
        target_scale=target_scale,
        length_scales=np.asarray(fitted.k1.k2.length_scale, dtype=float),
        amplitude=float(fitted.k1.k1.constant_value),
        noise=float(fitted.k2.noise_level),
    )


def _group_errors(
    inputs: Array,
    error: Array,
    error_bar: Array,
    modes: Sequence[object] | None,
    *,
    seed: int,
) -> _ErrorGroups:
    """Split the calibration rows into groups of like error, large enough for a 95 % interval.

    Where the rows' operating modes are known the groups follow them too, as far as the features
    tell modes apart, so that each mode has its own intervals.
    """
    score = np.abs(error) / error_bar
    features = np.column_stack([inputs, np.log(error_bar)])
    smallest = max(20, len(inputs) // 40)
    log_score = np.log(np.maximum(score, 1e-12))
    targets = [(log_score - log_score.mean()) / (log_score.std() or 1.0)]
    if modes is not None:
        targets += [
            2.0 * np.array([m == mode for m in modes]) for mode in sorted(set(modes), key=str)
        ]
    # The groups come from one half of the rows and their scores from the other: a group found for
    # its small errors would promise them to the next rows too.
    order = np.random.default_rng(seed).permutation(len(inputs))
    split, scored = order[: len(order) // 2], order[len(order) // 2 :]
    tree = DecisionTreeRegressor(
        min_samples_leaf=smallest, max_leaf_nodes=16, random_state=seed
    ).fit(features[split], np.column_stack(targets)[split])
    nodes = tree.tree_
    # scikit-learn compares in single precision: leaves are assigned by our own comparison instead.
    groups = _ErrorGroups(
        feature=np.maximum(nodes.feature, -1).astype(np.int64),
        threshold=np.asarray(nodes.threshold, dtype=float),
        left=nodes.children_left.astype(np.int64),
        right=nodes.children_right.astype(np.int64),
        scores={},
    )
    leaves = groups.leaf(inputs[scored], error_bar[scored])
    scores = {
        int(leaf): np.sort(score[scored][leaves == leaf])
        for leaf in np.flatnonzero(groups.feature < 0)
    }
    return _ErrorGroups(
        feature=groups.feature,
        threshold=groups.threshold,
        left=groups.left,
        right=groups.right,
        scores=scores,
    )


def _has_trees(archive: zipfile.ZipFile) -> bool:
    return "estimator.skops" in archive.namelist()


def _rebuild(content: Mapping[str, Any], trees: bytes | None) -> YieldModel:
    predictor: _Predictor
    if trees is None:
        predictor = _GaussianProcess.from_dict(content["gaussian_process"])
    else:
        unknown = set(skops.io.get_untrusted_types(data=trees)) - set(TRUSTED_TYPES)
        if unknown:
            message = f"types {sorted(unknown)} are not allowed in a yield model"
            raise ValueError(message)
        estimator = skops.io.load(io.BytesIO(trees), trusted=list(TRUSTED_TYPES))
        if not isinstance(estimator, RandomForestRegressor | HistGradientBoostingRegressor):
            message = f"a {type(estimator).__name__} is not a yield model's estimator"
            raise TypeError(message)
        predictor = _TreesPredictor(estimator=estimator)
    report = dict(content["report"])
    report["cross_validation"] = {k: tuple(v) for k, v in report["cross_validation"].items()}
    return YieldModel(
        features=tuple(content["features"]),
        target=content["target"],
        training_range={k: (v[0], v[1]) for k, v in content["training_range"].items()},
        baseline=content["baseline"],
        report=YieldReport(**report),
        predictor=predictor,
        error_groups=_ErrorGroups.from_dict(content["error_groups"]),
    )
