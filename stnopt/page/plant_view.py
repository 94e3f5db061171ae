"""The view of the plant as a network, with its states and tasks as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nicegui import ui

from stnopt.plot.network import plot_network
from stnopt.plot.style import draw_svg

if TYPE_CHECKING:
    from stnopt.page.app import Page


def build(page: Page) -> None:
    """Draw the network, and list what it is made of."""
    network = page.session.network
    ui.html(draw_svg(plot_network, network), sanitize=False).classes("w-full max-w-4xl").props(
        'role=img aria-label="The plant as a state-task network"'
    )
    if network.citation or network.description:
        ui.label(f"{network.citation} {network.description}".strip()).classes("max-w-4xl")
    states = [
        {
            "state": state.name,
            "at time 0": "unlimited" if state.unlimited else f"{state.initial:g}",
            "storage": "unlimited" if math.isinf(state.capacity) else f"{state.capacity:g}",
            "price": f"{state.price:g}",
            "cost": f"{state.cost:g}",
        }
        for state in network.states.values()
    ]
    runs = [
        {
            "task": fit.task,
            "unit": fit.unit,
            "batch": f"{fit.min_batch:g} to {fit.max_batch:g}",
            "time of the largest": f"{fit.duration(fit.max_batch):.4g}",
        }
        for fit in network.suitabilities
    ]
    for title, rows in (("States", states), ("Tasks on units", runs)):
        ui.label(title).props("role=heading aria-level=2").classes("font-bold")
        ui.table(rows=rows, pagination=30).classes("w-full max-w-4xl")
