"""Each option of each command of `reactor_yield` with wrong values: exit code 2, by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bad_options import bad_lines, each_command
from right_lines import RIGHT_LINES

from reactor_yield import fit_yield_model, generate_dataset
from reactor_yield.cli import build_parser, main

COMMANDS = dict(each_command(build_parser()))
READ = ("missing.csv", "folder", "text.txt")
WRITTEN = ("folder", "missing/x.csv")
NO_SHARE = ("-1", "0", "1", "2", "inf")
#: What is wrong beside what the kind of an option tells.
WRONG = {
    "conditions": READ,
    "current": READ,
    "data": READ,
    "history": READ,
    "model": READ,
    "output": WRITTEN,
    "recent": READ,
    "reference": READ,
    "--above": ("inf", "-1"),
    "--baseline": READ,
    "--causes": WRITTEN,
    "--columns": READ,
    "--coverage": NO_SHARE,
    "--features": ("nonsense", "a,,b", "Fao,Fao"),
    "--folder": ("text.txt",),
    "--group": ("nonsense",),
    "--handles": ("nonsense", "a,,b"),
    "--host": ("no such host",),
    "--html": WRITTEN,
    "--json": WRITTEN,
    "--lead": ("0", "-1", "9" * 25),
    "--level": NO_SHARE,
    "--limits": ("nonsense", "1", "2,1", "nan,1", "1,2,3"),
    "--model": ("nonsense", *READ),
    "--moves": WRITTEN,
    "--points": ("0", "-1", "9" * 25),
    "--port": ("-1", "99999999"),
    "--report": WRITTEN,
    "--rows": ("0", "-1", "9" * 25),
    "--seed": ("-1", "9" * 25),
    "--set-points": ("nonsense",),
    "--split": ("text.txt",),
    "--summary": WRITTEN,
    "--target": ("nonsense", "inf"),
    "--test": READ,
    "--test-size": NO_SHARE,
    "--time": ("nonsense",),
    "--top": ("-1",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("options")
    (root / "folder").mkdir()
    (root / "text.txt").write_text("a text\n")
    data = generate_dataset(200, seed=2).dropna(subset=["Yc"])
    data.to_csv(root / "data.csv", index=False)
    fit_yield_model(data, model="ridge").save(root / "model.zip")
    series = pd.DataFrame({"minute": range(400), "T_max": 690 + 10 * np.sin(np.arange(400) / 9)})
    series.to_csv(root / "series.csv", index=False)
    return root


def test_every_command_has_a_right_line():
    assert set(RIGHT_LINES) == set(COMMANDS)


@pytest.mark.parametrize("words", RIGHT_LINES, ids=" ".join)
def test_a_wrong_value_is_refused_by_name(words, folder, monkeypatch, capsys):
    if words == ("serve",):
        pytest.importorskip("fastapi")
        pytest.importorskip("uvicorn")
    monkeypatch.chdir(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for bad in bad_lines(words, COMMANDS[words], RIGHT_LINES[words], WRONG):
        try:
            code = main(bad.line)  # an exception that is not ours ends the test
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        if words == ("check",) and bad.value in ("nonsense", "text.txt/x", "inf") and code == 3:
            said = said.out  # a column that is not there is what it is to report
        else:
            assert code == 2, (bad.line, said)
            said = said.err
        assert bad.is_named_in(said), (bad.line, said)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
