"""`reactor-yield monitor`: compare current data with a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor_yield.cli.common import (
    BAD_INPUT,
    FOUND,
    OK,
    S3,
    add_own_columns,
    name_list,
    not_empty,
    read_own_columns,
    read_path,
)
from reactor_yield.files import check_folder, check_output, files_together, local_copy, read_csv

if TYPE_CHECKING:
    import argparse

    from reactor_yield.monitoring.drift_report import DriftReport


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("monitor", help="compare current data with a reference")
    command.add_argument("reference", type=not_empty, help=f"CSV, {S3}")
    command.add_argument("current", type=not_empty, help=f"CSV, {S3}")
    command.add_argument(
        "--model", type=not_empty, help=f"watch its predictions and errors too; {S3}"
    )
    command.add_argument("--level", type=float, default=0.01, help="chance of any false alarm")
    command.add_argument("--json", type=read_path, help="report as JSON")
    command.add_argument("--html", type=read_path, help="report as one page")
    command.add_argument(
        "--folder",
        type=not_empty,
        help="folder or s3://bucket/prefix for this run's report and the history",
    )
    add_own_columns(command, target=False)
    command.set_defaults(run=_monitor)


def _monitor(options: argparse.Namespace) -> int:
    from reactor_yield.monitoring.drift import detect_drift
    from reactor_yield.yield_model import load_yield_model

    for output in (options.json, options.html):
        if output:
            check_output(output)
    if options.folder:
        check_folder(options.folder)
    model = None
    if options.model:
        with local_copy(options.model) as path:
            model = load_yield_model(path)
    features = name_list(options.features)
    if features is None and options.columns:
        features = read_own_columns(options).features
    report = detect_drift(
        read_csv(options.reference),
        read_csv(options.current),
        model=model,
        features=features,
        groups=options.group,
        time=options.time,
        level=options.level,
    )
    _write(report, options)
    for sentence in (*report.notes, *report.causes):
        print(sentence)
    if report.undecided:
        print(
            f"undecided: {', '.join(report.undecided)}: the rows are so correlated that no level "
            "can be stated; compare longer stretches"
        )
    if report.drifted:
        print("drift found")
        return FOUND
    if not report.columns or set(report.undecided) == {c.column for c in report.columns}:
        print("nothing could be judged")
        return BAD_INPUT
    print("no drift found")
    return OK


def _write(report: DriftReport, options: argparse.Namespace) -> None:
    if options.folder:
        from reactor_yield.monitoring.job import write_job

        written = write_job(report, options.folder)
        print(f"report written to {written.report}")
    with files_together() as outputs:
        if options.json:
            outputs.write_json(options.json, report.to_dict())
        if options.html:
            from reactor_yield.report import drift_page

            outputs.write_text(options.html, drift_page(report))
