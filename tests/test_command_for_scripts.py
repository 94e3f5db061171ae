"""The command as scripts and shells use it: JSON, standard input, quiet, verbose, completion."""

from __future__ import annotations

import io
import json
import logging
import sys

import openpyxl
import pytest
import yaml

from stnopt import read_schedule
from stnopt.cli import main
from stnopt.plant.source import EXAMPLES

SMALL = {
    "name": "small",
    "states": {"A": {"initial": "unlimited"}, "B": {"price": 2}},
    "tasks": {
        "T": {
            "consumes": {"A": 1},
            "produces": {"B": 1},
            "units": {"U": {"max_batch": 10, "fixed_time": 1}},
        }
    },
}
ASKED = ("--horizon", "2", "--events", "3", "--span", "0")


def run(capsys, *arguments):
    code = main(list(arguments))
    return code, capsys.readouterr()


@pytest.fixture
def coming_in(monkeypatch):
    def put(content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return put


def test_a_plant_on_standard_input_is_scheduled_and_the_answer_is_a_document(capsys, coming_in):
    coming_in({"plant": SMALL, "problem": {"horizon": 2}})
    code, said = run(capsys, "schedule", "-", "--json")
    answer = json.loads(said.out)
    assert code == answer["exit_code"] == 0
    assert answer["value"] == pytest.approx(40)
    assert answer["status"] == "optimal"
    assert "profit 40" in answer["text"]
    assert len(read_schedule(answer["schedule"]).batches) == 2


def test_json_comes_in_too(capsys, coming_in):
    coming_in(json.dumps(SMALL))
    code, said = run(capsys, "schedule", "-", *ASKED)
    assert code == 0
    assert "profit 40" in said.out


def test_what_is_wrong_is_in_the_document_and_names_standard_input(capsys, coming_in):
    coming_in({**SMALL, "colour": "red"})
    code, said = run(capsys, "schedule", "-", "--json", *ASKED)
    answer = json.loads(said.out)
    assert code == answer["exit_code"] == 2
    assert len(answer["problems"]) == 1
    assert "colour" in answer["problems"][0]
    assert "in standard input:" in said.err


def test_only_one_file_can_come_in(capsys):
    code, said = run(capsys, "schedule", "-", "--problem", "-")
    assert code == 2
    assert "only one of them" in said.err


def test_why_not_is_in_the_document(capsys, coming_in):
    coming_in(SMALL)
    code, said = run(capsys, "schedule", "-", "--json", "--demand", "B=25", *ASKED)
    answer = json.loads(said.out)
    assert code == answer["exit_code"] == 3
    assert answer["is_met"] is False
    assert answer["short"]["B"] == pytest.approx(5)
    assert answer["reasons"]


def test_quiet_says_nothing_beside_the_answer_and_verbose_every_step(capsys, coming_in):
    said = {}
    for how in ("", "--quiet", "--verbose"):
        coming_in(SMALL)
        code, said[how] = run(capsys, "schedule", "-", "--horizon", "2", *([how] if how else []))
        assert code == 0
    assert said[""].err == "searching, at most 60 s ...\n"
    assert said["--quiet"].err == ""
    assert "find_schedule:" in said["--verbose"].err
    assert len({each.out for each in said.values()}) == 1
    assert not logging.getLogger("stnopt").handlers


def test_a_plant_without_prices_says_so_even_quietly(capsys, coming_in):
    unpriced = {**SMALL, "states": {"A": {"initial": "unlimited"}, "B": {}}}
    coming_in(unpriced)
    code, said = run(capsys, "schedule", "-", "--quiet", *ASKED)
    assert code == 0
    assert "'small' has no prices" in said.err
    coming_in(SMALL)
    assert "prices" not in run(capsys, "schedule", "-", *ASKED)[1].err


def test_the_api_s_words_are_options_too(capsys, coming_in):
    coming_in(SMALL)
    words = ("--horizon", "2", "--n-events", "3", "--max-span", "0", "--relative-gap", "1e-3")
    assert run(capsys, "schedule", "-", *words)[0] == 0


def test_examples_and_doctor_are_documents_too(capsys):
    assert "ex2" in json.loads(run(capsys, "examples", "--json")[1].out)["examples"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("schedule", "ex1", "--horizon", "eight"), "argument --horizon: invalid float value"),
        (("schedule", "ex1", "--horizn", "8"), "unrecognized arguments: --horizn 8"),
    ],
)
def test_options_that_are_not_understood_are_a_document_too(capsys, words, problem):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == 2
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["exit_code"] == 2
    assert document["problems"][0].startswith(problem)
    assert document["problems"][0] in said.err
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().out == ""


def test_completion_is_printed_or_its_extra_named(capsys, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert "reschedule" in script
    assert "--time-limit" in script
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 2
    assert "stnopt[completion]" in capsys.readouterr().err


@pytest.mark.long  # two searches
def test_a_morning_from_a_spreadsheet(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", "recipes.xlsx", "--template", "filling_hall"]) == 0
    assert main(["import", "recipes.xlsx", "-o", "plant.yaml"]) == 0
    assert main(["schedule", "plant.yaml", "--out", "monday", "--excel"]) == 0
    schedule = read_schedule("monday/shift.xlsx")
    assert schedule == read_schedule("monday/schedule.json")
    assert [served.order.id for served in schedule.orders] == [f"071{n}" for n in range(1, 7)]
    assert not any(served.lateness(8) > 1e-6 for served in schedule.orders)
    page = openpyxl.load_workbook("monday/shift.xlsx")["shift"]
    rows = list(page.iter_rows(min_row=2, values_only=True))
    assert rows[0][:2] == ("Line1", "Mon 30 Nov 06:00")
    assert ("Line1", "Mon 30 Nov 12:00", "Mon 30 Nov 12:30", "unavailable") in [r[:4] for r in rows]
    assert len(rows) == len(schedule.batches) + 1
    first_of_line2 = next(n for n, row in enumerate(rows, 2) if row[0] == "Line2")
    assert [each.id for each in page.row_breaks.brk] == [first_of_line2 - 1]
    down = ["--at", "09:00", "--down", "Line1", "09:00", "10:30"]
    again = ["--out", "monday-2", "--excel"]
    assert main(["reschedule", "plant.yaml", "monday/schedule.json", *down, *again]) == 0
    after = read_schedule("monday-2/shift.xlsx")
    assert not any(b.unit == "Line1" and b.start < 4.5 and b.finish > 3 for b in after.batches)
    assert {b for b in schedule.batches if b.finish <= 3} <= set(after.batches)


def test_the_shift_sheet_is_asked_for_with_a_folder(capsys):
    assert main(["schedule", str(EXAMPLES / "storage_trap.yaml"), "--excel"]) == 2
    assert "give --out too" in capsys.readouterr().err
