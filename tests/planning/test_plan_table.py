"""A plan as a table in CSV and Excel, and back."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import one_reactor
import openpyxl
import pandas as pd
import pytest

import stnopt
from stnopt.cli import main
from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

PLAN = stnopt.Plan(
    production={("main", "1", "A"): 10 / 3, ("main", "2", "=B, und"): math.pi},
    shipments={("main", "market", "1", "A"): 0.1 + 0.2},
    lost={("market", "2", "A"): 1e-7},
)


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "json"])
def test_a_plan_comes_back_exactly(tmp_path: Path, suffix: str):
    path = tmp_path / f"plan.{suffix}"
    {"csv": PLAN.to_csv, "xlsx": PLAN.to_excel, "json": PLAN.to_json}[suffix](path)
    assert stnopt.read_plan(path) == PLAN


def test_what_is_written_is_what_others_read(tmp_path: Path):
    PLAN.to_csv(tmp_path / "plan.csv")
    PLAN.to_excel(tmp_path / "plan.xlsx")
    frame = pd.read_csv(tmp_path / "plan.csv", keep_default_na=False)
    assert frame["amount"].tolist() == [10 / 3, math.pi, 0.1 + 0.2, 1e-7]
    assert frame["part"].tolist() == ["production", "production", "shipments", "lost"]
    sheet = openpyxl.load_workbook(tmp_path / "plan.xlsx")["plan"]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert cells[1] == ["production", "main", None, "2", "=B, und", math.pi]


def test_a_table_without_parts_is_production():
    frame = pd.DataFrame({"facility": ["main"], "period": [1], "product": ["A"], "amount": [5]})
    assert stnopt.read_plan(frame) == stnopt.Plan(production={("main", "1", "A"): 5.0})


def test_every_bad_row_is_named():
    rows = [
        ("production", "main", "", "1", "A", 5),
        ("production", "main", "", "1", "A", 6),
        ("stock", "main", "", "1", "A", 5),
        ("shipments", "main", "", "1", "A", 5),
        ("lost", "", "market", "1", "A", -5),
        ("lost", "", "market", "2", "A", "much"),
    ]
    columns = ["part", "facility", "to", "period", "product", "amount"]
    with pytest.raises(InvalidInputError) as refused:
        stnopt.read_plan(pd.DataFrame(rows, columns=columns))
    said = str(refused.value)
    for what in (
        "row 2: production of main 1 A: given twice",
        "row 3: part must be one of production, shipments, lost, got 'stock'",
        "row 4: shipments needs to",
        "row 5: market 1 A: amount must be finite and at least 0, got -5",
        "row 6: amount must be a number, got 'much'",
    ):
        assert what in said
    with pytest.raises(InvalidInputError, match=r"cannot be read"):
        stnopt.read_plan("nowhere.json")


def test_the_command_writes_a_plan_that_it_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    problem = tmp_path / "problem.json"
    problem.write_text(json.dumps({"planning": one_reactor.document((10, 20), (30, 15))}))
    out = tmp_path / "out"
    assert main(["plan", str(problem), "--no-trace", "--out", str(out), "--excel"]) == 0
    made = stnopt.read_plan(out / "plan.csv")
    assert made == stnopt.read_plan(out / "plan.xlsx") == stnopt.read_plan(out / "plan.json")
    assert made.shipments
    assert main(["plan", str(problem), "--verify", str(out / "plan.xlsx")]) == 0
    # what is delivered without being made does not add up
    table = pd.read_csv(out / "plan.csv", keep_default_na=False)
    table.loc[table["part"] == "shipments", "amount"] += 5
    table.to_csv(tmp_path / "edited.csv", index=False)
    assert main(["plan", str(problem), "--verify", str(tmp_path / "edited.csv")]) == 4
    assert "The plan does not hold." in capsys.readouterr().out
