"""How often drift is seen where there is none, and whether the mending move mends.

    python benchmarks/monitoring.py            # both: some minutes of CPU
    python benchmarks/monitoring.py mending

**drift**: AR(1) series, six columns, 2,000 rows on each side, level 5 %, 100 reports for each
correlation time; then the same with the feed of A halved on the second side. A report with columns
of which no level can be stated is counted as refused.

**mending**: rows of the reference reactor in alarm that one handle alone can mend (the simulator is
asked at 21 values of each handle over the model's training range), and how many the proposed move
restores when it is made on the simulator.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from reactor_yield import (
    detect_drift,
    fit_yield_model,
    generate_dataset,
    low_yield_alarm,
    simulate_reactor,
)
from reactor_yield.monitoring.mending import find_mending_moves

CONDITIONS = ["Fao", "Fbo", "P", "To", "m", "Ta"]
MEAN = np.array([5, 10, 4.92, 300, 10, 325])
SPREAD = np.array([0.5, 1, 0.492, 9, 2, 9.75])
N_ROWS, N_REPORTS, LEVEL = 2_000, 100, 0.05
N_ALARMS = 200
HOT = 750.0  # K


def draw_series(n_rows: int, correlation_rows: float, rng: np.random.Generator) -> pd.DataFrame:
    """AR(1) with standard normal margins, scaled to the reactor's conditions."""
    keep = np.exp(-1 / correlation_rows) if correlation_rows else 0.0
    values = np.empty((n_rows, len(CONDITIONS)))
    values[0] = rng.standard_normal(len(CONDITIONS))
    noise = rng.standard_normal(values.shape) * np.sqrt(1 - keep**2)
    for i in range(1, n_rows):
        values[i] = keep * values[i - 1] + noise[i]
    return pd.DataFrame(MEAN + values * SPREAD, columns=CONDITIONS)


def bench_drift() -> None:
    """Alarms, refusals and halved feeds that were found, by correlation time."""
    for correlation_rows in (0, 2, 10, 120):
        alarms = refusals = found = 0
        for seed in range(N_REPORTS):
            rng = np.random.default_rng([seed, correlation_rows])
            series = draw_series(2 * N_ROWS, correlation_rows, rng)
            reference, current = series.iloc[:N_ROWS], series.iloc[N_ROWS:]
            report = detect_drift(reference, current, features=CONDITIONS, level=LEVEL)
            alarms += report.drifted
            refusals += not report.drifted and not all(c.decided for c in report.columns)
            halved = current.assign(Fao=current["Fao"] / 2)
            moved = detect_drift(reference, halved, features=CONDITIONS, level=LEVEL)
            found += "Fao" in moved.drifted_columns()
        print(
            f"correlation time {correlation_rows:>3} rows: {alarms} of {N_REPORTS} reports in"
            f" alarm, {refusals} refused, halved feed found in {found}",
            flush=True,
        )


def bench_mending() -> None:
    """Alarms that one handle can mend, and how many the move mends on the simulator."""
    data = generate_dataset(3_000, seed=0)
    mode_1 = data[(data["Mode"] == 1) & data["Yc"].notna()]
    model = fit_yield_model(mode_1, model="gp")
    target = float(mode_1["Yc"].median())
    fresh = generate_dataset(4_000, seed=1)
    fresh = fresh[fresh["Mode"] == 1]
    alarm = low_yield_alarm(model, fresh, target=target).rows["alarm"].to_numpy()
    in_alarm = fresh[alarm][CONDITIONS]
    mendable = []
    for first in range(0, len(in_alarm), 20):
        rows = in_alarm.iloc[first : first + 20]
        tried = pd.concat(
            rows.loc[[index]].assign(**{handle: value})
            for index in rows.index
            for handle in CONDITIONS
            for value in np.linspace(*model.training_range[handle], 21)
        )
        reached = simulate_reactor(tried, rtol=1e-5, atol=1e-7)["Yc"] >= target
        mendable += [index for index in rows.index if reached.loc[index].any()]
        if len(mendable) >= N_ALARMS:
            break
    rows = in_alarm.loc[mendable[:N_ALARMS]]
    moves = find_mending_moves(model, rows, target=target, handles=CONDITIONS)
    after = rows.copy()
    for move in moves.itertuples():
        after.loc[move.row, move.handle] = move.proposed
    found = simulate_reactor(after)
    restored = found["Yc"] >= target
    print(
        f"{restored.sum()} of {len(rows)} alarms mended on the simulator"
        f" ({moves['row'].nunique()} have a move); {(found['T_max'] > HOT).sum()} mended rows ran"
        f" hotter than {HOT:g} K",
        flush=True,
    )


PARTS = {"drift": bench_drift, "mending": bench_mending}


if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
