"""Schedules written and read back exactly, and files that are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
from asking import best_schedule
from plants_at_work import CASES
from test_drawn_at_work import HOURS, drawn

from stnopt import read_schedule
from stnopt.errors import InvalidInputError
from stnopt.plant import Delivery, LastTask, Order, PlantState, RunningBatch
from stnopt.plant.calendar import parse_start
from stnopt.plant.orders import ServedOrder
from stnopt.scheduling.schedule import Batch, Schedule
from stnopt.scheduling.schedule_file import read_batches, read_parts

ORDER = Order("4711", "P", 10 / 3, 2, partial=True, priority=2, late_cost=0.1, missing_cost=1.5)
FULL = Schedule(
    batches=(Batch("Make", "U", 0.1 + 0.2, 1 / 3, 7 / 9),),
    final_stock={"P": 1e-7, "A": 3},
    horizon=8,
    deliveries=(Delivery("P", 1, 2),),
    orders=(ServedOrder(ORDER, ((2 / 3, 1.0), (1, 2.0)), may_miss=True),),
    start=PlantState(
        stocks={"P": 1.25},
        running=[
            RunningBatch(task="Make", unit="V", started=-1, size=3, remaining=2),
            RunningBatch(
                task="Make", unit="W", started=-1, size=3, remaining=2, released=("P", "Q")
            ),
        ],
        held={"U": {"P": 0.5}},
        last={"U": LastTask("Make", -0.25)},
        since_cleaning={"U": 2},
        open_orders=(ORDER,),
    ),
    date=datetime(2026, 1, 5, 6),
)


@pytest.mark.parametrize(
    "date",
    [None, "2026-01-05T06:00:07", "2026-01-05T06:00+01:00", "2026-07-05T06:00 Europe/Berlin"],
)
def test_all_of_it_comes_back(tmp_path, date):
    schedule = replace(FULL, date=date and parse_start(date))
    path = tmp_path / "schedule.json"
    text = schedule.to_json(path)
    assert read_schedule(path) == schedule
    again = read_schedule(json.loads(text))
    assert again == schedule
    assert again.date == schedule.date
    assert str(again.date) == str(schedule.date)


@pytest.mark.parametrize("seed", range(12))
def test_drawn_schedules_come_back(tmp_path, seed):
    network, start, problem = drawn(seed)
    schedule = best_schedule(network, problem, start, "time_grid", HOURS, gap=1e-3).schedule
    if schedule is None:
        return
    schedule.to_json(tmp_path / "schedule.json")
    assert read_schedule(tmp_path / "schedule.json") == schedule
    schedule.to_frame().to_csv(tmp_path / "schedule.csv", index=False)
    assert read_batches(tmp_path / "schedule.csv") == schedule.batches


def test_a_state_of_every_kind_comes_back(tmp_path):
    states = [PlantState(), *(case.start for case in CASES.values() if case.start)]
    assert len(states) > 5
    for state in states:
        schedule = replace(FULL, start=state)
        schedule.to_json(tmp_path / "schedule.json")
        assert read_schedule(tmp_path / "schedule.json").start == state


def broken(**changes):
    return json.loads(FULL.to_json()) | changes


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "horizon"),
        (broken(format="other"), "expected format"),
        (broken(version=2), "version 2"),
        (broken(horizon="8"), "horizon"),
        (broken(horizon=-1), "horizon must be more than 0"),
        (broken(more=1), "unknown key 'more'"),
        (broken(batches={}), "batch"),
        (broken(batches=[{"task": "Make"}]), "'unit' is missing"),
        (broken(deliveries=[{"state": "P", "time": -1, "amount": 1}]), "delivery of 'P'"),
        (broken(orders=[{"order": {"id": 1}, "parts": [], "may_miss": True}]), "'state'"),
        (broken(orders=[{"order": {}, "parts": []}]), "may_miss"),
        (broken(date="yesterday"), "date"),
        (broken(now={"running": 3}), "running"),
    ],
)
def test_what_is_no_schedule_is_refused_by_name(document, named):
    with pytest.raises(InvalidInputError, match=named):
        read_schedule(document)


def test_all_problems_at_once():
    with pytest.raises(InvalidInputError) as error:
        read_schedule(broken(horizon="8", date="x", deliveries=[{"state": "P"}]))
    assert len(error.value.problems) >= 4


def test_parts_of_orders_in_a_table(tmp_path):
    path = tmp_path / "orders.csv"
    rows = [("4711", "P", 2.0, 2 / 3, 1.0), ("4711", "P", 2.0, 1.0, 2.0)]
    frame = pd.DataFrame(rows, columns=["order", "state", "due", "time", "amount"])
    frame.to_csv(path, index=False)
    assert read_parts(path) == {"4711": ((2 / 3, 1.0), (1.0, 2.0))}
    path.write_text("order,time\nx,1\n")
    with pytest.raises(InvalidInputError, match="lacks amount"):
        read_parts(path)


@pytest.mark.parametrize("row", ["Make,U,soon,1,1", "Make,U,0,1,inf"])
def test_a_batch_that_is_none_names_its_line(tmp_path, row):
    path = tmp_path / "schedule.csv"
    path.write_text(f"task,unit,start,finish,size\nMake,U,0,1,1\n{row}\n")
    with pytest.raises(InvalidInputError, match="line 3"):
        read_batches(path)
