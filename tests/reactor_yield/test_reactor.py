"""The batched simulation against SciPy, against hand-made limits, and on bad rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scalar_reactor import BASE_CASE, simulate_row

from reactor_yield import (
    Kinetics,
    Reaction,
    generate_dataset,
    simulate_profiles,
    simulate_reactor,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.integrator import integrate
from reactor_yield.simulation.tube import REFERENCE

OUTLETS = list(REFERENCE.outlet_columns)


def test_base_case_matches_the_published_figures():
    row = simulate_reactor(BASE_CASE, frozen=True, rtol=1e-3, atol=1e-6).iloc[0]
    assert row[OUTLETS].to_list() == pytest.approx([0.048, 0.829, 4.036, 0.550], abs=6e-4)
    assert row["Xa"] == pytest.approx(0.99, abs=5e-3)
    assert row["Yc"] == pytest.approx(0.815, abs=5e-4)
    assert row["T_max"] == pytest.approx(655.25, abs=5e-3)


@pytest.mark.parametrize("frozen", [False, True])
def test_agrees_with_scipy_at_tight_tolerance(data, frozen):
    picked = data.iloc[np.random.default_rng(1).choice(len(data), 40, replace=False)]
    found = simulate_reactor(picked, frozen=frozen)
    if not frozen:
        assert (found["status"] == "runaway").any()
        assert (found["status"] == "ok").any()
    for label, row in picked.iterrows():
        state, peak = simulate_row(row, frozen=frozen)
        np.testing.assert_allclose(found.loc[label, OUTLETS].astype(float), state[:4], atol=1e-6)
        assert found.loc[label, "T_max"] == pytest.approx(peak, abs=1e-3)


def test_hot_spot_lies_above_the_grid(data):
    assert (data["T_max"] >= data["T_max_grid"] - 1e-9).all()
    assert (data["T_max"] - data["T_max_grid"]).mean() > 100


def test_a_row_does_not_depend_on_its_batch(data):
    whole = simulate_reactor(data.iloc[:3000])
    alone = simulate_reactor(data.iloc[[2700]])
    for column in (*OUTLETS, "T_max", "Yc"):
        assert alone[column].iloc[0] == pytest.approx(whole[column].iloc[2700], rel=1e-12)


def test_balances_hold(data):
    made = data["Fc_out"] + data["Fd_out"]
    np.testing.assert_allclose((data["Fbo"] - data["Fb_out"]) / 2, made, atol=1e-9)
    spent = data["Fao"] - data["Fa_out"]
    np.testing.assert_allclose(spent, made + 2 / 3 * data["Fd_out"], atol=1e-9)
    assert REFERENCE.invariants().shape == (2, 4)


def test_energy_is_balanced_along_the_reactor():
    """With constant Cp: heat released = heat to the coolant + what the flow's enthalpy took up.

    The gas's enthalpy flow changes by sum(F Cp) dT alone in this model (reaction enthalpies are
    constants), so the balance is integrated along the profile.
    """
    profile = simulate_profiles(BASE_CASE, n_positions=4001).loc[0]
    capacity = profile[["Fa", "Fb", "Fc", "Fd"]].to_numpy() @ [10, 12, 14, 16]
    taken_up = np.trapezoid(capacity, profile["T"])
    to_coolant = 10 * 18.02 * (profile["Ta"].iloc[-1] - profile["Ta"].iloc[0])
    second = profile["Fd"].iloc[-1]
    first = profile["Fc"].iloc[-1] + second
    released = 20_000 * first + 16_000 / 3 * second
    assert released == pytest.approx(taken_up + to_coolant, rel=1e-4)


def test_profiles_are_indexed_by_row_and_position():
    table = pd.DataFrame([BASE_CASE, BASE_CASE | {"m": -1.0}], index=["good", "bad"])
    profile = simulate_profiles(table, n_positions=11)
    assert profile.index.names == ["row", "V"]
    assert set(profile.index.get_level_values("row")) == {"good"}
    assert list(profile.columns) == ["Fa", "Fb", "Fc", "Fd", "T", "Ta"]
    outlet = simulate_reactor(table).loc["good", OUTLETS].astype(float)
    last = profile.loc[("good", 20.0), ["Fa", "Fb", "Fc", "Fd"]]
    np.testing.assert_allclose(last, outlet, rtol=1e-9)


def test_bad_rows_are_marked_and_do_not_lose_the_others():
    rows = [
        BASE_CASE,
        BASE_CASE | {"m": 0.0},
        BASE_CASE | {"To": np.nan, "P": -1.0},
        BASE_CASE | {"Ta": "hot"},
        BASE_CASE | {"Fbo": 0.0},
        BASE_CASE | {"Ta": 360.0, "m": 3.0},
        BASE_CASE | {"Fao": 0.0},
    ]
    found = simulate_reactor(pd.DataFrame(rows, index=list("abcdefg")))
    assert found["status"].to_list() == [
        "ok",
        "invalid",
        "invalid",
        "invalid",
        "no_reaction",
        "runaway",
        "invalid",
    ]
    assert found.loc["a", "reason"] == ""
    assert found.loc["b", "reason"] == "m is 0, must be above 0"
    assert found.loc["c", "reason"] == "P is -1, must be above 0; To is not a finite number"
    assert found.loc["d", "reason"] == "Ta is not a finite number"
    assert found.loc["e", "reason"] == "no A is spent"
    assert "is above 750 K" in found.loc["f", "reason"]
    assert found.loc[["a", "f"]].notna().all(axis=None)
    assert found.loc["e", ["T_max", "Fa_out", "Xa"]].notna().all()


def test_all_rows_invalid_or_no_rows_at_all():
    assert simulate_reactor(BASE_CASE | {"m": -1.0})["status"].to_list() == ["invalid"]
    assert simulate_reactor(pd.DataFrame([BASE_CASE]).iloc[:0]).empty


def test_extreme_conditions_end_marked_not_raised():
    rng = np.random.default_rng(3)
    scale = 10.0 ** rng.uniform(-3, 3, (30, 6))
    table = pd.DataFrame(scale * list(BASE_CASE.values()), columns=list(BASE_CASE))
    found = simulate_reactor(table)
    solved = found["status"].isin(["ok", "runaway"])
    assert found.loc[solved].notna().all(axis=None)
    assert (found.loc[~solved, "reason"] != "").all()
    assert found.loc[solved, "Yc"].between(-1e-6, 1 + 1e-6).all()


def test_missing_columns_are_named():
    with pytest.raises(InvalidConditionsError, match=r"lack the columns \['P', 'Ta'\]"):
        simulate_reactor(pd.DataFrame([BASE_CASE]).drop(columns=["P", "Ta"]))
    with pytest.raises(InvalidConditionsError, match="conditions: expected a table"):
        simulate_reactor([1, 2])


def test_another_reactor_is_described_by_data():
    """X -> Y isothermal (no heat, no exchange), first order: F_X = F_X0 exp(-k C_T0 V / F_T0)."""
    kinetics = Kinetics(
        heat_capacities={"X": 10.0, "Y": 10.0, "N2": 7.0},
        reactions=(
            Reaction(
                name="X -> Y",
                rate_constant=0.3,
                reference_temperature=400.0,
                activation_energy=9000.0,
                orders={"X": 1},
                stoichiometry={"X": -1, "Y": 1},
                heat=0.0,
            ),
        ),
        feeds=("X", "N2"),
        key_reactant="X",
        product="Y",
        volume=50.0,
        heat_transfer=0.0,
        coolant_heat_capacity=18.0,
        critical_temperature=1000.0,
    )
    table = {"Fxo": 2.0, "Fn2o": 1.0, "P": 3.28, "To": 400.0, "m": 1.0, "Ta": 300.0}
    row = simulate_reactor(table, kinetics).iloc[0]
    left = 2.0 * np.exp(-0.3 * 0.1 * 50 / 3.0)
    assert row["Fx_out"] == pytest.approx(left, rel=1e-8)
    assert row["Fy_out"] == pytest.approx(2.0 - left, rel=1e-8)
    assert row["Xx"] == pytest.approx(1 - left / 2, rel=1e-8)
    assert row["Yy"] == pytest.approx(1.0)
    assert row["T_max"] == 400.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume": 0.0}, "volume must be a positive number, got 0.0"),
        ({"key_reactant": "C"}, "key_reactant 'C' is not among the feeds"),
        ({"feeds": ("A", "E")}, "feeds: 'E' has no heat capacity"),
        ({"heat_transfer": -1.0}, "heat_transfer must not be negative"),
        ({"reactions": ()}, "reactions: expected a list of Reaction, one at least"),
    ],
)
def test_kinetics_refuse_nonsense(change, message):
    given = {f: getattr(REFERENCE, f) for f in Kinetics.__slots__ if f != "species"}
    with pytest.raises(InvalidConditionsError, match=message):
        Kinetics(**(given | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate_constant": -1.0}, "rate_constant must be a positive number"),
        ({"orders": {"A": 1}}, "spends 'B' but its rate does not depend on it"),
        ({"orders": {"A": -1, "B": 1}}, "order -1 of 'A' must not be negative"),
        ({"activation_energy": float("nan")}, "activation_energy: expected a finite number"),
    ],
)
def test_reactions_refuse_nonsense(change, message):
    first = REFERENCE.reactions[0]
    given = {f: getattr(first, f) for f in Reaction.__slots__}
    with pytest.raises(InvalidConditionsError, match=message):
        Reaction(**(given | change))


def test_integrator_finds_a_peak_and_gives_up_on_a_singularity():
    """y' = cos(x) peaks at sin(pi/2) = 1; y' = y^2 from 1 has no solution beyond x = 1."""
    state = np.array([[0.0], [0.0]])
    found = integrate(
        lambda y, p: np.vstack([np.cos(y[1]), np.ones_like(y[1])]),
        state,
        np.zeros((1, 1)),
        length=3.0,
        watch=0,
        positions=np.array([0.0, 0.5, 3.0]),
    )
    assert found.peak[0] == pytest.approx(1.0, abs=1e-8)
    assert found.peak_position[0] == pytest.approx(np.pi / 2, abs=1e-4)
    np.testing.assert_allclose(found.samples[:, 0, 0], np.sin([0.0, 0.5, 3.0]), atol=1e-7)

    found = integrate(
        lambda y, p: y**2, np.array([[1.0, 0.1]]), np.zeros((1, 2)), length=3.0, watch=0
    )
    assert found.failed.tolist() == [True, False]
    assert np.isnan(found.final[0, 0])
    assert found.final[0, 1] == pytest.approx(1 / (10 - 3), rel=1e-7)


def test_a_failed_row_is_marked():
    """An absurd activation energy makes the front thinner than any step."""
    first, second = REFERENCE.reactions
    given = {f: getattr(first, f) for f in Reaction.__slots__}
    absurd = Reaction(**(given | {"activation_energy": 4e6}))
    kinetics_given = {f: getattr(REFERENCE, f) for f in Kinetics.__slots__ if f != "species"}
    kinetics = Kinetics(**(kinetics_given | {"reactions": (absurd, second)}))
    found = simulate_reactor(pd.DataFrame([BASE_CASE | {"To": 310.0}]), kinetics)
    assert found["status"].iloc[0] == "failed"
    assert "integration" in found["reason"].iloc[0]


def test_simulation_is_quick_enough_for_ten_thousand_rows():
    """No timing here, only that one call covers the data set's size and loses no row."""
    assert generate_dataset(10_000, seed=3)["status"].isin(["ok", "runaway"]).all()
