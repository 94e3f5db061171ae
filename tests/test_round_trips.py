"""A few of the drawn plants and schedules that benchmarks/round_trips.py writes and reads back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests" / "scheduling")]
import round_trips  # noqa: E402


@pytest.mark.few_cases(4)
@pytest.mark.parametrize("seed", range(10))
def test_drawn_plants_and_schedules_come_back_as_they_were(seed, tmp_path):
    wrong, schedule, _ = round_trips.check(seed, tmp_path)
    assert not wrong
    assert seed or schedule.horizon == round_trips.HOURS


def test_a_file_that_was_changed_is_noticed(tmp_path, monkeypatch):
    clean, _, _ = round_trips.check(3, tmp_path)
    assert not clean
    reader = round_trips.so.read_schedule

    def longer(path):
        found = reader(path)
        return type(found)(batches=(), final_stock={}, horizon=found.horizon + 1)

    monkeypatch.setattr(round_trips.so, "read_schedule", longer)
    assert {"s.json", "s.csv", "s.xlsx"} <= set(round_trips.check(3, tmp_path)[0])
