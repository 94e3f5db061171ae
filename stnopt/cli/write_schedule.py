"""The files of a schedule: tables, figures, and JSON that `stnopt reschedule` reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.files import check_folder
from stnopt.workbook import load_openpyxl

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import pandas as pd

    from stnopt.plant.network import Network
    from stnopt.scheduling.schedule import Schedule


def check_out(options: argparse.Namespace) -> None:
    """Refuse a folder that cannot be written to before any time is spent on a search.

    Raises
    ------
    InvalidInputError
    """
    if options.excel:
        load_openpyxl()
        if options.out is None:
            raise InvalidInputError("--excel writes a file: give --out too")
    if options.out is not None:
        check_folder(options.out, "--out")


def write_schedule(
    schedule: Schedule,
    network: Network,
    folder: Path | None,
    *,
    figures: bool = True,
    now: float | None = None,
    changes: pd.DataFrame | None = None,
    excel: bool = False,
) -> None:
    """Write a schedule into a folder, if one is given; `now` is marked in its figures.

    `excel`: also the workbook ``shift.xlsx``, whose first sheet is for the shift.
    """
    if folder is None:
        return
    import pandas as pd

    from stnopt.cli.output import figure, table, write_files
    from stnopt.scheduling.replay import replay_stock, replay_utility

    final = pd.DataFrame(schedule.final_stock.items(), columns=["state", "amount"])
    files = {
        "schedule.csv": table(schedule.to_frame()),
        "schedule.json": schedule.to_json,
        "stock.csv": table(replay_stock(schedule, network)),
        "final_stock.csv": table(final),
    }
    if excel:
        files["shift.xlsx"] = partial(schedule.to_excel, network=network)
    if network.utilities:
        files["utilities.csv"] = table(replay_utility(schedule, network))
    if schedule.orders:
        files["orders.csv"] = table(_parts(schedule))
    if changes is not None:
        files["changes.csv"] = table(changes)
    if schedule.batches and figures:
        from stnopt import plot

        files["gantt.png"] = figure(plot.plot_gantt, schedule, network=network, now=now)
        files["stock.png"] = figure(plot.plot_stock, schedule, network=network, now=now)
        if network.utilities:
            files["utilities.png"] = figure(plot.plot_utility, schedule, network=network, now=now)
    write_files(folder, files)


def _parts(schedule: Schedule) -> pd.DataFrame:
    """Return a row per part of an order that is delivered."""
    import pandas as pd

    rows = [
        (served.order.id, served.order.state, served.order.due, time, amount)
        for served in schedule.orders
        for time, amount in served.parts
    ]
    return pd.DataFrame(rows, columns=["order", "state", "due", "time", "amount"])
