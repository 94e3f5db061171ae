"""Schedules and samples as CSV, Excel and JSON: equal after reading back, and replayed alike."""

from __future__ import annotations

import datetime
from dataclasses import replace
from random import Random

import numpy as np
import openpyxl
import pandas as pd
import pytest
from test_drawn_at_work import HOURS, drawn

from stnopt import (
    Batch,
    InvalidInputError,
    Schedule,
    ServedOrder,
    TargetSamples,
    find_violations,
    read_network,
    read_schedule,
)
from stnopt.scheduling.replay import find_violations as replay


def drawn_schedule(seed):
    """Batches that need not make sense: a file keeps whatever a schedule says."""
    network, start, problem = drawn(seed)
    network = replace(network, time_unit="h")
    random = Random(seed)
    fits = network.suitabilities
    batches = []
    for _ in range(random.randint(0, 6)):
        fit, begin = random.choice(fits), random.random() * 5
        finish = begin + random.random() / 3
        batches.append(Batch(fit.task, fit.unit, begin, finish, random.random() / 7))
    served = [
        ServedOrder(order, tuple((random.random() * HOURS, order.amount / 3) for _ in range(2)))
        for order in problem.orders
    ]
    date = random.choice(
        [None, datetime.datetime(2026, 3, 28, 6), datetime.datetime(2026, 1, 5, 6, 0, 30)]
    )
    stock = {state: random.random() for state in network.states}
    return network, Schedule(
        batches=tuple(batches),
        final_stock=stock,
        horizon=float(HOURS),
        deliveries=problem.deliveries,
        orders=tuple(served),
        start=start,
        date=date,
    )


@pytest.mark.parametrize("seed", range(12))  # benchmarks/round_trips.py: 200
def test_drawn_schedules_come_back_equal(seed, tmp_path):
    network, schedule = drawn_schedule(seed)
    schedule.to_json(tmp_path / "s.json")
    schedule.to_csv(tmp_path / "s.csv")
    schedule.to_excel(tmp_path / "s.xlsx", network=network if seed % 2 else None)
    for name in ("s.json", "s.csv", "s.xlsx"):
        found = read_schedule(tmp_path / name)
        assert found == schedule
        assert find_violations(found, network) == replay(schedule, network)


def test_a_batch_that_is_changed_in_the_table_counts_as_it_is(tmp_path):
    _, schedule = drawn_schedule(3)
    assert schedule.batches
    schedule.to_excel(tmp_path / "s.xlsx")
    book = openpyxl.load_workbook(tmp_path / "s.xlsx")
    book["batches"]["E2"] = 3.5
    book.save(tmp_path / "s.xlsx")
    found = read_schedule(tmp_path / "s.xlsx")
    assert found.batches[0].size == 3.5
    assert found.batches[1:] == schedule.batches[1:]


def test_damage_is_one_sentence(tmp_path):
    _, schedule = drawn_schedule(3)
    schedule.to_csv(tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text(encoding="utf-8")
    for bad in (
        text.split("\n", 1)[1],
        text.replace('"horizon"', '"horizonn"'),
        "# schedule: {\n" + text.split("\n", 1)[1],
    ):
        (tmp_path / "bad.csv").write_text(bad, encoding="utf-8")
        with pytest.raises(InvalidInputError, match=r"bad\.csv"):
            read_schedule(tmp_path / "bad.csv")
    (tmp_path / "bad.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInputError, match="no workbook"):
        read_schedule(tmp_path / "bad.xlsx")
    openpyxl.Workbook().save(tmp_path / "other.xlsx")
    with pytest.raises(InvalidInputError, match="no sheet 'batches'"):
        read_schedule(tmp_path / "other.xlsx")


def test_samples_come_back_equal_in_every_form(tmp_path):
    random = np.random.default_rng(0)
    samples = TargetSamples(
        targets=pd.DataFrame({"A": random.random(30) / 3, "=B": random.random(30) * 1e-9}),
        labels=random.integers(-1, 2, 30),
        scope={"plant": 'ü, "x"', "horizon": 1 / 3},
    )
    samples.to_json(tmp_path / "s.json")
    samples.to_excel(tmp_path / "s.xlsx")
    for found in (
        TargetSamples.from_json(tmp_path / "s.json"),
        TargetSamples.from_json(samples.to_json()),
        TargetSamples.from_excel(tmp_path / "s.xlsx"),
    ):
        pd.testing.assert_frame_equal(found.targets, samples.targets, check_exact=True)
        assert (found.labels == samples.labels).all()
        assert dict(found.scope) == dict(samples.scope)
    frame = samples.to_frame()
    assert list(frame.columns) == ["A", "=B", "label"]
    assert len(frame) == 30


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "x"}', "\0", '{"format": {}'])
def test_what_holds_no_samples_is_refused(text, tmp_path):
    (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="samples"):
        TargetSamples.from_json(tmp_path / "s.json")


def test_a_name_that_could_be_a_number_stays_a_name_in_csv(tmp_path):
    schedule = Schedule(batches=(Batch("1,5", "2,5", 0.0, 1.5, 2.0),), final_stock={}, horizon=2.0)
    schedule.to_csv(tmp_path / "s.csv")
    assert read_schedule(tmp_path / "s.csv") == schedule


def test_the_shift_s_sheet_says_what_is_done_to_a_unit_between_batches(tmp_path):
    """Changed over from 07:30 to 08:00, away from 10:00 to 11:00, cleaned from 11:15 to 12:00."""
    make = {"consumes": {"A": 1}, "units": {"U": {"max_batch": 10, "fixed_time": 1}}}
    network = read_network(
        {
            "name": "changing",
            "time_unit": "h",
            "states": {"A": {"initial": "unlimited"}, "P": {}, "Q": {}},
            "tasks": {f"Make{name}": make | {"produces": {name: 1}} for name in "PQ"},
            "units": {
                "U": {
                    "changeovers": {"MakeP": {"MakeQ": 0.5}},
                    "clean_after": {"batches": 2, "duration": 0.75},
                    "unavailable": [[4, 5]],
                }
            },
        }
    )
    schedule = Schedule(
        batches=(
            Batch("MakeP", "U", 0, 1, 10),
            Batch("MakeQ", "U", 2, 3, 10),
            Batch("MakeQ", "U", 6, 7, 10),
        ),
        final_stock={"A": 30, "P": 10, "Q": 20},
        horizon=8,
        date=datetime.datetime(2026, 1, 5, 6),
    )
    assert find_violations(schedule, network) == []
    schedule.to_excel(tmp_path / "shift.xlsx", network=network)
    sheet = openpyxl.load_workbook(tmp_path / "shift.xlsx")["shift"]
    assert [row[1:4] for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        (f"Mon 05 Jan {begin}", f"Mon 05 Jan {end}", what)
        for begin, end, what in (
            ("06:00", "07:00", "MakeP"),
            ("07:30", "08:00", "changeover"),
            ("08:00", "09:00", "MakeQ"),
            ("10:00", "11:00", "unavailable"),
            ("11:15", "12:00", "cleaning"),
            ("12:00", "13:00", "MakeQ"),
        )
    ]
