"""Is the chance of exceeding a limit at an operating point small enough: judged on fresh draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from reactor_yield.arguments import (
    COUNT,
    FUNCTION,
    NUMBER,
    SHARE,
    TEXT,
    WHOLE,
    by_name,
    check_arguments,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.targets.disturbances import (
    DISTURBANCES,
    Disturbances,
    disturb,
    draw_deviations,
    repeat_rows,
)

Array = NDArray[np.float64]

Simulate: TypeAlias = Callable[[pd.DataFrame], Any]
"""Returns, for n rows of conditions, the quantity that is limited, (n,), or a table with it."""

_CHUNK = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What fresh draws say about one operating point.

    Attributes
    ----------
    n_draws, n_exceeded
        Draws of the disturbances, and those above the limit; a draw that could not be simulated
        counts as above.
    upper_limit
        One-sided upper confidence limit of the chance of exceeding.
    share
        Least share of draws that must stay below.
    confidence
        Of the limit.
    seed
        Of the draws.
    n_tried
        Points that failed a test before this one; each of them moved the point inward.
    """

    n_draws: int
    n_exceeded: int
    upper_limit: float
    share: float
    confidence: float
    seed: int
    n_tried: int = 0

    @property
    def share_exceeded(self) -> float:
        """Share of the draws above the limit."""
        return self.n_exceeded / self.n_draws

    @property
    def holds(self) -> bool:
        """Whether the chance of exceeding is small enough, at this confidence."""
        return self.upper_limit <= 1 - self.share


def certify_point(
    simulate: Simulate,
    conditions: Mapping[str, float],
    disturbances: Disturbances | None,
    *,
    limit: float,
    share: float = 0.99,
    confidence: float = 0.95,
    n_draws: int = 10_000,
    output: str = "T_max",
    seed: int = 0,
) -> Certificate:
    """Simulate an operating point under its disturbances and bound the chance of exceeding.

    Parameters
    ----------
    simulate
        Of (n, ...) conditions; returns n numbers, or a table with the column `output`.
    conditions
        What is set, by name.
    disturbances
        See `reactor_yield.targets.disturbances`; a handle that is named there varies too.
    limit
        Of the simulated quantity, in its unit; a value above exceeds.
    share
        Least share of draws that must stay below.
    confidence
        Of the one-sided limit of the chance.
    n_draws
        With 10,000, a share of 0.99 and a confidence of 0.95, 83 may exceed.
    output
        Column of the simulation's table.
    seed
        Of the draws; they must not be those the point was chosen by.

    References
    ----------
    Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.
    """
    check_arguments(
        simulate=(simulate, FUNCTION),
        conditions=(conditions, by_name(NUMBER)),
        disturbances=(disturbances, DISTURBANCES),
        limit=(limit, NUMBER),
        share=(share, SHARE),
        confidence=(confidence, SHARE),
        n_draws=(n_draws, COUNT),
        output=(output, TEXT),
        seed=(seed, WHOLE),
    )
    check_chances(share, confidence, n_draws)
    rng = np.random.default_rng(seed)
    exceeded = count_exceeding(
        simulate, conditions, disturbances, limit=limit, n_draws=n_draws, output=output, rng=rng
    )
    return Certificate(
        n_draws=n_draws,
        n_exceeded=exceeded,
        upper_limit=upper_chance(exceeded, n_draws, confidence),
        share=share,
        confidence=confidence,
        seed=seed,
    )


def count_exceeding(
    simulate: Simulate,
    conditions: Mapping[str, float],
    disturbances: Disturbances | None,
    *,
    limit: float,
    n_draws: int,
    output: str,
    rng: np.random.Generator,
) -> int:
    """Count draws above the limit at one point."""
    exceeded = 0
    for first in range(0, n_draws, _CHUNK):
        n_rows = min(_CHUNK, n_draws - first)
        deviations = draw_deviations(disturbances, n_rows, rng)
        table = disturb(repeat_rows(conditions, n_rows), deviations)
        exceeded += int(exceeds(simulate, table, limit=limit, output=output).sum())
    return exceeded


def exceeds(
    simulate: Simulate, table: pd.DataFrame, *, limit: float, output: str
) -> NDArray[np.bool_]:
    """Where the simulated quantity is above the limit or could not be found, (n,)."""
    found = simulate(table)
    if isinstance(found, pd.DataFrame):
        if output not in found.columns:
            message = f"the simulation returns no column {output!r}; found {list(found.columns)}"
            raise InvalidConditionsError(message)
        found = found[output]
    values = np.asarray(found, dtype=float)
    if values.shape != (len(table),):
        message = f"the simulation returns shape {values.shape} for {len(table)} rows"
        raise InvalidConditionsError(message)
    return np.asarray(~(values <= limit))  # NaN exceeds


def upper_chance(n_exceeded: int, n_draws: int, confidence: float) -> float:
    """One-sided upper limit of a chance from a count (Clopper & Pearson 1934)."""
    if n_exceeded >= n_draws:
        return 1.0
    return float(beta.ppf(confidence, n_exceeded + 1, n_draws - n_exceeded))


def largest_count(share: float, confidence: float, n_draws: int) -> int:
    """Most draws that may exceed so that the certificate holds; -1 where even none is too many."""
    low, high = -1, n_draws
    while high - low > 1:
        middle = (low + high) // 2
        if upper_chance(middle, n_draws, confidence) <= 1 - share:
            low = middle
        else:
            high = middle
    return low


def check_chances(share: float, confidence: float, n_draws: int) -> None:
    """Refuse a share, confidence or number of draws that can certify nothing."""
    problems = [
        f"{name} must be between 0 and 1, got {value!r}"
        for name, value in (("share", share), ("confidence", confidence))
        if not 0 < value < 1
    ]
    if not problems and (n_draws < 1 or largest_count(share, confidence, n_draws) < 0):
        problems.append(
            f"{n_draws} draws cannot show a share of {share:g} at a confidence of {confidence:g} "
            "even if none exceeds; ask for more draws"
        )
    if problems:
        raise InvalidConditionsError(*problems)
