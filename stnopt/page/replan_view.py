"""The view in which a batch is late or a unit down, and the rest is planned again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from stnopt.page.session import Scenario
from stnopt.page.solving import Job
from stnopt.scheduling.search.changes import Down, Late
from stnopt.scheduling.search.reschedule import reschedule

if TYPE_CHECKING:
    from stnopt.page.app import Page


def build(page: Page) -> None:
    """Lay out what happened, and a button."""
    shown = page.shown
    if shown is None:
        ui.label("Find a schedule first; then say here what happened to it.")
        return
    schedule, network = shown.schedule, shown.network
    names = {
        number: f"{batch.task} on {batch.unit}, {batch.start:.2f} to {batch.finish:.2f}"
        for number, batch in enumerate(schedule.batches)
    }
    unit = f" [{network.time_unit}]" if network.time_unit else ""
    with ui.row().classes("items-end gap-4"):
        at = ui.number(f"It is now{unit}", value=0, min=0, max=schedule.horizon)
        batch = ui.select(names, label="This batch (or click it in the chart)", clearable=True)
        batch.classes("w-80")
        late = ui.number(f"is late by{unit}", value=1, min=0)
    with ui.row().classes("items-end gap-4"):
        down = ui.select(list(network.units), label="This unit is down", clearable=True)
        down.classes("w-56")
        begin = ui.number(f"from{unit}", value=0, min=0)
        end = ui.number(f"to{unit}", value=0, min=0)
        keep = ui.number(f"Keep what starts before{unit}", value=0, min=0)
        ui.button("Plan the rest again", on_click=lambda: ask())

    def choose(number: int) -> None:
        batch.set_value(number)
        now = float(at.value or 0)
        if now < schedule.batches[number].start:
            at.set_value(round(schedule.batches[number].start, 4))

    page.on_batch = choose

    def ask() -> None:
        changes: list[Any] = []
        if batch.value is not None:
            changes.append(Late(schedule.batches[batch.value], float(late.value or 0)))
        if down.value:
            changes.append(Down(down.value, float(begin.value or 0), float(end.value or 0)))
        if not changes:
            page.tell("Say which batch is late or which unit is down.", bad=True)
            return

        def take(found: Any) -> None:
            if found.schedule is None:
                page.tell("No schedule is left after that, or none was found in time.", bad=True)
                return
            counts = found.changes["change"].value_counts()
            page.keep(
                Scenario(
                    name=f"{len(page.session.scenarios) + 1} again",
                    network=found.plant,
                    problem=shown.problem,
                    schedule=found.schedule,
                    value=found.result.objective,
                    bound=found.bound,
                    note="Against the old schedule: "
                    + ", ".join(f"{number} {word}" for word, number in counts.items()),
                )
            )

        job = Job(
            reschedule,
            schedule,
            network,
            shown.problem,
            at=float(at.value or 0),
            changes=changes,
            keep_until=float(keep.value) if keep.value else None,
            time_limit=30.0,
        )
        page.ask("Planning the rest again", take, job)
