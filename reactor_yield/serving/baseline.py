"""Baseline files in the format of SageMaker's model monitor: statistics and constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUCKETS = 10


def describe_baseline(
    data: pd.DataFrame, columns: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe training rows as `statistics.json` and `constraints.json`.

    Parameters
    ----------
    data
        Training rows.
    columns
        To describe.

    Returns
    -------
    statistics, constraints
        As the monitor's schema has them (version 0.0 and 1.0).
    """
    statistics = {
        "version": 0.0,
        "dataset": {"item_count": len(data)},
        "features": [_statistics(data[c], c) for c in columns],
    }
    constraints = {
        "version": 0.0,
        "features": [_constraints(data[c], c) for c in columns],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": 0.1,
                "comparison_method": "Robust",
            },
        },
    }
    return statistics, constraints


def _kind(values: pd.Series) -> str:
    if not pd.api.types.is_numeric_dtype(values):
        return "String"
    return "Integral" if pd.api.types.is_integer_dtype(values) else "Fractional"


def _statistics(values: pd.Series, name: str) -> dict[str, Any]:
    known = values.dropna()
    common = {"num_present": len(known), "num_missing": len(values) - len(known)}
    kind = _kind(values)
    if kind == "String":
        counts = known.astype(str).value_counts()
        return {
            "name": name,
            "inferred_type": kind,
            "string_statistics": {
                "common": common,
                "distinct_count": len(counts),
                "distribution": {
                    "categorical": {
                        "buckets": [{"value": v, "count": int(n)} for v, n in counts.items()]
                    }
                },
            },
        }
    figures = known.to_numpy(dtype=float)
    counts, edges = np.histogram(figures, bins=_BUCKETS)
    return {
        "name": name,
        "inferred_type": kind,
        "numerical_statistics": {
            "common": common,
            "mean": float(figures.mean()),
            "sum": float(figures.sum()),
            "std_dev": float(figures.std()),
            "min": float(figures.min()),
            "max": float(figures.max()),
            "distribution": {
                "kll": {
                    "buckets": [
                        {"lower_bound": float(a), "upper_bound": float(b), "count": int(n)}
                        for a, b, n in zip(edges, edges[1:], counts, strict=False)
                    ]
                }
            },
        },
    }


def _constraints(values: pd.Series, name: str) -> dict[str, Any]:
    kind = _kind(values)
    found: dict[str, Any] = {
        "name": name,
        "inferred_type": kind,
        "completeness": float(values.notna().mean()),
    }
    if kind == "String":
        domain = sorted(values.dropna().astype(str).unique())
        return found | {"string_constraints": {"domains": domain}}
    return found | {"num_constraints": {"is_non_negative": bool((values.dropna() >= 0).all())}}
