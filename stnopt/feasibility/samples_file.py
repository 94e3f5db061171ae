"""Labelled targets as JSON and as an Excel workbook, read back exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from stnopt.errors import InvalidInputError
from stnopt.feasibility.samples import LABEL, TargetSamples
from stnopt.workbook import read_workbook, refuse_cells, write_workbook

_FORMAT = "stnopt target samples 1"


def samples_to_json(samples: TargetSamples) -> str:
    """Write samples and their scope as JSON."""
    content = {
        "format": _FORMAT,
        "scope": dict(samples.scope),
        "products": list(samples.products),
        "targets": samples.targets.to_numpy(dtype=float).tolist(),
        "labels": samples.labels.tolist(),
    }
    return json.dumps(content, allow_nan=False, ensure_ascii=False)


def samples_from_json(source: Path | str) -> TargetSamples:
    """Read what `samples_to_json` wrote: a file, or the text itself.

    Raises
    ------
    InvalidInputError
        If there is no such file, or it holds no samples.
    """
    is_text = isinstance(source, str) and source.lstrip().startswith("{")
    where = "samples" if is_text else f"samples file {str(source)!r}"
    try:
        content = json.loads(str(source) if is_text else Path(source).read_text(encoding="utf-8"))
        told = content["format"]
        targets = _frame(content["targets"], content["products"])
        labels = np.array(content["labels"], dtype=np.int64)
        samples = TargetSamples(targets=targets, labels=labels, scope=content["scope"])
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InvalidInputError(f"{where} cannot be read: {error}") from error
    if told != _FORMAT:
        raise InvalidInputError(f"{where}: expected 'format': {_FORMAT!r}, got {told!r}")
    return samples


def samples_to_excel(samples: TargetSamples, path: Path | str) -> None:
    """Write samples as a workbook with the sheets ``samples`` and ``scope``.

    Raises
    ------
    InvalidInputError
        If it cannot be written, or openpyxl is not installed (extra `excel`).
    """
    rows = [
        [*map(float, target), int(label)]
        for target, label in zip(samples.targets.to_numpy(), samples.labels, strict=True)
    ]
    facts = [(key, json.dumps(value)) for key, value in samples.scope.items()]
    write_workbook(
        path, {"samples": ([*samples.products, LABEL], rows), "scope": (["key", "value"], facts)}
    )


def samples_from_excel(path: Path | str) -> TargetSamples:
    """Read what `samples_to_excel` wrote.

    Raises
    ------
    InvalidInputError
        If it cannot be read.
    """
    where = f"samples file {str(path)!r}"
    problems: list[str] = []
    try:
        sheets = read_workbook(Path(path), problems)
        refuse_cells(problems, path)
        header, rows = sheets["samples"]
        columns = list(header)
        facts = sheets["scope"].rows if "scope" in sheets else []
        scope = {str(row["key"].value): json.loads(row["value"].value) for row in facts}
        targets = _frame([[row[c].value for c in columns[:-1]] for row in rows], columns[:-1])
        labels = np.array([int(row[columns[-1]].value) for row in rows], dtype=np.int64)
        samples = TargetSamples(targets=targets, labels=labels, scope=scope)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InvalidInputError(f"{where} cannot be read: {error}") from error
    if columns[-1:] != [LABEL]:
        raise InvalidInputError(f"{where}: expected columns of targets and then {LABEL!r}")
    return samples


def _frame(amounts: list[list[float]], columns: list[str]) -> pd.DataFrame:
    array = np.array(amounts, dtype=np.float64).reshape(-1, len(columns))
    return pd.DataFrame(array, columns=columns)
