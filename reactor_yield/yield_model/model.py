"""The fitted yield model: prediction, interval and range in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import COUNT, SHARE, TABLE, check_arguments
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.yield_model.new_levels import predict_over_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from reactor_yield.yield_model.conformal import LocalErrors
    from reactor_yield.yield_model.encoding import Encoded, Encoding
    from reactor_yield.yield_model.error_split import ErrorSplit
    from reactor_yield.yield_model.neighbourhood import Neighbourhood
    from reactor_yield.yield_model.new_levels import OverLevels
    from reactor_yield.yield_model.predictor import Predictor
    from reactor_yield.yield_model.report import YieldReport

Array = NDArray[np.float64]

_FEWEST_LAB_VALUES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldModel:
    """A fitted yield model; made by `fit_yield_model` or `load_yield_model`.

    Attributes
    ----------
    features, target
        Columns it reads, and what it predicts.
    training_range
        Smallest and largest value of each feature in training; text has none.
    baseline
        Median of each feature in training, or its most frequent text.
    report
        How it came about.
    encoding
        How the columns become numbers, and what a gap means.
    neighbourhood
        Where the training rows lie: whether conditions together are like them.
    predictor, local_errors
        What predicts, and what turns its error bar into an interval.
    error_split
        How much of its error batches run alike share.
    limits
        Smallest and largest value that the target can have; predictions and intervals stay inside.
    offset, inflation
        Added to predictions, and multiplied with the intervals' halves, since the model was
        recalibrated with lab values; 0 and 1 before.
    """

    features: tuple[str, ...]
    target: str
    training_range: Mapping[str, tuple[float, float]]
    baseline: Mapping[str, float | str]
    report: YieldReport
    encoding: Encoding
    neighbourhood: Neighbourhood
    predictor: Predictor
    local_errors: LocalErrors
    error_split: ErrorSplit
    limits: tuple[float, float] = (-math.inf, math.inf)
    offset: float = 0.0
    inflation: float = 1.0

    def predict(self, conditions: pd.DataFrame) -> pd.DataFrame:
        """Predict the target of each row, and say where the model is asked beyond its training.

        Parameters
        ----------
        conditions : (n, ...) DataFrame
            With the model's features; `Cto` is worked out from P and To when it is absent.

        Returns
        -------
        (n, 3) DataFrame, indexed like `conditions`
            The target; `in_range`, no value and no combination of values beyond the training rows;
            `outside`, text naming each feature out of the training range or missing (where one is
            missing and gaps are refused, the prediction is NaN).
        """
        check_arguments(conditions=(conditions, TABLE))
        encoded = self.encoding.encode(conditions)
        mean = self._expect(encoded)
        where = self._locate(encoded)
        return self._table(conditions, encoded, where, {self.target: np.clip(mean, *self.limits)})

    def interval(self, conditions: pd.DataFrame, *, coverage: float = 0.9) -> pd.DataFrame:
        """Bound the target of each row: columns `lower` and `upper`.

        Outside the training range the interval is no promise; `predict` says where that is.

        Parameters
        ----------
        conditions : (n, ...) DataFrame
        coverage
            Share of rows, drawn like the training rows, whose true value lies inside.
        """
        check_arguments(conditions=(conditions, TABLE), coverage=(coverage, SHARE))
        encoded = self.encoding.encode(conditions)
        _, lower, upper = self._bound(encoded, self._locate(encoded), coverage)
        return pd.DataFrame({"lower": lower, "upper": upper}, index=conditions.index)

    def predict_interval(self, conditions: pd.DataFrame, *, coverage: float = 0.9) -> pd.DataFrame:
        """Prediction and interval together, at the price of one.

        Parameters
        ----------
        conditions, coverage
            As in `predict` and `interval`.

        Returns
        -------
        (n, 5) DataFrame, indexed like `conditions`
            The target, `lower`, `upper`, `in_range` and `outside`.
        """
        check_arguments(conditions=(conditions, TABLE), coverage=(coverage, SHARE))
        encoded = self.encoding.encode(conditions)
        where = self._locate(encoded)
        mean, lower, upper = self._bound(encoded, where, coverage)
        values = {self.target: np.clip(mean, *self.limits), "lower": lower, "upper": upper}
        return self._table(conditions, encoded, where, values)

    def out_of_range(self, conditions: pd.DataFrame) -> pd.Series:
        """Whether each row's values together are unlike the training rows, (n,) of bool.

        A row can be out of range although each of its values is in: 2.5 % of rows drawn like the
        training rows are. A row that cannot be judged, for a gap that is refused, is out of range.
        """
        check_arguments(conditions=(conditions, TABLE))
        encoded = self.encoding.encode(conditions)
        outside = self._locate(encoded)[1] > self.neighbourhood.limit
        outside |= encoded.new.any(axis=1)
        return pd.Series(outside, index=conditions.index, name="out_of_range")

    def recalibrate(self, data: pd.DataFrame, *, coverage: float = 0.9) -> YieldModel:
        """Correct offset and interval width with lab values that have arrived since the fit.

        The median error of the rows is taken out, shrunk where the rows are few, and the halves of
        all intervals are multiplied so that `coverage` of these rows is met.

        Parameters
        ----------
        data : (n, ...) DataFrame
            The model's features and target, the newest rows that are to count; rows without a
            target or that cannot be predicted are left out. At least 20 must remain.
        coverage
            At which the width is corrected.

        Returns
        -------
        YieldModel
            A new model. A later call starts from the fit again, not from this correction.

        References
        ----------
        Split-conformal rescaling: Lei et al. (2018), doi:10.1080/01621459.2017.1307116.
        """
        check_arguments(data=(data, TABLE), coverage=(coverage, SHARE))
        if self.target not in data.columns:
            message = f"recalibration needs the column {self.target!r}; found {list(data.columns)}"
            raise InvalidConditionsError(message)
        fresh = replace(self, offset=0.0, inflation=1.0, limits=(-math.inf, math.inf))
        truth = pd.to_numeric(data[self.target], errors="coerce").to_numpy(dtype=float)
        encoded = fresh.encoding.encode(data)
        mean, lower, _ = fresh._bound(encoded, fresh._locate(encoded), coverage)
        used = np.isfinite(truth) & np.isfinite(mean) & np.isfinite(lower)
        n_used = int(used.sum())
        if n_used < _FEWEST_LAB_VALUES:
            message = (
                f"recalibration needs at least {_FEWEST_LAB_VALUES} rows with {self.target!r} that "
                f"can be predicted, got {n_used} of {len(data)}"
            )
            raise InvalidConditionsError(message)
        error = truth[used] - mean[used]
        offset = float(np.median(error)) * n_used / (n_used + _FEWEST_LAB_VALUES)
        scores = np.sort(np.abs(error - offset) / (mean - lower)[used])
        rank = min(math.ceil((n_used + 1) * coverage), n_used)
        return replace(
            self,
            offset=offset,
            inflation=float(scores[rank - 1]),
            report=replace(self.report, n_recalibrated=n_used),
        )

    def save(self, path: Path | str) -> None:
        """Write one file that `load_yield_model` reads without executing anything in it."""
        from reactor_yield.yield_model.storage import save_yield_model

        save_yield_model(self, path)

    def expect(self, conditions: pd.DataFrame) -> pd.Series:
        """Predict the target alone, the quickest way: no interval, no range; (n,)."""
        check_arguments(conditions=(conditions, TABLE))
        encoded = self.encoding.encode(conditions)
        mean = np.clip(self._expect(encoded), *self.limits)
        return pd.Series(mean, index=conditions.index, name=self.target)

    def split_error(self, conditions: pd.DataFrame, n_batches: int) -> ErrorSplit:
        """How much of the error batches share that are run at these conditions.

        Parameters
        ----------
        conditions : (n_campaigns * n_batches, ...) DataFrame
            Campaign by campaign.
        n_batches
            Of each campaign.
        """
        check_arguments(conditions=(conditions, TABLE), n_batches=(n_batches, COUNT))
        if len(conditions) % n_batches:
            message = f"conditions: {len(conditions)} rows are no campaigns of {n_batches} batches"
            raise InvalidConditionsError(message)
        coordinates, _ = self._locate(self.encoding.encode(conditions))
        nearest = self.neighbourhood.nearest(coordinates).reshape(-1, n_batches)
        return self.error_split.within_campaigns(nearest)

    def _expect(self, encoded: Encoded) -> Array:
        """Mean; NaN where a row cannot be predicted."""
        mean = np.full(len(encoded.usable), np.nan)
        if encoded.usable.any():
            mean[encoded.usable] = self._over_levels(encoded, self._mean_alone).mean
        return mean + self.offset

    def _mean_alone(self, inputs: Array) -> tuple[Array, Array]:
        mean = self.predictor.expect(inputs)
        return mean, np.ones(len(mean))

    def _over_levels(
        self, encoded: Encoded, predict: Callable[[Array], tuple[Array, Array]]
    ) -> OverLevels:
        """Predict the usable rows."""
        usable = encoded.usable
        return predict_over_levels(
            predict,
            encoded.inputs if usable.all() else encoded.inputs[usable],
            new=encoded.new[usable],
            text_columns=self.encoding.text_columns,
        )

    def _locate(self, encoded: Encoded) -> tuple[Array, Array]:
        """Coordinates, and distance from the training rows: infinite where it cannot be judged."""
        coordinates = self.neighbourhood.coordinates.transform(encoded.inputs)
        distance = np.full(len(coordinates), np.inf)
        if encoded.usable.any():
            usable = coordinates[encoded.usable]
            distance[encoded.usable] = self.neighbourhood.distance(usable)
        return coordinates, distance

    def _bound(
        self, encoded: Encoded, where: tuple[Array, Array], coverage: float
    ) -> tuple[Array, Array, Array]:
        """Mean, and lower and upper end of the interval within the limits."""
        if not 0 < coverage < 1:
            message = f"coverage must be between 0 and 1, got {coverage}"
            raise InvalidConditionsError(message)
        mean, half = np.full((2, len(encoded.usable)), np.nan)
        usable = encoded.usable
        if usable.any():
            found = self._over_levels(encoded, self.predictor.predict)
            mean[usable] = found.mean + self.offset
            coordinates, distance = where
            scores = self.local_errors.quantile(coordinates[usable], distance[usable], coverage)
            known = found.bar * scores
            if not self.report.new_levels_left_out:  # else the scores are those of new levels
                known = found.widen(known, coverage)
            half[usable] = self.inflation * known
            half[~np.isfinite(mean)] = np.nan
        return mean, np.clip(mean - half, *self.limits), np.clip(mean + half, *self.limits)

    def _table(
        self,
        conditions: pd.DataFrame,
        encoded: Encoded,
        where: tuple[Array, Array],
        values: dict[str, Array],
    ) -> pd.DataFrame:
        """Add what is said about each row."""
        distance = where[1] / self.neighbourhood.limit
        together = encoded.in_range & (distance <= 1)
        outside = list(encoded.notes)
        for row in np.flatnonzero(encoded.in_range & ~together):
            said = f"the values together are unlike the training rows ({distance[row]:.2f} times "
            outside[row] = "; ".join(filter(None, [outside[row], said + "the usual distance)"]))
        return pd.DataFrame(
            {**values, "in_range": together, "outside": outside}, index=conditions.index
        )
