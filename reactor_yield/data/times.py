"""Time stamps as plants write them, read in one way everywhere."""

from __future__ import annotations

import pandas as pd

_DAY_FIRST = r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?"


def parse_times(values: pd.Series) -> pd.Series:
    """Time stamps in UTC; what is none is missing.

    Read are ISO 8601 (`2025-03-01 06:30`, with or without a zone) and day, month and year with
    dots (`01.03.2025 06:30`). With slashes nobody can tell the day from the month.

    Parameters
    ----------
    values : (n,) Series
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.to_datetime(values, utc=True)
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    parts = text.str.extract(f"^{_DAY_FIRST}$")
    dotted = parts[0].notna()
    stamps = pd.to_datetime(text.where(~dotted, ""), errors="coerce", format="ISO8601", utc=True)
    if dotted.any():
        names = dict(enumerate(["day", "month", "year", "hour", "minute", "second"]))
        numbers = parts[dotted].rename(columns=names).astype(float).fillna(0.0)
        stamps = stamps.astype("datetime64[us, UTC]")
        stamps[dotted] = pd.to_datetime(numbers, errors="coerce", utc=True).astype(stamps.dtype)
    return stamps
