"""A batch plant's history as plants keep them, for the tests of models and of commands."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_history(n_rows: int = 900, seed: int = 0) -> pd.DataFrame:
    """A batch plant's history: smooth in its conditions, noise, lots, gaps, time stamps."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "T_degC": rng.normal(78, 2.5, n_rows),
            "hold_h": rng.normal(4, 0.35, n_rows),
            "cat_kg": rng.normal(1.2, 0.1, n_rows),
            "pH": rng.normal(6.8, 0.15, n_rows),
            "cat_lot": rng.choice(["K7", "K8", "M1"], n_rows),
            "cat_age": np.arange(n_rows) % 250,
        }
    )
    hours = np.cumsum(rng.uniform(4, 8, n_rows))
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h")
    table.insert(0, "started", stamps.strftime("%Y-%m-%d %H:%M"))
    lot = table["cat_lot"].map({"K7": 0.0, "K8": -1.0, "M1": 1.5})
    table["yield_pct"] = (
        74
        - 0.15 * (table["T_degC"] - 80) ** 2
        + 3 * (table["hold_h"] - 4)
        - 2 * (table["hold_h"] - 4) * (table["T_degC"] - 78)
        + lot
        - 0.006 * table["cat_age"]
        + rng.normal(0, 0.8, n_rows)
    )
    for column, share in (("pH", 0.08), ("T_degC", 0.02), ("yield_pct", 0.05)):
        table.loc[rng.random(n_rows) < share, column] = np.nan
    return table
