"""Safe points and campaign totals, against chances that are known exactly and the simulator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from reactor_yield import (
    MODE_1,
    certify_point,
    fit_yield_model,
    recipe_from_yield,
    safe_region,
    simulate_campaigns,
    simulate_reactor,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.targets.certificate import largest_count, upper_chance


def hot_spot(table: pd.DataFrame) -> np.ndarray:
    """Linear, so that the chance is known: x + y + the deviation of z, limit 10."""
    return (table["x"] + table["y"] + table["z"]).to_numpy()


CONDITIONS = {"x": (0.0, 10.0), "y": (0.0, 10.0), "z": 0.0}


def test_upper_limit_is_clopper_and_pearson():
    assert largest_count(0.99, 0.95, 10_000) == 83
    for count in (0, 3, 83):
        limit = upper_chance(count, 10_000, 0.95)
        assert binom.cdf(count, 10_000, limit) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("vary", [False, True])
def test_the_point_is_on_the_safe_side_of_the_exact_edge(vary):
    spread = {"z": 1.0} | ({"x": 0.5} if vary else {})
    sd = float(np.hypot(1.0, 0.5)) if vary else 1.0
    region, point, certificate = safe_region(
        hot_spot, CONDITIONS, spread, limit=10.0, prefer=lambda t: t["x"] + t["y"], seed=1
    )
    assert certificate.holds
    total = point["x"] + point["y"]
    assert norm.sf((10 - total) / sd) < 0.0083
    # Not farther inside than the reserve asks for.
    assert total > 10 - sd * norm.isf(0.0015)
    again = [
        certify_point(hot_spot, point, spread, limit=10.0, seed=100 + k).n_exceeded
        for k in range(10)
    ]
    assert max(again) <= 83
    grid = pd.DataFrame({"x": [1.0, 9.0], "y": [1.0, 9.0]})
    assert region.contains(grid).tolist() == [True, False]


def test_own_deviations_and_failures_count():
    seen = pd.DataFrame({"z": [0.0] * 99 + [100.0]})
    point = {"x": 1.0, "y": 1.0, "z": 0.0}
    found = certify_point(hot_spot, point, seen, limit=10.0, n_draws=20_000)
    assert found.share_exceeded == pytest.approx(0.01, abs=0.003)
    assert not found.holds
    nothing = certify_point(lambda t: np.full(len(t), np.nan), point, None, limit=10.0)
    assert nothing.n_exceeded == nothing.n_draws


def test_impossible_questions_are_refused():
    with pytest.raises(InvalidConditionsError, match="no sampled point is safe"):
        safe_region(hot_spot, CONDITIONS, {"z": 1.0}, limit=-50.0)
    with pytest.raises(InvalidConditionsError, match="every sampled point is safe"):
        safe_region(hot_spot, CONDITIONS, {"z": 1.0}, limit=500.0)
    with pytest.raises(InvalidConditionsError, match="nothing is to choose"):
        safe_region(hot_spot, {"x": 1.0}, None, limit=1.0)
    with pytest.raises(InvalidConditionsError, match="100 draws cannot show"):
        certify_point(hot_spot, {"x": 1.0}, None, limit=1.0, n_draws=100)
    with pytest.raises(InvalidConditionsError, match=r"disturbances of \['q'\]"):
        certify_point(hot_spot, {"x": 1.0}, {"q": 1.0}, limit=1.0)


@pytest.fixture(scope="module")
def models(data):
    mode_1 = data[data["Mode"] == 1].iloc[::2]
    return {c: fit_yield_model(mode_1, model="gp", target=c, n_points=1_500) for c in ("Yc", "Xa")}


@pytest.mark.long
@pytest.mark.parametrize("n_batches", [1, 4])
def test_promises_of_campaigns_are_met_as_often_as_said(models, n_batches):
    """The reference reactor: Ta and To shared by a campaign, the rest each batch's own."""
    spread = MODE_1.spread()
    shared = {c: spread.pop(c) for c in ("Ta", "To")}
    conditions = dict(MODE_1.mean) | {"m": 13.4, "P": 4.76}
    recipe = recipe_from_yield(
        models["Yc"],
        conditions,
        conversion=models["Xa"],
        disturbances=spread,
        shared=shared,
        n_batches=n_batches,
        max_batch=90.0,
        throughput=18.0,
    )

    def make(table):
        found = simulate_reactor(table, rtol=1e-6, atol=1e-8)
        return found["Yc"] * found["Xa"]

    made = simulate_campaigns(
        make, conditions, n_batches=n_batches, disturbances=spread, shared=shared, n_campaigns=5_000
    )
    # Of 5,000 campaigns and 4,000 draws the share is uncertain by 0.006.
    assert 0.87 <= recipe.chance(made.sum(axis=1)) <= 0.93
    assert 0.87 <= (made >= recipe.fractions["lower_batch"]).mean() <= 0.93
    assert recipe.chance(made.sum(axis=1), "mean") < 0.7


@pytest.mark.parametrize("n_batches", [1, 12])
def test_shared_and_independent_errors_are_kept_apart(n_batches):
    """Lots shift the yield, batches scatter: a campaign is one lot, all of it hand-made."""
    rng = np.random.default_rng(0)
    lot = np.repeat(np.arange(60), 15)
    table = pd.DataFrame({"T": rng.normal(80, 2, 900), "lot": lot})
    shift, scatter = 2.0, 1.5
    table["y"] = 70 + (table["T"] - 80) + shift * rng.standard_normal(60)[lot]
    table["y"] += scatter * rng.standard_normal(900)
    model = fit_yield_model(
        table, model="ridge", features=("T",), target="y", groups="lot", limits=(0.0, 100.0)
    )
    assert model.error_split.shared == pytest.approx(shift, rel=0.3)
    assert model.error_split.independent == pytest.approx(scatter, rel=0.1)
    recipe = recipe_from_yield(
        model, {"T": 80.0}, n_batches=n_batches, max_batch=10.0, fixed_time=4.0, n_draws=20_000
    )
    sd = np.sqrt(model.error_split.shared**2 + model.error_split.independent**2 / n_batches)
    exact = model.expect(pd.DataFrame({"T": [80.0]})).iloc[0] - norm.ppf(0.9) * sd
    assert recipe.fractions["lower"] == pytest.approx(exact / 100, abs=1e-3)
    entry = recipe.tasks["lower"]["React"]
    assert sum(entry["produces"].values()) == pytest.approx(1.0, abs=1e-12)
    assert entry["units"]["Reactor"] == {"max_batch": 10.0, "fixed_time": 4.0}


@pytest.mark.long
def test_recipes_that_lose_mass_are_refused(models):
    with pytest.raises(InvalidConditionsError, match="mass in must be mass out"):
        recipe_from_yield(
            models["Yc"],
            dict(MODE_1.mean),
            outlet=lambda y, x: {"Product": y},
            max_batch=1.0,
            fixed_time=1.0,
        )
    with pytest.raises(InvalidConditionsError, match="throughput or a fixed_time"):
        recipe_from_yield(models["Yc"], dict(MODE_1.mean), max_batch=1.0)


def test_energy_becomes_what_the_unit_draws():
    """By hand: 0.5 kWh per kg of 40 kg is 20 kWh, over 4 h, over 8 h, or over both."""
    table = pd.DataFrame({"T": np.linspace(70, 90, 80)})
    table["y"] = table["T"] / 100
    model = fit_yield_model(table, model="ridge", features=("T",), target="y", limits=(0.0, 1.0))

    def unit(**times):
        recipe = recipe_from_yield(
            model, {"T": 80.0}, max_batch=40.0, energy={"power": 0.5}, n_draws=50, **times
        )
        return recipe.tasks["mean"]["React"]["units"]["Reactor"]

    assert unit(fixed_time=4.0)["draws_per_amount"] == {"power": pytest.approx(20 / 4 / 40)}
    assert unit(throughput=5.0)["draws"] == {"power": pytest.approx(20 / 8)}
    assert unit(throughput=5.0, fixed_time=4.0)["draws"] == {"power": pytest.approx(20 / 12)}
    with pytest.raises(InvalidConditionsError, match="energy of 'power' must be a number from 0"):
        recipe_from_yield(
            model, {"T": 80.0}, max_batch=40.0, fixed_time=1.0, energy={"power": -1.0}
        )
