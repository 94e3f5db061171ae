"""The view in which a schedule is asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nicegui import ui

from stnopt.errors import StnoptError
from stnopt.page.session import Scenario
from stnopt.page.solving import Job
from stnopt.plant.objective import OBJECTIVES
from stnopt.scheduling.search.find_schedule import find_schedule

if TYPE_CHECKING:
    from stnopt.page.app import Page
    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.search.result import ScheduleSearch


def build(page: Page) -> None:
    """Lay out what is asked, and a button."""
    problem = page.session.problem
    network = page.session.network
    with ui.row().classes("items-end gap-4"):
        objective = ui.select(list(OBJECTIVES), value=problem.objective, label="Objective")
        objective.classes("w-40")
        horizon = ui.number(_with_unit("Horizon", network.time_unit), value=problem.horizon)
        limit = ui.number("Time limit [s]", value=30, min=1)
        ui.button("Find the best schedule", on_click=lambda: ask())
    targets: dict[str, ui.number] = {}
    with ui.expansion("At least this much at the end").classes("w-full"), ui.row():
        for name in network.products or network.states:
            label = _with_unit(name, network.amount_unit)
            targets[name] = ui.number(label, value=problem.targets.get(name), min=0)

    def ask() -> None:
        asked = {s: float(n.value) for s, n in targets.items() if n.value not in (None, "", 0)}
        try:
            page.session.problem = replace(
                page.session.problem,
                objective=objective.value,
                horizon=None if horizon.value is None else float(horizon.value),
                targets=asked,
            )
        except StnoptError as error:
            page.tell(str(error), bad=True)
            return
        ask_schedule(page, page.session.problem, float(limit.value or 30))


def ask_schedule(page: Page, problem: Problem, time_limit: float) -> None:
    """Search for a schedule beside the page, and keep it as a scenario."""
    session = page.session

    def take(search: ScheduleSearch) -> None:
        if search.schedule is None:
            page.tell(_no_schedule(search), bad=True)
            return
        number = len(session.scenarios) + 1
        page.keep(
            Scenario(
                name=f"{number} {problem.objective}",
                network=session.network,
                problem=problem,
                schedule=search.schedule,
                value=search.result.objective,
                bound=search.bound,
                note=told(search, problem, session.network),
            )
        )

    job = Job(
        find_schedule,
        session.network,
        problem,
        start=session.state,
        time_limit=time_limit,
        tells=True,
    )
    page.ask(f"Searching, at most {time_limit:g} s", take, job)


def told(search: ScheduleSearch, problem: Problem, network: Network) -> str:
    """Say what a schedule is worth and what is proven of it."""
    value = search.result.objective
    counted = OBJECTIVES[problem.objective].unit
    unit = {"amount": network.amount_unit, "time": network.time_unit}.get(counted, "")
    text = f"{problem.objective}: {value:.6g} {unit}".rstrip() if value is not None else ""
    if search.missing:
        text += f", with {search.missing:.3g} of the orders' weight missing"
    if search.proof.scope == "any schedule":
        return f"{text}. Proven: no schedule is better."
    if search.bound is not None and search.gap is not None and math.isfinite(search.gap):
        text += f". No schedule is better than {search.bound:.6g} (gap {search.gap:.1%})"
    reasons = {
        "time limit": "The time limit ended the search.",
        "interrupted": "You stopped the search.",
        "no further gain": "More event points gave nothing better; that is no proof.",
    }
    return f"{text}. {reasons.get(search.stopped, '')}".strip()


def _no_schedule(search: Any) -> str:
    if search.result.status.value == "infeasible":
        return "No schedule exists, whatever its event points."
    return "No schedule was found in that time, and none was shown not to exist: give it more."


def _with_unit(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name
