"""Will the hot spot run away soon? Series to practise on, a forecast, and alarms counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from reactor_yield.arguments import (
    COUNT,
    NON_NEGATIVE,
    NUMBER,
    POSITIVE,
    TABLE,
    TEXT,
    TRUTH,
    WHOLE,
    Kind,
    check_arguments,
    optional,
)
from reactor_yield.data.dataset import MODE_1
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.alarm_count import (
    CRITICAL_TEMPERATURE,
    failure_runaways,
    minutes_per_sample,
    require_numbers,
)
from reactor_yield.simulation.tube import REFERENCE, Kinetics, simulate_reactor

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]

MEASURED = "_measured"
_CONDITIONS = tuple(MODE_1.mean)
_DAY = 24 * 60


_LAGS = Kind(
    "a list of integers from 1 on",
    lambda value: (
        isinstance(value, tuple | list) and len(value) > 0 and all(map(COUNT.fits, value))
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolantFailure:
    """A coolant pump that fails slowly: its flow falls on a ramp, stays low, and is brought back.

    Parameters
    ----------
    every_days
        Mean time between failures; they come at random (exponential).
    minutes
        From full flow down to `remaining`.
    remaining
        Fraction of the flow that is left.
    hold_minutes, recovery_minutes
        How long it stays there, and how long it takes back to full flow.
    """

    every_days: float = 5.0
    minutes: int = 60
    remaining: float = 0.3
    hold_minutes: int = 60
    recovery_minutes: int = 30

    def __post_init__(self) -> None:
        check_arguments(
            every_days=(self.every_days, NUMBER),
            minutes=(self.minutes, WHOLE),
            remaining=(self.remaining, NUMBER),
            hold_minutes=(self.hold_minutes, WHOLE),
            recovery_minutes=(self.recovery_minutes, WHOLE),
        )
        problems = []
        if not self.every_days > 0:
            problems.append(f"every_days must be above 0, got {self.every_days}")
        if not 0 < self.remaining < 1:
            problems.append(f"remaining must be between 0 and 1, got {self.remaining}")
        if min(self.minutes, self.recovery_minutes) < 1 or self.hold_minutes < 0:
            problems.append(
                "minutes and recovery_minutes must be at least 1, hold_minutes 0 or more"
            )
        if problems:
            raise InvalidConditionsError(*problems)

    def profile(self) -> Array:
        """Fraction of the flow in each minute after the failure began, the first below 1."""
        down = np.linspace(1, self.remaining, self.minutes + 1)[1:]
        back = np.linspace(self.remaining, 1, self.recovery_minutes + 1)[1:-1]
        return np.concatenate([down, np.full(self.hold_minutes, self.remaining), back])


def realistic_series(
    n_days: int,
    *,
    seed: int,
    correlation_minutes: float = 120.0,
    failure: CoolantFailure | None = None,
    sensor_noise: float = 0.005,
    kinetics: Kinetics = REFERENCE,
) -> pd.DataFrame:
    """One sample a minute of mode 1 under correlated disturbances, with coolant failures.

    Every condition is an Ornstein-Uhlenbeck process with the recipe's mean and spread. The reactor
    is in steady state at each minute (its residence time is far below one).

    Parameters
    ----------
    n_days
        Length.
    seed
        Of everything random.
    correlation_minutes
        After which a disturbance has fallen to 1/e.
    failure
        How the coolant fails; `CoolantFailure()` by default.
    sensor_noise
        Relative standard deviation of each measurement.
    kinetics
        The reactor.

    Returns
    -------
    (1440 n_days, 20) DataFrame
        `minute`; true conditions Fao, Fbo, P, To, m, Ta; `T_max` (true peak) and `T_max_grid`; each
        of these eight again with the suffix `_measured`; `coolant` (1, or what the failure leaves
        of m); `T_max_without_failure` and `T_max_grid_without_failure` (what they would be at full
        coolant).

    Notes
    -----
    m is kept above 0.5 mol/min, 4.75 spreads below its mean, before a failure's factor.
    """
    check_arguments(
        n_days=(n_days, COUNT),
        seed=(seed, WHOLE),
        correlation_minutes=(correlation_minutes, POSITIVE),
        failure=(failure, optional(CoolantFailure)),
        sensor_noise=(sensor_noise, NON_NEGATIVE),
        kinetics=(kinetics, Kinetics),
    )
    rng = np.random.default_rng(seed)
    n = n_days * _DAY
    memory = math.exp(-1 / correlation_minutes)
    table = pd.DataFrame({"minute": np.arange(n)})
    for name, mean in MODE_1.mean.items():
        shocks = rng.standard_normal(n)
        shocks[1:] *= math.sqrt(1 - memory**2)
        table[name] = mean + MODE_1.spread()[name] * lfilter([1.0], [1.0, -memory], shocks)
    full_flow = table["m"].clip(lower=0.5)
    coolant = _draw_failures(n, failure or CoolantFailure(), rng)
    table["m"] = full_flow * coolant
    spots = ["T_max", "T_max_grid"]
    found = simulate_reactor(table, kinetics, rtol=1e-6, atol=1e-8)
    table[spots] = found[spots]
    measured = table[[*_CONDITIONS, *spots]]
    noisy = measured * (1 + sensor_noise * rng.standard_normal(measured.shape))
    table = table.join(noisy.add_suffix(MEASURED))
    table["coolant"] = coolant
    failing = coolant < 1
    without = simulate_reactor(
        table[failing].assign(m=full_flow[failing]), kinetics, rtol=1e-6, atol=1e-8
    )
    for spot in spots:
        table[f"{spot}_without_failure"] = table[spot].mask(failing, without[spot])
    return table


def sorted_series(
    n_days: int = 100, *, seed: int = 0, frozen: bool = False, kinetics: Kinetics = REFERENCE
) -> pd.DataFrame:
    """Make the old study's series: 144 independent samples a day, put in an artificial order.

    Of each day's samples a random half or more are sorted by rising hot spot, the rest by falling.
    Time in it means nothing else, so its forecast errors say little about a plant.

    Returns
    -------
    (144 n_days, 3) DataFrame
        `minute` (ten apart), `T_max` and `T_max_grid`, each sorted by itself.
    """
    check_arguments(
        n_days=(n_days, COUNT),
        seed=(seed, WHOLE),
        frozen=(frozen, TRUTH),
        kinetics=(kinetics, Kinetics),
    )
    # The legacy generator, as for the other data of that study.
    legacy = np.random.RandomState(seed)
    spread = list(MODE_1.spread().values())
    normal = legacy.standard_normal((144 * n_days, len(spread)))
    conditions = pd.DataFrame(list(MODE_1.mean.values()) + normal * spread, columns=_CONDITIONS)
    found = simulate_reactor(conditions, kinetics, frozen=frozen)
    rng = np.random.default_rng(seed)
    rising = rng.integers(72, 145, n_days)
    order = np.stack([rng.permutation(144) for _ in range(n_days)])
    table = pd.DataFrame({"minute": np.arange(144 * n_days) * 10})
    for spot in ("T_max", "T_max_grid"):
        days = []
        for day, values in enumerate(found[spot].to_numpy().reshape(n_days, 144)):
            shuffled = values[order[day]]
            up, down = shuffled[: rising[day]], shuffled[rising[day] :]
            days += [np.sort(up), np.sort(down)[::-1]]
        table[spot] = np.concatenate(days)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class HotSpotForecaster:
    """A fitted forecast of the hot spot; made by `fit_hot_spot_forecaster`.

    Attributes
    ----------
    target
        Column forecast, `T_max` or `T_max_grid`.
    lead
        Samples ahead.
    lags
        Past samples whose differences from now it looks at.
    failure
        The kind of coolant failure it listens for; `None` when the series has no conditions.
    correlation_minutes
        Of the coolant flow's ordinary disturbance.
    regressor, classifier
        Of the hot spot's change, and of the risk (`None` when the series has no conditions).
    """

    target: str
    lead: int
    lags: tuple[int, ...]
    failure: CoolantFailure | None
    correlation_minutes: float
    regressor: Any
    classifier: Any

    def forecast(self, series: pd.DataFrame) -> pd.DataFrame:
        """Forecast from each sample of a series that has enough past.

        Returns
        -------
        DataFrame, indexed like those rows of `series`
            `due_minute`, when the forecast is for; `T_max`, the forecast of `target` (K);
            `persistence`, the last measurement, which is the forecast that needs no model; with
            conditions also `risk`, how many times likelier a runaway by coolant failure within the
            hour is than none of any kind.
        """
        features, current = _features(
            series, self.target, self.lags, self.failure, self.correlation_minutes
        )
        enough = features.notna().all(axis=1)
        inputs = features[enough]
        step = minutes_per_sample(series)
        table = pd.DataFrame(index=inputs.index)
        table["due_minute"] = series.loc[enough, "minute"] + self.lead * step
        if not len(inputs):  # scikit-learn predicts nothing for no rows
            return table.assign(T_max=0.0, persistence=0.0)
        with threadpool_limits(1):
            table["T_max"] = current[enough] + self.regressor.predict(inputs)
            table["persistence"] = _measurement(series, self.target)[enough]
            if self.classifier is not None:
                odds = self.classifier.predict_proba(inputs)
                table["risk"] = odds[:, 1] / (odds[:, 0] + 0.02)  # 0.02 keeps it finite
        return table


def forecast_hot_spot(
    history: pd.DataFrame,
    recent: pd.DataFrame,
    *,
    lead: int = 1,
    target: str = "T_max",
    lags: Sequence[int] = (1, 2, 3, 4, 5),
    failure: CoolantFailure | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Learn from a history, and forecast the hot spot `lead` samples ahead through a recent series.

    `fit_hot_spot_forecaster` and `HotSpotForecaster.forecast` in one call; see there.
    """
    check_arguments(
        history=(history, TABLE),
        recent=(recent, TABLE),
        lead=(lead, COUNT),
        target=(target, TEXT),
        lags=(lags, _LAGS),
        failure=(failure, optional(CoolantFailure)),
        seed=(seed, WHOLE),
    )
    forecaster = fit_hot_spot_forecaster(
        history, lead=lead, target=target, lags=lags, failure=failure, seed=seed
    )
    return forecaster.forecast(recent)


def fit_hot_spot_forecaster(
    history: pd.DataFrame,
    *,
    lead: int = 1,
    target: str = "T_max",
    lags: Sequence[int] = (1, 2, 3, 4, 5),
    failure: CoolantFailure | None = None,
    correlation_minutes: float = 120.0,
    critical_temperature: float = CRITICAL_TEMPERATURE,
    seed: int = 0,
) -> HotSpotForecaster:
    """Fit gradient-boosted trees to the change of the hot spot over the next `lead` samples.

    Parameters
    ----------
    history
        A series of equidistant samples with `minute` and `target`; where it has measured conditions
        and `coolant` and `target` without failure too (`realistic_series`), they are used and a
        runaway risk is fitted.
    lead
        Samples ahead.
    target
        `T_max` (true peak) or `T_max_grid`.
    lags
        Past samples to look at, in samples.
    failure
        With measured conditions: the coolant failure to listen for. Its frequency here is only the
        prior; the history may have more failures than the plant, so that there is enough to learn
        from.
    correlation_minutes
        Of the coolant flow's ordinary disturbance.
    critical_temperature
        K; above it is a runaway.
    seed
        Of the trees.
    """
    if lead < 1 or not lags or min(lags) < 1:
        message = f"lead and lags must be at least 1 sample, got {lead} and {tuple(lags)}"
        raise InvalidConditionsError(message)
    # The risk is learned from failures: the history must say when the coolant failed, too.
    needed = {"coolant", f"{target}_without_failure", *(c + MEASURED for c in _CONDITIONS)}
    has_conditions = needed <= set(history.columns)
    listens = (failure or CoolantFailure()) if has_conditions else None
    features, current = _features(history, target, lags, listens, correlation_minutes)
    change = history[target].shift(-lead) - current
    usable = features.notna().all(axis=1) & change.notna()
    if usable.sum() < 200:
        message = (
            f"the history has {int(usable.sum())} samples with a past and a future; 200 are needed"
        )
        raise InvalidConditionsError(message)
    with threadpool_limits(1):
        regressor = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=15,
            random_state=seed,
        ).fit(features[usable], change[usable])
        classifier = None
        if has_conditions:
            classes = _risk_classes(history, target, critical_temperature)
            known = features.notna().all(axis=1)
            classifier = HistGradientBoostingClassifier(
                learning_rate=0.05,
                max_iter=150,
                max_leaf_nodes=15,
                min_samples_leaf=100,
                l2_regularization=5.0,
                random_state=seed,
            ).fit(features[known], classes[known])
    return HotSpotForecaster(
        target=target,
        lead=lead,
        lags=tuple(lags),
        failure=listens,
        correlation_minutes=correlation_minutes,
        regressor=regressor,
        classifier=classifier,
    )


def coolant_failure_probability(
    flow: Array,
    failure: CoolantFailure,
    *,
    correlation_minutes: float = 120.0,
    noise: float = 0.005,
) -> pd.DataFrame:
    """Probability, minute by minute, that the coolant is failing, from its flow alone.

    Exact recursive Bayes over the age of a failure: under each age the flow before the failure's
    factor must follow the Ornstein-Uhlenbeck process, and only the right age makes its steps
    likely. With the process known, no detector that sees the flow alone can tell more (sensor noise
    is taken into the steps' variance).

    Parameters
    ----------
    flow : (n,) array
        Measured coolant flow, mol/min, one sample a minute.
    failure
        The kind of failure, and how often it comes.
    correlation_minutes
        Of the flow's ordinary disturbance.
    noise
        Relative standard deviation of the measurement.

    Returns
    -------
    (n, 3) DataFrame
        `falling` and `low`, the probabilities of being on the ramp and after it; `expected`, the
        fraction of coolant expected to be left.
    """
    left = np.concatenate([[1.0], failure.profile()])
    n_ages = len(left)
    mean, spread = MODE_1.mean["m"], MODE_1.spread()["m"]
    memory = math.exp(-1 / correlation_minutes)
    start = 1 / (failure.every_days * _DAY)
    shock = spread**2 * (1 - memory**2)
    before = np.concatenate([[1.0], left[:-1]])  # factor one minute earlier, per age
    belief = np.zeros(n_ages)
    belief[0] = 1.0
    table = np.empty((len(flow), 3))
    for t, value in enumerate(flow):
        if t:
            undisturbed = value / left - mean
            expected = memory * (flow[t - 1] / before - mean)
            variance = shock + (noise * value / left) ** 2 * (1 + memory**2)
            log_likelihood = -0.5 * (
                (undisturbed - expected) ** 2 / variance + np.log(variance)
            ) - np.log(left)
            prior = np.empty(n_ages)
            prior[0] = belief[0] * (1 - start) + belief[-1]
            prior[1] = belief[0] * start
            prior[2:] = belief[1:-1]
            belief = prior * np.exp(log_likelihood - log_likelihood.max())
            belief /= belief.sum()
        falling = belief[1 : failure.minutes + 1].sum()
        table[t] = falling, belief[failure.minutes + 1 :].sum(), belief @ left
    return pd.DataFrame(table, columns=["falling", "low", "expected"])


def _draw_failures(n: int, failure: CoolantFailure, rng: np.random.Generator) -> Array:
    """Fraction of the coolant flow per minute; a failure begins only after the last one is over."""
    left = np.ones(n)
    profile = failure.profile()
    at = rng.exponential(failure.every_days * _DAY)
    while at < n:
        rows = slice(int(at), min(n, int(at) + len(profile)))
        left[rows] = profile[: rows.stop - rows.start]
        at += len(profile) + rng.exponential(failure.every_days * _DAY)
    return left


def _measurement(series: pd.DataFrame, column: str) -> pd.Series:
    """Measured column where there is one."""
    name = column + MEASURED if column + MEASURED in series.columns else column
    if name not in series.columns:
        message = f"the series lacks {column!r}; found {list(series.columns)}"
        raise InvalidConditionsError(message)
    require_numbers(series, [name])
    return series[name]


def _features(
    series: pd.DataFrame,
    target: str,
    lags: Sequence[int],
    failure: CoolantFailure | None,
    correlation_minutes: float,
) -> tuple[pd.DataFrame, pd.Series]:
    """Work out the inputs per sample, from its past alone, and the level changes count from."""
    measured = _measurement(series, target)
    if failure is None:
        columns: dict[str, pd.Series | Array] = {"now": measured}
        columns |= {f"change {lag}": measured - measured.shift(lag) for lag in lags}
        return pd.DataFrame(columns, index=series.index), measured
    smooth = pd.DataFrame({c: _measurement(series, c) for c in _CONDITIONS}).ewm(span=4).mean()
    level = measured.ewm(span=3).mean()
    columns = {"now": level} | {c: smooth[c] for c in _CONDITIONS}
    for lag in lags:
        columns[f"change {lag}"] = level - level.shift(lag)
        columns[f"coolant change {lag}"] = smooth["m"] - smooth["m"].shift(lag)
    for minutes in (30, 60, 120):
        columns[f"below its highest of {minutes}"] = (
            smooth["m"] - smooth["m"].rolling(minutes).max()
        )
    flow = _measurement(series, "m").to_numpy(dtype=float)
    belief = coolant_failure_probability(flow, failure, correlation_minutes=correlation_minutes)
    columns |= {f"coolant {name}": belief[name].to_numpy() for name in belief}
    columns["coolant odds"] = np.log(
        (belief["falling"] + 1e-9) / (1 - belief["falling"] + 1e-9)
    ).to_numpy()
    possible = smooth.clip(lower=0.1)
    for name, share in (("model", 1.0), ("model at three quarters of the coolant", 0.75)):
        found = simulate_reactor(possible.assign(m=possible["m"] * share), rtol=1e-5, atol=1e-7)
        columns[name] = found[target].to_numpy()
    return pd.DataFrame(columns, index=series.index), level


def _risk_classes(series: pd.DataFrame, target: str, critical_temperature: float) -> pd.Series:
    """Class per sample: 1 in the hour before a failure's runaway, 2 before another, 0 otherwise."""
    hot = series[target] > critical_temperature
    soon = hot[::-1].rolling(61, min_periods=1).max()[::-1] > 0
    classes = np.where(soon, 2, 0)
    for onset in failure_runaways(
        series, target=target, critical_temperature=critical_temperature, calm_minutes=0
    ):
        classes[max(0, onset - 60) : onset] = 1
    return pd.Series(classes, index=series.index)
