"""The reactor project from data to alarms: what the old study did, on correct physics.

Run `python case_studies/reactor/run.py`; tables, pages and figures are written to results/reactor/.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

import reactor_yield as ry
from reactor_yield.data.dataset import MODE_1
from reactor_yield.files import FilesTogether, files_together
from reactor_yield.monitoring.runaway import fit_hot_spot_forecaster
from reactor_yield.plot import (
    draw_panels,
    plot_histogram,
    plot_hot_spot,
    plot_importance,
    plot_lead_times,
    plot_parity,
    plot_profiles,
    plot_scatter,
)
from reactor_yield.report import data_summary, drift_page

MINUTE_LAGS = (1, 3, 5, 10, 20, 30, 45, 60)
LEAD = 10  # minutes


def main(
    results: Path,
    n_rows: int = 10_000,
    days: tuple[int, int, int] = (200, 100, 30),
    kind: str = "best",
) -> None:
    """Run the study; its files appear together when it is through."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "prepared").mkdir(exist_ok=True)
    with files_together() as outputs:
        study(results, outputs, n_rows, days, kind)


def study(
    results: Path, outputs: FilesTogether, n_rows: int, days: tuple[int, int, int], kind: str
) -> None:
    """Every step hands its result to the next."""
    step("the reactor along its length: normal, and with too little coolant")
    cases = {"normal": {}, "coolant at 30 %": {"m": 3.0}, "hot feed": {"To": 330.0}}
    conditions = pd.DataFrame([dict(MODE_1.mean) | c for c in cases.values()], index=list(cases))
    print(ry.simulate_reactor(conditions)[["Xa", "Yc", "T_max", "V_max", "T_max_grid", "status"]])
    profiles = ry.simulate_profiles(conditions)
    save(outputs, results / "profiles.png", [partial(on, plot_profiles, profiles)], size=4.5)

    step("data: the old set with its mistake, the same rows on correct physics, the drifted plant")
    old = ry.generate_dataset(n_rows, frozen=True)
    data = ry.generate_dataset(n_rows)
    new = ry.generate_dataset(n_rows // 2, seed=1, new=True)
    moved = (data[["Yc", "T_max_grid"]] - old[["Yc", "T_max_grid"]]).abs().mean()
    above = (data["T_max"] - data["T_max_grid"]).mean()
    yc, hot = moved["Yc"], moved["T_max_grid"]
    print(f"the mistake moves Yc by {yc:.3f} and T_max by {hot:.0f} K on average")
    print(f"the true peak is {above:.0f} K above the grid's on average")
    outputs.write_text(results / "data.html", data_summary(data, ry.check_dataset(data)))
    split = ry.split_dataset(data)
    split.keep_aside(outputs, results / "prepared")

    step("yield: the best of forest, boosting and Gaussian process by cross-validation")
    model = ry.fit_yield_model(split.train, model=kind)
    outputs.write_by(results / "model.zip", model.save)
    print({k: round(float(np.mean(v)), 5) for k, v in model.report.cross_validation.items()})
    print(ry.evaluate_yield_model(model, split.test).round(5))
    importance = ry.permutation_importance(model, split.test)
    test = split.test.iloc[:1_000]
    predicted, bounds = model.predict(test)["Yc"], model.interval(test)
    save(
        outputs,
        results / "yield.png",
        [
            partial(on, plot_parity, test["Yc"], predicted, bounds),
            partial(on, plot_importance, importance),
            partial(on, plot_scatter, data, "T_max", "Yc"),
            partial(on, plot_histogram, data, "T_max"),
        ],
        n_columns=2,
    )

    step("low yield: which conditions explain it")
    mode_1 = split.train[split.train["Mode"] == 1]
    low = ry.low_yield_alarm(model, split.test[split.test["Mode"] == 1], baseline=mode_1)
    print(f"{low.n_alarms} of {len(low.rows)} mode-1 rows below the usual {low.target:.3f}")
    print(low.causes.head(6).round(4).to_string(index=False))
    outputs.write_csv(results / "low_yield_causes.csv", low.causes)

    step("drift: the new data against the test rows")
    drift = ry.detect_drift(split.test, new, model=model)
    outputs.write_text(results / "drift.html", drift_page(drift))
    outputs.write_by(results / "drift.json", drift.to_json)
    print("\n".join(drift.causes))

    step("runaway: ten minutes ahead in the realistic series, and how often in vain")
    often = ry.CoolantFailure(every_days=0.6)
    train = ry.realistic_series(days[0], seed=1, failure=often)
    tune, held_out = (ry.realistic_series(n, seed=s) for s, n in enumerate(days[1:], start=2))
    forecaster = fit_hot_spot_forecaster(
        train, lead=LEAD, lags=MINUTE_LAGS, failure=ry.CoolantFailure()
    )
    forecast, onsets = forecaster.forecast(held_out), ry.failure_runaways(held_out)
    tuned = forecaster.forecast(tune)["risk"]
    alarms = {"forecast above 740 K": forecast["T_max"] > 740}
    alarms["last measurement above 740 K"] = forecast["persistence"] > 740
    for budget in (1, 5, 20, 40):
        level = ry.choose_alarm_level(tune, tuned, false_alarms_per_10_days=budget)
        alarms[f"risk, {budget} false in 10 days when tuned"] = forecast["risk"] > level
    counts = [
        ry.count_alarms(held_out, alarm, name=name, runaways=onsets)
        for name, alarm in alarms.items()
    ]
    for count in counts:
        print(
            f"{count.name:40s} warned {count.n_warned} of {len(onsets)}, "
            f"false in 10 days {count.false_alarms_per_10_days:.1f}"
        )
    middle = onsets[0] if onsets else int(held_out["T_max"].idxmax())
    hours = held_out.loc[max(119, middle - 120) : middle + 120]
    shown = forecast.loc[hours.index].assign(alarm=list(alarms.values())[-2].loc[hours.index])
    save(
        outputs,
        results / "runaway.png",
        [partial(on, plot_hot_spot, hours, shown), partial(on, plot_lead_times, counts)],
        n_columns=2,
        size=4.0,
    )


def on(plot, *rest):
    """Call a plot with the axes that `draw_panels` puts last."""
    *arguments, ax = rest
    return plot(*arguments, ax=ax)


def save(outputs: FilesTogether, path: Path, plots, **layout) -> None:
    """Write several plots as one picture."""
    outputs.write_bytes(path, draw_panels(plots, **layout))


def step(title: str) -> None:
    """Say what comes next."""
    print(f"\n## {title}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/reactor"))
    mpl.use("Agg")
    main(parser.parse_args().results)
