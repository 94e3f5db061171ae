"""Rows of every reactor beside scipy's Radau at rtol 1e-10, fitted constants, many rows.

    python benchmarks/reactor_physics.py [radau] [fit] [rows]

The balances are written again here, row by row, and share nothing with the package.
"""

from __future__ import annotations

import math
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

import reactor_yield as ry
from reactor_yield import Kinetics, Reaction, Vessel

if TYPE_CHECKING:
    from collections.abc import Callable

R, R_GAS = 1.987, 0.082
N_ROWS = 200
CP = np.array([25.0, 20.0, 45.0, 65.0])
FORWARD = Reaction(
    name="A + B = C",
    rate_constant=0.5,
    reference_temperature=320.0,
    activation_energy=12_000.0,
    orders={"A": 1, "B": 1},
    stoichiometry={"A": -1, "B": -1, "C": 1},
    heat=-20_000.0,
    equilibrium_constant=50.0,
    adsorption={"C": (0.5, -3_000.0)},
    sites=2,
)
LOSS = Reaction(
    name="C + B -> D",
    rate_constant=0.05,
    reference_temperature=320.0,
    activation_energy=16_000.0,
    orders={"C": 1, "B": 1},
    stoichiometry={"C": -1, "B": -1, "D": 1},
    heat=-15_000.0,
)
SCHEME = Kinetics(
    heat_capacities=dict(zip("ABCD", CP, strict=True)),
    reactions=(FORWARD, LOSS),
    feeds=("A", "B"),
    key_reactant="A",
    product="C",
    volume=20.0,
    heat_transfer=40.0,
    coolant_heat_capacity=18.02,
    critical_temperature=2_000.0,
    pressure_drop=0.01,
)
MADE = np.array([[-1.0, 0.0], [-1.0, -1.0], [1.0, -1.0], [0.0, 1.0]])
RELEASED = np.array([20_000.0, 15_000.0])


def scheme_rates(c: np.ndarray, t: float) -> np.ndarray:
    """Rates of the reversible, hindered reaction and of the one that loses C."""
    hotter = 1 / 320 - 1 / t
    forward = 0.5 * math.exp(12_000 / R * hotter)
    equilibrium = 50 * math.exp(-20_000 / R * hotter)
    taken = 1 + 0.5 * math.exp(-3_000 / R * hotter) * c[2]
    loss = 0.05 * math.exp(16_000 / R * hotter)
    return np.array([forward * (c[0] * c[1] - c[2] / equilibrium) / taken**2, loss * c[2] * c[1]])


def radau(slopes: Callable[..., object], start: list[float], end: float, row: object) -> np.ndarray:
    """Integrate one row."""
    found = solve_ivp(slopes, (0, end), start, method="Radau", rtol=1e-10, atol=1e-12, args=(row,))
    if not found.success:
        raise RuntimeError(found.message)
    return found.y[:, -1]


def reference_tube(_: float, y: np.ndarray, row) -> list[float]:
    """Balances of the reference reactor (docs/reactor/model.md)."""
    *f, t, coolant = y
    c = np.array(f) / sum(f) * row.P / (R_GAS * t)
    r1 = 40 * math.exp(8_000 / R * (1 / 300 - 1 / t)) * c[0] * c[1] ** 2
    r2 = 40 * math.exp(14_000 / R * (1 / 300 - 1 / t)) * c[0] ** 2 * c[2] ** 3
    exchanged = 80 * (t - coolant)
    heat = 20_000 * r1 + 16_000 / 3 * r2 - exchanged
    carried = np.dot([10, 12, 14, 16], f)
    return [
        -r1 - 2 / 3 * r2, -2 * r1, r1 - r2, r2, heat / carried, exchanged / (row.m * 18.02)
    ]  # fmt: skip


def packed_tube(_: float, y: np.ndarray, row) -> np.ndarray:
    """Reversible, hindered, with Ergun's pressure drop."""
    f, square, t, coolant = y[:4], y[4], y[5], y[6]
    total = f.sum()
    rates = scheme_rates(f / total * row.P * math.sqrt(square) / (R_GAS * t), t)
    exchanged = 40 * (t - coolant)
    drop = -0.01 * t / row.To * total / (row.Fao + row.Fbo)
    warming = (RELEASED @ rates - exchanged) / (CP @ f)
    return np.array([*(MADE @ rates), drop, warming, exchanged / (row.m * 18.02)])


def liquid_batch(_: float, y: np.ndarray, row) -> np.ndarray:
    """Jacket, 1,000 cal/K of solvent and wall, B fed all the time."""
    n, volume, t = y[:4], y[4], y[5]
    rates = scheme_rates(n / volume, t) * volume
    heat = RELEASED @ rates - 30 * (t - row.Ta) + row.Fb * CP[1] * (row.Tf - t)
    return np.array([*(MADE @ rates + [0, row.Fb, 0, 0]), row.vo, heat / (CP @ n + 1_000)])


def gas_batch(_: float, y: np.ndarray, row) -> np.ndarray:
    """Return the balances of a closed, insulated volume: internal energy, 50 cal/K of wall."""
    n, t = y[:4], y[4]
    rates = scheme_rates(n / row.V, t) * row.V
    change = MADE @ rates
    heat = RELEASED @ rates + R * t * change.sum()
    return np.array([*change, heat / ((CP - R) @ n + 50)])


def liquid_tank(_: float, y: np.ndarray, row) -> np.ndarray:
    """Liquid tank with a jacket, 500 cal/(min K) of solvent."""
    f, t = y[:4], y[4]
    rates = scheme_rates(f / row.vo, t) * row.V
    fed = np.array([row.Fao, row.Fbo, 0, 0])
    heat = (CP @ fed + 500) * (row.To - t) + RELEASED @ rates - 20 * (t - row.Ta)
    return np.array([*(fed - f + MADE @ rates), heat / (CP @ fed + 500)])


def gas_tank(_: float, y: np.ndarray, row) -> np.ndarray:
    """Insulated gas tank at constant pressure."""
    f, t = y[:4], y[4]
    rates = scheme_rates(f / f.sum() * row.P / (R_GAS * t), t) * row.V
    fed = np.array([row.Fao, row.Fbo, 0, 0])
    heat = (CP @ fed + 300) * (row.To - t) + RELEASED @ rates
    return np.array([*(fed - f + MADE @ rates), heat / (CP @ fed + 300)])


def draw(n: int, rng: np.random.Generator, **ranges: tuple[float, float]) -> pd.DataFrame:
    """Conditions, uniform in their ranges."""
    return pd.DataFrame({name: rng.uniform(*limits, n) for name, limits in ranges.items()})


def compare(
    name: str,
    table: pd.DataFrame,
    found: pd.DataFrame,
    columns: list[str],
    slopes: Callable[..., object],
    start: Callable[[object], list[float]],
    end: Callable[[object], float],
) -> None:
    """Say the largest difference, relative to the largest amount (or to T) of the row."""
    worst, failed = 0.0, int((found["status"] == "failed").sum())
    for i, row in enumerate(table.itertuples()):
        exact = radau(slopes, start(row), end(row), row)
        states = found.loc[[row.Index], columns].to_numpy(float)
        amounts = [c for c, column in enumerate(columns) if column[0] in "FN"]
        scale = np.maximum(np.abs(exact), 0.0)
        scale[amounts] = np.max(np.abs(exact[amounts]))
        picked = exact[: len(columns)]
        worst = max(
            worst, float(np.min(np.max(np.abs(states - picked) / scale[: len(columns)], 1)))
        )
        if not np.isfinite(states).any():
            print(f"  row {i} has no result")
    above = int((found["status"] == "runaway").sum())
    print(
        f"{name:34s} {len(table)} rows, {failed} failed, {above} runaways: {worst:.1e}", flush=True
    )


def bench_radau(n: int = N_ROWS) -> None:
    """Every kind of reactor; tanks against one of their stable states, reached from their feed."""
    print("\n## Largest relative difference from Radau, rtol 1e-10")
    rng = np.random.default_rng(0)
    gas = [f"F{s}_out" for s in "abcd"]
    amounts = [f"N{s}_out" for s in "abcd"]
    table = ry.generate_dataset(n, seed=11)[["Fao", "Fbo", "P", "To", "m", "Ta"]]
    compare("tube, gas, coolant", table, ry.simulate_reactor(table), gas, reference_tube,
            lambda r: [r.Fao, r.Fbo, 0, 0, r.To, r.Ta], lambda r: 20.0)  # fmt: skip
    table = draw(n, rng, Fao=(2, 8), Fbo=(4, 12), P=(3, 8), To=(320, 420), m=(5, 15), Ta=(300, 400))
    compare("packed tube, reversible, hindered", table, ry.simulate_reactor(table, SCHEME), gas,
            packed_tube, lambda r: [r.Fao, r.Fbo, 0, 0, 1, r.To, r.Ta],
            lambda r: 20.0)  # fmt: skip
    vessel = Vessel(heat_transfer=30.0, inert_heat_capacity=1_000.0)
    ranges = {"Na": (1, 20), "V": (5, 15), "To": (290, 360), "time": (20, 100), "Ta": (280, 360)}
    for name, fed in (("batch, liquid, jacket", 0.0), ("semi-batch, liquid, jacket", 1.0)):
        table = draw(n, rng, **ranges, Nb=(1, 20), Fb=(0.1, 1), vo=(0, 0.1), Tf=(280, 330))
        table[["Fb", "vo"]] *= fed
        found = ry.simulate_batch_reactor(table, SCHEME, vessel)
        compare(name, table, found, [*amounts, "V_out", "T_out"], liquid_batch,
                lambda r: [r.Na, r.Nb, 0, 0, r.V, r.To], lambda r: r.time)  # fmt: skip
    vessel = Vessel(phase="gas", thermal="adiabatic", inert_heat_capacity=50.0)
    table = draw(n, rng, Na=(0.5, 3), Nb=(0.5, 3), V=(10, 40), To=(330, 420), time=(5, 60))
    found = ry.simulate_batch_reactor(table, SCHEME, vessel)
    compare("batch, gas, adiabatic", table, found, [*amounts, "T_out"], gas_batch,
            lambda r: [r.Na, r.Nb, 0, 0, r.To], lambda r: r.time)  # fmt: skip
    vessel = Vessel(heat_transfer=20.0, inert_heat_capacity=500.0)
    table = draw(n, rng, Fao=(0.5, 3), Fbo=(0.5, 4), V=(10, 60), To=(290, 340), vo=(1, 4),
                 Ta=(290, 340))  # fmt: skip
    found = ry.simulate_stirred_tank(table, SCHEME, vessel).reset_index("state")
    compare("tank, liquid, jacket", table, found, [*gas, "T"], liquid_tank,
            lambda r: [r.Fao, r.Fbo, 0, 0, r.To], lambda r: 3_000.0)  # fmt: skip
    vessel = Vessel(phase="gas", thermal="adiabatic", inert_heat_capacity=300.0)
    table = draw(n, rng, Fao=(0.5, 3), Fbo=(0.5, 4), V=(50, 400), To=(320, 420), P=(1, 8))
    found = ry.simulate_stirred_tank(table, SCHEME, vessel).reset_index("state")
    compare("tank, gas, adiabatic", table, found, [*gas, "T"], gas_tank,
            lambda r: [r.Fao, r.Fbo, 0, 0, r.To], lambda r: 3_000.0)  # fmt: skip


def bench_fit(n_repeats: int = 200) -> None:
    """How often the true constants of A -> B -> C lie inside the 95 % region."""
    base = replace(FORWARD, name="A -> B", rate_constant=0.05, reference_temperature=350.0,
                   orders={"A": 1}, stoichiometry={"A": -1, "B": 1}, equilibrium_constant=None,
                   reverse_orders=None, adsorption={})  # fmt: skip
    second = replace(base, name="B -> C", rate_constant=0.02, activation_energy=18_000.0,
                     orders={"B": 1}, stoichiometry={"B": -1, "C": 1})  # fmt: skip
    true = replace(SCHEME, heat_capacities=dict.fromkeys("ABC", 30.0), reactions=(base, second),
                   feeds=("A",), product="B", pressure_drop=0.0)  # fmt: skip
    table = pd.DataFrame(
        [
            {"Na": 1.0, "V": 1.0, "To": to, "time": minutes}
            for to in (335.0, 350.0, 365.0)
            for minutes in (5.0, 15.0, 30.0, 60.0)
        ]
    )

    def simulate(data, plant):
        vessel = Vessel(thermal="isothermal")
        return ry.simulate_batch_reactor(data, plant, vessel, rtol=1e-6, atol=1e-9)

    exact = simulate(table, true)
    start = replace(
        true, reactions=tuple(replace(r, activation_energy=15_000.0) for r in true.reactions)
    )
    inside = 0
    for seed in range(n_repeats):
        rng = np.random.default_rng(10_000 + seed)
        noisy = table.assign(
            **{c: exact[c] + 0.01 * rng.standard_normal(12) for c in ("Na_out", "Nb_out")}
        )
        fitted = ry.fit_kinetics(noisy, start, simulate, measured={"Na_out": 0.01, "Nb_out": 0.01})
        inside += fitted.contains(true)
    print(f"\n## Kinetics: {inside} of {n_repeats} regions at 95 % hold the true four constants")


def bench_rows(n_rows: int = 1_000_000) -> None:
    """Write many rows and watch the memory; CPU seconds per 10,000."""
    print("\n## Many rows")
    with tempfile.TemporaryDirectory() as folder:
        for n in (n_rows // 10, n_rows):
            begun = time.process_time()
            ry.write_dataset(Path(folder) / "data.csv", n, progress=True)
            seconds = time.process_time() - begun
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{n} rows: {seconds:.1f} CPU s, {1e4 * seconds / n:.2f} per 10,000 with writing, "
                f"peak {memory:.0f} MB",
                flush=True,
            )


def main(parts: list[str]) -> None:
    """Run the named parts, or all."""
    for name, part in {"radau": bench_radau, "fit": bench_fit, "rows": bench_rows}.items():
        if name in parts or not parts:
            part()


if __name__ == "__main__":
    main(sys.argv[1:])
