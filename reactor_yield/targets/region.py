"""A region of operating points that are safe under disturbances, and a certified point in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import qmc
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from reactor_yield.arguments import (
    COUNT,
    FUNCTION,
    NUMBER,
    PAIR,
    SHARE,
    TABLE,
    TEXT,
    WHOLE,
    by_name,
    check_arguments,
    either,
    optional,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.targets.certificate import (
    Certificate,
    Simulate,
    certify_point,
    check_chances,
    count_exceeding,
    exceeds,
    largest_count,
    upper_chance,
)
from reactor_yield.targets.disturbances import DISTURBANCES, disturb, draw_deviations, repeat_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reactor_yield.targets.disturbances import Disturbances

Array = NDArray[np.float64]

_STAGES = (64, 256, 1_024)
_CANDIDATES = 4_096
_MOST_TRIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeRegion:
    """Operating points whose chance of exceeding the limit was learned to be small enough.

    Attributes
    ----------
    estimator
        A scikit-learn pipeline of scaler and SVC with classes -1 (safe) and 1.
    inputs
        Names of the handles, in the order of its columns.
    lower, upper : (k,) arrays
        Box that was sampled; beyond it the region says nothing.
    margin
        Points belong to it where the decision is at most minus this: no sampled unsafe point does.
    points : DataFrame
        Sampled handles, with `safe` and `chance` (share of the draws that exceeded).
    """

    estimator: Any
    inputs: tuple[str, ...]
    lower: Array
    upper: Array
    margin: float
    points: pd.DataFrame

    def decision(self, points: pd.DataFrame) -> Array:
        """Decision function of handles, (n,); the smaller, the deeper inside."""
        check_arguments(points=(points, TABLE))
        return np.asarray(self.estimator.decision_function(points[list(self.inputs)].to_numpy()))

    def contains(self, points: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether points lie in the region and in the box that was sampled, (n,)."""
        check_arguments(points=(points, TABLE))
        values = points[list(self.inputs)].to_numpy(dtype=float)
        inside = ((values >= self.lower) & (values <= self.upper)).all(axis=1)
        return np.asarray(inside & (self.decision(points) <= -self.margin))


class SafePoint(NamedTuple):
    """What `safe_region` returns."""

    region: SafeRegion
    point: dict[str, float] | None
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What is asked: simulation, disturbances, limit and chance."""

    simulate: Simulate
    disturbances: Disturbances | None
    limit: float
    share: float
    confidence: float
    n_draws: int
    output: str
    fixed: Mapping[str, float]
    handles: Mapping[str, tuple[float, float]]

    def conditions(self, point: Mapping[str, float]) -> dict[str, float]:
        """Everything that is set at a point."""
        return dict(self.fixed) | dict(point)


def safe_region(
    simulate: Simulate,
    conditions: Mapping[str, float | tuple[float, float]],
    disturbances: Disturbances | None,
    *,
    limit: float,
    share: float = 0.99,
    confidence: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
    output: str = "T_max",
    prefer: Callable[[pd.DataFrame], Any] | None = None,
    n_samples: int = 192,
) -> SafePoint:
    """Learn where the chance of exceeding a limit is small, and certify one point in there.

    Parameters
    ----------
    simulate
        Of (n, ...) conditions; returns n numbers, or a table with the column `output`.
    conditions
        By name: a number for what is set once and for all, a lowest and a highest value for a
        handle that is to be chosen.
    disturbances
        How conditions vary around what is set (`reactor_yield.targets.disturbances`): standard
        deviations, an `OperatingMode`, deviations that were seen, or a function. A handle named
        there varies too; one that is not is exact.
    limit
        Of the simulated quantity, in its unit.
    share
        Least share of draws that must stay below.
    confidence
        Of the certificate's one-sided Clopper-Pearson limit.
    n_draws
        Of the certificate.
    seed
        Of samples and draws; the certificate's draws are none that the point was chosen by.
    output
        Column of the simulation's table that is limited.
    prefer
        Score of (n, ...) conditions, the higher the better, `-inf` where not allowed; by default
        how deep inside the region they lie.
    n_samples
        Points whose chance is found to learn the region.

    Returns
    -------
    region : SafeRegion
        Its `estimator` is scikit-learn's.
    point : dict, or None
        Conditions chosen, handles and fixed ones; None where no point could be certified.
    certificate : Certificate
        Of that point, or of the last one tried.

    Raises
    ------
    InvalidConditionsError
        When nothing is left to choose, a range is empty, no sampled point or every one is safe,
        `prefer` allows none, or `n_draws` are too few to show such a share.

    Notes
    -----
    A point is tried on draws of its own with a reserve, so that not only this certificate but
    nearly every repetition of it holds; one that fails moves inward, to the best point of a smaller
    region. The certificate is then made of fresh draws. Chance constraint: Charnes & Cooper
    (1959), doi:10.1287/mnsc.6.1.73; tested at a candidate: Luedtke & Ahmed (2008),
    doi:10.1137/070702928.
    """
    check_arguments(
        simulate=(simulate, FUNCTION),
        conditions=(conditions, by_name(either(NUMBER, PAIR))),
        disturbances=(disturbances, DISTURBANCES),
        limit=(limit, NUMBER),
        share=(share, SHARE),
        confidence=(confidence, SHARE),
        n_draws=(n_draws, COUNT),
        seed=(seed, WHOLE),
        output=(output, TEXT),
        prefer=(prefer, optional(FUNCTION)),
        n_samples=(n_samples, COUNT),
    )
    check_chances(share, confidence, n_draws)
    fixed, handles = _read_conditions(conditions)
    trial = _Trial(
        simulate=simulate,
        disturbances=disturbances,
        limit=limit,
        share=share,
        confidence=confidence,
        n_draws=n_draws,
        output=output,
        fixed=fixed,
        handles=handles,
    )
    region = _learn_region(trial, n_samples, seed)
    return _choose_point(trial, region, prefer, seed)


def _read_conditions(
    conditions: Mapping[str, float | tuple[float, float]],
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Tell what is fixed from what is to be chosen, with its range."""
    fixed: dict[str, float] = {}
    handles: dict[str, tuple[float, float]] = {}
    problems = []
    for name, value in conditions.items():
        if isinstance(value, tuple | list):
            low, high = (float(v) for v in value)
            handles[name] = (low, high)
            if not low < high:
                problems.append(f"conditions: the range of {name!r} is empty: {value}")
        else:
            fixed[name] = float(value)
    if not handles:
        problems.append("conditions: none has a range (lowest, highest), so nothing is to choose")
    if problems:
        raise InvalidConditionsError(*problems)
    return fixed, handles


def _learn_region(trial: _Trial, n_samples: int, seed: int) -> SafeRegion:
    """Find the chance at sampled points, half of them near the edge that the first half shows."""
    lower, upper = np.array(list(trial.handles.values())).T
    names = list(trial.handles)
    sampler = qmc.Sobol(len(names), rng=np.random.default_rng(seed))
    first = qmc.scale(sampler.random(_power_of_two(n_samples // 2)), lower, upper)
    chances = _find_chances(trial, pd.DataFrame(first, columns=names), seed)
    estimator = _fit(first, chances <= 1 - trial.share)
    more = qmc.scale(sampler.random(_power_of_two(16 * n_samples)), lower, upper)
    near = np.argsort(np.abs(estimator.decision_function(more)), kind="stable")
    second = more[near[: n_samples - n_samples // 2]]
    chances = np.concatenate(
        [chances, _find_chances(trial, pd.DataFrame(second, columns=names), seed)]
    )
    points = np.vstack([first, second])
    safe = chances <= 1 - trial.share
    estimator = _fit(points, safe)
    decisions = estimator.decision_function(points)
    return SafeRegion(
        estimator=estimator,
        inputs=tuple(names),
        lower=lower,
        upper=upper,
        margin=max(0.0, -float(decisions[~safe].min(initial=0.0))),
        points=pd.DataFrame(points, columns=names).assign(safe=safe, chance=chances),
    )


def _power_of_two(n: int) -> int:
    return 1 << max(n - 1, 1).bit_length()


def _fit(points: Array, safe: NDArray[np.bool_]) -> Any:
    if safe.all() or not safe.any():
        found = "every" if safe.all() else "no"
        hint = "the limit binds nowhere" if safe.all() else "widen the ranges or lower the share"
        message = f"{found} sampled point is safe, so there is no edge to learn: {hint}"
        raise InvalidConditionsError(message)
    estimator = make_pipeline(MinMaxScaler(), SVC(C=1_000.0, gamma=4.0))
    return estimator.fit(points, np.where(safe, -1, 1))


def _find_chances(trial: _Trial, points: pd.DataFrame, seed: int) -> Array:
    """Share of draws that exceed at each point; more draws where it is near what is allowed.

    All points get the same deviations, so that the chance changes smoothly from one to the next.
    """
    rng = np.random.default_rng((seed, 1))
    deviations = draw_deviations(trial.disturbances, _STAGES[-1], rng)
    counts, drawn = np.zeros(len(points)), np.zeros(len(points))
    open_rows = np.arange(len(points))
    done = 0
    for stage in _STAGES:
        here = deviations.iloc[done:stage]
        n_new = stage - done
        base = repeat_rows(trial.fixed, 1)
        table = pd.concat([base] * (len(open_rows) * n_new), ignore_index=True).assign(
            **{
                name: np.repeat(points[name].to_numpy()[open_rows], n_new)
                for name in points.columns
            }
        )
        repeated = pd.concat([here] * len(open_rows), ignore_index=True)
        above = exceeds(
            trial.simulate, disturb(table, repeated), limit=trial.limit, output=trial.output
        )
        counts[open_rows] += above.reshape(len(open_rows), n_new).sum(axis=1)
        drawn[open_rows] = done = stage
        # A point is settled once the share allowed lies outside a 99.9 % interval of its chance.
        allowed = 1 - trial.share
        settled = np.array(
            [
                upper_chance(int(counts[row]), stage, 0.999) < allowed
                or 1 - upper_chance(stage - int(counts[row]), stage, 0.999) > allowed
                for row in open_rows
            ]
        )
        open_rows = open_rows[~settled]
        if not len(open_rows):
            break
    return counts / drawn


def _choose_point(
    trial: _Trial, region: SafeRegion, prefer: Callable[[pd.DataFrame], Any] | None, seed: int
) -> SafePoint:
    """Try the preferred point; one that fails moves inward."""
    sampler = qmc.Sobol(len(region.inputs), rng=np.random.default_rng((seed, 2)))
    values = qmc.scale(sampler.random(_CANDIDATES), region.lower, region.upper)
    candidates = pd.DataFrame(values, columns=list(region.inputs))
    decisions = region.decision(candidates)
    table = pd.concat([repeat_rows(trial.fixed, len(candidates)), candidates], axis=1)
    scores = -decisions if prefer is None else np.asarray(prefer(table), dtype=float)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    # The learned edge, without the margin: here a point has to pass a test of its own.
    inside = (decisions <= 0) & np.isfinite(scores)
    if not inside.any():
        message = "no point that is learned to be safe is allowed by `prefer`: relax one of them"
        raise InvalidConditionsError(message)
    reserve = _with_reserve(largest_count(trial.share, trial.confidence, trial.n_draws))
    deepest = -float(decisions[inside].min())
    step = max(deepest / _MOST_TRIES, 1e-12)
    level, tried, certificate = 0.0, 0, None
    while inside.any():
        best = int(np.argmax(np.where(inside, scores, -np.inf)))
        point = {name: float(table[name].iloc[best]) for name in table.columns}
        rng = np.random.default_rng((seed, 3, tried))
        count = count_exceeding(
            trial.simulate,
            point,
            trial.disturbances,
            limit=trial.limit,
            n_draws=trial.n_draws,
            output=trial.output,
            rng=rng,
        )
        if count <= reserve:
            certificate = replace(_certify(trial, point, seed, tried), n_tried=tried)
            if certificate.holds:
                return SafePoint(region, point, certificate)
        tried += 1
        level = max(level, -float(decisions[best])) + step
        inside &= decisions <= -level
    if certificate is None:
        certificate = replace(_certify(trial, point, seed, tried), n_tried=tried)
    return SafePoint(region, None, certificate)


def _certify(trial: _Trial, point: Mapping[str, float], seed: int, tried: int) -> Certificate:
    return certify_point(
        trial.simulate,
        point,
        trial.disturbances,
        limit=trial.limit,
        share=trial.share,
        confidence=trial.confidence,
        n_draws=trial.n_draws,
        output=trial.output,
        seed=int(np.random.SeedSequence((seed, 4, tried)).generate_state(1)[0]),
    )


def _with_reserve(most: int) -> int:
    """Most draws that may exceed in a trial so that a later count stays at `most` or below.

    Two counts of the same chance differ by less than 3 standard deviations, each of the root of
    the count, in all but one of a thousand repetitions.
    """
    count = most
    while count > 0 and count + 3 * np.sqrt(2 * count) > most:
        count -= 1
    return count
