"""The view of orders: a table that can be edited, and the answer beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nicegui import ui

from stnopt.errors import StnoptError
from stnopt.page.charts import TimeAxis
from stnopt.page.schedule_view import ask_schedule

if TYPE_CHECKING:
    from stnopt.page.app import Page

_COLUMNS = ("id", "state", "amount", "due", "priority", "partial")


def build(page: Page) -> None:
    """Lay out the orders and what the shown schedule makes of them."""
    problem = page.session.problem
    rows: list[dict[str, Any]] = [
        {key: getattr(order, key) for key in _COLUMNS} for order in problem.orders
    ]
    with ui.row().classes("w-full gap-8 items-start"):
        with ui.column().classes("grow min-w-80"):
            ui.label("Orders (double-click a cell to change it)").props("role=heading aria-level=2")
            columns = [
                {"field": key, "editable": True, "flex": 1, "minWidth": 80} for key in _COLUMNS
            ]
            options = {
                "columnDefs": columns,
                "rowData": rows,
                "stopEditingWhenCellsLoseFocus": True,
                "domLayout": "autoHeight",
            }
            grid = (
                ui.aggrid(options)
                .classes("w-full")
                .style("height: auto")
                .props('aria-label="Orders"')
            )
            with ui.row().classes("items-end"):
                ui.button("Add an order", on_click=lambda: add()).props("outline")
                ui.button("Remove the last", on_click=lambda: remove()).props("outline")
                limit = ui.number("Time limit [s]", value=30, min=1)
                ui.button("Least late schedule", on_click=lambda: ask())
        with ui.column().classes("grow min-w-80"):
            ui.label("Who gets what when").props("role=heading aria-level=2")
            _answer(page)

    async def current() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await grid.get_client_data()
        return found or list(rows)  # a table that has not been drawn yet has nothing to tell

    async def add() -> None:
        taken = await current()
        options["rowData"] = rows[:] = [*taken, dict.fromkeys(_COLUMNS)]
        grid.update()

    async def remove() -> None:
        options["rowData"] = rows[:] = (await current())[:-1]
        grid.update()

    async def ask() -> None:
        try:
            asked = page.session.with_orders(await current())
            page.session.problem = replace(asked, objective="tardiness")
        except StnoptError as error:
            page.tell(str(error), bad=True)
            return
        ask_schedule(page, page.session.problem, float(limit.value or 30))


def _answer(page: Page) -> None:
    if page.shown is None or not page.shown.schedule.orders:
        ui.label("No schedule with orders is shown yet.")
        return
    schedule, network = page.shown.schedule, page.shown.network
    axis = TimeAxis(schedule.date, network.time_unit)
    rows = []
    for served in sorted(schedule.orders, key=lambda s: s.order.due):
        parts = ", ".join(f"{amount:.4g} at {axis.told(time)}" for time, amount in served.parts)
        late = served.lateness(schedule.horizon)
        verdict = f"{late:.2f} {network.time_unit} late" if late > 1e-6 else "on time"
        if served.missing:
            verdict = f"{served.missing:.4g} {network.amount_unit} missing"
        rows.append(
            {
                "order": served.order.id,
                "wanted": f"{served.order.amount:.4g} {served.order.state}",
                "due": axis.told(served.order.due),
                "delivered": parts or "-",
                "verdict": verdict,
            }
        )
    columns = [
        {"name": key, "label": key, "field": key, "align": "left"}
        for key in ("order", "wanted", "due", "delivered", "verdict")
    ]
    ui.table(columns=columns, rows=rows, row_key="order").classes("w-full")
