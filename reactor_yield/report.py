"""One-page HTML reports: they need nothing but a browser."""

from __future__ import annotations

import base64
import html
from functools import partial
from typing import TYPE_CHECKING, Any

from reactor_yield.data.columns import FEATURES, column_table
from reactor_yield.files import write_text
from reactor_yield.plot import (
    draw_panels,
    plot_correlations,
    plot_drift,
    plot_drift_history,
    plot_histogram,
    plot_scatter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from reactor_yield.data.check import DataReport
    from reactor_yield.monitoring.drift_report import DriftReport

_STYLE = (
    "body{font-family:sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;font-size:.85rem}td,th{border:1px solid #ccc;"
    "padding:.2rem .5rem;text-align:right}th{background:#eee}img{max-width:100%}.bad{color:#c31}"
)


def write_data_summary(data: pd.DataFrame, check: DataReport, path: Path | str) -> None:
    """Write `data_summary` into an HTML file, whole or not at all."""
    write_text(path, data_summary(data, check))


def data_summary(
    data: pd.DataFrame, check: DataReport, *, columns: Sequence[str] | None = None
) -> str:
    """One page about a data set: its check, figures per column, distributions, relations.

    Parameters
    ----------
    data
        Samples.
    check
        What `check_dataset` said of them.
    columns
        Features and, last, the outcome of a user's own data; by default the reference reactor's.

    Returns
    -------
    str
        The page as HTML.
    """
    table = column_table().set_index("name")
    described = data.select_dtypes("number").describe().T
    described = described.join(table[["unit", "meaning"]])[
        ["unit", "count", "mean", "std", "min", "50%", "max", "meaning"]
    ]
    named = (*FEATURES, "Yc", "T_max") if columns is None else tuple(columns)
    drawn = [c for c in named if c in data.columns and data[c].dtype.kind in "if"]
    ends = ("Yc", "T_max") if columns is None else named[-1:]
    features = [c for c in drawn if c not in ends]
    outcomes = [c for c in drawn if c in ends]
    plots: list[Callable[[Any], object]] = [
        partial(_on, plot_histogram, data, c) for c in (*features, *outcomes)
    ]
    plots += [partial(_on, plot_scatter, data, f, o) for o in outcomes[:1] for f in features]
    if len(outcomes) == 2:
        plots.append(partial(_on, plot_scatter, data, outcomes[1], outcomes[0]))
    if len(features) + len(outcomes) > 1:
        plots.append(partial(_on, plot_correlations, data, [*features, *outcomes]))
    body = [f"<h1>Data summary</h1><p>{len(data)} rows, {len(data.columns)} columns.</p>"]
    body.append("<h2>Check</h2>" + _list([p.message for p in check.problems], "Nothing found."))
    if "Mode" in data.columns:
        per_mode = data.groupby(data["Mode"].astype(str))[outcomes].agg(
            ["count", "mean", "min", "max"]
        )
        body.append("<h2>Modes</h2>" + per_mode.to_html(float_format="{:.4g}".format))
    if "status" in data.columns:
        body.append(
            "<h2>Status</h2>" + data["status"].value_counts().rename("rows").to_frame().to_html()
        )
    body.append("<h2>Columns</h2>" + described.to_html(float_format="{:.4g}".format))
    if plots:
        body.append("<h2>Distributions and relations</h2>" + _image(draw_panels(plots)))
    return _page("Data summary", body)


def write_drift_page(report: DriftReport, path: Path | str) -> None:
    """Write `drift_page` into an HTML file, whole or not at all."""
    write_text(path, drift_page(report))


def drift_page(report: DriftReport) -> str:
    """Drift report as one HTML page."""
    verdict = "Drift found" if report.drifted else "No drift found"
    body = [
        f"<h1>{verdict}</h1><p>{report.n_reference} reference rows, "
        f"{report.n_current} current rows; chance of any false alarm {report.level:g}.</p>",
        "<h2>What moved</h2>" + _list(report.causes, "Nothing."),
        "<h2>What to know beside</h2>" + _list(_beside(report), "Nothing.", mark=""),
        _image(draw_panels([partial(_on, plot_drift, report)], size=6)) if report.columns else "",
        "<h2>All tests</h2>" + report.to_frame().to_html(float_format="{:.4g}".format, index=False),
    ]
    return _page(verdict, body)


def history_picture(history: pd.DataFrame) -> bytes:
    """PNG of all runs of the monitoring job."""
    return draw_panels([partial(_on, plot_drift_history, history)], size=4)


def _beside(report: DriftReport) -> tuple[str, ...]:
    undecided = [f"{name}: undecided, its rows are too correlated" for name in report.undecided]
    return (*report.notes, *undecided)


def _on(plot: Callable[..., object], *rest: object) -> object:
    """Call a plot with the axes that `draw_panels` puts last."""
    *arguments, ax = rest
    return plot(*arguments, ax=ax)


def _image(png: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _list(lines: tuple[str, ...] | list[str], otherwise: str, mark: str = "bad") -> str:
    if not lines:
        return f"<p>{otherwise}</p>"
    return f'<ul class="{mark}">' + "".join(f"<li>{html.escape(x)}</li>" for x in lines) + "</ul>"


def _page(title: str, body: list[str]) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><body>{''.join(body)}</body></html>\n"
    )
