"""The command `stnopt plan` and the figure of a plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import one_reactor
import pandas as pd
import pytest

import stnopt
from stnopt.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, *amounts: tuple[float, float], **changes: object) -> str:
    path = folder / "problem.json"
    path.write_text(json.dumps({"planning": one_reactor.document(*amounts, **changes)}))
    return str(path)


def test_a_plan_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    problem = written(tmp_path, (10, 20), (30, 15))
    out = tmp_path / "out"
    code = main(["plan", problem, "--out", str(out), "--gantt", "--store", str(tmp_path / "s")])
    printed = capsys.readouterr().out
    assert code == 0
    assert "The plan holds." in printed
    assert "no plan costs less than" in printed
    names = {path.name for path in out.iterdir()}
    assert {"balance.csv", "service.csv", "checks.csv", "costs.csv", "schedules.csv"} <= names
    assert {"plan.json", "plan_main_A.png", "gantt_main_1.png"} <= names
    balance = pd.read_csv(out / "balance.csv")
    moved = balance["made"] + balance["arrived"] - balance["sent"]
    assert moved.groupby(balance["product"]).sum().tolist() == pytest.approx(
        balance[balance["period"] == 2]["stock"].tolist(), abs=1e-6
    )
    # what the schedules make is what the balance says
    batches = pd.read_csv(out / "schedules.csv")
    made = batches[batches["task"] == "MakeA"]["size"].sum()
    assert made == pytest.approx(balance[balance["product"] == "A"]["made"].sum(), abs=1e-3)


def test_somebodys_plan_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    problem = written(tmp_path, (10, 20), (30, 15))
    table = tmp_path / "plan.csv"
    table.write_text("facility,period,product,amount\nmain,1,A,10\nmain,1,B,35\nmain,2,A,30\n")
    assert main(["plan", problem, "--verify", str(table)]) == 4
    printed = capsys.readouterr().out
    assert "The plan does not hold." in printed
    assert "main, period 1" in printed


def test_an_impossible_demand_says_what_is_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    content = one_reactor.document((60, 0))
    del content["lost_cost"]
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(content))
    assert main(["plan", str(path), "--no-trace"]) == 3
    printed = capsys.readouterr().out
    assert "At least 20 is short" in printed
    assert "A second Reactor at main: nothing is proven to be short" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--excel"], "give --out too"),
        (["--region", "main"], "expected FACILITY=FILE"),
        (["--gap", "2"], "relative_gap: expected a number in [0, 1)"),
        (["--demand", "no_such.csv"], "cannot be read"),
    ],
)
def test_unusable_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
):
    problem = written(tmp_path, (10, 20))
    assert main(["plan", problem, *options]) == 2
    assert message in capsys.readouterr().err


def test_a_figure_has_a_bar_per_period():
    problem = one_reactor.problem((10, 0), (30, 0), (45, 0))
    plan = stnopt.complete_plan(
        stnopt.Plan(production={("main", t, "A"): 25.0 for t in problem.periods}), problem
    )
    ax = stnopt.plot_plan(plan, problem=problem, facility="main", product="A")
    assert [bar.get_height() for bar in ax.patches] == [25.0] * 3
    lines = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert lines["in stock"] == pytest.approx([15, 10, 0], abs=1e-6)
    assert lines["wanted (all)"] == [10, 30, 45]
    assert ax.get_ylabel() == "A [kg]"
    with pytest.raises(stnopt.InvalidInputError, match="no product 'C'; choose from A, B"):
        stnopt.plot_plan(plan, problem=problem, facility="main", product="C")
