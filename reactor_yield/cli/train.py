"""`reactor-yield train`: fit a yield model."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from reactor_yield.arguments import parse_limits
from reactor_yield.cli.common import (
    OK,
    S3,
    OwnColumns,
    add_own_columns,
    naming,
    not_empty,
    read_own_columns,
    read_path,
)
from reactor_yield.files import check_output, files_together, read_csv

if TYPE_CHECKING:
    import argparse

    import pandas as pd


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("train", help="fit a yield model")
    command.add_argument("data", type=not_empty, help=f"training CSV, {S3}")
    command.add_argument("output", type=not_empty, help=f"model file to write, {S3}")
    command.add_argument("--model", default="best", help="best, or one kind (default: best)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--points", type=int, default=2_500, help="of the Gaussian process")
    command.add_argument("--test", type=not_empty, help=f"CSV to measure the model on, {S3}")
    command.add_argument("--report", type=read_path, help="JSON with fit, test and importances")
    command.add_argument(
        "--gaps",
        choices=("refuse", "impute", "keep"),
        help="gaps in features: refuse, fill with what is typical, or fill and remember; default: "
        "impute for your own columns, refuse for the reactor's",
    )
    command.add_argument(
        "--limits",
        type=not_empty,
        help="smallest and largest value the target can have, such as 0,100",
    )
    add_own_columns(command)
    command.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from reactor_yield.data.check import check_dataset
    from reactor_yield.yield_model import fit_yield_model

    for output in (options.output, options.report):
        if output:
            check_output(output)
    own = read_own_columns(options)
    data = read_csv(options.data)
    own.check_present(data, name=options.data)
    test = read_csv(options.test) if options.test else None
    if own.given:
        said_gaps = [f"{c}: {n} gaps" for c in own.features if (n := int(data[c].isna().sum()))]
    else:
        check_dataset(data).raise_if_bad()
        said_gaps = []
    limits = parse_limits(options.limits, what="--limits")
    with naming(options.data), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said below, as a line of its own
        model = fit_yield_model(
            data,
            model=options.model,
            seed=options.seed,
            n_points=options.points,
            progress=True,
            limits=limits,
            **_own_arguments(own, options.gaps),
        )
    report: dict[str, object] = {"fit": model.report.to_dict()}
    said = [f"{model.report.kind} fitted to {model.report.n_rows} rows, saved to {options.output}"]
    said += [
        f"  {c} is the same in all rows: nothing is learned from it" for c in _constant(own, data)
    ]
    if said_gaps:
        said.append(f"  {'; '.join(said_gaps)} ({model.encoding.gaps})")
    if model.report.warning:
        said.append(f"  warning: {model.report.warning}")
    if model.report.n_without_target:
        said.append(f"  {model.report.n_without_target} rows without {own.target!r} left out")
    said += [
        f"  cross-validation {name:9s} mean absolute error {sum(errors) / len(errors):.5f}"
        for name, errors in model.report.cross_validation.items()
    ]
    if test is not None:
        with naming(options.test):
            said += _measure(model, test, options.seed, report)
    with files_together() as outputs:
        outputs.write_by(options.output, model.save)
        if options.report:
            outputs.write_json(options.report, report)
    print("\n".join(said))
    return OK


def _own_arguments(own: OwnColumns, gaps: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"features": own.features, "target": own.target}
    found["gaps"] = gaps or ("impute" if own.given else "refuse")
    if own.group is not None:
        found["groups"] = own.group
    if own.time is not None:
        found["time"] = own.time
    return found


def _measure(model: Any, test: pd.DataFrame, seed: int, report: dict[str, object]) -> list[str]:
    """Errors and importances on test rows, as text and into the report."""
    from reactor_yield.yield_model import evaluate_yield_model, permutation_importance

    table = evaluate_yield_model(model, test)
    importance = permutation_importance(model, test, seed=seed)
    report["test"] = table.to_dict(orient="index")
    report["importance"] = importance.to_dict(orient="records")
    return [table.round(5).to_string(), importance.round(5).to_string(index=False)]


def _constant(own: OwnColumns, data: pd.DataFrame) -> list[str]:
    return [c for c in own.features if c in data.columns and data[c].nunique() == 1]
