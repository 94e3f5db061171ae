"""Measure what `reactor_yield` claims: speed, accuracy, yield models, alarms, drift.

Run all of it (about ten minutes) with `python benchmarks/reactor.py`, or name parts:
`python benchmarks/reactor.py speed accuracy yields sorted runaway drift`; `docs` writes the
table of docs/reactor/yield.md.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from reactor_yield import (
    CoolantFailure,
    choose_alarm_level,
    count_alarms,
    detect_drift,
    evaluate_yield_model,
    failure_runaways,
    fit_yield_model,
    generate_dataset,
    realistic_series,
    simulate_reactor,
    sorted_series,
    split_dataset,
)
from reactor_yield.data.dataset import OLD_TOLERANCES, draw_conditions
from reactor_yield.files import write_text
from reactor_yield.monitoring.runaway import (
    coolant_failure_probability,
    fit_hot_spot_forecaster,
)

if TYPE_CHECKING:
    from reactor_yield.monitoring.alarm_count import AlarmCount

OUTLETS = ["Fa_out", "Fb_out", "Fc_out", "Fd_out"]
OLD_LSTM_ERROR = 8.9
OLD_FOREST_ERROR = 23.9
OLD_FOREST_YIELD_ERROR = 0.029
MINUTE_LAGS = (1, 3, 5, 10, 20, 30, 45, 60)


def slopes(_volume, state, inlet_temperature, inlet_concentration, coolant_flow):
    """Right-hand side for one row, written for `solve_ivp` and sharing no code with the package."""
    fa, fb, fc, fd, t, ta = state
    dilution = inlet_concentration * inlet_temperature / (t * (fa + fb + fc + fd))
    ca, cb, cc = fa * dilution, fb * dilution, fc * dilution
    hotter = min(1 / 300 - 1 / t, 0.05)  # a rejected trial step may leave the range of floats
    r1 = 40 * math.exp(8000 / 1.987 * hotter) * ca * cb * cb
    r2 = 40 * math.exp(14000 / 1.987 * hotter) * ca * ca * cc * cc * cc
    exchanged = 80 * (t - ta)
    return [
        -r1 - 2 / 3 * r2,
        -2 * r1,
        r1 - r2,
        r2,
        (20_000 * r1 + 16_000 / 3 * r2 - exchanged) / (10 * fa + 12 * fb + 14 * fc + 16 * fd),
        exchanged / (coolant_flow * 18.02),
    ]


def solve_row(row, *, frozen=False, **options):
    """One row with `solve_ivp`."""
    constants = (300.0, 0.2, 10.0) if frozen else (row.To, row.P / (0.082 * row.To), row.m)
    inlet = [row.Fao, row.Fbo, 0, 0, row.To, row.Ta]
    with np.errstate(over="ignore"):  # in trial steps that are rejected
        return solve_ivp(slopes, (0, 20), inlet, args=constants, **options)


def bench_speed(n_rows: int = 10_000) -> float:
    """Whole data set against a `solve_ivp` loop over the same rows; return the ratio."""
    conditions = draw_conditions(n_rows)
    start = time.process_time()
    generate_dataset(n_rows)
    batched = time.process_time() - start
    start = time.process_time()
    simulate_reactor(conditions, rtol=1e-3, atol=1e-6)
    same = time.process_time() - start
    start = time.process_time()
    for row in conditions.itertuples():
        solve_row(row, t_eval=np.linspace(0, 20, 21))
    loop = time.process_time() - start
    print(f"\n## Speed, {n_rows} rows, CPU seconds")
    print(f"solve_ivp loop (RK45, rtol 1e-3, the old study's)  {loop:8.2f}")
    ours, ours_loose = loop / batched, loop / same
    print(f"generate_dataset (rtol 1e-8)                       {batched:8.2f}  {ours:6.1f} x")
    print(f"simulate_reactor (rtol 1e-3)                       {same:8.2f}  {ours_loose:6.1f} x")
    return ours


def bench_accuracy(n_rows: int = 500) -> dict[str, float]:
    """Largest differences from `solve_ivp` at rtol 1e-10, and from the old file where it is."""
    data = generate_dataset()
    rng = np.random.default_rng(0)
    picked = data.iloc[rng.choice(len(data), n_rows, replace=False)]
    worst = {}
    print(f"\n## Accuracy, {n_rows} random rows of 10,000, against LSODA at rtol 1e-10")
    for frozen in (True, False):
        found = simulate_reactor(picked, frozen=frozen)
        flow = peak = yields = 0.0
        for row in picked.itertuples():
            solution = solve_row(
                row,
                frozen=frozen,
                method="LSODA",
                rtol=1e-10,
                atol=1e-12,
                dense_output=True,
                events=lambda v, y, *c: slopes(v, y, *c)[4],
            )
            ours = found.loc[row.Index]
            flow = max(flow, np.abs(ours[OUTLETS].to_numpy(float) - solution.y[:4, -1]).max())
            made = solution.y[2, -1] / (row.Fao - solution.y[0, -1])
            yields = max(yields, abs(ours["Yc"] - made))
            if frozen:
                hottest = solution.sol(np.linspace(0, 20, 21))[4].max()
            else:
                turning = [state[4] for state in solution.y_events[0]]
                hottest = max([row.To, solution.y[4, -1], *turning])
            peak = max(peak, abs(ours["T_max"] - hottest))
        name = "frozen" if frozen else "correct"
        hot = int((found["status"] == "runaway").sum())
        print(f"{name:8s} flows {flow:.1e}  Yc {yields:.1e}  T_max {peak:.1e} K  ({hot} runaways)")
        worst |= {f"{name} flows": flow, f"{name} Yc": yields, f"{name} T_max": peak}
    old_file = Path(
        os.environ.get(
            "REACTOR_OLD_CSV",
            Path(__file__).parents[2] / "shared" / "data" / "reactor_performance_data.csv",
        )
    )
    if old_file.exists():
        old = pd.read_csv(old_file)
        rtol, atol = OLD_TOLERANCES
        again = simulate_reactor(old, frozen=True, rtol=rtol, atol=atol)
        exact = simulate_reactor(old, frozen=True)
        regenerated = generate_dataset(frozen=True)
        worst["old Yc"] = (again["Yc"] - old["Yc"]).abs().max()
        off = (exact["Yc"] - old["Yc"]).abs()
        print(f"old file, its tolerances: Yc {worst['old Yc']:.1e} on its 10,000 rows")
        print(f"old file, exact solution: Yc {off.max():.1e}, {(off > 5e-3).sum()} rows above 5e-3")
        inputs = ["Fao", "Fbo", "P", "To", "Cto", "m", "Ta"]
        print(
            f"its inputs from the seed: {(regenerated[inputs] - old[inputs]).abs().max().max():.1e}"
        )
    else:
        print("old file: not shown (set REACTOR_OLD_CSV)")
    return worst


def bench_yields() -> pd.DataFrame:
    """Every yield model on the old and on correct physics, split 60/40 with seed 42."""
    rows = []
    for frozen in (True, False):
        split = split_dataset(generate_dataset(frozen=frozen))
        for kind in ("forest", "boosting", "gp", "best"):
            start = time.process_time()
            model = fit_yield_model(split.train, model=kind)
            seconds = time.process_time() - start
            table = evaluate_yield_model(model, split.test)
            scores = {k: float(np.mean(v)) for k, v in model.report.cross_validation.items()}
            rows.append(
                {
                    "data": "old" if frozen else "correct",
                    "model": kind if kind != "best" else f"best = {model.report.kind}",
                    "mae": table.loc["all", "mae"],
                    "rmse": table.loc["all", "rmse"],
                    "coverage": table.loc["all", "coverage"],
                    "width": table.loc["all", "mean_width"],
                    **{m: table.loc[m, "coverage"] for m in ("mode 1", "mode 2", "mode 3")},
                    "fit CPU s": seconds,
                }
            )
            if scores:
                print(f"cross-validation, {rows[-1]['data']}: {scores}")
    result = pd.DataFrame(rows)
    print("\n## Yield, 60/40 split, seed 42 (old study: forest 0.029 on 1,500 rows)")
    print("coverage of the 90 % interval, also in each mode")
    print(result.round(5).to_string(index=False))
    return result


def bench_sorted() -> pd.DataFrame:
    """Next-sample forecast on the old study's sorted series, last tenth of the time."""
    rows = []
    for frozen in (True, False):
        series = sorted_series(frozen=frozen)
        first, last = int(0.7 * len(series)), int(0.9 * len(series))
        for target in ("T_max_grid", "T_max"):
            forecaster = fit_hot_spot_forecaster(series.iloc[:first], target=target)
            found = forecaster.forecast(series.iloc[last - 6 :]).iloc[:-1]
            truth = series[target].shift(-1).loc[found.index]
            alarm = (found["T_max"] > 740) | (found["persistence"] > 740)
            count = count_alarms(
                series.iloc[last:].reset_index(drop=True),
                alarm.loc[last:].reset_index(drop=True),
                name="",
                target=target,
                lead_minutes=10,
                rest_minutes=10,
            )
            rows.append(
                {
                    "physics": "old" if frozen else "correct",
                    "T_max": "true peak" if target == "T_max" and not frozen else "grid",
                    "forecast MAE": (found["T_max"] - truth).abs().mean(),
                    "persistence MAE": (found["persistence"] - truth).abs().mean(),
                    "runaways": len(count.lead_minutes),
                    "warned": count.n_warned,
                    "false alarms": count.n_false,
                }
            )
    result = pd.DataFrame(rows).drop_duplicates()
    print(
        f"\n## Old sorted series (old study: LSTM {OLD_LSTM_ERROR} K, forest {OLD_FOREST_ERROR} K)"
    )
    print("alarm at 740 K; ten minutes is one sample")
    print(result.round(2).to_string(index=False))
    return result


def bench_realistic(
    n_train: int = 200, n_tune: int = 100, n_test: int = 30, n_more: int = 150
) -> list[AlarmCount]:
    """Coolant failures in the realistic series: 30 days held out, then more days for statistics."""
    often = CoolantFailure(every_days=0.6)
    train = realistic_series(n_train, seed=1, failure=often)
    tune = realistic_series(n_tune, seed=2)
    tests = {"30 days": realistic_series(n_test, seed=3), "more": realistic_series(n_more, seed=4)}
    counts = []
    for target in ("T_max", "T_max_grid"):
        label = "true peak" if target == "T_max" else "grid"
        forecaster = fit_hot_spot_forecaster(
            train, lead=10, target=target, lags=MINUTE_LAGS, failure=CoolantFailure()
        )
        tuned = forecaster.forecast(tune)
        print(f"\n## Realistic series, {label}; ten minutes ahead")
        levels = {
            budget: choose_alarm_level(
                tune, tuned["risk"], target=target, false_alarms_per_10_days=budget
            )
            for budget in (1.0, 5.0, 20.0, 40.0)
        }
        for name, test in tests.items():
            found = forecaster.forecast(test)
            truth = test[target].shift(-10).loc[found.index]
            known = truth.notna()
            errors = {c: (found[c] - truth)[known].abs().mean() for c in ("T_max", "persistence")}
            onsets = failure_runaways(test, target=target)
            print(
                f"{name}: {len(test) / 1440:.0f} days, MAE forecast {errors['T_max']:.1f} K, "
                f"persistence {errors['persistence']:.1f} K; "
                f"{len(onsets)} runaways caused by a coolant failure"
            )
            alarms = {f"risk, budget {b:g}": found["risk"] > lv for b, lv in levels.items()}
            alarms["forecast above 740 K"] = found["T_max"] > 740
            alarms["persistence above 740 K"] = found["persistence"] > 740
            for way, alarm in alarms.items():
                count = count_alarms(test, alarm, name=way, target=target, runaways=onsets)
                counts.append(count)
                warned = count.n_warned / max(1, len(onsets))
                every = count_alarms(test, alarm, name=way, target=target)
                print(
                    f"  {way:24s} warned >= 10 min {100 * warned:4.0f} %, median lead "
                    f"{np.median(count.lead_minutes):4.0f} min, false alarms in 10 days "
                    f"{count.false_alarms_per_10_days:5.1f}, "
                    f"in alarm {100 * count.alarm_share:.1f} % "
                    f"(all runaways: {every.n_warned} of {len(every.lead_minutes)} warned)"
                )
        _print_limit(tests["more"], target)
    return counts


def _print_limit(test: pd.DataFrame, target: str) -> None:
    """How soon exact Bayes on the coolant flow can know, against when the runaway comes."""
    onsets = failure_runaways(test, target=target)
    belief = coolant_failure_probability(test["m_measured"].to_numpy(), CoolantFailure())[
        "falling"
    ].to_numpy()
    failing = (test["coolant"] < 1).to_numpy()
    ages = []
    for onset in onsets:
        begun = onset - int(np.argmin(failing[:onset][::-1]))
        ages.append(
            (
                onset - begun,
                *(bool((belief[begun : max(begun, onset - 9)] > p).any()) for p in (0.1, 0.5, 0.9)),
            )
        )
    table = np.array(ages, dtype=float)
    print(
        f"  limit: runaways come {np.quantile(table[:, 0], 0.05):.0f} / "
        f"{np.median(table[:, 0]):.0f} / {np.quantile(table[:, 0], 0.95):.0f} min into the ramp "
        f"(5 / 50 / 95 %); exact Bayes on the flow is 10 min before the runaway above "
        f"0.1 in {100 * table[:, 1].mean():.0f} %, above 0.5 in {100 * table[:, 2].mean():.0f} %, "
        f"above 0.9 in {100 * table[:, 3].mean():.0f} %"
    )


def bench_drift(n_draws: int = 200, n_seeds: int = 20) -> dict[str, float]:
    """Count false alarms on the same distribution, and what the drifted plant sets off."""
    reference = draw_conditions(10_000)
    false = sum(
        detect_drift(reference, draw_conditions(1_000, seed=1_000 + s)).drifted
        for s in range(n_draws)
    )
    print(f"\n## Drift\nsame distribution: {false} of {n_draws} batches of 1,000 rows flagged")
    right = mixed = 0
    moved, quiet = {"Fao", "Fbo", "P", "To", "Cto"}, {"m", "Ta"}
    for seed in range(1, n_seeds + 1):
        report = detect_drift(reference, draw_conditions(5_000, seed=seed, new=True))
        within = [set(report.drifted_columns(f"mode {m}")) for m in (1, 2)]
        right += all(moved <= w and not quiet & w for w in within)
        mixed += any("mix of operating modes" in c for c in report.causes)
    print(
        f"new data, {n_seeds} seeds: the five columns and only they flagged within both modes in "
        f"{right}; changed mix of modes named in {mixed}"
    )
    return {"false": false / n_draws, "right": right / n_seeds, "mixed": mixed / n_seeds}


def write_docs_table() -> None:
    """Measure the yield models and write the table that docs/reactor/yield.md includes."""
    table = bench_yields()
    lines = [
        "| Data | Model | MAE | RMSE | 90 % covers | mode 1 | mode 2 | mode 3 | mean width |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table[~table["model"].str.startswith("best")].itertuples(index=False):
        covered = " | ".join(f"{100 * share:.1f} %" for share in (row.coverage, *row[6:9]))
        lines.append(
            f"| {row.data} | {row.model} | {row.mae:.5f} | {row.rmse:.5f} | {covered} | "
            f"{row.width:.4f} |"
        )
    target = Path(__file__).parents[1] / "docs" / "reactor" / "yield_table.txt"
    write_text(target, "\n".join(lines) + "\n")


PARTS = {
    "speed": bench_speed,
    "accuracy": bench_accuracy,
    "yields": bench_yields,
    "sorted": bench_sorted,
    "runaway": bench_realistic,
    "drift": bench_drift,
}

EXTRA_PARTS = {"docs": write_docs_table}
"""Only when named: it writes into the documentation."""


def main(parts: list[str] | None = None) -> None:
    """Run the named parts, or all."""
    packages = ("numpy", "pandas", "scipy", "scikit-learn")
    print("# reactor_yield")
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{p} {version(p)}" for p in packages)
        + f", {os.cpu_count()} cores"
    )
    for name in parts or list(PARTS):
        if name not in PARTS | EXTRA_PARTS:
            message = f"unknown part {name!r}; there are {list(PARTS | EXTRA_PARTS)}"
            raise SystemExit(message)
        (PARTS | EXTRA_PARTS)[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
