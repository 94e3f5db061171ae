"""A sample of what the service was asked, kept as CSV for the monitoring job."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pandas as pd

from reactor_yield.files import csv_bytes, write_bytes

_ROWS_PER_FILE = 1_000
_SECONDS_PER_FILE = 60.0
_MOST_FILES = 1_000


class CapturedSample:
    """Keeps a share of the rows in files of at most 1,000, the newest 1,000 files.

    Parameters
    ----------
    folder
        Made if it is not there.
    share
        Of the rows; each is drawn by itself.
    seed
        Of the drawing.
    """

    def __init__(self, folder: str | Path, *, share: float, seed: int | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.share = share
        self._random = random.Random(seed)
        self._rows: list[dict[str, Any]] = []
        self._since = time.monotonic()
        self._n_files = 0

    def add(self, columns: dict[str, list[Any]], answer: dict[str, list[Any]]) -> int:
        """Draw from a request's rows; return how many were kept."""
        n = len(next(iter(columns.values())))
        chosen = [i for i in range(n) if self._random.random() < self.share]
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        for i in chosen:
            row: dict[str, Any] = {"time": stamp} | {c: v[i] for c, v in columns.items()}
            self._rows.append(row | {f"predicted_{c}": v[i] for c, v in answer.items()})
        return len(chosen)

    def take_due(self, *, now: float | None = None, force: bool = False) -> pd.DataFrame | None:
        """Rows to be written now, if there are enough of them or they have waited long enough."""
        moment = time.monotonic() if now is None else now
        waited = moment - self._since > _SECONDS_PER_FILE
        if not self._rows or not (force or waited or len(self._rows) >= _ROWS_PER_FILE):
            return None
        rows, self._rows, self._since = self._rows, [], moment
        return pd.DataFrame(rows)

    def write(self, table: pd.DataFrame) -> Path:
        """Write one file whole, and remove the oldest beyond 1,000."""
        self._n_files += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        path = self.folder / f"sample-{stamp}-{time.time_ns() % 10**9:09d}-{self._n_files}.csv"
        write_bytes(path, csv_bytes(table))
        for old in sorted(self.folder.glob("sample-*.csv"))[:-_MOST_FILES]:
            old.unlink(missing_ok=True)
        return path
