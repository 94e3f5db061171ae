"""From a yield model to the tasks of a plant file: what a campaign of batches can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reactor_yield.arguments import (
    ANYTHING,
    COUNT,
    FUNCTION,
    NUMBER,
    SHARE,
    TEXT,
    WHOLE,
    Kind,
    a,
    by_name,
    check_arguments,
    either,
    one_of,
    optional,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.targets.disturbances import DISTURBANCES, disturb, draw_deviations, repeat_rows
from reactor_yield.yield_model import YieldModel

if TYPE_CHECKING:
    import pandas as pd

    from reactor_yield.targets.disturbances import Disturbances

Array = NDArray[np.float64]

Outlet: TypeAlias = Callable[[Array, Array], Mapping[str, Any]]
"""Fractions of a batch that become each state, from yields and conversions, all (n,)."""

_BAND = 0.05


_TOTALS = Kind(
    "an array of numbers, one at least",
    lambda value: isinstance(value, np.ndarray) and value.size > 0 and value.dtype.kind in "iuf",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Task entries of a plant file, at the mean and at what can be relied on.

    Attributes
    ----------
    tasks
        `"mean"` and `"lower"`: each a mapping of the task's name to its entry in a plant file, with
        fractions that sum to 1. With `"lower"` a campaign of `n_batches` makes what the schedule
        counts on with the probability `coverage`.
    product
        State that is the product.
    fractions
        Product per amount of batch: `mean`, `lower` (the campaign's quantile over its batches) and
        `lower_batch` (the quantile of a single batch).
    coverage, n_batches
        As asked.
    campaigns : (s, n_batches) array
        Product per amount of batch in the simulated campaigns.
    mean_met
        Share of these campaigns whose total reaches what the mean promises.
    """

    tasks: Mapping[str, Mapping[str, Any]]
    product: str
    fractions: Mapping[str, float]
    coverage: float
    n_batches: int
    campaigns: Array
    mean_met: float

    def chance(self, totals: Array, which: str = "lower") -> float:
        """Share of campaigns whose total reaches the promise.

        Parameters
        ----------
        totals : (s,) array
            Product per amount of batch, summed over `n_batches`, such as from
            `simulate_campaigns`.
        which
            Whose promise: `"lower"` or `"mean"`.
        """
        check_arguments(totals=(totals, _TOTALS), which=(which, one_of(self.fractions)))
        return float(np.mean(totals >= self.n_batches * self.fractions[which] - 1e-12))


#: What fits each argument of `recipe_from_yield`.
_FITS: dict[str, Kind | type] = {
    "model": YieldModel,
    "conditions": by_name(ANYTHING),
    "coverage": SHARE,
    "n_batches": COUNT,
    "conversion": either(NUMBER, a(YieldModel)),
    "disturbances": DISTURBANCES,
    "shared": DISTURBANCES,
    "outlet": optional(FUNCTION),
    "product": TEXT,
    "task": TEXT,
    "consumes": optional(by_name(NUMBER)),
    "unit": TEXT,
    "max_batch": NUMBER,
    "min_batch": NUMBER,
    "throughput": optional(NUMBER),
    "fixed_time": NUMBER,
    "energy": optional(by_name(NUMBER)),
    "n_draws": COUNT,
    "seed": WHOLE,
}


def recipe_from_yield(
    model: YieldModel,
    conditions: Mapping[str, Any],
    *,
    coverage: float = 0.9,
    n_batches: int = 1,
    conversion: YieldModel | float = 1.0,
    disturbances: Disturbances | None = None,
    shared: Disturbances | None = None,
    outlet: Outlet | None = None,
    product: str = "Product",
    task: str = "React",
    consumes: Mapping[str, float] | None = None,
    unit: str = "Reactor",
    max_batch: float,
    min_batch: float = 0.0,
    throughput: float | None = None,
    fixed_time: float = 0.0,
    energy: Mapping[str, float] | None = None,
    n_draws: int = 4_000,
    seed: int = 0,
) -> Recipe:
    """Turn predicted yield and conversion into a task whose output a plan can count on.

    Campaigns are drawn: what their batches share (deviations in `shared`, the shared part of the
    model's error) once per campaign, what is each batch's own once per batch. The lower recipe has
    the quantile of the campaign's total; errors that are shared do not average out in it.

    Parameters
    ----------
    model
        Of the yield; as a share, or with limits such as (0, 100), as that share.
    conditions
        What is set, by name of the model's features.
    coverage
        Probability with which a campaign makes at least what the lower recipe says.
    n_batches
        Of the campaign.
    conversion
        Model of the conversion, or a number.
    disturbances
        How conditions vary from batch to batch (`reactor_yield.targets.disturbances`).
    shared
        How conditions vary from campaign to campaign: a lot, a season.
    outlet
        Fractions of a batch that become each state, from yield and conversion; by default the
        product is yield times conversion, and the rest is `Residue`.
    product
        State whose total is promised.
    task, unit
        Names in the plant file.
    consumes
        Fractions of what the task takes; by default `Feed` alone.
    max_batch, min_batch
        In the plant's unit of amount.
    throughput
        Amount per time of a reactor that is run through: the batch time is amount over throughput,
        beside `fixed_time`.
    fixed_time
        In the plant's unit of time.
    energy
        By utility, what an amount of batch takes in all: in the utility's unit times the plant's
        unit of time, such as kWh of cooling per kg for a utility in kW. It becomes the unit's
        `draws`, its mean over the batch time. With a throughput the draw is that of the largest
        batch, which no smaller one exceeds.
    n_draws
        Campaigns drawn.
    seed
        Of the draws.

    Raises
    ------
    InvalidConditionsError
        When the fractions do not sum to 1, the conditions cannot be predicted, or a number is not
        what it must be.
    """
    check_arguments(**{name: (value, _FITS[name]) for name, value in locals().items()})
    _check_numbers(coverage, n_batches, n_draws)
    settings = _unit_entry(max_batch, min_batch, throughput, fixed_time, energy or {})
    rng = np.random.default_rng(seed)
    table = _draw_conditions(conditions, disturbances, shared, n_draws, n_batches, rng)
    yields = _draw_target(model, table, (n_draws, n_batches), rng)
    converted = (
        np.full((n_draws, n_batches), float(conversion))
        if isinstance(conversion, int | float)
        else _draw_target(conversion, table, (n_draws, n_batches), rng)
    )
    made = (outlet or _default_outlet(product))(yields.ravel(), converted.ravel())
    fractions = {
        state: np.broadcast_to(np.asarray(f, dtype=float), yields.size).reshape(yields.shape)
        for state, f in made.items()
    }
    _check_fractions(fractions, product)
    campaigns = fractions[product]
    means = campaigns.mean(axis=1)
    lower = float(np.quantile(means, 1 - coverage, method="lower"))
    expected = {state: float(f.mean()) for state, f in fractions.items()}
    entry = {
        "consumes": dict(consumes or {"Feed": 1.0}),
        "units": {unit: settings},
    }
    lower_fractions = _compose(fractions, means, product, lower)
    return Recipe(
        tasks={
            "mean": {task: {**entry, "produces": _sum_to_one(expected)}},
            "lower": {task: {**entry, "produces": lower_fractions}},
        },
        product=product,
        fractions={
            "mean": expected[product],
            "lower": lower,
            "lower_batch": float(np.quantile(campaigns, 1 - coverage, method="lower")),
        },
        coverage=coverage,
        n_batches=n_batches,
        campaigns=campaigns,
        mean_met=float(np.mean(means >= expected[product])),
    )


def simulate_campaigns(
    make: Callable[[pd.DataFrame], Any],
    conditions: Mapping[str, Any],
    *,
    n_batches: int,
    disturbances: Disturbances | None = None,
    shared: Disturbances | None = None,
    n_campaigns: int = 10_000,
    seed: int = 1,
) -> Array:
    """Simulate campaigns and return the product of each batch, (n_campaigns, n_batches).

    Parameters
    ----------
    make
        Product per amount of batch for (n, ...) conditions, (n,): the simulator, not the model.
    conditions, disturbances, shared, n_batches
        As in `recipe_from_yield`.
    n_campaigns
        How many.
    seed
        Of the draws; another one than the recipe's.
    """
    check_arguments(
        make=(make, FUNCTION),
        conditions=(conditions, by_name(ANYTHING)),
        n_batches=(n_batches, COUNT),
        disturbances=(disturbances, DISTURBANCES),
        shared=(shared, DISTURBANCES),
        n_campaigns=(n_campaigns, COUNT),
        seed=(seed, WHOLE),
    )
    rng = np.random.default_rng(seed)
    table = _draw_conditions(conditions, disturbances, shared, n_campaigns, n_batches, rng)
    made = [
        np.asarray(make(table.iloc[first : first + 20_000]), dtype=float)
        for first in range(0, len(table), 20_000)
    ]
    return np.concatenate(made).reshape(n_campaigns, n_batches)


def _draw_conditions(
    conditions: Mapping[str, Any],
    disturbances: Disturbances | None,
    shared: Disturbances | None,
    n_campaigns: int,
    n_batches: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Conditions of each batch, campaign by campaign, (n_campaigns * n_batches, ...)."""
    n_rows = n_campaigns * n_batches
    common = draw_deviations(shared, n_campaigns, rng)
    common = common.iloc[np.repeat(np.arange(n_campaigns), n_batches)]
    table = disturb(repeat_rows(conditions, n_rows), common)
    return disturb(table, draw_deviations(disturbances, n_rows, rng))


def _draw_target(
    model: YieldModel, table: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> Array:
    """Predictions with drawn errors, as shares, (n_campaigns, n_batches)."""
    predicted = model.expect(table).to_numpy(dtype=float)
    if not np.isfinite(predicted).all():
        message = f"{model.target!r} cannot be predicted: the conditions have gaps that are refused"
        raise InvalidConditionsError(message)
    campaigns = min(shape[0], 1_000)
    split = model.split_error(table.iloc[: campaigns * shape[1]], shape[1])
    values = predicted.reshape(shape) + model.inflation * (
        split.shared * rng.standard_normal((shape[0], 1))
        + split.independent * rng.standard_normal(shape)
    )
    scale = model.limits[1] if np.isfinite(model.limits[1]) else 1.0
    return np.asarray(np.clip(values, *model.limits) / scale)


def _default_outlet(product: str) -> Outlet:
    def outlet(yields: Array, conversions: Array) -> Mapping[str, Array]:
        made = yields * conversions
        return {product: made, "Residue": 1 - made}

    return outlet


def _compose(fractions: Mapping[str, Array], means: Array, product: str, lower: float) -> dict:
    """Fractions of the campaigns around the quantile, with exactly the quantile of the product."""
    order = np.argsort(means, kind="stable")
    middle = int(np.searchsorted(means[order], lower))
    width = max(int(_BAND * len(means) / 2), 1)
    near = order[max(middle - width, 0) : middle + width + 1]
    others = {s: float(f[near].mean()) for s, f in fractions.items() if s != product}
    total = sum(others.values())
    if total <= 0:
        return {product: 1.0}
    scaled = {s: f * (1 - lower) / total for s, f in others.items()}
    return _sum_to_one({product: lower, **scaled})


def _sum_to_one(fractions: Mapping[str, float]) -> dict[str, float]:
    """Drop what is nothing and let the largest take the rounding error of the sum."""
    kept = {state: f for state, f in fractions.items() if f > 1e-12}
    largest = max(kept, key=lambda state: kept[state])
    kept[largest] += 1 - sum(kept.values())
    return kept


def _unit_entry(
    max_batch: float,
    min_batch: float,
    throughput: float | None,
    fixed_time: float,
    energy: Mapping[str, float],
) -> dict[str, Any]:
    """Entry of a unit in a plant file."""
    problems = []
    if not 0 <= min_batch <= max_batch or not max_batch > 0:
        problems.append(f"min_batch {min_batch!r} and max_batch {max_batch!r} are no range")
    if throughput is not None and not throughput > 0:
        problems.append(f"throughput must be above 0, got {throughput!r}")
    if not fixed_time >= 0 or (throughput is None and not fixed_time > 0):
        problems.append(f"a batch needs a throughput or a fixed_time above 0, got {fixed_time!r}")
    problems += [
        f"energy of {utility!r} must be a number from 0 on, got {amount!r}"
        for utility, amount in energy.items()
        if not (np.isfinite(amount) and amount >= 0)
    ]
    if problems:
        raise InvalidConditionsError(*problems)
    entry: dict[str, Any] = {"max_batch": float(max_batch), "fixed_time": float(fixed_time)}
    if min_batch:
        entry["min_batch"] = float(min_batch)
    if throughput is not None:
        entry["time_per_amount"] = 1.0 / throughput
    if energy and throughput is not None:
        # Amount over time grows with the batch: e B / (t + B / v), which is e v without t.
        longest = fixed_time + max_batch / throughput
        entry["draws"] = {u: float(e * max_batch / longest) for u, e in energy.items()}
    elif energy:
        entry["draws_per_amount"] = {u: float(e / fixed_time) for u, e in energy.items()}
    return entry


def _check_numbers(coverage: float, n_batches: int, n_draws: int) -> None:
    problems = []
    if not 0 < coverage < 1:
        problems.append(f"coverage must be between 0 and 1, got {coverage!r}")
    problems += [
        f"{name} must be a whole number from 1 on, got {value!r}"
        for name, value in (("n_batches", n_batches), ("n_draws", n_draws))
        if isinstance(value, bool) or int(value) != value or value < 1
    ]
    if problems:
        raise InvalidConditionsError(*problems)


def _check_fractions(fractions: Mapping[str, Array], product: str) -> None:
    if product not in fractions:
        message = f"outlet makes no {product!r}; it makes {list(fractions)}"
        raise InvalidConditionsError(message)
    total = np.sum(list(fractions.values()), axis=0)
    if not np.allclose(total, 1, atol=1e-6):
        worst = float(total.flat[np.argmax(np.abs(total - 1))])
        message = f"outlet: the fractions sum to {worst:g}, not to 1; mass in must be mass out"
        raise InvalidConditionsError(message)
