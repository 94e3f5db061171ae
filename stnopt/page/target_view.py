"""The view of targets: which can be made, by which schedule, and why the others cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from stnopt.feasibility.certified_region import trace_frontier
from stnopt.page.charts import region_figure
from stnopt.page.schedule_view import ask_schedule
from stnopt.page.solving import Job
from stnopt.plant.problem import Problem
from stnopt.scheduling.diagnosis.explain import explain_infeasible

if TYPE_CHECKING:
    from stnopt.page.app import Page


def build(page: Page) -> None:
    """Lay out the region and the target that is asked about."""
    session = page.session
    network, problem = session.network, session.problem
    choices = [name for name in network.states if network.producers(name)]
    products = [*network.products, *(name for name in choices if name not in network.products)][:2]
    with ui.row().classes("items-end gap-4"):
        chosen = ui.select(choices, value=products, label="Two products", multiple=True)
        chosen.classes("w-56")
        horizon = ui.number("Horizon", value=problem.horizon or 8.0, min=0)
        events_number = ui.number("Event points (empty: chosen)", value=None, min=1)
        ui.button("Trace the boundary", on_click=lambda: trace())

    def trace() -> None:
        if len(chosen.value) != 2:
            page.tell("Choose two products.", bad=True)
            return
        asked: dict[str, Any] = {"horizon": float(horizon.value), "products": chosen.value}
        if events_number.value:
            asked |= {"n_events": int(events_number.value), "max_span": 0}

        def take(found: Any) -> None:
            session.region = found
            page.tell(f"The boundary is traced; {found.gap:.2%} of the box is undecided.")
            page.refresh("Targets")

        page.ask("Tracing the boundary", take, Job(trace_frontier, network, **asked))

    if session.region is None:
        ui.label("The boundary of what the plant can make has not been traced yet.")
        return
    region = session.region
    first, second = region.products
    with ui.row().classes("items-end gap-4"):
        x = ui.number(first, value=0, min=0)
        y = ui.number(second, value=0, min=0)
        ui.button("Can this be made?", on_click=lambda: answer())
    plot = ui.plotly(region_figure(region, network.amount_unit)).classes("w-full")
    plot.props('role=figure aria-label="Targets that can be made, that cannot, and the boundary"')

    def clicked(event: events.GenericEventArguments) -> None:
        points = (event.args or {}).get("points") or []
        if points:
            x.set_value(round(float(points[0]["x"]), 4))
            y.set_value(round(float(points[0]["y"]), 4))
            answer()

    plot.on("plotly_click", clicked)

    def answer() -> None:
        target = {first: float(x.value or 0), second: float(y.value or 0)}
        label = int(region.label([list(target.values())])[0])
        span = float(region.scope["horizon"])
        if label <= 0:
            ask_schedule(page, Problem(objective="cost", horizon=span, targets=target), 30.0)
            return
        job = Job(explain_infeasible, network, target, horizon=span, time_limit=15.0)
        page.ask("Asking why it cannot be made", lambda found: page.tell(str(found)), job)
