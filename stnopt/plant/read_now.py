"""The section `now:` of a file: from plain values to the plant's state at time 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stnopt.plant.read_asked import read_orders
from stnopt.plant.read_calendar import Clock
from stnopt.plant.read_plant import BESIDE_PLANT
from stnopt.plant.state import LastTask, PlantState, RunningBatch
from stnopt.plant.values import (
    described,
    known_entries,
    made,
    named_entries,
    read_number,
    read_numbers,
    read_text,
)

_NOW_KEYS = ("stocks", "running", "held", "last", "since_cleaning", "open_orders")
_LATER = dict.fromkeys(("ages", "campaign", "tanks"), "not supported yet; leave it out")


def holds_no_state(document: object) -> bool:
    """Whether a document is a plant or a problem with no `now:` beside it."""
    if not isinstance(document, Mapping) or "now" in document:
        return False
    return any(key in document for key in ("plant", "problem", "states"))


def read_now_document(document: object, problems: list[str]) -> PlantState | None:
    """Find the state in a document and read it; what is left of it, if parts have problems.

    None where nothing can be read, or what is left does not fit together.
    """
    if not isinstance(document, Mapping):
        problems.append(f"expected a mapping with the key now, got {described(document)}")
        return None
    given: object = document
    if "now" in document:
        known_entries(document, "beside now", ("plant", *BESIDE_PLANT), (), problems)
        given = document["now"]
    elif holds_no_state(document):
        problems.append("the file says nothing about the plant at time 0: the key now is missing")
        return None
    clock = Clock(document)
    entries = known_entries(given, "now", _NOW_KEYS, (), problems, _LATER)
    values: dict[str, Any] = {}
    if "stocks" in entries:
        values["stocks"] = _read_amounts(entries["stocks"], "now: stocks", problems)
    if "running" in entries:
        values["running"] = _read_running(entries["running"], clock, problems)
    if "held" in entries:
        values["held"] = {
            unit: _read_amounts(row, f"now: held in {unit!r}", problems)
            for unit, row in named_entries(entries["held"], "now: held", problems).items()
        }
    if "last" in entries:
        values["last"] = _read_last(entries["last"], clock, problems)
    if "since_cleaning" in entries:
        values["since_cleaning"] = _read_counts(entries["since_cleaning"], problems)
    if "open_orders" in entries:
        where = "now: open_orders"
        values["open_orders"] = read_orders(entries["open_orders"], where, None, clock, problems)
    n_before = len(problems)
    state = made(PlantState, problems, **values)
    problems[n_before:] = [f"now: {sentence}" for sentence in problems[n_before:]]
    return state


def _read_amounts(value: object, where: str, problems: list[str]) -> dict[str, float]:
    """Read amounts by state; nothing in place of what cannot be read, so that its name is known."""
    amounts = read_numbers(value, where, "amount", problems)
    return {state: 0.0 if math.isnan(amount) else amount for state, amount in amounts.items()}


def _read_running(value: object, clock: Clock, problems: list[str]) -> list[RunningBatch]:
    if not isinstance(value, list | tuple):
        problems.append(
            "now: running must be a list of {task: ..., unit: ..., started: ..., size: ..., "
            "remaining: ...}, got " + described(value)
        )
        return []
    batches = []
    numbers = ("started", "size", "remaining")
    for count, row in enumerate(value, 1):
        n_before = len(problems)
        owner = f"now: running batch {count}"
        required = ("task", "unit", *numbers)
        entries = known_entries(row, owner, (*required, "released"), required, problems)
        values: dict[str, Any] = {
            key: read_number(entries[key], f"{owner}: {key}", problems)
            for key in ("size", "remaining")
            if key in entries
        }
        if "started" in entries:
            where = f"{owner}: started"
            values["started"] = clock.read(entries["started"], where, problems, past=True)
        for key in ("task", "unit"):
            if key in entries:
                values[key] = read_text(entries[key], f"{owner}: {key}", problems)
        if "released" in entries and not isinstance(entries["released"], list | tuple):
            problems.append(
                f"{owner}: released must be a list of states, got {described(entries['released'])}"
            )
        elif "released" in entries:
            values["released"] = tuple(entries["released"])
        if len(problems) == n_before:
            batch = made(RunningBatch, problems, **values)
            problems[n_before:] = [f"now: {sentence}" for sentence in problems[n_before:]]
            if batch is not None:
                batches.append(batch)
    return batches


def _read_last(value: object, clock: Clock, problems: list[str]) -> dict[str, LastTask]:
    last = {}
    for unit, row in named_entries(value, "now: last", problems).items():
        n_before = len(problems)
        owner = f"now: last of {unit!r}"
        entries = known_entries(row, owner, ("task", "finished"), ("task", "finished"), problems)
        if len(problems) > n_before:
            continue
        task = read_text(entries["task"], f"{owner}: task", problems)
        finished = clock.read(entries["finished"], f"{owner}: finished", problems, past=True)
        if len(problems) == n_before:
            entry = made(LastTask, problems, task=task, finished=finished)
            problems[n_before:] = [f"{owner}: {sentence}" for sentence in problems[n_before:]]
            if entry is not None:
                last[unit] = entry
    return last


def _read_counts(value: object, problems: list[str]) -> dict[str, float]:
    counts = {}
    later = {"running_time": "not supported yet; give `batches` instead"}
    for unit, row in named_entries(value, "now: since_cleaning", problems).items():
        owner = f"now: since_cleaning of {unit!r}"
        entries = known_entries(row, owner, ("batches",), ("batches",), problems, later)
        if "batches" in entries:
            count = read_number(entries["batches"], f"{owner}: batches", problems)
            if count is not None:
                counts[unit] = count
    return counts
