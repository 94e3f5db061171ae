"""What plants, schedules, regions and plans show in a notebook: a line, a chart, a table.

The `_repr_html_` of each comes here: the one door from the nouns up to the charts.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from stnopt.plot.style import draw_svg

if TYPE_CHECKING:
    import pandas as pd

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.feasibility.fit_report import FittedRegion
    from stnopt.feasibility.one_vs_one import UnionRegion
    from stnopt.feasibility.region import Region
    from stnopt.feasibility.samples import TargetSamples
    from stnopt.planning.plan import Plan, PlanSearch
    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch

_MOST_ROWS = 20  # of a table; pandas leaves out the middle
_MOST_DRAWN = 400  # batches or tasks of a chart: more cannot be told apart


def show_network(network: Network) -> str:
    """Return the network drawn, and what runs where."""
    import pandas as pd

    from stnopt.plot.network import plot_network

    rows = [
        (fit.task, fit.unit, fit.min_batch, fit.max_batch, fit.duration(fit.max_batch))
        for fit in network.suitabilities
    ]
    titles = ["task", "unit", "smallest batch", "largest batch", "time of the largest"]
    drawn = len(network.tasks) <= _MOST_DRAWN
    chart = _chart(plot_network, network) if drawn and network.tasks else ""
    return _said(network) + chart + _table(pd.DataFrame(rows, columns=titles))


def show_schedule(schedule: Schedule) -> str:
    """Return the Gantt chart, and its batches in a table."""
    from stnopt.plot.gantt import plot_gantt

    drawn = 0 < len(schedule.batches) <= _MOST_DRAWN
    chart = _chart(plot_gantt, schedule) if drawn else ""
    return _said(schedule) + chart + _table(schedule.to_frame())


def show_search(search: ScheduleSearch) -> str:
    """Return what was found and proven, and the schedule."""
    return _said(search) + ("" if search.schedule is None else show_schedule(search.schedule))


def show_certified(region: CertifiedRegion) -> str:
    """Return the frontier of two or three products drawn; for more, what its schedules make."""
    from stnopt.plot.frontier import plot_frontier

    if len(region.products) <= 3:
        return _said(region) + _chart(plot_frontier, region)
    return _said(region) + _table(region.points)


def show_region(region: Region | UnionRegion) -> str:
    """Return a learned region of two inputs drawn."""
    from stnopt.plot.region import plot_region

    known = len(region.inputs) == 2 and (region.upper > region.lower).all()
    return _said(region) + (_chart(plot_region, region) if known else "")


def show_fit(fit: FittedRegion) -> str:
    """Return the learned region, and how good it is."""
    report = f"<pre>{escape(str(fit.report))}</pre>"
    return show_region(fit.region) + report


def show_samples(samples: TargetSamples) -> str:
    """Return the targets and their labels."""
    return _said(samples) + _table(samples.to_frame())


def show_plan(plan: Plan) -> str:
    """Return what is made, shipped and lost."""
    parts = [
        f"<h4>{part}</h4>{_table(plan.to_frame(part))}"
        for part in ("production", "shipments", "lost")
        if getattr(plan, part)
    ]
    return _said(plan) + "".join(parts)


def show_plan_search(search: PlanSearch) -> str:
    """Return what the plan costs and what is proven of it, and the plan."""
    return _said(search) + ("" if search.plan is None else show_plan(search.plan))


def _said(shown: object) -> str:
    """Return the line that `repr` has."""
    return f"<p><code>{escape(repr(shown))}</code></p>"


def _chart(draw: Any, shown: object) -> str:
    """Return what a function of `stnopt.plot` draws, at the size of a column of a page."""
    return f'<div style="max-width: 50em">{draw_svg(draw, shown)}</div>'


def _table(frame: pd.DataFrame) -> str:
    """Return a table, with what its middle leaves out said below."""
    text = frame.to_html(index=False, max_rows=_MOST_ROWS, border=0, float_format="{:.6g}".format)
    left_out = f"<p>{len(frame)} rows</p>" if len(frame) > _MOST_ROWS else ""
    return f"{text}{left_out}"
