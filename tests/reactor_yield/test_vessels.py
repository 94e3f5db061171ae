"""Batch, stirred and stiff reactors and fitted kinetics, against formulas and scipy's Radau."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from reactor_yield import (
    MODE_1,
    Kinetics,
    Reaction,
    Vessel,
    fit_kinetics,
    generate_dataset,
    iterate_dataset,
    simulate_batch_reactor,
    simulate_reactor,
    simulate_stirred_tank,
    write_dataset,
)
from reactor_yield.errors import InvalidConditionsError

R = 1.987
FIRST = Reaction(
    name="A -> B",
    rate_constant=0.1,
    reference_temperature=350.0,
    activation_energy=24_000.0,
    orders={"A": 1},
    stoichiometry={"A": -1, "B": 1},
    heat=-20_000.0,
)
ISOTHERMAL = Vessel(thermal="isothermal")


def kinetics(*reactions: Reaction, **changes) -> Kinetics:
    species = {"A": 100.0, "B": 100.0}
    plain = {
        "heat_capacities": species,
        "reactions": reactions,
        "feeds": ("A",),
        "key_reactant": "A",
        "product": "B",
        "volume": 1.0,
        "heat_transfer": 0.0,
        "coolant_heat_capacity": 1.0,
        "critical_temperature": 900.0,
    }
    return Kinetics(**(plain | changes))


def rate_constant(temperature):
    return 0.1 * np.exp(24_000 / R * (1 / 350 - 1 / temperature))


def test_isothermal_batch_of_first_order():
    recipe = {"Na": 2.0, "V": 1.0, "To": 350.0, "time": 7.0}
    found = simulate_batch_reactor(recipe, kinetics(FIRST), ISOTHERMAL).iloc[0]
    assert found["Na_out"] == pytest.approx(2 * np.exp(-0.7), rel=1e-6)
    assert found["cooling"] == pytest.approx(40_000 * (1 - np.exp(-0.7)), rel=1e-6)
    assert found["heating"] == pytest.approx(0.0, abs=1e-6)


def test_adiabatic_batch_of_first_order():
    recipe = {"Na": 2.0, "V": 1.0, "To": 330.0, "time": 2.0}
    found = simulate_batch_reactor(
        recipe, kinetics(FIRST), Vessel(thermal="adiabatic", turnaround=3)
    )
    row = found.iloc[0]
    assert row["T_out"] == pytest.approx(330 + 200 * row["Xa"], rel=1e-6)
    time, _ = quad(lambda x: 1 / (rate_constant(330 + 200 * x) * (1 - x)), 0, row["Xa"])
    assert 0.01 < row["Xa"] < 0.95
    assert time == pytest.approx(2.0, rel=1e-6)
    assert row["batch_time"] == 5.0


def test_reversible_reaction_ends_in_equilibrium():
    reversible = replace(FIRST, equilibrium_constant=3.0)
    recipe = {"Na": 2.0, "V": 1.0, "To": 370.0, "time": 1e4}
    found = simulate_batch_reactor(recipe, kinetics(reversible), ISOTHERMAL).iloc[0]
    constant = 3.0 * np.exp(-20_000 / R * (1 / 350 - 1 / 370))
    assert found["Xa"] == pytest.approx(constant / (1 + constant), rel=1e-6)


def test_langmuir_hinshelwood_batch_and_ones_own_rate():
    """A spent at k c / (1 + K c): k t = ln(c0 / c) + K (c0 - c)."""
    hindered = replace(FIRST, adsorption={"A": (2.0, 0.0)})
    own = replace(FIRST, rate=lambda c, t: rate_constant(t) * c["A"] / (1 + 2 * c["A"]))
    for reaction in (hindered, own):
        recipe = {"Na": 2.0, "V": 1.0, "To": 350.0, "time": 9.0}
        c = simulate_batch_reactor(recipe, kinetics(reaction), ISOTHERMAL).iloc[0]["Na_out"]
        assert np.log(2 / c) + 2 * (2 - c) == pytest.approx(0.9, rel=1e-6)


def test_gas_batch_keeps_its_internal_energy():
    """A -> 2 B in a closed, insulated volume: sum N_i u_i at the end is that at the start."""
    splits = replace(FIRST, stoichiometry={"A": -1, "B": 2})
    mixed = kinetics(splits, heat_capacities={"A": 100.0, "B": 50.0})
    recipe = {"Na": 0.5, "V": 20.0, "To": 350.0, "time": 20.0}
    found = simulate_batch_reactor(recipe, mixed, Vessel(phase="gas", thermal="adiabatic")).iloc[0]
    spent = 0.5 * found["Xa"]
    # dU = -spent (dH - R T) at each T; Cp alike on both sides, so Cv falls by R per mole made.
    slope, _ = quad(lambda x: 1 / (0.5 * 100 - R * (0.5 + x)), 0, spent)
    rise = (350 + 20_000 / R) * np.exp(R * slope) - 20_000 / R
    assert found["T_out"] == pytest.approx(rise, rel=1e-6)
    pressure = (found["Na_out"] + found["Nb_out"]) * 0.082 * found["T_out"] / 20
    assert found["P_out"] == pytest.approx(pressure, rel=1e-9)


def test_semi_batches_are_those_of_radau():
    """Liquid, jacket, two reactions, one reversible and hindered; balances written again."""
    reactions = (
        Reaction(
            name="A + B -> C",
            rate_constant=0.5,
            reference_temperature=320.0,
            activation_energy=12_000.0,
            orders={"A": 1, "B": 1},
            stoichiometry={"A": -1, "B": -1, "C": 1},
            heat=-20_000.0,
            equilibrium_constant=50.0,
            adsorption={"C": (0.5, -3_000.0)},
            sites=2,
        ),
        Reaction(
            name="C + B -> D",
            rate_constant=0.05,
            reference_temperature=320.0,
            activation_energy=16_000.0,
            orders={"C": 1, "B": 1},
            stoichiometry={"C": -1, "B": -1, "D": 1},
            heat=-15_000.0,
        ),
    )
    cp = {"A": 25.0, "B": 20.0, "C": 45.0, "D": 65.0}
    plant = kinetics(*reactions, heat_capacities=cp, feeds=("A", "B"), product="C")
    rng = np.random.default_rng(0)
    n = 6
    table = pd.DataFrame(
        {
            "Na": rng.uniform(1, 20, n),
            "V": rng.uniform(5, 15, n),
            "To": rng.uniform(290, 360, n),
            "time": rng.uniform(20, 100, n),
            "Ta": rng.uniform(280, 360, n),
            "Fb": rng.uniform(0.1, 1, n),
            "vo": rng.uniform(0, 0.1, n),
            "Tf": rng.uniform(280, 330, n),
        }
    )
    vessel = Vessel(heat_transfer=30.0, inert_heat_capacity=1_000.0)
    found = simulate_batch_reactor(table, plant, vessel)
    assert (found["status"] == "ok").all()

    def slopes(_, y, row):
        a, b, c, d, volume, t = y
        concentration = np.array([a, b, c, d]) / volume
        k1 = 0.5 * np.exp(12_000 / R * (1 / 320 - 1 / t))
        equilibrium = 50 * np.exp(-20_000 / R * (1 / 320 - 1 / t))
        taken = 1 + 0.5 * np.exp(-3_000 / R * (1 / 320 - 1 / t)) * concentration[2]
        forward = concentration[0] * concentration[1] - concentration[2] / equilibrium
        r1 = k1 * forward / taken**2 * volume
        k2 = 0.05 * np.exp(16_000 / R * (1 / 320 - 1 / t))
        r2 = k2 * concentration[2] * concentration[1] * volume
        heat = 20_000 * r1 + 15_000 * r2 - 30 * (t - row.Ta) + row.Fb * 20 * (row.Tf - t)
        stored = 25 * a + 20 * b + 45 * c + 65 * d + 1_000
        return [-r1, row.Fb - r1 - r2, r1 - r2, r2, row.vo, heat / stored]

    for i, row in enumerate(table.itertuples()):
        start = [row.Na, 0, 0, 0, row.V, row.To]
        exact = solve_ivp(
            slopes, (0, row.time), start, method="Radau", rtol=1e-9, atol=1e-11, args=(row,)
        ).y[:, -1]
        ours = found.iloc[i][["Na_out", "Nb_out", "Nc_out", "Nd_out", "V_out", "T_out"]]
        np.testing.assert_allclose(ours.to_numpy(float), exact, rtol=1e-5, atol=1e-6)


def test_a_stirred_tank_has_all_its_steady_states():
    """Liquid, first order, adiabatic: X = k tau / (1 + k tau) and T = T_0 + 200 X."""
    one, three = 0, 0
    for inlet in (300.0, 315.0, 320.0, 325.0, 330.0):
        row = {"Fao": 1.0, "V": 5.0, "To": inlet, "vo": 1.0}
        found = simulate_stirred_tank(row, kinetics(FIRST))

        def gap(t, inlet=inlet):
            return 200 * 5 * rate_constant(t) / (1 + 5 * rate_constant(t)) - (t - inlet)

        grid = np.linspace(inlet - 1, inlet + 201, 4_001)
        signs = np.sign(gap(grid))
        exact = [
            brentq(gap, grid[i], grid[i + 1], xtol=1e-12)
            for i in np.flatnonzero(signs[1:] != signs[:-1])
        ]
        np.testing.assert_allclose(found["T"], exact, rtol=1e-6)
        one, three = one + (len(exact) == 1), three + (len(exact) == 3)
        if len(exact) == 3:
            assert found["stable"].tolist() == [True, False, True]
    assert one
    assert three


def test_gas_tank_is_where_its_balances_vanish():
    row = {"Fao": 2.0, "V": 50.0, "To": 360.0, "P": 2.0, "Ta": 350.0}
    vessel = Vessel(phase="gas", heat_transfer=10.0)
    found = simulate_stirred_tank(row, kinetics(FIRST), vessel)
    for state in found.itertuples():
        concentration = 2.0 / (0.082 * state.T) * state.Fa_out / (state.Fa_out + state.Fb_out)
        made = 50 * rate_constant(state.T) * concentration
        assert 2.0 - state.Fa_out == pytest.approx(made, rel=1e-6)
        heat = 20_000 * made - 200 * (state.T - 360) - 10 * (state.T - 350)
        assert heat == pytest.approx(0.0, abs=1e-4)


def test_pressure_drop_is_erguns():
    """No reaction to speak of and no heat: p^2 falls linearly, at 1 - alpha V."""
    idle = replace(FIRST, rate_constant=1e-9, activation_energy=0.0)
    packed = kinetics(idle, volume=20.0, pressure_drop=0.03)
    row = {"Fao": 1.0, "P": 5.0, "To": 350.0, "m": 1.0, "Ta": 350.0}
    found = simulate_reactor(row, packed).iloc[0]
    assert found["P_out"] == pytest.approx(5 * np.sqrt(1 - 0.03 * 20), rel=1e-6)
    used_up = simulate_reactor(row, replace(packed, pressure_drop=0.06)).iloc[0]
    assert used_up["status"] == "failed"
    assert "pressure is used up" in used_up["reason"]


def test_no_dangerous_row_ends_failed():
    rng = np.random.default_rng(5)
    names = ["Fao", "Fbo", "P", "To", "m", "Ta"]
    scale = 10.0 ** rng.uniform(-2, 2, (60, 6))
    found = simulate_reactor(pd.DataFrame(scale * [MODE_1.mean[c] for c in names], columns=names))
    assert not (found["status"] == "failed").any()
    assert (found["status"] == "runaway").sum() > 20


@pytest.mark.long
def test_fitted_constants_lie_in_their_region():
    second = replace(
        FIRST,
        name="B -> C",
        rate_constant=0.02,
        activation_energy=18_000.0,
        orders={"B": 1},
        stoichiometry={"B": -1, "C": 1},
    )
    first = replace(FIRST, rate_constant=0.05, activation_energy=12_000.0)
    true = kinetics(first, second, heat_capacities={"A": 30.0, "B": 30.0, "C": 30.0})
    table = pd.DataFrame(
        [
            {"Na": 1.0, "V": 1.0, "To": to, "time": time}
            for to in (335.0, 350.0, 365.0)
            for time in (5.0, 15.0, 30.0, 60.0)
        ]
    )

    def simulate(data, plant):
        return simulate_batch_reactor(data, plant, ISOTHERMAL, rtol=1e-6, atol=1e-9)

    exact = simulate(table, true)
    start = replace(
        true,
        reactions=tuple(replace(r, activation_energy=15_000.0) for r in true.reactions),
    )
    inside = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noisy = table.assign(
            Na_out=exact["Na_out"] + 0.01 * rng.standard_normal(12),
            Nb_out=exact["Nb_out"] + 0.01 * rng.standard_normal(12),
        )
        fitted = fit_kinetics(noisy, start, simulate, measured={"Na_out": 0.01, "Nb_out": 0.01})
        inside += fitted.contains(true)
        assert 0.5 < fitted.noise < 1.6
    assert inside >= 5  # of 8 at 95 %: fewer come once in 10,000 repetitions
    assert fitted.to_frame()["lower"].lt(fitted.to_frame()["upper"]).all()
    with pytest.raises(InvalidConditionsError, match="there is no reaction 'X'"):
        fit_kinetics(
            noisy, start, simulate, measured={"Na_out": 0.01}, parameters=[("X", "rate_constant")]
        )


def test_species_that_differ_in_case_only_are_refused():
    with pytest.raises(InvalidConditionsError, match="differ in case only"):
        kinetics(FIRST, heat_capacities={"A": 1.0, "B": 1.0, "b": 1.0})


def test_a_reactor_of_other_species_has_its_own_data_set():
    plain = Reaction(
        name="A + 2 B -> C",
        rate_constant=40.0,
        reference_temperature=300.0,
        activation_energy=8_000.0,
        orders={"A": 1, "B": 2},
        stoichiometry={"A": -1, "B": -2, "C": 1},
        heat=-20_000.0,
    )
    reactor = kinetics(
        plain,
        heat_capacities={"A": 10.0, "B": 12.0, "C": 14.0},
        feeds=("A", "B"),
        product="C",
        volume=20.0,
        heat_transfer=80.0,
        coolant_heat_capacity=18.02,
    )
    assert len(generate_dataset(50, kinetics=reactor)) == 50


def test_blocks_are_the_data_set(tmp_path):
    whole = generate_dataset(500, seed=3)
    blocks = list(iterate_dataset(500, seed=3, block=70))
    assert max(map(len, blocks)) <= 70
    pd.testing.assert_frame_equal(pd.concat(blocks), whole, rtol=1e-12)
    write_dataset(tmp_path / "data.csv", 500, seed=3, block=70)
    read = pd.read_csv(tmp_path / "data.csv")
    np.testing.assert_allclose(read["Yc"], whole["Yc"])


def test_bad_batches_are_marked():
    table = pd.DataFrame(
        {"Na": [1.0, -1.0, 0.0], "V": 1.0, "To": [350.0, 350.0, np.nan], "time": 1.0}
    )
    found = simulate_batch_reactor(table, kinetics(FIRST))
    assert found["status"].tolist() == ["ok", "invalid", "invalid"]
    assert "Na is -1, must not be negative" in found["reason"].iloc[1]
    with pytest.raises(InvalidConditionsError, match=r"lack the columns \['V', 'time'\]"):
        simulate_batch_reactor({"Na": 1.0, "To": 350.0}, kinetics(FIRST))
