"""CSV files as plants, spreadsheets and accidents write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def hostile_files(
    table: pd.DataFrame, *, first: str, second: str, number: str
) -> dict[str, tuple[bytes, bool]]:
    """Content of each file by its name, and whether it can be read.

    `first` and `second` are two columns of the table, `number` one whose numbers are exchanged.
    """
    text = table.to_csv(index=False)
    head, *lines = text.strip().split("\n")
    comma = "\n".join(
        [head.replace(",", ";"), *(x.replace(",", ";").replace(".", ",") for x in lines)]
    )
    units = "\n".join([head, ",".join("K" for _ in head.split(",")), *lines])
    at = min(5, len(lines) - 1)
    before, line, after = lines[:at], lines[at], lines[at + 1 :]
    long = "\n".join([head, *before, line + ",9,9", *after])
    short = "\n".join([head, *before, line.rpartition(",")[0], *after])
    twice = text.replace(second, first, 1)
    quote = "\n".join([head, *before, '"' + line, *after])
    return {
        "plain": (text.encode(), True),
        "bom": (b"\xef\xbb\xbf" + text.encode(), True),
        "utf-16": (text.encode("utf-16"), True),
        "utf-16 without mark": (text.encode("utf-16-be"), True),
        "latin-1": (text.encode("latin-1"), True),
        "semicolons, decimal commas": (comma.encode(), True),
        "tabs": (text.replace(",", "\t").encode(), True),
        "trailing delimiters": (text.replace("\n", ",\n").encode(), True),
        "windows line ends": (text.replace("\n", "\r\n").encode(), True),
        "empty lines": (text.replace("\n", "\n\n").encode(), True),
        "units": (units.encode(), False),
        "long line": (long.encode(), False),
        "short line": (short.encode(), False),
        "repeated name": (twice.encode(), False),
        "unfinished quote": (quote.encode(), False),
        "no header": ("\n".join(lines).encode(), False),
        "header only": (head.encode(), False),
        "empty": (b"", False),
        "spaces": (b"   \n \n", False),
        "zip": (b"PK\x03\x04" + text.encode(), False),
        "gzip": (b"\x1f\x8b" + text.encode(), False),
        "zero bytes": (text.replace("1", "\0", 1).encode(), False),
        "long field": (first.encode() + b"," + b"a" * 200_000 + b"\n1,2\n", False),
        "html": (b"<!doctype html><html><body>500</body></html>", False),
        "json": (b'[{"A": 1}]', False),
        "column of text": (
            table.assign(**{number: "Bad Input"}).to_csv(index=False).encode(),
            True,
        ),
        "column of dates": (
            table.assign(**{number: "2024-01-01"}).to_csv(index=False).encode(),
            True,
        ),
        "column of truth values": (
            table.assign(**{number: True}).to_csv(index=False).encode(),
            True,
        ),
        "endless": (table.assign(**{number: np.inf}).to_csv(index=False).encode(), True),
        "huge": (table.assign(**{number: 1e308}).to_csv(index=False).encode(), True),
        "gaps": (table.assign(**{number: None}).to_csv(index=False).encode(), True),
        "other columns": (table.rename(columns=str.lower).to_csv(index=False).encode(), True),
    }
