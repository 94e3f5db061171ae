"""A schedule as one self-contained HTML file: charts that zoom, and a table, without a network."""

from __future__ import annotations

import json
from html import escape

from stnopt.arguments import check_arguments
from stnopt.errors import InvalidInputError
from stnopt.page.charts import Figure, TimeAxis, gantt_figure, stock_figure, utility_figure
from stnopt.plant.network import Network
from stnopt.scheduling.schedule import Schedule

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; color: #1d1d1d; margin: 1rem auto }}
body {{ max-width: 75rem; padding: 0 1rem }}
table {{ border-collapse: collapse }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.2rem 0.8rem; text-align: left }}
div.wide {{ overflow-x: auto }}
td.number {{ text-align: right }}
</style>
<script>{library}</script>
</head>
<body>
<h1>{title}</h1>
{figures}
<h2>Batches</h2>
<div class="wide">{table}</div>
</body>
</html>
"""


def schedule_to_html(schedule: Schedule, network: Network) -> str:
    """Write a schedule as one HTML file to mail around.

    Parameters
    ----------
    schedule : Schedule
        Its times are shown as clock times where it has a date.
    network : Network

    Returns
    -------
    str
        The page. It holds the chart library, some 4 MB, and needs nothing from elsewhere.

    Raises
    ------
    InvalidInputError
        If the extra `page` is not installed.
    """
    check_arguments(schedule=(schedule, Schedule), network=(network, Network))
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise InvalidInputError(
            "interactive charts need the package plotly: pip install 'stnopt[page]'"
        ) from error
    figures = {
        "Schedule": gantt_figure(schedule, network),
        "Stocks": stock_figure(schedule, network),
    }
    if network.utilities:
        figures["Utilities"] = utility_figure(schedule, network)
    unit = f" {network.time_unit}".rstrip()
    return _PAGE.format(
        title=escape(f"{network.name}, {schedule.horizon:g}{unit}"),
        library=get_plotlyjs(),
        figures="\n".join(_drawn(n, *item) for n, item in enumerate(figures.items())),
        table=_table(schedule, network),
    )


def _drawn(number: int, title: str, figure: Figure) -> str:
    parts = (json.dumps(figure[key]).replace("</", "<\\/") for key in ("data", "layout", "config"))
    return (
        f'<h2>{title}</h2><div id="figure{number}" role="figure" aria-label="{title}"></div>'
        f"<script>Plotly.newPlot('figure{number}', {', '.join(parts)});</script>"
    )


def _table(schedule: Schedule, network: Network) -> str:
    frame = schedule.to_frame().sort_values(["unit", "start"])
    axis = TimeAxis(schedule.date, network.time_unit)
    time_unit = "" if schedule.date else network.time_unit
    units = {"start": time_unit, "finish": time_unit, "size": network.amount_unit}
    titles = [f"{name} [{units[name]}]" if units.get(name) else name for name in frame.columns]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    rows = [
        f"<tr><td>{escape(task)}</td><td>{escape(unit)}</td>"
        + "".join(
            f'<td class="number">{text}</td>'
            for text in (_time(begin, schedule, axis), _time(end, schedule, axis), f"{size:.6g}")
        )
        + "</tr>"
        for task, unit, begin, end, size in frame.itertuples(index=False)
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _time(time: float, schedule: Schedule, axis: TimeAxis) -> str:
    return axis.told(time) if schedule.date else f"{time:.4g}"
