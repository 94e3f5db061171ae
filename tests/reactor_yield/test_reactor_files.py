"""Tables read in one way or refused by line; outputs that appear whole, together, or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

from reactor_yield.errors import InvalidFileError, StorageError
from reactor_yield.files import check_output, files_together, read_csv, read_json, write_text
from reactor_yield.tables import numbers, parse_csv


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", {"a": [1], "b": [2]}),  # byte order mark
        ("a,b\n1,2\n".encode("utf-16"), {"a": [1], "b": [2]}),
        ("a,b\n1,2\n".encode("utf-16-le"), {"a": [1], "b": [2]}),
        ("a,b\n1,2\n".encode("utf-16-be"), {"a": [1], "b": [2]}),
        ("H\xf6he,b\n1,2\n".encode("latin-1"), {"H\xf6he": [1], "b": [2]}),
        (b"a;b\n1,5;2\n2,25;1\n", {"a": [1.5, 2.25], "b": [2, 1]}),  # decimal commas
        (b'a,b\n"1,5",2\n"2,75",1\n', {"a": [1.5, 2.75], "b": [2, 1]}),
        (b"a\tb\n1\t2\n", {"a": [1], "b": [2]}),
        (b"a,b,\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}),  # delimiter at the end of lines
        (b"a,b\n1,2,\n", {"a": [1], "b": [2]}),
        (b"\n\na,b\n\n1,2\n", {"a": [1], "b": [2]}),
        (b"sep=;\na;b\n1;2\n", {"a": [1], "b": [2]}),
        (b" a , b \n 1 , 2 \n", {"a": [1], "b": [2]}),
        (b"lot,ok\nK7,True\nM1,False\n", {"lot": ["K7", "M1"], "ok": [True, False]}),
        (b",a\n0,1\n1,2\n", {"Unnamed: 0": [0, 1], "a": [1, 2]}),  # an index that was written
    ],
)
def test_what_is_certain_is_read(content, expected):
    assert parse_csv(content, name="f.csv").to_dict("list") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "f.csv: the file is empty"),
        (b"a,b\n", "f.csv: line 1 is a header and no rows follow"),
        (b"1,2\n3,4\n", "line 1 is numbers only; a header"),
        (b"a,b,a\n1,2,3\n", "line 1, columns 1 and 3 are both named 'a'"),
        (b"a,,c\n1,2,3\n", "line 1, column 2 has no name"),
        (b"a,b\nK,atm\n1,2\n2,3\n", "line 2, column 'a': 'K' looks like a unit"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 values for 2 columns; .*'b' is '3'"),
        (b"a,b\n1\n", "line 2 has 1 values for 2 columns; 'b'"),
        (b"a;b\n1,5;2\n1.5;2\n", "line 2, column 'a': '1,5' beside numbers with a decimal point"),
        (b'a,b\n"1,500",2\n', "'1,500' may have a thousands separator"),
        (b'a,b\n1,2\n"1,2\n', "line 3 cannot be read"),
        (b"a,b\n1,\x002\n", "line 2 holds binary content"),
        (b"PK\x03\x04....", "is a zip or Excel file"),
        (b"\x1f\x8b....", "is a gzip file"),
        (b'"' + b"a" * 200_000, "line 1 cannot be read"),
    ],
)
def test_what_could_be_misread_is_refused_by_line(content, message):
    with pytest.raises(InvalidFileError, match=message):
        parse_csv(content, name="f.csv")


def test_text_among_numbers_is_named_by_file_line_and_column():
    table = parse_csv(b"a\n5\n\nBad\n6\n", name="f.csv")
    with pytest.raises(
        InvalidFileError, match=r"f\.csv: line 4, column 'a': 'Bad' is not a number"
    ):
        numbers(table, "a")
    with pytest.raises(InvalidFileError, match="row 7, column 'a': 'x'"):
        numbers(pd.DataFrame({"a": ["1", "x"]}, index=[3, 7]), "a")
    with pytest.raises(InvalidFileError, match="truth values"):
        numbers(pd.DataFrame({"a": [True, False]}), "a")
    assert numbers(parse_csv(b"a,b\n1,x\nNA,y\n", name="f"), "a").isna().tolist() == [False, True]


def test_numbers_are_those_of_pandas():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(50, 3)) * 10.0 ** rng.integers(-9, 9, (50, 3)))
    table.columns = ["x", "y", "z"]
    text = table.to_csv(index=False).encode()
    pd.testing.assert_frame_equal(parse_csv(text, name="t"), table)


def test_files_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fail():
        with files_together() as outputs:
            outputs.write_text(tmp_path / "a.txt", "new")
            outputs.write_csv(tmp_path / "b.csv", pd.DataFrame({"x": [1]}))
            assert not (tmp_path / "b.csv").exists()
            raise KeyError("the work failed")

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with files_together() as outputs:
        outputs.write_text(tmp_path / "a.txt", "new")
        outputs.write_json(tmp_path / "c.json", {"x": float("nan")})
    assert (tmp_path / "a.txt").read_text() == "new"
    assert read_json(tmp_path / "c.json") == {"x": None}


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt: No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_kills_tear_nothing(tmp_path):
    """A process writes two files of equal content again and again, and is killed at any time."""
    program = textwrap.dedent(f"""
        from pathlib import Path
        from reactor_yield.files import files_together
        n = 0
        print("ready", flush=True)
        while True:
            n += 1
            with files_together() as outputs:
                for name in ("a", "b"):
                    outputs.write_text(Path({str(tmp_path)!r}) / name, f"{{n}} " * 50_000)
    """)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        process.stdout.readline()
        while not (tmp_path / "b").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for name in ("a", "b"):
            words = (tmp_path / name).read_text().split()
            assert len(words) == 50_000
            assert len(set(words)) == 1
            (tmp_path / name).unlink()


def test_outputs_are_checked_before_the_work(tmp_path):
    with pytest.raises(StorageError, match="is a folder"):
        check_output(tmp_path)
    with pytest.raises(StorageError, match="there is no folder"):
        check_output(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(StorageError, match="does not exist"):
        read_csv(tmp_path / "nowhere.csv")
