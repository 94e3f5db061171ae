"""A planning problem is read whole, and refused with every problem at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import one_reactor
import pandas as pd
import pytest

import stnopt
from stnopt.planning.question import period_questions

if TYPE_CHECKING:
    from pathlib import Path


def test_periods_that_ask_the_same_share_a_question():
    problem = one_reactor.problem(
        (10, 10),
        (10, 10),
        (10, 10),
        facility={"horizon": [8, 8, 6], "raw_cost": {"RawA": [1, 4, 1]}},
    )
    questions = period_questions(problem)
    first, second, third = (questions["main", t] for t in problem.periods)
    assert first.key == second.key != third.key  # costs change nothing that can be made
    assert first.cost_key != second.cost_key
    assert first.network.states["RawA"].cost == 1
    assert second.network.states["RawA"].cost == 4


def test_a_supply_of_a_period_is_what_there_is_of_it():
    problem = one_reactor.problem((5, 5), (5, 5), facility={"supply": {"RawA": [7, 9]}})
    facility = problem.facilities["main"]
    assert facility.plant_in("1", 0).states["RawA"].initial == 7
    assert facility.plant_in("2", 1).states["RawA"].initial == 9


def test_a_closed_period_asks_nothing():
    problem = one_reactor.problem((5, 5), (5, 5), facility={"closed": [2]})
    assert set(period_questions(problem)) == {("main", "1")}


def test_demand_from_a_table(tmp_path: Path):
    frame = pd.DataFrame(one_reactor.rows((4, 5), (6, 7)))
    content = one_reactor.document((1, 1), (1, 1))
    from_rows = stnopt.read_planning_problem(one_reactor.document((4, 5), (6, 7)))
    assert stnopt.read_planning_problem(content, demand=frame).demand == from_rows.demand
    frame.to_csv(tmp_path / "demand.csv", index=False)
    found = stnopt.read_planning_problem(content, demand=tmp_path / "demand.csv")
    assert found.demand == from_rows.demand


def test_demand_from_a_workbook(tmp_path: Path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame(one_reactor.rows((4, 5), (6, 7)))
    frame.to_excel(tmp_path / "demand.xlsx", index=False)
    content = one_reactor.document((1, 1), (1, 1))
    found = stnopt.read_planning_problem(content, demand=tmp_path / "demand.xlsx")
    assert found.wanted["market", "2", "B"] == 7


BAD: list[tuple[dict[str, Any], str]] = [
    ({"periods": 0}, "periods: give their number, at least 1"),
    (
        {"periods": ["a", "a"], "demand": [{"period": "a", "product": "A", "amount": 1}]},
        "each name once, but a appear again",
    ),
    ({"facility": {"horizon": -1}}, "horizon must be more than 0, got -1"),
    ({"facility": {"horizon": [8, 8]}}, "horizon has 2 values for 1 periods"),
    ({"facility": {"stock": {"A": -3}}}, "stock of 'A' must be at least 0, got -3"),
    ({"facility": {"stock": {"AA": 3}}}, "the plant has no state 'AA'"),
    ({"facility": {"stock": {"A": 3}, "storage": {"A": 1}}}, "exceeds its storage"),
    ({"facility": {"raw_cost": {"B": 3}}}, "no task consumes 'B'"),
    ({"facility": {"closed": [9]}}, "closed: there is no period '9'"),
    ({"facility": {"plant": "no_such"}}, "there is no such file"),
    ({"facility": {"safety_cost": {"A": 1}}}, "safety_cost of 'A' without a safety stock"),
    ({"price": {"C": 1}}, "price: nobody wants 'C'"),
    ({"backlog": 3}, "unknown key 'backlog' (did you mean 'backlog_cost'?)"),
    ({"lanes": [{"from": "maine", "to": "market"}]}, "no facility 'maine' (did you mean 'main'?)"),
    ({"lanes": [{"from": "main", "to": "moon"}]}, "'moon' is neither facility nor customer"),
    ({"lanes": [{"from": "main", "to": "market", "lead": -1}]}, "lead must be a whole number"),
    ({"demand": [{"period": 2, "product": "A", "amount": 1}]}, "no row for period 1"),
    ({"demand": [{"period": 1, "product": "C", "amount": 1}]}, "no plant has the product 'C'"),
    ({"demand": [{"period": 1, "product": "RawA", "amount": 1}]}, "no plant makes 'RawA'"),
    ({"demand": [{"period": 1, "product": "A", "amount": -1}]}, "must be at least 0, got -1"),
    ({"demand": [{"period": 1, "product": "A", "amount": 1}] * 2}, "there more than once"),
    ({"carry_over": 3}, "carry_over must be true or false"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(stnopt.InvalidInputError) as refused:
        one_reactor.problem((5, 5), **changes)
    assert message in str(refused.value)


def test_all_problems_come_at_once():
    with pytest.raises(stnopt.InvalidInputError) as refused:
        one_reactor.problem(
            (5, 5),
            facility={"horizon": "8", "stock": {"A": "x"}},
            demand=[{"period": 1, "product": "A"}],
            lanes=[{"to": "market"}],
        )
    text = str(refused.value)
    for part in ("horizon must be a number", "stock of 'A'", "'amount' is missing", "'from'"):
        assert part in text


def test_a_product_that_the_plant_begins_with_is_refused():
    plant = {**one_reactor.PLANT, "states": {**one_reactor.PLANT["states"]}}
    plant["states"]["A"] = {"initial": 5}
    with pytest.raises(stnopt.InvalidInputError, match="there anew in every period"):
        one_reactor.problem((5, 5), facility={"plant": plant})


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([["period", "product", "amount"], [1, "A", "=2+3"]], "cell C2: the formula"),
        ([["period", "product", "amount"], [1, "A", "5,5"]], "cell A2: amount must be a number"),
        ([["period", "product", "amount"], [1, "A", 5, 6]], "cell D2: 6 stands in a column"),
        ([["period", "product", "amount"], [1, "A", None]], "cell A2: amount must be a number"),
        ([], "there is no table"),
    ],
)
def test_a_workbook_of_demand_says_where_it_is_wrong(rows, told, tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "demand.xlsx")
    content = one_reactor.document((1, 1), (1, 1))
    with pytest.raises(stnopt.InvalidInputError, match=told):
        stnopt.read_planning_problem(content, demand=tmp_path / "demand.xlsx")


def test_what_is_no_workbook_is_refused(tmp_path: Path):
    (tmp_path / "demand.xlsx").write_bytes(b"PK\x03\x04 no zip")
    content = one_reactor.document((1, 1), (1, 1))
    with pytest.raises(stnopt.InvalidInputError, match="no workbook"):
        stnopt.read_planning_problem(content, demand=tmp_path / "demand.xlsx")
