"""How often promises to a scheduler are kept: safe points and campaigns, against the simulator.

python benchmarks/reactor_targets.py [safe] [campaigns]
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import reactor_yield as ry

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 750.0
SPREAD = ry.MODE_1.spread()
HANDLES = {c: (ry.MODE_1.mean[c] - 3 * SPREAD[c], ry.MODE_1.mean[c] + 3 * SPREAD[c]) for c in "mP"}
OTHERS = {c: mean for c, mean in ry.MODE_1.mean.items() if c not in HANDLES}
EXACT = {c: s for c, s in SPREAD.items() if c not in HANDLES}
SIMULATE = partial(ry.simulate_reactor, rtol=1e-6, atol=1e-8)


def main(parts: list[str]) -> None:
    """Fit yield and conversion of mode 1 as the case study does, and measure."""
    data = ry.generate_dataset(10_000)
    mode_1 = data[data["Mode"] == 1]
    models = {
        c: ry.fit_yield_model(mode_1, model="gp", target=c, n_points=2_500) for c in ("Yc", "Xa")
    }
    for name, part in {"safe": bench_safe_points, "campaigns": bench_campaigns}.items():
        if name in parts or not parts:
            part(models)


def bench_safe_points(models: dict[str, ry.YieldModel], n_repeats: int = 10) -> None:
    """Choose points with handles that vary and that are exact; repeat their test afresh."""
    print(f"\n## Safe points, draws of 10,000 above {LIMIT:g} K in {n_repeats} fresh repetitions")
    for label, disturbances in (("handles vary", SPREAD), ("handles exact", EXACT)):
        for least in (0.965, 0.98):
            aims = {"yield": models["Yc"].expect, "coolant": lambda table: -table["m"]}
            for aim, score in aims.items():
                said = f"{label}, conversion {least:g}, best {aim}"
                try:
                    found = ry.safe_region(
                        SIMULATE,
                        HANDLES | OTHERS,
                        disturbances,
                        limit=LIMIT,
                        prefer=lambda table, score=score, least=least: score(table).where(
                            models["Xa"].expect(table) >= least, -np.inf
                        ),
                    )
                except ry.errors.InvalidConditionsError as error:
                    print(f"{said}: {error}")
                    continue
                if found.point is None:
                    print(f"{said}: none certified, {found.certificate.n_exceeded} at the last")
                    continue
                counts = [
                    ry.certify_point(
                        SIMULATE, found.point, disturbances, limit=LIMIT, seed=9_000 + k
                    ).n_exceeded
                    for k in range(n_repeats)
                ]
                true = SIMULATE(found.point).iloc[0]
                print(
                    f"{said}: m {found.point['m']:.2f}, P {found.point['P']:.3f}, "
                    f"Yc {true['Yc']:.4f}, Xa {true['Xa']:.4f}; {min(counts)} to {max(counts)}",
                    flush=True,
                )


def bench_campaigns(models: dict[str, ry.YieldModel], n_campaigns: int = 10_000) -> None:
    """Count campaigns and batches that make what was promised at 90 %, and at the mean."""
    conditions = dict(ry.MODE_1.mean) | {"m": 15.7, "P": 4.85}
    lots = {c: SPREAD[c] for c in ("Ta", "To")}
    own = {c: s for c, s in SPREAD.items() if c not in lots}
    print(f"\n## Campaigns, {n_campaigns} simulated; promised at 90 %")
    print("| shared | batches | lower | total met | per batch met | the mean is met |")
    print("|---|---|---|---|---|---|")
    for label, disturbances, shared in (("nothing", SPREAD, None), ("Ta, To", own, lots)):
        for n_batches in (1, 4, 12):
            recipe = ry.recipe_from_yield(
                models["Yc"],
                conditions,
                conversion=models["Xa"],
                disturbances=disturbances,
                shared=shared,
                n_batches=n_batches,
                max_batch=90.0,
                throughput=18.0,
                n_draws=10_000,
            )
            made = ry.simulate_campaigns(
                make_product,
                conditions,
                n_batches=n_batches,
                disturbances=disturbances,
                shared=shared,
                n_campaigns=n_campaigns,
            )
            total = made.sum(axis=1)
            single = float((made >= recipe.fractions["lower_batch"]).mean())
            print(
                f"| {label} | {n_batches} | {recipe.fractions['lower']:.4f} | "
                f"{100 * recipe.chance(total):.1f} % | {100 * single:.1f} % | "
                f"{100 * recipe.chance(total, 'mean'):.1f} % |",
                flush=True,
            )


def make_product(table: pd.DataFrame) -> np.ndarray:
    """Yield times conversion, from the simulator."""
    found = SIMULATE(table)
    return (found["Yc"] * found["Xa"]).to_numpy()


if __name__ == "__main__":
    main(sys.argv[1:])
