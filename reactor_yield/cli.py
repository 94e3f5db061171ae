"""The command `reactor-yield`: each step reads and writes files a person can open.

Exit codes: 0 nothing to report; 2 the input cannot be used; 3 something was found (a problem in the
data, drift, or an alarm), for schedulers to act on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from reactor_yield.data.dataset import check_dataset, generate_dataset, split_dataset
from reactor_yield.errors import InvalidConditionsError, ReactorYieldError
from reactor_yield.monitoring.alarms import low_yield_alarm
from reactor_yield.monitoring.drift import detect_drift
from reactor_yield.serving.aws import download, is_s3, upload
from reactor_yield.yield_model import (
    CANDIDATES,
    evaluate_yield_model,
    fit_yield_model,
    load_yield_model,
    permutation_importance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK, BAD_INPUT, FOUND = 0, 2, 3
Result = TypeVar("Result")
_S3 = "a local file or s3://bucket/key"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (ReactorYieldError, OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as problem:
        print(f"reactor-yield: {problem}", file=sys.stderr)
        return BAD_INPUT


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reactor-yield",
        description="Predict a reactor's yield and hot spot, and warn when they drift.",
        epilog="Exit codes: 0 nothing to report, 2 unusable input, 3 something was found.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands)
    _add_check(commands)
    _add_train(commands)
    _add_predict(commands)
    _add_monitor(commands)
    _add_alarm(commands)
    _add_serve(commands)
    return parser


def _add_generate(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("generate", help="simulate a data set, and split it")
    command.add_argument("output", help=f"CSV file to write, {_S3}")
    command.add_argument("--rows", type=int, default=10_000)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--new", action="store_true", help="the drifted plant")
    command.add_argument("--frozen", action="store_true", help="the old data set's mistake")
    command.add_argument("--summary", type=Path, help="HTML page about the data")
    command.add_argument("--split", type=Path, help="folder for train.csv and test.csv")
    command.add_argument("--test-size", type=float, default=0.4)
    command.add_argument("--standardise", action="store_true", help="the features in the split")
    command.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> int:
    data = generate_dataset(
        options.rows, seed=options.seed, new=options.new, frozen=options.frozen, progress=True
    )
    _write_csv(data, options.output)
    print(f"{len(data)} rows written to {options.output}")
    if options.summary:
        _write_summary(data, options.summary)
    if options.split:
        split = split_dataset(data, test_size=options.test_size, standardise=options.standardise)
        split.write(options.split)
        print(f"{len(split.train)} training and {len(split.test)} test rows in {options.split}")
    return OK


def _add_check(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("check", help="report everything wrong with a data set")
    command.add_argument("data", help=f"CSV, {_S3}")
    command.add_argument("--summary", type=Path, help="HTML page about the data")
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    data = _read_csv(options.data)
    if options.summary:
        _write_summary(data, options.summary)
    report = check_dataset(data)
    for problem in report.problems:
        print(f"{problem.kind}: {problem.message}")
    print(f"{report.n_rows} rows, {len(report.problems)} problems")
    return OK if report.ok else FOUND


def _add_train(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("train", help="fit a yield model")
    command.add_argument("data", help=f"training CSV, {_S3}")
    command.add_argument("output", help=f"model file to write, {_S3}")
    command.add_argument("--model", choices=[*CANDIDATES, "best"], default="best")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--points", type=int, default=2_500, help="of the Gaussian process")
    command.add_argument("--test", help=f"CSV to measure the model on, {_S3}")
    command.add_argument("--report", type=Path, help="JSON with fit, test and importances")
    command.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    data = _read_csv(options.data)
    check_dataset(data).raise_if_bad()
    model = fit_yield_model(
        data, model=options.model, seed=options.seed, n_points=options.points, progress=True
    )
    _write_file(options.output, model.save)
    report: dict[str, object] = {"fit": model.report.to_dict()}
    print(f"{model.report.kind} fitted to {model.report.n_rows} rows, saved to {options.output}")
    for name, errors in model.report.cross_validation.items():
        print(f"  cross-validation {name:9s} mean absolute error {sum(errors) / len(errors):.5f}")
    if options.test:
        test = _read_csv(options.test)
        table = evaluate_yield_model(model, test)
        importance = permutation_importance(model, test, seed=options.seed)
        report["test"] = table.to_dict(orient="index")
        report["importance"] = importance.to_dict(orient="records")
        print(table.round(5).to_string())
        print(importance.round(5).to_string(index=False))
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return OK


def _add_predict(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("predict", help="predict the yield of conditions")
    command.add_argument("model", help=f"model file, {_S3}")
    command.add_argument("conditions", help=f"CSV, {_S3}")
    command.add_argument("output", help=f"CSV to write, {_S3}")
    command.add_argument("--coverage", type=float, default=0.9)
    command.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    model = _read_file(options.model, load_yield_model)
    conditions = _read_csv(options.conditions)
    predicted = model.predict(conditions)
    bounds = model.interval(conditions, coverage=options.coverage)
    added = predicted.join(bounds)
    answer = conditions.drop(columns=added.columns, errors="ignore").join(added)
    _write_csv(answer, options.output)
    outside = int((~predicted["in_range"]).sum())
    print(f"{len(answer)} predictions written to {options.output}")
    print(f"{outside} of them outside the training range")
    return OK


def _add_monitor(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("monitor", help="compare current data with a reference")
    command.add_argument("reference", help=f"CSV, {_S3}")
    command.add_argument("current", help=f"CSV, {_S3}")
    command.add_argument("--model", help=f"watch its predictions and errors too; {_S3}")
    command.add_argument("--level", type=float, default=0.01, help="chance of any false alarm")
    command.add_argument("--json", type=Path, help="report as JSON")
    command.add_argument("--html", type=Path, help="report as one page")
    command.set_defaults(run=_monitor)


def _monitor(options: argparse.Namespace) -> int:
    model = _read_file(options.model, load_yield_model) if options.model else None
    report = detect_drift(
        _read_csv(options.reference), _read_csv(options.current), model=model, level=options.level
    )
    if options.json:
        report.to_json(options.json)
    if options.html:
        from reactor_yield.report import write_drift_page

        write_drift_page(report, options.html)
    for cause in report.causes:
        print(cause)
    print("drift found" if report.drifted else "no drift found")
    return FOUND if report.drifted else OK


def _add_alarm(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("alarm", help="low yield, or a hot spot about to run away")
    kinds = command.add_subparsers(required=True, metavar="KIND")
    low = kinds.add_parser("yield", help="predicted yield below target by more than its error")
    low.add_argument("model", help=f"model file, {_S3}")
    low.add_argument("conditions", help=f"CSV with the current conditions, {_S3}")
    low.add_argument("--baseline", help=f"CSV of good operation, {_S3}; default: training medians")
    low.add_argument("--target", type=float, help="default: the yield predicted for the baseline")
    low.add_argument("--causes", help=f"CSV of the conditions that explain each alarm, {_S3}")
    low.add_argument("--top", type=int, default=3, help="causes to print for each alarm")
    low.set_defaults(run=_alarm_yield)
    hot = kinds.add_parser("hot-spot", help="forecast T_max from a time series")
    hot.add_argument("history", help=f"CSV with minute and T_max to learn from, {_S3}")
    hot.add_argument("recent", help=f"CSV of the same kind to forecast, {_S3}")
    hot.add_argument("--lead", type=int, default=1, help="samples ahead")
    hot.add_argument("--above", type=float, default=740.0, help="K, alarm when forecast above")
    hot.add_argument("--output", help=f"CSV of forecasts and alarms, {_S3}")
    hot.set_defaults(run=_alarm_hot_spot)


def _alarm_yield(options: argparse.Namespace) -> int:
    model = _read_file(options.model, load_yield_model)
    found = low_yield_alarm(
        model,
        _read_csv(options.conditions),
        target=options.target,
        baseline=_read_csv(options.baseline) if options.baseline else None,
    )
    if options.causes:
        _write_csv(found.causes, options.causes)
    print(f"target {found.target:.4f}: {found.n_alarms} of {len(found.rows)} rows in alarm")
    for label, causes in found.causes.groupby("row", sort=False):
        row = found.rows.loc[label]
        print(f"row {label}: predicted {row['predicted']:.4f}, at most {row['upper']:.4f}")
        for cause in causes.head(options.top).itertuples():
            print(
                f"  {cause.rank}. {cause.condition} {cause.baseline:.4g} -> {cause.current:.4g}: "
                f"yield {cause.effect:+.4f}"
            )
    return FOUND if found.n_alarms else OK


def _alarm_hot_spot(options: argparse.Namespace) -> int:
    from reactor_yield.monitoring.runaway import forecast_hot_spot

    history, recent = _read_csv(options.history), _read_csv(options.recent)
    for name, table in (("history", history), ("recent", recent)):
        missing = [c for c in ("minute", "T_max") if c not in table.columns]
        if missing:
            message = f"the {name} lacks the columns {missing}; found {list(table.columns)}"
            raise InvalidConditionsError(message)
    forecast = forecast_hot_spot(history, recent, lead=options.lead)
    forecast["alarm"] = forecast["T_max"] > options.above
    if options.output:
        _write_csv(forecast, options.output)
    n_alarms = int(forecast["alarm"].sum())
    print(f"{n_alarms} of {len(forecast)} forecasts above {options.above:g} K")
    return FOUND if n_alarms else OK


def _add_serve(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("serve", help="answer predictions over HTTP")
    command.add_argument("model", help=f"model file, {_S3}")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8080)
    command.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from reactor_yield.serving.app import serve

    _read_file(options.model, lambda path: serve(path, host=options.host, port=options.port))
    return OK


def _write_summary(data: pd.DataFrame, path: Path) -> None:
    from reactor_yield.report import write_data_summary

    write_data_summary(data, check_dataset(data), path)
    print(f"summary written to {path}")


def _read_csv(location: str) -> pd.DataFrame:
    return _read_file(location, pd.read_csv)


def _write_csv(table: pd.DataFrame, location: str) -> None:
    _write_file(location, lambda path: table.to_csv(path, index=False))


def _read_file(location: str, read: Callable[[Path], Result]) -> Result:
    """Read a local file, or one fetched from S3 for the purpose."""
    if not is_s3(location):
        return read(Path(location))
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        download(location, local)
        return read(local)


def _write_file(location: str, write: Callable[[Path], object]) -> None:
    """Write a local file, or one that is then put into S3."""
    if not is_s3(location):
        Path(location).parent.mkdir(parents=True, exist_ok=True)
        write(Path(location))
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        write(local)
        upload(local, location)
