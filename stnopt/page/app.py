"""The planner's page: its frame, one user's session behind it, and the one question that runs."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import app, events, ui

from stnopt.errors import StnoptError
from stnopt.page import order_view, plant_view, replan_view, schedule_view, target_view
from stnopt.page.charts import Figure, gantt_figure, stock_figure, utility_figure
from stnopt.page.session import MOST_BYTES, Scenario, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.page.solving import Job

_VIEWS = {
    "Schedule": schedule_view.build,
    "Orders": order_view.build,
    "Targets": target_view.build,
    "Plan again": replan_view.build,
    "Plant": plant_view.build,
}


class Page:
    """One user's page.

    Parameters
    ----------
    session : Session
        What this user works on; it is there again after a reload.
    remember : function
        Gets the session of a plant that was opened in the place of this one.

    Attributes
    ----------
    shown : Scenario or None
        The schedule that is drawn.
    """

    def __init__(self, session: Session, remember: Callable[[Session], None]) -> None:
        self.session = session
        self._remember = remember
        self.shown: Scenario | None = session.scenarios[-1] if session.scenarios else None
        self._places: dict[str, ui.column] = {}
        self._charts: dict[str, ui.plotly] = {}
        self._job: Job | None = None
        self._take: Callable[[Any], None] | None = None
        self._what = ""
        self.on_batch: Callable[[int], None] | None = None
        self._build()

    def _build(self) -> None:
        ui.colors(primary="#0b5394")
        with ui.header().classes("items-center bg-slate-800 text-white px-4 py-2 gap-4"):
            self._title = ui.label().classes("text-lg font-bold").props("role=heading aria-level=1")
            ui.space()
            with ui.row().classes("items-center gap-2"):
                upload = ui.upload(
                    on_upload=self._upload,
                    on_rejected=lambda: self.tell("That file is too large for a plant.", bad=True),
                    max_file_size=MOST_BYTES,
                    auto_upload=True,
                )
                upload.props("accept=.yaml,.yml,.json,.xlsx").classes("hidden")
                pick = partial(upload.run_method, "pickFiles")
                ui.button("Open a plant file", on_click=lambda: pick(), color="blue-grey-7")
                ui.button("Save the plant", on_click=self._download_plant, color="blue-grey-7")
        self._message = ui.label().classes("w-full px-4 whitespace-pre-wrap text-red-900")
        self._message.props("role=status aria-live=polite")
        self._message.set_visibility(False)
        with ui.row().classes("w-full px-4 items-center gap-3") as self._busy:
            ui.spinner(size="sm").props('aria-hidden="true"')
            self._progress = ui.label().props("role=status aria-live=polite")
            ui.button("Stop", on_click=self.stop, color="red-9")
        with ui.tabs().classes("w-full").props("aria-label=Views align=left") as tabs:
            for name in _VIEWS:
                ui.tab(name)
        with ui.tab_panels(tabs, value="Schedule").classes("w-full") as panels:
            for name in _VIEWS:
                with ui.tab_panel(name):
                    self._places[name] = ui.column().classes("w-full")
                self.refresh(name)
        self._panels = panels
        self._result = ui.column().classes("w-full px-4")
        self._draw_result()
        self._show_state()
        ui.timer(0.2, self._look)

    def refresh(self, view: str) -> None:
        """Lay out a view anew."""
        place = self._places[view]
        place.clear()
        with place:
            _VIEWS[view](self)

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Say something above the views; it stays until the next one."""
        self._message.set_text(text)
        self._message.set_visibility(bool(text))
        self._message.classes(replace=_message_classes(bad=bad))

    def ask(self, what: str, take: Callable[[Any], None], job: Job) -> None:
        """Run a question beside the page; `take` gets its answer."""
        if self._job is not None:
            job.close()
            self.tell("Something is being solved already; stop it first.", bad=True)
            return
        self.tell("")
        self._job, self._take, self._what = job, take, what
        self._show_state()

    def stop(self) -> None:
        """Let the running question end with what it has."""
        if self._job is not None:
            self._job.stop()
            self._what = f"Stopping: {self._what}"

    def _look(self) -> None:
        """See whether the question has an answer."""
        if self._job is None:
            return
        state = self._job.poll()
        if state == "running":
            self._show_state()
            return
        job, take = self._job, self._take
        self._job = self._take = None
        self._show_state()
        if state == "done" and take is not None:
            take(job.answer)
        else:
            self.tell(job.error or "Stopped before there was an answer.", bad=state == "failed")

    def _show_state(self) -> None:
        self._title.set_text(f"{self.session.network.name} - stnopt")
        busy = self._job is not None
        self._busy.set_visibility(busy)
        if self._job is not None:
            self._progress.set_text(f"{self._what} ({self._job.seconds:.0f} s){_best(self._job)}")

    def keep(self, scenario: Scenario) -> None:
        """Keep a schedule as a scenario, and show it."""
        self.session.scenarios.append(scenario)
        self.show(scenario)

    def show(self, scenario: Scenario | None) -> None:
        """Draw a scenario below the views."""
        self.shown = scenario
        self._draw_result()
        for name in ("Orders", "Plan again"):
            self.refresh(name)

    def _draw_result(self) -> None:
        """Draw the scenario that is shown; charts that are there already change in place."""
        shown = self.shown
        if shown is None:
            self._result.clear()
            self._charts = {}
            return
        figures = {
            "Gantt chart: a bar per batch in a row per unit": gantt_figure,
            "Stock of each state over time": stock_figure,
        }
        if shown.network.utilities:
            figures["What is drawn of each utility over time"] = utility_figure
        drawn = {name: draw(shown.schedule, shown.network) for name, draw in figures.items()}
        if set(drawn) != set(self._charts):
            self._result.clear()
            with self._result:
                self._build_result(drawn)
        self._bar.clear()
        with self._bar:
            self._scenario_bar()
        self._note.set_text(shown.note)
        for name, figure in drawn.items():
            self._charts[name].update_figure(figure)
        self._batches.update_from_pandas(shown.schedule.to_frame().round(4))

    def _build_result(self, drawn: dict[str, Figure]) -> None:
        """Lay out what a scenario is shown in."""
        self._bar = ui.row().classes("w-full items-center gap-2")
        self._note = ui.label().classes("whitespace-pre-wrap")
        self._charts = {}
        for name, figure in drawn.items():
            titles = {"Gantt": "", "Stock": "Stocks"}
            title = titles.get(name.split()[0], "Utilities")
            place = ui.expansion(title, value=True) if title else ui.column()
            with place.classes("w-full"):
                chart = ui.plotly(figure).classes("w-full")
                chart.props(f'role=figure aria-label="{name}"')
            self._charts[name] = chart
            if not title:
                chart.on("plotly_click", self._clicked)
                with ui.expansion("Batches as a table").classes("w-full"):
                    self._batches = ui.table(rows=[], pagination=20).classes("w-full")

    def _scenario_bar(self) -> None:
        """Scenarios side by side: one is drawn, all can be compared and downloaded."""
        for scenario in self.session.scenarios:
            value = "" if scenario.value is None else f": {scenario.value:.6g}"
            button = ui.button(f"{scenario.name}{value}", on_click=partial(self.show, scenario))
            button.props("no-caps" if scenario is self.shown else "no-caps outline")
        ui.space()
        if len(self.session.scenarios) > 1:
            ui.button("Compare", on_click=self._compare).props("outline")
        ui.button("CSV", on_click=self._download_csv).props("outline")
        ui.button("HTML", on_click=self._download_html).props("outline")

    def _compare(self) -> None:
        """Show all scenarios in one table."""
        rows = [
            {
                "scenario": scenario.name,
                "objective": scenario.problem.objective,
                "value": "-" if scenario.value is None else f"{scenario.value:.6g}",
                "no better than": "-" if scenario.bound is None else f"{scenario.bound:.6g}",
                "batches": len(scenario.schedule.batches),
                "last ends": f"{max((b.finish for b in scenario.schedule.batches), default=0):.2f}",
            }
            for scenario in self.session.scenarios
        ]
        with ui.dialog(value=True).props('aria-label="Scenarios compared"'), ui.card():
            ui.table(rows=rows)

    def _clicked(self, event: events.GenericEventArguments) -> None:
        points = (event.args or {}).get("points") or []
        number = points[0].get("customdata") if points else None
        if isinstance(number, int) and number >= 0 and self.on_batch is not None:
            self.on_batch(number)
            self._panels.set_value("Plan again")

    async def _upload(self, event: events.UploadEventArguments) -> None:
        content = await event.file.read()
        try:
            session = await asyncio.to_thread(Session.of_upload, event.file.name, content)
        except StnoptError as error:
            self.tell(str(error), bad=True)
            return
        self.session = session
        self._remember(session)
        self.show(None)
        self.tell(f"{session.network.name} is open.")
        self._show_state()
        for name in _VIEWS:
            self.refresh(name)

    def _download_plant(self) -> None:
        name = self.session.network.name.replace("/", "-")
        ui.download.content(self.session.written(), f"{name}.yaml")

    def _download_csv(self) -> None:
        if self.shown is not None:
            text = self.shown.schedule.to_frame().to_csv(index=False)
            ui.download.content(text, f"{self.shown.name}.csv")

    def _download_html(self) -> None:
        if self.shown is not None:
            from stnopt.page.html import schedule_to_html

            text = schedule_to_html(self.shown.schedule, self.shown.network)
            ui.download.content(text, f"{self.shown.name}.html")


def _best(job: Job) -> str:
    """Say what the best so far is worth, and what nothing is better than."""
    known = job.progress
    if known is None:
        return ""
    value = "no schedule yet" if known.value is None else f"best so far {known.value:.6g}"
    bound = "" if known.bound is None else f", none better than {known.bound:.6g}"
    gap = "" if known.gap is None else f" (gap {known.gap:.1%})"
    return f": {value}{bound}{gap}; {known.what}"


def _message_classes(*, bad: bool) -> str:
    colour = "text-red-900" if bad else "text-slate-900"
    return f"w-full px-4 whitespace-pre-wrap {colour}"


def run(plant: str, *, port: int, show: bool, host: str = "127.0.0.1") -> None:
    """Serve the page until it is stopped, on this machine only if no other host is given.

    Parameters
    ----------
    plant : str
        A plant file, tables, or an example; every user begins with it.
    port : int
    show : bool
        Whether to open a browser.
    host : str
        Address that is served on.

    Raises
    ------
    InvalidInputError
        If the plant cannot be read.
    """
    Session.of_plant(plant)  # what is wrong with it is said before anything is served

    sessions: dict[str, Session] = {}

    @ui.page("/", title="stnopt")
    def page() -> None:
        visitor = str(app.storage.browser["id"])
        if visitor not in sessions:
            sessions[visitor] = Session.of_plant(plant)
        Page(sessions[visitor], lambda opened: sessions.update({visitor: opened}))

    ui.run(
        host=host,
        port=port,
        show=show,
        reload=False,
        show_welcome_message=False,
        language="en-US",
        storage_secret=secrets.token_hex(),
        reconnect_timeout=60.0,
    )
