"""Plants as tables: what is written is read back equal, and what is wrong is found in its cell."""

from __future__ import annotations

import contextlib
import datetime
import sys
import zipfile
from pathlib import Path
from random import Random

import openpyxl
import pytest

from stnopt import (
    InvalidInputError,
    InvalidNetworkError,
    Problem,
    list_examples,
    load_example,
    read_network,
    read_problem,
    read_state,
)
from stnopt.cli import main
from stnopt.plant.read import read_plant_file
from stnopt.plant.tables.write import write_tables

sys.path.append(str(Path(__file__).parents[1] / "scheduling"))
from time_grid import (
    add_calendars,
    add_rules,
    draw_deliveries,
    draw_orders,
    draw_plant,
    draw_state,
)

SHIFT = Path(__file__).parents[2] / "case_studies" / "shift" / "paint.yaml"


def drawn(seed):
    random = Random(seed)
    rules = dict.fromkeys(["periods", "changeovers", "utilities", "cleanings"], True)
    network = add_rules(draw_plant(seed), seed, **rules) if seed % 4 else draw_plant(seed)
    if seed % 3 == 0:
        network = add_calendars(network, seed)
    orders = [] if seed % 5 == 0 else draw_orders(network, seed, 8)
    problem = Problem(
        objective=random.choice(["profit", "cost", "makespan"]),
        horizon=8 + random.random() / 3,
        targets={"P": random.random()} if "P" in network.states else {},
        sense=random.choice(["at_least", "exactly"]),
        deliveries=draw_deliveries(network, seed, 8),
        orders=orders,
        start=random.choice([None, "2026-03-28T06:00 Europe/Berlin", "2026-01-05T06:00:30+02:00"]),
    )
    return network, problem, draw_state(network, seed)


@pytest.mark.few_cases(4)
@pytest.mark.parametrize("seed", range(12))  # benchmarks/round_trips.py: 200
def test_drawn_plants_come_back_equal(seed, tmp_path):
    network, problem, state = drawn(seed)
    for name in ("plant.xlsx", "folder"):
        write_tables(tmp_path / name, network, problem, state)
        assert read_network(tmp_path / name) == network
        assert read_problem(tmp_path / name) == problem
        assert read_state(tmp_path / name, default=state) == state
    text = network.to_yaml(tmp_path / "plant.yaml")
    assert (tmp_path / "plant.yaml").read_text(encoding="utf-8") == text
    assert read_network(tmp_path / "plant.yaml") == network
    assert read_network({"plant": network.to_dict(), "problem": problem.to_dict()}) == network
    assert read_problem({"problem": problem.to_dict()}) == problem
    assert read_state(state.to_dict() or {"now": {}}) == state


@pytest.mark.parametrize("name", list_examples())
def test_examples_come_back_equal(name, tmp_path):
    network = load_example(name)
    write_tables(tmp_path / "t.xlsx", network)
    assert read_network(tmp_path / "t.xlsx") == network
    write_tables(tmp_path / "t", network)
    assert read_network(tmp_path / "t") == network
    network.to_yaml(tmp_path / "t.yaml")
    assert read_network(tmp_path / "t.yaml") == network


def odd_plant(*names):
    states = {name: {} for name in names} | {"Raw": {"initial": "unlimited"}}
    made = {name: 1 / len(names) for name in names}
    units = {"=U1": {"max_batch": 1 / 3, "fixed_time": 0.1 + 0.2}}
    task = {"consumes": {"Raw": 1}, "produces": made, "units": units}
    return read_network({"name": "NO", "states": states, "tasks": {"1e5": task}})


@pytest.mark.parametrize("form", ["t.xlsx", "t", "t.yaml"])
def test_names_that_look_like_something_else_stay_names(form, tmp_path):
    network = odd_plant("NO", "=1+1", "4711", "1,5", "0x10", "1:30", "~", "ü;,\"'", "2026-01-05")
    if form.endswith("yaml"):
        network.to_yaml(tmp_path / form)
    else:
        write_tables(tmp_path / form, network)
    assert read_network(tmp_path / form) == network


def test_every_problem_is_told_with_its_cell(tmp_path):
    path = tmp_path / "bad.xlsx"
    write_tables(path, *read_plant_file(SHIFT))
    book = openpyxl.load_workbook(path)
    book["states"]["C4"] = "lots"
    book["orders"]["D3"] = "26:00"
    book["orders"]["Z3"] = 3
    book["recipes"]["B2"] = "Pigmentt"
    book["units"]["D4"] = -3
    book["problem"]["B2"] = "tard"
    book["stocks"]["B2"] = "=1+1"
    book["running"]["D2"] = None
    book["orders"]["A4"] = "W1"
    book.save(path)
    with pytest.raises(InvalidInputError) as error:
        read_plant_file(path)
    told = "\n".join(error.value.problems)
    for place, what in [
        ("sheet states, cell C4", "capacity must be a number"),
        ("sheet orders, cell D3", "due"),
        ("sheet orders, cell Z3", "without a name"),
        ("sheet recipes, cell B2", "did you mean 'Pigment'"),
        ("sheet units, cell D4", "max_batch must be more than 0"),
        ("sheet problem, cell B2", "did you mean 'tardiness'"),
        ("sheet stocks, cell B2", "formula"),
        ("sheet running, cell A2", "no size"),
        ("sheet orders, cell A4", "W1 is given again (first in sheet orders, cell A2)"),
    ]:
        assert [line for line in told.splitlines() if place in line and what in line], (place, told)


def test_words_for_people_are_not_read_wherever_they_stand(tmp_path):
    path = tmp_path / "plant.xlsx"
    write_tables(path, load_example("ex2"))
    book = openpyxl.load_workbook(path)
    book.move_sheet("read me", offset=3)
    book["states"].insert_rows(1)
    book["units"]["D3"] = "50 kg"
    book.create_sheet("orderz")
    book.save(path)
    with pytest.raises(InvalidNetworkError) as error:
        read_network(path)
    first, second = error.value.problems
    assert first.startswith("there is no table 'orderz'")
    assert second.startswith("sheet units, cell D3: task ")


def test_a_problem_in_a_folder_names_file_and_line(tmp_path):
    write_tables(tmp_path / "t", load_example("ex2"))
    path = tmp_path / "t" / "states.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("100", "-100"), encoding="utf-8")
    with pytest.raises(InvalidNetworkError, match=r"states\.csv, line 5, column capacity: .*'S4'"):
        read_network(tmp_path / "t")


def test_unknown_tables_and_columns_are_named(tmp_path):
    write_tables(tmp_path / "t", load_example("ex2"))
    (tmp_path / "t" / "orderz.csv").write_text("id\n1\n", encoding="utf-8")
    (tmp_path / "t" / "demand.csv").write_text("state,amount,when\nS8,3,4\n", encoding="utf-8")
    with pytest.raises(InvalidInputError) as error:
        read_plant_file(tmp_path / "t")
    told = str(error.value)
    assert "'orderz'" in told
    assert "did you mean 'orders'" in told
    assert "demand.csv, header: unknown column 'when'" in told


def test_dates_of_orders_are_times_of_the_schedule(tmp_path):
    path = tmp_path / "dates.xlsx"
    write_tables(path, *read_plant_file(SHIFT))
    book = openpyxl.load_workbook(path)
    book["orders"]["D2"] = datetime.datetime(2026, 1, 5, 7, 30)
    book["orders"]["D3"] = datetime.time(10, 15)
    book["orders"]["D4"] = "2026-01-05 10:00"
    book["running"]["C2"] = datetime.time(5, 10)
    book.save(path)
    assert [order.due for order in read_problem(path).orders[:3]] == [1.5, 4.25, 4.0]
    assert read_state(path).running[0].started == pytest.approx(-5 / 6)


def test_a_clock_time_without_a_start_is_refused_by_name():
    orders = [{"id": "a", "state": "P", "amount": 1, "due": "10:00"}]
    with pytest.raises(InvalidInputError, match=r"order 1: due .*problem: start"):
        read_problem({"problem": {"orders": orders}})
    with pytest.raises(InvalidInputError, match=r"order 1: due .*plant: time_unit"):
        read_problem({"problem": {"orders": orders, "start": "2026-01-05T06:00"}})


def test_damaged_workbooks_are_one_sentence(tmp_path):
    good = tmp_path / "good.xlsx"
    write_tables(good, load_example("ex2"))
    content = good.read_bytes()
    random = Random(0)
    path = tmp_path / "bad.xlsx"
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 20)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged[: random.choice([len(damaged), random.randrange(len(damaged))])])
        with contextlib.suppress(InvalidNetworkError, InvalidInputError):
            assert read_network(path) == load_example("ex2")
    path.write_text("not a workbook", encoding="utf-8")
    with pytest.raises(InvalidNetworkError, match="no workbook"):
        read_network(path)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(3):
            packed.writestr(f"xl/worksheets/sheet{number}.xml", b"0" * 100 * 2**20)
    with pytest.raises(InvalidNetworkError, match="unpacks to 300 MB"):
        read_network(path)


def test_the_command_imports_and_writes_templates(tmp_path, capsys):
    book, plant = tmp_path / "t.xlsx", tmp_path / "plant.yaml"
    assert main(["import", str(book), "--template", str(SHIFT)]) == 0
    assert main(["import", str(book), "-o", str(plant)]) == 0
    assert "9 tasks" in capsys.readouterr().out
    assert read_plant_file(plant) == read_plant_file(SHIFT)
    assert main(["import", str(book)]) == 0
    assert capsys.readouterr().out == plant.read_text(encoding="utf-8")
    assert main(["import", str(tmp_path / "empty.xlsx"), "--template"]) == 0
    assert main(["import", str(tmp_path / "empty.xlsx")]) == 2
    assert "name" in capsys.readouterr().err
    assert main(["import", str(book), "-o", str(tmp_path / "plant.txt")]) == 2


@pytest.mark.parametrize("name", ["t.xlsx", "tables"])
def test_a_template_is_not_written_over_tables(tmp_path, capsys, name):
    where = tmp_path / name
    assert main(["import", str(where), "--template", "ex2"]) == 0
    before = read_network(where)
    assert main(["import", str(where), "--template", "ex1"]) == 2
    assert "tables in" in capsys.readouterr().err
    assert read_network(where) == before


def test_the_command_lists_and_copies_examples(tmp_path, capsys):
    assert main(["examples"]) == 0
    assert capsys.readouterr().out.count("\n") == len(list_examples())
    assert main(["examples", "ex2", "-o", str(tmp_path / "mine.yaml")]) == 0
    assert read_network(tmp_path / "mine.yaml") == load_example("ex2")
    assert main(["examples", "ex22"]) == 2
    assert "ex2" in capsys.readouterr().err
