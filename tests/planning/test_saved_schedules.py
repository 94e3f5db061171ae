"""Saved schedules are replayed by a program of their own, which rejects spoilt ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import one_reactor
import pandas as pd
import pytest

import stnopt
from stnopt.planning.report import plan_tables

if TYPE_CHECKING:
    from pathlib import Path

AMOUNTS = ((12.0, 18.0), (8.0, 5.0))


def wrong_with(batches: pd.DataFrame, made: pd.DataFrame) -> list[str]:
    """Replay the one reactor from its tables alone: hours, sizes, order, and what comes out."""
    problems = []
    for period, rows in batches.groupby("period"):
        rows = rows.sort_values("start")
        if (rows["size"] > 10 + 1e-5).any():
            problems.append(f"period {period}: a batch is larger than 10")
        if ((rows["finish"] - rows["start"] - 2).abs() > 1e-5).any():
            problems.append(f"period {period}: a batch does not take 2 h")
        if (rows["unit"] != "Reactor").any():
            problems.append(f"period {period}: there is no such unit")
        if (rows["start"].to_numpy()[1:] < rows["finish"].to_numpy()[:-1] - 1e-5).any():
            problems.append(f"period {period}: two batches at once")
        if rows["start"].min() < -1e-5 or rows["finish"].max() > 8 + 1e-5:
            problems.append(f"period {period}: outside its hours")
    for row in made.itertuples():
        own = (batches["period"] == row.period) & (batches["task"] == f"Make{row.product}")
        if batches[own]["size"].sum() < row.made - 1e-3:
            problems.append(f"period {row.period}: less of {row.product} than planned")
    return problems


@pytest.fixture(scope="module")
def search() -> stnopt.PlanSearch:
    return stnopt.find_plan(one_reactor.problem(*AMOUNTS))


@pytest.fixture(scope="module")
def saved(
    search: stnopt.PlanSearch, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder: Path = tmp_path_factory.mktemp("plan")
    problem = one_reactor.problem(*AMOUNTS)
    tables = plan_tables(search.plan, search.verification, problem)
    for name in ("schedules", "balance"):
        tables[name].to_csv(folder / f"{name}.csv", index=False)
    return pd.read_csv(folder / "schedules.csv"), pd.read_csv(folder / "balance.csv")


def test_none_is_rejected(saved: tuple[pd.DataFrame, pd.DataFrame]):
    assert wrong_with(*saved) == []


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda rows: rows.drop(index=rows["size"].idxmax()), "less of"),
        (lambda rows: rows.assign(size=rows["size"] * 1.5), "larger than 10"),
        (lambda rows: rows.assign(unit="Kettle"), "no such unit"),
        (lambda rows: rows.assign(start=0.0, finish=2.0), "two batches at once"),
    ],
)
def test_spoilt_ones_are(saved: tuple[pd.DataFrame, pd.DataFrame], spoil: object, found: str):
    batches, made = saved
    assert any(found in problem for problem in wrong_with(spoil(batches), made))


def test_the_library_rejects_a_spoilt_schedule_too(search: stnopt.PlanSearch):
    problem = one_reactor.problem(*AMOUNTS)
    network = problem.facilities["main"].network
    schedule = search.verification.checks[0].schedule
    batch = schedule.batches[0]
    grown = replace(schedule, batches=(replace(batch, size=11.0), *schedule.batches[1:]))
    assert stnopt.find_violations(grown, network)
