"""Hostile CSV files through every command: a sentence and exit code 2, or a judgement."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reactor_yield import fit_yield_model, generate_dataset
from reactor_yield.cli import main

FEATURES = ["Fao", "Fbo", "P", "To", "Cto", "m", "Ta"]


def _files(table):
    """Content of each file by its name, and whether it can be read."""
    text = table.to_csv(index=False)
    head, *lines = text.strip().split("\n")
    comma = "\n".join(
        [head.replace(",", ";"), *(x.replace(",", ";").replace(".", ",") for x in lines)]
    )
    units = "\n".join([head, ",".join("K" for _ in head.split(",")), *lines])
    long = "\n".join([head, *lines[:5], lines[5] + ",9,9", *lines[6:]])
    short = "\n".join([head, *lines[:5], lines[5].rpartition(",")[0], *lines[6:]])
    twice = text.replace("Fbo", "Fao", 1)
    quote = "\n".join([head, *lines[:5], '"' + lines[5], *lines[6:]])
    return {
        "plain": (text.encode(), True),
        "bom": (b"\xef\xbb\xbf" + text.encode(), True),
        "utf-16": (text.encode("utf-16"), True),
        "utf-16 without mark": (text.encode("utf-16-be"), True),
        "latin-1": (text.replace("Fao", "Fao", 1).encode("latin-1") + b"", True),
        "semicolons, decimal commas": (comma.encode(), True),
        "tabs": (text.replace(",", "\t").encode(), True),
        "trailing delimiters": (text.replace("\n", ",\n").encode(), True),
        "windows line ends": (text.replace("\n", "\r\n").encode(), True),
        "empty lines": (text.replace("\n", "\n\n").encode(), True),
        "units": (units.encode(), False),
        "long line": (long.encode(), False),
        "short line": (short.encode(), False),
        "repeated name": (twice.encode(), False),
        "unfinished quote": (quote.encode(), False),
        "no header": ("\n".join(lines).encode(), False),
        "header only": (head.encode(), False),
        "empty": (b"", False),
        "spaces": (b"   \n \n", False),
        "zip": (b"PK\x03\x04" + text.encode(), False),
        "gzip": (b"\x1f\x8b" + text.encode(), False),
        "zero bytes": (text.replace("1", "\0", 1).encode(), False),
        "long field": (b"Fao," + b"a" * 200_000 + b"\n1,2\n", False),
        "html": (b"<!doctype html><html><body>500</body></html>", False),
        "json": (b'[{"Fao": 1}]', False),
        "column of text": (table.assign(m="Bad Input").to_csv(index=False).encode(), True),
        "column of dates": (table.assign(m="2024-01-01").to_csv(index=False).encode(), True),
        "column of truth values": (table.assign(m=True).to_csv(index=False).encode(), True),
        "endless": (table.assign(m=np.inf).to_csv(index=False).encode(), True),
        "huge": (table.assign(m=1e308).to_csv(index=False).encode(), True),
        "gaps": (table.assign(m=None).to_csv(index=False).encode(), True),
        "other columns": (table.rename(columns=str.lower).to_csv(index=False).encode(), True),
    }


@pytest.fixture(scope="module")
def table():
    data = generate_dataset(200, seed=2).dropna(subset=["Yc"])
    return data[[*FEATURES, "T_max", "Yc"]].assign(minute=range(len(data)))


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    fit_yield_model(generate_dataset(400, seed=0), model="ridge").save(root / "m.zip")
    table.to_csv(root / "good.csv", index=False)
    history = pd.DataFrame({"minute": range(400), "T_max": 690 + 10 * np.sin(np.arange(400) / 9)})
    history.to_csv(root / "history.csv", index=False)
    return root


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_command_ends_in_a_sentence(folder, table, capsys):
    path, model, good = str(folder / "f.csv"), str(folder / "m.zip"), str(folder / "good.csv")
    commands = {
        "check": ["check", path],
        "train": ["train", path, str(folder / "x.zip"), "--model", "ridge"],
        "predict": ["predict", model, path, str(folder / "p.csv")],
        "monitor": ["monitor", good, path, "--model", model],
        "monitor from": ["monitor", path, good],
        "alarm yield": ["alarm", "yield", model, path, "--target", "0.8", "--top", "1"],
        "alarm hot-spot": ["alarm", "hot-spot", str(folder / "history.csv"), path],
    }
    for name, (content, readable) in _files(table).items():
        (folder / "f.csv").write_bytes(content)
        for command, arguments in commands.items():
            code = main(arguments)  # an exception that is not ours ends the test
            said = capsys.readouterr()
            where = (name, command, code, said.out, said.err)
            assert code in (0, 2, 3), where
            if not readable:
                assert code == 2, where
                assert said.err.startswith(f"reactor-yield: {path}"), where
            elif name in ("plain", "bom", "utf-16", "tabs", "semicolons, decimal commas"):
                assert code in (0, 3) or command == "alarm hot-spot", where
            elif name in ("column of text", "column of dates", "endless", "gaps", "other columns"):
                silent = command in ("alarm hot-spot",)  # it does not read the column
                assert code != 0 or silent or "could not" in said.out, where
