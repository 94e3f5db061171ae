"""The scheduled job: compare, write the report into a folder or to S3, keep its history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from reactor_yield.errors import StorageError
from reactor_yield.files import files_together, is_s3, read_csv

if TYPE_CHECKING:
    from reactor_yield.monitoring.drift_report import DriftReport

HISTORY = "history.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutput:
    """What a run of the job wrote.

    Attributes
    ----------
    report, page, history
        Locations of the run's JSON, its page, and the table of all runs.
    """

    report: str
    page: str
    history: str


def write_job(report: DriftReport, folder: str | Path, *, now: datetime | None = None) -> JobOutput:
    """Write one run into a folder or S3 prefix, all of it together.

    `report-TIME.json` and `report-TIME.html` of this run, `latest.json`, `history.csv` with a line
    per run, and `history.png`, which draws it.

    Parameters
    ----------
    report
        From `detect_drift`.
    folder
        Made if it is not there; or `s3://bucket/prefix`.
    now
        Time of the run; the clock's by default.

    Raises
    ------
    StorageError
        When the folder cannot be written or its history is not ours.
    """
    from reactor_yield.report import drift_page, history_picture

    time = (now or datetime.now(UTC)).astimezone(UTC)
    where = str(folder).rstrip("/")
    if not is_s3(where):
        try:
            Path(where).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            message = f"cannot make the folder {where}: {problem.strerror}"
            raise StorageError(message) from problem
    stamp = time.strftime("%Y%m%dT%H%M%SZ")
    output = JobOutput(
        report=f"{where}/report-{stamp}.json",
        page=f"{where}/report-{stamp}.html",
        history=f"{where}/{HISTORY}",
    )
    history = pd.concat([read_history(where), _line(report, time)], ignore_index=True)
    with files_together() as outputs:
        outputs.write_json(output.report, report.to_dict())
        outputs.write_text(output.page, drift_page(report))
        outputs.write_json(f"{where}/latest.json", report.to_dict())
        outputs.write_bytes(f"{where}/history.png", history_picture(history))
        outputs.write_csv(output.history, history)
    return output


def read_history(folder: str | Path) -> pd.DataFrame:
    """Read the runs so far, a line each; an empty table before the first one."""
    location = f"{str(folder).rstrip('/')}/{HISTORY}"
    if is_s3(location):
        from reactor_yield.serving.aws import list_keys

        if location not in list_keys(location):
            return pd.DataFrame()
    elif not Path(location).exists():
        return pd.DataFrame()
    table = read_csv(location)
    missing = [c for c in ("time", "drifted", "largest_distance") if c not in table.columns]
    if missing:
        message = f"{location} is no history of this job: it lacks {missing}"
        raise StorageError(message)
    return table


def _line(report: DriftReport, time: datetime) -> pd.DataFrame:
    largest = max(report.columns, key=lambda c: c.statistic, default=None)
    # A sentence may hold anything; a line of the table stays one line.
    causes = re.sub(r"\s+", " ", "; ".join(report.causes))
    return pd.DataFrame(
        {
            "time": [time.strftime("%Y-%m-%d %H:%M:%S")],
            "drifted": [report.drifted],
            "n_current": [report.n_current],
            "largest_distance": [0.0 if largest is None else round(largest.statistic, 4)],
            "column": ["none" if largest is None else largest.column],
            "undecided": [len(report.undecided)],
            "causes": [causes or "none"],
        }
    )
